// SPDX-License-Identifier: GPL-2.0
/*
 * What kexec_file_load(2) answers, rule by rule, in the order in which the rules
 * are checked, and that a refusal leaves everything as it was.
 *
 * A test is named for the check in the manual page's list that it is about;
 * "rowA_before_rowB" breaks both rules and must get the errno of the first.
 * rows.py lists the tests that fail on the kernel that this one is compared to.
 *
 * kexec_file_read has the files that misbehave while they are read.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <kselftest_harness.h>

#include "kexec_rows.h"

#define CMDLINE "root=none quiet"
#define INITRD (2 * KX_PAGE + 5)
#define UNKNOWN_FLAG 0x40
#define KERNEL_ADDRESS ((const char *)0xffff888000000000)

#define REAL_KERNEL "/boot/bzImage"

/* A call of kexec_file_load() that would succeed, to be spoiled */
struct call {
	int kernel;
	int initrd;
	unsigned long len;
	const char *cmdline;
	unsigned long flags;
};

static void call_init(struct call *c, const union kx_fake *fake)
{
	static const char initrd[INITRD] = "an initrd";

	*c = (struct call){
		.kernel = kx_memfd(fake, sizeof(*fake)),
		.initrd = kx_memfd(initrd, sizeof(initrd)),
		.len = sizeof(CMDLINE),
		.cmdline = CMDLINE,
	};
}

static long attempt(const struct call *c)
{
	return kx_file_load(c->kernel, c->initrd, c->len, c->cmdline, c->flags);
}

/* By the other call, so that each replaces the other's image */
static long load_old(void)
{
	static const char content[KX_PAGE];
	struct kx_seg seg = { content, KX_PAGE, 0, KX_PAGE };
	struct kx_ranges ram;
	struct kx_range range;

	kx_system_ram(&ram);
	range = kx_largest(&ram, 4 * KX_GIB);
	seg.mem = (range.start + range.end) / 2 & KX_PAGE_MASK;
	return kx_load(seg.mem, 1, &seg, 0);
}

static void clean_up(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, kx_unload());
	EXPECT_EQ(0, kx_loaded());
}

/* Refused with nothing loaded, and with something that has to stay */
static void refused(struct __test_metadata *_metadata, const struct call *c,
		    int err)
{
	unsigned long free_kb = kx_free_kb();

	EXPECT_EQ(-err, attempt(c));
	EXPECT_EQ(0, kx_loaded());
	kx_unload();
	ASSERT_EQ(0, load_old());
	EXPECT_EQ(-err, attempt(c));
	EXPECT_EQ(1, kx_loaded());
	clean_up(_metadata);
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB))
		TH_LOG("free: %lu kB before, %lu kB now", free_kb, kx_free_kb());
}

static void accepted(struct __test_metadata *_metadata, const struct call *c)
{
	unsigned long free_kb = kx_free_kb();

	EXPECT_EQ(0, attempt(c));
	EXPECT_EQ(1, kx_loaded());
	clean_up(_metadata);
	EXPECT_EQ(0, load_old());
	EXPECT_EQ(0, attempt(c));
	EXPECT_EQ(1, kx_loaded());
	clean_up(_metadata);
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
}

#define REFUSED(err) refused(_metadata, &self->c, err)
#define ACCEPTED() accepted(_metadata, &self->c)

static void set_up(struct __test_metadata *_metadata, struct call *c,
		   union kx_fake *fake)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return, "%s", unfit);
	if (!need(_metadata, "file", kx_have_file_load()))
		return;
	if (kx_loaded() && !kx_destructive())
		SKIP(return, "something is loaded, which these tests would unload");
	kx_unload();
	kx_fake_init(fake);
	call_init(c, fake);
}

/* The whole call */
FIXTURE(file) {
	struct call c;
	union kx_fake fake;
};

FIXTURE_SETUP(file)
{
	set_up(_metadata, &self->c, &self->fake);
}

FIXTURE_TEARDOWN(file)
{
	kx_unload();
}

/* What holds for both files: @fd is the one to be replaced */
FIXTURE(each) {
	struct call c;
	union kx_fake fake;
	int *fd;
};

FIXTURE_VARIANT(each) {
	bool initrd;
};

FIXTURE_VARIANT_ADD(each, kernel) {
	.initrd = false,
};

FIXTURE_VARIANT_ADD(each, initrd) {
	.initrd = true,
};

FIXTURE_SETUP(each)
{
	set_up(_metadata, &self->c, &self->fake);
	self->fd = variant->initrd ? &self->c.initrd : &self->c.kernel;
}

FIXTURE_TEARDOWN(each)
{
	kx_unload();
}

/* A number that was a file descriptor a moment ago */
static int closed_fd(void)
{
	int fd = kx_memfd("x", 1);

	close(fd);
	return fd;
}

static u64 memory(void)
{
	struct kx_ranges ram;

	kx_system_ram(&ram);
	return kx_total(&ram);
}

/* The kernel is this one now, as far as it goes. */
static void replace_kernel(struct call *c, const union kx_fake *fake, size_t size)
{
	close(c->kernel);
	c->kernel = kx_memfd(fake, size);
}

/*
 * Row 1: who may
 */

/* The errno that somebody else gets */
static int errno_after(int (*become)(void), const struct call *c)
{
	pid_t pid = fork();

	if (!pid)
		_exit(become() ? CANNOT_BECOME : -attempt(c));
	return exit_status(pid);
}

