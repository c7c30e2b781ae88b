/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA of devices the way it was before iommufd: a device belongs to a group,
 * groups join a container, and the container maps RAM (VFIO type 1 v2). Groups
 * share a container where the kernel lets them. Big lock, but for query_dirty
 * (vfio-iommu.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "hw/vfio/vfio-uapi.h"
#include "trace/trace-hw-vfio.h"
#include "util/checked.h"
#include "util/log.h"
#include "vfio-caps.h"
#include "vfio-iommu-int.h"

/* The answer on a container with its capabilities, in bytes. */
#define INFO_MAX 65536

typedef struct Container {
    VfioIommu iommu;            /* devices: of all its groups */
    int fd;
    unsigned groups;
    bool tracks;                /* dirty pages */
    uint64_t bitmap_max;        /* bytes that one answer of those may have */
    /*
     * The kernel answers for whole mappings: by block, pages that it named
     * and nobody has asked for yet. Who calls query_dirty.
     */
    uint64_t *rest[RAM_BLOCKS_MAX];
} Container;

typedef struct Group {
    unsigned number;
    int fd;
    GPtrArray *devices;         /* of VfioDevice */
    Container *container;
} Group;

static int call(Container *container, unsigned long request, void *arg)
{
    const VfioSys *sys = container->iommu.sys;

    return sys->ioctl(sys, container->fd, request, arg) < 0 ? -errno : 0;
}

/* ---- mapping ---- */

static int map_block(VfioIommu *iommu, const RamBlock *rb)
{
    struct vfio_iommu_type1_dma_map arg = {
        .argsz = sizeof(arg),
        .flags = VFIO_DMA_MAP_FLAG_READ |
                 (rb->backing.readonly ? 0 : VFIO_DMA_MAP_FLAG_WRITE),
        .vaddr = (uintptr_t)rb->host,
        .iova = rb->gpa,
        .size = rb->backing.size,
    };

    return call((Container *)iommu, VFIO_IOMMU_MAP_DMA, &arg);
}

static int unmap_block(VfioIommu *iommu, const RamBlock *rb)
{
    struct vfio_iommu_type1_dma_unmap arg = {
        .argsz = sizeof(arg),
        .iova = rb->gpa,
        .size = rb->backing.size,
    };

    return call((Container *)iommu, VFIO_IOMMU_UNMAP_DMA, &arg);
}

/* What the kernel says of the container; freed by the caller. */
static struct vfio_iommu_type1_info *get_info(Container *container,
                                              Error **errp)
{
    uint32_t size = sizeof(struct vfio_iommu_type1_info);
    struct vfio_iommu_type1_info *info = NULL;

    for (unsigned i = 0; i < 2; i++) {
        int ret;

        info = g_realloc(info, size);
        memset(info, 0, size);
        info->argsz = size;
        ret = call(container, VFIO_IOMMU_GET_INFO, info);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "asking what the IOMMU can do");
            break;
        }
        if (info->argsz <= size) {
            return info;
        }
        if (info->argsz > INFO_MAX || i == 1) {
            error_setg(errp, "the answer on the IOMMU has %u bytes after %u; "
                       "at most %u are read", info->argsz, size, INFO_MAX);
            break;
        }
        size = info->argsz;
    }
    g_free(info);
    return NULL;
}

/* The capability @id, its fixed part of @len bytes copied to @head. */
static bool get_cap(const struct vfio_iommu_type1_info *info, uint16_t id,
                    void *head, size_t len, const uint8_t **cap, size_t *room,
                    Error **errp)
{
    Error *err = NULL;

    *cap = NULL;
    if (!(info->flags & VFIO_IOMMU_INFO_CAPS) ||
        info->argsz < offsetof(struct vfio_iommu_type1_info, cap_offset) +
                          sizeof(info->cap_offset)) {
        return true;
    }
    *cap = vfio_find_cap(info, info->argsz,
                         offsetof(struct vfio_iommu_type1_info, cap_offset) +
                             sizeof(info->cap_offset),
                         info->cap_offset, id, room, &err);
    if (!err && *cap && *room < len) {
        error_setg(&err, "capability %u has %zu bytes, not %zu", id, *room,
                   len);
    }
    if (err) {
        error_propagate(errp, err);
        error_prepend(errp, "the answer on the IOMMU: ");
        return false;
    }
    if (*cap) {
        memcpy(head, *cap, len);
    }
    return true;
}

