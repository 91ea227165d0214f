// SPDX-License-Identifier: GPL-2.0
/*
 * jump CASE [ARGUMENT...]: load an image with kexec_load(2), jump to it, and
 * have the payload verify every byte.
 *
 * Without arguments it lists the cases. Whoever runs it loses the machine: the
 * payload reports over the second serial port and ends QEMU.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kexec_image.h"

/**
 * struct plan - what a case wants
 * @img: the segments, without the payload
 * @args: the case's arguments, ended by NULL
 * @payload: where the payload is to be, or 0
 * @all_moves: nothing of the added segments can be put into place beforehand
 * @some_moves: and here at least a part cannot
 * @some_home: where the kernel takes destinations (CONTIG_ALLOC), it can take a
 *	part of these; to be demanded
 * @before: called before the load, after the segments are complete
 * @after: called when all is loaded
 */
struct plan {
	struct kx_image img;
	char **args;
	u64 payload;
	bool all_moves, some_moves, some_home;
	void (*before)(struct plan *plan);
	void (*after)(struct plan *plan);
};

/*
 * Addresses and sizes
 */

static u64 argument(struct plan *plan, u64 otherwise)
{
	return *plan->args ? kx_size(*plan->args++) : otherwise;
}

/* The largest range of memory below 4 GiB */
static struct kx_range low_ram(void)
{
	struct kx_ranges ram;

	kx_system_ram(&ram);
	return kx_largest(&ram, 4 * KX_GIB);
}

/* The range that an address is in, its whole pages */
static struct kx_range ram_around(u64 at)
{
	struct kx_ranges ram;
	size_t i;

	kx_system_ram(&ram);
	for (i = 0; i < ram.nr; i++)
		if (at >= ram.v[i].start && at < ram.v[i].end)
			return (struct kx_range){
				kx_page_up(ram.v[i].start),
				ram.v[i].end & KX_PAGE_MASK,
			};
	kx_die("%#lx is no memory", at);
}

/* Somewhere in the middle, at no round address */
static u64 some_place(void)
{
	struct kx_range ram = low_ram();

	return ((ram.start + (ram.end - ram.start) / 3) & KX_PAGE_MASK & ~0xfffffUL) + 0x35000;
}

/* Memory that the firmware knows and this kernel was told not to use */
static struct kx_range hidden_ram(void)
{
	struct kx_ranges firmware, ram;
	struct kx_range best = {};
	u64 at, end;
	size_t i;

	kx_firmware_map("System RAM", &firmware);
	kx_system_ram(&ram);
	for (i = 0; i < firmware.nr; i++) {
		at = kx_page_up(firmware.v[i].start);
		while (at < firmware.v[i].end) {
			for (end = at; end < firmware.v[i].end &&
			     !kx_touches(&ram, end, end + KX_PAGE);)
				end += KX_PAGE;
			if (end - at > best.end - best.start)
				best = (struct kx_range){ at, end };
			at = end + KX_PAGE;
		}
	}
	if (best.end - best.start < 4 * KX_MIB)
		kx_die("no hidden memory: boot with memmap=64M$0x10000000");
	return best;
}

/*
 * The cases
 */

static void whole(struct plan *plan, u64 mem, u64 size)
{
	kx_image_add(&plan->img, mem, size, size);
}

static void plan_single(struct plan *plan)
{
	(void)plan;	/* the payload is the only segment */
}

static void plan_page(struct plan *plan)
{
	whole(plan, some_place(), KX_PAGE);
}

static void plan_at(struct plan *plan)
{
	u64 mem = argument(plan, 0x10235000);

	whole(plan, mem, argument(plan, 16 * KX_MIB));
}

static void plan_sixteen(struct plan *plan)
{
	u64 mem = some_place();
	unsigned int i;

	for (i = 0; i < 15; i++) {
		u64 size = KX_PAGE << (i % 9);

		kx_image_add(&plan->img, mem, size, size - i * 100);
		mem += size + i % 3 * KX_PAGE;
	}
}

static void plan_backwards(struct plan *plan)
{
	u64 mem = some_place() + 16 * KX_MIB;
	unsigned int i;

	for (i = 1; i < 13; i++) {
		mem -= i * 5 * KX_PAGE;
		whole(plan, mem, i * 5 * KX_PAGE);
	}
}