ROW(file, row1_no_capability)
{
	EXPECT_EQ(EPERM, errno_after(become_nobody, &self->c));
	EXPECT_EQ(0, kx_loaded());
	self->c.flags = KEXEC_FILE_UNLOAD;
	ASSERT_EQ(0, load_old());
	EXPECT_EQ(EPERM, errno_after(become_nobody, &self->c));
	EXPECT_EQ(1, kx_loaded());
}

ROW(file, row1_capability_in_a_namespace)
{
	int err = errno_after(enter_user_namespace, &self->c);

	if (!NEED("userns", err != CANNOT_BECOME))
		return;
	EXPECT_EQ(EPERM, err);
	EXPECT_EQ(0, kx_loaded());
}

ROW(file, row1_before_row2)
{
	self->c.flags = UNKNOWN_FLAG;
	EXPECT_EQ(EPERM, errno_after(become_nobody, &self->c));
}

ROW(file, row1_before_row5)
{
	self->c.kernel = -1;
	EXPECT_EQ(EPERM, errno_after(become_nobody, &self->c));
}

/*
 * Row 2: flags
 */

ROW(file, row2_unknown_flags)
{
	unsigned int bit;

	for (bit = 6; bit < 64; bit++) {
		self->c.flags = 1UL << bit;
		EXPECT_EQ(-EINVAL, attempt(&self->c));
	}
	REFUSED(EINVAL);
}

ROW(file, row2_unknown_flag_when_unloading)
{
	self->c.flags = KEXEC_FILE_UNLOAD | UNKNOWN_FLAG;
	REFUSED(EINVAL);
}

ROW(file, row2_before_row5)
{
	self->c.flags = UNKNOWN_FLAG;
	self->c.kernel = -1;
	REFUSED(EINVAL);
}

ROW(file, row2_debug)
{
	self->c.flags = KEXEC_FILE_DEBUG;
	ACCEPTED();
}

ROW(file, row2b_no_cma)
{
	self->c.flags = KEXEC_FILE_NO_CMA;
	ACCEPTED();
}

ROW(file, row2b_force_dtb)
{
	self->c.flags = KEXEC_FILE_FORCE_DTB;
	ACCEPTED();
}

/*
 * Row 3: busy
 */

/* A load by either call that waits for what it is to copy */
struct held {
	struct kx_blocker blocker;
	struct call c;
	struct kx_seg seg;
	pthread_t thread;
	long ret;
};

static void *hold_thread(void *data)
{
	struct held *held = data;

	held->ret = held->seg.memsz ? kx_load(0, 1, &held->seg, 0) :
				      attempt(&held->c);
	return NULL;
}

static void hold(struct __test_metadata *_metadata, struct held *held,
		 const struct call *c, u64 dest)
{
	*held = (struct held){ .c = *c };
	ASSERT_TRUE(kx_block(&held->blocker, KX_PAGE));
	held->c.flags = 0;
	held->c.len = 100;
	held->c.cmdline = held->blocker.buf;
	if (dest)
		held->seg = (struct kx_seg){
			held->blocker.buf, KX_PAGE, dest, KX_PAGE,
		};
	ASSERT_EQ(0, pthread_create(&held->thread, NULL, hold_thread, held));
	ASSERT_TRUE(kx_block_wait(&held->blocker, 10000 * kx_slowness()));
}

static void let_go(struct __test_metadata *_metadata, struct held *held)
{
	kx_block_release(&held->blocker);
	pthread_join(held->thread, NULL);
	kx_block_free(&held->blocker);
	EXPECT_EQ(0, held->ret);
	EXPECT_EQ(1, kx_loaded());
	clean_up(_metadata);
}

/* The call that is held is a good one, whatever @c became. */
static void busy(struct __test_metadata *_metadata, const struct call *good,
		 const struct call *c, int err)
{
	struct held held;

	hold(_metadata, &held, good, 0);
	EXPECT_EQ(-err, attempt(c));
	EXPECT_EQ(0, kx_loaded());
	let_go(_metadata, &held);
}

ROW(file, row3_load)
{
	busy(_metadata, &self->c, &self->c, EBUSY);
}

ROW(file, row3_unload)
{
	struct call c = { .flags = KEXEC_FILE_UNLOAD };

	busy(_metadata, &self->c, &c, EBUSY);
	c.flags |= KEXEC_FILE_ON_CRASH;
	busy(_metadata, &self->c, &c, EBUSY);
}

ROW(file, row3_the_other_call)
{
	struct held held;

	hold(_metadata, &held, &self->c, 0);
	EXPECT_EQ(-EBUSY, load_old());
	EXPECT_EQ(-EBUSY, kx_unload());
	let_go(_metadata, &held);
	hold(_metadata, &held, &self->c, 64 * KX_MIB);
	EXPECT_EQ(-EBUSY, attempt(&self->c));
	let_go(_metadata, &held);
}

ROW(file, row2_before_row3)
{
	struct call c = self->c;

	c.flags = UNKNOWN_FLAG;
	busy(_metadata, &self->c, &c, EINVAL);
}

ROW(file, row3_before_row5)
{
	struct call c = self->c;

	c.kernel = -1;
	busy(_metadata, &self->c, &c, EBUSY);
}

ROW(file, row3_reboot)
{
	struct held held;

	if (!kx_destructive())
		SKIP(return, "KEXEC_TEST_DESTRUCTIVE is not set");
	hold(_metadata, &held, &self->c, 0);
	EXPECT_EQ(-EBUSY, kx_reboot());
	let_go(_metadata, &held);
}

