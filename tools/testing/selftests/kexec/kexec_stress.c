// SPDX-License-Identifier: GPL-2.0
/*
 * A thousand loads, replacements, refusals and unloads of all sizes, by the one
 * call, and by both in turns: in the end there is as much free memory as there
 * was at the beginning.
 *
 * It leaves the last image loaded, for "jump loaded".
 */
#include <errno.h>
#include <kselftest_harness.h>

#include "kexec_bzimage.h"
#include "kexec_image.h"

#define ROUNDS 1000
#define WARM_UP 100
/* Of which kexec_file_load(2) gets the most */
#define MIXED_ROUNDS 600
#define TOLERANCE_KB 300
#define TIMEOUT 3600

#define MAX_SEGMENT (4 * KX_MIB)

/* What is asked for, and what the answer has to be */
enum request {
	LOAD, UNLOAD, UNALIGNED, OVERLAP, UNREADABLE, TOO_BIG,
	FILE_LOAD, FILE_UNLOAD, FILE_NO_KERNEL, FILE_NO_INITRD, FILE_UNREADABLE,
	FILE_TOO_BIG, FILE_HOMELESS,
	REQUESTS
};

static const long answers[REQUESTS] = {
	[UNALIGNED] = -EADDRNOTAVAIL,
	[OVERLAP] = -EINVAL,
	[UNREADABLE] = -EFAULT,
	[TOO_BIG] = -ENOMEM,
	[FILE_NO_KERNEL] = -ENOEXEC,
	[FILE_NO_INITRD] = -EINVAL,
	[FILE_UNREADABLE] = -EFAULT,
	[FILE_TOO_BIG] = -ENOMEM,
	[FILE_HOMELESS] = -EADDRNOTAVAIL,
};

#define KERNELS 4
#define INITRDS 5

struct files {
	int kernel[KERNELS];
	int initrd[INITRDS];
	int homeless;		/* a kernel that wants more memory than there is */
	int empty;
	int huge;
};

