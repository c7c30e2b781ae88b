/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -device vfio-pci: a PCI device of the host for a guest. Here is its life;
 * its parts are in pci-config.c, pci-bar.c and pci-irq.c, its DMA in iommu.c
 * and what that names, its migration in migration.c. Main loop; big lock.
 */
#include <string.h>

#include "hw/core/machine.h"
#include "hw/pci/pci-bus.h"
#include "hw/vfio/vfio-uapi.h"
#include "system/object.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-device-int.h"
#include "vfio-host.h"
#include "vfio-pci.h"

/* The kernel's indices of regions and interrupts; it may have more. */
static bool check_device(VfioPci *vp, Error **errp)
{
    struct vfio_device_info info;

    if (!vfio_device_get_info(&vp->vdev, &info, errp)) {
        return false;
    }
    if (!(info.flags & VFIO_DEVICE_FLAGS_PCI)) {
        error_setg(errp, "it is no PCI device (flags 0x%x)", info.flags);
        return false;
    }
    if (info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
        info.num_irqs <= VFIO_PCI_INTX_IRQ_INDEX) {
        error_setg(errp, "it has %u regions and %u kinds of interrupt: a PCI "
                   "device has at least %u and %u", info.num_regions,
                   info.num_irqs, VFIO_PCI_CONFIG_REGION_INDEX + 1,
                   VFIO_PCI_INTX_IRQ_INDEX + 1);
        return false;
    }
    vp->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
    return true;
}

/* How the other parts of the program call it. */
static void set_names(VfioPci *vp)
{
    Device *dev = &vp->pci.dev;

    vp->vdev.stream_id = dev->bus->child_path(dev->bus, dev);
    vp->vdev.qom_path =
        dev->id ? g_strdup_printf("/machine/peripheral/%s", dev->id)
                : g_strdup_printf("/machine/unattached/device[%u]",
                                  dev->vm->machine->devices->len);
}

static void clear_names(VfioPci *vp)
{
    g_clear_pointer(&vp->vdev.stream_id, g_free);
    g_clear_pointer(&vp->vdev.qom_path, g_free);
}

static const VfioDeviceOps pci_ops = {
    .save_config = vfio_config_save,
    .load_config = vfio_config_load,
};

static bool open_host(VfioPci *vp, Error **errp)
{
    const VfioHostOptions options = {
        .host = vp->host,
        .sysfsdev = vp->sysfsdev,
        .fd = vp->fd,
        .iommufd = vp->iommufd,
    };

    vp->vdev.vm = vp->pci.dev.vm;
    vp->vdev.sys = vp->vdev.sys ? vp->vdev.sys : &vfio_sys_host;
    vp->vdev.ops = &pci_ops;
    return vfio_host_open(&vp->vdev, &options, errp);
}

/* Everything but names, with the device open. */
static bool realize_parts(VfioPci *vp, Error **errp)
{
    PciIdentity identity;

    if (!check_device(vp, errp) || !vfio_config_open(vp, &identity, errp)) {
        return false;
    }
    if (!pci_device_init(&vp->pci, &identity, errp)) {
        goto fail_config;
    }
    if (!vfio_config_realize(vp, errp) || !vfio_bars_realize(vp, errp)) {
        goto fail_pci;
    }
    if (!vfio_irqs_realize(vp, errp)) {
        goto fail_bars;
    }
    if (!vfio_config_sync(vp)) {
        error_setg(errp, "its command register cannot be written");
        goto fail_irqs;
    }
    set_names(vp);
    if (!vfio_migration_realize(&vp->vdev, &vp->migration, errp)) {
        goto fail_names;
    }
    return true;
fail_names:
    vfio_migration_unrealize(&vp->vdev);
    clear_names(vp);
fail_irqs:
    vfio_irqs_exit(vp);
fail_bars:
    pci_device_exit(&vp->pci);
    vfio_bars_exit(vp);
    goto fail_config;
fail_pci:
    pci_device_exit(&vp->pci);
fail_config:
    vfio_config_exit(vp);
    return false;
}

