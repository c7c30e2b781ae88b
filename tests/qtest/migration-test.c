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

#include "tests/patience.h"

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
    for (int i = 0; i < test_patience(1000); i++) {
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
    for (int i = 0; i < test_patience(500); i++) {
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

/* Begins to move over the socket that the target is told of. */
static void begin(Pair *pair)
{
    incoming(pair, pair->uri);
    migrate(pair, pair->uri);
}

static void begin_and_complete(Pair *pair)
{
    begin(pair);
    await_completed(pair->source);
    check_moved(pair);
}

/* --- transports --- */

static void test_unix(Pair *pair)
{
    begin_and_complete(pair);
}

static void test_tcp_port_zero(Pair *pair)
{
    g_autofree char *uri = NULL;
    json_object *info = qts_qmp_ok(pair->target, "query-migrate", NULL);

    uri = g_strdup_printf("tcp:127.0.0.1:%s", json_object_get_string(
        qts_get(json_object_array_get_idx(qts_get(info, "socket-address"), 0),
                "port")));
    json_object_put(info);
    migrate(pair, uri);
    await_completed(pair->source);
    check_moved(pair);
}

static void test_fd(Pair *pair)
{
    int ends[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    qts_send_fd(pair->source, ends[0]);
    qts_qmp_do(pair->source, "getfd", "{\"fdname\": \"mig\"}");
    qts_send_fd(pair->target, ends[1]);
    qts_qmp_do(pair->target, "getfd", "{\"fdname\": \"mig\"}");
    close(ends[0]);
    close(ends[1]);
    incoming(pair, "fd:mig");
    migrate(pair, "fd:mig");
    await_completed(pair->source);
    check_moved(pair);
}

/* A target that starts when all is saved loads it. */
static void load_and_check(Pair *pair, const char *uri)
{
    pair_target(pair, "-incoming defer");
    incoming(pair, uri);
    await_completed(pair->target);
    check_moved(pair);
}

static void test_file(Pair *pair)
{
    g_autofree char *uri = g_strdup_printf("file:%s/saved", pair->dir);

    migrate(pair, uri);
    await_completed(pair->source);
    load_and_check(pair, uri);
}

static void test_exec(Pair *pair)
{
    g_autofree char *out = g_strdup_printf("exec:cat > %s/saved", pair->dir);
    g_autofree char *in = g_strdup_printf("exec:cat %s/saved", pair->dir);

    migrate(pair, out);
    await_completed(pair->source);
    load_and_check(pair, in);
}

static void test_file_offset(Pair *pair)
{
    g_autofree char *path = g_strdup_printf("%s/saved", pair->dir);
    g_autofree char *uri = g_strdup_printf("file:%s,offset=4096", path);
    g_autofree char *data = NULL;
    char header[4096];
    gsize len;

    memset(header, 'h', sizeof(header));
    g_assert_true(g_file_set_contents(path, header, sizeof(header), NULL));
    migrate(pair, uri);
    await_completed(pair->source);
    g_assert_true(g_file_get_contents(path, &data, &len, NULL));
    g_assert_cmpuint(len, >, sizeof(header));
    g_assert_cmpmem(data, sizeof(header), header, sizeof(header));
    g_assert_cmpmem(data + sizeof(header), 4, "QEVM", 4);
    load_and_check(pair, uri);
}

static void test_channels(Pair *pair)
{
    for (int i = 0; i < 2; i++) {
        qts_qmp_do(i ? pair->source : pair->target,
                   i ? "migrate" : "migrate-incoming",
                   "{\"channels\": [{\"channel-type\": \"main\", \"addr\": "
                   "{\"transport\": \"socket\", \"type\": \"unix\", "
                   "\"path\": \"%s/channel\"}}]}", pair->dir);
    }
    await_completed(pair->source);
    check_moved(pair);
}

/* --- while it runs --- */

static void test_live_parameters(Pair *pair)
{
    json_object *info;

    set_capability(pair->source, "events", true);
    slow_down(pair->source);
    begin(pair);
    json_object_put(qts_wait_status(pair->source, "active"));
    json_object_put(qts_wait_event(pair->source, "MIGRATION_PASS"));
    info = qts_qmp_ok(pair->source, "query-migrate", NULL);
    g_assert_cmpint(json_object_get_int64(qts_get(info, "remaining")), >, 0);
    g_assert_nonnull(qts_get(info, "expected-downtime"));
    json_object_put(info);
    speed_up(pair->source);
    await_completed(pair->source);
    check_moved(pair);
}

static void test_cancel(Pair *pair)
{
    /* With nothing to cancel it succeeds and changes nothing. */
    qts_qmp_do(pair->source, "migrate_cancel", NULL);
    slow_down(pair->source);
    begin(pair);
    json_object_put(qts_wait_status(pair->source, "active"));
    qts_qmp_do(pair->source, "migrate_cancel", NULL);
    json_object_put(qts_wait_status(pair->source, "cancelled"));
    check_guest_runs(pair->source);
    /* The destination cannot go on, and says so by its exit status. */
    g_assert_cmpint(qts_wait_exit(pair->target), ==, 1);

    pair_target(pair, "-incoming defer");
    speed_up(pair->source);
    begin_and_complete(pair);
}

static void test_destination_dies(Pair *pair)
{
    json_object *info;

    slow_down(pair->source);
    begin(pair);
    json_object_put(qts_wait_status(pair->source, "active"));
    qts_kill(g_steal_pointer(&pair->target));
    info = qts_wait_status(pair->source, "failed");
    g_assert_nonnull(qts_get(info, "error-desc"));
    json_object_put(info);
    check_guest_runs(pair->source);
}

static void test_pause_before_switchover(Pair *pair)
{
    set_capability(pair->source, "pause-before-switchover", true);
    begin(pair);
    json_object_put(qts_wait_status(pair->source, "pre-switchover"));
    check_run_state(pair->source, "finish-migrate");
    qts_qmp_do(pair->source, "migrate-continue",
               "{\"state\": \"pre-switchover\"}");
    await_completed(pair->source);
    check_moved(pair);
}

/* Back and forth: each side is both, and a source can run again. */
static void test_resume_at_source(Pair *pair)
{
    begin_and_complete(pair);
    qts_qmp_do(pair->source, "cont", NULL);
    check_guest_runs(pair->source);
}

/* --- errors --- */

static void test_nobody_listens(Pair *pair)
{
    json_object *info;

    set_capability(pair->source, "events", true);
    migrate(pair, pair->uri);
    info = qts_wait_status(pair->source, "failed");
    g_assert_nonnull(qts_get(info, "error-desc"));
    json_object_put(info);
    for (;;) {
        json_object *event = qts_wait_event(pair->source, "MIGRATION");
        g_autofree char *status = g_strdup(json_object_get_string(
            qts_get(event, "data.status")));

        json_object_put(event);
        g_assert_cmpstr(status, !=, "active");
        if (g_str_equal(status, "failed")) {
            break;
        }
    }
    check_guest_runs(pair->source);
}

static void test_bad_addresses(Pair *pair)
{
    static const char *const bad[] = {
        "{}", "{\"uri\": \"nowhere\"}", "{\"uri\": \"tcp:127.0.0.1\"}",
        "{\"uri\": \"unix:\"}", "{\"uri\": \"fd:not-a-name\"}",
        "{\"uri\": \"exec:true\", \"channels\": []}",
        "{\"channels\": []}", "{\"uri\": 7}",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *desc = qts_qmp_error(pair->source, "migrate", "%s",
                                              bad[i]);

        g_test_message("%s: %s", bad[i], desc);
    }
    check_guest_runs(pair->source);
}

/* One is missing, or both are the same. */
static void test_uuid_fits(Pair *pair)
{
    set_capability(pair->source, "validate-uuid", true);
    begin_and_complete(pair);
}

static void test_uuid_differs(Pair *pair)
{
    set_capability(pair->source, "validate-uuid", true);
    begin(pair);
    g_assert_cmpint(qts_wait_exit(g_steal_pointer(&pair->target)), ==, 1);
}

/* --- all of them --- */

/* One test, and the machines that it wants. */
typedef struct Case {
    const char *path;
    uint64_t pages_per_second;  /* of the guest; 0: as fast as it can */
    const char *source;         /* more arguments of the source, or NULL */
    const char *target;         /* ... and of the target; NULL: none yet */
    void (*run)(Pair *pair);
} Case;

static void run_case(gconstpointer opaque)
{
    const Case *c = opaque;
    Pair pair;

    if (!pair_start(&pair, c->pages_per_second, c->source)) {
        return;
    }
    if (c->target) {
        pair_target(&pair, c->target);
    }
    c->run(&pair);
    pair_end(&pair);
}

#define DEFER "-incoming defer"
#define UUID_ONE "-uuid 11111111-1111-1111-1111-111111111111"
#define UUID_TWO "-uuid 22222222-2222-2222-2222-222222222222"

static const Case cases[] = {
    { "transport/unix", 20000, NULL, DEFER, test_unix },
    { "transport/tcp-port-0", 20000, NULL, "-incoming tcp:127.0.0.1:0",
      test_tcp_port_zero },
    { "transport/fd", 20000, NULL, DEFER, test_fd },
    { "transport/file", 20000, NULL, NULL, test_file },
    { "transport/file-offset", 20000, NULL, NULL, test_file_offset },
    { "transport/exec", 20000, NULL, NULL, test_exec },
    { "transport/channels", 20000, NULL, DEFER, test_channels },
    { "live/parameters", 0, NULL, DEFER, test_live_parameters },
    { "live/cancel", 0, NULL, DEFER, test_cancel },
    { "live/destination-dies", 0, NULL, DEFER, test_destination_dies },
    { "live/pause-before-switchover", 20000, NULL, DEFER,
      test_pause_before_switchover },
    { "live/resume-at-source", 20000, NULL, DEFER, test_resume_at_source },
    { "error/nobody-listens", 20000, NULL, NULL, test_nobody_listens },
    { "error/addresses", 20000, NULL, NULL, test_bad_addresses },
    { "uuid/same", 20000, UUID_ONE, DEFER " " UUID_ONE, test_uuid_fits },
    { "uuid/differs", 20000, UUID_ONE, DEFER " " UUID_TWO, test_uuid_differs },
    { "uuid/only-source", 20000, UUID_ONE, DEFER, test_uuid_fits },
    { "uuid/only-target", 20000, NULL, DEFER " " UUID_ONE, test_uuid_fits },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/migration/", cases[i].path,
                                            NULL);

        g_test_add_data_func(path, &cases[i], run_case);
    }
    return g_test_run();
}
