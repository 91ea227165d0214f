// SPDX-License-Identifier: GPL-2.0
/*
 * Placement as the loader does it, in random memories: fragmented, with a buddy
 * allocator whose free blocks lie where they like, up to 16 segments with zero
 * tails, content that was read into memory before, control pages, destinations
 * that can be had in place or not, and tables that cannot be allocated.
 *
 * Each case has a seed of its own, one more than that of the case before; the
 * one that fails is printed, and "-s SEED -n 1 place_random" repeats it.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

#define MAX_ORDER	5
#define BLOCK_PAGES	8	/* asked for at once when taken in place */

/**
 * struct load - one case
 * @seed: what makes it
 * @segment: everything a segment covers
 * @content: the part of it that is not zero
 * @nr_segments: how many
 * @destination: pages of all segments
 * @free: pages that the allocator has
 * @failures: a table allocation may fail in this case
 */
static struct load {
	u64 seed;
	struct model m;
	struct kexec_place place;
	struct kexec_range segment[KEXEC_SEGMENT_MAX];
	struct kexec_range content[KEXEC_SEGMENT_MAX];
	unsigned int nr_segments;
	bool destination[MODEL_PAGES];
	bool free[MODEL_PAGES];
	bool failures;
} load;

static struct {
	unsigned long moved, homes, trimmed, pinned, aside, did_not_fit, failed;
} seen;

static void describe(void)
{
	const struct kexec_range *r = load.segment;
	unsigned int i;

	printf("# repeat it with -s %#llx -n 1 place_random\n",
	       (unsigned long long)load.seed);
	for (i = 0; i < load.nr_segments; i++, r++)
		printf("# segment %u: %lu-%lu, content to %lu\n", i, r->start,
		       r->end, load.content[i].end);
}

static bool one_in(u32 n)
{
	return !random_below(n);
}

/*
 * The machine and the image
 */

/* Stretches of free and of used memory, of a typical length that varies. */
static void make_memory(void)
{
	u32 typical = 1 + random_below(one_in(2) ? 4 : 40);
	u32 density = 1 + random_below(4);
	unsigned long pfn = 0, end;
	bool is_free;

	while (pfn < load.m.nr) {
		is_free = !one_in(1 + density);
		end = pfn + 1 + random_below(typical);
		for (; pfn < end && pfn < load.m.nr; pfn++)
			load.free[pfn] = is_free;
	}
}

/* Some frames are memory that the allocator does not have at all. */
static void hide_memory(void)
{
	unsigned long pfn = random_below(load.m.nr);
	unsigned long end = pfn + random_below(load.m.nr);

	if (one_in(2))
		return;
	for (; pfn < end && pfn < load.m.nr; pfn++)
		load.free[pfn] = false;
}

static void shuffle_segments(void)
{
	unsigned int i, pick;

	for (i = 1; i < load.nr_segments; i++) {
		struct kexec_range segment = load.segment[i];
		struct kexec_range content = load.content[i];

		pick = random_below(i + 1);
		load.segment[i] = load.segment[pick];
		load.content[i] = load.content[pick];
		load.segment[pick] = segment;
		load.content[pick] = content;
	}
}

/* All of it content, all of it zero, or some of each. */
static unsigned long content_pages(unsigned long pages)
{
	switch (random_below(6)) {
	case 0:
		return 0;
	case 1:
	case 2:
		return random_below(pages + 1);
	default:
		return pages;
	}
}

static void make_segments(void)
{
	u32 wanted = 1 + random_below(one_in(2) ? 3 : KEXEC_SEGMENT_MAX);
	u32 size = 1 + random_below(2 * load.m.nr / wanted);
	u32 gap = one_in(3) ? 1 : 1 + random_below(load.m.nr / wanted);
	unsigned long pfn = 0;
	unsigned int i;

	for (i = 0; i < wanted; i++) {
		unsigned long start = pfn + random_below(gap);
		unsigned long end = start + random_below(size + 1);

		if (end > load.m.nr)
			break;
		load.segment[i] = (struct kexec_range){ start, end };
		load.content[i] = load.segment[i];
		load.content[i].end = start + content_pages(end - start);
		pfn = end;
	}
	load.nr_segments = i;
	shuffle_segments();
}

