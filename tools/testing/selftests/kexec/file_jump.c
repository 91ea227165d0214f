// SPDX-License-Identifier: GPL-2.0
/*
 * file_jump INITRD CMDLINE [OPTION...]: load the payload as a bzImage with
 * kexec_file_load(2), jump to it, and have it verify all that it was handed.
 *
 * INITRD is its size, with a suffix K, M or G, and a z for one that is nothing
 * but a hole; 0 for none. CMDLINE is the length of the command line without its
 * NUL; "none" for no command line at all.
 *
 * Whoever runs it loses the machine: the payload reports over the second serial
 * port and ends QEMU.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>

#include "kexec_bzimage.h"
#include "kexec_image.h"

#define BOOT_PARAMS "/sys/kernel/boot_params/data"
#define EFI_MAP "/sys/firmware/efi/runtime-map"

/* Content whose every page is unlike the others, and unlike the kernel's */
#define INITRD_FIRST 0x746264726e697274UL

/**
 * struct plan - what is to be loaded
 * @image: the kernel, and what it has to expect
 * @initrd: its file, or -1
 * @cmdline_len: with the NUL
 * @flags: KEXEC_FILE_*
 * @after: called when it is loaded
 */
struct plan {
	struct kexec_bzimage image;
	int initrd;
	unsigned long cmdline_len;
	unsigned long flags;
	void (*after)(struct plan *plan);
};

/*
 * What this kernel knows and the next has to be told
 */

/* kB from 1 MiB to the end of the memory that is there; stock loses one. */
static u64 extended_kb(const struct payload_boot *boot)
{
	u64 i, end;

	for (i = 0; i < boot->nr_e820; i++) {
		const struct boot_e820_entry *e = &boot->e820[i];

		end = e->addr + e->size - kx_stock();
		if (e->type == 1 && e->addr <= KX_MIB && end > KX_MIB)
			return (end - KX_MIB) / 1024;
	}
	return 0;
}

static void expect_memory_sizes(struct payload_boot *boot)
{
	u64 kb = extended_kb(boot);

	boot->params.screen_info.ext_mem_k = kb < 0xfc00 ? kb : 0xfc00;
	boot->params.alt_mem_k = kb < 0xffffffff ? kb : 0xffffffff;
}

static void read_boot_params(struct boot_params *params)
{
	int fd = open(BOOT_PARAMS, O_RDONLY);

	if (fd < 0 || read(fd, params, sizeof(*params)) != sizeof(*params))
		kx_die("cannot read " BOOT_PARAMS);
	close(fd);
}

static unsigned int efi_map_entries(void)
{
	char path[64];
	unsigned int n = 0;

	do {
		snprintf(path, sizeof(path), EFI_MAP "/%u", n++);
	} while (!access(path, F_OK));
	return n - 1;
}

/* Runtime services are kept where this kernel has them. */
static void expect_efi(struct payload_boot *boot, const struct boot_params *own)
{
	unsigned int entries = efi_map_entries();
	struct efi_info info = own->efi_info;

	if (!entries)
		return;
	info.efi_memmap_size = entries * info.efi_memdesc_size;
	boot->params.efi_info = info;
	boot->types |= 1 << SETUP_EFI;
}

/* With EFI, boot_params need not say it. */
static u64 rsdp(const struct boot_params *own)
{
	FILE *file = fopen("/sys/firmware/efi/systab", "r");
	u64 at = own->acpi_rsdp_addr, acpi = 0, acpi20 = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "ACPI20=%li", (long *)&acpi20) != 1 &&
		    sscanf(line, "ACPI=%li", (long *)&acpi) != 1)
			continue;
	}
	if (file)
		fclose(file);
	if (at)
		return at;
	return acpi20 ? acpi20 : acpi;
}

static void expect_seed(struct payload_boot *boot)
{
	char byte;

	if (getrandom(&byte, 1, GRND_NONBLOCK) == 1)
		boot->types |= 1 << SETUP_RNG_SEED;
}

static void expect_firmware(struct payload_boot *boot)
{
	struct boot_params own;

	read_boot_params(&own);
	boot->params.screen_info = own.screen_info;
	boot->params.acpi_rsdp_addr = rsdp(&own);
	boot->params.hdr.hardware_subarch = own.hdr.hardware_subarch;
	boot->params.secure_boot = own.secure_boot;
	boot->params.eddbuf_entries = own.eddbuf_entries;
	if (!kx_stock())
		boot->params.edd_mbr_sig_buf_entries = own.edd_mbr_sig_buf_entries;
	memcpy(boot->params.eddbuf, own.eddbuf, sizeof(own.eddbuf));
	memcpy(boot->params.edd_mbr_sig_buffer, own.edd_mbr_sig_buffer,
	       sizeof(own.edd_mbr_sig_buffer));
	boot->nr_e820 = kx_e820(boot->e820, PAYLOAD_BOOT_E820);
	expect_memory_sizes(boot);
	expect_efi(boot, &own);
	expect_seed(boot);
}

/*
 * What is loaded
 */

