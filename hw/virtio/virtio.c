/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all virtio devices have in common: features, status, configuration
 * space, and starting again after the machine stood still. Big lock.
 */
#include "hw/virtio/virtio-bus.h"
#include "hw/virtio/virtio-types.h"

#include "system/runstate.h"
#include "util/log.h"

/* Bits 24 to 40 are the transport's and the ring's (section 6). */
#define VIRTIO_RING_FEATURES                                            \
    (UINT64_C(1) << VIRTIO_F_INDIRECT_DESC |                            \
     UINT64_C(1) << VIRTIO_F_EVENT_IDX | UINT64_C(1) << VIRTIO_F_VERSION_1)

/* A device that was stopped with work in its queues goes on with it. */
static void runstate_changed(void *opaque, bool running, RunState state)
{
    VirtioDevice *vdev = opaque;

    (void)state;
    if (running && virtio_is_started(vdev) && vdev->ops->started) {
        vdev->ops->started(vdev);
    }
}

/* Where a device behind a transport stands in the stream: the transport's. */
static char *virtio_child_path(Bus *bus, Device *dev)
{
    Bus *outer = bus->owner->bus;

    (void)dev;
    return outer && outer->child_path ? outer->child_path(outer, bus->owner)
                                      : NULL;
}

void virtio_bus_init(VirtioBus *vbus, const char *name, Device *owner,
                     void (*update_irq)(void *owner, uint8_t isr))
{
    bus_init(&vbus->bus, owner->vm, name, VIRTIO_BUS_KIND, owner);
    vbus->bus.max_children = 1;
    vbus->bus.child_path = virtio_child_path;
    vbus->transport = (VirtioTransport) {
        .update_irq = update_irq,
        .opaque = owner,
    };
}

void virtio_device_reset(Device *dev)
{
    virtio_reset((VirtioDevice *)dev);
}

void virtio_init(VirtioDevice *vdev, const VirtioDeviceOps *ops)
{
    VirtioBus *vbus = (VirtioBus *)vdev->parent.bus;

    g_assert(ops->config_bytes <= VIRTIO_CONFIG_MAX);
    vbus->vdev = vdev;
    vdev->ops = ops;
    vdev->transport = &vbus->transport;
    vdev->host_features = VIRTIO_RING_FEATURES;
    if (ops->features) {
        vdev->host_features |= ops->features(vdev);
    }
    vdev->runstate_handler = runstate_add_handler(vdev->parent.vm, 0,
                                                  runstate_changed, vdev);
}

void virtio_cleanup(VirtioDevice *vdev)
{
    runstate_remove_handler(vdev->parent.vm, vdev->runstate_handler);
    ((VirtioBus *)vdev->parent.bus)->vdev = NULL;
    vdev->queue_count = 0;
}

VirtQueue *virtio_add_queue(VirtioDevice *vdev, uint16_t size_max)
{
    VirtQueue *vq;

    g_assert(vdev->queue_count < VIRTIO_QUEUES_MAX);
    g_assert(size_max && size_max <= VIRTIO_QUEUE_SIZE_MAX &&
             !(size_max & (size_max - 1)));
    vq = &vdev->queues[vdev->queue_count];
    *vq = (VirtQueue) {
        .vdev = vdev,
        .index = vdev->queue_count,
        .size_max = size_max,
        .size = size_max,
    };
    vdev->queue_count++;
    return vq;
}

bool virtio_is_started(const VirtioDevice *vdev)
{
    return (vdev->status & VIRTIO_STATUS_DRIVER_OK) && !vdev->broken;
}

static void update_irq(VirtioDevice *vdev)
{
    vdev->transport->update_irq(vdev->transport->opaque, vdev->isr);
}

void virtio_reset(VirtioDevice *vdev)
{
    if (vdev->ops->reset) {
        vdev->ops->reset(vdev);
    }
    vdev->guest_features = 0;
    vdev->status = 0;
    vdev->isr = 0;
    vdev->broken = false;
    vdev->config_generation = 0;
    vdev->queue_select = 0;
    vdev->features_select = 0;
    vdev->guest_features_select = 0;
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        VirtQueue *vq = &vdev->queues[i];
        uint16_t size_max = vq->size_max;

        *vq = (VirtQueue) {
            .vdev = vdev,
            .index = i,
            .size_max = size_max,
            .size = size_max,
        };
    }
    update_irq(vdev);
}

