/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the two kinds of VfioIommu (iommufd.c, container.c), what they share
 * (iommu.c) and who opens devices (host.c). Big lock.
 */
#ifndef GODWIT_HW_VFIO_IOMMU_INT_H
#define GODWIT_HW_VFIO_IOMMU_INT_H

#include "system/object.h"
#include "vfio-device.h"

/* Ranges of addresses that an IOMMU may say it translates. */
#define VFIO_IOVA_RANGES_MAX 4096

typedef struct VfioIovaRange {
    uint64_t first, last;       /* both included */
} VfioIovaRange;

/*
 * Whether each mapped RAM block lies within one of @count ranges and on
 * multiples of @alignment (bytes, a power of 2).
 */
bool vfio_iommu_check_ram(VfioIommu *iommu, const VfioIovaRange *ranges,
                          unsigned count, uint64_t alignment, Error **errp);

/* One mapping by the kernel; errno values negative. */
typedef int (*VfioDmaMap)(VfioIommu *iommu, const RamBlock *rb);
typedef int (*VfioDmaUnmap)(VfioIommu *iommu, const RamBlock *rb);

/* Maps all mapped RAM blocks; on error none. */
bool vfio_iommu_map_ram(VfioIommu *iommu, VfioDmaMap map, VfioDmaUnmap unmap,
                        Error **errp);
void vfio_iommu_unmap_ram(VfioIommu *iommu, VfioDmaUnmap unmap);

/* ---- iommufd ---- */

/* An open /dev/iommu: the state of an object, or of the Vm's own. */
typedef struct VfioIommufd {
    Vm *vm;
    const VfioSys *sys;         /* of the devices that use it */
    int fd;                     /* -1: opened with the first device */
    bool opened;                /* by us, and to be closed with the last */
    VfioIommu *iommu;           /* NULL: no device */
} VfioIommufd;

extern const ObjectClass iommufd_class;

/*
 * Binds @vdev (fd is open) to @backend, attaches it to its address space with
 * all RAM in it, and sets vdev->iommu. On error nothing is left; the binding
 * ends with vdev's descriptor, which the caller closes.
 */
bool vfio_iommufd_attach(VfioDevice *vdev, VfioIommufd *backend, Error **errp);
void vfio_iommufd_detach(VfioDevice *vdev);
bool vfio_iommu_is_iommufd(const VfioIommu *iommu);

/* ---- groups and containers ---- */

/*
 * Opens the device called @address of group @group, attached to a container
 * with all RAM in it; sets vdev->fd and vdev->iommu. On error nothing is left.
 */
bool vfio_container_attach(VfioDevice *vdev, unsigned group,
                           const char *address, Error **errp);
/* Closes vdev->fd, too. */
void vfio_container_detach(VfioDevice *vdev);

/* ---- what a machine has of this folder ---- */

typedef struct VfioHost {
    VfioIommufd iommufd;        /* for devices that name no object */
    GPtrArray *groups;          /* container.c's, of open groups */
    unsigned devices;
} VfioHost;

#endif
