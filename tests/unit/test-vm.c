/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The big lock, the main loop, guest clocks and timers. */
#include <json-c/json.h>
#include <string.h>

#include "system/timer.h"
#include "system/vm.h"

static void test_lock(void)
{
    Vm *vm = vm_new();

    g_assert_false(vm_locked(vm));
    vm_lock(vm);
    g_assert_true(vm_locked(vm));
    vm_unlock(vm);
    g_assert_false(vm_locked(vm));
    vm_free(vm);
}

static void test_lock_twice(void)
{
    if (g_test_subprocess()) {
        Vm *vm = vm_new();

        vm_lock(vm);
        vm_lock(vm);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*big lock*");
}

static gpointer other_thread(gpointer opaque)
{
    Vm *vm = opaque;

    g_assert_false(vm_locked(vm));
    vm_lock(vm);
    g_assert_true(vm_locked(vm));
    vm_unlock(vm);
    vm_request_exit(vm, 7);
    vm_request_exit(vm, 8);
    return NULL;
}

/* The loop does not hold the lock while it waits. */
static void test_exit_from_thread(void)
{
    Vm *vm = vm_new();
    GThread *thread = g_thread_new("other", other_thread, vm);

    g_assert_cmpint(vm_main_loop(vm), ==, 7);
    g_thread_join(thread);
    vm_free(vm);
}

typedef struct Soon {
    Vm *vm;
    GString *order;
    char letter;
} Soon;

static void soon_letter(void *opaque)
{
    Soon *soon = opaque;

    g_assert_true(vm_locked(soon->vm));
    g_string_append_c(soon->order, soon->letter);
    if (soon->letter == 'c') {
        vm_request_exit(soon->vm, 0);
    }
}

static void soon_again(void *opaque)
{
    Soon *soon = opaque;

    g_string_append_c(soon->order, 'a');
    vm_call_soon(soon->vm, soon_letter, soon);
}

static void test_call_soon(void)
{
    Vm *vm = vm_new();
    g_autoptr(GString) order = g_string_new(NULL);
    Soon b = { vm, order, 'b' }, c = { vm, order, 'c' };

    vm_call_soon(vm, soon_again, &c);
    vm_call_soon(vm, soon_letter, &b);
    g_assert_cmpint(vm_main_loop(vm), ==, 0);
    g_assert_cmpstr(order->str, ==, "abc");
    vm_free(vm);
}

static void soon_cancel(void *opaque)
{
    Soon *soon = opaque;

    vm_call_soon(soon->vm, soon_letter, soon);
    vm_call_soon_cancel(soon->vm, soon_letter, soon);
}

/* One that is queued, one whose turn has come, one of another. */
static void test_call_soon_cancel(void)
{
    Vm *vm = vm_new();
    g_autoptr(GString) order = g_string_new(NULL);
    Soon a = { vm, order, 'a' }, c = { vm, order, 'c' };

    vm_call_soon(vm, soon_letter, &a);
    vm_call_soon(vm, soon_cancel, &a);
    vm_call_soon(vm, soon_letter, &a);
    vm_call_soon(vm, soon_letter, &c);
    g_assert_cmpint(vm_main_loop(vm), ==, 0);
    g_assert_cmpstr(order->str, ==, "ac");
    vm_free(vm);
}

static gboolean source_fired(gpointer opaque)
{
    Vm *vm = opaque;

    g_assert_true(vm_locked(vm));
    vm_request_exit(vm, 3);
    return G_SOURCE_REMOVE;
}

static void test_source(void)
{
    Vm *vm = vm_new();
    GSource *source = g_timeout_source_new(5);

    g_source_set_callback(source, source_fired, vm, NULL);
    g_source_attach(source, vm->context);
    g_assert_cmpint(vm_main_loop(vm), ==, 3);
    g_source_unref(source);
    vm_free(vm);
}

static char *seen_event;

static void sink(Vm *vm, const char *name, struct json_object *data)
{
    (void)vm;
    seen_event = g_strdup_printf("%s %s", name, json_object_get_string(data));
    json_object_put(data);
}

static void test_event(void)
{
    Vm *vm = vm_new();
    struct json_object *data = json_object_new_int(1);

    vm_emit_event(vm, "DROPPED", NULL);
    vm_emit_event(vm, "DROPPED", json_object_get(data));
    vm_set_event_sink(vm, sink);
    vm_emit_event(vm, "STOP", data);
    g_assert_cmpstr(seen_event, ==, "STOP 1");
    g_clear_pointer(&seen_event, g_free);
    vm_free(vm);
}

/* Time that the test moves. */
typedef struct TestClock {
    Clock clock;
    int64_t now;
} TestClock;

static int64_t test_now(Clock *clock)
{
    return ((TestClock *)clock)->now;
}

static void test_virtual_clock(void)
{
    TestClock clock = { { test_now }, 5000 };
    Vm *vm = vm_new();

    vm->host_clock = &clock.clock;
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, 0);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_REALTIME), ==, 5000);
    clock.now = 6000;
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, 0);
    vm_lock(vm);
    vm_clock_enable(vm, true);
    clock.now += 123;
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, 123);
    vm_clock_enable(vm, false);
    clock.now += 1000;
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, 123);
    /* What a destination does: goes on from the source's time. */
    vm_clock_set_virtual(vm, INT64_C(1) << 50);
    vm_clock_enable(vm, true);
    vm_clock_enable(vm, true);
    clock.now += 1;
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==,
                    (INT64_C(1) << 50) + 1);
    /* The latest there is, and the host's clock at its latest, too. */
    vm_clock_enable(vm, false);
    vm_clock_set_virtual(vm, VM_CLOCK_VIRTUAL_MAX);
    vm_clock_enable(vm, true);
    clock.now += INT64_C(1) << 60;
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==,
                    VM_CLOCK_VIRTUAL_MAX + (INT64_C(1) << 60));
    vm_unlock(vm);
    vm_free(vm);
}