static bool realize(Device *dev, Error **errp)
{
    VfioPci *vp = (VfioPci *)dev;

    if (!open_host(vp, errp) || !realize_parts(vp, errp)) {
        error_prepend(errp, "device '%s'%s%s: ", device_name(dev),
                      vp->vdev.name ? ", VFIO device " : "",
                      vp->vdev.name ? vp->vdev.name : "");
        vfio_host_close(&vp->vdev);
        return false;
    }
    if (vp->iommufd) {
        object_hold(vp->iommufd);
    }
    trace_vfio_pci_realize(vp->vdev.name, vp->vdev.qom_path,
                           vp->vdev.stream_id);
    return true;
}

static void unrealize(Device *dev)
{
    VfioPci *vp = (VfioPci *)dev;

    vfio_migration_unrealize(&vp->vdev);
    clear_names(vp);
    vfio_irqs_exit(vp);
    pci_device_exit(&vp->pci);
    vfio_bars_exit(vp);
    vfio_config_exit(vp);
    vfio_host_close(&vp->vdev);
    if (vp->iommufd) {
        object_release(vp->iommufd);
    }
}

static void reset(Device *dev)
{
    VfioPci *vp = (VfioPci *)dev;
    Error *err = NULL;

    vfio_intx_disarm(vp);
    if (!vp->can_reset) {
        error_setg(&err, "VFIO device %s: the host cannot reset it, it keeps "
                   "its state", vp->vdev.name);
    } else if (vfio_device_reset(&vp->vdev, &err)) {
        vfio_migration_reset(&vp->vdev);
    }
    if (err) {
        warn_report_err(g_steal_pointer(&err));
    }
    pci_device_reset(&vp->pci);
    vp->command = 0;
    vfio_config_sync(vp);
    if (!vfio_intx_arm(vp, &err) || !vfio_intx_sync(vp, &err)) {
        warn_report_err(err);
    }
}

static const Property properties[] = {
    PCI_DEVICE_PROPERTIES,
    { .name = "host", .kind = PROP_STRING, .offset = offsetof(VfioPci, host),
      .help = "the host's device, [domain:]bus:slot.function" },
    { .name = "sysfsdev", .kind = PROP_STRING,
      .offset = offsetof(VfioPci, sysfsdev),
      .help = "the host's device, its folder below /sys" },
    { .name = "fd", .kind = PROP_STRING, .offset = offsetof(VfioPci, fd),
      .help = "the host's device, an open descriptor; needs iommufd" },
    { .name = "iommufd", .kind = PROP_OBJECT,
      .offset = offsetof(VfioPci, iommufd),
      .help = "what its DMA goes through, the id of an object iommufd" },
    { .name = "rombar", .kind = PROP_U32, .offset = offsetof(VfioPci, rombar),
      .max = 1, .preset = "1", .help = "whether the guest sees its ROM" },
    { .name = "x-no-mmap", .kind = PROP_BOOL,
      .offset = offsetof(VfioPci, no_mmap),
      .help = "reach its BARs by read and write only" },
    { .name = "enable-migration", .kind = PROP_ON_OFF_AUTO,
      .offset = offsetof(VfioPci, migration.enable_migration),
      .help = "whether it migrates: on makes it an error if it cannot" },
    { .name = "x-pre-copy-dirty-page-tracking", .kind = PROP_ON_OFF_AUTO,
      .offset = offsetof(VfioPci, migration.pre_copy_dirty_page_tracking),
      .preset = "on",
      .help = "whether its DMA is tracked while the guest runs" },
    { .name = "migration-events", .kind = PROP_BOOL,
      .offset = offsetof(VfioPci, migration.migration_events),
      .help = "send VFIO_MIGRATION when its migration state changes" },
    { .name = NULL },
};

static const DeviceType vfio_pci_type = {
    .name = "vfio-pci",
    .bus = "pci",
    .description = "a PCI device of the host (VFIO)",
    .instance_size = sizeof(VfioPci),
    .properties = properties,
    .realize = realize,
    .unrealize = unrealize,
    .reset = reset,
    .user_creatable = true,
};
DEVICE_TYPE(vfio_pci_type);