/* The old image is there until the new one is complete. */
ROW(file, row3_replace_in_one_step)
{
	struct held held;

	ASSERT_EQ(0, load_old());
	hold(_metadata, &held, &self->c, 0);
	EXPECT_EQ(1, kx_loaded());
	let_go(_metadata, &held);
}

/*
 * Row 4: unloading
 */

ROW(file, row4_unload_nothing)
{
	self->c.flags = KEXEC_FILE_UNLOAD;
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, kx_loaded());
}

ROW(file, row4_unload)
{
	struct call unload = { .flags = KEXEC_FILE_UNLOAD };
	unsigned long free_kb = kx_free_kb();

	ASSERT_EQ(0, load_old());
	EXPECT_EQ(0, attempt(&unload));
	EXPECT_EQ(0, kx_loaded());
	ASSERT_EQ(0, attempt(&self->c));
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(0, attempt(&unload));
	EXPECT_EQ(0, kx_loaded());
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
}

ROW(file, row4_ignores_the_rest)
{
	const struct call bad[] = {
		{ -1, -1, 0, NULL, 0 },
		{ closed_fd(), closed_fd(), 100, NULL, 0 },
		{ self->c.kernel, -1, ~0UL, KERNEL_ADDRESS, 0 },
		{ INT_MIN, INT_MAX, KX_GIB, "x", KEXEC_FILE_NO_INITRAMFS },
		{ 1000, 1000, 1, "x", KEXEC_FILE_DEBUG },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct call c = bad[i];

		c.flags |= KEXEC_FILE_UNLOAD;
		ASSERT_EQ(0, attempt(&self->c));
		EXPECT_EQ(0, attempt(&c));
		EXPECT_EQ(0, kx_loaded());
	}
}

/* The normal image is another one, and stays. */
ROW(file, row4_crash_unload)
{
	struct call unload = {
		.flags = KEXEC_FILE_UNLOAD | KEXEC_FILE_ON_CRASH,
	};

	EXPECT_EQ(0, attempt(&unload));
	ASSERT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, attempt(&unload));
	EXPECT_EQ(1, kx_loaded());
}

/*
 * Row 5: what is no open file
 */

ROW(each, row5_not_open)
{
	*self->fd = closed_fd();
	REFUSED(EBADF);
	*self->fd = -1;
	REFUSED(EBADF);
	*self->fd = INT_MAX;
	REFUSED(EBADF);
}

ROW(each, row5_write_only)
{
	*self->fd = kx_reopen(*self->fd, O_WRONLY);
	REFUSED(EBADF);
}

ROW(each, row5_path)
{
	*self->fd = kx_reopen(*self->fd, O_PATH);
	REFUSED(EBADF);
}

ROW(each, row5_directory_by_path)
{
	*self->fd = open("/", O_PATH | O_DIRECTORY);
	REFUSED(EBADF);
}

/*
 * Row 6: what is no regular file
 */

ROW(each, row6_directory)
{
	*self->fd = open("/", O_RDONLY | O_DIRECTORY);
	REFUSED(EINVAL);
}

ROW(each, row6_pipe)
{
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	*self->fd = fd[0];
	REFUSED(EINVAL);
	*self->fd = fd[1];
	REFUSED(EBADF);
}

ROW(each, row6_device)
{
	*self->fd = open("/dev/null", O_RDONLY);
	REFUSED(EINVAL);
	*self->fd = open("/dev/zero", O_RDWR);
	REFUSED(EINVAL);
}

/* Regular, but of no size that it would tell */
ROW(each, row6_proc)
{
	*self->fd = open("/proc/self/maps", O_RDONLY);
	REFUSED(EINVAL);
}

/*
 * Row 7: who could change it
 */

ROW(each, row7_open_for_writing)
{
	int writer = kx_reopen(*self->fd, O_WRONLY);

	REFUSED(ETXTBSY);
	close(writer);
	ACCEPTED();
	writer = kx_reopen(*self->fd, O_RDWR);
	REFUSED(ETXTBSY);
}

ROW(each, row7_open_for_writing_itself)
{
	*self->fd = kx_reopen(*self->fd, O_RDWR);
	REFUSED(ETXTBSY);
}

ROW(each, row7_mapped_for_writing)
{
	int writer = kx_reopen(*self->fd, O_RDWR);
	void *map = mmap(NULL, KX_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 writer, 0);

	ASSERT_NE(MAP_FAILED, map);
	close(writer);
	REFUSED(ETXTBSY);
	munmap(map, KX_PAGE);
	ACCEPTED();
}

/* Whatever becomes of the load, the file may be written again. */
ROW(each, row7_writable_afterwards)
{
	EXPECT_EQ(0, attempt(&self->c));
	close(kx_reopen(*self->fd, O_RDWR));
	ASSERT_EQ(0, ftruncate(*self->fd, 100));
	self->c.cmdline = NULL;
	EXPECT_GT(0, attempt(&self->c));
	close(kx_reopen(*self->fd, O_RDWR));
	ASSERT_EQ(0, ftruncate(*self->fd, 0));
	EXPECT_EQ(-EINVAL, attempt(&self->c));
	close(kx_reopen(*self->fd, O_RDWR));
}

ROW(each, row7_before_row8)
{
	int writer = kx_reopen(*self->fd, O_RDWR);

	ASSERT_EQ(0, ftruncate(writer, 0));
	REFUSED(ETXTBSY);
	ASSERT_EQ(0, ftruncate(writer, 5 * KX_GIB));
	REFUSED(ETXTBSY);
}

/*
 * Rows 8 and 9: sizes
 */

