# SPDX-License-Identifier: GPL-2.0-or-later
"""The bare-metal image around the random programs.

It runs in M-mode from the start of the RAM of board virt. For each program:
copy the data page, load all registers, run, in M-mode or translated in S- or
U-mode, and say on the UART what came of it: a checksum over the whole state,
or the state itself. The state is an array
of doublewords: x0-x31, f0-f31, fcsr, the number of traps, their records
(mcause, mepc, mtval), and the data page. A trap is recorded and its
instruction skipped. An ecall ends a program.
"""

import struct

import encode as e

RAM = 0x80000000
UART = 0x10000000
FINISHER = 0x100000

MAX_TRAPS = 64
TRAP_LIMIT = 4096
DATA_SIZE = 4096

STATE_X = 0
STATE_F = 32 * 8
STATE_FCSR = 64 * 8
STATE_COUNT = 65 * 8
STATE_LOG = 66 * 8
STATE_DATA = STATE_LOG + MAX_TRAPS * 24
STATE_WORDS = (STATE_DATA + DATA_SIZE) // 8

HANDLER = RAM + 16
STATE = RAM + 0x2000
DATA = STATE + STATE_DATA
# Page tables of S-mode and of U-mode: Sv48's root, Sv39's, and two levels for
# the window through which programs see the state's pages.
TABLES = RAM + 0x8000
WINDOW = 0xc0000000
WINDOW_SIZE = 0x4000
# Variables, a table of the programs' addresses, then their contents.
VARIABLES = RAM + 0x10000
VAR_INDEX, VAR_COUNT, VAR_FULL, VAR_TABLE = 0, 8, 16, 24
# Registers of a program as it starts, in front of its code.
REGISTERS_SIZE = 67 * 8

# Where a program runs: satp's mode, mstatus.MPP.
MODES = {'M': (0, 3), 'S39': (8, 1), 'U39': (8, 0), 'S48': (9, 1),
         'U48': (9, 0)}

HASH_MULTIPLIER = 0x9e3779b97f4a7c15


class Asm:
    """A list of instructions with labels, resolved at the end."""

    def __init__(self):
        self.size = 0
        self.parts = []
        self.labels = {}

    def put(self, *instructions):
        for insn in instructions:
            self.parts.append(insn)
            self.size += insn[0]

    def label(self, name):
        self.labels[name] = self.size

    def later(self, function, target):
        """A 32-bit instruction of the distance to a label."""
        self.parts.append((4, (function, self.size, target)))
        self.size += 4

    def branch(self, name, rs1, rs2, target):
        self.later(lambda d: e.b_type(e.BRANCH[name], rs1, rs2, d), target)

    def jump(self, target, rd=0):
        self.later(lambda d: e.j_type(e.JAL, rd, d), target)

    def li(self, rd, value):
        """A constant of up to 64 bits; in steps of 11 from the top."""
        value &= (1 << 64) - 1
        if value >> 63:
            value -= 1 << 64
        chunks = []
        while not -2048 <= value < 2048:
            chunks.append(value & 0x7ff)
            value >>= 11
        self.put(e.i_type(0x13, rd, 0, value))
        for chunk in reversed(chunks):
            self.put(e.i_type(0x1013, rd, rd, 11))
            self.put(e.i_type(0x13, rd, rd, chunk))

    def op(self, name, rd, rs1, rs2):
        self.put(e.r_type(e.OP[name], rd, rs1, rs2))

    def addi(self, rd, rs1, imm):
        self.put(e.i_type(0x13, rd, rs1, imm))

    def load(self, name, rd, rs1, imm):
        self.put(e.i_type(e.LOAD[name][0], rd, rs1, imm))

    def store(self, name, rs2, rs1, imm):
        self.put(e.s_type(e.STORE[name][0], rs1, rs2, imm))

    def csr(self, name, rd, csr, rs1):
        self.put(e.i_type(e.CSR[name], rd, rs1, csr))

    def bytes(self):
        out = bytearray()
        for size, value in self.parts:
            if isinstance(value, tuple):
                function, here, target = value
                value = function(self.labels[target] - here)[1]
            out += value.to_bytes(size, 'little')
        return bytes(out)


