/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -chardev, -serial and their kin may say. */
#include <string.h>

#include "chardev/chardevs.h"

static void fails(const char *text, const char *part)
{
    g_autoptr(Error) err = NULL;

    if (chardev_parse(text, &err) || !strstr(err->message, part)) {
        g_error("'%s': '%s' instead of '%s'", text,
                err ? err->message : "success", part);
    }
}

static void shortform(const char *text, ChardevBackendKind kind, bool monitor)
{
    g_autoptr(Error) err = NULL;
    g_autoptr(ChardevOptions) options = NULL;
    bool mon;

    options = chardev_parse_short("s", text, &mon, &err);
    g_assert_no_error(err);
    g_assert_cmpint(options->backend, ==, kind);
    g_assert_true(mon == monitor);
    g_assert_true(monitor == (options->has_mux && options->mux));
}

static void test_parse(void)
{
    g_autoptr(ChardevOptions) o = NULL;
    bool mon;

    fails("socket,path=/x", "id");
    fails("id=c", "backend");
    fails("sockett,id=c,path=/x", "sockett");
    fails("socket,id=c,path=/x,servr=on", "servr");
    fails("socket,id=c,path=/x,server=maybe", "server");
    fails("file,id=c", "path");
    fails("socket,id=c,path=/x,reconnect=-1", "reconnect");
    fails("{\"backend\":\"null\"}", "id");
    shortform("stdio", CHARDEV_BACKEND_KIND_STDIO, false);
    shortform("mon:stdio", CHARDEV_BACKEND_KIND_STDIO, true);
    shortform("pty", CHARDEV_BACKEND_KIND_PTY, false);
    shortform("null", CHARDEV_BACKEND_KIND_NULL, false);
    shortform("file:/a,b", CHARDEV_BACKEND_KIND_FILE, false);
    shortform("tcp::4444,server=on,wait=off", CHARDEV_BACKEND_KIND_SOCKET,
              false);
    g_assert_null(chardev_parse_short("s", "foo", &mon, NULL));
    g_assert_null(chardev_parse_short("s", "tcp:x", &mon, NULL));
    o = chardev_parse_short("s", "unix:/p,server,nowait", &mon, NULL);
    g_assert_cmpstr(o->u.socket.path, ==, "/p");
    g_assert_true(o->u.socket.server);
    g_assert_true(o->u.socket.has_wait && !o->u.socket.wait);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chardev/parse", test_parse);
    return g_test_run();
}
