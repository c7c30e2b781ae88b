/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Human monitor commands that belong to no subsystem. Main loop, big lock. */
#include <string.h>

#include "config-host.h"
#include "chardev/char.h"
#include "monitor/monitor.h"
#include "monitor/version.h"
#include "qapi/qapi-commands-machine.h"
#include "qapi/qapi-commands-misc.h"
#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-visit-accelerator.h"
#include "qapi/qapi-commands-accelerator.h"
#include "qapi/qapi-commands-run-state.h"
#include "system/runstate.h"

/* Refuses arguments where a command takes none. */
static bool no_args(char **args, GString *out)
{
    if (args[0]) {
        g_string_append_printf(out, "Error: unexpected argument '%s'\n",
                               args[0]);
        return false;
    }
    return true;
}

/* A command that is a QMP command without arguments and result. */
static void run_plain(Vm *vm, char **args, GString *out,
                      bool (*command)(Vm *vm, Error **errp))
{
    Error *err = NULL;

    if (no_args(args, out)) {
        command(vm, &err);
        hmp_error(out, err);
    }
}

static void hmp_quit(Vm *vm, char **args, GString *out)
{
    run_plain(vm, args, out, qmp_quit);
}

static void hmp_stop(Vm *vm, char **args, GString *out)
{
    run_plain(vm, args, out, qmp_stop);
}

static void hmp_cont(Vm *vm, char **args, GString *out)
{
    run_plain(vm, args, out, qmp_cont);
}

static void hmp_system_reset(Vm *vm, char **args, GString *out)
{
    run_plain(vm, args, out, qmp_system_reset);
}

static void hmp_system_powerdown(Vm *vm, char **args, GString *out)
{
    run_plain(vm, args, out, qmp_system_powerdown);
}

static void hmp_info_version(Vm *vm, char **args, GString *out)
{
    (void)vm;
    if (no_args(args, out)) {
        g_string_append_printf(out, "%d.%d.%d (Godwit %s)\n",
                               QEMU_LEVEL_MAJOR, QEMU_LEVEL_MINOR,
                               QEMU_LEVEL_MICRO, GODWIT_VERSION);
    }
}

static void hmp_info_name(Vm *vm, char **args, GString *out)
{
    if (no_args(args, out) && vm->name) {
        g_string_append_printf(out, "%s\n", vm->name);
    }
}

static void hmp_info_uuid(Vm *vm, char **args, GString *out)
{
    g_autoptr(UuidInfo) info = NULL;

    if (no_args(args, out) && qmp_query_uuid(vm, &info, NULL)) {
        g_string_append_printf(out, "%s\n", info->UUID);
    }
}

static void hmp_info_status(Vm *vm, char **args, GString *out)
{
    RunState state = runstate_get(vm);

    if (!no_args(args, out)) {
        return;
    }
    g_string_append_printf(out, "VM status: %s",
                           runstate_is_running(vm) ? "running" : "paused");
    if (state != RUN_STATE_RUNNING && state != RUN_STATE_PAUSED) {
        g_string_append_printf(out, " (%s)", RunState_str(state));
    }
    g_string_append_c(out, '\n');
}

static void hmp_info_cpus(Vm *vm, char **args, GString *out)
{
    g_autoptr(CpuInfoFastList) list = NULL;
    CpuInfoFastList *cpu;

    if (!no_args(args, out) || !qmp_query_cpus_fast(vm, &list, NULL)) {
        return;
    }
    for (cpu = list; cpu; cpu = cpu->next) {
        g_string_append_printf(out, "%c CPU #%" G_GINT64_FORMAT
                               ": thread_id=%" G_GINT64_FORMAT "\n",
                               cpu == list ? '*' : ' ',
                               cpu->value->cpu_index, cpu->value->thread_id);
    }
}

static void hmp_info_accelerators(Vm *vm, char **args, GString *out)
{
    g_autoptr(AcceleratorInfo) info = NULL;
    Error *err = NULL;
    AcceleratorList *accel;

    if (!no_args(args, out)) {
        return;
    }
    if (!qmp_query_accelerators(vm, &info, &err)) {
        hmp_error(out, err);
        return;
    }
    for (accel = info->present; accel; accel = accel->next) {
        bool enabled = accel->value == info->enabled;

        g_string_append_printf(out, "%s%s%s\n", enabled ? "[" : "",
                               Accelerator_str(accel->value),
                               enabled ? "]" : "");
    }
}

static void print_chardev(Chardev *chr, void *opaque)
{
    g_autofree char *filename = chardev_filename(chr);

    g_string_append_printf(opaque, "%s: filename=%s\n", chardev_id(chr),
                           filename);
}

static void hmp_info_chardev(Vm *vm, char **args, GString *out)
{
    if (no_args(args, out)) {
        chardev_foreach(vm, print_chardev, out);
    }
}

const HmpCommand monitor_hmp_commands[] = {
    { "quit|q", NULL, "end the program", hmp_quit, NULL },
    { "stop|s", NULL, "stop the guest", hmp_stop, NULL },
    { "cont|c", NULL, "let the guest run", hmp_cont, NULL },
    { "system_reset", NULL, "reset the guest", hmp_system_reset, NULL },
    { "system_powerdown", NULL, "ask the guest to shut itself down",
      hmp_system_powerdown, NULL },
    { "info version", NULL, "which program this is", hmp_info_version, NULL },
    { "info name", NULL, "the guest's name", hmp_info_name, NULL },
    { "info uuid", NULL, "the guest's UUID", hmp_info_uuid, NULL },
    { "info status", NULL, "whether the guest runs", hmp_info_status, NULL },
    { "info cpus", NULL, "the harts and their threads", hmp_info_cpus, NULL },
    { "info accelerators", NULL, "what can run the guest, and does",
      hmp_info_accelerators, NULL },
    { "info chardev", NULL, "the character devices", hmp_info_chardev, NULL },
    { NULL },
};
