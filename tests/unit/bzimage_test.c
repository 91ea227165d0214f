// SPDX-License-Identifier: GPL-2.0
/*
 * Headers of bzImages, right and with each field wrong in turn, and what the
 * new kernel is told.
 */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bzimage.h"
#include "kexec_bzimage.h"
#include "unit.h"

#define NR(array)	(sizeof(array) / sizeof((array)[0]))
#define SIZE(field)	sizeof(((struct boot_params *)0)->hdr.field)
#define put(field, value) \
	put_at(offsetof(struct boot_params, hdr.field), SIZE(field), value)
#define JUMP(end)	(0xeb | ((end) - 0x202) << 8)

/* The smallest with whole paragraphs: two sectors, and a little content. */
#define CONTENT		0x300
#define FILE_SIZE	(1024 + CONTENT)

static u8 file[1 << 18];

static void put_at(size_t offset, size_t width, u64 value)
{
	memcpy(file + offset, &value, width);
}

static void make_good(void)
{
	memset(file, 0x5a, sizeof(file));
	put(setup_sects, 1);
	put(syssize, CONTENT / 16);
	put(boot_flag, 0xaa55);
	put(jump, JUMP(0x26c));
	put(header, 0x53726448);
	put(version, 0x020f);
	put(loadflags, LOADED_HIGH);
	put(kernel_alignment, 0x200000);
	put(relocatable_kernel, 1);
	put(xloadflags,
	    XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G | XLF_5LEVEL);
	put(cmdline_size, 2047);
	put(pref_address, 0x1000000);
	put(init_size, 0x12cc000);
}

/*
 * One field at a time
 */

struct field_row {
	const char *name;
	size_t offset;
	size_t width;
	u64 value;
	const char *refusal;	/* a part of it; NULL for none */
};

#define ROW(name, field, value, refusal) \
	{ name, offsetof(struct boot_params, hdr.field), SIZE(field), value, \
	  refusal }

static const struct field_row fields[] = {
	ROW("boot flag 0", boot_flag, 0, "boot flag is 0, not 0xaa55"),
	ROW("boot flag swapped", boot_flag, 0x55aa, "boot flag is 0x55aa"),
	ROW("mark 0", header, 0, "mark is 0, not 0x53726448"),
	ROW("mark swapped", header, 0x48647253, "mark is 0x48647253"),
	ROW("protocol 0", version, 0, "protocol 0 is older than 0x20c"),
	ROW("protocol 2.11", version, 0x20b, "protocol 0x20b is older"),
	ROW("protocol 2.12", version, 0x20c, NULL),
	ROW("protocol of later", version, 0xffff, NULL),
	ROW("zImage", loadflags, 0, "loadflags are 0"),
	ROW("zImage, other flags", loadflags, 0xfe, "loadflags are 0xfe"),
	ROW("all loadflags", loadflags, 0xff, NULL),
	ROW("no 64-bit entry", xloadflags, 0x22, "xloadflags are 0x22"),
	ROW("not above 4 GiB", xloadflags, 0x21, "above 4 GiB: xloadflags are 0x21"),
	ROW("all xloadflags", xloadflags, 0xffff, NULL),
	ROW("not relocatable", relocatable_kernel, 0, "runs at 0x1000000 only"),
	ROW("header of none", jump, JUMP(0x202), "header ends at 0x202,"),
	ROW("header short of one", jump, JUMP(0x263), "header ends at 0x263,"),
	ROW("shortest header", jump, JUMP(0x264), NULL),
	ROW("longest header", jump, JUMP(0x281), NULL),
	ROW("jump backwards", jump, JUMP(0x282), "header ends at 0x282,"),
	ROW("jump back by one", jump, JUMP(0x301), "header ends at 0x301,"),
	ROW("setup of 4 by default", setup_sects, 0, "truncated: 0xa00 setup"),
	ROW("setup to the end", setup_sects, 2, "0x600 setup, 0x300 kernel in 0x700"),
	ROW("longest setup", setup_sects, 0xff, "truncated: 0x20000 setup"),
	ROW("syssize 0", syssize, 0, NULL),
	ROW("syssize less", syssize, CONTENT / 16 - 1, NULL),
	ROW("syssize one more", syssize, CONTENT / 16 + 1, "0x400 setup, 0x310 kernel"),
	ROW("largest syssize", syssize, 0xffffffff, " 0xffffffff0 kernel"),
	ROW("alignment 0", kernel_alignment, 0, "alignment 0 is"),
	ROW("alignment 1", kernel_alignment, 1, "alignment 0x1 is"),
	ROW("half a page", kernel_alignment, 0x800, "alignment 0x800 is"),
	ROW("a page", kernel_alignment, 0x1000, NULL),
	ROW("three pages", kernel_alignment, 0x3000, "alignment 0x3000 is"),
	ROW("1 GiB", kernel_alignment, 0x40000000, NULL),
	ROW("2 GiB", kernel_alignment, 0x80000000, "alignment 0x80000000 is"),
	ROW("alignment of ones", kernel_alignment, 0xffffffff, "alignment 0xffffffff is"),
	ROW("prefers 0", pref_address, 0, NULL),
	ROW("prefers what ends at 52 bits", pref_address, (1ULL << 52) - 0x12cc000, NULL),
	ROW("prefers a byte more", pref_address, (1ULL << 52) - 0x12cbfff,
	    "past 0x10000000000000"),
	ROW("prefers the end", pref_address, ULLONG_MAX, "at 0xffffffffffffffff or above"),
	ROW("needs nothing", init_size, 0, NULL),
	ROW("needs 4 GiB", init_size, 0xffffffff, NULL),
	ROW("command line of 0", cmdline_size, 0, NULL),
	ROW("longest command line", cmdline_size, 0xffffffff, NULL),
};

