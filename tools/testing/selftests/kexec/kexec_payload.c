// SPDX-License-Identifier: GPL-2.0
/*
 * The payload: what a test jumps to instead of a kernel.
 *
 * It verifies that every byte is where it belongs, that what should be zero is
 * zero, and that the machine is in the state that kexec_load(2) promises. It
 * reports over the second serial port, a line each, and leaves QEMU.
 *
 * It runs wherever it was loaded, without a library, on the stub's page tables
 * and descriptor tables.
 */

#include "kexec_payload.h"

#define PAGE		4096UL
#define MAX_COMPLAINTS	20

#define MSR_EFER	0xc0000080

#define REG_RSI		5	/* in entry_state[] */

static unsigned int complaints;

static int is_boot(void)
{
	return desc.flags & PAYLOAD_BOOT;
}

/*
 * Ports
 */

static void write_port(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a" (value), "Nd" (port));
}

static u8 read_port(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static void uart_init(void)
{
	write_port(PAYLOAD_UART + 1, 0);	/* no interrupts */
	write_port(PAYLOAD_UART + 3, 0x80);	/* the divisor's turn */
	write_port(PAYLOAD_UART + 0, 1);	/* 115200 baud */
	write_port(PAYLOAD_UART + 1, 0);
	write_port(PAYLOAD_UART + 3, 0x03);	/* 8 bits, no parity */
	write_port(PAYLOAD_UART + 2, 0x01);	/* FIFO, keeping what is in it */
	write_port(PAYLOAD_UART + 4, 0x03);	/* DTR, RTS */
}

static void uart_wait(u8 status)
{
	while (!(read_port(PAYLOAD_UART + 5) & status))
		asm volatile("pause");
}

/* Wait until all is sent: QEMU does not flush on its way out. */
static void leave(u8 code)
{
	uart_wait(0x40);
	write_port(PAYLOAD_EXIT, code);
	write_port(0xcf9, 0x02);
	write_port(0xcf9, 0x06);
	for (;;)
		asm volatile("hlt");
}

/*
 * Words
 */

void say(const char *text)
{
	for (; *text; text++) {
		uart_wait(0x20);
		write_port(PAYLOAD_UART, *text);
	}
}

void say_hex(u64 value)
{
	char text[19] = "0x";
	int i;

	for (i = 0; i < 16; i++)
		text[2 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
	say(text);
}

void say_number(u64 value)
{
	char text[21];
	int i = 20;

	text[i] = 0;
	do {
		text[--i] = '0' + value % 10;
		value /= 10;
	} while (value);
	say(text + i);
}

/* PAYLOAD what=0x... */
void report(const char *what, u64 value)
{
	say("PAYLOAD ");
	say(what);
	say("=");
	say_hex(value);
	say("\n");
}

void report_number(const char *what, u64 value)
{
	say("PAYLOAD ");
	say(what);
	say("=");
	say_number(value);
	say("\n");
}

void complain(const char *what, u64 at, u64 found, u64 expected)
{
	if (++complaints > MAX_COMPLAINTS)
		return;
	say("PAYLOAD bad=");
	say(what);
	say(" at=");
	say_hex(at);
	say(" found=");
	say_hex(found);
	say(" expected=");
	say_hex(expected);
	say("\n");
}

void expect(const char *what, u64 found, u64 expected)
{
	if (found != expected)
		complain(what, 0, found, expected);
}

/*
 * Memory
 */

/* A read that the compiler has to make */
static u64 peek(u64 at)
{
	u64 value;

	asm volatile("movq (%1), %0" : "=r" (value) : "r" (at) : "memory");
	return value;
}

/* Report where the first of these words differs, and how many bytes do. */
static void differ(u64 at, u64 end, u64 word, u64 step)
{
	u64 wrong = 0;

	for (; at < end; at += 8, word += step) {
		u64 found = peek(at);

		if (found != word && !wrong++)
			complain(step ? "content" : "zero", at, found, word);
	}
	if (complaints <= MAX_COMPLAINTS)
		report_number("bad_words", wrong);
}

static int same(u64 at, u64 word, u64 step)
{
	const u64 *v = (const u64 *)at;

	return !((v[0] ^ word) | (v[1] ^ (word + step)) |
		 (v[2] ^ (word + 2 * step)) | (v[3] ^ (word + 3 * step)) |
		 (v[4] ^ (word + 4 * step)) | (v[5] ^ (word + 5 * step)) |
		 (v[6] ^ (word + 6 * step)) | (v[7] ^ (word + 7 * step)));
}

/* Whole words; @step 0 for zeros */
static void check_words(u64 at, u64 end, u64 word, u64 step)
{
	for (; at + 64 <= end; at += 64, word += 8 * step)
		if (!same(at, word, step)) {
			differ(at, end, word, step);
			return;
		}
	for (; at < end; at += 8, word += step)
		if (*(const u64 *)at != word) {
			differ(at, end, word, step);
			return;
		}
}

/* The word where content ends and zeros begin, if it is in the middle of one */
static void check_border(u64 at, u64 content_end, u64 word)
{
	u64 mask = (1UL << (content_end - at) * 8) - 1;
	u64 found = *(const u64 *)at;

	if (found != (word & mask))
		complain("border", at, found, word & mask);
}

/* @step: from one word to the next, 0 where all words are the same */
void check_content(const struct payload_range *r, u64 step)
{
	u64 content = r->content_end & ~7UL;
	u64 zeros = (r->content_end + 7) & ~7UL;
	u64 border = r->first + (content - r->start) / 8 * step;

	check_words(r->start, content, r->first, step);
	if (content != zeros)
		check_border(content, r->content_end, border);
	check_words(zeros, r->end, 0, 0);
}

static void check_memory(void)
{
	u64 i, content = 0, zero = 0;

	for (i = 0; i < desc.nr; i++) {
		check_content(&desc.range[i], PAYLOAD_STEP);
		content += desc.range[i].content_end - desc.range[i].start;
		zero += desc.range[i].end - desc.range[i].content_end;
	}
	report_number("ranges", desc.nr);
	report_number("content", content);
	report_number("zero", zero);
}

/*
 * The state of the machine
 */

#define READ(reg) ({ u64 value; asm volatile("mov %%" #reg ", %0" : "=r" (value)); value; })

static u64 read_efer(void)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (MSR_EFER));
	return (u64)high << 32 | low;
}

