/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _X86_KERNEL_KEXEC_BZIMAGE_H
#define _X86_KERNEL_KEXEC_BZIMAGE_H

/*
 * Starting a bzImage, as far as it is arithmetic on bytes: judge its header,
 * and write down what it is told. Nothing here allocates or asks the machine,
 * so that it builds in user space, where sanitizers and a fuzzer go for it.
 *
 * The protocol is Documentation/arch/x86/boot.rst. A file has a setup part in
 * whole sectors, which we only read, and the content, which is loaded and
 * entered at a fixed offset. The new kernel is handed one area of parameters:
 * the boot_params, the command line, EFI's map and a list of setup_data.
 */

#include <linux/align.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sizes.h>
#include <linux/sprintf.h>
#include <linux/string.h>
#include <linux/types.h>

#include <asm/bootparam.h>
#include <asm/e820/types.h>
#include <asm/page.h>

#define BZIMAGE_SECTOR		512
#define BZIMAGE_BOOT_FLAG	0xaa55
#define BZIMAGE_MAGIC		0x53726448	/* "HdrS" */
#define BZIMAGE_VERSION		0x020c		/* brought xloadflags */
#define BZIMAGE_ENTRY		0x200		/* of 64 bits, in the content */
#define BZIMAGE_LOADER		0xd0		/* the protocol's ID for kexec */
#define BZIMAGE_ADDRESS_END	BIT_ULL(52)	/* no x86 CPU addresses more */

#define BZIMAGE_HEADER		offsetof(struct boot_params, hdr)
#define BZIMAGE_JUMP_END	0x202		/* what the jump is relative to */
/* Ours to read is all up to init_size. */
#define BZIMAGE_HEADER_MIN	offsetof(struct boot_params, hdr.handover_offset)
/* As far as a short jump goes; boot_params has room for it, and some more. */
#define BZIMAGE_HEADER_MAX	(BZIMAGE_JUMP_END + 0x7f)

/**
 * struct bzimage - a file, taken apart
 * @hdr: its header, in the file; packed, and not to be trusted twice
 * @file_size: bytes
 * @header_end: where the header ends, in bytes from the start of the file
 * @offset: where the content begins, in bytes from the start of the file
 * @size: bytes of content
 * @memsz: bytes of memory that it needs before it knows what memory there is
 * @align: alignment of its address, bytes
 * @min: lowest address it may be loaded at
 * @refusal: why it is none that can be started
 */
struct bzimage {
	const struct setup_header *hdr;
	u64 file_size;
	size_t header_end;
	u64 offset;
	u64 size;
	u64 memsz;
	u64 align;
	u64 min;
	char refusal[96];
};

