/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See blocktime.h. Owns Blocktime.lock. */
#include "migration/blocktime.h"

#define NS_PER_MS 1000000

typedef struct Waiter {
    unsigned pages;             /* of a hart: begun and not ended */
    bool waits;
    int64_t since_ns;
    int64_t waited_ns;          /* in all, but for the present wait */
    uint64_t faults;            /* that have been served */
    int64_t latency_ns;         /* their sum */
} Waiter;

struct Blocktime {
    /* Constant */
    Clock *clock;
    uint32_t *tids;
    unsigned num;

    GMutex lock;
    /* Under lock */
    Waiter *harts;
    Waiter others;              /* faults of all other threads; no waits */
    unsigned num_waiting;
    Waiter all;                 /* waits while every hart does */
};

Blocktime *blocktime_new(Clock *clock, const uint32_t *tids, unsigned num)
{
    Blocktime *bt = g_new0(Blocktime, 1);

    bt->clock = clock;
    bt->num = num;
    bt->tids = g_memdup2(tids, num * sizeof(*tids));
    bt->harts = g_new0(Waiter, num);
    g_mutex_init(&bt->lock);
    return bt;
}

void blocktime_free(Blocktime *bt)
{
    if (!bt) {
        return;
    }
    g_mutex_clear(&bt->lock);
    g_free(bt->harts);
    g_free(bt->tids);
    g_free(bt);
}

static Waiter *find_hart(Blocktime *bt, uint32_t tid)
{
    for (unsigned i = 0; i < bt->num; i++) {
        if (bt->tids[i] == tid) {
            return &bt->harts[i];
        }
    }
    return NULL;
}

static void set_waits(Waiter *w, bool waits, int64_t now)
{
    if (w->waits && !waits) {
        w->waited_ns += MAX(now - w->since_ns, 0);
    } else if (!w->waits && waits) {
        w->since_ns = now;
    }
    w->waits = waits;
}

/*
 * Lock held. A hart waits for one page at a time, but that it has been woken may
 * be told after its next fault: it waits while anything is open.
 */
static void update_hart(Blocktime *bt, Waiter *hart)
{
    int64_t now = clock_now_ns(bt->clock);
    bool waits = hart->pages > 0;

    bt->num_waiting += (int)waits - (int)hart->waits;
    set_waits(hart, waits, now);
    set_waits(&bt->all, bt->num > 0 && bt->num_waiting == bt->num, now);
}

void blocktime_begins(Blocktime *bt, uint32_t tid)
{
    Waiter *hart = find_hart(bt, tid);

    if (hart) {
        g_mutex_lock(&bt->lock);
        hart->pages++;
        update_hart(bt, hart);
        g_mutex_unlock(&bt->lock);
    }
}

void blocktime_ends(Blocktime *bt, uint32_t tid, int64_t ns)
{
    Waiter *hart = find_hart(bt, tid);
    Waiter *who = hart ? hart : &bt->others;

    g_mutex_lock(&bt->lock);
    if (hart) {
        hart->pages -= MIN(hart->pages, 1);
        update_hart(bt, hart);
    }
    who->faults++;
    who->latency_ns += MAX(ns, 0);
    g_mutex_unlock(&bt->lock);
}

static int64_t waited_ms(const Waiter *w, int64_t now)
{
    return (w->waited_ns + (w->waits ? MAX(now - w->since_ns, 0) : 0)) /
           NS_PER_MS;
}

static uint64_t latency(const Waiter *w)
{
    return w->faults ? w->latency_ns / w->faults : 0;
}

void blocktime_fill(Blocktime *bt, MigrationInfo *info)
{
    uint32List **blocked = &info->postcopy_vcpu_blocktime;
    uint64List **latencies = &info->postcopy_vcpu_latency;
    int64_t now = clock_now_ns(bt->clock);

    g_mutex_lock(&bt->lock);
    info->has_postcopy_blocktime = true;
    info->postcopy_blocktime = waited_ms(&bt->all, now);
    info->has_postcopy_vcpu_blocktime = bt->num > 0;
    info->has_postcopy_vcpu_latency = bt->num > 0;
    for (unsigned i = 0; i < bt->num; i++) {
        QAPI_LIST_APPEND(blocked, waited_ms(&bt->harts[i], now));
        QAPI_LIST_APPEND(latencies, latency(&bt->harts[i]));
    }
    info->has_postcopy_non_vcpu_latency = true;
    info->postcopy_non_vcpu_latency = latency(&bt->others);
    g_mutex_unlock(&bt->lock);
}
