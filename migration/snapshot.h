/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory of one moment, to be read while the guest runs on: memory is
 * write-protected, and what the guest is about to write is put aside first.
 * The design is in docs/devel/migration-uffd.rst.
 *
 *   snapshot_start        guest running: memory is being protected
 *   snapshot_freeze       the moment; guest stopped
 *   { snapshot_next, [snapshot_taken,] snapshot_sent }*   guest running
 *   snapshot_free         whenever, and however it ended
 */
#ifndef GODWIT_MIGRATION_SNAPSHOT_H
#define GODWIT_MIGRATION_SNAPSHOT_H

#include "migration/snapshot-pool.h"
#include "migration/uffd.h"

typedef struct Snapshot Snapshot;

/*
 * For pages put aside: an eighth of guest memory, within these limits, and not
 * more than there is.
 */
#define SNAPSHOT_POOL_BYTES_MIN (UINT64_C(256) << 20)
#define SNAPSHOT_POOL_BYTES_MAX (UINT64_C(1) << 30)

/* The most guest pages in one run: a page of the host, or 64. */
#define SNAPSHOT_RUN_PAGES_MAX ((UINT64_C(64) << 20) / GUEST_PAGE_SIZE)

/* So long a store waits for a pool that is full and does not become emptier. */
#define SNAPSHOT_PATIENCE_NS (5 * INT64_C(1000000000))

typedef struct SnapshotConfig {
    Memory *memory;
    const UffdSys *sys;
    Clock *clock;               /* the host's, but for its readings */
    uint64_t pool_bytes;        /* a multiple of GUEST_PAGE_SIZE */
    int64_t patience_ns;
    /*
     * The thread that starts it: whether to give up now. The others are the
     * fault thread's, and are called without a lock of the snapshot's:
     */
    bool (*stopped)(void *opaque);
    /* The pool is half full: whoever sends pages must not sleep. */
    void (*urgent)(void *opaque);
    /* It has failed, and whoever waits for a channel waits in vain. */
    void (*failed)(void *opaque);
    void *opaque;
} SnapshotConfig;

/* What the pool should have for @memory. */
uint64_t snapshot_pool_bytes(Memory *memory);

/*
 * Whether kernel and memory allow it, with a pool of @pool_bytes. The error
 * names what is in the way. Any thread.
 */
bool snapshot_check(const UffdSys *sys, Memory *memory, uint64_t pool_bytes,
                    Error **errp);

/*
 * Protects all memory that can be written and is migratable, piece by piece,
 * with the guest running: stores to what is protected already are let through
 * and noted. Big lock not held. NULL and errp: nothing is left of it.
 */
Snapshot *snapshot_start(const SnapshotConfig *config, Error **errp);

/*
 * The moment: protects what has been written since it was protected, which is
 * all that takes time. Guest stopped, and nobody else is writing: big lock
 * held. Error: snapshot_free() before anybody takes the big lock.
 */
bool snapshot_freeze(Snapshot *s, Error **errp);

/* Pages to be sent, as they were in the moment. */
typedef struct SnapshotRun {
    const RamBlock *rb;
    uint64_t first, pages;      /* of GUEST_PAGE_SIZE; pages 0: all are sent */
    const uint8_t *data;
    bool in_place;              /* data is guest memory */
    PoolRun aside;              /* the snapshot's, if not */
} SnapshotRun;

/*
 * What to send next: what was put aside comes first. If it is in place, stores
 * to it wait until snapshot_taken(). Big lock not held, nor anything that who
 * touches guest memory may hold. Error: it has failed, and why. One thread.
 */
bool snapshot_next(Snapshot *s, SnapshotRun *run, Error **errp);
/* A run in place has been copied: the guest may write there. */
bool snapshot_taken(Snapshot *s, const SnapshotRun *run, Error **errp);
/* It has left. */
void snapshot_sent(Snapshot *s, const SnapshotRun *run);

/* For the copy of a run: as many bytes as one can have, aligned to a page. */
uint8_t *snapshot_buffer(Snapshot *s);

/* Whether something put aside waits to be sent; ... so much that it hurries. */
bool snapshot_has_aside(Snapshot *s);
bool snapshot_is_urgent(Snapshot *s);

/* False: it has failed, and what was sent is not of one moment. Any thread. */
bool snapshot_check_whole(Snapshot *s, Error **errp);

/* Pages that are not sent yet. Any thread. */
uint64_t snapshot_left(Snapshot *s);

/*
 * Ends it: memory can be written as before, and who waited for that is counted
 * in the statistics. Neither big lock nor anything else held that who touches
 * guest memory may hold.
 */
void snapshot_open(Snapshot *s);

/* snapshot_open(), unless that has been, and away with it. NULL is nothing. */
void snapshot_free(Snapshot *s);

/* In pages of GUEST_PAGE_SIZE, but for the last. */
typedef struct SnapshotStats {
    uint64_t total_pages;
    uint64_t aside_pages;       /* put aside, because somebody wrote to them */
    uint64_t waits;             /* stores that had to wait for room */
    UffdStats faults;
} SnapshotStats;

/* Any thread. */
void snapshot_get_stats(Snapshot *s, SnapshotStats *stats);

#endif