static const struct field_row *row;

static void describe_row(void)
{
	printf("# %s\n", row->name);
}

static void check_row(size_t size)
{
	struct bzimage bz;
	int err;

	make_good();
	put_at(row->offset, row->width, row->value);
	err = bzimage_parse(file, size, size, &bz);
	if (!row->refusal) {
		check(!err && !bz.refusal[0]);
		return;
	}
	check(err == -ENOEXEC);
	check(strstr(bz.refusal, row->refusal));
	/* The same field must not do any harm as a hint. */
	bzimage_guess(file, PAGE_SIZE, size, &bz);
	check(!bz.offset && bz.size == size && bz.align == PAGE_SIZE);
}

static void bzimage_fields(void)
{
	unit_describe = describe_row;
	for (row = fields; row < fields + NR(fields); row++)
		check_row(FILE_SIZE);
	unit_note("%zu headers", NR(fields));
}

static void bzimage_good(void)
{
	struct bzimage bz;

	make_good();
	check(!bzimage_parse(file, FILE_SIZE, FILE_SIZE, &bz));
	check(bz.header_end == 0x26c && bz.offset == 1024);
	check(bz.size == CONTENT && bz.memsz == 0x12cc000);
	check(bz.align == 0x200000 && bz.min == 0x1000000);
	put(init_size, 0x12cc001);
	put(pref_address, 0xfffff);
	put(setup_sects, 255);
	check(!bzimage_parse(file, sizeof(file), sizeof(file), &bz));
	check(bz.offset == 0x20000 && bz.size == sizeof(file) - 0x20000);
	check(bz.memsz == 0x12cd000 && bz.min == SZ_1M);
	put(init_size, 0);
	put(setup_sects, 0);
	check(!bzimage_parse(file, 0x1001, 0x1001, &bz));
	check(bz.offset == 0xa00 && bz.size == 0x601 && bz.memsz == 0x1000);
}

static void bzimage_machine(void)
{
	struct bzimage bz;

	make_good();
	check(!bzimage_parse(file, FILE_SIZE, FILE_SIZE, &bz));
	check(!bzimage_suits(&bz, false, false));
	check(!bzimage_suits(&bz, true, false));
	check(bzimage_suits(&bz, false, true) == -ENOEXEC);
	check(strstr(bz.refusal, "32 bits"));
	put(xloadflags, XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G);
	check(!bzimage_suits(&bz, false, false));
	check(bzimage_suits(&bz, true, false) == -ENOEXEC);
	check(strstr(bz.refusal, "xloadflags are 0x3"));
}

