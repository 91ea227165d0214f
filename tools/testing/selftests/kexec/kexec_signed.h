/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Signed kernels: as much of the PE format as one needs to take a signature off,
 * to put another on, or to spoil something.
 */
#ifndef KEXEC_SIGNED_H
#define KEXEC_SIGNED_H

#include "kexec_util.h"

/* Of the header, which starts with its four letters */
#define KX_PE_TIME 0x8
#define KX_PE_CHECKSUM 0x58
#define KX_PE_TABLE 0xa8	/* two words: offset and size of the signatures */

/* A kernel that is signed, and the signatures that another key would give it */
#define KX_SIGNED "/boot/bzImage"
#define KX_OTHER_TABLE "/boot/bzImage.other"
/*
 * For IMA: the extended attribute that it would have without all that, and the
 * certificate of who has signed it
 */
#define KX_IMA_LABEL "/boot/bzImage.ima"
#define KX_IMA_KEY "/boot/ima.x509"

struct kx_file {
	unsigned char *bytes;
	size_t size;
};

bool kx_file_read(const char *path, struct kx_file *f, size_t spare);
u32 *kx_pe_field(const struct kx_file *f, size_t offset);
size_t kx_pe_table(const struct kx_file *f);	/* offset of the signatures */
void kx_pe_unsign(struct kx_file *f);

#endif /* KEXEC_SIGNED_H */
