/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Regions of a VFIO device: what the driver says of them, mapping, access.
 * Everything the driver says is checked before it is used. Big lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/vfio/vfio-uapi.h"
#include "trace/trace-hw-vfio.h"
#include "util/checked.h"
#include "util/log.h"
#include "vfio-caps.h"
#include "vfio-region.h"

/* The answer of the driver with its capabilities, in bytes. */
#define INFO_MAX 65536

/* What the driver says; freed by the caller. NULL and errp. */
static struct vfio_region_info *get_info(VfioDevice *vdev, unsigned index,
                                         Error **errp)
{
    const VfioSys *sys = vdev->sys;
    uint32_t size = sizeof(struct vfio_region_info);
    struct vfio_region_info *info = NULL;

    for (unsigned i = 0; i < 2; i++) {
        info = g_realloc(info, size);
        memset(info, 0, size);
        info->argsz = size;
        info->index = index;
        if (sys->ioctl(sys, vdev->fd, VFIO_DEVICE_GET_REGION_INFO, info) < 0) {
            error_setg_errno(errp, errno, "asking for its region %u", index);
            break;
        }
        if (info->index != index) {
            error_setg(errp, "asked for its region %u, the driver answers for "
                       "%u", index, info->index);
            break;
        }
        if (info->argsz <= size) {
            return info;
        }
        if (info->argsz > INFO_MAX || i == 1) {
            error_setg(errp, "the driver's answer on its region %u has %u "
                       "bytes after %u; at most %u are read", index,
                       info->argsz, size, INFO_MAX);
            break;
        }
        size = info->argsz;
    }
    g_free(info);
    return NULL;
}

/* Adds [@offset, @offset + @size) behind the areas that are there. */
static bool add_area(VfioRegion *region, uint64_t offset, uint64_t size,
                     Error **errp)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    unsigned at = region->area_count;

    if (size == 0) {
        return true;
    }
    if (!range_fits_u64(offset, size, region->size) ||
        (offset | size | region->fd_offset) % page) {
        error_setg(errp, "its region %u of 0x%" PRIx64 " bytes has a mappable "
                   "area at 0x%" PRIx64 " of 0x%" PRIx64 " bytes: not within "
                   "it, or not whole pages", region->index, region->size,
                   offset, size);
        return false;
    }
    while (at > 0 && region->areas[at - 1].offset > offset) {
        at--;
    }
    if ((at < region->area_count &&
         offset + size > region->areas[at].offset) ||
        (at > 0 && region->areas[at - 1].offset + region->areas[at - 1].size >
                       offset)) {
        error_setg(errp, "mappable areas of its region %u overlap at 0x%"
                   PRIx64, region->index, offset);
        return false;
    }
    region->areas = g_renew(VfioArea, region->areas, region->area_count + 1);
    memmove(&region->areas[at + 1], &region->areas[at],
            (region->area_count - at) * sizeof(VfioArea));
    region->areas[at] = (VfioArea){ offset, size, NULL };
    region->area_count++;
    return true;
}

/* The areas of the capability at @cap, behind which @room bytes lie. */
static bool sparse_areas(VfioRegion *region, const uint8_t *cap, size_t room,
                         Error **errp)
{
    struct vfio_region_info_cap_sparse_mmap head;
    struct vfio_region_sparse_mmap_area area;

    if (room < sizeof(head)) {
        error_setg(errp, "its region %u: the list of mappable areas is cut "
                   "off", region->index);
        return false;
    }
    memcpy(&head, cap, sizeof(head));
    if (head.nr_areas > VFIO_REGION_AREAS_MAX ||
        head.nr_areas > (room - sizeof(head)) / sizeof(area)) {
        error_setg(errp, "its region %u has %u mappable areas: more than the "
                   "answer holds, or than %u", region->index, head.nr_areas,
                   VFIO_REGION_AREAS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < head.nr_areas; i++) {
        memcpy(&area, cap + sizeof(head) + i * sizeof(area), sizeof(area));
        if (!add_area(region, area.offset, area.size, errp)) {
            return false;
        }
    }
    return true;
}

/* Fills areas from what the driver says. */
static bool find_areas(VfioRegion *region, const struct vfio_region_info *info,
                       Error **errp)
{
    const uint8_t *cap = NULL;
    Error *err = NULL;
    size_t room = 0;

    if (info->flags & VFIO_REGION_INFO_FLAG_CAPS) {
        cap = vfio_find_cap(info, MIN(info->argsz, INFO_MAX), sizeof(*info),
                            info->cap_offset,
                            VFIO_REGION_INFO_CAP_SPARSE_MMAP, &room, &err);
    }
    if (err) {
        error_propagate(errp, err);
        error_prepend(errp, "its region %u: ", region->index);
        return false;
    }
    if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP)) {
        return true;
    }
    if (cap) {
        return sparse_areas(region, cap, room, errp);
    }
    /* The kernel offers BARs of less than a page, too, when alone in it. */
    return region->size % (uint64_t)sysconf(_SC_PAGESIZE) ||
           add_area(region, 0, region->size, errp);
}

static bool map_areas(VfioRegion *region, Error **errp)
{
    const VfioSys *sys = region->vdev->sys;
    int prot = 0;

    prot |= region->flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0;
    prot |= region->flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0;
    for (unsigned i = 0; i < region->area_count; i++) {
        VfioArea *area = &region->areas[i];
        void *host = sys->mmap(sys, region->vdev->fd, area->size, prot,
                               region->fd_offset + area->offset);

        if (host == MAP_FAILED) {
            error_setg_errno(errp, errno, "mapping 0x%" PRIx64 " bytes of its "
                             "region %u", area->size, region->index);
            return false;
        }
        area->host = host;
        trace_vfio_region_mmap(region->vdev->name, region->index,
                               area->offset, area->size);
    }
    return true;
}

