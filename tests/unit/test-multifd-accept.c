/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which connection is what: the sorting of multifd's connections by their
 * first bytes, with connections that say something else, or nothing.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/socket.h"
#include "migration-util.h"
#include "migration/multifd-packet.h"
#include "migration/multifd-recv.h"

typedef struct Rig {
    TestVm t;
    MultiFDRecv *r;
    MultiFDAccept *a;
    SocketAddress *addr;
    int cancel[2];              /* a pipe: the reading end, the writing end */
} Rig;

static char *uri;

static void rig_init(Rig *rig, unsigned channels)
{
    MultiFDRecvConfig config = {
        .method = &multifd_method_none, .channels = channels,
        .missing_ns = 50 * 1000 * 1000,
    };
    int fd;

    test_vm_init(&rig->t, 4);
    config.vm = rig->t.vm;
    config.ram = rig->t.ram;
    rig->r = multifd_recv_new(&config);
    rig->addr = io_socket_parse(uri, NULL);
    fd = io_socket_listen(rig->addr, 16, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pipe(rig->cancel), ==, 0);
    rig->a = multifd_accept_start(rig->r, fd, rig->cancel[0], NULL);
    g_assert_nonnull(rig->a);
}

static void rig_clear(Rig *rig)
{
    multifd_accept_free(rig->a);
    multifd_recv_free(rig->r);
    close(rig->cancel[0]);
    close(rig->cancel[1]);
    g_unlink(rig->addr->u.q_unix.path);
    qapi_free_SocketAddress(rig->addr);
    test_vm_clear(&rig->t);
}