static bool check_ranges(Container *container,
                         const struct vfio_iommu_type1_info *info,
                         Error **errp)
{
    uint64_t pages = info->flags & VFIO_IOMMU_INFO_PGSIZES
                         ? info->iova_pgsizes : GUEST_PAGE_SIZE;
    VfioIovaRange all = { 0, UINT64_MAX };
    g_autofree VfioIovaRange *ranges = NULL;
    struct vfio_iommu_type1_info_cap_iova_range head;
    const uint8_t *cap;
    size_t room;

    if (pages == 0) {
        error_setg(errp, "the IOMMU has pages of no size");
        return false;
    }
    pages &= -pages;
    if (!get_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, &head,
                 sizeof(head), &cap, &room, errp)) {
        return false;
    }
    if (!cap) {
        /* Linux before 5.4 does not say; then MAP_DMA does. */
        return vfio_iommu_check_ram(&container->iommu, &all, 1, pages, errp);
    }
    G_STATIC_ASSERT(sizeof(VfioIovaRange) == sizeof(struct vfio_iova_range));
    if (head.nr_iovas > (room - sizeof(head)) / sizeof(VfioIovaRange) ||
        head.nr_iovas > VFIO_IOVA_RANGES_MAX) {
        error_setg(errp, "the answer on the IOMMU names %u ranges, more than "
                   "it holds, or than %d", head.nr_iovas,
                   VFIO_IOVA_RANGES_MAX);
        return false;
    }
    ranges = g_new(VfioIovaRange, MAX(head.nr_iovas, 1));
    memcpy(ranges, cap + sizeof(head), head.nr_iovas * sizeof(VfioIovaRange));
    return vfio_iommu_check_ram(&container->iommu, ranges, head.nr_iovas,
                                pages, errp);
}

/* Asks what the container can do, with the groups it has now. */
static bool look_at(Container *container, Error **errp)
{
    g_autofree struct vfio_iommu_type1_info *info = get_info(container, errp);
    struct vfio_iommu_type1_info_cap_migration head;
    const uint8_t *cap;
    size_t room;

    if (!info || !check_ranges(container, info, errp) ||
        !get_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, &head,
                 sizeof(head), &cap, &room, errp)) {
        return false;
    }
    container->tracks = cap && (head.pgsize_bitmap & GUEST_PAGE_SIZE);
    container->bitmap_max = cap ? head.max_dirty_bitmap_size : 0;
    trace_vfio_container_info(container->fd, info->iova_pgsizes,
                              container->tracks, container->bitmap_max);
    return true;
}

/* ---- dirty pages ---- */

static bool can_track_dirty(VfioIommu *iommu)
{
    return ((Container *)iommu)->tracks;
}

static void drop_rest(Container *container)
{
    for (unsigned i = 0; i < RAM_BLOCKS_MAX; i++) {
        if (container->rest[i]) {
            const RamBlock *rb =
                memory_ram_by_index(container->iommu.vm->memory, i);

            bitmap_free(container->rest[i],
                        rb->backing.size / GUEST_PAGE_SIZE);
            container->rest[i] = NULL;
        }
    }
}

static bool set_dirty_tracking(VfioIommu *iommu, bool on, Error **errp)
{
    Container *container = (Container *)iommu;
    struct vfio_iommu_type1_dirty_bitmap arg = {
        .argsz = sizeof(arg),
        .flags = on ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START
                    : VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
    };
    int ret = call(container, VFIO_IOMMU_DIRTY_PAGES, &arg);

    trace_vfio_dirty_tracking(iommu->ops->name, on, ret);
    drop_rest(container);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "container: turning dirty tracking %s",
                         on ? "on" : "off");
    }
    return ret == 0;
}

/* Adds the pages of @rb that were written to what is left of it. */
static bool ask_block(Container *container, const RamBlock *rb, Error **errp)
{
    uint64_t pages = rb->backing.size / GUEST_PAGE_SIZE;
    uint64_t bytes = bitmap_words(pages) * sizeof(uint64_t);
    uint64_t *fresh = bitmap_new(pages);
    struct vfio_iommu_type1_dirty_bitmap_get get = {
        .iova = rb->gpa,
        .size = rb->backing.size,
        .bitmap = {
            .pgsize = GUEST_PAGE_SIZE,
            .size = bytes,
            .data = (void *)fresh,
        },
    };
    struct vfio_iommu_type1_dirty_bitmap head = {
        .argsz = sizeof(head) + sizeof(get),
        .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
    };
    uint64_t arg[(sizeof(head) + sizeof(get)) / sizeof(uint64_t)];
    int ret = -ENOMEM;

    memcpy(arg, &head, sizeof(head));
    memcpy((uint8_t *)arg + sizeof(head), &get, sizeof(get));

    if (!container->rest[rb->index]) {
        container->rest[rb->index] = bitmap_new(pages);
    }
    if (fresh && container->rest[rb->index]) {
        ret = bytes > container->bitmap_max
                  ? -E2BIG : call(container, VFIO_IOMMU_DIRTY_PAGES, arg);
    }
    trace_vfio_query_dirty(container->iommu.ops->name, rb->gpa,
                           rb->backing.size, ret);
    for (uint64_t i = 0; ret == 0 && i < bitmap_words(pages); i++) {
        container->rest[rb->index][i] |= fresh[i];
    }
    bitmap_free(fresh, pages);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "container: asking for the dirty pages of "
                         "RAM block '%s', %" PRIu64 " bytes of bitmap", rb->id,
                         bytes);
    }
    return ret == 0;
}

