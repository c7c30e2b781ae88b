/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Migration in the human monitor. Main loop, big lock. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "migration/migration-int.h"
#include "migration/migration.h"
#include "qapi/qapi-commands-migration.h"

#define SIZE_TEXT 16

/* "1.91 GiB": three digits, in the largest unit that has them. */
static const char *size_text(uint64_t bytes, char *buf)
{
    static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi",
                                         "Ei" };
    double val = (double)bytes;
    unsigned unit = 0;

    while (val >= 999.5 && unit < G_N_ELEMENTS(units) - 1) {
        val /= 1024;
        unit++;
    }
    g_snprintf(buf, SIZE_TEXT, "%.3g %sB", val, units[unit]);
    return buf;
}

/* ---- info migrate ---- */

static void print_ram(GString *out, const MigrationInfo *info)
{
    const MigrationRAMStats *ram = info->ram;
    char a[SIZE_TEXT], b[SIZE_TEXT], c[SIZE_TEXT], d[SIZE_TEXT];

    g_string_append_printf(out, "RAM info:\n"
                           "  Throughput (Mbps): %.2f\n", ram->mbps);
    g_string_append_printf(out, "  Sizes: pagesize=%s, total=%s\n",
                           size_text(ram->page_size, a),
                           size_text(ram->total, b));
    g_string_append_printf(out, "  Transfers: transferred=%s, remain=%s\n",
                           size_text(ram->transferred, a),
                           size_text(ram->remaining, b));
    g_string_append_printf(out, "    Channels: precopy=%s, multifd=%s, "
                           "postcopy=%s, vfio=%s\n",
                           size_text(sat_sub_u64(ram->precopy_bytes +
                                                 ram->downtime_bytes,
                                                 ram->multifd_bytes), a),
                           size_text(ram->multifd_bytes, b),
                           size_text(ram->postcopy_bytes, c),
                           size_text(info->vfio ? info->vfio->transferred : 0,
                                     d));
    g_string_append_printf(out, "    Page Types: normal=%" PRId64 ", zero=%"
                           PRId64 "\n", ram->normal, ram->duplicate);
    g_string_append_printf(out, "  Page Rates (pps): transfer=%" PRIu64,
                           ram->pages_per_second);
    if (ram->dirty_pages_rate) {
        g_string_append_printf(out, ", dirty=%" PRId64,
                               ram->dirty_pages_rate);
    }
    g_string_append_printf(out, "\n  Others: dirty_syncs=%" PRId64 "\n",
                           ram->dirty_sync_count);
}

static void print_times(GString *out, const MigrationInfo *info)
{
    g_string_append_printf(out, "Time (ms): total=%" PRId64,
                           info->total_time);
    if (info->has_setup_time) {
        g_string_append_printf(out, ", setup=%" PRId64, info->setup_time);
    }
    if (info->has_expected_downtime) {
        g_string_append_printf(out, ", exp_down=%" PRId64,
                               info->expected_downtime);
    }
    if (info->has_downtime) {
        g_string_append_printf(out, ", down=%" PRId64, info->downtime);
    }
    g_string_append_c(out, '\n');
}

static void print_info(GString *out, const MigrationInfo *info)
{
    char a[SIZE_TEXT];

    if (info->has_status) {
        g_string_append_printf(out, "Status: %s",
                               MigrationStatus_str(info->status));
        if (info->error_desc) {
            g_string_append_printf(out, " (%s)", info->error_desc);
        }
        g_string_append_c(out, '\n');
    }
    if (info->has_total_time) {
        print_times(out, info);
    }
    if (info->has_remaining) {
        g_string_append_printf(out, "Remaining (bytes): %s\n",
                               size_text(info->remaining, a));
    }
    if (info->ram) {
        print_ram(out, info);
    }
    if (info->has_cpu_throttle_percentage) {
        g_string_append_printf(out, "CPU throttle (%%): %" PRId64 "\n",
                               info->cpu_throttle_percentage);
    }
    for (strList *r = info->blocked_reasons; r; r = r->next) {
        g_string_append_printf(out, "Blocked: %s\n", r->value);
    }
}

