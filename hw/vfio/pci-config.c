/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration space that a guest sees of a VFIO device. The header is
 * this bus's (hw/pci): BARs and decoding are the guest's and not the host's,
 * and what a guest enables there is told to the device. Behind the header each
 * byte is either fixed or the device's: capabilities of message-signalled
 * interrupts are left out of the list and read as zero, that of PCI Express
 * speaks of no link, everything else is read and written where it is. vCPU
 * threads and who saves or loads; big lock.
 */
#include <inttypes.h>
#include <string.h>

#include "hw/vfio/vfio-uapi.h"
#include "migration/vmstate.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-pci.h"

/* Capability ids, and what is used of their layouts. */
enum { CAP_PM = 0x01, CAP_MSI = 0x05, CAP_MSIX = 0x11 };
enum { PM_CONTROL = 4, PM_STATE = 0x3, PM_BYTES = 8 };
enum { MSI_FLAGS = 2, MSI_64 = 0x80, MSI_MASKING = 0x100 };
#define MSIX_BYTES 12
enum { EXP_FLAGS = 2, EXP_TYPE = 0xf0, EXP_VERSION = 0x0f,
       EXP_LINK = 0x0c, EXP_LINK2 = 0x2c, EXP_LINK_BYTES = 8 };
/* Device types of PCI Express, shifted as in the flags. */
enum { EXP_ENDPOINT = 0x00, EXP_LEGACY_ENDPOINT = 0x10,
       EXP_INTEGRATED_ENDPOINT = 0x90 };

static bool get(VfioPci *vp, unsigned addr, unsigned len, uint32_t *val,
                Error **errp)
{
    uint64_t got;

    if (!vfio_region_read(&vp->config, addr, len, &got)) {
        error_setg(errp, "its configuration space cannot be read at 0x%02x",
                   addr);
        return false;
    }
    *val = (uint32_t)got;
    return true;
}

/* ---- identity ---- */

static bool get_identity(VfioPci *vp, PciIdentity *id, Error **errp)
{
    uint32_t ids, class_revision, subsystem, type, pin, irq_count, irq_flags;

    if (!get(vp, PCI_VENDOR_ID, 4, &ids, errp) ||
        !get(vp, PCI_REVISION_ID, 4, &class_revision, errp) ||
        !get(vp, PCI_HEADER_TYPE, 1, &type, errp) ||
        !get(vp, PCI_SUBSYSTEM_VENDOR_ID, 4, &subsystem, errp) ||
        !get(vp, PCI_INTERRUPT_PIN, 1, &pin, errp)) {
        return false;
    }
    if ((ids & 0xffff) == 0xffff) {
        error_setg(errp, "its configuration space is all ones: it does not "
                   "answer");
        return false;
    }
    if (type & ~PCI_HEADER_MULTI_FUNCTION) {
        error_setg(errp, "its header is of type %u: only devices (0) can be "
                   "given to a guest, no bridges",
                   type & ~PCI_HEADER_MULTI_FUNCTION);
        return false;
    }
    if (pin > PCI_PINS) {
        error_setg(errp, "its interrupt pin is %u: 0 (none) to %d are "
                   "possible", pin, PCI_PINS);
        return false;
    }
    /* A pin that the host's kernel does not serve is none. */
    if (!vfio_irq_get_info(&vp->vdev, VFIO_PCI_INTX_IRQ_INDEX, &irq_flags,
                           &irq_count) && pin) {
        error_setg(errp, "asking for its INTx, pin %u, failed", pin);
        return false;
    }
    *id = (PciIdentity){
        .vendor = (uint16_t)ids,
        .device = (uint16_t)(ids >> 16),
        .subsystem_vendor = (uint16_t)subsystem,
        .subsystem = (uint16_t)(subsystem >> 16),
        .revision = (uint8_t)class_revision,
        .class_code = class_revision >> 8,
        .interrupt_pin = irq_count ? (uint8_t)pin : 0,
    };
    return true;
}

bool vfio_config_open(VfioPci *vp, PciIdentity *identity, Error **errp)
{
    const uint32_t both = VFIO_REGION_INFO_FLAG_READ |
                          VFIO_REGION_INFO_FLAG_WRITE;

    if (!vfio_region_init(&vp->config, &vp->vdev, VFIO_PCI_CONFIG_REGION_INDEX,
                          true, errp)) {
        return false;
    }
    if (vp->config.size < PCI_CONFIG_SIZE ||
        (vp->config.flags & both) != both) {
        error_setg(errp, "its configuration space has 0x%" PRIx64 " bytes and "
                   "flags 0x%x: at least %d to read and write are needed",
                   vp->config.size, vp->config.flags, PCI_CONFIG_SIZE);
        vfio_region_exit(&vp->config);
        return false;
    }
    if (!get_identity(vp, identity, errp)) {
        vfio_region_exit(&vp->config);
        return false;
    }
    return true;
}

void vfio_config_exit(VfioPci *vp)
{
    vfio_region_exit(&vp->config);
}

