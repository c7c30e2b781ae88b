/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network back ends (-netdev): where the frames of a guest's card go. One card
 * to a back end. Big lock everywhere.
 */
#ifndef GODWIT_HW_NET_NET_H
#define GODWIT_HW_NET_NET_H

#include <inttypes.h>
#include <sys/uio.h>

#include "system/vm.h"

typedef struct NetBackend NetBackend;

/* The largest Ethernet frame that passes, bytes: 64 KiB with its headers. */
#define NET_FRAME_MAX (64 * 1024)

/* What a kind of back end does; it embeds NetBackend at its start. */
typedef struct NetBackendOps {
    const char *type;           /* "user", "socket" */
    /*
     * Takes one frame from the guest. False: no room now; net_flush() when
     * there is.
     */
    bool (*send)(NetBackend *net, const struct iovec *iov, unsigned count);
    /* The card can take frames again. */
    void (*receive_ready)(NetBackend *net);
    void (*destroy)(NetBackend *net);   /* frees it */
    /* One line for "info network"; caller frees. */
    char *(*describe)(NetBackend *net);
} NetBackendOps;

/* What the card does for it. */
typedef struct NetCard {
    /* Takes a frame from the net. False: no buffer now; it is kept. */
    bool (*receive)(void *opaque, const uint8_t *frame, size_t len);
    /* The back end has room again. */
    void (*flush)(void *opaque);
} NetCard;

struct NetBackend {
    const NetBackendOps *ops;
    Vm *vm;
    char *id;
    const NetCard *card;        /* NULL: unplugged */
    void *card_opaque;
    /* Frames from the net that wait for the card, oldest first, bounded. */
    GQueue waiting;             /* of GBytes * */
};

/* For back ends: registers under @id. Error: taken. */
bool net_backend_init(NetBackend *net, Vm *vm, const NetBackendOps *ops,
                      const char *id, Error **errp);
void net_backend_cleanup(NetBackend *net);
/* A frame has come; kept or dropped if the card is not ready. */
void net_backend_deliver(NetBackend *net, const uint8_t *frame, size_t len);
/* There is room for the guest's frames again. */
void net_backend_flush(NetBackend *net);
/* Whether it is worth reading more from the net: the queue has room. */
bool net_backend_wants_more(const NetBackend *net);

/* For cards. */
NetBackend *net_find(Vm *vm, const char *id);
bool net_attach(NetBackend *net, const NetCard *card, void *opaque,
                Error **errp);
void net_detach(NetBackend *net);
bool net_send(NetBackend *net, const struct iovec *iov, unsigned count);
/* The card has buffers: what waits is handed over now. */
void net_receive_ready(NetBackend *net);

void net_foreach(Vm *vm, void (*fn)(NetBackend *net, void *data), void *data);

/* A back end as -netdev or netdev_add describes it. Error: names the value. */
struct Netdev;
NetBackend *net_new(Vm *vm, const struct Netdev *options, Error **errp);
void net_free(NetBackend *net);
void net_free_all(Vm *vm);

/* Kinds; each in a file of its own. */
NetBackend *net_user_new(Vm *vm, const struct Netdev *options, Error **errp);
NetBackend *net_socket_new(Vm *vm, const struct Netdev *options, Error **errp);

#endif
