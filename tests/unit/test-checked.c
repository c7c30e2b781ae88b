/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checked and saturating arithmetic at its edges. */
#include <glib.h>

#include "util/checked.h"

static void test_checked(void)
{
    uint64_t res = 7;

    g_assert_true(checked_add_u64(UINT64_MAX - 1, 1, &res));
    g_assert_cmpuint(res, ==, UINT64_MAX);
    g_assert_false(checked_add_u64(UINT64_MAX, 1, &res));
    g_assert_cmpuint(res, ==, UINT64_MAX);
    g_assert_true(checked_mul_u64(UINT64_C(1) << 32, UINT32_MAX, &res));
    g_assert_false(checked_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &res));
}

static void test_saturating(void)
{
    g_assert_cmpuint(sat_add_u64(UINT64_MAX, UINT64_MAX), ==, UINT64_MAX);
    g_assert_cmpuint(sat_add_u64(1, 2), ==, 3);
    g_assert_cmpuint(sat_sub_u64(1, 2), ==, 0);
    g_assert_cmpuint(sat_mul_u64(UINT64_MAX, 2), ==, UINT64_MAX);
    g_assert_cmpuint(sat_muldiv_u64(UINT64_MAX, 1000, 1000), ==, UINT64_MAX);
    g_assert_cmpuint(sat_muldiv_u64(UINT64_MAX, 1000, 1), ==, UINT64_MAX);
    g_assert_cmpuint(sat_muldiv_u64(10, 10, 3), ==, 33);
    g_assert_cmpuint(sat_muldiv_u64(1, 1, 0), ==, UINT64_MAX);
    g_assert_cmpuint(sat_muldiv_u64(0, 1, 0), ==, 0);
}

static void test_range(void)
{
    g_assert_true(range_fits_u64(0, 0, 0));
    g_assert_true(range_fits_u64(10, 90, 100));
    g_assert_false(range_fits_u64(10, 91, 100));
    g_assert_false(range_fits_u64(101, 0, 100));
    g_assert_false(range_fits_u64(UINT64_MAX, UINT64_MAX, 100));
    g_assert_false(range_fits_u64(1, UINT64_MAX, UINT64_MAX));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checked/checked", test_checked);
    g_test_add_func("/checked/saturating", test_saturating);
    g_test_add_func("/checked/range", test_range);
    return g_test_run();
}
