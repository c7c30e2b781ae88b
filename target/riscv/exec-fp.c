/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating point, F and D: registers, rounding mode and FS around the
 * arithmetic of fpu.h. imm holds the rounding mode field. Hart thread.
 */
#include "exec.h"
#include "fpu.h"

/* FS is not dirty yet, or off: in the latter case the instruction is illegal. */
static __attribute__((noinline)) Insn *fs_slow(Hart *h, Insn *i, uint64_t n)
{
    if (!(h->mstatus & MSTATUS_FS)) {
        return exec_illegal(h, i, n);
    }
    h->mstatus |= MSTATUS_FS;
    h->instret = n;
    return i;
}

#define CHECK_FS                                                               \
    if (unlikely(~h->mstatus & MSTATUS_FS)) {                                  \
        CALL(fs_slow);                                                         \
    }

/* DYN (7) looks frm up, which a program may have set to a reserved mode. */
#define RESOLVE_RM                                                             \
    uint32_t rm = i->imm;                                                      \
    if (rm == 7) {                                                             \
        rm = h->frm;                                                           \
    }                                                                          \
    if (unlikely(rm > FPU_RMM)) {                                              \
        CALL(exec_illegal);                                                    \
    }

#define S(reg) fpu_unbox_s(h->f[i->reg])
#define D(reg) (h->f[i->reg])
#define BOX_S fpu_box_s
#define BOX_D(v) (v)
#define FLAGS (&h->fflags)

/* To an f register; with and without a rounding mode. */
#define FP_ROUNDED(name, value)                                                \
    OP_LONG(name, CHECK_FS RESOLVE_RM h->f[i->rd] = (value); NEXT(i + LEN);)
#define FP_PLAIN(name, value)                                                  \
    OP_LONG(name, CHECK_FS h->f[i->rd] = (value); NEXT(i + LEN);)
/* To an x register. */
#define FP_TO_X_ROUNDED(name, value)                                           \
    OP_LONG(name, CHECK_FS RESOLVE_RM RD = (value); NEXT(i + LEN);)
#define FP_TO_X(name, value)                                                   \
    OP_LONG(name, CHECK_FS RD = (value); NEXT(i + LEN);)

#define FP_ARITH(name)                                                         \
    FP_ROUNDED(f##name##_s,                                                    \
               BOX_S(fpu_##name##_s(S(rs1), S(rs2), (FpuRound)rm, FLAGS)))     \
    FP_ROUNDED(f##name##_d,                                                    \
               fpu_##name##_d(D(rs1), D(rs2), (FpuRound)rm, FLAGS))

FP_ARITH(add)
FP_ARITH(sub)
FP_ARITH(mul)
FP_ARITH(div)

FP_ROUNDED(fsqrt_s, BOX_S(fpu_sqrt_s(S(rs1), (FpuRound)rm, FLAGS)))
FP_ROUNDED(fsqrt_d, fpu_sqrt_d(D(rs1), (FpuRound)rm, FLAGS))

#define FP_FUSED(name)                                                         \
    FP_ROUNDED(f##name##_s, BOX_S(fpu_##name##_s(S(rs1), S(rs2), S(rs3),       \
                                                 (FpuRound)rm, FLAGS)))        \
    FP_ROUNDED(f##name##_d, fpu_##name##_d(D(rs1), D(rs2), D(rs3),             \
                                           (FpuRound)rm, FLAGS))

FP_FUSED(madd)
FP_FUSED(msub)
FP_FUSED(nmsub)
FP_FUSED(nmadd)

#define FP_SIGN(name)                                                          \
    FP_PLAIN(f##name##_s, BOX_S(fpu_##name##_s(S(rs1), S(rs2))))               \
    FP_PLAIN(f##name##_d, fpu_##name##_d(D(rs1), D(rs2)))

FP_SIGN(sgnj)
FP_SIGN(sgnjn)
FP_SIGN(sgnjx)

#define FP_SELECT(name)                                                        \
    FP_PLAIN(f##name##_s, BOX_S(fpu_##name##_s(S(rs1), S(rs2), FLAGS)))        \
    FP_PLAIN(f##name##_d, fpu_##name##_d(D(rs1), D(rs2), FLAGS))

FP_SELECT(min)
FP_SELECT(max)

#define FP_COMPARE(name)                                                       \
    FP_TO_X(f##name##_s, fpu_##name##_s(S(rs1), S(rs2), FLAGS))                \
    FP_TO_X(f##name##_d, fpu_##name##_d(D(rs1), D(rs2), FLAGS))

FP_COMPARE(eq)
FP_COMPARE(lt)
FP_COMPARE(le)

FP_TO_X(fclass_s, fpu_class_s(S(rs1)))
FP_TO_X(fclass_d, fpu_class_d(D(rs1)))
FP_TO_X(fmv_x_w, SEXT_W(D(rs1)))
FP_TO_X(fmv_x_d, D(rs1))
FP_PLAIN(fmv_w_x, BOX_S((uint32_t)RS1))
FP_PLAIN(fmv_d_x, RS1)

/* Conversions to integers, from integers, and between the two. */
#define FP_TO_INT(to)                                                          \
    FP_TO_X_ROUNDED(fcvt_##to##_s,                                             \
                    fpu_s_to_##to(S(rs1), (FpuRound)rm, FLAGS))                \
    FP_TO_X_ROUNDED(fcvt_##to##_d,                                             \
                    fpu_d_to_##to(D(rs1), (FpuRound)rm, FLAGS))

FP_TO_INT(w)
FP_TO_INT(wu)
FP_TO_INT(l)
FP_TO_INT(lu)

FP_ROUNDED(fcvt_s_w, BOX_S(fpu_w_to_s(RS1, (FpuRound)rm, FLAGS)))
FP_ROUNDED(fcvt_s_wu, BOX_S(fpu_wu_to_s(RS1, (FpuRound)rm, FLAGS)))
FP_ROUNDED(fcvt_s_l, BOX_S(fpu_l_to_s(RS1, (FpuRound)rm, FLAGS)))
FP_ROUNDED(fcvt_s_lu, BOX_S(fpu_lu_to_s(RS1, (FpuRound)rm, FLAGS)))
FP_ROUNDED(fcvt_d_w, fpu_w_to_d(RS1))
FP_ROUNDED(fcvt_d_wu, fpu_wu_to_d(RS1))
FP_ROUNDED(fcvt_d_l, fpu_l_to_d(RS1, (FpuRound)rm, FLAGS))
FP_ROUNDED(fcvt_d_lu, fpu_lu_to_d(RS1, (FpuRound)rm, FLAGS))
FP_ROUNDED(fcvt_s_d, BOX_S(fpu_d_to_s(D(rs1), (FpuRound)rm, FLAGS)))
FP_ROUNDED(fcvt_d_s, fpu_s_to_d(S(rs1), FLAGS))
