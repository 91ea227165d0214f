// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every copy from user space that a load makes is made to
 * fail, one at a time. Each ends in success or in an errno that fits, leaves the
 * old image loaded, and costs no memory.
 *
 * The old image stays loaded after the last failure, for "jump loaded".
 */
#include <errno.h>
#include <fcntl.h>
#include <kselftest_harness.h>

#include "kexec_image.h"

#define DEBUGFS "/sys/kernel/debug/"
#define TIMEOUT 3600
#define TOLERANCE_KB 300
/* No load here has as many places to fail in. */
#define MAX_NTH 20000

/* A debug kernel takes some memory for itself at every new place to fail in. */
#define ROUNDS 3

FIXTURE(inject) {
	struct kx_range ram;
	struct kx_seg seg[KEXEC_SEGMENT_MAX];
	unsigned int nr;
	kx_load_fn *load;
	unsigned long flags;
	u64 dest;
	char *buf;
};

static int configure(void)
{
	static const char * const settings[][2] = {
		{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "failslab/verbose", "0" },
		{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUGFS "fail_page_alloc/min-order", "0" },
		{ DEBUGFS "fail_page_alloc/verbose", "0" },
		{ DEBUGFS "fail_usercopy/verbose", "0" },
	};
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(settings) && !err; i++)
		err = kx_write_file(settings[i][0], settings[i][1]);
	return err;
}

static struct kx_image old_image;

/* Somewhere below the destinations under test, and never over them */
static void load_old(struct __test_metadata *_metadata, u64 at)
{
	if (!old_image.nr) {
		kx_image_init(&old_image, 5);
		kx_image_add(&old_image, at, KX_MIB, KX_MIB - 99);
		kx_image_finish(&old_image, 0);
	}
	ASSERT_EQ(0, kx_image_load(&old_image, 0));
}

FIXTURE_SETUP(inject)
{
	const char *unfit = kx_unfit();
	struct kx_ranges ram;

	if (unfit)
		SKIP(return, "%s", unfit);
	if (kx_loaded() && !kx_destructive())
		SKIP(return, "something is loaded, which these tests would replace");
	if (access("/proc/self/fail-nth", F_OK) || configure()) {
		if (!kx_demanded("faultinj"))
			SKIP(return, "this kernel injects no failures");
		ASSERT_EQ(0, configure());
	}
	kx_system_ram(&ram);
	self->ram = kx_largest(&ram, 4 * KX_GIB);
	self->dest = (self->ram.start + self->ram.end) / 2 & ~(2 * KX_MIB - 1);
	self->load = kx_load;
	self->buf = kx_alloc(4 * KX_MIB);
	memset(self->buf, 0x77, 4 * KX_MIB);
	load_old(_metadata, self->ram.start + 48 * KX_MIB);
}

FIXTURE_TEARDOWN(inject) {}

static void add(struct kx_seg *seg, char *buf, u64 mem, u64 memsz, u64 bufsz)
{
	*seg = (struct kx_seg){ buf, bufsz, mem, memsz };
}

static void arm(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fd, text, len, 0) != len)
		kx_die("no failure can be set up: %u", nth);
}

/*
 * Reading makes a copy to user space, which may be the one that fails: then
 * what was armed had not happened before.
 */
static bool has_failed(int fd)
{
	char text[16] = "";
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	return len > 0 && !atoi(text);
}

/* Writing makes one, too. */
static void disarm(int fd)
{
	while (pwrite(fd, "0", 1, 0) != 1)
		;
}

/* Returns whether the nth failure came to pass within the load. */
static bool load_failing(int fd, unsigned int nth, const struct kx_seg *seg,
			 unsigned int nr, kx_load_fn *load, unsigned long flags,
			 long *ret)
{
	bool failed;

	arm(fd, nth);
	*ret = load(seg[0].mem, nr, seg, flags);
	failed = has_failed(fd);
	disarm(fd);
	return failed;
}

static bool fits(long ret)
{
	return ret == 0 || ret == -ENOMEM || ret == -EFAULT;
}

