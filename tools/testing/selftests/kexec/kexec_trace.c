// SPDX-License-Identifier: GPL-2.0
/*
 * The trace event of a load, kexec:kexec_load: what it says must add up, and
 * KEXEC_DEBUG must bring the same into the log.
 */
#include <errno.h>
#include <kselftest_harness.h>

#include "kexec_util.h"

#define EVENT "kexec/kexec_load"
#define EVENTS "/sys/kernel/tracing/events/kexec/"

struct call {
	struct kx_seg *seg;
	unsigned long nr;
	u64 dest;
	struct kx_stats stats;
};

FIXTURE(trace) {
	struct call c;
};

FIXTURE_SETUP(trace)
{
	const char *unfit = kx_unfit();
	struct kx_ranges ram;
	struct kx_range range;

	if (unfit)
		SKIP(return, "%s", unfit);
	if (kx_loaded() && !kx_destructive())
		SKIP(return, "something is loaded, which these tests would unload");
	if (!access("/sys/kernel/tracing/README", F_OK)) {
		ASSERT_EQ(0, access(EVENTS "kexec_load", F_OK));
		ASSERT_EQ(0, access(EVENTS "kexec_jump", F_OK));
	} else {
		SKIP(return, "no tracefs");
	}
	kx_unload();
	kx_system_ram(&ram);
	range = kx_largest(&ram, 4 * KX_GIB);
	self->c.dest = (range.start + (range.end - range.start) / 3) & KX_PAGE_MASK;
	self->c.seg = kx_alloc(KX_PAGE);
	kx_trace_clear();
	ASSERT_TRUE(kx_trace_on(EVENT, NULL));
}

FIXTURE_TEARDOWN(trace)
{
	kx_trace_off(EVENT);
	kx_unload();
}

static void add(struct call *c, u64 mem, u64 memsz, u64 bufsz)
{
	c->seg[c->nr++] = (struct kx_seg){
		kx_alloc(kx_page_up(bufsz) + KX_PAGE), bufsz, mem, memsz,
	};
}

/* What must hold for every load, whatever its shape */
static void check_sums(struct __test_metadata *_metadata,
		       const struct call *c, const struct kx_stats *s)
{
	u64 content = 0, memory = 0;
	unsigned int i;

	for (i = 0; i < c->nr; i++) {
		content += kx_page_up(c->seg[i].bufsz);
		memory += c->seg[i].memsz;
	}
	EXPECT_STREQ("default", s->type);
	EXPECT_EQ(c->nr, s->segments);
	EXPECT_EQ(content, s->content);
	EXPECT_EQ(s->content, s->home + s->move);
	EXPECT_EQ(memory - content, s->zero);
	EXPECT_EQ(!s->move, !s->runs);
	EXPECT_EQ(!s->content, !s->pieces);
	EXPECT_LE(s->runs, s->move / KX_PAGE);
	EXPECT_LE(s->pieces, s->content / KX_PAGE);
}

static void load(struct __test_metadata *_metadata, struct call *c)
{
	const struct kx_stats *s = &c->stats;
	u64 start = kx_now_ns(), took;

	kx_trace_clear();
	ASSERT_EQ(0, kx_load(0, c->nr, c->seg, 0));
	took = kx_now_ns() - start;
	ASSERT_TRUE(kx_trace_stats(&c->stats));
	check_sums(_metadata, c, s);
	EXPECT_LE(s->check_ns + s->place_ns + s->fill_ns + s->seal_ns, took);
	if (s->content) {
		EXPECT_LT(0UL, s->place_ns);
		EXPECT_LT(0UL, s->fill_ns);
		EXPECT_LT(0UL, s->seal_ns);
	}
}

#define LOAD() load(_metadata, &self->c)

TEST_F(trace, one_page)
{
	add(&self->c, self->c.dest, KX_PAGE, KX_PAGE);
	LOAD();
	EXPECT_EQ(KX_PAGE, self->c.stats.content);
}

