/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI devices: configuration space, BARs, INTx. The guest changes only bits
 * that a mask gives it, so whatever it writes, the layout stays as the device
 * made it. Entered by vCPUs and the main loop; big lock.
 */
#include <string.h>

#include "hw/core/machine.h"
#include "hw/pci/pci-bus.h"
#include "trace/trace-hw-pci.h"
#include "util/checked.h"

#define BAR_SPACE_IO 0x1
#define BAR_MEM_64 0x4
#define BAR_MEM_PREFETCH 0x8
#define BAR_IO_FLAGS 0x3
#define BAR_MEM_FLAGS 0xf
#define ROM_ENABLE 0x1
#define ROM_FLAGS 0x7ff

static unsigned bar_offset(unsigned n)
{
    return n == PCI_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * n;
}

static bool bar_is_64(PciBarKind kind)
{
    return kind == PCI_BAR_MEM64 || kind == PCI_BAR_MEM64_PREFETCH;
}

/* What the BAR's registers say, whether decoding is on or not. */
static uint64_t bar_register(const PciDevice *pci, unsigned n)
{
    uint64_t value = pci_config_get32(pci, bar_offset(n));

    if (pci->bars[n].kind == PCI_BAR_IO) {
        return value & ~(uint64_t)BAR_IO_FLAGS;
    }
    if (pci->bars[n].kind == PCI_BAR_ROM) {
        return value & ~(uint64_t)ROM_FLAGS;
    }
    if (bar_is_64(pci->bars[n].kind)) {
        value |= (uint64_t)pci_config_get32(pci, bar_offset(n + 1)) << 32;
    }
    return value & ~(uint64_t)BAR_MEM_FLAGS;
}

/* Where a BAR of the size of @io at @addr is seen; UINT64_MAX: nowhere. */
static hwaddr in_window(const PciWindow *window, uint64_t addr, uint64_t size)
{
    if (addr < window->bus ||
        !range_fits_u64(addr - window->bus, size, window->size)) {
        return UINT64_MAX;
    }
    return window->base + (addr - window->bus);
}

static hwaddr bar_place(const PciDevice *pci, unsigned n)
{
    uint16_t command = pci_config_get16(pci, PCI_COMMAND);
    uint64_t addr = bar_register(pci, n);
    uint64_t size = pci->bars[n].io->size;
    hwaddr place;

    if (pci->bars[n].kind == PCI_BAR_IO) {
        return command & PCI_COMMAND_IO && addr
                   ? in_window(&pci->bus->io, addr, size) : UINT64_MAX;
    }
    if (!(command & PCI_COMMAND_MEMORY) || !addr ||
        (pci->bars[n].kind == PCI_BAR_ROM &&
         !(pci->config[PCI_ROM_ADDRESS] & ROM_ENABLE))) {
        return UINT64_MAX;
    }
    place = in_window(&pci->bus->mem32, addr, size);
    if (place == UINT64_MAX && bar_is_64(pci->bars[n].kind)) {
        place = in_window(&pci->bus->mem64, addr, size);
    }
    return place;
}

uint64_t pci_bar_address(const PciDevice *pci, unsigned n)
{
    g_assert(n <= PCI_ROM);
    if (pci->bars[n].kind == PCI_BAR_NONE ||
        bar_place(pci, n) == UINT64_MAX) {
        return UINT64_MAX;
    }
    return bar_register(pci, n);
}

static void update_bars(PciDevice *pci)
{
    Memory *mem = pci->dev.vm->memory;

    for (unsigned n = 0; n <= PCI_ROM; n++) {
        IoRegion *io = pci->bars[n].io;
        hwaddr place;

        if (pci->bars[n].kind == PCI_BAR_NONE) {
            continue;
        }
        place = bar_place(pci, n);
        if (place == UINT64_MAX) {
            if (io->mapped) {
                trace_pci_bar_unmap(pci->devfn, n);
                memory_io_unmap(mem, io);
            }
        } else if (!io->mapped || io->base != place) {
            trace_pci_bar_map(pci->devfn, n, place, io->size);
            memory_io_map(mem, io, place);
        }
    }
}

