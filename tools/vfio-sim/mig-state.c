/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration state machine as two tables, and the way through it by search.
 * Pure functions: any thread, no locks.
 */
#include "mig-state.h"

#include <glib.h>

#define P2P VFIO_MIGRATION_P2P
#define PRE VFIO_MIGRATION_PRE_COPY

typedef struct StateInfo {
    const char *name;
    unsigned needs; /* features without which the state does not exist */
    bool has_data;
    bool runs;
    int rank; /* of two ways of one length, that over the lower rank is taken */
} StateInfo;

static const StateInfo states[SIM_MIG_STATES] = {
    [VFIO_DEVICE_STATE_ERROR] = {"error", 0, false, false, 0},
    [VFIO_DEVICE_STATE_STOP] = {"stop", 0, false, false, 3},
    [VFIO_DEVICE_STATE_RUNNING] = {"running", 0, false, true, 1},
    [VFIO_DEVICE_STATE_STOP_COPY] = {"stop-copy", 0, true, false, 6},
    [VFIO_DEVICE_STATE_RESUMING] = {"resuming", 0, true, false, 7},
    [VFIO_DEVICE_STATE_RUNNING_P2P] = {"running-p2p", P2P, false, true, 2},
    [VFIO_DEVICE_STATE_PRE_COPY] = {"pre-copy", PRE, true, true, 4},
    [VFIO_DEVICE_STATE_PRE_COPY_P2P] = {"pre-copy-p2p", PRE | P2P, true, true,
                                        5},
};

typedef struct Arc {
    unsigned from, to;
    unsigned absent; /* exists only without these features */
} Arc;

static const Arc arcs[] = {
    {VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_RUNNING, 0},
    {VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_PRE_COPY_P2P, 0},
    {VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_STOP_COPY, P2P},
    {VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_PRE_COPY, 0},
    {VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_RUNNING_P2P, 0},
    {VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_STOP_COPY, 0},
    {VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP, 0},
    {VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_PRE_COPY, 0},
    {VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_RUNNING_P2P, 0},
    {VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP, P2P},
    {VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_PRE_COPY_P2P, 0},
    {VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_RUNNING, 0},
    {VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_STOP, 0},
    {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING, 0},
    {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING, P2P},
    {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING_P2P, 0},
    {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY, 0},
    {VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP, 0},
};

const char *sim_mig_state_name(unsigned state)
{
    return state < SIM_MIG_STATES ? states[state].name : NULL;
}

bool sim_mig_state_offered(unsigned state, unsigned features)
{
    return state < SIM_MIG_STATES && !(states[state].needs & ~features);
}

bool sim_mig_state_has_data(unsigned state)
{
    return state < SIM_MIG_STATES && states[state].has_data;
}

bool sim_mig_state_runs(unsigned state)
{
    return state < SIM_MIG_STATES && states[state].runs;
}

bool sim_mig_is_arc(unsigned from, unsigned to, unsigned features)
{
    if (!sim_mig_state_offered(from, features) ||
        !sim_mig_state_offered(to, features)) {
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(arcs); i++) {
        if (arcs[i].from == from && arcs[i].to == to) {
            return !(arcs[i].absent & features);
        }
    }
    return false;
}

/* Pre-copy has to begin in a running device: its data would have no base. */
static bool is_blocked(unsigned from, unsigned to)
{
    return from == VFIO_DEVICE_STATE_STOP_COPY &&
           (to == VFIO_DEVICE_STATE_PRE_COPY ||
            to == VFIO_DEVICE_STATE_PRE_COPY_P2P);
}

unsigned sim_mig_next_state(unsigned from, unsigned to, unsigned features)
{
    int distance[SIM_MIG_STATES];
    unsigned best = VFIO_DEVICE_STATE_ERROR;
    bool moved = true;

    if (!sim_mig_state_offered(from, features) ||
        !sim_mig_state_offered(to, features) || is_blocked(from, to)) {
        return VFIO_DEVICE_STATE_ERROR;
    }
    if (from == to) {
        return to;
    }
    for (unsigned s = 0; s < SIM_MIG_STATES; s++) {
        distance[s] = s == to ? 0 : SIM_MIG_STATES;
    }
    while (moved) {
        moved = false;
        for (unsigned a = 0; a < SIM_MIG_STATES; a++) {
            for (unsigned b = 0; b < SIM_MIG_STATES; b++) {
                if (sim_mig_is_arc(a, b, features) &&
                    distance[b] + 1 < distance[a]) {
                    distance[a] = distance[b] + 1;
                    moved = true;
                }
            }
        }
    }
    for (unsigned s = 0; s < SIM_MIG_STATES; s++) {
        if (sim_mig_is_arc(from, s, features) &&
            distance[s] + 1 == distance[from] &&
            (best == VFIO_DEVICE_STATE_ERROR ||
             states[s].rank < states[best].rank)) {
            best = s;
        }
    }
    return best;
}
