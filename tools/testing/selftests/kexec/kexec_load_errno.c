// SPDX-License-Identifier: GPL-2.0
/*
 * What kexec_load(2) answers, rule by rule, in the order in which the rules are
 * checked, and that a refusal leaves everything as it was.
 *
 * A test is named for the check in the manual page's list that it is about;
 * "rowA_before_rowB" breaks both rules and must get the errno of the first.
 * rows.py lists the tests that fail on the kernel that this one is compared to.
 *
 * Rows that change the system for good have programs of their own:
 * kexec_limits (1), kexec_policy (2 and 3).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <kselftest_harness.h>

#include "kexec_rows.h"

/**
 * struct call - a call of kexec_load() that would succeed, to be spoiled
 * @load: by which system call
 * @arch: added to @flags
 * @seg: @nr are used, but all are valid: two pages of content in four
 * @dest: destination of the first; they are four pages apart
 * @buf: source of them all
 */
struct call {
	kx_load_fn *load;
	unsigned long arch;
	u64 entry;
	unsigned long nr;
	struct kx_seg *seg;
	unsigned long flags;
	u64 dest;
	char *buf;
	u64 limit;
};

#define SEGMENT (4 * KX_PAGE)

static void call_init(struct call *c, kx_load_fn *load, unsigned long arch)
{
	struct kx_ranges ram;
	struct kx_range range;
	unsigned int i;

	kx_system_ram(&ram);
	range = kx_largest(&ram, 4 * KX_GIB);
	*c = (struct call){
		.load = load,
		.arch = arch,
		.nr = 1,
		.seg = kx_alloc(KX_PAGE),
		.dest = (range.start + range.end) / 2 & KX_PAGE_MASK,
		.buf = kx_alloc(SEGMENT),
		.limit = load == kx_load32 ? 4 * KX_GIB : 0,
	};
	c->entry = c->dest;
	memset(c->buf, 0x90, SEGMENT);
	for (i = 0; i < KEXEC_SEGMENT_MAX; i++)
		c->seg[i] = (struct kx_seg){
			c->buf, SEGMENT / 2, c->dest + 2 * i * SEGMENT, SEGMENT,
		};
}

static long attempt(const struct call *c)
{
	return c->load(c->entry, c->nr, c->seg, c->flags | c->arch);
}

/* Somewhere else than what is tested */
static long load_old(void)
{
	struct call old;

	call_init(&old, kx_load, 0);
	old.seg[0].mem += 64 * SEGMENT;
	return attempt(&old);
}

static void clean_up(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, kx_unload());
	EXPECT_EQ(0, kx_loaded());
}

static void refused_once(struct __test_metadata *_metadata,
			 const struct call *c, int err, int loaded)
{
	unsigned long free_kb = kx_free_kb();

	EXPECT_EQ(-err, attempt(c));
	EXPECT_EQ(loaded, kx_loaded());
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
}

/* Refused with nothing loaded, and with something that has to stay */
static void refused(struct __test_metadata *_metadata, const struct call *c,
		    int err)
{
	refused_once(_metadata, c, err, 0);
	kx_unload();
	ASSERT_EQ(0, load_old());
	refused_once(_metadata, c, err, 1);
	clean_up(_metadata);
}

static void accepted(struct __test_metadata *_metadata, const struct call *c)
{
	unsigned long free_kb = kx_free_kb();

	EXPECT_EQ(0, attempt(c));
	EXPECT_EQ(1, kx_loaded());
	clean_up(_metadata);
	EXPECT_EQ(0, load_old());
	EXPECT_EQ(0, attempt(c));
	EXPECT_EQ(1, kx_loaded());
	clean_up(_metadata);
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
}

#define REFUSED(err) refused(_metadata, &self->c, err)
#define ACCEPTED() accepted(_metadata, &self->c)

static void set_up(struct __test_metadata *_metadata, struct call *c,
		   kx_load_fn *load, unsigned long arch)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return, "%s", unfit);
	if (kx_loaded() && !kx_destructive())
		SKIP(return, "something is loaded, which these tests would unload");
	if (load == kx_load32 &&
	    !need(_metadata, "compat", kx_have_compat()))
		return;
	kx_unload();
	call_init(c, load, arch);
}

/*
 * Both calls
 */

FIXTURE(load) {
	struct call c;
};

FIXTURE_VARIANT(load) {
	kx_load_fn *load;
	unsigned long arch;
};

FIXTURE_VARIANT_ADD(load, native) {
	.load = kx_load,
};

FIXTURE_VARIANT_ADD(load, compat) {
	.load = kx_load32,
	.arch = KEXEC_ARCH_X86_64,
};

FIXTURE_SETUP(load)
{
	set_up(_metadata, &self->c, variant->load, variant->arch);
}

FIXTURE_TEARDOWN(load)
{
	kx_unload();
}

/* The 64-bit call alone */
FIXTURE(native) {
	struct call c;
};

FIXTURE_SETUP(native)
{
	set_up(_metadata, &self->c, kx_load, 0);
}

