/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character devices over sockets. A server has one client at a time; the next
 * waits in the backlog until that one leaves. A client may try again after it
 * lost its connection. Context's thread.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <glib-unix.h>

#include "chardev/char-int.h"
#include "io/socket.h"
#include "qapi/qapi-visit-sockets.h"
#include "util/log.h"

typedef struct SocketChardev {
    Chardev parent;
    /* Constant once made */
    SocketAddress *addr;        /* to connect to, or where it listens */
    bool server;
    bool nodelay;
    bool owns_path;             /* the unix socket's file is ours */
    uint32_t reconnect_ms;      /* 0: never */

    int listen_fd;              /* -1: a client */
    int connecting_fd;          /* -1: no attempt is under way */
    unsigned attempt;
    /* For a client that connects, one that waits to, or how it goes on */
    GSource *source;
} SocketChardev;

static void try_connect(SocketChardev *s);

static void drop(SocketChardev *s)
{
    if (s->source) {
        g_source_destroy(s->source);
        g_clear_pointer(&s->source, g_source_unref);
    }
}

/* Takes @fd over. */
static void connected(SocketChardev *s, int fd)
{
    Chardev *chr = &s->parent;
    g_autoptr(SocketAddress) local = io_socket_local(fd, NULL);

    drop(s);
    chr->is_socket = true;
    chr->passes_fds = local && local->type == SOCKET_ADDRESS_TYPE_UNIX;
    if (s->nodelay) {
        io_socket_set_nodelay(fd, true);
    }
    chardev_stream_open(chr, fd, fd);
}

static gboolean on_client(gint listen_fd, GIOCondition condition,
                          gpointer opaque)
{
    int fd = io_socket_accept(listen_fd, NULL);

    (void)condition;
    if (fd < 0) {
        return G_SOURCE_CONTINUE;
    }
    connected(opaque, fd);
    return G_SOURCE_REMOVE;
}

static gboolean on_time(gpointer opaque)
{
    try_connect(opaque);
    return G_SOURCE_REMOVE;
}

static gboolean on_connect(gint fd, GIOCondition condition, gpointer opaque)
{
    SocketChardev *s = opaque;

    (void)condition;
    if (io_socket_connect_end(fd, s->addr, NULL)) {
        s->connecting_fd = -1;
        connected(s, fd);
    } else {
        close(fd);
        s->connecting_fd = -1;
        s->parent.ops->context_changed(&s->parent);
    }
    return G_SOURCE_REMOVE;
}

/* Has the main context wait for whatever is next. */
static void wait_next(Chardev *chr)
{
    SocketChardev *s = (SocketChardev *)chr;

    drop(s);
    if (chr->connected) {
        return;
    }
    if (s->server) {
        s->source = g_unix_fd_source_new(s->listen_fd, G_IO_IN);
        g_source_set_callback(s->source, G_SOURCE_FUNC(on_client), s, NULL);
    } else if (s->connecting_fd >= 0) {
        s->source = g_unix_fd_source_new(s->connecting_fd, G_IO_OUT);
        g_source_set_callback(s->source, G_SOURCE_FUNC(on_connect), s, NULL);
    } else if (s->reconnect_ms) {
        s->source = g_timeout_source_new(s->reconnect_ms);
        g_source_set_callback(s->source, on_time, s, NULL);
    } else {
        return;
    }
    g_source_attach(s->source, chr->context);
}

static void try_connect(SocketChardev *s)
{
    s->connecting_fd = io_socket_connect_begin(s->addr, s->attempt++, NULL);
    wait_next(&s->parent);
}

static char *socket_filename(const Chardev *chr)
{
    const SocketChardev *s = (const SocketChardev *)chr;
    g_autofree char *text = io_socket_text(s->addr);
    g_autofree char *tail = NULL;
    Chardev *lockable = (Chardev *)chr;
    char *res;

    g_mutex_lock(&lockable->lock);
    if (chr->connected && s->addr->type == SOCKET_ADDRESS_TYPE_INET) {
        g_autoptr(SocketAddress) peer = io_socket_peer(chr->in_fd, NULL);

        if (peer && peer->type == SOCKET_ADDRESS_TYPE_INET) {
            tail = g_strdup_printf(" <-> %s:%s", peer->u.inet.host,
                                   peer->u.inet.port);
        }
    }
    res = g_strdup_printf("%s%s%s%s", chr->connected ? "" : "disconnected:",
                          text, s->server ? ",server=on" : "",
                          tail ? tail : "");
    g_mutex_unlock(&lockable->lock);
    return res;
}

static void socket_free(Chardev *chr)
{
    SocketChardev *s = (SocketChardev *)chr;

    drop(s);
    if (s->connecting_fd >= 0) {
        close(s->connecting_fd);
    }
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
    }
    if (s->owns_path) {
        unlink(s->addr->u.q_unix.path);
    }
    qapi_free_SocketAddress(s->addr);
}

static const ChardevOps socket_ops = {
    .hangup = wait_next,
    .context_changed = wait_next,
    .filename = socket_filename,
    .free = socket_free,
};

