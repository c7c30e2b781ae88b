/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of sockets: from and to text, and of sockets that exist. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "io/socket.h"
#include "qapi/qapi-visit-sockets.h"
#include "util/keyval.h"

/*
 * "HOST:PORT" up to the first comma after it, into @object. HOST may be empty
 * and, in brackets, have colons. Where the options begin, or NULL and errp.
 */
static const char *take_host_port(const char *text, json_object *object,
                                  Error **errp)
{
    const char *host = text, *colon, *end, *comma;
    size_t host_len;

    if (text[0] == '[') {
        host = text + 1;
        end = strchr(host, ']');
        colon = end && end[1] == ':' ? end + 1 : NULL;
        host_len = end ? (size_t)(end - host) : 0;
    } else {
        colon = strchr(text, ':');
        host_len = colon ? (size_t)(colon - text) : 0;
    }
    comma = colon ? strchrnul(colon, ',') : NULL;
    if (!colon || comma == colon + 1 ||
        memchr(colon + 1, ':', (size_t)(comma - colon - 1))) {
        error_setg(errp, "'%s': HOST:PORT is expected after tcp:, with the "
                   "brackets of [HOST] for IPv6", text);
        return NULL;
    }
    json_object_object_add(object, "host",
                           json_object_new_string_len(host, (int)host_len));
    json_object_object_add(
        object, "port",
        json_object_new_string_len(colon + 1, (int)(comma - colon - 1)));
    return *comma ? comma + 1 : comma;
}

static json_object *parse_inet(const char *text, Error **errp)
{
    g_autoptr(JsonObject) object = json_object_new_object();
    const char *rest;

    if (strlen(text) > INT16_MAX) {
        error_setg(errp, "an address of %zu bytes is too long", strlen(text));
        return NULL;
    }
    rest = take_host_port(text, object, errp);
    if (!rest) {
        return NULL;
    }
    if (*rest) {
        g_autoptr(JsonObject) options = keyval_parse(rest, NULL, NULL, errp);

        if (!options) {
            return NULL;
        }
        json_object_object_foreach(options, key, value) {
            json_object_object_add(object, key, json_object_get(value));
        }
    }
    json_object_object_add(object, "type", json_object_new_string("inet"));
    return g_steal_pointer(&object);
}

SocketAddress *io_socket_parse(const char *text, Error **errp)
{
    g_autoptr(JsonObject) object = NULL;
    const char *value;

    if (g_str_has_prefix(text, "tcp:")) {
        object = parse_inet(text + 4, errp);
    } else if (g_str_has_prefix(text, "unix:")) {
        value = text + 5;
        object = json_object_new_object();
        json_object_object_add(object, "type",
                               json_object_new_string("unix"));
        json_object_object_add(object, "path", json_object_new_string(value));
        if (!*value) {
            error_setg(errp, "'%s': a path is expected after unix:", text);
            return NULL;
        }
    } else if (g_str_has_prefix(text, "fd:")) {
        object = json_object_new_object();
        json_object_object_add(object, "type", json_object_new_string("fd"));
        json_object_object_add(object, "str",
                               json_object_new_string(text + 3));
    } else {
        error_setg(errp, "'%s' is no address of a socket: tcp:HOST:PORT, "
                   "unix:PATH or fd:N is expected", text);
        return NULL;
    }
    return object ? qapi_SocketAddress_from_json(object, true, errp) : NULL;
}

char *io_socket_text(const SocketAddress *addr)
{
    const InetSocketAddress *inet;

    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_UNIX:
        return g_strdup_printf("unix:%s", addr->u.q_unix.path);
    case SOCKET_ADDRESS_TYPE_FD:
        return g_strdup_printf("fd:%s", addr->u.fd.str);
    default:
        inet = &addr->u.inet;
        return g_strdup_printf(strchr(inet->host, ':') ? "tcp:[%s]:%s"
                                                       : "tcp:%s:%s",
                               inet->host, inet->port);
    }
}

static SocketAddress *from_unix(const struct sockaddr_un *un, socklen_t len)
{
    size_t room = len - offsetof(struct sockaddr_un, sun_path);
    SocketAddress *addr = g_new0(SocketAddress, 1);
    UnixSocketAddress *res = &addr->u.q_unix;

    addr->type = SOCKET_ADDRESS_TYPE_UNIX;
    if (room == 0) {
        res->path = g_strdup("");       /* without a name */
    } else if (un->sun_path[0] == '\0') {
        res->path = g_strndup(un->sun_path + 1, room - 1);
        res->has_abstract = res->abstract = true;
    } else {
        res->path = g_strndup(un->sun_path, room);
    }
    return addr;
}

static SocketAddress *from_inet(const struct sockaddr *sa, socklen_t len)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    SocketAddress *addr = g_new0(SocketAddress, 1);

    getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    addr->type = SOCKET_ADDRESS_TYPE_INET;
    addr->u.inet.host = g_strdup(host);
    addr->u.inet.port = g_strdup(port);
    if (sa->sa_family == AF_INET) {
        addr->u.inet.has_ipv4 = addr->u.inet.ipv4 = true;
    } else {
        addr->u.inet.has_ipv6 = addr->u.inet.ipv6 = true;
    }
    return addr;
}

static SocketAddress *name_of(int fd,
                              int (*get)(int, struct sockaddr *, socklen_t *),
                              Error **errp)
{
    struct sockaddr_storage storage;
    struct sockaddr *sa = (struct sockaddr *)&storage;
    socklen_t len = sizeof(storage);

    memset(&storage, 0, sizeof(storage));
    if (get(fd, sa, &len) < 0) {
        error_setg_errno(errp, errno, "socket %d has no address", fd);
        return NULL;
    }
    switch (sa->sa_family) {
    case AF_UNIX:
        return from_unix((struct sockaddr_un *)(void *)sa, len);
    case AF_INET:
    case AF_INET6:
        return from_inet(sa, len);
    default:
        error_setg(errp, "socket %d is of family %d: neither unix nor "
                   "internet", fd, sa->sa_family);
        return NULL;
    }
}

SocketAddress *io_socket_local(int fd, Error **errp)
{
    return name_of(fd, getsockname, errp);
}

SocketAddress *io_socket_peer(int fd, Error **errp)
{
    return name_of(fd, getpeername, errp);
}
