/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A on one hart: results, sign extension, reservations, alignment. */
#include "isa.h"

/* Memory @a, register @b: the old value is loaded, @want is stored. */
.macro AMO num, op, load, a, b, old, want
        li      a1, \a
        sd      a1, 0(s0)
        li      a2, \b
        \op     a0, a2, (s0)
        CHECK   \num, a0, \old
        \load   a0, 0(s0)
        CHECK   \num, a0, \want
        sd      a1, 0(s0)
        \op     a2, a2, (s0)    /* destination is the operand */
        CHECK   \num, a2, \old
        \load   a0, 0(s0)
        CHECK   \num, a0, \want
.endm

BEGIN
        la      s0, data
        AMO 1, amoadd.w, ld, 0xfffffffff, 1, -1, 0xf00000000
        AMO 2, amoadd.w.aqrl, ld, 0x7fffffff, 1, 0x7fffffff, 0x80000000
        AMO 3, amoswap.w, ld, 0x1180000000, 5, -0x80000000, 0x1100000005
        AMO 4, amoxor.w, lwu, 0xff, 0xf0, 0xff, 0xf
        AMO 5, amoand.w, lwu, 0xff, 0xf0, 0xff, 0xf0
        AMO 6, amoor.w, lwu, 0xf, 0xf0, 0xf, 0xff
        AMO 7, amomin.w, lwu, 0x80000000, 1, -0x80000000, 0x80000000
        AMO 8, amomin.w, lwu, 1, 0x80000000, 1, 0x80000000
        AMO 9, amomax.w, lwu, 0x80000000, 1, -0x80000000, 1
        AMO 10, amominu.w, lwu, 0x80000000, 1, -0x80000000, 1
        AMO 11, amomaxu.w, lwu, 0x80000000, 1, -0x80000000, 0x80000000
        AMO 12, amomaxu.w, lwu, 1, -1, 1, 0xffffffff
        AMO 13, amomin.w, lwu, 5, 0x1ffffffff, 5, 0xffffffff
        AMO 20, amoadd.d, ld, -1, 1, -1, 0
        AMO 21, amoswap.d.aq, ld, 0x123456789abcdef0, -5, 0x123456789abcdef0, -5
        AMO 22, amoxor.d, ld, -1, 0xf0, -1, -0xf1
        AMO 23, amoand.d, ld, -1, 0xf0, -1, 0xf0
        AMO 24, amoor.d.rl, ld, 0xf, -16, 0xf, -1
        AMO 25, amomin.d, ld, -1, 1, -1, -1
        AMO 26, amomax.d, ld, -1, 1, -1, 1
        AMO 27, amominu.d, ld, -1, 1, -1, 1
        AMO 28, amomaxu.d, ld, -1, 1, -1, -1

        /* SC succeeds once, and only after LR at that address and width */
        li      a1, 0x80000000
        sd      a1, 0(s0)
        lr.w    a0, (s0)
        CHECK   40, a0, -0x80000000
        li      a2, 7
        sc.w    a0, a2, (s0)
        CHECK   41, a0, 0
        lw      a0, 0(s0)
        CHECK   42, a0, 7
        sc.w    a0, a2, (s0)
        li      gp, 43
        beqz    a0, fail
        lr.d    a0, (s0)
        CHECK   44, a0, 7
        addi    s1, s0, 8
        sc.d    a0, a2, (s1)
        li      gp, 45
        beqz    a0, fail
        lr.d    a0, (s0)
        li      a1, 99          /* changed in between */
        sd      a1, 0(s0)
        sc.d    a0, a2, (s0)
        li      gp, 46
        beqz    a0, fail
        ld      a0, 0(s0)
        CHECK   47, a0, 99
1:      lr.d.aq a0, (s0)
        addi    a0, a0, 1
        sc.d.rl a1, a0, (s0)
        bnez    a1, 1b
        ld      a0, 0(s0)
        CHECK   48, a0, 100

        /* Natural alignment; tval is the address, memory is untouched */
        addi    s1, s0, 2
        EXPECT_TVAL 60, CAUSE_STORE_MISALIGNED, s1, amoadd.w a0, a2, (s1)
        EXPECT_TVAL 61, CAUSE_LOAD_MISALIGNED, s1, lr.w a0, (s1)
        EXPECT_TVAL 62, CAUSE_STORE_MISALIGNED, s1, sc.w a0, a2, (s1)
        addi    s1, s0, 4
        EXPECT_TVAL 63, CAUSE_STORE_MISALIGNED, s1, amoadd.d a0, a2, (s1)
        EXPECT_TVAL 64, CAUSE_LOAD_MISALIGNED, s1, lr.d a0, (s1)
        ld      a0, 0(s0)
        CHECK   65, a0, 100
END
        .data
        .balign 8
data:   .dword  0, 0
