/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reasons why this machine cannot migrate now: query-migrate shows them in
 * blocked-reasons, and "migrate" fails with the first. Big lock.
 */
#ifndef GODWIT_MIGRATION_BLOCKER_H
#define GODWIT_MIGRATION_BLOCKER_H

#include "system/vm.h"

/*
 * Adds a reason, which is copied. Error: a migration is under way. *id (> 0)
 * is for migration_del_blocker().
 */
bool migration_add_blocker(Vm *vm, const char *reason, unsigned *id,
                           Error **errp);

/* Takes it away and sets *id to 0; nothing happens if it is 0 already. */
void migration_del_blocker(Vm *vm, unsigned *id);

#endif
