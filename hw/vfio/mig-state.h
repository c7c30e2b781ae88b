/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration states of a VFIO device: one table of states and of moves with
 * what each needs, and the one function that moves a device. The numbers are
 * the kernel's, VFIO_DEVICE_STATE_*; the features are VFIO_MIGRATION_*.
 */
#ifndef GODWIT_HW_VFIO_MIG_STATE_H
#define GODWIT_HW_VFIO_MIG_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/vfio/vfio-uapi.h"
#include "util/error.h"
#include "vfio-device.h"

#define VFIO_MIG_STATES 8

/* ---- the table; pure, any thread ---- */

/* "stop-copy", ...; "invalid" for what is no state. */
const char *vfio_mig_state_name(unsigned state);

/* Whether a device with @features has @state. */
bool vfio_mig_state_exists(unsigned state, uint32_t features);

/* Whether there is a data descriptor in it. */
bool vfio_mig_state_has_data(unsigned state);
bool vfio_mig_state_is_precopy(unsigned state);
/* Whether the device changes by itself in it. */
bool vfio_mig_state_runs(unsigned state);

/* Whether @to is one move from @from. */
bool vfio_mig_is_move(unsigned from, unsigned to, uint32_t features);

/*
 * The first state of the shortest way from @from to @to, @to itself at its
 * end; VFIO_DEVICE_STATE_ERROR: there is none.
 */
unsigned vfio_mig_next_state(unsigned from, unsigned to, uint32_t features);

/* ---- the device; big lock ---- */

/*
 * Moves the device to @to, move by move. False: it did not get there, and has
 * been taken to @recover, by a reset if need be (VFIO_DEVICE_STATE_ERROR: by a
 * reset in any case, which leaves it running). What goes wrong with that is
 * reported, and the state says where it ended. A way that the table does not
 * have is refused without asking the kernel and without recovery.
 */
bool vfio_mig_set_state(VfioMigration *m, unsigned to, unsigned recover,
                        Error **errp);

/* Resets the device: it runs then. False: it is in ERROR, which is reported. */
bool vfio_mig_reset_device(VfioMigration *m);

/* Where the device is without having been asked to go there. */
void vfio_mig_note_state(VfioMigration *m, unsigned state);

#endif
