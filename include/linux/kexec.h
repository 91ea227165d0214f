/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_KEXEC_H
#define LINUX_KEXEC_H

/*
 * Starting another kernel from a running one: what the rest of the kernel and
 * the architectures see of it.
 *
 * What an architecture provides, in the order in which a load calls it:
 *
 *   arch_kexec_firmware_memory(), arch_kexec_device_page()
 *		which addresses can be a destination
 *   machine_kexec_prepare()
 *		before the content has a place: page tables and all else that
 *		depends on the destinations only
 *   machine_kexec_post_load()
 *		when all content waits, image->moves and image->checks are written
 *   machine_kexec()
 *		the jump
 *   machine_kexec_cleanup()
 *		after any of the above, also where it failed
 *
 * For kexec_file_load(2) also
 *
 *   arch_kexec_file_layout()
 *		where the kernel in a file would like to be
 *   kexec_file_loaders[]
 *		the formats of kernel it can start: struct kexec_file_ops
 *
 * With memory encryption
 *
 *   arch_kexec_post_alloc_pages(), arch_kexec_pre_free_pages(),
 *   arch_kexec_pgprot()
 *		how the next kernel will see a page
 *
 * <asm/kexec.h> defines KEXEC_ARCH (and KEXEC_ARCH_COMPAT, where programs of
 * another architecture run), KEXEC_DESTINATION_MEMORY_LIMIT, and a macro of the
 * same name for each hook that has a default below.
 */

#if !defined(__ASSEMBLY__)

#include <linux/crash_core.h>
#include <linux/crash_reserve.h>
#include <linux/io.h>
#include <linux/vmcore_info.h>

#include <uapi/linux/kexec.h>

struct kimage;

#ifdef CONFIG_KEXEC_CORE
#include <linux/compat.h>
#include <linux/elf.h>
#include <linux/gfp_types.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/types.h>
#include <asm/kexec.h>

#ifndef KEXEC_ARCH
#error <asm/kexec.h> must define KEXEC_ARCH
#endif

#ifndef KEXEC_DESTINATION_MEMORY_LIMIT
#error <asm/kexec.h> must define KEXEC_DESTINATION_MEMORY_LIMIT
#endif

/* What kexec_load(2) accepts beside the architecture in this kernel. */
#define KEXEC_FLAGS (KEXEC_ON_CRASH | KEXEC_UPDATE_ELFCOREHDR |	\
		     KEXEC_CRASH_HOTPLUG_SUPPORT | KEXEC_DEBUG)

/* What kexec_file_load(2) accepts. */
#define KEXEC_FILE_FLAGS (KEXEC_FILE_UNLOAD | KEXEC_FILE_ON_CRASH |	\
			  KEXEC_FILE_NO_INITRAMFS | KEXEC_FILE_DEBUG |	\
			  KEXEC_FILE_NO_CMA | KEXEC_FILE_FORCE_DTB)

/* struct kexec_segment as the kernel uses it; the layout is the user's. */
struct kexec_segment {
	union {
		void __user *buf;
		void *kbuf;
	};
	size_t bufsz;
	unsigned long mem;
	size_t memsz;
};

#ifdef CONFIG_COMPAT
struct compat_kexec_segment {
	compat_uptr_t buf;
	compat_size_t bufsz;
	compat_ulong_t mem;
	compat_size_t memsz;
};
#endif

/**
 * struct kexec_move - one piece of work for the jump
 * @dst: destination, a physical address
 * @src: where the content waits, a physical address, or KEXEC_MOVE_ZERO
 * @len: bytes, whole pages
 */
struct kexec_move {
	u64 dst;
	u64 src;
	u64 len;
};

#define KEXEC_MOVE_ZERO		(~0ULL)

#define KEXEC_MOVES_PER_PAGE \
	((PAGE_SIZE - 2 * sizeof(u64)) / sizeof(struct kexec_move))

/**
 * struct kexec_move_page - a control page full of moves
 * @next: physical address of the next such page, 0 in the last
 * @nr: used entries of @move
 * @move: what to do; no entry overwrites the source of another, and all zeroing
 *        comes after all moving, as zeros may cover a source
 *
 * The only thing the stub has to walk. The layout is known to assembly code.
 */
struct kexec_move_page {
	u64 next;
	u64 nr;
	struct kexec_move move[KEXEC_MOVES_PER_PAGE];
};

