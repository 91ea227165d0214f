// SPDX-License-Identifier: GPL-2.0-only
/*
 * The purgatory: code of this kernel's that runs between it and the next, on
 * architectures whose jump does not check the image and enter the kernel itself.
 *
 * It is an ELF file that is part of this kernel (kexec_purgatory). When an image
 * is loaded, its sections become a segment, are relocated for where this lies,
 * and get the numbers that it needs to know, by the names of its variables:
 *
 *  - symbols: finding and setting variables
 *  - loading: kexec_load_purgatory()
 *  - digest: what the purgatory compares the image with
 */

#define pr_fmt(fmt) "kexec: " fmt

#include <linux/elf.h>
#include <linux/purgatory.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <crypto/sha2.h>

#include "kexec_internal.h"

#define PURGATORY_GFP (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN | __GFP_ZERO)

/*
 * Symbols
 */

static const void *section_content(const struct purgatory_info *pi,
				   const Elf_Shdr *section)
{
	return (const void *)pi->ehdr + section->sh_offset;
}

static const Elf_Sym *find_in(const struct purgatory_info *pi,
			      const Elf_Shdr *symtab, const char *name)
{
	const char *strings = section_content(pi, &pi->sechdrs[symtab->sh_link]);
	const Elf_Sym *sym = section_content(pi, symtab);
	const Elf_Sym *end = sym + symtab->sh_size / sizeof(*sym);

	for (; sym < end; sym++) {
		if (ELF_ST_BIND(sym->st_info) == STB_GLOBAL &&
		    sym->st_shndx != SHN_UNDEF &&
		    !strcmp(strings + sym->st_name, name))
			return sym;
	}
	return NULL;
}

/* A variable or function of the purgatory; only what has a section counts. */
static const Elf_Sym *find_symbol(const struct purgatory_info *pi,
				  const char *name)
{
	const Elf_Sym *sym = NULL;
	unsigned int i;

	if (!pi->sechdrs || !pi->ehdr)
		return NULL;
	for (i = 0; i < pi->ehdr->e_shnum && !sym; i++)
		if (pi->sechdrs[i].sh_type == SHT_SYMTAB)
			sym = find_in(pi, &pi->sechdrs[i], name);
	return sym && sym->st_shndx < pi->ehdr->e_shnum ? sym : NULL;
}

/**
 * kexec_purgatory_get_symbol_addr - where a symbol of the purgatory will be
 * @image: with a purgatory
 * @name: of a global symbol
 *
 * Return: its physical address as a pointer, or an ERR_PTR() of -EINVAL.
 */
void *kexec_purgatory_get_symbol_addr(struct kimage *image, const char *name)
{
	const struct purgatory_info *pi = &image->purgatory_info;
	const Elf_Sym *sym = find_symbol(pi, name);

	if (!sym)
		return ERR_PTR(-EINVAL);
	return (void *)(pi->sechdrs[sym->st_shndx].sh_addr + sym->st_value);
}

/**
 * kexec_purgatory_get_set_symbol - read or write a variable of the purgatory
 * @image: with a purgatory
 * @name: of a global variable that is not in .bss
 * @buf: the value
 * @size: of the variable, in bytes
 * @get_value: true to read, false to write
 *
 * Return: 0, or -EINVAL when there is no such variable of that size.
 */
int kexec_purgatory_get_set_symbol(struct kimage *image, const char *name,
				   void *buf, unsigned int size, bool get_value)
{
	struct purgatory_info *pi = &image->purgatory_info;
	const Elf_Sym *sym = find_symbol(pi, name);
	const Elf_Shdr *section;
	void *value;

	if (!sym || sym->st_size != size)
		return kexec_refuse(-EINVAL, "purgatory: no variable %s of %u bytes",
				    name, size);
	section = &pi->sechdrs[sym->st_shndx];
	if (section->sh_type == SHT_NOBITS)
		return kexec_refuse(-EINVAL, "purgatory: %s has no content", name);
	value = pi->purgatory_buf + section->sh_offset + sym->st_value;
	if (get_value)
		memcpy(buf, value, size);
	else
		memcpy(value, buf, size);
	return 0;
}

