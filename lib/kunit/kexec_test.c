// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of kexec: the rules for segments, and the placement of images in
 * memory that the page allocator really hands out.
 *
 * Nothing that is loaded here is ever started or installed: an image stays with
 * its test, which looks at it and lets it go. kernel/kexec_place.c is tried on
 * its own, and far more often, in user space; here are a few cases of it, to
 * show that the kernel's build of it is the same.
 *
 * The sections of this file:
 *
 *  - ranges: arithmetic over page frames
 *  - placement: what becomes of a few ranges
 *  - rules: which lists of segments kimage_check() refuses, and why
 *  - images: kimage_load() for one image after another, and what it made
 *  - memory: nothing is lost, and fragmented memory is good enough
 *  - stub: its digest is the one that the image was sealed with
 *  - files: where they go, and what becomes of their pages
 *  - bzImage: its header, and the memory map that it is handed
 */

#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pageblock-flags.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/xxhash.h>

#include "../../kernel/kexec_internal.h"
#include "../../arch/x86/kernel/kexec_bzimage.h"

/*
 * Ranges
 *
 * Against sets of page frames as bits of a word, for every pair of ranges over
 * a few frames, also of those that end before they start.
 */

#define RANGE_FRAMES 5
#define RANGES (RANGE_FRAMES * RANGE_FRAMES)

static struct kexec_range nth_range(unsigned int n)
{
	return (struct kexec_range){ n / RANGE_FRAMES, n % RANGE_FRAMES };
}

static unsigned long frames(struct kexec_range r)
{
	return r.end > r.start ? BIT(r.end) - BIT(r.start) : 0;
}

static void kexec_range_alone_test(struct kunit *test)
{
	unsigned int n;

	for (n = 0; n < RANGES; n++) {
		struct kexec_range r = nth_range(n);

		KUNIT_EXPECT_EQ(test, kexec_range_empty(r), !frames(r));
		KUNIT_EXPECT_EQ(test, kexec_range_size(r), hweight_long(frames(r)));
	}
}

static void kexec_range_pair_test(struct kunit *test)
{
	unsigned int n;

	for (n = 0; n < RANGES * RANGES; n++) {
		struct kexec_range a = nth_range(n / RANGES);
		struct kexec_range b = nth_range(n % RANGES);
		unsigned long both = frames(a) & frames(b);

		KUNIT_EXPECT_EQ(test, frames(kexec_range_cut(a, b)), both);
		KUNIT_EXPECT_EQ(test, kexec_range_overlaps(a, b), !!both);
		KUNIT_EXPECT_EQ(test, kexec_range_contains(a, b), both == frames(b));
	}
}

/*
 * Placement
 */

static void count_freed(struct kexec_range r, void *data)
{
	*(unsigned long *)data += kexec_range_size(r);
}

/* Expect what was given to come back, no more and no less. */
static void release(struct kunit *test, struct kexec_place *place,
		    unsigned long given)
{
	unsigned long freed = 0;

	kexec_place_release(place, count_freed, &freed);
	KUNIT_EXPECT_EQ(test, freed, given);
}

static void give(struct kunit *test, struct kexec_place *place,
		 unsigned long start, unsigned long end)
{
	struct kexec_range r = { start, end };

	KUNIT_EXPECT_EQ(test, kexec_place_give(place, r), 0);
}

static void finish(struct kunit *test, struct kexec_place *place,
		   unsigned long runs)
{
	KUNIT_EXPECT_EQ(test, kexec_place_missing(place), 0);
	kexec_place_sort(place);
	KUNIT_EXPECT_EQ(test, kexec_place_count_runs(place), runs);
	KUNIT_ASSERT_EQ(test, kexec_place_finish(place), 0);
	KUNIT_EXPECT_EQ(test, place->nr_runs, runs);
}

static void expect_found(struct kunit *test, const struct kexec_place *place,
			 unsigned long pfn, unsigned long src)
{
	struct kexec_run run = kexec_place_find(place, pfn);

	KUNIT_EXPECT_EQ(test, run.dst, pfn);
	KUNIT_EXPECT_EQ(test, run.src, src);
	KUNIT_EXPECT_NE(test, run.nr, 0);
}

static void kexec_place_home_test(struct kunit *test)
{
	const struct kexec_range dst = { 10, 20 };
	struct kexec_place place;

	kexec_place_init(&place, &dst, 1);
	KUNIT_EXPECT_EQ(test, kexec_place_missing(&place), 10);
	give(test, &place, 10, 20);
	finish(test, &place, 0);
	expect_found(test, &place, 15, 15);
	release(test, &place, 10);
}

static void kexec_place_lent_test(struct kunit *test)
{
	const struct kexec_range dst[] = { { 20, 30 }, { 10, 20 } };
	struct kexec_place place;

	kexec_place_init(&place, dst, ARRAY_SIZE(dst));
	give(test, &place, 110, 120);
	give(test, &place, 100, 110);
	finish(test, &place, 1);
	expect_found(test, &place, 10, 100);
	expect_found(test, &place, 29, 119);
	release(test, &place, 20);
}

/* Given from 5 to 25: home inside the destinations, lent around them. */
static void kexec_place_cut_test(struct kunit *test)
{
	const struct kexec_range dst[] = { { 10, 20 }, { 22, 40 } };
	struct kexec_place place;
	unsigned long freed = 0;

	kexec_place_init(&place, dst, ARRAY_SIZE(dst));
	give(test, &place, 5, 25);
	KUNIT_EXPECT_EQ(test, place.nr_home, 13);
	KUNIT_EXPECT_EQ(test, place.nr_lent, 7);
	give(test, &place, 30, 40);
	kexec_place_trim(&place, count_freed, &freed);
	KUNIT_EXPECT_EQ(test, freed, 2);
	finish(test, &place, 1);
	expect_found(test, &place, 24, 24);
	expect_found(test, &place, 25, 5);
	release(test, &place, 28);
}

/*
 * Rules
 *
 * Addresses are offsets into the largest stretch of System RAM, unless flags
 * say otherwise.
 */

