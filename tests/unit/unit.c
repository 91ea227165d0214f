// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the tests of one program and reports in KTAP; and stands in for what
 * the kernel gives kexec_place.c: memory for its tables, which can be made to
 * fail.
 */

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/bug.h>
#include <linux/slab.h>

#include "unit.h"

void (*unit_describe)(void);
u64 unit_seed;
unsigned long unit_cases = 1000000;
char unit_note_text[UNIT_NOTE_SIZE];

static jmp_buf test_end;

static const struct unit_test *const suites[] = {
	range_tests, place_tests, small_tests, random_tests, bzimage_tests,
};

/* A report of a leak or overflow needs no deep traces, and costs time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "malloc_context_size=3:quarantine_size_mb=4";
}

void unit_fail(const char *file, int line, const char *text)
{
	printf("# %s:%d: not so: %s\n", file, line, text);
	if (unit_describe)
		unit_describe();
	longjmp(test_end, 1);
}

bool unit_warn(bool condition, const char *text)
{
	if (condition)
		unit_fail("WARN_ON_ONCE", 0, text);
	return condition;
}

/*
 * Memory for tables
 */

static unsigned long live_tables;
static long fail_after = -1;
static bool alloc_failed;

void unit_fail_alloc(long after)
{
	fail_after = after;
	alloc_failed = false;
}

bool unit_alloc_failed(void)
{
	return alloc_failed;
}

unsigned long unit_live_tables(void)
{
	return live_tables;
}

void *kvmalloc_array(size_t nr, size_t size, gfp_t flags)
{
	void *memory;

	/* Without these, a load could start the OOM killer. */
	check(flags == (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN));
	check(nr && size);
	if (fail_after >= 0 && !fail_after--) {
		alloc_failed = true;
		return NULL;
	}
	memory = malloc(nr * size);
	check(memory);
	live_tables++;
	return memset(memory, 0xa5, nr * size);
}

void kvfree(const void *memory)
{
	if (memory)
		live_tables--;
	free((void *)memory);
}

/*
 * Running
 */

static bool passes(const struct unit_test *test)
{
	unit_describe = NULL;
	unit_fail_alloc(-1);
	live_tables = 0;
	unit_note_text[0] = '\0';
	if (setjmp(test_end))
		return false;
	test->run();
	unit_describe = NULL;
	check(!live_tables);
	return true;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static bool run(const struct unit_test *test, unsigned int number)
{
	double start = seconds();
	bool ok = passes(test);

	printf("%s %u %s # %.2f s %s\n", ok ? "ok" : "not ok", number,
	       test->name, seconds() - start, unit_note_text);
	fflush(stdout);
	return ok;
}

/* Call @visit for each test, or for the one of this name; add up its results. */
static unsigned int for_tests(const char *only,
			      bool (*visit)(const struct unit_test *test,
					    unsigned int number))
{
	const struct unit_test *test;
	unsigned int number = 0, sum = 0;
	unsigned int i;

	for (i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
		for (test = suites[i]; test->name; test++)
			if (!only || !strcmp(only, test->name))
				sum += visit(test, ++number);
	}
	return sum;
}

static bool count(const struct unit_test *test, unsigned int number)
{
	return test && number;
}

static int explain(const char *program)
{
	fprintf(stderr, "usage: %s [-s SEED] [-n CASES] [TEST]\n"
		"  -s SEED   of the first random case, the next has the next\n"
		"  -n CASES  how many random cases\n", program);
	return 2;
}

int main(int argc, char **argv)
{
	const char *only;
	unsigned int nr;
	int option;

	unit_seed = (u64)time(NULL) << 24 ^ (u64)getpid() << 40;
	while ((option = getopt(argc, argv, "s:n:")) != -1) {
		if (option == 's')
			unit_seed = strtoull(optarg, NULL, 0);
		else if (option == 'n')
			unit_cases = strtoul(optarg, NULL, 0);
		else
			return explain(argv[0]);
	}
	only = argv[optind];
	nr = for_tests(only, count);
	printf("KTAP version 1\n1..%u\n", nr);
	return nr && for_tests(only, run) == nr ? 0 : 1;
}
