// SPDX-License-Identifier: GPL-2.0
/*
 * See kexec_util.h, whose sections this file follows.
 *
 * Many a test asks how much memory is free, or makes the next allocation of the
 * process fail. So nothing here allocates behind its caller's back unless it
 * must, and what it allocates it gives back before it returns.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/kernel-page-flags.h>
#include <linux/reboot.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "kexec_util.h"

#define TRACING "/sys/kernel/tracing/"

void kx_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("Bail out! ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	_exit(1);
}

/*
 * System calls
 */

static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

/**
 * kx_load - kexec_load(2), without a check of anything
 * @entry: physical address
 * @nr: segments
 * @seg: may be any pointer, a bad one too
 * @flags: KEXEC_*
 */
long kx_load(u64 entry, unsigned long nr, const struct kx_seg *seg,
	     unsigned long flags)
{
	return result(syscall(SYS_kexec_load, entry, nr, seg, flags));
}

struct compat_seg {
	u32 buf;
	u32 bufsz;
	u32 mem;
	u32 memsz;
};

#define COMPAT_KEXEC_LOAD 283

/**
 * kx_load32_raw - kexec_load(2) as a 32-bit program calls it
 * @entry: physical address
 * @nr: segments
 * @segs: address of an array of four u32 each
 * @flags: KEXEC_*
 */
long kx_load32_raw(u32 entry, u32 nr, u32 segs, u32 flags)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "a" ((long)COMPAT_KEXEC_LOAD), "b" ((long)entry),
		       "c" ((long)nr), "d" ((long)segs), "S" ((long)flags)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

static u32 low(u64 value)
{
	if (value > 0xffffffffUL)
		kx_die("%#lx does not fit the 32-bit call", (long)value);
	return value;
}

/* An array that cannot be read by this program is left to the kernel. */
static bool readable_array(const struct kx_seg *seg, unsigned long nr)
{
	unsigned char unused[KEXEC_SEGMENT_MAX];

	return nr <= KEXEC_SEGMENT_MAX && seg &&
	       !mincore((void *)((unsigned long)seg & KX_PAGE_MASK),
			nr * sizeof(*seg), unused);
}

/**
 * kx_segments32 - segments as the 32-bit call wants them
 * @seg: everything in it must be below 4 GiB
 * @nr: at most 16
 *
 * Return: the address of a page, to be freed with kx_free().
 */
u32 kx_segments32(const struct kx_seg *seg, unsigned long nr)
{
	struct compat_seg *array = kx_alloc(KX_PAGE);
	unsigned long i;

	for (i = 0; i < nr; i++)
		array[i] = (struct compat_seg){
			low((u64)seg[i].buf), low(seg[i].bufsz),
			low(seg[i].mem), low(seg[i].memsz),
		};
	return low((u64)array);
}

long kx_load32(u64 entry, unsigned long nr, const struct kx_seg *seg,
	       unsigned long flags)
{
	u32 array;
	long ret;

	if (!nr || !readable_array(seg, nr))
		return kx_load32_raw(low(entry), nr, low((u64)seg), flags);
	array = kx_segments32(seg, nr);
	ret = kx_load32_raw(low(entry), nr, array, flags);
	kx_free((void *)(u64)array, KX_PAGE);
	return ret;
}

/**
 * kx_file_load - kexec_file_load(2), without a check of anything
 * @kernel: file descriptor, any number
 * @initrd: file descriptor, any number
 * @len: bytes of @cmdline, with its NUL
 * @cmdline: may be any pointer, a bad one too
 * @flags: KEXEC_FILE_*
 */
long kx_file_load(int kernel, int initrd, unsigned long len,
		  const char *cmdline, unsigned long flags)
{
	return result(syscall(SYS_kexec_file_load, kernel, initrd, len, cmdline,
			      flags));
}

static long probe_native(void)
{
	return kx_load(0, 0, NULL, 0);
}

static long probe_compat(void)
{
	return kx_load32_raw(0, 0, 0, 0);
}

static long probe_file(void)
{
	return kx_file_load(-1, -1, 0, NULL, 0);
}

/*
 * Is the call there? Somebody without capabilities finds out: for him it neither
 * does anything, nor counts, nor is logged. An instruction that is not there
 * kills him.
 */
static bool is_there(long (*probe)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(setresuid(65534, 65534, 65534) || probe() != -EPERM);
	waitpid(pid, &status, 0);
	return !status;
}

