/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Predicting the downtime. Entered by the migration thread, the return path's
 * (answers to PINGs) and the monitor's (expected-downtime). Owns
 * MigPredictor.lock, a leaf.
 */
#include <string.h>

#include "migration/predict.h"
#include "migration/rate.h"
#include "trace/trace-migration.h"
#include "util/checked.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MS 1000000
#define NS_PER_US 1000

/* When the first estimate of the bandwidth is out: whichever is first. */
#define FIRST_ESTIMATE_BYTES (256 * UINT64_C(1024))
#define FIRST_ESTIMATE_NS (100 * INT64_C(1000000))

/* A cost measured so long after the last time counts as much as all before. */
#define FIXED_HALF_NS NS_PER_SEC

typedef struct ModuleRates {
    const char *idstr;
    uint32_t instance;
    MigRuns live;               /* while the guest runs */
    MigMeasured own;            /* likewise, but for the waits for the wire */
    MigRuns wire;               /* likewise, over the time of sending alone */
    MigRate stopped;            /* in the blackout of an earlier attempt */
    MigAcceptance accepted;     /* bursts that were nearly all of it */
    uint64_t dirtied_bytes;     /* between the last two exact queries, */
    int64_t dirtied_ns;         /* ... and the time between them; 0: unknown */
} ModuleRates;

struct MigPredictor {
    GMutex lock;
    /* Under lock */
    MigMeasured sent;
    MigStreamCounters counters; /* as far as they are in it */
    uint64_t seen_bytes;        /* counters.sent_bytes last heard of */
    bool started;               /* a byte has left, at: */
    int64_t first_byte_ns;
    int64_t last_byte_ns;       /* when it was last seen that one had left */
    MigAcceptance accepted;     /* of all bursts */
    int64_t answered_ns;        /* when the last burst was; 0: none */
    int64_t under_way_ns;       /* how long its last byte had been, then */
    int64_t round_trip_ns;      /* 0: not known */
    bool fixed_known[MIG_FIXED__MAX];
    int64_t fixed_ns[MIG_FIXED__MAX];
    int64_t fixed_at_ns[MIG_FIXED__MAX];    /* when last measured */
    GArray *modules;            /* of ModuleRates */
};

/* ---- rates ---- */

static MigNs time_for(uint64_t bytes, uint64_t bps)
{
    return ((MigNs)bytes * NS_PER_SEC + bps - 1) / bps;
}

/* ---- life ---- */

MigPredictor *mig_predictor_new(void)
{
    MigPredictor *p = g_new0(MigPredictor, 1);

    g_mutex_init(&p->lock);
    p->modules = g_array_new(FALSE, TRUE, sizeof(ModuleRates));
    return p;
}

void mig_predictor_free(MigPredictor *p)
{
    if (p) {
        g_array_unref(p->modules);
        g_mutex_clear(&p->lock);
        g_free(p);
    }
}

void mig_predictor_begin(MigPredictor *p)
{
    g_mutex_lock(&p->lock);
    p->sent = (MigMeasured) { 0 };
    p->seen_bytes = 0;
    p->accepted.count = 0;
    p->counters = (MigStreamCounters) { 0 };
    p->started = false;
    p->answered_ns = p->under_way_ns = p->round_trip_ns = 0;
    for (guint i = 0; i < p->modules->len; i++) {
        ModuleRates *m = &g_array_index(p->modules, ModuleRates, i);

        m->live = m->wire = (MigRuns) { 0 };
        m->own = (MigMeasured) { 0 };
        m->accepted.count = 0;
        m->dirtied_ns = 0;
    }
    g_mutex_unlock(&p->lock);
}

/* ---- learning ---- */

void mig_predictor_sent(MigPredictor *p, int64_t now_ns,
                        const MigStreamCounters *counters, bool pause)
{
    uint64_t bytes;

    g_mutex_lock(&p->lock);
    if (counters->sent_bytes > p->seen_bytes) {
        if (!p->started) {
            p->started = true;
            p->first_byte_ns = now_ns;
        }
        p->last_byte_ns = now_ns;
        p->seen_bytes = counters->sent_bytes;
    }
    /* A window grows until it says something, or a pause ends it. */
    bytes = sat_sub_u64(counters->sent_bytes, p->counters.sent_bytes);
    if (bytes >= MIG_WINDOW_MIN_BYTES || (bytes && pause)) {
        mig_measured_add(&p->sent, bytes,
                     sat_sub_u64(counters->send_ns, p->counters.send_ns));
        p->counters.sent_bytes = counters->sent_bytes;
        p->counters.send_ns = MAX(p->counters.send_ns, counters->send_ns);
    }
    g_mutex_unlock(&p->lock);
}

