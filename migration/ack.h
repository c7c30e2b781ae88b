/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which acknowledgements are owed before a switchover, and by whom. Plain
 * data, no lock; MigOut's owner has one. The stream is in order and so are
 * the answers: the n-th answer is to the n-th mark.
 */
#ifndef GODWIT_MIGRATION_ACK_H
#define GODWIT_MIGRATION_ACK_H

#include <stdbool.h>

#include <glib.h>

typedef struct MigAcks {
    GArray *debts;              /* of MigDebt, one a module */
    GArray *marks;              /* of MigDebt: sent, not answered; in order */
} MigAcks;

/* What @module owes, or what one mark of it settles. */
typedef struct MigDebt {
    const void *module;
    unsigned count;
} MigDebt;

void mig_acks_init(MigAcks *acks);
void mig_acks_clear(MigAcks *acks);

/* @module owes one more (at most UINT_MAX). */
void mig_acks_owe(MigAcks *acks, const void *module);

/* @module has sent a mark: its answer settles what no mark before it does. */
void mig_acks_mark(MigAcks *acks, const void *module);

/* An answer has come. False: no mark waits for one. */
bool mig_acks_answer(MigAcks *acks);

/* The sum over all modules; saturates. */
unsigned mig_acks_owed(const MigAcks *acks);

/* Some module that owes one; NULL: none does. */
const void *mig_acks_debtor(const MigAcks *acks);

#endif
