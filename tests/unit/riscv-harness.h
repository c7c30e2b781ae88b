/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Harts without a board, for tests and benches: RAM at 0x80000000, and the few
 * registers below, at the addresses the virt board has them. The harts' loop
 * is here too, so nothing but target/riscv and guest memory takes part.
 */
#ifndef TESTS_RISCV_HARNESS_H
#define TESTS_RISCV_HARNESS_H

#include "system/memory.h"
#include "target/riscv/cpu.h"

#define HARNESS_RAM_BASE UINT64_C(0x80000000)
#define HARNESS_RAM_SIZE (UINT64_C(64) << 20)

/*
 * 0x100000   write 0x5555: passed; CODE << 16 | 0x3333: failed with CODE
 * 0x2000000  word for each hart: its software interrupt
 * 0x3000000  word for each hart: lines of HART_IRQ_* as a mask
 * 0x10000000 byte: appended to the output (the 16550's transmitter)
 */
typedef struct Harness Harness;

/* @harts harts that start at the beginning of RAM. */
Harness *harness_new(unsigned harts);
void harness_free(Harness *harness);

/* Puts the flat binary @path at the start of RAM; false: no such file. */
bool harness_load(Harness *harness, const char *path);
/* Puts @len bytes there. */
void harness_poke(Harness *harness, uint64_t addr, const void *data,
                  uint64_t len);
void harness_peek(Harness *harness, uint64_t addr, void *data, uint64_t len);

/*
 * Runs all harts, a thread each, until one writes the finisher or @seconds
 * have passed. Returns what was written; 0: nothing.
 */
uint32_t harness_run(Harness *harness, unsigned seconds);

Vm *harness_vm(Harness *harness);
Hart *harness_hart(Harness *harness, unsigned n);
const char *harness_output(Harness *harness);

#endif
