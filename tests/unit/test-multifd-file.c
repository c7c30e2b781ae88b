/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory to a file by several threads and from there: the file is that of one
 * thread, whoever reads it.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "migration-loopback.h"
#include "migration/multifd-file.h"

static char *dir;

static char *path_of(const char *name)
{
    return g_strdup_printf("%s/%s", dir, name);
}

static void set_up(Side *s, unsigned channels)
{
    MigOptions *o = &s->vm->migration->options;

    o->caps[MIGRATION_CAPABILITY_RETURN_PATH] = false;
    o->caps[MIGRATION_CAPABILITY_MAPPED_RAM] = true;
    o->caps[MIGRATION_CAPABILITY_MULTIFD] = channels > 0;
    if (channels) {
        o->params[MIG_PARAM_MULTIFD_CHANNELS] = channels;
    }
}

static void save(Side *src, const char *path)
{
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    Error *err = NULL;
    MigrationInfo *info;
    bool ok;

    vm_lock(src->vm);
    ok = qmp_migrate(src->vm, uri, false, NULL, false, false, false, false,
                     &err);
    vm_unlock(src->vm);
    g_assert_no_error(err);
    g_assert_true(ok);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    info = query(src);
    g_assert_cmpstr(info->error_desc, ==, NULL);
    qapi_free_MigrationInfo(info);
}

static void start_load(Side *dst, const char *path)
{
    g_autofree char *uri = g_strdup_printf("file:%s", path);

    start_incoming(dst, uri);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
}

static void load_and_compare(Side *src, const char *path, unsigned channels)
{
    Side *dst = side_new_destination();
    MigrationInfo *info;

    set_up(dst, channels);
    /* Where the source has zeros there is something here. */
    for (uint64_t p = 0; p < PAGES; p += 2) {
        memset(dst->rb->host + p * GUEST_PAGE_SIZE, 0xee, GUEST_PAGE_SIZE);
    }
    start_load(dst, path);
    info = query(dst);
    g_assert_cmpstr(info->error_desc, ==, NULL);
    qapi_free_MigrationInfo(info);
    g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_COMPLETED);
    assert_same_memory(src, dst);
    side_free(dst);
}

static void test_round_trip(gconstpointer opaque)
{
    ZeroPageDetection who = GPOINTER_TO_UINT(opaque);
    Side *src = side_new_source();
    g_autofree char *path = path_of("guest");
    MigrationInfo *info;

    set_up(src, 5);
    src->vm->migration->options.params[MIG_PARAM_ZERO_PAGE_DETECTION] = who;
    save(src, path);
    info = query(src);
    g_assert_cmpuint(info->ram->multifd_bytes, >=, RAM_BYTES / 4 * 3 -
                     64 * GUEST_PAGE_SIZE);
    g_assert_cmpint(info->ram->duplicate, >=,
                    who == ZERO_PAGE_DETECTION_NONE ? 0 : (int64_t)PAGES / 8);
    qapi_free_MigrationInfo(info);
    load_and_compare(src, path, 0);
    load_and_compare(src, path, 1);
    load_and_compare(src, path, 8);
    load_and_compare(src, path, 255);
    g_unlink(path);
    side_free(src);
}

/* A guest that stands still gives the same file, byte for byte. */
static void test_same_file(void)
{
    Side *src = side_new_source();
    g_autofree char *one = path_of("one"), *many = path_of("many");
    g_autofree char *a = NULL, *b = NULL;
    gsize a_len, b_len;

    vm_lock(src->vm);
    vm_stop(src->vm, RUN_STATE_PAUSED);
    vm_unlock(src->vm);
    set_up(src, 0);
    save(src, one);
    vm_lock(src->vm);
    runstate_set(src->vm, RUN_STATE_PAUSED);
    vm_unlock(src->vm);
    set_up(src, 4);
    save(src, many);
    g_assert_true(g_file_get_contents(one, &a, &a_len, NULL));
    g_assert_true(g_file_get_contents(many, &b, &b_len, NULL));
    g_assert_cmpmem(a, a_len, b, b_len);
    load_and_compare(src, one, 3);
    g_unlink(one);
    g_unlink(many);
    side_free(src);
}

