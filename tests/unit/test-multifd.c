/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory over several channels, source and destination in one process: what
 * arrives is what there was, cancel and death at any moment leave one guest
 * that runs, and two sides that do not agree find out.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "io/socket.h"
#include "migration-loopback.h"
#include "tests/patience.h"

static char *dir, *uri;

static void use_multifd(Side *s, unsigned channels)
{
    MigOptions *o = &s->vm->migration->options;

    o->caps[MIGRATION_CAPABILITY_MULTIFD] = channels > 0;
    if (channels) {
        o->params[MIG_PARAM_MULTIFD_CHANNELS] = channels;
    }
}

static void set_zero_detection(Side *s, ZeroPageDetection who)
{
    s->vm->migration->options.params[MIG_PARAM_ZERO_PAGE_DETECTION] = who;
}

static void migrate_to(Side *src)
{
    Error *err = NULL;
    bool ok;

    vm_lock(src->vm);
    ok = qmp_migrate(src->vm, uri, false, NULL, false, false, false, false,
                     &err);
    vm_unlock(src->vm);
    g_assert_no_error(err);
    g_assert_true(ok);
}

static void wait_both(Side *src, Side *dst)
{
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
}

static void assert_no_failure(Side *s)
{
    MigrationInfo *info = query(s);

    g_assert_cmpstr(info->error_desc, ==, NULL);
    qapi_free_MigrationInfo(info);
}

/* ---- when all is well ---- */

static Side *new_destination(unsigned channels)
{
    Side *dst = side_new_destination();

    use_multifd(dst, channels);
    dst->vm->migration->multifd_missing_ns = 200 * 1000 * 1000;
    return dst;
}

static void migrate_here(Side *src, unsigned channels)
{
    Side *dst = new_destination(channels);

    use_multifd(src, channels);
    start_incoming(dst, uri);
    migrate_to(src);
    wait_both(src, dst);
    assert_no_failure(src);
    assert_no_failure(dst);
    g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_COMPLETED);
    assert_guest_runs(dst);
    assert_same_memory(src, dst);
    side_free(dst);
}

static void test_channels(gconstpointer channels)
{
    Side *src = side_new_source();

    migrate_here(src, GPOINTER_TO_UINT(channels));
    side_free(src);
}

static void test_zero_pages(gconstpointer who)
{
    Side *src = side_new_source();
    MigrationInfo *info;

    set_zero_detection(src, GPOINTER_TO_UINT(who));
    migrate_here(src, 3);
    info = query(src);
    if (GPOINTER_TO_UINT(who) == ZERO_PAGE_DETECTION_NONE) {
        g_assert_cmpint(info->ram->duplicate, ==, 0);
        g_assert_cmpint(info->ram->normal, >=, (int64_t)PAGES);
        g_assert_cmpuint(info->ram->multifd_bytes, >=, RAM_BYTES);
    } else {
        g_assert_cmpint(info->ram->duplicate, >=, (int64_t)PAGES / 4 - 64);
        g_assert_cmpint(info->ram->normal, >=, (int64_t)PAGES / 4 * 3 - 64);
        g_assert_cmpuint(info->ram->multifd_bytes, <, RAM_BYTES);
    }
    g_assert_cmpuint(info->ram->multifd_bytes, >=, RAM_BYTES / 4 * 3 -
                     64 * GUEST_PAGE_SIZE);
    g_assert_cmpint(info->ram->transferred, >,
                    (int64_t)info->ram->multifd_bytes);
    g_assert_cmpint(info->ram->transferred, ==,
                    (int64_t)(info->ram->precopy_bytes +
                              info->ram->downtime_bytes));
    g_assert_cmpint(info->ram->remaining, ==, 0);
    qapi_free_MigrationInfo(info);
    side_free(src);
}

static void test_without_return_path(void)
{
    Side *src = side_new_source();

    src->vm->migration->options.caps[MIGRATION_CAPABILITY_RETURN_PATH] =
        false;
    migrate_here(src, 4);
    side_free(src);
}

static void set_compression(Side *s, MultiFDCompression how, uint64_t level)
{
    uint64_t *params = s->vm->migration->options.params;

    params[MIG_PARAM_MULTIFD_COMPRESSION] = how;
    params[MIG_PARAM_MULTIFD_ZLIB_LEVEL] = MIN(level, 9);
    params[MIG_PARAM_MULTIFD_ZSTD_LEVEL] = level;
}

