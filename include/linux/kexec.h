/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_KEXEC_H
#define LINUX_KEXEC_H

/*
 * Starting another kernel from a running one: what the rest of the kernel and
 * the architectures see of it.
 *
 * What an architecture provides, in the order in which a load calls it:
 *
 *   arch_kexec_firmware_memory(), arch_kexec_device_page()
 *		which addresses can be a destination
 *   machine_kexec_prepare()
 *		before the content has a place: page tables and all else that
 *		depends on the destinations only
 *   machine_kexec_post_load()
 *		when the content is in place and image->moves is written
 *   machine_kexec()
 *		the jump
 *   machine_kexec_cleanup()
 *		after any of the above, also where it failed
 *
 * <asm/kexec.h> defines KEXEC_ARCH and KEXEC_DESTINATION_MEMORY_LIMIT, and a
 * macro of the same name for each hook that has a default below.
 */

#if !defined(__ASSEMBLY__)

#include <linux/crash_core.h>
#include <linux/crash_reserve.h>
#include <linux/io.h>
#include <linux/vmcore_info.h>

#include <uapi/linux/kexec.h>

struct kimage;

#ifdef CONFIG_KEXEC_CORE
#include <linux/compat.h>
#include <linux/gfp_types.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/types.h>
#include <asm/kexec.h>

#ifndef KEXEC_ARCH
#error <asm/kexec.h> must define KEXEC_ARCH
#endif

#ifndef KEXEC_DESTINATION_MEMORY_LIMIT
#error <asm/kexec.h> must define KEXEC_DESTINATION_MEMORY_LIMIT
#endif

/* What kexec_load(2) accepts beside the architecture in this kernel. */
#define KEXEC_FLAGS (KEXEC_ON_CRASH | KEXEC_UPDATE_ELFCOREHDR |	\
		     KEXEC_CRASH_HOTPLUG_SUPPORT | KEXEC_DEBUG)

/* struct kexec_segment as the kernel uses it; the layout is the user's. */
struct kexec_segment {
	union {
		void __user *buf;
		void *kbuf;
	};
	size_t bufsz;
	unsigned long mem;
	size_t memsz;
};

#ifdef CONFIG_COMPAT
struct compat_kexec_segment {
	compat_uptr_t buf;
	compat_size_t bufsz;
	compat_ulong_t mem;
	compat_size_t memsz;
};
#endif

/**
 * struct kexec_move - one piece of work for the jump
 * @dst: destination, a physical address
 * @src: where the content waits, a physical address, or KEXEC_MOVE_ZERO
 * @len: bytes, whole pages
 */
struct kexec_move {
	u64 dst;
	u64 src;
	u64 len;
};

#define KEXEC_MOVE_ZERO		(~0ULL)

#define KEXEC_MOVES_PER_PAGE \
	((PAGE_SIZE - 2 * sizeof(u64)) / sizeof(struct kexec_move))

/**
 * struct kexec_move_page - a control page full of moves
 * @next: physical address of the next such page, 0 in the last
 * @nr: used entries of @move
 * @move: what to do; no entry overwrites the source of another, and all zeroing
 *        comes after all moving, as zeros may cover a source
 *
 * The only thing the stub has to walk. The layout is known to assembly code.
 */
struct kexec_move_page {
	u64 next;
	u64 nr;
	struct kexec_move move[KEXEC_MOVES_PER_PAGE];
};

/**
 * struct kexec_stats - what a load came to
 * @pieces: blocks of memory that were taken, joined where they touch
 * @content: bytes of content, whole pages; the sum of the next two
 * @home: bytes that are in place already
 * @move: bytes that the jump has to move
 * @zero: bytes that the jump has to clear
 * @check_ns: time for the checks, nanoseconds
 * @place_ns: time for finding memory and building page tables
 * @fill_ns: time for copying the content in
 * @seal_ns: time for digests and for the stub's data
 */
struct kexec_stats {
	unsigned long pieces;
	u64 content;
	u64 home;
	u64 move;
	u64 zero;
	u64 check_ns;
	u64 place_ns;
	u64 fill_ns;
	u64 seal_ns;
};

struct kexec_place;
struct kexec_sums;

