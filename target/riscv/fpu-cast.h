/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The short ways of fpu.h for conversions. Included by fpu.h only; the
 * conventions are described there.
 */
#ifndef TARGET_RISCV_FPU_CAST_H
#define TARGET_RISCV_FPU_CAST_H

#include "fpu-inline.h"

/*
 * Conversions to integers: the cast of C is RTZ, what compilers emit the
 * instructions for. Every single is a double, so one fast path serves both.
 */
static inline bool fpu_cast_to_integer(double x, double above, double below,
                                       FpuRound rm, int64_t *res,
                                       uint32_t *flags)
{
    if (rm != FPU_RTZ || !(x > above && x < below)) {
        return false;
    }
    *res = (int64_t)x;
    if ((double)*res != x) {
        *flags |= FPU_NX;
    }
    return true;
}

#define FPU_TO_INTEGER(from, to, type, above, below)                           \
    static inline uint64_t fpu_##from##_to_##to(type a, FpuRound rm,           \
                                                uint32_t *flags)               \
    {                                                                          \
        int64_t res;                                                           \
                                                                               \
        if (fpu_cast_to_integer(fpu_host_##from(a), above, below, rm, &res,    \
                                flags)) {                                      \
            return fpu_extend_##to(res);                                       \
        }                                                                      \
        return fpu_##from##_to_##to##_exact(a, rm, flags);                     \
    }

#define fpu_extend_w(x) ((uint64_t)(int64_t)(int32_t)(x))
#define fpu_extend_l(x) ((uint64_t)(x))
FPU_TO_INTEGER(s, w, uint32_t, -0x1.00000002p31, 0x1p31)
FPU_TO_INTEGER(d, w, uint64_t, -0x1.00000002p31, 0x1p31)
#define fpu_extend_wu fpu_extend_w
FPU_TO_INTEGER(s, wu, uint32_t, -1.0, 0x1p32)
FPU_TO_INTEGER(d, wu, uint64_t, -1.0, 0x1p32)
FPU_TO_INTEGER(s, l, uint32_t, -0x1p63, 0x1p63)
FPU_TO_INTEGER(d, l, uint64_t, -0x1p63, 0x1p63)
#define fpu_extend_lu fpu_extend_l
FPU_TO_INTEGER(s, lu, uint32_t, -1.0, 0x1p63)
FPU_TO_INTEGER(d, lu, uint64_t, -1.0, 0x1p63)
#undef fpu_extend_w
#undef fpu_extend_wu
#undef fpu_extend_l
#undef fpu_extend_lu
#undef FPU_TO_INTEGER

/*
 * Conversions from integers: exact, and so the same in every rounding mode,
 * while the integer fits the significand. The w forms take the low 32 bits of
 * the x register.
 */
static inline uint32_t fpu_l_to_s(uint64_t a, FpuRound rm, uint32_t *flags)
{
    if (a + 0x1000000 <= 0x2000000) {
        return fpu_bits_s((float)(int64_t)a);
    }
    return fpu_l_to_s_exact((int64_t)a, rm, flags);
}

static inline uint32_t fpu_lu_to_s(uint64_t a, FpuRound rm, uint32_t *flags)
{
    if (a <= 0x1000000) {
        return fpu_bits_s((float)(int64_t)a);
    }
    return fpu_lu_to_s_exact(a, rm, flags);
}

static inline uint32_t fpu_w_to_s(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_l_to_s((uint64_t)(int64_t)(int32_t)a, rm, flags);
}

static inline uint32_t fpu_wu_to_s(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_lu_to_s((uint32_t)a, rm, flags);
}

static inline uint64_t fpu_l_to_d(uint64_t a, FpuRound rm, uint32_t *flags)
{
    if (a + (UINT64_C(1) << 53) <= UINT64_C(1) << 54) {
        return fpu_bits_d((double)(int64_t)a);
    }
    return fpu_l_to_d_exact((int64_t)a, rm, flags);
}

static inline uint64_t fpu_lu_to_d(uint64_t a, FpuRound rm, uint32_t *flags)
{
    if (a <= UINT64_C(1) << 53) {
        return fpu_bits_d((double)(int64_t)a);
    }
    return fpu_lu_to_d_exact(a, rm, flags);
}

/* Always exact: D has room for every 32-bit integer. */
static inline uint64_t fpu_w_to_d(uint64_t a)
{
    return fpu_bits_d((double)(int32_t)a);
}

static inline uint64_t fpu_wu_to_d(uint64_t a)
{
    return fpu_bits_d((double)(uint32_t)a);
}

/* D, "Double-Precision Floating-Point Conversion and Move Instructions". */
static inline uint64_t fpu_s_to_d(uint32_t a, uint32_t *flags)
{
    if (!fpu_is_nan_s(a)) {
        return fpu_bits_d((double)fpu_host_s(a));
    }
    return fpu_s_to_d_exact(a, flags);
}

static inline uint32_t fpu_d_to_s(uint64_t a, FpuRound rm, uint32_t *flags)
{
    if (FPU_HOST_ARITH && rm == FPU_RNE) {
        float rounded = (float)fpu_host_d(a);
        uint32_t res = fpu_bits_s(rounded);

        if (fpu_is_ordinary_s(res)) {
            if ((double)rounded != fpu_host_d(a)) {
                *flags |= FPU_NX;
            }
            return res;
        }
    }
    return fpu_d_to_s_exact(a, rm, flags);
}

#endif
