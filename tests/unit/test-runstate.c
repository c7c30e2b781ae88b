/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run state: its moves, who is told, and what requests come to. */
#include <glib.h>
#include <json-c/json.h>

#include "system/machine.h"
#include "system/runstate.h"


static GString *events;

static void sink(Vm *vm, const char *name, json_object *data)
{
    (void)vm;
    g_string_append_printf(events, "%s ", name);
    json_object_put(data);
}

static Vm *new_vm(void)
{
    Vm *vm = vm_new();

    vm->config = machine_config_new();
    events = g_string_new(NULL);
    vm_set_event_sink(vm, sink);
    vm_lock(vm);
    return vm;
}

static void free_vm(Vm *vm)
{
    vm_unlock(vm);
    machine_config_free(g_steal_pointer(&vm->config));
    vm_free(vm);
    g_string_free(events, TRUE);
}

/* Requests are carried out by the main loop, which takes the lock itself. */
static void run_requests(Vm *vm)
{
    vm_unlock(vm);
    for (int i = 0; i < 3; i++) {
        vm_main_loop_iterate(vm, false);
    }
    vm_lock(vm);
}

/*
 * From every state a guest can be in, a way leads to each state that a
 * migration passes through, and no move leads into a state that nothing here
 * makes. The paths are found by search, not written down.
 */
static void test_paths(void)
{
    static const RunState passed[] = {
        RUN_STATE_RUNNING, RUN_STATE_PAUSED, RUN_STATE_FINISH_MIGRATE,
        RUN_STATE_POSTMIGRATE, RUN_STATE_PRELAUNCH,
    };

    for (int from = 0; from < RUN_STATE__MAX; from++) {
        bool reached[RUN_STATE__MAX] = { false };
        bool grew = true;

        if (from == RUN_STATE_COLO) {
            continue;
        }
        reached[from] = true;
        while (grew) {
            grew = false;
            for (int a = 0; a < RUN_STATE__MAX; a++) {
                for (int b = 0; b < RUN_STATE__MAX; b++) {
                    if (reached[a] && !reached[b] && runstate_may_set(a, b)) {
                        reached[b] = grew = true;
                    }
                }
            }
        }
        for (size_t i = 0; i < G_N_ELEMENTS(passed); i++) {
            g_assert_true(reached[passed[i]]);
        }
        g_assert_false(reached[RUN_STATE_COLO]);
    }
    /* Only a machine that has not run yet can wait for a migration. */
    for (int from = 0; from < RUN_STATE__MAX; from++) {
        g_assert_true(runstate_may_set(from, RUN_STATE_INMIGRATE) ==
                      (from == RUN_STATE_PRELAUNCH ||
                       from == RUN_STATE_INMIGRATE));
    }
    /* A guest that ended, or was ended, runs again only after a reset. */
    g_assert_false(runstate_may_set(RUN_STATE_SHUTDOWN, RUN_STATE_RUNNING));
    g_assert_false(runstate_may_set(RUN_STATE_INTERNAL_ERROR,
                                    RUN_STATE_RUNNING));
    g_assert_true(runstate_may_set(RUN_STATE_POSTMIGRATE, RUN_STATE_RUNNING));
}

