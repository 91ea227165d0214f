/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stub: the last code of this kernel.
 *
 * It puts everything where the next kernel expects it, and jumps there. All
 * that can be prepared is prepared when the image is loaded: this page of code
 * is copied to a control page, its data is struct kexec_stub in another, and
 * the page tables wait as well. In those tables
 *
 *  - this code is mapped at the address it is linked at, read-only: the
 *    instruction after the switch comes from the copy;
 *  - the data is mapped at its address in the direct map, not executable. It
 *    has the same address before and after the switch, and so have the IDT in
 *    it and the entries that the IDT names: there is no moment without them;
 *  - all memory is mapped one to one, readable, writable and executable, for
 *    the work to be done and for the next kernel.
 *
 * An exception, or content with another digest than when it was loaded, prints
 * one line on the serial console and resets the machine. The former holds until
 * the next kernel loads an IDT of its own.
 *
 * The code must be position independent with respect to its own page, needs
 * plain returns (no thunks), and has no variables: what it needs to know is in
 * %r15 or, in an exception, found through the IDTR.
 */

#include <linux/linkage.h>
#include <linux/stringify.h>
#include <asm/alternative.h>
#include <asm/asm-offsets.h>
#include <asm/kexec.h>
#include <asm/nospec-branch.h>
#include <asm/page_types.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

/* struct kexec_move_page */
#define MOVES_NEXT	0
#define MOVES_NR	8
#define MOVES_FIRST	16
/* struct kexec_move */
#define MOVE_DST	0
#define MOVE_SRC	8
#define MOVE_LEN	16
#define MOVE_SIZE	24

/* struct kexec_check_page */
#define CHECKS_NEXT	0
#define CHECKS_NR	8
#define CHECKS_FIRST	16
/* struct kexec_check */
#define CHECK_START	0
#define CHECK_LEN	8
#define CHECK_XXH64	16
#define CHECK_SEGMENT	24
#define CHECK_SIZE	32

#define TEXT(n)		(KEXEC_STUB_TEXT + KEXEC_TEXT_SIZE * (n))

/* 8250 registers, and bits of the line status */
#define UART_TX		0
#define UART_LSR	5
#define LSR_CAN_SEND	0x20
#define LSR_ALL_SENT	0x40
/* A UART that stays busy for so many reads is not there. */
#define UART_PATIENCE	0x100000

	.text
	.align PAGE_SIZE
	.code64

/*
 * relocate_kernel(struct kexec_stub *stub), interrupts off, CET off
 */
SYM_CODE_START_NOALIGN(relocate_kernel)
	UNWIND_HINT_END_OF_STACK
	ANNOTATE_NOENDBR
	movq	%rdi, %r15
	leaq	PAGE_SIZE(%r15), %rsp
	pushq	$0
	popfq

	/*
	 * An NMI in between finds an IDT that fits: the stub's gates are good for
	 * both GDTs and both TSSs, the old kernel's only for its own.
	 */
	lidt	KEXEC_STUB_IDTR(%r15)
	lgdt	KEXEC_STUB_GDTR(%r15)
	movl	$KEXEC_STUB_TSS_SELECTOR, %ecx
	ltr	%cx
	movl	$__KERNEL_DS, %ecx
	movl	%ecx, %ss
	movl	%ecx, %ds
	movl	%ecx, %es
	movl	%ecx, %fs
	movl	%ecx, %gs
	leaq	.Lown_segments(%rip), %rax
	pushq	$__KERNEL_CS
	pushq	%rax
	lretq

