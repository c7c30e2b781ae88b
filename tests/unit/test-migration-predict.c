/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record, the bandwidth and the expected downtime: what migration must mean,
 * sections 1, 3 and 4.
 */
#include <string.h>

#include "migration-sim.h"

#define GBPS (UINT64_C(1000000000))

/* ---- section 1 ---- */

static void one_module(void *opaque, bool exact, GArray *modules)
{
    SaveVMModule *claim = opaque;

    (void)exact;
    g_array_append_val(modules, *claim);
}

static void test_total_is_the_cores(void)
{
    Sim *sim = sim_new(GBPS);
    SaveVMModule m = { .idstr = "a", .pending = { 1, 2, 3, 77 } };
    const MigRecord *rec;

    mig_pending_begin(sim->pending, one_module, &m);
    rec = mig_pending_query(sim->pending, false);
    g_assert_cmpuint(rec->total.total_bytes, ==, 6);
    g_assert_cmpuint(g_array_index(rec->modules, SaveVMModule, 0)
                     .pending.total_bytes, ==, 6);
    m.pending.precopy_bytes = UINT64_MAX;
    rec = mig_pending_query(sim->pending, false);
    g_assert_cmpuint(rec->total.total_bytes, ==, UINT64_MAX);
    sim_free(sim);
}

static void test_zeros_outside(void)
{
    Sim *sim = sim_new(GBPS);
    SaveVMModule m = { .idstr = "a", .pending = { 1, 2, 3, 0 } };
    MigRecord rec;

    mig_pending_read(sim->pending, true, &rec);
    g_assert_false(rec.valid);
    g_assert_cmpuint(rec.total.total_bytes, ==, 0);
    mig_record_clear(&rec);
    g_assert_cmpuint(mig_pending_query(sim->pending, true)->total.total_bytes,
                     ==, 0);
    mig_pending_begin(sim->pending, one_module, &m);
    mig_pending_query(sim->pending, true);
    mig_pending_end(sim->pending);
    /* The record stays; who asks again gets zeros. */
    mig_pending_read(sim->pending, false, &rec);
    g_assert_cmpuint(rec.total.total_bytes, ==, 6);
    g_assert_cmpuint(mig_pending_query(sim->pending, true)->total.total_bytes,
                     ==, 0);
    sim_free(sim);
}

typedef struct Readers {
    MigPending *pending;
    int stop;
    uint64_t reads;
} Readers;

/* Every copy is whole: all modules of one answer, and their sum. */
static gpointer read_records(gpointer opaque)
{
    Readers *r = opaque;

    while (!g_atomic_int_get(&r->stop)) {
        MigRecord rec;
        uint64_t sum = 0;

        mig_pending_read(r->pending, true, &rec);
        for (guint i = 0; i < rec.modules->len; i++) {
            SaveVMModule *m = &g_array_index(rec.modules, SaveVMModule, i);

            g_assert_cmpuint(m->pending.precopy_bytes, ==,
                             g_array_index(rec.modules, SaveVMModule, 0)
                             .pending.precopy_bytes);
            sum += m->pending.precopy_bytes;
        }
        g_assert_cmpuint(rec.total.precopy_bytes, ==, sum);
        mig_record_clear(&rec);
        r->reads++;
    }
    return NULL;
}

static void varying(void *opaque, bool exact, GArray *modules)
{
    uint64_t *n = opaque;
    SaveVMModule m = { .idstr = "x", .pending.precopy_bytes = ++*n };

    (void)exact;
    /* Modules come and go between two answers. */
    for (uint64_t i = 0; i < *n % 7; i++) {
        g_array_append_val(modules, m);
    }
}

static void test_concurrent_reads(void)
{
    Readers r = { mig_pending_new(clock_host()), 0, 0 };
    uint64_t n = 0;
    GThread *thread;

    mig_pending_begin(r.pending, varying, &n);
    thread = g_thread_new("reader", read_records, &r);
    for (int i = 0; i < 20000; i++) {
        mig_pending_query(r.pending, false);
    }
    g_atomic_int_set(&r.stop, 1);
    g_thread_join(thread);
    mig_pending_free(r.pending);
}

/* ---- section 3 ---- */

