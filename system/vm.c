/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The root of a machine: its big lock and its main loop. The main loop is
 * glib's, iterated by hand so that the big lock is dropped around the poll
 * alone and guest timers get nanoseconds instead of glib's milliseconds.
 * Entered by every thread; owns the big lock and VmLoop.lock, a leaf.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <json-c/json.h>

#include "system/holdings.h"
#include "system/cpu.h"
#include "system/fds.h"
#include "system/memory.h"
#include "system/timer.h"
#include "system/vm-int.h"
#include "system/vm.h"

struct VmLock {
    GMutex mutex;
    const void *owner;          /* atomic; thread_token() of who holds it */
};

typedef struct SoonCall {
    void (*fn)(void *opaque);
    void *opaque;
} SoonCall;

struct VmLoop {
    int wake_fd;                /* an eventfd; constant */
    int exit_status;            /* atomic; -1: go on */

    /* Main thread alone */
    GArray *poll_fds;           /* of GPollFD, kept from round to round */

    GMutex lock;                /* protects what follows; a leaf */
    GArray *soon;               /* of SoonCall */
    GArray *soon_running;       /* those whose turn it is, or NULL; main loop */
    VmEventSink event_sink;
};

/* An address that no two threads have in common. */
static const void *thread_token(void)
{
    static __thread char token;

    return &token;
}

bool vm_locked(Vm *vm)
{
    return __atomic_load_n(&vm->lock->owner, __ATOMIC_RELAXED) ==
        thread_token();
}

static void check_not_mine(Vm *vm)
{
    if (vm_locked(vm)) {
        g_error("big lock: taken again by the thread that holds it");
    }
}

void vm_lock(Vm *vm)
{
    check_not_mine(vm);
    g_mutex_lock(&vm->lock->mutex);
    __atomic_store_n(&vm->lock->owner, thread_token(), __ATOMIC_RELAXED);
}

bool vm_trylock(Vm *vm)
{
    check_not_mine(vm);
    if (!g_mutex_trylock(&vm->lock->mutex)) {
        return false;
    }
    __atomic_store_n(&vm->lock->owner, thread_token(), __ATOMIC_RELAXED);
    return true;
}

void vm_unlock(Vm *vm)
{
    if (!vm_locked(vm)) {
        g_error("big lock: released by a thread that does not hold it");
    }
    __atomic_store_n(&vm->lock->owner, NULL, __ATOMIC_RELAXED);
    g_mutex_unlock(&vm->lock->mutex);
}

/* Signal-safe. */
static void wake(struct VmLoop *loop)
{
    uint64_t one = 1;
    int saved = errno;

    /* Fails only when the counter is full, and then the loop wakes anyway. */
    while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    errno = saved;
}

void vm_loop_wake(Vm *vm)
{
    wake(vm->loop);
}

Vm *vm_new(void)
{
    Vm *vm = g_new0(Vm, 1);

    vm->context = g_main_context_new();
    vm->host_clock = clock_host();
    vm->lock = g_new0(struct VmLock, 1);
    g_mutex_init(&vm->lock->mutex);

    vm->loop = g_new0(struct VmLoop, 1);
    vm->loop->exit_status = -1;
    vm->loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (vm->loop->wake_fd < 0) {
        g_error("eventfd: %s", g_strerror(errno));
    }
    vm->loop->poll_fds = g_array_new(FALSE, FALSE, sizeof(GPollFD));
    vm->loop->soon = g_array_new(FALSE, FALSE, sizeof(SoonCall));
    g_mutex_init(&vm->loop->lock);

    vm->cpus = g_ptr_array_new();
    vm->memory = memory_new();
    vm->timers = vm_timers_new();
    vm->cpu_control = cpu_control_new();
    vm->fds = fd_store_new();
    vm->runstate = runstate_ctl_new();
    return vm;
}

void vm_free(Vm *vm)
{
    struct VmLoop *loop = vm->loop;

    cpus_join_threads(vm);
    cpu_control_free(vm->cpu_control);
    holdings_free(vm);
    runstate_ctl_free(vm->runstate);
    fd_store_free(vm->fds);
    vm_timers_free(vm->timers);
    memory_free(vm->memory);
    g_ptr_array_unref(vm->cpus);

    g_array_unref(loop->poll_fds);
    g_array_unref(loop->soon);
    g_mutex_clear(&loop->lock);
    close(loop->wake_fd);
    g_free(loop);

    g_mutex_clear(&vm->lock->mutex);
    g_free(vm->lock);
    g_main_context_unref(vm->context);
    g_free(vm->name);
    g_free(vm);
}

void vm_call_soon(Vm *vm, void (*fn)(void *opaque), void *opaque)
{
    SoonCall call = { fn, opaque };

    g_mutex_lock(&vm->loop->lock);
    g_array_append_val(vm->loop->soon, call);
    g_mutex_unlock(&vm->loop->lock);
    wake(vm->loop);
}

static void cancel_in(GArray *calls, void (*fn)(void *opaque), void *opaque)
{
    for (guint i = 0; calls && i < calls->len; i++) {
        SoonCall *call = &g_array_index(calls, SoonCall, i);

        if (call->fn == fn && call->opaque == opaque) {
            call->fn = NULL;
        }
    }
}

