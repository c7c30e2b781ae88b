/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that runs before its memory is loaded: pages of a mapped-ram file
 * come when they are touched, and one after the other besides. Capability
 * postcopy-ram together with mapped-ram, at the destination.
 */
#ifndef GODWIT_MIGRATION_FAST_LOAD_H
#define GODWIT_MIGRATION_FAST_LOAD_H

#include "io/channel.h"
#include "migration/mapped-ram.h"
#include "migration/uffd.h"

typedef struct FastLoad FastLoad;

typedef struct FastLoadConfig {
    Memory *memory;
    const UffdSys *sys;
    Clock *clock;
    IoChannel *ch;              /* a reference is taken; it must be seekable */
    /*
     * After fast_load_commit(): a page of the guest cannot be had, and who
     * touches it waits for ever. The fault thread or the one in
     * fast_load_run(). Takes @err.
     */
    void (*lost)(void *opaque, Error *err);
    void *opaque;
} FastLoadConfig;

/* Whether kernel and memory allow it; see uffd_check(). Any thread. */
bool fast_load_check(const UffdSys *sys, Memory *memory, Error **errp);

/*
 * From here on a page comes when it is touched; what was in memory is gone.
 * @layout has been checked, and is taken over, also on error. A block that
 * cannot be written is left out. The memory keeps the object until
 * fast_load_free(), or frees it at its own end. Incoming thread; nobody may be
 * using the memory.
 */
FastLoad *fast_load_start(const FastLoadConfig *config, MappedRam *layout,
                          Error **errp);

/*
 * The guest is about to run. False: a page could not be had already (and those
 * who waited for it were given zeros, which did no harm yet).
 */
bool fast_load_commit(FastLoad *fl, Error **errp);

/*
 * Loads all that has not been touched, in the order of the file. Returns when
 * each page is in place. False: fast_load_stop() was called, or a page is lost.
 * After fast_load_commit(), without the big lock.
 */
bool fast_load_run(FastLoad *fl, Error **errp);

/* fast_load_run() returns soon; pages still come when touched. Any thread. */
void fast_load_stop(FastLoad *fl);

/*
 * Ends it. Pages that are not in place are zero from here on. Not in one of its
 * own threads.
 */
void fast_load_free(FastLoad *fl);

/* In pages of 4096 bytes. */
typedef struct FastLoadStats {
    uint64_t total_pages;       /* that the file has contents for */
    uint64_t fault_pages;       /* of these, in place because of a touch */
    uint64_t eager_pages;       /* ... by fast_load_run() */
    uint64_t zero_faults;       /* touches of pages that are zero */
    UffdStats faults;
} FastLoadStats;

/* Any thread. */
void fast_load_get_stats(FastLoad *fl, FastLoadStats *stats);

#endif