static void expect_bits(const char *what, u64 value, u64 set, u64 clear)
{
	expect(what, value & (set | clear), set);
}

static void check_registers(void)
{
	int i;

	for (i = 0; i < 15; i++)
		if (entry_state[i] && !(i == REG_RSI && is_boot()))
			complain("register", i, entry_state[i], 0);
	/* The boot protocol promises no stack, so what stock gives is anything. */
	if (!(is_boot() && desc.flags & PAYLOAD_NO_TABLES))
		expect("rsp_top", entry_top, 0);
	expect("rsp_aligned", entry_rsp % 8, 0);
	/* IF, DF, TF, NT, AC */
	expect_bits("rflags", entry_rflags, 0x2, 0x44700);
}

static void check_control_registers(void)
{
	u64 la57 = desc.flags & PAYLOAD_LA57 ? 1 << 12 : 0;
	u64 nx = desc.flags & PAYLOAD_NX ? 1 << 11 : 0;

	/* PE, PG; EM, TS, WP, AM */
	expect_bits("cr0", READ(cr0), 0x80000001, 0x5000c);
	/* PAE, LA57; PGE, PCIDE, CET */
	expect_bits("cr4", READ(cr4), 0x20 | la57,
		    (0x1000 & ~la57) | 0x80 | 0x20000 | 0x800000);
	/* LME, LMA, and as the first kernel had it: SCE, NXE */
	expect_bits("efer", read_efer(), 0x501 | nx, 0x800 & ~nx);
	expect("cr3", READ(cr3) & (PAGE - 1), 0);
}

#pragma pack(push, 1)
struct table_register {
	u16 limit;
	u64 base;
};

#pragma pack(pop)

/* Access, granularity: present, flat, 64-bit code or writable data */
static void check_segment(const struct table_register *gdt, const char *what,
			  u16 selector, u64 mask, u64 value)
{
	u64 entry;

	if (!(selector & ~7) || selector + 7U > gdt->limit) {
		complain(what, 0, selector, gdt->limit);
		return;
	}
	entry = peek(gdt->base + (selector & ~7));
	if ((entry & mask) != value)
		complain(what, selector, entry, value);
}

