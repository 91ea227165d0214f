/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_TYPES_H
#define UNIT_LINUX_TYPES_H

#include <stdbool.h>
#include <stddef.h>

/* What user space shares with the kernel comes from the C library's header. */
#include_next <linux/types.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#endif /* UNIT_LINUX_TYPES_H */