/* Not without IA32_EMULATION */
bool kx_have_compat(void)
{
	return is_there(probe_compat);
}

bool kx_have_file_load(void)
{
	return is_there(probe_file);
}

long kx_unload(void)
{
	return kx_load(0, 0, NULL, 0);
}

long kx_reboot(void)
{
	return result(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1,
			      LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, 0));
}

/*
 * May this run, and what does the machine look like?
 */

/**
 * kx_unfit - is there a reason why no test can run here?
 *
 * Neither a load is spent on finding out nor a line of the log.
 *
 * Return: the reason, or NULL.
 */
const char *kx_unfit(void)
{
	if (geteuid())
		return "needs root";
	if (kx_loaded() < 0)
		return "this kernel has no kexec";
	if (!is_there(probe_native))
		return "this kernel has no kexec_load";
	return NULL;
}

/* From the environment, or a word of the kernel's command line */
static const char *setting(const char *name)
{
	static char line[8192];
	const char *found = getenv(name);
	FILE *file = found ? NULL : fopen("/proc/cmdline", "r");
	char *word;

	if (!file)
		return found;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	line[strcspn(line, "\n")] = 0;
	for (word = strtok(line, " "); word; word = strtok(NULL, " "))
		if (!strncmp(word, name, strlen(name)) &&
		    word[strlen(name)] == '=')
			return word + strlen(name) + 1;
	return NULL;
}

/**
 * kx_destructive - may a test risk this boot, or change it for good?
 *
 * A user's machine is not to be rebooted by a test that fails, nor to be left
 * without kexec by one that passes, unless the user says so.
 */
bool kx_destructive(void)
{
	return setting("KEXEC_TEST_DESTRUCTIVE");
}

/**
 * kx_demanded - would it be a mistake to skip a test?
 * @what: what the test needs
 *
 * A guest that was made for a test must not pass because it lacks just that.
 */
bool kx_demanded(const char *what)
{
	const char *list = setting("KEXEC_TEST_DEMANDS");

	return list && strstr(list, what);
}

/* A debug kernel is recognized by the tool that all of them have. */
unsigned int kx_slowness(void)
{
	return access("/sys/kernel/debug/kmemleak", F_OK) ? 1 : 8;
}

bool kx_stock(void)
{
	return access(TRACING "events/kexec", F_OK);
}

int kx_loaded(void)
{
	long value = kx_read_number("/sys/kernel/kexec_loaded");

	return value == LONG_MIN ? -1 : value;
}

/**
 * kx_size - a number of bytes, as people write it
 * @text: decimal, or with 0x; K, M and G multiply it
 */
u64 kx_size(const char *text)
{
	static const char units[] = "KMG";
	char *end;
	u64 value = strtoull(text, &end, 0);
	const char *unit = *end ? strchr(units, *end) : NULL;

	return unit ? value << 10 * (unit - units + 1) : value;
}

long kx_read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long value;

	if (!file)
		return LONG_MIN;
	if (fscanf(file, "%ld", &value) != 1)
		value = LONG_MIN;
	fclose(file);
	return value;
}

int kx_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

bool kx_cpu_flag(const char *flag)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	size_t len = strlen(flag);
	char line[8192], *at;
	bool found = false;

	while (!found && file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "flags", 5))
			continue;
		for (at = line; !found && (at = strstr(at, flag)); at += len)
			found = at[-1] == ' ' && isspace(at[len]);
		break;
	}
	if (file)
		fclose(file);
	return found;
}

u64 kx_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void kx_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/*
 * Memory: the map
 */

static void add_range(struct kx_ranges *r, u64 start, u64 last)
{
	if (r->nr == KX_MAX_RANGES)
		kx_die("more than %d ranges of memory", KX_MAX_RANGES);
	r->v[r->nr++] = (struct kx_range){ start, last + 1 };
}

/* Resources whose names begin with @name, nested ones too; "" for all. */
void kx_iomem(const char *name, struct kx_ranges *out)
{
	FILE *file = fopen("/proc/iomem", "r");
	char line[256], found[128];
	unsigned long start, last;

	out->nr = 0;
	if (!file)
		kx_die("cannot read /proc/iomem");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %lx-%lx : %127[^\n]", &start, &last, found) != 3)
			continue;
		if (!strncmp(found, name, strlen(name)))
			add_range(out, start, last);
	}
	fclose(file);
}

