/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life cycle with a source and a destination in one process: what happens
 * when all is well, the pause before the switchover, and what is refused.
 */
#include <string.h>

#include "migration-loopback.h"
#include "migration/blocker.h"
#include "system/machine.h"

/* ---- when all is well ---- */

static void test_precopy(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];
    MigrationInfo *info;
    char *events;
    uint64_t sum = 0;

    g_free(take_events(src));
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    assert_guest_runs(dst);
    assert_same_memory(src, dst);

    events = take_events(src);
    g_assert_true(g_str_has_prefix(events, "setup active "));
    g_assert_true(g_str_has_suffix(events, "STOP device completed "));
    g_assert_nonnull(strstr(events, "MIGRATION_PASS "));
    g_free(events);
    events = take_events(dst);
    g_assert_cmpstr(events, ==, "setup active RESUME completed STOP ");
    g_free(events);

    info = query(src);
    g_assert_true(info->has_status && info->has_downtime &&
                  info->has_setup_time && info->has_total_time);
    g_assert_false(info->has_remaining || info->has_expected_downtime);
    g_assert_null(info->vfio);
    g_assert_cmpint(info->ram->total, ==, RAM_BYTES);
    g_assert_cmpint(info->ram->dirty_sync_count, >=, 2);
    g_assert_cmpint(info->ram->duplicate, >=, (int64_t)PAGES / 4 - 64);
    g_assert_cmpint(info->ram->normal, >=, (int64_t)PAGES / 4 * 3 - 64);
    g_assert_cmpint(info->ram->transferred, ==,
                    (int64_t)(info->ram->precopy_bytes +
                              info->ram->downtime_bytes));
    g_assert_true(info->switchover->has_measured_us);
    for (MigrationSwitchoverPhaseList *l = info->switchover->phases; l;
         l = l->next) {
        sum += l->value->duration_us;
    }
    /* Each part was rounded down. */
    g_assert_cmpuint(sum, <=, info->switchover->measured_us);
    g_assert_cmpuint(sum + 10, >=, info->switchover->measured_us);
    g_assert_cmpstr(info->devices->value->id, ==, "ram");
    qapi_free_MigrationInfo(info);
    side_free(dst);
    side_free(src);
}

static void test_without_return_path(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];

    src->vm->migration->options.caps[MIGRATION_CAPABILITY_RETURN_PATH] =
        false;
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_COMPLETED);
    assert_guest_runs(dst);
    assert_same_memory(src, dst);
    side_free(dst);
    side_free(src);
}

/* A machine that has come in goes out again, many times over. */
static void test_onwards(void)
{
    Side *src = side_new_source();

    for (int i = 0; i < 20; i++) {
        Side *dst = side_new_destination();
        IoChannel *ends[2];

        make_pair(ends);
        start_destination(dst, ends[1]);
        start_source(src, ends[0]);
        wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                    MIGRATION_STATUS_FAILED);
        wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                    MIGRATION_STATUS_FAILED);
        assert_guest_runs(dst);
        side_free(src);
        src = dst;
    }
    for (uint64_t p = 64; p < PAGES; p++) {
        uint64_t val;

        memory_ld64(src->vm->memory, p * GUEST_PAGE_SIZE, &val);
        g_assert_cmpuint(val, ==, p % 4 ? p * 1000003 : 0);
    }
    side_free(src);
}

/* After completion the source may be let go on, and can migrate again. */
static void test_again_after_completion(void)
{
    Side *src = side_new_source();
    Error *err = NULL;

    migrate_well(src);
    vm_lock(src->vm);
    g_assert_false(migration_check_possible(src->vm->migration, &err));
    g_assert_nonnull(strstr(err->message, "cont"));
    g_clear_error(&err);
    vm_start(src->vm);
    vm_unlock(src->vm);
    assert_guest_runs(src);
    migrate_well(src);
    side_free(src);
}

/* A guest that was paused at the source is paused at the destination. */
static void test_paused_guest(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];

    vm_lock(src->vm);
    vm_stop(src->vm, RUN_STATE_PAUSED);
    vm_unlock(src->vm);
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(runstate_get(dst->vm), ==, RUN_STATE_PAUSED);
    side_free(dst);
    side_free(src);
}

/* -S at the destination: it waits for cont. */
static void test_destination_start_paused(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];

    dst->vm->config->start_paused = true;
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(runstate_get(dst->vm), ==, RUN_STATE_PAUSED);
    side_free(dst);
    side_free(src);
}

/* ---- pause-before-switchover ---- */

