/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compressed instructions: each stands for one 32-bit instruction, which is
 * what comes out of here. Unprivileged specification, chapter "C", "RVC
 * Instruction Set Listings", the RV64 columns. Pure.
 */
#include "hart.h"

/* @bits[@hi:@lo], placed at @to. */
static inline uint32_t field(uint32_t bits, unsigned hi, unsigned lo,
                             unsigned to)
{
    return (bits >> lo & ((2u << (hi - lo)) - 1)) << to;
}

static inline uint32_t sign_extend(uint32_t val, unsigned width)
{
    return (uint32_t)((int32_t)(val << (32 - width)) >> (32 - width));
}

/* The 32-bit formats. Immediates are already sign-extended. */
static uint32_t type_r(uint32_t op, uint32_t f3, uint32_t f7, uint32_t rd,
                       uint32_t rs1, uint32_t rs2)
{
    return op | rd << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | f7 << 25;
}

static uint32_t type_i(uint32_t op, uint32_t f3, uint32_t rd, uint32_t rs1,
                       uint32_t imm)
{
    return op | rd << 7 | f3 << 12 | rs1 << 15 | imm << 20;
}

static uint32_t type_s(uint32_t op, uint32_t f3, uint32_t rs1, uint32_t rs2,
                       uint32_t imm)
{
    return op | field(imm, 4, 0, 7) | f3 << 12 | rs1 << 15 | rs2 << 20 |
           field(imm, 11, 5, 25);
}

static uint32_t type_b(uint32_t f3, uint32_t rs1, uint32_t imm)
{
    return 0x63 | field(imm, 11, 11, 7) | field(imm, 4, 1, 8) | f3 << 12 |
           rs1 << 15 | field(imm, 10, 5, 25) | field(imm, 12, 12, 31);
}

static uint32_t type_j(uint32_t rd, uint32_t imm)
{
    return 0x6f | rd << 7 | field(imm, 19, 12, 12) | field(imm, 11, 11, 20) |
           field(imm, 10, 1, 21) | field(imm, 20, 20, 31);
}

/* Major opcodes with the two low bits set. */
enum {
    LOAD = 0x03, LOAD_FP = 0x07, OP_IMM = 0x13, OP_IMM_32 = 0x1b, STORE = 0x23,
    STORE_FP = 0x27, OP = 0x33, LUI = 0x37, OP_32 = 0x3b, JALR = 0x67,
};

/* Offsets of loads and stores, scaled by 4 and 8. */
static uint32_t off_w(uint32_t c)
{
    return field(c, 12, 10, 3) | field(c, 6, 6, 2) | field(c, 5, 5, 6);
}

static uint32_t off_d(uint32_t c)
{
    return field(c, 12, 10, 3) | field(c, 6, 5, 6);
}

static uint32_t expand_q0(uint32_t c)
{
    uint32_t rd = 8 + (c >> 2 & 7), rs1 = 8 + (c >> 7 & 7);
    uint32_t imm;

    switch (c >> 13) {
    case 0: /* c.addi4spn */
        imm = field(c, 12, 11, 4) | field(c, 10, 7, 6) | field(c, 6, 6, 2) |
              field(c, 5, 5, 3);
        return imm ? type_i(OP_IMM, 0, rd, 2, imm) : 0;
    case 1: /* c.fld */
        return type_i(LOAD_FP, 3, rd, rs1, off_d(c));
    case 2: /* c.lw */
        return type_i(LOAD, 2, rd, rs1, off_w(c));
    case 3: /* c.ld */
        return type_i(LOAD, 3, rd, rs1, off_d(c));
    case 5: /* c.fsd */
        return type_s(STORE_FP, 3, rs1, rd, off_d(c));
    case 6: /* c.sw */
        return type_s(STORE, 2, rs1, rd, off_w(c));
    case 7: /* c.sd */
        return type_s(STORE, 3, rs1, rd, off_d(c));
    }
    return 0;
}

/* c.srli c.srai c.andi, and those between two registers */
static uint32_t expand_arith(uint32_t c)
{
    uint32_t rd = 8 + (c >> 7 & 7), rs2 = 8 + (c >> 2 & 7);
    uint32_t shamt = field(c, 12, 12, 5) | field(c, 6, 2, 0);

    switch (c >> 10 & 3) {
    case 0:
        return type_i(OP_IMM, 5, rd, rd, shamt);
    case 1:
        return type_i(OP_IMM, 5, rd, rd, shamt | 0x400);
    case 2:
        return type_i(OP_IMM, 7, rd, rd, sign_extend(shamt, 6));
    }
    switch ((c >> 12 & 1) << 2 | (c >> 5 & 3)) {
    case 0:
        return type_r(OP, 0, 0x20, rd, rd, rs2);
    case 1:
        return type_r(OP, 4, 0, rd, rd, rs2);
    case 2:
        return type_r(OP, 6, 0, rd, rd, rs2);
    case 3:
        return type_r(OP, 7, 0, rd, rd, rs2);
    case 4:
        return type_r(OP_32, 0, 0x20, rd, rd, rs2);
    case 5:
        return type_r(OP_32, 0, 0, rd, rd, rs2);
    }
    return 0;
}