static bool query_dirty(VfioIommu *iommu, uint64_t iova, uint64_t len,
                        uint64_t *bitmap, Error **errp)
{
    Container *container = (Container *)iommu;
    uint64_t pages = len / GUEST_PAGE_SIZE;
    uint64_t offset, first;
    uint64_t *rest;
    RamBlock *rb;

    if (!memory_ram_at(iommu->vm->memory, iova, &rb, &offset)) {
        error_setg(errp, "container: no RAM at 0x%" PRIx64, iova);
        return false;
    }
    if (!ask_block(container, rb, errp)) {
        return false;
    }
    first = offset / GUEST_PAGE_SIZE;
    rest = container->rest[rb->index];
    for (uint64_t at = bitmap_find_next(rest, first + pages, first);
         at < first + pages;
         at = bitmap_find_next(rest, first + pages, at + 1)) {
        bitmap_test_and_clear(rest, at);
        bitmap_set(bitmap, at - first);
    }
    return true;
}

static const VfioIommuOps container_ops = {
    .name = "container",
    .can_track_dirty = can_track_dirty,
    .set_dirty_tracking = set_dirty_tracking,
    .query_dirty = query_dirty,
};

/* ---- containers ---- */

static bool join(Group *group, Container *container, const VfioSys *sys)
{
    int ret = sys->ioctl(sys, group->fd, VFIO_GROUP_SET_CONTAINER,
                         &container->fd);

    trace_vfio_group_join(group->number, container->fd, ret < 0 ? errno : 0);
    if (ret >= 0) {
        group->container = container;
        container->groups++;
    }
    return ret >= 0;
}

static void leave(Group *group, const VfioSys *sys)
{
    int ret = sys->ioctl(sys, group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);

    trace_vfio_group_leave(group->number, ret < 0 ? errno : 0);
    group->container->groups--;
    group->container = NULL;
}

static void container_free(Container *container)
{
    const VfioSys *sys = container->iommu.sys;

    drop_rest(container);
    sys->close(sys, container->fd);
    g_free(container);
}

static bool check_version(Container *container, Error **errp)
{
    const VfioSys *sys = container->iommu.sys;
    int version = sys->ioctl(sys, container->fd, VFIO_GET_API_VERSION, NULL);

    if (version != VFIO_API_VERSION) {
        error_setg(errp, "/dev/vfio/vfio has version %d of its interface, "
                   "this is for %d", version, VFIO_API_VERSION);
        return false;
    }
    if (sys->ioctl(sys, container->fd, VFIO_CHECK_EXTENSION,
                   (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU) <= 0) {
        error_setg(errp, "/dev/vfio/vfio has no IOMMU of type 1 version 2, "
                   "the one that is driven");
        return false;
    }
    return true;
}

/* A container with @group in it, and all RAM. */
static Container *container_new(VfioDevice *vdev, Group *group, Error **errp)
{
    const VfioSys *sys = vdev->sys;
    Container *container = g_new0(Container, 1);

    container->iommu.ops = &container_ops;
    container->iommu.sys = sys;
    container->iommu.vm = vdev->vm;
    container->fd = sys->open(sys, "/dev/vfio/vfio", O_RDWR);
    if (container->fd < 0) {
        error_setg_errno(errp, errno, "opening /dev/vfio/vfio");
        g_free(container);
        return NULL;
    }
    if (!check_version(container, errp)) {
        goto fail_open;
    }
    if (!join(group, container, sys)) {
        error_setg_errno(errp, errno, "setting the container of group %u",
                         group->number);
        goto fail_open;
    }
    if (sys->ioctl(sys, container->fd, VFIO_SET_IOMMU,
                   (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU) < 0) {
        error_setg_errno(errp, errno, "setting the IOMMU of the container");
        goto fail_joined;
    }
    if (!look_at(container, errp) ||
        !vfio_iommu_map_ram(&container->iommu, map_block, unmap_block, errp)) {
        goto fail_joined;
    }
    return container;
fail_joined:
    leave(group, sys);
fail_open:
    container_free(container);
    return NULL;
}

/* Into a container that is there, if one takes it; else into a new one. */
static bool find_container(VfioDevice *vdev, VfioHost *host, Group *group,
                           Error **errp)
{
    for (guint i = 0; i < host->groups->len; i++) {
        const Group *other = g_ptr_array_index(host->groups, i);

        if (!join(group, other->container, vdev->sys)) {
            continue;
        }
        if (!look_at(group->container, errp)) {
            leave(group, vdev->sys);
            return false;
        }
        return true;
    }
    return container_new(vdev, group, errp) != NULL;
}

/* ---- groups ---- */

static bool check_viable(Group *group, const VfioSys *sys, Error **errp)
{
    struct vfio_group_status status = { .argsz = sizeof(status) };

    if (sys->ioctl(sys, group->fd, VFIO_GROUP_GET_STATUS, &status) < 0) {
        error_setg_errno(errp, errno, "asking for the state of group %u",
                         group->number);
        return false;
    }
    if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
        error_setg(errp, "group %u is not viable: all of its devices must be "
                   "bound to their VFIO driver, or to none", group->number);
        return false;
    }
    if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET) {
        error_setg(errp, "group %u is in another container", group->number);
        return false;
    }
    return true;
}

