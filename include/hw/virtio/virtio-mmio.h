/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtio-mmio transport, as a board makes its slots. Big lock. */
#ifndef GODWIT_HW_VIRTIO_VIRTIO_MMIO_H
#define GODWIT_HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/core/device.h"
#include "hw/core/irq.h"
#include "system/memory.h"

#define VIRTIO_MMIO_SIZE 0x1000 /* bytes of address space that a slot takes */

/*
 * An empty slot at @base that raises @irq; a device is plugged into its bus
 * "virtio-mmio-bus.N", @index being N. Freed with device_free().
 */
Device *virtio_mmio_create(Vm *vm, unsigned index, hwaddr base, Irq irq,
                           Error **errp);

#endif
