/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a touch of a page that is still at the source takes, while the rest
 * of memory streams in behind it. Two machines in this process, connected by
 * TCP over loopback; a thread reads a word of random pages of the destination.
 *
 * Measured: from before the load to after it, of touches of pages that were not
 * there: page fault, request, the source, the wire, page in place, the thread
 * woken. Not measured: what a guest's own translation adds.
 *
 * bench-postcopy [MIB [RUNS]]: 256 and 5. Prints a table, then JSON on one line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "migration/migration-int.h"
#include "qapi/qapi-commands-migration.h"
#include "system/machine.h"
#include "system/runstate.h"

#define MIB (UINT64_C(1) << 20)
#define MEDIAN_LIMIT_US 300
#define P99_LIMIT_US 2000

typedef struct Setting {
    const char *name;
    bool preempt;
    uint64_t bandwidth;         /* of the stream, bytes/second; 0: no limit */
} Setting;

static const Setting settings[] = {
    { "one channel", false, 0 },
    { "one channel, 200 MiB/s", false, 200 * MIB },
    { "preempt", true, 0 },
    { "preempt, 200 MiB/s", true, 200 * MIB },
};

static Vm *machine_new(uint64_t bytes, const Setting *s, bool incoming)
{
    RamBacking backing = { .size = bytes, .fd = -1 };
    Vm *vm = vm_new();
    Migration *m;

    vm->config = machine_config_new();
    vm_lock(vm);
    memory_map_ram(vm->memory, memory_ram_new(vm->memory, "mem", &backing,
                                              NULL), 0, NULL);
    m = migration_new(vm, clock_host());
    m->options.caps[MIGRATION_CAPABILITY_POSTCOPY_RAM] = true;
    m->options.caps[MIGRATION_CAPABILITY_POSTCOPY_PREEMPT] = s->preempt;
    m->options.params[MIG_PARAM_MAX_BANDWIDTH] = MIB;
    m->options.params[MIG_PARAM_MAX_POSTCOPY_BANDWIDTH] = s->bandwidth;
    if (incoming) {
        runstate_set(vm, RUN_STATE_INMIGRATE);
    }
    vm_unlock(vm);
    return vm;
}

static void machine_free(Vm *vm)
{
    vm_lock(vm);
    migration_free(vm->migration);
    savevm_destroy(vm);
    vm_unlock(vm);
    machine_config_free(vm->config);
    vm->config = NULL;
    vm_free(vm);
}

static void wait_for(Vm *vm, const MigrationStatus *status,
                     MigrationStatus want)
{
    MigrationStatus now;

    while ((now = migration_status(vm->migration, status)) != want) {
        g_assert(now != MIGRATION_STATUS_FAILED &&
                 now != MIGRATION_STATUS_COMPLETED);
        g_usleep(100);
    }
}

static void begin(Vm *src, Vm *dst)
{
    g_autofree char *uri = NULL;
    MigrationInfo *info;
    SocketAddress *addr;
    bool ok;

    vm_lock(dst);
    ok = migration_start_incoming(dst->migration,
                                  mig_address_parse("tcp:127.0.0.1:0", NULL),
                                  false, NULL);
    info = migration_info(dst->migration);
    vm_unlock(dst);
    addr = info->socket_address->value;
    uri = g_strdup_printf("tcp:%s:%s", addr->u.inet.host, addr->u.inet.port);
    qapi_free_MigrationInfo(info);
    vm_lock(src);
    ok = ok && qmp_migrate(src, uri, false, NULL, false, false, false, false,
                           NULL);
    vm_unlock(src);
    g_assert(ok);
    wait_for(src, &src->migration->out_status, MIGRATION_STATUS_ACTIVE);
    vm_lock(src);
    ok = qmp_migrate_start_postcopy(src, NULL);
    vm_unlock(src);
    g_assert(ok);
    wait_for(src, &src->migration->out_status,
             MIGRATION_STATUS_POSTCOPY_ACTIVE);
}

/* A touch that took less was of a page that was there. */
#define FAULT_NS 4000

