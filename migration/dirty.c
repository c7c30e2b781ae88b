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

const DirtyBlock *dirty_next(DirtyTracker *d, uint64_t *page)
{
    if (d->dirty_pages == 0) {
        return NULL;
    }
    for (;;) {
        DirtyBlock *b = &d->blocks[d->cur_block];
        uint64_t found = bitmap_find_next(b->bitmap, b->pages, d->cur_page);

        if (found < b->pages) {
            bitmap_test_and_clear(b->bitmap, found);
            set_count(d, d->dirty_pages - 1);
            d->cur_page = found + 1;
            *page = found;
            return b;
        }
        d->cur_page = 0;
        d->cur_block = (d->cur_block + 1) % d->num_blocks;
    }
}
