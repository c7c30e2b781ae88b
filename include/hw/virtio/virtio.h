/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio devices (OASIS Virtual I/O Device 1.2), modern interface only.
 *
 * Three parts, each replaceable without the others: the device (block, net,
 * rng, console, input) fills a VirtioDevice and its ops; the transport (MMIO or
 * PCI) fills a VirtioTransport and shows registers to the guest; this core
 * keeps features, status and queues between them, and saves and loads all that
 * is the same for every device.
 *
 * Everything runs under the big lock. A guest that breaks the rules breaks its
 * device: virtio_error() stops it until it is reset (2.1.2, DEVICE_NEEDS_RESET)
 * and the machine goes on.
 */
#ifndef GODWIT_HW_VIRTIO_VIRTIO_H
#define GODWIT_HW_VIRTIO_VIRTIO_H

#include <inttypes.h>
#include <sys/uio.h>

#include "hw/core/device.h"
#include "system/memory.h"

typedef struct VirtioDevice VirtioDevice;
typedef struct VirtQueue VirtQueue;

/* Device types, section 5. */
enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_INPUT = 18,
};

/* Status bits, section 2.1. */
enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

/* Feature bits that belong to no device, section 6. */
#define VIRTIO_F_INDIRECT_DESC  28
#define VIRTIO_F_EVENT_IDX      29
#define VIRTIO_F_VERSION_1      32

/* Interrupt causes, sections 4.1.4.5 and 4.2.2. */
#define VIRTIO_ISR_QUEUE        1
#define VIRTIO_ISR_CONFIG       2

#define VIRTIO_QUEUES_MAX       8
#define VIRTIO_QUEUE_SIZE_MAX   1024
#define VIRTIO_CONFIG_MAX       256

/* One buffer chain that the guest made available. */
typedef struct VirtioElement {
    unsigned head;              /* index of its first descriptor */
    unsigned out_count;         /* what the device reads */
    unsigned in_count;          /* what the device writes */
    struct iovec *out;
    struct iovec *in;
    uint64_t out_bytes;
    uint64_t in_bytes;
    struct iovec iov[];         /* storage of both */
} VirtioElement;

/* What a kind of device does. */
typedef struct VirtioDeviceOps {
    uint16_t device_id;
    const char *stream_name;    /* "virtio-blk" */
    size_t config_bytes;        /* <= VIRTIO_CONFIG_MAX */

    /* The device's own feature bits; asked once, at realize. */
    uint64_t (*features)(VirtioDevice *vdev);
    /* Fills vdev->config before the guest reads it. NULL: it stands. */
    void (*update_config)(VirtioDevice *vdev);
    /* The guest wrote to the config space; it is in vdev->config already. */
    void (*config_written)(VirtioDevice *vdev, unsigned offset, unsigned size);
    /* The guest kicked queue @queue, which is ready. */
    void (*queue_notify)(VirtioDevice *vdev, unsigned queue);
    /* The driver has become ready (DRIVER_OK), or the device runs again. */
    void (*started)(VirtioDevice *vdev);
    /* Forgets what is under way: nothing of it may touch the queues later. */
    void (*reset)(VirtioDevice *vdev);
} VirtioDeviceOps;

/* What a transport does for the core. */
typedef struct VirtioTransport {
    /* The interrupt line follows @isr != 0. */
    void (*update_irq)(void *opaque, uint8_t isr);
    void *opaque;
} VirtioTransport;

struct VirtQueue {
    VirtioDevice *vdev;
    unsigned index;
    uint16_t size_max;
    /* what the driver set (4.1.4.3, 4.2.2) */
    uint16_t size;
    bool ready;
    hwaddr desc, avail, used;
    /* where the device stands */
    uint16_t last_avail;        /* next entry of the available ring to take */
    uint16_t used_index;        /* next entry of the used ring to fill */
    uint16_t signalled_used;    /* used_index at the last interrupt */
    bool signalled_used_valid;
    unsigned in_flight;
    uint32_t num;               /* size, as it travels */
};

/* Embedded in a device behind its Device; filled by virtio_init(). */
struct VirtioDevice {
    Device parent;
    const VirtioDeviceOps *ops;
    const VirtioTransport *transport;
    uint64_t host_features;     /* offered */
    uint64_t guest_features;    /* accepted by the driver */
    uint8_t status;
    uint8_t isr;
    bool broken;
    uint32_t config_generation;
    uint8_t config[VIRTIO_CONFIG_MAX];
    VirtQueue queues[VIRTIO_QUEUES_MAX];
    uint32_t queue_count;
    /* the transport's selectors, which all of them have */
    uint16_t queue_select;
    uint32_t features_select;
    uint32_t guest_features_select;
    /* of this value, what travels apart from it */
    uint32_t features_low;      /* of guest_features */
    uint32_t config_bytes;      /* of ops */
    unsigned runstate_handler;
};

