// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leaving this kernel for another: what the stub is given.
 *
 * Everything is prepared when the image is loaded, in control pages, so that
 * machine_kexec() only has to call. The sections:
 *
 *  - destinations: what the firmware calls memory, and what it is not
 *  - page tables: everything one to one, and the stub's own two pages
 *  - stub: its descriptor tables, its console
 *  - hooks of the core, in the order of their calls
 */

#define pr_fmt(fmt) "kexec: " fmt

#include <linux/acpi.h>
#include <linux/cc_platform.h>
#include <linux/console.h>
#include <linux/efi.h>
#include <linux/ftrace.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/serial_core.h>
#include <linux/string.h>

#include <asm/apic.h>
#include <asm/cpu.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/e820/api.h>
#include <asm/efi.h>
#include <asm/init.h>
#include <asm/io_apic.h>
#include <asm/msr.h>
#include <asm/set_memory.h>
#include <asm/setup.h>
#include <asm/trapnr.h>

/*
 * Destinations
 */

/*
 * The firmware's own map, of any type: what mem= or memmap= took from this
 * kernel is still there for the next, and kexec-tools reads the same map.
 */
unsigned long arch_kexec_firmware_memory(unsigned long pfn)
{
	unsigned long end = 0;
	unsigned int i;

	for (i = 0; i < e820_table_firmware->nr_entries; i++) {
		const struct e820_entry *e = &e820_table_firmware->entries[i];

		if (e->size && PHYS_PFN(e->addr) <= pfn &&
		    PFN_UP(e->addr + e->size) > pfn)
			end = max(end, PFN_UP(e->addr + e->size));
	}
	return end;
}

static unsigned long local_apic(void)
{
	u64 base = 0;

	if (boot_cpu_has(X86_FEATURE_APIC))
		rdmsrl_safe(MSR_IA32_APICBASE, &base);
	return base & PHYSICAL_PAGE_MASK;
}

unsigned long arch_kexec_device_page(unsigned long start, unsigned long end)
{
	unsigned long page = local_apic();
	unsigned int i;

	if (page && page >= start && page < end)
		return page;
	for (i = 0; i < nr_ioapics; i++) {
		page = mpc_ioapic_addr(i) & PAGE_MASK;
		if (page >= start && page < end)
			return page;
	}
	return end;
}

/*
 * Page tables
 *
 * One to one for all memory that the stub or the next kernel's first code may
 * touch. Payloads and older kernels use what they find, so nothing of it is
 * protected. All tables are control pages: they are in use while everything
 * else moves.
 */

/* The guest's own encryption bit; a host's SME is off at the next kernel. */
static unsigned long table_enc(void)
{
	return cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT) ? _PAGE_ENC : 0;
}

static void *alloc_table(void *image)
{
	struct page *page = kimage_alloc_control_pages(image, 0);

	return page ? memset(page_address(page), 0, PAGE_SIZE) : NULL;
}

static int map_identity(struct kimage *image, unsigned long start,
			unsigned long end, unsigned long flags)
{
	struct x86_mapping_info info = {
		.alloc_pgt_page = alloc_table,
		.context = image,
		.page_flag = __PAGE_KERNEL_LARGE_EXEC | table_enc() | flags,
		.kernpg_flag = _KERNPG_TABLE_NOENC | table_enc(),
		.direct_gbpages = direct_gbpages,
	};

	return kernel_ident_mapping_init(&info, image->arch.pgd, start, end);
}

static int map_ram(struct kimage *image)
{
	int err = 0;
	int i;

	for (i = 0; i < nr_pfn_mapped && !err; i++)
		err = map_identity(image, PFN_PHYS(pfn_mapped[i].start),
				   PFN_PHYS(pfn_mapped[i].end), 0);
	return err;
}

