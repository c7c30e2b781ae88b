/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Character devices, each kind against its other side. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>

#include "chardev/chardevs.h"
#include "io/socket.h"

/* A front end that remembers. */
typedef struct Front {
    GString *in;
    GString *events;            /* 'O'pened, 'C'losed, 'B'reak, 'I'n, o'U't */
    size_t room;
    int can_write;
    int fd;
    Chardev *chr;
} Front;

static size_t front_can_read(void *opaque)
{
    return ((Front *)opaque)->room;
}

static void front_read(void *opaque, const uint8_t *buf, size_t len)
{
    Front *f = opaque;
    int fd = chardev_take_fd(f->chr);

    g_assert_cmpuint(len, <=, f->room);
    g_string_append_len(f->in, (const char *)buf, (gssize)len);
    if (fd >= 0) {
        f->fd = fd;
    }
}

static void front_event(void *opaque, ChardevEvent event)
{
    g_string_append_c(((Front *)opaque)->events, "OCBIU"[event]);
}

static void front_can_write(void *opaque)
{
    ((Front *)opaque)->can_write++;
}

static const ChardevFront front_ops = {
    front_can_read, front_read, front_event, front_can_write,
};

static int host_open(void *opaque, const char *path, int flags, mode_t mode,
                     Error **errp)
{
    int fd = open(path, flags | O_CLOEXEC, mode);

    (void)opaque;
    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot open '%s'", path);
    }
    return fd;
}

static bool host_resolve(void *opaque, SocketAddress *addr, Error **errp)
{
    (void)opaque;
    (void)addr;
    (void)errp;
    return true;
}

static void host_quit(void *opaque)
{
    (*(int *)opaque)++;
}

static const ChardevHost host = {
    .open = host_open, .resolve = host_resolve, .quit = host_quit,
};

typedef struct Fixture {
    GMainContext *context;
    Chardevs *set;
    char *dir;
    int quits;
    Front front;
} Fixture;

static void front_init(Front *f)
{
    memset(f, 0, sizeof(*f));
    f->in = g_string_new("");
    f->events = g_string_new("");
    f->room = 100;
    f->fd = -1;
}

static void front_free(Front *f)
{
    g_string_free(f->in, TRUE);
    g_string_free(f->events, TRUE);
}

static void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    memset(f, 0, sizeof(*f));
    f->context = g_main_context_new();
    f->set = chardevs_new(f->context, &host, &f->quits);
    f->dir = g_dir_make_tmp("godwit-XXXXXX", NULL);
    front_init(&f->front);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_autofree char *rm = g_strdup_printf("rm -r '%s'", f->dir);

    (void)data;
    chardevs_free(f->set);
    g_main_context_unref(f->context);
    g_assert_cmpint(system(rm), ==, 0);
    g_free(f->dir);
    front_free(&f->front);
}

/* @format has one %s, for the folder. */
static Chardev *add(Fixture *f, const char *format)
{
    g_auto(GStrv) parts = g_strsplit(format, "@", -1);
    g_autofree char *text = g_strjoinv(f->dir, parts);
    g_autoptr(Error) err = NULL;
    g_autoptr(ChardevOptions) options = chardev_parse(text, &err);

    g_assert_no_error(err);
    g_assert_nonnull(chardevs_add(f->set, options, &err));
    g_assert_no_error(err);
    return chardevs_find(f->set, options->id);
}

static void attach(Chardev *chr, Front *front)
{
    front->chr = chr;
    g_assert_true(chardev_attach(chr, &front_ops, front, NULL));
    g_assert_false(chardev_attach(chr, &front_ops, front, NULL));
}

static void spin(Fixture *f)
{
    for (int i = 0; i < 20; i++) {
        while (g_main_context_iteration(f->context, FALSE)) {
        }
        g_usleep(500);
    }
}

