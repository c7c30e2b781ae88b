/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The incoming side of postcopy: a guest that runs before its memory is there,
 * and whose pages come over a connection, those first that are touched.
 */
#ifndef GODWIT_MIGRATION_POSTCOPY_H
#define GODWIT_MIGRATION_POSTCOPY_H

#include "migration/blocktime.h"
#include "migration/postcopy-wire.h"
#include "migration/stream-owner.h"
#include "migration/uffd.h"

typedef struct PostcopyIn PostcopyIn;
struct MigIn;

/* Migration.leave: says why, and ends the process with status 0. */
void postcopy_leave(uint64_t pages);

/* Whether pages can be placed in every block. Any thread. */
bool postcopy_check_blocks(Memory *memory, Error **errp);

/*
 * ADVISE: memory is emptied, and what comes is noted. Before the list of
 * blocks. NULL: an error. Incoming thread, big lock not held.
 */
PostcopyIn *postcopy_in_new(struct MigIn *in, const PostcopyAdvise *advise,
                            Error **errp);

/* Before LISTEN. Incoming thread. */
bool postcopy_in_discard(PostcopyIn *pc, const PostcopyDiscard *discard,
                         Error **errp);

/*
 * From here on pages come when they are touched. @stream and @ch (a reference
 * is taken) are this object's: a thread of its own reads what follows the
 * package. Whoever wants to say something to the source does so by
 * postcopy_in_send(). Incoming thread, big lock not held.
 */
bool postcopy_in_listen(PostcopyIn *pc, MigStream *stream, IoChannel *ch,
                        uint32_t stream_id, Error **errp);
bool postcopy_in_is_listening(const PostcopyIn *pc);

/* A message to the source. Any thread. */
bool postcopy_in_send(PostcopyIn *pc, uint16_t type, uint32_t value,
                      Error **errp);

/*
 * A PING in the package. The last one before RUN is answered when the guest is
 * taken over: that is how the source knows. Incoming thread.
 */
bool postcopy_in_ping(PostcopyIn *pc, uint32_t value, Error **errp);

/*
 * The guest is about to run here: says so, which is the last thing that can
 * fail. From here on a broken connection is waited out. Incoming thread.
 */
bool postcopy_in_commit(PostcopyIn *pc, Error **errp);

/*
 * Until all pages are here. False: postcopy_in_stop() was called; pages still
 * come until the memory is freed, and the object with it. Incoming thread,
 * no lock held.
 */
bool postcopy_in_wait(PostcopyIn *pc, Error **errp);

/* A wait for a connection to an address that is out of date ends. Any. */
void postcopy_in_stop_accepting(PostcopyIn *pc);

/*
 * The program ends. If pages cannot come any more it does so at once, by
 * Migration.leave: whoever waits for one cannot be told. Any thread;
 * Migration.lock held.
 */
void postcopy_in_stop(PostcopyIn *pc);
/* Migration.leave has returned: postcopy_in_free() is due. */
bool postcopy_in_has_left(PostcopyIn *pc);

/*
 * Ends it, not after postcopy_in_stop(). Pages that are not there are zero
 * from here on. The channel can still be written to. What was counted is the
 * caller's then, if *@blocktime wants it. NULL is fine.
 */
void postcopy_in_free(PostcopyIn *pc, Blocktime **blocktime);

typedef struct PostcopyInStats {
    uint64_t pages;             /* that came after LISTEN */
    UffdStats faults;
} PostcopyInStats;

/* Capability postcopy-blocktime; NULL without. As below. */
Blocktime *postcopy_in_blocktime(PostcopyIn *pc);

/* Any thread; Migration.lock may be held. Zeros before LISTEN. */
void postcopy_in_get_stats(PostcopyIn *pc, PostcopyInStats *stats);

#endif
