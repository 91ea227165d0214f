// SPDX-License-Identifier: GPL-2.0
/*
 * See kexec_image.h. The sections: content, made at once or when it is read;
 * building an image; using it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kexec_image.h"

/* Larger content is made lazily, so that a half-full machine can load it. */
#define LAZY_FRACTION 5
/* Smaller content comes from unaligned buffers, as user space's often are. */
#define SKEW_LIMIT (16 * KX_MIB)

/*
 * Content
 */

/**
 * kx_pattern - fill memory with what the payload expects
 * @va: where
 * @len: bytes, also in the middle of a word
 * @first: the first word
 */
void kx_pattern(void *va, size_t len, u64 first)
{
	char *at = va, *end = at + len;

	for (; at + 8 <= end; at += 8, first += PAYLOAD_STEP)
		__builtin_memcpy(at, &first, 8);
	memcpy(at, &first, end - at);
}

/**
 * kx_pattern_file - fill a part of a file with it
 * @fd: file
 * @at: offset, in bytes
 * @len: bytes
 * @first: the first word
 */
void kx_pattern_file(int fd, u64 at, u64 len, u64 first)
{
	char *work = kx_alloc(KX_MIB);

	while (len) {
		size_t size = len < KX_MIB ? len : KX_MIB;

		kx_pattern(work, size, first);
		if (pwrite(fd, work, size, at) != (ssize_t)size)
			kx_die("cannot write to a file: %s", strerror(errno));
		first += KX_MIB / 8 * PAYLOAD_STEP;
		at += size;
		len -= size;
	}
	/* Whoever searches memory for the content is not to find this. */
	memset(work, 0, KX_MIB);
	kx_free(work, KX_MIB);
}

/* An unaligned buffer is surrounded by what must not be taken for content. */
static void *eager_source(u64 bufsz, u64 first, unsigned int skew)
{
	u64 size = kx_page_up(bufsz) + KX_PAGE;
	char *va = kx_alloc(size);

	memset(va, 0xee, KX_PAGE);
	memset(va + size - 2 * KX_PAGE, 0xee, 2 * KX_PAGE);
	kx_pattern(va + skew, bufsz, first);
	return va + skew;
}

/*
 * Lazy content
 *
 * A thread fills chunks as they are touched. It drops the oldest ones, which
 * come back if somebody should ask for them again.
 */

#define CHUNK (2 * KX_MIB)
#define CHUNKS 6

struct lazy_job {
	int uffd;
	u64 start[KEXEC_SEGMENT_MAX + 1];
	u64 end[KEXEC_SEGMENT_MAX + 1];
	u64 first[KEXEC_SEGMENT_MAX + 1];
	unsigned int nr;
	struct kx_range kept[CHUNKS];
	unsigned int next;
	char *work;
};

