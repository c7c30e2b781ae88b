/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of a migration's statuses. Pure; any thread. */
#include "migration/status.h"

#define BIT(_name) (1u << MIGRATION_STATUS_##_name)

/* What ends a migration that has begun to move data. */
#define BREAKS (BIT(CANCELLING) | BIT(FAILING))

typedef struct StatusMoves {
    bool running;
    unsigned next;              /* a BIT() for each status that may follow */
} StatusMoves;

static const StatusMoves status_moves[MIGRATION_STATUS__MAX] = {
    [MIGRATION_STATUS_NONE] = { false, BIT(SETUP) },
    /* Nothing to undo yet: it may fail at once. */
    [MIGRATION_STATUS_SETUP] = { true, BIT(ACTIVE) | BIT(FAILED) | BREAKS },
    [MIGRATION_STATUS_ACTIVE] = {
        true, BIT(PRE_SWITCHOVER) | BIT(DEVICE) | BIT(POSTCOPY_DEVICE) |
              BIT(POSTCOPY_ACTIVE) | BIT(COMPLETED) | BREAKS },
    [MIGRATION_STATUS_PRE_SWITCHOVER] = {
        true, BIT(DEVICE) | BIT(POSTCOPY_DEVICE) | BREAKS },
    [MIGRATION_STATUS_POSTCOPY_DEVICE] = {
        true, BIT(POSTCOPY_ACTIVE) | BREAKS },
    /* The guest runs at the destination. */
    [MIGRATION_STATUS_POSTCOPY_ACTIVE] = {
        true, BIT(POSTCOPY_PAUSED) | BIT(COMPLETED) | BREAKS },
    /* The destination goes straight to recover. */
    [MIGRATION_STATUS_POSTCOPY_PAUSED] = {
        true, BIT(POSTCOPY_RECOVER_SETUP) | BIT(POSTCOPY_RECOVER) | BREAKS },
    [MIGRATION_STATUS_POSTCOPY_RECOVER_SETUP] = {
        true, BIT(POSTCOPY_RECOVER) | BIT(POSTCOPY_PAUSED) | BREAKS },
    [MIGRATION_STATUS_POSTCOPY_RECOVER] = {
        true, BIT(POSTCOPY_ACTIVE) | BIT(POSTCOPY_PAUSED) | BREAKS },
    [MIGRATION_STATUS_DEVICE] = { true, BIT(COMPLETED) | BREAKS },
    [MIGRATION_STATUS_CANCELLING] = { true, BIT(CANCELLED) },
    [MIGRATION_STATUS_FAILING] = { true, BIT(FAILED) },
    [MIGRATION_STATUS_COMPLETED] = { false, BIT(SETUP) },
    [MIGRATION_STATUS_FAILED] = { false, BIT(SETUP) },
    [MIGRATION_STATUS_CANCELLED] = { false, BIT(SETUP) },
};

bool mig_status_may_set(MigrationStatus from, MigrationStatus to)
{
    return (unsigned)from < MIGRATION_STATUS__MAX &&
           (unsigned)to < MIGRATION_STATUS__MAX &&
           (status_moves[from].next & (1u << to));
}

bool mig_status_set(MigrationStatus *status, MigrationStatus from,
                    MigrationStatus to)
{
    if (*status != from || !mig_status_may_set(from, to)) {
        return false;
    }
    *status = to;
    return true;
}

bool mig_status_is_running(MigrationStatus status)
{
    return (unsigned)status < MIGRATION_STATUS__MAX &&
           status_moves[status].running;
}
