/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network device (virtio 1.2, section 5.1): one pair of queues, frames as they
 * are, without offloads. Big lock.
 */
#include "hw/net/net.h"
#include "hw/virtio/virtio-types.h"

#define QUEUE_SIZE      256
enum { QUEUE_RX, QUEUE_TX };

/* Feature bits, 5.1.3 */
enum { NET_F_MTU = 3, NET_F_MAC = 5, NET_F_STATUS = 16 };

/* struct virtio_net_hdr of a modern device, 5.1.6; num_buffers is the last. */
#define NET_HEADER_BYTES        12
#define NET_HEADER_NUM_BUFFERS  10

/* Offsets in the configuration space, 5.1.4 */
enum { CFG_MAC = 0, CFG_STATUS = 6, CFG_MTU = 10, CFG_BYTES = 12 };
#define NET_STATUS_LINK_UP  1

typedef struct VirtioNet {
    VirtioDevice vdev;
    /* properties */
    NetBackend *net;
    uint8_t mac[6];
    uint16_t host_mtu;
} VirtioNet;

static void transmit(VirtioNet *s)
{
    VirtQueue *vq = &s->vdev.queues[QUEUE_TX];
    VirtioElement *element;
    bool any = false;

    while ((element = virtqueue_pop(vq))) {
        struct iovec iov[1024];
        unsigned count = 0;
        uint64_t skip = NET_HEADER_BYTES;

        if (element->out_bytes < NET_HEADER_BYTES ||
            element->out_bytes > NET_HEADER_BYTES + NET_FRAME_MAX) {
            virtio_error(&s->vdev, "frame of %" PRIu64 " bytes; expected %d "
                         "to %d", element->out_bytes, NET_HEADER_BYTES,
                         NET_HEADER_BYTES + NET_FRAME_MAX);
            virtqueue_discard(vq, element);
            break;
        }
        for (unsigned i = 0; i < element->out_count; i++) {
            size_t len = element->out[i].iov_len;

            if (skip >= len) {
                skip -= len;
                continue;
            }
            iov[count].iov_base = (uint8_t *)element->out[i].iov_base + skip;
            iov[count++].iov_len = len - skip;
            skip = 0;
        }
        if (s->net && count && !net_send(s->net, iov, count)) {
            virtqueue_unpop(vq, element);
            break;
        }
        virtqueue_push(vq, element, 0);
        any = true;
    }
    if (any) {
        virtqueue_interrupt(vq);
    }
}

static bool net_card_receive(void *opaque, const uint8_t *frame, size_t len)
{
    VirtioNet *s = opaque;
    VirtQueue *vq = &s->vdev.queues[QUEUE_RX];
    uint8_t header[NET_HEADER_BYTES] = { [NET_HEADER_NUM_BUFFERS] = 1 };
    VirtioElement *element;
    size_t done;

    element = virtqueue_pop(vq);
    if (!element) {
        return false;
    }
    if (element->in_bytes < NET_HEADER_BYTES + len) {
        /* Larger than the driver's buffers: it is not for this guest. */
        virtqueue_unpop(vq, element);
        return true;
    }
    done = iov_from_buf_at(element->in, element->in_count, 0, header,
                           sizeof(header));
    done += iov_from_buf_at(element->in, element->in_count, done, frame, len);
    virtqueue_push(vq, element, done);
    virtqueue_interrupt(vq);
    return true;
}

static void net_card_flush(void *opaque)
{
    transmit(opaque);
}

static const NetCard net_card = {
    .receive = net_card_receive,
    .flush = net_card_flush,
};

static void net_notify(VirtioDevice *vdev, unsigned queue)
{
    VirtioNet *s = (VirtioNet *)vdev;

    if (queue == QUEUE_TX) {
        transmit(s);
    } else if (s->net) {
        net_receive_ready(s->net);
    }
}

static void net_started(VirtioDevice *vdev)
{
    VirtioNet *s = (VirtioNet *)vdev;

    transmit(s);
    if (s->net) {
        net_receive_ready(s->net);
    }
}

static uint64_t net_features(VirtioDevice *vdev)
{
    uint64_t bits = UINT64_C(1) << NET_F_MAC | 1 << NET_F_STATUS;

    return ((VirtioNet *)vdev)->host_mtu ? bits | 1 << NET_F_MTU : bits;
}

static void net_update_config(VirtioDevice *vdev)
{
    VirtioNet *s = (VirtioNet *)vdev;
    uint16_t status = s->net ? NET_STATUS_LINK_UP : 0;

    memcpy(vdev->config + CFG_MAC, s->mac, sizeof(s->mac));
    memcpy(vdev->config + CFG_STATUS, &status, sizeof(status));
    memcpy(vdev->config + CFG_MTU, &s->host_mtu, sizeof(s->host_mtu));
}

static const VirtioDeviceOps net_ops = {
    .device_id = VIRTIO_ID_NET,
    .stream_name = "virtio-net",
    .config_bytes = CFG_BYTES,
    .features = net_features,
    .update_config = net_update_config,
    .queue_notify = net_notify,
    .started = net_started,
};

static bool net_realize(Device *dev, Error **errp)
{
    VirtioNet *s = (VirtioNet *)dev;

    if (s->mac[0] & 1) {
        error_setg(errp, "property 'mac' is a multicast address; expected the "
                   "address of one card");
        return false;
    }
    if (s->host_mtu && s->host_mtu < 68) {
        error_setg(errp, "property 'host_mtu' is %u; expected 68 to 65535",
                   s->host_mtu);
        return false;
    }
    virtio_init(&s->vdev, &net_ops);
    virtio_add_queue(&s->vdev, QUEUE_SIZE);
    virtio_add_queue(&s->vdev, QUEUE_SIZE);
    if (s->net && !net_attach(s->net, &net_card, s, errp)) {
        virtio_cleanup(&s->vdev);
        return false;
    }
    return true;
}

static void net_unrealize(Device *dev)
{
    VirtioNet *s = (VirtioNet *)dev;

    if (s->net) {
        net_detach(s->net);
    }
    virtio_cleanup(&s->vdev);
}

/* The address that the guest was given moves with it. */
static bool net_post_load(void *opaque, int version_id, Error **errp)
{
    VirtioNet *s = opaque;

    (void)version_id;
    (void)errp;
    memcpy(s->mac, s->vdev.config + CFG_MAC, sizeof(s->mac));
    return true;
}

static const VMStateDescription vmstate_net = {
    .name = "virtio-net",
    .version_id = 11,
    .minimum_version_id = 11,
    .post_load = net_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE(vdev, VirtioNet),
        VMSTATE_END_OF_LIST()
    },
};

static const Property net_properties[] = {
    { .name = "netdev", .kind = PROP_NET, .offset = offsetof(VirtioNet, net),
      .help = "id of the -netdev" },
    { .name = "mac", .kind = PROP_MAC, .offset = offsetof(VirtioNet, mac),
      .preset = "52:54:00:12:34:56", .help = "address of the card" },
    { .name = "host_mtu", .kind = PROP_U16,
      .offset = offsetof(VirtioNet, host_mtu),
      .help = "MTU that the guest is told; 0: none" },
    { .name = NULL }
};

VIRTIO_DEVICE_TYPES(net, "net", VirtioNet, "virtio network card")
