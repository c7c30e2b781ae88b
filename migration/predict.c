/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Predicting the downtime. Entered by the migration thread, the return path's
 * (answers to PINGs) and the monitor's (expected-downtime). Owns
 * MigPredictor.lock, a leaf.
 */
#include <stdlib.h>
#include <string.h>

#include "migration/predict.h"
#include "trace/trace-migration.h"
#include "util/checked.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MS 1000000
#define NS_PER_US 1000

/* After so much measured time, what came before counts half. */
#define RATE_HALF_NS (NS_PER_SEC / 2)

/* When the first estimate of the bandwidth is out: whichever is first. */
#define FIRST_ESTIMATE_BYTES (256 * UINT64_C(1024))
#define FIRST_ESTIMATE_NS (100 * INT64_C(1000000))

/* A burst below this says more about scheduling than about the other side. */
#define BURST_MIN_BYTES (256 * UINT64_C(1024))

/* The rate of acceptance is the median of so many bursts: some are held up. */
#define BURSTS_KEPT 15

/* Bytes over time; the older, the less they count. */
typedef struct Rate {
    uint64_t bytes;
    uint64_t ns;
} Rate;

typedef struct ModuleRates {
    const char *idstr;
    uint32_t instance;
    Rate live;                  /* while the guest runs */
    Rate stopped;               /* in the blackout of an earlier attempt */
    uint64_t dirtied_bytes;     /* between the last two exact queries, */
    int64_t dirtied_ns;         /* ... and the time between them; 0: unknown */
} ModuleRates;

struct MigPredictor {
    GMutex lock;
    /* Under lock */
    Rate sent;
    MigStreamCounters counters; /* of the last mig_predictor_sent() */
    bool started;               /* a byte has left, at: */
    int64_t first_byte_ns;
    int64_t last_byte_ns;       /* when it was last seen that one had left */
    uint64_t accepted_bps[BURSTS_KEPT]; /* a ring: of the last bursts */
    unsigned num_accepted;      /* so far */
    int64_t answered_ns;        /* when the last burst was; 0: none */
    int64_t under_way_ns;       /* how long its last byte had been, then */
    int64_t round_trip_ns;      /* 0: not known */
    bool fixed_known[MIG_FIXED__MAX];
    int64_t fixed_ns[MIG_FIXED__MAX];
    GArray *modules;            /* of ModuleRates */
};

/* ---- rates ---- */

static void rate_add(Rate *r, uint64_t bytes, uint64_t ns)
{
    r->bytes = sat_add_u64(r->bytes, bytes);
    r->ns = sat_add_u64(r->ns, ns);
    while (r->ns > RATE_HALF_NS) {
        r->bytes /= 2;
        r->ns /= 2;
    }
}

static bool rate_get(const Rate *r, uint64_t *bps)
{
    if (r->bytes == 0) {
        return false;
    }
    *bps = MAX(sat_muldiv_u64(r->bytes, NS_PER_SEC, r->ns), 1);
    return true;
}

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
    p->sent = (Rate) { 0 };
    p->num_accepted = 0;
    p->counters = (MigStreamCounters) { 0 };
    p->started = false;
    p->answered_ns = p->under_way_ns = p->round_trip_ns = 0;
    for (guint i = 0; i < p->modules->len; i++) {
        ModuleRates *m = &g_array_index(p->modules, ModuleRates, i);

        m->live = (Rate) { 0 };
        m->dirtied_ns = 0;
    }
    g_mutex_unlock(&p->lock);
}

/* ---- learning ---- */

