/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages that a VFIO device writes by DMA, as a source of the memory's dirty
 * logs: found by the device's own logging, else by that of what translates its
 * addresses, else by taking every page for written. Called under the memory's
 * log lock, mostly by the migration thread.
 */
#include <errno.h>
#include <inttypes.h>

#include "system/memory.h"
#include "system/runstate.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-iommu.h"
#include "vfio-mig-int.h"

/* Asked for at a time: a bitmap of 256 KiB. */
#define REPORT_BYTES (UINT64_C(8) << 30)
#define REPORT_PAGES (REPORT_BYTES / GUEST_PAGE_SIZE)

typedef struct vfio_device_feature_dma_logging_range LogRange;

static bool is_written(const RamBlock *rb)
{
    return rb->mapped && !rb->backing.readonly;
}

static void mark_all(VfioMigration *m)
{
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(m->vdev->vm->memory, i));
         i++) {
        if (is_written(rb)) {
            memory_mark_dirty(rb, 0, rb->backing.size);
        }
    }
}

/* ---- the device's own log ---- */

static int compare_ranges(const void *a, const void *b)
{
    const LogRange *x = a, *y = b;

    return (x->iova > y->iova) - (x->iova < y->iova);
}

static unsigned collect_ranges(VfioMigration *m, LogRange *ranges)
{
    unsigned count = 0;
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(m->vdev->vm->memory, i));
         i++) {
        if (is_written(rb)) {
            ranges[count++] = (LogRange) { rb->gpa, rb->backing.size };
        }
    }
    qsort(ranges, count, sizeof(ranges[0]), compare_ranges);
    return count;
}

/* Makes one of the two that are nearest to each other. */
static unsigned join_nearest(LogRange *ranges, unsigned count)
{
    unsigned best = 0;
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i + 1 < count; i++) {
        uint64_t gap = ranges[i + 1].iova - ranges[i].iova - ranges[i].length;

        if (gap < least) {
            least = gap;
            best = i;
        }
    }
    ranges[best].length = ranges[best + 1].iova + ranges[best + 1].length -
                          ranges[best].iova;
    for (unsigned i = best + 1; i + 1 < count; i++) {
        ranges[i] = ranges[i + 1];
    }
    return count - 1;
}

/* Whatever number of ranges a device takes: fewer and larger ones will do. */
static bool start_device_log(VfioMigration *m)
{
    uint32_t feature = VFIO_DEVICE_FEATURE_SET |
                       VFIO_DEVICE_FEATURE_DMA_LOGGING_START;
    LogRange ranges[RAM_BLOCKS_MAX];
    unsigned count;
    int ret;

    if (vfio_device_feature(m->vdev, feature | VFIO_DEVICE_FEATURE_PROBE,
                            NULL, 0) < 0) {
        return false;
    }
    for (count = collect_ranges(m, ranges); count > 0;
         count = count > 1 ? join_nearest(ranges, count) : 0) {
        struct vfio_device_feature_dma_logging_control control = {
            .page_size = GUEST_PAGE_SIZE,
            .num_ranges = count,
            .ranges = (uintptr_t)ranges,
        };

        ret = vfio_device_feature(m->vdev, feature, &control,
                                  sizeof(control));
        trace_vfio_mig_log_start(m->vdev->name, count, ret);
        if (ret == 0) {
            return true;
        }
    }
    return false;
}

static bool device_report(VfioMigration *m, uint64_t iova, uint64_t len,
                          uint64_t *bitmap, Error **errp)
{
    struct vfio_device_feature_dma_logging_report report = {
        .iova = iova,
        .length = len,
        .page_size = GUEST_PAGE_SIZE,
        .bitmap = (uintptr_t)bitmap,
    };
    int ret = vfio_device_feature(m->vdev, VFIO_DEVICE_FEATURE_GET |
                                  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
                                  &report, sizeof(report));

    if (ret < 0) {
        error_setg_errno(errp, -ret, "VFIO device %s: its log of DMA at 0x%"
                         PRIx64, m->vdev->name, iova);
    }
    return ret == 0;
}

/* ---- starting and stopping ---- */

static bool start_iommu_log(VfioMigration *m)
{
    VfioIommu *iommu = m->vdev->iommu;
    Error *err = NULL;

    if (!iommu || !iommu->ops->can_track_dirty(iommu)) {
        return false;
    }
    if (iommu->dirty_owner) {
        /* It sees what all of its devices write. */
        return true;
    }
    if (!iommu->ops->set_dirty_tracking(iommu, true, &err)) {
        error_prepend(&err, "VFIO device %s: ", m->vdev->name);
        warn_report_err(err);
        return false;
    }
    iommu->dirty_owner = m;
    return true;
}

