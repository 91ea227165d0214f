/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_H
#define UNIT_H

/*
 * A test is a function that returns when all is well. The first check that
 * fails ends it: what follows would only repeat the news.
 */

#include <stdio.h>
#include <stdnoreturn.h>

#include <linux/types.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

/* Ends with an entry without a name. */
extern const struct unit_test range_tests[];
extern const struct unit_test place_tests[];
extern const struct unit_test small_tests[];
extern const struct unit_test random_tests[];
extern const struct unit_test bzimage_tests[];

#define check(condition)						\
do {									\
	if (!(condition))						\
		unit_fail(__FILE__, __LINE__, #condition);		\
} while (0)

/* Set by a test that goes through many cases: prints the one it is at. */
extern void (*unit_describe)(void);

noreturn void unit_fail(const char *file, int line, const char *text);

/* Something to say beside the verdict, like "2000 cases". */
#define unit_note(...) snprintf(unit_note_text, UNIT_NOTE_SIZE, __VA_ARGS__)

#define UNIT_NOTE_SIZE 100
extern char unit_note_text[UNIT_NOTE_SIZE];

/* The random tests' arguments. */
extern u64 unit_seed;
extern unsigned long unit_cases;

/* Let the allocation after @after more of them fail, once; -1 for none. */
void unit_fail_alloc(long after);

/* Whether it has failed by now. */
bool unit_alloc_failed(void);

/* Tables that kexec_place.c has allocated and not freed. */
unsigned long unit_live_tables(void);

#endif /* UNIT_H */
