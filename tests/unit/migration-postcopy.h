/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A source and a destination with postcopy-ram on; see migration-loopback.h. */
#ifndef GODWIT_TESTS_MIGRATION_POSTCOPY_H
#define GODWIT_TESTS_MIGRATION_POSTCOPY_H

#include "migration-loopback.h"

typedef struct Pair {
    bool preempt;               /* by unix sockets, capability and all */
    char *folder;               /* where they are */
    unsigned sockets;
    Side *src, *dst;
    IoChannel *ends[2];         /* of the present connection; not owned */
    int fds[2];                 /* the same, to cut it by; -1: not open */
} Pair;

/* Whether userfaultfd can be had here. */
bool pair_can_run(void);

/*
 * A guest that writes to all of its memory, which is sent too slowly to be
 * moved before postcopy is started.
 */
void pair_begin(Pair *pair);
void pair_end(Pair *pair);

void pair_set_cap(Side *s, MigrationCapability cap, bool on);
void pair_set_param(Side *s, MigParam param, uint64_t val);

/* Which pages it writes to. */
void pair_set_area(Side *s, unsigned pages);

/* The migration has begun. */
void pair_start(Pair *pair);
void pair_start_postcopy(Pair *pair);
/* Both, and the guest runs at the destination. */
void pair_to_postcopy(Pair *pair);
/*
 * Cuts the connection, waits until both sides have noticed. @how: by what.
 */
typedef enum PairCut {
    PAIR_CUT_SOURCE,            /* migrate-pause at either side */
    PAIR_CUT_DESTINATION,
    PAIR_CUT_CHANNEL,           /* nobody asked for it */
} PairCut;
void pair_cut(Pair *pair, PairCut how);
/* The source hears where the destination listens; both go on. */
void pair_recover(Pair *pair);

/* All pages are there, and each is right. */
void pair_finish(Pair *pair);
/* The destination becomes the source of another one. */
void pair_next(Pair *pair);

#endif
