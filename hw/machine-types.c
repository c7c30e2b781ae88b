/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The boards there are. */
#include "hw/core/machine.h"
#include "hw/machine-types.h"

static bool none_init(Vm *vm, Error **errp)
{
    (void)vm;
    (void)errp;
    return true;
}

/* For management software that only asks what this program can do. */
static const MachineType machine_none = {
    .name = "none",
    .description = "empty machine",
    .cpu_max = 1,
    .init = none_init,
};

const MachineType *const machine_types[] = {
    &machine_none,
    &machine_virt,
    NULL
};
