/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much is left to move: the one function that asks the modules, and the
 * record of their last answer, which is all that anybody else looks at.
 *
 * The migration thread asks; any thread copies the record, under a lock of
 * this object that is a leaf and held for the copy only. Between begin and end
 * there is a source to ask; without one every answer is zeros.
 */
#ifndef GODWIT_MIGRATION_PENDING_H
#define GODWIT_MIGRATION_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "migration/savevm.h"
#include "util/clock.h"

/* One answer. Its owner frees modules by mig_record_clear(). */
typedef struct MigRecord {
    bool valid;                 /* the modules have been asked */
    bool exact;
    bool postcopy;              /* for a forecast: postcopy_bytes stay behind;
                                   never set by a query */
    int64_t time_ns;            /* when all had answered; the clock given */
    int64_t query_ns;           /* how long that took */
    int64_t synced_ns;          /* when the last exact answer began, or begin */
    MigPendingData total;       /* the sums of all modules; saturating */
    GArray *modules;            /* of SaveVMModule, in order; may be NULL */
} MigRecord;

void mig_record_clear(MigRecord *rec);

typedef struct MigPending MigPending;

/* Asks all modules: savevm_query_pending(), or a test's. */
typedef void (*MigPendingSource)(void *opaque, bool exact, GArray *modules);

MigPending *mig_pending_new(Clock *clock);
void mig_pending_free(MigPending *p);

/* Migration thread. Begin forgets the record; end keeps it. */
void mig_pending_begin(MigPending *p, MigPendingSource source, void *opaque);
void mig_pending_end(MigPending *p);

/*
 * Asks, records, traces. The result is the record, the object's own until the
 * next query. Migration thread.
 */
const MigRecord *mig_pending_query(MigPending *p, bool exact);

/*
 * A copy of the record; with @modules of the breakdown too. *copy is
 * overwritten, and is to be cleared. Any thread; takes no other lock.
 */
void mig_pending_read(MigPending *p, bool modules, MigRecord *copy);

#endif
