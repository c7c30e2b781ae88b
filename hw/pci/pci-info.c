/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HMP "info pci". Main loop, big lock. */
#include "hw/pci/pci-bus.h"

static void describe_bar(const PciDevice *pci, unsigned n, GString *out)
{
    static const char *const kinds[] = {
        [PCI_BAR_IO] = "I/O",
        [PCI_BAR_MEM32] = "32 bit memory",
        [PCI_BAR_MEM64] = "64 bit memory",
        [PCI_BAR_MEM64_PREFETCH] = "64 bit prefetchable memory",
        [PCI_BAR_ROM] = "ROM",
    };
    uint64_t addr = pci_bar_address(pci, n);

    g_string_append_printf(out, "      BAR%u: %s", n,
                           kinds[pci->bars[n].kind]);
    if (addr == UINT64_MAX) {
        g_string_append(out, " not mapped\n");
    } else {
        g_string_append_printf(out, " at 0x%" G_GINT64_MODIFIER "x [0x%"
                               G_GINT64_MODIFIER "x].\n", addr,
                               addr + pci->bars[n].io->size - 1);
    }
}

static void describe_device(const PciDevice *pci, GString *out)
{
    unsigned pin = pci->config[PCI_INTERRUPT_PIN];

    g_string_append_printf(out, "  Bus  0, device %3d, function %d:\n"
                           "    Class %04x: PCI device %04x:%04x\n",
                           pci->devfn / PCI_FUNCTIONS,
                           pci->devfn % PCI_FUNCTIONS,
                           pci_config_get16(pci, PCI_CLASS_DEVICE),
                           pci_config_get16(pci, PCI_VENDOR_ID),
                           pci_config_get16(pci, PCI_DEVICE_ID));
    g_string_append_printf(out, "      PCI subsystem %04x:%04x\n",
                           pci_config_get16(pci, PCI_SUBSYSTEM_VENDOR_ID),
                           pci_config_get16(pci, PCI_SUBSYSTEM_ID));
    if (pin) {
        g_string_append_printf(out, "      IRQ %u, pin %c\n",
                               pci->config[PCI_INTERRUPT_LINE],
                               (char)('A' + pin - 1));
    }
    for (unsigned n = 0; n <= PCI_ROM; n++) {
        if (pci->bars[n].kind != PCI_BAR_NONE) {
            describe_bar(pci, n, out);
        }
    }
    g_string_append_printf(out, "      id \"%s\"\n",
                           pci->dev.id ? pci->dev.id : "");
}

void pci_info(PciBus *bus, GString *out)
{
    for (unsigned i = 0; i < PCI_DEVFNS; i++) {
        if (bus->devices[i]) {
            describe_device(bus->devices[i], out);
        }
    }
}
