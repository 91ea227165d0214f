// SPDX-License-Identifier: GPL-2.0
/*
 * Sections: what a page is; the steps of a placement; its runs; the jump.
 */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "model.h"

/*
 * What a page is
 */

static bool is_home(const struct model *m, unsigned long pfn)
{
	return m->given[pfn] && m->content[pfn] && !m->pinned[pfn];
}

/* Its content is elsewhere already, and it may not hold anything else. */
static bool is_aside(const struct model *m, unsigned long pfn)
{
	return m->given[pfn] && m->content[pfn] && m->pinned[pfn];
}

static bool is_lent(const struct model *m, unsigned long pfn)
{
	return m->given[pfn] && !m->content[pfn] && !m->own[pfn];
}

/* How many of each there are. */
struct tally {
	unsigned long content, home, pinned, aside, lent;
};

static struct tally tally(const struct model *m)
{
	struct tally t = {};
	unsigned long pfn;

	for (pfn = 0; pfn < m->nr; pfn++) {
		t.content += m->content[pfn];
		t.home += is_home(m, pfn);
		t.pinned += m->pinned[pfn];
		t.aside += is_aside(m, pfn);
		t.lent += is_lent(m, pfn);
	}
	return t;
}

void model_init(struct model *m, unsigned long nr,
		const struct kexec_range *dst, unsigned int nr_dsts)
{
	unsigned long pfn;
	unsigned int i;

	check(nr <= MODEL_PAGES);
	memset(m, 0, offsetof(struct model, pin));
	m->nr = nr;
	for (i = 0; i < nr_dsts; i++) {
		for (pfn = dst[i].start; pfn < dst[i].end; pfn++) {
			check(pfn < nr && !m->content[pfn]);
			m->content[pfn] = true;
		}
	}
}

/* Pages of content that need a lender. */
unsigned long model_away(const struct model *m)
{
	struct tally t = tally(m);

	return t.content - t.home - t.pinned;
}

unsigned long model_missing(const struct model *m)
{
	unsigned long away = model_away(m), lent = tally(m).lent;

	return away > lent ? away - lent : 0;
}

bool model_holds(const struct model *m, struct kexec_range r)
{
	for (; r.start < r.end; r.start++)
		if (is_home(m, r.start) || m->pinned[r.start])
			return true;
	return false;
}

/*
 * Steps
 */

static unsigned long pages(const struct kexec_ranges *table)
{
	unsigned long i, sum = 0;

	for (i = 0; i < table->nr; i++)
		sum += table->v[i].end - table->v[i].start;
	return sum;
}

void model_check_counts(const struct model *m, const struct kexec_place *place)
{
	struct tally t = tally(m);

	check(place->nr_content == t.content);
	check(place->nr_home == t.home);
	check(place->nr_pinned == t.pinned);
	check(place->nr_lent == t.lent);
	check(pages(&place->aside) == t.aside);
	check(kexec_place_missing(place) == model_missing(m));
}

void model_note_pinned(struct model *m, struct kexec_run run)
{
	for (; run.nr; run.nr--, run.dst++, run.src++) {
		check(run.dst < m->nr && run.src < m->nr);
		check(m->content[run.dst] && !m->content[run.src]);
		check(!m->given[run.dst] && !m->given[run.src]);
		check(!m->pinned[run.dst]);
		m->pinned[run.dst] = true;
		m->pin[run.dst] = run.src;
		m->own[run.src] = true;
		m->given[run.src] = true;
	}
}

void model_pin(struct model *m, struct kexec_place *place,
	       struct kexec_run run)
{
	check(!kexec_place_pin(place, run));
	model_note_pinned(m, run);
	model_check_counts(m, place);
}

void model_note_given(struct model *m, struct kexec_range r)
{
	unsigned long pfn;

	for (pfn = r.start; pfn < r.end; pfn++) {
		check(pfn < m->nr && !m->given[pfn]);
		m->given[pfn] = true;
	}
}

void model_give(struct model *m, struct kexec_place *place,
		struct kexec_range r)
{
	check(!kexec_place_give(place, r));
	model_note_given(m, r);
	model_check_counts(m, place);
}