bool vfio_region_init(VfioRegion *region, VfioDevice *vdev, unsigned index,
                      bool no_mmap, Error **errp)
{
    g_autofree struct vfio_region_info *info = NULL;
    uint64_t end;

    *region = (VfioRegion){ .vdev = vdev, .index = index };
    info = get_info(vdev, index, errp);
    if (!info) {
        goto fail;
    }
    if (!checked_add_u64(info->offset, info->size, &end) || end > INT64_MAX) {
        error_setg(errp, "its region %u has 0x%" PRIx64 " bytes at offset 0x%"
                   PRIx64 ": beyond what a descriptor reaches", index,
                   (uint64_t)info->size, (uint64_t)info->offset);
        goto fail;
    }
    region->size = info->size;
    region->fd_offset = info->offset;
    region->flags = info->flags;
    trace_vfio_region_info(vdev->name, index, info->flags, info->size,
                           info->offset);
    if (region->size && !no_mmap &&
        (!find_areas(region, info, errp) || !map_areas(region, errp))) {
        goto fail;
    }
    return true;
fail:
    vfio_region_exit(region);
    return false;
}

void vfio_region_exit(VfioRegion *region)
{
    for (unsigned i = 0; i < region->area_count; i++) {
        if (region->areas[i].host) {
            region->vdev->sys->munmap(region->vdev->sys,
                                      region->areas[i].host,
                                      region->areas[i].size);
        }
    }
    g_free(region->areas);
    *region = (VfioRegion){ 0 };
}

/* Where [@offset, @offset + @size) is mapped, or NULL. */
static uint8_t *mapped_at(const VfioRegion *region, uint64_t offset,
                          unsigned size)
{
    for (unsigned i = 0; i < region->area_count; i++) {
        const VfioArea *area = &region->areas[i];

        if (offset >= area->offset &&
            range_fits_u64(offset - area->offset, size, area->size)) {
            return area->host + (offset - area->offset);
        }
    }
    return NULL;
}

/* @done: what the call on the descriptor gave. */
static bool accessed(VfioRegion *region, const char *what, uint64_t offset,
                     unsigned size, ssize_t done)
{
    int err = errno;

    if (done == (ssize_t)size) {
        return true;
    }
    trace_vfio_region_fail(region->vdev->name, region->index, offset, size,
                           done < 0 ? err : 0);
    if (!region->warned) {
        region->warned = true;
        warn_report("VFIO device %s: %s of %u bytes at 0x%" PRIx64 " of its "
                    "region %u failed (%s); such reads give all ones, and no "
                    "further failure is shown", region->vdev->name, what, size,
                    offset, region->index,
                    done < 0 ? g_strerror(err) : "too few bytes");
    }
    return false;
}

/* A device sees exactly one access of that width. */
static uint64_t load(const uint8_t *host, unsigned size)
{
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)host;
    case 2:
        return *(const volatile uint16_t *)(const void *)host;
    case 4:
        return *(const volatile uint32_t *)(const void *)host;
    default:
        return *(const volatile uint64_t *)(const void *)host;
    }
}

static void store(uint8_t *host, unsigned size, uint64_t val)
{
    switch (size) {
    case 1:
        *(volatile uint8_t *)host = (uint8_t)val;
        break;
    case 2:
        *(volatile uint16_t *)(void *)host = (uint16_t)val;
        break;
    case 4:
        *(volatile uint32_t *)(void *)host = (uint32_t)val;
        break;
    default:
        *(volatile uint64_t *)(void *)host = val;
    }
}

bool vfio_region_read(VfioRegion *region, uint64_t offset, unsigned size,
                      uint64_t *val)
{
    const uint64_t ones = UINT64_MAX >> (64 - 8 * size);
    const uint8_t *host;
    ssize_t done;

    *val = ones;
    if (!range_fits_u64(offset, size, region->size) ||
        !(region->flags & VFIO_REGION_INFO_FLAG_READ)) {
        return false;
    }
    host = mapped_at(region, offset, size);
    if (host) {
        *val = load(host, size);
    } else {
        uint64_t got = 0;

        done = region->vdev->sys->pread(region->vdev->sys, region->vdev->fd,
                                        &got, size,
                                        region->fd_offset + offset);
        if (!accessed(region, "a read", offset, size, done)) {
            return false;
        }
        *val = got;
    }
    trace_vfio_region_read(region->vdev->name, region->index, offset, size,
                           *val);
    return true;
}

bool vfio_region_write(VfioRegion *region, uint64_t offset, unsigned size,
                       uint64_t val)
{
    uint8_t *host;
    ssize_t done;

    if (!range_fits_u64(offset, size, region->size) ||
        !(region->flags & VFIO_REGION_INFO_FLAG_WRITE)) {
        return false;
    }
    trace_vfio_region_write(region->vdev->name, region->index, offset, size,
                            val);
    host = mapped_at(region, offset, size);
    if (host) {
        store(host, size, val);
        return true;
    }
    done = region->vdev->sys->pwrite(region->vdev->sys, region->vdev->fd, &val,
                                     size, region->fd_offset + offset);
    return accessed(region, "a write", offset, size, done);
}