static void lazy_fill(struct lazy_job *job, u64 addr)
{
	struct kx_range *slot = &job->kept[job->next++ % CHUNKS];
	struct uffdio_copy copy = { .src = (u64)job->work };
	unsigned int i = 0;

	while (addr < job->start[i] || addr >= job->end[i])
		if (++i == job->nr)
			kx_die("fault at %#lx, where there is no content", addr);
	if (slot->end)
		madvise((void *)slot->start, slot->end - slot->start,
			MADV_DONTNEED);
	slot->start = job->start[i] + (addr - job->start[i]) / CHUNK * CHUNK;
	slot->end = slot->start + CHUNK;
	if (slot->end > job->end[i])
		slot->end = job->end[i];
	copy.dst = slot->start;
	copy.len = slot->end - slot->start;
	kx_pattern(job->work, copy.len, job->first[i] +
		   (slot->start - job->start[i]) / 8 * PAYLOAD_STEP);
	if (ioctl(job->uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
		kx_die("userfaultfd takes no content: %s", strerror(errno));
}

static void *lazy_thread(void *data)
{
	struct lazy_job *job = data;
	struct pollfd pfd = { job->uffd, POLLIN, 0 };
	struct uffd_msg msg;

	for (;;) {
		poll(&pfd, 1, -1);
		if (read(job->uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event == UFFD_EVENT_PAGEFAULT)
			lazy_fill(job, msg.arg.pagefault.address);
	}
	return NULL;
}

static void lazy_add(struct kx_image *img, struct lazy_job *job, unsigned int i)
{
	struct kx_seg *seg = &img->seg[i];
	size_t size = kx_page_up(seg->bufsz);
	char *va;

	if (!seg->bufsz || seg->buf)
		return;
	va = mmap(NULL, size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (va == MAP_FAILED || !kx_uffd_register(job->uffd, va, size))
		kx_die("no lazy memory: %s", strerror(errno));
	seg->buf = va;
	job->start[job->nr] = (u64)va;
	job->end[job->nr] = (u64)va + size;
	job->first[job->nr++] = img->first[i];
}

static void lazy_sources(struct kx_image *img)
{
	struct lazy_job *job = calloc(1, sizeof(*job));
	struct kx_lazy *lazy = calloc(1, sizeof(*lazy));
	unsigned int i;

	if (!job || !lazy)
		kx_die("no memory");
	job->work = kx_alloc(CHUNK);
	job->uffd = kx_uffd_open();
	if (job->uffd < 0)
		kx_die("needs userfaultfd");
	for (i = 0; i < img->nr; i++)
		lazy_add(img, job, i);
	lazy->uffd = job->uffd;
	if (pthread_create(&lazy->thread, NULL, lazy_thread, job))
		kx_die("needs a thread");
	img->lazy = lazy;
}

static void eager_sources(struct kx_image *img)
{
	char *shared = NULL;
	unsigned int i;

	for (i = 0; i < img->nr; i++) {
		struct kx_seg *seg = &img->seg[i];

		if (!seg->bufsz || seg->buf)
			continue;
		if (shared)
			seg->buf = shared;
		else
			seg->buf = eager_source(seg->bufsz, img->first[i],
						seg->bufsz < SKEW_LIMIT ? 13 * i % 64 : 0);
		if (img->shared)
			shared = (char *)seg->buf;
	}
}

/*
 * Building
 */

/**
 * kx_image_init - begin an image
 * @img: to be set up
 * @seed: images with different seeds have no word in common
 */
void kx_image_init(struct kx_image *img, u64 seed)
{
	*img = (struct kx_image){ .seed = seed * 0x123456789abcdefUL | 1 };
}

/**
 * kx_image_add - add a segment
 * @img: not yet finished
 * @mem: destination
 * @memsz: its size, in bytes
 * @bufsz: how much of it has content; the rest has to be zero
 *
 * The content depends on the address, so that the payload notices a page that
 * was put into the place of another.
 */
void kx_image_add(struct kx_image *img, u64 mem, u64 memsz, u64 bufsz)
{
	if (img->nr == KEXEC_SEGMENT_MAX)
		kx_die("too many segments");
	img->first[img->nr] = img->seed;
	if (!img->shared)
		img->first[img->nr] += mem / 8 * PAYLOAD_STEP;
	img->seg[img->nr++] = (struct kx_seg){
		.bufsz = bufsz, .mem = mem, .memsz = memsz,
	};
}

/**
 * kx_image_keep - have the payload verify that something was left alone
 * @img: not yet finished
 * @start: physical address of memory that belongs to no segment, and that
 *	nobody else uses
 * @end: where it ends
 *
 * Return: false if it cannot be written to.
 */
bool kx_image_keep(struct kx_image *img, u64 start, u64 end)
{
	u64 first = ~img->seed + start * PAYLOAD_STEP;
	void *va = kx_alloc(end - start);
	bool ok;

	kx_pattern(va, end - start, first);
	ok = kx_phys_write(start, va, end - start);
	kx_free(va, end - start);
	img->range[img->nr_ranges++] = (struct payload_range){
		start, end, end, first,
	};
	return ok;
}

static u64 blob_number(unsigned int offset)
{
	return *(const u64 *)(payload_blob + offset);
}

static bool is_used(const struct kx_image *img, u64 start, u64 end)
{
	unsigned int i;

	for (i = 0; i < img->nr; i++)
		if (img->seg[i].mem < end &&
		    img->seg[i].mem + img->seg[i].memsz > start)
			return true;
	for (i = 0; i < img->nr_ranges; i++)
		if (img->range[i].start < end && img->range[i].end > start)
			return true;
	return false;
}

/* Away from everything, with some distance, at no round address */
static u64 find_payload_home(const struct kx_image *img, u64 size)
{
	struct kx_ranges ram;
	size_t i;
	u64 at;

	kx_system_ram(&ram);
	for (i = 0; i < ram.nr; i++) {
		at = ram.v[i].start < KX_MIB ? KX_MIB : ram.v[i].start;
		at = kx_page_up(at) + 0x7000;
		for (; at + size < ram.v[i].end; at += 0x33000)
			if (!is_used(img, at - KX_PAGE, at + size + KX_PAGE))
				return at;
	}
	kx_die("no memory left for the payload");
}

u64 kx_payload_flags(void)
{
	u64 flags = 0;

	if (kx_cpu_flag("la57"))
		flags |= PAYLOAD_LA57;
	if (kx_cpu_flag("nx"))
		flags |= PAYLOAD_NX;
	if (kx_stock())
		flags |= PAYLOAD_NO_TABLES;
	return flags;
}

static void write_orders(struct kx_image *img, struct payload_desc *desc)
{
	unsigned int i;

	desc->magic = PAYLOAD_MAGIC;
	desc->base = img->payload;
	desc->fault = img->fault;
	desc->flags = kx_payload_flags();
	/* Its own segment changes while it runs. */
	for (i = 0; i < img->nr; i++)
		if (img->seg[i].mem != img->payload)
			desc->range[desc->nr++] = (struct payload_range){
				img->seg[i].mem,
				img->seg[i].mem + img->seg[i].bufsz,
				img->seg[i].mem + img->seg[i].memsz,
				img->first[i],
			};
	for (i = 0; i < img->nr_ranges; i++)
		desc->range[desc->nr++] = img->range[i];
	desc->sum = payload_desc_sum(desc);
}

static void add_payload(struct kx_image *img, u64 at)
{
	u64 file_size = blob_number(PAYLOAD_OFF_FILE_SIZE);
	u64 mem_size = blob_number(PAYLOAD_OFF_MEM_SIZE);
	char *binary = kx_alloc(file_size);

	img->payload = at ? at : find_payload_home(img, mem_size);
	img->entry = img->payload;
	memcpy(binary, payload_blob, payload_blob_end - payload_blob);
	write_orders(img, (void *)(binary + blob_number(PAYLOAD_OFF_DESC)));
	kx_image_add(img, img->payload, mem_size, file_size);
	img->seg[img->nr - 1].buf = binary;
}

/**
 * kx_image_finish - add the payload, and make the content
 * @img: with all its segments
 * @payload: where the payload is to be; 0 for anywhere
 */
void kx_image_finish(struct kx_image *img, u64 payload)
{
	u64 content = 0;
	unsigned int i;

	for (i = 0; i < img->nr; i++)
		content += img->seg[i].bufsz;
	add_payload(img, payload);
	if (!img->shared && content / 1024 > kx_free_kb() / LAZY_FRACTION)
		lazy_sources(img);
	else
		eager_sources(img);
}

/*
 * Using
 */

long kx_image_load(struct kx_image *img, unsigned long flags)
{
	return kx_load(img->entry, img->nr, img->seg, flags);
}

/**
 * kx_jump - start what is loaded, by reboot(2)
 *
 * Says when it does so: the tty has to be empty before the time that counts
 * begins.
 *
 * Return: if at all, a negative errno.
 */
long kx_jump(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	printf("JUMP tsc=%lu\n", kx_rdtsc());
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	return kx_reboot();
}

long kx_image_jump(const struct kx_image *img)
{
	printf("JUMP entry=%#lx payload=%#lx segments=%u\n", img->entry,
	       img->payload, img->nr);
	return kx_jump();
}

/* Buffers may be shared and unaligned: whole pages, each once. */
void kx_image_free(struct kx_image *img)
{
	unsigned int i;

	if (img->lazy) {
		pthread_cancel(img->lazy->thread);
		pthread_join(img->lazy->thread, NULL);
		close(img->lazy->uffd);
		free(img->lazy);
		img->lazy = NULL;
	}
	for (i = 0; i < img->nr; i++) {
		u64 va = (u64)img->seg[i].buf;

		if (va)
			munmap((void *)(va & KX_PAGE_MASK),
			       kx_page_up(va + img->seg[i].bufsz) - (va & KX_PAGE_MASK));
		img->seg[i].buf = NULL;
	}
}
