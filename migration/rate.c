/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rates that are learned: see rate.h. Pure functions. */
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "migration/rate.h"
#include "util/checked.h"

#define NS_PER_SEC UINT64_C(1000000000)

/* So much is a rate. */
#define STEADY_MIN_BYTES (256 * UINT64_C(1024))

/* After so much measured time, what came before counts half. */
#define RATE_HALF_NS (NS_PER_SEC / 2)

void mig_rate_add(MigRate *r, uint64_t bytes, uint64_t ns)
{
    r->bytes = sat_add_u64(r->bytes, bytes);
    r->ns = sat_add_u64(r->ns, ns);
    while (r->ns > RATE_HALF_NS) {
        r->bytes /= 2;
        r->ns /= 2;
    }
}

bool mig_rate_get(const MigRate *r, uint64_t *bps)
{
    if (r->bytes == 0) {
        return false;
    }
    *bps = MAX(sat_muldiv_u64(r->bytes, NS_PER_SEC, r->ns), 1);
    return true;
}

void mig_measured_add(MigMeasured *m, uint64_t bytes, uint64_t ns)
{
    mig_rate_add(bytes < MIG_WINDOW_MIN_BYTES ? &m->tiny : &m->rate, bytes,
                 ns);
}

bool mig_measured_get(const MigMeasured *m, uint64_t *bps)
{
    return mig_rate_get(&m->rate, bps) || mig_rate_get(&m->tiny, bps);
}

void mig_runs_add(MigRuns *r, uint64_t bytes, int64_t ns, int64_t now_ns)
{
    if (now_ns - ns > r->end_ns + MIG_RUN_GAP_NS) {
        r->run_ns = 0;
    }
    if (r->run_ns >= MIG_RUN_WARM_UP_NS || ns >= 4 * MIG_RUN_WARM_UP_NS) {
        mig_rate_add(&r->steady, bytes, ns);
    }
    r->run_ns = MIN(r->run_ns + MIN(ns, MIG_RUN_WARM_UP_NS),
                    MIG_RUN_WARM_UP_NS);
    r->end_ns = now_ns;
}

bool mig_runs_get(const MigRuns *r, uint64_t *bps)
{
    return r->steady.bytes >= STEADY_MIN_BYTES &&
           mig_rate_get(&r->steady, bps);
}

uint64_t mig_runs_get_near(const MigRuns *r, uint64_t all_bps)
{
    const uint64_t guess_ns = 2 * MIG_RUN_WARM_UP_NS;
    uint64_t guess = sat_muldiv_u64(all_bps, guess_ns, NS_PER_SEC);

    if (r->steady.bytes == 0) {
        return MAX(all_bps, 1);
    }
    return MAX(sat_muldiv_u64(sat_add_u64(r->steady.bytes, guess), NS_PER_SEC,
                              sat_add_u64(r->steady.ns, guess_ns)), 1);
}

void mig_acceptance_add(MigAcceptance *a, uint64_t bytes, uint64_t ns)
{
    a->bursts[a->count++ % MIG_BURSTS_KEPT] = (MigTaken) {
        bytes, MAX(sat_muldiv_u64(bytes, NS_PER_SEC, ns), 1),
    };
}

static int compare_taken(const void *a, const void *b)
{
    uint64_t x = ((const MigTaken *)a)->bps, y = ((const MigTaken *)b)->bps;

    return (x > y) - (x < y);
}

bool mig_acceptance_get(const MigAcceptance *a, uint64_t *bps)
{
    MigTaken sorted[MIG_BURSTS_KEPT];
    unsigned count = MIN(a->count, MIG_BURSTS_KEPT), middle;
    uint64_t all = 0, below = 0;

    if (count == 0) {
        return false;
    }
    memcpy(sorted, a->bursts, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare_taken);
    for (unsigned i = 0; i < count; i++) {
        all = sat_add_u64(all, sorted[i].bytes);
    }
    for (middle = 0; middle + 1 < count; middle++) {
        below = sat_add_u64(below, sorted[middle].bytes);
        if (below > all / 2) {
            break;
        }
    }
    *bps = sorted[middle].bps;
    return true;
}
