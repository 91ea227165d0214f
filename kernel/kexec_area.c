// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for files: where a file that is being loaded is to go, and the pages
 * it is read into.
 *
 * The pages of an area are mapped one after the other, so that readers, security
 * modules and loaders see plain memory; physically, most of them lie where the
 * new kernel is to find them. So a file is read once, and neither copied when it
 * is loaded nor moved when the machine waits for the new kernel.
 *
 *  - holes: which stretch of memory would be a good destination
 *  - areas: a file's memory, before it is read
 *  - adoption: the pages of an area become the image's
 *
 * A hole is nobody's until memory in it is taken: it is only a destination, and
 * what this kernel keeps there is in nobody's way before the jump.
 */

#define pr_fmt(fmt) "kexec: " fmt

#include <linux/bitmap.h>
#include <linux/ioport.h>
#include <linux/log2.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pageblock-flags.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "kexec_internal.h"

#define AREA_GFP (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * Holes
 *
 * The best hole is the one whose pageblocks cost least to take. That is told by a
 * few looks at each pageblock, however large the hole is.
 */

/* What it costs to have a pageblock: nothing, some migration, or no hope. */
#define COST_FREE	0
#define COST_MOVABLE	1
#define COST_TAKEN	16

/**
 * struct hole - a search
 * @pages: size of the hole, page frames
 * @content: how much of it, from its start, is wanted as memory now
 * @align: of its first page frame
 * @within: where it has to lie
 * @top_down: of two as good as each other, take the higher
 * @avoid: where it must not lie, sorted, maybe overlapping
 * @nr_avoid: used entries of @avoid
 * @start: the best so far
 * @cost: of the best so far, LONG_MAX when there is none
 */
struct hole {
	unsigned long pages;
	unsigned long content;
	unsigned long align;
	struct kexec_range within;
	bool top_down;
	struct kexec_range avoid[KEXEC_SEGMENT_MAX + KEXEC_AREAS];
	unsigned int nr_avoid;
	unsigned long start;
	long cost;
};

/*
 * Is the pageblock at @pfn part of one free block of the page allocator? Such a
 * block is aligned to its size, and its first page knows the order of that.
 */
static bool block_is_free(unsigned long pfn)
{
	unsigned int order;

	for (order = pageblock_order; order <= MAX_PAGE_ORDER; order++) {
		struct page *head = pfn_to_online_page(round_down(pfn, 1UL << order));

		if (head && PageBuddy(head) && page_private(head) >= order)
			return true;
	}
	return false;
}

/* How many pages of a pageblock are looked at */
#define LOOKS 16

/*
 * Does the pageblock at @pfn seem to have pages that cannot be moved? They are
 * in use, and on no list of the LRU. So is some memory that can be moved, such as
 * hugetlbfs's: then another place is preferred without need, no more.
 */
static bool block_is_fixed(unsigned long pfn)
{
	unsigned long step = max(pageblock_nr_pages / LOOKS, 1UL);
	unsigned long end = pfn + pageblock_nr_pages;

	for (; pfn < end; pfn += step) {
		struct page *head = compound_head(pfn_to_page(pfn));

		if (page_ref_count(head) && !PageLRU(head))
			return true;
	}
	return false;
}

/* Without locks: it may be wrong by the time that it is read. */
static long block_cost(unsigned long block)
{
	unsigned long pfn = block * pageblock_nr_pages;
	struct page *page = pfn_to_online_page(pfn);

	if (!page || is_zone_movable_page(page))
		return COST_TAKEN;
	if (block_is_free(pfn))
		return COST_FREE;
	if (get_pageblock_migratetype(page) == MIGRATE_MOVABLE && !block_is_fixed(pfn))
		return COST_MOVABLE;
	return COST_TAKEN;
}

/* Consecutive pageblocks, and what they cost together. */
struct window {
	struct kexec_range blocks;
	long cost;
};

/* Go to other blocks, mostly the same: only what changes is looked at. */
static void window_move(struct window *w, struct kexec_range to)
{
	struct kexec_range *at = &w->blocks;

	if (!kexec_range_overlaps(*at, to))
		*w = (struct window){ .blocks = { to.start, to.start } };
	while (at->end < to.end)
		w->cost += block_cost(at->end++);
	while (at->start > to.start)
		w->cost += block_cost(--at->start);
	while (at->end > to.end)
		w->cost -= block_cost(--at->end);
	while (at->start < to.start)
		w->cost -= block_cost(at->start++);
}

