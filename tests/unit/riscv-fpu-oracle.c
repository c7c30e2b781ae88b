/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See riscv-fpu-oracle.h. */
#include <fenv.h>
#include <glib.h>
#include <math.h>

#include "riscv-fpu-oracle.h"

#if defined(__SIZEOF_FLOAT128__)
typedef __float128 Quad;
#define HAVE_QUAD 1
#elif LDBL_MANT_DIG == 113
typedef long double Quad;
#define HAVE_QUAD 1
#else
#define HAVE_QUAD 0
#endif

static uint32_t host_flags(void)
{
    int raised = fetestexcept(FE_ALL_EXCEPT);

    return (raised & FE_INEXACT ? NX : 0) | (raised & FE_UNDERFLOW ? UF : 0) |
           (raised & FE_OVERFLOW ? OF : 0) | (raised & FE_DIVBYZERO ? DZ : 0) |
           (raised & FE_INVALID ? NV : 0);
}

/* Whether this host detects tininess after rounding, as RISC-V does. */
static bool host_tiny_after(void)
{
    volatile double x = fpu_host_d(UINT64_C(0x3feffffffffffffe));
    volatile double y = fpu_host_d(MIN_NORMAL_D + 1), product;

    feclearexcept(FE_ALL_EXCEPT);
    product = x * y;
    (void)product;
    return !(host_flags() & UF);
}

static uint64_t oracle_single(Op op, uint64_t a, uint64_t b, uint64_t c)
{
    volatile float x = fpu_host_s((uint32_t)a), y = fpu_host_s((uint32_t)b);
    volatile float z = fpu_host_s((uint32_t)c), res;

    switch (op) {
    case ADD_S: res = x + y; break;
    case SUB_S: res = x - y; break;
    case MUL_S: res = x * y; break;
    case DIV_S: res = x / y; break;
    case SQRT_S: res = sqrtf(x); break;
    case MADD_S: res = fmaf(x, y, z); break;
    case MSUB_S: res = fmaf(x, y, -z); break;
    case NMSUB_S: res = fmaf(-x, y, z); break;
    case NMADD_S: res = fmaf(-x, y, -z); break;
    case W_TO_S: res = (float)(volatile int32_t){(int32_t)a}; break;
    case WU_TO_S: res = (float)(volatile int64_t){(uint32_t)a}; break;
    case L_TO_S: res = (float)(volatile int64_t){(int64_t)a}; break;
    case D_TO_S: res = (float)(volatile double){fpu_host_d(a)}; break;
    default: g_assert_not_reached();
    }
    return isnan(res) ? FPU_NAN_S : fpu_bits_s(res);
}

static uint64_t oracle_double(Op op, uint64_t a, uint64_t b, uint64_t c)
{
    volatile double x = fpu_host_d(a), y = fpu_host_d(b), z = fpu_host_d(c);
    volatile double res;

    switch (op) {
    case ADD_D: res = x + y; break;
    case SUB_D: res = x - y; break;
    case MUL_D: res = x * y; break;
    case DIV_D: res = x / y; break;
    case SQRT_D: res = sqrt(x); break;
    case MADD_D: res = fma(x, y, z); break;
    case MSUB_D: res = fma(x, y, -z); break;
    case NMSUB_D: res = fma(-x, y, z); break;
    case NMADD_D: res = fma(-x, y, -z); break;
    case W_TO_D: res = (double)(volatile int32_t){(int32_t)a}; break;
    case WU_TO_D: res = (double)(volatile int64_t){(uint32_t)a}; break;
    case L_TO_D: res = (double)(volatile int64_t){(int64_t)a}; break;
    case S_TO_D: res = (double)(volatile float){fpu_host_s((uint32_t)a)}; break;
    default: g_assert_not_reached();
    }
    return isnan(res) ? FPU_NAN_D : fpu_bits_d(res);
}

/* Not inlined: what compilers make of it holds in the default mode only. */
static double (*volatile host_rint)(double) = rint;

