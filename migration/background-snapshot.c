/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capability background-snapshot: the guest as it was in one moment goes into
 * the stream while it runs on. A short blackout, in which the states of the
 * devices are collected and memory is protected (snapshot.c), then memory, then
 * the states. Outgoing thread; the big lock is held in the blackout alone, and
 * nothing is protected any more when it is taken again.
 */
#include "migration/background-snapshot.h"
#include "migration/blocker.h"
#include "system/runstate.h"
#include "trace/trace-migration.h"

bool background_snapshot_check(Migration *m, Error **errp)
{
    if (!migration_check_postcopy(m->vm, errp) ||
        !snapshot_check(m->uffd_sys, m->vm->memory,
                        snapshot_pool_bytes(m->vm->memory), errp)) {
        error_prepend(errp, "capability 'background-snapshot': ");
        return false;
    }
    return true;
}

/* ---- what the snapshot asks for ---- */

static bool on_stopped(void *opaque)
{
    return outgoing_stopped(opaque);
}

/* Fault thread. */
static void on_urgent(void *opaque)
{
    MigOut *out = opaque;

    g_mutex_lock(&out->m->lock);
    out->m->kicks++;
    g_cond_broadcast(&out->m->changed);
    g_mutex_unlock(&out->m->lock);
}

/* Fault thread: whoever waits in the channel comes back. */
static void on_failed(void *opaque)
{
    MigOut *out = opaque;
    IoChannel *ch;

    on_urgent(out);
    g_mutex_lock(&out->m->lock);
    ch = out->ch ? io_channel_ref(out->ch) : NULL;
    g_mutex_unlock(&out->m->lock);
    if (ch) {
        io_channel_shutdown(ch, IO_SHUTDOWN_BOTH);
        io_channel_unref(ch);
    }
}

static Snapshot *start(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    SnapshotConfig config = {
        .memory = m->vm->memory, .sys = m->uffd_sys, .clock = m->clock,
        .pool_bytes = snapshot_pool_bytes(m->vm->memory),
        .patience_ns = SNAPSHOT_PATIENCE_NS, .stopped = on_stopped,
        .urgent = on_urgent, .failed = on_failed, .opaque = out,
    };
    Snapshot *snap = snapshot_start(&config, errp);

    g_mutex_lock(&m->lock);
    out->snapshot = snap;
    g_mutex_unlock(&m->lock);
    return snap;
}

/* Everybody can write again. What it was like is kept. */
static void end(MigOut *out)
{
    Migration *m = out->m;
    Snapshot *snap = out->snapshot;

    ram_set_snapshot(m->ram, NULL);
    if (!snap) {
        return;
    }
    snapshot_open(snap);
    g_mutex_lock(&m->lock);
    snapshot_get_stats(snap, &out->snapshot_stats);
    out->has_snapshot_stats = true;
    out->snapshot = NULL;
    g_mutex_unlock(&m->lock);
    snapshot_free(snap);
}

/* ---- the moment ---- */

static void enter(MigOut *out, MigPhase phase)
{
    bool ok;

    g_mutex_lock(&out->m->lock);
    ok = mig_switchover_enter(&out->so, phase, clock_now_ns(out->m->clock));
    g_mutex_unlock(&out->m->lock);
    g_assert(ok);
}

/*
 * Devices' states first: saving them may write to memory. Big lock held; on
 * error the guest is stopped.
 */
static bool take_moment(MigOut *out, Error **errp)
{
    Migration *m = out->m;

    g_mutex_lock(&m->lock);
    mig_switchover_begin_snapshot(&out->so);
    g_mutex_unlock(&m->lock);
    out->old_state = runstate_get(m->vm);
    globalstate_store(m->globalstate, out->old_state);
    if (out->old_state == RUN_STATE_RUNNING) {
        vm_stop(m->vm, RUN_STATE_SAVE_VM);
        out->guest_stopped = true;
    }
    enter(out, MIG_PHASE_DEVICE_STATES);
    if (!savevm_collect_devices(out->sv, errp)) {
        return false;
    }
    enter(out, MIG_PHASE_PROTECT);
    if (!snapshot_freeze(out->snapshot, errp)) {
        return false;
    }
    enter(out, MIG_PHASE_RESUME);
    outgoing_resume_guest(out);
    enter(out, MIG_PHASE_DONE);
    return true;
}

static void report(MigOut *out)
{
    g_autofree char *text = mig_switchover_text(&out->so);

    trace_migration_blackout(out->so.total_ns, 0, text);
}

/* ---- memory ---- */

/* One chunk, or a wait for the rate. */
static MigIterate step(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    bool urgent = snapshot_is_urgent(out->snapshot);
    int64_t wait_ns = urgent ? 0 : mig_stream_rate_wait_ns(out->stream);
    MigIterate res;

    if (outgoing_stopped(out)) {
        error_setg(errp, "stopped");
        return MIG_ITERATE_ERROR;
    }
    if (wait_ns > 0) {
        outgoing_loop_ops.wait(out, wait_ns);
        return MIG_ITERATE_MORE;
    }
    /* The guest would wait: the limit is for what nobody waits for. */
    mig_stream_set_rate_limit(out->stream,
                              urgent ? 0 : migration_param(
                                  m, MIG_PARAM_MAX_BANDWIDTH));
    res = savevm_iterate(out->sv, errp);
    mig_pending_query(m->pending, false);
    return res;
}

/* The reason is what went wrong with the snapshot, if something did. */
static bool save_memory(MigOut *out, Error **errp)
{
    Error *err = NULL;
    MigIterate res;

    do {
        res = step(out, &err);
    } while (res == MIG_ITERATE_MORE);
    if (!snapshot_check_whole(out->snapshot, errp)) {
        g_clear_error(&err);
        return false;
    }
    if (res == MIG_ITERATE_ERROR) {
        error_propagate(errp, err);
        return false;
    }
    return true;
}

/* All memory has left, and nothing is protected. */
static bool save_rest(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    bool ok;

    mig_stream_set_rate_limit(out->stream, 0);
    vm_lock(m->vm);
    ok = savevm_complete_live(out->sv, errp);
    vm_unlock(m->vm);
    if (!ok || !savevm_save_devices(out->sv, NULL, errp) ||
        !savevm_write_end(out->sv, errp) ||
        !savevm_write_description(out->sv, errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    /* From here on a cancel has the status wait for how it ends. */
    out->end_sent = !out->cancelled;
    ok = out->end_sent;
    g_mutex_unlock(&m->lock);
    if (!ok) {
        error_setg(errp, "stopped");
        return false;
    }
    return outgoing_close_channel(out, errp);
}

bool background_snapshot_run(MigOut *out, Error **errp)
{
    bool ok = start(out, errp) != NULL;

    if (ok) {
        vm_lock(out->m->vm);
        ok = take_moment(out, errp);
        if (!ok) {
            /* Whoever is let on here may hold the lock. */
            vm_unlock(out->m->vm);
            end(out);
            return false;
        }
        vm_unlock(out->m->vm);
        report(out);
        ram_set_snapshot(out->m->ram, out->snapshot);
        ok = save_memory(out, errp);
    }
    end(out);
    return ok && save_rest(out, errp);
}