/* A destination and the entry may be memory that this kernel does not use. */
static int map_destinations(struct kimage *image)
{
	unsigned long entry = image->start & PAGE_MASK;
	unsigned long i;
	int err = 0;

	for (i = 0; i < image->nr_segments && !err; i++)
		err = map_identity(image, image->segment[i].mem,
				   image->segment[i].mem + image->segment[i].memsz, 0);
	if (!err && entry < KEXEC_DESTINATION_MEMORY_LIMIT)
		err = map_identity(image, entry, entry + PAGE_SIZE, 0);
	return err;
}

static int map_resource(struct resource *res, void *image)
{
	return map_identity(image, res->start, res->end + 1, 0);
}

static int map_resources(struct kimage *image, unsigned long desc)
{
	int err = walk_iomem_res_desc(desc, IORESOURCE_MEM | IORESOURCE_BUSY,
				      0, -1, image, map_resource);

	return err == -EINVAL ? 0 : err;	/* this machine has none */
}

/**
 * machine_kexec_rsdp - where the next kernel is to look for ACPI
 *
 * Return: physical address of the RSDP, 0 when none is known.
 */
u64 machine_kexec_rsdp(void)
{
	if (boot_params.acpi_rsdp_addr || !IS_ENABLED(CONFIG_EFI))
		return boot_params.acpi_rsdp_addr;
	if (efi.acpi20 != EFI_INVALID_TABLE_ADDR)
		return efi.acpi20;
	return efi.acpi != EFI_INVALID_TABLE_ADDR ? efi.acpi : 0;
}

/*
 * Firmware may keep tables in memory that it calls reserved, SeaBIOS does: so
 * what the RSDP leads to is noted, once and early, when memory is not short. It
 * is mapped by large pages, and few of them have all tables.
 */
#define ACPI_PLACES 32

static struct {
	u64 start;
	u64 end;
} acpi_places[ACPI_PLACES] __ro_after_init;
static unsigned int nr_acpi_places __ro_after_init;

static int map_acpi_places(struct kimage *image)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr_acpi_places && !err; i++)
		err = map_identity(image, acpi_places[i].start, acpi_places[i].end, 0);
	return err;
}

#ifdef CONFIG_ACPI
static void __init note_acpi(u64 addr, u32 len)
{
	u64 start = round_down(addr, PMD_SIZE);
	u64 end = round_up(addr + len, PMD_SIZE);
	unsigned int i;

	for (i = 0; i < nr_acpi_places; i++)
		if (start >= acpi_places[i].start && end <= acpi_places[i].end)
			return;
	if (i == ACPI_PLACES) {
		pr_warn_once("ACPI tables in more than %u places, the next kernel may not find all\n",
			     i);
		return;
	}
	acpi_places[i].start = start;
	acpi_places[i].end = end;
	nr_acpi_places++;
}

/* What cannot be read is a mistake of the firmware's. */
static u32 __init note_acpi_table(u64 addr)
{
	struct acpi_table_header *table = memremap(addr, sizeof(*table), MEMREMAP_WB);
	u32 len = table ? table->length : 0;

	memunmap(table);
	note_acpi(addr, len);
	return len;
}

/* @root is the RSDT or the XSDT, with entries of @size bytes. */
static void __init note_acpi_tables(u64 root, unsigned int size)
{
	u32 len = note_acpi_table(root);
	u8 *list = len ? memremap(root, len, MEMREMAP_WB) : NULL;
	u32 i = sizeof(struct acpi_table_header);

	for (; list && i + size <= len; i += size) {
		u64 addr = 0;

		memcpy(&addr, list + i, size);
		if (addr)
			note_acpi_table(addr);
	}
	memunmap(list);
}

