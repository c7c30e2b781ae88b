/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of what something costs: on a busy host, and with sanitizers. */
#ifndef GODWIT_TESTS_TIMING_H
#define GODWIT_TESTS_TIMING_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Built with a sanitizer, code takes several times as long as it should. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TIMING_COUNTS false
#elif defined(__has_feature)
#define TIMING_COUNTS \
    (!__has_feature(thread_sanitizer) && !__has_feature(address_sanitizer))
#else
#define TIMING_COUNTS true
#endif

/* What this thread has computed so far, in microseconds. */
static inline int64_t thread_cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

#endif