static void test_illegal_move(void)
{
    if (g_test_subprocess()) {
        Vm *vm = new_vm();

        runstate_set(vm, RUN_STATE_POSTMIGRATE);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*'prelaunch' to 'postmigrate'*");
}

static void told(void *opaque, bool running, RunState state)
{
    g_string_append_printf(events, "%s:%s:%s ", (const char *)opaque,
                           running ? "start" : "stop", RunState_str(state));
}

static void test_order(void)
{
    Vm *vm = new_vm();
    unsigned id;

    runstate_add_handler(vm, 0, told, (void *)"device");
    id = runstate_add_handler(vm, 10, told, (void *)"backend");
    vm_start(vm);
    g_assert_true(runstate_is_running(vm));
    g_assert_cmpstr(events->str, ==,
                    "backend:start:running device:start:running RESUME ");
    g_string_truncate(events, 0);
    vm_start(vm);
    g_assert_cmpstr(events->str, ==, "");
    vm_stop(vm, RUN_STATE_FINISH_MIGRATE);
    g_assert_cmpstr(events->str, ==, "device:stop:finish-migrate "
                    "backend:stop:finish-migrate STOP ");
    g_string_truncate(events, 0);
    vm_stop(vm, RUN_STATE_POSTMIGRATE);
    g_assert_cmpstr(events->str, ==, "");
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_POSTMIGRATE);
    runstate_remove_handler(vm, id);
    vm_start(vm);
    g_assert_cmpstr(events->str, ==, "device:start:running RESUME ");
    free_vm(vm);
}

static void count_reset(void *opaque)
{
    ++*(int *)opaque;
}

static void test_reset(void)
{
    Vm *vm = new_vm();
    int resets = 0;

    vm_add_reset_handler(vm, count_reset, &resets);
    vm_request_reset(vm, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    vm_request_reset(vm, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    g_assert_cmpint(resets, ==, 0);
    run_requests(vm);
    g_assert_cmpint(resets, ==, 1);
    g_assert_cmpstr(events->str, ==, "RESET ");
    vm_remove_reset_handler(vm, count_reset, &resets);
    vm_reset(vm, SHUTDOWN_CAUSE_NONE);
    g_assert_cmpint(resets, ==, 1);
    g_assert_cmpstr(events->str, ==, "RESET ");
    free_vm(vm);
}

static void test_no_shutdown(void)
{
    Vm *vm = new_vm();

    vm->config->no_shutdown = true;
    vm_start(vm);
    g_string_truncate(events, 0);
    vm_request_shutdown(vm, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    run_requests(vm);
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_SHUTDOWN);
    g_assert_cmpstr(events->str, ==, "SHUTDOWN STOP ");
    vm_request_reset(vm, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    run_requests(vm);
    g_assert_cmpint(runstate_get(vm), ==, RUN_STATE_PRELAUNCH);
    free_vm(vm);
}

/* vm_main_loop() returns what was asked for. */
static void test_shutdown_ends(void)
{
    Vm *vm = new_vm();

    vm_request_shutdown_with_code(vm, SHUTDOWN_CAUSE_GUEST_SHUTDOWN, 3);
    vm_unlock(vm);
    g_assert_cmpint(vm_main_loop(vm), ==, 3);
    vm_lock(vm);
    g_assert_cmpstr(events->str, ==, "SHUTDOWN ");
    free_vm(vm);
}

static void test_no_reboot(void)
{
    Vm *vm = new_vm();

    vm->config->no_reboot = true;
    vm_request_reset(vm, SHUTDOWN_CAUSE_GUEST_RESET);
    vm_unlock(vm);
    g_assert_cmpint(vm_main_loop(vm), ==, 0);
    vm_lock(vm);
    g_assert_cmpstr(events->str, ==, "SHUTDOWN ");
    free_vm(vm);
}

/* The host's own wish to end is not held up by -no-shutdown. */
static void test_host_ends(void)
{
    Vm *vm = new_vm();

    vm->config->no_shutdown = true;
    vm_request_shutdown(vm, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
    vm_unlock(vm);
    g_assert_cmpint(vm_main_loop(vm), ==, 0);
    vm_lock(vm);
    free_vm(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/runstate/paths", test_paths);
    g_test_add_func("/runstate/illegal-move", test_illegal_move);
    g_test_add_func("/runstate/order", test_order);
    g_test_add_func("/runstate/reset", test_reset);
    g_test_add_func("/runstate/no-shutdown", test_no_shutdown);
    g_test_add_func("/runstate/shutdown-ends", test_shutdown_ends);
    g_test_add_func("/runstate/no-reboot", test_no_reboot);
    g_test_add_func("/runstate/host-ends", test_host_ends);
    return g_test_run();
}