static void plan_shuffled(struct plan *plan)
{
	u64 mem = some_place();
	unsigned int i;

	for (i = 0; i < 15; i++)
		whole(plan, mem + i * 7 % 15 * 3 * KX_MIB, 2 * KX_MIB + i * KX_PAGE);
}

static void plan_touching(struct plan *plan)
{
	u64 mem = some_place();
	unsigned int i;

	for (i = 0; i < 15; i++) {
		kx_image_add(&plan->img, mem, (i + 1) * KX_PAGE,
			     i % 4 ? (i + 1) * KX_PAGE : i * KX_PAGE + 1);
		mem += (i + 1) * KX_PAGE;
	}
}

static void plan_page0(struct plan *plan)
{
	whole(plan, 0, 0x9f000);
	plan->some_moves = true;	/* the real-mode trampoline is there */
}

static void plan_mib1(struct plan *plan)
{
	whole(plan, KX_MIB, argument(plan, 63 * KX_MIB));
	plan->some_home = true;
}

/* The code that runs, and the data that it uses, up to the last moment */
static void plan_kernel(struct plan *plan)
{
	struct kx_ranges code, bss;

	kx_iomem("Kernel code", &code);
	kx_iomem("Kernel bss", &bss);
	if (!code.nr || !bss.nr)
		kx_die("where is the kernel?");
	kx_image_add(&plan->img, code.v[0].start & KX_PAGE_MASK,
		     kx_page_up(bss.v[0].end) - (code.v[0].start & KX_PAGE_MASK),
		     kx_page_up(bss.v[0].start) - (code.v[0].start & KX_PAGE_MASK));
	plan->some_moves = true;
}

static void plan_allocator(struct plan *plan)
{
	struct kx_range zone = kx_allocator_zone();
	struct kx_range ram = ram_around(zone.start);
	u64 size = argument(plan, 64 * KX_MIB);
	u64 mem = (zone.start + zone.end) / 2;

	if (size > ram.end - ram.start)
		kx_die("nothing of %#lx bytes where memory comes from", size);
	mem = mem > ram.start + size / 2 ? mem - size / 2 : ram.start;
	if (mem + size > ram.end)
		mem = ram.end - size;
	whole(plan, mem & KX_PAGE_MASK, size);
	plan->some_home = true;
}

static void plan_top(struct plan *plan)
{
	u64 size = argument(plan, 64 * KX_MIB);
	struct kx_ranges ram;
	u64 end = 0;
	size_t i;

	kx_system_ram(&ram);
	for (i = 0; i < ram.nr; i++)
		if (ram.v[i].end > end)
			end = ram.v[i].end & KX_PAGE_MASK;
	whole(plan, end - size, size);
}

static void plan_above_4g(struct plan *plan)
{
	u64 size = argument(plan, 200 * KX_MIB);
	u64 mem = 4 * KX_GIB + 0x35000;
	struct kx_ranges ram;

	kx_system_ram(&ram);
	if (!kx_contains(&ram, mem, mem + size + KX_MIB))
		kx_die("no memory above 4 GiB");
	whole(plan, mem, size);
	plan->payload = mem + size + 0x9000;
}

static void plan_zero_tail(struct plan *plan)
{
	static const u64 sizes[] = {
		1, 7, 8, 9, 4095, 4096, 4097, 8191, 100000, 2 * KX_MIB + 3,
	};
	u64 mem = some_place();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 memsz = kx_page_up(sizes[i]) + i * i * KX_PAGE;

		kx_image_add(&plan->img, mem, memsz, sizes[i]);
		mem += memsz;
	}
}

static void plan_zero_only(struct plan *plan)
{
	u64 mem = some_place();

	kx_image_add(&plan->img, mem, KX_PAGE, 0);
	kx_image_add(&plan->img, mem + 2 * KX_PAGE, 96 * KX_MIB, 0);
}

static void add_zeros(struct plan *plan, u64 start, u64 end)
{
	start = kx_page_up(start);
	end &= KX_PAGE_MASK;
	if (start < end)
		kx_image_add(&plan->img, start, end - start, 0);
}

