/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's monotonic clock. Any thread; no lock. */
#include <time.h>

#include "util/clock.h"

static int64_t host_now_ns(Clock *clock)
{
    struct timespec ts;

    (void)clock;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

Clock *clock_host(void)
{
    static Clock host = { .now_ns = host_now_ns };

    return &host;
}
