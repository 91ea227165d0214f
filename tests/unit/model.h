/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MODEL_H
#define MODEL_H

/*
 * What a placement has to be, said page by page: a model that shares no
 * arithmetic with kexec_place.c, and is too slow and too small for a kernel.
 */

#include "kexec_place.h"
#include "unit.h"

#define MODEL_PAGES 128

/**
 * struct model - some page frames, and what is known of each
 * @nr: how many frames there are
 * @content: belongs to a content destination
 * @given: was handed to the placement, and has not come back
 * @pinned: its content came in memory of its own, to stay there
 * @own: is such memory
 * @zero: is to be zero after the jump, for model_jump()
 * @pin: where the content of a pinned frame is
 * @src: where the content of this frame waits, as the runs say
 */
struct model {
	unsigned long nr;
	bool content[MODEL_PAGES];
	bool given[MODEL_PAGES];
	bool pinned[MODEL_PAGES];
	bool own[MODEL_PAGES];
	bool zero[MODEL_PAGES];
	unsigned long pin[MODEL_PAGES];
	unsigned long src[MODEL_PAGES];
};

void model_init(struct model *m, unsigned long nr,
		const struct kexec_range *dst, unsigned int nr_dsts);
unsigned long model_away(const struct model *m);
unsigned long model_missing(const struct model *m);

/* Whether any content of @r needs no lender. */
bool model_holds(const struct model *m, struct kexec_range r);

/* For a caller who has given @r, or pinned @run, himself. */
void model_note_given(struct model *m, struct kexec_range r);
void model_note_pinned(struct model *m, struct kexec_run run);

/* These do the step of the same name, and check all that it promises. */
void model_pin(struct model *m, struct kexec_place *place,
	       struct kexec_run run);
void model_give(struct model *m, struct kexec_place *place,
		struct kexec_range r);
void model_trim(struct model *m, struct kexec_place *place);
void model_finish(struct model *m, struct kexec_place *place);
void model_release(struct model *m, struct kexec_place *place);

/* Check the numbers that a placement tells before it is finished. */
void model_check_counts(const struct model *m, const struct kexec_place *place);

/*
 * Fill the model's memory with content as the loader would, except what is
 * pinned and was there before; carry out the moves in a random order, then the
 * zeros; and check that everything arrived.
 */
void model_jump(const struct model *m, const struct kexec_place *place);

/* Random numbers that depend on the seed only. */
void random_start(u64 seed);
u32 random_below(u32 limit);

#endif /* MODEL_H */
