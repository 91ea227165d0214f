// SPDX-License-Identifier: GPL-2.0
/*
 * Placement by example: what comes of a few ranges, written out by hand; and
 * what the other tests are too small for.
 */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "model.h"

#define range(first, end)	((struct kexec_range){ first, end })
#define run(dst, src, nr)	((struct kexec_run){ dst, src, nr })
#define NR(array)		(sizeof(array) / sizeof((array)[0]))

static struct kexec_place place;

/* Pages that came back. */
static unsigned long freed;

static void count_freed(struct kexec_range r, void *data)
{
	check(!data && r.start < r.end);
	freed += r.end - r.start;
}

static void start_one(struct kexec_range dst)
{
	kexec_place_init(&place, &dst, 1);
}

static void start_two(struct kexec_range a, struct kexec_range b)
{
	const struct kexec_range dst[] = { a, b };

	kexec_place_init(&place, dst, NR(dst));
}

static void give(struct kexec_range r)
{
	check(!kexec_place_give(&place, r));
}

static void pin(struct kexec_run run)
{
	check(!kexec_place_pin(&place, run));
}

static void trim(unsigned long pages)
{
	freed = 0;
	kexec_place_trim(&place, count_freed, NULL);
	check(freed == pages);
}

static void finish(void)
{
	check(!kexec_place_missing(&place));
	kexec_place_sort(&place);
	check(!kexec_place_finish(&place));
}

static void check_runs(const struct kexec_run *run, unsigned long nr)
{
	check(place.nr_runs == nr);
	check(!nr || !memcmp(place.runs, run, nr * sizeof(*run)));
}

static void check_found(unsigned long pfn, unsigned long src, unsigned long nr)
{
	struct kexec_run found = kexec_place_find(&place, pfn);

	check(found.dst == pfn && found.src == src && found.nr == nr);
}

static void release(unsigned long pages)
{
	freed = 0;
	kexec_place_release(&place, count_freed, NULL);
	check(freed == pages);
}

static void place_at_home(void)
{
	start_one(range(10, 20));
	give(range(10, 20));
	finish();
	check_runs(NULL, 0);
	check_found(12, 12, ULONG_MAX - 12);
	release(10);
}

static void place_lent(void)
{
	start_one(range(10, 20));
	check(kexec_place_missing(&place) == 10);
	give(range(100, 110));
	finish();
	check_runs(&run(10, 100, 10), 1);
	check_found(10, 100, 10);
	check_found(19, 109, 1);
	release(10);
}

static void place_cut_at_both_edges(void)
{
	start_one(range(10, 20));
	give(range(5, 25));
	check(place.nr_home == 10 && place.nr_lent == 10);
	trim(10);
	finish();
	check_runs(NULL, 0);
	release(10);
}

static void place_cut_in_the_middle(void)
{
	start_two(range(10, 20), range(30, 40));
	give(range(15, 35));
	check(place.nr_home == 10 && place.nr_lent == 10);
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 20, 5), run(35, 25, 5),
	}), 2);
	check_found(15, 15, 20);
	check_found(36, 26, 4);
	release(20);
}

/* Blocks in any order, and still one run: they are sorted and joined. */
static void place_joined(void)
{
	unsigned long i;

	start_one(range(10, 20));
	for (i = 0; i < 10; i++)
		give(range(100 + i * 7 % 10, 101 + i * 7 % 10));
	finish();
	check_runs(&run(10, 100, 10), 1);
	release(10);
}

static void place_touching(void)
{
	start_two(range(20, 30), range(10, 20));
	give(range(100, 110));
	give(range(15, 25));
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 100, 5), run(25, 105, 5),
	}), 2);
	release(20);
}

/*
 * An allocator that goes through its memory in steps, up or down, makes no more
 * work than one that has it in one piece.
 */
static void place_joined_at_once(void)
{
	unsigned long i;

	start_one(range(10, 20));
	for (i = 0; i < 10; i++) {
		give(range(10 + i, 11 + i));
		give(range(109 - i, 110 - i));
		check(place.home.nr == 1 && place.lent.nr == 1);
	}
	release(20);
}

