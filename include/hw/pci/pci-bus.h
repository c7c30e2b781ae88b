/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI bus and the host bridge with ECAM that makes it: for the board. Big
 * lock.
 */
#ifndef GODWIT_HW_PCI_PCI_BUS_H
#define GODWIT_HW_PCI_PCI_BUS_H

#include "hw/pci/pci.h"

/* A range of bus addresses and where the harts see it. */
typedef struct PciWindow {
    uint64_t bus;
    hwaddr base;
    uint64_t size;              /* bytes */
} PciWindow;

struct PciBus {
    Bus bus;
    PciDevice *devices[PCI_DEVFNS];
    PciWindow io, mem32, mem64;
    Irq intx[PCI_PINS];         /* of the host */
};

/* What the board decides. */
typedef struct PciHostConfig {
    hwaddr ecam_base;
    uint64_t ecam_size;         /* bytes: 1 MiB a bus */
    PciWindow io, mem32, mem64;
    Irq intx[PCI_PINS];
} PciHostConfig;

/* The host bridge with bus "pcie.0", which has the root device at 00.0. */
PciBus *pci_host_create(Vm *vm, const PciHostConfig *config, Error **errp);

/*
 * Which line of the host pin @pin (0 .. 3) of the device at @devfn drives: each
 * slot starts one further (PCI-to-PCI Bridge Architecture, section 9.1).
 */
static inline unsigned pci_swizzle(uint8_t devfn, unsigned pin)
{
    return ((unsigned)devfn / PCI_FUNCTIONS + pin) % PCI_PINS;
}

/* Computes line @line of the host anew from all devices. */
void pci_bus_update_line(PciBus *bus, unsigned line);

/* The bus of that machine, or NULL; HMP "info pci". */
PciBus *pci_bus_find(Vm *vm);
void pci_info(PciBus *bus, GString *out);

#endif
