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
    Machine *machine;

    if (vm->machine) {
        return;
    }
    machine = g_new0(Machine, 1);
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

bool machine_device_realize(Vm *vm, Device *dev, Error **errp)
{
    if (!device_realize(dev, &vm->machine->board_bus, errp)) {
        device_free(dev);
        return false;
    }
    return true;
}
