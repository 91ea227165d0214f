// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's init: mounts what tests need, runs the programs that kt.run= on
 * the kernel's command line names, and tells the host over the second serial
 * port how each of them ended.
 *
 *   kt.run=PROGRAM[:ARGUMENT...][,PROGRAM...]
 *
 * PROGRAM is a file in /t, or a path. What a program prints goes to the same
 * port, between "RUN name" and "EXIT name status". "END" comes last, and only
 * when the kernel has nothing to complain of: a warning that did not panic
 * (lockdep's do not) or a leak comes as a line "KERNEL text" in its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_ARGS	32
#define EXIT_PORT	0xf4	/* isa-debug-exit: status = value * 2 + 1 */
#define EXIT_VALUE	0x10

static int verdict = STDERR_FILENO;

static void fail(const char *what)
{
	dprintf(verdict, "INIT %s: %s\n", what, strerror(errno));
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/*
 * Setting up
 */

struct mount_point {
	const char *type, *path;
	bool optional;
};

static const struct mount_point mount_points[] = {
	{ .type = "proc", .path = "/proc" },
	{ .type = "sysfs", .path = "/sys" },
	{ .type = "devtmpfs", .path = "/dev" },
	{ .type = "tmpfs", .path = "/dev/shm" },
	{ .type = "tmpfs", .path = "/tmp" },
	{ .type = "tmpfs", .path = "/run" },
	{ .type = "securityfs", .path = "/sys/kernel/security", .optional = true },
	{ .type = "debugfs", .path = "/sys/kernel/debug", .optional = true },
	{ .type = "tracefs", .path = "/sys/kernel/tracing", .optional = true },
};

static void mount_all(void)
{
	const struct mount_point *m = mount_points;
	const struct mount_point *end = m + sizeof(mount_points) / sizeof(*m);

	for (; m < end; m++) {
		mkdir(m->path, 0755);
		if (mount(m->type, m->path, m->type, 0, NULL) && !m->optional)
			fail(m->path);
	}
}

/* Raw: nothing is echoed and no byte is changed on its way to the host. */
static void open_verdict(void)
{
	struct termios tio;
	int fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &tio))
		fail("/dev/ttyS1");
	cfmakeraw(&tio);
	cfsetspeed(&tio, B115200);
	tio.c_cflag |= CLOCAL;
	if (tcsetattr(fd, TCSANOW, &tio))
		fail("/dev/ttyS1");
	verdict = fd;
}

static void set_environment(void)
{
	clearenv();
	setenv("PATH", "/sbin:/bin:/t", 1);
	setenv("HOME", "/", 1);
	setenv("TERM", "dumb", 1);
	if (chdir("/t"))
		fail("/t");
}

/*
 * What the kernel says of itself
 */

static bool is_complaint(const char *text)
{
	static const char * const starts[] = {
		"WARNING: ", "BUG: ", "kernel BUG", "UBSAN: ",
		"INFO: trying to register non-static key",
		"INFO: rcu", "INFO: task ",
	};
	size_t i;

	for (i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (!strncmp(text, starts[i], strlen(starts[i])))
			return true;
	return false;
}

/* A record of /dev/kmsg is "priority,number,time,flags;text\n" and more. */
static bool check_log(int kmsg)
{
	char record[8192], *text;
	bool clean = true;
	ssize_t len;

	for (;;) {
		len = read(kmsg, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)
			continue;
		if (len <= 0)
			return clean;
		record[len] = 0;
		text = strchr(record, ';');
		if (!text || !is_complaint(++text))
			continue;
		text[strcspn(text, "\n")] = 0;
		dprintf(verdict, "KERNEL %s\n", text);
		clean = false;
	}
}

/* An object counts as leaked from its sixth second on. */
static bool check_leaks(void)
{
	int fd = open("/sys/kernel/debug/kmemleak", O_RDWR | O_CLOEXEC);
	char line[256];
	bool clean = true;
	FILE *leaks;

	if (fd < 0)
		return true;
	sleep(6);
	if (write(fd, "scan", 4) != 4)
		fail("kmemleak");
	leaks = fdopen(fd, "r");
	while (fgets(line, sizeof(line), leaks)) {
		dprintf(verdict, "KERNEL kmemleak: %s", line);
		clean = false;
	}
	fclose(leaks);
	return clean;
}

/*
 * Running programs
 */

/* In the child */
static void execute(char *command)
{
	char *argv[MAX_ARGS + 1], path[256];
	int argc = 0, null = open("/dev/null", O_RDONLY);

	while (argc < MAX_ARGS && (argv[argc] = strsep(&command, ":")))
		argc++;
	argv[argc] = NULL;
	snprintf(path, sizeof(path), "%s%s", *argv[0] == '/' ? "" : "/t/", argv[0]);
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(verdict, STDOUT_FILENO);
	dup2(verdict, STDERR_FILENO);
	execv(path, argv);
	dprintf(verdict, "INIT %s: %s\n", path, strerror(errno));
	_exit(127);
}

/* Orphans end here, too: wait for the one that counts. */
static int wait_for(pid_t pid)
{
	int status;
	pid_t got;

	do {
		got = waitpid(-1, &status, 0);
	} while (got != pid && (got > 0 || errno == EINTR));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run(char *command)
{
	int len = strcspn(command, ":");
	pid_t pid;

	dprintf(verdict, "RUN %.*s\n", len, command);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid)
		execute(command);
	dprintf(verdict, "EXIT %.*s %d\n", len, command, wait_for(pid));
}

/* The value of a word "name=" of the command line, or NULL */
static char *parameter(const char *name)
{
	static char line[8192];
	char *at = line, *word;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, line, sizeof(line) - 1);

	close(fd);
	if (len < 0)
		fail("/proc/cmdline");
	line[len] = 0;
	while ((word = strsep(&at, "\n ")))
		if (!strncmp(word, name, strlen(name)))
			return word + strlen(name);
	return NULL;
}

static void leave(void)
{
	tcdrain(verdict);
	sync();
	if (!ioperm(EXIT_PORT, 1, 1))
		outb(EXIT_VALUE, EXIT_PORT);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

int main(void)
{
	char *list, *command;
	bool clean = true;
	int kmsg;

	mount_all();
	open_verdict();
	set_environment();
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	list = parameter("kt.run=");
	while ((command = strsep(&list, ","))) {
		run(command);
		clean &= check_log(kmsg);
	}
	clean &= check_leaks();
	clean &= check_log(kmsg);
	if (clean)
		dprintf(verdict, "END\n");
	leave();
}
