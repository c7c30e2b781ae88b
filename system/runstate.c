/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run state: its table of legal moves, stopping and starting the guest,
 * and carrying out what was asked for (reset, shutdown, power button).
 *
 * Stopping drops the big lock while the harts come to rest. So that two who
 * stop and start at the same time do not get into each other's way, each takes
 * a turn (begin_turn()); turns are not nested.
 *
 * Lock order: big lock, then RunStateCtl.lock, a leaf.
 */
#include "qapi/qapi-events-run-state.h"
#include "system/cpu.h"
#include "system/machine.h"
#include "system/runstate.h"
#include "system/timer.h"
#include "system/vm-int.h"
#include "trace/trace-system.h"

#define TO(state) (1u << RUN_STATE_##state)

/* Whatever the reason for which a guest stands still, it can be ... */
#define TO_ANY                                                          \
    (TO(FINISH_MIGRATE) | TO(PRELAUNCH) | TO(SHUTDOWN) | TO(PAUSED))

/* What a guest can be in when it is moved, and so after that. */
#define MOVED                                                           \
    (TO(RUNNING) | TO(PAUSED) | TO(PRELAUNCH) | TO(POSTMIGRATE) |       \
     TO(DEBUG) | TO(INTERNAL_ERROR) | TO(IO_ERROR) | TO(SHUTDOWN) |     \
     TO(SUSPENDED) | TO(WATCHDOG) | TO(GUEST_PANICKED))

/* From which state one may get to which. */
static const uint32_t moves[RUN_STATE__MAX] = {
    [RUN_STATE_RUNNING] = TO(DEBUG) | TO(INTERNAL_ERROR) | TO(IO_ERROR) |
        TO(PAUSED) | TO(FINISH_MIGRATE) | TO(RESTORE_VM) | TO(SAVE_VM) |
        TO(SHUTDOWN) | TO(SUSPENDED) | TO(WATCHDOG) | TO(GUEST_PANICKED),
    [RUN_STATE_PRELAUNCH] = TO_ANY | TO(RUNNING) | TO(INMIGRATE) |
        TO(SUSPENDED) | TO(SAVE_VM) | TO(RESTORE_VM),
    [RUN_STATE_PAUSED] = TO_ANY | TO(RUNNING) | TO(POSTMIGRATE) |
        TO(SUSPENDED) | TO(SAVE_VM) | TO(RESTORE_VM),
    [RUN_STATE_SUSPENDED] = TO_ANY | TO(RUNNING) | TO(SAVE_VM) |
        TO(RESTORE_VM),
    [RUN_STATE_DEBUG] = TO_ANY | TO(RUNNING) | TO(SUSPENDED),
    [RUN_STATE_IO_ERROR] = TO_ANY | TO(RUNNING),
    [RUN_STATE_WATCHDOG] = TO_ANY | TO(RUNNING),
    [RUN_STATE_GUEST_PANICKED] = TO_ANY | TO(RUNNING),
    /* These two run again only after a reset, which leads to prelaunch. */
    [RUN_STATE_INTERNAL_ERROR] = TO_ANY,
    [RUN_STATE_SHUTDOWN] = TO_ANY,
    [RUN_STATE_INMIGRATE] = MOVED | TO(FINISH_MIGRATE),
    [RUN_STATE_FINISH_MIGRATE] = MOVED,
    /* A source runs on if its destination failed after all. */
    [RUN_STATE_POSTMIGRATE] = TO_ANY | TO(RUNNING),
    [RUN_STATE_SAVE_VM] = MOVED,
    [RUN_STATE_RESTORE_VM] = MOVED,
};

typedef struct ChangeHandler {
    unsigned id;
    int priority;
    RunStateFn fn;
    void *opaque;
} ChangeHandler;

typedef struct ResetHandler {
    ResetFn fn;
    void *opaque;
} ResetHandler;

struct RunStateCtl {
    int state;                  /* atomic RunState; written with the big lock */

    /* Big lock */
    GArray *handlers;           /* of ChangeHandler, highest priority first */
    unsigned last_id;
    GArray *resets;             /* of ResetHandler */
    void (*powerdown_fn)(void *opaque);
    void *powerdown_opaque;
    bool button;                /* asked for; the handler not called yet */

    GMutex lock;                /* protects what follows */
    GCond turn_over;
    GThread *turn;              /* whose turn it is, or NULL */
    ShutdownCause reset;        /* asked for; NONE: not */
    ShutdownCause shutdown;
    int exit_code;
    bool powerdown;
    RunState stop;              /* RUNNING: not asked for */
};

