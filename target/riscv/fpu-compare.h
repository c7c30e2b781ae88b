/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of fpu.h never rounds: signs, comparisons, minimum and maximum, classes.
 * Included by fpu.h only; the conventions are described there.
 */
#ifndef TARGET_RISCV_FPU_COMPARE_H
#define TARGET_RISCV_FPU_COMPARE_H

#include "fpu-inline.h"

/* F, "Sign-Injection": FSGNJ, FSGNJN, FSGNJX. */
static inline uint32_t fpu_sgnj_s(uint32_t a, uint32_t b)
{
    return (a & ~FPU_SIGN_S) | (b & FPU_SIGN_S);
}

static inline uint32_t fpu_sgnjn_s(uint32_t a, uint32_t b)
{
    return (a & ~FPU_SIGN_S) | (~b & FPU_SIGN_S);
}

static inline uint32_t fpu_sgnjx_s(uint32_t a, uint32_t b)
{
    return a ^ (b & FPU_SIGN_S);
}

static inline uint64_t fpu_sgnj_d(uint64_t a, uint64_t b)
{
    return (a & ~FPU_SIGN_D) | (b & FPU_SIGN_D);
}

static inline uint64_t fpu_sgnjn_d(uint64_t a, uint64_t b)
{
    return (a & ~FPU_SIGN_D) | (~b & FPU_SIGN_D);
}

static inline uint64_t fpu_sgnjx_d(uint64_t a, uint64_t b)
{
    return a ^ (b & FPU_SIGN_D);
}

/*
 * F, "Floating-Point Compare Instructions": FEQ is quiet, NV for a signalling
 * NaN only; FLT and FLE signal, NV for any NaN.
 */
static inline uint64_t fpu_eq_s(uint32_t a, uint32_t b, uint32_t *flags)
{
    if (fpu_is_snan_s(a) || fpu_is_snan_s(b)) {
        *flags |= FPU_NV;
    }
    return fpu_host_s(a) == fpu_host_s(b);
}

static inline uint64_t fpu_lt_s(uint32_t a, uint32_t b, uint32_t *flags)
{
    if (fpu_is_nan_s(a) || fpu_is_nan_s(b)) {
        *flags |= FPU_NV;
        return 0;
    }
    return fpu_host_s(a) < fpu_host_s(b);
}

static inline uint64_t fpu_le_s(uint32_t a, uint32_t b, uint32_t *flags)
{
    if (fpu_is_nan_s(a) || fpu_is_nan_s(b)) {
        *flags |= FPU_NV;
        return 0;
    }
    return fpu_host_s(a) <= fpu_host_s(b);
}

static inline uint64_t fpu_eq_d(uint64_t a, uint64_t b, uint32_t *flags)
{
    if (fpu_is_snan_d(a) || fpu_is_snan_d(b)) {
        *flags |= FPU_NV;
    }
    return fpu_host_d(a) == fpu_host_d(b);
}

static inline uint64_t fpu_lt_d(uint64_t a, uint64_t b, uint32_t *flags)
{
    if (fpu_is_nan_d(a) || fpu_is_nan_d(b)) {
        *flags |= FPU_NV;
        return 0;
    }
    return fpu_host_d(a) < fpu_host_d(b);
}

static inline uint64_t fpu_le_d(uint64_t a, uint64_t b, uint32_t *flags)
{
    if (fpu_is_nan_d(a) || fpu_is_nan_d(b)) {
        *flags |= FPU_NV;
        return 0;
    }
    return fpu_host_d(a) <= fpu_host_d(b);
}

/*
 * F, "Single-Precision Floating-Point Computational Instructions": FMIN and
 * FMAX are minimumNumber and maximumNumber of IEEE 754-2019. One NaN gives the
 * other operand, two the canonical NaN, a signalling one NV; -0 is less than
 * +0. As integers of sign and magnitude, numbers are in that very order.
 */
static inline uint32_t fpu_minmax_s(uint32_t a, uint32_t b, bool max,
                                    uint32_t *flags)
{
    bool less;

    if (fpu_is_nan_s(a) || fpu_is_nan_s(b)) {
        if (fpu_is_snan_s(a) || fpu_is_snan_s(b)) {
            *flags |= FPU_NV;
        }
        if (!fpu_is_nan_s(a)) {
            return a;
        }
        return fpu_is_nan_s(b) ? FPU_NAN_S : b;
    }
    less = (int32_t)(a & b) < 0 ? a > b : (int32_t)a < (int32_t)b;
    return less != max ? a : b;
}

static inline uint64_t fpu_minmax_d(uint64_t a, uint64_t b, bool max,
                                    uint32_t *flags)
{
    bool less;

    if (fpu_is_nan_d(a) || fpu_is_nan_d(b)) {
        if (fpu_is_snan_d(a) || fpu_is_snan_d(b)) {
            *flags |= FPU_NV;
        }
        if (!fpu_is_nan_d(a)) {
            return a;
        }
        return fpu_is_nan_d(b) ? FPU_NAN_D : b;
    }
    less = (int64_t)(a & b) < 0 ? a > b : (int64_t)a < (int64_t)b;
    return less != max ? a : b;
}

static inline uint32_t fpu_min_s(uint32_t a, uint32_t b, uint32_t *flags)
{
    return fpu_minmax_s(a, b, false, flags);
}

static inline uint32_t fpu_max_s(uint32_t a, uint32_t b, uint32_t *flags)
{
    return fpu_minmax_s(a, b, true, flags);
}

static inline uint64_t fpu_min_d(uint64_t a, uint64_t b, uint32_t *flags)
{
    return fpu_minmax_d(a, b, false, flags);
}

static inline uint64_t fpu_max_d(uint64_t a, uint64_t b, uint32_t *flags)
{
    return fpu_minmax_d(a, b, true, flags);
}

/* F, "Floating-Point Classify Instruction". */
static inline uint64_t fpu_class_of(bool sign, bool exp_min, bool exp_max,
                                    bool frac_zero, bool quiet)
{
    if (exp_max) {
        if (!frac_zero) {
            return quiet ? FPU_CLASS_QNAN : FPU_CLASS_SNAN;
        }
        return sign ? FPU_CLASS_NEG_INF : FPU_CLASS_POS_INF;
    }
    if (!exp_min) {
        return sign ? FPU_CLASS_NEG_NORMAL : FPU_CLASS_POS_NORMAL;
    }
    if (!frac_zero) {
        return sign ? FPU_CLASS_NEG_SUBNORMAL : FPU_CLASS_POS_SUBNORMAL;
    }
    return sign ? FPU_CLASS_NEG_ZERO : FPU_CLASS_POS_ZERO;
}

static inline uint64_t fpu_class_s(uint32_t a)
{
    uint32_t exp = (a >> 23) & 0xff;

    return fpu_class_of(a >> 31, exp == 0, exp == 0xff, !(a & 0x7fffff),
                        a & 0x400000);
}

static inline uint64_t fpu_class_d(uint64_t a)
{
    return fpu_class_of(a >> 63, fpu_exp_d(a) == 0, fpu_exp_d(a) == 0x7ff,
                        !(a & UINT64_C(0x000fffffffffffff)),
                        a & UINT64_C(0x0008000000000000));
}

#endif
