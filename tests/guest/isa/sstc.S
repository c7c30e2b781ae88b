/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sstc: stimecmp, who may use it, STIP, and sleeping until it is reached. */
#include "isa.h"

#define STIMECMP 0x14d
#define MENVCFG 0x30a
#define STIP 0x20

BEGIN
        OPEN_PMP
        li      s0, 1
        slli    s0, s0, 63
        csrw    mcounteren, x0
        csrc    MENVCFG, s0
        ENTER   MSTATUS_MPP_S
        EXPECT  1, CAUSE_ILLEGAL, csrr a0, STIMECMP
        csrs    MENVCFG, s0
        ENTER   MSTATUS_MPP_S
        EXPECT  2, CAUSE_ILLEGAL, csrr a0, STIMECMP
        csrwi   mcounteren, 2
        li      a0, -1
        csrw    STIMECMP, a0
        ENTER   MSTATUS_MPP_S
        csrr    a0, STIMECMP
        LEAVE   3
        CHECK   3, a0, -1
        ENTER   0
        EXPECT  4, CAUSE_ILLEGAL, csrr a0, STIMECMP

        /* STIP is the comparison, and nothing software can write */
        csrr    a0, mip
        andi    a0, a0, STIP
        CHECK   5, a0, 0
        csrw    STIMECMP, x0
        csrr    a0, mip
        andi    a0, a0, STIP
        CHECK   6, a0, STIP
        li      t0, STIP
        csrc    mip, t0
        csrr    a0, mip
        andi    a0, a0, STIP
        CHECK   7, a0, STIP
        li      a0, -1
        csrw    STIMECMP, a0
        csrs    mip, t0
        csrr    a0, mip
        andi    a0, a0, STIP
        CHECK   8, a0, 0

        /* Ten times 2 ms, asleep, with the interrupt taken in S */
        csrw    mideleg, t0
        la      t0, s_timer
        csrw    stvec, t0
        li      s1, 0
        li      s2, 20000
        ENTER   MSTATUS_MPP_S
        csrr    a1, time
        mv      s3, a1
        add     a1, a1, s2
        csrw    STIMECMP, a1
        li      t0, STIP
        csrw    sie, t0
        csrsi   sstatus, MSTATUS_SIE
        li      s4, 10
1:      wfi
        bltu    s1, s4, 1b
        csrr    a0, time
        sub     a0, a0, s3
        LEAVE   9
        li      t0, 200000
        li      gp, 10
        bltu    a0, t0, fail
        csrw    mie, x0

        /* Spinning, it is noticed as well */
        ENTER   MSTATUS_MPP_S
        csrr    a1, time
        add     a1, a1, s2
        csrw    STIMECMP, a1
        li      s1, 0
        li      t0, STIP
        csrw    sie, t0
        csrsi   sstatus, MSTATUS_SIE
1:      beqz    s1, 1b
        csrci   sstatus, MSTATUS_SIE
        LEAVE   11

        /* Off again: software's bit again */
        csrw    STIMECMP, x0
        csrc    MENVCFG, s0
        csrr    a0, mip
        andi    a0, a0, STIP
        CHECK   12, a0, 0
        li      t0, STIP
        csrs    mip, t0
        csrr    a0, mip
        andi    a0, a0, STIP
        CHECK   13, a0, STIP
END
        .balign 4
s_timer:
        addi    s1, s1, 1
        csrr    a1, scause
        andi    a1, a1, 63
        li      gp, 9
        li      t6, 5
        bne     a1, t6, fail
        csrr    a1, time
        add     a1, a1, s2
        csrw    STIMECMP, a1
        sret
