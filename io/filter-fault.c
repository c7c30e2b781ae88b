/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A filter that breaks a stream at a byte of one's choice. Threads and lock:
 * see filter.c.
 */
#include <inttypes.h>

#include "io/filter-base.h"

typedef struct FaultFilter {
    IoFilter base;
    /* Under base.lock */
    IoFault fault[FILTER_DIRECTIONS];
    uint64_t passed[FILTER_DIRECTIONS];
} FaultFilter;

static int fault_before(IoFilter *f, int dir, size_t *len, Error **errp)
{
    FaultFilter *x = (FaultFilter *)f;
    uint64_t left;

    for (;;) {
        const IoFault *fault = &x->fault[dir];

        if (fault->kind == IO_FAULT_NONE ||
            fault->kind == IO_FAULT_CORRUPT) {
            return 1;
        }
        if (x->passed[dir] < fault->offset) {
            left = fault->offset - x->passed[dir];
            *len = MIN(*len, left);
            return 1;
        }
        switch (fault->kind) {
        case IO_FAULT_SHORT:
            *len = MIN(*len, MAX(fault->value, 1));
            return 1;
        case IO_FAULT_END:
            return 0;
        case IO_FAULT_STALL:
            if (!io_filter_wait_ns(f, dir, UINT64_MAX, errp)) {
                return -1;
            }
            break;
        default:
            error_setg(errp, "cannot %s %s: injected error at byte %" PRIu64,
                       dir == FILTER_READ ? "read from" : "write to",
                       f->parent.name, fault->offset);
            return -1;
        }
    }
}

static bool fault_touches(IoFilter *f, int dir, size_t len)
{
    FaultFilter *x = (FaultFilter *)f;
    const IoFault *fault = &x->fault[dir];

    return fault->kind == IO_FAULT_CORRUPT &&
           fault->offset >= x->passed[dir] &&
           fault->offset - x->passed[dir] < len;
}

static void fault_touch(IoFilter *f, int dir, uint8_t *bytes, size_t len)
{
    FaultFilter *x = (FaultFilter *)f;
    const IoFault *fault = &x->fault[dir];

    if (fault_touches(f, dir, len)) {
        bytes[fault->offset - x->passed[dir]] ^=
            (uint8_t)(fault->value ? fault->value : 0xff);
    }
}

static void fault_after(IoFilter *f, int dir, size_t len)
{
    ((FaultFilter *)f)->passed[dir] += len;
}

static const IoFilterOps fault_ops = {
    .before = fault_before,
    .touches = fault_touches,
    .touch = fault_touch,
    .after = fault_after,
};

void io_filter_fault_set(IoChannel *filter, IoFault on_read, IoFault on_write)
{
    FaultFilter *x = (FaultFilter *)filter;

    g_mutex_lock(&x->base.lock);
    x->fault[FILTER_READ] = on_read;
    x->fault[FILTER_WRITE] = on_write;
    g_cond_broadcast(&x->base.changed);
    g_mutex_unlock(&x->base.lock);
}

uint64_t io_filter_fault_passed(IoChannel *filter, IoShutdown direction)
{
    FaultFilter *x = (FaultFilter *)filter;
    uint64_t passed;

    g_mutex_lock(&x->base.lock);
    passed = x->passed[direction == IO_SHUTDOWN_READ ? FILTER_READ
                                                     : FILTER_WRITE];
    g_mutex_unlock(&x->base.lock);
    return passed;
}

IoChannel *io_filter_fault_new(IoChannel *below, IoFault on_read,
                               IoFault on_write)
{
    FaultFilter *x = g_new0(FaultFilter, 1);

    io_filter_init(&x->base, &fault_ops, below, "fault");
    x->fault[FILTER_READ] = on_read;
    x->fault[FILTER_WRITE] = on_write;
    return &x->base.parent;
}