static ModuleRates *find_module(MigPredictor *p, const char *idstr,
                                uint32_t instance)
{
    for (guint i = 0; i < p->modules->len; i++) {
        ModuleRates *m = &g_array_index(p->modules, ModuleRates, i);

        if (m->instance == instance && strcmp(m->idstr, idstr) == 0) {
            return m;
        }
    }
    return NULL;
}

static ModuleRates *get_module(MigPredictor *p, const char *idstr,
                               uint32_t instance)
{
    ModuleRates *m = find_module(p, idstr, instance);
    /* A module may go, and its name with it; what was learned stays. */
    ModuleRates fresh = {
        .idstr = g_intern_string(idstr), .instance = instance,
    };

    if (!m) {
        g_array_append_val(p->modules, fresh);
        m = &g_array_index(p->modules, ModuleRates, p->modules->len - 1);
    }
    return m;
}

void mig_predictor_module_iterated(MigPredictor *p, const char *idstr,
                                   uint32_t instance, uint64_t bytes,
                                   int64_t ns, int64_t own_ns, int64_t now_ns)
{
    ModuleRates *m;

    if (bytes == 0 || ns <= 0) {
        return;
    }
    g_mutex_lock(&p->lock);
    m = get_module(p, idstr, instance);
    mig_runs_add(&m->live, bytes, ns, now_ns);
    mig_measured_add(&m->own, bytes, CLAMP(own_ns, 1, ns));
    g_mutex_unlock(&p->lock);
}

void mig_predictor_module_sent(MigPredictor *p, const char *idstr,
                               uint32_t instance, uint64_t bytes, int64_t ns,
                               int64_t now_ns)
{
    if (bytes == 0 || ns <= 0) {
        return;
    }
    g_mutex_lock(&p->lock);
    mig_runs_add(&get_module(p, idstr, instance)->wire, bytes, ns, now_ns);
    g_mutex_unlock(&p->lock);
}

void mig_predictor_module_dirtied(MigPredictor *p, const char *idstr,
                                  uint32_t instance, uint64_t bytes,
                                  int64_t ns)
{
    ModuleRates *m;

    if (ns <= 0) {
        return;
    }
    g_mutex_lock(&p->lock);
    m = get_module(p, idstr, instance);
    m->dirtied_bytes = bytes;
    m->dirtied_ns = ns;
    g_mutex_unlock(&p->lock);
}

void mig_predictor_module_completed(MigPredictor *p, const char *idstr,
                                    uint32_t instance, uint64_t bytes,
                                    int64_t ns)
{
    if (bytes == 0 || ns <= 0) {
        return;
    }
    g_mutex_lock(&p->lock);
    mig_rate_add(&get_module(p, idstr, instance)->stopped, bytes, ns);
    g_mutex_unlock(&p->lock);
}

void mig_predictor_accepted(MigPredictor *p, const MigBurst *burst,
                            int64_t now_ns)
{
    int64_t ns;

    g_mutex_lock(&p->lock);
    /* It could not be taken in before what was sent before it. */
    ns = p->answered_ns > burst->start_ns
        ? now_ns - p->answered_ns
        : now_ns - burst->start_ns - p->round_trip_ns;
    if (burst->bytes >= MIG_BURST_MIN_BYTES && ns > 0) {
        mig_acceptance_add(&p->accepted, burst->bytes, ns);
        if (burst->idstr) {
            mig_acceptance_add(&get_module(p, burst->idstr,
                                           burst->instance)->accepted,
                               burst->bytes, ns);
        }
    }
    p->answered_ns = now_ns;
    p->under_way_ns = MAX(now_ns - burst->ping_ns - p->round_trip_ns, 0);
    trace_migration_accepted(burst->idstr ? burst->idstr : "several",
                             burst->bytes, ns, p->under_way_ns);
    g_mutex_unlock(&p->lock);
}

void mig_predictor_round_trip(MigPredictor *p, int64_t ns)
{
    g_mutex_lock(&p->lock);
    if (ns > 0 && (p->round_trip_ns == 0 || ns < p->round_trip_ns)) {
        p->round_trip_ns = ns;
    }
    g_mutex_unlock(&p->lock);
}

/*
 * What is measured twenty times a second is as good as its mean, and what was
 * measured once, before the last attempt, is of yesterday.
 */
