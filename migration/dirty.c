/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dirty pages of a migration. See dirty.h for threads; no lock. */
#include "migration/dirty.h"

static void set_count(DirtyTracker *d, uint64_t pages)
{
    __atomic_store_n(&d->dirty_pages, pages, __ATOMIC_RELAXED);
}

static DirtyBlock *list_block(DirtyTracker *d, const RamBlock *rb)
{
    DirtyBlock *b = &d->blocks[d->num_blocks++];

    b->rb = rb;
    b->pages = rb->backing.size / GUEST_PAGE_SIZE;
    d->total_pages += b->pages;
    return b;
}

static bool add_block(DirtyTracker *d, const RamBlock *rb, Error **errp)
{
    DirtyBlock *b = list_block(d, rb);

    b->bitmap = bitmap_new(b->pages);
    if (!b->bitmap) {
        error_setg(errp, "no address space for the dirty bitmap of RAM block "
                   "'%s' (%" G_GUINT64_FORMAT " pages)", rb->id, b->pages);
        return false;
    }
    bitmap_set_range(b->bitmap, 0, b->pages);
    return true;
}

bool dirty_start(DirtyTracker *d, Memory *mem, Error **errp)
{
    RamBlock *rb;

    *d = (DirtyTracker) { 0 };
    d->log = dirty_log_start(mem, "migration", errp);
    if (!d->log) {
        return false;
    }
    for (unsigned i = 0; (rb = memory_ram_by_index(mem, i)); i++) {
        if (rb->migratable && !add_block(d, rb, errp)) {
            dirty_stop(d);
            return false;
        }
    }
    set_count(d, d->total_pages);
    return true;
}

void dirty_start_unlogged(DirtyTracker *d, Memory *mem)
{
    RamBlock *rb;

    *d = (DirtyTracker) { 0 };
    for (unsigned i = 0; (rb = memory_ram_by_index(mem, i)); i++) {
        if (rb->migratable) {
            list_block(d, rb);
        }
    }
    set_count(d, d->total_pages);
}

void dirty_set_left(DirtyTracker *d, uint64_t pages)
{
    set_count(d, pages);
}

void dirty_stop(DirtyTracker *d)
{
    for (unsigned i = 0; i < d->num_blocks; i++) {
        bitmap_free(d->blocks[i].bitmap, d->blocks[i].pages);
    }
    d->num_blocks = 0;
    set_count(d, 0);
    if (d->log) {
        dirty_log_stop(d->log);
        d->log = NULL;
    }
}

uint64_t dirty_sync(DirtyTracker *d)
{
    uint64_t fresh = 0;

    dirty_log_sync(d->log);
    for (unsigned i = 0; i < d->num_blocks; i++) {
        fresh += dirty_log_take(d->log, d->blocks[i].rb, d->blocks[i].bitmap);
    }
    dirty_log_barrier(d->log);
    set_count(d, d->dirty_pages + fresh);
    return fresh;
}

const DirtyBlock *dirty_peek(DirtyTracker *d, uint64_t *page)
{
    if (d->dirty_pages == 0) {
        return NULL;
    }
    for (;;) {
        DirtyBlock *b = &d->blocks[d->cur_block];

        *page = bitmap_find_next(b->bitmap, b->pages, d->cur_page);
        if (*page < b->pages) {
            d->cur_page = *page;
            return b;
        }
        d->cur_page = 0;
        d->cur_block = (d->cur_block + 1) % d->num_blocks;
        d->rounds += d->cur_block == 0;
    }
}

const DirtyBlock *dirty_next(DirtyTracker *d, uint64_t *page)
{
    const DirtyBlock *b = dirty_peek(d, page);

    if (b) {
        bitmap_test_and_clear(b->bitmap, *page);
        set_count(d, d->dirty_pages - 1);
        d->cur_page = *page + 1;
    }
    return b;
}

/* ---- postcopy ---- */

DirtyBlock *dirty_block(DirtyTracker *d, const RamBlock *rb)
{
    for (unsigned i = 0; i < d->num_blocks; i++) {
        if (d->blocks[i].rb == rb) {
            return &d->blocks[i];
        }
    }
    return NULL;
}

void dirty_seek(DirtyTracker *d, const DirtyBlock *b, uint64_t page)
{
    d->cur_block = b - d->blocks;
    d->cur_page = page;
}

/* How many of the @count bits from @first are set. */
static uint64_t count_range(const uint64_t *map, uint64_t first,
                            uint64_t count)
{
    uint64_t end = first + count, sum = 0, at = first;

    while ((at = bitmap_find_next(map, end, at)) < end) {
        uint64_t next = bitmap_find_next_zero(map, end, at);

        sum += next - at;
        at = next;
    }
    return sum;
}

bool dirty_take_unit(DirtyTracker *d, const DirtyBlock *b, uint64_t page,
                     uint64_t unit, uint64_t *first)
{
    uint64_t set;

    *first = page / unit * unit;
    set = count_range(b->bitmap, *first, unit);
    bitmap_clear_range(b->bitmap, *first, unit);
    set_count(d, d->dirty_pages - set);
    return set > 0;
}

void dirty_round_up(DirtyTracker *d, const DirtyBlock *b, uint64_t unit)
{
    uint64_t at = 0;

    while (unit > 1 &&
           (at = bitmap_find_next(b->bitmap, b->pages, at)) < b->pages) {
        uint64_t first = at / unit * unit;

        set_count(d, d->dirty_pages + unit -
                  count_range(b->bitmap, first, unit));
        bitmap_set_range(b->bitmap, first, unit);
        at = first + unit;
    }
}

void dirty_replace(DirtyTracker *d, DirtyBlock *b, const uint64_t *received)
{
    uint64_t before = bitmap_count(b->bitmap, b->pages);
    uint64_t after;

    for (uint64_t i = 0; i < bitmap_words(b->pages); i++) {
        b->bitmap[i] = ~received[i];
    }
    if (b->pages % BITMAP_WORD_BITS) {
        b->bitmap[bitmap_words(b->pages) - 1] &=
            (UINT64_C(1) << (b->pages % BITMAP_WORD_BITS)) - 1;
    }
    after = bitmap_count(b->bitmap, b->pages);
    set_count(d, d->dirty_pages - before + after);
}
