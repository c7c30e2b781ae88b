/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "vfio-mig-rig.h"

#define DEVICE_FD 1000
#define DATA_FD 2000

static int fails(int err)
{
    errno = err;
    return -1;
}

/* ---- features ---- */

static int get_or_set_state(VfioRig *rig, bool set,
                            struct vfio_device_feature_mig_state *arg)
{
    unsigned session = rig->mig->session;
    int ret = 0;

    arg->data_fd = -1;
    while (set && !ret && rig->mig->current != arg->device_state) {
        unsigned next = sim_mig_next_state(rig->mig->current,
                                           arg->device_state,
                                           rig->mig->features);

        ret = next == VFIO_DEVICE_STATE_ERROR
            ? -EINVAL : sim_mig_move(rig->mig, next, rig->now_ns);
    }
    rig->state_sets += set;
    arg->device_state = rig->mig->current;
    if (ret) {
        return fails(-ret);
    }
    if (set && rig->mig->session != session && !rig->no_data_fd) {
        g_assert_cmpint(rig->open_fd, <, 0);
        arg->data_fd = rig->open_fd = DATA_FD + rig->mig->session;
        rig->opened++;
    } else if (set && rig->extra_data_fd) {
        arg->data_fd = DATA_FD - 1;
    }
    return 0;
}

static int start_log(VfioRig *rig,
                     struct vfio_device_feature_dma_logging_control *arg)
{
    if (rig->logging || arg->page_size != GUEST_PAGE_SIZE ||
        arg->num_ranges == 0 || arg->num_ranges > RIG_RANGES_MAX ||
        arg->num_ranges > rig->ranges_max) {
        return fails(EINVAL);
    }
    rig->logging = true;
    rig->num_ranges = arg->num_ranges;
    memcpy(rig->ranges, (void *)(uintptr_t)arg->ranges,
           arg->num_ranges * sizeof(rig->ranges[0]));
    return 0;
}

static int report_log(VfioRig *rig,
                      struct vfio_device_feature_dma_logging_report *arg)
{
    uint64_t *bitmap = (uint64_t *)(uintptr_t)arg->bitmap;

    if (!rig->logging) {
        return fails(EINVAL);
    }
    if (rig->dma_page >= arg->iova &&
        rig->dma_page - arg->iova < arg->length) {
        bitmap_set(bitmap, (rig->dma_page - arg->iova) / arg->page_size);
        rig->dma_page = UINT64_MAX;
    }
    return 0;
}

static int run_feature(VfioRig *rig, uint32_t number, bool set, void *data)
{
    switch (number) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        ((struct vfio_device_feature_migration *)data)->flags =
            rig->mig->features;
        return 0;
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        return get_or_set_state(rig, set, data);
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
        ((struct vfio_device_feature_mig_data_size *)data)->stop_copy_length =
            rig->claims ? rig->claim_stop
                        : sim_mig_stop_size(rig->mig, rig->now_ns);
        return 0;
    case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
        rig->infov2_sets++;
        rig->mig->infov2 = true;
        return 0;
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        return start_log(rig, data);
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
        rig->logging = false;
        return 0;
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
        return report_log(rig, data);
    default:
        return fails(ENOTTY);
    }
}

static int feature(VfioRig *rig, struct vfio_device_feature *arg)
{
    uint32_t number = arg->flags & VFIO_DEVICE_FEATURE_MASK;

    rig->features++;
    g_assert_cmpuint(number, <, G_N_ELEMENTS(rig->fail_feature));
    if (!rig->mig) {
        return fails(ENOTTY);
    }
    if (arg->flags & VFIO_DEVICE_FEATURE_PROBE) {
        return rig->fail_probe[number] ? fails(rig->fail_probe[number]) : 0;
    }
    if (rig->fail_feature_left[number]) {
        if (rig->fail_feature_left[number] != UINT_MAX) {
            rig->fail_feature_left[number]--;
        }
        return fails(rig->fail_feature[number]);
    }
    return run_feature(rig, number, arg->flags & VFIO_DEVICE_FEATURE_SET,
                       arg->data);
}

/* ---- system calls ---- */

static int precopy_info(VfioRig *rig, struct vfio_precopy_info *info)
{
    uint64_t init = 0, dirty = 0;
    int ret;

    if (rig->fail_info) {
        return fails(rig->fail_info);
    }
    ret = sim_mig_precopy_info(rig->mig, &init, &dirty, &info->flags,
                               rig->now_ns);
    if (ret) {
        return fails(-ret);
    }
    info->initial_bytes = rig->claims ? rig->claim_init : init;
    info->dirty_bytes = rig->claims ? rig->claim_dirty : dirty;
    if (rig->claims || rig->echo_flags) {
        info->flags = rig->claim_flags;
    }
    return 0;
}

static int rig_ioctl(const VfioSys *sys, int fd, unsigned long request,
                     void *arg)
{
    VfioRig *rig = sys->opaque;

    rig->ioctls++;
    rig->now_ns += 1000;
    if (fd == DEVICE_FD && request == VFIO_DEVICE_FEATURE) {
        return feature(rig, arg);
    }
    if (fd == DEVICE_FD && request == VFIO_DEVICE_RESET) {
        rig->resets++;
        if (rig->fail_reset) {
            return fails(rig->fail_reset);
        }
        sim_mig_reset(rig->mig, rig->now_ns);
        return 0;
    }
    g_assert_cmpint(fd, ==, rig->open_fd);
    g_assert_cmpuint(request, ==, VFIO_MIG_GET_PRECOPY_INFO);
    return precopy_info(rig, arg);
}

