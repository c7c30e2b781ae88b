/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest clocks and timers. Clocks are read by any thread without a lock;
 * timers are set by any thread and fire on the main loop. Each clock's timers
 * are a binary heap, earliest first.
 *
 * Lock order: big lock, then VmTimers.lock, which is a leaf: no timer's
 * function is called with it held.
 */
#include <time.h>

#include "system/timer.h"
#include "system/vm-int.h"

#define CLOCKS 3

#define WALL_CLOCK_RECHECK_NS INT64_C(1000000000)

struct VmTimer {
    Vm *vm;
    VmClock clock;
    void (*fn)(void *opaque);
    void *opaque;

    /* Under VmTimers.lock */
    int64_t deadline_ns;
    guint place;                /* in the heap plus one; 0: not pending */
};

struct VmTimers {
    /*
     * The virtual clock in one word, so that a reader sees all or nothing of
     * a change. Odd: it runs, and is the host's clock plus (virt >> 1); even:
     * it stands at (virt >> 1). 63 bits of nanoseconds last 146 years either
     * way; VM_CLOCK_VIRTUAL_MAX leaves half of them to run. Atomic; written under the big lock.
     */
    int64_t virt;

    /* Big lock */
    bool enabled;
    bool by_hand;

    /* Constant after the command line */
    VmClock host_base;
    int64_t host_offset_ns;

    GMutex lock;                /* protects what follows */
    GPtrArray *heap[CLOCKS];    /* of VmTimer */
    bool polling;               /* the main loop may be waiting */
};

struct VmTimers *vm_timers_new(void)
{
    struct VmTimers *timers = g_new0(struct VmTimers, 1);

    g_mutex_init(&timers->lock);
    timers->host_base = VM_CLOCK_HOST;
    for (int i = 0; i < CLOCKS; i++) {
        timers->heap[i] = g_ptr_array_new();
    }
    return timers;
}

void vm_timers_free(struct VmTimers *timers)
{
    for (int i = 0; i < CLOCKS; i++) {
        g_ptr_array_unref(timers->heap[i]);
    }
    g_mutex_clear(&timers->lock);
    g_free(timers);
}

static int64_t virtual_ns(Vm *vm)
{
    struct VmTimers *timers = vm->timers;
    int64_t state = __atomic_load_n(&timers->virt, __ATOMIC_ACQUIRE);
    int64_t again, ns;

    /*
     * Read the host's clock between two looks at the state: a reader that was
     * held up while the clock was stopped must not report a time after the
     * one at which it stopped.
     */
    for (;;) {
        if (!(state & 1)) {
            return state >> 1;
        }
        ns = clock_now_ns(vm->host_clock) + (state >> 1);
        again = __atomic_load_n(&timers->virt, __ATOMIC_ACQUIRE);
        if (again == state) {
            return ns;
        }
        state = again;
    }
}

static int64_t wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t vm_clock_ns(Vm *vm, VmClock clock)
{
    VmClock base = clock;
    int64_t offset_ns = 0;

    if (clock == VM_CLOCK_HOST) {
        base = vm->timers->host_base;
        offset_ns = vm->timers->host_offset_ns;
    }
    switch (base) {
    case VM_CLOCK_VIRTUAL:
        return virtual_ns(vm) + offset_ns;
    case VM_CLOCK_HOST:
        return wall_ns() + offset_ns;
    case VM_CLOCK_REALTIME:
        break;
    }
    return clock_now_ns(vm->host_clock) + offset_ns;
}

void vm_clock_set_host_base(Vm *vm, VmClock base, int64_t offset_ns)
{
    vm->timers->host_base = base;
    vm->timers->host_offset_ns = offset_ns;
}

static void set_virt(Vm *vm, int64_t value, bool runs)
{
    __atomic_store_n(&vm->timers->virt, value * 2 + runs, __ATOMIC_RELEASE);
}

void vm_clock_enable(Vm *vm, bool running)
{
    struct VmTimers *timers = vm->timers;
    int64_t now = virtual_ns(vm);

    g_assert(vm_locked(vm));
    if (timers->enabled == running) {
        return;
    }
    timers->enabled = running;
    if (!timers->by_hand) {
        set_virt(vm, running ? now - clock_now_ns(vm->host_clock) : now,
                 running);
    }
    vm_loop_wake(vm);
}