static void touch(Vm *dst, uint64_t pages, GArray *times)
{
    MigrationStatus *status = &dst->migration->in_status;
    Clock *clock = clock_host();
    uint64_t val;

    while (migration_status(dst->migration, status) !=
           MIGRATION_STATUS_COMPLETED) {
        hwaddr at = (((uint64_t)random() << 16) ^ random()) % pages *
                    GUEST_PAGE_SIZE;
        int64_t start = clock_now_ns(clock), ns;

        memory_ld64(dst->memory, at, &val);
        ns = clock_now_ns(clock) - start;
        g_assert(val == at + 1);
        if (ns >= FAULT_NS) {
            g_array_append_val(times, ns);
        }
        /* As a guest that does something with what it has read. */
        g_usleep(20);
    }
}

static int compare(gconstpointer a, gconstpointer b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double at(GArray *times, double part)
{
    return times->len ? (double)g_array_index(times, int64_t,
                                              (guint)((times->len - 1) * part))
                        / 1e3 : 0;
}

static void run(const Setting *s, uint64_t bytes, GArray *times, double *mibs)
{
    Vm *src = machine_new(bytes, s, false), *dst = machine_new(bytes, s, true);
    int64_t start;

    for (uint64_t page = 0; page < bytes; page += GUEST_PAGE_SIZE) {
        memory_st64(src->memory, page, page + 1);
    }
    vm_lock(src);
    vm_start(src);
    vm_unlock(src);
    begin(src, dst);
    start = clock_now_ns(clock_host());
    touch(dst, bytes / GUEST_PAGE_SIZE, times);
    *mibs += bytes / MIB / ((clock_now_ns(clock_host()) - start) / 1e9);
    vm_lock(dst);
    if (runstate_is_running(dst)) {
        vm_stop(dst, RUN_STATE_PAUSED);
    }
    vm_unlock(dst);
    machine_free(dst);
    machine_free(src);
}

int main(int argc, char **argv)
{
    uint64_t bytes = (argc > 1 ? strtoull(argv[1], NULL, 10) : 256) * MIB;
    unsigned runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
    g_autoptr(GString) json = g_string_new(NULL);
    bool ok = true;

    printf("a touch of a page that is at the source, over TCP loopback, us;\n"
           "%" PRIu64 " MiB, %u runs; wanted: median %d, 99 of 100 within "
           "%d\n%-24s %8s %8s %8s %8s %8s %10s\n", bytes / MIB, runs,
           MEDIAN_LIMIT_US, P99_LIMIT_US, "", "touches", "median", "90 %",
           "99 %", "most", "MiB/s");
    for (guint i = 0; i < G_N_ELEMENTS(settings); i++) {
        GArray *times = g_array_new(FALSE, FALSE, sizeof(int64_t));
        double mibs = 0;

        for (unsigned n = 0; n < runs; n++) {
            run(&settings[i], bytes, times, &mibs);
        }
        g_array_sort(times, compare);
        printf("%-24s %8u %8.0f %8.0f %8.0f %8.0f %10.0f\n", settings[i].name,
               times->len, at(times, 0.5), at(times, 0.9), at(times, 0.99),
               at(times, 1), mibs / runs);
        ok = ok && at(times, 0.5) <= MEDIAN_LIMIT_US &&
             at(times, 0.99) <= P99_LIMIT_US;
        g_string_append_printf(json, "%s{\"setting\": \"%s\", \"touches\": %u, "
                               "\"median_us\": %.0f, \"p99_us\": %.0f, "
                               "\"mib_s\": %.0f}", i ? ", " : "",
                               settings[i].name, times->len, at(times, 0.5),
                               at(times, 0.99), mibs / runs);
        g_array_free(times, TRUE);
    }
    printf("{\"bench\": \"postcopy\", \"ram_bytes\": %" PRIu64 ", \"runs\": %u, "
           "\"settings\": [%s], \"ok\": %s}\n%s\n", bytes, runs, json->str,
           ok ? "true" : "false", ok ? "as wanted" : "NOT as wanted");
    return ok ? 0 : 1;
}