#define ANYWHERE	BIT(0)		/* the address is absolute */
#define AT_LIMIT	BIT(1)		/* from the last page with an address on */
#define NO_MEMORY	BIT(41)	/* far above what a guest has */
#define LAST_PAGE	(~0UL << PAGE_SHIFT)
#define P		PAGE_SIZE

struct rule_segment {
	unsigned long mem;
	size_t memsz;
	size_t bufsz;
	unsigned int flags;
};

static const struct rule_case {
	const char *name;
	int expected;
	unsigned int nr;
	struct rule_segment seg[3];
} rule_cases[] = {
	{ "one page", 0, 1, { { 0, P, P } } },
	{ "less content than memory", 0, 1, { { 0, 4 * P, 1 } } },
	{ "zeros only", 0, 1, { { 0, 4 * P, 0 } } },
	{ "at address 0", 0, 1, { { 0, P, P, ANYWHERE } } },
	{ "what the firmware reserved", 0, 1, { { 0xf0000, SZ_64K, 0, ANYWHERE } } },

	{ "wraps", -EADDRNOTAVAIL, 1, { { LAST_PAGE, 2 * P, 0, ANYWHERE } } },
	{ "ends where addresses end", -EADDRNOTAVAIL, 1,
	  { { LAST_PAGE, P, 0, ANYWHERE } } },
	{ "all of 64 bits", -EADDRNOTAVAIL, 1, { { P, ~0UL, 0, ANYWHERE } } },
	{ "begins inside a page", -EADDRNOTAVAIL, 1, { { 16, P, 0 } } },
	{ "begins and ends inside a page", -EADDRNOTAVAIL, 1, { { 16, P - 16, 0 } } },
	{ "ends inside a page", -EADDRNOTAVAIL, 1, { { 0, P + 16, 0 } } },
	{ "ends past what can be addressed", -EADDRNOTAVAIL, 1,
	  { { 0, P, 0, AT_LIMIT } } },
	{ "empty past what can be addressed", -EADDRNOTAVAIL, 1,
	  { { LAST_PAGE, 0, 0, ANYWHERE } } },

	{ "no memory", -EADDRNOTAVAIL, 1, { { NO_MEMORY, P, 0, ANYWHERE } } },
	{ "no memory behind memory", -EADDRNOTAVAIL, 1, { { 0, NO_MEMORY, 0 } } },
	{ "the display's memory", -EADDRNOTAVAIL, 1, { { 0xa0000, P, 0, ANYWHERE } } },
	{ "the local APIC", -EADDRNOTAVAIL, 1, { { 0xfee00000, P, 0, ANYWHERE } } },
	{ "the IO-APIC", -EADDRNOTAVAIL, 1, { { 0xfec00000, P, 0, ANYWHERE } } },

	{ "identical", -EINVAL, 2, { { P, P, 0 }, { P, P, 0 } } },
	{ "overlap by a page", -EINVAL, 2, { { 0, 2 * P, 0 }, { P, 2 * P, 0 } } },
	{ "overlap, the higher first", -EINVAL, 2, { { P, 2 * P, 0 }, { 0, 2 * P, 0 } } },
	{ "one inside the other", -EINVAL, 2, { { 0, 8 * P, 0 }, { 2 * P, P, 0 } } },
	{ "one around the other", -EINVAL, 2, { { 2 * P, P, 0 }, { 0, 8 * P, 0 } } },
	{ "first and last overlap", -EINVAL, 3,
	  { { 0, 2 * P, 0 }, { 8 * P, P, 0 }, { P, P, 0 } } },
	{ "touching", 0, 3, { { P, P, P }, { 2 * P, P, P }, { 0, P, P } } },

	{ "empty at address 0", 0, 1, { { 0, 0, 0, ANYWHERE } } },
	{ "empty where no memory is", 0, 1, { { NO_MEMORY, 0, 0, ANYWHERE } } },
	{ "empty inside another", 0, 2, { { 0, 8 * P, 0 }, { 2 * P, 0, 0 } } },
	{ "empty around nothing, twice", 0, 2, { { P, 0, 0 }, { P, 0, 0 } } },
	{ "empty inside a page", -EADDRNOTAVAIL, 1, { { 16, 0, 0 } } },

	{ "more content than memory", -EINVAL, 1, { { 0, P, P + 1 } } },
	{ "content without memory", -EINVAL, 1, { { 0, 0, 1 } } },
	{ "content beyond all bounds", -EINVAL, 1, { { 0, P, ~0UL } } },

	{ "bounds before memory", -EADDRNOTAVAIL, 2,
	  { { NO_MEMORY, P, 0, ANYWHERE }, { 16, P, 0 } } },
	{ "bounds before overlap", -EADDRNOTAVAIL, 3,
	  { { 0, P, 0 }, { 0, P, 0 }, { 16, P, 0 } } },
	{ "memory before overlap", -EADDRNOTAVAIL, 3,
	  { { 0, P, 0 }, { 0, P, 0 }, { NO_MEMORY, P, 0, ANYWHERE } } },
	{ "memory before size", -EADDRNOTAVAIL, 2,
	  { { 0, P, 2 * P }, { NO_MEMORY, P, 0, ANYWHERE } } },
};

KUNIT_ARRAY_PARAM_DESC(rule, rule_cases, name);

static int note_largest(struct resource *res, void *data)
{
	struct resource *largest = data;

	if (resource_size(res) > resource_size(largest))
		*largest = *res;
	return 0;
}

/* Page aligned, as far as whole pages of it go. */
static struct kexec_range largest_ram(void)
{
	struct resource largest = { .start = 0, .end = 0 };

	walk_system_ram_res(0, -1, &largest, note_largest);
	return (struct kexec_range){
		PFN_UP(largest.start), PHYS_PFN(largest.end + 1),
	};
}

static unsigned long rule_base(unsigned int flags)
{
	if (flags & ANYWHERE)
		return 0;
	if (flags & AT_LIMIT)
		return KEXEC_DESTINATION_MEMORY_LIMIT & PAGE_MASK;
	return PFN_PHYS(largest_ram().start);
}

