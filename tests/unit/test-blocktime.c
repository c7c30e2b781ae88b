/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For how long harts wait for pages, on a clock that the test moves. */
#include "migration/blocktime.h"

static int64_t now;

static int64_t get_now(Clock *clock)
{
    (void)clock;
    return now;
}

static Clock test_clock = { get_now };
static const uint32_t tids[] = { 100, 200 };

#define MS INT64_C(1000000)

static uint32_t blocked(const MigrationInfo *info, unsigned n)
{
    uint32List *l = info->postcopy_vcpu_blocktime;

    while (n--) {
        l = l->next;
    }
    return l->value;
}

static MigrationInfo *fill(Blocktime *bt)
{
    MigrationInfo *info = g_new0(MigrationInfo, 1);

    blocktime_fill(bt, info);
    return info;
}

/* 100 waits from 0 to 30 ms, 200 from 10 to 20: both for 10 ms. */
static void test_overlap(void)
{
    Blocktime *bt = blocktime_new(&test_clock, tids, 2);
    MigrationInfo *info;

    now = 0;
    blocktime_begins(bt, 100);
    now = 10 * MS;
    blocktime_begins(bt, 200);
    now = 15 * MS;
    info = fill(bt);
    g_assert_cmpuint(info->postcopy_blocktime, ==, 5);
    g_assert_cmpuint(blocked(info, 0), ==, 15);
    g_assert_cmpuint(blocked(info, 1), ==, 5);
    qapi_free_MigrationInfo(info);
    now = 20 * MS;
    blocktime_ends(bt, 200, 10 * MS);
    now = 30 * MS;
    blocktime_ends(bt, 100, 30 * MS);
    now = 99 * MS;
    info = fill(bt);
    g_assert_cmpuint(info->postcopy_blocktime, ==, 10);
    g_assert_cmpuint(blocked(info, 0), ==, 30);
    g_assert_cmpuint(blocked(info, 1), ==, 10);
    g_assert_cmpuint(info->postcopy_vcpu_latency->value, ==, 30 * MS);
    g_assert_cmpuint(info->postcopy_vcpu_latency->next->value, ==, 10 * MS);
    g_assert_null(info->postcopy_vcpu_latency->next->next);
    g_assert_cmpuint(info->postcopy_non_vcpu_latency, ==, 0);
    qapi_free_MigrationInfo(info);
    blocktime_free(bt);
}

/* It has gone on and waits for another page before the first end is told. */
static void test_late_end(void)
{
    Blocktime *bt = blocktime_new(&test_clock, tids, 2);
    MigrationInfo *info;

    now = 0;
    blocktime_begins(bt, 100);
    now = 10 * MS;
    blocktime_begins(bt, 100);
    now = 11 * MS;
    blocktime_ends(bt, 100, 11 * MS);
    now = 30 * MS;
    blocktime_ends(bt, 100, 20 * MS);
    now = 50 * MS;
    info = fill(bt);
    g_assert_cmpuint(blocked(info, 0), ==, 30);
    qapi_free_MigrationInfo(info);
    blocktime_free(bt);
}

/* Threads that are no harts keep no hart waiting. */
static void test_others(void)
{
    Blocktime *bt = blocktime_new(&test_clock, tids, 2);
    MigrationInfo *info;

    now = 0;
    blocktime_begins(bt, 7);
    now = 4 * MS;
    blocktime_ends(bt, 7, 4 * MS);
    blocktime_ends(bt, 8, 2 * MS);
    info = fill(bt);
    g_assert_cmpuint(info->postcopy_blocktime, ==, 0);
    g_assert_cmpuint(blocked(info, 0), ==, 0);
    g_assert_cmpuint(info->postcopy_non_vcpu_latency, ==, 3 * MS);
    qapi_free_MigrationInfo(info);
    blocktime_free(bt);
}

/* A machine without harts never has all of them waiting. */
static void test_no_harts(void)
{
    Blocktime *bt = blocktime_new(&test_clock, NULL, 0);
    MigrationInfo *info;

    now = 0;
    blocktime_ends(bt, 7, MS);
    now = 50 * MS;
    info = fill(bt);
    g_assert_true(info->has_postcopy_blocktime);
    g_assert_cmpuint(info->postcopy_blocktime, ==, 0);
    g_assert_false(info->has_postcopy_vcpu_blocktime);
    qapi_free_MigrationInfo(info);
    blocktime_free(bt);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/blocktime/overlap", test_overlap);
    g_test_add_func("/migration/blocktime/late-end", test_late_end);
    g_test_add_func("/migration/blocktime/others", test_others);
    g_test_add_func("/migration/blocktime/no-harts", test_no_harts);
    return g_test_run();
}
