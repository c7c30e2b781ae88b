/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RV64I: every instruction, at the values where it is easy to be wrong. */
#include "isa.h"

.macro RR num, op, a, b, want
        li      a0, \a
        li      a1, \b
        \op     a2, a0, a1
        CHECK   \num, a2, \want
        mv      a2, a0          /* destination is a source */
        \op     a2, a2, a1
        CHECK   \num, a2, \want
        mv      a2, a1
        \op     a2, a0, a2
        CHECK   \num, a2, \want
        \op     x0, a0, a1
        CHECK   \num, x0, 0
.endm
.macro RI num, op, a, imm, want
        li      a0, \a
        \op     a2, a0, \imm
        CHECK   \num, a2, \want
        \op     a0, a0, \imm
        CHECK   \num, a0, \want
        \op     x0, a0, \imm
        CHECK   \num, x0, 0
.endm
/* @op has to be taken, or not, forwards; a2 counts. */
.macro BR num, op, a, b, taken
        li      a0, \a
        li      a1, \b
        li      a2, 0
        \op     a0, a1, 1f
        li      a2, 1
1:      CHECK   \num, a2, 1 - \taken
.endm

BEGIN
        RR 1, add, 1, 2, 3
        RR 2, add, 0x7fffffffffffffff, 1, -0x8000000000000000
        RR 3, add, -1, 1, 0
        RR 4, sub, 0, 1, -1
        RR 5, sub, -0x8000000000000000, 1, 0x7fffffffffffffff
        RR 6, addw, 0x7fffffff, 1, -0x80000000
        RR 7, addw, 0x1ffffffff, 1, 0
        RR 8, subw, 0, 0x80000000, -0x80000000
        RR 9, subw, 0x100000000, 1, -1
        RR 10, sll, 1, 63, -0x8000000000000000
        RR 11, sll, 1, 64, 1
        RR 12, sll, 0x123456789abcdef0, 4, 0x23456789abcdef00
        RR 13, srl, -1, 63, 1
        RR 14, srl, -1, 65, 0x7fffffffffffffff
        RR 15, sra, -0x8000000000000000, 63, -1
        RR 16, sra, -0x8000000000000000, 127, -1
        RR 17, sllw, 1, 31, -0x80000000
        RR 18, sllw, 1, 32, 1
        RR 19, srlw, 0xffffffff80000000, 31, 1
        RR 20, srlw, 0xffffffff80000000, 32, -0x80000000
        RR 21, sraw, 0x80000000, 31, -1
        RR 22, sraw, 0x17fffffff, 4, 0x7ffffff
        RR 23, slt, -1, 0, 1
        RR 24, slt, 0, -1, 0
        RR 25, slt, -0x8000000000000000, 0x7fffffffffffffff, 1
        RR 26, sltu, -1, 0, 0
        RR 27, sltu, 0, -1, 1
        RR 28, sltu, 5, 5, 0
        RR 29, and, 0xff00ff00, 0x0ff00ff0, 0x0f000f00
        RR 30, or, 0xff00ff00, 0x0ff00ff0, 0xfff0fff0
        RR 31, xor, 0xff00ff00, 0x0ff00ff0, 0xf0f0f0f0

        RI 40, addi, 0, -2048, -2048
        RI 41, addi, 0x7fffffffffffffff, 1, -0x8000000000000000
        RI 42, addi, 5, 0, 5
        RI 43, addiw, 0x7fffffff, 1, -0x80000000
        RI 44, addiw, 0xffffffff, 0, -1
        RI 45, slti, -1, 0, 1
        RI 46, slti, 0, -1, 0
        RI 47, sltiu, 0, -1, 1
        RI 48, sltiu, -1, -1, 0
        RI 49, sltiu, 0, 1, 1
        RI 50, xori, 0x55, -1, -0x56
        RI 51, ori, 0x550, -2048, -0x2b0
        RI 52, andi, -1, -2048, -2048
        RI 53, slli, 1, 63, -0x8000000000000000
        RI 54, srli, -1, 63, 1
        RI 55, srai, -0x8000000000000000, 62, -2
        RI 56, slliw, 1, 31, -0x80000000
        RI 57, srliw, -1, 31, 1
        RI 58, sraiw, 0x80000000, 30, -2
        RI 59, srliw, -1, 0, -1

        lui     a0, 0x80000
        CHECK   60, a0, -0x80000000
        lui     a0, 0x7ffff
        CHECK   61, a0, 0x7ffff000
        lui     x0, 1
        CHECK   62, x0, 0
