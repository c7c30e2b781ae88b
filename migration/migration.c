/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's Migration: settings, statuses, blockers, and the module that
 * starts with the machine. Main loop, but for the small functions that the
 * migration threads use too. Locks: migration-int.h.
 */
#include <string.h>

#include "migration/background-snapshot.h"
#include "migration/blocker.h"
#include "migration/migration-int.h"
#include "migration/migration.h"
#include "migration/postcopy.h"
#include "migration/status.h"
#include "qapi/qapi-events-migration.h"
#include "system/holdings.h"
#include "system/machine.h"
#include "system/runstate.h"
#include "trace/trace-migration.h"

typedef struct MigBlocker {
    unsigned id;
    bool postcopy;              /* of that only */
    char *reason;
} MigBlocker;

static void blocker_clear(void *opaque)
{
    g_free(((MigBlocker *)opaque)->reason);
}

Migration *migration_new(Vm *vm, Clock *clock)
{
    Migration *m = g_new0(Migration, 1);

    m->vm = vm;
    m->clock = clock;
    g_mutex_init(&m->status_lock);
    g_mutex_init(&m->lock);
    g_cond_init(&m->changed);
    mig_options_init(&m->options);
    m->pending = mig_pending_new(clock);
    m->predictor = mig_predictor_new();
    m->uffd_sys = uffd_sys_host();
    m->leave = postcopy_leave;
    m->yield = give_way_yield;
    m->multifd_missing_ns = MULTIFD_MISSING_NS;
    m->blockers = g_array_new(FALSE, FALSE, sizeof(MigBlocker));
    g_array_set_clear_func(m->blockers, blocker_clear);
    m->globalstate = globalstate_new(vm);
    m->clockstate = clockstate_new(vm);
    m->ram = ram_new(vm, clock);
    vm->migration = m;
    return m;
}

void migration_stop(Migration *m)
{
    MigIn *in = m->in;

    if (m->out) {
        outgoing_cancel(m->out, true, NULL);
    }
    if (in) {
        incoming_cancel(in);
    }
    /* They may need the big lock to end. */
    vm_unlock(m->vm);
    outgoing_join(m->out);
    incoming_join(in);
    vm_lock(m->vm);
    outgoing_reap(m);
}

void migration_free(Migration *m)
{
    if (!m) {
        return;
    }
    migration_stop(m);
    incoming_free(m->in);
    vm_call_soon_cancel(m->vm, return_path_interrupt, m);
    m->vm->migration = NULL;
    ram_free(m->ram);
    clockstate_free(m->clockstate);
    globalstate_free(m->globalstate);
    mig_predictor_free(m->predictor);
    mig_pending_free(m->pending);
    g_array_unref(m->blockers);
    g_cond_clear(&m->changed);
    g_mutex_clear(&m->lock);
    g_mutex_clear(&m->status_lock);
    g_free(m);
}

/* ---- statuses ---- */

static bool set_status(Migration *m, MigrationStatus *status,
                       const MigrationStatus *from, MigrationStatus to)
{
    MigrationStatus was;
    bool ok, events;

    g_mutex_lock(&m->status_lock);
    g_mutex_lock(&m->lock);
    was = from ? *from : *status;
    ok = mig_status_set(status, was, to);
    events = m->options.caps[MIGRATION_CAPABILITY_EVENTS];
    m->kicks++;
    g_cond_broadcast(&m->changed);
    g_mutex_unlock(&m->lock);
    trace_migration_status(MigrationStatus_str(was), MigrationStatus_str(to),
                           ok);
    if (ok && events) {
        qapi_event_send_migration(m->vm, to);
    }
    g_mutex_unlock(&m->status_lock);
    return ok;
}

bool migration_set(Migration *m, MigrationStatus *status, MigrationStatus from,
                   MigrationStatus to)
{
    return set_status(m, status, &from, to);
}

bool migration_set_any(Migration *m, MigrationStatus *status,
                       MigrationStatus to)
{
    return set_status(m, status, NULL, to);
}

MigrationStatus migration_status(Migration *m, const MigrationStatus *status)
{
    MigrationStatus res;

    g_mutex_lock(&m->lock);
    res = *status;
    g_mutex_unlock(&m->lock);
    return res;
}