def _handler(a):
    """Record the trap and skip its instruction."""
    a.csr('csrrw', 31, e.MSCRATCH, 31)
    for reg in (28, 29, 30):
        a.store('sd', reg, 31, STATE_X + 8 * reg)
    a.csr('csrrs', 30, e.MCAUSE, 0)
    # Environment calls from U, S and M: 8, 9, 11.
    a.put(e.i_type(0x7013, 29, 30, -4), e.i_type(0x13, 29, 29, -8))
    a.branch('beq', 29, 0, 'end')
    a.load('ld', 29, 31, STATE_COUNT)
    a.addi(28, 29, 1)
    a.store('sd', 28, 31, STATE_COUNT)
    a.addi(28, 0, MAX_TRAPS)
    a.branch('bgeu', 29, 28, 'logged')
    # QEMU before 8.0 says 4 for a misaligned AMO, where 6 is right.
    a.addi(28, 0, 4)
    a.branch('bne', 30, 28, 'cause')
    a.addi(30, 0, 6)
    a.label('cause')
    a.op('sh1add', 29, 29, 29)
    a.op('sh3add', 29, 29, 31)
    a.store('sd', 30, 29, STATE_LOG)
    a.csr('csrrs', 28, e.MEPC, 0)
    a.store('sd', 28, 29, STATE_LOG + 8)
    # mtval of a breakpoint may be its address or zero: not compared.
    a.addi(28, 0, 3)
    a.branch('beq', 30, 28, 'logged')
    a.csr('csrrs', 28, e.MTVAL, 0)
    # An access fault of a misaligned access may name any part of it.
    a.put(e.i_type(0x7013, 30, 30, -3), e.i_type(0x13, 30, 30, -5))
    a.branch('bne', 30, 0, 'exact')
    a.put(e.i_type(0x7013, 28, 28, -8))
    a.label('exact')
    a.store('sd', 28, 29, STATE_LOG + 16)
    a.label('logged')
    a.csr('csrrs', 30, e.MCAUSE, 0)
    # Nothing can be skipped where there is nothing to fetch.
    a.addi(28, 0, 2)
    a.branch('bltu', 30, 28, 'end')
    a.addi(28, 0, 12)
    a.branch('beq', 30, 28, 'end')
    a.load('ld', 29, 31, STATE_COUNT)
    a.li(28, TRAP_LIMIT)
    a.branch('bgeu', 29, 28, 'end')
    a.csr('csrrs', 28, e.MEPC, 0)
    a.load('lhu', 29, 28, 0)
    a.put(e.i_type(0x7013, 29, 29, 3))
    a.addi(29, 29, -3)
    a.addi(28, 28, 2)
    a.branch('bne', 29, 0, 'short')
    a.addi(28, 28, 2)
    a.label('short')
    a.csr('csrrw', 0, e.MEPC, 28)
    for reg in (28, 29, 30):
        a.load('ld', reg, 31, STATE_X + 8 * reg)
    a.csr('csrrw', 31, e.MSCRATCH, 31)
    a.put(e.word(e.MRET))


def _report(a):
    """Save the state of the program and print it or its checksum."""
    a.label('end')
    for reg in range(1, 28):
        a.store('sd', reg, 31, STATE_X + 8 * reg)
    a.csr('csrrw', 5, e.MSCRATCH, 31)
    a.store('sd', 5, 31, STATE_X + 8 * 31)
    a.li(5, 0x6000)
    a.csr('csrrs', 0, e.MSTATUS, 5)
    a.csr('csrrs', 5, e.FCSR, 0)
    a.store('sd', 5, 31, STATE_FCSR)
    for reg in range(32):
        a.store('fsd', reg, 31, STATE_F + 8 * reg)

    a.li(18, VARIABLES)
    a.load('ld', 19, 18, VAR_FULL)
    a.addi(20, 31, 0)
    a.li(21, STATE + STATE_WORDS * 8)
    a.addi(22, 0, 0)
    a.li(23, HASH_MULTIPLIER)
    a.label('hash')
    a.load('ld', 10, 20, 0)
    a.op('xor', 22, 22, 10)
    a.op('mul', 22, 22, 23)
    a.put(e.i_type(0x5013, 5, 22, 29))
    a.op('xor', 22, 22, 5)
    a.branch('beq', 19, 0, 'quiet')
    a.jump('print', rd=1)
    a.label('quiet')
    a.addi(20, 20, 8)
    a.branch('bne', 20, 21, 'hash')
    a.addi(10, 22, 0)
    a.jump('print', rd=1)
    a.load('ld', 5, 18, VAR_INDEX)
    a.addi(5, 5, 1)
    a.store('sd', 5, 18, VAR_INDEX)
    a.jump('next')


