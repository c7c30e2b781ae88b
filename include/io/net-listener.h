/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Listens on an address and hands over each connection from a main context.
 * Belongs to the thread that runs the context.
 */
#ifndef GODWIT_IO_NET_LISTENER_H
#define GODWIT_IO_NET_LISTENER_H

#include <glib.h>

#include "io/channel.h"
#include "qapi/qapi-types-sockets.h"

typedef struct NetListener NetListener;

/* A connection, the callee's. May free the listener. */
typedef void (*NetListenerFn)(NetListener *listener, IoChannel *ch,
                              void *opaque);

/*
 * Listens when it returns. A unix socket's file is removed at the end, unless
 * the descriptor was given. NULL and errp: as io_socket_listen().
 */
NetListener *net_listener_new(const SocketAddress *addr, int backlog,
                              GMainContext *context, NetListenerFn fn,
                              void *opaque, Error **errp);

/* What it listens on, with the port that "0" became. The listener's. */
const SocketAddress *net_listener_address(const NetListener *listener);

/* Closes. Connections that were handed over live on. NULL is fine. */
void net_listener_free(NetListener *listener);

#endif
