/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages of mapped-ram: to their places in the file and from there. Neighbours
 * go in one call. A page that is written again goes to the same place; one
 * that has become zero loses its bit. Entered by the outgoing or the incoming
 * migration thread; no lock of its own.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/multifd-file.h"
#include "migration/ram-int.h"

/*
 * At most so many pages in one call: what has just been looked at for zeros,
 * or cleared by the host, is still in the cache then.
 */
#define WRITE_PAGES 256
#define READ_PAGES 256

/* After so many pages the clock and the rate are looked at. */
#define PAGES_PER_LOOK 256

/* ---- saving ---- */

typedef struct Run {
    const RamBlock *rb;
    uint64_t first, count;      /* pages; count 0: none */
} Run;

void mapped_ram_put_pages(Ram *ram, MigStream *s, const RamBlock *rb,
                          uint64_t first, uint64_t count, const uint8_t *data)
{
    MappedBlock *mb = &ram->save_mapped->block[rb->index];

    if (!data) {
        for (uint64_t i = 0; i < count; i++) {
            bitmap_test_and_clear(mb->bitmap, first + i);
        }
        ram_stat_add(&ram->stats.zero_pages, count);
        return;
    }
    mig_put_buffer_at(s, data, count * GUEST_PAGE_SIZE,
                      mb->pages_offset + first * GUEST_PAGE_SIZE);
    bitmap_set_range(mb->bitmap, first, count);
    ram_stat_add(&ram->stats.normal_pages, count);
}

static void write_run(Ram *ram, MigStream *s, Run *run)
{
    if (run->count > 0) {
        mapped_ram_put_pages(ram, s, run->rb, run->first, run->count,
                             run->rb->host + run->first * GUEST_PAGE_SIZE);
    }
    run->count = 0;
}

static void save_page(Ram *ram, MigStream *s, const RamBlock *rb,
                      uint64_t page, Run *run)
{
    bool zero = ram_page_is_zero(ram, rb, page);

    if (zero || run->rb != rb || page != run->first + run->count ||
        run->count == WRITE_PAGES) {
        write_run(ram, s, run);
    }
    if (zero) {
        mapped_ram_put_pages(ram, s, rb, page, 1, NULL);
        return;
    }
    if (run->count == 0) {
        run->rb = rb;
        run->first = page;
    }
    run->count++;
}

void mapped_ram_send_pages(Ram *ram, MigStream *s, int64_t end_ns)
{
    uint64_t start = mig_stream_offset(s);
    uint64_t before = ram->stats.sent_bytes;
    const DirtyBlock *b;
    Run run = { 0 };
    uint64_t page;

    for (unsigned n = 0;; n++) {
        if (n % PAGES_PER_LOOK == 0 &&
            (!mig_stream_check(s, NULL) ||
             (end_ns >= 0 && (mig_stream_rate_exceeded(s) ||
                              clock_now_ns(ram->clock) >= end_ns)))) {
            break;
        }
        b = dirty_next(&ram->dirty, &page);
        if (!b) {
            break;
        }
        save_page(ram, s, b->rb, page, &run);
        ram_stat_set(&ram->stats.sent_bytes,
                     before + mig_stream_offset(s) - start);
    }
    write_run(ram, s, &run);
    ram_stat_set(&ram->stats.sent_bytes,
                 before + mig_stream_offset(s) - start);
}

/* ---- loading ---- */

/* What cannot be written must be the same already. */
static bool compare_run(MigStream *s, const RamBlock *rb, uint64_t offset,
                        uint64_t len, uint64_t pos, Error **errp)
{
    uint8_t page[GUEST_PAGE_SIZE];

    for (uint64_t at = offset; at < offset + len; at += sizeof(page)) {
        if (!mig_get_buffer_at(s, page, sizeof(page), pos + at - offset,
                               errp)) {
            return false;
        }
        if (memcmp(page, rb->host + at, sizeof(page)) != 0) {
            mig_stream_fail(s, errp, "RAM block '%s' cannot be written here, "
                            "and its page at 0x%" PRIx64 " differs", rb->id,
                            at);
            return false;
        }
    }
    return true;
}

