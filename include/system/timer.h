/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest time. VM_CLOCK_VIRTUAL counts nanoseconds while the guest runs, stands
 * still while it does not, and migrates; VM_CLOCK_HOST is the wall clock
 * (-rtc base= and clock= shift it); VM_CLOCK_REALTIME is the host's monotonic
 * clock, for what has nothing to do with the guest.
 */
#ifndef GODWIT_SYSTEM_TIMER_H
#define GODWIT_SYSTEM_TIMER_H

#include "system/vm.h"

typedef enum VmClock {
    VM_CLOCK_VIRTUAL,
    VM_CLOCK_HOST,
    VM_CLOCK_REALTIME,
} VmClock;

/* Nanoseconds. Any thread, no lock; a few ns on the virtual clock. */
int64_t vm_clock_ns(Vm *vm, VmClock clock);

/* Starts, stops and sets the virtual clock. Big lock. Set: only stopped. */
void vm_clock_enable(Vm *vm, bool running);
void vm_clock_set_virtual(Vm *vm, int64_t ns);

/* Moves a virtual clock that is stepped by hand; due timers run. Big lock. */
void vm_clock_step(Vm *vm, int64_t ns);
/* When the next virtual timer is due, or -1. Big lock. */
int64_t vm_clock_next_deadline(Vm *vm);

typedef struct VmTimer VmTimer;

/* @fn(@opaque) is called from the main loop under the big lock. */
VmTimer *vm_timer_new(Vm *vm, VmClock clock, void (*fn)(void *opaque),
                      void *opaque);
void vm_timer_free(VmTimer *timer);

/*
 * Fires once at @deadline_ns of its clock (at once if that has passed); a
 * later call replaces an earlier one. INT64_MAX: never. Any thread.
 */
void vm_timer_mod(VmTimer *timer, int64_t deadline_ns);
void vm_timer_del(VmTimer *timer);
bool vm_timer_pending(VmTimer *timer);
int64_t vm_timer_deadline(VmTimer *timer);  /* INT64_MAX: not pending */

#endif
