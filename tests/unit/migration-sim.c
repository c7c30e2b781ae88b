/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A migration on virtual time: see migration-sim.h. One thread. */
#include <string.h>

#include "migration-sim.h"
#include "util/checked.h"

#define CHUNK_NS (10 * MS)

static int64_t sim_clock_now(Clock *clock)
{
    return ((Sim *)clock)->now_ns;
}

static void advance(Sim *sim, int64_t ns)
{
    for (unsigned i = 0; i < sim->num_modules; i++) {
        SimModule *m = &sim->modules[i];
        uint64_t room = sat_sub_u64(m->size_bytes, m->unsynced_bytes);

        m->unsynced_bytes += MIN(sat_muldiv_u64(m->dirty_bps, ns, SEC), room);
    }
    sim->now_ns += ns;
}

static void work(Sim *sim, int64_t ns)
{
    advance(sim, ns);
    sim->busy_ns += ns;
}

static void sync_module(Sim *sim, SimModule *m)
{
    work(sim, m->sync_ns);
    /* A page that is dirty already does not get dirtier. */
    m->dirty_bytes = MIN(sat_add_u64(m->dirty_bytes, m->unsynced_bytes),
                         MAX(m->size_bytes, m->dirty_bytes));
    m->unsynced_bytes = 0;
}

static void sim_query(void *opaque, bool exact, GArray *modules)
{
    Sim *sim = opaque;

    sim->last_query_exact = exact;
    for (unsigned i = 0; i < sim->num_modules; i++) {
        SimModule *m = &sim->modules[i];
        SaveVMModule out = { .idstr = m->id, .postcopy = m->postcopy };

        *(exact ? &m->exact_queries : &m->fast_queries) += 1;
        if (exact) {
            sync_module(sim, m);
        }
        out.pending = m->lies ? m->claim : (MigPendingData) {
            .precopy_bytes = m->postcopy ? 0 : m->dirty_bytes,
            .postcopy_bytes = m->postcopy ? m->dirty_bytes : 0,
            .stopcopy_bytes = m->stopcopy_bytes,
        };
        out.iterate_ns = sim->busy_ns;
        g_array_append_val(modules, out);
    }
}

static void send_bytes(Sim *sim, SimModule *m, uint64_t bytes)
{
    int64_t wire_ns = sat_muldiv_u64(bytes, SEC, sim->wire_bps);
    int64_t made_ns = m->produce_bps
        ? (int64_t)sat_muldiv_u64(bytes, SEC, m->produce_bps) : 0;

    sim->counters.sent_bytes += bytes;
    sim->counters.send_ns += wire_ns;
    work(sim, MAX(wire_ns, made_ns));
    if (sim->rate_bps) {
        sim->rate_free_ns = MAX(sim->rate_free_ns, sim->now_ns - wire_ns) +
            (int64_t)sat_muldiv_u64(bytes, SEC, sim->rate_bps);
    }
}

static MigIterate sim_iterate(void *opaque, Error **errp)
{
    Sim *sim = opaque;
    MigIterate res = MIG_ITERATE_DONE;

    (void)errp;
    work(sim, 1000);
    sim->counters.sent_bytes += sim->header_bytes;
    for (unsigned i = 0; i < sim->num_modules; i++) {
        SimModule *m = &sim->modules[i];
        uint64_t bps = MIN(sim->wire_bps, m->produce_bps ?: UINT64_MAX);
        uint64_t chunk = MIN(m->dirty_bytes,
                             MAX(sat_muldiv_u64(bps, CHUNK_NS, SEC), 4096));

        if (m->lies) {
            res = MIN(res, m->lie_result);
            continue;
        }
        send_bytes(sim, m, chunk);
        m->dirty_bytes -= chunk;
        sim->turn_ended = m->dirty_bytes == 0;
        if (m->dirty_bytes || (sim->turns && chunk)) {
            res = MIG_ITERATE_MORE;
        }
        if (sim->turns && chunk) {
            break;
        }
    }
    return res;
}

static bool sim_turn_ended(void *opaque)
{
    return ((Sim *)opaque)->turn_ended;
}

static bool sim_burst_ended(void *opaque, const MigBurst *burst)
{
    Sim *sim = opaque;

    if (sim->num_bursts < SIM_BURSTS_MAX) {
        sim->bursts[sim->num_bursts++] = *burst;
    }
    return true;
}

static void sim_counters(void *opaque, MigStreamCounters *counters)
{
    *counters = ((Sim *)opaque)->counters;
}