1:      auipc   a0, 0
        la      a1, 1b
        CHECK_REG 63, a0, a1
1:      auipc   a0, 0xfffff
        la      a1, 1b - 0x1000
        CHECK_REG 64, a0, a1
1:      auipc   a0, 0x7ffff
        la      a1, 1b
        li      a2, 0x7ffff000
        add     a1, a1, a2
        CHECK_REG 65, a0, a1

        BR 70, beq, 1, 1, 1
        BR 71, beq, 1, 2, 0
        BR 72, bne, 1, 2, 1
        BR 73, bne, 1, 1, 0
        BR 74, blt, -1, 0, 1
        BR 75, blt, 0, -1, 0
        BR 76, blt, 7, 7, 0
        BR 77, bge, 0, -1, 1
        BR 78, bge, -1, 0, 0
        BR 79, bge, 7, 7, 1
        BR 80, bltu, 0, -1, 1
        BR 81, bltu, -1, 0, 0
        BR 82, bgeu, -1, 0, 1
        BR 83, bgeu, 0, -1, 0
        BR 84, bgeu, 7, 7, 1
        li      a0, 10          /* backwards */
        li      a1, 0
1:      addi    a1, a1, 3
        addi    a0, a0, -1
        bnez    a0, 1b
        CHECK   85, a1, 30

        /* Links, low bit of a target, far targets */
        .option push
        .option norvc
1:      jal     a0, 2f
        j       fail
2:      la      a1, 1b + 4
        CHECK_REG 90, a0, a1
        la      a1, 2f + 1
1:      jalr    a0, 0(a1)
        j       fail
2:      la      a1, 1b + 4
        CHECK_REG 91, a0, a1
        la      a0, 2f - 8
1:      jalr    a0, 8(a0)       /* destination is the base */
        j       fail
2:      la      a1, 1b + 4
        CHECK_REG 92, a0, a1
        la      a0, 2f
        jalr    x0, 0(a0)
        j       fail
2:      CHECK   93, x0, 0
        .option pop
        call    far_away
        CHECK   94, a0, 77
        li      a0, 1
        li      gp, 95
        beq     a0, x0, fail
        bne     a0, x0, 1f
        j       fail
1:      j       near_end        /* across pages */
back:   li      gp, 96
        jal     x0, 1f
        j       fail
1:
        /* Loads and stores */
        la      s0, data + 8
        lb      a0, 0(s0)
        CHECK   100, a0, -0x10
        lbu     a0, 0(s0)
        CHECK   101, a0, 0xf0
        lh      a0, 0(s0)
        CHECK   102, a0, -0x2110
        lhu     a0, 0(s0)
        CHECK   103, a0, 0xdef0
        lw      a0, 0(s0)
        CHECK   104, a0, -0x65432110
        lwu     a0, 0(s0)
        CHECK   105, a0, 0x9abcdef0
        ld      a0, 0(s0)
        CHECK   106, a0, 0x123456789abcdef0
        ld      a0, -8(s0)
        CHECK   107, a0, 0x1111111111111111
        ld      s1, 0(s0)
        mv      a1, s0
        lw      a1, 4(a1)       /* destination is the base */
        CHECK   108, a1, 0x12345678
        lw      x0, 0(s0)
        CHECK   109, x0, 0
        li      a0, -1
        sb      a0, 1(s0)
        ld      a1, 0(s0)
        CHECK   110, a1, 0x123456789abcfff0
        sh      x0, 2(s0)
        ld      a1, 0(s0)
        CHECK   111, a1, 0x123456780000fff0
        sw      a0, 4(s0)
        ld      a1, 0(s0)
        CHECK   112, a1, -0xffff0010
        sd      s1, 0(s0)
        ld      a1, 0(s0)
        CHECK_REG 113, a1, s1
        ld      a1, 8(s0)
        CHECK   114, a1, 0x2222222222222222
        ld      a1, -8(s0)
        CHECK   115, a1, 0x1111111111111111
        fence
        fence   rw, rw
        fence.tso
        .word   0x0100000f      /* pause */
END
        .balign 4096
far_away:
        li      a0, 77
        ret
        .balign 4096
        .space  4092
near_end:
        .option push
        .option norvc
        nop
        .option pop
        j       back
        .balign 8
        .data
        .balign 8
data:   .dword  0x1111111111111111, 0x123456789abcdef0, 0x2222222222222222
