/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration over sockets: tcp, unix, and descriptors that were handed over,
 * which may be anything that can be read or written. Opened on the main loop;
 * connected and accepted on the migration's thread.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "io/socket.h"
#include "migration/channel.h"
#include "migration/migration-int.h"
#include "system/fds.h"

/* Who comes before the first one has been accepted waits. */
#define BACKLOG 16

static bool open_fd(Vm *vm, const SocketAddress *addr, MigEnd *end,
                    Error **errp)
{
    int fd = fd_store_take(vm->fds, addr->u.fd.str, errp);

    return fd >= 0 && mig_end_from_fd(end, fd, "migration fd", errp);
}

static bool socket_open_output(Vm *vm, MigrationAddress **addr, MigEnd *end,
                               Error **errp)
{
    if ((*addr)->u.socket.type == SOCKET_ADDRESS_TYPE_FD) {
        return open_fd(vm, &(*addr)->u.socket, end, errp);
    }
    end->addr = g_steal_pointer(addr);
    return true;
}

static bool socket_open_input(Vm *vm, MigrationAddress **addr, MigEnd *end,
                              Error **errp)
{
    if ((*addr)->u.socket.type == SOCKET_ADDRESS_TYPE_FD) {
        return open_fd(vm, &(*addr)->u.socket, end, errp);
    }
    end->listen_fd = io_socket_listen(&(*addr)->u.socket,
                                      MAX(multifd_backlog(vm->migration),
                                          BACKLOG), errp);
    if (end->listen_fd < 0) {
        return false;
    }
    end->local = io_socket_local(end->listen_fd, errp);
    return end->local != NULL;
}

static bool socket_connect(MigEnd *end, int cancel_fd, Error **errp)
{
    int fd = io_socket_connect(&end->addr->u.socket, cancel_fd, errp);

    return fd >= 0 && mig_end_from_fd(end, fd, "migration socket", errp);
}

static bool socket_accept(MigEnd *end, int cancel_fd, Error **errp)
{
    for (;;) {
        struct pollfd fds[2] = {
            { .fd = end->listen_fd, .events = POLLIN },
            { .fd = cancel_fd, .events = POLLIN },
        };
        Error *err = NULL;
        int fd;

        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            error_setg_errno(errp, errno, "waiting for a migration");
            return false;
        }
        if (fds[1].revents) {
            error_setg(errp, "waiting for a migration was cancelled");
            return false;
        }
        fd = io_socket_accept(end->listen_fd, &err);
        if (err) {
            error_propagate(errp, err);
            return false;
        }
        if (fd >= 0) {
            /* One migration, one connection; mostly. */
            if (!end->keep_listening) {
                close(end->listen_fd);
                end->listen_fd = -1;
            }
            return mig_end_from_fd(end, fd, "migration socket", errp);
        }
    }
}

const MigTransport mig_transport_socket = {
    .open_output = socket_open_output,
    .open_input = socket_open_input,
    .connect = socket_connect,
    .accept = socket_accept,
};
