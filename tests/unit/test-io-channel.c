/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Channels of each kind: whole reads and writes, ends, shutdown, commands. */
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>

#include "io/channel.h"
#include "util/thread.h"

#define BIG (4u << 20)

/* Two ends that are connected: what goes into [1] comes out of [0]. */
typedef void (*MakePair)(IoChannel *ends[2]);

static void make_sockets(IoChannel *ends[2])
{
    g_assert_true(io_channel_new_pair(ends, NULL));
}

static void make_pipe(IoChannel *ends[2])
{
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    for (int i = 0; i < 2; i++) {
        ends[i] = io_channel_new_fd(fds[i], "pipe", NULL);
        g_assert_nonnull(ends[i]);
    }
}

static const MakePair pairs[] = { make_sockets, make_pipe };

typedef struct Blocked {
    IoChannel *ch;
    bool writing;
    uint8_t *buf;
    bool ok;
    char *message;
    gint done;
} Blocked;

static gpointer blocked_thread(gpointer opaque)
{
    Blocked *b = opaque;
    g_autoptr(Error) err = NULL;

    b->ok = b->writing ? io_channel_write_all(b->ch, b->buf, BIG, &err)
                       : io_channel_read_all(b->ch, b->buf, BIG, &err);
    b->message = err ? g_strdup(err->message) : NULL;
    g_atomic_int_set(&b->done, 1);
    return NULL;
}

static void check_shutdown_wakes(IoChannel *ch, bool writing)
{
    Blocked b = { .ch = ch, .writing = writing, .buf = g_malloc0(BIG) };
    GThread *thread = thread_start("blocked", blocked_thread, &b);
    uint8_t byte = 0;

    g_usleep(50000);
    g_assert_false(g_atomic_int_get(&b.done));
    io_channel_shutdown(ch, writing ? IO_SHUTDOWN_WRITE : IO_SHUTDOWN_READ);
    g_thread_join(thread);
    g_assert_false(b.ok);
    g_assert_nonnull(strstr(b.message, "channel was shut down"));

    /* And later ones fail at once. */
    g_assert_false(writing ? io_channel_write_all(ch, &byte, 1, NULL)
                           : io_channel_read_all(ch, &byte, 1, NULL));
    g_free(b.message);
    g_free(b.buf);
}

static void test_shutdown(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        for (int writing = 0; writing < 2; writing++) {
            IoChannel *ends[2];

            pairs[i](ends);
            check_shutdown_wakes(ends[writing], writing);
            io_channel_unref(ends[0]);
            io_channel_unref(ends[1]);
        }
    }
}

/* A shutdown of one direction leaves the other alone. */
static void test_shutdown_half(void)
{
    IoChannel *ends[2];
    char buf[2] = "";

    make_sockets(ends);
    io_channel_shutdown(ends[0], IO_SHUTDOWN_READ);
    g_assert_true(io_channel_write_all(ends[0], "ab", 2, NULL));
    g_assert_true(io_channel_read_all(ends[1], buf, 2, NULL));
    g_assert_cmpmem(buf, 2, "ab", 2);
    io_channel_unref(ends[0]);
    io_channel_unref(ends[1]);
}

static void test_end(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        IoChannel *ends[2];
        Error *err = NULL;
        char buf[8];
        struct iovec iov = { buf, sizeof(buf) };

        pairs[i](ends);
        g_assert_true(io_channel_write_all(ends[1], "abc", 3, NULL));
        g_assert_true(io_channel_close(ends[1], NULL));
        g_assert_true(io_channel_close(ends[1], NULL));
        g_assert_false(io_channel_write_all(ends[1], "x", 1, NULL));

        g_assert_false(io_channel_read_all(ends[0], buf, 8, &err));
        g_assert_nonnull(strstr(err->message, "3 of 8 bytes"));
        g_clear_error(&err);
        g_assert_cmpint(io_channel_readv(ends[0], &iov, 1, NULL), ==, 0);

        io_channel_unref(ends[0]);
        io_channel_unref(ends[1]);
    }
}

