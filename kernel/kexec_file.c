// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec_file_load(2): a kernel, an initrd and a command line, from files.
 *
 * The sections, in the order in which a load goes through them; user space
 * depends on which errno comes first:
 *
 *  - files: each into memory that the image keeps (kexec_area.c), once
 *  - format: which loader it is for, and whether the kernel is signed
 *  - command line
 *  - segments: what the loader describes, by kexec_add_buffer()
 *  - the load, and the call
 *
 * The kernel's file is judged before the initrd is looked at, and that before
 * the command line: the first that is bad decides.
 */

#define pr_fmt(fmt) "kexec: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ima.h>
#include <linux/kernel_read_file.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <linux/verification.h>

#include "kexec_internal.h"

/* For kexec_dprintk(); the owner of kexec_mutex sets it. */
bool kexec_file_dbg_print;

/*
 * Files
 */

#define FILE_SIZE_MAX	(4ULL << 30)

/* One of the files, what it is called in the log, and what it is to LSMs. */
static const struct file_kind {
	const char *name;
	enum kernel_read_file_id id;
} file_kinds[KEXEC_AREAS] = {
	[KEXEC_AREA_KERNEL] = { "kernel", READING_KEXEC_IMAGE },
	[KEXEC_AREA_INITRD] = { "initrd", READING_KEXEC_INITRAMFS },
};

static int check_size(const char *name, loff_t size)
{
	if (size <= 0)
		return kexec_refuse(-EINVAL, "%s: the file is empty", name);
	if (size > FILE_SIZE_MAX)
		return kexec_refuse(-EFBIG,
				    "%s: a file of %lld bytes, at most %llu are possible",
				    name, size, FILE_SIZE_MAX);
	return 0;
}

/*
 * Where the content of the file would like to be. For the kernel, its first
 * page is looked at ahead of all checks: that only decides which memory it is
 * read into, and if the page is a lie the kernel has to be moved, no more.
 */
static size_t plan_file(struct kimage *image, enum kexec_area_id id,
			struct file *file, size_t size, struct kexec_buf *want)
{
	void *head __free(kfree) = NULL;
	ssize_t len = 0;
	loff_t pos = 0;

	*want = (struct kexec_buf){
		.image = image,
		.bufsz = size,
		.memsz = size,
		.buf_align = PAGE_SIZE,
		.buf_max = ULONG_MAX,
		.top_down = true,
	};
	if (id != KEXEC_AREA_KERNEL)
		return 0;
	head = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (head)
		len = kernel_read(file, head, min(size, PAGE_SIZE), &pos);
	return len > 0 ? arch_kexec_file_layout(head, len, size, want) : 0;
}

static int alloc_area(struct kimage *image, enum kexec_area_id id,
		      struct file *file, size_t size)
{
	const char *name = file_kinds[id].name;
	struct kexec_buf want;
	size_t offset;
	int err = -ENOMEM;

	/* Ahead of the plan, which reads from the file. */
	if (PFN_UP(size) <= kexec_available_pages()) {
		offset = plan_file(image, id, file, size, &want);
		err = kexec_area_alloc(image, id, size, offset, &want);
	}
	if (err == -ENOMEM)
		return kexec_refuse(err,
				    "%s: a file of %zu KiB does not fit in memory: %lu KiB left to take",
				    name, size >> 10,
				    kexec_available_pages() << (PAGE_SHIFT - 10));
	return err;
}

static int fill_area(struct kexec_area *area, struct file *file,
		     const struct file_kind *kind)
{
	ssize_t got = kernel_read_file(file, 0, &area->buf, area->size, NULL,
				       kind->id);

	if (fatal_signal_pending(current))
		return -EINTR;
	/* One that has grown, or become empty, is read not at all. */
	if (got >= 0 ? got != area->size :
		       i_size_read(file_inode(file)) != area->size)
		return kexec_refuse(-EIO,
				    "%s: the file has changed while it was read: it had %zu bytes, and has %lld (%zd)",
				    kind->name, area->size,
				    i_size_read(file_inode(file)), got);
	if (got < 0)
		return kexec_refuse(got, "%s: reading or its policy failed (%zd)",
				    kind->name, got);
	return 0;
}