/*
 * Loading
 *
 * Sections with content come first, then those without: the end of the segment
 * that is only zeros needs no buffer.
 */

static bool is_loaded(const Elf_Shdr *section, bool content)
{
	return (section->sh_flags & SHF_ALLOC) &&
	       (section->sh_type != SHT_NOBITS) == content;
}

/* Lay out the sections of one kind from @offset on; return the end. */
static size_t lay_out(struct purgatory_info *pi, bool content, size_t offset,
		      unsigned long *align)
{
	unsigned int i;

	for (i = 0; i < pi->ehdr->e_shnum; i++) {
		const Elf_Shdr *section = &pi->sechdrs[i];

		if (!is_loaded(section, content))
			continue;
		*align = max_t(unsigned long, *align, section->sh_addralign);
		offset = ALIGN(offset, max_t(size_t, section->sh_addralign, 1));
		offset += section->sh_size;
	}
	return offset;
}

/*
 * The sections of a relocatable file all begin at 0, so several can contain the
 * number of the entry: it is the first that is meant.
 */
static bool has_entry(const struct kimage *image, const Elf_Shdr *section)
{
	const struct purgatory_info *pi = &image->purgatory_info;

	return image->start == pi->ehdr->e_entry &&
	       (section->sh_flags & SHF_EXECINSTR) &&
	       pi->ehdr->e_entry >= section->sh_addr &&
	       pi->ehdr->e_entry < section->sh_addr + section->sh_size;
}

/* Give the sections of one kind their addresses, and copy what they contain. */
static size_t put_sections(struct kexec_buf *kbuf, bool content, size_t offset)
{
	struct purgatory_info *pi = &kbuf->image->purgatory_info;
	unsigned int i;

	for (i = 0; i < pi->ehdr->e_shnum; i++) {
		Elf_Shdr *section = &pi->sechdrs[i];

		if (!is_loaded(section, content))
			continue;
		offset = ALIGN(offset, max_t(size_t, section->sh_addralign, 1));
		if (has_entry(kbuf->image, section))
			kbuf->image->start = kbuf->mem + offset +
					     (pi->ehdr->e_entry - section->sh_addr);
		if (content)
			memcpy(pi->purgatory_buf + offset,
			       section_content(pi, section), section->sh_size);
		section->sh_addr = kbuf->mem + offset;
		section->sh_offset = offset;
		offset += section->sh_size;
	}
	return offset;
}

static int add_segment(struct kexec_buf *kbuf)
{
	struct purgatory_info *pi = &kbuf->image->purgatory_info;
	unsigned long align = 1;

	kbuf->bufsz = lay_out(pi, true, 0, &align);
	kbuf->memsz = lay_out(pi, false, kbuf->bufsz, &align);
	kbuf->buf_align = max(kbuf->buf_align, align);
	kbuf->buffer = __vmalloc(kbuf->bufsz, PURGATORY_GFP);
	if (!kbuf->buffer)
		return -ENOMEM;
	pi->purgatory_buf = kbuf->buffer;
	return kexec_add_buffer(kbuf);
}

static int relocate_by(struct purgatory_info *pi, const Elf_Shdr *relsec)
{
	unsigned int nr = pi->ehdr->e_shnum;

	if (relsec->sh_info >= nr || relsec->sh_link >= nr)
		return -ENOEXEC;
	if (!(pi->sechdrs[relsec->sh_info].sh_flags & SHF_ALLOC))
		return 0;
	if (relsec->sh_type == SHT_RELA)
		return arch_kexec_apply_relocations_add(pi, &pi->sechdrs[relsec->sh_info], relsec,
							&pi->sechdrs[relsec->sh_link]);
	return arch_kexec_apply_relocations(pi, &pi->sechdrs[relsec->sh_info], relsec,
					    &pi->sechdrs[relsec->sh_link]);
}

