/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rates that are learned from samples. */
#include <glib.h>

#include "migration/rate.h"

#define MS UINT64_C(1000000)
#define SEC (1000 * MS)
#define KIB UINT64_C(1024)

static void test_rate(void)
{
    MigRate r = { 0 };
    uint64_t bps = 0;

    g_assert_false(mig_rate_get(&r, &bps));
    mig_rate_add(&r, 1000, 100 * MS);
    g_assert_true(mig_rate_get(&r, &bps));
    g_assert_cmpuint(bps, ==, 10000);
    /* Ten seconds at another rate: the first is all but forgotten. */
    for (int i = 0; i < 100; i++) {
        mig_rate_add(&r, 100, 100 * MS);
    }
    g_assert_true(mig_rate_get(&r, &bps));
    g_assert_cmpuint(bps, >=, 950);
    g_assert_cmpuint(bps, <=, 1050);
    /* Whatever is added. */
    mig_rate_add(&r, UINT64_MAX, UINT64_MAX);
    mig_rate_add(&r, UINT64_MAX, 0);
    g_assert_true(mig_rate_get(&r, &bps));
    g_assert_cmpuint(bps, >, 0);
}

static void test_measured(void)
{
    MigMeasured m = { 0 };
    uint64_t bps;

    g_assert_false(mig_measured_get(&m, &bps));
    /* There is nothing else. */
    mig_measured_add(&m, 8 * KIB, MS);
    g_assert_true(mig_measured_get(&m, &bps));
    g_assert_cmpuint(bps, ==, 8 * KIB * 1000);
    mig_measured_add(&m, 1024 * KIB, MS);
    for (int i = 0; i < 10000; i++) {
        mig_measured_add(&m, 8 * KIB, MS);
    }
    g_assert_true(mig_measured_get(&m, &bps));
    g_assert_cmpuint(bps, ==, 1024 * KIB * 1000);
}

/* A device that gives 200 MiB/s, and at once what it has of 10 ms before. */
static void test_runs(void)
{
    MigRuns r = { 0 };
    int64_t now = SEC;
    uint64_t bps;

    g_assert_false(mig_runs_get(&r, &bps));
    for (int run = 0; run < 3; run++) {
        now += 50 * MS;
        mig_runs_add(&r, 2048 * KIB, MS / 10, now += MS / 10);
        g_assert_cmpint(mig_runs_get(&r, &bps), ==, run > 0);
        for (int i = 0; i < 10; i++) {
            mig_runs_add(&r, 1024 * KIB, 5 * MS, now += 5 * MS);
        }
    }
    g_assert_true(mig_runs_get(&r, &bps));
    g_assert_cmpuint(bps, ==, 200 * 1024 * KIB);
    /* Short runs alone, with a pause before each, tell nothing. */
    r = (MigRuns) { 0 };
    for (int i = 0; i < 100; i++) {
        mig_runs_add(&r, 1024 * KIB, 5 * MS, now += 8 * MS);
    }
    g_assert_false(mig_runs_get(&r, &bps));
    /* A long sample tells enough. */
    mig_runs_add(&r, 1024 * KIB, 100 * MS, now += SEC);
    g_assert_true(mig_runs_get(&r, &bps));
    g_assert_cmpuint(bps, ==, 10 * 1024 * KIB);
    mig_runs_add(&r, UINT64_MAX, INT64_MAX, INT64_MAX);
    g_assert_true(mig_runs_get(&r, &bps));
}

/* A little that was measured of one does not outweigh what all have. */
static void test_runs_near(void)
{
    MigRuns r = { 0 };
    uint64_t all = 200 * 1024 * KIB;

    g_assert_cmpuint(mig_runs_get_near(&r, all), ==, all);
    g_assert_cmpuint(mig_runs_get_near(&r, 0), ==, 1);
    mig_runs_add(&r, 1024 * KIB, 64 * MS, SEC);
    /* 1 MiB in 64 ms, and 32 ms at 200 MiB/s. */
    g_assert_cmpuint(mig_runs_get_near(&r, all) / KIB, ==,
                     7400 * 1024 / 96);
    for (int i = 2; i < 100; i++) {
        mig_runs_add(&r, 1024 * KIB, 64 * MS, i * SEC);
    }
    g_assert_cmpuint(mig_runs_get_near(&r, all), <, 40 * 1024 * KIB);
    mig_runs_add(&r, UINT64_MAX, INT64_MAX, INT64_MAX);
    g_assert_cmpuint(mig_runs_get_near(&r, UINT64_MAX), >, 0);
}

static void test_acceptance(void)
{
    MigAcceptance a = { 0 };
    uint64_t bps;

    g_assert_false(mig_acceptance_get(&a, &bps));
    /* One long burst, and many short ones that were held up. */
    for (int i = 0; i < 5; i++) {
        mig_acceptance_add(&a, 10 * KIB, SEC);
    }
    mig_acceptance_add(&a, 1024 * KIB, SEC);
    g_assert_true(mig_acceptance_get(&a, &bps));
    g_assert_cmpuint(bps, ==, 1024 * KIB);
    /* Of equal ones the middle one; the oldest are forgotten. */
    for (uint64_t i = 1; i <= MIG_BURSTS_KEPT; i++) {
        mig_acceptance_add(&a, 100 * KIB, SEC / i);
    }
    g_assert_true(mig_acceptance_get(&a, &bps));
    g_assert_cmpuint(bps / KIB, ==, 100 * (MIG_BURSTS_KEPT + 1) / 2);
    mig_acceptance_add(&a, UINT64_MAX, 1);
    mig_acceptance_add(&a, 1, UINT64_MAX);
    g_assert_true(mig_acceptance_get(&a, &bps));
    g_assert_cmpuint(bps, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/spec-3/rate", test_rate);
    g_test_add_func("/migration/spec-3/small-windows", test_measured);
    g_test_add_func("/migration/spec-4/runs", test_runs);
    g_test_add_func("/migration/spec-3/runs-near", test_runs_near);
    g_test_add_func("/migration/spec-4/median-acceptance", test_acceptance);
    return g_test_run();
}