static void kexec_rule_test(struct kunit *test)
{
	const struct rule_case *rule = test->param_value;
	struct kexec_segment segments[ARRAY_SIZE(rule->seg)] = {};
	struct kimage *image;
	unsigned int i;

	for (i = 0; i < rule->nr; i++) {
		const struct rule_segment *seg = &rule->seg[i];

		segments[i].mem = rule_base(seg->flags) + seg->mem;
		segments[i].memsz = seg->memsz;
		segments[i].bufsz = seg->bufsz;
	}
	image = kimage_alloc(0, rule->nr, segments);
	KUNIT_ASSERT_NOT_NULL(test, image);
	KUNIT_EXPECT_EQ(test, kimage_check(image), rule->expected);
	kimage_free(image);
}

/*
 * Images
 *
 * Their content is random, from a buffer in user space that the test keeps a
 * copy of. Their destinations lie in an area of memory that the test owns, so
 * that nothing of them can be home, or in the part of it that the test has
 * given back, or at fixed addresses.
 */

#define AREA_ORDER	MAX_PAGE_ORDER
#define AREA_SIZE	(PAGE_SIZE << AREA_ORDER)
#define BUFFER_SIZE	AREA_SIZE

/**
 * struct image_test - what a test of images works with
 * @content: random bytes
 * @user: the same, where kexec_load(2) would have them
 * @area: single pages, physically contiguous
 * @given_back: the part of @area that the test does not own any more, in pages
 * @claimed: for expect_no_sharing(), a bit for each page of memory
 */
struct image_test {
	u8 *content;
	unsigned long user;
	struct page *area;
	struct kexec_range given_back;
	unsigned long *claimed;
};

static void free_area(void *data)
{
	struct image_test *it = data;
	unsigned long i;

	for (i = 0; i < 1UL << AREA_ORDER; i++)
		if (i < it->given_back.start || i >= it->given_back.end)
			__free_page(it->area + i);
}

static void free_vmalloc(void *memory)
{
	vfree(memory);
}

static void free_image(void *image)
{
	kimage_free(image);
}

static void *test_vzalloc(struct kunit *test, size_t size)
{
	void *memory = vzalloc(size);

	KUNIT_ASSERT_NOT_NULL(test, memory);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_vmalloc, memory), 0);
	return memory;
}

static void make_content(struct kunit *test, struct image_test *it)
{
	struct rnd_state random;

	it->content = test_vzalloc(test, BUFFER_SIZE);
	prandom_seed_state(&random, 1);
	prandom_bytes_state(&random, it->content, BUFFER_SIZE);

	it->user = kunit_vm_mmap(test, NULL, 0, BUFFER_SIZE, PROT_READ | PROT_WRITE,
				 MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, it->user, 0);
	KUNIT_ASSERT_LT(test, it->user, TASK_SIZE);
	KUNIT_ASSERT_EQ(test, copy_to_user((void __user *)it->user, it->content,
					   BUFFER_SIZE), 0);
}

static int kexec_image_init(struct kunit *test)
{
	struct image_test *it = kunit_kzalloc(test, sizeof(*it), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, it);
	test->priv = it;
	make_content(test, it);
	it->claimed = test_vzalloc(test, BITS_TO_BYTES(max_pfn));
	/*
	 * What is given back of pageblocks that are movable is not where the
	 * kernel's next small allocation comes from, and so stays free.
	 */
	it->area = alloc_pages(GFP_USER | __GFP_MOVABLE, AREA_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, it->area);
	split_page(it->area, AREA_ORDER);
	return kunit_add_action_or_reset(test, free_area, it);
}

static void give_back(struct image_test *it, struct kexec_range pages)
{
	unsigned long i;

	it->given_back = pages;
	for (i = pages.start; i < pages.end; i++)
		__free_page(it->area + i);
	/* Not on this CPU's list, from where they would go to the next user. */
	drain_all_pages(NULL);
}

/* Load an image that goes away with the test; the error, if any, in @err. */
static struct kimage *load(struct kunit *test, unsigned int nr,
			   const struct kexec_segment *segments, int *err)
{
	struct kimage *image = kimage_alloc(segments->mem, nr, segments);

	KUNIT_ASSERT_NOT_NULL(test, image);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_image, image), 0);
	KUNIT_ASSERT_TRUE(test, kexec_trylock());
	*err = kimage_load(image);
	kexec_unlock();
	return image;
}

/*
 * What is true of every image that was loaded
 */

static bool in_content(const struct kimage *image, unsigned long pfn)
{
	struct kexec_range page = { pfn, pfn + 1 };
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++)
		if (kexec_range_overlaps(kexec_segment_content(&image->segment[i]), page))
			return true;
	return false;
}

static bool in_segment(const struct kimage *image, struct kexec_range r)
{
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++)
		if (kexec_range_overlaps(kexec_segment_range(&image->segment[i]), r))
			return true;
	return false;
}

static bool page_holds(unsigned long pfn, const u8 *content, size_t len)
{
	u8 *page = kmap_local_page(pfn_to_page(pfn));
	bool same = !memcmp(page, content, len) &&
		    !memchr_inv(page + len, 0, PAGE_SIZE - len);

	kunmap_local(page);
	return same;
}

/* Each page of content is its own destination, or nobody's. */
static void expect_content(struct kunit *test, const struct kimage *image,
			   const struct kexec_segment *seg)
{
	const struct image_test *it = test->priv;
	const u8 *content = it->content + ((unsigned long)seg->buf - it->user);
	size_t done;

	for (done = 0; done < seg->bufsz; done += PAGE_SIZE) {
		unsigned long pfn = PHYS_PFN(seg->mem + done);
		struct kexec_run run = kexec_place_find(image->place, pfn);
		size_t len = min(seg->bufsz - done, PAGE_SIZE);

		KUNIT_ASSERT_TRUE(test, run.src == pfn || !in_content(image, run.src));
		KUNIT_ASSERT_TRUE_MSG(test, page_holds(run.src, content + done, len),
				      "wrong content for %#lx, in page %#lx",
				      pfn, run.src);
	}
}

