/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration as others see it: whether one is under way, and the module that
 * starts with the machine. The commands are in qapi/migration.json.
 */
#ifndef GODWIT_MIGRATION_MIGRATION_H
#define GODWIT_MIGRATION_MIGRATION_H

#include <stdbool.h>

#include "system/module.h"
#include "system/vm.h"

extern const VmModule migration_module;

/* Whether an outgoing or incoming migration is under way. Any thread. */
bool migration_is_running(Vm *vm);

#endif
