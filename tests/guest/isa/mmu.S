/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sv39 and Sv48. The test's own gigapage is mapped one to one for S; what is
 * tried is mapped at WINDOW, a page at a time, by rewriting its entry.
 */
#include "isa.h"

#define V 0x01
#define R 0x02
#define W 0x04
#define X 0x08
#define U 0x10
#define G 0x20
#define A 0x40
#define D 0x80
#define ALL (V | R | W | X | A | D)
/* Index 1 of the top level in Sv39, then 0 and 0. */
#define WINDOW 0x40000000
#define MODE_SV39 8
#define MODE_SV48 9

/* Maps the window's first page to @page with @flags. Uses t5, t6. */
.macro MAP page, flags
        la      t6, \page
        srli    t6, t6, 2
        ori     t6, t6, (\flags) & 0x3ff
        la      t5, level0
        sd      t6, 0(t5)
        sfence.vma
.endm
/* The flags of that entry. */
.macro FLAGS reg
        la      \reg, level0
        ld      \reg, 0(\reg)
        andi    \reg, \reg, 0xff
.endm
/* Fills entry @index of @table with a pointer to @next, or a leaf. */
.macro ENTRY table, index, next, flags
        la      t6, \next
        srli    t6, t6, 2
        ori     t6, t6, \flags
        la      t5, \table
        sd      t6, \index * 8(t5)
.endm
/* The same with a number for the address. */
.macro LEAF table, index, address, flags
        li      t6, (\address >> 2) | \flags
        la      t5, \table
        sd      t6, \index * 8(t5)
.endm
/* Zicbom and Zicboz, of which not every assembler knows. */
.macro CBO what, reg
        .insn   i 0x0f, 2, x0, \reg, \what
.endm
#define INVAL 0
#define CLEAN 1
#define FLUSH 2
#define ZERO 4
/* One instruction in S, or U, with a trap of @cause and tval @reg. */
.macro TRAPS num, priv, cause, reg, insn:vararg
        ENTER   \priv
        EXPECT_TVAL \num, \cause, \reg, \insn
.endm
/* The same without. */
.macro WORKS num, priv, insn:vararg
        ENTER   \priv
        \insn
        LEAVE   \num
.endm
#define S MSTATUS_MPP_S
/* Loads and stores as if in U, which cannot execute anything here. */
.macro AS_U
        li      t6, MSTATUS_MPP
        csrc    mstatus, t6
        li      t6, MSTATUS_MPRV
        csrs    mstatus, t6
.endm
.macro NOT_AS_U
        li      t6, MSTATUS_MPRV
        csrc    mstatus, t6
.endm

BEGIN
        OPEN_PMP
        li      t0, 1           /* hardware sets A and D */
        slli    t0, t0, 61
        csrs    0x30a, t0
        ENTRY   level1, 0, level0, V
        ENTRY   level2, 1, level1, V
        /* 0x80000000..0xbfffffff one to one, 0..0x3fffffff too */
        li      t0, (0x80000000 >> 2) | ALL
        la      t1, level2
        sd      t0, 16(t1)
        li      t0, ALL
        sd      t0, 0(t1)
        li      s6, MODE_SV39
        slli    s6, s6, 60
        la      t0, level2
        srli    t0, t0, 12
        or      s6, s6, t0
        csrw    satp, s6
        sfence.vma
        li      s11, 0
        li      s0, WINDOW