static int __init find_acpi_tables(void)
{
	u64 addr = machine_kexec_rsdp();
	struct acpi_table_rsdp *rsdp = addr ? memremap(addr, sizeof(*rsdp), MEMREMAP_WB) : NULL;

	if (!rsdp)
		return 0;
	note_acpi(addr, sizeof(*rsdp));
	if (rsdp->revision >= 2 && rsdp->xsdt_physical_address)
		note_acpi_tables(rsdp->xsdt_physical_address, sizeof(u64));
	else
		note_acpi_tables(rsdp->rsdt_physical_address, sizeof(u32));
	memunmap(rsdp);
	return 0;
}
late_initcall(find_acpi_tables);
#endif /* CONFIG_ACPI */

/* The next kernel's early code reads ACPI tables, wherever they lie. */
static int map_acpi(struct kimage *image)
{
	return map_resources(image, IORES_DESC_ACPI_TABLES) ?:
	       map_resources(image, IORES_DESC_ACPI_NV_STORAGE) ?:
	       map_acpi_places(image);
}

#ifdef CONFIG_EFI
static unsigned long efi_systab_addr(void)
{
	const struct efi_info *info = &boot_params.efi_info;

	return info->efi_systab | (u64)info->efi_systab_hi << 32;
}

static unsigned long efi_config_size(const void *systab)
{
	const efi_system_table_64_t *systab64 = systab;
	const efi_system_table_32_t *systab32 = systab;

	if (efi_enabled(EFI_64BIT))
		return systab64->nr_tables * sizeof(efi_config_table_64_t);
	return systab32->nr_tables * sizeof(efi_config_table_32_t);
}

/* The system table and what it lists, for the next kernel's search for ACPI. */
static int map_efi(struct kimage *image)
{
	unsigned long addr = efi_systab_addr();
	unsigned long size;
	void *systab;
	int err;

	if (!efi_enabled(EFI_BOOT) || !addr)
		return 0;
	systab = memremap(addr, sizeof(efi_system_table_64_t), MEMREMAP_WB);
	if (!systab)
		return -ENOMEM;
	size = efi_config_size(systab);
	memunmap(systab);
	err = map_identity(image, addr, addr + sizeof(efi_system_table_64_t), 0);
	return err ?: map_identity(image, efi_config_table,
				   efi_config_table + size, 0);
}
#else
static int map_efi(struct kimage *image)
{
	return 0;
}
#endif /* CONFIG_EFI */

/* A UART in memory is used after this kernel's own map of it is gone. */
static int map_uart(struct kimage *image)
{
	const struct kexec_stub *stub = image->arch.stub;

	if (stub->uart_kind != KEXEC_UART_MEM &&
	    stub->uart_kind != KEXEC_UART_MEM32)
		return 0;
	return map_identity(image, stub->uart_addr & PAGE_MASK,
			    PAGE_ALIGN(stub->uart_addr + 1),
			    _PAGE_PCD | _PAGE_PWT);
}

/* The table below @entry, which is made where there is none. */
static void *next_table(struct kimage *image, unsigned long *entry)
{
	void *table;

	if (*entry & _PAGE_PRESENT)
		return __va(*entry & PTE_PFN_MASK & ~table_enc());
	table = alloc_table(image);
	if (table)
		*entry = __pa(table) | _KERNPG_TABLE_NOENC | table_enc();
	return table;
}

/*
 * Map one page at an address of this kernel's. With the fifth level folded, a
 * p4d is its pgd, and there is no table between them.
 */
static int map_alias(struct kimage *image, const void *va, const void *page,
		     unsigned long prot)
{
	unsigned long addr = (unsigned long)va;
	unsigned long *table = (unsigned long *)image->arch.pgd;
	static const unsigned int shifts[] = { P4D_SHIFT, PUD_SHIFT, PMD_SHIFT };
	unsigned int i;

	if (pgtable_l5_enabled())
		table = next_table(image, &table[pgd_index(addr)]);
	for (i = 0; table && i < ARRAY_SIZE(shifts); i++)
		table = next_table(image, &table[addr >> shifts[i] & (PTRS_PER_PTE - 1)]);
	if (!table)
		return -ENOMEM;
	table[pte_index(addr)] = (__pa(page) | prot | table_enc()) & __supported_pte_mask;
	return 0;
}