static void test_pre_switchover(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];
    Error *err = NULL;
    MigrationInfo *info;

    src->vm->migration
        ->options.caps[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = true;
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_PRE_SWITCHOVER,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(runstate_get(src->vm), ==, RUN_STATE_FINISH_MIGRATE);
    g_usleep(30000);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_PRE_SWITCHOVER);
    info = query(src);
    g_assert_true(info->has_remaining);
    qapi_free_MigrationInfo(info);

    vm_lock(src->vm);
    g_assert_false(qmp_migrate_continue(src->vm, MIGRATION_STATUS_ACTIVE,
                                        &err));
    g_clear_error(&err);
    g_assert_true(qmp_migrate_continue(src->vm,
                                       MIGRATION_STATUS_PRE_SWITCHOVER, &err));
    vm_unlock(src->vm);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_COMPLETED);
    info = query(src);
    /* The wait was part of the blackout, and says so. */
    g_assert_cmpint(info->downtime, >=, 30);
    g_assert_cmpstr(info->switchover->phases->next->value->name, ==,
                    "pre-switchover pause");
    qapi_free_MigrationInfo(info);
    side_free(dst);
    side_free(src);
}

static void test_cancel_in_pre_switchover(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];
    char *events;

    src->vm->migration
        ->options.caps[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = true;
    g_free(take_events(src));
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_PRE_SWITCHOVER,
                MIGRATION_STATUS_FAILED);
    cancel(src);
    wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                MIGRATION_STATUS_FAILED);
    assert_guest_runs(src);
    events = take_events(src);
    g_assert_true(g_str_has_suffix(
        events, "STOP pre-switchover cancelling RESUME cancelled "));
    g_free(events);
    wait_status(in_status, dst, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_FAILED);
    side_free(dst);
    src->vm->migration
        ->options.caps[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = false;
    migrate_well(src);
    side_free(src);
}

/* ---- refusals ---- */

static void test_blocker(void)
{
    Side *src = side_new_source();
    Error *err = NULL;
    MigrationInfo *info;
    unsigned id;

    vm_lock(src->vm);
    g_assert_true(migration_add_blocker(src->vm, "made of glass", &id, NULL));
    g_assert_false(qmp_migrate(src->vm, "unix:/nowhere", false, NULL, false,
                               false, false, false, &err));
    g_assert_cmpstr(err->message, ==, "made of glass");
    g_clear_error(&err);
    info = migration_info(src->vm->migration);
    g_assert_cmpstr(info->blocked_reasons->value, ==, "made of glass");
    qapi_free_MigrationInfo(info);
    migration_del_blocker(src->vm, &id);
    g_assert_cmpuint(id, ==, 0);
    vm_unlock(src->vm);
    migrate_well(src);
    side_free(src);
}

static void test_bad_addresses(void)
{
    static const char *const bad[] = {
        "", "tcp", "tcp:", "nonsense:1", "exec:", "file:", "file:,offset=1",
        "file:/tmp/x,offset=abc", "fd:no-such-name", "unix:",
    };
    Side *src = side_new_source();
    Error *err = NULL;

    vm_lock(src->vm);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(qmp_migrate(src->vm, bad[i], false, NULL, false, false,
                                   false, false, &err));
        g_assert_nonnull(err);
        g_clear_error(&err);
    }
    g_assert_false(qmp_migrate(src->vm, NULL, false, NULL, false, false,
                               false, false, &err));
    g_clear_error(&err);
    g_assert_false(qmp_migrate(src->vm, "unix:/x", false, NULL, false, false,
                               true, true, &err));
    g_clear_error(&err);
    g_assert_false(qmp_migrate_pause(src->vm, &err));
    g_clear_error(&err);
    vm_unlock(src->vm);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_NONE);
    side_free(src);
}

/* Nobody listens: the command succeeds, and it fails without being active. */
static void test_nobody_listens(void)
{
    Side *src = side_new_source();
    char *events;

    g_free(take_events(src));
    vm_lock(src->vm);
    g_assert_true(qmp_migrate(src->vm, "unix:/nonexistent/socket", false,
                              NULL, false, false, false, false, NULL));
    vm_unlock(src->vm);
    wait_status(out_status, src, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    events = take_events(src);
    g_assert_cmpstr(events, ==, "setup failed ");
    g_free(events);
    assert_guest_runs(src);
    migrate_well(src);
    side_free(src);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/life/precopy", test_precopy);
    g_test_add_func("/migration/life/without-return-path",
                    test_without_return_path);
    g_test_add_func("/migration/life/onwards", test_onwards);
    g_test_add_func("/migration/life/again-after-completion",
                    test_again_after_completion);
    g_test_add_func("/migration/life/paused-guest", test_paused_guest);
    g_test_add_func("/migration/life/destination-start-paused",
                    test_destination_start_paused);
    g_test_add_func("/migration/life/pre-switchover", test_pre_switchover);
    g_test_add_func("/migration/spec-8/cancel/pre-switchover",
                    test_cancel_in_pre_switchover);
    g_test_add_func("/migration/refused/blocker", test_blocker);
    g_test_add_func("/migration/refused/bad-addresses", test_bad_addresses);
    g_test_add_func("/migration/refused/nobody-listens", test_nobody_listens);
    return g_test_run();
}
