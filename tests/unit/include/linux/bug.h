/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_BUG_H
#define UNIT_LINUX_BUG_H

#include <stdbool.h>

/* A warning is a bug: it fails the test. */
#define WARN_ON_ONCE(condition)	unit_warn(condition, #condition)

bool unit_warn(bool condition, const char *text);

#endif /* UNIT_LINUX_BUG_H */
