/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LINUX_KEXEC_INTERNAL_H
#define LINUX_KEXEC_INTERNAL_H

/* Between the system calls and the core; nothing outside kernel/kexec*.c. */

#include <linux/kexec.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>

#include "kexec_place.h"

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

struct kimage *kimage_alloc(unsigned long entry, unsigned long nr_segments,
			    const struct kexec_segment *segments);
int kimage_check(struct kimage *image);
int kimage_load(struct kimage *image);
void kimage_free(struct kimage *image);

#endif /* LINUX_KEXEC_INTERNAL_H */
