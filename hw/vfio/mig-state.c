/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration states of a VFIO device: see mig-state.h. What moves a device
 * is called with the big lock held; the data descriptor changes under
 * VfioMigration.lock, because the migration thread reads from it without.
 */
#include "mig-state.h"

#include <errno.h>
#include <string.h>

#include "qapi/qapi-events-vfio.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-mig-int.h"

#define PRE VFIO_MIGRATION_PRE_COPY
#define P2P VFIO_MIGRATION_P2P
#define BIT(name) (1u << VFIO_DEVICE_STATE_##name)

typedef struct StateInfo {
    const char *name;
    uint32_t needs;             /* features without which it is not there */
    bool has_data;
    bool runs;
    uint32_t moves;             /* a bit for each state one move away */
    uint32_t moves_no_p2p;      /* ... and those only without P2P */
    int event;                  /* QapiVfioMigrationState, or -1 */
} StateInfo;

static const StateInfo states[VFIO_MIG_STATES] = {
    [VFIO_DEVICE_STATE_ERROR] = {
        .name = "error", .event = -1,
    },
    [VFIO_DEVICE_STATE_STOP] = {
        .name = "stop",
        .moves = BIT(RUNNING_P2P) | BIT(STOP_COPY) | BIT(RESUMING),
        .moves_no_p2p = BIT(RUNNING),
        .event = QAPI_VFIO_MIGRATION_STATE_STOP,
    },
    [VFIO_DEVICE_STATE_RUNNING] = {
        .name = "running", .runs = true,
        .moves = BIT(RUNNING_P2P) | BIT(PRE_COPY),
        .moves_no_p2p = BIT(STOP),
        .event = QAPI_VFIO_MIGRATION_STATE_RUNNING,
    },
    [VFIO_DEVICE_STATE_STOP_COPY] = {
        .name = "stop-copy", .has_data = true,
        .moves = BIT(STOP),
        .event = QAPI_VFIO_MIGRATION_STATE_STOP_COPY,
    },
    [VFIO_DEVICE_STATE_RESUMING] = {
        .name = "resuming", .has_data = true,
        .moves = BIT(STOP),
        .event = QAPI_VFIO_MIGRATION_STATE_RESUMING,
    },
    [VFIO_DEVICE_STATE_RUNNING_P2P] = {
        .name = "running-p2p", .needs = P2P, .runs = true,
        .moves = BIT(RUNNING) | BIT(PRE_COPY_P2P) | BIT(STOP),
        .event = QAPI_VFIO_MIGRATION_STATE_RUNNING_P2P,
    },
    [VFIO_DEVICE_STATE_PRE_COPY] = {
        .name = "pre-copy", .needs = PRE, .has_data = true, .runs = true,
        .moves = BIT(RUNNING) | BIT(PRE_COPY_P2P),
        .moves_no_p2p = BIT(STOP_COPY),
        .event = QAPI_VFIO_MIGRATION_STATE_PRE_COPY,
    },
    [VFIO_DEVICE_STATE_PRE_COPY_P2P] = {
        .name = "pre-copy-p2p", .needs = PRE | P2P, .has_data = true,
        .runs = true,
        .moves = BIT(PRE_COPY) | BIT(RUNNING_P2P) | BIT(STOP_COPY),
        .event = QAPI_VFIO_MIGRATION_STATE_PRE_COPY_P2P,
    },
};

/* ---- the table ---- */

const char *vfio_mig_state_name(unsigned state)
{
    return state < VFIO_MIG_STATES ? states[state].name : "invalid";
}

bool vfio_mig_state_exists(unsigned state, uint32_t features)
{
    return state < VFIO_MIG_STATES && (states[state].needs & ~features) == 0;
}

bool vfio_mig_state_has_data(unsigned state)
{
    return state < VFIO_MIG_STATES && states[state].has_data;
}

bool vfio_mig_state_is_precopy(unsigned state)
{
    return state < VFIO_MIG_STATES && states[state].needs & PRE;
}

bool vfio_mig_state_runs(unsigned state)
{
    return state < VFIO_MIG_STATES && states[state].runs;
}

