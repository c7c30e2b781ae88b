/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The short ways of fpu.h for arithmetic, to be inlined into the interpreter.
 * Included by fpu.h only; the conventions are described there.
 *
 * When the host's result may be taken as it is (with RNE):
 * - sum: when it is finite. A finite sum has finite operands, and a subnormal
 *   or zero sum is exact, so there is neither overflow nor underflow.
 * - product, quotient: when it is finite and its magnitude is above the
 *   smallest normal number, which could be the rounding of something tiny.
 * - square root: when it is finite and not zero.
 * What remains is NX; unless it is accrued already it is found by exact
 * arithmetic, as said at each place.
 */
#ifndef TARGET_RISCV_FPU_INLINE_H
#define TARGET_RISCV_FPU_INLINE_H

#ifdef __FAST_MATH__
#error "the host's arithmetic must be that of IEEE 754"
#endif

/* Excess precision (x87) would round twice. */
#if FLT_EVAL_METHOD == 0
#define FPU_HOST_ARITH 1
#else
#define FPU_HOST_ARITH 0
#endif

/* D, "NaN Boxing of Narrower Values". */
static inline uint64_t fpu_box_s(uint32_t a)
{
    return UINT64_C(0xffffffff00000000) | a;
}

static inline uint32_t fpu_unbox_s(uint64_t a)
{
    return (a >> 32) == UINT32_MAX ? (uint32_t)a : FPU_NAN_S;
}

static inline float fpu_host_s(uint32_t a)
{
    float f;

    memcpy(&f, &a, sizeof(f));
    return f;
}

static inline uint32_t fpu_bits_s(float f)
{
    uint32_t a;

    memcpy(&a, &f, sizeof(a));
    return a;
}

static inline double fpu_host_d(uint64_t a)
{
    double f;

    memcpy(&f, &a, sizeof(f));
    return f;
}

static inline uint64_t fpu_bits_d(double f)
{
    uint64_t a;

    memcpy(&a, &f, sizeof(a));
    return a;
}

static inline bool fpu_is_finite_s(uint32_t a)
{
    return (a & 0x7f800000) != 0x7f800000;
}

static inline bool fpu_is_finite_d(uint64_t a)
{
    return (a & UINT64_C(0x7ff0000000000000)) != UINT64_C(0x7ff0000000000000);
}

static inline bool fpu_is_nan_s(uint32_t a)
{
    return (a & 0x7fffffff) > 0x7f800000;
}

static inline bool fpu_is_nan_d(uint64_t a)
{
    return (a & ~FPU_SIGN_D) > UINT64_C(0x7ff0000000000000);
}

static inline bool fpu_is_snan_s(uint32_t a)
{
    return fpu_is_nan_s(a) && !(a & 0x00400000);
}

static inline bool fpu_is_snan_d(uint64_t a)
{
    return fpu_is_nan_d(a) && !(a & UINT64_C(0x0008000000000000));
}

/* Finite, and in a binade above that of the smallest normal number. */
static inline bool fpu_is_ordinary_s(uint32_t a)
{
    return (uint32_t)((a << 1) - (UINT32_C(2) << 24)) < (UINT32_C(253) << 24);
}

static inline bool fpu_is_ordinary_d(uint64_t a)
{
    return (uint64_t)((a << 1) - (UINT64_C(2) << 53)) < (UINT64_C(2045) << 53);
}

/* Significand and biased exponent of a normal number. */
static inline uint64_t fpu_sig_d(uint64_t a)
{
    return (a & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x0010000000000000);
}

static inline int fpu_exp_d(uint64_t a)
{
    return (int)(a >> 52) & 0x7ff;
}

/*
 * F, "Single-Precision Floating-Point Computational Instructions". The error
 * of a sum is itself a floating-point number and comes out of five more
 * additions, as long as none of them overflows.
 */
