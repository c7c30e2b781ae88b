/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which status of a migration may follow which: pure. The status of either
 * direction moves through here alone (migration_set(), in migration.c).
 */
#ifndef GODWIT_MIGRATION_STATUS_H
#define GODWIT_MIGRATION_STATUS_H

#include <stdbool.h>

#include "qapi/qapi-types-migration.h"

/* Whether the table has the move. */
bool mig_status_may_set(MigrationStatus from, MigrationStatus to);

/* Moves *@status from @from to @to; false, and no move, if it is not @from or
 * the table does not have the move. */
bool mig_status_set(MigrationStatus *status, MigrationStatus from,
                    MigrationStatus to);

/* Whether a migration is under way: it can be cancelled, none can start. */
bool mig_status_is_running(MigrationStatus status);

#endif