static int connect_to(Fixture *f, const char *name)
{
    g_autofree char *text = g_strdup_printf("unix:%s/%s", f->dir, name);
    g_autoptr(SocketAddress) addr = io_socket_parse(text, NULL);
    int fd = io_socket_connect(addr, -1, NULL);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void put(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
}

static void got(int fd, const char *text)
{
    char buf[256];
    ssize_t n = read(fd, buf, sizeof(buf));

    g_assert_cmpint(n, >=, 0);
    g_assert_cmpmem(buf, (size_t)n, text, strlen(text));
}

static void test_server(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "socket,id=c,path=@/s,server=on,wait=off");
    Front *front = &f->front;
    g_autofree char *name = NULL;
    int fd, next;

    (void)data;
    attach(chr, front);
    spin(f);
    g_assert_cmpstr(front->events->str, ==, "");
    g_assert_false(chardev_is_connected(chr));
    g_assert_cmpuint(chardev_write(chr, "lost", 4), ==, 4);

    fd = connect_to(f, "s");
    put(fd, "hello");
    spin(f);
    g_assert_cmpstr(front->events->str, ==, "O");
    g_assert_cmpstr(front->in->str, ==, "hello");
    name = chardev_filename(chr);
    g_assert_true(g_str_has_prefix(name, "unix:"));
    g_assert_true(g_str_has_suffix(name, "/s,server=on"));
    g_assert_cmpuint(chardev_write(chr, "yes", 3), ==, 3);
    got(fd, "yes");

    /* The next client has its turn when this one has left. */
    next = connect_to(f, "s");
    put(next, " again");
    spin(f);
    g_assert_cmpstr(front->in->str, ==, "hello");
    close(fd);
    spin(f);
    g_assert_cmpstr(front->events->str, ==, "OCO");
    g_assert_cmpstr(front->in->str, ==, "hello again");

    chardev_disconnect(chr);
    spin(f);
    g_assert_cmpstr(front->events->str, ==, "OCOC");
    got(next, "");
    close(next);
    fd = connect_to(f, "s");
    spin(f);
    g_assert_cmpstr(front->events->str, ==, "OCOCO");
    close(fd);
}

/* No room: what was sent stays in the socket, and the loop may sleep. */
static void test_room(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "socket,id=c,path=@/s,server=on,wait=off");
    Front *front = &f->front;
    int fd = connect_to(f, "s"), dispatched = 0;

    (void)data;
    attach(chr, front);
    front->room = 3;
    put(fd, "abcdefg");
    spin(f);
    g_assert_cmpstr(front->in->str, ==, "abcdefg");
    front->room = 0;
    put(fd, "hij");
    close(fd);
    spin(f);
    for (int i = 0; i < 10; i++) {
        dispatched += g_main_context_iteration(f->context, FALSE);
    }
    g_assert_cmpint(dispatched, ==, 0);
    g_assert_cmpstr(front->in->str, ==, "abcdefg");
    front->room = 10;
    chardev_accept_input(chr);
    spin(f);
    g_assert_cmpstr(front->in->str, ==, "abcdefghij");
    g_assert_cmpstr(front->events->str, ==, "OC");
}

/* A peer that does not read: writes end short, and nothing blocks. */
static void test_full(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "socket,id=c,path=@/s,server=on,wait=off");
    g_autofree char *big = g_malloc0(8 << 20);
    int fd = connect_to(f, "s");
    size_t taken, left;

    (void)data;
    attach(chr, &f->front);
    spin(f);
    taken = chardev_write(chr, big, 8 << 20);
    g_assert_cmpuint(taken, <, 8 << 20);
    g_assert_cmpuint(chardev_write(chr, big, 1), ==, 0);
    spin(f);
    g_assert_cmpint(f->front.can_write, ==, 0);
    for (left = taken; left;) {
        ssize_t n = read(fd, big, MIN(left, 8 << 20));

        g_assert_cmpint(n, >, 0);
        left -= (size_t)n;
    }
    spin(f);
    g_assert_cmpint(f->front.can_write, ==, 1);
    g_assert_cmpuint(chardev_write(chr, big, 1), ==, 1);
    close(fd);
    g_assert_cmpuint(chardev_write(chr, big, 8 << 20), ==, 8 << 20);
}

