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

/*
 * As above, for what only hinders the guest from running before all of its
 * memory is there, or while memory is write-protected (background-snapshot): a
 * device that reaches memory by itself cannot wait for a page. So has a live
 * module that has more to save than memory and what goes with the states of
 * devices. Not shown in blocked-reasons.
 */
bool migration_add_postcopy_blocker(Vm *vm, const char *reason, unsigned *id,
                                    Error **errp);

/* False: there is such a reason; the first is the error. */
bool migration_check_postcopy(Vm *vm, Error **errp);

/* Takes either away and sets *id to 0; nothing happens if it is 0 already. */
void migration_del_blocker(Vm *vm, unsigned *id);

#endif
