/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outgoing side of a VFIO device: its section in the stream, filled from
 * its data descriptor. The migration thread, with the locks that register.h
 * says; a read of the device is made without the big lock, because it may
 * block.
 */
#include <errno.h>

#include "migration/stream.h"
#include "migration/switchover-ack.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-mig-int.h"

/* How long one call of save_live_iterate() reads. */
#define ITERATE_NS (10 * INT64_C(1000000))

/* ---- set-up and clean-up ---- */

/* A device that stands still already has nothing to send before the end. */
static bool start_precopy(VfioMigration *m, Error **errp)
{
    if (!(m->features & VFIO_MIGRATION_PRE_COPY) ||
        vfio_mig_state(m) != VFIO_DEVICE_STATE_RUNNING) {
        return true;
    }
    if (!vfio_mig_set_state(m, VFIO_DEVICE_STATE_PRE_COPY,
                            VFIO_DEVICE_STATE_RUNNING, errp)) {
        return false;
    }
    m->acks_wanted = switchover_ack_wanted(m->vdev->vm);
    if (m->acks_wanted) {
        switchover_ack_owed(m->vdev->vm, m);
        m->mark_due = true;
    }
    return true;
}

static bool save_setup(MigStream *s, void *opaque, Error **errp)
{
    VfioMigration *m = opaque;

    m->saving = true;
    m->acks_wanted = m->mark_due = m->size_warned = m->info_warned = false;
    m->buf = g_malloc(VFIO_MIG_CHUNK_BYTES);
    vfio_mig_io_begin(m);
    vfio_mig_enable_info_v2(m);
    mig_put_be64(s, VFIO_MIG_FLAG_DEV_SETUP_STATE);
    if (!start_precopy(m, errp)) {
        return false;
    }
    vfio_mig_query_sizes(m, false);
    mig_put_be64(s, VFIO_MIG_FLAG_END_OF_STATE);
    return true;
}

/* The guest goes on here, or stands still for ever. */
static void save_cleanup(void *opaque)
{
    VfioMigration *m = opaque;
    unsigned state = vfio_mig_state(m);
    unsigned to = vfio_mig_state_runs(state) ? VFIO_DEVICE_STATE_RUNNING
                                             : VFIO_DEVICE_STATE_STOP;
    Error *err = NULL;

    m->saving = false;
    if (vfio_mig_state_has_data(state) &&
        !vfio_mig_set_state(m, to, to, &err)) {
        error_report_err(err);
    }
    g_clear_pointer(&m->buf, g_free);
}

/* ---- records ---- */

static void put_data(MigStream *s, VfioMigration *m, size_t len)
{
    mig_put_be64(s, VFIO_MIG_FLAG_DEV_DATA_STATE);
    mig_put_be64(s, len);
    mig_put_buffer_nocopy(s, m->buf, len);
}

/* Ends the section; the mark stands for the end, as in QEMU. */
static void put_end(MigStream *s, VfioMigration *m)
{
    if (m->mark_due && vfio_mig_init_read(m)) {
        m->mark_due = false;
        mig_put_be64(s, VFIO_MIG_FLAG_DEV_INIT_DATA_SENT);
        switchover_ack_marked(m->vdev->vm, m);
        trace_vfio_mig_mark(m->vdev->name);
        return;
    }
    mig_put_be64(s, VFIO_MIG_FLAG_END_OF_STATE);
}

static bool read_failed(VfioMigration *m, int err, Error **errp)
{
    if (vfio_mig_check(m, errp)) {
        error_setg_errno(errp, err, "VFIO device %s: reading its state",
                         m->vdev->name);
    }
    return false;
}

/* ---- while the guest runs ---- */

/* Whether a read may give something that should go now. */
static bool may_read(VfioMigration *m)
{
    VfioSizes sizes;

    vfio_mig_get_sizes(m, &sizes);
    return vfio_mig_state_has_data(vfio_mig_state(m)) &&
           (sizes.init || sizes.dirty || m->mark_due) &&
           !(m->mark_due && vfio_mig_init_read(m) && !sizes.dirty);
}

/*
 * Fills the buffer until it is full, the device has nothing, or time is up:
 * however little a driver gives at a time, records are not smaller than they
 * need be. False: errp is set.
 */
static bool fill(MigStream *s, VfioMigration *m, size_t *len, Error **errp)
{
    Clock *clock = m->vdev->vm->host_clock;
    int64_t end_ns = clock_now_ns(clock) + ITERATE_NS;
    ssize_t n = 1;

    *len = 0;
    while (*len < VFIO_MIG_CHUNK_BYTES && !mig_stream_rate_exceeded(s) &&
           (*len == 0 || clock_now_ns(clock) < end_ns)) {
        n = vfio_mig_io_read(m, m->buf + *len, VFIO_MIG_CHUNK_BYTES - *len);
        if (n <= 0) {
            break;
        }
        *len += n;
        vfio_mig_sizes_read(m, n);
    }
    if (n < 0 && n != -ENOMSG) {
        return read_failed(m, -(int)n, errp);
    }
    if (n <= 0) {
        vfio_mig_sizes_drained(m, n == 0 && vfio_mig_state(m) ==
                               VFIO_DEVICE_STATE_STOP_COPY);
    }
    return true;
}

