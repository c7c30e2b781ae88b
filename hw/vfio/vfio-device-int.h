/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the bus's side asks of a VFIO device. Numbers in the answers are the
 * driver's and hostile. Big lock.
 */
#ifndef GODWIT_HW_VFIO_DEVICE_INT_H
#define GODWIT_HW_VFIO_DEVICE_INT_H

#include "vfio-device.h"

struct vfio_device_info;

bool vfio_device_get_info(VfioDevice *vdev, struct vfio_device_info *info,
                          Error **errp);

/* VFIO_DEVICE_RESET; the error names the device. */
bool vfio_device_reset(VfioDevice *vdev, Error **errp);

/*
 * VFIO_IRQ_INFO_* flags and number of the interrupts of @index (VFIO_PCI_*);
 * false, and both 0, if the device has none of that kind.
 */
bool vfio_irq_get_info(VfioDevice *vdev, unsigned index, uint32_t *flags,
                       uint32_t *count);

/* The first interrupt of @index is told to eventfd @fd. */
bool vfio_irq_set_eventfd(VfioDevice *vdev, unsigned index, int fd,
                          Error **errp);

/* All of @index are told to nobody. 0 or -errno, as the next. */
int vfio_irq_disable(VfioDevice *vdev, unsigned index);
int vfio_irq_mask(VfioDevice *vdev, unsigned index, bool mask);

#endif