static int read_held_file(struct kimage *image, enum kexec_area_id id,
			  struct file *file)
{
	loff_t size = i_size_read(file_inode(file));
	int err;

	err = check_size(file_kinds[id].name, size) ?:
	      alloc_area(image, id, file, size);
	if (err)
		return err;
	return fill_area(kimage_area(image, id), file, &file_kinds[id]);
}

static int read_file(struct kimage *image, enum kexec_area_id id, int fd)
{
	const char *name = file_kinds[id].name;
	struct file *file;
	int err;

	CLASS(fd, f)(fd);
	if (fd_empty(f) || !(fd_file(f)->f_mode & FMODE_READ))
		return kexec_refuse(-EBADF,
				    "%s: file descriptor %d is not open for reading",
				    name, fd);
	file = fd_file(f);
	if (!S_ISREG(file_inode(file)->i_mode))
		return kexec_refuse(-EINVAL,
				    "%s: file descriptor %d is no regular file",
				    name, fd);
	err = deny_write_access(file);
	if (err)
		return kexec_refuse(err, "%s: the file is open for writing", name);
	err = read_held_file(image, id, file);
	allow_write_access(file);
	return err;
}

static int read_kernel(struct kimage *image, int fd)
{
	const struct kexec_area *area = kimage_area(image, KEXEC_AREA_KERNEL);
	int err = read_file(image, KEXEC_AREA_KERNEL, fd);

	image->kernel_buf = area->buf;
	image->kernel_buf_len = area->size;
	return err;
}

static int read_initrd(struct kimage *image, int fd)
{
	const struct kexec_area *area = kimage_area(image, KEXEC_AREA_INITRD);
	int err = read_file(image, KEXEC_AREA_INITRD, fd);

	image->initrd_buf = area->buf;
	image->initrd_buf_len = area->size;
	return err;
}

/*
 * Format
 */

/**
 * kexec_image_probe_default - find the loader for a kernel
 * @image: whose fops is set
 * @buf: the kernel's file
 * @buf_len: its size in bytes
 *
 * Return: 0, or the errno of the last loader that was asked.
 */
int kexec_image_probe_default(struct kimage *image, void *buf,
			      unsigned long buf_len)
{
	const struct kexec_file_ops * const *fops = kexec_file_loaders;
	int err = -ENOEXEC;

	for (; *fops && (*fops)->probe; fops++) {
		err = (*fops)->probe(buf, buf_len);
		if (!err) {
			image->fops = *fops;
			break;
		}
	}
	return err;
}

#ifdef CONFIG_KEXEC_SIG
static bool signature_required = IS_ENABLED(CONFIG_KEXEC_SIG_FORCE);

/**
 * set_kexec_sig_enforced - from now on, load no kernel without valid signature
 */
void set_kexec_sig_enforced(void)
{
	signature_required = true;
}

#ifdef CONFIG_SIGNED_PE_FILE_VERIFICATION
/**
 * kexec_kernel_verify_pe_sig - verify the signature of a PE file
 * @kernel: the file
 * @kernel_len: its size in bytes
 *
 * The keys are those of the secondary keyring, and where it does not have the
 * signer's, of the platform's.
 *
 * Return: 0 or the verifier's errno.
 */
int kexec_kernel_verify_pe_sig(const char *kernel, unsigned long kernel_len)
{
	int err = verify_pefile_signature(kernel, kernel_len,
					  VERIFY_USE_SECONDARY_KEYRING,
					  VERIFYING_KEXEC_PE_SIGNATURE);

	if (err != -ENOKEY || !IS_ENABLED(CONFIG_INTEGRITY_PLATFORM_KEYRING))
		return err;
	return verify_pefile_signature(kernel, kernel_len,
				       VERIFY_USE_PLATFORM_KEYRING,
				       VERIFYING_KEXEC_PE_SIGNATURE);
}
#endif