#define bzimage_refuse(bz, fmt, ...)					\
({									\
	snprintf((bz)->refusal, sizeof((bz)->refusal), fmt, ##__VA_ARGS__); \
	-ENOEXEC;							\
})

static inline int bzimage_check_format(struct bzimage *bz)
{
	const struct setup_header *hdr = bz->hdr;

	if (hdr->boot_flag != BZIMAGE_BOOT_FLAG)
		return bzimage_refuse(bz, "the boot flag is %#x, not %#x",
				      hdr->boot_flag, BZIMAGE_BOOT_FLAG);
	if (hdr->header != BZIMAGE_MAGIC)
		return bzimage_refuse(bz, "the header's mark is %#x, not %#x",
				      hdr->header, BZIMAGE_MAGIC);
	if (hdr->version < BZIMAGE_VERSION)
		return bzimage_refuse(bz, "boot protocol %#x is older than %#x",
				      hdr->version, BZIMAGE_VERSION);
	if (!(hdr->loadflags & LOADED_HIGH))
		return bzimage_refuse(bz, "a zImage, not a bzImage: loadflags are %#x",
				      hdr->loadflags);
	return 0;
}

static inline int bzimage_check_abilities(struct bzimage *bz)
{
	const struct setup_header *hdr = bz->hdr;

	if (!(hdr->xloadflags & XLF_KERNEL_64))
		return bzimage_refuse(bz, "no entry for 64 bits: xloadflags are %#x",
				      hdr->xloadflags);
	if (!(hdr->xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G))
		return bzimage_refuse(bz, "cannot be loaded above 4 GiB: xloadflags are %#x",
				      hdr->xloadflags);
	if (!hdr->relocatable_kernel)
		return bzimage_refuse(bz, "not relocatable, runs at %#llx only",
				      (u64)hdr->pref_address);
	return 0;
}

/* The jump over the header says how long it is; one backwards says nothing. */
static inline int bzimage_check_header_end(struct bzimage *bz, size_t head_len)
{
	bz->header_end = BZIMAGE_JUMP_END + (bz->hdr->jump >> 8);
	if (bz->header_end < BZIMAGE_HEADER_MIN ||
	    bz->header_end > BZIMAGE_HEADER_MAX)
		return bzimage_refuse(bz, "the header ends at %#zx, not at %#zx to %#x",
				      bz->header_end, BZIMAGE_HEADER_MIN,
				      BZIMAGE_HEADER_MAX);
	if (bz->header_end > head_len)
		return bzimage_refuse(bz, "truncated: the header ends at %#zx, the file at %#zx",
				      bz->header_end, head_len);
	return 0;
}

/*
 * The file may be longer than the header knows: signatures are appended. It
 * must not be shorter.
 */
static inline int bzimage_check_size(struct bzimage *bz)
{
	u64 syssize = (u64)bz->hdr->syssize * 16;

	bz->offset = ((bz->hdr->setup_sects ?: 4) + 1) * BZIMAGE_SECTOR;
	if (bz->offset + syssize > bz->file_size)
		return bzimage_refuse(bz, "truncated: %#llx setup, %#llx kernel in %#llx bytes",
				      bz->offset, syssize, bz->file_size);
	if (bz->offset + BZIMAGE_ENTRY >= bz->file_size)
		return bzimage_refuse(bz, "no entry: it is at %#llx in a file of %#llx bytes",
				      bz->offset + BZIMAGE_ENTRY, bz->file_size);
	bz->size = bz->file_size - bz->offset;
	return 0;
}

static inline int bzimage_check_memory(struct bzimage *bz)
{
	bz->align = bz->hdr->kernel_alignment;
	if (!is_power_of_2(bz->align) || bz->align < PAGE_SIZE ||
	    bz->align > SZ_1G)
		return bzimage_refuse(bz, "alignment %#llx is no power of 2 from a page to 1 GiB",
				      bz->align);
	bz->memsz = ALIGN(max_t(u64, bz->size, bz->hdr->init_size), PAGE_SIZE);
	bz->min = max_t(u64, bz->hdr->pref_address, SZ_1M);
	if (bz->size > BZIMAGE_ADDRESS_END ||
	    bz->min > BZIMAGE_ADDRESS_END - bz->memsz)
		return bzimage_refuse(bz, "wants %#llx bytes at %#llx or above, past %#llx",
				      bz->memsz, bz->min, BZIMAGE_ADDRESS_END);
	return 0;
}

/**
 * bzimage_parse - take a file apart that may be anything
 * @head: its first bytes
 * @head_len: how many of them are there
 * @file_size: bytes in all
 * @bz: what is found
 *
 * Return: 0, or -ENOEXEC and the reason in @bz->refusal.
 */
static inline int bzimage_parse(const void *head, size_t head_len,
				u64 file_size, struct bzimage *bz)
{
	*bz = (struct bzimage){
		.hdr = head + BZIMAGE_HEADER,
		.file_size = file_size,
	};
	if (head_len < BZIMAGE_HEADER_MIN)
		return bzimage_refuse(bz, "the file has %#zx bytes, its header alone takes %#zx",
				      head_len, BZIMAGE_HEADER_MIN);
	return bzimage_check_format(bz) ?: bzimage_check_abilities(bz) ?:
	       bzimage_check_header_end(bz, head_len) ?:
	       bzimage_check_size(bz) ?: bzimage_check_memory(bz);
}

/**
 * bzimage_suits - can this machine start it?
 * @bz: a good one
 * @five_levels: its page tables have five levels
 * @efi_32: its firmware is of 32 bits, and in use
 *
 * Return: 0, or -ENOEXEC and the reason in @bz->refusal.
 */
static inline int bzimage_suits(struct bzimage *bz, bool five_levels,
				bool efi_32)
{
	if (five_levels && !(bz->hdr->xloadflags & XLF_5LEVEL))
		return bzimage_refuse(bz, "knows no page tables of five levels: xloadflags are %#x",
				      bz->hdr->xloadflags);
	if (efi_32)
		return bzimage_refuse(bz, "EFI of 32 bits knows nothing of memory above 4 GiB");
	return 0;
}

/**
 * bzimage_guess - where the content of a file is likely to want to go
 * @head: first bytes of the file, a hint
 * @head_len: bytes
 * @file_size: bytes in all
 * @bz: what it is, if it is one, or else the file as a whole, anywhere
 */
static inline void bzimage_guess(const void *head, size_t head_len,
				 u64 file_size, struct bzimage *bz)
{
	if (!bzimage_parse(head, head_len, file_size, bz))
		return;
	*bz = (struct bzimage){
		.file_size = file_size,
		.size = file_size,
		.memsz = file_size,
		.align = PAGE_SIZE,
	};
}

/**
 * struct setup_item - an entry of the list setup_data, before it has an address
 * @type: SETUP_*
 * @len: bytes
 * @data: its content
 * @make: makes the content instead, where there must be no second copy of it
 */
struct setup_item {
	u32 type;
	u32 len;
	const void *data;
	void (*make)(void *data, size_t len);
};

/* E820_EXT, EFI, IMA, RNG_SEED, DTB */
#define PARAMS_ITEMS	5
#define PARAMS_ALIGN	16

/**
 * struct params_plan - what goes where in the area of parameters
 * @prefix: what the command line begins with, by our own doing
 * @prefix_len: bytes, without a NUL
 * @cmdline: the rest of it, ends with a NUL; NULL for none
 * @cmdline_len: bytes, with the NUL
 * @efi_map_size: bytes, 0 for none
 * @item: the list setup_data
 * @nr_items: used entries of @item
 * @efi_map: offset of EFI's map in the area, bytes
 * @items: offset of the first item, bytes
 * @size: bytes of the area
 *
 * The boot_params come first and the command line follows them.
 */
struct params_plan {
	char prefix[sizeof("elfcorehdr=0x0123456789abcdef ")];
	size_t prefix_len;
	const char *cmdline;
	size_t cmdline_len;
	size_t efi_map_size;
	struct setup_item item[PARAMS_ITEMS];
	unsigned int nr_items;
	size_t efi_map;
	size_t items;
	size_t size;
};

#define PARAMS_CMDLINE	sizeof(struct boot_params)

static inline void params_plan_item(struct params_plan *plan,
				    struct setup_item item)
{
	plan->item[plan->nr_items++] = item;
}

/* What is beyond the table in boot_params goes into the list. */
static inline void params_plan_e820(struct params_plan *plan,
				    const struct boot_e820_entry *entry,
				    unsigned int nr)
{
	if (nr <= E820_MAX_ENTRIES_ZEROPAGE)
		return;
	params_plan_item(plan, (struct setup_item){
		.type = SETUP_E820_EXT,
		.len = (nr - E820_MAX_ENTRIES_ZEROPAGE) * sizeof(*entry),
		.data = entry + E820_MAX_ENTRIES_ZEROPAGE,
	});
}

static inline size_t params_item_size(const struct setup_item *item)
{
	return ALIGN(sizeof(struct setup_data) + item->len, PARAMS_ALIGN);
}

/* When all that goes in is known: where it goes, and how much it is. */
static inline void params_lay_out(struct params_plan *plan)
{
	size_t cmdline = plan->prefix_len + max_t(size_t, plan->cmdline_len, 1);
	unsigned int i;

	plan->efi_map = ALIGN(PARAMS_CMDLINE + cmdline, PARAMS_ALIGN);
	plan->items = ALIGN(plan->efi_map + plan->efi_map_size, PARAMS_ALIGN);
	plan->size = plan->items;
	for (i = 0; i < plan->nr_items; i++)
		plan->size += params_item_size(&plan->item[i]);
}

/*
 * The header from the file, and on it what a boot loader is to fill in: what a
 * file has there is nothing that it could know. Initrd and command line follow
 * in any case.
 */
static inline void params_set_header(struct boot_params *bp,
				     const struct bzimage *bz)
{
	/* A newer header is longer than our struct, and has room after it. */
	memcpy((void *)bp + BZIMAGE_HEADER, bz->hdr,
	       bz->header_end - BZIMAGE_HEADER);
	bp->hdr.type_of_loader = BZIMAGE_LOADER;
	bp->hdr.ext_loader_type = 0;
	bp->hdr.ext_loader_ver = 0;
	/* No heap, nothing from real mode, and KASLR is the kernel's own. */
	bp->hdr.loadflags = LOADED_HIGH;
	bp->hdr.heap_end_ptr = 0;
	bp->hdr.setup_data = 0;
}

static inline void params_set_initrd(struct boot_params *bp, u64 mem, u64 size)
{
	bp->hdr.ramdisk_image = mem;
	bp->ext_ramdisk_image = mem >> 32;
	bp->hdr.ramdisk_size = size;
	bp->ext_ramdisk_size = size >> 32;
}

/* KiB of RAM from 1 MiB on without a hole, as BIOS calls used to tell. */
static inline u64 params_extended_kib(const struct boot_e820_entry *entry,
				      unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (entry[i].type == E820_TYPE_RAM && entry[i].addr <= SZ_1M &&
		    entry[i].size > SZ_1M - entry[i].addr)
			return (entry[i].size - (SZ_1M - entry[i].addr)) >> 10;
	return 0;
}

/* bp->screen_info must have been set: a BIOS's number is in the middle of it. */
static inline void params_set_e820(struct boot_params *bp,
				   const struct boot_e820_entry *entry,
				   unsigned int nr)
{
	u64 kib = params_extended_kib(entry, nr);

	bp->e820_entries = min_t(unsigned int, nr, E820_MAX_ENTRIES_ZEROPAGE);
	memcpy(bp->e820_table, entry, bp->e820_entries * sizeof(*entry));
	/* The 16 bits never told of more than 64 MiB. */
	bp->screen_info.ext_mem_k = min_t(u64, kib, 0xfc00);
	bp->alt_mem_k = min_t(u64, kib, 0xffffffff);
}

static inline void params_set_cmdline(void *area, u64 mem,
				      const struct params_plan *plan)
{
	struct boot_params *bp = area;
	char *line = area + PARAMS_CMDLINE;

	memcpy(line, plan->prefix, plan->prefix_len);
	if (plan->cmdline_len)
		memcpy(line + plan->prefix_len, plan->cmdline,
		       plan->cmdline_len);
	bp->hdr.cmd_line_ptr = mem + PARAMS_CMDLINE;
	bp->ext_cmd_line_ptr = (mem + PARAMS_CMDLINE) >> 32;
}

/*
 * Write the items into an area of zeros that will be at the physical address
 * mem, each pointing to the next.
 */
static inline void params_set_items(void *area, u64 mem,
				    const struct params_plan *plan)
{
	struct boot_params *bp = area;
	const struct setup_item *item;
	struct setup_data *data;
	size_t at = plan->items;

	if (plan->nr_items)
		bp->hdr.setup_data = mem + at;
	for (item = plan->item; item < plan->item + plan->nr_items; item++) {
		data = area + at;
		data->type = item->type;
		data->len = item->len;
		if (item->make)
			item->make(data->data, item->len);
		else
			memcpy(data->data, item->data, item->len);
		at += params_item_size(item);
		if (at < plan->size)
			data->next = mem + at;
	}
}

#endif /* _X86_KERNEL_KEXEC_BZIMAGE_H */