void pci_register_bar(PciDevice *pci, unsigned n, PciBarKind kind,
                      IoRegion *io)
{
    uint64_t mask = ~(io->size - 1);
    uint32_t flags = kind == PCI_BAR_IO ? BAR_SPACE_IO : 0;

    g_assert(n <= PCI_ROM && pci->bars[n].kind == PCI_BAR_NONE);
    g_assert((n == PCI_ROM) == (kind == PCI_BAR_ROM));
    g_assert(kind != PCI_BAR_ROM || io->size > ROM_FLAGS);
    g_assert((io->size & (io->size - 1)) == 0);
    g_assert(io->size >= (kind == PCI_BAR_IO ? 4 : 16));
    if (bar_is_64(kind)) {
        g_assert(n + 1 < PCI_BARS && pci->bars[n + 1].kind == PCI_BAR_NONE);
        flags |= BAR_MEM_64;
        flags |= kind == PCI_BAR_MEM64_PREFETCH ? BAR_MEM_PREFETCH : 0;
    } else {
        g_assert(io->size <= UINT64_C(1) << 31);
    }
    mask |= kind == PCI_BAR_ROM ? ROM_ENABLE : 0;
    pci->bars[n] = (PciBar){ kind, io };
    pci_config_set32(pci, bar_offset(n), flags);
    for (unsigned i = 0; i < (bar_is_64(kind) ? 8 : 4); i++) {
        pci->wmask[bar_offset(n) + i] = (uint8_t)(mask >> (8 * i));
    }
}

unsigned pci_add_capability(PciDevice *pci, uint8_t id, unsigned size)
{
    unsigned offset = (pci->config_used + 3) & ~3u;
    uint8_t first = pci->config[PCI_CAPABILITY_LIST];

    g_assert(size >= 2 && offset + size <= PCI_CONFIG_SIZE);
    pci->config_used = offset + size;
    /* In front of those that are there: their order means nothing. */
    pci->config[offset] = id;
    pci->config[offset + 1] = first;
    pci->config[PCI_CAPABILITY_LIST] = (uint8_t)offset;
    pci->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    return offset;
}