static int relocate(struct purgatory_info *pi)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < pi->ehdr->e_shnum && !err; i++)
		if (pi->sechdrs[i].sh_type == SHT_RELA || pi->sechdrs[i].sh_type == SHT_REL)
			err = relocate_by(pi, &pi->sechdrs[i]);
	return err;
}

static int load(struct kexec_buf *kbuf)
{
	struct purgatory_info *pi = &kbuf->image->purgatory_info;
	size_t size;
	int err;

	pi->ehdr = (const Elf_Ehdr *)kexec_purgatory;
	size = array_size(pi->ehdr->e_shnum, sizeof(*pi->sechdrs));
	pi->sechdrs = __vmalloc(size, PURGATORY_GFP);
	if (!pi->sechdrs)
		return -ENOMEM;
	memcpy(pi->sechdrs, (const void *)pi->ehdr + pi->ehdr->e_shoff, size);
	err = add_segment(kbuf);
	if (err)
		return err;
	kbuf->image->start = pi->ehdr->e_entry;
	put_sections(kbuf, false, put_sections(kbuf, true, 0));
	return relocate(pi);
}

/**
 * kexec_load_purgatory - make the purgatory a segment, and the image's entry
 * @image: being loaded
 * @kbuf: where it may go
 *
 * Context: in the load() of a loader.
 * Return: 0, -ENOMEM, -ENOEXEC when it cannot be relocated, or the errno of
 * kexec_add_buffer().
 */
int kexec_load_purgatory(struct kimage *image, struct kexec_buf *kbuf)
{
	int err;

	if (!kexec_purgatory_size)
		return -EINVAL;
	kbuf->image = image;
	err = load(kbuf);
	if (err)
		kexec_purgatory_free(image);
	return err;
}

/* What is needed until the image is loaded, and not after. */
void kexec_purgatory_free(struct kimage *image)
{
	struct purgatory_info *pi = &image->purgatory_info;

	vfree(pi->purgatory_buf);
	vfree(pi->sechdrs);
	*pi = (struct purgatory_info){};
}

/*
 * Digest
 *
 * Over all segments but the purgatory's own, which it becomes a part of, and
 * IMA's, which is written to later.
 */

static void hash_zeros(struct sha256_state *state, size_t len)
{
	while (len) {
		size_t part = min(len, PAGE_SIZE);

		sha256_update(state, page_address(ZERO_PAGE(0)), part);
		len -= part;
	}
}

static void hash_segment(struct sha256_state *state,
			 const struct kexec_segment *seg)
{
	size_t content = seg->kbuf ? seg->bufsz : 0;

	if (content)
		sha256_update(state, seg->kbuf, content);
	hash_zeros(state, seg->memsz - content);
}

/* Tell the purgatory what it is to find. Before the segments are copied. */
int kexec_purgatory_seal(struct kimage *image)
{
	struct kexec_sha_region regions[KEXEC_SEGMENT_MAX] = {};
	u8 digest[SHA256_DIGEST_SIZE];
	struct sha256_state state;
	unsigned int i, nr = 0;

	if (!image->purgatory_info.purgatory_buf)
		return 0;
	sha256_init(&state);
	for (i = 0; i < image->nr_segments; i++) {
		const struct kexec_segment *seg = &image->segment[i];

		if (seg->kbuf == image->purgatory_info.purgatory_buf ||
		    kimage_is_ima_segment(image, i))
			continue;
		hash_segment(&state, seg);
		regions[nr].start = seg->mem;
		regions[nr++].len = seg->memsz;
	}
	sha256_final(&state, digest);
	return kexec_purgatory_get_set_symbol(image, "purgatory_sha_regions", regions,
					      sizeof(regions), false) ?:
	       kexec_purgatory_get_set_symbol(image, "purgatory_sha256_digest", digest,
					      sizeof(digest), false);
}