void vm_call_soon_cancel(Vm *vm, void (*fn)(void *opaque), void *opaque)
{
    g_mutex_lock(&vm->loop->lock);
    cancel_in(vm->loop->soon, fn, opaque);
    cancel_in(vm->loop->soon_running, fn, opaque);
    g_mutex_unlock(&vm->loop->lock);
}

/* What is queued meanwhile has its turn in the next round. */
static void run_soon(struct VmLoop *loop)
{
    GArray *calls = NULL;

    g_mutex_lock(&loop->lock);
    if (loop->soon->len) {
        calls = loop->soon;
        loop->soon = g_array_new(FALSE, FALSE, sizeof(SoonCall));
    }
    g_mutex_unlock(&loop->lock);
    if (!calls) {
        return;
    }
    loop->soon_running = calls;
    for (guint i = 0; i < calls->len; i++) {
        SoonCall *call = &g_array_index(calls, SoonCall, i);

        if (call->fn) {
            call->fn(call->opaque);
        }
    }
    loop->soon_running = NULL;
    g_array_unref(calls);
}

/* glib's descriptors and, last, our own; returns glib's timeout in ms. */
static int collect_fds(Vm *vm, int priority, guint *count)
{
    GArray *fds = vm->loop->poll_fds;
    GPollFD own = { .fd = vm->loop->wake_fd, .events = G_IO_IN };
    int timeout_ms, needed;

    g_array_set_size(fds, MAX(fds->len, 8));
    for (;;) {
        needed = g_main_context_query(vm->context, priority, &timeout_ms,
                                      (GPollFD *)(void *)fds->data, fds->len);
        if (needed <= (int)fds->len) {
            break;
        }
        g_array_set_size(fds, needed);
    }
    *count = needed;
    g_array_set_size(fds, needed);
    g_array_append_val(fds, own);
    return timeout_ms;
}

static void poll_ns(GArray *fds, int64_t timeout_ns)
{
    struct timespec ts = {
        .tv_sec = timeout_ns / 1000000000,
        .tv_nsec = timeout_ns % 1000000000,
    };

    /* GPollFD has the layout of struct pollfd on every system that has it. */
    G_STATIC_ASSERT(sizeof(GPollFD) == sizeof(struct pollfd));
    if (ppoll((struct pollfd *)(void *)fds->data, fds->len,
              timeout_ns < 0 ? NULL : &ts, NULL) < 0) {
        /* A signal, mostly: nothing is ready then. */
        for (guint i = 0; i < fds->len; i++) {
            g_array_index(fds, GPollFD, i).revents = 0;
        }
    }
}

void vm_main_loop_iterate(Vm *vm, bool may_block)
{
    GArray *fds = vm->loop->poll_fds;
    int64_t timeout_ns, timer_ns;
    int priority, timeout_ms;
    uint64_t count;
    guint glib_fds;

    vm_lock(vm);
    if (!g_main_context_acquire(vm->context)) {
        g_error("main loop: another thread iterates its context");
    }
    g_main_context_prepare(vm->context, &priority);
    timeout_ms = collect_fds(vm, priority, &glib_fds);
    timeout_ns = timeout_ms < 0 ? -1 : timeout_ms * INT64_C(1000000);
    timer_ns = vm_timers_timeout_ns(vm);
    if (timeout_ns < 0 || (timer_ns >= 0 && timer_ns < timeout_ns)) {
        timeout_ns = timer_ns;
    }
    vm_unlock(vm);

    poll_ns(fds, may_block ? timeout_ns : 0);

    vm_lock(vm);
    if (g_array_index(fds, GPollFD, glib_fds).revents &&
        read(vm->loop->wake_fd, &count, sizeof(count)) < 0 &&
        errno != EAGAIN && errno != EINTR) {
        g_error("main loop: reading its eventfd: %s", g_strerror(errno));
    }
    vm_timers_run(vm);
    run_soon(vm->loop);
    if (g_main_context_check(vm->context, priority,
                             (GPollFD *)(void *)fds->data, glib_fds)) {
        g_main_context_dispatch(vm->context);
    }
    g_main_context_release(vm->context);
    vm_unlock(vm);
}

int vm_main_loop(Vm *vm)
{
    int status;

    /* The kernel's default slack of 50 us would be added to guest timers. */
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    while ((status = __atomic_load_n(&vm->loop->exit_status,
                                     __ATOMIC_RELAXED)) < 0) {
        vm_main_loop_iterate(vm, true);
    }
    return status;
}

void vm_request_exit(Vm *vm, int status)
{
    int none = -1;

    __atomic_compare_exchange_n(&vm->loop->exit_status, &none, status & 0xff,
                                false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    wake(vm->loop);
}

void vm_set_event_sink(Vm *vm, VmEventSink sink)
{
    g_mutex_lock(&vm->loop->lock);
    vm->loop->event_sink = sink;
    g_mutex_unlock(&vm->loop->lock);
}

void vm_emit_event(Vm *vm, const char *name, struct json_object *data)
{
    VmEventSink sink;

    g_mutex_lock(&vm->loop->lock);
    sink = vm->loop->event_sink;
    g_mutex_unlock(&vm->loop->lock);
    if (sink) {
        sink(vm, name, data);
    } else {
        json_object_put(data);
    }
}