FIXTURE_TEARDOWN(native)
{
	kx_unload();
}

/* The 32-bit call alone */
FIXTURE(compat) {
	struct call c;
};

FIXTURE_SETUP(compat)
{
	set_up(_metadata, &self->c, kx_load32, KEXEC_ARCH_X86_64);
}

FIXTURE_TEARDOWN(compat)
{
	kx_unload();
}

/*
 * Row 1: who may
 */

/* The errno that somebody else gets */
static int errno_after(int (*become)(void), const struct call *c)
{
	pid_t pid = fork();

	if (!pid)
		_exit(become() ? CANNOT_BECOME : -attempt(c));
	return exit_status(pid);
}

ROW(load, row1_no_capability)
{
	EXPECT_EQ(EPERM, errno_after(become_nobody, &self->c));
	EXPECT_EQ(0, kx_loaded());
	self->c.nr = 0;
	ASSERT_EQ(0, load_old());
	EXPECT_EQ(EPERM, errno_after(become_nobody, &self->c));
	EXPECT_EQ(1, kx_loaded());
}

ROW(load, row1_capability_in_a_namespace)
{
	int err = errno_after(enter_user_namespace, &self->c);

	if (!NEED("userns", err != CANNOT_BECOME))
		return;
	EXPECT_EQ(EPERM, err);
	EXPECT_EQ(0, kx_loaded());
}

ROW(load, row1_before_row4)
{
	self->c.flags = 0x8000;
	EXPECT_EQ(EPERM, errno_after(become_nobody, &self->c));
}

ROW(load, row1_before_row7)
{
	self->c.seg = NULL;
	EXPECT_EQ(EPERM, errno_after(become_nobody, &self->c));
}

/*
 * Row 4: flags
 */

ROW(load, row4_unknown_flags)
{
	unsigned long flag;

	for (flag = 0x20; flag < 0x10000; flag <<= 1) {
		self->c.flags = flag;
		EXPECT_EQ(-EINVAL, attempt(&self->c));
	}
	self->c.flags = 0x8000;
	REFUSED(EINVAL);
}

ROW(load, row4_unknown_flag_when_unloading)
{
	self->c.flags = 0x4000;
	self->c.nr = 0;
	REFUSED(EINVAL);
}

ROW(native, row4_flags_of_32_bits_and_more)
{
	unsigned long flag;

	for (flag = 1UL << 32; flag; flag <<= 1) {
		self->c.flags = flag;
		EXPECT_EQ(-EINVAL, attempt(&self->c));
	}
	self->c.flags = 1UL << 32;
	REFUSED(EINVAL);
}

/* This kernel has no KEXEC_JUMP. */
ROW(load, row4_preserve_context)
{
	self->c.flags = KEXEC_PRESERVE_CONTEXT;
	REFUSED(EINVAL);
}

ROW(load, row4_crash_with_preserve_context)
{
	self->c.flags = KEXEC_PRESERVE_CONTEXT | KEXEC_ON_CRASH;
	REFUSED(EINVAL);
}

ROW(load, row4_before_row7)
{
	self->c.flags = 0x8000;
	self->c.seg = NULL;
	REFUSED(EINVAL);
}

ROW(load, row4b_debug)
{
	self->c.flags = KEXEC_DEBUG;
	ACCEPTED();
}

ROW(load, row4b_debug_when_unloading)
{
	ASSERT_EQ(0, load_old());
	self->c.flags = KEXEC_DEBUG;
	self->c.nr = 0;
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, kx_loaded());
}

/*
 * Row 5: the number of segments
 */

ROW(load, row5_seventeen)
{
	self->c.nr = KEXEC_SEGMENT_MAX + 1;
	REFUSED(EINVAL);
}

ROW(load, row5_very_many)
{
	self->c.nr = 0xffffffff;
	REFUSED(EINVAL);
	self->c.nr = 0x80000001;
	REFUSED(EINVAL);
}

ROW(native, row5_more_than_32_bits)
{
	self->c.nr = (1UL << 32) + 1;
	REFUSED(EINVAL);
}

ROW(load, row5_before_row7)
{
	self->c.nr = KEXEC_SEGMENT_MAX + 1;
	self->c.seg = NULL;
	REFUSED(EINVAL);
}

/*
 * Row 6: the architecture
 */

ROW(native, row6_other_architecture)
{
	static const unsigned long arch[] = {
		KEXEC_ARCH_386, KEXEC_ARCH_PPC64, KEXEC_ARCH_AARCH64,
		KEXEC_ARCH_LOONGARCH, 1 << 16, 0xffffUL << 16,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(arch); i++) {
		self->c.flags = arch[i];
		REFUSED(EINVAL);
	}
}

ROW(native, row6_other_architecture_when_unloading)
{
	self->c.flags = KEXEC_ARCH_AARCH64;
	self->c.nr = 0;
	REFUSED(EINVAL);
}

ROW(native, row6_own_architecture)
{
	self->c.flags = KEXEC_ARCH_X86_64;
	ACCEPTED();
}

