/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: one JSON object a line in, one a line out. A thread of
 * its own; takes the lock of the device that a command is about.
 */
#ifndef VFIO_SIM_CONTROL_H
#define VFIO_SIM_CONTROL_H

#include "vfio-device.h"

typedef struct SimControl SimControl;

/*
 * Listens at @path, which must not exist. @devices (of SimDevice) stays the
 * caller's, and as it is.
 */
SimControl *sim_control_new(const char *path, GPtrArray *devices,
                            Error **errp);

/* Answers from now on: called once COMMAND has been started. */
void sim_control_start(SimControl *c);

/* Ends the thread and removes the socket. NULL is allowed. */
void sim_control_free(SimControl *c);

#endif
