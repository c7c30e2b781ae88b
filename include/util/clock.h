/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source of time that can be exchanged (rule 2 of the house): the host's
 * monotonic clock in the program, a number that the test moves in a test.
 */
#ifndef GODWIT_UTIL_CLOCK_H
#define GODWIT_UTIL_CLOCK_H

#include <stdint.h>

typedef struct Clock Clock;

struct Clock {
    /* Nanoseconds since some fixed moment; never goes back. Any thread. */
    int64_t (*now_ns)(Clock *clock);
};

static inline int64_t clock_now_ns(Clock *clock)
{
    return clock->now_ns(clock);
}

static inline int64_t clock_now_ms(Clock *clock)
{
    return clock->now_ns(clock) / 1000000;
}

/* CLOCK_MONOTONIC of the host. Stateless and shared. */
Clock *clock_host(void);

#endif