static ssize_t rig_read(const VfioSys *sys, int fd, void *buf, size_t len)
{
    VfioRig *rig = sys->opaque;
    int64_t until;
    ssize_t n;

    g_assert_cmpint(fd, ==, rig->open_fd);
    rig->now_ns += 1000;
    if (rig->read_errno) {
        return fails(rig->read_errno);
    }
    if (rig->read_beyond) {
        return len + 1;
    }
    n = sim_mig_read(rig->mig, buf, len, rig->now_ns, &until);
    return n < 0 ? fails((int)-n) : n;
}

static ssize_t rig_write(const VfioSys *sys, int fd, const void *buf,
                         size_t len)
{
    VfioRig *rig = sys->opaque;
    int64_t until;
    ssize_t n;

    g_assert_cmpint(fd, ==, rig->open_fd);
    rig->now_ns += 1000;
    if (rig->write_errno) {
        return fails(rig->write_errno);
    }
    if (rig->write_beyond) {
        return len + 1;
    }
    if (rig->write_nothing) {
        return 0;
    }
    n = sim_mig_write(rig->mig, buf, len, rig->now_ns, &until);
    return n < 0 ? fails((int)-n) : n;
}

static int rig_close(const VfioSys *sys, int fd)
{
    VfioRig *rig = sys->opaque;

    if (fd == rig->open_fd) {
        rig->open_fd = -1;
    } else {
        g_assert_true(rig->extra_data_fd && fd == DATA_FD - 1);
    }
    return 0;
}

/* ---- the bus's side ---- */

static bool save_config(VfioDevice *vdev, MigStream *s, Error **errp)
{
    (void)vdev;
    (void)errp;
    mig_put_be32(s, 0xc0f1c0f1);
    return true;
}

static bool load_config(VfioDevice *vdev, MigStream *s, Error **errp)
{
    uint32_t val;

    (void)vdev;
    if (!mig_get_be32(s, &val, errp)) {
        return false;
    }
    if (val != 0xc0f1c0f1) {
        mig_stream_fail(s, errp, "configuration 0x%x", val);
        return false;
    }
    return true;
}

/* A device whose registers and memory no guest has ever touched. */
static void no_pages(void *opaque, GArray *pages)
{
    (void)opaque;
    g_array_set_size(pages, 0);
}

static bool has_no_page(void *opaque, uint32_t page)
{
    (void)opaque;
    (void)page;
    return false;
}

static void clear_nothing(void *opaque)
{
    (void)opaque;
}

static void get_registers(void *opaque, SimRegisters *registers)
{
    (void)opaque;
    memset(registers, 0, sizeof(*registers));
}

static bool set_registers(void *opaque, const SimRegisters *registers,
                          Error **errp)
{
    (void)opaque;
    (void)registers;
    (void)errp;
    return true;
}

/* No page is ever listed or had: so none is read or written. */
static const SimMemoryOps untouched = {
    .list = no_pages, .has_page = has_no_page, .clear = clear_nothing,
    .get_registers = get_registers, .set_registers = set_registers,
};

static const VfioDeviceOps rig_device_ops = { save_config, load_config };

/* ---- life ---- */

void rig_init(VfioRig *rig, const char *keys, uint64_t ram_pages)
{
    Error *err = NULL;

    memset(rig, 0, sizeof(*rig));
    test_vm_init(&rig->t, ram_pages);
    if (ram_pages) {
        g_assert_true(memory_map_ram(rig->t.vm->memory, rig->t.rb, 0x80000000,
                                     NULL));
    }
    rig->o = sim_options_parse(keys, &err);
    g_assert_no_error(err);
    rig->mig = sim_mig_new(rig->o, &untouched, NULL, 0);
    rig->sys = (VfioSys) {
        .ioctl = rig_ioctl, .read = rig_read, .write = rig_write,
        .close = rig_close, .opaque = rig,
    };
    rig->vdev = (VfioDevice) {
        .vm = rig->t.vm, .sys = &rig->sys, .ops = &rig_device_ops,
        .name = (char *)"rig", .qom_path = (char *)"/machine/peripheral/v0",
        .stream_id = (char *)"0000:00:01.0", .fd = DEVICE_FD,
    };
    rig->options = (VfioMigrationOptions) {
        .enable_migration = -1, .pre_copy_dirty_page_tracking = 1,
    };
    rig->open_fd = -1;
    rig->ranges_max = RIG_RANGES_MAX;
    rig->dma_page = UINT64_MAX;
    vm_lock(rig->t.vm);
}

VfioMigration *rig_realize(VfioRig *rig)
{
    Error *err = NULL;

    g_assert_true(vfio_migration_realize(&rig->vdev, &rig->options, &err));
    g_assert_no_error(err);
    return rig->vdev.migration;
}

void rig_clear(VfioRig *rig)
{
    vfio_migration_unrealize(&rig->vdev);
    g_assert_cmpint(rig->open_fd, <, 0);
    vm_unlock(rig->t.vm);
    sim_mig_free(rig->mig);
    sim_options_free(rig->o);
    test_vm_clear(&rig->t);
}