/*
 * Zeros where the staged content is: they must be written after all moves. The
 * content goes over the kernel, so that some of it cannot be in place.
 */
static void plan_zero_over_allocator(struct plan *plan)
{
	struct kx_range zone = kx_allocator_zone();
	struct kx_range ram = ram_around(zone.start), kernel;
	u64 most = (ram.end - ram.start) / 2;

	plan_kernel(plan);
	kernel.start = plan->img.seg[0].mem;
	kernel.end = kernel.start + plan->img.seg[0].memsz;
	/* Some room on both sides, but not all of memory */
	zone.start = (zone.start + zone.end) / 2;
	zone.start = zone.start > ram.start + most / 2 ? zone.start - most / 2 :
							 ram.start;
	zone.end = zone.start + most < ram.end ? zone.start + most : ram.end;
	/* On both sides of the kernel, if it is in the middle of it */
	add_zeros(plan, zone.start, zone.end < kernel.start ? zone.end : kernel.start);
	add_zeros(plan, zone.start > kernel.end ? zone.start : kernel.end, zone.end);
}

/* As much as can be: content first, then zeros nearly up to the end */
static void plan_flood(struct plan *plan)
{
	struct kx_range ram = low_ram();
	u64 size = (ram.end - ram.start) * 9 / 10;
	u64 content = kx_free_kb() * 1024 / 3 * 2;

	/*
	 * A debug kernel's own data is all over memory: leave it more of that,
	 * for what the jump needs must be outside.
	 */
	if (kx_slowness() > 1)
		size = (ram.end - ram.start) * 6 / 10;
	size &= KX_PAGE_MASK;
	if (content > size * 6 / 10)
		content = size * 6 / 10;
	content &= KX_PAGE_MASK;
	kx_image_add(&plan->img, ram.start, content, content);
	kx_image_add(&plan->img, ram.start + content, size - content, 0);
}

static void plan_big(struct plan *plan)
{
	u64 size = argument(plan, 900 * KX_MIB);
	u64 mem = argument(plan, 0x10235000);
	unsigned int i, n = 9;

	for (i = 0; i < n; i++) {
		u64 part = i < n - 1 ? size / n & KX_PAGE_MASK :
			   size - (n - 1) * (size / n & KX_PAGE_MASK);

		whole(plan, mem, part);
		mem += part;
	}
}

static void plan_memsz0(struct plan *plan)
{
	u64 mem = some_place();

	kx_image_add(&plan->img, 0, 0, 0);
	whole(plan, mem, 4 * KX_PAGE);
	kx_image_add(&plan->img, mem + KX_PAGE, 0, 0);
	kx_image_add(&plan->img, mem + 4 * KX_PAGE, 0, 0);
}

/* The neighbours on both sides must stay as they are. */
static void plan_hidden(struct plan *plan)
{
	struct kx_range ram = hidden_ram();
	u64 size = argument(plan, 0);
	u64 mem = ram.start + 0x35000;

	if (!size || mem + size + KX_MIB > ram.end)
		size = (ram.end - mem - KX_MIB) & KX_PAGE_MASK;
	kx_image_add(&plan->img, mem, size, size / 2 + 123);
	if (!kx_image_keep(&plan->img, mem - 16 * KX_PAGE, mem) ||
	    !kx_image_keep(&plan->img, mem + size, mem + size + 16 * KX_PAGE))
		kx_die("cannot write to %#lx by way of /dev/mem", mem);
	plan->all_moves = true;
}

static u64 random_below(u64 *state, u64 limit)
{
	*state = *state * 6364136223846793005UL + 1442695040888963407UL;
	return (*state >> 20) % limit;
}

/* Any number of segments in any order, anywhere, some with tails */
static void plan_random(struct plan *plan)
{
	u64 state = argument(plan, 1) * 7919;
	unsigned int nr = 1 + random_below(&state, 15), i, n;
	struct kx_range ram = low_ram();
	u64 slot = (ram.end - ram.start) / 16 & KX_PAGE_MASK;

	for (i = 0; i < nr; i++) {
		u64 memsz = 1 + random_below(&state, slot / KX_PAGE / 4);
		u64 mem;

		n = (i * 7 + state % 16) % 16;
		n = i * 7 % 16;
		mem = ram.start + n * slot +
		      random_below(&state, slot / KX_PAGE / 2) * KX_PAGE;
		memsz >>= random_below(&state, 10);
		memsz = (memsz + 1) * KX_PAGE;
		kx_image_add(&plan->img, mem, memsz,
			     random_below(&state, 3) ? memsz :
			     random_below(&state, memsz));
	}
}

