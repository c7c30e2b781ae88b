/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's one run state, who hears of its changes, and the requests that
 * change it. The state is read by any thread; everything else is under the big
 * lock, except the pending requests, which have a lock of their own so that
 * anybody can ask. Lock order: big lock, request_lock.
 */
#include "system/runstate.h"

#include "qapi/qapi-events-run-state.h"
#include "system/cpu.h"
#include "system/machine.h"
#include "system/timer.h"
#include "system/vm-int.h"
#include "trace/trace-system.h"

typedef struct Handler {
    unsigned id;
    int priority;
    RunStateFn fn;
    void *opaque;
} Handler;

typedef struct ResetHandler {
    ResetFn fn;
    void *opaque;
} ResetHandler;

struct RunStateCtl {
    int state;                  /* atomic RunState */

    /* under the big lock */
    GArray *handlers;           /* of Handler, highest priority first */
    unsigned last_id;
    GArray *resets;             /* of ResetHandler */
    void (*powerdown)(void *opaque);
    void *powerdown_opaque;

    /* under request_lock */
    GMutex request_lock;
    bool queued;                /* carry_out() is on its way */
    bool reset_wanted, shutdown_wanted, powerdown_wanted;
    ShutdownCause reset_cause, shutdown_cause;
    int exit_code;
};

#define BIT(state) (1u << RUN_STATE_##state)

/* What an incoming migration, or a finished one, may find or leave behind. */
#define STOPPED_REASONS                                                 \
    (BIT(PAUSED) | BIT(POSTMIGRATE) | BIT(INTERNAL_ERROR) |             \
     BIT(IO_ERROR) | BIT(SHUTDOWN) | BIT(SUSPENDED) | BIT(WATCHDOG) |   \
     BIT(GUEST_PANICKED) | BIT(PRELAUNCH))

/* Where each state may go next. */
static const uint32_t legal_moves[RUN_STATE__MAX] = {
    [RUN_STATE_PRELAUNCH] = BIT(RUNNING) | BIT(FINISH_MIGRATE) |
                            BIT(INMIGRATE) | BIT(SUSPENDED) | BIT(PAUSED) |
                            BIT(RESTORE_VM) | BIT(SHUTDOWN),
    [RUN_STATE_INMIGRATE] = STOPPED_REASONS | BIT(RUNNING) |
                            BIT(FINISH_MIGRATE),
    [RUN_STATE_RUNNING] = BIT(DEBUG) | BIT(INTERNAL_ERROR) | BIT(IO_ERROR) |
                          BIT(PAUSED) | BIT(FINISH_MIGRATE) |
                          BIT(RESTORE_VM) | BIT(SAVE_VM) | BIT(SHUTDOWN) |
                          BIT(WATCHDOG) | BIT(GUEST_PANICKED) |
                          BIT(SUSPENDED),
    [RUN_STATE_PAUSED] = BIT(RUNNING) | BIT(FINISH_MIGRATE) |
                         BIT(POSTMIGRATE) | BIT(PRELAUNCH) |
                         BIT(SUSPENDED) | BIT(SHUTDOWN),
    [RUN_STATE_FINISH_MIGRATE] = STOPPED_REASONS | BIT(RUNNING),
    [RUN_STATE_POSTMIGRATE] = BIT(RUNNING) | BIT(FINISH_MIGRATE) |
                              BIT(PRELAUNCH) | BIT(PAUSED) | BIT(SHUTDOWN),
    [RUN_STATE_SHUTDOWN] = BIT(PAUSED) | BIT(FINISH_MIGRATE) |
                           BIT(PRELAUNCH),
    [RUN_STATE_SUSPENDED] = BIT(RUNNING) | BIT(FINISH_MIGRATE) |
                            BIT(PRELAUNCH) | BIT(PAUSED) | BIT(SHUTDOWN),
    [RUN_STATE_DEBUG] = BIT(RUNNING) | BIT(FINISH_MIGRATE) | BIT(PRELAUNCH) |
                        BIT(SHUTDOWN),
    [RUN_STATE_INTERNAL_ERROR] = BIT(PAUSED) | BIT(FINISH_MIGRATE) |
                                 BIT(PRELAUNCH) | BIT(SHUTDOWN),
    [RUN_STATE_IO_ERROR] = BIT(RUNNING) | BIT(FINISH_MIGRATE) |
                           BIT(PRELAUNCH) | BIT(SHUTDOWN),
    [RUN_STATE_WATCHDOG] = BIT(RUNNING) | BIT(FINISH_MIGRATE) |
                           BIT(PRELAUNCH) | BIT(SHUTDOWN),
    [RUN_STATE_GUEST_PANICKED] = BIT(RUNNING) | BIT(FINISH_MIGRATE) |
                                 BIT(PRELAUNCH) | BIT(SHUTDOWN),
    [RUN_STATE_RESTORE_VM] = BIT(RUNNING) | BIT(PRELAUNCH) | BIT(SUSPENDED),
    [RUN_STATE_SAVE_VM] = BIT(RUNNING),
};