/**
 * struct kexec_check - what the stub verifies once everything is in place
 * @start: destination, a physical address
 * @len: bytes, whole pages
 * @xxh64: the digest of these pages (lib/xxhash, seed 0)
 * @segment: the segment they belong to, for the message
 */
struct kexec_check {
	u64 start;
	u64 len;
	u64 xxh64;
	u64 segment;
};

#define KEXEC_CHECKS_PER_PAGE \
	((PAGE_SIZE - 2 * sizeof(u64)) / sizeof(struct kexec_check))

/**
 * struct kexec_check_page - a control page full of digests
 * @next: physical address of the next such page, 0 in the last
 * @nr: used entries of @check
 * @check: in the order in which the stub goes through them
 *
 * The layout is known to assembly code.
 */
struct kexec_check_page {
	u64 next;
	u64 nr;
	struct kexec_check check[KEXEC_CHECKS_PER_PAGE];
};

/**
 * struct kexec_stats - what a load came to
 * @pieces: blocks of memory that were taken, joined where they touch
 * @content: bytes of content, whole pages; the sum of the next two
 * @home: bytes that are in place already
 * @move: bytes that the jump has to move
 * @zero: bytes that the jump has to clear
 * @check_ns: time for the checks, nanoseconds
 * @place_ns: time for finding memory and building page tables
 * @fill_ns: time for copying the content in
 * @seal_ns: time for digests and for the stub's data
 */
struct kexec_stats {
	unsigned long pieces;
	u64 content;
	u64 home;
	u64 move;
	u64 zero;
	u64 check_ns;
	u64 place_ns;
	u64 fill_ns;
	u64 seal_ns;
};

struct kexec_place;
struct kexec_sums;

#ifdef CONFIG_KEXEC_FILE
/**
 * struct purgatory_info - code of this kernel's that runs before the next
 * @ehdr: the ELF header of kexec_purgatory, which is not written to
 * @sechdrs: a copy of its section headers, until the image is loaded
 * @purgatory_buf: a copy of its sections, relocated, until the image is loaded
 *
 * Only for architectures with ARCH_SUPPORTS_KEXEC_PURGATORY.
 */
struct purgatory_info {
	const Elf_Ehdr *ehdr;
	Elf_Shdr *sechdrs;
	void *purgatory_buf;
};

typedef int (kexec_probe_t)(const char *kernel_buf, unsigned long kernel_size);
typedef void *(kexec_load_t)(struct kimage *image, char *kernel_buf,
			     unsigned long kernel_len, char *initrd,
			     unsigned long initrd_len, char *cmdline,
			     unsigned long cmdline_len);
typedef int (kexec_cleanup_t)(void *loader_data);
typedef unsigned long (kexec_cmdline_max_t)(const struct kimage *image,
					    const char *kernel_buf,
					    unsigned long kernel_len);
#ifdef CONFIG_KEXEC_SIG
typedef int (kexec_verify_sig_t)(const char *kernel_buf,
				 unsigned long kernel_len);
#endif

/**
 * struct kexec_file_ops - a format of kernel that can be loaded
 * @probe: is this a kernel of the format, and a whole one? 0, or -ENOEXEC and a
 *	line in the log that says why not
 * @cmdline_max: how many bytes of command line this kernel takes from the user,
 *	with the NUL; NULL, or 0 as its result, for the core's own limit, 1 MiB
 * @load: describe the image by kexec_add_buffer() and image->start; the command
 *	line ends with a NUL, or is NULL with length 0. Return data for @cleanup,
 *	or an ERR_PTR()
 * @cleanup: free what @load returned, NULL when it failed, and what was handed
 *	to kexec_add_buffer(), which is copied by now
 * @verify_sig: is the signature on it valid? 0 or the verifier's errno
 */
struct kexec_file_ops {
	kexec_probe_t *probe;
	kexec_load_t *load;
	kexec_cleanup_t *cleanup;
	kexec_cmdline_max_t *cmdline_max;
#ifdef CONFIG_KEXEC_SIG
	kexec_verify_sig_t *verify_sig;
#endif
};

/* The formats of this architecture, ended by NULL. */
extern const struct kexec_file_ops * const kexec_file_loaders[];
#endif /* CONFIG_KEXEC_FILE */