ROW(native, row6_before_row7)
{
	self->c.flags = KEXEC_ARCH_AARCH64;
	self->c.seg = NULL;
	REFUSED(EINVAL);
}

ROW(compat, row6_default_architecture)
{
	self->c.arch = KEXEC_ARCH_DEFAULT;
	REFUSED(EINVAL);
	self->c.seg = NULL;
	REFUSED(EINVAL);
	self->c.nr = 0;
	REFUSED(EINVAL);
}

ROW(compat, row6_386)
{
	self->c.arch = KEXEC_ARCH_386;
	ACCEPTED();
}

ROW(compat, row6_x86_64)
{
	ACCEPTED();
}

ROW(compat, row6_other_architecture)
{
	self->c.arch = KEXEC_ARCH_AARCH64;
	REFUSED(EINVAL);
	self->c.arch = 1 << 16;
	REFUSED(EINVAL);
}

ROW(compat, row6_other_architecture_when_unloading)
{
	self->c.arch = KEXEC_ARCH_PPC64;
	self->c.nr = 0;
	REFUSED(EINVAL);
}

ROW(compat, row6_before_row7)
{
	self->c.arch = KEXEC_ARCH_AARCH64;
	self->c.seg = NULL;
	REFUSED(EINVAL);
}

/*
 * Row 7: the array
 */

ROW(load, row7_no_array)
{
	self->c.seg = NULL;
	REFUSED(EFAULT);
}

ROW(native, row7_kernel_address)
{
	self->c.seg = (void *)0xffff888000000000;
	REFUSED(EFAULT);
}

/* The second of two segments is not there. */
ROW(native, row7_array_cut_short)
{
	struct kx_seg *seg = kx_guarded(sizeof(*seg));

	*seg = self->c.seg[0];
	self->c.seg = seg;
	self->c.nr = 2;
	REFUSED(EFAULT);
}

/* The library would convert the array: so make this one by hand. */
static kx_load_fn load32_cut_short;
static long load32_cut_short(u64 entry, unsigned long nr,
			     const struct kx_seg *seg, unsigned long flags)
{
	u32 *array = kx_guarded(16);

	array[0] = (u64)seg->buf;
	array[1] = seg->bufsz;
	array[2] = seg->mem;
	array[3] = seg->memsz;
	return kx_load32_raw(entry, nr, (u64)array, flags);
}

ROW(compat, row7_array_cut_short)
{
	self->c.load = load32_cut_short;
	ACCEPTED();
	self->c.nr = 2;
	REFUSED(EFAULT);
}

ROW(load, row7_ignored_without_segments)
{
	ASSERT_EQ(0, load_old());
	self->c.nr = 0;
	self->c.seg = NULL;
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, kx_loaded());
}

/*
 * Row 8: busy
 */

/* A load that has come as far as copying, and waits there */
struct slow_load {
	struct kx_blocker blocker;
	struct call c;
	pthread_t thread;
	long ret;
};

static void *slow_load_thread(void *data)
{
	struct slow_load *slow = data;

	slow->ret = attempt(&slow->c);
	return NULL;
}

static void slow_load_start(struct __test_metadata *_metadata,
			    struct slow_load *slow)
{
	call_init(&slow->c, kx_load, 0);
	ASSERT_TRUE(kx_block(&slow->blocker, SEGMENT));
	slow->c.nr = 2;
	slow->c.seg[1].buf = slow->blocker.buf;
	ASSERT_EQ(0, pthread_create(&slow->thread, NULL, slow_load_thread, slow));
	ASSERT_TRUE(kx_block_wait(&slow->blocker, 10000 * kx_slowness()));
}

static void slow_load_finish(struct __test_metadata *_metadata,
			     struct slow_load *slow)
{
	kx_block_release(&slow->blocker);
	pthread_join(slow->thread, NULL);
	kx_block_free(&slow->blocker);
	EXPECT_EQ(0, slow->ret);
	EXPECT_EQ(1, kx_loaded());
	clean_up(_metadata);
}

static void busy(struct __test_metadata *_metadata, const struct call *c,
		 int err)
{
	struct slow_load slow;

	slow_load_start(_metadata, &slow);
	EXPECT_EQ(-err, attempt(c));
	EXPECT_EQ(0, kx_loaded());
	slow_load_finish(_metadata, &slow);
}

#define BUSY(err) busy(_metadata, &self->c, err)

ROW(load, row8_load)
{
	BUSY(EBUSY);
}

ROW(load, row8_unload)
{
	self->c.nr = 0;
	BUSY(EBUSY);
}

ROW(load, row8_crash_unload)
{
	self->c.flags = KEXEC_ON_CRASH;
	self->c.nr = 0;
	BUSY(EBUSY);
}

ROW(load, row7_before_row8)
{
	self->c.seg = NULL;
	BUSY(EFAULT);
}

ROW(load, row4_before_row8)
{
	self->c.flags = 0x8000;
	BUSY(EINVAL);
}