static inline uint32_t fpu_add_s(uint32_t a, uint32_t b, FpuRound rm,
                                 uint32_t *flags)
{
    if (FPU_HOST_ARITH && rm == FPU_RNE) {
        float x = fpu_host_s(a), y = fpu_host_s(b), sum = x + y;
        uint32_t res = fpu_bits_s(sum);

        if (fpu_is_finite_s(res)) {
            float y_part, error;

            if (*flags & FPU_NX) {
                return res;
            }
            y_part = sum - x;
            error = (x - (sum - y_part)) + (y - y_part);
            if (error == 0) {
                return res;
            }
            if (fpu_is_finite_s(fpu_bits_s(error))) {
                *flags |= FPU_NX;
                return res;
            }
        }
    }
    return fpu_add_s_exact(a, b, rm, flags);
}

static inline uint64_t fpu_add_d(uint64_t a, uint64_t b, FpuRound rm,
                                 uint32_t *flags)
{
    if (FPU_HOST_ARITH && rm == FPU_RNE) {
        double x = fpu_host_d(a), y = fpu_host_d(b), sum = x + y;
        uint64_t res = fpu_bits_d(sum);

        if (fpu_is_finite_d(res)) {
            double y_part, error;

            if (*flags & FPU_NX) {
                return res;
            }
            y_part = sum - x;
            error = (x - (sum - y_part)) + (y - y_part);
            if (error == 0) {
                return res;
            }
            if (fpu_is_finite_d(fpu_bits_d(error))) {
                *flags |= FPU_NX;
                return res;
            }
        }
    }
    return fpu_add_d_exact(a, b, rm, flags);
}

static inline uint32_t fpu_sub_s(uint32_t a, uint32_t b, FpuRound rm,
                                 uint32_t *flags)
{
    return fpu_add_s(a, b ^ FPU_SIGN_S, rm, flags);
}

static inline uint64_t fpu_sub_d(uint64_t a, uint64_t b, FpuRound rm,
                                 uint32_t *flags)
{
    return fpu_add_d(a, b ^ FPU_SIGN_D, rm, flags);
}

/* The product of two singles is exact as a double. */
static inline uint32_t fpu_mul_s(uint32_t a, uint32_t b, FpuRound rm,
                                 uint32_t *flags)
{
    if (FPU_HOST_ARITH && rm == FPU_RNE) {
        double product = (double)fpu_host_s(a) * (double)fpu_host_s(b);
        float rounded = (float)product;
        uint32_t res = fpu_bits_s(rounded);

        if (fpu_is_ordinary_s(res)) {
            if ((double)rounded != product) {
                *flags |= FPU_NX;
            }
            return res;
        }
    }
    return fpu_mul_s_exact(a, b, rm, flags);
}

/*
 * The significands' product has as many trailing zeros as the two have
 * together, and 105 digits or 106 as the exponent tells; 53 can stay.
 */
static inline uint64_t fpu_mul_d(uint64_t a, uint64_t b, FpuRound rm,
                                 uint32_t *flags)
{
    if (FPU_HOST_ARITH && rm == FPU_RNE) {
        uint64_t res = fpu_bits_d(fpu_host_d(a) * fpu_host_d(b));

        if (fpu_is_ordinary_d(res)) {
            int exp_a = fpu_exp_d(a), exp_b = fpu_exp_d(b);

            if (*flags & FPU_NX) {
                return res;
            }
            if (exp_a && exp_b) {
                int zeros = __builtin_ctzll(fpu_sig_d(a)) +
                            __builtin_ctzll(fpu_sig_d(b));
                int carry = fpu_exp_d(res) - (exp_a + exp_b - 1023);

                if (zeros < 52 + carry) {
                    *flags |= FPU_NX;
                }
                return res;
            }
        }
    }
    return fpu_mul_d_exact(a, b, rm, flags);
}

/* A quotient is exact when multiplying it back gives the dividend. */
static inline uint32_t fpu_div_s(uint32_t a, uint32_t b, FpuRound rm,
                                 uint32_t *flags)
{
    if (FPU_HOST_ARITH && rm == FPU_RNE) {
        float x = fpu_host_s(a), y = fpu_host_s(b), quotient = x / y;
        uint32_t res = fpu_bits_s(quotient);

        if (fpu_is_ordinary_s(res)) {
            if ((double)quotient * (double)y != (double)x) {
                *flags |= FPU_NX;
            }
            return res;
        }
    }
    return fpu_div_s_exact(a, b, rm, flags);
}

