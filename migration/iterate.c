/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop. Entered by the migration thread only (mig_loop_pass() by any); no
 * lock, no system call of its own.
 */
#include "migration/iterate.h"
#include "migration/rate.h"
#include "trace/trace-migration.h"

/*
 * So many passes in a row that each took less than that, and none of which led
 * to the switchover, and the loop takes a breath: a guest that dirties a page
 * as fast as it can be asked for must not burn a core.
 */
#define SHORT_PASSES_MAX 8
#define SHORT_PASS_NS (10 * INT64_C(1000000))

/* So long a burst is worth an answer of its own. */
#define BURST_NS (50 * INT64_C(1000000))

/* What one module has of a burst's bytes. */
typedef struct BurstShare {
    const char *idstr;
    uint32_t instance;
    uint64_t bytes;
} BurstShare;

/*
 * An iterate that puts out less for each module has sent headers, and hardly
 * anything in them: whoever says that there is more is asked at this pace.
 */
#define NOTHING_BYTES 64
#define NOTHING_NS INT64_C(1000000)

void mig_loop_init(MigLoop *loop, const MigLoopOps *ops, void *opaque,
                   Clock *clock, MigPending *pending, MigPredictor *predictor)
{
    MigStreamCounters counters;

    *loop = (MigLoop) {
        .ops = ops, .opaque = opaque, .clock = clock, .pending = pending,
        .predictor = predictor,
        /* No pass has ended yet, so this one may end at once. */
        .waited = true,
    };
    loop->before = g_array_new(FALSE, FALSE, sizeof(SaveVMModule));
    loop->burst_of = g_array_new(FALSE, FALSE, sizeof(BurstShare));
    ops->counters(opaque, &counters);
    loop->counters = counters;
    loop->sent_at_pass = counters.sent_bytes;
    loop->pass_begun_ns = clock_now_ns(clock);
    loop->synced_ns = mig_pending_query(pending, false)->synced_ns;
    __atomic_store_n(&loop->pass, 1, __ATOMIC_RELEASE);
}

void mig_loop_clear(MigLoop *loop)
{
    g_clear_pointer(&loop->before, g_array_unref);
    g_clear_pointer(&loop->burst_of, g_array_unref);
}

uint64_t mig_loop_pass(const MigLoop *loop)
{
    return __atomic_load_n(&loop->pass, __ATOMIC_ACQUIRE);
}

/* ---- what the numbers teach ---- */

/* The same module in the last query, if it was there. */
static const SaveVMModule *find_before(MigLoop *loop, guint i,
                                       const SaveVMModule *now)
{
    const SaveVMModule *m;

    if (i >= loop->before->len) {
        return NULL;
    }
    m = &g_array_index(loop->before, SaveVMModule, i);
    return m->idstr == now->idstr && m->instance == now->instance ? m : NULL;
}

/* Bytes of a module are part of the burst. */
static void grow_burst(MigLoop *loop, const SaveVMModule *m, uint64_t bytes)
{
    BurstShare fresh = { m->idstr, m->instance, 0 };
    BurstShare *share = NULL;

    for (guint i = 0; i < loop->burst_of->len && !share; i++) {
        BurstShare *s = &g_array_index(loop->burst_of, BurstShare, i);

        share = s->idstr == m->idstr && s->instance == m->instance ? s : NULL;
    }
    if (!share) {
        g_array_append_val(loop->burst_of, fresh);
        share = &g_array_index(loop->burst_of, BurstShare,
                               loop->burst_of->len - 1);
    }
    share->bytes = sat_add_u64(share->bytes, bytes);
    loop->burst.bytes = sat_add_u64(loop->burst.bytes, bytes);
}

/*
 * Whose burst it is, which may change while it grows: nobody's, if less than
 * three quarters are one's.
 */
