/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of the stream may be under way in postcopy. A page that is waited
 * for may be in there: behind what is queued when it was asked for, or, with
 * postcopy-preempt, sent before it was asked for. At the 1 GB/s of a loopback
 * the megabytes that the kernel queues by itself are as many milliseconds.
 *
 * Both sides, each for its end. No state, no lock.
 */
#ifndef GODWIT_MIGRATION_POSTCOPY_QUEUE_H
#define GODWIT_MIGRATION_POSTCOPY_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/channel.h"

/* Bytes. The kernel takes twice as much, for what it needs itself. */
#define POSTCOPY_QUEUE_BYTES (96 * 1024)

/*
 * Over a round trip of so many microseconds that still carries 1 GB/s, about
 * what one connection can; over a longer one it slows down.
 */
#define POSTCOPY_NEAR_US 200

/*
 * Whether it is limited. Without @preempt always: every page that is asked for
 * stands behind it.
 */
bool postcopy_limits_queue(bool preempt, uint32_t round_trip_us);

/* Limits that of @ch, if it is a socket for which the above says so. */
void postcopy_limit_queue(IoChannel *ch, bool preempt);

#endif
