/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends guest memory in postcopy: first what the destination waits for, then
 * what lies behind it, because that is touched next, then the rest in order.
 * The guest stands still for good, so that nothing becomes dirty; a page of the
 * host's goes as a whole, because the other side can place it only so.
 *
 * The outgoing thread sends; the return path's thread hands requests over.
 * Owns RamRequests.lock, a leaf.
 */
#include <inttypes.h>

#include "migration/postcopy-wire.h"
#include "migration/ram-int.h"
#include "migration/savevm.h"
#include "trace/trace-migration.h"
#include "util/checked.h"

/*
 * So much goes behind a request or another in one section: what comes to be
 * asked for meanwhile waits for it.
 */
#define CHUNK_PAGES 16

/* ---- what the destination must not use ---- */

static void put_block_discards(Ram *ram, SaveVM *sv, const DirtyBlock *b)
{
    PostcopyDiscard d = { .num = 0 };
    uint64_t first = 0, end, runs = 0;

    g_strlcpy(d.id, b->rb->id, sizeof(d.id));
    dirty_round_up(&ram->dirty, b, postcopy_unit_pages(b->rb));
    while ((first = bitmap_find_next(b->bitmap, b->pages, first)) < b->pages) {
        end = bitmap_find_next_zero(b->bitmap, b->pages, first);
        d.range[d.num].start = first * GUEST_PAGE_SIZE;
        d.range[d.num].len = (end - first) * GUEST_PAGE_SIZE;
        runs++;
        if (++d.num == POSTCOPY_DISCARD_RANGES) {
            savevm_put_discard(sv, &d);
            d.num = 0;
        }
        first = end;
    }
    if (d.num) {
        savevm_put_discard(sv, &d);
    }
    trace_postcopy_discard(b->rb->id, runs);
}

void ram_put_discards(Ram *ram, SaveVM *sv)
{
    for (unsigned i = 0; i < ram->dirty.num_blocks; i++) {
        put_block_discards(ram, sv, &ram->dirty.blocks[i]);
    }
}

/* ---- requests ---- */

static bool check_request(const RamBlock *rb, const char *id, uint64_t offset,
                          uint64_t len, Error **errp)
{
    uint64_t unit;

    if (!rb || !rb->migratable) {
        g_autofree char *text = g_strescape(id, NULL);

        error_setg(errp, "the destination asks for a page of RAM block '%s', "
                   "which this machine does not have", text);
        return false;
    }
    unit = postcopy_unit_pages(rb) * GUEST_PAGE_SIZE;
    if (len == 0 || offset % unit != 0 || len % unit != 0 ||
        !range_fits_u64(offset, len, rb->backing.size)) {
        error_setg(errp, "the destination asks for 0x%" PRIx64 " bytes at 0x%"
                   PRIx64 " of RAM block '%s', which has 0x%" PRIx64 " in "
                   "pages of 0x%" PRIx64, len, offset, rb->id,
                   rb->backing.size, unit);
        return false;
    }
    if (len / unit > RAM_REQUESTS_MAX) {
        error_setg(errp, "the destination asks for %" PRIu64 " pages at a "
                   "time; at most %d are accepted", len / unit,
                   RAM_REQUESTS_MAX);
        return false;
    }
    return true;
}

