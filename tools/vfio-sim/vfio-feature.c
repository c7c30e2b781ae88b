/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO_DEVICE_FEATURE: migration and the logging of DMA. Worker threads; see
 * vfio-device.h for the locks.
 */
#include "vfio-device.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define NS_PER_MS 1000000

typedef union Payload {
    struct vfio_device_feature_migration migration;
    struct vfio_device_feature_mig_state state;
    struct vfio_device_feature_mig_data_size size;
    struct vfio_device_feature_dma_logging_control control;
    struct vfio_device_feature_dma_logging_report report;
} Payload;

static int64_t get_migration(SimDevice *d, SimCall *call, Payload *p)
{
    (void)call;
    p->migration.flags = d->mig->features;
    return 0;
}

static int64_t get_state(SimDevice *d, SimCall *call, Payload *p)
{
    (void)call;
    g_mutex_lock(&d->lock);
    p->state.device_state = d->mig->current;
    p->state.data_fd = -1;
    g_mutex_unlock(&d->lock);
    return 0;
}

/* A descriptor for the stream of @session; its number, or -errno. */
static int plant_data(SimDevice *d, SimCall *call, unsigned session)
{
    Error *err = NULL;
    SimFile *file = supervisor_add_file(d->supervisor, SIM_FILE_DATA, d, 0,
                                        &err);

    if (!file) {
        g_error_free(err);
        return -ENFILE;
    }
    file->session = session;
    return sim_call_plant(call, file, false);
}

static int64_t set_state(SimDevice *d, SimCall *call, Payload *p)
{
    unsigned session, before, to = p->state.device_state, next;
    uint64_t pause_ms;
    int64_t ret = 0;

    p->state.data_fd = -1;
    g_mutex_lock(&d->lock);
    before = d->mig->session;
    while (!ret && d->mig->current != to) {
        next = sim_mig_next_state(d->mig->current, to, d->mig->features);
        if (next == VFIO_DEVICE_STATE_ERROR) {
            ret = -EINVAL;
            break;
        }
        pause_ms = d->options->transition_ms;
        if (pause_ms) {
            g_mutex_unlock(&d->lock);
            sim_call_sleep(call, sim_now_ns() + pause_ms * NS_PER_MS);
            g_mutex_lock(&d->lock);
        }
        ret = sim_mig_move(d->mig, next, sim_now_ns());
    }
    if (d->mig->current == VFIO_DEVICE_STATE_RUNNING) {
        sim_irq_resume(d);
    }
    p->state.device_state = d->mig->current;
    session = d->mig->session;
    g_mutex_unlock(&d->lock);
    if (!ret && session != before && sim_mig_state_has_data(to)) {
        p->state.data_fd = plant_data(d, call, session);
        ret = MIN(p->state.data_fd, 0);
    }
    return ret;
}

static int64_t get_data_size(SimDevice *d, SimCall *call, Payload *p)
{
    (void)call;
    g_mutex_lock(&d->lock);
    p->size.stop_copy_length = sim_mig_stop_size(d->mig, sim_now_ns());
    g_mutex_unlock(&d->lock);
    return 0;
}

static int64_t set_infov2(SimDevice *d, SimCall *call, Payload *p)
{
    (void)call;
    (void)p;
    g_mutex_lock(&d->lock);
    d->mig->infov2 = true;
    g_mutex_unlock(&d->lock);
    return 0;
}

static int64_t start_logging(SimDevice *d, SimCall *call, Payload *p)
{
    int64_t ret;

    g_mutex_lock(&d->lock);
    ret = sim_dma_log_start(d, call, &p->control);
    g_mutex_unlock(&d->lock);
    return ret;
}

static int64_t stop_logging(SimDevice *d, SimCall *call, Payload *p)
{
    (void)call;
    (void)p;
    g_mutex_lock(&d->lock);
    sim_dma_log_stop(d);
    g_mutex_unlock(&d->lock);
    return 0;
}

static int64_t report_logging(SimDevice *d, SimCall *call, Payload *p)
{
    int64_t ret;

    g_mutex_lock(&d->lock);
    ret = sim_dma_log_report(d, call, &p->report);
    g_mutex_unlock(&d->lock);
    return ret;
}

typedef struct Feature {
    uint32_t number;
    uint32_t size; /* of the data that it needs */
    int64_t (*get)(SimDevice *d, SimCall *call, Payload *p);
    int64_t (*set)(SimDevice *d, SimCall *call, Payload *p);
    size_t offered_at; /* offset of a bool in SimOptions; 0: always */
} Feature;

static const Feature features[] = {
    {VFIO_DEVICE_FEATURE_MIGRATION,
     sizeof(struct vfio_device_feature_migration), get_migration, NULL, 0},
    {VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
     sizeof(struct vfio_device_feature_mig_state), get_state, set_state, 0},
    {VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
     sizeof(struct vfio_device_feature_mig_data_size), get_data_size, NULL,
     0},
    {VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, 0, NULL, set_infov2,
     offsetof(SimOptions, infov2)},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
     sizeof(struct vfio_device_feature_dma_logging_control), NULL,
     start_logging, offsetof(SimOptions, dma_log)},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, 0, NULL, stop_logging,
     offsetof(SimOptions, dma_log)},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
     sizeof(struct vfio_device_feature_dma_logging_report), report_logging,
     NULL, offsetof(SimOptions, dma_log)},
};

static const Feature *find(const SimDevice *d, uint32_t number)
{
    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        size_t at = features[i].offered_at;

        if (features[i].number == number &&
            (!at || *((const bool *)((const char *)d->options + at)))) {
            return &features[i];
        }
    }
    return NULL;
}

int64_t sim_device_feature(SimDevice *d, SimCall *call, uint64_t arg)
{
    struct vfio_device_feature head;
    const Feature *f;
    uint64_t data = arg + sizeof(head);
    Payload p = {0};
    int64_t ret, faulty;
    bool get, set;

    if (sim_call_get(call, arg, &head, sizeof(head))) {
        return -EFAULT;
    }
    get = head.flags & VFIO_DEVICE_FEATURE_GET;
    set = head.flags & VFIO_DEVICE_FEATURE_SET;
    f = find(d, head.flags & VFIO_DEVICE_FEATURE_MASK);
    if (head.argsz < sizeof(head)) {
        return -EINVAL;
    }
    if (!f) {
        return -ENOTTY;
    }
    if (head.flags & VFIO_DEVICE_FEATURE_PROBE) {
        return (get && !f->get) || (set && !f->set) ? -EINVAL : 0;
    }
    if (get == set || (get && !f->get) || (set && !f->set) ||
        head.argsz < sizeof(head) + f->size) {
        return -EINVAL;
    }
    faulty = sim_device_fault(d, sim_feature_name(f->number));
    if (faulty) {
        return faulty;
    }
    if (sim_call_get(call, data, &p, f->size)) {
        return -EFAULT;
    }
    ret = get ? f->get(d, call, &p) : f->set(d, call, &p);
    if (!ret && sim_call_put(call, data, &p, f->size)) {
        return -EFAULT;
    }
    return ret;
}
