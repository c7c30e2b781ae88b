/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration of real processes, as management software and qtest suites drive
 * it: every transport with a guest whose memory is checked page by page, what
 * the commands answer, and what is left after a failure.
 */
#include "libgodwitqtest.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define AREA_START  (UINT64_C(1) << 20)
#define AREA_BYTES  (UINT64_C(32) << 20)

typedef struct Pair {
    char *dir;
    QtsMachine *source;
    QtsMachine *target;         /* NULL: started later, or none */
    char *uri;
} Pair;

static QtsMachine *start_guest(const char *dir, const char *name,
                               const char *more)
{
    return qts_start_running(
        "-name %s,debug-threads=on -machine virt,memory-backend=mig.mem "
        "-object memory-backend-ram,id=mig.mem,size=64M,share=off "
        "-serial file:%s/%s-serial -bios none -kernel %s/pattern.bin "
        "-accel tcg %s", name, dir, name, dir, more ? more : "");
}

/* Source with a guest that has begun its walk; false if there is no guest. */
static bool pair_start(Pair *pair, uint64_t pages_per_second,
                       const char *source_more)
{
    g_autofree char *image = NULL, *serial = NULL;

    *pair = (Pair) { .dir = qts_tmpdir() };
    image = g_strdup_printf("%s/pattern.bin", pair->dir);
    serial = g_strdup_printf("%s/source-serial", pair->dir);
    pair->uri = g_strdup_printf("unix:%s/migration", pair->dir);
    if (!qts_pattern_image(image, AREA_BYTES, pages_per_second, 20, false)) {
        qts_tmpdir_remove(pair->dir);
        g_free(pair->uri);
        g_test_skip("no pattern guest: no riscv64 cross compiler");
        return false;
    }
    pair->source = start_guest(pair->dir, "source", source_more);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *text = NULL;

        if (g_file_get_contents(serial, &text, NULL, NULL) &&
            strstr(text, "counter 2\n")) {
            return true;
        }
        g_usleep(10000);
    }
    g_error("the guest does not print");
}

static void pair_target(Pair *pair, const char *more)
{
    pair->target = start_guest(pair->dir, "target", more);
}

static void pair_end(Pair *pair)
{
    qts_quit(pair->source);
    qts_quit(pair->target);
    qts_tmpdir_remove(pair->dir);
    g_free(pair->uri);
}

static void set_capability(QtsMachine *m, const char *name, bool on)
{
    qts_qmp_do(m, "migrate-set-capabilities",
               "{\"capabilities\": [{\"capability\": \"%s\", \"state\": %s}]}",
               name, on ? "true" : "false");
}

static void set_parameter(QtsMachine *m, const char *name, uint64_t value)
{
    qts_qmp_do(m, "migrate-set-parameters", "{\"%s\": %" G_GUINT64_FORMAT "}",
               name, value);
}

/* Fast enough to end, slow enough to be watched. */
static void slow_down(QtsMachine *m)
{
    set_parameter(m, "max-bandwidth", 3 << 20);
    set_parameter(m, "downtime-limit", 1);
}

static void speed_up(QtsMachine *m)
{
    set_parameter(m, "max-bandwidth", UINT64_C(1) << 40);
    set_parameter(m, "downtime-limit", 30000);
}

static void check_run_state(QtsMachine *m, const char *expected)
{
    json_object *status = qts_qmp_ok(m, "query-status", NULL);

    g_assert_cmpstr(json_object_get_string(qts_get(status, "status")), ==,
                    expected);
    json_object_put(status);
}

/* The walk goes on: a counter moves within a second. */
static void check_guest_runs(QtsMachine *m)
{
    uint64_t page = QTS_RAM_BASE + AREA_START;

    check_run_state(m, "running");
    for (int i = 0; i < 500; i++) {
        uint64_t before = qts_readq(m, page);

        g_usleep(10000);
        if (qts_readq(m, page) != before) {
            return;
        }
    }
    g_error("the guest stands still");
}