static void mark_segments(void)
{
	unsigned long pfn;
	unsigned int i;

	for (i = 0; i < load.nr_segments; i++) {
		for (pfn = load.segment[i].start; pfn < load.segment[i].end; pfn++) {
			load.destination[pfn] = true;
			load.m.zero[pfn] = pfn >= load.content[i].end;
		}
	}
}

static void make_load(u64 seed)
{
	memset(&load, 0, sizeof(load));
	load.seed = seed;
	random_start(seed);
	load.m.nr = 4 + random_below(one_in(4) ? MODEL_PAGES - 3 : 60);
	make_memory();
	hide_memory();
	make_segments();
	load.failures = one_in(4);
	model_init(&load.m, load.m.nr, load.content, load.nr_segments);
	mark_segments();
	kexec_place_init(&load.place, load.content, load.nr_segments);
}

/*
 * Its memory
 */

static bool all_free(struct kexec_range r)
{
	for (; r.start < r.end; r.start++)
		if (r.start >= load.m.nr || !load.free[r.start])
			return false;
	return true;
}

static void take(struct kexec_range r)
{
	for (; r.start < r.end; r.start++)
		load.free[r.start] = false;
}

/*
 * A free block that is aligned to its size: one of the many, as an allocator
 * makes no promise which.
 */
static bool alloc_block(unsigned int order, struct kexec_range *r)
{
	unsigned long size = 1ul << order;
	unsigned long blocks = load.m.nr >> order;
	unsigned long first, i;

	if (!blocks)
		return false;
	first = random_below(blocks);
	for (i = 0; i < blocks; i++) {
		r->start = (first + i) % blocks * size;
		r->end = r->start + size;
		if (all_free(*r)) {
			take(*r);
			return true;
		}
	}
	return false;
}

/* Two tables with the same entries, wherever they lie. */
static bool same(const struct kexec_ranges *table, unsigned long nr,
		 const struct kexec_range *v)
{
	return table->nr == nr &&
	       (!nr || !memcmp(table->v, v, nr * sizeof(*v)));
}

static unsigned long save(const struct kexec_ranges *table,
			  struct kexec_range *v)
{
	check(table->nr <= MODEL_PAGES);
	if (table->nr)
		memcpy(v, table->v, table->nr * sizeof(*v));
	return table->nr;
}

/* What fails has taken nothing, and can be tried again. */
static void give_without_memory(struct kexec_range r)
{
	static struct kexec_range home[MODEL_PAGES], lent[MODEL_PAGES];
	static struct kexec_range aside[MODEL_PAGES];
	unsigned long homes = save(&load.place.home, home);
	unsigned long lents = save(&load.place.lent, lent);
	unsigned long asides = save(&load.place.aside, aside);
	int err;

	unit_fail_alloc(random_below(3));
	err = kexec_place_give(&load.place, r);
	if (unit_alloc_failed()) {
		seen.failed++;
		check(err == -ENOMEM);
		check(same(&load.place.home, homes, home));
		check(same(&load.place.lent, lents, lent));
		check(same(&load.place.aside, asides, aside));
		model_check_counts(&load.m, &load.place);
		unit_fail_alloc(-1);
		model_give(&load.m, &load.place, r);
		return;
	}
	unit_fail_alloc(-1);
	check(!err);
	model_note_given(&load.m, r);
	model_check_counts(&load.m, &load.place);
}

static void give(struct kexec_range r)
{
	if (load.failures && one_in(4))
		give_without_memory(r);
	else
		model_give(&load.m, &load.place, r);
}

