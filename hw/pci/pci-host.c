/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A generic PCIe host bridge: ECAM (PCI Express Base Specification, section
 * 7.2.2) for one bus, windows for I/O and memory, four interrupt lines, and
 * the bridge's own device at 00.0. Reading where nobody answers gives all
 * ones, as on a bus. Entered by vCPUs; big lock.
 */
#include "hw/core/machine.h"
#include "hw/pci/pci-bus.h"
#include "trace/trace-hw-pci.h"

/* QEMU's root device of this bridge. */
#define ROOT_VENDOR 0x1b36
#define ROOT_DEVICE 0x0008
#define ROOT_SUBSYSTEM_VENDOR 0x1af4
#define ROOT_SUBSYSTEM 0x1100
#define CLASS_HOST_BRIDGE 0x060000

typedef struct PciHost {
    Device dev;
    PciHostConfig config;
    PciBus bus;
    IoRegion ecam, io, mem32, mem64;
    uint32_t lines;             /* PCI_PINS, for the vmstate */
    uint32_t irq_count[PCI_PINS];   /* how many devices drive each line */
} PciHost;

static unsigned line_count(const PciBus *bus, unsigned line)
{
    unsigned count = 0;

    for (unsigned i = 0; i < PCI_DEVFNS; i++) {
        const PciDevice *pci = bus->devices[i];
        unsigned pin = pci ? pci->config[PCI_INTERRUPT_PIN] : 0;

        if (pin && pci_swizzle((uint8_t)i, pin - 1) == line &&
            pci->irq_state[pin - 1] &&
            !(pci_config_get16(pci, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE)) {
            count++;
        }
    }
    return count;
}

void pci_bus_update_line(PciBus *bus, unsigned line)
{
    irq_set(&bus->intx[line], line_count(bus, line) != 0);
}

/* The function that ECAM offset @addr means, or NULL. */
static PciDevice *ecam_device(PciHost *host, hwaddr addr)
{
    return addr >> 20 ? NULL : host->bus.devices[addr >> 12];
}

/* What a bus reads where nobody drives it. */
static uint64_t all_ones(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

static MemResult ecam_read(void *opaque, hwaddr addr, unsigned size,
                           uint64_t *val)
{
    PciDevice *pci = ecam_device(opaque, addr);

    *val = pci ? pci_config_read(pci, addr & 0xfff, size) : all_ones(size);
    trace_pci_config_read(addr, size, *val);
    return MEM_OK;
}

static MemResult ecam_write(void *opaque, hwaddr addr, unsigned size,
                            uint64_t val)
{
    PciDevice *pci = ecam_device(opaque, addr);

    trace_pci_config_write(addr, size, val);
    if (pci) {
        pci_config_write(pci, addr & 0xfff, size, (uint32_t)val);
    }
    return MEM_OK;
}

static const IoOps ecam_ops = {
    .read = ecam_read,
    .write = ecam_write,
    .max_size = 4,
};

static MemResult window_read(void *opaque, hwaddr addr, unsigned size,
                             uint64_t *val)
{
    (void)opaque;
    (void)addr;
    *val = all_ones(size);
    return MEM_OK;
}

static MemResult window_write(void *opaque, hwaddr addr, unsigned size,
                              uint64_t val)
{
    (void)opaque;
    (void)addr;
    (void)size;
    (void)val;
    return MEM_OK;
}

static const IoOps window_ops = {
    .read = window_read,
    .write = window_write,
};

static char *child_path(Bus *bus, Device *dev)
{
    const PciDevice *pci = (const PciDevice *)dev;

    (void)bus;
    return g_strdup_printf("0000:00:%02x.%x", pci->devfn / PCI_FUNCTIONS,
                           pci->devfn % PCI_FUNCTIONS);
}

static bool host_realize(Device *dev, Error **errp)
{
    PciHost *host = (PciHost *)dev;
    const PciHostConfig *config = &host->config;
    Memory *mem = dev->vm->memory;

    (void)errp;
    bus_init(&host->bus.bus, dev->vm, "pcie.0", "pci", dev);
    host->bus.bus.child_path = child_path;
    host->bus.bus.max_children = PCI_DEVFNS;
    host->bus.io = config->io;
    host->bus.mem32 = config->mem32;
    host->bus.mem64 = config->mem64;
    for (unsigned i = 0; i < PCI_PINS; i++) {
        host->bus.intx[i] = config->intx[i];
    }
    host->lines = PCI_PINS;
    memory_io_init(&host->ecam, "pcie-ecam", &ecam_ops, host,
                   config->ecam_size);
    memory_io_init(&host->io, "pcie-io", &window_ops, host, config->io.size);
    memory_io_init(&host->mem32, "pcie-mem32", &window_ops, host,
                   config->mem32.size);
    memory_io_init(&host->mem64, "pcie-mem64", &window_ops, host,
                   config->mem64.size);
    memory_io_map(mem, &host->ecam, config->ecam_base);
    /* Before any BAR, which so lies above them. */
    memory_io_map(mem, &host->io, config->io.base);
    memory_io_map(mem, &host->mem32, config->mem32.base);
    memory_io_map(mem, &host->mem64, config->mem64.base);
    return true;
}

static void host_unrealize(Device *dev)
{
    PciHost *host = (PciHost *)dev;
    Memory *mem = dev->vm->memory;

    memory_io_unmap(mem, &host->mem64);
    memory_io_unmap(mem, &host->mem32);
    memory_io_unmap(mem, &host->io);
    memory_io_unmap(mem, &host->ecam);
    bus_destroy(&host->bus.bus);
}

static bool bus_pre_save(void *opaque, Error **errp)
{
    PciHost *host = opaque;

    (void)errp;
    for (unsigned i = 0; i < PCI_PINS; i++) {
        host->irq_count[i] = line_count(&host->bus, i);
    }
    return true;
}

/*
 * QEMU's "PCIBUS". The counts follow from the devices, which are loaded after
 * it: they are written for who needs them, and not believed.
 */
static const VMStateDescription vmstate_pci_bus = {
    .name = "PCIBUS",
    .version_id = 1,
    .minimum_version_id = 1,
    .priority = MIG_PRI_BUS,
    .pre_save = bus_pre_save,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_EQUAL(lines, PciHost),
        VMSTATE_UINT32_ARRAY(irq_count, PciHost, PCI_PINS),
        VMSTATE_END_OF_LIST()
    },
};

static const DeviceType host_type = {
    .name = "gpex-pcihost",
    .bus = "sysbus",
    .description = "generic PCIe host bridge",
    .instance_size = sizeof(PciHost),
    .vmsd = &vmstate_pci_bus,
    .realize = host_realize,
    .unrealize = host_unrealize,
};
DEVICE_TYPE(host_type);

/* ---- the bridge's own device ---- */

typedef struct PciRoot {
    PciDevice pci;
} PciRoot;

static bool root_realize(Device *dev, Error **errp)
{
    static const PciIdentity identity = {
        .vendor = ROOT_VENDOR,
        .device = ROOT_DEVICE,
        .subsystem_vendor = ROOT_SUBSYSTEM_VENDOR,
        .subsystem = ROOT_SUBSYSTEM,
        .class_code = CLASS_HOST_BRIDGE,
    };

    return pci_device_init((PciDevice *)dev, &identity, errp);
}

static void root_unrealize(Device *dev)
{
    pci_device_exit((PciDevice *)dev);
}

static void root_reset(Device *dev)
{
    pci_device_reset((PciDevice *)dev);
}

static const VMStateDescription vmstate_root = {
    .name = "gpex_root",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(pci, PciRoot),
        VMSTATE_END_OF_LIST()
    },
};

static const Property root_properties[] = {
    PCI_DEVICE_PROPERTIES,
    { .name = NULL },
};

static const DeviceType root_type = {
    .name = "gpex-root",
    .bus = "pci",
    .description = "host bridge's device",
    .instance_size = sizeof(PciRoot),
    .properties = root_properties,
    .vmsd = &vmstate_root,
    .realize = root_realize,
    .unrealize = root_unrealize,
    .reset = root_reset,
};
DEVICE_TYPE(root_type);

PciBus *pci_host_create(Vm *vm, const PciHostConfig *config, Error **errp)
{
    Device *dev = device_new(vm, &host_type, NULL, errp);
    PciHost *host = (PciHost *)dev;
    Device *root;

    if (!dev) {
        return NULL;
    }
    host->config = *config;
    if (!machine_device_realize(vm, dev, errp)) {
        return NULL;
    }
    root = device_new(vm, &root_type, NULL, errp);
    if (!root) {
        return NULL;
    }
    if (!device_realize(root, &host->bus.bus, errp)) {
        device_free(root);
        return NULL;
    }
    return &host->bus;
}

PciBus *pci_bus_find(Vm *vm)
{
    return (PciBus *)bus_find(vm, "pcie.0");
}
