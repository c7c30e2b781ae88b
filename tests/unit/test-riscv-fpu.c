/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The F and D arithmetic: directed cases out of the RISC-V unprivileged
 * specification and IEEE 754, then random operands against an oracle that
 * shares nothing with it (riscv-fpu-oracle.h). Every operation is tested with
 * NX clear and with NX accrued, as the two go different ways, and in its exact
 * form.
 */
#include <glib.h>

#include "riscv-fpu-oracle.h"

static const char *const op_names[OP_MAX] = {
    "add.s", "sub.s", "mul.s", "div.s", "sqrt.s", "madd.s", "msub.s",
    "nmsub.s", "nmadd.s", "add.d", "sub.d", "mul.d", "div.d", "sqrt.d",
    "madd.d", "msub.d", "nmsub.d", "nmadd.d", "cvt.w.s", "cvt.wu.s",
    "cvt.l.s", "cvt.lu.s", "cvt.w.d", "cvt.wu.d", "cvt.l.d", "cvt.lu.d",
    "cvt.s.w", "cvt.s.wu", "cvt.s.l", "cvt.s.lu", "cvt.d.w", "cvt.d.wu",
    "cvt.d.l", "cvt.d.lu", "cvt.s.d", "cvt.d.s",
};

/* The functions under test, as the interpreter calls them. */
static uint64_t run_op(Op op, uint64_t a, uint64_t b, uint64_t c, FpuRound rm,
                       uint32_t *f)
{
    uint32_t as = (uint32_t)a, bs = (uint32_t)b, cs = (uint32_t)c;

    switch (op) {
    case ADD_S: return fpu_add_s(as, bs, rm, f);
    case SUB_S: return fpu_sub_s(as, bs, rm, f);
    case MUL_S: return fpu_mul_s(as, bs, rm, f);
    case DIV_S: return fpu_div_s(as, bs, rm, f);
    case SQRT_S: return fpu_sqrt_s(as, rm, f);
    case MADD_S: return fpu_madd_s(as, bs, cs, rm, f);
    case MSUB_S: return fpu_msub_s(as, bs, cs, rm, f);
    case NMSUB_S: return fpu_nmsub_s(as, bs, cs, rm, f);
    case NMADD_S: return fpu_nmadd_s(as, bs, cs, rm, f);
    case ADD_D: return fpu_add_d(a, b, rm, f);
    case SUB_D: return fpu_sub_d(a, b, rm, f);
    case MUL_D: return fpu_mul_d(a, b, rm, f);
    case DIV_D: return fpu_div_d(a, b, rm, f);
    case SQRT_D: return fpu_sqrt_d(a, rm, f);
    case MADD_D: return fpu_madd_d(a, b, c, rm, f);
    case MSUB_D: return fpu_msub_d(a, b, c, rm, f);
    case NMSUB_D: return fpu_nmsub_d(a, b, c, rm, f);
    case NMADD_D: return fpu_nmadd_d(a, b, c, rm, f);
    case S_TO_W: return fpu_s_to_w(as, rm, f);
    case S_TO_WU: return fpu_s_to_wu(as, rm, f);
    case S_TO_L: return fpu_s_to_l(as, rm, f);
    case S_TO_LU: return fpu_s_to_lu(as, rm, f);
    case D_TO_W: return fpu_d_to_w(a, rm, f);
    case D_TO_WU: return fpu_d_to_wu(a, rm, f);
    case D_TO_L: return fpu_d_to_l(a, rm, f);
    case D_TO_LU: return fpu_d_to_lu(a, rm, f);
    case W_TO_S: return fpu_w_to_s(a, rm, f);
    case WU_TO_S: return fpu_wu_to_s(a, rm, f);
    case L_TO_S: return fpu_l_to_s(a, rm, f);
    case LU_TO_S: return fpu_lu_to_s(a, rm, f);
    case W_TO_D: return fpu_w_to_d(a);
    case WU_TO_D: return fpu_wu_to_d(a);
    case L_TO_D: return fpu_l_to_d(a, rm, f);
    case LU_TO_D: return fpu_lu_to_d(a, rm, f);
    case D_TO_S: return fpu_d_to_s(a, rm, f);
    case S_TO_D: return fpu_s_to_d(as, f);
    case OP_MAX: break;
    }
    g_assert_not_reached();
}

