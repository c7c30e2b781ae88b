/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Postcopy whose connection breaks: who pauses, what is told, and that every
 * page is right when it has been taken up again, however often.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration-postcopy.h"

/* Slow enough for several breaks. */
static void begin(Pair *pair)
{
    pair_begin(pair);
    pair_set_param(pair->src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 16 * MIB);
    pair_to_postcopy(pair);
}

static void test_pause(gconstpointer data)
{
    PairCut how = GPOINTER_TO_INT(data);
    MigrationInfo *info;
    char *events;
    Pair pair = { 0 };

    begin(&pair);
    pair_cut(&pair, how);
    info = query(pair.src);
    g_assert_nonnull(info->error_desc);
    if (how == PAIR_CUT_SOURCE) {
        g_assert_cmpstr(info->error_desc, ==, "paused by migrate-pause");
    }
    qapi_free_MigrationInfo(info);
    info = query(pair.dst);
    g_assert_nonnull(info->error_desc);
    qapi_free_MigrationInfo(info);
    g_assert_cmpint(runstate_get(pair.src->vm), !=, RUN_STATE_RUNNING);

    pair_recover(&pair);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
    pair_finish(&pair);
    events = take_events(pair.src);
    g_assert_true(g_str_has_suffix(
        events, "STOP postcopy-device postcopy-active postcopy-paused "
        "postcopy-recover-setup postcopy-recover postcopy-active "
        "completed "));
    g_free(events);
    events = take_events(pair.dst);
    g_assert_cmpstr(events, ==, "setup active postcopy-device postcopy-active "
                    "RESUME postcopy-paused postcopy-recover postcopy-active "
                    "completed STOP ");
    g_free(events);
    pair_end(&pair);
}

static uint64_t pages_left(Side *s)
{
    RamStats stats;

    ram_get_stats(s->vm->migration->ram, &stats);
    return stats.remaining_bytes / GUEST_PAGE_SIZE;
}

/* Again and again, at moments that nobody has chosen. */
static void cut_many_times(unsigned times, bool preempt)
{
    for (unsigned done = 0; done < times;) {
        Pair pair = { .preempt = preempt };

        begin(&pair);
        while (done < times && out_status(pair.src) !=
                               MIGRATION_STATUS_COMPLETED) {
            g_usleep(g_random_int_range(0, 60000));
            if (pages_left(pair.src) < 512) {
                break;
            }
            pair_cut(&pair, g_random_int_range(0, PAIR_CUT_CHANNEL + 1));
            done++;
            pair_recover(&pair);
            wait_status(out_status, pair.src, MIGRATION_STATUS_POSTCOPY_ACTIVE,
                        MIGRATION_STATUS_COMPLETED);
            wait_status(in_status, pair.dst, MIGRATION_STATUS_POSTCOPY_ACTIVE,
                        MIGRATION_STATUS_COMPLETED);
        }
        pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
        pair_finish(&pair);
        pair_end(&pair);
    }
}

static void test_many(gconstpointer preempt)
{
    cut_many_times(g_test_thorough() ? 200 : 40, preempt);
}

