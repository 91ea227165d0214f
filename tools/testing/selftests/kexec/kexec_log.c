// SPDX-License-Identifier: GPL-2.0
/*
 * Every refusal is one line of the log that a person can act on: it names the
 * rule, the argument or segment, and the numbers.
 *
 * How it says so is its own affair. So the tests look for the numbers, in hex or
 * decimal, and for hardly a word more than the name of what is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <kselftest_harness.h>

#include "kexec_util.h"

/* The kernel lets at least so many lines through in 5 s; all tests share them. */
#define BURST 10
#define TIMEOUT 120

#define SAYS(name) TEST_F_TIMEOUT(log, name, TIMEOUT)
#define FILE_SAYS(name) TEST_F_TIMEOUT(file_log, name, TIMEOUT)
#define SEGMENT (2 * KX_PAGE)

static unsigned int *spent;

/**
 * struct log - what the kernel says
 * @fd: where
 * @line: what was read last
 */
struct log {
	int fd;
	char line[KX_LINE];
};

/**
 * struct call - a load by kexec_load(2)
 * @seg: @nr are used, but all are valid
 */
struct call {
	struct kx_seg *seg;
	unsigned long nr, flags;
	u64 entry;
};

FIXTURE(log) {
	struct log log;
	struct call c;
};

/* Returns whether the test can go on. */
static bool set_up(struct __test_metadata *_metadata, struct log *log)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return false, "%s", unfit);
	if (kx_loaded() && !kx_destructive())
		SKIP(return false, "something is loaded, which these tests would unload");
	kx_unload();
	log->fd = kx_log_open();
	return true;
}

FIXTURE_SETUP(log)
{
	struct kx_ranges ram;
	struct kx_range range;
	unsigned int i;

	if (!set_up(_metadata, &self->log))
		return;
	kx_system_ram(&ram);
	range = kx_largest(&ram, 4 * KX_GIB);
	self->c.seg = kx_alloc(KX_PAGE);
	self->c.nr = 1;
	self->c.entry = (range.start + range.end) / 2 & KX_PAGE_MASK;
	for (i = 0; i < KEXEC_SEGMENT_MAX; i++)
		self->c.seg[i] = (struct kx_seg){
			kx_alloc(SEGMENT), SEGMENT,
			self->c.entry + 2 * i * SEGMENT, SEGMENT,
		};
}

FIXTURE_TEARDOWN(log)
{
	kx_unload();
	close(self->log.fd);
}

static long attempt(const struct call *c)
{
	return kx_load(c->entry, c->nr, c->seg, c->flags);
}

static void save_lines(unsigned int n)
{
	if (*spent + n > BURST) {
		kx_sleep_ms(5500);
		*spent = 0;
	}
	*spent += n;
}

/* The line of a call that failed as it should */
static void read_line(struct __test_metadata *_metadata, struct log *log)
{
	char more[KX_LINE];

	ASSERT_TRUE(kx_log_next(log->fd, log->line))
		TH_LOG("the log has no line of it");
	TH_LOG("%s", log->line);
	EXPECT_FALSE(kx_log_next(log->fd, more))
		TH_LOG("one more line: %s", more);
}

static void refused(struct __test_metadata *_metadata, struct log *log,
		    const struct call *c, int err)
{
	save_lines(1);
	kx_log_count(log->fd);
	EXPECT_EQ(-err, attempt(c));
	read_line(_metadata, log);
}

static bool mentions(const char *line, u64 n)
{
	return kx_match(line, "\\b(0x)?0*(%lx|%lu)\\b", n, n);
}

#define REFUSED(err) refused(_metadata, &self->log, &self->c, err)
#define WORD(word) EXPECT_TRUE(kx_match(self->log.line, "%s", word))
#define NUMBER(n) EXPECT_TRUE(mentions(self->log.line, n))

/* Segment @i, in whatever words */
#define NAMED(i) EXPECT_TRUE(kx_match(self->log.line, "segments? #?%d\\b", i))

