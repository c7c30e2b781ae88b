/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What changes more than registers and memory: CSRs, traps and returns, WFI,
 * fences, cache-block operations. Hart thread.
 */
#include <sched.h>
#include <string.h>

#include "exec.h"

OP_AWAY(illegal,
    return exec_illegal(h, i, n);)

OP_AWAY(ebreak,
    return exec_trap(h, i, n, EXC_BREAKPOINT, insn_pc(h, i));)

OP_AWAY(ecall,
    return exec_trap(h, i, n, EXC_ECALL_U + h->priv, 0);)

OP_LONG(nop, NEXT(i + LEN);)

/*
 * A spinning hart's hint. Whom it waits for may wait in turn for this host
 * CPU, where there are more harts than those.
 */
OP_LONG(pause,
    sched_yield();
    NEXT(i + LEN);)

/* The host's own order (x86: TSO) does for all fences but store-to-load. */
OP_LONG(fence,
    __atomic_thread_fence(__ATOMIC_ACQ_REL);
    NEXT(i + LEN);)
OP_LONG(fence_full,
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    NEXT(i + LEN);)

OP_LONG(fence_i,
    uint64_t pc = insn_pc(h, i) + 2 * LEN;
    code_fence(h);
    return exec_enter(h, pc, n + 1);)

/* To the place that pc says, by hart_run() if an interrupt became possible. */
static Insn *resume(Hart *h)
{
    return trap_pending_irq(h) >= 0 ? NULL : code_enter(h);
}

OP_AWAY(mret,
    if (h->priv != PRV_M) {
        return exec_illegal(h, i, n);
    }
    h->instret = n + 1;
    trap_mret(h);
    return resume(h);)

OP_AWAY(sret,
    if (h->priv < PRV_S ||
        (h->priv == PRV_S && (h->mstatus & MSTATUS_TSR))) {
        return exec_illegal(h, i, n);
    }
    h->instret = n + 1;
    trap_sret(h);
    return resume(h);)

OP_LONG(wfi,
    if (h->priv == PRV_U ||
        (h->priv == PRV_S && (h->mstatus & MSTATUS_TW))) {
        return exec_illegal(h, i, n);
    }
    h->pc = insn_pc(h, i) + 2 * LEN;
    h->instret = n + 1;
    h->halted = true;
    return NULL;)

OP_LONG(sfence_vma,
    uint64_t pc = insn_pc(h, i) + 2 * LEN;
    if (h->priv == PRV_U ||
        (h->priv == PRV_S && (h->mstatus & MSTATUS_TVM))) {
        return exec_illegal(h, i, n);
    }
    if (i->rs1) {
        tlb_flush_page(h, RS1);
    } else {
        tlb_flush_translated(h);
    }
    return exec_enter(h, pc, n + 1);)

/*
 * The common part of the six: @writes says whether, then the bits of @mask are
 * set to those of @value.
 */
#define CSR(name, writes, mask, value)                                         \
    OP_LONG(name,                                                              \
        uint64_t old;                                                          \
        bool write = (writes);                                                 \
        h->instret = n;                                                        \
        if (!csr_read(h, i->imm, write, &old)) {                               \
            return exec_illegal(h, i, n);                                      \
        }                                                                      \
        if (write) {                                                           \
            h->pc = insn_pc(h, i) + 2 * LEN;                                   \
            csr_write(h, i->imm, (mask), (value));                             \
            RD = old;                                                          \
            h->instret = n + 1;                                                \
            if (trap_pending_irq(h) >= 0) {                                    \
                return NULL;                                                   \
            }                                                                  \
            return csr_moves_code(i->imm) ? code_enter(h) : i + LEN;           \
        }                                                                      \
        RD = old;                                                              \
        LEAVE(i + LEN);)

#define ALL_BITS UINT64_MAX
CSR(csrrw, true, ALL_BITS, RS1)
CSR(csrrs, i->rs1 != 0, RS1, ALL_BITS)
CSR(csrrc, i->rs1 != 0, RS1, 0)
CSR(csrrwi, true, ALL_BITS, i->rs1)
CSR(csrrsi, i->rs1 != 0, i->rs1, ALL_BITS)
CSR(csrrci, i->rs1 != 0, i->rs1, 0)

/*
 * Zicbom: caches are coherent here, so all that is left is who may. CBIE as
 * CBCFE; its encoding 1, flush instead of invalidate, makes no difference.
 */
static bool cbo_allowed(const Hart *h, uint64_t bits)
{
    return h->priv == PRV_M ||
           ((h->menvcfg & bits) &&
            (h->priv == PRV_S || (h->senvcfg & bits)));
}

static Insn *cbo(Hart *h, Insn *i, uint64_t n, uint64_t enable)
{
    h->instret = n;
    if (!cbo_allowed(h, enable)) {
        return exec_illegal(h, i, n);
    }
    if (!mmu_probe_cbo(h, RS1)) {
        return exec_fault(h, i, n);
    }
    LEAVE(i + LEN_4);
}

OP_AWAY(cbo_inval,
    return cbo(h, i, n, ENVCFG_CBIE);)
OP_AWAY(cbo_clean,
    return cbo(h, i, n, ENVCFG_CBCFE);)
OP_AWAY(cbo_flush,
    return cbo(h, i, n, ENVCFG_CBCFE);)

/* Zicboz: zeroes the naturally aligned block around the address. */
OP_LONG(cbo_zero,
    uint64_t va = RS1 & ~(uint64_t)(HART_CBO_BLOCK_SIZE - 1);
    uint8_t *host;
    h->instret = n;
    if (!cbo_allowed(h, ENVCFG_CBZE)) {
        return exec_illegal(h, i, n);
    }
    host = mmu_atomic(h, va, HART_CBO_BLOCK_SIZE, true);
    if (!host) {
        /* The faulting address is that of the operand. */
        h->exc_tval = RS1;
        return exec_fault(h, i, n);
    }
    memset(host, 0, HART_CBO_BLOCK_SIZE);
    LEAVE(i + LEN);)
