/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Postcopy with a source and a destination in one process: the guest of the
 * destination touches pages that are still at the source.
 */
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "migration-postcopy.h"

/* ---- when all is well ---- */

static void test_runs_there_first(void)
{
    Pair pair = { 0 };
    MigrationInfo *info;
    char *events;

    pair_begin(&pair);
    g_free(take_events(pair.src));
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 8 * MIB);
    pair_to_postcopy(&pair);
    /* Most of memory is not here, and the guest runs all the same. */
    info = query(pair.src);
    g_assert_cmpint(info->status, ==, MIGRATION_STATUS_POSTCOPY_ACTIVE);
    g_assert_true(info->has_downtime && info->has_remaining);
    g_assert_false(info->has_expected_downtime);
    g_assert_cmpuint(info->remaining, >, RAM_BYTES / 4);
    /* The sum of all modules is looked at now and then, memory always. */
    g_assert_cmpint(info->ram->remaining, <=, (int64_t)info->remaining);
    qapi_free_MigrationInfo(info);
    assert_guest_runs(pair.dst);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
    pair_finish(&pair);

    events = take_events(pair.src);
    g_assert_true(g_str_has_prefix(events, "setup active "));
    g_assert_true(g_str_has_suffix(events, "STOP postcopy-device "
                                           "postcopy-active completed "));
    g_free(events);
    events = take_events(pair.dst);
    g_assert_cmpstr(events, ==, "setup active postcopy-device postcopy-active "
                                "RESUME completed STOP ");
    g_free(events);

    info = query(pair.src);
    g_assert_cmpint(info->ram->remaining, ==, 0);
    g_assert_cmpuint(info->ram->postcopy_bytes, >, RAM_BYTES / 4);
    g_assert_cmpint(info->ram->postcopy_requests, >, 0);
    g_assert_cmpint(info->ram->transferred, ==,
                    (int64_t)(info->ram->precopy_bytes +
                              info->ram->downtime_bytes +
                              info->ram->postcopy_bytes));
    qapi_free_MigrationInfo(info);
    info = query(pair.dst);
    g_assert_true(info->has_postcopy_latency);
    g_assert_cmpuint(info->postcopy_latency, >, 0);
    qapi_free_MigrationInfo(info);
    pair_end(&pair);
}

/* The guest is moved there and back and there, each time by postcopy. */
static void test_again_and_again(gconstpointer preempt)
{
    Pair pair = { .preempt = preempt != NULL };

    pair_begin(&pair);
    for (int i = 0; i < 10; i++) {
        pair_to_postcopy(&pair);
        pair_finish(&pair);
        pair_next(&pair);
    }
    pair_end(&pair);
}

/* Nobody starts it: it is a migration as any other. */
static void test_not_started(void)
{
    Pair pair = { 0 };
    MigrationInfo *info;
    char *events;

    pair_begin(&pair);
    pair_set_param(pair.src, MIG_PARAM_MAX_BANDWIDTH, 0);
    pair_set_param(pair.src, MIG_PARAM_DOWNTIME_LIMIT, 2000);
    pair_start(&pair);
    wait_status(out_status, pair.src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, pair.dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    assert_guest_runs(pair.dst);
    assert_same_memory(pair.src, pair.dst);
    events = take_events(pair.dst);
    g_assert_cmpstr(events, ==, "setup active RESUME completed STOP ");
    g_free(events);
    info = query(pair.src);
    g_assert_cmpuint(info->ram->postcopy_bytes, ==, 0);
    qapi_free_MigrationInfo(info);
    pair_end(&pair);
}

/*
 * Before the start nothing is asked for more often than without the
 * capability, and nothing but the end of a pass moves the counter.
 */
static void test_waiting_is_quiet(void)
{
    Pair pair = { 0 };
    MigrationInfo *info;
    int64_t before, at_start, after;

    pair_begin(&pair);
    pair_set_area(pair.src, 8);
    /* Its limit is 0: it would have to stand still for no time. */
    pair_set_param(pair.src, MIG_PARAM_MAX_BANDWIDTH, 0);
    pair_start(&pair);
    g_usleep(300000);
    info = query(pair.src);
    before = info->ram->dirty_sync_count;
    qapi_free_MigrationInfo(info);
    g_usleep(1000000);
    info = query(pair.src);
    at_start = info->ram->dirty_sync_count;
    qapi_free_MigrationInfo(info);
    /* A second has room for 20 waits of 50 ms. */
    g_assert_cmpint(at_start - before, <=, 22);

    pair_start_postcopy(&pair);
    wait_status(out_status, pair.src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    info = query(pair.src);
    after = info->ram->dirty_sync_count;
    qapi_free_MigrationInfo(info);
    /* One pass ends in the switchover; discards and the last sync are none. */
    g_assert_cmpint(after - at_start, <=, 4);
    pair_finish(&pair);
    pair_end(&pair);
}

static void test_rate_limit(void)
{
    Pair pair = { 0 };
    MigrationInfo *info;
    int64_t start;

    pair_begin(&pair);
    __atomic_store_n(&pair.src->sleep_us, 1000, __ATOMIC_RELAXED);
    __atomic_store_n(&pair.dst->sleep_us, 1000, __ATOMIC_RELAXED);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 8 * MIB);
    pair_to_postcopy(&pair);
    start = g_get_monotonic_time();
    /* 12 MiB at 8 MiB/s: the touched ones alone do not wait. */
    g_usleep(500000);
    assert_guest_runs(pair.dst);
    info = query(pair.src);
    g_assert_cmpint(info->status, ==, MIGRATION_STATUS_POSTCOPY_ACTIVE);
    qapi_free_MigrationInfo(info);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
    pair_finish(&pair);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 20 * G_USEC_PER_SEC);
    pair_end(&pair);
}

