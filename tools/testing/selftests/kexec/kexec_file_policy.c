// SPDX-License-Identifier: GPL-2.0
/*
 * kexec_file_load(2), and who has a say in which files are loaded (row 10): IMA,
 * which measures or appraises them, and LoadPin, which wants them all from one
 * file system.
 *
 * Policies can't be taken back before the next boot, and the tests of a fixture
 * build on each other. LoadPin needs a boot of its own, where the kernel's
 * command line has loadpin.enforce=1: "kexec_file_policy -f loadpin".
 *
 * On the old kernel all is the same, but for the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <kselftest_harness.h>

#include "kexec_rows.h"
#include "kexec_signed.h"

#define IMA "/sys/kernel/security/ima/"
#define LIST IMA "ascii_runtime_measurements"
#define LOCKDOWN "/sys/kernel/security/lockdown"
#define ENFORCED "/proc/sys/kernel/loadpin/enforce"

#define MEASURE "measure func="
#define APPRAISE "appraise func="

#define KERNEL "/tmp/kexec-kernel"
#define INITRD "/tmp/kexec-initrd"
#define CMDLINE_FILE "/tmp/kexec-cmdline"
#define CMDLINE "root=none quiet"
#define NO_INITRD KEXEC_FILE_NO_INITRAMFS
#define NO_SUCH_FD (-1)

/*
 * Files to be loaded
 */

static void put(const char *path, const void *content, size_t size)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, content, size) != (ssize_t)size)
		kx_die("%s cannot be written: %s", path, strerror(errno));
	close(fd);
}

/* Like no other: what is on IMA's list already is not put on it again. */
static void put_fresh_files(union kx_fake *fake)
{
	u64 initrd[512] = { kx_now_ns() };

	kx_fake_init(fake);
	memcpy(fake->bytes + sizeof(fake->bytes) - 8, initrd, 8);
	put(KERNEL, fake, sizeof(*fake));
	put(INITRD, initrd, sizeof(initrd));
}

static long load_as(const char *initrd, unsigned long len, const char *cmdline,
		    unsigned long flags)
{
	int kernel_fd = open(KERNEL, O_RDONLY | O_CLOEXEC);
	int initrd_fd = open(initrd, O_RDONLY | O_CLOEXEC);
	long ret = kx_file_load(kernel_fd, initrd_fd, len, cmdline, flags);

	close(initrd_fd);
	close(kernel_fd);
	return ret;
}

static long load(unsigned long flags)
{
	return load_as(INITRD, sizeof(CMDLINE), CMDLINE, flags);
}

static long unload(void)
{
	return kx_file_load(NO_SUCH_FD, NO_SUCH_FD, 0, NULL, KEXEC_FILE_UNLOAD);
}

static bool set_up(struct __test_metadata *_metadata, const char *what,
		   const char *path)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return false, "%s", unfit);
	if (!kx_destructive())
		SKIP(return false, "KEXEC_TEST_DESTRUCTIVE is not set");
	return NEED("file", kx_have_file_load()) &&
	       NEED(what, !access(path, W_OK));
}

