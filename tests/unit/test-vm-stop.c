/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stopping, starting, resetting and ending a machine with a hart that runs:
 * the order of what happens, and of the events.
 */
#include <json-c/json.h>
#include <string.h>

#include "accel/accel.h"
#include "system/cpu.h"
#include "system/machine.h"
#include "system/runstate.h"
#include "system/timer.h"
#include "util/thread.h"

/* What happened, in order, separated by blanks; one test at a time. */
static GString *story;

static void tell(const char *what)
{
    g_string_append_printf(story, "%s%s", story->len ? " " : "", what);
}

static void expect_story(const char *want)
{
    g_assert_cmpstr(story->str, ==, want);
    g_string_truncate(story, 0);
}

static void sink(Vm *vm, const char *name, struct json_object *data)
{
    struct json_object *guest, *reason;

    (void)vm;
    tell(name);
    if (json_object_object_get_ex(data, "reason", &reason)) {
        tell(json_object_get_string(reason));
        g_assert_true(json_object_object_get_ex(data, "guest", &guest));
        tell(json_object_get_boolean(guest) ? "guest" : "host");
    }
    json_object_put(data);
}

static void handler(void *opaque, bool running, RunState state)
{
    g_autofree char *text = g_strdup_printf("%s:%s:%s", (char *)opaque,
                                            running ? "run" : "stop",
                                            RunState_str(state));

    tell(text);
}

static void reset_handler(void *opaque)
{
    tell(opaque);
}

/* A hart which counts; "reset" is told. */
typedef struct CountingCpu {
    Cpu cpu;
    uint64_t runs;              /* atomic */
} CountingCpu;

static CpuExit counting_run(Cpu *cpu)
{
    while (!__atomic_load_n(&cpu->attention, __ATOMIC_ACQUIRE)) {
        __atomic_fetch_add(&((CountingCpu *)cpu)->runs, 1, __ATOMIC_RELAXED);
    }
    return CPU_EXIT_ATTENTION;
}

static void counting_reset(Cpu *cpu)
{
    g_assert_true(cpu->stopped);
    tell("hart-reset");
}

static void no_flush(Cpu *cpu)
{
    (void)cpu;
}

static const CpuOps counting_ops = {
    .reset = counting_reset, .run = counting_run, .flush_writes = no_flush,
};

static CountingCpu hart;

static Vm *machine_new(void)
{
    Vm *vm = vm_new();

    story = g_string_new(NULL);
    vm->config = machine_config_new();
    vm_lock(vm);
    vm_set_event_sink(vm, sink);
    hart.runs = 0;
    cpu_init(&hart.cpu, vm, 0, &counting_ops);
    g_ptr_array_add(vm->cpus, &hart.cpu);
    vm->accel = &accel_tcg;
    g_assert_true(vm->accel->init(vm, NULL));
    cpus_start_threads(vm);
    return vm;
}

static void machine_free(Vm *vm)
{
    MachineConfig *config = vm->config;

    vm_unlock(vm);
    vm_free(vm);
    machine_config_free(config);
    g_string_free(story, TRUE);
}

/* Lets the main loop do what it was asked for. */
static void run_loop(Vm *vm)
{
    vm_unlock(vm);
    for (int i = 0; i < 5; i++) {
        vm_main_loop_iterate(vm, false);
    }
    vm_lock(vm);
}

static uint64_t runs(void)
{
    return __atomic_load_n(&hart.runs, __ATOMIC_RELAXED);
}

static void test_stop_and_start(void)
{
    Vm *vm = machine_new();
    unsigned device, back_end;
    int64_t stopped_at;
    uint64_t ran;

    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_PRELAUNCH);
    g_assert_false(runstate_is_running(vm));
    device = runstate_add_handler(vm, 0, handler, (void *)"device");
    back_end = runstate_add_handler(vm, 10, handler, (void *)"disk");
    runstate_add_handler(vm, 0, handler, (void *)"device2");

    vm_start(vm);
    expect_story("disk:run:running device:run:running device2:run:running "
                 "RESUME");
    g_assert_true(runstate_is_running(vm));
    vm_start(vm);
    expect_story("");
    while (runs() == 0) {
        g_usleep(100);
    }
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), >, 0);

    vm_stop(vm, RUN_STATE_PAUSED);
    expect_story("device2:stop:paused device:stop:paused disk:stop:paused "
                 "STOP");
    ran = runs();
    stopped_at = vm_clock_ns(vm, VM_CLOCK_VIRTUAL);
    g_usleep(2000);
    g_assert_cmpuint(runs(), ==, ran);
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), ==, stopped_at);

    /* Stopped already: only the state changes, and nobody is told. */
    vm_stop(vm, RUN_STATE_FINISH_MIGRATE);
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_FINISH_MIGRATE);
    runstate_set(vm, RUN_STATE_POSTMIGRATE);
    expect_story("");
    runstate_remove_handler(vm, device);
    runstate_remove_handler(vm, back_end);
    /* A source whose destination failed after all runs on. */
    vm_start(vm);
    expect_story("device2:run:running RESUME");
    g_assert_cmpint(vm_clock_ns(vm, VM_CLOCK_VIRTUAL), >=, stopped_at);
    machine_free(vm);
}

