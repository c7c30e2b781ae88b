/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory of one moment: what is done when somebody is about to write to
 * it. Entered by the fault thread (uffd.c); locks: snapshot-int.h. It reads
 * guest memory, which waits for nobody, without the lock; and it waits for
 * room in the pool, for which the walking thread needs nothing that anybody
 * may hold who waits for the fault thread.
 */
#include <inttypes.h>
#include <sys/mman.h>

#include "migration/snapshot-int.h"
#include "trace/trace-migration.h"
#include "util/stream-copy.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  /* Linux 5.14 */
#endif

/* It is over, because of @err, which is taken. Lock held. */
static void give_up(Snapshot *s, Error *err)
{
    trace_snapshot_failed(err->message);
    s->phase = PHASE_OPEN;
    if (s->error) {
        g_error_free(err);
    } else {
        s->error = err;
    }
    g_cond_broadcast(&s->changed);
}

/*
 * Waits until there is room for a unit. False: it is over, and stores need not
 * be kept back any more.
 */
static bool wait_for_room(Snapshot *s, const SnapshotBlock *b,
                          SnapshotRoom *room)
{
    int64_t since = clock_now_ns(s->config.clock);
    bool waited = false, failed = false, found = false;
    uint8_t *data;

    g_mutex_lock(&s->lock);
    while (s->phase == PHASE_FROZEN) {
        int64_t until;
        Error *err = NULL;

        if (snapshot_pool_room(&s->pool, b->unit_pages, b->unit_pages,
                               &data)) {
            uint64_t used = snapshot_pool_used(&s->pool);
            uint64_t half = s->pool.slots / 2;

            *room = (SnapshotRoom) { s->pool.slots - used,
                                     half - MIN(used, half) };
            found = true;
            break;
        }
        if (!waited) {
            waited = true;
            s->waits++;
            trace_snapshot_room(snapshot_pool_used(&s->pool));
        }
        until = MAX(since, s->progress_ns) + s->config.patience_ns;
        if (clock_now_ns(s->config.clock) >= until) {
            error_setg(&err, "the guest waited to write while nothing of its "
                       "memory was taken for %" PRId64 " ms, with %" PRIu64
                       " bytes put aside",
                       s->config.patience_ns / 1000000,
                       snapshot_pool_used(&s->pool) * GUEST_PAGE_SIZE);
            give_up(s, err);
            failed = true;
            break;
        }
        g_cond_wait_until(&s->changed, &s->lock, until / 1000);
    }
    g_mutex_unlock(&s->lock);
    if (failed) {
        s->config.failed(s->config.opaque);
    }
    return found;
}

/* Claims from @unit on, at most @max units in a row. */
static uint64_t claim(SnapshotBlock *b, uint64_t unit, uint64_t max)
{
    uint64_t count = 0, part;

    do {
        part = snapshot_claim(b, unit + count,
                              MIN(max - count, snapshot_claim_max(b)));
        count += part;
    } while (part > 0 && count < max);
    return count;
}

/*
 * What has been copied to @data, as runs of a size that is sent at a time.
 * True: from now on there is hurry.
 */
static bool push(Snapshot *s, const SnapshotBlock *b, uint64_t first,
                 uint64_t pages, const uint8_t *data)
{
    uint64_t run_pages = snapshot_claim_max(b) * b->unit_pages;
    bool hurry;

    g_mutex_lock(&s->lock);
    hurry = !snapshot_is_half_full(s);
    for (uint64_t at = 0; at < pages; at += run_pages) {
        snapshot_pool_push(&s->pool, b->rb, first + at,
                           MIN(run_pages, pages - at),
                           data + at * GUEST_PAGE_SIZE);
    }
    hurry = hurry && snapshot_is_half_full(s);
    s->aside_pages += pages;
    trace_snapshot_aside(b->rb->id, first * GUEST_PAGE_SIZE, pages,
                         snapshot_pool_used(&s->pool));
    g_cond_broadcast(&s->changed);
    g_mutex_unlock(&s->lock);
    return hurry;
}

/*
 * Puts aside and opens what is to be had from @unit on in a row, at most @max
 * units. *count: so many; 0: somebody else has @unit, or there is no room.
 */
