/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address translation and the slow way of memory accesses: page-table walks
 * for Sv39 and Sv48, PMP, filling the TLB, devices, accesses across pages.
 * Privileged architecture, "Sv39: Page-Based 39-bit Virtual-Memory System".
 * Accessed and dirty bits are set by the walk itself (Svadu) while menvcfg
 * says so. Hart thread.
 */
#include "exec.h"

typedef enum Access {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_FETCH,
} Access;

static const uint8_t page_fault[] = {
    [ACCESS_READ] = EXC_LOAD_PAGE,
    [ACCESS_WRITE] = EXC_STORE_PAGE,
    [ACCESS_FETCH] = EXC_INST_PAGE,
};

static const uint8_t access_fault[] = {
    [ACCESS_READ] = EXC_LOAD_ACCESS,
    [ACCESS_WRITE] = EXC_STORE_ACCESS,
    [ACCESS_FETCH] = EXC_INST_ACCESS,
};

static const uint8_t pmp_need[] = {
    [ACCESS_READ] = PMP_R,
    [ACCESS_WRITE] = PMP_W,
    [ACCESS_FETCH] = PMP_X,
};

/* What a translation came to. */
typedef struct Translation {
    hwaddr pa;          /* of the page */
    unsigned priv;      /* for PMP */
    unsigned perms;     /* PMP_R | PMP_W | PMP_X, by the page tables alone */
} Translation;

static bool fail(Hart *h, uint64_t cause, uint64_t va)
{
    h->exc_cause = cause;
    h->exc_tval = va;
    return false;
}

/* RAM at @pa; remembers the block, as most accesses fall into the same. */
static uint8_t *ram_at(Hart *h, hwaddr pa, const RamBlock **rb,
                       uint64_t *offset)
{
    RamBlock *found = (RamBlock *)h->ram;

    if (!found || pa < found->gpa || pa - found->gpa >= found->backing.size) {
        if (!memory_ram_at(h->memory, pa, &found, NULL)) {
            return NULL;
        }
        h->ram = found;
    }
    *rb = found;
    *offset = pa - found->gpa;
    return found->host + *offset;
}

static unsigned index_priv(unsigned index)
{
    return index == MMU_M ? PRV_M : index == MMU_U ? PRV_U : PRV_S;
}

/* Levels of the table, or 0 if addresses are physical; -1 + fault: bad @va. */
static int table_levels(const Hart *h, unsigned index, uint64_t va)
{
    unsigned mode = h->satp >> SATP_MODE_SHIFT;
    unsigned unused;

    if (index == MMU_M || mode == SATP_MODE_BARE) {
        return 0;
    }
    /* All bits above the topmost used one must equal it. */
    unused = mode == SATP_MODE_SV39 ? 64 - 39 : 64 - 48;
    if ((uint64_t)((int64_t)(va << unused) >> unused) != va) {
        return -1;
    }
    return mode == SATP_MODE_SV39 ? 3 : 4;
}

/*
 * What a leaf allows at this index, before A and D are looked at. U pages are
 * U's, and S's only for data and with SUM.
 */
static unsigned leaf_perms(const Hart *h, unsigned index, uint64_t pte)
{
    unsigned perms = 0;

    if (pte & PTE_R || (pte & PTE_X && h->mstatus & MSTATUS_MXR)) {
        perms |= PMP_R;
    }
    if (pte & PTE_W) {
        perms |= PMP_W;
    }
    if (pte & PTE_X) {
        perms |= PMP_X;
    }
    if (index == MMU_U) {
        return pte & PTE_U ? perms : 0;
    }
    if (pte & PTE_U) {
        return index == MMU_S_SUM ? perms & ~(unsigned)PMP_X : 0;
    }
    return perms;
}

