/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_ASM_PAGE_H
#define UNIT_ASM_PAGE_H

#define PAGE_SIZE	4096UL

#endif /* UNIT_ASM_PAGE_H */
