/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest was doing at the source: the device section "globalstate",
 * so that one that was paused does not run at the destination. Big lock.
 */
#ifndef GODWIT_MIGRATION_GLOBALSTATE_H
#define GODWIT_MIGRATION_GLOBALSTATE_H

#include "qapi/qapi-types-run-state.h"
#include "system/vm.h"

typedef struct GlobalState GlobalState;

GlobalState *globalstate_new(Vm *vm);
void globalstate_free(GlobalState *gs);

/* What is to be sent: the state before the migration stopped the guest. */
void globalstate_store(GlobalState *gs, RunState state);

/* Nothing has come in yet. */
void globalstate_forget(GlobalState *gs);

/* What came in; running, if nothing did. */
RunState globalstate_received(const GlobalState *gs);

#endif