/*
 * Entries outside all segments: a page with a jump to the payload in it, which
 * leaves all registers alone.
 */

static void write_jump(void *at, u64 target)
{
	static const unsigned char jump[] = { 0xff, 0x25, 0, 0, 0, 0 };

	memcpy(at, jump, sizeof(jump));
	memcpy((char *)at + sizeof(jump), &target, sizeof(target));
}

static char *entry_page;

static void enter_page(struct plan *plan)
{
	write_jump(entry_page + 0x123, plan->img.payload);
	plan->img.entry = kx_phys(entry_page) + 0x123;
}

/* Loading may move memory about, that of this process too. */
static void still_there(struct plan *plan)
{
	int i;

	for (i = 0; i < 10 && plan->img.entry != kx_phys(entry_page) + 0x123; i++) {
		enter_page(plan);
		if (kx_image_load(&plan->img, 0))
			kx_die("does not load again");
	}
	if (plan->img.entry != kx_phys(entry_page) + 0x123)
		kx_die("the entry's page does not stay where it is");
}

static void plan_entry_outside(struct plan *plan)
{
	plan_page(plan);
	entry_page = kx_alloc(KX_PAGE);
	if (mlock(entry_page, KX_PAGE))
		kx_die("no page for the entry");
	plan->before = enter_page;
	plan->after = still_there;
}

static void enter_hidden(struct plan *plan)
{
	u64 at = (hidden_ram().start + 2 * KX_MIB) & KX_PAGE_MASK;
	char code[14];

	write_jump(code, plan->img.payload);
	plan->img.entry = at + 0xff2;
	if (!kx_phys_write(plan->img.entry, code, sizeof(code)))
		kx_die("cannot write to %#lx", at);
}

static void plan_entry_hidden(struct plan *plan)
{
	plan_page(plan);
	plan->before = enter_hidden;
}

/*
 * Histories: what was loaded before must not matter, or must survive
 */

static void load_something(struct plan *plan)
{
	struct kx_image other;

	(void)plan;
	kx_image_init(&other, 77);
	kx_image_add(&other, some_place(), 5 * KX_MIB, 5 * KX_MIB - 5);
	kx_image_finish(&other, 0);
	if (kx_image_load(&other, 0))
		kx_die("the first image does not load");
	kx_image_free(&other);
}

static void plan_replaced(struct plan *plan)
{
	plan_sixteen(plan);
	plan->before = load_something;
}

static void fail(const struct kx_seg *seg, unsigned long nr, long err)
{
	long ret = kx_load(0x1000000, nr, seg, 0);

	if (ret != err)
		kx_die("%ld instead of %ld", ret, err);
}

/* Failures at every stage: checked, placed, and in the middle of copying */
static void fail_often(struct plan *plan)
{
	size_t size = 64 * KX_PAGE;
	struct kx_seg seg[2] = {
		{ kx_guarded(size), size, plan->img.seg[0].mem, size },
		{ kx_guarded(size), size, plan->img.seg[0].mem + size, size },
	};
	int i;

	for (i = 0; i < 20; i++) {
		seg[1].mem++;
		fail(seg, 2, -EADDRNOTAVAIL);
		seg[1].mem -= KX_PAGE + 1;
		fail(seg, 2, -EINVAL);
		seg[1].mem += KX_PAGE;
		seg[1].memsz += KX_PAGE;
		seg[1].bufsz += KX_PAGE;
		fail(seg, 2, -EFAULT);
		seg[1].memsz -= KX_PAGE;
		seg[1].bufsz -= KX_PAGE;
		fail(seg, 17, -EINVAL);
	}
}

static void plan_survivor(struct plan *plan)
{
	plan_sixteen(plan);
	plan->after = fail_often;
}

