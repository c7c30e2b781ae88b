/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a module reads its state from and writes it to: typed, checked access
 * to a migration stream, in one direction. Numbers are big-endian. A stream
 * belongs to one thread; the functions say where others may call.
 *
 * Errors are sticky. Writes are buffered and have no result: a failed stream
 * swallows what comes after, and mig_stream_check() or the flush at the end of
 * a section says so. A read that cannot be had in full fails and takes the
 * stream down; the message names the section and the offset.
 */
#ifndef GODWIT_MIGRATION_STREAM_H
#define GODWIT_MIGRATION_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

typedef struct MigStream MigStream;

/* ---- writing ---- */

void mig_put_u8(MigStream *s, uint8_t val);
void mig_put_be16(MigStream *s, uint16_t val);
void mig_put_be32(MigStream *s, uint32_t val);
void mig_put_be64(MigStream *s, uint64_t val);
void mig_put_buffer(MigStream *s, const void *buf, size_t len);

/* One byte of length and the bytes, without terminator: at most 255 of them. */
void mig_put_counted_string(MigStream *s, const char *str);

/*
 * Queues @len bytes by reference: they are read when the buffer leaves, so
 * @buf must stay mapped until the next mig_stream_flush(), and whoever changes
 * it before knows what that means (guest memory is marked dirty and sent
 * again).
 */
void mig_put_buffer_nocopy(MigStream *s, const void *buf, size_t len);

/* Sends what is queued. Returns false if the stream has failed. */
bool mig_stream_flush(MigStream *s, Error **errp);

/* Whether the bytes allowed for this time window are used up. No system call
 * but the clock's. */
bool mig_stream_rate_exceeded(MigStream *s);

/* ---- reading ---- */

bool mig_get_u8(MigStream *s, uint8_t *val, Error **errp);
bool mig_get_be16(MigStream *s, uint16_t *val, Error **errp);
bool mig_get_be32(MigStream *s, uint32_t *val, Error **errp);
bool mig_get_be64(MigStream *s, uint64_t *val, Error **errp);
bool mig_get_buffer(MigStream *s, void *buf, size_t len, Error **errp);

/* Reads and drops @len bytes. */
bool mig_skip(MigStream *s, uint64_t len, Error **errp);

/*
 * What mig_put_counted_string() wrote, with a terminator added: @str has room
 * for 256 bytes. Refuses an empty name and one with a zero byte in it.
 */
#define MIG_COUNTED_STRING_SIZE 256
bool mig_get_counted_string(MigStream *s, char *str, Error **errp);

/* ---- a stream over a file ---- */

/*
 * Where in the file the next byte of the stream is, in bytes from the file's
 * start; and going on elsewhere. What is queued is flushed first. Error: the
 * channel is not seekable, or the file cannot be that large.
 */
bool mig_stream_position(MigStream *s, uint64_t *pos, Error **errp);
bool mig_stream_seek(MigStream *s, uint64_t pos, Error **errp);

/* How long the file is now, bytes. Input. */
bool mig_stream_file_size(MigStream *s, uint64_t *size, Error **errp);

/*
 * Bytes with a place of their own: written or read at once, past the stream's
 * buffer, at byte @pos of the file; the stream stays where it is. Written ones
 * count as sent. Errors as everywhere here; a file that ends within what is
 * read is one.
 */
void mig_put_buffer_at(MigStream *s, const void *buf, size_t len,
                       uint64_t pos);
bool mig_get_buffer_at(MigStream *s, void *buf, size_t len, uint64_t pos,
                       Error **errp);

/* ---- both ---- */

/* Bytes written (queued ones included) or read so far. */
uint64_t mig_stream_offset(const MigStream *s);

/* False, and errp a copy of it, if an error has happened. */
bool mig_stream_check(MigStream *s, Error **errp);

/*
 * Fails the stream: for a module that finds the bytes wrong. errp gets the
 * message with section and offset in front. A first error stays.
 */
void mig_stream_fail(MigStream *s, Error **errp, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

#endif
