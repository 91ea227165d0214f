// SPDX-License-Identifier: GPL-2.0
/*
 * loadtime SIZE DESTINATION [TIMES]: how long does it take to load an image of
 * one segment, and how much memory does that cost?
 *
 * DESTINATION is an address, "top" for the end of memory, or "across" for where
 * memory is handed out. Sizes may have a suffix K, M or G. Prints, for each time,
 *
 *	LOADTIME bytes= dest= ns= kept_kb= peak_kb=
 *
 * that is the size, the destination, the nanoseconds of kexec_load(2), what is
 * less free afterwards, and what was less free at the worst moment.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kexec_util.h"

/* Off any alignment, and not by the same as a destination */
#define SOURCE_OFFSET (17 * KX_PAGE)
#define DEST_OFFSET 0x35000

static u64 top_of_memory(void)
{
	struct kx_ranges ram;
	u64 top = 0;
	size_t i;

	kx_system_ram(&ram);
	for (i = 0; i < ram.nr; i++)
		if (ram.v[i].end > top)
			top = ram.v[i].end & KX_PAGE_MASK;
	return top;
}

/* Around the place that memory comes from, within its range */
static u64 across_zone(u64 size)
{
	struct kx_range zone = kx_allocator_zone();
	struct kx_ranges ram;
	size_t i = 0;
	u64 mem;

	kx_system_ram(&ram);
	while (i < ram.nr && (zone.start < ram.v[i].start ||
			      zone.start >= ram.v[i].end))
		i++;
	if (i == ram.nr || size > ram.v[i].end - ram.v[i].start)
		kx_die("nothing of this size where memory comes from");
	mem = (zone.start + zone.end) / 2;
	mem = mem > ram.v[i].start + size / 2 ? mem - size / 2 : ram.v[i].start;
	if (mem + size > ram.v[i].end)
		mem = ram.v[i].end - size;
	return kx_page_up(mem);
}

static u64 destination(const char *where, u64 size)
{
	if (!strcmp(where, "top"))
		return (top_of_memory() - size - DEST_OFFSET) & KX_PAGE_MASK;
	if (!strcmp(where, "across"))
		return across_zone(size);
	return strtoull(where, NULL, 0);
}

/*
 * The least free memory, as a thread sees it meanwhile
 */

struct watch {
	pthread_t thread;
	unsigned long least_kb;
	bool stop;
};

static void *watch_thread(void *data)
{
	struct watch *watch = data;

	while (!__atomic_load_n(&watch->stop, __ATOMIC_RELAXED)) {
		unsigned long kb = kx_free_kb();

		if (kb < watch->least_kb)
			watch->least_kb = kb;
		kx_sleep_ms(3);
	}
	return NULL;
}

static void watch_start(struct watch *watch)
{
	watch->least_kb = kx_free_kb();
	watch->stop = false;
	if (pthread_create(&watch->thread, NULL, watch_thread, watch))
		kx_die("needs a thread");
}

static void watch_stop(struct watch *watch)
{
	__atomic_store_n(&watch->stop, true, __ATOMIC_RELAXED);
	pthread_join(watch->thread, NULL);
}

/*
 * A virtual machine's memory comes from its host when it is touched for the
 * first time, which is no load's fault.
 */
static void touch_memory(void)
{
	size_t size = kx_free_kb() * 1024 / 100 * 95;
	void *va = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			MAP_POPULATE, -1, 0);

	if (va != MAP_FAILED)
		munmap(va, size);
}

/* Where the kernel says how it did it, pass that on. */
static void show_stats(void)
{
	struct kx_stats s;

	if (!kx_trace_stats(&s))
		return;
	printf("# home=%lu move=%lu pieces=%lu runs=%lu", s.home, s.move,
	       s.pieces, s.runs);
	printf(" check_ns=%lu place_ns=%lu fill_ns=%lu seal_ns=%lu\n",
	       s.check_ns, s.place_ns, s.fill_ns, s.seal_ns);
}

static void measure(const struct kx_seg *seg)
{
	unsigned long before, after;
	struct watch watch;
	u64 start, ns;
	long ret;

	kx_settle();
	kx_trace_clear();
	before = kx_free_kb();
	watch_start(&watch);
	start = kx_now_ns();
	ret = kx_load(seg->mem, 1, seg, 0);
	ns = kx_now_ns() - start;
	watch_stop(&watch);
	if (ret)
		kx_die("kexec_load to %#lx: %s", seg->mem, strerror(-ret));
	kx_settle();
	after = kx_free_kb();
	if (after < watch.least_kb)
		watch.least_kb = after;
	printf("LOADTIME bytes=%lu dest=%#lx ns=%lu kept_kb=%ld peak_kb=%ld\n",
	       seg->memsz, seg->mem, ns, before - after, before - watch.least_kb);
	show_stats();
	fflush(stdout);
	kx_unload();
}

int main(int argc, char **argv)
{
	const char *unfit = kx_unfit();
	struct kx_seg seg = {};
	int times;
	char *buf;

	if (argc < 3)
		kx_die("usage: loadtime SIZE DESTINATION [TIMES]");
	if (unfit)
		kx_die("%s", unfit);
	kx_unload();
	touch_memory();
	seg.memsz = kx_size(argv[1]);
	seg.bufsz = seg.memsz;
	seg.mem = destination(argv[2], seg.memsz);
	buf = kx_alloc(seg.memsz + SOURCE_OFFSET);
	madvise(buf, seg.memsz + SOURCE_OFFSET, MADV_NOHUGEPAGE);
	memset(buf, 0x5a, seg.memsz + SOURCE_OFFSET);
	seg.buf = buf + SOURCE_OFFSET;
	kx_trace_on("kexec/kexec_load", NULL);
	for (times = argc > 3 ? atoi(argv[3]) : 1; times > 0; times--)
		measure(&seg);
	return 0;
}