bool pci_bus_master_enabled(const PciDevice *pci)
{
    return pci->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

/* The status bit shows the pin whether or not it is let through. */
static void update_irq(PciDevice *pci)
{
    unsigned pin = pci->config[PCI_INTERRUPT_PIN];

    if (!pin) {
        return;
    }
    pci->config[PCI_STATUS] =
        (uint8_t)((pci->config[PCI_STATUS] & ~PCI_STATUS_INTERRUPT) |
                  (pci->irq_state[pin - 1] ? PCI_STATUS_INTERRUPT : 0));
    pci_bus_update_line(pci->bus, pci_swizzle(pci->devfn, pin - 1));
}

void pci_set_irq(PciDevice *pci, bool level)
{
    unsigned pin = pci->config[PCI_INTERRUPT_PIN];

    g_assert(pin);
    if (pci->irq_state[pin - 1] != level) {
        trace_pci_set_irq(pci->devfn, level);
        pci->irq_state[pin - 1] = level;
        update_irq(pci);
    }
}

uint32_t pci_config_read(PciDevice *pci, unsigned addr, unsigned len)
{
    uint32_t val = 0;

    if (addr + len > PCI_CONFIG_SIZE) {
        return UINT32_MAX >> (32 - 8 * len);
    }
    if (pci->config_before_read) {
        pci->config_before_read(pci, addr, len);
    }
    memcpy(&val, &pci->config[addr], len);
    return val;
}

void pci_config_write(PciDevice *pci, unsigned addr, unsigned len,
                      uint32_t val)
{
    uint16_t command = pci_config_get16(pci, PCI_COMMAND);
    uint16_t changed;

    if (addr + len > PCI_CONFIG_SIZE) {
        return;
    }
    for (unsigned i = 0; i < len; i++, val >>= 8) {
        uint8_t mask = pci->wmask[addr + i];
        uint8_t byte = (uint8_t)((pci->config[addr + i] & ~mask) |
                                 ((uint8_t)val & mask));

        pci->config[addr + i] =
            byte & (uint8_t)~((uint8_t)val & pci->w1cmask[addr + i]);
    }
    if (addr < PCI_HEADER_END) {
        update_bars(pci);
        changed = command ^ pci_config_get16(pci, PCI_COMMAND);
        if (changed & PCI_COMMAND_INTX_DISABLE) {
            update_irq(pci);
        }
        if ((changed & PCI_COMMAND_MASTER) && pci->master_changed) {
            pci->master_changed(pci, pci_bus_master_enabled(pci));
        }
    }
    if (pci->config_after_write) {
        pci->config_after_write(pci, addr, len);
    }
}

/* @pci's place: the one asked for, or the first free slot. */
static bool take_place(PciDevice *pci, PciBus *bus, Error **errp)
{
    int32_t devfn = pci->addr;

    if (devfn < 0) {
        for (devfn = 0; devfn < PCI_DEVFNS; devfn += PCI_FUNCTIONS) {
            if (!bus->devices[devfn]) {
                break;
            }
        }
        if (devfn == PCI_DEVFNS) {
            error_setg(errp, "device '%s': all %d slots of bus '%s' are taken",
                       device_name(&pci->dev), PCI_SLOTS, bus->bus.name);
            return false;
        }
    } else if (bus->devices[devfn]) {
        error_setg(errp, "device '%s': slot %02x function %x of bus '%s' is "
                   "taken by '%s'", device_name(&pci->dev),
                   (unsigned)devfn / PCI_FUNCTIONS,
                   (unsigned)devfn % PCI_FUNCTIONS, bus->bus.name,
                   device_name(&bus->devices[devfn]->dev));
        return false;
    } else if (devfn % PCI_FUNCTIONS &&
               !bus->devices[devfn - devfn % PCI_FUNCTIONS]) {
        error_setg(errp, "device '%s': slot %02x has no function 0 yet, and "
                   "no guest looks at its function %x without",
                   device_name(&pci->dev), (unsigned)devfn / PCI_FUNCTIONS,
                   (unsigned)devfn % PCI_FUNCTIONS);
        return false;
    }
    pci->devfn = (uint8_t)devfn;
    pci->addr = devfn;
    pci->bus = bus;
    bus->devices[devfn] = pci;
    if (devfn % PCI_FUNCTIONS) {
        bus->devices[devfn - devfn % PCI_FUNCTIONS]->config[PCI_HEADER_TYPE] |=
            PCI_HEADER_MULTI_FUNCTION;
    }
    return true;
}

bool pci_device_init(PciDevice *pci, const PciIdentity *id, Error **errp)
{
    const uint16_t command = PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
                             PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
                             PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;

    if (!take_place(pci, (PciBus *)pci->dev.bus, errp)) {
        return false;
    }
    pci->version_id = 2;
    pci->config_used = PCI_HEADER_END;
    pci_config_set16(pci, PCI_VENDOR_ID, id->vendor);
    pci_config_set16(pci, PCI_DEVICE_ID, id->device);
    pci_config_set16(pci, PCI_SUBSYSTEM_VENDOR_ID, id->subsystem_vendor);
    pci_config_set16(pci, PCI_SUBSYSTEM_ID, id->subsystem);
    pci->config[PCI_REVISION_ID] = id->revision;
    pci->config[PCI_CLASS_PROG] = (uint8_t)id->class_code;
    pci_config_set16(pci, PCI_CLASS_DEVICE, (uint16_t)(id->class_code >> 8));
    pci->config[PCI_INTERRUPT_PIN] = id->interrupt_pin;
    pci->wmask[PCI_COMMAND] = (uint8_t)command;
    pci->wmask[PCI_COMMAND + 1] = (uint8_t)(command >> 8);
    pci->w1cmask[PCI_STATUS + 1] = (uint8_t)(PCI_STATUS_ERRORS >> 8);
    pci->anymask[PCI_STATUS] = PCI_STATUS_INTERRUPT;
    pci->anymask[PCI_HEADER_TYPE] = PCI_HEADER_MULTI_FUNCTION;
    pci->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
    pci->wmask[PCI_INTERRUPT_LINE] = 0xff;
    return true;
}

void pci_device_exit(PciDevice *pci)
{
    if (!pci->bus) {
        return;
    }
    pci_config_set16(pci, PCI_COMMAND, 0);
    update_bars(pci);
    if (pci->config[PCI_INTERRUPT_PIN]) {
        pci_set_irq(pci, false);
    }
    pci->bus->devices[pci->devfn] = NULL;
    pci->bus = NULL;
}

void pci_device_reset(PciDevice *pci)
{
    bool master = pci_bus_master_enabled(pci);

    for (unsigned i = 0; i < PCI_HEADER_END; i++) {
        pci->config[i] &= (uint8_t)~(pci->wmask[i] | pci->w1cmask[i]);
    }
    memset(pci->irq_state, 0, sizeof(pci->irq_state));
    update_irq(pci);
    update_bars(pci);
    if (master && pci->master_changed) {
        pci->master_changed(pci, false);
    }
}

/* ---- migration: QEMU's "PCIDevice" of version 2 ---- */

/*
 * What differs from this device where no mask allows it is another device. The
 * loaded bytes replace the device's only then.
 */
static bool get_config(MigStream *s, void *pv, size_t size,
                       const VMStateField *field, Error **errp)
{
    uint8_t *config = pv;
    PciDevice *pci = (PciDevice *)(config - offsetof(PciDevice, config));
    uint8_t loaded[PCI_CONFIG_SIZE];

    (void)field;
    (void)size;
    if (!mig_get_buffer(s, loaded, sizeof(loaded), errp)) {
        return false;
    }
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        uint8_t fixed = (uint8_t)~(pci->wmask[i] | pci->w1cmask[i] |
                                   pci->anymask[i]);

        if ((loaded[i] ^ config[i]) & fixed) {
            error_setg(errp, "PCI device at %02x.%x: byte 0x%02x of its "
                       "configuration is 0x%02x in the stream and 0x%02x "
                       "here: the devices differ",
                       pci->devfn / PCI_FUNCTIONS, pci->devfn % PCI_FUNCTIONS,
                       i, loaded[i], config[i]);
            return false;
        }
    }
    memcpy(config, loaded, sizeof(loaded));
    return true;
}

