/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capability postcopy-blocktime: for how long page faults kept the harts of a
 * guest waiting, each of them and all at a time. Told by whoever serves the
 * faults; read by any thread. A lock of its own, a leaf.
 */
#ifndef GODWIT_MIGRATION_BLOCKTIME_H
#define GODWIT_MIGRATION_BLOCKTIME_H

#include "qapi/qapi-types-migration.h"
#include "util/clock.h"

typedef struct Blocktime Blocktime;

/* For threads @tids[0 .. @num - 1], which are the harts in their order. */
Blocktime *blocktime_new(Clock *clock, const uint32_t *tids, unsigned num);
void blocktime_free(Blocktime *bt);

/*
 * Thread @tid begins to wait for a page; it goes on after @ns of that. Each
 * begin has its end, in any order if there are several.
 */
void blocktime_begins(Blocktime *bt, uint32_t tid);
void blocktime_ends(Blocktime *bt, uint32_t tid, int64_t ns);

/* The members of *info that are about it. */
void blocktime_fill(Blocktime *bt, MigrationInfo *info);

#endif