static void one_line(struct __test_metadata *_metadata, const char *pattern)
{
	char line[KX_LINE], more[KX_LINE];
	int log = kx_log_open();

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

/*
 * IMA's list
 */

#define MAX_ENTRIES 8

struct entry {
	char template[16];
	char algo[16];
	char digest[129];
	char name[256];
	char data[1024];
};

static size_t list_length(void)
{
	FILE *file = fopen(LIST, "r");
	char line[4096];
	size_t n = 0;

	while (file && fgets(line, sizeof(line), file))
		n++;
	if (file)
		fclose(file);
	return n;
}

/* What has come behind the first @skip entries */
static size_t list_rest(size_t skip, struct entry entries[MAX_ENTRIES])
{
	FILE *file = fopen(LIST, "r");
	char line[4096];
	size_t n = 0;

	while (file && n < MAX_ENTRIES && fgets(line, sizeof(line), file)) {
		struct entry *e = &entries[n];

		if (skip) {
			skip--;
			continue;
		}
		*e = (struct entry){};
		if (sscanf(line, "%*s %*s %15s %15[^:]:%128s %255s %1023s",
			   e->template, e->algo, e->digest, e->name,
			   e->data) < 4)
			kx_die("not understood: %s", line);
		n++;
	}
	if (file)
		fclose(file);
	return n;
}

/* By busybox, in hexadecimal digits */
static void sum(const char *algo, const char *path, char digest[129])
{
	char command[PATH_MAX];
	FILE *pipe;

	snprintf(command, sizeof(command), "%ssum %s", algo, path);
	pipe = popen(command, "r");
	if (!pipe || fscanf(pipe, "%128s", digest) != 1)
		kx_die("%s failed", command);
	pclose(pipe);
}

static void has_digest(struct __test_metadata *_metadata,
		       const struct entry *e, const char *path)
{
	char digest[129];

	sum(e->algo, path, digest);
	EXPECT_STREQ(digest, e->digest);
}

static void is_measured(struct __test_metadata *_metadata,
			const struct entry *e, const char *path)
{
	has_digest(_metadata, e, path);
	EXPECT_STREQ(path, e->name);
}

static void hex(const char *text, char *out)
{
	while (*text)
		out += sprintf(out, "%02x", *text++);
}

/* The command line is a buffer without its NUL, and in the list as a whole. */
static void cmdline_is_measured(struct __test_metadata *_metadata,
				const struct entry *e)
{
	char data[2 * sizeof(CMDLINE)];

	put(CMDLINE_FILE, CMDLINE, sizeof(CMDLINE) - 1);
	has_digest(_metadata, e, CMDLINE_FILE);
	EXPECT_STREQ("kexec-cmdline", e->name);
	EXPECT_STREQ("ima-buf", e->template);
	hex(CMDLINE, data);
	EXPECT_STREQ(data, e->data);
}

/* Rules are added to those that there are, one with each write. */
static void have_rule(const char *rule)
{
	char command[256];
	int err;

	snprintf(command, sizeof(command), "grep -q '^%s' " IMA "policy", rule);
	if (!system(command))
		return;
	err = kx_write_file(IMA "policy", rule);
	if (err)
		kx_die("IMA does not take this rule: %s: %s", rule,
		       strerror(-err));
}

/* Each load, and what it puts on the list */
FIXTURE(measured) {
	union kx_fake fake;
	size_t before;
	struct entry entries[MAX_ENTRIES];
};

FIXTURE_SETUP(measured)
{
	if (!set_up(_metadata, "ima", IMA "policy"))
		return;
	have_rule(MEASURE "KEXEC_KERNEL_CHECK");
	have_rule(MEASURE "KEXEC_INITRAMFS_CHECK");
	have_rule(MEASURE "KEXEC_CMDLINE");
	put_fresh_files(&self->fake);
	self->before = list_length();
}

FIXTURE_TEARDOWN(measured)
{
	unload();
}

#define ENTRIES() list_rest(self->before, self->entries)
#define IS_MEASURED(n, file) \
	is_measured(_metadata, &self->entries[n], file)

TEST_F(measured, all)
{
	ASSERT_EQ(0, load(0));
	ASSERT_EQ(3, ENTRIES());
	IS_MEASURED(0, KERNEL);
	IS_MEASURED(1, INITRD);
	cmdline_is_measured(_metadata, &self->entries[2]);
}

TEST_F(measured, no_initrd)
{
	ASSERT_EQ(0, load_as(INITRD, 1, "", NO_INITRD));
	ASSERT_LE(1, ENTRIES());
	IS_MEASURED(0, KERNEL);
	EXPECT_STRNE(INITRD, self->entries[1].name);
}

TEST_F(measured, no_cmdline)
{
	ASSERT_EQ(0, load_as(INITRD, 0, NULL, 0));
	ASSERT_EQ(2, ENTRIES());
	IS_MEASURED(0, KERNEL);
	IS_MEASURED(1, INITRD);
}

/* What was there before a load was refused stays on the list. */
TEST_F(measured, row10_before_row11)
{
	self->fake.hdr.header = 0;
	put(KERNEL, &self->fake, sizeof(self->fake));
	EXPECT_EQ(-ENOEXEC, load(0));
	ASSERT_EQ(1, ENTRIES());
	IS_MEASURED(0, KERNEL);
}

TEST_F(measured, row10_before_row13)
{
	EXPECT_EQ(-EBADF, load_as("/tmp/none", sizeof(CMDLINE), CMDLINE, 0));
	ASSERT_EQ(1, ENTRIES());
	IS_MEASURED(0, KERNEL);
}

TEST_F(measured, row13_before_row16)
{
	EXPECT_EQ(-EINVAL, load_as(INITRD, 3, CMDLINE, 0));
	ASSERT_EQ(2, ENTRIES());
	IS_MEASURED(0, KERNEL);
	IS_MEASURED(1, INITRD);
}

TEST_F(measured, once)
{
	ASSERT_EQ(0, load(0));
	self->before = list_length();
	ASSERT_EQ(0, load(0));
	EXPECT_EQ(0, ENTRIES());
}

TEST_F(measured, each_content)
{
	int fd;

	ASSERT_EQ(0, load(0));
	self->before = list_length();
	fd = open(INITRD, O_WRONLY);
	ASSERT_EQ(5, pwrite(fd, "other", 5, 0));
	close(fd);
	ASSERT_EQ(0, load(0));
	ASSERT_EQ(1, ENTRIES());
	IS_MEASURED(0, INITRD);
}

/*
 * The list goes with an image, where IMA brings it up to date at the reboot: it
 * has a mapping of that.
 */

static int mappings(void)
{
	FILE *file = fopen("/proc/vmallocinfo", "r");
	char line[512];
	int n = 0;

	while (file && fgets(line, sizeof(line), file))
		n += !!strstr(line, " kimage_map_segment+");
	if (file)
		fclose(file);
	return n;
}

static long load_other(void)
{
	static char content[KX_PAGE];
	struct kx_seg seg = {
		.buf = content, .bufsz = sizeof(content), .memsz = KX_PAGE,
	};
	struct kx_ranges ram;

	kx_system_ram(&ram);
	seg.mem = kx_largest(&ram, 0).start + KX_MIB;
	return kx_load(0, 1, &seg, 0);
}

/* A kernel that wants more memory than there is fails when IMA has its place. */
static void fail_to_load_fresh_files(struct __test_metadata *_metadata,
				     union kx_fake *fake)
{
	put_fresh_files(fake);
	fake->hdr.init_size = -KX_PAGE;
	put(KERNEL, fake, sizeof(*fake));
	EXPECT_EQ(-EADDRNOTAVAIL, load(0));
	EXPECT_EQ(1, kx_loaded());
}

TEST_F(measured, list_leaves_with_its_image)
{
	if (kx_stock())
		SKIP(return, "this kernel keeps the mapping");
	ASSERT_EQ(0, load(0));
	EXPECT_EQ(1, mappings());
	ASSERT_EQ(0, load(0));
	EXPECT_EQ(1, mappings());
	ASSERT_EQ(0, unload());
	EXPECT_EQ(0, mappings());
	ASSERT_EQ(0, load(0));
	ASSERT_EQ(0, load_other());
	EXPECT_EQ(0, mappings());
	ASSERT_EQ(0, load(0));
	ASSERT_EQ(0, kx_unload());
	EXPECT_EQ(0, mappings());
}

/* IMA would write a list of the new length. */
TEST_F(measured, list_is_not_written_past_its_end)
{
	int i;

	if (kx_stock())
		SKIP(return, "this kernel keeps the mapping");
	ASSERT_EQ(0, load(0));
	fail_to_load_fresh_files(_metadata, &self->fake);
	EXPECT_EQ(1, mappings());
	for (i = 0; i < 40; i++)
		fail_to_load_fresh_files(_metadata, &self->fake);
	EXPECT_EQ(0, mappings());
	put_fresh_files(&self->fake);
	ASSERT_EQ(0, load(0));
	EXPECT_EQ(1, mappings());
}

/*
 * Appraisal: the kernel has to be signed for IMA, the initrd to have its digest
 */

#define LABEL "security.ima"
#define DIGEST_NG 4		/* the type of a label: algorithm and digest */
#define SHA256 4

/* The serial number of IMA's keyring */
static int ima_keyring(void)
{
	FILE *file = fopen("/proc/keys", "r");
	char line[256];
	int ring = 0;

	while (file && !ring && fgets(line, sizeof(line), file))
		if (strstr(line, " .ima:"))
			sscanf(line, "%x", &ring);
	if (file)
		fclose(file);
	return ring;
}

static void key_for_ima(void)
{
	struct kx_file key;

	if (!kx_file_read(KX_IMA_KEY, &key, 0))
		kx_die("no " KX_IMA_KEY);
	if (syscall(SYS_add_key, "asymmetric", "kexec", key.bytes, key.size,
		    ima_keyring()) < 0)
		kx_die("IMA takes no key: %s", strerror(errno));
	free(key.bytes);
}

static void set_label(const char *path, const void *value, size_t size)
{
	if (setxattr(path, LABEL, value, size, 0))
		kx_die("%s cannot be labelled: %s", path, strerror(errno));
}

static void label_signed(const char *path)
{
	struct kx_file value;

	if (!kx_file_read(KX_IMA_LABEL, &value, 0))
		kx_die("no " KX_IMA_LABEL);
	set_label(path, value.bytes, value.size);
	free(value.bytes);
}

/* With the digest of @of */
static void label_digest(const char *path, const char *of)
{
	unsigned char value[2 + 32] = { DIGEST_NG, SHA256 };
	char digest[129];
	size_t i;

	sum("sha256", of, digest);
	for (i = 32; i > 0; i--) {
		digest[2 * i] = 0;
		value[1 + i] = strtoul(digest + 2 * i - 2, NULL, 16);
	}
	set_label(path, value, sizeof(value));
}

/* Labels are right; the kernel itself is not signed. */
FIXTURE(appraised) {
	union kx_fake fake;
	struct kx_file kernel;
};

FIXTURE_SETUP(appraised)
{
	if (!set_up(_metadata, "ima", IMA "policy") ||
	    !NEED("signed", kx_file_read(KX_SIGNED, &self->kernel, 0)))
		return;
	put_fresh_files(&self->fake);
	if (!kx_loaded())
		load(0);
	ASSERT_EQ(1, kx_loaded());
	key_for_ima();
	have_rule(APPRAISE "KEXEC_KERNEL_CHECK appraise_type=imasig");
	have_rule(APPRAISE "KEXEC_INITRAMFS_CHECK");
	kx_pe_unsign(&self->kernel);
	put(KERNEL, self->kernel.bytes, self->kernel.size);
	label_signed(KERNEL);
	label_digest(INITRD, INITRD);
}

/* Something has to be loaded before the rules are there, and to stay. */
FIXTURE_TEARDOWN(appraised)
{
	free(self->kernel.bytes);
}

#define REFUSED(err) do {		\
	EXPECT_EQ(-(err), load(0));	\
	EXPECT_EQ(1, kx_loaded());	\
} while (0)

