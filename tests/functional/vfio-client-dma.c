/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA of the device and who logs it: the device, iommufd, or a container. One
 * thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vfio-client.h"

#define RAM_PAGES (RAM_BYTES / 4096)

static void set_logging(int on)
{
    struct vfio_device_feature_dma_logging_range range = {0, RAM_BYTES};
    struct vfio_device_feature_dma_logging_control control = {
        4096, 1, 0, (uintptr_t)&range};
    struct iommu_hwpt_set_dirty_tracking tracking = {
        sizeof(tracking), on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
        vmm.page_table, 0};
    struct vfio_iommu_type1_dirty_bitmap pages = {
        sizeof(pages), on ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START
                          : VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP};

    if (vmm.container >= 0 && vmm.can_track) {
        must("dirty-pages",
             ioctl(vmm.container, VFIO_IOMMU_DIRTY_PAGES, &pages));
    } else if (vmm.can_track) {
        must("set-dirty-tracking",
             ioctl(vmm.iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &tracking));
    } else if (on) {
        must("dma-start", feature(VFIO_DEVICE_FEATURE_SET |
                                      VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
                                  &control, sizeof(control)));
    } else {
        must("dma-stop", feature(VFIO_DEVICE_FEATURE_SET |
                                     VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
                                 NULL, 0));
    }
}

/* The container's bitmap of all of RAM, for which @bytes are said to be. */
static int get_dirty_pages(uint64_t *bitmap, uint64_t bytes)
{
    struct {
        uint32_t argsz, flags;
        struct vfio_iommu_type1_dirty_bitmap_get get;
    } request = {sizeof(request), VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
                 {0, RAM_BYTES, {4096, bytes, (void *)bitmap}}};

    return ioctl(vmm.container, VFIO_IOMMU_DIRTY_PAGES, &request);
}

