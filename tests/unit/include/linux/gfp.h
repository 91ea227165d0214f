/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_GFP_H
#define UNIT_LINUX_GFP_H

#include <linux/types.h>

typedef __u32 gfp_t;

/* Only there to be told apart. */
#define GFP_KERNEL		0x01u
#define __GFP_RETRY_MAYFAIL	0x02u
#define __GFP_NOWARN		0x04u

#endif /* UNIT_LINUX_GFP_H */
