/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first instructions of the pattern guest, and the parameters that
 * whoever starts it patches into the image: see tests/guest/README.rst.
 */
    .section .head, "ax"
    .globl _start
_start:
    j       start
    .balign 8
    .globl params
params:
    .ascii  "GWPATTRN"          /* where to find them */
    .dword  0x100000            /* area, bytes from the start of RAM */
    .dword  0x6300000           /* its length, bytes */
    .dword  0                   /* pages a second; 0: as fast as can be */
    .dword  100                 /* ms between two lines on the UART */
    .dword  0                   /* 1: fill pages with noise first */
    .dword  0                   /* passes over the area; 0: for ever */

start:
    csrr    t0, mhartid
    bnez    t0, park
    la      sp, stack_top
    call    pattern_main
park:
    wfi
    j       park