/* A loaded image starts also when no other may be loaded any more. */
static void disable_loading(struct plan *plan)
{
	(void)plan;
	if (kx_write_file("/proc/sys/kernel/kexec_load_disabled", "1") ||
	    kx_unload() != -EPERM)
		kx_die("loading is still possible");
}

static void plan_disabled(struct plan *plan)
{
	plan_page(plan);
	plan->after = disable_loading;
}

/*
 * Exceptions
 */

static void plan_fault_ud(struct plan *plan)
{
	plan->img.fault = PAYLOAD_UD;
}

static void plan_fault_de(struct plan *plan)
{
	plan->img.fault = PAYLOAD_DE;
}

static void plan_fault_pf(struct plan *plan)
{
	plan->img.fault = PAYLOAD_PF;
}

static void plan_fault_gp(struct plan *plan)
{
	plan->img.fault = PAYLOAD_GP;
}

static void plan_fault_stack(struct plan *plan)
{
	plan->img.fault = PAYLOAD_STACK;
}

static void plan_fault_nested(struct plan *plan)
{
	plan->img.fault = PAYLOAD_NESTED;
}

/* A record of the stub's: destination, source, length */
static bool is_move(const u64 *move, const struct kx_seg *seg,
		    const struct kx_ranges *ram)
{
	static char page[KX_PAGE];

	if (move[0] != seg->mem || !move[2] || move[2] > seg->memsz ||
	    (move[1] | move[2]) % KX_PAGE ||
	    !kx_contains(ram, move[1], move[1] + move[2]))
		return false;
	return kx_phys_read(move[1], page, KX_PAGE) &&
	       !memcmp(page, seg->buf, KX_PAGE);
}

/* Damage the records of a move to the segment's beginning, in one page. */
static unsigned int damage_moves(const struct kx_seg *seg, u64 source,
				 const struct kx_ranges *ram, u64 at)
{
	u64 words[KX_PAGE / 8];
	unsigned int found = 0, i;

	if (!kx_phys_read(at, words, KX_PAGE))
		return 0;
	for (i = 0; i + 3 <= KX_PAGE / 8; i++) {
		if (words[i] != seg->mem || !is_move(words + i, seg, ram))
			continue;
		if (!kx_phys_write(at + 8 * (i + 1), &source, 8))
			kx_die("cannot write to %#lx", at);
		found++;
	}
	return found;
}

static void damage_all_moves(struct plan *plan, u64 source)
{
	unsigned int found = 0;
	struct kx_ranges ram;
	size_t i;
	u64 at;

	kx_system_ram(&ram);
	for (i = 0; i < ram.nr; i++)
		for (at = kx_page_up(ram.v[i].start);
		     at + KX_PAGE <= ram.v[i].end; at += KX_PAGE)
			found += damage_moves(&plan->img.seg[0], source, &ram, at);
	printf("JUMP damaged_moves=%u\n", found);
	if (!found)
		kx_die("found nothing of the stub's to damage");
}

static void damage_gp(struct plan *plan)
{
	damage_all_moves(plan, 0x8000000000000000);
}

static void damage_pf(struct plan *plan)
{
	damage_all_moves(plan, PAYLOAD_PF_ADDR & KX_PAGE_MASK);
}

static void plan_move_gp(struct plan *plan)
{
	plan_kernel(plan);
	plan->after = damage_gp;
}

static void plan_move_pf(struct plan *plan)
{
	plan_kernel(plan);
	plan->after = damage_pf;
}