static struct kexec_range blocks_of(unsigned long pfn, unsigned long pages)
{
	return (struct kexec_range){
		pfn / pageblock_nr_pages,
		DIV_ROUND_UP(pfn + pages, pageblock_nr_pages),
	};
}

static void hole_note(struct hole *hole, unsigned long start, long cost)
{
	bool higher = start > hole->start;

	if (cost > hole->cost)
		return;
	if (cost == hole->cost && higher != hole->top_down)
		return;
	hole->start = start;
	hole->cost = cost;
}

/* Try all starts in @r, a pageblock apart: no other could be much better. */
static void hole_search(struct hole *hole, struct kexec_range r)
{
	unsigned long step = round_up(pageblock_nr_pages, hole->align);
	struct window w = {};
	unsigned long lowest, start;

	r = kexec_range_cut(r, hole->within);
	if (kexec_range_size(r) < hole->pages)
		return;
	lowest = round_up(r.start, hole->align);
	start = round_down(r.end - hole->pages, hole->align);
	if (lowest < r.start || start < lowest)
		return;
	if (!hole->top_down)
		start = lowest + (start - lowest) / step * step;
	for (; !fatal_signal_pending(current); start -= step) {
		window_move(&w, blocks_of(start, hole->content));
		hole_note(hole, start, w.cost);
		if (start - lowest < step || (hole->top_down && w.cost <= COST_FREE))
			break;
		cond_resched();
	}
}

