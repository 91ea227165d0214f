/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_ALIGN_H
#define UNIT_LINUX_ALIGN_H

#define ALIGN(x, to)	(((x) + (to) - 1) & ~((__typeof__(x))(to) - 1))

#endif /* UNIT_LINUX_ALIGN_H */