/* A connection to nobody, and one on which nothing is answered. */
static void test_wrong_connections(void)
{
    Error *err = NULL;
    int here[2], there[2];
    char *uri;
    Pair pair = { 0 };

    begin(&pair);
    pair_cut(&pair, PAIR_CUT_DESTINATION);
    g_free(take_events(pair.src));

    /* Who is to answer has hung up. */
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, here), ==, 0);
    close(here[1]);
    uri = g_strdup_printf("fd:%d", here[0]);
    vm_lock(pair.src->vm);
    qmp_migrate(pair.src->vm, uri, false, NULL, false, false, true, true,
                &err);
    vm_unlock(pair.src->vm);
    g_assert_no_error(err);
    g_free(uri);
    g_usleep(100000);
    wait_status(out_status, pair.src, MIGRATION_STATUS_POSTCOPY_PAUSED,
                MIGRATION_STATUS_FAILED);
    uri = take_events(pair.src);
    g_assert_cmpstr(uri, ==, "postcopy-recover-setup postcopy-paused ");
    g_free(uri);

    /* Each has a connection, but to nobody: both get as far as recover. */
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, here), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, there), ==, 0);
    uri = g_strdup_printf("fd:%d", there[0]);
    g_assert_true(qmp_migrate_recover(pair.dst->vm, uri, NULL));
    g_free(uri);
    uri = g_strdup_printf("fd:%d", here[0]);
    vm_lock(pair.src->vm);
    g_assert_true(qmp_migrate(pair.src->vm, uri, false, NULL, false, false,
                              true, true, NULL));
    vm_unlock(pair.src->vm);
    g_free(uri);
    wait_status(out_status, pair.src, MIGRATION_STATUS_POSTCOPY_RECOVER,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, pair.dst, MIGRATION_STATUS_POSTCOPY_RECOVER,
                MIGRATION_STATUS_FAILED);
    g_assert_true(qmp_migrate_pause(pair.src->vm, NULL));
    g_assert_true(qmp_migrate_pause(pair.dst->vm, NULL));
    wait_status(out_status, pair.src, MIGRATION_STATUS_POSTCOPY_PAUSED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, pair.dst, MIGRATION_STATUS_POSTCOPY_PAUSED,
                MIGRATION_STATUS_FAILED);
    close(here[1]);
    close(there[1]);

    /* And then it works. */
    pair_recover(&pair);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
    pair_finish(&pair);
    pair_end(&pair);
}

/* A second address takes the place of the first; the same one, too. */
static void test_other_address(void)
{
    g_autofree char *folder = g_dir_make_tmp("godwit-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "sock", NULL);
    g_autofree char *uri = g_strdup_printf("unix:%s", path);
    Pair pair = { 0 };

    begin(&pair);
    pair_cut(&pair, PAIR_CUT_CHANNEL);
    g_assert_true(qmp_migrate_recover(pair.dst->vm, "tcp:127.0.0.1:0", NULL));
    for (int i = 0; i < 3; i++) {
        g_assert_true(qmp_migrate_recover(pair.dst->vm, uri, NULL));
        g_usleep(i * 10000);
    }
    vm_lock(pair.src->vm);
    g_assert_true(qmp_migrate(pair.src->vm, uri, false, NULL, false, false,
                              true, true, NULL));
    vm_unlock(pair.src->vm);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
    pair_finish(&pair);
    pair_end(&pair);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    rmdir(folder);
}

static void assert_refused(bool ok, Error *err, const char *text)
{
    g_assert_false(ok);
    g_assert_nonnull(strstr(err->message, text));
    g_error_free(err);
}

static void test_refused(void)
{
    Error *err = NULL;
    bool ok;
    Pair pair = { 0 };

    pair_begin(&pair);
    ok = qmp_migrate_pause(pair.src->vm, &err);
    assert_refused(ok, g_steal_pointer(&err), "postcopy-active");
    ok = qmp_migrate_recover(pair.dst->vm, "tcp:127.0.0.1:0", &err);
    assert_refused(ok, g_steal_pointer(&err), "is paused");
    vm_lock(pair.src->vm);
    ok = qmp_migrate(pair.src->vm, "tcp:127.0.0.1:1", false, NULL, false,
                     false, true, true, &err);
    vm_unlock(pair.src->vm);
    assert_refused(ok, g_steal_pointer(&err), "no paused migration");
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 16 * MIB);
    pair_to_postcopy(&pair);
    ok = qmp_migrate_recover(pair.dst->vm, "tcp:127.0.0.1:0", &err);
    assert_refused(ok, g_steal_pointer(&err), "is paused");
    pair_cut(&pair, PAIR_CUT_SOURCE);
    ok = qmp_migrate_recover(pair.dst->vm, "file:/tmp/x", &err);
    assert_refused(ok, g_steal_pointer(&err), "needs a socket");
    pair_recover(&pair);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
    pair_finish(&pair);
    pair_end(&pair);
}

/*
 * The source cannot write any more at some byte around the switchover. If the
 * destination has not said that it runs the guest, it goes on at the source.
 */
