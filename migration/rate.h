/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast something goes, learned from samples of bytes and nanoseconds.
 * Plain data, zeroed to begin with: no clock, no lock; whoever owns one
 * protects it. Nothing overflows, and no rate is 0.
 */
#ifndef GODWIT_MIGRATION_RATE_H
#define GODWIT_MIGRATION_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes over time; the older, the less they count. */
typedef struct MigRate {
    uint64_t bytes;
    uint64_t ns;
} MigRate;

void mig_rate_add(MigRate *r, uint64_t bytes, uint64_t ns);
/* Bytes a second. False: nothing has been added. */
bool mig_rate_get(const MigRate *r, uint64_t *bps);

/*
 * A rate of what is sent in windows of very different sizes. What is sent in
 * less than 64 KiB at a time says more of delays than of a rate, and counts
 * only where there is nothing else: the few pages of a pass of an idle guest
 * do not make a wire slow.
 */
#define MIG_WINDOW_MIN_BYTES (64 * UINT64_C(1024))

typedef struct MigMeasured {
    MigRate rate;
    MigRate tiny;
} MigMeasured;

void mig_measured_add(MigMeasured *m, uint64_t bytes, uint64_t ns);
bool mig_measured_get(const MigMeasured *m, uint64_t *bps);

/*
 * The rate of what comes in runs. What comes first in a run tells of the time
 * before it: a device gives at once what it has made ready meanwhile, and bytes
 * leave when those of others before them have. So the first 16 ms of each run
 * do not count, unless they are part of one sample with much more: a third of
 * the turn that a module has (savevm_iterate()), so that two thirds count.
 * Between two samples of one run lies the loop's own work alone, which is
 * microseconds; 2 ms mean that somebody else was served.
 */
#define MIG_RUN_WARM_UP_NS (16 * INT64_C(1000000))
#define MIG_RUN_GAP_NS (2 * INT64_C(1000000))

typedef struct MigRuns {
    MigRate steady;
    int64_t end_ns;             /* of the last sample, */
    int64_t run_ns;             /* ... and how long its run had been */
} MigRuns;

/* Of a sample that took @ns and ended at @now_ns. */
void mig_runs_add(MigRuns *r, uint64_t bytes, int64_t ns, int64_t now_ns);
/* False: no run has been long enough. */
bool mig_runs_get(const MigRuns *r, uint64_t *bps);
/*
 * The same where @all_bps, a rate that others and these runs have together, is
 * the best guess without them: it weighs as much as two warm-ups of measured
 * time, so that a few milliseconds of one module do not outweigh seconds of
 * all.
 */
uint64_t mig_runs_get_near(const MigRuns *r, uint64_t all_bps);

/*
 * The rate at which bursts are taken in by the other side: the median of the
 * bytes of the last ones. Some are held up; and a long one has less of what
 * does not depend on its bytes.
 */
#define MIG_BURSTS_KEPT 15

/* One with less says more about scheduling than about the other side. */
#define MIG_BURST_MIN_BYTES (256 * UINT64_C(1024))

typedef struct MigTaken {
    uint64_t bytes;
    uint64_t bps;
} MigTaken;

typedef struct MigAcceptance {
    MigTaken bursts[MIG_BURSTS_KEPT];   /* a ring */
    unsigned count;             /* so far */
} MigAcceptance;

/* A burst of @bytes took @ns, both more than 0. */
void mig_acceptance_add(MigAcceptance *a, uint64_t bytes, uint64_t ns);
bool mig_acceptance_get(const MigAcceptance *a, uint64_t *bps);

#endif