/* Note that @r is in use: one bit a page, for all memory. */
static void claim(struct kunit *test, unsigned long *claimed,
		  struct kexec_range r)
{
	KUNIT_ASSERT_LE(test, r.end, max_pfn);
	for (; r.start < r.end; r.start++)
		KUNIT_ASSERT_FALSE(test, __test_and_set_bit(r.start, claimed));
}

/*
 * No memory is in use twice, be it for content or for the jump, and what the
 * jump needs is nobody's destination.
 */
static void expect_no_sharing(struct kunit *test, const struct kimage *image)
{
	const struct kexec_place *place = image->place;
	const struct image_test *it = test->priv;
	const struct page *page;
	unsigned long n;

	for (n = 0; n < place->home.nr; n++)
		claim(test, it->claimed, place->home.v[n]);
	for (n = 0; n < place->nr_runs; n++)
		claim(test, it->claimed, (struct kexec_range){
			place->runs[n].src, place->runs[n].src + place->runs[n].nr,
		});
	list_for_each_entry(page, &image->control_pages, lru) {
		unsigned long pfn = page_to_pfn(page);
		struct kexec_range r = { pfn, pfn + BIT(page_private(page)) };

		KUNIT_ASSERT_FALSE(test, in_segment(image, r));
		claim(test, it->claimed, r);
	}
}

/* Goes through the moves as the stub does. */
struct move_reader {
	const struct kexec_move_page *page;
	unsigned long next;
};

static const struct kexec_move *next_move(struct move_reader *reader)
{
	while (reader->page && reader->next == reader->page->nr) {
		reader->page = reader->page->next ?
			       phys_to_virt(reader->page->next) : NULL;
		reader->next = 0;
	}
	return reader->page ? &reader->page->move[reader->next++] : NULL;
}

static void expect_move(struct kunit *test, struct move_reader *reader,
			struct kexec_move expected)
{
	const struct kexec_move *move = next_move(reader);

	KUNIT_ASSERT_NOT_NULL(test, move);
	KUNIT_ASSERT_EQ(test, move->dst, expected.dst);
	KUNIT_ASSERT_EQ(test, move->src, expected.src);
	KUNIT_ASSERT_EQ(test, move->len, expected.len);
}

/* All the runs, then all the zeros, then nothing. */
static void expect_moves(struct kunit *test, const struct kimage *image)
{
	const struct kexec_place *place = image->place;
	struct move_reader reader = { .page = image->moves };
	unsigned long n;
	unsigned int i;

	for (n = 0; n < place->nr_runs; n++)
		expect_move(test, &reader, (struct kexec_move){
			.dst = PFN_PHYS(place->runs[n].dst),
			.src = PFN_PHYS(place->runs[n].src),
			.len = PFN_PHYS(place->runs[n].nr),
		});
	for (i = 0; i < image->nr_segments; i++) {
		const struct kexec_segment *seg = &image->segment[i];
		u64 content = PAGE_ALIGN(seg->bufsz);

		if (content < seg->memsz)
			expect_move(test, &reader, (struct kexec_move){
				.dst = seg->mem + content,
				.src = KEXEC_MOVE_ZERO,
				.len = seg->memsz - content,
			});
	}
	KUNIT_EXPECT_NULL(test, next_move(&reader));
}

static void expect_stats(struct kunit *test, const struct kimage *image)
{
	const struct kexec_stats *stats = &image->stats;
	u64 content = 0, zero = 0, moved = 0;
	unsigned long n;
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++) {
		content += PAGE_ALIGN(image->segment[i].bufsz);
		zero += image->segment[i].memsz - PAGE_ALIGN(image->segment[i].bufsz);
	}
	for (n = 0; n < image->place->nr_runs; n++)
		moved += PFN_PHYS(image->place->runs[n].nr);
	KUNIT_EXPECT_EQ(test, stats->content, content);
	KUNIT_EXPECT_EQ(test, stats->zero, zero);
	KUNIT_EXPECT_EQ(test, stats->move, moved);
	KUNIT_EXPECT_EQ(test, stats->home + stats->move, content);
}

static void expect_loaded(struct kunit *test, const struct kimage *image)
{
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++)
		expect_content(test, image, &image->segment[i]);
	expect_no_sharing(test, image);
	expect_moves(test, image);
	expect_stats(test, image);
}

/*
 * One image after another
 */

/* In pages of the area, unless at a fixed address; content in bytes. */
struct image_segment {
	unsigned long page;
	unsigned long pages;
	size_t bufsz;
	unsigned int flags;
};

static const struct image_case {
	const char *name;
	struct kexec_range given_back;
	unsigned int nr;
	struct image_segment seg[4];
} image_cases[] = {
	{ "one byte", {}, 1, { { 0, 1, 1 } } },
	{ "one page", {}, 1, { { 7, 1, SZ_4K } } },
	{ "all of the area", {}, 1, { { 0, 1024, SZ_4M } } },
	{ "a tail of zeros", {}, 1, { { 0, 512, 300001 } } },
	{ "zeros only", {}, 1, { { 0, 512, 0 } } },
	{ "empty at address 0", {}, 2, { { 0, 0, 0, ANYWHERE }, { 0, 4, 9999 } } },
	{ "nothing but empty", {}, 2, { { 0, 0, 0, ANYWHERE }, { 0, 0, 0 } } },
	{ "touching, out of order", {}, 4,
	  { { 256, 256, SZ_1M }, { 0, 256, SZ_1M }, { 768, 256, 0 }, { 512, 256, 5000 } } },
	{ "in place", { 0, 1024 }, 1, { { 0, 1024, SZ_4M } } },
	{ "half in place", { 0, 512 }, 1, { { 0, 1024, SZ_4M } } },
	{ "in place, in pieces", { 0, 1024 }, 3,
	  { { 600, 424, 424 * SZ_4K }, { 3, 500, 100 * SZ_4K }, { 511, 2, SZ_8K } } },
	{ "at address 0", {}, 2, { { 0, 16, SZ_64K, ANYWHERE }, { 0, 4, 1 } } },
	{ "at 1 MiB", {}, 1, { { 256, 256, SZ_1M, ANYWHERE } } },
};