static void plan_initrd(struct plan *plan, const char *text)
{
	struct payload_boot *boot = &plan->image.boot;
	bool sparse = text[strlen(text) - 1] == 'z';
	char size[32] = "";

	memcpy(size, text, strnlen(text, sizeof(size) - 1) - sparse);
	boot->initrd_size = kx_size(size);
	if (!boot->initrd_size) {
		plan->initrd = -1;
		plan->flags |= KEXEC_FILE_NO_INITRAMFS;
		return;
	}
	plan->initrd = kx_memfd(NULL, boot->initrd_size);
	if (sparse)
		return;
	boot->initrd_first = INITRD_FIRST;
	boot->initrd_step = PAYLOAD_STEP;
	kx_pattern_file(plan->initrd, 0, boot->initrd_size, INITRD_FIRST);
}

/* Words of all lengths; the last byte is a letter. */
static void plan_cmdline(struct plan *plan, const char *text)
{
	char *line = plan->image.boot.cmdline;
	unsigned long len, i;

	if (!strcmp(text, "none"))
		return;
	len = kx_size(text);
	if (len >= PAYLOAD_BOOT_CMDLINE)
		kx_die("no room for %lu bytes of command line", len);
	for (i = 0; i < len; i++)
		line[i] = i % 37 == 11 || i % 91 == 50 ? ' ' : 'a' + i * 7 % 26;
	if (len)
		line[len - 1] = 'z';
	plan->cmdline_len = len + 1;
}

/*
 * Damage: a page of memory after the other is searched for what is known of it
 */

struct found {
	unsigned int nr;
	u64 at[64];
};

/* Where to damage a page: the offset of a word, or 0 if it is another page. */
typedef unsigned int look_fn(const u64 *page, const struct plan *plan);

static void search(const struct plan *plan, look_fn *look, struct found *found)
{
	u64 *page = kx_alloc(KX_PAGE);
	struct kx_ranges ram;
	unsigned int offset;
	size_t i;
	u64 at;

	kx_system_ram(&ram);
	found->nr = 0;
	for (i = 0; i < ram.nr; i++)
		for (at = kx_page_up(ram.v[i].start);
		     at + KX_PAGE <= ram.v[i].end; at += KX_PAGE) {
			if (!kx_phys_read(at, page, KX_PAGE) ||
			    found->nr == ARRAY_SIZE(found->at))
				continue;
			offset = look(page, plan);
			if (offset && at != kx_phys(page))
				found->at[found->nr++] = at + offset;
		}
	kx_free(page, KX_PAGE);
}

/* A second time gives back what it was. */
static void flip_all(const struct found *found)
{
	unsigned int i;
	char byte;

	for (i = 0; i < found->nr; i++) {
		if (!kx_phys_read(found->at[i], &byte, 1))
			kx_die("cannot read %#lx", found->at[i]);
		byte ^= 0x10;
		if (!kx_phys_write(found->at[i], &byte, 1))
			kx_die("cannot write to %#lx", found->at[i]);
	}
}

/* The initrd's sixth page, or the last word of its only one */
static u64 damaged_page(const struct plan *plan)
{
	return plan->image.boot.initrd_size > 6 * KX_PAGE ? 5 * KX_PAGE : 0;
}

static unsigned int look_for_content(const u64 *page, const struct plan *plan)
{
	u64 word = INITRD_FIRST + damaged_page(plan) / 8 * PAYLOAD_STEP;
	unsigned int i;

	for (i = 0; i < 64; i++, word += PAYLOAD_STEP)
		if (page[i] != word)
			return 0;
	return 63 * 8;
}

/* reboot(2) has to see it, refuse, and go on; the image is good again after. */
static void damage_content(struct plan *plan)
{
	struct found found;
	long ret;

	search(plan, look_for_content, &found);
	if (!found.nr)
		kx_die("the initrd's content is nowhere in memory");
	flip_all(&found);
	ret = kx_reboot();
	if (ret != -EIO)
		kx_die("reboot with a damaged image: %ld instead of EIO", ret);
	if (kx_loaded() != 1)
		kx_die("the damaged image is not loaded any more");
	flip_all(&found);
	printf("JUMP damaged_pages=%u\n", found.nr);
}

/*
 * The stub's list of digests: link, number, and for each segment its start, its
 * length, the digest and the segment's number. It is recognized by the one of
 * the initrd.
 */
static bool is_digest(const u64 *check)
{
	return check[0] && !(check[0] % KX_PAGE) && check[1] &&
	       !(check[1] % KX_PAGE) && check[0] < 1UL << 46 &&
	       check[1] < 1UL << 40 && check[3] < KEXEC_SEGMENT_MAX;
}

static unsigned int look_for_digests(const u64 *page, const struct plan *plan)
{
	u64 len = kx_page_up(plan->image.boot.initrd_size);
	unsigned int i, at = 0;

	if (page[0] % KX_PAGE || page[1] < 2 || page[1] > 127)
		return 0;
	for (i = 0; i < page[1]; i++) {
		const u64 *check = page + 2 + 4 * i;

		if (!is_digest(check))
			return 0;
		if (check[1] == len)
			at = (char *)(check + 2) - (char *)page;
	}
	return at;
}

