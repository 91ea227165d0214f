/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_KEXEC_H
#define _ASM_X86_KEXEC_H

/*
 * The stub that leaves this kernel for the next one lives in a page of code and
 * a page of data. See arch/x86/kernel/relocate_kernel_64.S.
 */
#define KEXEC_CONTROL_PAGE_SIZE		4096
#define KEXEC_CONTROL_CODE_MAX_SIZE	4096

/* Offsets into struct kexec_stub, for the assembler. */
#define KEXEC_STUB_GDTR			0x230
#define KEXEC_STUB_IDTR			0x240
#define KEXEC_STUB_PGD			0x250
#define KEXEC_STUB_MOVES		0x258
#define KEXEC_STUB_CHECKS		0x260
#define KEXEC_STUB_ENTRY		0x268
#define KEXEC_STUB_PARAMS		0x270
#define KEXEC_STUB_STACK		0x278
#define KEXEC_STUB_FLAGS		0x280
#define KEXEC_STUB_UART_KIND		0x284
#define KEXEC_STUB_UART_SHIFT		0x288
#define KEXEC_STUB_UART_ADDR		0x290
#define KEXEC_STUB_TEXT			0x298

/* struct kexec_stub, text */
#define KEXEC_TEXT_VECTOR		0
#define KEXEC_TEXT_RIP			1
#define KEXEC_TEXT_ERROR		2
#define KEXEC_TEXT_CR2			3
#define KEXEC_TEXT_SEGMENT		4
#define KEXEC_TEXT_FOUND		5
#define KEXEC_TEXT_EXPECTED		6
#define KEXEC_TEXT_RESET		7
#define KEXEC_TEXT_NR			8
#define KEXEC_TEXT_SIZE			24

/* struct kexec_stub, flags */
#define KEXEC_STUB_WBINVD_BIT		0
#define KEXEC_STUB_NO_PORTS_BIT		1
#define KEXEC_STUB_EXCEPTION_BIT	2

/* struct kexec_stub, uart_kind */
#define KEXEC_UART_NONE			0
#define KEXEC_UART_PORT			1
#define KEXEC_UART_MEM			2
#define KEXEC_UART_MEM32		3

/* Each exception's entry in the stub has this many bytes. */
#define KEXEC_STUB_VECTORS		32
#define KEXEC_STUB_VECTOR_SIZE		16

/* The stub's task state, in its GDT, and its entries there for stacks. */
#define KEXEC_STUB_TSS_SELECTOR		0x20
#define KEXEC_STUB_IST_EXCEPTION	1
#define KEXEC_STUB_IST_NMI		2

#ifndef __ASSEMBLY__

#include <linux/build_bug.h>
#include <linux/processor.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>

#include <asm/desc_defs.h>
#include <asm/page.h>
#include <asm/pgtable_types.h>
#include <asm/ptrace.h>

#ifdef CONFIG_X86_32
# define KEXEC_DESTINATION_MEMORY_LIMIT	(-1UL)
# define KEXEC_ARCH			KEXEC_ARCH_386
/* A crash kernel of 32 bits can read the dump of one of 64. */
# define vmcore_elf_check_arch_cross(x)	((x)->e_machine == EM_X86_64)
#else
# define KEXEC_DESTINATION_MEMORY_LIMIT	(MAXMEM - 1)
# define KEXEC_ARCH			KEXEC_ARCH_X86_64
# define KEXEC_ARCH_COMPAT		KEXEC_ARCH_386
#endif

struct kimage;

#ifdef CONFIG_X86_64
/**
 * struct kexec_stub - all data of the stub, in one page
 * @idt: for the exceptions, as long as the next kernel has no own table
 * @gdt: null, unused, flat 64-bit code, flat data, @tss in the last two
 * @gdtr: operand of lgdt
 * @idtr: operand of lidt
 * @pgd: physical address of the transition page tables
 * @moves: physical address of the first struct kexec_move_page, 0 for none
 * @checks: physical address of the first struct kexec_check_page, 0 for none
 * @entry: physical address of the next kernel's entry
 * @params: its %rsi: physical address of its boot_params, 0 for none
 * @stack: physical address of the end of this page
 * @flags: KEXEC_STUB_*_BIT
 * @uart_kind: KEXEC_UART_*
 * @uart_shift: log2 of the distance between the UART's registers
 * @uart_addr: port number or physical address of its first register
 * @text: what an exception or a wrong digest says, a number after each
 * @tss: names the stacks of exceptions, so that a bad %rsp is no triple fault
 * @nmi_stack: one NMI at a time
 * @exception_stack: a second exception only resets
 * @stack_space: used from its end, before the jump and after
 */
