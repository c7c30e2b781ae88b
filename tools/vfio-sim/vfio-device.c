/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device descriptor: binding, regions, reset, and access to them. Worker
 * threads; see vfio-device.h for the locks.
 */
#include "vfio-device.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Accesses of a VMM to registers are small. */
#define ACCESS_MAX 4096

/* Of the numbers that the kernel hands out by itself. */
#define CDEV_MAJOR 509
#define GROUP_MAJOR 510

SimDevice *sim_device_new(Supervisor *s, SimOptions *options, unsigned index,
                          Error **errp)
{
    SimDevice *d = g_new0(SimDevice, 1);

    d->options = options;
    d->supervisor = s;
    d->number = SIM_NUMBER_BASE + index;
    d->address = g_strdup_printf("0000:fe:%02x.0", index);
    g_mutex_init(&d->lock);
    g_mutex_init(&d->stream_lock);
    /* Touched here, so that the first reads are as fast as the others. */
    d->stream_buf = g_malloc(SIM_STREAM_CHUNK);
    memset(d->stream_buf, 1, SIM_STREAM_CHUNK);
    d->mig = sim_mig_new(options, &sim_device_memory, d, sim_now_ns());
    memset(d->eventfd, -1, sizeof(d->eventfd));
    d->intx_unmask_fd = -1;
    d->dma_ranges = g_array_new(false, false, sizeof(SimMapRange));
    sim_page_set_init(&d->dma_log);
    d->dma_wake_fd = eventfd(0, EFD_CLOEXEC);
    sim_config_reset(d);
    d->file = supervisor_add_file(s, SIM_FILE_DEVICE, d,
                                  SIM_DEVICE_FILE_BYTES, errp);
    if (d->file && d->dma_wake_fd < 0) {
        error_setg_errno(errp, errno, "making an eventfd");
    } else if (d->file) {
        d->file->rdev = makedev(CDEV_MAJOR, d->number);
        d->group = supervisor_add_file(s, SIM_FILE_GROUP, d, 0, errp);
    }
    if (!d->group) {
        sim_device_free(d);
        return NULL;
    }
    d->group->rdev = makedev(GROUP_MAJOR, d->number);
    return d;
}

void sim_device_free(SimDevice *d)
{
    sim_irq_release(d);
    if (d->dma_wake_fd >= 0) {
        close(d->dma_wake_fd);
    }
    sim_mig_free(d->mig);
    sim_options_free(d->options);
    g_free(d->stream_buf);
    g_free(d->address);
    g_array_unref(d->dma_ranges);
    sim_page_set_destroy(&d->dma_log);
    g_mutex_clear(&d->lock);
    g_mutex_clear(&d->stream_lock);
    g_free(d);
}

int sim_device_fault(SimDevice *d, const char *name)
{
    const SimFault *f;
    int err;

    if (!name) {
        return 0;
    }
    g_mutex_lock(&d->lock);
    f = sim_fault_strike(d->options->faults, SIM_FAULT_CALL, name,
                         d->calls[SIM_FILE_DEVICE]);
    d->calls[SIM_FILE_DEVICE]++;
    err = f ? -f->err : 0;
    g_mutex_unlock(&d->lock);
    return err;
}

static int64_t bind(SimDevice *d, SimCall *call, uint64_t arg)
{
    struct vfio_device_bind_iommufd b;
    SimFile *file;

    if (sim_call_get(call, arg, &b, sizeof(b))) {
        return -EFAULT;
    }
    if (b.argsz < sizeof(b) || b.flags || d->bound || d->container) {
        return -EINVAL;
    }
    file = sim_call_find(call, b.iommufd);
    if (!file || file->kind != SIM_FILE_IOMMUFD) {
        return -EBADF;
    }
    d->iommu = file->opaque;
    d->iommu_id = b.out_devid =
        sim_iommu_add_device(d->iommu, d->options->iommu_dirty);
    d->bound = true;
    return sim_call_put(call, arg, &b, sizeof(b));
}

