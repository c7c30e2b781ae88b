/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the loop (iterate.c) does in a real migration: the stream, the modules,
 * waits on Migration.changed, events, the throttle. Outgoing thread; locks:
 * migration-int.h.
 */
#include "migration/migration-int.h"
#include "qapi/qapi-events-migration.h"
#include "system/cpu.h"
#include "system/runstate.h"
#include "trace/trace-migration.h"

void outgoing_sent(MigOut *out, MigStreamCounters *counters)
{
    MigStreamCounters sent = out->former, more = { 0 };

    if (out->stream) {
        mig_stream_counters(out->stream, &more);
        sent.sent_bytes += more.sent_bytes;
        sent.send_ns += more.send_ns;
    }
    outgoing_urgent_counters(out->urgent, &more);
    sent.sent_bytes += more.sent_bytes;
    sent.send_ns += more.send_ns;
    /* Which may be out->former. */
    *counters = sent;
}

/*
 * Waiting for a CPU is not sending: in the blackout the harts leave theirs to
 * this thread.
 */
void outgoing_counters(MigOut *out, MigStreamCounters *counters)
{
    uint64_t delayed = __atomic_load_n(&out->delayed_ns, __ATOMIC_RELAXED);

    outgoing_sent(out, counters);
    counters->send_ns = sat_sub_u64(counters->send_ns, delayed);
}

static void loop_counters(void *opaque, MigStreamCounters *counters)
{
    outgoing_counters(opaque, counters);
}

static void loop_query(void *opaque, bool exact, GArray *modules)
{
    MigOut *out = opaque;
    MigStreamCounters counters;
    RamStats ram;

    savevm_query_pending(out->sv, exact, modules);
    outgoing_sent(out, &counters);
    ram_get_stats(out->m->ram, &ram);
    mig_stats_sample(&out->stats, clock_now_ns(out->m->clock),
                     counters.sent_bytes, ram.normal_pages + ram.zero_pages);
}

static MigIterate loop_iterate(void *opaque, Error **errp)
{
    MigOut *out = opaque;
    MigIterate res = savevm_iterate(out->sv, errp);

    __atomic_store_n(&out->delayed_ns, savevm_delayed_ns(out->sv),
                     __ATOMIC_RELAXED);
    return res;
}

static bool loop_turn_ended(void *opaque)
{
    MigOut *out = opaque;

    return savevm_turn_ended(out->sv);
}

static int64_t loop_rate_wait(void *opaque)
{
    MigOut *out = opaque;

    return mig_stream_rate_wait_ns(out->stream);
}

static void loop_wait(void *opaque, int64_t ns)
{
    MigOut *out = opaque;
    Migration *m = out->m;
    int64_t deadline = clock_now_ns(m->clock) + ns;
    uint64_t kicks;

    g_mutex_lock(&m->lock);
    kicks = m->kicks;
    while (kicks == m->kicks && !outgoing_is_stopped(out) &&
           outgoing_wait(out, deadline)) {
    }
    g_mutex_unlock(&m->lock);
}

static bool loop_stopped(void *opaque)
{
    return outgoing_stopped(opaque);
}

static void loop_terms(void *opaque, MigSwitchoverTerms *terms)
{
    MigOut *out = opaque;
    Migration *m = out->m;

    g_mutex_lock(&m->lock);
    *terms = (MigSwitchoverTerms) {
        .downtime_limit_ms = m->options.params[MIG_PARAM_DOWNTIME_LIMIT],
        .avail_bandwidth_bps =
            m->options.params[MIG_PARAM_AVAIL_SWITCHOVER_BANDWIDTH],
        .acks_owed = mig_acks_owed(&out->rp.acks),
        .guest_stopped = !runstate_is_running(m->vm),
        .postcopy = out->start_postcopy,
    };
    g_mutex_unlock(&m->lock);
}

/* Slows the guest down if it outruns the wire: a period has passed. */
static void throttle(MigOut *out)
{
    MigOptions options;
    unsigned percent;
    RamStats ram;

    if (!out->caps[MIGRATION_CAPABILITY_AUTO_CONVERGE]) {
        return;
    }
    ram_get_stats(out->m->ram, &ram);
    if (ram.period_ns == out->throttle_period_ns) {
        return;
    }
    out->throttle_period_ns = ram.period_ns;
    g_mutex_lock(&out->m->lock);
    options = out->m->options;
    g_mutex_unlock(&out->m->lock);
    percent = mig_throttle_update(&out->throttle, &options,
                                  ram.period_dirty_bytes,
                                  ram.period_sent_bytes);
    trace_migration_throttle(ram.period_dirty_bytes, ram.period_sent_bytes,
                             percent);
    cpus_set_throttle(out->m->vm, percent);
}

static void loop_pass_begun(void *opaque, uint64_t pass)
{
    MigOut *out = opaque;

    if (out->caps[MIGRATION_CAPABILITY_EVENTS]) {
        qapi_event_send_migration_pass(out->m->vm, pass);
    }
    throttle(out);
}

static bool loop_burst_ended(void *opaque, const MigBurst *burst)
{
    MigOut *out = opaque;
    bool sent;

    if (out->multifd && !multifd_send_is_settled(out->multifd)) {
        /* The answer would come before what has been sent. */
        return false;
    }
    /* An error stays in the stream, and the next write finds it. */
    return return_path_ping(out, burst, &sent, NULL) && sent;
}

const MigLoopOps outgoing_loop_ops = {
    .query = loop_query,
    .iterate = loop_iterate,
    .turn_ended = loop_turn_ended,
    .counters = loop_counters,
    .rate_wait_ns = loop_rate_wait,
    .wait = loop_wait,
    .stopped = loop_stopped,
    .terms = loop_terms,
    .burst_ended = loop_burst_ended,
    .pass_begun = loop_pass_begun,
};