static uint32_t expand_q1(uint32_t c)
{
    uint32_t rd = c >> 7 & 31;
    uint32_t imm = sign_extend(field(c, 12, 12, 5) | field(c, 6, 2, 0), 6);

    switch (c >> 13) {
    case 0: /* c.addi, c.nop */
        return type_i(OP_IMM, 0, rd, rd, imm);
    case 1: /* c.addiw */
        return rd ? type_i(OP_IMM_32, 0, rd, rd, imm) : 0;
    case 2: /* c.li */
        return type_i(OP_IMM, 0, rd, 0, imm);
    case 3:
        if (imm == 0) {
            return 0;
        }
        if (rd == 2) { /* c.addi16sp */
            imm = field(c, 12, 12, 9) | field(c, 6, 6, 4) | field(c, 5, 5, 6) |
                  field(c, 4, 3, 7) | field(c, 2, 2, 5);
            return type_i(OP_IMM, 0, 2, 2, sign_extend(imm, 10));
        }
        return LUI | rd << 7 | imm << 12;
    case 4:
        return expand_arith(c);
    case 5: /* c.j */
        imm = field(c, 12, 12, 11) | field(c, 11, 11, 4) | field(c, 10, 9, 8) |
              field(c, 8, 8, 10) | field(c, 7, 7, 6) | field(c, 6, 6, 7) |
              field(c, 5, 3, 1) | field(c, 2, 2, 5);
        return type_j(0, sign_extend(imm, 12));
    default: /* c.beqz, c.bnez */
        imm = field(c, 12, 12, 8) | field(c, 11, 10, 3) | field(c, 6, 5, 6) |
              field(c, 4, 3, 1) | field(c, 2, 2, 5);
        return type_b(c >> 13 & 1, 8 + (c >> 7 & 7), sign_extend(imm, 9));
    }
}

/* c.jr c.mv c.ebreak c.jalr c.add */
static uint32_t expand_moves(uint32_t c)
{
    uint32_t rd = c >> 7 & 31, rs2 = c >> 2 & 31;
    bool high = c >> 12 & 1;

    if (rs2) {
        return type_r(OP, 0, 0, rd, high ? rd : 0, rs2);
    }
    if (rd) {
        return type_i(JALR, 0, high ? 1 : 0, rd, 0);
    }
    return high ? 0x00100073 : 0;
}

static uint32_t expand_q2(uint32_t c)
{
    uint32_t rd = c >> 7 & 31, rs2 = c >> 2 & 31;
    uint32_t load_w = field(c, 12, 12, 5) | field(c, 6, 4, 2) |
                      field(c, 3, 2, 6);
    uint32_t load_d = field(c, 12, 12, 5) | field(c, 6, 5, 3) |
                      field(c, 4, 2, 6);
    uint32_t store_w = field(c, 12, 9, 2) | field(c, 8, 7, 6);
    uint32_t store_d = field(c, 12, 10, 3) | field(c, 9, 7, 6);

    switch (c >> 13) {
    case 0: /* c.slli */
        return type_i(OP_IMM, 1, rd, rd, field(c, 12, 12, 5) | rs2);
    case 1: /* c.fldsp */
        return type_i(LOAD_FP, 3, rd, 2, load_d);
    case 2: /* c.lwsp */
        return rd ? type_i(LOAD, 2, rd, 2, load_w) : 0;
    case 3: /* c.ldsp */
        return rd ? type_i(LOAD, 3, rd, 2, load_d) : 0;
    case 4:
        return expand_moves(c);
    case 5: /* c.fsdsp */
        return type_s(STORE_FP, 3, 2, rs2, store_d);
    case 6: /* c.swsp */
        return type_s(STORE, 2, 2, rs2, store_w);
    default: /* c.sdsp */
        return type_s(STORE, 3, 2, rs2, store_d);
    }
}

uint32_t decode_expand(uint16_t bits)
{
    switch (bits & 3) {
    case 0:
        return expand_q0(bits);
    case 1:
        return expand_q1(bits);
    case 2:
        return expand_q2(bits);
    }
    return 0;
}