/* Sets A, and D for a store. False: somebody changed the entry, walk again. */
GUEST_ACCESS static bool update_pte(uint64_t *entry, uint64_t pte, uint64_t set,
                       const RamBlock *rb, uint64_t offset)
{
    if (!__atomic_compare_exchange_n(entry, &pte, pte | set, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        return false;
    }
    memory_mark_dirty((RamBlock *)rb, offset, sizeof(pte));
    return true;
}

/*
 * One walk. Returns 1 with *t set, 0 with the exception set, -1: walk again.
 */
GUEST_ACCESS static int walk(Hart *h, uint64_t va, Access access,
                             unsigned index, int levels, Translation *t)
{
    hwaddr table = (h->satp & SATP_PPN) << PAGE_BITS;

    for (int level = levels - 1; level >= 0; level--) {
        unsigned shift = PAGE_BITS + 9 * (unsigned)level;
        hwaddr pa = table + (va >> shift & 511) * sizeof(uint64_t);
        uint64_t super = (UINT64_C(1) << shift) - PAGE_SIZE;
        const RamBlock *rb;
        uint64_t offset, pte, set, *entry;
        bool whole;

        entry = (uint64_t *)ram_at(h, pa, &rb, &offset);
        if (!entry ||
            !(pmp_perms(h, pa, sizeof(pte), PRV_S, &whole) & PMP_R)) {
            return fail(h, access_fault[access], va);
        }
        pte = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
        table = (pte >> PTE_PPN_SHIFT) << PAGE_BITS;

        if (!(pte & PTE_V) || (pte & PTE_RESERVED) ||
            (pte & (PTE_R | PTE_W)) == PTE_W) {
            break;
        }
        if (!(pte & (PTE_R | PTE_W | PTE_X))) {
            /* D, A and U are reserved where it points to a table. */
            if (pte & (PTE_D | PTE_A | PTE_U)) {
                break;
            }
            continue;
        }

        t->perms = leaf_perms(h, index, pte);
        if (!(t->perms & pmp_need[access]) || (table & super)) {
            break;
        }
        set = (PTE_A | (access == ACCESS_WRITE ? PTE_D : 0)) & ~pte;
        if (set) {
            if (!(h->menvcfg & MENVCFG_ADUE)) {
                break;
            }
            if (rb->backing.readonly ||
                !(pmp_perms(h, pa, sizeof(pte), PRV_S, &whole) & PMP_W)) {
                return fail(h, access_fault[access], va);
            }
            if (!update_pte(entry, pte, set, rb, offset)) {
                return -1;
            }
        }
        if (!((pte | set) & PTE_D)) {
            t->perms &= ~(unsigned)PMP_W;
        }
        if (level) {
            tlb_note_large(h, va, shift);
        }
        t->pa = table | (va & super);
        return 1;
    }
    return fail(h, page_fault[access], va);
}

static bool translate(Hart *h, uint64_t va, Access access, unsigned index,
                      Translation *t)
{
    int levels = table_levels(h, index, va);
    int done;

    t->priv = index_priv(index);
    if (levels == 0) {
        t->pa = va & PAGE_MASK;
        t->perms = PMP_R | PMP_W | PMP_X;
        return true;
    }
    if (levels < 0) {
        return fail(h, page_fault[access], va);
    }
    do {
        done = walk(h, va, access, index, levels, t);
    } while (done < 0);
    return done;
}

/*
 * Translates an access of @len bytes that stays in its page, and checks PMP.
 * *whole: whether PMP says the same of the whole page; *perms what then.
 */
static bool resolve(Hart *h, uint64_t va, unsigned len, Access access,
                    unsigned index, hwaddr *pa, unsigned *perms, bool *whole)
{
    Translation t;
    bool ignored;

    if (!translate(h, va, access, index, &t)) {
        return false;
    }
    *pa = t.pa | (va & ~PAGE_MASK);
    *perms = pmp_perms(h, t.pa, PAGE_SIZE, t.priv, whole);
    if (!*whole) {
        *perms = pmp_perms(h, *pa, len, t.priv, &ignored);
    }
    *perms &= t.perms;
    if (!(*perms & pmp_need[access])) {
        return fail(h, access_fault[access], va);
    }
    return true;
}

/*
 * Host address of @len bytes in one page, filling the TLB where it can serve
 * the next access; NULL with *pa set: not RAM; NULL with *pa TAG_NONE: fault.
 * A store must be marked by the caller where *mark says so.
 */
static uint8_t *lookup(Hart *h, uint64_t va, unsigned len, Access access,
                       hwaddr *pa, const RamBlock **rb, bool *mark)
{
    TlbEntry *entry = &h->tlb[va >> PAGE_BITS & (TLB_SIZE - 1)];
    uint64_t page_va = va & PAGE_MASK, offset;
    unsigned perms;
    uint8_t *host;
    bool whole;

    *mark = false;
    if (access == ACCESS_WRITE ? entry->wtag == page_va
                               : entry->rtag == page_va) {
        return (uint8_t *)(va + entry->addend);
    }
    if (!resolve(h, va, len, access, h->mmu_index, pa, &perms, &whole)) {
        *pa = TAG_NONE;
        return NULL;
    }
    host = ram_at(h, *pa, rb, &offset);
    if (!host) {
        return NULL;
    }
    if (!whole) {
        *mark = true;
        return host;
    }
    if (entry->wtag != page_va || entry->addend != (uintptr_t)host - va) {
        entry->wtag = TAG_NONE;
    }
    if (access == ACCESS_WRITE && !(*rb)->backing.readonly) {
        /* The whole page: stores through the TLB mark nothing. */
        memory_mark_dirty((RamBlock *)*rb, offset & PAGE_MASK, PAGE_SIZE);
        entry->wtag = page_va;
    }
    entry->rtag = perms & PMP_R ? page_va : TAG_NONE;
    entry->addend = (uintptr_t)host - va;
    return host;
}

/* Naturally aligned ones in one piece: another hart may be looking. */
GUEST_ACCESS static uint64_t host_load(const uint8_t *host, unsigned size)
{
    uint64_t val = 0;

    if (!((uintptr_t)host & (size - 1))) {
        switch (size) {
        case 2:
            return *(const volatile uint16_t *)host;
        case 4:
            return *(const volatile uint32_t *)host;
        case 8:
            return *(const volatile uint64_t *)host;
        }
    }
    for (unsigned n = 0; n < size; n++) {
        val |= (uint64_t)((const volatile uint8_t *)host)[n] << (8 * n);
    }
    return val;
}

GUEST_ACCESS static void host_store(uint8_t *host, unsigned size, uint64_t val)
{
    if (!((uintptr_t)host & (size - 1))) {
        switch (size) {
        case 2:
            *(volatile uint16_t *)host = (uint16_t)val;
            return;
        case 4:
            *(volatile uint32_t *)host = (uint32_t)val;
            return;
        case 8:
            *(volatile uint64_t *)host = val;
            return;
        }
    }
    for (unsigned n = 0; n < size; n++) {
        ((volatile uint8_t *)host)[n] = (uint8_t)(val >> (8 * n));
    }
}

/* Bytes from @va to the end of its page. */
static unsigned page_rest(uint64_t va)
{
    return (unsigned)(PAGE_SIZE - (va & ~PAGE_MASK));
}

bool mmu_load(Hart *h, uint64_t va, unsigned size, uint64_t *val)
{
    const RamBlock *rb;
    uint8_t *host;
    hwaddr pa = 0;
    bool mark;

    if (page_rest(va) < size) {
        unsigned first = page_rest(va);
        uint64_t low = 0, high = 0;

        /* Byte by byte: neither part need have a width that can be loaded. */
        for (unsigned n = 0; n < size; n++) {
            uint64_t byte;

            if (!mmu_load(h, va + n, 1, &byte)) {
                return false;
            }
            if (n < first) {
                low |= byte << (8 * n);
            } else {
                high |= byte << (8 * n);
            }
        }
        *val = low | high;
        return true;
    }

    host = lookup(h, va, size, ACCESS_READ, &pa, &rb, &mark);
    if (host) {
        *val = host_load(host, size);
        return true;
    }
    if (pa == TAG_NONE) {
        return false;
    }
    if ((va & (size - 1)) || cpu_io_read(&h->cpu, pa, size, val)) {
        return fail(h, EXC_LOAD_ACCESS, va);
    }
    return true;
}

bool mmu_store(Hart *h, uint64_t va, unsigned size, uint64_t val)
{
    const RamBlock *rb = NULL;
    uint8_t *host;
    hwaddr pa = 0;
    bool mark;

    if (page_rest(va) < size) {
        unsigned first = page_rest(va);

        /* Nothing is stored unless all of it can be. */
        host = lookup(h, va + first, size - first, ACCESS_WRITE, &pa, &rb,
                      &mark);
        if (!host && pa == TAG_NONE) {
            return false;
        }
        for (unsigned n = 0; n < size; n++) {
            if (!mmu_store(h, va + n, 1, val >> (8 * n) & 0xff)) {
                return false;
            }
        }
        return true;
    }

    host = lookup(h, va, size, ACCESS_WRITE, &pa, &rb, &mark);
    if (host) {
        if (rb && rb->backing.readonly) {
            return true;
        }
        host_store(host, size, val);
        if (mark) {
            memory_mark_dirty((RamBlock *)rb, pa - rb->gpa, size);
        }
        return true;
    }
    if (pa == TAG_NONE) {
        return false;
    }
    if (size < 8) {
        val &= (UINT64_C(1) << (8 * size)) - 1;
    }
    if ((va & (size - 1)) || cpu_io_write(&h->cpu, pa, size, val)) {
        return fail(h, EXC_STORE_ACCESS, va);
    }
    return true;
}

uint8_t *mmu_atomic(Hart *h, uint64_t va, unsigned size, bool write)
{
    Access access = write ? ACCESS_WRITE : ACCESS_READ;
    const RamBlock *rb = NULL;
    uint8_t *host;
    hwaddr pa = 0;
    bool mark;

    host = lookup(h, va, size, access, &pa, &rb, &mark);
    if (host && write && rb && rb->backing.readonly) {
        host = NULL;
        pa = 0;
    }
    if (!host) {
        if (pa != TAG_NONE) {
            fail(h, access_fault[access], va);
        }
        return NULL;
    }
    if (mark) {
        /*
         * The store follows within this instruction, that is before the next
         * safe point, which is soon enough.
         */
        memory_mark_dirty((RamBlock *)rb, pa - rb->gpa, size);
    }
    return host;
}

bool mmu_probe_cbo(Hart *h, uint64_t va)
{
    unsigned perms;
    hwaddr pa;
    bool whole;

    /* Whoever may load or may store may do this; the faults are a store's. */
    if (resolve(h, va, 1, ACCESS_READ, h->mmu_index, &pa, &perms, &whole)) {
        return true;
    }
    return resolve(h, va, 1, ACCESS_WRITE, h->mmu_index, &pa, &perms, &whole);
}

static unsigned fetch_index(const Hart *h)
{
    return h->priv == PRV_M ? MMU_M : h->priv == PRV_S ? MMU_S : MMU_U;
}

const uint8_t *mmu_fetch(Hart *h, uint64_t va, hwaddr *gpa, bool *whole)
{
    const RamBlock *rb;
    uint64_t offset;
    unsigned perms;
    uint8_t *host;
    hwaddr pa;

    if (!resolve(h, va, 2, ACCESS_FETCH, fetch_index(h), &pa, &perms, whole)) {
        return NULL;
    }
    *gpa = pa & PAGE_MASK;
    host = ram_at(h, *gpa, &rb, &offset);
    if (!host) {
        fail(h, EXC_INST_ACCESS, va);
    }
    return host;
}

bool mmu_fetch_careful(Hart *h, uint64_t va)
{
    unsigned halves = 1;

    h->fetched = 0;
    for (unsigned n = 0; n < halves; n++) {
        uint64_t at = va + 2 * n;
        const uint8_t *host;
        hwaddr gpa;
        bool whole;

        host = mmu_fetch(h, at, &gpa, &whole);
        if (!host) {
            return false;
        }
        h->fetched |= (uint32_t)__atomic_load_n(
                          (const uint16_t *)(host + (at & ~PAGE_MASK)),
                          __ATOMIC_RELAXED)
                      << (16 * n);
        if (n == 0 && (h->fetched & 3) == 3) {
            halves = 2;
        }
    }
    return true;
}