void virtio_set_status(VirtioDevice *vdev, uint8_t status)
{
    bool was_started = virtio_is_started(vdev);

    if (status == 0) {
        virtio_reset(vdev);
        return;
    }
    if (!(vdev->status & VIRTIO_STATUS_FEATURES_OK) &&
        (status & VIRTIO_STATUS_FEATURES_OK) &&
        !virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
        /* The driver reads it back and learns that we cannot (3.1.1). */
        status &= ~VIRTIO_STATUS_FEATURES_OK;
    }
    vdev->status = status | (vdev->status & VIRTIO_STATUS_NEEDS_RESET);
    if (!was_started && virtio_is_started(vdev) && vdev->ops->started) {
        vdev->ops->started(vdev);
    }
}

uint32_t virtio_get_host_features(VirtioDevice *vdev, uint32_t index)
{
    return index < 2 ? vdev->host_features >> (32 * index) : 0;
}

uint32_t virtio_get_guest_features(VirtioDevice *vdev, uint32_t index)
{
    return index < 2 ? vdev->guest_features >> (32 * index) : 0;
}

void virtio_set_guest_features(VirtioDevice *vdev, uint32_t index,
                               uint32_t value)
{
    unsigned shift = 32 * index;

    if (index >= 2 || (vdev->status & VIRTIO_STATUS_FEATURES_OK)) {
        return;
    }
    vdev->guest_features &= ~((uint64_t)UINT32_MAX << shift);
    vdev->guest_features |= (uint64_t)value << shift & vdev->host_features;
}

uint32_t virtio_config_read(VirtioDevice *vdev, uint64_t offset, unsigned size)
{
    uint32_t value = 0;

    if (offset >= vdev->ops->config_bytes ||
        size > vdev->ops->config_bytes - offset) {
        return UINT32_MAX;
    }
    if (vdev->ops->update_config) {
        vdev->ops->update_config(vdev);
    }
    memcpy(&value, vdev->config + offset, size);
    return value;
}

void virtio_config_write(VirtioDevice *vdev, uint64_t offset, unsigned size,
                         uint32_t value)
{
    if (offset >= vdev->ops->config_bytes ||
        size > vdev->ops->config_bytes - offset ||
        !vdev->ops->config_written) {
        return;
    }
    memcpy(vdev->config + offset, &value, size);
    vdev->ops->config_written(vdev, offset, size);
}

void virtio_queue_notify(VirtioDevice *vdev, uint32_t queue)
{
    if (queue < vdev->queue_count && vdev->queues[queue].ready &&
        virtio_is_started(vdev)) {
        vdev->ops->queue_notify(vdev, queue);
    }
}

VirtQueue *virtio_selected_queue(VirtioDevice *vdev)
{
    return vdev->queue_select < vdev->queue_count
           ? &vdev->queues[vdev->queue_select] : NULL;
}

void virtio_ack_isr(VirtioDevice *vdev, uint8_t mask)
{
    vdev->isr &= ~mask;
    update_irq(vdev);
}

void virtio_config_changed(VirtioDevice *vdev)
{
    if (vdev->status & VIRTIO_STATUS_DRIVER_OK) {
        vdev->config_generation++;
        vdev->isr |= VIRTIO_ISR_CONFIG;
        update_irq(vdev);
    }
}

void virtio_error(VirtioDevice *vdev, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    if (vdev->broken) {
        return;
    }
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    warn_report("%s%s%s: stopped until its driver resets it: %s",
                vdev->parent.type->name, vdev->parent.id ? " " : "",
                vdev->parent.id ? vdev->parent.id : "", text);
    vdev->broken = true;
    vdev->status |= VIRTIO_STATUS_NEEDS_RESET;
    virtio_config_changed(vdev);
}