static void test_direct_io(void)
{
    Side *src = side_new_source(), *dst;
    g_autofree char *path = path_of("direct");
    g_autoptr(IoChannel) probe = io_channel_new_file(
        path, O_RDWR | O_CREAT, 0600, NULL);
    Error *err = NULL;

    if (!io_channel_set_direct(probe, &err)) {
        g_test_skip(err->message);
        g_error_free(err);
        side_free(src);
        return;
    }
    set_up(src, 3);
    src->vm->migration->options.params[MIG_PARAM_DIRECT_IO] = true;
    save(src, path);
    dst = side_new_destination();
    set_up(dst, 4);
    dst->vm->migration->options.params[MIG_PARAM_DIRECT_IO] = true;
    start_load(dst, path);
    g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_COMPLETED);
    assert_same_memory(src, dst);
    g_unlink(path);
    side_free(dst);
    side_free(src);
}

static void test_cancel(void)
{
    Side *src = side_new_source();
    g_autofree char *path = path_of("cancelled");
    g_autofree char *uri = g_strdup_printf("file:%s", path);

    set_up(src, 4);
    for (unsigned i = 0; i < 20; i++) {
        vm_lock(src->vm);
        g_assert_true(qmp_migrate(src->vm, uri, false, NULL, false, false,
                                  false, false, NULL));
        vm_unlock(src->vm);
        g_usleep(g_test_rand_int_range(0, 8000));
        cancel(src);
        wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                    MIGRATION_STATUS_COMPLETED);
        if (out_status(src) == MIGRATION_STATUS_COMPLETED) {
            vm_lock(src->vm);
            vm_start(src->vm);
            vm_unlock(src->vm);
        }
        assert_guest_runs(src);
    }
    save(src, path);
    load_and_compare(src, path, 2);
    g_unlink(path);
    side_free(src);
}

/* The pool by itself: a place behind the file's end. */
static void test_read_beyond(void)
{
    Side *src = side_new_source();
    g_autofree char *path = path_of("short");
    g_autoptr(IoChannel) ch = NULL;
    MultiFDRead *r;
    Error *err = NULL;

    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
    ch = io_channel_new_file(path, O_RDONLY, 0, NULL);
    r = multifd_read_new(src->vm, ch, 3);
    vm_lock(src->vm);
    multifd_read_pages(r, src->rb, 65 * GUEST_PAGE_SIZE, GUEST_PAGE_SIZE,
                       4096);
    g_assert_false(multifd_read_end(r, &err));
    vm_unlock(src->vm);
    g_assert_nonnull(strstr(err->message, "unexpected end of"));
    g_error_free(err);
    g_unlink(path);
    side_free(src);
}

/* A place has the size of a page. */
static void test_refused_with_compression(void)
{
    Side *src = side_new_source();
    g_autofree char *path = path_of("zlib");
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    Error *err = NULL;

    set_up(src, 2);
    src->vm->migration->options.params[MIG_PARAM_MULTIFD_COMPRESSION] =
        MULTI_FD_COMPRESSION_ZLIB;
    vm_lock(src->vm);
    g_assert_false(qmp_migrate(src->vm, uri, false, NULL, false, false, false,
                               false, &err));
    vm_unlock(src->vm);
    g_assert_nonnull(strstr(err->message, "'multifd-compression' is 'zlib'"));
    g_error_free(err);
    g_unlink(path);
    side_free(src);
}

int main(int argc, char **argv)
{
    int res;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("multifd-file-XXXXXX", NULL);
    for (unsigned i = 0; i < ZERO_PAGE_DETECTION__MAX; i++) {
        g_autofree char *name = g_strdup_printf(
            "/migration/multifd-file/round-trip/%s", ZeroPageDetection_str(i));

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_round_trip);
    }
    g_test_add_func("/migration/multifd-file/same-file", test_same_file);
    g_test_add_func("/migration/multifd-file/direct-io", test_direct_io);
    g_test_add_func("/migration/spec-8/multifd-file/cancel", test_cancel);
    g_test_add_func("/migration/multifd-file/read-beyond", test_read_beyond);
    g_test_add_func("/migration/multifd-file/compression",
                    test_refused_with_compression);
    res = g_test_run();
    g_rmdir(dir);
    g_free(dir);
    return res;
}
