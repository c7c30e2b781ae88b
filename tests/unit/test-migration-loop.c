/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop on virtual time: what migration must mean, section 2. */
#include <string.h>

#include "migration-sim.h"
#include "timing.h"

#define GBPS (UINT64_C(1000000000))     /* bytes a second */

/* ---- the counter ---- */

static void check_pass(Sim *sim, uint64_t pass)
{
    MigRecord rec;

    /* (a) asked, (b) recorded, (c) counted -- then (d) the event. */
    for (unsigned i = 0; i < sim->num_modules; i++) {
        g_assert_cmpuint(sim->modules[i].exact_queries, ==, pass - 1);
    }
    g_assert_true(sim->last_query_exact);
    mig_pending_read(sim->pending, true, &rec);
    g_assert_true(rec.valid);
    g_assert_true(rec.exact);
    g_assert_cmpint(rec.time_ns, ==, sim->now_ns);
    g_assert_cmpuint(rec.modules->len, ==, sim->num_modules);
    mig_record_clear(&rec);
    g_assert_cmpuint(mig_loop_pass(&sim->loop), ==, pass);
}

static void test_counter_before_event(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 4 * GIB, 2 * GIB, GBPS / 3);
    sim_add_device(sim, "dev", 64 * MIB);
    sim->terms.downtime_limit_ms = 100;
    sim->on_pass = check_pass;
    sim_begin(sim);
    g_assert_cmpuint(mig_loop_pass(&sim->loop), ==, 1);
    g_assert_cmpint(sim_run(sim, 100 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_cmpuint(sim->num_events, >, 1);
    for (unsigned i = 0; i < sim->num_events; i++) {
        g_assert_cmpuint(sim->events[i], ==, i + 2);
    }
    g_assert_cmpuint(mig_loop_pass(&sim->loop), ==, sim->num_events + 1);
    sim_free(sim);
}

static void test_first_pass_is_one(void)
{
    Sim *sim = sim_new(GBPS);
    MigRecord rec;

    g_assert_cmpuint(mig_loop_pass(&sim->loop), ==, 0);
    sim_add_ram(sim, GIB, 0, 0);
    sim_begin(sim);
    g_assert_cmpuint(mig_loop_pass(&sim->loop), ==, 1);
    mig_pending_read(sim->pending, false, &rec);
    g_assert_true(rec.valid);
    g_assert_cmpuint(rec.total.total_bytes, ==, GIB);
    while (mig_loop_step(&sim->loop, NULL) == MIG_STEP_ITERATED) {
        g_assert_cmpuint(sim->num_events, ==, 0);
        g_assert_cmpuint(mig_loop_pass(&sim->loop), ==, 1);
    }
    sim_free(sim);
}

/* ---- when a pass ends ---- */

/* What fits exactly is asked for, and let go: <= and <=; a byte more, neither. */
static void test_same_comparison(void)
{
    for (uint64_t more = 0; more < 2; more++) {
        Sim *sim = sim_new(GBPS);
        SimModule *dev = sim_add_device(sim, "dev", 300 * 1000 * 1000 + more);

        dev->sync_ns = 0;
        sim->terms.avail_bandwidth_bps = GBPS;
        sim->terms.downtime_limit_ms = 300;
        sim_begin(sim);
        g_assert_cmpint(mig_loop_step(&sim->loop, NULL), ==,
                        more ? MIG_STEP_PASS_ENDED : MIG_STEP_SWITCHOVER);
        g_assert_cmpuint(dev->exact_queries, ==, 1);
        sim_free(sim);
    }
}

/* What could be sent while the guest runs is not left for the blackout. */
static void test_linger(void)
{
    Sim *sim = sim_new(GBPS);
    SimModule *ram = sim_add_ram(sim, 200 * 1000 * 1000, 0, 0);

    sim->terms.avail_bandwidth_bps = GBPS;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_cmpuint(ram->dirty_bytes, ==, 0);
    sim_free(sim);

    /* But not for long: a second here, at a tenth of the wire's speed. */
    sim = sim_new(GBPS);
    ram = sim_add_ram(sim, 200 * 1000 * 1000, 0, 0);
    sim->terms.avail_bandwidth_bps = GBPS;
    sim->rate_bps = GBPS / 10;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_cmpint(sim->now_ns, <, SEC + SEC + 150 * MS);
    g_assert_cmpuint(ram->dirty_bytes, >, 80 * 1000 * 1000);
    g_assert_cmpuint(ram->dirty_bytes, <, 120 * 1000 * 1000);
    sim_free(sim);
}

/* A fast number that fits is not enough: the exact one must. */
static void test_never_on_a_fast_number(void)
{
    Sim *sim = sim_new(GBPS);
    SimModule *ram = sim_add_ram(sim, GIB, GIB, 2 * GBPS);
    MigStep step;

    sim_begin(sim);
    for (int i = 0; i < 2000; i++) {
        step = mig_loop_step(&sim->loop, NULL);
        g_assert_cmpint(step, !=, MIG_STEP_SWITCHOVER);
    }
    g_assert_cmpuint(ram->exact_queries, >, 1);
    /* The guest comes to rest: now it goes, right after an exact query. */
    ram->dirty_bps = 0;
    g_assert_cmpint(sim_run(sim, 10 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_true(sim->last_query_exact);
    sim_free(sim);
}

static void test_idle_guest(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 4 * GIB, 0, 0);
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 100 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_cmpuint(mig_loop_pass(&sim->loop), ==, 2);
    g_assert_cmpuint(sim->waits, ==, 0);
    sim_free(sim);
}

static void test_terabyte_guest(void)
{
    Sim *sim = sim_new(5 * GBPS);
    int64_t start = thread_cpu_us();

    sim_add_ram(sim, TIB, 64 * GIB, GBPS);
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10000 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_cmpint(sim->now_ns, >, 200 * SEC);
    sim_switch_over(sim);
    g_assert_cmpint(sim->downtime_ns, <=, 310 * MS);
    if (TIMING_COUNTS) {
        g_assert_cmpint(thread_cpu_us() - start, <, 1000000);
    }
    sim_free(sim);
}

static void test_guest_faster_than_wire(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 8 * GIB, 4 * GIB, 3 * GBPS);
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 60 * SEC), !=, MIG_STEP_SWITCHOVER);
    /* Each pass sends the working set: 4.3 seconds. */
    g_assert_cmpuint(mig_loop_pass(&sim->loop), >, 10);
    g_assert_cmpuint(mig_loop_pass(&sim->loop), <, 20);
    g_assert_cmpint(sim_expected_downtime_ms(sim), >, 300);
    sim_free(sim);
}

