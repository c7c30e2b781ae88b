/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration space of the device (PCI Local Bus Specification 3.0,
 * chapter 6): type 0 header and MSI-X. Called with the lock of the device.
 */
#include "vfio-device.h"

#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>

#define CLASS_3D 0x0302
#define MSIX_AT 0x40
#define MSIX_TABLE 0x8000
#define MSIX_PBA 0xc000
#define MSIX_BAR_BYTES 0x10000

static void put(SimDevice *d, unsigned at, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        d->config[at + i] = value >> (8 * i);
    }
}

static void allow(SimDevice *d, unsigned at, uint32_t mask, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        d->writable[at + i] = mask >> (8 * i);
    }
}

/* The BAR that has room for the MSI-X table; -1 if none has. */
static int msix_bar(const SimDevice *d)
{
    for (int i = 0; i < 6; i++) {
        const SimBar *bar = &d->options->bars[i];

        if (!bar->mappable && bar->size >= MSIX_BAR_BYTES) {
            return i;
        }
    }
    return -1;
}

bool sim_device_has_msix(const SimDevice *d)
{
    return msix_bar(d) >= 0;
}

void sim_config_reset(SimDevice *d)
{
    int bar = msix_bar(d);

    memset(d->config, 0, sizeof(d->config));
    memset(d->writable, 0, sizeof(d->writable));
    put(d, PCI_VENDOR_ID, d->options->vendor, 2);
    put(d, PCI_DEVICE_ID, d->options->device, 2);
    put(d, PCI_SUBSYSTEM_VENDOR_ID, d->options->vendor, 2);
    put(d, PCI_SUBSYSTEM_ID, 1, 2);
    put(d, PCI_CLASS_DEVICE, CLASS_3D, 2);
    put(d, PCI_REVISION_ID, 1, 1);
    put(d, PCI_INTERRUPT_PIN, 1, 1);
    allow(d, PCI_INTERRUPT_LINE, 0xff, 1);
    allow(d, PCI_CACHE_LINE_SIZE, 0xff, 1);
    allow(d, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
          PCI_COMMAND_INTX_DISABLE, 2);
    for (int i = 0; i < 6; i++) {
        if (d->options->bars[i].size) {
            allow(d, PCI_BASE_ADDRESS_0 + 4 * i,
                  ~(uint32_t)(d->options->bars[i].size - 1), 4);
        }
    }
    if (bar >= 0) {
        put(d, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
        put(d, PCI_CAPABILITY_LIST, MSIX_AT, 1);
        put(d, MSIX_AT, PCI_CAP_ID_MSIX, 1);
        put(d, MSIX_AT + PCI_MSIX_FLAGS, SIM_MSIX_VECTORS - 1, 2);
        put(d, MSIX_AT + PCI_MSIX_TABLE, MSIX_TABLE | bar, 4);
        put(d, MSIX_AT + PCI_MSIX_PBA, MSIX_PBA | bar, 4);
        allow(d, MSIX_AT + PCI_MSIX_FLAGS,
              PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
    }
}

int64_t sim_config_access(SimDevice *d, uint64_t offset, void *buf,
                          uint64_t len, bool is_write)
{
    uint8_t *bytes = buf;

    if (offset >= SIM_CONFIG_BYTES) {
        return -EINVAL;
    }
    len = MIN(len, SIM_CONFIG_BYTES - offset);
    for (uint64_t i = 0; i < len; i++) {
        uint8_t *reg = &d->config[offset + i];
        uint8_t mask = d->writable[offset + i];

        if (is_write) {
            *reg = (*reg & ~mask) | (bytes[i] & mask);
        } else {
            bytes[i] = *reg;
        }
    }
    return len;
}
