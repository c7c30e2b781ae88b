/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data descriptor of a device's migration. One thread reads or writes it,
 * without a lock and perhaps for long; it comes and goes with the state of the
 * device under the big lock. So whoever uses it says so, and one that goes
 * meanwhile is closed when the use ends.
 */
#include <errno.h>

#include "trace/trace-hw-vfio.h"
#include "vfio-mig-int.h"

static void close_fd(VfioMigration *m, int fd)
{
    if (fd >= 0) {
        m->vdev->sys->close(m->vdev->sys, fd);
    }
}

void vfio_mig_io_set_fd(VfioMigration *m, int fd)
{
    int old;

    g_mutex_lock(&m->lock);
    old = m->data_fd;
    m->data_fd = fd;
    if (m->busy && m->doomed_fd < 0) {
        m->doomed_fd = old;
        old = -1;
    }
    g_mutex_unlock(&m->lock);
    close_fd(m, old);
}

void vfio_mig_io_begin(VfioMigration *m)
{
    g_mutex_lock(&m->lock);
    m->interrupted = m->init_known = m->reinit_at_end = false;
    m->sizes = (VfioSizes) { 0 };
    g_clear_pointer(&m->error, g_free);
    g_mutex_unlock(&m->lock);
}

void vfio_mig_fail(VfioMigration *m, Error *err)
{
    g_mutex_lock(&m->lock);
    if (!m->error) {
        m->error = g_strdup(err->message);
    }
    g_mutex_unlock(&m->lock);
    trace_vfio_mig_fail(m->vdev->name, err->message);
    g_error_free(err);
}

bool vfio_mig_check(VfioMigration *m, Error **errp)
{
    bool ok;

    g_mutex_lock(&m->lock);
    ok = !m->error;
    if (!ok) {
        error_setg(errp, "%s", m->error);
    }
    g_mutex_unlock(&m->lock);
    return ok;
}

/* The descriptor to use, or -errno. */
static int begin_use(VfioMigration *m)
{
    int fd;

    g_mutex_lock(&m->lock);
    g_assert(!m->busy);
    fd = m->interrupted ? -ECANCELED : m->data_fd < 0 ? -ENODEV : m->data_fd;
    m->busy = fd >= 0;
    g_mutex_unlock(&m->lock);
    return fd;
}

/* @res as the caller returns it: an interrupt has precedence. */
static ssize_t end_use(VfioMigration *m, ssize_t res)
{
    int doomed;

    g_mutex_lock(&m->lock);
    m->busy = false;
    doomed = m->doomed_fd;
    m->doomed_fd = -1;
    if (m->interrupted) {
        res = -ECANCELED;
    }
    g_mutex_unlock(&m->lock);
    close_fd(m, doomed);
    return res;
}

/* What the call returned; no driver has moved more than it was asked to. */
static ssize_t checked(ssize_t n, size_t len)
{
    return n < 0 ? -errno : (size_t)n > len ? -EIO : n;
}

ssize_t vfio_mig_io_read(VfioMigration *m, void *buf, size_t len)
{
    const VfioSys *sys = m->vdev->sys;
    int fd = begin_use(m);
    ssize_t n;

    if (fd < 0) {
        return fd;
    }
    n = checked(sys->read(sys, fd, buf, len), len);
    trace_vfio_mig_read(m->vdev->name, len, n);
    return end_use(m, n);
}

ssize_t vfio_mig_io_write(VfioMigration *m, const void *buf, size_t len)
{
    const VfioSys *sys = m->vdev->sys;
    int fd = begin_use(m);
    ssize_t n;

    if (fd < 0) {
        return fd;
    }
    n = checked(sys->write(sys, fd, buf, len), len);
    trace_vfio_mig_write(m->vdev->name, len, n);
    return end_use(m, n);
}

int vfio_mig_io_ioctl(VfioMigration *m, unsigned long request, void *arg)
{
    const VfioSys *sys = m->vdev->sys;
    int fd = begin_use(m);
    int ret;

    if (fd < 0) {
        return fd;
    }
    ret = sys->ioctl(sys, fd, request, arg) < 0 ? -errno : 0;
    return (int)end_use(m, ret);
}

/*
 * A device that leaves the state in which there are data has nobody wait for
 * them any more.
 */
void vfio_mig_interrupt(void *opaque)
{
    VfioMigration *m = opaque;
    unsigned state = vfio_mig_state(m);
    Error *err = NULL;
    bool busy, ok;

    g_mutex_lock(&m->lock);
    m->interrupted = true;
    busy = m->busy;
    g_mutex_unlock(&m->lock);
    if (!busy) {
        return;
    }
    trace_vfio_mig_interrupt(m->vdev->name, vfio_mig_state_name(state));
    if (state == VFIO_DEVICE_STATE_RESUMING) {
        vfio_mig_reset_device(m);
        return;
    }
    ok = vfio_mig_state_runs(state)
        ? vfio_mig_set_state(m, VFIO_DEVICE_STATE_RUNNING,
                             VFIO_DEVICE_STATE_RUNNING, &err)
        : vfio_mig_set_state(m, VFIO_DEVICE_STATE_STOP,
                             VFIO_DEVICE_STATE_STOP, &err);
    if (!ok) {
        vfio_mig_fail(m, err);
    }
}
