/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A channel over memory: a file that only exists here. Reading and writing
 * have a position each, both at the start; seeking moves both. Any thread;
 * "lock" protects all of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/channel.h"
#include "util/checked.h"

/* Far more than a test writes; keeps positions from outside in bounds. */
#define BUFFER_MAX (UINT32_MAX - UINT64_C(4096))

typedef struct BufferChannel {
    IoChannel parent;
    GMutex lock;
    GByteArray *data;
    uint64_t read_pos, write_pos;
    unsigned shut;              /* of IoShutdown */
} BufferChannel;

static bool check_shut(BufferChannel *b, IoShutdown how, Error **errp)
{
    if (b->shut & how) {
        error_setg(errp, "cannot %s %s: channel was shut down",
                   how == IO_SHUTDOWN_READ ? "read from" : "write to",
                   b->parent.name);
        return false;
    }
    return true;
}

static ssize_t read_at(BufferChannel *b, const struct iovec *iov, size_t n,
                       uint64_t pos, Error **errp)
{
    size_t done = 0;

    if (!check_shut(b, IO_SHUTDOWN_READ, errp)) {
        return -1;
    }
    for (size_t i = 0; i < n && pos < b->data->len; i++) {
        size_t len = MIN(iov[i].iov_len, b->data->len - pos);

        memcpy(iov[i].iov_base, b->data->data + pos, len);
        pos += len;
        done += len;
    }
    return (ssize_t)done;
}

static ssize_t write_at(BufferChannel *b, const struct iovec *iov, size_t n,
                        uint64_t pos, Error **errp)
{
    uint64_t len = 0;
    guint old = b->data->len;

    if (!check_shut(b, IO_SHUTDOWN_WRITE, errp)) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        len = sat_add_u64(len, iov[i].iov_len);
    }
    if (!range_fits_u64(pos, len, BUFFER_MAX)) {
        error_setg(errp, "%s holds at most %" PRIu64 " bytes",
                   b->parent.name, (uint64_t)BUFFER_MAX);
        return -1;
    }
    if (pos + len > old) {
        g_byte_array_set_size(b->data, (guint)(pos + len));
        memset(b->data->data + old, 0, pos + len - old);
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(b->data->data + pos, iov[i].iov_base, iov[i].iov_len);
        pos += iov[i].iov_len;
    }
    return (ssize_t)len;
}

static ssize_t buffer_readv(IoChannel *ch, const struct iovec *iov, size_t n,
                            Error **errp)
{
    BufferChannel *b = (BufferChannel *)ch;
    ssize_t got;

    g_mutex_lock(&b->lock);
    got = read_at(b, iov, n, b->read_pos, errp);
    if (got > 0) {
        b->read_pos += (uint64_t)got;
    }
    g_mutex_unlock(&b->lock);
    return got;
}

static ssize_t buffer_writev(IoChannel *ch, const struct iovec *iov, size_t n,
                             Error **errp)
{
    BufferChannel *b = (BufferChannel *)ch;
    ssize_t put;

    g_mutex_lock(&b->lock);
    put = write_at(b, iov, n, b->write_pos, errp);
    if (put > 0) {
        b->write_pos += (uint64_t)put;
    }
    g_mutex_unlock(&b->lock);
    return put;
}

static ssize_t buffer_preadv(IoChannel *ch, const struct iovec *iov, size_t n,
                             uint64_t pos, Error **errp)
{
    BufferChannel *b = (BufferChannel *)ch;
    ssize_t got;

    g_mutex_lock(&b->lock);
    got = read_at(b, iov, n, pos, errp);
    g_mutex_unlock(&b->lock);
    return got;
}

static ssize_t buffer_pwritev(IoChannel *ch, const struct iovec *iov, size_t n,
                              uint64_t pos, Error **errp)
{
    BufferChannel *b = (BufferChannel *)ch;
    ssize_t put;

    g_mutex_lock(&b->lock);
    put = write_at(b, iov, n, pos, errp);
    g_mutex_unlock(&b->lock);
    return put;
}

static bool buffer_seek(IoChannel *ch, int64_t pos, int whence, uint64_t *now,
                        Error **errp)
{
    BufferChannel *b = (BufferChannel *)ch;
    int64_t base, at;
    bool ok;

    g_mutex_lock(&b->lock);
    base = whence == SEEK_SET   ? 0
           : whence == SEEK_END ? (int64_t)b->data->len
                                : (int64_t)b->write_pos;
    ok = !__builtin_add_overflow(base, pos, &at) && at >= 0 &&
         (uint64_t)at <= BUFFER_MAX;
    if (ok) {
        b->read_pos = b->write_pos = (uint64_t)at;
        if (now) {
            *now = (uint64_t)at;
        }
    }
    g_mutex_unlock(&b->lock);
    if (!ok) {
        error_setg(errp, "cannot seek in %s to %" PRId64, ch->name, pos);
    }
    return ok;
}

static void buffer_shutdown(IoChannel *ch, IoShutdown how)
{
    BufferChannel *b = (BufferChannel *)ch;

    g_mutex_lock(&b->lock);
    b->shut |= how;
    g_mutex_unlock(&b->lock);
}

/* What was written can still be looked at: see io_channel_buffer_data(). */
static bool buffer_close(IoChannel *ch, Error **errp)
{
    (void)ch;
    (void)errp;
    return true;
}

static void buffer_finalize(IoChannel *ch)
{
    BufferChannel *b = (BufferChannel *)ch;

    g_byte_array_unref(b->data);
    g_mutex_clear(&b->lock);
}

static const IoChannelOps buffer_ops = {
    .name = "buffer",
    .readv = buffer_readv,
    .writev = buffer_writev,
    .preadv = buffer_preadv,
    .pwritev = buffer_pwritev,
    .seek = buffer_seek,
    .shutdown = buffer_shutdown,
    .close = buffer_close,
    .finalize = buffer_finalize,
};

IoChannel *io_channel_new_buffer(void)
{
    BufferChannel *b = g_new0(BufferChannel, 1);

    io_channel_init(&b->parent, &buffer_ops, "buffer");
    b->parent.features = IO_FEATURE_SEEKABLE;
    g_mutex_init(&b->lock);
    b->data = g_byte_array_new();
    return &b->parent;
}

const uint8_t *io_channel_buffer_data(IoChannel *ch, size_t *len)
{
    BufferChannel *b = (BufferChannel *)ch;

    g_assert(ch->ops == &buffer_ops);
    g_mutex_lock(&b->lock);
    *len = b->data->len;
    g_mutex_unlock(&b->lock);
    return b->data->data;
}
