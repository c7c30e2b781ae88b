/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an instruction's bits to the function that carries it out and its
 * operands. One row an instruction, in tables by major opcode; encodings are
 * those of the unprivileged specification, chapter "RV32/64G Instruction Set
 * Listings", and of the extensions' own chapters. Pure.
 */
#include "exec.h"

/* Where the operands are ("Base Instruction Formats" and what is like them). */
typedef enum Format {
    F_NONE,
    F_R,            /* rd rs1 rs2 */
    F_RM,           /* rd rs1 rs2 and rounding mode */
    F_R4,           /* rd rs1 rs2 rs3 and rounding mode */
    F_I,            /* rd rs1 imm */
    F_SHIFT,        /* rd rs1 shamt */
    F_S,            /* rs1 rs2 imm */
    F_B,
    F_U,
    F_AUIPC,
    F_J,
    F_CSR,
} Format;

/* Which registers are f registers: those have no sink. */
enum {
    FP_RD = 1,
};

typedef struct Row {
    uint32_t mask, match;
    InsnFn *fn[2];              /* uncompressed, compressed */
    InsnFn *far_fn[2];          /* where the target is in another page */
    uint8_t format;
    uint8_t fp;
} Row;

#define MASK_F3 0x0000707f
#define MASK_F7 0xfe00707f
#define MASK_F6 0xfc00707f
#define MASK_RS2 0xfff0707f
#define MASK_FP 0xfe00007f
#define MASK_FP_RS2 0xfff0007f
#define MASK_R4 0x0600007f
#define MASK_AMO 0xf800707f
#define OPCODE(op) ((op) << 2 | 3)
#define BITS_F3(op, f3) (OPCODE(op) | (f3) << 12)
#define BITS_F7(op, f3, f7) (BITS_F3(op, f3) | (uint32_t)(f7) << 25)
#define BITS_RS2(op, f3, f7, rs2) (BITS_F7(op, f3, f7) | (rs2) << 20)

#define LONG(name) { op_##name##_4 }
#define BOTH(name) { op_##name##_4, op_##name##_2 }
#define ALIKE(name) { op_##name##_4, op_##name##_4 }

/* Major opcodes, bits 6..2. */
enum {
    OP_LOAD = 0x00, OP_LOAD_FP = 0x01, OP_MISC_MEM = 0x03, OP_IMM = 0x04,
    OP_AUIPC = 0x05, OP_IMM_32 = 0x06, OP_STORE = 0x08, OP_STORE_FP = 0x09,
    OP_AMO = 0x0b, OP_OP = 0x0c, OP_LUI = 0x0d, OP_OP_32 = 0x0e,
    OP_MADD = 0x10, OP_MSUB = 0x11, OP_NMSUB = 0x12, OP_NMADD = 0x13,
    OP_FP = 0x14, OP_BRANCH = 0x18, OP_JALR = 0x19, OP_JAL = 0x1b,
    OP_SYSTEM = 0x1c,
};

#define I_LONG(op, f3, name)                                                   \
    { MASK_F3, BITS_F3(op, f3), LONG(name), { 0 }, F_I, 0 }
#define I_BOTH(op, f3, name)                                                   \
    { MASK_F3, BITS_F3(op, f3), BOTH(name), { 0 }, F_I, 0 }
#define R_LONG(op, f3, f7, name)                                               \
    { MASK_F7, BITS_F7(op, f3, f7), LONG(name), { 0 }, F_R, 0 }
#define R_BOTH(op, f3, f7, name)                                               \
    { MASK_F7, BITS_F7(op, f3, f7), BOTH(name), { 0 }, F_R, 0 }
#define UNARY(op, f3, f7, rs2, name)                                           \
    { MASK_RS2, BITS_RS2(op, f3, f7, rs2), LONG(name), { 0 }, F_R, 0 }