ROW(load, row8_before_row10)
{
	self->c.flags = KEXEC_ON_CRASH;
	BUSY(EBUSY);
}

ROW(load, row8_before_row11)
{
	self->c.seg[0].mem++;
	BUSY(EBUSY);
}

/*
 * Row 9: unloading
 */

ROW(load, row9_unload_nothing)
{
	self->c.nr = 0;
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, kx_loaded());
}

ROW(load, row9_unload)
{
	unsigned long free_kb = kx_free_kb();

	ASSERT_EQ(0, load_old());
	self->c.nr = 0;
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(0, kx_loaded());
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
}

ROW(load, row9_ignores_entry)
{
	self->c.entry = 0xfffffff1;
	self->c.nr = 0;
	EXPECT_EQ(0, attempt(&self->c));
}

/*
 * Rows 10 and 15b: without CRASH_DUMP there is no crash region, so no entry is
 * in it. The normal image is another one, and stays.
 */

ROW(load, row15b_crash_load)
{
	self->c.flags = KEXEC_ON_CRASH;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row15b_crash_unload)
{
	self->c.flags = KEXEC_ON_CRASH;
	self->c.nr = 0;
	EXPECT_EQ(0, attempt(&self->c));
	ASSERT_EQ(0, load_old());
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(1, kx_loaded());
}

ROW(load, row10_before_row13)
{
	self->c.flags = KEXEC_ON_CRASH;
	self->c.nr = 2;
	self->c.seg[1].mem = self->c.seg[0].mem;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row10_before_row14)
{
	self->c.flags = KEXEC_ON_CRASH;
	self->c.seg[0].bufsz = SEGMENT + 1;
	REFUSED(EADDRNOTAVAIL);
}

/*
 * Row 11: bounds
 */

ROW(load, row11_mem_not_aligned)
{
	self->c.seg[0].mem += 0x10;
	REFUSED(EADDRNOTAVAIL);
	self->c.seg[0].memsz -= 0x10;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row11_end_not_aligned)
{
	self->c.seg[0].memsz--;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row11_memsz0_not_aligned)
{
	self->c.seg[0] = (struct kx_seg){ .mem = self->c.dest + 0x800 };
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row11_last_segment)
{
	self->c.nr = KEXEC_SEGMENT_MAX;
	self->c.seg[KEXEC_SEGMENT_MAX - 1].mem += 0x800;
	REFUSED(EADDRNOTAVAIL);
}

ROW(native, row11_wraps)
{
	self->c.seg[0].mem = -SEGMENT;
	self->c.seg[0].memsz = 2 * SEGMENT;
	REFUSED(EADDRNOTAVAIL);
	self->c.seg[0].mem = self->c.dest;
	self->c.seg[0].memsz = -SEGMENT;
	REFUSED(EADDRNOTAVAIL);
}

ROW(native, row11_not_addressable)
{
	unsigned int bit;

	for (bit = 52; bit < 64; bit++) {
		self->c.seg[0].mem = 1UL << bit;
		REFUSED(EADDRNOTAVAIL);
	}
}

ROW(load, row11_before_row13)
{
	self->c.nr = 3;
	self->c.seg[1].mem = self->c.seg[0].mem;
	self->c.seg[2].mem++;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row11_before_row14)
{
	self->c.nr = 2;
	self->c.seg[0].bufsz = SEGMENT + 1;
	self->c.seg[1].mem++;
	REFUSED(EADDRNOTAVAIL);
}

/*
 * Row 12: destinations are memory
 */

/* Everything that counts, merged with what this kernel uses */
static void all_memory(struct kx_ranges *all)
{
	struct kx_ranges ram;

	kx_firmware_map(NULL, all);
	kx_system_ram(&ram);
	memcpy(all->v + all->nr, ram.v, ram.nr * sizeof(ram.v[0]));
	all->nr += ram.nr;
}

/* The first page after some memory, with nothing in 16 pages from there */
static u64 find_hole(u64 limit)
{
	struct kx_ranges all;
	size_t i;

	all_memory(&all);
	for (i = 0; i < all.nr; i++) {
		u64 at = kx_page_up(all.v[i].end);

		if (at >= KX_MIB && at + 16 * KX_PAGE < limit &&
		    !kx_touches(&all, at, at + 16 * KX_PAGE))
			return at;
	}
	return 0;
}

static u64 end_of_memory(void)
{
	struct kx_ranges all;
	u64 end = 0;
	size_t i;

	all_memory(&all);
	for (i = 0; i < all.nr; i++)
		if (all.v[i].end > end)
			end = all.v[i].end;
	return kx_page_up(end);
}

static u64 iomem_or(const char *name, u64 otherwise)
{
	struct kx_ranges found;

	kx_iomem(name, &found);
	return found.nr ? found.v[0].start & KX_PAGE_MASK : otherwise;
}

