/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cancel and broken channels, with source and destination in one process;
 * filters make the channels stall, end and lie. Each test then lets the same
 * source migrate again.
 */
#include "migration-loopback.h"

/* ---- cancel ---- */

static void test_cancel_at_random(void)
{
    Side *src = side_new_source();
    unsigned cancelled = 0;

    for (int i = 0; i < 50; i++) {
        Side *dst = side_new_destination();
        IoChannel *ends[2];

        make_pair(ends);
        start_destination(dst, ends[1]);
        start_source(src, ends[0]);
        g_usleep(g_test_rand_int_range(0, 40000));
        cancel(src);
        wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                    MIGRATION_STATUS_COMPLETED);
        cancelled += out_status(src) == MIGRATION_STATUS_CANCELLED;
        settle(src, dst);
        side_free(dst);
    }
    g_test_message("%u of 50 were cancelled", cancelled);
    migrate_well(src);
    side_free(src);
}

/* Nothing moves: cancel ends a thread that is blocked in its channel. */
static void test_cancel_while_blocked(void)
{
    static const uint64_t offsets[] = { 0, 4, 40, 200, 5000, 300000, 8000000 };
    Side *src = side_new_source();

    for (guint i = 0; i < G_N_ELEMENTS(offsets); i++) {
        Side *dst = side_new_destination();
        IoFault none = { IO_FAULT_NONE };
        IoFault stall = { IO_FAULT_STALL, offsets[i] };
        IoChannel *ends[2];
        int64_t start;

        make_pair(ends);
        start_destination(dst, ends[1]);
        start_source(src, io_filter_fault_new(ends[0], none, stall));
        g_usleep(150000);
        g_assert_true(migration_is_running(src->vm));
        start = g_get_monotonic_time();
        cancel(src);
        wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                    MIGRATION_STATUS_COMPLETED);
        g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_CANCELLED);
        g_assert_cmpint(g_get_monotonic_time() - start, <, 500000);
        settle(src, dst);
        side_free(dst);
    }
    migrate_well(src);
    side_free(src);
}

/* The destination never answers: a late cancel has a bounded wait. */
static void test_cancel_unanswered(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoFault none = { IO_FAULT_NONE };
    IoChannel *ends[2];
    IoChannel *filter;
    int64_t start;

    make_pair(ends);
    /* 8 bytes an answer: two PINGs of set-up, then silence. */
    filter = io_filter_fault_new(ends[1], none,
                                 (IoFault){ IO_FAULT_STALL, 16 });
    start_destination(dst, filter);
    start_source(src, ends[0]);
    g_usleep(300000);
    start = g_get_monotonic_time();
    cancel(src);
    wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                MIGRATION_STATUS_COMPLETED);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_CANCELLED);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 1500000);
    assert_guest_runs(src);
    vm_lock(dst->vm);
    incoming_cancel(dst->vm->migration->in);
    vm_unlock(dst->vm);
    side_free(dst);
    migrate_well(src);
    side_free(src);
}

static void test_cancel_nothing(void)
{
    Side *src = side_new_source();

    cancel(src);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_NONE);
    migrate_well(src);
    cancel(src);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_COMPLETED);
    side_free(src);
}

/* ---- peer death and broken channels ---- */

static void break_at(Side *src, IoFaultKind kind, uint64_t offset,
                     bool on_source)
{
    Side *dst = side_new_destination();
    IoFault none = { IO_FAULT_NONE };
    IoFault fault = { kind, offset, 0 };
    IoChannel *ends[2];
    MigrationInfo *info;

    make_pair(ends);
    if (on_source) {
        ends[0] = io_filter_fault_new(ends[0], none, fault);
    } else {
        ends[1] = io_filter_fault_new(ends[1], fault, none);
    }
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    info = query(src);
    if (out_status(src) == MIGRATION_STATUS_FAILED) {
        g_assert_nonnull(info->error_desc);
        g_assert_false(info->has_downtime);
    }
    qapi_free_MigrationInfo(info);
    settle(src, dst);
    side_free(dst);
}

static void test_broken_channel(void)
{
    static const IoFaultKind kinds[] = { IO_FAULT_ERROR, IO_FAULT_END };
    Side *src = side_new_source();

    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        for (int side = 0; side < 2; side++) {
            for (uint64_t offset = 0; offset < 24 * MIB;
                 offset = offset * 3 + 7) {
                break_at(src, kinds[k], offset, side);
            }
        }
    }
    migrate_well(src);
    side_free(src);
}

/* A byte is wrong: whatever it meant, nobody crashes and one side runs. */
static void test_wrong_byte(void)
{
    Side *src = side_new_source();

    for (uint64_t offset = 0; offset < 200; offset += 3) {
        break_at(src, IO_FAULT_CORRUPT, offset, false);
    }
    migrate_well(src);
    side_free(src);
}

/* The answers break: source and destination still agree on who runs. */
static void test_broken_return_path(void)
{
    Side *src = side_new_source();

    for (uint64_t offset = 0; offset < 64; offset += 5) {
        Side *dst = side_new_destination();
        IoFault none = { IO_FAULT_NONE };
        IoChannel *ends[2];

        make_pair(ends);
        start_destination(dst, io_filter_fault_new(
            ends[1], none, (IoFault){ IO_FAULT_ERROR, offset, 0 }));
        start_source(src, ends[0]);
        wait_status(out_status, src, MIGRATION_STATUS_FAILED,
                    MIGRATION_STATUS_COMPLETED);
        settle(src, dst);
        side_free(dst);
    }
    migrate_well(src);
    side_free(src);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/spec-8/cancel/at-random",
                    test_cancel_at_random);
    g_test_add_func("/migration/spec-8/cancel/while-blocked",
                    test_cancel_while_blocked);
    g_test_add_func("/migration/spec-8/cancel/unanswered",
                    test_cancel_unanswered);
    g_test_add_func("/migration/spec-8/cancel/nothing", test_cancel_nothing);
    g_test_add_func("/migration/spec-8/broken/channel", test_broken_channel);
    g_test_add_func("/migration/spec-8/broken/wrong-byte", test_wrong_byte);
    g_test_add_func("/migration/spec-8/broken/return-path",
                    test_broken_return_path);
    return g_test_run();
}
