/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Typed access to a migration stream: the part that both directions share, and
 * reading. Writing is in stream-out.c.
 *
 * Entered by the one thread that owns the stream; shutdown, counters and the
 * rate limit by any thread, by atomics. No lock of its own.
 *
 * Reading keeps a large buffer in front of the channel. What a caller wants
 * beyond it is read straight to its place, with the buffer behind it in the
 * same call: a stream of pages costs one system call for each bufferful.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/stream-int.h"

/* Fits the second-level cache, from where pages are copied to their place. */
#define INPUT_BUFFER_BYTES (256 * KIB)

MigStream *mig_stream_alloc(IoChannel *ch, size_t buffer_bytes)
{
    MigStream *s = g_new0(MigStream, 1);

    s->ch = io_channel_ref(ch);
    s->buf = g_malloc(buffer_bytes);
    s->buf_size = buffer_bytes;
    g_strlcpy(s->section, "header", sizeof(s->section));
    return s;
}

MigStream *mig_stream_new_input(IoChannel *ch)
{
    return mig_stream_alloc(ch, INPUT_BUFFER_BYTES);
}

void mig_stream_free(MigStream *s)
{
    if (!s) {
        return;
    }
    io_channel_unref(s->ch);
    g_clear_error(&s->error);
    g_free(s->buf);
    g_free(s->iov);
    g_free(s);
}

IoChannel *mig_stream_channel(MigStream *s)
{
    return s->ch;
}

void mig_stream_release_lock_of(MigStream *s, Vm *vm)
{
    s->release = vm;
}

bool mig_stream_drop_lock(MigStream *s)
{
    if (s->release && vm_locked(s->release)) {
        vm_unlock(s->release);
        return true;
    }
    return false;
}

void mig_stream_set_section(MigStream *s, const char *idstr, uint32_t instance)
{
    g_strlcpy(s->section, idstr, sizeof(s->section));
    s->instance = instance;
}

uint64_t mig_stream_offset(const MigStream *s)
{
    return s->offset;
}

void mig_stream_shutdown(MigStream *s)
{
    io_channel_shutdown(s->ch, IO_SHUTDOWN_BOTH);
}

/* ---- errors ---- */

void mig_stream_locate(const MigStream *s, Error **errp)
{
    error_prepend(errp, "migration stream, section '%s' instance %u, "
                  "offset %" PRIu64 ": ", s->section, s->instance, s->offset);
}

bool mig_stream_check(MigStream *s, Error **errp)
{
    if (G_LIKELY(!s->error)) {
        return true;
    }
    error_propagate(errp, g_error_copy(s->error));
    return false;
}

bool mig_stream_take_error(MigStream *s, Error *err, Error **errp)
{
    if (s->error) {
        g_error_free(err);
    } else {
        s->error = err;
        mig_stream_locate(s, &s->error);
    }
    return mig_stream_check(s, errp);
}

void mig_stream_fail(MigStream *s, Error **errp, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    Error *err = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_setg(&err, "%s", text);
    mig_stream_take_error(s, err, errp);
}

/* ---- reading ---- */

bool mig_stream_has_buffered(const MigStream *s)
{
    return s->pos < s->end;
}

/*
 * Reads at least a byte into @buf first (if @len) and then the rest of the
 * empty buffer. Returns how many bytes came, 0 at the end, -1 on error.
 */
static ssize_t fill(MigStream *s, void *buf, size_t len, Error **errp)
{
    struct iovec iov[2] = {
        { .iov_base = buf, .iov_len = len },
        { .iov_base = s->buf + s->end, .iov_len = s->buf_size - s->end },
    };
    bool relock = mig_stream_drop_lock(s);
    ssize_t n;

    n = io_channel_readv(s->ch, len ? iov : iov + 1, len ? 2 : 1, errp);
    if (relock) {
        vm_lock(s->release);
    }
    return n;
}

