// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of an image, from the check of its segments to the jump.
 *
 * An image is a list of destinations, and memory is found for it before a byte
 * is copied. A load goes through the sections of this file in their order, and
 * until the last step it can fail without a trace:
 *
 *  - permission: capability, limits, the sysctls
 *  - check: the segments against each other and against the machine
 *  - memory: control pages, the destinations themselves, blocks of any memory;
 *    the arithmetic of it is in kexec_place.c
 *  - fill: the content into that memory
 *  - seal: digests, and the table that the architecture's stub walks
 *  - image: the whole of it
 *  - maps of segments: kimage_map_segment(), for IMA
 *  - reboot: kernel_kexec(), for reboot(2)
 *
 * Names: a destination is where the new kernel is to find something, content
 * the bytes that belong there. What of a segment has no content is zero when
 * the new kernel starts, and costs no memory until then. Control pages hold
 * what the jump needs, and lie outside all destinations.
 */

#define pr_fmt(fmt) "kexec: " fmt

#include <linux/async.h>
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/cpu.h>
#include <linux/highmem.h>
#include <linux/ima.h>
#include <linux/ioport.h>
#include <linux/kmsg_dump.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pageblock-flags.h>
#include <linux/reboot.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/syscore_ops.h>
#include <linux/sysctl.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>
#include <linux/xxhash.h>

#include "kexec_internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/kexec.h>

/* Held by whoever changes, checks or starts an image. */
DEFINE_MUTEX(kexec_mutex);
DEFINE_RATELIMIT_STATE(kexec_refusals, 5 * HZ, 20);

struct kimage *kexec_image;
struct kimage *kexec_crash_image;
bool kexec_in_progress;

/*
 * Permission
 *
 * A limit of -1 is none. It can be set and lowered, never raised, so that an
 * administrator can leave the machine with a known number of loads to come.
 */

struct load_limit {
	struct mutex mutex;	/* protects @left */
	int left;
};

static struct load_limit load_limits[] = {
	[KEXEC_TYPE_DEFAULT] = {
		.mutex = __MUTEX_INITIALIZER(load_limits[KEXEC_TYPE_DEFAULT].mutex),
		.left = -1,
	},
	[KEXEC_TYPE_CRASH] = {
		.mutex = __MUTEX_INITIALIZER(load_limits[KEXEC_TYPE_CRASH].mutex),
		.left = -1,
	},
};

static int load_disabled;

static bool limit_spend(struct load_limit *limit)
{
	guard(mutex)(&limit->mutex);
	if (limit->left > 0)
		limit->left--;
	else if (!limit->left)
		return false;
	return true;
}

/**
 * kexec_load_permitted - may the caller load or unload an image now?
 * @kexec_image_type: KEXEC_TYPE_DEFAULT or KEXEC_TYPE_CRASH
 *
 * Return: true, and one load of that kind's limit is spent, or false.
 */
bool kexec_load_permitted(int kexec_image_type)
{
	bool crash = kexec_image_type == KEXEC_TYPE_CRASH;

	if (!capable(CAP_SYS_BOOT))
		return false;
	if (load_disabled)
		return kexec_refuse(false,
				    "loading is disabled: kernel.kexec_load_disabled is 1");
	if (!limit_spend(&load_limits[kexec_image_type]))
		return kexec_refuse(false,
				    "no loads left: kernel.kexec_load_limit_%s is 0",
				    crash ? "panic" : "reboot");
	return true;
}

#ifdef CONFIG_SYSCTL
static int limit_lower(struct load_limit *limit, int value)
{
	guard(mutex)(&limit->mutex);
	if (value < 0 || (limit->left >= 0 && value >= limit->left))
		return -EINVAL;
	limit->left = value;
	return 0;
}

static int limit_handler(const struct ctl_table *table, int write, void *buffer,
			 size_t *lenp, loff_t *ppos)
{
	struct load_limit *limit = table->data;
	int value = READ_ONCE(limit->left);
	const struct ctl_table proxy = {
		.data = &value,
		.maxlen = sizeof(value),
		.mode = table->mode,
	};
	int err = proc_dointvec(&proxy, write, buffer, lenp, ppos);

	if (!err && write)
		err = limit_lower(limit, value);
	return err;
}

static struct ctl_table kexec_sysctls[] = {
	{
		/* Once 1, it stays 1 until the next boot. */
		.procname = "kexec_load_disabled",
		.data = &load_disabled,
		.maxlen = sizeof(load_disabled),
		.mode = 0644,
		.proc_handler = proc_dointvec_minmax,
		.extra1 = SYSCTL_ONE,
		.extra2 = SYSCTL_ONE,
	},
	{
		.procname = "kexec_load_limit_reboot",
		.data = &load_limits[KEXEC_TYPE_DEFAULT],
		.mode = 0644,
		.proc_handler = limit_handler,
	},
	{
		.procname = "kexec_load_limit_panic",
		.data = &load_limits[KEXEC_TYPE_CRASH],
		.mode = 0644,
		.proc_handler = limit_handler,
	},
};