static void test_fds(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "socket,id=c,path=@/s,server=on,wait=off");
    g_autoptr(IoChannel) client = NULL;
    struct iovec iov = { (char *)"{}", 2 };
    int null = open("/dev/null", O_RDONLY);

    (void)data;
    attach(chr, &f->front);
    client = io_channel_new_fd(connect_to(f, "s"), "client", NULL);
    g_assert_cmpint(io_channel_writev_fds(client, &iov, 1, &null, 1, NULL),
                    ==, 2);
    spin(f);
    g_assert_cmpstr(f->front.in->str, ==, "{}");
    g_assert_cmpint(f->front.fd, >=, 0);
    g_assert_cmpint(fcntl(f->front.fd, F_GETFD), ==, FD_CLOEXEC);
    close(f->front.fd);
    close(null);
}

static void test_client(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strdup_printf("unix:%s/s", f->dir);
    g_autoptr(SocketAddress) addr = io_socket_parse(text, NULL);
    g_autofree char *wrong = g_strdup_printf("socket,id=x,path=%s/no", f->dir);
    g_autoptr(ChardevOptions) options = chardev_parse(wrong, NULL);
    g_autoptr(Error) err = NULL;
    int listen_fd = io_socket_listen(addr, 4, NULL), fd;
    Chardev *chr;

    (void)data;
    g_assert_null(chardevs_add(f->set, options, &err));
    g_assert_nonnull(strstr(err->message, "chardev 'x': "));

    chr = add(f, "socket,id=c,path=@/s");
    fd = io_socket_accept(listen_fd, NULL);
    g_assert_true(chardev_is_connected(chr));
    attach(chr, &f->front);
    spin(f);
    g_assert_cmpstr(f->front.events->str, ==, "O");
    close(fd);
    spin(f);
    g_assert_cmpstr(f->front.events->str, ==, "OC");
    close(listen_fd);
}

static void test_reconnect(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "socket,id=c,path=@/s,reconnect-ms=5");
    g_autofree char *text = g_strdup_printf("unix:%s/s", f->dir);
    g_autoptr(SocketAddress) addr = io_socket_parse(text, NULL);
    int listen_fd, fd;

    (void)data;
    attach(chr, &f->front);
    spin(f);
    listen_fd = io_socket_listen(addr, 4, NULL);
    for (int i = 0; i < 2; i++) {
        for (int tries = 0; !chardev_is_connected(chr) && tries < 200;
             tries++) {
            spin(f);
        }
        g_assert_true(chardev_is_connected(chr));
        fd = io_socket_accept(listen_fd, NULL);
        g_assert_cmpint(fd, >=, 0);
        spin(f);
        close(fd);
        while (chardev_is_connected(chr)) {
            g_main_context_iteration(f->context, TRUE);
        }
    }
    g_assert_cmpstr(f->front.events->str, ==, "OCOC");
    close(listen_fd);
}

static void test_tcp(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "socket,id=c,host=127.0.0.1,port=0,server=on,"
                          "wait=off");
    g_autofree char *name = chardev_filename(chr);
    g_autoptr(SocketAddress) addr = NULL;
    g_autofree char *text = NULL;
    int fd;

    (void)data;
    g_assert_true(g_str_has_prefix(name, "disconnected:tcp:127.0.0.1:"));
    text = g_strndup(name + strlen("disconnected:"),
                     (size_t)(strchr(name, ',') - name) -
                         strlen("disconnected:"));
    addr = io_socket_parse(text, NULL);
    fd = io_socket_connect(addr, -1, NULL);
    g_assert_cmpint(fd, >=, 0);
    attach(chr, &f->front);
    put(fd, "x");
    spin(f);
    g_assert_cmpstr(f->front.in->str, ==, "x");
    close(fd);
}

/* The way in which management passes a listening socket. */
static void test_passed_fd(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strdup_printf("unix:%s/s", f->dir);
    g_autoptr(SocketAddress) addr = io_socket_parse(text, NULL);
    int listen_fd = io_socket_listen(addr, 4, NULL), fd;
    g_autofree char *option = g_strdup_printf(
        "socket,id=c,fd=%d,server=on,wait=off", listen_fd);
    Chardev *chr = add(f, option);

    (void)data;
    attach(chr, &f->front);
    for (int i = 0; i < 2; i++) {
        fd = connect_to(f, "s");
        put(fd, "a");
        spin(f);
        close(fd);
        spin(f);
    }
    g_assert_cmpstr(f->front.in->str, ==, "aa");
    g_assert_cmpstr(f->front.events->str, ==, "OCOC");
}

