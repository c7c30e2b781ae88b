/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The carrier of multifd over sockets: packets as QEMU has them. Each state is
 * one channel's and entered by its thread, interrupt by any; no lock.
 */
#include <string.h>

#include "migration/multifd-socket.h"

typedef struct SocketState {
    IoChannel *ch;
    const MultiFDMethod *method;
    void *packer;               /* of the method, or NULL */
    uint64_t *packet_num;       /* shared; atomic */
    MultiFDHead head;
    uint8_t bytes[MULTIFD_HEAD_BYTES];
} SocketState;

static bool socket_close(void *state, bool ok, Error **errp)
{
    SocketState *st = state;
    bool closed = !ok || io_channel_close(st->ch, errp);

    if (st->packer) {
        st->method->send_free(st->packer);
    }
    io_channel_unref(st->ch);
    g_free(st);
    return closed;
}

void *multifd_socket_new(IoChannel *ch, const MultiFDInit *init,
                         const MultiFDMethod *method, int level,
                         uint64_t *packet_num, Error **errp)
{
    SocketState *st = g_new0(SocketState, 1);
    uint8_t hello[MULTIFD_INIT_BYTES];

    st->ch = ch;
    st->method = method;
    st->packet_num = packet_num;
    if (method->send_new) {
        st->packer = method->send_new(level, errp);
        if (!st->packer) {
            goto fail;
        }
    }
    multifd_init_put(hello, init);
    if (!io_channel_write_all(ch, hello, sizeof(hello), errp)) {
        goto fail;
    }
    return st;

fail:
    error_prepend(errp, "multifd channel %u: ", init->id);
    socket_close(st, false, NULL);
    return NULL;
}

static bool send_packet(SocketState *st, MultiFDSend *send, struct iovec *iov,
                        unsigned num_iov, uint64_t *bytes, Error **errp)
{
    uint64_t all = MULTIFD_HEAD_BYTES + (uint64_t)st->head.payload_bytes;
    bool ok;

    st->head.packet_num = __atomic_fetch_add(st->packet_num, 1,
                                             __ATOMIC_RELAXED);
    multifd_head_put(st->bytes, &st->head);
    iov[0] = (struct iovec) { st->bytes, sizeof(st->bytes) };
    multifd_send_begin_write(send);
    ok = io_channel_writev_all(st->ch, iov, num_iov + 1, errp);
    multifd_send_end_write(send, ok ? all : 0);
    if (ok) {
        *bytes = all;
    }
    return ok;
}

static bool socket_send(void *state, MultiFDSend *send,
                        const MultiFDBatch *batch, uint64_t *bytes,
                        Error **errp)
{
    struct iovec iov[1 + MULTIFD_PAGES];
    uint8_t *page[MULTIFD_PAGES];
    SocketState *st = state;
    MultiFDHead *head = &st->head;
    unsigned num_iov = 0;

    head->flags = st->method->flags;
    head->normal_pages = batch->normal;
    head->zero_pages = batch->num - batch->normal;
    head->payload_bytes = 0;
    g_strlcpy(head->block, batch->rb->id, sizeof(head->block));
    memcpy(head->offset, batch->offset, batch->num * sizeof(batch->offset[0]));
    for (unsigned i = 0; i < batch->normal; i++) {
        page[i] = batch->rb->host + batch->offset[i];
    }
    return (!batch->normal ||
            st->method->pack(st->packer, page, batch->normal, iov + 1,
                             &num_iov, &head->payload_bytes, errp)) &&
           send_packet(st, send, iov, num_iov, bytes, errp);
}

static bool socket_sync(void *state, MultiFDSend *send, uint64_t *bytes,
                        Error **errp)
{
    SocketState *st = state;
    struct iovec iov;

    st->head = (MultiFDHead) { .flags = MULTIFD_FLAG_SYNC };
    return send_packet(st, send, &iov, 0, bytes, errp);
}

static void socket_interrupt(void *state)
{
    io_channel_shutdown(((SocketState *)state)->ch, IO_SHUTDOWN_BOTH);
}

const MultiFDCarrier multifd_socket_carrier = {
    .send = socket_send,
    .sync = socket_sync,
    .interrupt = socket_interrupt,
    .close = socket_close,
};
