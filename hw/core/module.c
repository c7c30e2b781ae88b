/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folder's part in starting a machine: -device and -global, then the board
 * and the devices that were asked for. Main loop, big lock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/char.h"
#include "hw/core/machine.h"
#include "hw/core/module.h"
#include "hw/input/keyboard.h"
#include "hw/pci/pci-bus.h"
#include "system/module.h"
#include "system/object.h"
#include "util/json.h"
#include "util/keyval.h"

static void *find_chardev(Vm *vm, const char *id)
{
    return chardev_find(vm, id);
}

static void *find_object(Vm *vm, const char *id)
{
    return object_find(vm, id);
}

static void global_free(void *opaque)
{
    GlobalProperty *global = opaque;

    g_free(global->driver);
    g_free(global->property);
    g_free(global->value);
    g_free(global);
}

static bool hw_create(Vm *vm, Error **errp)
{
    const PropertyLookup chardevs = { find_chardev, "-chardev" };
    const PropertyLookup objects = { find_object, "-object" };

    (void)errp;
    machine_create(vm);
    property_set_lookup(vm, PROP_CHARDEV, &chardevs);
    property_set_lookup(vm, PROP_OBJECT, &objects);
    return true;
}

static void print_and_exit(GString *text)
{
    fputs(text->str, stdout);
    g_string_free(text, true);
    exit(0);
}

/* "TYPE,help": the properties of TYPE. */
static bool type_help(const char *driver, Error **errp)
{
    const DeviceType *type = driver ? device_type_find(driver) : NULL;
    GString *text;

    if (!type) {
        error_setg(errp, "-device: '%s' is not a device; '-device help' lists "
                   "them", driver ? driver : "");
        return false;
    }
    text = g_string_new(NULL);
    device_type_help(type, text);
    print_and_exit(text);
    return true;
}

static bool parse_device(Vm *vm, const char *argument, Error **errp)
{
    json_object *options;
    json_object *driver;
    bool help = false;

    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        GString *text = g_string_new(NULL);

        device_help(text);
        print_and_exit(text);
    }
    if (*argument == '{') {
        bool keyval;

        options = keyval_or_json_parse(argument, "driver", &keyval, errp);
    } else {
        options = keyval_parse(argument, "driver", &help, errp);
    }
    if (!options) {
        return false;
    }
    if (help) {
        bool ok;

        if (!json_object_object_get_ex(options, "driver", &driver)) {
            driver = NULL;
        }
        ok = type_help(driver ? json_object_get_string(driver) : NULL, errp);
        json_object_put(options);
        return ok;
    }
    g_ptr_array_add(vm->machine->device_options, options);
    return true;
}

/* "DRIVER.PROPERTY=VALUE"; a driver's name may have dots, a property's not. */
static bool split_global(const char *argument, GlobalProperty *global)
{
    const char *equals = strchr(argument, '=');
    const char *dot = NULL;

    if (equals) {
        dot = memrchr(argument, '.', (size_t)(equals - argument));
    }
    if (!dot || dot == argument || dot + 1 == equals) {
        return false;
    }
    global->driver = g_strndup(argument, (size_t)(dot - argument));
    global->property = g_strndup(dot + 1, (size_t)(equals - dot - 1));
    global->value = g_strdup(equals + 1);
    return true;
}

/* "driver=DRIVER,property=PROPERTY,value=VALUE" */
static bool split_global_keys(const char *argument, GlobalProperty *global)
{
    static const char *const keys[] = { "driver", "property", "value" };
    char **fields[] = { &global->driver, &global->property, &global->value };
    json_object *options = keyval_parse(argument, NULL, NULL, NULL);
    bool ok = options && json_object_object_length(options) == 3;

    for (unsigned i = 0; ok && i < 3; i++) {
        json_object *value;

        ok = json_object_object_get_ex(options, keys[i], &value) &&
             json_object_is_type(value, json_type_string);
        if (ok) {
            *fields[i] = g_strdup(json_object_get_string(value));
        }
    }
    json_object_put(options);
    return ok;
}

static bool parse_global(Vm *vm, const char *argument, Error **errp)
{
    GlobalProperty *global = g_new0(GlobalProperty, 1);

    if (!split_global_keys(argument, global)) {
        g_clear_pointer(&global->driver, g_free);
        g_clear_pointer(&global->property, g_free);
        g_clear_pointer(&global->value, g_free);
        if (!split_global(argument, global)) {
            global_free(global);
            error_setg(errp, "-global '%s' is neither DRIVER.PROPERTY=VALUE "
                       "nor driver=DRIVER,property=PROPERTY,value=VALUE",
                       argument);
            return false;
        }
    }
    if (!vm->config->globals) {
        vm->config->globals = g_ptr_array_new_with_free_func(global_free);
    }
    g_ptr_array_add(vm->config->globals, global);
    return true;
}

static const CliOption hw_options[] = {
    { "device", "TYPE[,id=ID][,bus=BUS][,PROPERTY=VALUE...]",
      "adds a device; '-device help' lists the types, '-device TYPE,help' the "
      "properties", parse_device },
    { "global", "TYPE.PROPERTY=VALUE",
      "sets the default of a property of all devices of that type",
      parse_global },
    { .name = NULL },
};

static bool check_globals(Vm *vm, Error **errp)
{
    GPtrArray *globals = vm->config->globals;

    for (guint i = 0; globals && i < globals->len; i++) {
        const GlobalProperty *global = g_ptr_array_index(globals, i);

        if (!g_str_equal(global->driver, "migration") &&
            !device_type_find(global->driver)) {
            error_setg(errp, "-global %s.%s=%s: '%s' is neither 'migration' "
                       "nor a device; '-device help' lists them",
                       global->driver, global->property, global->value,
                       global->driver);
            return false;
        }
    }
    return true;
}

static bool hw_configure(Vm *vm, Error **errp)
{
    GPtrArray *options = vm->machine->device_options;

    if (!check_globals(vm, errp) || !machine_init(vm, errp)) {
        return false;
    }
    for (guint i = 0; i < options->len; i++) {
        if (!device_add(vm, g_ptr_array_index(options, i), errp)) {
            return false;
        }
    }
    return true;
}

static void hw_destroy(Vm *vm)
{
    machine_destroy(vm);
    if (vm->config) {
        g_clear_pointer(&vm->config->globals, g_ptr_array_unref);
    }
}

static void info_pci(Vm *vm, char **args, GString *out)
{
    PciBus *bus = pci_bus_find(vm);

    (void)args;
    if (bus) {
        pci_info(bus, out);
    } else {
        g_string_append(out, "this machine has no PCI bus\n");
    }
}

static const HmpCommand hw_hmp[] = {
    { "info pci", "", "shows the PCI devices", info_pci, NULL },
    { "sendkey", "keys [hold_ms]", "presses keys, as 'sendkey ctrl-alt-f1' "
      "does (held for 100 ms if nothing is said)", hmp_sendkey,
      hmp_sendkey_complete },
    { .name = NULL },
};

const VmModule hw_module = {
    .name = "Device",
    .create = hw_create,
    .options = hw_options,
    .hmp = hw_hmp,
    .configure = hw_configure,
    .destroy = hw_destroy,
};