struct RunStateCtl *runstate_ctl_new(void)
{
    struct RunStateCtl *ctl = g_new0(struct RunStateCtl, 1);

    ctl->state = RUN_STATE_PRELAUNCH;
    ctl->stop = RUN_STATE_RUNNING;
    ctl->handlers = g_array_new(FALSE, FALSE, sizeof(ChangeHandler));
    ctl->resets = g_array_new(FALSE, FALSE, sizeof(ResetHandler));
    g_mutex_init(&ctl->lock);
    g_cond_init(&ctl->turn_over);
    return ctl;
}

void runstate_ctl_free(struct RunStateCtl *ctl)
{
    g_array_unref(ctl->handlers);
    g_array_unref(ctl->resets);
    g_cond_clear(&ctl->turn_over);
    g_mutex_clear(&ctl->lock);
    g_free(ctl);
}

RunState runstate_get(Vm *vm)
{
    return (RunState)__atomic_load_n(&vm->runstate->state, __ATOMIC_ACQUIRE);
}

bool runstate_is_running(Vm *vm)
{
    return runstate_get(vm) == RUN_STATE_RUNNING;
}

bool runstate_may_set(RunState from, RunState to)
{
    return from == to || moves[from] & 1u << to;
}

static void carry_out(void *opaque);

void runstate_set(Vm *vm, RunState next)
{
    RunState now = runstate_get(vm);

    g_assert(vm_locked(vm));
    if (!runstate_may_set(now, next)) {
        g_error("run state: no way from '%s' to '%s'",
                RunState_str(now),
                RunState_str(next));
    }
    if (now == next) {
        return;
    }
    trace_runstate_set(RunState_str(now),
                       RunState_str(next));
    __atomic_store_n(&vm->runstate->state, (int)next, __ATOMIC_RELEASE);
    /* What could not be done in the old state may be possible now. */
    vm_call_soon(vm, carry_out, vm);
}

/* Big lock held; given up for as long as somebody else has the turn. */
static void begin_turn(Vm *vm)
{
    struct RunStateCtl *ctl = vm->runstate;

    g_assert(vm_locked(vm));
    g_mutex_lock(&ctl->lock);
    if (ctl->turn == g_thread_self()) {
        g_error("run state: changed again by a handler of the change");
    }
    while (ctl->turn) {
        vm_unlock(vm);
        while (ctl->turn) {
            g_cond_wait(&ctl->turn_over, &ctl->lock);
        }
        g_mutex_unlock(&ctl->lock);
        vm_lock(vm);
        g_mutex_lock(&ctl->lock);
    }
    ctl->turn = g_thread_self();
    g_mutex_unlock(&ctl->lock);
}

static void end_turn(Vm *vm)
{
    struct RunStateCtl *ctl = vm->runstate;

    g_mutex_lock(&ctl->lock);
    ctl->turn = NULL;
    g_cond_broadcast(&ctl->turn_over);
    g_mutex_unlock(&ctl->lock);
}

unsigned runstate_add_handler(Vm *vm, int priority, RunStateFn fn,
                              void *opaque)
{
    struct RunStateCtl *ctl = vm->runstate;
    ChangeHandler handler = { ++ctl->last_id, priority, fn, opaque };
    guint at = ctl->handlers->len;

    g_assert(vm_locked(vm));
    while (at > 0 && g_array_index(ctl->handlers, ChangeHandler,
                                   at - 1).priority < priority) {
        at--;
    }
    g_array_insert_val(ctl->handlers, at, handler);
    return handler.id;
}

static ChangeHandler *find_handler(GArray *handlers, unsigned id)
{
    for (guint i = 0; i < handlers->len; i++) {
        ChangeHandler *handler = &g_array_index(handlers, ChangeHandler, i);

        if (handler->id == id) {
            return handler;
        }
    }
    return NULL;
}

void runstate_remove_handler(Vm *vm, unsigned id)
{
    GArray *handlers = vm->runstate->handlers;
    ChangeHandler *handler = find_handler(handlers, id);

    g_assert(vm_locked(vm));
    if (handler) {
        g_array_remove_index(handlers, (guint)(handler -
                                               (ChangeHandler *)(void *)
                                                   handlers->data));
    }
}

/* A handler may remove itself or others; a copy says who is to be told. */
static void notify(Vm *vm, bool running, RunState state)
{
    g_autoptr(GArray) copy = g_array_copy(vm->runstate->handlers);

    for (guint i = 0; i < copy->len; i++) {
        guint at = running ? i : copy->len - 1 - i;
        ChangeHandler handler = g_array_index(copy, ChangeHandler, at);

        if (find_handler(vm->runstate->handlers, handler.id)) {
            handler.fn(handler.opaque, running, state);
        }
    }
}

