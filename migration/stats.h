/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rates of one migration, over periods of at least MIG_STATS_PERIOD_NS. One
 * thread samples; any thread reads, by atomics, without a lock. What memory
 * itself counts (pages, bytes) is in RamStats (ram.h).
 */
#ifndef GODWIT_MIGRATION_STATS_H
#define GODWIT_MIGRATION_STATS_H

#include <stdint.h>

#define MIG_STATS_PERIOD_NS (100 * INT64_C(1000000))

typedef struct MigStats {
    /* The sampling thread */
    int64_t start_ns;
    uint64_t start_bytes;
    uint64_t start_pages;

    /* Atomic */
    uint64_t bytes_per_sec;     /* of the last whole period; 0 before */
    uint64_t pages_per_sec;
} MigStats;

/* Begins to count at @now_ns. */
void mig_stats_begin(MigStats *st, int64_t now_ns);

/* What has left since mig_stats_begin(): bytes and guest pages. */
void mig_stats_sample(MigStats *st, int64_t now_ns, uint64_t bytes,
                      uint64_t pages);

/* The same over all of the migration, once it has ended. */
void mig_stats_end(MigStats *st, int64_t total_ns, uint64_t bytes,
                   uint64_t pages);

uint64_t mig_stats_bytes_per_sec(const MigStats *st);
uint64_t mig_stats_pages_per_sec(const MigStats *st);

#endif