SAYS(unknown_flags)
{
	self->c.flags = 0x8000 | KEXEC_ARCH_X86_64;
	REFUSED(EINVAL);
	WORD("flag");
	NUMBER(0x8000);
}

SAYS(high_flags)
{
	self->c.flags = 1UL << 40;
	REFUSED(EINVAL);
	WORD("flag");
	NUMBER(1UL << 40);
}

SAYS(too_many_segments)
{
	self->c.nr = 4711;
	REFUSED(EINVAL);
	WORD("segments");
	NUMBER(4711);
	NUMBER(16);
}

SAYS(other_architecture)
{
	self->c.flags = KEXEC_ARCH_AARCH64;
	REFUSED(EINVAL);
	WORD("arch");
	NUMBER(183);
}

SAYS(unreadable_array)
{
	self->c.seg = (void *)0xdead000;
	self->c.nr = 3;
	REFUSED(EFAULT);
	WORD("segments");
	NUMBER(0xdead000);
}

SAYS(crash_image)
{
	self->c.flags = KEXEC_ON_CRASH;
	REFUSED(EADDRNOTAVAIL);
	WORD("crash");
	NUMBER(self->c.entry);
}

SAYS(unaligned)
{
	self->c.nr = 4;
	self->c.seg[3].mem += 0x123;
	REFUSED(EADDRNOTAVAIL);
	NAMED(3);
	NUMBER(self->c.seg[3].mem);
	WORD("page|align");
}

SAYS(unaligned_end)
{
	self->c.nr = 4;
	self->c.seg[2].memsz += 0x321;
	REFUSED(EADDRNOTAVAIL);
	NAMED(2);
	NUMBER(self->c.seg[2].mem);
	WORD("page|align");
}

SAYS(wraps)
{
	self->c.nr = 2;
	self->c.seg[1].mem = -KX_PAGE;
	REFUSED(EADDRNOTAVAIL);
	NAMED(1);
	NUMBER(self->c.seg[1].mem);
	WORD("wrap|overflow");
}

SAYS(not_addressable)
{
	self->c.seg[0].mem = 1UL << 55;
	REFUSED(EADDRNOTAVAIL);
	NAMED(0);
	NUMBER(1UL << 55);
}

SAYS(no_memory_there)
{
	struct kx_ranges reserved;

	kx_firmware_map(NULL, &reserved);
	if (kx_touches(&reserved, 0xa0000, 0xa0000 + SEGMENT))
		SKIP(return, "this machine has memory at 0xa0000");
	self->c.nr = 6;
	self->c.seg[5].mem = 0xa0000 - KX_PAGE;
	REFUSED(EADDRNOTAVAIL);
	NAMED(5);
	NUMBER(0xa0000);
	WORD("memory|ram");
}

SAYS(local_apic)
{
	self->c.seg[0].mem = 0xfee00000;
	REFUSED(EADDRNOTAVAIL);
	NAMED(0);
	NUMBER(0xfee00000);
}

SAYS(overlap)
{
	self->c.nr = 8;
	self->c.seg[7].mem = self->c.seg[4].mem + KX_PAGE;
	REFUSED(EINVAL);
	WORD("overlap");
	WORD("\\b4\\b");
	WORD("\\b7\\b");
	NUMBER(self->c.seg[4].mem);
	NUMBER(self->c.seg[7].mem);
}

SAYS(too_much_content)
{
	self->c.nr = 2;
	self->c.seg[1].bufsz = SEGMENT + 3;
	REFUSED(EINVAL);
	NAMED(1);
	NUMBER(SEGMENT + 3);
	NUMBER(SEGMENT);
}