static int hole_in_ram(struct resource *res, void *data)
{
	struct kexec_range r = { PFN_UP(res->start), PHYS_PFN(res->end + 1) };
	struct hole *hole = data;
	unsigned int i;

	if ((res->flags & IORESOURCE_SYSRAM_DRIVER_MANAGED) ||
	    arch_kexec_untold_memory(r.start))
		return 0;
	for (i = 0; i < hole->nr_avoid; i++) {
		struct kexec_range no = hole->avoid[i];

		hole_search(hole, (struct kexec_range){ r.start, min(r.end, no.start) });
		r.start = max(r.start, no.end);
	}
	hole_search(hole, r);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static void hole_avoid(struct hole *hole, struct kexec_range r)
{
	if (!kexec_range_empty(r))
		hole->avoid[hole->nr_avoid++] = r;
}

static int start_compare(const void *a, const void *b)
{
	const struct kexec_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void hole_avoid_all(struct hole *hole, struct kimage *image, bool windows)
{
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++)
		hole_avoid(hole, kexec_segment_range(&image->segment[i]));
	for (i = 0; windows && i < KEXEC_AREAS; i++)
		hole_avoid(hole, kimage_area(image, i)->window);
	sort(hole->avoid, hole->nr_avoid, sizeof(*hole->avoid), start_compare, NULL);
}

/* Look for what @kbuf asks for; @windows: keep clear of those of files, too. */
static int hole_find(struct kexec_buf *kbuf, bool windows)
{
	struct hole hole = {
		.pages = PFN_UP(kbuf->memsz),
		.content = PFN_UP(kbuf->bufsz),
		.align = max(kbuf->buf_align >> PAGE_SHIFT, 1UL),
		.within = {
			PFN_UP(kbuf->buf_min),
			PHYS_PFN(min(kbuf->buf_max, KEXEC_DESTINATION_MEMORY_LIMIT - 1) + 1),
		},
		.top_down = kbuf->top_down,
		.start = kbuf->top_down ? 0 : ULONG_MAX,
		.cost = LONG_MAX,
	};
	int err;

	hole_avoid_all(&hole, kbuf->image, windows);
	err = walk_system_ram_res(0, ULONG_MAX, &hole, hole_in_ram);
	if (err == -EINTR)
		return err;
	if (hole.cost == LONG_MAX)
		return -EADDRNOTAVAIL;
	kbuf->mem = PFN_PHYS(hole.start);
	return 0;
}

/* Is the window of the file that @kbuf is a part of what @kbuf asks for? */
static bool fits_window(const struct kexec_buf *kbuf,
			const struct kexec_area *area)
{
	unsigned long start = PFN_PHYS(area->window.start);
	unsigned long at = (kbuf->buffer - area->vaddr) >> PAGE_SHIFT;
	unsigned int i;

	if (kexec_range_empty(area->window) || at != area->window_at ||
	    offset_in_page(kbuf->buffer) ||
	    kexec_range_size(area->window) < PFN_UP(kbuf->memsz) ||
	    start < kbuf->buf_min || start + kbuf->memsz - 1 > kbuf->buf_max ||
	    !IS_ALIGNED(start, max(kbuf->buf_align, 1UL)))
		return false;
	for (i = 0; i < kbuf->image->nr_segments; i++)
		if (kexec_range_overlaps(area->window,
					 kexec_segment_range(&kbuf->image->segment[i])))
			return false;
	return true;
}

/**
 * kexec_locate_mem_hole - choose a destination
 * @kbuf: what is asked for; its mem is set, unless it says where already
 *
 * Memory that can be had now is preferred, so that what goes there need not be
 * moved. A file's own area comes first.
 *
 * Return: 0, -EADDRNOTAVAIL or -EINTR.
 */
int kexec_locate_mem_hole(struct kexec_buf *kbuf)
{
	struct kexec_area *area = kexec_area_find(kbuf->image, kbuf->buffer);
	int err;

	if (kbuf->mem != KEXEC_BUF_MEM_UNKNOWN)
		return 0;
	if (area && fits_window(kbuf, area)) {
		kbuf->mem = PFN_PHYS(area->window.start);
		return 0;
	}
	/* Of use to nobody any more. */
	if (area)
		area->window = (struct kexec_range){};
	err = hole_find(kbuf, true);
	return err == -EADDRNOTAVAIL ? hole_find(kbuf, false) : err;
}

/*
 * Areas
 */

/* Where content is placed that has no window: no memory can be home there. */
#define NOWHERE PHYS_PFN(KEXEC_DESTINATION_MEMORY_LIMIT)

/*
 * Another file's window is only a wish: it yields to a file without any. And if
 * there is none at all, it is for the loader to say so, after all other checks.
 * Who wants nothing in place has no use for one.
 */
static int find_window(struct kimage *image, struct kexec_area *area,
		       const struct kexec_buf *want)
{
	struct kexec_buf kbuf = *want;
	unsigned int i;
	int err;

	if (image->no_in_place)
		return 0;
	kbuf.image = image;
	err = hole_find(&kbuf, true);
	if (err == -EADDRNOTAVAIL) {
		for (i = 0; i < KEXEC_AREAS; i++)
			kimage_area(image, i)->window = (struct kexec_range){};
		err = hole_find(&kbuf, false);
	}
	if (err)
		return err == -EADDRNOTAVAIL ? 0 : err;
	area->window.start = PHYS_PFN(kbuf.mem);
	area->window.end = area->window.start + PFN_UP(kbuf.memsz);
	return 0;
}

static int alloc_tables(struct kexec_area *area)
{
	area->pages = kvcalloc(area->nr, sizeof(*area->pages), AREA_GFP);
	area->kept = kvcalloc(BITS_TO_LONGS(area->nr), sizeof(long), AREA_GFP);
	return area->pages && area->kept ? 0 : -ENOMEM;
}

/* What comes before the content that is meant for the window stays behind. */
static int alloc_head(struct kexec_area *area)
{
	unsigned long i;

	for (i = 0; i < area->window_at; i++) {
		area->pages[i] = kexec_alloc_page();
		if (!area->pages[i])
			return -ENOMEM;
	}
	return 0;
}

static void keep_memory(struct kexec_range r, void *unused)
{
}

/* Have the core find memory for the content, and take it out of its hands. */
static int alloc_content(struct kimage *image, struct kexec_area *area)
{
	unsigned long i, pfn = NOWHERE;
	int err;

	if (!kexec_range_empty(area->window))
		pfn = area->window.start;
	err = kimage_take(image, (struct kexec_range){ pfn, pfn + area->nr - area->window_at });
	if (err)
		return err;
	for (i = area->window_at; i < area->nr; ) {
		struct kexec_run run = kexec_place_find(image->place, pfn);

		for (; run.nr && i < area->nr; run.nr--, pfn++)
			area->pages[i++] = pfn_to_page(run.src++);
	}
	kexec_place_release(image->place, keep_memory, NULL);
	return 0;
}

static int alloc_pages_and_map(struct kimage *image, struct kexec_area *area)
{
	int err;

	err = alloc_tables(area) ?: alloc_head(area) ?: alloc_content(image, area);
	if (err)
		return err;
	area->vaddr = vmap(area->pages, area->nr, VM_MAP, arch_kexec_pgprot());
	return area->vaddr ? 0 : -ENOMEM;
}

/**
 * kexec_area_alloc - find memory for a file
 * @image: before kimage_load()
 * @id: which of its files
 * @size: the file's size in bytes, not 0
 * @offset: where the content begins that @want is about, less than @size
 * @want: what the loader will ask for
 *
 * From @offset on, the file begins on a page; the rest of its last page is
 * zero. No byte of the file has been read yet.
 *
 * Context: may sleep; the owner of kexec_mutex.
 * Return: 0, -ENOMEM or -EINTR, and then nothing is held.
 */
int kexec_area_alloc(struct kimage *image, enum kexec_area_id id, size_t size,
		     size_t offset, const struct kexec_buf *want)
{
	struct kexec_area *area = kimage_area(image, id);
	size_t end;
	int err;

	area->window_at = PFN_UP(offset);
	area->nr = area->window_at + PFN_UP(size - offset);
	area->size = size;
	if (area->nr > kexec_available_pages())
		return -ENOMEM;
	err = find_window(image, area, want) ?: alloc_pages_and_map(image, area);
	if (err) {
		kexec_area_free(area);
		return fatal_signal_pending(current) ? -EINTR : err;
	}
	area->buf = area->vaddr + (area->window_at << PAGE_SHIFT) - offset;
	end = area->buf + size - area->vaddr;
	memset(area->vaddr + end, 0, (area->nr << PAGE_SHIFT) - end);
	return 0;
}

/**
 * kexec_area_free - give back what the image has not taken over
 * @area: in any state
 */
void kexec_area_free(struct kexec_area *area)
{
	unsigned long i;

	if (area->vaddr)
		vunmap(area->vaddr);
	for (i = 0; area->pages && area->kept && i < area->nr; i++) {
		unsigned long pfn;

		if (!area->pages[i] || test_bit(i, area->kept))
			continue;
		pfn = page_to_pfn(area->pages[i]);
		kexec_free_pages((struct kexec_range){ pfn, pfn + 1 }, NULL);
		if (!(i % pageblock_nr_pages))
			cond_resched();
	}
	kvfree(area->pages);
	kvfree(area->kept);
	*area = (struct kexec_area){};
}

/**
 * kexec_area_find - which file is a buffer part of?
 * @image: being loaded
 * @buf: virtual address
 *
 * Return: its area, NULL for none.
 */
struct kexec_area *kexec_area_find(struct kimage *image, const void *buf)
{
	unsigned int i;

	for (i = 0; i < KEXEC_AREAS; i++) {
		struct kexec_area *area = kimage_area(image, i);

		if (area->vaddr && buf >= area->vaddr &&
		    buf < area->vaddr + (area->nr << PAGE_SHIFT))
			return area;
	}
	return NULL;
}

/*
 * Adoption
 *
 * A page that lies in the destination of something else can serve neither as a
 * source nor as a home. Its content is copied, as from any other buffer.
 */

/* How far from @pfn on pages are inside, or outside, of content destinations. */
static unsigned long alike(const struct kexec_place *place, unsigned long pfn,
			   bool *inside)
{
	unsigned int i;

	*inside = false;
	for (i = 0; i < place->nr_dsts; i++) {
		if (pfn < place->dst[i].start)
			return place->dst[i].start - pfn;
		*inside = pfn < place->dst[i].end;
		if (*inside)
			return place->dst[i].end - pfn;
	}
	return ULONG_MAX - pfn;
}

/* What a pass of the adoption takes: nothing may be given after the first pin. */
enum adopt_pass { ADOPT_HOME, ADOPT_PINS, ADOPT_PASSES };

static int adopt_alike(struct kexec_area *area, unsigned long first,
		       struct kexec_run run, struct kexec_place *place,
		       enum adopt_pass pass)
{
	int err;

	if (pass == ADOPT_PINS)
		err = kexec_place_pin(place, run);
	else
		err = kexec_place_give(place, (struct kexec_range){ run.src, run.src + run.nr });
	if (!err)
		bitmap_set(area->kept, first, run.nr);
	return err;
}

/* @run is in pages of @area, consecutive from @first on. */
static int adopt_run(struct kexec_area *area, unsigned long first,
		     struct kexec_run run, struct kexec_place *place,
		     enum adopt_pass pass)
{
	bool inside;
	int err = 0;

	while (run.nr && !err) {
		unsigned long nr = min(run.nr, alike(place, run.src, &inside));
		struct kexec_run part = { run.dst, run.src, nr };

		if (pass == ADOPT_PINS ? !inside : run.src == run.dst)
			err = adopt_alike(area, first, part, place, pass);
		first += nr;
		run.dst += nr;
		run.src += nr;
		run.nr -= nr;
	}
	return err;
}

/* How many pages from @first on are consecutive, and not the image's yet. */
static unsigned long count_consecutive(const struct kexec_area *area,
				       unsigned long first, unsigned long max)
{
	unsigned long pfn = page_to_pfn(area->pages[first]);
	unsigned long nr = 0;

	while (nr < max && !test_bit(first + nr, area->kept) &&
	       page_to_pfn(area->pages[first + nr]) == pfn + nr)
		nr++;
	return nr;
}

/*
 * The last page only counts when it ends with the file: the image needs zeros
 * where another buffer may have content.
 */
static unsigned long whole_pages(const struct kexec_segment *seg,
				 const struct kexec_area *area)
{
	bool to_the_end = seg->kbuf + seg->bufsz == area->buf + area->size;

	return to_the_end ? PFN_UP(seg->bufsz) : PHYS_PFN(seg->bufsz);
}

static int adopt_segment(const struct kexec_segment *seg,
			 struct kexec_area *area, struct kexec_place *place,
			 enum adopt_pass pass)
{
	unsigned long i = (seg->kbuf - area->vaddr) >> PAGE_SHIFT;
	unsigned long end = i + whole_pages(seg, area);
	unsigned long dst = PHYS_PFN(seg->mem);
	unsigned long nr;
	int err = 0;

	for (; i < end && !err; i += nr, dst += nr) {
		nr = count_consecutive(area, i, end - i);
		err = adopt_run(area, i, (struct kexec_run){
			.dst = dst,
			.src = page_to_pfn(area->pages[i]),
			.nr = nr,
		}, place, pass);
		nr = max(nr, 1UL);
		cond_resched();
	}
	return err;
}

static int adopt_all(struct kimage *image, struct kexec_place *place,
		     enum adopt_pass pass)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < image->nr_segments && !err; i++) {
		const struct kexec_segment *seg = &image->segment[i];
		struct kexec_area *area = kexec_area_find(image, seg->kbuf);

		if (area && !offset_in_page(seg->kbuf))
			err = adopt_segment(seg, area, place, pass);
	}
	return err;
}

/**
 * kexec_area_adopt - let an image have the pages that its files are in
 * @image: its segments are known
 * @place: its placement, to which nothing was given
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int kexec_area_adopt(struct kimage *image, struct kexec_place *place)
{
	enum adopt_pass pass;
	int err = 0;

	for (pass = 0; image->file_mode && pass < ADOPT_PASSES && !err; pass++)
		err = adopt_all(image, place, pass);
	kexec_place_sort(place);
	return err;
}

/**
 * kexec_area_holds - is this page the one that is mapped there?
 * @area: maybe of a file
 * @addr: virtual address in it
 * @pfn: page frame
 */
bool kexec_area_holds(const struct kexec_area *area, const void *addr,
		      unsigned long pfn)
{
	unsigned long i = (addr - area->vaddr) >> PAGE_SHIFT;

	return !offset_in_page(addr) && i < area->nr &&
	       page_to_pfn(area->pages[i]) == pfn;
}
