/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmaps, against a plain array of bool. */
#include <glib.h>

#include "util/bitmap.h"

#define NBITS 1000

static void check_equal(const uint64_t *map, const bool *model)
{
    uint64_t next = 0, next_zero = 0, count = 0;

    for (uint64_t i = NBITS; i-- > 0;) {
        g_assert_cmpint(bitmap_test(map, i), ==, model[i]);
        count += model[i];
    }
    g_assert_cmpuint(bitmap_count(map, NBITS), ==, count);
    for (uint64_t i = 0; i < NBITS; i++) {
        next = bitmap_find_next(map, NBITS, i);
        next_zero = bitmap_find_next_zero(map, NBITS, i);
        g_assert_cmpuint(model[i] ? next : next_zero, ==, i);
        for (uint64_t j = i; j < (model[i] ? next_zero : next); j++) {
            g_assert_cmpint(model[j], ==, model[i]);
        }
    }
    g_assert_cmpuint(bitmap_find_next(map, NBITS, NBITS), ==, NBITS);
}

static void test_ranges(void)
{
    uint64_t *map = bitmap_new(NBITS);
    bool model[NBITS] = { false };

    for (int round = 0; round < 200; round++) {
        uint64_t start = g_test_rand_int_range(0, NBITS);
        uint64_t count = g_test_rand_int_range(0, NBITS - start + 1);
        int what = g_test_rand_int_range(0, 3);

        if (what == 0) {
            bitmap_set_range(map, start, count);
        } else if (what == 1) {
            bitmap_set_range_atomic(map, start, count);
        } else {
            bitmap_clear_range(map, start, count);
        }
        for (uint64_t i = start; i < start + count; i++) {
            model[i] = what != 2;
        }
        check_equal(map, model);
    }
    bitmap_free(map, NBITS);
}

static void test_single(void)
{
    uint64_t *map = bitmap_new(NBITS);
    bool model[NBITS] = { false };

    for (int round = 0; round < 500; round++) {
        uint64_t bit = g_test_rand_int_range(0, NBITS);

        switch (g_test_rand_int_range(0, 3)) {
        case 0:
            bitmap_set(map, bit);
            model[bit] = true;
            break;
        case 1:
            bitmap_set_atomic(map, bit);
            model[bit] = true;
            break;
        default:
            g_assert_cmpint(bitmap_test_and_clear(map, bit), ==, model[bit]);
            model[bit] = false;
        }
    }
    check_equal(map, model);
    bitmap_free(map, NBITS);
}

static void test_take(void)
{
    uint64_t *dst = bitmap_new(NBITS);
    uint64_t *src = bitmap_new(NBITS);

    bitmap_set(dst, 3);
    bitmap_set(src, 3);
    bitmap_set(src, 64);
    bitmap_set(src, NBITS - 1);
    g_assert_cmpuint(bitmap_take_atomic(dst, src, NBITS), ==, 2);
    g_assert_cmpuint(bitmap_count(src, NBITS), ==, 0);
    g_assert_cmpuint(bitmap_count(dst, NBITS), ==, 3);
    g_assert_true(bitmap_test(dst, NBITS - 1));
    bitmap_free(dst, NBITS);
    bitmap_free(src, NBITS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bitmap/ranges", test_ranges);
    g_test_add_func("/bitmap/single", test_single);
    g_test_add_func("/bitmap/take", test_take);
    return g_test_run();
}