void mig_predictor_fixed(MigPredictor *p, MigFixed what, int64_t ns,
                         int64_t now_ns)
{
    MigNs since;

    ns = MAX(ns, 0);
    g_mutex_lock(&p->lock);
    if (p->fixed_known[what]) {
        since = MAX(now_ns - p->fixed_at_ns[what], 0);
        ns = (int64_t)(((MigNs)p->fixed_ns[what] * FIXED_HALF_NS +
                        (MigNs)ns * since) / (FIXED_HALF_NS + since));
    }
    p->fixed_known[what] = true;
    p->fixed_ns[what] = ns;
    p->fixed_at_ns[what] = now_ns;
    g_mutex_unlock(&p->lock);
}

/* ---- asking ---- */

/* While the guest runs: where no run was long enough, at least its own pace. */
static bool live_rate(const ModuleRates *m, uint64_t *bps)
{
    return mig_runs_get(&m->live, bps) || mig_measured_get(&m->own, bps);
}

/*
 * What one module sends may leave more slowly than what another does, because
 * the other side has more work with it: what counts is whose bytes are left.
 * @all_bps: where that is not known. Lock held.
 */
static uint64_t bandwidth_for(MigPredictor *p, const MigRecord *rec,
                              uint64_t all_bps)
{
    MigNs ns = 0;
    uint64_t sum = 0;

    for (guint i = 0; rec->modules && i < rec->modules->len; i++) {
        const SaveVMModule *m = &g_array_index(rec->modules, SaveVMModule, i);
        const ModuleRates *r = find_module(p, m->idstr, m->instance);
        uint64_t bps = r ? mig_runs_get_near(&r->wire, all_bps) : all_bps;

        sum = sat_add_u64(sum, m->pending.total_bytes);
        ns += time_for(m->pending.total_bytes, bps);
    }
    return sum ? MAX((uint64_t)MIN((MigNs)sum * NS_PER_SEC / ns, UINT64_MAX), 1)
               : all_bps;
}

/* Lock held. */
static bool bandwidth(MigPredictor *p, int64_t now_ns, uint64_t avail_bps,
                      const MigRecord *rec, uint64_t *bps)
{
    if (avail_bps) {
        *bps = avail_bps;
        return true;
    }
    if (!p->started || (p->seen_bytes < FIRST_ESTIMATE_BYTES &&
                        now_ns - p->first_byte_ns < FIRST_ESTIMATE_NS) ||
        !mig_measured_get(&p->sent, bps)) {
        return false;
    }
    if (rec) {
        *bps = bandwidth_for(p, rec, *bps);
    }
    return true;
}

bool mig_predictor_bandwidth(MigPredictor *p, int64_t now_ns,
                             uint64_t avail_bps, const MigRecord *rec,
                             uint64_t *bps)
{
    bool known;

    g_mutex_lock(&p->lock);
    known = bandwidth(p, now_ns, avail_bps, rec, bps);
    g_mutex_unlock(&p->lock);
    return known;
}

/*
 * What has come up in @ns since the last exact query, by what came up before
 * it. A guest that writes to the same pages again adds nothing: so not more
 * than then, however long it is ago.
 */
static uint64_t not_known_yet(const ModuleRates *m, int64_t ns)
{
    if (m->dirtied_ns == 0 || ns <= 0) {
        return 0;
    }
    return sat_muldiv_u64(m->dirtied_bytes, MIN(ns, m->dirtied_ns),
                          m->dirtied_ns);
}

/* How long all that is left takes, by what is slower than the wire. */
typedef struct Transfer {
    uint64_t bytes;             /* with what is not known to be dirty yet */
    MigNs given_ns;             /* by the modules, one after the other */
    MigNs taken_ns;             /* by the other side, likewise */
} Transfer;

/* What has to go before the destination runs. */
static uint64_t bytes_before(const SaveVMModule *m, bool postcopy)
{
    return postcopy ? sat_add_u64(m->pending.precopy_bytes,
                                  m->pending.stopcopy_bytes)
                    : m->pending.total_bytes;
}

/*
 * Adds one module's bytes: at its own pace, or the wire's where that is not
 * known; and at the pace at which they, or if that is not known any bytes,
 * were taken in. Lock held.
 */
static void add_module(MigPredictor *p, const SaveVMModule *m, bool postcopy,
                       uint64_t wire_bps, int64_t since_sync_ns, Transfer *t)
{
    ModuleRates *r = find_module(p, m->idstr, m->instance);
    uint64_t live = wire_bps, stopped = wire_bps, taken = wire_bps;
    uint64_t later = postcopy ? m->pending.postcopy_bytes : 0;
    uint64_t bytes = bytes_before(m, postcopy), unknown = 0;

    mig_acceptance_get(&p->accepted, &taken);
    if (r) {
        live_rate(r, &live);
        if (!mig_rate_get(&r->stopped, &stopped)) {
            stopped = live;
        }
        mig_acceptance_get(&r->accepted, &taken);
        unknown = postcopy && m->postcopy
            ? 0 : not_known_yet(r, since_sync_ns);
    }
    bytes = sat_add_u64(bytes, unknown);
    t->bytes = sat_add_u64(t->bytes, bytes);
    t->given_ns += time_for(m->pending.precopy_bytes, live) +
                   time_for(m->pending.postcopy_bytes - later, live) +
                   time_for(unknown, live) +
                   time_for(m->pending.stopcopy_bytes, stopped);
    t->taken_ns += time_for(bytes, taken);
}