KUNIT_ARRAY_PARAM_DESC(image, image_cases, name);

/* Each segment has its content from another, odd place in the buffer. */
static void make_segment(const struct image_test *it, struct kexec_segment *seg,
			 const struct image_segment *from, unsigned int i)
{
	unsigned long base = from->flags & ANYWHERE ? 0 : page_to_phys(it->area);
	size_t offset = min(BUFFER_SIZE - from->bufsz, i * 12345UL);

	*seg = (struct kexec_segment){
		.buf = from->bufsz ? (void __user *)(it->user + offset) : NULL,
		.bufsz = from->bufsz,
		.mem = base + from->page * PAGE_SIZE,
		.memsz = from->pages * PAGE_SIZE,
	};
}

static bool covers(const struct kimage *image, struct kexec_range r)
{
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++)
		if (kexec_range_contains(kexec_segment_content(&image->segment[i]), r))
			return true;
	return false;
}

/* Pages that can be had in place for sure: pageblocks that are free as a whole. */
static unsigned long free_blocks_pages(const struct kimage *image,
				       struct kexec_range area)
{
	unsigned long start = ALIGN(area.start, pageblock_nr_pages);
	unsigned long pages = 0;

	for (; start + pageblock_nr_pages <= area.end; start += pageblock_nr_pages)
		if (covers(image, (struct kexec_range){ start, start + pageblock_nr_pages }))
			pages += pageblock_nr_pages;
	return pages;
}

/*
 * What the test owns cannot be home. What it gave back is, by whole pageblocks,
 * where the kernel can take them; of others, one page in use is enough to spoil
 * them.
 */
static void expect_home(struct kunit *test, const struct kimage *image)
{
	const struct image_test *it = test->priv;
	unsigned long first = page_to_pfn(it->area);
	struct kexec_range area = {
		first + it->given_back.start, first + it->given_back.end,
	};
	unsigned long home = image->place->nr_home;

	KUNIT_EXPECT_LE(test, home, kexec_range_size(area));
	if (IS_ENABLED(CONFIG_CONTIG_ALLOC))
		KUNIT_EXPECT_GE(test, home, free_blocks_pages(image, area));
	if (!kexec_range_empty(area))
		kunit_info(test, "%lu of %lu pages are home\n", home,
			   image->place->nr_content);
}

static void kexec_image_test(struct kunit *test)
{
	const struct image_case *param = test->param_value;
	struct kexec_segment segments[ARRAY_SIZE(param->seg)];
	struct image_test *it = test->priv;
	struct kimage *image;
	unsigned int i;
	int err;

	for (i = 0; i < param->nr; i++)
		make_segment(it, &segments[i], &param->seg[i], i);
	give_back(it, param->given_back);
	image = load(test, param->nr, segments, &err);
	KUNIT_ASSERT_EQ(test, err, 0);
	expect_loaded(test, image);
	if (!(param->seg[0].flags & ANYWHERE))
		expect_home(test, image);
}

/* As many segments as can be, each with more zeros than the one before. */
static void kexec_image_sixteen_test(struct kunit *test)
{
	struct kexec_segment segments[KEXEC_SEGMENT_MAX];
	struct image_test *it = test->priv;
	struct kimage *image;
	unsigned int i;
	int err;

	for (i = 0; i < KEXEC_SEGMENT_MAX; i++) {
		const struct image_segment from = {
			.page = (i * 7 % KEXEC_SEGMENT_MAX) * 64,
			.pages = 64,
			.bufsz = (KEXEC_SEGMENT_MAX - 1 - i) * 17000,
		};

		make_segment(it, &segments[i], &from, i);
	}
	image = load(test, KEXEC_SEGMENT_MAX, segments, &err);
	KUNIT_ASSERT_EQ(test, err, 0);
	expect_loaded(test, image);
}

/*
 * What cannot be read
 */

static void expect_fault(struct kunit *test, unsigned long buf, size_t bufsz)
{
	struct image_test *it = test->priv;
	const struct image_segment good = { .pages = 16, .bufsz = SZ_64K };
	const struct image_segment bad = { .page = 16, .pages = 512, .bufsz = bufsz };
	struct kexec_segment segments[2];
	int err;

	make_segment(it, &segments[0], &good, 0);
	make_segment(it, &segments[1], &bad, 1);
	segments[1].buf = (void __user *)buf;
	load(test, 2, segments, &err);
	KUNIT_EXPECT_EQ(test, err, -EFAULT);
}

static void kexec_image_fault_test(struct kunit *test)
{
	const struct image_test *it = test->priv;

	/* Nothing there, kernel memory, and the end of the buffer half way. */
	expect_fault(test, 0, 1);
	expect_fault(test, (unsigned long)it->content, SZ_4K);
	expect_fault(test, ~0UL - 10, 100);
	KUNIT_ASSERT_EQ(test, vm_munmap(it->user + SZ_1M, SZ_64K), 0);
	expect_fault(test, it->user + SZ_1M - SZ_64K - 1, SZ_128K);
}

struct segments {
	unsigned int nr;
	struct kexec_segment v[KEXEC_SEGMENT_MAX];
};

static int add_ram(struct resource *res, void *data)
{
	struct segments *all = data;
	struct kexec_segment *seg = &all->v[all->nr++];

	seg->mem = PAGE_ALIGN(res->start);
	seg->memsz = ALIGN_DOWN(res->end + 1, PAGE_SIZE) - seg->mem;
	seg->bufsz = seg->memsz;
	return all->nr == KEXEC_SEGMENT_MAX;
}

/* More than there is: refused before the buffer, which is none, is read. */
static void kexec_image_too_large_test(struct kunit *test)
{
	struct segments all = {};
	int err;

	walk_system_ram_res(0, -1, &all, add_ram);
	load(test, all.nr, all.v, &err);
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
}

/*
 * Memory
 */

static unsigned long count_free(void)
{
	drain_all_pages(NULL);
	return global_zone_page_state(NR_FREE_PAGES);
}

