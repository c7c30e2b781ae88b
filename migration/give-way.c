/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stepping aside: give-way.h. Its owner's thread; no lock. */
#include <glib.h>
#include <sched.h>

#include "migration/give-way.h"
#include "trace/trace-migration.h"

void give_way_yield(void)
{
    sched_yield();
}

void give_way_init(GiveWay *g, Clock *clock, void (*yield)(void))
{
    *g = (GiveWay) { .clock = clock, .yield = yield };
}

bool give_way(GiveWay *g)
{
    int64_t start = clock_now_ns(g->clock), end, given;

    if (start < g->next_ns) {
        return false;
    }
    g->yield();
    end = clock_now_ns(g->clock);
    given = end - start;
    g->next_ns = end + MAX(GIVE_WAY_NS, given * GIVE_WAY_RUN);
    trace_postcopy_give_way(given, g->next_ns - end);
    return true;
}