SAYS(does_not_fit)
{
	struct kx_ranges ram;
	struct kx_range range;

	kx_system_ram(&ram);
	range = kx_largest(&ram, 0);
	self->c.nr = 0;
	while (self->c.nr < 3) {
		u64 size = (range.end - range.start) / 3 & KX_PAGE_MASK;

		self->c.seg[self->c.nr] = (struct kx_seg){
			kx_sparse(size), size,
			range.start + self->c.nr * size, size,
		};
		self->c.nr++;
	}
	if (kx_total(&ram) > (range.end - range.start) * 11 / 10)
		SKIP(return, "this machine's memory is in too many pieces");
	REFUSED(ENOMEM);
	WORD("memory|ram");
	WORD("[0-9]{3,}");
}

SAYS(unreadable_content)
{
	self->c.nr = 3;
	self->c.seg[2].buf = (void *)0xdead000;
	REFUSED(EFAULT);
	NAMED(2);
	NUMBER(0xdead000);
	NUMBER(SEGMENT);
}

/* By the other call, the same words */
SAYS(by_32_bit_call)
{
	if (!kx_have_compat())
		SKIP(return, "no 32-bit calls");
	save_lines(4);
	kx_log_count(self->log.fd);
	EXPECT_EQ(-EFAULT, kx_load32(0, 1, NULL, KEXEC_ARCH_386));
	read_line(_metadata, &self->log);
	WORD("segments");
	EXPECT_EQ(-EINVAL, kx_load32(0, 1, NULL, KEXEC_ARCH_AARCH64));
	read_line(_metadata, &self->log);
	NUMBER(183);
	self->c.seg[0].memsz++;
	EXPECT_EQ(-EADDRNOTAVAIL, kx_load32(0, 1, self->c.seg, KEXEC_ARCH_386));
	read_line(_metadata, &self->log);
	NAMED(0);
}

static void *load_slowly(void *data)
{
	attempt(data);
	return NULL;
}

SAYS(busy)
{
	struct kx_blocker blocker;
	pthread_t thread;

	ASSERT_TRUE(kx_block(&blocker, SEGMENT));
	self->c.seg[0].buf = blocker.buf;
	pthread_create(&thread, NULL, load_slowly, &self->c);
	ASSERT_TRUE(kx_block_wait(&blocker, 10000 * kx_slowness()));
	save_lines(2);
	kx_log_count(self->log.fd);
	EXPECT_EQ(-EBUSY, kx_unload());
	read_line(_metadata, &self->log);
	if (kx_destructive()) {
		EXPECT_EQ(-EBUSY, kx_reboot());
		read_line(_metadata, &self->log);
		WORD("reboot");
	}
	kx_block_release(&blocker);
	pthread_join(thread, NULL);
}

SAYS(nothing_to_reboot_into)
{
	if (!kx_destructive())
		SKIP(return, "KEXEC_TEST_DESTRUCTIVE is not set");
	save_lines(1);
	kx_log_count(self->log.fd);
	EXPECT_EQ(-EINVAL, kx_reboot());
	read_line(_metadata, &self->log);
	WORD("loaded");
}

/* Two rules broken: the line is about the one whose errno is returned. */
SAYS(first_rule_only)
{
	self->c.nr = 4711;
	self->c.flags = 0x8000;
	REFUSED(EINVAL);
	NUMBER(0x8000);
	self->c.flags = KEXEC_ARCH_AARCH64;
	REFUSED(EINVAL);
	NUMBER(4711);
	self->c.flags = 0;
	self->c.nr = 2;
	self->c.seg[1].mem = self->c.seg[0].mem;
	self->c.seg[0].bufsz = SEGMENT + 1;
	REFUSED(EINVAL);
	WORD("overlap");
}

/* Success is not news, unless somebody asks. */
SAYS(nothing_of_success)
{
	kx_log_count(self->log.fd);
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, kx_unload());
	EXPECT_EQ(0, kx_log_count(self->log.fd));
}

static int refusals_of_nobody(const struct call *c)
{
	if (setresuid(65534, 65534, 65534))
		return 1;
	return attempt(c) != -EPERM || kx_load(0, 99, NULL, 0) != -EPERM ||
	       kx_load(0, 1, NULL, -1) != -EPERM;
}