static void name_burst(MigLoop *loop)
{
    loop->burst.idstr = NULL;
    loop->burst.instance = 0;
    for (guint i = 0; i < loop->burst_of->len; i++) {
        BurstShare *share = &g_array_index(loop->burst_of, BurstShare, i);

        if (share->bytes >= loop->burst.bytes / 4 * 3) {
            loop->burst.idstr = share->idstr;
            loop->burst.instance = share->instance;
        }
    }
}

/* What a module has sent since the last query. */
static uint64_t module_left(const SaveVMModule *then, const SaveVMModule *now)
{
    return then ? sat_sub_u64(then->pending.total_bytes,
                              now->pending.total_bytes)
                : 0;
}

/* @sent_ns: of sending, if nearly all that was sent is the module's; or 0. */
static void learn_module(MigLoop *loop, const SaveVMModule *then,
                         const SaveVMModule *now, int64_t sent_ns,
                         uint64_t sent_bytes, int64_t now_ns)
{
    int64_t ns = now->iterate_ns - then->iterate_ns;

    mig_predictor_module_iterated(loop->predictor, now->idstr, now->instance,
                                  module_left(then, now), ns, ns - sent_ns,
                                  now_ns);
    mig_predictor_module_sent(loop->predictor, now->idstr, now->instance,
                              sent_bytes, sent_ns, now_ns);
}

/* Between two fast queries nothing but iterate changes what is left. */
static void learn_rates(MigLoop *loop, const MigRecord *rec,
                        const MigStreamCounters *counters)
{
    uint64_t all_left = 0;

    for (guint i = 0; i < rec->modules->len; i++) {
        const SaveVMModule *now = &g_array_index(rec->modules, SaveVMModule,
                                                 i);
        uint64_t left = module_left(find_before(loop, i, now), now);

        all_left = sat_add_u64(all_left, left);
        grow_burst(loop, now, left);
    }
    name_burst(loop);
    for (guint i = 0; i < rec->modules->len; i++) {
        const SaveVMModule *now = &g_array_index(rec->modules, SaveVMModule,
                                                 i);
        const SaveVMModule *then = find_before(loop, i, now);
        bool most = module_left(then, now) > all_left / 4 * 3;

        if (then) {
            learn_module(loop, then, now,
                         most ? counters->send_ns - loop->counters.send_ns : 0,
                         counters->sent_bytes - loop->counters.sent_bytes,
                         rec->time_ns);
        }
    }
}

/* What an exact query has found that the fast one before it did not know. */
static void learn_dirtied(MigLoop *loop, const MigRecord *rec)
{
    for (guint i = 0; i < rec->modules->len; i++) {
        const SaveVMModule *now = &g_array_index(rec->modules, SaveVMModule,
                                                 i);
        const SaveVMModule *then = find_before(loop, i, now);

        if (then) {
            mig_predictor_module_dirtied(
                loop->predictor, now->idstr, now->instance,
                sat_sub_u64(now->pending.total_bytes,
                            then->pending.total_bytes),
                rec->synced_ns - loop->synced_ns);
        }
    }
    loop->synced_ns = rec->synced_ns;
}

static void forget_burst(MigLoop *loop)
{
    loop->burst = (MigBurst) { 0 };
    g_array_set_size(loop->burst_of, 0);
}

static bool report_burst(MigLoop *loop)
{
    if (loop->burst.bytes == 0 || !loop->ops->burst_ended) {
        return false;
    }
    return loop->ops->burst_ended(loop->opaque, &loop->burst);
}

/* A pause comes: what was sent after it is another burst. */
static void end_burst(MigLoop *loop)
{
    report_burst(loop);
    forget_burst(loop);
    loop->flowing = (MigBurst) { 0 };
}

/*
 * What a sender's first bytes wait for, until both sides are at work, is not
 * part of its rate: they are a piece of their own, and the next one's time
 * begins when they have arrived.
 */
static bool burst_leads_in(const MigLoop *loop)
{
    return loop->burst.idstr != loop->flowing.idstr ||
           loop->burst.instance != loop->flowing.instance;
}

/*
 * A long one is reported in pieces. One that is long enough ends where the next
 * bytes may be another module's.
 */