static int map_stub(struct kimage *image)
{
	const void *code = page_address(image->control_code_page);
	const void *data = image->arch.stub;

	return map_alias(image, relocate_kernel, code, __PAGE_KERNEL_ROX) ?:
	       map_alias(image, data, data, __PAGE_KERNEL);
}

static int build_tables(struct kimage *image)
{
	image->arch.pgd = alloc_table(image);
	if (!image->arch.pgd)
		return -ENOMEM;
	return map_ram(image) ?: map_destinations(image) ?: map_acpi(image) ?:
	       map_efi(image) ?: map_uart(image) ?: map_stub(image);
}

/*
 * Stub
 */

static const char stub_text[KEXEC_TEXT_NR][KEXEC_TEXT_SIZE] = {
	[KEXEC_TEXT_VECTOR] = "\r\nkexec: exception 0x",
	[KEXEC_TEXT_RIP] = ", RIP 0x",
	[KEXEC_TEXT_ERROR] = ", error code 0x",
	[KEXEC_TEXT_CR2] = ", CR2 0x",
	[KEXEC_TEXT_SEGMENT] = "\r\nkexec: segment 0x",
	[KEXEC_TEXT_FOUND] = " damaged: xxh64 0x",
	[KEXEC_TEXT_EXPECTED] = ", expected 0x",
	[KEXEC_TEXT_RESET] = ": resetting\r\n",
};

static void fill_idt(struct kexec_stub *stub)
{
	const char *vector = kexec_stub_vectors;
	unsigned int i;

	for (i = 0; i < KEXEC_STUB_VECTORS; i++, vector += KEXEC_STUB_VECTOR_SIZE)
		pack_gate(&stub->idt[i], GATE_INTERRUPT, (unsigned long)vector, 0,
			  i == X86_TRAP_NMI ? KEXEC_STUB_IST_NMI : KEXEC_STUB_IST_EXCEPTION,
			  __KERNEL_CS);
	stub->idtr.size = sizeof(stub->idt) - 1;
	stub->idtr.address = (unsigned long)stub->idt;
}

static u64 stack_end(void *stack, size_t size)
{
	return (unsigned long)stack + size;
}

static void fill_tss(struct kexec_stub *stub)
{
	u64 *ist = stub->tss.ist - 1;	/* they are counted from 1 */

	ist[KEXEC_STUB_IST_EXCEPTION] = stack_end(stub->exception_stack,
						  sizeof(stub->exception_stack));
	ist[KEXEC_STUB_IST_NMI] = stack_end(stub->nmi_stack,
					    sizeof(stub->nmi_stack));
	stub->tss.io_bitmap_base = sizeof(stub->tss);
}

static void fill_gdt(struct kexec_stub *stub)
{
	stub->gdt[GDT_ENTRY_KERNEL_CS] =
		(struct desc_struct)GDT_ENTRY_INIT(DESC_CODE64, 0, 0xfffff);
	stub->gdt[GDT_ENTRY_KERNEL_DS] =
		(struct desc_struct)GDT_ENTRY_INIT(DESC_DATA64, 0, 0xfffff);
	set_tssldt_descriptor(&stub->gdt[KEXEC_STUB_TSS_SELECTOR / 8],
			      (unsigned long)&stub->tss, DESC_TSS,
			      sizeof(stub->tss) - 1);
	stub->gdtr.size = sizeof(stub->gdt) - 1;
	stub->gdtr.address = (unsigned long)stub->gdt;
}

