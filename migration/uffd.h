/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * userfaultfd, once: pages of guest memory that come when they are touched.
 * One object opens the descriptor, registers memory, runs the thread that
 * hears of faults, and puts pages in place; what a page is made of is a
 * handler's. Which thread may wait for which: docs/devel/migration-uffd.rst.
 *
 * Neither this nor a handler may take the big lock, or any lock that somebody
 * holds who touches guest memory, or touch guest memory: who waits for a page
 * may hold it.
 */
#ifndef GODWIT_MIGRATION_UFFD_H
#define GODWIT_MIGRATION_UFFD_H

#include "system/memory.h"
#include "util/clock.h"

/* Linux 6.4; protecting anonymous memory covers what has no page yet, too. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif

/* ---- the kernel, as a test may replace it ---- */

typedef struct UffdSys UffdSys;

/* As the system calls they are called after: -1 and errno. */
struct UffdSys {
    int (*open_device)(const UffdSys *sys);     /* /dev/userfaultfd */
    int (*userfaultfd)(const UffdSys *sys, int flags);
    int (*ioctl)(const UffdSys *sys, int fd, unsigned long request, void *arg);
    int (*close)(const UffdSys *sys, int fd);
};

const UffdSys *uffd_sys_host(void);

/* ---- what can be had ---- */

/* What is to be heard of; combined. */
typedef enum UffdMode {
    UFFD_MISSING = 1,           /* a page that nobody has given contents */
    UFFD_MINOR = 2,             /* shared memory: contents, but not mapped */
    UFFD_WP = 4,                /* a write to a protected page */
} UffdMode;

/* The blocks of guest memory that are meant, at most RAM_BLOCKS_MAX. */
typedef struct UffdBlocks {
    RamBlock *rb[RAM_BLOCKS_MAX];
    unsigned num;
} UffdBlocks;

/* All memory that migrates and can be written to. Any thread. */
void uffd_list_blocks(Memory *memory, UffdBlocks *blocks);

/*
 * Whether faults in the memory of @blocks can be served in all of @modes, those
 * that the kernel makes on somebody's behalf too. The error names the feature
 * or the block in the way. Any thread; opens nothing for longer than the call.
 */
bool uffd_check(const UffdSys *sys, const UffdBlocks *blocks, unsigned modes,
                Error **errp);

/* What a descriptor can beside what was asked for. */
typedef struct UffdExtras {
    bool thread_ids;            /* faults will say whose they are */
    bool wp_unpopulated;        /* see uffd_protect() */
} UffdExtras;

/* Whether faults say whose they are. Any thread. */
bool uffd_check_thread_ids(const UffdSys *sys, Error **errp);

/*
 * A descriptor that is ready for uffd_check()'s case, non-blocking, or -1 and
 * errp.
 */
int uffd_open(const UffdSys *sys, const UffdBlocks *blocks, unsigned modes,
              UffdExtras *extras, Error **errp);

/* ---- serving ---- */

typedef struct Uffd Uffd;

typedef struct UffdFault {
    RamBlock *rb;
    uint64_t offset;            /* bytes; start of a page of rb->page_size */
    UffdMode mode;              /* why */
    bool write;
    uint32_t tid;               /* thread, or 0 if the kernel does not say */
} UffdFault;

/* Where pages come from. Called by the fault thread. */
typedef struct UffdHandler {
    /*
     * Sees to it that the page is put in place, by this thread now or by
     * another one later; the same fault may be reported again. False and errp:
     * it cannot be had.
     */
    bool (*fault)(void *opaque, Uffd *u, const UffdFault *fault,
                  Error **errp);
    /*
     * Once: fault() has failed, or the descriptor has. The thread serves
     * nobody from here on, who waits goes on waiting. Takes @err.
     */
    void (*failed)(void *opaque, Uffd *u, Error *err);
    void *opaque;
    /*
     * Thread @tid waits for a page from now on; it has waited for @ns. Each
     * served fault has one of both. Any thread that puts pages in place, under
     * Uffd.lock. May be NULL.
     */
    void (*begins)(void *opaque, uint32_t tid);
    void (*ends)(void *opaque, uint32_t tid, int64_t ns);
} UffdHandler;