static void pin_without_memory(struct kexec_run run)
{
	static struct kexec_run pin[MODEL_PAGES];
	const struct kexec_runs *pins = &load.place.pins;
	unsigned long nr = pins->nr, size = nr * sizeof(*pin);
	int err;

	if (nr)
		memcpy(pin, pins->v, size);
	unit_fail_alloc(0);
	err = kexec_place_pin(&load.place, run);
	if (unit_alloc_failed()) {
		seen.failed++;
		check(err == -ENOMEM);
		check(pins->nr == nr && (!nr || !memcmp(pins->v, pin, size)));
		model_check_counts(&load.m, &load.place);
		unit_fail_alloc(-1);
		model_pin(&load.m, &load.place, run);
		return;
	}
	unit_fail_alloc(-1);
	check(!err);
	model_note_pinned(&load.m, run);
	model_check_counts(&load.m, &load.place);
}

static void pin(struct kexec_run run)
{
	if (load.failures && one_in(4))
		pin_without_memory(run);
	else
		model_pin(&load.m, &load.place, run);
}

/* What is given back can be handed out again. */
static void trim(void)
{
	bool given[MODEL_PAGES];
	unsigned long pfn;

	memcpy(given, load.m.given, sizeof(given));
	seen.trimmed += load.place.nr_lent > model_away(&load.m);
	seen.aside += load.place.aside.nr > 0;
	model_trim(&load.m, &load.place);
	for (pfn = 0; pfn < load.m.nr; pfn++)
		if (given[pfn] && !load.m.given[pfn])
			load.free[pfn] = true;
}

/*
 * Content that was read into memory before
 */

/* The part of @r that comes before the first page that is settled already. */
static struct kexec_range cut_unsettled(struct kexec_range r)
{
	struct kexec_range cut = { r.start, r.start };

	while (cut.end < r.end && !load.m.given[cut.end] &&
	       !load.m.pinned[cut.end])
		cut.end++;
	return cut;
}

/* A part of the segment's content that begins with @pfn. */
static struct kexec_range random_part(unsigned int segment, unsigned long pfn)
{
	unsigned long end = pfn + 1 + random_below(BLOCK_PAGES);
	unsigned long limit = load.content[segment].end;

	return (struct kexec_range){ pfn, end < limit ? end : limit };
}

static void adopt_homes(u32 rarity)
{
	struct kexec_range r;
	unsigned int i;

	for (i = 0; i < load.nr_segments; i++) {
		r.end = load.content[i].start;
		while (r.end < load.content[i].end) {
			r = random_part(i, r.end);
			if (all_free(r) && one_in(rarity)) {
				take(r);
				give(r);
			}
		}
	}
}

/* Free memory outside all content, at most @nr pages, wherever it is. */
static struct kexec_range find_own(unsigned long nr)
{
	unsigned long start = random_below(load.m.nr), i;
	struct kexec_range r = {};

	for (i = 0; i < load.m.nr; i++) {
		r.start = (start + i) % load.m.nr;
		if (load.free[r.start] && !load.m.content[r.start])
			break;
	}
	for (r.end = r.start; r.end < load.m.nr && nr; r.end++, nr--)
		if (!load.free[r.end] || load.m.content[r.end])
			break;
	return r;
}

/* The destinations' own memory stays with the allocator. */
static void adopt_pins(u32 rarity)
{
	unsigned long nr, pfn;
	unsigned int i;

	for (i = 0; i < load.nr_segments; i++) {
		for (pfn = load.content[i].start; pfn < load.content[i].end; pfn += nr) {
			struct kexec_range dst = cut_unsettled(random_part(i, pfn));
			struct kexec_range own = find_own(kexec_range_size(dst));

			nr = kexec_range_size(own);
			if (nr && one_in(rarity)) {
				take(own);
				pin((struct kexec_run){ pfn, own.start, nr });
				seen.pinned++;
			}
			nr += !nr;
		}
	}
}

static void adopt(void)
{
	if (one_in(2))
		return;
	adopt_homes(1 + random_below(4));
	adopt_pins(1 + random_below(4));
	kexec_place_sort(&load.place);
}