/**
 * struct kimage - a kernel that waits to be started
 * @start: physical address of its entry
 * @nr_segments: used entries of @segment
 * @segment: what belongs where
 * @control_code_page: for the architecture's stub
 * @control_pages: memory outside all destinations, linked through page->lru
 * @place: which memory holds the content until the jump
 * @moves: first control page of the stub's work, which is written when all
 *	content has its digest; NULL before there is one
 * @nr_move_pages: how many there are
 * @sums: digests of the content
 * @checks: first control page of digests for the stub, NULL for none
 * @stats: what the load came to
 * @type: KEXEC_TYPE_DEFAULT or KEXEC_TYPE_CRASH
 * @debug: the caller asked for a line in the log
 * @file_mode: it came by kexec_file_load(2)
 * @no_in_place: do not ask for the destinations' own memory
 * @force_dtb: hand on this kernel's device tree
 * @arch: the architecture's own
 * @kernel_buf: the kernel's file, one piece of virtual memory until it is loaded
 * @kernel_buf_len: bytes
 * @initrd_buf: the initrd's file, NULL for none
 * @initrd_buf_len: bytes
 * @cmdline_buf: the command line, ends with a NUL; NULL for none
 * @cmdline_buf_len: bytes, with the NUL
 * @fops: the format of the kernel
 * @image_loader_data: what its load() returned
 * @purgatory_info: for architectures that have a purgatory
 * @ima_buffer: unused, kept for IMA
 * @ima_buffer_addr: destination of IMA's measurements, 0 for none
 * @ima_buffer_size: bytes
 * @ima_segment_index: the segment they are in
 * @is_ima_segment_index_set: whether there is one
 * @elf_headers: headers of a crash dump
 * @elf_headers_sz: bytes
 * @elf_load_addr: their destination
 */
struct kimage {
	unsigned long start;
	unsigned long nr_segments;
	struct kexec_segment segment[KEXEC_SEGMENT_MAX];

	struct page *control_code_page;
	struct list_head control_pages;

	struct kexec_place *place;
	struct kexec_move_page *moves;
	unsigned long nr_move_pages;
	struct kexec_sums *sums;
	struct kexec_check_page *checks;
	struct kexec_stats stats;

	unsigned int type : 1;
#define KEXEC_TYPE_DEFAULT	0
#define KEXEC_TYPE_CRASH	1
	unsigned int debug : 1;
	unsigned int file_mode : 1;
	unsigned int no_in_place : 1;
	unsigned int force_dtb : 1;

	/* Older architecture code announces it by the first of these names. */
#if defined(ARCH_HAS_KIMAGE_ARCH) || defined(kimage_arch)
	struct kimage_arch arch;
#endif

#ifdef CONFIG_KEXEC_FILE
	void *kernel_buf;
	unsigned long kernel_buf_len;
	void *initrd_buf;
	unsigned long initrd_buf_len;
	char *cmdline_buf;
	unsigned long cmdline_buf_len;
	const struct kexec_file_ops *fops;
	void *image_loader_data;
	struct purgatory_info purgatory_info;
#endif

#ifdef CONFIG_IMA_KEXEC
	void *ima_buffer;
	phys_addr_t ima_buffer_addr;
	size_t ima_buffer_size;
	unsigned long ima_segment_index;
	bool is_ima_segment_index_set;
#endif

	void *elf_headers;
	unsigned long elf_headers_sz;
	unsigned long elf_load_addr;
};

extern struct kimage *kexec_image;
extern struct kimage *kexec_crash_image;

/* Set from reboot(2) on, when the next kernel will not come from firmware. */
extern bool kexec_in_progress;

int kernel_kexec(void);
bool kexec_load_permitted(int kexec_image_type);

struct page *kimage_alloc_control_pages(struct kimage *image,
					unsigned int order);

/**
 * machine_kexec_prepare - set up what depends on the destinations only
 * @image: segments and entry are known, content has no place yet
 *
 * Control pages come from kimage_alloc_control_pages(): they lie outside all
 * destinations, and go away with the image.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; machine_kexec_cleanup() follows in any case.
 */
int machine_kexec_prepare(struct kimage *image);

/**
 * machine_kexec_cleanup - let go of what is no control page
 * @image: in any state after its allocation
 */
void machine_kexec_cleanup(struct kimage *image);

/**
 * machine_kexec - leave this kernel for the next
 * @image: complete
 *
 * Context: one CPU left, devices shut down. Must not fail, allocate or return.
 */
void machine_kexec(struct kimage *image);

#ifndef machine_kexec_post_load
/**
 * machine_kexec_post_load - finish what the jump needs
 * @image: all content waits, image->moves and image->checks are written
 *
 * Return: 0 or a negative errno.
 */
