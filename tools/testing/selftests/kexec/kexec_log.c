// SPDX-License-Identifier: GPL-2.0
/*
 * Every refusal is one line of the log that a person can act on: it names the
 * rule, the argument or segment, and the numbers.
 *
 * How it says so is its own affair. So the tests look for the numbers, in hex or
 * decimal, and for hardly a word more than the name of what is wrong.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <kselftest_harness.h>

#include "kexec_util.h"

/* The kernel lets so many lines through in 5 s; all tests share them. */
#define BURST 15
#define TIMEOUT 120

#define SAYS(name) TEST_F_TIMEOUT(log, name, TIMEOUT)
#define SEGMENT (2 * KX_PAGE)

static unsigned int *spent;

/**
 * struct call - a load, and what the log says of it
 * @fd: of the log
 * @seg: @nr are used, but all are valid
 * @line: what was read last
 */
struct call {
	int fd;
	struct kx_seg *seg;
	unsigned long nr, flags;
	u64 entry;
	char line[KX_LINE];
};

FIXTURE(log) {
	struct call c;
};

FIXTURE_SETUP(log)
{
	const char *unfit = kx_unfit();
	struct kx_ranges ram;
	struct kx_range range;
	unsigned int i;

	if (unfit)
		SKIP(return, "%s", unfit);
	if (kx_loaded() && !kx_destructive())
		SKIP(return, "something is loaded, which these tests would unload");
	kx_unload();
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
	self->c.fd = kx_log_open();
}

FIXTURE_TEARDOWN(log)
{
	kx_unload();
	close(self->c.fd);
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
static void read_line(struct __test_metadata *_metadata, struct call *c)
{
	char more[KX_LINE];

	ASSERT_TRUE(kx_log_next(c->fd, c->line))
		TH_LOG("the log has no line of it");
	TH_LOG("%s", c->line);
	EXPECT_FALSE(kx_log_next(c->fd, more))
		TH_LOG("one more line: %s", more);
}

static void refused(struct __test_metadata *_metadata, struct call *c, int err)
{
	save_lines(1);
	kx_log_count(c->fd);
	EXPECT_EQ(-err, attempt(c));
	read_line(_metadata, c);
}

static bool mentions(const char *line, u64 n)
{
	return kx_match(line, "\\b(0x)?0*(%lx|%lu)\\b", n, n);
}

#define REFUSED(err) refused(_metadata, &self->c, err)
#define WORD(word) EXPECT_TRUE(kx_match(self->c.line, "%s", word))
#define NUMBER(n) EXPECT_TRUE(mentions(self->c.line, n))

/* Segment @i, in whatever words */
#define NAMED(i) EXPECT_TRUE(kx_match(self->c.line, "segments? #?%d\\b", i))

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
	kx_log_count(self->c.fd);
	EXPECT_EQ(-EFAULT, kx_load32(0, 1, NULL, KEXEC_ARCH_386));
	read_line(_metadata, &self->c);
	WORD("segments");
	EXPECT_EQ(-EINVAL, kx_load32(0, 1, NULL, KEXEC_ARCH_AARCH64));
	read_line(_metadata, &self->c);
	NUMBER(183);
	self->c.seg[0].memsz++;
	EXPECT_EQ(-EADDRNOTAVAIL, kx_load32(0, 1, self->c.seg, KEXEC_ARCH_386));
	read_line(_metadata, &self->c);
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
	kx_log_count(self->c.fd);
	EXPECT_EQ(-EBUSY, kx_unload());
	read_line(_metadata, &self->c);
	if (kx_destructive()) {
		EXPECT_EQ(-EBUSY, kx_reboot());
		read_line(_metadata, &self->c);
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
	kx_log_count(self->c.fd);
	EXPECT_EQ(-EINVAL, kx_reboot());
	read_line(_metadata, &self->c);
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
	kx_log_count(self->c.fd);
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, kx_unload());
	EXPECT_EQ(0, kx_log_count(self->c.fd));
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

	kx_log_count(self->c.fd);
	pid = fork();
	if (!pid)
		_exit(refusals_of_nobody(&self->c));
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, kx_log_count(self->c.fd));
}

/* The last one: it leaves the next 5 seconds without a line. */
SAYS(rate_limited)
{
	unsigned int i, lines;

	kx_sleep_ms(5500);
	kx_log_count(self->c.fd);
	for (i = 0; i < 200; i++)
		EXPECT_EQ(-EINVAL, kx_load(0, 17, NULL, 0));
	lines = kx_log_count(self->c.fd);
	EXPECT_GT(100U, lines);
	EXPECT_LT(5U, lines);
	*spent = BURST;
}

int main(int argc, char **argv)
{
	spent = mmap(NULL, KX_PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return test_harness_run(argc, argv);
}
