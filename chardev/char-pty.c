/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A character device over a pseudo-terminal. Whether somebody has its other
 * side open can be seen (no hang-up) but not waited for, so it is looked for
 * twice a second while nobody has. Context's thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/char-int.h"

#define LOOK_MS 500

typedef struct PtyChardev {
    Chardev parent;
    int master;                 /* the stream has a copy */
    char *link;                 /* a symbolic link of ours, or NULL */
    GSource *timer;
} PtyChardev;

static void stop_timer(PtyChardev *p)
{
    if (p->timer) {
        g_source_destroy(p->timer);
        g_clear_pointer(&p->timer, g_source_unref);
    }
}

static gboolean look(gpointer opaque)
{
    PtyChardev *p = opaque;
    struct pollfd fd = { .fd = p->master, .events = POLLOUT };
    int copy;

    if (poll(&fd, 1, 0) < 0 || (fd.revents & POLLHUP)) {
        return G_SOURCE_CONTINUE;
    }
    copy = fcntl(p->master, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        return G_SOURCE_CONTINUE;
    }
    stop_timer(p);
    chardev_stream_open(&p->parent, copy, copy);
    return G_SOURCE_REMOVE;
}

static void start_timer(PtyChardev *p)
{
    stop_timer(p);
    p->timer = g_timeout_source_new(LOOK_MS);
    g_source_set_callback(p->timer, look, p, NULL);
    g_source_attach(p->timer, p->parent.context);
}

static void pty_hangup(Chardev *chr)
{
    start_timer((PtyChardev *)chr);
}

static void pty_context_changed(Chardev *chr)
{
    if (((PtyChardev *)chr)->timer) {
        start_timer((PtyChardev *)chr);
    }
}

static void pty_free(Chardev *chr)
{
    PtyChardev *p = (PtyChardev *)chr;

    stop_timer(p);
    close(p->master);
    if (p->link) {
        unlink(p->link);
        g_free(p->link);
    }
}

static const ChardevOps pty_ops = {
    .hangup = pty_hangup,
    .context_changed = pty_context_changed,
    .free = pty_free,
};

Chardev *chardev_new_pty(Chardevs *set, const ChardevOptions *options,
                         Error **errp)
{
    const char *link = options->u.pty.path;
    g_autofree char *filename = NULL;
    char name[128];
    struct termios mode;
    int master, slave;
    PtyChardev *p;

    if (openpty(&master, &slave, NULL, NULL, NULL) < 0 ||
        ttyname_r(slave, name, sizeof(name)) != 0) {
        error_setg_errno(errp, errno, "cannot make a pseudo-terminal");
        return NULL;
    }
    if (tcgetattr(slave, &mode) == 0) {
        cfmakeraw(&mode);
        tcsetattr(slave, TCSAFLUSH, &mode);
    }
    close(slave);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK);
    if (link && symlink(name, link) < 0) {
        error_setg_errno(errp, errno, "cannot make a link '%s' to '%s'", link,
                         name);
        close(master);
        return NULL;
    }
    filename = g_strconcat("pty:", name, NULL);
    p = chardev_alloc(set, sizeof(*p), &pty_ops, options->id, filename);
    p->parent.is_tty = true;
    p->master = master;
    p->link = g_strdup(link);
    start_timer(p);
    return &p->parent;
}
