/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translates a device's DMA: an address space of an iommufd, or a legacy
 * container. Guest-physical addresses are the device's addresses (IOVA). One
 * may serve several devices; it maps all RAM of its Vm while it lives.
 *
 * Big lock, but for query_dirty, which the migration thread calls without it,
 * between set_dirty_tracking(on) and set_dirty_tracking(off).
 */
#ifndef GODWIT_HW_VFIO_IOMMU_H
#define GODWIT_HW_VFIO_IOMMU_H

#include "system/vm.h"
#include "vfio-sys.h"

typedef struct VfioIommu VfioIommu;

typedef struct VfioIommuOps {
    const char *name;           /* "iommufd", "container" */
    /* Whether it can log the pages that devices write. */
    bool (*can_track_dirty)(VfioIommu *iommu);
    bool (*set_dirty_tracking)(VfioIommu *iommu, bool on, Error **errp);
    /*
     * Sets bit i of @bitmap if a device has written the guest page i of
     * [@iova, @iova + @len) since the last call; other bits are left. Both are
     * multiples of GUEST_PAGE_SIZE and within one mapped RAM block.
     */
    bool (*query_dirty)(VfioIommu *iommu, uint64_t iova, uint64_t len,
                        uint64_t *bitmap, Error **errp);
} VfioIommuOps;

/* Embedded as the first member by each kind. */
struct VfioIommu {
    const VfioIommuOps *ops;
    const VfioSys *sys;
    Vm *vm;
    unsigned devices;           /* that are attached */
    const void *dirty_owner;    /* who turned its tracking on: mig-dirty.c */
};

#endif