bool migration_is_running(Vm *vm)
{
    Migration *m = vm->migration;
    bool running;

    if (!m) {
        return false;
    }
    g_mutex_lock(&m->lock);
    running = mig_status_is_running(m->out_status) ||
              mig_status_is_running(m->in_status);
    g_mutex_unlock(&m->lock);
    return running;
}

/* ---- settings ---- */

MigOptions migration_options(Migration *m)
{
    MigOptions options;

    g_mutex_lock(&m->lock);
    options = m->options;
    g_mutex_unlock(&m->lock);
    return options;
}

uint64_t migration_param(Migration *m, MigParam param)
{
    uint64_t val;

    g_mutex_lock(&m->lock);
    val = m->options.params[param];
    g_mutex_unlock(&m->lock);
    return val;
}

bool migration_cap(Migration *m, MigrationCapability cap)
{
    bool on;

    g_mutex_lock(&m->lock);
    on = m->options.caps[cap];
    g_mutex_unlock(&m->lock);
    return on;
}

void migration_kick(Migration *m)
{
    g_mutex_lock(&m->lock);
    if (m->out && m->out->stream &&
        (m->out->so.phase == MIG_PHASE_NONE || m->out->so.snapshot)) {
        mig_stream_set_rate_limit(m->out->stream,
                                  m->options.params[MIG_PARAM_MAX_BANDWIDTH]);
    } else if (m->out && m->out->stream && m->out->sends_rest) {
        mig_stream_set_rate_limit(
            m->out->stream, m->options.params[MIG_PARAM_MAX_POSTCOPY_BANDWIDTH]);
    }
    m->kicks++;
    g_cond_broadcast(&m->changed);
    g_mutex_unlock(&m->lock);
}

SaveVMConfig migration_savevm_config(Migration *m)
{
    static const char *const agreed[] = { "mapped-ram" };
    const MachineConfig *config = m->vm->config;
    bool mapped_ram = migration_cap(m, MIGRATION_CAPABILITY_MAPPED_RAM);

    return (SaveVMConfig) {
        .machine = config && config->type ? config->type : "none",
        .uuid = m->vm->uuid_set ? m->vm->uuid : NULL,
        .validate_uuid = migration_cap(m, MIGRATION_CAPABILITY_VALIDATE_UUID),
        .capabilities = agreed,
        .num_capabilities = mapped_ram ? G_N_ELEMENTS(agreed) : 0,
    };
}

RamOptions migration_ram_options(Migration *m)
{
    ZeroPageDetection who = migration_param(m, MIG_PARAM_ZERO_PAGE_DETECTION);
    bool multifd = migration_cap(m, MIGRATION_CAPABILITY_MULTIFD);

    return (RamOptions) {
        /* Where there are no channels to do it the migration thread does. */
        .detect_zero_pages = who == ZERO_PAGE_DETECTION_LEGACY ||
                             (who == ZERO_PAGE_DETECTION_MULTIFD && !multifd),
        .mapped_ram = migration_cap(m, MIGRATION_CAPABILITY_MAPPED_RAM),
        .snapshot = migration_cap(m, MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT),
        .postcopy = migration_cap(m, MIGRATION_CAPABILITY_POSTCOPY_RAM),
    };
}

/*
 * Whether the guest may run before all of its memory is there: at this side,
 * which is the one whose kernel serves the faults if a guest is to come in.
 */
static bool check_postcopy(Migration *m, Error **errp)
{
    bool incoming = runstate_get(m->vm) == RUN_STATE_INMIGRATE;

    if (!migration_check_postcopy(m->vm, errp) ||
        (incoming &&
         !fast_load_check(m->uffd_sys, m->vm->memory, errp))) {
        error_prepend(errp, "capability 'postcopy-ram': ");
        return false;
    }
    return true;
}

/* What postcopy needs of a migration that begins now. */
static bool prepare_postcopy(Migration *m, MigEnd *end, bool incoming,
                             bool mapped_ram, Error **errp)
{
    bool preempt = !mapped_ram &&
                   migration_cap(m, MIGRATION_CAPABILITY_POSTCOPY_PREEMPT);

    if (mapped_ram && !incoming) {
        error_setg(errp, "capability 'postcopy-ram' is on: with 'mapped-ram' "
                   "it is for the destination alone");
        return false;
    }
    if (!mapped_ram && end->ch && !end->two_way) {
        error_setg(errp, "capability 'postcopy-ram' is on: pages are asked for "
                   "on the way back, and '%s' leads one way only; a socket is "
                   "needed, or capability 'mapped-ram' for a file to load",
                   end->ch->name);
        return false;
    }
    end->keep_listening = preempt;
    if (preempt && end->ch) {
        error_setg(errp, "capability 'postcopy-preempt' is on: a second "
                   "connection is needed, and '%s' is one alone; tcp: and "
                   "unix: are accepted", end->ch->name);
        return false;
    }
    return check_postcopy(m, errp) &&
           (!incoming || mapped_ram || postcopy_check_blocks(m->vm->memory,
                                                             errp));
}