ROW(each, row8_empty)
{
	*self->fd = kx_memfd("", 0);
	REFUSED(EINVAL);
}

static void promptly(struct __test_metadata *_metadata, const struct call *c,
		     int err)
{
	long kills = oom_kills();
	u64 start = kx_now_ns();

	EXPECT_EQ(-err, attempt(c));
	EXPECT_GT(PROMPT_NS / 10, kx_now_ns() - start);
	refused(_metadata, c, err);
	EXPECT_EQ(kills, oom_kills());
}

#define PROMPTLY(err) promptly(_metadata, &self->c, err)

ROW(each, row8_too_large)
{
	*self->fd = kx_memfd(NULL, 4 * KX_GIB + 1);
	PROMPTLY(EFBIG);
	*self->fd = kx_memfd(NULL, 4 * KX_GIB + KX_PAGE);
	PROMPTLY(EFBIG);
	*self->fd = kx_memfd(NULL, 1UL << 60);
	PROMPTLY(EFBIG);
}

ROW(each, row9_four_gib)
{
	*self->fd = kx_memfd(NULL, 4 * KX_GIB);
	if (!NEED("small", memory() < 4 * KX_GIB))
		return;
	PROMPTLY(ENOMEM);
}

/* By its size alone: there is nothing in it that could be a kernel. */
ROW(each, row9_more_than_memory)
{
	*self->fd = kx_memfd(NULL, memory() * 5 / 4);
	if (!NEED("small", memory() < 3 * KX_GIB))
		return;
	PROMPTLY(ENOMEM);
}

ROW(file, row9_before_row14)
{
	self->c.initrd = kx_memfd(NULL, memory() * 5 / 4);
	self->c.len = KX_FAKE_CMDLINE + 2;
	if (!NEED("small", memory() < 3 * KX_GIB))
		return;
	PROMPTLY(ENOMEM);
}

/* The kernel that this one is compared to calls for the OOM killer. */
static bool may_run_out(struct __test_metadata *_metadata)
{
	if (kx_stock())
		SKIP(return false, "this kernel would run out of memory");
	return NEED("small", memory() < 3 * KX_GIB);
}

/* What is free now and some more; what is too much has to be seen. */
ROW(each, row9_a_little_too_much)
{
	if (!may_run_out(_metadata))
		return;
	*self->fd = kx_memfd(NULL, (kx_free_kb() * 1024 + memory()) / 2);
	PROMPTLY(ENOMEM);
}

ROW(file, row9_both_together)
{
	u64 size = memory() / 5 & KX_PAGE_MASK;

	if (!may_run_out(_metadata))
		return;
	self->fake.hdr.syssize = (size - KX_FAKE_SETUP) / 16;
	self->fake.hdr.init_size = size;
	replace_kernel(&self->c, &self->fake, sizeof(self->fake));
	ASSERT_EQ(0, ftruncate(self->c.kernel, size));
	self->c.initrd = kx_memfd(NULL, kx_free_kb() * 1024 - size / 2);
	/* Page tables of the kernel's own mappings stay, for the next one. */
	EXPECT_EQ(-ENOMEM, attempt(&self->c));
	REFUSED(ENOMEM);
}

ROW(file, row9_more_than_half)
{
	u64 bytes = memory() * 6 / 10;

	if (!NEED("free", bytes / 1024 < kx_free_kb() * 9 / 10))
		return;
	self->c.initrd = kx_memfd(NULL, bytes);
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(1, kx_loaded());
}

/*
 * Row 11: what is no kernel, or not all of it
 */

ROW(file, row11_sixteen_bytes)
{
	self->c.kernel = kx_memfd("sixteen bytes...", 16);
	REFUSED(ENOEXEC);
	self->c.kernel = kx_memfd("M", 1);
	REFUSED(ENOEXEC);
}

ROW(file, row11_text)
{
	static char text[5 * KX_PAGE];

	memset(text, 'x', sizeof(text));
	self->c.kernel = kx_memfd(text, sizeof(text));
	REFUSED(ENOEXEC);
}

ROW(file, row11_elf)
{
	self->c.kernel = open("/proc/self/exe", O_RDONLY);
	REFUSED(ENOEXEC);
}

ROW(file, row11_hole)
{
	self->c.kernel = kx_memfd(NULL, KX_MIB);
	REFUSED(ENOEXEC);
}

/* One field of the header as no kernel has it that can be loaded */
struct wrong {
	size_t at;
	size_t size;
	u32 value;
};

#define XLOADFLAGS (XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G | XLF_5LEVEL)
#define WRONG1(field, value) { offsetof(struct setup_header, field), 1, value }
#define WRONG2(field, value) { offsetof(struct setup_header, field), 2, value }
#define WRONG4(field, value) { offsetof(struct setup_header, field), 4, value }

static const struct wrong wrong_fields[] = {
	WRONG1(setup_sects, 255),
	WRONG1(setup_sects, 64),
	WRONG2(boot_flag, 0),
	WRONG2(boot_flag, 0x55aa),
	WRONG4(header, 0),
	WRONG4(header, 0x53726447),
	WRONG2(version, 0),
	WRONG2(version, 0x1ff),
	WRONG2(version, 0x20b),
	WRONG1(loadflags, 0),
	WRONG1(loadflags, 0xff & ~LOADED_HIGH),
	WRONG2(xloadflags, 0),
	WRONG2(xloadflags, XLOADFLAGS & ~XLF_KERNEL_64),
	WRONG2(xloadflags, XLOADFLAGS & ~XLF_CAN_BE_LOADED_ABOVE_4G),
};

