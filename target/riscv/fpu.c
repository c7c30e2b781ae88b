/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exact arithmetic behind fpu.h: each operation on unbounded integers as
 * wide as it needs, then one rounding. Entered by any thread; no lock.
 */
#include "fpu-internal.h"

/* sig * 2^(exp - 125), sig being below 2^126 and not necessarily normalised. */
typedef struct FpuTerm {
    bool sign;
    int exp;
    uint128 sig;
} FpuTerm;

/* IEEE 754-2019, 6.3: an exact zero sum of opposite signs. */
FPU_INLINE uint64_t fpu_zero_sum(FpuFormat fmt, bool sign_a, bool sign_b,
                                 FpuRound rm)
{
    return fpu_sign_bit(fmt, sign_a == sign_b ? sign_a : rm == FPU_RDN);
}

/*
 * The sum of two terms that are not zero. Their sigs have at least 20 trailing
 * zeros: what becomes sticky was more than 20 places below the other's lead,
 * so nothing cancels that could bring it up again.
 */
FPU_INLINE uint64_t fpu_sum(FpuFormat fmt, FpuTerm a, FpuTerm b, FpuRound rm,
                            uint32_t *flags)
{
    int zeros;

    if (a.exp < b.exp) {
        FpuTerm swap = a;

        a = b;
        b = swap;
    }
    b.sig = fpu_shift_sticky_u128(b.sig, a.exp - b.exp);
    if (a.sign == b.sign) {
        a.sig += b.sig;
    } else if (a.sig >= b.sig) {
        a.sig -= b.sig;
    } else {
        a.sig = b.sig - a.sig;
        a.sign = b.sign;
    }
    if (!a.sig) {
        return fpu_zero_sum(fmt, false, true, rm);
    }
    zeros = a.sig >> 64 ? __builtin_clzll((uint64_t)(a.sig >> 64))
                        : 64 + __builtin_clzll((uint64_t)a.sig);
    return fpu_round_pack(fmt, a.sign, a.exp + 2 - zeros,
                          fpu_narrow_sticky(a.sig << zeros), rm, flags);
}

FPU_INLINE FpuTerm fpu_term(FpuNumber num)
{
    return (FpuTerm){num.sign, num.exp, (uint128)num.sig << 62};
}

FPU_INLINE uint64_t fpu_add(FpuFormat fmt, uint64_t bits_a, uint64_t bits_b,
                            FpuRound rm, uint32_t *flags)
{
    FpuNumber a = fpu_unpack(fmt, bits_a), b = fpu_unpack(fmt, bits_b);

    if (a.kind == FPU_KIND_FINITE && b.kind == FPU_KIND_FINITE) {
        return fpu_sum(fmt, fpu_term(a), fpu_term(b), rm, flags);
    }
    if (fpu_kind_is_nan(a.kind) || fpu_kind_is_nan(b.kind)) {
        if (a.kind == FPU_KIND_SNAN || b.kind == FPU_KIND_SNAN) {
            *flags |= FPU_NV;
        }
        return fpu_canonical_nan(fmt);
    }
    if (a.kind == FPU_KIND_INF) {
        return b.kind == FPU_KIND_INF && a.sign != b.sign
                   ? fpu_invalid(fmt, flags)
                   : bits_a;
    }
    if (b.kind == FPU_KIND_INF || a.kind == FPU_KIND_ZERO) {
        return b.kind == FPU_KIND_ZERO ? fpu_zero_sum(fmt, a.sign, b.sign, rm)
                                       : bits_b;
    }
    return bits_a;
}

