/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accepting connections from a main context. That context's thread alone. */
#include <errno.h>
#include <unistd.h>

#include <glib-unix.h>

#include "io/net-listener.h"
#include "io/socket.h"

struct NetListener {
    int fd;
    SocketAddress *address;
    bool unlink;                /* the socket's file is ours */
    GSource *source;
    NetListenerFn fn;
    void *opaque;
};

static gboolean on_readable(gint fd, GIOCondition condition, gpointer opaque)
{
    NetListener *listener = opaque;
    int peer = io_socket_accept(fd, NULL);
    g_autofree char *text = NULL;
    IoChannel *ch;

    (void)condition;
    /* None, or none that we have a descriptor for: there will be others. */
    if (peer < 0) {
        return G_SOURCE_CONTINUE;
    }
    text = io_socket_text(listener->address);
    ch = io_channel_new_fd(peer, text, NULL);
    if (ch) {
        listener->fn(listener, ch, listener->opaque);
    }
    return G_SOURCE_CONTINUE;
}

NetListener *net_listener_new(const SocketAddress *addr, int backlog,
                              GMainContext *context, NetListenerFn fn,
                              void *opaque, Error **errp)
{
    int fd = io_socket_listen(addr, backlog, errp);
    NetListener *listener;
    SocketAddress *local;

    if (fd < 0) {
        return NULL;
    }
    local = io_socket_local(fd, errp);
    if (!local) {
        close(fd);
        return NULL;
    }
    listener = g_new0(NetListener, 1);
    listener->fd = fd;
    listener->address = local;
    listener->unlink = addr->type == SOCKET_ADDRESS_TYPE_UNIX &&
                       !addr->u.q_unix.abstract;
    listener->fn = fn;
    listener->opaque = opaque;
    listener->source = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_callback(listener->source, G_SOURCE_FUNC(on_readable),
                          listener, NULL);
    g_source_attach(listener->source, context);
    return listener;
}

const SocketAddress *net_listener_address(const NetListener *listener)
{
    return listener->address;
}

void net_listener_free(NetListener *listener)
{
    if (!listener) {
        return;
    }
    g_source_destroy(listener->source);
    g_source_unref(listener->source);
    close(listener->fd);
    if (listener->unlink) {
        unlink(listener->address->u.q_unix.path);
    }
    qapi_free_SocketAddress(listener->address);
    g_free(listener);
}
