// SPDX-License-Identifier: GPL-2.0
/*
 * biggest: print the size of the largest image that loads, in bytes.
 *
 * It has 16 touching segments without any zeros, which share one source buffer,
 * so that hardly anything but the image takes memory. Found by bisection, to
 * within 1 MiB.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kexec_util.h"

/* Segments grow by this much at least. */
#define STEP (16 * KX_PAGE)
/* Off any alignment */
#define OFFSET 0x35000

static bool loads(u64 start, u64 size)
{
	struct kx_seg seg[KEXEC_SEGMENT_MAX];
	char *buf = kx_alloc(size);
	unsigned int i;
	long ret;

	memset(buf, 0xa5, size);
	for (i = 0; i < KEXEC_SEGMENT_MAX; i++)
		seg[i] = (struct kx_seg){ buf, size, start + i * size, size };
	ret = kx_load(start, KEXEC_SEGMENT_MAX, seg, 0);
	kx_unload();
	kx_free(buf, size);
	printf("# %lu MiB: %s\n", size * KEXEC_SEGMENT_MAX / KX_MIB,
	       ret ? strerror(-ret) : "loads");
	fflush(stdout);
	return !ret;
}

int main(void)
{
	const char *unfit = kx_unfit();
	struct kx_ranges ram;
	struct kx_range range;
	u64 good = 0, bad;

	if (unfit)
		kx_die("%s", unfit);
	kx_unload();
	kx_system_ram(&ram);
	range = kx_largest(&ram, 0);
	range.start += OFFSET;
	bad = (range.end - range.start) / KEXEC_SEGMENT_MAX / STEP + 1;
	while (bad - good > 1) {
		u64 middle = (good + bad) / 2;

		if (loads(range.start, middle * STEP))
			good = middle;
		else
			bad = middle;
	}
	printf("BIGGEST bytes=%lu\n", good * STEP * KEXEC_SEGMENT_MAX);
	return !good;
}