struct RunStateCtl *runstate_ctl_new(void)
{
    struct RunStateCtl *ctl = g_new0(struct RunStateCtl, 1);

    ctl->state = RUN_STATE_PRELAUNCH;
    ctl->handlers = g_array_new(FALSE, FALSE, sizeof(Handler));
    ctl->resets = g_array_new(FALSE, FALSE, sizeof(ResetHandler));
    g_mutex_init(&ctl->request_lock);
    return ctl;
}

void runstate_ctl_free(struct RunStateCtl *ctl)
{
    g_array_unref(ctl->handlers);
    g_array_unref(ctl->resets);
    g_mutex_clear(&ctl->request_lock);
    g_free(ctl);
}

RunState runstate_get(Vm *vm)
{
    return __atomic_load_n(&vm->runstate->state, __ATOMIC_ACQUIRE);
}

bool runstate_is_running(Vm *vm)
{
    return runstate_get(vm) == RUN_STATE_RUNNING;
}

bool runstate_may_set(RunState from, RunState to)
{
    return from == to || (legal_moves[from] >> to & 1);
}

void runstate_set(Vm *vm, RunState next)
{
    RunState now = runstate_get(vm);

    if (!runstate_may_set(now, next)) {
        g_error("run state: no way from '%s' to '%s'", RunState_str(now),
                RunState_str(next));
    }
    trace_runstate_set(RunState_str(now), RunState_str(next));
    __atomic_store_n(&vm->runstate->state, next, __ATOMIC_RELEASE);
}

/* Handlers */

unsigned runstate_add_handler(Vm *vm, int priority, RunStateFn fn,
                              void *opaque)
{
    GArray *handlers = vm->runstate->handlers;
    Handler handler = { ++vm->runstate->last_id, priority, fn, opaque };
    guint at = 0;

    while (at < handlers->len &&
           g_array_index(handlers, Handler, at).priority >= priority) {
        at++;
    }
    g_array_insert_val(handlers, at, handler);
    return handler.id;
}

void runstate_remove_handler(Vm *vm, unsigned id)
{
    GArray *handlers = vm->runstate->handlers;

    for (guint i = 0; i < handlers->len; i++) {
        if (g_array_index(handlers, Handler, i).id == id) {
            g_array_remove_index(handlers, i);
            return;
        }
    }
}

static void tell_handlers(Vm *vm, bool running, RunState state)
{
    GArray *handlers = vm->runstate->handlers;

    for (guint i = 0; i < handlers->len; i++) {
        guint at = running ? i : handlers->len - 1 - i;
        Handler handler = g_array_index(handlers, Handler, at);

        handler.fn(handler.opaque, running, state);
    }
}

void vm_stop(Vm *vm, RunState state)
{
    if (runstate_is_running(vm)) {
        vm_clock_enable(vm, false);
        cpus_pause_all(vm);
    }
    /* The big lock was dropped meanwhile; somebody else may have stopped it. */
    if (!runstate_is_running(vm)) {
        runstate_set(vm, state);
        return;
    }
    runstate_set(vm, state);
    tell_handlers(vm, false, state);
    qapi_event_send_stop(vm);
}

void vm_start(Vm *vm)
{
    if (runstate_is_running(vm)) {
        return;
    }
    tell_handlers(vm, true, RUN_STATE_RUNNING);
    runstate_set(vm, RUN_STATE_RUNNING);
    qapi_event_send_resume(vm);
    vm_clock_enable(vm, true);
    cpus_resume_all(vm);
}

/* Reset, shutdown, powerdown */

void vm_add_reset_handler(Vm *vm, ResetFn fn, void *opaque)
{
    ResetHandler handler = { fn, opaque };

    g_array_append_val(vm->runstate->resets, handler);
}

void vm_remove_reset_handler(Vm *vm, ResetFn fn, void *opaque)
{
    GArray *resets = vm->runstate->resets;

    for (guint i = 0; i < resets->len; i++) {
        ResetHandler *handler = &g_array_index(resets, ResetHandler, i);

        if (handler->fn == fn && handler->opaque == opaque) {
            g_array_remove_index(resets, i);
            return;
        }
    }
}

void vm_set_powerdown_handler(Vm *vm, void (*fn)(void *opaque), void *opaque)
{
    vm->runstate->powerdown = fn;
    vm->runstate->powerdown_opaque = opaque;
}