static void use_port(struct kexec_stub *stub, const struct uart_port *port)
{
	switch (port->iotype) {
	case UPIO_PORT:
		stub->uart_kind = KEXEC_UART_PORT;
		stub->uart_addr = port->iobase;
		break;
	case UPIO_MEM:
	case UPIO_MEM32:
		stub->uart_kind = port->iotype == UPIO_MEM ? KEXEC_UART_MEM :
							     KEXEC_UART_MEM32;
		stub->uart_addr = port->mapbase;
		break;
	default:
		return;
	}
	stub->uart_shift = port->regshift;
}

/* All ttyS of a PC are 8250s; others have registers that the stub can't use. */
static struct uart_port *console_port(const struct console *con)
{
	const struct uart_driver *driver = con->data;

	if (!IS_ENABLED(CONFIG_SERIAL_8250_CONSOLE) || !driver ||
	    strcmp(con->name, "ttyS") || con->index < 0)
		return NULL;
	return driver->state[con->index].uart_port;
}

static void find_console(struct kexec_stub *stub)
{
	struct console *con;

	if (cc_platform_has(CC_ATTR_GUEST_STATE_ENCRYPT) ||
	    cpu_feature_enabled(X86_FEATURE_TDX_GUEST)) {
		stub->flags |= BIT(KEXEC_STUB_NO_PORTS_BIT);
		return;
	}
	console_list_lock();
	for_each_console(con) {
		struct uart_port *port = console_port(con);

		if (port && stub->uart_kind == KEXEC_UART_NONE)
			use_port(stub, port);
	}
	console_list_unlock();
}

static int alloc_stub(struct kimage *image)
{
	struct kexec_stub *stub = alloc_table(image);

	image->arch.stub = stub;
	image->control_code_page = kimage_alloc_control_pages(image, 0);
	if (!image->control_code_page || !stub)
		return -ENOMEM;
	__memcpy(page_address(image->control_code_page), relocate_kernel,
		 KEXEC_CONTROL_CODE_MAX_SIZE);
	fill_idt(stub);
	fill_tss(stub);
	fill_gdt(stub);
	find_console(stub);
	memcpy(stub->text, stub_text, sizeof(stub_text));
	if (cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT))
		stub->flags |= BIT(KEXEC_STUB_WBINVD_BIT);
	return 0;
}

/*
 * Hooks
 */

int machine_kexec_prepare(struct kimage *image)
{
	return alloc_stub(image) ?: build_tables(image);
}

int machine_kexec_post_load(struct kimage *image)
{
	struct kexec_stub *stub = image->arch.stub;

	stub->pgd = __pa(image->arch.pgd);
	stub->moves = image->moves ? virt_to_phys(image->moves) : 0;
	stub->checks = image->checks ? virt_to_phys(image->checks) : 0;
	stub->entry = image->start;
	stub->params = image->arch.params;
	stub->stack = virt_to_phys(stub) + sizeof(*stub);
	return 0;
}

/* All of it is in control pages. */
void machine_kexec_cleanup(struct kimage *image)
{
	image->arch = (struct kimage_arch){};
}

void machine_kexec(struct kimage *image)
{
	/* The stub runs where no tracer, no breakpoint and no percpu data is. */
	__ftrace_enabled_save();
	local_irq_disable();
	hw_breakpoint_disable();
	cet_disable();
	relocate_kernel(image->arch.stub);
}

/*
 * With SME on the host, this kernel's view of memory is encrypted, and the next
 * one's will not be, at first. A guest's image is encrypted like its memory.
 */
int arch_kexec_post_alloc_pages(void *vaddr, unsigned int pages, gfp_t gfp)
{
	bool sme = cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT);

	return sme ? set_memory_decrypted((unsigned long)vaddr, pages) : 0;
}

pgprot_t arch_kexec_pgprot(void)
{
	bool sme = cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT);

	return sme ? pgprot_decrypted(PAGE_KERNEL) : PAGE_KERNEL;
}

void arch_kexec_pre_free_pages(void *vaddr, unsigned int pages)
{
	if (cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT))
		set_memory_encrypted((unsigned long)vaddr, pages);
}
