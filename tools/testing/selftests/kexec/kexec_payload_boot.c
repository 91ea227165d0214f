// SPDX-License-Identifier: GPL-2.0
/*
 * The payload as a bzImage: what a boot loader handed over.
 *
 * Every byte of boot_params is in a field of the table below, is reported, and
 * is what the program that made this image expects, or an address that the
 * loader chose. Whatever such an address leads to is verified: the kernel
 * itself, the initrd, the command line, the setup_data chain and the map of
 * memory that is partly in it.
 */

#include "kexec_payload_boot.h"

#define PAGE		4096UL
#define BOOT_CS		0x10
#define BOOT_DS		0x18
#define MAX_AREAS	24
#define MAX_SETUP_DATA	16
#define RSI		5	/* in entry_state[] */

/* Filled in by the program that makes the image, so not in .bss */
struct payload_boot boot = { .step = PAYLOAD_STEP };

static const struct boot_params *params;

/*
 * Fields
 */

enum rule {
	SAME,		/* as expected */
	OWN,		/* the loader's to choose, verified by what is there */
	NEITHER,	/* LOADED_HIGH may be kept or not: nobody reads it any more */
};

/*
 * No pointers: they would have to be relocated. A field reaches to where the
 * next one begins, so that no byte of boot_params is in none.
 */
struct field {
	char name[32];
	u16 at;
	enum rule rule;
};

#define FIELD(member, rule) { #member, offsetof(struct boot_params, member), rule }

static const struct field fields[] = {
	FIELD(screen_info, SAME),
	FIELD(apm_bios_info, SAME),
	FIELD(_pad2, SAME),
	FIELD(tboot_addr, SAME),
	FIELD(ist_info, SAME),
	FIELD(acpi_rsdp_addr, SAME),
	FIELD(_pad3, SAME),
	FIELD(hd0_info, SAME),
	FIELD(hd1_info, SAME),
	FIELD(sys_desc_table, SAME),
	FIELD(olpc_ofw_header, SAME),
	FIELD(ext_ramdisk_image, OWN),
	FIELD(ext_ramdisk_size, SAME),
	FIELD(ext_cmd_line_ptr, OWN),
	FIELD(_pad4, SAME),
	FIELD(cc_blob_address, SAME),
	FIELD(edid_info, SAME),
	FIELD(efi_info.efi_loader_signature, SAME),
	FIELD(efi_info.efi_systab, SAME),
	FIELD(efi_info.efi_memdesc_size, SAME),
	FIELD(efi_info.efi_memdesc_version, SAME),
	FIELD(efi_info.efi_memmap, OWN),
	FIELD(efi_info.efi_memmap_size, SAME),
	FIELD(efi_info.efi_systab_hi, SAME),
	FIELD(efi_info.efi_memmap_hi, OWN),
	FIELD(alt_mem_k, SAME),
	FIELD(scratch, SAME),
	FIELD(e820_entries, OWN),
	FIELD(eddbuf_entries, SAME),
	FIELD(edd_mbr_sig_buf_entries, SAME),
	FIELD(kbd_status, SAME),
	FIELD(secure_boot, SAME),
	FIELD(_pad5, SAME),
	FIELD(sentinel, SAME),
	FIELD(_pad6, SAME),
	FIELD(hdr.setup_sects, SAME),
	FIELD(hdr.root_flags, SAME),
	FIELD(hdr.syssize, SAME),
	FIELD(hdr.ram_size, SAME),
	FIELD(hdr.vid_mode, SAME),
	FIELD(hdr.root_dev, SAME),
	FIELD(hdr.boot_flag, SAME),
	FIELD(hdr.jump, SAME),
	FIELD(hdr.header, SAME),
	FIELD(hdr.version, SAME),
	FIELD(hdr.realmode_swtch, SAME),
	FIELD(hdr.start_sys_seg, SAME),
	FIELD(hdr.kernel_version, SAME),
	FIELD(hdr.type_of_loader, SAME),
	FIELD(hdr.loadflags, NEITHER),
	FIELD(hdr.setup_move_size, SAME),
	FIELD(hdr.code32_start, SAME),
	FIELD(hdr.ramdisk_image, OWN),
	FIELD(hdr.ramdisk_size, SAME),
	FIELD(hdr.bootsect_kludge, SAME),
	FIELD(hdr.heap_end_ptr, SAME),
	FIELD(hdr.ext_loader_ver, SAME),
	FIELD(hdr.ext_loader_type, SAME),
	FIELD(hdr.cmd_line_ptr, OWN),
	FIELD(hdr.initrd_addr_max, SAME),
	FIELD(hdr.kernel_alignment, SAME),
	FIELD(hdr.relocatable_kernel, SAME),
	FIELD(hdr.min_alignment, SAME),
	FIELD(hdr.xloadflags, SAME),
	FIELD(hdr.cmdline_size, SAME),
	FIELD(hdr.hardware_subarch, SAME),
	FIELD(hdr.hardware_subarch_data, SAME),
	FIELD(hdr.payload_offset, SAME),
	FIELD(hdr.payload_length, SAME),
	FIELD(hdr.setup_data, OWN),
	FIELD(hdr.pref_address, SAME),
	FIELD(hdr.init_size, SAME),
	FIELD(hdr.handover_offset, SAME),
	FIELD(hdr.kernel_info_offset, SAME),
	FIELD(_pad7, SAME),
	FIELD(edd_mbr_sig_buffer, SAME),
	FIELD(e820_table, OWN),
	FIELD(_pad8, SAME),
	FIELD(eddbuf, SAME),
	FIELD(_pad9, SAME),
	{ "", sizeof(struct boot_params), SAME },
};

