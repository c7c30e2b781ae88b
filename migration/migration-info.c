/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What query-migrate answers: copies of what the migration threads publish. It
 * calls no module and takes no lock for longer than a copy. The main loop or a
 * monitor's I/O thread, big lock.
 */
#include "migration/migration-int.h"
#include "migration/status.h"
#include "system/cpu.h"
#include "system/memory.h"

#define NS_PER_MS 1000000
#define NS_PER_US 1000

/* The outgoing part as it was under the lock at one moment. */
typedef struct OutView {
    MigrationStatus status;
    uint64_t limit_ms;
    uint64_t avail_bps;
    int64_t start_ns, setup_ns, total_ns;
    MigStreamCounters counters;
    uint64_t precopy_bytes, postcopy_bytes;
    MigSwitchover so;
    bool done;
    bool has_snapshot;
    SnapshotStats snapshot;
    bool start_postcopy;
} OutView;

/* Lock held. */
static void view_out(Migration *m, MigOut *out, OutView *view)
{
    *view = (OutView) {
        .status = m->out_status,
        .limit_ms = m->options.params[MIG_PARAM_DOWNTIME_LIMIT],
        .avail_bps = m->options.params[MIG_PARAM_AVAIL_SWITCHOVER_BANDWIDTH],
        .start_ns = out->start_ns,
        .setup_ns = out->setup_ns,
        .total_ns = out->total_ns,
        .counters = out->counters,
        .precopy_bytes = out->precopy_bytes,
        .so = out->so,
        .done = out->done,
        .start_postcopy = out->start_postcopy,
    };
    if (out->stream) {
        outgoing_counters(out, &view->counters);
    }
    view->has_snapshot = out->snapshot || out->has_snapshot_stats;
    view->snapshot = out->snapshot_stats;
    if (out->snapshot) {
        snapshot_get_stats(out->snapshot, &view->snapshot);
    }
    if (view->so.phase == MIG_PHASE_NONE || view->so.snapshot) {
        view->precopy_bytes = view->counters.sent_bytes;
    }
    if (out->switched_bytes) {
        view->postcopy_bytes = sat_sub_u64(view->counters.sent_bytes,
                                           out->switched_bytes);
    }
}

static MigrationRAMStats *ram_info(Migration *m, const MigOut *out,
                                   const OutView *view)
{
    MigrationRAMStats *info = g_new0(MigrationRAMStats, 1);
    RamStats ram;

    ram_get_stats(m->ram, &ram);
    info->transferred = view->counters.sent_bytes;
    info->remaining = ram.remaining_bytes;
    info->total = ram.total_bytes;
    info->duplicate = ram.zero_pages;
    info->normal = ram.normal_pages;
    info->normal_bytes = ram.normal_pages * GUEST_PAGE_SIZE;
    info->dirty_pages_rate = ram.dirty_pages_rate;
    info->mbps = (double)mig_stats_bytes_per_sec(&out->stats) * 8 / 1e6;
    info->dirty_sync_count = mig_loop_pass(&out->loop);
    info->page_size = GUEST_PAGE_SIZE;
    info->multifd_bytes = ram.multifd_bytes;
    info->pages_per_second = mig_stats_pages_per_sec(&out->stats);
    info->precopy_bytes = view->precopy_bytes;
    info->postcopy_bytes = view->postcopy_bytes;
    info->postcopy_requests = ram.postcopy_requests;
    info->downtime_bytes = sat_sub_u64(view->counters.sent_bytes,
                                       sat_add_u64(view->precopy_bytes,
                                                   view->postcopy_bytes));
    return info;
}

static MigrationDeviceStatsList *device_info(Migration *m,
                                             const MigRecord *rec)
{
    MigrationDeviceStatsList *list = NULL, **tail = &list;

    for (guint i = 0; i < rec->modules->len; i++) {
        SaveVMModule *mod = &g_array_index(rec->modules, SaveVMModule, i);
        MigrationDeviceStats *d = g_new0(MigrationDeviceStats, 1);

        d->id = mod->instance
            ? g_strdup_printf("%s/%u", mod->idstr, mod->instance)
            : g_strdup(mod->idstr);
        d->precopy_bytes = mod->pending.precopy_bytes;
        d->postcopy_bytes = mod->pending.postcopy_bytes;
        d->stopcopy_bytes = mod->pending.stopcopy_bytes;
        d->total_bytes = mod->pending.total_bytes;
        d->transferred = mod->sent_bytes;
        d->has_rate = mig_predictor_module_rate(m->predictor, mod->idstr,
                                                mod->instance, &d->rate);
        QAPI_LIST_APPEND(tail, d);
    }
    return list;
}