struct kexec_stub {
	gate_desc idt[KEXEC_STUB_VECTORS];
	struct desc_struct gdt[6];
	struct desc_ptr gdtr __aligned(16);
	struct desc_ptr idtr __aligned(16);
	u64 pgd __aligned(16);
	u64 moves;
	u64 checks;
	u64 entry;
	u64 params;
	u64 stack;
	u32 flags;
	u32 uart_kind;
	u32 uart_shift;
	u64 uart_addr;
	char text[KEXEC_TEXT_NR][KEXEC_TEXT_SIZE];
	struct x86_hw_tss tss;
	u8 nmi_stack[0xa0];
	u8 exception_stack[0x200];
	u8 stack_space[0x9a0];
};

static_assert(offsetof(struct kexec_stub, idt) == 0);
static_assert(offsetof(struct kexec_stub, gdtr) == KEXEC_STUB_GDTR);
static_assert(offsetof(struct kexec_stub, idtr) == KEXEC_STUB_IDTR);
static_assert(offsetof(struct kexec_stub, pgd) == KEXEC_STUB_PGD);
static_assert(offsetof(struct kexec_stub, moves) == KEXEC_STUB_MOVES);
static_assert(offsetof(struct kexec_stub, checks) == KEXEC_STUB_CHECKS);
static_assert(offsetof(struct kexec_stub, entry) == KEXEC_STUB_ENTRY);
static_assert(offsetof(struct kexec_stub, params) == KEXEC_STUB_PARAMS);
static_assert(offsetof(struct kexec_stub, stack) == KEXEC_STUB_STACK);
static_assert(offsetof(struct kexec_stub, flags) == KEXEC_STUB_FLAGS);
static_assert(offsetof(struct kexec_stub, uart_kind) == KEXEC_STUB_UART_KIND);
static_assert(offsetof(struct kexec_stub, uart_shift) == KEXEC_STUB_UART_SHIFT);
static_assert(offsetof(struct kexec_stub, uart_addr) == KEXEC_STUB_UART_ADDR);
static_assert(offsetof(struct kexec_stub, text) == KEXEC_STUB_TEXT);
static_assert(offsetofend(struct kexec_stub, nmi_stack) % 16 == 0);
static_assert(offsetofend(struct kexec_stub, exception_stack) % 16 == 0);
static_assert(sizeof(struct kexec_stub) == PAGE_SIZE);

/* Leaves this kernel and does not return. @stub: in the direct map. */
void relocate_kernel(struct kexec_stub *stub);

/**
 * kexec_xxh64 - the stub's digest
 * @p: what to look at
 * @len: bytes, a multiple of 32 and not 0
 *
 * For tests: in this kernel, lib/xxhash is there.
 *
 * Return: the same as xxh64(@p, @len, 0).
 */
u64 kexec_xxh64(const void *p, size_t len);

/* The stub's exception entries, KEXEC_STUB_VECTOR_SIZE bytes each */
extern const char kexec_stub_vectors[];

/**
 * struct kimage_arch - what the jump of an image needs
 * @pgd: the transition page tables, of control pages
 * @stub: the stub's data, a control page
 * @params: physical address of boot_params for %rsi, 0 for none
 */
struct kimage_arch {
	pgd_t *pgd;
	struct kexec_stub *stub;
	unsigned long params;
};

#define kimage_arch kimage_arch

int machine_kexec_post_load(struct kimage *image);
#define machine_kexec_post_load machine_kexec_post_load

unsigned long arch_kexec_firmware_memory(unsigned long pfn);
#define arch_kexec_firmware_memory arch_kexec_firmware_memory

/* boot_params get what the firmware's map has. */
static inline bool arch_kexec_untold_memory(unsigned long pfn)
{
	return !arch_kexec_firmware_memory(pfn);
}

#define arch_kexec_untold_memory arch_kexec_untold_memory

u64 machine_kexec_rsdp(void);

unsigned long arch_kexec_device_page(unsigned long start, unsigned long end);
#define arch_kexec_device_page arch_kexec_device_page

int arch_kexec_post_alloc_pages(void *vaddr, unsigned int pages, gfp_t gfp);
#define arch_kexec_post_alloc_pages arch_kexec_post_alloc_pages

pgprot_t arch_kexec_pgprot(void);
#define arch_kexec_pgprot arch_kexec_pgprot

void arch_kexec_pre_free_pages(void *vaddr, unsigned int pages);
#define arch_kexec_pre_free_pages arch_kexec_pre_free_pages

#ifdef CONFIG_KEXEC_FILE
struct kexec_buf;

size_t arch_kexec_file_layout(const void *head, size_t head_len,
			      size_t file_size, struct kexec_buf *kbuf);
#define arch_kexec_file_layout arch_kexec_file_layout
#endif
#endif /* CONFIG_X86_64 */

void kdump_nmi_shootdown_cpus(void);

#endif /* __ASSEMBLY__ */

#endif /* _ASM_X86_KEXEC_H */