static int __init register_kexec_sysctls(void)
{
	register_sysctl_init("kernel", kexec_sysctls);
	return 0;
}
late_initcall(register_kexec_sysctls);
#endif /* CONFIG_SYSCTL */

/*
 * Check
 *
 * One function a rule, each for all segments, in the order in which user space
 * is promised the errnos.
 */

static int check_bounds(const struct kimage *image, unsigned int i)
{
	const struct kexec_segment *seg = &image->segment[i];
	unsigned long end = seg->mem + seg->memsz;

	if (end < seg->mem)
		return kexec_refuse(-EADDRNOTAVAIL,
				    "segment %u: address %#lx plus size %#zx wraps",
				    i, seg->mem, seg->memsz);
	if (!PAGE_ALIGNED(seg->mem) || !PAGE_ALIGNED(end))
		return kexec_refuse(-EADDRNOTAVAIL,
				    "segment %u: %#lx-%#lx does not begin and end at a page boundary",
				    i, seg->mem, end);
	if (end >= KEXEC_DESTINATION_MEMORY_LIMIT)
		return kexec_refuse(-EADDRNOTAVAIL,
				    "segment %u: %#lx-%#lx ends above %#lx, past what can be addressed",
				    i, seg->mem, end,
				    (unsigned long)KEXEC_DESTINATION_MEMORY_LIMIT);
	return 0;
}

struct ram_search {
	unsigned long pfn;
	unsigned long end;
};

/* Resources come in ascending order, so only the first one has to be seen. */
static int ram_around(struct resource *res, void *data)
{
	struct ram_search *search = data;

	if (PHYS_PFN(res->start) <= search->pfn)
		search->end = PFN_UP(res->end + 1);
	return 1;
}

/* End of a stretch of memory that contains @pfn, 0 when that is no memory. */
static unsigned long memory_around(unsigned long pfn, unsigned long limit)
{
	struct ram_search ram = { .pfn = pfn };

	walk_system_ram_res(PFN_PHYS(pfn), PFN_PHYS(limit) - 1, &ram, ram_around);
	return max(ram.end, arch_kexec_firmware_memory(pfn));
}

static int check_memory(const struct kimage *image, unsigned int i)
{
	const struct kexec_segment *seg = &image->segment[i];
	struct kexec_range r = kexec_segment_range(seg);
	unsigned long end = seg->mem + seg->memsz;
	unsigned long device;
	unsigned long next;

	for (; !kexec_range_empty(r); r.start = next) {
		next = memory_around(r.start, r.end);
		if (!next)
			return kexec_refuse(-EADDRNOTAVAIL,
					    "segment %u: no memory at %#llx, in %#lx-%#lx",
					    i, (u64)PFN_PHYS(r.start), seg->mem, end);
	}
	device = arch_kexec_device_page(seg->mem, end);
	if (device < end)
		return kexec_refuse(-EADDRNOTAVAIL,
				    "segment %u: an interrupt controller at %#lx, in %#lx-%#lx",
				    i, device, seg->mem, end);
	return 0;
}

static int check_overlap(const struct kimage *image, unsigned int i)
{
	const struct kexec_segment *a = &image->segment[i];
	const struct kexec_segment *b;

	for (b = image->segment; b < a; b++) {
		if (kexec_range_overlaps(kexec_segment_range(a),
					 kexec_segment_range(b)))
			return kexec_refuse(-EINVAL,
					    "segments %td and %u overlap: %#lx-%#lx and %#lx-%#lx",
					    b - image->segment, i,
					    b->mem, b->mem + b->memsz,
					    a->mem, a->mem + a->memsz);
	}
	return 0;
}

static int check_size(const struct kimage *image, unsigned int i)
{
	const struct kexec_segment *seg = &image->segment[i];

	if (seg->bufsz > seg->memsz)
		return kexec_refuse(-EINVAL,
				    "segment %u: %#zx bytes of content for %#zx bytes of memory",
				    i, seg->bufsz, seg->memsz);
	return 0;
}

static int check_each(const struct kimage *image,
		      int (*rule)(const struct kimage *image, unsigned int i))
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < image->nr_segments && !err; i++)
		err = rule(image, i);
	return err;
}

/**
 * kimage_check - does the list of segments keep the rules?
 * @image: with its segments
 *
 * Return: 0, -EADDRNOTAVAIL or -EINVAL; the log says which rule.
 */
int kimage_check(struct kimage *image)
{
	return check_each(image, check_bounds) ?:
	       check_each(image, check_memory) ?:
	       check_each(image, check_overlap) ?:
	       check_each(image, check_size);
}

/*
 * Memory
 *
 * All of it is taken as single pages, whatever the size of the block, so that
 * it can be cut anywhere. Reclaim may work for it, the OOM killer may not.
 */

#define KIMAGE_GFP (GFP_HIGHUSER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define CONTROL_GFP (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * Leave this part of memory to the programs that still have to run, the one
 * that calls reboot(2) among them.
 */
#define SPARE_FRACTION 64

