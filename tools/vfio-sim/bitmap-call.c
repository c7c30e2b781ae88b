/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmaps of callers. Worker threads; the lock of the page set is held. */
#include "bitmap-call.h"

#include <errno.h>

typedef struct Bitmap {
    SimCall *call;
    uint64_t addr;
} Bitmap;

bool sim_call_is_bitmap_page(uint64_t page_size)
{
    return page_size >= SIM_PAGE && !(page_size & (page_size - 1));
}

static bool put_word(void *opaque, uint64_t index, uint64_t bits)
{
    const Bitmap *b = opaque;
    uint64_t where = b->addr + index * sizeof(bits), word;

    if (sim_call_get(b->call, where, &word, sizeof(word))) {
        return false;
    }
    word |= bits;
    return !sim_call_put(b->call, where, &word, sizeof(word));
}

int sim_call_put_pages(SimCall *call, uint64_t addr, SimPageSet *set,
                       uint64_t start, uint64_t length, uint64_t page_size,
                       bool clear)
{
    Bitmap b = {call, addr};

    return sim_page_set_report(set, start, length, page_size, clear, put_word,
                               &b) ? 0 : -EFAULT;
}
