/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes vCPUs run, as system sees it: one constant table an accelerator.
 * accel/ has the tables, and include/accel/accel.h finds them by name.
 */
#ifndef GODWIT_SYSTEM_ACCEL_OPS_H
#define GODWIT_SYSTEM_ACCEL_OPS_H

#include "system/cpu.h"

typedef struct AccelOps {
    const char *name;           /* -accel NAME */
    const char *description;    /* for -accel help */

    /* Whether this host can; main thread. NULL: always. */
    bool (*probe)(Error **errp);

    /*
     * Once, after the harts exist and before cpus_start_threads(): registers
     * the memory barrier, chooses how guest time goes. Main thread, big lock.
     */
    bool (*init)(Vm *vm, Error **errp);

    /*
     * The body of a hart's thread between two stops: returns when
     * cpu_stop_requested(). Out of guest on entry and on return; big lock not
     * held.
     */
    void (*run_vcpu)(Cpu *cpu);
} AccelOps;

#endif