static inline int machine_kexec_post_load(struct kimage *image)
{
	return 0;
}
#endif

#ifndef arch_kexec_firmware_memory
/**
 * arch_kexec_firmware_memory - memory that only the firmware knows of
 * @pfn: page frame
 *
 * Return: end (exclusive, a page frame) of the entry of the firmware's map that
 * contains any part of @pfn, 0 when there is none.
 */
static inline unsigned long arch_kexec_firmware_memory(unsigned long pfn)
{
	return 0;
}
#endif

#ifndef arch_kexec_device_page
/**
 * arch_kexec_device_page - find an interrupt controller's page
 * @start: physical address
 * @end: physical address after the last
 *
 * Return: the physical address of a page in [@start, @end) that is no memory,
 * whatever the firmware's map says; @end when there is none.
 */
static inline unsigned long arch_kexec_device_page(unsigned long start,
						   unsigned long end)
{
	return end;
}
#endif

/*
 * With memory encryption, the next kernel sees pages otherwise than this one:
 * called for all memory that an image keeps, and before it is freed.
 */
#ifndef arch_kexec_post_alloc_pages
static inline int arch_kexec_post_alloc_pages(void *vaddr, unsigned int pages,
					      gfp_t gfp)
{
	return 0;
}
#endif

#ifndef arch_kexec_pgprot
/* How to map such pages elsewhere than where all memory is mapped */
#define arch_kexec_pgprot() PAGE_KERNEL
#endif

#ifndef arch_kexec_pre_free_pages
static inline void arch_kexec_pre_free_pages(void *vaddr, unsigned int pages)
{
}
#endif

#ifdef CONFIG_KEXEC_FILE
/* kexec_buf.mem: choose an address. An architecture may have another value. */
#ifndef KEXEC_BUF_MEM_UNKNOWN
#define KEXEC_BUF_MEM_UNKNOWN 0
#endif

/**
 * struct kexec_buf - a buffer that becomes a segment, and where it may go
 * @image: whose segment
 * @buffer: the content, in the kernel's virtual memory, until the image is
 *	loaded; NULL with @bufsz 0
 * @bufsz: bytes of content
 * @mem: physical address; KEXEC_BUF_MEM_UNKNOWN to have one chosen
 * @memsz: bytes of memory, which are rounded up to pages
 * @buf_align: alignment of @mem in bytes, a power of 2; at least a page is used
 * @buf_min: lowest address
 * @buf_max: highest address of the last byte
 * @top_down: of two places as good as each other, the higher
 */
struct kexec_buf {
	struct kimage *image;
	void *buffer;
	unsigned long bufsz;
	unsigned long mem;
	unsigned long memsz;
	unsigned long buf_align;
	unsigned long buf_min;
	unsigned long buf_max;
	bool top_down;
};

int kexec_add_buffer(struct kexec_buf *kbuf);
int kexec_locate_mem_hole(struct kexec_buf *kbuf);
int kexec_image_probe_default(struct kimage *image, void *buf,
			      unsigned long buf_len);
int kexec_image_post_load_cleanup_default(struct kimage *image);

int kexec_load_purgatory(struct kimage *image, struct kexec_buf *kbuf);
int kexec_purgatory_get_set_symbol(struct kimage *image, const char *name,
				   void *buf, unsigned int size,
				   bool get_value);
void *kexec_purgatory_get_symbol_addr(struct kimage *image, const char *name);

#if defined(CONFIG_KEXEC_SIG) && defined(CONFIG_SIGNED_PE_FILE_VERIFICATION)
int kexec_kernel_verify_pe_sig(const char *kernel, unsigned long kernel_len);
#endif

#ifndef arch_kexec_kernel_image_probe
static inline int arch_kexec_kernel_image_probe(struct kimage *image, void *buf,
						unsigned long buf_len)
{
	return kexec_image_probe_default(image, buf, buf_len);
}
#endif

#ifndef arch_kimage_file_post_load_cleanup
static inline int arch_kimage_file_post_load_cleanup(struct kimage *image)
{
	return kexec_image_post_load_cleanup_default(image);
}
#endif

#ifndef arch_kexec_locate_mem_hole
static inline int arch_kexec_locate_mem_hole(struct kexec_buf *kbuf)
{
	return kexec_locate_mem_hole(kbuf);
}
#endif

