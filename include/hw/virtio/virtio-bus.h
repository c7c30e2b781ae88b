/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The place behind a transport where one virtio device sits. The transport
 * embeds it; the device finds it as its Device's bus. Big lock.
 */
#ifndef GODWIT_HW_VIRTIO_VIRTIO_BUS_H
#define GODWIT_HW_VIRTIO_VIRTIO_BUS_H

#include "hw/virtio/virtio.h"

#define VIRTIO_BUS_KIND "virtio-bus"

typedef struct VirtioBus {
    Bus bus;
    VirtioTransport transport;
    VirtioDevice *vdev;         /* NULL: empty; set by virtio_init() */
} VirtioBus;

/* @owner is the transport, whose @update_irq(@owner, isr) drives its line. */
void virtio_bus_init(VirtioBus *vbus, const char *name, Device *owner,
                     void (*update_irq)(void *owner, uint8_t isr));

#endif