.Lown_segments:
	UNWIND_HINT_END_OF_STACK
	/*
	 * A known CR4: PAE, and LA57 as it was. A TDX guest may not clear MCE.
	 * Without PGE, no translation of this kernel's survives the switch.
	 */
	movq	%cr4, %rax
	movl	$(X86_CR4_PAE | X86_CR4_LA57), %ecx
	ALTERNATIVE "", __stringify(orl $X86_CR4_MCE, %ecx), X86_FEATURE_TDX_GUEST
	andq	%rcx, %rax
	movq	%rax, %cr4

	movq	KEXEC_STUB_PGD(%r15), %rax
	movq	%rax, %cr3

	/* A known CR0; the stub's own code is to stay read-only for now. */
	movq	%cr0, %rax
	andq	$~(X86_CR0_AM | X86_CR0_TS | X86_CR0_EM), %rax
	orl	$(X86_CR0_PG | X86_CR0_PE | X86_CR0_WP), %eax
	movq	%rax, %cr0

	/*
	 * With SME, cache lines of encrypted memory could be written back over
	 * what is now stored there without encryption.
	 */
	btl	$KEXEC_STUB_WBINVD_BIT, KEXEC_STUB_FLAGS(%r15)
	jnc	.Lmove
	wbinvd

	/* %rbx: page of moves, %rbp: move, %rdx: moves left in the page */
.Lmove:
	movq	KEXEC_STUB_MOVES(%r15), %rbx
.Lnext_page:
	testq	%rbx, %rbx
	jz	.Lmoved
	movq	MOVES_NR(%rbx), %rdx
	leaq	MOVES_FIRST(%rbx), %rbp
.Lnext_move:
	subq	$1, %rdx
	jc	.Lpage_done
	movq	MOVE_DST(%rbp), %rdi
	movq	MOVE_SRC(%rbp), %rsi
	movq	MOVE_LEN(%rbp), %rcx
	shrq	$3, %rcx
	addq	$MOVE_SIZE, %rbp
	cmpq	$-1, %rsi
	je	.Lzero
	ALTERNATIVE "jmp .Lunrolled", "rep movsq", X86_FEATURE_ERMS
	jmp	.Lnext_move
.Lzero:
	xorl	%eax, %eax
	rep stosq
	jmp	.Lnext_move
	/*
	 * Where REP is slow, emulators among it: all loads of a cache line
	 * before its stores, which may share an entry of a translation cache.
	 * Pages are whole cache lines.
	 */
.Lunrolled:
	movq	0x00(%rsi), %rax
	movq	0x08(%rsi), %r8
	movq	0x10(%rsi), %r9
	movq	0x18(%rsi), %r10
	movq	0x20(%rsi), %r11
	movq	0x28(%rsi), %r12
	movq	0x30(%rsi), %r13
	movq	0x38(%rsi), %r14
	movq	%rax, 0x00(%rdi)
	movq	%r8, 0x08(%rdi)
	movq	%r9, 0x10(%rdi)
	movq	%r10, 0x18(%rdi)
	movq	%r11, 0x20(%rdi)
	movq	%r12, 0x28(%rdi)
	movq	%r13, 0x30(%rdi)
	movq	%r14, 0x38(%rdi)
	addq	$64, %rsi
	addq	$64, %rdi
	subq	$8, %rcx
	jnz	.Lunrolled
	jmp	.Lnext_move
.Lpage_done:
	movq	MOVES_NEXT(%rbx), %rbx
	jmp	.Lnext_page

.Lmoved:
	/* What was written is code: serialize, by writing to CR3 and CR0. */
	movq	%cr3, %rax
	movq	%rax, %cr3
	movq	%cr0, %rax
	andq	$~X86_CR0_WP, %rax
	movq	%rax, %cr0

	/* %rbx: page of checks, %rbp: check, %r12: checks left in the page */
	movq	KEXEC_STUB_CHECKS(%r15), %rbx
.Lnext_check_page:
	testq	%rbx, %rbx
	jz	.Lchecked
	movq	CHECKS_NR(%rbx), %r12
	leaq	CHECKS_FIRST(%rbx), %rbp
.Lnext_check:
	subq	$1, %r12
	jc	.Lcheck_page_done
	movq	CHECK_START(%rbp), %rdi
	movq	CHECK_LEN(%rbp), %rsi
	call	kexec_xxh64
	cmpq	CHECK_XXH64(%rbp), %rax
	jne	damaged
	addq	$CHECK_SIZE, %rbp
	jmp	.Lnext_check
.Lcheck_page_done:
	movq	CHECKS_NEXT(%rbx), %rbx
	jmp	.Lnext_check_page