/* The same in integer arithmetic only. */
static uint64_t run_exact(Op op, uint64_t a, uint64_t b, uint64_t c,
                          FpuRound rm, uint32_t *f)
{
    uint32_t as = (uint32_t)a, bs = (uint32_t)b, cs = (uint32_t)c;

    switch (op) {
    case ADD_S: return fpu_add_s_exact(as, bs, rm, f);
    case SUB_S: return fpu_add_s_exact(as, bs ^ FPU_SIGN_S, rm, f);
    case MUL_S: return fpu_mul_s_exact(as, bs, rm, f);
    case DIV_S: return fpu_div_s_exact(as, bs, rm, f);
    case SQRT_S: return fpu_sqrt_s_exact(as, rm, f);
    case MADD_S: return fpu_fma_s_exact(as, bs, cs, rm, f);
    case ADD_D: return fpu_add_d_exact(a, b, rm, f);
    case SUB_D: return fpu_add_d_exact(a, b ^ FPU_SIGN_D, rm, f);
    case MUL_D: return fpu_mul_d_exact(a, b, rm, f);
    case DIV_D: return fpu_div_d_exact(a, b, rm, f);
    case SQRT_D: return fpu_sqrt_d_exact(a, rm, f);
    case MADD_D: return fpu_fma_d_exact(a, b, c, rm, f);
    case S_TO_W: return fpu_s_to_w_exact(as, rm, f);
    case S_TO_WU: return fpu_s_to_wu_exact(as, rm, f);
    case S_TO_L: return fpu_s_to_l_exact(as, rm, f);
    case S_TO_LU: return fpu_s_to_lu_exact(as, rm, f);
    case D_TO_W: return fpu_d_to_w_exact(a, rm, f);
    case D_TO_WU: return fpu_d_to_wu_exact(a, rm, f);
    case D_TO_L: return fpu_d_to_l_exact(a, rm, f);
    case D_TO_LU: return fpu_d_to_lu_exact(a, rm, f);
    case L_TO_S: return fpu_l_to_s_exact((int64_t)a, rm, f);
    case LU_TO_S: return fpu_lu_to_s_exact(a, rm, f);
    case L_TO_D: return fpu_l_to_d_exact((int64_t)a, rm, f);
    case LU_TO_D: return fpu_lu_to_d_exact(a, rm, f);
    case D_TO_S: return fpu_d_to_s_exact(a, rm, f);
    case S_TO_D: return fpu_s_to_d_exact(as, f);
    default: return run_op(op, a, b, c, rm, f);
    }
}

/* Directed cases. */

typedef struct Case {
    Op op;
    FpuRound rm;
    uint64_t a, b, c;
    uint64_t want;
    uint32_t flags;
} Case;