/* Present if there is such a device. */
static VfioStats *vfio_info(const MigRecord *rec)
{
    VfioStats *info = NULL;
    uint64_t sum = 0;

    for (guint i = 0; i < rec->modules->len; i++) {
        SaveVMModule *mod = &g_array_index(rec->modules, SaveVMModule, i);

        if (mod->kind == MIG_MODULE_VFIO) {
            sum = sat_add_u64(sum, mod->sent_bytes);
            if (!info) {
                info = g_new0(VfioStats, 1);
            }
            info->transferred = MIN(sum, INT64_MAX);
        }
    }
    return info;
}

static MigrationSwitchover *switchover_info(const MigSwitchover *so)
{
    MigrationSwitchover *info = g_new0(MigrationSwitchover, 1);
    MigrationSwitchoverPhaseList **tail = &info->phases;

    info->has_predicted_us = so->predicted_ns >= 0;
    info->predicted_us = MAX(so->predicted_ns, 0) / NS_PER_US;
    info->has_measured_us = mig_switchover_is_done(so);
    info->measured_us = so->total_ns / NS_PER_US;
    for (unsigned i = 0; i < so->num_parts; i++) {
        MigrationSwitchoverPhase *p = g_new0(MigrationSwitchoverPhase, 1);

        p->name = g_strdup(so->parts[i].name);
        p->duration_us = so->parts[i].ns / NS_PER_US;
        QAPI_LIST_APPEND(tail, p);
    }
    return info;
}

static MigrationSnapshot *snapshot_info(const SnapshotStats *stats)
{
    MigrationSnapshot *info = g_new0(MigrationSnapshot, 1);
    const UffdStats *faults = &stats->faults;

    info->total_pages = stats->total_pages;
    info->aside_pages = stats->aside_pages;
    info->waits = stats->waits;
    info->faults = faults->faults;
    if (faults->faults) {
        info->has_latency = info->has_latency_max = true;
        info->latency = faults->latency_ns / faults->faults;
        info->latency_max = faults->latency_max_ns;
    }
    return info;
}

/* From the record, by the function that takes the decision. */
static int64_t expected_downtime(Migration *m, const OutView *view,
                                 const MigRecord *rec)
{
    int64_t now = clock_now_ns(m->clock);
    MigForecast f;

    mig_predictor_sent(m->predictor, now, &view->counters, false);
    mig_predictor_forecast(m->predictor, now, rec, view->avail_bps, &f);
    return mig_forecast_ms(&f, view->limit_ms);
}

static void fill_out(Migration *m, MigOut *out, const OutView *view,
                     MigrationInfo *info)
{
    bool running = mig_status_is_running(view->status);
    int64_t total_ns = view->total_ns >= 0
        ? view->total_ns : clock_now_ns(m->clock) - view->start_ns;
    MigRecord rec;

    info->has_status = true;
    info->status = view->status;
    info->has_total_time = true;
    info->total_time = total_ns / NS_PER_MS;
    if (view->setup_ns < 0) {
        return;
    }
    info->has_setup_time = true;
    info->setup_time = view->setup_ns / NS_PER_MS;
    info->ram = ram_info(m, out, view);
    mig_pending_read(m->pending, true, &rec);
    rec.postcopy = view->start_postcopy;
    if (running && !mig_switchover_is_done(&view->so)) {
        info->has_expected_downtime =
            !out->caps[MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT];
        if (info->has_expected_downtime) {
            info->expected_downtime = expected_downtime(m, view, &rec);
        }
    }
    if (running) {
        info->has_remaining = true;
        info->remaining = rec.total.total_bytes;
    }
    info->has_devices = true;
    info->devices = device_info(m, &rec);
    info->vfio = vfio_info(&rec);
    mig_record_clear(&rec);
    if (view->so.phase != MIG_PHASE_NONE) {
        info->switchover = switchover_info(&view->so);
    }
    if (view->has_snapshot) {
        info->snapshot = snapshot_info(&view->snapshot);
    }
    if (view->status == MIGRATION_STATUS_COMPLETED ||
        mig_switchover_is_done(&view->so)) {
        info->has_downtime = true;
        info->downtime = (view->so.total_ns + NS_PER_MS / 2) / NS_PER_MS;
    }
}