ROW(load, row12_hole)
{
	self->c.seg[0].mem = find_hole(4 * KX_GIB);
	if (!NEED("hole", self->c.seg[0].mem))
		return;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row12_hole_in_a_later_segment)
{
	self->c.nr = 5;
	self->c.seg[4].mem = find_hole(4 * KX_GIB);
	if (!NEED("hole", self->c.seg[4].mem))
		return;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row12_zeros_in_a_hole)
{
	self->c.seg[0].mem = find_hole(4 * KX_GIB);
	if (!NEED("hole", self->c.seg[0].mem))
		return;
	self->c.seg[0].buf = NULL;
	self->c.seg[0].bufsz = 0;
	REFUSED(EADDRNOTAVAIL);
}

/* Half in memory, half behind it, and the other way round */
ROW(load, row12_edge)
{
	u64 hole = find_hole(4 * KX_GIB);

	if (!NEED("hole", hole))
		return;
	self->c.seg[0].mem = hole - SEGMENT / 2;
	REFUSED(EADDRNOTAVAIL);
	self->c.seg[0].mem = hole - SEGMENT + KX_PAGE;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row12_up_to_the_edge)
{
	u64 hole = find_hole(4 * KX_GIB);

	if (!NEED("hole", hole))
		return;
	self->c.seg[0].mem = hole - SEGMENT;
	ACCEPTED();
}

/* Memory on both sides, none in the middle */
ROW(load, row12_bridge)
{
	struct kx_ranges all;

	all_memory(&all);
	if (!NEED("vga", !kx_touches(&all, 0xa0000, 0xb0000)))
		return;
	self->c.seg[0].mem = 0x90000;
	self->c.seg[0].memsz = 0x70000;
	REFUSED(EADDRNOTAVAIL);
}

/* What the firmware keeps of the last page below 640 KiB is memory too. */
ROW(load, row12_page_in_two_parts)
{
	struct kx_ranges all;

	all_memory(&all);
	if (!NEED("ebda", kx_touches(&all, 0x9f000, 0xa0000)))
		return;
	self->c.seg[0].mem = 0xa0000 - SEGMENT;
	ACCEPTED();
}

ROW(native, row12_above_all_memory)
{
	self->c.seg[0].mem = end_of_memory() + 64 * KX_GIB;
	REFUSED(EADDRNOTAVAIL);
	self->c.seg[0].mem = end_of_memory() + KX_GIB;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row12_local_apic)
{
	self->c.seg[0].mem = iomem_or("Local APIC", 0xfee00000);
	self->c.seg[0].memsz = KX_PAGE;
	self->c.seg[0].bufsz = KX_PAGE;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row12_io_apic)
{
	self->c.seg[0].mem = iomem_or("IOAPIC 0", 0xfec00000);
	self->c.seg[0].memsz = KX_PAGE;
	self->c.seg[0].bufsz = KX_PAGE;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row12_memsz0_in_a_hole)
{
	self->c.nr = 2;
	self->c.seg[1] = (struct kx_seg){ .mem = find_hole(4 * KX_GIB) };
	if (!NEED("hole", self->c.seg[1].mem))
		return;
	ACCEPTED();
}

ROW(load, row12_reserved_by_firmware)
{
	struct kx_ranges reserved;
	struct kx_range range;

	kx_firmware_map("Reserved", &reserved);
	range = kx_largest(&reserved, 4 * KX_GIB - KX_PAGE);
	if (!NEED("reserved", range.end >= range.start + SEGMENT))
		return;
	self->c.seg[0].mem = range.end - SEGMENT;
	ACCEPTED();
}

ROW(load, row12_this_kernel)
{
	self->c.seg[0].mem = iomem_or("Kernel code", 0);
	ASSERT_NE(0UL, self->c.seg[0].mem);
	ACCEPTED();
}

/* A place for a segment that the one map has and the other does not */
static u64 only_in(const struct kx_ranges *one, const struct kx_ranges *other,
		   u64 limit)
{
	size_t i;

	for (i = 0; i < one->nr; i++) {
		u64 at = kx_page_up(one->v[i].start);

		for (; at + SEGMENT <= one->v[i].end; at += SEGMENT)
			if (at >= KX_MIB && at + SEGMENT <= limit &&
			    !kx_touches(other, at, at + SEGMENT))
				return at;
	}
	return 0;
}

/* mem= or memmap= keeps it from this kernel. */
ROW(load, row12_hidden)
{
	struct kx_ranges firmware, ram;

	kx_firmware_map("System RAM", &firmware);
	kx_system_ram(&ram);
	self->c.seg[0].mem = only_in(&firmware, &ram, 4 * KX_GIB - KX_PAGE);
	if (!NEED("hidden", self->c.seg[0].mem))
		return;
	ACCEPTED();
}

/* Plugged in later, it was in no map when the machine was started. */
ROW(native, row12_hot_added)
{
	struct kx_ranges boot, ram;

	kx_boot_map(&boot);
	kx_system_ram(&ram);
	self->c.seg[0].mem = boot.nr ? only_in(&ram, &boot, 1UL << 45) : 0;
	if (!NEED("hotplug", self->c.seg[0].mem))
		return;
	ACCEPTED();
}

