/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache of decoded code: pages by guest-physical address, found through
 * the fetch TLB. FENCE.I and page-table changes forget where pages are, never
 * what is in them: when execution comes back to a page after a FENCE.I, its
 * bytes are compared with those it was decoded from. Hart thread.
 */
#include <string.h>

#include "exec.h"
#include "trace/trace-target-riscv.h"

/*
 * Decoded pages (36 KiB each) for all harts of a machine together, and for
 * each at least.
 */
#define CODE_PAGES_TOTAL 1280
#define CODE_PAGES_MIN 128

#define HASH_BITS 10
#define HASH_SIZE (1u << HASH_BITS)

/*
 * What another hart writes meanwhile is sorted out by its FENCE.I. The thread
 * sanitizer looks at memcpy() and memcmp() whoever calls them.
 */
#if SANITIZES_THREADS
GUEST_ACCESS static void copy_page(uint8_t *to, const uint8_t *from)
{
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        to[i] = ((const volatile uint8_t *)from)[i];
    }
}

GUEST_ACCESS static bool page_differs(const uint8_t *copy, const uint8_t *page)
{
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        if (copy[i] != ((const volatile uint8_t *)page)[i]) {
            return true;
        }
    }
    return false;
}
#else
static void copy_page(uint8_t *to, const uint8_t *from)
{
    memcpy(to, from, PAGE_SIZE);
}

static bool page_differs(const uint8_t *copy, const uint8_t *page)
{
    return memcmp(copy, page, PAGE_SIZE) != 0;
}
#endif

static CodePage **hash_slot(Hart *h, hwaddr gpa)
{
    return &h->code_hash[(gpa >> PAGE_BITS) * UINT64_C(0x9e3779b97f4a7c15) >>
                         (64 - HASH_BITS)];
}

static void unhash(Hart *h, CodePage *page)
{
    CodePage **link = hash_slot(h, page->gpa);

    while (*link != page) {
        link = &(*link)->hash_next;
    }
    *link = page->hash_next;
}

static void undecode(Hart *h, CodePage *page, bool careful)
{
    InsnFn *fn = careful ? op_careful : op_undecoded;

    for (unsigned n = 0; n < PAGE_INSNS; n++) {
        page->insn[n].fn = fn;
    }
    page->insn[PAGE_INSNS].fn = op_page_end;
    page->insn[PAGE_INSNS + 1].fn = op_page_end;
    page->careful = careful;
    page->careful_fn = NULL;
    copy_page(page->copy, page->host);
    page->generation = h->generation;
}

/* A page to be filled: a new one, or the next one that was long not used. */
static CodePage *take_page(Hart *h)
{
    unsigned harts = h->cpu.vm->cpus->len;
    CodePage *page;

    if (h->code_count < MAX(CODE_PAGES_TOTAL / MAX(harts, 1), CODE_PAGES_MIN)) {
        page = g_new(CodePage, 1);
        h->code_pages[h->code_count++] = page;
        return page;
    }
    for (;;) {
        page = h->code_pages[h->code_hand];
        h->code_hand = (h->code_hand + 1) % h->code_count;
        if (!page->used) {
            break;
        }
        /*
         * Used since the hand was here the last time: spared once, but out of
         * the fetch TLB, so that the next use is noticed.
         */
        page->used = false;
        tlb_drop_code(h, page);
    }
    trace_riscv_code_evict(h->hartid, page->gpa);
    tlb_drop_code(h, page);
    unhash(h, page);
    return page;
}

static CodePage *find_page(Hart *h, hwaddr gpa, const uint8_t *host,
                           bool careful)
{
    CodePage **slot = hash_slot(h, gpa);
    CodePage *page = *slot;

    while (page && page->gpa != gpa) {
        page = page->hash_next;
    }
    if (!page) {
        page = take_page(h);
        page->gpa = gpa;
        page->host = host;
        page->hash_next = *slot;
        *slot = page;
        undecode(h, page, careful);
    } else if (page->careful != careful) {
        undecode(h, page, careful);
    } else if (page->generation != h->generation) {
        if (page_differs(page->copy, host)) {
            trace_riscv_code_changed(h->hartid, gpa);
            undecode(h, page, careful);
        }
        page->generation = h->generation;
    }
    page->used = true;
    return page;
}

Insn *code_enter(Hart *h)
{
    while (!__atomic_load_n(&h->cpu.attention, __ATOMIC_RELAXED)) {
        uint64_t pc = h->pc;
        FetchEntry *entry = &h->fetch[pc >> PAGE_BITS & (TLB_SIZE - 1)];

        if (entry->tag != (pc & PAGE_MASK)) {
            const uint8_t *host;
            hwaddr gpa = 0;
            bool whole;

            host = mmu_fetch(h, pc, &gpa, &whole);
            if (!host) {
                trap_take(h, h->exc_cause, h->exc_tval);
                continue;
            }
            entry->page = find_page(h, gpa, host, !whole);
            entry->tag = pc & PAGE_MASK;
        }
        h->page = entry->page;
        h->page_va = entry->tag;
        return &entry->page->insn[(pc & ~PAGE_MASK) >> 1];
    }
    return NULL;
}

void code_fence(Hart *h)
{
    h->generation++;
    tlb_flush_fetch(h);
}

void code_reset(Hart *h)
{
    for (unsigned n = 0; n < h->code_count; n++) {
        g_free(h->code_pages[n]);
    }
    h->code_count = 0;
    h->code_hand = 0;
    memset(h->code_hash, 0, HASH_SIZE * sizeof(*h->code_hash));
    h->page = NULL;
    tlb_flush_fetch(h);
}

void code_init(Hart *h)
{
    h->code_pages = g_new0(CodePage *, CODE_PAGES_TOTAL);
    h->code_hash = g_new0(CodePage *, HASH_SIZE);
}

void code_free(Hart *h)
{
    code_reset(h);
    g_free(h->code_pages);
    g_free(h->code_hash);
}
