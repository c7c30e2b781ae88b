/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration of one simulated device. Pure; called with the lock of the device
 * held.
 */
#include "sim-mig.h"

#include <errno.h>
#include <string.h>

#include "util/checked.h"

#define NS_PER_MS 1000000
#define NS_PER_S 1000000000ULL

SimMig *sim_mig_new(SimOptions *options, const SimMemoryOps *memory,
                    void *opaque, int64_t now_ns)
{
    SimMig *m = g_new0(SimMig, 1);

    m->o = options;
    m->state = sim_state_new(options, memory, opaque);
    m->features = VFIO_MIGRATION_STOP_COPY |
                  (options->p2p ? VFIO_MIGRATION_P2P : 0) |
                  (options->precopy ? VFIO_MIGRATION_PRE_COPY : 0);
    m->moves = g_array_new(false, true, sizeof(SimMove));
    m->current = VFIO_DEVICE_STATE_RUNNING;
    sim_state_run(m->state, true, 0, now_ns);
    return m;
}

void sim_mig_free(SimMig *m)
{
    if (!m) {
        return;
    }
    sim_state_free(m->state);
    g_array_unref(m->moves);
    g_free(m->refusal);
    g_free(m);
}

static void log_move(SimMig *m, unsigned from, unsigned to, int err,
                     int64_t now_ns)
{
    SimMove move = {now_ns, from, to, err};

    if (m->moves->len == SIM_MOVES_MAX) {
        g_array_remove_index(m->moves, 0);
    }
    g_array_append_val(m->moves, move);
}

static void refuse(SimMig *m, Error *err)
{
    g_free(m->refusal);
    m->refusal = g_strdup(err->message);
    g_error_free(err);
}

void sim_mig_reset(SimMig *m, int64_t now_ns)
{
    log_move(m, m->current, VFIO_DEVICE_STATE_RUNNING, 0, now_ns);
    sim_state_save_end(m->state);
    m->current = VFIO_DEVICE_STATE_RUNNING;
    m->infov2 = m->reinit = false;
    sim_state_run(m->state, true, 0, now_ns);
}

void sim_mig_reinit(SimMig *m)
{
    bool precopy = m->current == VFIO_DEVICE_STATE_PRE_COPY ||
                   m->current == VFIO_DEVICE_STATE_PRE_COPY_P2P;

    if (precopy) {
        sim_state_reinit(m->state, m->infov2);
        m->reinit = m->infov2;
    }
}

/* The fault that makes new initial data appear, if it does so now. */
static void check_reinit(SimMig *m, bool is_query, int64_t now_ns)
{
    for (guint i = 0; i < m->o->faults->len; i++) {
        SimFault *f = g_ptr_array_index(m->o->faults, i);
        bool due = false;

        if (f->point != SIM_FAULT_REINIT || !f->left) {
            continue;
        }
        if (f->action == SIM_ACT_AFTER_MS && !m->reinit_timer_done) {
            due = now_ns - m->precopy_since_ns >=
                  (int64_t)f->value * NS_PER_MS;
            m->reinit_timer_done |= due;
        } else if (f->action == SIM_ACT_EVERY && is_query) {
            due = m->queries % f->value == 0;
        }
        if (due) {
            f->left -= f->left != UINT64_MAX;
            sim_mig_reinit(m);
        }
    }
}

void sim_mig_run(SimMig *m, int64_t now_ns)
{
    sim_state_run(m->state, sim_mig_state_runs(m->current), m->o->dirty_rate,
                  now_ns);
    if (m->current == VFIO_DEVICE_STATE_PRE_COPY ||
        m->current == VFIO_DEVICE_STATE_PRE_COPY_P2P) {
        check_reinit(m, false, now_ns);
    }
}

/* The fault that makes new initial data appear on entering a state. */
static void check_reinit_state(SimMig *m, unsigned to)
{
    for (guint i = 0; i < m->o->faults->len; i++) {
        SimFault *f = g_ptr_array_index(m->o->faults, i);

        if (f->point != SIM_FAULT_REINIT || !f->left) {
            continue;
        }
        if (f->action == SIM_ACT_P2P && to == VFIO_DEVICE_STATE_PRE_COPY_P2P) {
            f->left -= f->left != UINT64_MAX;
            sim_state_reinit(m->state, m->infov2);
            m->reinit = m->infov2;
        } else if (f->action == SIM_ACT_STOP_COPY &&
                   to == VFIO_DEVICE_STATE_STOP_COPY) {
            /* Nobody can ask any more: the data are just there. */
            f->left -= f->left != UINT64_MAX;
            sim_state_reinit(m->state, false);
        }
    }
}

/* What entering @to does; 0 or -errno. */
static int enter(SimMig *m, unsigned to, int64_t now_ns)
{
    bool had_data = sim_mig_state_has_data(m->current);
    Error *err = NULL;

    if (m->current == VFIO_DEVICE_STATE_RESUMING &&
        !sim_state_load_end(m->state, &err)) {
        refuse(m, err);
        return -EINVAL;
    }
    sim_state_run(m->state, sim_mig_state_runs(to), m->o->dirty_rate, now_ns);
    if (sim_mig_state_has_data(to) && !had_data) {
        m->session++;
        m->ready_ns = now_ns;
        if (to == VFIO_DEVICE_STATE_RESUMING) {
            sim_state_load_begin(m->state, m->o->faults);
        } else {
            m->precopy_since_ns = now_ns;
            m->reinit = m->reinit_timer_done = false;
            m->queries = 0;
            sim_state_save_begin(m->state);
        }
    }
    if (had_data && !sim_mig_state_has_data(to)) {
        sim_state_save_end(m->state);
    }
    if (to == VFIO_DEVICE_STATE_STOP_COPY) {
        sim_state_save_stopped(m->state);
    }
    check_reinit_state(m, to);
    return 0;
}

