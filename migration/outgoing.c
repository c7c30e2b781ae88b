/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One outgoing migration, from start to clean-up: the thread "mig/src/main".
 * Started, cancelled and joined by the main loop; the blackout itself is in
 * outgoing-switch.c. Locks: migration-int.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "migration/background-snapshot.h"
#include "system/cpu.h"
#include "system/runstate.h"
#include "trace/trace-migration.h"
#include "util/log.h"
#include "util/thread.h"

/* How long set-up waits for the answer to a PING. */
#define FIRST_PONG_NS (100 * INT64_C(1000000))

/* ---- waiting and being stopped ---- */

bool outgoing_wait(MigOut *out, int64_t deadline_ns)
{
    return g_cond_wait_until(&out->m->changed, &out->m->lock,
                             deadline_ns / 1000);
}

bool outgoing_is_stopped(const MigOut *out)
{
    return out->cancelled || out->rp.ended;
}

bool outgoing_stopped(MigOut *out)
{
    bool stopped;

    g_mutex_lock(&out->m->lock);
    stopped = outgoing_is_stopped(out);
    g_mutex_unlock(&out->m->lock);
    return stopped;
}

/* ---- set-up ---- */

bool outgoing_connect(MigOut *out, Error **errp)
{
    Migration *m = out->m;

    if (!out->end.ch) {
        const MigTransport *t = mig_transport_of(out->end.addr);

        if (!t->connect(&out->end, out->cancel_fd, errp)) {
            return false;
        }
    }
    if (out->caps[MIGRATION_CAPABILITY_RETURN_PATH] && !out->end.two_way) {
        error_setg(errp, "capability 'return-path' is on, and '%s' leads one "
                   "way only; a socket is needed", out->end.ch->name);
        return false;
    }
    g_mutex_lock(&m->lock);
    out->ch = out->end.ch;
    out->stream = mig_stream_new_output(out->ch, m->clock);
    mig_stream_set_rate_limit(out->stream,
                              m->options.params[MIG_PARAM_MAX_BANDWIDTH]);
    g_mutex_unlock(&m->lock);
    mig_stream_release_lock_of(out->stream, m->vm);
    return true;
}

/* One PING, and its answer if that comes soon. */
static bool measure_round_trip(MigOut *out, Error **errp)
{
    int64_t now = clock_now_ns(out->m->clock);
    bool sent, answered;

    if (!return_path_ping(out, NULL, &sent, errp)) {
        return false;
    }
    g_mutex_lock(&out->m->lock);
    while (out->rp.last_pong != out->rp.last_ping &&
           !outgoing_is_stopped(out) && outgoing_wait(out, now + FIRST_PONG_NS)) {
    }
    answered = out->rp.last_pong == out->rp.last_ping;
    g_mutex_unlock(&out->m->lock);
    /* The first one also waited for the other side to wake up. */
    if (answered && out->rp.last_ping == MIG_PING_FIRST) {
        return measure_round_trip(out, errp);
    }
    return true;
}

static bool open_return_path(MigOut *out, Error **errp)
{
    if (!out->caps[MIGRATION_CAPABILITY_RETURN_PATH]) {
        return true;
    }
    return_path_start(out);
    return savevm_send_open_return_path(out->sv, errp) &&
           measure_round_trip(out, errp) &&
           (!out->caps[MIGRATION_CAPABILITY_POSTCOPY_RAM] ||
            savevm_send_postcopy_advise(out->sv, errp)) &&
           outgoing_urgent_open(out, errp);
}

static bool set_up(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    SaveVMConfig config = migration_savevm_config(m);
    RamOptions ram = migration_ram_options(m);
    bool ok;

    if (!outgoing_open_multifd(out, errp)) {
        return false;
    }
    ram.multifd_send = out->multifd;
    mig_predictor_begin(m->predictor);
    out->sv = savevm_new(m->vm, out->stream, &config);
    if (!out->multifd) {
        /* With it others do the sending, and the time that counts is theirs. */
        savevm_set_run_delay(out->sv, &out->run_delay);
    }
    if (!savevm_write_header(out->sv, errp) || !open_return_path(out, errp)) {
        return false;
    }
    vm_lock(m->vm);
    ram_set_options(m->ram, &ram);
    ok = savevm_setup(out->sv, errp);
    vm_unlock(m->vm);
    if (!ok) {
        return false;
    }
    mig_stats_begin(&out->stats, clock_now_ns(m->clock));
    mig_pending_begin(m->pending, outgoing_loop_ops.query, out);
    mig_loop_init(&out->loop, &outgoing_loop_ops, out, m->clock, m->pending,
                  m->predictor);
    g_mutex_lock(&m->lock);
    out->setup_ns = clock_now_ns(m->clock) - out->start_ns;
    g_mutex_unlock(&m->lock);
    return true;
}

