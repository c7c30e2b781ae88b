/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of pages: see page-set.h for the threads. No lock. */
#include "migration/page-set.h"

struct PageSet {
    Memory *memory;
    uint64_t *map[RAM_BLOCKS_MAX];      /* by RamBlock.index; or NULL */
};

static uint64_t pages_of(const RamBlock *rb)
{
    return rb->backing.size / GUEST_PAGE_SIZE;
}

PageSet *page_set_new(Memory *memory, Error **errp)
{
    PageSet *set = g_new0(PageSet, 1);
    RamBlock *rb;

    set->memory = memory;
    for (unsigned i = 0; (rb = memory_ram_by_index(memory, i)); i++) {
        if (!rb->migratable) {
            continue;
        }
        set->map[i] = bitmap_new(pages_of(rb));
        if (!set->map[i]) {
            error_setg(errp, "no address space for a bitmap of RAM block '%s' "
                       "(%" G_GUINT64_FORMAT " pages)", rb->id, pages_of(rb));
            page_set_free(set);
            return NULL;
        }
    }
    return set;
}

void page_set_free(PageSet *set)
{
    RamBlock *rb;

    if (!set) {
        return;
    }
    for (unsigned i = 0; (rb = memory_ram_by_index(set->memory, i)); i++) {
        if (set->map[i]) {
            bitmap_free(set->map[i], pages_of(rb));
        }
    }
    g_free(set);
}

void page_set_add(PageSet *set, const RamBlock *rb, uint64_t offset,
                  uint64_t len)
{
    bitmap_set_range_atomic(set->map[rb->index], offset / GUEST_PAGE_SIZE,
                            len / GUEST_PAGE_SIZE);
}

void page_set_remove(PageSet *set, const RamBlock *rb, uint64_t offset,
                     uint64_t len)
{
    bitmap_clear_range(set->map[rb->index], offset / GUEST_PAGE_SIZE,
                       len / GUEST_PAGE_SIZE);
}

uint64_t page_set_word(const PageSet *set, const RamBlock *rb, uint64_t word)
{
    return __atomic_load_n(&set->map[rb->index][word], __ATOMIC_ACQUIRE);
}

bool page_set_has(const PageSet *set, const RamBlock *rb, uint64_t offset)
{
    uint64_t page = offset / GUEST_PAGE_SIZE;

    return page_set_word(set, rb, page / BITMAP_WORD_BITS) >>
           (page % BITMAP_WORD_BITS) & 1;
}

bool page_set_test_and_add(PageSet *set, const RamBlock *rb, uint64_t offset)
{
    uint64_t page = offset / GUEST_PAGE_SIZE;
    uint64_t mask = UINT64_C(1) << (page % BITMAP_WORD_BITS);
    uint64_t *word = &set->map[rb->index][page / BITMAP_WORD_BITS];

    return __atomic_fetch_or(word, mask, __ATOMIC_SEQ_CST) & mask;
}

uint64_t page_set_missing(const PageSet *set, const RamBlock *rb)
{
    uint64_t missing = rb ? pages_of(rb) : 0;
    RamBlock *each;

    if (rb) {
        for (uint64_t i = 0; i < bitmap_words(pages_of(rb)); i++) {
            missing -= __builtin_popcountll(page_set_word(set, rb, i));
        }
        return missing;
    }
    for (unsigned i = 0; (each = memory_ram_by_index(set->memory, i)); i++) {
        if (set->map[i]) {
            missing += page_set_missing(set, each);
        }
    }
    return missing;
}

bool page_set_next_run(const PageSet *set, const RamBlock *rb, bool in,
                       uint64_t offset, uint64_t *start, uint64_t *len)
{
    const uint64_t *map = set->map[rb->index];
    uint64_t pages = pages_of(rb), first = offset / GUEST_PAGE_SIZE, end;

    if (in) {
        first = bitmap_find_next(map, pages, first);
        end = bitmap_find_next_zero(map, pages, first);
    } else {
        first = bitmap_find_next_zero(map, pages, first);
        end = bitmap_find_next(map, pages, first);
    }
    *start = first * GUEST_PAGE_SIZE;
    *len = (end - first) * GUEST_PAGE_SIZE;
    return first < pages;
}
