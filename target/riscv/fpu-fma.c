/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fused multiply-add by the host's instruction where there is one. What the C
 * library does without one costs more than the exact implementation here.
 * Entered by any thread; no lock.
 */
#include "fpu.h"

#if FPU_HOST_ARITH && defined(__x86_64__) && defined(__GNUC__)

__attribute__((target("fma"))) static float host_fma_s(float a, float b,
                                                       float c)
{
    return __builtin_fmaf(a, b, c);
}

__attribute__((target("fma"))) static double host_fma_d(double a, double b,
                                                        double c)
{
    return __builtin_fma(a, b, c);
}

static inline bool host_has_fma(void)
{
    return __builtin_cpu_supports("fma");
}

#elif FPU_HOST_ARITH && defined(FP_FAST_FMA) && defined(FP_FAST_FMAF)

static inline float host_fma_s(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

static inline double host_fma_d(double a, double b, double c)
{
    return __builtin_fma(a, b, c);
}

static inline bool host_has_fma(void)
{
    return true;
}

#else

static inline float host_fma_s(float a, float b, float c)
{
    return a * b + c;
}

static inline double host_fma_d(double a, double b, double c)
{
    return a * b + c;
}

static inline bool host_has_fma(void)
{
    return false;
}

#endif

uint32_t fpu_fma_s(uint32_t a, uint32_t b, uint32_t c, FpuRound rm,
                   uint32_t *flags)
{
    if (rm == FPU_RNE && (*flags & FPU_NX) && host_has_fma()) {
        uint32_t res = fpu_bits_s(
            host_fma_s(fpu_host_s(a), fpu_host_s(b), fpu_host_s(c)));

        if (fpu_is_ordinary_s(res)) {
            return res;
        }
    }
    return fpu_fma_s_exact(a, b, c, rm, flags);
}

uint64_t fpu_fma_d(uint64_t a, uint64_t b, uint64_t c, FpuRound rm,
                   uint32_t *flags)
{
    if (rm == FPU_RNE && (*flags & FPU_NX) && host_has_fma()) {
        uint64_t res = fpu_bits_d(
            host_fma_d(fpu_host_d(a), fpu_host_d(b), fpu_host_d(c)));

        if (fpu_is_ordinary_d(res)) {
            return res;
        }
    }
    return fpu_fma_d_exact(a, b, c, rm, flags);
}