static void print_devices(GString *out, const MigrationInfo *info)
{
    char a[SIZE_TEXT], b[SIZE_TEXT], c[SIZE_TEXT], d[SIZE_TEXT];

    if (info->devices) {
        g_string_append(out, "Devices:\n");
    }
    for (MigrationDeviceStatsList *l = info->devices; l; l = l->next) {
        const MigrationDeviceStats *dev = l->value;

        g_string_append_printf(out, "  %s: precopy=%s, postcopy=%s, "
                               "stopcopy=%s, transferred=%s", dev->id,
                               size_text(dev->precopy_bytes, a),
                               size_text(dev->postcopy_bytes, b),
                               size_text(dev->stopcopy_bytes, c),
                               size_text(dev->transferred, d));
        if (dev->has_rate) {
            g_string_append_printf(out, ", rate=%s/s",
                                   size_text(dev->rate, a));
        }
        g_string_append_c(out, '\n');
    }
}

static void print_switchover(GString *out, const MigrationSwitchover *so)
{
    g_string_append(out, "Switchover (ms):");
    if (so->has_predicted_us) {
        g_string_append_printf(out, " predicted=%.3f%s",
                               (double)so->predicted_us / 1e3,
                               so->has_measured_us ? "," : "");
    }
    if (so->has_measured_us) {
        g_string_append_printf(out, " measured=%.3f",
                               (double)so->measured_us / 1e3);
    }
    g_string_append_c(out, '\n');
    for (MigrationSwitchoverPhaseList *l = so->phases; l; l = l->next) {
        g_string_append_printf(out, "  %s: %.3f\n", l->value->name,
                               (double)l->value->duration_us / 1e3);
    }
}

static void print_fast_load(GString *out, const MigrationInfo *info)
{
    const MigrationFastLoad *fl = info->fast_load;
    unsigned n = 0;

    g_string_append_printf(out, "Fast load (pages): total=%" PRIu64
                           ", fault=%" PRIu64 ", eager=%" PRIu64
                           ", zero_faults=%" PRIu64 "\n", fl->total_pages,
                           fl->fault_pages, fl->eager_pages, fl->zero_faults);
    if (info->has_postcopy_latency) {
        g_string_append_printf(out, "Fault latency (us): faults=%" PRIu64
                               ", average=%.3f, max=%.3f\n", fl->faults,
                               (double)info->postcopy_latency / 1e3,
                               (double)fl->latency_max / 1e3);
    }
    for (uint64List *l = info->postcopy_latency_dist; l; l = l->next, n++) {
        if (l->value) {
            g_string_append_printf(out, "  %" PRIu64 " to %" PRIu64 ": %"
                                   PRIu64 "\n", n ? UINT64_C(1) << n : 0,
                                   UINT64_C(2) << n, l->value);
        }
    }
}

static void print_snapshot(GString *out, const MigrationSnapshot *snap)
{
    g_string_append_printf(out, "Snapshot (pages): total=%" PRIu64 ", aside=%"
                           PRIu64 ", waits=%" PRIu64 "\n", snap->total_pages,
                           snap->aside_pages, snap->waits);
    if (snap->has_latency) {
        g_string_append_printf(out, "Store latency (us): faults=%" PRIu64
                               ", average=%.3f, max=%.3f\n", snap->faults,
                               (double)snap->latency / 1e3,
                               (double)snap->latency_max / 1e3);
    }
}

static void print_caps(Migration *m, GString *out, const char *indent)
{
    for (int i = 0; i < MIGRATION_CAPABILITY__MAX; i++) {
        g_string_append_printf(out, "%s%s: %s\n", indent,
                               MigrationCapability_str(i),
                               migration_cap(m, i) ? "on" : "off");
    }
}