/* Values that make no sense; the kernel we are compared to does not look. */
static const struct wrong senseless_fields[] = {
	WRONG2(jump, 0xeb),
	WRONG2(jump, 0x5eeb),
	WRONG4(kernel_alignment, 0),
	WRONG4(kernel_alignment, 0x300000),
};

static void wrong_header(struct __test_metadata *_metadata, struct call *c,
			 const struct wrong *wrong)
{
	union kx_fake fake;

	kx_fake_init(&fake);
	memcpy((char *)&fake.hdr + wrong->at, &wrong->value, wrong->size);
	replace_kernel(c, &fake, sizeof(fake));
	EXPECT_EQ(-ENOEXEC, attempt(c))
		TH_LOG("byte %zu of the header: %#x", wrong->at, wrong->value);
	kx_unload();
	refused(_metadata, c, ENOEXEC);
}

ROW(file, row11_wrong_header)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong_fields); i++)
		wrong_header(_metadata, &self->c, &wrong_fields[i]);
}

ROW(file, row11_senseless_header)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(senseless_fields); i++)
		wrong_header(_metadata, &self->c, &senseless_fields[i]);
}

/* 5-level page tables need a kernel that knows how to leave them; 4 do not. */
ROW(file, row11_five_levels)
{
	self->fake.hdr.xloadflags = XLOADFLAGS & ~XLF_5LEVEL;
	replace_kernel(&self->c, &self->fake, sizeof(self->fake));
	if (!kx_cpu_flag("la57") && !kx_demanded("la57"))
		ACCEPTED();
	else
		REFUSED(ENOEXEC);
}

static const size_t cuts[] = {
	sizeof(union kx_fake) / 2, sizeof(union kx_fake) - KX_PAGE,
	sizeof(union kx_fake) - 16, sizeof(union kx_fake) - 1,
	KX_FAKE_SETUP + 1, KX_FAKE_SETUP,
};

ROW(file, row11_truncated)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		replace_kernel(&self->c, &self->fake, cuts[i]);
		REFUSED(ENOEXEC);
	}
}

ROW(file, row11_truncated_setup)
{
	replace_kernel(&self->c, &self->fake, KX_FAKE_SETUP - 1);
	REFUSED(ENOEXEC);
	replace_kernel(&self->c, &self->fake, 512);
	REFUSED(ENOEXEC);
	replace_kernel(&self->c, &self->fake, 0x202);
	REFUSED(ENOEXEC);
}

ROW(file, row11_truncated_before_row13)
{
	replace_kernel(&self->c, &self->fake, sizeof(self->fake) / 2);
	self->c.initrd = -1;
	REFUSED(ENOEXEC);
}

ROW(file, row11_truncated_before_row14)
{
	replace_kernel(&self->c, &self->fake, sizeof(self->fake) / 2);
	self->c.len = KX_FAKE_CMDLINE + 2;
	REFUSED(ENOEXEC);
	self->c.cmdline = NULL;
	REFUSED(ENOEXEC);
}

ROW(file, row11_before_row13)
{
	replace_kernel(&self->c, &self->fake, 512);
	self->c.initrd = -1;
	REFUSED(ENOEXEC);
	self->c.initrd = kx_memfd(NULL, 5 * KX_GIB);
	REFUSED(ENOEXEC);
}

ROW(file, row11_before_row14)
{
	replace_kernel(&self->c, &self->fake, 512);
	self->c.len = KX_FAKE_CMDLINE + 2;
	REFUSED(ENOEXEC);
	self->c.cmdline = NULL;
	REFUSED(ENOEXEC);
}

/* A signature comes after what the header tells of. */
ROW(file, row11_longer_than_it_says)
{
	ASSERT_EQ(0, ftruncate(self->c.kernel, sizeof(self->fake) + 1000));
	ACCEPTED();
}

/*
 * Row 13: the initrd
 */

ROW(file, row13_no_initramfs)
{
	self->c.flags = KEXEC_FILE_NO_INITRAMFS;
	ACCEPTED();
	self->c.initrd = -1;
	ACCEPTED();
	self->c.initrd = closed_fd();
	ACCEPTED();
	self->c.initrd = open("/", O_RDONLY | O_DIRECTORY);
	ACCEPTED();
	self->c.initrd = kx_memfd(NULL, 5 * KX_GIB);
	ACCEPTED();
}

ROW(file, row5_before_row13)
{
	self->c.initrd = open("/", O_RDONLY | O_DIRECTORY);
	self->c.kernel = -1;
	REFUSED(EBADF);
	self->c.kernel = self->c.initrd;
	self->c.initrd = -1;
	REFUSED(EINVAL);
}

ROW(file, row13_before_row14)
{
	self->c.initrd = -1;
	self->c.len = KX_FAKE_CMDLINE + 2;
	REFUSED(EBADF);
	self->c.len = ~0UL;
	REFUSED(EBADF);
}

ROW(file, row13_before_row15)
{
	self->c.initrd = kx_memfd(NULL, 5 * KX_GIB);
	self->c.cmdline = NULL;
	REFUSED(EFBIG);
}

/*
 * Row 14: the length of the command line
 */

/* As long as it may be, and one byte longer */
static void limited_to(struct __test_metadata *_metadata, struct call *c,
		       unsigned long size)
{
	char *cmdline = kx_guarded(size + 1);

	memset(cmdline, 'x', size);
	c->cmdline = cmdline + 1;
	c->len = size;
	cmdline[size] = 0;
	accepted(_metadata, c);
	c->cmdline = cmdline;
	c->len = size + 1;
	refused(_metadata, c, EINVAL);
}