/* Who has no capability cannot write to the log. */
SAYS(nothing_to_nobody)
{
	pid_t pid;
	int status;

	kx_log_count(self->log.fd);
	pid = fork();
	if (!pid)
		_exit(refusals_of_nobody(&self->c));
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, kx_log_count(self->log.fd));
}

/* The last one: it leaves the next 5 seconds without a line. */
SAYS(rate_limited)
{
	unsigned int i, lines;

	kx_sleep_ms(5500);
	kx_log_count(self->log.fd);
	for (i = 0; i < 200; i++)
		EXPECT_EQ(-EINVAL, kx_load(0, 17, NULL, 0));
	lines = kx_log_count(self->log.fd);
	EXPECT_GT(100U, lines);
	EXPECT_LT(5U, lines);
	*spent = BURST;
}

/*
 * By kexec_file_load(2)
 */

#define CMDLINE "root=none quiet"
#define INITRD (3 * KX_PAGE + 7)

/* A load of files */
struct file_call {
	int kernel, initrd;
	unsigned long len;
	const char *cmdline;
	unsigned long flags;
};

FIXTURE(file_log) {
	struct log log;
	struct file_call c;
	union kx_fake fake;
};

FIXTURE_SETUP(file_log)
{
	if (!set_up(_metadata, &self->log))
		return;
	if (!kx_have_file_load()) {
		EXPECT_FALSE(kx_demanded("file"));
		SKIP(return, "no kexec_file_load");
	}
	kx_fake_init(&self->fake);
	self->c = (struct file_call){
		.kernel = kx_memfd(&self->fake, sizeof(self->fake)),
		.initrd = kx_memfd(NULL, INITRD),
		.len = sizeof(CMDLINE),
		.cmdline = CMDLINE,
	};
}

FIXTURE_TEARDOWN(file_log)
{
	kx_unload();
	close(self->log.fd);
}

static long file_attempt(const struct file_call *c)
{
	return kx_file_load(c->kernel, c->initrd, c->len, c->cmdline, c->flags);
}

static void file_refused(struct __test_metadata *_metadata, struct log *log,
			 const struct file_call *c, int err)
{
	save_lines(1);
	kx_log_count(log->fd);
	EXPECT_EQ(-err, file_attempt(c));
	read_line(_metadata, log);
}

#define FILE_REFUSED(err) file_refused(_metadata, &self->log, &self->c, err)

FILE_SAYS(unknown_flags)
{
	self->c.flags = 0x340 | KEXEC_FILE_DEBUG;
	FILE_REFUSED(EINVAL);
	WORD("flag");
	NUMBER(0x340);
}

FILE_SAYS(no_file)
{
	self->c.kernel = 4711;
	FILE_REFUSED(EBADF);
	WORD("kernel");
	NUMBER(4711);
}

FILE_SAYS(no_initrd)
{
	self->c.initrd = 4711;
	FILE_REFUSED(EBADF);
	WORD("initrd");
	NUMBER(4711);
}

FILE_SAYS(no_regular_file)
{
	self->c.initrd = open("/dev/null", O_RDONLY);
	FILE_REFUSED(EINVAL);
	WORD("initrd");
	WORD("regular");
	NUMBER(self->c.initrd);
}

FILE_SAYS(open_for_writing)
{
	int writer = kx_reopen(self->c.kernel, O_RDWR);

	FILE_REFUSED(ETXTBSY);
	WORD("kernel");
	WORD("writ");
	close(writer);
}

FILE_SAYS(empty)
{
	self->c.initrd = kx_memfd(NULL, 0);
	FILE_REFUSED(EINVAL);
	WORD("initrd");
	WORD("empty");
}

FILE_SAYS(too_large)
{
	self->c.kernel = kx_memfd(NULL, 4 * KX_GIB + 123);
	FILE_REFUSED(EFBIG);
	WORD("kernel");
	NUMBER(4 * KX_GIB + 123);
	NUMBER(4 * KX_GIB);
}

