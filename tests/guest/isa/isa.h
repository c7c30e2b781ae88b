/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the ISA tests share. A test starts in M on every hart at _start, counts
 * its checks in gp, and ends by PASS or by the number of the check that
 * failed. Memory map: tests/unit/riscv-harness.h; all of it but the interrupt
 * lines is where QEMU's virt board has it, so most tests run there as well.
 */
#define FINISHER 0x100000
#define SOFTINT 0x2000000
#define LINES 0x3000000

#define CAUSE_FETCH_ACCESS 1
#define CAUSE_ILLEGAL 2
#define CAUSE_BREAKPOINT 3
#define CAUSE_LOAD_MISALIGNED 4
#define CAUSE_LOAD_ACCESS 5
#define CAUSE_STORE_MISALIGNED 6
#define CAUSE_STORE_ACCESS 7
#define CAUSE_ECALL_U 8
#define CAUSE_ECALL_S 9
#define CAUSE_ECALL_M 11
#define CAUSE_FETCH_PAGE 12
#define CAUSE_LOAD_PAGE 13
#define CAUSE_STORE_PAGE 15

#define MSTATUS_SIE 0x2
#define MSTATUS_MIE 0x8
#define MSTATUS_SPIE 0x20
#define MSTATUS_MPIE 0x80
#define MSTATUS_SPP 0x100
#define MSTATUS_MPP 0x1800
#define MSTATUS_MPP_S 0x800
#define MSTATUS_FS 0x6000
#define MSTATUS_MPRV 0x20000
#define MSTATUS_SUM 0x40000
#define MSTATUS_MXR 0x80000
#define MSTATUS_TVM 0x100000
#define MSTATUS_TW 0x200000
#define MSTATUS_TSR 0x400000

/* Hart 0 goes on, with any trap a failure; the others sleep. */
.macro BEGIN
        .text
        .globl  _start
_start:
        csrr    t0, mhartid
1:      beqz    t0, 2f
        wfi
        j       1b
2:      li      gp, 0
        la      t0, trap_handler
        csrw    mtvec, t0
        li      s7, 0
.endm

/* Fails with @num unless @reg is @value. Uses t6. */
.macro CHECK num, reg, value
        li      gp, \num
        li      t6, \value
        bne     \reg, t6, fail
.endm

.macro CHECK_REG num, reg, other
        li      gp, \num
        bne     \reg, \other, fail
.endm

/*
 * The last check, and what all tests end in: the trap handler leaves cause,
 * tval and epc of a trap in s8, s9 and s10 and goes on at s7, in M; without an
 * s7 a trap is a failure (its cause is added to the check's number, times
 * 256). Uses t5, t6.
 */
.macro END
        li      t5, 0x5555
        j       finish
fail:
        slli    t5, gp, 16
        li      t6, 0x3333
        or      t5, t5, t6
finish:
        li      t6, FINISHER
        sw      t5, 0(t6)
1:      j       1b

        .balign 4
trap_handler:
        beqz    s7, 1f
        csrr    s8, mcause
        csrr    s9, mtval
        csrr    s10, mepc
        csrw    mepc, s7
        li      s7, 0
        li      t6, MSTATUS_MPP
        csrs    mstatus, t6
        mret
1:      csrr    t6, mcause
        slli    t6, t6, 8
        or      gp, gp, t6
        j       fail
.endm

/* The next instruction has to trap with @cause. */
.macro EXPECT num, cause, insn:vararg
        li      gp, \num
        li      s8, -1
        la      s7, 9902f
9901:   \insn
        j       fail
        .balign 4
9902:   li      t6, \cause
        bne     s8, t6, fail
        la      t6, 9901b
        bne     s10, t6, fail
.endm

/* EXPECT, and tval has to be @reg. */
.macro EXPECT_TVAL num, cause, reg, insn:vararg
        EXPECT  \num, \cause, \insn
        bne     s9, \reg, fail
.endm

/* Goes on at the next line in @priv (0: U, MSTATUS_MPP_S: S). Uses t6. */
.macro ENTER priv
        li      t6, MSTATUS_MPP
        csrc    mstatus, t6
        li      t6, \priv
        csrs    mstatus, t6
        la      t6, 9903f
        csrw    mepc, t6
        mret
9903:
.endm

/* Back in M, through ecall. Uses t6; a5 is not changed. */
.macro LEAVE num
        li      gp, \num
        la      s7, 9904f
        ecall
        j       fail
9904:
.endm

/* Everything may be accessed by S and U. */
.macro OPEN_PMP
        li      t6, -1
        csrw    pmpaddr0, t6
        li      t6, 0x1f
        csrw    pmpcfg0, t6
.endm
