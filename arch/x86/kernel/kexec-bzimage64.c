// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec_file_load(2) for bzImages: the boot loader that ends its own kernel.
 *
 * What is in a file and what the new kernel is told is worked out in
 * kexec_bzimage.h; here is what this machine and this kernel have to say to it.
 * The new kernel is entered by the stub itself, at its entry for 64 bits and
 * with %rsi at its boot_params: no code of ours runs in between.
 */

#define pr_fmt(fmt) "kexec: " fmt

#include <linux/efi.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kexec.h>
#include <linux/libfdt.h>
#include <linux/mm.h>
#include <linux/of_fdt.h>
#include <linux/overflow.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/screen_info.h>
#include <linux/slab.h>

#include <asm/e820/api.h>
#include <asm/efi.h>
#include <asm/setup.h>

#include "kexec_bzimage.h"

/* Below is what real mode and firmware once used, and may still look at. */
#define PARAMS_MIN	0x3000
/* Low memory is scarce; what can do without it, does. */
#define INITRD_MIN	SZ_16M
#define RNG_SEED_LEN	32

/*
 * Parameters, as long as the core copies from them. The seed is in there.
 */
struct bzimage64_data {
	size_t size;
	u8 area[] __aligned(PARAMS_ALIGN);
};

/* A load, on its way through the functions of this file. */
struct bzimage64_load {
	struct kimage *image;
	struct bzimage bz;
	struct params_plan plan;
	struct efi_setup_data efi;
	struct ima_setup_data ima;
	u64 initrd;
	u64 initrd_len;
};

static int bzimage64_judge(const char *kernel, unsigned long len,
			   struct bzimage *bz)
{
	bool efi_32 = efi_enabled(EFI_RUNTIME_SERVICES) &&
		      !efi_enabled(EFI_64BIT);
	int err = bzimage_parse(kernel, len, len, bz) ?:
		  bzimage_suits(bz, pgtable_l5_enabled(), efi_32);

	if (err)
		pr_notice_ratelimited("bzImage: %s\n", bz->refusal);
	return err;
}

static int bzimage64_probe(const char *kernel, unsigned long len)
{
	struct bzimage bz;

	return bzimage64_judge(kernel, len, &bz);
}

/*
 * The header counts characters, the system call counts the NUL as well. What
 * bzimage64_plan_cmdline() puts before it has at most 16 digits.
 */
static unsigned long bzimage64_cmdline_max(const struct kimage *image,
					   const char *kernel,
					   unsigned long len)
{
	const struct setup_header *hdr = (const void *)kernel + BZIMAGE_HEADER;
	unsigned long max = hdr->cmdline_size + 1UL;
	unsigned long prefix = strlen("elfcorehdr=0x ") + 16;

	return image->type == KEXEC_TYPE_CRASH ? max - min(max - 1, prefix) : max;
}

static void bzimage64_place(const struct bzimage *bz, struct kexec_buf *kbuf)
{
	kbuf->bufsz = bz->size;
	kbuf->memsz = bz->memsz;
	kbuf->buf_align = bz->align;
	kbuf->buf_min = bz->min;
	kbuf->buf_max = ULONG_MAX;
	kbuf->top_down = true;
}

/* The loader asks for the same, if the file is still what it seems to be. */
size_t arch_kexec_file_layout(const void *head, size_t head_len,
			      size_t file_size, struct kexec_buf *kbuf)
{
	struct bzimage bz;

	bzimage_guess(head, head_len, file_size, &bz);
	bzimage64_place(&bz, kbuf);
	return bz.offset;
}

/*
 * What the machine was when it started, and still is
 */

static const struct boot_e820_entry *bzimage64_e820(void)
{
	/* The same but for an enum that stands for the type. */
	static_assert(sizeof(struct e820_entry) ==
		      sizeof(struct boot_e820_entry));

	return (const void *)e820_table_kexec->entries;
}

static void bzimage64_set_edd(struct boot_params *bp)
{
	bp->eddbuf_entries = boot_params.eddbuf_entries;
	memcpy(bp->eddbuf, boot_params.eddbuf, sizeof(bp->eddbuf));
	bp->edd_mbr_sig_buf_entries = boot_params.edd_mbr_sig_buf_entries;
	memcpy(bp->edd_mbr_sig_buffer, boot_params.edd_mbr_sig_buffer,
	       sizeof(bp->edd_mbr_sig_buffer));
}

static void bzimage64_set_machine(struct boot_params *bp)
{
	const struct boot_e820_entry *entry = bzimage64_e820();
	unsigned int nr = e820_table_kexec->nr_entries;
	unsigned int i;

	bp->screen_info = screen_info;
	bp->acpi_rsdp_addr = machine_kexec_rsdp();
	bp->secure_boot = boot_params.secure_boot;
	/* Its data stays behind: nothing says whether that memory is kept. */
	bp->hdr.hardware_subarch = boot_params.hdr.hardware_subarch;
	bp->hdr.hardware_subarch_data = 0;
	bzimage64_set_edd(bp);
	params_set_e820(bp, entry, nr);
	for (i = 0; i < nr; i++)
		kexec_dprintk("bzImage: e820 %#018llx-%#018llx type %u\n",
			      entry[i].addr, entry[i].addr + entry[i].size,
			      entry[i].type);
}

