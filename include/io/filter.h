/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Channels that stand over another one and make it slow or wrong on purpose:
 * how a test gives a migration a bad network. Filters stack. Each takes over
 * the caller's reference to the channel below, and a shutdown of the filter
 * ends its own waits and those below.
 *
 * Reads and writes are affected alike; positioned ones (preadv, pwritev) too.
 * Threads as for any channel: one reader, one writer, anybody for shutdown and
 * the setters.
 */
#ifndef GODWIT_IO_FILTER_H
#define GODWIT_IO_FILTER_H

#include "io/channel.h"

/*
 * Holds each read and each write back for @read_ns, @write_ns nanoseconds
 * before it is passed on: a latency a call.
 */
IoChannel *io_filter_delay_new(IoChannel *below, uint64_t read_ns,
                               uint64_t write_ns);
void io_filter_delay_set(IoChannel *filter, uint64_t read_ns,
                         uint64_t write_ns);

/*
 * Lets through at most that many bytes per second in each direction; 0: no
 * limit. At most 10 ms' worth (and at least a byte) goes in one piece, so that
 * calls become short reads and writes.
 */
IoChannel *io_filter_limit_new(IoChannel *below, uint64_t read_bps,
                               uint64_t write_bps);
void io_filter_limit_set(IoChannel *filter, uint64_t read_bps,
                         uint64_t write_bps);

typedef enum IoFaultKind {
    IO_FAULT_NONE,
    IO_FAULT_ERROR,     /* this call and all later ones fail: "injected" */
    IO_FAULT_END,       /* reads: the stream ends; writes: as a broken pipe */
    IO_FAULT_STALL,     /* nothing moves until a shutdown or another fault */
    IO_FAULT_CORRUPT,   /* the byte is XORed with @value (0 counts as 0xff) */
    IO_FAULT_SHORT,     /* from there on at most @value bytes (0: 1) a call */
} IoFaultKind;

/*
 * What happens to the byte number @offset (counted from 0 in that direction,
 * over the life of the filter). Bytes before it pass untouched.
 */
typedef struct IoFault {
    IoFaultKind kind;
    uint64_t offset;
    uint32_t value;
} IoFault;

/* One fault a direction; change it to have another. */
IoChannel *io_filter_fault_new(IoChannel *below, IoFault on_read,
                               IoFault on_write);
void io_filter_fault_set(IoChannel *filter, IoFault on_read,
                         IoFault on_write);

/* How many bytes have passed in one direction. */
uint64_t io_filter_fault_passed(IoChannel *filter, IoShutdown direction);

#endif
