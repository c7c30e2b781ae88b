/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VFIO device as the files of hw/vfio share it: what it is to PCI (pci.c and
 * its kin), to DMA (vfio-iommu.h) and to a migration (migration.c). Big lock,
 * unless a field says otherwise.
 */
#ifndef GODWIT_HW_VFIO_DEVICE_H
#define GODWIT_HW_VFIO_DEVICE_H

#include "migration/stream.h"
#include "vfio-iommu.h"
#include "vfio-sys.h"

typedef struct VfioDevice VfioDevice;
typedef struct VfioMigration VfioMigration;

/* What only the bus's side of the device knows. */
typedef struct VfioDeviceOps {
    /*
     * The emulated configuration space, after the device's own state has been
     * read (guest stopped, migration thread) or before it is given (incoming
     * thread). Big lock held. Loading treats every value as hostile.
     */
    bool (*save_config)(VfioDevice *vdev, MigStream *s, Error **errp);
    bool (*load_config)(VfioDevice *vdev, MigStream *s, Error **errp);
} VfioDeviceOps;

struct VfioDevice {
    /* Constant from realize to unrealize */
    Vm *vm;
    const VfioSys *sys;
    const VfioDeviceOps *ops;
    char *name;                 /* "0000:01:00.0", or "fd 17"; for messages */
    char *qom_path;             /* where QMP finds it; its id in events */
    char *stream_id;            /* the device's path on its bus, as in the
                                   section names of other devices */
    int fd;                     /* the device's; all of its ioctls are on it */
    VfioIommu *iommu;
    VfioMigration *migration;   /* NULL: it cannot migrate */
};

/*
 * VFIO_DEVICE_FEATURE with @flags (GET, SET, PROBE or-ed to a feature number)
 * and @size bytes of @data behind the header, copied in and out. 0 or -errno;
 * nothing is reported: the caller knows what a failure means.
 */
int vfio_device_feature(VfioDevice *vdev, uint32_t flags, void *data,
                        size_t size);

#endif
