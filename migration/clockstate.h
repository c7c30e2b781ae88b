/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's clock as it travels. Big lock, guest stopped. */
#ifndef GODWIT_MIGRATION_CLOCKSTATE_H
#define GODWIT_MIGRATION_CLOCKSTATE_H

#include "system/vm.h"

typedef struct ClockState ClockState;

/* Registers section "timer"; and takes it away again (NULL is fine). */
ClockState *clockstate_new(Vm *vm);
void clockstate_free(ClockState *cs);

#endif
