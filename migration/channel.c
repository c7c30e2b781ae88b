/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of migrations and which transport serves them. No lock. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/socket.h"
#include "migration/channel.h"
#include "qapi/qapi-visit-migration.h"
#include "qapi/qapi-visit-sockets.h"
#include "util/json.h"
#include "util/keyval.h"

/* "file:" and what follows it. */
static MigrationAddress *parse_file(const char *rest, Error **errp)
{
    const char *option = strstr(rest, ",offset=");
    MigrationAddress *addr;
    uint64_t offset = 0;

    if (option && !keyval_parse_size(option + strlen(",offset="), &offset)) {
        error_setg(errp, "file URI has bad offset '%s'; a size is expected",
                   option + strlen(",offset="));
        return NULL;
    }
    if (*rest == '\0' || option == rest) {
        error_setg(errp, "file URI has no path; file:PATH[,offset=N] is "
                   "expected");
        return NULL;
    }
    addr = g_new0(MigrationAddress, 1);
    addr->transport = MIGRATION_ADDRESS_TYPE_FILE;
    addr->u.file.filename = option ? g_strndup(rest, option - rest)
                                   : g_strdup(rest);
    addr->u.file.offset = offset;
    return addr;
}

static MigrationAddress *parse_exec(const char *rest, Error **errp)
{
    MigrationAddress *addr;
    strList **tail;

    if (*rest == '\0') {
        error_setg(errp, "exec URI has no command; exec:COMMAND is expected");
        return NULL;
    }
    addr = g_new0(MigrationAddress, 1);
    addr->transport = MIGRATION_ADDRESS_TYPE_EXEC;
    tail = &addr->u.exec.args;
    QAPI_LIST_APPEND(tail, g_strdup("/bin/sh"));
    QAPI_LIST_APPEND(tail, g_strdup("-c"));
    QAPI_LIST_APPEND(tail, g_strdup(rest));
    return addr;
}

static MigrationAddress *parse_socket(const char *uri, Error **errp)
{
    MigrationAddress *addr;
    SocketAddress *sock = io_socket_parse(uri, errp);

    if (!sock) {
        return NULL;
    }
    addr = g_new0(MigrationAddress, 1);
    addr->transport = MIGRATION_ADDRESS_TYPE_SOCKET;
    addr->u.socket = *sock;
    g_free(sock);
    return addr;
}

MigrationAddress *mig_address_parse(const char *uri, Error **errp)
{
    MigrationAddress *addr;

    if (g_str_has_prefix(uri, "file:")) {
        addr = parse_file(uri + strlen("file:"), errp);
    } else if (g_str_has_prefix(uri, "exec:")) {
        addr = parse_exec(uri + strlen("exec:"), errp);
    } else if (g_str_has_prefix(uri, "fd:")) {
        addr = g_new0(MigrationAddress, 1);
        addr->transport = MIGRATION_ADDRESS_TYPE_SOCKET;
        addr->u.socket.type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.socket.u.fd.str = g_strdup(uri + strlen("fd:"));
    } else if (g_str_has_prefix(uri, "tcp:") ||
               g_str_has_prefix(uri, "unix:")) {
        addr = parse_socket(uri, errp);
    } else {
        error_setg(errp, "unknown migration protocol: '%s'; tcp:, unix:, fd:, "
                   "exec: and file: are accepted", uri);
        return NULL;
    }
    if (!addr) {
        error_prepend(errp, "migration URI '%s': ", uri);
    }
    return addr;
}

static MigrationAddress *copy_address(MigrationAddress *theirs)
{
    g_autoptr(JsonObject) json = NULL;
    MigrationAddress *addr = NULL;
    Visitor *v = visitor_output_new();

    visit_type_MigrationAddress(v, NULL, &theirs, NULL);
    json = visitor_output_take(v);
    visit_free(v);
    v = visitor_input_new(json, false);
    visit_type_MigrationAddress(v, NULL, &addr, NULL);
    visit_free(v);
    return addr;
}

MigrationAddress *mig_address_from_args(const char *uri, bool has_channels,
                                        const MigrationChannelList *channels,
                                        Error **errp)
{
    if ((uri != NULL) == has_channels) {
        error_setg(errp, uri ? "'uri' and 'channels' arguments are mutually "
                               "exclusive; exactly one of the two should be "
                               "present"
                             : "need either 'uri' or 'channels' argument");
        return NULL;
    }
    if (uri) {
        return mig_address_parse(uri, errp);
    }
    if (!channels || channels->next) {
        error_setg(errp, "'channels' has %s element; one of type 'main' is "
                   "accepted", channels ? "more than one" : "no");
        return NULL;
    }
    return copy_address(channels->value->addr);
}

MigrationAddress *migration_incoming_address(const char *text, Error **errp)
{
    g_autoptr(MigrationChannel) channel = NULL;
    g_autoptr(JsonObject) json = NULL;
    Visitor *v;

    if (*text != '{') {
        return mig_address_parse(text, errp);
    }
    if (!json_parse(text, strlen(text), &json, errp)) {
        return NULL;
    }
    v = visitor_input_new(json, false);
    visit_type_MigrationChannel(v, NULL, &channel, errp);
    visit_free(v);
    return channel ? g_steal_pointer(&channel->addr) : NULL;
}

SocketAddress *mig_socket_address_copy(const SocketAddress *addr)
{
    SocketAddress *theirs = (SocketAddress *)addr, *copy = NULL;
    g_autoptr(JsonObject) json = NULL;
    Visitor *v = visitor_output_new();

    visit_type_SocketAddress(v, NULL, &theirs, NULL);
    json = visitor_output_take(v);
    visit_free(v);
    v = visitor_input_new(json, false);
    visit_type_SocketAddress(v, NULL, &copy, NULL);
    visit_free(v);
    return copy;
}

void mig_end_clear(MigEnd *end)
{
    g_clear_pointer(&end->ch, io_channel_unref);
    g_clear_pointer(&end->addr, qapi_free_MigrationAddress);
    if (end->listen_fd >= 0) {
        close(end->listen_fd);
        end->listen_fd = -1;
    }
    if (end->local && end->local->type == SOCKET_ADDRESS_TYPE_UNIX &&
        !(end->local->u.q_unix.has_abstract &&
          end->local->u.q_unix.abstract)) {
        unlink(end->local->u.q_unix.path);
    }
    g_clear_pointer(&end->local, qapi_free_SocketAddress);
}

bool mig_end_from_fd(MigEnd *end, int fd, const char *name, Error **errp)
{
    struct stat st;

    end->two_way = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    if (end->two_way) {
        /* The last bytes of the blackout must not wait for more to come. */
        io_socket_set_nodelay(fd, true);
    }
    end->ch = io_channel_new_fd(fd, name, errp);
    return end->ch != NULL;
}

const MigTransport *mig_transport_of(const MigrationAddress *addr)
{
    switch (addr->transport) {
    case MIGRATION_ADDRESS_TYPE_EXEC:
        return &mig_transport_exec;
    case MIGRATION_ADDRESS_TYPE_FILE:
        return &mig_transport_file;
    default:
        return &mig_transport_socket;
    }
}
