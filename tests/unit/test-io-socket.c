/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, connecting, listening. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>

#include "io/net-listener.h"
#include "io/socket.h"

static void round_trip(const char *text, const char *back)
{
    g_autoptr(Error) err = NULL;
    g_autoptr(SocketAddress) addr = io_socket_parse(text, &err);
    g_autofree char *res = NULL;

    g_assert_no_error(err);
    res = io_socket_text(addr);
    g_assert_cmpstr(res, ==, back);
}

static void test_parse(void)
{
    static const char *const wrong[] = {
        "", "tcp:", "tcp:host", "tcp:host:", "tcp:[::1]", "tcp:::1", "unix:",
        "udp:a:1", "tcp:h:1,to=70000", "tcp:h:1,foo=1", "tcp:h:1,ipv4=maybe",
    };

    round_trip("tcp:127.0.0.1:0", "tcp:127.0.0.1:0");
    round_trip("tcp::4444", "tcp::4444");
    round_trip("tcp:[::]:49152,to=49160,ipv4=off", "tcp:[::]:49152");
    round_trip("unix:/tmp/a,b", "unix:/tmp/a,b");
    round_trip("fd:migrate", "fd:migrate");
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(Error) err = NULL;

        if (io_socket_parse(wrong[i], &err) || !err) {
            g_error("'%s' was taken for an address", wrong[i]);
        }
    }
}

static void accepted(NetListener *listener, IoChannel *ch, void *opaque)
{
    (void)listener;
    *(IoChannel **)opaque = ch;
}

/* Listens on @text, connects to where that is, and says hello. */
static void check_listen(const char *text, int family)
{
    g_autoptr(SocketAddress) addr = io_socket_parse(text, NULL);
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Error) err = NULL;
    g_autoptr(IoChannel) client = NULL;
    IoChannel *server = NULL;
    NetListener *listener;
    char buf[5];
    int fd;

    listener = net_listener_new(addr, 4, context, accepted, &server, &err);
    if (!listener && family == AF_INET6) {
        g_test_skip("no IPv6 here");
        return;
    }
    g_assert_no_error(err);
    if (addr->type == SOCKET_ADDRESS_TYPE_INET) {
        g_assert_cmpstr(net_listener_address(listener)->u.inet.port, !=, "0");
    }
    fd = io_socket_connect(net_listener_address(listener), -1, &err);
    g_assert_no_error(err);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    client = io_channel_new_fd(fd, "client", NULL);
    while (!server) {
        g_main_context_iteration(context, TRUE);
    }
    g_assert_true(io_channel_write_all(client, "hello", 5, NULL));
    g_assert_true(io_channel_read_all(server, buf, 5, NULL));
    g_assert_cmpmem(buf, 5, "hello", 5);
    net_listener_free(listener);

    /* Nobody there any more. */
    g_assert_cmpint(io_socket_connect(addr, -1, &err), ==, -1);
    g_assert_nonnull(err);
    io_channel_unref(server);
}

static void test_tcp(void)
{
    check_listen("tcp:127.0.0.1:0", AF_INET);
}

static void test_tcp6(void)
{
    check_listen("tcp:[::1]:0", AF_INET6);
}

