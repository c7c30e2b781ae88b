/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One incoming migration: the thread "mig/dst/main" accepts, loads, takes over
 * from the source and lets the guest run. Started by the main loop. Locks:
 * migration-int.h.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "migration/migration-int.h"
#include "migration/postcopy.h"
#include "system/holdings.h"
#include "system/machine.h"
#include "system/runstate.h"
#include "trace/trace-migration.h"
#include "util/log.h"
#include "util/thread.h"

/* ---- what the stream asks for ---- */

static bool on_open_return_path(void *opaque, Error **errp)
{
    MigIn *in = opaque;

    if (!in->end.two_way) {
        error_setg(errp, "the source asks for a return path, and '%s' leads "
                   "one way only", in->end.ch->name);
        return false;
    }
    in->rp_open = true;
    return true;
}

static bool on_ping(void *opaque, uint32_t value, Error **errp)
{
    MigIn *in = opaque;

    if (!in->rp_open) {
        error_setg(errp, "PING %u before the return path was opened", value);
        return false;
    }
    if (postcopy_in_is_listening(in->pc)) {
        return postcopy_in_ping(in->pc, value, errp);
    }
    return return_path_send(in->end.ch, MIG_RP_MSG_PONG, value, errp);
}

static bool on_switchover_start(void *opaque, Error **errp)
{
    (void)opaque;
    (void)errp;
    return true;
}

/* Answers the marks that the section had in it. */
static bool on_section_loaded(void *opaque, Error **errp)
{
    MigIn *in = opaque;
    unsigned due;

    g_mutex_lock(&in->m->lock);
    due = in->acks_due;
    in->acks_due = 0;
    g_mutex_unlock(&in->m->lock);
    if (due && !in->rp_open) {
        error_setg(errp, "a device's mark asks for an answer, and no return "
                   "path was opened");
        return false;
    }
    while (due-- > 0) {
        if (!return_path_send(in->end.ch, MIG_RP_MSG_SWITCHOVER_ACK, 0,
                              errp)) {
            return false;
        }
    }
    return true;
}

/* ---- postcopy ---- */

static bool on_postcopy_advise(void *opaque, const PostcopyAdvise *advise,
                               Error **errp)
{
    MigIn *in = opaque;
    Migration *m = in->m;
    PostcopyIn *pc;

    if (!migration_cap(m, MIGRATION_CAPABILITY_POSTCOPY_RAM) ||
        migration_cap(m, MIGRATION_CAPABILITY_MAPPED_RAM)) {
        error_setg(errp, "the source wants to be able to go into postcopy: "
                   "capability 'postcopy-ram' must be on here, too, and "
                   "'mapped-ram' off");
        return false;
    }
    if (in->pc || !in->rp_open) {
        error_setg(errp, in->pc ? "postcopy-advise comes twice"
                                : "postcopy-advise without a return path");
        return false;
    }
    pc = postcopy_in_new(in, advise, errp);
    g_mutex_lock(&m->lock);
    in->pc = pc;
    g_mutex_unlock(&m->lock);
    return pc != NULL;
}

static bool on_postcopy_discard(void *opaque, const PostcopyDiscard *discard,
                                Error **errp)
{
    MigIn *in = opaque;

    if (!in->pc || postcopy_in_is_listening(in->pc)) {
        error_setg(errp, "postcopy-ram-discard %s", in->pc
                   ? "after postcopy-listen" : "without postcopy-advise");
        return false;
    }
    return postcopy_in_discard(in->pc, discard, errp);
}

static bool on_postcopy_listen(void *opaque, uint32_t stream_id, Error **errp)
{
    MigIn *in = opaque;
    Migration *m = in->m;

    if (!in->pc || postcopy_in_is_listening(in->pc)) {
        error_setg(errp, "postcopy-listen %s", in->pc
                   ? "comes twice" : "without postcopy-advise");
        return false;
    }
    migration_set(m, &m->in_status, MIGRATION_STATUS_ACTIVE,
                  MIGRATION_STATUS_POSTCOPY_DEVICE);
    /* Whose stream it is now; what it has read ahead goes along. */
    return postcopy_in_listen(in->pc, g_steal_pointer(&in->stream),
                              in->end.ch, stream_id, errp);
}