static void load_and_free(struct kunit *test, bool fail)
{
	struct image_test *it = test->priv;
	const struct image_segment from[] = {
		{ .page = 512, .pages = 512, .bufsz = SZ_1M + 1 },
		{ .page = 0, .pages = 256, .bufsz = SZ_64K },
	};
	struct kexec_segment segments[2];
	struct kimage *image;
	int err;

	make_segment(it, &segments[0], &from[0], 0);
	make_segment(it, &segments[1], &from[1], 1);
	if (fail)
		segments[1].buf = NULL;
	image = load(test, 2, segments, &err);
	KUNIT_ASSERT_EQ(test, err, fail ? -EFAULT : 0);
	kunit_release_action(test, free_image, image);
}

#define LOADS 50

/* A page that every load loses would be missed, whichever way the load ends. */
static void kexec_memory_comes_back_test(struct kunit *test)
{
	struct image_test *it = test->priv;
	unsigned long before, after;
	unsigned int i;

	give_back(it, (struct kexec_range){ 256, 768 });
	load_and_free(test, false);
	load_and_free(test, true);
	before = count_free();
	for (i = 0; i < LOADS; i++) {
		load_and_free(test, false);
		load_and_free(test, true);
	}
	after = count_free();
	kunit_info(test, "%u loads lost %ld pages\n", 2 * LOADS,
		   (long)(before - after));
	KUNIT_EXPECT_LT(test, before, after + LOADS);
}

/* Blocks of memory that the test keeps from others, linked through page->lru. */
static void free_blocks(void *data)
{
	struct list_head *blocks = data;
	struct page *page, *next;

	list_for_each_entry_safe(page, next, blocks, lru)
		__free_pages(page, page_private(page));
	INIT_LIST_HEAD(blocks);
}

static void keep(struct list_head *blocks, struct page *page, unsigned int order)
{
	set_page_private(page, order);
	list_add(&page->lru, blocks);
}

static void keep_every_other_page(struct list_head *blocks)
{
	struct page *page = alloc_pages(GFP_USER | __GFP_NOWARN | __GFP_NORETRY,
					AREA_ORDER);
	unsigned long i;

	if (!page)
		return;
	split_page(page, AREA_ORDER);
	for (i = 0; i < 1UL << AREA_ORDER; i += 2) {
		keep(blocks, page + i, 0);
		__free_page(page + i + 1);
	}
}

static void keep_all_blocks(struct list_head *blocks, gfp_t gfp)
{
	unsigned int order;
	struct page *page;

	for (order = MAX_PAGE_ORDER; order; order--) {
		while ((page = alloc_pages(gfp | __GFP_NOWARN, order))) {
			keep(blocks, page, order);
			cond_resched();
		}
	}
}

/*
 * Let only single pages be free, an eighth of all memory: the watermarks can be
 * a twentieth of it, and a load leaves something to others.
 */
static void fragment_memory(struct kunit *test, struct list_head *blocks)
{
	unsigned long areas = totalram_pages() >> AREA_ORDER;
	unsigned long i;

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_blocks, blocks), 0);
	for (i = 0; i < areas / 4; i++)
		keep_every_other_page(blocks);
	drain_all_pages(NULL);
	/* Each zone keeps a reserve from those who could use a higher one. */
	keep_all_blocks(blocks, __GFP_HIGHMEM);
	keep_all_blocks(blocks, __GFP_DMA32);
	keep_all_blocks(blocks, __GFP_DMA);
}

/* Single pages make many runs, and those more than one page of moves. */
static void kexec_memory_fragmented_test(struct kunit *test)
{
	struct list_head *blocks = kunit_kzalloc(test, sizeof(*blocks), GFP_KERNEL);
	const struct image_segment from = { .pages = 1024, .bufsz = AREA_SIZE };
	struct image_test *it = test->priv;
	struct kexec_segment segment;
	struct kimage *image;
	int err;

	if (system_state >= SYSTEM_FREEING_INITMEM)
		kunit_skip(test, "takes all memory, so it runs only at boot");
	KUNIT_ASSERT_NOT_NULL(test, blocks);
	INIT_LIST_HEAD(blocks);
	make_segment(it, &segment, &from, 0);
	fragment_memory(test, blocks);
	image = load(test, 1, &segment, &err);
	free_blocks(blocks);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_GT(test, image->place->nr_runs, KEXEC_MOVES_PER_PAGE);
	KUNIT_EXPECT_GT(test, image->nr_move_pages, 1);
	expect_loaded(test, image);
}

/*
 * Stub
 */

#define DIGEST_PAGES	256

static void expect_digest(struct kunit *test, const u8 *content, size_t len)
{
	KUNIT_EXPECT_EQ_MSG(test, kexec_xxh64(content, len), xxh64(content, len, 0),
			    "of %zu bytes", len);
}

/* What is called here is what a load copies to the control page. */
static void kexec_stub_digest_test(struct kunit *test)
{
	static const unsigned int pages[] = { 1, 2, 3, 17, DIGEST_PAGES };
	size_t len = DIGEST_PAGES * PAGE_SIZE;
	u8 *content = test_vzalloc(test, len);
	struct rnd_state random;
	unsigned int i;

	expect_digest(test, content, len);
	memset(content, 0xff, len);
	expect_digest(test, content, len);
	prandom_seed_state(&random, 1);
	prandom_bytes_state(&random, content, len);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		expect_digest(test, content, pages[i] * PAGE_SIZE);
	for (i = 0; i < DIGEST_PAGES; i++)
		expect_digest(test, content + i * PAGE_SIZE, PAGE_SIZE);
}

/* A single bit, wherever it is, makes another digest. */
static void kexec_stub_digest_bit_test(struct kunit *test)
{
	u8 *content = test_vzalloc(test, PAGE_SIZE);
	u64 zeros = kexec_xxh64(content, PAGE_SIZE);
	unsigned int bit;

	for (bit = 0; bit < PAGE_SIZE * BITS_PER_BYTE; bit++) {
		content[bit / BITS_PER_BYTE] = BIT(bit % BITS_PER_BYTE);
		KUNIT_ASSERT_NE(test, kexec_xxh64(content, PAGE_SIZE), zeros);
		content[bit / BITS_PER_BYTE] = 0;
	}
}