static void put_config(MigStream *s, const void *pv, size_t size,
                       const VMStateField *field)
{
    (void)field;
    mig_put_buffer(s, pv, size);
}

static const VMStateInfo vmstate_info_pci_config = {
    .name = "pci config",
    .put = put_config,
    .get = get_config,
};

static void put_irq_state(MigStream *s, const void *pv, size_t size,
                          const VMStateField *field)
{
    const uint32_t *state = pv;

    (void)size;
    (void)field;
    for (unsigned i = 0; i < PCI_PINS; i++) {
        mig_put_be32(s, state[i]);
    }
}

static bool get_irq_state(MigStream *s, void *pv, size_t size,
                          const VMStateField *field, Error **errp)
{
    uint32_t *state = pv;

    (void)size;
    (void)field;
    for (unsigned i = 0; i < PCI_PINS; i++) {
        if (!mig_get_be32(s, &state[i], errp)) {
            return false;
        }
        if (state[i] > 1) {
            error_setg(errp, "PCI interrupt pin %u has level %u, it must be 0 "
                       "or 1", i, state[i]);
            state[i] = 0;
            return false;
        }
    }
    return true;
}

static const VMStateInfo vmstate_info_pci_irq_state = {
    .name = "pci irq state",
    .put = put_irq_state,
    .get = get_irq_state,
};

static bool pci_post_load(void *opaque, int version_id, Error **errp)
{
    PciDevice *pci = opaque;

    (void)version_id;
    (void)errp;
    pci->version_id = 2;
    update_bars(pci);
    update_irq(pci);
    return true;
}

const VMStateDescription vmstate_pci_device = {
    .name = "PCIDevice",
    .version_id = 2,
    .minimum_version_id = 2,
    .post_load = pci_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_INT32(version_id, PciDevice),
        { .name = "config", .offset = offsetof(PciDevice, config),
          .size = PCI_CONFIG_SIZE, .num = 1, .flags = VMS_BUFFER,
          .info = &vmstate_info_pci_config },
        { .name = "irq_state", .offset = offsetof(PciDevice, irq_state),
          .size = PCI_PINS * sizeof(uint32_t), .num = 1, .flags = VMS_BUFFER,
          .info = &vmstate_info_pci_irq_state },
        VMSTATE_END_OF_LIST()
    },
};