/* ---- the stall ---- */

static void check_calm(Sim *sim, int64_t seconds)
{
    /* 50 to 100 ms a pass, and under 10 % of a core. */
    g_assert_cmpuint(sim->num_events, <=, 20 * seconds + 2);
    g_assert_cmpuint(sim->num_events, >=, 10 * seconds - 2);
    g_assert_cmpint(sim->busy_ns * 10, <, seconds * SEC);
}

/* A device too large for the limit, with clean RAM. */
static void test_large_device_clean_ram(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 0, 0, 0);
    sim_add_device(sim, "vfio", 8 * GIB);
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), !=, MIG_STEP_SWITCHOVER);
    check_calm(sim, 10);
    sim_free(sim);
}

/* The same, with a guest that dirties a page now and then. */
static void test_large_device_nearly_clean_ram(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, MIB, MIB, 10 * 1000 * 1000);
    sim_add_device(sim, "vfio", 8 * GIB);
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), !=, MIG_STEP_SWITCHOVER);
    check_calm(sim, 10);
    sim_free(sim);
}

static void test_acknowledgement_owed(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 64 * MIB, 4 * MIB, 10 * 1000 * 1000);
    sim->terms.acks_owed = 1;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), !=, MIG_STEP_SWITCHOVER);
    check_calm(sim, 10);
    /* It comes in: within one wait the switchover goes. */
    sim->terms.acks_owed = 0;
    g_assert_cmpint(sim_run(sim, 110 * MS), ==, MIG_STEP_SWITCHOVER);
    sim_free(sim);
}

static void test_pause_asked(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 64 * MIB, 0, 0);
    sim->terms.pause_asked = true;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), !=, MIG_STEP_SWITCHOVER);
    check_calm(sim, 10);
    sim_free(sim);
}

/* A limit that an active guest cannot meet does not burn a core either. */
static void test_limit_of_zero(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 4 * MIB, MIB, 40 * 1000 * 1000);
    sim->terms.downtime_limit_ms = 0;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), !=, MIG_STEP_SWITCHOVER);
    g_assert_cmpuint(sim->num_events, <, 10 * 200);
    sim_free(sim);
}