static const Case cases[] = {
    /* IEEE 754-2019 6.3: signs of exact zero sums. */
    {ADD_D, FPU_RNE, ONE_D, N(ONE_D), 0, 0, 0},
    {ADD_D, FPU_RDN, ONE_D, N(ONE_D), 0, N(0), 0},
    {ADD_D, FPU_RDN, 0, 0, 0, 0, 0},
    {ADD_D, FPU_RNE, N(0), N(0), 0, N(0), 0},
    {SUB_D, FPU_RMM, N(0), 0, 0, N(0), 0},
    {ADD_D, FPU_RDN, N(0), 0, 0, N(0), 0},
    /* 7.2: invalid operations; the canonical NaN of RISC-V. */
    {ADD_D, FPU_RNE, INF_D, N(INF_D), 0, FPU_NAN_D, NV},
    {SUB_D, FPU_RTZ, INF_D, INF_D, 0, FPU_NAN_D, NV},
    {ADD_D, FPU_RNE, QNAN_D, ONE_D, 0, FPU_NAN_D, 0},
    {ADD_D, FPU_RNE, QNAN_D, SNAN_D, 0, FPU_NAN_D, NV},
    {MUL_D, FPU_RNE, INF_D, N(0), 0, FPU_NAN_D, NV},
    {DIV_D, FPU_RNE, 0, N(0), 0, FPU_NAN_D, NV},
    {DIV_D, FPU_RNE, INF_D, INF_D, 0, FPU_NAN_D, NV},
    {SQRT_D, FPU_RNE, N(ONE_D), 0, 0, FPU_NAN_D, NV},
    {SQRT_D, FPU_RNE, N(INF_D), 0, 0, FPU_NAN_D, NV},
    {SQRT_D, FPU_RNE, N(0), 0, 0, N(0), 0},
    {SQRT_D, FPU_RNE, SNAN_D, 0, 0, FPU_NAN_D, NV},
    {SQRT_D, FPU_RUP, 1, 0, 0, UINT64_C(0x1e60000000000000), 0},
    {SQRT_S, FPU_RNE, 0x40000000, 0, 0, 0x3fb504f3, NX},
    /* 7.3: division by zero, of finite numbers only. */
    {DIV_D, FPU_RNE, ONE_D, N(0), 0, N(INF_D), DZ},
    {DIV_D, FPU_RNE, INF_D, 0, 0, INF_D, 0},
    {DIV_D, FPU_RNE, QNAN_D, 0, 0, FPU_NAN_D, 0},
    {DIV_D, FPU_RNE, N(ONE_D), INF_D, 0, N(0), 0},
    {DIV_S, FPU_RNE, ONE_S, 0x40400000, 0, 0x3eaaaaab, NX},
    {DIV_S, FPU_RTZ, ONE_S, 0x40400000, 0, 0x3eaaaaaa, NX},
    /* 7.4: overflow in each mode. */
    {ADD_D, FPU_RNE, MAX_D, MAX_D, 0, INF_D, OF | NX},
    {ADD_D, FPU_RMM, MAX_D, MAX_D, 0, INF_D, OF | NX},
    {ADD_D, FPU_RTZ, MAX_D, MAX_D, 0, MAX_D, OF | NX},
    {ADD_D, FPU_RDN, MAX_D, MAX_D, 0, MAX_D, OF | NX},
    {ADD_D, FPU_RUP, MAX_D, MAX_D, 0, INF_D, OF | NX},
    {MUL_D, FPU_RDN, N(MAX_D), TWO_D, 0, N(INF_D), OF | NX},
    {MUL_D, FPU_RUP, N(MAX_D), TWO_D, 0, N(MAX_D), OF | NX},
    {MUL_S, FPU_RTZ, MAX_S, MAX_S, 0, MAX_S, OF | NX},
    /* Half the last place of the greatest number: a tie. */
    {ADD_D, FPU_RNE, MAX_D, UINT64_C(0x7c90000000000000), 0, INF_D, OF | NX},
    {ADD_D, FPU_RNE, MAX_D, UINT64_C(0x7c8fffffffffffff), 0, MAX_D, NX},
    {ADD_D, FPU_RTZ, MAX_D, UINT64_C(0x7c90000000000000), 0, MAX_D, NX},
    /* Ties: to even and away. */
    {ADD_D, FPU_RNE, ONE_D, UINT64_C(0x3ca0000000000000), 0, ONE_D, NX},
    {ADD_D, FPU_RMM, ONE_D, UINT64_C(0x3ca0000000000000), 0, ONE_D + 1, NX},
    {ADD_D, FPU_RNE, ONE_D + 1, UINT64_C(0x3ca0000000000000), 0, ONE_D + 2,
     NX},
    {ADD_D, FPU_RMM, N(ONE_D), N(UINT64_C(0x3ca0000000000000)), 0,
     N(ONE_D + 1), NX},
    {ADD_D, FPU_RUP, ONE_D, 1, 0, ONE_D + 1, NX},
    {ADD_D, FPU_RDN, ONE_D, N(1), 0, ONE_D - 1, NX},
    /*
     * 7.5 with tininess after rounding. What has 53 digits below the smallest
     * normal number is tiny even where it is rounded to it for lack of places;
     * what more than 53 digits round to it is not.
     */
    {MUL_D, FPU_RNE, UINT64_C(0x3fefffffffffffff), MIN_NORMAL_D, 0,
     MIN_NORMAL_D, UF | NX},
    {MUL_D, FPU_RUP, UINT64_C(0x3fefffffffffffff), MIN_NORMAL_D, 0,
     MIN_NORMAL_D, UF | NX},
    {MUL_D, FPU_RNE, UINT64_C(0x3feffffffffffffe), MIN_NORMAL_D + 1, 0,
     MIN_NORMAL_D, NX},
    {MUL_D, FPU_RTZ, UINT64_C(0x3feffffffffffffe), MIN_NORMAL_D + 1, 0,
     MIN_NORMAL_D - 1, UF | NX},
    {MUL_D, FPU_RTZ, UINT64_C(0x3fefffffffffffff), MIN_NORMAL_D + 1, 0,
     MIN_NORMAL_D, NX},
    {MUL_D, FPU_RNE, 1, UINT64_C(0x3fe0000000000000), 0, 0, UF | NX},
    {MUL_D, FPU_RMM, 1, UINT64_C(0x3fe0000000000000), 0, 1, UF | NX},
    {MUL_D, FPU_RUP, 1, 1, 0, 1, UF | NX},
    {MUL_D, FPU_RDN, 1, N(1), 0, N(1), UF | NX},
    {MUL_D, FPU_RNE, 4, UINT64_C(0x3fe0000000000000), 0, 2, 0},
    {ADD_D, FPU_RNE, 1, 2, 0, 3, 0},
    {SUB_D, FPU_RNE, MIN_NORMAL_D, 1, 0, MIN_NORMAL_D - 1, 0},
    {MUL_D, FPU_RTZ, 1, N(0), 0, N(0), 0},
    /* F, fused multiply-add: infinity times zero is invalid with a qNaN. */
    {MADD_D, FPU_RNE, INF_D, 0, QNAN_D, FPU_NAN_D, NV},
    {MADD_D, FPU_RNE, 0, N(INF_D), QNAN_D, FPU_NAN_D, NV},
    {MADD_S, FPU_RNE, INF_S, 0, FPU_NAN_S, FPU_NAN_S, NV},
    {MADD_D, FPU_RNE, INF_D, QNAN_D, ONE_D, FPU_NAN_D, 0},
    {MADD_D, FPU_RNE, ONE_D, ONE_D, SNAN_D, FPU_NAN_D, NV},
    {MADD_D, FPU_RNE, INF_D, ONE_D, N(INF_D), FPU_NAN_D, NV},
    {MSUB_D, FPU_RNE, INF_D, ONE_D, INF_D, FPU_NAN_D, NV},
    {MADD_D, FPU_RNE, MAX_D, TWO_D, N(INF_D), N(INF_D), 0},
    {MADD_D, FPU_RNE, MAX_D, TWO_D, N(MAX_D), MAX_D, 0},
    /* One rounding: (1 + 2^-52)^2 - (1 + 2^-51) is 2^-104. */
    {MSUB_D, FPU_RNE, ONE_D + 1, ONE_D + 1, ONE_D + 2,
     UINT64_C(0x3970000000000000), 0},
    {MADD_D, FPU_RDN, ONE_D, ONE_D, N(ONE_D), N(0), 0},
    {MADD_D, FPU_RNE, N(0), ONE_D, 0, 0, 0},
    {MADD_D, FPU_RNE, N(0), ONE_D, N(0), N(0), 0},
    /* FNMADD is -(a*b)-c, FNMSUB is -(a*b)+c: seen in the signs of zero. */
    {NMADD_D, FPU_RNE, ONE_D, ONE_D, ONE_D, N(TWO_D), 0},
    {NMSUB_D, FPU_RNE, ONE_D, ONE_D, ONE_D, 0, 0},
    {NMADD_D, FPU_RNE, ONE_D, ONE_D, N(ONE_D), 0, 0},
    {NMADD_D, FPU_RNE, 0, ONE_D, 0, N(0), 0},
    {NMSUB_D, FPU_RNE, 0, ONE_D, 0, 0, 0},
    {NMSUB_D, FPU_RNE, 0, ONE_D, N(0), N(0), 0},
    /* F and D, table of the domains of float-to-integer conversions. */
    {D_TO_W, FPU_RTZ, UINT64_C(0xc1e0000000000000), 0, 0,
     UINT64_C(0xffffffff80000000), 0},
    {D_TO_W, FPU_RTZ, UINT64_C(0xc1e00000001fffff), 0, 0,
     UINT64_C(0xffffffff80000000), NX},
    {D_TO_W, FPU_RTZ, UINT64_C(0xc1e0000000200000), 0, 0,
     UINT64_C(0xffffffff80000000), NV},
    {D_TO_W, FPU_RDN, UINT64_C(0xc1e0000000000001), 0, 0,
     UINT64_C(0xffffffff80000000), NV},
    {D_TO_W, FPU_RTZ, UINT64_C(0x41dfffffffffffff), 0, 0, 0x7fffffff, NX},
    {D_TO_W, FPU_RNE, UINT64_C(0x41dfffffffffffff), 0, 0, 0x7fffffff, NV},
    {D_TO_W, FPU_RTZ, INF_D, 0, 0, 0x7fffffff, NV},
    {D_TO_W, FPU_RTZ, N(INF_D), 0, 0, UINT64_C(0xffffffff80000000), NV},
    {D_TO_W, FPU_RTZ, QNAN_D, 0, 0, 0x7fffffff, NV},
    {D_TO_WU, FPU_RTZ, QNAN_D, 0, 0, UINT64_MAX, NV},
    {D_TO_WU, FPU_RTZ, N(INF_D), 0, 0, 0, NV},
    {D_TO_WU, FPU_RTZ, N(ONE_D), 0, 0, 0, NV},
    {D_TO_WU, FPU_RTZ, N(ONE_D - 1), 0, 0, 0, NX},
    {D_TO_WU, FPU_RNE, N(ONE_D - 1), 0, 0, 0, NV},
    {D_TO_WU, FPU_RNE, N(UINT64_C(0x3fe0000000000000)), 0, 0, 0, NX},
    {D_TO_WU, FPU_RMM, N(UINT64_C(0x3fe0000000000000)), 0, 0, 0, NV},
    {D_TO_WU, FPU_RTZ, N(0), 0, 0, 0, 0},
    {D_TO_WU, FPU_RTZ, UINT64_C(0x41e0000000000000), 0, 0,
     UINT64_C(0xffffffff80000000), 0},
    {D_TO_WU, FPU_RTZ, UINT64_C(0x41efffffffffffff), 0, 0, UINT64_MAX, NX},
    {D_TO_WU, FPU_RTZ, UINT64_C(0x41f0000000000000), 0, 0, UINT64_MAX, NV},
    {D_TO_L, FPU_RTZ, UINT64_C(0xc3e0000000000000), 0, 0, FPU_SIGN_D, 0},
    {D_TO_L, FPU_RTZ, UINT64_C(0x43e0000000000000), 0, 0, INT64_MAX, NV},
    {D_TO_L, FPU_RTZ, FPU_NAN_D, 0, 0, INT64_MAX, NV},
    {D_TO_LU, FPU_RTZ, FPU_NAN_D, 0, 0, UINT64_MAX, NV},
    {D_TO_LU, FPU_RTZ, UINT64_C(0x43e0000000000000), 0, 0, FPU_SIGN_D, 0},
    {D_TO_LU, FPU_RTZ, UINT64_C(0x43f0000000000000), 0, 0, UINT64_MAX, NV},
    {D_TO_L, FPU_RNE, UINT64_C(0x3ff8000000000000), 0, 0, 2, NX},
    {D_TO_L, FPU_RNE, UINT64_C(0x4004000000000000), 0, 0, 2, NX},
    {D_TO_L, FPU_RMM, UINT64_C(0x4004000000000000), 0, 0, 3, NX},
    {D_TO_L, FPU_RMM, N(UINT64_C(0x4004000000000000)), 0, 0, (uint64_t)-3, NX},
    {D_TO_L, FPU_RDN, N(1), 0, 0, UINT64_MAX, NX},
    {D_TO_L, FPU_RUP, 1, 0, 0, 1, NX},
    {S_TO_W, FPU_RTZ, SNAN_S, 0, 0, 0x7fffffff, NV},
    {S_TO_LU, FPU_RTZ, 0xbf800000u, 0, 0, 0, NV},
    /* From integers; the upper half of x is not looked at by the w forms. */
    {W_TO_S, FPU_RNE, UINT64_C(0x1234567800000001), 0, 0, ONE_S, 0},
    {W_TO_D, FPU_RNE, UINT64_C(0x00000000ffffffff), 0, 0, N(ONE_D), 0},
    {WU_TO_D, FPU_RNE, UINT64_MAX, 0, 0, UINT64_C(0x41efffffffe00000), 0},
    {WU_TO_S, FPU_RNE, UINT64_MAX, 0, 0, 0x4f800000, NX},
    {WU_TO_S, FPU_RTZ, UINT64_MAX, 0, 0, 0x4f7fffff, NX},
    {L_TO_D, FPU_RNE, FPU_SIGN_D, 0, 0, UINT64_C(0xc3e0000000000000), 0},
    {LU_TO_D, FPU_RNE, UINT64_MAX, 0, 0, UINT64_C(0x43f0000000000000), NX},
    {L_TO_D, FPU_RDN, 0, 0, 0, 0, 0},
    {L_TO_S, FPU_RMM, 0x1000001, 0, 0, 0x4b800001, NX},
    {L_TO_S, FPU_RNE, 0x1000001, 0, 0, 0x4b800000, NX},
    /* Between the precisions. */
    {D_TO_S, FPU_RNE, SNAN_D, 0, 0, FPU_NAN_S, NV},
    {D_TO_S, FPU_RNE, QNAN_D, 0, 0, FPU_NAN_S, 0},
    {D_TO_S, FPU_RNE, N(MAX_D), 0, 0, 0xff800000u, OF | NX},
    {D_TO_S, FPU_RNE, N(1), 0, 0, 0x80000000u, UF | NX},
    {D_TO_S, FPU_RNE, UINT64_C(0x380fffffffffffff), 0, 0, 0x00800000, NX},
    {D_TO_S, FPU_RNE, UINT64_C(0x380fffffe0000000), 0, 0, 0x00800000,
     UF | NX},
    {S_TO_D, FPU_RNE, SNAN_S, 0, 0, FPU_NAN_D, NV},
    {S_TO_D, FPU_RNE, 0xffc12345u, 0, 0, FPU_NAN_D, 0},
    {S_TO_D, FPU_RNE, 1, 0, 0, UINT64_C(0x36a0000000000000), 0},
    {S_TO_D, FPU_RNE, 0xff800000u, 0, 0, N(INF_D), 0},
};

