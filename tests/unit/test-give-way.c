/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often a thread steps aside, on a clock that the test moves. */
#include <glib.h>

#include "migration/give-way.h"

#define US INT64_C(1000)
#define MS (1000 * US)

static int64_t now, taken;      /* by whom it is given to, each time */
static unsigned times;

static int64_t get_now(Clock *clock)
{
    (void)clock;
    return now;
}

static Clock test_clock = { get_now };

static void yield(void)
{
    times++;
    now += taken;
}

/* Runs for @ns, a page of a microsecond after the other. What was given, ns. */
static int64_t run(GiveWay *g, int64_t ns)
{
    int64_t given = 0;

    for (int64_t ran = 0; ran < ns; ran += US) {
        unsigned before = times;
        int64_t start = now;
        bool gave = give_way(g);

        g_assert_true(gave == (times != before));
        given += now - start;
        now += US;
    }
    return given;
}

/* Nobody wants the CPU, or for some microseconds only. */
static void test_often(void)
{
    GiveWay g;

    now = 5 * MS;
    taken = times = 0;
    give_way_init(&g, &test_clock, yield);
    g_assert_true(give_way(&g));        /* somebody may be waiting already */
    g_assert_false(give_way(&g));
    now += GIVE_WAY_NS - 1;
    g_assert_false(give_way(&g));
    now += 1;
    g_assert_true(give_way(&g));
    g_assert_cmpuint(times, ==, 2);

    times = 0;
    taken = GIVE_WAY_NS / GIVE_WAY_RUN;
    run(&g, 100 * GIVE_WAY_NS);
    g_assert_cmpuint(times, >=, 99);
    g_assert_cmpuint(times, <=, 101);
}

/* Who computes keeps it to the next tick, and does not get it soon again. */
static void test_share(void)
{
    static const int64_t ticks[] = { 1 * MS, 4 * MS, 10 * MS };

    for (unsigned i = 0; i < G_N_ELEMENTS(ticks); i++) {
        int64_t given;
        GiveWay g;

        now = times = 0;
        taken = ticks[i];
        give_way_init(&g, &test_clock, yield);
        given = run(&g, 2000 * MS);
        g_assert_cmpuint(times, >, 1);
        g_assert_cmpint(given, >, 2000 * MS / GIVE_WAY_RUN / 2);
        /* The first is a present. */
        g_assert_cmpint(given - taken, <=, 2000 * MS / GIVE_WAY_RUN);
    }
}

/* ... and once it has gone it is as before. */
static void test_recovers(void)
{
    GiveWay g;

    now = 0;
    taken = 4 * MS;
    give_way_init(&g, &test_clock, yield);
    g_assert_true(give_way(&g));
    now += 4 * MS * GIVE_WAY_RUN - 1;
    g_assert_false(give_way(&g));
    now += 1;
    taken = 0;
    g_assert_true(give_way(&g));
    now += GIVE_WAY_NS;
    g_assert_true(give_way(&g));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/give-way/often", test_often);
    g_test_add_func("/migration/give-way/share", test_share);
    g_test_add_func("/migration/give-way/recovers", test_recovers);
    return g_test_run();
}
