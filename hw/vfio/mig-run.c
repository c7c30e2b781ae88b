/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO devices stop and start with the guest: first none of them begins a
 * transfer to another any more, then all stop; and the other way round. Two
 * handlers of run state changes with different priorities do that, each for
 * all devices before the next one's turn. Big lock.
 */
#include "system/runstate.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-mig-int.h"

/*
 * Told first on start and last on stop is what has the higher priority.
 * Emulated devices have 0: these stop before, and start after them.
 */
#define RUN_PRIORITY (-10)
#define P2P_PRIORITY (-20)

/* Nobody can be told but the migration, if there is one. */
static void move_or_fail(VfioMigration *m, unsigned to, unsigned recover)
{
    Error *err = NULL;

    if (vfio_mig_set_state(m, to, recover, &err)) {
        return;
    }
    if (m->saving) {
        vfio_mig_fail(m, err);
    } else {
        error_report_err(err);
    }
}

static void stop_p2p(VfioMigration *m)
{
    unsigned state = vfio_mig_state(m);

    if (!(m->features & VFIO_MIGRATION_P2P) || !vfio_mig_state_runs(state)) {
        return;
    }
    move_or_fail(m, vfio_mig_state_is_precopy(state)
                 ? VFIO_DEVICE_STATE_PRE_COPY_P2P
                 : VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_STOP);
}

/*
 * In pre-copy the data descriptor stays. It can be asked about what is new for
 * as long as the device has not stopped: so this is the time of the last query.
 */
static void stop_device(VfioMigration *m, RunState why)
{
    unsigned state = vfio_mig_state(m);

    if (vfio_mig_state_is_precopy(state)) {
        if (why == RUN_STATE_FINISH_MIGRATE) {
            vfio_mig_query_sizes(m, true);
        }
        move_or_fail(m, VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP);
    } else if (vfio_mig_state_runs(state)) {
        move_or_fail(m, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP);
    }
}

/* Before all devices may begin transfers to each other. */
static void start_device(VfioMigration *m)
{
    Error *err = NULL;

    if (m->saving && vfio_mig_state(m) == VFIO_DEVICE_STATE_STOP_COPY) {
        error_setg(&err, "VFIO device %s runs again after its state had "
                   "begun to be saved: what was sent of it is void",
                   m->vdev->name);
        vfio_mig_fail(m, err);
    }
    if (vfio_mig_state(m) == VFIO_DEVICE_STATE_ERROR) {
        vfio_mig_reset_device(m);
    } else if (!vfio_mig_state_runs(vfio_mig_state(m))) {
        move_or_fail(m, m->features & VFIO_MIGRATION_P2P
                     ? VFIO_DEVICE_STATE_RUNNING_P2P
                     : VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_ERROR);
    }
}

static void on_run(void *opaque, bool running, RunState state)
{
    VfioMigration *m = opaque;

    trace_vfio_mig_run(m->vdev->name, running, RunState_str(state));
    if (running) {
        start_device(m);
    } else {
        stop_device(m, state);
    }
}

static void on_p2p(void *opaque, bool running, RunState state)
{
    VfioMigration *m = opaque;

    (void)state;
    if (!running) {
        stop_p2p(m);
    } else if (vfio_mig_state(m) == VFIO_DEVICE_STATE_RUNNING_P2P) {
        move_or_fail(m, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_ERROR);
    }
}

void vfio_mig_run_init(VfioMigration *m)
{
    m->run_handler = runstate_add_handler(m->vdev->vm, RUN_PRIORITY, on_run,
                                          m);
    m->p2p_handler = runstate_add_handler(m->vdev->vm, P2P_PRIORITY, on_p2p,
                                          m);
}

void vfio_mig_run_cleanup(VfioMigration *m)
{
    runstate_remove_handler(m->vdev->vm, m->run_handler);
    runstate_remove_handler(m->vdev->vm, m->p2p_handler);
}