static MigIterate save_iterate(MigStream *s, void *opaque, Error **errp)
{
    VfioMigration *m = opaque;
    size_t len = 0;

    if (!vfio_mig_check(m, errp) ||
        (may_read(m) && !fill(s, m, &len, errp))) {
        return MIG_ITERATE_ERROR;
    }
    if (len) {
        put_data(s, m, len);
    }
    put_end(s, m);
    if (!mig_stream_flush(s, errp)) {
        return MIG_ITERATE_ERROR;
    }
    return may_read(m) ? MIG_ITERATE_MORE : MIG_ITERATE_DONE;
}

/* ---- the blackout ---- */

/*
 * A guest that has never run, or was reset while it stood still, has not
 * stopped its device. Memory is looked at once more after this.
 */
static bool stop_at_last(VfioMigration *m, Error **errp)
{
    unsigned state = vfio_mig_state(m);

    return !vfio_mig_state_runs(state) ||
           vfio_mig_set_state(m, vfio_mig_state_is_precopy(state)
                              ? VFIO_DEVICE_STATE_STOP_COPY
                              : VFIO_DEVICE_STATE_STOP,
                              VFIO_DEVICE_STATE_STOP, errp);
}

static bool save_switchover(void *opaque, Error **errp)
{
    VfioMigration *m = opaque;
    bool reinit;

    if (!vfio_mig_check(m, errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    reinit = m->reinit_at_end;
    g_mutex_unlock(&m->lock);
    if (reinit) {
        error_setg(errp, "VFIO device %s has new initial data that came up "
                   "while the guest was being stopped", m->vdev->name);
        return false;
    }
    return stop_at_last(m, errp);
}

/* One read, big lock held before and after. */
static ssize_t read_unlocked(VfioMigration *m, void *buf, size_t len)
{
    Vm *vm = m->vdev->vm;
    ssize_t n;

    vm_unlock(vm);
    n = vfio_mig_io_read(m, buf, len);
    vm_lock(vm);
    return n;
}

/* *end: the device has no more. */
static bool fill_stopped(VfioMigration *m, size_t *len, bool *end,
                         Error **errp)
{
    for (*len = 0; *len < VFIO_MIG_CHUNK_BYTES; ) {
        ssize_t n = read_unlocked(m, m->buf + *len,
                                  VFIO_MIG_CHUNK_BYTES - *len);

        if (n < 0) {
            return read_failed(m, -(int)n, errp);
        }
        if (n == 0) {
            *end = true;
            break;
        }
        *len += n;
        vfio_mig_sizes_read(m, n);
    }
    return true;
}

static bool save_complete(MigStream *s, void *opaque, Error **errp)
{
    VfioMigration *m = opaque;
    bool end = false;
    size_t len;

    if (!vfio_mig_check(m, errp) ||
        !vfio_mig_set_state(m, VFIO_DEVICE_STATE_STOP_COPY,
                            VFIO_DEVICE_STATE_STOP, errp)) {
        return false;
    }
    while (!end) {
        if (!fill_stopped(m, &len, &end, errp)) {
            return false;
        }
        if (len) {
            put_data(s, m, len);
        }
        if (!mig_stream_flush(s, errp)) {
            return false;
        }
    }
    vfio_mig_sizes_drained(m, true);
    mig_put_be64(s, VFIO_MIG_FLAG_END_OF_STATE);
    return mig_stream_flush(s, errp);
}

static bool save_state(MigStream *s, void *opaque, Error **errp)
{
    VfioMigration *m = opaque;

    mig_put_be64(s, VFIO_MIG_FLAG_DEV_CONFIG_STATE);
    if (!m->vdev->ops->save_config(m->vdev, s, errp)) {
        return false;
    }
    mig_put_be64(s, VFIO_MIG_FLAG_END_OF_STATE);
    return true;
}

const SaveVMHandlers vfio_mig_handlers = {
    .kind = MIG_MODULE_VFIO,
    .save_setup = save_setup,
    .save_cleanup = save_cleanup,
    .save_query_pending = vfio_mig_query_pending,
    .save_live_iterate = save_iterate,
    .save_switchover = save_switchover,
    .save_complete = save_complete,
    .save_state = save_state,
    .interrupt = vfio_mig_interrupt,
    .load_setup = vfio_mig_load_setup,
    .load_state = vfio_mig_load_state,
    .load_complete = vfio_mig_load_complete,
    .load_take_over = vfio_mig_load_take_over,
    .load_give_up = vfio_mig_load_give_up,
    .load_cleanup = vfio_mig_load_cleanup,
};
