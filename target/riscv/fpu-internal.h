/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers taken apart, and rounded and put together again: what the exact
 * implementation behind fpu.h is made of. Everything is inlined with a
 * constant format, so that there is one source and two sets of constants.
 */
#ifndef TARGET_RISCV_FPU_INTERNAL_H
#define TARGET_RISCV_FPU_INTERNAL_H

#include "fpu.h"

#define FPU_INLINE static inline __attribute__((always_inline))

typedef unsigned __int128 uint128;

/* An interchange format of IEEE 754: width of its fields. */
typedef struct FpuFormat {
    int frac_bits;
    int exp_bits;
} FpuFormat;

#define FPU_FORMAT_S ((FpuFormat){23, 8})
#define FPU_FORMAT_D ((FpuFormat){52, 11})

typedef enum FpuKind {
    FPU_KIND_ZERO,
    FPU_KIND_FINITE,
    FPU_KIND_INF,
    FPU_KIND_QNAN,
    FPU_KIND_SNAN,
} FpuKind;

/* Where finite: sig * 2^(exp - 63), the highest bit of sig being set. */
typedef struct FpuNumber {
    FpuKind kind;
    bool sign;
    int exp;
    uint64_t sig;
} FpuNumber;

FPU_INLINE int fpu_bias(FpuFormat fmt)
{
    return (1 << (fmt.exp_bits - 1)) - 1;
}

FPU_INLINE uint64_t fpu_sign_bit(FpuFormat fmt, bool sign)
{
    return (uint64_t)sign << (fmt.frac_bits + fmt.exp_bits);
}

FPU_INLINE uint64_t fpu_infinity(FpuFormat fmt, bool sign)
{
    return fpu_sign_bit(fmt, sign) |
           (((UINT64_C(1) << fmt.exp_bits) - 1) << fmt.frac_bits);
}

FPU_INLINE uint64_t fpu_canonical_nan(FpuFormat fmt)
{
    return fpu_infinity(fmt, false) | UINT64_C(1) << (fmt.frac_bits - 1);
}

FPU_INLINE uint64_t fpu_invalid(FpuFormat fmt, uint32_t *flags)
{
    *flags |= FPU_NV;
    return fpu_canonical_nan(fmt);
}

FPU_INLINE bool fpu_kind_is_nan(FpuKind kind)
{
    return kind >= FPU_KIND_QNAN;
}

FPU_INLINE FpuNumber fpu_unpack(FpuFormat fmt, uint64_t bits)
{
    FpuNumber num = {.kind = FPU_KIND_FINITE};
    int exp_max = (1 << fmt.exp_bits) - 1;
    int exp = (int)(bits >> fmt.frac_bits) & exp_max;
    uint64_t frac = bits & ((UINT64_C(1) << fmt.frac_bits) - 1);

    num.sign = bits >> (fmt.frac_bits + fmt.exp_bits) & 1;
    if (exp == exp_max) {
        num.kind = !frac ? FPU_KIND_INF
                   : frac >> (fmt.frac_bits - 1) ? FPU_KIND_QNAN
                                                 : FPU_KIND_SNAN;
    } else if (exp) {
        num.exp = exp - fpu_bias(fmt);
        num.sig = (UINT64_C(1) << 63) | frac << (63 - fmt.frac_bits);
    } else if (frac) {
        int zeros = __builtin_clzll(frac);

        num.exp = 1 - fpu_bias(fmt) + (63 - fmt.frac_bits) - zeros;
        num.sig = frac << zeros;
    } else {
        num.kind = FPU_KIND_ZERO;
    }
    return num;
}

/*
 * Shift right; what falls out makes the lowest bit sticky. That is enough for
 * every rounding as long as it lies below the half of the last place.
 */
FPU_INLINE uint64_t fpu_shift_sticky_u64(uint64_t sig, int by)
{
    if (by >= 64) {
        return sig != 0;
    }
    return sig >> by | ((sig & ((UINT64_C(1) << by) - 1)) != 0);
}

FPU_INLINE uint128 fpu_shift_sticky_u128(uint128 sig, int by)
{
    if (by >= 128) {
        return sig != 0;
    }
    return sig >> by | ((sig & (((uint128)1 << by) - 1)) != 0);
}

FPU_INLINE uint64_t fpu_narrow_sticky(uint128 sig)
{
    return (uint64_t)(sig >> 64) | ((uint64_t)sig != 0);
}

/* Whether sig, about to lose its low drop bits, is to be rounded up. */
FPU_INLINE bool fpu_rounds_up(uint64_t sig, int drop, bool sign, FpuRound rm)
{
    uint64_t rest = sig & ((UINT64_C(1) << drop) - 1);
    uint64_t half = UINT64_C(1) << (drop - 1);

    switch (rm) {
    case FPU_RNE:
        return rest > half || (rest == half && (sig >> drop & 1));
    case FPU_RTZ:
        return false;
    case FPU_RDN:
        return sign && rest;
    case FPU_RUP:
        return !sign && rest;
    case FPU_RMM:
        return rest >= half;
    }
    return false;
}

/* IEEE 754-2019, 7.4. */
FPU_INLINE uint64_t fpu_overflow(FpuFormat fmt, bool sign, FpuRound rm,
                                 uint32_t *flags)
{
    bool to_max = rm == FPU_RTZ || rm == (sign ? FPU_RUP : FPU_RDN);

    *flags |= FPU_OF | FPU_NX;
    return fpu_infinity(fmt, sign) - to_max;
}

/*
 * The number sig * 2^(exp - 63), whose lowest bit may be sticky, rounded. The
 * highest bit of sig must be set.
 */
FPU_INLINE uint64_t fpu_round_pack(FpuFormat fmt, bool sign, int exp,
                                   uint64_t sig, FpuRound rm, uint32_t *flags)
{
    int drop = 63 - fmt.frac_bits, exp_min = 1 - fpu_bias(fmt);
    bool tiny = false;
    uint64_t bits;

    if (exp < exp_min) {
        /*
         * Tiny after rounding: unless rounding as if the exponent had no
         * lower bound carries to the smallest normal number.
         */
        tiny = exp < exp_min - 1 || !fpu_rounds_up(sig, drop, sign, rm) ||
               (sig >> drop) + 1 < UINT64_C(2) << fmt.frac_bits;
        sig = fpu_shift_sticky_u64(sig, exp_min - exp);
        exp = exp_min;
    }
    if (exp > fpu_bias(fmt)) {
        return fpu_overflow(fmt, sign, rm, flags);
    }
    /* The leading 1, where there is one, adds one to the exponent. */
    bits = ((uint64_t)(exp - exp_min) << fmt.frac_bits) + (sig >> drop) +
           fpu_rounds_up(sig, drop, sign, rm);
    if (bits >= fpu_infinity(fmt, false)) {
        return fpu_overflow(fmt, sign, rm, flags);
    }
    if (sig & ((UINT64_C(1) << drop) - 1)) {
        *flags |= tiny ? FPU_UF | FPU_NX : FPU_NX;
    }
    return fpu_sign_bit(fmt, sign) | bits;
}

#endif
