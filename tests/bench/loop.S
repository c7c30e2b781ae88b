/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loops of bench-cpu, a word at the start of each run says which: 0
 * integer, 1 memory, 2 floating point, and a doubleword how many rounds.
 */
        .globl  _start
_start:
        j       1f
        .balign 8
which:  .dword  0
rounds: .dword  0
1:      ld      a0, which
        ld      a1, rounds
        li      t0, 1
        beq     a0, t0, memory
        li      t0, 2
        beq     a0, t0, floating

/* xorshift and a few branches: 16 instructions a round */
integer:
        li      s0, 0x2545f491
        li      s1, 0
        li      s2, 0
1:      slli    t0, s0, 13
        xor     s0, s0, t0
        srli    t0, s0, 7
        xor     s0, s0, t0
        slli    t0, s0, 17
        xor     s0, s0, t0
        andi    t1, s0, 64
        beqz    t1, 2f
        addi    s1, s1, 1
2:      add     s2, s2, s0
        addw    t2, s2, s1
        sltu    t3, t2, s2
        add     s1, s1, t3
        mul     t4, s0, t2
        addi    a1, a1, -1
        bnez    a1, 1b
        j       done

/* copies 64 KiB, a doubleword at a time, over and over */
memory:
        la      s0, buffer
        li      t0, 0x10000
        add     s1, s0, t0
1:      mv      t1, s0
        mv      t2, s1
2:      ld      t3, 0(t1)
        ld      t4, 8(t1)
        sd      t3, 0(t2)
        sd      t4, 8(t2)
        addi    t1, t1, 16
        addi    t2, t2, 16
        addi    a1, a1, -1
        beqz    a1, done
        bltu    t1, s1, 2b
        j       1b

floating:
        li      t0, 3 << 13
        csrs    mstatus, t0
        li      t0, 3
        fcvt.d.w fa0, t0
        li      t0, 7
        fcvt.d.w fa1, t0
        fdiv.d  fa2, fa0, fa1
        fmv.d   fa3, fa2
1:      fmul.d  fa4, fa3, fa2
        fadd.d  fa3, fa4, fa2
        fsub.d  fa5, fa3, fa4
        fmadd.d fa6, fa5, fa2, fa3
        fadd.d  fa6, fa6, fa5
        flt.d   t1, fa6, fa0
        addi    a1, a1, -1
        bnez    a1, 1b

done:
        li      t0, 0x100000
        li      t1, 0x5555
        sw      t1, 0(t0)
1:      j       1b

        .balign 4096
buffer:
