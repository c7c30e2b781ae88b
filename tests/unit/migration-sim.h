/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A migration on virtual time: modules that are numbers, a wire with a speed,
 * a guest that dirties at a rate. What it sends, waits for or syncs moves its
 * clock and nothing else. For the tests of the loop and the predictor.
 */
#ifndef GODWIT_TESTS_MIGRATION_SIM_H
#define GODWIT_TESTS_MIGRATION_SIM_H

#include "migration/iterate.h"

#define SIM_MODULES_MAX 8
#define SIM_EVENTS_MAX 4096
#define SIM_BURSTS_MAX 64

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

typedef struct SimModule {
    const char *id;
    uint64_t size_bytes;        /* the guest's working set: most that is dirty */
    uint64_t dirty_bytes;       /* known to be dirty */
    uint64_t unsynced_bytes;    /* dirtied since the last exact query */
    uint64_t dirty_bps;
    uint64_t stopcopy_bytes;
    uint64_t produce_bps;       /* 0: as fast as the wire */
    int64_t sync_ns;            /* what an exact query costs */
    bool postcopy;              /* what is dirty may go after the switchover */
    bool lies;                  /* reports claim_*, sends nothing */
    MigPendingData claim;
    MigIterate lie_result;
    unsigned exact_queries, fast_queries;
} SimModule;

typedef struct Sim {
    Clock clock;                /* first: the clock is the Sim */
    int64_t now_ns;
    SimModule modules[SIM_MODULES_MAX];
    unsigned num_modules;
    uint64_t wire_bps;
    uint64_t rate_bps;          /* max-bandwidth; 0: none */
    int64_t rate_free_ns;       /* when the rate limit lets more out */
    MigStreamCounters counters;
    uint64_t header_bytes;      /* what an iterate with no data puts out */
    MigSwitchoverTerms terms;
    bool turns;                 /* an iterate serves one module, until it has
                                   no more */
    bool stopped;
    int64_t wait_cut_ns;        /* a wait ends after this at most; 0: never */
    int64_t busy_ns;            /* spent in anything but waits */
    int64_t waited_ns;
    unsigned waits;
    void (*on_pass)(struct Sim *sim, uint64_t pass);

    MigPending *pending;
    MigPredictor *predictor;
    MigLoop loop;

    /* What happened */
    uint64_t events[SIM_EVENTS_MAX];
    int64_t event_ns[SIM_EVENTS_MAX];
    unsigned num_events;
    MigBurst bursts[SIM_BURSTS_MAX];    /* the first ones */
    unsigned num_bursts;
    bool turn_ended;
    bool last_query_exact;
    int64_t downtime_ns;        /* what the blackout took: sim_switch_over() */
} Sim;

Sim *sim_new(uint64_t wire_bps);
void sim_free(Sim *sim);

/* A guest's memory: all of it to be sent, @working_set dirtied at @bps. */
SimModule *sim_add_ram(Sim *sim, uint64_t size, uint64_t working_set,
                       uint64_t bps);
SimModule *sim_add_device(Sim *sim, const char *id, uint64_t stopcopy);

void sim_begin(Sim *sim);

/* Steps until the loop is over or @ns of virtual time have passed. */
MigStep sim_run(Sim *sim, int64_t ns);

/* The guest stops, and what is left goes over the wire. */
void sim_switch_over(Sim *sim);

/* As query-migrate gives it. */
int64_t sim_expected_downtime_ms(Sim *sim);

#endif