bool ram_postcopy_request(Ram *ram, const char *id, uint64_t offset,
                          uint64_t len, Error **errp)
{
    const RamBlock *rb = memory_ram_by_id(ram->vm->memory, id);
    RamRequests *r = &ram->requests;
    uint64_t unit;
    bool room;

    if (!check_request(rb, id, offset, len, errp)) {
        return false;
    }
    unit = postcopy_unit_pages(rb) * GUEST_PAGE_SIZE;
    trace_postcopy_request(rb->id, offset, len);
    g_mutex_lock(&r->lock);
    room = len / unit <= RAM_REQUESTS_MAX - r->num;
    for (uint64_t at = offset; room && at < offset + len; at += unit) {
        unsigned i = (r->first + r->num) % RAM_REQUESTS_MAX;

        r->ring[i].rb = rb;
        r->ring[i].page = at / GUEST_PAGE_SIZE;
        __atomic_store_n(&r->num, r->num + 1, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&r->lock);
    if (!room) {
        error_setg(errp, "the destination asks for more than %d pages that it "
                   "has not been given yet", RAM_REQUESTS_MAX);
        return false;
    }
    __atomic_fetch_add(&ram->stats.postcopy_requests, len / unit,
                       __ATOMIC_RELAXED);
    return true;
}

bool ram_postcopy_is_asked(Ram *ram)
{
    return __atomic_load_n(&ram->requests.num, __ATOMIC_ACQUIRE) > 0;
}

void ram_postcopy_forget_requests(Ram *ram)
{
    g_mutex_lock(&ram->requests.lock);
    __atomic_store_n(&ram->requests.num, 0, __ATOMIC_RELEASE);
    g_mutex_unlock(&ram->requests.lock);
}

static bool take_request(RamRequests *r, const RamBlock **rb, uint64_t *page)
{
    bool any;

    if (__atomic_load_n(&r->num, __ATOMIC_ACQUIRE) == 0) {
        return false;
    }
    g_mutex_lock(&r->lock);
    any = r->num > 0;
    if (any) {
        *rb = r->ring[r->first].rb;
        *page = r->ring[r->first].page;
        r->first = (r->first + 1) % RAM_REQUESTS_MAX;
        __atomic_store_n(&r->num, r->num - 1, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&r->lock);
    return any;
}

void ram_postcopy_set_received(Ram *ram, const RamBlock *rb,
                               const uint64_t *received)
{
    DirtyBlock *b = dirty_block(&ram->dirty, rb);

    dirty_replace(&ram->dirty, b, received);
    /* It has pages of the host's only; whatever it says is made so. */
    dirty_round_up(&ram->dirty, b, postcopy_unit_pages(rb));
}

/* ---- sending ---- */

/*
 * Takes the host's page that @page of @b is in, or of NULL the next one: it is
 * the caller's to send, and the walk goes on behind it. False: it has gone
 * already, or nothing is left.
 */
static bool take_unit(Ram *ram, const DirtyBlock *b, uint64_t page,
                      const RamBlock **rb, uint64_t *first)
{
    bool ok;

    g_mutex_lock(&ram->dirty_lock);
    if (!b) {
        b = dirty_peek(&ram->dirty, &page);
    }
    ok = b && dirty_take_unit(&ram->dirty, b, page, postcopy_unit_pages(b->rb),
                              first);
    if (ok) {
        *rb = b->rb;
        dirty_seek(&ram->dirty, b, *first + postcopy_unit_pages(b->rb));
    }
    g_mutex_unlock(&ram->dirty_lock);
    return ok;
}

static void send_unit(Ram *ram, MigStream *s, const RamBlock *rb,
                      uint64_t first, RamPlace *place)
{
    for (uint64_t i = 0; i < postcopy_unit_pages(rb); i++) {
        ram_send_page(ram, s, rb, first + i, place);
    }
}

/* One thing that is asked for. False: nothing is. */
static bool send_request(Ram *ram, MigStream *s, RamPlace *place)
{
    const RamBlock *rb;
    uint64_t page, first;

    if (!take_request(&ram->requests, &rb, &page)) {
        return false;
    }
    if (take_unit(ram, dirty_block(&ram->dirty, rb), page, &rb, &first)) {
        send_unit(ram, s, rb, first, place);
    }
    return true;
}

static void send_next(Ram *ram, MigStream *s, RamPlace *place)
{
    for (unsigned n = 0; n < CHUNK_PAGES; n++) {
        const RamBlock *rb;
        uint64_t first;

        if ((!ram->urgent && ram_postcopy_is_asked(ram)) ||
            mig_stream_rate_exceeded(s) ||
            !take_unit(ram, NULL, 0, &rb, &first)) {
            break;
        }
        send_unit(ram, s, rb, first, place);
    }
}

void ram_postcopy_set_urgent(Ram *ram, bool urgent)
{
    ram->urgent = urgent;
    ram->urgent_place = (RamPlace) { .second = true };
}

bool ram_postcopy_send_asked(Ram *ram, MigStream *s)
{
    uint64_t start = mig_stream_offset(s), sent;

    /* Each leaves at once: nothing here is worth waiting for. */
    while (send_request(ram, s, &ram->urgent_place) &&
           mig_stream_flush(s, NULL)) {
    }
    sent = mig_stream_offset(s) - start;
    ram_stat_add(&ram->stats.sent_bytes, sent);
    return mig_stream_check(s, NULL);
}

MigIterate ram_save_postcopy(MigStream *s, void *opaque, bool end,
                             Error **errp)
{
    uint64_t start = mig_stream_offset(s), sent;
    RamPlace place = { 0 };
    Ram *ram = opaque;

    if (!end) {
        while (!ram->urgent && mig_stream_check(s, NULL) &&
               send_request(ram, s, &place)) {
        }
        send_next(ram, s, &place);
    }
    mig_put_be64(s, RAM_SAVE_FLAG_EOS);
    sent = mig_stream_offset(s) - start;
    ram_stat_add(&ram->stats.sent_bytes, sent);
    if (!mig_stream_check(s, errp)) {
        return MIG_ITERATE_ERROR;
    }
    return dirty_count(&ram->dirty) ? MIG_ITERATE_MORE : MIG_ITERATE_DONE;
}
