/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data descriptor of a migration: reads, writes and the question of what
 * is left. Worker threads; see vfio-device.h for the locks.
 */
#include "vfio-device.h"

#include <errno.h>

#define STALL_STEP_NS 20000000

/* Called with the lock held: is @file the descriptor of the data of now? */
static bool is_current(const SimDevice *d, const SimFile *file)
{
    return file->session == d->mig->session;
}

static ssize_t transfer(SimDevice *d, SimCall *call, const SimFile *file,
                        size_t len, bool is_write, int64_t *until)
{
    ssize_t n;

    for (;;) {
        int64_t now = sim_now_ns();

        g_mutex_lock(&d->lock);
        d->calls[SIM_FILE_DATA]++;
        if (!is_current(d, file)) {
            n = -ENODEV;
        } else if (is_write) {
            n = sim_mig_write(d->mig, d->stream_buf, len, now, until);
        } else {
            n = sim_mig_read(d->mig, d->stream_buf, len, now, until);
        }
        g_mutex_unlock(&d->lock);
        if (n != SIM_STALLED) {
            return n;
        }
        /* Until the fault is cleared, the state is left, or nobody waits. */
        if (!sim_call_sleep(call, now + STALL_STEP_NS) ||
            !sim_call_alive(call)) {
            return -EINTR;
        }
    }
}

static int64_t data_read(SimCall *call, SimFile *file, uint64_t addr,
                         uint64_t len, int64_t offset)
{
    SimDevice *d = file->opaque;
    int64_t until;
    ssize_t n;

    if (offset >= 0) {
        return -ESPIPE;
    }
    g_mutex_lock(&d->stream_lock);
    n = transfer(d, call, file, MIN(len, SIM_STREAM_CHUNK), false, &until);
    if (n > 0 && sim_call_put(call, addr, d->stream_buf, n)) {
        n = -EFAULT;
    }
    if (n > 0) {
        sim_call_sleep(call, until);
    }
    g_mutex_unlock(&d->stream_lock);
    return n;
}

static int64_t data_write(SimCall *call, SimFile *file, uint64_t addr,
                          uint64_t len, int64_t offset)
{
    SimDevice *d = file->opaque;
    int64_t until;
    ssize_t n;

    if (offset >= 0) {
        return -ESPIPE;
    }
    len = MIN(len, SIM_STREAM_CHUNK);
    g_mutex_lock(&d->stream_lock);
    n = sim_call_get(call, addr, d->stream_buf, len);
    if (!n) {
        n = transfer(d, call, file, len, true, &until);
    }
    if (n > 0) {
        sim_call_sleep(call, until);
    }
    g_mutex_unlock(&d->stream_lock);
    return n;
}

static int64_t data_ioctl(SimCall *call, SimFile *file, uint32_t cmd,
                          uint64_t arg)
{
    SimDevice *d = file->opaque;
    struct vfio_precopy_info info;
    uint64_t initial, dirty;
    uint32_t flags;
    int ret;

    if (cmd != VFIO_MIG_GET_PRECOPY_INFO) {
        return -ENOTTY;
    }
    ret = sim_device_fault(d, "precopy-info");
    if (ret) {
        return ret;
    }
    if (sim_call_get(call, arg, &info, sizeof(info))) {
        return -EFAULT;
    }
    if (info.argsz < sizeof(info)) {
        return -EINVAL;
    }
    flags = info.flags;
    g_mutex_lock(&d->lock);
    ret = is_current(d, file)
              ? sim_mig_precopy_info(d->mig, &initial, &dirty, &flags,
                                     sim_now_ns())
              : -ENODEV;
    g_mutex_unlock(&d->lock);
    if (ret) {
        return ret;
    }
    info.flags = flags;
    info.initial_bytes = initial;
    info.dirty_bytes = dirty;
    return sim_call_put(call, arg, &info, sizeof(info));
}

const SimFileOps sim_data_ops = {data_ioctl, data_read, data_write};
