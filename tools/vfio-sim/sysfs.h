/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A folder that looks like the kernel's of PCI devices and IOMMU groups, of
 * real files. The main thread.
 */
#ifndef VFIO_SIM_SYSFS_H
#define VFIO_SIM_SYSFS_H

#include "vfio-device.h"

/* Makes an empty one; its path, or NULL with @errp set. */
char *sim_sysfs_new(Error **errp);

/* Adds a device; the path of its folder, or NULL with @errp set. */
char *sim_sysfs_add(const char *root, const SimDevice *d, Error **errp);

/* Removes all of it. */
void sim_sysfs_remove(const char *root);

#endif
