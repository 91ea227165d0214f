// SPDX-License-Identifier: GPL-2.0
/*
 * The trace event of a load, kexec:kexec_load: what it says must add up, and
 * KEXEC_DEBUG must bring the same into the log. Both calls have the same event.
 */
#include <errno.h>
#include <fcntl.h>
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

/* Returns whether the test can go on. */
static bool set_up(struct __test_metadata *_metadata)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return false, "%s", unfit);
	if (kx_loaded() && !kx_destructive())
		SKIP(return false, "something is loaded, which these tests would unload");
	if (access("/sys/kernel/tracing/README", F_OK))
		SKIP(return false, "no tracefs");
	EXPECT_EQ(0, access(EVENTS "kexec_load", F_OK));
	EXPECT_EQ(0, access(EVENTS "kexec_jump", F_OK));
	kx_unload();
	kx_trace_clear();
	EXPECT_TRUE(kx_trace_on(EVENT, NULL));
	return true;
}

FIXTURE_SETUP(trace)
{
	struct kx_ranges ram;
	struct kx_range range;

	if (!set_up(_metadata))
		return;
	kx_system_ram(&ram);
	range = kx_largest(&ram, 4 * KX_GIB);
	self->c.dest = (range.start + (range.end - range.start) / 3) & KX_PAGE_MASK;
	self->c.seg = kx_alloc(KX_PAGE);
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

/* What nobody uses can be had before the load. */
TEST_F_TIMEOUT(trace, free_memory_is_home, 120)
{
	struct kx_ranges nobodys;

	add(&self->c, 0, 32 * KX_MIB, 32 * KX_MIB);
	kx_free_memory(32 * KX_MIB, &nobodys);
	ASSERT_LT(0UL, nobodys.nr);
	self->c.seg[0].mem = nobodys.v[nobodys.nr / 2].start;
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

/*
 * By kexec_file_load(2)
 */

#define PHASE "kexec/kexec_phase"
#define INITRD (5 * KX_MIB + 5)
#define BSS (7 * KX_PAGE)
/* The loader's own: boot_params, command line, setup_data; IMA's list */
#define MAX_EXTRA (KX_MIB)

/* A load of files; of the kernel, the content and its zeros are whole pages. */
struct file_call {
	int kernel, initrd;
	union kx_fake fake;
	struct kx_stats stats;
};

FIXTURE(file_trace) {
	struct file_call c;
};

FIXTURE_SETUP(file_trace)
{
	struct file_call *c = &self->c;

	if (!set_up(_metadata))
		return;
	if (!kx_have_file_load()) {
		EXPECT_FALSE(kx_demanded("file"));
		SKIP(return, "no kexec_file_load");
	}
	kx_fake_init(&c->fake);
	c->fake.hdr.init_size = KX_FAKE_BODY + BSS;
	c->kernel = kx_memfd(&c->fake, sizeof(c->fake));
	c->initrd = kx_memfd(NULL, INITRD);
	ASSERT_TRUE(kx_trace_on(PHASE, NULL));
}

FIXTURE_TEARDOWN(file_trace)
{
	kx_trace_off(PHASE);
	kx_trace_off(EVENT);
	kx_unload();
}

static long load_files(const struct file_call *c, unsigned long flags)
{
	return kx_file_load(c->kernel, c->initrd, 2, "x", flags);
}

/* With so much of an initrd; what the loader adds is only known roughly. */
static void check_file_sums(struct __test_metadata *_metadata,
			    const struct kx_stats *s, u64 initrd)
{
	u64 content = KX_FAKE_BODY + kx_page_up(initrd);

	EXPECT_STREQ("default", s->type);
	EXPECT_LE(2U + !!initrd, s->segments);
	EXPECT_GE(3U + !!initrd, s->segments);
	EXPECT_LE(content + KX_PAGE, s->content);
	EXPECT_GE(content + MAX_EXTRA, s->content);
	EXPECT_EQ(s->content, s->home + s->move);
	EXPECT_EQ(BSS, s->zero);
	EXPECT_EQ(!s->move, !s->runs);
	EXPECT_LT(0UL, s->pieces);
	EXPECT_LT(0UL, s->place_ns);
	EXPECT_LT(0UL, s->fill_ns);
	EXPECT_LT(0UL, s->seal_ns);
}

/* The phase that was the last, and what became of it */
static bool last_phase(const char *phase, long err)
{
	char line[KX_LINE];

	return kx_trace_find("kexec_phase: ", line) &&
	       kx_match(line, "phase=%s ns=[0-9]+ error=%ld\n", phase, err);
}

TEST_F_TIMEOUT(file_trace, sums, 120)
{
	ASSERT_EQ(0, load_files(&self->c, 0));
	ASSERT_TRUE(kx_trace_stats(&self->c.stats));
	check_file_sums(_metadata, &self->c.stats, INITRD);
	EXPECT_TRUE(last_phase("seal", 0));
}

TEST_F_TIMEOUT(file_trace, without_initrd, 120)
{
	ASSERT_EQ(0, load_files(&self->c, KEXEC_FILE_NO_INITRAMFS));
	ASSERT_TRUE(kx_trace_stats(&self->c.stats));
	check_file_sums(_metadata, &self->c.stats, 0);
}

/* A file's own pages are where they belong already. */
TEST_F_TIMEOUT(file_trace, free_memory_is_home, 120)
{
	ASSERT_EQ(0, load_files(&self->c, 0));
	ASSERT_TRUE(kx_trace_stats(&self->c.stats));
	EXPECT_LT(self->c.stats.content / 2, self->c.stats.home);
}

TEST_F_TIMEOUT(file_trace, moved_when_asked, 120)
{
	ASSERT_EQ(0, load_files(&self->c, KEXEC_FILE_NO_CMA));
	ASSERT_TRUE(kx_trace_stats(&self->c.stats));
	check_file_sums(_metadata, &self->c.stats, INITRD);
	EXPECT_LT(self->c.stats.content / 2, self->c.stats.move);
}

/* Before it is an image, there are no phases. */
TEST_F(file_trace, nothing_of_a_refusal)
{
	char line[KX_LINE];

	close(self->c.initrd);
	EXPECT_EQ(-EBADF, load_files(&self->c, 0));
	EXPECT_FALSE(kx_trace_stats(&self->c.stats));
	EXPECT_FALSE(kx_trace_find("kexec_phase: ", line));
}

TEST_F_TIMEOUT(file_trace, debug_flag_logs_it, 120)
{
	struct kx_stats logged;
	int log = kx_log_open();

	EXPECT_EQ(0, load_files(&self->c, 0));
	EXPECT_FALSE(find_stats(log, &logged));
	kx_trace_clear();
	EXPECT_EQ(0, load_files(&self->c, KEXEC_FILE_DEBUG));
	ASSERT_TRUE(kx_trace_stats(&self->c.stats));
	ASSERT_TRUE(find_stats(log, &logged));
	check_file_sums(_metadata, &logged, INITRD);
	EXPECT_EQ(0, memcmp(&logged, &self->c.stats, sizeof(logged)));
}

TEST_HARNESS_MAIN
