/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical memory protection: privileged architecture, "Physical Memory
 * Protection". 16 entries, granularity 4 bytes. Hart thread.
 */
#include "hart.h"

/* Physical addresses have 56 bits; pmpaddr has them without the lowest two. */
static bool entry_range(const Hart *h, unsigned n, uint64_t *start,
                        uint64_t *end)
{
    uint64_t addr = h->pmpaddr[n];
    uint64_t size_mask;

    switch (h->pmpcfg[n] & PMP_A) {
    case PMP_A_TOR:
        *start = n ? h->pmpaddr[n - 1] << 2 : 0;
        *end = (addr << 2) - 1;
        return *start < addr << 2;
    case PMP_A_NA4:
        *start = addr << 2;
        *end = *start + 3;
        return true;
    case PMP_A_NAPOT:
        /* k trailing ones: 2^(k + 3) bytes */
        size_mask = ((addr ^ (addr + 1)) << 2) | 3;
        *start = (addr << 2) & ~size_mask;
        *end = *start | size_mask;
        return true;
    }
    return false;
}

void pmp_update(Hart *h)
{
    h->pmp_last = 0;
    for (unsigned n = 0; n < PMP_ENTRIES; n++) {
        PmpRange *range = &h->pmp[n];

        range->cfg = 0;
        if (entry_range(h, n, &range->start, &range->end)) {
            range->cfg = h->pmpcfg[n];
            h->pmp_last = n + 1;
        }
    }
    tlb_flush(h);
}

unsigned pmp_perms(const Hart *h, hwaddr pa, uint64_t len, unsigned priv,
                   bool *whole)
{
    uint64_t last = pa + len - 1;

    *whole = true;
    for (unsigned n = 0; n < h->pmp_last; n++) {
        const PmpRange *range = &h->pmp[n];

        if (!range->cfg || range->start > last || range->end < pa) {
            continue;
        }
        if (range->start > pa || range->end < last) {
            /* The entry with priority must match all bytes of an access. */
            *whole = false;
            return 0;
        }
        if (priv == PRV_M && !(range->cfg & PMP_L)) {
            return PMP_R | PMP_W | PMP_X;
        }
        return range->cfg & (PMP_R | PMP_W | PMP_X);
    }
    return priv == PRV_M ? PMP_R | PMP_W | PMP_X : 0;
}
