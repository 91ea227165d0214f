// SPDX-License-Identifier: GPL-2.0
/*
 * long_map PROGRAM [ARGUMENT...]: start the kernel in /boot with a map of
 * memory that is too long for boot_params, and run the program there.
 *
 * A PC's BIOS has no such map, and memmap= changes what a kernel uses but not
 * what it hands on. So this is a boot loader of its own, for kexec_load(2): it
 * takes single pages out of the memory, and tells of what does not fit by
 * SETUP_E820_EXT. What it hands over lies in such pages itself: in usable
 * memory, it would be one more entry, and the kernel has room for few.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "kexec_image.h"

#define KERNEL "/boot/bzImage"
#define INITRD "/boot/initrd"

/* A kernel without NUMA has room for 131, and needs one for its first page. */
#define ENTRIES 130
#define SLICE (64 * 1024UL)
#define ENTRY64 0x200
#define LOADER_KEXEC 0xd0

struct map {
	size_t nr;
	struct boot_e820_entry e[ENTRIES];
};

/* A page of all but the boot_params */
#pragma pack(push, 1)
struct other_page {
	char code[64];
	struct setup_data ext;
	struct boot_e820_entry rest[16];
	char cmdline[2048];
};

#pragma pack(pop)

static void add(struct map *map, u64 start, u64 end, u32 type)
{
	map->e[map->nr++] = (struct boot_e820_entry){ start, end - start, type };
}

static size_t largest_ram(const struct map *map)
{
	size_t best = 0, i;

	for (i = 0; i < map->nr; i++)
		if (map->e[i].type == 1 && map->e[i].addr < 4 * KX_GIB &&
		    map->e[i].size > map->e[best].size)
			best = i;
	return best;
}

/* Usable memory in slices, each of which begins with a page that is not */
static void add_slices(struct map *map, u64 start, u64 end, size_t slices)
{
	for (; slices--; start += SLICE) {
		add(map, start, start + KX_PAGE, 2);
		add(map, start + KX_PAGE, slices ? start + SLICE : end, 1);
	}
}

/*
 * Cut the end of the largest range into slices.
 *
 * Returns the first of their pages.
 */
static u64 cut(struct map *map)
{
	const struct map old = *map;
	const struct boot_e820_entry *ram = &old.e[largest_ram(&old)];
	size_t slices = (ENTRIES - old.nr) / 2, i;
	u64 end = ram->addr + ram->size;
	u64 start = (end - slices * SLICE) & ~(SLICE - 1);

	map->nr = 0;
	for (i = 0; i < old.nr; i++) {
		map->e[map->nr++] = old.e[i];
		if (&old.e[i] == ram) {
			map->e[map->nr - 1].size = start - ram->addr;
			add_slices(map, start, end, slices);
		}
	}
	return start;
}

static void *read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	void *va;

	if (fd < 0 || fstat(fd, &st))
		kx_die("cannot open %s: %s", path, strerror(errno));
	va = kx_alloc(st.st_size);
	if (read(fd, va, st.st_size) != st.st_size)
		kx_die("cannot read %s", path);
	close(fd);
	*size = st.st_size;
	return va;
}

/* This kernel's words; what is to be run comes last. */
static void make_words(char *words, size_t size, char **args)
{
	char line[4096], *run;
	FILE *file = fopen("/proc/cmdline", "r");
	size_t len;

	if (!file || !fgets(line, sizeof(line), file))
		kx_die("cannot read /proc/cmdline");
	fclose(file);
	run = strstr(line, "kt.run=");
	if (!run)
		kx_die("there is no kt.run=");
	*run = 0;
	len = snprintf(words, size, "%skt.run=%s", line, *args);
	while (len < size && *++args)
		len += snprintf(words + len, size - len, ":%s", *args);
	if (len >= size)
		kx_die("no room for the command line");
}

/* kexec_load's entry has no registers: this sets %rsi, and jumps. */
static void write_entry(char *code, u64 params, u64 kernel)
{
	memcpy(code, "\x48\xbe", 2);
	memcpy(code + 2, &params, 8);
	memcpy(code + 10, "\xff\x25\0\0\0\0", 6);
	memcpy(code + 16, &kernel, 8);
}

static void write_map(const struct map *map, struct boot_params *params,
		      struct other_page *other)
{
	size_t room = E820_MAX_ENTRIES_ZEROPAGE, rest = map->nr - room;

	if (map->nr <= room)
		kx_die("the map has only %zu entries", map->nr);
	memcpy(params->e820_table, map->e, room * sizeof(map->e[0]));
	params->e820_entries = room;
	other->ext.type = SETUP_E820_EXT;
	other->ext.len = rest * sizeof(map->e[0]);
	memcpy(other->rest, map->e + room, other->ext.len);
}

/* Where the kernel goes, and what it is told; the rest is to be filled in. */
static struct kx_seg place_kernel(struct boot_params *params)
{
	size_t size, setup;
	char *file = read_file(KERNEL, &size);

	memcpy(&params->hdr, file + offsetof(struct boot_params, hdr),
	       sizeof(params->hdr));
	params->hdr.type_of_loader = LOADER_KEXEC;
	setup = (params->hdr.setup_sects + 1) * 512;
	return (struct kx_seg){
		file + setup, size - setup, params->hdr.pref_address,
		kx_page_up(params->hdr.init_size),
	};
}

static struct kx_seg place_initrd(struct boot_params *params, u64 end)
{
	size_t size;
	void *file = read_file(INITRD, &size);
	u64 at = (end - size) & KX_PAGE_MASK;

	params->hdr.ramdisk_image = at;
	params->hdr.ramdisk_size = size;
	return (struct kx_seg){ file, size, at, kx_page_up(size) };
}

static void load(struct map *map, char **args)
{
	struct boot_params *params = kx_alloc(KX_PAGE);
	struct other_page *other = kx_alloc(KX_PAGE);
	u64 first = cut(map), second = first + SLICE;
	struct kx_seg seg[] = {
		place_kernel(params), place_initrd(params, first),
		{ params, KX_PAGE, first, KX_PAGE },
		{ other, KX_PAGE, second, KX_PAGE },
	};
	long ret;

	params->hdr.cmd_line_ptr = second + offsetof(struct other_page, cmdline);
	params->hdr.setup_data = second + offsetof(struct other_page, ext);
	write_map(map, params, other);
	write_entry(other->code, first, seg[0].mem + ENTRY64);
	make_words(other->cmdline, sizeof(other->cmdline), args);
	ret = kx_load(second, ARRAY_SIZE(seg), seg, 0);
	if (ret)
		kx_die("kexec_load: %s", strerror(-ret));
}

int main(int argc, char **argv)
{
	static struct map map;
	long ret;

	if (argc < 2) {
		printf("long_map PROGRAM [ARGUMENT...]\n");
		return 4;
	}
	map.nr = kx_e820(map.e, ARRAY_SIZE(map.e));
	load(&map, argv + 1);
	ret = kx_jump();
	kx_die("reboot: %s", strerror(-ret));
}