static inline uint64_t fpu_div_d(uint64_t a, uint64_t b, FpuRound rm,
                                 uint32_t *flags)
{
    if (FPU_HOST_ARITH && rm == FPU_RNE) {
        uint64_t res = fpu_bits_d(fpu_host_d(a) / fpu_host_d(b));

        if (fpu_is_ordinary_d(res)) {
            if (*flags & FPU_NX) {
                return res;
            }
            if (fpu_exp_d(a) && fpu_exp_d(b)) {
                unsigned __int128 back =
                    (unsigned __int128)fpu_sig_d(res) * fpu_sig_d(b);
                unsigned __int128 want = (unsigned __int128)fpu_sig_d(a) << 52;

                if (back != want && back != want << 1) {
                    *flags |= FPU_NX;
                }
                return res;
            }
        }
    }
    return fpu_div_d_exact(a, b, rm, flags);
}

static inline uint32_t fpu_sqrt_s(uint32_t a, FpuRound rm, uint32_t *flags)
{
    /* Normal and positive: others are rare or special. */
    if (FPU_HOST_ARITH && rm == FPU_RNE && a - 0x00800000 < 0x7f000000) {
        float x = fpu_host_s(a), root = __builtin_sqrtf(x);

        if ((double)root * (double)root != (double)x) {
            *flags |= FPU_NX;
        }
        return fpu_bits_s(root);
    }
    return fpu_sqrt_s_exact(a, rm, flags);
}

static inline uint64_t fpu_sqrt_d(uint64_t a, FpuRound rm, uint32_t *flags)
{
    if (FPU_HOST_ARITH && rm == FPU_RNE &&
        a - UINT64_C(0x0010000000000000) < UINT64_C(0x7fe0000000000000)) {
        uint64_t res = fpu_bits_d(__builtin_sqrt(fpu_host_d(a)));

        if (!(*flags & FPU_NX)) {
            uint64_t sig = fpu_sig_d(res);
            unsigned __int128 back = (unsigned __int128)sig * sig;
            unsigned __int128 want = (unsigned __int128)fpu_sig_d(a) << 52;

            if (back != want && back != want << 1) {
                *flags |= FPU_NX;
            }
        }
        return res;
    }
    return fpu_sqrt_d_exact(a, rm, flags);
}

static inline uint32_t fpu_madd_s(uint32_t a, uint32_t b, uint32_t c,
                                  FpuRound rm, uint32_t *flags)
{
    return fpu_fma_s(a, b, c, rm, flags);
}

static inline uint32_t fpu_msub_s(uint32_t a, uint32_t b, uint32_t c,
                                  FpuRound rm, uint32_t *flags)
{
    return fpu_fma_s(a, b, c ^ FPU_SIGN_S, rm, flags);
}

static inline uint32_t fpu_nmsub_s(uint32_t a, uint32_t b, uint32_t c,
                                   FpuRound rm, uint32_t *flags)
{
    return fpu_fma_s(a ^ FPU_SIGN_S, b, c, rm, flags);
}

static inline uint32_t fpu_nmadd_s(uint32_t a, uint32_t b, uint32_t c,
                                   FpuRound rm, uint32_t *flags)
{
    return fpu_fma_s(a ^ FPU_SIGN_S, b, c ^ FPU_SIGN_S, rm, flags);
}

static inline uint64_t fpu_madd_d(uint64_t a, uint64_t b, uint64_t c,
                                  FpuRound rm, uint32_t *flags)
{
    return fpu_fma_d(a, b, c, rm, flags);
}

static inline uint64_t fpu_msub_d(uint64_t a, uint64_t b, uint64_t c,
                                  FpuRound rm, uint32_t *flags)
{
    return fpu_fma_d(a, b, c ^ FPU_SIGN_D, rm, flags);
}

static inline uint64_t fpu_nmsub_d(uint64_t a, uint64_t b, uint64_t c,
                                   FpuRound rm, uint32_t *flags)
{
    return fpu_fma_d(a ^ FPU_SIGN_D, b, c, rm, flags);
}

static inline uint64_t fpu_nmadd_d(uint64_t a, uint64_t b, uint64_t c,
                                   FpuRound rm, uint32_t *flags)
{
    return fpu_fma_d(a ^ FPU_SIGN_D, b, c ^ FPU_SIGN_D, rm, flags);
}

#endif
