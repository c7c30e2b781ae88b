/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a migration goes through: the phases of the blackout, the statuses, and
 * the rates that are shown meanwhile (sections 4, 5 and 8).
 */
#include <string.h>

#include "migration-sim.h"
#include "migration/stats.h"
#include "migration/status.h"
#include "migration/switchover.h"

#define GBPS (UINT64_C(1000000000))

/* ---- the blackout's phases ---- */

static void test_phases(void)
{
    Sim *sim = sim_new(GBPS);
    MigSwitchover so;
    int64_t sum = 0;

    mig_switchover_init(&so, &sim->clock);
    g_assert_false(mig_switchover_enter(&so, MIG_PHASE_SYNC, 0));
    sim->now_ns = 10;
    mig_switchover_begin(&so, 99);
    g_assert_cmpint(so.start_ns, ==, 10);
    g_assert_false(mig_switchover_module(&so, "ram", 1));
    g_assert_true(mig_switchover_enter(&so, MIG_PHASE_SYNC, 15));
    g_assert_true(mig_switchover_enter(&so, MIG_PHASE_MODULES, 17));
    g_assert_true(mig_switchover_module(&so, "ram", 20));
    g_assert_true(mig_switchover_module(&so, "vfio", 5));
    g_assert_true(mig_switchover_enter(&so, MIG_PHASE_DEVICE_STATES, 50));
    /* The other side was quicker than this one noticed: not less than 0. */
    g_assert_true(mig_switchover_enter(&so, MIG_PHASE_LOAD, 60));
    g_assert_true(mig_switchover_enter(&so, MIG_PHASE_START, 58));
    g_assert_false(mig_switchover_enter(&so, MIG_PHASE_LOAD, 61));
    g_assert_true(mig_switchover_enter(&so, MIG_PHASE_DONE, 70));
    g_assert_true(mig_switchover_is_done(&so));
    g_assert_cmpint(so.total_ns, ==, 60);
    g_assert_cmpuint(so.num_parts, ==, 8);
    for (unsigned i = 0; i < so.num_parts; i++) {
        g_assert_cmpint(so.parts[i].ns, >=, 0);
        sum += so.parts[i].ns;
    }
    g_assert_cmpint(sum, ==, so.total_ns);
    g_assert_cmpstr(so.parts[0].name, ==, "stop vCPUs");
    g_assert_cmpint(so.parts[0].ns, ==, 5);
    g_assert_cmpint(so.parts[4].ns, ==, 8);
    sim_free(sim);
}

typedef struct PhaseList {
    bool snapshot;
    unsigned num;
    struct { MigPhase phase; bool may_be_left_out; } list[12];
} PhaseList;

static const PhaseList phase_lists[] = {
    { false, 8, {
        { MIG_PHASE_STOP, false }, { MIG_PHASE_PAUSE, true },
        { MIG_PHASE_SYNC, false }, { MIG_PHASE_MODULES, false },
        { MIG_PHASE_DEVICE_STATES, false }, { MIG_PHASE_LOAD, true },
        { MIG_PHASE_START, true }, { MIG_PHASE_DONE, false } } },
    { true, 5, {
        { MIG_PHASE_STOP, false }, { MIG_PHASE_DEVICE_STATES, false },
        { MIG_PHASE_PROTECT, false }, { MIG_PHASE_RESUME, false },
        { MIG_PHASE_DONE, false } } },
};

static bool phase_may_follow(const PhaseList *l, unsigned at, MigPhase to)
{
    for (unsigned i = at + 1; i < l->num; i++) {
        if (l->list[i].phase == to) {
            return true;
        }
        if (!l->list[i].may_be_left_out) {
            break;
        }
    }
    return false;
}

static void begin_phases(const PhaseList *l, MigSwitchover *so, Clock *clock)
{
    mig_switchover_init(so, clock);
    if (l->snapshot) {
        mig_switchover_begin_snapshot(so);
    } else {
        mig_switchover_begin(so, 0);
    }
}

/* Every order but the right one is refused: all pairs. */
static void test_phase_order(void)
{
    Sim *sim = sim_new(GBPS);

    for (unsigned n = 0; n < G_N_ELEMENTS(phase_lists); n++) {
        const PhaseList *l = &phase_lists[n];

        for (unsigned at = 0; at < l->num; at++) {
            for (int to = MIG_PHASE_NONE; to <= MIG_PHASE__MAX; to++) {
                MigSwitchover so;

                begin_phases(l, &so, &sim->clock);
                for (unsigned i = 1; i <= at; i++) {
                    g_assert_true(mig_switchover_enter(&so, l->list[i].phase,
                                                       0));
                }
                g_assert_cmpint(so.phase, ==, l->list[at].phase);
                g_assert_cmpint(mig_switchover_enter(&so, to, 0), ==,
                                phase_may_follow(l, at, to));
            }
        }
    }
    sim_free(sim);
}

/* ---- statuses ---- */

#define S(_name) MIGRATION_STATUS_##_name

