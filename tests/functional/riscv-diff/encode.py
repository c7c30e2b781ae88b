# SPDX-License-Identifier: GPL-2.0-or-later
"""Encodings of the RV64GC, Zba, Zbb and Zbs instructions.

Numbers are those of the RISC-V unprivileged specification, "RV32/64G
Instruction Set Listings" and the chapters of C and of bit manipulation. An
encoded instruction is a pair (size in bytes, value).
"""


def word(value):
    return (4, value & 0xffffffff)


def half(value):
    return (2, value & 0xffff)


def field(value, high, low):
    """Bits high..low of an immediate, moved down to bit 0."""
    return value >> low & ((1 << (high - low + 1)) - 1)


# Formats of 32-bit instructions.

def r_type(base, rd, rs1, rs2):
    return word(base | rd << 7 | rs1 << 15 | rs2 << 20)


def i_type(base, rd, rs1, imm):
    return word(base | rd << 7 | rs1 << 15 | field(imm, 11, 0) << 20)


def s_type(base, rs1, rs2, imm):
    return word(base | rs1 << 15 | rs2 << 20 | field(imm, 4, 0) << 7 |
                field(imm, 11, 5) << 25)


def b_type(base, rs1, rs2, imm):
    return word(base | rs1 << 15 | rs2 << 20 | field(imm, 11, 11) << 7 |
                field(imm, 4, 1) << 8 | field(imm, 10, 5) << 25 |
                field(imm, 12, 12) << 31)


def u_type(base, rd, imm20):
    return word(base | rd << 7 | field(imm20, 19, 0) << 12)


def j_type(base, rd, imm):
    return word(base | rd << 7 | field(imm, 19, 12) << 12 |
                field(imm, 11, 11) << 20 | field(imm, 10, 1) << 21 |
                field(imm, 20, 20) << 31)


def r4_type(base, rd, rs1, rs2, rs3, rm):
    return word(base | rd << 7 | rm << 12 | rs1 << 15 | rs2 << 20 | rs3 << 27)


def _op(funct7, funct3, opcode=0x33):
    return funct7 << 25 | funct3 << 12 | opcode


# rd, rs1, rs2 in x.
OP = {
    'add': _op(0, 0), 'sub': _op(0x20, 0), 'sll': _op(0, 1),
    'slt': _op(0, 2), 'sltu': _op(0, 3), 'xor': _op(0, 4),
    'srl': _op(0, 5), 'sra': _op(0x20, 5), 'or': _op(0, 6),
    'and': _op(0, 7),
    'addw': _op(0, 0, 0x3b), 'subw': _op(0x20, 0, 0x3b),
    'sllw': _op(0, 1, 0x3b), 'srlw': _op(0, 5, 0x3b),
    'sraw': _op(0x20, 5, 0x3b),
    # M
    'mul': _op(1, 0), 'mulh': _op(1, 1), 'mulhsu': _op(1, 2),
    'mulhu': _op(1, 3), 'div': _op(1, 4), 'divu': _op(1, 5),
    'rem': _op(1, 6), 'remu': _op(1, 7),
    'mulw': _op(1, 0, 0x3b), 'divw': _op(1, 4, 0x3b),
    'divuw': _op(1, 5, 0x3b), 'remw': _op(1, 6, 0x3b),
    'remuw': _op(1, 7, 0x3b),
    # Zba
    'sh1add': _op(0x10, 2), 'sh2add': _op(0x10, 4), 'sh3add': _op(0x10, 6),
    'add.uw': _op(4, 0, 0x3b), 'sh1add.uw': _op(0x10, 2, 0x3b),
    'sh2add.uw': _op(0x10, 4, 0x3b), 'sh3add.uw': _op(0x10, 6, 0x3b),
    # Zbb
    'andn': _op(0x20, 7), 'orn': _op(0x20, 6), 'xnor': _op(0x20, 4),
    'max': _op(5, 6), 'maxu': _op(5, 7), 'min': _op(5, 4),
    'minu': _op(5, 5), 'rol': _op(0x30, 1), 'ror': _op(0x30, 5),
    'rolw': _op(0x30, 1, 0x3b), 'rorw': _op(0x30, 5, 0x3b),
    # Zbs
    'bclr': _op(0x24, 1), 'bext': _op(0x24, 5), 'binv': _op(0x34, 1),
    'bset': _op(0x14, 1),
}

# rd, rs1.
UNARY = {
    'clz': 0x60001013, 'ctz': 0x60101013, 'cpop': 0x60201013,
    'clzw': 0x6000101b, 'ctzw': 0x6010101b, 'cpopw': 0x6020101b,
    'sext.b': 0x60401013, 'sext.h': 0x60501013, 'zext.h': 0x0800403b,
    'orc.b': 0x28705013, 'rev8': 0x6b805013,
}

# rd, rs1, 12-bit immediate.
OP_IMM = {
    'addi': 0x0013, 'slti': 0x2013, 'sltiu': 0x3013, 'xori': 0x4013,
    'ori': 0x6013, 'andi': 0x7013, 'addiw': 0x001b,
}

