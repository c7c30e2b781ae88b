/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads of the harts: starting and ending them, stopping and resuming
 * all, the barrier behind dirty logging, the throttle, and the bookkeeping of
 * "in guest". Entered by every thread.
 *
 * Lock order: big lock, then CpuControl.lock, then a timer's. The dance of
 * flags with requests (flush_request against in_guest, attention against
 * sleeping, in_guest against waiters) is of one kind: each side writes its own
 * and then reads the other's, all sequentially consistent, so that one of the
 * two sees the other.
 */
#include "system/accel-ops.h"
#include "system/memory.h"
#include "system/timer.h"
#include "system/vm-int.h"
#include "util/thread.h"

/* How long a hart runs and sleeps, together, under the throttle. */
#define THROTTLE_PERIOD_NS INT64_C(10000000)
/* It runs at least so long; its sleep is longer then. */
#define THROTTLE_SLICE_MIN_NS INT64_C(1000000)
/* The longest single sleep, whatever a late main loop let it run. */
#define THROTTLE_SLEEP_MAX_NS INT64_C(1000000000)
#define THROTTLE_MAX 99

struct CpuControl {
    GMutex lock;                /* protects what Cpu says, and the timer */
    GCond changed;              /* some hart stopped, left, or flushed */
    VmTimer *throttle_timer;

    uint32_t waiters;           /* atomic: who waits for harts to pass */
    uint32_t throttle;          /* atomic: percent */
};

struct CpuControl *cpu_control_new(void)
{
    struct CpuControl *ctl = g_new0(struct CpuControl, 1);

    g_mutex_init(&ctl->lock);
    g_cond_init(&ctl->changed);
    return ctl;
}

void cpu_control_free(struct CpuControl *ctl)
{
    vm_timer_free(ctl->throttle_timer);
    g_cond_clear(&ctl->changed);
    g_mutex_clear(&ctl->lock);
    g_free(ctl);
}