static void test_file(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "out", NULL);
    g_autofree char *log = g_build_filename(f->dir, "log", NULL);
    g_autofree char *text = NULL;
    g_autofree char *copy = NULL;
    Chardev *chr;

    (void)data;
    g_assert_true(g_file_set_contents(path, "old ", 4, NULL));
    chr = add(f, "file,id=c,path=@/out,append=on,logfile=@/log");
    attach(chr, &f->front);
    g_assert_cmpuint(chardev_write(chr, "new", 3), ==, 3);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "old new");
    g_assert_true(g_file_get_contents(log, &copy, NULL, NULL));
    g_assert_cmpstr(copy, ==, "new");

    add(f, "file,id=d,path=@/out");
    g_free(text);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "");
    spin(f);
    g_assert_cmpstr(f->front.events->str, ==, "O");
}

static void test_pipe(Fixture *f, gconstpointer data)
{
    g_autofree char *in = g_build_filename(f->dir, "p.in", NULL);
    g_autofree char *out = g_build_filename(f->dir, "p.out", NULL);
    Chardev *chr;
    int fd;

    (void)data;
    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    chr = add(f, "pipe,id=c,path=@/p");
    attach(chr, &f->front);
    fd = open(in, O_WRONLY);
    put(fd, "in");
    close(fd);
    spin(f);
    g_assert_cmpstr(f->front.in->str, ==, "in");
    fd = open(out, O_RDONLY | O_NONBLOCK);
    chardev_write(chr, "out", 3);
    got(fd, "out");
    close(fd);
}

static void test_pty(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "pty,id=c,path=@/link");
    g_autofree char *link = g_build_filename(f->dir, "link", NULL);
    g_autofree char *name = chardev_filename(chr);
    int fd;

    (void)data;
    g_assert_true(g_str_has_prefix(name, "pty:/dev/"));
    attach(chr, &f->front);
    for (int i = 0; i < 2; i++) {
        /* Nobody there: nothing is kept. */
        g_assert_cmpuint(chardev_write(chr, "lost", 4), ==, 4);
        fd = open(i ? link : name + 4, O_RDWR | O_NOCTTY);
        g_assert_cmpint(fd, >=, 0);
        while (!chardev_is_connected(chr)) {
            g_main_context_iteration(f->context, TRUE);
        }
        put(fd, "\003in\n");
        spin(f);
        chardev_write(chr, "out", 3);
        got(fd, "out");
        close(fd);
        while (chardev_is_connected(chr)) {
            g_main_context_iteration(f->context, TRUE);
        }
    }
    g_assert_cmpstr(f->front.in->str, ==, "\003in\n\003in\n");
    g_assert_cmpstr(f->front.events->str, ==, "OCOC");
}

static void test_mux(Fixture *f, gconstpointer data)
{
    Chardev *first = add(f, "socket,id=c,path=@/s,server=on,wait=off,mux=on");
    Chardev *second;
    Front monitor;
    int fd;

    (void)data;
    front_init(&monitor);
    attach(first, &f->front);
    second = chardevs_find(f->set, "c");
    g_assert_true(first != second);
    attach(second, &monitor);
    g_assert_cmpstr(chardev_id(second), ==, "c");

    fd = connect_to(f, "s");
    put(fd, "one");
    spin(f);
    g_assert_cmpstr(f->front.in->str, ==, "one");
    g_assert_cmpstr(f->front.events->str, ==, "O");
    g_assert_cmpstr(monitor.events->str, ==, "O");
    put(fd, "\001ctwo\001\001");
    spin(f);
    g_assert_cmpstr(monitor.in->str, ==, "two\001");
    g_assert_cmpstr(f->front.in->str, ==, "one");
    g_assert_cmpstr(monitor.events->str, ==, "OI");
    put(fd, "\001c\001b");
    spin(f);
    g_assert_cmpstr(f->front.events->str, ==, "OUIB");
    chardev_write(first, "a", 1);
    chardev_write(second, "b", 1);
    got(fd, "ab");

    /* The console does not read: Ctrl-a x works all the same. */
    f->front.room = 0;
    put(fd, "typed ahead");
    spin(f);
    g_assert_cmpstr(f->front.in->str, ==, "one");
    f->front.room = 100;
    chardev_accept_input(first);
    spin(f);
    g_assert_cmpstr(f->front.in->str, ==, "onetyped ahead");
    f->front.room = 0;
    put(fd, "\001");
    put(fd, "x");
    spin(f);
    g_assert_cmpint(f->quits, ==, 1);
    close(fd);
    chardev_detach(first);
    chardev_detach(second);
    front_free(&monitor);
}