FPU_INLINE uint64_t fpu_mul(FpuFormat fmt, uint64_t bits_a, uint64_t bits_b,
                            FpuRound rm, uint32_t *flags)
{
    FpuNumber a = fpu_unpack(fmt, bits_a), b = fpu_unpack(fmt, bits_b);
    bool sign = a.sign != b.sign;
    uint128 product;
    int carry;

    if (a.kind == FPU_KIND_FINITE && b.kind == FPU_KIND_FINITE) {
        product = (uint128)a.sig * b.sig;
        carry = (int)(product >> 127);
        return fpu_round_pack(fmt, sign, a.exp + b.exp + carry,
                              fpu_narrow_sticky(product << (1 - carry)), rm,
                              flags);
    }
    if (fpu_kind_is_nan(a.kind) || fpu_kind_is_nan(b.kind)) {
        if (a.kind == FPU_KIND_SNAN || b.kind == FPU_KIND_SNAN) {
            *flags |= FPU_NV;
        }
        return fpu_canonical_nan(fmt);
    }
    if (a.kind == FPU_KIND_INF || b.kind == FPU_KIND_INF) {
        return a.kind == FPU_KIND_ZERO || b.kind == FPU_KIND_ZERO
                   ? fpu_invalid(fmt, flags)
                   : fpu_infinity(fmt, sign);
    }
    return fpu_sign_bit(fmt, sign);
}

FPU_INLINE uint64_t fpu_div(FpuFormat fmt, uint64_t bits_a, uint64_t bits_b,
                            FpuRound rm, uint32_t *flags)
{
    FpuNumber a = fpu_unpack(fmt, bits_a), b = fpu_unpack(fmt, bits_b);
    bool sign = a.sign != b.sign;

    if (a.kind == FPU_KIND_FINITE && b.kind == FPU_KIND_FINITE) {
        /* Below 2^63 and above 2^61: enough places before the sticky one. */
        uint128 dividend = (uint128)a.sig << 62;
        uint64_t quotient = (uint64_t)(dividend / b.sig);
        int zeros = __builtin_clzll(quotient);

        quotient = quotient << zeros | ((uint128)quotient * b.sig != dividend);
        return fpu_round_pack(fmt, sign, a.exp - b.exp + 1 - zeros, quotient,
                              rm, flags);
    }
    if (fpu_kind_is_nan(a.kind) || fpu_kind_is_nan(b.kind)) {
        if (a.kind == FPU_KIND_SNAN || b.kind == FPU_KIND_SNAN) {
            *flags |= FPU_NV;
        }
        return fpu_canonical_nan(fmt);
    }
    if (a.kind == b.kind) {
        return fpu_invalid(fmt, flags);
    }
    if (a.kind == FPU_KIND_INF) {
        return fpu_infinity(fmt, sign);
    }
    if (b.kind == FPU_KIND_ZERO) {
        *flags |= FPU_DZ;
        return fpu_infinity(fmt, sign);
    }
    return fpu_sign_bit(fmt, sign);
}

FPU_INLINE uint64_t fpu_sqrt(FpuFormat fmt, uint64_t bits, FpuRound rm,
                             uint32_t *flags)
{
    FpuNumber a = fpu_unpack(fmt, bits);
    uint128 radicand;
    uint64_t root = 0, bit;

    if (fpu_kind_is_nan(a.kind)) {
        if (a.kind == FPU_KIND_SNAN) {
            *flags |= FPU_NV;
        }
        return fpu_canonical_nan(fmt);
    }
    if (a.kind == FPU_KIND_ZERO) {
        return bits;
    }
    if (a.sign) {
        return fpu_invalid(fmt, flags);
    }
    if (a.kind == FPU_KIND_INF) {
        return bits;
    }
    /* An even exponent, and the root's leading 1 at bit 63. */
    radicand = (uint128)a.sig << (a.exp & 1 ? 64 : 63);
    for (bit = UINT64_C(1) << 63; bit >> (60 - fmt.frac_bits); bit >>= 1) {
        uint64_t trial = root | bit;

        if ((uint128)trial * trial <= radicand) {
            root = trial;
        }
    }
    root |= (uint128)root * root != radicand;
    return fpu_round_pack(fmt, false, (a.exp - (a.exp & 1)) / 2, root, rm,
                          flags);
}