/* A reader that is gone is an error to the writer, not a signal. */
static void test_broken(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        IoChannel *ends[2];
        g_autoptr(Error) err = NULL;

        pairs[i](ends);
        g_assert_true(io_channel_close(ends[0], NULL));
        g_assert_false(io_channel_write_all(ends[1], "x", 1, &err));
        g_assert_nonnull(err);
        io_channel_unref(ends[0]);
        io_channel_unref(ends[1]);
    }
}

static gpointer read_big(gpointer opaque)
{
    uint8_t *buf = g_malloc(BIG);

    g_assert_true(io_channel_read_all(opaque, buf, BIG, NULL));
    return buf;
}

/* Many entries, more than the kernel takes at once, empty ones between. */
static void test_writev_all(void)
{
    const size_t n = 3000;
    g_autofree struct iovec *iov = g_new0(struct iovec, n);
    g_autofree struct iovec *before = NULL;
    g_autofree uint8_t *data = g_malloc(BIG);
    g_autofree uint8_t *got = NULL;
    IoChannel *ends[2];
    GThread *reader;
    size_t at = 0;

    for (size_t i = 0; i < BIG; i++) {
        data[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    for (size_t i = 0; i < n; i++) {
        size_t len = i % 5 == 0 ? 0 : (i * 37) % 2000;

        iov[i].iov_base = data + at;
        iov[i].iov_len = i == n - 1 ? BIG - at : len;
        at += iov[i].iov_len;
    }
    before = g_memdup2(iov, n * sizeof(*iov));
    make_pipe(ends);
    reader = thread_start("reader", read_big, ends[0]);
    g_assert_true(io_channel_writev_all(ends[1], iov, n, NULL));
    got = g_thread_join(reader);
    g_assert_cmpmem(got, BIG, data, BIG);
    g_assert_cmpmem(iov, n * sizeof(*iov), before, n * sizeof(*iov));
    io_channel_unref(ends[0]);
    io_channel_unref(ends[1]);
}

static void test_fds(void)
{
    IoChannel *ends[2], *p[2], *copy;
    struct iovec iov = { (char *)"m", 1 };
    char buf[4];
    struct iovec in = { buf, sizeof(buf) };
    int fds[2], got[1];
    size_t n = 1;

    make_sockets(ends);
    make_pipe(p);
    fds[0] = fds[1] = io_channel_fd(p[1]);
    g_assert_cmpint(io_channel_writev_fds(ends[1], &iov, 1, fds, 2, NULL),
                    ==, 1);
    g_assert_cmpint(io_channel_readv_fds(ends[0], &in, 1, got, &n, NULL),
                    ==, 1);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpint(fcntl(got[0], F_GETFD), ==, FD_CLOEXEC);
    copy = io_channel_new_fd(got[0], "copy", NULL);
    g_assert_true(io_channel_write_all(copy, "x", 1, NULL));
    g_assert_true(io_channel_read_all(p[0], buf, 1, NULL));

    /* All writers closed, the one for which there was no room included. */
    io_channel_unref(copy);
    io_channel_unref(p[1]);
    g_assert_cmpint(io_channel_readv(p[0], &in, 1, NULL), ==, 0);

    n = 1;
    g_assert_cmpint(io_channel_writev_fds(p[0], &iov, 1, fds, 1, NULL), ==,
                    -1);
    io_channel_unref(p[0]);
    io_channel_unref(ends[0]);
    io_channel_unref(ends[1]);
}

static void test_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("godwit-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "f", NULL);
    g_autoptr(IoChannel) out = NULL;
    g_autoptr(IoChannel) in = NULL;
    Error *err = NULL;
    uint64_t now = 0;
    char buf[8] = "";
    int fd;

    g_assert_null(io_channel_new_file(path, O_RDONLY, 0, &err));
    g_assert_nonnull(strstr(err->message, path));
    g_clear_error(&err);

    out = io_channel_new_file(path, O_RDWR | O_CREAT, 0600, NULL);
    g_assert_nonnull(out);
    g_assert_true(io_channel_write_all(out, "0123456789", 10, NULL));
    g_assert_true(io_channel_pwrite_all(out, "ab", 2, 4, NULL));
    g_assert_true(io_channel_seek(out, 0, SEEK_CUR, &now, NULL));
    g_assert_cmpuint(now, ==, 10);
    g_assert_true(io_channel_pread_all(out, buf, 4, 3, NULL));
    g_assert_cmpmem(buf, 4, "3ab6", 4);
    g_assert_false(io_channel_pread_all(out, buf, 4, 8, NULL));
    g_assert_false(io_channel_pread_all(out, buf, 4, UINT64_MAX, NULL));
    g_assert_true(io_channel_close(out, NULL));

    /* Read on from where the descriptor stands. */
    fd = open(path, O_RDONLY);
    g_assert_cmpint(lseek(fd, 4, SEEK_SET), ==, 4);
    in = io_channel_new_fd(fd, "inherited", NULL);
    g_assert_true(io_channel_read_all(in, buf, 3, NULL));
    g_assert_cmpmem(buf, 3, "ab6", 3);
    g_remove(path);
    g_rmdir(dir);
}

static void test_buffer(void)
{
    g_autoptr(IoChannel) ch = io_channel_new_buffer();
    const uint8_t *data;
    char buf[8];
    size_t len;
    uint64_t now;

    g_assert_true(io_channel_write_all(ch, "hello", 5, NULL));
    g_assert_true(io_channel_read_all(ch, buf, 5, NULL));
    g_assert_cmpmem(buf, 5, "hello", 5);
    g_assert_false(io_channel_read_all(ch, buf, 1, NULL));
    g_assert_true(io_channel_pwrite_all(ch, "x", 1, 7, NULL));
    data = io_channel_buffer_data(ch, &len);
    g_assert_cmpmem(data, len, "hello\0\0x", 8);
    g_assert_false(io_channel_pwrite_all(ch, "x", 1, UINT64_MAX, NULL));
    g_assert_true(io_channel_seek(ch, -1, SEEK_END, &now, NULL));
    g_assert_cmpuint(now, ==, 7);
    g_assert_false(io_channel_seek(ch, -9, SEEK_END, &now, NULL));
    io_channel_shutdown(ch, IO_SHUTDOWN_BOTH);
    g_assert_false(io_channel_write_all(ch, "x", 1, NULL));
}

static void test_command(void)
{
    IoChannel *ch;
    Error *err = NULL;
    char buf[8];
    gint64 start;

    ch = io_channel_new_command("echo hello", O_RDONLY, NULL);
    g_assert_true(io_channel_read_all(ch, buf, 6, NULL));
    g_assert_cmpmem(buf, 6, "hello\n", 6);
    g_assert_false(io_channel_read_all(ch, buf, 1, NULL));
    g_assert_true(io_channel_close(ch, NULL));
    io_channel_unref(ch);

    ch = io_channel_new_command("read x; test \"$x\" = ok", O_WRONLY, NULL);
    g_assert_true(io_channel_write_all(ch, "ok\n", 3, NULL));
    g_assert_true(io_channel_close(ch, NULL));
    io_channel_unref(ch);

    ch = io_channel_new_command("cat >/dev/null; exit 3", O_WRONLY, NULL);
    g_assert_false(io_channel_close(ch, &err));
    g_assert_nonnull(strstr(err->message, "status 3"));
    g_clear_error(&err);
    io_channel_unref(ch);

    /* One that does not end is ended, its children too. */
    start = g_get_monotonic_time();
    ch = io_channel_new_command("sleep 100 | sleep 100", O_RDONLY, NULL);
    check_shutdown_wakes(ch, false);
    g_assert_false(io_channel_close(ch, &err));
    g_assert_nonnull(strstr(err->message, "signal 15"));
    g_clear_error(&err);
    io_channel_unref(ch);

    ch = io_channel_new_command("sleep 100", O_WRONLY, NULL);
    io_channel_unref(ch);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 20 * G_USEC_PER_SEC);
}

static void test_bad_fd(void)
{
    g_autoptr(Error) err = NULL;
    int fd = open("/dev/null", O_RDONLY);

    close(fd);
    g_assert_null(io_channel_new_fd(fd, "nothing", &err));
    g_assert_nonnull(strstr(err->message, "nothing"));
}

/* How many of the first @pages of the file the host has in its cache. */
static unsigned cached_pages(int fd, unsigned pages)
{
    size_t page = sysconf(_SC_PAGESIZE);
    void *map = mmap(NULL, pages * page, PROT_READ, MAP_SHARED, fd, 0);
    unsigned char there[8];
    unsigned count = 0;

    g_assert_true(map != MAP_FAILED && pages <= sizeof(there));
    g_assert_cmpint(mincore(map, pages * page, there), ==, 0);
    munmap(map, pages * page);
    for (unsigned i = 0; i < pages; i++) {
        count += there[i] & 1;
    }
    return count;
}

/* Past the cache where all is aligned, and as ever where it is not. */
static void test_direct(void)
{
    g_autofree char *path = g_strdup("/var/tmp/test-io-direct-XXXXXX");
    g_autoptr(Error) err = NULL;
    IoChannel *ends[2], *ch;
    int fd = g_mkstemp(path);
    struct statfs fs;
    uint8_t *buf = aligned_alloc(IO_DIRECT_ALIGN, 8 * IO_DIRECT_ALIGN);
    uint8_t got[100];

    g_assert_nonnull(buf);
    memset(buf, 0x5a, 8 * IO_DIRECT_ALIGN);
    g_assert_cmpint(fstatfs(fd, &fs), ==, 0);
    ch = io_channel_new_fd(dup(fd), "file", NULL);
    if (fs.f_type == TMPFS_MAGIC || !io_channel_set_direct(ch, &err)) {
        g_test_skip("/var/tmp has a cache only");
    } else {
        g_assert_true(io_channel_pwrite_all(ch, buf, 4 * IO_DIRECT_ALIGN, 0,
                                            NULL));
        g_assert_cmpuint(cached_pages(fd, 4), ==, 0);
        g_assert_true(io_channel_pread_all(ch, buf + 4 * IO_DIRECT_ALIGN,
                                           4 * IO_DIRECT_ALIGN, 0, NULL));
        g_assert_cmpuint(cached_pages(fd, 4), ==, 0);
        g_assert_cmpmem(buf, 4 * IO_DIRECT_ALIGN, buf + 4 * IO_DIRECT_ALIGN,
                        4 * IO_DIRECT_ALIGN);
        g_assert_true(io_channel_pwrite_all(ch, "odd", 3, 4095, NULL));
        g_assert_cmpuint(cached_pages(fd, 4), >, 0);
        g_assert_true(io_channel_pread_all(ch, got, 5, 4094, NULL));
        g_assert_cmpmem(got, 5, "ZoddZ", 5);
        g_assert_cmpint(io_channel_pread_all(ch, buf, 4096, 4 * 4096, &err), ==,
                        false);
    }
    io_channel_unref(ch);
    close(fd);
    unlink(path);
    free(buf);

    make_sockets(ends);
    g_clear_error(&err);
    g_assert_false(io_channel_set_direct(ends[0], &err));
    g_assert_nonnull(strstr(err->message, "needs a regular file"));
    io_channel_unref(ends[0]);
    io_channel_unref(ends[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    g_test_add_func("/io/shutdown", test_shutdown);
    g_test_add_func("/io/shutdown-half", test_shutdown_half);
    g_test_add_func("/io/end", test_end);
    g_test_add_func("/io/broken", test_broken);
    g_test_add_func("/io/writev-all", test_writev_all);
    g_test_add_func("/io/fds", test_fds);
    g_test_add_func("/io/file", test_file);
    g_test_add_func("/io/direct", test_direct);
    g_test_add_func("/io/buffer", test_buffer);
    g_test_add_func("/io/command", test_command);
    g_test_add_func("/io/bad-fd", test_bad_fd);
    return g_test_run();
}