static bool on_postcopy_run(void *opaque, Error **errp)
{
    MigIn *in = opaque;

    if (!postcopy_in_is_listening(in->pc)) {
        error_setg(errp, "postcopy-run without postcopy-listen");
        return false;
    }
    return true;
}

static const LoadVMOps load_ops = {
    .open_return_path = on_open_return_path,
    .ping = on_ping,
    .switchover_start = on_switchover_start,
    .postcopy_advise = on_postcopy_advise,
    .postcopy_discard = on_postcopy_discard,
    .postcopy_listen = on_postcopy_listen,
    .postcopy_run = on_postcopy_run,
    .section_loaded = on_section_loaded,
};

/* ---- pages that come when they are touched ---- */

/*
 * The guest runs, and a part of its memory does not exist any more. Whoever
 * touches it waits for ever, maybe with the big lock, so that nothing can be
 * ended in an orderly way; and nothing may go on with other memory than its
 * own. The file is as it was: the guest can be started from it again.
 */
static void pages_lost(void *opaque, Error *err)
{
    (void)opaque;
    error_report("the guest's memory cannot be loaded any more, and it ends: "
                 "%s", err->message);
    _exit(1);
}

/* Big lock held. */
static bool take_pages(void *opaque, struct MappedRam *layout, Error **errp)
{
    MigIn *in = opaque;
    Migration *m = in->m;
    FastLoadConfig config = {
        .memory = m->vm->memory,
        .sys = m->uffd_sys,
        .clock = m->clock,
        .ch = in->end.ch,
        .lost = pages_lost,
    };
    FastLoad *fast = fast_load_start(&config, layout, errp);

    g_mutex_lock(&m->lock);
    in->fast = fast;
    g_mutex_unlock(&m->lock);
    return fast != NULL;
}

/* Its numbers stay. */
static void end_fast_load(MigIn *in)
{
    FastLoad *fast = in->fast;

    if (!fast) {
        return;
    }
    g_mutex_lock(&in->m->lock);
    fast_load_get_stats(fast, &in->fast_stats);
    in->has_fast_stats = true;
    in->fast = NULL;
    in->pages_follow = false;
    g_mutex_unlock(&in->m->lock);
    fast_load_free(fast);
}

/* Its numbers stay. */
static void end_postcopy(MigIn *in)
{
    PostcopyIn *pc = in->pc;
    Blocktime *blocktime;

    if (!pc) {
        return;
    }
    g_mutex_lock(&in->m->lock);
    postcopy_in_get_stats(pc, &in->pc_stats);
    in->has_pc_stats = postcopy_in_is_listening(pc);
    in->pc = NULL;
    in->ch = NULL;
    in->pages_follow = false;
    g_mutex_unlock(&in->m->lock);
    postcopy_in_free(pc, &blocktime);
    if (in->has_pc_stats) {
        g_mutex_lock(&in->m->lock);
        in->blocktime = g_steal_pointer(&blocktime);
        g_mutex_unlock(&in->m->lock);
    }
    blocktime_free(blocktime);
}

/*
 * The guest runs. If the program ends before all is there, pages still come
 * until nobody is left who could touch one.
 */
static bool load_rest(MigIn *in, Error **errp)
{
    if (postcopy_in_is_listening(in->pc)) {
        if (!postcopy_in_wait(in->pc, errp)) {
            if (postcopy_in_has_left(in->pc)) {
                end_postcopy(in);
            }
            return false;
        }
    } else if (in->fast && !fast_load_run(in->fast, errp)) {
        return false;
    }
    end_postcopy(in);
    end_fast_load(in);
    return true;
}

/* ---- taking over ---- */

/*
 * A source that has hung up will run its guest again. Only one that listens to
 * us is expected to stay; a file ends where it ends.
 */
static bool source_is_there(MigIn *in, Error **errp)
{
    struct pollfd pfd = { .fd = io_channel_fd(in->end.ch),
                          .events = POLLRDHUP };

    if (in->rp_open && pfd.fd >= 0 && poll(&pfd, 1, 0) > 0) {
        error_setg(errp, "the source hung up before the guest could be taken "
                   "over");
        return false;
    }
    return true;
}

static bool is_live(RunState state)
{
    return state == RUN_STATE_RUNNING;
}