static void cut_burst(MigLoop *loop)
{
    bool enough = loop->burst.bytes >= MIG_BURST_MIN_BYTES;

    if ((clock_now_ns(loop->clock) - loop->burst.start_ns >= BURST_NS ||
         (enough && (loop->ops->turn_ended(loop->opaque) ||
                     burst_leads_in(loop)))) && report_burst(loop)) {
        loop->flowing = loop->burst;
        forget_burst(loop);
    }
}

static const MigRecord *query(MigLoop *loop, bool exact)
{
    const MigRecord *rec = mig_pending_query(loop->pending, exact);
    MigStreamCounters counters;

    loop->ops->counters(loop->opaque, &counters);
    if (exact) {
        learn_dirtied(loop, rec);
    } else if (loop->iterated) {
        learn_rates(loop, rec, &counters);
    }
    loop->counters = counters;
    loop->iterated = false;
    g_array_set_size(loop->before, 0);
    if (rec->modules->len) {
        g_array_append_vals(loop->before, rec->modules->data,
                            rec->modules->len);
    }
    if (exact) {
        mig_predictor_fixed(loop->predictor, MIG_FIXED_SYNC, rec->query_ns,
                            rec->time_ns);
    }
    mig_predictor_sent(loop->predictor, rec->time_ns, &counters, false);
    if (!exact) {
        cut_burst(loop);
    }
    return rec;
}

/* ---- decisions ---- */

static bool same_terms(const MigSwitchoverTerms *a,
                       const MigSwitchoverTerms *b)
{
    return a->downtime_limit_ms == b->downtime_limit_ms &&
           a->avail_bandwidth_bps == b->avail_bandwidth_bps &&
           a->acks_owed == b->acks_owed && a->pause_asked == b->pause_asked &&
           a->guest_stopped == b->guest_stopped && a->postcopy == b->postcopy;
}

/* The one test: for the slow query, and for the switchover. */
static bool may_switch_over(MigLoop *loop, const MigRecord *rec,
                            MigForecast *f)
{
    MigSwitchoverTerms terms;
    MigRecord view = *rec;
    bool may;

    loop->ops->terms(loop->opaque, &terms);
    if (!same_terms(&terms, &loop->terms)) {
        /* What did not help before may help now. */
        loop->terms = terms;
        loop->short_passes = 0;
    }
    /* By the record alone: an exact one has nothing that is not known. */
    view.postcopy = terms.postcopy;
    mig_predictor_forecast(loop->predictor,
                           rec->exact ? rec->synced_ns : rec->time_ns, &view,
                           terms.avail_bandwidth_bps, f);
    may = mig_forecast_may_switch_over(f, &terms);
    trace_migration_decide(rec->exact, rec->total.total_bytes,
                           f->bandwidth_bps,
                           mig_forecast_ms(f, terms.downtime_limit_ms),
                           terms.downtime_limit_ms, terms.acks_owed, may);
    return may;
}

static bool sent_since_pass(MigLoop *loop)
{
    MigStreamCounters counters;

    loop->ops->counters(loop->opaque, &counters);
    return counters.sent_bytes > loop->sent_at_pass;
}

/*
 * How long the pass that is worth ending has to wait. @may: it could lead to
 * the switchover; else no data that can be sent now stands in the way, and
 * asking again soon would give the same answer.
 */
static int64_t stall_ns(MigLoop *loop, bool may)
{
    int64_t passed = clock_now_ns(loop->clock) - loop->pass_begun_ns;

    if (loop->waited) {
        return 0;
    }
    if (may && sent_since_pass(loop) &&
        loop->short_passes < SHORT_PASSES_MAX) {
        return 0;
    }
    if (!may && sent_since_pass(loop)) {
        return MAX(MIG_STALL_NS - passed, 0);
    }
    return MIG_STALL_NS;
}

/*
 * Whether a pass that could be ended should rather send more. Not if what it
 * could send may as well go after the switchover.
 */
