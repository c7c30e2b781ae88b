/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long tests wait. Any thread. */
#ifndef GODWIT_TESTS_PATIENCE_H
#define GODWIT_TESTS_PATIENCE_H

#include <stdint.h>
#include <stdlib.h>

/*
 * How long to wait for what a plain build does within @val (any unit): a
 * sanitizer's is slower, and meson's test set-up says by how much.
 */
static inline int64_t test_patience(int64_t val)
{
    const char *text = getenv("GODWIT_TEST_SLOWDOWN");
    double slowdown = text ? strtod(text, NULL) : 1;

    return slowdown > 1 ? (int64_t)((double)val * slowdown) : val;
}

#endif