static int64_t sim_rate_wait(void *opaque)
{
    Sim *sim = opaque;

    return sim->rate_bps ? MAX(sim->rate_free_ns - sim->now_ns, 0) : 0;
}

static void sim_wait(void *opaque, int64_t ns)
{
    Sim *sim = opaque;

    g_assert_cmpint(ns, >, 0);
    if (sim->wait_cut_ns) {
        ns = MIN(ns, sim->wait_cut_ns);
    }
    sim->waits++;
    sim->waited_ns += ns;
    advance(sim, ns);
}

static bool sim_stopped(void *opaque)
{
    return ((Sim *)opaque)->stopped;
}

static void sim_terms(void *opaque, MigSwitchoverTerms *terms)
{
    *terms = ((Sim *)opaque)->terms;
}

static void sim_pass_begun(void *opaque, uint64_t pass)
{
    Sim *sim = opaque;

    g_assert_cmpuint(sim->num_events, <, SIM_EVENTS_MAX);
    sim->event_ns[sim->num_events] = sim->now_ns;
    sim->events[sim->num_events++] = pass;
    if (sim->on_pass) {
        sim->on_pass(sim, pass);
    }
}

static const MigLoopOps sim_ops = {
    .query = sim_query,
    .iterate = sim_iterate,
    .turn_ended = sim_turn_ended,
    .counters = sim_counters,
    .rate_wait_ns = sim_rate_wait,
    .wait = sim_wait,
    .stopped = sim_stopped,
    .terms = sim_terms,
    .burst_ended = sim_burst_ended,
    .pass_begun = sim_pass_begun,
};

Sim *sim_new(uint64_t wire_bps)
{
    Sim *sim = g_new0(Sim, 1);

    sim->clock.now_ns = sim_clock_now;
    sim->now_ns = SEC;
    sim->wire_bps = wire_bps;
    sim->terms.downtime_limit_ms = 300;
    sim->pending = mig_pending_new(&sim->clock);
    sim->predictor = mig_predictor_new();
    return sim;
}

void sim_free(Sim *sim)
{
    mig_loop_clear(&sim->loop);
    mig_pending_free(sim->pending);
    mig_predictor_free(sim->predictor);
    g_free(sim);
}

SimModule *sim_add_ram(Sim *sim, uint64_t size, uint64_t working_set,
                       uint64_t bps)
{
    SimModule *m = &sim->modules[sim->num_modules++];

    m->id = "ram";
    m->size_bytes = working_set;
    m->dirty_bytes = size;
    m->dirty_bps = bps;
    m->sync_ns = MS / 10;
    return m;
}

SimModule *sim_add_device(Sim *sim, const char *id, uint64_t stopcopy)
{
    SimModule *m = &sim->modules[sim->num_modules++];

    m->id = id;
    m->stopcopy_bytes = stopcopy;
    m->sync_ns = MS / 10;
    return m;
}

void sim_begin(Sim *sim)
{
    mig_predictor_begin(sim->predictor);
    mig_pending_begin(sim->pending, sim_query, sim);
    mig_loop_init(&sim->loop, &sim_ops, sim, &sim->clock, sim->pending,
                  sim->predictor);
}

MigStep sim_run(Sim *sim, int64_t ns)
{
    int64_t end = sim->now_ns + ns;
    MigStep step;

    do {
        int64_t before = sim->now_ns + sim->num_events;

        step = mig_loop_step(&sim->loop, NULL);
        if (step == MIG_STEP_SWITCHOVER || step == MIG_STEP_STOPPED ||
            step == MIG_STEP_ERROR) {
            break;
        }
        /* Every step sends, waits or ends a pass: it never spins. */
        g_assert_cmpint(sim->now_ns + sim->num_events, >, before);
    } while (sim->now_ns < end);
    return step;
}

void sim_switch_over(Sim *sim)
{
    int64_t start = sim->now_ns;

    for (unsigned i = 0; i < sim->num_modules; i++) {
        SimModule *m = &sim->modules[i];

        m->dirty_bps = 0;
        sync_module(sim, m);
        send_bytes(sim, m, m->dirty_bytes);
        send_bytes(sim, m, m->stopcopy_bytes);
    }
    sim->downtime_ns = sim->now_ns - start;
}

int64_t sim_expected_downtime_ms(Sim *sim)
{
    MigForecast f;
    MigRecord rec;

    mig_pending_read(sim->pending, true, &rec);
    mig_predictor_forecast(sim->predictor, sim->now_ns, &rec,
                           sim->terms.avail_bandwidth_bps, &f);
    mig_record_clear(&rec);
    return mig_forecast_ms(&f, sim->terms.downtime_limit_ms);
}