void vm_clock_set_virtual(Vm *vm, int64_t ns)
{
    g_assert(vm_locked(vm) && !vm->timers->enabled);
    g_assert(ns >= 0 && ns <= VM_CLOCK_VIRTUAL_MAX);
    set_virt(vm, ns, false);
}

void vm_clock_set_by_hand(Vm *vm)
{
    g_assert(vm_locked(vm) && !vm->timers->enabled);
    vm->timers->by_hand = true;
}

bool vm_clock_is_by_hand(Vm *vm)
{
    return vm->timers->by_hand;
}

int64_t vm_clock_next_deadline(Vm *vm)
{
    struct VmTimers *timers = vm->timers;
    GPtrArray *heap = timers->heap[VM_CLOCK_VIRTUAL];
    int64_t deadline = -1;

    g_mutex_lock(&timers->lock);
    if (heap->len) {
        deadline = ((VmTimer *)heap->pdata[0])->deadline_ns;
    }
    g_mutex_unlock(&timers->lock);
    return deadline;
}

void vm_clock_step(Vm *vm, int64_t ns)
{
    int64_t now = virtual_ns(vm);
    int64_t end;

    g_assert(vm_locked(vm) && vm->timers->by_hand && ns >= 0);
    if (__builtin_add_overflow(now, ns, &end) || end > VM_CLOCK_VIRTUAL_MAX) {
        end = VM_CLOCK_VIRTUAL_MAX;
    }
    while (now < end) {
        int64_t deadline = vm_clock_next_deadline(vm);

        if (!vm->timers->enabled || deadline < 0 || deadline > end) {
            deadline = end;
        }
        now = MAX(now, deadline);
        set_virt(vm, now, false);
        vm_timers_run(vm);
    }
}

/* The heap. VmTimers.lock is held. */

static void heap_put(GPtrArray *heap, guint at, VmTimer *timer)
{
    heap->pdata[at] = timer;
    timer->place = at + 1;
}

static void heap_up(GPtrArray *heap, guint at)
{
    VmTimer *timer = heap->pdata[at];

    while (at > 0) {
        VmTimer *parent = heap->pdata[(at - 1) / 2];

        if (parent->deadline_ns <= timer->deadline_ns) {
            break;
        }
        heap_put(heap, at, parent);
        at = (at - 1) / 2;
    }
    heap_put(heap, at, timer);
}

static void heap_down(GPtrArray *heap, guint at)
{
    VmTimer *timer = heap->pdata[at];

    for (;;) {
        guint child = 2 * at + 1;
        VmTimer *least;

        if (child >= heap->len) {
            break;
        }
        least = heap->pdata[child];
        if (child + 1 < heap->len) {
            VmTimer *right = heap->pdata[child + 1];

            if (right->deadline_ns < least->deadline_ns) {
                least = right;
                child++;
            }
        }
        if (timer->deadline_ns <= least->deadline_ns) {
            break;
        }
        heap_put(heap, at, least);
        at = child;
    }
    heap_put(heap, at, timer);
}

static void heap_remove(GPtrArray *heap, VmTimer *timer)
{
    guint at = timer->place - 1;
    VmTimer *last = heap->pdata[heap->len - 1];

    g_ptr_array_set_size(heap, heap->len - 1);
    timer->place = 0;
    if (last != timer) {
        heap_put(heap, at, last);
        heap_up(heap, at);
        heap_down(heap, last->place - 1);
    }
}

VmTimer *vm_timer_new(Vm *vm, VmClock clock, void (*fn)(void *opaque),
                      void *opaque)
{
    VmTimer *timer = g_new0(VmTimer, 1);

    timer->vm = vm;
    timer->clock = clock;
    timer->fn = fn;
    timer->opaque = opaque;
    timer->deadline_ns = INT64_MAX;
    return timer;
}

void vm_timer_free(VmTimer *timer)
{
    if (timer) {
        vm_timer_del(timer);
        g_free(timer);
    }
}