both:
        la      s1, page1
        li      s2, 0x1111
        sd      s2, 0(s1)
        li      s2, 0x2222
        la      s1, page2
        sd      s2, 0(s1)

        /* Not valid; reserved; permissions */
        MAP     page1, 0
        TRAPS 1, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        TRAPS 2, S, CAUSE_STORE_PAGE, s0, sd a0, 0(s0)
        TRAPS 3, S, CAUSE_STORE_PAGE, s0, amoadd.d a0, a0, (s0)
        MAP     page1, V | W | A | D
        TRAPS 4, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        MAP     page1, V | R | A | D
        WORKS 5, S, ld a0, 0(s0)
        CHECK   5, a0, 0x1111
        TRAPS 6, S, CAUSE_STORE_PAGE, s0, sd a0, 0(s0)
        TRAPS 7, S, CAUSE_STORE_PAGE, s0, amoadd.d a0, a0, (s0)
        WORKS 8, S, lr.d a0, (s0)
        MAP     page1, V | R | W | A | D
        li      a1, 0x3333
        WORKS 9, S, sd a1, 0(s0)
        la      s1, page1
        ld      a0, 0(s1)
        CHECK   9, a0, 0x3333
        MAP     page2, V | R | W | A | D
        WORKS 10, S, ld a0, 0(s0)
        CHECK   10, a0, 0x2222
        addi    s3, s0, 8
        MAP     page1, V | R
        TRAPS 11, S, CAUSE_STORE_PAGE, s3, sd a0, 8(s0)

        /* A page whose entry has a reserved bit set */
        la      t5, level0
        ld      t6, 0(t5)
        li      t4, 1
        slli    t4, t4, 60
        or      t6, t6, t4
        sd      t6, 0(t5)
        sfence.vma
        TRAPS 12, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)

        /* U pages: U's; S's with SUM, and never to execute */
        MAP     page1, ALL | U
        AS_U
        ld      a0, 0(s0)
        NOT_AS_U
        CHECK   15, a0, 0x3333
        TRAPS 16, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        li      t0, MSTATUS_SUM
        csrs    mstatus, t0
        WORKS 17, S, ld a0, 0(s0)
        csrc    mstatus, t0
        li      t0, MSTATUS_SUM
        csrc    mstatus, t0
        TRAPS 18, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        MAP     page1, ALL
        AS_U
        EXPECT_TVAL 19, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        NOT_AS_U

        /* MXR: what can be executed can be loaded */
        MAP     page1, V | X | A
        TRAPS 20, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        li      t0, MSTATUS_MXR
        csrs    mstatus, t0
        WORKS 21, S, ld a0, 0(s0)
        li      t0, MSTATUS_MXR
        csrc    mstatus, t0
        TRAPS 22, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)

        /* MPRV: M's loads and stores go through it */
        MAP     page1, V | R | W | A | D
        li      t0, MSTATUS_MPP
        csrc    mstatus, t0
        li      t0, MSTATUS_MPP_S | MSTATUS_MPRV
        csrs    mstatus, t0
        ld      a0, 0(s0)
        li      t0, MSTATUS_MPRV
        csrc    mstatus, t0
        CHECK   23, a0, 0x3333

        /* A and D are set by the hardware */
        MAP     page1, V | R | W
        WORKS 30, S, ld a0, 0(s0)
        FLAGS   a0
        CHECK   30, a0, V | R | W | A
        WORKS 31, S, sd a0, 8(s0)
        FLAGS   a0
        CHECK   31, a0, V | R | W | A | D
        MAP     page1, V | R | W
        WORKS 32, S, amoadd.d a0, x0, (s0)
        FLAGS   a0
        CHECK   32, a0, V | R | W | A | D
        MAP     page1, V | X
        la      t0, 1f          /* fetch: page1 holds "ret" further up */
        la      s1, page1
        li      t1, 0x8082
        sh      t1, 256(s1)
        fence.i
        addi    s3, s0, 256
        WORKS 33, S, jalr s3
1:      FLAGS   a0
        CHECK   33, a0, V | X | A

        /* Fetches need X; the fault is at the target */
        MAP     page1, V | R | A
        ENTER   S
        la      s7, 1f
        jr      s3
1:      CHECK   34, s8, CAUSE_FETCH_PAGE
        CHECK_REG 34, s9, s3
        CHECK_REG 34, s10, s3
        MAP     page1, ALL | U
        ENTER   S
        la      s7, 1f
        jr      s3