int sim_mig_move(SimMig *m, unsigned to, int64_t now_ns)
{
    const SimFault *f;
    unsigned from = m->current;
    int ret;

    if (!sim_mig_is_arc(from, to, m->features)) {
        return -EINVAL;
    }
    f = sim_fault_strike(m->o->faults, SIM_FAULT_STATE, NULL, to);
    if (f) {
        ret = f->action == SIM_ACT_LAND ? -EIO : -f->err;
        if (f->action == SIM_ACT_LAND) {
            sim_state_save_end(m->state);
            sim_state_run(m->state, false, m->o->dirty_rate, now_ns);
            m->current = VFIO_DEVICE_STATE_ERROR;
        }
    } else {
        ret = enter(m, to, now_ns);
        if (!ret) {
            m->current = to;
        }
    }
    log_move(m, from, to, -ret, now_ns);
    return ret;
}

uint64_t sim_mig_stop_size(SimMig *m, int64_t now_ns)
{
    SimSizes sizes;

    sim_mig_run(m, now_ns);
    sim_state_sizes(m->state, &sizes);
    return sim_fault_size(m->o->faults, SIM_FAULT_STOP_SIZE, sizes.total);
}

int sim_mig_precopy_info(SimMig *m, uint64_t *initial, uint64_t *dirty,
                         uint32_t *flags, int64_t now_ns)
{
    SimSizes sizes;
    bool precopy = m->current == VFIO_DEVICE_STATE_PRE_COPY ||
                   m->current == VFIO_DEVICE_STATE_PRE_COPY_P2P;

    if (!precopy) {
        return -EINVAL;
    }
    sim_mig_run(m, now_ns);
    m->queries++;
    check_reinit(m, true, now_ns);
    sim_state_sizes(m->state, &sizes);
    *initial = sim_fault_size(m->o->faults, SIM_FAULT_INITIAL_SIZE,
                              sizes.initial);
    *dirty = sim_fault_size(m->o->faults, SIM_FAULT_DIRTY_SIZE, sizes.dirty);
    if (m->infov2) {
        *flags = m->reinit ? VFIO_PRECOPY_INFO_REINIT : 0;
        m->reinit = false;
    }
    return 0;
}

static int64_t pace(SimMig *m, uint64_t rate, uint64_t bytes, int64_t now_ns)
{
    uint64_t cost_ns = rate ? sat_muldiv_u64(bytes, NS_PER_S, rate) : 0;

    if (!rate) {
        return now_ns;
    }
    /* A year is as good as for ever, and adds without overflow. */
    cost_ns = MIN(cost_ns, 365 * 86400 * NS_PER_S);
    if (now_ns - m->ready_ns > SIM_CATCH_UP_NS) {
        m->ready_ns = now_ns;
    }
    m->ready_ns += cost_ns;
    return m->ready_ns;
}

/* What a fault does with a transfer of *@len; 0 if it goes on. */
static int strike(SimMig *m, SimFaultPoint point, size_t *len)
{
    const SimFault *f = sim_fault_strike(m->o->faults, point, NULL,
                                         sim_state_offset(m->state));

    if (!f) {
        return 0;
    }
    if (f->action == SIM_ACT_SHORT) {
        *len = MIN(*len, 1);
        return 0;
    }
    return f->action == SIM_ACT_STALL ? SIM_STALLED : -f->err;
}

ssize_t sim_mig_read(SimMig *m, void *buf, size_t len, int64_t now_ns,
                     int64_t *until_ns)
{
    ssize_t n;

    *until_ns = now_ns;
    if (!sim_mig_state_has_data(m->current)) {
        return -ENODEV;
    }
    if (m->current == VFIO_DEVICE_STATE_RESUMING) {
        return -EINVAL;
    }
    sim_mig_run(m, now_ns);
    n = strike(m, SIM_FAULT_READ, &len);
    if (n) {
        return n;
    }
    if (m->o->read_rate) {
        /* A slow device gives what it has after a tenth of a second. */
        len = MIN(len, MAX(m->o->read_rate / 10, 1));
    }
    n = sim_state_read(m->state, buf, len);
    if (n > 0) {
        *until_ns = pace(m, m->o->read_rate, n, now_ns);
    }
    return n;
}

ssize_t sim_mig_write(SimMig *m, const void *buf, size_t len, int64_t now_ns,
                      int64_t *until_ns)
{
    Error *err = NULL;
    int ret;

    *until_ns = now_ns;
    if (m->current != VFIO_DEVICE_STATE_RESUMING) {
        return sim_mig_state_has_data(m->current) ? -EINVAL : -ENODEV;
    }
    ret = strike(m, SIM_FAULT_WRITE, &len);
    if (ret) {
        return ret;
    }
    if (!sim_state_write(m->state, buf, len, &err)) {
        if (!m->refusal) {
            refuse(m, err);
        } else {
            g_error_free(err);
        }
        return -EINVAL;
    }
    *until_ns = pace(m, m->o->write_rate, len, now_ns);
    return len;
}