/* The address that the options give in one of three ways. */
static SocketAddress *address_of(const ChardevSocketOptions *o, Error **errp)
{
    int given = (o->path != NULL) + (o->port != NULL) + (o->fd != NULL);
    SocketAddress *addr;

    if (given != 1 || (o->host && !o->port)) {
        error_setg(errp, "a socket is given by one of path, port (with host) "
                   "and fd");
        return NULL;
    }
    addr = g_new0(SocketAddress, 1);
    if (o->path) {
        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        addr->u.q_unix.path = g_strdup(o->path);
        addr->u.q_unix.has_abstract = o->has_abstract;
        addr->u.q_unix.abstract = o->abstract;
        addr->u.q_unix.has_tight = o->has_tight;
        addr->u.q_unix.tight = o->tight;
    } else if (o->fd) {
        addr->type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.fd.str = g_strdup(o->fd);
    } else {
        addr->type = SOCKET_ADDRESS_TYPE_INET;
        addr->u.inet.host = g_strdup(o->host ? o->host : "");
        addr->u.inet.port = g_strdup(o->port);
        addr->u.inet.has_to = o->has_to;
        addr->u.inet.to = o->to;
        addr->u.inet.has_ipv4 = o->has_ipv4;
        addr->u.inet.ipv4 = o->ipv4;
        addr->u.inet.has_ipv6 = o->has_ipv6;
        addr->u.inet.ipv6 = o->ipv6;
    }
    return addr;
}

static bool check(const ChardevSocketOptions *o, Error **errp)
{
    bool server = o->has_server && o->server;

    if (server && o->has_reconnect_ms && o->reconnect_ms) {
        error_setg(errp, "'reconnect-ms' is for clients, not for server=on");
        return false;
    }
    if (!server && o->has_wait && o->wait) {
        error_setg(errp, "'wait=on' is for server=on");
        return false;
    }
    if (o->fd && o->has_reconnect_ms && o->reconnect_ms) {
        error_setg(errp, "'reconnect-ms' needs an address to connect to, not "
                   "a descriptor");
        return false;
    }
    return true;
}

static int cancel_fd(const Chardevs *set)
{
    return set->host->cancel_fd ? set->host->cancel_fd(set->opaque) : -1;
}

static bool wait_for_client(SocketChardev *s, Error **errp)
{
    g_autofree char *text = io_socket_text(s->addr);
    struct pollfd fds[2] = {
        { .fd = s->listen_fd, .events = POLLIN },
        { .fd = cancel_fd(s->parent.set), .events = POLLIN },
    };
    int fd;

    info_report("chardev '%s' waits for a connection to %s", s->parent.id,
                text);
    do {
        if (poll(fds, 2, -1) > 0 && fds[1].revents) {
            error_setg(errp, "interrupted while waiting for a connection");
            return false;
        }
        fd = io_socket_accept(s->listen_fd, NULL);
    } while (fd < 0);
    connected(s, fd);
    return true;
}

static bool start_server(SocketChardev *s, bool wait, Error **errp)
{
    SocketAddress *local;

    s->listen_fd = io_socket_listen(s->addr, 1, errp);
    if (s->listen_fd < 0) {
        return false;
    }
    local = io_socket_local(s->listen_fd, errp);
    if (!local) {
        return false;
    }
    s->owns_path = s->addr->type == SOCKET_ADDRESS_TYPE_UNIX &&
                   !s->addr->u.q_unix.abstract;
    qapi_free_SocketAddress(s->addr);
    s->addr = local;
    if (wait) {
        return wait_for_client(s, errp);
    }
    wait_next(&s->parent);
    return true;
}

static bool start_client(SocketChardev *s, Error **errp)
{
    int fd;

    if (s->reconnect_ms) {
        try_connect(s);
        return true;
    }
    fd = io_socket_connect(s->addr, cancel_fd(s->parent.set), errp);
    if (fd < 0) {
        return false;
    }
    connected(s, fd);
    return true;
}

Chardev *chardev_new_socket(Chardevs *set, const ChardevOptions *options,
                            Error **errp)
{
    const ChardevSocketOptions *o = &options->u.socket;
    SocketAddress *addr;
    SocketChardev *s;

    if (!check(o, errp)) {
        return NULL;
    }
    addr = address_of(o, errp);
    if (!addr) {
        return NULL;
    }
    if (!set->host->resolve(set->opaque, addr, errp)) {
        qapi_free_SocketAddress(addr);
        return NULL;
    }
    s = chardev_alloc(set, sizeof(*s), &socket_ops, options->id, "socket");
    s->addr = addr;
    s->server = o->has_server && o->server;
    s->nodelay = o->has_nodelay && o->nodelay;
    s->reconnect_ms = o->has_reconnect_ms ? o->reconnect_ms : 0;
    s->listen_fd = s->connecting_fd = -1;
    if (s->server ? !start_server(s, !o->has_wait || o->wait, errp)
                  : !start_client(s, errp)) {
        chardev_destroy(&s->parent);
        return NULL;
    }
    return &s->parent;
}
