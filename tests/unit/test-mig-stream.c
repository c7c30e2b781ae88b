/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream: values arrive as they were written, errors stay and say where,
 * what is counted is what left, and a blocked thread can be told to stop.
 */
#include <string.h>

#include "migration-util.h"
#include "util/thread.h"

/* A clock that the test moves, and a channel that takes time to write. */
typedef struct TestClock {
    Clock clock;
    int64_t ns;
} TestClock;

static int64_t test_now(Clock *clock)
{
    return ((TestClock *)clock)->ns;
}

typedef struct SlowChannel {
    IoChannel ch;
    TestClock *clock;
    int64_t ns_per_byte;
    size_t most;                /* bytes a call takes */
    uint64_t taken;
    uint64_t fail_after;        /* bytes; 0: never */
} SlowChannel;

static ssize_t slow_writev(IoChannel *ch, const struct iovec *iov, size_t n,
                           Error **errp)
{
    SlowChannel *slow = (SlowChannel *)ch;
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        len += iov[i].iov_len;
    }
    len = MIN(len, slow->most);
    if (slow->fail_after && slow->taken + len > slow->fail_after) {
        error_setg(errp, "the wire is cut");
        return -1;
    }
    slow->clock->ns += len * slow->ns_per_byte;
    slow->taken += len;
    return len;
}

static void slow_shutdown(IoChannel *ch, IoShutdown how)
{
    (void)ch;
    (void)how;
}

static bool slow_close(IoChannel *ch, Error **errp)
{
    (void)ch;
    (void)errp;
    return true;
}

static void slow_finalize(IoChannel *ch)
{
    (void)ch;
}

static const IoChannelOps slow_ops = {
    .name = "slow",
    .writev = slow_writev,
    .shutdown = slow_shutdown,
    .close = slow_close,
    .finalize = slow_finalize,
};

static SlowChannel *slow_channel(TestClock *clock, int64_t ns_per_byte,
                                 size_t most)
{
    SlowChannel *slow = g_new0(SlowChannel, 1);

    io_channel_init(&slow->ch, &slow_ops, "slow");
    clock->clock.now_ns = test_now;
    slow->clock = clock;
    slow->ns_per_byte = ns_per_byte;
    slow->most = most;
    return slow;
}

static void test_values(void)
{
    IoChannel *ch = io_channel_new_buffer();
    MigStream *out = mig_stream_new_output(ch, clock_host());
    MigStream *in;
    char str[MIG_COUNTED_STRING_SIZE];
    uint8_t buf[5];
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    size_t len;

    mig_put_u8(out, 0xab);
    mig_put_be16(out, 0x1234);
    mig_put_be32(out, 0x89abcdef);
    mig_put_be64(out, UINT64_C(0xfedcba9876543210));
    mig_put_buffer(out, "hello", 5);
    mig_put_counted_string(out, "name");
    g_assert_cmpuint(mig_stream_offset(out), ==, 1 + 2 + 4 + 8 + 5 + 5);
    g_assert_true(mig_stream_flush(out, NULL));
    g_assert_cmpmem(io_channel_buffer_data(ch, &len), 25,
                    "\xab\x12\x34\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32"
                    "\x10hello\4name", 25);
    g_assert_cmpuint(len, ==, 25);

    in = mig_stream_new_input(ch);
    g_assert_true(mig_get_u8(in, &u8, NULL));
    g_assert_cmphex(u8, ==, 0xab);
    g_assert_true(mig_get_be16(in, &u16, NULL));
    g_assert_cmphex(u16, ==, 0x1234);
    g_assert_true(mig_get_be32(in, &u32, NULL));
    g_assert_cmphex(u32, ==, 0x89abcdef);
    g_assert_true(mig_get_be64(in, &u64, NULL));
    g_assert_cmphex(u64, ==, UINT64_C(0xfedcba9876543210));
    g_assert_true(mig_get_buffer(in, buf, 5, NULL));
    g_assert_cmpmem(buf, 5, "hello", 5);
    g_assert_true(mig_stream_peek(in, 0, &u8));
    g_assert_cmpuint(u8, ==, 4);
    g_assert_true(mig_stream_peek(in, 4, &u8));
    g_assert_cmpuint(u8, ==, 'e');
    g_assert_false(mig_stream_peek(in, 5, &u8));
    g_assert_true(mig_stream_check(in, NULL));
    g_assert_true(mig_get_counted_string(in, str, NULL));
    g_assert_cmpstr(str, ==, "name");
    g_assert_cmpuint(mig_stream_offset(in), ==, 25);
    mig_stream_free(in);
    mig_stream_free(out);
    io_channel_unref(ch);
}