static void break_at_switchover(unsigned *failed)
{
    IoFault none = { IO_FAULT_NONE, 0, 0 };
    IoFault cut = { IO_FAULT_ERROR, 0, 0 };
    IoChannel *ends[2], *filter;
    Pair pair = { 0 };

    pair_begin(&pair);
    pair_set_area(pair.src, 8);
    pair_set_param(pair.src, MIG_PARAM_MAX_BANDWIDTH, 0);
    pair_set_param(pair.src, MIG_PARAM_DOWNTIME_LIMIT, 0);
    make_pair(ends);
    filter = io_filter_fault_new(ends[0], none, none);
    start_destination(pair.dst, ends[1]);
    start_source(pair.src, io_channel_ref(filter));
    wait_status(out_status, pair.src, MIGRATION_STATUS_ACTIVE,
                MIGRATION_STATUS_FAILED);
    /* It has sent all once, and sends 8 pages now and then. */
    while (io_filter_fault_passed(filter, IO_SHUTDOWN_WRITE) <
           RAM_BYTES / 4 * 3) {
        g_usleep(1000);
    }
    cut.offset = io_filter_fault_passed(filter, IO_SHUTDOWN_WRITE) +
                 g_random_int_range(0, 80000);
    io_filter_fault_set(filter, none, cut);
    vm_lock(pair.src->vm);
    qmp_migrate_start_postcopy(pair.src->vm, NULL);
    vm_unlock(pair.src->vm);
    pair_set_param(pair.src, MIG_PARAM_DOWNTIME_LIMIT, 2000);
    while (out_status(pair.src) != MIGRATION_STATUS_FAILED &&
           out_status(pair.src) != MIGRATION_STATUS_COMPLETED &&
           out_status(pair.src) != MIGRATION_STATUS_POSTCOPY_PAUSED) {
        g_usleep(500);
    }
    if (out_status(pair.src) == MIGRATION_STATUS_FAILED) {
        ++*failed;
        assert_guest_runs(pair.src);
        wait_status(in_status, pair.dst, MIGRATION_STATUS_FAILED,
                    MIGRATION_STATUS_POSTCOPY_PAUSED);
        g_assert_cmpint(in_status(pair.dst), ==, MIGRATION_STATUS_FAILED);
    } else {
        g_assert_cmpint(runstate_get(pair.src->vm), !=, RUN_STATE_RUNNING);
        if (out_status(pair.src) == MIGRATION_STATUS_POSTCOPY_PAUSED) {
            wait_status(in_status, pair.dst, MIGRATION_STATUS_POSTCOPY_PAUSED,
                        MIGRATION_STATUS_FAILED);
            pair_recover(&pair);
        }
        pair_finish(&pair);
    }
    io_channel_unref(filter);
    pair_end(&pair);
}

static void test_broken_at_switchover(void)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < (g_test_thorough() ? 200 : 30); i++) {
        break_at_switchover(&failed);
    }
    g_test_message("%u before the destination ran", failed);
    g_assert_cmpuint(failed, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!pair_can_run()) {
        printf("1..0 # SKIP no userfaultfd\n");
        return 77;
    }
#define ADD(_path, _fn) \
    g_test_add_func("/migration/spec-8/postcopy/" _path, _fn)
#define ADD_DATA(_path, _fn, _data) \
    g_test_add_data_func("/migration/spec-8/postcopy/" _path, \
                         GINT_TO_POINTER(_data), _fn)
    ADD_DATA("pause/source", test_pause, PAIR_CUT_SOURCE);
    ADD_DATA("pause/destination", test_pause, PAIR_CUT_DESTINATION);
    ADD_DATA("pause/network", test_pause, PAIR_CUT_CHANNEL);
    ADD("wrong-connections", test_wrong_connections);
    ADD("other-address", test_other_address);
    ADD("refused", test_refused);
    ADD("broken-at-switchover", test_broken_at_switchover);
    ADD_DATA("many", test_many, 0);
    ADD_DATA("preempt/many", test_many, 1);
    return g_test_run();
}
