/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bit manipulation, version 1.0: Zba, Zbb and Zbs. Hart thread. */
#include "exec.h"

#define ALU_LONG(name, value) OP_LONG(name, RD = (value); NEXT(i + LEN);)

static inline uint64_t rotate_right64(uint64_t v, unsigned by)
{
    return v >> (by & 63) | v << (-by & 63);
}

static inline uint32_t rotate_right32(uint32_t v, unsigned by)
{
    return v >> (by & 31) | v << (-by & 31);
}

/* All bits of each byte that has one set. */
static inline uint64_t or_combine(uint64_t v)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t any = (((v & low) + low) | v) & ~low;

    return (any >> 7) * 0xff;
}

/* Zba */
ALU_LONG(add_uw, (uint64_t)(uint32_t)RS1 + RS2)
ALU_LONG(sh1add, (RS1 << 1) + RS2)
ALU_LONG(sh2add, (RS1 << 2) + RS2)
ALU_LONG(sh3add, (RS1 << 3) + RS2)
ALU_LONG(sh1add_uw, ((uint64_t)(uint32_t)RS1 << 1) + RS2)
ALU_LONG(sh2add_uw, ((uint64_t)(uint32_t)RS1 << 2) + RS2)
ALU_LONG(sh3add_uw, ((uint64_t)(uint32_t)RS1 << 3) + RS2)
ALU_LONG(slli_uw, (uint64_t)(uint32_t)RS1 << i->imm)

/* Zbb */
ALU_LONG(andn, RS1 & ~RS2)
ALU_LONG(orn, RS1 | ~RS2)
ALU_LONG(xnor, ~(RS1 ^ RS2))
ALU_LONG(clz, RS1 ? (unsigned)__builtin_clzll(RS1) : 64u)
ALU_LONG(clzw, (uint32_t)RS1 ? (unsigned)__builtin_clz((uint32_t)RS1) : 32u)
ALU_LONG(ctz, RS1 ? (unsigned)__builtin_ctzll(RS1) : 64u)
ALU_LONG(ctzw, (uint32_t)RS1 ? (unsigned)__builtin_ctz((uint32_t)RS1) : 32u)
ALU_LONG(cpop, (unsigned)__builtin_popcountll(RS1))
ALU_LONG(cpopw, (unsigned)__builtin_popcount((uint32_t)RS1))
ALU_LONG(max, (int64_t)RS1 > (int64_t)RS2 ? RS1 : RS2)
ALU_LONG(maxu, RS1 > RS2 ? RS1 : RS2)
ALU_LONG(min, (int64_t)RS1 < (int64_t)RS2 ? RS1 : RS2)
ALU_LONG(minu, RS1 < RS2 ? RS1 : RS2)
ALU_LONG(sext_b, (int64_t)(int8_t)RS1)
ALU_LONG(sext_h, (int64_t)(int16_t)RS1)
ALU_LONG(zext_h, (uint16_t)RS1)
ALU_LONG(rol, rotate_right64(RS1, -(unsigned)RS2))
ALU_LONG(rolw, SEXT_W(rotate_right32(RS1, -(unsigned)RS2)))
ALU_LONG(ror, rotate_right64(RS1, RS2))
ALU_LONG(rori, rotate_right64(RS1, i->imm))
ALU_LONG(rorw, SEXT_W(rotate_right32(RS1, RS2)))
ALU_LONG(roriw, SEXT_W(rotate_right32(RS1, i->imm)))
ALU_LONG(orc_b, or_combine(RS1))
ALU_LONG(rev8, __builtin_bswap64(RS1))

/* Zbs */
#define BIT(n) (UINT64_C(1) << ((n) & 63))
ALU_LONG(bclr, RS1 & ~BIT(RS2))
ALU_LONG(bclri, RS1 & ~BIT(i->imm))
ALU_LONG(bext, RS1 >> (RS2 & 63) & 1)
ALU_LONG(bexti, RS1 >> (i->imm & 63) & 1)
ALU_LONG(binv, RS1 ^ BIT(RS2))
ALU_LONG(binvi, RS1 ^ BIT(i->imm))
ALU_LONG(bset, RS1 | BIT(RS2))
ALU_LONG(bseti, RS1 | BIT(i->imm))
