/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stream sockets from the addresses of the schema: tcp (IPv4, IPv6), unix,
 * and descriptors that are sockets already. All descriptors are close-on-exec.
 *
 * An address of type fd holds the number of a descriptor, which the call takes
 * over; a name given with getfd has to be resolved first (fd_store_resolve()
 * in system/fds.h).
 */
#ifndef GODWIT_IO_SOCKET_H
#define GODWIT_IO_SOCKET_H

#include "io/channel.h"
#include "qapi/qapi-types-sockets.h"

/*
 * "unix:PATH", "tcp:HOST:PORT[,to=N][,ipv4=on|off][,ipv6=on|off]" with HOST
 * as a name, a number or [IPv6], or "fd:N". NULL and errp: says which part is
 * wrong.
 */
SocketAddress *io_socket_parse(const char *text, Error **errp);

/* As io_socket_parse() reads it; what messages call @addr. Freed by caller. */
char *io_socket_text(const SocketAddress *addr);

/*
 * Connects, trying every address a name has. Blocks, until @cancel_fd (-1:
 * none) is readable; looking up a name cannot be cancelled. Any thread. The
 * descriptor, or -1 and errp.
 */
int io_socket_connect(const SocketAddress *addr, int cancel_fd, Error **errp);

/*
 * Begins to connect to the address number @attempt (counted modulo how many a
 * name has) without blocking: when the descriptor is writable,
 * io_socket_connect_end() says whether it worked.
 */
int io_socket_connect_begin(const SocketAddress *addr, unsigned attempt,
                            Error **errp);
bool io_socket_connect_end(int fd, const SocketAddress *addr, Error **errp);

/*
 * Listens. Port "0" takes any that is free; "to" makes a range. A unix socket
 * that nobody listens on any more is replaced. The descriptor is non-blocking.
 */
int io_socket_listen(const SocketAddress *addr, int backlog, Error **errp);

/* The next connection of @listen_fd; -1 without errp: none waits. */
int io_socket_accept(int listen_fd, Error **errp);

/* The address of this end, or of the other: the port that "0" became. */
SocketAddress *io_socket_local(int fd, Error **errp);
SocketAddress *io_socket_peer(int fd, Error **errp);

/*
 * About so many bytes are under way in each direction at most, for a peer that
 * must not wait long for what is written next; both ends have to set it. Slows
 * a connection with a long round trip down. Of no effect on others.
 */
void io_socket_limit_queue(int fd, int bytes);

/*
 * The shortest round trip that the kernel has seen on a TCP connection lately,
 * microseconds. 0: it does not say, or @fd is no such connection.
 */
uint32_t io_socket_round_trip_us(int fd);

/* Sends small writes at once (TCP_NODELAY); of no effect on others. */
void io_socket_set_nodelay(int fd, bool on);

#endif
