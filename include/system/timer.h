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

/*
 * Nanoseconds. Any thread, no lock, no system call: it takes what reading the
 * host's clock takes (some 25 ns), and little more.
 */
int64_t vm_clock_ns(Vm *vm, VmClock clock);

/* The latest that guest time can be set or stepped to: 73 years, in ns. */
#define VM_CLOCK_VIRTUAL_MAX (INT64_MAX / 4)

/*
 * Starts, stops and sets the virtual clock. Virtual timers fire only while it
 * is started. Big lock. Set: only stopped; @ns is 0 .. VM_CLOCK_VIRTUAL_MAX.
 */
void vm_clock_enable(Vm *vm, bool running);
void vm_clock_set_virtual(Vm *vm, int64_t ns);

/*
 * From now on the virtual clock moves by vm_clock_step() alone: for tests,
 * where the time that passes on the host must not matter. Before the first
 * start; big lock.
 */
void vm_clock_set_by_hand(Vm *vm);
bool vm_clock_is_by_hand(Vm *vm);

/*
 * Moves a virtual clock that is stepped by hand on by @ns (not negative),
 * stopping at each timer that is due on the way: its function sees the time
 * for which it asked. Big lock.
 */
void vm_clock_step(Vm *vm, int64_t ns);
/* When the next virtual timer is due, or -1. Big lock. */
int64_t vm_clock_next_deadline(Vm *vm);

/*
 * -rtc: what VM_CLOCK_HOST is, @base's time plus @offset_ns. @base is
 * VM_CLOCK_HOST (the host's wall clock; the default, offset 0) or, for an RTC
 * that wall clock changes must not reach, VM_CLOCK_REALTIME or
 * VM_CLOCK_VIRTUAL. While the command line is carried out.
 */
void vm_clock_set_host_base(Vm *vm, VmClock base, int64_t offset_ns);

typedef struct VmTimer VmTimer;

/* @fn(@opaque) is called from the main loop under the big lock. */
VmTimer *vm_timer_new(Vm *vm, VmClock clock, void (*fn)(void *opaque),
                      void *opaque);
/* NULL is fine. Big lock: so @fn is not being called. */
void vm_timer_free(VmTimer *timer);

/*
 * Fires once at @deadline_ns of its clock (at once if that has passed); a
 * later call replaces an earlier one. INT64_MAX: never. Any thread; one that
 * does not hold the big lock may find that @fn still runs after the deletion.
 */
void vm_timer_mod(VmTimer *timer, int64_t deadline_ns);
void vm_timer_del(VmTimer *timer);
bool vm_timer_pending(VmTimer *timer);
int64_t vm_timer_deadline(VmTimer *timer);  /* INT64_MAX: not pending */

#endif