static void check(Op op, FpuRound rm, uint64_t a, uint64_t b, uint64_t c,
                  uint64_t want, uint32_t want_flags)
{
    static const uint32_t before[] = {0, NX, NX | UF | OF | DZ | NV};
    uint64_t got;
    uint32_t flags;
    guint i;

    for (i = 0; i <= G_N_ELEMENTS(before); i++) {
        if (i < G_N_ELEMENTS(before)) {
            flags = before[i];
            got = run_op(op, a, b, c, rm, &flags);
            want_flags |= before[i];
        } else {
            flags = NX | UF | OF | DZ | NV;
            got = run_exact(op, a, b, c, rm, &flags);
        }
        if (G_UNLIKELY(got != want || flags != want_flags)) {
            g_error("%s rm %d of %016" G_GINT64_MODIFIER
                    "x %016" G_GINT64_MODIFIER "x %016" G_GINT64_MODIFIER
                    "x, way %u: %016" G_GINT64_MODIFIER
                    "x flags %02x, should be %016" G_GINT64_MODIFIER
                    "x flags %02x",
                    op_names[op], rm, a, b, c, i, got, flags, want,
                    want_flags);
        }
    }
}

/* check() adds up flags; this one asks the exact form for its own. */
static void check_exact(Op op, FpuRound rm, uint64_t a, uint64_t b, uint64_t c,
                        uint64_t want, uint32_t want_flags)
{
    uint32_t flags = 0;
    uint64_t got = run_exact(op, a, b, c, rm, &flags);

    g_assert_cmphex(got, ==, want);
    g_assert_cmphex(flags, ==, want_flags);
}