/*
 * EFI: its services were given virtual addresses once and for all, so the next
 * kernel has to map them where this one does. Without the map it cannot, and
 * is better off when it does not hear of EFI.
 */

static void bzimage64_plan_efi(struct bzimage64_load *load)
{
	if (!efi_enabled(EFI_RUNTIME_SERVICES) ||
	    !boot_params.efi_info.efi_memmap_size ||
	    efi_get_runtime_map_size() <= 0)
		return;
	load->plan.efi_map_size = efi_get_runtime_map_size();
	load->efi = (struct efi_setup_data){
		.fw_vendor = efi_fw_vendor,
		.tables = efi_config_table,
		.smbios = efi.smbios,
	};
	params_plan_item(&load->plan, (struct setup_item){
		.type = SETUP_EFI,
		.len = sizeof(load->efi),
		.data = &load->efi,
	});
}

static void bzimage64_set_efi(void *area, u64 mem,
			      const struct params_plan *plan)
{
	struct boot_params *bp = area;

	if (!plan->efi_map_size)
		return;
	efi_runtime_map_copy(area + plan->efi_map, plan->efi_map_size);
	/* As it was told to us, but for where the map is and how long. */
	bp->efi_info = boot_params.efi_info;
	bp->efi_info.efi_memdesc_size = efi_get_runtime_map_desc_size();
	bp->efi_info.efi_memmap_size = plan->efi_map_size;
	bp->efi_info.efi_memmap = mem + plan->efi_map;
	bp->efi_info.efi_memmap_hi = (mem + plan->efi_map) >> 32;
}

/*
 * The other entries of setup_data
 */

#ifdef CONFIG_IMA_KEXEC
static void bzimage64_plan_ima(struct bzimage64_load *load)
{
	if (!load->image->ima_buffer_size)
		return;
	load->ima.addr = load->image->ima_buffer_addr;
	load->ima.size = load->image->ima_buffer_size;
	params_plan_item(&load->plan, (struct setup_item){
		.type = SETUP_IMA,
		.len = sizeof(load->ima),
		.data = &load->ima,
	});
}
#else
static void bzimage64_plan_ima(struct bzimage64_load *load)
{
}
#endif

#ifdef CONFIG_OF_EARLY_FLATTREE
static const void *bzimage64_dtb(void)
{
	return initial_boot_params;
}
#else
static const void *bzimage64_dtb(void)
{
	return NULL;
}
#endif

static void bzimage64_plan_dtb(struct bzimage64_load *load)
{
	const void *dtb = bzimage64_dtb();

	if (!load->image->force_dtb || !dtb)
		return;
	params_plan_item(&load->plan, (struct setup_item){
		.type = SETUP_DTB,
		.len = fdt_totalsize(dtb),
		.data = dtb,
	});
}

static void bzimage64_plan_seed(struct bzimage64_load *load)
{
	if (!rng_is_initialized())
		return;
	params_plan_item(&load->plan, (struct setup_item){
		.type = SETUP_RNG_SEED,
		.len = RNG_SEED_LEN,
		.make = get_random_bytes,
	});
}

/*
 * Loading
 */

/* A crash kernel finds the old kernel's memory by its command line. */
static int bzimage64_plan_cmdline(struct bzimage64_load *load,
				  const char *cmdline, unsigned long len)
{
	struct params_plan *plan = &load->plan;
	u64 max = load->bz.hdr->cmdline_size + 1ULL;

	plan->cmdline = cmdline;
	plan->cmdline_len = len;
	if (load->image->type != KEXEC_TYPE_CRASH)
		return 0;
	plan->prefix_len = scnprintf(plan->prefix, sizeof(plan->prefix),
				     "elfcorehdr=0x%lx ",
				     load->image->elf_load_addr);
	if (plan->prefix_len + len <= max)
		return 0;
	pr_notice_ratelimited("bzImage: a command line of %lu bytes and %zu for elfcorehdr=, the kernel takes %llu\n",
			      len, plan->prefix_len, max);
	return -EINVAL;
}

static int bzimage64_plan(struct bzimage64_load *load, const char *cmdline,
			  unsigned long cmdline_len)
{
	int err = bzimage64_plan_cmdline(load, cmdline, cmdline_len);

	if (err)
		return err;
	params_plan_e820(&load->plan, bzimage64_e820(),
			 e820_table_kexec->nr_entries);
	bzimage64_plan_efi(load);
	bzimage64_plan_ima(load);
	bzimage64_plan_seed(load);
	bzimage64_plan_dtb(load);
	params_lay_out(&load->plan);
	return 0;
}

