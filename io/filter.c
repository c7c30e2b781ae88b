/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all filters share: passing calls down after the filter's own hook has
 * had its say. Reader, writer and shutdown may be three threads; "lock" guards
 * the filter's settings and is not held while the channel below works.
 */
#include <string.h>

#include "io/filter-base.h"

/* How much is copied at a time where bytes to be written are changed. */
#define TOUCH_COPY_MAX 65536

static size_t total(const struct iovec *iov, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += iov[i].iov_len;
    }
    return sum;
}

bool io_filter_wait_ns(IoFilter *f, int dir, uint64_t ns, Error **errp)
{
    unsigned how = dir == FILTER_READ ? IO_SHUTDOWN_READ : IO_SHUTDOWN_WRITE;

    if (!(f->shut & how)) {
        if (ns == UINT64_MAX) {
            g_cond_wait(&f->changed, &f->lock);
        } else {
            gint64 end = g_get_monotonic_time() + (gint64)(ns / 1000);

            while (!(f->shut & how) &&
                   g_cond_wait_until(&f->changed, &f->lock, end)) {
            }
        }
    }
    if (f->shut & how) {
        error_setg(errp, "cannot %s %s: channel was shut down",
                   dir == FILTER_READ ? "read from" : "write to",
                   f->parent.name);
        return false;
    }
    return true;
}

/* Cuts @iov (a copy, @n entries) to @len bytes; returns the entries left. */
static size_t cut(struct iovec *iov, size_t n, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (iov[i].iov_len >= len) {
            iov[i].iov_len = len;
            return i + 1;
        }
        len -= iov[i].iov_len;
    }
    return n;
}

static int ask(IoFilter *f, int dir, size_t *len, Error **errp)
{
    int verdict;

    g_mutex_lock(&f->lock);
    verdict = io_filter_wait_ns(f, dir, 0, errp) ? 1 : -1;
    if (verdict == 1) {
        verdict = f->filter->before(f, dir, len, errp);
    }
    g_mutex_unlock(&f->lock);
    return verdict;
}

static void tell(IoFilter *f, int dir, ssize_t moved)
{
    if (moved > 0 && f->filter->after) {
        g_mutex_lock(&f->lock);
        f->filter->after(f, dir, (size_t)moved);
        g_mutex_unlock(&f->lock);
    }
}

static bool touches(IoFilter *f, int dir, size_t len)
{
    bool yes = false;

    if (f->filter->touches) {
        g_mutex_lock(&f->lock);
        yes = f->filter->touches(f, dir, len);
        g_mutex_unlock(&f->lock);
    }
    return yes;
}

/* @pos: UINT64_MAX for the stream's own position. */
static ssize_t pass_read(IoFilter *f, struct iovec *iov, size_t n,
                         uint64_t pos, Error **errp)
{
    return pos == UINT64_MAX
               ? io_channel_readv(f->below, iov, n, errp)
               : f->below->ops->preadv(f->below, iov, n, pos, errp);
}

static ssize_t pass_write(IoFilter *f, struct iovec *iov, size_t n,
                          uint64_t pos, Error **errp)
{
    return pos == UINT64_MAX
               ? io_channel_writev(f->below, iov, n, errp)
               : f->below->ops->pwritev(f->below, iov, n, pos, errp);
}

static ssize_t filtered_read(IoChannel *ch, const struct iovec *iov, size_t n,
                             uint64_t pos, Error **errp)
{
    IoFilter *f = (IoFilter *)ch;
    g_autofree struct iovec *own = g_memdup2(iov, n * sizeof(*iov));
    size_t len = total(iov, n);
    ssize_t got;
    int verdict = ask(f, FILTER_READ, &len, errp);

    if (verdict <= 0) {
        return verdict;
    }
    n = cut(own, n, len);
    if (f->filter->touches) {
        n = 1;
    }
    got = pass_read(f, own, n, pos, errp);
    if (got > 0 && touches(f, FILTER_READ, (size_t)got)) {
        g_mutex_lock(&f->lock);
        f->filter->touch(f, FILTER_READ, own[0].iov_base, (size_t)got);
        g_mutex_unlock(&f->lock);
    }
    tell(f, FILTER_READ, got);
    return got;
}