static void sent(MigPredictor *p, int64_t now, uint64_t bytes, uint64_t ns)
{
    MigStreamCounters c = { bytes, ns };

    mig_predictor_sent(p, now, &c, true);
}

static void test_bandwidth_parameter(void)
{
    MigPredictor *p = mig_predictor_new();
    uint64_t bps = 0;

    g_assert_false(mig_predictor_bandwidth(p, 0, 0, NULL, &bps));
    g_assert_true(mig_predictor_bandwidth(p, 0, 12345, NULL, &bps));
    g_assert_cmpuint(bps, ==, 12345);
    sent(p, SEC, GIB, SEC);
    g_assert_true(mig_predictor_bandwidth(p, SEC, 777, NULL, &bps));
    g_assert_cmpuint(bps, ==, 777);
    mig_predictor_free(p);
}

static void test_first_estimate(void)
{
    MigPredictor *p = mig_predictor_new();
    uint64_t bps;

    mig_predictor_begin(p);
    g_assert_false(mig_predictor_bandwidth(p, 5 * SEC, 0, NULL, &bps));
    /* A few bytes: not yet, but within 200 ms of the first. */
    sent(p, 5 * SEC, 100, 1000);
    g_assert_false(mig_predictor_bandwidth(p, 5 * SEC, 0, NULL, &bps));
    g_assert_true(mig_predictor_bandwidth(p, 5 * SEC + 200 * MS, 0, NULL, &bps));
    g_assert_cmpuint(bps, ==, 100 * UINT64_C(1000000));
    /* The next attempt begins without. */
    mig_predictor_begin(p);
    g_assert_false(mig_predictor_bandwidth(p, 9 * SEC, 0, NULL, &bps));
    mig_predictor_free(p);
}

/* A window in which nothing was sent, or the sender slept, does not count. */
static void test_idle_windows(void)
{
    MigPredictor *p = mig_predictor_new();
    uint64_t bps, bytes = 0, ns = 0;

    for (int i = 0; i < 100; i++) {
        /* 10 ms of sending at 1 GB/s, a second of sleep, nothing, ... */
        bytes += GBPS / 100;
        ns += 10 * MS;
        sent(p, i * 3 * SEC, bytes, ns);
        sent(p, i * 3 * SEC + SEC, bytes, ns);
        sent(p, i * 3 * SEC + 2 * SEC, bytes, ns);
    }
    g_assert_true(mig_predictor_bandwidth(p, 300 * SEC, 0, NULL, &bps));
    g_assert_cmpuint(bps, >=, GBPS - GBPS / 1000);
    g_assert_cmpuint(bps, <=, GBPS + GBPS / 1000);
    mig_predictor_free(p);
}

static void test_bandwidth_follows(void)
{
    MigPredictor *p = mig_predictor_new();
    uint64_t bps, bytes = 0, ns = 0;

    for (int i = 0; i < 1000; i++) {
        bytes += GBPS / 100;
        ns += 10 * MS;
        sent(p, ns, bytes, ns);
    }
    /* The wire gets ten times slower: seen within three seconds. */
    for (int i = 0; i < 300; i++) {
        bytes += GBPS / 1000;
        ns += 10 * MS;
        sent(p, ns, bytes, ns);
    }
    g_assert_true(mig_predictor_bandwidth(p, ns, 0, NULL, &bps));
    g_assert_cmpuint(bps, <, GBPS / 10 + GBPS / 100);
    mig_predictor_free(p);
}

/* The loop under a rate limit: what is measured is the wire. */
static void test_rate_limited(void)
{
    Sim *sim = sim_new(GBPS);
    uint64_t bps;

    sim_add_ram(sim, 4 * GIB, 64 * MIB, 200 * 1000 * 1000);
    sim->rate_bps = GBPS / 10;
    sim_begin(sim);
    sim_run(sim, 20 * SEC);
    g_assert_cmpint(sim->waited_ns, >, 10 * SEC);
    g_assert_true(mig_predictor_bandwidth(sim->predictor, sim->now_ns, 0, NULL,
                                          &bps));
    g_assert_cmpuint(bps, >=, GBPS - GBPS / 100);
    g_assert_cmpuint(bps, <=, GBPS + GBPS / 100);
    sim_free(sim);
}

