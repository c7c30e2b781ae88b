/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps: causes and tval, delegation, vectors, the stacks of mstatus, which
 * interrupt comes first, WFI.
 */
#include "isa.h"

/* From U back to M where ecall is delegated. */
.macro LEAVE_BY_ILLEGAL num
        EXPECT  \num, CAUSE_ILLEGAL, csrr a0, mscratch
.endm
/* From U back to M by irq_handler. */
.macro LEAVE_IRQ num
        li      gp, \num
        ecall
.endm

BEGIN
        OPEN_PMP
        EXPECT_TVAL 1, CAUSE_ECALL_M, x0, ecall
        ENTER   MSTATUS_MPP_S
        EXPECT_TVAL 2, CAUSE_ECALL_S, x0, ecall
        ENTER   0
        EXPECT_TVAL 3, CAUSE_ECALL_U, x0, ecall
        la      a0, 1f
        .option push
        .option norvc
        EXPECT  4, CAUSE_BREAKPOINT, 1: ebreak
        .option pop
        CHECK_REG 4, a0, s9
        li      a0, 0xffffffff
        EXPECT_TVAL 5, CAUSE_ILLEGAL, a0, .word 0xffffffff
        li      s0, 0x40000000
        EXPECT_TVAL 6, CAUSE_LOAD_ACCESS, s0, lw a0, 0(s0)
        EXPECT_TVAL 7, CAUSE_STORE_ACCESS, s0, sw a0, 0(s0)
        li      gp, 8
        la      s7, 1f
        jr      s0
        j       fail
1:      CHECK   8, s8, CAUSE_FETCH_ACCESS
        CHECK_REG 8, s9, s0
        CHECK_REG 8, s10, s0
        addi    s0, s0, 1       /* the low bit of a target is dropped */
        la      s7, 1f
        jr      s0
1:      CHECK   9, s9, 0x40000000

        /* MPP, MPIE, MIE through a trap and back */
        li      t0, MSTATUS_MIE
        csrs    mstatus, t0
        la      t0, 1f
        csrrw   s11, mtvec, t0
        li      a1, 5
        csrw    mscratch, sp
        ENTER   0
        ecall
        j       fail
        .balign 4
1:      csrw    mtvec, s11
        csrr    a0, mstatus
        li      t0, MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE
        and     a0, a0, t0
        CHECK   10, a0, MSTATUS_MPIE
        la      t0, 1f
        csrw    mepc, t0
        li      t0, MSTATUS_MPP
        csrs    mstatus, t0
        mret
1:      csrr    a0, mstatus
        li      t0, MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE
        and     a0, a0, t0
        CHECK   11, a0, MSTATUS_MPIE | MSTATUS_MIE
        li      t0, MSTATUS_MIE
        csrc    mstatus, t0

        /* Delegated: from S and U to S, never from M */
        li      t0, 1 << CAUSE_BREAKPOINT | 1 << CAUSE_ECALL_U
        csrw    medeleg, t0
        la      t0, s_handler
        csrw    stvec, t0
        EXPECT  20, CAUSE_BREAKPOINT, ebreak
        li      t0, MSTATUS_SIE | MSTATUS_SPP
        csrc    mstatus, t0
        ENTER   0
        li      a2, 0
        la      a3, 1f
1:      ecall
        CHECK   21, a2, CAUSE_ECALL_U
        CHECK_REG 22, a3, a4
        CHECK   23, a1, 0       /* SPP: U */
        la      a3, 1f
        .option push
        .option norvc