static void test_compression(gconstpointer how)
{
    Side *src = side_new_source(), *dst = new_destination(3);
    MigrationInfo *info;

    use_multifd(src, 3);
    set_compression(src, GPOINTER_TO_UINT(how), 3);
    set_compression(dst, GPOINTER_TO_UINT(how), 0);
    start_incoming(dst, uri);
    migrate_to(src);
    wait_both(src, dst);
    assert_no_failure(src);
    assert_no_failure(dst);
    assert_guest_runs(dst);
    assert_same_memory(src, dst);
    info = query(src);
    /* The guest's pages are but numbers that count up. */
    g_assert_cmpuint(info->ram->multifd_bytes, <, RAM_BYTES / 2);
    g_assert_cmpint(info->ram->normal, >=, (int64_t)PAGES / 4 * 3 - 64);
    qapi_free_MigrationInfo(info);
    side_free(dst);
    side_free(src);
}

/* Pages become zero and something again, round after round. */
typedef struct Toggler {
    Side *s;
    int stop;                   /* atomic */
} Toggler;

static gpointer toggle(gpointer opaque)
{
    Toggler *t = opaque;
    uint8_t *base = t->s->rb->host;

    for (unsigned n = 0; !__atomic_load_n(&t->stop, __ATOMIC_RELAXED); n++) {
        uint64_t page = 256 + n % 512;

        memset(base + page * GUEST_PAGE_SIZE, n / 512 % 2 ? n : 0,
               GUEST_PAGE_SIZE);
        memory_mark_dirty(t->s->rb, page * GUEST_PAGE_SIZE, GUEST_PAGE_SIZE);
        if (n % 64 == 0) {
            g_usleep(100);
        }
    }
    return NULL;
}

/*
 * Every page is sent many times, over any channel, and the last one counts:
 * none overtakes another.
 */
static void test_order(gconstpointer who)
{
    Side *src = side_new_source(), *dst = new_destination(7);
    Toggler t = { .s = src };
    GThread *thread;

    use_multifd(src, 7);
    set_zero_detection(src, GPOINTER_TO_UINT(who));
    src->vm->migration
        ->options.caps[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = true;
    src->vm->migration->options.params[MIG_PARAM_DOWNTIME_LIMIT] = 0;
    start_incoming(dst, uri);
    thread = g_thread_new("toggle", toggle, &t);
    migrate_to(src);
    g_usleep(300000);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_ACTIVE);
    vm_lock(src->vm);
    src->vm->migration->options.params[MIG_PARAM_DOWNTIME_LIMIT] = 2000;
    migration_kick(src->vm->migration);
    vm_unlock(src->vm);
    wait_status(out_status, src, MIGRATION_STATUS_PRE_SWITCHOVER,
                MIGRATION_STATUS_FAILED);
    /* As a device would: before the guest's memory is looked at last. */
    __atomic_store_n(&t.stop, 1, __ATOMIC_RELAXED);
    g_thread_join(thread);
    vm_lock(src->vm);
    g_assert_true(qmp_migrate_continue(src->vm,
                                       MIGRATION_STATUS_PRE_SWITCHOVER, NULL));
    vm_unlock(src->vm);
    wait_both(src, dst);
    assert_no_failure(src);
    assert_guest_runs(dst);
    assert_same_memory(src, dst);
    side_free(dst);
    side_free(src);
}

static void test_rate(void)
{
    Side *src = side_new_source(), *dst = new_destination(8);
    MigrationInfo *info;

    use_multifd(src, 8);
    src->vm->migration->options.params[MIG_PARAM_MAX_BANDWIDTH] = 4 * MIB;
    src->vm->migration->options.params[MIG_PARAM_DOWNTIME_LIMIT] = 0;
    start_incoming(dst, uri);
    migrate_to(src);
    wait_status(out_status, src, MIGRATION_STATUS_ACTIVE,
                MIGRATION_STATUS_FAILED);
    g_usleep(1000000);
    info = query(src);
    /* A second, a window, and what a batch may have too much. */
    g_assert_cmpint(info->ram->transferred, <, (int64_t)(7 * MIB));
    g_assert_cmpint(info->ram->transferred, >, (int64_t)(MIB / 2));
    qapi_free_MigrationInfo(info);
    cancel(src);
    wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                MIGRATION_STATUS_FAILED);
    settle(src, dst);
    side_free(dst);
    side_free(src);
}