/* ---- section 4 ---- */

static void test_limit_before_estimate(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, GIB, 0, 0);
    sim->terms.downtime_limit_ms = 432;
    g_assert_cmpint(sim_expected_downtime_ms(sim), ==, 432);
    sim_begin(sim);
    g_assert_cmpint(sim_expected_downtime_ms(sim), ==, 432);
    sim->terms.downtime_limit_ms = UINT64_MAX;
    g_assert_cmpint(sim_expected_downtime_ms(sim), ==, INT64_MAX);
    sim_free(sim);
}

static void test_bytes_over_bandwidth(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 2 * GBPS, 0, 0);
    sim_add_device(sim, "vfio", GBPS / 2);
    sim->terms.avail_bandwidth_bps = GBPS / 10;
    sim_begin(sim);
    g_assert_cmpint(sim_expected_downtime_ms(sim), ==, 25000);
    /* Rounded up. */
    sim->modules[1].stopcopy_bytes += 1;
    mig_loop_step(&sim->loop, NULL);
    sim_free(sim);
}

static int64_t forecast_ms(uint64_t total, uint64_t bandwidth)
{
    MigPredictor *p = mig_predictor_new();
    MigRecord rec = { .valid = true, .total.total_bytes = total };
    MigForecast f;

    mig_predictor_forecast(p, 0, &rec, bandwidth, &f);
    mig_predictor_free(p);
    return mig_forecast_ms(&f, 300);
}

static void test_saturates(void)
{
    g_assert_cmpint(forecast_ms(0, 1), ==, 0);
    g_assert_cmpint(forecast_ms(1, UINT64_MAX), ==, 1);
    g_assert_cmpint(forecast_ms(1000, 1000000), ==, 1);
    g_assert_cmpint(forecast_ms(1001, 1000000), ==, 2);
    g_assert_cmpint(forecast_ms(UINT64_MAX, 1000), ==, INT64_MAX);
    g_assert_cmpint(forecast_ms(UINT64_MAX, 1), ==, INT64_MAX);
    g_assert_cmpint(forecast_ms(UINT64_MAX, UINT64_MAX), ==, 1000);
    g_assert_cmpint(forecast_ms(UINT64_MAX, 1000000), ==,
                    18446744073709552);
}

/* downtime-limit := expected-downtime converges within two passes. */
static void test_limit_from_expected(void)
{
    for (uint64_t set = 4; set <= 2048; set *= 2) {
        Sim *sim = sim_new(GBPS);
        unsigned passes;

        /* A working set that is written all over in each pass. */
        sim_add_ram(sim, 4 * GIB, set * MIB, 2 * GBPS);
        sim->terms.downtime_limit_ms = 1;
        sim_begin(sim);
        g_assert_cmpint(sim_run(sim, 30 * SEC), !=, MIG_STEP_SWITCHOVER);
        passes = sim->num_events;
        /* Asked as a manager does: right after the event of a pass. */
        while (sim->num_events == passes) {
            g_assert_cmpint(mig_loop_step(&sim->loop, NULL), !=,
                            MIG_STEP_SWITCHOVER);
        }
        passes = sim->num_events;
        sim->terms.downtime_limit_ms = sim_expected_downtime_ms(sim);
        g_assert_cmpint(sim_run(sim, 60 * SEC), ==, MIG_STEP_SWITCHOVER);
        g_assert_cmpuint(sim->num_events - passes, <=, 2);
        sim_free(sim);
    }
}

/*
 * The limit is for a guest that runs: one that was stopped before goes as soon
 * as only its stop would give the rest, and not before.
 */