ROW(load, row12_before_row13)
{
	self->c.nr = 2;
	self->c.seg[0].mem = find_hole(4 * KX_GIB);
	self->c.seg[1].mem = self->c.seg[0].mem;
	if (!NEED("hole", self->c.seg[0].mem))
		return;
	REFUSED(EADDRNOTAVAIL);
}

ROW(load, row12_before_row14)
{
	self->c.seg[0].mem = find_hole(4 * KX_GIB);
	self->c.seg[0].bufsz = SEGMENT + 1;
	if (!NEED("hole", self->c.seg[0].mem))
		return;
	REFUSED(EADDRNOTAVAIL);
}

/*
 * Row 13: overlaps
 */

ROW(load, row13_same)
{
	self->c.nr = 2;
	self->c.seg[1].mem = self->c.seg[0].mem;
	REFUSED(EINVAL);
}

ROW(load, row13_partly)
{
	self->c.nr = 2;
	self->c.seg[1].mem = self->c.seg[0].mem + SEGMENT - KX_PAGE;
	REFUSED(EINVAL);
	self->c.seg[1].mem = self->c.seg[0].mem - SEGMENT + KX_PAGE;
	REFUSED(EINVAL);
}

ROW(load, row13_inside)
{
	self->c.nr = 2;
	self->c.seg[1].mem = self->c.seg[0].mem + KX_PAGE;
	self->c.seg[1].memsz = KX_PAGE;
	self->c.seg[1].bufsz = 1;
	REFUSED(EINVAL);
}

ROW(load, row13_first_and_last)
{
	self->c.nr = KEXEC_SEGMENT_MAX;
	self->c.seg[KEXEC_SEGMENT_MAX - 1].mem = self->c.seg[0].mem;
	REFUSED(EINVAL);
}

ROW(load, row13_touching)
{
	self->c.nr = 3;
	self->c.seg[1].mem = self->c.seg[0].mem + SEGMENT;
	self->c.seg[2].mem = self->c.seg[0].mem - SEGMENT;
	ACCEPTED();
}

ROW(load, row13_memsz0_inside)
{
	self->c.nr = 2;
	self->c.seg[1] = (struct kx_seg){ .mem = self->c.seg[0].mem + KX_PAGE };
	ACCEPTED();
}

ROW(load, row13_memsz0_around)
{
	self->c.nr = 4;
	self->c.seg[1] = (struct kx_seg){ .mem = self->c.seg[0].mem };
	self->c.seg[2] = (struct kx_seg){ .mem = self->c.seg[0].mem + SEGMENT };
	self->c.seg[3] = self->c.seg[2];
	ACCEPTED();
}

/*
 * Row 14: sizes
 */

ROW(load, row14_content_too_big)
{
	self->c.seg[0].bufsz = SEGMENT + 1;
	REFUSED(EINVAL);
}

ROW(load, row14_content_of_nothing)
{
	self->c.nr = 2;
	self->c.seg[1].memsz = 0;
	self->c.seg[1].bufsz = 1;
	REFUSED(EINVAL);
}

ROW(load, row14_before_row17)
{
	self->c.seg[0].bufsz = SEGMENT + 1;
	self->c.seg[0].buf = NULL;
	REFUSED(EINVAL);
}

/*
 * Row 16: what fits
 */

/*
 * Content @bytes, over memory as it comes; false if that isn't possible with 16
 * segments. All segments have one source, of which nothing is in memory.
 */
static bool cover_memory(struct call *c, u64 bytes)
{
	u64 part = kx_page_up(bytes / (KEXEC_SEGMENT_MAX - 2));
	const void *source = kx_sparse(part);
	struct kx_ranges ram;
	size_t i;
	u64 at;

	kx_system_ram(&ram);
	c->nr = 0;
	for (i = 0; i < ram.nr && bytes; i++) {
		if (ram.v[i].start < KX_MIB)
			continue;
		for (at = kx_page_up(ram.v[i].start); bytes; at += part) {
			u64 end = c->limit && c->limit < ram.v[i].end ?
				  c->limit : ram.v[i].end & KX_PAGE_MASK;
			u64 size = bytes < part ? bytes : part;

			if (at >= end)
				break;
			if (size > end - at)
				size = end - at;
			if (c->nr == KEXEC_SEGMENT_MAX)
				return false;
			c->seg[c->nr++] = (struct kx_seg){ source, size, at, size };
			bytes -= size;
		}
	}
	return !bytes;
}

static u64 memory_above_1m(void)
{
	struct kx_ranges ram;
	u64 total = 0;
	size_t i;

	kx_system_ram(&ram);
	for (i = 0; i < ram.nr; i++)
		if (ram.v[i].start >= KX_MIB)
			total += (ram.v[i].end & KX_PAGE_MASK) -
				 kx_page_up(ram.v[i].start);
	return total;
}