/* But for the last, which is where they end */
#define NR_FIELDS (sizeof(fields) / sizeof(*fields) - 1)

/* What is not compared: a field that the table lacks must not hide in there. */
#define OWN_BYTES							\
	(sizeof(params->ext_ramdisk_image) +				\
	 sizeof(params->ext_cmd_line_ptr) +				\
	 sizeof(params->efi_info.efi_memmap) +				\
	 sizeof(params->efi_info.efi_memmap_hi) +			\
	 sizeof(params->e820_entries) +					\
	 sizeof(params->hdr.ramdisk_image) +				\
	 sizeof(params->hdr.cmd_line_ptr) +				\
	 sizeof(params->hdr.setup_data) +				\
	 sizeof(params->e820_table))

static int size_of(const struct field *f)
{
	return f[1].at - f->at;
}

/* The value of what fits a word, of anything else a sum */
static u64 value_of(const void *from, const struct field *f)
{
	const u8 *byte = (const u8 *)from + f->at;
	int size = size_of(f);
	u64 value = 0;
	int i;

	if (size <= 8) {
		for (i = size; i--;)
			value = value << 8 | byte[i];
		return value;
	}
	for (i = 0; i < size; i++)
		value = value * 31 + byte[i];
	return value;
}

static void check_field(const struct field *f)
{
	u64 found = value_of(params, f);
	u64 expected = value_of(&boot.params, f);

	if (found || f->name[0] != '_')
		report(f->name, found);
	if (f->rule == NEITHER) {
		found |= LOADED_HIGH;
		expected |= LOADED_HIGH;
	}
	if (f->rule != OWN && found != expected)
		complain(f->name, (u64)params + f->at, found, expected);
}

static void check_fields(void)
{
	u64 own = 0, i;

	expect("first_field", fields[0].at, 0);
	for (i = 0; i < NR_FIELDS; i++) {
		if (fields[i].rule == OWN)
			own += size_of(&fields[i]);
		if (size_of(&fields[i]) <= 0)
			complain("field_order", fields[i].at, fields[i + 1].at, 0);
		check_field(&fields[i]);
	}
	expect("own_fields", own, OWN_BYTES);
}

/*
 * Areas: all that was handed over lies in memory, and apart
 */

struct area {
	char name[16];
	u64 start, end;
};

static struct area areas[MAX_AREAS];
static u64 nr_areas;

static int is_ram(u64 start, u64 end)
{
	u64 i;

	for (i = 0; i < boot.nr_e820; i++) {
		const struct boot_e820_entry *e = &boot.e820[i];

		if (e->type == 1 && e->addr <= start && end <= e->addr + e->size)
			return 1;
	}
	return 0;
}

/* The address 0 would pass for none. */
static void add_area(const char *name, u64 start, u64 size)
{
	struct area *area = &areas[nr_areas];
	int i;

	if (!start || start + size < start || !is_ram(start, start + size))
		complain(name, start, size, 0);
	if (nr_areas == MAX_AREAS) {
		complain("areas", start, nr_areas, 0);
		return;
	}
	for (i = 0; i < 15 && name[i]; i++)
		area->name[i] = name[i];
	area->start = start;
	area->end = start + size;
	nr_areas++;
}