FILE_SAYS(more_than_memory)
{
	struct kx_ranges ram;
	u64 size;

	kx_system_ram(&ram);
	size = kx_total(&ram) & KX_PAGE_MASK;
	if (size > 4 * KX_GIB)
		SKIP(return, "any file fits in this machine's memory");
	self->c.initrd = kx_memfd(NULL, size);
	FILE_REFUSED(ENOMEM);
	WORD("initrd");
	WORD("memory");
	NUMBER(size / 1024);
}

static void put_kernel(struct file_call *c, const union kx_fake *fake, size_t size)
{
	close(c->kernel);
	c->kernel = kx_memfd(fake, size);
}

/* Of a kernel with a mistake, which no rule but one has to say anything of */
static void kernel_refused(struct __test_metadata *_metadata, struct log *log,
			   struct file_call *c, const union kx_fake *fake, int err)
{
	put_kernel(c, fake, sizeof(*fake));
	file_refused(_metadata, log, c, err);
}

#define KERNEL_REFUSED(err)						\
	kernel_refused(_metadata, &self->log, &self->c, &self->fake, err)

FILE_SAYS(no_place)
{
	struct kx_ranges ram;
	struct kx_range range;

	kx_system_ram(&ram);
	range = kx_largest(&ram, 0);
	if (range.end - range.start > 3 * KX_GIB)
		SKIP(return, "any kernel has a place in this machine's memory");
	self->fake.hdr.init_size = 0xc0000000;
	KERNEL_REFUSED(EADDRNOTAVAIL);
	WORD("kernel");
	WORD("memory|place");
	NUMBER(0xc0000000 / 1024);
}

/* Each has a place, but there is none for both. */
FILE_SAYS(no_place_for_both)
{
	struct kx_ranges ram;
	struct kx_range range;
	u64 size, initrd;

	kx_system_ram(&ram);
	range = kx_largest(&ram, 0);
	size = range.end - range.start;
	initrd = kx_page_up(size / 4);
	if (size > 3 * KX_GIB || kx_total(&ram) - size > size / 8)
		SKIP(return, "this machine has a place for more");
	self->fake.hdr.init_size = size / 8 * 7 & KX_PAGE_MASK;
	self->c.initrd = kx_memfd(NULL, initrd);
	KERNEL_REFUSED(EADDRNOTAVAIL);
	/* Which of them comes too late depends on where IMA's list went. */
	WORD("kernel|initrd");
	EXPECT_TRUE(mentions(self->log.line, initrd) ||
		    mentions(self->log.line, self->fake.hdr.init_size));
}

FILE_SAYS(no_header)
{
	put_kernel(&self->c, &self->fake, 0x1f5);
	FILE_REFUSED(ENOEXEC);
	WORD("header");
	NUMBER(0x1f5);
}

FILE_SAYS(no_boot_flag)
{
	self->fake.hdr.boot_flag = 0x1234;
	KERNEL_REFUSED(ENOEXEC);
	WORD("boot flag");
	NUMBER(0x1234);
	NUMBER(0xaa55);
}

FILE_SAYS(no_mark)
{
	self->fake.hdr.header = 0x12345678;
	KERNEL_REFUSED(ENOEXEC);
	WORD("header");
	NUMBER(0x12345678);
}

FILE_SAYS(old_protocol)
{
	self->fake.hdr.version = 0x20b;
	KERNEL_REFUSED(ENOEXEC);
	WORD("protocol");
	NUMBER(0x20b);
	NUMBER(0x20c);
}

FILE_SAYS(zimage)
{
	self->fake.hdr.loadflags = 0x40;
	KERNEL_REFUSED(ENOEXEC);
	WORD("zImage");
	NUMBER(0x40);
}