/* A digest covers no more than this of a segment. */
#define SUM_PAGES (SZ_16M >> PAGE_SHIFT)

/* What IMA writes after the check in reboot(2) can have no digest. */
static bool is_summed(const struct kimage *image, unsigned int i)
{
	return !kimage_is_ima_segment(image, i);
}

static unsigned int count_sums(const struct kimage *image)
{
	unsigned int i, nr = 0;

	for (i = 0; i < image->nr_segments; i++)
		if (is_summed(image, i))
			nr += DIV_ROUND_UP(PFN_UP(image->segment[i].bufsz), SUM_PAGES);
	return nr;
}

static struct kexec_range pages_range(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page);

	return (struct kexec_range){ pfn, pfn + (1UL << order) };
}

/**
 * kexec_free_pages - free memory that was taken for an image
 * @r: page frames, each allocated as a single page
 * @unused: for kexec_place_release()
 */
void kexec_free_pages(struct kexec_range r, void *unused)
{
	arch_kexec_pre_free_pages(page_address(pfn_to_page(r.start)),
				  kexec_range_size(r));
	for (; !kexec_range_empty(r); r.start++) {
		__free_page(pfn_to_page(r.start));
		if (!(r.start % pageblock_nr_pages))
			cond_resched();
	}
}

static struct page *alloc_range(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);

	if (!page)
		return NULL;
	split_page(page, order);
	if (!arch_kexec_post_alloc_pages(page_address(page), 1 << order, gfp))
		return page;
	kexec_free_pages(pages_range(page, order), NULL);
	return NULL;
}

/* Let the image have @r, which becomes its own or is freed. */
static int give_range(struct kimage *image, struct kexec_range r)
{
	int err = kexec_place_give(image->place, r);

	if (err)
		kexec_free_pages(r, NULL);
	return err;
}

static bool is_destination(const struct kimage *image, struct kexec_range r)
{
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++) {
		if (kexec_range_overlaps(r, kexec_segment_range(&image->segment[i])))
			return true;
	}
	return false;
}

/**
 * kimage_alloc_control_pages - memory that stays untouched until the jump
 * @image: whose content has not been placed finally
 * @order: 2^order pages, physically contiguous and aligned to their size
 *
 * What the allocator hands out of the image's own destinations is not given
 * back, but used for content. The pages go away with the image.
 *
 * Context: may sleep.
 * Return: the first page, its content undefined, or NULL.
 */
struct page *kimage_alloc_control_pages(struct kimage *image,
					unsigned int order)
{
	struct kexec_range r;
	struct page *page;

	for (;;) {
		page = alloc_range(CONTROL_GFP, order);
		if (!page)
			return NULL;
		r = pages_range(page, order);
		if (!is_destination(image, r))
			break;
		if (give_range(image, r) || fatal_signal_pending(current))
			return NULL;
	}
	set_page_private(page, order);
	list_add(&page->lru, &image->control_pages);
	return page;
}

static void free_control_pages(struct kimage *image)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &image->control_pages, lru) {
		unsigned int order = page_private(page);

		set_page_private(page, 0);
		kexec_free_pages(pages_range(page, order), NULL);
	}
	INIT_LIST_HEAD(&image->control_pages);
}

/**
 * kexec_available_pages - what an image may take
 *
 * Return: page frames that are free above the watermarks, page cache as far as
 * the kernel itself counts it as available, and what swap has room for.
 */
unsigned long kexec_available_pages(void)
{
	unsigned long anon = global_node_page_state(NR_ACTIVE_ANON) +
			     global_node_page_state(NR_INACTIVE_ANON);
	unsigned long swap = max(get_nr_swap_pages(), 0L);
	unsigned long free = max(si_mem_available(), 0L) + min(anon, swap);
	unsigned long spare = totalram_pages() / SPARE_FRACTION;

	return free - min(free, spare);
}

static int no_memory(const struct kimage *image)
{
	const struct kexec_place *place = image->place;
	unsigned long found = place->nr_home + place->nr_pinned + place->nr_lent;

	return kexec_refuse(-ENOMEM,
			    "the image does not fit in memory: %lu KiB of content, %lu KiB found, %lu KiB left to take",
			    place->nr_content << (PAGE_SHIFT - 10),
			    found << (PAGE_SHIFT - 10),
			    kexec_available_pages() << (PAGE_SHIFT - 10));
}

#ifdef CONFIG_CONTIG_ALLOC
/*
 * ZONE_MOVABLE has to stay removable, and a zone ends where it ends. Pages
 * that are not online belong to a device or to nobody.
 */
static bool can_be_taken(struct kexec_range r)
{
	struct page *first = pfn_to_online_page(r.start);
	struct page *last = pfn_to_online_page(r.end - 1);

	return first && last && page_zone(first) == page_zone(last) &&
	       !is_zone_movable_page(first);
}

