/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory as a module of the migration: section "ram", version 4. One
 * object serves both directions.
 */
#ifndef GODWIT_MIGRATION_RAM_H
#define GODWIT_MIGRATION_RAM_H

#include "migration/stream.h"
#include "system/memory.h"
#include "system/vm.h"
#include "util/clock.h"

typedef struct Ram Ram;
struct MappedRam;
struct Snapshot;
struct SaveVM;
struct MultiFDSend;
struct MultiFDRecv;

/*
 * Registers section "ram" for all migratable blocks of @vm. @clock times the
 * passes. Main thread, big lock.
 */
Ram *ram_new(Vm *vm, Clock *clock);

/* Unregisters and frees. No migration is under way. Big lock. */
void ram_free(Ram *ram);

/* What to do in the next migration. Before savevm_setup(), loadvm_run(). */
typedef struct RamOptions {
    bool detect_zero_pages;     /* zero-page-detection is not "none" */
    bool mapped_ram;            /* capability mapped-ram; loading, too */
    bool snapshot;              /* saving: ram_set_snapshot() will be called */
    bool postcopy;              /* saving: what is left may go afterwards */
    /* Where pages go through or come from (capability multifd), or NULL */
    struct MultiFDSend *multifd_send;
    struct MultiFDRecv *multifd_recv;
    /* Loading with mapped_ram: how many threads read; 0: the incoming one */
    unsigned read_threads;
    /*
     * Loading with mapped_ram: takes the layout, which has been checked, over
     * and sees to its pages. NULL: they are loaded at once. Incoming thread,
     * big lock held.
     */
    bool (*take_pages)(void *opaque, struct MappedRam *layout, Error **errp);
    void *opaque;
} RamOptions;
void ram_set_options(Ram *ram, const RamOptions *options);

/*
 * After savevm_setup() with options.snapshot: memory is that of the moment of
 * @snapshot, frozen by now, which must live until savevm_complete_live(). Then,
 * or earlier, NULL. The outgoing migration thread.
 */
void ram_set_snapshot(Ram *ram, struct Snapshot *snapshot);

/*
 * Counters of the migration that runs or has run last; zeros before. Written
 * by the migration thread with atomic stores; read by ram_get_stats(), any
 * thread, no lock.
 */
typedef struct RamStats {
    uint64_t total_bytes;       /* of all blocks */
    uint64_t remaining_bytes;   /* dirty, not yet queued */
    uint64_t sent_bytes;        /* of pages, with their headers */
    uint64_t normal_pages;      /* sent with their contents */
    uint64_t zero_pages;        /* sent as a mark */
    uint64_t dirty_pages_rate;  /* newly dirty a second, last period; 0 first */
    /* Between the last two syncs, for the throttle */
    uint64_t period_dirty_bytes;
    uint64_t period_sent_bytes;
    int64_t period_ns;
    uint64_t syncs;             /* of the dirty log; not the pass counter */
    uint64_t postcopy_requests; /* pages that the destination asked for */
    uint64_t multifd_bytes;     /* of all that was sent, over its channels */
} RamStats;
void ram_get_stats(Ram *ram, RamStats *stats);

/* Pages loaded by an incoming migration so far. Any thread, no lock. */
void ram_get_load_stats(Ram *ram, uint64_t *normal_pages,
                        uint64_t *zero_pages);

/* ---- incoming, in postcopy ---- */

struct PageSet;

/*
 * What is loaded from now on is added to @pages; NULL: pages do not come by
 * this module any more, and are refused. Incoming thread.
 */
void ram_set_load_pages(Ram *ram, struct PageSet *pages);

/* ---- outgoing, in postcopy: ram-postcopy.c ---- */

/*
 * What the destination has of a page that is dirty here must not be used: as
 * many POSTCOPY_RAM_DISCARD as it takes. Guest stopped, nothing becomes dirty
 * any more; outgoing thread, big lock held.
 */
void ram_put_discards(Ram *ram, struct SaveVM *sv);

/*
 * The destination asks for [@offset, @offset + @len) bytes of block @id. Error:
 * no such pages, or too many that it has not been given yet. Return path's
 * thread.
 */
bool ram_postcopy_request(Ram *ram, const char *id, uint64_t offset,
                          uint64_t len, Error **errp);

/* Whether something has been asked for. Any thread. */
bool ram_postcopy_is_asked(Ram *ram);

/*
 * postcopy-preempt: what is asked for is not sent by save_postcopy() any more,
 * but by the second function, until nothing is asked for. False: the stream has
 * failed. One other thread.
 */
void ram_postcopy_set_urgent(Ram *ram, bool urgent);
bool ram_postcopy_send_asked(Ram *ram, MigStream *s);

/*
 * After a break: what was asked for is forgotten, because it will be asked for
 * again, and what the destination does not have, by a bitmap of its guest
 * pages that ends where the block ends, is dirty. Outgoing thread.
 */
void ram_postcopy_forget_requests(Ram *ram);
void ram_postcopy_set_received(Ram *ram, const RamBlock *rb,
                               const uint64_t *received);

/* ---- the wire's numbers: flags in the low bits of a page's offset ---- */

#define RAM_SAVE_VERSION 4

#define RAM_SAVE_FLAG_ZERO 0x02
#define RAM_SAVE_FLAG_MEM_SIZE 0x04
#define RAM_SAVE_FLAG_PAGE 0x08
#define RAM_SAVE_FLAG_EOS 0x10
#define RAM_SAVE_FLAG_CONTINUE 0x20
#define RAM_SAVE_FLAG_XBZRLE 0x40
#define RAM_SAVE_FLAG_HOOK 0x80
#define RAM_SAVE_FLAG_MULTIFD_FLUSH 0x200

#endif