FILE_SAYS(no_64_bits)
{
	self->fake.hdr.xloadflags &= ~XLF_KERNEL_64;
	KERNEL_REFUSED(ENOEXEC);
	WORD("64");
	NUMBER(self->fake.hdr.xloadflags);
}

FILE_SAYS(not_above_4g)
{
	self->fake.hdr.xloadflags &= ~XLF_CAN_BE_LOADED_ABOVE_4G;
	KERNEL_REFUSED(ENOEXEC);
	WORD("above");
	NUMBER(self->fake.hdr.xloadflags);
}

FILE_SAYS(not_relocatable)
{
	self->fake.hdr.relocatable_kernel = 0;
	self->fake.hdr.pref_address = 0x12345000;
	KERNEL_REFUSED(ENOEXEC);
	WORD("relocatable");
	NUMBER(0x12345000);
}

FILE_SAYS(jump_to_nowhere)
{
	self->fake.hdr.jump = 0x03eb;
	KERNEL_REFUSED(ENOEXEC);
	WORD("header");
	NUMBER(0x202 + 3);
}

FILE_SAYS(truncated)
{
	self->fake.hdr.syssize = 0x5432;
	KERNEL_REFUSED(ENOEXEC);
	WORD("truncated");
	NUMBER(0x54320);
	NUMBER(sizeof(self->fake));
}

FILE_SAYS(no_entry)
{
	self->fake.hdr.syssize = 0x10;
	put_kernel(&self->c, &self->fake, KX_FAKE_SETUP + 0x120);
	FILE_REFUSED(ENOEXEC);
	WORD("entry");
	NUMBER(KX_FAKE_SETUP + 0x200);
	NUMBER(KX_FAKE_SETUP + 0x120);
}

FILE_SAYS(bad_alignment)
{
	self->fake.hdr.kernel_alignment = 0x300000;
	KERNEL_REFUSED(ENOEXEC);
	WORD("align");
	NUMBER(0x300000);
}

FILE_SAYS(not_addressable)
{
	self->fake.hdr.pref_address = 1UL << 56;
	KERNEL_REFUSED(ENOEXEC);
	NUMBER(1UL << 56);
}

FILE_SAYS(four_levels_only)
{
	if (!kx_cpu_flag("la57"))
		SKIP(return, "page tables of four levels");
	self->fake.hdr.xloadflags &= ~(XLF_5LEVEL | XLF_5LEVEL_ENABLED);
	KERNEL_REFUSED(ENOEXEC);
	WORD("five|level");
	NUMBER(self->fake.hdr.xloadflags);
}

FILE_SAYS(cmdline_too_long)
{
	static const char line[KX_FAKE_CMDLINE + 5];

	self->c.cmdline = line;
	self->c.len = sizeof(line);
	FILE_REFUSED(EINVAL);
	WORD("command line");
	NUMBER(sizeof(line));
	NUMBER(KX_FAKE_CMDLINE + 1);
}

FILE_SAYS(cmdline_unreadable)
{
	self->c.cmdline = (const char *)0xdead000;
	self->c.len = 123;
	FILE_REFUSED(EFAULT);
	WORD("command line");
	NUMBER(0xdead000);
	NUMBER(123);
}

FILE_SAYS(cmdline_without_end)
{
	self->c.cmdline = "root=nonZ";
	self->c.len = strlen(self->c.cmdline);
	FILE_REFUSED(EINVAL);
	WORD("command line");
	NUMBER(self->c.len - 1);
	NUMBER(0x5a);
}

FILE_SAYS(crash_image)
{
	self->c.flags = KEXEC_FILE_ON_CRASH;
	FILE_REFUSED(EADDRNOTAVAIL);
	WORD("crash");
}

static void *load_files_slowly(void *data)
{
	file_attempt(data);
	return NULL;
}

