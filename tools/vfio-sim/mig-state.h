/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration states of a VFIO device and the legal moves between them, as
 * the kernel's documentation of VFIO migration (v2) gives them. Pure.
 */
#ifndef VFIO_SIM_MIG_STATE_H
#define VFIO_SIM_MIG_STATE_H

#include <stdbool.h>

#include "hw/vfio/vfio-uapi.h"

/* States are the kernel's numbers: VFIO_DEVICE_STATE_*. */
#define SIM_MIG_STATES 8

/* "stop-copy", "pre-copy-p2p", ...; NULL for a number that is no state. */
const char *sim_mig_state_name(unsigned state);

/* True if a device with @features can be in @state (VFIO_MIGRATION_*). */
bool sim_mig_state_offered(unsigned state, unsigned features);

/* True if a device with @features goes from @from to @to in one move. */
bool sim_mig_is_arc(unsigned from, unsigned to, unsigned features);

/*
 * The first state on the shortest way from @from to @to; @to itself when it is
 * one move away, or is @from. VFIO_DEVICE_STATE_ERROR if there is no way.
 */
unsigned sim_mig_next_state(unsigned from, unsigned to, unsigned features);

/* True if the state is one in which a data descriptor exists. */
bool sim_mig_state_has_data(unsigned state);

/* True if the device runs: its state changes by itself. */
bool sim_mig_state_runs(unsigned state);

#endif
