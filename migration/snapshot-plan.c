/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much is put aside beside a page; see snapshot-plan.h. */
#include <glib.h>

#include "migration/snapshot-plan.h"

/* Beside the first page of a region that is written to, and each time more. */
#define FIRST_PAGES 4
#define GROWTH_SHIFT 2

static uint64_t to_units(const SnapshotPlanBlock *b, uint64_t pages)
{
    return MAX(pages / b->unit_pages, 1);
}

void snapshot_plan_block_init(SnapshotPlanBlock *b, uint64_t units,
                              uint64_t unit_pages)
{
    *b = (SnapshotPlanBlock) { .units = units, .unit_pages = unit_pages };
    b->heat = g_new0(uint8_t, units / to_units(b, SNAPSHOT_REGION_PAGES) + 1);
}

void snapshot_plan_block_clear(SnapshotPlanBlock *b)
{
    g_clear_pointer(&b->heat, g_free);
}

static SnapshotStream *find_stream(SnapshotPlan *plan,
                                   const SnapshotPlanBlock *b, uint64_t unit)
{
    for (unsigned i = 0; i < SNAPSHOT_STREAMS; i++) {
        if (plan->stream[i].b == b && plan->stream[i].next == unit) {
            return &plan->stream[i];
        }
    }
    return NULL;
}

static SnapshotStream *new_stream(SnapshotPlan *plan,
                                  const SnapshotPlanBlock *b)
{
    plan->last = (plan->last + 1) % SNAPSHOT_STREAMS;
    plan->stream[plan->last] = (SnapshotStream) { .b = b };
    return &plan->stream[plan->last];
}

/* A power of two, of guest pages. */
static uint64_t heat_pages(SnapshotPlanBlock *b, uint64_t unit)
{
    uint8_t *heat = &b->heat[unit / to_units(b, SNAPSHOT_REGION_PAGES)];
    uint64_t pages = FIRST_PAGES;

    for (unsigned i = 0; i < *heat && pages < SNAPSHOT_REGION_PAGES; i++) {
        pages <<= GROWTH_SHIFT;
    }
    *heat += *heat < UINT8_MAX;
    return MIN(pages, SNAPSHOT_REGION_PAGES);
}

static uint64_t power_of_two_below(uint64_t n)
{
    return UINT64_C(1) << (63 - __builtin_clzll(n));
}

SnapshotStretch snapshot_plan(SnapshotPlan *plan, SnapshotPlanBlock *b,
                              uint64_t unit, SnapshotRoom room)
{
    uint64_t pages = heat_pages(b, unit), window, most;
    SnapshotStretch stretch = { .first = unit };

    stretch.stream = find_stream(plan, b, unit);
    if (stretch.stream) {
        most = to_units(b, room.free_pages / SNAPSHOT_ROOM_SHARE);
        window = MIN(stretch.stream->window * 2,
                     to_units(b, SNAPSHOT_STREAM_PAGES_MAX));
        window = MIN(window, most);
    } else {
        most = to_units(b, room.calm_pages / SNAPSHOT_ROOM_SHARE);
        stretch.stream = new_stream(plan, b);
        window = power_of_two_below(MIN(to_units(b, pages), most));
        stretch.first = unit - unit % window;
    }
    stretch.end = MIN(stretch.first + window, b->units);
    stretch.stream->window = window;
    stretch.stream->next = stretch.end;
    return stretch;
}

void snapshot_plan_reached(const SnapshotStretch *stretch, uint64_t unit)
{
    stretch->stream->next = unit;
}
