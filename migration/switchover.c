/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The phases of the blackout and their clock: see switchover.h. No lock of its
 * own, no system call but the clock's.
 */
#include "migration/switchover.h"

typedef enum PhaseRule { MUST, MAY, NEVER } PhaseRule;

typedef struct PhaseInfo {
    const char *name;
    PhaseRule move, snapshot;   /* whether it may be left out */
} PhaseInfo;

static const PhaseInfo phases[MIG_PHASE__MAX] = {
    [MIG_PHASE_NONE] = { "none", MUST, MUST },
    [MIG_PHASE_STOP] = { "stop vCPUs", MUST, MUST },
    [MIG_PHASE_PAUSE] = { "pre-switchover pause", MAY, NEVER },
    [MIG_PHASE_SYNC] = { "final sync", MUST, NEVER },
    [MIG_PHASE_MODULES] = { "other modules", MUST, NEVER },
    [MIG_PHASE_DEVICE_STATES] = { "device states", MUST, MUST },
    [MIG_PHASE_LOAD] = { "destination load", MAY, NEVER },
    [MIG_PHASE_START] = { "destination start", MAY, NEVER },
    [MIG_PHASE_PROTECT] = { "write protection", NEVER, MUST },
    [MIG_PHASE_RESUME] = { "start vCPUs", NEVER, MUST },
    [MIG_PHASE_DONE] = { "done", MUST, MUST },
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

void mig_switchover_begin_snapshot(MigSwitchover *so)
{
    mig_switchover_begin(so, -1);
    so->snapshot = true;
}

static void add_part(MigSwitchover *so, const char *name, int64_t ns)
{
    if (so->num_parts == MIG_SWITCHOVER_PARTS_MAX) {
        so->parts[so->num_parts - 1].ns += ns;
        return;
    }
    so->parts[so->num_parts++] = (MigSwitchoverPart) { name, ns };
}

static PhaseRule rule_of(const MigSwitchover *so, MigPhase phase)
{
    return so->snapshot ? phases[phase].snapshot : phases[phase].move;
}

/* Whether @next may follow: what must be is not left out. */
static bool may_enter(const MigSwitchover *so, MigPhase next)
{
    if (so->phase == MIG_PHASE_NONE || next <= so->phase ||
        next >= MIG_PHASE__MAX || rule_of(so, next) == NEVER) {
        return false;
    }
    for (MigPhase p = so->phase + 1; p < next; p++) {
        if (rule_of(so, p) == MUST) {
            return false;
        }
    }
    return true;
}

bool mig_switchover_enter(MigSwitchover *so, MigPhase next, int64_t at_ns)
{
    int64_t ns;

    if (!may_enter(so, next)) {
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