static void test_stopped_guest(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, GIB, 0, 0);
    sim_add_device(sim, "gpu", 4 * GIB);
    sim->terms.downtime_limit_ms = 300;
    sim->terms.acks_owed = 1;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 30 * SEC), !=, MIG_STEP_SWITCHOVER);
    sim->terms.guest_stopped = true;
    g_assert_cmpint(sim_run(sim, 30 * SEC), !=, MIG_STEP_SWITCHOVER);
    sim->terms.acks_owed = 0;
    sim->terms.guest_stopped = false;
    g_assert_cmpint(sim_run(sim, 30 * SEC), !=, MIG_STEP_SWITCHOVER);
    sim->terms.guest_stopped = true;
    g_assert_cmpint(sim_run(sim, 5 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_cmpint(sim_expected_downtime_ms(sim), >, 4000);
    sim_free(sim);

    sim = sim_new(GBPS);
    sim_add_ram(sim, 8 * GIB, 0, 0);
    sim_add_device(sim, "gpu", 4 * GIB);
    sim->terms.downtime_limit_ms = 300;
    sim->terms.guest_stopped = true;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 60 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_cmpuint(sim->modules[0].dirty_bytes, ==, 0);
    g_assert_cmpuint(sim->num_events, <=, 2);
    sim_free(sim);
}

/* Between two syncs: what the guest has written meanwhile is in it. */
static void test_not_known_yet(void)
{
    Sim *sim = sim_new(GBPS);
    unsigned passes;

    /* In each pass of a second it writes to a GB again. */
    sim_add_ram(sim, GBPS, GBPS, 2 * GBPS);
    sim->terms.downtime_limit_ms = 1;
    sim_begin(sim);
    sim_run(sim, 5 * SEC);
    passes = sim->num_events;
    while (sim->num_events < passes + 2) {
        mig_loop_step(&sim->loop, NULL);
        g_assert_cmpint(sim_expected_downtime_ms(sim), >, 900);
        g_assert_cmpint(sim_expected_downtime_ms(sim), <, 2100);
    }
    sim_free(sim);
}

/*
 * Devices are saved one after the other: each counts once, at the rate that it
 * has shown while the guest ran, also for what only the blackout gives.
 */
static void test_several_devices(void)
{
    MigPredictor *p = mig_predictor_new();
    g_autoptr(GArray) modules = g_array_new(FALSE, FALSE,
                                            sizeof(SaveVMModule));
    static const char *const ids[] = { "a/vfio", "b/vfio", "c/vfio" };
    static const uint64_t bps[] = { GBPS / 10, GBPS / 5, 0 };
    MigRecord rec = { .valid = true, .exact = true, .modules = modules };
    MigForecast f;

    mig_predictor_begin(p);
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        SaveVMModule m = {
            .idstr = ids[i], .kind = MIG_MODULE_VFIO,
            .pending = { .precopy_bytes = GBPS / 50,
                         .stopcopy_bytes = GBPS / 50 },
        };

        m.pending.total_bytes = GBPS / 25;
        rec.total.total_bytes += m.pending.total_bytes;
        g_array_append_val(modules, m);
        mig_predictor_module_iterated(p, ids[i], 0, bps[i] / 10, SEC / 10,
                                      SEC / 10, SEC);
    }
    /* 40 MB at 100 MB/s, at 200 MB/s, and at the wire's 1 GB/s. */
    mig_predictor_forecast(p, 0, &rec, GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 0), ==, 400 + 200 + 40);
    /* A wire that is slower than all of them together. */
    mig_predictor_forecast(p, 0, &rec, GBPS / 20, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 0), ==, 2400);
    mig_predictor_free(p);
}

/* A device that produces its state more slowly than the wire takes it. */
static void test_slow_producer(void)
{
    Sim *sim = sim_new(GBPS);
    SimModule *dev;
    int64_t predicted;

    dev = sim_add_ram(sim, GIB, 100 * MIB, 20 * 1000 * 1000);
    dev->id = "slow";
    dev->produce_bps = GBPS / 10;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 100 * SEC), ==, MIG_STEP_SWITCHOVER);
    predicted = (int64_t)sim->loop.forecast.downtime_ns;
    sim_switch_over(sim);
    g_assert_cmpint(predicted, >, sim->downtime_ns * 9 / 10);
    g_assert_cmpint(predicted, <, sim->downtime_ns * 11 / 10);
    g_assert_cmpint(sim->downtime_ns, <, 330 * MS);
    sim_free(sim);
}

