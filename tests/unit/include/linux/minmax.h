/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MINMAX_H
#define UNIT_LINUX_MINMAX_H

/* Like the kernel's, these refuse to compare different types. */
#define unit_pick(x, op, y)				\
({							\
	__typeof__(x) _x = (x);				\
	__typeof__(y) _y = (y);				\
	(void)(&_x == &_y);				\
	_x op _y ? _x : _y;				\
})

#define min(x, y)	unit_pick(x, <, y)
#define max(x, y)	unit_pick(x, >, y)
#define min_t(type, x, y)	min((type)(x), (type)(y))
#define max_t(type, x, y)	max((type)(x), (type)(y))

#endif /* UNIT_LINUX_MINMAX_H */
