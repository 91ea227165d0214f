/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XXH64 with seed 0, of whole stripes: the digest that the stub verifies.
 *
 * The stub cannot call lib/xxhash.c, which may be instrumented, returns through
 * thunks and is not in its page. This file is part of that page, by an #include:
 * it has no variables, no calls and no address of anything. It is assembled for
 * user space as it stands (gcc -c kexec_xxh64.S), to be measured there.
 *
 * XXH64 takes stripes of 32 bytes, 8 for each of four accumulators that know
 * nothing of each other until the end. Of the eight multiplications a stripe,
 * four do not depend on those before: they keep a CPU's multiplier busy.
 */

#ifdef __KERNEL__
#include <linux/linkage.h>
#include <asm/nospec-branch.h>
#else
#define SYM_FUNC_START_NOALIGN(name)	.globl name; .type name, @function; name:
#define SYM_FUNC_END(name)		.size name, . - name
#define ANNOTATE_UNRET_SAFE
	.section .note.GNU-stack, "", @progbits
#endif

#define XXH64_PRIME1	0x9e3779b185ebca87
#define XXH64_PRIME2	0xc2b2ae3d27d4eb4f
#define XXH64_PRIME3	0x165667b19e3779f9
#define XXH64_PRIME4	0x85ebca77c2b2ae63

#define prime1		%rdx
#define prime2		%rcx

/* Put 8 bytes of input, in \word, into \acc. */
.macro xxh64_round acc, word
	imulq	prime2, \word
	addq	\word, \acc
	rolq	$31, \acc
	imulq	prime1, \acc
.endm

/* Put \acc into the digest; \prime4 is XXH64_PRIME4. */
.macro xxh64_merge acc, digest, prime4
	imulq	prime2, \acc
	rolq	$31, \acc
	imulq	prime1, \acc
	xorq	\acc, \digest
	imulq	prime1, \digest
	addq	\prime4, \digest
.endm

/*
 * u64 kexec_xxh64(const void *p, size_t len)
 *
 * @len is a multiple of 32 and not 0. A C function by all rules, but for the
 * alignment and its plain return.
 */
	.text
	.balign	16
SYM_FUNC_START_NOALIGN(kexec_xxh64)
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%rsi
	movabsq	$XXH64_PRIME1, prime1
	movabsq	$XXH64_PRIME2, prime2
	leaq	(prime1, prime2), %r8
	movq	prime2, %r9
	xorl	%r10d, %r10d
	movq	prime1, %r11
	negq	%r11

	/*
	 * All loads first: they may fault, so an emulator has all registers and
	 * flags up to date at each of them, which makes it slower.
	 */
	.balign	16
.Lxxh64_stripe:
	movq	0x00(%rdi), %rax
	movq	0x08(%rdi), %rbx
	movq	0x10(%rdi), %rbp
	movq	0x18(%rdi), %r12
	addq	$32, %rdi
	xxh64_round	%r8, %rax
	xxh64_round	%r9, %rbx
	xxh64_round	%r10, %rbp
	xxh64_round	%r11, %r12
	subq	$32, %rsi
	jnz	.Lxxh64_stripe

	movq	%r8, %rax
	rolq	$1, %rax
	movq	%r9, %rbx
	rolq	$7, %rbx
	addq	%rbx, %rax
	movq	%r10, %rbx
	rolq	$12, %rbx
	addq	%rbx, %rax
	movq	%r11, %rbx
	rolq	$18, %rbx
	addq	%rbx, %rax
	movabsq	$XXH64_PRIME4, %rbx
	xxh64_merge	%r8, %rax, %rbx
	xxh64_merge	%r9, %rax, %rbx
	xxh64_merge	%r10, %rax, %rbx
	xxh64_merge	%r11, %rax, %rbx
	popq	%rsi
	addq	%rsi, %rax

	/* Let each bit of the input reach each bit of the digest. */
	movq	%rax, %rbx
	shrq	$33, %rbx
	xorq	%rbx, %rax
	imulq	prime2, %rax
	movq	%rax, %rbx
	shrq	$29, %rbx
	xorq	%rbx, %rax
	movabsq	$XXH64_PRIME3, %rbx
	imulq	%rbx, %rax
	movq	%rax, %rbx
	shrq	$32, %rbx
	xorq	%rbx, %rax
	popq	%r12
	popq	%rbp
	popq	%rbx
	ANNOTATE_UNRET_SAFE
	ret
	int3
SYM_FUNC_END(kexec_xxh64)
