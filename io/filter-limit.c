/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A filter with a bandwidth. Each direction has a moment from which on it may
 * move bytes again; what has moved pushes it ahead. A pause lets no credit
 * grow. Threads and lock: see filter.c.
 */
#include "io/filter-base.h"
#include "util/checked.h"
#include "util/clock.h"

/* A hundredth of a second: the longest piece. */
#define PIECES_PER_SECOND 100
#define NS_PER_SECOND UINT64_C(1000000000)

typedef struct LimitFilter {
    IoFilter base;
    /* Under base.lock */
    uint64_t bps[FILTER_DIRECTIONS];    /* 0: no limit */
    uint64_t free_at_ns[FILTER_DIRECTIONS];
} LimitFilter;

static int limit_before(IoFilter *f, int dir, size_t *len, Error **errp)
{
    LimitFilter *l = (LimitFilter *)f;

    while (l->bps[dir]) {
        uint64_t now = (uint64_t)clock_now_ns(clock_host());

        if (now >= l->free_at_ns[dir]) {
            l->free_at_ns[dir] = now;
            *len = MIN(*len, MAX(l->bps[dir] / PIECES_PER_SECOND, 1));
            break;
        }
        if (!io_filter_wait_ns(f, dir, l->free_at_ns[dir] - now, errp)) {
            return -1;
        }
    }
    return 1;
}

static void limit_after(IoFilter *f, int dir, size_t len)
{
    LimitFilter *l = (LimitFilter *)f;

    if (l->bps[dir]) {
        l->free_at_ns[dir] =
            sat_add_u64(l->free_at_ns[dir],
                        sat_muldiv_u64(len, NS_PER_SECOND, l->bps[dir]));
    }
}

static const IoFilterOps limit_ops = {
    .before = limit_before,
    .after = limit_after,
};

void io_filter_limit_set(IoChannel *filter, uint64_t read_bps,
                         uint64_t write_bps)
{
    LimitFilter *l = (LimitFilter *)filter;

    g_mutex_lock(&l->base.lock);
    l->bps[FILTER_READ] = read_bps;
    l->bps[FILTER_WRITE] = write_bps;
    l->free_at_ns[FILTER_READ] = l->free_at_ns[FILTER_WRITE] = 0;
    g_mutex_unlock(&l->base.lock);
}

IoChannel *io_filter_limit_new(IoChannel *below, uint64_t read_bps,
                               uint64_t write_bps)
{
    LimitFilter *l = g_new0(LimitFilter, 1);

    io_filter_init(&l->base, &limit_ops, below, "limit");
    io_filter_limit_set(&l->base.parent, read_bps, write_bps);
    return &l->base.parent;
}