static bool linger(MigLoop *loop)
{
    int64_t now = clock_now_ns(loop->clock);

    if (loop->terms.postcopy) {
        return false;
    }
    if (loop->linger_end_ns == 0) {
        loop->linger_end_ns = now + MIG_LINGER_NS;
    }
    return now < loop->linger_end_ns;
}

/* ---- steps ---- */

static MigStep wait_for(MigLoop *loop, int64_t ns)
{
    MigStreamCounters counters;

    end_burst(loop);
    loop->ops->counters(loop->opaque, &counters);
    mig_predictor_sent(loop->predictor, clock_now_ns(loop->clock), &counters,
                       true);
    trace_migration_wait(ns);
    loop->ops->wait(loop->opaque, ns);
    return MIG_STEP_WAITED;
}

static MigStep iterate(MigLoop *loop, Error **errp)
{
    int64_t wait_ns = loop->ops->rate_wait_ns(loop->opaque);
    MigStreamCounters before, after;
    MigIterate res;

    if (wait_ns > 0) {
        return wait_for(loop, wait_ns);
    }
    if (loop->burst.bytes == 0) {
        loop->burst.start_ns = clock_now_ns(loop->clock);
    }
    loop->ops->counters(loop->opaque, &before);
    res = loop->ops->iterate(loop->opaque, errp);
    loop->ops->counters(loop->opaque, &after);
    if (res == MIG_ITERATE_ERROR) {
        return MIG_STEP_ERROR;
    }
    loop->iterated = true;
    loop->no_more = res == MIG_ITERATE_DONE;
    if (res == MIG_ITERATE_MORE &&
        after.sent_bytes - before.sent_bytes <
        NOTHING_BYTES * MAX(loop->before->len, 1)) {
        return wait_for(loop, NOTHING_NS);
    }
    return MIG_STEP_ITERATED;
}

static MigStep end_pass(MigLoop *loop)
{
    int64_t passed = clock_now_ns(loop->clock) - loop->pass_begun_ns;
    uint64_t pass = mig_loop_pass(loop) + 1;
    MigStreamCounters counters;
    const MigRecord *rec;

    end_burst(loop);
    rec = query(loop, true);
    __atomic_store_n(&loop->pass, pass, __ATOMIC_RELEASE);
    loop->ops->pass_begun(loop->opaque, pass);
    trace_migration_pass(pass, rec->total.total_bytes, rec->query_ns);

    loop->short_passes = passed < SHORT_PASS_NS ? loop->short_passes + 1 : 0;
    loop->pass_begun_ns = clock_now_ns(loop->clock);
    loop->waited = loop->no_more = false;
    loop->linger_end_ns = 0;
    loop->ops->counters(loop->opaque, &counters);
    loop->sent_at_pass = counters.sent_bytes;
    return may_switch_over(loop, rec, &loop->forecast) ? MIG_STEP_SWITCHOVER
                                                       : MIG_STEP_PASS_ENDED;
}

MigStep mig_loop_step(MigLoop *loop, Error **errp)
{
    const MigRecord *rec;
    bool may, nothing_left;
    MigForecast f;
    int64_t ns;

    if (loop->ops->stopped(loop->opaque)) {
        return MIG_STEP_STOPPED;
    }
    rec = query(loop, false);
    may = may_switch_over(loop, rec, &f);
    nothing_left = loop->no_more || (rec->total.precopy_bytes == 0 &&
                                     rec->total.postcopy_bytes == 0);
    if (!nothing_left && (!may || linger(loop))) {
        return iterate(loop, errp);
    }
    ns = stall_ns(loop, may);
    if (ns > 0) {
        loop->waited = true;
        loop->short_passes = 0;
        return wait_for(loop, ns);
    }
    return end_pass(loop);
}

MigStep mig_loop_run(MigLoop *loop, Error **errp)
{
    MigStep step;

    do {
        step = mig_loop_step(loop, errp);
    } while (step != MIG_STEP_SWITCHOVER && step != MIG_STEP_STOPPED &&
             step != MIG_STEP_ERROR);
    return step;
}
