/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hart from inside. See docs/devel/cpu.rst for how the pieces play
 * together. All of it belongs to the hart's own thread (to whoever holds the
 * big lock while that is stopped), except what is marked atomic.
 */
#ifndef TARGET_RISCV_HART_H
#define TARGET_RISCV_HART_H

#include "system/cpu.h"
#include "system/memory.h"
#include "system/timer.h"
#include "target/riscv/cpu.h"

#include "bits.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define PAGE_BITS 12
#define PAGE_SIZE (UINT64_C(1) << PAGE_BITS)
#define PAGE_MASK (~(PAGE_SIZE - 1))

typedef struct Insn Insn;
typedef struct CodePage CodePage;

/*
 * Carries out one decoded instruction and goes on with the next; @n is the
 * number of instructions retired before it. Returns what to go on with, or
 * NULL: hart->pc says where, and hart_run() decides.
 */
typedef Insn *InsnFn(Hart *h, Insn *i, uint64_t n);

/*
 * A decoded instruction. A page of code has one for every two bytes, so that
 * the address of an instruction follows from that of its Insn.
 */
struct Insn {
    InsnFn *fn;
    int32_t imm;
    uint8_t rd, rs1, rs2, rs3;  /* rd: REG_SINK in place of x0 */
};

/* Where writes to x0 go. */
#define REG_SINK 32

#define PAGE_INSNS (PAGE_SIZE / 2)

/* One page of guest-physical memory, decoded as far as it was executed. */
struct CodePage {
    Insn insn[PAGE_INSNS + 2];  /* [2048], [2049]: go on in the next page */
    uint8_t copy[PAGE_SIZE];    /* what the decoded ones were decoded from */
    hwaddr gpa;
    const uint8_t *host;
    uint64_t generation;        /* of the last check of copy against host */
    CodePage *hash_next;
    bool careful;               /* check each fetch: see op_careful() */
    bool used;                  /* since the clock hand came by */
    /* What op_careful() decoded last; NULL: nothing */
    InsnFn *careful_fn;
    uint32_t careful_bits, careful_off;
};

/*
 * Translations of data pages. The tags are the page's virtual address, or
 * TAG_NONE; wtag is only set while stores need no marking (no write-protected
 * page, D set, page dirty in all logs).
 */
#define TLB_BITS 8
#define TLB_SIZE (1u << TLB_BITS)
#define TAG_NONE UINT64_MAX

typedef struct TlbEntry {
    uint64_t rtag, wtag;
    uintptr_t addend;           /* host address - virtual address */
    uint64_t pad;
} TlbEntry;

typedef struct FetchEntry {
    uint64_t tag;
    CodePage *page;
} FetchEntry;

/* Which set of translations: what an address means and who may use it. */
enum {
    MMU_U,
    MMU_S,          /* with SUM clear */
    MMU_S_SUM,
    MMU_M,
    MMU_INDICES,
};

/* Addresses that superpages in the TLB cover: below and above the hole. */
typedef struct LargePages {
    uint64_t start, end;        /* inclusive; start > end: none */
} LargePages;

typedef struct PmpRange {
    uint64_t start, end;        /* inclusive */
    uint8_t cfg;                /* 0 where the entry is off */
} PmpRange;

struct Hart {
    uint64_t x[33];
    TlbEntry *tlb;              /* of the present data MMU index */
    FetchEntry *fetch;          /* of the present privilege */
    CodePage *page;             /* where execution is */
    uint64_t page_va;
    uint64_t mstatus;           /* without SD */
    uint32_t fflags;
    uint32_t frm;
    uint64_t f[32];

    uint64_t pc;                /* while no Insn stands for it */
    uint64_t instret;           /* likewise; see n of InsnFn */
    uint32_t priv;
    bool halted;                /* in WFI */

    /* Atomic: levels of the lines from outside, bits of mip */
    uint64_t irq_lines;

    /* What mip shows besides: written by software, and STIP */
    uint64_t mip_soft;
    uint64_t mie, mideleg, medeleg;
    uint64_t stip;              /* MIP_STIP or 0; atomic, see sstc.c */

    uint64_t mtvec, mscratch, mepc, mcause, mtval;
    uint64_t stvec, sscratch, sepc, scause, stval, satp;
    uint64_t menvcfg, senvcfg;
    uint32_t mcounteren, scounteren, mcountinhibit;
    uint64_t stimecmp;
    /* minstret and mcycle are instret + this, or this while inhibited */
    uint64_t minstret_base, mcycle_base;

    /* LR/SC: the reservation holds while memory there is res_value */
    uint64_t res_addr;          /* on the host; TAG_NONE: none */
    uint64_t res_value;

    uint8_t pmpcfg[PMP_ENTRIES];
    uint64_t pmpaddr[PMP_ENTRIES];
    PmpRange pmp[PMP_ENTRIES];
    unsigned pmp_last;          /* entries behind this one are off */

    /* Why a memory helper returned false */
    uint64_t exc_cause, exc_tval;
    uint32_t fetched;           /* by mmu_fetch_careful() */

    unsigned mmu_index;
    LargePages large[2];
    const RamBlock *ram;        /* where the last translation ended */