void vm_timer_mod(VmTimer *timer, int64_t deadline_ns)
{
    struct VmTimers *timers = timer->vm->timers;
    GPtrArray *heap = timers->heap[timer->clock];
    bool sooner;

    if (deadline_ns == INT64_MAX) {
        vm_timer_del(timer);
        return;
    }
    g_mutex_lock(&timers->lock);
    if (timer->place) {
        heap_remove(heap, timer);
    }
    timer->deadline_ns = deadline_ns;
    g_ptr_array_add(heap, timer);
    timer->place = heap->len;
    heap_up(heap, heap->len - 1);
    /* Only the first of its clock can make the main loop's wait too long. */
    sooner = timers->polling && timer->place == 1;
    g_mutex_unlock(&timers->lock);
    if (sooner) {
        vm_loop_wake(timer->vm);
    }
}

void vm_timer_del(VmTimer *timer)
{
    struct VmTimers *timers = timer->vm->timers;

    g_mutex_lock(&timers->lock);
    if (timer->place) {
        heap_remove(timers->heap[timer->clock], timer);
    }
    timer->deadline_ns = INT64_MAX;
    g_mutex_unlock(&timers->lock);
}

int64_t vm_timer_deadline(VmTimer *timer)
{
    struct VmTimers *timers = timer->vm->timers;
    int64_t deadline;

    g_mutex_lock(&timers->lock);
    deadline = timer->deadline_ns;
    g_mutex_unlock(&timers->lock);
    return deadline;
}

bool vm_timer_pending(VmTimer *timer)
{
    return vm_timer_deadline(timer) != INT64_MAX;
}

int64_t vm_timers_timeout_ns(Vm *vm)
{
    struct VmTimers *timers = vm->timers;
    int64_t least = -1;

    g_mutex_lock(&timers->lock);
    timers->polling = true;
    for (int i = 0; i < CLOCKS; i++) {
        GPtrArray *heap = timers->heap[i];
        VmClock base = i == VM_CLOCK_HOST ? timers->host_base : (VmClock)i;
        int64_t now, first, left;

        /* Time that stands still, or moves by hand, is no reason to wake. */
        if (!heap->len ||
            (base == VM_CLOCK_VIRTUAL &&
             (timers->by_hand || !timers->enabled))) {
            continue;
        }
        now = vm_clock_ns(vm, (VmClock)i);
        first = ((VmTimer *)heap->pdata[0])->deadline_ns;
        left = first > now ? first - now : 0;
        /* The wall clock may be set while we wait. */
        if (base == VM_CLOCK_HOST) {
            left = MIN(left, WALL_CLOCK_RECHECK_NS);
        }
        if (least < 0 || left < least) {
            least = left;
        }
    }
    g_mutex_unlock(&timers->lock);
    return least;
}

/* The first timer of clock @i if it is due at @now, no longer pending. */
static bool take_due(struct VmTimers *timers, int i, int64_t now, VmTimer *copy)
{
    GPtrArray *heap = timers->heap[i];
    VmTimer *timer = NULL;

    g_mutex_lock(&timers->lock);
    if (heap->len) {
        timer = heap->pdata[0];
        if (timer->deadline_ns > now) {
            timer = NULL;
        }
    }
    if (timer) {
        heap_remove(heap, timer);
        timer->deadline_ns = INT64_MAX;
        *copy = *timer;
    }
    g_mutex_unlock(&timers->lock);
    return timer != NULL;
}

void vm_timers_run(Vm *vm)
{
    struct VmTimers *timers = vm->timers;
    guint len[CLOCKS];

    g_mutex_lock(&timers->lock);
    timers->polling = false;
    for (int i = 0; i < CLOCKS; i++) {
        len[i] = timers->heap[i]->len;
    }
    g_mutex_unlock(&timers->lock);

    for (int i = 0; i < CLOCKS; i++) {
        int64_t now = vm_clock_ns(vm, (VmClock)i);
        VmTimer due;

        /* One that sets itself to a time past has its turn next round. */
        while (len[i]-- > 0) {
            if (i == VM_CLOCK_VIRTUAL && !timers->enabled) {
                break;
            }
            if (!take_due(timers, i, now, &due)) {
                break;
            }
            /* The function may free its timer. */
            due.fn(due.opaque);
        }
    }
}
