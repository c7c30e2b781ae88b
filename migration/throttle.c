/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deciding on the throttle of auto-converge: see throttle.h. */
#include "migration/throttle.h"
#include "util/checked.h"

/* One period may be an accident; two in a row are not. */
#define HITS_MIN 2

/* What is added: less near the end, if tailslow says so and less will do. */
static uint64_t increment(const MigThrottle *t, const MigOptions *o,
                          uint64_t dirty, uint64_t allowed)
{
    uint64_t step = o->params[MIG_PARAM_CPU_THROTTLE_INCREMENT];
    uint64_t now = 100 - t->percent;

    if (o->params[MIG_PARAM_CPU_THROTTLE_TAILSLOW]) {
        uint64_t ideal = sat_muldiv_u64(now, allowed, dirty);

        step = MIN(step, sat_sub_u64(now, ideal));
    }
    return step;
}

unsigned mig_throttle_update(MigThrottle *t, const MigOptions *options,
                             uint64_t dirty, uint64_t sent)
{
    uint64_t allowed = sat_muldiv_u64(
        sent, options->params[MIG_PARAM_THROTTLE_TRIGGER_THRESHOLD], 100);
    uint64_t next;

    if (dirty <= allowed) {
        t->hits = 0;
        return t->percent;
    }
    if (++t->hits < HITS_MIN) {
        return t->percent;
    }
    t->hits = 0;
    next = t->percent ? t->percent + increment(t, options, dirty, allowed)
                      : options->params[MIG_PARAM_CPU_THROTTLE_INITIAL];
    t->percent = MIN(next, options->params[MIG_PARAM_MAX_CPU_THROTTLE]);
    return t->percent;
}
