/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state that all virtio devices share, as it travels: the fields in the
 * order and width in which QEMU sends them. What a ring holds is in guest
 * memory and is read back from there. Big lock, guest stopped.
 */
#include "hw/virtio/virtio.h"

static bool queue_post_load(void *opaque, int version_id, Error **errp)
{
    VirtQueue *vq = opaque;

    (void)version_id;
    if (vq->num == 0 || vq->num > vq->size_max || (vq->num & (vq->num - 1))) {
        error_setg(errp, "queue %u has %u entries; expected a power of two, "
                   "at most %u", vq->index, vq->num, vq->size_max);
        return false;
    }
    vq->size = vq->num;
    return true;
}

static bool queue_pre_save(void *opaque, Error **errp)
{
    VirtQueue *vq = opaque;

    if (vq->in_flight) {
        error_setg(errp, "queue %u has %u requests under way", vq->index,
                   vq->in_flight);
        return false;
    }
    vq->num = vq->size;
    return true;
}

static const VMStateDescription vmstate_queue = {
    .name = "virtqueue_head",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = queue_pre_save,
    .post_load = queue_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(num, VirtQueue),
        VMSTATE_UINT64(desc, VirtQueue),
        VMSTATE_UINT16(last_avail, VirtQueue),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_queue_rings = {
    .name = "virtqueue_state",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(avail, VirtQueue),
        VMSTATE_UINT64(used, VirtQueue),
        VMSTATE_BOOL(ready, VirtQueue),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_rings = {
    .name = "virtio/virtqueues",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT_VARRAY(queues, VirtioDevice, queue_count,
                              VIRTIO_QUEUES_MAX, 0, vmstate_queue_rings,
                              VirtQueue),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_features = {
    .name = "virtio/64bit_features",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(guest_features, VirtioDevice),
        VMSTATE_END_OF_LIST()
    },
};

static bool broken_needed(void *opaque)
{
    VirtioDevice *vdev = opaque;

    return vdev->broken;
}

static const VMStateDescription vmstate_broken = {
    .name = "virtio/broken",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = broken_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(broken, VirtioDevice),
        VMSTATE_END_OF_LIST()
    },
};

static bool common_pre_save(void *opaque, Error **errp)
{
    VirtioDevice *vdev = opaque;

    (void)errp;
    vdev->config_bytes = vdev->ops->config_bytes;
    vdev->features_low = vdev->guest_features;
    return true;
}

static bool common_pre_load(void *opaque, Error **errp)
{
    VirtioDevice *vdev = opaque;

    (void)errp;
    vdev->config_bytes = vdev->ops->config_bytes;
    vdev->broken = false;
    return true;
}

static bool common_post_load(void *opaque, int version_id, Error **errp)
{
    VirtioDevice *vdev = opaque;

    (void)version_id;
    if (vdev->guest_features & ~vdev->host_features) {
        error_setg(errp, "the guest uses features 0x%" PRIx64
                   ", this device offers 0x%" PRIx64, vdev->guest_features,
                   vdev->host_features);
        return false;
    }
    /* The line's level is the device's to say; it is not in the stream. */
    virtio_ack_isr(vdev, 0);
    for (unsigned i = 0; i < vdev->queue_count && !vdev->broken; i++) {
        if (!virtio_queue_restore(&vdev->queues[i], errp)) {
            return false;
        }
    }
    return true;
}

const VMStateDescription vmstate_virtio = {
    .name = "virtio",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = common_pre_save,
    .pre_load = common_pre_load,
    .post_load = common_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8(status, VirtioDevice),
        VMSTATE_UINT8(isr, VirtioDevice),
        VMSTATE_UINT16(queue_select, VirtioDevice),
        VMSTATE_UINT32(features_low, VirtioDevice),
        VMSTATE_UINT32_EQUAL(config_bytes, VirtioDevice),
        VMSTATE_VARRAY(config, VirtioDevice, config_bytes, VIRTIO_CONFIG_MAX,
                       0, vmstate_info_uint8, uint8_t),
        VMSTATE_UINT32_EQUAL(queue_count, VirtioDevice),
        VMSTATE_STRUCT_VARRAY(queues, VirtioDevice, queue_count,
                              VIRTIO_QUEUES_MAX, 0, vmstate_queue, VirtQueue),
        VMSTATE_UINT32(features_select, VirtioDevice),
        VMSTATE_UINT32(guest_features_select, VirtioDevice),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *const[]) {
        &vmstate_features,
        &vmstate_rings,
        &vmstate_broken,
        NULL
    },
};