/* What touches on both sides is one move, whoever the segments are. */
static void place_touching_joined(void)
{
	start_two(range(10, 20), range(20, 30));
	give(range(100, 120));
	finish();
	check_runs(&run(10, 100, 20), 1);
	release(20);
}

/* Lent memory that came first is not needed when home comes after it. */
static void place_late_home(void)
{
	start_one(range(10, 20));
	give(range(100, 110));
	check(!kexec_place_missing(&place));
	give(range(12, 18));
	trim(6);
	check(place.nr_lent == 4);
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 100, 2), run(18, 102, 2),
	}), 2);
	release(10);
}

/* An image of zeros only, or of empty segments, needs nothing. */
static void place_nothing(void)
{
	start_two(range(0, 0), range(30, 20));
	check(!place.nr_dsts && !kexec_place_missing(&place));
	give(range(0, 50));
	trim(50);
	finish();
	check_runs(NULL, 0);
	release(0);
}

static void place_at_the_ends(void)
{
	const unsigned long last = ULONG_MAX >> 12;

	start_two(range(last - 1, last), range(0, 1));
	give(range(last - 1, last));
	give(range(last - 2, last - 1));
	finish();
	check_runs(&run(0, last - 2, 1), 1);
	check_found(0, last - 2, 1);
	check_found(last - 1, last - 1, ULONG_MAX - (last - 1));
	release(2);
}

/* Content that came in memory of its own needs no other. */
static void place_all_pinned(void)
{
	start_two(range(10, 20), range(30, 35));
	pin(run(30, 200, 5));
	pin(run(10, 100, 10));
	kexec_place_sort(&place);
	check(!kexec_place_missing(&place));
	give(range(0, 40));
	check(!place.nr_home && place.nr_lent == 25);
	trim(40);
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 100, 10), run(30, 200, 5),
	}), 2);
	check_found(13, 103, 7);
	check_found(34, 204, 1);
	release(15);
}

static void place_pinned_at_both_ends(void)
{
	start_one(range(10, 20));
	pin(run(10, 100, 2));
	pin(run(17, 200, 3));
	kexec_place_sort(&place);
	check(kexec_place_missing(&place) == 5);
	give(range(50, 55));
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 100, 2), run(12, 50, 5), run(17, 200, 3),
	}), 3);
	release(10);
}

static void place_home_between_pins(void)
{
	start_one(range(10, 20));
	give(range(12, 14));
	pin(run(14, 200, 2));
	pin(run(10, 100, 2));
	kexec_place_sort(&place);
	give(range(17, 18));
	give(range(50, 53));
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 100, 2), run(14, 200, 2), run(16, 50, 1), run(18, 51, 2),
	}), 4);
	check_found(12, 12, 2);
	check_found(17, 17, 1);
	release(10);
}

/* What is given over pins is home between them, and set aside in them. */
static void place_given_over_pins(void)
{
	start_one(range(10, 20));
	pin(run(11, 100, 2));
	pin(run(15, 110, 1));
	pin(run(18, 120, 2));
	kexec_place_sort(&place);
	give(range(12, 19));
	check(place.nr_home == 4 && !place.nr_lent);
	check(kexec_place_missing(&place) == 1);
	give(range(50, 52));
	trim(3 + 1);
	trim(0);
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 50, 1), run(11, 100, 2), run(15, 110, 1), run(18, 120, 2),
	}), 4);
	check_found(13, 13, 2);
	release(10);
}

/* The first destination must not take what is pinned for the second. */
static void place_touching_pinned(void)
{
	start_two(range(10, 20), range(20, 30));
	pin(run(20, 200, 5));
	kexec_place_sort(&place);
	give(range(18, 27));
	give(range(50, 61));
	trim(5);
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 50, 8), run(20, 200, 5), run(27, 58, 3),
	}), 3);
	release(20);
}