static void test_directed(void)
{
    guint i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *t = &cases[i];

        check(t->op, t->rm, t->a, t->b, t->c, t->want, t->flags);
        check_exact(t->op, t->rm, t->a, t->b, t->c, t->want, t->flags);
    }
}

/* F and D: comparisons, minimum and maximum, signs, classes, boxes. */

static void test_compare(void)
{
    static const struct {
        uint64_t a, b;
        uint64_t eq, lt, le;
        uint32_t eq_flags, lt_flags;
    } t[] = {
        {ONE_D, ONE_D, 1, 0, 1, 0, 0},
        {0, N(0), 1, 0, 1, 0, 0},
        {N(0), 0, 1, 0, 1, 0, 0},
        {N(ONE_D), ONE_D, 0, 1, 1, 0, 0},
        {N(TWO_D), N(ONE_D), 0, 1, 1, 0, 0},
        {MAX_D, INF_D, 0, 1, 1, 0, 0},
        {INF_D, INF_D, 1, 0, 1, 0, 0},
        {1, 0, 0, 0, 0, 0, 0},
        {QNAN_D, ONE_D, 0, 0, 0, 0, NV},
        {ONE_D, FPU_NAN_D, 0, 0, 0, 0, NV},
        {FPU_NAN_D, FPU_NAN_D, 0, 0, 0, 0, NV},
        {SNAN_D, ONE_D, 0, 0, 0, NV, NV},
        {0, SNAN_D, 0, 0, 0, NV, NV},
    };
    guint i;

    for (i = 0; i < G_N_ELEMENTS(t); i++) {
        uint32_t f_eq = 0, f_lt = 0, f_le = 0, narrow = 0;
        uint32_t a, b;

        g_assert_cmpuint(fpu_eq_d(t[i].a, t[i].b, &f_eq), ==, t[i].eq);
        g_assert_cmpuint(fpu_lt_d(t[i].a, t[i].b, &f_lt), ==, t[i].lt);
        g_assert_cmpuint(fpu_le_d(t[i].a, t[i].b, &f_le), ==, t[i].le);
        g_assert_cmphex(f_eq, ==, t[i].eq_flags);
        g_assert_cmphex(f_lt, ==, t[i].lt_flags);
        g_assert_cmphex(f_le, ==, t[i].lt_flags);
        /* The same in single, but that its NaNs must be made by hand. */
        a = fpu_d_to_s(t[i].a, FPU_RUP, &narrow);
        b = fpu_d_to_s(t[i].b, FPU_RUP, &narrow);
        if (t[i].a == MAX_D) {
            a = MAX_S;
        }
        if (fpu_is_snan_d(t[i].a)) {
            a = SNAN_S;
        }
        if (fpu_is_snan_d(t[i].b)) {
            b = SNAN_S;
        }
        f_eq = f_lt = f_le = 0;
        g_assert_cmpuint(fpu_eq_s(a, b, &f_eq), ==, t[i].eq);
        g_assert_cmpuint(fpu_lt_s(a, b, &f_lt), ==, t[i].lt);
        g_assert_cmpuint(fpu_le_s(a, b, &f_le), ==, t[i].le);
        g_assert_cmphex(f_eq, ==, t[i].eq_flags);
        g_assert_cmphex(f_lt, ==, t[i].lt_flags);
        g_assert_cmphex(f_le, ==, t[i].lt_flags);
    }
}

