/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The payload as a bzImage, for kexec_file_load(2).
 *
 *	struct kexec_bzimage image;
 *
 *	kexec_bzimage_init(&image, 14 * KX_MIB);
 *	image.hdr.pref_address = ...;		any field of the header
 *	fd = kexec_bzimage_memfd(&image);
 */
#ifndef KEXEC_BZIMAGE_H
#define KEXEC_BZIMAGE_H

#include "kexec_payload_boot.h"
#include "kexec_util.h"

/**
 * struct kexec_bzimage - what a bzImage is to be like
 * @hdr: setup header; a bad one is written as it is
 * @size: bytes of the protected-mode part, which is the payload and a pattern
 * @sparse: holes in place of the pattern
 * @boot: what the payload is to expect of the loader: the map of memory, the
 *	initrd, the command line, and of boot.params all but the header
 */
struct kexec_bzimage {
	struct setup_header hdr;
	u64 size;
	bool sparse;
	struct payload_boot boot;
};

void kexec_bzimage_init(struct kexec_bzimage *image, u64 size);
int kexec_bzimage_memfd(const struct kexec_bzimage *image);

#endif /* KEXEC_BZIMAGE_H */