/*
 * Memory for the rest
 */

static bool is_destination(struct kexec_range r)
{
	for (; r.start < r.end; r.start++)
		if (load.destination[r.start])
			return true;
	return false;
}

/* Control pages lie outside all destinations, zeros included. */
static void take_control_pages(unsigned int nr)
{
	struct kexec_range r;

	while (nr && alloc_block(one_in(4), &r)) {
		if (is_destination(r))
			give(r);
		else
			nr--;
	}
}

static void take_destinations(void)
{
	const struct kexec_place *place = &load.place;
	unsigned int i;

	for (i = 0; i < place->nr_dsts; i++) {
		struct kexec_range r = place->dst[i];

		while (r.start < r.end) {
			unsigned long end = (r.start / BLOCK_PAGES + 1) * BLOCK_PAGES;
			struct kexec_range part = { r.start, end < r.end ? end : r.end };

			check(kexec_place_holds(place, part) ==
			      model_holds(&load.m, part));
			if (all_free(part) && !one_in(8)) {
				take(part);
				give(part);
			}
			r.start = part.end;
		}
	}
}

/* From large blocks to small ones, and never more than what is missing. */
static bool take_blocks(void)
{
	unsigned int order = MAX_ORDER;
	struct kexec_range r;

	while (model_missing(&load.m)) {
		if (1ul << order <= model_missing(&load.m) &&
		    alloc_block(order, &r))
			give(r);
		else if (!order--)
			return false;
	}
	return true;
}

/*
 * The load
 */

static void finish_without_memory(void)
{
	struct kexec_place before;

	kexec_place_sort(&load.place);
	memcpy(&before, &load.place, sizeof(before));
	unit_fail_alloc(0);
	check(kexec_place_finish(&load.place) == -ENOMEM);
	check(unit_alloc_failed());
	check(!memcmp(&before, &load.place, sizeof(before)));
	model_check_counts(&load.m, &load.place);
}

/* Late control pages can bring home what made a run, so count again. */
static void take_move_pages(void)
{
	unsigned int round;

	for (round = random_below(3); round; round--) {
		trim();
		kexec_place_sort(&load.place);
		kexec_place_count_runs(&load.place);
		take_control_pages(random_below(4));
	}
	trim();
}

static void check_jump(void)
{
	take_move_pages();
	if (load.failures)
		finish_without_memory();
	model_finish(&load.m, &load.place);
	model_jump(&load.m, &load.place);
	seen.homes += load.place.nr_home > 0;
	seen.moved += load.place.nr_runs > 0;
}

static void check_load(u64 seed)
{
	make_load(seed);
	adopt();
	take_control_pages(random_below(6));
	if (!one_in(3))
		take_destinations();
	if (take_blocks())
		check_jump();
	else
		seen.did_not_fit++;
	model_release(&load.m, &load.place);
}

static void place_random(void)
{
	unsigned long i;

	memset(&seen, 0, sizeof(seen));
	unit_describe = describe;
	for (i = 0; i < unit_cases; i++)
		check_load(unit_seed + i);
	unit_describe = NULL;
	unit_note("%lu cases, seed %#llx", unit_cases,
		  (unsigned long long)unit_seed);
	printf("# %lu have runs, %lu home, %lu do not fit\n",
	       seen.moved, seen.homes, seen.did_not_fit);
	printf("# %lu pins, %lu times set aside, %lu times trimmed\n",
	       seen.pinned, seen.aside, seen.trimmed);
	printf("# %lu allocations failed\n", seen.failed);
	/* A generator that no longer makes a kind of case tests nothing of it. */
	if (unit_cases >= 1000)
		check(seen.moved && seen.homes && seen.trimmed &&
		      seen.pinned && seen.aside && seen.did_not_fit &&
		      seen.failed);
}

const struct unit_test random_tests[] = {
	{ "place_random", place_random },
	{}
};
