/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a module (RAM, a VFIO device, all devices that only have a vmstate)
 * takes part in a migration: it registers a table of hooks. Whoever implements
 * one finds here who calls it, on which thread, with which lock, and what it
 * has to do.
 */
#ifndef GODWIT_MIGRATION_REGISTER_H
#define GODWIT_MIGRATION_REGISTER_H

#include "system/vm.h"
#include "util/checked.h"

typedef struct MigStream MigStream;

/*
 * How much a module has left to move, in bytes; each byte in one class only.
 * Filled by every module adding to what is there, through
 * mig_pending_add(); total_bytes is the core's alone.
 */
typedef struct MigPendingData {
    /* may go while the guest runs, must be there before the destination runs */
    uint64_t precopy_bytes;
    /* may go after the destination runs */
    uint64_t postcopy_bytes;
    /* can only be read once the guest is stopped */
    uint64_t stopcopy_bytes;
    /* sum of the three, saturating; written by the core */
    uint64_t total_bytes;
} MigPendingData;

/* Adds to a module's answer; saturates, so that a driver may say anything. */
static inline void mig_pending_add(MigPendingData *pending, uint64_t precopy,
                                   uint64_t postcopy, uint64_t stopcopy)
{
    pending->precopy_bytes = sat_add_u64(pending->precopy_bytes, precopy);
    pending->postcopy_bytes = sat_add_u64(pending->postcopy_bytes, postcopy);
    pending->stopcopy_bytes = sat_add_u64(pending->stopcopy_bytes, stopcopy);
}

/* What one call of save_live_iterate() came to. */
typedef enum MigIterate {
    MIG_ITERATE_MORE,           /* sent something, has more for this pass */
    MIG_ITERATE_DONE,           /* nothing left before the next slow query */
    MIG_ITERATE_ERROR,          /* errp is set */
} MigIterate;

/* What a module is, for those who count by kind. */
typedef enum MigModuleKind {
    MIG_MODULE_OTHER,
    MIG_MODULE_VFIO,            /* query-migrate: vfio */
} MigModuleKind;

/*
 * The hooks. "Migration thread" is the outgoing one, "incoming thread" the one
 * that loads. A NULL hook is skipped. @opaque is what was registered.
 */
typedef struct SaveVMHandlers {
    MigModuleKind kind;

    /*
     * Once, at the start; guest running. Allocates, starts dirty logging,
     * writes its SECTION_START payload to @s. Migration thread, big lock held.
     * On error save_cleanup() follows.
     */
    bool (*save_setup)(MigStream *s, void *opaque, Error **errp);

    /*
     * After the migration, however it ended, if save_setup() was called.
     * Migration thread or main loop, big lock held.
     */
    void (*save_cleanup)(void *opaque);

    /*
     * Adds what is left to *pending. @exact false: from memory, without system
     * call or contended lock, under a microsecond. @exact true: first asks the
     * source of truth. Both report the same quantities. Migration thread,
     * between save_setup() and save_cleanup(); big lock not held, and not to
     * be taken if not @exact. During the blackout the guest is stopped and the
     * big lock is held by the caller.
     */
    void (*save_query_pending)(void *opaque, MigPendingData *pending,
                               bool exact);

    /*
     * Sends a chunk of what may go while the guest runs: returns after some
     * milliseconds of work, or when mig_stream_rate_exceeded(), or when done.
     * Migration thread, big lock not held.
     */
    MigIterate (*save_live_iterate)(MigStream *s, void *opaque, Error **errp);

    /*
     * Guest stopped: sends all that is left. Migration thread, big lock held.
     * With background-snapshot the guest runs, and what goes is that of the
     * moment: guest memory's alone (blocker.h).
     */
    bool (*save_complete)(MigStream *s, void *opaque, Error **errp);

    /*
     * After the switchover of a migration in postcopy, instead of
     * save_complete(), until DONE: sends a chunk of what may arrive once the
     * destination runs. Then, @end: what a section's end needs. Whoever has
     * this hook reports such data as postcopy_bytes. Migration thread, big
     * lock not held.
     */
    MigIterate (*save_postcopy)(MigStream *s, void *opaque, bool end,
                                Error **errp);

    /*
     * Guest stopped, after the last exact query and before save_complete() of
     * any module: whether the module can go through with it. False: the
     * migration fails, and the guest goes on here. Migration thread, big lock
     * held.
     */
    bool (*save_switchover)(void *opaque, Error **errp);

    /*
     * What goes after the live data of all modules and the states of all
     * devices, in a FULL section of the same name and version, for
     * load_state(). Guest stopped; migration thread, big lock held and not to
     * be dropped.
     */
    bool (*save_state)(MigStream *s, void *opaque, Error **errp);

    /*
     * Whoever waits in this module's own I/O (read or write of a device, say),
     * in any of its hooks, is to come back soon, with an error: the migration
     * is over. Nobody may be waiting. Main loop, big lock held.
     */
    void (*interrupt)(void *opaque);

    /* Before the first section is loaded. Incoming thread, big lock held. */
    bool (*load_setup)(void *opaque, Error **errp);

    /*
     * Loads the payload of one section of version @version_id, as one of the
     * save hooks wrote it. Every number in it is hostile. Incoming thread; big
     * lock held.
     */
    bool (*load_state)(MigStream *s, void *opaque, int version_id,
                       Error **errp);

    /*
     * All sections have been loaded: the last look at what only the whole can
     * show. Incoming thread, big lock held.
     */
    bool (*load_complete)(void *opaque, Error **errp);

    /*
     * The guest is about to run here, and the source does not know yet: the
     * last hook that can fail. What must happen in several devices at a time
     * is for a handler of run state changes. Incoming thread, big lock held.
     */
    bool (*load_take_over)(void *opaque, Error **errp);

    /*
     * The guest does not run here after all, although load_complete() and
     * perhaps load_take_over() of this module were well. Then load_cleanup().
     */
    void (*load_give_up)(void *opaque);

    /* After load_setup(), however it ended. Big lock held. */
    void (*load_cleanup)(void *opaque);
} SaveVMHandlers;

#define SAVEVM_INSTANCE_ANY UINT32_MAX

/*
 * Registers a module under a section name of at most 255 bytes, e.g. "ram".
 * @instance: its number among those of the same name, or SAVEVM_INSTANCE_ANY
 * for the next free one. Big lock. The table must outlive the registration.
 */
void savevm_register_live(Vm *vm, const char *idstr, uint32_t instance,
                          int version_id, const SaveVMHandlers *handlers,
                          void *opaque);
void savevm_unregister_live(Vm *vm, const char *idstr, void *opaque);

#endif
