/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The phases of the blackout and their clock: see switchover.h. No lock of its
 * own, no system call but the clock's.
 */
#include "migration/switchover.h"

typedef struct PhaseInfo {
    const char *name;
    bool optional;
} PhaseInfo;

static const PhaseInfo phases[MIG_PHASE__MAX] = {
    [MIG_PHASE_NONE] = { "none", false },
    [MIG_PHASE_STOP] = { "stop vCPUs", false },
    [MIG_PHASE_PAUSE] = { "pre-switchover pause", true },
    [MIG_PHASE_SYNC] = { "final sync", false },
    [MIG_PHASE_MODULES] = { "other modules", false },
    [MIG_PHASE_DEVICE_STATES] = { "device states", false },
    [MIG_PHASE_LOAD] = { "destination load", true },
    [MIG_PHASE_START] = { "destination start", true },
    [MIG_PHASE_DONE] = { "done", false },
};

void mig_switchover_init(MigSwitchover *so, Clock *clock)
{
    *so = (MigSwitchover) { .clock = clock, .predicted_ns = -1 };
}

void mig_switchover_begin(MigSwitchover *so, int64_t predicted_ns)
{
    mig_switchover_init(so, so->clock);
    so->predicted_ns = predicted_ns;
    so->start_ns = so->phase_ns = clock_now_ns(so->clock);
    so->phase = MIG_PHASE_STOP;
}

static void add_part(MigSwitchover *so, const char *name, int64_t ns)
{
    if (so->num_parts == MIG_SWITCHOVER_PARTS_MAX) {
        so->parts[so->num_parts - 1].ns += ns;
        return;
    }
    so->parts[so->num_parts++] = (MigSwitchoverPart) { name, ns };
}

/* Whether @next may follow: nothing but optional phases is left out. */
static bool may_enter(MigPhase from, MigPhase next)
{
    if (from == MIG_PHASE_NONE || next <= from || next >= MIG_PHASE__MAX) {
        return false;
    }
    for (MigPhase p = from + 1; p < next; p++) {
        if (!phases[p].optional) {
            return false;
        }
    }
    return true;
}

bool mig_switchover_enter(MigSwitchover *so, MigPhase next, int64_t at_ns)
{
    int64_t ns;

    if (!may_enter(so->phase, next)) {
        return false;
    }
    at_ns = MAX(at_ns, so->phase_ns);
    ns = at_ns - so->phase_ns;
    so->total_ns += ns;
    if (so->phase == MIG_PHASE_MODULES) {
        /* What the modules have accounted for is in their parts already. */
        if (ns > so->modules_ns) {
            add_part(so, phases[so->phase].name, ns - so->modules_ns);
        }
    } else {
        add_part(so, phases[so->phase].name, ns);
    }
    so->phase = next;
    so->phase_ns = at_ns;
    return true;
}

bool mig_switchover_module(MigSwitchover *so, const char *name, int64_t ns)
{
    if (so->phase != MIG_PHASE_MODULES) {
        return false;
    }
    add_part(so, name, ns);
    so->modules_ns += ns;
    return true;
}

bool mig_switchover_is_done(const MigSwitchover *so)
{
    return so->phase == MIG_PHASE_DONE;
}

char *mig_switchover_text(const MigSwitchover *so)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < so->num_parts; i++) {
        g_string_append_printf(text, "%s%s %.3f ms", i ? ", " : "",
                               so->parts[i].name,
                               (double)so->parts[i].ns / 1e6);
    }
    return g_string_free(text, FALSE);
}
