/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerators there are. Each is one constant table (AccelOps) in a file
 * of its own; accel/accel.c lists them. The name is the one of the command
 * line: the interpreter of accel/soft answers to "tcg", under which management
 * software knows the software CPU.
 */
#ifndef GODWIT_ACCEL_ACCEL_H
#define GODWIT_ACCEL_ACCEL_H

#include "system/accel-ops.h"

/* Runs harts by their CpuOps.run(), a thread each. */
extern const AccelOps accel_tcg;
/* Runs no hart and moves guest time by hand alone: for tests over qtest. */
extern const AccelOps accel_qtest;

/* All of them, ended by NULL. */
extern const AccelOps *const accel_all[];

/* The table called @name, or NULL. */
const AccelOps *accel_find(const char *name);

/*
 * Sets vm->accel to the first of @names ("kvm:tcg", in order) that exists and
 * whose probe succeeds; NULL means "tcg". Error: none does; it names those
 * there are. While the command line is carried out.
 */
bool accel_choose(Vm *vm, const char *names, Error **errp);

#endif