static int take_in_place(struct kimage *image, struct kexec_range r)
{
	unsigned int nr = kexec_range_size(r);

	if (!can_be_taken(r) ||
	    alloc_contig_range(r.start, r.end, MIGRATE_MOVABLE,
			       GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN))
		return 0;
	if (!arch_kexec_post_alloc_pages(page_address(pfn_to_page(r.start)), nr,
					 KIMAGE_GFP))
		return give_range(image, r);
	kexec_free_pages(r, NULL);
	return -ENOMEM;
}
#else
static int take_in_place(struct kimage *image, struct kexec_range r)
{
	return 0;
}
#endif /* CONFIG_CONTIG_ALLOC */

/*
 * Ask for the destinations themselves. One page that cannot be moved away makes
 * a call fail, so ask for a pageblock at a time.
 */
static int take_destination(struct kimage *image, struct kexec_range r)
{
	int err = 0;

	while (!kexec_range_empty(r) && !err) {
		unsigned long end = min(r.end, pageblock_end_pfn(r.start));
		struct kexec_range part = { r.start, end };

		/* What a file was read into is the image's already. */
		if (!image->file_mode || !kexec_place_holds(image->place, part))
			err = take_in_place(image, part);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
		r.start = end;
	}
	return err;
}

static int take_destinations(struct kimage *image)
{
	const struct kexec_place *place = image->place;
	unsigned int i;
	int err = 0;

	if (image->no_in_place)
		return 0;
	for (i = 0; i < place->nr_dsts && !err; i++)
		err = take_destination(image, place->dst[i]);
	return err;
}

/*
 * Large blocks are taken where they lie about. To work for one (reclaim,
 * compaction) would cost more than a few runs more do.
 */
static gfp_t block_gfp(unsigned int order)
{
	if (order > PAGE_ALLOC_COSTLY_ORDER)
		return (KIMAGE_GFP | __GFP_NORETRY) & ~(__GFP_RETRY_MAYFAIL | __GFP_RECLAIM);
	return KIMAGE_GFP;
}

/* Take a block of 2^*order pages, or of less where there is none so large. */
static int take_block(struct kimage *image, unsigned int *order)
{
	struct page *page;

	for (;; --*order) {
		page = alloc_range(block_gfp(*order), *order);
		if (page)
			return give_range(image, pages_range(page, *order));
		if (!*order)
			return -ENOMEM;
	}
}

static int take_blocks(struct kimage *image)
{
	unsigned int order = MAX_PAGE_ORDER;
	unsigned long missing;
	int err = 0;

	while (!err && (missing = kexec_place_missing(image->place))) {
		order = min_t(unsigned int, order, ilog2(missing));
		if (fatal_signal_pending(current))
			return -EINTR;
		if (kexec_available_pages() < 1UL << order)
			return -ENOMEM;
		err = take_block(image, &order);
		cond_resched();
	}
	return err;
}

static int add_move_page(struct kimage *image)
{
	struct page *page = kimage_alloc_control_pages(image, 0);
	struct kexec_move_page *moves;

	if (!page)
		return -ENOMEM;
	moves = page_address(page);
	moves->next = image->moves ? virt_to_phys(image->moves) : 0;
	moves->nr = 0;
	image->moves = moves;
	image->nr_move_pages++;
	return 0;
}

/*
 * Room for every run, and for one stretch of zeros a segment. Memory that comes
 * up in a destination meanwhile is at home there, and can make one run two: so
 * count again until the pages suffice.
 */
static int take_move_pages(struct kimage *image)
{
	unsigned long want, i;
	int err;

	for (;;) {
		kexec_place_trim(image->place, kexec_free_pages, NULL);
		kexec_place_sort(image->place);
		want = DIV_ROUND_UP(kexec_place_count_runs(image->place) +
				    image->nr_segments, KEXEC_MOVES_PER_PAGE);
		if (want <= image->nr_move_pages)
			return 0;
		for (i = image->nr_move_pages; i < want; i++) {
			err = add_move_page(image);
			if (err)
				return err;
		}
	}
}

/*
 * The stub verifies what this kernel has read itself. An image of kexec_load(2)
 * brings code of its own for that.
 */
static int take_check_pages(struct kimage *image)
{
	unsigned int left = image->file_mode ? count_sums(image) : 0;

	for (; left; left -= min(left, KEXEC_CHECKS_PER_PAGE)) {
		struct page *page = kimage_alloc_control_pages(image, 0);
		struct kexec_check_page *checks;

		if (!page)
			return -ENOMEM;
		checks = page_address(page);
		checks->next = image->checks ? virt_to_phys(image->checks) : 0;
		checks->nr = 0;
		image->checks = checks;
	}
	return 0;
}

static int take_all(struct kimage *image)
{
	const struct kexec_place *place = image->place;
	int err;

	if (kexec_place_missing(place) > kexec_available_pages())
		return -ENOMEM;
	err = machine_kexec_prepare(image) ?: take_destinations(image) ?:
	      take_blocks(image) ?: take_check_pages(image) ?:
	      take_move_pages(image);
	image->stats.pieces = place->home.nr + place->lent.nr + place->pins.nr;
	return err;
}

