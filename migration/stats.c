/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rates: see stats.h. One thread samples, any reads; no lock. */
#include "migration/stats.h"
#include "util/checked.h"

#define NS_PER_SEC UINT64_C(1000000000)

static void publish(uint64_t *where, uint64_t val)
{
    __atomic_store_n(where, val, __ATOMIC_RELAXED);
}

void mig_stats_begin(MigStats *st, int64_t now_ns)
{
    st->start_ns = now_ns;
    st->start_bytes = 0;
    st->start_pages = 0;
    publish(&st->bytes_per_sec, 0);
    publish(&st->pages_per_sec, 0);
}

void mig_stats_sample(MigStats *st, int64_t now_ns, uint64_t bytes,
                      uint64_t pages)
{
    int64_t ns = now_ns - st->start_ns;

    if (ns < MIG_STATS_PERIOD_NS) {
        return;
    }
    publish(&st->bytes_per_sec,
            sat_muldiv_u64(sat_sub_u64(bytes, st->start_bytes), NS_PER_SEC,
                           ns));
    publish(&st->pages_per_sec,
            sat_muldiv_u64(sat_sub_u64(pages, st->start_pages), NS_PER_SEC,
                           ns));
    st->start_ns = now_ns;
    st->start_bytes = bytes;
    st->start_pages = pages;
}

void mig_stats_end(MigStats *st, int64_t total_ns, uint64_t bytes,
                   uint64_t pages)
{
    if (total_ns > 0) {
        publish(&st->bytes_per_sec,
                sat_muldiv_u64(bytes, NS_PER_SEC, total_ns));
        publish(&st->pages_per_sec,
                sat_muldiv_u64(pages, NS_PER_SEC, total_ns));
    }
}

uint64_t mig_stats_bytes_per_sec(const MigStats *st)
{
    return __atomic_load_n(&st->bytes_per_sec, __ATOMIC_RELAXED);
}

uint64_t mig_stats_pages_per_sec(const MigStats *st)
{
    return __atomic_load_n(&st->pages_per_sec, __ATOMIC_RELAXED);
}
