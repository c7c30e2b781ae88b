/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is put into guest memory before the first instruction, and again at
 * every reset: firmware, kernel, initrd, device tree, boot ROM. File contents
 * are not kept in memory: the file stays open and is read again. A machine
 * that waits for an incoming migration loads nothing, the stream brings it.
 *
 * Main loop, big lock.
 */
#ifndef GODWIT_HW_CORE_LOADER_H
#define GODWIT_HW_CORE_LOADER_H

#include "system/memory.h"
#include "system/vm.h"

typedef struct Loader Loader;

/* Registers the reset handler: create it before the harts' and devices'. */
Loader *loader_new(Vm *vm);
void loader_free(Loader *loader);

/* Puts all of it into memory, as a reset does. */
void loader_load(Loader *loader);

/*
 * Has the @len bytes at @data (copied) put at @gpa. @name is for messages.
 * @renew (may be NULL) may change the copy before each time. Error: not all of
 * it is RAM, or something else is loaded there.
 */
bool loader_add_bytes(Loader *loader, const char *name, hwaddr gpa,
                      const void *data, uint64_t len,
                      void (*renew)(void *data), Error **errp);

/* A file to be loaded, open and regular. */
typedef struct ImageFile {
    char *path;
    int fd;
    uint64_t size;              /* bytes, not 0 */
} ImageFile;

/* @what is for messages ("kernel"). Free by image_file_close(). */
bool image_file_open(ImageFile *file, const char *what, const char *path,
                     Error **errp);
void image_file_close(ImageFile *file);

/* Reads exactly @len bytes at @offset. Error: the file has not that much. */
bool image_file_read(const ImageFile *file, uint64_t offset, void *buf,
                     uint64_t len, Error **errp);

/*
 * Has @len bytes of @file from @offset put at @gpa, followed by zeros up to
 * @mem_len (>= @len) bytes. Errors as loader_add_bytes(), and: the file ends
 * before. The caller may close its @file.
 */
bool loader_add_file(Loader *loader, const ImageFile *file, uint64_t offset,
                     uint64_t len, hwaddr gpa, uint64_t mem_len, Error **errp);

/* Where something was loaded. */
typedef struct LoadedImage {
    hwaddr start;               /* its lowest byte */
    hwaddr end;                 /* behind its highest byte */
    hwaddr entry;               /* where to jump */
} LoadedImage;

/* Whether @file starts as an ELF file does. */
bool image_file_is_elf(const ImageFile *file);

/*
 * The PT_LOAD segments of a 64-bit little-endian RISC-V ELF file to their
 * physical addresses (System V ABI, chapters 4 and 5). A file of type ET_DYN
 * linked to 0 is put at @base. Errors name the file and the wrong value.
 */
bool loader_add_elf(Loader *loader, const ImageFile *file, hwaddr base,
                    LoadedImage *loaded, Error **errp);

#endif
