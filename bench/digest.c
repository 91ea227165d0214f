// SPDX-License-Identifier: GPL-2.0
/*
 * How fast the check before a jump is on this processor: the digest of our stub
 * and that of the stock purgatory, each from the file or object that the kernel
 * itself has it from, over the same memory, one after the other.
 *
 *	digest [MIB]
 *
 * prints "DIGEST sha256=MB/S xxh64=MB/S ratio=XXH64/SHA256", a megabyte being a
 * million bytes.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SHA256_SIZE	32
#define PAGE		4096

/* arch/x86/kernel/kexec_xxh64.S */
uint64_t kexec_xxh64(const void *p, size_t len);

/* The base's lib/crypto/sha256.c */
void sha256(const uint8_t *data, unsigned int len, uint8_t *out);

/* The digests of a page of zeros, to know that the right thing is measured */
static const uint64_t zeros_xxh64 = 0xac869b6f32d8bbdb;
static const uint8_t zeros_sha256[SHA256_SIZE] = {
	0xad, 0x7f, 0xac, 0xb2, 0x58, 0x6f, 0xc6, 0xe9,
	0x66, 0xc0, 0x04, 0xd7, 0xd1, 0xd1, 0x6b, 0x02,
	0x4f, 0x58, 0x05, 0xff, 0x7c, 0xb4, 0x7c, 0x7a,
	0x85, 0xda, 0xbd, 0x8b, 0x48, 0x89, 0x2c, 0xa7,
};

static int digests_are_right(void)
{
	static const uint8_t zeros[PAGE];
	uint8_t out[SHA256_SIZE];

	sha256(zeros, sizeof(zeros), out);
	return kexec_xxh64(zeros, sizeof(zeros)) == zeros_xxh64 &&
	       !memcmp(out, zeros_sha256, sizeof(out));
}

/* Of this process only: what else runs has little to say. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Any content will do, as long as every page is there. */
static uint8_t *make_content(size_t len)
{
	uint8_t *content = mmap(NULL, len, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (content == MAP_FAILED)
		return NULL;
	for (i = 0; i < len; i++)
		content[i] = i * 2654435761u >> 13;
	return content;
}

static double sha256_speed(const uint8_t *content, size_t len)
{
	uint8_t out[SHA256_SIZE];
	double start = now();

	sha256(content, len, out);
	return len / (now() - start) / 1e6;
}

static double xxh64_speed(const uint8_t *content, size_t len)
{
	double start = now();

	kexec_xxh64(content, len);
	return len / (now() - start) / 1e6;
}

int main(int argc, char **argv)
{
	size_t len = (argc > 1 ? strtoul(argv[1], NULL, 0) : 256) << 20;
	uint8_t *content = len ? make_content(len) : NULL;
	double stock, ours;

	if (!content || !digests_are_right()) {
		fprintf(stderr, content ? "a digest is wrong\n" : "no memory\n");
		return 1;
	}
	stock = sha256_speed(content, len);
	ours = xxh64_speed(content, len);
	printf("DIGEST sha256=%.1f xxh64=%.1f ratio=%.1f\n", stock, ours,
	       ours / stock);
	return 0;
}
