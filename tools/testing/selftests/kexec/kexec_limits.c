// SPDX-License-Identifier: GPL-2.0
/*
 * The sysctls kernel.kexec_load_limit_reboot, kexec_load_limit_panic and
 * kexec_load_disabled: they only ever forbid more (row 1).
 *
 * The tests of a fixture build upon each other, and nothing can be taken back
 * before the next boot. "disabled" needs a boot of its own: run
 * "kexec_limits -f limit" and "kexec_limits -f disabled".
 */
#include <errno.h>
#include <limits.h>
#include <sys/wait.h>
#include <kselftest_harness.h>

#include "kexec_util.h"

#define SYSCTL "/proc/sys/kernel/"
#define REBOOT SYSCTL "kexec_load_limit_reboot"
#define PANIC SYSCTL "kexec_load_limit_panic"
#define DISABLED SYSCTL "kexec_load_disabled"

static char content[KX_PAGE];

static long load(unsigned long flags)
{
	struct kx_seg seg = {
		.buf = content, .bufsz = sizeof(content), .memsz = KX_PAGE,
	};
	struct kx_ranges ram;

	kx_system_ram(&ram);
	seg.mem = kx_largest(&ram, 0).start + KX_MIB;
	return kx_load(0, 1, &seg, flags);
}

static void expect_logged(struct __test_metadata *_metadata, const char *what)
{
	int log = kx_log_open();
	char line[KX_LINE];

	if (kx_stock())
		SKIP(return, "this kernel does not say why it refuses");
	kx_sleep_ms(5500);	/* the burst of the log's limit is over */
	EXPECT_EQ(-EPERM, load(0));
	ASSERT_TRUE(kx_log_next(log, line));
	EXPECT_TRUE(kx_match(line, "%s", what)) TH_LOG("the line is: %s", line);
	EXPECT_FALSE(kx_log_next(log, line));
}

FIXTURE(limit) {};

FIXTURE_SETUP(limit)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return, "%s", unfit);
	if (!kx_destructive())
		SKIP(return, "KEXEC_TEST_DESTRUCTIVE is not set");
	ASSERT_NE(LONG_MIN, kx_read_number(REBOOT));
	ASSERT_NE(LONG_MIN, kx_read_number(PANIC));
}

FIXTURE_TEARDOWN(limit) {}

TEST_F(limit, none_at_first)
{
	EXPECT_EQ(-1, kx_read_number(REBOOT));
	EXPECT_EQ(-1, kx_read_number(PANIC));
	EXPECT_EQ(0, load(0));
	EXPECT_EQ(-1, kx_read_number(REBOOT));
}

static void rejects_nonsense(struct __test_metadata *_metadata, const char *path)
{
	long before = kx_read_number(path);

	EXPECT_EQ(-EINVAL, kx_write_file(path, "-1"));
	EXPECT_EQ(-EINVAL, kx_write_file(path, "-2147483648"));
	EXPECT_EQ(-EINVAL, kx_write_file(path, "9999999999"));
	EXPECT_EQ(-EINVAL, kx_write_file(path, "many"));
	EXPECT_EQ(before, kx_read_number(path));
}

static void only_lowers(struct __test_metadata *_metadata, const char *path)
{
	rejects_nonsense(_metadata, path);
	EXPECT_EQ(0, kx_write_file(path, "20"));
	EXPECT_EQ(20, kx_read_number(path));
	EXPECT_EQ(-EINVAL, kx_write_file(path, "21"));
	EXPECT_EQ(-EINVAL, kx_write_file(path, "20"));
	EXPECT_EQ(0, kx_write_file(path, "19"));
	EXPECT_EQ(19, kx_read_number(path));
	rejects_nonsense(_metadata, path);
}

TEST_F(limit, only_lowered)
{
	only_lowers(_metadata, REBOOT);
	only_lowers(_metadata, PANIC);
}

/* Whatever becomes of it; only one that is not permitted is free. */
TEST_F(limit, spent_by_every_call)
{
	EXPECT_EQ(0, load(0));
	EXPECT_EQ(18, kx_read_number(REBOOT));
	EXPECT_EQ(-EINVAL, load(0x8000));
	EXPECT_EQ(17, kx_read_number(REBOOT));
	EXPECT_EQ(-EINVAL, kx_load(0, 17, NULL, 0));
	EXPECT_EQ(16, kx_read_number(REBOOT));
	EXPECT_EQ(-EFAULT, kx_load(0, 1, NULL, 0));
	EXPECT_EQ(15, kx_read_number(REBOOT));
	EXPECT_EQ(0, kx_unload());
	EXPECT_EQ(14, kx_read_number(REBOOT));
	EXPECT_EQ(19, kx_read_number(PANIC));
}

