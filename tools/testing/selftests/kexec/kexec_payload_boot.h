/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the payload expects when it is started as a bzImage: filled in by the
 * program that makes the image, in a place of the payload's own, so that it
 * depends on nothing that is to be verified.
 */
#ifndef KEXEC_PAYLOAD_BOOT_H
#define KEXEC_PAYLOAD_BOOT_H

#include <asm/bootparam.h>

#include "kexec_payload.h"

#define PAYLOAD_BOOT_E820	320	/* entries */
#define PAYLOAD_BOOT_CMDLINE	4096	/* bytes, with the NUL */

/* The payload's own page in a bzImage; the 64-bit entry is a jump to it. */
#define PAYLOAD_BOOT_OFFSET	0x1000

/**
 * struct payload_boot - what a boot loader is to hand over
 * @params: as they should be, but for the addresses that the loader chose
 * @size: bytes of the kernel's protected-mode part
 * @pattern: where in it, in bytes, the pattern begins that fills it
 * @first: the pattern's first word
 * @step: by how much each word is more: PAYLOAD_STEP, or 0 for zeros only
 * @initrd_size: bytes, 0 for no initrd
 * @initrd_first: the first word of it
 * @initrd_step: as @step
 * @types: a bit for each type that setup_data has to have, and may have; SETUP_IMA
 *	may be there or not
 * @nr_e820: used entries of @e820
 * @e820: the whole map, sorted
 * @cmdline: the command line
 * @sum: of all words before it
 */
struct payload_boot {
	struct boot_params params;
	u64 size;
	u64 pattern;
	u64 first;
	u64 step;
	u64 initrd_size;
	u64 initrd_first;
	u64 initrd_step;
	u64 types;
	u64 nr_e820;
	struct boot_e820_entry e820[PAYLOAD_BOOT_E820];
	char cmdline[PAYLOAD_BOOT_CMDLINE];
	u64 sum;
};

static_assert(offsetof(struct payload_boot, sum) % 8 == 0,
	      "the sum is one of words");

static inline u64 payload_boot_sum(const struct payload_boot *boot)
{
	const u64 *word = (const u64 *)boot;
	u64 sum = 0;

	while (word < &boot->sum)
		sum = sum * 31 + *word++;
	return sum;
}

#endif /* KEXEC_PAYLOAD_BOOT_H */
