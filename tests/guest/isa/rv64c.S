/* SPDX-License-Identifier: GPL-2.0-or-later */
/* C: every compressed instruction, with the registers and sizes it has. */
#include "isa.h"

BEGIN
        li      t0, MSTATUS_FS
        csrs    mstatus, t0
        la      sp, stack
        la      s0, data
        c.addi4spn a0, sp, 1020
        sub     a0, a0, sp
        CHECK   1, a0, 1020
        c.addi4spn a0, sp, 4
        sub     a0, a0, sp
        CHECK   2, a0, 4
        c.lw    a0, 124(s0)
        CHECK   3, a0, -0x7ffffffe
        c.ld    a0, 248(s0)
        CHECK   4, a0, 0x123456789abcdef0
        c.fld   fa0, 248(s0)
        fmv.x.d a0, fa0
        CHECK   5, a0, 0x123456789abcdef0
        li      a1, 0x1234567887654321
        c.sw    a1, 8(s0)
        ld      a0, 8(s0)
        CHECK   6, a0, 0x87654321
        c.sd    a1, 16(s0)
        ld      a0, 16(s0)
        CHECK_REG 7, a0, a1
        fmv.d.x fa1, a1
        c.fsd   fa1, 24(s0)
        ld      a0, 24(s0)
        CHECK_REG 8, a0, a1
        c.nop
        li      a0, 5
        c.addi  a0, -32
        CHECK   10, a0, -27
        c.addi  a0, 31
        CHECK   11, a0, 4
        li      a0, 0x7fffffff
        c.addiw a0, 1
        CHECK   12, a0, -0x80000000
        c.addiw a0, 0
        CHECK   13, a0, -0x80000000
        c.li    a0, -32
        CHECK   14, a0, -32
        c.li    t3, 31
        CHECK   15, t3, 31
        mv      a0, sp
        c.addi16sp sp, -512
        sub     a0, sp, a0
        CHECK   16, a0, -512
        c.addi16sp sp, 496
        c.addi16sp sp, 16
        c.lui   a0, 0xfffe0
        CHECK   17, a0, -0x20000
        c.lui   t4, 0x1f
        CHECK   18, t4, 0x1f000
        li      a0, -1
        c.srli  a0, 60
        CHECK   20, a0, 15
        li      a0, -0x100
        c.srai  a0, 4
        CHECK   21, a0, -16
        c.andi  a0, -32
        CHECK   22, a0, -32
        c.andi  a0, 31
        CHECK   23, a0, 0
        li      a0, 3
        li      a1, 5
        c.sub   a0, a1
        CHECK   24, a0, -2
        c.xor   a0, a1
        CHECK   25, a0, -5
        c.or    a0, a1
        CHECK   26, a0, -1
        c.and   a0, a1
        CHECK   27, a0, 5
        li      a0, -0x80000000
        c.subw  a0, a1
        CHECK   28, a0, 0x7ffffffb
        c.addw  a0, a1
        CHECK   29, a0, -0x80000000
        c.j     1f
        j       fail
1:      li      a0, 0
        c.beqz  a0, 1f
        j       fail
1:      c.bnez  a0, fail_near
        li      a0, 3
        li      a1, 0
1:      c.addi  a1, 1
        c.addi  a0, -1
        c.bnez  a0, 1b
        CHECK   30, a1, 3
        c.beqz  a1, fail_near
        li      t3, 1
        c.slli  t3, 63
        CHECK   31, t3, -0x8000000000000000
        c.fsdsp fa1, 504(sp)
        c.fldsp ft11, 504(sp)
        fmv.x.d a0, ft11
        fmv.x.d a1, fa1
        CHECK_REG 32, a0, a1
        li      t5, -5
        c.swsp  t5, 252(sp)
        c.lwsp  t4, 252(sp)
        CHECK   33, t4, -5
        c.sdsp  t5, 496(sp)
        c.ldsp  t4, 496(sp)
        CHECK   34, t4, -5
        c.mv    t3, t5
        CHECK   35, t3, -5
        c.add   t3, t5
        CHECK   36, t3, -10
        la      t3, 1f
        c.jr    t3
        j       fail
1:      la      t3, 2f
1:      c.jalr  t3
        j       fail
fail_near:
        j       fail
2:      la      t4, 1b + 2
        CHECK_REG 37, ra, t4
        la      s0, data
        j       1f
        .balign 4096
1:      EXPECT  40, CAUSE_BREAKPOINT, c.ebreak
        li      a0, 0
        EXPECT_TVAL 41, CAUSE_ILLEGAL, a0, .half 0
        li      a0, 0x6101      /* c.addi16sp sp, 0: reserved */
        EXPECT_TVAL 42, CAUSE_ILLEGAL, a0, .half 0x6101
        li      a0, 0x8002      /* c.jr x0: reserved */
        EXPECT_TVAL 43, CAUSE_ILLEGAL, a0, .half 0x8002
        li      a0, 0x4002      /* c.lwsp x0: reserved */
        EXPECT_TVAL 44, CAUSE_ILLEGAL, a0, .half 0x4002
        li      a0, 0x2001      /* c.addiw x0: reserved */
        EXPECT_TVAL 45, CAUSE_ILLEGAL, a0, .half 0x2001
        li      a0, 0x9c41      /* reserved in RV64: funct 110 */
        EXPECT_TVAL 46, CAUSE_ILLEGAL, a0, .half 0x9c41

        /* A 32-bit instruction whose halves are in two pages */
        li      a0, 1
        j       crossing
        .balign 4096
        .space  4092
crossing:
        c.addi  a0, 1
        .option push
        .option norvc
        addi    a0, a0, 1000
        .option pop
        CHECK   50, a0, 1002
        la      t0, crossing
        addi    a1, a1, 1
        li      t1, 20
        addi    a1, a1, 0
        li      a2, 5
        mv      s1, a2
        la      t0, loop_cross
        li      a0, 0
        jr      t0
        .balign 4096
        .space  4086
loop_cross:                     /* a loop over such a place */
        c.addi  a0, 1
        c.addi  s1, -1
        c.nop
        c.nop
        .option push
        .option norvc
        addi    a0, a0, 100
        .option pop
        bnez    s1, loop_cross
        CHECK   51, a0, 505
END
        .data
        .balign 8
data:   .space  124
        .word   0x80000002
        .space  120
        .dword  0x123456789abcdef0
        .balign 16
stack:  .space  2048