/*
 * Files
 */

static struct kimage *test_file_image(struct kunit *test)
{
	struct kimage *image = kimage_alloc(0, 0, NULL);

	KUNIT_ASSERT_NOT_NULL(test, image);
	image->file_mode = 1;
	return image;
}

/* What is asked for, and what must not be found. */
static const struct hole_case {
	const char *name;
	struct kexec_buf kbuf;
	int expected;
} hole_cases[] = {
	{ "a page", { .memsz = 1, .buf_max = ULONG_MAX }, 0 },
	{ "a page at the top", { .memsz = 1, .buf_max = ULONG_MAX, .top_down = true }, 0 },
	{ "megabytes", { .memsz = SZ_16M, .bufsz = SZ_8M, .buf_max = ULONG_MAX }, 0 },
	{ "megabytes at the top",
	  { .memsz = SZ_16M + 1, .bufsz = SZ_16M, .buf_max = ULONG_MAX, .top_down = true }, 0 },
	{ "aligned", { .memsz = SZ_4M, .buf_align = SZ_16M, .buf_max = ULONG_MAX }, 0 },
	{ "aligned at the top",
	  { .memsz = SZ_4M, .buf_align = SZ_16M, .buf_max = ULONG_MAX, .top_down = true }, 0 },
	{ "low", { .memsz = SZ_64K, .buf_max = SZ_16M - 1 }, 0 },
	{ "low at the top", { .memsz = SZ_64K, .buf_max = SZ_16M - 1, .top_down = true }, 0 },
	{ "not low", { .memsz = SZ_1M, .buf_min = SZ_32M + 1, .buf_max = ULONG_MAX }, 0 },
	{ "between", { .memsz = SZ_1M, .buf_min = SZ_32M, .buf_max = SZ_64M - 1 }, 0 },
	{ "just so large",
	  { .memsz = SZ_2M, .buf_min = SZ_64M, .buf_max = SZ_64M + SZ_2M - 1 }, 0 },
	{ "one byte too little",
	  { .memsz = SZ_2M, .buf_min = SZ_64M, .buf_max = SZ_64M + SZ_2M - 2 }, -EADDRNOTAVAIL },
	{ "upside down", { .memsz = 1, .buf_min = SZ_2M, .buf_max = SZ_1M }, -EADDRNOTAVAIL },
	{ "past all memory", { .memsz = 1, .buf_min = 1UL << 51, .buf_max = ULONG_MAX },
	  -EADDRNOTAVAIL },
	{ "more than there is", { .memsz = 1UL << 45, .buf_max = ULONG_MAX }, -EADDRNOTAVAIL },
};

static void hole_case_name(const struct hole_case *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(hole_case, hole_cases, hole_case_name);

static void expect_hole(struct kunit *test, const struct kexec_buf *want,
			const struct kexec_segment *seg)
{
	KUNIT_EXPECT_GE(test, seg->mem, want->buf_min);
	KUNIT_EXPECT_LE(test, seg->mem + seg->memsz - 1, want->buf_max);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(seg->mem, max(want->buf_align, PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, seg->memsz, PAGE_ALIGN(want->memsz));
}

/*
 * The same wish again and again, until there is no room left for it or for
 * segments: no two may overlap, and all must be memory, as kimage_check() says.
 */
static void kexec_hole_test(struct kunit *test)
{
	const struct hole_case *c = test->param_value;
	struct kimage *image = test_file_image(test);
	int err;

	do {
		struct kexec_buf kbuf = c->kbuf;

		kbuf.image = image;
		kbuf.bufsz = 0;
		err = kexec_add_buffer(&kbuf);
		if (!err)
			expect_hole(test, &c->kbuf, &image->segment[image->nr_segments - 1]);
	} while (!err && image->nr_segments < KEXEC_SEGMENT_MAX);
	KUNIT_EXPECT_EQ(test, image->nr_segments > 0, !c->expected);
	if (err)
		KUNIT_EXPECT_EQ(test, err, -EADDRNOTAVAIL);
	KUNIT_EXPECT_EQ(test, kimage_check(image), 0);
	kimage_free(image);
}

/* The address that somebody chose is left alone. */
static void kexec_hole_fixed_test(struct kunit *test)
{
	struct kimage *image = test_file_image(test);
	struct kexec_buf kbuf = { .image = image, .mem = SZ_64M, .memsz = PAGE_SIZE };

	KUNIT_EXPECT_EQ(test, kexec_add_buffer(&kbuf), 0);
	KUNIT_EXPECT_EQ(test, image->segment[0].mem, SZ_64M);
	kimage_free(image);
}

#define FILE_OFFSET	0x4321
#define FILE_SIZE	(SZ_4M + 12345)

static void fill_file(const struct kexec_area *area)
{
	struct rnd_state random;

	prandom_seed_state(&random, 7);
	prandom_bytes_state(&random, area->buf, area->size);
}

static void expect_file(struct kunit *test, const struct kimage *image,
			const struct kexec_segment *seg, const u8 *expected)
{
	size_t at;

	for (at = 0; at < seg->bufsz; at += PAGE_SIZE) {
		struct kexec_run run = kexec_place_find(image->place, PHYS_PFN(seg->mem + at));
		size_t len = min(seg->bufsz - at, PAGE_SIZE);
		u8 *page = kmap_local_page(pfn_to_page(run.src));

		KUNIT_EXPECT_EQ(test, memcmp(page, expected + at, len), 0);
		KUNIT_EXPECT_NULL(test, memchr_inv(page + len, 0, PAGE_SIZE - len));
		kunmap_local(page);
	}
}

/*
 * A file whose middle is meant for a place, whose end is for another, and whose
 * pages are the image's afterwards or nobody's.
 */
static void kexec_file_area_test(struct kunit *test)
{
	struct kimage *image = test_file_image(test);
	struct kexec_area *area = kimage_area(image, KEXEC_AREA_KERNEL);
	struct kexec_buf want = {
		.image = image,
		.bufsz = FILE_SIZE - FILE_OFFSET,
		.memsz = SZ_8M,
		.buf_align = SZ_2M,
		.buf_max = ULONG_MAX,
		.top_down = true,
	};
	struct kexec_buf tail = { .image = image, .buf_max = ULONG_MAX };
	u8 *copy = test_vzalloc(test, FILE_SIZE);

	mutex_lock(&kexec_mutex);
	KUNIT_ASSERT_EQ(test, kexec_area_alloc(image, KEXEC_AREA_KERNEL, FILE_SIZE,
					       FILE_OFFSET, &want), 0);
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(area->buf + FILE_OFFSET));
	fill_file(area);
	memcpy(copy, area->buf, FILE_SIZE);
	want.buffer = area->buf + FILE_OFFSET;
	tail.buffer = area->buf + FILE_SIZE - 5000;
	tail.bufsz = 5000;
	tail.memsz = 3 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, kexec_add_buffer(&want), 0);
	KUNIT_EXPECT_EQ(test, want.mem, PFN_PHYS(area->window.start));
	KUNIT_EXPECT_EQ(test, kexec_add_buffer(&tail), 0);
	KUNIT_EXPECT_EQ(test, kimage_load(image), 0);
	kexec_area_free(area);
	expect_file(test, image, &image->segment[0], copy + FILE_OFFSET);
	expect_file(test, image, &image->segment[1], copy + FILE_SIZE - 5000);
	kimage_free(image);
	mutex_unlock(&kexec_mutex);
}