/* reboot(2) has digests of its own: only the stub finds its own to be wrong. */
static void damage_digest(struct plan *plan)
{
	struct found found;

	search(plan, look_for_digests, &found);
	if (!found.nr)
		kx_die("the stub's digests are nowhere in memory");
	flip_all(&found);
	printf("JUMP damaged_digests=%u\n", found.nr);
}

/*
 * Options
 */

static void option_kernel(struct plan *plan, const char *size)
{
	struct kexec_bzimage *image = &plan->image;
	struct payload_boot boot = image->boot;

	kexec_bzimage_init(image, kx_size(size));
	image->boot = boot;
}

static void option_setup(struct plan *plan, const char *sectors)
{
	plan->image.hdr.setup_sects = kx_size(sectors);
}

static void option_pref(struct plan *plan, const char *address)
{
	plan->image.hdr.pref_address = kx_size(address);
}

static void option_align(struct plan *plan, const char *size)
{
	plan->image.hdr.kernel_alignment = kx_size(size);
}

/* Memory beyond the file's content */
static void option_bss(struct plan *plan, const char *size)
{
	plan->image.hdr.init_size += kx_size(size);
}

/* Is this the machine that the test is for? */
static void option_entries(struct plan *plan, const char *least)
{
	if (plan->image.boot.nr_e820 < kx_size(least))
		kx_die("the map has only %lu entries", plan->image.boot.nr_e820);
}

static void option_flags(struct plan *plan, const char *flags)
{
	plan->flags |= kx_size(flags);
}

static void option_eio(struct plan *plan, const char *unused)
{
	(void)unused;
	plan->after = damage_content;
}

static void option_damage(struct plan *plan, const char *unused)
{
	(void)unused;
	plan->after = damage_digest;
}

static const struct {
	const char *name;
	void (*set)(struct plan *plan, const char *value);
	const char *what;
} options[] = {
	{ "kernel=", option_kernel, "bytes of the kernel; first of the options" },
	{ "setup=", option_setup, "sectors of its setup part" },
	{ "pref=", option_pref, "its preferred address" },
	{ "align=", option_align, "its alignment" },
	{ "bss=", option_bss, "memory beyond its content, in bytes" },
	{ "entries=", option_entries, "so many has the map of memory, at least" },
	{ "flags=", option_flags, "KEXEC_FILE_*, added" },
	{ "eio", option_eio, "reboot(2) refuses the damaged image, once" },
	{ "damage", option_damage, "the stub finds it damaged" },
};

static void set_option(struct plan *plan, const char *text)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		size_t len = strlen(options[i].name);

		if (!strncmp(text, options[i].name, len)) {
			options[i].set(plan, text + len);
			return;
		}
	}
	kx_die("there is no option %s", text);
}

static void list_options(void)
{
	size_t i;

	printf("file_jump INITRD CMDLINE [OPTION...]\n");
	for (i = 0; i < ARRAY_SIZE(options); i++)
		printf("%-10s %s\n", options[i].name, options[i].what);
}

/*
 * The run
 */

static void check_stats(const struct plan *plan)
{
	struct kx_stats s;

	if (kx_stock())
		return;
	if (!kx_trace_stats(&s))
		kx_die("the load left no trace");
	printf("JUMP segments=%u pieces=%lu runs=%lu", s.segments, s.pieces,
	       s.runs);
	printf(" content=%lu home=%lu move=%lu zero=%lu\n", s.content, s.home,
	       s.move, s.zero);
	if (plan->flags & KEXEC_FILE_NO_CMA && s.move < s.home)
		kx_die("in place, against the caller's wish");
}

static void load(struct plan *plan)
{
	const char *line = plan->cmdline_len ? plan->image.boot.cmdline : NULL;
	int kernel = kexec_bzimage_memfd(&plan->image);
	u64 start = kx_now_ns();
	long ret;

	kx_trace_on("kexec/kexec_load", NULL);
	ret = kx_file_load(kernel, plan->initrd, plan->cmdline_len, line,
			   plan->flags);
	if (ret)
		kx_die("kexec_file_load: %s", strerror(-ret));
	printf("JUMP load_ns=%lu\n", kx_now_ns() - start);
	check_stats(plan);
	/* Its files are still open: no page that is free now looks like theirs. */
	if (plan->after)
		plan->after(plan);
	close(kernel);
	if (plan->initrd >= 0)
		close(plan->initrd);
}

int main(int argc, char **argv)
{
	static struct plan plan;
	const char *unfit;
	long ret;
	int i;

	if (argc < 3) {
		list_options();
		return 4;
	}
	unfit = kx_unfit();
	if (unfit)
		kx_die("%s", unfit);
	kexec_bzimage_init(&plan.image, 0);
	plan_initrd(&plan, argv[1]);
	plan_cmdline(&plan, argv[2]);
	expect_firmware(&plan.image.boot);
	for (i = 3; i < argc; i++)
		set_option(&plan, argv[i]);
	load(&plan);
	ret = kx_jump();
	kx_die("reboot: %s", strerror(-ret));
}