/* All places of one load to fail in; returns how many there are. */
static unsigned int step_through(struct __test_metadata *_metadata,
				 const struct kx_seg *seg, unsigned int nr,
				 kx_load_fn *load, unsigned long flags, u64 old)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR);
	unsigned int nth, errors = 0;
	long ret;

	ASSERT_LE(0, fd);
	for (nth = 1; nth < MAX_NTH; nth++) {
		if (!load_failing(fd, nth, seg, nr, load, flags, &ret))
			break;
		EXPECT_TRUE(fits(ret)) TH_LOG("failure %u: %ld", nth, ret);
		EXPECT_EQ(1, kx_loaded());
		errors += !!ret;
		if (!ret)
			load_old(_metadata, old);
	}
	EXPECT_EQ(0, ret);
	EXPECT_GT(MAX_NTH, nth);
	EXPECT_LT(0U, errors);
	close(fd);
	load_old(_metadata, old);
	TH_LOG("%u failures, %u of them errors", nth - 1, errors);
	return nth - 1;
}

static void step(struct __test_metadata *_metadata, const struct kx_seg *seg,
		 unsigned int nr, kx_load_fn *load, unsigned long flags, u64 old)
{
	unsigned long free_kb = 0;
	unsigned int i, places = 0;

	for (i = 0; i < ROUNDS; i++) {
		places = step_through(_metadata, seg, nr, load, flags, old);
		if (i)
			continue;
		kx_settle();
		free_kb = kx_free_kb();
	}
	ASSERT_LT(3U, places);
	kx_settle();
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
	TH_LOG("free memory: %lu kB before, %lu kB after", free_kb, kx_free_kb());
}

#define STEP() step(_metadata, self->seg, self->nr, self->load, self->flags, \
		    self->ram.start + 48 * KX_MIB)

TEST_F_TIMEOUT(inject, few_pages, TIMEOUT)
{
	add(&self->seg[self->nr++], self->buf, self->dest, 4 * KX_PAGE, 3 * KX_PAGE + 5);
	add(&self->seg[self->nr++], self->buf, self->dest + 9 * KX_PAGE, KX_PAGE, 7);
	STEP();
}

TEST_F_TIMEOUT(inject, sixteen_segments, TIMEOUT)
{
	for (; self->nr < KEXEC_SEGMENT_MAX; self->nr++)
		add(&self->seg[self->nr], self->buf,
		    self->dest + self->nr * 0x35000, 3 * KX_PAGE, 2 * KX_PAGE);
	STEP();
}

/* In use, so that it has to be staged elsewhere */
TEST_F_TIMEOUT(inject, moved, TIMEOUT)
{
	struct kx_ranges code;

	kx_iomem("Kernel code", &code);
	add(&self->seg[self->nr++], self->buf, code.v[0].start & KX_PAGE_MASK,
	    64 * KX_PAGE, 40 * KX_PAGE);
	STEP();
}

/* Large blocks, and whole page blocks put into place */
TEST_F_TIMEOUT(inject, large, TIMEOUT)
{
	add(&self->seg[self->nr++], self->buf, self->dest + KX_MIB,
	    3 * KX_MIB, 600 * KX_PAGE);
	STEP();
}

/* What is converted beforehand, as that could fail, too */
static u32 array32;

static long load_array32(u64 entry, unsigned long nr, const struct kx_seg *seg,
			 unsigned long flags)
{
	(void)seg;
	return kx_load32_raw(entry, nr, array32, flags);
}

TEST_F_TIMEOUT(inject, by_32_bit_call, TIMEOUT)
{
	if (!kx_have_compat())
		SKIP(return, "no 32-bit calls");
	self->load = load_array32;
	self->flags = KEXEC_ARCH_X86_64 | KEXEC_DEBUG;
	add(&self->seg[self->nr++], self->buf, self->dest, 4 * KX_PAGE, KX_PAGE);
	array32 = kx_segments32(self->seg, self->nr);
	STEP();
}

/* The last failure: what is loaded now is what it was before. */
TEST_F_TIMEOUT(inject, old_image_stays, TIMEOUT)
{
	add(&self->seg[self->nr++], NULL, self->dest, KX_PAGE, KX_PAGE);
	EXPECT_EQ(-EFAULT, kx_load(0, 1, self->seg, 0));
	EXPECT_EQ(1, kx_loaded());
}

TEST_HARNESS_MAIN