/* @readers may be NULL: then at once. */
static bool load_run(Ram *ram, MigStream *s, MultiFDRead *readers,
                     const MappedBlock *mb, uint64_t first, uint64_t count,
                     Error **errp)
{
    uint64_t offset = first * GUEST_PAGE_SIZE, len = count * GUEST_PAGE_SIZE;
    const RamBlock *rb = mb->rb;

    ram_stat_add(&ram->loaded_normal_pages, count);
    if (ram_block_is_unwritable(rb)) {
        return compare_run(s, rb, offset, len, mb->pages_offset + offset,
                           errp);
    }
    for (uint64_t i = 0; i < count; i++) {
        page_presence_written(ram->load_presence, rb, first + i);
    }
    if (readers) {
        /* Why it could not be read is told when they end. */
        return multifd_read_pages(readers, (RamBlock *)rb, offset, len,
                                  mb->pages_offset + offset);
    }
    return mig_get_buffer_at(s, rb->host + offset, len,
                             mb->pages_offset + offset, errp);
}

static bool load_zero_run(Ram *ram, MigStream *s, const RamBlock *rb,
                          uint64_t first, uint64_t count, Error **errp)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!ram_load_zero(ram, s, rb, (first + i) * GUEST_PAGE_SIZE, errp)) {
            return false;
        }
    }
    return true;
}

static bool load_block(Ram *ram, MigStream *s, MultiFDRead *readers,
                       const MappedBlock *mb, bool mark_dirty, Error **errp)
{
    uint64_t page = 0, end;

    for (; page < mb->pages; page = end) {
        bool ok;

        if (bitmap_test(mb->bitmap, page)) {
            end = bitmap_find_next_zero(mb->bitmap, mb->pages, page);
            end = MIN(end, page + READ_PAGES);
            ok = load_run(ram, s, readers, mb, page, end - page, errp);
        } else {
            end = bitmap_find_next(mb->bitmap, mb->pages, page);
            ok = load_zero_run(ram, s, mb->rb, page, end - page, errp);
        }
        if (!ok) {
            return false;
        }
        if (mark_dirty) {
            memory_mark_dirty((RamBlock *)mb->rb, page * GUEST_PAGE_SIZE,
                              (end - page) * GUEST_PAGE_SIZE);
        }
    }
    return true;
}

static bool load_blocks(Ram *ram, MigStream *s, MultiFDRead *readers,
                        bool mark_dirty, Error **errp)
{
    page_presence_forget(ram->load_presence);
    for (unsigned i = 0; i < RAM_BLOCKS_MAX; i++) {
        const MappedBlock *mb = &ram->load_mapped->block[i];

        /* Somebody else takes them? But for those that are compared. */
        if (mb->rb &&
            (!ram->options.take_pages || ram_block_is_unwritable(mb->rb)) &&
            !load_block(ram, s, readers, mb, mark_dirty, errp)) {
            return false;
        }
    }
    return true;
}

bool mapped_ram_load_pages(Ram *ram, MigStream *s, bool mark_dirty,
                           Error **errp)
{
    Error *err = NULL, *why = NULL;
    MultiFDRead *readers;
    bool ok;

    if (ram->options.read_threads == 0) {
        return load_blocks(ram, s, NULL, mark_dirty, errp);
    }
    readers = multifd_read_new(ram->vm, mig_stream_channel(s),
                               ram->options.read_threads);
    ok = load_blocks(ram, s, readers, mark_dirty, &err);
    if (!multifd_read_end(readers, &why)) {
        g_clear_error(&err);
        mig_stream_fail(s, errp, "%s", why->message);
        g_error_free(why);
        return false;
    }
    error_propagate(errp, err);
    return ok;
}