FILE_SAYS(busy)
{
	struct file_call c = self->c;
	struct kx_blocker blocker;
	pthread_t thread;

	ASSERT_TRUE(kx_block(&blocker, KX_PAGE));
	c.cmdline = blocker.buf;
	pthread_create(&thread, NULL, load_files_slowly, &c);
	ASSERT_TRUE(kx_block_wait(&blocker, 10000 * kx_slowness()));
	FILE_REFUSED(EBUSY);
	WORD("kexec_file_load");
	self->c.flags = KEXEC_FILE_UNLOAD;
	FILE_REFUSED(EBUSY);
	kx_block_release(&blocker);
	pthread_join(thread, NULL);
}

/* Three rules broken, one after the other */
FILE_SAYS(first_rule_only)
{
	self->fake.hdr.version = 0x206;
	self->fake.hdr.kernel_alignment = 3;
	self->c.initrd = 4711;
	self->c.cmdline = NULL;
	KERNEL_REFUSED(ENOEXEC);
	NUMBER(0x206);
	kx_fake_init(&self->fake);
	KERNEL_REFUSED(EBADF);
	NUMBER(4711);
}

FILE_SAYS(nothing_of_success)
{
	kx_log_count(self->log.fd);
	EXPECT_EQ(0, file_attempt(&self->c));
	EXPECT_EQ(0, kx_file_load(-1, -1, 0, NULL, KEXEC_FILE_UNLOAD));
	EXPECT_EQ(0, kx_log_count(self->log.fd));
}

/* The sums, and where each part of the image will be */
FILE_SAYS(more_when_asked)
{
	unsigned int sums = 0, parts = 0;

	kx_log_count(self->log.fd);
	self->c.flags = KEXEC_FILE_DEBUG;
	EXPECT_EQ(0, file_attempt(&self->c));
	while (kx_log_next(self->log.fd, self->log.line)) {
		struct kx_stats s;

		sums += kx_parse_stats(self->log.line, &s);
		parts += kx_match(self->log.line,
				  "(kernel|initrd|parameters) at 0x[0-9a-f]+");
	}
	EXPECT_EQ(1U, sums);
	EXPECT_EQ(3U, parts);
}

/* Nor does the flag stay, for who did not set it. */
FILE_SAYS(nothing_to_the_next)
{
	self->c.flags = KEXEC_FILE_DEBUG;
	EXPECT_EQ(0, file_attempt(&self->c));
	self->c.flags |= KEXEC_FILE_ON_CRASH;
	save_lines(1);
	EXPECT_EQ(-EADDRNOTAVAIL, file_attempt(&self->c));
	kx_log_count(self->log.fd);
	self->c.flags = 0;
	EXPECT_EQ(0, file_attempt(&self->c));
	EXPECT_EQ(0, kx_log_count(self->log.fd));
}

static int file_refusals_of_nobody(const struct file_call *c)
{
	if (setresuid(65534, 65534, 65534))
		return 1;
	return file_attempt(c) != -EPERM ||
	       kx_file_load(-1, -1, 99, NULL, 0) != -EPERM ||
	       kx_file_load(-1, -1, 0, NULL, -1) != -EPERM;
}

FILE_SAYS(nothing_to_nobody)
{
	pid_t pid;
	int status;

	kx_log_count(self->log.fd);
	self->c.flags = KEXEC_FILE_DEBUG;
	pid = fork();
	if (!pid)
		_exit(file_refusals_of_nobody(&self->c));
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, kx_log_count(self->log.fd));
}

/* The last one, as above */
FILE_SAYS(rate_limited)
{
	unsigned int i, lines;

	kx_sleep_ms(5500);
	kx_log_count(self->log.fd);
	self->fake.hdr.version = 0;
	put_kernel(&self->c, &self->fake, sizeof(self->fake));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(-ENOEXEC, file_attempt(&self->c));
	lines = kx_log_count(self->log.fd);
	EXPECT_GT(50U, lines);
	EXPECT_LT(5U, lines);
	*spent = BURST;
}

int main(int argc, char **argv)
{
	spent = mmap(NULL, KX_PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return test_harness_run(argc, argv);
}