/* Input is served by whatever context the front end has asked for. */
static void test_context(Fixture *f, gconstpointer data)
{
    g_autoptr(GMainContext) other = g_main_context_new();
    Chardev *chr = add(f, "socket,id=c,path=@/s,server=on,wait=off");
    int fd;

    (void)data;
    attach(chr, &f->front);
    chardev_set_context(chr, other);
    fd = connect_to(f, "s");
    put(fd, "x");
    spin(f);
    g_assert_cmpstr(f->front.events->str, ==, "");
    for (int i = 0; i < 20; i++) {
        while (g_main_context_iteration(other, FALSE)) {
        }
    }
    g_assert_cmpstr(f->front.events->str, ==, "O");
    g_assert_cmpstr(f->front.in->str, ==, "x");
    close(fd);
    chardev_set_context(chr, NULL);
    spin(f);
    g_assert_cmpstr(f->front.events->str, ==, "OC");
}

static gpointer run_loop(gpointer opaque)
{
    g_main_loop_run(opaque);
    return NULL;
}

static gboolean quit_loop(gpointer opaque)
{
    g_main_loop_quit(opaque);
    return G_SOURCE_REMOVE;
}

/*
 * The poll that ends now may have passed by the client before it left; the next
 * one does not.
 */
static gboolean quit_after_poll(gpointer opaque)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_LOW);
    g_source_set_callback(source, quit_loop, opaque, NULL);
    g_source_attach(source, g_main_loop_get_context(opaque));
    g_source_unref(source);
    return G_SOURCE_REMOVE;
}

/* ... by a thread that runs already, and a client that comes just then. */
static void test_context_of_thread(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "socket,id=c,path=@/s,server=on,wait=off");

    (void)data;
    attach(chr, &f->front);
    for (int i = 0; i < 100; i++) {
        g_autoptr(GMainContext) other = g_main_context_new();
        g_autoptr(GMainLoop) loop = g_main_loop_new(other, FALSE);
        GThread *thread = g_thread_new("other", run_loop, loop);
        int fd = connect_to(f, "s");

        put(fd, "x");
        while (!g_main_loop_is_running(loop)) {
        }
        chardev_set_context(chr, other);
        close(fd);
        /* Less urgent than the client, so it comes after all of that. */
        g_main_context_invoke_full(other, G_PRIORITY_LOW, quit_after_poll,
                                   loop, NULL);
        g_thread_join(thread);
        chardev_set_context(chr, NULL);
        g_assert_cmpstr(f->front.events->str, ==, "OC");
        g_assert_cmpstr(f->front.in->str, ==, "x");
        g_string_truncate(f->front.events, 0);
        g_string_truncate(f->front.in, 0);
    }
}

static void test_null(Fixture *f, gconstpointer data)
{
    Chardev *chr = add(f, "null,id=c");

    (void)data;
    attach(chr, &f->front);
    spin(f);
    g_assert_cmpstr(f->front.events->str, ==, "O");
    g_assert_cmpuint(chardev_write(chr, "xyz", 3), ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
#define ADD(name, fn) \
    g_test_add("/chardev/" name, Fixture, NULL, set_up, fn, tear_down)
    ADD("server", test_server);
    ADD("room", test_room);
    ADD("full", test_full);
    ADD("fds", test_fds);
    ADD("client", test_client);
    ADD("reconnect", test_reconnect);
    ADD("tcp", test_tcp);
    ADD("passed-fd", test_passed_fd);
    ADD("file", test_file);
    ADD("pipe", test_pipe);
    ADD("pty", test_pty);
    ADD("mux", test_mux);
    ADD("context", test_context);
    ADD("context-of-thread", test_context_of_thread);
    ADD("null", test_null);
    return g_test_run();
}
