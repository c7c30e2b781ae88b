/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of the RISC-V privileged architecture, version 1.12 (and Sstc,
 * Svadu), that more than one file of this folder needs.
 */
#ifndef TARGET_RISCV_BITS_H
#define TARGET_RISCV_BITS_H

#include <stdint.h>

/* Privilege levels ("Privilege Levels"). */
enum {
    PRV_U = 0,
    PRV_S = 1,
    PRV_M = 3,
};

/* misa: RV64 with A, C, D, F, I, M, S and U. */
#define MISA_BIT(letter) (UINT64_C(1) << ((letter) - 'A'))
#define HART_MISA                                                              \
    (UINT64_C(2) << 62 | MISA_BIT('A') | MISA_BIT('C') | MISA_BIT('D') |       \
     MISA_BIT('F') | MISA_BIT('I') | MISA_BIT('M') | MISA_BIT('S') |           \
     MISA_BIT('U'))

/* mstatus and sstatus ("Machine Status Registers"). */
#define MSTATUS_SIE (UINT64_C(1) << 1)
#define MSTATUS_MIE (UINT64_C(1) << 3)
#define MSTATUS_SPIE (UINT64_C(1) << 5)
#define MSTATUS_MPIE (UINT64_C(1) << 7)
#define MSTATUS_SPP (UINT64_C(1) << 8)
#define MSTATUS_MPP (UINT64_C(3) << 11)
#define MSTATUS_MPP_SHIFT 11
#define MSTATUS_FS (UINT64_C(3) << 13)
#define MSTATUS_FS_INITIAL (UINT64_C(1) << 13)
#define MSTATUS_MPRV (UINT64_C(1) << 17)
#define MSTATUS_SUM (UINT64_C(1) << 18)
#define MSTATUS_MXR (UINT64_C(1) << 19)
#define MSTATUS_TVM (UINT64_C(1) << 20)
#define MSTATUS_TW (UINT64_C(1) << 21)
#define MSTATUS_TSR (UINT64_C(1) << 22)
#define MSTATUS_UXL_64 (UINT64_C(2) << 32)
#define MSTATUS_UXL (UINT64_C(3) << 32)
#define MSTATUS_SXL_64 (UINT64_C(2) << 34)
#define MSTATUS_SD (UINT64_C(1) << 63)

/* What software can change in them */
#define SSTATUS_WRITABLE                                                       \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM |     \
     MSTATUS_MXR)
#define MSTATUS_WRITABLE                                                       \
    (SSTATUS_WRITABLE | MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP |             \
     MSTATUS_MPRV | MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR)

/* medeleg: ECALL from M is never delegated, 10 and 14 are reserved */
#define MEDELEG_WRITABLE 0xb3ff

/* mip and mie ("Machine Interrupt Registers"). */
#define MIP_SSIP (UINT64_C(1) << 1)
#define MIP_MSIP (UINT64_C(1) << 3)
#define MIP_STIP (UINT64_C(1) << 5)
#define MIP_MTIP (UINT64_C(1) << 7)
#define MIP_SEIP (UINT64_C(1) << 9)
#define MIP_MEIP (UINT64_C(1) << 11)
#define MIP_S_BITS (MIP_SSIP | MIP_STIP | MIP_SEIP)
#define MIP_ALL (MIP_S_BITS | MIP_MSIP | MIP_MTIP | MIP_MEIP)

/* menvcfg and senvcfg ("Machine Environment Configuration Registers"). */
#define ENVCFG_FIOM (UINT64_C(1) << 0)
#define ENVCFG_CBIE (UINT64_C(3) << 4)
#define ENVCFG_CBCFE (UINT64_C(1) << 6)
#define ENVCFG_CBZE (UINT64_C(1) << 7)
#define MENVCFG_ADUE (UINT64_C(1) << 61)
#define MENVCFG_STCE (UINT64_C(1) << 63)
#define SENVCFG_WRITABLE (ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE)
#define MENVCFG_WRITABLE (SENVCFG_WRITABLE | MENVCFG_ADUE | MENVCFG_STCE)

/* mcounteren, mcountinhibit. */
#define COUNTER_CY 1
#define COUNTER_TM 2
#define COUNTER_IR 4

/* satp ("Supervisor Address Translation and Protection Register"). */
#define SATP_MODE_SHIFT 60
#define SATP_MODE_BARE 0
#define SATP_MODE_SV39 8
#define SATP_MODE_SV48 9
#define SATP_PPN ((UINT64_C(1) << 44) - 1)

/* Exceptions ("Machine Cause Register"). */
enum {
    EXC_INST_ACCESS = 1,
    EXC_ILLEGAL = 2,
    EXC_BREAKPOINT = 3,
    EXC_LOAD_MISALIGNED = 4,
    EXC_LOAD_ACCESS = 5,
    EXC_STORE_MISALIGNED = 6,
    EXC_STORE_ACCESS = 7,
    EXC_ECALL_U = 8,
    EXC_ECALL_S = 9,
    EXC_ECALL_M = 11,
    EXC_INST_PAGE = 12,
    EXC_LOAD_PAGE = 13,
    EXC_STORE_PAGE = 15,
};
#define CAUSE_INTERRUPT (UINT64_C(1) << 63)

/* Page-table entries ("Sv39: Page-Based 39-bit Virtual-Memory System"). */
#define PTE_V (UINT64_C(1) << 0)
#define PTE_R (UINT64_C(1) << 1)
#define PTE_W (UINT64_C(1) << 2)
#define PTE_X (UINT64_C(1) << 3)
#define PTE_U (UINT64_C(1) << 4)
#define PTE_A (UINT64_C(1) << 6)
#define PTE_D (UINT64_C(1) << 7)
#define PTE_PPN_SHIFT 10
#define PTE_RESERVED (UINT64_C(0x3ff) << 54)

/* pmpcfg ("Physical Memory Protection CSRs"). */
#define PMP_R 0x01
#define PMP_W 0x02
#define PMP_X 0x04
#define PMP_A 0x18
#define PMP_A_TOR 0x08
#define PMP_A_NA4 0x10
#define PMP_A_NAPOT 0x18
#define PMP_L 0x80
#define PMPCFG_WRITABLE (PMP_R | PMP_W | PMP_X | PMP_A | PMP_L)
/* Bits 55:2 of an address */
#define PMPADDR_WRITABLE ((UINT64_C(1) << 54) - 1)
#define PMP_ENTRIES 16

#endif