/* What comes back was given; it comes back once, unless it is given again. */
static void take_back(struct kexec_range r, void *data)
{
	struct model *m = data;
	unsigned long pfn;

	check(r.start < r.end && r.end <= m->nr);
	for (pfn = r.start; pfn < r.end; pfn++) {
		check(m->given[pfn]);
		m->given[pfn] = false;
	}
}

void model_trim(struct model *m, struct kexec_place *place)
{
	struct tally before = tally(m), after;
	unsigned long away = model_away(m), pfn;

	kexec_place_trim(place, take_back, m);
	after = tally(m);
	check(after.home == before.home);
	check(after.lent == (before.lent < away ? before.lent : away));
	check(!after.aside);
	for (pfn = 0; pfn < m->nr; pfn++)
		check(m->given[pfn] || !m->own[pfn]);
	model_check_counts(m, place);
}

void model_release(struct model *m, struct kexec_place *place)
{
	unsigned long pfn;

	kexec_place_release(place, take_back, m);
	for (pfn = 0; pfn < m->nr; pfn++)
		check(!m->given[pfn]);
	check(!place->nr_dsts && !place->nr_content && !place->nr_runs);
	check(!place->home.nr && !place->nr_home);
	check(!place->lent.nr && !place->nr_lent);
	check(!place->pins.nr && !place->nr_pinned && !place->aside.nr);
	check(!unit_live_tables());
	kexec_place_release(place, take_back, m);
}

/*
 * Runs
 */

/* Sorted, and no two entries could be one: that keeps the runs few. */
static void check_joined(const struct kexec_ranges *table)
{
	unsigned long i;

	for (i = 1; i < table->nr; i++)
		check(table->v[i - 1].end < table->v[i].start);
}

static void check_order(const struct kexec_place *place)
{
	const struct kexec_run *run = place->runs;
	unsigned long i;

	for (i = 0; i < place->nr_runs; i++, run++) {
		check(run->nr);
		if (!i)
			continue;
		check(run[-1].dst + run[-1].nr <= run->dst);
		/* Two that could be one are one. */
		check(run[-1].dst + run[-1].nr != run->dst ||
		      run[-1].src + run[-1].nr != run->src);
	}
}

/* What is pinned waits where it is, anything else in memory that was lent. */
static bool may_wait(const struct model *m, unsigned long dst,
		     unsigned long src)
{
	return m->pinned[dst] ? m->pin[dst] == src : is_lent(m, src);
}

/* Note where each page of content waits: at home, or where one run says. */
static void note_sources(struct model *m, const struct kexec_place *place)
{
	bool used[MODEL_PAGES] = {};
	const struct kexec_run *run;
	unsigned long pfn, i;

	for (pfn = 0; pfn < m->nr; pfn++)
		m->src[pfn] = is_home(m, pfn) ? pfn : ULONG_MAX;
	for (run = place->runs; run < place->runs + place->nr_runs; run++) {
		check(run->dst < m->nr && run->nr <= m->nr - run->dst);
		check(run->src < m->nr && run->nr <= m->nr - run->src);
		for (i = 0; i < run->nr; i++) {
			check(m->content[run->dst + i]);
			check(m->src[run->dst + i] == ULONG_MAX);
			check(may_wait(m, run->dst + i, run->src + i));
			check(!used[run->src + i]);
			m->src[run->dst + i] = run->src + i;
			used[run->src + i] = true;
		}
	}
	for (pfn = 0; pfn < m->nr; pfn++) {
		check(m->content[pfn] == (m->src[pfn] != ULONG_MAX));
		check((is_lent(m, pfn) || m->own[pfn]) == used[pfn]);
	}
}

/* A stretch says where each of its pages waits, and is as long as can be. */
static void check_find(const struct model *m, const struct kexec_place *place,
		       unsigned long pfn)
{
	struct kexec_run found = kexec_place_find(place, pfn);
	unsigned long i, left = m->nr - pfn;

	check(found.dst == pfn);
	check(found.nr);
	for (i = 0; i < found.nr && i < left; i++)
		check(!m->content[pfn + i] ||
		      m->src[pfn + i] == found.src + i);
	check(i == left || !m->content[pfn + i] ||
	      m->src[pfn + i] != found.src + i);
}