typedef struct UffdIncoming {
    const UffdSys *sys;
    Clock *clock;
    UffdBlocks blocks;
    unsigned modes;             /* of UffdMode */
    bool keep;                  /* what is there stays: the caller empties */
} UffdIncoming;

/*
 * Begins to serve: opens, negotiates, empties the blocks (UFFD_MISSING, unless
 * keep: what is there has no contents from here on), registers them, starts the
 * thread "mig/dst/fault", or "mig/src/fault" if all that is heard of are writes.
 * @channels: how many other threads will put pages in place;
 * each has a number, 1 .. @channels, and the fault thread is 0. NULL and errp:
 * everything opened is closed. No thread may be using the memory, but with
 * UFFD_WP alone, when any may.
 */
#define UFFD_CHANNELS_MAX 16
Uffd *uffd_setup_incoming(const UffdIncoming *incoming,
                          const UffdHandler *handler, unsigned channels,
                          Error **errp);

/*
 * What @rb has there has no contents from here on; in whole pages of its own.
 * Any thread; nobody may be using it.
 */
bool uffd_empty(const RamBlock *rb, uint64_t offset, uint64_t len,
                Error **errp);

/*
 * Takes the registration back, so that whoever waits goes on, and a page
 * without contents is zero. Any thread, the fault thread too.
 */
void uffd_release(Uffd *u);

/*
 * Ends: joins the thread and takes the registration back. Whoever still waits
 * goes on, and a page without contents is zero then. Not the fault thread.
 */
void uffd_free(Uffd *u);

/* Bytes of the buffer of each channel: a multiple of every page size. */
uint64_t uffd_buffer_bytes(const Uffd *u);
/* That of @channel, aligned to a page, for the thread it belongs to. */
uint8_t *uffd_buffer(Uffd *u, unsigned channel);

/*
 * Puts pages in place and wakes who waits for them. @offset and @len are
 * multiples of rb->page_size. A page that has contents keeps them. The second
 * fills with zeros, the third maps what shared memory has (UFFD_MINOR). Any
 * thread. Error: no memory, or not such memory.
 */
bool uffd_copy(Uffd *u, const RamBlock *rb, uint64_t offset, const void *from,
               uint64_t len, Error **errp);
bool uffd_zero(Uffd *u, const RamBlock *rb, uint64_t offset, uint64_t len,
               Error **errp);
bool uffd_continue(Uffd *u, const RamBlock *rb, uint64_t offset, uint64_t len,
                   Error **errp);

/*
 * UFFD_WP: protects pages against writing, or lets them be written again and
 * wakes who waits for that. A page of anonymous memory that nobody has touched
 * is protected only if uffd_protects_untouched(). Any thread.
 */
bool uffd_protects_untouched(const Uffd *u);
bool uffd_protect(Uffd *u, const RamBlock *rb, uint64_t offset, uint64_t len,
                  bool protect, Error **errp);

/*
 * Whether somebody else waits for a page, who has not been told of yet: what
 * nobody waits for can be left for later. The fault thread, in a handler.
 */
bool uffd_has_more(Uffd *u);

/* ---- what it was like ---- */

/* Bucket n: faults that took [2^n, 2^(n+1)) microseconds; 0: less than 2. */
#define UFFD_LATENCY_BUCKETS 24

/* Of faults from when the fault thread read them to when it was woken. */
typedef struct UffdStats {
    uint64_t faults;            /* served; repeated ones count once */
    uint64_t latency_ns;        /* their sum */
    uint64_t latency_max_ns;
    uint64_t buckets[UFFD_LATENCY_BUCKETS];
} UffdStats;

/* Any thread. */
void uffd_get_stats(Uffd *u, UffdStats *stats);

#endif
