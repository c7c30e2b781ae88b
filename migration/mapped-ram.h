/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory at fixed places of a file (capability mapped-ram): where what
 * is, in both directions. The layout is in docs/interop/migration-stream.rst.
 * One thread; no lock.
 */
#ifndef GODWIT_MIGRATION_MAPPED_RAM_H
#define GODWIT_MIGRATION_MAPPED_RAM_H

#include "migration/stream.h"
#include "system/memory.h"

/* The wire's numbers. */
#define MAPPED_RAM_VERSION 1
#define MAPPED_RAM_HEADER_BYTES 28
#define MAPPED_RAM_ALIGN (UINT64_C(1) << 20)

/* Where one RAM block is. Offsets are in bytes from the file's start. */
typedef struct MappedBlock {
    const RamBlock *rb;         /* NULL: not in the file */
    uint64_t bitmap_offset;
    uint64_t pages_offset;      /* page n is at + n * GUEST_PAGE_SIZE */
    uint64_t pages;
    /* A bit a page: set if the file has its contents, clear if it is zero. */
    uint64_t *bitmap;
} MappedBlock;

typedef struct MappedRam {
    MappedBlock block[RAM_BLOCKS_MAX];  /* by RamBlock.index */
} MappedRam;

MappedRam *mapped_ram_new(void);
void mapped_ram_free(MappedRam *mr);

/*
 * Saving: behind @rb's entry in the list of blocks. Puts the header and goes
 * on behind the block's pages. Errors stay in the stream.
 */
void mapped_ram_put_header(MappedRam *mr, MigStream *s, const RamBlock *rb);
/* Saving: the bitmaps, when all pages are in their places. */
void mapped_ram_put_bitmaps(MappedRam *mr, MigStream *s);

/*
 * Loading: takes and checks the header behind @rb's entry, against the file's
 * length too, and goes on behind the pages. Touches no guest memory.
 */
bool mapped_ram_get_header(MappedRam *mr, MigStream *s, const RamBlock *rb,
                           Error **errp);
/* Loading: reads and checks the bitmaps of all blocks that have a header. */
bool mapped_ram_get_bitmaps(MappedRam *mr, MigStream *s, Error **errp);

#endif
