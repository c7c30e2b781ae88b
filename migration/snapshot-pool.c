/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring of pages put aside; see snapshot-pool.h for threads and lock. */
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "migration/snapshot-pool.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  /* Linux 5.14 */
#endif

/* At the beginning; ... */
#define POPULATE_FIRST (UINT64_C(64) << 20)
/* ... when less than so much is left; and so much more each time. */
#define POPULATE_BELOW (UINT64_C(32) << 20)
#define POPULATE_STEP (UINT64_C(4) << 20)

static void populate(SnapshotPool *pool, uint64_t bytes)
{
    uint64_t slots = MIN(bytes / GUEST_PAGE_SIZE,
                         pool->slots - pool->populated);

    /* What cannot be had now comes when it is touched. */
    madvise(pool->base + pool->populated * GUEST_PAGE_SIZE,
            slots * GUEST_PAGE_SIZE, MADV_POPULATE_WRITE);
    pool->populated += slots;
}

bool snapshot_pool_init(SnapshotPool *pool, uint64_t bytes, Error **errp)
{
    *pool = (SnapshotPool) { .slots = bytes / GUEST_PAGE_SIZE };
    pool->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pool->base == MAP_FAILED) {
        pool->base = NULL;
        error_setg_errno(errp, errno, "no address space for %" PRIu64
                         " bytes of pages put aside", bytes);
        return false;
    }
    madvise(pool->base, bytes, MADV_HUGEPAGE);
    populate(pool, POPULATE_FIRST);
    pool->runs = g_new(PoolRun, pool->slots);
    return true;
}

void snapshot_pool_clear(SnapshotPool *pool)
{
    if (pool->base) {
        munmap(pool->base, pool->slots * GUEST_PAGE_SIZE);
    }
    g_free(pool->runs);
    *pool = (SnapshotPool) { 0 };
}

void snapshot_pool_populate(SnapshotPool *pool, uint64_t head)
{
    /* It has gone round only if all of it has been used. */
    if (pool->populated < pool->slots &&
        head + POPULATE_BELOW / GUEST_PAGE_SIZE > pool->populated) {
        populate(pool, POPULATE_STEP);
    }
}

uint64_t snapshot_pool_used(const SnapshotPool *pool)
{
    return pool->head - pool->tail;
}

uint64_t snapshot_pool_room(SnapshotPool *pool, uint64_t least, uint64_t most,
                            uint8_t **data)
{
    uint64_t free_slots, at, to_end;

    g_assert(least > 0 && least <= most);
    if (snapshot_pool_used(pool) == 0) {
        pool->head = pool->tail = 0;
    }
    free_slots = pool->slots - snapshot_pool_used(pool);
    at = pool->head % pool->slots;
    to_end = pool->slots - at;
    if (to_end < least) {
        /* A run does not go round the end: it begins anew. */
        if (free_slots < to_end + least) {
            return 0;
        }
        free_slots -= to_end;
        at = 0;
        to_end = pool->slots;
    }
    if (free_slots < least) {
        return 0;
    }
    *data = pool->base + at * GUEST_PAGE_SIZE;
    return MIN(MIN(most, to_end), free_slots);
}

void snapshot_pool_push(SnapshotPool *pool, const RamBlock *rb, uint64_t first,
                        uint64_t pages, const uint8_t *data)
{
    uint64_t at = (data - pool->base) / GUEST_PAGE_SIZE;
    uint64_t skipped = (at + pool->slots - pool->head % pool->slots) %
                       pool->slots;

    pool->head += skipped + pages;
    g_assert(snapshot_pool_used(pool) <= pool->slots);
    pool->runs[pool->pushed++ % pool->slots] = (PoolRun) {
        rb, first, pages, (uint8_t *)data, pool->head,
    };
}

bool snapshot_pool_pop(SnapshotPool *pool, PoolRun *run)
{
    if (pool->popped == pool->pushed) {
        return false;
    }
    *run = pool->runs[pool->popped++ % pool->slots];
    return true;
}

void snapshot_pool_give_back(SnapshotPool *pool, const PoolRun *run)
{
    g_assert(run->end > pool->tail && run->end <= pool->head);
    pool->tail = run->end;
}
