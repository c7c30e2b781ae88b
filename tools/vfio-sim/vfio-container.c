/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of a legacy container. Worker threads; one lock guards it. */
#include "vfio-container.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "bitmap-call.h"
#include "guest-map.h"
#include "hw/vfio/vfio-uapi.h"
#include "util/checked.h"

/* The kernel's limit of a bitmap: 2^31 bits. */
#define BITMAP_BYTES_MAX (1ULL << 28)

struct SimContainer {
    int (*fault)(void *opaque, const char *name);
    void *opaque;

    GMutex lock;
    unsigned groups, trackers;
    bool ready, tracks;
    SimGuestMap map;
    SimPageSet dirty;
};

SimContainer *sim_container_new(int (*fault)(void *opaque, const char *name),
                                void *opaque)
{
    SimContainer *c = g_new0(SimContainer, 1);

    c->fault = fault;
    c->opaque = opaque;
    g_mutex_init(&c->lock);
    sim_map_init(&c->map);
    sim_page_set_init(&c->dirty);
    return c;
}

void sim_container_free(SimContainer *c)
{
    sim_map_destroy(&c->map);
    sim_page_set_destroy(&c->dirty);
    g_mutex_clear(&c->lock);
    g_free(c);
}

void sim_container_add_group(SimContainer *c, bool can_track)
{
    g_mutex_lock(&c->lock);
    c->groups++;
    c->trackers += can_track;
    g_mutex_unlock(&c->lock);
}

void sim_container_remove_group(SimContainer *c, bool can_track)
{
    bool cut;

    g_mutex_lock(&c->lock);
    c->groups--;
    c->trackers -= can_track;
    if (!c->groups) {
        /* As the kernel does: the next group finds it as new. */
        c->ready = c->tracks = false;
        sim_map_remove(&c->map, 0, UINT64_MAX, &cut);
        sim_page_set_clear(&c->dirty);
    }
    g_mutex_unlock(&c->lock);
}

bool sim_container_is_ready(SimContainer *c)
{
    bool ready;

    g_mutex_lock(&c->lock);
    ready = c->ready;
    g_mutex_unlock(&c->lock);
    return ready;
}

bool sim_container_write(SimContainer *c, uint64_t iova, const void *buf,
                         size_t len)
{
    bool ok;

    g_mutex_lock(&c->lock);
    ok = sim_map_write(&c->map, iova, buf, len);
    if (ok && c->tracks) {
        sim_page_set_add(&c->dirty, iova);
    }
    g_mutex_unlock(&c->lock);
    return ok;
}

static bool can_track(const SimContainer *c)
{
    return c->groups && c->trackers == c->groups;
}

static int64_t check_extension(uint64_t extension)
{
    return extension == VFIO_TYPE1v2_IOMMU || extension == VFIO_UNMAP_ALL;
}

static int64_t set_iommu(SimContainer *c, uint64_t type)
{
    if (!c->groups || c->ready) {
        return -EINVAL;
    }
    if (type != VFIO_TYPE1v2_IOMMU) {
        return -ENODEV;
    }
    c->ready = true;
    return 0;
}

/* What IOMMU_GET_INFO gives behind its structure; first, as the kernel has it,
 * struct vfio_iommu_type1_info_cap_iova_range. */
typedef struct Capabilities {
    struct {
        struct vfio_info_cap_header header;
        uint32_t nr_iovas, reserved;
    } ranges;
    struct vfio_iova_range range[SIM_MAP_RANGES];
    struct vfio_iommu_type1_info_dma_avail available;
    uint32_t pad;
    struct vfio_iommu_type1_info_cap_migration migration;
} Capabilities;

G_STATIC_ASSERT(offsetof(Capabilities, range) ==
                sizeof(struct vfio_iommu_type1_info_cap_iova_range));

static void fill(SimContainer *c, Capabilities *caps, uint32_t at)
{
    *caps = (Capabilities){
        .ranges = {{VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1,
                    at + offsetof(Capabilities, available)},
                   SIM_MAP_RANGES, 0},
        .available = {{VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1,
                       at + offsetof(Capabilities, migration)},
                      SIM_MAP_MAX - sim_map_count(&c->map)},
        .migration = {{VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 1, 0},
                      0, SIM_PAGE, BITMAP_BYTES_MAX},
    };
    for (unsigned i = 0; i < SIM_MAP_RANGES; i++) {
        caps->range[i].start = sim_map_ranges[i].start;
        caps->range[i].end = sim_map_ranges[i].last;
    }
    if (!can_track(c)) {
        caps->available.header.next = 0;
    }
}

static int64_t get_info(SimContainer *c, SimCall *call, uint64_t arg)
{
    const uint32_t min = offsetof(struct vfio_iommu_type1_info, cap_offset);
    struct vfio_iommu_type1_info info = {0};
    uint32_t at = sizeof(info), size = sizeof(Capabilities);
    Capabilities caps;

    if (sim_call_get(call, arg, &info, min)) {
        return -EFAULT;
    }
    if (info.argsz < min) {
        return -EINVAL;
    }
    if (!can_track(c)) {
        size = offsetof(Capabilities, migration);
    }
    info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
    info.iova_pgsizes = SIM_PAGE;
    if (info.argsz >= at + size) {
        info.cap_offset = at;
        fill(c, &caps, at);
        if (sim_call_put(call, arg + at, &caps, size)) {
            return -EFAULT;
        }
        return sim_call_put(call, arg, &info, sizeof(info));
    }
    at = MIN(info.argsz, sizeof(info));
    info.argsz = sizeof(info) + size;
    return sim_call_put(call, arg, &info, at);
}