/* ---- the end ---- */

/* Whether it failed here, with the other side there and the channel well. */
static bool failed_here(MigOut *out)
{
    bool ended;

    g_mutex_lock(&out->m->lock);
    ended = out->rp.ended;
    g_mutex_unlock(&out->m->lock);
    return !ended && out->stream && mig_stream_check(out->stream, NULL);
}

/*
 * What is kept of why it failed: the other side's reason if there is one,
 * unless all that it has to say is that we have hung up.
 */
static void note_error(MigOut *out, Error *err, bool here)
{
    g_mutex_lock(&out->m->lock);
    g_clear_pointer(&out->error, g_free);
    if (out->rp.error && !here && !out->cancelled) {
        out->error = g_strdup(out->rp.error);
    } else if (err && !out->cancelled) {
        out->error = g_strdup(err->message);
    }
    g_mutex_unlock(&out->m->lock);
    if (out->error) {
        trace_migration_failed(out->error);
    }
}

/* The status on the way to the last one, while things are undone. */
static MigrationStatus begin_to_end(MigOut *out, bool ok)
{
    Migration *m = out->m;
    bool cancelled;

    if (ok) {
        return MIGRATION_STATUS_COMPLETED;
    }
    g_mutex_lock(&m->lock);
    cancelled = out->cancelled;
    g_mutex_unlock(&m->lock);
    if (cancelled) {
        /* Refused if outgoing_cancel() has done it. */
        migration_set_any(m, &m->out_status, MIGRATION_STATUS_CANCELLING);
        return MIGRATION_STATUS_CANCELLED;
    }
    if (migration_status(m, &m->out_status) != MIGRATION_STATUS_SETUP) {
        migration_set_any(m, &m->out_status, MIGRATION_STATUS_FAILING);
    }
    return MIGRATION_STATUS_FAILED;
}

void outgoing_end_return_path(MigOut *out)
{
    if (out->ch) {
        io_channel_shutdown(out->ch, IO_SHUTDOWN_BOTH);
    }
    if (out->rp.thread) {
        g_thread_join(out->rp.thread);
        out->rp.thread = NULL;
    }
}

/* The guest first; then all that could wait. */
static void tear_down(MigOut *out, bool ok)
{
    Migration *m = out->m;
    MigStream *stream = out->stream;

    outgoing_urgent_drop(out);
    vm_lock(m->vm);
    if (ok && !out->caps[MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT]) {
        runstate_set(m->vm, RUN_STATE_POSTMIGRATE);
    } else {
        outgoing_resume_guest(out);
    }
    cpus_set_throttle(m->vm, 0);
    vm_unlock(m->vm);
    outgoing_close_multifd(out, ok);
    vm_lock(m->vm);
    if (out->sv) {
        savevm_cleanup(out->sv);
    }
    mig_pending_end(m->pending);
    vm_unlock(m->vm);

    mig_loop_clear(&out->loop);
    savevm_free(out->sv);
    out->sv = NULL;
    g_mutex_lock(&m->lock);
    if (stream) {
        outgoing_sent(out, &out->counters);
    }
    out->stream = NULL;
    out->ch = NULL;
    g_mutex_unlock(&m->lock);
    mig_stream_free(stream);
    mig_end_clear(&out->end);
}

static void finish(MigOut *out, bool ok, Error *err)
{
    Migration *m = out->m;
    MigrationStatus last;
    RamStats ram;

    if (!ok) {
        bool here = failed_here(out);

        outgoing_end_return_path(out);
        note_error(out, err, here);
    }
    last = begin_to_end(out, ok);
    outgoing_end_return_path(out);
    tear_down(out, ok);

    ram_get_stats(m->ram, &ram);
    g_mutex_lock(&m->lock);
    out->total_ns = clock_now_ns(m->clock) - out->start_ns;
    out->done = true;
    mig_stats_end(&out->stats, out->total_ns - MAX(out->setup_ns, 0),
                  out->counters.sent_bytes, ram.normal_pages + ram.zero_pages);
    g_mutex_unlock(&m->lock);
    trace_migration_ended(MigrationStatus_str(last), out->total_ns,
                          out->counters.sent_bytes);
    migration_set_any(m, &m->out_status, last);
}

