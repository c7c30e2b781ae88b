/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty pages as VFIO and iommufd report them: bits that are set in a bitmap
 * of the caller, in addition to those that are. Locks: that of the page set.
 */
#ifndef VFIO_SIM_BITMAP_CALL_H
#define VFIO_SIM_BITMAP_CALL_H

#include "page-set.h"
#include "supervisor.h"

/* True if a bit may stand for @page_size bytes: a power of two, one page or
 * more. */
bool sim_call_is_bitmap_page(uint64_t page_size);

/*
 * Sets the bits of the pages in [@start, @start + @length), which must not
 * wrap, in the bitmap at @addr of the caller. With @clear they leave the set.
 * 0 or -EFAULT.
 */
int sim_call_put_pages(SimCall *call, uint64_t addr, SimPageSet *set,
                       uint64_t start, uint64_t length, uint64_t page_size,
                       bool clear);

#endif
