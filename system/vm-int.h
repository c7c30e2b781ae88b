/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of system that make up a Vm tell each other. */
#ifndef GODWIT_SYSTEM_VM_INT_H
#define GODWIT_SYSTEM_VM_INT_H

#include "system/vm.h"

/* Makes the main loop's poll return. Any thread, signal-safe. */
void vm_loop_wake(Vm *vm);

struct CpuControl *cpu_control_new(void);
void cpu_control_free(struct CpuControl *ctl);

struct VmTimers *vm_timers_new(void);
void vm_timers_free(struct VmTimers *timers);

/* Until the next timer is due, in ns; -1: there is none. Main loop, locked. */
int64_t vm_timers_timeout_ns(Vm *vm);
/* Calls the timers that are due. Main loop, big lock. */
void vm_timers_run(Vm *vm);

/* The run state of a new machine: prelaunch. */
struct RunStateCtl *runstate_ctl_new(void);
void runstate_ctl_free(struct RunStateCtl *ctl);

#endif