/* What only a blackout can teach is used by the next attempt. */
static void test_learned_from_attempt(void)
{
    MigPredictor *p = mig_predictor_new();
    GArray *modules = g_array_new(FALSE, TRUE, sizeof(SaveVMModule));
    SaveVMModule m = { .idstr = "gpu" };
    MigRecord rec = { .valid = true, .modules = modules };
    MigForecast f;

    m.pending.stopcopy_bytes = GBPS;
    g_array_append_val(modules, m);
    rec.total.total_bytes = rec.total.stopcopy_bytes = GBPS;
    mig_predictor_begin(p);
    mig_predictor_forecast(p, 0, &rec, GBPS, &f);
    /* Not learned yet: zero. */
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 1000);
    g_assert_true(f.fixed_ns == 0);
    mig_predictor_module_completed(p, "gpu", 0, GBPS, 4 * SEC);
    for (int i = 0; i < MIG_FIXED__MAX; i++) {
        mig_predictor_fixed(p, i, 10 * MS, 0);
    }
    mig_predictor_begin(p);
    mig_predictor_forecast(p, 0, &rec, GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 4050);
    g_array_unref(modules);
    mig_predictor_free(p);
}

/* One slow sync of twenty a second is hardly seen, and an attempt is. */
static void test_fixed_smooth(void)
{
    MigPredictor *p = mig_predictor_new();
    MigRecord rec = { .valid = true };
    MigForecast f;

    for (int64_t t = 0; t <= 2 * SEC; t += 50 * MS) {
        mig_predictor_fixed(p, MIG_FIXED_SYNC, 1 * MS, t);
    }
    mig_predictor_fixed(p, MIG_FIXED_SYNC, 22 * MS, 2 * SEC + 50 * MS);
    mig_predictor_forecast(p, 3 * SEC, &rec, GBPS, &f);
    g_assert_true(f.fixed_ns == 2 * MS);
    mig_predictor_fixed(p, MIG_FIXED_SYNC, 101 * MS, 101 * SEC + 50 * MS);
    mig_predictor_forecast(p, 102 * SEC, &rec, GBPS, &f);
    g_assert_true(f.fixed_ns / MS == 100);
    mig_predictor_free(p);
}

/* What "ram" and a device "gpu" have left; 0: there is no device. */
static GArray *left_of(uint64_t ram, uint64_t gpu)
{
    GArray *modules = g_array_new(FALSE, TRUE, sizeof(SaveVMModule));
    SaveVMModule m[] = {
        { .idstr = "ram",
          .pending = { .precopy_bytes = ram, .total_bytes = ram } },
        { .idstr = "gpu",
          .pending = { .stopcopy_bytes = gpu, .total_bytes = gpu } },
    };

    g_array_append_vals(modules, m, gpu ? 2 : 1);
    return modules;
}

/* A burst of @bytes of @idstr (NULL: of several) has been answered. */
static void accepted(MigPredictor *p, const char *idstr, uint64_t bytes,
                     int64_t start_ns, int64_t ping_ns, int64_t now_ns)
{
    MigBurst burst = {
        .bytes = bytes, .start_ns = start_ns, .ping_ns = ping_ns,
        .idstr = idstr,
    };

    mig_predictor_accepted(p, &burst, now_ns);
}

/* The destination accepts more slowly than the source's socket does. */
static void test_slow_acceptance(void)
{
    MigPredictor *p = mig_predictor_new();
    GArray *modules = left_of(GBPS, 0);
    MigRecord rec = {
        .valid = true, .total.total_bytes = GBPS, .modules = modules,
    };
    MigForecast f;

    mig_predictor_begin(p);
    mig_predictor_round_trip(p, 20 * MS);
    mig_predictor_round_trip(p, 30 * MS);
    /* A GB in two seconds and a round trip. */
    accepted(p, NULL, GBPS, SEC, SEC, 3 * SEC + 20 * MS);
    /* Too little to say anything. */
    accepted(p, NULL, 1000, 5 * SEC, 5 * SEC, 6 * SEC);
    mig_predictor_forecast(p, 9 * SEC, &rec, GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 2020);
    /* One burst behind the other: its time begins with the last answer. */
    mig_predictor_begin(p);
    accepted(p, NULL, GBPS / 10, SEC, SEC, SEC + 200 * MS);
    accepted(p, NULL, GBPS / 10, SEC + 100 * MS, SEC + 200 * MS,
             SEC + 400 * MS);
    mig_predictor_forecast(p, 9 * SEC, &rec, GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 2000);
    mig_predictor_free(p);
    g_array_unref(modules);
}

