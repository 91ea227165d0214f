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

#include "kexec_bzimage.h"
#include "kexec_image.h"

#define DEBUGFS "/sys/kernel/debug/"
#define TIMEOUT 3600
#define TOLERANCE_KB 300
/* No load here has as many places to fail in. */
#define MAX_NTH 20000

/* A debug kernel takes some memory for itself at every new place to fail in. */
#define ROUNDS 3

/**
 * struct attempt - a load that is to fail in every place it can
 * @seg: @nr are used
 * @load: the call, or what makes another one of it
 * @old: where the image is that it would replace; clear of @seg
 */
struct attempt {
	struct kx_seg seg[KEXEC_SEGMENT_MAX];
	unsigned int nr;
	kx_load_fn *load;
	unsigned long flags;
	u64 old;
};

FIXTURE(inject) {
	struct attempt a;
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
	struct kx_range range;
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
	range = kx_largest(&ram, 4 * KX_GIB);
	self->dest = (range.start + range.end) / 2 & ~(2 * KX_MIB - 1);
	self->buf = kx_alloc(4 * KX_MIB);
	memset(self->buf, 0x77, 4 * KX_MIB);
	self->a.load = kx_load;
	self->a.old = range.start + 48 * KX_MIB;
	load_old(_metadata, self->a.old);
}

FIXTURE_TEARDOWN(inject) {}

static void add(struct attempt *a, char *buf, u64 mem, u64 memsz, u64 bufsz)
{
	a->seg[a->nr++] = (struct kx_seg){ buf, bufsz, mem, memsz };
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

static int open_fail_nth(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR);

	if (fd < 0)
		kx_die("no failure can be set up: %s", strerror(errno));
	return fd;
}

/* Returns whether the nth failure came to pass within the load. */
static bool load_failing(int fd, unsigned int nth, const struct attempt *a,
			 long *ret)
{
	bool failed;

	arm(fd, nth);
	*ret = a->load(a->seg[0].mem, a->nr, a->seg, a->flags);
	failed = has_failed(fd);
	disarm(fd);
	kx_purge_mappings();
	return failed;
}

static bool fits(long ret)
{
	return ret == 0 || ret == -ENOMEM || ret == -EFAULT;
}

/* Places where a load could not do without what it did not get */
static bool refused[MAX_NTH];

/* All places of one load to fail in; returns how many there are. */
static unsigned int step_through(struct __test_metadata *_metadata,
				 const struct attempt *a)
{
	unsigned int nth, errors = 0;
	int fd = open_fail_nth();
	long ret;

	for (nth = 1; nth < MAX_NTH; nth++) {
		if (!load_failing(fd, nth, a, &ret))
			break;
		EXPECT_TRUE(fits(ret)) TH_LOG("failure %u: %ld", nth, ret);
		EXPECT_EQ(1, kx_loaded());
		refused[nth] = ret;
		errors += refused[nth];
		if (!ret)
			load_old(_metadata, a->old);
	}
	EXPECT_EQ(0, ret);
	EXPECT_GT(MAX_NTH, nth);
	EXPECT_LT(0U, errors);
	close(fd);
	load_old(_metadata, a->old);
	TH_LOG("%u failures, %u of them errors", nth - 1, errors);
	return nth - 1;
}