# rd, rs1, shift amount of the given width.
SHIFT_IMM = {
    'slli': (0x00001013, 6), 'srli': (0x00005013, 6),
    'srai': (0x40005013, 6), 'slliw': (0x0000101b, 5),
    'srliw': (0x0000501b, 5), 'sraiw': (0x4000501b, 5),
    'slli.uw': (0x0800101b, 6), 'rori': (0x60005013, 6),
    'roriw': (0x6000501b, 5), 'bclri': (0x48001013, 6),
    'bexti': (0x48005013, 6), 'binvi': (0x68001013, 6),
    'bseti': (0x28001013, 6),
}

LUI, AUIPC, JAL, JALR = 0x37, 0x17, 0x6f, 0x67

# Base and width in bytes; f registers where the name begins with f.
LOAD = {
    'lb': (0x0003, 1), 'lh': (0x1003, 2), 'lw': (0x2003, 4),
    'ld': (0x3003, 8), 'lbu': (0x4003, 1), 'lhu': (0x5003, 2),
    'lwu': (0x6003, 4), 'flw': (0x2007, 4), 'fld': (0x3007, 8),
}
STORE = {
    'sb': (0x0023, 1), 'sh': (0x1023, 2), 'sw': (0x2023, 4),
    'sd': (0x3023, 8), 'fsw': (0x2027, 4), 'fsd': (0x3027, 8),
}
BRANCH = {
    'beq': 0x0063, 'bne': 0x1063, 'blt': 0x4063, 'bge': 0x5063,
    'bltu': 0x6063, 'bgeu': 0x7063,
}

# funct5; the width is in funct3, aq and rl are bits 26 and 25.
AMO = {
    'amoswap': 0x01, 'amoadd': 0x00, 'amoxor': 0x04, 'amoand': 0x0c,
    'amoor': 0x08, 'amomin': 0x10, 'amomax': 0x14, 'amominu': 0x18,
    'amomaxu': 0x1c,
}
LR, SC = 0x02, 0x03


def amo(funct5, size, rd, rs1, rs2, aqrl):
    funct3 = 3 if size == 8 else 2
    return r_type(funct5 << 27 | aqrl << 25 | funct3 << 12 | 0x2f,
                  rd, rs1, rs2)


CSR = {'csrrw': 0x1073, 'csrrs': 0x2073, 'csrrc': 0x3073,
       'csrrwi': 0x5073, 'csrrsi': 0x6073, 'csrrci': 0x7073}
FFLAGS, FRM, FCSR = 1, 2, 3
SSCRATCH = 0x140
SATP, PMPCFG0, PMPADDR0 = 0x180, 0x3a0, 0x3b0
MSTATUS, MTVEC, MSCRATCH, MEPC, MCAUSE, MTVAL = (
    0x300, 0x305, 0x340, 0x341, 0x342, 0x343)

FENCE, FENCE_I, SFENCE_VMA = 0x0ff0000f, 0x0000100f, 0x12000073
ECALL, EBREAK, MRET = 0x00000073, 0x00100073, 0x30200073
C_EBREAK = 0x9002


def fp_op(funct5, fmt, funct3, rs2=0):
    return funct5 << 27 | fmt << 25 | rs2 << 20 | funct3 << 12 | 0x53


# Name without precision: (funct5, funct3 or None for a rounding mode, rs2 or
# None for a register, kinds of rd, rs1: f or x).
FP = {
    'fadd': (0x00, None, None, 'ff'), 'fsub': (0x01, None, None, 'ff'),
    'fmul': (0x02, None, None, 'ff'), 'fdiv': (0x03, None, None, 'ff'),
    'fsqrt': (0x0b, None, 0, 'ff'),
    'fsgnj': (0x04, 0, None, 'ff'), 'fsgnjn': (0x04, 1, None, 'ff'),
    'fsgnjx': (0x04, 2, None, 'ff'),
    'fmin': (0x05, 0, None, 'ff'), 'fmax': (0x05, 1, None, 'ff'),
    'fle': (0x14, 0, None, 'xf'), 'flt': (0x14, 1, None, 'xf'),
    'feq': (0x14, 2, None, 'xf'),
    'fcvt.w': (0x18, None, 0, 'xf'), 'fcvt.wu': (0x18, None, 1, 'xf'),
    'fcvt.l': (0x18, None, 2, 'xf'), 'fcvt.lu': (0x18, None, 3, 'xf'),
    'fcvt.from.w': (0x1a, None, 0, 'fx'),
    'fcvt.from.wu': (0x1a, None, 1, 'fx'),
    'fcvt.from.l': (0x1a, None, 2, 'fx'),
    'fcvt.from.lu': (0x1a, None, 3, 'fx'),
    'fmv.x': (0x1c, 0, 0, 'xf'), 'fclass': (0x1c, 1, 0, 'xf'),
    'fmv.f.x': (0x1e, 0, 0, 'fx'),
    # rs2 names the precision converted from: the other one.
    'fcvt.f.f': (0x08, None, 'other', 'ff'),
}
FMA = {'fmadd': 0x43, 'fmsub': 0x47, 'fnmsub': 0x4b, 'fnmadd': 0x4f}