void kx_system_ram(struct kx_ranges *out)
{
	kx_iomem("System RAM", out);
}

static bool read_word(const char *dir, const char *name, char *word, size_t size)
{
	char path[PATH_MAX];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), "/sys/firmware/memmap/%s/%s", dir, name);
	file = fopen(path, "r");
	ok = file && fgets(word, size, file);
	if (file)
		fclose(file);
	if (ok)
		word[strcspn(word, "\n")] = 0;
	return ok;
}

/* Entries of this type, or of any if it is NULL. */
void kx_firmware_map(const char *type, struct kx_ranges *out)
{
	DIR *dir = opendir("/sys/firmware/memmap");
	char start[32], last[32], found[64];
	struct dirent *entry;

	out->nr = 0;
	while (dir && (entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]) ||
		    !read_word(entry->d_name, "start", start, sizeof(start)) ||
		    !read_word(entry->d_name, "end", last, sizeof(last)) ||
		    !read_word(entry->d_name, "type", found, sizeof(found)))
			continue;
		if (!type || !strcmp(type, found))
			add_range(out, strtoull(start, NULL, 0),
				  strtoull(last, NULL, 0));
	}
	if (dir)
		closedir(dir);
}

static const struct {
	const char *name;
	u32 type;
} e820_types[] = {
	{ "System RAM", 1 },
	{ "Reserved", 2 },
	{ "ACPI Tables", 3 },
	{ "ACPI Non-volatile Storage", 4 },
	{ "Unusable memory", 5 },
	{ "Persistent Memory", 7 },
	{ "Persistent Memory (legacy)", 12 },
	{ "Soft Reserved", 0xefffffff },
};

static int compare_entries(const void *a, const void *b)
{
	const struct boot_e820_entry *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/**
 * kx_e820 - the firmware's map as a boot loader hands it on
 * @map: sorted
 * @size: entries that there is room for
 *
 * Return: used entries.
 */
size_t kx_e820(struct boot_e820_entry *map, size_t size)
{
	static struct kx_ranges some;
	size_t nr = 0, i, n;

	for (i = 0; i < ARRAY_SIZE(e820_types); i++) {
		kx_firmware_map(e820_types[i].name, &some);
		for (n = 0; n < some.nr && nr < size; n++)
			map[nr++] = (struct boot_e820_entry){
				some.v[n].start, some.v[n].end - some.v[n].start,
				e820_types[i].type,
			};
	}
	kx_firmware_map(NULL, &some);
	if (some.nr != nr || !nr)
		kx_die("%zu of %zu entries of the firmware's map are known",
		       nr, some.nr);
	qsort(map, nr, sizeof(*map), compare_entries);
	return nr;
}

/*
 * The firmware's map as the log shows it: sysfs adds what is plugged in later.
 * Empty if the log doesn't go back as far as that.
 */
void kx_boot_map(struct kx_ranges *out)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	unsigned long start, last;
	char record[8192], *text;
	ssize_t len;

	out->nr = 0;
	while ((len = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		record[len > 0 ? len : 0] = 0;
		text = strstr(record, "BIOS-e820: [mem ");
		if (text && sscanf(text, "BIOS-e820: [mem %li-%li]",
				   (long *)&start, (long *)&last) == 2)
			add_range(out, start, last);
	}
	close(fd);
}

/* Is all of it in a single range? */
bool kx_contains(const struct kx_ranges *r, u64 start, u64 end)
{
	size_t i;

	for (i = 0; i < r->nr; i++)
		if (r->v[i].start <= start && r->v[i].end >= end)
			return true;
	return false;
}

/* Is any of it in any range? */
bool kx_touches(const struct kx_ranges *r, u64 start, u64 end)
{
	size_t i;

	for (i = 0; i < r->nr; i++)
		if (r->v[i].start < end && r->v[i].end > start)
			return true;
	return false;
}

u64 kx_total(const struct kx_ranges *r)
{
	u64 total = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		total += r->v[i].end - r->v[i].start;
	return total;
}

/* Its whole pages, up to @below (0: no limit) */
struct kx_range kx_largest(const struct kx_ranges *r, u64 below)
{
	struct kx_range best = {};
	size_t i;

	for (i = 0; i < r->nr; i++) {
		struct kx_range this = {
			kx_page_up(r->v[i].start), r->v[i].end & KX_PAGE_MASK,
		};

		if (below && this.end > below)
			this.end = below;
		if (this.start < this.end &&
		    this.end - this.start > best.end - best.start)
			best = this;
	}
	return best;
}

/*
 * Memory: how much is free
 */

/* A table of 4 kB for each 2 MiB that are mapped by single pages */
static unsigned long direct_map_tables_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kb = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "DirectMap4k: %lu", &kb);
	if (file)
		fclose(file);
	return kb / 512;
}