#ifdef CONFIG_KEXEC_FILE
/**
 * kimage_take - find memory for one stretch of content
 * @image: before kimage_load(); its placement serves for this
 * @dst: where the content is meant to be, page frames
 *
 * Context: may sleep; the owner of kexec_mutex.
 * Return: 0: image->place is finished, for the caller to take the memory out of.
 * Or -ENOMEM or -EINTR, and nothing was taken.
 */
int kimage_take(struct kimage *image, struct kexec_range dst)
{
	struct kexec_place *place = image->place;
	int err;

	kexec_place_init(place, &dst, 1);
	err = take_destinations(image) ?: take_blocks(image);
	if (!err) {
		kexec_place_trim(place, kexec_free_pages, NULL);
		kexec_place_sort(place);
		err = kexec_place_finish(place);
	}
	if (err)
		kexec_place_release(place, kexec_free_pages, NULL);
	return err;
}

/**
 * kexec_alloc_page - memory for one page of a file that has no destination
 *
 * Return: for kexec_free_pages(), or NULL.
 */
struct page *kexec_alloc_page(void)
{
	return alloc_range(KIMAGE_GFP, 0);
}
#endif /* CONFIG_KEXEC_FILE */

/* Find memory for the whole image, before any of it is copied. */
static int kimage_place(struct kimage *image)
{
	struct kexec_range dst[KEXEC_SEGMENT_MAX];
	unsigned int i;
	int err;

	for (i = 0; i < image->nr_segments; i++)
		dst[i] = kexec_segment_content(&image->segment[i]);
	kexec_place_init(image->place, dst, image->nr_segments);
	err = kexec_area_adopt(image, image->place) ?: take_all(image) ?:
	      kexec_place_finish(image->place);
	if (err && fatal_signal_pending(current))
		return -EINTR;
	return err == -ENOMEM ? no_memory(image) : err;
}

/*
 * Fill
 */

/* Copy up to a page, and clear what the content leaves of it. */
static int fill_page(struct page *page, struct iov_iter *from)
{
	size_t want = min(iov_iter_count(from), PAGE_SIZE);

	if (copy_page_from_iter(page, 0, want, from) != want)
		return -EFAULT;
	if (want < PAGE_SIZE)
		memzero_page(page, want, PAGE_SIZE - want);
	return 0;
}

/* What a segment is filled from, and the file that this is part of, if any. */
struct fill {
	struct iov_iter from;
	struct kvec vec;
	const struct kexec_segment *seg;
	const struct kexec_area *area;
};

/* Was the content read into this very page? */
static bool is_filled(const struct fill *fill, unsigned long pfn)
{
	size_t done = fill->seg->bufsz - iov_iter_count(&fill->from);

	return fill->area &&
	       kexec_area_holds(fill->area, fill->seg->kbuf + done, pfn);
}

/* Fill memory that is contiguous, source and destination. */
static int fill_run(struct kexec_run run, struct fill *fill)
{
	int err = 0;

	for (; run.nr && !err; run.nr--, run.src++) {
		if (is_filled(fill, run.src))
			iov_iter_advance(&fill->from, PAGE_SIZE);
		else
			err = fill_page(pfn_to_page(run.src), &fill->from);
		if ((run.src + 1) % pageblock_nr_pages)
			continue;
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return err;
}

/*
 * What a file image has no buffer for, IMA will write in reboot(2): it is zero
 * until then, as from an iterator with nothing left.
 */
static void fill_start(struct kimage *image, const struct kexec_segment *seg,
		       struct fill *fill)
{
	struct kvec source = { seg->kbuf, seg->kbuf ? seg->bufsz : 0 };

	*fill = (struct fill){ .seg = seg };
	if (!image->file_mode) {
		/* Not import_ubuf(): it cuts off what is beyond 2 GiB. */
		iov_iter_ubuf(&fill->from, ITER_SOURCE, seg->buf, seg->bufsz);
		return;
	}
	fill->vec = source;
	iov_iter_kvec(&fill->from, ITER_SOURCE, &fill->vec, 1, source.iov_len);
	fill->area = kexec_area_find(image, seg->kbuf);
}

static int fill_segment(struct kimage *image, unsigned int i)
{
	const struct kexec_segment *seg = &image->segment[i];
	struct kexec_range todo = kexec_segment_content(seg);
	struct fill fill;
	int err = 0;

	fill_start(image, seg, &fill);
	while (!err && !kexec_range_empty(todo)) {
		struct kexec_run run = kexec_place_find(image->place, todo.start);

		run.nr = min(run.nr, kexec_range_size(todo));
		err = fill_run(run, &fill);
		todo.start += run.nr;
	}
	if (err == -EFAULT)
		return kexec_refuse(err,
				    "segment %u: its buffer, %#zx bytes at %#lx, cannot be read at byte %#zx",
				    i, seg->bufsz, (unsigned long)seg->buf,
				    seg->bufsz - iov_iter_count(&fill.from));
	return err;
}

static int kimage_fill(struct kimage *image)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < image->nr_segments && !err; i++)
		if (image->segment[i].bufsz)
			err = fill_segment(image, i);
	return err ?: fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Seal
 *
 * Between the load and the jump an image lies about for days, in reach of stray
 * writes and stray DMA: they are what the digests are against, not an attacker,
 * who could write a new digest as well. xxh64 costs a fraction of what SHA-256
 * does.
 *
 * A digest covers a piece of at most SUM_PAGES of a segment, and all CPUs work
 * on the pieces: in reboot(2) the machine's blackout has already begun.
 */

