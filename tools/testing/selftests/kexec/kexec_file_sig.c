// SPDX-License-Identifier: GPL-2.0
/*
 * kexec_file_load(2) and signed kernels (row 12): what the verifier says of a
 * kernel whose signature is good, missing, by an unknown key, or for something
 * else by one bit; and what comes of it, when a signature is required, when the
 * kernel is locked down, and when neither is so.
 *
 * /boot/bzImage has to be signed with a key that the running kernel knows; see
 * kexec_signed.h. All others are made of it.
 *
 * On the old kernel all is the same, but for the log.
 */
#include <errno.h>
#include <stdlib.h>
#include <kselftest_harness.h>

#include "kexec_rows.h"
#include "kexec_signed.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"
#define CMDLINE "quiet"

#define HEADER_AT 0x1f1		/* the setup header */
#define NO_SUCH_FD (-1)
/* An entry of the table: its size, revision and type; then PKCS#7 */
#define PKCS7_AT 8

/*
 * What is done to the signed kernel
 */

static void flip(const struct kx_file *k, size_t offset)
{
	k->bytes[offset] ^= 1;
}

static struct setup_header *setup(const struct kx_file *k)
{
	return (struct setup_header *)(k->bytes + HEADER_AT);
}

static void nothing(struct kx_file *k)
{
	(void)k;
}

static void take_other_key(struct kx_file *k)
{
	struct kx_file table;

	if (!kx_file_read(KX_OTHER_TABLE, &table, 0))
		kx_die("no " KX_OTHER_TABLE);
	k->size = kx_pe_table(k) + table.size;
	memcpy(k->bytes + kx_pe_table(k), table.bytes, table.size);
	kx_pe_field(k, KX_PE_TABLE)[1] = table.size;
	free(table.bytes);
}

static void flip_code(struct kx_file *k)
{
	const struct setup_header *hdr = setup(k);

	flip(k, (hdr->setup_sects + 1) * 512 + hdr->payload_offset +
		hdr->payload_length / 2);
}

/* A field that is for boot loaders to fill in: no loader minds what it is. */
static void flip_setup_header(struct kx_file *k)
{
	flip(k, HEADER_AT + offsetof(struct setup_header, type_of_loader));
}

static void flip_pe_header(struct kx_file *k)
{
	*kx_pe_field(k, KX_PE_TIME) ^= 1;
}

/*
 * It ends in the number that the key has made, of 256 bytes. What comes out of a
 * wrong one by the public key does not even look like a digest.
 */
static void flip_signature(struct kx_file *k)
{
	flip(k, k->size - 128);
}

/* The checksum is the one thing in front of the table that is not signed. */
static void flip_checksum(struct kx_file *k)
{
	*kx_pe_field(k, KX_PE_CHECKSUM) ^= 1;
}

static void break_encoding(struct kx_file *k)
{
	flip(k, kx_pe_table(k) + PKCS7_AT + 4);
}

static void move_table_outside(struct kx_file *k)
{
	kx_pe_field(k, KX_PE_TABLE)[0] = k->size;
}

static void append(struct kx_file *k)
{
	memset(k->bytes + k->size, 0, KX_PAGE);
	k->size += KX_PAGE;
}

/*
 * Loading
 */

static long load_with_initrd(const struct kx_file *k, int initrd,
			     unsigned long flags)
{
	int fd = kx_memfd(k->bytes, k->size);
	long ret = kx_file_load(fd, initrd, sizeof(CMDLINE), CMDLINE, flags);

	close(fd);
	return ret;
}

static long load(const struct kx_file *k)
{
	return load_with_initrd(k, NO_SUCH_FD, KEXEC_FILE_NO_INITRAMFS);
}

/* The other call may not unload in a kernel that is locked down. */
static long unload(void)
{
	return kx_file_load(NO_SUCH_FD, NO_SUCH_FD, 0, NULL, KEXEC_FILE_UNLOAD);
}

/* Built in, so the configuration tells */
static bool required(void)
{
	return !system("zcat /proc/config.gz | grep -q ^CONFIG_KEXEC_SIG_FORCE=y");
}

/* The level that it is at is the one in brackets. */
static bool locked_down(void)
{
	FILE *file = fopen(LOCKDOWN, "r");
	char line[128] = "";

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	return line[0] && !strstr(line, "[none]");
}

/* What comes of it that the verifier says @err */
static int outcome(int err)
{
	if (!err || required())
		return err;
	return locked_down() ? EPERM : 0;
}

static void set_up(struct __test_metadata *_metadata, struct kx_file *k)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return, "%s", unfit);
	if (!NEED("file", kx_have_file_load()) ||
	    !NEED("signed", kx_file_read(KX_SIGNED, k, KX_PAGE) &&
			    kx_pe_table(k) > 0 && kx_pe_table(k) < k->size) ||
	    !NEED("sigforce", required() || !kx_demanded("sigforce")) ||
	    !NEED("lockdown", locked_down() || !kx_demanded("lockdown")))
		return;
	if (kx_loaded() && !kx_destructive())
		SKIP(return, "something is loaded, which these tests would unload");
	unload();
}

