/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source and a destination in one process: memory that a thread keeps
 * writing to stands for the guest. The functions assert what they expect; the
 * test's thread, no lock held.
 */
#ifndef GODWIT_TESTS_MIGRATION_LOOPBACK_H
#define GODWIT_TESTS_MIGRATION_LOOPBACK_H

#include "io/filter.h"
#include "migration/migration-int.h"
#include "migration/migration.h"
#include "qapi/qapi-commands-migration.h"
#include "system/memory.h"
#include "system/runstate.h"

#define MIB (UINT64_C(1) << 20)
#define RAM_BYTES (16 * MIB)
#define PAGES (RAM_BYTES / GUEST_PAGE_SIZE)

/* A machine and the thread that is its guest. */
typedef struct Side {
    Vm *vm;
    RamBlock *rb;
    GThread *guest;
    GMutex lock;
    GCond changed;
    /* Under lock */
    bool runs, quit, in_store;
    uint64_t stores;            /* of this machine's guest; any page */
    unsigned sleep_us;          /* between two stores */
    unsigned area_pages;        /* it writes to the first so many */
    GString *events;
} Side;

/*
 * A guest that runs, in memory of which every fourth page is zero; a machine
 * that waits for one. Both with events and return path, and no bandwidth limit.
 */
Side *side_new_source(void);
Side *side_new_destination(void);
void side_free(Side *s);

/* It says that it runs, and stores go on. */
void assert_guest_runs(Side *s);

/* Names of the events since the last time, and the statuses of MIGRATION. */
char *take_events(Side *s);

MigrationStatus out_status(Side *s);
MigrationStatus in_status(Side *s);

/* Until get(s) is @a or @b. */
void wait_status(MigrationStatus (*get)(Side *s), Side *s, MigrationStatus a,
                 MigrationStatus b);

/* Two connected channels; each side takes over the one it is given. */
void make_pair(IoChannel *ends[2]);
void start_source(Side *s, IoChannel *ch);
void start_destination(Side *s, IoChannel *ch);

void cancel(Side *s);
MigrationInfo *query(Side *s);

/*
 * @a stands still and @b is stopped: their memory is the same, but for what
 * @b's guest has stored since.
 */
void assert_same_memory(Side *a, Side *b);

/* A new destination, to which @src is moved whole. */
void migrate_well(Side *src);

/*
 * After a migration that may have failed: one of the two runs the guest, the
 * statuses agree, and @src is made to run again.
 */
void settle(Side *src, Side *dst);

/* The destination listens at, or loads, @uri; an error leaves it there. */
void start_incoming(Side *dst, const char *uri);

#endif
