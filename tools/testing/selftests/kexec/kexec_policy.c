// SPDX-License-Identifier: GPL-2.0
/*
 * Who may forbid kexec_load(2): an IMA policy (row 2) and lockdown (row 3).
 *
 * Neither can be taken back before the next boot. To see IMA's refusal alone,
 * run "kexec_policy -f ima".
 */
#include <errno.h>
#include <sys/wait.h>
#include <kselftest_harness.h>

#include "kexec_util.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"
#define IMA_POLICY "/sys/kernel/security/ima/policy"
#define LIMIT "/proc/sys/kernel/kexec_load_limit_reboot"

#define IMA_RULE "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig\n"
#define BAD_FLAG 0x8000

static char content[KX_PAGE];

static struct kx_seg *segment(void)
{
	static struct kx_seg seg = {
		.buf = content, .bufsz = sizeof(content), .memsz = KX_PAGE,
	};
	struct kx_ranges ram;

	kx_system_ram(&ram);
	seg.mem = kx_largest(&ram, 0).start + KX_MIB;
	return &seg;
}

static long load(unsigned long flags)
{
	return kx_load(0, 1, segment(), flags);
}

/* Forbid something that was possible; what is loaded by then has to stay. */
static void forbid(struct __test_metadata *_metadata, const char *what,
		   const char *path, const char *rule)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return, "%s", unfit);
	if (!kx_destructive())
		SKIP(return, "KEXEC_TEST_DESTRUCTIVE is not set");
	if (access(path, W_OK) && !kx_demanded(what))
		SKIP(return, "this kernel has no %s", what);
	load(0);
	ASSERT_EQ(1, kx_loaded());
	ASSERT_EQ(0, kx_write_file(path, rule));
}

static void loads_are_refused(struct __test_metadata *_metadata, int err)
{
	EXPECT_EQ(-err, load(0));
	EXPECT_EQ(-err, load(KEXEC_ON_CRASH));
	EXPECT_EQ(-err, kx_unload());
	EXPECT_EQ(-err, kx_load(0, 0, NULL, KEXEC_ON_CRASH));
	EXPECT_EQ(1, kx_loaded());
}

static void one_line(struct __test_metadata *_metadata, const char *pattern)
{
	int log = kx_log_open();
	char line[KX_LINE], more[KX_LINE];

	if (kx_stock())
		SKIP(return, "this kernel does not say why it refuses");
	kx_sleep_ms(5500);	/* the burst of the log's limit is over */
	load(0);
	ASSERT_TRUE(kx_log_next(log, line));
	EXPECT_TRUE(kx_match(line, "%s", pattern))
		TH_LOG("the line is: %s", line);
	EXPECT_FALSE(kx_log_next(log, more))
		TH_LOG("one more line: %s", more);
}

/* The tests of each fixture depend on the first. */
FIXTURE(lockdown) {};

FIXTURE_SETUP(lockdown) {}

FIXTURE_TEARDOWN(lockdown) {}

TEST_F(lockdown, row3_refuses)
{
	forbid(_metadata, "lockdown", LOCKDOWN, "integrity");
	loads_are_refused(_metadata, EPERM);
}

TEST_F(lockdown, row3_before_row4)
{
	EXPECT_EQ(-EPERM, load(BAD_FLAG));
	EXPECT_EQ(-EPERM, kx_load(0, 17, NULL, 0));
	EXPECT_EQ(-EPERM, kx_load(0, 1, NULL, 0));
}

/* The load is permitted in the sense of row 1, and spends one. */
TEST_F(lockdown, row1_before_row3)
{
	ASSERT_EQ(0, kx_write_file(LIMIT, "1000"));
	EXPECT_EQ(-EPERM, load(0));
	EXPECT_EQ(999, kx_read_number(LIMIT));
}

TEST_F_TIMEOUT(lockdown, log, 60)
{
	one_line(_metadata, "lock(ed)? ?down");
}

FIXTURE(ima) {};

FIXTURE_SETUP(ima) {}

FIXTURE_TEARDOWN(ima) {}

TEST_F(ima, row2_refuses)
{
	forbid(_metadata, "ima", IMA_POLICY, IMA_RULE);
	loads_are_refused(_metadata, EACCES);
}

TEST_F(ima, row2_before_row4)
{
	EXPECT_EQ(-EACCES, load(BAD_FLAG));
	EXPECT_EQ(-EACCES, kx_load(0, 17, NULL, 0));
	EXPECT_EQ(-EACCES, kx_load(0, 1, NULL, 0));
}

TEST_F(ima, row1_before_row2)
{
	EXPECT_TRUE(kx_write_file(LIMIT, "500") == 0);
	EXPECT_EQ(-EACCES, load(0));
	EXPECT_EQ(499, kx_read_number(LIMIT));
}

TEST_F_TIMEOUT(ima, log, 60)
{
	one_line(_metadata, "security|ima|policy");
}

/* Both: of the two it is IMA's errno that counts. */
TEST_F(ima, row2_before_row3)
{
	int err = kx_write_file(LOCKDOWN, "integrity");

	/* It may be locked down already. */
	if (err == -ENOENT && !kx_demanded("lockdown"))
		SKIP(return, "this kernel has no lockdown");
	EXPECT_NE(-ENOENT, err);
	EXPECT_EQ(-EACCES, load(0));
}

TEST_HARNESS_MAIN
