/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI devices and their bus. A PCI device's struct starts with a PciDevice;
 * its DeviceType has bus "pci", its properties start with
 * PCI_DEVICE_PROPERTIES, its vmstate with VMSTATE_PCI_DEVICE. Its realize
 * calls pci_device_init(), then adds BARs and capabilities; its unrealize (and
 * realize, on error) ends with pci_device_exit().
 *
 * Numbers are those of the PCI Local Bus Specification 3.0, chapter 6, and the
 * PCI Express Base Specification. Everything here needs the big lock.
 */
#ifndef GODWIT_HW_PCI_PCI_H
#define GODWIT_HW_PCI_PCI_H

#include "hw/core/device.h"
#include "hw/core/irq.h"
#include "system/memory.h"

#define PCI_SLOTS 32
#define PCI_FUNCTIONS 8
#define PCI_DEVFNS (PCI_SLOTS * PCI_FUNCTIONS)
#define PCI_BARS 6
#define PCI_ROM 6               /* the place of the expansion ROM behind them */
#define PCI_PINS 4              /* INTA .. INTD */
#define PCI_CONFIG_SIZE 256     /* bytes; the rest of ECAM's 4096 is all ones */

/* Offsets of the header of type 0. */
enum {
    PCI_VENDOR_ID = 0x00, PCI_DEVICE_ID = 0x02, PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06, PCI_REVISION_ID = 0x08, PCI_CLASS_PROG = 0x09,
    PCI_CLASS_DEVICE = 0x0a, PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_HEADER_TYPE = 0x0e, PCI_BASE_ADDRESS_0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c, PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM_ADDRESS = 0x30, PCI_CAPABILITY_LIST = 0x34,
    PCI_INTERRUPT_LINE = 0x3c, PCI_INTERRUPT_PIN = 0x3d, PCI_HEADER_END = 0x40,
};

enum {
    PCI_COMMAND_IO = 0x0001, PCI_COMMAND_MEMORY = 0x0002,
    PCI_COMMAND_MASTER = 0x0004, PCI_COMMAND_PARITY = 0x0040,
    PCI_COMMAND_SERR = 0x0100, PCI_COMMAND_INTX_DISABLE = 0x0400,

    PCI_STATUS_INTERRUPT = 0x0008, PCI_STATUS_CAP_LIST = 0x0010,
    PCI_STATUS_ERRORS = 0xf900,

    PCI_HEADER_MULTI_FUNCTION = 0x80,
};

/* Capability ids. */
enum { PCI_CAP_ID_VENDOR = 0x09, PCI_CAP_ID_EXPRESS = 0x10 };

typedef enum PciBarKind {
    PCI_BAR_NONE,               /* not there, or the upper half of a 64-bit */
    PCI_BAR_IO,                 /* size 4 .. 256 */
    PCI_BAR_MEM32,              /* size 16 .. 2 GiB */
    PCI_BAR_MEM64,              /* takes two BARs; size 16 .. 2^62 */
    PCI_BAR_MEM64_PREFETCH,
    PCI_BAR_ROM,                /* at PCI_ROM alone; size 2 KiB .. 2 GiB */
} PciBarKind;

typedef struct PciBar {
    PciBarKind kind;
    IoRegion *io;               /* its size, a power of 2, is the BAR's */
} PciBar;

typedef struct PciBus PciBus;
typedef struct PciDevice PciDevice;

struct PciDevice {
    Device dev;
    int32_t addr;               /* property: slot << 3 | function; -1: any */
    PciBus *bus;                /* NULL before init and after exit */
    uint8_t devfn;

    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t wmask[PCI_CONFIG_SIZE];     /* bits that the guest writes */
    uint8_t w1cmask[PCI_CONFIG_SIZE];   /* bits that a written 1 clears */
    uint8_t anymask[PCI_CONFIG_SIZE];   /* others that may differ after load */
    unsigned config_used;       /* capabilities occupy up to here */
    PciBar bars[PCI_BARS + 1];  /* the last is PCI_ROM */

