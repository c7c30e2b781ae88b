/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends guest memory: every page once, then those that were written since.
 * A page is queued where it lies and read when the stream's buffer leaves; a
 * store in between marks it dirty, and it goes again.
 *
 * Entered by the outgoing migration thread; no lock of its own.
 */
#include <string.h>

#include "migration/multifd-ram.h"
#include "migration/multifd-send.h"
#include "migration/postcopy-wire.h"
#include "migration/ram-int.h"
#include "trace/trace-migration.h"
#include "util/checked.h"

/* How long one call of ram_save_iterate() works. */
#define ITERATE_NS (10 * INT64_C(1000000))

/* Looking at the clock costs a tenth of a page: do it every so many pages. */
#define PAGES_PER_LOOK 16

/* A rate over less than this says nothing. */
#define PERIOD_MIN_NS (100 * INT64_C(1000000))

/* ---- set-up ---- */

static void put_block_list(MigStream *s, const DirtyTracker *d,
                           MappedRam *mapped, bool postcopy)
{
    mig_put_be64(s, d->total_pages * GUEST_PAGE_SIZE | RAM_SAVE_FLAG_MEM_SIZE);
    for (unsigned i = 0; i < d->num_blocks; i++) {
        const RamBlock *rb = d->blocks[i].rb;

        mig_put_counted_string(s, rb->id);
        mig_put_be64(s, rb->backing.size);
        if (postcopy && postcopy_block_is_huge(rb)) {
            mig_put_be64(s, rb->page_size);
        }
        if (mapped) {
            mapped_ram_put_header(mapped, s, rb);
        }
    }
}

bool ram_save_setup(MigStream *s, void *opaque, Error **errp)
{
    Ram *ram = opaque;

    memset(&ram->stats, 0, sizeof(ram->stats));
    ram_postcopy_forget_requests(ram);
    if (ram->options.snapshot) {
        dirty_start_unlogged(&ram->dirty, ram->vm->memory);
    } else if (!dirty_start(&ram->dirty, ram->vm->memory, errp)) {
        return false;
    }
    ram->save_presence = page_presence_new();
    ram->save_mapped = ram->options.mapped_ram ? mapped_ram_new() : NULL;
    ram->sync_ns = clock_now_ns(ram->clock);
    ram->period_dirty_pages = 0;
    ram->period_start_sent = 0;
    ram_stat_set(&ram->stats.total_bytes,
                 ram->dirty.total_pages * GUEST_PAGE_SIZE);
    put_block_list(s, &ram->dirty, ram->save_mapped, ram->options.postcopy);
    if (ram->options.multifd_send) {
        multifd_ram_save_setup(ram, s);
    }
    mig_put_be64(s, RAM_SAVE_FLAG_EOS);
    trace_ram_save_setup(ram->dirty.num_blocks, ram->stats.total_bytes);
    return true;
}

void ram_save_cleanup(void *opaque)
{
    Ram *ram = opaque;

    dirty_stop(&ram->dirty);
    page_presence_free(ram->save_presence);
    ram->save_presence = NULL;
    g_clear_pointer(&ram->save_mapped, mapped_ram_free);
}

/* ---- how much is left ---- */

static void measure_period(Ram *ram, int64_t now)
{
    int64_t ns = now - ram->sync_ns;

    if (ns < PERIOD_MIN_NS) {
        return;
    }
    ram_stat_set(&ram->stats.dirty_pages_rate,
                 sat_muldiv_u64(ram->period_dirty_pages, 1000000000, ns));
    ram_stat_set(&ram->stats.period_dirty_bytes,
                 ram->period_dirty_pages * GUEST_PAGE_SIZE);
    ram_stat_set(&ram->stats.period_sent_bytes,
                 ram->stats.sent_bytes - ram->period_start_sent);
    ram_stat_set(&ram->stats.period_ns, ns);
    ram->sync_ns = now;
    ram->period_dirty_pages = 0;
    ram->period_start_sent = ram->stats.sent_bytes;
}

static void sync_dirty(Ram *ram)
{
    int64_t start = clock_now_ns(ram->clock);
    uint64_t fresh = dirty_sync(&ram->dirty);
    int64_t now = clock_now_ns(ram->clock);

    /* What was not there when last looked at may have been written. */
    page_presence_forget(ram->save_presence);
    if (ram->options.multifd_send) {
        multifd_send_forget(ram->options.multifd_send);
    }
    ram->period_dirty_pages += fresh;
    measure_period(ram, now);
    ram_stat_add(&ram->stats.syncs, 1);
    trace_ram_sync(ram->stats.syncs, fresh, dirty_count(&ram->dirty),
                   now - start);
}

void ram_save_query_pending(void *opaque, MigPendingData *pending, bool exact)
{
    Ram *ram = opaque;
    uint64_t left;

    if (exact && ram->dirty.log) {
        sync_dirty(ram);
    }
    left = dirty_count(&ram->dirty) * GUEST_PAGE_SIZE;
    if (ram->options.postcopy) {
        mig_pending_add(pending, 0, left, 0);
    } else {
        mig_pending_add(pending, left, 0, 0);
    }
}