.Lchecked:
	/*
	 * The next kernel may change page tables before it has a stack: give it
	 * one in the one-to-one map. kexec-tools' purgatory takes anything but
	 * 0 on top of it for an address to return to.
	 */
	movq	KEXEC_STUB_STACK(%r15), %rsp
	pushq	$0
	pushq	KEXEC_STUB_ENTRY(%r15)
	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movq	KEXEC_STUB_PARAMS(%r15), %rsi
	xorl	%edi, %edi
	xorl	%ebp, %ebp
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	ANNOTATE_UNRET_SAFE
	ret
	int3
SYM_CODE_END(relocate_kernel)

/*
 * One entry an exception: it pushes 0 where the CPU pushes no error code, and
 * the vector. An NMI is none of the stub's business, and may come back.
 */
	.balign KEXEC_STUB_VECTOR_SIZE
SYM_CODE_START_NOALIGN(kexec_stub_vectors)
	vector = 0
	.rept KEXEC_STUB_VECTORS
	UNWIND_HINT_END_OF_STACK
	ANNOTATE_NOENDBR
	.if vector == 2
	iretq
	.else
	.if !((0x60227d00 >> vector) & 1)
	pushq	$0
	.endif
	pushq	$vector
	jmp	exception
	.endif
	.balign KEXEC_STUB_VECTOR_SIZE, 0xcc
	vector = vector + 1
	.endr
SYM_CODE_END(kexec_stub_vectors)

/*
 * On the stack: vector, error code, RIP, ... Does not return. An exception in
 * here begins again on the same stack; the second one only resets, for this
 * could go on for ever.
 */
SYM_CODE_START_LOCAL_NOALIGN(exception)
	UNWIND_HINT_END_OF_STACK
	cld
	movq	%rsp, %rbp
	subq	$16, %rsp
	sidt	(%rsp)
	movq	2(%rsp), %r15
	btsl	$KEXEC_STUB_EXCEPTION_BIT, KEXEC_STUB_FLAGS(%r15)
	jc	reset

	leaq	TEXT(KEXEC_TEXT_VECTOR)(%r15), %rsi
	movq	0(%rbp), %rdx
	call	say
	leaq	TEXT(KEXEC_TEXT_RIP)(%r15), %rsi
	movq	16(%rbp), %rdx
	call	say
	leaq	TEXT(KEXEC_TEXT_ERROR)(%r15), %rsi
	movq	8(%rbp), %rdx
	call	say
	leaq	TEXT(KEXEC_TEXT_CR2)(%r15), %rsi
	movq	%cr2, %rdx
	call	say
	jmp	say_reset
SYM_CODE_END(exception)

/* A segment is not what was loaded. %rbp: its check, %rax: the digest found */
SYM_CODE_START_LOCAL_NOALIGN(damaged)
	UNWIND_HINT_END_OF_STACK
	movq	%rax, %rbx
	leaq	TEXT(KEXEC_TEXT_SEGMENT)(%r15), %rsi
	movq	CHECK_SEGMENT(%rbp), %rdx
	call	say
	leaq	TEXT(KEXEC_TEXT_FOUND)(%r15), %rsi
	movq	%rbx, %rdx
	call	say
	leaq	TEXT(KEXEC_TEXT_EXPECTED)(%r15), %rsi
	movq	CHECK_XXH64(%rbp), %rdx
	call	say
	jmp	say_reset
SYM_CODE_END(damaged)

/* The end of either line, and of this machine's run */
SYM_CODE_START_LOCAL_NOALIGN(say_reset)
	UNWIND_HINT_END_OF_STACK
	leaq	TEXT(KEXEC_TEXT_RESET)(%r15), %rsi
	call	say_text
	movb	$LSR_ALL_SENT, %r13b
	call	uart_wait
	jmp	reset
SYM_CODE_END(say_reset)

/* Text at %rsi, then %rdx in hexadecimal, without leading zeros */
SYM_CODE_START_LOCAL_NOALIGN(say)
	UNWIND_HINT_END_OF_STACK
	call	say_text
	bsrq	%rdx, %rcx
	jnz	1f
	xorl	%ecx, %ecx
1:	andl	$~3, %ecx
2:	movq	%rdx, %rax
	shrq	%cl, %rax
	andl	$15, %eax
	addl	$'0', %eax
	cmpl	$'9', %eax
	jbe	3f
	addl	$('a' - '9' - 1), %eax