static void check_sorted(const struct model *m, const struct kexec_place *place)
{
	unsigned long pfn;

	check_joined(&place->home);
	check_joined(&place->lent);
	model_check_counts(m, place);
	for (pfn = 0; pfn < m->nr; pfn++) {
		struct kexec_range r = { pfn, pfn + 1 };

		if (m->content[pfn])
			check(kexec_place_holds(place, r) == model_holds(m, r));
	}
}

void model_finish(struct model *m, struct kexec_place *place)
{
	unsigned long nr, pfn;

	kexec_place_sort(place);
	check_sorted(m, place);
	nr = kexec_place_count_runs(place);
	check(!place->runs && !place->nr_runs);
	check(!kexec_place_finish(place));
	check(place->runs && place->nr_runs == nr);
	check_order(place);
	note_sources(m, place);
	for (pfn = 0; pfn < m->nr; pfn++)
		if (m->content[pfn])
			check_find(m, place, pfn);
}

/*
 * The jump
 */

/* What a page holds: the content that belongs to a frame, zeros, or its own. */
#define TAG_CONTENT	0x10000u
#define TAG_OTHER	0x20000u
#define TAG_ZERO	0u

static u64 random_state;

void random_start(u64 seed)
{
	random_state = seed;
}

/* splitmix64: any seed is good, and the next one gives quite other numbers. */
u32 random_below(u32 limit)
{
	u64 x = random_state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return ((x ^ x >> 31) >> 32) * limit >> 32;
}

/* A pinned page is never written: what is found there is what was read. */
static void fill_page(const struct model *m, unsigned long pfn,
		      unsigned long src, u32 *memory)
{
	if (m->pinned[pfn])
		check(memory[src] == TAG_CONTENT + pfn);
	else
		memory[src] = TAG_CONTENT + pfn;
}

/* As the loader goes through a segment: stretch by stretch. */
static void fill(const struct model *m, const struct kexec_place *place,
		 u32 *memory)
{
	unsigned long pfn = 0;

	while (pfn < m->nr) {
		struct kexec_run run;

		if (!m->content[pfn]) {
			pfn++;
			continue;
		}
		run = kexec_place_find(place, pfn);
		for (; run.nr && pfn < m->nr && m->content[pfn]; run.nr--)
			fill_page(m, pfn++, run.src++, memory);
	}
}

static void move(struct kexec_run run, u32 *memory)
{
	memcpy(memory + run.dst, memory + run.src, run.nr * sizeof(*memory));
}

static void move_all(const struct kexec_place *place, u32 *memory)
{
	unsigned long order[MODEL_PAGES];
	unsigned long i, pick;

	for (i = 0; i < place->nr_runs; i++) {
		pick = random_below(i + 1);
		order[i] = order[pick];
		order[pick] = i;
	}
	for (i = 0; i < place->nr_runs; i++)
		move(place->runs[order[i]], memory);
}

/* Memory that is no destination belongs to others as long as it is not given. */
static void check_memory(const struct model *m, const u32 *memory)
{
	unsigned long pfn;

	for (pfn = 0; pfn < m->nr; pfn++) {
		if (m->content[pfn])
			check(memory[pfn] == TAG_CONTENT + pfn);
		else if (m->zero[pfn])
			check(memory[pfn] == TAG_ZERO);
		else if (!m->given[pfn])
			check(memory[pfn] == TAG_OTHER + pfn);
	}
}

void model_jump(const struct model *m, const struct kexec_place *place)
{
	u32 memory[MODEL_PAGES];
	unsigned long pfn;

	for (pfn = 0; pfn < m->nr; pfn++)
		memory[pfn] = TAG_OTHER + pfn;
	for (pfn = 0; pfn < m->nr; pfn++)
		if (m->pinned[pfn])
			memory[m->pin[pfn]] = TAG_CONTENT + pfn;
	fill(m, place, memory);
	move_all(place, memory);
	for (pfn = 0; pfn < m->nr; pfn++)
		if (m->zero[pfn])
			memory[pfn] = TAG_ZERO;
	check_memory(m, memory);
}
