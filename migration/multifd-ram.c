/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty pages to the channels of multifd, and what became of them. A page may
 * come twice only in different rounds of the walk, and between two rounds all
 * channels are brought in line. Entered by the outgoing thread; no lock.
 */
#include "migration/multifd-ram.h"
#include "migration/multifd-send.h"
#include "migration/ram-int.h"
#include "trace/trace-migration.h"

/* After so many pages the clock and the rate are looked at. */
#define PAGES_PER_LOOK MULTIFD_PAGES

/*
 * So often channels are brought in line at least: what the destination answers
 * to a PING afterwards counts for all channels.
 */
#define FLUSH_NS (50 * INT64_C(1000000))

static void batch_done(void *opaque, const MultiFDBatch *batch,
                       uint64_t bytes)
{
    Ram *ram = opaque;

    ram_stat_add(&ram->stats.normal_pages, batch->normal);
    ram_stat_add(&ram->stats.zero_pages, batch->num - batch->normal);
    ram_stat_add(&ram->stats.multifd_bytes, bytes);
    ram_stat_add(&ram->stats.sent_bytes, bytes);
    mig_stream_count_queued(ram->multifd_stream, bytes);
    for (unsigned i = 0; ram->save_mapped && i < batch->num; i++) {
        MappedBlock *mb = &ram->save_mapped->block[batch->rb->index];
        uint64_t page = batch->offset[i] / GUEST_PAGE_SIZE;

        if (i < batch->normal) {
            bitmap_set(mb->bitmap, page);
        } else {
            bitmap_test_and_clear(mb->bitmap, page);
        }
    }
}

static void flush(Ram *ram, MigStream *s)
{
    multifd_send_sync(ram->options.multifd_send);
    if (!ram->save_mapped) {
        mig_put_be64(s, RAM_SAVE_FLAG_MULTIFD_FLUSH);
        /* Now: the destination's channels wait for it. */
        mig_stream_flush(s, NULL);
    }
    ram->multifd_round = ram->dirty.rounds;
    ram->multifd_flush_ns = clock_now_ns(ram->clock);
    trace_multifd_flush(ram->multifd_round, ram->stats.multifd_bytes);
}

void multifd_ram_save_setup(Ram *ram, MigStream *s)
{
    ram->multifd_stream = s;
    multifd_send_set_done(ram->options.multifd_send, batch_done, ram);
    flush(ram, s);
}

/* What the outgoing thread has found to be zero itself. */
static void send_zero(Ram *ram, MigStream *s, const RamBlock *rb,
                      uint64_t page, RamPlace *place)
{
    uint64_t start = mig_stream_offset(s);

    if (ram->save_mapped) {
        bitmap_test_and_clear(ram->save_mapped->block[rb->index].bitmap, page);
        ram_stat_add(&ram->stats.zero_pages, 1);
        return;
    }
    ram_put_zero_page(ram, s, rb, page, place);
    ram_stat_add(&ram->stats.sent_bytes, mig_stream_offset(s) - start);
}

static void send_page(Ram *ram, MigStream *s, const RamBlock *rb,
                      uint64_t page, RamPlace *place)
{
    if (ram->dirty.rounds != ram->multifd_round) {
        flush(ram, s);
    }
    if (ram_page_is_zero(ram, rb, page)) {
        send_zero(ram, s, rb, page, place);
    } else {
        multifd_send_page(ram->options.multifd_send, rb,
                          page * GUEST_PAGE_SIZE);
    }
}

static bool rate_used_up(Ram *ram, MigStream *s)
{
    return mig_stream_rate_would_exceed(
        s, multifd_send_under_way(ram->options.multifd_send));
}

/* Whether all could be sent. @end_ns -1: there is no limit. */
static bool send_pages(Ram *ram, MigStream *s, int64_t end_ns)
{
    RamPlace place = { 0 };
    const DirtyBlock *b;
    uint64_t page;

    for (unsigned n = 0;; n++) {
        if (n % PAGES_PER_LOOK == 0 &&
            (!mig_stream_check(s, NULL) ||
             (end_ns >= 0 && (rate_used_up(ram, s) ||
                              clock_now_ns(ram->clock) >= end_ns)))) {
            return false;
        }
        b = dirty_next(&ram->dirty, &page);
        if (!b) {
            return true;
        }
        send_page(ram, s, b->rb, page, &place);
    }
}

/* A file answers nothing. */
static bool flush_is_due(Ram *ram)
{
    return !ram->save_mapped &&
           clock_now_ns(ram->clock) - ram->multifd_flush_ns >= FLUSH_NS;
}

void multifd_ram_iterate(Ram *ram, MigStream *s, int64_t end_ns)
{
    bool all = send_pages(ram, s, end_ns);

    multifd_send_push(ram->options.multifd_send);
    if (!multifd_send_is_settled(ram->options.multifd_send) &&
        (all || rate_used_up(ram, s) || flush_is_due(ram))) {
        flush(ram, s);
    }
    if (!ram->save_mapped) {
        mig_put_be64(s, RAM_SAVE_FLAG_EOS);
    }
}

void multifd_ram_complete(Ram *ram, MigStream *s)
{
    send_pages(ram, s, -1);
    flush(ram, s);
    if (!ram->save_mapped) {
        mig_put_be64(s, RAM_SAVE_FLAG_EOS);
    }
}