/* Lock held. */
static MigNs fixed_time(MigPredictor *p)
{
    int64_t other_side = p->fixed_ns[MIG_FIXED_LOAD] +
                         p->fixed_ns[MIG_FIXED_START];

    return (MigNs)p->fixed_ns[MIG_FIXED_STOP] + p->fixed_ns[MIG_FIXED_SYNC] +
           p->fixed_ns[MIG_FIXED_DEVICE_STATES] +
           MAX(other_side, p->round_trip_ns);
}

/* Lock held. */
static void forecast(MigPredictor *p, int64_t now_ns, const MigRecord *rec,
                     MigForecast *f)
{
    Transfer t = { 0 };

    f->wire_ns = time_for(rec->postcopy
                          ? sat_add_u64(rec->total.precopy_bytes,
                                        rec->total.stopcopy_bytes)
                          : rec->total.total_bytes, f->bandwidth_bps);
    for (guint i = 0; rec->modules && i < rec->modules->len; i++) {
        add_module(p, &g_array_index(rec->modules, SaveVMModule, i),
                   rec->postcopy, f->bandwidth_bps, now_ns - rec->synced_ns, &t);
    }
    f->transfer_ns = MAX(f->wire_ns, time_for(t.bytes, f->bandwidth_bps));
    f->transfer_ns = MAX(f->transfer_ns, MAX(t.given_ns, t.taken_ns));
    /* What has left must be taken in first. */
    f->transfer_ns += MAX(p->last_byte_ns + p->under_way_ns - now_ns, 0);
    f->fixed_ns = fixed_time(p);
    f->downtime_ns = f->transfer_ns + f->fixed_ns;
    trace_migration_forecast(f->bandwidth_bps,
                             (int64_t)(f->wire_ns / NS_PER_US),
                             (int64_t)(t.given_ns / NS_PER_US),
                             (int64_t)(t.taken_ns / NS_PER_US),
                             (int64_t)(f->fixed_ns / NS_PER_US));
}

void mig_predictor_forecast(MigPredictor *p, int64_t now_ns,
                            const MigRecord *rec, uint64_t avail_bps,
                            MigForecast *f)
{
    *f = (MigForecast) {
        .only_stopped = rec->valid && rec->total.precopy_bytes == 0 &&
                        rec->total.postcopy_bytes == 0,
    };
    g_mutex_lock(&p->lock);
    f->known = rec->valid && bandwidth(p, now_ns, avail_bps, rec,
                                       &f->bandwidth_bps);
    if (f->known) {
        forecast(p, now_ns, rec, f);
    }
    g_mutex_unlock(&p->lock);
}

int64_t mig_forecast_ms(const MigForecast *f, uint64_t downtime_limit_ms)
{
    MigNs ms = f->known ? (f->downtime_ns + NS_PER_MS - 1) / NS_PER_MS
                        : downtime_limit_ms;

    return ms > INT64_MAX ? INT64_MAX : (int64_t)ms;
}

bool mig_forecast_fits(const MigForecast *f, const MigSwitchoverTerms *terms)
{
    /*
     * The limit is for a guest that runs. One that stands still anyway would
     * wait for it for ever; what can be sent before the switchover still is,
     * at the pace that was asked for, and can be cancelled.
     */
    if (terms->guest_stopped && f->only_stopped) {
        return true;
    }
    return f->known &&
           f->downtime_ns <= (MigNs)terms->downtime_limit_ms * NS_PER_MS;
}

bool mig_forecast_may_switch_over(const MigForecast *f,
                                  const MigSwitchoverTerms *terms)
{
    return mig_forecast_fits(f, terms) && terms->acks_owed == 0 &&
           !terms->pause_asked;
}

bool mig_predictor_module_rate(MigPredictor *p, const char *idstr,
                               uint32_t instance, uint64_t *bps)
{
    ModuleRates *m;
    bool known;

    g_mutex_lock(&p->lock);
    m = find_module(p, idstr, instance);
    known = m && (mig_rate_get(&m->stopped, bps) || live_rate(m, bps));
    g_mutex_unlock(&p->lock);
    return known;
}
