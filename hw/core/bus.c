/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buses: the places where devices sit. Main loop, big lock. */
#include "hw/core/machine.h"

void bus_init(Bus *bus, Vm *vm, const char *name, const char *kind,
              Device *owner)
{
    *bus = (Bus){
        .vm = vm,
        .name = g_strdup(name),
        .kind = kind,
        .owner = owner,
        .children = g_ptr_array_new(),
    };
    g_ptr_array_add(vm->machine->buses, bus);
}

void bus_destroy(Bus *bus)
{
    g_assert(bus->children->len == 0);
    g_ptr_array_remove(bus->vm->machine->buses, bus);
    g_ptr_array_free(bus->children, true);
    g_free(bus->name);
    *bus = (Bus){ 0 };
}

Bus *bus_find(Vm *vm, const char *name)
{
    GPtrArray *buses = vm->machine->buses;

    for (guint i = 0; i < buses->len; i++) {
        Bus *bus = g_ptr_array_index(buses, i);

        if (g_str_equal(bus->name, name)) {
            return bus;
        }
    }
    return NULL;
}

Bus *bus_find_kind(Vm *vm, const char *kind)
{
    GPtrArray *buses = vm->machine->buses;

    for (guint i = 0; i < buses->len; i++) {
        Bus *bus = g_ptr_array_index(buses, i);

        if (g_str_equal(bus->kind, kind) &&
            (!bus->max_children || bus->children->len < bus->max_children)) {
            return bus;
        }
    }
    return NULL;
}