/* Six bits of shift amount, or five. */
#define SHIFT6_LONG(op, f3, f7, name)                                          \
    { MASK_F6, BITS_F7(op, f3, f7), LONG(name), { 0 }, F_SHIFT, 0 }
#define SHIFT6_BOTH(op, f3, f7, name)                                          \
    { MASK_F6, BITS_F7(op, f3, f7), BOTH(name), { 0 }, F_SHIFT, 0 }
#define SHIFT5(op, f3, f7, name)                                               \
    { MASK_F7, BITS_F7(op, f3, f7), LONG(name), { 0 }, F_SHIFT, 0 }
#define EXACT(bits, name)                                                      \
    { 0xffffffff, bits, LONG(name), { 0 }, F_NONE, 0 }

static const Row rows_load[] = {
    I_BOTH(OP_LOAD, 3, ld),
    I_BOTH(OP_LOAD, 2, lw),
    I_LONG(OP_LOAD, 0, lb),
    I_LONG(OP_LOAD, 1, lh),
    I_LONG(OP_LOAD, 4, lbu),
    I_LONG(OP_LOAD, 5, lhu),
    I_LONG(OP_LOAD, 6, lwu),
    { 0 }
};

static const Row rows_load_fp[] = {
    { MASK_F3, BITS_F3(OP_LOAD_FP, 2), LONG(flw), { 0 }, F_I, FP_RD },
    { MASK_F3, BITS_F3(OP_LOAD_FP, 3), BOTH(fld), { 0 }, F_I, FP_RD },
    { 0 }
};

static const Row rows_store[] = {
    { MASK_F3, BITS_F3(OP_STORE, 3), BOTH(sd), { 0 }, F_S, 0 },
    { MASK_F3, BITS_F3(OP_STORE, 2), BOTH(sw), { 0 }, F_S, 0 },
    { MASK_F3, BITS_F3(OP_STORE, 0), LONG(sb), { 0 }, F_S, 0 },
    { MASK_F3, BITS_F3(OP_STORE, 1), LONG(sh), { 0 }, F_S, 0 },
    { 0 }
};

static const Row rows_store_fp[] = {
    { MASK_F3, BITS_F3(OP_STORE_FP, 2), LONG(fsw), { 0 }, F_S, 0 },
    { MASK_F3, BITS_F3(OP_STORE_FP, 3), BOTH(fsd), { 0 }, F_S, 0 },
    { 0 }
};

/*
 * pause is fence w,0. A fence whose predecessors include stores (or device
 * output) and whose successors include loads is the full one; as four bits of
 * each cannot be said with a mask, decode_insn() picks.
 */
static const Row rows_misc_mem[] = {
    EXACT(0x0100000f, pause),
    { MASK_F3, BITS_F3(OP_MISC_MEM, 0), LONG(fence), { 0 }, F_NONE, 0 },
    { MASK_F3, BITS_F3(OP_MISC_MEM, 1), LONG(fence_i), { 0 }, F_NONE, 0 },
    { 0xfff07fff, BITS_F3(OP_MISC_MEM, 2) | 0 << 20, LONG(cbo_inval), { 0 },
      F_I, 0 },
    { 0xfff07fff, BITS_F3(OP_MISC_MEM, 2) | 1 << 20, LONG(cbo_clean), { 0 },
      F_I, 0 },
    { 0xfff07fff, BITS_F3(OP_MISC_MEM, 2) | 2 << 20, LONG(cbo_flush), { 0 },
      F_I, 0 },
    { 0xfff07fff, BITS_F3(OP_MISC_MEM, 2) | 4 << 20, LONG(cbo_zero), { 0 },
      F_I, 0 },
    { 0 }
};

