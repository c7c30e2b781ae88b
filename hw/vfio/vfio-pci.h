/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device vfio-pci, as its files share it: pci.c (life), pci-config.c
 * (configuration space), pci-irq.c (interrupts), pci-bar.c (BARs and ROM).
 * Big lock.
 */
#ifndef GODWIT_HW_VFIO_PCI_H
#define GODWIT_HW_VFIO_PCI_H

#include "hw/pci/pci.h"
#include "system/object.h"
#include "vfio-device-int.h"
#include "vfio-migration.h"
#include "vfio-region.h"

typedef struct VfioPci VfioPci;

/* An interrupt of the device, told by an event descriptor to the main loop. */
typedef struct VfioIrq {
    VfioPci *vp;
    unsigned index;             /* VFIO_PCI_*_IRQ_INDEX */
    void (*raised)(VfioPci *vp);
    int fd;                     /* eventfd; -1: the device has none such */
    GSource *source;
} VfioIrq;

/* What the guest finds behind a BAR. */
typedef struct VfioBar {
    VfioPci *vp;
    VfioRegion region;
    IoRegion io;
} VfioBar;

struct VfioPci {
    PciDevice pci;
    VfioDevice vdev;            /* sys: set before realize, or the host's */

    /* Properties */
    char *host, *sysfsdev, *fd;
    Object *iommufd;
    uint32_t rombar;
    bool no_mmap;
    VfioMigrationOptions migration;

    /* Constant from realize to unrealize */
    bool can_reset;
    VfioRegion config;
    /* Bytes of the configuration space whose every access is the device's. */
    uint8_t passed[PCI_CONFIG_SIZE];
    unsigned pm_cap;            /* offset of the power management, or 0 */
    VfioBar bars[PCI_BARS + 1]; /* the last is the ROM */
    VfioIrq intx, err, req;

    /* What changes */
    bool decoding;              /* the device's memory may be touched: it is
                                   in D0 and took the guest's command */
    uint16_t command;           /* the guest's, as the device was told */
    bool request_warned;        /* that the host wants it back */
};

/* ---- configuration space ---- */

/* Opens it and fills pci's identity; nothing is emulated yet. */
bool vfio_config_open(VfioPci *vp, PciIdentity *identity, Error **errp);
/* After pci_device_init(): header, capabilities, what is passed through. */
bool vfio_config_realize(VfioPci *vp, Error **errp);
void vfio_config_exit(VfioPci *vp);

/* Gives the device the guest's command register; whether it took it. */
bool vfio_config_sync(VfioPci *vp);

bool vfio_config_save(VfioDevice *vdev, MigStream *s, Error **errp);
bool vfio_config_load(VfioDevice *vdev, MigStream *s, Error **errp);

/* ---- BARs ---- */

bool vfio_bars_realize(VfioPci *vp, Error **errp);
void vfio_bars_exit(VfioPci *vp);

/* ---- interrupts ---- */

bool vfio_irqs_realize(VfioPci *vp, Error **errp);
void vfio_irqs_exit(VfioPci *vp);

/* The guest has touched the device: it may have served the interrupt. */
void vfio_intx_served(VfioPci *vp);
/* Takes note of an interrupt that the main loop has not seen yet. */
void vfio_intx_poll(VfioPci *vp);
/* Before and after the device is reset. */
void vfio_intx_disarm(VfioPci *vp);
bool vfio_intx_arm(VfioPci *vp, Error **errp);
/* After load: masked if and only if it is raised. */
bool vfio_intx_sync(VfioPci *vp, Error **errp);

#endif
