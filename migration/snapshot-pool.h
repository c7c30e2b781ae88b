/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages put aside: a ring of memory of fixed size. One thread reserves, fills
 * and pushes runs of pages; another takes them in the same order and gives
 * their room back. Whoever owns it has the lock; a run that is reserved or
 * taken is its holder's, without lock.
 */
#ifndef GODWIT_MIGRATION_SNAPSHOT_POOL_H
#define GODWIT_MIGRATION_SNAPSHOT_POOL_H

#include "system/memory.h"
#include "util/error.h"

/* Some pages of guest memory that follow one another, and a copy of them. */
typedef struct PoolRun {
    const RamBlock *rb;
    uint64_t first, pages;      /* in pages of GUEST_PAGE_SIZE */
    uint8_t *data;
    uint64_t end;               /* the pool's */
} PoolRun;

typedef struct SnapshotPool {
    /* Constant */
    uint8_t *base;
    uint64_t slots;             /* of GUEST_PAGE_SIZE bytes */
    PoolRun *runs;              /* a ring of as many */

    uint64_t populated;         /* slots, from the first; who takes runs */

    /* The owner's lock */
    uint64_t head, tail;        /* slots ever taken and given back */
    uint64_t pushed, popped;    /* runs */
} SnapshotPool;

/*
 * @bytes: a multiple of GUEST_PAGE_SIZE. The host has to have them only as they
 * are used.
 */
bool snapshot_pool_init(SnapshotPool *pool, uint64_t bytes, Error **errp);
void snapshot_pool_clear(SnapshotPool *pool);

/*
 * Room for @least pages in a row, at most for @most: how many, and in *data
 * where. 0: there is no room now. It is nobody's until it is pushed.
 */
uint64_t snapshot_pool_room(SnapshotPool *pool, uint64_t least, uint64_t most,
                            uint8_t **data);
/* The room that was told of last, filled from its start. */
void snapshot_pool_push(SnapshotPool *pool, const RamBlock *rb, uint64_t first,
                        uint64_t pages, const uint8_t *data);

/* The oldest run that nobody has taken. False: there is none. */
bool snapshot_pool_pop(SnapshotPool *pool, PoolRun *run);
/* A run that was popped has left: in the order of popping. */
void snapshot_pool_give_back(SnapshotPool *pool, const PoolRun *run);

/*
 * @head, which was read under the lock, comes near to what the host has never
 * given: it gives more, before somebody waits for it. Whoever takes runs;
 * without lock.
 */
void snapshot_pool_populate(SnapshotPool *pool, uint64_t head);

/* In slots; a run that was popped counts until it is given back. */
uint64_t snapshot_pool_used(const SnapshotPool *pool);

#endif