/* ---- what is refused ---- */

static void test_start_refused(void)
{
    Side *src = side_new_source();
    Error *err = NULL;

    vm_lock(src->vm);
    g_assert_false(qmp_migrate_start_postcopy(src->vm, &err));
    g_assert_nonnull(strstr(err->message, "no outgoing migration"));
    g_clear_error(&err);
    vm_unlock(src->vm);
    side_free(src);
}

static void test_off_at_destination(void)
{
    Pair pair = { 0 };
    MigrationInfo *info;

    pair_begin(&pair);
    pair_set_cap(pair.dst, MIGRATION_CAPABILITY_POSTCOPY_RAM, false);
    pair_start(&pair);
    wait_status(out_status, pair.src, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    wait_status(in_status, pair.dst, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    info = query(pair.dst);
    g_assert_nonnull(strstr(info->error_desc, "'postcopy-ram' must be on "
                                              "here"));
    qapi_free_MigrationInfo(info);
    assert_guest_runs(pair.src);
    pair_end(&pair);
}

/* Nobody takes the second connection: it does not come to a switchover. */
static void test_preempt_off_at_destination(void)
{
    Pair pair = { 0 };
    MigrationInfo *info;
    Error *err = NULL;

    pair_begin(&pair);
    pair_set_cap(pair.src, MIGRATION_CAPABILITY_POSTCOPY_PREEMPT, true);
    start_incoming(pair.dst, "tcp:127.0.0.1:0");
    info = query(pair.dst);
    vm_lock(pair.src->vm);
    {
        SocketAddress *addr = info->socket_address->value;
        g_autofree char *uri = g_strdup_printf("tcp:%s:%s",
                                               addr->u.inet.host,
                                               addr->u.inet.port);

        qmp_migrate(pair.src->vm, uri, false, NULL, false, false, false,
                    false, &err);
        g_assert_no_error(err);
    }
    vm_unlock(pair.src->vm);
    qapi_free_MigrationInfo(info);
    /* It does not even become active. */
    wait_status(out_status, pair.src, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_ACTIVE);
    info = query(pair.src);
    g_assert_nonnull(info->error_desc);
    g_assert_nonnull(strstr(info->error_desc, "'postcopy-preempt'"));
    qapi_free_MigrationInfo(info);
    assert_guest_runs(pair.src);
    wait_status(in_status, pair.dst, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    pair_end(&pair);
}

/* Off when the migration began. */
static void test_off_at_source(void)
{
    Pair pair = { 0 };
    Error *err = NULL;

    pair_begin(&pair);
    pair_set_cap(pair.src, MIGRATION_CAPABILITY_POSTCOPY_RAM, false);
    pair_start(&pair);
    vm_lock(pair.src->vm);
    g_assert_false(qmp_migrate_start_postcopy(pair.src->vm, &err));
    vm_unlock(pair.src->vm);
    g_assert_nonnull(strstr(err->message, "'postcopy-ram' was off"));
    g_clear_error(&err);
    cancel(pair.src);
    settle(pair.src, pair.dst);
    pair_end(&pair);
}

/* ---- kernels that cannot ---- */

static uint64_t hidden_features;

static int fake_ioctl(const UffdSys *sys, int fd, unsigned long request,
                      void *arg)
{
    int res = uffd_sys_host()->ioctl(sys, fd, request, arg);

    if (res == 0 && request == UFFDIO_API) {
        ((struct uffdio_api *)arg)->features &= ~hidden_features;
    }
    return res;
}

static void set_cap(Side *s, MigrationCapability cap, const char *refused)
{
    MigrationCapabilityStatus status = { .capability = cap, .state = true };
    MigrationCapabilityStatusList list = { .value = &status };
    Error *err = NULL;

    vm_lock(s->vm);
    qmp_migrate_set_capabilities(s->vm, &list, &err);
    vm_unlock(s->vm);
    g_assert_cmpint(err != NULL, ==, refused != NULL);
    if (err) {
        g_assert_nonnull(strstr(err->message, refused));
        g_assert_false(migration_cap(s->vm->migration, cap));
        g_error_free(err);
    }
}

/* Said when it is switched on; at the source nothing of it is needed. */
static void test_kernel_lacks(void)
{
    RamBacking shared = { .size = MIB, .fd = -1, .share = true };
    Side *src = side_new_source(), *dst = side_new_destination();
    UffdSys sys = *uffd_sys_host();

    sys.ioctl = fake_ioctl;
    src->vm->migration->uffd_sys = dst->vm->migration->uffd_sys = &sys;
    memory_ram_new(dst->vm->memory, "shared", &shared, NULL);
    hidden_features = UFFD_FEATURE_MISSING_SHMEM;
    set_cap(src, MIGRATION_CAPABILITY_POSTCOPY_RAM, NULL);
    set_cap(dst, MIGRATION_CAPABILITY_POSTCOPY_RAM,
            "has no feature MISSING_SHMEM, which RAM block 'shared'");
    hidden_features = UFFD_FEATURE_THREAD_ID;
    set_cap(dst, MIGRATION_CAPABILITY_POSTCOPY_RAM, NULL);
    set_cap(dst, MIGRATION_CAPABILITY_POSTCOPY_BLOCKTIME,
            "'postcopy-blocktime': this kernel's userfaultfd has no feature "
            "THREAD_ID");
    hidden_features = 0;
    set_cap(dst, MIGRATION_CAPABILITY_POSTCOPY_BLOCKTIME, NULL);
    side_free(dst);
    side_free(src);
}

/* It cannot be taken back, and says so. */
static void test_cancel(void)
{
    Pair pair = { 0 };
    Error *err = NULL;

    pair_begin(&pair);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, MIB);
    pair_to_postcopy(&pair);
    vm_lock(pair.src->vm);
    g_assert_false(qmp_migrate_cancel(pair.src->vm, &err));
    vm_unlock(pair.src->vm);
    g_assert_nonnull(strstr(err->message, "cannot be taken back"));
    g_clear_error(&err);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
    pair_finish(&pair);
    pair_end(&pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!pair_can_run()) {
        printf("1..0 # SKIP no userfaultfd\n");
        return 77;
    }
#define ADD(_path, _fn) g_test_add_func("/migration/postcopy/" _path, _fn)
    ADD("runs-there-first", test_runs_there_first);
    g_test_add_data_func("/migration/postcopy/again-and-again", NULL,
                         test_again_and_again);
    g_test_add_data_func("/migration/postcopy/preempt/again-and-again", "",
                         test_again_and_again);
    ADD("preempt/off-at-destination", test_preempt_off_at_destination);
    ADD("not-started", test_not_started);
    ADD("rate-limit", test_rate_limit);
    ADD("refused/start", test_start_refused);
    ADD("refused/off-at-destination", test_off_at_destination);
    ADD("refused/off-at-source", test_off_at_source);
    ADD("refused/cancel", test_cancel);
    ADD("refused/kernel-lacks", test_kernel_lacks);
    g_test_add_func("/migration/spec-2/postcopy-waits-quietly",
                    test_waiting_is_quiet);
    return g_test_run();
}
