/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of an outgoing migration while the guest runs: query, decide,
 * iterate or end the pass or let the switchover go. Decisions only: clock,
 * modules, channel and waiting are handed in.
 *
 * One thread runs the loop; the pass counter may be read by any.
 */
#ifndef GODWIT_MIGRATION_ITERATE_H
#define GODWIT_MIGRATION_ITERATE_H

#include <stdbool.h>
#include <stdint.h>

#include "migration/pending.h"
#include "migration/predict.h"

/* The bounded wait between two passes for which nothing was sent. */
#define MIG_STALL_NS (50 * INT64_C(1000000))

/*
 * A pass that could be ended goes on sending for so long, if there is something
 * to send: what can leave while the guest runs does not belong in the blackout.
 */
#define MIG_LINGER_NS INT64_C(1000000000)

/* What one step came to. */
typedef enum MigStep {
    MIG_STEP_ITERATED,          /* a chunk was sent */
    MIG_STEP_PASS_ENDED,        /* slow query, counter, event */
    MIG_STEP_WAITED,            /* for the rate limit, or because of a stall */
    MIG_STEP_SWITCHOVER,        /* an exact number allows it: over */
    MIG_STEP_STOPPED,           /* ops->stopped() said so: over */
    MIG_STEP_ERROR,             /* errp is set: over */
} MigStep;

/* All are called by the thread that runs the loop. */
typedef struct MigLoopOps {
    /* savevm_query_pending() */
    void (*query)(void *opaque, bool exact, GArray *modules);
    /* savevm_iterate(): a chunk of some milliseconds */
    MigIterate (*iterate)(void *opaque, Error **errp);
    /* savevm_turn_ended(): the next iterate may be another module's */
    bool (*turn_ended)(void *opaque);
    /* What has left, and the time that took */
    void (*counters)(void *opaque, MigStreamCounters *counters);
    /* How long until the rate limit lets more out, ns; 0: now */
    int64_t (*rate_wait_ns)(void *opaque);
    /*
     * Sleeps for @ns at most: returns early if a setting changes or somebody
     * asks for something.
     */
    void (*wait)(void *opaque, int64_t ns);
    /* Cancelled, or failed elsewhere: end the loop */
    bool (*stopped)(void *opaque);
    /* What must hold now for the switchover */
    void (*terms)(void *opaque, MigSwitchoverTerms *terms);
    /*
     * Time to ask when @burst (ping_ns is not set) has arrived. False: not
     * now, an answer is still out. May be NULL.
     */
    bool (*burst_ended)(void *opaque, const MigBurst *burst);
    /* A new pass has begun: counter and record say so already */
    void (*pass_begun)(void *opaque, uint64_t pass);
} MigLoopOps;

typedef struct MigLoop {
    /* Constant */
    const MigLoopOps *ops;
    void *opaque;
    Clock *clock;
    MigPending *pending;
    MigPredictor *predictor;

    /* The loop's thread */
    uint64_t sent_at_pass;      /* counters.sent_bytes when the pass began */
    int64_t pass_begun_ns;
    int64_t synced_ns;          /* of the last exact query */
    int64_t linger_end_ns;      /* 0: this pass could not be ended so far */
    bool waited;                /* since the pass began */
    bool no_more;               /* iterate said DONE since the pass began */
    bool iterated;              /* since the last query: it shows what left */
    unsigned short_passes;      /* in a row, since the terms changed */
    MigSwitchoverTerms terms;   /* when last looked at */
    GArray *before;             /* of SaveVMModule: the last query's */
    MigStreamCounters counters; /* ... and what had been sent by then */
    MigBurst burst;             /* bytes 0: none has begun */
    GArray *burst_of;           /* of BurstShare: whose bytes they are */
    MigBurst flowing;           /* the last piece since a pause; or none's */
    MigForecast forecast;       /* of the last exact query */

    /* Atomic */
    uint64_t pass;              /* 0 before the loop; 1 in the first pass */
} MigLoop;

/*
 * Begins the first pass: modules are set up, and @pending is begun, with
 * ops->query as the source. What is handed in must outlive mig_loop_clear(),
 * after which only mig_loop_pass() and forecast are of use.
 */
void mig_loop_init(MigLoop *loop, const MigLoopOps *ops, void *opaque,
                   Clock *clock, MigPending *pending,
                   MigPredictor *predictor);
void mig_loop_clear(MigLoop *loop);

MigStep mig_loop_step(MigLoop *loop, Error **errp);

/* Steps until one of the last three. */
MigStep mig_loop_run(MigLoop *loop, Error **errp);

/* Any thread. */
uint64_t mig_loop_pass(const MigLoop *loop);

#endif