/* ---- two sides that do not agree ---- */

static void assert_error(Side *s, const char *pattern)
{
    MigrationInfo *info = query(s);

    g_assert_nonnull(info->error_desc);
    if (!g_pattern_match_simple(pattern, info->error_desc)) {
        g_test_message("'%s' does not match '%s'", info->error_desc, pattern);
        g_test_fail();
    }
    qapi_free_MigrationInfo(info);
}

static void migrate_fails(unsigned src_channels, unsigned dst_channels,
                          const char *src_pattern, const char *dst_pattern)
{
    Side *src = side_new_source(), *dst = new_destination(dst_channels);

    use_multifd(src, src_channels);
    start_incoming(dst, uri);
    migrate_to(src);
    wait_both(src, dst);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_FAILED);
    g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_FAILED);
    assert_error(src, src_pattern);
    assert_error(dst, dst_pattern);
    assert_guest_runs(src);
    side_free(dst);
    migrate_here(src, 2);
    side_free(src);
}

/* Its further connections are refused, or the stream shows it. */
static void test_source_only(void)
{
    migrate_fails(2, 0, "*", "*");
}

static void test_destination_only(void)
{
    migrate_fails(0, 2, "*", "*'multifd' is off at the source and on here*");
}

/*
 * The last one is refused: by its id, or because nobody listens any more. (The
 * id by itself is in test-multifd-accept.c.)
 */
static void test_one_channel_too_many(void)
{
    migrate_fails(3, 2, "*", "*");
}

static void test_one_channel_too_few(void)
{
    migrate_fails(2, 3, "*", "*2 of 3 multifd channels have come*");
}

static void test_other_compression(void)
{
    Side *src = side_new_source(), *dst = new_destination(2);

    use_multifd(src, 2);
    set_compression(src, MULTI_FD_COMPRESSION_ZSTD, 1);
    start_incoming(dst, uri);
    migrate_to(src);
    wait_both(src, dst);
    assert_error(dst, "*name compression 2; 0 is expected "
                 "(multifd-compression must be the same*");
    settle(src, dst);
    side_free(dst);
    side_free(src);
}

static void test_other_uuid(void)
{
    Side *src = side_new_source(), *dst = new_destination(2);

    use_multifd(src, 2);
    memset(src->vm->uuid, 0xab, 16);
    start_incoming(dst, uri);
    migrate_to(src);
    wait_both(src, dst);
    assert_error(dst, "*UUID abababab-abab-abab-abab-abababababab; "
                 "00000000-0000-0000-0000-000000000000*");
    settle(src, dst);
    side_free(dst);
    side_free(src);
}

/* One connection is not several. */
static void test_refused(void)
{
    static const char *const bad[] = {
        "exec:cat > /dev/null", "file:/dev/null", "fd:1000000",
    };
    Side *src = side_new_source();
    Error *err = NULL;

    use_multifd(src, 2);
    vm_lock(src->vm);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(qmp_migrate(src->vm, bad[i], false, NULL, false, false,
                                   false, false, &err));
        if (i < 2) {
            g_assert_nonnull(strstr(err->message, "capability 'multifd'"));
        }
        g_clear_error(&err);
    }
    vm_unlock(src->vm);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_NONE);
    side_free(src);
}

/* ---- giving up ---- */

static void test_cancel(void)
{
    Side *src = side_new_source();

    use_multifd(src, 4);
    for (unsigned i = 0; i < 30; i++) {
        Side *dst = new_destination(4);

        start_incoming(dst, uri);
        migrate_to(src);
        g_usleep(g_test_rand_int_range(0, 12000));
        cancel(src);
        wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                    MIGRATION_STATUS_COMPLETED);
        settle(src, dst);
        side_free(dst);
    }
    migrate_here(src, 4);
    side_free(src);
}