static void test_minmax(void)
{
    static const struct {
        uint64_t a, b, min, max;
        uint32_t flags;
    } d[] = {
        {0, N(0), N(0), 0, 0},
        {ONE_D, TWO_D, ONE_D, TWO_D, 0},
        {N(ONE_D), N(TWO_D), N(TWO_D), N(ONE_D), 0},
        {N(ONE_D), 1, N(ONE_D), 1, 0},
        {INF_D, N(INF_D), N(INF_D), INF_D, 0},
        {ONE_D, QNAN_D, ONE_D, ONE_D, 0},
        {ONE_D, SNAN_D, ONE_D, ONE_D, NV},
        {QNAN_D, QNAN_D, FPU_NAN_D, FPU_NAN_D, 0},
        {QNAN_D, SNAN_D, FPU_NAN_D, FPU_NAN_D, NV},
    };
    static const struct {
        uint32_t a, b, min, max;
        uint32_t flags;
    } s[] = {
        {0, FPU_SIGN_S, FPU_SIGN_S, 0, 0},
        {ONE_S, 0x40000000, ONE_S, 0x40000000, 0},
        {0xbf800000, 0xc0000000, 0xc0000000, 0xbf800000, 0},
        {0xbf800000, 1, 0xbf800000, 1, 0},
        {ONE_S, 0xffc00001, ONE_S, ONE_S, 0},
        {ONE_S, SNAN_S, ONE_S, ONE_S, NV},
        {0xffc00001, 0xffc00001, FPU_NAN_S, FPU_NAN_S, 0},
        {0xffc00001, SNAN_S, FPU_NAN_S, FPU_NAN_S, NV},
    };
    uint32_t f;
    guint i;

    for (i = 0; i < 2 * G_N_ELEMENTS(d); i++) {
        uint64_t a = i & 1 ? d[i / 2].b : d[i / 2].a;
        uint64_t b = i & 1 ? d[i / 2].a : d[i / 2].b;

        f = 0;
        g_assert_cmphex(fpu_min_d(a, b, &f), ==, d[i / 2].min);
        g_assert_cmphex(f, ==, d[i / 2].flags);
        f = 0;
        g_assert_cmphex(fpu_max_d(a, b, &f), ==, d[i / 2].max);
        g_assert_cmphex(f, ==, d[i / 2].flags);
    }
    for (i = 0; i < 2 * G_N_ELEMENTS(s); i++) {
        uint32_t a = i & 1 ? s[i / 2].b : s[i / 2].a;
        uint32_t b = i & 1 ? s[i / 2].a : s[i / 2].b;

        f = 0;
        g_assert_cmphex(fpu_min_s(a, b, &f), ==, s[i / 2].min);
        g_assert_cmphex(f, ==, s[i / 2].flags);
        f = 0;
        g_assert_cmphex(fpu_max_s(a, b, &f), ==, s[i / 2].max);
        g_assert_cmphex(f, ==, s[i / 2].flags);
    }
}