/* What the log says of all of RAM; how many bits are set. */
static unsigned read_log(uint64_t *bitmap, uint32_t flags)
{
    struct vfio_device_feature_dma_logging_report report = {
        0, RAM_BYTES, 4096, (uintptr_t)bitmap};
    struct iommu_hwpt_get_dirty_bitmap get = {
        sizeof(get), vmm.page_table, flags, 0, 0, RAM_BYTES, 4096,
        (uintptr_t)bitmap};
    unsigned set = 0;

    memset(bitmap, 0, RAM_PAGES / 8);
    if (vmm.container >= 0 && vmm.can_track) {
        must("dirty-pages", get_dirty_pages(bitmap, RAM_BYTES / 4096 / 8));
    } else if (vmm.can_track) {
        must("get-dirty-bitmap",
             ioctl(vmm.iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
    } else {
        must("dma-report", feature(VFIO_DEVICE_FEATURE_GET |
                                       VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
                                   &report, sizeof(report)));
    }
    for (unsigned i = 0; i < RAM_PAGES; i++) {
        set += bitmap[i / 64] >> (i % 64) & 1;
    }
    return set;
}

/* The capabilities of a container; its sizes, as the kernel asks for them. */
static void container_info(void)
{
    uint8_t buf[512] = {0};
    struct vfio_iommu_type1_info *info = (void *)buf;

    info->argsz = sizeof(*info);
    must("iommu-info", ioctl(vmm.container, VFIO_IOMMU_GET_INFO, info));
    say("info-needs-more", info->argsz > sizeof(*info) && !info->cap_offset);
    must("iommu-info", ioctl(vmm.container, VFIO_IOMMU_GET_INFO, info));
    say("page-sizes", info->iova_pgsizes);
    for (uint32_t at = info->cap_offset; at;) {
        const struct vfio_info_cap_header *cap = (void *)(buf + at);

        if (cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION) {
            const struct vfio_iommu_type1_info_cap_migration *m = (void *)cap;

            say("bitmap-page-sizes", m->pgsize_bitmap);
            vmm.can_track = 1;
        } else if (cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
            const struct vfio_iommu_type1_info_cap_iova_range *r =
                (void *)cap;

            say("ranges", r->nr_iovas);
        } else if (cap->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL) {
            const struct vfio_iommu_type1_info_dma_avail *a = (void *)cap;

            say("mappings-left", a->avail);
        }
        at = cap->next;
    }
}

/* Every page that changed is in the log, and no other. */
void dma(void)
{
    uint64_t bitmap[RAM_PAGES / 64];
    unsigned changed = 0, differ = 0;

    if (vmm.container >= 0) {
        container_info();
    }
    set_state(VFIO_DEVICE_STATE_STOP, NULL);
    memset(vmm.ram, 0, RAM_BYTES);
    set_logging(1);
    set_state(VFIO_DEVICE_STATE_RUNNING, NULL);
    usleep(200000);
    set_state(VFIO_DEVICE_STATE_STOP, NULL);
    if (vmm.iommufd >= 0 && vmm.can_track) {
        say("kept", read_log(bitmap, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
    }
    say("logged", read_log(bitmap, 0));
    for (unsigned i = 0; i < RAM_PAGES; i++) {
        int is_changed = vmm.ram[i * 4096] || vmm.ram[i * 4096 + 1];

        changed += is_changed;
        differ += is_changed != (int)(bitmap[i / 64] >> (i % 64) & 1);
    }
    say("changed", changed);
    say("differ", differ);
    say("logged-again", read_log(bitmap, 0));
    set_logging(0);
}

/* What vmm.iommufd refuses of dirty tracking. */
void tracking(void)
{
    uint64_t bitmap[RAM_PAGES / 64];
    struct iommu_hwpt_get_dirty_bitmap get = {
        sizeof(get), vmm.page_table, 0, 0, 0, RAM_BYTES, 4096,
        (uintptr_t)bitmap};
    struct iommu_destroy destroy = {sizeof(destroy), vmm.page_table};

    say("before-it-is-on",
        ioctl(vmm.iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    set_logging(1);
    get.length = 2 * RAM_BYTES;
    say("not-mapped",
        ioctl(vmm.iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    get.length = UINT64_MAX;
    get.iova = 4096;
    say("wraps",
        ioctl(vmm.iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    get.iova = 0;
    get.length = RAM_BYTES;
    get.page_size = 3 * 4096;
    say("odd-page",
        ioctl(vmm.iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    get.page_size = 4096;
    get.flags = 2;
    say("unknown-flag",
        ioctl(vmm.iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    say("destroyed-in-use",
        ioctl(vmm.iommufd, IOMMU_DESTROY, &destroy) ? errno : 0);
}

static uint32_t scratch(void)
{
    struct vfio_region_info bar = {sizeof(bar), .index = 0};
    uint32_t word = 0;

    must("region", ioctl(vmm.device, VFIO_DEVICE_GET_REGION_INFO, &bar));
    must("scratch", pread(vmm.device, &word, 4, bar.offset + 12));
    return word;
}

/* As unplugging and plugging does: the device is new then. */
static void reopen(void)
{
    const struct vfio_iommu_type1_dma_map map = {
        sizeof(map), VFIO_DMA_MAP_FLAG_READ, (uintptr_t)vmm.ram, 0, 4096};

    must("set-container",
         ioctl(vmm.group, VFIO_GROUP_SET_CONTAINER, &vmm.container));
    must("set-iommu",
         ioctl(vmm.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
    must("map-dma", ioctl(vmm.container, VFIO_IOMMU_MAP_DMA, &map));
    vmm.device = must("get-device-fd", ioctl(vmm.group,
                                             VFIO_GROUP_GET_DEVICE_FD,
                                             "0000:fe:00.0"));
    say("scratch-after", scratch());
}

/* What the legacy way has besides. */
void container_limits(void)
{
    struct {
        uint32_t argsz, flags;
        uint64_t iova, size;
        struct vfio_bitmap bitmap;
    } get = {sizeof(get), VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, 0, RAM_BYTES,
             {4096, RAM_PAGES / 8, NULL}};
    struct vfio_iommu_type1_dma_unmap unmap = {sizeof(unmap), 0, 4096, 4096};
    struct vfio_iommu_type1_dma_map map = {
        sizeof(map), VFIO_DMA_MAP_FLAG_READ, (uintptr_t)vmm.ram, 0, 4096};
    struct vfio_region_info bar = {sizeof(bar), .index = 0};
    uint64_t bitmap[RAM_PAGES / 64] = {0};
    const uint32_t word = 77;
    unsigned set = 0;

    container_info();
    must("region", ioctl(vmm.device, VFIO_DEVICE_GET_REGION_INFO, &bar));
    must("scratch", pwrite(vmm.device, &word, 4, bar.offset + 12));
    say("scratch-before", scratch());
    say("unmap-part",
        ioctl(vmm.container, VFIO_IOMMU_UNMAP_DMA, &unmap) ? errno : 0);
    unmap.iova = 1ULL << 32;
    must("unmap-nothing", ioctl(vmm.container, VFIO_IOMMU_UNMAP_DMA, &unmap));
    say("unmapped-nothing", unmap.size);
    get.bitmap.data = (void *)bitmap;
    if (vmm.can_track) {
        say("bitmap-before-start",
            get_dirty_pages(bitmap, sizeof(bitmap)) ? errno : 0);
        set_logging(1);
        say("bitmap-too-small",
            get_dirty_pages(bitmap, sizeof(bitmap) - 8) ? errno : 0);
        usleep(200000);
        set_state(VFIO_DEVICE_STATE_STOP, NULL);
    } else {
        get.flags = 0;
    }
    must("unmap-dma", ioctl(vmm.container, VFIO_IOMMU_UNMAP_DMA, &get));
    say("unmapped", get.size);
    for (unsigned i = 0; i < RAM_PAGES; i++) {
        set += bitmap[i / 64] >> (i % 64) & 1;
    }
    say("dirty-when-unmapped", set);
    must("map-dma", ioctl(vmm.container, VFIO_IOMMU_MAP_DMA, &map));
    unmap = (struct vfio_iommu_type1_dma_unmap){
        sizeof(unmap), VFIO_DMA_UNMAP_FLAG_ALL, 0, 0};
    must("unmap-all", ioctl(vmm.container, VFIO_IOMMU_UNMAP_DMA, &unmap));
    say("unmapped-all", unmap.size);
    must("close-device", close(vmm.device));
    must("unset-container", ioctl(vmm.group, VFIO_GROUP_UNSET_CONTAINER));
    say("map-when-unset",
        ioctl(vmm.container, VFIO_IOMMU_MAP_DMA, &map) ? errno : 0);
    reopen();
}
