/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is under way in postcopy: postcopy-queue.h. No state, no lock. */
#include "io/socket.h"
#include "migration/postcopy-queue.h"
#include "trace/trace-migration.h"

bool postcopy_limits_queue(bool preempt, uint32_t round_trip_us)
{
    return !preempt || round_trip_us <= POSTCOPY_NEAR_US;
}

void postcopy_limit_queue(IoChannel *ch, bool preempt)
{
    int fd = io_channel_fd(ch);
    uint32_t round_trip_us;
    bool limits;

    if (fd < 0) {
        return;
    }
    round_trip_us = io_socket_round_trip_us(fd);
    limits = postcopy_limits_queue(preempt, round_trip_us);
    trace_postcopy_queue(preempt, round_trip_us, limits);
    if (limits) {
        io_socket_limit_queue(fd, POSTCOPY_QUEUE_BYTES);
    }
}
