/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What snapshot.c and snapshot-fault.c share. Snapshot.lock is a leaf; who
 * holds it touches no guest memory.
 */
#ifndef GODWIT_MIGRATION_SNAPSHOT_INT_H
#define GODWIT_MIGRATION_SNAPSHOT_INT_H

#include "migration/snapshot-plan.h"
#include "migration/snapshot.h"

typedef enum Phase {
    PHASE_ARMING,               /* stores are let through and noted */
    PHASE_FROZEN,               /* the moment was */
    PHASE_OPEN,                 /* it is over: stores are let through */
} Phase;

typedef struct SnapshotBlock {
    /* Constant */
    RamBlock *rb;
    bool tracked;               /* else nobody can write to it */
    uint64_t unit_pages;        /* of a page of the host's, which is a unit */
    uint64_t units;

    uint64_t *bits;     /* ARMING: under lock; FROZEN: claims, atomic */

    SnapshotPlanBlock plan;     /* the fault thread's */
} SnapshotBlock;

struct Snapshot {
    /* Constant once started */
    SnapshotConfig config;
    SnapshotBlock block[RAM_BLOCKS_MAX];
    unsigned num_blocks;
    Uffd *uffd;
    UffdHandler handler;
    uint64_t total_pages;

    /* The walking thread */
    unsigned cur_block;
    uint64_t cur_unit;
    bool opened;                /* snapshot_open() has been */

    /* The fault thread */
    SnapshotPlan plan;

    uint64_t left_pages;        /* atomic; the walking thread writes */

    GMutex lock;
    GCond changed;
    /* Under lock */
    Phase phase;
    uint64_t written;           /* ARMING: units whose bit is set */
    SnapshotPool pool;
    int64_t progress_ns;        /* when the last run left */
    Error *error;
    uint64_t aside_pages, waits;
};

/*
 * Claims @unit and what follows it, at most @max units and not beyond its
 * word of the bitmap. How many are the caller's: 0, if @unit is not. Either
 * thread, no lock.
 */
unsigned snapshot_claim(SnapshotBlock *b, uint64_t unit, unsigned max);

/* The first unit from @unit on, and before @end, that nobody has claimed. */
uint64_t snapshot_find_unclaimed(const SnapshotBlock *b, uint64_t unit,
                                 uint64_t end);

/* Units that one claim may have. */
static inline unsigned snapshot_claim_max(const SnapshotBlock *b)
{
    return MAX(BITMAP_WORD_BITS / b->unit_pages, 1);
}

static inline bool snapshot_protect(Snapshot *s, const SnapshotBlock *b,
                                    uint64_t unit, uint64_t units, bool on,
                                    Error **errp)
{
    return uffd_protect(s->uffd, b->rb, unit * b->rb->page_size,
                        units * b->rb->page_size, on, errp);
}

/* Lock held. */
static inline bool snapshot_is_half_full(const Snapshot *s)
{
    return snapshot_pool_used(&s->pool) >= s->pool.slots / 2;
}

/* snapshot-fault.c: the handler of the Uffd. */
bool snapshot_on_fault(void *opaque, Uffd *u, const UffdFault *fault,
                       Error **errp);
void snapshot_on_failed(void *opaque, Uffd *u, Error *err);

#endif