    /* Code pages: code.c */
    uint64_t generation;
    CodePage **code_pages;
    CodePage **code_hash;
    unsigned code_count, code_hand;

    Cpu cpu;
    Memory *memory;
    uint64_t hartid, reset_pc;
    HartTime time;
    VmTimer *stimer;
    GMutex stimer_lock;         /* protects the comparison: sstc.c */
    /* What the migration stream carries in another shape: vmstate.c */
    struct HartSaved *saved;

    TlbEntry tlbs[MMU_INDICES][TLB_SIZE];
    FetchEntry fetches[MMU_INDICES][TLB_SIZE];
};

static inline uint64_t hart_mip(const Hart *h)
{
    return __atomic_load_n(&h->irq_lines, __ATOMIC_ACQUIRE) |
           __atomic_load_n(&h->stip, __ATOMIC_ACQUIRE) |
           __atomic_load_n(&h->mip_soft, __ATOMIC_RELAXED);
}

static inline uint64_t insn_pc(const Hart *h, const Insn *i)
{
    return h->page_va + (((uintptr_t)i - (uintptr_t)h->page) >> 3);
}

/* cpu.c: drops all that was derived from registers set from outside. */
void hart_state_changed(Hart *h);

/* trap.c: enters the handler; reads pc, sets pc and priv. */
void trap_take(Hart *h, uint64_t cause, uint64_t tval);
/* The interrupt to be taken now, or -1. */
int trap_pending_irq(Hart *h);
/* MRET and SRET; the caller has checked that it may. */
void trap_mret(Hart *h);
void trap_sret(Hart *h);

/* mmu.c: these return false (NULL) with exc_cause and exc_tval set. */
bool mmu_load(Hart *h, uint64_t va, unsigned size, uint64_t *val);
bool mmu_store(Hart *h, uint64_t va, unsigned size, uint64_t val);
/*
 * Host address of @size naturally aligned bytes of RAM for reading (or for
 * reading and writing) by an atomic.
 */
uint8_t *mmu_atomic(Hart *h, uint64_t va, unsigned size, bool write);
/*
 * Host address and *gpa of the page of code around @va. *whole: whether all of
 * it may be executed where the halfword at @va may.
 */
const uint8_t *mmu_fetch(Hart *h, uint64_t va, hwaddr *gpa, bool *whole);
/* Reads the instruction at @va into h->fetched, halfword by halfword. */
bool mmu_fetch_careful(Hart *h, uint64_t va);
/* Whether a cache-block operation may touch the block around @va. */
bool mmu_probe_cbo(Hart *h, uint64_t va);

/* tlb.c */
void tlb_select(Hart *h);       /* after a change of privilege or mstatus */
void tlb_flush(Hart *h);
void tlb_flush_translated(Hart *h);     /* not M's */
void tlb_flush_page(Hart *h, uint64_t va);
void tlb_flush_writes(Hart *h);
void tlb_flush_fetch(Hart *h);
void tlb_drop_code(Hart *h, const CodePage *page);
void tlb_note_large(Hart *h, uint64_t va, unsigned bits);

/* pmp.c */
void pmp_update(Hart *h);       /* after a change of pmpcfg or pmpaddr */
/*
 * What @priv may do to all of [pa, pa + len): PMP_R | PMP_W | PMP_X. *whole is
 * set to whether the same is true of each part of it.
 */
unsigned pmp_perms(const Hart *h, hwaddr pa, uint64_t len, unsigned priv,
                   bool *whole);

/* code.c */
void code_init(Hart *h);
void code_free(Hart *h);
/*
 * The instruction at pc, taking traps until there is one; NULL: look at
 * attention first.
 */
Insn *code_enter(Hart *h);
void code_fence(Hart *h);       /* FENCE.I: forget nothing, check all */
void code_reset(Hart *h);       /* forget everything */

/* decode.c: fills in all of *i. @off: of the instruction in its page. */
void decode_insn(Insn *i, uint32_t bits, unsigned off);
/* decode-c.c: the 32-bit instruction meant by @bits; 0: illegal. */
uint32_t decode_expand(uint16_t bits);

/* csr.c: "csr" is what csr_find() says for a number: -1 where there is none. */
int csr_find(unsigned num);
/*
 * The value in *val; false: illegal. @write: whether the instruction also
 * writes. instret must be up to date, in csr_write() too.
 */
bool csr_read(Hart *h, int csr, bool write, uint64_t *val);
/* Sets the bits in @mask to those of @val, as far as they can be written. */
void csr_write(Hart *h, int csr, uint64_t mask, uint64_t val);
/* Whether the page of code may have changed by a write to it. */
bool csr_moves_code(int csr);

/* sstc.c */
uint64_t sstc_time(Hart *h);
void sstc_update(Hart *h);      /* after a change of stimecmp or STCE */
/*
 * Stores @val in @reg, which is stimecmp or menvcfg of @h and which the main
 * loop may be reading, and does what follows from it. The hart's thread.
 */
void sstc_store(Hart *h, uint64_t *reg, uint64_t val);
void sstc_init(Hart *h);
void sstc_free(Hart *h);

/* vmstate.c */
void hart_register_vmstate(Hart *h);
void hart_unregister_vmstate(Hart *h);

#endif