/* ---- pages ---- */

bool ram_page_is_zero(Ram *ram, const RamBlock *rb, uint64_t page)
{
    return ram->options.detect_zero_pages &&
           (page_presence_absent(ram->save_presence, rb, page) ||
            page_is_zero(rb->host + page * GUEST_PAGE_SIZE));
}

static void put_page_start(MigStream *s, const RamBlock *rb, uint64_t offset,
                           uint64_t flags, RamPlace *place)
{
    if (rb == place->rb) {
        mig_put_be64(s, offset | flags | RAM_SAVE_FLAG_CONTINUE);
    } else {
        mig_put_be64(s, offset | flags);
        mig_put_counted_string(s, rb->id);
        place->rb = rb;
    }
}

void ram_put_zero_page(Ram *ram, MigStream *s, const RamBlock *rb,
                       uint64_t page, RamPlace *place)
{
    put_page_start(s, rb, page * GUEST_PAGE_SIZE, RAM_SAVE_FLAG_ZERO, place);
    mig_put_u8(s, 0);
    ram_stat_add(&ram->stats.zero_pages, 1);
}

void ram_put_page(Ram *ram, MigStream *s, const RamBlock *rb, uint64_t page,
                  const uint8_t *data, RamPlace *place)
{
    if (!data) {
        ram_put_zero_page(ram, s, rb, page, place);
        return;
    }
    put_page_start(s, rb, page * GUEST_PAGE_SIZE, RAM_SAVE_FLAG_PAGE, place);
    mig_put_buffer_nocopy(s, data, GUEST_PAGE_SIZE);
    ram_stat_add(&ram->stats.normal_pages, 1);
}

void ram_send_page(Ram *ram, MigStream *s, const RamBlock *rb, uint64_t page,
                   RamPlace *place)
{
    const uint8_t *host = rb->host + page * GUEST_PAGE_SIZE;
    bool zero = place->second
        ? ram->options.detect_zero_pages && page_is_zero(host)
        : ram_page_is_zero(ram, rb, page);

    ram_put_page(ram, s, rb, page, zero ? NULL : host, place);
}

/*
 * Sends dirty pages until none is left, the stream fails, or, if @limited,
 * time or rate are used up.
 */
static void send_pages(Ram *ram, MigStream *s, bool limited)
{
    uint64_t start = mig_stream_offset(s);
    uint64_t before = ram->stats.sent_bytes;
    int64_t end_ns = clock_now_ns(ram->clock) + ITERATE_NS;
    RamPlace place = { 0 };
    const DirtyBlock *b;
    uint64_t page;

    for (unsigned n = 0;; n++) {
        if (n % PAGES_PER_LOOK == 0) {
            ram_stat_set(&ram->stats.sent_bytes,
                         before + mig_stream_offset(s) - start);
            if (!mig_stream_check(s, NULL) ||
                (limited && (mig_stream_rate_exceeded(s) ||
                             clock_now_ns(ram->clock) >= end_ns))) {
                break;
            }
        }
        b = dirty_next(&ram->dirty, &page);
        if (!b) {
            break;
        }
        ram_send_page(ram, s, b->rb, page, &place);
    }
    mig_put_be64(s, RAM_SAVE_FLAG_EOS);
    ram_stat_set(&ram->stats.sent_bytes,
                 before + mig_stream_offset(s) - start);
}

MigIterate ram_save_iterate(MigStream *s, void *opaque, Error **errp)
{
    Ram *ram = opaque;

    if (ram->snapshot) {
        return ram_snapshot_iterate(ram, s, clock_now_ns(ram->clock) +
                                    ITERATE_NS, errp);
    }
    if (ram->options.multifd_send) {
        multifd_ram_iterate(ram, s, clock_now_ns(ram->clock) + ITERATE_NS);
    } else if (ram->save_mapped) {
        mapped_ram_send_pages(ram, s, clock_now_ns(ram->clock) + ITERATE_NS);
    } else {
        send_pages(ram, s, true);
    }
    if (!mig_stream_check(s, errp)) {
        return MIG_ITERATE_ERROR;
    }
    return dirty_count(&ram->dirty) ? MIG_ITERATE_MORE : MIG_ITERATE_DONE;
}

bool ram_save_complete(MigStream *s, void *opaque, Error **errp)
{
    Ram *ram = opaque;
    uint64_t before = ram->stats.sent_bytes;
    uint64_t pages;

    /* The guest has stopped: whoever asked last asked before or after. */
    if (!ram->options.snapshot) {
        sync_dirty(ram);
    }
    pages = dirty_count(&ram->dirty);
    if (ram->options.multifd_send) {
        multifd_ram_complete(ram, s);
    } else if (ram->save_mapped) {
        if (pages) {
            mapped_ram_send_pages(ram, s, -1);
        }
    } else {
        send_pages(ram, s, false);
    }
    if (ram->save_mapped) {
        mapped_ram_put_bitmaps(ram->save_mapped, s);
        mig_put_be64(s, RAM_SAVE_FLAG_EOS);
    }
    trace_ram_save_complete(pages, ram->stats.sent_bytes - before);
    return mig_stream_check(s, errp);
}