/* To integers by rint() and comparisons, where everything is exact. */
static uint64_t oracle_to_integer(Op op, uint64_t a, FpuRound rm,
                                  uint32_t *flags)
{
    static const struct {
        double low, high;
        uint64_t min, max;
    } limits[] = {
        {-0x1p31, 0x1p31, UINT64_C(0xffffffff80000000), 0x7fffffff},
        {0, 0x1p32, 0, UINT64_MAX},
        {-0x1p63, 0x1p63, FPU_SIGN_D, INT64_MAX},
        {0, 0x1p64, 0, UINT64_MAX},
    };
    int kind = (op - S_TO_W) % 4;
    volatile double x = op_is_single(op) ? (double)fpu_host_s((uint32_t)a)
                                         : fpu_host_d(a);
    volatile double rounded = rm == FPU_RMM ? round(x) : host_rint(x);
    uint64_t res;

    *flags = 0;
    if (!(rounded >= limits[kind].low && rounded < limits[kind].high)) {
        *flags = NV;
        return rounded < 0 ? limits[kind].min : limits[kind].max;
    }
    if (rounded != x) {
        *flags = NX;
    }
    res = rounded >= 0x1p63 ? (uint64_t)(int64_t)(rounded - 0x1p63) ^ FPU_SIGN_D
                            : (uint64_t)(int64_t)rounded;
    return kind == 1 ? (uint64_t)(int64_t)(int32_t)res : res;
}

#if HAVE_QUAD

static Quad quad_of(bool single, uint64_t bits)
{
    return single ? (Quad)fpu_host_s((uint32_t)bits) : (Quad)fpu_host_d(bits);
}

