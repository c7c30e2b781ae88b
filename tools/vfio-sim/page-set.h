/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that DMA has written, as a sparse set: what is not dirty costs nothing,
 * wherever in 64 bits of addresses it is. Pure; guarded by its owner's lock.
 */
#ifndef VFIO_SIM_PAGE_SET_H
#define VFIO_SIM_PAGE_SET_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

/* The smallest page that is told apart. */
#define SIM_PAGE 4096

typedef struct SimPageSet {
    GHashTable *chunks; /* of uint64_t[8]: 512 pages, by number */
} SimPageSet;

void sim_page_set_init(SimPageSet *set);
void sim_page_set_destroy(SimPageSet *set);
void sim_page_set_clear(SimPageSet *set);

/* Adds the page at address @at (any byte of it). */
void sim_page_set_add(SimPageSet *set, uint64_t at);

/* Removes the pages of [@start, @start + @length), which must not wrap. */
void sim_page_set_remove(SimPageSet *set, uint64_t start, uint64_t length);

/*
 * Takes word @index of a bitmap, of which @bits are to be set in addition to
 * those that are. False: it cannot be done.
 */
typedef bool SimPageWord(void *opaque, uint64_t index, uint64_t bits);

/*
 * The pages of [@start, @start + @length), which must not wrap, as words of a
 * bitmap that has a bit for each @page_size bytes (a power of two, at least
 * SIM_PAGE) from @start. Words without a bit are left out; one may come more
 * than once. With @clear a page that has been taken leaves the set. False if
 * a word was not taken.
 */
bool sim_page_set_report(SimPageSet *set, uint64_t start, uint64_t length,
                         uint64_t page_size, bool clear, SimPageWord *word,
                         void *opaque);

#endif