/* Add what is free of @ram, in ranges of at least @size. */
static void find_free(int flags, struct kx_range ram, u64 size,
		      struct kx_ranges *out)
{
	struct kx_range found = {};
	u64 at, page;

	for (at = kx_page_up(ram.start); at < ram.end; at += KX_PAGE) {
		if (pread(flags, &page, sizeof(page), at / KX_PAGE * sizeof(page)) !=
		    sizeof(page) || !(page >> KPF_BUDDY & 1))
			continue;
		if (found.end != at)
			found.start = at;
		found.end = at + KX_PAGE;
		if (found.end - found.start < size || out->nr == KX_MAX_RANGES)
			continue;
		out->v[out->nr++] = found;
		found.end = 0;
	}
}

/**
 * kx_free_memory - memory that is in use by nobody
 * @size: how much there has to be in one place, bytes
 * @out: what there is, in at most KX_MAX_RANGES pieces of @size; nothing where
 *	/proc/kpageflags cannot be read
 *
 * Some of it may be taken before the caller can look.
 */
void kx_free_memory(u64 size, struct kx_ranges *out)
{
	int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	struct kx_ranges ram;
	size_t i;

	out->nr = 0;
	kx_system_ram(&ram);
	for (i = 0; flags >= 0 && i < ram.nr; i++)
		find_free(flags, ram.v[i], size, out);
	if (flags >= 0)
		close(flags);
}

/**
 * kx_free_kb - how much memory is free
 *
 * The pages in the CPUs' own lists are free as well, but not counted by
 * /proc/meminfo. Nor are the tables of the kernel's map of all memory: it is
 * split where a page is protected, as kx_purge_mappings() does, for good.
 *
 * Return: kB.
 */
unsigned long kx_free_kb(void)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	unsigned long pages = 0, n;
	char line[256];

	if (!file)
		kx_die("cannot read /proc/zoneinfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " pages free %lu", &n) == 1 ||
		    sscanf(line, " count: %lu", &n) == 1)
			pages += n;
	fclose(file);
	return pages * (KX_PAGE / 1024) + direct_map_tables_kb();
}

/* Slab caches keep empty slabs, and KASAN keeps freed objects, until asked. */
static void shrink_slabs(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[PATH_MAX];

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 entry->d_name);
		kx_write_file(path, "1");
	}
	if (dir)
		closedir(dir);
}

/**
 * kx_purge_mappings - have the kernel forget what it has unmapped
 *
 * It keeps the addresses until they are some MiB, or until it protects
 * something: the filter of a socket, for one. (One that is compiled is not
 * protected in this way.) With KASAN a page of shadow stays wherever a small
 * mapping has been: who makes many has to have this done now and then, so that
 * they are in the same place again.
 */
void kx_purge_mappings(void)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, ~0U);
	struct sock_fprog filter = { 1, &pass };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
	close(fd);
}

/**
 * kx_settle - make the number of free pages comparable
 *
 * Page cache, empty slabs, the CPUs' lists and unused mappings all come and go
 * without anybody's fault; this lets go of them.
 */
void kx_settle(void)
{
	int i;

	sync();
	for (i = 0; i < 2; i++) {
		kx_purge_mappings();
		kx_write_file("/proc/sys/vm/drop_caches", "3");
		shrink_slabs();
		kx_write_file("/proc/sys/vm/compact_memory", "1");
		kx_sleep_ms(20);
	}
}

/**
 * kx_free_again - is as much memory free as before?
 * @kb: how much it was
 * @tolerance: kB that may be missing
 *
 * Freed memory can take a moment to arrive (RCU, other CPUs' lists): so wait for
 * it before saying no.
 */
bool kx_free_again(unsigned long kb, unsigned long tolerance)
{
	int i;

	for (i = 0; i < 40; i++) {
		if (kx_free_kb() + tolerance >= kb)
			return true;
		if (i > 10)
			kx_settle();
		kx_sleep_ms(20);
	}
	return false;
}

