/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends guest memory as it was in one moment (snapshot.c), each page once.
 * What lies where the guest would write is copied first, so that the guest
 * never waits for the channel. Entered by the outgoing migration thread; no
 * lock of its own.
 */
#include <string.h>

#include "migration/ram-int.h"
#include "migration/snapshot.h"

/* Which pages of a run are zeros. */
typedef uint64_t ZeroMap[SNAPSHOT_RUN_PAGES_MAX / BITMAP_WORD_BITS];

/* Copies what is not zero, and lets the guest write. */
static bool copy_run(Ram *ram, SnapshotRun *run, ZeroMap zero, Error **errp)
{
    uint8_t *copy = snapshot_buffer(ram->snapshot);

    for (uint64_t i = 0; i < run->pages; i++) {
        if (ram_page_is_zero(ram, run->rb, run->first + i)) {
            bitmap_set(zero, i);
        } else {
            memcpy(copy + i * GUEST_PAGE_SIZE, run->data + i * GUEST_PAGE_SIZE,
                   GUEST_PAGE_SIZE);
        }
    }
    run->data = copy;
    return snapshot_taken(ram->snapshot, run, errp);
}

static void find_zeros(Ram *ram, const SnapshotRun *run, ZeroMap zero)
{
    for (uint64_t i = 0; ram->options.detect_zero_pages && i < run->pages;
         i++) {
        if (page_is_zero(run->data + i * GUEST_PAGE_SIZE)) {
            bitmap_set(zero, i);
        }
    }
}

static void put_run(Ram *ram, MigStream *s, const SnapshotRun *run,
                    const uint64_t *zero, RamPlace *place)
{
    uint64_t end;

    for (uint64_t i = 0; i < run->pages; i = end) {
        const uint8_t *data = run->data + i * GUEST_PAGE_SIZE;

        if (bitmap_test(zero, i)) {
            end = bitmap_find_next_zero(zero, run->pages, i);
            data = NULL;
        } else {
            end = bitmap_find_next(zero, run->pages, i);
        }
        if (ram->save_mapped) {
            mapped_ram_put_pages(ram, s, run->rb, run->first + i, end - i,
                                 data);
            continue;
        }
        for (uint64_t n = i; n < end; n++) {
            ram_put_page(ram, s, run->rb, run->first + n, data, place);
            data += data ? GUEST_PAGE_SIZE : 0;
        }
    }
}

/* False: nothing is left, or an error. */
static bool send_run(Ram *ram, MigStream *s, RamPlace *place,
                     Error **errp)
{
    uint64_t start = mig_stream_offset(s);
    ZeroMap zero;
    SnapshotRun run;

    if (!snapshot_next(ram->snapshot, &run, errp) || run.pages == 0) {
        return false;
    }
    memset(zero, 0, bitmap_words(run.pages) * sizeof(zero[0]));
    if (!run.in_place) {
        find_zeros(ram, &run, zero);
    } else if (!copy_run(ram, &run, zero, errp)) {
        return false;
    }
    put_run(ram, s, &run, zero, place);
    /* With places of their own pages have left; the stream has only begun. */
    if (ram->save_mapped ? !mig_stream_check(s, errp)
                         : !mig_stream_flush(s, errp)) {
        return false;
    }
    snapshot_sent(ram->snapshot, &run);
    dirty_set_left(&ram->dirty, snapshot_left(ram->snapshot));
    ram_stat_add(&ram->stats.sent_bytes, mig_stream_offset(s) - start);
    return true;
}

MigIterate ram_snapshot_iterate(Ram *ram, MigStream *s, int64_t end_ns,
                                Error **errp)
{
    bool urgent = snapshot_is_urgent(ram->snapshot);
    RamPlace place = { 0 };
    Error *err = NULL;

    while (send_run(ram, s, &place, &err)) {
        /* Past the limit goes only what the guest waits for. */
        if (mig_stream_rate_exceeded(s) || clock_now_ns(ram->clock) >= end_ns ||
            (urgent && !snapshot_has_aside(ram->snapshot))) {
            break;
        }
    }
    if (err) {
        error_propagate(errp, err);
        return MIG_ITERATE_ERROR;
    }
    if (!ram->save_mapped) {
        mig_put_be64(s, RAM_SAVE_FLAG_EOS);
    }
    return snapshot_left(ram->snapshot) ? MIG_ITERATE_MORE : MIG_ITERATE_DONE;
}