static int64_t attach(SimDevice *d, SimCall *call, uint64_t arg)
{
    struct vfio_device_attach_iommufd_pt a;
    int ret;

    if (sim_call_get(call, arg, &a, sizeof(a))) {
        return -EFAULT;
    }
    if (a.argsz < sizeof(a) || a.flags) {
        return -EINVAL;
    }
    ret = a.pt_id ? sim_iommu_attach(d->iommu, d->iommu_id, a.pt_id)
                  : -ENOENT;
    if (!ret) {
        d->attached = a.pt_id;
    }
    return ret;
}

static int64_t device_info(SimCall *call, uint64_t arg)
{
    struct vfio_device_info info = {0};
    const size_t size = offsetof(struct vfio_device_info, cap_offset);

    if (sim_call_get(call, arg, &info, size)) {
        return -EFAULT;
    }
    if (info.argsz < size) {
        return -EINVAL;
    }
    info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
    info.num_regions = VFIO_PCI_NUM_REGIONS;
    info.num_irqs = SIM_IRQS;
    return sim_call_put(call, arg, &info, size);
}

static uint64_t region_size(const SimDevice *d, uint64_t index)
{
    if (index <= VFIO_PCI_BAR5_REGION_INDEX) {
        return d->options->bars[index].size;
    }
    return index == VFIO_PCI_CONFIG_REGION_INDEX ? SIM_CONFIG_BYTES : 0;
}

static int64_t region_info(SimDevice *d, SimCall *call, uint64_t arg)
{
    struct vfio_region_info info;

    if (sim_call_get(call, arg, &info, sizeof(info))) {
        return -EFAULT;
    }
    if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_REGIONS) {
        return -EINVAL;
    }
    info.size = region_size(d, info.index);
    info.offset = (uint64_t)info.index << SIM_REGION_SHIFT;
    info.cap_offset = 0;
    info.flags = 0;
    if (info.size) {
        info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    }
    if (info.index <= VFIO_PCI_BAR5_REGION_INDEX &&
        d->options->bars[info.index].mappable) {
        info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
    }
    return sim_call_put(call, arg, &info, sizeof(info));
}

static int64_t reset(SimDevice *d)
{
    sim_mig_reset(d->mig, sim_now_ns());
    sim_config_reset(d);
    sim_device_memory.clear(d);
    d->doorbells = d->interrupts = 0;
    sim_dma_log_stop(d);
    d->intx_masked = d->intx_pending = false;
    return 0;
}

void sim_device_begin(SimDevice *d)
{
    if (d->iommu) {
        sim_iommu_remove_device(d->iommu, d->iommu_id);
        d->iommu = NULL;
    }
    d->attached = 0;
    d->bound = false;
    sim_irq_release(d);
    reset(d);
}

int64_t sim_device_open(SimCall *call, void *device)
{
    SimDevice *d = device;
    bool is_open = sim_call_has_file(call, d->file), by_group;

    g_mutex_lock(&d->lock);
    by_group = d->container != NULL;
    if (!is_open && !by_group) {
        sim_device_begin(d);
    }
    g_mutex_unlock(&d->lock);
    return by_group ? -EBUSY : sim_call_plant(call, d->file, true);
}

int64_t sim_file_no_access(SimCall *call, SimFile *file, uint64_t addr,
                           uint64_t len, int64_t offset)
{
    (void)call;
    (void)file;
    (void)addr;
    (void)len;
    (void)offset;
    return -EINVAL;
}

