/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PMP: modes of matching, priority, locking, accesses that an entry covers by
 * half, and regions smaller than a page, also of code.
 */
#include "isa.h"

#define R 1
#define W 2
#define X 4
#define TOR 0x08
#define NA4 0x10
#define NAPOT 0x18
#define L 0x80

/* pmpcfg0 := bytes, lowest first. */
.macro CFG a, b=0, c=0, d=0, e=0
        li      t6, (\a) | (\b) << 8 | (\c) << 16 | (\d) << 24 | (\e) << 32
        csrw    pmpcfg0, t6
.endm
.macro ADDR n, address
        la      t6, \address
        srli    t6, t6, 2
        csrw    pmpaddr\n, t6
.endm
.macro NAPOT_ADDR n, address, size
        la      t6, \address
        srli    t6, t6, 2
        ori     t6, t6, (\size) / 8 - 1
        csrw    pmpaddr\n, t6
.endm
.macro S_TRAPS num, cause, reg, insn:vararg
        ENTER   MSTATUS_MPP_S
        EXPECT_TVAL \num, \cause, \reg, \insn
.endm
.macro S_WORKS num, insn:vararg
        ENTER   MSTATUS_MPP_S
        \insn
        LEAVE   \num
.endm

BEGIN
        la      s0, page
        la      s1, page + 2048
        /* No entry matches: M may, S may not even fetch */
        la      s7, 1f
        ENTER   MSTATUS_MPP_S
        nop
        j       fail
1:      CHECK   1, s8, CAUSE_FETCH_ACCESS
        lw      a0, 0(s0)

        /* All by one; widths of the fields */
        li      t0, -1
        csrw    pmpaddr7, t0
        csrr    a0, pmpaddr7
        li      t0, (1 << 54) - 1
        CHECK_REG 2, a0, t0
        csrw    pmpaddr7, x0
        li      t0, -1
        csrw    pmpaddr4, t0
        csrw    pmpcfg2, x0
        CFG     0, 0, 0, 0, NAPOT | R | W | X
        S_WORKS 3, lw a0, 0(s0)
        S_WORKS 4, sw a0, 0(s0)

        /* A page before it, by each permission */
        NAPOT_ADDR 0, page, 4096
        CFG     NAPOT | R, 0, 0, 0, NAPOT | R | W | X
        S_WORKS 5, lw a0, 0(s0)
        S_TRAPS 6, CAUSE_STORE_ACCESS, s0, sw a0, 0(s0)
        S_TRAPS 7, CAUSE_STORE_ACCESS, s0, amoadd.w a0, a0, (s0)
        CFG     NAPOT | X, 0, 0, 0, NAPOT | R | W | X
        S_TRAPS 8, CAUSE_LOAD_ACCESS, s0, lw a0, 0(s0)
        ENTER   MSTATUS_MPP_S
        la      s7, 1f
        jalr    s0
1:      CHECK   9, s8, CAUSE_ECALL_S    /* executed: see page */
        CFG     NAPOT | R | W, 0, 0, 0, NAPOT | R | W | X
        ENTER   MSTATUS_MPP_S
        la      s7, 1f
        jalr    s0
