/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kexec tests share: the system calls, the machine's memory, the
 * kernel's log and trace, and buffers with special manners.
 *
 * Functions that make a system call return what the kernel returned, a negative
 * errno for an error. Addresses are physical unless they are pointers. What
 * cannot go wrong on a sane machine ends the program when it does (kx_die()).
 */
#ifndef KEXEC_UTIL_H
#define KEXEC_UTIL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <kselftest.h>
#include <asm/bootparam.h>
#include <linux/kexec.h>

#include "kexec_payload.h"

#ifndef KEXEC_DEBUG
#define KEXEC_DEBUG 0x10
#endif
#ifndef KEXEC_CRASH_HOTPLUG_SUPPORT
#define KEXEC_CRASH_HOTPLUG_SUPPORT 0x8
#endif
#ifndef KEXEC_UPDATE_ELFCOREHDR
#define KEXEC_UPDATE_ELFCOREHDR 0x4
#endif
#ifndef KEXEC_FILE_NO_CMA
#define KEXEC_FILE_NO_CMA 0x10
#endif
#ifndef KEXEC_FILE_FORCE_DTB
#define KEXEC_FILE_FORCE_DTB 0x20
#endif

#define KX_PAGE 4096UL
#define KX_PAGE_MASK (~(KX_PAGE - 1))
#define KX_MIB (1024 * 1024UL)
#define KX_GIB (1024 * KX_MIB)

#define kx_page_up(size) (((size) + KX_PAGE - 1) & KX_PAGE_MASK)

__printf(1, 2) __noreturn void kx_die(const char *fmt, ...);

/*
 * System calls
 */

/* struct kexec_segment of the kernel, with the destination a number */
struct kx_seg {
	const void *buf;
	size_t bufsz;
	u64 mem;
	u64 memsz;
};

typedef long kx_load_fn(u64 entry, unsigned long nr,
			const struct kx_seg *seg, unsigned long flags);

kx_load_fn kx_load;
kx_load_fn kx_load32;	/* by the 32-bit call; nr beyond 16 reads no segment */
long kx_load32_raw(u32 entry, u32 nr, u32 segs, u32 flags);
u32 kx_segments32(const struct kx_seg *seg, unsigned long nr);	/* converted */
long kx_file_load(int kernel, int initrd, unsigned long len,
		  const char *cmdline, unsigned long flags);
bool kx_have_compat(void);
bool kx_have_file_load(void);
long kx_unload(void);
long kx_reboot(void);

/*
 * May this run, and what does the machine look like?
 */

const char *kx_unfit(void);	/* why no test can run here, or NULL */
bool kx_destructive(void);	/* was the user willing to lose this boot? */
bool kx_demanded(const char *what);	/* a guest for @what must not skip it */
unsigned int kx_slowness(void);	/* how much longer things may take here */
bool kx_stock(void);		/* is it the kexec that ours is compared to? */
int kx_loaded(void);		/* /sys/kernel/kexec_loaded */

u64 kx_size(const char *text);	/* with a suffix K, M or G, or none */
long kx_read_number(const char *path);	/* LONG_MIN when it can't be read */
int kx_write_file(const char *path, const char *text);	/* 0 or -errno */
bool kx_cpu_flag(const char *flag);
u64 kx_now_ns(void);
void kx_sleep_ms(unsigned int ms);
static inline u64 kx_rdtsc(void)
{
	return __builtin_ia32_rdtsc();
}

/*
 * Memory
 */

struct kx_range {
	u64 start;
	u64 end;		/* exclusive */
};

#define KX_MAX_RANGES 256

struct kx_ranges {
	size_t nr;
	struct kx_range v[KX_MAX_RANGES];
};

void kx_iomem(const char *name, struct kx_ranges *out);
void kx_system_ram(struct kx_ranges *out);
void kx_firmware_map(const char *type, struct kx_ranges *out);
void kx_boot_map(struct kx_ranges *out);
size_t kx_e820(struct boot_e820_entry *map, size_t size);
bool kx_contains(const struct kx_ranges *r, u64 start, u64 end);
bool kx_touches(const struct kx_ranges *r, u64 start, u64 end);
u64 kx_total(const struct kx_ranges *r);
struct kx_range kx_largest(const struct kx_ranges *r, u64 below);