struct kexec_sum {
	struct kexec_range content;
	unsigned int segment;
	u64 xxh64;
};

struct kexec_sums {
	unsigned int nr;
	struct kexec_sum sum[] __counted_by(nr);
};

/* Work on an image's digests that several CPUs share. */
struct sum_job {
	const struct kimage *image;
	bool verify;
	atomic_t next;
	atomic_t damaged;	/* index of a piece that differs, or -1 */
};

static void sum_run(struct xxh64_state *state, struct kexec_run run)
{
	for (; run.nr; run.nr--) {
		void *content = kmap_local_page(pfn_to_page(run.src++));

		xxh64_update(state, content, PAGE_SIZE);
		kunmap_local(content);
	}
}

static u64 sum_content(const struct kimage *image, struct kexec_range todo)
{
	struct xxh64_state state;

	xxh64_reset(&state, 0);
	while (!kexec_range_empty(todo)) {
		struct kexec_run run = kexec_place_find(image->place, todo.start);

		run.nr = min(run.nr, kexec_range_size(todo));
		sum_run(&state, run);
		todo.start += run.nr;
	}
	return xxh64_digest(&state);
}

static void sum_worker(void *data, async_cookie_t unused)
{
	struct sum_job *job = data;
	struct kexec_sums *sums = job->image->sums;
	unsigned int i;

	while ((i = atomic_fetch_inc(&job->next)) < sums->nr) {
		struct kexec_sum *sum = &sums->sum[i];
		u64 found = sum_content(job->image, sum->content);

		if (!job->verify)
			sum->xxh64 = found;
		else if (sum->xxh64 != found)
			atomic_set(&job->damaged, i);
		cond_resched();
	}
}

static void sum_all(struct sum_job *job)
{
	ASYNC_DOMAIN_EXCLUSIVE(domain);
	unsigned int helpers = min(num_online_cpus(), job->image->sums->nr);

	/* Where there is no memory for a helper, it runs here and now. */
	while (helpers-- > 1)
		async_schedule_domain(sum_worker, job, &domain);
	sum_worker(job, 0);
	async_synchronize_full_domain(&domain);
}

static void describe_sums(const struct kimage *image, struct kexec_sum *sum)
{
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++) {
		struct kexec_range r = kexec_segment_content(&image->segment[i]);

		for (; is_summed(image, i) && !kexec_range_empty(r); r.start += SUM_PAGES) {
			sum->content.start = r.start;
			sum->content.end = min(r.end, r.start + SUM_PAGES);
			sum->segment = i;
			sum++;
		}
	}
}

static struct kexec_sums *alloc_sums(const struct kimage *image)
{
	unsigned int nr = count_sums(image);
	struct kexec_sums *sums;

	sums = kvzalloc(struct_size(sums, sum, nr), CONTROL_GFP);
	if (!sums)
		return NULL;
	sums->nr = nr;
	describe_sums(image, sums->sum);
	return sums;
}

/* There is a page for each that there is a digest for. */
static void write_checks(struct kimage *image)
{
	struct kexec_check_page *page = image->checks;
	unsigned int i;

	for (i = 0; page && i < image->sums->nr; i++) {
		const struct kexec_sum *sum = &image->sums->sum[i];

		if (page->nr == KEXEC_CHECKS_PER_PAGE)
			page = phys_to_virt(page->next);
		page->check[page->nr++] = (struct kexec_check){
			.start = PFN_PHYS(sum->content.start),
			.len = PFN_PHYS(kexec_range_size(sum->content)),
			.xxh64 = sum->xxh64,
			.segment = sum->segment,
		};
	}
}

static void add_move(struct kexec_move_page **page, struct kexec_move move)
{
	if (!move.len)
		return;
	if ((*page)->nr == KEXEC_MOVES_PER_PAGE)
		*page = phys_to_virt((*page)->next);
	(*page)->move[(*page)->nr++] = move;
}

/* The stub goes through this in order: what zeros cover may be a source. */
static void write_moves(struct kimage *image)
{
	const struct kexec_place *place = image->place;
	struct kexec_move_page *page = image->moves;
	const struct kexec_segment *seg = image->segment;
	unsigned int i;
	unsigned long n;

	for (n = 0; n < place->nr_runs; n++)
		add_move(&page, (struct kexec_move){
			.dst = PFN_PHYS(place->runs[n].dst),
			.src = PFN_PHYS(place->runs[n].src),
			.len = PFN_PHYS(place->runs[n].nr),
		});
	for (i = 0; i < image->nr_segments; i++, seg++)
		add_move(&page, (struct kexec_move){
			.dst = seg->mem + PAGE_ALIGN(seg->bufsz),
			.src = KEXEC_MOVE_ZERO,
			.len = seg->memsz - PAGE_ALIGN(seg->bufsz),
		});
}

