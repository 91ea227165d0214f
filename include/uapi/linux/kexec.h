/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPILINUX_KEXEC_H
#define _UAPILINUX_KEXEC_H

/*
 * The user ABI of kexec_load(2) and kexec_file_load(2).
 *
 * Neither call flushes file systems, and neither does reboot(2) with
 * LINUX_REBOOT_CMD_KEXEC: the caller stops services, syncs and unmounts.
 */

#include <linux/types.h>

/* kexec_load(2): what the image is for, and how it may be updated */
#define KEXEC_ON_CRASH			0x00000001
#define KEXEC_PRESERVE_CONTEXT		0x00000002
#define KEXEC_UPDATE_ELFCOREHDR		0x00000004
#define KEXEC_CRASH_HOTPLUG_SUPPORT	0x00000008
#define KEXEC_DEBUG			0x00000010

/* kexec_file_load(2) */
#define KEXEC_FILE_UNLOAD		0x00000001
#define KEXEC_FILE_ON_CRASH		0x00000002
#define KEXEC_FILE_NO_INITRAMFS		0x00000004
#define KEXEC_FILE_DEBUG		0x00000008
#define KEXEC_FILE_NO_CMA		0x00000010
#define KEXEC_FILE_FORCE_DTB		0x00000020

/*
 * Bits 16 to 31 of kexec_load's flags name the architecture of the image,
 * with the e_machine numbers of ELF; zero stands for the running one.
 */
#define KEXEC_ARCH_MASK			0xffff0000
#define KEXEC_ARCH_DEFAULT		(0 << 16)
#define KEXEC_ARCH_386			(3 << 16)
#define KEXEC_ARCH_68K			(4 << 16)
#define KEXEC_ARCH_MIPS			(8 << 16)
#define KEXEC_ARCH_MIPS_LE		(10 << 16)
#define KEXEC_ARCH_PARISC		(15 << 16)
#define KEXEC_ARCH_PPC			(20 << 16)
#define KEXEC_ARCH_PPC64		(21 << 16)
#define KEXEC_ARCH_S390			(22 << 16)
#define KEXEC_ARCH_ARM			(40 << 16)
#define KEXEC_ARCH_SH			(42 << 16)
#define KEXEC_ARCH_IA_64		(50 << 16)
#define KEXEC_ARCH_X86_64		(62 << 16)
#define KEXEC_ARCH_AARCH64		(183 << 16)
#define KEXEC_ARCH_RISCV		(243 << 16)
#define KEXEC_ARCH_LOONGARCH		(258 << 16)

/* kexec_load(2) takes no more segments than this. */
#define KEXEC_SEGMENT_MAX		16

#ifndef __KERNEL__
/**
 * struct kexec_segment - one piece of the image, for kexec_load(2)
 * @buf: content, in the caller's memory; may be NULL when @bufsz is 0
 * @bufsz: bytes to copy from @buf, at most @memsz
 * @mem: destination, a physical address on a page boundary
 * @memsz: bytes occupied there, whole pages; what @bufsz leaves is zero
 */
struct kexec_segment {
	const void *buf;
	__kernel_size_t bufsz;
	const void *mem;
	__kernel_size_t memsz;
};
#endif /* __KERNEL__ */

#endif /* _UAPILINUX_KEXEC_H */
