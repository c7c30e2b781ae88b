/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arithmetic on numbers from outside (rule 5 of the house). The checked_
 * functions return false, and leave *res alone, where the result does not
 * fit; the sat_ functions clamp to the nearest value that does. All are pure.
 */
#ifndef GODWIT_UTIL_CHECKED_H
#define GODWIT_UTIL_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

static inline bool checked_add_u64(uint64_t a, uint64_t b, uint64_t *res)
{
    uint64_t sum;

    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *res = sum;
    return true;
}

static inline bool checked_mul_u64(uint64_t a, uint64_t b, uint64_t *res)
{
    uint64_t product;

    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *res = product;
    return true;
}

/* True if [start, start + len) lies within [0, limit). */
static inline bool range_fits_u64(uint64_t start, uint64_t len, uint64_t limit)
{
    return start <= limit && len <= limit - start;
}

static inline uint64_t sat_add_u64(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t sat_sub_u64(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static inline uint64_t sat_mul_u64(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/*
 * a * b / c with a 128-bit product, rounded down. Saturates at UINT64_MAX;
 * a division by zero saturates too, except that 0 * b / 0 is 0: nothing takes
 * no time at any speed.
 */
static inline uint64_t sat_muldiv_u64(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    if (product == 0) {
        return 0;
    }
    if (c == 0) {
        return UINT64_MAX;
    }
    product /= c;
    return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

#endif
