/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a migration's bytes go to and come from: addresses, and one back end
 * for each kind of them (channel-*.c, MigTransport). Opening is in two steps:
 * what can be done at once, on the main loop, so that "migrate" itself fails;
 * and what may take long, on the migration's thread, which can be told to stop.
 */
#ifndef GODWIT_MIGRATION_CHANNEL_H
#define GODWIT_MIGRATION_CHANNEL_H

#include "io/channel.h"
#include "qapi/qapi-types-migration.h"
#include "system/vm.h"

/*
 * "tcp:HOST:PORT", "unix:PATH", "fd:NAME", "exec:COMMAND",
 * "file:PATH[,offset=N]". NULL and errp: says what is wrong with it.
 */
MigrationAddress *mig_address_parse(const char *uri, Error **errp);

/* From a command's arguments: one of the two must be given. */
MigrationAddress *mig_address_from_args(const char *uri, bool has_channels,
                                        const MigrationChannelList *channels,
                                        Error **errp);

/* -incoming's argument: a URI, or a channel in JSON. */
MigrationAddress *migration_incoming_address(const char *text, Error **errp);

SocketAddress *mig_socket_address_copy(const SocketAddress *addr);

/* One end of a migration that is being opened. */
typedef struct MigEnd {
    IoChannel *ch;              /* once there is one */
    bool two_way;               /* it can answer: a socket */
    MigrationAddress *addr;     /* of a socket to connect to */
    int listen_fd;              /* incoming: -1 if it does not listen */
    SocketAddress *local;       /* where it listens */
    bool keep_listening;        /* another connection will come there */
} MigEnd;

/* Closes and frees what is there, not the struct. */
void mig_end_clear(MigEnd *end);

/* What a kind of address can do. */
typedef struct MigTransport {
    /*
     * Both: main thread, big lock, must not block. Fill *@end. @addr becomes
     * the end's if it is needed later (and is then set to NULL).
     */
    bool (*open_output)(Vm *vm, MigrationAddress **addr, MigEnd *end,
                        Error **errp);
    bool (*open_input)(Vm *vm, MigrationAddress **addr, MigEnd *end,
                       Error **errp);
    /*
     * Waits until end->ch is there, or @cancel_fd is readable. The migration's
     * thread. NULL: it is there when opened.
     */
    bool (*connect)(MigEnd *end, int cancel_fd, Error **errp);
    bool (*accept)(MigEnd *end, int cancel_fd, Error **errp);
} MigTransport;

extern const MigTransport mig_transport_socket;
extern const MigTransport mig_transport_exec;
extern const MigTransport mig_transport_file;

const MigTransport *mig_transport_of(const MigrationAddress *addr);

/* An end that is open already. Takes over @ch; keeps the fd's own kind. */
bool mig_end_from_fd(MigEnd *end, int fd, const char *name, Error **errp);

#endif
