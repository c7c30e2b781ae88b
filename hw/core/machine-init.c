/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From -machine to a board. Main loop, big lock. */
#include <inttypes.h>

#include "hw/core/machine.h"
#include "system/memory.h"
#include "system/object.h"

const MachineType *machine_type_find(const char *name)
{
    for (const MachineType *const *type = machine_types; *type; type++) {
        if (g_str_equal((*type)->name, name)) {
            return *type;
        }
    }
    return NULL;
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

/* The size of -m, if there is one, has to be that of the back end. */
static RamBlock *take_backend(Vm *vm, Error **errp)
{
    MachineConfig *config = vm->config;
    RamBlock *rb = object_take_memory(vm, config->memory_backend, errp);

    if (!rb) {
        error_prepend(errp, "-machine memory-backend: ");
        return NULL;
    }
    if (config->ram_size && config->ram_size != rb->backing.size) {
        error_setg(errp, "-m: %" PRIu64 " bytes are not the size of memory "
                   "back end '%s', %" PRIu64, config->ram_size, rb->id,
                   rb->backing.size);
        return NULL;
    }
    config->ram_size = rb->backing.size;
    return rb;
}

RamBlock *machine_ram_new(Vm *vm, Error **errp)
{
    const MachineType *type = vm->machine->type;
    const MachineConfig *config = vm->config;
    const RamBacking backing = {
        .size = config->ram_size ? config->ram_size : type->default_ram_size,
        .fd = -1,
        .huge = true,
        .merge = config->mem_merge,
        .no_dump = config->no_core_dump,
    };

    if (config->memory_backend) {
        return take_backend(vm, errp);
    }
    return memory_ram_new(vm->memory, type->default_ram_id, &backing, errp);
}