FIXTURE(stress) {
	u64 state;
	struct kx_range ram;
	char *buf;
	const void *sparse;
	struct files files;
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

static enum request choose_mixed(u64 *state)
{
	static const enum request refusals[] = {
		FILE_NO_KERNEL, FILE_NO_INITRD, FILE_UNREADABLE, FILE_TOO_BIG,
		FILE_HOMELESS, UNREADABLE,
	};
	unsigned int n = below(state, 100);

	if (n < 45)
		return FILE_LOAD;
	if (n < 55)
		return FILE_UNLOAD;
	if (n < 85)
		return refusals[below(state, ARRAY_SIZE(refusals))];
	return n < 95 ? LOAD : UNLOAD;
}

static void make_kernels(struct files *f, struct kx_range ram)
{
	static const u64 sizes[KERNELS] = {
		0, KX_MIB + 16, 3 * KX_MIB - KX_PAGE, 14 * KX_MIB + 5008,
	};
	struct kexec_bzimage image;
	unsigned int i;

	for (i = 0; i < KERNELS; i++) {
		kexec_bzimage_init(&image, sizes[i]);
		image.hdr.setup_sects += i;
		image.sparse = i == 2;
		f->kernel[i] = kexec_bzimage_memfd(&image);
	}
	kexec_bzimage_init(&image, 0);
	image.hdr.pref_address = ram.end - KX_MIB;
	image.hdr.kernel_alignment = KX_GIB;
	image.hdr.init_size = 0xfffff000;
	f->homeless = kexec_bzimage_memfd(&image);
}

static void make_files(struct files *f, struct kx_range ram)
{
	static const u64 sizes[INITRDS] = {
		1, KX_PAGE, KX_MIB - 1, 2 * KX_MIB + 1, 21 * KX_MIB + 77,
	};
	unsigned int i;

	make_kernels(f, ram);
	for (i = 0; i < INITRDS; i++)
		f->initrd[i] = kx_memfd(NULL, sizes[i]);
	f->empty = kx_memfd(NULL, 0);
	f->huge = kx_memfd(NULL, ram.end > 4 * KX_GIB ? 4 * KX_GIB : ram.end);
}

static long request_by_file(enum request what, const struct files *f, u64 *state)
{
	static const char * const lines[] = { NULL, "", "a=b", "quiet loglevel=7" };
	const char *line = lines[below(state, ARRAY_SIZE(lines))];
	unsigned long len = line ? strlen(line) + 1 : 0, flags = 0;
	int kernel = f->kernel[below(state, KERNELS)];
	int initrd = f->initrd[below(state, INITRDS)];

	if (!below(state, 4))
		flags |= KEXEC_FILE_NO_CMA;
	if (!below(state, 8))
		flags |= KEXEC_FILE_NO_INITRAMFS;
	switch (what) {
	case FILE_UNLOAD:
		return kx_file_load(-1, -1, 0, NULL, KEXEC_FILE_UNLOAD);
	case FILE_NO_KERNEL:
		return kx_file_load(initrd, initrd, len, line, flags);
	case FILE_NO_INITRD:
		return kx_file_load(kernel, f->empty, len, line, 0);
	case FILE_UNREADABLE:
		return kx_file_load(kernel, initrd, 99, NULL, flags);
	case FILE_TOO_BIG:
		return kx_file_load(kernel, f->huge, len, line, 0);
	case FILE_HOMELESS:
		return kx_file_load(f->homeless, initrd, len, line, flags);
	default:
		return kx_file_load(kernel, initrd, len, line, flags);
	}
}

static long request_by_load(enum request what, u64 *state, struct kx_range ram,
			    char *buf, const void *sparse)
{
	struct kx_seg seg[KEXEC_SEGMENT_MAX + 1];
	unsigned int nr = make_image(state, ram, buf, seg);

	spoil(what, seg, &nr, ram, buf, sparse);
	return kx_load(seg[0].mem, what == UNLOAD ? 0 : nr, seg, 0);
}

static bool is_load(enum request what)
{
	return what == LOAD || what == FILE_LOAD;
}

static bool is_unload(enum request what)
{
	return what == UNLOAD || what == FILE_UNLOAD;
}

/* checkpatch takes the harness's own name for a function. */
#define stress_data FIXTURE_DATA(stress)

/* A refusal leaves what there was. */
static void make_request(struct __test_metadata *_metadata,
			 stress_data *self, enum request what)
{
	int loaded = kx_loaded();

	ASSERT_EQ(answers[what], what < FILE_LOAD ?
		  request_by_load(what, &self->state, self->ram, self->buf,
				  self->sparse) :
		  request_by_file(what, &self->files, &self->state))
		TH_LOG("request %d", what);
	self->done[what]++;
	kx_purge_mappings();
	EXPECT_EQ(is_load(what) || (!is_unload(what) && loaded), kx_loaded());
}

static void run(struct __test_metadata *_metadata, stress_data *self,
		unsigned int rounds, enum request (*choose_next)(u64 *state))
{
	unsigned long free_kb = 0;
	unsigned int i;

	for (i = 0; i < WARM_UP + rounds; i++) {
		if (i == WARM_UP) {
			kx_unload();
			kx_settle();
			free_kb = kx_free_kb();
			memset(self->done, 0, sizeof(self->done));
		}
		make_request(_metadata, self, choose_next(&self->state));
	}
	kx_unload();
	kx_settle();
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
	TH_LOG("free memory: %lu kB before, %lu kB after", free_kb, kx_free_kb());
}

TEST_F_TIMEOUT(stress, nothing_is_lost, TIMEOUT)
{
	run(_metadata, self, ROUNDS, choose);
	TH_LOG("%u loads, %u unloads, %u refusals, %u half-done",
	       self->done[LOAD], self->done[UNLOAD],
	       self->done[UNALIGNED] + self->done[OVERLAP] + self->done[TOO_BIG],
	       self->done[UNREADABLE]);
}

TEST_F_TIMEOUT(stress, nothing_is_lost_by_files, TIMEOUT)
{
	unsigned int i, refusals = 0;

	if (!kx_have_file_load()) {
		EXPECT_FALSE(kx_demanded("file"));
		SKIP(return, "no kexec_file_load");
	}
	make_files(&self->files, self->ram);
	run(_metadata, self, MIXED_ROUNDS, choose_mixed);
	for (i = FILE_NO_KERNEL; i < REQUESTS; i++)
		refusals += self->done[i];
	TH_LOG("%u loads of files, %u unloads, %u refusals; %u loads, %u half-done",
	       self->done[FILE_LOAD], self->done[FILE_UNLOAD], refusals,
	       self->done[LOAD], self->done[UNREADABLE]);
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
