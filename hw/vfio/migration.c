/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VFIO devices that do not migrate yet. Big lock. */
#include "migration/blocker.h"
#include "vfio-migration.h"

struct VfioMigration {
    unsigned blocker;
};

bool vfio_migration_realize(VfioDevice *vdev,
                            const VfioMigrationOptions *options, Error **errp)
{
    unsigned id;

    if (options->enable_migration > 0) {
        error_setg(errp, "VFIO migration is not built in yet");
        return false;
    }
    if (!migration_add_blocker(vdev->vm, "VFIO migration is not built in yet",
                               &id, errp)) {
        return false;
    }
    vdev->migration = g_new0(VfioMigration, 1);
    vdev->migration->blocker = id;
    return true;
}

void vfio_migration_unrealize(VfioDevice *vdev)
{
    if (vdev->migration) {
        migration_del_blocker(vdev->vm, &vdev->migration->blocker);
        g_clear_pointer(&vdev->migration, g_free);
    }
}

void vfio_migration_reset(VfioDevice *vdev)
{
    (void)vdev;
}