static int verify_kernel(const struct kimage *image)
{
	if (!image->fops || !image->fops->verify_sig)
		return -EKEYREJECTED;
	return image->fops->verify_sig(image->kernel_buf, image->kernel_buf_len);
}

/* Where IMA is sure to appraise the kernel, its word will do. */
static int judge_signature(const struct kimage *image)
{
	int err = verify_kernel(image);

	if (!err)
		return 0;
	if (signature_required)
		return kexec_refuse(err,
				    "kernel: no valid signature (%d), and one is required",
				    err);
	if (!ima_appraise_signature(READING_KEXEC_IMAGE) &&
	    security_locked_down(LOCKDOWN_KEXEC))
		return kexec_refuse(-EPERM,
				    "kernel: no valid signature (%d), and the kernel is locked down",
				    err);
	kexec_dprintk("kernel: no valid signature (%d), and none is required\n", err);
	return 0;
}
#else
static int judge_signature(const struct kimage *image)
{
	return 0;
}
#endif /* CONFIG_KEXEC_SIG */

/*
 * Command line
 */

/* More than any kernel takes, and less than kmalloc() has. */
#define CMDLINE_MAX	((unsigned long)SZ_1M)

static int check_cmdline_len(const struct kimage *image, unsigned long len)
{
	unsigned long max = 0;

	if (image->fops && image->fops->cmdline_max)
		max = image->fops->cmdline_max(image, image->kernel_buf,
					       image->kernel_buf_len);
	max = max ? min(max, CMDLINE_MAX) : CMDLINE_MAX;
	if (len > max)
		return kexec_refuse(-EINVAL,
				    "command line: %lu bytes, this kernel takes %lu",
				    len, max);
	return 0;
}

static int copy_cmdline(struct kimage *image, int kernel_fd,
			const char __user *cmdline, unsigned long len)
{
	char *copy;
	int err;

	if (!len)
		return 0;
	err = check_cmdline_len(image, len);
	if (err)
		return err;
	copy = memdup_user(cmdline, len);
	if (copy == ERR_PTR(-ENOMEM))
		return kexec_refuse(-ENOMEM, "command line: no memory for %lu bytes", len);
	if (IS_ERR(copy))
		return kexec_refuse(PTR_ERR(copy),
				    "command line: %lu bytes at %#lx cannot be read (%ld)",
				    len, (unsigned long)cmdline, PTR_ERR(copy));
	image->cmdline_buf = copy;
	image->cmdline_buf_len = len;
	if (copy[len - 1])
		return kexec_refuse(-EINVAL,
				    "command line: byte %lu, the last, is %#x and not NUL",
				    len - 1, (unsigned char)copy[len - 1]);
	ima_kexec_cmdline(kernel_fd, copy, len - 1);
	return 0;
}

/*
 * Segments
 */

static int check_buffer(const struct kexec_buf *kbuf)
{
	const struct kimage *image = kbuf->image;

	if (image->nr_segments == KEXEC_SEGMENT_MAX)
		return kexec_refuse(-EINVAL,
				    "the loader has more than %d segments",
				    KEXEC_SEGMENT_MAX);
	/* These were put outside the segments that were known. */
	if (WARN_ON_ONCE(!list_empty(&image->control_pages)))
		return -EINVAL;
	return 0;
}

/* Which file a buffer is from, for the log. */
static const char *file_of(const struct kexec_buf *kbuf)
{
	const struct kexec_area *area = kexec_area_find(kbuf->image, kbuf->buffer);

	if (!area)
		return "";
	return area == kimage_area(kbuf->image, KEXEC_AREA_KERNEL) ? " (kernel)" : " (initrd)";
}

