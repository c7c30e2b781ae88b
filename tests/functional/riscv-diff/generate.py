# SPDX-License-Identifier: GPL-2.0-or-later
"""Random programs that always end, as trees of items.

An item is one of
  ('code', text, [instruction, ...], [instruction, ...])
                                       needs nothing from its surroundings; the
                                       second list only gathers the outcome
  ('skip', text, function, n)          jumps over the next n items of its list;
                                       function makes the jump of a distance
  ('loop', text, count, [item, ...])
so that items can be taken out and what is left is a program still: that is
how a failing one is made small.

Registers with a meaning: sp, gp and s0 point into the data page, whose lower
half is only read; t6 counts loops; t5 gathers what the others lose when they
are overwritten; t4 is scratch for the generator's own sequences.
"""

import random

import encode as e
import image

SP, GP, S0, T4, T5, T6 = 2, 3, 8, 29, 30, 31
KEPT = {SP, GP, S0, T4, T5, T6}
WRITABLE = [r for r in range(32) if r not in KEPT]
WRITABLE_C = [r for r in range(8, 16) if r not in KEPT]
SINGLES, DOUBLES = range(0, 16), range(16, 32)
# Offsets from gp: the page is at -2048..2047, its upper half is written.
READ_LOW, WRITE_LOW, WRITE_HIGH = -2048, 0, 2040

X_NAMES = ['zero', 'ra', 'sp', 'gp', 'tp', 't0', 't1', 't2', 's0', 's1'] + \
    ['a%d' % i for i in range(8)] + ['s%d' % i for i in range(2, 12)] + \
    ['t3', 't4', 't5', 't6']

M64 = (1 << 64) - 1
SPECIAL_INTEGERS = [0, 1, 2, M64, M64 - 1, 1 << 63, (1 << 63) - 1, 1 << 31,
                    (1 << 31) - 1, M64 << 31 & M64, 1 << 32, (1 << 32) - 1,
                    0x5555555555555555, 0x80, 0x7f, 0x8000, 0x7fff]


