// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges, against sets of page frames as bits of a word: every range and every
 * pair of ranges over a few frames, also those that end before they start.
 */

#include <limits.h>

#include "kexec_place.h"
#include "unit.h"

#define FRAMES 9

static u32 frames(struct kexec_range r)
{
	u32 set = 0;
	unsigned long pfn;

	for (pfn = r.start; pfn < r.end; pfn++)
		set |= 1u << pfn;
	return set;
}

/* The next of all ranges, after { 0, 0 }; false after the last. */
static bool next_range(struct kexec_range *r)
{
	if (++r->end < FRAMES)
		return true;
	r->end = 0;
	return ++r->start < FRAMES;
}

static void check_alone(bool (*right)(struct kexec_range r))
{
	struct kexec_range r = {};

	do
		check(right(r));
	while (next_range(&r));
}

static void check_pairs(bool (*right)(struct kexec_range a,
				      struct kexec_range b))
{
	struct kexec_range a = {}, b;

	do {
		b = (struct kexec_range){};
		do
			check(right(a, b));
		while (next_range(&b));
	} while (next_range(&a));
}

static bool empty_right(struct kexec_range r)
{
	return kexec_range_empty(r) == !frames(r);
}

static bool size_right(struct kexec_range r)
{
	return kexec_range_size(r) ==
	       (unsigned long)__builtin_popcount(frames(r));
}

static bool cut_right(struct kexec_range a, struct kexec_range b)
{
	return frames(kexec_range_cut(a, b)) == (frames(a) & frames(b));
}

static bool overlaps_right(struct kexec_range a, struct kexec_range b)
{
	return kexec_range_overlaps(a, b) == !!(frames(a) & frames(b));
}

static bool contains_right(struct kexec_range outer, struct kexec_range inner)
{
	return kexec_range_contains(outer, inner) ==
	       !(frames(inner) & ~frames(outer));
}

static void range_empty(void)
{
	check_alone(empty_right);
}

static void range_size(void)
{
	check_alone(size_right);
}

static void range_cut(void)
{
	check_pairs(cut_right);
}

static void range_overlaps(void)
{
	check_pairs(overlaps_right);
}

static void range_contains(void)
{
	check_pairs(contains_right);
}

/* Nothing may wrap where the numbers end. */
static void range_limits(void)
{
	const struct kexec_range all = { 0, ULONG_MAX };
	const struct kexec_range last = { ULONG_MAX - 1, ULONG_MAX };
	const struct kexec_range none = { ULONG_MAX, 0 };

	check(kexec_range_size(all) == ULONG_MAX);
	check(kexec_range_size(last) == 1);
	check(kexec_range_contains(all, last));
	check(kexec_range_overlaps(last, all));
	check(kexec_range_size(kexec_range_cut(all, last)) == 1);
	check(kexec_range_empty(none) && !kexec_range_size(none));
	check(!kexec_range_overlaps(all, none));
	check(kexec_range_contains(last, none));
}

const struct unit_test range_tests[] = {
	{ "range_empty", range_empty },
	{ "range_size", range_size },
	{ "range_cut", range_cut },
	{ "range_overlaps", range_overlaps },
	{ "range_contains", range_contains },
	{ "range_limits", range_limits },
	{}
};