/*
 * Files that end too early
 */

static size_t cut;

static void describe_cut(void)
{
	printf("# cut at %#zx\n", cut);
}

/* In memory of its own, so that a read past the end is seen. */
static void check_cut(void)
{
	u8 *part = malloc(cut ?: 1);
	struct bzimage bz;

	check(part);
	memcpy(part, file, cut);
	check(bzimage_parse(part, cut, cut, &bz) == -ENOEXEC);
	check(bz.refusal[0]);
	free(part);
}

static void bzimage_truncated(void)
{
	make_good();
	unit_describe = describe_cut;
	for (cut = 0; cut < FILE_SIZE; cut++)
		check_cut();
	/* Nothing says how long it is, but the entry has to be there. */
	put(syssize, 0);
	for (cut = 0; cut <= 1024 + BZIMAGE_ENTRY; cut++)
		check_cut();
	unit_note("%d lengths", FILE_SIZE + 1024 + BZIMAGE_ENTRY + 1);
}

static void bzimage_appended(void)
{
	struct bzimage bz;

	make_good();
	check(!bzimage_parse(file, FILE_SIZE + 1, FILE_SIZE + 1, &bz));
	check(bz.size == CONTENT + 1);
	check(!bzimage_parse(file, sizeof(file), sizeof(file), &bz));
	check(bz.size == sizeof(file) - 1024);
}

/*
 * The hint
 */

static void bzimage_hint(void)
{
	struct bzimage bz;

	make_good();
	bzimage_guess(file, PAGE_SIZE, 1 << 30, &bz);
	check(bz.offset == 1024 && bz.size == (1 << 30) - 1024);
	check(bz.memsz == 1 << 30 && bz.align == 0x200000);
	check(bz.min == 0x1000000);
	bzimage_guess(file, 0x26c, FILE_SIZE, &bz);
	check(bz.offset == 1024 && bz.memsz == 0x12cc000);
}

static void check_no_hint(size_t head_len, u64 file_size)
{
	struct bzimage bz;

	bzimage_guess(file, head_len, file_size, &bz);
	check(!bz.offset && bz.size == file_size && bz.memsz == file_size);
	check(bz.align == PAGE_SIZE && !bz.min);
}

static void bzimage_no_hint(void)
{
	make_good();
	check_no_hint(0, 0);
	check_no_hint(0, 1);
	check_no_hint(0x26b, FILE_SIZE);
	check_no_hint(PAGE_SIZE, FILE_SIZE - 1);
	check_no_hint(PAGE_SIZE, 0);
	check_no_hint(PAGE_SIZE, ULLONG_MAX);
	memset(file, 0, PAGE_SIZE);
	check_no_hint(PAGE_SIZE, 1 << 30);
}

/*
 * Parameters
 */

#define MEM		0x1234567000ULL
#define ENTRIES		300

static struct boot_e820_entry e820[ENTRIES];
static struct params_plan plan;
static struct boot_params *bp;

/* From 1 MiB on, and a page each after the first. */
static void make_e820(void)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		e820[i] = (struct boot_e820_entry){
			.addr = SZ_1M * (i + 1ULL),
			.size = PAGE_SIZE * (i + 1ULL),
			.type = i % 3 + 1,
		};
}

static void start_plan(void)
{
	memset(&plan, 0, sizeof(plan));
}

/* Bytes of the area that nothing was put in are zero, and all of it is ours. */
static void make_area(void)
{
	params_lay_out(&plan);
	bp = calloc(1, plan.size);
	check(bp);
	params_set_cmdline(bp, MEM, &plan);
	params_set_items(bp, MEM, &plan);
}

static const struct setup_data *item_at(u64 address)
{
	check(address >= MEM + sizeof(*bp) && address % PARAMS_ALIGN == 0);
	check(address + sizeof(struct setup_data) <= MEM + plan.size);
	return (void *)bp + (address - MEM);
}