/* ---- what is fixed ---- */

static void fix(VfioPci *vp, unsigned addr, uint8_t val)
{
    vp->passed[addr] = 0;
    vp->pci.config[addr] = val;
}

static void fix_zero(VfioPci *vp, unsigned addr, unsigned len)
{
    for (unsigned i = addr; i < MIN(addr + len, PCI_CONFIG_SIZE); i++) {
        fix(vp, i, 0);
    }
}

static bool hide_msi(VfioPci *vp, unsigned at, Error **errp)
{
    uint32_t flags;
    unsigned len = 10;

    if (!get(vp, at + MSI_FLAGS, 2, &flags, errp)) {
        return false;
    }
    len += flags & MSI_64 ? 4 : 0;
    len += flags & MSI_MASKING ? 10 : 0;
    fix_zero(vp, at, len);
    return true;
}

/* Directly on the root bus it is part of the root complex, without a link. */
static bool fix_express(VfioPci *vp, unsigned at, Error **errp)
{
    uint32_t flags, type;

    if (!get(vp, at + EXP_FLAGS, 1, &flags, errp)) {
        return false;
    }
    type = flags & EXP_TYPE;
    if (type != EXP_ENDPOINT && type != EXP_LEGACY_ENDPOINT) {
        return true;
    }
    fix(vp, at + EXP_FLAGS,
        (uint8_t)((flags & EXP_VERSION) | EXP_INTEGRATED_ENDPOINT));
    fix_zero(vp, at + EXP_LINK, EXP_LINK_BYTES);
    if ((flags & EXP_VERSION) > 1) {
        fix_zero(vp, at + EXP_LINK2, EXP_LINK_BYTES);
    }
    return true;
}

/* *@shown: whether the guest sees the capability @id at @at. */
static bool treat_capability(VfioPci *vp, unsigned at, uint8_t id, bool *shown,
                             Error **errp)
{
    unsigned needed = id == CAP_PM ? PM_BYTES
                      : id == PCI_CAP_ID_EXPRESS ? EXP_LINK + EXP_LINK_BYTES
                                                 : 0;

    *shown = id != CAP_MSI && id != CAP_MSIX;
    if (at + needed > PCI_CONFIG_SIZE) {
        /* Its registers do not fit: nothing to treat, nothing to show. */
        *shown = false;
        return true;
    }
    switch (id) {
    case CAP_MSI:
        return hide_msi(vp, at, errp);
    case CAP_MSIX:
        fix_zero(vp, at, MSIX_BYTES);
        return true;
    case CAP_PM:
        vp->pm_cap = at;
        return true;
    case PCI_CAP_ID_EXPRESS:
        return fix_express(vp, at, errp);
    }
    return true;
}

static bool filter_capabilities(VfioPci *vp, Error **errp)
{
    PciDevice *pci = &vp->pci;
    unsigned link = PCI_CAPABILITY_LIST;
    bool seen[PCI_CONFIG_SIZE] = { false };
    uint32_t status, at, id, next;

    if (!get(vp, PCI_STATUS, 2, &status, errp)) {
        return false;
    }
    if (!(status & PCI_STATUS_CAP_LIST)) {
        return true;
    }
    if (!get(vp, PCI_CAPABILITY_LIST, 1, &at, errp)) {
        return false;
    }
    for (at &= ~3u; at; at = next & ~3u) {
        bool shown;

        if (at < PCI_HEADER_END || seen[at]) {
            error_setg(errp, "its list of capabilities %s at 0x%02x",
                       seen[at] ? "has a loop" : "leads into the header", at);
            return false;
        }
        seen[at] = true;
        if (!get(vp, at, 1, &id, errp) || !get(vp, at + 1, 1, &next, errp) ||
            !treat_capability(vp, at, (uint8_t)id, &shown, errp)) {
            return false;
        }
        trace_vfio_pci_capability(vp->vdev.name, id, at, shown);
        if (shown) {
            fix(vp, link, (uint8_t)at);
            fix(vp, at, (uint8_t)id);
            fix(vp, at + 1, 0);
            link = at + 1;
            pci->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
        }
    }
    return true;
}

/* ---- accesses ---- */

static bool all_passed(const VfioPci *vp, unsigned addr, unsigned len)
{
    for (unsigned i = addr; i < addr + len; i++) {
        if (!vp->passed[i]) {
            return false;
        }
    }
    return true;
}

/* What is the device's of [@addr, @addr + @len), in accesses as wide as can
 * be: a register is not torn. */
static void read_passed(VfioPci *vp, unsigned addr, unsigned len)
{
    uint64_t val;

    if (all_passed(vp, addr, len)) {
        vfio_region_read(&vp->config, addr, len, &val);
        memcpy(&vp->pci.config[addr], &val, len);
    } else if (len > 1) {
        read_passed(vp, addr, len / 2);
        read_passed(vp, addr + len / 2, len / 2);
    }
}