/* Random mixtures of small values and queued memory, around every limit. */
static void test_mixture(void)
{
    size_t size = 4 * 1024 * 1024;
    g_autofree uint8_t *memory = g_malloc(size);
    g_autoptr(GByteArray) want = g_byte_array_new();
    IoChannel *ch = io_channel_new_buffer();
    MigStream *out = mig_stream_new_output(ch, clock_host());
    MigStream *in;
    MigStreamCounters counters;
    size_t len;

    for (size_t i = 0; i < size; i++) {
        memory[i] = g_test_rand_int();
    }
    for (int i = 0; i < 20000; i++) {
        size_t at = g_test_rand_int_range(0, size - 300000);
        size_t n = g_test_rand_int_range(0, i % 1000 == 7 ? 300000 : 200);

        if (g_test_rand_bit()) {
            mig_put_buffer(out, memory + at, n);
        } else {
            mig_put_buffer_nocopy(out, memory + at, n);
        }
        g_byte_array_append(want, memory + at, n);
    }
    g_assert_true(mig_stream_flush(out, NULL));
    g_assert_cmpuint(mig_stream_offset(out), ==, want->len);
    mig_stream_counters(out, &counters);
    g_assert_cmpuint(counters.sent_bytes, ==, want->len);
    io_channel_buffer_data(ch, &len);
    g_assert_cmpuint(len, ==, want->len);

    in = mig_stream_new_input(ch);
    for (size_t at = 0; at < want->len;) {
        size_t n = g_test_rand_int_range(1, g_test_rand_int_range(2, 400000));
        g_autofree uint8_t *buf = g_malloc(n);
        uint8_t first;

        n = MIN(n, want->len - at);
        if (g_test_rand_bit()) {
            g_assert_true(mig_stream_peek(in, 0, &first));
            g_assert_cmphex(first, ==, want->data[at]);
        }
        if (g_test_rand_bit()) {
            g_assert_true(mig_get_buffer(in, buf, n, NULL));
            g_assert_true(memcmp(buf, want->data + at, n) == 0);
        } else {
            g_assert_true(mig_skip(in, n, NULL));
        }
        at += n;
    }
    g_assert_cmpuint(mig_stream_offset(in), ==, want->len);
    mig_stream_free(in);
    mig_stream_free(out);
    io_channel_unref(ch);
}

/* Queued memory is read when it leaves, not when it is queued. */
static void test_nocopy(void)
{
    IoChannel *ch = io_channel_new_buffer();
    MigStream *out = mig_stream_new_output(ch, clock_host());
    uint8_t page[64] = { 1 };
    size_t len;

    mig_put_buffer_nocopy(out, page, sizeof(page));
    page[0] = 2;
    g_assert_true(mig_stream_flush(out, NULL));
    g_assert_cmpuint(io_channel_buffer_data(ch, &len)[0], ==, 2);
    mig_stream_free(out);
    io_channel_unref(ch);
}

/* Section 8: the reason names section and offset, and is the first one. */
static void test_write_error(void)
{
    TestClock clock = { .ns = 1 };
    SlowChannel *slow = slow_channel(&clock, 0, SIZE_MAX);
    MigStream *out = mig_stream_new_output(&slow->ch, &clock.clock);
    g_autofree uint8_t *page = g_malloc0(4096);
    Error *err = NULL;

    slow->fail_after = 100000;
    mig_stream_set_section(out, "0000:00:02.0/nic", 3);
    for (int i = 0; i < 5000; i++) {
        mig_put_be64(out, i);
        mig_put_buffer_nocopy(out, page, 4096);
    }
    g_assert_false(mig_stream_check(out, &err));
    g_assert_true(g_pattern_match_simple(
        "migration stream, section '0000:00:02.0/nic' instance 3, offset *: "
        "the wire is cut", err->message));
    g_clear_error(&err);
    mig_stream_fail(out, &err, "another");
    g_assert_nonnull(strstr(err->message, "the wire is cut"));
    g_clear_error(&err);
    g_assert_false(mig_stream_flush(out, &err));
    g_clear_error(&err);
    mig_stream_free(out);
    io_channel_unref(&slow->ch);
}

static void test_read_error(void)
{
    IoChannel *ch = test_channel((const uint8_t *)"abcdef", 6);
    MigStream *in = mig_stream_new_input(ch);
    Error *err = NULL;
    uint64_t val;
    uint8_t byte;

    mig_stream_set_section(in, "ram", 0);
    g_assert_true(mig_get_u8(in, &byte, NULL));
    g_assert_false(mig_get_be64(in, &val, &err));
    g_assert_cmpstr(err->message, ==, "migration stream, section 'ram' "
                    "instance 0, offset 1: the stream ended 5 bytes into a "
                    "value of 8");
    g_clear_error(&err);
    g_assert_false(mig_get_u8(in, &byte, &err));
    g_assert_nonnull(strstr(err->message, "offset 1:"));
    g_clear_error(&err);
    g_assert_false(mig_stream_peek(in, 0, &byte));
    mig_stream_free(in);
    io_channel_unref(ch);
}

