// SPDX-License-Identifier: GPL-2.0
/*
 * An image that was damaged while it lay in memory is not started: reboot(2)
 * says EIO, and the machine goes on as if nothing had been asked.
 *
 * Bytes are changed by way of /dev/mem. Where the kernel does not check, this
 * starts a damaged image, so it wants KEXEC_TEST_DESTRUCTIVE. It leaves a good
 * image loaded: "jump loaded" then proves that nothing was harmed.
 */
#include <errno.h>
#include <fcntl.h>
#include <kselftest_harness.h>

#include "kexec_image.h"

#define TIMEOUT 300
#define SIZE (4 * KX_MIB)
/* Content that ends in the middle of its last page */
#define TAIL 1000

FIXTURE(damage) {
	struct kx_image img;
	struct kx_stats stats;
	long cpus;
};

FIXTURE_SETUP(damage)
{
	const char *unfit = kx_unfit();
	char byte;

	if (unfit)
		SKIP(return, "%s", unfit);
	if (!kx_destructive())
		SKIP(return, "KEXEC_TEST_DESTRUCTIVE is not set");
	if (!kx_phys_read(KX_MIB, &byte, 1))
		SKIP(return, "no /dev/mem");
	self->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	kx_image_init(&self->img, 3);
	kx_trace_on("kexec/kexec_load", NULL);
}

FIXTURE_TEARDOWN(damage)
{
	kx_trace_off("kexec/kexec_load");
}

static void load(struct __test_metadata *_metadata, struct kx_image *img,
		 struct kx_stats *stats)
{
	kx_trace_clear();
	ASSERT_EQ(0, kx_image_load(img, 0));
	ASSERT_TRUE(kx_trace_stats(stats));
}

/* A second time gives back what it was. */
static void flip(struct __test_metadata *_metadata, u64 at)
{
	char byte;

	ASSERT_TRUE(kx_phys_read(at, &byte, 1));
	byte ^= 0x10;
	ASSERT_TRUE(kx_phys_write(at, &byte, 1));
}

static void refuses_to_start(struct __test_metadata *_metadata, long cpus)
{
	int log = kx_log_open();
	char line[KX_LINE];

	EXPECT_EQ(-EIO, kx_reboot());
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(cpus, sysconf(_SC_NPROCESSORS_ONLN));
	ASSERT_TRUE(kx_log_next(log, line));
	TH_LOG("%s", line);
	EXPECT_TRUE(kx_match(line, "damaged|digest|changed"));
	close(log);
}

static void damage(struct __test_metadata *_metadata, u64 at, long cpus)
{
	flip(_metadata, at);
	refuses_to_start(_metadata, cpus);
	flip(_metadata, at);
}

#define DAMAGE(at) damage(_metadata, at, self->cpus)

/* A place in memory where all of a segment is put where it belongs */
static u64 load_in_place(struct __test_metadata *_metadata, struct kx_image *img,
			 struct kx_stats *stats)
{
	struct kx_image empty = *img;
	struct kx_ranges ram;
	struct kx_range range;
	u64 at;

	kx_system_ram(&ram);
	range = kx_largest(&ram, 0);
	at = ((range.start + range.end) / 2 & ~(SIZE - 1)) + 3 * KX_PAGE;
	for (; at + SIZE < range.end; at += 2 * SIZE) {
		*img = empty;
		kx_image_add(img, at, SIZE, SIZE - TAIL);
		kx_image_finish(img, 0);
		load(_metadata, img, stats);
		if (stats->home >= SIZE)
			return at;
		kx_image_free(img);
	}
	ASSERT_TRUE(!"a place where an image is at home");
	return 0;
}

TEST_F_TIMEOUT(damage, in_place, TIMEOUT)
{
	u64 at = load_in_place(_metadata, &self->img, &self->stats);

	DAMAGE(at);
	DAMAGE(at + SIZE / 2 + 5);
	DAMAGE(at + SIZE - TAIL - 1);
}

/* What fills the last page up is zero, and belongs to the image as well. */
TEST_F_TIMEOUT(damage, after_the_content, TIMEOUT)
{
	u64 at = load_in_place(_metadata, &self->img, &self->stats);

	DAMAGE(at + SIZE - TAIL);
	DAMAGE(at + SIZE - 1);
}

/* Most pages differ in the beginning: it is not worth while to read more. */
static bool is_copy(u64 at, const char *va, char *page)
{
	return kx_phys_read(at, page, 16) && !memcmp(page, va, 16) &&
	       kx_phys_read(at, page, KX_PAGE) && !memcmp(page, va, KX_PAGE);
}

/*
 * Pages that are equal to the one at @va, but for that one itself and the one
 * into which they are read. Returns how many there are.
 */
static unsigned int find_copies(const char *va, u64 *copy, unsigned int most)
{
	char *page = kx_alloc(KX_PAGE);
	struct kx_ranges ram;
	unsigned int nr = 0;
	u64 own, buffer, at;
	size_t i;

	memset(page, 0, KX_PAGE);
	own = kx_phys(va);
	buffer = kx_phys(page);
	kx_system_ram(&ram);
	for (i = 0; i < ram.nr; i++)
		for (at = kx_page_up(ram.v[i].start);
		     at + KX_PAGE <= ram.v[i].end && nr < most; at += KX_PAGE)
			if (at != own && at != buffer && is_copy(at, va, page))
				copy[nr++] = at;
	kx_free(page, KX_PAGE);
	return nr;
}

static void flip_copies(struct __test_metadata *_metadata, const u64 *at,
			unsigned int nr)
{
	while (nr--)
		flip(_metadata, at[nr] + 77);
}

/* The destination is in use by this kernel, so the content waits elsewhere. */
TEST_F_TIMEOUT(damage, moved, TIMEOUT)
{
	struct kx_ranges code;
	unsigned int nr;
	u64 copy[16];

	kx_iomem("Kernel code", &code);
	kx_image_add(&self->img, code.v[0].start & KX_PAGE_MASK, SIZE, SIZE);
	kx_image_finish(&self->img, 0);
	load(_metadata, &self->img, &self->stats);
	ASSERT_LE(SIZE, self->stats.move);
	nr = find_copies((char *)self->img.seg[0].buf + 5 * KX_PAGE, copy,
			 ARRAY_SIZE(copy));
	ASSERT_LT(0U, nr);
	flip_copies(_metadata, copy, nr);
	refuses_to_start(_metadata, self->cpus);
	flip_copies(_metadata, copy, nr);
}

/* Any load or unload puts an end to it. */
TEST_F_TIMEOUT(damage, can_be_replaced, TIMEOUT)
{
	u64 at = load_in_place(_metadata, &self->img, &self->stats);

	flip(_metadata, at + 4711);
	refuses_to_start(_metadata, self->cpus);
	EXPECT_EQ(0, kx_unload());
	EXPECT_EQ(0, kx_loaded());
	EXPECT_EQ(0, kx_image_load(&self->img, 0));
	EXPECT_EQ(1, kx_loaded());
}

TEST_HARNESS_MAIN