TEST_F(limit, not_spent_by_who_may_not)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(setresuid(65534, 65534, 65534) || load(0) != -EPERM);
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(14, kx_read_number(REBOOT));
}

TEST_F(limit, panic_has_its_own)
{
	load(KEXEC_ON_CRASH);
	EXPECT_EQ(18, kx_read_number(PANIC));
	EXPECT_EQ(0, kx_load(0, 0, NULL, KEXEC_ON_CRASH));
	EXPECT_EQ(17, kx_read_number(PANIC));
	EXPECT_EQ(0, kx_write_file(PANIC, "0"));
	EXPECT_EQ(-EPERM, load(KEXEC_ON_CRASH));
	EXPECT_EQ(-EPERM, kx_load(0, 0, NULL, KEXEC_ON_CRASH));
	EXPECT_EQ(0, kx_read_number(PANIC));
	EXPECT_EQ(-EINVAL, kx_write_file(PANIC, "1"));
	EXPECT_EQ(14, kx_read_number(REBOOT));
}

TEST_F(limit, row1_exhausted)
{
	EXPECT_EQ(0, kx_write_file(REBOOT, "1"));
	EXPECT_EQ(0, load(0));
	EXPECT_EQ(0, kx_read_number(REBOOT));
	EXPECT_EQ(-EPERM, load(0));
	EXPECT_EQ(-EPERM, kx_unload());
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(-EPERM, load(0x8000));
	EXPECT_EQ(-EINVAL, kx_write_file(REBOOT, "1"));
	EXPECT_EQ(-EINVAL, kx_write_file(REBOOT, "0"));
	EXPECT_EQ(0, kx_read_number(REBOOT));
}

TEST_F_TIMEOUT(limit, log, 60)
{
	expect_logged(_metadata, "kexec_load_limit_reboot");
}

FIXTURE(disabled) {};

FIXTURE_SETUP(disabled)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return, "%s", unfit);
	if (!kx_destructive())
		SKIP(return, "KEXEC_TEST_DESTRUCTIVE is not set");
	if (!kx_read_number(REBOOT))
		SKIP(return, "no loads are left");
}

FIXTURE_TEARDOWN(disabled) {}

TEST_F(disabled, not_at_first)
{
	EXPECT_EQ(0, kx_read_number(DISABLED));
	EXPECT_EQ(-EINVAL, kx_write_file(DISABLED, "0"));
	EXPECT_EQ(-EINVAL, kx_write_file(DISABLED, "2"));
	EXPECT_EQ(-EINVAL, kx_write_file(DISABLED, "-1"));
	EXPECT_EQ(0, load(0));
	EXPECT_EQ(1, kx_loaded());
}

TEST_F(disabled, row1_disabled)
{
	EXPECT_EQ(0, kx_write_file(DISABLED, "1"));
	EXPECT_EQ(-EPERM, load(0));
	EXPECT_EQ(-EPERM, load(KEXEC_ON_CRASH));
	EXPECT_EQ(-EPERM, load(0x8000));
	EXPECT_EQ(-EPERM, kx_unload());
	EXPECT_EQ(1, kx_loaded());
}

TEST_F(disabled, for_good)
{
	EXPECT_EQ(-EINVAL, kx_write_file(DISABLED, "0"));
	EXPECT_EQ(0, kx_write_file(DISABLED, "1"));
	EXPECT_EQ(1, kx_read_number(DISABLED));
}

/* It is not permitted, so it spends nothing. */
TEST_F(disabled, spends_nothing)
{
	EXPECT_EQ(0, kx_write_file(REBOOT, "7"));
	EXPECT_EQ(-EPERM, load(0));
	EXPECT_EQ(7, kx_read_number(REBOOT));
}

TEST_F_TIMEOUT(disabled, log, 60)
{
	expect_logged(_metadata, "kexec_load_disabled");
}

TEST_HARNESS_MAIN
