/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the F and D operations give, by other means than target/riscv's: the
 * host's FPU under its own rounding modes and flags; for RMM, which hosts do
 * not have, the host's RTZ and a comparison, exact in binary128, of the true
 * result with the midpoint above.
 */
#ifndef TESTS_RISCV_FPU_ORACLE_H
#define TESTS_RISCV_FPU_ORACLE_H

#include "target/riscv/fpu.h"

#define NX FPU_NX
#define UF FPU_UF
#define OF FPU_OF
#define DZ FPU_DZ
#define NV FPU_NV

#define INF_S 0x7f800000u
#define SNAN_S 0x7f800001u
#define ONE_S 0x3f800000u
#define MAX_S 0x7f7fffffu
#define INF_D UINT64_C(0x7ff0000000000000)
#define SNAN_D UINT64_C(0x7ff0000000000001)
#define QNAN_D UINT64_C(0xfff8000000000123)
#define ONE_D UINT64_C(0x3ff0000000000000)
#define TWO_D UINT64_C(0x4000000000000000)
#define MAX_D UINT64_C(0x7fefffffffffffff)
#define MIN_NORMAL_D UINT64_C(0x0010000000000000)
#define N(x) ((x) | FPU_SIGN_D)

typedef enum Op {
    ADD_S, SUB_S, MUL_S, DIV_S, SQRT_S, MADD_S, MSUB_S, NMSUB_S, NMADD_S,
    ADD_D, SUB_D, MUL_D, DIV_D, SQRT_D, MADD_D, MSUB_D, NMSUB_D, NMADD_D,
    S_TO_W, S_TO_WU, S_TO_L, S_TO_LU, D_TO_W, D_TO_WU, D_TO_L, D_TO_LU,
    W_TO_S, WU_TO_S, L_TO_S, LU_TO_S, W_TO_D, WU_TO_D, L_TO_D, LU_TO_D,
    D_TO_S, S_TO_D, OP_MAX
} Op;

static inline bool op_is_single(Op op)
{
    return op < ADD_D || (op >= S_TO_W && op <= S_TO_LU) || op == S_TO_D;
}

static inline bool op_is_from_integer(Op op)
{
    return op >= W_TO_S && op <= LU_TO_D;
}

static inline bool op_is_to_integer(Op op)
{
    return op >= S_TO_W && op <= D_TO_LU;
}

/*
 * The result of an operation, as fpu.h gives it, and the flags it raises.
 * False where this host knows no answer. Changes the host's rounding mode and
 * flags, and puts the mode back to the nearest.
 */
bool oracle(Op op, FpuRound rm, uint64_t a, uint64_t b, uint64_t c,
            uint64_t *res, uint32_t *flags);

#endif
