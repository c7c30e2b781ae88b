/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CSRs: what sticks, what cannot be seen, what is virtualised by a bit. */
#include "isa.h"

/* What is left of @val written to @csr. */
.macro WARL num, csr, val, want
        li      a0, \val
        csrw    \csr, a0
        csrr    a1, \csr
        CHECK   \num, a1, \want
.endm

BEGIN
        OPEN_PMP
        WARL 1, mscratch, 0x123456789abcdef0, 0x123456789abcdef0
        csrrw   a0, mscratch, x0
        CHECK   2, a0, 0x123456789abcdef0
        csrrsi  a0, mscratch, 31
        CHECK   3, a0, 0
        csrrci  a0, mscratch, 1
        CHECK   4, a0, 31
        li      a1, 6
        csrrc   a1, mscratch, a1        /* destination is the source */
        CHECK   5, a1, 30
        csrrwi  a0, mscratch, 17
        CHECK   6, a0, 24
        csrrs   a0, mscratch, x0
        CHECK   7, a0, 17
        WARL 8, mepc, -1, -2
        WARL 9, sepc, 0x8003, 0x8002
        la      s1, trap_handler
        WARL 10, stvec, 0x80000003, 0x80000001
        WARL 11, mideleg, -1, 0x222
        WARL 12, mie, -1, 0xaaa
        csrw    mie, x0
        csrr    a0, sie
        CHECK   13, a0, 0
        csrw    mideleg, x0
        li      a0, -1
        csrw    sie, a0
        csrr    a0, mie         /* only what is delegated */
        CHECK   14, a0, 0
        li      a0, 0x222
        csrw    mideleg, a0
        li      a0, -1
        csrw    sie, a0
        csrr    a0, mie
        CHECK   15, a0, 0x222
        csrw    mie, x0
        csrw    mideleg, x0
        li      a0, 0xb3ff
        csrw    medeleg, a0
        csrr    a0, medeleg
        srli    a1, a0, 11
        andi    a1, a1, 1
        CHECK   16, a1, 0       /* ecall from M is never delegated */
        csrw    medeleg, x0
        /* MPP has no mode 2; SD and the widths are read-only */
        li      a0, MSTATUS_MPP
        csrs    mstatus, a0
        li      t0, 0x1000
        csrr    a1, mstatus
        and     a1, a1, a0
        CHECK_REG 17, a1, a0
        li      t0, -1
        slli    t0, t0, 63
        csrs    mstatus, t0
        csrr    a0, mstatus
        li      t1, MSTATUS_FS
        csrc    mstatus, t1
        csrr    a0, mstatus
        li      gp, 18
        bltz    a0, fail
        srli    a0, a0, 32
        andi    a0, a0, 15
        CHECK   19, a0, 10
        csrr    a0, misa
        li      t0, 0x800000000014112d
        CHECK_REG 20, a0, t0
        csrw    misa, x0
        csrr    a0, misa
        CHECK_REG 21, a0, t0
        WARL 22, satp, 0, 0
        li      a0, 1           /* no such mode: nothing is written */
        slli    a0, a0, 60
        csrw    satp, a0
        csrr    a0, satp
        CHECK   23, a0, 0
        li      a0, 9 << 60 | 5
        csrw    satp, a0
        csrr    a1, satp
        CHECK_REG 24, a1, a0
        csrw    satp, x0

        /* Those that do not exist, and writes to those that only read */
        EXPECT  30, CAUSE_ILLEGAL, csrr a0, 0x5c0
        EXPECT  31, CAUSE_ILLEGAL, csrw mhartid, a0
        EXPECT  32, CAUSE_ILLEGAL, csrw cycle, a0
        csrrs   a0, mhartid, x0
        CHECK   33, a0, 0
        csrrc   a0, cycle, x0
        EXPECT  34, CAUSE_ILLEGAL, csrrs a0, instret, a0
        li      a0, 0xc0001073  /* csrw cycle, x0: writes, too */
        EXPECT_TVAL 35, CAUSE_ILLEGAL, a0, csrrw x0, cycle, x0

        /* Counters go on, exactly by one an instruction */
        csrw    minstret, x0
        csrr    a0, minstret
        CHECK   40, a0, 0
        csrr    a1, minstret
        nop
        nop
        csrr    a0, minstret
        sub     a0, a0, a1
        CHECK   41, a0, 3
        csrwi   mcountinhibit, 4
        csrr    a1, minstret
        nop
        csrr    a0, minstret
        CHECK_REG 42, a0, a1
        csrwi   mcountinhibit, 0
        csrr    a0, minstret
        sub     a0, a0, a1
        CHECK   43, a0, 0
        csrr    a0, mcycle
        nop
        csrr    a1, mcycle
        li      gp, 44
        bgeu    a0, a1, fail
        csrr    a0, time
        WARL 45, mhpmcounter3, -1, 0

        /* Less privileged: M's are out of reach, counters by permission */
        csrw    mcounteren, x0
        csrw    scounteren, x0
        ENTER   MSTATUS_MPP_S
        EXPECT  50, CAUSE_ILLEGAL, csrr a0, mstatus
        ENTER   MSTATUS_MPP_S
        EXPECT  51, CAUSE_ILLEGAL, csrr a0, cycle
        ENTER   MSTATUS_MPP_S
        EXPECT  52, CAUSE_ILLEGAL, csrr a0, time
        li      a0, 7
        csrw    mcounteren, a0
        ENTER   MSTATUS_MPP_S
        csrr    a0, cycle
        csrr    a0, time
        csrr    a0, instret
        LEAVE   53
        ENTER   0
        EXPECT  54, CAUSE_ILLEGAL, csrr a0, instret
        li      a0, 4
        csrw    scounteren, a0
        ENTER   0
        csrr    a0, instret
        EXPECT  55, CAUSE_ILLEGAL, csrr a0, cycle
        ENTER   0
        EXPECT  56, CAUSE_ILLEGAL, csrr a0, sscratch
        ENTER   0
        EXPECT  57, CAUSE_ILLEGAL, sret
        ENTER   0
        EXPECT  58, CAUSE_ILLEGAL, sfence.vma
        ENTER   0
        EXPECT  59, CAUSE_ILLEGAL, wfi
        ENTER   MSTATUS_MPP_S
        EXPECT  60, CAUSE_ILLEGAL, mret

        /* TVM, TW, TSR */
        ENTER   MSTATUS_MPP_S
        csrr    a0, satp
        sfence.vma
        sfence.vma a0
        LEAVE   61
        li      t0, MSTATUS_TVM
        csrs    mstatus, t0
        ENTER   MSTATUS_MPP_S
        EXPECT  62, CAUSE_ILLEGAL, csrr a0, satp
        ENTER   MSTATUS_MPP_S
        EXPECT  63, CAUSE_ILLEGAL, sfence.vma
        csrr    a0, satp
        li      t0, MSTATUS_TSR
        csrs    mstatus, t0
        ENTER   MSTATUS_MPP_S
        EXPECT  64, CAUSE_ILLEGAL, sret
        li      t0, MSTATUS_TW
        csrs    mstatus, t0
        ENTER   MSTATUS_MPP_S
        EXPECT  65, CAUSE_ILLEGAL, wfi
        li      t0, MSTATUS_TVM | MSTATUS_TSR | MSTATUS_TW
        csrc    mstatus, t0

        /* sstatus is a window on mstatus */
        li      a0, -1
        csrw    sstatus, a0
        csrr    a0, mstatus
        li      t0, MSTATUS_TVM | MSTATUS_TSR | MSTATUS_TW | MSTATUS_MPRV
        and     a0, a0, t0
        CHECK   70, a0, 0
        csrr    a0, sstatus
        li      t0, 0xc6122
        slli    a1, a0, 32
        srli    a1, a1, 32
        CHECK_REG 71, a1, t0
        csrw    sstatus, x0

        /* SSIP: S may clear and set it where it is delegated */
        csrwi   mip, 2
        csrr    a0, sip
        CHECK   72, a0, 0
        csrwi   mideleg, 2
        csrr    a0, sip
        CHECK   73, a0, 2
        csrci   sip, 2
        csrr    a0, mip
        CHECK   74, a0, 0
        li      a0, 0x200
        csrs    mip, a0
        csrr    a1, mip
        CHECK_REG 75, a1, a0
        csrc    mip, a0
        csrr    a1, mip
        CHECK   76, a1, 0
END