/**
 * kexec_add_buffer - make a buffer a segment of the image
 * @kbuf: the buffer, which has to stay until the image is loaded, and where it
 *	may go; its mem, memsz and buf_align are set to what it came to
 *
 * A buffer that is part of a file that was read for this image is not copied
 * where that can be avoided.
 *
 * Context: in the load() of a loader, and for IMA.
 * Return: 0, -EINVAL when there are too many, or the errno of the search for a
 * place, -EADDRNOTAVAIL mostly.
 */
int kexec_add_buffer(struct kexec_buf *kbuf)
{
	struct kimage *image = kbuf->image;
	int err = check_buffer(kbuf);

	if (err)
		return err;
	kbuf->memsz = PAGE_ALIGN(kbuf->memsz);
	kbuf->buf_align = max(kbuf->buf_align, PAGE_SIZE);
	err = arch_kexec_locate_mem_hole(kbuf);
	if (err)
		return kexec_refuse(err,
				    "segment %lu%s: no place for %#lx bytes (%lu KiB) in %#lx-%#lx (%d)",
				    image->nr_segments, file_of(kbuf), kbuf->memsz,
				    kbuf->memsz >> 10, kbuf->buf_min, kbuf->buf_max, err);
	image->segment[image->nr_segments++] = (struct kexec_segment){
		.kbuf = kbuf->buffer,
		.bufsz = kbuf->bufsz,
		.mem = kbuf->mem,
		.memsz = kbuf->memsz,
	};
	return 0;
}

/* IMA writes to its segment later, so all of it needs memory now. */
static void add_measurements(struct kimage *image)
{
	unsigned int i;

	ima_add_kexec_buffer(image);
	for (i = 0; i < image->nr_segments; i++)
		if (kimage_is_ima_segment(image, i))
			image->segment[i].bufsz = image->segment[i].memsz;
}

static int check_region(const struct kimage *image)
{
	if (image->type == KEXEC_TYPE_CRASH)
		return kexec_refuse(-EADDRNOTAVAIL,
				    "kexec_file_load: there is no crash region");
	return 0;
}

static int describe_image(struct kimage *image)
{
	void *data;

	add_measurements(image);
	data = image->fops->load(image, image->kernel_buf, image->kernel_buf_len,
				 image->initrd_buf, image->initrd_buf_len,
				 image->cmdline_buf, image->cmdline_buf_len);
	if (IS_ERR(data))
		return PTR_ERR(data);
	image->image_loader_data = data;
	return IS_ENABLED(CONFIG_KEXEC_PURGATORY) ? kexec_purgatory_seal(image) : 0;
}

/*
 * The load
 */

/**
 * kexec_image_post_load_cleanup_default - let the loader free what it keeps
 * @image: loaded, or not
 *
 * Return: what the loader's cleanup() does, or 0.
 */
int kexec_image_post_load_cleanup_default(struct kimage *image)
{
	kexec_cleanup_t *cleanup = image->fops ? image->fops->cleanup : NULL;

	return cleanup ? cleanup(image->image_loader_data) : 0;
}

/* What only the load needed; the content has a place, or there is no image. */
static void clean_up(struct kimage *image)
{
	unsigned int i;

	arch_kimage_file_post_load_cleanup(image);
	if (IS_ENABLED(CONFIG_KEXEC_PURGATORY))
		kexec_purgatory_free(image);
	image->image_loader_data = NULL;
	kfree(image->cmdline_buf);
	image->cmdline_buf = NULL;
	image->kernel_buf = NULL;
	image->initrd_buf = NULL;
	for (i = 0; i < KEXEC_AREAS; i++)
		kexec_area_free(kimage_area(image, i));
	for (i = 0; i < image->nr_segments; i++)
		image->segment[i].kbuf = NULL;
}

/* What the call was given. */
struct file_load {
	int kernel_fd;
	int initrd_fd;
	const char __user *cmdline;
	unsigned long cmdline_len;
	unsigned long flags;
};

