/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends guest pages by several threads. The outgoing thread fills batches and
 * hands them over; how a batch leaves is its carrier's matter: packets over a
 * socket (multifd-socket.h), or pages to their places in a file
 * (multifd-file.h).
 */
#ifndef GODWIT_MIGRATION_MULTIFD_SEND_H
#define GODWIT_MIGRATION_MULTIFD_SEND_H

#include "migration/multifd-packet.h"
#include "migration/stream-owner.h"
#include "system/memory.h"
#include "system/vm.h"

typedef struct MultiFDSend MultiFDSend;

/* Pages of one block. */
typedef struct MultiFDBatch {
    const RamBlock *rb;
    unsigned num;               /* of the offsets; 1 to MULTIFD_PAGES */
    unsigned normal;            /* the first so many have contents */
    uint64_t offset[MULTIFD_PAGES]; /* in bytes */
} MultiFDBatch;

/*
 * One way for batches to leave. The functions belong to one thread for each
 * state, but for interrupt().
 */
typedef struct MultiFDCarrier {
    /*
     * Sends it; *bytes gets how many left. The writing itself is between
     * multifd_send_begin_write() and multifd_send_end_write().
     */
    bool (*send)(void *state, MultiFDSend *send, const MultiFDBatch *batch,
                 uint64_t *bytes, Error **errp);
    /* What comes later must not overtake. NULL: waiting for all is enough. */
    bool (*sync)(void *state, MultiFDSend *send, uint64_t *bytes,
                 Error **errp);
    /* Whoever is blocked comes back with an error. Any thread. */
    void (*interrupt)(void *state);
    /* @ok: all has been sent, and is to arrive. The owner's thread. */
    bool (*close)(void *state, bool ok, Error **errp);
} MultiFDCarrier;

typedef struct MultiFDSendConfig {
    Vm *vm;                     /* whose big lock not to hold while waiting */
    Clock *clock;
    /* Gets errors, bytes and time; the outgoing thread's */
    MigStream *stream;
    const MultiFDCarrier *carrier;
    unsigned channels;          /* 1 to MULTIFD_CHANNELS_MAX */
    void **states;              /* of so many; theirs from here on */
    bool detect_zero_pages;     /* by the threads */
} MultiFDSendConfig;

/* Starts the threads. What @config points to must live as long. */
MultiFDSend *multifd_send_new(const MultiFDSendConfig *config);

/*
 * Ends the threads and closes what the carrier has. @ok: everything was handed
 * over and synchronised; errors of closing are told then. Big lock not held.
 */
bool multifd_send_free(MultiFDSend *send, bool ok, Error **errp);

/* Makes all come back soon, and the stream fail. Any thread; any lock. */
void multifd_send_interrupt(MultiFDSend *send);

/* ---- the outgoing thread; errors are the stream's ---- */

/*
 * What became of a batch: once for each, from within the calls below; @bytes
 * have left. Before the first page.
 */
typedef void MultiFDBatchDone(void *opaque, const MultiFDBatch *batch,
                              uint64_t bytes);
void multifd_send_set_done(MultiFDSend *send, MultiFDBatchDone *done,
                           void *opaque);

/* A page for the present batch, which is handed over when it is full. */
void multifd_send_page(MultiFDSend *send, const RamBlock *rb, uint64_t offset);

/* Hands over what there is. */
void multifd_send_push(MultiFDSend *send);

/*
 * As multifd_send_push(); what is handed over later comes after all that was
 * handed over before, on any channel. Where the carrier has no sync() all
 * batches are done when it returns.
 */
void multifd_send_sync(MultiFDSend *send);

/* Guest pages may have changed: what was known of them is to be forgotten. */
void multifd_send_forget(MultiFDSend *send);

/* Bytes of pages that are handed over and not done, at most. */
uint64_t multifd_send_under_way(const MultiFDSend *send);

/* Nothing was handed over since multifd_send_sync(). */
bool multifd_send_is_settled(const MultiFDSend *send);

/* ---- carriers ---- */

void multifd_send_begin_write(MultiFDSend *send);
/* @bytes have left, since multifd_send_begin_write() or so far. */
void multifd_send_end_write(MultiFDSend *send, uint64_t bytes);

#endif