bool vfio_mig_is_move(unsigned from, unsigned to, uint32_t features)
{
    uint32_t moves;

    if (!vfio_mig_state_exists(from, features) ||
        !vfio_mig_state_exists(to, features)) {
        return false;
    }
    moves = states[from].moves;
    if (!(features & P2P)) {
        moves |= states[from].moves_no_p2p;
    }
    return moves & 1u << to;
}

/* Reads of a stopped device cannot go on where it runs again. */
static bool is_barred(unsigned from, unsigned to)
{
    return from == VFIO_DEVICE_STATE_STOP_COPY &&
           vfio_mig_state_is_precopy(to);
}

/*
 * A wave that starts at @to and goes against the moves: the first time that it
 * touches a neighbour of @from, that neighbour is on a shortest way. Of several
 * one without data is taken, as the kernel does: no stream begins on the way.
 */
unsigned vfio_mig_next_state(unsigned from, unsigned to, uint32_t features)
{
    uint32_t reached, wave;

    if (!vfio_mig_state_exists(from, features) ||
        !vfio_mig_state_exists(to, features) || is_barred(from, to)) {
        return VFIO_DEVICE_STATE_ERROR;
    }
    if (from == to) {
        return to;
    }
    for (reached = wave = 1u << to; wave; reached |= wave) {
        unsigned best = VFIO_DEVICE_STATE_ERROR;
        uint32_t next = 0;

        for (unsigned s = 0; s < VFIO_MIG_STATES; s++) {
            if ((wave & 1u << s) && vfio_mig_is_move(from, s, features) &&
                (best == VFIO_DEVICE_STATE_ERROR ||
                 vfio_mig_state_has_data(best))) {
                best = s;
            }
        }
        if (best != VFIO_DEVICE_STATE_ERROR) {
            return best;
        }
        for (unsigned s = 0; s < VFIO_MIG_STATES; s++) {
            for (unsigned t = 0; t < VFIO_MIG_STATES; t++) {
                if ((wave & 1u << t) && vfio_mig_is_move(s, t, features)) {
                    next |= 1u << s;
                }
            }
        }
        wave = next & ~reached;
    }
    return VFIO_DEVICE_STATE_ERROR;
}

/* ---- the device ---- */

/* "-device ...,id=ID" is found at .../peripheral/ID. */
static const char *device_id(const VfioDevice *vdev)
{
    static const char dir[] = "/peripheral/";
    const char *at = vdev->qom_path ? strstr(vdev->qom_path, dir) : NULL;

    return at ? at + sizeof(dir) - 1 : "";
}

void vfio_mig_note_state(VfioMigration *m, unsigned state)
{
    VfioDevice *vdev = m->vdev;
    unsigned before = vfio_mig_state(m);

    if (!vfio_mig_state_has_data(state)) {
        vfio_mig_io_set_fd(m, -1);
    }
    if (state == before) {
        return;
    }
    __atomic_store_n(&m->state, state, __ATOMIC_RELEASE);
    trace_vfio_mig_state(vdev->name, vfio_mig_state_name(before),
                         vfio_mig_state_name(state));
    if (m->options.migration_events && states[state].event >= 0) {
        qapi_event_send_vfio_migration(vdev->vm, device_id(vdev),
                                       vdev->qom_path ? vdev->qom_path : "",
                                       states[state].event);
    }
}

/* A move has failed: only the device knows where it is now. */
static void read_back(VfioMigration *m)
{
    struct vfio_device_feature_mig_state arg = { .data_fd = -1 };
    int ret = vfio_device_feature(m->vdev, VFIO_DEVICE_FEATURE_GET |
                                  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &arg,
                                  sizeof(arg));

    if (ret < 0 || !vfio_mig_state_exists(arg.device_state, m->features)) {
        arg.device_state = VFIO_DEVICE_STATE_ERROR;
    }
    vfio_mig_note_state(m, arg.device_state);
}