static void test_unix(void)
{
    g_autofree char *dir = g_dir_make_tmp("godwit-XXXXXX", NULL);
    g_autofree char *text = g_strdup_printf("unix:%s/s", dir);
    g_autoptr(SocketAddress) addr = io_socket_parse(text, NULL);
    g_autoptr(Error) err = NULL;
    int fd, second;

    check_listen(text, AF_UNIX);
    g_assert_false(g_file_test(text + 5, G_FILE_TEST_EXISTS));

    /* One that is in use is left alone, a stale one is replaced. */
    fd = io_socket_listen(addr, 1, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(io_socket_listen(addr, 1, &err), ==, -1);
    g_assert_nonnull(strstr(err->message, text + 5));
    close(fd);
    g_assert_true(g_file_test(text + 5, G_FILE_TEST_EXISTS));
    second = io_socket_listen(addr, 1, NULL);
    g_assert_cmpint(second, >=, 0);
    close(second);
    g_remove(text + 5);

    /* A file that is no socket is not removed. */
    g_assert_true(g_file_set_contents(text + 5, "x", 1, NULL));
    g_clear_error(&err);
    g_assert_cmpint(io_socket_listen(addr, 1, &err), ==, -1);
    g_assert_true(g_file_test(text + 5, G_FILE_TEST_IS_REGULAR));
    g_remove(text + 5);
    g_rmdir(dir);
}

static void test_unix_length(void)
{
    g_autofree char *path = g_strnfill(108, 'x');
    g_autofree char *text = g_strconcat("unix:", path, NULL);
    g_autoptr(SocketAddress) addr = io_socket_parse(text, NULL);
    g_autoptr(Error) err = NULL;

    g_assert_cmpint(io_socket_listen(addr, 1, &err), ==, -1);
    g_assert_nonnull(strstr(err->message, "1 to 107"));
}

static void test_range(void)
{
    g_autoptr(SocketAddress) first = io_socket_parse("tcp:127.0.0.1:0", NULL);
    int fd = io_socket_listen(first, 1, NULL);
    g_autoptr(SocketAddress) taken = io_socket_local(fd, NULL);
    g_autoptr(SocketAddress) got = NULL;
    unsigned port = (unsigned)g_ascii_strtoull(taken->u.inet.port, NULL, 10);
    int second;

    if (port > 65000) {
        port = 0;
    } else {
        taken->u.inet.has_to = true;
        taken->u.inet.to = (uint16_t)(port + 50);
        second = io_socket_listen(taken, 1, NULL);
        g_assert_cmpint(second, >=, 0);
        got = io_socket_local(second, NULL);
        g_assert_cmpint(g_ascii_strtoull(got->u.inet.port, NULL, 10), >, port);
        taken->u.inet.to = (uint16_t)(port - 1);
        g_assert_cmpint(io_socket_listen(taken, 1, NULL), ==, -1);
        close(second);
    }
    close(fd);
}

static void test_fd(void)
{
    g_autoptr(SocketAddress) addr = io_socket_parse("tcp:127.0.0.1:0", NULL);
    g_autofree char *text = NULL;
    int fd = io_socket_listen(addr, 1, NULL);

    text = g_strdup_printf("fd:%d", fd);
    check_listen(text, AF_INET);
}

static void check_queue(int fd, int bytes)
{
    int sent = 0, received = 0;
    socklen_t len = sizeof(int);

    io_socket_limit_queue(fd, bytes);
    g_assert_cmpint(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sent, &len), ==, 0);
    g_assert_cmpint(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &received, &len),
                    ==, 0);
    g_assert_cmpint(sent, ==, 2 * bytes);
    g_assert_cmpint(received, ==, 2 * bytes);
}

/* What is under way on a TCP connection is timed; its queue can be limited. */
static void test_queue(void)
{
    g_autoptr(SocketAddress) addr = io_socket_parse("tcp:127.0.0.1:0", NULL);
    int listener = io_socket_listen(addr, 1, NULL), client, server, pair[2];
    g_autoptr(SocketAddress) at = io_socket_local(listener, NULL);
    char byte = 1;

    client = io_socket_connect(at, -1, NULL);
    while ((server = io_socket_accept(listener, NULL)) < 0) {
        g_usleep(100);
    }
    g_assert_cmpint(write(client, &byte, 1), ==, 1);
    /* The answer to the first segment is enough of a round trip. */
    g_assert_cmpuint(io_socket_round_trip_us(client), >, 0);
    g_assert_cmpuint(io_socket_round_trip_us(client), <, G_USEC_PER_SEC);
    check_queue(client, 48 * 1024);
    check_queue(server, 48 * 1024);
    close(client);
    close(server);
    close(listener);

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                    ==, 0);
    g_assert_cmpuint(io_socket_round_trip_us(pair[0]), ==, 0);
    check_queue(pair[0], 48 * 1024);
    close(pair[0]);
    close(pair[1]);
    g_assert_cmpuint(io_socket_round_trip_us(-1), ==, 0);
}

/* A connection that is not answered is given up when told so. */
static void test_cancel(void)
{
    g_autofree char *dir = g_dir_make_tmp("godwit-XXXXXX", NULL);
    g_autoptr(SocketAddress) addr = io_socket_parse("tcp:192.0.2.1:9", NULL);
    g_autoptr(Error) err = NULL;
    int cancel = eventfd(1, EFD_CLOEXEC);

    g_assert_cmpint(io_socket_connect(addr, cancel, &err), ==, -1);
    g_assert_nonnull(err);
    close(cancel);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    g_test_add_func("/socket/parse", test_parse);
    g_test_add_func("/socket/tcp", test_tcp);
    g_test_add_func("/socket/tcp6", test_tcp6);
    g_test_add_func("/socket/unix", test_unix);
    g_test_add_func("/socket/unix-length", test_unix_length);
    g_test_add_func("/socket/range", test_range);
    g_test_add_func("/socket/fd", test_fd);
    g_test_add_func("/socket/queue", test_queue);
    g_test_add_func("/socket/cancel", test_cancel);
    return g_test_run();
}