/* Free memory at this moment, in bytes: quicker than what kx_free_kb() does. */
u64 kx_free_bytes(void)
{
	struct sysinfo info;

	sysinfo(&info);
	return info.freeram * info.mem_unit;
}

static void *sample(void *data)
{
	struct kx_sampler *s = data;
	bool last;
	u64 now;

	do {
		last = __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE);
		now = kx_free_bytes();
		if (now < s->least)
			s->least = now;
		usleep(1000);
	} while (!last);
	return NULL;
}

/* Watch from now on how little memory is free. */
void kx_sampler_start(struct kx_sampler *s)
{
	*s = (struct kx_sampler){ .least = kx_free_bytes() };
	if (pthread_create(&s->thread, NULL, sample, s))
		kx_die("needs a thread");
}

/* Return: the least that was free, in bytes. */
u64 kx_sampler_stop(struct kx_sampler *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	pthread_join(s->thread, NULL);
	return s->least;
}

/*
 * Memory: pages and mappings
 */

/**
 * kx_phys - where is this byte now?
 * @va: in a page that was touched
 *
 * The kernel may move the page at any time, a load for one does.
 *
 * Return: its physical address, 0 when it has none or nobody may know.
 */
u64 kx_phys(const void *va)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	u64 entry = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, 8, (u64)va / KX_PAGE * 8) != 8)
		entry = 0;
	close(fd);
	if (!(entry >> 63))
		return 0;
	return (entry & ((1ULL << 55) - 1)) * KX_PAGE + (u64)va % KX_PAGE;
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(u64 *)a, y = *(u64 *)b;

	return x < y ? -1 : x > y;
}

#define PROBE (32 * KX_MIB)

/*
 * Where the middle half of some fresh memory comes from. It is given back, so
 * the next who asks is likely to get the same pages.
 */
struct kx_range kx_allocator_zone(void)
{
	size_t i, n = PROBE / KX_PAGE;
	u64 *pages = malloc(n * sizeof(*pages));
	char *va = mmap(NULL, PROBE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct kx_range zone;

	if (va == MAP_FAILED || !pages)
		kx_die("no memory to see where memory comes from");
	for (i = 0; i < n; i++)
		pages[i] = kx_phys(va + i * KX_PAGE);
	munmap(va, PROBE);
	qsort(pages, n, sizeof(*pages), compare_u64);
	zone.start = pages[n / 4];
	zone.end = pages[n * 3 / 4];
	free(pages);
	return zone;
}

/*
 * With PAT, memory that the kernel uses can't be mapped by way of /dev/mem, but
 * it can be read and written.
 */
static int dev_mem(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	return fd;
}

bool kx_phys_read(u64 phys, void *to, size_t len)
{
	return pread(dev_mem(), to, len, phys) == (ssize_t)len;
}

bool kx_phys_write(u64 phys, const void *from, size_t len)
{
	return pwrite(dev_mem(), from, len, phys) == (ssize_t)len;
}

/* MAP_32BIT means the second GiB, so it can't be had for very much. */
static void *map_private(size_t size, int prot, int flags)
{
	void *va;

	flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	va = mmap(NULL, size, prot, flags | MAP_32BIT, -1, 0);
	if (va == MAP_FAILED)
		va = mmap(NULL, size, prot, flags, -1, 0);
	if (va == MAP_FAILED)
		kx_die("cannot map %zu bytes", size);
	return va;
}

void *kx_alloc(size_t size)
{
	return map_private(size, PROT_READ | PROT_WRITE, 0);
}

void kx_free(void *va, size_t size)
{
	munmap(va, size);
}

/**
 * kx_sparse - content for images larger than memory
 * @size: in bytes
 *
 * Reading maps the one page of zeros everywhere.
 */
const void *kx_sparse(size_t size)
{
	return map_private(size, PROT_READ, MAP_NORESERVE);
}

/**
 * kx_guarded - memory that cannot be read one byte further
 * @size: in bytes
 */
void *kx_guarded(size_t size)
{
	size_t whole = kx_page_up(size);
	char *va = kx_alloc(whole + KX_PAGE);

	munmap(va + whole, KX_PAGE);
	mmap(va + whole, KX_PAGE, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return va + whole - size;
}

/*
 * A buffer whose first reader sleeps until it is released
 */

int kx_uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd >= 0 && ioctl(uffd, UFFDIO_API, &api)) {
		close(uffd);
		uffd = -1;
	}
	return uffd;
}

