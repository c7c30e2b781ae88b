/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of qapi/migration.json. Main loop, big lock. */
#include "migration/migration-int.h"
#include "migration/migration.h"
#include "migration/status.h"
#include "qapi/qapi-commands-migration.h"
#include "system/runstate.h"

bool qmp_migrate(Vm *vm, const char *uri, bool has_channels,
                 MigrationChannelList *channels, bool has_detach, bool detach,
                 bool has_resume, bool resume, Error **errp)
{
    Migration *m = vm->migration;
    g_autoptr(MigrationAddress) addr = NULL;
    MigEnd end = { .listen_fd = -1 };

    (void)has_detach;
    (void)detach;
    addr = mig_address_from_args(uri, has_channels, channels, errp);
    if (!addr) {
        return false;
    }
    resume = has_resume && resume;
    if (resume && (!m->out || migration_status(m, &m->out_status) !=
                              MIGRATION_STATUS_POSTCOPY_PAUSED)) {
        error_setg(errp, "Cannot resume if there is no paused migration");
        return false;
    }
    if (!resume && !migration_check_possible(m, errp)) {
        return false;
    }
    if (!mig_transport_of(addr)->open_output(vm, &addr, &end, errp) ||
        !migration_prepare_end(m, &end, false, errp)) {
        mig_end_clear(&end);
        return false;
    }
    return resume ? outgoing_resume(m->out, &end, errp)
                  : outgoing_start(m, &end, errp);
}

bool migration_start_incoming(Migration *m, MigrationAddress *addr_taken,
                              bool exit_on_error, Error **errp)
{
    g_autoptr(MigrationAddress) addr = addr_taken;
    MigEnd end = { .listen_fd = -1 };

    if (m->in) {
        error_setg(errp, "The incoming migration has already been started");
        return false;
    }
    if (!mig_transport_of(addr)->open_input(m->vm, &addr, &end, errp) ||
        !migration_prepare_end(m, &end, true, errp)) {
        mig_end_clear(&end);
        return false;
    }
    return incoming_start(m, &end, exit_on_error, errp);
}

bool qmp_migrate_incoming(Vm *vm, const char *uri, bool has_channels,
                          MigrationChannelList *channels,
                          bool has_exit_on_error, bool exit_on_error,
                          Error **errp)
{
    Migration *m = vm->migration;
    MigrationAddress *addr;

    if (m->in) {
        error_setg(errp, "The incoming migration has already been started");
        return false;
    }
    if (runstate_get(vm) != RUN_STATE_INMIGRATE) {
        error_setg(errp, "'-incoming' was not specified on the command line");
        return false;
    }
    addr = mig_address_from_args(uri, has_channels, channels, errp);
    return addr && migration_start_incoming(
        m, addr, !has_exit_on_error || exit_on_error, errp);
}

bool qmp_migrate_cancel(Vm *vm, Error **errp)
{
    Migration *m = vm->migration;

    return !m->out || outgoing_cancel(m->out, false, errp);
}

/* Who asks to go on too late is told why there is nothing to go on with. */
static void append_reason(Migration *m, MigrationStatus now, Error **errp)
{
    g_autofree char *reason = NULL;

    g_mutex_lock(&m->lock);
    if (m->out && (now == MIGRATION_STATUS_FAILING ||
                   now == MIGRATION_STATUS_FAILED)) {
        reason = g_strdup(m->out->error);
    }
    g_mutex_unlock(&m->lock);
    if (reason) {
        error_append(errp, ": %s", reason);
    }
}

bool qmp_migrate_continue(Vm *vm, MigrationStatus state, Error **errp)
{
    Migration *m = vm->migration;
    MigrationStatus now = migration_status(m, &m->out_status);

    if (now != state) {
        error_setg(errp, "Migration not in expected state: it is '%s', not "
                   "'%s'", MigrationStatus_str(now),
                   MigrationStatus_str(state));
        append_reason(m, now, errp);
        return false;
    }
    if (state != MIGRATION_STATUS_PRE_SWITCHOVER) {
        error_setg(errp, "migrate-continue goes on from 'pre-switchover' "
                   "only, not from '%s'", MigrationStatus_str(state));
        return false;
    }
    g_mutex_lock(&m->lock);
    m->out->continued = true;
    g_cond_broadcast(&m->changed);
    g_mutex_unlock(&m->lock);
    return true;
}

