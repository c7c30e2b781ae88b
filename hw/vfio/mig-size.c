/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much state a device still has. Three sizes are cached, all of them the
 * driver's estimates, which may be anything: they are added saturating and
 * lowered not below zero. The migration thread asks the driver; the cache is
 * under VfioMigration.lock.
 */
#include "migration/switchover-ack.h"
#include "trace/trace-hw-vfio.h"
#include "util/checked.h"
#include "util/log.h"
#include "vfio-mig-int.h"

void vfio_mig_get_sizes(VfioMigration *m, VfioSizes *sizes)
{
    g_mutex_lock(&m->lock);
    *sizes = m->sizes;
    g_mutex_unlock(&m->lock);
}

void vfio_mig_sizes_read(VfioMigration *m, uint64_t n)
{
    VfioSizes *sizes = &m->sizes;

    g_mutex_lock(&m->lock);
    sizes->stop = sat_sub_u64(sizes->stop, n);
    /* First data come first. */
    if (n > sizes->init) {
        sizes->dirty = sat_sub_u64(sizes->dirty, n - sizes->init);
        sizes->init = 0;
    } else {
        sizes->init -= n;
    }
    g_mutex_unlock(&m->lock);
}

void vfio_mig_sizes_drained(VfioMigration *m, bool all)
{
    g_mutex_lock(&m->lock);
    m->sizes.init = m->sizes.dirty = 0;
    if (all) {
        m->sizes.stop = 0;
    }
    m->init_known = true;
    g_mutex_unlock(&m->lock);
}

bool vfio_mig_init_read(VfioMigration *m)
{
    bool read;

    g_mutex_lock(&m->lock);
    read = m->init_known && m->sizes.init == 0;
    g_mutex_unlock(&m->lock);
    return read;
}

/* ---- the driver's answers ---- */

void vfio_mig_enable_info_v2(VfioMigration *m)
{
    uint32_t feature = VFIO_DEVICE_FEATURE_SET |
                       VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2;
    bool on = m->features & VFIO_MIGRATION_PRE_COPY &&
              vfio_device_feature(m->vdev, feature | VFIO_DEVICE_FEATURE_PROBE,
                                  NULL, 0) == 0 &&
              vfio_device_feature(m->vdev, feature, NULL, 0) == 0;

    g_mutex_lock(&m->lock);
    m->info_v2 = on;
    g_mutex_unlock(&m->lock);
    trace_vfio_mig_info_v2(m->vdev->name, on);
}

static uint64_t ask_stop_size(VfioMigration *m)
{
    struct vfio_device_feature_mig_data_size size = { 0 };
    int ret = vfio_device_feature(m->vdev, VFIO_DEVICE_FEATURE_GET |
                                  VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size,
                                  sizeof(size));

    if (ret == 0) {
        return size.stop_copy_length;
    }
    if (!m->size_warned) {
        m->size_warned = true;
        warn_report("VFIO device %s does not say how much state it has (%s); "
                    "100 GiB are assumed", m->vdev->name, g_strerror(-ret));
    }
    return VFIO_MIG_UNKNOWN_BYTES;
}

/* Lock held. What a REINIT means: see section 6. */
static void take_info(VfioMigration *m, const struct vfio_precopy_info *info,
                      bool reinit)
{
    m->sizes.init = info->initial_bytes;
    m->sizes.dirty = reinit ? 0 : info->dirty_bytes;
    m->init_known = true;
}

static void ask_precopy_sizes(VfioMigration *m, bool at_end)
{
    struct vfio_precopy_info info = { .argsz = sizeof(info) };
    int ret = vfio_mig_io_ioctl(m, VFIO_MIG_GET_PRECOPY_INFO, &info);
    bool reinit;

    if (ret < 0) {
        if (!m->info_warned) {
            m->info_warned = true;
            warn_report("VFIO device %s does not say how much can be read "
                        "while it runs: %s", m->vdev->name, g_strerror(-ret));
        }
        return;
    }
    g_mutex_lock(&m->lock);
    /* An older driver gives back what it was given. */
    reinit = m->info_v2 && info.flags & VFIO_PRECOPY_INFO_REINIT;
    take_info(m, &info, reinit);
    m->reinit_at_end |= reinit && at_end;
    g_mutex_unlock(&m->lock);
    trace_vfio_mig_precopy_info(m->vdev->name, info.initial_bytes,
                                info.dirty_bytes, reinit, at_end);
    if (reinit && m->acks_wanted) {
        switchover_ack_owed(m->vdev->vm, m);
        m->mark_due = true;
    }
}

void vfio_mig_query_sizes(VfioMigration *m, bool at_end)
{
    uint64_t stop = ask_stop_size(m);

    g_mutex_lock(&m->lock);
    m->sizes.stop = stop;
    g_mutex_unlock(&m->lock);
    if (vfio_mig_state_is_precopy(vfio_mig_state(m))) {
        ask_precopy_sizes(m, at_end);
    }
}

void vfio_mig_query_pending(void *opaque, MigPendingData *pending, bool exact)
{
    VfioMigration *m = opaque;
    VfioSizes sizes;
    uint64_t precopy;

    if (exact) {
        vfio_mig_query_sizes(m, false);
    }
    vfio_mig_get_sizes(m, &sizes);
    precopy = sat_add_u64(sizes.init, sizes.dirty);
    mig_pending_add(pending, precopy, 0, sat_sub_u64(sizes.stop, precopy));
}
