/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a VFIO device takes part in a migration: what pci.c calls. The rest is
 * between migration.c and the core, through SaveVMHandlers and the handler of
 * run state changes that realize registers. Big lock.
 */
#ifndef GODWIT_HW_VFIO_MIGRATION_H
#define GODWIT_HW_VFIO_MIGRATION_H

#include "vfio-device.h"

/* The device's properties, as QEMU calls them. PROP_ON_OFF_AUTO: -1, 0, 1. */
typedef struct VfioMigrationOptions {
    int enable_migration;       /* on: an error if it cannot; off: blocked */
    int pre_copy_dirty_page_tracking; /* x-pre-copy-dirty-page-tracking: on
                                   (default), off: only in the blackout */
    bool migration_events;      /* migration-events: VFIO_MIGRATION */
} VfioMigrationOptions;

/*
 * Asks the device what it can do, registers it, or adds a migration blocker
 * with the reason. @vdev is attached and answers ioctls. False: it cannot
 * migrate and enable_migration is on.
 */
bool vfio_migration_realize(VfioDevice *vdev,
                            const VfioMigrationOptions *options, Error **errp);
/* Safe whatever realize came to. */
void vfio_migration_unrealize(VfioDevice *vdev);

/* VFIO_DEVICE_RESET succeeded: the device is in RUNNING now. */
void vfio_migration_reset(VfioDevice *vdev);

#endif
