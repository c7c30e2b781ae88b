/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Board "virt": creates and wires what virt.h has the map of. Big lock. */
#include <string.h>

#include "hw/char/serial.h"
#include "hw/core/machine.h"
#include "hw/machine-types.h"
#include "hw/misc/sifive-test.h"
#include "hw/riscv/virt.h"
#include "hw/rtc/goldfish.h"
#include "hw/virtio/virtio-mmio.h"

/* The last byte of the space that a hart reaches physically: 56 bits. */
#define PHYSICAL_END (UINT64_C(1) << 56)

static void hart_line(void *opaque, unsigned n, bool level)
{
    hart_set_irq(opaque, n, level);
}

static void time_jumped(void *opaque)
{
    VirtBoard *board = opaque;

    for (unsigned i = 0; i < board->harts; i++) {
        hart_time_changed(board->hart[i]);
    }
}

static bool check_config(const MachineConfig *config, Error **errp)
{
    if (config->cpu_type && !g_str_equal(config->cpu_type, "rv64")) {
        error_setg(errp, "-cpu '%s': board 'virt' has CPU 'rv64' only",
                   config->cpu_type);
        return false;
    }
    for (guint i = 1; config->serial && i < config->serial->len; i++) {
        const char *id = g_ptr_array_index(config->serial, i);

        if (!g_str_equal(id, "none")) {
            error_setg(errp, "-serial number %u: board 'virt' has one serial "
                       "port", i + 1);
            return false;
        }
    }
    return true;
}

static bool create_memory(Vm *vm, VirtBoard *board, Error **errp)
{
    const RamBacking rom = {
        .size = VIRT_MROM_SIZE,
        .fd = -1,
        .readonly = true,
    };
    uint64_t ram_end;

    board->ram = machine_ram_new(vm, errp);
    if (!board->ram) {
        return false;
    }
    board->boot.ram_base = VIRT_DRAM_BASE;
    board->boot.ram_size = board->ram->backing.size;
    if (board->boot.ram_size > PHYSICAL_END - VIRT_DRAM_BASE -
                                   2 * VIRT_HIGH_MMIO_SIZE) {
        error_setg(errp, "board 'virt' has no place for %" G_GUINT64_FORMAT
                   " bytes of memory", board->boot.ram_size);
        return false;
    }
    ram_end = VIRT_DRAM_BASE + board->boot.ram_size;
    board->high_mmio_base = (ram_end + VIRT_HIGH_MMIO_SIZE - 1) &
                            ~(VIRT_HIGH_MMIO_SIZE - 1);
    board->rom = memory_ram_new(vm->memory, "riscv_virt_board.mrom", &rom,
                                errp);
    return board->rom &&
           memory_map_ram(vm->memory, board->ram, VIRT_DRAM_BASE, errp) &&
           memory_map_ram(vm->memory, board->rom, VIRT_MROM_BASE, errp);
}

static bool create_interrupts(Vm *vm, VirtBoard *board, Error **errp)
{
    Irq external[2 * HARTS_MAX], software[HARTS_MAX], timer[HARTS_MAX];

    for (unsigned i = 0; i < board->harts; i++) {
        Hart *hart = board->hart[i];

        external[2 * i] = (Irq){ hart_line, hart, HART_IRQ_MEIP };
        external[2 * i + 1] = (Irq){ hart_line, hart, HART_IRQ_SEIP };
        software[i] = (Irq){ hart_line, hart, HART_IRQ_MSIP };
        timer[i] = (Irq){ hart_line, hart, HART_IRQ_MTIP };
    }
    board->plic = plic_create(vm, VIRT_PLIC_BASE, board->harts, external,
                              errp);
    if (!board->plic) {
        return false;
    }
    board->aclint = aclint_create(vm, VIRT_CLINT_BASE, board->harts, software,
                                  timer, time_jumped, board, errp);
    if (!board->aclint) {
        return false;
    }
    for (unsigned i = 0; i < board->harts; i++) {
        const HartTime time = {
            aclint_time_read, aclint_deadline_ns, board->aclint
        };

        hart_set_time(board->hart[i], &time);
    }
    return true;
}