static bool caused_by_guest(ShutdownCause cause)
{
    return cause >= SHUTDOWN_CAUSE_GUEST_SHUTDOWN;
}

void vm_reset(Vm *vm, ShutdownCause cause)
{
    GArray *resets = vm->runstate->resets;
    bool running = runstate_is_running(vm);

    if (running) {
        cpus_pause_all(vm);
    }
    for (guint i = 0; i < vm->cpus->len; i++) {
        Cpu *cpu = vm->cpus->pdata[i];

        cpu->ops->reset(cpu);
    }
    for (guint i = 0; i < resets->len; i++) {
        ResetHandler handler = g_array_index(resets, ResetHandler, i);

        handler.fn(handler.opaque);
    }
    if (cause != SHUTDOWN_CAUSE_NONE) {
        qapi_event_send_reset(vm, caused_by_guest(cause), cause);
    }
    if (running) {
        cpus_resume_all(vm);
    }
}

static void carry_out_reset(Vm *vm, ShutdownCause cause)
{
    RunState state = runstate_get(vm);

    vm_reset(vm, cause);
    /* What had stopped it is undone: it is a fresh machine, and paused. */
    if (state == RUN_STATE_SHUTDOWN || state == RUN_STATE_INTERNAL_ERROR ||
        state == RUN_STATE_GUEST_PANICKED) {
        runstate_set(vm, RUN_STATE_PRELAUNCH);
    }
}

static void carry_out_shutdown(Vm *vm, ShutdownCause cause, int code)
{
    bool wanted_by_host = cause == SHUTDOWN_CAUSE_HOST_SIGNAL ||
                          cause == SHUTDOWN_CAUSE_HOST_QMP_QUIT;

    qapi_event_send_shutdown(vm, caused_by_guest(cause), cause);
    if (vm->config && vm->config->no_shutdown && !wanted_by_host) {
        vm_stop(vm, RUN_STATE_SHUTDOWN);
    } else {
        vm_request_exit(vm, code);
    }
}

static void carry_out_powerdown(Vm *vm)
{
    qapi_event_send_powerdown(vm);
    if (vm->runstate->powerdown) {
        vm->runstate->powerdown(vm->runstate->powerdown_opaque);
    }
}

static void carry_out(void *opaque)
{
    Vm *vm = opaque;
    struct RunStateCtl *ctl = vm->runstate;
    bool reset, shutdown, powerdown;
    ShutdownCause reset_cause, shutdown_cause;
    int code;

    g_mutex_lock(&ctl->request_lock);
    reset = ctl->reset_wanted;
    shutdown = ctl->shutdown_wanted;
    powerdown = ctl->powerdown_wanted;
    reset_cause = ctl->reset_cause;
    shutdown_cause = ctl->shutdown_cause;
    code = ctl->exit_code;
    ctl->reset_wanted = ctl->shutdown_wanted = ctl->powerdown_wanted = false;
    ctl->exit_code = 0;
    ctl->queued = false;
    g_mutex_unlock(&ctl->request_lock);

    if (reset && vm->config && vm->config->no_reboot &&
        caused_by_guest(reset_cause)) {
        reset = false;
        shutdown = true;
        shutdown_cause = reset_cause;
    }
    if (powerdown) {
        carry_out_powerdown(vm);
    }
    if (shutdown) {
        carry_out_shutdown(vm, shutdown_cause, code);
    } else if (reset) {
        carry_out_reset(vm, reset_cause);
    }
}

/* With request_lock held, which it drops. */
static void queue_requests(Vm *vm)
{
    bool queue = !vm->runstate->queued;

    vm->runstate->queued = true;
    g_mutex_unlock(&vm->runstate->request_lock);
    if (queue) {
        vm_call_soon(vm, carry_out, vm);
    }
}

void vm_request_reset(Vm *vm, ShutdownCause cause)
{
    g_mutex_lock(&vm->runstate->request_lock);
    vm->runstate->reset_wanted = true;
    vm->runstate->reset_cause = cause;
    queue_requests(vm);
}

void vm_request_shutdown_with_code(Vm *vm, ShutdownCause cause, int code)
{
    g_mutex_lock(&vm->runstate->request_lock);
    vm->runstate->shutdown_wanted = true;
    vm->runstate->shutdown_cause = cause;
    vm->runstate->exit_code = code;
    queue_requests(vm);
}

void vm_request_shutdown(Vm *vm, ShutdownCause cause)
{
    vm_request_shutdown_with_code(vm, cause, 0);
}

void vm_request_powerdown(Vm *vm)
{
    g_mutex_lock(&vm->runstate->request_lock);
    vm->runstate->powerdown_wanted = true;
    queue_requests(vm);
}