static unsigned removed_id;

static void remove_handler(void *opaque, bool running, RunState state)
{
    (void)running;
    (void)state;
    runstate_remove_handler(opaque, removed_id);
    tell("removed");
}

static void test_remove_in_handler(void)
{
    Vm *vm = machine_new();

    runstate_add_handler(vm, 5, remove_handler, vm);
    removed_id = runstate_add_handler(vm, 0, handler, (void *)"gone");
    vm_start(vm);
    expect_story("removed RESUME");
    machine_free(vm);
}

static void test_reset(void)
{
    Vm *vm = machine_new();

    vm_add_reset_handler(vm, reset_handler, (void *)"one");
    vm_add_reset_handler(vm, reset_handler, (void *)"two");
    vm_add_reset_handler(vm, reset_handler, (void *)"three");
    vm_remove_reset_handler(vm, reset_handler, (void *)"two");
    vm_start(vm);
    expect_story("RESUME");

    vm_request_reset(vm, SHUTDOWN_CAUSE_GUEST_RESET);
    expect_story("");
    run_loop(vm);
    expect_story("hart-reset one three RESET guest-reset guest");
    g_assert_true(runstate_is_running(vm));

    vm_request_reset(vm, SHUTDOWN_CAUSE_SUBSYSTEM_RESET);
    run_loop(vm);
    expect_story("hart-reset one three");

    /* Not under who moves the guest; afterwards. */
    vm_stop(vm, RUN_STATE_FINISH_MIGRATE);
    vm_request_reset(vm, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    run_loop(vm);
    expect_story("STOP");
    runstate_set(vm, RUN_STATE_POSTMIGRATE);
    run_loop(vm);
    expect_story("hart-reset one three RESET host-qmp-system-reset host");
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_PRELAUNCH);

    /* But what the guest asked for before it was stopped goes with it. */
    vm_start(vm);
    vm_request_reset(vm, SHUTDOWN_CAUSE_GUEST_RESET);
    vm_stop(vm, RUN_STATE_FINISH_MIGRATE);
    expect_story("RESUME hart-reset one three RESET guest-reset guest STOP");
    run_loop(vm);
    expect_story("");
    machine_free(vm);
}

static void test_no_reboot(void)
{
    Vm *vm = machine_new();

    vm->config->no_reboot = true;
    vm->config->no_shutdown = true;
    vm_start(vm);
    vm_request_reset(vm, SHUTDOWN_CAUSE_GUEST_RESET);
    run_loop(vm);
    expect_story("RESUME SHUTDOWN guest-reset guest STOP");
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_SHUTDOWN);
    vm->config->no_reboot = false;
    vm_request_reset(vm, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    run_loop(vm);
    expect_story("hart-reset RESET host-qmp-system-reset host");
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_PRELAUNCH);
    machine_free(vm);
}

static void expect_exit(Vm *vm, int status)
{
    vm_unlock(vm);
    g_assert_cmpint(vm_main_loop(vm), ==, status);
    vm_lock(vm);
}

static void test_shutdown(void)
{
    Vm *vm = machine_new();

    vm_start(vm);
    vm_request_shutdown(vm, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    expect_exit(vm, 0);
    expect_story("RESUME SHUTDOWN guest-shutdown guest");
    machine_free(vm);

    vm = machine_new();
    vm_request_shutdown_with_code(vm, SHUTDOWN_CAUSE_GUEST_PANIC, 3);
    expect_exit(vm, 3);
    expect_story("SHUTDOWN guest-panic guest");
    machine_free(vm);
}

/* -no-shutdown keeps the process for the guest's wish, not for the host's. */
static void test_no_shutdown(void)
{
    Vm *vm = machine_new();

    vm->config->no_shutdown = true;
    vm_start(vm);
    vm_request_shutdown(vm, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    run_loop(vm);
    expect_story("RESUME SHUTDOWN guest-shutdown guest STOP");
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_SHUTDOWN);
    vm_request_shutdown(vm, SHUTDOWN_CAUSE_HOST_SIGNAL);
    vm_request_shutdown(vm, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    expect_exit(vm, 0);
    expect_story("SHUTDOWN host-signal host");
    machine_free(vm);
}

static void pressed(void *opaque)
{
    tell(opaque);
}

static void test_powerdown(void)
{
    Vm *vm = machine_new();

    vm_request_powerdown(vm);
    run_loop(vm);
    expect_story("POWERDOWN");
    vm_set_powerdown_handler(vm, pressed, (void *)"pressed");
    vm_request_powerdown(vm);
    run_loop(vm);
    expect_story("POWERDOWN pressed");

    /* Not under who moves the guest; afterwards, and once. */
    vm_start(vm);
    vm_stop(vm, RUN_STATE_FINISH_MIGRATE);
    vm_request_powerdown(vm);
    run_loop(vm);
    vm_request_powerdown(vm);
    run_loop(vm);
    expect_story("RESUME STOP POWERDOWN POWERDOWN");
    vm_start(vm);
    run_loop(vm);
    expect_story("RESUME pressed");

    /* Who leaves in the meantime is not called. */
    vm_stop(vm, RUN_STATE_FINISH_MIGRATE);
    vm_request_powerdown(vm);
    run_loop(vm);
    vm_set_powerdown_handler(vm, NULL, NULL);
    vm_start(vm);
    run_loop(vm);
    expect_story("STOP POWERDOWN RESUME");
    machine_free(vm);
}

static void test_request_stop(void)
{
    Vm *vm = machine_new();

    vm_request_stop(vm, RUN_STATE_IO_ERROR);
    run_loop(vm);
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_PRELAUNCH);
    vm_start(vm);
    vm_request_stop(vm, RUN_STATE_IO_ERROR);
    run_loop(vm);
    expect_story("RESUME STOP");
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_IO_ERROR);
    machine_free(vm);
}

