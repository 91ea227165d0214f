/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LINUX_KEXEC_PLACE_H
#define LINUX_KEXEC_PLACE_H

/*
 * Placement of an image in memory: see kexec_place.c.
 *
 * Everything here counts in page frames and touches no memory but its own
 * tables, so that it also builds in user space.
 */

#include <linux/minmax.h>
#include <linux/types.h>

#include <uapi/linux/kexec.h>

/**
 * struct kexec_range - consecutive page frames
 * @start: first page frame
 * @end: the page frame after the last; a range with @end <= @start is empty
 */
struct kexec_range {
	unsigned long start;
	unsigned long end;
};

static inline bool kexec_range_empty(struct kexec_range r)
{
	return r.end <= r.start;
}

static inline unsigned long kexec_range_size(struct kexec_range r)
{
	return kexec_range_empty(r) ? 0 : r.end - r.start;
}

/* The part of @a that lies in @b; empty where they do not meet. */
static inline struct kexec_range kexec_range_cut(struct kexec_range a,
						 struct kexec_range b)
{
	return (struct kexec_range){
		.start = max(a.start, b.start),
		.end = min(a.end, b.end),
	};
}

/* An empty range overlaps nothing, wherever it lies. */
static inline bool kexec_range_overlaps(struct kexec_range a,
					struct kexec_range b)
{
	return !kexec_range_empty(kexec_range_cut(a, b));
}

/* An empty range is contained in every range. */
static inline bool kexec_range_contains(struct kexec_range outer,
					struct kexec_range inner)
{
	return kexec_range_empty(inner) ||
	       (inner.start >= outer.start && inner.end <= outer.end);
}

/**
 * struct kexec_run - content that waits somewhere else than where it belongs
 * @dst: first page frame of the destination
 * @src: first page frame of the memory that holds the content until the jump
 * @nr: page frames
 */
struct kexec_run {
	unsigned long dst;
	unsigned long src;
	unsigned long nr;
};

/* A growing array of ranges. */
struct kexec_ranges {
	struct kexec_range *v;
	unsigned long nr;
	unsigned long max;
};

/* A growing array of runs. */
struct kexec_runs {
	struct kexec_run *v;
	unsigned long nr;
	unsigned long max;
};

/**
 * struct kexec_place - which memory holds which part of an image
 * @dst: content destinations, sorted and disjoint
 * @nr_dsts: how many
 * @nr_content: page frames in all of @dst
 * @home: memory that is its own destination
 * @lent: memory outside every content destination
 * @pins: content that came in memory of its own, outside every content
 *        destination, and stays there until the jump; sorted for any _give()
 * @aside: memory inside a pinned destination, which cannot serve
 * @nr_home: page frames in @home
 * @nr_lent: page frames in @lent
 * @nr_pinned: page frames in @pins
 * @runs: the moves that are left, sorted by destination; NULL until
 *        kexec_place_finish(), which turns @lent and @pins into them
 * @nr_runs: how many
 */
struct kexec_place {
	struct kexec_range dst[KEXEC_SEGMENT_MAX];
	unsigned int nr_dsts;
	unsigned long nr_content;

	struct kexec_ranges home;
	struct kexec_ranges lent;
	struct kexec_runs pins;
	struct kexec_ranges aside;
	unsigned long nr_home;
	unsigned long nr_lent;
	unsigned long nr_pinned;

	struct kexec_run *runs;
	unsigned long nr_runs;
};

typedef void (*kexec_free_fn)(struct kexec_range r, void *data);

void kexec_place_init(struct kexec_place *place, const struct kexec_range *dst,
		      unsigned int nr);
int kexec_place_pin(struct kexec_place *place, struct kexec_run run);
int kexec_place_give(struct kexec_place *place, struct kexec_range r);
bool kexec_place_holds(const struct kexec_place *place, struct kexec_range r);
unsigned long kexec_place_missing(const struct kexec_place *place);
void kexec_place_trim(struct kexec_place *place, kexec_free_fn free, void *data);
void kexec_place_sort(struct kexec_place *place);
unsigned long kexec_place_count_runs(const struct kexec_place *place);
int kexec_place_finish(struct kexec_place *place);
struct kexec_run kexec_place_find(const struct kexec_place *place,
				  unsigned long pfn);
void kexec_place_release(struct kexec_place *place, kexec_free_fn free,
			 void *data);

#endif /* LINUX_KEXEC_PLACE_H */