TEST_F(trace, content_is_whole_pages)
{
	add(&self->c, self->c.dest, 8 * KX_PAGE, 1);
	add(&self->c, self->c.dest + 8 * KX_PAGE, 8 * KX_PAGE, KX_PAGE + 1);
	add(&self->c, self->c.dest + 16 * KX_PAGE, 8 * KX_PAGE, 8 * KX_PAGE - 1);
	LOAD();
	EXPECT_EQ(11 * KX_PAGE, self->c.stats.content);
	EXPECT_EQ(13 * KX_PAGE, self->c.stats.zero);
}

TEST_F(trace, only_zeros)
{
	add(&self->c, self->c.dest, 64 * KX_MIB, 0);
	LOAD();
	EXPECT_EQ(0, self->c.stats.content);
	EXPECT_EQ(64 * KX_MIB, self->c.stats.zero);
}

TEST_F_TIMEOUT(trace, sixteen_segments, 120)
{
	unsigned int i;

	for (i = 0; i < KEXEC_SEGMENT_MAX; i++)
		add(&self->c, self->c.dest + i * 3 * KX_MIB,
		    2 * KX_MIB + i * KX_PAGE, KX_MIB + i * 1000);
	LOAD();
}

/* Free memory in the middle of nowhere can be had before the load. */
TEST_F_TIMEOUT(trace, free_memory_is_home, 120)
{
	add(&self->c, self->c.dest, 32 * KX_MIB, 32 * KX_MIB);
	LOAD();
	EXPECT_LT(self->c.stats.content / 2, self->c.stats.home);
}

/* This kernel's own code is in use, and nobody can give it away. */
TEST_F(trace, used_memory_is_moved)
{
	struct kx_ranges code;

	kx_iomem("Kernel code", &code);
	ASSERT_LT(0UL, code.nr);
	add(&self->c, code.v[0].start & KX_PAGE_MASK, 2 * KX_MIB, 2 * KX_MIB);
	LOAD();
	EXPECT_EQ(self->c.stats.content, self->c.stats.move);
}

TEST_F_TIMEOUT(trace, where_memory_comes_from, 120)
{
	struct kx_range zone = kx_allocator_zone();
	struct kx_ranges ram;
	u64 size = 16 * KX_MIB;

	kx_system_ram(&ram);
	zone.start = (zone.start + zone.end) / 2 & KX_PAGE_MASK;
	if (!kx_contains(&ram, zone.start, zone.start + size))
		zone.start -= size;
	add(&self->c, zone.start, size, size);
	LOAD();
}

TEST_F(trace, nothing_of_a_refusal)
{
	add(&self->c, self->c.dest, KX_PAGE, KX_PAGE);
	self->c.seg[0].buf = NULL;
	EXPECT_EQ(-EFAULT, kx_load(0, self->c.nr, self->c.seg, 0));
	EXPECT_FALSE(kx_trace_stats(&self->c.stats));
	self->c.seg[0].memsz++;
	EXPECT_EQ(-EADDRNOTAVAIL, kx_load(0, self->c.nr, self->c.seg, 0));
	EXPECT_FALSE(kx_trace_stats(&self->c.stats));
}

/* The line with the sums, among whatever else it says */
static bool find_stats(int log, struct kx_stats *s)
{
	char line[KX_LINE];
	bool found = false;

	while (kx_log_next(log, line))
		found |= kx_parse_stats(line, s);
	return found;
}

TEST_F(trace, debug_flag_logs_it)
{
	struct kx_stats logged;
	int log = kx_log_open();

	add(&self->c, self->c.dest, 300 * KX_PAGE, 200 * KX_PAGE + 5);
	EXPECT_EQ(0, kx_load(0, self->c.nr, self->c.seg, 0));
	EXPECT_FALSE(find_stats(log, &logged));
	kx_trace_clear();
	EXPECT_EQ(0, kx_load(0, self->c.nr, self->c.seg, KEXEC_DEBUG));
	ASSERT_TRUE(kx_trace_stats(&self->c.stats));
	ASSERT_TRUE(find_stats(log, &logged));
	check_sums(_metadata, &self->c, &logged);
	EXPECT_EQ(0, memcmp(&logged, &self->c.stats, sizeof(logged)));
}

TEST_HARNESS_MAIN
