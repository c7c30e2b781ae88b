/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Four harts: atomics that none may lose, a lock, message passing, software
 * interrupts, code changed by another hart.
 */
#include "isa.h"

#define HARTS 4
#define ROUNDS 20000

        .option norvc
        .text
        .globl  _start
_start:
        la      t0, trap_handler
        csrw    mtvec, t0
        li      s7, 0
        csrr    s0, mhartid
        li      s1, ROUNDS

        /* AMO, LR/SC in both widths, min and max */
        la      a0, counters
        li      t0, 1
        addi    a1, a0, 8
        addi    a2, a0, 16
        addi    a3, a0, 24
        add     s2, s0, x0
1:      amoadd.d t1, t0, (a0)
        amoadd.w t1, t0, (a1)
2:      lr.d    t1, (a2)
        addi    t1, t1, 1
        sc.d    t2, t1, (a2)
        bnez    t2, 2b
2:      lr.w    t1, (a3)
        addi    t1, t1, 1
        sc.w    t2, t1, (a3)
        bnez    t2, 2b
        addi    s2, s2, HARTS
        addi    a4, a0, 32
        amomaxu.d t1, s2, (a4)
        addi    a4, a0, 40
        neg     t1, s2
        amomin.w t1, t1, (a4)
        addi    s1, s1, -1
        bnez    s1, 1b

        /* A lock around what is not atomic */
        la      a0, lock
        la      a1, guarded
        li      s1, ROUNDS / 4
1:      li      t0, 1
        amoswap.w.aq t0, t0, (a0)
        bnez    t0, 1b
        ld      t1, 0(a1)
        addi    t1, t1, 1
        sd      t1, 0(a1)
        amoswap.w.rl x0, x0, (a0)
        addi    s1, s1, -1
        bnez    s1, 1b

        /* Meet */
        la      a0, arrived
        li      t0, 1
        amoadd.d x0, t0, (a0)
        li      t1, HARTS
1:      ld      t0, 0(a0)
        .word   0x0100000f      /* pause */
        bne     t0, t1, 1b

        bnez    s0, others
        la      a0, counters
        li      t1, HARTS * ROUNDS
        ld      t0, 0(a0)
        CHECK_REG 1, t0, t1
        lw      t0, 8(a0)
        CHECK_REG 2, t0, t1
        ld      t0, 16(a0)
        CHECK_REG 3, t0, t1
        lw      t0, 24(a0)
        CHECK_REG 4, t0, t1
        ld      t0, 32(a0)
        addi    t1, t1, HARTS - 1
        CHECK_REG 5, t0, t1
        lw      t0, 40(a0)
        neg     t1, t1
        CHECK_REG 6, t0, t1
        la      a0, guarded
        ld      t0, 0(a0)
        CHECK   7, t0, HARTS * (ROUNDS / 4)

        /* Change the others' code, tell them by interrupt, await their sum */
        li      s3, 0
again:  la      a0, answers
        sd      x0, 0(a0)
        la      a1, function
        slli    t0, s3, 20
        li      t1, 0x00000513  /* li a0, imm */
        or      t0, t0, t1
        sw      t0, 0(a1)
        fence   rw, rw
        li      t1, SOFTINT
        li      t0, 1
        sw      t0, 4(t1)
        sw      t0, 8(t1)
        sw      t0, 12(t1)
        li      t1, 0x30000     /* three answers of 0x10000 + value */
        slli    t2, s3, 1
        add     t2, t2, s3
        add     t1, t1, t2
1:      ld      t0, 0(a0)
        .word   0x0100000f
        srli    t2, t0, 16
        li      t3, 3
        bltu    t2, t3, 1b
        CHECK_REG 10, t0, t1
        addi    s3, s3, 1
        li      t0, 200
        bne     s3, t0, again
        j       passed

others: csrwi   mie, 8
1:      wfi
        csrr    t0, mip
        andi    t0, t0, 8
        beqz    t0, 1b
        li      t0, SOFTINT
        slli    t1, s0, 2
        add     t0, t0, t1
        sw      x0, 0(t0)
        fence   iorw, iorw
        fence.i
        call    function
        la      t0, answers
        li      t1, 0x10000
        add     a0, a0, t1
        amoadd.d x0, a0, (t0)
        j       1b
passed:
END
        .balign 64
function:
        li      a0, -1
        ret
        .data
        .balign 64
counters:
        .dword  0, 0, 0, 0, 0, 0
        .balign 64
lock:   .dword  0
guarded: .dword 0
        .balign 64
arrived: .dword 0
answers: .dword 0
