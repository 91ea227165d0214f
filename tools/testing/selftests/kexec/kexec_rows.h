/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs share that go through the checks of the manual page, one by
 * one. To be included after the harness.
 */
#ifndef KEXEC_ROWS_H
#define KEXEC_ROWS_H

#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "kexec_util.h"

/* A refused load may leave a little noise, but nothing of an image. */
#define TOLERANCE_KB 1024
/* Long enough for a debug kernel; what has to be prompt is timed inside. */
#define TIMEOUT 300
#define PROMPT_NS (5000000000UL * kx_slowness())

#define ROW(fixture, name) TEST_F_TIMEOUT(fixture, name, TIMEOUT)

/* What a test cannot do without; a guest that is made for it must have it. */
static inline bool need(struct __test_metadata *_metadata, const char *what,
			bool condition)
{
	if (condition)
		return true;
	if (kx_demanded(what)) {
		EXPECT_TRUE(condition);
		return false;
	}
	SKIP(return false, "this machine has nothing for it: %s", what);
}

#define NEED(what, condition) need(_metadata, what, condition)

/* Also where there is no library's wrapper for it: no user, no capability */
static inline int become_nobody(void)
{
	return setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	       setresuid(65534, 65534, 65534);
}

static inline int enter_user_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

#define CANNOT_BECOME 255

static inline int exit_status(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : CANNOT_BECOME;
}

/* How long does it take to die? */
static inline u64 kill_child(pid_t pid)
{
	u64 start = kx_now_ns();

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return kx_now_ns() - start;
}

/* How many processes had to die for want of memory? */
static inline long oom_kills(void)
{
	FILE *file = fopen("/proc/vmstat", "r");
	char line[256];
	long kills = -1;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "oom_kill %ld", &kills);
	if (file)
		fclose(file);
	return kills;
}

#endif /* KEXEC_ROWS_H */