static void print_params(Migration *m, GString *out, const char *indent)
{
    MigOptions options = migration_options(m);

    for (int i = 0; i < MIG_PARAM__MAX; i++) {
        g_autofree char *text = mig_options_param_text(&options, i);
        const MigParamInfo *info = &mig_param_info[i];

        g_string_append_printf(out, "%s%s: %s%s%s\n", indent, info->name, text,
                               info->unit ? " " : "",
                               info->unit ? info->unit : "");
    }
}

static void print_blocktime(GString *out, const MigrationInfo *info)
{
    uint64List *latency = info->postcopy_vcpu_latency;
    unsigned n = 0;

    g_string_append_printf(out, "Postcopy blocktime (ms): all=%" PRIu32 "\n",
                           info->postcopy_blocktime);
    for (uint32List *l = info->postcopy_vcpu_blocktime; l; l = l->next, n++) {
        g_string_append_printf(out, "  vCPU %u: %" PRIu32 ", a fault %.3f us\n",
                               n, l->value, (double)latency->value / 1e3);
        latency = latency->next;
    }
    g_string_append_printf(out, "  other threads: a fault %.3f us\n",
                           (double)info->postcopy_non_vcpu_latency / 1e3);
}

static void hmp_info_migrate(Vm *vm, char **args, GString *out)
{
    g_autoptr(MigrationInfo) info = NULL;
    bool all = args[0] && strcmp(args[0], "-a") == 0;
    Error *err = NULL;

    if (args[0] && (!all || args[1])) {
        error_setg(&err, "info migrate: '%s' is not understood; -a is",
                   args[all ? 1 : 0]);
        hmp_error(out, err);
        return;
    }
    info = migration_info(vm->migration);
    print_info(out, info);
    if (!all) {
        return;
    }
    g_string_append(out, "Capabilities:\n");
    print_caps(vm->migration, out, "  ");
    g_string_append(out, "Parameters:\n");
    print_params(vm->migration, out, "  ");
    print_devices(out, info);
    if (info->switchover) {
        print_switchover(out, info->switchover);
    }
    if (info->fast_load) {
        print_fast_load(out, info);
    }
    if (info->snapshot) {
        print_snapshot(out, info->snapshot);
    }
    if (info->has_postcopy_blocktime) {
        print_blocktime(out, info);
    }
}

static void hmp_info_capabilities(Vm *vm, char **args, GString *out)
{
    (void)args;
    print_caps(vm->migration, out, "");
}

static void hmp_info_parameters(Vm *vm, char **args, GString *out)
{
    (void)args;
    print_params(vm->migration, out, "");
}

/* ---- commands ---- */

static void hmp_migrate(Vm *vm, char **args, GString *out)
{
    Error *err = NULL;

    bool resume = false;

    for (; args[0] && args[0][0] == '-'; args++) {
        if (strcmp(args[0], "-r") == 0) {
            resume = true;
        } else if (strcmp(args[0], "-d") != 0) {
            error_setg(&err, "migrate: '%s' is not understood; -d and -r are",
                       args[0]);
            hmp_error(out, err);
            return;
        }
    }
    if (!args[0] || args[1]) {
        error_setg(&err, "migrate expects one URI");
    } else {
        qmp_migrate(vm, args[0], false, NULL, false, false, true, resume,
                    &err);
    }
    hmp_error(out, err);
}

static void hmp_migrate_incoming(Vm *vm, char **args, GString *out)
{
    Error *err = NULL;

    if (!args[0] || args[1]) {
        error_setg(&err, "migrate_incoming expects one URI");
    } else {
        qmp_migrate_incoming(vm, args[0], false, NULL, true, true, &err);
    }
    hmp_error(out, err);
}

static void hmp_migrate_cancel(Vm *vm, char **args, GString *out)
{
    (void)args;
    (void)out;
    qmp_migrate_cancel(vm, NULL);
}

