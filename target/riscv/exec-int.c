/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Integer computation: RV64I's register and immediate instructions and M.
 * Hart thread.
 */
#include "exec.h"

/* Sets rd and goes on. */
#define ALU_LONG(name, value) OP_LONG(name, RD = (value); NEXT(i + LEN);)
#define ALU_BOTH(name, value) OP_BOTH(name, RD = (value); NEXT(i + LEN);)

ALU_BOTH(li, IMM)
ALU_BOTH(mv, RS1)
ALU_BOTH(addi, RS1 + IMM)
ALU_BOTH(addiw, SEXT_W(RS1 + IMM))
ALU_BOTH(andi, RS1 & IMM)
ALU_BOTH(slli, RS1 << i->imm)
ALU_BOTH(srli, RS1 >> i->imm)
ALU_BOTH(srai, (int64_t)RS1 >> i->imm)
ALU_BOTH(add, RS1 + RS2)
ALU_BOTH(sub, RS1 - RS2)
ALU_BOTH(xor, RS1 ^ RS2)
ALU_BOTH(or, RS1 | RS2)
ALU_BOTH(and, RS1 & RS2)
ALU_BOTH(addw, SEXT_W(RS1 + RS2))
ALU_BOTH(subw, SEXT_W(RS1 - RS2))

ALU_LONG(auipc, h->page_va + IMM)
ALU_LONG(slti, (int64_t)RS1 < IMM)
ALU_LONG(sltiu, RS1 < (uint64_t)IMM)
ALU_LONG(xori, RS1 ^ IMM)
ALU_LONG(ori, RS1 | IMM)
ALU_LONG(slliw, SEXT_W((uint32_t)RS1 << i->imm))
ALU_LONG(srliw, SEXT_W((uint32_t)RS1 >> i->imm))
ALU_LONG(sraiw, SEXT_W((int32_t)RS1 >> i->imm))
ALU_LONG(sll, RS1 << (RS2 & 63))
ALU_LONG(srl, RS1 >> (RS2 & 63))
ALU_LONG(sra, (int64_t)RS1 >> (RS2 & 63))
ALU_LONG(slt, (int64_t)RS1 < (int64_t)RS2)
ALU_LONG(sltu, RS1 < RS2)
ALU_LONG(sllw, SEXT_W((uint32_t)RS1 << (RS2 & 31)))
ALU_LONG(srlw, SEXT_W((uint32_t)RS1 >> (RS2 & 31)))
ALU_LONG(sraw, SEXT_W((int32_t)RS1 >> (RS2 & 31)))

ALU_LONG(mul, RS1 * RS2)
ALU_LONG(mulh, ((__int128)(int64_t)RS1 * (int64_t)RS2) >> 64)
ALU_LONG(mulhsu, ((__int128)(int64_t)RS1 * (__int128)RS2) >> 64)
ALU_LONG(mulhu, ((unsigned __int128)RS1 * RS2) >> 64)
ALU_LONG(mulw, SEXT_W(RS1 * RS2))

/*
 * Division by zero gives -1 and leaves the dividend; the one quotient that
 * does not fit is the dividend, without remainder. ("M" chapter, table
 * "Semantics for division by zero and division overflow".)
 */
static inline int64_t div_s64(int64_t a, int64_t b)
{
    return b == 0 ? -1 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static inline int64_t rem_s64(int64_t a, int64_t b)
{
    return b == 0 ? a : b == -1 ? 0 : a % b;
}

static inline uint64_t div_u64(uint64_t a, uint64_t b)
{
    return b == 0 ? UINT64_MAX : a / b;
}

static inline uint64_t rem_u64(uint64_t a, uint64_t b)
{
    return b == 0 ? a : a % b;
}

static inline int32_t div_s32(int32_t a, int32_t b)
{
    return b == 0 ? -1 : b == -1 ? (int32_t)(0 - (uint32_t)a) : a / b;
}

static inline int32_t rem_s32(int32_t a, int32_t b)
{
    return b == 0 ? a : b == -1 ? 0 : a % b;
}

static inline uint32_t div_u32(uint32_t a, uint32_t b)
{
    return b == 0 ? UINT32_MAX : a / b;
}

static inline uint32_t rem_u32(uint32_t a, uint32_t b)
{
    return b == 0 ? a : a % b;
}

ALU_LONG(div, div_s64(RS1, RS2))
ALU_LONG(divu, div_u64(RS1, RS2))
ALU_LONG(rem, rem_s64(RS1, RS2))
ALU_LONG(remu, rem_u64(RS1, RS2))
ALU_LONG(divw, SEXT_W(div_s32(RS1, RS2)))
ALU_LONG(divuw, SEXT_W(div_u32(RS1, RS2)))
ALU_LONG(remw, SEXT_W(rem_s32(RS1, RS2)))
ALU_LONG(remuw, SEXT_W(rem_u32(RS1, RS2)))