static Group *group_find(VfioHost *host, unsigned number)
{
    for (guint i = 0; i < host->groups->len; i++) {
        Group *group = g_ptr_array_index(host->groups, i);

        if (group->number == number) {
            return group;
        }
    }
    return NULL;
}

static Group *group_of(VfioHost *host, VfioDevice *vdev)
{
    for (guint i = 0; i < host->groups->len; i++) {
        Group *group = g_ptr_array_index(host->groups, i);

        if (g_ptr_array_find(group->devices, vdev, NULL)) {
            return group;
        }
    }
    g_assert_not_reached();
}

static Group *group_new(VfioDevice *vdev, VfioHost *host, unsigned number,
                        Error **errp)
{
    const VfioSys *sys = vdev->sys;
    g_autofree char *path = g_strdup_printf("/dev/vfio/%u", number);
    Group *group = g_new0(Group, 1);

    group->number = number;
    group->devices = g_ptr_array_new();
    group->fd = sys->open(sys, path, O_RDWR);
    if (group->fd < 0) {
        error_setg_errno(errp, errno, "opening %s", path);
        goto fail;
    }
    if (!check_viable(group, sys, errp) ||
        !find_container(vdev, host, group, errp)) {
        sys->close(sys, group->fd);
        goto fail;
    }
    g_ptr_array_add(host->groups, group);
    return group;
fail:
    g_ptr_array_unref(group->devices);
    g_free(group);
    return NULL;
}

static void group_put(VfioHost *host, Group *group, const VfioSys *sys)
{
    Container *container = group->container;

    if (group->devices->len > 0) {
        return;
    }
    g_ptr_array_remove(host->groups, group);
    if (container->groups == 1) {
        vfio_iommu_unmap_ram(&container->iommu, unmap_block);
    }
    leave(group, sys);
    sys->close(sys, group->fd);
    if (container->groups == 0) {
        container_free(container);
    }
    g_ptr_array_unref(group->devices);
    g_free(group);
}

bool vfio_container_attach(VfioDevice *vdev, unsigned number,
                           const char *address, Error **errp)
{
    const VfioSys *sys = vdev->sys;
    VfioHost *host = vdev->vm->vfio;
    Group *group = group_find(host, number);

    if (!group) {
        group = group_new(vdev, host, number, errp);
        if (!group) {
            return false;
        }
    }
    vdev->fd = sys->ioctl(sys, group->fd, VFIO_GROUP_GET_DEVICE_FD,
                          (void *)address);
    if (vdev->fd < 0) {
        error_setg_errno(errp, errno, "group %u: opening its device %s",
                         number, address);
        group_put(host, group, sys);
        return false;
    }
    g_ptr_array_add(group->devices, vdev);
    group->container->iommu.devices++;
    vdev->iommu = &group->container->iommu;
    return true;
}

void vfio_container_detach(VfioDevice *vdev)
{
    const VfioSys *sys = vdev->sys;
    VfioHost *host = vdev->vm->vfio;
    Group *group = group_of(host, vdev);

    sys->close(sys, vdev->fd);
    vdev->fd = -1;
    vdev->iommu->devices--;
    vdev->iommu = NULL;
    g_ptr_array_remove(group->devices, vdev);
    group_put(host, group, sys);
}