static const Row rows_imm[] = {
    I_BOTH(OP_IMM, 0, addi),
    I_BOTH(OP_IMM, 7, andi),
    SHIFT6_BOTH(OP_IMM, 1, 0x00, slli),
    SHIFT6_BOTH(OP_IMM, 5, 0x00, srli),
    SHIFT6_BOTH(OP_IMM, 5, 0x20, srai),
    I_LONG(OP_IMM, 2, slti),
    I_LONG(OP_IMM, 3, sltiu),
    I_LONG(OP_IMM, 4, xori),
    I_LONG(OP_IMM, 6, ori),
    UNARY(OP_IMM, 1, 0x30, 0, clz),
    UNARY(OP_IMM, 1, 0x30, 1, ctz),
    UNARY(OP_IMM, 1, 0x30, 2, cpop),
    UNARY(OP_IMM, 1, 0x30, 4, sext_b),
    UNARY(OP_IMM, 1, 0x30, 5, sext_h),
    UNARY(OP_IMM, 5, 0x14, 7, orc_b),
    UNARY(OP_IMM, 5, 0x35, 24, rev8),
    SHIFT6_LONG(OP_IMM, 5, 0x30, rori),
    SHIFT6_LONG(OP_IMM, 1, 0x24, bclri),
    SHIFT6_LONG(OP_IMM, 5, 0x24, bexti),
    SHIFT6_LONG(OP_IMM, 1, 0x34, binvi),
    SHIFT6_LONG(OP_IMM, 1, 0x14, bseti),
    { 0 }
};

static const Row rows_imm_32[] = {
    I_BOTH(OP_IMM_32, 0, addiw),
    SHIFT5(OP_IMM_32, 1, 0x00, slliw),
    SHIFT5(OP_IMM_32, 5, 0x00, srliw),
    SHIFT5(OP_IMM_32, 5, 0x20, sraiw),
    SHIFT6_LONG(OP_IMM_32, 1, 0x04, slli_uw),
    UNARY(OP_IMM_32, 1, 0x30, 0, clzw),
    UNARY(OP_IMM_32, 1, 0x30, 1, ctzw),
    UNARY(OP_IMM_32, 1, 0x30, 2, cpopw),
    SHIFT5(OP_IMM_32, 5, 0x30, roriw),
    { 0 }
};

static const Row rows_auipc[] = {
    { 0x7f, OPCODE(OP_AUIPC), LONG(auipc), { 0 }, F_AUIPC, 0 },
    { 0 }
};

static const Row rows_lui[] = {
    { 0x7f, OPCODE(OP_LUI), BOTH(li), { 0 }, F_U, 0 },
    { 0 }
};

static const Row rows_op[] = {
    R_BOTH(OP_OP, 0, 0x00, add),
    R_BOTH(OP_OP, 0, 0x20, sub),
    R_BOTH(OP_OP, 4, 0x00, xor),
    R_BOTH(OP_OP, 6, 0x00, or),
    R_BOTH(OP_OP, 7, 0x00, and),
    R_LONG(OP_OP, 1, 0x00, sll),
    R_LONG(OP_OP, 2, 0x00, slt),
    R_LONG(OP_OP, 3, 0x00, sltu),
    R_LONG(OP_OP, 5, 0x00, srl),
    R_LONG(OP_OP, 5, 0x20, sra),
    R_LONG(OP_OP, 0, 0x01, mul),
    R_LONG(OP_OP, 1, 0x01, mulh),
    R_LONG(OP_OP, 2, 0x01, mulhsu),
    R_LONG(OP_OP, 3, 0x01, mulhu),
    R_LONG(OP_OP, 4, 0x01, div),
    R_LONG(OP_OP, 5, 0x01, divu),
    R_LONG(OP_OP, 6, 0x01, rem),
    R_LONG(OP_OP, 7, 0x01, remu),
    R_LONG(OP_OP, 2, 0x10, sh1add),
    R_LONG(OP_OP, 4, 0x10, sh2add),
    R_LONG(OP_OP, 6, 0x10, sh3add),
    R_LONG(OP_OP, 7, 0x20, andn),
    R_LONG(OP_OP, 6, 0x20, orn),
    R_LONG(OP_OP, 4, 0x20, xnor),
    R_LONG(OP_OP, 4, 0x05, min),
    R_LONG(OP_OP, 5, 0x05, minu),
    R_LONG(OP_OP, 6, 0x05, max),
    R_LONG(OP_OP, 7, 0x05, maxu),
    R_LONG(OP_OP, 1, 0x30, rol),
    R_LONG(OP_OP, 5, 0x30, ror),
    R_LONG(OP_OP, 1, 0x24, bclr),
    R_LONG(OP_OP, 5, 0x24, bext),
    R_LONG(OP_OP, 1, 0x34, binv),
    R_LONG(OP_OP, 1, 0x14, bset),
    { 0 }
};