/* Home that two destinations share, between a pin of each. */
static void place_touching_between_pins(void)
{
	start_two(range(10, 20), range(20, 30));
	give(range(15, 25));
	pin(run(10, 100, 5));
	pin(run(25, 200, 5));
	kexec_place_sort(&place);
	check(!kexec_place_missing(&place));
	finish();
	check_runs(((struct kexec_run[]){
		run(10, 100, 5), run(25, 200, 5),
	}), 2);
	check_found(15, 15, 10);
	release(20);
}

/* A pin is a run like any other, and joins what is lent before and after it. */
static void place_pinned_joined(void)
{
	start_one(range(10, 20));
	pin(run(12, 102, 3));
	pin(run(15, 105, 2));
	kexec_place_sort(&place);
	give(range(100, 102));
	give(range(107, 110));
	finish();
	check_runs(&run(10, 100, 10), 1);
	release(10);
}

static void place_holds(void)
{
	start_one(range(10, 20));
	give(range(18, 20));
	pin(run(15, 100, 2));
	pin(run(12, 102, 1));
	kexec_place_sort(&place);
	give(range(50, 60));
	check(!kexec_place_holds(&place, range(10, 12)));
	check(kexec_place_holds(&place, range(10, 13)));
	check(!kexec_place_holds(&place, range(13, 15)));
	check(kexec_place_holds(&place, range(16, 18)));
	check(!kexec_place_holds(&place, range(17, 18)));
	check(kexec_place_holds(&place, range(17, 20)));
	release(15);
}

/* How far place_released_at_any_stage() goes before it gives up. */
enum {
	STAGE_ZERO, STAGE_INIT, STAGE_PINNED, STAGE_GIVEN, STAGE_TRIMMED,
	STAGE_DONE, STAGES
};

/* The pages that come back after each: pinned, over the pin, home and lent. */
static const unsigned long stage_pages[STAGES] = { 0, 0, 2, 13, 10, 10 };

static void advance(int stage)
{
	memset(&place, 0, sizeof(place));
	if (stage >= STAGE_INIT)
		start_one(range(10, 20));
	if (stage >= STAGE_PINNED)
		pin(run(14, 100, 2));
	if (stage >= STAGE_GIVEN) {
		kexec_place_sort(&place);
		give(range(15, 21));
		give(range(0, 5));
	}
	if (stage >= STAGE_TRIMMED)
		trim(1 + 2);
	if (stage >= STAGE_DONE)
		finish();
}

static void place_released_at_any_stage(void)
{
	int stage;

	for (stage = STAGE_ZERO; stage < STAGES; stage++) {
		advance(stage);
		release(stage_pages[stage]);
		release(0);
		check(!unit_live_tables());
	}
}

/* Pin every fourth page of each destination. */
static int try_pins(unsigned long *pages)
{
	unsigned long i;
	int err = 0;

	for (i = 0; i < 210 && !err; i += 4) {
		if (i >= 100 && i < 160)
			continue;
		err = kexec_place_pin(&place, run(i, 1000 - i, 1));
		*pages += !err;
		check(place.nr_pinned == *pages);
	}
	kexec_place_sort(&place);
	return err;
}

static unsigned long count_aside(void)
{
	unsigned long i, sum = 0;

	for (i = 0; i < place.aside.nr; i++)
		sum += kexec_range_size(place.aside.v[i]);
	return sum;
}

/* A load that gives up at the first failure; true when it came through. */
static bool try_load(void)
{
	unsigned long pages = 0, i;
	int err;

	start_two(range(0, 100), range(160, 210));
	err = try_pins(&pages);
	for (i = 0; i < 150 && !err; i++) {
		err = kexec_place_give(&place, range(2 * i, 2 * i + 1));
		pages += !err;
		check(place.nr_pinned + place.nr_home + place.nr_lent +
		      count_aside() == pages);
	}
	kexec_place_sort(&place);
	err = err ?: kexec_place_finish(&place);
	check(err == (unit_alloc_failed() ? -ENOMEM : 0));
	release(pages);
	check(!unit_live_tables());
	return !err;
}