/* The documented ways through a migration, each move of which must be legal. */
static const MigrationStatus ways[][12] = {
    { S(NONE), S(SETUP), S(ACTIVE), S(DEVICE), S(COMPLETED), S(SETUP) },
    { S(NONE), S(SETUP), S(ACTIVE), S(PRE_SWITCHOVER), S(DEVICE),
      S(COMPLETED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(COMPLETED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(POSTCOPY_ACTIVE), S(COMPLETED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(POSTCOPY_ACTIVE), S(FAILING),
      S(FAILED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(POSTCOPY_ACTIVE), S(CANCELLING),
      S(CANCELLED) },
    { S(NONE), S(SETUP), S(FAILED), S(SETUP) },
    { S(NONE), S(SETUP), S(FAILING), S(FAILED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(FAILING), S(FAILED), S(SETUP) },
    { S(NONE), S(SETUP), S(ACTIVE), S(PRE_SWITCHOVER), S(FAILING),
      S(FAILED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(DEVICE), S(FAILING), S(FAILED) },
    { S(NONE), S(SETUP), S(CANCELLING), S(CANCELLED), S(SETUP) },
    { S(NONE), S(SETUP), S(ACTIVE), S(CANCELLING), S(CANCELLED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(PRE_SWITCHOVER), S(CANCELLING),
      S(CANCELLED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(DEVICE), S(CANCELLING), S(CANCELLED) },
    /* Postcopy, whose connection breaks */
    { S(NONE), S(SETUP), S(ACTIVE), S(POSTCOPY_DEVICE), S(POSTCOPY_ACTIVE),
      S(POSTCOPY_PAUSED), S(POSTCOPY_RECOVER_SETUP), S(POSTCOPY_RECOVER),
      S(POSTCOPY_ACTIVE), S(COMPLETED) },
    { S(NONE), S(SETUP), S(ACTIVE), S(PRE_SWITCHOVER), S(POSTCOPY_DEVICE),
      S(POSTCOPY_ACTIVE) },
    /* ... at the destination, */
    { S(POSTCOPY_ACTIVE), S(POSTCOPY_PAUSED), S(POSTCOPY_RECOVER),
      S(POSTCOPY_PAUSED) },
    /* ... and at a source that does not get another one */
    { S(POSTCOPY_PAUSED), S(POSTCOPY_RECOVER_SETUP), S(POSTCOPY_PAUSED) },
    { S(POSTCOPY_DEVICE), S(FAILING), S(FAILED) },
    { S(POSTCOPY_PAUSED), S(FAILING), S(FAILED) },
    { S(POSTCOPY_RECOVER_SETUP), S(FAILING), S(FAILED) },
    { S(POSTCOPY_RECOVER), S(FAILING), S(FAILED) },
    { S(POSTCOPY_DEVICE), S(CANCELLING), S(CANCELLED) },
    { S(POSTCOPY_PAUSED), S(CANCELLING), S(CANCELLED) },
    { S(POSTCOPY_RECOVER_SETUP), S(CANCELLING), S(CANCELLED) },
    { S(POSTCOPY_RECOVER), S(CANCELLING), S(CANCELLED) },
};

static void test_status_moves(void)
{
    bool used[MIGRATION_STATUS__MAX][MIGRATION_STATUS__MAX] = { { false } };
    bool reached[MIGRATION_STATUS__MAX] = { [S(NONE)] = true };
    bool grew = true;

    for (guint w = 0; w < G_N_ELEMENTS(ways); w++) {
        for (int i = 0; i < 11 && ways[w][i + 1]; i++) {
            used[ways[w][i]][ways[w][i + 1]] = true;
        }
    }
    /* The table has these moves and no others. */
    for (int from = 0; from < MIGRATION_STATUS__MAX; from++) {
        for (int to = 0; to < MIGRATION_STATUS__MAX; to++) {
            MigrationStatus st = from;

            g_assert_cmpint(mig_status_may_set(from, to), ==, used[from][to]);
            g_assert_cmpint(mig_status_set(&st, from, to), ==, used[from][to]);
            g_assert_cmpint(st, ==, used[from][to] ? to : from);
            st = S(NONE);
            if (from != S(NONE)) {
                g_assert_false(mig_status_set(&st, from, to));
            }
        }
    }
    /* From everywhere that can be reached, a new migration can be. */
    while (grew) {
        grew = false;
        for (int from = 0; from < MIGRATION_STATUS__MAX; from++) {
            for (int to = 0; to < MIGRATION_STATUS__MAX; to++) {
                if (reached[from] && used[from][to] && !reached[to]) {
                    reached[to] = grew = true;
                }
            }
        }
    }
    for (int st = 0; st < MIGRATION_STATUS__MAX; st++) {
        if (reached[st] && st != S(NONE)) {
            /* What runs can be cancelled, or is ending already. */
            g_assert_true(!mig_status_is_running(st) ||
                          used[st][S(CANCELLING)] || st == S(CANCELLING) ||
                          st == S(FAILING));
            g_assert_true(mig_status_is_running(st) || used[st][S(SETUP)]);
        }
    }
}

/* ---- rates ---- */

static void test_stats(void)
{
    MigStats st = { 0 };

    mig_stats_begin(&st, SEC);
    mig_stats_sample(&st, SEC + MS, 1000, 10);
    g_assert_cmpuint(mig_stats_bytes_per_sec(&st), ==, 0);
    mig_stats_sample(&st, SEC + 100 * MS, 1000, 10);
    g_assert_cmpuint(mig_stats_bytes_per_sec(&st), ==, 10000);
    g_assert_cmpuint(mig_stats_pages_per_sec(&st), ==, 100);
    mig_stats_sample(&st, SEC + 300 * MS, 1000, 10);
    g_assert_cmpuint(mig_stats_bytes_per_sec(&st), ==, 0);
    mig_stats_end(&st, 0, 1, 1);
    mig_stats_end(&st, 2 * SEC, 5000, 500);
    g_assert_cmpuint(mig_stats_bytes_per_sec(&st), ==, 2500);
    g_assert_cmpuint(mig_stats_pages_per_sec(&st), ==, 250);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/spec-4/phases", test_phases);
    g_test_add_func("/migration/spec-4/phase-order", test_phase_order);
    g_test_add_func("/migration/status/moves", test_status_moves);
    g_test_add_func("/migration/stats", test_stats);
    return g_test_run();
}