static int quad_sign(Quad x)
{
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

/* The sign of x + y - limit, exactly: the error of x + y is a Quad too. */
static int quad_sum_compare(Quad x, Quad y, Quad limit)
{
    volatile Quad sum = x + y, y_part = sum - x;
    Quad error = (x - (sum - y_part)) + (y - y_part);
    int sign = quad_sign(sum - limit);

    return sign ? sign : quad_sign(error);
}

/* Compares the magnitude of an operation's true result with limit > 0. */
static int compare_magnitude(Op op, uint64_t a, uint64_t b, uint64_t c,
                             bool negative, Quad limit)
{
    bool single = op_is_single(op);
    Quad x = quad_of(single, a), y = quad_of(single, b), z = quad_of(single, c);
    int flip = negative ? -1 : 1;
    Quad bound = negative ? -limit : limit;

    switch (op) {
    case ADD_S: case ADD_D:
        return flip * quad_sum_compare(x, y, bound);
    case SUB_S: case SUB_D:
        return flip * quad_sum_compare(x, -y, bound);
    case MUL_S: case MUL_D:
        return flip * quad_sign(x * y - bound);
    case DIV_S: case DIV_D:
        return flip * quad_sign(x - bound * y) * (y < 0 ? -1 : 1);
    case SQRT_S: case SQRT_D:
        return quad_sign(x - limit * limit);
    case MADD_S: case MADD_D:
        return flip * quad_sum_compare(x * y, z, bound);
    case MSUB_S: case MSUB_D:
        return flip * quad_sum_compare(x * y, -z, bound);
    case NMSUB_S: case NMSUB_D:
        return flip * quad_sum_compare(-x * y, z, bound);
    case NMADD_S: case NMADD_D:
        return flip * quad_sum_compare(-x * y, -z, bound);
    case W_TO_S: case W_TO_D:
        return flip * quad_sign((Quad)(int32_t)a - bound);
    case WU_TO_S: case WU_TO_D:
        return flip * quad_sign((Quad)(uint32_t)a - bound);
    case L_TO_S: case L_TO_D:
        return flip * quad_sign((Quad)(int64_t)a - bound);
    case LU_TO_S: case LU_TO_D:
        return flip * quad_sign((Quad)a - bound);
    case D_TO_S: case S_TO_D:
        return flip * quad_sign(x - bound);
    default:
        g_assert_not_reached();
    }
}

/* From the result and flags under RTZ to those under RMM. */
static uint64_t oracle_rmm(Op op, uint64_t a, uint64_t b, uint64_t c,
                           uint64_t towards_zero, uint32_t *flags)
{
    bool single = (op_is_single(op) && op != S_TO_D) || op == D_TO_S ||
                  (op >= W_TO_S && op <= LU_TO_S);
    uint64_t sign = single ? FPU_SIGN_S : FPU_SIGN_D;
    uint64_t inf = single ? INF_S : INF_D;
    uint64_t magnitude = towards_zero & ~sign, res = towards_zero;
    bool negative = towards_zero & sign;
    Quad low = quad_of(single, magnitude), high, tiny;

    if (!(*flags & NX)) {
        return towards_zero;
    }
    /* As if the greatest number were followed by another of its binade. */
    high = magnitude + 1 == inf ? low + (low - quad_of(single, magnitude - 1))
                                : quad_of(single, magnitude + 1);
    *flags &= ~(uint32_t)UF;
    if (!(*flags & OF) &&
        compare_magnitude(op, a, b, c, negative, (low + high) / 2) >= 0) {
        res++;
        if (magnitude + 1 == inf) {
            *flags |= OF;
        }
    } else if (*flags & OF) {
        res++;
    }
    /* Half a place below the smallest normal number, with its precision. */
    tiny = single ? (Quad)0x1p-126 - (Quad)0x1p-151
                  : (Quad)0x1p-1022 - (Quad)0x1p-1022 * (Quad)0x1p-54;
    if (magnitude < (single ? 0x800000 : MIN_NORMAL_D) &&
        compare_magnitude(op, a, b, c, negative, tiny) < 0) {
        *flags |= UF;
    }
    return res;
}

#endif

bool oracle(Op op, FpuRound rm, uint64_t a, uint64_t b, uint64_t c,
            uint64_t *res, uint32_t *flags)
{
    static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD,
                                FE_UPWARD, FE_TOWARDZERO};
    bool to_single = op < ADD_D || op == D_TO_S || (op >= W_TO_S &&
                                                    op <= LU_TO_S);

    if ((op == LU_TO_S || op == LU_TO_D) && (int64_t)a < 0) {
        /* Hosts differ in what they do here; half of it, made odd, does. */
        uint64_t half = a >> 1 | (a & 1);

        if (!oracle(op, rm, half, 0, 0, res, flags)) {
            return false;
        }
        *res += to_single ? UINT64_C(1) << 23 : UINT64_C(1) << 52;
        return true;
    }
    op = op == LU_TO_S ? L_TO_S : op == LU_TO_D ? L_TO_D : op;
    fesetround(modes[rm]);
    feclearexcept(FE_ALL_EXCEPT);
    if (op_is_to_integer(op)) {
        *res = oracle_to_integer(op, a, rm, flags);
        fesetround(FE_TONEAREST);
        return true;
    }
    *res = to_single ? oracle_single(op, a, b, c) : oracle_double(op, a, b, c);
    *flags = host_flags();
    fesetround(FE_TONEAREST);
    if ((op >= MADD_S && op <= NMADD_S) || (op >= MADD_D && op <= NMADD_D)) {
        bool narrow = op <= NMADD_S;
        uint64_t x = fpu_class_d(a), y = fpu_class_d(b);
        const uint64_t inf = FPU_CLASS_NEG_INF | FPU_CLASS_POS_INF;
        const uint64_t zero = FPU_CLASS_NEG_ZERO | FPU_CLASS_POS_ZERO;

        if (narrow) {
            x = fpu_class_s((uint32_t)a);
            y = fpu_class_s((uint32_t)b);
        }
        /* Left open by IEEE 754-2019 7.2 c, laid down by RISC-V. */
        if ((x & inf && y & zero) || (x & zero && y & inf)) {
            *flags |= NV;
        }
    }
    if (rm == FPU_RMM) {
#if HAVE_QUAD
        *res = oracle_rmm(op, a, b, c, *res, flags);
#else
        return false;
#endif
    }
    return !(*flags & NX) || host_tiny_after();
}