static void check_e820(unsigned int nr)
{
	unsigned int in_page = nr < 128 ? nr : 128;
	const struct setup_data *rest;

	start_plan();
	params_plan_e820(&plan, e820, nr);
	make_area();
	params_set_e820(bp, e820, nr);
	check(bp->e820_entries == in_page);
	check(!memcmp(bp->e820_table, e820, in_page * sizeof(*e820)));
	check(!bp->_pad8[0] && (in_page == 128 || !bp->e820_table[in_page].size));
	check(plan.nr_items == (nr > 128));
	if (nr > 128) {
		rest = item_at(bp->hdr.setup_data);
		check(rest->type == SETUP_E820_EXT && !rest->next);
		check(rest->len == (nr - 128) * 20);
		check(!memcmp(rest->data, e820 + 128, rest->len));
	} else {
		check(!bp->hdr.setup_data);
	}
	free(bp);
}

static void params_e820(void)
{
	static const unsigned int numbers[] = { 0, 1, 127, 128, 129, 300 };
	unsigned int i;

	make_e820();
	for (i = 0; i < NR(numbers); i++)
		check_e820(numbers[i]);
}

struct memory_row {
	struct boot_e820_entry entry;
	u32 ext_mem_k;
	u32 alt_mem_k;
};

static const struct memory_row memories[] = {
	{ { SZ_1M, 0x400, 1 }, 1, 1 },
	{ { SZ_1M, 0x3ff, 1 }, 0, 0 },
	{ { SZ_1M, 0x400, 2 }, 0, 0 },
	{ { 0, SZ_1M, 1 }, 0, 0 },
	{ { 0, SZ_1M + 0x400, 1 }, 1, 1 },
	{ { SZ_1M + 1, SZ_1M, 1 }, 0, 0 },
	{ { SZ_1M, 0xfc00 * 1024ULL, 1 }, 0xfc00, 0xfc00 },
	{ { SZ_1M, 0xfc01 * 1024ULL, 1 }, 0xfc00, 0xfc01 },
	{ { SZ_1M, 1ULL << 42, 1 }, 0xfc00, 0xffffffff },
	{ { SZ_1M, ULLONG_MAX, 1 }, 0xfc00, 0xffffffff },
	{ { 0, ULLONG_MAX, 1 }, 0xfc00, 0xffffffff },
};

static void params_memory(void)
{
	const struct memory_row *memory;
	static struct boot_params params;

	for (memory = memories; memory < memories + NR(memories); memory++) {
		params_set_e820(&params, &memory->entry, 1);
		check(params.screen_info.ext_mem_k == memory->ext_mem_k);
		check(params.alt_mem_k == memory->alt_mem_k);
	}
}

static void check_cmdline(const char *prefix, const char *line, size_t len,
			  const char *want)
{
	start_plan();
	plan.prefix_len = strlen(prefix);
	memcpy(plan.prefix, prefix, plan.prefix_len);
	plan.cmdline = line;
	plan.cmdline_len = len;
	make_area();
	check(!strcmp((char *)bp + PARAMS_CMDLINE, want));
	check(bp->hdr.cmd_line_ptr == (u32)(MEM + PARAMS_CMDLINE));
	check(bp->ext_cmd_line_ptr == (MEM + PARAMS_CMDLINE) >> 32);
	check(PARAMS_CMDLINE + strlen(want) < plan.efi_map);
	free(bp);
}

static void params_cmdline(void)
{
	static const char longest[] = "elfcorehdr=0xffffffffffffffff ";

	check_cmdline("", NULL, 0, "");
	check_cmdline("", "", 1, "");
	check_cmdline("", "quiet", 6, "quiet");
	check_cmdline("", "fifteen letters", 16, "fifteen letters");
	check_cmdline(longest, NULL, 0, longest);
	check_cmdline(longest, "", 1, longest);
	check_cmdline("elfcorehdr=0x0 ", "quiet", 6, "elfcorehdr=0x0 quiet");
	check(sizeof(longest) == sizeof(plan.prefix));
}

static void make_seed(void *data, size_t len)
{
	memset(data, 0x77, len);
}

