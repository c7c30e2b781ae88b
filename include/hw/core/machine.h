/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hw keeps of one machine: its board, its buses and its devices. The
 * struct is made by hw's module before the command line is read and freed with
 * the Vm. Main loop, big lock.
 */
#ifndef GODWIT_HW_CORE_MACHINE_H
#define GODWIT_HW_CORE_MACHINE_H

#include "hw/core/device.h"
#include "hw/core/loader.h"
#include "system/machine.h"

typedef struct Machine Machine;

struct Machine {
    const MachineType *type;    /* set when the board is built */
    Bus board_bus;              /* kind "sysbus": the board's own devices */
    GPtrArray *buses;           /* of Bus *, in order of bus_init() */
    GPtrArray *devices;         /* of realized Device *, in order */
    GPtrArray *device_options;  /* of json_object *: each -device */
    Loader *loader;             /* what is put into memory at each reset */
    void *board;                /* the board's own struct */
    void (*board_free)(void *board);
    PropertyLookup lookups[PROP_KINDS];
};

/*
 * An empty one, in vm->machine, unless it is there; and its end, with all that
 * is in it.
 */
void machine_create(Vm *vm);
void machine_destroy(Vm *vm);

/* Builds the board that vm->config asks for. Error: as the board's init. */
bool machine_init(Vm *vm, Error **errp);

/*
 * The RAM of the board: the memory back end of -machine memory-backend=, or a
 * new anonymous block of vm->config->ram_size (or the type's default) bytes
 * under the type's default_ram_id. Not mapped yet. NULL and errp: no such back
 * end, its size is not the one of -m, or no memory.
 */
struct RamBlock *machine_ram_new(Vm *vm, Error **errp);

/* Realizes a board device on the board's bus; on error frees it. */
bool machine_device_realize(Vm *vm, Device *dev, Error **errp);

#endif