/* --- for devices --- */

/* The common state: a device's vmstate holds one, VMSTATE_VIRTIO_DEVICE. */
extern const VMStateDescription vmstate_virtio;

#define VMSTATE_VIRTIO_DEVICE(_field, _state)                           \
    VMSTATE_STRUCT(_field, _state, vmstate_virtio, VirtioDevice)

/* Sets up the common part, with the transport it sits behind; from realize. */
void virtio_init(VirtioDevice *vdev, const VirtioDeviceOps *ops);
/* Adds a queue of at most @size_max entries (a power of two). */
VirtQueue *virtio_add_queue(VirtioDevice *vdev, uint16_t size_max);
void virtio_cleanup(VirtioDevice *vdev);

static inline bool virtio_has_feature(const VirtioDevice *vdev, unsigned bit)
{
    return vdev->guest_features >> bit & 1;
}

/* Whether the driver is ready and the device not broken. */
bool virtio_is_started(const VirtioDevice *vdev);

/*
 * The next chain the guest made available, mapped, or NULL if there is none
 * (or the queue cannot be used; then the device may just have been broken).
 * Give it back by virtqueue_push() or virtqueue_discard().
 */
VirtioElement *virtqueue_pop(VirtQueue *vq);
bool virtqueue_is_empty(VirtQueue *vq);

/*
 * Returns a chain with @written bytes of its in part filled; it is freed.
 * The guest hears of it by virtqueue_interrupt().
 */
void virtqueue_push(VirtQueue *vq, VirtioElement *element, uint32_t written);

/* Frees @element and has the guest's chain popped again later. */
void virtqueue_unpop(VirtQueue *vq, VirtioElement *element);

/* Frees @element without returning it (after a reset). */
void virtqueue_discard(VirtQueue *vq, VirtioElement *element);

/* Interrupts the guest if it wants to hear of what was pushed. */
void virtqueue_interrupt(VirtQueue *vq);

/* The config space changed by itself. */
void virtio_config_changed(VirtioDevice *vdev);

/* The guest broke a rule; message as printf, logged once. */
void virtio_error(VirtioDevice *vdev, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* --- for transports --- */

void virtio_reset(VirtioDevice *vdev);
void virtio_set_status(VirtioDevice *vdev, uint8_t status);
/* Word @index (0, 1) of the features; writes count only before FEATURES_OK. */
uint32_t virtio_get_host_features(VirtioDevice *vdev, uint32_t index);
uint32_t virtio_get_guest_features(VirtioDevice *vdev, uint32_t index);
void virtio_set_guest_features(VirtioDevice *vdev, uint32_t index,
                               uint32_t value);
/* Bytes of the device's config space; all ones beyond its end. */
uint32_t virtio_config_read(VirtioDevice *vdev, uint64_t offset,
                            unsigned size);
void virtio_config_write(VirtioDevice *vdev, uint64_t offset, unsigned size,
                         uint32_t value);
/* Sizes that are no power of two or too large are refused: stays as it was. */
void virtio_queue_set_size(VirtQueue *vq, uint32_t size);
/* Checks alignment and that the rings lie in RAM before it says ready. */
void virtio_queue_set_ready(VirtQueue *vq, bool ready);
void virtio_queue_notify(VirtioDevice *vdev, uint32_t queue);
/*
 * After its addresses have been loaded: checks them as set_ready does, and
 * reads from the ring how far it was filled. Error: rings not in RAM, or an
 * index that no device could have left.
 */
bool virtio_queue_restore(VirtQueue *vq, Error **errp);
/* The queue that queue_select selects, or NULL if there is none. */
VirtQueue *virtio_selected_queue(VirtioDevice *vdev);
/* Clears the bits @mask of the interrupt causes. */
void virtio_ack_isr(VirtioDevice *vdev, uint8_t mask);

/* Copies between an iovec array and a flat buffer; bytes done. */
size_t iov_to_buf_at(const struct iovec *iov, unsigned count, size_t offset,
                     void *buf, size_t len);
size_t iov_from_buf_at(const struct iovec *iov, unsigned count, size_t offset,
                       const void *buf, size_t len);

#endif