static void test_signs_classes_boxes(void)
{
    static const uint64_t by_class_d[] = {
        N(INF_D), N(ONE_D), N(1), N(0), 0, MIN_NORMAL_D - 1, MIN_NORMAL_D,
        INF_D, SNAN_D, QNAN_D,
    };
    static const uint32_t by_class_s[] = {
        0xff800000, 0x80800000, 0x807fffff, 0x80000000, 0, 1, MAX_S, INF_S,
        0xffbfffff, 0x7fc00000,
    };
    guint i;

    for (i = 0; i < 10; i++) {
        g_assert_cmpuint(fpu_class_d(by_class_d[i]), ==, 1u << i);
        g_assert_cmpuint(fpu_class_s(by_class_s[i]), ==, 1u << i);
    }
    g_assert_cmphex(fpu_sgnj_d(SNAN_D, N(0)), ==, N(SNAN_D));
    g_assert_cmphex(fpu_sgnjn_d(SNAN_D, N(0)), ==, SNAN_D);
    g_assert_cmphex(fpu_sgnjx_d(N(ONE_D), N(0)), ==, ONE_D);
    g_assert_cmphex(fpu_sgnj_s(ONE_S, FPU_SIGN_S), ==, 0xbf800000);
    g_assert_cmphex(fpu_sgnjn_s(0xbf800000, 0), ==, 0xbf800000);
    g_assert_cmphex(fpu_sgnjx_s(ONE_S, 0), ==, ONE_S);
    g_assert_cmphex(fpu_box_s(ONE_S), ==, UINT64_C(0xffffffff3f800000));
    g_assert_cmphex(fpu_unbox_s(UINT64_C(0xffffffff3f800000)), ==, ONE_S);
    g_assert_cmphex(fpu_unbox_s(UINT64_C(0xfffffffe3f800000)), ==, FPU_NAN_S);
    g_assert_cmphex(fpu_unbox_s(ONE_S), ==, FPU_NAN_S);
}