void kx_free_memory(u64 size, struct kx_ranges *out);
unsigned long kx_free_kb(void);		/* free, and in the CPUs' lists */
void kx_settle(void);			/* let go of all that is only cached */
void kx_purge_mappings(void);		/* of the kernel's, unused ones */
bool kx_free_again(unsigned long kb, unsigned long tolerance);

struct kx_sampler {
	pthread_t thread;
	u64 least;		/* bytes */
	bool stop;
};

u64 kx_free_bytes(void);
void kx_sampler_start(struct kx_sampler *s);
u64 kx_sampler_stop(struct kx_sampler *s);
u64 kx_phys(const void *va);	/* of a present page; 0 if unknown */
struct kx_range kx_allocator_zone(void);	/* where free pages come from */

bool kx_phys_read(u64 phys, void *to, size_t len);	/* by /dev/mem */
bool kx_phys_write(u64 phys, const void *from, size_t len);

void *kx_alloc(size_t size);		/* zeroed, and below 4 GiB if small */
void kx_free(void *va, size_t size);
const void *kx_sparse(size_t size);	/* reads as zeros, costs no memory */
void *kx_guarded(size_t size);		/* ends at an unreadable page */

/*
 * A buffer whose first reader sleeps until it is released
 */

struct kx_blocker {
	int uffd;
	void *buf;
	size_t size;
};

bool kx_block(struct kx_blocker *b, size_t size);	/* false: no userfaultfd */
bool kx_block_wait(struct kx_blocker *b, unsigned int ms);
void kx_block_release(struct kx_blocker *b);
void kx_block_free(struct kx_blocker *b);
int kx_uffd_open(void);
bool kx_uffd_register(int uffd, void *va, size_t size);

/*
 * Files
 */

int kx_memfd(const void *content, u64 size);	/* NULL: sparse */
int kx_reopen(int fd, int flags);		/* with an offset of its own */

#define KX_FAKE_SETUP 1024
#define KX_FAKE_BODY (3 * KX_PAGE)
#define KX_FAKE_CMDLINE 0x7ff		/* the longest, without its NUL */

/* A bzImage that is good enough to be loaded; it would only halt. */
union kx_fake {
	struct {
		char boot_sector[0x1f1];
		struct setup_header hdr;
	};
	char setup[KX_FAKE_SETUP];
	char bytes[KX_FAKE_SETUP + KX_FAKE_BODY];
};

void kx_fake_init(union kx_fake *fake);

/*
 * The kernel's log and trace
 */

#define KX_LINE 1024

bool kx_match(const char *line, const char *fmt, ...) __printf(2, 3);
int kx_log_open(void);				/* at its end */
bool kx_log_next(int fd, char line[KX_LINE]);	/* next line of kexec's own */
unsigned int kx_log_count(int fd);		/* read all, count kexec's */

/* The fields of the event kexec:kexec_load */
struct kx_stats {
	char type[16];
	unsigned int segments;
	u64 pieces, content, home, move, zero, runs;
	u64 check_ns, place_ns, fill_ns, seal_ns;
};

bool kx_parse_stats(const char *line, struct kx_stats *s);
bool kx_trace_on(const char *event, const char *filter);
void kx_trace_off(const char *event);
void kx_trace_clear(void);
bool kx_trace_find(const char *text, char line[KX_LINE]);	/* the last one */
bool kx_trace_stats(struct kx_stats *s);

/*
 * The programs that measure
 */

struct kx_bench {
	const char *name;
	int nr_args;
	void (*run)(char **args);
	const char *what;
};

/* The one that the command line names, or NULL: then all have been listed */
const struct kx_bench *kx_bench_find(const struct kx_bench *list, int argc, char **argv);
void kx_bench_begin(void);	/* nothing is loaded, loads are traced */
bool kx_bench_fits(int (*attempt)(u64 n), u64 n, u64 mib);

#endif /* KEXEC_UTIL_H */
