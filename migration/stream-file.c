/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A migration stream over a file: where in the file it stands, and bytes that
 * have a place of their own there, outside the stream.
 *
 * Entered by the thread that owns the stream; no lock of its own.
 */
#include <inttypes.h>
#include <unistd.h>

#include "migration/stream-int.h"

static bool seek_channel(MigStream *s, int64_t pos, int whence, uint64_t *now,
                         Error **errp)
{
    Error *err = NULL;

    if (!mig_stream_check(s, errp)) {
        return false;
    }
    return io_channel_seek(s->ch, pos, whence, now, &err) ||
           mig_stream_take_error(s, err, errp);
}

bool mig_stream_position(MigStream *s, uint64_t *pos, Error **errp)
{
    uint64_t now = 0;

    if (s->iov && !mig_stream_flush(s, errp)) {
        return false;
    }
    if (!seek_channel(s, 0, SEEK_CUR, &now, errp)) {
        return false;
    }
    /* What an input has buffered has been read and not been taken. */
    *pos = s->iov ? now : now - (s->end - s->pos);
    return true;
}

bool mig_stream_seek(MigStream *s, uint64_t pos, Error **errp)
{
    if (pos > INT64_MAX) {
        mig_stream_fail(s, errp, "offset %" PRIu64 " is beyond any file", pos);
        return false;
    }
    if (s->iov && !mig_stream_flush(s, errp)) {
        return false;
    }
    if (!s->iov) {
        uint64_t now;

        if (!mig_stream_position(s, &now, errp)) {
            return false;
        }
        /* Where messages say that the stream is. */
        s->offset += pos - now;
        s->pos = s->end = 0;
    }
    return seek_channel(s, pos, SEEK_SET, NULL, errp);
}

bool mig_stream_file_size(MigStream *s, uint64_t *size, Error **errp)
{
    uint64_t now;

    return seek_channel(s, 0, SEEK_CUR, &now, errp) &&
           seek_channel(s, 0, SEEK_END, size, errp) &&
           seek_channel(s, now, SEEK_SET, NULL, errp);
}

void mig_put_buffer_at(MigStream *s, const void *buf, size_t len, uint64_t pos)
{
    Error *err = NULL;
    int64_t start;
    bool ok, relock;

    if (s->error || len == 0) {
        return;
    }
    relock = mig_stream_drop_lock(s);
    start = clock_now_ns(s->clock);
    ok = io_channel_pwrite_all(s->ch, buf, len, pos, &err);
    __atomic_fetch_add(&s->send_ns,
                       MAX(clock_now_ns(s->clock) - start, 0),
                       __ATOMIC_RELAXED);
    if (relock) {
        vm_lock(s->release);
    }
    if (!ok) {
        mig_stream_take_error(s, err, NULL);
        return;
    }
    __atomic_fetch_add(&s->sent_bytes, len, __ATOMIC_RELAXED);
    s->offset += len;
    s->placed_bytes += len;
}

bool mig_get_buffer_at(MigStream *s, void *buf, size_t len, uint64_t pos,
                       Error **errp)
{
    Error *err = NULL;
    bool ok, relock;

    if (!mig_stream_check(s, errp)) {
        return false;
    }
    relock = mig_stream_drop_lock(s);
    ok = io_channel_pread_all(s->ch, buf, len, pos, &err);
    if (relock) {
        vm_lock(s->release);
    }
    return ok || mig_stream_take_error(s, err, errp);
}

uint64_t mig_stream_in_order(const MigStream *s)
{
    return s->offset - s->placed_bytes;
}

void mig_stream_take_back(MigStream *s, size_t len)
{
    struct iovec *last = s->num_iov ? &s->iov[s->num_iov - 1] : NULL;

    if (s->error) {
        return;     /* it has swallowed them */
    }
    /* All in one piece, in the buffer and not out of it yet. */
    g_assert(last && last->iov_len >= len && s->end >= len &&
             (uint8_t *)last->iov_base + last->iov_len == s->buf + s->end);
    last->iov_len -= len;
    s->num_iov -= last->iov_len == 0;
    s->end -= len;
    s->offset -= len;
    /* They may have been paid for. */
    s->window_offset = MIN(s->window_offset, s->offset);
}
