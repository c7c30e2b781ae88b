/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long the guest would stand still if it were switched over now: the one
 * function behind expected-downtime and behind the decision, and what it has
 * learned. docs/devel/migration.rst lists its terms.
 *
 * A predictor lives as long as its Migration: bandwidth is forgotten when an
 * attempt begins, what a blackout has taught is kept. Any thread; one lock, a
 * leaf. It has no clock: who tells it something says when.
 */
#ifndef GODWIT_MIGRATION_PREDICT_H
#define GODWIT_MIGRATION_PREDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "migration/pending.h"
#include "migration/stream-owner.h"

/* Cost of a switchover that does not grow with what is left. */
typedef enum MigFixed {
    MIG_FIXED_STOP,             /* until no vCPU runs */
    MIG_FIXED_SYNC,             /* the last slow query */
    MIG_FIXED_DEVICE_STATES,    /* saving and sending them */
    MIG_FIXED_LOAD,             /* loading them, from when all has left */
    MIG_FIXED_START,            /* from there until the guest may run */
    MIG_FIXED__MAX
} MigFixed;

/* Nanoseconds; cannot overflow, whatever sizes modules report. */
typedef unsigned __int128 MigNs;

typedef struct MigForecast {
    bool known;                 /* there is a bandwidth */
    uint64_t bandwidth_bps;     /* bytes a second; if known */
    MigNs wire_ns;              /* total_bytes over bandwidth */
    MigNs transfer_ns;          /* ... with what is not known to be dirty yet,
                                   or by what is slower than the wire */
    MigNs fixed_ns;
    MigNs downtime_ns;          /* transfer + fixed */
    bool only_stopped;          /* what is left can be read of a stopped guest
                                   only */
} MigForecast;

/* What else must hold for the switchover. */
typedef struct MigSwitchoverTerms {
    uint64_t downtime_limit_ms;
    uint64_t avail_bandwidth_bps; /* avail-switchover-bandwidth; 0: not set */
    unsigned acks_owed;
    bool pause_asked;
    bool guest_stopped;         /* by somebody else, before */
    bool postcopy;              /* the switchover leaves postcopy_bytes behind */
} MigSwitchoverTerms;

/* Bytes that left the modules' accounts without a pause. */
typedef struct MigBurst {
    uint64_t bytes;
    int64_t start_ns;
    int64_t ping_ns;            /* when a PING was sent behind them */
    /* The module that nearly all of them are of; NULL: there is none */
    const char *idstr;
    uint32_t instance;
} MigBurst;

typedef struct MigPredictor MigPredictor;

MigPredictor *mig_predictor_new(void);
void mig_predictor_free(MigPredictor *p);

/* A new attempt begins. */
void mig_predictor_begin(MigPredictor *p);

/* ---- learning ---- */

/* The stream's counters as of @now_ns; @pause: nothing is sent for a while. */
void mig_predictor_sent(MigPredictor *p, int64_t now_ns,
                        const MigStreamCounters *counters, bool pause);

/* @bytes were sent in @ns of sending, nearly all of them a module's. */
void mig_predictor_module_sent(MigPredictor *p, const char *idstr,
                               uint32_t instance, uint64_t bytes, int64_t ns,
                               int64_t now_ns);

/*
 * @bytes left the account of a module in @ns inside its iterate hook, in @own_ns
 * of which it was not waiting for the wire, as far as that is known.
 */
void mig_predictor_module_iterated(MigPredictor *p, const char *idstr,
                                   uint32_t instance, uint64_t bytes,
                                   int64_t ns, int64_t own_ns, int64_t now_ns);
/*
 * An exact query found @bytes more than the fast one right before it: they
 * have come up in the @ns since the last exact one.
 */
void mig_predictor_module_dirtied(MigPredictor *p, const char *idstr,
                                  uint32_t instance, uint64_t bytes,
                                  int64_t ns);
/* A module moved @bytes in @ns of blackout; @idstr is valid for ever. */
void mig_predictor_module_completed(MigPredictor *p, const char *idstr,
                                    uint32_t instance, uint64_t bytes,
                                    int64_t ns);

/* The PING behind @burst was answered at @now_ns. */
void mig_predictor_accepted(MigPredictor *p, const MigBurst *burst,
                            int64_t now_ns);

/* A PING with nothing in front of it was answered after @ns. */
void mig_predictor_round_trip(MigPredictor *p, int64_t ns);

/* A part of a blackout that bytes do not explain took @ns, until @now_ns. */
void mig_predictor_fixed(MigPredictor *p, MigFixed what, int64_t ns,
                         int64_t now_ns);

/* ---- asking ---- */

/*
 * The bandwidth to plan with, bytes per second, at least 1: @avail_bps if not
 * 0, else the measured one, for what @rec says is left (NULL: for what was
 * sent). False: none yet. There is one once 256 KiB or
 * 100 ms have passed since the first byte.
 */
bool mig_predictor_bandwidth(MigPredictor *p, int64_t now_ns,
                             uint64_t avail_bps, const MigRecord *rec,
                             uint64_t *bps);

/* @rec with its modules; rec->postcopy: without what comes afterwards. */
void mig_predictor_forecast(MigPredictor *p, int64_t now_ns,
                            const MigRecord *rec, uint64_t avail_bps,
                            MigForecast *f);

/* What expected-downtime says: rounded up, the limit before it is known. */
int64_t mig_forecast_ms(const MigForecast *f, uint64_t downtime_limit_ms);

/* The decision, by any numbers; see iterate.c for which are good enough. */
bool mig_forecast_fits(const MigForecast *f, const MigSwitchoverTerms *terms);
bool mig_forecast_may_switch_over(const MigForecast *f,
                                  const MigSwitchoverTerms *terms);

/* What a module has shown it can do, bytes per second; false: not known. */
bool mig_predictor_module_rate(MigPredictor *p, const char *idstr,
                               uint32_t instance, uint64_t *bps);

#endif
