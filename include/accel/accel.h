/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes vCPUs run. An accelerator is one constant table; accel/accel.c
 * lists them. The name is the one of the command line: the interpreter of
 * accel/soft answers to "tcg", under which management software knows the
 * software CPU.
 */
#ifndef GODWIT_ACCEL_ACCEL_H
#define GODWIT_ACCEL_ACCEL_H

#include "system/cpu.h"

typedef struct AccelOps {
    const char *name;           /* -accel NAME */
    const char *description;    /* for -accel help */

    /* Whether this host can; main thread. NULL: always. */
    bool (*probe)(Error **errp);

    /* Once, after the harts exist. Registers the memory barrier. */
    bool (*init)(Vm *vm, Error **errp);

    /*
     * The body of a hart's thread between two stops: returns when
     * cpu->stop_request or cpu->exit_request is set. Big lock not held.
     */
    void (*run_vcpu)(Cpu *cpu);

    /* Whether guest time stands still except by qtest's clock_step. */
    bool clock_by_hand;
} AccelOps;

/* The table called @name, or NULL. */
const AccelOps *accel_find(const char *name);

/* All of them, ended by NULL. */
extern const AccelOps *const accel_all[];

#endif