/* The wait is cut short when a parameter changes, and then it goes. */
static void test_wait_cut_short(void)
{
    Sim *sim = sim_new(GBPS);
    int64_t start;

    sim_add_ram(sim, 0, 0, 0);
    sim_add_device(sim, "vfio", 2 * GIB);
    sim->terms.avail_bandwidth_bps = GBPS;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, SEC), !=, MIG_STEP_SWITCHOVER);
    sim->wait_cut_ns = MS;
    sim->terms.downtime_limit_ms = 2200;
    start = sim->now_ns;
    g_assert_cmpint(sim_run(sim, SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_cmpint(sim->now_ns - start, <, 5 * MS);
    sim_free(sim);
}

static void test_stopped(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, GIB, GIB, 2 * GBPS);
    sim_begin(sim);
    sim_run(sim, SEC);
    sim->stopped = true;
    g_assert_cmpint(mig_loop_step(&sim->loop, NULL), ==, MIG_STEP_STOPPED);
    sim_free(sim);
}

/* ---- garbage ---- */

static const uint64_t garbage_sizes[] = {
    0, 1, 4095, UINT64_C(1) << 32, INT64_MAX, UINT64_C(1) << 63,
    UINT64_MAX - 1, UINT64_MAX,
};

/* A driver may report anything; the loop goes on, and never switches over. */
static void test_garbage_sizes(void)
{
    for (guint n = 0; n < G_N_ELEMENTS(garbage_sizes) * 3 * 2; n++) {
        Sim *sim = sim_new(GBPS);
        uint64_t size = garbage_sizes[n / 6];
        SimModule *dev;

        sim_add_ram(sim, 64 * MIB, MIB, 1000 * 1000);
        dev = sim_add_device(sim, "liar", 0);
        dev->lies = true;
        dev->lie_result = n & 1 ? MIG_ITERATE_MORE : MIG_ITERATE_DONE;
        switch (n / 2 % 3) {
        case 0:
            dev->claim.precopy_bytes = size;
            break;
        case 1:
            dev->claim.stopcopy_bytes = size;
            break;
        default:
            dev->claim.precopy_bytes = dev->claim.stopcopy_bytes = size;
            dev->claim.postcopy_bytes = dev->claim.total_bytes = size;
            break;
        }
        sim->header_bytes = 20;
        sim_begin(sim);
        if (size > GIB) {
            g_assert_cmpint(sim_run(sim, 5 * SEC), !=, MIG_STEP_SWITCHOVER);
            g_assert_cmpint(sim_expected_downtime_ms(sim), >, 300);
            g_assert_cmpuint(sim->num_events, <=, 102);
        } else {
            g_assert_cmpint(sim_run(sim, 5 * SEC), ==, MIG_STEP_SWITCHOVER);
        }
        sim_free(sim);
    }
}

/* ---- postcopy ---- */

/*
 * With the capability on and no start there is no pass, no event and no query
 * that there would not be without it.
 */
static void test_postcopy_waits(void)
{
    unsigned events[2], exact[2];

    for (int on = 0; on < 2; on++) {
        Sim *sim = sim_new(GBPS);
        SimModule *ram = sim_add_ram(sim, 4 * GIB, 2 * GIB, 2 * GBPS);

        ram->postcopy = on;
        sim_add_device(sim, "vfio", MIB);
        sim_begin(sim);
        g_assert_cmpint(sim_run(sim, 30 * SEC), !=, MIG_STEP_SWITCHOVER);
        events[on] = sim->num_events;
        exact[on] = ram->exact_queries;
        sim_free(sim);
    }
    g_assert_cmpuint(events[1], ==, events[0]);
    g_assert_cmpuint(exact[1], ==, exact[0]);
}

/* A guest faster than the wire goes as soon as it is asked for. */
static void test_postcopy_starts(void)
{
    Sim *sim = sim_new(GBPS);
    SimModule *ram = sim_add_ram(sim, 4 * GIB, 2 * GIB, 2 * GBPS);
    uint64_t before;
    int64_t asked_ns;

    ram->postcopy = true;
    sim_add_device(sim, "vfio", MIB);
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), !=, MIG_STEP_SWITCHOVER);
    before = mig_loop_pass(&sim->loop);
    sim->terms.postcopy = true;
    asked_ns = sim->now_ns;
    g_assert_cmpint(sim_run(sim, 10 * SEC), ==, MIG_STEP_SWITCHOVER);
    g_assert_true(sim->last_query_exact);
    /* The pass that was under way ends, and it ends at once. */
    g_assert_cmpuint(mig_loop_pass(&sim->loop), ==, before + 1);
    g_assert_cmpint(sim->now_ns - asked_ns, <, 100 * MS);
    g_assert_cmpuint(ram->dirty_bytes, >, GIB);
    sim_free(sim);
}