/* The state in which the guest begins here. */
static RunState first_state(MigIn *in)
{
    Vm *vm = in->m->vm;
    RunState theirs = globalstate_received(in->m->globalstate);

    if (!is_live(theirs)) {
        return theirs;
    }
    return vm->config && vm->config->start_paused ? RUN_STATE_PAUSED
                                                  : RUN_STATE_RUNNING;
}

/* From here on the guest may need what is not there yet. Big lock held. */
static bool commit_fast_load(MigIn *in, Error **errp)
{
    Migration *m = in->m;

    if (!in->fast) {
        return true;
    }
    if (!fast_load_commit(in->fast, errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    in->pages_follow = true;
    g_mutex_unlock(&m->lock);
    migration_set_any(m, &m->in_status, MIGRATION_STATUS_POSTCOPY_ACTIVE);
    return true;
}

/* Says so to the source: from here on it does not run the guest any more. */
static bool tell_source(MigIn *in, Error **errp)
{
    Migration *m = in->m;

    if (!postcopy_in_is_listening(in->pc)) {
        return !in->rp_open || return_path_send(in->end.ch, MIG_RP_MSG_SHUT, 0,
                                                errp);
    }
    migration_set_any(m, &m->in_status, MIGRATION_STATUS_POSTCOPY_ACTIVE);
    if (!postcopy_in_commit(in->pc, errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    in->pages_follow = true;
    g_mutex_unlock(&m->lock);
    return true;
}

/* Big lock held. Says so, then runs: an error means that it does not run. */
static bool take_over(MigIn *in, LoadVM *lv, Error **errp)
{
    Vm *vm = in->m->vm;
    RunState state = first_state(in);

    if (!runstate_may_set(runstate_get(vm), state)) {
        error_setg(errp, "the guest's run state '%s' cannot follow '%s'",
                   RunState_str(state), RunState_str(runstate_get(vm)));
        return false;
    }
    if (state == RUN_STATE_RUNNING && !holdings_take(vm, errp)) {
        return false;
    }
    if (!commit_fast_load(in, errp) || !source_is_there(in, errp) ||
        (state == RUN_STATE_RUNNING && !loadvm_take_over(lv, errp)) ||
        !tell_source(in, errp)) {
        loadvm_give_up(lv);
        holdings_give(vm);
        return false;
    }
    if (state == RUN_STATE_RUNNING) {
        vm_start(vm);
    } else {
        runstate_set(vm, state);
    }
    return true;
}

static bool load(MigIn *in, Error **errp)
{
    Migration *m = in->m;
    SaveVMConfig config = migration_savevm_config(m);
    RamOptions ram = migration_ram_options(m);
    LoadVM *lv;
    bool ok, cancelled;

    if (migration_cap(m, MIGRATION_CAPABILITY_POSTCOPY_RAM)) {
        ram.take_pages = take_pages;
        ram.opaque = in;
    }
    ram.multifd_recv = in->multifd;
    ram.read_threads = incoming_read_threads(in);
    vm_lock(m->vm);
    ram_set_options(m->ram, &ram);
    vm_unlock(m->vm);
    in->stream = mig_stream_new_input(in->end.ch);
    lv = loadvm_new(m->vm, in->stream, &config, &load_ops, in);
    ok = loadvm_run(lv, errp);
    vm_lock(m->vm);
    g_mutex_lock(&m->lock);
    cancelled = in->cancelled;
    g_mutex_unlock(&m->lock);
    if (ok && cancelled) {
        error_setg(errp, "the program ends");
        ok = false;
    }
    if (ok) {
        ok = take_over(in, lv, errp);
    }
    vm_unlock(m->vm);
    if (ok && postcopy_in_is_listening(in->pc)) {
        /* The connection is in->pc's, which may get another one. */
        mig_end_clear(&in->end);
    } else if (ok) {
        /* The guest runs; the source may want to get rid of the rest. */
        loadvm_read_description(lv, NULL);
    }
    vm_lock(m->vm);
    loadvm_free(lv);
    vm_unlock(m->vm);
    if (!ok) {
        end_postcopy(in);
        end_fast_load(in);
    }
    return ok && load_rest(in, errp);
}

/* ---- the thread ---- */

static bool run(MigIn *in, Error **errp)
{
    Migration *m = in->m;

    if (!in->end.ch &&
        !(migration_cap(m, MIGRATION_CAPABILITY_MULTIFD)
          ? incoming_accept_multifd(in, errp)
          : mig_transport_socket.accept(&in->end, in->cancel_fd, errp))) {
        return false;
    }
    g_mutex_lock(&m->lock);
    in->ch = in->end.ch;
    if (in->cancelled) {
        io_channel_shutdown(in->ch, IO_SHUTDOWN_BOTH);
    }
    g_mutex_unlock(&m->lock);
    migration_set_any(m, &m->in_status, MIGRATION_STATUS_ACTIVE);
    return load(in, errp);
}

static void fail(MigIn *in, Error *err)
{
    Migration *m = in->m;
    bool cancelled;

    g_mutex_lock(&m->lock);
    g_free(in->error);
    in->error = g_strdup(err->message);
    cancelled = in->cancelled;
    g_mutex_unlock(&m->lock);
    trace_migration_failed(in->error);
    migration_set_any(m, &m->in_status, MIGRATION_STATUS_FAILING);
    if (in->rp_open && !in->pages_follow && in->end.ch) {
        return_path_send(in->end.ch, MIG_RP_MSG_SHUT, 1, NULL);
    }
    if (in->exit_on_error && !cancelled) {
        error_report("incoming migration failed: %s", err->message);
        vm_request_exit(m->vm, 1);
    }
}

static gpointer incoming_main(gpointer opaque)
{
    MigIn *in = opaque;
    Migration *m = in->m;
    Error *err = NULL, *why = NULL;
    bool ok = run(in, &err);

    if (!ok && !incoming_check_multifd(in, &why)) {
        /* That is why the main stream could not be read. */
        g_error_free(err);
        err = why;
    }
    if (!ok) {
        fail(in, err);
        g_clear_error(&err);
    }
    g_mutex_lock(&m->lock);
    in->ch = NULL;
    in->pc = NULL;      /* the memory's, if it is still there */
    in->done = true;
    g_mutex_unlock(&m->lock);
    incoming_close_multifd(in);
    mig_stream_free(in->stream);
    in->stream = NULL;
    mig_end_clear(&in->end);
    trace_migration_incoming(ok);
    migration_set_any(m, &m->in_status, ok ? MIGRATION_STATUS_COMPLETED
                                           : MIGRATION_STATUS_FAILED);
    return NULL;
}

/* ---- what the main loop does with it ---- */

bool incoming_start(Migration *m, MigEnd *end, bool exit_on_error,
                    Error **errp)
{
    MigIn *in = g_new0(MigIn, 1);

    in->m = m;
    in->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    in->recover_end.listen_fd = -1;
    if (in->cancel_fd < 0) {
        error_setg_errno(errp, errno, "starting a migration: eventfd");
        mig_end_clear(end);
        incoming_free(in);
        return false;
    }
    in->exit_on_error = exit_on_error;
    in->end = *end;
    if (end->local) {
        in->local = mig_socket_address_copy(end->local);
    }
    globalstate_forget(m->globalstate);
    g_mutex_lock(&m->lock);
    m->in = in;
    g_mutex_unlock(&m->lock);
    migration_set_any(m, &m->in_status, MIGRATION_STATUS_SETUP);
    in->thread = thread_start("mig/dst/main", incoming_main, in);
    return true;
}

void incoming_cancel(MigIn *in)
{
    Migration *m = in->m;
    uint64_t one = 1;

    g_mutex_lock(&m->lock);
    in->cancelled = true;
    if (in->pages_follow && in->pc) {
        postcopy_in_stop(in->pc);
    } else if (in->pages_follow && in->fast) {
        fast_load_stop(in->fast);
    } else if (in->ch) {
        io_channel_shutdown(in->ch, IO_SHUTDOWN_BOTH);
    }
    g_mutex_unlock(&m->lock);
    if (write(in->cancel_fd, &one, sizeof(one)) < 0) {
        warn_report("ending a migration: %s", g_strerror(errno));
    }
    savevm_interrupt(m->vm);
}

void incoming_join(MigIn *in)
{
    if (in) {
        g_clear_pointer(&in->thread, g_thread_join);
    }
}

void incoming_free(MigIn *in)
{
    if (!in) {
        return;
    }
    if (in->cancel_fd >= 0) {
        close(in->cancel_fd);
    }
    mig_end_clear(&in->recover_end);
    qapi_free_SocketAddress(in->local);
    blocktime_free(in->blocktime);
    g_free(in->error);
    g_free(in);
}