bool qmp_migrate_start_postcopy(Vm *vm, Error **errp)
{
    Migration *m = vm->migration;

    if (!mig_status_is_running(migration_status(m, &m->out_status))) {
        error_setg(errp, "migrate-start-postcopy: no outgoing migration is "
                   "under way");
        return false;
    }
    if (!m->out->caps[MIGRATION_CAPABILITY_POSTCOPY_RAM]) {
        error_setg(errp, "migrate-start-postcopy: capability 'postcopy-ram' "
                   "was off when the migration was started");
        return false;
    }
    g_mutex_lock(&m->lock);
    m->out->start_postcopy = true;
    g_mutex_unlock(&m->lock);
    migration_kick(m);
    return true;
}

bool qmp_migrate_pause(Vm *vm, Error **errp)
{
    Migration *m = vm->migration;

    if (outgoing_pause(m) || incoming_pause(m)) {
        return true;
    }
    error_setg(errp, "migrate-pause works in postcopy-active and "
               "postcopy-recover only; the statuses are '%s' (outgoing) and "
               "'%s' (incoming)",
               MigrationStatus_str(migration_status(m, &m->out_status)),
               MigrationStatus_str(migration_status(m, &m->in_status)));
    return false;
}

/* Perhaps out of band, without the big lock: nothing here needs it. */
bool qmp_migrate_recover(Vm *vm, const char *uri, Error **errp)
{
    g_autoptr(MigrationAddress) addr = mig_address_parse(uri, errp);
    Migration *m = vm->migration;
    MigEnd end = { .listen_fd = -1 };

    if (!addr) {
        return false;
    }
    if (addr->transport != MIGRATION_ADDRESS_TYPE_SOCKET) {
        error_setg(errp, "migrate-recover needs a socket (tcp:, unix:, fd:), "
                   "not '%s'", uri);
        return false;
    }
    if (migration_status(m, &m->in_status) !=
        MIGRATION_STATUS_POSTCOPY_PAUSED) {
        error_setg(errp, "migrate-recover works while a migration in postcopy "
                   "is paused, at its destination");
        return false;
    }
    incoming_forget_recover(m);
    if (!mig_transport_socket.open_input(vm, &addr, &end, errp) ||
        !migration_prepare_end(m, &end, true, errp)) {
        mig_end_clear(&end);
        return false;
    }
    return incoming_recover(m, &end, errp);
}

bool qmp_query_migrate(Vm *vm, MigrationInfo **ret, Error **errp)
{
    (void)errp;
    *ret = migration_info(vm->migration);
    return true;
}

bool qmp_migrate_set_capabilities(Vm *vm,
                                  MigrationCapabilityStatusList *capabilities,
                                  Error **errp)
{
    Migration *m = vm->migration;
    MigOptions next = migration_options(m);

    return mig_options_set_caps(&next, capabilities, migration_is_running(vm),
                                errp) &&
           migration_set_options(m, &next, errp);
}

bool qmp_query_migrate_capabilities(Vm *vm,
                                    MigrationCapabilityStatusList **ret,
                                    Error **errp)
{
    Migration *m = vm->migration;

    (void)errp;
    g_mutex_lock(&m->lock);
    *ret = mig_options_get_caps(&m->options);
    g_mutex_unlock(&m->lock);
    return true;
}

bool qmp_migrate_set_parameters(Vm *vm, MigrationParameters *arg,
                                Error **errp)
{
    Migration *m = vm->migration;
    MigOptions next = migration_options(m);

    return mig_options_set_params(&next, arg, migration_is_running(vm),
                                  errp) &&
           migration_set_options(m, &next, errp);
}

bool qmp_query_migrate_parameters(Vm *vm, MigrationParameters **ret,
                                  Error **errp)
{
    Migration *m = vm->migration;

    (void)errp;
    g_mutex_lock(&m->lock);
    *ret = mig_options_get_params(&m->options);
    g_mutex_unlock(&m->lock);
    return true;
}