/* Memory is taken in at a tenth of the rate at which a device is. */
static void test_acceptance_of_modules(void)
{
    MigPredictor *p = mig_predictor_new();
    GArray *modules = left_of(GBPS / 10, GBPS);
    MigRecord rec = {
        .valid = true, .total.total_bytes = GBPS / 10 + GBPS,
        .modules = modules,
    };
    MigForecast f;

    mig_predictor_begin(p);
    accepted(p, "ram", GBPS / 100, SEC, SEC, SEC + 100 * MS);
    accepted(p, "ram", GBPS / 100, SEC, SEC, SEC + 200 * MS);
    accepted(p, "gpu", GBPS / 10, 2 * SEC, 2 * SEC, 2 * SEC + 100 * MS);
    mig_predictor_forecast(p, 9 * SEC, &rec, 10 * GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 2000);
    /* A burst of both says nothing of either. */
    accepted(p, NULL, GBPS / 10, 3 * SEC, 3 * SEC, 7 * SEC);
    mig_predictor_forecast(p, 9 * SEC, &rec, 10 * GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 2000);
    mig_predictor_free(p);
    g_array_unref(modules);
}

/* What has left is still on its way: that comes first. */
static void test_under_way(void)
{
    MigPredictor *p = mig_predictor_new();
    MigRecord rec = { .valid = true, .total.total_bytes = GBPS / 10 };
    MigForecast f;

    mig_predictor_begin(p);
    /* The PING's answer took 30 ms more than a round trip. */
    mig_predictor_round_trip(p, 10 * MS);
    accepted(p, NULL, GBPS, SEC + 30 * MS, 2 * SEC, 2 * SEC + 40 * MS);
    sent(p, 3 * SEC, GBPS, SEC);
    mig_predictor_forecast(p, 3 * SEC, &rec, GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 100 + 30 + 10);
    mig_predictor_forecast(p, 3 * SEC + 20 * MS, &rec, GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 100 + 10 + 10);
    mig_predictor_forecast(p, 4 * SEC, &rec, GBPS, &f);
    g_assert_cmpint(mig_forecast_ms(&f, 300), ==, 100 + 10);
    mig_predictor_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/spec-1/total-is-the-cores",
                    test_total_is_the_cores);
    g_test_add_func("/migration/spec-1/zeros-outside", test_zeros_outside);
    g_test_add_func("/migration/spec-1/concurrent-reads",
                    test_concurrent_reads);
    g_test_add_func("/migration/spec-3/parameter", test_bandwidth_parameter);
    g_test_add_func("/migration/spec-3/first-estimate", test_first_estimate);
    g_test_add_func("/migration/spec-3/idle-windows", test_idle_windows);
    g_test_add_func("/migration/spec-3/follows", test_bandwidth_follows);
    g_test_add_func("/migration/spec-3/rate-limited", test_rate_limited);
    g_test_add_func("/migration/spec-4/limit-before-estimate",
                    test_limit_before_estimate);
    g_test_add_func("/migration/spec-4/bytes-over-bandwidth",
                    test_bytes_over_bandwidth);
    g_test_add_func("/migration/spec-4/saturates", test_saturates);
    g_test_add_func("/migration/spec-4/limit-from-expected",
                    test_limit_from_expected);
    g_test_add_func("/migration/spec-4/stopped-guest", test_stopped_guest);
    g_test_add_func("/migration/spec-4/not-known-yet", test_not_known_yet);
    g_test_add_func("/migration/spec-4/several-devices",
                    test_several_devices);
    g_test_add_func("/migration/spec-4/slow-producer", test_slow_producer);
    g_test_add_func("/migration/spec-4/learned-from-attempt",
                    test_learned_from_attempt);
    g_test_add_func("/migration/spec-4/slow-acceptance", test_slow_acceptance);
    g_test_add_func("/migration/spec-4/acceptance-of-modules",
                    test_acceptance_of_modules);
    g_test_add_func("/migration/spec-4/under-way", test_under_way);
    g_test_add_func("/migration/spec-4/fixed-smooth", test_fixed_smooth);
    return g_test_run();
}