static bool caused_by_guest(ShutdownCause cause)
{
    return cause == SHUTDOWN_CAUSE_GUEST_SHUTDOWN ||
        cause == SHUTDOWN_CAUSE_GUEST_RESET ||
        cause == SHUTDOWN_CAUSE_GUEST_PANIC;
}

/* The harts are stopped, the turn is ours. */
static void reset_machine(Vm *vm, ShutdownCause cause)
{
    struct RunStateCtl *ctl = vm->runstate;
    g_autoptr(GArray) copy = g_array_copy(ctl->resets);

    trace_vm_reset(ShutdownCause_str(cause));
    for (guint i = 0; i < vm->cpus->len; i++) {
        Cpu *cpu = vm->cpus->pdata[i];

        cpu->ops->reset(cpu);
    }
    for (guint i = 0; i < copy->len; i++) {
        ResetHandler handler = g_array_index(copy, ResetHandler, i);

        handler.fn(handler.opaque);
    }
    if (cause != SHUTDOWN_CAUSE_NONE &&
        cause != SHUTDOWN_CAUSE_SUBSYSTEM_RESET) {
        qapi_event_send_reset(vm, caused_by_guest(cause), cause);
    }
}

void vm_reset(Vm *vm, ShutdownCause cause)
{
    begin_turn(vm);
    cpus_pause_all(vm);
    reset_machine(vm, cause);
    if (runstate_is_running(vm)) {
        cpus_resume_all(vm);
    }
    end_turn(vm);
}

void vm_call_paused(Vm *vm, void (*fn)(void *opaque), void *opaque)
{
    begin_turn(vm);
    cpus_pause_all(vm);
    fn(opaque);
    if (runstate_is_running(vm)) {
        cpus_resume_all(vm);
    }
    end_turn(vm);
}

/* Takes the request away. */
static ShutdownCause take_reset(Vm *vm)
{
    struct RunStateCtl *ctl = vm->runstate;
    ShutdownCause cause;

    g_mutex_lock(&ctl->lock);
    cause = ctl->reset;
    ctl->reset = SHUTDOWN_CAUSE_NONE;
    g_mutex_unlock(&ctl->lock);
    return cause;
}

void vm_stop(Vm *vm, RunState state)
{
    int64_t start = clock_now_ns(clock_host());
    ShutdownCause reset;

    begin_turn(vm);
    if (!runstate_is_running(vm)) {
        runstate_set(vm, state);
        end_turn(vm);
        return;
    }
    cpus_pause_all(vm);
    vm_clock_enable(vm, false);
    /*
     * The guest asked for it before it was stopped, and will not ask again:
     * whoever saves it now must save a guest that was reset.
     */
    reset = take_reset(vm);
    if (reset != SHUTDOWN_CAUSE_NONE) {
        reset_machine(vm, reset);
    }
    runstate_set(vm, state);
    notify(vm, false, state);
    qapi_event_send_stop(vm);
    trace_vm_stop((clock_now_ns(clock_host()) - start) / 1000);
    end_turn(vm);
}

void vm_start(Vm *vm)
{
    begin_turn(vm);
    if (!runstate_is_running(vm)) {
        runstate_set(vm, RUN_STATE_RUNNING);
        notify(vm, true, RUN_STATE_RUNNING);
        qapi_event_send_resume(vm);
        vm_clock_enable(vm, true);
        cpus_resume_all(vm);
    }
    end_turn(vm);
}

void vm_add_reset_handler(Vm *vm, ResetFn fn, void *opaque)
{
    ResetHandler handler = { fn, opaque };

    g_assert(vm_locked(vm));
    g_array_append_val(vm->runstate->resets, handler);
}

void vm_remove_reset_handler(Vm *vm, ResetFn fn, void *opaque)
{
    GArray *resets = vm->runstate->resets;

    g_assert(vm_locked(vm));
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
    vm->runstate->powerdown_fn = fn;
    vm->runstate->powerdown_opaque = opaque;
}

/* Requests: kept under the lock, carried out by the main loop. */

/* The host wants the process to end, whatever the guest is to do. */
static bool ends_process(ShutdownCause cause)
{
    return cause == SHUTDOWN_CAUSE_HOST_QMP_QUIT ||
        cause == SHUTDOWN_CAUSE_HOST_SIGNAL;
}

static bool reboot_is_shutdown(Vm *vm, ShutdownCause cause)
{
    return vm->config && vm->config->no_reboot &&
        cause != SHUTDOWN_CAUSE_SUBSYSTEM_RESET;
}

