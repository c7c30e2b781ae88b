/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the guest runs and why not: one state, its legal moves in a table
 * (system/runstate.c), and who wants to know of a change. RunState and
 * ShutdownCause are QAPI types. Everything here needs the big lock unless said
 * otherwise.
 */
#ifndef GODWIT_SYSTEM_RUNSTATE_H
#define GODWIT_SYSTEM_RUNSTATE_H

#include "qapi/qapi-types-run-state.h"
#include "system/vm.h"

RunState runstate_get(Vm *vm);              /* any thread, no lock */
bool runstate_is_running(Vm *vm);           /* any thread, no lock */

/*
 * Moves to @next. A move that the table does not have aborts: it is a bug of
 * the caller, never of input.
 */
void runstate_set(Vm *vm, RunState next);
bool runstate_may_set(RunState from, RunState to);

/*
 * Stops the guest: vCPUs, guest time, a reset the guest had asked for, then
 * the state is @state and the change handlers hear of it, then event STOP.
 * No-op but for the state if stopped already. After it, nothing writes guest
 * memory any more (block and net back ends drained). Any thread but a hart's,
 * which calls vm_request_stop(). The big lock is held by the caller and given
 * up meanwhile, for as long as the harts take to stop and others who stop or
 * start take to finish.
 */
void vm_stop(Vm *vm, RunState state);

/* Lets the guest run: state, handlers, RESUME, time, vCPUs. Else as above. */
void vm_start(Vm *vm);

/*
 * @fn is told after each stop (running false) and before each start; the
 * state is the new one already. Higher @priority is told first on start and
 * last on stop: back ends (10) before devices (0). It must not stop or start
 * the guest. The id is for runstate_remove_handler(), which may be called from
 * a handler.
 */
typedef void (*RunStateFn)(void *opaque, bool running, RunState state);
unsigned runstate_add_handler(Vm *vm, int priority, RunStateFn fn,
                              void *opaque);
void runstate_remove_handler(Vm *vm, unsigned id);

/*
 * Asks; carried out by the main loop soon. Any thread, any lock. Reset
 * resets the harts and runs the machine's reset handlers with the harts
 * stopped, and waits until the guest is not being moved (inmigrate,
 * finish-migrate, save-vm, restore-vm); under -no-reboot it is a shutdown.
 * Shutdown ends the process or, under -no-shutdown and if it is not for quit
 * or a signal, stops the guest. Each sends its event.
 */
void vm_request_reset(Vm *vm, ShutdownCause cause);
void vm_request_shutdown(Vm *vm, ShutdownCause cause);
/* Event POWERDOWN, then the machine's power button. */
void vm_request_powerdown(Vm *vm);

/* Stops the guest into @state, if it runs then: for harts and back ends. */
void vm_request_stop(Vm *vm, RunState state);

/* As vm_request_shutdown(); a process that ends by it has exit status @code. */
void vm_request_shutdown_with_code(Vm *vm, ShutdownCause cause, int code);

/*
 * Resets at once, whatever the state: harts, then the reset handlers, then
 * event RESET unless @cause is none or subsystem-reset. A running guest goes
 * on from its start. As for vm_stop(), the big lock is given up meanwhile.
 */
void vm_reset(Vm *vm, ShutdownCause cause);

/*
 * Calls @fn(@opaque) with every hart between two instructions, whatever the run
 * state is, which stays. Waits until they are; big lock, dropped meanwhile.
 */
void vm_call_paused(Vm *vm, void (*fn)(void *opaque), void *opaque);

/* Called in order of registration by a reset, after the harts' own. */
typedef void (*ResetFn)(void *opaque);
void vm_add_reset_handler(Vm *vm, ResetFn fn, void *opaque);
void vm_remove_reset_handler(Vm *vm, ResetFn fn, void *opaque);

/*
 * Who presses the machine's power button when system_powerdown asks for it:
 * @fn(@opaque) from the main loop, big lock, once for each request, or for
 * several that come together; not while the guest is being moved, but after
 * that. NULL: nobody, and event POWERDOWN is all that comes of it.
 */
void vm_set_powerdown_handler(Vm *vm, void (*fn)(void *opaque), void *opaque);

#endif