/* What cannot come afterwards counts: it waits, and does not spin. */
static void test_postcopy_large_device(void)
{
    Sim *sim = sim_new(GBPS);
    SimModule *ram = sim_add_ram(sim, 64 * MIB, MIB, 1000), *dev;

    ram->postcopy = true;
    dev = sim_add_device(sim, "vfio", 8 * GIB);
    sim->terms.postcopy = true;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 10 * SEC), !=, MIG_STEP_SWITCHOVER);
    check_calm(sim, 10);
    dev->stopcopy_bytes = 100 * MIB;
    g_assert_cmpint(sim_run(sim, SEC), ==, MIG_STEP_SWITCHOVER);
    sim_free(sim);
}

/* Two drivers whose reports add up to a small number if the sum wraps. */
static void test_sum_does_not_wrap(void)
{
    Sim *sim = sim_new(GBPS);

    sim_add_ram(sim, 0, 0, 0);
    sim_add_device(sim, "a", UINT64_MAX);
    sim_add_device(sim, "b", 2);
    sim->terms.avail_bandwidth_bps = GBPS;
    sim_begin(sim);
    g_assert_cmpint(sim_run(sim, 5 * SEC), !=, MIG_STEP_SWITCHOVER);
    check_calm(sim, 5);
    sim_free(sim);
}

/*
 * A rate is learned of one module at a time, and without what its first bytes
 * had to wait for: bursts are cut where the sender changes, and behind what a
 * sender sends first.
 */
static void test_bursts_of_one(void)
{
    Sim *sim = sim_new(GBPS);
    SimModule *ram = sim_add_ram(sim, 64 * MIB, 0, 0);
    SimModule *dev = sim_add_device(sim, "vfio", GIB);
    uint64_t ram_bytes = ram->dirty_bytes, chunk = GBPS / 100;
    unsigned i = 0;

    dev->dirty_bytes = 25 * MIB;
    sim->turns = true;
    sim_begin(sim);
    sim_run(sim, 300 * MS);
    g_assert_cmpuint(sim->bursts[0].bytes, ==, chunk);
    for (; i < sim->num_bursts && sim->bursts[i].idstr == ram->id; i++) {
        ram_bytes -= sim->bursts[i].bytes;
    }
    g_assert_cmpuint(ram_bytes, ==, 0);
    g_assert_cmpuint(i + 2, ==, sim->num_bursts);
    g_assert_true(sim->bursts[i].idstr == dev->id);
    g_assert_cmpuint(sim->bursts[i].bytes, ==, chunk);
    g_assert_true(sim->bursts[i + 1].idstr == dev->id);
    g_assert_cmpuint(sim->bursts[i + 1].bytes, ==, 25 * MIB - chunk);
    sim_free(sim);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/spec-2/counter-before-event",
                    test_counter_before_event);
    g_test_add_func("/migration/spec-2/first-pass-is-one",
                    test_first_pass_is_one);
    g_test_add_func("/migration/spec-2/same-comparison",
                    test_same_comparison);
    g_test_add_func("/migration/spec-2/linger", test_linger);
    g_test_add_func("/migration/spec-2/never-on-a-fast-number",
                    test_never_on_a_fast_number);
    g_test_add_func("/migration/spec-2/idle-guest", test_idle_guest);
    g_test_add_func("/migration/spec-2/terabyte-guest", test_terabyte_guest);
    g_test_add_func("/migration/spec-2/guest-faster-than-wire",
                    test_guest_faster_than_wire);
    g_test_add_func("/migration/spec-2/stall/large-device-clean-ram",
                    test_large_device_clean_ram);
    g_test_add_func("/migration/spec-2/stall/large-device-nearly-clean-ram",
                    test_large_device_nearly_clean_ram);
    g_test_add_func("/migration/spec-2/stall/acknowledgement-owed",
                    test_acknowledgement_owed);
    g_test_add_func("/migration/spec-2/stall/pause-asked", test_pause_asked);
    g_test_add_func("/migration/spec-2/stall/limit-of-zero",
                    test_limit_of_zero);
    g_test_add_func("/migration/spec-2/stall/cut-short", test_wait_cut_short);
    g_test_add_func("/migration/spec-2/stopped", test_stopped);
    g_test_add_func("/migration/spec-2/postcopy/waits", test_postcopy_waits);
    g_test_add_func("/migration/spec-2/postcopy/starts",
                    test_postcopy_starts);
    g_test_add_func("/migration/spec-2/postcopy/large-device",
                    test_postcopy_large_device);
    g_test_add_func("/migration/spec-4/bursts-of-one", test_bursts_of_one);
    g_test_add_func("/migration/spec-1/garbage-sizes", test_garbage_sizes);
    g_test_add_func("/migration/spec-1/sum-does-not-wrap",
                    test_sum_does_not_wrap);
    return g_test_run();
}
