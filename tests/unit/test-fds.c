/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Named descriptors and descriptor sets. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

#include "system/fds.h"

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_names(void)
{
    FdStore *store = fd_store_new();
    Error *err = NULL;
    int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY);
    int c = open("/dev/null", O_RDONLY);

    g_assert_true(fd_store_name(store, "migrate", a, NULL));
    g_assert_cmpint(fcntl(a, F_GETFD), ==, FD_CLOEXEC);
    g_assert_true(fd_store_name(store, "migrate", b, NULL));
    g_assert_false(is_open(a));
    g_assert_cmpint(fd_store_take(store, "migrate", NULL), ==, b);
    g_assert_true(is_open(b));
    g_assert_cmpint(fd_store_take(store, "migrate", &err), ==, -1);
    g_assert_cmpstr(err->message, ==,
                    "File descriptor named 'migrate' not found");
    g_clear_error(&err);

    g_assert_true(fd_store_name(store, "x", b, NULL));
    g_assert_true(fd_store_close(store, "x", NULL));
    g_assert_false(is_open(b));
    g_assert_false(fd_store_close(store, "x", &err));
    g_assert_cmpstr(err->message, ==, "File descriptor named 'x' not found");
    g_clear_error(&err);

    /* Refused, and closed all the same. */
    g_assert_false(fd_store_name(store, "7up", c, &err));
    g_assert_false(is_open(c));
    g_clear_error(&err);
    fd_store_free(store);
}

static void test_numbers(void)
{
    FdStore *store = fd_store_new();
    int fd = open("/dev/null", O_RDONLY);
    g_autofree char *text = g_strdup_printf("%d", fd);
    SocketAddress addr = { .type = SOCKET_ADDRESS_TYPE_FD };

    g_assert_cmpint(fd_store_take(store, text, NULL), ==, fd);
    g_assert_cmpint(fd_store_take(store, "2147483648", NULL), ==, -1);
    g_assert_cmpint(fd_store_take(store, "99999999999999999999", NULL), ==,
                    -1);
    g_assert_cmpint(fd_store_take(store, "3x", NULL), ==, -1);

    g_assert_true(fd_store_name(store, "s", fd, NULL));
    addr.u.fd.str = g_strdup("s");
    g_assert_true(fd_store_resolve(store, &addr, NULL));
    g_assert_cmpstr(addr.u.fd.str, ==, text);
    g_assert_true(is_open(fd));
    g_free(addr.u.fd.str);
    close(fd);
    g_assert_cmpint(fd_store_take(store, text, NULL), ==, -1);
    fd_store_free(store);
}

static void list(int64_t set, int fd, const char *opaque, void *data)
{
    (void)fd;
    g_string_append_printf(data, "%d:%s ", (int)set, opaque ? opaque : "-");
}

static void test_sets(void)
{
    FdStore *store = fd_store_new();
    g_autofree char *path = NULL;
    g_autoptr(GString) text = g_string_new("");
    Error *err = NULL;
    int64_t set = 5, any = -1, next = -1;
    int tmp, rd, wr, fd;

    tmp = g_file_open_tmp("godwit-XXXXXX", &path, NULL);
    g_assert_cmpint(write(tmp, "abc", 3), ==, 3);
    rd = open(path, O_RDONLY);
    wr = open(path, O_WRONLY);

    g_assert_true(fd_store_set_add(store, &set, rd, "rd", NULL));
    g_assert_true(fd_store_set_add(store, &any, tmp, NULL, NULL));
    g_assert_cmpint(any, ==, 0);
    g_assert_true(fd_store_set_add(store, &next, dup(tmp), "n", NULL));
    g_assert_cmpint(next, ==, 1);
    fd_store_set_foreach(store, list, text);
    g_assert_cmpstr(text->str, ==, "0:- 1:n 5:rd ");

    /* The mode has to match exactly. */
    fd = fd_store_open(store, "/dev/fdset/5", O_RDONLY, 0, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fd, !=, rd);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    close(fd);
    g_assert_cmpint(fd_store_open(store, "/dev/fdset/5", O_WRONLY, 0, &err),
                    ==, -1);
    g_assert_nonnull(strstr(err->message, "writing"));
    g_clear_error(&err);
    g_assert_true(fd_store_set_add(store, &set, wr, NULL, NULL));
    fd = fd_store_open(store, "/dev/fdset/5", O_WRONLY | O_APPEND, 0, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, "d", 1), ==, 1);
    g_assert_cmpint(lseek(fd, 0, SEEK_END), ==, 4);

    g_assert_cmpint(fd_store_open(store, "/dev/fdset/9", O_RDONLY, 0, NULL),
                    ==, -1);
    g_assert_cmpint(fd_store_open(store, "/dev/fdset/x", O_RDONLY, 0, NULL),
                    ==, -1);
    g_assert_cmpint(fd_store_open(store, "/dev/fdset/5/", O_RDONLY, 0, NULL),
                    ==, -1);

    /* Removing leaves what was opened before. */
    g_assert_true(fd_store_set_remove(store, 5, wr, NULL));
    g_assert_false(fd_store_set_remove(store, 5, wr, &err));
    g_assert_nonnull(strstr(err->message, "'fdset-id:5, fd:"));
    g_clear_error(&err);
    g_assert_true(is_open(fd));
    g_assert_true(fd_store_set_remove(store, 5, -1, NULL));
    g_assert_false(fd_store_set_remove(store, 5, -1, &err));
    g_assert_cmpstr(err->message, ==,
                    "File descriptor named 'fdset-id:5' not found");
    g_clear_error(&err);
    close(fd);

    fd = fd_store_open(store, path, O_RDONLY, 0, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    unlink(path);
    fd_store_free(store);
    g_assert_false(is_open(tmp));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fds/names", test_names);
    g_test_add_func("/fds/numbers", test_numbers);
    g_test_add_func("/fds/sets", test_sets);
    return g_test_run();
}
