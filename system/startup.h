/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a command line to a machine that runs; private to system/. */
#ifndef GODWIT_SYSTEM_STARTUP_H
#define GODWIT_SYSTEM_STARTUP_H

#include "system/module.h"

/*
 * Creates the modules' state, reads the command line, and sets everything up;
 * in the end all monitors listen and, unless something waits (-S, -incoming),
 * the guest runs. Big lock not held. After an error vm_shut_down() is due too.
 */
bool vm_start_up(Vm *vm, const VmModule *const *modules, int argc,
                 char **argv, Error **errp);

/* Joins the harts and undoes the modules, backwards. Big lock not held. */
void vm_shut_down(Vm *vm, const VmModule *const *modules);

#endif