# Compressed. Registers of three bits are given as 8..15.

def c_reg(reg):
    return reg - 8


def c_addi4spn(rd, imm):
    return half(0x0000 | c_reg(rd) << 2 | field(imm, 5, 4) << 11 |
                field(imm, 9, 6) << 7 | field(imm, 2, 2) << 6 |
                field(imm, 3, 3) << 5)


# name: (funct3, width), of quadrant 0; rs1 is 8..15.
C_MEM = {
    'c.fld': (1, 8), 'c.lw': (2, 4), 'c.ld': (3, 8),
    'c.fsd': (5, 8), 'c.sw': (6, 4), 'c.sd': (7, 8),
}


def c_mem(name, reg, rs1, imm):
    funct3, size = C_MEM[name]
    value = funct3 << 13 | c_reg(reg) << 2 | c_reg(rs1) << 7 | \
        field(imm, 5, 3) << 10
    if size == 8:
        return half(value | field(imm, 7, 6) << 5)
    return half(value | field(imm, 2, 2) << 6 | field(imm, 6, 6) << 5)


# name: (funct3, width), of quadrant 2, based on sp.
C_LOAD_SP = {'c.fldsp': (1, 8), 'c.lwsp': (2, 4), 'c.ldsp': (3, 8)}
C_STORE_SP = {'c.fsdsp': (5, 8), 'c.swsp': (6, 4), 'c.sdsp': (7, 8)}


def c_load_sp(name, rd, imm):
    funct3, size = C_LOAD_SP[name]
    value = funct3 << 13 | rd << 7 | field(imm, 5, 5) << 12 | 2
    if size == 8:
        return half(value | field(imm, 4, 3) << 5 | field(imm, 8, 6) << 2)
    return half(value | field(imm, 4, 2) << 4 | field(imm, 7, 6) << 2)


def c_store_sp(name, rs2, imm):
    funct3, size = C_STORE_SP[name]
    value = funct3 << 13 | rs2 << 2 | 2
    if size == 8:
        return half(value | field(imm, 5, 3) << 10 | field(imm, 8, 6) << 7)
    return half(value | field(imm, 5, 2) << 9 | field(imm, 7, 6) << 7)


def _ci(base, rd, imm):
    return half(base | rd << 7 | field(imm, 5, 5) << 12 |
                field(imm, 4, 0) << 2)


def c_addi(rd, imm):
    return _ci(0x0001, rd, imm)


def c_addiw(rd, imm):
    return _ci(0x2001, rd, imm)


def c_li(rd, imm):
    return _ci(0x4001, rd, imm)


def c_lui(rd, imm6):
    return _ci(0x6001, rd, imm6)


def c_slli(rd, shamt):
    return _ci(0x0002, rd, shamt)


def c_addi16sp(imm):
    return half(0x6101 | field(imm, 9, 9) << 12 | field(imm, 4, 4) << 6 |
                field(imm, 6, 6) << 5 | field(imm, 8, 7) << 3 |
                field(imm, 5, 5) << 2)


C_SHIFT = {'c.srli': 0, 'c.srai': 1, 'c.andi': 2}


def c_shift(name, rd, imm):
    return half(0x8001 | C_SHIFT[name] << 10 | c_reg(rd) << 7 |
                field(imm, 5, 5) << 12 | field(imm, 4, 0) << 2)


C_ARITH = {'c.sub': 0x8c01, 'c.xor': 0x8c21, 'c.or': 0x8c41,
           'c.and': 0x8c61, 'c.subw': 0x9c01, 'c.addw': 0x9c21}


def c_arith(name, rd, rs2):
    return half(C_ARITH[name] | c_reg(rd) << 7 | c_reg(rs2) << 2)


def c_mv(rd, rs2):
    return half(0x8002 | rd << 7 | rs2 << 2)


def c_add(rd, rs2):
    return half(0x9002 | rd << 7 | rs2 << 2)


def c_jr(rs1):
    return half(0x8002 | rs1 << 7)


def c_jalr(rs1):
    return half(0x9002 | rs1 << 7)


def c_j(imm):
    return half(0xa001 | field(imm, 11, 11) << 12 | field(imm, 4, 4) << 11 |
                field(imm, 9, 8) << 9 | field(imm, 10, 10) << 8 |
                field(imm, 6, 6) << 7 | field(imm, 7, 7) << 6 |
                field(imm, 3, 1) << 3 | field(imm, 5, 5) << 2)


def c_branch(not_zero, rs1, imm):
    return half((0xe001 if not_zero else 0xc001) | c_reg(rs1) << 7 |
                field(imm, 8, 8) << 12 | field(imm, 4, 3) << 10 |
                field(imm, 7, 6) << 5 | field(imm, 2, 1) << 3 |
                field(imm, 5, 5) << 2)
