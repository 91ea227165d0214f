// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding a place for an image: arithmetic over page frames.
 *
 * The loader knows where every page of the new kernel belongs: the content
 * destinations. Until the jump the content has to be kept somewhere, in
 * whatever memory the allocator can spare, which may well be somebody's
 * destination. The rule that keeps this simple:
 *
 *   All memory that is given is cut at the edges of the content destinations.
 *   A piece inside one is home: it holds the content that belongs there and is
 *   never moved. Every other piece is lent to a destination whose own memory
 *   was not given.
 *
 * So a page that holds content is either its own destination or no content
 * destination at all. No move can overwrite the source of another, and the
 * moves may be done in any order. No page is wasted, set aside or looked for:
 * each one that is given serves, and the work grows with the number of pieces.
 *
 * Memory that becomes zero at the jump is no content destination: zeros are
 * written after all moves, so a piece there may be lent.
 *
 * Content may also come in memory of its own, a file that was read there. Where
 * that is home, it is given like any other home. Where it is outside every
 * content destination, it is pinned: a run of its own, which nobody chose. What
 * the allocator hands out of a pinned destination would break the rule as a
 * source and is too late as a home: that alone is set aside, until
 * kexec_place_trim().
 *
 * The sections of this file, in the order in which a load calls them:
 *
 *  - tables: growing arrays of ranges and runs
 *  - gathering: kexec_place_init(), _pin(), _give(), _holds(), _missing(),
 *    _trim()
 *  - finishing: kexec_place_sort(), _count_runs(), _finish()
 *  - using: kexec_place_find(), _release()
 *
 * Nothing here locks, sleeps on anything but its own allocations, or reads a
 * page; the caller owns the struct kexec_place.
 */

#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "kexec_place.h"

/* Memory for an image never comes from the OOM killer, not even its tables. */
#define PLACE_GFP (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * Tables
 */

/* A table of @nr entries in place of @v with room for @max, or NULL. */
static void *table_grow(void *v, unsigned long nr, unsigned long max, size_t size)
{
	void *new = kvmalloc_array(max, size, PLACE_GFP);

	if (!new)
		return NULL;
	if (nr)
		memcpy(new, v, nr * size);
	kvfree(v);
	return new;
}

/* Make room for @extra more entries, so that as many appends cannot fail. */
static int ranges_reserve(struct kexec_ranges *r, unsigned long extra)
{
	unsigned long max = max(r->nr + extra, 2 * r->max);
	struct kexec_range *v;

	if (r->nr + extra <= r->max)
		return 0;
	v = table_grow(r->v, r->nr, max, sizeof(*v));
	if (!v)
		return -ENOMEM;
	r->v = v;
	r->max = max;
	return 0;
}

static void ranges_free(struct kexec_ranges *r)
{
	kvfree(r->v);
	*r = (struct kexec_ranges){};
}

/*
 * An allocator often hands out neighbours one after the other, upwards or
 * downwards; the table stays short when they are joined at once.
 */
static void ranges_append(struct kexec_ranges *r, struct kexec_range new)
{
	struct kexec_range *last = r->nr ? &r->v[r->nr - 1] : NULL;

	if (last && last->end == new.start)
		last->end = new.end;
	else if (last && new.end == last->start)
		last->start = new.start;
	else
		r->v[r->nr++] = new;
}