ROW(file, row14_as_the_header_says)
{
	limited_to(_metadata, &self->c, KX_FAKE_CMDLINE + 1);
	self->fake.hdr.cmdline_size = 10000;
	replace_kernel(&self->c, &self->fake, sizeof(self->fake));
	limited_to(_metadata, &self->c, 10001);
}

/* The header's 0 is no limit of none: there is always a NUL. */
ROW(file, row14_empty_only)
{
	self->fake.hdr.cmdline_size = 0;
	replace_kernel(&self->c, &self->fake, sizeof(self->fake));
	limited_to(_metadata, &self->c, 1);
	self->c.len = 0;
	ACCEPTED();
}

ROW(file, row14_one_too_many)
{
	char cmdline[KX_FAKE_CMDLINE + 2] = "";

	self->c.cmdline = cmdline;
	self->c.len = sizeof(cmdline);
	REFUSED(EINVAL);
}

ROW(file, row14_long)
{
	const unsigned long len = 100000;
	char *cmdline = kx_alloc(len);

	memset(cmdline, 'x', len - 1);
	self->fake.hdr.cmdline_size = 0xffffffff;
	replace_kernel(&self->c, &self->fake, sizeof(self->fake));
	self->c.cmdline = cmdline;
	self->c.len = len;
	ACCEPTED();
}

ROW(file, row14_very_long)
{
	static const unsigned long len[] = {
		KX_GIB, 1UL << 32, (1UL << 32) + 1, LONG_MAX, ~0UL,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		self->c.len = len[i];
		PROMPTLY(EINVAL);
	}
}

ROW(file, row14_before_row15)
{
	self->c.len = KX_FAKE_CMDLINE + 2;
	self->c.cmdline = NULL;
	REFUSED(EINVAL);
	self->c.cmdline = KERNEL_ADDRESS;
	REFUSED(EINVAL);
}

/*
 * Rows 15 and 16: its content
 */

ROW(file, row15_unreadable)
{
	self->c.cmdline = NULL;
	REFUSED(EFAULT);
	self->c.cmdline = KERNEL_ADDRESS;
	REFUSED(EFAULT);
	self->c.len = 1;
	REFUSED(EFAULT);
}

ROW(file, row15_cut_short)
{
	char *cmdline = kx_guarded(100);

	memset(cmdline, 'x', 99);
	self->c.cmdline = cmdline;
	self->c.len = 101;
	REFUSED(EFAULT);
	self->c.len = 100;
	ACCEPTED();
}

/* It waits for a page of its own, is killed, and nobody stays busy. */
static pid_t block_in_child(const struct call *c)
{
	struct kx_blocker blocker;
	struct call held = *c;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (kx_block(&blocker, KX_PAGE)) {
		held.cmdline = blocker.buf;
		attempt(&held);
	}
	_exit(0);
}

ROW(file, row15_killed_while_reading)
{
	pid_t pid = block_in_child(&self->c);
	int i;

	for (i = 0; i < 1000 && kx_unload() != -EBUSY; i++)
		usleep(10000);
	EXPECT_EQ(-EBUSY, kx_unload());
	EXPECT_GT(PROMPT_NS, kill_child(pid));
	EXPECT_EQ(0, kx_loaded());
	ACCEPTED();
}

ROW(file, row16_no_nul)
{
	self->c.len--;
	REFUSED(EINVAL);
	self->c.len = 1;
	REFUSED(EINVAL);
}

ROW(file, row16_nul_in_the_middle)
{
	self->c.cmdline = "one\0two";
	self->c.len = 8;
	ACCEPTED();
	self->c.len = 7;
	REFUSED(EINVAL);
}

ROW(file, row16_none)
{
	self->c.len = 0;
	ACCEPTED();
	self->c.cmdline = NULL;
	ACCEPTED();
	self->c.cmdline = KERNEL_ADDRESS;
	ACCEPTED();
	self->c.cmdline = "";
	self->c.len = 1;
	ACCEPTED();
}

/*
 * Row 17: where to
 */

/* Without CRASH_DUMP there is no crash region. */
ROW(file, row17_no_crash_region)
{
	self->c.flags = KEXEC_FILE_ON_CRASH;
	REFUSED(EADDRNOTAVAIL);
	self->c.flags |= KEXEC_FILE_NO_INITRAMFS;
	REFUSED(EADDRNOTAVAIL);
}

ROW(file, row17_no_hole)
{
	self->fake.hdr.init_size = 0xfffff000;
	replace_kernel(&self->c, &self->fake, sizeof(self->fake));
	if (!NEED("small", memory() < 4 * KX_GIB))
		return;
	REFUSED(EADDRNOTAVAIL);
}

ROW(file, row5_before_row17)
{
	self->c.flags = KEXEC_FILE_ON_CRASH;
	self->c.kernel = -1;
	REFUSED(EBADF);
}

ROW(file, row11_before_row17)
{
	self->c.flags = KEXEC_FILE_ON_CRASH;
	replace_kernel(&self->c, &self->fake, 512);
	REFUSED(ENOEXEC);
}

ROW(file, row13_before_row17)
{
	self->c.flags = KEXEC_FILE_ON_CRASH;
	self->c.initrd = -1;
	REFUSED(EBADF);
}

ROW(file, row14_before_row17)
{
	self->c.flags = KEXEC_FILE_ON_CRASH;
	self->c.len = KX_FAKE_CMDLINE + 2;
	self->c.cmdline = kx_alloc(KX_PAGE);
	REFUSED(EINVAL);
}

