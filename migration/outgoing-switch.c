/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The blackout of an outgoing migration: from before the first vCPU is asked
 * to stop until the destination has taken over. Outgoing thread; the big lock
 * is held from the stop to the end of the stream, and dropped whenever the
 * channel has to be waited for.
 */
#include <string.h>

#include "migration/migration-int.h"
#include "system/holdings.h"
#include "system/runstate.h"
#include "trace/trace-migration.h"
#include "util/log.h"

/* How long a cancel waits for the destination to give up, or say it has not. */
#define LATE_CANCEL_NS INT64_C(1000000000)

/* ---- the clock ---- */

static void enter_at(MigOut *out, MigPhase phase, int64_t at_ns)
{
    bool ok;

    g_mutex_lock(&out->m->lock);
    ok = mig_switchover_enter(&out->so, phase, at_ns);
    g_mutex_unlock(&out->m->lock);
    g_assert(ok);
}

static void enter(MigOut *out, MigPhase phase)
{
    enter_at(out, phase, clock_now_ns(out->m->clock));
}

static void begin_blackout(MigOut *out)
{
    Migration *m = out->m;
    MigNs predicted = out->loop.forecast.downtime_ns;
    MigStreamCounters counters;

    mig_stream_counters(out->stream, &counters);
    g_mutex_lock(&m->lock);
    out->precopy_bytes = counters.sent_bytes;
    mig_switchover_begin(&out->so, predicted > INT64_MAX ? INT64_MAX
                                                         : (int64_t)predicted);
    g_mutex_unlock(&m->lock);
}

/* ---- stopping the guest ---- */

static bool stop_guest(MigOut *out, Error **errp)
{
    Migration *m = out->m;

    out->old_state = runstate_get(m->vm);
    globalstate_store(m->globalstate, out->old_state);
    vm_stop(m->vm, RUN_STATE_FINISH_MIGRATE);
    out->guest_stopped = true;
    if (outgoing_stopped(out)) {
        error_setg(errp, "stopped");
        return false;
    }
    return true;
}

/* pause-before-switchover: big lock held, dropped while it waits. */
static bool wait_for_continue(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    bool go;

    enter(out, MIG_PHASE_PAUSE);
    if (!migration_set(m, &m->out_status, MIGRATION_STATUS_ACTIVE,
                       MIGRATION_STATUS_PRE_SWITCHOVER)) {
        error_setg(errp, "cancelled");
        return false;
    }
    vm_unlock(m->vm);
    g_mutex_lock(&m->lock);
    while (!out->continued && !out->cancelled && !out->rp.ended) {
        g_cond_wait(&m->changed, &m->lock);
    }
    go = !out->cancelled && !out->rp.ended;
    g_mutex_unlock(&m->lock);
    vm_lock(m->vm);
    if (!go) {
        error_setg(errp, "stopped");
    }
    return go;
}

void outgoing_resume_guest(MigOut *out)
{
    Vm *vm = out->m->vm;
    Error *err = NULL;

    if (!out->guest_stopped) {
        return;
    }
    out->guest_stopped = false;
    if (out->gave_holdings && out->old_state == RUN_STATE_RUNNING &&
        !holdings_take(vm, &err)) {
        error_prepend(&err, "the guest stays paused after a failed "
                      "migration: ");
        error_report_err(err);
        runstate_set(vm, RUN_STATE_PAUSED);
        return;
    }
    if (out->old_state == RUN_STATE_RUNNING) {
        vm_start(vm);
    } else {
        runstate_set(vm, out->old_state);
    }
}

/* ---- sending what is left ---- */

/* What each module took, and what that teaches. */
static void account_modules(MigOut *out, int64_t begun_ns)
{
    Migration *m = out->m;
    const MigRecord *rec = mig_pending_query(m->pending, false);
    uint64_t bytes = 0;

    g_mutex_lock(&m->lock);
    for (guint i = 0; i < rec->modules->len; i++) {
        SaveVMModule *mod = &g_array_index(rec->modules, SaveVMModule, i);

        if (mod->complete_ns > 0) {
            mig_switchover_module(&out->so, mod->idstr, mod->complete_ns);
            mig_predictor_module_completed(m->predictor, mod->idstr,
                                           mod->instance, mod->complete_bytes,
                                           mod->complete_ns);
        }
        bytes = sat_add_u64(bytes, mod->complete_bytes);
    }
    /* When this PING is answered the destination has loaded all of it. */
    out->rp.blackout = (MigBurst) {
        .bytes = bytes, .start_ns = begun_ns, .ping_ns = clock_now_ns(m->clock),
    };
    g_mutex_unlock(&m->lock);
}

