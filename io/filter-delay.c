/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filter that holds each call back. Threads and lock: see filter.c. */
#include "io/filter-base.h"

typedef struct DelayFilter {
    IoFilter base;
    uint64_t ns[FILTER_DIRECTIONS];     /* under base.lock */
} DelayFilter;

static int delay_before(IoFilter *f, int dir, size_t *len, Error **errp)
{
    uint64_t ns = ((DelayFilter *)f)->ns[dir];

    (void)len;
    return ns == 0 || io_filter_wait_ns(f, dir, ns, errp) ? 1 : -1;
}

static const IoFilterOps delay_ops = {
    .before = delay_before,
};

void io_filter_delay_set(IoChannel *filter, uint64_t read_ns,
                         uint64_t write_ns)
{
    DelayFilter *d = (DelayFilter *)filter;

    g_mutex_lock(&d->base.lock);
    d->ns[FILTER_READ] = MIN(read_ns, INT64_MAX);
    d->ns[FILTER_WRITE] = MIN(write_ns, INT64_MAX);
    g_mutex_unlock(&d->base.lock);
}

IoChannel *io_filter_delay_new(IoChannel *below, uint64_t read_ns,
                               uint64_t write_ns)
{
    DelayFilter *d = g_new0(DelayFilter, 1);

    io_filter_init(&d->base, &delay_ops, below, "delay");
    io_filter_delay_set(&d->base.parent, read_ns, write_ns);
    return &d->base.parent;
}
