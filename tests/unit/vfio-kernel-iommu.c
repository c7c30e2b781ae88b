/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The half of the kernel that translates DMA: iommufds, groups, containers. */
#include <errno.h>
#include <string.h>

#include "vfio-kernel-int.h"

#define PAGE 4096
#define CONTAINER_OWNER (UINT64_C(1) << 32)

/* ---- mapping ---- */

static int add_map(FakeKernel *k, uint64_t owner, uint64_t iova, uint64_t size,
                   bool writable)
{
    KernelMap map = { owner, iova, size, writable };

    for (guint i = 0; i < k->maps->len; i++) {
        const KernelMap *old = &g_array_index(k->maps, KernelMap, i);

        g_assert_false(old->owner == owner && iova < old->iova + old->size &&
                       old->iova < iova + size);
    }
    g_array_append_val(k->maps, map);
    return 0;
}

static int remove_map(FakeKernel *k, uint64_t owner, uint64_t iova,
                      uint64_t size)
{
    for (guint i = 0; i < k->maps->len; i++) {
        const KernelMap *map = &g_array_index(k->maps, KernelMap, i);

        if (map->owner == owner && map->iova == iova && map->size == size) {
            g_array_remove_index(k->maps, i);
            return 0;
        }
    }
    g_error("unmapping what is not mapped");
}

/* Sets the bits of what devices wrote in the range, and forgets it. */
static void take_dirty(FakeKernel *k, uint64_t iova, uint64_t size,
                       uint64_t *bitmap)
{
    for (uint64_t i = 0; i < size / PAGE; i++) {
        if (g_hash_table_remove(k->dirty,
                                GSIZE_TO_POINTER(iova / PAGE + i))) {
            bitmap[i / 64] |= UINT64_C(1) << i % 64;
        }
    }
}

void fake_kernel_write(FakeKernel *k, uint64_t iova)
{
    g_hash_table_add(k->dirty, GSIZE_TO_POINTER(iova / PAGE));
}

/* ---- iommufd ---- */

static bool in_use(const FakeKernel *k, uint32_t id)
{
    for (unsigned i = 0; i < KERNEL_DEVICES; i++) {
        if (k->devices[i].attached == id) {
            return true;
        }
    }
    return false;
}

static uint32_t new_object(FakeKernel *k, char type)
{
    g_hash_table_insert(k->objects, GUINT_TO_POINTER(++k->last_id),
                        GINT_TO_POINTER(type));
    return k->last_id;
}

static int iova_ranges(FakeKernel *k, struct iommu_ioas_iova_ranges *arg)
{
    uint32_t room = arg->num_iovas;

    arg->num_iovas = k->ranges_said ? k->ranges_said : k->range_count;
    arg->out_iova_alignment = k->alignment;
    memcpy((void *)(uintptr_t)arg->allowed_iovas, k->ranges,
           MIN(room, k->range_count) * sizeof(k->ranges[0]));
    return room < arg->num_iovas ? kernel_fail(EMSGSIZE) : 0;
}

static int hwpt_alloc(FakeKernel *k, struct iommu_hwpt_alloc *arg)
{
    if (k->hwpt_refused) {
        return kernel_fail(EOPNOTSUPP);
    }
    g_assert_true(!(arg->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) ||
                  k->tracks);
    g_assert_cmpint(GPOINTER_TO_INT(g_hash_table_lookup(
                        k->objects, GUINT_TO_POINTER(arg->pt_id))), ==, 'i');
    arg->out_hwpt_id = new_object(k, 'h');
    return 0;
}

int kernel_iommu_ioctl(FakeKernel *k, unsigned long request, void *arg)
{
    switch (request) {
    case IOMMU_IOAS_ALLOC:
        ((struct iommu_ioas_alloc *)arg)->out_ioas_id = new_object(k, 'i');
        return 0;
    case IOMMU_DESTROY: {
        uint32_t id = ((struct iommu_destroy *)arg)->id;

        g_assert_false(in_use(k, id));
        g_assert_true(g_hash_table_remove(k->objects, GUINT_TO_POINTER(id)));
        return 0;
    }
    case IOMMU_GET_HW_INFO:
        if (k->no_hw_info) {
            return kernel_fail(EOPNOTSUPP);
        }
        ((struct iommu_hw_info *)arg)->out_capabilities =
            k->tracks ? IOMMU_HW_CAP_DIRTY_TRACKING : 0;
        return 0;
    case IOMMU_HWPT_ALLOC:
        return hwpt_alloc(k, arg);
    case IOMMU_IOAS_IOVA_RANGES:
        return iova_ranges(k, arg);
    case IOMMU_IOAS_MAP: {
        struct iommu_ioas_map *map = arg;

        return add_map(k, map->ioas_id, map->iova, map->length,
                       map->flags & IOMMU_IOAS_MAP_WRITEABLE);
    }
    case IOMMU_IOAS_UNMAP: {
        struct iommu_ioas_unmap *unmap = arg;

        return remove_map(k, unmap->ioas_id, unmap->iova, unmap->length);
    }
    case IOMMU_HWPT_SET_DIRTY_TRACKING: {
        struct iommu_hwpt_set_dirty_tracking *set = arg;

        k->tracking += set->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE ? 1 : -1;
        return 0;
    }
    case IOMMU_HWPT_GET_DIRTY_BITMAP: {
        struct iommu_hwpt_get_dirty_bitmap *get = arg;

        g_assert_cmpuint(k->tracking, >, 0);
        take_dirty(k, get->iova, get->length,
                   (uint64_t *)(uintptr_t)get->data);
        return 0;
    }
    }
    return kernel_fail(ENOTTY);
}

