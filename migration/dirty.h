/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages are still to be sent. One reader of the guest's dirty log, a
 * bitmap for each block and a running count, so that "how much is left" costs
 * nothing whatever the guest's size. The outgoing migration thread only; the
 * count may be read by any thread.
 */
#ifndef GODWIT_MIGRATION_DIRTY_H
#define GODWIT_MIGRATION_DIRTY_H

#include "system/memory.h"

typedef struct DirtyBlock {
    const RamBlock *rb;
    uint64_t *bitmap;
    uint64_t pages;
} DirtyBlock;

typedef struct DirtyTracker {
    DirtyLog *log;              /* NULL: not started, or there is none */
    DirtyBlock blocks[RAM_BLOCKS_MAX];
    unsigned num_blocks;
    uint64_t dirty_pages;       /* atomic */
    uint64_t total_pages;

    /* Where the walk is */
    unsigned cur_block;
    uint64_t cur_page;
    uint64_t rounds;            /* it has begun again so often */
} DirtyTracker;

/* Starts logging over all migratable blocks; every page is dirty. */
bool dirty_start(DirtyTracker *d, Memory *mem, Error **errp);
/*
 * Lists the blocks and counts their pages, no more: somebody else knows which
 * are still to be sent, and says how many.
 */
void dirty_start_unlogged(DirtyTracker *d, Memory *mem);
void dirty_set_left(DirtyTracker *d, uint64_t pages);
void dirty_stop(DirtyTracker *d);

/*
 * Collects what was written since the last time. After it every page whose bit
 * is clear is at the other side as it is here, or has been written since.
 * Returns how many pages this made dirty.
 */
uint64_t dirty_sync(DirtyTracker *d);

/*
 * The next dirty page of the walk, which goes round for ever; its bit is
 * cleared. NULL: none is dirty.
 */
const DirtyBlock *dirty_next(DirtyTracker *d, uint64_t *page);

/* As above, but it stays dirty, and the walk stays there. */
const DirtyBlock *dirty_peek(DirtyTracker *d, uint64_t *page);

/* ---- postcopy: the guest has stopped, and nothing becomes dirty any more.
 * Whoever shares the tracker with another thread has a lock around these. */

/* The tracker's own block of @rb, or NULL. */
DirtyBlock *dirty_block(DirtyTracker *d, const RamBlock *rb);

/* The walk goes on at @page of @b. */
void dirty_seek(DirtyTracker *d, const DirtyBlock *b, uint64_t page);

/*
 * Clears the bits of the host's page, of @unit guest pages, that @page is in:
 * *first is its first one. False: none was set.
 */
bool dirty_take_unit(DirtyTracker *d, const DirtyBlock *b, uint64_t page,
                     uint64_t unit, uint64_t *first);

/* Pages of the host's of which a part is dirty become dirty as a whole. */
void dirty_round_up(DirtyTracker *d, const DirtyBlock *b, uint64_t unit);

/* Dirty is from now on what @received, of b->pages bits, does not have. */
void dirty_replace(DirtyTracker *d, DirtyBlock *b, const uint64_t *received);

static inline uint64_t dirty_count(const DirtyTracker *d)
{
    return __atomic_load_n(&d->dirty_pages, __ATOMIC_RELAXED);
}

#endif
