/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The iommufd that devices are bound to: address spaces with their mappings,
 * page tables, devices. Locks: its own, taken inside any other but files_lock.
 */
#ifndef VFIO_SIM_IOMMUFD_H
#define VFIO_SIM_IOMMUFD_H

#include "supervisor.h"

typedef struct SimIommu SimIommu;

/*
 * @fault is asked before a known ioctl is answered, by any worker and without
 * locks: -errno if it is to fail, else 0. @name is as in call-names.h.
 */
SimIommu *sim_iommu_new(int (*fault)(void *opaque, const char *name),
                        void *opaque);
void sim_iommu_free(SimIommu *iommu);

/* Answers an ioctl; any worker. */
int64_t sim_iommu_ioctl(SimIommu *iommu, SimCall *call, uint32_t cmd,
                        uint64_t arg);

/*
 * A new object id for a device that is bound. @can_track: the IOMMU in front
 * of it knows which pages its DMA has written.
 */
uint32_t sim_iommu_add_device(SimIommu *iommu, bool can_track);

/*
 * Writes @len bytes of guest memory at @iova, which lie in one page, through
 * the address space or page table @id. False if they are not mapped, or gone.
 */
bool sim_iommu_write(SimIommu *iommu, uint32_t id, uint64_t iova,
                     const void *buf, size_t len);

/* The device is closed. */
void sim_iommu_remove_device(SimIommu *iommu, uint32_t id);

/*
 * Attaches @device to @id, in place of what it was attached to; 0 detaches.
 * 0, -ENOENT if that is no address space or page table, -EINVAL if it is for
 * devices with dirty tracking alone.
 */
int sim_iommu_attach(SimIommu *iommu, uint32_t device, uint32_t id);

#endif
