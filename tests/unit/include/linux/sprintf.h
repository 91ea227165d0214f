/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_SPRINTF_H
#define UNIT_LINUX_SPRINTF_H

#include <stdio.h>

#endif /* UNIT_LINUX_SPRINTF_H */
