/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to a VFIO device that are the same on every bus: features,
 * information, interrupts, reset. Any thread that may use the device.
 */
#include <errno.h>
#include <string.h>

#include "hw/vfio/vfio-uapi.h"
#include "trace/trace-hw-vfio.h"
#include "vfio-device-int.h"

int vfio_device_feature(VfioDevice *vdev, uint32_t flags, void *data,
                        size_t size)
{
    size_t bytes = sizeof(struct vfio_device_feature) + size;
    /* 8 bytes each: what follows the header has 64-bit fields. */
    g_autofree uint64_t *buf = g_new0(uint64_t, (bytes + 7) / 8);
    struct vfio_device_feature *feature = (struct vfio_device_feature *)buf;
    int ret = 0;

    feature->argsz = (uint32_t)bytes;
    feature->flags = flags;
    if (size) {
        memcpy(feature->data, data, size);
    }
    if (vdev->sys->ioctl(vdev->sys, vdev->fd, VFIO_DEVICE_FEATURE, buf) < 0) {
        ret = -errno;
    } else if (size) {
        memcpy(data, feature->data, size);
    }
    trace_vfio_device_feature(vdev->name, flags, ret);
    return ret;
}

bool vfio_device_get_info(VfioDevice *vdev, struct vfio_device_info *info,
                          Error **errp)
{
    *info = (struct vfio_device_info){ .argsz = sizeof(*info) };
    if (vdev->sys->ioctl(vdev->sys, vdev->fd, VFIO_DEVICE_GET_INFO,
                         info) < 0) {
        error_setg_errno(errp, errno, "asking what the device has");
        return false;
    }
    trace_vfio_device_info(vdev->name, info->flags, info->num_regions,
                           info->num_irqs);
    return true;
}

bool vfio_device_reset(VfioDevice *vdev, Error **errp)
{
    int ret = vdev->sys->ioctl(vdev->sys, vdev->fd, VFIO_DEVICE_RESET, NULL);
    int err = errno;

    trace_vfio_device_reset(vdev->name, ret < 0 ? err : 0);
    if (ret < 0) {
        error_setg_errno(errp, err, "VFIO device %s: reset", vdev->name);
    }
    return ret >= 0;
}

bool vfio_irq_get_info(VfioDevice *vdev, unsigned index, uint32_t *flags,
                       uint32_t *count)
{
    struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
    int ret = vdev->sys->ioctl(vdev->sys, vdev->fd, VFIO_DEVICE_GET_IRQ_INFO,
                               &info);

    *flags = ret < 0 ? 0 : info.flags;
    *count = ret < 0 ? 0 : info.count;
    trace_vfio_irq_info(vdev->name, index, *flags, *count);
    return ret >= 0;
}

/* SET_IRQS of the first interrupt of @index, with @fd behind it if asked. */
static int set_irqs(VfioDevice *vdev, unsigned index, uint32_t flags,
                    uint32_t count, int32_t fd)
{
    struct vfio_irq_set set = {
        .argsz = sizeof(set),
        .flags = flags,
        .index = index,
        .count = count,
    };
    uint32_t arg[(sizeof(set) + sizeof(fd)) / sizeof(uint32_t)];
    int ret = 0;

    if (flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        set.argsz = sizeof(arg);
    }
    memcpy(arg, &set, sizeof(set));
    memcpy((uint8_t *)arg + sizeof(set), &fd, sizeof(fd));
    if (vdev->sys->ioctl(vdev->sys, vdev->fd, VFIO_DEVICE_SET_IRQS, arg) < 0) {
        ret = -errno;
    }
    trace_vfio_irq_set(vdev->name, index, flags, count, ret);
    return ret;
}

bool vfio_irq_set_eventfd(VfioDevice *vdev, unsigned index, int fd,
                          Error **errp)
{
    int ret = set_irqs(vdev, index, VFIO_IRQ_SET_DATA_EVENTFD |
                       VFIO_IRQ_SET_ACTION_TRIGGER, 1, fd);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "setting the event descriptor of its "
                         "interrupt %u", index);
    }
    return ret == 0;
}

int vfio_irq_disable(VfioDevice *vdev, unsigned index)
{
    return set_irqs(vdev, index, VFIO_IRQ_SET_DATA_NONE |
                    VFIO_IRQ_SET_ACTION_TRIGGER, 0, -1);
}

int vfio_irq_mask(VfioDevice *vdev, unsigned index, bool mask)
{
    return set_irqs(vdev, index, VFIO_IRQ_SET_DATA_NONE |
                    (mask ? VFIO_IRQ_SET_ACTION_MASK
                          : VFIO_IRQ_SET_ACTION_UNMASK), 1, -1);
}
