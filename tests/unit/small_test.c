// SPDX-License-Identifier: GPL-2.0
/*
 * Placement in a memory of a few page frames, without exception: every set of
 * up to three content destinations, and for each of them every sequence of
 * blocks that an allocator could hand out, in every order; and that again, in
 * less memory, with every part of the content pinned.
 *
 * The allocator owns some of the frames; destinations may reach beyond them on
 * both sides, as they do when the firmware or mem= hides memory.
 */

#include <stdio.h>
#include <string.h>

#include "model.h"

#define FRAMES		8
#define DSTS		3

/*
 * How much is tried: destinations among all frames, blocks in @memory, with
 * pins or without. What is pinned is in frames after all others.
 */
struct space {
	unsigned long frames;
	struct kexec_range memory;
	unsigned int nr_dsts;
	bool pins;
};

/* The others are larger than time allows with more destinations. */
static const struct space spaces[] = {
	{ .frames = 8, .memory = { 1, 7 }, .nr_dsts = DSTS },
	{ .frames = 7, .memory = { 0, 7 }, .nr_dsts = 1 },
	{ .frames = 5, .memory = { 0, 5 }, .nr_dsts = 2, .pins = true },
};

struct sequence {
	struct kexec_range dst[DSTS + 1];
	unsigned int nr_dsts;
	struct kexec_run pin[FRAMES];
	unsigned int nr_pins;
	unsigned long nr_pinned;
	struct kexec_range given[FRAMES];
	unsigned int nr_given;
	u32 taken;	/* frames that are given already, as bits */
};

static struct sequence seq;
static struct space space;
static unsigned long placements;

static void print_ranges(const char *what, const struct kexec_range *r,
			 unsigned int nr)
{
	printf("# %s:", what);
	for (; nr; nr--, r++)
		printf(" %lu-%lu", r->start, r->end);
	printf("\n");
}

static void print_pins(void)
{
	unsigned int i;

	for (i = 0; i < seq.nr_pins; i++)
		printf("# pinned: %lu pages for %lu at %lu\n", seq.pin[i].nr,
		       seq.pin[i].dst, seq.pin[i].src);
}

static void describe(void)
{
	print_ranges("destinations", seq.dst, seq.nr_dsts);
	print_pins();
	print_ranges("given", seq.given, seq.nr_given);
}

/*
 * All destinations
 */

/* Call @body for each set of destinations that begin at @from or later. */
static void with_each_set(unsigned long from, void (*body)(void))
{
	struct kexec_range *r = &seq.dst[seq.nr_dsts];
	unsigned long start, end;

	body();
	if (seq.nr_dsts == space.nr_dsts)
		return;
	seq.nr_dsts++;
	for (start = from; start < space.frames; start++) {
		for (end = start + 1; end <= space.frames; end++) {
			*r = (struct kexec_range){ start, end };
			with_each_set(end, body);
		}
	}
	seq.nr_dsts--;
}

static void swap_dsts(unsigned int a, unsigned int b)
{
	struct kexec_range dst = seq.dst[a];

	seq.dst[a] = seq.dst[b];
	seq.dst[b] = dst;
}

/* Call @body for each order of the destinations from @fixed on. */
static void with_each_order(unsigned int fixed, void (*body)(void))
{
	unsigned int i;

	if (fixed == seq.nr_dsts)
		body();
	for (i = fixed; i < seq.nr_dsts; i++) {
		swap_dsts(fixed, i);
		with_each_order(fixed + 1, body);
		swap_dsts(fixed, i);
	}
}

/*
 * However the destinations are listed, the same comes of it, which is why the
 * sequences below need not be tried with every order.
 */
static struct kexec_place sorted;

static void check_listed(void)
{
	struct kexec_place place;

	kexec_place_init(&place, seq.dst, seq.nr_dsts);
	check(place.nr_dsts == sorted.nr_dsts);
	check(place.nr_content == sorted.nr_content);
	check(!memcmp(place.dst, sorted.dst, sizeof(place.dst)));
	placements++;
}

static void check_all_orders(void)
{
	unsigned long pfn;

	kexec_place_init(&sorted, seq.dst, seq.nr_dsts);
	check(sorted.nr_dsts == seq.nr_dsts);
	check(!memcmp(sorted.dst, seq.dst, seq.nr_dsts * sizeof(*seq.dst)));
	with_each_order(0, check_listed);
	/* An empty one anywhere, with its ends in order or not. */
	seq.nr_dsts++;
	for (pfn = 0; pfn <= FRAMES; pfn++) {
		seq.dst[seq.nr_dsts - 1] = (struct kexec_range){ pfn, FRAMES / 2 };
		if (pfn >= FRAMES / 2)
			with_each_order(0, check_listed);
	}
	seq.nr_dsts--;
}