static void hmp_migrate_continue(Vm *vm, char **args, GString *out)
{
    Error *err = NULL;
    int state = MIGRATION_STATUS_PRE_SWITCHOVER;

    if (args[0]) {
        state = qapi_enum_parse(&MigrationStatus_lookup, args[0], state,
                                &err);
    }
    if (!err) {
        qmp_migrate_continue(vm, state, &err);
    }
    hmp_error(out, err);
}

static void hmp_migrate_start_postcopy(Vm *vm, char **args, GString *out)
{
    Error *err = NULL;

    (void)args;
    qmp_migrate_start_postcopy(vm, &err);
    hmp_error(out, err);
}

static void hmp_migrate_pause(Vm *vm, char **args, GString *out)
{
    Error *err = NULL;

    (void)args;
    qmp_migrate_pause(vm, &err);
    hmp_error(out, err);
}

static void hmp_migrate_recover(Vm *vm, char **args, GString *out)
{
    Error *err = NULL;

    if (!args[0] || args[1]) {
        error_setg(&err, "migrate_recover expects one URI");
    } else {
        qmp_migrate_recover(vm, args[0], &err);
    }
    hmp_error(out, err);
}

/* "NAME VALUE" */
static void hmp_set(Vm *vm, char **args, GString *out, const char *command,
                    bool (*set)(MigOptions *o, const char *name,
                                const char *value, bool running,
                                Error **errp))
{
    Migration *m = vm->migration;
    MigOptions next = migration_options(m);
    Error *err = NULL;

    if (!args[0] || !args[1] || args[2]) {
        error_setg(&err, "%s expects a name and a value", command);
    } else if (set(&next, args[0], args[1], migration_is_running(vm), &err)) {
        migration_set_options(m, &next, &err);
    }
    hmp_error(out, err);
}

static void hmp_set_parameter(Vm *vm, char **args, GString *out)
{
    hmp_set(vm, args, out, "migrate_set_parameter",
            mig_options_set_param_text);
}

static void hmp_set_capability(Vm *vm, char **args, GString *out)
{
    hmp_set(vm, args, out, "migrate_set_capability",
            mig_options_set_cap_text);
}

static char **complete_parameter(Vm *vm, const char *prefix)
{
    (void)vm;
    return mig_options_complete(prefix, true);
}

static char **complete_capability(Vm *vm, const char *prefix)
{
    (void)vm;
    return mig_options_complete(prefix, false);
}

const HmpCommand migration_hmp_commands[] = {
    { "migrate", "[-d] [-r] uri", "move the guest to URI, never waits; -r: go "
      "on after a pause in postcopy", hmp_migrate, NULL },
    { "migrate_incoming", "uri", "let a guest come in from URI",
      hmp_migrate_incoming, NULL },
    { "migrate_cancel", NULL, "give the migration up", hmp_migrate_cancel,
      NULL },
    { "migrate_continue", "[state]", "go on from pre-switchover",
      hmp_migrate_continue, NULL },
    { "migrate_start_postcopy", NULL, "run the guest at the destination now",
      hmp_migrate_start_postcopy, NULL },
    { "migrate_pause", NULL, "interrupt a migration in postcopy",
      hmp_migrate_pause, NULL },
    { "migrate_recover", "uri", "let a paused postcopy go on from URI",
      hmp_migrate_recover, NULL },
    { "migrate_set_parameter", "name value", "set a parameter",
      hmp_set_parameter, complete_parameter },
    { "migrate_set_capability", "name on|off", "switch a capability",
      hmp_set_capability, complete_capability },
    { "info migrate", "[-a]", "how the migration stands; -a: all of it",
      hmp_info_migrate, NULL },
    { "info migrate_capabilities", NULL, "what is switched on",
      hmp_info_capabilities, NULL },
    { "info migrate_parameters", NULL, "the values of the parameters",
      hmp_info_parameters, NULL },
    { NULL },
};