static bool put_chunk(Snapshot *s, SnapshotBlock *b, uint64_t unit,
                      uint64_t max, uint64_t *count, Error **errp)
{
    uint64_t room, pages, first = unit * b->unit_pages;
    uint8_t *data;
    bool hurry;

    g_mutex_lock(&s->lock);
    room = snapshot_pool_room(&s->pool, b->unit_pages, max * b->unit_pages,
                              &data);
    g_mutex_unlock(&s->lock);
    *count = room ? claim(b, unit, room / b->unit_pages) : 0;
    if (*count == 0) {
        return true;
    }
    pages = *count * b->unit_pages;
    stream_copy(data, b->rb->host + first * GUEST_PAGE_SIZE,
                pages * GUEST_PAGE_SIZE);
    hurry = push(s, b, first, pages, data);
    if (!snapshot_protect(s, b, unit, *count, false, errp)) {
        return false;
    }
    if (hurry) {
        s->config.urgent(s->config.opaque);
    }
    return true;
}

/*
 * In shared memory the kernel leaves a page that is opened read-only until it
 * is written to, which is a fault that only the kernel sees; this is cheaper,
 * and done beside whoever writes. Only for what the caller has opened: for a
 * page that is protected this thread would wait for itself.
 */
static void make_writable(const SnapshotBlock *b, uint64_t unit, uint64_t count)
{
    if (b->rb->backing.share) {
        /* If it cannot be had, whoever writes does it. */
        madvise(b->rb->host + unit * b->rb->page_size,
                count * b->rb->page_size, MADV_POPULATE_WRITE);
    }
}

/*
 * What is free of [@unit, @end), chunk by chunk, until somebody waits for
 * another page: up to where, in *reached.
 */
static bool put_ahead(Snapshot *s, SnapshotBlock *b, uint64_t unit,
                      uint64_t end, uint64_t *reached, Error **errp)
{
    uint64_t chunk = MAX(SNAPSHOT_CHUNK_PAGES / b->unit_pages, 1), count;

    while (!uffd_has_more(s->uffd)) {
        unit = snapshot_find_unclaimed(b, unit, end);
        if (unit == end) {
            break;
        }
        if (!put_chunk(s, b, unit, MIN(chunk, end - unit), &count, errp)) {
            return false;
        }
        if (count == 0) {
            break;
        }
        make_writable(b, unit, count);
        unit += count;
    }
    *reached = unit;
    return true;
}

static bool put_aside(Snapshot *s, SnapshotBlock *b, uint64_t unit,
                      Error **errp)
{
    uint64_t count, chunk, reached;
    SnapshotStretch stretch;
    SnapshotRoom room;

    if (snapshot_find_unclaimed(b, unit, unit + 1) != unit) {
        /* Can be written by now, or soon. */
        return true;
    }
    if (!wait_for_room(s, b, &room)) {
        return snapshot_protect(s, b, unit, 1, false, errp);
    }
    stretch = snapshot_plan(&s->plan, &b->plan, unit, room);
    chunk = MAX(SNAPSHOT_CHUNK_PAGES / b->unit_pages, 1);
    /* First what is waited for. */
    if (!put_chunk(s, b, unit, MIN(chunk, stretch.end - unit), &count, errp) ||
        !put_ahead(s, b, unit + count, stretch.end, &reached, errp)) {
        return false;
    }
    snapshot_plan_reached(&stretch, reached);
    return reached < stretch.end ||
           put_ahead(s, b, stretch.first, unit, &reached, errp);
}

static SnapshotBlock *find_block(Snapshot *s, const RamBlock *rb)
{
    for (unsigned i = 0; i < s->num_blocks; i++) {
        if (s->block[i].rb == rb) {
            return &s->block[i];
        }
    }
    g_assert_not_reached();
}

bool snapshot_on_fault(void *opaque, Uffd *u, const UffdFault *fault,
                       Error **errp)
{
    Snapshot *s = opaque;
    SnapshotBlock *b = find_block(s, fault->rb);
    uint64_t unit = fault->offset / b->rb->page_size;
    bool ok = true, frozen;

    (void)u;
    g_mutex_lock(&s->lock);
    frozen = s->phase == PHASE_FROZEN;
    if (!frozen) {
        ok = snapshot_protect(s, b, unit, 1, false, errp);
    }
    if (ok && s->phase == PHASE_ARMING) {
        s->written += !bitmap_test(b->bits, unit);
        bitmap_set(b->bits, unit);
    }
    g_mutex_unlock(&s->lock);
    return frozen ? put_aside(s, b, unit, errp) : ok;
}

/* Takes @err. Who waits goes on, and what is sent is of no one moment. */
void snapshot_on_failed(void *opaque, Uffd *u, Error *err)
{
    Snapshot *s = opaque;

    g_mutex_lock(&s->lock);
    give_up(s, err);
    g_mutex_unlock(&s->lock);
    uffd_release(u);
    s->config.failed(s->config.opaque);
}