static void write_passed(VfioPci *vp, unsigned addr, unsigned len)
{
    uint64_t val = 0;

    if (all_passed(vp, addr, len)) {
        memcpy(&val, &vp->pci.config[addr], len);
        vfio_region_write(&vp->config, addr, len, val);
    } else if (len > 1) {
        write_passed(vp, addr, len / 2);
        write_passed(vp, addr + len / 2, len / 2);
    }
}

static bool overlaps(unsigned addr, unsigned len, unsigned reg,
                     unsigned reg_len)
{
    return addr < reg + reg_len && reg < addr + len;
}

static bool in_d0(VfioPci *vp)
{
    uint64_t control;

    return !vp->pm_cap ||
           (vfio_region_read(&vp->config, vp->pm_cap + PM_CONTROL, 2,
                             &control) && !(control & PM_STATE));
}

bool vfio_config_sync(VfioPci *vp)
{
    uint16_t command = pci_config_get16(&vp->pci, PCI_COMMAND);
    bool ok = vfio_region_write(&vp->config, PCI_COMMAND, 2, command);

    vp->decoding = ok && in_d0(vp);
    trace_vfio_pci_command(vp->vdev.name, command, vp->decoding);
    return ok;
}

static void before_read(PciDevice *pci, unsigned addr, unsigned len)
{
    read_passed((VfioPci *)pci, addr, len);
}

static void after_write(PciDevice *pci, unsigned addr, unsigned len)
{
    VfioPci *vp = (VfioPci *)pci;

    write_passed(vp, addr, len);
    if (overlaps(addr, len, PCI_COMMAND, 2)) {
        uint16_t before = vp->command;

        vp->command = pci_config_get16(pci, PCI_COMMAND);
        vfio_config_sync(vp);
        if (before & ~vp->command & PCI_COMMAND_INTX_DISABLE) {
            vfio_intx_served(vp);
        }
    } else if (vp->pm_cap &&
               overlaps(addr, len, vp->pm_cap + PM_CONTROL, 2)) {
        vp->decoding = in_d0(vp);
    }
}

bool vfio_config_realize(VfioPci *vp, Error **errp)
{
    PciDevice *pci = &vp->pci;

    vp->pm_cap = 0;
    memset(vp->passed, 0, PCI_HEADER_END);
    memset(vp->passed + PCI_HEADER_END, 1, PCI_CONFIG_SIZE - PCI_HEADER_END);
    /* Errors that the device has seen: read from it, cleared in it. */
    vp->passed[PCI_STATUS + 1] = 1;
    if (!filter_capabilities(vp, errp)) {
        return false;
    }
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        if (vp->passed[i]) {
            pci->wmask[i] = 0xff;
            pci->w1cmask[i] = 0;
            pci->anymask[i] = 0xff;
        }
    }
    pci->config_used = PCI_CONFIG_SIZE;
    pci->config_before_read = before_read;
    pci->config_after_write = after_write;
    return true;
}

/* ---- migration ---- */

static bool post_load(void *opaque, int version_id, Error **errp)
{
    VfioPci *vp = opaque;
    unsigned pin = vp->pci.config[PCI_INTERRUPT_PIN];

    (void)version_id;
    for (unsigned i = 0; i < PCI_PINS; i++) {
        if (vp->pci.irq_state[i] && i + 1 != pin) {
            error_setg(errp, "VFIO device %s: interrupt pin %u is raised in "
                       "the stream, and the device drives %u", vp->vdev.name,
                       i + 1, pin);
            return false;
        }
    }
    return true;
}

/*
 * Bytes that are the device's travel for who reads the stream, and are not
 * believed: its driver moves what is behind them.
 */
static const VMStateDescription vmstate_vfio_pci = {
    .name = "vfio-pci",
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(pci, VfioPci),
        VMSTATE_END_OF_LIST()
    },
};

bool vfio_config_save(VfioDevice *vdev, MigStream *s, Error **errp)
{
    VfioPci *vp = (VfioPci *)((char *)vdev - offsetof(VfioPci, vdev));

    /* It fired as it stopped, and the main loop has not come round. */
    vfio_intx_poll(vp);
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i += 4) {
        read_passed(vp, i, 4);
    }
    return vmstate_save(s, &vmstate_vfio_pci, vp, NULL, errp);
}

bool vfio_config_load(VfioDevice *vdev, MigStream *s, Error **errp)
{
    VfioPci *vp = (VfioPci *)((char *)vdev - offsetof(VfioPci, vdev));

    if (!vmstate_load(s, &vmstate_vfio_pci, vp, vmstate_vfio_pci.version_id,
                      errp)) {
        return false;
    }
    vp->command = pci_config_get16(&vp->pci, PCI_COMMAND);
    if (!vfio_config_sync(vp)) {
        error_setg(errp, "VFIO device %s: it does not take the command 0x%04x",
                   vdev->name, vp->command);
        return false;
    }
    return vfio_intx_sync(vp, errp);
}
