/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that changes: under its own feet, in another page, in data beside it,
 * over and over.
 */
#include "isa.h"

        .option norvc
BEGIN
        /* The next instruction */
        la      s0, 1f
        li      s1, 0x00200513  /* li a0, 2 */
        li      s2, 3
2:      sw      s1, 0(s0)
        fence.i
1:      li      a0, 1
        CHECK   1, a0, 2
        addi    s2, s2, -1
        bnez    s2, 2b

        /* A function that ran already, a hundred different ones */
        la      s0, function
        li      s2, 0
1:      slli    s1, s2, 20
        li      t0, 0x00000513  /* li a0, imm */
        or      s1, s1, t0
        sw      s1, 0(s0)
        fence.i
        call    function
        CHECK_REG 2, a0, s2
        call    function
        CHECK_REG 2, a0, s2
        addi    s2, s2, 1
        li      t0, 100
        bne     s2, t0, 1b

        /* Data in a page of code: no harm, with or without a fence */
        la      s0, beside
        li      s2, 50
1:      sd      s2, 0(s0)
        call    function
        fence.i
        call    function
        CHECK   3, a0, 99
        ld      t0, 0(s0)
        CHECK_REG 3, t0, s2
        addi    s2, s2, -1
        bnez    s2, 1b

        /* More pages than any cache of them: built, run, built anew */
        li      s3, 2
again:  la      s0, _end
        li      s2, 0
        li      s4, 1500
        lui     s5, 1
1:      slli    s1, s2, 20
        addi    t0, s3, 0
        slli    t0, t0, 31
        xor     s1, s1, t0
        li      t0, 0x00000513
        or      s1, s1, t0
        sw      s1, 0(s0)
        li      t0, 0x00008067  /* ret */
        sw      t0, 4(s0)
        add     s0, s0, s5
        addi    s2, s2, 1
        bne     s2, s4, 1b
        fence.i
        la      s0, _end
        li      s2, 0
1:      jalr    ra, 0(s0)
        lw      t0, 0(s0)
        srai    t0, t0, 20
        CHECK_REG 4, a0, t0
        add     s0, s0, s5
        addi    s2, s2, 1
        bne     s2, s4, 1b
        addi    s3, s3, -1
        bnez    s3, again
END
        .balign 4096
function:
        li      a0, -1
        ret
        .balign 8
beside: .dword  0
        .balign 4096