/* A guest's memory that this kernel never used may still need accepting. */
static void accept_destinations(const struct kimage *image)
{
	const struct kexec_segment *seg = image->segment;
	unsigned int i;

	for (i = 0; i < image->nr_segments; i++, seg++)
		accept_memory(seg->mem, seg->memsz);
}

static int kimage_seal(struct kimage *image)
{
	struct sum_job job = { .image = image };

	image->sums = alloc_sums(image);
	if (!image->sums)
		return no_memory(image);
	sum_all(&job);
	write_moves(image);
	write_checks(image);
	accept_destinations(image);
	return machine_kexec_post_load(image);
}

/* Is the image still what was loaded? */
static int kimage_verify(const struct kimage *image)
{
	struct sum_job job = {
		.image = image,
		.verify = true,
		.damaged = ATOMIC_INIT(-1),
	};
	const struct kexec_sum *sum;

	sum_all(&job);
	if (atomic_read(&job.damaged) < 0)
		return 0;
	sum = &image->sums->sum[atomic_read(&job.damaged)];
	return kexec_refuse(-EIO,
			    "the loaded image is damaged: what belongs at %#llx-%#llx has digest %016llx, expected %016llx",
			    (u64)PFN_PHYS(sum->content.start),
			    (u64)PFN_PHYS(sum->content.end),
			    sum_content(image, sum->content), sum->xxh64);
}

/*
 * Image
 */

/* The image and what only this file knows of it, in one allocation. */
struct kimage_whole {
	struct kimage image;
	struct kexec_place place;
#ifdef CONFIG_KEXEC_FILE
	struct kexec_area area[KEXEC_AREAS];
#endif
};

#ifdef CONFIG_KEXEC_FILE
/**
 * kimage_area - the memory of one of an image's files
 * @image: from kimage_alloc()
 * @id: which
 */
struct kexec_area *kimage_area(struct kimage *image, enum kexec_area_id id)
{
	return &container_of(image, struct kimage_whole, image)->area[id];
}
#endif

/**
 * kimage_alloc - describe an image
 * @entry: physical address at which it starts
 * @nr_segments: at most KEXEC_SEGMENT_MAX
 * @segments: unchecked
 *
 * Return: an image without memory, for kimage_free(), or NULL.
 */
struct kimage *kimage_alloc(unsigned long entry, unsigned long nr_segments,
			    const struct kexec_segment *segments)
{
	struct kimage_whole *whole = kzalloc(sizeof(*whole), GFP_KERNEL);
	struct kimage *image = &whole->image;

	if (!whole)
		return NULL;
	image->start = entry;
	image->nr_segments = nr_segments;
	memcpy(image->segment, segments, nr_segments * sizeof(*segments));
	image->place = &whole->place;
	INIT_LIST_HEAD(&image->control_pages);
	return image;
}

/**
 * kimage_free - give back an image and all its memory
 * @image: in any state after kimage_alloc(), not reachable by others, or NULL
 */
void kimage_free(struct kimage *image)
{
	if (!image)
		return;
	machine_kexec_cleanup(image);
	free_control_pages(image);
	kexec_place_release(image->place, kexec_free_pages, NULL);
	kvfree(image->sums);
	kfree(container_of(image, struct kimage_whole, image));
}

/**
 * kimage_install - make an image the one that reboot(2) starts
 * @image: complete, or NULL: there is to be none
 *
 * The image before is freed. IMA, if it has a list in there, forgets it now: it
 * would write to where the list was, whichever image is started.
 *
 * Context: kexec_mutex is held.
 */
void kimage_install(struct kimage *image)
{
	struct kimage *old = xchg(&kexec_image, image);

	if (image) {
		ima_kexec_post_load(image);
	} else if (old) {
		kimage_forget_ima(old);
		ima_kexec_post_load(old);
	}
	kimage_free(old);
}

static void count_bytes(struct kimage *image)
{
	const struct kexec_place *place = image->place;
	struct kexec_stats *stats = &image->stats;
	const struct kexec_segment *seg = image->segment;
	unsigned int i;

	stats->content = PFN_PHYS(place->nr_content);
	stats->home = PFN_PHYS(place->nr_home);
	stats->move = stats->content - stats->home;
	for (i = 0; i < image->nr_segments; i++, seg++)
		stats->zero += seg->memsz - PAGE_ALIGN(seg->bufsz);
}

static const char *type_name(const struct kimage *image)
{
	return image->type == KEXEC_TYPE_CRASH ? "crash" : "default";
}