ROW(file, row15_before_row17)
{
	self->c.flags = KEXEC_FILE_ON_CRASH;
	self->c.cmdline = NULL;
	REFUSED(EFAULT);
}

ROW(file, row16_before_row17)
{
	self->c.flags = KEXEC_FILE_ON_CRASH;
	self->c.len--;
	REFUSED(EINVAL);
}

/*
 * Accepted
 */

ROW(file, accepted)
{
	ACCEPTED();
}

/* It is loaded from its first byte, and nobody's place in it is moved. */
ROW(each, accepted_whatever_the_offset)
{
	off_t at[] = { 0, 1, KX_PAGE, INITRD, 1L << 40 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_EQ(at[i], lseek(*self->fd, at[i], SEEK_SET));
		ACCEPTED();
		EXPECT_EQ(at[i], lseek(*self->fd, 0, SEEK_CUR));
	}
}

ROW(each, accepted_read_only)
{
	*self->fd = kx_reopen(*self->fd, O_RDONLY);
	ACCEPTED();
}

ROW(each, accepted_sealed)
{
	ASSERT_EQ(0, fcntl(*self->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
			   F_SEAL_WRITE | F_SEAL_SEAL));
	ACCEPTED();
	*self->fd = kx_reopen(*self->fd, O_RDONLY);
	ACCEPTED();
}

/* A file with a name, and one whose name is gone */
ROW(each, accepted_on_a_disk)
{
	int fd = open("/tmp/kexec-file", O_RDWR | O_CREAT | O_TRUNC, 0600);

	ASSERT_EQ((ssize_t)sizeof(self->fake),
		  write(fd, &self->fake, sizeof(self->fake)));
	close(fd);
	*self->fd = open("/tmp/kexec-file", O_RDONLY);
	ACCEPTED();
	unlink("/tmp/kexec-file");
	ACCEPTED();
}

ROW(file, accepted_one_file_twice)
{
	self->c.initrd = self->c.kernel;
	ACCEPTED();
	self->c.initrd = dup(self->c.kernel);
	ACCEPTED();
}

ROW(file, accepted_initrd_of_any_size)
{
	static const u64 sizes[] = {
		1, KX_PAGE - 1, KX_PAGE, KX_PAGE + 1, 3 * KX_MIB + 1,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		close(self->c.initrd);
		self->c.initrd = kx_memfd(NULL, sizes[i]);
		ACCEPTED();
	}
}

ROW(file, accepted_sparse_initrd)
{
	u64 size = memory() / 32;

	self->c.initrd = kx_memfd(NULL, size);
	ASSERT_EQ(1, pwrite(self->c.initrd, "x", 1, size / 2));
	ACCEPTED();
}

ROW(file, accepted_all_flags)
{
	self->c.flags = KEXEC_FILE_NO_INITRAMFS | KEXEC_FILE_DEBUG |
			KEXEC_FILE_NO_CMA | KEXEC_FILE_FORCE_DTB;
	ACCEPTED();
}

/*
 * Both calls
 */

ROW(file, both_replace_each_other)
{
	unsigned long free_kb = kx_free_kb();
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, i % 3 ? attempt(&self->c) : load_old());
		EXPECT_EQ(1, kx_loaded());
	}
	clean_up(_metadata);
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
}

/* One way to fail after the other, and what that has to come to */
static long fail(const struct call *c, unsigned int how, long *expected)
{
	struct call bad = *c;

	switch (how % 5) {
	case 0:
		bad.initrd = -1;
		*expected = -EBADF;
		break;
	case 1:
		bad.kernel = c->initrd;
		*expected = -ENOEXEC;
		break;
	case 2:
		bad.len = KX_FAKE_CMDLINE + 2;
		bad.cmdline = kx_sparse(KX_PAGE);
		*expected = -EINVAL;
		break;
	case 3:
		bad.cmdline = NULL;
		*expected = -EFAULT;
		break;
	case 4:
		bad.len--;
		*expected = -EINVAL;
		break;
	}
	return attempt(&bad);
}

#define ROUNDS 400
/* As many again: under KASAN, what mappings need grows that long, once. */
#define WARM_UP ROUNDS
#define LEAK_KB 300

ROW(file, nothing_leaks)
{
	unsigned long free_kb = 0;
	long ret, expected;
	int i;

	for (i = 0; i < WARM_UP + ROUNDS; i++) {
		if (i == WARM_UP) {
			kx_unload();
			kx_settle();
			free_kb = kx_free_kb();
		}
		if (i % 20 == 0)
			ASSERT_EQ(0, attempt(&self->c));
		ret = fail(&self->c, i, &expected);
		EXPECT_EQ(expected, ret);
	}
	kx_unload();
	kx_settle();
	EXPECT_TRUE(kx_free_again(free_kb, LEAK_KB))
		TH_LOG("free memory: %lu kB before, %lu kB now", free_kb, kx_free_kb());
}

/*
 * A real kernel
 */

FIXTURE(real) {
	struct call c;
	union kx_fake fake;
	u64 size;
	char printk[64];
};

static void read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "r");

	if (!file || !fgets(line, size, file))
		line[0] = 0;
	if (file)
		fclose(file);
}