1:      ebreak
        .option pop
        CHECK   24, a2, CAUSE_BREAKPOINT
        CHECK_REG 25, a3, a5
        LEAVE_BY_ILLEGAL 26
        ENTER   MSTATUS_MPP_S
        csrsi   sstatus, MSTATUS_SIE
        ebreak
        CHECK   27, a1, MSTATUS_SPP
        csrr    a0, sstatus
        andi    a0, a0, MSTATUS_SIE | MSTATUS_SPIE
        CHECK   28, a0, MSTATUS_SIE | MSTATUS_SPIE
        csrci   sstatus, MSTATUS_SIE
        LEAVE   29
        csrw    medeleg, x0

        /* MPRV: loads as if in MPP; cleared on the way to less than M */
        li      t0, MSTATUS_MPP
        csrc    mstatus, t0
        li      t0, MSTATUS_MPRV
        csrs    mstatus, t0
        csrw    pmpcfg0, x0     /* U may do nothing, M everything */
        la      s0, data
        EXPECT_TVAL 30, CAUSE_LOAD_ACCESS, s0, lw a0, 0(s0)
        OPEN_PMP
        ENTER   0
        nop
        EXPECT  31, CAUSE_ILLEGAL, csrr a0, mstatus
        csrr    a0, mstatus
        li      t0, MSTATUS_MPRV
        and     a0, a0, t0
        CHECK   31, a0, 0

        /* Software interrupt, direct: taken at once when enabled */
        la      t0, irq_handler
        csrw    mtvec, t0
        li      s0, SOFTINT
        li      s1, 0
        li      t0, 1
        sw      t0, 0(s0)
        csrci   mstatus, MSTATUS_MIE
        csrr    a0, mip
        CHECK   40, a0, 8
        csrwi   mie, 8
        CHECK   41, s1, 0       /* not while MIE is clear */
        csrsi   mstatus, MSTATUS_MIE
        CHECK   42, s1, 1
        li      t0, -0x7ffffffffffffffd
        CHECK_REG 43, s2, t0
        csrci   mstatus, MSTATUS_MIE
        li      s1, 0
        li      t0, 1           /* in U it needs no MIE */
        sw      t0, 0(s0)
        ENTER   0
        nop
        LEAVE_IRQ 44
        CHECK   45, s1, 1

        /* Vectored: exceptions to the base, interrupts by cause */
        la      t0, vectors + 1
        csrw    mtvec, t0
        li      s1, 0
        li      t0, 1
        sw      t0, 0(s0)
        csrsi   mstatus, MSTATUS_MIE
        CHECK   50, s1, 103
        csrci   mstatus, MSTATUS_MIE
        li      s1, 0
        ecall
        CHECK   51, s1, 100
        csrw    mie, x0

        /* Priorities: what M has before what is delegated */
        li      t0, 0x202
        csrs    mip, t0
        li      t0, 0x202
        csrw    mie, t0
        li      s1, 0
        csrsi   mstatus, MSTATUS_MIE    /* SEIP goes before SSIP */
        CHECK   52, s1, 109
        csrci   mstatus, MSTATUS_MIE
        li      t0, 0x202
        csrc    mip, t0
        csrsi   mip, 2
        li      t0, 2
        csrw    mideleg, t0
        csrw    mie, t0
        li      s1, 0
        csrsi   mstatus, MSTATUS_MIE    /* delegated: not taken in M */
        nop
        csrci   mstatus, MSTATUS_MIE
        CHECK   53, s1, 0
        la      t0, vectors_s + 1
        csrw    stvec, t0
        ENTER   MSTATUS_MPP_S
        CHECK   54, s1, 0       /* nor in S with SIE clear */
        csrsi   sstatus, MSTATUS_SIE
        CHECK   55, s1, 201
        csrci   sstatus, MSTATUS_SIE
        la      t0, trap_handler
        la      s7, 1f
        ecall
1:      la      t0, trap_handler
        csrw    mtvec, t0
        csrw    mie, x0
        csrw    mideleg, x0

        /* WFI ends by what is enabled in mie, taken or not */
        csrwi   mie, 8
        li      t0, 1
        sw      t0, 0(s0)
        csrci   mstatus, MSTATUS_MIE
        wfi
        sw      x0, 0(s0)
        csrw    mie, x0
        CHECK   60, x0, 0
END

/* S: a2 the cause, a4 and a5 epc and tval, a1 SPP; goes on behind it. */
        .balign 4
s_handler:
        csrr    a2, scause
        csrr    a5, stval
        csrr    a4, sepc
        csrr    a1, sstatus
        andi    a1, a1, MSTATUS_SPP
        lhu     t0, 0(a4)
        andi    t0, t0, 3
        addi    t0, t0, -3
        addi    t1, a4, 2
        bnez    t0, 1f
        addi    t1, t1, 2
1:      csrw    sepc, t1
        sret

/* M: counts in s1, cause in s2, takes the interrupt back. */
        .balign 4
irq_handler:
        addi    s1, s1, 1
        csrr    s2, mcause
        li      t0, SOFTINT
        sw      x0, 0(t0)
        bgez    s2, 1f
        mret
1:      addi    s1, s1, -1      /* an ecall: back to M behind it */
        csrr    t0, mepc
        addi    t0, t0, 4
        csrw    mepc, t0
        li      t0, MSTATUS_MPP
        csrs    mstatus, t0
        mret

        .balign 256
vectors:
        .option push
        .option norvc
        .set    n, 100
        .rept   16
        .if     n == 100
        j       v_100
        .elseif n == 103
        j       v_103
        .elseif n == 109
        j       v_109
        .else
        j       fail
        .endif
        .set    n, n + 1
        .endr
vectors_s:
        j       fail
        j       v_201
        .option pop
v_100:  li      s1, 100
        bnez    s7, trap_handler
        csrr    t0, mepc
        addi    t0, t0, 4
        csrw    mepc, t0
        mret
v_103:  li      s1, 103
        li      t0, SOFTINT
        sw      x0, 0(t0)
        mret
v_109:  li      s1, 109
        li      t0, 0x200
        csrc    mip, t0
        csrc    mie, t0
        csrwi   mie, 0
        mret
v_201:  li      s1, 201
        csrci   sip, 2
        sret

        .data
        .balign 8
data:   .dword  0
