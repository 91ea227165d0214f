/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The payload's first instructions: they note the state of the machine before
 * they change it. Everything is addressed relative to RIP.
 */

#include "kexec_payload.h"

	.section .head, "ax"
	.code64
	.globl	payload_start
payload_start:
	jmp	entry

	/* The linker script places the numbers of PAYLOAD_OFF_* here. */

	.section .head.text, "ax"
entry:
	movq	%rax, entry_state+0x00(%rip)
	movq	%rdx, entry_state+0x10(%rip)
	rdtsc
	movl	%eax, entry_tsc(%rip)
	movl	%edx, entry_tsc+4(%rip)
	movq	%rcx, entry_state+0x08(%rip)
	movq	%rbx, entry_state+0x18(%rip)
	movq	%rsp, entry_rsp(%rip)
	movq	%rbp, entry_state+0x20(%rip)
	movq	%rsi, entry_state+0x28(%rip)
	movq	%rdi, entry_state+0x30(%rip)
	movq	%r8, entry_state+0x38(%rip)
	movq	%r9, entry_state+0x40(%rip)
	movq	%r10, entry_state+0x48(%rip)
	movq	%r11, entry_state+0x50(%rip)
	movq	%r12, entry_state+0x58(%rip)
	movq	%r13, entry_state+0x60(%rip)
	movq	%r14, entry_state+0x68(%rip)
	movq	%r15, entry_state+0x70(%rip)

	/* The stack that was given must have a 0 on top, and take a word. */
	movq	(%rsp), %rax
	movq	%rax, entry_top(%rip)
	pushfq
	popq	entry_rflags(%rip)
	cld

	leaq	payload_start(%rip), %rdi
	leaq	payload_stack_end(%rip), %rsp
	xorl	%ebp, %ebp
	call	payload_main
	/* payload_main() does not return. */
	ud2

	.macro	fault offset, name
	.org	\offset - PAYLOAD_OFF_TEXT
	.globl	\name
\name:
	.endm

	fault	PAYLOAD_OFF_UD, payload_ud
	ud2
	fault	PAYLOAD_OFF_DE, payload_de
	divl	entry_zero(%rip)
	fault	PAYLOAD_OFF_PF, payload_pf
	movb	%al, (%rdi)
	fault	PAYLOAD_OFF_GP, payload_gp
	movb	%al, (%rdi)
	fault	PAYLOAD_OFF_STACK, payload_stack
	movq	%rdi, %rsp
	pushq	%rax

	.bss
	.balign	16
	.globl	entry_state, entry_tsc, entry_rsp, entry_top, entry_rflags
entry_state:
	.skip	15 * 8
entry_tsc:
	.skip	8
entry_rsp:
	.skip	8
entry_top:
	.skip	8
entry_rflags:
	.skip	8
entry_zero:
	.skip	8
	.balign	16
	.skip	8192
payload_stack_end:

	.section .desc, "aw"
	.balign	8
	.globl	desc
desc:
	.skip	PAYLOAD_DESC_SIZE

	.section .note.GNU-stack, "", @progbits