static ssize_t filtered_write(IoChannel *ch, const struct iovec *iov, size_t n,
                              uint64_t pos, Error **errp)
{
    IoFilter *f = (IoFilter *)ch;
    g_autofree struct iovec *own = g_memdup2(iov, n * sizeof(*iov));
    g_autofree uint8_t *copy = NULL;
    size_t len = total(iov, n);
    ssize_t put;
    int verdict = ask(f, FILTER_WRITE, &len, errp);

    if (verdict <= 0) {
        if (verdict == 0) {
            error_setg(errp, "cannot write to %s: the other side is gone",
                       ch->name);
        }
        return -1;
    }
    n = cut(own, n, len);
    if (touches(f, FILTER_WRITE, len)) {
        /* The byte may be in a later entry: that one comes first next time. */
        n = 1;
        own[0].iov_len = MIN(own[0].iov_len, TOUCH_COPY_MAX);
        copy = g_memdup2(own[0].iov_base, own[0].iov_len);
        own[0].iov_base = copy;
        g_mutex_lock(&f->lock);
        f->filter->touch(f, FILTER_WRITE, copy, own[0].iov_len);
        g_mutex_unlock(&f->lock);
    }
    put = pass_write(f, own, n, pos, errp);
    tell(f, FILTER_WRITE, put);
    return put;
}

static ssize_t filter_readv(IoChannel *ch, const struct iovec *iov, size_t n,
                            Error **errp)
{
    return filtered_read(ch, iov, n, UINT64_MAX, errp);
}

static ssize_t filter_writev(IoChannel *ch, const struct iovec *iov, size_t n,
                             Error **errp)
{
    return filtered_write(ch, iov, n, UINT64_MAX, errp);
}

static ssize_t filter_preadv(IoChannel *ch, const struct iovec *iov, size_t n,
                             uint64_t pos, Error **errp)
{
    return filtered_read(ch, iov, n, pos, errp);
}

static ssize_t filter_pwritev(IoChannel *ch, const struct iovec *iov, size_t n,
                              uint64_t pos, Error **errp)
{
    return filtered_write(ch, iov, n, pos, errp);
}

static bool filter_seek(IoChannel *ch, int64_t pos, int whence, uint64_t *now,
                        Error **errp)
{
    return io_channel_seek(((IoFilter *)ch)->below, pos, whence, now, errp);
}

static void filter_shutdown(IoChannel *ch, IoShutdown how)
{
    IoFilter *f = (IoFilter *)ch;

    g_mutex_lock(&f->lock);
    f->shut |= how;
    g_cond_broadcast(&f->changed);
    g_mutex_unlock(&f->lock);
    io_channel_shutdown(f->below, how);
}

static bool filter_close(IoChannel *ch, Error **errp)
{
    return io_channel_close(((IoFilter *)ch)->below, errp);
}

static void filter_finalize(IoChannel *ch)
{
    IoFilter *f = (IoFilter *)ch;

    io_channel_unref(f->below);
    g_mutex_clear(&f->lock);
    g_cond_clear(&f->changed);
}

static const IoChannelOps filter_channel_ops = {
    .name = "filter",
    .readv = filter_readv,
    .writev = filter_writev,
    .preadv = filter_preadv,
    .pwritev = filter_pwritev,
    .seek = filter_seek,
    .shutdown = filter_shutdown,
    .close = filter_close,
    .finalize = filter_finalize,
};

void io_filter_init(IoFilter *f, const IoFilterOps *ops, IoChannel *below,
                    const char *name)
{
    g_autofree char *full = g_strdup_printf("%s over %s", name, below->name);

    io_channel_init(&f->parent, &filter_channel_ops, full);
    f->parent.features = below->features & IO_FEATURE_SEEKABLE;
    f->filter = ops;
    f->below = below;
    g_mutex_init(&f->lock);
    g_cond_init(&f->changed);
}