/* Operands: all bit patterns, but more of those that make trouble. */

static uint64_t rng_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t random_float(int frac_bits, int exp_bits, uint64_t near_bits)
{
    uint64_t exp_max = (UINT64_C(1) << exp_bits) - 1;
    uint64_t frac_max = (UINT64_C(1) << frac_bits) - 1;
    uint64_t r = rng(), exp = rng() & exp_max, frac = rng() & frac_max;

    switch (r & 7) {
    case 0:
        exp = (r >> 8) % 3;
        break;
    case 1:
        exp = exp_max - (r >> 8) % 3;
        break;
    case 2:
    case 3:
        exp = (exp_max >> 1) + (r >> 8) % 8 - 4;
        break;
    case 4:
    case 5:
        /* Near another operand. */
        exp = ((near_bits >> frac_bits) + (r >> 8) % 64 - 32) & exp_max;
        break;
    case 6:
        /* The exponent that makes a product with it tiny. */
        exp = ((exp_max >> 1) - (near_bits >> frac_bits) + (r >> 8) % 5 - 2) &
              exp_max;
        break;
    }
    switch (r >> 3 & 7) {
    case 0:
        frac &= frac_max << ((r >> 16) % (unsigned)(frac_bits + 1));
        break;
    case 1:
        frac |= frac_max >> ((r >> 16) % (unsigned)(frac_bits + 1));
        break;
    case 2:
        frac = (r >> 16) & 3;
        break;
    case 3:
        frac = frac_max - ((r >> 16) & 3);
        break;
    case 4:
        frac = UINT64_C(1) << ((r >> 16) % (unsigned)frac_bits);
        break;
    }
    return (r >> 40 & 1) << (frac_bits + exp_bits) | exp << frac_bits | frac;
}

static uint64_t random_operand(Op op, uint64_t near_bits)
{
    if (op_is_from_integer(op)) {
        uint64_t r = rng(), x = rng() >> (r & 63);

        x = r & 64 ? x : x & ~(rng() >> (r >> 8 & 63));
        return r & 128 ? -x : x;
    }
    return op_is_single(op) ? random_float(23, 8, near_bits)
                            : random_float(52, 11, near_bits);
}

static void test_random(gconstpointer data)
{
    Op op = (Op)GPOINTER_TO_INT(data);
    int i, rounds = g_test_slow() ? 2000000 : 40000;

    for (i = 0; i < rounds; i++) {
        uint64_t a = random_operand(op, 0), b = random_operand(op, a);
        uint64_t c = random_operand(op, i & 1 ? a : b);
        int rm;

        if ((i & 15) == 15 && op < S_TO_W) {
            /* A sum that cancels the product, or nearly. */
            uint32_t flags = 0;

            c = run_exact(op < ADD_D ? MUL_S : MUL_D, a, b, 0, FPU_RTZ,
                          &flags) ^
                (op < ADD_D ? FPU_SIGN_S : FPU_SIGN_D);
        }
        for (rm = FPU_RNE; rm <= FPU_RMM; rm++) {
            uint64_t want;
            uint32_t flags;

            if (oracle(op, (FpuRound)rm, a, b, c, &want, &flags)) {
                check(op, (FpuRound)rm, a, b, c, want, flags);
                if (rm == (i % 5)) {
                    check_exact(op, (FpuRound)rm, a, b, c, want, flags);
                }
            }
        }
    }
}

int main(int argc, char **argv)
{
    int op;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/riscv/fpu/directed", test_directed);
    g_test_add_func("/riscv/fpu/compare", test_compare);
    g_test_add_func("/riscv/fpu/minmax", test_minmax);
    g_test_add_func("/riscv/fpu/signs-classes-boxes",
                    test_signs_classes_boxes);
    for (op = 0; op < OP_MAX; op++) {
        g_autofree char *path =
            g_strdup_printf("/riscv/fpu/random/%s", op_names[op]);

        g_test_add_data_func(path, GINT_TO_POINTER(op), test_random);
    }
    return g_test_run();
}