1:      CHECK   10, s8, CAUSE_FETCH_ACCESS
        CHECK_REG 10, s9, s0
        CFG     0, 0, 0, 0, NAPOT | R | W | X
        S_WORKS 11, sw a0, 4(s0)
        li      t0, NAPOT | W   /* reserved: W is dropped, or the write */
        csrw    pmpcfg2, t0
        csrr    a0, pmpcfg2
        andi    a0, a0, R | W
        li      gp, 12
        li      t0, W
        beq     a0, t0, fail
        csrw    pmpcfg2, x0

        /* Half a page, four bytes, a range: the rest is not touched */
        NAPOT_ADDR 0, page + 2048, 2048
        CFG     NAPOT | R, 0, 0, 0, NAPOT | R | W | X
        S_WORKS 15, sw a0, 8(s0)
        S_TRAPS 16, CAUSE_STORE_ACCESS, s1, sw a0, 0(s1)
        S_WORKS 17, sw a0, 8(s0)
        S_WORKS 18, lw a0, 0(s1)
        addi    a1, s1, -4
        S_WORKS 19, sw a0, 0(a1)
        S_TRAPS 20, CAUSE_STORE_ACCESS, a1, sd a0, 0(a1)   /* by half */
        S_TRAPS 21, CAUSE_LOAD_ACCESS, a1, ld a0, 0(a1)
        ADDR    0, page + 2048
        CFG     NA4, 0, 0, 0, NAPOT | R | W | X
        S_TRAPS 22, CAUSE_LOAD_ACCESS, s1, lw a0, 0(s1)
        addi    a1, s1, 4
        S_WORKS 23, lw a0, 0(a1)
        addi    a1, s1, -4
        S_WORKS 24, lw a0, 0(a1)
        ADDR    0, page + 8
        ADDR    1, page + 2048
        CFG     0, TOR | R, 0, 0, NAPOT | R | W | X
        S_WORKS 25, sw a0, 4(s0)
        addi    a1, s0, 8
        S_TRAPS 26, CAUSE_STORE_ACCESS, a1, sw a0, 0(a1)
        S_WORKS 27, sw a0, 0(s1)
        addi    a1, s1, -1
        S_TRAPS 28, CAUSE_STORE_ACCESS, a1, sb a0, 0(a1)
        /* Entry 0 as a range starts at 0 */
        ADDR    0, page
        CFG     TOR | R | X, 0, 0, 0, NAPOT | R | W | X
        addi    a1, s0, -8
        S_TRAPS 29, CAUSE_STORE_ACCESS, a1, sd a0, 0(a1)
        S_WORKS 30, sw a0, 4(s0)
        /* The lower number decides */
        NAPOT_ADDR 0, page, 4096
        NAPOT_ADDR 1, page, 4096
        CFG     NAPOT | R | W, NAPOT, 0, 0, NAPOT | R | W | X
        S_WORKS 31, sw a0, 4(s0)
        CFG     NAPOT, NAPOT | R | W, 0, 0, NAPOT | R | W | X
        S_TRAPS 32, CAUSE_STORE_ACCESS, s0, sw a0, 0(s0)

        /* Code in a page of which only a part may be executed */
        NAPOT_ADDR 0, code + 16, 8
        CFG     NAPOT | R, 0, 0, 0, NAPOT | R | W | X
        la      s3, code
        ENTER   MSTATUS_MPP_S
        li      a0, 0
        la      s7, 1f
        jr      s3
1:      CHECK   35, s8, CAUSE_FETCH_ACCESS
        addi    t0, s3, 16
        CHECK_REG 36, s10, t0
        CHECK   37, a0, 4
        ENTER   MSTATUS_MPP_S   /* around it */
        li      a0, 0
        la      s7, 1f
        addi    t0, s3, 24
        jr      t0
1:      CHECK   38, s8, CAUSE_ECALL_S
        CHECK   39, a0, 2
        CFG     0, 0, 0, 0, NAPOT | R | W | X
        ENTER   MSTATUS_MPP_S
        li      a0, 0
        la      s7, 1f
        jr      s3
1:      CHECK   40, s8, CAUSE_ECALL_S
        CHECK   41, a0, 8

        /* Locked: counts in M too, and cannot be changed any more */
        NAPOT_ADDR 0, page, 4096
        CFG     L | NAPOT | R, 0, 0, 0, NAPOT | R | W | X
        lw      a0, 0(s0)
        EXPECT_TVAL 45, CAUSE_STORE_ACCESS, s0, sw a0, 0(s0)
        CFG     NAPOT | R | W, 0, 0, 0, NAPOT | R | W | X
        csrw    pmpaddr0, x0
        EXPECT_TVAL 46, CAUSE_STORE_ACCESS, s0, sw a0, 0(s0)
        csrr    a0, pmpcfg0
        andi    a0, a0, 0xff
        CHECK   47, a0, L | NAPOT | R
        csrr    a0, pmpaddr0
        la      t0, page
        srli    t0, t0, 2
        ori     t0, t0, 511
        CHECK_REG 48, a0, t0
        ADDR    2, other
        ADDR    3, other + 4096
        CFG     0, 0, 0, L | TOR, NAPOT | R | W | X
        csrw    pmpaddr2, x0    /* its start is locked with it */
        csrr    a0, pmpaddr2
        la      t0, other
        srli    t0, t0, 2
        CHECK_REG 49, a0, t0
        la      a1, other
        EXPECT_TVAL 50, CAUSE_LOAD_ACCESS, a1, lw a0, 0(a1)
END
        .option norvc
        .balign 4096
page:   ecall
        .space  4092
other:  .space  4096
code:   addi    a0, a0, 1
        addi    a0, a0, 1
        addi    a0, a0, 1
        addi    a0, a0, 1
        addi    a0, a0, 1
        addi    a0, a0, 1
        addi    a0, a0, 1
        addi    a0, a0, 1
        ecall
        .balign 4096
