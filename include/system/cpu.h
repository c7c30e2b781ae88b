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

    /* Atomic: set by anybody, cleared by the hart's thread */
    uint32_t attention;         /* leave run() soon */
    uint32_t flush_request;     /* flush_writes() at the next safe point */
    uint32_t throttle_request;  /* sleep off what ran since the last */

    /* Atomic: set by the hart's thread */
    uint32_t in_guest;
    uint32_t sleeping;          /* on "wake" */

    /* Hart's thread alone */
    int64_t ran_ns;             /* in run() since the last throttling */

    /* Main thread; constant while the threads run */
    GThread *thread;
    pid_t tid;                  /* 0 until the thread runs */

    /* Under CpuControl.lock (system/cpus.c); the requests may be read atomically
       without it */
    GCond wake;
    bool stop_request;
    bool exit_request;
    bool stopped;
};

/*
 * Fills the common part: a stopped hart. Its target then files it in vm->cpus
 * at @index; its thread is made by cpus_start_threads(), and it must live
 * until cpus_join_threads(). Main thread.
 */
void cpu_init(Cpu *cpu, Vm *vm, unsigned index, const CpuOps *ops);

/* Makes run() return, or a halted hart look again. Any thread, no lock. */
void cpu_kick(Cpu *cpu);

/*
 * See the top. Hart thread only; a safe point is passed in guest, entering is
 * one as well.
 */
void cpu_enter_guest(Cpu *cpu);
void cpu_leave_guest(Cpu *cpu);
void cpu_safe_point(Cpu *cpu);

/*
 * For the loop of an accelerator, on the hart's thread, out of guest, without
 * the big lock:
 *
 *     while (!cpu_stop_requested(cpu)) {
 *         cpu_throttle(cpu);
 *         cpu_run(cpu) or whatever it is that runs
 *         if the hart halted: cpu_sleep(cpu)
 *         cpu_clear_attention(cpu);
 *     }
 *
 * The order matters: what was asked for is looked at after the clearing.
 */
bool cpu_stop_requested(Cpu *cpu);
void cpu_clear_attention(Cpu *cpu);
/* Sleeps until cpu->attention is set. */
void cpu_sleep(Cpu *cpu);
/* Sleeps as the throttle asks; a stop ends it early. */
void cpu_throttle(Cpu *cpu);
/* Enters, calls ops->run() once, leaves; the throttle counts the time. */
CpuExit cpu_run(Cpu *cpu);

/*
 * One access to a device by a hart in guest: leaves, takes the big lock, asks
 * memory_io_*(), comes back. Returns a MemResult.
 */
int cpu_io_read(Cpu *cpu, uint64_t addr, unsigned size, uint64_t *val);
int cpu_io_write(Cpu *cpu, uint64_t addr, unsigned size, uint64_t val);

/*
 * Creates the threads, "CPU n/TCG", all stopped; vm->accel is set and
 * initialized. On return every tid is known. Main thread, once, big lock held.
 */
void cpus_start_threads(Vm *vm);
/*
 * Ends and joins them, stopped or not; nothing if there are none. Main thread,
 * big lock not held. vm_free() does it too.
 */
void cpus_join_threads(Vm *vm);

/*
 * Stops every hart and waits until it has (it is between two instructions
 * then), or lets all run on. Big lock held; pausing drops it while it waits.
 * Not on a hart's thread. Callers use vm_stop()/vm_start() of runstate.h, which
 * order those who stop and start at the same time.
 */
void cpus_pause_all(Vm *vm);
void cpus_resume_all(Vm *vm);

/*
 * Makes every hart call flush_writes(), and waits until each has or is out of
 * guest (it will, then, before it runs on). @vm is a Vm: this is what an
 * accelerator hands to memory_set_vcpu_barrier(). Any thread but a hart's, any
 * number at once, with or without the big lock.
 */
void cpus_barrier(void *vm);

/*
 * Fraction of time (0..99 %; more is cut to that) for which each hart is made to
 * sleep: the auto-converge throttle. 0 ends it. Time for which a hart is
 * halted anyway does not count as run. Any thread.
 */
void cpus_set_throttle(Vm *vm, unsigned percent);
unsigned cpus_get_throttle(Vm *vm);

#endif
