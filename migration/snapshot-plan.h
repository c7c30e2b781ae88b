/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much is put aside beside a page that somebody is about to write to. Each
 * page is copied once by somebody anyway, so what nobody would have written
 * costs room and no work; and a fault costs as much as the copy of dozens of
 * pages. So a guess that errs is cheap while there is room.
 *
 * Pure functions over plain data; the fault thread's, no lock.
 */
#ifndef GODWIT_MIGRATION_SNAPSHOT_PLAN_H
#define GODWIT_MIGRATION_SNAPSHOT_PLAN_H

#include <stdint.h>

/* Guest pages of a region, in which faults are counted together. */
#define SNAPSHOT_REGION_PAGES 512

/* Who writes in order has up to so many put aside at a time, ... */
#define SNAPSHOT_STREAM_PAGES_MAX 1024
/* ... and is let on as soon as so many of them are. */
#define SNAPSHOT_CHUNK_PAGES 128

/* Somebody who writes page after page is known; so many are told apart. */
#define SNAPSHOT_STREAMS 8

/* Of the room that there is, one stretch has at most the n-th part. */
#define SNAPSHOT_ROOM_SHARE 4

/* A unit is a page of the host's: @unit_pages guest pages. */
typedef struct SnapshotPlanBlock {
    uint64_t units, unit_pages;
    uint8_t *heat;              /* faults of each region, up to UINT8_MAX */
} SnapshotPlanBlock;

/* Where somebody who writes in order would write next. */
typedef struct SnapshotStream {
    const SnapshotPlanBlock *b;
    uint64_t next;
    uint64_t window;            /* units */
} SnapshotStream;

typedef struct SnapshotPlan {
    SnapshotStream stream[SNAPSHOT_STREAMS];
    unsigned last;
} SnapshotPlan;

/* Units [@first, @end), with the one that was asked about. */
typedef struct SnapshotStretch {
    uint64_t first, end;
    SnapshotStream *stream;     /* whoever writes; valid until the next plan */
} SnapshotStretch;

void snapshot_plan_block_init(SnapshotPlanBlock *b, uint64_t units,
                              uint64_t unit_pages);
void snapshot_plan_block_clear(SnapshotPlanBlock *b);

/* In guest pages: what is free, and what is until there is hurry to send. */
typedef struct SnapshotRoom {
    uint64_t free_pages, calm_pages;
} SnapshotRoom;

/*
 * Somebody is about to write to @unit. Where a stream is met that is twice as
 * much as the last time; elsewhere the more the more often that was so in the
 * region, aligned to its size, and never so much that it alone makes a hurry.
 */
SnapshotStretch snapshot_plan(SnapshotPlan *plan, SnapshotPlanBlock *b,
                              uint64_t unit, SnapshotRoom room);

/* What was planned was done up to before @unit. */
void snapshot_plan_reached(const SnapshotStretch *stretch, uint64_t unit);

#endif
