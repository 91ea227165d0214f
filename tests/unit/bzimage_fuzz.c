// SPDX-License-Identifier: GPL-2.0
/*
 * Files of any content: as the loader sees them, and as the hint about a file
 * that is not yet read. "make fuzz" makes them up; what it has found so far is
 * in corpus/bzimage, and every run of the tests goes through it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bzimage.h"
#include "kexec_bzimage.h"
#include "unit.h"

#ifdef UNIT_FUZZER
void unit_fail(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
	abort();
}
#endif

/* Of exactly this size, so that a byte past it is seen. */
static void *copy_of(const void *data, size_t size)
{
	void *copy = malloc(size ?: 1);

	check(copy);
	return memcpy(copy, data, size);
}

static void check_accepted(const struct bzimage *bz)
{
	check(!bz->refusal[0]);
	check(bz->header_end >= BZIMAGE_HEADER_MIN);
	check(bz->header_end <= offsetof(struct boot_params, edd_mbr_sig_buffer));
	check(bz->header_end <= bz->offset);
	check(bz->offset >= 2 * BZIMAGE_SECTOR);
	check(bz->offset + bz->size == bz->file_size);
	check(bz->size > BZIMAGE_ENTRY);
	check(bz->memsz >= bz->size && bz->memsz >= bz->hdr->init_size);
	check(!(bz->memsz % PAGE_SIZE) && !(bz->align % PAGE_SIZE));
	check(is_power_of_2(bz->align));
	check(bz->min >= SZ_1M && bz->min + bz->memsz <= BZIMAGE_ADDRESS_END);
}

/* All of the area is written to, once, and nothing beside it. */
static void build_params(const struct bzimage *bz)
{
	struct params_plan plan = {
		.cmdline = "quiet",
		.cmdline_len = sizeof("quiet"),
	};
	struct boot_params *bp;

	params_plan_item(&plan, (struct setup_item){
		.type = SETUP_IMA, .len = 5, .data = bz->hdr,
	});
	params_lay_out(&plan);
	bp = calloc(1, plan.size);
	check(bp);
	params_set_header(bp, bz);
	params_set_initrd(bp, bz->min, bz->size);
	params_set_cmdline(bp, bz->min, &plan);
	params_set_items(bp, bz->min, &plan);
	check(bp->hdr.version == bz->hdr->version);
	check(!bp->sentinel && !bp->_pad6[0] && !bp->edd_mbr_sig_buffer[0]);
	check(bp->hdr.setup_data == bz->min + plan.items);
	free(bp);
}

static void try_file(const void *file, size_t size)
{
	struct bzimage bz;
	int err = bzimage_parse(file, size, size, &bz);

	if (err) {
		check(err == -ENOEXEC);
		check(bz.refusal[0]);
		check(strlen(bz.refusal) < sizeof(bz.refusal) - 1);
		return;
	}
	check_accepted(&bz);
	build_params(&bz);
}

/* A hint of part of the file, and of a size that the file need not have. */
static void try_hint(const void *file, size_t head_len, u64 file_size)
{
	struct bzimage bz;

	bzimage_guess(file, head_len, file_size, &bz);
	check(bz.offset <= file_size && bz.size == file_size - bz.offset);
	if (bz.offset)
		check_accepted(&bz);
	else
		check(bz.align == PAGE_SIZE && bz.memsz == file_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *file = copy_of(data, size);
	u32 other;

	try_file(file, size);
	try_hint(file, size, size);
	if (size >= sizeof(other)) {
		memcpy(&other, data + size - sizeof(other), sizeof(other));
		try_hint(file, size, other);
	}
	free(file);
	return 0;
}
