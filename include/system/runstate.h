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
 * Stops the guest: guest time, vCPUs, then the change handlers and event STOP;
 * then the state is @state. No-op but for the state if stopped already. After
 * it, nothing writes guest memory any more (block and net back ends drained).
 */
void vm_stop(Vm *vm, RunState state);

/* Lets the guest run: handlers, RESUME, time, vCPUs. */
void vm_start(Vm *vm);

/*
 * @fn is told after each stop (running false) and before each start. Higher
 * @priority is told first on start and last on stop: back ends (10) before
 * devices (0). The id is for runstate_remove_handler().
 */
typedef void (*RunStateFn)(void *opaque, bool running, RunState state);
unsigned runstate_add_handler(Vm *vm, int priority, RunStateFn fn,
                              void *opaque);
void runstate_remove_handler(Vm *vm, unsigned id);

/*
 * Asks; carried out by the main loop soon. Any thread. Reset runs the
 * machine's reset handlers with the harts stopped; shutdown ends the process
 * or, under -no-shutdown (set-action), pauses; each sends its event.
 */
void vm_request_reset(Vm *vm, ShutdownCause cause);
void vm_request_shutdown(Vm *vm, ShutdownCause cause);
void vm_request_powerdown(Vm *vm);

/* As vm_request_shutdown(); a process that ends by it has exit status @code. */
void vm_request_shutdown_with_code(Vm *vm, ShutdownCause cause, int code);

/*
 * Resets at once: harts, then the reset handlers, then event RESET unless
 * @cause is none. A running guest goes on from its start.
 */
void vm_reset(Vm *vm, ShutdownCause cause);

/* Called in order of registration by a reset, vCPUs stopped. */
typedef void (*ResetFn)(void *opaque);
void vm_add_reset_handler(Vm *vm, ResetFn fn, void *opaque);
void vm_remove_reset_handler(Vm *vm, ResetFn fn, void *opaque);

/* Who hears of system_powerdown (a board's button); returns whether any did. */
void vm_set_powerdown_handler(Vm *vm, void (*fn)(void *opaque), void *opaque);

#endif