static void dirty_start(void *opaque)
{
    VfioMigration *m = opaque;

    if (m->options.pre_copy_dirty_page_tracking == 0) {
        m->dirty_mode = VFIO_DIRTY_AT_END;
    } else if (start_device_log(m)) {
        m->dirty_mode = VFIO_DIRTY_DEVICE;
    } else if (start_iommu_log(m)) {
        m->dirty_mode = VFIO_DIRTY_IOMMU;
    } else {
        m->dirty_mode = VFIO_DIRTY_ALL;
        if (!m->dirty_warned) {
            m->dirty_warned = true;
            warn_report("VFIO device %s: nobody logs the pages that it "
                        "writes; all of the guest's memory is sent anew in "
                        "each pass", m->vdev->name);
        }
    }
    trace_vfio_mig_dirty_start(m->vdev->name, m->dirty_mode);
}

static void dirty_stop(void *opaque)
{
    VfioMigration *m = opaque;
    VfioIommu *iommu = m->vdev->iommu;
    Error *err = NULL;

    if (m->dirty_mode == VFIO_DIRTY_DEVICE) {
        int ret = vfio_device_feature(m->vdev, VFIO_DEVICE_FEATURE_SET |
                                      VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
                                      NULL, 0);

        if (ret < 0) {
            warn_report("VFIO device %s: ending its log of DMA: %s",
                        m->vdev->name, g_strerror(-ret));
        }
    }
    if (m->dirty_mode == VFIO_DIRTY_IOMMU && iommu->dirty_owner == m) {
        iommu->dirty_owner = NULL;
        if (!iommu->ops->set_dirty_tracking(iommu, false, &err)) {
            error_prepend(&err, "VFIO device %s: ", m->vdev->name);
            warn_report_err(err);
        }
    }
    m->dirty_mode = VFIO_DIRTY_OFF;
}

/* ---- asking ---- */

static void mark_bits(RamBlock *rb, uint64_t offset, const uint64_t *bitmap,
                      uint64_t pages)
{
    uint64_t first = bitmap_find_next(bitmap, pages, 0);

    while (first < pages) {
        uint64_t end = bitmap_find_next_zero(bitmap, pages, first);

        memory_mark_dirty(rb, offset + first * GUEST_PAGE_SIZE,
                          (end - first) * GUEST_PAGE_SIZE);
        first = bitmap_find_next(bitmap, pages, end);
    }
}

static bool report_block(VfioMigration *m, RamBlock *rb, uint64_t *bitmap,
                         Error **errp)
{
    VfioIommu *iommu = m->vdev->iommu;
    uint64_t len;

    for (uint64_t at = 0; at < rb->backing.size; at += len) {
        uint64_t pages;
        bool ok;

        len = MIN(rb->backing.size - at, REPORT_BYTES);
        pages = len / GUEST_PAGE_SIZE;
        bitmap_clear_range(bitmap, 0, pages);
        ok = m->dirty_mode == VFIO_DIRTY_DEVICE
            ? device_report(m, rb->gpa + at, len, bitmap, errp)
            : iommu->ops->query_dirty(iommu, rb->gpa + at, len, bitmap, errp);
        if (!ok) {
            return false;
        }
        mark_bits(rb, at, bitmap, pages);
    }
    return true;
}

static bool report_all(VfioMigration *m, Error **errp)
{
    uint64_t *bitmap = bitmap_new(REPORT_PAGES);
    bool ok = true;
    RamBlock *rb;

    if (!bitmap) {
        error_setg(errp, "no address space for a bitmap");
        return false;
    }
    for (unsigned i = 0;
         ok && (rb = memory_ram_by_index(m->vdev->vm->memory, i)); i++) {
        if (is_written(rb)) {
            ok = report_block(m, rb, bitmap, errp);
        }
    }
    bitmap_free(bitmap, REPORT_PAGES);
    return ok;
}

static bool dirty_sync(void *opaque, Error **errp)
{
    VfioMigration *m = opaque;

    switch (m->dirty_mode) {
    case VFIO_DIRTY_IOMMU:
        if (m->vdev->iommu->dirty_owner != m) {
            return true;
        }
        return report_all(m, errp);
    case VFIO_DIRTY_DEVICE:
        return report_all(m, errp);
    case VFIO_DIRTY_AT_END:
        if (!runstate_is_running(m->vdev->vm)) {
            mark_all(m);
        }
        return true;
    case VFIO_DIRTY_ALL:
        mark_all(m);
        return true;
    case VFIO_DIRTY_OFF:
        break;
    }
    return true;
}

static const DirtySourceOps dirty_ops = {
    .start = dirty_start,
    .stop = dirty_stop,
    .sync = dirty_sync,
};

void vfio_mig_dirty_init(VfioMigration *m)
{
    memory_add_dirty_source(m->vdev->vm->memory, m->vdev->name, &dirty_ops, m);
}

void vfio_mig_dirty_cleanup(VfioMigration *m)
{
    memory_remove_dirty_source(m->vdev->vm->memory, m);
}