static bool run(MigOut *out, Error **errp)
{
    Migration *m = out->m;

    if (!outgoing_connect(out, errp) || !set_up(out, errp)) {
        return false;
    }
    if (!migration_set(m, &m->out_status, MIGRATION_STATUS_SETUP,
                       MIGRATION_STATUS_ACTIVE)) {
        error_setg(errp, "cancelled");
        return false;
    }
    if (out->caps[MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT]) {
        return background_snapshot_run(out, errp);
    }
    switch (mig_loop_run(&out->loop, errp)) {
    case MIG_STEP_SWITCHOVER:
        return outgoing_switch_over(out, errp);
    case MIG_STEP_STOPPED:
        error_setg(errp, "stopped");
        return false;
    default:
        return false;
    }
}

static gpointer outgoing_main(gpointer opaque)
{
    MigOut *out = opaque;
    Error *err = NULL;
    bool ok;

    run_delay_open(&out->run_delay);
    ok = run(out, &err);
    run_delay_close(&out->run_delay);
    finish(out, ok, err);
    g_clear_error(&err);
    return NULL;
}

/* ---- what the main loop does with it ---- */

bool outgoing_start(Migration *m, MigEnd *end, Error **errp)
{
    MigOut *out = g_new0(MigOut, 1);

    out->m = m;
    mig_acks_init(&out->rp.acks);
    out->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (out->cancel_fd < 0) {
        error_setg_errno(errp, errno, "starting a migration: eventfd");
        mig_end_clear(end);
        mig_acks_clear(&out->rp.acks);
        g_free(out);
        return false;
    }
    outgoing_reap(m);
    out->end = *end;
    out->resume_end.listen_fd = -1;
    out->start_ns = clock_now_ns(m->clock);
    out->setup_ns = out->total_ns = -1;
    mig_switchover_init(&out->so, m->clock);
    g_mutex_lock(&m->lock);
    memcpy(out->caps, m->options.caps, sizeof(out->caps));
    if (out->caps[MIGRATION_CAPABILITY_POSTCOPY_RAM]) {
        out->caps[MIGRATION_CAPABILITY_RETURN_PATH] = true;
    }
    m->out = out;
    g_mutex_unlock(&m->lock);
    migration_set_any(m, &m->out_status, MIGRATION_STATUS_SETUP);
    out->thread = thread_start("mig/src/main", outgoing_main, out);
    return true;
}

bool outgoing_cancel(MigOut *out, bool end, Error **errp)
{
    Migration *m = out->m;
    uint64_t one = 1;
    IoShutdown how;
    IoChannel *ch;
    bool late;

    g_mutex_lock(&m->lock);
    if (out->done || out->cancelled) {
        g_mutex_unlock(&m->lock);
        return true;
    }
    if (out->sends_rest && !end) {
        g_mutex_unlock(&m->lock);
        error_setg(errp, "the guest runs at the destination (postcopy) and "
                   "cannot be taken back");
        return false;
    }
    out->cancelled = true;
    /* The destination may have taken over: the status waits for its word. */
    late = out->end_sent && !out->sends_rest;
    ch = out->ch ? io_channel_ref(out->ch) : NULL;
    how = late && out->rp.opened ? IO_SHUTDOWN_WRITE : IO_SHUTDOWN_BOTH;
    m->kicks++;
    g_cond_broadcast(&m->changed);
    g_mutex_unlock(&m->lock);

    if (!late) {
        migration_set_any(m, &m->out_status, MIGRATION_STATUS_CANCELLING);
    }
    if (write(out->cancel_fd, &one, sizeof(one)) < 0) {
        warn_report("cancelling a migration: %s", g_strerror(errno));
    }
    if (ch) {
        io_channel_shutdown(ch, how);
        io_channel_unref(ch);
    }
    if (!late) {
        savevm_interrupt(m->vm);
    }
    return true;
}

void outgoing_free(MigOut *out)
{
    if (!out) {
        return;
    }
    close(out->cancel_fd);
    mig_end_clear(&out->resume_end);
    g_free(out->error);
    g_free(out->rp.error);
    g_free(out->rp.last_id);
    mig_acks_clear(&out->rp.acks);
    g_free(out);
}

void outgoing_join(MigOut *out)
{
    if (out) {
        g_clear_pointer(&out->thread, g_thread_join);
    }
}

void outgoing_reap(Migration *m)
{
    MigOut *out = m->out;

    if (!out) {
        return;
    }
    outgoing_join(out);
    g_mutex_lock(&m->lock);
    m->out = NULL;
    g_mutex_unlock(&m->lock);
    outgoing_free(out);
}
