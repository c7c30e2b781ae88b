/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What incoming-postcopy.c (life cycle), postcopy-load.c (pages that come) and
 * postcopy-fault.c (pages that are asked for) share.
 *
 * Lock order: Migration.lock, PostcopyIn.lock, PostcopyIn.send_lock. Nobody
 * who holds one of them touches guest memory.
 */
#ifndef GODWIT_MIGRATION_POSTCOPY_INT_H
#define GODWIT_MIGRATION_POSTCOPY_INT_H

#include "migration/blocktime.h"
#include "migration/migration-int.h"
#include "migration/postcopy.h"
#include "migration/ram-int.h"

/* Channels of the Uffd. */
enum {
    POSTCOPY_CHANNEL_FAULT,
    POSTCOPY_CHANNEL_MAIN,
    POSTCOPY_CHANNEL_URGENT,
    POSTCOPY_CHANNELS
};

/* Pages that come by one connection, and the page of the host's in the making. */
typedef struct PostcopyPages {
    unsigned channel;           /* of the Uffd */
    RamPlace place;
    const RamBlock *rb;         /* whose page it is; NULL: none has begun */
    uint64_t offset;            /* where it begins, bytes */
    uint64_t have;              /* bytes of it that have come */
    bool zero;                  /* so far it is */
    GiveWay *give;              /* between pages; NULL: these are waited for */
} PostcopyPages;

struct PostcopyIn {
    /* Constant once listening; the first three may be gone once ending */
    MigIn *in;
    Migration *m;
    Ram *ram;
    Memory *memory;
    void (*leave)(uint64_t pages);      /* Migration.leave */
    PageSet *received;          /* pages that are here; shared with Ram */
    PageSet *asked;             /* first pages of those that were touched */
    Uffd *uffd;                 /* NULL: not listening */
    UffdHandler handler;
    Blocktime *blocktime;       /* NULL: not counted */
    uint32_t stream_id;         /* of the section with the pages */
    GThread *thread;            /* "mig/dst/listen" */
    int recover_fd;             /* eventfd: ends an accept */

    /* The incoming thread */
    bool has_ping;
    uint32_t ping;              /* of the package, not answered yet */

    /* The listening thread; the incoming one before it starts */
    MigEnd end;                 /* of a connection that took up an older one */
    MigStream *stream;
    PostcopyPages pages;
    GiveWay give;
    GThread *urgent_thread;     /* "mig/dst/urgent"; NULL: none */

    /* The urgent pages' thread */
    PostcopyPages urgent_pages;

    /* Atomic */
    bool listening;             /* the thread has been started */
    uint64_t placed;            /* pages */

    GMutex lock;
    GCond changed;
    /* Under lock */
    bool committed;             /* the guest runs here */
    bool up;                    /* connected, and agreed on how to go on */
    bool finished;              /* all is here */
    bool stopping;              /* it is being freed */
    bool ending;                /* the program is */
    bool has_left;              /* ... and would have ended already */
    Error *error;               /* before committed: why that cannot be */
    bool urgent_runs;           /* its thread has not ended */
    IoChannel *urgent_ch;       /* what it reads; a reference; or NULL */

    GMutex send_lock;
    /* Under send_lock */
    IoChannel *ch;              /* NULL: no connection; a reference */
    bool asks;                  /* pages may be asked for */
    const RamBlock *last_asked; /* whose name the source knows */
};

/* ---- postcopy-load.c ---- */

/*
 * Reads one connection until the source has said that nothing is left, and all
 * is here. Listening thread.
 */
bool postcopy_load(PostcopyIn *pc, Error **errp);

/* Pages of @p alone, until the source says that there are no more. */
bool postcopy_load_pages(PostcopyIn *pc, PostcopyPages *p, MigStream *s,
                         Error **errp);

/* ---- postcopy-urgent.c; listening thread, or before it starts ---- */

/* Waits for the second connection where the first came from. */
void postcopy_urgent_start(PostcopyIn *pc);
/* Until it has ended, or all pages are there. */
void postcopy_urgent_wait(PostcopyIn *pc);
void postcopy_urgent_stop(PostcopyIn *pc);

/* ---- postcopy-fault.c ---- */

extern const UffdHandler postcopy_fault_handler;

/* A connection to ask by; NULL: there is none any more. */
void postcopy_set_channel(PostcopyIn *pc, IoChannel *ch);
/*
 * From here on pages are asked for; first those that were touched meanwhile,
 * and those of which nobody knows whether the asking arrived.
 */
bool postcopy_start_asking(PostcopyIn *pc, Error **errp);

/* ---- incoming-postcopy.c ---- */

/*
 * Harts and devices that wait for a page cannot be stopped, and nothing may be
 * made of what is not there: the guest ends here and now. Lock held.
 */
void postcopy_in_leave(PostcopyIn *pc);
/* A page cannot be had. Takes @err. Any thread. */
void postcopy_in_lost(PostcopyIn *pc, Error *err);
/* It is being freed, or has left. */
bool postcopy_in_is_stopping(PostcopyIn *pc);

/* ---- postcopy-listen.c ---- */

gpointer postcopy_listen_main(gpointer opaque);

/* The source has taken the migration up again. Listening thread. */
bool postcopy_in_resumed(PostcopyIn *pc, Error **errp);

#endif
