/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -accel, and choosing when the whole command line is read. Main thread. */
#include <stdio.h>
#include <stdlib.h>

#include "accel/accel.h"
#include "system/cli.h"
#include "system/machine.h"

static void print_list(void)
{
    g_autoptr(GString) out =
        g_string_new("Accelerators supported in this program:\n");

    for (const AccelOps *const *accel = accel_all; *accel; accel++) {
        g_string_append_printf(out, "%s\n", (*accel)->name);
    }
    cli_exit_help(out->str);
}

/* Each further one is tried when those before it cannot be used. */
static bool set_name(Vm *vm, const char *value, Error **errp)
{
    char *all;

    (void)errp;
    all = vm->config->accel
              ? g_strconcat(vm->config->accel, ":", value, NULL)
              : g_strdup(value);
    g_free(vm->config->accel);
    vm->config->accel = all;
    return true;
}

/* Every hart has a thread. */
static bool set_thread(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "multi", errp);
}

static const CliKey keys[] = {
    { "accel", "NAME", set_name },
    { "thread", "multi", set_thread },
    { NULL, NULL, NULL }
};

static bool parse_accel(Vm *vm, const char *argument, Error **errp)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        print_list();
    }
    return cli_parse_keys(vm, argument, "accel", keys, NULL, errp);
}

static const CliOption options[] = {
    { "accel", "[accel=]NAME[,thread=multi]",
      "what executes guest code: tcg (default) or qtest; given several\n"
      "times, the first that can be used; 'help' lists them",
      parse_accel },
    { NULL, NULL, NULL, NULL }
};

static const CliParameters parameters[] = {
    { "accel", NULL, keys, NULL },
    { NULL, NULL, NULL, NULL }
};

static bool accel_configure(Vm *vm, Error **errp)
{
    return accel_choose(vm, vm->config->accel, errp);
}

const VmModule accel_module = {
    .name = "Accelerator",
    .options = options,
    .parameters = parameters,
    .configure = accel_configure,
};
