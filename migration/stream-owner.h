/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A migration stream over a byte channel, for those who own one: making it,
 * stopping it, and what it knows about the wire. Modules use the typed access
 * of include/migration/stream.h.
 */
#ifndef GODWIT_MIGRATION_STREAM_OWNER_H
#define GODWIT_MIGRATION_STREAM_OWNER_H

#include "io/channel.h"
#include "migration/stream.h"
#include "system/vm.h"
#include "util/clock.h"

/* Each holds a reference to @ch. @clock times the sending. */
MigStream *mig_stream_new_output(IoChannel *ch, Clock *clock);
MigStream *mig_stream_new_input(IoChannel *ch);

/* Drops what is queued, and its reference. Does not close the channel. */
void mig_stream_free(MigStream *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigStream, mig_stream_free)

IoChannel *mig_stream_channel(MigStream *s);

/*
 * From now on a thread that holds @vm's big lock drops it while it waits for
 * the channel, so that a peer which stalls does not stall the monitor. So the
 * caller of a read, a write or a flush must be ready for the main loop to run.
 */
void mig_stream_release_lock_of(MigStream *s, Vm *vm);

/*
 * What messages say the bytes belong to: "header", or a section's name.
 * @idstr is copied.
 */
void mig_stream_set_section(MigStream *s, const char *idstr,
                            uint32_t instance);

/* Puts the section and the offset in front of *errp, as messages here have. */
void mig_stream_locate(const MigStream *s, Error **errp);

/*
 * Looks at byte @at (from 0) of what comes next without taking it. Returns
 * false, and no error, if the stream ends or fails before it. @at is less
 * than MIG_STREAM_PEEK_MAX.
 */
#define MIG_STREAM_PEEK_MAX 1024
bool mig_stream_peek(MigStream *s, size_t at, uint8_t *val);

/*
 * Output: bytes put in order, which mig_put_buffer_at() does not count in; and
 * the way to take the last @len (at least 1) of them back. These must have
 * been put since the last flush, and be few enough for the buffer.
 */
uint64_t mig_stream_in_order(const MigStream *s);
void mig_stream_take_back(MigStream *s, size_t len);

/* Whether bytes that have been read from the channel wait to be taken. */
bool mig_stream_has_buffered(const MigStream *s);

/*
 * Makes a thread that is blocked in the channel, and every later access,
 * return with an error. Any thread, any time until mig_stream_free().
 */
void mig_stream_shutdown(MigStream *s);

/* ---- the wire (output); any thread ---- */

typedef struct MigStreamCounters {
    uint64_t sent_bytes;        /* that the channel has taken */
    uint64_t send_ns;           /* time inside the channel's write */
} MigStreamCounters;

void mig_stream_counters(const MigStream *s, MigStreamCounters *counters);

/*
 * Bytes that leave past the stream's channel (multifd): counted as queued,
 * which the rate limit goes by, by the stream's thread; and as sent, with the
 * time that took, by any thread.
 */
void mig_stream_count_queued(MigStream *s, uint64_t bytes);
void mig_stream_count_sent(MigStream *s, uint64_t bytes, uint64_t ns);

/* As mig_stream_rate_exceeded(), if @bytes more had been queued. */
bool mig_stream_rate_would_exceed(MigStream *s, uint64_t bytes);

/*
 * Bytes per second that may leave; 0: as many as can. They are dealt out in
 * windows of MIG_RATE_WINDOW_MS; what one window took too much, the next ones
 * pay back. Any thread.
 */
#define MIG_RATE_WINDOW_MS 100
void mig_stream_set_rate_limit(MigStream *s, uint64_t bytes_per_sec);

/*
 * How long until mig_stream_rate_exceeded() turns false, in nanoseconds; 0 if
 * it is. The stream's thread.
 */
int64_t mig_stream_rate_wait_ns(MigStream *s);

#endif