static int load_files(struct kimage *image, const struct file_load *args)
{
	int err;

	err = read_kernel(image, args->kernel_fd) ?:
	      arch_kexec_kernel_image_probe(image, image->kernel_buf,
					    image->kernel_buf_len) ?:
	      judge_signature(image);
	if (!err && !(args->flags & KEXEC_FILE_NO_INITRAMFS))
		err = read_initrd(image, args->initrd_fd);
	return err ?: copy_cmdline(image, args->kernel_fd, args->cmdline,
				   args->cmdline_len);
}

static struct kimage *alloc_image(unsigned long flags)
{
	struct kimage *image = kimage_alloc(0, 0, NULL);

	if (!image)
		return NULL;
	image->file_mode = 1;
	image->type = flags & KEXEC_FILE_ON_CRASH ? KEXEC_TYPE_CRASH : KEXEC_TYPE_DEFAULT;
	image->debug = !!(flags & KEXEC_FILE_DEBUG);
	image->no_in_place = !!(flags & KEXEC_FILE_NO_CMA);
	image->force_dtb = !!(flags & KEXEC_FILE_FORCE_DTB);
	return image;
}

/*
 * IMA goes by the size of the last segment that it was given, and writes into
 * the one that is mapped: if that is another, it must not write.
 */
static void protect_old_image(struct kimage *failed)
{
	if (!kexec_image || !kimage_ima_size(kexec_image) ||
	    kimage_ima_size(kexec_image) == kimage_ima_size(failed))
		return;
	kimage_forget_ima(failed);
	ima_kexec_post_load(failed);
	pr_notice("the loaded image will not get IMA's measurements: load it again\n");
}

static int make_image(struct kimage *image)
{
	int err = describe_image(image) ?: kimage_load(image);

	if (err)
		protect_old_image(image);
	return err;
}

/* Nothing of the old image is touched before the new one is complete. */
static int load(const struct file_load *args)
{
	struct kimage *image = alloc_image(args->flags);
	int err;

	if (!image)
		return kexec_refuse(-ENOMEM,
				    "kexec_file_load: no memory for the image's description");
	err = load_files(image, args) ?: check_region(image) ?:
	      make_image(image);
	clean_up(image);
	if (err)
		kimage_free(image);
	else
		kimage_install(image);
	return err;
}

static int unload(unsigned long flags)
{
	/* No crash kernel can be loaded yet. */
	if (!(flags & KEXEC_FILE_ON_CRASH))
		kimage_install(NULL);
	return 0;
}

static int do_kexec_file_load(const struct file_load *args)
{
	int err;

	if (!kexec_trylock())
		return kexec_refuse(-EBUSY,
				    "kexec_file_load: another load, unload or kexec is under way");
	kexec_file_dbg_print = !!(args->flags & KEXEC_FILE_DEBUG);
	err = args->flags & KEXEC_FILE_UNLOAD ? unload(args->flags) : load(args);
	kexec_file_dbg_print = false;
	kexec_unlock();
	return err;
}

SYSCALL_DEFINE5(kexec_file_load, int, kernel_fd, int, initrd_fd,
		unsigned long, cmdline_len, const char __user *, cmdline_ptr,
		unsigned long, flags)
{
	const struct file_load args = {
		.kernel_fd = kernel_fd,
		.initrd_fd = initrd_fd,
		.cmdline = cmdline_ptr,
		.cmdline_len = cmdline_len,
		.flags = flags,
	};

	if (!kexec_load_permitted(flags & KEXEC_FILE_ON_CRASH ? KEXEC_TYPE_CRASH :
								KEXEC_TYPE_DEFAULT))
		return -EPERM;
	if (flags & ~(unsigned long)KEXEC_FILE_FLAGS)
		return kexec_refuse(-EINVAL,
				    "kexec_file_load: unknown flags %#lx",
				    flags & ~(unsigned long)KEXEC_FILE_FLAGS);
	return do_kexec_file_load(&args);
}