static int bzimage64_add(struct kexec_buf *kbuf, const char *what)
{
	int err = kexec_add_buffer(kbuf);

	if (!err)
		kexec_dprintk("bzImage: %s at %#lx, %#lx bytes in %#lx of memory\n",
			      what, kbuf->mem, kbuf->bufsz, kbuf->memsz);
	return err;
}

static int bzimage64_add_kernel(struct bzimage64_load *load, char *kernel)
{
	struct kexec_buf kbuf = {
		.image = load->image,
		.buffer = kernel + load->bz.offset,
	};
	int err;

	bzimage64_place(&load->bz, &kbuf);
	err = bzimage64_add(&kbuf, "kernel");
	load->image->start = kbuf.mem + BZIMAGE_ENTRY;
	return err;
}

static int bzimage64_add_initrd(struct bzimage64_load *load, char *initrd,
				unsigned long len)
{
	struct kexec_buf kbuf = {
		.image = load->image,
		.buffer = initrd,
		.bufsz = len,
		.memsz = PAGE_ALIGN(len),
		.buf_align = PAGE_SIZE,
		.buf_min = INITRD_MIN,
		.buf_max = ULONG_MAX,
		.top_down = true,
	};
	int err;

	if (!initrd || !len)
		return 0;
	err = bzimage64_add(&kbuf, "initrd");
	load->initrd = kbuf.mem;
	load->initrd_len = len;
	return err;
}

/* The content comes later: some of it is the address that is chosen here. */
static int bzimage64_add_params(struct bzimage64_load *load, void *area)
{
	struct kexec_buf kbuf = {
		.image = load->image,
		.buffer = area,
		.bufsz = load->plan.size,
		.memsz = PAGE_ALIGN(load->plan.size),
		.buf_align = PAGE_SIZE,
		.buf_min = PARAMS_MIN,
		.buf_max = ULONG_MAX,
		.top_down = true,
	};
	int err = bzimage64_add(&kbuf, "parameters");

	load->image->arch.params = kbuf.mem;
	return err;
}

static void bzimage64_fill_params(struct bzimage64_load *load, void *area)
{
	u64 mem = load->image->arch.params;

	params_set_header(area, &load->bz);
	bzimage64_set_machine(area);
	bzimage64_set_efi(area, mem, &load->plan);
	params_set_initrd(area, load->initrd, load->initrd_len);
	params_set_cmdline(area, mem, &load->plan);
	params_set_items(area, mem, &load->plan);
	kexec_dprintk("bzImage: command line: %s\n",
		      (char *)area + PARAMS_CMDLINE);
}

static int bzimage64_cleanup(void *loader_data)
{
	struct bzimage64_data *data = loader_data;

	if (data)
		kvfree_sensitive(data, struct_size(data, area, data->size));
	return 0;
}

static struct bzimage64_data *bzimage64_alloc(size_t size)
{
	struct bzimage64_data *data;

	data = kvzalloc(struct_size(data, area, size),
			GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (data)
		data->size = size;
	else
		pr_notice_ratelimited("bzImage: no memory for %zu bytes of parameters\n",
				      size);
	return data;
}

static void *bzimage64_load_params(struct bzimage64_load *load)
{
	struct bzimage64_data *data = bzimage64_alloc(load->plan.size);
	int err;

	if (!data)
		return ERR_PTR(-ENOMEM);
	err = bzimage64_add_params(load, data->area);
	if (err) {
		bzimage64_cleanup(data);
		return ERR_PTR(err);
	}
	bzimage64_fill_params(load, data->area);
	return data;
}

/* The kernel is the first to choose: of all, it is the hardest to please. */
static void *bzimage64_load(struct kimage *image, char *kernel,
			    unsigned long kernel_len, char *initrd,
			    unsigned long initrd_len, char *cmdline,
			    unsigned long cmdline_len)
{
	struct bzimage64_load load = { .image = image };
	int err = bzimage64_judge(kernel, kernel_len, &load.bz) ?:
		  bzimage64_plan(&load, cmdline, cmdline_len) ?:
		  bzimage64_add_kernel(&load, kernel) ?:
		  bzimage64_add_initrd(&load, initrd, initrd_len);

	return err ? ERR_PTR(err) : bzimage64_load_params(&load);
}

static const struct kexec_file_ops bzimage64_ops = {
	.probe = bzimage64_probe,
	.load = bzimage64_load,
	.cleanup = bzimage64_cleanup,
	.cmdline_max = bzimage64_cmdline_max,
#ifdef CONFIG_KEXEC_BZIMAGE_VERIFY_SIG
	.verify_sig = kexec_kernel_verify_pe_sig,
#endif
};

const struct kexec_file_ops * const kexec_file_loaders[] = {
	&bzimage64_ops,
	NULL
};
