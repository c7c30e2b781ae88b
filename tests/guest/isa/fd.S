/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * F and D around the arithmetic (which test-riscv-fpu covers): each operation
 * reaches the right one, boxing, FS, rounding modes, flags.
 */
#include "isa.h"

#define S(x) 0xffffffff00000000 | x
/* Operands and result are bit patterns; the flags are checked too. */
.macro FP2 num, op, mv, mx, a, b, want, flags
        li      a0, \a
        li      a1, \b
        csrw    fflags, x0
        \mv     fa0, a0
        \mv     fa1, a1
        \op     fa2, fa0, fa1
        \mx     a2, fa2
        csrr    a3, fflags
        CHECK   \num, a2, \want
        CHECK   \num, a3, \flags
.endm
.macro D2 num, op, a, b, want, flags=0
        FP2 \num, \op, fmv.d.x, fmv.x.d, \a, \b, \want, \flags
.endm
.macro S2 num, op, a, b, want, flags=0
        FP2 \num, \op, fmv.w.x, fmv.x.w, \a, \b, \want, \flags
        fmv.x.d a2, fa2         /* boxed */
        srai    a2, a2, 32
        CHECK   \num, a2, -1
.endm
.macro FP3 num, op, mv, mx, a, b, c, want
        li      a0, \a
        li      a1, \b
        li      a2, \c
        \mv     fa0, a0
        \mv     fa1, a1
        \mv     fa2, a2
        \op     fa3, fa0, fa1, fa2
        \mx     a3, fa3
        CHECK   \num, a3, \want
.endm
.macro COMPARE num, op, mv, a, b, want, flags=0
        li      a0, \a
        li      a1, \b
        csrw    fflags, x0
        \mv     fa0, a0
        \mv     fa1, a1
        \op     a2, fa0, fa1
        csrr    a3, fflags
        CHECK   \num, a2, \want
        CHECK   \num, a3, \flags
.endm
.macro TO_INT num, op, mv, a, want, flags, rm
        li      a0, \a
        csrw    fflags, x0
        \mv     fa0, a0
        \op     a2, fa0, \rm
        csrr    a3, fflags
        CHECK   \num, a2, \want
        CHECK   \num, a3, \flags
.endm
.macro FROM_INT num, op, mx, a, want
        li      a0, \a
        \op     fa0, a0
        \mx     a2, fa0
        CHECK   \num, a2, \want
.endm

#define D1 0x3ff0000000000000
#define D2_ 0x4000000000000000
#define D3 0x4008000000000000
#define D6 0x4018000000000000
#define DNAN 0x7ff8000000000000
#define S1 0x3f800000
#define S2_ 0x40000000
#define S3 0x40400000
#define S6 0x40c00000