static Chardev *serial_chardev(Vm *vm)
{
    GPtrArray *serial = vm->config->serial;
    const char *id = serial && serial->len ? g_ptr_array_index(serial, 0)
                                           : "none";

    return g_str_equal(id, "none") ? NULL : chardev_find(vm, id);
}

static bool create_pci(Vm *vm, VirtBoard *board, Error **errp)
{
    PciHostConfig config = {
        .ecam_base = VIRT_ECAM_BASE,
        .ecam_size = VIRT_ECAM_SIZE,
        .io = { 0, VIRT_PIO_BASE, VIRT_PIO_SIZE },
        .mem32 = { VIRT_MMIO_BASE, VIRT_MMIO_BASE, VIRT_MMIO_SIZE },
        .mem64 = { board->high_mmio_base, board->high_mmio_base,
                   VIRT_HIGH_MMIO_SIZE },
    };

    for (unsigned i = 0; i < PCI_PINS; i++) {
        config.intx[i] = plic_source(board->plic, VIRT_PCIE_IRQ + i);
    }
    board->pci = pci_host_create(vm, &config, errp);
    return board->pci != NULL;
}

/*
 * The last slot first: a device that names no bus goes into the first that was
 * made, and in QEMU that is where it sits.
 */
static bool create_virtio_slots(Vm *vm, VirtBoard *board, Error **errp)
{
    for (unsigned i = VIRT_VIRTIO_SLOTS; i-- > 0;) {
        if (!virtio_mmio_create(vm, i, VIRT_VIRTIO_BASE +
                                i * VIRT_VIRTIO_STRIDE,
                                plic_source(board->plic, VIRT_VIRTIO_IRQ + i),
                                errp)) {
            return false;
        }
    }
    return true;
}

static bool create_devices(Vm *vm, VirtBoard *board, Error **errp)
{
    return serial_create(vm, VIRT_UART_BASE,
                         plic_source(board->plic, VIRT_UART_IRQ),
                         serial_chardev(vm), errp) &&
           goldfish_rtc_create(vm, VIRT_RTC_BASE,
                               plic_source(board->plic, VIRT_RTC_IRQ), errp) &&
           sifive_test_create(vm, VIRT_TEST_BASE, errp) &&
           create_virtio_slots(vm, board, errp) &&
           create_pci(vm, board, errp);
}

static bool load(Vm *vm, VirtBoard *board, Error **errp)
{
    g_autofree void *fdt = NULL;
    size_t fdt_size;

    if (!boot_load_images(vm, &board->boot, errp)) {
        return false;
    }
    fdt = virt_fdt_build(vm, board, &fdt_size, errp);
    return fdt && boot_finish(vm, &board->boot, fdt, fdt_size, VIRT_MROM_BASE,
                              errp);
}

static void virt_free(void *opaque)
{
    VirtBoard *board = opaque;

    for (unsigned i = board->harts; i-- > 0;) {
        if (board->hart[i]) {
            hart_free(board->hart[i]);
        }
    }
    g_free(board);
}

static bool virt_init(Vm *vm, Error **errp)
{
    VirtBoard *board = g_new0(VirtBoard, 1);

    vm->machine->board = board;
    vm->machine->board_free = virt_free;
    if (!check_config(vm->config, errp) || !create_memory(vm, board, errp)) {
        return false;
    }
    board->harts = vm->config->cpus;
    for (unsigned i = 0; i < board->harts; i++) {
        board->hart[i] = hart_new(vm, i, VIRT_MROM_BASE);
    }
    return create_interrupts(vm, board, errp) &&
           create_devices(vm, board, errp) && load(vm, board, errp);
}

const MachineType machine_virt = {
    .name = "virt",
    .description = "RISC-V VirtIO board",
    .cpu_max = HARTS_MAX,
    .default_ram_id = "riscv_virt_board.ram",
    .default_cpu = "rv64",
    .default_ram_size = UINT64_C(128) << 20,
    .init = virt_init,
};
