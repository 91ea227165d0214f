/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_SORT_H
#define UNIT_LINUX_SORT_H

#include <stdlib.h>

/* The kernel's sort() may be called for nothing at all, qsort() may not. */
static inline void sort(void *base, size_t nr, size_t size,
			int (*compare)(const void *a, const void *b),
			void (*swap)(void *a, void *b, int size))
{
	(void)swap;
	if (nr)
		qsort(base, nr, size, compare);
}

#endif /* UNIT_LINUX_SORT_H */
