/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding out that a page holds nothing. Any thread; no lock. */
#ifndef GODWIT_MIGRATION_ZERO_PAGE_H
#define GODWIT_MIGRATION_ZERO_PAGE_H

#include "system/memory.h"

/* Whether the GUEST_PAGE_SIZE bytes at @page, aligned to that, are all zero. */
bool page_is_zero(const uint8_t *page);

/*
 * Knows which pages of a block have never been touched, without touching
 * them: they are zero, and looking would make the host allocate. It remembers
 * what the kernel said of one stretch of pages; page_presence_forget() and
 * page_presence_written() keep that true. One thread.
 */
typedef struct PagePresence PagePresence;

PagePresence *page_presence_new(void);
/* For another thread; needs no descriptor of its own: @owner outlives it. */
PagePresence *page_presence_new_shared(const PagePresence *owner);
void page_presence_free(PagePresence *p);

/*
 * True: page @page of @rb has no memory of its own and reads as zeros. False:
 * it may hold anything. True stays right until somebody writes the page.
 */
bool page_presence_absent(PagePresence *p, const RamBlock *rb, uint64_t page);

/* The caller has written @page of @rb. */
void page_presence_written(PagePresence *p, const RamBlock *rb, uint64_t page);

/* Others may have written anything. */
void page_presence_forget(PagePresence *p);

#endif
