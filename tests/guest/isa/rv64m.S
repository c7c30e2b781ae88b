/* SPDX-License-Identifier: GPL-2.0-or-later */
/* M: products, and the divisions that have no quotient. */
#include "isa.h"

.macro RR num, op, a, b, want
        li      a0, \a
        li      a1, \b
        \op     a2, a0, a1
        CHECK   \num, a2, \want
        \op     a0, a0, a1
        CHECK   \num, a0, \want
.endm
#define MIN64 -0x8000000000000000

BEGIN
        RR 1, mul, 7, -3, -21
        RR 2, mul, 0x123456789abcdef, 0xfedcba987654321, 0x22236d88fe5618cf
        RR 3, mulh, MIN64, MIN64, 0x4000000000000000
        RR 4, mulh, -1, 1, -1
        RR 5, mulh, -1, -1, 0
        RR 6, mulhu, -1, -1, -2
        RR 7, mulhu, MIN64, 2, 1
        RR 8, mulhsu, -1, -1, -1
        RR 9, mulhsu, 1, -1, 0
        RR 10, mulhsu, MIN64, -1, MIN64
        RR 11, mulw, 0x10000, 0x10000, 0
        RR 12, mulw, 0x7fffffff, 2, -2
        RR 13, mulw, 0x100000003, 0x200000005, 15
        RR 20, div, 7, -2, -3
        RR 21, div, -7, 2, -3
        RR 22, div, 5, 0, -1
        RR 23, div, MIN64, -1, MIN64
        RR 24, divu, -1, 2, 0x7fffffffffffffff
        RR 25, divu, 5, 0, -1
        RR 26, divu, MIN64, -1, 0
        RR 27, rem, 7, -2, 1
        RR 28, rem, -7, 2, -1
        RR 29, rem, -7, 0, -7
        RR 30, rem, MIN64, -1, 0
        RR 31, remu, -1, 10, 5
        RR 32, remu, MIN64, 0, MIN64
        RR 33, remu, 3, -1, 3
        RR 40, divw, 0x80000000, -1, -0x80000000
        RR 41, divw, 0x100000007, 2, 3
        RR 42, divw, 7, 0x100000000, -1
        RR 43, divuw, -1, 1, -1
        RR 44, divuw, -8, 2, 0x7ffffffc
        RR 45, divuw, 5, 0, -1
        RR 46, remw, 0x80000000, -1, 0
        RR 47, remw, -7, 2, -1
        RR 48, remw, 0x1ffffffff, 0, -1
        RR 49, remuw, -1, 10, 5
        RR 50, remuw, 0x80000000, 0, -0x80000000
END
