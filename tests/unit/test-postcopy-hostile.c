/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a source may send to a destination that can go into postcopy. Before the
 * guest runs a wrong byte ends the migration; afterwards it ends the
 * connection. GODWIT_WRITE_SEEDS=FOLDER writes each stream there, for the
 * fuzzer (tests/fuzz/fuzz-postcopy.c).
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration-postcopy.h"
#include "postcopy-stream.h"

static void do_not_leave(uint64_t pages)
{
    (void)pages;
}

static bool waits_for_more(Side *dst)
{
    MigrationStatus now = in_status(dst);

    return now != MIGRATION_STATUS_FAILED &&
           now != MIGRATION_STATUS_POSTCOPY_ACTIVE &&
           now != MIGRATION_STATUS_POSTCOPY_PAUSED &&
           now != MIGRATION_STATUS_COMPLETED;
}

/*
 * The first so many bytes, and the rest when something has come of them; then
 * nothing more. A guest is not taken over from a source that has hung up.
 */
static void send_to(Side *dst, int fd, const GByteArray *bytes, uint64_t first)
{
    for (guint at = 0; at < bytes->len;) {
        uint64_t len = (at < first ? first : bytes->len) - at;
        ssize_t n = send(fd, bytes->data + at, len, MSG_NOSIGNAL);

        if (n <= 0) {
            break;              /* it has given up already */
        }
        at += n;
        for (unsigned i = 0; at >= first && i < 200 && waits_for_more(dst);
             i++) {
            g_usleep(1000);
        }
    }
    shutdown(fd, SHUT_WR);
}

static void check_error(Side *dst, const char *pattern)
{
    MigrationInfo *info = query(dst);

    g_assert_nonnull(info->error_desc);
    if (!g_pattern_match_simple(pattern, info->error_desc)) {
        g_test_message("'%s' does not match '%s'", info->error_desc, pattern);
        g_test_fail();
    }
    qapi_free_MigrationInfo(info);
}

/* It has been told already why the connection before this one broke. */
static void wait_for_error(Side *dst, const char *pattern)
{
    bool matches = false;

    for (unsigned i = 0; i < 10000 && !matches; i++) {
        MigrationInfo *info = query(dst);

        matches = info->error_desc &&
                  g_pattern_match_simple(pattern, info->error_desc);
        qapi_free_MigrationInfo(info);
        g_usleep(1000);
    }
    g_assert_true(matches);
}

static void check_memory(Side *dst)
{
    vm_lock(dst->vm);
    vm_stop(dst->vm, RUN_STATE_PAUSED);
    vm_unlock(dst->vm);
    for (uint64_t p = 0; p < PAGES; p++) {
        uint8_t want = p == 1 || p == 2 ? 0x5a : 0;

        g_assert_cmphex(dst->rb->host[p * GUEST_PAGE_SIZE + 100], ==, want);
        g_assert_cmphex(dst->rb->host[p * GUEST_PAGE_SIZE + 4095], ==, want);
    }
}

/* @message: what it ends with; NULL: all is well. */
static void second_connection(Side *dst, const GByteArray *bytes,
                              const char *message)
{
    g_autofree char *uri = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    uri = g_strdup_printf("fd:%d", fds[0]);
    g_assert_true(qmp_migrate_recover(dst->vm, uri, NULL));
    send_to(dst, fds[1], bytes, bytes->len);
    if (message) {
        wait_for_error(dst, message);
        wait_status(in_status, dst, MIGRATION_STATUS_POSTCOPY_PAUSED,
                    MIGRATION_STATUS_FAILED);
    } else {
        wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                    MIGRATION_STATUS_FAILED);
    }
    close(fds[1]);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GByteArray) first = g_byte_array_new();
    g_autoptr(GByteArray) second = g_byte_array_new();
    const PostcopyCase *c = data;
    Side *dst = side_new_destination();
    IoChannel *end;
    int fds[2];

    pair_set_area(dst, 1);
    __atomic_store_n(&dst->sleep_us, 1000, __ATOMIC_RELAXED);
    dst->vm->migration->leave = do_not_leave;
    pair_set_cap(dst, MIGRATION_CAPABILITY_POSTCOPY_RAM, true);
    c->build(first, second, PAGES);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    end = io_channel_new_fd(fds[0], "source", NULL);
    start_destination(dst, end);
    send_to(dst, fds[1], first,
            c->runs ? postcopy_running_length(PAGES) : first->len);
    wait_status(in_status, dst, c->runs && (c->message || second->len)
                ? MIGRATION_STATUS_POSTCOPY_PAUSED
                : MIGRATION_STATUS_COMPLETED, MIGRATION_STATUS_FAILED);
    if (second->len) {
        g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_POSTCOPY_PAUSED);
        second_connection(dst, second, c->message);
    }
    if (c->message) {
        g_assert_cmpint(in_status(dst), ==, c->runs
                        ? MIGRATION_STATUS_POSTCOPY_PAUSED
                        : MIGRATION_STATUS_FAILED);
        check_error(dst, c->message);
    } else {
        g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_COMPLETED);
        check_memory(dst);
    }
    close(fds[1]);
    side_free(dst);
}

/* ---- what a destination may answer ---- */

typedef struct Answer {
    const char *name;
    uint16_t type, len;
    const char *bytes;          /* of them */
    const char *message;
} Answer;

#define BE64_0 "\0\0\0\0\0\0\0\0"
#define BE32_4096 "\0\0\x10\0"