static void test_names(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *message;
    } bad[] = {
        { "\0", 1, "an empty name" },
        { "\3a\0b", 4, "zero byte" },
        { "\3ab", 3, "ended 2 bytes into a value of 3" },
        { "\377abc", 4, "ended 3 bytes into a value of 255" },
        { "", 0, "ended 0 bytes" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        IoChannel *ch = test_channel((const uint8_t *)bad[i].bytes,
                                     bad[i].len);
        MigStream *in = mig_stream_new_input(ch);
        char str[MIG_COUNTED_STRING_SIZE];
        Error *err = NULL;

        g_assert_false(mig_get_counted_string(in, str, &err));
        g_assert_nonnull(strstr(err->message, bad[i].message));
        g_error_free(err);
        mig_stream_free(in);
        io_channel_unref(ch);
    }
}

/*
 * Section 3: bytes that left over time spent sending. Idle time does not
 * count, partial writes do at once.
 */
static void test_counters(void)
{
    TestClock clock = { .ns = 1000 };
    SlowChannel *slow = slow_channel(&clock, 10, 1000);
    MigStream *out = mig_stream_new_output(&slow->ch, &clock.clock);
    MigStreamCounters c;
    uint8_t buf[5000] = { 0 };

    mig_stream_counters(out, &c);
    g_assert_cmpuint(c.sent_bytes, ==, 0);
    g_assert_cmpuint(c.send_ns, ==, 0);
    mig_put_buffer(out, buf, sizeof(buf));
    mig_stream_counters(out, &c);
    g_assert_cmpuint(c.sent_bytes, ==, 0);      /* queued only */
    clock.ns += 1000000000;
    mig_stream_flush(out, NULL);
    clock.ns += 1000000000;
    mig_stream_counters(out, &c);
    g_assert_cmpuint(c.sent_bytes, ==, 5000);
    g_assert_cmpuint(c.send_ns, ==, 50000);
    g_assert_true(mig_stream_flush(out, NULL));
    mig_stream_counters(out, &c);
    g_assert_cmpuint(c.send_ns, ==, 50000);
    mig_stream_free(out);
    io_channel_unref(&slow->ch);
}

static void test_rate(void)
{
    TestClock clock = { .ns = 0 };
    SlowChannel *slow = slow_channel(&clock, 0, SIZE_MAX);
    MigStream *out = mig_stream_new_output(&slow->ch, &clock.clock);
    g_autofree uint8_t *buf = g_malloc0(1000000);
    const int64_t ms = 1000000;

    /* no limit */
    mig_put_buffer(out, buf, 1000000);
    g_assert_false(mig_stream_rate_exceeded(out));
    g_assert_cmpint(mig_stream_rate_wait_ns(out), ==, 0);

    /* what went before the limit is not held against it */
    mig_stream_set_rate_limit(out, 1000000);    /* 100000 a window */
    g_assert_false(mig_stream_rate_exceeded(out));
    mig_put_buffer(out, buf, 99999);
    g_assert_false(mig_stream_rate_exceeded(out));
    mig_put_buffer(out, buf, 1);
    g_assert_true(mig_stream_rate_exceeded(out));
    g_assert_cmpint(mig_stream_rate_wait_ns(out), ==, 100 * ms);
    clock.ns += 40 * ms;
    g_assert_cmpint(mig_stream_rate_wait_ns(out), ==, 60 * ms);
    clock.ns += 60 * ms;
    g_assert_false(mig_stream_rate_exceeded(out));

    /* too much is paid back; the wait is exactly as long as needed */
    mig_put_buffer(out, buf, 350000);
    g_assert_true(mig_stream_rate_exceeded(out));
    g_assert_cmpint(mig_stream_rate_wait_ns(out), ==, 300 * ms);
    clock.ns += 299 * ms;
    g_assert_true(mig_stream_rate_exceeded(out));
    clock.ns += 1 * ms;
    g_assert_false(mig_stream_rate_exceeded(out));
    g_assert_cmpint(mig_stream_rate_wait_ns(out), ==, 0);

    /* what was paid for and is taken back is no debt, now or later */
    mig_stream_flush(out, NULL);
    mig_put_buffer(out, buf, 9);
    clock.ns += 100 * ms;
    g_assert_false(mig_stream_rate_exceeded(out));
    mig_stream_take_back(out, 9);
    g_assert_false(mig_stream_rate_exceeded(out));
    g_assert_cmpint(mig_stream_rate_wait_ns(out), ==, 0);

    /* an idle hour earns nothing */
    clock.ns += 3600 * 1000 * ms;
    g_assert_false(mig_stream_rate_exceeded(out));
    mig_put_buffer(out, buf, 100000);
    g_assert_true(mig_stream_rate_exceeded(out));

    /* a limit that goes away */
    mig_stream_set_rate_limit(out, 0);
    g_assert_false(mig_stream_rate_exceeded(out));

    /* the smallest and the greatest */
    mig_stream_set_rate_limit(out, 1);
    mig_put_u8(out, 0);
    g_assert_true(mig_stream_rate_exceeded(out));
    g_assert_cmpint(mig_stream_rate_wait_ns(out), >, 0);
    mig_stream_set_rate_limit(out, UINT64_MAX);
    clock.ns += 100 * ms;
    g_assert_false(mig_stream_rate_exceeded(out));
    mig_stream_free(out);
    io_channel_unref(&slow->ch);
}

