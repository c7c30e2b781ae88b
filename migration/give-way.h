/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that moves much at a time steps aside for those that answer
 * somebody who waits.
 *
 * Where every CPU is busy, the scheduler lets who runs go on until the next
 * tick (1 to 10 ms by the kernel's HZ) when the one that wakes has had its
 * share, be it by a microsecond. The threads that answer a page fault wake
 * several times in a row, each for some microseconds. So whoever is in their
 * way offers its CPU now and then; where nobody wants it, that costs a system
 * call. One that takes it may keep it for long (a guest that computes), so what
 * has been given counts: see GIVE_WAY_RUN.
 *
 * For one thread each; no lock.
 */
#ifndef GODWIT_MIGRATION_GIVE_WAY_H
#define GODWIT_MIGRATION_GIVE_WAY_H

#include <stdbool.h>

#include "util/clock.h"

/*
 * Not again before so long. A page's way has up to five wakes, and must not be
 * delayed by a millisecond altogether.
 */
#define GIVE_WAY_NS (100 * INT64_C(1000))

/*
 * Not again before running so many times as long as was given last: at most a
 * ninth of the time is. Beside two threads that compute on two CPUs, eight
 * costs the stream an eighth to a third of its bandwidth; four was measured to
 * cost more, sixteen hardly less.
 */
#define GIVE_WAY_RUN 8

typedef struct GiveWay {
    /* Constant */
    Clock *clock;
    void (*yield)(void);

    int64_t next_ns;            /* of the clock: not before */
} GiveWay;

/*
 * @yield lets others run, and returns when it is this thread's turn again:
 * give_way_yield(), unless a test has its own. The first time is at once.
 */
void give_way_init(GiveWay *g, Clock *clock, void (*yield)(void));

/* The host's. */
void give_way_yield(void);

/* To be called every few pages. Whether it was time, and others could run. */
bool give_way(GiveWay *g);

#endif