/* Takes the descriptor that came with the move to @to, if there is one. */
static bool take_fd(VfioMigration *m, unsigned to, int fd, Error **errp)
{
    bool had = vfio_mig_state_has_data(vfio_mig_state(m));

    if (fd >= 0 && (had || !vfio_mig_state_has_data(to))) {
        /* It has been reset behind our back, and this is another stream. */
        m->vdev->sys->close(m->vdev->sys, fd);
        error_setg(errp, "a new data descriptor came with a move from %s to %s",
                   vfio_mig_state_name(vfio_mig_state(m)),
                   vfio_mig_state_name(to));
        return false;
    }
    if (fd < 0 && !had && vfio_mig_state_has_data(to)) {
        error_setg(errp, "no data descriptor came with state %s",
                   vfio_mig_state_name(to));
        return false;
    }
    if (fd >= 0) {
        vfio_mig_io_set_fd(m, fd);
    }
    return true;
}

/* One move of the table. */
static bool move(VfioMigration *m, unsigned to, Error **errp)
{
    struct vfio_device_feature_mig_state arg = {
        .device_state = to, .data_fd = -1,
    };
    int ret = vfio_device_feature(m->vdev, VFIO_DEVICE_FEATURE_SET |
                                  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &arg,
                                  sizeof(arg));

    if (ret < 0) {
        error_setg_errno(errp, -ret, "from %s to %s",
                         vfio_mig_state_name(vfio_mig_state(m)),
                         vfio_mig_state_name(to));
        read_back(m);
        return false;
    }
    if (!take_fd(m, to, arg.data_fd, errp)) {
        read_back(m);
        return false;
    }
    vfio_mig_note_state(m, to);
    return true;
}

static bool walk(VfioMigration *m, unsigned to, Error **errp)
{
    while (vfio_mig_state(m) != to) {
        unsigned next = vfio_mig_next_state(vfio_mig_state(m), to,
                                            m->features);

        if (next == VFIO_DEVICE_STATE_ERROR) {
            error_setg(errp, "there is no way from %s to %s",
                       vfio_mig_state_name(vfio_mig_state(m)),
                       vfio_mig_state_name(to));
            return false;
        }
        if (!move(m, next, errp)) {
            return false;
        }
    }
    return true;
}

bool vfio_mig_reset_device(VfioMigration *m)
{
    const VfioSys *sys = m->vdev->sys;

    if (sys->ioctl(sys, m->vdev->fd, VFIO_DEVICE_RESET, NULL) < 0) {
        error_report("VFIO device %s: reset: %s; it does not work any more",
                     m->vdev->name, g_strerror(errno));
        vfio_mig_note_state(m, VFIO_DEVICE_STATE_ERROR);
        return false;
    }
    trace_vfio_mig_reset(m->vdev->name);
    vfio_mig_note_state(m, VFIO_DEVICE_STATE_RUNNING);
    vfio_mig_enable_info_v2(m);
    return true;
}

static void recover_to(VfioMigration *m, unsigned recover)
{
    Error *err = NULL;

    trace_vfio_mig_recover(m->vdev->name,
                           vfio_mig_state_name(vfio_mig_state(m)),
                           vfio_mig_state_name(recover));
    if (recover != VFIO_DEVICE_STATE_ERROR &&
        vfio_mig_state(m) != VFIO_DEVICE_STATE_ERROR &&
        walk(m, recover, NULL)) {
        return;
    }
    if (!vfio_mig_reset_device(m)) {
        return;
    }
    warn_report("VFIO device %s was reset: its state is lost",
                m->vdev->name);
    if (recover != VFIO_DEVICE_STATE_ERROR && !walk(m, recover, &err)) {
        error_prepend(&err, "VFIO device %s, after its reset: ",
                      m->vdev->name);
        error_report_err(err);
    }
}

bool vfio_mig_set_state(VfioMigration *m, unsigned to, unsigned recover,
                        Error **errp)
{
    unsigned from = vfio_mig_state(m);
    Error *err = NULL;

    if (walk(m, to, &err)) {
        return true;
    }
    error_prepend(&err, "VFIO device %s cannot get into state %s: ",
                  m->vdev->name, vfio_mig_state_name(to));
    if (vfio_mig_next_state(from, to, m->features) !=
        VFIO_DEVICE_STATE_ERROR) {
        recover_to(m, recover);
    }
    error_propagate(errp, err);
    return false;
}