static int range_compare(const void *a, const void *b)
{
	const struct kexec_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void ranges_sort(struct kexec_ranges *r)
{
	unsigned long i, nr = r->nr;

	sort(r->v, nr, sizeof(*r->v), range_compare, NULL);
	r->nr = 0;
	for (i = 0; i < nr; i++)
		ranges_append(r, r->v[i]);
}

static int run_compare(const void *a, const void *b)
{
	const struct kexec_run *x = a, *y = b;

	return x->dst < y->dst ? -1 : x->dst > y->dst;
}

static void ranges_release(struct kexec_ranges *r, kexec_free_fn free, void *data)
{
	unsigned long i;

	for (i = 0; i < r->nr; i++)
		free(r->v[i], data);
	r->nr = 0;
}

static void runs_release(const struct kexec_run *run, unsigned long nr,
			 kexec_free_fn free, void *data)
{
	for (; nr--; run++)
		free((struct kexec_range){ run->src, run->src + run->nr }, data);
}

/*
 * The first of @nr runs, sorted by destination, that ends after @pfn; @nr when
 * there is none.
 */
static unsigned long runs_search(const struct kexec_run *runs, unsigned long nr,
				 unsigned long pfn)
{
	unsigned long low = 0, high = nr;

	while (low < high) {
		unsigned long mid = low + (high - low) / 2;

		if (runs[mid].dst + runs[mid].nr <= pfn)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/*
 * Gathering
 */

/**
 * kexec_place_init - start placing an image
 * @place: to be set up
 * @dst: the content destinations, disjoint, in any order; empty ones count not
 * @nr: how many, at most KEXEC_SEGMENT_MAX
 */
void kexec_place_init(struct kexec_place *place, const struct kexec_range *dst,
		      unsigned int nr)
{
	unsigned int i;

	*place = (struct kexec_place){};
	for (i = 0; i < nr; i++) {
		if (kexec_range_empty(dst[i]))
			continue;
		place->dst[place->nr_dsts++] = dst[i];
		place->nr_content += kexec_range_size(dst[i]);
	}
	sort(place->dst, place->nr_dsts, sizeof(*dst), range_compare, NULL);
}

/**
 * kexec_place_pin - content that is in memory already
 * @place: the placement, to which nothing was given but home
 * @run: its source lies outside all content destinations, its destination
 *       inside one of them, not at home and in no other pin
 *
 * The memory belongs to the placement then. kexec_place_sort() has to come
 * before the next kexec_place_give().
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM: then nothing has changed.
 */
int kexec_place_pin(struct kexec_place *place, struct kexec_run run)
{
	struct kexec_runs *pins = &place->pins;
	unsigned long max = max(2 * pins->max, 16UL);
	struct kexec_run *v;

	if (pins->nr == pins->max) {
		v = table_grow(pins->v, pins->nr, max, sizeof(*v));
		if (!v)
			return -ENOMEM;
		pins->v = v;
		pins->max = max;
	}
	pins->v[pins->nr++] = run;
	place->nr_pinned += run.nr;
	return 0;
}

static void give_lent(struct kexec_place *place, struct kexec_range r)
{
	if (kexec_range_empty(r))
		return;
	ranges_append(&place->lent, r);
	place->nr_lent += kexec_range_size(r);
}

static void give_home(struct kexec_place *place, struct kexec_range r)
{
	if (kexec_range_empty(r))
		return;
	ranges_append(&place->home, r);
	place->nr_home += kexec_range_size(r);
}

static struct kexec_range pin_range(const struct kexec_run *pin)
{
	return (struct kexec_range){ pin->dst, pin->dst + pin->nr };
}

/* A piece of one destination: what of it is pinned comes too late. */
static void give_inside(struct kexec_place *place, struct kexec_range r)
{
	const struct kexec_runs *pins = &place->pins;
	unsigned long i = runs_search(pins->v, pins->nr, r.start);

	for (; i < pins->nr && pins->v[i].dst < r.end; i++) {
		struct kexec_range pin = pin_range(&pins->v[i]);

		give_home(place, (struct kexec_range){ r.start, pin.start });
		ranges_append(&place->aside, kexec_range_cut(r, pin));
		r.start = pin.end;
	}
	give_home(place, r);
}

/* How many pins a range meets. */
static unsigned long count_pins(const struct kexec_place *place,
				struct kexec_range r)
{
	const struct kexec_runs *pins = &place->pins;
	unsigned long first = runs_search(pins->v, pins->nr, r.start);
	unsigned long i = first;

	while (i < pins->nr && pins->v[i].dst < r.end)
		i++;
	return i - first;
}

/**
 * kexec_place_give - hand over memory for the image's content
 * @place: the placement, not yet finished, and sorted after the last pin
 * @r: page frames that nobody else uses, none of them given before
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM when the tables cannot grow: then nothing was taken.
 */
int kexec_place_give(struct kexec_place *place, struct kexec_range r)
{
	unsigned long nr_pins = count_pins(place, r);
	unsigned int i;

	/*
	 * Each destination cuts off at most one piece of home and one that is
	 * lent; each pin in it makes one more of home, and one to set aside.
	 */
	if (ranges_reserve(&place->home, place->nr_dsts + nr_pins) ||
	    ranges_reserve(&place->lent, place->nr_dsts + 1) ||
	    ranges_reserve(&place->aside, nr_pins))
		return -ENOMEM;

	for (i = 0; i < place->nr_dsts; i++) {
		struct kexec_range dst = place->dst[i];

		if (!kexec_range_overlaps(r, dst))
			continue;
		give_lent(place, (struct kexec_range){ r.start, dst.start });
		give_inside(place, kexec_range_cut(r, dst));
		r.start = min(r.end, dst.end);
	}
	give_lent(place, r);
	return 0;
}

/**
 * kexec_place_holds - has content of this stretch found its place?
 * @place: the placement, not yet finished, and sorted after the last pin
 * @r: page frames in a content destination
 *
 * Return: true when any of @r is at home or pinned.
 */
bool kexec_place_holds(const struct kexec_place *place, struct kexec_range r)
{
	unsigned long i;

	for (i = 0; i < place->home.nr; i++)
		if (kexec_range_overlaps(place->home.v[i], r))
			return true;
	return count_pins(place, r) != 0;
}

/* Destination pages that need a lender: neither at home nor pinned. */
static unsigned long away(const struct kexec_place *place)
{
	return place->nr_content - place->nr_home - place->nr_pinned;
}

/**
 * kexec_place_missing - how much memory is still needed
 * @place: the placement, not yet finished
 *
 * Return: page frames.
 */
unsigned long kexec_place_missing(const struct kexec_place *place)
{
	return away(place) - min(away(place), place->nr_lent);
}

/**
 * kexec_place_trim - return lent memory that came to be too much
 * @place: the placement, not yet finished
 * @free: takes the memory back
 * @data: handed to @free
 *
 * Home that arrives late makes as much of the lent memory unnecessary. What was
 * set aside goes back as well.
 */
void kexec_place_trim(struct kexec_place *place, kexec_free_fn free, void *data)
{
	struct kexec_ranges *lent = &place->lent;

	ranges_release(&place->aside, free, data);
	while (place->nr_lent > away(place)) {
		struct kexec_range *last = &lent->v[lent->nr - 1];
		unsigned long excess = place->nr_lent - away(place);
		unsigned long nr = min(excess, kexec_range_size(*last));

		last->end -= nr;
		place->nr_lent -= nr;
		free((struct kexec_range){ last->end, last->end + nr }, data);
		if (kexec_range_empty(*last))
			lent->nr--;
	}
}

/*
 * Finishing
 */

/* Where the next run goes; without a table they are only counted. */
struct run_writer {
	struct kexec_run *table;
	unsigned long nr;
	struct kexec_run last;
};

static void run_write(struct run_writer *w, struct kexec_run run)
{
	struct kexec_run *last = &w->last;

	if (w->nr && last->dst + last->nr == run.dst &&
	    last->src + last->nr == run.src) {
		last->nr += run.nr;
	} else {
		*last = run;
		w->nr++;
	}
	if (w->table)
		w->table[w->nr - 1] = *last;
}

/* The lent memory from @next on, part of which is used up. */
struct lender {
	const struct kexec_range *next;
	unsigned long used;
};

/* Let the lender serve all of @gap, a part of a destination. */
static void lend(struct lender *from, struct kexec_range gap,
		 struct run_writer *w)
{
	while (!kexec_range_empty(gap)) {
		unsigned long left = kexec_range_size(*from->next) - from->used;
		unsigned long nr = min(left, kexec_range_size(gap));

		run_write(w, (struct kexec_run){
			.dst = gap.start,
			.src = from->next->start + from->used,
			.nr = nr,
		});
		gap.start += nr;
		from->used += nr;
		if (nr == left) {
			from->next++;
			from->used = 0;
		}
	}
}

/* How far assign() is: in what needs no lender, what is lent, and the runs. */
struct cursor {
	const struct kexec_range *home;
	const struct kexec_range *homes_end;
	const struct kexec_run *pin;
	const struct kexec_run *pins_end;
	struct lender lender;
	struct run_writer w;
};

/*
 * The next piece of @rest, the part of a destination that is left, that is at
 * home or pinned; empty and at its end where there is none.
 */
static struct kexec_range next_settled(const struct cursor *c,
				       struct kexec_range rest)
{
	struct kexec_range next = { rest.end, rest.end };

	if (c->home < c->homes_end && c->home->start < next.start)
		next = *c->home;
	if (c->pin < c->pins_end && c->pin->dst < next.start)
		next = pin_range(c->pin);
	return next;
}

static bool is_pin(const struct cursor *c, struct kexec_range r)
{
	return c->pin < c->pins_end && c->pin->dst == r.start;
}

static void assign_dst(struct cursor *c, struct kexec_range rest)
{
	while (!kexec_range_empty(rest)) {
		struct kexec_range next = next_settled(c, rest);

		lend(&c->lender, (struct kexec_range){ rest.start, next.start }, &c->w);
		rest.start = next.end;
		if (kexec_range_empty(next))
			continue;
		/* Touching destinations may share a home piece. */
		if (is_pin(c, next))
			run_write(&c->w, *c->pin++);
		else if (next.end <= rest.end)
			c->home++;
	}
}

/* Go through what is neither at home nor pinned, once, in order. */
static unsigned long assign(const struct kexec_place *place,
			    struct kexec_run *table)
{
	struct cursor c = {
		.home = place->home.v,
		.homes_end = place->home.v + place->home.nr,
		.pin = place->pins.v,
		.pins_end = place->pins.v + place->pins.nr,
		.lender.next = place->lent.v,
		.w.table = table,
	};
	unsigned int i;

	for (i = 0; i < place->nr_dsts; i++)
		assign_dst(&c, place->dst[i]);
	return c.w.nr;
}

/**
 * kexec_place_sort - sort and join what was given, and sort what is pinned
 * @place: the placement, not yet finished
 */
void kexec_place_sort(struct kexec_place *place)
{
	ranges_sort(&place->home);
	ranges_sort(&place->lent);
	sort(place->pins.v, place->pins.nr, sizeof(*place->pins.v), run_compare, NULL);
}

/**
 * kexec_place_count_runs - how many runs kexec_place_finish() will make
 * @place: sorted, with nothing missing
 *
 * Return: the number of runs.
 */
unsigned long kexec_place_count_runs(const struct kexec_place *place)
{
	return assign(place, NULL);
}

/**
 * kexec_place_finish - decide which memory holds which content
 * @place: sorted, trimmed, and with nothing missing
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM: then nothing has changed.
 */
int kexec_place_finish(struct kexec_place *place)
{
	unsigned long nr = kexec_place_count_runs(place);
	struct kexec_run *runs;

	runs = kvmalloc_array(max(nr, 1UL), sizeof(*runs), PLACE_GFP);
	if (!runs)
		return -ENOMEM;
	assign(place, runs);
	place->runs = runs;
	place->nr_runs = nr;
	ranges_free(&place->lent);
	kvfree(place->pins.v);
	place->pins = (struct kexec_runs){};
	return 0;
}

/*
 * Using
 */

/**
 * kexec_place_find - where a page of content is kept until the jump
 * @place: finished
 * @pfn: page frame in a content destination
 *
 * Return: a stretch that begins with @pfn: a part of a run, or, with source and
 * destination equal, what is home. It may go on past the destination's end; the
 * caller knows its own.
 */
struct kexec_run kexec_place_find(const struct kexec_place *place,
				  unsigned long pfn)
{
	unsigned long i = runs_search(place->runs, place->nr_runs, pfn);
	struct kexec_run found = { .dst = pfn, .src = pfn, .nr = ULONG_MAX - pfn };
	const struct kexec_run *run = &place->runs[i];

	if (i == place->nr_runs)
		return found;
	if (run->dst > pfn) {
		found.nr = run->dst - pfn;
		return found;
	}
	found.src = run->src + (pfn - run->dst);
	found.nr = run->dst + run->nr - pfn;
	return found;
}

/**
 * kexec_place_release - give all memory back
 * @place: at any stage, also all zero; may be released again
 * @free: takes the memory back
 * @data: handed to @free
 */
void kexec_place_release(struct kexec_place *place, kexec_free_fn free,
			 void *data)
{
	ranges_release(&place->home, free, data);
	ranges_release(&place->lent, free, data);
	ranges_release(&place->aside, free, data);
	runs_release(place->pins.v, place->pins.nr, free, data);
	runs_release(place->runs, place->nr_runs, free, data);
	ranges_free(&place->home);
	ranges_free(&place->lent);
	ranges_free(&place->aside);
	kvfree(place->pins.v);
	kvfree(place->runs);
	*place = (struct kexec_place){};
}
