/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BARs and ROM of a VFIO device. Every access of the guest comes here, also
 * where the bytes are mapped: then it is one load or store instead of a system
 * call. So an access can always be taken for a sign that the guest has served
 * an interrupt (pci-irq.c), and a device that does not decode is not touched.
 * vCPU threads; big lock.
 */
#include <inttypes.h>

#include "hw/vfio/vfio-uapi.h"
#include "trace/trace-hw-vfio.h"
#include "vfio-pci.h"

/* Flags of a BAR's register; PCI Local Bus Specification 3.0, 6.2.5.1. */
#define BAR_IO 0x1
#define BAR_64 0x4
#define BAR_PREFETCH 0x8

static MemResult bar_read(void *opaque, hwaddr addr, unsigned size,
                          uint64_t *val)
{
    VfioBar *bar = opaque;

    *val = UINT64_MAX >> (64 - 8 * size);
    if (bar->vp->decoding) {
        vfio_region_read(&bar->region, addr, size, val);
        vfio_intx_served(bar->vp);
    }
    return MEM_OK;
}

static MemResult bar_write(void *opaque, hwaddr addr, unsigned size,
                           uint64_t val)
{
    VfioBar *bar = opaque;

    if (bar->vp->decoding) {
        vfio_region_write(&bar->region, addr, size, val);
        vfio_intx_served(bar->vp);
    }
    return MEM_OK;
}

static const IoOps bar_ops = { .read = bar_read, .write = bar_write };

static MemResult rom_write(void *opaque, hwaddr addr, unsigned size,
                           uint64_t val)
{
    (void)opaque;
    (void)addr;
    (void)size;
    (void)val;
    return MEM_OK;
}

static const IoOps rom_ops = { .read = bar_read, .write = rom_write };

static const struct {
    uint64_t min, max;          /* bytes */
    const char *name;
} kinds[] = {
    [PCI_BAR_IO] = { 4, 256, "I/O" },
    [PCI_BAR_MEM32] = { 16, UINT64_C(1) << 31, "32-bit memory" },
    [PCI_BAR_MEM64] = { 16, UINT64_C(1) << GUEST_PHYS_BITS, "64-bit memory" },
    [PCI_BAR_MEM64_PREFETCH] = { 16, UINT64_C(1) << GUEST_PHYS_BITS,
                                 "64-bit prefetchable memory" },
    [PCI_BAR_ROM] = { 2048, UINT64_C(1) << 31, "ROM" },
};

static bool check_size(const VfioRegion *region, PciBarKind kind, Error **errp)
{
    uint64_t size = region->size;

    if ((size & (size - 1)) || size < kinds[kind].min ||
        size > kinds[kind].max) {
        error_setg(errp, "its region %u has 0x%" PRIx64 " bytes: a BAR of %s "
                   "has 0x%" PRIx64 " to 0x%" PRIx64 ", a power of 2",
                   region->index, size, kinds[kind].name, kinds[kind].min,
                   kinds[kind].max);
        return false;
    }
    return true;
}

/* What the device says BAR @n is. */
static bool bar_kind(VfioPci *vp, unsigned n, PciBarKind *kind, Error **errp)
{
    uint64_t reg;

    if (!vfio_region_read(&vp->config, PCI_BASE_ADDRESS_0 + 4 * n, 4, &reg)) {
        error_setg(errp, "its BAR %u cannot be read", n);
        return false;
    }
    if (reg & BAR_IO) {
        *kind = PCI_BAR_IO;
    } else if (reg & BAR_64) {
        *kind = reg & BAR_PREFETCH ? PCI_BAR_MEM64_PREFETCH : PCI_BAR_MEM64;
    } else {
        *kind = PCI_BAR_MEM32;
    }
    return true;
}

static bool bar_is_64(PciBarKind kind)
{
    return kind == PCI_BAR_MEM64 || kind == PCI_BAR_MEM64_PREFETCH;
}

static void register_bar(VfioPci *vp, unsigned n, PciBarKind kind)
{
    static const char *const names[] = {
        "vfio-bar0", "vfio-bar1", "vfio-bar2", "vfio-bar3", "vfio-bar4",
        "vfio-bar5", "vfio-rom",
    };
    VfioBar *bar = &vp->bars[n];

    bar->vp = vp;
    memory_io_init(&bar->io, names[n], n == PCI_ROM ? &rom_ops : &bar_ops, bar,
                   bar->region.size);
    pci_register_bar(&vp->pci, n, kind, &bar->io);
    trace_vfio_pci_bar(vp->vdev.name, n, kinds[kind].name, bar->region.size,
                       bar->region.area_count);
}

/* *@next: the first BAR behind it. */
static bool realize_bar(VfioPci *vp, unsigned n, unsigned *next, Error **errp)
{
    VfioRegion *region = &vp->bars[n].region;
    PciBarKind kind;

    *next = n + 1;
    if (!vfio_region_init(region, &vp->vdev, VFIO_PCI_BAR0_REGION_INDEX + n,
                          vp->no_mmap, errp)) {
        return false;
    }
    if (!region->size) {
        return true;
    }
    if (!bar_kind(vp, n, &kind, errp) || !check_size(region, kind, errp)) {
        return false;
    }
    if (bar_is_64(kind)) {
        if (n + 1 == PCI_BARS) {
            error_setg(errp, "its last BAR says that it has 64 bits");
            return false;
        }
        *next = n + 2;
    }
    register_bar(vp, n, kind);
    return true;
}

static bool realize_rom(VfioPci *vp, Error **errp)
{
    VfioRegion *region = &vp->bars[PCI_ROM].region;

    /* Never mapped: nothing but a boot reads it. */
    if (!vfio_region_init(region, &vp->vdev, VFIO_PCI_ROM_REGION_INDEX, true,
                          errp)) {
        return false;
    }
    if (region->size) {
        if (!check_size(region, PCI_BAR_ROM, errp)) {
            return false;
        }
        register_bar(vp, PCI_ROM, PCI_BAR_ROM);
    }
    return true;
}

bool vfio_bars_realize(VfioPci *vp, Error **errp)
{
    for (unsigned n = 0; n < PCI_BARS;) {
        if (!realize_bar(vp, n, &n, errp)) {
            vfio_bars_exit(vp);
            return false;
        }
    }
    if (vp->rombar && !realize_rom(vp, errp)) {
        vfio_bars_exit(vp);
        return false;
    }
    return true;
}

/* Only after pci_device_exit(): then the guest sees none of them any more. */
void vfio_bars_exit(VfioPci *vp)
{
    for (unsigned n = 0; n <= PCI_ROM; n++) {
        vfio_region_exit(&vp->bars[n].region);
    }
}
