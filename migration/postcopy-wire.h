/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What postcopy says on the wire, as plain data: built at one side, checked at
 * the other. Byte by byte: docs/interop/migration-stream.rst. Pure; any thread.
 */
#ifndef GODWIT_MIGRATION_POSTCOPY_WIRE_H
#define GODWIT_MIGRATION_POSTCOPY_WIRE_H

#include "migration/stream.h"
#include "system/memory.h"

/* ---- POSTCOPY_ADVISE ---- */

#define POSTCOPY_ADVISE_BYTES 16

typedef struct PostcopyAdvise {
    uint64_t page_sizes;        /* of all blocks' hosts' pages, ORed, bytes */
    uint64_t guest_page;        /* GUEST_PAGE_SIZE */
} PostcopyAdvise;

/* What this machine would say. */
PostcopyAdvise postcopy_advise_of(Memory *memory);
void postcopy_put_advise(const PostcopyAdvise *advise, uint8_t *buf);
PostcopyAdvise postcopy_get_advise(const uint8_t *buf);
/* Whether the two sides can work together; the error names what differs. */
bool postcopy_check_advise(const PostcopyAdvise *ours,
                           const PostcopyAdvise *theirs, Error **errp);

/* ---- POSTCOPY_RAM_DISCARD ---- */

#define POSTCOPY_DISCARD_VERSION 0
#define POSTCOPY_DISCARD_RANGES 12
#define POSTCOPY_DISCARD_BYTES (3 + 255 + POSTCOPY_DISCARD_RANGES * 16)

/* Pages of one block that the destination must not use. */
typedef struct PostcopyDiscard {
    char id[MIG_COUNTED_STRING_SIZE];
    unsigned num;               /* 1 .. POSTCOPY_DISCARD_RANGES */
    struct {
        uint64_t start;         /* bytes in the block */
        uint64_t len;
    } range[POSTCOPY_DISCARD_RANGES];
} PostcopyDiscard;

/* Into @buf, which has room for POSTCOPY_DISCARD_BYTES; returns the length. */
uint16_t postcopy_put_discard(const PostcopyDiscard *d, uint8_t *buf);
bool postcopy_get_discard(const uint8_t *buf, size_t len, PostcopyDiscard *d,
                          Error **errp);
/* The block that it means, if all of it lies in there, in whole pages. */
RamBlock *postcopy_discard_block(Memory *memory, const PostcopyDiscard *d,
                                 Error **errp);

/* ---- PACKAGED ---- */

/* States of devices: some tens of kilobytes; of a GPU's rest, some more. */
#define POSTCOPY_PACKAGE_MAX (128u << 20)

/* ---- a name in a command or message: u8 length and the bytes ---- */

/* @buf: of exactly @len bytes. */
bool postcopy_get_name(const uint8_t *buf, size_t len,
                       char id[MIG_COUNTED_STRING_SIZE], Error **errp);

/* ---- RECV_BITMAP ---- */

#define POSTCOPY_BITMAP_END UINT64_C(0x0123456789abcdef)

/* Bytes of the bitmap of a block of @pages guest pages on the wire. */
static inline uint64_t postcopy_bitmap_bytes(uint64_t pages)
{
    return bitmap_words(pages) * sizeof(uint64_t);
}

/* ---- RESUME_ACK ---- */

#define POSTCOPY_RESUME_ACK_VALUE 1

/* ---- the blocks that postcopy is about ---- */

/* A page of the host's in guest pages; at least 1. */
static inline uint64_t postcopy_unit_pages(const RamBlock *rb)
{
    return rb->page_size > GUEST_PAGE_SIZE ? rb->page_size / GUEST_PAGE_SIZE
                                           : 1;
}

/* Whether the list of blocks has to say how large this one's pages are. */
bool postcopy_block_is_huge(const RamBlock *rb);

#endif
