/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_ASM_E820_TYPES_H
#define UNIT_ASM_E820_TYPES_H

/* The firmware's number for ordinary memory. */
#define E820_TYPE_RAM	1

#endif /* UNIT_ASM_E820_TYPES_H */