/* Each kind of kernel */
FIXTURE(image) {
	struct kx_file good;
	struct kx_file kernel;
};

FIXTURE_VARIANT(image) {
	void (*change)(struct kx_file *k);
	int err;	/* of the verifier */
};

FIXTURE_VARIANT_ADD(image, good) {
	.change = nothing,
	.err = 0,
};

FIXTURE_VARIANT_ADD(image, bare) {
	.change = kx_pe_unsign,
	.err = ENODATA,
};

FIXTURE_VARIANT_ADD(image, other_key) {
	.change = take_other_key,
	.err = ENOKEY,
};

FIXTURE_VARIANT_ADD(image, code) {
	.change = flip_code,
	.err = EKEYREJECTED,
};

FIXTURE_VARIANT_ADD(image, setup_header) {
	.change = flip_setup_header,
	.err = EKEYREJECTED,
};

FIXTURE_VARIANT_ADD(image, pe_header) {
	.change = flip_pe_header,
	.err = EKEYREJECTED,
};

FIXTURE_VARIANT_ADD(image, signature) {
	.change = flip_signature,
	.err = EINVAL,
};

FIXTURE_VARIANT_ADD(image, checksum) {
	.change = flip_checksum,
	.err = 0,
};

FIXTURE_VARIANT_ADD(image, encoding) {
	.change = break_encoding,
	.err = EBADMSG,
};

FIXTURE_VARIANT_ADD(image, no_table) {
	.change = move_table_outside,
	.err = ELIBBAD,
};

FIXTURE_VARIANT_ADD(image, appended) {
	.change = append,
	.err = EKEYREJECTED,
};

FIXTURE_SETUP(image)
{
	set_up(_metadata, &self->good);
	if (!self->good.bytes || !kx_file_read(KX_SIGNED, &self->kernel, KX_PAGE))
		return;
	variant->change(&self->kernel);
}

FIXTURE_TEARDOWN(image)
{
	unload();
	free(self->kernel.bytes);
	free(self->good.bytes);
}

ROW(image, row12)
{
	EXPECT_EQ(-outcome(variant->err), load(&self->kernel));
	EXPECT_EQ(!outcome(variant->err), kx_loaded());
}

/* What is refused leaves what was there. */
ROW(image, row12_replaces)
{
	ASSERT_EQ(0, load(&self->good));
	EXPECT_EQ(-outcome(variant->err), load(&self->kernel));
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(0, unload());
	EXPECT_EQ(0, kx_loaded());
}

/* The kernel is judged before the initrd is looked at. */
ROW(image, row12_before_row13)
{
	int err = outcome(variant->err) ?: EBADF;

	EXPECT_EQ(-err, load_with_initrd(&self->kernel, NO_SUCH_FD, 0));
	EXPECT_EQ(0, kx_loaded());
}

/* One kernel, and what has to do with rows around this one */
FIXTURE(sig) {
	struct kx_file kernel;
};

FIXTURE_SETUP(sig)
{
	set_up(_metadata, &self->kernel);
}

FIXTURE_TEARDOWN(sig)
{
	unload();
	free(self->kernel.bytes);
}

/* What is no kernel has no signature that would be looked for. */
ROW(sig, row11_before_row12)
{
	setup(&self->kernel)->header ^= 1;
	EXPECT_EQ(-ENOEXEC, load(&self->kernel));
	kx_pe_unsign(&self->kernel);
	EXPECT_EQ(-ENOEXEC, load(&self->kernel));
}

/* For a crash kernel it is the same. */
ROW(sig, row12_before_row17)
{
	unsigned long flags = KEXEC_FILE_NO_INITRAMFS | KEXEC_FILE_ON_CRASH;
	int err = outcome(ENODATA);

	if (!err && kx_stock())
		SKIP(return, "without crash kernels, this one loads it as another");
	kx_pe_unsign(&self->kernel);
	EXPECT_EQ(-(err ?: EADDRNOTAVAIL),
		  load_with_initrd(&self->kernel, NO_SUCH_FD, flags));
}

ROW(sig, log)
{
	int log = kx_log_open(), err = outcome(ENODATA);
	char line[KX_LINE], more[KX_LINE];

	if (kx_stock())
		SKIP(return, "this kernel does not say why it refuses");
	kx_sleep_ms(5500);	/* the burst of the log's limit is over */
	kx_pe_unsign(&self->kernel);
	EXPECT_EQ(-err, load(&self->kernel));
	EXPECT_EQ(!!err, kx_log_next(log, line));
	if (!err)
		return;
	EXPECT_TRUE(kx_match(line, "signature.*-%d.*(required|locked)", ENODATA))
		TH_LOG("the line is: %s", line);
	EXPECT_FALSE(kx_log_next(log, more))
		TH_LOG("one more line: %s", more);
}

TEST_HARNESS_MAIN
