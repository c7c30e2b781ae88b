/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stream sockets from addresses: connecting and listening. Any thread; no
 * state, no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/socket.h"
#include "util/keyval.h"

typedef struct addrinfo AddrInfo;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AddrInfo, freeaddrinfo)

/* Fills @un; the length that bind and connect want, 0 and errp if too long. */
static socklen_t unix_name(const UnixSocketAddress *addr,
                           struct sockaddr_un *un, Error **errp)
{
    bool abstract = addr->has_abstract && addr->abstract;
    size_t len = strlen(addr->path), room = sizeof(un->sun_path);

    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    /* A name has its zero byte in front, a path behind. */
    if (len + 1 > room || len == 0) {
        error_setg(errp, "unix socket path '%s' has %zu bytes, expected are 1 "
                   "to %zu", addr->path, len, room - 1);
        return 0;
    }
    memcpy(un->sun_path + (abstract ? 1 : 0), addr->path, len);
    if (abstract && addr->has_tight && !addr->tight) {
        return sizeof(*un);
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

static bool is_pathname(const UnixSocketAddress *addr)
{
    return !addr->has_abstract || !addr->abstract;
}

static AddrInfo *resolve(const InetSocketAddress *addr, bool passive,
                         Error **errp)
{
    bool v4 = !addr->has_ipv4 || addr->ipv4;
    bool v6 = !addr->has_ipv6 || addr->ipv6;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    AddrInfo *list = NULL;
    int ret;

    /* Asking for one family alone means that one. */
    if (addr->has_ipv4 && addr->ipv4 && !addr->has_ipv6) {
        v6 = false;
    }
    if (addr->has_ipv6 && addr->ipv6 && !addr->has_ipv4) {
        v4 = false;
    }
    if (!v4 && !v6) {
        error_setg(errp, "neither IPv4 nor IPv6 may be used for '%s'",
                   addr->host);
        return NULL;
    }
    hints.ai_family = v4 && v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
    if (passive) {
        hints.ai_flags |= AI_PASSIVE;
    }
    if (addr->has_numeric && addr->numeric) {
        hints.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
    }
    ret = getaddrinfo(addr->host[0] ? addr->host : NULL, addr->port, &hints,
                      &list);
    if (ret != 0) {
        error_setg(errp, "address resolution failed for %s:%s: %s",
                   addr->host, addr->port,
                   ret == EAI_SYSTEM ? g_strerror(errno) : gai_strerror(ret));
        return NULL;
    }
    return list;
}

static void set_option(int fd, int level, int name, int value)
{
    /* Wishes: a kernel that refuses one still has a working socket. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void io_socket_limit_queue(int fd, int bytes)
{
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

uint32_t io_socket_round_trip_us(int fd)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof(info);

    /* An older kernel's is shorter, and leaves zero in what it lacks. */
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
        info.tcpi_min_rtt == UINT32_MAX) {
        return 0;       /* ... all ones: nothing has been timed yet */
    }
    return info.tcpi_min_rtt;
}

void io_socket_set_nodelay(int fd, bool on)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* A copy of the number in the address, made ours. */
static int given_fd(const SocketAddress *addr, Error **errp)
{
    uint64_t number;
    int flags;

    if (!keyval_parse_uint64(addr->u.fd.str, &number) || number > INT_MAX) {
        error_setg(errp, "'%s' is no number of a descriptor", addr->u.fd.str);
        return -1;
    }
    flags = fcntl((int)number, F_GETFL);
    if (flags < 0) {
        error_setg_errno(errp, errno, "descriptor %s cannot be used",
                         addr->u.fd.str);
        return -1;
    }
    fcntl((int)number, F_SETFD, FD_CLOEXEC);
    fcntl((int)number, F_SETFL, flags | O_NONBLOCK);
    return (int)number;
}

/* Begins; closes and -1 with errno if that fails at once. */
static int begin(int family, const void *name, socklen_t len)
{
    int fd = new_socket(family), saved;

    if (fd < 0) {
        return -1;
    }
    /* A unix socket whose backlog is full says EAGAIN and has not begun. */
    if (connect(fd, name, len) < 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int io_socket_connect_begin(const SocketAddress *addr, unsigned attempt,
                            Error **errp)
{
    g_autofree char *text = io_socket_text(addr);
    int fd = -1;

    if (addr->type == SOCKET_ADDRESS_TYPE_FD) {
        return given_fd(addr, errp);
    }
    if (addr->type == SOCKET_ADDRESS_TYPE_UNIX) {
        struct sockaddr_un un;
        socklen_t len = unix_name(&addr->u.q_unix, &un, errp);

        if (!len) {
            return -1;
        }
        fd = begin(AF_UNIX, &un, len);
    } else {
        g_autoptr(AddrInfo) list = resolve(&addr->u.inet, false, errp);
        const AddrInfo *one;
        unsigned count = 0;

        if (!list) {
            return -1;
        }
        for (one = list; one; one = one->ai_next) {
            count++;
        }
        one = list;
        for (unsigned i = attempt % count; i; i--) {
            one = one->ai_next;
        }
        fd = begin(one->ai_family, one->ai_addr, one->ai_addrlen);
        if (fd >= 0 && addr->u.inet.has_keep_alive &&
            addr->u.inet.keep_alive) {
            set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        }
    }
    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot connect to %s", text);
    }
    return fd;
}

bool io_socket_connect_end(int fd, const SocketAddress *addr, Error **errp)
{
    g_autofree char *text = io_socket_text(addr);
    socklen_t len = sizeof(int);
    int err = 0;

    if (addr->type == SOCKET_ADDRESS_TYPE_FD) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) {
        err = errno;
    }
    if (err) {
        error_setg_errno(errp, err, "cannot connect to %s", text);
        return false;
    }
    return true;
}

/* Until the connection stands or fails; false: cancelled. */
static bool wait_connected(int fd, int cancel_fd)
{
    struct pollfd fds[2] = {
        { .fd = fd, .events = POLLOUT },
        { .fd = cancel_fd, .events = POLLIN },
    };

    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    return !fds[1].revents;
}

static unsigned count_addresses(const SocketAddress *addr)
{
    unsigned count = 0;

    if (addr->type == SOCKET_ADDRESS_TYPE_INET) {
        g_autoptr(AddrInfo) list = resolve(&addr->u.inet, false, NULL);

        for (const AddrInfo *one = list; one; one = one->ai_next) {
            count++;
        }
    }
    return MAX(count, 1);
}

int io_socket_connect(const SocketAddress *addr, int cancel_fd, Error **errp)
{
    unsigned count = count_addresses(addr);

    for (unsigned i = 0; i < count; i++) {
        g_autoptr(Error) local = NULL;
        int fd = io_socket_connect_begin(addr, i, &local);

        if (fd >= 0 && addr->type == SOCKET_ADDRESS_TYPE_FD) {
            return fd;
        }
        if (fd >= 0 && !wait_connected(fd, cancel_fd)) {
            g_autofree char *text = io_socket_text(addr);

            close(fd);
            error_setg(errp, "connecting to %s was cancelled", text);
            return -1;
        }
        if (fd >= 0 && io_socket_connect_end(fd, addr, &local)) {
            return fd;
        }
        if (fd >= 0) {
            close(fd);
        }
        if (i == count - 1) {
            error_propagate(errp, g_steal_pointer(&local));
        }
    }
    return -1;
}

/* Whether there is a socket of that name at which nobody answers. */
static bool is_stale(const struct sockaddr_un *un, socklen_t len)
{
    struct stat st;
    int fd;

    if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    fd = begin(AF_UNIX, un, len);
    if (fd >= 0) {
        close(fd);
        return false;
    }
    return errno == ECONNREFUSED;
}

static int listen_unix(const UnixSocketAddress *addr, int backlog,
                       Error **errp)
{
    struct sockaddr_un un;
    socklen_t len = unix_name(addr, &un, errp);
    int fd;

    if (!len) {
        return -1;
    }
    fd = new_socket(AF_UNIX);
    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot make a unix socket");
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&un, len) < 0) {
        int err = errno;
        bool stale = err == EADDRINUSE && is_pathname(addr) &&
                     is_stale(&un, len);

        if (!stale || unlink(addr->path) < 0 ||
            bind(fd, (struct sockaddr *)&un, len) < 0) {
            error_setg_errno(errp, stale ? errno : err,
                             "cannot listen on unix socket '%s'", addr->path);
            close(fd);
            return -1;
        }
    }
    if (listen(fd, backlog) < 0) {
        error_setg_errno(errp, errno, "cannot listen on unix socket '%s'",
                         addr->path);
        close(fd);
        return -1;
    }
    return fd;
}

