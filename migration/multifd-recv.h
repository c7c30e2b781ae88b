/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiving side of multifd: a thread for each channel, which takes
 * packets until it meets the main stream, and the sorting of connections into
 * channels and the main stream. Nothing that comes is trusted.
 */
#ifndef GODWIT_MIGRATION_MULTIFD_RECV_H
#define GODWIT_MIGRATION_MULTIFD_RECV_H

#include "io/channel.h"
#include "migration/multifd-method.h"
#include "migration/ram.h"

typedef struct MultiFDRecv MultiFDRecv;
typedef struct MultiFDAccept MultiFDAccept;

/* How long the main stream waits for a channel that is not there. */
#define MULTIFD_MISSING_NS (5 * INT64_C(1000000000))

typedef struct MultiFDRecvConfig {
    Vm *vm;                     /* whose big lock not to hold while waiting */
    Ram *ram;                   /* gets the pages; options are set */
    const MultiFDMethod *method;
    unsigned channels;          /* 1 to MULTIFD_CHANNELS_MAX */
    uint8_t uuid[16];           /* zeros: none */
    int64_t missing_ns;         /* how long to wait for a missing channel */
} MultiFDRecvConfig;

MultiFDRecv *multifd_recv_new(const MultiFDRecvConfig *config);

/* Stops and joins what runs. */
void multifd_recv_free(MultiFDRecv *r);

const MultiFDRecvConfig *multifd_recv_config(const MultiFDRecv *r);

/* Whose reading ends when a channel fails; keeps a reference. */
void multifd_recv_set_main(MultiFDRecv *r, IoChannel *ch);

/*
 * Starts channel @init->id, which multifd_init_get() has checked, on @ch,
 * which is taken over. Error: that channel is there already. Any thread.
 */
bool multifd_recv_add(MultiFDRecv *r, IoChannel *ch, const MultiFDInit *init,
                      Error **errp);

/* Whether all channels have been added. Any thread. */
bool multifd_recv_is_complete(MultiFDRecv *r);

/*
 * Takes @err: the migration has failed of it, unless it has before. All that
 * is blocked, the reading of the main stream too, comes back soon. Any thread.
 */
void multifd_recv_fail(MultiFDRecv *r, Error *err);

/* False, and a copy of it, if there was such an error. Any thread. */
bool multifd_recv_check(MultiFDRecv *r, Error **errp);

/*
 * The main stream has a FLUSH: waits until each channel has come to its SYNC,
 * and lets them go on. The incoming thread, the big lock held or not.
 */
bool multifd_recv_sync(MultiFDRecv *r, Error **errp);

/* Whether there has been one. The incoming thread. */
bool multifd_recv_has_synced(const MultiFDRecv *r);

/*
 * All sections are there: no channel touches memory after this. Error: one of
 * them has, since the last FLUSH. The incoming thread.
 */
bool multifd_recv_end(MultiFDRecv *r, Error **errp);

/* ---- multifd-accept.c ---- */

/*
 * Starts to sort connections to @listen_fd, which is taken over, until the
 * main one and all channels of @r are there. Ends early when @cancel_fd, which
 * stays the caller's, is readable. NULL and errp: no descriptors are left.
 */
MultiFDAccept *multifd_accept_start(MultiFDRecv *r, int listen_fd,
                                    int cancel_fd, Error **errp);

/* Waits for the main connection: its descriptor, or -1 and errp. */
int multifd_accept_main(MultiFDAccept *a, Error **errp);

/* Stops it. */
void multifd_accept_free(MultiFDAccept *a);

#endif