def random_integer(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(SPECIAL_INTEGERS)
    value = rng.getrandbits(64) >> rng.randrange(64)
    return -value & M64 if kind == 1 else value


def random_float(rng, frac_bits, exp_bits):
    exp_max = (1 << exp_bits) - 1
    frac_max = (1 << frac_bits) - 1
    exp = rng.choice((rng.randrange(exp_max + 1), rng.randrange(3),
                      exp_max - rng.randrange(3),
                      (exp_max >> 1) + rng.randrange(-3, 4),
                      (exp_max >> 1) + rng.randrange(-30, 70),
                      (exp_max >> 1) + rng.randrange(-30, 70)))
    frac = rng.choice((rng.getrandbits(frac_bits), rng.getrandbits(frac_bits),
                       rng.getrandbits(frac_bits) & frac_max <<
                       rng.randrange(frac_bits),
                       rng.randrange(2), frac_max - rng.randrange(2),
                       1 << (frac_bits - 1)))
    return rng.getrandbits(1) << (frac_bits + exp_bits) | \
        exp << frac_bits | frac & frac_max


def random_single(rng):
    if rng.randrange(32) == 0:                  # not a boxed single
        return rng.getrandbits(64)
    return 0xffffffff00000000 | random_float(rng, 23, 8)


def random_double(rng):
    return random_float(rng, 52, 11)


def program_mode(rng):
    return rng.choice(['M', 'M'] + sorted(image.MODES))


def data_page(rng):
    """4 KiB: integers, singles, doubles by turns of 64 bytes."""
    out = bytearray()
    for line in range(64):
        for _ in range(8):
            if line % 3 == 0:
                value = random_integer(rng)
            elif line % 3 == 1:
                value = random_float(rng, 23, 8) << 32 | \
                    random_float(rng, 23, 8)
            else:
                value = random_double(rng)
            out += value.to_bytes(8, 'little')
    return bytes(out)


def registers(rng, gp):
    """Values of x0-x31, f0-f31 and fcsr as a program starts."""
    x = [0] + [random_integer(rng) for _ in range(31)]
    x[SP], x[GP], x[S0] = gp + 1024, gp, gp + 512
    f = [random_single(rng) for _ in SINGLES] + \
        [random_double(rng) for _ in DOUBLES]
    return x + f + [rng.randrange(5) << 5 | rng.choice((0, 1, 0x1f))]


def code(text, instructions, outcome=()):
    return ('code', text, instructions, list(outcome))


class Generator:
    """Makes items from one random number generator."""

    def __init__(self, rng):
        self.rng = rng
        self.makers = [
            (30, self.alu), (10, self.alu_imm), (8, self.shift_imm),
            (5, self.unary), (3, self.upper), (14, self.memory),
            (6, self.memory_computed), (4, self.atomic), (12, self.compressed),
            (5, self.compressed_memory), (40, self.floating), (8, self.fma),
            (6, self.float_load), (3, self.csr), (10, self.skip),
            (2, self.indirect), (1, self.illegal), (1, self.self_modify),
            (1, self.fp_off), (1, self.fence),
        ]
        self.weights = [w for w, _ in self.makers]
        self.functions = [f for _, f in self.makers]

    # Registers.

    def rd(self):
        return self.rng.choice(WRITABLE)

    def rs(self):
        return self.rng.randrange(32)

    def fr(self, double):
        if self.rng.randrange(20) == 0:
            double = not double
        return self.rng.choice(DOUBLES if double else SINGLES)

    def note(self, rd):
        """Let what an instruction made leave a trace."""
        if self.rng.randrange(3):
            return [e.r_type(e.OP['xor'], T5, T5, rd),
                    e.i_type(e.SHIFT_IMM['rori'][0], T5, T5, 9)]
        return []

    def note_f(self, rd):
        if self.rng.randrange(4) == 0:
            return []
        fmv = e.fp_op(0x1c, 1, 0)
        return [e.r_type(fmv, T4, rd, 0),
                e.r_type(e.OP['xor'], T5, T5, T4),
                e.i_type(e.SHIFT_IMM['rori'][0], T5, T5, 9)] + \
            self.note_flags()

    def note_flags(self):
        return [e.i_type(e.CSR['csrrw'], T4, 0, e.FFLAGS),
                e.r_type(e.OP['add'], T5, T5, T4)]

    # Integers.

    def alu(self):
        name = self.rng.choice(list(e.OP))
        rd, rs1, rs2 = self.rd(), self.rs(), self.rs()
        return code('%s %s, %s, %s' % (name, X_NAMES[rd], X_NAMES[rs1],
                                           X_NAMES[rs2]),
                [e.r_type(e.OP[name], rd, rs1, rs2)], self.note(rd))

    def immediate(self):
        return self.rng.choice((-2048, -1, 0, 1, 2047,
                                self.rng.randrange(-2048, 2048),
                                self.rng.randrange(-2048, 2048)))

    def alu_imm(self):
        name = self.rng.choice(list(e.OP_IMM))
        rd, rs1, imm = self.rd(), self.rs(), self.immediate()
        return code('%s %s, %s, %d' % (name, X_NAMES[rd], X_NAMES[rs1],
                                           imm),
                [e.i_type(e.OP_IMM[name], rd, rs1, imm)], self.note(rd))

    def shift_imm(self):
        name = self.rng.choice(list(e.SHIFT_IMM))
        base, width = e.SHIFT_IMM[name]
        rd, rs1, by = self.rd(), self.rs(), self.rng.randrange(1 << width)
        return code('%s %s, %s, %d' % (name, X_NAMES[rd], X_NAMES[rs1],
                                           by),
                [e.word(base | rd << 7 | rs1 << 15 | by << 20)], self.note(rd))

    def unary(self):
        name = self.rng.choice(list(e.UNARY))
        rd, rs1, before = self.rd(), self.rs(), []
        if name == 'ctzw':
            # QEMU before 8.0 counts on where the low half is zero.
            before = [e.word(e.SHIFT_IMM['bseti'][0] | T4 << 7 | rs1 << 15 |
                             31 << 20)]
            rs1 = T4
        return code('%s %s, %s' % (name, X_NAMES[rd], X_NAMES[rs1]),
                    before + [e.r_type(e.UNARY[name], rd, rs1, 0)],
                    self.note(rd))

    def upper(self):
        rd, imm = self.rd(), self.rng.getrandbits(20)
        name, base = self.rng.choice((('lui', e.LUI), ('auipc', e.AUIPC)))
        return code('%s %s, 0x%x' % (name, X_NAMES[rd], imm),
                [e.u_type(base, rd, imm)], self.note(rd))

    def fence(self):
        name, value = self.rng.choice((('fence', e.FENCE),
                                       ('fence.i', e.FENCE_I)))
        return code(name, [e.word(value)])

    # Memory.

    def offset(self, size, write, base=0):
        low = WRITE_LOW if write else READ_LOW
        offset = self.rng.randrange(low, WRITE_HIGH)
        if self.rng.randrange(5):
            offset &= -size
        return offset - base

    def access(self, name, reg, rs1, imm, store):
        names = X_NAMES if name[0] != 'f' else ['f%d' % i for i in range(32)]
        text = '%s %s, %d(%s)' % (name, names[reg], imm, X_NAMES[rs1])
        if store:
            return text, e.s_type(e.STORE[name][0], rs1, reg, imm)
        return text, e.i_type(e.LOAD[name][0], reg, rs1, imm)

    def data_register(self, name, store):
        if name[0] == 'f':
            return self.fr(name[2] == 'd')
        return self.rs() if store else self.rd()

    def memory(self):
        store = self.rng.randrange(2) == 0
        name = self.rng.choice(list(e.STORE if store else e.LOAD))
        size = (e.STORE if store else e.LOAD)[name][1]
        base, at = self.rng.choice(((GP, 0), (S0, 512), (SP, 1024)))
        imm = self.offset(size, store, at)
        if not -2048 <= imm < 2048:
            base, imm = GP, imm + at
        reg = self.data_register(name, store)
        text, insn = self.access(name, reg, base, imm, store)
        if store:
            return code(text, [insn])
        return code(text, [insn], self.note_f(reg) if name[0] == 'f'
                    else self.note(reg))

    def memory_computed(self):
        """Through any register, also where it is the one loaded."""
        store = self.rng.randrange(2) == 0
        name = self.rng.choice(list(e.STORE if store else e.LOAD))
        size = (e.STORE if store else e.LOAD)[name][1]
        base = self.rng.choice(WRITABLE[1:])
        at, imm = self.offset(size, store), self.rng.randrange(-2048, 2048)
        if not -2048 <= at - imm < 2048:
            imm = 0
        reg = self.data_register(name, store)
        if self.rng.randrange(3) == 0 and name[0] != 'f':
            reg = base
        text, insn = self.access(name, reg, base, imm, store)
        return code('addi %s, gp, %d; %s' % (X_NAMES[base], at - imm,
                                                 text),
                [e.i_type(0x13, base, GP, at - imm), insn])

    def atomic(self):
        size = self.rng.choice((4, 8))
        suffix = '.d' if size == 8 else '.w'
        aqrl = self.rng.randrange(4)
        base = self.rng.choice(WRITABLE[1:])
        at = self.rng.randrange(WRITE_LOW, 1016) & -size
        rd, rs2 = self.rd(), self.rs()
        setup = e.i_type(0x13, base, GP, at)
        setup_text = 'addi %s, gp, %d; ' % (X_NAMES[base], at)
        kind = self.rng.randrange(8)
        if kind == 0:
            # Load reserved, then a store that must succeed.
            return code(setup_text + 'lr%s; sc%s' % (suffix, suffix),
                    [setup, e.amo(e.LR, size, T4, base, 0, aqrl),
                     e.r_type(e.OP['add'], T4, T4, rs2),
                     e.amo(e.SC, size, rd, base, T4, aqrl)], self.note(rd))
        if kind == 1:
            # The store goes elsewhere and must fail.
            return code(setup_text + 'lr%s; addi; sc%s' % (suffix, suffix),
                    [setup, e.amo(e.LR, size, T4, base, 0, aqrl),
                     e.r_type(e.OP['xor'], T5, T5, T4),
                     e.i_type(0x13, T4, base, 1024),
                     e.amo(e.SC, size, rd, T4, rs2, aqrl)], self.note(rd))
        name = self.rng.choice(list(e.AMO))
        if self.rng.randrange(30) == 0:
            # Misaligned: traps.
            at += self.rng.randrange(1, size)
            setup = e.i_type(0x13, base, GP, at)
            setup_text = 'addi %s, gp, %d; ' % (X_NAMES[base], at)
        return code(setup_text + '%s%s %s, %s, (%s)' %
                (name, suffix, X_NAMES[rd], X_NAMES[rs2], X_NAMES[base]),
                [setup, e.amo(e.AMO[name], size, rd, base, rs2, aqrl)], self.note(rd))

    # Compressed.

    def compressed(self):
        rng = self.rng
        rd, rc, rs2 = rng.choice(WRITABLE[1:]), rng.choice(WRITABLE_C), \
            rng.randrange(1, 32)
        rs2c = rng.randrange(8, 16)
        imm = rng.choice((-32, -1, 1, 31, rng.randrange(-32, 32)))
        shamt = rng.randrange(1, 64)
        kind = rng.randrange(10)
        if kind == 0:
            text, insn = 'c.addi %d' % imm, e.c_addi(rd, imm or 1)
        elif kind == 1:
            text, insn = 'c.addiw %d' % imm, e.c_addiw(rd, imm)
        elif kind == 2:
            text, insn = 'c.li %d' % imm, e.c_li(rd, imm)
        elif kind == 3:
            text, insn = 'c.lui %d' % imm, e.c_lui(rd, imm or 1)
        elif kind == 4:
            text, insn = 'c.slli %d' % shamt, e.c_slli(rd, shamt)
        elif kind == 5:
            name = rng.choice(list(e.C_SHIFT))
            rd, by = rc, imm if name == 'c.andi' else shamt
            text, insn = '%s %d' % (name, by), e.c_shift(name, rd, by)
        elif kind == 6:
            name = rng.choice(list(e.C_ARITH))
            rd = rc
            text = '%s %s' % (name, X_NAMES[rs2c])
            insn = e.c_arith(name, rd, rs2c)
        elif kind == 7:
            text, insn = 'c.mv %s' % X_NAMES[rs2], e.c_mv(rd, rs2)
        elif kind == 8:
            text, insn = 'c.add %s' % X_NAMES[rs2], e.c_add(rd, rs2)
        else:
            rd, imm = rc, rng.randrange(4, 1024, 4)
            text, insn = 'c.addi4spn %d' % imm, e.c_addi4spn(rd, imm)
        return code('%s (rd %s)' % (text, X_NAMES[rd]),
                [insn], self.note(rd))

    def compressed_memory(self):
        rng = self.rng
        kind = rng.randrange(4)
        if kind == 0:
            name = rng.choice(list(e.C_MEM))
            size = e.C_MEM[name][1]
            store = e.C_MEM[name][0] >= 4
            imm = rng.randrange(0, 32 * size, size)
            reg = rng.randrange(8, 16) if store or name == 'c.fld' \
                else rng.choice(WRITABLE_C)
            return code('%s %d, %d(s0)' % (name, reg, imm),
                    [e.c_mem(name, reg, S0, imm)])
        if kind == 1:
            name = rng.choice(list(e.C_LOAD_SP))
            imm = rng.randrange(0, 64 * e.C_LOAD_SP[name][1],
                                e.C_LOAD_SP[name][1])
            reg = rng.randrange(32) if name == 'c.fldsp' \
                else rng.choice(WRITABLE[1:])
            return code('%s %d, %d(sp)' % (name, reg, imm),
                    [e.c_load_sp(name, reg, imm)])
        if kind == 2:
            name = rng.choice(list(e.C_STORE_SP))
            imm = rng.randrange(0, 64 * e.C_STORE_SP[name][1],
                                e.C_STORE_SP[name][1])
            reg = rng.randrange(32)
            return code('%s %d, %d(sp)' % (name, reg, imm),
                    [e.c_store_sp(name, reg, imm)])
        imm = rng.choice((-512, 496, 16, -16, rng.randrange(-31, 31) * 16
                          or 16))
        rd = self.rd()
        return code('c.addi16sp %d; mv %s, sp' % (imm, X_NAMES[rd]),
                [e.c_addi16sp(imm), e.i_type(0x13, rd, SP, 0),
                 e.i_type(0x13, SP, GP, 1024)], self.note(rd))

    # Floating point.

    def rounding(self):
        if self.rng.randrange(60) == 0:
            return self.rng.choice((5, 6))
        return self.rng.choice((0, 1, 2, 3, 4, 7, 7, 7))

    def refresh(self, reg, double):
        """Sometimes a fresh operand, as NaNs and infinities spread."""
        if self.rng.randrange(3) == 0:
            return []
        line = self.rng.randrange(10) * 3 + (2 if double else 1)
        imm = -2048 + line * 64 + self.rng.randrange(8) * 8
        name = 'fld' if double else 'flw'
        if not double:
            imm += self.rng.randrange(2) * 4
        return [e.i_type(e.LOAD[name][0], reg, GP, imm)]

    def floating(self):
        rng = self.rng
        name = rng.choice(list(e.FP))
        funct5, funct3, rs2, kinds = e.FP[name]
        double = bool(rng.getrandbits(1))
        text = name + ('.d' if double else '.s')
        if funct3 is None:
            funct3 = self.rounding()
            text += ' rm%d' % funct3
        source_double = double
        if rs2 == 'other':
            rs2 = 0 if double else 1
            source_double = not double
        before = []
        if kinds[1] == 'f':
            rs1 = self.fr(source_double)
            before += self.refresh(rs1, source_double)
        else:
            rs1 = self.rs()
        if rs2 is None:
            rs2 = self.fr(double)
            before += self.refresh(rs2, double)
            text += ' ..., f%d' % rs2
        rd = self.fr(double) if kinds[0] == 'f' else self.rd()
        text += ' rd %d, rs1 %d' % (rd, rs1)
        insn = e.r_type(e.fp_op(funct5, int(double), funct3), rd, rs1, rs2)
        after = self.note_f(rd) if kinds[0] == 'f' \
            else self.note(rd) + self.note_flags()
        return code(text, before + [insn], after)

    def fma(self):
        name = self.rng.choice(list(e.FMA))
        double = bool(self.rng.getrandbits(1))
        regs = [self.fr(double) for _ in range(3)]
        before = sum((self.refresh(r, double) for r in regs), [])
        rd, rm = self.fr(double), self.rounding()
        return code('%s.%s rm%d f%d, f%d, f%d, f%d' %
                (name, 'd' if double else 's', rm, rd, *regs),
                before + [e.r4_type(e.FMA[name] | int(double) << 25, rd, *regs,
                                    rm)], self.note_f(rd))

    def float_load(self):
        double = bool(self.rng.getrandbits(1))
        reg = self.fr(double)
        return code('load f%d' % reg,
                self.refresh(reg, double) or [e.c_addi(0, 0)])

    def csr(self):
        rng = self.rng
        name = rng.choice(list(e.CSR))
        csr = rng.choice((e.FFLAGS, e.FRM, e.FCSR, e.FCSR, e.SSCRATCH))
        rd, rs1 = self.rd(), self.rs()
        after = self.note(rd)
        if rng.randrange(8):
            # Mostly a legal rounding mode again.
            after += [e.i_type(e.CSR['csrrwi'], 0, rng.randrange(5), e.FRM)]
        return code('%s %s, 0x%x, %d' % (name, X_NAMES[rd], csr, rs1),
                [e.i_type(e.CSR[name], rd, rs1, csr)], after)

    def fp_off(self):
        """With mstatus.FS off everything floating traps."""
        item = self.rng.choice((self.floating, self.fma, self.float_load,
                                self.csr))()
        return code('FS off: ' + item[1],
                [e.u_type(e.LUI, T4, 6),
                 e.i_type(e.CSR['csrrc'], 0, T4, e.MSTATUS)] + item[2][:2] +
                [e.u_type(e.LUI, T4, 6),
                 e.i_type(e.CSR['csrrs'], 0, T4, e.MSTATUS)])

    # Control.

    def skip(self):
        rng = self.rng
        n, kind = rng.randrange(1, 7), rng.randrange(8)
        rs1, rs2, rd = self.rs(), self.rs(), self.rd()
        rs1c = rng.randrange(8, 16)
        if kind == 0:
            def jump(distance):
                return e.j_type(e.JAL, rd, distance)
            text = 'jal %s' % X_NAMES[rd]
        elif kind == 1:
            def jump(distance):
                return e.c_j(distance)
            text = 'c.j'
        elif kind == 2:
            not_zero = bool(rng.getrandbits(1))

            def jump(distance):
                if distance < 256:
                    return e.c_branch(not_zero, rs1c, distance)
                return e.b_type(e.BRANCH['bne' if not_zero else 'beq'], rs1c,
                                0, distance)
            n = min(n, 3)
            text = 'c.b%sz %s' % ('ne' if not_zero else 'eq', X_NAMES[rs1c])
        else:
            name = rng.choice(list(e.BRANCH))

            def jump(distance):
                return e.b_type(e.BRANCH[name], rs1, rs2, distance)
            text = '%s %s, %s' % (name, X_NAMES[rs1], X_NAMES[rs2])
        return ('skip', text, jump, n)

    def indirect(self):
        """Over a breakpoint, through a register."""
        rng = self.rng
        rd, rt = self.rd(), rng.choice(WRITABLE[1:])
        trap = rng.choice((e.half(e.C_EBREAK), e.word(e.EBREAK)))
        kind = rng.randrange(3)
        if kind == 0:
            # Bit 0 of the target is cleared.
            target = 8 + trap[0] + rng.randrange(2)
            return code('jalr %s, %d(%s)' % (X_NAMES[rd], target,
                                                 X_NAMES[rt]),
                    [e.u_type(e.AUIPC, rt, 0),
                     e.i_type(e.JALR, rd, rt, target), trap], self.note(rd))
        jump = e.c_jr(rt) if kind == 1 else e.c_jalr(rt)
        return code('c.j%sr %s' % ('al' if kind == 2 else '', X_NAMES[rt]),
                [e.u_type(e.AUIPC, rt, 0),
                 e.i_type(0x13, rt, rt, 10 + trap[0]), jump, trap], self.note(1))

    def illegal(self):
        rng = self.rng
        rd, rs1 = self.rd(), self.rs()
        text, insn = rng.choice((
            ('c.ebreak', e.half(e.C_EBREAK)), ('ebreak', e.word(e.EBREAK)),
            ('illegal 0', e.half(0)), ('illegal -1', e.word(0xffffffff)),
            ('custom csr', e.i_type(e.CSR['csrrw'], rd, rs1, 0x8c0)),
            ('read-only csr', e.i_type(e.CSR['csrrw'], rd, rs1, 0xf14)),
            ('c.addiw zero', e.half(0x2001)),
            ('c.lui 0', e.half(0x6001 | 5 << 7)),
            ('reserved op', e.r_type(e._op(0x7f, 0), rd, rs1, 0)),
            ('reserved fp', e.r_type(e.fp_op(0x1f, 0, 0), rd, rs1, 0)),
            ('reserved load', e.i_type(0x7003, rd, GP, 0)),
            ('reserved shift', e.word(0x0200101b | rd << 7 | rs1 << 15)),
            ('load fault', None), ('store fault', None)))
        if insn:
            return code(text, [insn])
        # Just above the RAM of the machine, inside and outside of what is
        # mapped; or at the end of the window, half of the access outside.
        setup = rng.choice((
            [e.i_type(0x13, T4, 0, 9), e.i_type(0x1013, T4, T4, 28)],
            [e.i_type(0x13, T4, 0, 13), e.i_type(0x1013, T4, T4, 28)],
            [e.u_type(e.LUI, T4, (image.WINDOW + image.WINDOW_SIZE) >> 14),
             e.i_type(0x1013, T4, T4, 2), e.i_type(0x13, T4, T4, -67)]))
        if text == 'load fault':
            name = rng.choice(list(e.LOAD))
            reg = self.data_register(name, False)
            access = e.i_type(e.LOAD[name][0], reg, T4, 64)
        else:
            name = rng.choice(list(e.STORE))
            reg = self.data_register(name, True)
            access = e.s_type(e.STORE[name][0], T4, reg, 64)
        return code('%s: %s' % (text, name), setup + [access])

    def self_modify(self):
        """Write an instruction, fence.i, run it."""
        old, new = (self.alu()[2][0][1] for _ in range(2))
        upper = (new + 0x800 >> 12) & 0xfffff
        lower = (new & 0xfff) - (new << 1 & 0x1000)
        return code('self-modify: %08x to %08x' % (old, new),
                [e.u_type(e.LUI, T4, upper), e.i_type(0x1b, T4, T4, lower),
                 e.u_type(e.AUIPC, 5, 0), e.s_type(0x2023, 5, T4, 12),
                 e.word(e.FENCE_I), e.word(old)])

    def items(self, count, in_loop=False):
        """About count items; loops have a body that does not nest."""
        out = []
        while count > 0:
            if not in_loop and self.rng.randrange(25) == 0:
                body = self.rng.randrange(3, 16)
                times = self.rng.randrange(2, 6)
                out.append(('loop', 'loop %d times' % times, times,
                            self.items(body, True)))
                count -= body
                continue
            out.append(self.rng.choices(self.functions, self.weights)[0]())
            count -= 1
        return out


def program(seed, length):
    """Items of the program of a seed, its registers left to registers()."""
    return Generator(random.Random(seed)).items(length)


def _size(item):
    if item[0] == 'code':
        return sum(size for size, _ in item[2] + item[3])
    if item[0] == 'skip':
        # The size of no jump depends on a distance below 256.
        return item[2](2)[0]
    return 12 + sum(map(_size, item[3]))


def _render(items, out, listing, depth):
    for index, item in enumerate(items):
        listing.append('  ' * depth + item[1] +
                       (' over %d' % item[3] if item[0] == 'skip' else ''))
        if item[0] == 'code':
            out += item[2] + item[3]
        elif item[0] == 'skip':
            over = items[index + 1:index + 1 + item[3]]
            size = item[2](2)[0]
            jump = item[2](size + sum(map(_size, over)))
            if jump[0] != size:
                jump = e.c_addi(0, 0)
            out.append(jump)
        else:
            size = sum(map(_size, item[3]))
            out.append(e.i_type(0x13, T6, 0, item[2]))
            _render(item[3], out, listing, depth + 1)
            out += [e.i_type(0x13, T6, T6, -1),
                    e.b_type(e.BRANCH['bne'], T6, 0, -size - 4)]


def render(items):
    """Machine code, ended by an ecall, and a listing of the items."""
    out, listing = [], []
    _render(items, out, listing, 0)
    out.append(e.word(e.ECALL))
    return b''.join(value.to_bytes(size, 'little')
                    for size, value in out), listing