static uint32_t load(uint32_t *flag)
{
    return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *flag, uint32_t value)
{
    __atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static bool requested(bool *request)
{
    return __atomic_load_n(request, __ATOMIC_ACQUIRE);
}

static Cpu *cpu_at(Vm *vm, guint i)
{
    return vm->cpus->pdata[i];
}

void cpu_init(Cpu *cpu, Vm *vm, unsigned index, const CpuOps *ops)
{
    *cpu = (Cpu){
        .vm = vm, .index = index, .ops = ops,
        .stop_request = true, .stopped = true,
    };
    g_cond_init(&cpu->wake);
}

void cpu_kick(Cpu *cpu)
{
    struct CpuControl *ctl = cpu->vm->cpu_control;

    store(&cpu->attention, 1);
    if (load(&cpu->sleeping)) {
        g_mutex_lock(&ctl->lock);
        g_cond_signal(&cpu->wake);
        g_mutex_unlock(&ctl->lock);
    }
}

/* In guest and out again */

static void tell_waiters(struct CpuControl *ctl)
{
    if (load(&ctl->waiters)) {
        g_mutex_lock(&ctl->lock);
        g_cond_broadcast(&ctl->changed);
        g_mutex_unlock(&ctl->lock);
    }
}

void cpu_safe_point(Cpu *cpu)
{
    if (!load(&cpu->flush_request)) {
        return;
    }
    /*
     * Cleared first: a request that comes while the hart flushes stays for
     * the next safe point.
     */
    __atomic_exchange_n(&cpu->flush_request, 0, __ATOMIC_SEQ_CST);
    cpu->ops->flush_writes(cpu);
    tell_waiters(cpu->vm->cpu_control);
}

void cpu_enter_guest(Cpu *cpu)
{
    store(&cpu->in_guest, 1);
    cpu_safe_point(cpu);
}

void cpu_leave_guest(Cpu *cpu)
{
    store(&cpu->in_guest, 0);
    tell_waiters(cpu->vm->cpu_control);
}

static bool has_passed(Cpu *cpu)
{
    return !load(&cpu->in_guest) || !load(&cpu->flush_request);
}

void cpus_barrier(void *opaque)
{
    Vm *vm = opaque;
    struct CpuControl *ctl = vm->cpu_control;

    /* Ask all before waiting for any. */
    for (guint i = 0; i < vm->cpus->len; i++) {
        Cpu *cpu = cpu_at(vm, i);

        store(&cpu->flush_request, 1);
        if (load(&cpu->in_guest)) {
            cpu_kick(cpu);
        }
    }
    for (guint i = 0; i < vm->cpus->len; i++) {
        Cpu *cpu = cpu_at(vm, i);

        if (has_passed(cpu)) {
            continue;
        }
        __atomic_fetch_add(&ctl->waiters, 1, __ATOMIC_SEQ_CST);
        g_mutex_lock(&ctl->lock);
        while (!has_passed(cpu)) {
            g_cond_wait(&ctl->changed, &ctl->lock);
        }
        g_mutex_unlock(&ctl->lock);
        __atomic_fetch_sub(&ctl->waiters, 1, __ATOMIC_SEQ_CST);
    }
}

int cpu_io_read(Cpu *cpu, uint64_t addr, unsigned size, uint64_t *val)
{
    MemResult result;

    cpu_leave_guest(cpu);
    vm_lock(cpu->vm);
    result = memory_io_read(cpu->vm->memory, addr, size, val);
    vm_unlock(cpu->vm);
    cpu_enter_guest(cpu);
    return result;
}

int cpu_io_write(Cpu *cpu, uint64_t addr, unsigned size, uint64_t val)
{
    MemResult result;

    cpu_leave_guest(cpu);
    vm_lock(cpu->vm);
    result = memory_io_write(cpu->vm->memory, addr, size, val);
    vm_unlock(cpu->vm);
    cpu_enter_guest(cpu);
    return result;
}

/* The loop of an accelerator */

bool cpu_stop_requested(Cpu *cpu)
{
    return requested(&cpu->stop_request) || requested(&cpu->exit_request);
}

void cpu_clear_attention(Cpu *cpu)
{
    __atomic_exchange_n(&cpu->attention, 0, __ATOMIC_SEQ_CST);
}

void cpu_sleep(Cpu *cpu)
{
    struct CpuControl *ctl = cpu->vm->cpu_control;

    g_mutex_lock(&ctl->lock);
    store(&cpu->sleeping, 1);
    while (!load(&cpu->attention)) {
        g_cond_wait(&cpu->wake, &ctl->lock);
    }
    store(&cpu->sleeping, 0);
    g_mutex_unlock(&ctl->lock);
}

CpuExit cpu_run(Cpu *cpu)
{
    bool throttled = load(&cpu->vm->cpu_control->throttle);
    int64_t start = throttled ? clock_now_ns(clock_host()) : 0;
    CpuExit why;

    cpu_enter_guest(cpu);
    why = cpu->ops->run(cpu);
    cpu_leave_guest(cpu);
    if (throttled) {
        cpu->ran_ns += clock_now_ns(clock_host()) - start;
    }
    return why;
}

void cpu_throttle(Cpu *cpu)
{
    struct CpuControl *ctl = cpu->vm->cpu_control;
    int64_t percent, sleep_ns, end_us;

    if (!load(&cpu->throttle_request) ||
        !__atomic_exchange_n(&cpu->throttle_request, 0, __ATOMIC_SEQ_CST)) {
        return;
    }
    percent = load(&ctl->throttle);
    sleep_ns = MIN(cpu->ran_ns * percent / (100 - percent),
                   THROTTLE_SLEEP_MAX_NS);
    cpu->ran_ns = 0;
    end_us = g_get_monotonic_time() + sleep_ns / 1000;

    g_mutex_lock(&ctl->lock);
    store(&cpu->sleeping, 1);
    while (!cpu->stop_request && !cpu->exit_request && load(&ctl->throttle) &&
           g_cond_wait_until(&cpu->wake, &ctl->lock, end_us)) {
    }
    store(&cpu->sleeping, 0);
    g_mutex_unlock(&ctl->lock);
}

/* Threads, stopping and resuming */

static gpointer cpu_thread(gpointer opaque)
{
    Cpu *cpu = opaque;
    struct CpuControl *ctl = cpu->vm->cpu_control;

    g_mutex_lock(&ctl->lock);
    cpu->tid = thread_current_tid();
    g_cond_broadcast(&ctl->changed);
    for (;;) {
        while (cpu->stop_request && !cpu->exit_request) {
            if (!cpu->stopped) {
                cpu->stopped = true;
                g_cond_broadcast(&ctl->changed);
            }
            g_cond_wait(&cpu->wake, &ctl->lock);
        }
        if (cpu->exit_request) {
            break;
        }
        cpu->stopped = false;
        g_mutex_unlock(&ctl->lock);
        cpu->vm->accel->run_vcpu(cpu);
        g_mutex_lock(&ctl->lock);
    }
    cpu->stopped = true;
    g_cond_broadcast(&ctl->changed);
    g_mutex_unlock(&ctl->lock);
    return NULL;
}

void cpus_start_threads(Vm *vm)
{
    struct CpuControl *ctl = vm->cpu_control;
    g_autofree char *accel = g_ascii_strup(vm->accel->name, -1);

    for (guint i = 0; i < vm->cpus->len; i++) {
        g_autofree char *name = g_strdup_printf("CPU %u/%s", i, accel);

        cpu_at(vm, i)->thread = thread_start(name, cpu_thread, cpu_at(vm, i));
    }
    g_mutex_lock(&ctl->lock);
    for (guint i = 0; i < vm->cpus->len; i++) {
        while (!cpu_at(vm, i)->tid) {
            g_cond_wait(&ctl->changed, &ctl->lock);
        }
    }
    g_mutex_unlock(&ctl->lock);
}

static void set_request(struct CpuControl *ctl, Cpu *cpu, bool *request,
                        bool value)
{
    g_mutex_lock(&ctl->lock);
    __atomic_store_n(request, value, __ATOMIC_RELEASE);
    store(&cpu->attention, 1);
    g_cond_signal(&cpu->wake);
    g_mutex_unlock(&ctl->lock);
}

void cpus_join_threads(Vm *vm)
{
    g_assert(!vm_locked(vm));
    for (guint i = 0; i < vm->cpus->len; i++) {
        set_request(vm->cpu_control, cpu_at(vm, i),
                    &cpu_at(vm, i)->exit_request, true);
    }
    for (guint i = 0; i < vm->cpus->len; i++) {
        g_clear_pointer(&cpu_at(vm, i)->thread, g_thread_join);
    }
}

void cpus_pause_all(Vm *vm)
{
    struct CpuControl *ctl = vm->cpu_control;

    g_assert(vm_locked(vm));
    for (guint i = 0; i < vm->cpus->len; i++) {
        g_assert(cpu_at(vm, i)->thread != g_thread_self());
        set_request(ctl, cpu_at(vm, i), &cpu_at(vm, i)->stop_request, true);
    }
    /* A hart may need the big lock to get to where it stops. */
    vm_unlock(vm);
    g_mutex_lock(&ctl->lock);
    for (guint i = 0; i < vm->cpus->len; i++) {
        while (!cpu_at(vm, i)->stopped) {
            g_cond_wait(&ctl->changed, &ctl->lock);
        }
    }
    g_mutex_unlock(&ctl->lock);
    vm_lock(vm);
}

void cpus_resume_all(Vm *vm)
{
    g_assert(vm_locked(vm));
    for (guint i = 0; i < vm->cpus->len; i++) {
        set_request(vm->cpu_control, cpu_at(vm, i),
                    &cpu_at(vm, i)->stop_request, false);
    }
}

/* The throttle: the timer asks, each hart sleeps off what it ran. */

static int64_t throttle_slice_ns(uint32_t percent)
{
    return MAX(THROTTLE_PERIOD_NS * (100 - percent) / 100,
               THROTTLE_SLICE_MIN_NS);
}

static void throttle_tick(void *opaque)
{
    Vm *vm = opaque;
    uint32_t percent = load(&vm->cpu_control->throttle);

    if (!percent) {
        return;
    }
    for (guint i = 0; i < vm->cpus->len; i++) {
        Cpu *cpu = cpu_at(vm, i);

        store(&cpu->throttle_request, 1);
        if (load(&cpu->in_guest)) {
            cpu_kick(cpu);
        }
    }
    vm_timer_mod(vm->cpu_control->throttle_timer,
                 vm_clock_ns(vm, VM_CLOCK_REALTIME) +
                     throttle_slice_ns(percent));
}

void cpus_set_throttle(Vm *vm, unsigned percent)
{
    struct CpuControl *ctl = vm->cpu_control;

    percent = MIN(percent, THROTTLE_MAX);
    g_mutex_lock(&ctl->lock);
    store(&ctl->throttle, percent);
    if (percent == 0) {
        for (guint i = 0; i < vm->cpus->len; i++) {
            g_cond_signal(&cpu_at(vm, i)->wake);
        }
    } else if (!ctl->throttle_timer) {
        ctl->throttle_timer = vm_timer_new(vm, VM_CLOCK_REALTIME,
                                           throttle_tick, vm);
    }
    if (percent) {
        vm_timer_mod(ctl->throttle_timer, vm_clock_ns(vm, VM_CLOCK_REALTIME) +
                         throttle_slice_ns(percent));
    }
    g_mutex_unlock(&ctl->lock);
}

unsigned cpus_get_throttle(Vm *vm)
{
    return load(&vm->cpu_control->throttle);
}
