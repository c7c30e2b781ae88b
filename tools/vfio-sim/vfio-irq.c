/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts of the device: event descriptors that the VMM gives, and the
 * masking of INTx. Called with the lock of the device held.
 */
#include "vfio-device.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static unsigned irq_count(const SimDevice *d, unsigned index)
{
    switch (index) {
    case VFIO_PCI_MSI_IRQ_INDEX:
        return 0;
    case VFIO_PCI_MSIX_IRQ_INDEX:
        return sim_device_has_msix(d) ? SIM_MSIX_VECTORS : 0;
    default:
        return 1;
    }
}

int64_t sim_irq_info(SimDevice *d, SimCall *call, uint64_t arg)
{
    struct vfio_irq_info info;

    if (sim_call_get(call, arg, &info, sizeof(info))) {
        return -EFAULT;
    }
    if (info.argsz < sizeof(info) || info.index >= SIM_IRQS) {
        return -EINVAL;
    }
    info.count = irq_count(d, info.index);
    info.flags = VFIO_IRQ_INFO_EVENTFD;
    if (info.index == VFIO_PCI_INTX_IRQ_INDEX) {
        info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    } else {
        info.flags |= VFIO_IRQ_INFO_NORESIZE;
    }
    return sim_call_put(call, arg, &info, sizeof(info));
}

static void drop(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void signal_fd(int fd)
{
    const uint64_t one = 1;

    /* A full counter means that the VMM has been told often enough. */
    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0) {
        return;
    }
}

void sim_irq_raise(SimDevice *d)
{
    int *intx = &d->eventfd[VFIO_PCI_INTX_IRQ_INDEX][0];
    int *msix = &d->eventfd[VFIO_PCI_MSIX_IRQ_INDEX][0];

    d->interrupts++;
    if (*msix >= 0) {
        signal_fd(*msix);
    } else if (*intx >= 0 && d->intx_masked) {
        d->intx_pending = true;
    } else if (*intx >= 0) {
        d->intx_masked = true;
        signal_fd(*intx);
    }
}

static void unmask(SimDevice *d)
{
    d->intx_masked = false;
    if (d->intx_pending && d->eventfd[VFIO_PCI_INTX_IRQ_INDEX][0] >= 0) {
        d->intx_pending = false;
        d->interrupts--; /* it was counted when it was raised */
        sim_irq_raise(d);
    }
}

void sim_irq_resume(SimDevice *d)
{
    if (!d->intx_masked) {
        unmask(d);
    }
}

void sim_irq_release(SimDevice *d)
{
    for (unsigned i = 0; i < SIM_IRQS; i++) {
        for (unsigned v = 0; v < SIM_MSIX_VECTORS; v++) {
            drop(&d->eventfd[i][v]);
        }
    }
    drop(&d->intx_unmask_fd);
    d->intx_masked = d->intx_pending = false;
}

/* Descriptors of the VMM for vectors [start, start + count), or none (-1). */
static int64_t set_eventfds(SimDevice *d, SimCall *call,
                            const struct vfio_irq_set *set, uint64_t arg)
{
    int *slots = &d->eventfd[set->index][set->start];

    for (unsigned i = 0; i < set->count; i++) {
        bool was_off = slots[i] < 0;
        int32_t number;
        int fd = -1;

        if (sim_call_get(call, arg + sizeof(*set) + i * sizeof(number),
                         &number, sizeof(number))) {
            return -EFAULT;
        }
        if (number >= 0) {
            fd = sim_call_take_fd(call, number);
            if (fd < 0) {
                return fd;
            }
        }
        drop(&slots[i]);
        slots[i] = fd;
        /* What came while nobody listened, or at the source, comes now. */
        if (set->index == VFIO_PCI_INTX_IRQ_INDEX && was_off && fd >= 0) {
            unmask(d);
        }
    }
    return 0;
}

/* KVM tells in this way that the guest is done with INTx. */
static int64_t set_unmask_fd(SimDevice *d, SimCall *call, uint64_t addr)
{
    int32_t number;
    int fd = -1;

    if (sim_call_get(call, addr, &number, sizeof(number))) {
        return -EFAULT;
    }
    if (number >= 0) {
        fd = sim_call_take_fd(call, number);
        if (fd < 0) {
            return fd;
        }
    }
    drop(&d->intx_unmask_fd);
    d->intx_unmask_fd = fd;
    sim_dma_wake(d);
    return 0;
}

void sim_irq_check_unmask(SimDevice *d)
{
    struct pollfd ready = {d->intx_unmask_fd, POLLIN, 0};
    uint64_t count;

    if (ready.fd >= 0 && poll(&ready, 1, 0) > 0 &&
        (ready.revents & POLLIN) &&
        read(ready.fd, &count, sizeof(count)) == sizeof(count)) {
        unmask(d);
    }
}

int64_t sim_irq_set(SimDevice *d, SimCall *call, uint64_t arg)
{
    struct vfio_irq_set set;
    uint32_t data, action;
    unsigned count;

    if (sim_call_get(call, arg, &set, sizeof(set))) {
        return -EFAULT;
    }
    data = set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
    action = set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
    count = set.index < SIM_IRQS ? irq_count(d, set.index) : 0;
    if (set.argsz < sizeof(set) || set.index >= SIM_IRQS ||
        set.start > count || set.count > count - set.start) {
        return -EINVAL;
    }
    if (action == VFIO_IRQ_SET_ACTION_TRIGGER) {
        int *slots = &d->eventfd[set.index][set.start];

        if (data == VFIO_IRQ_SET_DATA_EVENTFD) {
            return set_eventfds(d, call, &set, arg);
        }
        if (data == VFIO_IRQ_SET_DATA_NONE && !set.count) {
            for (unsigned v = 0; v < SIM_MSIX_VECTORS; v++) {
                drop(&d->eventfd[set.index][v]);
            }
            return 0;
        }
        if (data == VFIO_IRQ_SET_DATA_NONE) {
            for (unsigned i = 0; i < set.count; i++) {
                signal_fd(slots[i]);
            }
            return 0;
        }
        return -EINVAL;
    }
    if (set.index != VFIO_PCI_INTX_IRQ_INDEX || set.count != 1) {
        return -EINVAL;
    }
    if (data == VFIO_IRQ_SET_DATA_NONE) {
        if (action == VFIO_IRQ_SET_ACTION_UNMASK) {
            unmask(d);
        } else {
            d->intx_masked = true;
        }
        return 0;
    }
    if (data == VFIO_IRQ_SET_DATA_EVENTFD &&
        action == VFIO_IRQ_SET_ACTION_UNMASK) {
        return set_unmask_fd(d, call, arg + sizeof(set));
    }
    return -EINVAL;
}
