/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Images whose arrival the payload verifies byte by byte.
 *
 *	struct kx_image img;
 *
 *	kx_image_init(&img, seed);
 *	kx_image_add(&img, mem, memsz, bufsz);		any number of times
 *	kx_image_finish(&img, 0);			adds the payload itself
 *	kx_image_load(&img, 0);
 *	kx_image_jump(&img);
 */
#ifndef KEXEC_IMAGE_H
#define KEXEC_IMAGE_H

#include <pthread.h>

#include "kexec_util.h"

/* Content that is made when it is read, and dropped soon after */
struct kx_lazy {
	int uffd;
	pthread_t thread;
};

/**
 * struct kx_image - segments, the payload's among them, and their content
 * @seg: as for kexec_load(2)
 * @first: the first word of each segment's content
 * @nr: how many, at most 16 together with the payload
 * @seed: makes images differ
 * @shared: all segments share one buffer, and begin alike
 * @range: what else the payload has to verify
 * @nr_ranges: how many
 * @payload: address of the payload
 * @entry: where the new kernel starts; the payload unless it is changed
 * @fault: the exception that the payload is to raise
 * @lazy: set up when there is much content
 */
struct kx_image {
	struct kx_seg seg[KEXEC_SEGMENT_MAX + 1];
	u64 first[KEXEC_SEGMENT_MAX + 1];
	unsigned int nr;
	u64 seed;
	bool shared;
	struct payload_range range[PAYLOAD_MAX_RANGES - KEXEC_SEGMENT_MAX];
	unsigned int nr_ranges;
	u64 payload;
	u64 entry;
	enum payload_fault fault;
	struct kx_lazy *lazy;
};

void kx_image_init(struct kx_image *img, u64 seed);
void kx_image_add(struct kx_image *img, u64 mem, u64 memsz, u64 bufsz);
bool kx_image_keep(struct kx_image *img, u64 start, u64 end);
void kx_image_finish(struct kx_image *img, u64 payload);
long kx_image_load(struct kx_image *img, unsigned long flags);
long kx_image_jump(const struct kx_image *img);	/* -errno if it returns */
long kx_jump(void);				/* the same, of any image */
void kx_image_free(struct kx_image *img);

void kx_pattern(void *va, size_t len, u64 first);
void kx_pattern_file(int fd, u64 at, u64 len, u64 first);

/* The payload's binary, and what it has to know of this machine */
extern const char payload_blob[], payload_blob_end[];
u64 kx_payload_flags(void);

#endif /* KEXEC_IMAGE_H */