static const Row rows_op_32[] = {
    R_BOTH(OP_OP_32, 0, 0x00, addw),
    R_BOTH(OP_OP_32, 0, 0x20, subw),
    R_LONG(OP_OP_32, 1, 0x00, sllw),
    R_LONG(OP_OP_32, 5, 0x00, srlw),
    R_LONG(OP_OP_32, 5, 0x20, sraw),
    R_LONG(OP_OP_32, 0, 0x01, mulw),
    R_LONG(OP_OP_32, 4, 0x01, divw),
    R_LONG(OP_OP_32, 5, 0x01, divuw),
    R_LONG(OP_OP_32, 6, 0x01, remw),
    R_LONG(OP_OP_32, 7, 0x01, remuw),
    R_LONG(OP_OP_32, 0, 0x04, add_uw),
    R_LONG(OP_OP_32, 2, 0x10, sh1add_uw),
    R_LONG(OP_OP_32, 4, 0x10, sh2add_uw),
    R_LONG(OP_OP_32, 6, 0x10, sh3add_uw),
    UNARY(OP_OP_32, 4, 0x04, 0, zext_h),
    R_LONG(OP_OP_32, 1, 0x30, rolw),
    R_LONG(OP_OP_32, 5, 0x30, rorw),
    { 0 }
};

#define AMO(f5, f3, name)                                                      \
    { MASK_AMO, BITS_F3(OP_AMO, f3) | (uint32_t)(f5) << 27, LONG(name), { 0 }, \
      F_R, 0 }
#define AMO_BOTH_WIDTHS(f5, name) AMO(f5, 2, name##_w), AMO(f5, 3, name##_d)

static const Row rows_amo[] = {
    { 0xf9f0707f, BITS_F3(OP_AMO, 2) | 2u << 27, LONG(lr_w), { 0 }, F_R, 0 },
    { 0xf9f0707f, BITS_F3(OP_AMO, 3) | 2u << 27, LONG(lr_d), { 0 }, F_R, 0 },
    AMO_BOTH_WIDTHS(0x03, sc),
    AMO_BOTH_WIDTHS(0x01, amoswap),
    AMO_BOTH_WIDTHS(0x00, amoadd),
    AMO_BOTH_WIDTHS(0x04, amoxor),
    AMO_BOTH_WIDTHS(0x0c, amoand),
    AMO_BOTH_WIDTHS(0x08, amoor),
    AMO_BOTH_WIDTHS(0x10, amomin),
    AMO_BOTH_WIDTHS(0x14, amomax),
    AMO_BOTH_WIDTHS(0x18, amominu),
    AMO_BOTH_WIDTHS(0x1c, amomaxu),
    { 0 }
};

#define R4(op, fmt, name)                                                      \
    { MASK_R4, OPCODE(op) | (fmt) << 25, LONG(name), { 0 }, F_R4, FP_RD }

static const Row rows_madd[] = {
    R4(OP_MADD, 0, fmadd_s), R4(OP_MADD, 1, fmadd_d), { 0 }
};
static const Row rows_msub[] = {
    R4(OP_MSUB, 0, fmsub_s), R4(OP_MSUB, 1, fmsub_d), { 0 }
};
static const Row rows_nmsub[] = {
    R4(OP_NMSUB, 0, fnmsub_s), R4(OP_NMSUB, 1, fnmsub_d), { 0 }
};
static const Row rows_nmadd[] = {
    R4(OP_NMADD, 0, fnmadd_s), R4(OP_NMADD, 1, fnmadd_d), { 0 }
};

