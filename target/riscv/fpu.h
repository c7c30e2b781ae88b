/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arithmetic of the RISC-V F and D extensions, version 2.2 ("F" and "D"
 * chapters of the unprivileged specification, below called F and D with the
 * section's title). All functions are pure but for the accrued flags: they may
 * be called from any thread, take no lock and keep no state.
 *
 * Conventions
 * - Operands and results are bit patterns: uint32_t for single (suffix _s),
 *   uint64_t for double (_d). A single in an f register is NaN-boxed (D,
 *   "NaN Boxing of Narrower Values"): callers use fpu_unbox_s() and
 *   fpu_box_s().
 * - rm is a resolved rounding mode: callers look DYN up in frm, and raise an
 *   illegal-instruction exception for the reserved encodings 5 and 6 and for
 *   a reserved frm, before calling (F, "Floating-Point Control and Status
 *   Register").
 * - flags points to the accrued flags, the low five bits of fcsr. They are
 *   only ever added to. What is already set there makes work cheaper: an
 *   operation that need not find out whether it is inexact does not.
 * - A NaN result is always the canonical one (F, "NaN Generation and
 *   Propagation"). Tininess is detected after rounding (F, "Subnormal
 *   Arithmetic").
 *
 * How it works: with RNE and an ordinary result the host's own arithmetic is
 * used, in its default environment, and whether the result is exact is found
 * by arithmetic instead of reading the host's flags. The host's rounding mode
 * and flags are therefore never read nor written here, and the compiler is
 * free to schedule. Anything else goes to the exact integer implementation
 * (fpu_*_exact), which gives the same results for every operand on any host.
 * Nothing on the host's side is counted on but IEEE 754 arithmetic without
 * excess precision, without contraction and without flushing of subnormals.
 */
#ifndef TARGET_RISCV_FPU_H
#define TARGET_RISCV_FPU_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* F, "Floating-Point Control and Status Register", table of rounding modes. */
typedef enum FpuRound {
    FPU_RNE = 0, /* to nearest, ties to even */
    FPU_RTZ = 1, /* towards zero */
    FPU_RDN = 2, /* down */
    FPU_RUP = 3, /* up */
    FPU_RMM = 4, /* to nearest, ties to the greater magnitude */
} FpuRound;

/* Same section, table of accrued exception flags. */
enum {
    FPU_NX = 1 << 0, /* inexact */
    FPU_UF = 1 << 1, /* underflow */
    FPU_OF = 1 << 2, /* overflow */
    FPU_DZ = 1 << 3, /* divide by zero */
    FPU_NV = 1 << 4, /* invalid operation */
};

/* F, "Floating-Point Classify Instruction": bits of the result. */
enum {
    FPU_CLASS_NEG_INF = 1 << 0,
    FPU_CLASS_NEG_NORMAL = 1 << 1,
    FPU_CLASS_NEG_SUBNORMAL = 1 << 2,
    FPU_CLASS_NEG_ZERO = 1 << 3,
    FPU_CLASS_POS_ZERO = 1 << 4,
    FPU_CLASS_POS_SUBNORMAL = 1 << 5,
    FPU_CLASS_POS_NORMAL = 1 << 6,
    FPU_CLASS_POS_INF = 1 << 7,
    FPU_CLASS_SNAN = 1 << 8,
    FPU_CLASS_QNAN = 1 << 9,
};

/* F, "NaN Generation and Propagation". */
#define FPU_NAN_S UINT32_C(0x7fc00000)
#define FPU_NAN_D UINT64_C(0x7ff8000000000000)
#define FPU_SIGN_S UINT32_C(0x80000000)
#define FPU_SIGN_D UINT64_C(0x8000000000000000)

/*
 * The exact integer implementation. fpu_fma_* is a * b + c with one rounding;
 * infinity times zero is invalid even where c is a quiet NaN (F,
 * "Single-Precision Floating-Point Computational Instructions").
 */
uint32_t fpu_add_s_exact(uint32_t a, uint32_t b, FpuRound rm, uint32_t *flags);
uint32_t fpu_mul_s_exact(uint32_t a, uint32_t b, FpuRound rm, uint32_t *flags);
uint32_t fpu_div_s_exact(uint32_t a, uint32_t b, FpuRound rm, uint32_t *flags);
uint32_t fpu_sqrt_s_exact(uint32_t a, FpuRound rm, uint32_t *flags);
uint32_t fpu_fma_s_exact(uint32_t a, uint32_t b, uint32_t c, FpuRound rm,
                         uint32_t *flags);
uint64_t fpu_add_d_exact(uint64_t a, uint64_t b, FpuRound rm, uint32_t *flags);
uint64_t fpu_mul_d_exact(uint64_t a, uint64_t b, FpuRound rm, uint32_t *flags);
uint64_t fpu_div_d_exact(uint64_t a, uint64_t b, FpuRound rm, uint32_t *flags);
uint64_t fpu_sqrt_d_exact(uint64_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_fma_d_exact(uint64_t a, uint64_t b, uint64_t c, FpuRound rm,
                         uint32_t *flags);

/*
 * Conversions to integers (F and D, "Conversion and Move Instructions"). The
 * result is what the x register gets: 32-bit results, the unsigned one too,
 * are sign-extended. What does not fit, and a NaN, saturates and raises NV
 * alone.
 */
uint64_t fpu_s_to_w_exact(uint32_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_s_to_wu_exact(uint32_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_s_to_l_exact(uint32_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_s_to_lu_exact(uint32_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_d_to_w_exact(uint64_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_d_to_wu_exact(uint64_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_d_to_l_exact(uint64_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_d_to_lu_exact(uint64_t a, FpuRound rm, uint32_t *flags);

/* Conversions from 64-bit integers and between the two precisions. */
uint32_t fpu_l_to_s_exact(int64_t a, FpuRound rm, uint32_t *flags);
uint32_t fpu_lu_to_s_exact(uint64_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_l_to_d_exact(int64_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_lu_to_d_exact(uint64_t a, FpuRound rm, uint32_t *flags);
uint32_t fpu_d_to_s_exact(uint64_t a, FpuRound rm, uint32_t *flags);
uint64_t fpu_s_to_d_exact(uint32_t a, uint32_t *flags);

/*
 * FMADD, FMSUB, FNMSUB and FNMADD after their spelling in F:
 * a * b + c, a * b - c, -(a * b) + c, -(a * b) - c. fpu_fma_* uses the host's
 * fused instruction where it has one and the result is already known to be
 * allowed to be inexact.
 */
uint32_t fpu_fma_s(uint32_t a, uint32_t b, uint32_t c, FpuRound rm,
                   uint32_t *flags);
uint64_t fpu_fma_d(uint64_t a, uint64_t b, uint64_t c, FpuRound rm,
                   uint32_t *flags);

#include "fpu-inline.h"
#include "fpu-compare.h"
#include "fpu-cast.h"

#endif