    uint32_t irq_state[PCI_PINS];       /* 0 or 1 by pin */
    int32_t version_id;         /* in the stream: 2 */

    /*
     * Optional, for capabilities that are windows: before the guest reads and
     * after it has written the @len bytes at @addr.
     */
    void (*config_before_read)(PciDevice *pci, unsigned addr, unsigned len);
    void (*config_after_write)(PciDevice *pci, unsigned addr, unsigned len);
    /* Optional: when PCI_COMMAND_MASTER changes. */
    void (*master_changed)(PciDevice *pci, bool enabled);
};

#define PCI_DEVICE_PROPERTIES                                           \
    { .name = "addr", .kind = PROP_PCI_SLOT,                            \
      .offset = offsetof(PciDevice, addr),                              \
      .help = "slot[.function] on the bus, e.g. 06.0" }

typedef struct PciIdentity {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision;
    uint32_t class_code;        /* class << 16 | subclass << 8 | interface */
    uint8_t interrupt_pin;      /* 1 .. 4: INTA .. INTD; 0: none */
} PciIdentity;

/*
 * Takes a place on the bus that dev->bus is, and fills the header. Error: the
 * place is taken, or the bus is full.
 */
bool pci_device_init(PciDevice *pci, const PciIdentity *id, Error **errp);
void pci_device_exit(PciDevice *pci);

/*
 * To the state after RST#: command, BARs and interrupt line 0, no interrupt.
 * The device's reset calls it.
 */
void pci_device_reset(PciDevice *pci);

/*
 * @io answers behind BAR @n (or PCI_ROM) once the guest has placed and enabled
 * it.
 */
void pci_register_bar(PciDevice *pci, unsigned n, PciBarKind kind,
                      IoRegion *io);

/*
 * Appends a capability of @size bytes (2 .. 192), read-only and zero but for
 * its header: the device then fills config[], wmask[] and w1cmask[] from the
 * returned offset + 2 on. The offset is a multiple of 4. Aborts when the 192
 * bytes are used up: what a device has is not input.
 */
unsigned pci_add_capability(PciDevice *pci, uint8_t id, unsigned size);

/* The INTx line of the device. Harmless to repeat. */
void pci_set_irq(PciDevice *pci, bool level);

/* Whether the device may read and write memory. */
bool pci_bus_master_enabled(const PciDevice *pci);

/* Where BAR @n answers now, or UINT64_MAX. A bus address. */
uint64_t pci_bar_address(const PciDevice *pci, unsigned n);

static inline uint16_t pci_config_get16(const PciDevice *pci, unsigned addr)
{
    return (uint16_t)(pci->config[addr] | pci->config[addr + 1] << 8);
}

static inline void pci_config_set16(PciDevice *pci, unsigned addr,
                                    uint16_t val)
{
    pci->config[addr] = (uint8_t)val;
    pci->config[addr + 1] = (uint8_t)(val >> 8);
}

static inline uint32_t pci_config_get32(const PciDevice *pci, unsigned addr)
{
    return pci_config_get16(pci, addr) |
           (uint32_t)pci_config_get16(pci, addr + 2) << 16;
}

static inline void pci_config_set32(PciDevice *pci, unsigned addr,
                                    uint32_t val)
{
    pci_config_set16(pci, addr, (uint16_t)val);
    pci_config_set16(pci, addr + 2, (uint16_t)(val >> 16));
}

extern const VMStateDescription vmstate_pci_device;

/* The first row of a PCI device's vmstate; @_f is its PciDevice. */
#define VMSTATE_PCI_DEVICE(_f, _s)                                      \
    VMSTATE_STRUCT(_f, _s, vmstate_pci_device, PciDevice)

/*
 * The guest's accesses to the configuration space of @pci. @len is 1, 2 or 4,
 * @addr a multiple of it, and both within ECAM's 4096 bytes.
 */
uint32_t pci_config_read(PciDevice *pci, unsigned addr, unsigned len);
void pci_config_write(PciDevice *pci, unsigned addr, unsigned len,
                      uint32_t val);

#endif