/* A connection that has said @len bytes. */
static int connect_and_say(Rig *rig, const void *bytes, size_t len)
{
    int fd = io_socket_connect(rig->addr, -1, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(send(fd, bytes, len, MSG_NOSIGNAL), ==, (ssize_t)len);
    return fd;
}

static int connect_channel(Rig *rig, unsigned id)
{
    MultiFDInit init = { .id = id };
    uint8_t bytes[MULTIFD_INIT_BYTES];

    multifd_init_put(bytes, &init);
    return connect_and_say(rig, bytes, sizeof(bytes));
}

/* Whatever comes first and in pieces: all are found. */
static void test_any_order(void)
{
    MultiFDInit init = { .id = 2 };
    uint8_t bytes[MULTIFD_INIT_BYTES];
    int fd[4], main_fd;
    char text[8] = { 0 };
    Rig rig;

    rig_init(&rig, 3);
    multifd_init_put(bytes, &init);
    fd[0] = connect_channel(&rig, 1);
    fd[1] = connect_and_say(&rig, bytes, 2);
    fd[2] = connect_and_say(&rig, "QEV", 3);
    fd[3] = connect_channel(&rig, 0);
    g_usleep(30000);
    g_assert_false(multifd_recv_is_complete(rig.r));
    g_assert_cmpint(send(fd[2], "Mxyz", 4, 0), ==, 4);
    g_assert_cmpint(send(fd[1], bytes + 2, 20, 0), ==, 20);
    main_fd = multifd_accept_main(rig.a, NULL);
    g_assert_cmpint(main_fd, >=, 0);
    /* The stream is as it was. */
    g_assert_cmpint(recv(main_fd, text, 7, 0), ==, 7);
    g_assert_cmpstr(text, ==, "QEVMxyz");
    g_assert_cmpint(send(fd[1], bytes + 22, 42, 0), ==, 42);
    while (!multifd_recv_is_complete(rig.r)) {
        g_usleep(1000);
    }
    g_assert_true(multifd_recv_check(rig.r, NULL));
    close(main_fd);
    for (unsigned i = 0; i < 4; i++) {
        close(fd[i]);
    }
    rig_clear(&rig);
}

static void assert_refuses(Rig *rig, const char *pattern)
{
    Error *err = NULL;

    g_assert_cmpint(multifd_accept_main(rig->a, &err), ==, -1);
    if (!g_pattern_match_simple(pattern, err->message)) {
        g_test_message("'%s' does not match '%s'", err->message, pattern);
        g_test_fail();
    }
    g_error_free(err);
    g_assert_false(multifd_recv_check(rig->r, NULL));
}

static void test_stranger(void)
{
    Rig rig;
    int fd;

    rig_init(&rig, 2);
    fd = connect_and_say(&rig, "GET / HTTP/1.1", 14);
    assert_refuses(&rig, "*begins with 0x47455420; 0x5145564d (migration "
                   "stream) or 0x11223344 (multifd channel) is expected");
    close(fd);
    rig_clear(&rig);
}

static void test_silent(gconstpointer len)
{
    Rig rig;

    rig_init(&rig, 2);
    close(connect_and_say(&rig, "QEV", GPOINTER_TO_SIZE(len)));
    assert_refuses(&rig, "*ended before it said what it was*");
    rig_clear(&rig);
}

static void test_ends_in_init(void)
{
    MultiFDInit init = { .id = 0 };
    uint8_t bytes[MULTIFD_INIT_BYTES];
    Rig rig;

    rig_init(&rig, 2);
    multifd_init_put(bytes, &init);
    close(connect_and_say(&rig, bytes, 63));
    assert_refuses(&rig, "*ended after 63 of the 64 bytes*");
    rig_clear(&rig);
}

static void test_second_main(void)
{
    int fd, other, main_fd;
    Error *err = NULL;
    Rig rig;

    rig_init(&rig, 2);
    fd = connect_and_say(&rig, "QEVM", 4);
    main_fd = multifd_accept_main(rig.a, NULL);
    g_assert_cmpint(main_fd, >=, 0);
    other = connect_and_say(&rig, "QEVM", 4);
    while (multifd_recv_check(rig.r, &err)) {
        g_usleep(1000);
    }
    g_assert_nonnull(strstr(err->message, "a second connection begins a "
                            "migration stream"));
    g_error_free(err);
    close(fd);
    close(other);
    close(main_fd);
    rig_clear(&rig);
}

static void test_same_id(void)
{
    int fd[2];
    Rig rig;

    rig_init(&rig, 2);
    fd[0] = connect_channel(&rig, 1);
    fd[1] = connect_channel(&rig, 1);
    assert_refuses(&rig, "*a second multifd channel with id 1*");
    close(fd[0]);
    close(fd[1]);
    rig_clear(&rig);
}

static void test_id_one_too_large(void)
{
    Rig rig;
    int fd;

    rig_init(&rig, 2);
    fd = connect_channel(&rig, 2);
    assert_refuses(&rig, "*channel id 2; 0 to 1 are accepted*");
    close(fd);
    rig_clear(&rig);
}

static void test_cancel(void)
{
    Rig rig;
    int fd;

    rig_init(&rig, 2);
    fd = connect_and_say(&rig, "QE", 2);
    g_assert_cmpint(write(rig.cancel[1], "x", 1), ==, 1);
    assert_refuses(&rig, "*was cancelled*");
    close(fd);
    rig_clear(&rig);
}

/* Nobody has asked for the connection that was found. */
static void test_freed_early(void)
{
    Rig rig;
    int fd;

    rig_init(&rig, 2);
    fd = connect_and_say(&rig, "QEVM", 4);
    g_usleep(10000);
    rig_clear(&rig);
    close(fd);
}

int main(int argc, char **argv)
{
    g_autofree char *dir = NULL;
    int res;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("multifd-accept-XXXXXX", NULL);
    uri = g_strdup_printf("unix:%s/socket", dir);
    g_test_add_func("/migration/multifd-accept/any-order", test_any_order);
    g_test_add_func("/migration/multifd-accept/cancel", test_cancel);
    g_test_add_func("/migration/multifd-accept/freed-early",
                    test_freed_early);
#define SPEC_8(_name, _func) \
    g_test_add_func("/migration/spec-8/multifd-accept/" _name, _func)
    SPEC_8("stranger", test_stranger);
    g_test_add_data_func("/migration/spec-8/multifd-accept/silent",
                         GSIZE_TO_POINTER(0), test_silent);
    g_test_add_data_func("/migration/spec-8/multifd-accept/silent-later",
                         GSIZE_TO_POINTER(3), test_silent);
    SPEC_8("ends-in-init", test_ends_in_init);
    SPEC_8("second-main", test_second_main);
    SPEC_8("same-id", test_same_id);
    SPEC_8("id-one-too-large", test_id_one_too_large);
    res = g_test_run();
    g_rmdir(dir);
    g_free(uri);
    return res;
}