static void place_every_order(void)
{
	unit_describe = describe;
	placements = 0;
	memset(&seq, 0, sizeof(seq));
	space = spaces[0];
	with_each_set(0, check_all_orders);
	unit_note("%lu lists", placements);
}

/*
 * All pins
 */

static void with_each_pin(unsigned int dst, unsigned long pfn, void (*body)(void));

/* Pin what begins with @pfn, in one piece, up to each page of its destination. */
static void pin_each_length(unsigned int dst, unsigned long pfn, void (*body)(void))
{
	unsigned long nr, max = seq.dst[dst].end - pfn;

	for (nr = 1; nr <= max; nr++) {
		seq.pin[seq.nr_pins++] = (struct kexec_run){
			.dst = pfn,
			.src = space.frames + seq.nr_pinned,
			.nr = nr,
		};
		seq.nr_pinned += nr;
		with_each_pin(dst, pfn + nr, body);
		seq.nr_pinned -= nr;
		seq.nr_pins--;
	}
}

/*
 * Call @body for all ways to pin some of what is left from page @pfn of this
 * destination on. The content lies in its memory without gaps, so that it may
 * go on where a pin ends.
 */
static void with_each_pin(unsigned int dst, unsigned long pfn, void (*body)(void))
{
	if (dst == seq.nr_dsts) {
		body();
	} else if (pfn >= seq.dst[dst].end) {
		with_each_pin(dst + 1, seq.dst[dst + 1].start, body);
	} else {
		with_each_pin(dst, pfn + 1, body);
		pin_each_length(dst, pfn, body);
	}
}

/*
 * All sequences
 */

/* The last pin comes first: they are in order when they were sorted. */
static void pin_all(struct model *m, struct kexec_place *place)
{
	unsigned int i;

	for (i = seq.nr_pins; i--; )
		model_pin(m, place, seq.pin[i]);
	kexec_place_sort(place);
}

/* Only the last block is news: the sequence before it was checked already. */
static void give_all(struct model *m, struct kexec_place *place)
{
	unsigned int i;

	model_init(m, space.frames + seq.nr_pinned, seq.dst, seq.nr_dsts);
	kexec_place_init(place, seq.dst, seq.nr_dsts);
	pin_all(m, place);
	for (i = 0; i < seq.nr_given; i++) {
		check(!kexec_place_give(place, seq.given[i]));
		model_note_given(m, seq.given[i]);
	}
	model_check_counts(m, place);
}

static void check_sequence(void)
{
	struct kexec_place place;
	struct model m;

	give_all(&m, &place);
	model_trim(&m, &place);
	if (!model_missing(&m)) {
		model_finish(&m, &place);
		model_jump(&m, &place);
	}
	model_release(&m, &place);
	placements++;
}

static u32 bits(struct kexec_range r)
{
	return (1u << r.end) - (1u << r.start);
}

/* Check the sequence, and each that begins with it. */
static void check_continuations(void)
{
	struct kexec_range *r = &seq.given[seq.nr_given];
	unsigned long start, end;

	check_sequence();
	seq.nr_given++;
	for (start = space.memory.start; start < space.memory.end; start++) {
		for (end = start + 1; end <= space.memory.end; end++) {
			*r = (struct kexec_range){ start, end };
			if (seq.taken & bits(*r))
				break;
			seq.taken |= bits(*r);
			check_continuations();
			seq.taken &= ~bits(*r);
		}
	}
	seq.nr_given--;
}

static void check_pins(void)
{
	if (seq.nr_dsts)
		with_each_pin(0, seq.dst[0].start, check_continuations);
}

static void place_every_sequence(void)
{
	unsigned int i;

	unit_describe = describe;
	placements = 0;
	random_start(0);
	for (i = 0; i < sizeof(spaces) / sizeof(*spaces); i++) {
		memset(&seq, 0, sizeof(seq));
		space = spaces[i];
		with_each_set(0, space.pins ? check_pins : check_continuations);
	}
	unit_note("%lu placements", placements);
}

const struct unit_test small_tests[] = {
	{ "place_every_order", place_every_order },
	{ "place_every_sequence", place_every_sequence },
	{}
};