static void set_port(struct sockaddr *sa, uint16_t port)
{
    if (sa->sa_family == AF_INET) {
        ((struct sockaddr_in *)(void *)sa)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)(void *)sa)->sin6_port = htons(port);
    }
}

static uint16_t get_port(const struct sockaddr *sa)
{
    return sa->sa_family == AF_INET
               ? ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port)
               : ntohs(((const struct sockaddr_in6 *)(const void *)sa)
                           ->sin6_port);
}

/* Bound and listening, or -1 with errno. */
static int listen_one(const AddrInfo *one, bool v6_only, int backlog)
{
    int fd = new_socket(one->ai_family), saved;

    if (fd < 0) {
        return -1;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (one->ai_family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only);
    }
    if (bind(fd, one->ai_addr, one->ai_addrlen) < 0 ||
        listen(fd, backlog) < 0) {
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/*
 * One socket. An IPv6 one takes IPv4 as well where both may be used, so IPv6
 * addresses are tried first.
 */
static int listen_inet(const InetSocketAddress *addr, int backlog,
                       Error **errp)
{
    g_autoptr(AddrInfo) list = resolve(addr, true, errp);
    bool v6_only = addr->has_ipv4 ? !addr->ipv4
                                  : addr->has_ipv6 && addr->ipv6;
    int fd = -1, err = EADDRNOTAVAIL;

    if (!list) {
        return -1;
    }
    for (int round = 0; round < 2 && fd < 0; round++) {
        int family = round == 0 ? AF_INET6 : AF_INET;

        for (AddrInfo *one = list; one && fd < 0; one = one->ai_next) {
            uint32_t port, last;

            if (one->ai_family != family) {
                continue;
            }
            port = get_port(one->ai_addr);
            last = addr->has_to ? addr->to : port;
            if (addr->has_to && last < port) {
                error_setg(errp, "the last port, %u, is below the first, %u",
                           last, port);
                return -1;
            }
            for (; port <= last && fd < 0; port++) {
                set_port(one->ai_addr, (uint16_t)port);
                fd = listen_one(one, v6_only, backlog);
                err = errno;
            }
        }
    }
    if (fd < 0) {
        error_setg_errno(errp, err, "cannot listen on tcp:%s:%s", addr->host,
                         addr->port);
    }
    return fd;
}

static int listen_given(const SocketAddress *addr, int backlog, Error **errp)
{
    int fd = given_fd(addr, errp), listening = 0;
    socklen_t len = sizeof(listening);

    if (fd < 0) {
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 ||
        (!listening && listen(fd, backlog) < 0)) {
        error_setg_errno(errp, errno, "cannot listen on descriptor %d", fd);
        return -1;
    }
    return fd;
}

int io_socket_listen(const SocketAddress *addr, int backlog, Error **errp)
{
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_UNIX:
        return listen_unix(&addr->u.q_unix, backlog, errp);
    case SOCKET_ADDRESS_TYPE_INET:
        return listen_inet(&addr->u.inet, backlog, errp);
    default:
        return listen_given(addr, backlog, errp);
    }
}

int io_socket_accept(int listen_fd, Error **errp)
{
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            return fd;
        }
        /* The peer may have given up meanwhile: see who is next. */
        if (errno == EINTR || errno == ECONNABORTED) {
            continue;
        }
        if (errno != EAGAIN) {
            error_setg_errno(errp, errno, "cannot accept a connection");
        }
        return -1;
    }
}
