/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What exists once outside of the machine and that only the side of a
 * migration whose guest may run must use: disk images. Whoever owns such a
 * thing files a holder; it is told to take it before the guest first runs
 * here, and to give it up when the guest has left. Big lock everywhere.
 */
#ifndef GODWIT_SYSTEM_HOLDINGS_H
#define GODWIT_SYSTEM_HOLDINGS_H

#include "system/vm.h"

typedef struct HolderOps {
    /* Takes what is not held yet. Error: another process has it. */
    bool (*take)(Vm *vm, Error **errp);
    /* Gives up what is held. The guest stands still. */
    void (*give)(Vm *vm);
} HolderOps;

/* Files @ops, which must outlive the machine. Once each. */
void holdings_add(Vm *vm, const HolderOps *ops);

/*
 * Whether everything is held, which is so from the start unless the machine
 * waits for a migration. Taking stops at the first error, which names the
 * thing; taking or giving twice does nothing.
 */
bool holdings_held(const Vm *vm);
bool holdings_take(Vm *vm, Error **errp);
void holdings_give(Vm *vm);

/* Called by whoever starts to wait for a migration, before anything is made. */
void holdings_wait(Vm *vm);

void holdings_free(Vm *vm);

#endif
