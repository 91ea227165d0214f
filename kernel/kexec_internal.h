/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LINUX_KEXEC_INTERNAL_H
#define LINUX_KEXEC_INTERNAL_H

/*
 * Between the system calls and the core; nothing outside kernel/kexec*.c. That
 * kernel/vmcore_info.c includes it is history: it is built without kexec, too,
 * where none of this can be.
 */

#include <linux/kexec.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>

#include "kexec_place.h"

#ifdef CONFIG_KEXEC_CORE

/*
 * One owner for everything that changes an image or starts one. Nobody waits
 * for it: a caller who does not get it is told so (EBUSY).
 */
extern struct mutex kexec_mutex;

static inline bool kexec_trylock(void)
{
	return mutex_trylock(&kexec_mutex);
}

static inline void kexec_unlock(void)
{
	mutex_unlock(&kexec_mutex);
}

extern struct ratelimit_state kexec_refusals;

/*
 * Name the rule and the numbers of a refusal in the log, and evaluate to its
 * errno. Only for callers that are allowed to load. The file's pr_fmt() says
 * that it is about kexec.
 */
#define kexec_refuse(err, fmt, ...)					\
({									\
	if (__ratelimit(&kexec_refusals))				\
		pr_notice(fmt "\n", ##__VA_ARGS__);			\
	(err);								\
})

/* The pages of a segment that the new kernel is to see, in page frames. */
static inline struct kexec_range
kexec_segment_range(const struct kexec_segment *seg)
{
	return (struct kexec_range){
		.start = PHYS_PFN(seg->mem),
		.end = PHYS_PFN(seg->mem + seg->memsz),
	};
}

/* Those of them that have any content; the rest is zero. */
static inline struct kexec_range
kexec_segment_content(const struct kexec_segment *seg)
{
	return (struct kexec_range){
		.start = PHYS_PFN(seg->mem),
		.end = PHYS_PFN(seg->mem) + PFN_UP(seg->bufsz),
	};
}

/* IMA's measurements: written by its reboot notifier, after all checks. */
#ifdef CONFIG_IMA_KEXEC
static inline bool kimage_is_ima_segment(const struct kimage *image,
					 unsigned int i)
{
	return image->is_ima_segment_index_set && image->ima_segment_index == i;
}

static inline size_t kimage_ima_size(const struct kimage *image)
{
	return image->ima_buffer_size;
}

static inline void kimage_forget_ima(struct kimage *image)
{
	image->ima_buffer_addr = 0;
}
#else
static inline bool kimage_is_ima_segment(const struct kimage *image,
					 unsigned int i)
{
	return false;
}

static inline size_t kimage_ima_size(const struct kimage *image)
{
	return 0;
}

static inline void kimage_forget_ima(struct kimage *image)
{
}
#endif

unsigned long kexec_available_pages(void);
void kexec_free_pages(struct kexec_range r, void *unused);

#ifdef CONFIG_KEXEC_FILE
/**
 * struct kexec_area - memory that a file is read into, and stays in
 * @vaddr: all of it, one after the other; NULL: there is no such file
 * @pages: which pages these are
 * @kept: a bit for each, set when the image has taken the page over
 * @nr: how many
 * @window: a good destination, for what begins at page @window_at
 * @window_at: index into @pages
 * @buf: the file's first byte
 * @size: the file's size, bytes
 */
struct kexec_area {
	void *vaddr;
	struct page **pages;
	unsigned long *kept;
	unsigned long nr;
	struct kexec_range window;
	unsigned long window_at;
	void *buf;
	size_t size;
};

enum kexec_area_id {
	KEXEC_AREA_KERNEL,
	KEXEC_AREA_INITRD,
	KEXEC_AREAS
};

struct kexec_area *kimage_area(struct kimage *image, enum kexec_area_id id);
int kimage_take(struct kimage *image, struct kexec_range dst);
struct page *kexec_alloc_page(void);

/* The architecture's ELF file, and these, are there with KEXEC_PURGATORY only. */
extern const char kexec_purgatory[];
extern const size_t kexec_purgatory_size;
int kexec_purgatory_seal(struct kimage *image);
void kexec_purgatory_free(struct kimage *image);

int kexec_area_alloc(struct kimage *image, enum kexec_area_id id, size_t size,
		     size_t offset, const struct kexec_buf *want);
void kexec_area_free(struct kexec_area *area);
struct kexec_area *kexec_area_find(struct kimage *image, const void *buf);
int kexec_area_adopt(struct kimage *image, struct kexec_place *place);
bool kexec_area_holds(const struct kexec_area *area, const void *addr,
		      unsigned long pfn);
#else
struct kexec_area;

static inline struct kexec_area *kexec_area_find(struct kimage *image,
						 const void *buf)
{
	return NULL;
}

static inline int kexec_area_adopt(struct kimage *image,
				   struct kexec_place *place)
{
	return 0;
}

static inline bool kexec_area_holds(const struct kexec_area *area,
				    const void *addr, unsigned long pfn)
{
	return false;
}
#endif /* CONFIG_KEXEC_FILE */

struct kimage *kimage_alloc(unsigned long entry, unsigned long nr_segments,
			    const struct kexec_segment *segments);
int kimage_check(struct kimage *image);
int kimage_load(struct kimage *image);
void kimage_free(struct kimage *image);
void kimage_install(struct kimage *image);

#endif /* CONFIG_KEXEC_CORE */

#endif /* LINUX_KEXEC_INTERNAL_H */