void mig_predictor_sent(MigPredictor *p, int64_t now_ns,
                        const MigStreamCounters *counters)
{
    g_mutex_lock(&p->lock);
    if (counters->sent_bytes > p->counters.sent_bytes) {
        if (!p->started) {
            p->started = true;
            p->first_byte_ns = now_ns;
        }
        rate_add(&p->sent, counters->sent_bytes - p->counters.sent_bytes,
                 sat_sub_u64(counters->send_ns, p->counters.send_ns));
        p->last_byte_ns = now_ns;
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
                                   int64_t ns)
{
    if (bytes == 0 || ns <= 0) {
        return;
    }
    g_mutex_lock(&p->lock);
    rate_add(&get_module(p, idstr, instance)->live, bytes, ns);
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
    rate_add(&get_module(p, idstr, instance)->stopped, bytes, ns);
    g_mutex_unlock(&p->lock);
}

void mig_predictor_accepted(MigPredictor *p, uint64_t bytes, int64_t start_ns,
                            int64_t ping_ns, int64_t now_ns)
{
    int64_t ns;

    g_mutex_lock(&p->lock);
    /* It could not be taken in before what was sent before it. */
    ns = p->answered_ns > start_ns ? now_ns - p->answered_ns
                                   : now_ns - start_ns - p->round_trip_ns;
    if (bytes >= BURST_MIN_BYTES && ns > 0) {
        p->accepted_bps[p->num_accepted++ % BURSTS_KEPT] =
            MAX(sat_muldiv_u64(bytes, NS_PER_SEC, ns), 1);
    }
    p->answered_ns = now_ns;
    p->under_way_ns = MAX(now_ns - ping_ns - p->round_trip_ns, 0);
    trace_migration_accepted(bytes, ns, p->under_way_ns);
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

void mig_predictor_fixed(MigPredictor *p, MigFixed what, int64_t ns)
{
    ns = MAX(ns, 0);
    g_mutex_lock(&p->lock);
    if (p->fixed_known[what]) {
        ns = p->fixed_ns[what] / 2 + ns / 2;
    }
    p->fixed_known[what] = true;
    p->fixed_ns[what] = ns;
    g_mutex_unlock(&p->lock);
}

/* ---- asking ---- */

/* Lock held. */
static bool bandwidth(MigPredictor *p, int64_t now_ns, uint64_t avail_bps,
                      uint64_t *bps)
{
    if (avail_bps) {
        *bps = avail_bps;
        return true;
    }
    if (!p->started || (p->counters.sent_bytes < FIRST_ESTIMATE_BYTES &&
                        now_ns - p->first_byte_ns < FIRST_ESTIMATE_NS)) {
        return false;
    }
    return rate_get(&p->sent, bps);
}

bool mig_predictor_bandwidth(MigPredictor *p, int64_t now_ns,
                             uint64_t avail_bps, uint64_t *bps)
{
    bool known;

    g_mutex_lock(&p->lock);
    known = bandwidth(p, now_ns, avail_bps, bps);
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

/*
 * One module's bytes at its own pace, or the wire's where that is not known;
 * *more is raised by what is not known to be dirty yet.
 */
static MigNs module_time(MigPredictor *p, const SaveVMModule *m,
                         uint64_t wire_bps, int64_t since_sync_ns,
                         uint64_t *more)
{
    ModuleRates *r = find_module(p, m->idstr, m->instance);
    uint64_t live = wire_bps, stopped = wire_bps, unknown = 0;

    if (r) {
        rate_get(&r->live, &live);
        if (!rate_get(&r->stopped, &stopped)) {
            stopped = live;
        }
        unknown = not_known_yet(r, since_sync_ns);
        *more = sat_add_u64(*more, unknown);
    }
    return time_for(m->pending.precopy_bytes, live) +
           time_for(m->pending.postcopy_bytes, live) +
           time_for(unknown, live) +
           time_for(m->pending.stopcopy_bytes, stopped);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Lock held. */
static bool accepted_rate(MigPredictor *p, uint64_t *bps)
{
    uint64_t sorted[BURSTS_KEPT];
    unsigned count = MIN(p->num_accepted, BURSTS_KEPT);

    if (count == 0) {
        return false;
    }
    memcpy(sorted, p->accepted_bps, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare_u64);
    *bps = sorted[count / 2];
    return true;
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

void mig_predictor_forecast(MigPredictor *p, int64_t now_ns,
                            const MigRecord *rec, uint64_t avail_bps,
                            MigForecast *f)
{
    MigNs modules_ns = 0;
    uint64_t accepted = 0, total, more = 0;

    *f = (MigForecast) { 0 };
    g_mutex_lock(&p->lock);
    f->known = rec->valid && bandwidth(p, now_ns, avail_bps,
                                       &f->bandwidth_bps);
    if (f->known) {
        f->wire_ns = time_for(rec->total.total_bytes, f->bandwidth_bps);
        for (guint i = 0; rec->modules && i < rec->modules->len; i++) {
            modules_ns += module_time(p, &g_array_index(rec->modules,
                                                        SaveVMModule, i),
                                      f->bandwidth_bps,
                                      now_ns - rec->synced_ns, &more);
        }
        total = sat_add_u64(rec->total.total_bytes, more);
        f->transfer_ns = MAX(time_for(total, f->bandwidth_bps), modules_ns);
        if (accepted_rate(p, &accepted)) {
            f->transfer_ns = MAX(f->transfer_ns, time_for(total, accepted));
        }
        /* What has left must be taken in first. */
        f->transfer_ns += MAX(p->last_byte_ns + p->under_way_ns - now_ns, 0);
        f->fixed_ns = fixed_time(p);
        trace_migration_forecast(f->bandwidth_bps, accepted,
                                 (int64_t)(f->wire_ns / NS_PER_US),
                                 (int64_t)(modules_ns / NS_PER_US),
                                 (int64_t)(f->fixed_ns / NS_PER_US));
        f->downtime_ns = f->transfer_ns + f->fixed_ns;
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
    known = m && (rate_get(&m->stopped, bps) || rate_get(&m->live, bps));
    g_mutex_unlock(&p->lock);
    return known;
}
