/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The group of a device, which has it alone: puts it into a container and
 * gives its descriptor. Worker threads; see vfio-device.h for the locks.
 */
#include "vfio-device.h"

#include <errno.h>
#include <string.h>

#define NAME_BYTES 64

/* With the lock of the device held. */
static void leave_container(SimDevice *d)
{
    if (d->container) {
        sim_container_remove_group(d->container, d->options->iommu_dirty);
        d->container = NULL;
    }
}

int64_t sim_group_open(SimCall *call, void *opaque)
{
    SimDevice *d = opaque;

    /* The kernel opens a group once. That the last user is gone is known when
     * there is a next one: closing is no call of ours. */
    if (sim_call_has_file(call, d->group)) {
        return -EBUSY;
    }
    g_mutex_lock(&d->lock);
    leave_container(d);
    g_mutex_unlock(&d->lock);
    return sim_call_plant(call, d->group, true);
}

static int64_t get_status(SimDevice *d, SimCall *call, uint64_t arg)
{
    struct vfio_group_status status;

    if (sim_call_get(call, arg, &status, sizeof(status))) {
        return -EFAULT;
    }
    if (status.argsz < sizeof(status)) {
        return -EINVAL;
    }
    g_mutex_lock(&d->lock);
    status.flags = VFIO_GROUP_FLAGS_VIABLE |
                   (d->container ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
    g_mutex_unlock(&d->lock);
    return sim_call_put(call, arg, &status, sizeof(status));
}

static int64_t set_container(SimDevice *d, SimCall *call, uint64_t arg)
{
    int64_t ret = 0;
    SimFile *file;
    int32_t fd;

    if (sim_call_get(call, arg, &fd, sizeof(fd))) {
        return -EFAULT;
    }
    file = sim_call_find(call, fd);
    if (!file) {
        return -EBADF;
    }
    g_mutex_lock(&d->lock);
    if (file->kind != SIM_FILE_CONTAINER || d->container) {
        ret = -EINVAL;
    } else {
        d->container = file->opaque;
        sim_container_add_group(d->container, d->options->iommu_dirty);
    }
    g_mutex_unlock(&d->lock);
    return ret;
}

static int64_t unset_container(SimDevice *d, SimCall *call)
{
    int64_t ret = 0;

    /* A device that is open uses the container. */
    if (sim_call_has_file(call, d->file)) {
        return -EBUSY;
    }
    g_mutex_lock(&d->lock);
    if (!d->container) {
        ret = -EINVAL;
    }
    leave_container(d);
    g_mutex_unlock(&d->lock);
    return ret;
}

static int64_t get_device(SimDevice *d, SimCall *call, uint64_t arg)
{
    size_t len = strlen(d->address) + 1;
    char name[NAME_BYTES];
    bool is_ready, is_open;

    /* The other name may be shorter, and end at the end of a page. */
    for (size_t i = 0; i < len; i++) {
        if (sim_call_get(call, arg + i, name + i, 1)) {
            return -EFAULT;
        }
        if (name[i] != d->address[i]) {
            return -ENODEV;
        }
    }
    is_open = sim_call_has_file(call, d->file);
    g_mutex_lock(&d->lock);
    is_ready = d->container && sim_container_is_ready(d->container);
    if (is_ready && !is_open) {
        sim_device_begin(d);
    }
    d->bound |= is_ready;
    g_mutex_unlock(&d->lock);
    return is_ready ? sim_call_plant(call, d->file, true) : -EINVAL;
}

static int64_t group_ioctl(SimCall *call, SimFile *file, uint32_t cmd,
                           uint64_t arg)
{
    SimDevice *d = file->opaque;
    int64_t ret = sim_device_fault(d, sim_call_name(SIM_FILE_GROUP, cmd));

    if (ret) {
        return ret;
    }
    switch (cmd) {
    case VFIO_GROUP_GET_STATUS:
        return get_status(d, call, arg);
    case VFIO_GROUP_SET_CONTAINER:
        return set_container(d, call, arg);
    case VFIO_GROUP_UNSET_CONTAINER:
        return unset_container(d, call);
    case VFIO_GROUP_GET_DEVICE_FD:
        return get_device(d, call, arg);
    default:
        return -ENOTTY;
    }
}

const SimFileOps sim_group_ops = {group_ioctl, sim_file_no_access,
                                  sim_file_no_access};