static const Answer answers[] = {
    { "request-early", 3, 16, BE64_0 BE32_4096 "\3mem",
      "*asks for pages before it has been told to run*" },
    { "request-short", 3, 13, BE64_0 BE32_4096 "\0",
      "*REQ_PAGES_ID with 13 bytes; it has 14 or more*" },
    { "request-name", 3, 16, BE64_0 BE32_4096 "\7mem", "*name of 7 bytes in 4*" },
    { "request-long", 4, 13, BE64_0 BE32_4096 "\0", "*REQ_PAGES with 13*" },
    { "bitmap", 5, 4, "\3mem", "*bitmap of RAM block 'mem', which was not*" },
    { "bitmap-empty", 5, 1, "\0", "*RECV_BITMAP with 1 bytes*" },
    { "resume-ack", 6, 4, "\0\0\0\2", "*RESUME_ACK says 2; 1*" },
    { "unknown", 8, 0, "", "*unknown message 8*" },
};

/* The guest goes on at the source, which says what was wrong. */
static void test_answer(gconstpointer data)
{
    const Answer *a = data;
    uint8_t head[4] = { a->type >> 8, a->type, a->len >> 8, a->len };
    Side *src = side_new_source();
    IoChannel *ends[2];
    MigrationInfo *info;

    pair_set_cap(src, MIGRATION_CAPABILITY_POSTCOPY_RAM, true);
    make_pair(ends);
    g_assert_true(io_channel_write_all(ends[1], head, sizeof(head), NULL));
    g_assert_true(io_channel_write_all(ends[1], a->bytes, a->len, NULL));
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    info = query(src);
    if (!g_pattern_match_simple(a->message, info->error_desc)) {
        g_test_message("'%s' does not match '%s'", info->error_desc,
                       a->message);
        g_test_fail();
    }
    qapi_free_MigrationInfo(info);
    assert_guest_runs(src);
    io_channel_unref(ends[1]);
    side_free(src);
}

/* Which pages may be asked for. */
static void test_requests(void)
{
    static const struct {
        const char *id;
        uint64_t offset, len;
        const char *message;    /* NULL: well */
    } asked[] = {
        { "mem", 0, 4096, NULL },
        { "mem", RAM_BYTES - 4096, 4096, NULL },
        { "rom", 0, 4096, "*'rom'*does not have*" },
        { "mem", RAM_BYTES, 4096, "*0x1000 bytes at 0x1000000*" },
        { "mem", 0, 0, "*0x0 bytes*" },
        { "mem", 1, 4096, "*at 0x1 of*" },
        { "mem", 0, 100, "*0x64 bytes*" },
        { "mem", 4096, UINT64_MAX - 4095, "*at 0x1000 of*" },
    };
    Side *src = side_new_source();
    Ram *ram = src->vm->migration->ram;
    Error *err = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(asked); i++) {
        bool ok = ram_postcopy_request(ram, asked[i].id, asked[i].offset,
                                       asked[i].len, &err);

        g_assert_cmpint(ok, ==, !asked[i].message);
        if (!ok && !g_pattern_match_simple(asked[i].message, err->message)) {
            g_test_message("'%s'", err->message);
            g_test_fail();
        }
        g_clear_error(&err);
    }
    /* More than anybody could be waiting for: refused, not grown. */
    for (unsigned n = 2; n < 4096; n++) {
        g_assert_true(ram_postcopy_request(ram, "mem", 0, 4096, NULL));
    }
    g_assert_false(ram_postcopy_request(ram, "mem", 0, 4096, &err));
    g_assert_nonnull(strstr(err->message, "more than 4096 pages"));
    g_clear_error(&err);
    side_free(src);
}

/* As the fuzzer reads it: the length of the first connection, and both. */
static void write_seeds(const char *folder)
{
    for (const PostcopyCase *c = postcopy_cases; c->name; c++) {
        g_autoptr(GByteArray) first = g_byte_array_new();
        g_autoptr(GByteArray) second = g_byte_array_new();
        g_autoptr(GByteArray) all = g_byte_array_new();
        g_autofree char *name = g_strdelimit(g_strdup(c->name), "_", '-');
        g_autofree char *path = g_build_filename(folder, name, NULL);
        uint8_t head[2];

        c->build(first, second, 6);
        head[0] = first->len >> 8;
        head[1] = first->len;
        g_byte_array_append(all, head, sizeof(head));
        g_byte_array_append(all, first->data, first->len);
        g_byte_array_append(all, second->data, second->len);
        g_assert_true(g_file_set_contents(path, (char *)all->data, all->len,
                                          NULL));
    }
}

int main(int argc, char **argv)
{
    const char *seeds = g_getenv("GODWIT_WRITE_SEEDS");

    g_test_init(&argc, &argv, NULL);
    if (seeds) {
        write_seeds(seeds);
    }
    if (!pair_can_run()) {
        printf("1..0 # SKIP no userfaultfd\n");
        return 77;
    }
    for (const PostcopyCase *c = postcopy_cases; c->name; c++) {
        g_autofree char *path = g_strdup_printf("/migration/postcopy/hostile/"
                                                "%s", c->name);

        g_test_add_data_func(path, c, test_case);
    }
    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_autofree char *path = g_strdup_printf("/migration/postcopy/hostile/"
                                                "answer/%s", answers[i].name);

        g_test_add_data_func(path, &answers[i], test_answer);
    }
    g_test_add_func("/migration/postcopy/hostile/requests", test_requests);
    return g_test_run();
}