/* ---- groups and containers ---- */

int kernel_group_ioctl(FakeKernel *k, Fd *f, unsigned long request, void *arg)
{
    switch (request) {
    case VFIO_GROUP_GET_STATUS:
        ((struct vfio_group_status *)arg)->flags =
            k->not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
        return 0;
    case VFIO_GROUP_SET_CONTAINER: {
        int container = *(int *)arg;
        Fd *c = kernel_fd(k, container);

        g_assert_cmpint(c->kind, ==, CONTAINER);
        g_assert_cmpint(f->container, ==, -1);
        if (c->groups && k->group_apart) {
            return kernel_fail(EINVAL);
        }
        f->container = container;
        c->groups++;
        return 0;
    }
    case VFIO_GROUP_UNSET_CONTAINER:
        kernel_fd(k, f->container)->groups--;
        f->container = -1;
        return 0;
    case VFIO_GROUP_GET_DEVICE_FD: {
        const char *address = arg;
        unsigned number = (unsigned)(address[strlen(address) - 1] - '0');

        g_assert_cmpint(f->container, !=, -1);
        if (number >= KERNEL_DEVICES) {
            return kernel_fail(ENODEV);
        }
        return kernel_new_fd(k, DEVICE, number);
    }
    }
    return kernel_fail(ENOTTY);
}

/* Ranges and dirty logging, one behind the other. */
static int container_info(FakeKernel *k, struct vfio_iommu_type1_info *info)
{
    const size_t fixed = offsetof(struct vfio_iommu_type1_info, cap_offset) +
                         sizeof(info->cap_offset);
    struct vfio_iommu_type1_info_cap_iova_range head = {
        .header = { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 },
        .nr_iovas = k->range_count,
    };
    struct vfio_iommu_type1_info_cap_migration mig = {
        .header = { VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 1, 0 },
        .pgsize_bitmap = PAGE,
        .max_dirty_bitmap_size = UINT64_C(256) << 20,
    };
    g_autoptr(GByteArray) caps = g_byte_array_new();
    uint32_t given = info->argsz;

    if (k->info_caps) {
        g_byte_array_append(caps, k->info_caps, (guint)k->info_caps_len);
    } else {
        uint32_t end = (uint32_t)(fixed + sizeof(head) +
                                  k->range_count * sizeof(k->ranges[0]));

        head.header.next = k->tracks ? end : 0;
        g_byte_array_append(caps, (void *)&head, sizeof(head));
        g_byte_array_append(caps, (void *)k->ranges,
                            k->range_count * sizeof(k->ranges[0]));
        g_byte_array_append(caps, (void *)&mig, sizeof(mig));
    }
    info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
    info->iova_pgsizes = k->alignment | k->alignment << 9;
    info->argsz = (uint32_t)fixed + caps->len;
    info->cap_offset = 0;
    if (given >= info->argsz) {
        info->cap_offset = k->info_caps ? k->info_cap_offset : fixed;
        memcpy((uint8_t *)info + fixed, caps->data, caps->len);
    }
    return 0;
}

static int dirty_pages(FakeKernel *k, uint64_t owner,
                       const struct vfio_iommu_type1_dirty_bitmap *arg)
{
    struct vfio_iommu_type1_dirty_bitmap_get get;

    if (arg->flags != VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP) {
        k->tracking += arg->flags == VFIO_IOMMU_DIRTY_PAGES_FLAG_START ? 1
                                                                       : -1;
        return 0;
    }
    memcpy(&get, arg->data, sizeof(get));
    for (guint i = 0; i < k->maps->len; i++) {
        const KernelMap *map = &g_array_index(k->maps, KernelMap, i);

        if (map->owner == owner && map->iova == get.iova &&
            map->size == get.size) {
            memset(get.bitmap.data, 0, get.bitmap.size);
            take_dirty(k, get.iova, get.size, (uint64_t *)get.bitmap.data);
            return 0;
        }
    }
    return kernel_fail(EINVAL);
}

int kernel_container_ioctl(FakeKernel *k, Fd *f, int fd, unsigned long request,
                           void *arg)
{
    uint64_t owner = CONTAINER_OWNER | (unsigned)fd;

    switch (request) {
    case VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION:
        return !k->no_type1 && (uintptr_t)arg == VFIO_TYPE1v2_IOMMU;
    case VFIO_SET_IOMMU:
        g_assert_cmpuint(f->groups, >, 0);
        f->iommu_set = true;
        return 0;
    case VFIO_IOMMU_GET_INFO:
        g_assert_true(f->iommu_set);
        return container_info(k, arg);
    case VFIO_IOMMU_MAP_DMA: {
        struct vfio_iommu_type1_dma_map *map = arg;

        return add_map(k, owner, map->iova, map->size,
                       map->flags & VFIO_DMA_MAP_FLAG_WRITE);
    }
    case VFIO_IOMMU_UNMAP_DMA: {
        struct vfio_iommu_type1_dma_unmap *unmap = arg;

        g_assert_cmpuint(f->groups, >, 0);
        return remove_map(k, owner, unmap->iova, unmap->size);
    }
    case VFIO_IOMMU_DIRTY_PAGES:
        return dirty_pages(k, owner, arg);
    }
    return kernel_fail(ENOTTY);
}