static void does_not_fit(struct __test_metadata *_metadata, const struct call *c)
{
	long kills = oom_kills();
	u64 start = kx_now_ns();

	EXPECT_EQ(-ENOMEM, attempt(c));
	EXPECT_GT(PROMPT_NS, kx_now_ns() - start);
	refused(_metadata, c, ENOMEM);
	EXPECT_EQ(kills, oom_kills());
}

ROW(load, row16_all_of_memory)
{
	if (!NEED("all", cover_memory(&self->c, memory_above_1m())))
		return;
	does_not_fit(_metadata, &self->c);
}

/* What is free now, and some more; all of it has to be tried. */
ROW(load, row16_a_little_too_much)
{
	u64 total = memory_above_1m();
	u64 bytes = (kx_free_kb() * 1024 + total) / 2 & KX_PAGE_MASK;

	if (!NEED("all", cover_memory(&self->c, bytes)))
		return;
	does_not_fit(_metadata, &self->c);
}

ROW(load, row16_before_row17)
{
	unsigned int i;

	if (!NEED("all", cover_memory(&self->c, memory_above_1m())))
		return;
	for (i = 0; i < self->c.nr; i++)
		self->c.seg[i].buf = NULL;
	does_not_fit(_metadata, &self->c);
}

ROW(load, row14_before_row16)
{
	if (!NEED("all", cover_memory(&self->c, memory_above_1m())))
		return;
	self->c.seg[0].bufsz++;
	REFUSED(EINVAL);
}

ROW(load, row16_more_than_half)
{
	u64 bytes = memory_above_1m() * 6 / 10 & KX_PAGE_MASK;

	if (!NEED("free", bytes / 1024 < kx_free_kb() * 9 / 10))
		return;
	if (!NEED("all", cover_memory(&self->c, bytes)))
		return;
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_EQ(1, kx_loaded());
	clean_up(_metadata);
}

/* Zeros do not have to wait anywhere; only the jump itself needs some room. */
ROW(load, row16_zeros_take_no_memory)
{
	/* Not all of it: the pages that the jump needs lie outside. */
	u64 bytes = memory_above_1m() * 6 / 10 & KX_PAGE_MASK;
	unsigned long free_kb;
	unsigned int i;

	if (!NEED("all", cover_memory(&self->c, bytes)))
		return;
	for (i = 0; i < self->c.nr; i++)
		self->c.seg[i].bufsz = 1;
	free_kb = kx_free_kb();
	EXPECT_EQ(0, attempt(&self->c));
	EXPECT_GT(kx_free_kb() + 8 * 1024, free_kb);
	EXPECT_EQ(1, kx_loaded());
}

/*
 * Row 17: the content
 */

ROW(load, row17_no_buffer)
{
	self->c.seg[0].buf = NULL;
	REFUSED(EFAULT);
}

ROW(load, row17_buffer_cut_short)
{
	self->c.nr = 2;
	self->c.seg[1].bufsz = KX_PAGE + 5;
	self->c.seg[1].buf = kx_guarded(KX_PAGE + 4);
	REFUSED(EFAULT);
	self->c.seg[1].bufsz--;
	ACCEPTED();
}

ROW(native, row17_kernel_address)
{
	self->c.seg[0].buf = (void *)0xffff888000001000;
	REFUSED(EFAULT);
}

/* The last of sixteen, when the rest has been copied */
ROW(load, row17_last_segment)
{
	self->c.nr = KEXEC_SEGMENT_MAX;
	self->c.seg[KEXEC_SEGMENT_MAX - 1].buf = (void *)KX_PAGE;
	REFUSED(EFAULT);
}

/*
 * Row 18: a fatal signal
 */

static pid_t load_in_child(const struct call *c)
{
	pid_t pid = fork();

	if (!pid) {
		attempt(c);
		_exit(0);
	}
	return pid;
}

static u64 kill_after(const struct call *c, u64 ns)
{
	u64 start = kx_now_ns();
	pid_t pid = load_in_child(c);

	while (kx_now_ns() - start < ns)
		usleep(200);
	return kill_child(pid);
}

/* What the call returned to its dead caller, as the trace saw it */
static long traced_result(void)
{
	char line[KX_LINE];
	char *at;

	if (!kx_trace_find("sys_exit: NR 246 = ", line))
		return 0;
	at = strstr(line, "= ");
	return at ? atol(at + 2) : 0;
}

/* An image that takes some time; how much? */
static u64 take_time(struct __test_metadata *_metadata, struct call *c)
{
	u64 bytes = memory_above_1m() * 4 / 10 & KX_PAGE_MASK;
	u64 start;

	if (bytes > 300 * KX_MIB)
		bytes = 300 * KX_MIB;
	ASSERT_TRUE(cover_memory(c, bytes));
	start = kx_now_ns();
	EXPECT_EQ(0, attempt(c));
	start = kx_now_ns() - start;
	kx_unload();
	return start;
}

