/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is common to all channels: life, and reads and writes of a whole
 * length. Any thread; owns no lock. The reference count and the closed flag
 * are atomic.
 */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "io/channel.h"

/* Entries copied at a time when a write has to go on inside of one. */
#define RESUME_IOVS 64

void io_channel_init(IoChannel *ch, const IoChannelOps *ops, const char *name)
{
    ch->ops = ops;
    ch->name = g_strdup(name);
    ch->features = 0;
    ch->refs = 1;
    ch->closed = false;
}

IoChannel *io_channel_ref(IoChannel *ch)
{
    g_atomic_int_inc(&ch->refs);
    return ch;
}

void io_channel_unref(IoChannel *ch)
{
    if (!ch || !g_atomic_int_dec_and_test(&ch->refs)) {
        return;
    }
    if (!__atomic_load_n(&ch->closed, __ATOMIC_ACQUIRE)) {
        io_channel_shutdown(ch, IO_SHUTDOWN_BOTH);
        io_channel_close(ch, NULL);
    }
    if (ch->ops->finalize) {
        ch->ops->finalize(ch);
    }
    g_free(ch->name);
    g_free(ch);
}

static bool is_open(IoChannel *ch, const char *doing, Error **errp)
{
    if (__atomic_load_n(&ch->closed, __ATOMIC_ACQUIRE)) {
        error_setg(errp, "cannot %s %s: channel is closed", doing, ch->name);
        return false;
    }
    return true;
}

static bool has_bytes(const struct iovec *iov, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (iov[i].iov_len) {
            return true;
        }
    }
    return false;
}

ssize_t io_channel_readv(IoChannel *ch, const struct iovec *iov, size_t n,
                         Error **errp)
{
    n = MIN(n, IOV_MAX);
    if (!is_open(ch, "read from", errp)) {
        return -1;
    }
    return has_bytes(iov, n) ? ch->ops->readv(ch, iov, n, errp) : 0;
}

ssize_t io_channel_writev(IoChannel *ch, const struct iovec *iov, size_t n,
                          Error **errp)
{
    n = MIN(n, IOV_MAX);
    if (!is_open(ch, "write to", errp)) {
        return -1;
    }
    return has_bytes(iov, n) ? ch->ops->writev(ch, iov, n, errp) : 0;
}

static bool passes_fds(IoChannel *ch, Error **errp)
{
    if (!(ch->features & IO_FEATURE_FD_PASS)) {
        error_setg(errp, "descriptors cannot travel over %s: only over a "
                   "unix socket", ch->name);
        return false;
    }
    return true;
}

ssize_t io_channel_writev_fds(IoChannel *ch, const struct iovec *iov, size_t n,
                              const int *fds, size_t nfds, Error **errp)
{
    n = MIN(n, IOV_MAX);
    g_assert(nfds >= 1 && nfds <= IO_CHANNEL_FDS_MAX && has_bytes(iov, n));
    if (!is_open(ch, "write to", errp) || !passes_fds(ch, errp)) {
        return -1;
    }
    return ch->ops->writev_fds(ch, iov, n, fds, nfds, errp);
}

ssize_t io_channel_readv_fds(IoChannel *ch, const struct iovec *iov, size_t n,
                             int *fds, size_t *nfds, Error **errp)
{
    n = MIN(n, IOV_MAX);
    g_assert(has_bytes(iov, n));
    if (!is_open(ch, "read from", errp) || !passes_fds(ch, errp)) {
        return -1;
    }
    return ch->ops->readv_fds(ch, iov, n, fds, nfds, errp);
}

bool io_channel_read_all(IoChannel *ch, void *buf, size_t len, Error **errp)
{
    size_t done = 0;

    while (done < len) {
        struct iovec iov = { (uint8_t *)buf + done, len - done };
        ssize_t got = io_channel_readv(ch, &iov, 1, errp);

        if (got < 0) {
            return false;
        }
        if (got == 0) {
            error_setg(errp, "unexpected end of %s: %zu of %zu bytes came",
                       ch->name, done, len);
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

bool io_channel_write_all(IoChannel *ch, const void *buf, size_t len,
                          Error **errp)
{
    struct iovec iov = { (void *)buf, len };

    return io_channel_writev_all(ch, &iov, 1, errp);
}

bool io_channel_writev_all(IoChannel *ch, const struct iovec *iov, size_t n,
                           Error **errp)
{
    size_t i = 0, skip = 0;

    while (i < n) {
        struct iovec part[RESUME_IOVS];
        const struct iovec *from = &iov[i];
        size_t count = n - i;
        ssize_t put;

        if (iov[i].iov_len == skip) {
            i++;
            skip = 0;
            continue;
        }
        if (skip) {
            count = MIN(count, RESUME_IOVS);
            memcpy(part, from, count * sizeof(part[0]));
            part[0].iov_base = (uint8_t *)part[0].iov_base + skip;
            part[0].iov_len -= skip;
            from = part;
        }
        put = io_channel_writev(ch, from, count, errp);
        if (put < 0) {
            return false;
        }
        skip += (size_t)put;
        while (i < n && skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            i++;
        }
    }
    return true;
}

static bool seekable(IoChannel *ch, Error **errp)
{
    if (!(ch->features & IO_FEATURE_SEEKABLE)) {
        error_setg(errp, "%s has no positions: a regular file is needed",
                   ch->name);
        return false;
    }
    return true;
}

bool io_channel_pread_all(IoChannel *ch, void *buf, size_t len, uint64_t pos,
                          Error **errp)
{
    size_t done = 0;

    if (!is_open(ch, "read from", errp) || !seekable(ch, errp)) {
        return false;
    }
    while (done < len) {
        struct iovec iov = { (uint8_t *)buf + done, len - done };
        ssize_t got = ch->ops->preadv(ch, &iov, 1, pos + done, errp);

        if (got < 0) {
            return false;
        }
        if (got == 0) {
            error_setg(errp, "unexpected end of %s: %zu of %zu bytes at "
                       "offset %" PRIu64, ch->name, done, len, pos);
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

bool io_channel_pwrite_all(IoChannel *ch, const void *buf, size_t len,
                           uint64_t pos, Error **errp)
{
    size_t done = 0;

    if (!is_open(ch, "write to", errp) || !seekable(ch, errp)) {
        return false;
    }
    while (done < len) {
        struct iovec iov = { (uint8_t *)buf + done, len - done };
        ssize_t put = ch->ops->pwritev(ch, &iov, 1, pos + done, errp);

        if (put < 0) {
            return false;
        }
        done += (size_t)put;
    }
    return true;
}

bool io_channel_seek(IoChannel *ch, int64_t pos, int whence, uint64_t *now,
                     Error **errp)
{
    return is_open(ch, "seek in", errp) && seekable(ch, errp) &&
           ch->ops->seek(ch, pos, whence, now, errp);
}

void io_channel_shutdown(IoChannel *ch, IoShutdown how)
{
    ch->ops->shutdown(ch, how);
}

bool io_channel_close(IoChannel *ch, Error **errp)
{
    if (__atomic_exchange_n(&ch->closed, true, __ATOMIC_ACQ_REL)) {
        return true;
    }
    return ch->ops->close(ch, errp);
}
