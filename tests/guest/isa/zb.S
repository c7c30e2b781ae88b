/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zba, Zbb, Zbs. */
#include "isa.h"

.macro RR num, op, a, b, want
        li      a0, \a
        li      a1, \b
        \op     a2, a0, a1
        CHECK   \num, a2, \want
        \op     a0, a0, a1
        CHECK   \num, a0, \want
.endm
.macro RI num, op, a, imm, want
        li      a0, \a
        \op     a0, a0, \imm
        CHECK   \num, a0, \want
.endm
.macro R num, op, a, want
        li      a0, \a
        \op     a2, a0
        CHECK   \num, a2, \want
        \op     a0, a0
        CHECK   \num, a0, \want
.endm

BEGIN
        RR 1, add.uw, -1, 1, 0x100000000
        RR 2, sh1add, 3, 100, 106
        RR 3, sh2add, -1, 100, 96
        RR 4, sh3add, 3, 100, 124
        RR 5, sh1add.uw, -1, 2, 0x200000000
        RR 6, sh2add.uw, 0x100000001, 4, 8
        RR 7, sh3add.uw, -1, 8, 0x800000000
        RI 8, slli.uw, -1, 4, 0xffffffff0
        RI 9, slli.uw, -1, 63, -0x8000000000000000

        RR 20, andn, 0xff, 0xf, 0xf0
        RR 21, orn, 0xf, -1, 0xf
        RR 22, xnor, 0xf0, 0xff, -0x10
        R 23, clz, 1, 63
        R 24, clz, 0, 64
        R 25, clz, -1, 0
        R 26, clzw, 1, 31
        R 27, clzw, 0xffffffff00000000, 32
        R 28, ctz, 0x8000000000000000, 63
        R 29, ctz, 0, 64
        R 30, ctzw, 0xf00000000, 32
        R 31, ctzw, 0x80000000, 31
        R 32, cpop, -1, 64
        R 33, cpop, 0x5555, 8
        R 34, cpopw, -1, 32
        RR 35, max, -1, 1, 1
        RR 36, maxu, -1, 1, -1
        RR 37, min, -1, 1, -1
        RR 38, minu, -1, 1, 1
        R 39, sext.b, 0x180, -0x80
        R 40, sext.h, 0x18000, -0x8000
        R 41, zext.h, -1, 0xffff
        RR 42, rol, 0x8000000000000001, 1, 3
        RR 43, rol, 5, 64, 5
        RR 44, ror, 1, 1, -0x8000000000000000
        RR 45, rolw, 0x80000001, 1, 3
        RR 46, rolw, 0x40000000, 1, -0x80000000
        RR 47, rorw, 1, 1, -0x80000000
        RI 48, rori, 0x10, 5, -0x8000000000000000
        RI 49, roriw, 0x10, 5, -0x80000000
        R 50, orc.b, 0x0100000010000200, 0xff000000ff00ff00
        R 51, orc.b, 0x8001, 0xffff
        R 52, rev8, 0x0102030405060708, 0x0807060504030201

        RR 60, bclr, -1, 63, 0x7fffffffffffffff
        RR 61, bclr, 3, 64, 2
        RI 62, bclri, -1, 0, -2
        RR 63, bext, -0x8000000000000000, 63, 1
        RI 64, bexti, 4, 2, 1
        RI 65, bexti, 4, 3, 0
        RR 66, binv, 1, 0, 0
        RI 67, binvi, 0, 63, -0x8000000000000000
        RR 68, bset, 0, 63, -0x8000000000000000
        RI 69, bseti, 0, 40, 0x10000000000
END
