/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RV64GC hart, as a board sees it: making harts, wiring their interrupt
 * lines and their time, and what the device tree has to say about them.
 */
#ifndef GODWIT_TARGET_RISCV_CPU_H
#define GODWIT_TARGET_RISCV_CPU_H

#include "system/cpu.h"

typedef struct Hart Hart;

/* Harts in one machine, at most. */
#define HARTS_MAX 8

/*
 * Interrupt lines of a hart: bit numbers of mip (privileged architecture,
 * "Machine Interrupt Registers"). STIP belongs to the hart itself (Sstc) and
 * to the firmware.
 */
enum {
    HART_IRQ_SSIP = 1,
    HART_IRQ_MSIP = 3,
    HART_IRQ_MTIP = 7,
    HART_IRQ_SEIP = 9,
    HART_IRQ_MEIP = 11,
};

/*
 * Where the time CSR comes from and when a value of it will be reached. The
 * default counts VM_CLOCK_VIRTUAL at HART_TIMEBASE_HZ from 0. Both hooks are
 * called on any thread, without and with the big lock, and take none.
 */
typedef struct HartTime {
    uint64_t (*read)(void *opaque);     /* ticks */
    /* VM_CLOCK_VIRTUAL ns at which read() will say @ticks; INT64_MAX: never */
    int64_t (*deadline_ns)(void *opaque, uint64_t ticks);
    void *opaque;
} HartTime;

#define HART_TIMEBASE_HZ UINT64_C(10000000)

/*
 * A hart with mhartid @index (0 .. HARTS_MAX - 1) that starts at @reset_pc,
 * appended to vm->cpus, which must hold @index harts already, and reset. Its
 * state is registered for migration. Main thread, big lock, before the vCPU
 * threads are made. Never NULL.
 */
Hart *hart_new(Vm *vm, unsigned index, uint64_t reset_pc);

/* Ends it; its thread has been joined. Takes it out of vm->cpus. */
void hart_free(Hart *hart);

Cpu *hart_cpu(Hart *hart);
Hart *hart_from_cpu(Cpu *cpu);

/* Replaces the source of time; *time is copied. Before the hart runs. */
void hart_set_time(Hart *hart, const HartTime *time);

/* The source of time has jumped: looks at stimecmp again. Big lock. */
void hart_time_changed(Hart *hart);

/* Sets the level of line @irq (HART_IRQ_*). Any thread, no lock; kicks. */
void hart_set_irq(Hart *hart, unsigned irq, bool level);

/*
 * For the device tree: "rv64imafdc_zicsr...", the same as a list that ends in
 * NULL ("i", "m", ..., for riscv,isa-extensions), and mmu-type.
 */
const char *hart_isa_string(void);
const char *const *hart_isa_extensions(void);
const char *hart_mmu_type(void);
/* Bytes of a block of Zicbom and Zicboz. */
#define HART_CBO_BLOCK_SIZE 64

/* Guest instructions retired since the hart was made. Any thread, racy. */
uint64_t hart_instructions(Hart *hart);

/* For tests and HMP: x1..x31 by number, the program counter. Hart stopped. */
uint64_t hart_get_x(Hart *hart, unsigned n);
void hart_set_x(Hart *hart, unsigned n, uint64_t val);
uint64_t hart_get_pc(Hart *hart);
void hart_set_pc(Hart *hart, uint64_t pc);

#endif
