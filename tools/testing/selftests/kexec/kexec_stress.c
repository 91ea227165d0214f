// SPDX-License-Identifier: GPL-2.0
/*
 * A thousand loads, replacements, refusals and unloads of all sizes: in the end
 * there is as much free memory as there was at the beginning.
 *
 * It leaves the last image loaded, for "jump loaded".
 */
#include <errno.h>
#include <kselftest_harness.h>

#include "kexec_image.h"

#define ROUNDS 1000
#define WARM_UP 100
#define TOLERANCE_KB 300
#define TIMEOUT 3600

#define MAX_SEGMENT (4 * KX_MIB)

/* What is asked for, and what the answer has to be */
enum request { LOAD, UNLOAD, UNALIGNED, OVERLAP, UNREADABLE, TOO_BIG, REQUESTS };

static const long answers[REQUESTS] = {
	[UNALIGNED] = -EADDRNOTAVAIL,
	[OVERLAP] = -EINVAL,
	[UNREADABLE] = -EFAULT,
	[TOO_BIG] = -ENOMEM,
};

FIXTURE(stress) {
	u64 state;
	struct kx_range ram;
	char *buf;
	const void *sparse;
	unsigned int done[REQUESTS];
};

FIXTURE_SETUP(stress)
{
	const char *unfit = kx_unfit();
	struct kx_ranges ram;

	if (unfit)
		SKIP(return, "%s", unfit);
	if (kx_loaded() && !kx_destructive())
		SKIP(return, "something is loaded, which this would unload");
	kx_unload();
	kx_system_ram(&ram);
	self->ram = kx_largest(&ram, 0);
	self->state = 42;
	self->buf = kx_guarded(MAX_SEGMENT);
	memset(self->buf, 0x5a, MAX_SEGMENT);
	self->sparse = kx_sparse(self->ram.end - self->ram.start);
}

FIXTURE_TEARDOWN(stress) {}

static u64 below(u64 *state, u64 limit)
{
	*state = *state * 6364136223846793005UL + 1442695040888963407UL;
	return (*state >> 24) % limit;
}

/* Up to 16 segments, each somewhere in its own sixteenth of memory */
static unsigned int make_image(u64 *state, struct kx_range ram, char *buf,
			       struct kx_seg *seg)
{
	u64 slot = (ram.end - ram.start) / 16 & KX_PAGE_MASK;
	unsigned int nr = 1 + below(state, 16), i;

	for (i = 0; i < nr; i++) {
		u64 size = MAX_SEGMENT >> below(state, 11);

		seg[i] = (struct kx_seg){
			.buf = buf,
			.bufsz = size - below(state, size),
			.mem = ram.start + i * slot +
			       below(state, (slot - size) / KX_PAGE) * KX_PAGE,
			.memsz = size,
		};
	}
	return nr;
}

static void spoil(enum request what, struct kx_seg *seg, unsigned int *nr,
		  struct kx_range ram, char *buf, const void *sparse)
{
	struct kx_seg *last = &seg[*nr - 1];

	switch (what) {
	case UNALIGNED:
		last->memsz++;
		break;
	case OVERLAP:
		if (*nr == 1)
			seg[(*nr)++] = seg[0];
		else
			last->mem = seg[0].mem;
		break;
	case UNREADABLE:
		last->bufsz = last->memsz;
		last->buf = buf + MAX_SEGMENT - last->bufsz + 1;
		break;
	case TOO_BIG:
		*nr = 1;
		*seg = (struct kx_seg){
			sparse, ram.end - ram.start,
			ram.start, ram.end - ram.start,
		};
		break;
	default:
		break;
	}
}

static enum request choose(u64 *state)
{
	unsigned int n = below(state, 100);

	if (n < 50)
		return LOAD;
	if (n < 62)
		return UNLOAD;
	return n < 72 ? UNALIGNED : n < 82 ? OVERLAP : n < 98 ? UNREADABLE : TOO_BIG;
}

TEST_F_TIMEOUT(stress, nothing_is_lost, TIMEOUT)
{
	unsigned long free_kb = 0;
	unsigned int i, nr;

	for (i = 0; i < WARM_UP + ROUNDS; i++) {
		enum request what = choose(&self->state);
		struct kx_seg seg[KEXEC_SEGMENT_MAX + 1];

		if (i == WARM_UP) {
			kx_unload();
			kx_settle();
			free_kb = kx_free_kb();
		}
		nr = make_image(&self->state, self->ram, self->buf, seg);
		spoil(what, seg, &nr, self->ram, self->buf, self->sparse);
		ASSERT_EQ(answers[what], kx_load(seg[0].mem, what == UNLOAD ? 0 : nr,
						 seg, 0))
			TH_LOG("round %u, request %d", i, what);
		self->done[what]++;
		if (what == LOAD || what == UNLOAD)
			EXPECT_EQ(what == LOAD, kx_loaded());
	}
	kx_unload();
	kx_settle();
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
	TH_LOG("%u loads, %u unloads, %u refusals, %u half-done",
	       self->done[LOAD], self->done[UNLOAD],
	       self->done[UNALIGNED] + self->done[OVERLAP] + self->done[TOO_BIG],
	       self->done[UNREADABLE]);
	TH_LOG("free memory: %lu kB before, %lu kB after", free_kb, kx_free_kb());
}

/* For who comes after this */
TEST_F_TIMEOUT(stress, loads_once_more, TIMEOUT)
{
	static struct kx_image img;

	kx_image_init(&img, 9);
	kx_image_add(&img, self->ram.start + 64 * KX_MIB, 8 * KX_MIB, 7 * KX_MIB);
	kx_image_finish(&img, 0);
	EXPECT_EQ(0, kx_image_load(&img, 0));
	EXPECT_EQ(1, kx_loaded());
}

TEST_HARNESS_MAIN