1:      CHECK   35, s8, CAUSE_FETCH_PAGE
        csrr    t0, mstatus
        li      t1, MSTATUS_SUM
        csrs    mstatus, t1
        ENTER   S
        la      s7, 1f
        jr      s3
1:      CHECK   36, s8, CAUSE_FETCH_PAGE
        li      t1, MSTATUS_SUM
        csrc    mstatus, t1

        /* Across two pages: an access, with nothing stored by half, ... */
        MAP     page1, ALL
        la      t5, level0
        sd      x0, 8(t5)
        sfence.vma
        li      t0, 0x1000
        add     s3, s0, t0      /* the second page's start is at fault */
        addi    s4, s3, -4
        la      s1, page1 + 4088
        li      t0, 0x5555
        sd      t0, 0(s1)
        ENTER   S
        EXPECT  40, CAUSE_STORE_PAGE, sd x0, 0(s4)
        CHECK_REG 40, s9, s3
        ld      a0, 0(s1)
        CHECK   41, a0, 0x5555
        ENTER   S
        EXPECT  42, CAUSE_LOAD_PAGE, ld a0, 0(s4)
        CHECK_REG 42, s9, s3
        ENTRY   level0, 1, page2, ALL
        sfence.vma
        li      a1, 0x1122334455667788
        ENTER   S
        sd      a1, 0(s4)
        ld      a0, 0(s4)
        LEAVE   43
        CHECK_REG 43, a0, a1
        la      t0, page2
        lwu     a0, 0(t0)
        CHECK   44, a0, 0x11223344
        /* ... and an instruction: epc is its start, tval the second page */
        li      t0, 0x0513
        la      s1, page1
        li      t1, 4094
        add     s1, s1, t1
        sh      t0, 0(s1)
        la      t1, page2
        li      t0, 0x0630      /* li a0, 99 */
        sh      t0, 0(t1)
        li      t0, 0x8082
        sh      t0, 2(t1)
        fence.i
        addi    s4, s3, -2
        WORKS 45, S, jalr s4
        CHECK   45, a0, 99
        la      t5, level0
        sd      x0, 8(t5)
        sfence.vma
        ENTER   S
        la      s7, 1f
        jr      s4
1:      CHECK   46, s8, CAUSE_FETCH_PAGE
        CHECK_REG 46, s9, s3
        CHECK_REG 46, s10, s4
        ENTRY   level0, 1, page3, ALL   /* another second page, no fence.i */
        sfence.vma
        WORKS 47, S, jalr s4
        CHECK   47, a0, 77

        /* 2 MiB: one entry of level 1; misaligned: a fault */
        LEAF    level1, 0, 0x80000000, ALL
        sfence.vma
        la      s1, page1
        li      t0, 0x80000000
        sub     s3, s1, t0
        add     s3, s3, s0
        li      t0, 0x4444
        sd      t0, 16(s1)
        WORKS 50, S, ld a0, 16(s3)
        CHECK   50, a0, 0x4444
        mv      a2, s3          /* the fence of one address of it is enough */
        li      t0, 0x1000
        add     a2, a2, t0
        WORKS 51, S, ld a0, 0(a2)
        la      t5, level1
        sd      x0, 0(t5)
        sfence.vma a2
        TRAPS 51, S, CAUSE_LOAD_PAGE, s3, ld a0, 0(s3)
        LEAF    level1, 0, 0x80001000, ALL
        sfence.vma
        TRAPS 52, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        ENTRY   level1, 0, level0, V | A        /* reserved in a pointer */
        sfence.vma
        TRAPS 53, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        LEAF    level1, 0, 0x40000000, V        /* a table where no RAM is */
        sfence.vma
        TRAPS 54, S, CAUSE_LOAD_ACCESS, s0, ld a0, 0(s0)
        TRAPS 55, S, CAUSE_STORE_ACCESS, s0, sd a0, 0(s0)
        ENTRY   level1, 0, level0, V
        /* The last level has no pointers */
        MAP     level0, V
        TRAPS 56, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)

        /* A fence of one page */
        MAP     page1, V | R | A
        WORKS 57, S, ld a0, 16(s0)
        CHECK   57, a0, 0x4444
        la      t5, level0
        sd      x0, 0(t5)
        sfence.vma s0
        TRAPS 58, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)

        /* Addresses that are none: the upper bits are not the sign */
        li      t0, 1
        slli    t0, t0, 38
        bnez    s11, 1f
        TRAPS 60, S, CAUSE_LOAD_PAGE, t0, ld a0, 0(t0)
        TRAPS 61, S, CAUSE_STORE_PAGE, t0, sd a0, 0(t0)
        ENTER   S
        la      s7, 2f
        jr      t0
