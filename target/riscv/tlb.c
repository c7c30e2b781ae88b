/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software TLBs: which set is in use, and forgetting. They are filled in
 * mmu.c (data) and code.c (fetches). Hart thread.
 */
#include "hart.h"

void tlb_select(Hart *h)
{
    uint64_t priv = h->priv;

    h->fetch = h->fetches[priv == PRV_M ? MMU_M : priv == PRV_S ? MMU_S : MMU_U];
    if (h->mstatus & MSTATUS_MPRV) {
        /* MPRV counts in M only, and is clear in the others (xRET). */
        if (priv == PRV_M) {
            priv = (h->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT;
        }
    }
    if (priv == PRV_M) {
        h->mmu_index = MMU_M;
    } else if (priv == PRV_U) {
        h->mmu_index = MMU_U;
    } else {
        h->mmu_index = h->mstatus & MSTATUS_SUM ? MMU_S_SUM : MMU_S;
    }
    h->tlb = h->tlbs[h->mmu_index];
}

static void flush_index(Hart *h, unsigned index)
{
    for (unsigned n = 0; n < TLB_SIZE; n++) {
        h->tlbs[index][n].rtag = TAG_NONE;
        h->tlbs[index][n].wtag = TAG_NONE;
        h->fetches[index][n].tag = TAG_NONE;
    }
}

static void forget_large(Hart *h)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(h->large); n++) {
        h->large[n] = (LargePages){ .start = UINT64_MAX, .end = 0 };
    }
}

void tlb_flush_translated(Hart *h)
{
    flush_index(h, MMU_U);
    flush_index(h, MMU_S);
    flush_index(h, MMU_S_SUM);
    forget_large(h);
}

void tlb_flush(Hart *h)
{
    tlb_flush_translated(h);
    flush_index(h, MMU_M);
}

/*
 * Entries of a superpage are one for each small page of it, and the fence of
 * one address is meant for all of them: where there may be one, all goes.
 */
void tlb_flush_page(Hart *h, uint64_t va)
{
    const LargePages *large = &h->large[va >> 63];
    unsigned slot = va >> PAGE_BITS & (TLB_SIZE - 1);

    va &= PAGE_MASK;
    if (va >= large->start && va <= large->end) {
        tlb_flush_translated(h);
        return;
    }
    for (unsigned index = 0; index < MMU_M; index++) {
        TlbEntry *entry = &h->tlbs[index][slot];
        FetchEntry *fetch = &h->fetches[index][slot];

        if (entry->rtag == va || entry->wtag == va) {
            entry->rtag = TAG_NONE;
            entry->wtag = TAG_NONE;
        }
        if (fetch->tag == va) {
            fetch->tag = TAG_NONE;
        }
    }
}

void tlb_note_large(Hart *h, uint64_t va, unsigned bits)
{
    LargePages *large = &h->large[va >> 63];
    uint64_t mask = (UINT64_C(1) << bits) - 1;

    large->start = MIN(large->start, va & ~mask);
    large->end = MAX(large->end, va | mask);
}

void tlb_flush_writes(Hart *h)
{
    for (unsigned index = 0; index < MMU_INDICES; index++) {
        for (unsigned n = 0; n < TLB_SIZE; n++) {
            h->tlbs[index][n].wtag = TAG_NONE;
        }
    }
}

void tlb_flush_fetch(Hart *h)
{
    for (unsigned index = 0; index < MMU_INDICES; index++) {
        for (unsigned n = 0; n < TLB_SIZE; n++) {
            h->fetches[index][n].tag = TAG_NONE;
        }
    }
}

void tlb_drop_code(Hart *h, const CodePage *page)
{
    for (unsigned index = 0; index < MMU_INDICES; index++) {
        for (unsigned n = 0; n < TLB_SIZE; n++) {
            if (h->fetches[index][n].page == page) {
                h->fetches[index][n].tag = TAG_NONE;
            }
        }
    }
}
