/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All RAM for the devices of an IOMMU, whatever its kind. RAM blocks neither
 * come nor go nor move once devices are there (system/memory.h), so this is
 * done once: with the first device. Big lock.
 */
#include <errno.h>
#include <inttypes.h>

#include "trace/trace-hw-vfio.h"
#include "vfio-iommu-int.h"

static bool in_a_range(const RamBlock *rb, const VfioIovaRange *ranges,
                       unsigned count)
{
    uint64_t last = rb->gpa + rb->backing.size - 1;

    for (unsigned i = 0; i < count; i++) {
        if (rb->gpa >= ranges[i].first && last <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* The ranges as a user reads them. */
static void append_ranges(Error **errp, const VfioIovaRange *ranges,
                          unsigned count)
{
    for (unsigned i = 0; i < MIN(count, 4); i++) {
        error_append(errp, "%s0x%" PRIx64 " to 0x%" PRIx64, i ? ", " : " ",
                     ranges[i].first, ranges[i].last);
    }
    error_append(errp, "%s", count > 4 ? ", ..." : count ? "" : " nothing");
}

bool vfio_iommu_check_ram(VfioIommu *iommu, const VfioIovaRange *ranges,
                          unsigned count, uint64_t alignment, Error **errp)
{
    Memory *mem = iommu->vm->memory;
    RamBlock *rb;

    for (unsigned i = 0; i < count; i++) {
        trace_vfio_iova_range(iommu->ops->name, ranges[i].first,
                              ranges[i].last);
    }
    for (unsigned i = 0; (rb = memory_ram_by_index(mem, i)); i++) {
        if (!rb->mapped) {
            continue;
        }
        if ((rb->gpa | rb->backing.size | (uintptr_t)rb->host) &
            (alignment - 1)) {
            error_setg(errp, "RAM block '%s' at 0x%" PRIx64 " of 0x%" PRIx64
                       " bytes: the host's IOMMU translates multiples of 0x%"
                       PRIx64 " bytes", rb->id, rb->gpa, rb->backing.size,
                       alignment);
            return false;
        }
        if (!in_a_range(rb, ranges, count)) {
            error_setg(errp, "RAM block '%s' at 0x%" PRIx64 " to 0x%" PRIx64
                       " is not within one range that the host's IOMMU "
                       "translates:", rb->id, rb->gpa,
                       rb->gpa + rb->backing.size - 1);
            append_ranges(errp, ranges, count);
            return false;
        }
    }
    return true;
}

static void unmap_below(VfioIommu *iommu, unsigned end, VfioDmaUnmap unmap)
{
    while (end-- > 0) {
        const RamBlock *rb = memory_ram_by_index(iommu->vm->memory, end);
        int ret;

        if (rb->mapped) {
            ret = unmap(iommu, rb);
            trace_vfio_dma_unmap(iommu->ops->name, rb->gpa, rb->backing.size,
                                 ret);
        }
    }
}

bool vfio_iommu_map_ram(VfioIommu *iommu, VfioDmaMap map, VfioDmaUnmap unmap,
                        Error **errp)
{
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(iommu->vm->memory, i));
         i++) {
        int ret;

        if (!rb->mapped) {
            continue;
        }
        ret = map(iommu, rb);
        trace_vfio_dma_map(iommu->ops->name, rb->gpa, rb->backing.size,
                           rb->backing.readonly, ret);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "mapping RAM block '%s' at 0x%" PRIx64
                             " of 0x%" PRIx64 " bytes for devices", rb->id,
                             rb->gpa, rb->backing.size);
            if (ret == -ENOMEM) {
                error_append(errp, " (its pages are locked: see ulimit -l)");
            }
            unmap_below(iommu, i, unmap);
            return false;
        }
    }
    return true;
}

void vfio_iommu_unmap_ram(VfioIommu *iommu, VfioDmaUnmap unmap)
{
    unsigned count = 0;

    while (memory_ram_by_index(iommu->vm->memory, count)) {
        count++;
    }
    unmap_below(iommu, count, unmap);
}