/*
 * What the last query has shown, with the guest stopped: first data that the
 * destination does not have cannot be waited for any more.
 */
static bool check_last_query(MigOut *out, Error **errp)
{
    unsigned owed;

    if (!savevm_check_switchover(out->sv, errp)) {
        return false;
    }
    g_mutex_lock(&out->m->lock);
    owed = mig_acks_owed(&out->rp.acks);
    g_mutex_unlock(&out->m->lock);
    if (owed) {
        error_setg(errp, "%u acknowledgements came to be owed while the guest "
                   "was being stopped (switchover-ack)", owed);
        return false;
    }
    return true;
}

static bool send_modules(MigOut *out, Error **errp)
{
    int64_t begun;

    enter(out, MIG_PHASE_SYNC);
    mig_pending_query(out->m->pending, true);
    if (!check_last_query(out, errp)) {
        return false;
    }
    enter(out, MIG_PHASE_MODULES);
    if (out->postcopy) {
        savevm_set_postcopy(out->sv);
    }
    begun = clock_now_ns(out->m->clock);
    mig_stream_set_rate_limit(out->stream, 0);
    if (!savevm_send_switchover_start(out->sv, errp) ||
        !savevm_complete_live(out->sv, errp)) {
        return false;
    }
    account_modules(out, begun);
    return !out->rp.opened ||
           savevm_send_ping(out->sv, MIG_PING_MODULES, errp);
}

/* From here on the destination may take over. */
static bool let_go(MigOut *out, Error **errp)
{
    Migration *m = out->m;

    g_mutex_lock(&m->lock);
    if (out->cancelled || out->rp.ended) {
        g_mutex_unlock(&m->lock);
        error_setg(errp, "stopped");
        return false;
    }
    out->end_sent = true;
    out->sends_rest = out->postcopy;
    g_mutex_unlock(&m->lock);
    /* The disks are its, too. */
    holdings_give(m->vm);
    out->gave_holdings = true;
    return true;
}

static bool send_end(MigOut *out, Error **errp)
{
    return savevm_save_devices(out->sv, NULL, errp) &&
           (!out->rp.opened ||
            savevm_send_ping(out->sv, MIG_PING_STATES, errp)) &&
           let_go(out, errp) && savevm_write_end(out->sv, errp);
}

static bool send_package(MigOut *out, Error **errp)
{
    uint64_t before = mig_stream_offset(out->stream), discards;

    ram_put_discards(out->m->ram, out->sv);
    discards = mig_stream_offset(out->stream) - before;
    if (!savevm_make_package(out->sv, MIG_PING_STATES, MIG_PING_TAKEN, errp) ||
        !let_go(out, errp) || !savevm_send_package(out->sv, errp)) {
        return false;
    }
    trace_postcopy_package(mig_stream_offset(out->stream) - before - discards,
                           discards);
    return true;
}

static bool send_states(MigOut *out, Error **errp)
{
    enter(out, MIG_PHASE_DEVICE_STATES);
    if (!(out->postcopy ? send_package(out, errp) : send_end(out, errp))) {
        return false;
    }
    enter(out, out->rp.opened ? MIG_PHASE_LOAD : MIG_PHASE_DONE);
    return true;
}

/* ---- the destination's word ---- */

/* A cancel that came this late: it has taken over, or gives up within time. */
static void wait_for_late_cancel(MigOut *out)
{
    int64_t deadline = clock_now_ns(out->m->clock) + LATE_CANCEL_NS;

    while (!out->rp.ended && outgoing_wait(out, deadline)) {
    }
}

static bool wait_for_take_over(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    bool taken;

    g_mutex_lock(&m->lock);
    while (!out->rp.ended && !out->cancelled) {
        g_cond_wait(&m->changed, &m->lock);
    }
    if (!out->rp.ended) {
        wait_for_late_cancel(out);
    }
    taken = out->rp.taken_over;
    g_mutex_unlock(&m->lock);
    if (!taken) {
        error_setg(errp, "the destination did not say that it had taken over");
    }
    return taken;
}

