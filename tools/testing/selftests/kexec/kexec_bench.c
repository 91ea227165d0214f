// SPDX-License-Identifier: GPL-2.0
/*
 * kexec_bench WHAT [ARGUMENT...]: measure one thing about this kernel's kexec.
 *
 * Without arguments it lists what it measures. The figures come as lines
 * "BENCH key=value"; bench/bench.py compares those of two kernels.
 *
 * Under an emulator, source and destination of a copy must not be congruent
 * modulo a large power of two: they would share entries of its software TLB.
 * So all buffers and destinations are an odd number of pages off any alignment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <sys/mman.h>

#include <kselftest.h>

#include "kexec_image.h"

#define ALIGNMENT (2 * KX_MIB)
#define BUFFER_SKEW (17 * KX_PAGE)
#define PLACE_SKEW (53 * KX_PAGE)
#define WARM_SIZE (16 * KX_MIB)

/*
 * Buffers
 */

struct buffer {
	char *va;
	size_t size;
	void *map;
	size_t map_size;
};

static bool buffer_make(struct buffer *buf, size_t size)
{
	buf->map_size = size + 2 * ALIGNMENT;
	buf->map = mmap(NULL, buf->map_size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (buf->map == MAP_FAILED)
		return false;
	buf->size = size;
	buf->va = (char *)(((u64)buf->map + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
	buf->va += BUFFER_SKEW;
	return true;
}

static void buffer_get(struct buffer *buf, size_t size)
{
	if (!buffer_make(buf, size))
		kx_die("no buffer of %zu bytes", size);
	kx_pattern(buf->va, size, 1);
}

static void buffer_put(struct buffer *buf)
{
	munmap(buf->map, buf->map_size);
}

/*
 * Destinations
 */

static u64 place_top(u64 size)
{
	struct kx_ranges ram;
	u64 end = 0;
	size_t i;

	kx_system_ram(&ram);
	for (i = 0; i < ram.nr; i++)
		if (ram.v[i].end > end)
			end = ram.v[i].end;
	return (end & ~(ALIGNMENT - 1)) - size - PLACE_SKEW;
}

/* In the middle of where memory comes from, as far as the range allows */
static u64 place_across(u64 size)
{
	struct kx_range zone = kx_allocator_zone();
	u64 middle = (zone.start + zone.end) / 2 & ~(ALIGNMENT - 1);
	struct kx_ranges ram;
	u64 low, high;
	size_t i = 0;

	kx_system_ram(&ram);
	while (i + 1 < ram.nr && ram.v[i].end <= middle)
		i++;
	low = (ram.v[i].start + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	high = (ram.v[i].end & ~(ALIGNMENT - 1)) - size;
	if (ram.v[i].end < low + size + ALIGNMENT)
		kx_die("no %lu bytes where memory comes from", size);
	middle -= size / 2;
	if (middle < low)
		middle = low;
	else if (middle >= high)
		middle = high - ALIGNMENT;
	return (middle & ~(ALIGNMENT - 1)) + PLACE_SKEW;
}

/* With the buffer already in place: it changes where memory comes from. */
static u64 place(const char *where, u64 size)
{
	if (!strcmp(where, "top"))
		return place_top(size);
	if (!strcmp(where, "across"))
		return place_across(size);
	return strtoull(where, NULL, 0);
}

/*
 * Loads
 */

static void must_load(const struct kx_seg *seg)
{
	long ret = kx_load(seg->mem, 1, seg, 0);

	if (ret)
		kx_die("kexec_load of %zu bytes to %#lx: %s", seg->bufsz,
		       seg->mem, strerror(-ret));
}

/* What runs for the first time is slower: it has to be translated. */
static void warm_up(const struct kx_seg *seg)
{
	struct kx_seg small = *seg;

	if (small.bufsz > WARM_SIZE)
		small.bufsz = WARM_SIZE;
	small.memsz = small.bufsz;
	must_load(&small);
	if (kx_unload())
		kx_die("does not unload");
}

/* What the kernel tells of the load; the stock kernel tells nothing. */
static void report_stats(void)
{
	struct kx_stats s;

	if (kx_stock())
		return;
	if (!kx_trace_stats(&s))
		kx_die("the load left no trace");
	printf("BENCH home=%lu move=%lu runs=%lu place_ns=%lu fill_ns=%lu seal_ns=%lu\n",
	       s.home, s.move, s.runs, s.place_ns, s.fill_ns, s.seal_ns);
}

/* ARGUMENTS: MiB where */
static void bench_load(char **args)
{
	u64 size = strtoull(args[0], NULL, 0) * KX_MIB;
	struct kx_seg seg = { .bufsz = size, .memsz = size };
	struct buffer buf;
	u64 start;

	buffer_get(&buf, size);
	seg.buf = buf.va;
	seg.mem = place(args[1], size);
	warm_up(&seg);
	start = kx_now_ns();
	must_load(&seg);
	printf("BENCH load_ns=%lu mem=%#lx\n", kx_now_ns() - start, seg.mem);
	report_stats();
}

/*
 * Memory
 */

/* Give up the buffer before counting: what remains is the image's. */
static void bench_memory(char **args)
{
	u64 size = strtoull(args[0], NULL, 0) * KX_MIB;
	struct kx_seg seg = { .bufsz = size, .memsz = size };
	struct kx_sampler sampler;
	struct buffer buf;
	u64 before, during;
	long kept_kb;

	kx_settle();
	kept_kb = kx_free_kb();
	buffer_get(&buf, size);
	seg.buf = buf.va;
	seg.mem = place(args[1], size);
	kx_settle();
	before = kx_free_bytes();
	kx_sampler_start(&sampler);
	must_load(&seg);
	during = kx_sampler_stop(&sampler);
	buffer_put(&buf);
	kx_settle();
	kept_kb -= kx_free_kb();
	printf("BENCH content=%lu kept=%ld peak=%lu\n", size, kept_kb * 1024,
	       before - during);
}

/*
 * The jump
 *
 * The payload verifies the image. Loaded a second time, it finds its destination
 * taken by the first, and has to be moved there.
 */

/*
 * The port has time to send the line while the kernel shuts down: waiting for
 * it takes as long as a copy of several MiB.
 */
static void jump(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	printf("JUMP tsc=%lu\n", kx_rdtsc());
	fflush(stdout);
	kx_die("reboot: %s", strerror(-kx_reboot()));
}

static void load_image(struct kx_image *img)
{
	long ret = kx_image_load(img, 0);

	if (ret)
		kx_die("kexec_load: %s", strerror(-ret));
}

/* ARGUMENTS: MiB where once|twice */
static void bench_jump(char **args)
{
	u64 size = strtoull(args[0], NULL, 0) * KX_MIB;
	static struct kx_image img;
	struct buffer buf;

	buffer_get(&buf, size);
	kx_image_init(&img, 1);
	kx_image_add(&img, place(args[1], size), size, size);
	kx_pattern(buf.va, size, img.first[0]);
	img.seg[0].buf = buf.va;
	kx_image_finish(&img, 0);
	load_image(&img);
	if (!strcmp(args[2], "twice"))
		load_image(&img);
	report_stats();
	buffer_put(&buf);
	jump();
}

/*
 * What is compared
 */

static void show(const char *path, const char *key)
{
	FILE *file = fopen(path, "r");
	char line[1024] = "";

	if (!file)
		kx_die("cannot read %s", path);
	while (fgets(line, sizeof(line), file) && strncmp(line, key, strlen(key)))
		;
	fclose(file);
	printf("MACHINE %s", line);
}

static void bench_machine(char **args)
{
	(void)args;
	show("/proc/version", "Linux version");
	show("/proc/cpuinfo", "model name");
}

/*
 * The largest image: segments side by side, all from one buffer
 */

#define STEP (KEXEC_SEGMENT_MAX * 64 * KX_PAGE)
#define START (KX_MIB + PLACE_SKEW)

static int try_steps(u64 steps)
{
	u64 part = steps * STEP / KEXEC_SEGMENT_MAX;
	struct kx_seg seg[KEXEC_SEGMENT_MAX];
	struct buffer buf;
	unsigned int i;

	buffer_get(&buf, part);
	for (i = 0; i < KEXEC_SEGMENT_MAX; i++)
		seg[i] = (struct kx_seg){
			buf.va, part, START + i * part, part,
		};
	return -kx_load(START, KEXEC_SEGMENT_MAX, seg, 0);
}

static bool fits(u64 steps)
{
	return kx_bench_fits(try_steps, steps, steps * STEP / KX_MIB);
}

static void bench_biggest(char **args)
{
	struct kx_ranges ram;
	struct kx_range range;
	u64 good = 1, bad, middle;

	(void)args;
	kx_system_ram(&ram);
	range = kx_largest(&ram, 0);
	bad = (range.end - START) / STEP + 1;
	if (range.start > START || !fits(good))
		kx_die("not even %lu bytes", STEP);
	while (bad - good > 1) {
		middle = (good + bad) / 2;
		if (fits(middle))
			good = middle;
		else
			bad = middle;
	}
	printf("BENCH biggest=%lu\n", good * STEP);
}

static const struct kx_bench benches[] = {
	{ "load", 2, bench_load, "MIB WHERE" },
	{ "memory", 2, bench_memory, "MIB WHERE" },
	{ "jump", 3, bench_jump, "MIB WHERE once|twice" },
	{ "biggest", 0, bench_biggest, "" },
	{ "machine", 0, bench_machine, "" },
	{}
};

int main(int argc, char **argv)
{
	const struct kx_bench *bench = kx_bench_find(benches, argc, argv);

	if (!bench) {
		printf("WHERE: top, across, or an address\n");
		return KSFT_SKIP;
	}
	kx_bench_begin();
	bench->run(argv + 2);
	return 0;
}
