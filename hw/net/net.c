/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all network back ends share: their names, the card at the other end,
 * and the frames that wait for it. Big lock.
 */
#include "hw/net/net.h"

#include "qapi/qapi-types-net.h"

/* Frames kept for a card without buffers; more are lost, as on a wire. */
#define WAITING_MAX 256

struct NetBackends {
    GPtrArray *all;
};

static GPtrArray *backends(Vm *vm)
{
    if (!vm->nets) {
        vm->nets = g_new0(struct NetBackends, 1);
        vm->nets->all = g_ptr_array_new();
    }
    return vm->nets->all;
}

bool net_backend_init(NetBackend *net, Vm *vm, const NetBackendOps *ops,
                      const char *id, Error **errp)
{
    if (net_find(vm, id)) {
        error_setg(errp, "network back end '%s' exists already", id);
        return false;
    }
    net->vm = vm;
    net->ops = ops;
    net->id = g_strdup(id);
    g_queue_init(&net->waiting);
    g_ptr_array_add(backends(vm), net);
    return true;
}

void net_backend_cleanup(NetBackend *net)
{
    g_ptr_array_remove(backends(net->vm), net);
    g_queue_clear_full(&net->waiting, (GDestroyNotify)g_bytes_unref);
    g_free(net->id);
}

NetBackend *net_find(Vm *vm, const char *id)
{
    GPtrArray *all = backends(vm);

    for (unsigned i = 0; i < all->len; i++) {
        NetBackend *net = g_ptr_array_index(all, i);

        if (g_str_equal(net->id, id)) {
            return net;
        }
    }
    return NULL;
}

void net_foreach(Vm *vm, void (*fn)(NetBackend *net, void *data), void *data)
{
    GPtrArray *all = backends(vm);

    for (unsigned i = 0; i < all->len; i++) {
        fn(g_ptr_array_index(all, i), data);
    }
}

bool net_attach(NetBackend *net, const NetCard *card, void *opaque,
                Error **errp)
{
    if (net->card) {
        error_setg(errp, "network back end '%s' has a card already", net->id);
        return false;
    }
    net->card = card;
    net->card_opaque = opaque;
    return true;
}

void net_detach(NetBackend *net)
{
    net->card = NULL;
    net->card_opaque = NULL;
}

bool net_send(NetBackend *net, const struct iovec *iov, unsigned count)
{
    return net->ops->send(net, iov, count);
}

void net_backend_flush(NetBackend *net)
{
    if (net->card) {
        net->card->flush(net->card_opaque);
    }
}

bool net_backend_wants_more(const NetBackend *net)
{
    return g_queue_get_length((GQueue *)&net->waiting) < WAITING_MAX / 2;
}

void net_backend_deliver(NetBackend *net, const uint8_t *frame, size_t len)
{
    if (!net->card) {
        return;
    }
    if (g_queue_is_empty(&net->waiting) &&
        net->card->receive(net->card_opaque, frame, len)) {
        return;
    }
    if (g_queue_get_length(&net->waiting) < WAITING_MAX) {
        g_queue_push_tail(&net->waiting, g_bytes_new(frame, len));
    }
}

void net_receive_ready(NetBackend *net)
{
    GBytes *bytes;

    while ((bytes = g_queue_peek_head(&net->waiting))) {
        size_t len;
        const uint8_t *frame = g_bytes_get_data(bytes, &len);

        if (!net->card->receive(net->card_opaque, frame, len)) {
            return;
        }
        g_bytes_unref(g_queue_pop_head(&net->waiting));
    }
    if (net->ops->receive_ready) {
        net->ops->receive_ready(net);
    }
}

void net_free(NetBackend *net)
{
    net->ops->destroy(net);
}

void net_free_all(Vm *vm)
{
    while (backends(vm)->len) {
        net_free(g_ptr_array_index(vm->nets->all, 0));
    }
    g_ptr_array_free(vm->nets->all, TRUE);
    g_clear_pointer(&vm->nets, g_free);
}

NetBackend *net_new(Vm *vm, const Netdev *options, Error **errp)
{
    switch (options->type) {
    case NET_CLIENT_DRIVER_USER:
        return net_user_new(vm, options, errp);
    case NET_CLIENT_DRIVER_SOCKET:
        return net_socket_new(vm, options, errp);
    default:
        g_assert_not_reached();
    }
}