static void fill_latency(MigrationInfo *info, const UffdStats *faults)
{
    uint64List **tail = &info->postcopy_latency_dist;

    if (faults->faults == 0) {
        return;
    }
    info->has_postcopy_latency = true;
    info->postcopy_latency = faults->latency_ns / faults->faults;
    info->has_postcopy_latency_dist = true;
    for (unsigned i = 0; i < UFFD_LATENCY_BUCKETS; i++) {
        QAPI_LIST_APPEND(tail, faults->buckets[i]);
    }
}

static void fill_fast_load(MigrationInfo *info, const FastLoadStats *stats)
{
    MigrationFastLoad *fl = info->fast_load = g_new0(MigrationFastLoad, 1);
    const UffdStats *faults = &stats->faults;

    fl->total_pages = stats->total_pages;
    fl->fault_pages = stats->fault_pages;
    fl->eager_pages = stats->eager_pages;
    fl->zero_faults = stats->zero_faults;
    fl->faults = faults->faults;
    if (faults->faults > 0) {
        fl->has_latency_max = true;
        fl->latency_max = faults->latency_max_ns;
    }
    fill_latency(info, faults);
}

/* Lock held. False: there is no such load. */
static bool view_fast_load(MigIn *in, FastLoadStats *stats)
{
    if (in && in->fast) {
        fast_load_get_stats(in->fast, stats);
        return true;
    }
    if (in && in->has_fast_stats) {
        *stats = in->fast_stats;
        return true;
    }
    return false;
}

/* Lock held. False: there is no such migration. */
static bool view_postcopy(MigIn *in, PostcopyInStats *stats)
{
    if (in && in->pc && postcopy_in_is_listening(in->pc)) {
        postcopy_in_get_stats(in->pc, stats);
        return true;
    }
    if (in && in->has_pc_stats) {
        *stats = in->pc_stats;
        return true;
    }
    return false;
}

/* Lock held. */
static void fill_blocktime(MigIn *in, MigrationInfo *info)
{
    Blocktime *bt = !in ? NULL
        : in->pc && postcopy_in_is_listening(in->pc)
        ? postcopy_in_blocktime(in->pc) : in->blocktime;

    if (bt) {
        blocktime_fill(bt, info);
    }
}

MigrationInfo *migration_info(Migration *m)
{
    MigrationInfo *info = g_new0(MigrationInfo, 1);
    SocketAddressList **tail = &info->socket_address;
    unsigned throttle = cpus_get_throttle(m->vm);
    PostcopyInStats pc;
    FastLoadStats fast;
    OutView view;
    bool is_fast, is_pc;

    g_mutex_lock(&m->lock);
    is_fast = view_fast_load(m->in, &fast);
    is_pc = view_postcopy(m->in, &pc);
    fill_blocktime(m->in, info);
    if (m->in_status != MIGRATION_STATUS_NONE) {
        info->has_status = true;
        info->status = m->in_status;
    }
    if (m->in && m->in->local) {
        info->has_socket_address = true;
        QAPI_LIST_APPEND(tail, mig_socket_address_copy(m->in->local));
    }
    if (m->out) {
        view_out(m, m->out, &view);
        info->error_desc = g_strdup(m->out->error);
    } else if (m->in) {
        info->error_desc = g_strdup(m->in->error);
    }
    g_mutex_unlock(&m->lock);

    if (m->out) {
        fill_out(m, m->out, &view, info);
    }
    if (is_fast) {
        fill_fast_load(info, &fast);
    }
    if (is_pc) {
        fill_latency(info, &pc.faults);
    }
    if (throttle) {
        info->has_cpu_throttle_percentage = true;
        info->cpu_throttle_percentage = throttle;
    }
    info->blocked_reasons = migration_blocked_reasons(m);
    info->has_blocked_reasons = info->blocked_reasons != NULL;
    return info;
}
