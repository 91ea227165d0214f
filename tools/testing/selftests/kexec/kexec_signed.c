// SPDX-License-Identifier: GPL-2.0
/* See kexec_signed.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kexec_signed.h"

#define PE_AT 0x3c		/* where the offset of the PE header is */

/**
 * kx_file_read - read a whole file
 * @path: of the file
 * @f: its content, to be freed
 * @spare: how many bytes may be put behind it
 *
 * Return: false when it is not there.
 */
bool kx_file_read(const char *path, struct kx_file *f, size_t spare)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st))
		kx_die("%s: no size", path);
	f->size = st.st_size;
	f->bytes = malloc(f->size + spare);
	if (!f->bytes || read(fd, f->bytes, f->size) != st.st_size)
		kx_die("%s cannot be read", path);
	close(fd);
	return true;
}

static u32 *word(const struct kx_file *f, size_t offset)
{
	if (offset + 2 * sizeof(u32) > f->size)
		kx_die("a kernel of %zu bytes is no PE file", f->size);
	return (u32 *)(f->bytes + offset);
}

/**
 * kx_pe_field - a field of the PE header
 * @f: the kernel
 * @offset: KX_PE_*
 */
u32 *kx_pe_field(const struct kx_file *f, size_t offset)
{
	return word(f, *word(f, PE_AT) + offset);
}

size_t kx_pe_table(const struct kx_file *f)
{
	return kx_pe_field(f, KX_PE_TABLE)[0];
}

/* As it was before it was signed */
void kx_pe_unsign(struct kx_file *f)
{
	f->size = kx_pe_table(f);
	*kx_pe_field(f, KX_PE_CHECKSUM) = 0;
	memset(kx_pe_field(f, KX_PE_TABLE), 0, 2 * sizeof(u32));
}