/* The part of mig_get_buffer() that is not in the buffer. */
static bool read_beyond(MigStream *s, uint8_t *buf, size_t len, size_t whole,
                        Error **errp)
{
    s->pos = s->end = 0;
    while (len > 0) {
        Error *err = NULL;
        ssize_t n = fill(s, buf, len, &err);

        if (n < 0) {
            return mig_stream_take_error(s, err, errp);
        }
        if (n == 0) {
            mig_stream_fail(s, errp, "the stream ended %zu bytes into a value "
                            "of %zu", whole - len, whole);
            return false;
        }
        if ((size_t)n >= len) {
            s->end = n - len;
            return true;
        }
        buf += n;
        len -= n;
    }
    return true;
}

bool mig_get_buffer(MigStream *s, void *buf, size_t len, Error **errp)
{
    size_t have = s->end - s->pos;

    if (G_UNLIKELY(!mig_stream_check(s, errp))) {
        return false;
    }
    if (G_LIKELY(len <= have)) {
        memcpy(buf, s->buf + s->pos, len);
        s->pos += len;
    } else {
        memcpy(buf, s->buf + s->pos, have);
        if (!read_beyond(s, (uint8_t *)buf + have, len - have, len, errp)) {
            return false;
        }
    }
    s->offset += len;
    return true;
}

bool mig_get_u8(MigStream *s, uint8_t *val, Error **errp)
{
    return mig_get_buffer(s, val, sizeof(*val), errp);
}

bool mig_get_be16(MigStream *s, uint16_t *val, Error **errp)
{
    uint16_t raw;

    if (!mig_get_buffer(s, &raw, sizeof(raw), errp)) {
        return false;
    }
    *val = GUINT16_FROM_BE(raw);
    return true;
}

bool mig_get_be32(MigStream *s, uint32_t *val, Error **errp)
{
    uint32_t raw;

    if (!mig_get_buffer(s, &raw, sizeof(raw), errp)) {
        return false;
    }
    *val = GUINT32_FROM_BE(raw);
    return true;
}

bool mig_get_be64(MigStream *s, uint64_t *val, Error **errp)
{
    uint64_t raw;

    if (!mig_get_buffer(s, &raw, sizeof(raw), errp)) {
        return false;
    }
    *val = GUINT64_FROM_BE(raw);
    return true;
}

bool mig_skip(MigStream *s, uint64_t len, Error **errp)
{
    uint8_t scrap[512];

    while (len > 0) {
        size_t n = MIN(len, sizeof(scrap));

        if (!mig_get_buffer(s, scrap, n, errp)) {
            return false;
        }
        len -= n;
    }
    return true;
}

bool mig_get_counted_string(MigStream *s, char *str, Error **errp)
{
    uint8_t len;

    if (!mig_get_u8(s, &len, errp) || !mig_get_buffer(s, str, len, errp)) {
        return false;
    }
    str[len] = '\0';
    if (len == 0) {
        mig_stream_fail(s, errp, "an empty name; 1 to 255 bytes are accepted");
        return false;
    }
    if (strlen(str) != len) {
        mig_stream_fail(s, errp, "a name of %u bytes with a zero byte in it",
                        len);
        return false;
    }
    return true;
}

bool mig_stream_peek(MigStream *s, size_t at, uint8_t *val)
{
    g_assert(at < MIG_STREAM_PEEK_MAX);
    while (s->end - s->pos <= at) {
        Error *err = NULL;
        ssize_t n;

        if (s->error) {
            return false;
        }
        memmove(s->buf, s->buf + s->pos, s->end - s->pos);
        s->end -= s->pos;
        s->pos = 0;
        n = fill(s, NULL, 0, &err);
        if (n < 0) {
            mig_stream_take_error(s, err, NULL);
        }
        if (n <= 0) {
            return false;
        }
        s->end += n;
    }
    *val = s->buf[s->pos + at];
    return true;
}
