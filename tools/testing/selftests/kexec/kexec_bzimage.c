// SPDX-License-Identifier: GPL-2.0
/*
 * See kexec_bzimage.h. The file is
 *
 *	the setup part: hdr.setup_sects + 1 sectors, all zero but for the header
 *	a page whose only code is the 64-bit entry, a jump to the next page
 *	the payload, with its .bss
 *	a pattern up to the end
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kexec_bzimage.h"
#include "kexec_image.h"

#define SECTOR 512
#define ENTRY64 0x200
#define HEADER offsetof(struct boot_params, hdr)
/* The loader's mark in type_of_loader: kexec, version 0 */
#define LOADER_KEXEC 0xd0
/* Memory after the file's content that belongs to the kernel as well */
#define BSS (KX_MIB + 3 * KX_PAGE)

static u64 blob_number(unsigned int offset)
{
	return *(const u64 *)(payload_blob + offset);
}

/* Where in the protected-mode part the payload ends, with its .bss */
static u64 payload_end(void)
{
	return PAYLOAD_BOOT_OFFSET + blob_number(PAYLOAD_OFF_MEM_SIZE);
}

/**
 * kexec_bzimage_init - a bzImage that any loader should like
 * @image: to be set up
 * @size: bytes of its protected-mode part; less than the payload needs, 0 for
 *	instance, is as much as it needs
 */
void kexec_bzimage_init(struct kexec_bzimage *image, u64 size)
{
	union kx_fake fake;

	if (size < payload_end())
		size = payload_end();
	kx_fake_init(&fake);
	memset(image, 0, sizeof(*image));
	image->size = size;
	image->hdr = fake.hdr;
	image->hdr.setup_sects = 5;
	image->hdr.syssize = (size + 15) / 16;
	image->hdr.init_size = kx_page_up(size) + BSS;
	image->hdr.payload_offset = PAYLOAD_BOOT_OFFSET;
	image->hdr.payload_length = size - PAYLOAD_BOOT_OFFSET;
}

static void put(int fd, const void *from, size_t len, u64 at)
{
	if (pwrite(fd, from, len, at) != (ssize_t)len)
		kx_die("cannot write a bzImage: %s", strerror(errno));
}

/* hdr.setup_sects 0 means 4. */
static u64 setup_size(const struct setup_header *hdr)
{
	return ((hdr->setup_sects ?: 4) + 1) * SECTOR;
}

static void put_entry(int fd, u64 at)
{
	u32 distance = PAYLOAD_BOOT_OFFSET - ENTRY64 - 5;
	u8 page[PAYLOAD_BOOT_OFFSET];

	memset(page, 0xf4, sizeof(page));
	page[ENTRY64] = 0xe9;
	memcpy(page + ENTRY64 + 1, &distance, sizeof(distance));
	put(fd, page, sizeof(page), at);
}

/* The file's, and what the loader adds to it */
static void expect_header(struct payload_boot *boot,
			  const struct setup_header *hdr)
{
	u32 subarch = boot->params.hdr.hardware_subarch;

	boot->params.hdr = *hdr;
	boot->params.hdr.hardware_subarch = subarch;
	boot->params.hdr.type_of_loader = LOADER_KEXEC;
	boot->params.hdr.ramdisk_size = boot->initrd_size;
	boot->params.ext_ramdisk_size = boot->initrd_size >> 32;
}

static void expect_image(struct payload_boot *boot,
			 const struct kexec_bzimage *image)
{
	*boot = image->boot;
	expect_header(boot, &image->hdr);
	boot->size = image->size;
	boot->pattern = payload_end();
	boot->step = image->sparse ? 0 : PAYLOAD_STEP;
	boot->first = image->sparse ? 0 : PAYLOAD_MAGIC;
	boot->sum = payload_boot_sum(boot);
}

static void order(struct payload_desc *desc)
{
	desc->magic = PAYLOAD_MAGIC;
	desc->flags = PAYLOAD_BOOT | kx_payload_flags();
	desc->sum = payload_desc_sum(desc);
}

static void put_payload(int fd, const struct kexec_bzimage *image, u64 at)
{
	u64 size = blob_number(PAYLOAD_OFF_FILE_SIZE);
	char *binary = kx_alloc(size);

	memcpy(binary, payload_blob, payload_blob_end - payload_blob);
	order((void *)(binary + blob_number(PAYLOAD_OFF_DESC)));
	expect_image((void *)(binary + blob_number(PAYLOAD_OFF_BOOT)), image);
	put(fd, binary, size, at + PAYLOAD_BOOT_OFFSET);
	kx_free(binary, size);
}

/**
 * kexec_bzimage_memfd - make the file
 * @image: as it is to be
 *
 * Return: a file descriptor in memory.
 */
int kexec_bzimage_memfd(const struct kexec_bzimage *image)
{
	u64 start = setup_size(&image->hdr);
	int fd = kx_memfd(NULL, start + image->size);

	put(fd, &image->hdr, sizeof(image->hdr), HEADER);
	put_entry(fd, start);
	put_payload(fd, image, start);
	if (!image->sparse)
		kx_pattern_file(fd, start + payload_end(),
				image->size - payload_end(), PAYLOAD_MAGIC);
	return fd;
}