/* Items of odd sizes and a map before them: all in order, none in another. */
static void params_items(void)
{
	static const u8 ima[16] = "measurements", dtb[41] = "tree", efi[1] = "e";
	const struct setup_item items[PARAMS_ITEMS] = {
		{ .type = SETUP_EFI, .len = sizeof(efi), .data = efi },
		{ .type = SETUP_IMA, .len = sizeof(ima), .data = ima },
		{ .type = SETUP_RNG_SEED, .len = 32, .make = make_seed },
		{ .type = SETUP_NONE, .len = 0, .data = ima },
		{ .type = SETUP_DTB, .len = sizeof(dtb), .data = dtb },
	};
	const struct setup_data *data;
	u8 seed[32];
	u64 address;
	size_t i;

	start_plan();
	plan.efi_map_size = 49;
	for (i = 0; i < NR(items); i++)
		params_plan_item(&plan, items[i]);
	make_area();
	make_seed(seed, sizeof(seed));
	check(plan.items >= plan.efi_map + 49);
	for (i = 0, address = bp->hdr.setup_data; address; i++) {
		data = item_at(address);
		check(data->type == items[i].type && data->len == items[i].len);
		check(!memcmp(data->data, items[i].data ? items[i].data : seed,
			      data->len));
		address = data->next;
		check(!address || address >= MEM + ((u8 *)data - (u8 *)bp) +
					     sizeof(*data) + data->len);
	}
	check(i == NR(items));
	free(bp);
}

/* What is the file's and what is ours; the file is hostile here. */
static void params_header(void)
{
	struct boot_params params = { 0 };
	struct bzimage bz;

	make_good();
	put(jump, JUMP(0x281));
	put(loadflags, 0xff);
	check(!bzimage_parse(file, FILE_SIZE, FILE_SIZE, &bz));
	params_set_header(&params, &bz);
	params_set_initrd(&params, 0x123456789aULL, 0xabcdef0123ULL);
	check(!params.sentinel && !params._pad6[0]);
	check(params.hdr.type_of_loader == 0xd0 && !params.hdr.ext_loader_type);
	check(params.hdr.loadflags == LOADED_HIGH && !params.hdr.heap_end_ptr);
	check(!params.hdr.setup_data && params.hdr.pref_address == 0x1000000);
	check(params.hdr.ramdisk_image == 0x3456789a);
	check(params.ext_ramdisk_image == 0x12);
	check(params.hdr.ramdisk_size == 0xcdef0123);
	check(params.ext_ramdisk_size == 0xab);
	check(!memcmp((u8 *)&params + 0x26c, file + 0x26c, 0x281 - 0x26c));
	check(!((u8 *)&params)[0x281] && !params.edd_mbr_sig_buffer[0]);
	params_set_initrd(&params, 0, 0);
	check(!params.hdr.ramdisk_image && !params.ext_ramdisk_image);
	check(!params.hdr.ramdisk_size && !params.ext_ramdisk_size);
}

/*
 * What the fuzzer has found
 */

static const struct dirent *entry;

static void describe_entry(void)
{
	printf("# %s\n", entry->d_name);
}

static void replay(const char *path)
{
	FILE *from = fopen(path, "r");
	size_t size;

	check(from);
	size = fread(file, 1, sizeof(file), from);
	fclose(from);
	LLVMFuzzerTestOneInput(file, size);
}

static void bzimage_corpus(void)
{
	DIR *folder = opendir(CORPUS);
	char path[PATH_MAX];
	unsigned int nr = 0;

	check(folder);
	unit_describe = describe_entry;
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", CORPUS, entry->d_name);
		replay(path);
		nr++;
	}
	closedir(folder);
	unit_describe = NULL;
	check(nr);
	unit_note("%u files", nr);
}

const struct unit_test bzimage_tests[] = {
	{ "bzimage_good", bzimage_good },
	{ "bzimage_fields", bzimage_fields },
	{ "bzimage_machine", bzimage_machine },
	{ "bzimage_truncated", bzimage_truncated },
	{ "bzimage_appended", bzimage_appended },
	{ "bzimage_hint", bzimage_hint },
	{ "bzimage_no_hint", bzimage_no_hint },
	{ "params_header", params_header },
	{ "params_e820", params_e820 },
	{ "params_memory", params_memory },
	{ "params_cmdline", params_cmdline },
	{ "params_items", params_items },
	{ "bzimage_corpus", bzimage_corpus },
	{ }
};