/* ---- threads ---- */

typedef struct Blocked {
    MigStream *s;
    Vm *vm;
    char *message;
} Blocked;

static gpointer blocked_reader(gpointer opaque)
{
    Blocked *b = opaque;
    Error *err = NULL;
    uint8_t val;

    if (b->vm) {
        vm_lock(b->vm);
    }
    g_assert_false(mig_get_u8(b->s, &val, &err));
    if (b->vm) {
        g_assert_true(vm_locked(b->vm));
        vm_unlock(b->vm);
    }
    b->message = g_strdup(err->message);
    g_error_free(err);
    return NULL;
}

static gpointer blocked_writer(gpointer opaque)
{
    Blocked *b = opaque;
    g_autofree uint8_t *page = g_malloc0(65536);
    Error *err = NULL;

    if (b->vm) {
        vm_lock(b->vm);
    }
    while (mig_stream_check(b->s, &err)) {
        mig_put_buffer_nocopy(b->s, page, 65536);
        mig_stream_flush(b->s, NULL);
    }
    if (b->vm) {
        g_assert_true(vm_locked(b->vm));
        vm_unlock(b->vm);
    }
    b->message = g_strdup(err->message);
    g_error_free(err);
    return NULL;
}

/*
 * Cancel while a thread is blocked in read or write. With a machine, that
 * thread came with the big lock and must not keep it from the monitor.
 */
static void check_shutdown(GThreadFunc fn, bool writing, bool with_vm)
{
    IoChannel *ends[2];
    Blocked b = { 0 };
    GThread *thread;

    g_assert_true(io_channel_new_pair(ends, NULL));
    b.s = writing ? mig_stream_new_output(ends[0], clock_host())
                  : mig_stream_new_input(ends[0]);
    if (with_vm) {
        b.vm = vm_new();
        mig_stream_release_lock_of(b.s, b.vm);
    }
    thread = thread_start("blocked", fn, &b);
    g_usleep(50000);
    if (with_vm) {
        vm_lock(b.vm);
        vm_unlock(b.vm);
    }
    mig_stream_shutdown(b.s);
    g_thread_join(thread);
    g_assert_nonnull(strstr(b.message, "shut down"));
    g_free(b.message);
    mig_stream_free(b.s);
    io_channel_unref(ends[0]);
    io_channel_unref(ends[1]);
    if (with_vm) {
        vm_free(b.vm);
    }
}

static void test_shutdown_read(void)
{
    check_shutdown(blocked_reader, false, false);
}

static void test_shutdown_write(void)
{
    check_shutdown(blocked_writer, true, false);
}

static void test_lock_read(void)
{
    check_shutdown(blocked_reader, false, true);
}

static void test_lock_write(void)
{
    check_shutdown(blocked_writer, true, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/values", test_values);
    g_test_add_func("/stream/mixture", test_mixture);
    g_test_add_func("/stream/nocopy", test_nocopy);
    g_test_add_func("/stream/section8/write-error", test_write_error);
    g_test_add_func("/stream/section8/read-error", test_read_error);
    g_test_add_func("/stream/section8/names", test_names);
    g_test_add_func("/stream/section3/counters", test_counters);
    g_test_add_func("/stream/rate", test_rate);
    g_test_add_func("/stream/cancel-blocked-read", test_shutdown_read);
    g_test_add_func("/stream/cancel-blocked-write", test_shutdown_write);
    g_test_add_func("/stream/lock-dropped-read", test_lock_read);
    g_test_add_func("/stream/lock-dropped-write", test_lock_write);
    return g_test_run();
}