static void report_load(const struct kimage *image)
{
	const struct kexec_stats *s = &image->stats;

	trace_kexec_load(image, image->place->nr_runs);
	if (!image->debug)
		return;
	pr_info("type=%s segments=%lu pieces=%lu content=%llu home=%llu move=%llu zero=%llu runs=%lu check_ns=%llu place_ns=%llu fill_ns=%llu seal_ns=%llu\n",
		type_name(image), image->nr_segments, s->pieces, s->content, s->home, s->move,
		s->zero, image->place->nr_runs, s->check_ns, s->place_ns,
		s->fill_ns, s->seal_ns);
}

/* The phases of a load, and where the time of each is noted. */
static const struct load_phase {
	const char *name;
	int (*run)(struct kimage *image);
	size_t ns;
} load_phases[] = {
	{ "check", kimage_check, offsetof(struct kexec_stats, check_ns) },
	{ "place", kimage_place, offsetof(struct kexec_stats, place_ns) },
	{ "fill", kimage_fill, offsetof(struct kexec_stats, fill_ns) },
	{ "seal", kimage_seal, offsetof(struct kexec_stats, seal_ns) },
};

/**
 * kimage_load - check an image, find memory for it, and fill it
 * @image: from kimage_alloc(); its buffers are the calling process's, in file
 *	mode the kernel's
 *
 * Context: may sleep; the owner of kexec_mutex.
 * Return: 0 when the image is ready for machine_kexec(), or the errno of the
 * first rule it breaks; then it is only good for kimage_free().
 */
int kimage_load(struct kimage *image)
{
	unsigned int i;

	lockdep_assert_held(&kexec_mutex);
	for (i = 0; i < ARRAY_SIZE(load_phases); i++) {
		const struct load_phase *phase = &load_phases[i];
		u64 *ns = (void *)&image->stats + phase->ns;
		u64 start = ktime_get_ns();
		int err = phase->run(image);

		*ns = ktime_get_ns() - start;
		trace_kexec_phase(phase->name, *ns, err);
		if (err)
			return err;
	}
	count_bytes(image);
	report_load(image);
	return 0;
}

/*
 * Maps of segments, for IMA: its list of measurements grows until the jump.
 */

/**
 * kimage_map_segment - see content of an image, wherever it waits
 * @image: loaded
 * @addr: destination, a physical address on a page boundary
 * @size: bytes, all of them content of one segment
 *
 * The pages stay allocated as long as they are mapped, even when the image goes
 * away.
 *
 * Context: may sleep.
 * Return: for kimage_unmap_segment(), or NULL when memory is short.
 */
void *kimage_map_segment(struct kimage *image, unsigned long addr,
			 unsigned long size)
{
	struct kexec_range todo = { PHYS_PFN(addr), PHYS_PFN(addr) + PFN_UP(size) };
	unsigned long i, nr = kexec_range_size(todo);
	struct page **pages;
	void *map;

	pages = kvmalloc_array(nr, sizeof(*pages), CONTROL_GFP);
	if (!pages)
		return NULL;
	for (i = 0; i < nr; i++) {
		struct kexec_run run = kexec_place_find(image->place, todo.start + i);

		pages[i] = pfn_to_page(run.src);
		get_page(pages[i]);
	}
	map = vmap(pages, nr, VM_MAP | VM_MAP_PUT_PAGES, arch_kexec_pgprot());
	if (map)
		return map;
	release_pages(pages, nr);
	kvfree(pages);
	return NULL;
}

/**
 * kimage_unmap_segment - undo kimage_map_segment()
 * @buffer: its result
 */
void kimage_unmap_segment(void *buffer)
{
	vfree(buffer);
}

/*
 * Reboot
 */

/* Everything is checked: from the first line on there is no way back. */
static void jump(struct kimage *image)
{
	trace_kexec_jump(image);
	if (image->debug)
		pr_info("type=%s entry=%#lx move=%llu zero=%llu\n", type_name(image),
			image->start, image->stats.move, image->stats.zero);
	kexec_in_progress = true;
	kernel_restart_prepare("kexec reboot");
	migrate_to_reboot_cpu();
	syscore_shutdown();
	pr_notice("starting the new kernel at %#lx\n", image->start);

	/*
	 * The architecture takes CPUs down by way of CPU hotplug, which
	 * migrate_to_reboot_cpu() disabled for a machine that only resets.
	 */
	cpu_hotplug_enable();
	machine_shutdown();
	kmsg_dump(KMSG_DUMP_SHUTDOWN);
	machine_kexec(image);
}

/**
 * kernel_kexec - start the loaded image, for reboot(2)
 *
 * Return: only with an errno: -EBUSY while somebody loads or unloads, -EINVAL
 * when nothing is loaded, -EIO when what is loaded is damaged. The machine then
 * goes on as before.
 */
int kernel_kexec(void)
{
	int err;

	if (!kexec_trylock())
		return kexec_refuse(-EBUSY,
				    "reboot: a load or unload is under way");
	if (kexec_image)
		err = kimage_verify(kexec_image);
	else
		err = kexec_refuse(-EINVAL, "reboot: no image is loaded");
	if (!err)
		jump(kexec_image);
	kexec_unlock();
	return err;
}