static void await_completed(QtsMachine *m)
{
    json_object_put(qts_wait_status(m, "completed"));
}

static void check_moved(Pair *pair)
{
    check_run_state(pair->source, "postmigrate");
    /* Without a return path the source is done before the destination. */
    await_completed(pair->target);
    check_guest_runs(pair->target);
    qts_qmp_do(pair->target, "stop", NULL);
    qts_check_pattern(pair->target, AREA_START, AREA_BYTES);
}

static void migrate(Pair *pair, const char *uri)
{
    qts_qmp_do(pair->source, "migrate", "{\"uri\": \"%s\"}", uri);
}

static void incoming(Pair *pair, const char *uri)
{
    qts_qmp_do(pair->target, "migrate-incoming", "{\"uri\": \"%s\"}", uri);
}

/* --- transports --- */

static void test_unix(void)
{
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming defer");
    incoming(&pair, pair.uri);
    migrate(&pair, pair.uri);
    await_completed(pair.source);
    check_moved(&pair);
    pair_end(&pair);
}

static void test_tcp_port_zero(void)
{
    g_autofree char *uri = NULL;
    json_object *info;
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming tcp:127.0.0.1:0");
    info = qts_qmp_ok(pair.target, "query-migrate", NULL);
    uri = g_strdup_printf("tcp:127.0.0.1:%s", json_object_get_string(
        qts_get(json_object_array_get_idx(qts_get(info, "socket-address"), 0),
                "port")));
    json_object_put(info);
    migrate(&pair, uri);
    await_completed(pair.source);
    check_moved(&pair);
    pair_end(&pair);
}

static void test_fd(void)
{
    int ends[2];
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming defer");
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    qts_send_fd(pair.source, ends[0]);
    qts_qmp_do(pair.source, "getfd", "{\"fdname\": \"mig\"}");
    qts_send_fd(pair.target, ends[1]);
    qts_qmp_do(pair.target, "getfd", "{\"fdname\": \"mig\"}");
    close(ends[0]);
    close(ends[1]);
    incoming(&pair, "fd:mig");
    migrate(&pair, "fd:mig");
    await_completed(pair.source);
    check_moved(&pair);
    pair_end(&pair);
}