ROW(native, row18_killed)
{
	u64 ns = take_time(_metadata, &self->c);
	long ret = 0;
	int i;

	if (!NEED("trace", kx_trace_on("raw_syscalls/sys_exit", "id == 246")))
		return;
	for (i = 1; i < 20 && !ret; i++) {
		kx_trace_clear();
		kill_after(&self->c, ns * i / 20);
		ret = traced_result();
		kx_unload();
	}
	kx_trace_off("raw_syscalls/sys_exit");
	EXPECT_EQ(-EINTR, ret);
}

/* At any time: it dies soon, and leaves nothing but what was there before. */
ROW(load, row18_leaves_nothing)
{
	u64 ns = take_time(_metadata, &self->c);
	unsigned long free_kb;
	int i;

	ASSERT_EQ(0, load_old());
	free_kb = kx_free_kb();
	for (i = 0; i < 8; i++) {
		EXPECT_GT(PROMPT_NS, kill_after(&self->c, ns * i / 10));
		EXPECT_EQ(1, kx_loaded());
	}
	kx_unload();
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
}

/* The child has to make its own blocker: userfaultfd ends with fork(). */
static pid_t block_in_child(const struct call *c)
{
	struct kx_blocker blocker;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (kx_block(&blocker, SEGMENT)) {
		c->seg[0].buf = blocker.buf;
		attempt(c);
	}
	_exit(0);
}

/* Waiting for its own source, it can be killed too, and nobody stays busy. */
ROW(load, row18_killed_while_reading)
{
	pid_t pid = block_in_child(&self->c);
	int i;

	for (i = 0; i < 1000 && kx_unload() != -EBUSY; i++)
		usleep(10000);
	EXPECT_EQ(-EBUSY, kx_unload());
	EXPECT_GT(PROMPT_NS, kill_child(pid));
	EXPECT_EQ(0, kx_loaded());
	ACCEPTED();
}

/*
 * Accepted
 */

ROW(load, accepted_one_segment)
{
	ACCEPTED();
}

ROW(load, accepted_sixteen_segments)
{
	self->c.nr = KEXEC_SEGMENT_MAX;
	ACCEPTED();
}

ROW(load, accepted_entry_anywhere)
{
	self->c.entry = 0;
	ACCEPTED();
	self->c.entry = self->c.dest + 64 * KX_MIB + 1;
	ACCEPTED();
}

ROW(load, accepted_destination_0)
{
	self->c.seg[0].mem = 0;
	ACCEPTED();
}

ROW(load, accepted_no_content)
{
	self->c.seg[0].buf = NULL;
	self->c.seg[0].bufsz = 0;
	ACCEPTED();
}

ROW(load, accepted_odd_content)
{
	self->c.seg[0].buf = self->c.buf + 5;
	self->c.seg[0].bufsz = KX_PAGE + 1;
	ACCEPTED();
}

ROW(load, accepted_memsz0)
{
	self->c.nr = 2;
	self->c.seg[1].memsz = 0;
	self->c.seg[1].bufsz = 0;
	ACCEPTED();
}

ROW(load, accepted_memsz0_alone)
{
	self->c.seg[0].memsz = 0;
	self->c.seg[0].bufsz = 0;
	ACCEPTED();
}

ROW(load, accepted_memsz0_at_0)
{
	self->c.nr = 2;
	self->c.seg[1] = (struct kx_seg){};
	ACCEPTED();
}

ROW(load, accepted_flags_for_crash_images)
{
	self->c.flags = KEXEC_UPDATE_ELFCOREHDR;
	ACCEPTED();
	self->c.flags = KEXEC_CRASH_HOTPLUG_SUPPORT;
	ACCEPTED();
	self->c.flags = KEXEC_UPDATE_ELFCOREHDR | KEXEC_CRASH_HOTPLUG_SUPPORT;
	ACCEPTED();
}

/*
 * Both calls, and reboot(2)
 */

/* The old image is there until the new one is complete. */
ROW(native, both_replace_in_one_step)
{
	struct slow_load slow;

	ASSERT_EQ(0, load_old());
	slow_load_start(_metadata, &slow);
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(-EBUSY, kx_unload());
	EXPECT_EQ(1, kx_loaded());
	slow_load_finish(_metadata, &slow);
}

/* The next two would start something else than a test if they failed. */
ROW(native, both_reboot_with_nothing_loaded)
{
	if (!kx_destructive())
		SKIP(return, "KEXEC_TEST_DESTRUCTIVE is not set");
	EXPECT_EQ(-EINVAL, kx_reboot());
	EXPECT_EQ(-EINVAL, kx_reboot());
	ACCEPTED();
}

ROW(native, both_reboot_while_loading)
{
	struct slow_load slow;

	if (!kx_destructive())
		SKIP(return, "KEXEC_TEST_DESTRUCTIVE is not set");
	slow_load_start(_metadata, &slow);
	EXPECT_EQ(-EBUSY, kx_reboot());
	slow_load_finish(_metadata, &slow);
	ASSERT_EQ(0, load_old());
	slow_load_start(_metadata, &slow);
	EXPECT_EQ(-EBUSY, kx_reboot());
	slow_load_finish(_metadata, &slow);
}

TEST_HARNESS_MAIN
