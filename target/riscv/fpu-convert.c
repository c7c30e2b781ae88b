/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exact conversions behind fpu.h. Entered by any thread; no lock.
 */
#include "fpu-internal.h"

/*
 * To an integer of the given width. F, "Conversion and Move Instructions",
 * table of the domains: what rounds to something outside gives the nearest
 * limit, NaN the upper one, and both NV and nothing else.
 */
FPU_INLINE uint64_t fpu_to_integer(FpuFormat fmt, uint64_t bits, int width,
                                   bool is_signed, FpuRound rm,
                                   uint32_t *flags)
{
    FpuNumber a = fpu_unpack(fmt, bits);
    uint64_t max = UINT64_MAX >> (64 - width + is_signed);
    uint64_t limit, integer = 0, rest = 0;

    if (a.kind == FPU_KIND_ZERO) {
        return 0;
    }
    if (fpu_kind_is_nan(a.kind)) {
        *flags |= FPU_NV;
        return max;
    }
    limit = !a.sign ? max : is_signed ? max + 1 : 0;
    if (a.kind == FPU_KIND_INF || a.exp > 63) {
        *flags |= FPU_NV;
        return a.sign ? -limit : limit;
    }
    if (a.exp == 63) {
        integer = a.sig;
    } else {
        /* Integer part, and a fraction of 64 places. */
        uint128 fixed =
            fpu_shift_sticky_u128((uint128)a.sig << 64, 63 - a.exp);

        integer = (uint64_t)(fixed >> 64);
        /* To the form that fpu_rounds_up() takes, the places made sticky. */
        rest = fpu_shift_sticky_u64((uint64_t)fixed, 2);
        integer += fpu_rounds_up((integer & 1) << 62 | rest, 62, a.sign, rm);
    }
    if (integer > limit) {
        *flags |= FPU_NV;
        return a.sign ? -limit : limit;
    }
    if (rest) {
        *flags |= FPU_NX;
    }
    return a.sign ? -integer : integer;
}

FPU_INLINE uint64_t fpu_from_integer(FpuFormat fmt, bool sign,
                                     uint64_t magnitude, FpuRound rm,
                                     uint32_t *flags)
{
    int zeros;

    if (!magnitude) {
        return 0;
    }
    zeros = __builtin_clzll(magnitude);
    return fpu_round_pack(fmt, sign, 63 - zeros, magnitude << zeros, rm, flags);
}

FPU_INLINE uint64_t fpu_sext_w(uint64_t a)
{
    return (uint64_t)(int64_t)(int32_t)a;
}

uint64_t fpu_s_to_w_exact(uint32_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_sext_w(fpu_to_integer(FPU_FORMAT_S, a, 32, true, rm, flags));
}

uint64_t fpu_s_to_wu_exact(uint32_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_sext_w(fpu_to_integer(FPU_FORMAT_S, a, 32, false, rm, flags));
}

uint64_t fpu_s_to_l_exact(uint32_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_to_integer(FPU_FORMAT_S, a, 64, true, rm, flags);
}

uint64_t fpu_s_to_lu_exact(uint32_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_to_integer(FPU_FORMAT_S, a, 64, false, rm, flags);
}

uint64_t fpu_d_to_w_exact(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_sext_w(fpu_to_integer(FPU_FORMAT_D, a, 32, true, rm, flags));
}

uint64_t fpu_d_to_wu_exact(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_sext_w(fpu_to_integer(FPU_FORMAT_D, a, 32, false, rm, flags));
}

uint64_t fpu_d_to_l_exact(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_to_integer(FPU_FORMAT_D, a, 64, true, rm, flags);
}

uint64_t fpu_d_to_lu_exact(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_to_integer(FPU_FORMAT_D, a, 64, false, rm, flags);
}

uint32_t fpu_l_to_s_exact(int64_t a, FpuRound rm, uint32_t *flags)
{
    uint64_t magnitude = a < 0 ? -(uint64_t)a : (uint64_t)a;

    return (uint32_t)fpu_from_integer(FPU_FORMAT_S, a < 0, magnitude, rm,
                                      flags);
}

uint32_t fpu_lu_to_s_exact(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return (uint32_t)fpu_from_integer(FPU_FORMAT_S, false, a, rm, flags);
}

uint64_t fpu_l_to_d_exact(int64_t a, FpuRound rm, uint32_t *flags)
{
    uint64_t magnitude = a < 0 ? -(uint64_t)a : (uint64_t)a;

    return fpu_from_integer(FPU_FORMAT_D, a < 0, magnitude, rm, flags);
}

uint64_t fpu_lu_to_d_exact(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return fpu_from_integer(FPU_FORMAT_D, false, a, rm, flags);
}

/* Between the precisions; into the wider one nothing is ever rounded. */
FPU_INLINE uint64_t fpu_convert(FpuFormat to, FpuFormat from, uint64_t bits,
                                FpuRound rm, uint32_t *flags)
{
    FpuNumber a = fpu_unpack(from, bits);

    switch (a.kind) {
    case FPU_KIND_ZERO:
        return fpu_sign_bit(to, a.sign);
    case FPU_KIND_FINITE:
        return fpu_round_pack(to, a.sign, a.exp, a.sig, rm, flags);
    case FPU_KIND_INF:
        return fpu_infinity(to, a.sign);
    case FPU_KIND_SNAN:
        return fpu_invalid(to, flags);
    case FPU_KIND_QNAN:
        break;
    }
    return fpu_canonical_nan(to);
}

uint32_t fpu_d_to_s_exact(uint64_t a, FpuRound rm, uint32_t *flags)
{
    return (uint32_t)fpu_convert(FPU_FORMAT_S, FPU_FORMAT_D, a, rm, flags);
}

uint64_t fpu_s_to_d_exact(uint32_t a, uint32_t *flags)
{
    return fpu_convert(FPU_FORMAT_D, FPU_FORMAT_S, a, FPU_RNE, flags);
}
