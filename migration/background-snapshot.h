/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capability background-snapshot: an outgoing migration that moves nothing. */
#ifndef GODWIT_MIGRATION_BACKGROUND_SNAPSHOT_H
#define GODWIT_MIGRATION_BACKGROUND_SNAPSHOT_H

#include "migration/migration-int.h"

/*
 * Whether devices, kernel and memory allow it; the error names the capability
 * and what is in the way. Big lock.
 */
bool background_snapshot_check(Migration *m, Error **errp);

/*
 * From the set-up to the end of the stream. In its course the guest stands
 * still for a moment; if it returns false it may still do so, with nothing
 * protected: outgoing_resume_guest(). Outgoing thread, big lock not held.
 */
bool background_snapshot_run(MigOut *out, Error **errp);

#endif