TEST_F(appraised, accepted)
{
	EXPECT_EQ(0, load(0));
	EXPECT_EQ(1, kx_loaded());
}

TEST_F(appraised, row10_kernel_without_label)
{
	ASSERT_EQ(0, removexattr(KERNEL, LABEL));
	REFUSED(EACCES);
}

TEST_F(appraised, row10_kernel_with_digest_only)
{
	label_digest(KERNEL, KERNEL);
	REFUSED(EACCES);
}

TEST_F(appraised, row10_kernel_has_changed)
{
	self->kernel.bytes[self->kernel.size / 2] ^= 1;
	put(KERNEL, self->kernel.bytes, self->kernel.size);
	label_signed(KERNEL);
	REFUSED(EACCES);
}

TEST_F(appraised, row10_kernel_in_memory)
{
	int fd = kx_memfd(self->kernel.bytes, self->kernel.size);

	EXPECT_EQ(-EACCES, kx_file_load(fd, NO_SUCH_FD, 0, NULL, NO_INITRD));
	EXPECT_EQ(1, kx_loaded());
}

TEST_F(appraised, row10_initrd_without_label)
{
	ASSERT_EQ(0, removexattr(INITRD, LABEL));
	REFUSED(EACCES);
}

TEST_F(appraised, row10_initrd_has_changed)
{
	label_digest(INITRD, KERNEL);
	REFUSED(EACCES);
}