def _print(a):
    """x10 in hexadecimal and a newline; changes x5-x9."""
    a.label('print')
    a.addi(5, 0, 60)
    a.li(6, UART)
    a.label('digit')
    a.op('srl', 7, 10, 5)
    a.put(e.i_type(0x7013, 7, 7, 15))
    a.addi(8, 0, 10)
    a.branch('bltu', 7, 8, 'decimal')
    a.addi(7, 7, ord('a') - ord('0') - 10)
    a.label('decimal')
    a.addi(7, 7, ord('0'))
    a.label('wait')
    a.load('lbu', 9, 6, 5)                      # LSR, THRE
    a.put(e.i_type(0x7013, 9, 9, 0x20))
    a.branch('beq', 9, 0, 'wait')
    a.store('sb', 7, 6, 0)
    a.addi(5, 5, -4)
    a.branch('bge', 5, 0, 'digit')
    a.addi(8, 0, -8)
    a.addi(7, 0, ord('\n'))
    a.branch('blt', 8, 5, 'wait')               # once, then 5 is -8
    a.put(e.i_type(e.JALR, 0, 1, 0))


def _runtime():
    """The code around the programs; the handler is near its start."""
    a = Asm()
    a.jump('start')
    while a.size < HANDLER - RAM:
        a.put(e.c_addi(0, 0))
    _handler(a)
    _report(a)
    _print(a)

    a.label('start')
    a.li(5, 0x6000)
    a.csr('csrrs', 0, e.MSTATUS, 5)             # FS: dirty
    a.li(5, HANDLER)
    a.csr('csrrw', 0, e.MTVEC, 5)
    a.li(5, STATE)
    a.csr('csrrw', 0, e.MSCRATCH, 5)
    # PMP: everything for everybody.
    a.addi(5, 0, -1)
    a.csr('csrrw', 0, e.PMPADDR0, 5)
    a.addi(5, 0, 0x1f)
    a.csr('csrrw', 0, e.PMPCFG0, 5)

    a.label('next')
    a.li(10, VARIABLES)
    a.load('ld', 11, 10, VAR_INDEX)
    a.load('ld', 12, 10, VAR_COUNT)
    a.branch('bne', 11, 12, 'prepare')
    a.li(5, FINISHER)
    a.li(6, 0x5555)
    a.store('sw', 6, 5, 0)
    a.label('forever')
    a.jump('forever')

    # Clear the count and the log, copy the data page.
    a.label('prepare')
    a.li(5, STATE)
    a.addi(6, 5, STATE_COUNT)
    a.li(7, DATA)
    a.label('clear')
    a.store('sd', 0, 6, 0)
    a.addi(6, 6, 8)
    a.branch('bne', 6, 7, 'clear')
    a.addi(13, 10, VAR_TABLE)
    a.load('ld', 14, 13, 0)                     # the data page's original
    a.li(15, DATA_SIZE // 8)
    a.label('copy')
    a.load('ld', 16, 14, 0)
    a.store('sd', 16, 6, 0)
    a.addi(6, 6, 8)
    a.addi(14, 14, 8)
    a.addi(15, 15, -1)
    a.branch('bne', 15, 0, 'copy')
    # table[1 + index]: the program's registers, then its code.
    a.op('sh3add', 13, 11, 13)
    a.load('ld', 31, 13, 8)
    a.addi(14, 31, REGISTERS_SIZE)
    a.csr('csrrw', 0, e.MEPC, 14)
    a.li(14, 0x1800)
    a.csr('csrrc', 0, e.MSTATUS, 14)
    a.load('ld', 14, 31, 65 * 8)
    a.csr('csrrw', 0, e.SATP, 14)
    a.put(e.word(e.SFENCE_VMA))
    a.load('ld', 14, 31, 66 * 8)
    a.csr('csrrs', 0, e.MSTATUS, 14)            # MPP
    a.csr('csrrw', 0, e.SSCRATCH, 0)
    a.load('ld', 14, 31, STATE_FCSR)
    a.csr('csrrw', 0, e.FCSR, 14)
    for reg in range(32):
        a.load('fld', reg, 31, STATE_F + 8 * reg)
    for reg in range(1, 32):
        a.load('ld', reg, 31, STATE_X + 8 * reg)
    a.put(e.word(e.FENCE_I), e.word(e.MRET))

    code = a.bytes()
    assert len(code) < STATE - RAM
    return code


def _elf(contents):
    """An ELF file of one segment at the start of RAM."""
    header = struct.pack('<16sHHIQQQIHHHHHH',
                         b'\x7fELF\x02\x01\x01'.ljust(16, b'\0'), 2, 243, 1,
                         RAM, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack('<IIQQQQQQ', 1, 7, 0x1000, RAM, RAM, len(contents),
                          len(contents), 0x1000)
    return (header + segment).ljust(0x1000, b'\0') + contents


def _page_tables():
    """Of each mode: RAM as it is, by a gigapage, and the window by pages."""
    out = bytearray()
    for user in (0, 1):
        root48, root39, level1, level0 = (
            TABLES + user * 0x4000 + n * 0x1000 for n in range(4))
        leaf = 0xcf | user << 4                 # V R W X A D
        tables = {
            root48: {0: root39 >> 2 | 1},
            root39: {WINDOW >> 30: level1 >> 2 | 1, RAM >> 30: RAM >> 2 | leaf},
            level1: {0: level0 >> 2 | 1},
            # What is below the state is not mapped, nor what is above it.
            level0: {n: RAM + n * 0x1000 >> 2 | leaf
                     for n in range(2, WINDOW_SIZE >> 12)},
        }
        for address in (root48, root39, level1, level0):
            out += struct.pack('<512Q', *(tables[address].get(n, 0)
                                          for n in range(512)))
    return bytes(out)


def data_address(mode):
    """Where a program of this mode sees the middle of the data page."""
    middle = DATA + DATA_SIZE // 2
    return middle if mode == 'M' else middle - RAM + WINDOW


def _mode_words(mode):
    satp, mpp = MODES[mode]
    root = TABLES + (0x4000 if mpp == 0 else 0) + (0x1000 if satp == 8 else 0)
    return [satp << 60 | (root >> 12 if satp else 0), mpp << 11]


def build(data_page, programs, full):
    """The ELF of programs, each a triple (mode, register values, code).

    Register values are 65 integers: x0-x31, f0-f31, fcsr. Returns the file
    and the addresses of the programs' first instructions.
    """
    assert len(data_page) == DATA_SIZE
    table_end = VARIABLES + VAR_TABLE + 8 * (1 + len(programs))
    position = (table_end + 63) & ~63
    table, starts, body = [position], [], bytearray(data_page)
    position += DATA_SIZE
    for mode, registers, code in programs:
        block = struct.pack('<67Q', *registers, *_mode_words(mode)) + code
        block += bytes(-len(block) % 8)
        table.append(position)
        starts.append(position + REGISTERS_SIZE)
        body += block
        position += len(block)
    contents = bytearray(_runtime().ljust(TABLES - RAM, b'\0'))
    contents += _page_tables()
    assert len(contents) == VARIABLES - RAM
    contents += struct.pack('<QQQ', 0, len(programs), int(full))
    contents += struct.pack('<%dQ' % len(table), *table)
    contents += bytes(table[0] - RAM - len(contents))
    contents += body
    return _elf(bytes(contents)), starts
