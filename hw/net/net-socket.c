/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames over a connected stream socket, each behind its length as 32 bits,
 * big-endian: a cable between two machines. Big lock.
 */
#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hw/net/net.h"
#include "qapi/qapi-types-net.h"
#include "system/fds.h"
#include "util/log.h"

typedef struct NetSocket {
    NetBackend net;
    int fd;                     /* -1: the other side is gone */
    GSource *reader;            /* NULL while the card is full */
    GSource *writer;            /* NULL unless something waits */
    GByteArray *out;            /* the rest of one frame */
    uint8_t in[4 + NET_FRAME_MAX];
    size_t in_bytes;
} NetSocket;

static void drop_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static void watch(NetSocket *s, GSource **source, GIOCondition condition,
                  GUnixFDSourceFunc fn)
{
    if (!*source && s->fd >= 0) {
        *source = g_unix_fd_source_new(s->fd, condition);
        g_source_set_callback(*source, G_SOURCE_FUNC(fn), s, NULL);
        g_source_attach(*source, s->net.vm->context);
    }
}

static void hang_up(NetSocket *s, const char *why)
{
    warn_report("network back end '%s': %s; the cable is unplugged",
                s->net.id, why);
    drop_source(&s->reader);
    drop_source(&s->writer);
    close(s->fd);
    s->fd = -1;
    g_byte_array_set_size(s->out, 0);
}

/* Hands over each whole frame; false if the other side breaks the framing. */
static bool split_frames(NetSocket *s)
{
    size_t at = 0;

    while (s->in_bytes - at >= 4) {
        uint32_t len;

        memcpy(&len, s->in + at, 4);
        len = GUINT32_FROM_BE(len);
        if (len > NET_FRAME_MAX) {
            return false;
        }
        if (s->in_bytes - at - 4 < len) {
            break;
        }
        net_backend_deliver(&s->net, s->in + at + 4, len);
        at += 4 + len;
    }
    memmove(s->in, s->in + at, s->in_bytes - at);
    s->in_bytes -= at;
    return true;
}

static gboolean readable(gint fd, GIOCondition condition, gpointer opaque)
{
    NetSocket *s = opaque;
    ssize_t n = recv(fd, s->in + s->in_bytes, sizeof(s->in) - s->in_bytes,
                     MSG_DONTWAIT);

    (void)condition;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        hang_up(s, n ? g_strerror(errno) : "the other side hung up");
        return G_SOURCE_REMOVE;
    }
    s->in_bytes += n;
    if (!split_frames(s)) {
        hang_up(s, "a frame of over 64 KiB");
        return G_SOURCE_REMOVE;
    }
    if (!net_backend_wants_more(&s->net)) {
        drop_source(&s->reader);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean writable(gint fd, GIOCondition condition, gpointer opaque)
{
    NetSocket *s = opaque;
    ssize_t n = send(fd, s->out->data, s->out->len,
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)condition;
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            hang_up(s, g_strerror(errno));
        }
        return G_SOURCE_CONTINUE;
    }
    g_byte_array_remove_range(s->out, 0, n);
    if (s->out->len == 0) {
        drop_source(&s->writer);
        net_backend_flush(&s->net);
    }
    return G_SOURCE_CONTINUE;
}

static bool socket_send(NetBackend *net, const struct iovec *iov,
                        unsigned count)
{
    NetSocket *s = (NetSocket *)net;
    uint32_t len = 0;
    ssize_t n;

    if (s->fd < 0) {
        return true;
    }
    if (s->out->len > 0) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        len += iov[i].iov_len;
    }
    len = GUINT32_TO_BE(len);
    g_byte_array_append(s->out, (uint8_t *)&len, 4);
    for (unsigned i = 0; i < count; i++) {
        g_byte_array_append(s->out, iov[i].iov_base, iov[i].iov_len);
    }
    n = send(s->fd, s->out->data, s->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up(s, g_strerror(errno));
        return true;
    }
    if (n > 0) {
        g_byte_array_remove_range(s->out, 0, n);
    }
    if (s->out->len > 0) {
        watch(s, &s->writer, G_IO_OUT, writable);
    }
    return true;
}

static void socket_receive_ready(NetBackend *net)
{
    NetSocket *s = (NetSocket *)net;

    watch(s, &s->reader, G_IO_IN, readable);
}

static void socket_destroy(NetBackend *net)
{
    NetSocket *s = (NetSocket *)net;

    drop_source(&s->reader);
    drop_source(&s->writer);
    if (s->fd >= 0) {
        close(s->fd);
    }
    g_byte_array_free(s->out, TRUE);
    net_backend_cleanup(net);
    g_free(s);
}

static char *socket_describe(NetBackend *net)
{
    NetSocket *s = (NetSocket *)net;

    return s->fd < 0 ? g_strdup("type=socket (hung up)")
                     : g_strdup_printf("type=socket,fd=%d", s->fd);
}

static const NetBackendOps socket_ops = {
    .type = "socket",
    .send = socket_send,
    .receive_ready = socket_receive_ready,
    .destroy = socket_destroy,
    .describe = socket_describe,
};

NetBackend *net_socket_new(Vm *vm, const Netdev *options, Error **errp)
{
    const char *text = options->u.socket.fd;
    int type, fd;
    socklen_t type_len = sizeof(type);
    NetSocket *s;

    if (!text) {
        error_setg(errp, "network back end '%s' needs option 'fd': a connected "
                   "stream socket", options->id);
        return NULL;
    }
    fd = fd_store_take(vm->fds, text, errp);
    if (fd < 0) {
        return NULL;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 ||
        type != SOCK_STREAM) {
        error_setg(errp, "descriptor '%s' is no stream socket", text);
        close(fd);
        return NULL;
    }
    s = g_new0(NetSocket, 1);
    if (!net_backend_init(&s->net, vm, &socket_ops, options->id, errp)) {
        close(fd);
        g_free(s);
        return NULL;
    }
    s->fd = fd;
    s->out = g_byte_array_new();
    watch(s, &s->reader, G_IO_IN, readable);
    return &s->net;
}
