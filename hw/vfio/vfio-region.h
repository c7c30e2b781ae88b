/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A region of a VFIO device: a BAR, the ROM, configuration space. Where the
 * driver allows, its bytes are mapped and an access is a load or a store;
 * elsewhere it is a read or write of the device's descriptor. Big lock.
 */
#ifndef GODWIT_HW_VFIO_REGION_H
#define GODWIT_HW_VFIO_REGION_H

#include "vfio-device.h"

/* Mappable areas that a driver may list. Real ones list two. */
#define VFIO_REGION_AREAS_MAX 64

typedef struct VfioArea {
    uint64_t offset, size;      /* bytes, within the region */
    uint8_t *host;
} VfioArea;

typedef struct VfioRegion {
    VfioDevice *vdev;           /* NULL: not there */
    unsigned index;             /* VFIO_PCI_*_REGION_INDEX */
    uint32_t flags;             /* VFIO_REGION_INFO_FLAG_* */
    uint64_t size;              /* bytes; 0: the device has none */
    uint64_t fd_offset;         /* where it lies in the descriptor */
    VfioArea *areas;            /* mapped, in order, disjoint */
    unsigned area_count;
    bool warned;                /* that an access failed */
} VfioRegion;

/*
 * Asks the driver for region @index; maps it unless @no_mmap. Error: the call
 * fails, or the answer is not one that a region can have. On error nothing is
 * left; the region is then as after vfio_region_exit().
 */
bool vfio_region_init(VfioRegion *region, VfioDevice *vdev, unsigned index,
                      bool no_mmap, Error **errp);

/* Unmaps. Harmless for one that never was initialized (all zero). */
void vfio_region_exit(VfioRegion *region);

/*
 * One access of 1, 2, 4 or 8 bytes, little-endian, aligned to its size. One
 * that fails, or lies outside, reads as all ones and is not written; the first
 * one warns. Returns whether it succeeded.
 */
bool vfio_region_read(VfioRegion *region, uint64_t offset, unsigned size,
                      uint64_t *val);
bool vfio_region_write(VfioRegion *region, uint64_t offset, unsigned size,
                       uint64_t val);

#endif
