/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Board "virt": where everything is. The map, the interrupt numbers and the
 * device tree are those of QEMU's board of that name. Big lock.
 */
#ifndef GODWIT_HW_RISCV_VIRT_H
#define GODWIT_HW_RISCV_VIRT_H

#include "hw/core/loader.h"
#include "hw/intc/aclint.h"
#include "hw/intc/plic.h"
#include "hw/pci/pci-bus.h"
#include "target/riscv/cpu.h"

/* Guest-physical addresses and bytes. */
#define VIRT_MROM_BASE UINT64_C(0x1000)
#define VIRT_MROM_SIZE UINT64_C(0xf000)
#define VIRT_TEST_BASE UINT64_C(0x100000)
#define VIRT_TEST_SIZE UINT64_C(0x1000)
#define VIRT_RTC_BASE UINT64_C(0x101000)
#define VIRT_RTC_SIZE UINT64_C(0x1000)
#define VIRT_CLINT_BASE UINT64_C(0x2000000)
#define VIRT_PIO_BASE UINT64_C(0x3000000)
#define VIRT_PIO_SIZE UINT64_C(0x10000)
#define VIRT_PLIC_BASE UINT64_C(0xc000000)
#define VIRT_UART_BASE UINT64_C(0x10000000)
#define VIRT_UART_SIZE UINT64_C(0x100)
#define VIRT_VIRTIO_BASE UINT64_C(0x10001000)
#define VIRT_VIRTIO_STRIDE UINT64_C(0x1000)
#define VIRT_VIRTIO_SLOTS 8
#define VIRT_ECAM_BASE UINT64_C(0x30000000)
#define VIRT_ECAM_SIZE UINT64_C(0x10000000)
#define VIRT_MMIO_BASE UINT64_C(0x40000000)
#define VIRT_MMIO_SIZE UINT64_C(0x40000000)
#define VIRT_DRAM_BASE UINT64_C(0x80000000)
/* Behind the RAM, at a multiple of its size. */
#define VIRT_HIGH_MMIO_SIZE (UINT64_C(16) << 30)

/* Sources of the PLIC. */
#define VIRT_VIRTIO_IRQ 1       /* .. 8 */
#define VIRT_UART_IRQ 10
#define VIRT_RTC_IRQ 11
#define VIRT_PCIE_IRQ 32        /* .. 35 */

/* What was loaded where; see boot.c. */
typedef struct BootPlan {
    hwaddr ram_base;
    uint64_t ram_size;
    bool has_firmware, has_kernel;
    LoadedImage firmware, kernel;
    hwaddr initrd_start, initrd_end;    /* equal: none */
    hwaddr fdt;
} BootPlan;

typedef struct VirtBoard {
    unsigned harts;
    Hart *hart[HARTS_MAX];
    struct RamBlock *ram, *rom;
    hwaddr high_mmio_base;
    PlicState *plic;
    AclintState *aclint;
    PciBus *pci;
    BootPlan boot;
} VirtBoard;

/*
 * The device tree of @board: *size bytes, freed by the caller. All of @board
 * but boot.fdt is filled in. NULL and errp: -append does not fit.
 */
void *virt_fdt_build(Vm *vm, const VirtBoard *board, size_t *size,
                     Error **errp);

/* Puts fresh random bytes into /chosen/rng-seed of the tree @fdt, if there. */
void virt_fdt_new_seed(void *fdt);

/*
 * Loads firmware, kernel and initrd as vm->config says into RAM (whose place
 * the plan has), and fills the rest of the plan.
 */
bool boot_load_images(Vm *vm, BootPlan *plan, Error **errp);

/*
 * Loads the device tree, with a new seed each time, and the reset vector at
 * @rom that starts it all.
 */
bool boot_finish(Vm *vm, BootPlan *plan, const void *fdt, size_t fdt_size,
                 hwaddr rom, Error **errp);

#endif
