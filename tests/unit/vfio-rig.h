/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine without a CPU that has a PCI bus, RAM and a ROM, and a kernel with
 * VFIO devices (vfio-kernel.h) for it.
 */
#ifndef GODWIT_TESTS_VFIO_RIG_H
#define GODWIT_TESTS_VFIO_RIG_H

#include "hw-test.h"
#include "hw/pci/pci-bus.h"
#include "hw/vfio/vfio-pci.h"
#include "vfio-kernel.h"

#define RIG_ECAM 0x30000000
#define RIG_RAM 0x80000000
#define RIG_RAM_BYTES (UINT64_C(1) << 20)
#define RIG_ROM 0x1000
#define RIG_ROM_BYTES 0xf000
/* Where vfio_rig_place() puts BAR 0, 2 and the ROM. */
#define RIG_BAR0 0x40000000
#define RIG_BAR2 0x40100000
#define RIG_BAR_ROM 0x40200000

typedef struct VfioRig {
    FakeKernel *k;
    Vm *vm;
    bool lines[PCI_PINS];
    RamBlock *ram;
    char *iommufd;              /* the descriptor of object "i0", or NULL */
    char *sysfs;                /* a folder that stands for /sys, or NULL */
} VfioRig;

/* Fixture of GLib's tests; what the test is given is not looked at. */
void vfio_rig_set_up(VfioRig *rig, gconstpointer data);
/* Frees all; the kernel must be idle then, and no descriptor left over. */
void vfio_rig_tear_down(VfioRig *rig, gconstpointer data);

/* Object "i0", with a descriptor of its own. */
void vfio_rig_iommufd(VfioRig *rig);

/*
 * The folder of device @n of the host, as sysfs has it: in group @n, with a
 * node of its own if @cdev. The caller frees.
 */
char *vfio_rig_folder(VfioRig *rig, unsigned n, bool cdev);

/* A vfio-pci with these properties (name, value, ..., NULL). NULL and errp. */
VfioPci *vfio_rig_try(VfioRig *rig, Error **errp, ...);

/* The host's device @n by descriptor, through "i0" (made if need be). */
VfioPci *vfio_rig_plug(VfioRig *rig, unsigned n);

/* Expects that it fails so. */
void vfio_rig_refused(VfioRig *rig, unsigned n, const char *message);

/* The guest's view of the configuration space of @vp. */
uint32_t vfio_rig_get(VfioPci *vp, unsigned reg, unsigned len);
void vfio_rig_set(VfioPci *vp, unsigned reg, unsigned len, uint32_t val);
/* Places BARs and ROM and enables memory. */
void vfio_rig_place(VfioPci *vp);

/* Lets the main loop see what has happened. */
void vfio_rig_loop(VfioRig *rig);

#endif