/* Threads that stop and start at once do not deadlock nor mix their steps. */

static void check_steps(void *opaque, bool running, RunState state)
{
    static bool was_running;

    (void)state;
    if (opaque) {
        was_running = false;
        return;
    }
    g_assert_cmpint(running, !=, was_running);
    was_running = running;
}

static gpointer stop_and_start(gpointer opaque)
{
    Vm *vm = opaque;

    for (int i = 0; i < 200; i++) {
        vm_lock(vm);
        vm_stop(vm, RUN_STATE_PAUSED);
        vm_unlock(vm);
        vm_lock(vm);
        vm_start(vm);
        vm_unlock(vm);
    }
    return NULL;
}

static void test_turns(void)
{
    Vm *vm = machine_new();
    GThread *threads[3];

    check_steps(vm, false, RUN_STATE_PAUSED);
    runstate_add_handler(vm, 0, check_steps, NULL);
    vm_start(vm);
    vm_unlock(vm);
    for (int i = 0; i < 3; i++) {
        threads[i] = thread_start("controller", stop_and_start, vm);
    }
    for (int i = 0; i < 3; i++) {
        g_thread_join(threads[i]);
    }
    vm_lock(vm);
    g_assert_true(runstate_is_running(vm));
    g_string_truncate(story, 0);
    machine_free(vm);
}

/* What QMP clients rely on, in terms of states. */
static void test_moves(void)
{
    static const RunState stopped[] = {
        RUN_STATE_PAUSED, RUN_STATE_PRELAUNCH, RUN_STATE_POSTMIGRATE,
        RUN_STATE_IO_ERROR, RUN_STATE_WATCHDOG, RUN_STATE_GUEST_PANICKED,
        RUN_STATE_DEBUG, RUN_STATE_SUSPENDED,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(stopped); i++) {
        /* cont, migrate, and back when that fails */
        g_assert_true(runstate_may_set(stopped[i], RUN_STATE_RUNNING));
        g_assert_true(runstate_may_set(stopped[i], RUN_STATE_FINISH_MIGRATE));
        g_assert_true(runstate_may_set(RUN_STATE_FINISH_MIGRATE, stopped[i]));
    }
    for (int state = 0; state < RUN_STATE__MAX; state++) {
        g_assert_true(runstate_may_set(state, state));
        /* Only a machine that has not run yet waits for another's state. */
        if (state != RUN_STATE_PRELAUNCH && state != RUN_STATE_INMIGRATE) {
            g_assert_false(runstate_may_set(state, RUN_STATE_INMIGRATE));
        }
        if (state != RUN_STATE_COLO) {
            g_assert_false(runstate_may_set(state, RUN_STATE_COLO));
        }
    }
    g_assert_false(runstate_may_set(RUN_STATE_SHUTDOWN, RUN_STATE_RUNNING));
    g_assert_false(runstate_may_set(RUN_STATE_INTERNAL_ERROR,
                                    RUN_STATE_RUNNING));
    g_assert_false(runstate_may_set(RUN_STATE_RUNNING, RUN_STATE_PRELAUNCH));
    g_assert_false(runstate_may_set(RUN_STATE_RUNNING, RUN_STATE_POSTMIGRATE));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vm-stop/moves", test_moves);
    g_test_add_func("/vm-stop/stop-and-start", test_stop_and_start);
    g_test_add_func("/vm-stop/remove-in-handler", test_remove_in_handler);
    g_test_add_func("/vm-stop/reset", test_reset);
    g_test_add_func("/vm-stop/no-reboot", test_no_reboot);
    g_test_add_func("/vm-stop/shutdown", test_shutdown);
    g_test_add_func("/vm-stop/no-shutdown", test_no_shutdown);
    g_test_add_func("/vm-stop/powerdown", test_powerdown);
    g_test_add_func("/vm-stop/request-stop", test_request_stop);
    g_test_add_func("/vm-stop/turns", test_turns);
    return g_test_run();
}