static const struct jump_case {
	const char *name;
	void (*plan)(struct plan *plan);
	const char *what;
} cases[] = {
	{ "loaded", NULL, "what another program has loaded" },
	{ "single", plan_single, "nothing but the payload" },
	{ "page", plan_page, "one page" },
	{ "at", plan_at, "[address [size]]" },
	{ "sixteen", plan_sixteen, "sixteen segments" },
	{ "backwards", plan_backwards, "touching segments, the last one first" },
	{ "shuffled", plan_shuffled, "segments in no order" },
	{ "touching", plan_touching, "fifteen neighbours, some with tails" },
	{ "page0", plan_page0, "at address 0, up to 0x9f000" },
	{ "mib1", plan_mib1, "at 1 MiB [size]" },
	{ "kernel", plan_kernel, "over this kernel" },
	{ "allocator", plan_allocator, "where memory is handed out [size]" },
	{ "top", plan_top, "at the end of memory [size]" },
	{ "above_4g", plan_above_4g, "above 4 GiB, the payload too [size]" },
	{ "zero_tail", plan_zero_tail, "content of odd sizes, then zeros" },
	{ "zero_only", plan_zero_only, "segments without content" },
	{ "zero_over_allocator", plan_zero_over_allocator,
	  "zeros where content was kept" },
	{ "flood", plan_flood, "nearly all of memory" },
	{ "big", plan_big, "[size [address]]" },
	{ "memsz0", plan_memsz0, "segments of size 0, at 0 and inside others" },
	{ "hidden", plan_hidden, "memory that this kernel does not use [size]" },
	{ "random", plan_random, "[seed]" },
	{ "entry_outside", plan_entry_outside, "entry in no segment" },
	{ "entry_hidden", plan_entry_hidden, "entry in unused memory" },
	{ "replaced", plan_replaced, "over another image" },
	{ "survivor", plan_survivor, "after loads that failed" },
	{ "disabled", plan_disabled, "after kexec_load_disabled was set" },
	{ "fault_ud", plan_fault_ud, "the payload runs ud2" },
	{ "fault_de", plan_fault_de, "the payload divides by 0" },
	{ "fault_pf", plan_fault_pf, "the payload writes where nothing is" },
	{ "fault_gp", plan_fault_gp, "the payload writes to no address" },
	{ "fault_stack", plan_fault_stack, "the payload pushes to no memory" },
	{ "fault_nested", plan_fault_nested, "the stub's report fails as well" },
	{ "move_gp", plan_move_gp, "a move from no address" },
	{ "move_pf", plan_move_pf, "a move from where nothing is" },
};

/*
 * The run
 */

static void check_stats(const struct plan *plan)
{
	u64 payload = plan->img.seg[plan->img.nr - 1].bufsz;
	struct kx_stats s;

	if (kx_stock())
		return;
	if (!kx_trace_stats(&s))
		kx_die("the load left no trace");
	printf("JUMP segments=%u pieces=%lu runs=%lu", s.segments, s.pieces,
	       s.runs);
	printf(" content=%lu home=%lu move=%lu zero=%lu", s.content, s.home,
	       s.move, s.zero);
	printf(" check_ns=%lu place_ns=%lu fill_ns=%lu seal_ns=%lu\n",
	       s.check_ns, s.place_ns, s.fill_ns, s.seal_ns);
	if (plan->all_moves && s.move + payload < s.content)
		kx_die("memory that the kernel does not have is in use");
	if (plan->some_moves && !s.move)
		kx_die("memory that must be in use was given away");
	if (plan->some_home && kx_demanded("home") && s.home <= payload)
		kx_die("nothing is in place");
}

static void list_cases(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		printf("%-20s %s\n", cases[i].name, cases[i].what);
}

static const struct jump_case *find_case(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		if (!strcmp(cases[i].name, name))
			return &cases[i];
	kx_die("there is no case %s", name);
}

static void load(struct plan *plan, const struct jump_case *this)
{
	long ret;

	this->plan(plan);
	kx_image_finish(&plan->img, plan->payload);
	if (plan->before)
		plan->before(plan);
	kx_trace_on("kexec/kexec_load", NULL);
	ret = kx_image_load(&plan->img, 0);
	if (ret)
		kx_die("kexec_load: %s", strerror(-ret));
	check_stats(plan);
	if (plan->after)
		plan->after(plan);
}

int main(int argc, char **argv)
{
	const struct jump_case *this;
	static struct plan plan;
	const char *unfit;
	long ret;

	if (argc < 2) {
		list_cases();
		return 4;
	}
	unfit = kx_unfit();
	if (unfit)
		kx_die("%s", unfit);
	plan.args = argv + 2;
	kx_image_init(&plan.img, 1);
	this = find_case(argv[1]);
	if (this->plan)
		load(&plan, this);
	ret = kx_image_jump(&plan.img);
	kx_die("reboot: %s", strerror(-ret));
}
