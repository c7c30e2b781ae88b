/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine's root and what every board needs. Main loop, big lock. */
#include "hw/core/machine.h"
#include "util/json.h"

static void put_options(void *opaque)
{
    json_object_put(opaque);
}

void machine_create(Vm *vm)
{
    Machine *machine = g_new0(Machine, 1);

    vm->machine = machine;
    machine->buses = g_ptr_array_new();
    machine->devices = g_ptr_array_new();
    machine->device_options = g_ptr_array_new_with_free_func(put_options);
    bus_init(&machine->board_bus, vm, "main-system-bus", "sysbus", NULL);
}

void machine_destroy(Vm *vm)
{
    Machine *machine = vm->machine;

    if (!machine) {
        return;
    }
    /* The youngest first: nothing outlives what it was plugged into. */
    while (machine->devices->len) {
        device_free(g_ptr_array_index(machine->devices,
                                      machine->devices->len - 1));
    }
    if (machine->board_free) {
        machine->board_free(machine->board);
    }
    loader_free(machine->loader);
    bus_destroy(&machine->board_bus);
    g_ptr_array_free(machine->device_options, true);
    g_ptr_array_free(machine->devices, true);
    g_ptr_array_free(machine->buses, true);
    g_clear_pointer(&vm->machine, g_free);
}

const MachineType *machine_type_find(const char *name)
{
    for (const MachineType *const *type = machine_types; *type; type++) {
        if (g_str_equal((*type)->name, name)) {
            return *type;
        }
    }
    return NULL;
}

bool machine_device_realize(Vm *vm, Device *dev, Error **errp)
{
    if (!device_realize(dev, &vm->machine->board_bus, errp)) {
        device_free(dev);
        return false;
    }
    return true;
}

static void machine_names(GString *out)
{
    for (const MachineType *const *type = machine_types; *type; type++) {
        g_string_append_printf(out, "%s'%s'", out->len ? ", " : "",
                               (*type)->name);
    }
}

bool machine_init(Vm *vm, Error **errp)
{
    const MachineConfig *config = vm->config;
    const char *name = config->type ? config->type : "virt";
    const MachineType *type = machine_type_find(name);

    if (!type) {
        GString *names = g_string_new(NULL);

        machine_names(names);
        error_setg(errp, "-machine '%s': there is no such board; there are %s",
                   name, names->str);
        g_string_free(names, true);
        return false;
    }
    if (config->cpus > type->cpu_max) {
        error_setg(errp, "-smp %u: board '%s' takes at most %u", config->cpus,
                   name, type->cpu_max);
        return false;
    }
    vm->machine->type = type;
    vm->machine->loader = loader_new(vm);
    return type->init(vm, errp);
}

RamBlock *machine_ram_new(Vm *vm, Error **errp)
{
    const MachineType *type = vm->machine->type;
    const MachineConfig *config = vm->config;
    const RamBacking backing = {
        .size = config->ram_size ? config->ram_size : type->default_ram_size,
        .fd = -1,
        .huge = true,
    };

    return memory_ram_new(vm->memory, type->default_ram_id, &backing, errp);
}