bool outgoing_close_channel(MigOut *out, Error **errp)
{
    if (!io_channel_close(out->ch, errp)) {
        error_prepend(errp, "ending the migration: ");
        return false;
    }
    return true;
}

/* What came from the other side closes the last two phases. */
static void account_other_side(MigOut *out)
{
    MigReturn *rp = &out->rp;

    enter_at(out, MIG_PHASE_START, rp->states_loaded_ns);
    enter_at(out, MIG_PHASE_DONE, rp->taken_over_ns);
}

static int64_t part_ns(const MigSwitchover *so, const char *name)
{
    for (unsigned i = 0; i < so->num_parts; i++) {
        if (strcmp(so->parts[i].name, name) == 0) {
            return so->parts[i].ns;
        }
    }
    return 0;
}

/* The next attempt knows what this one has cost. */
static void learn(MigOut *out)
{
    MigPredictor *p = out->m->predictor;
    const MigSwitchover *so = &out->so;
    MigReturn *rp = &out->rp;
    int64_t end_ns = so->start_ns + so->total_ns;
    int64_t states_sent = end_ns - part_ns(so, "destination load") -
                          part_ns(so, "destination start");

    mig_predictor_fixed(p, MIG_FIXED_STOP, part_ns(so, "stop vCPUs"),
                        end_ns);
    mig_predictor_fixed(p, MIG_FIXED_DEVICE_STATES,
                        part_ns(so, "device states"), end_ns);
    if (rp->taken_over) {
        mig_predictor_accepted(p, &rp->blackout, rp->modules_loaded_ns);
        mig_predictor_fixed(p, MIG_FIXED_LOAD, rp->states_loaded_ns -
                            MAX(states_sent, rp->modules_loaded_ns), end_ns);
        mig_predictor_fixed(p, MIG_FIXED_START,
                            part_ns(so, "destination start"), end_ns);
    }
}

static void report(MigOut *out)
{
    g_autofree char *text = mig_switchover_text(&out->so);

    trace_migration_blackout(out->so.total_ns, out->so.predicted_ns, text);
}

/* ---- all of it ---- */

/* Big lock held; on error still, and the guest is stopped. */
static bool stop_and_send(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    MigrationStatus from = MIGRATION_STATUS_ACTIVE;

    if (!stop_guest(out, errp)) {
        return false;
    }
    if (out->caps[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER]) {
        from = MIGRATION_STATUS_PRE_SWITCHOVER;
        if (!wait_for_continue(out, errp)) {
            return false;
        }
    }
    if (!migration_set(m, &m->out_status, from,
                       out->postcopy ? MIGRATION_STATUS_POSTCOPY_DEVICE
                                     : MIGRATION_STATUS_DEVICE)) {
        error_setg(errp, "cancelled");
        return false;
    }
    return send_modules(out, errp) && send_states(out, errp);
}

void outgoing_switched_over(MigOut *out)
{
    account_other_side(out);
    learn(out);
    report(out);
}

/* What leaves from now on is the running guest's. */
static void begin_postcopy(MigOut *out)
{
    MigStreamCounters counters;

    outgoing_sent(out, &counters);
    g_mutex_lock(&out->m->lock);
    out->switched_bytes = counters.sent_bytes;
    g_mutex_unlock(&out->m->lock);
}

bool outgoing_switch_over(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    bool ok;

    g_mutex_lock(&m->lock);
    out->postcopy = out->loop.terms.postcopy;
    g_mutex_unlock(&m->lock);
    if (out->postcopy && !outgoing_urgent_check(out, errp)) {
        return false;
    }
    vm_lock(m->vm);
    begin_blackout(out);
    ok = stop_and_send(out, errp);
    vm_unlock(m->vm);
    if (!ok) {
        return false;
    }
    if (out->postcopy) {
        begin_postcopy(out);
        return outgoing_postcopy(out, errp);
    }
    savevm_write_description(out->sv, NULL);
    if (out->rp.opened) {
        if (!wait_for_take_over(out, errp)) {
            return false;
        }
        outgoing_switched_over(out);
        return true;
    }
    if (!outgoing_close_channel(out, errp)) {
        return false;
    }
    learn(out);
    report(out);
    return true;
}