bool kx_uffd_register(int uffd, void *va, size_t size)
{
	struct uffdio_register reg = {
		.range = { (u64)va, size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return !ioctl(uffd, UFFDIO_REGISTER, &reg);
}

/**
 * kx_block - make a buffer that holds up whoever reads it
 * @b: to be set up; kx_block_wait() tells when somebody is held up
 * @size: whole pages
 *
 * Return: false when this kernel has no userfaultfd.
 */
bool kx_block(struct kx_blocker *b, size_t size)
{
	b->uffd = kx_uffd_open();
	if (b->uffd < 0)
		return false;
	b->size = size;
	b->buf = kx_alloc(size);
	if (!kx_uffd_register(b->uffd, b->buf, size))
		kx_die("userfaultfd takes no memory: %s", strerror(errno));
	return true;
}

bool kx_block_wait(struct kx_blocker *b, unsigned int ms)
{
	struct pollfd pfd = { b->uffd, POLLIN, 0 };

	return poll(&pfd, 1, ms) == 1;
}

void kx_block_release(struct kx_blocker *b)
{
	struct uffdio_zeropage zero = {
		.range = { (u64)b->buf, b->size },
	};

	if (ioctl(b->uffd, UFFDIO_ZEROPAGE, &zero))
		kx_die("userfaultfd lets nobody go: %s", strerror(errno));
}

void kx_block_free(struct kx_blocker *b)
{
	close(b->uffd);
	kx_free(b->buf, b->size);
}

/*
 * Files
 */

/**
 * kx_memfd - a file in memory, which nobody else has open
 * @content: of @size bytes, or NULL for a hole
 * @size: in bytes
 *
 * Return: a file descriptor, at offset 0.
 */
int kx_memfd(const void *content, u64 size)
{
	int fd = memfd_create("kexec", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, size) ||
	    (content && pwrite(fd, content, size, 0) != (ssize_t)size))
		kx_die("no file in memory: %s", strerror(errno));
	return fd;
}

int kx_reopen(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	if (again < 0)
		kx_die("cannot open %s once more: %s", path, strerror(errno));
	return again;
}

void kx_fake_init(union kx_fake *fake)
{
	memset(fake->bytes, 0xf4, sizeof(fake->bytes));
	memset(fake->setup, 0, sizeof(fake->setup));
	fake->hdr = (struct setup_header){
		.setup_sects = KX_FAKE_SETUP / 512 - 1,
		.syssize = KX_FAKE_BODY / 16,
		.boot_flag = 0xaa55,
		.jump = 0xeb | (sizeof(fake->hdr) - 0x11) << 8,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 2 * KX_MIB,
		.relocatable_kernel = 1,
		.min_alignment = 21,
		.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G |
			      XLF_5LEVEL | XLF_5LEVEL_ENABLED,
		.cmdline_size = KX_FAKE_CMDLINE,
		.payload_offset = KX_PAGE,
		.payload_length = KX_PAGE,
		.pref_address = 16 * KX_MIB,
		.init_size = KX_MIB,
	};
}

/*
 * The kernel's log
 */

/* @fmt makes an extended regular expression; case does not count. */
bool kx_match(const char *line, const char *fmt, ...)
{
	char pattern[KX_LINE];
	regex_t regex;
	va_list args;
	bool found;

	va_start(args, fmt);
	vsnprintf(pattern, sizeof(pattern), fmt, args);
	va_end(args);
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB))
		kx_die("bad pattern: %s", pattern);
	found = !regexec(&regex, line, 0, NULL, 0);
	regfree(&regex);
	return found;
}

int kx_log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd < 0)
		kx_die("cannot read /dev/kmsg");
	lseek(fd, 0, SEEK_END);
	return fd;
}

/* A record is "priority,number,time,flags;text\n", and maybe more lines. */
bool kx_log_next(int fd, char line[KX_LINE])
{
	char record[8192], *text;
	ssize_t len;

	for (;;) {
		len = read(fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)
			continue;
		if (len <= 0)
			return false;
		record[len] = 0;
		text = strchr(record, ';');
		if (!text || strncmp(text + 1, "kexec: ", 7))
			continue;
		text[strcspn(text, "\n")] = 0;
		snprintf(line, KX_LINE, "%s", text + 1);
		return true;
	}
}