static int64_t map(SimContainer *c, SimCall *call, uint64_t arg)
{
    const uint32_t known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
    struct vfio_iommu_type1_dma_map m;

    if (sim_call_get(call, arg, &m, sizeof(m))) {
        return -EFAULT;
    }
    if (m.argsz < sizeof(m) || (m.flags & ~known) || !m.flags) {
        return -EINVAL;
    }
    return sim_map_add(&c->map, m.iova, m.size, m.vaddr,
                       sim_call_process(call));
}

/* A bitmap for @size bytes, in the caller's memory: is there room? */
static bool check_bitmap(const struct vfio_bitmap *b, uint64_t size)
{
    return b->pgsize == SIM_PAGE && b->size && b->size <= BITMAP_BYTES_MAX &&
           b->size >= (size / SIM_PAGE + 63) / 64 * 8;
}

static int64_t unmap(SimContainer *c, SimCall *call, uint64_t arg)
{
    const uint32_t known = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP |
                           VFIO_DMA_UNMAP_FLAG_ALL;
    struct vfio_iommu_type1_dma_unmap u;
    struct vfio_bitmap bitmap;
    uint64_t last = UINT64_MAX;
    bool all, get, cut;

    if (sim_call_get(call, arg, &u, sizeof(u))) {
        return -EFAULT;
    }
    all = u.flags & VFIO_DMA_UNMAP_FLAG_ALL;
    get = u.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
    if (u.argsz < sizeof(u) || (u.flags & ~known) || (all && get) ||
        (all && (u.iova || u.size))) {
        return -EINVAL;
    }
    if (!all && (!u.size || (u.iova | u.size) % SIM_PAGE ||
                 !checked_add_u64(u.iova, u.size - 1, &last) ||
                 sim_map_is_cut(&c->map, u.iova, last))) {
        return -EINVAL;
    }
    if (get) {
        if (u.argsz < sizeof(u) + sizeof(bitmap)) {
            return -EINVAL;
        }
        if (sim_call_get(call, arg + sizeof(u), &bitmap, sizeof(bitmap))) {
            return -EFAULT;
        }
        if (!c->tracks || !check_bitmap(&bitmap, u.size)) {
            return -EINVAL;
        }
        if (sim_call_put_pages(call, (uintptr_t)bitmap.data, &c->dirty, u.iova,
                               u.size, SIM_PAGE, true)) {
            return -EFAULT;
        }
    }
    u.size = sim_map_remove(&c->map, u.iova, last, &cut);
    if (all) {
        sim_page_set_clear(&c->dirty);
    } else {
        sim_page_set_remove(&c->dirty, u.iova, last - u.iova + 1);
    }
    return sim_call_put(call, arg, &u, sizeof(u));
}

static int64_t get_dirty(SimContainer *c, SimCall *call, uint64_t arg,
                         uint32_t argsz)
{
    struct vfio_iommu_type1_dirty_bitmap_get get;
    uint64_t last;

    if (argsz < sizeof(struct vfio_iommu_type1_dirty_bitmap) + sizeof(get)) {
        return -EINVAL;
    }
    if (sim_call_get(call, arg + sizeof(struct vfio_iommu_type1_dirty_bitmap),
                     &get, sizeof(get))) {
        return -EFAULT;
    }
    if (!c->tracks || !get.size || (get.iova | get.size) % SIM_PAGE ||
        !checked_add_u64(get.iova, get.size - 1, &last) ||
        !check_bitmap(&get.bitmap, get.size) ||
        sim_map_is_cut(&c->map, get.iova, last)) {
        return -EINVAL;
    }
    return sim_call_put_pages(call, (uintptr_t)get.bitmap.data, &c->dirty,
                              get.iova, get.size, SIM_PAGE, true);
}

static int64_t dirty_pages(SimContainer *c, SimCall *call, uint64_t arg)
{
    struct vfio_iommu_type1_dirty_bitmap d;

    if (sim_call_get(call, arg, &d, sizeof(d))) {
        return -EFAULT;
    }
    if (d.argsz < sizeof(d) || !can_track(c)) {
        return -EINVAL;
    }
    switch (d.flags) {
    case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
        c->tracks = true;
        return 0;
    case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
        c->tracks = false;
        sim_page_set_clear(&c->dirty);
        return 0;
    case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
        return get_dirty(c, call, arg, d.argsz);
    default:
        return -EINVAL;
    }
}

/* With the lock held. */
static int64_t answer(SimContainer *c, SimCall *call, uint32_t cmd,
                      uint64_t arg)
{
    switch (cmd) {
    case VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION:
        return check_extension(arg);
    case VFIO_SET_IOMMU:
        return set_iommu(c, arg);
    default:
        break;
    }
    if (!c->ready) {
        return -EINVAL;
    }
    switch (cmd) {
    case VFIO_IOMMU_GET_INFO:
        return get_info(c, call, arg);
    case VFIO_IOMMU_MAP_DMA:
        return map(c, call, arg);
    case VFIO_IOMMU_UNMAP_DMA:
        return unmap(c, call, arg);
    case VFIO_IOMMU_DIRTY_PAGES:
        return dirty_pages(c, call, arg);
    default:
        return -ENOTTY;
    }
}

int64_t sim_container_ioctl(SimContainer *c, SimCall *call, uint32_t cmd,
                            uint64_t arg)
{
    const char *name = sim_call_name(SIM_FILE_CONTAINER, cmd);
    int64_t ret = name ? c->fault(c->opaque, name) : 0;

    if (!ret) {
        g_mutex_lock(&c->lock);
        ret = answer(c, call, cmd, arg);
        g_mutex_unlock(&c->lock);
    }
    return ret;
}