static void place_fails_at_each_allocation(void)
{
	unsigned int failures = 0;

	do
		unit_fail_alloc(failures++);
	while (!try_load());
	unit_fail_alloc(-1);
	/* All four tables have to grow several times, and the runs come last. */
	check(failures > 12);
	unit_note("%u allocations", failures - 1);
}

/*
 * Half a million single pages in an order without neighbours. With work that
 * grew with the square of the pieces, this would not end.
 */
#define MANY		0x80000ul
#define MANY_STEP	(2 * 196613ul)	/* a prime: reaches every even frame */

static void start_many(void)
{
	struct kexec_range dst[KEXEC_SEGMENT_MAX];
	unsigned long i, size = MANY / KEXEC_SEGMENT_MAX;

	for (i = 0; i < NR(dst); i++)
		dst[i] = range(2 * i * size, 2 * i * size + size);
	kexec_place_init(&place, dst, NR(dst));
}

static void place_many_pieces(void)
{
	unsigned long i, moved = 0;

	start_many();
	for (i = 0; i < MANY; i++)
		give(range(i * MANY_STEP % (2 * MANY), i * MANY_STEP % (2 * MANY) + 1));
	check(place.nr_home == MANY / 2 && place.nr_lent == MANY / 2);
	finish();
	check(place.nr_runs == MANY / 2);
	for (i = 0; i < place.nr_runs; i++)
		moved += place.runs[i].nr;
	check(moved == MANY / 2);
	for (i = 0; i < place.nr_runs; i++)
		check_found(place.runs[i].dst, place.runs[i].src, 1);
	release(MANY);
}

/* Half of them pinned, in such an order, and what is given lies across that. */
static void place_many_pins(void)
{
	unsigned long i, size = MANY / KEXEC_SEGMENT_MAX;

	start_many();
	for (i = 0; i < MANY; i++) {
		unsigned long pfn = i * MANY_STEP % (2 * MANY);

		if (pfn / size % 2 == 0)
			pin(run(pfn, 2 * MANY + pfn, 1));
	}
	kexec_place_sort(&place);
	check(place.nr_pinned == MANY / 2);
	check(kexec_place_missing(&place) == MANY / 2);
	for (i = 0; i < MANY; i++)
		give(range(2 * i, 2 * i + 2));
	check(place.nr_home == MANY / 2 && place.nr_lent == MANY);
	trim(MANY / 2 + MANY);
	finish();
	check(place.nr_runs == MANY / 2);
	release(MANY);
}

const struct unit_test place_tests[] = {
	{ "place_at_home", place_at_home },
	{ "place_lent", place_lent },
	{ "place_cut_at_both_edges", place_cut_at_both_edges },
	{ "place_cut_in_the_middle", place_cut_in_the_middle },
	{ "place_joined", place_joined },
	{ "place_joined_at_once", place_joined_at_once },
	{ "place_touching", place_touching },
	{ "place_touching_joined", place_touching_joined },
	{ "place_late_home", place_late_home },
	{ "place_nothing", place_nothing },
	{ "place_at_the_ends", place_at_the_ends },
	{ "place_all_pinned", place_all_pinned },
	{ "place_pinned_at_both_ends", place_pinned_at_both_ends },
	{ "place_pinned_joined", place_pinned_joined },
	{ "place_home_between_pins", place_home_between_pins },
	{ "place_given_over_pins", place_given_over_pins },
	{ "place_touching_pinned", place_touching_pinned },
	{ "place_touching_between_pins", place_touching_between_pins },
	{ "place_holds", place_holds },
	{ "place_released_at_any_stage", place_released_at_any_stage },
	{ "place_fails_at_each_allocation", place_fails_at_each_allocation },
	{ "place_many_pieces", place_many_pieces },
	{ "place_many_pins", place_many_pins },
	{}
};
