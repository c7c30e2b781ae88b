/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clock of the blackout: an object that is walked through the phases in
 * their order and refuses any other. The outgoing migration thread walks; the
 * results are copied by others under the lock of whoever owns it.
 */
#ifndef GODWIT_MIGRATION_SWITCHOVER_H
#define GODWIT_MIGRATION_SWITCHOVER_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "util/clock.h"

/* In their order. */
typedef enum MigPhase {
    MIG_PHASE_NONE,             /* not begun */
    MIG_PHASE_STOP,             /* stop vCPUs */
    MIG_PHASE_PAUSE,            /* pre-switchover: whoever asked for it waits */
    MIG_PHASE_SYNC,             /* final sync */
    MIG_PHASE_MODULES,          /* memory and devices, split by module */
    MIG_PHASE_DEVICE_STATES,
    MIG_PHASE_LOAD,             /* destination load */
    MIG_PHASE_START,            /* destination start */
    MIG_PHASE_PROTECT,          /* background snapshot: memory is protected */
    MIG_PHASE_RESUME,           /* ... start vCPUs */
    MIG_PHASE_DONE,
    MIG_PHASE__MAX
} MigPhase;

/* Most parts that are told apart; modules beyond are in the last one. */
#define MIG_SWITCHOVER_PARTS_MAX 64

typedef struct MigSwitchoverPart {
    const char *name;           /* valid for ever */
    int64_t ns;
} MigSwitchoverPart;

typedef struct MigSwitchover {
    Clock *clock;
    bool snapshot;              /* the guest goes on here */
    MigPhase phase;
    int64_t start_ns;
    int64_t phase_ns;           /* when the present phase began */
    int64_t modules_ns;         /* of MODULES, given to a module */
    int64_t total_ns;           /* so far; the blackout, once done */
    int64_t predicted_ns;       /* -1: no prediction */
    unsigned num_parts;
    MigSwitchoverPart parts[MIG_SWITCHOVER_PARTS_MAX];
} MigSwitchover;

void mig_switchover_init(MigSwitchover *so, Clock *clock);

/* The clock starts: before the first vCPU is asked to stop. */
void mig_switchover_begin(MigSwitchover *so, int64_t predicted_ns);

/*
 * The same for a guest that is saved: its phases are STOP, DEVICE_STATES,
 * PROTECT and RESUME. There is no prediction.
 */
void mig_switchover_begin_snapshot(MigSwitchover *so);

/*
 * Ends the present phase at @at_ns (not before its start: it is moved there)
 * and begins @next, which must come later in the order; PAUSE, LOAD and START
 * may be left out. False, and no change: not a legal move.
 */
bool mig_switchover_enter(MigSwitchover *so, MigPhase next, int64_t at_ns);

/* Within MODULES: the part of @name took @ns. The rest is "other modules". */
bool mig_switchover_module(MigSwitchover *so, const char *name, int64_t ns);

bool mig_switchover_is_done(const MigSwitchover *so);

/* One line: the parts and their times. Freed by the caller. */
char *mig_switchover_text(const MigSwitchover *so);

#endif