/**
 * struct kimage - a kernel that waits to be started
 * @start: physical address of its entry
 * @nr_segments: used entries of @segment
 * @segment: what belongs where
 * @control_code_page: for the architecture's stub
 * @control_pages: memory outside all destinations, linked through page->lru
 * @place: which memory holds the content until the jump
 * @moves: first control page of the stub's work, NULL before it is written
 * @nr_move_pages: how many there are
 * @sums: digests of the content
 * @stats: what the load came to
 * @type: KEXEC_TYPE_DEFAULT or KEXEC_TYPE_CRASH
 * @debug: the caller asked for a line in the log
 * @arch: the architecture's own
 */
struct kimage {
	unsigned long start;
	unsigned long nr_segments;
	struct kexec_segment segment[KEXEC_SEGMENT_MAX];

	struct page *control_code_page;
	struct list_head control_pages;

	struct kexec_place *place;
	struct kexec_move_page *moves;
	unsigned long nr_move_pages;
	struct kexec_sums *sums;
	struct kexec_stats stats;

	unsigned int type : 1;
#define KEXEC_TYPE_DEFAULT	0
#define KEXEC_TYPE_CRASH	1
	unsigned int debug : 1;

	/* Older architecture code announces it by the first of these names. */
#if defined(ARCH_HAS_KIMAGE_ARCH) || defined(kimage_arch)
	struct kimage_arch arch;
#endif
};

extern struct kimage *kexec_image;
extern struct kimage *kexec_crash_image;

/* Set from reboot(2) on, when the next kernel will not come from firmware. */
extern bool kexec_in_progress;

int kernel_kexec(void);
bool kexec_load_permitted(int kexec_image_type);

struct page *kimage_alloc_control_pages(struct kimage *image,
					unsigned int order);

/**
 * machine_kexec_prepare - set up what depends on the destinations only
 * @image: segments and entry are known, content has no place yet
 *
 * Control pages come from kimage_alloc_control_pages(): they lie outside all
 * destinations, and go away with the image.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; machine_kexec_cleanup() follows in any case.
 */
int machine_kexec_prepare(struct kimage *image);

/**
 * machine_kexec_cleanup - let go of what is no control page
 * @image: in any state after its allocation
 */
void machine_kexec_cleanup(struct kimage *image);

/**
 * machine_kexec - leave this kernel for the next
 * @image: complete
 *
 * Context: one CPU left, devices shut down. Must not fail, allocate or return.
 */
void machine_kexec(struct kimage *image);

#ifndef machine_kexec_post_load
/**
 * machine_kexec_post_load - finish what the jump needs
 * @image: content is in place, image->moves is written
 *
 * Return: 0 or a negative errno.
 */
static inline int machine_kexec_post_load(struct kimage *image)
{
	return 0;
}
#endif

#ifndef arch_kexec_firmware_memory
/**
 * arch_kexec_firmware_memory - memory that only the firmware knows of
 * @pfn: page frame
 *
 * Return: end (exclusive, a page frame) of the entry of the firmware's map that
 * contains any part of @pfn, 0 when there is none.
 */
static inline unsigned long arch_kexec_firmware_memory(unsigned long pfn)
{
	return 0;
}
#endif

#ifndef arch_kexec_device_page
/**
 * arch_kexec_device_page - find an interrupt controller's page
 * @start: physical address
 * @end: physical address after the last
 *
 * Return: the physical address of a page in [@start, @end) that is no memory,
 * whatever the firmware's map says; @end when there is none.
 */
static inline unsigned long arch_kexec_device_page(unsigned long start,
						   unsigned long end)
{
	return end;
}
#endif

/*
 * With memory encryption, the next kernel sees pages otherwise than this one:
 * called for all memory that an image keeps, and before it is freed.
 */
#ifndef arch_kexec_post_alloc_pages
static inline int arch_kexec_post_alloc_pages(void *vaddr, unsigned int pages,
					      gfp_t gfp)
{
	return 0;
}
#endif

#ifndef arch_kexec_pre_free_pages
static inline void arch_kexec_pre_free_pages(void *vaddr, unsigned int pages)
{
}
#endif

#else /* !CONFIG_KEXEC_CORE */

#define kexec_in_progress false

#endif /* CONFIG_KEXEC_CORE */

/* Images of kexec_load(2) carry no signature. */
static inline void set_kexec_sig_enforced(void)
{
}

#endif /* !__ASSEMBLY__ */

#endif /* LINUX_KEXEC_H */
