/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_SLAB_H
#define UNIT_LINUX_SLAB_H

#include <linux/gfp.h>
#include <linux/types.h>

void *kvmalloc_array(size_t nr, size_t size, gfp_t flags);
void kvfree(const void *memory);

#endif /* UNIT_LINUX_SLAB_H */
