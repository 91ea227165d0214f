/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_BZIMAGE_H
#define UNIT_BZIMAGE_H

/* Between the tests of bzImages and the fuzzer, whose findings they replay. */

#include <stddef.h>
#include <stdint.h>

/*
 * What the fuzzer calls, with a file's bytes: whatever they are, the answers
 * fit together and nothing outside is touched.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* UNIT_BZIMAGE_H */
