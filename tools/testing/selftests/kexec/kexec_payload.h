/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the payload is told by the program that loads it. The payload is a bare
 * 64-bit program; see kexec_payload.c.
 */
#ifndef KEXEC_PAYLOAD_H
#define KEXEC_PAYLOAD_H

#define PAYLOAD_MAGIC		0x6461706b646e616cUL

/* Offsets in the binary: it begins with a jump over these numbers. */
#define PAYLOAD_OFF_MAGIC	0x08
#define PAYLOAD_OFF_FILE_SIZE	0x10
#define PAYLOAD_OFF_MEM_SIZE	0x18
#define PAYLOAD_OFF_DESC	0x20
#define PAYLOAD_OFF_BOOT	0x28
#define PAYLOAD_OFF_TEXT	0x40

/*
 * Deliberate exceptions, at fixed offsets from the payload's start so that the
 * RIP in the stub's report can be recognized.
 */
#define PAYLOAD_OFF_UD		0x800
#define PAYLOAD_OFF_DE		0x820
#define PAYLOAD_OFF_PF		0x840
#define PAYLOAD_OFF_GP		0x860
#define PAYLOAD_OFF_STACK	0x880
#define PAYLOAD_PF_ADDR		0x200000123456

/* I/O ports */
#define PAYLOAD_UART		0x2f8	/* the report goes there: ttyS1 */
#define PAYLOAD_EXIT		0xf4	/* QEMU's isa-debug-exit */

/* struct payload_desc */
#define PAYLOAD_DESC_SIZE	1328

#ifndef __ASSEMBLER__

#include <assert.h>
#include <stddef.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

enum payload_fault {
	PAYLOAD_NO_FAULT,
	PAYLOAD_UD,
	PAYLOAD_DE,
	PAYLOAD_PF,
	PAYLOAD_GP,
	PAYLOAD_STACK,
	PAYLOAD_NESTED,
};

/*
 * Content is a sequence of words, each this much more than the one before:
 * cheap to make and to verify, and no page is like another.
 */
#define PAYLOAD_STEP		0x9e3779b97f4a7c15UL

/**
 * struct payload_range - memory to be verified
 * @start: physical address, a multiple of 8
 * @content_end: the pattern ends here, at any byte
 * @end: zeros end here
 * @first: the word at @start
 */
struct payload_range {
	u64 start;
	u64 content_end;
	u64 end;
	u64 first;
};

#define PAYLOAD_MAX_RANGES	40

#define PAYLOAD_LA57		0x1	/* 5-level paging was on */
#define PAYLOAD_NX		0x2	/* EFER.NXE was set */
#define PAYLOAD_NO_TABLES	0x4	/* a kernel that leaves no GDT and IDT */
#define PAYLOAD_BOOT		0x8	/* started as a bzImage, at any address */

/**
 * struct payload_desc - the payload's orders
 * @magic: PAYLOAD_MAGIC
 * @base: where the payload should find itself
 * @flags: PAYLOAD_LA57 and so on
 * @fault: enum payload_fault
 * @nr: used entries of @range
 * @range: what should be in memory
 * @sum: of all words before it
 */
struct payload_desc {
	u64 magic;
	u64 base;
	u64 flags;
	u64 fault;
	u64 nr;
	struct payload_range range[PAYLOAD_MAX_RANGES];
	u64 sum;
};

static_assert(sizeof(struct payload_desc) == PAYLOAD_DESC_SIZE,
	      "the payload has no room for its descriptor");

static inline u64 payload_desc_sum(const struct payload_desc *desc)
{
	const u64 *word = (const u64 *)desc;
	u64 sum = 0;

	while (word < &desc->sum)
		sum = sum * 31 + *word++;
	return sum;
}

/*
 * For the payload itself; hidden, so that nothing goes by way of a table of
 * addresses, which somebody would have to relocate
 */
#pragma GCC visibility push(hidden)

/* All general registers but RSP, as they were */
extern u64 entry_state[15], entry_tsc, entry_rsp, entry_top, entry_rflags;

/* Empty in the binary: the program that loads it fills it in. */
extern struct payload_desc desc;
extern struct payload_boot boot;

void payload_ud(void);
void payload_de(void);
void payload_pf(u64 addr);
void payload_gp(u64 addr);
void payload_stack(u64 top);
void payload_main(u64 base);

/* Words on the second serial port; whatever is complained of fails the whole. */
void say(const char *text);
void say_hex(u64 value);
void say_number(u64 value);
void report(const char *what, u64 value);
void report_number(const char *what, u64 value);
void complain(const char *what, u64 at, u64 found, u64 expected);
void expect(const char *what, u64 found, u64 expected);

void check_content(const struct payload_range *r, u64 step);
void check_boot(u64 base);

#pragma GCC visibility pop

#endif /* __ASSEMBLER__ */

#endif /* KEXEC_PAYLOAD_H */