/* Nobody reads the channels: all of them are blocked in their write. */
static void test_cancel_blocked(void)
{
    Side *src = side_new_source();
    SocketAddress *addr = io_socket_parse(uri, NULL);
    int fd = io_socket_listen(addr, 16, NULL);
    int64_t begun;

    g_assert_cmpint(fd, >=, 0);
    src->vm->migration->options.caps[MIGRATION_CAPABILITY_RETURN_PATH] =
        false;
    use_multifd(src, 8);
    migrate_to(src);
    wait_status(out_status, src, MIGRATION_STATUS_ACTIVE,
                MIGRATION_STATUS_FAILED);
    g_usleep(100000);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_ACTIVE);
    begun = g_get_monotonic_time();
    cancel(src);
    wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(g_get_monotonic_time() - begun, <,
                    test_patience(2 * G_USEC_PER_SEC));
    assert_guest_runs(src);
    close(fd);
    g_unlink(addr->u.q_unix.path);
    qapi_free_SocketAddress(addr);
    src->vm->migration->options.caps[MIGRATION_CAPABILITY_RETURN_PATH] = true;
    migrate_here(src, 8);
    side_free(src);
}

/* The program ends at the destination while channels wait for packets. */
static void test_destination_stops(void)
{
    Side *src = side_new_source(), *dst = new_destination(3);

    use_multifd(src, 3);
    src->vm->migration->options.params[MIG_PARAM_MAX_BANDWIDTH] = 2 * MIB;
    start_incoming(dst, uri);
    migrate_to(src);
    wait_status(out_status, src, MIGRATION_STATUS_ACTIVE,
                MIGRATION_STATUS_FAILED);
    g_usleep(50000);
    side_free(dst);
    wait_status(out_status, src, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_FAILED);
    assert_guest_runs(src);
    src->vm->migration->options.params[MIG_PARAM_MAX_BANDWIDTH] = 0;
    migrate_here(src, 3);
    side_free(src);
}

/* Nobody has come yet. */
static void test_destination_stops_early(void)
{
    Side *dst = new_destination(3);

    start_incoming(dst, uri);
    g_usleep(10000);
    side_free(dst);
}

int main(int argc, char **argv)
{
    int res;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("multifd-XXXXXX", NULL);
    uri = g_strdup_printf("unix:%s/socket", dir);
    for (unsigned i = 0; i < 4; i++) {
        static const unsigned channels[] = { 1, 2, 8, 255 };
        g_autofree char *path = g_strdup_printf(
            "/migration/multifd/channels/%u", channels[i]);

        g_test_add_data_func(path, GUINT_TO_POINTER(channels[i]),
                             test_channels);
    }
    for (unsigned i = 0; i < ZERO_PAGE_DETECTION__MAX; i++) {
        g_autofree char *zero = g_strdup_printf(
            "/migration/multifd/zero-pages/%s", ZeroPageDetection_str(i));
        g_autofree char *order = g_strdup_printf(
            "/migration/multifd/order/%s", ZeroPageDetection_str(i));

        g_test_add_data_func(zero, GUINT_TO_POINTER(i), test_zero_pages);
        g_test_add_data_func(order, GUINT_TO_POINTER(i), test_order);
    }
    g_test_add_func("/migration/multifd/without-return-path",
                    test_without_return_path);
    g_test_add_func("/migration/multifd/rate", test_rate);
    g_test_add_func("/migration/multifd/disagree/source-only",
                    test_source_only);
    g_test_add_func("/migration/multifd/disagree/destination-only",
                    test_destination_only);
    g_test_add_func("/migration/multifd/disagree/one-channel-too-many",
                    test_one_channel_too_many);
    g_test_add_func("/migration/multifd/disagree/one-channel-too-few",
                    test_one_channel_too_few);
    for (unsigned i = MULTI_FD_COMPRESSION_ZLIB;
         i < MULTI_FD_COMPRESSION__MAX; i++) {
        g_autofree char *path = g_strdup_printf(
            "/migration/multifd/compression/%s", MultiFDCompression_str(i));

        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_compression);
    }
    g_test_add_func("/migration/multifd/disagree/compression",
                    test_other_compression);
    g_test_add_func("/migration/multifd/disagree/uuid", test_other_uuid);
    g_test_add_func("/migration/multifd/refused", test_refused);
    g_test_add_func("/migration/spec-8/multifd/cancel", test_cancel);
    g_test_add_func("/migration/spec-8/multifd/cancel-blocked",
                    test_cancel_blocked);
    g_test_add_func("/migration/spec-8/multifd/destination-stops",
                    test_destination_stops);
    g_test_add_func("/migration/spec-8/multifd/destination-stops-early",
                    test_destination_stops_early);
    res = g_test_run();
    g_rmdir(dir);
    g_free(dir);
    g_free(uri);
    return res;
}