unsigned int kx_log_count(int fd)
{
	unsigned int n = 0;
	char line[KX_LINE];

	while (kx_log_next(fd, line))
		n++;
	return n;
}

/*
 * Its trace
 */

static bool field(const char *line, const char *name, u64 *value)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), " %s=", name);
	at = strstr(line, key);
	return at && sscanf(at + strlen(key), "%lu", value) == 1;
}

/* Of a line of the trace, or of the log, which has the same */
bool kx_parse_stats(const char *line, struct kx_stats *s)
{
	const char *type = strstr(line, "type=");
	u64 segments = 0;
	bool ok;

	*s = (struct kx_stats){};
	ok = type && sscanf(type, "type=%15s", s->type) == 1 &&
	     field(line, "segments", &segments) &&
	     field(line, "pieces", &s->pieces) &&
	     field(line, "content", &s->content) &&
	     field(line, "home", &s->home) && field(line, "move", &s->move) &&
	     field(line, "zero", &s->zero) && field(line, "runs", &s->runs) &&
	     field(line, "check_ns", &s->check_ns) &&
	     field(line, "place_ns", &s->place_ns) &&
	     field(line, "fill_ns", &s->fill_ns) &&
	     field(line, "seal_ns", &s->seal_ns);
	s->segments = segments;
	return ok;
}

static int write_event(const char *event, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), TRACING "events/%s/%s", event, file);
	return kx_write_file(path, text);
}

/**
 * kx_trace_on - have an event traced
 * @event: as "system/event"
 * @filter: which of them, or NULL
 */
bool kx_trace_on(const char *event, const char *filter)
{
	if (filter && write_event(event, "filter", filter))
		return false;
	if (write_event(event, "enable", "1"))
		return false;
	kx_write_file(TRACING "tracing_on", "1");
	return true;
}

void kx_trace_off(const char *event)
{
	write_event(event, "enable", "0");
	write_event(event, "filter", "0");
}

void kx_trace_clear(void)
{
	kx_write_file(TRACING "trace", "");
}

/* The last line with @text in it */
bool kx_trace_find(const char *text, char line[KX_LINE])
{
	FILE *file = fopen(TRACING "trace", "r");
	char this[KX_LINE];
	bool found = false;

	while (file && fgets(this, sizeof(this), file)) {
		if (this[0] == '#' || !strstr(this, text))
			continue;
		found = true;
		memcpy(line, this, sizeof(this));
	}
	if (file)
		fclose(file);
	return found;
}

bool kx_trace_stats(struct kx_stats *s)
{
	char line[KX_LINE];

	return kx_trace_find("kexec_load: ", line) && kx_parse_stats(line, s);
}

const struct kx_bench *kx_bench_find(const struct kx_bench *list, int argc, char **argv)
{
	const struct kx_bench *b;

	for (b = list; argc > 1 && b->name; b++)
		if (!strcmp(argv[1], b->name) && argc - 2 == b->nr_args)
			return b;
	for (b = list; b->name; b++)
		printf("%s %s %s\n", argv[0], b->name, b->what);
	return NULL;
}

void kx_bench_begin(void)
{
	const char *unfit = kx_unfit();

	if (unfit)
		kx_die("%s", unfit);
	if (kx_unload())
		kx_die("does not unload");
	kx_trace_on("kexec/kexec_load", NULL);
}

#define OOM_ADJ "/proc/self/oom_score_adj"

/*
 * Does @attempt(@n), of @mib MiB, return 0? In a process of its own, which is
 * lost, and no other, if memory gets too short
 */
bool kx_bench_fits(int (*attempt)(u64 n), u64 n, u64 mib)
{
	u64 start = kx_now_ns();
	int status = -1;
	pid_t pid;

	kx_write_file(OOM_ADJ, "-1000");
	pid = fork();
	if (pid < 0)
		kx_die("fork: %s", strerror(errno));
	if (!pid) {
		kx_write_file(OOM_ADJ, "1000");
		_exit(attempt(n));
	}
	waitpid(pid, &status, 0);
	printf("try %lu MiB: %s, %lu ms\n", mib,
	       WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "killed",
	       (kx_now_ns() - start) / 1000000);
	fflush(stdout);
	kx_unload();
	kx_settle();
	return WIFEXITED(status) && !WEXITSTATUS(status);
}
