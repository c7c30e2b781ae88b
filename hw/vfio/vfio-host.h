/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which device of the host a VfioDevice is, and how it is opened: below
 * /sys and /dev, or as a descriptor. Big lock.
 */
#ifndef GODWIT_HW_VFIO_HOST_H
#define GODWIT_HW_VFIO_HOST_H

#include "system/object.h"
#include "vfio-device.h"

/* As the user gave them; NULL: not. */
typedef struct VfioHostOptions {
    const char *host;           /* "[DDDD:]BB:DD.F" */
    const char *sysfsdev;       /* its folder below /sys */
    const char *fd;             /* an open device: a number, a getfd name */
    Object *iommufd;            /* what it is attached to */
} VfioHostOptions;

/*
 * Opens and attaches: sets fd, name and iommu of @vdev, whose vm and sys are
 * set. fd= is consumed, also on error. On error nothing is left but the name,
 * if it was found; vfio_host_close() frees that too.
 */
bool vfio_host_open(VfioDevice *vdev, const VfioHostOptions *options,
                    Error **errp);
/* Undoes it; harmless if there is nothing to undo. */
void vfio_host_close(VfioDevice *vdev);

#endif
