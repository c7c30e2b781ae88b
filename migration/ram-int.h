/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ram.c, ram-save.c and ram-load.c share. */
#ifndef GODWIT_MIGRATION_RAM_INT_H
#define GODWIT_MIGRATION_RAM_INT_H

#include "migration/dirty.h"
#include "migration/mapped-ram.h"
#include "migration/ram.h"
#include "migration/register.h"
#include "migration/zero-page.h"

/* The low bits of a page's offset are its flags. */
#define RAM_FLAGS_MASK (GUEST_PAGE_SIZE - 1)

/* More than threads that could be waiting for a page, at either side. */
#define RAM_REQUESTS_MAX 4096

/* Pages that the destination waits for, in the order of its asking. */
typedef struct RamRequests {
    GMutex lock;                /* a leaf */
    /* Under lock */
    struct {
        const RamBlock *rb;
        uint64_t page;          /* guest page; one of the host's is meant */
    } ring[RAM_REQUESTS_MAX];
    unsigned first;
    unsigned num;               /* atomic: read without */
} RamRequests;

/* What a stream of pages has said last. */
typedef struct RamPlace {
    const RamBlock *rb;         /* of the last page, for CONTINUE; or NULL */
    bool second;                /* saving: not the thread that save_presence
                                   belongs to */
} RamPlace;

struct Ram {
    /* Constant */
    Vm *vm;
    Clock *clock;

    /* Big lock; constant while saving or loading */
    RamOptions options;

    /* The outgoing migration thread */
    DirtyTracker dirty;
    PagePresence *save_presence;        /* has a cache: one thread alone */
    MappedRam *save_mapped;     /* NULL: pages go into the stream */
    struct Snapshot *snapshot;  /* of one moment; NULL: as it is now */
    MigStream *multifd_stream;  /* of the migration, for what is counted */
    uint64_t multifd_round;     /* of the walk, as of the last flush */
    int64_t multifd_flush_ns;
    int64_t sync_ns;            /* when the period began that is measured */
    uint64_t period_dirty_pages;
    uint64_t period_start_sent;
    RamRequests requests;
    /* Postcopy */
    GMutex dirty_lock;          /* a leaf: two threads take pages of dirty */
    bool urgent;                /* somebody else sends what is asked for */
    RamPlace urgent_place;      /* who that is */

    /* The incoming thread */
    bool blocks_listed;         /* the stream has said which blocks it has */
    bool listed[RAM_BLOCKS_MAX];
    RamPlace load_place;
    struct PageSet *load_pages; /* postcopy: what has come; or NULL */
    bool load_elsewhere;        /* postcopy: pages are not for ram_load() */
    PagePresence *load_presence;
    MappedRam *load_mapped;     /* NULL: pages come in the stream */

    /* Atomic: written by the thread above, read by any */
    RamStats stats;
    uint64_t loaded_normal_pages;
    uint64_t loaded_zero_pages;

    /* Atomic: added to by multifd's threads */
    uint64_t multifd_normal_pages;
    uint64_t multifd_zero_pages;
};

/* Counters have one writer, but for those of pages that two threads send. */
#define ram_stat_set(_p, _val) __atomic_store_n((_p), (_val), __ATOMIC_RELAXED)
#define ram_stat_add(_p, _val) \
    __atomic_fetch_add((_p), (_val), __ATOMIC_RELAXED)

/* ram-save.c; see the hooks of SaveVMHandlers */
bool ram_save_setup(MigStream *s, void *opaque, Error **errp);
void ram_save_cleanup(void *opaque);
void ram_save_query_pending(void *opaque, MigPendingData *pending, bool exact);
MigIterate ram_save_iterate(MigStream *s, void *opaque, Error **errp);
bool ram_save_complete(MigStream *s, void *opaque, Error **errp);
MigIterate ram_save_postcopy(MigStream *s, void *opaque, bool end,
                             Error **errp);
/* One page, as a record of its own; what was said last is in *place. */
void ram_send_page(Ram *ram, MigStream *s, const RamBlock *rb, uint64_t page,
                   RamPlace *place);
/* Whether page @page is to be taken for a page of zeros. */
bool ram_page_is_zero(Ram *ram, const RamBlock *rb, uint64_t page);
/*
 * Puts a page with @data, which stays as it is until the next flush; NULL:
 * zeros. What was said last is in *place.
 */
void ram_put_page(Ram *ram, MigStream *s, const RamBlock *rb, uint64_t page,
                  const uint8_t *data, RamPlace *place);

/* ram-snapshot.c: save_live_iterate() with Ram.snapshot. */
MigIterate ram_snapshot_iterate(Ram *ram, MigStream *s, int64_t end_ns,
                                Error **errp);
/* The record of a page of zeros; what was said last is in *place. */
void ram_put_zero_page(Ram *ram, MigStream *s, const RamBlock *rb,
                       uint64_t page, RamPlace *place);

/* ram-load.c */
bool ram_load_setup(void *opaque, Error **errp);
bool ram_load(MigStream *s, void *opaque, int version_id, Error **errp);
bool ram_load_complete(void *opaque, Error **errp);
void ram_load_cleanup(void *opaque);
/* Makes the page at @offset zero, or finds that it must be and is not. */
bool ram_load_zero(Ram *ram, MigStream *s, const RamBlock *rb, uint64_t offset,
                   Error **errp);
/*
 * The block of a page at @offset with @flags: named in the stream now, or the
 * one of *place. Checked; NULL: an error.
 */
const RamBlock *ram_load_block_of(Memory *memory, MigStream *s,
                                  uint64_t offset, uint64_t flags,
                                  RamPlace *place, Error **errp);
/* The fill byte of a page of zeros. */
bool ram_load_fill(MigStream *s, const RamBlock *rb, Error **errp);

/*
 * mapped-ram-pages.c: what is dirty to its places, until nothing is, the
 * stream fails, the rate is used up or it is @end_ns (-1: neither of these).
 */
void mapped_ram_send_pages(Ram *ram, MigStream *s, int64_t end_ns);
/* Neighbouring pages with @data to their places; NULL: they are zeros. */
void mapped_ram_put_pages(Ram *ram, MigStream *s, const RamBlock *rb,
                          uint64_t first, uint64_t count, const uint8_t *data);
/* All pages of the checked layout that nobody takes, into guest memory. */
bool mapped_ram_load_pages(Ram *ram, MigStream *s, bool mark_dirty,
                           Error **errp);

#endif