2:      CHECK   62, s8, CAUSE_FETCH_PAGE
        j       2f
1:      slli    t0, t0, 9
        TRAPS 60, S, CAUSE_LOAD_PAGE, t0, ld a0, 0(t0)
2:
        /* A device through a translation, and misaligned: refused */
        li      t0, FINISHER
        ENTER   S
        lw      a0, 0(t0)
        LEAVE   63
        addi    s3, t0, 2
        TRAPS 64, S, CAUSE_LOAD_ACCESS, s3, lw a0, 0(s3)

        /* Once more, with four levels */
        bnez    s11, without
        li      s11, 1
        ENTRY   level3, 0, level2, V
        li      s6, MODE_SV48
        slli    s6, s6, 60
        la      t0, level3
        srli    t0, t0, 12
        or      s6, s6, t0
        csrw    satp, s6
        sfence.vma
        j       both
without:
        /* A and D by the software, where the hardware may not set them */
        li      t0, 1
        slli    t0, t0, 61
        csrc    0x30a, t0
        MAP     page1, V | R | W
        TRAPS 70, S, CAUSE_LOAD_PAGE, s0, ld a0, 0(s0)
        MAP     page1, V | R | W | A
        WORKS 71, S, ld a0, 0(s0)
        TRAPS 72, S, CAUSE_STORE_PAGE, s0, sd a0, 0(s0)
        FLAGS   a0
        CHECK   73, a0, V | R | W | A

        /* Zicboz: zeroes its block, needs a right to store, and permission */
        MAP     page1, V | R | W | A | D
        la      s1, page1
        li      t0, -1
        sd      t0, 64(s1)
        sd      t0, 120(s1)
        sd      t0, 128(s1)
        addi    s3, s0, 100
        ENTER   S
        EXPECT  80, CAUSE_ILLEGAL, CBO ZERO, s3
        li      t0, 0xf0
        csrs    0x30a, t0
        WORKS 81, S, CBO ZERO, s3
        ld      a0, 64(s1)
        CHECK   81, a0, 0
        ld      a0, 120(s1)
        CHECK   81, a0, 0
        ld      a0, 128(s1)
        CHECK   81, a0, -1
        WORKS 82, S, CBO CLEAN, s3
        WORKS 83, S, CBO FLUSH, s3
        WORKS 84, S, CBO INVAL, s3
        MAP     page1, V | R | A | D
        TRAPS 85, S, CAUSE_STORE_PAGE, s3, CBO ZERO, s3
        WORKS 86, S, CBO CLEAN, s3
        MAP     page1, 0
        TRAPS 87, S, CAUSE_STORE_PAGE, s3, CBO CLEAN, s3
END
        .data
        .balign 4096
level3: .space  4096
level2: .space  4096
level1: .space  4096
level0: .space  4096
page1:  .space  4096
page2:  .space  4096
page3:  .half   0x04d0          /* li a0, 77, the second half */
        .half   0x8082
        .space  4092