static void check_apart(const struct area *a, const struct area *b)
{
	if (a->start < b->end && b->start < a->end) {
		complain(a->name, a->start, a->end, 0);
		complain(b->name, b->start, b->end, a->start);
	}
}

#pragma pack(push, 1)
struct table_register {
	u16 limit;
	u64 base;
};

#pragma pack(pop)

/* What the CPU uses is not the stub's any more when somebody overwrites it. */
static void add_tables(void)
{
	struct table_register gdt, idt;
	u64 cr3;

	asm volatile("mov %%cr3, %0" : "=r" (cr3));
	add_area("tables", cr3 & ~(PAGE - 1), PAGE);
	if (desc.flags & PAYLOAD_NO_TABLES)
		return;
	asm volatile("sgdt %0" : "=m" (gdt));
	asm volatile("sidt %0" : "=m" (idt));
	report("gdt", gdt.base);
	report("idt", idt.base);
}

static void check_areas(void)
{
	u64 i, j;

	for (i = 0; i < nr_areas; i++)
		for (j = 0; j < i; j++)
			check_apart(&areas[i], &areas[j]);
}

/*
 * What the addresses lead to
 */

static void check_kernel(u64 kernel)
{
	const struct setup_header *hdr = &boot.params.hdr;
	struct payload_range rest = {
		.start = kernel + boot.pattern,
		.content_end = kernel + boot.size,
		.end = kernel + hdr->init_size,
		.first = boot.first,
	};

	report("kernel", kernel);
	add_area("kernel", kernel, hdr->init_size);
	expect("kernel_aligned", kernel % hdr->kernel_alignment, 0);
	check_content(&rest, boot.step);
}

static u64 wide(u32 low, u32 high)
{
	return (u64)high << 32 | low;
}

static void check_initrd(void)
{
	u64 at = wide(params->hdr.ramdisk_image, params->ext_ramdisk_image);
	u64 size = wide(params->hdr.ramdisk_size, params->ext_ramdisk_size);
	struct payload_range initrd = {
		.start = at,
		.content_end = at + size,
		.end = (at + size + PAGE - 1) & ~(PAGE - 1),
		.first = boot.initrd_first,
	};

	report("initrd", at);
	if (!size) {
		expect("initrd", at, 0);
		return;
	}
	add_area("initrd", at, size);
	expect("initrd_aligned", at % PAGE, 0);
	if (size == boot.initrd_size)
		check_content(&initrd, boot.initrd_step);
}

static void check_cmdline(void)
{
	u64 at = wide(params->hdr.cmd_line_ptr, params->ext_cmd_line_ptr);
	const char *found = (const char *)at;
	u64 i = 0;

	report("cmdline", at);
	if (!at) {
		expect("cmdline", (u8)boot.cmdline[0], 0);
		return;
	}
	while (found[i] == boot.cmdline[i] && found[i])
		i++;
	report_number("cmdline_length", i);
	if (found[i] != boot.cmdline[i])
		complain("cmdline", at + i, (u8)found[i], (u8)boot.cmdline[i]);
	add_area("cmdline", at, i + 1);
}

/* EFI's own map; what is in it, the next kernel finds out. */
static void check_efi_map(void)
{
	struct efi_info info = params->efi_info;
	u64 at = wide(info.efi_memmap, info.efi_memmap_hi);

	if (info.efi_memmap_size)
		add_area("efi_memmap", at, info.efi_memmap_size);
	else
		expect("efi_memmap", at, 0);
}

/*
 * The map of memory, of which no more than a part fits into boot_params
 */

static u64 nr_e820;

static void check_e820_entry(const struct boot_e820_entry *e)
{
	const struct boot_e820_entry *expected = &boot.e820[nr_e820];

	say("PAYLOAD e820=");
	say_hex(e->addr);
	say(" ");
	say_hex(e->size);
	say(" ");
	say_number(e->type);
	say("\n");
	if (nr_e820++ >= boot.nr_e820)
		return;
	if (e->addr != expected->addr)
		complain("e820_addr", nr_e820 - 1, e->addr, expected->addr);
	if (e->size != expected->size)
		complain("e820_size", nr_e820 - 1, e->size, expected->size);
	if (e->type != expected->type)
		complain("e820_type", nr_e820 - 1, e->type, expected->type);
}

static void check_e820(const struct boot_e820_entry *e, u64 nr)
{
	while (nr--)
		check_e820_entry(e++);
}

