/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filters: what they pass, hold back and break, and that they can be ended. */
#include <string.h>

#include <glib.h>

#include "io/filter.h"
#include "util/thread.h"

static const IoFault none = { IO_FAULT_NONE, 0, 0 };

static IoChannel *filled(const char *text)
{
    IoChannel *ch = io_channel_new_buffer();

    g_assert_true(io_channel_write_all(ch, text, strlen(text), NULL));
    return ch;
}

static void test_short(void)
{
    IoFault fault = { IO_FAULT_SHORT, 4, 3 };
    g_autoptr(IoChannel) f = io_filter_fault_new(filled("0123456789"), fault,
                                                 none);
    char buf[16];
    struct iovec iov[2] = { { buf, 2 }, { buf + 2, 14 } };

    g_assert_cmpint(io_channel_readv(f, iov, 2, NULL), ==, 2);
    g_assert_cmpint(io_channel_readv(f, iov + 1, 1, NULL), ==, 2);
    g_assert_cmpint(io_channel_readv(f, iov + 1, 1, NULL), ==, 3);
    g_assert_true(io_channel_read_all(f, buf, 3, NULL));
    g_assert_cmpmem(buf, 3, "789", 3);
    g_assert_cmpuint(io_filter_fault_passed(f, IO_SHUTDOWN_READ), ==, 10);
}

static void test_error(void)
{
    IoFault fault = { IO_FAULT_ERROR, 6, 0 };
    g_autoptr(IoChannel) f = io_filter_fault_new(filled("0123456789"), fault,
                                                 fault);
    g_autoptr(Error) err = NULL;
    char buf[16];

    g_assert_true(io_channel_read_all(f, buf, 6, NULL));
    g_assert_false(io_channel_read_all(f, buf, 1, &err));
    g_assert_nonnull(strstr(err->message, "byte 6"));
    g_assert_false(io_channel_write_all(f, "0123456789", 10, NULL));
    g_assert_cmpuint(io_filter_fault_passed(f, IO_SHUTDOWN_WRITE), ==, 6);
}

static void test_end(void)
{
    IoFault fault = { IO_FAULT_END, 2, 0 };
    g_autoptr(IoChannel) f = io_filter_fault_new(filled("0123"), fault, fault);
    char buf[4];
    struct iovec iov = { buf, 4 };

    g_assert_cmpint(io_channel_readv(f, &iov, 1, NULL), ==, 2);
    g_assert_cmpint(io_channel_readv(f, &iov, 1, NULL), ==, 0);
    g_assert_false(io_channel_write_all(f, "abcd", 4, NULL));
}

static void test_corrupt(void)
{
    IoFault fault = { IO_FAULT_CORRUPT, 5, 1 };
    IoChannel *buffer = io_channel_new_buffer();
    g_autoptr(IoChannel) f = io_filter_fault_new(buffer, none, fault);
    char text[] = "0000000000";
    struct iovec iov[3] = { { text, 2 }, { text + 2, 2 }, { text + 4, 6 } };
    const uint8_t *data;
    size_t len;

    g_assert_true(io_channel_writev_all(f, iov, 3, NULL));
    data = io_channel_buffer_data(buffer, &len);
    g_assert_cmpmem(data, len, "0000010000", 10);
    g_assert_cmpstr(text, ==, "0000000000");

    io_filter_fault_set(f, (IoFault){ IO_FAULT_CORRUPT, 0, 0 }, none);
    g_assert_true(io_channel_read_all(f, text, 10, NULL));
    g_assert_cmpint((uint8_t)text[0], ==, '0' ^ 0xff);
    g_assert_cmpint(text[5], ==, '1');
}

typedef struct Reader {
    IoChannel *ch;
    bool ok;
    char buf[4];
} Reader;

static gpointer reader_thread(gpointer opaque)
{
    Reader *r = opaque;

    r->ok = io_channel_read_all(r->ch, r->buf, sizeof(r->buf), NULL);
    return NULL;
}

static void test_stall(void)
{
    IoFault fault = { IO_FAULT_STALL, 2, 0 };
    Reader r = { .ch = io_filter_fault_new(filled("01234567"), fault, none) };
    GThread *thread = thread_start("reader", reader_thread, &r);

    g_usleep(30000);
    g_assert_cmpuint(io_filter_fault_passed(r.ch, IO_SHUTDOWN_READ), ==, 2);
    io_filter_fault_set(r.ch, none, none);
    g_thread_join(thread);
    g_assert_true(r.ok);
    g_assert_cmpmem(r.buf, 4, "0123", 4);

    io_filter_fault_set(r.ch, fault, none);
    thread = thread_start("reader", reader_thread, &r);
    g_usleep(30000);
    io_channel_shutdown(r.ch, IO_SHUTDOWN_BOTH);
    g_thread_join(thread);
    g_assert_false(r.ok);
    io_channel_unref(r.ch);
}

static void test_delay(void)
{
    g_autoptr(IoChannel) f = io_filter_delay_new(filled("01234567"), 20000000,
                                                 0);
    gint64 start = g_get_monotonic_time();
    Reader r = { .ch = f };
    GThread *thread;
    char buf[4];

    g_assert_true(io_channel_read_all(f, buf, 4, NULL));
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 20000);

    io_filter_delay_set(f, UINT64_C(3600000000000), 0);
    thread = thread_start("reader", reader_thread, &r);
    g_usleep(20000);
    io_channel_shutdown(f, IO_SHUTDOWN_READ);
    g_thread_join(thread);
    g_assert_false(r.ok);
}

static void test_limit(void)
{
    IoChannel *buffer = io_channel_new_buffer();
    g_autoptr(IoChannel) f = io_filter_limit_new(buffer, 0, 10000000);
    g_autofree char *data = g_malloc0(2000000);
    gint64 start = g_get_monotonic_time(), took;
    size_t len;

    /* 2 MB at 10 MB/s: 200 ms, the last piece of 10 ms is not waited for. */
    g_assert_true(io_channel_write_all(f, data, 2000000, NULL));
    took = g_get_monotonic_time() - start;
    g_assert_cmpint(took, >=, 185000);
    io_channel_buffer_data(buffer, &len);
    g_assert_cmpuint(len, ==, 2000000);

    io_filter_limit_set(f, 0, 0);
    start = g_get_monotonic_time();
    g_assert_true(io_channel_write_all(f, data, 2000000, NULL));
    g_assert_cmpint(g_get_monotonic_time() - start, <, took);
}

static void test_stack(void)
{
    IoFault fault = { IO_FAULT_SHORT, 0, 1 };
    g_autoptr(IoChannel) f = io_filter_delay_new(
        io_filter_fault_new(filled("abcd"), fault, none), 1000, 1000);
    char buf[4];

    g_assert_true(io_channel_read_all(f, buf, 4, NULL));
    g_assert_cmpmem(buf, 4, "abcd", 4);
    g_assert_true(io_channel_pread_all(f, buf, 2, 2, NULL));
    g_assert_cmpmem(buf, 2, "cd", 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/filter/short", test_short);
    g_test_add_func("/filter/error", test_error);
    g_test_add_func("/filter/end", test_end);
    g_test_add_func("/filter/corrupt", test_corrupt);
    g_test_add_func("/filter/stall", test_stall);
    g_test_add_func("/filter/delay", test_delay);
    g_test_add_func("/filter/limit", test_limit);
    g_test_add_func("/filter/stack", test_stack);
    return g_test_run();
}
