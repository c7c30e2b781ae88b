/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPUs: what every hart has, whatever runs it. The target (target/riscv)
 * embeds Cpu in its own hart and provides CpuOps; the accelerator (accel/)
 * provides the thread's loop. system/cpus.c owns the threads, and starting and
 * stopping them.
 *
 * A hart thread is "in guest" while it may touch guest RAM through its TLB
 * without telling anybody. cpu_enter_guest()/cpu_leave_guest() mark that; a
 * hart leaves to take the big lock, to sleep (WFI) and to stop. Whoever needs
 * all harts to have noticed something sets a request, kicks, and waits until
 * each has left or passed a safe point (cpu_safe_point()).
 */
#ifndef GODWIT_SYSTEM_CPU_H
#define GODWIT_SYSTEM_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "system/vm.h"

typedef struct Cpu Cpu;

/* Why CpuOps.run() came back. */
typedef enum CpuExit {
    CPU_EXIT_ATTENTION,     /* cpu->attention was set */
    CPU_EXIT_HALTED,        /* the hart waits for an interrupt */
} CpuExit;

/*
 * What a target does. All are called on the hart's own thread unless said
 * otherwise.
 */
typedef struct CpuOps {
    /* Power-on state. Any thread; the hart does not run. Big lock. */
    void (*reset)(Cpu *cpu);

    /*
     * Executes guest code until cpu->attention is non-zero or the hart halts.
     * Looks at cpu->attention at least once every few thousand instructions
     * and at each taken interrupt; must not clear it. Big lock not held; "in
     * guest" on entry and on return.
     */
    CpuExit (*run)(Cpu *cpu);

    /* Whether a halted hart has a reason to go on (pending & enabled). Any. */
    bool (*has_work)(Cpu *cpu);

    /*
     * Forgets which pages may be stored to without marking them dirty.
     * Called at a safe point.
     */
    void (*flush_writes)(Cpu *cpu);

    /* HMP "info registers": appends text. Hart stopped. Big lock. */
    void (*dump)(Cpu *cpu, GString *out);
} CpuOps;

/* Interrupt lines of a hart are its target's matter: see target/riscv/cpu.h. */

struct Cpu {
    /* Constant after cpu_init() */
    Vm *vm;
    unsigned index;
    const CpuOps *ops;

    /* Atomic: set by anybody, cleared by the hart's loop (accel/) */
    uint32_t attention;         /* leave run() soon */
    uint32_t flush_request;     /* flush_writes() at the next safe point */
    uint32_t in_guest;

    /* Owned by system/cpus.c and accel/, under the vCPU lock there */
    GThread *thread;
    pid_t tid;                  /* 0 until the thread runs */
    bool stop_request;
    bool stopped;
    bool exit_request;
};

/* Fills the common part; the thread is made by cpus_start_threads(). */
void cpu_init(Cpu *cpu, Vm *vm, unsigned index, const CpuOps *ops);

/* Makes run() return, or a halted hart look again. Any thread, no lock. */
void cpu_kick(Cpu *cpu);

/* See the top. Hart thread only. Entering serves a pending flush request. */
void cpu_enter_guest(Cpu *cpu);
void cpu_leave_guest(Cpu *cpu);
void cpu_safe_point(Cpu *cpu);

/*
 * One access to a device by a hart in guest: leaves, takes the big lock, asks
 * memory_io_*(), comes back.
 */
int cpu_io_read(Cpu *cpu, uint64_t addr, unsigned size, uint64_t *val);
int cpu_io_write(Cpu *cpu, uint64_t addr, unsigned size, uint64_t val);

/* Creates the threads, all stopped. Main thread, once, big lock held. */
void cpus_start_threads(Vm *vm);
/* Ends and joins them. Main thread, big lock not held. */
void cpus_join_threads(Vm *vm);

/*
 * Stops every hart and waits until it has (it is between two instructions
 * then), or lets all run on. Big lock held; pausing drops it while it waits.
 * Callers use vm_stop()/vm_start() of runstate.h.
 */
void cpus_pause_all(Vm *vm);
void cpus_resume_all(Vm *vm);

/*
 * Fraction of time (0..99 %) for which each hart is made to sleep: the
 * auto-converge throttle. 0 ends it. Any thread.
 */
void cpus_set_throttle(Vm *vm, unsigned percent);
unsigned cpus_get_throttle(Vm *vm);

#endif
