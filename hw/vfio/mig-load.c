/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The incoming side of a VFIO device: records of the stream go to its data
 * descriptor as they come. The incoming thread, big lock held; it is dropped
 * while the device takes what it is given, which may block. Every number is
 * hostile; what the state itself is worth only the device can tell.
 */
#include <errno.h>
#include <inttypes.h>

#include "migration/stream.h"
#include "migration/switchover-ack.h"
#include "trace/trace-hw-vfio.h"
#include "vfio-mig-int.h"

bool vfio_mig_load_setup(void *opaque, Error **errp)
{
    VfioMigration *m = opaque;

    m->loaded = false;
    m->buf = g_malloc(VFIO_MIG_CHUNK_BYTES);
    vfio_mig_io_begin(m);
    return vfio_mig_set_state(m, VFIO_DEVICE_STATE_RESUMING,
                              VFIO_DEVICE_STATE_ERROR, errp);
}

/* ---- records ---- */

/* All of it, in order, however little the device takes at a time. */
static bool write_all(VfioMigration *m, size_t len, int *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = vfio_mig_io_write(m, m->buf + done, len - done);

        if (n <= 0 || (size_t)n > len - done) {
            /* To take nothing and not to say why is no way to go on. */
            *err = n < 0 ? -(int)n : EIO;
            return false;
        }
        done += n;
    }
    return true;
}

static bool load_data(MigStream *s, VfioMigration *m, Error **errp)
{
    Vm *vm = m->vdev->vm;
    uint64_t len;
    int err = 0;
    bool ok;

    if (!mig_get_be64(s, &len, errp)) {
        return false;
    }
    if (len > VFIO_MIG_CHUNK_BYTES) {
        mig_stream_fail(s, errp, "%" PRIu64 " bytes of device state in one "
                        "record; at most %" PRIu64 " are accepted", len,
                        VFIO_MIG_CHUNK_BYTES);
        return false;
    }
    if (!mig_get_buffer(s, m->buf, len, errp)) {
        return false;
    }
    vm_unlock(vm);
    ok = write_all(m, len, &err);
    vm_lock(vm);
    if (!ok) {
        error_setg_errno(errp, err, "VFIO device %s refuses its state",
                         m->vdev->name);
    }
    return ok;
}

static bool expect_end(MigStream *s, const char *what, Error **errp)
{
    uint64_t flag;

    if (!mig_get_be64(s, &flag, errp)) {
        return false;
    }
    if (flag != VFIO_MIG_FLAG_END_OF_STATE) {
        mig_stream_fail(s, errp, "0x%" PRIx64 " behind %s; 0x%" PRIx64 " must "
                        "stand there", flag, what,
                        VFIO_MIG_FLAG_END_OF_STATE);
        return false;
    }
    return true;
}

static bool load_config(MigStream *s, VfioMigration *m, Error **errp)
{
    return m->vdev->ops->load_config(m->vdev, s, errp) &&
           expect_end(s, "the configuration", errp);
}

bool vfio_mig_load_state(MigStream *s, void *opaque, int version_id,
                         Error **errp)
{
    VfioMigration *m = opaque;

    (void)version_id;
    for (;;) {
        uint64_t flag;

        if (!mig_get_be64(s, &flag, errp)) {
            return false;
        }
        switch (flag) {
        case VFIO_MIG_FLAG_END_OF_STATE:
            return true;
        case VFIO_MIG_FLAG_DEV_SETUP_STATE:
            return expect_end(s, "the set-up", errp);
        case VFIO_MIG_FLAG_DEV_CONFIG_STATE:
            return load_config(s, m, errp);
        case VFIO_MIG_FLAG_DEV_INIT_DATA_SENT:
            trace_vfio_mig_mark(m->vdev->name);
            switchover_ack_loaded(m->vdev->vm);
            return true;
        case VFIO_MIG_FLAG_DEV_DATA_STATE:
            if (!load_data(s, m, errp)) {
                return false;
            }
            break;
        default:
            mig_stream_fail(s, errp, "unknown record 0x%" PRIx64, flag);
            return false;
        }
    }
}

/* ---- the end ---- */

/* The device looks at the whole when it leaves RESUMING. */
bool vfio_mig_load_complete(void *opaque, Error **errp)
{
    VfioMigration *m = opaque;

    m->loaded = vfio_mig_set_state(m, VFIO_DEVICE_STATE_STOP,
                                   VFIO_DEVICE_STATE_ERROR, errp);
    if (!m->loaded) {
        error_prepend(errp, "the state that was loaded is not accepted: ");
    }
    return m->loaded;
}

/* P2P: the last step is for all devices at a time, when the guest starts. */
bool vfio_mig_load_take_over(void *opaque, Error **errp)
{
    VfioMigration *m = opaque;

    return vfio_mig_set_state(m, m->features & VFIO_MIGRATION_P2P
                              ? VFIO_DEVICE_STATE_RUNNING_P2P
                              : VFIO_DEVICE_STATE_RUNNING,
                              VFIO_DEVICE_STATE_ERROR, errp);
}

void vfio_mig_load_give_up(void *opaque)
{
    VfioMigration *m = opaque;

    m->loaded = false;
    vfio_mig_reset_device(m);
}

void vfio_mig_load_cleanup(void *opaque)
{
    VfioMigration *m = opaque;

    /* What came of a migration that failed is nobody's state. */
    if (!m->loaded && vfio_mig_state(m) != VFIO_DEVICE_STATE_RUNNING) {
        vfio_mig_reset_device(m);
    }
    g_clear_pointer(&m->buf, g_free);
}