static void test_host_clock(void)
{
    TestClock clock = { { test_now }, 5000 };
    Vm *vm = vm_new();
    int64_t wall_us = g_get_real_time();
    int64_t ns = vm_clock_ns(vm, VM_CLOCK_HOST);

    vm->host_clock = &clock.clock;
    g_assert_cmpint(ns / 1000, >=, wall_us);
    g_assert_cmpint(ns / 1000, <=, g_get_real_time());
    vm_clock_set_host_base(vm, VM_CLOCK_REALTIME, 1000000);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_HOST), ==, 1005000);
    vm_clock_set_host_base(vm, VM_CLOCK_VIRTUAL, -7);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_HOST), ==, -7);
    vm_free(vm);
}

typedef struct Fired {
    Vm *vm;
    VmTimer *timer;
    int64_t at;
    int times;
    int64_t period;
    VmTimer *victim;
} Fired;

static void on_timer(void *opaque)
{
    Fired *fired = opaque;

    g_assert_true(vm_locked(fired->vm));
    fired->at = vm_clock_ns(fired->vm, VM_CLOCK_VIRTUAL);
    fired->times++;
    if (fired->period) {
        vm_timer_mod(fired->timer, fired->at + fired->period);
    }
    if (fired->victim) {
        vm_timer_free(fired->victim);
        fired->victim = NULL;
    }
}

static void add_timer(Vm *vm, Fired *fired, int64_t deadline)
{
    *fired = (Fired){ .vm = vm };
    fired->timer = vm_timer_new(vm, VM_CLOCK_VIRTUAL, on_timer, fired);
    vm_timer_mod(fired->timer, deadline);
}

static void test_step(void)
{
    Vm *vm = vm_new();
    Fired a, b, c;

    vm_lock(vm);
    vm_clock_set_by_hand(vm);
    add_timer(vm, &a, 300);
    add_timer(vm, &b, 100);
    add_timer(vm, &c, 200);
    b.period = 60;
    g_assert_cmpint(vm_clock_next_deadline(vm), ==, 100);
    g_assert_true(vm_timer_pending(a.timer));
    g_assert_cmpint(vm_timer_deadline(a.timer), ==, 300);

    /* While the guest stands still no timer of its fires. */
    vm_clock_step(vm, 50);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, 50);
    vm_clock_enable(vm, true);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, 50);

    vm_clock_step(vm, 170);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, 220);
    g_assert_cmpint(b.times, ==, 3);
    g_assert_cmpint(b.at, ==, 220);
    g_assert_cmpint(c.times, ==, 1);
    g_assert_cmpint(c.at, ==, 200);
    g_assert_cmpint(a.times, ==, 0);
    g_assert_false(vm_timer_pending(c.timer));
    g_assert_cmpint(vm_timer_deadline(c.timer), ==, INT64_MAX);

    vm_timer_del(b.timer);
    g_assert_false(vm_timer_pending(b.timer));
    vm_timer_free(b.timer);
    vm_timer_mod(c.timer, INT64_MAX);
    g_assert_cmpint(vm_clock_next_deadline(vm), ==, 300);
    /* One timer's function may free another that is due as well. */
    add_timer(vm, &b, 300);
    vm_timer_mod(a.timer, 290);
    a.victim = b.timer;
    vm_clock_step(vm, 1000);
    g_assert_cmpint(a.times, ==, 1);
    g_assert_cmpint(b.times, ==, 0);
    g_assert_cmpint(vm_clock_next_deadline(vm), ==, -1);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, 1220);
    /* The clock stops at its end instead of wrapping. */
    vm_clock_step(vm, INT64_MAX);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==,
                    VM_CLOCK_VIRTUAL_MAX);
    vm_timer_free(a.timer);
    vm_timer_free(c.timer);
    vm_timer_free(NULL);
    vm_unlock(vm);
    vm_free(vm);
}

