/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts of a VFIO device. The host's kernel masks INTx when it fires and
 * tells an event descriptor; the guest then sees its line high. This board's
 * interrupt controller does not say when a guest has served a source, so any
 * access to a BAR (which serving takes) counts as that, and so does letting
 * INTx through again in the command register: the line falls, the host unmasks,
 * and if the device still wants something it fires again. Main loop and vCPU
 * threads; big lock.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <glib-unix.h>

#include "hw/vfio/vfio-uapi.h"
#include "system/runstate.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-device-int.h"
#include "vfio-pci.h"

/* Whether it was told since the last look. */
static bool take_event(const VfioIrq *irq)
{
    uint64_t count;

    return irq->fd >= 0 && read(irq->fd, &count, sizeof(count)) > 0;
}

static gboolean on_event(gint fd, GIOCondition condition, gpointer opaque)
{
    VfioIrq *irq = opaque;

    (void)fd;
    (void)condition;
    if (take_event(irq)) {
        trace_vfio_irq(irq->vp->vdev.name, irq->index);
        irq->raised(irq->vp);
    }
    return G_SOURCE_CONTINUE;
}

static void irq_exit(VfioIrq *irq)
{
    if (irq->source) {
        vfio_irq_disable(&irq->vp->vdev, irq->index);
        g_source_destroy(irq->source);
        g_clear_pointer(&irq->source, g_source_unref);
    }
    if (irq->fd >= 0) {
        close(irq->fd);
        irq->fd = -1;
    }
}

/* The device tells @irq's descriptor, and the main loop listens. */
static bool irq_init(VfioPci *vp, VfioIrq *irq, Error **errp)
{
    irq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (irq->fd < 0) {
        error_setg_errno(errp, errno, "making an event descriptor");
        return false;
    }
    if (!vfio_irq_set_eventfd(&vp->vdev, irq->index, irq->fd, errp)) {
        close(irq->fd);
        irq->fd = -1;
        return false;
    }
    irq->source = g_unix_fd_source_new(irq->fd, G_IO_IN);
    g_source_set_callback(irq->source, G_SOURCE_FUNC(on_event), irq, NULL);
    g_source_attach(irq->source, vp->vdev.vm->context);
    return true;
}

/* ---- INTx ---- */

static bool intx_raised(const VfioPci *vp)
{
    unsigned pin = vp->pci.config[PCI_INTERRUPT_PIN];

    return pin && vp->pci.irq_state[pin - 1];
}

static void intx_fired(VfioPci *vp)
{
    pci_set_irq(&vp->pci, true);
}

static void unmask(VfioPci *vp)
{
    int ret = vfio_irq_mask(&vp->vdev, VFIO_PCI_INTX_IRQ_INDEX, false);

    if (ret < 0) {
        warn_report("VFIO device %s: unmasking its interrupt: %s",
                    vp->vdev.name, g_strerror(-ret));
    }
}

void vfio_intx_served(VfioPci *vp)
{
    if (intx_raised(vp)) {
        pci_set_irq(&vp->pci, false);
        unmask(vp);
    }
}

void vfio_intx_poll(VfioPci *vp)
{
    if (take_event(&vp->intx)) {
        intx_fired(vp);
    }
}

void vfio_intx_disarm(VfioPci *vp)
{
    if (vp->intx.fd >= 0) {
        vfio_irq_disable(&vp->vdev, VFIO_PCI_INTX_IRQ_INDEX);
        take_event(&vp->intx);
        pci_set_irq(&vp->pci, false);
    }
}

bool vfio_intx_arm(VfioPci *vp, Error **errp)
{
    return vp->intx.fd < 0 ||
           vfio_irq_set_eventfd(&vp->vdev, VFIO_PCI_INTX_IRQ_INDEX,
                                vp->intx.fd, errp);
}

bool vfio_intx_sync(VfioPci *vp, Error **errp)
{
    bool raised = intx_raised(vp);
    int ret;

    if (vp->intx.fd < 0) {
        return true;
    }
    ret = vfio_irq_mask(&vp->vdev, VFIO_PCI_INTX_IRQ_INDEX, raised);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "VFIO device %s: %s its interrupt",
                         vp->vdev.name, raised ? "masking" : "unmasking");
    }
    return ret == 0;
}

/* ---- what the host has to say ---- */

static void error_raised(VfioPci *vp)
{
    error_report("VFIO device %s: it has an error that it cannot correct; the "
                 "guest is stopped so that it spoils no data", vp->vdev.name);
    vm_request_stop(vp->vdev.vm, RUN_STATE_INTERNAL_ERROR);
}

/* The host repeats itself; once is enough. */
static void request_raised(VfioPci *vp)
{
    if (vp->request_warned) {
        return;
    }
    vp->request_warned = true;
    warn_report("VFIO device %s: the host wants it back, and a device cannot "
                "be unplugged from this board: whoever asked (unbinding its "
                "driver, removing it) waits until this process ends",
                vp->vdev.name);
}

/* Kinds that a driver need not have. */
static bool init_optional(VfioPci *vp, VfioIrq *irq, Error **errp)
{
    uint32_t flags, count;

    if (!vfio_irq_get_info(&vp->vdev, irq->index, &flags, &count) ||
        count == 0 || !(flags & VFIO_IRQ_INFO_EVENTFD)) {
        return true;
    }
    return irq_init(vp, irq, errp);
}

static bool init_intx(VfioPci *vp, Error **errp)
{
    const uint32_t needed = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
                            VFIO_IRQ_INFO_AUTOMASKED;
    uint32_t flags, count;

    if (!vp->pci.config[PCI_INTERRUPT_PIN]) {
        warn_report("VFIO device %s: it has no INTx, and this board has no "
                    "other interrupts: the guest gets none of it",
                    vp->vdev.name);
        return true;
    }
    vfio_irq_get_info(&vp->vdev, VFIO_PCI_INTX_IRQ_INDEX, &flags, &count);
    if (count == 0 || (flags & needed) != needed) {
        error_setg(errp, "its INTx has flags 0x%x and number %u: an event "
                   "descriptor and masking, 0x%x, and 1 are needed", flags,
                   count, needed);
        return false;
    }
    return irq_init(vp, &vp->intx, errp);
}

bool vfio_irqs_realize(VfioPci *vp, Error **errp)
{
    vp->intx = (VfioIrq){ vp, VFIO_PCI_INTX_IRQ_INDEX, intx_fired, -1, NULL };
    vp->err = (VfioIrq){ vp, VFIO_PCI_ERR_IRQ_INDEX, error_raised, -1, NULL };
    vp->req = (VfioIrq){ vp, VFIO_PCI_REQ_IRQ_INDEX, request_raised, -1,
                         NULL };
    if (!init_intx(vp, errp) || !init_optional(vp, &vp->err, errp) ||
        !init_optional(vp, &vp->req, errp)) {
        vfio_irqs_exit(vp);
        return false;
    }
    return true;
}

void vfio_irqs_exit(VfioPci *vp)
{
    irq_exit(&vp->req);
    irq_exit(&vp->err);
    irq_exit(&vp->intx);
}