/* Its refusals are for the log, not for a serial console. */
FIXTURE_SETUP(real)
{
	set_up(_metadata, &self->c, &self->fake);
	read_line("/proc/sys/kernel/printk", self->printk, sizeof(self->printk));
	if (!NEED("kernel", !access(REAL_KERNEL, R_OK)))
		return;
	kx_write_file("/proc/sys/kernel/printk", "3");
	close(self->c.kernel);
	self->c.kernel = open(REAL_KERNEL, O_RDONLY);
	self->size = lseek(self->c.kernel, 0, SEEK_END);
}

FIXTURE_TEARDOWN(real)
{
	kx_write_file("/proc/sys/kernel/printk", self->printk);
	kx_unload();
}

ROW(real, accepted)
{
	ACCEPTED();
}

/* In memory, as much of it as is wanted; to be unmapped by the exit */
static const char *content(const struct call *c, u64 size)
{
	const char *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, c->kernel, 0);

	if (map == MAP_FAILED)
		kx_die("cannot map " REAL_KERNEL);
	return map;
}

ROW(real, row11_truncated)
{
	const char *kernel = content(&self->c, self->size);
	u64 setup = (kernel[0x1f1] + 1) * 512;

	self->c.kernel = kx_memfd(kernel, self->size / 2);
	REFUSED(ENOEXEC);
	self->c.kernel = kx_memfd(kernel, setup);
	REFUSED(ENOEXEC);
}

ROW(real, row14_as_the_header_says)
{
	const union kx_fake *head = (const void *)content(&self->c, KX_PAGE);

	limited_to(_metadata, &self->c, head->hdr.cmdline_size + 1);
}

/*
 * A real kernel's header, with mistakes
 */

#define MUTANTS 10000
#define WHOLE_MUTANTS 100
#define BODY (64 * 1024)
#define HEADER_END (0x1f1 + sizeof(struct setup_header))

static u64 below(u64 *state, u64 limit)
{
	*state = *state * 6364136223846793005UL + 1442695040888963407UL;
	return (*state >> 24) % limit;
}

static void mutate_once(u64 *state, char *page)
{
	static const u32 special[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x1000, 0x7fff, 0xffff, 0x10000,
		0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
	};
	static const size_t widths[] = { 1, 2, 4 };
	size_t at = 0x1f1 + below(state, HEADER_END - 0x1f1);

	switch (below(state, 4)) {
	case 0:
		page[at] ^= 1 << below(state, 8);
		break;
	case 1:
		page[at] = below(state, 256);
		break;
	case 2:
		memcpy(page + at, &special[below(state, ARRAY_SIZE(special))],
		       widths[below(state, 3)]);
		break;
	default:
		page[below(state, KX_PAGE)] ^= 1 << below(state, 8);
	}
}

static bool is_an_answer(long ret)
{
	return !ret || ret == -ENOEXEC || ret == -EINVAL || ret == -ENOMEM ||
	       ret == -EADDRNOTAVAIL;
}

/* Load @kernel with @n headers made from @header; how many were loaded? */
static unsigned int mutants(struct __test_metadata *_metadata, struct call *c,
			    const char *header, unsigned int n, u64 *state)
{
	unsigned int i, times, loaded = 0;
	char page[KX_PAGE];
	long ret;

	for (i = 0; i < n; i++) {
		memcpy(page, header, KX_PAGE);
		for (times = 1 + below(state, 3); times; times--)
			mutate_once(state, page);
		ASSERT_EQ((ssize_t)KX_PAGE, pwrite(c->kernel, page, KX_PAGE, 0));
		ret = attempt(c);
		loaded += !ret;
		ASSERT_TRUE(is_an_answer(ret))
			TH_LOG("mutant %u: %ld", i, ret);
	}
	return loaded;
}

/* A short body with a real header: what depends on its length is put right. */
static int shortened(const char *kernel, u64 *setup)
{
	union kx_fake *fake;
	int fd;

	*setup = ((unsigned char)kernel[0x1f1] + 1) * 512;
	fd = kx_memfd(kernel, *setup + BODY);
	fake = mmap(NULL, KX_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fake == MAP_FAILED)
		kx_die("cannot map a file in memory");
	fake->hdr.syssize = BODY / 16;
	fake->hdr.payload_length = BODY / 2 - fake->hdr.payload_offset;
	fake->hdr.handover_offset = 0;
	fake->hdr.kernel_info_offset = 0;
	fake->hdr.init_size = KX_MIB;
	munmap(fake, KX_PAGE);
	return fd;
}

/* The kernel that this one is compared to dies of it. */
static bool survives(struct __test_metadata *_metadata)
{
	if (kx_stock())
		SKIP(return false, "this kernel believes a header's length");
	return true;
}

ROW(real, mutants)
{
	unsigned int n = MUTANTS / kx_slowness(), loaded;
	char header[KX_PAGE];
	u64 setup, state = 42;

	if (!survives(_metadata))
		return;
	self->c.kernel = shortened(content(&self->c, self->size), &setup);
	ASSERT_EQ((ssize_t)KX_PAGE, pread(self->c.kernel, header, KX_PAGE, 0));
	ACCEPTED();
	loaded = mutants(_metadata, &self->c, header, n, &state);
	TH_LOG("%u of %u were loaded", loaded, n);
	EXPECT_LT(n / 20, loaded);
	EXPECT_GT(n * 19 / 20, loaded);
}

ROW(real, mutants_whole)
{
	const char *kernel = content(&self->c, self->size);
	u64 state = 4711;

	if (!survives(_metadata))
		return;
	self->c.kernel = kx_memfd(kernel, self->size);
	mutants(_metadata, &self->c, kernel, WHOLE_MUTANTS / kx_slowness(),
		&state);
}

TEST_HARNESS_MAIN
