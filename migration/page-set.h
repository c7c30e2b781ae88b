/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of pages of guest memory, a bit for each of 4096 bytes. Bits are set,
 * read and counted by any thread (atomics); page_set_remove() and
 * page_set_next_run() have to be kept apart from those who set.
 */
#ifndef GODWIT_MIGRATION_PAGE_SET_H
#define GODWIT_MIGRATION_PAGE_SET_H

#include "system/memory.h"

typedef struct PageSet PageSet;

/* Empty, for all migratable blocks. NULL and errp: no address space. */
PageSet *page_set_new(Memory *memory, Error **errp);
void page_set_free(PageSet *set);

/* Offsets and lengths in bytes, within the block, in whole pages. */
void page_set_add(PageSet *set, const RamBlock *rb, uint64_t offset,
                  uint64_t len);
void page_set_remove(PageSet *set, const RamBlock *rb, uint64_t offset,
                     uint64_t len);
bool page_set_has(const PageSet *set, const RamBlock *rb, uint64_t offset);

/* Adds one page; whether it was in already. Any number of threads. */
bool page_set_test_and_add(PageSet *set, const RamBlock *rb, uint64_t offset);

/* Pages that are not in it, while others set; of all blocks if @rb is NULL. */
uint64_t page_set_missing(const PageSet *set, const RamBlock *rb);

/*
 * The first run of pages from @offset on that are in the set (@in) or are not:
 * false: there is none.
 */
bool page_set_next_run(const PageSet *set, const RamBlock *rb, bool in,
                       uint64_t offset, uint64_t *start, uint64_t *len);

/*
 * Copies word @word (of 64 pages; the last one padded by zeros) of @rb's
 * bitmap. While others set.
 */
uint64_t page_set_word(const PageSet *set, const RamBlock *rb, uint64_t word);

#endif
