/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory of one moment: what is done when somebody is about to write to
 * it. Entered by the fault thread (uffd.c); locks: snapshot-int.h. It reads
 * guest memory, which waits for nobody, without the lock; and it waits for
 * room in the pool, for which the walking thread needs nothing that anybody
 * may hold who waits for the fault thread.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/snapshot-int.h"
#include "trace/trace-migration.h"

/* Who writes page after page has up to so many put aside at a time. */
#define AROUND_MAX 32

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
 * Waits until there is room for a unit: for how many pages, and where. 0: it
 * is over, and stores need not be kept back any more.
 */
static uint64_t wait_for_room(Snapshot *s, const SnapshotBlock *b,
                              unsigned units, uint8_t **data)
{
    int64_t since = clock_now_ns(s->config.clock);
    bool waited = false, failed = false;
    uint64_t pages = 0;

    g_mutex_lock(&s->lock);
    while (s->phase == PHASE_FROZEN) {
        int64_t until;
        Error *err = NULL;

        pages = snapshot_pool_room(&s->pool, b->unit_pages,
                                   units * b->unit_pages, data);
        if (pages > 0) {
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
    return pages;
}

/* Who writes in order is met ahead: fewer faults. */
static Writer *find_writer(Snapshot *s, const SnapshotBlock *b, uint64_t unit)
{
    Writer *w;

    for (unsigned i = 0; i < SNAPSHOT_WRITERS; i++) {
        w = &s->writers[i];
        if (w->b == b && w->next == unit) {
            w->window = MIN(w->window * 2, AROUND_MAX);
            w->window = MIN(w->window, snapshot_claim_max(b));
            return w;
        }
    }
    s->last_writer = (s->last_writer + 1) % SNAPSHOT_WRITERS;
    w = &s->writers[s->last_writer];
    *w = (Writer) { b, unit, 1 };
    return w;
}

static bool put_aside(Snapshot *s, SnapshotBlock *b, uint64_t unit,
                      Error **errp)
{
    Writer *w = find_writer(s, b, unit);
    uint64_t room, pages, first = unit * b->unit_pages;
    unsigned count;
    uint8_t *data;
    bool hurry;

    room = wait_for_room(s, b, w->window, &data);
    if (room == 0) {
        return snapshot_protect(s, b, unit, 1, false, errp);
    }
    count = snapshot_claim(b, unit, MIN(room / b->unit_pages, w->window));
    if (count == 0) {
        /* Can be written by now, or soon. */
        return true;
    }
    w->next = unit + count;
    pages = count * b->unit_pages;
    memcpy(data, b->rb->host + first * GUEST_PAGE_SIZE,
           pages * GUEST_PAGE_SIZE);
    g_mutex_lock(&s->lock);
    hurry = !snapshot_is_half_full(s);
    snapshot_pool_push(&s->pool, b->rb, first, pages, data);
    hurry = hurry && snapshot_is_half_full(s);
    s->aside_pages += pages;
    trace_snapshot_aside(b->rb->id, first * GUEST_PAGE_SIZE, pages,
                         snapshot_pool_used(&s->pool));
    g_cond_broadcast(&s->changed);
    g_mutex_unlock(&s->lock);
    if (!snapshot_protect(s, b, unit, count, false, errp)) {
        return false;
    }
    if (hurry) {
        s->config.urgent(s->config.opaque);
    }
    return true;
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