bool migration_prepare_end(Migration *m, MigEnd *end, bool incoming,
                           Error **errp)
{
    bool mapped_ram = migration_cap(m, MIGRATION_CAPABILITY_MAPPED_RAM);

    if (migration_cap(m, MIGRATION_CAPABILITY_POSTCOPY_RAM) &&
        !prepare_postcopy(m, end, incoming, mapped_ram, errp)) {
        return false;
    }
    if (mapped_ram && !(end->ch && end->ch->features & IO_FEATURE_SEEKABLE)) {
        error_setg(errp, "capability 'mapped-ram' is on: memory needs a "
                   "regular file (file:PATH), and %s%s has no positions",
                   end->ch ? "" : "a socket", end->ch ? end->ch->name : "");
        return false;
    }
    if (!multifd_check_end(m, end, errp)) {
        return false;
    }
    return !mapped_ram || !migration_param(m, MIG_PARAM_DIRECT_IO) ||
           io_channel_set_direct(end->ch, errp);
}

bool migration_set_options(Migration *m, const MigOptions *next,
                           Error **errp)
{
    if (next->caps[MIGRATION_CAPABILITY_POSTCOPY_BLOCKTIME] &&
        !migration_cap(m, MIGRATION_CAPABILITY_POSTCOPY_BLOCKTIME) &&
        runstate_get(m->vm) == RUN_STATE_INMIGRATE &&
        !uffd_check_thread_ids(m->uffd_sys, errp)) {
        error_prepend(errp, "capability 'postcopy-blocktime': ");
        return false;
    }
    if (next->caps[MIGRATION_CAPABILITY_POSTCOPY_RAM] &&
        !migration_cap(m, MIGRATION_CAPABILITY_POSTCOPY_RAM) &&
        !check_postcopy(m, errp)) {
        return false;
    }
    if (next->caps[MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT] &&
        !migration_cap(m, MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT) &&
        !background_snapshot_check(m, errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    m->options = *next;
    g_mutex_unlock(&m->lock);
    migration_kick(m);
    return true;
}

/* ---- blockers ---- */

static bool add_blocker(Vm *vm, const char *reason, bool postcopy,
                        unsigned *id, Error **errp)
{
    Migration *m = vm->migration;
    MigBlocker blocker;

    *id = 0;
    if (!m) {
        return true;
    }
    if (migration_is_running(vm)) {
        error_setg(errp, "disallowing migration while one is under way "
                   "(reason: %s)", reason);
        return false;
    }
    blocker.id = *id = ++m->last_blocker;
    blocker.postcopy = postcopy;
    blocker.reason = g_strdup(reason);
    g_array_append_val(m->blockers, blocker);
    return true;
}

bool migration_add_blocker(Vm *vm, const char *reason, unsigned *id,
                           Error **errp)
{
    return add_blocker(vm, reason, false, id, errp);
}

bool migration_add_postcopy_blocker(Vm *vm, const char *reason, unsigned *id,
                                    Error **errp)
{
    return add_blocker(vm, reason, true, id, errp);
}

/* The first reason of that kind, or NULL. */
static const char *first_blocker(Migration *m, bool postcopy)
{
    for (guint i = 0; m && i < m->blockers->len; i++) {
        MigBlocker *blocker = &g_array_index(m->blockers, MigBlocker, i);

        if (blocker->postcopy == postcopy) {
            return blocker->reason;
        }
    }
    return NULL;
}

bool migration_check_postcopy(Vm *vm, Error **errp)
{
    const char *reason = first_blocker(vm->migration, true);

    if (reason) {
        error_setg(errp, "%s", reason);
    }
    return !reason;
}

void migration_del_blocker(Vm *vm, unsigned *id)
{
    Migration *m = vm->migration;

    for (guint i = 0; m && *id && i < m->blockers->len; i++) {
        if (g_array_index(m->blockers, MigBlocker, i).id == *id) {
            g_array_remove_index(m->blockers, i);
            break;
        }
    }
    *id = 0;
}

strList *migration_blocked_reasons(Migration *m)
{
    strList *list = NULL, **tail = &list;

    for (guint i = 0; i < m->blockers->len; i++) {
        MigBlocker *blocker = &g_array_index(m->blockers, MigBlocker, i);

        if (!blocker->postcopy) {
            QAPI_LIST_APPEND(tail, g_strdup(blocker->reason));
        }
    }
    return list;
}

bool migration_check_possible(Migration *m, Error **errp)
{
    const char *reason;

    if (migration_is_running(m->vm)) {
        error_setg(errp, "There's a migration process in progress");
        return false;
    }
    if (runstate_get(m->vm) == RUN_STATE_INMIGRATE) {
        error_setg(errp, "Guest is waiting for an incoming migration");
        return false;
    }
    if (runstate_get(m->vm) == RUN_STATE_POSTMIGRATE) {
        error_setg(errp, "Can't migrate a guest that has migrated away: it "
                   "may run elsewhere; 'cont' makes it run here");
        return false;
    }
    reason = first_blocker(m, false);
    if (reason) {
        error_setg(errp, "%s", reason);
        return false;
    }
    if (migration_cap(m, MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT) &&
        !background_snapshot_check(m, errp)) {
        return false;
    }
    return savevm_check_migratable(m->vm, errp);
}

/* ---- the module ---- */

static bool module_create(Vm *vm, Error **errp)
{
    (void)errp;
    migration_new(vm, vm->host_clock);
    return true;
}

static bool parse_incoming(Vm *vm, const char *argument, Error **errp)
{
    if (strcmp(argument, "defer") != 0) {
        g_autoptr(MigrationAddress) addr = NULL;

        /* Said now what is wrong with it; opened when the machine is there. */
        addr = migration_incoming_address(argument, errp);
        if (!addr) {
            return false;
        }
    }
    g_free(vm->config->incoming);
    vm->config->incoming = g_strdup(argument);
    if (runstate_get(vm) != RUN_STATE_INMIGRATE) {
        /* Now: whoever opens a disk must know that it is not ours yet. */
        vm_lock(vm);
        holdings_wait(vm);
        runstate_set(vm, RUN_STATE_INMIGRATE);
        vm_unlock(vm);
    }
    return true;
}

static const CliOption migration_cli_options[] = {
    { "incoming", "defer|URI|CHANNEL",
      "waits for a guest to come in: at once from URI (tcp:, unix:, fd:,\n"
      "exec:, file:) or a channel in JSON, or when migrate-incoming says so",
      parse_incoming },
    { NULL },
};

static bool module_configure(Vm *vm, Error **errp)
{
    Migration *m = vm->migration;
    GPtrArray *globals = vm->config->globals;

    for (guint i = 0; globals && i < globals->len; i++) {
        const GlobalProperty *g = globals->pdata[i];

        if (strcmp(g->driver, "migration") == 0 &&
            !mig_options_set_global(&m->options, g->property, g->value,
                                    errp)) {
            error_prepend(errp, "-global migration.%s=%s: ", g->property,
                          g->value);
            return false;
        }
    }
    return true;
}

static bool module_ready(Vm *vm, Error **errp)
{
    MigrationAddress *addr;

    if (!vm->config->incoming || strcmp(vm->config->incoming, "defer") == 0) {
        return true;
    }
    addr = migration_incoming_address(vm->config->incoming, errp);
    if (!addr || !migration_start_incoming(vm->migration, addr, true, errp)) {
        error_prepend(errp, "-incoming %s: ", vm->config->incoming);
        return false;
    }
    return true;
}

static void module_quiesce(Vm *vm)
{
    if (vm->migration) {
        migration_stop(vm->migration);
    }
}

static void module_destroy(Vm *vm)
{
    migration_free(vm->migration);
    savevm_destroy(vm);
}

const VmModule migration_module = {
    .name = "migration",
    .create = module_create,
    .options = migration_cli_options,
    .hmp = migration_hmp_commands,
    .configure = module_configure,
    .ready = module_ready,
    .quiesce = module_quiesce,
    .destroy = module_destroy,
};