void vm_request_reset(Vm *vm, ShutdownCause cause)
{
    struct RunStateCtl *ctl = vm->runstate;

    g_mutex_lock(&ctl->lock);
    if (reboot_is_shutdown(vm, cause)) {
        if (!ends_process(ctl->shutdown)) {
            ctl->shutdown = cause;
        }
    } else {
        ctl->reset = cause;
    }
    g_mutex_unlock(&ctl->lock);
    vm_call_soon(vm, carry_out, vm);
}

void vm_request_shutdown_with_code(Vm *vm, ShutdownCause cause, int code)
{
    struct RunStateCtl *ctl = vm->runstate;

    g_mutex_lock(&ctl->lock);
    if (!ends_process(ctl->shutdown)) {
        ctl->shutdown = cause;
        ctl->exit_code = code;
    }
    g_mutex_unlock(&ctl->lock);
    vm_call_soon(vm, carry_out, vm);
}

void vm_request_shutdown(Vm *vm, ShutdownCause cause)
{
    vm_request_shutdown_with_code(vm, cause, 0);
}

void vm_request_powerdown(Vm *vm)
{
    g_mutex_lock(&vm->runstate->lock);
    vm->runstate->powerdown = true;
    g_mutex_unlock(&vm->runstate->lock);
    vm_call_soon(vm, carry_out, vm);
}

void vm_request_stop(Vm *vm, RunState state)
{
    g_mutex_lock(&vm->runstate->lock);
    vm->runstate->stop = state;
    g_mutex_unlock(&vm->runstate->lock);
    vm_call_soon(vm, carry_out, vm);
}

/* Whether somebody relies on it that nothing changes the guest. */
static bool guest_is_being_moved(Vm *vm)
{
    switch (runstate_get(vm)) {
    case RUN_STATE_INMIGRATE:
    case RUN_STATE_FINISH_MIGRATE:
    case RUN_STATE_SAVE_VM:
    case RUN_STATE_RESTORE_VM:
        return true;
    default:
        return false;
    }
}

static void do_shutdown(Vm *vm, ShutdownCause cause, int code)
{
    trace_vm_shutdown(ShutdownCause_str(cause), code);
    qapi_event_send_shutdown(vm, caused_by_guest(cause), cause);
    if (ends_process(cause) || !vm->config || !vm->config->no_shutdown) {
        vm_request_exit(vm, code);
    } else if (!guest_is_being_moved(vm)) {
        vm_stop(vm, RUN_STATE_SHUTDOWN);
    }
}

static void do_reset(Vm *vm)
{
    ShutdownCause cause;

    begin_turn(vm);
    cpus_pause_all(vm);
    cause = guest_is_being_moved(vm) ? SHUTDOWN_CAUSE_NONE : take_reset(vm);
    if (cause != SHUTDOWN_CAUSE_NONE) {
        reset_machine(vm, cause);
        if (!runstate_is_running(vm)) {
            runstate_set(vm, RUN_STATE_PRELAUNCH);
        }
    }
    if (runstate_is_running(vm)) {
        cpus_resume_all(vm);
    }
    end_turn(vm);
}

static void carry_out(void *opaque)
{
    Vm *vm = opaque;
    struct RunStateCtl *ctl = vm->runstate;
    ShutdownCause shutdown;
    RunState stop;
    bool powerdown, reset;
    int code;

    g_mutex_lock(&ctl->lock);
    shutdown = ctl->shutdown;
    code = ctl->exit_code;
    stop = ctl->stop;
    powerdown = ctl->powerdown;
    reset = ctl->reset != SHUTDOWN_CAUSE_NONE;
    ctl->shutdown = SHUTDOWN_CAUSE_NONE;
    ctl->exit_code = 0;
    ctl->stop = RUN_STATE_RUNNING;
    ctl->powerdown = false;
    g_mutex_unlock(&ctl->lock);

    if (shutdown != SHUTDOWN_CAUSE_NONE) {
        do_shutdown(vm, shutdown, code);
    }
    if (reset && !guest_is_being_moved(vm)) {
        do_reset(vm);
    }
    if (powerdown) {
        qapi_event_send_powerdown(vm);
        ctl->button = true;
    }
    if (ctl->button && !guest_is_being_moved(vm)) {
        ctl->button = false;
        if (ctl->powerdown_fn) {
            ctl->powerdown_fn(ctl->powerdown_opaque);
        }
    }
    if (stop != RUN_STATE_RUNNING && runstate_is_running(vm)) {
        vm_stop(vm, stop);
    }
}