static int64_t device_ioctl(SimCall *call, SimFile *file, uint32_t cmd,
                            uint64_t arg)
{
    SimDevice *d = file->opaque;
    int64_t ret = sim_device_fault(d, sim_call_name(file->kind, cmd));

    if (ret) {
        return ret;
    }
    if (cmd == VFIO_DEVICE_FEATURE) {
        return sim_device_feature(d, call, arg);
    }
    g_mutex_lock(&d->lock);
    if (cmd == VFIO_DEVICE_BIND_IOMMUFD) {
        ret = bind(d, call, arg);
    } else if (!d->bound) {
        ret = -EINVAL;
    } else if (d->iommu && cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT) {
        ret = attach(d, call, arg);
    } else if (d->iommu && cmd == VFIO_DEVICE_DETACH_IOMMUFD_PT) {
        d->attached = 0;
        sim_iommu_attach(d->iommu, d->iommu_id, 0);
    } else if (cmd == VFIO_DEVICE_GET_INFO) {
        ret = device_info(call, arg);
    } else if (cmd == VFIO_DEVICE_GET_REGION_INFO) {
        ret = region_info(d, call, arg);
    } else if (cmd == VFIO_DEVICE_GET_IRQ_INFO) {
        ret = sim_irq_info(d, call, arg);
    } else if (cmd == VFIO_DEVICE_SET_IRQS) {
        ret = sim_irq_set(d, call, arg);
    } else if (cmd == VFIO_DEVICE_RESET) {
        ret = reset(d);
    } else {
        ret = -ENOTTY;
    }
    g_mutex_unlock(&d->lock);
    return ret;
}

/* The BAR whose first bytes are the registers; -1 if none is trapped. */
static int register_bar(const SimDevice *d)
{
    for (int i = 0; i < 6; i++) {
        if (d->options->bars[i].size && !d->options->bars[i].mappable) {
            return i;
        }
    }
    return -1;
}

static void access_register(SimDevice *d, uint64_t at, void *buf,
                            bool is_write)
{
    uint32_t value = 0;

    if (!is_write && at == SIM_REG_ID) {
        value = d->options->device << 16 | d->options->vendor;
        memcpy(buf, &value, sizeof(value));
    } else if (!is_write && at == SIM_REG_COUNT) {
        value = d->doorbells;
        memcpy(buf, &value, sizeof(value));
    } else if (is_write && at == SIM_REG_DOORBELL) {
        d->doorbells++;
        sim_irq_raise(d);
    }
}

/* Registers and configuration space; whole BARs are the file's memory. */
static int64_t access_region(SimDevice *d, uint64_t index, uint64_t at,
                             void *buf, uint64_t len, bool is_write)
{
    uint64_t size = region_size(d, index);
    int64_t offset = (index << SIM_REGION_SHIFT) + at;
    ssize_t n;

    if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
        return sim_config_access(d, at, buf, len, is_write);
    }
    if (at >= size) {
        return -EINVAL;
    }
    len = MIN(len, size - at);
    n = is_write ? pwrite(d->file->fd, buf, len, offset)
                 : pread(d->file->fd, buf, len, offset);
    if (n < 0) {
        return -errno;
    }
    if ((int)index == register_bar(d) && at < SIM_REG_BYTES && len == 4) {
        access_register(d, at, buf, is_write);
    }
    return n;
}

static int64_t device_access(SimCall *call, SimFile *file, uint64_t addr,
                             uint64_t len, int64_t offset, bool is_write)
{
    SimDevice *d = file->opaque;
    uint64_t index = (uint64_t)offset >> SIM_REGION_SHIFT;
    uint64_t at = offset & ((1ULL << SIM_REGION_SHIFT) - 1);
    uint8_t buf[ACCESS_MAX];
    int64_t n;

    if (offset < 0 || index >= VFIO_PCI_NUM_REGIONS) {
        return -EINVAL;
    }
    len = MIN(len, sizeof(buf));
    if (is_write && sim_call_get(call, addr, buf, len)) {
        return -EFAULT;
    }
    g_mutex_lock(&d->lock);
    n = d->bound ? access_region(d, index, at, buf, len, is_write) : -EINVAL;
    g_mutex_unlock(&d->lock);
    if (!is_write && n > 0 && sim_call_put(call, addr, buf, n)) {
        return -EFAULT;
    }
    return n;
}

static int64_t device_read(SimCall *call, SimFile *file, uint64_t addr,
                           uint64_t len, int64_t offset)
{
    return device_access(call, file, addr, len, offset, false);
}

static int64_t device_write(SimCall *call, SimFile *file, uint64_t addr,
                            uint64_t len, int64_t offset)
{
    return device_access(call, file, addr, len, offset, true);
}

const SimFileOps sim_device_ops = {device_ioctl, device_read, device_write};