/* The low bit of funct7 is the precision, 0 or 1. */
#define FP_ROUNDED(f7, name)                                                   \
    { MASK_FP, BITS_F7(OP_FP, 0, f7), LONG(name##_s), { 0 }, F_RM, FP_RD },    \
    { MASK_FP, BITS_F7(OP_FP, 0, (f7) | 1), LONG(name##_d), { 0 }, F_RM, FP_RD }
#define FP_FIXED(f3, f7, name, fp)                                             \
    { MASK_F7, BITS_F7(OP_FP, f3, f7), LONG(name##_s), { 0 }, F_R, fp },       \
    { MASK_F7, BITS_F7(OP_FP, f3, (f7) | 1), LONG(name##_d), { 0 }, F_R, fp }
#define FP_CVT(f7, rs2, name, fp)                                              \
    { MASK_FP_RS2, BITS_RS2(OP_FP, 0, f7, rs2), LONG(name), { 0 }, F_RM, fp }
#define FP_UNARY(f3, f7, name, fp)                                             \
    { MASK_RS2, BITS_RS2(OP_FP, f3, f7, 0), LONG(name), { 0 }, F_R, fp }

static const Row rows_fp[] = {
    FP_ROUNDED(0x00, fadd),
    FP_ROUNDED(0x04, fsub),
    FP_ROUNDED(0x08, fmul),
    FP_ROUNDED(0x0c, fdiv),
    FP_CVT(0x2c, 0, fsqrt_s, FP_RD),
    FP_CVT(0x2d, 0, fsqrt_d, FP_RD),
    FP_FIXED(0, 0x10, fsgnj, FP_RD),
    FP_FIXED(1, 0x10, fsgnjn, FP_RD),
    FP_FIXED(2, 0x10, fsgnjx, FP_RD),
    FP_FIXED(0, 0x14, fmin, FP_RD),
    FP_FIXED(1, 0x14, fmax, FP_RD),
    FP_FIXED(2, 0x50, feq, 0),
    FP_FIXED(1, 0x50, flt, 0),
    FP_FIXED(0, 0x50, fle, 0),
    FP_CVT(0x20, 1, fcvt_s_d, FP_RD),
    FP_CVT(0x21, 0, fcvt_d_s, FP_RD),
    FP_CVT(0x60, 0, fcvt_w_s, 0),
    FP_CVT(0x60, 1, fcvt_wu_s, 0),
    FP_CVT(0x60, 2, fcvt_l_s, 0),
    FP_CVT(0x60, 3, fcvt_lu_s, 0),
    FP_CVT(0x61, 0, fcvt_w_d, 0),
    FP_CVT(0x61, 1, fcvt_wu_d, 0),
    FP_CVT(0x61, 2, fcvt_l_d, 0),
    FP_CVT(0x61, 3, fcvt_lu_d, 0),
    FP_CVT(0x68, 0, fcvt_s_w, FP_RD),
    FP_CVT(0x68, 1, fcvt_s_wu, FP_RD),
    FP_CVT(0x68, 2, fcvt_s_l, FP_RD),
    FP_CVT(0x68, 3, fcvt_s_lu, FP_RD),
    FP_CVT(0x69, 0, fcvt_d_w, FP_RD),
    FP_CVT(0x69, 1, fcvt_d_wu, FP_RD),
    FP_CVT(0x69, 2, fcvt_d_l, FP_RD),
    FP_CVT(0x69, 3, fcvt_d_lu, FP_RD),
    FP_UNARY(0, 0x70, fmv_x_w, 0),
    FP_UNARY(1, 0x70, fclass_s, 0),
    FP_UNARY(0, 0x71, fmv_x_d, 0),
    FP_UNARY(1, 0x71, fclass_d, 0),
    FP_UNARY(0, 0x78, fmv_w_x, FP_RD),
    FP_UNARY(0, 0x79, fmv_d_x, FP_RD),
    { 0 }
};

#define BRANCH(f3, name)                                                       \
    { MASK_F3, BITS_F3(OP_BRANCH, f3), LONG(name), LONG(name##_far), F_B, 0 }
/* Against x0, the only form that has a compressed one. */
#define BRANCH_ZERO(f3, name)                                                  \
    { MASK_F3 | 0x01f00000, BITS_F3(OP_BRANCH, f3), BOTH(name),                \
      BOTH(name##_far), F_B, 0 }

static const Row rows_branch[] = {
    BRANCH_ZERO(0, beqz),
    BRANCH_ZERO(1, bnez),
    BRANCH(0, beq),
    BRANCH(1, bne),
    BRANCH(4, blt),
    BRANCH(5, bge),
    BRANCH(6, bltu),
    BRANCH(7, bgeu),
    { 0 }
};

static const Row rows_jalr[] = {
    { MASK_F3 | 0xf80, BITS_F3(OP_JALR, 0), ALIKE(jr), { 0 }, F_I, 0 },
    { MASK_F3, BITS_F3(OP_JALR, 0), BOTH(jalr), { 0 }, F_I, 0 },
    { 0 }
};

static const Row rows_jal[] = {
    { 0xfff, OPCODE(OP_JAL), ALIKE(j), ALIKE(j_far), F_J, 0 },
    { 0x7f, OPCODE(OP_JAL), LONG(jal), LONG(jal_far), F_J, 0 },
    { 0 }
};

#define CSR(f3, name)                                                          \
    { MASK_F3, BITS_F3(OP_SYSTEM, f3), LONG(name), { 0 }, F_CSR, 0 }

static const Row rows_system[] = {
    CSR(1, csrrw), CSR(2, csrrs), CSR(3, csrrc),
    CSR(5, csrrwi), CSR(6, csrrsi), CSR(7, csrrci),
    EXACT(0x00000073, ecall),
    { 0xffffffff, 0x00100073, ALIKE(ebreak), { 0 }, F_NONE, 0 },
    EXACT(0x30200073, mret),
    EXACT(0x10200073, sret),
    EXACT(0x10500073, wfi),
    { 0xfe007fff, BITS_F7(OP_SYSTEM, 0, 0x09), LONG(sfence_vma), { 0 }, F_R,
      0 },
    { 0 }
};

static const Row *const rows_by_opcode[32] = {
    [OP_LOAD] = rows_load,
    [OP_LOAD_FP] = rows_load_fp,
    [OP_MISC_MEM] = rows_misc_mem,
    [OP_IMM] = rows_imm,
    [OP_AUIPC] = rows_auipc,
    [OP_IMM_32] = rows_imm_32,
    [OP_STORE] = rows_store,
    [OP_STORE_FP] = rows_store_fp,
    [OP_AMO] = rows_amo,
    [OP_OP] = rows_op,
    [OP_LUI] = rows_lui,
    [OP_OP_32] = rows_op_32,
    [OP_MADD] = rows_madd,
    [OP_MSUB] = rows_msub,
    [OP_NMSUB] = rows_nmsub,
    [OP_NMADD] = rows_nmadd,
    [OP_FP] = rows_fp,
    [OP_BRANCH] = rows_branch,
    [OP_JALR] = rows_jalr,
    [OP_JAL] = rows_jal,
    [OP_SYSTEM] = rows_system,
};

static const Row *find_row(uint32_t bits)
{
    const Row *row = rows_by_opcode[bits >> 2 & 31];

    if ((bits & 3) != 3 || !row) {
        return NULL;
    }
    while (row->mask) {
        if ((bits & row->mask) == row->match) {
            return row;
        }
        row++;
    }
    return NULL;
}

/* @bits[@hi:@lo], placed at @to. */
static inline uint32_t field(uint32_t bits, unsigned hi, unsigned lo,
                             unsigned to)
{
    return (bits >> lo & ((2u << (hi - lo)) - 1)) << to;
}

static int32_t imm_b(uint32_t bits)
{
    return (int32_t)((uint32_t)((int32_t)bits >> 31) << 12 |
                     field(bits, 7, 7, 11) | field(bits, 30, 25, 5) |
                     field(bits, 11, 8, 1));
}

static int32_t imm_j(uint32_t bits)
{
    return (int32_t)((uint32_t)((int32_t)bits >> 31) << 20 |
                     field(bits, 19, 12, 12) | field(bits, 20, 20, 11) |
                     field(bits, 30, 21, 1));
}

/*
 * A jump by @distance bytes from @off: near, a distance between Insns; far, an
 * offset from the start of this page.
 */
static void set_target(Insn *i, const Row *row, unsigned compressed,
                       unsigned off, int32_t distance)
{
    int32_t target = (int32_t)off + distance;

    if (target >= 0 && target < (int32_t)PAGE_SIZE) {
        i->imm = distance / 2 * (int32_t)sizeof(Insn);
    } else {
        i->fn = row->far_fn[compressed];
        i->imm = target;
    }
}

/* Shorter ways for what compilers write mv and li as. */
static void simplify(Insn *i, const Row *row, unsigned compressed)
{
    if (row->fn[0] == op_addi_4) {
        if (i->rs1 == 0) {
            i->fn = compressed ? op_li_2 : op_li_4;
        } else if (i->imm == 0) {
            i->fn = compressed ? op_mv_2 : op_mv_4;
        }
    } else if (row->fn[0] == op_add_4 && i->rs1 == 0) {
        i->rs1 = i->rs2;
        i->fn = compressed ? op_mv_2 : op_mv_4;
    } else if (row->fn[0] == op_add_4 && i->rs2 == 0) {
        i->fn = compressed ? op_mv_2 : op_mv_4;
    }
}

void decode_insn(Insn *i, uint32_t bits, unsigned off)
{
    unsigned compressed = (bits & 3) != 3;
    const Row *row;
    uint32_t imm = 0;

    if (compressed) {
        bits = decode_expand((uint16_t)bits);
    }
    row = find_row(bits);
    if (!row) {
        i->fn = op_illegal_4;
        return;
    }

    i->fn = row->fn[compressed];
    i->rd = bits >> 7 & 31;
    i->rs1 = bits >> 15 & 31;
    i->rs2 = bits >> 20 & 31;
    i->rs3 = bits >> 27;
    switch (row->format) {
    case F_RM:
    case F_R4:
        imm = bits >> 12 & 7;
        break;
    case F_I:
        imm = (uint32_t)((int32_t)bits >> 20);
        break;
    case F_SHIFT:
        imm = bits >> 20 & 63;
        break;
    case F_S:
        imm = (uint32_t)((int32_t)bits >> 25) << 5 | i->rd;
        break;
    case F_U:
        imm = bits & 0xfffff000;
        break;
    case F_AUIPC:
        imm = (bits & 0xfffff000) + off;
        break;
    case F_CSR:
        imm = (uint32_t)csr_find(bits >> 20);
        break;
    }
    i->imm = (int32_t)imm;
    if (!i->rd && !(row->fp & FP_RD)) {
        i->rd = REG_SINK;
    }

    if (row->format == F_B) {
        set_target(i, row, compressed, off, imm_b(bits));
    } else if (row->format == F_J) {
        set_target(i, row, compressed, off, imm_j(bits));
    } else if (row->format == F_CSR && i->imm < 0) {
        i->fn = op_illegal_4;
    } else if (row->fn[0] == op_fence_4 && (bits & 0x05000000) &&
               (bits & 0x00a00000)) {
        i->fn = op_fence_full_4;
    } else {
        simplify(i, row, compressed);
    }
}