FPU_INLINE uint64_t fpu_fma(FpuFormat fmt, uint64_t bits_a, uint64_t bits_b,
                            uint64_t bits_c, FpuRound rm, uint32_t *flags)
{
    FpuNumber a = fpu_unpack(fmt, bits_a), b = fpu_unpack(fmt, bits_b);
    FpuNumber c = fpu_unpack(fmt, bits_c);
    FpuTerm product;
    bool sign = a.sign != b.sign;

    if (a.kind == FPU_KIND_FINITE && b.kind == FPU_KIND_FINITE &&
        c.kind <= FPU_KIND_FINITE) {
        product = (FpuTerm){sign, a.exp + b.exp + 1,
                            (uint128)a.sig * b.sig >> 2};
        if (c.kind == FPU_KIND_ZERO) {
            int carry = (int)(product.sig >> 125);

            return fpu_round_pack(fmt, sign, a.exp + b.exp + carry,
                                  fpu_narrow_sticky(product.sig << (3 - carry)),
                                  rm, flags);
        }
        return fpu_sum(fmt, product, fpu_term(c), rm, flags);
    }
    if (a.kind == FPU_KIND_SNAN || b.kind == FPU_KIND_SNAN ||
        c.kind == FPU_KIND_SNAN ||
        (a.kind == FPU_KIND_INF && b.kind == FPU_KIND_ZERO) ||
        (a.kind == FPU_KIND_ZERO && b.kind == FPU_KIND_INF)) {
        return fpu_invalid(fmt, flags);
    }
    if (a.kind == FPU_KIND_QNAN || b.kind == FPU_KIND_QNAN ||
        c.kind == FPU_KIND_QNAN) {
        return fpu_canonical_nan(fmt);
    }
    if (a.kind == FPU_KIND_INF || b.kind == FPU_KIND_INF) {
        return c.kind == FPU_KIND_INF && c.sign != sign
                   ? fpu_invalid(fmt, flags)
                   : fpu_infinity(fmt, sign);
    }
    if (c.kind == FPU_KIND_ZERO) {
        return fpu_zero_sum(fmt, sign, c.sign, rm);
    }
    return bits_c;
}

uint32_t fpu_add_s_exact(uint32_t a, uint32_t b, FpuRound rm, uint32_t *flags)
{
    return (uint32_t)fpu_add(FPU_FORMAT_S, a, b, rm, flags);
}

uint32_t fpu_mul_s_exact(uint32_t a, uint32_t b, FpuRound rm, uint32_t *flags)
{
    return (uint32_t)fpu_mul(FPU_FORMAT_S, a, b, rm, flags);
}

uint32_t fpu_div_s_exact(uint32_t a, uint32_t b, FpuRound rm, uint32_t *flags)
{
    return (uint32_t)fpu_div(FPU_FORMAT_S, a, b, rm, flags);
}

uint32_t fpu_sqrt_s_exact(uint32_t a, FpuRound rm, uint32_t *flags)
{
    return (uint32_t)fpu_sqrt(FPU_FORMAT_S, a, rm, flags);
}

uint32_t fpu_fma_s_exact(uint32_t a, uint32_t b, uint32_t c, FpuRound rm,
                         uint32_t *flags)
{
    return (uint32_t)fpu_fma(FPU_FORMAT_S, a, b, c, rm, flags);
}

uint64_t fpu_add_d_exact(uint64_t a, uint64_t b, FpuRound rm, uint32_t *flags)
{
    return fpu_add(FPU_FORMAT_D, a, b, rm, flags);
}

uint64_t fpu_mul_d_exact(uint64_t a, uint64_t b, FpuRound rm, uint32_t *flags)
{
    return fpu_mul(FPU_FORMAT_D, a, b, rm, flags);
}

uint64_t fpu_div_d_exact(uint64_t a, uint64_t b, FpuRound rm, uint32_t *flags)
{
    return fpu_div(FPU_FORMAT_D, a, b, rm, flags);
}

uint64_t fpu_sqrt_d_exact(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_sqrt(FPU_FORMAT_D, a, rm, flags);
}

uint64_t fpu_fma_d_exact(uint64_t a, uint64_t b, uint64_t c, FpuRound rm,
                         uint32_t *flags)
{
    return fpu_fma(FPU_FORMAT_D, a, b, c, rm, flags);
}