3:	call	say_char
	subl	$4, %ecx
	jns	2b
	ANNOTATE_UNRET_SAFE
	ret
	int3
SYM_CODE_END(say)

/* Text at %rsi, ended by a 0 */
SYM_CODE_START_LOCAL_NOALIGN(say_text)
	UNWIND_HINT_END_OF_STACK
1:	lodsb
	testb	%al, %al
	jz	2f
	call	say_char
	jmp	1b
2:	ANNOTATE_UNRET_SAFE
	ret
	int3
SYM_CODE_END(say_text)

/* %al, when the UART has room for it; clobbers %r8 to %r14 */
SYM_CODE_START_LOCAL_NOALIGN(say_char)
	UNWIND_HINT_END_OF_STACK
	movb	%al, %r14b
	movb	$LSR_CAN_SEND, %r13b
	call	uart_wait
	movq	%rdx, %r12
	xorl	%edx, %edx
	movl	KEXEC_STUB_UART_KIND(%r15), %eax
	addq	KEXEC_STUB_UART_ADDR(%r15), %rdx
	cmpl	$KEXEC_UART_PORT, %eax
	je	1f
	cmpl	$KEXEC_UART_MEM, %eax
	je	2f
	cmpl	$KEXEC_UART_MEM32, %eax
	jne	4f
	movzbl	%r14b, %eax
	movl	%eax, (%rdx)
	jmp	4f
1:	movb	%r14b, %al
	outb	%al, %dx
	jmp	4f
2:	movb	%r14b, (%rdx)
4:	movq	%r12, %rdx
	ANNOTATE_UNRET_SAFE
	ret
	int3
SYM_CODE_END(say_char)

/* Wait for the bits %r13b of the line status; clobbers %rax and %r8 to %r12 */
SYM_CODE_START_LOCAL_NOALIGN(uart_wait)
	UNWIND_HINT_END_OF_STACK
	movq	%rcx, %r11
	movq	%rdx, %r12
	movl	$UART_LSR, %edx
	movl	KEXEC_STUB_UART_SHIFT(%r15), %ecx
	shll	%cl, %edx
	addq	KEXEC_STUB_UART_ADDR(%r15), %rdx
	movl	KEXEC_STUB_UART_KIND(%r15), %r10d
	movl	$UART_PATIENCE, %ecx
1:	cmpl	$KEXEC_UART_PORT, %r10d
	je	2f
	cmpl	$KEXEC_UART_MEM, %r10d
	je	3f
	cmpl	$KEXEC_UART_MEM32, %r10d
	jne	5f
	movl	(%rdx), %eax
	jmp	4f
2:	inb	%dx, %al
	jmp	4f
3:	movb	(%rdx), %al
4:	testb	%r13b, %al
	jnz	5f
	pause
	decl	%ecx
	jnz	1b
5:	movq	%r11, %rcx
	movq	%r12, %rdx
	ANNOTATE_UNRET_SAFE
	ret
	int3
SYM_CODE_END(uart_wait)

/*
 * Reset by the chipset, by the keyboard controller, by a triple fault: one of
 * them is there. Ports are not an encrypted guest's to use; where they turn out
 * to be nobody's, their exception comes here again, and does without.
 */
SYM_CODE_START_LOCAL_NOALIGN(reset)
	UNWIND_HINT_END_OF_STACK
	btsl	$KEXEC_STUB_NO_PORTS_BIT, KEXEC_STUB_FLAGS(%r15)
	jc	2f
	movw	$0xcf9, %dx
	inb	%dx, %al
	andb	$~0x0e, %al
	orb	$0x02, %al
	outb	%al, %dx
	movl	$0x100000, %ecx
1:	pause
	decl	%ecx
	jnz	1b
	orb	$0x0e, %al
	outb	%al, %dx
	movb	$0xfe, %al
	outb	%al, $0x64
2:	pushq	$0
	pushq	$0
	lidt	(%rsp)
	int3
	hlt
	jmp	2b
SYM_CODE_END(reset)

#include "kexec_xxh64.S"

	.skip KEXEC_CONTROL_CODE_MAX_SIZE - (. - relocate_kernel), 0xcc
