// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec_load(2): an image in segments, from the caller's memory.
 *
 * This file holds what belongs to the call itself: who may make it, its flags,
 * its two layouts of arguments, and the exchange of one image for another. The
 * checks are made in the order of the calls below; user space depends on which
 * errno comes first.
 */

#define pr_fmt(fmt) "kexec: " fmt

#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/compat.h>
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include "kexec_internal.h"

/*
 * Who may, and with which arguments
 */

static int check_caller(unsigned long flags)
{
	int err;

	if (!kexec_load_permitted(flags & KEXEC_ON_CRASH ? KEXEC_TYPE_CRASH :
							   KEXEC_TYPE_DEFAULT))
		return -EPERM;
	err = security_kernel_load_data(LOADING_KEXEC_IMAGE, false);
	if (err)
		return kexec_refuse(err,
				    "kexec_load: refused by a security module (%d)",
				    err);
	err = security_locked_down(LOCKDOWN_KEXEC);
	if (err)
		return kexec_refuse(err,
				    "kexec_load: the kernel is locked down (%d)",
				    err);
	return 0;
}

static int check_arguments(unsigned long nr_segments, unsigned long flags)
{
	/* The masks are ints: without the cast, bits 32 to 63 would pass. */
	unsigned long known = KEXEC_FLAGS | KEXEC_ARCH_MASK;
	unsigned long unknown = flags & ~known;

	if (unknown)
		return kexec_refuse(-EINVAL,
				    "kexec_load: unknown flags %#lx",
				    unknown);
	if (nr_segments > KEXEC_SEGMENT_MAX)
		return kexec_refuse(-EINVAL,
				    "kexec_load: %lu segments, at most %d are possible",
				    nr_segments, KEXEC_SEGMENT_MAX);
	return 0;
}

static int bad_arch(unsigned long flags)
{
	return kexec_refuse(-EINVAL,
			    "kexec_load: flags ask for architecture %lu, which does not run here",
			    (flags & KEXEC_ARCH_MASK) >> 16);
}

static int bad_array(const void __user *segments, unsigned long nr)
{
	return kexec_refuse(-EFAULT,
			    "kexec_load: the array of %lu segments at %#lx cannot be read",
			    nr, (unsigned long)segments);
}

/*
 * Loading and unloading, by the owner of the images
 */

static int load(unsigned long entry, unsigned long nr_segments,
		const struct kexec_segment *segments, unsigned long flags)
{
	struct kimage *image;
	int err;

	image = kimage_alloc(entry, nr_segments, segments);
	if (!image)
		return kexec_refuse(-ENOMEM,
				    "kexec_load: no memory for the image's description");
	image->debug = !!(flags & KEXEC_DEBUG);
	err = kimage_load(image);
	if (err)
		kimage_free(image);
	else
		kimage_install(image);
	return err;
}

/* No memory is reserved for a crash kernel here, so nothing can be in it. */
static int load_crash(unsigned long entry, unsigned long nr_segments)
{
	if (!nr_segments)
		return 0;
	return kexec_refuse(-EADDRNOTAVAIL,
			    "kexec_load: entry %#lx is not in a crash region: there is none",
			    entry);
}

static int do_kexec_load(unsigned long entry, unsigned long nr_segments,
			 const struct kexec_segment *segments,
			 unsigned long flags)
{
	int err = 0;

	if (!kexec_trylock())
		return kexec_refuse(-EBUSY,
				    "kexec_load: another load, unload or kexec is under way");
	if (flags & KEXEC_ON_CRASH)
		err = load_crash(entry, nr_segments);
	else if (nr_segments)
		err = load(entry, nr_segments, segments, flags);
	else
		kimage_install(NULL);
	kexec_unlock();
	return err;
}

/*
 * The two calls
 */

SYSCALL_DEFINE4(kexec_load, unsigned long, entry, unsigned long, nr_segments,
		struct kexec_segment __user *, segments, unsigned long, flags)
{
	struct kexec_segment copy[KEXEC_SEGMENT_MAX];
	unsigned long arch = flags & KEXEC_ARCH_MASK;
	int err;

	err = check_caller(flags) ?: check_arguments(nr_segments, flags);
	if (err)
		return err;
	if (arch != KEXEC_ARCH && arch != KEXEC_ARCH_DEFAULT)
		return bad_arch(flags);
	if (copy_from_user(copy, segments, nr_segments * sizeof(*copy)))
		return bad_array(segments, nr_segments);
	return do_kexec_load(entry, nr_segments, copy, flags);
}

#ifdef CONFIG_COMPAT
static void from_compat(struct kexec_segment *seg,
			const struct compat_kexec_segment *compat)
{
	seg->buf = compat_ptr(compat->buf);
	seg->bufsz = compat->bufsz;
	seg->mem = compat->mem;
	seg->memsz = compat->memsz;
}

/*
 * A 32-bit caller has to say that it knows which kernel it talks to: what the
 * running architecture is depends on whom one asks.
 */
COMPAT_SYSCALL_DEFINE4(kexec_load, compat_ulong_t, entry,
		       compat_ulong_t, nr_segments,
		       struct compat_kexec_segment __user *, segments,
		       compat_ulong_t, flags)
{
	struct compat_kexec_segment compat[KEXEC_SEGMENT_MAX];
	struct kexec_segment copy[KEXEC_SEGMENT_MAX];
	unsigned long arch = flags & KEXEC_ARCH_MASK;
	unsigned int i;
	int err;

	err = check_caller(flags) ?: check_arguments(nr_segments, flags);
	if (err)
		return err;
	if (arch != KEXEC_ARCH && arch != KEXEC_ARCH_COMPAT)
		return bad_arch(flags);
	if (copy_from_user(compat, segments, nr_segments * sizeof(*compat)))
		return bad_array(segments, nr_segments);
	for (i = 0; i < nr_segments; i++)
		from_compat(&copy[i], &compat[i]);
	return do_kexec_load(entry, nr_segments, copy, flags);
}
#endif /* CONFIG_COMPAT */