BEGIN
        /* Off: illegal, CSRs too. Loads make it dirty, stores do not. */
        li      t0, MSTATUS_FS
        csrc    mstatus, t0
        EXPECT  1, CAUSE_ILLEGAL, fadd.d fa0, fa0, fa0
        la      s0, data
        EXPECT  2, CAUSE_ILLEGAL, fld fa0, 0(s0)
        EXPECT  3, CAUSE_ILLEGAL, fsw fa0, 0(s0)
        EXPECT  4, CAUSE_ILLEGAL, csrr a0, fcsr
        EXPECT  5, CAUSE_ILLEGAL, fmv.x.d a0, fa0
        EXPECT  6, CAUSE_ILLEGAL, csrwi frm, 0
        csrr    a0, mstatus
        li      gp, 7
        bltz    a0, fail
        li      t0, 0x2000
        csrs    mstatus, t0
        fsd     fa0, 0(s0)
        csrr    a0, mstatus
        and     a0, a0, t0
        li      gp, 8
        beqz    a0, fail
        li      t0, MSTATUS_FS
        csrc    mstatus, t0
        li      t0, 0x2000
        csrs    mstatus, t0
        fld     fa0, 0(s0)
        li      t0, MSTATUS_FS
        csrr    a0, mstatus
        li      gp, 9
        bgez    a0, fail
        and     a0, a0, t0
        CHECK_REG 10, a0, t0
        li      t0, 0x4000
        csrc    mstatus, t0
        fmv.d.x fa0, x0
        csrr    a0, mstatus
        li      gp, 11
        bgez    a0, fail

        /* fcsr is fflags and frm */
        li      a0, -1
        csrw    fcsr, a0
        csrr    a0, fcsr
        CHECK   12, a0, 0xff
        csrr    a0, frm
        CHECK   13, a0, 7
        EXPECT  14, CAUSE_ILLEGAL, fadd.d fa0, fa0, fa0 /* reserved frm */
        fadd.d  fa0, fa0, fa0, rne      /* does not look at it */
        csrwi   frm, 5
        EXPECT  15, CAUSE_ILLEGAL, fcvt.w.d a0, fa0
        csrw    fcsr, x0
        /* reserved rm in the instruction: fadd.d fa0, fa0, fa0 with 5 */
        li      a0, 0x02a55553
        EXPECT_TVAL 16, CAUSE_ILLEGAL, a0, .word 0x02a55553

        D2 20, fadd.d, D1, D2_, D3
        D2 21, fsub.d, D3, D2_, D1
        D2 22, fmul.d, D3, D2_, D6
        D2 23, fdiv.d, D6, D2_, D3
        D2 24, fdiv.d, D1, 0, 0x7ff0000000000000, 8
        D2 25, fdiv.d, D1, D3, 0x3fd5555555555555, 1
        D2 26, fmin.d, D1, D2_, D1
        D2 27, fmax.d, D1, D2_, D2_
        D2 28, fsgnj.d, D1, 0x8000000000000000, 0xbff0000000000000
        D2 29, fsgnjn.d, D1, 0, 0xbff0000000000000
        D2 30, fsgnjx.d, 0xbff0000000000000, 0x8000000000000000, D1
        D2 31, fadd.d, D1, 0x7ff0000000000001, DNAN, 16
        S2 40, fadd.s, S1, S2_, S3
        S2 41, fsub.s, S3, S2_, S1
        S2 42, fmul.s, S3, S2_, S6
        S2 43, fdiv.s, S6, S2_, S3
        S2 44, fmin.s, S1, S2_, S1
        S2 45, fmax.s, S1, S2_, S2_
        S2 46, fsgnj.s, S1, 0x80000000, -0x40800000
        S2 47, fsgnjn.s, S1, 0, -0x40800000
        S2 48, fsgnjx.s, S1, 0x80000000, -0x40800000
        FP3 50, fmadd.d, fmv.d.x, fmv.x.d, D2_, D2_, D2_, D6
        FP3 51, fmsub.d, fmv.d.x, fmv.x.d, D2_, D2_, D1, D3
        FP3 52, fnmsub.d, fmv.d.x, fmv.x.d, D2_, D2_, D6, D2_
        FP3 53, fnmadd.d, fmv.d.x, fmv.x.d, D1, D1, D1, 0xc000000000000000
        FP3 54, fmadd.s, fmv.w.x, fmv.x.w, S2_, S2_, S2_, S6
        FP3 55, fmsub.s, fmv.w.x, fmv.x.w, S2_, S2_, S1, S3
        FP3 56, fnmsub.s, fmv.w.x, fmv.x.w, S2_, S2_, S6, S2_
        FP3 57, fnmadd.s, fmv.w.x, fmv.x.w, S1, S1, S1, -0x40000000
        li      a0, D6
        fmv.d.x fa0, a0
        fmul.d  fa0, fa0, fa0
        fsqrt.d fa0, fa0
        fmv.x.d a0, fa0
        CHECK   58, a0, D6
        li      a0, S6
        fmv.w.x fa0, a0
        fmul.s  fa0, fa0, fa0
        fsqrt.s fa0, fa0
        fmv.x.w a0, fa0
        CHECK   59, a0, S6

        COMPARE 60, feq.d, fmv.d.x, D1, D1, 1
        COMPARE 61, feq.d, fmv.d.x, DNAN, D1, 0
        COMPARE 62, flt.d, fmv.d.x, D1, D2_, 1
        COMPARE 63, flt.d, fmv.d.x, DNAN, D2_, 0, 16
        COMPARE 64, fle.d, fmv.d.x, D2_, D2_, 1
        COMPARE 65, feq.s, fmv.w.x, S1, S1, 1
        COMPARE 66, flt.s, fmv.w.x, S2_, S1, 0
        COMPARE 67, fle.s, fmv.w.x, S1, S1, 1
        fclass.d a0, fa0
        li      a0, DNAN
        fmv.d.x fa0, a0
        fclass.d a0, fa0
        CHECK   68, a0, 512
        fclass.s a0, fa0        /* not boxed: NaN */
        CHECK   69, a0, 512

        TO_INT 70, fcvt.w.d, fmv.d.x, 0xc00c000000000000, -3, 1, rtz
        TO_INT 71, fcvt.w.d, fmv.d.x, 0xc00c000000000000, -4, 1, rdn
        TO_INT 72, fcvt.l.d, fmv.d.x, 0xc00c000000000000, -4, 1, rne
        TO_INT 73, fcvt.wu.d, fmv.d.x, 0xc00c000000000000, 0, 16, rne
        TO_INT 74, fcvt.lu.d, fmv.d.x, DNAN, -1, 16, rne
        TO_INT 75, fcvt.wu.d, fmv.d.x, 0x41efffffffe00000, -1, 0, rne
        TO_INT 76, fcvt.w.s, fmv.w.x, S6, 6, 0, rne
        TO_INT 77, fcvt.wu.s, fmv.w.x, S6, 6, 0, rne
        TO_INT 78, fcvt.l.s, fmv.w.x, 0xff000000, -0x8000000000000000, 16, rne
        TO_INT 79, fcvt.lu.s, fmv.w.x, S3, 3, 0, rne
        FROM_INT 80, fcvt.d.w, fmv.x.d, -1, 0xbff0000000000000
        FROM_INT 81, fcvt.d.wu, fmv.x.d, -1, 0x41efffffffe00000
        FROM_INT 82, fcvt.d.l, fmv.x.d, 6, D6
        FROM_INT 83, fcvt.d.lu, fmv.x.d, -1, 0x43f0000000000000
        FROM_INT 84, fcvt.s.w, fmv.x.w, -1, -0x40800000
        FROM_INT 85, fcvt.s.wu, fmv.x.w, -1, 0x4f800000
        FROM_INT 86, fcvt.s.l, fmv.x.w, 3, S3
        FROM_INT 87, fcvt.s.lu, fmv.x.w, 6, S6
        li      a0, S6
        fmv.w.x fa0, a0
        fcvt.d.s fa1, fa0
        fmv.x.d a0, fa1
        CHECK   88, a0, D6
        fcvt.s.d fa0, fa1
        fmv.x.d a0, fa0
        CHECK   89, a0, S(S6)
        li      a0, S6          /* not boxed: taken for a NaN */
        fmv.d.x fa0, a0
        fadd.s  fa0, fa0, fa0
        fmv.x.w a0, fa0
        CHECK   90, a0, 0x7fc00000
        fmv.x.w a0, fa1         /* moves do not look */
        CHECK   91, a0, 0
        li      a0, S6
        sw      a0, 0(s0)
        flw     fa0, 0(s0)
        fmv.x.d a0, fa0
        CHECK   92, a0, S(S6)
        fsw     fa0, 4(s0)
        lw      a0, 4(s0)
        CHECK   93, a0, S6
        csrwi   frm, 2          /* dynamic: down */
        li      a0, 0xc00c000000000000
        fmv.d.x fa0, a0
        fcvt.l.d a0, fa0, dyn
        CHECK   94, a0, -4
END
        .data
        .balign 8
data:   .dword  0