TEST_F(appraised, row10_before_row11)
{
	put(KERNEL, "no kernel", 9);
	REFUSED(EACCES);
}

TEST_F_TIMEOUT(appraised, log, 60)
{
	removexattr(KERNEL, LABEL);
	one_line(_metadata, "kernel:.*policy.*-13");
}

/* Where IMA wants a signature, lockdown asks for no other. */
TEST_F(appraised, row12_locked_down)
{
	int err = kx_write_file(LOCKDOWN, "integrity");

	if (err == -ENOENT && !kx_demanded("lockdown"))
		SKIP(return, "this kernel has no lockdown");
	EXPECT_EQ(0, load(0));
	ASSERT_EQ(0, removexattr(KERNEL, LABEL));
	REFUSED(EACCES);
}

/*
 * LoadPin: what is read first decides, and that is from /tmp
 */

FIXTURE(loadpin) {
	union kx_fake fake;
};

FIXTURE_SETUP(loadpin)
{
	if (!set_up(_metadata, "loadpin", ENFORCED) ||
	    !NEED("loadpin", kx_read_number(ENFORCED) == 1))
		return;
	put_fresh_files(&self->fake);
	ASSERT_EQ(0, load(0));
}

FIXTURE_TEARDOWN(loadpin)
{
	unload();
}

TEST_F(loadpin, row10_kernel)
{
	int fd = kx_memfd(&self->fake, sizeof(self->fake));

	EXPECT_EQ(-EPERM, kx_file_load(fd, NO_SUCH_FD, 0, NULL, NO_INITRD));
	EXPECT_EQ(1, kx_loaded());
}

TEST_F(loadpin, row10_before_row11)
{
	int fd = kx_memfd("no kernel", 9);

	EXPECT_EQ(-EPERM, kx_file_load(fd, NO_SUCH_FD, 0, NULL, NO_INITRD));
}

TEST_F(loadpin, row10_initrd)
{
	EXPECT_EQ(-EPERM, load_as("/proc/self/exe", 0, NULL, 0));
	EXPECT_EQ(1, kx_loaded());
}

/* It is not from a file at all. */
TEST_F(loadpin, row2_of_kexec_load)
{
	EXPECT_EQ(-EPERM, kx_load(0, 0, NULL, 0));
	EXPECT_EQ(1, kx_loaded());
}

TEST_HARNESS_MAIN
