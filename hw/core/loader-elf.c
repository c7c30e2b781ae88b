/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF files into guest memory. Every number of the file is checked against the
 * file's size and, by the loader, against RAM. Main loop, big lock.
 */
#include <elf.h>
#include <string.h>

#include "hw/core/loader.h"
#include "util/checked.h"

/* More segments than any real kernel or firmware has. */
#define ELF_SEGMENTS_MAX 128

bool image_file_is_elf(const ImageFile *file)
{
    char magic[SELFMAG];

    return file->size >= sizeof(Elf64_Ehdr) &&
           image_file_read(file, 0, magic, sizeof(magic), NULL) &&
           memcmp(magic, ELFMAG, SELFMAG) == 0;
}

typedef struct HeaderRule {
    const char *field;
    uint64_t value, wanted;
} HeaderRule;

static bool check_header(const ImageFile *file, const Elf64_Ehdr *eh,
                         Error **errp)
{
    const HeaderRule rules[] = {
        { "class", eh->e_ident[EI_CLASS], ELFCLASS64 },
        { "byte order", eh->e_ident[EI_DATA], ELFDATA2LSB },
        { "version", eh->e_version, EV_CURRENT },
        { "machine", eh->e_machine, EM_RISCV },
        { "program header size", eh->e_phentsize, sizeof(Elf64_Phdr) },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (rules[i].value != rules[i].wanted) {
            error_setg(errp, "ELF file '%s': %s is %" G_GUINT64_FORMAT
                       ", it must be %" G_GUINT64_FORMAT
                       " (64-bit little-endian RISC-V)", file->path,
                       rules[i].field, rules[i].value, rules[i].wanted);
            return false;
        }
    }
    if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN) {
        error_setg(errp, "ELF file '%s': type is %u, it must be 2 (executable) "
                   "or 3 (position-independent)", file->path, eh->e_type);
        return false;
    }
    if (eh->e_phnum == 0 || eh->e_phnum > ELF_SEGMENTS_MAX) {
        error_setg(errp, "ELF file '%s' has %u program headers, it must have "
                   "1 to %u", file->path, eh->e_phnum, ELF_SEGMENTS_MAX);
        return false;
    }
    return true;
}

/* Adds one segment, moved by @shift, to memory and to *loaded. */
static bool add_segment(Loader *loader, const ImageFile *file,
                        const Elf64_Ehdr *eh, const Elf64_Phdr *ph,
                        hwaddr shift, LoadedImage *loaded, Error **errp)
{
    hwaddr gpa;

    if (ph->p_filesz > ph->p_memsz) {
        error_setg(errp, "ELF file '%s': a segment has %" G_GUINT64_FORMAT
                   " bytes in the file but only %" G_GUINT64_FORMAT
                   " in memory", file->path, (uint64_t)ph->p_filesz,
                   (uint64_t)ph->p_memsz);
        return false;
    }
    if (!checked_add_u64(ph->p_paddr, shift, &gpa)) {
        error_setg(errp, "ELF file '%s': physical address 0x%"
                   G_GINT64_MODIFIER "x is beyond the address space",
                   file->path, (uint64_t)ph->p_paddr);
        return false;
    }
    if (!loader_add_file(loader, file, ph->p_offset, ph->p_filesz, gpa,
                         ph->p_memsz, errp)) {
        return false;
    }
    loaded->start = MIN(loaded->start, gpa);
    loaded->end = MAX(loaded->end, gpa + ph->p_memsz);
    /* The entry is a virtual address; a kernel's differ from the physical. */
    if (eh->e_entry >= ph->p_vaddr &&
        eh->e_entry - ph->p_vaddr < ph->p_memsz) {
        loaded->entry = gpa + (eh->e_entry - ph->p_vaddr);
    }
    return true;
}

bool loader_add_elf(Loader *loader, const ImageFile *file, hwaddr base,
                    LoadedImage *loaded, Error **errp)
{
    g_autofree Elf64_Phdr *ph = NULL;
    Elf64_Ehdr eh;
    hwaddr lowest = UINT64_MAX;
    bool any = false;
    hwaddr shift;

    if (!image_file_read(file, 0, &eh, sizeof(eh), errp) ||
        !check_header(file, &eh, errp)) {
        return false;
    }
    ph = g_new0(Elf64_Phdr, eh.e_phnum);
    if (!image_file_read(file, eh.e_phoff, ph, eh.e_phnum * sizeof(*ph),
                         errp)) {
        error_prepend(errp, "ELF program headers: ");
        return false;
    }
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD && ph[i].p_memsz) {
            lowest = MIN(lowest, ph[i].p_paddr);
            any = true;
        }
    }
    if (!any) {
        error_setg(errp, "ELF file '%s' has nothing to load", file->path);
        return false;
    }
    shift = eh.e_type == ET_DYN && lowest == 0 ? base : 0;
    *loaded = (LoadedImage){ UINT64_MAX, 0, UINT64_MAX };
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD && ph[i].p_memsz &&
            !add_segment(loader, file, &eh, &ph[i], shift, loaded, errp)) {
            return false;
        }
    }
    if (loaded->entry == UINT64_MAX) {
        error_setg(errp, "ELF file '%s': entry point 0x%" G_GINT64_MODIFIER
                   "x is in none of its segments", file->path,
                   (uint64_t)eh.e_entry);
        return false;
    }
    return true;
}