/* Through a file, guest stopped meanwhile at the source or not. */
static void move_through(const char *out, const char *in)
{
    g_autofree char *out_uri = NULL, *in_uri = NULL;
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    out_uri = g_strdup_printf(out, pair.dir);
    in_uri = g_strdup_printf(in, pair.dir);
    migrate(&pair, out_uri);
    await_completed(pair.source);
    pair_target(&pair, "-incoming defer");
    incoming(&pair, in_uri);
    await_completed(pair.target);
    check_moved(&pair);
    pair_end(&pair);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void test_file(void)
{
    move_through("file:%s/saved", "file:%s/saved");
}

static void test_exec(void)
{
    move_through("exec:cat > %s/saved", "exec:cat %s/saved");
}
#pragma GCC diagnostic pop

static void test_file_offset(void)
{
    g_autofree char *path = NULL, *uri = NULL, *data = NULL;
    char header[4096];
    gsize len;
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    path = g_strdup_printf("%s/saved", pair.dir);
    uri = g_strdup_printf("file:%s,offset=4096", path);
    memset(header, 'h', sizeof(header));
    g_assert_true(g_file_set_contents(path, header, sizeof(header), NULL));
    migrate(&pair, uri);
    await_completed(pair.source);
    g_assert_true(g_file_get_contents(path, &data, &len, NULL));
    g_assert_cmpuint(len, >, sizeof(header));
    g_assert_cmpmem(data, sizeof(header), header, sizeof(header));
    g_assert_cmpmem(data + sizeof(header), 4, "QEVM", 4);
    pair_target(&pair, "-incoming defer");
    incoming(&pair, uri);
    await_completed(pair.target);
    check_moved(&pair);
    pair_end(&pair);
}

static void test_channels(void)
{
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming defer");
    for (int i = 0; i < 2; i++) {
        qts_qmp_do(i ? pair.source : pair.target,
                   i ? "migrate" : "migrate-incoming",
                   "{\"channels\": [{\"channel-type\": \"main\", \"addr\": "
                   "{\"transport\": \"socket\", \"type\": \"unix\", "
                   "\"path\": \"%s/channel\"}}]}", pair.dir);
    }
    await_completed(pair.source);
    check_moved(&pair);
    pair_end(&pair);
}

/* --- while it runs --- */

static void test_live_parameters(void)
{
    json_object *info;
    Pair pair;

    if (!pair_start(&pair, 0, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming defer");
    set_capability(pair.source, "events", true);
    slow_down(pair.source);
    incoming(&pair, pair.uri);
    migrate(&pair, pair.uri);
    json_object_put(qts_wait_status(pair.source, "active"));
    json_object_put(qts_wait_event(pair.source, "MIGRATION_PASS"));
    info = qts_qmp_ok(pair.source, "query-migrate", NULL);
    g_assert_cmpint(json_object_get_int64(qts_get(info, "remaining")), >, 0);
    g_assert_nonnull(qts_get(info, "expected-downtime"));
    json_object_put(info);
    speed_up(pair.source);
    await_completed(pair.source);
    check_moved(&pair);
    pair_end(&pair);
}

static void test_cancel(void)
{
    Pair pair;

    if (!pair_start(&pair, 0, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming defer");
    /* With nothing to cancel it succeeds and changes nothing. */
    qts_qmp_do(pair.source, "migrate_cancel", NULL);
    slow_down(pair.source);
    incoming(&pair, pair.uri);
    migrate(&pair, pair.uri);
    json_object_put(qts_wait_status(pair.source, "active"));
    qts_qmp_do(pair.source, "migrate_cancel", NULL);
    json_object_put(qts_wait_status(pair.source, "cancelled"));
    check_guest_runs(pair.source);
    /* The destination cannot go on, and says so by its exit status. */
    g_assert_cmpint(qts_wait_exit(pair.target), ==, 1);

    pair_target(&pair, "-incoming defer");
    speed_up(pair.source);
    incoming(&pair, pair.uri);
    migrate(&pair, pair.uri);
    await_completed(pair.source);
    check_moved(&pair);
    pair_end(&pair);
}

static void test_destination_dies(void)
{
    json_object *info;
    Pair pair;

    if (!pair_start(&pair, 0, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming defer");
    slow_down(pair.source);
    incoming(&pair, pair.uri);
    migrate(&pair, pair.uri);
    json_object_put(qts_wait_status(pair.source, "active"));
    qts_kill(g_steal_pointer(&pair.target));
    info = qts_wait_status(pair.source, "failed");
    g_assert_nonnull(qts_get(info, "error-desc"));
    json_object_put(info);
    check_guest_runs(pair.source);
    pair_end(&pair);
}

static void test_pause_before_switchover(void)
{
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming defer");
    set_capability(pair.source, "pause-before-switchover", true);
    incoming(&pair, pair.uri);
    migrate(&pair, pair.uri);
    json_object_put(qts_wait_status(pair.source, "pre-switchover"));
    check_run_state(pair.source, "finish-migrate");
    qts_qmp_do(pair.source, "migrate-continue",
               "{\"state\": \"pre-switchover\"}");
    await_completed(pair.source);
    check_moved(&pair);
    pair_end(&pair);
}

/* Back and forth: each side is both, and a source can run again. */
static void test_resume_at_source(void)
{
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    pair_target(&pair, "-incoming defer");
    incoming(&pair, pair.uri);
    migrate(&pair, pair.uri);
    await_completed(pair.source);
    check_moved(&pair);
    qts_qmp_do(pair.source, "cont", NULL);
    check_guest_runs(pair.source);
    pair_end(&pair);
}

/* --- errors --- */

static void test_nobody_listens(void)
{
    json_object *info;
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    set_capability(pair.source, "events", true);
    migrate(&pair, pair.uri);
    info = qts_wait_status(pair.source, "failed");
    g_assert_nonnull(qts_get(info, "error-desc"));
    json_object_put(info);
    for (;;) {
        json_object *event = qts_wait_event(pair.source, "MIGRATION");
        g_autofree char *status = g_strdup(json_object_get_string(
            qts_get(event, "data.status")));

        json_object_put(event);
        g_assert_cmpstr(status, !=, "active");
        if (g_str_equal(status, "failed")) {
            break;
        }
    }
    check_guest_runs(pair.source);
    pair_end(&pair);
}

static void test_bad_addresses(void)
{
    static const char *const bad[] = {
        "{}", "{\"uri\": \"nowhere\"}", "{\"uri\": \"tcp:127.0.0.1\"}",
        "{\"uri\": \"unix:\"}", "{\"uri\": \"fd:not-a-name\"}",
        "{\"uri\": \"exec:true\", \"channels\": []}",
        "{\"channels\": []}", "{\"uri\": 7}",
    };
    Pair pair;

    if (!pair_start(&pair, 20000, NULL)) {
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *desc = qts_qmp_error(pair.source, "migrate", "%s",
                                              bad[i]);

        g_test_message("%s: %s", bad[i], desc);
    }
    check_guest_runs(pair.source);
    pair_end(&pair);
}

static void check_uuid(const char *source_uuid, const char *target_uuid,
                       bool fits)
{
    g_autofree char *target_more = NULL;
    Pair pair;

    if (!pair_start(&pair, 20000, source_uuid)) {
        return;
    }
    target_more = g_strdup_printf("-incoming defer %s", target_uuid);
    pair_target(&pair, target_more);
    set_capability(pair.source, "validate-uuid", true);
    incoming(&pair, pair.uri);
    migrate(&pair, pair.uri);
    if (fits) {
        await_completed(pair.source);
        check_moved(&pair);
    } else {
        g_assert_cmpint(qts_wait_exit(g_steal_pointer(&pair.target)), ==, 1);
    }
    pair_end(&pair);
}

#define UUID_ONE "-uuid 11111111-1111-1111-1111-111111111111"
#define UUID_TWO "-uuid 22222222-2222-2222-2222-222222222222"

static void test_uuid_same(void)
{
    check_uuid(UUID_ONE, UUID_ONE, true);
}

static void test_uuid_differs(void)
{
    check_uuid(UUID_ONE, UUID_TWO, false);
}

static void test_uuid_only_source(void)
{
    check_uuid(UUID_ONE, "", true);
}

static void test_uuid_only_target(void)
{
    check_uuid("", UUID_ONE, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/transport/unix", test_unix);
    g_test_add_func("/migration/transport/tcp-port-0", test_tcp_port_zero);
    g_test_add_func("/migration/transport/fd", test_fd);
    g_test_add_func("/migration/transport/file", test_file);
    g_test_add_func("/migration/transport/file-offset", test_file_offset);
    g_test_add_func("/migration/transport/exec", test_exec);
    g_test_add_func("/migration/transport/channels", test_channels);
    g_test_add_func("/migration/live/parameters", test_live_parameters);
    g_test_add_func("/migration/live/cancel", test_cancel);
    g_test_add_func("/migration/live/destination-dies", test_destination_dies);
    g_test_add_func("/migration/live/pause-before-switchover",
                    test_pause_before_switchover);
    g_test_add_func("/migration/live/resume-at-source", test_resume_at_source);
    g_test_add_func("/migration/error/nobody-listens", test_nobody_listens);
    g_test_add_func("/migration/error/addresses", test_bad_addresses);
    g_test_add_func("/migration/uuid/same", test_uuid_same);
    g_test_add_func("/migration/uuid/differs", test_uuid_differs);
    g_test_add_func("/migration/uuid/only-source", test_uuid_only_source);
    g_test_add_func("/migration/uuid/only-target", test_uuid_only_target);
    return g_test_run();
}