static void step(struct __test_metadata *_metadata, const struct attempt *a)
{
	unsigned long free_kb = 0;
	unsigned int i, places = 0;

	for (i = 0; i < ROUNDS; i++) {
		places = step_through(_metadata, a);
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

#define STEP() step(_metadata, &self->a)

TEST_F_TIMEOUT(inject, few_pages, TIMEOUT)
{
	add(&self->a, self->buf, self->dest, 4 * KX_PAGE, 3 * KX_PAGE + 5);
	add(&self->a, self->buf, self->dest + 9 * KX_PAGE, KX_PAGE, 7);
	STEP();
}

TEST_F_TIMEOUT(inject, sixteen_segments, TIMEOUT)
{
	while (self->a.nr < KEXEC_SEGMENT_MAX)
		add(&self->a, self->buf, self->dest + self->a.nr * 0x35000,
		    3 * KX_PAGE, 2 * KX_PAGE);
	STEP();
}

/* In use, so that it has to be staged elsewhere */
TEST_F_TIMEOUT(inject, moved, TIMEOUT)
{
	struct kx_ranges code;

	kx_iomem("Kernel code", &code);
	add(&self->a, self->buf, code.v[0].start & KX_PAGE_MASK,
	    64 * KX_PAGE, 40 * KX_PAGE);
	STEP();
}

/* Large blocks, and whole page blocks put into place */
TEST_F_TIMEOUT(inject, large, TIMEOUT)
{
	add(&self->a, self->buf, self->dest + KX_MIB,
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
	self->a.load = load_array32;
	self->a.flags = KEXEC_ARCH_X86_64 | KEXEC_DEBUG;
	add(&self->a, self->buf, self->dest, 4 * KX_PAGE, KX_PAGE);
	array32 = kx_segments32(self->a.seg, self->a.nr);
	STEP();
}

/*
 * By kexec_file_load(2)
 */

/* What is loaded, made beforehand as well */
static struct {
	int kernel;
	int initrd;
	const char *cmdline;
} files;

static long load_files(u64 entry, unsigned long nr, const struct kx_seg *seg,
		       unsigned long flags)
{
	(void)entry;
	(void)nr;
	(void)seg;
	return kx_file_load(files.kernel, files.initrd,
			    strlen(files.cmdline) + 1, files.cmdline, flags);
}

/* Returns whether there is such a call. */
static bool by_file(struct __test_metadata *_metadata, struct attempt *a,
		    u64 kernel, u64 initrd)
{
	struct kexec_bzimage image;

	if (!kx_have_file_load()) {
		EXPECT_FALSE(kx_demanded("file"));
		return false;
	}
	kexec_bzimage_init(&image, kernel);
	files.kernel = kexec_bzimage_memfd(&image);
	files.initrd = kx_memfd(NULL, initrd);
	kx_pattern_file(files.initrd, 0, initrd, 42);
	files.cmdline = "console=none fails=often";
	a->load = load_files;
	return true;
}

#define NO_FILES "no kexec_file_load"

TEST_F_TIMEOUT(inject, file, TIMEOUT)
{
	if (!by_file(_metadata, &self->a, 3 * KX_MIB + 5 * KX_PAGE, KX_MIB + 777))
		SKIP(return, NO_FILES);
	STEP();
}

/* Nothing where it belongs, so that all of it has to be moved */
TEST_F_TIMEOUT(inject, file_moved, TIMEOUT)
{
	if (!by_file(_metadata, &self->a, 0, 300 * KX_PAGE + 1))
		SKIP(return, NO_FILES);
	self->a.flags = KEXEC_FILE_NO_CMA;
	STEP();
}

/* The table of its pages is too much for a slab. */
TEST_F_TIMEOUT(inject, file_large, TIMEOUT)
{
	if (!by_file(_metadata, &self->a, 0, 5 * KX_MIB - 3))
		SKIP(return, NO_FILES);
	STEP();
}

TEST_F_TIMEOUT(inject, file_without_initrd, TIMEOUT)
{
	if (!by_file(_metadata, &self->a, 0, 1))
		SKIP(return, NO_FILES);
	self->a.flags = KEXEC_FILE_NO_INITRAMFS | KEXEC_FILE_FORCE_DTB;
	STEP();
}

/*
 * The last ones: what is loaded now has to be what it was before. It is started
 * when all is over.
 */

/*
 * What was refused once need not be so again: it takes some rounds until nearly
 * all are. Returns how many failing loads in a row left the old image alone.
 */
static unsigned int fail_again(struct __test_metadata *_metadata,
			       const struct attempt *a, unsigned int places)
{
	unsigned int nth, kept = 0;
	int fd = open_fail_nth();
	long ret;

	for (nth = 1; nth <= places; nth++) {
		if (!refused[nth])
			continue;
		load_failing(fd, nth, a, &ret);
		refused[nth] = ret;
		kept++;
		if (ret)
			continue;
		load_old(_metadata, a->old);
		kept = 0;
	}
	close(fd);
	return kept;
}

TEST_F_TIMEOUT(inject, old_image_stays_by_file, TIMEOUT)
{
	unsigned int i, places, kept = 0;

	if (!by_file(_metadata, &self->a, 3 * KX_MIB, KX_MIB + 1))
		SKIP(return, NO_FILES);
	places = step_through(_metadata, &self->a);
	for (i = 0; i < ROUNDS || (!kept && i < 10 * ROUNDS); i++)
		kept = fail_again(_metadata, &self->a, places);
	EXPECT_LT(0U, kept);
	EXPECT_EQ(1, kx_loaded());
	TH_LOG("%u loads have failed since it was loaded", kept);
}

TEST_F_TIMEOUT(inject, old_image_stays, TIMEOUT)
{
	add(&self->a, NULL, self->dest, KX_PAGE, KX_PAGE);
	EXPECT_EQ(-EFAULT, kx_load(0, 1, self->a.seg, 0));
	EXPECT_EQ(1, kx_loaded());
}

TEST_HARNESS_MAIN