/* Many timers, set and deleted at random, fire in order. */
static void test_heap(void)
{
    enum { N = 100 };
    Vm *vm = vm_new();
    Fired fired[N];
    int64_t want[N];

    vm_lock(vm);
    vm_clock_set_by_hand(vm);
    vm_clock_enable(vm, true);
    for (int i = 0; i < N; i++) {
        add_timer(vm, &fired[i], g_test_rand_int_range(1, 1000));
    }
    for (int round = 0; round < 1000; round++) {
        int i = g_test_rand_int_range(0, N);

        want[i] = g_test_rand_int_range(1, 1000);
        vm_timer_mod(fired[i].timer, want[i]);
        if (g_test_rand_bit()) {
            vm_timer_del(fired[i].timer);
        }
    }
    for (int i = 0; i < N; i++) {
        want[i] = vm_timer_deadline(fired[i].timer);
    }
    vm_clock_step(vm, 1000);
    for (int i = 0; i < N; i++) {
        bool set = want[i] != INT64_MAX;

        g_assert_cmpint(fired[i].times, ==, set);
        g_assert_cmpint(fired[i].at, ==, set ? want[i] : 0);
        vm_timer_free(fired[i].timer);
    }
    vm_unlock(vm);
    vm_free(vm);
}

static void exit_loop(void *opaque)
{
    vm_request_exit(opaque, 0);
}

static gpointer mod_timer(gpointer timer)
{
    g_usleep(20000);
    vm_timer_mod(timer, 0);
    return NULL;
}

/* The loop waits for a far timer; another thread brings a near one. */
static void test_wake_up(void)
{
    Vm *vm = vm_new();
    VmTimer *far = vm_timer_new(vm, VM_CLOCK_REALTIME, exit_loop, vm);
    VmTimer *near = vm_timer_new(vm, VM_CLOCK_REALTIME, exit_loop, vm);
    GThread *thread;
    int64_t start_us = g_get_monotonic_time();

    vm_timer_mod(far, vm_clock_ns(vm, VM_CLOCK_REALTIME) +
                 INT64_C(60000000000));
    thread = g_thread_new("mod", mod_timer, near);
    g_assert_cmpint(vm_main_loop(vm), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 30000000);
    g_thread_join(thread);
    vm_lock(vm);
    vm_timer_free(far);
    vm_timer_free(near);
    vm_unlock(vm);
    vm_free(vm);
}

/* Timers are finer than glib's milliseconds. */
static void test_precision(void)
{
    Vm *vm = vm_new();
    VmTimer *timer = vm_timer_new(vm, VM_CLOCK_REALTIME, exit_loop, vm);
    int64_t start = vm_clock_ns(vm, VM_CLOCK_REALTIME);
    int64_t took;

    vm_timer_mod(timer, start + 200000);
    g_assert_cmpint(vm_main_loop(vm), ==, 0);
    took = vm_clock_ns(vm, VM_CLOCK_REALTIME) - start;
    g_assert_cmpint(took, >=, 200000);
    g_test_message("a timer of 200 us took %" G_GINT64_FORMAT " ns", took);
    vm_lock(vm);
    vm_timer_free(timer);
    vm_unlock(vm);
    vm_free(vm);
}

static void test_clock_cost(void)
{
    Vm *vm = vm_new();
    int64_t start, end, sum = 0;

    vm_lock(vm);
    vm_clock_enable(vm, true);
    vm_unlock(vm);
    start = vm_clock_ns(vm, VM_CLOCK_VIRTUAL);
    for (int i = 0; i < 1000000; i++) {
        int64_t now = vm_clock_ns(vm, VM_CLOCK_VIRTUAL);

        g_assert_cmpint(now, >=, sum);
        sum = now;
    }
    end = vm_clock_ns(vm, VM_CLOCK_VIRTUAL);
    g_test_message("reading the virtual clock: %.1f ns",
                   (double)(end - start) / 1000000);
    vm_free(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vm/lock", test_lock);
    g_test_add_func("/vm/lock-twice", test_lock_twice);
    g_test_add_func("/vm/exit-from-thread", test_exit_from_thread);
    g_test_add_func("/vm/call-soon", test_call_soon);
    g_test_add_func("/vm/call-soon-cancel", test_call_soon_cancel);
    g_test_add_func("/vm/source", test_source);
    g_test_add_func("/vm/event", test_event);
    g_test_add_func("/clock/virtual", test_virtual_clock);
    g_test_add_func("/clock/host", test_host_clock);
    g_test_add_func("/clock/cost", test_clock_cost);
    g_test_add_func("/timer/step", test_step);
    g_test_add_func("/timer/heap", test_heap);
    g_test_add_func("/timer/wake-up", test_wake_up);
    g_test_add_func("/timer/precision", test_precision);
    return g_test_run();
}