/* It is valid when it can be loaded anew, too. */
static void reload_segments(u16 cs, u16 ds)
{
	asm volatile("movl %0, %%ds\n\tmovl %0, %%es\n\tmovl %0, %%ss"
		     : : "r" ((u32)ds));
	asm volatile("pushq %0\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\t"
		     "lretq\n1:" : : "r" ((u64)cs) : "rax", "memory");
}

/*
 * Present, type code or writable data, long mode or base 0 and limit 4 GiB;
 * what the CPU itself sets (accessed) may differ.
 */
#define CODE64_MASK	0x0060f80000000000UL
#define CODE64		0x0020980000000000UL
#define DATA_MASK	0xff8ffeffffffffffUL
#define DATA_FLAT	0x008f92000000ffffUL

static void check_segments(void)
{
	struct table_register gdt;
	u16 cs = READ(cs), ds = READ(ds);

	asm volatile("sgdt %0" : "=m" (gdt));
	check_segment(&gdt, "cs", cs, CODE64_MASK, CODE64);
	check_segment(&gdt, "ds", ds, DATA_MASK, DATA_FLAT);
	check_segment(&gdt, "es", READ(es), DATA_MASK, DATA_FLAT);
	check_segment(&gdt, "ss", READ(ss), DATA_MASK, DATA_FLAT);
	if (!complaints)
		reload_segments(cs, ds);
}

/* Every exception's gate is present and names the code segment in use. */
static void check_idt(void)
{
	struct table_register idt;
	u64 i, gate;

	asm volatile("sidt %0" : "=m" (idt));
	if (idt.limit < 32 * 16 - 1) {
		complain("idt_limit", 0, idt.limit, 32 * 16 - 1);
		return;
	}
	for (i = 0; i < 32; i++) {
		gate = peek(idt.base + 16 * i);
		if ((gate >> 40 & 0x9f) != 0x8e || (gate >> 16 & 0xffff) != READ(cs))
			complain("idt_gate", i, gate, 0);
	}
}

/*
 * The whole
 */

static void check_desc(u64 base)
{
	if (desc.magic == PAYLOAD_MAGIC && desc.nr <= PAYLOAD_MAX_RANGES &&
	    desc.sum == payload_desc_sum(&desc)) {
		if (!is_boot())
			expect("base", base, desc.base);
		return;
	}
	say("PAYLOAD FAIL descriptor damaged\n");
	leave(1);
}

/*
 * Let the stub think that its UART is memory, where nothing is, so that its own
 * report fails. Its data begins with the IDT; see struct kexec_stub.
 */
static void spoil_report(void)
{
	struct table_register idt;

	asm volatile("sidt %0" : "=m" (idt));
	*(u32 *)(idt.base + 0x274) = 2;
	*(u64 *)(idt.base + 0x280) = PAYLOAD_PF_ADDR;
}

static void fault(void)
{
	switch (desc.fault) {
	case PAYLOAD_UD:
		payload_ud();
		break;
	case PAYLOAD_DE:
		payload_de();
		break;
	case PAYLOAD_PF:
		payload_pf(PAYLOAD_PF_ADDR);
		break;
	case PAYLOAD_GP:
		payload_gp(1UL << 63);
		break;
	case PAYLOAD_STACK:
		payload_stack(PAYLOAD_PF_ADDR);
		break;
	case PAYLOAD_NESTED:
		spoil_report();
		payload_ud();
		break;
	default:
		return;
	}
	say("PAYLOAD FAIL no exception\n");
	leave(1);
}

void payload_main(u64 base)
{
	uart_init();
	report_number("tsc", entry_tsc);
	check_desc(base);
	fault();
	report("base", base);
	report("rsp", entry_rsp);
	report("cr4", READ(cr4));
	check_registers();
	check_control_registers();
	if (!(desc.flags & PAYLOAD_NO_TABLES)) {
		check_segments();
		check_idt();
	}
	check_memory();
	if (is_boot())
		check_boot(base);
	if (complaints) {
		say("PAYLOAD FAIL ");
		say_number(complaints);
		say(" complaints\n");
		leave(1);
	}
	say("PAYLOAD ok\n");
	leave(0);
}