#ifndef arch_kexec_untold_memory
/**
 * arch_kexec_untold_memory - memory that the next kernel will not be told of
 * @pfn: page frame of System RAM
 *
 * Return: true where it was added while this kernel ran, so that it is in no
 * map that is handed on. Nothing is put there unless somebody asks for it.
 */
static inline bool arch_kexec_untold_memory(unsigned long pfn)
{
	return false;
}
#endif

#ifndef arch_kexec_file_layout
/**
 * arch_kexec_file_layout - where the kernel in a file would like to be
 * @head: the file's first bytes, as a hint: the file may be anything, and its
 *	content may be another when it is read
 * @head_len: bytes, at most a page
 * @file_size: bytes
 * @kbuf: asks for the whole file, anywhere; to be changed to what the loader
 *	will ask for: bufsz, memsz, buf_align, buf_min, buf_max and top_down
 *
 * Return: where in the file the content begins that kbuf describes, in bytes.
 */
static inline size_t arch_kexec_file_layout(const void *head, size_t head_len,
					    size_t file_size,
					    struct kexec_buf *kbuf)
{
	return 0;
}
#endif

#ifndef arch_kexec_apply_relocations_add
/**
 * arch_kexec_apply_relocations_add - relocate a section of the purgatory
 * @pi: the purgatory
 * @section: what is relocated
 * @relsec: section with entries of type RELA
 * @symtab: section with the symbols
 *
 * Return: 0 or -ENOEXEC.
 */
static inline int
arch_kexec_apply_relocations_add(struct purgatory_info *pi, Elf_Shdr *section,
				 const Elf_Shdr *relsec, const Elf_Shdr *symtab)
{
	pr_err("kexec: no relocations of type RELA on this architecture\n");
	return -ENOEXEC;
}
#endif

#ifndef arch_kexec_apply_relocations
/**
 * arch_kexec_apply_relocations - relocate a section of the purgatory
 * @pi: the purgatory
 * @section: what is relocated
 * @relsec: section with entries of type REL
 * @symtab: section with the symbols
 *
 * Return: 0 or -ENOEXEC.
 */
static inline int
arch_kexec_apply_relocations(struct purgatory_info *pi, Elf_Shdr *section,
			     const Elf_Shdr *relsec, const Elf_Shdr *symtab)
{
	pr_err("kexec: no relocations of type REL on this architecture\n");
	return -ENOEXEC;
}
#endif

/* KEXEC_FILE_DEBUG was given for the load that is under way. */
extern bool kexec_file_dbg_print;

#define kexec_dprintk(fmt, ...)						\
do {									\
	if (kexec_file_dbg_print)					\
		pr_info(fmt, ##__VA_ARGS__);				\
} while (0)
#endif /* CONFIG_KEXEC_FILE */

#ifdef CONFIG_KEXEC_ELF
/**
 * struct kexec_elf_info - an ELF file in memory
 * @buffer: the whole file
 * @ehdr: its header, in the CPU's byte order
 * @proghdrs: its program headers, in the CPU's byte order
 */
struct kexec_elf_info {
	const char *buffer;
	const struct elfhdr *ehdr;
	const struct elf_phdr *proghdrs;
};

int kexec_build_elf_info(const char *buf, size_t len, struct elfhdr *ehdr,
			 struct kexec_elf_info *elf_info);
int kexec_elf_load(struct kimage *image, struct elfhdr *ehdr,
		   struct kexec_elf_info *elf_info, struct kexec_buf *kbuf,
		   unsigned long *lowest_load_addr);
void kexec_free_elf_info(struct kexec_elf_info *elf_info);
int kexec_elf_probe(const char *buf, unsigned long len);
#endif

void *kimage_map_segment(struct kimage *image, unsigned long addr,
			 unsigned long size);
void kimage_unmap_segment(void *buffer);

#else /* !CONFIG_KEXEC_CORE */

#define kexec_in_progress false

static inline void *kimage_map_segment(struct kimage *image, unsigned long addr,
				       unsigned long size)
{
	return NULL;
}

static inline void kimage_unmap_segment(void *buffer)
{
}

#endif /* CONFIG_KEXEC_CORE */

#ifdef CONFIG_KEXEC_SIG
void set_kexec_sig_enforced(void);
#else
static inline void set_kexec_sig_enforced(void)
{
}
#endif

#endif /* !__ASSEMBLY__ */

#endif /* LINUX_KEXEC_H */
