// SPDX-License-Identifier: GPL-2.0
/*
 * kexec_file_bench WHAT [ARGUMENT...]: measure kexec_file_load(2).
 *
 * Like kexec_bench, but with files: a kernel of 14 MiB in memory, which is never
 * started, and an initrd. The figures come as lines "BENCH key=value".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <kselftest.h>

#include "kexec_bzimage.h"
#include "kexec_image.h"

#define KERNEL_SIZE (14 * KX_MIB)
#define WARM_SIZE (16 * KX_MIB)
#define CMDLINE "console=ttyS0"

#define DISK "/dev/vda"
#define MOUNT "/tmp/disk"
#define BIG_FILE MOUNT "/big"

static int kernel_fd;
static u64 kernel_size;

static void make_kernel(void)
{
	struct kexec_bzimage image;
	struct stat st;

	kexec_bzimage_init(&image, KERNEL_SIZE);
	kernel_fd = kexec_bzimage_memfd(&image);
	if (fstat(kernel_fd, &st))
		kx_die("no kernel: %s", strerror(errno));
	kernel_size = st.st_size;
}

static int make_initrd(u64 size)
{
	int fd = kx_memfd(NULL, size);

	kx_pattern_file(fd, 0, size, 1);
	return fd;
}

static long load(int initrd)
{
	return kx_file_load(kernel_fd, initrd, sizeof(CMDLINE), CMDLINE, 0);
}

static void must_load(int initrd)
{
	long ret = load(initrd);

	if (ret)
		kx_die("kexec_file_load: %s", strerror(-ret));
}

static void must_unload(void)
{
	if (kx_file_load(-1, -1, 0, NULL, KEXEC_FILE_UNLOAD))
		kx_die("does not unload");
}

/* What runs for the first time is slower: it has to be translated. */
static void warm_up(void)
{
	int fd = make_initrd(WARM_SIZE);

	must_load(fd);
	must_unload();
	close(fd);
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

/*
 * Memory
 */

/*
 * ARGUMENTS: MiB. The files are in memory before and after: what is less is the
 * load's.
 */
static void bench_load(char **args)
{
	u64 size = strtoull(args[0], NULL, 0) * KX_MIB;
	int initrd = make_initrd(size);
	struct kx_sampler sampler;
	u64 before, during, start;
	long kept_kb;

	warm_up();
	kx_settle();
	kept_kb = kx_free_kb();
	before = kx_free_bytes();
	kx_sampler_start(&sampler);
	start = kx_now_ns();
	must_load(initrd);
	printf("BENCH load_ns=%lu\n", kx_now_ns() - start);
	during = kx_sampler_stop(&sampler);
	report_stats();
	kx_settle();
	kept_kb -= kx_free_kb();
	printf("BENCH content=%lu kept=%ld peak=%lu\n", kernel_size + size,
	       kept_kb * 1024, before - during);
}

/*
 * Files on a disk
 */

static void mount_disk(void)
{
	mkdir(MOUNT, 0700);
	if (mount(DISK, MOUNT, "ext2", 0, NULL))
		kx_die("cannot mount " DISK ": %s", strerror(errno));
}

static u64 read_file(const char *path)
{
	static char buf[KX_MIB];
	int fd = open(path, O_RDONLY);
	u64 all = 0;
	ssize_t got;

	if (fd < 0)
		kx_die("cannot read %s", path);
	while ((got = read(fd, buf, sizeof(buf))) > 0)
		all += got;
	close(fd);
	return all;
}

/*
 * ARGUMENTS: MiB SECONDS. Read a file that is larger than memory, over and over,
 * and load while somebody does.
 */
static void *read_on(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE))
		read_file(BIG_FILE);
	return NULL;
}

static void bench_busy(char **args)
{
	int initrd = make_initrd(strtoull(args[0], NULL, 0) * KX_MIB);
	unsigned int seconds = strtoul(args[1], NULL, 0);
	pthread_t reader;
	bool stop = false;

	mount_disk();
	if (pthread_create(&reader, NULL, read_on, &stop))
		kx_die("needs a thread");
	sleep(seconds);
	must_load(initrd);
	report_stats();
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
}

/* The largest initrd from the disk, whose cache can be dropped for it */
static int try_mib(u64 mib)
{
	if (truncate(BIG_FILE, mib * KX_MIB))
		kx_die("cannot truncate " BIG_FILE);
	return -load(open(BIG_FILE, O_RDONLY));
}

static bool fits(u64 mib)
{
	return kx_bench_fits(try_mib, mib, mib);
}

/* The size of the file is halved, and then grows again with holes. */
static void bench_biggest(char **args)
{
	u64 good = 4, bad, middle;
	struct stat st;

	(void)args;
	mount_disk();
	if (stat(BIG_FILE, &st))
		kx_die("no " BIG_FILE);
	bad = st.st_size / KX_MIB + 1;
	while (bad - good > 4) {
		middle = (good + bad) / 2;
		if (fits(middle))
			good = middle;
		else
			bad = middle;
	}
	printf("BENCH biggest=%lu\n", good * KX_MIB);
}

static const struct kx_bench benches[] = {
	{ "load", 1, bench_load, "MIB" },
	{ "busy", 2, bench_busy, "MIB SECONDS" },
	{ "biggest", 0, bench_biggest, "" },
	{}
};

int main(int argc, char **argv)
{
	const struct kx_bench *bench = kx_bench_find(benches, argc, argv);

	if (!bench) {
		printf("busy and biggest need " DISK " with ext2 and a file /big\n");
		return KSFT_SKIP;
	}
	kx_bench_begin();
	make_kernel();
	bench->run(argv + 2);
	return 0;
}