/*
 * bzImage
 *
 * Far more of it is tried in user space; this is the kernel's build of it.
 */

static void good_header(struct setup_header *hdr)
{
	*hdr = (struct setup_header){
		.setup_sects = 7,
		.syssize = SZ_1M / 16,
		.boot_flag = BZIMAGE_BOOT_FLAG,
		.jump = 0x6aeb,
		.header = BZIMAGE_MAGIC,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.kernel_alignment = SZ_2M,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G | XLF_5LEVEL,
		.pref_address = SZ_16M,
		.init_size = SZ_4M,
	};
}

static size_t layout(struct kunit *test, void *head, size_t len, struct kexec_buf *kbuf)
{
	*kbuf = (struct kexec_buf){ .bufsz = SZ_2M };
	return arch_kexec_file_layout(head, len, SZ_2M, kbuf);
}

static void kexec_bzimage_layout_test(struct kunit *test)
{
	u8 *head = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct kexec_buf kbuf;
	size_t len;

	KUNIT_ASSERT_NOT_NULL(test, head);
	KUNIT_EXPECT_EQ(test, layout(test, head, PAGE_SIZE, &kbuf), 0);
	good_header((void *)head + BZIMAGE_HEADER);
	KUNIT_EXPECT_EQ(test, layout(test, head, PAGE_SIZE, &kbuf), 8 * BZIMAGE_SECTOR);
	KUNIT_EXPECT_EQ(test, kbuf.bufsz, SZ_2M - 8 * BZIMAGE_SECTOR);
	KUNIT_EXPECT_EQ(test, kbuf.memsz, SZ_4M);
	KUNIT_EXPECT_EQ(test, kbuf.buf_align, SZ_2M);
	KUNIT_EXPECT_EQ(test, kbuf.buf_min, SZ_16M);
	for (len = 0; len < BZIMAGE_HEADER_MIN; len++)
		KUNIT_EXPECT_EQ(test, layout(test, head, len, &kbuf), 0);
}

static void kexec_bzimage_e820_test(struct kunit *test)
{
	static const struct boot_e820_entry entry[E820_MAX_ENTRIES_ZEROPAGE + 2];
	struct params_plan plan = {};

	params_plan_e820(&plan, entry, E820_MAX_ENTRIES_ZEROPAGE);
	KUNIT_EXPECT_EQ(test, plan.nr_items, 0);
	params_plan_e820(&plan, entry, ARRAY_SIZE(entry));
	KUNIT_EXPECT_EQ(test, plan.nr_items, 1);
	KUNIT_EXPECT_EQ(test, plan.item[0].type, SETUP_E820_EXT);
	KUNIT_EXPECT_EQ(test, plan.item[0].len, 2 * sizeof(*entry));
	KUNIT_EXPECT_PTR_EQ(test, plan.item[0].data,
			    (const void *)&entry[E820_MAX_ENTRIES_ZEROPAGE]);
}

static struct kunit_case kexec_cases[] = {
	KUNIT_CASE(kexec_range_alone_test),
	KUNIT_CASE(kexec_range_pair_test),
	KUNIT_CASE(kexec_place_home_test),
	KUNIT_CASE(kexec_place_lent_test),
	KUNIT_CASE(kexec_place_cut_test),
	KUNIT_CASE_PARAM(kexec_rule_test, rule_gen_params),
	KUNIT_CASE(kexec_stub_digest_test),
	KUNIT_CASE(kexec_stub_digest_bit_test),
	KUNIT_CASE_PARAM(kexec_hole_test, hole_case_gen_params),
	KUNIT_CASE(kexec_hole_fixed_test),
	KUNIT_CASE(kexec_bzimage_layout_test),
	KUNIT_CASE(kexec_bzimage_e820_test),
	{}
};

static struct kunit_suite kexec_suite = {
	.name = "kexec",
	.test_cases = kexec_cases,
};

static struct kunit_case kexec_image_cases[] = {
	KUNIT_CASE_PARAM(kexec_image_test, image_gen_params),
	KUNIT_CASE(kexec_image_sixteen_test),
	KUNIT_CASE(kexec_file_area_test),
	KUNIT_CASE(kexec_image_fault_test),
	KUNIT_CASE(kexec_image_too_large_test),
	KUNIT_CASE(kexec_memory_comes_back_test),
	KUNIT_CASE_SLOW(kexec_memory_fragmented_test),
	{}
};

static struct kunit_suite kexec_image_suite = {
	.name = "kexec_image",
	.init = kexec_image_init,
	.test_cases = kexec_image_cases,
};

kunit_test_suites(&kexec_suite, &kexec_image_suite);
