/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MM_H
#define UNIT_LINUX_MM_H

#include <limits.h>
#include <linux/slab.h>

#endif /* UNIT_LINUX_MM_H */
