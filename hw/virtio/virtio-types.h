/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a kind of virtio device becomes types that a user can name: with
 * functions and tables KIND_realize, KIND_unrealize, KIND_properties and
 * vmstate_KIND in scope, VIRTIO_DEVICE_TYPES(KIND, "kind", State, "text")
 * defines "virtio-kind-device", for a virtio-mmio slot, and "virtio-kind-pci",
 * the PCI function with such a device inside.
 */
#ifndef HW_VIRTIO_VIRTIO_TYPES_H
#define HW_VIRTIO_VIRTIO_TYPES_H

#include "hw/virtio/virtio-bus.h"

/* What all "virtio-*-pci" have in common; see virtio-pci.c. */
extern const VMStateDescription vmstate_virtio_pci;
extern const Property virtio_pci_properties[];
bool virtio_pci_realize(Device *dev, Error **errp);
void virtio_pci_unrealize(Device *dev);
void virtio_pci_reset(Device *dev);

/* DeviceType.reset of every virtio device. */
void virtio_device_reset(Device *dev);

/* A VirtioPci is as large for every kind: the device inside is apart. */
#define VIRTIO_PCI_INSTANCE_SIZE 4096

#define VIRTIO_DEVICE_TYPES(kind_, name_, state_, text_)                \
    static const DeviceType kind_##_device_type = {                     \
        .name = "virtio-" name_ "-device",                              \
        .bus = VIRTIO_BUS_KIND,                                         \
        .description = text_ ", for a virtio-mmio slot",                \
        .instance_size = sizeof(state_),                                \
        .properties = kind_##_properties,                               \
        .vmsd = &vmstate_##kind_,                                       \
        .realize = kind_##_realize,                                     \
        .unrealize = kind_##_unrealize,                                 \
        .reset = virtio_device_reset,                                   \
        .user_creatable = true,                                         \
    };                                                                  \
    DEVICE_TYPE(kind_##_device_type);                                   \
    static const DeviceType kind_##_pci_type = {                        \
        .name = "virtio-" name_ "-pci",                                 \
        .bus = "pci",                                                   \
        .description = text_,                                           \
        .instance_size = VIRTIO_PCI_INSTANCE_SIZE,                      \
        .properties = virtio_pci_properties,                            \
        .inner = &kind_##_device_type,                                  \
        .vmsd = &vmstate_virtio_pci,                                    \
        .realize = virtio_pci_realize,                                  \
        .unrealize = virtio_pci_unrealize,                              \
        .reset = virtio_pci_reset,                                      \
        .user_creatable = true,                                         \
    };                                                                  \
    DEVICE_TYPE(kind_##_pci_type);

#endif