static void check_e820_table(void)
{
	u64 room = E820_MAX_ENTRIES_ZEROPAGE, i;
	const u8 *byte = (const u8 *)params->e820_table;

	expect("e820_entries", params->e820_entries,
	       boot.nr_e820 < room ? boot.nr_e820 : room);
	check_e820(params->e820_table, params->e820_entries);
	i = params->e820_entries * sizeof(*params->e820_table);
	for (; i < sizeof(params->e820_table); i++)
		if (byte[i]) {
			complain("e820_table", (u64)&byte[i], byte[i], 0);
			return;
		}
}

/*
 * The setup_data chain
 */

static u64 types;

/* A seed of zeros has not been filled in, or was wiped too soon. */
static void check_seed(const struct setup_data *data)
{
	u8 any = 0;
	u32 i;

	expect("rng_seed_length", data->len, 32);
	for (i = 0; i < data->len; i++)
		any |= data->data[i];
	if (!any)
		complain("rng_seed", (u64)data, 0, 1);
}

static void check_efi_data(const struct setup_data *data)
{
	const u64 *word = (const u64 *)data->data;

	expect("setup_efi_length", data->len % 8, 0);
	report("efi_fw_vendor", word[0]);
	report("efi_tables", word[2]);
	report("efi_smbios", word[3]);
}

/* Measurements go along where this kernel makes them: there may be none. */
static void check_ima_data(const struct setup_data *data)
{
	const u64 *word = (const u64 *)data->data;

	expect("setup_ima_length", data->len, sizeof(struct ima_setup_data));
	report("ima", word[0]);
	add_area("ima", word[0], word[1]);
}

static void check_data(const struct setup_data *data)
{
	say("PAYLOAD setup_data=");
	say_hex((u64)data);
	say(" type=");
	say_number(data->type);
	say(" length=");
	say_number(data->len);
	say("\n");
	add_area("setup_data", (u64)data, sizeof(*data) + data->len);
	if (data->type > SETUP_RNG_SEED || types & 1 << data->type) {
		complain("setup_data_type", (u64)data, data->type, types);
		return;
	}
	types |= 1 << data->type;
	if (data->type == SETUP_E820_EXT) {
		expect("e820_ext_length", data->len % sizeof(boot.e820[0]), 0);
		check_e820((const void *)data->data,
			   data->len / sizeof(boot.e820[0]));
	} else if (data->type == SETUP_RNG_SEED) {
		check_seed(data);
	} else if (data->type == SETUP_EFI) {
		check_efi_data(data);
	} else if (data->type == SETUP_IMA) {
		check_ima_data(data);
	}
}

static void check_setup_data(void)
{
	u64 at = params->hdr.setup_data;
	u64 ext = boot.nr_e820 > E820_MAX_ENTRIES_ZEROPAGE;
	u64 nr = 0;

	while (at && nr++ < MAX_SETUP_DATA) {
		check_data((const struct setup_data *)at);
		at = ((const struct setup_data *)at)->next;
	}
	expect("setup_data_end", at, 0);
	expect("setup_data_types", types & ~(1 << SETUP_IMA),
	       boot.types | ext << SETUP_E820_EXT);
	report_number("e820_entries_in_all", nr_e820);
	expect("e820_entries_in_all", nr_e820, boot.nr_e820);
}

/*
 * The whole
 */

#define READ(reg) ({ u64 value; asm volatile("mov %%" #reg ", %0" : "=r" (value)); value; })

static void check_selectors(void)
{
	expect("cs", READ(cs), BOOT_CS);
	expect("ds", READ(ds), BOOT_DS);
	expect("es", READ(es), BOOT_DS);
	expect("ss", READ(ss), BOOT_DS);
}

/* Where the firmware says that its tables are, they are. */
static void check_rsdp(void)
{
	u64 at = params->acpi_rsdp_addr;

	if (at)
		expect("rsdp", *(const u64 *)at, 0x2052545020445352UL);
}

/**
 * check_boot - verify all that the boot protocol promises
 * @base: where the payload is
 */
void check_boot(u64 base)
{
	params = (const struct boot_params *)entry_state[RSI];
	report("boot_params", (u64)params);
	expect("boot_sum", payload_boot_sum(&boot), boot.sum);
	check_selectors();
	add_area("boot_params", (u64)params, sizeof(*params));
	if (!params)
		return;
	check_fields();
	check_kernel(base - PAYLOAD_BOOT_OFFSET);
	check_initrd();
	check_cmdline();
	check_efi_map();
	check_e820_table();
	check_setup_data();
	check_rsdp();
	add_tables();
	check_areas();
}
