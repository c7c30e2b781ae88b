/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that COMMAND can meet: the devices, the iommufds and containers that it
 * opens, and the paths where it finds them. Made and freed by the main thread
 * while there are no workers; lists of what was opened have a lock of their
 * own, which is taken last.
 */
#ifndef VFIO_SIM_SIM_HOST_H
#define VFIO_SIM_SIM_HOST_H

#include "vfio-device.h"

typedef struct SimHost {
    Supervisor *supervisor;
    SimFileOps ops[SIM_FILE_KINDS];
    GPtrArray *devices; /* of SimDevice */
    SimFile *iommufd;   /* the one that is handed on */
    char *sysfs;        /* a folder, or NULL if no argument asked for it */

    GMutex lock;
    GPtrArray *iommus, *containers; /* that were ever opened */
} SimHost;

/* NULL with @errp set. Takes the options out of @options. */
SimHost *sim_host_new(GPtrArray *options, int log_fd, Error **errp);

/*
 * COMMAND's arguments with @iommufd@, @ID@ and @ID:sysfs@ replaced; NULL with
 * @errp set. The last makes the folder and the paths below /dev.
 */
char **sim_host_fill_in(SimHost *h, char **command, Error **errp);

/* Ends the workers. The devices stay. NULL is allowed. */
void sim_host_stop(SimHost *h);

/* After sim_host_stop(). NULL is allowed. */
void sim_host_free(SimHost *h);

#endif
