/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering and leaving trap handlers, and which interrupt is taken next:
 * privileged architecture, "Trap-Return Instructions", "Machine Trap
 * Delegation Registers" and "Machine Interrupt Registers". Hart thread.
 */
#include "hart.h"
#include "trace/trace-target-riscv.h"

static void set_priv(Hart *h, uint64_t priv)
{
    h->priv = (uint32_t)priv;
    tlb_select(h);
}

static uint64_t vector(uint64_t tvec, uint64_t cause)
{
    uint64_t base = tvec & ~UINT64_C(3);

    if ((tvec & 1) && (cause & CAUSE_INTERRUPT)) {
        base += 4 * (cause & ~CAUSE_INTERRUPT);
    }
    return base;
}

static void enter_s(Hart *h, uint64_t cause, uint64_t tval)
{
    uint64_t status = h->mstatus & ~(MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE);

    if (h->priv == PRV_S) {
        status |= MSTATUS_SPP;
    }
    if (h->mstatus & MSTATUS_SIE) {
        status |= MSTATUS_SPIE;
    }
    h->mstatus = status;
    h->sepc = h->pc;
    h->scause = cause;
    h->stval = tval;
    h->pc = vector(h->stvec, cause);
    set_priv(h, PRV_S);
}

static void enter_m(Hart *h, uint64_t cause, uint64_t tval)
{
    uint64_t status = h->mstatus & ~(MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE);

    status |= (uint64_t)h->priv << MSTATUS_MPP_SHIFT;
    if (h->mstatus & MSTATUS_MIE) {
        status |= MSTATUS_MPIE;
    }
    h->mstatus = status;
    h->mepc = h->pc;
    h->mcause = cause;
    h->mtval = tval;
    h->pc = vector(h->mtvec, cause);
    set_priv(h, PRV_M);
}

void trap_take(Hart *h, uint64_t cause, uint64_t tval)
{
    uint64_t delegated = cause & CAUSE_INTERRUPT ? h->mideleg : h->medeleg;

    trace_riscv_trap(h->hartid, h->priv, h->pc, cause, tval);
    if (h->priv <= PRV_S && (delegated >> (cause & 63) & 1)) {
        enter_s(h, cause, tval);
    } else {
        enter_m(h, cause, tval);
    }
}

void trap_mret(Hart *h)
{
    uint64_t mpp = (h->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT;
    uint64_t status = h->mstatus & ~(MSTATUS_MPP | MSTATUS_MIE);

    if (h->mstatus & MSTATUS_MPIE) {
        status |= MSTATUS_MIE;
    }
    if (mpp != PRV_M) {
        status &= ~MSTATUS_MPRV;
    }
    h->mstatus = status | MSTATUS_MPIE;
    h->pc = h->mepc;
    set_priv(h, mpp);
}

void trap_sret(Hart *h)
{
    uint64_t status =
        h->mstatus & ~(MSTATUS_SPP | MSTATUS_SIE | MSTATUS_MPRV);
    uint64_t spp = h->mstatus & MSTATUS_SPP ? PRV_S : PRV_U;

    if (h->mstatus & MSTATUS_SPIE) {
        status |= MSTATUS_SIE;
    }
    h->mstatus = status | MSTATUS_SPIE;
    h->pc = h->sepc;
    set_priv(h, spp);
}

/* From the highest priority to the lowest. */
static const uint8_t irq_order[] = { 11, 3, 7, 9, 1, 5 };

int trap_pending_irq(Hart *h)
{
    uint64_t pending = hart_mip(h) & h->mie;
    uint64_t to_m, to_s;

    if (likely(!pending)) {
        return -1;
    }
    to_m = pending & ~h->mideleg;
    to_s = pending & h->mideleg;
    if (h->priv == PRV_M && !(h->mstatus & MSTATUS_MIE)) {
        to_m = 0;
    }
    if (h->priv > PRV_S ||
        (h->priv == PRV_S && !(h->mstatus & MSTATUS_SIE))) {
        to_s = 0;
    }
    pending = to_m ? to_m : to_s;
    if (pending) {
        for (unsigned n = 0; n < G_N_ELEMENTS(irq_order); n++) {
            if (pending >> irq_order[n] & 1) {
                return irq_order[n];
            }
        }
    }
    return -1;
}
