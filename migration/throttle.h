/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * auto-converge: how much of its time the guest loses while it writes faster
 * than can be sent. Pure; the migration thread.
 */
#ifndef GODWIT_MIGRATION_THROTTLE_H
#define GODWIT_MIGRATION_THROTTLE_H

#include "migration/options.h"

typedef struct MigThrottle {
    unsigned percent;           /* 0: none */
    unsigned hits;              /* periods in a row that called for it */
} MigThrottle;

/*
 * A period has passed in which the guest wrote @dirty bytes and @sent bytes
 * were sent. Returns the new percentage.
 */
unsigned mig_throttle_update(MigThrottle *t, const MigOptions *options,
                             uint64_t dirty, uint64_t sent);

#endif
