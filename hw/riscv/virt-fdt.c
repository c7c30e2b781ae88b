/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device tree of board "virt". Nodes, properties and phandles are those of
 * QEMU's tree for what exists here; tests/unit/test-virt-fdt.c compares them.
 * Main loop, big lock.
 */
#include <string.h>
#include <sys/random.h>

#include <libfdt.h>

#include "hw/char/serial.h"
#include "hw/core/machine.h"
#include "hw/riscv/virt.h"

/* More than the tree of 8 harts needs, without the kernel's command line. */
#define FDT_ROOM 65536
#define BOOTARGS_MAX 4096       /* what Linux takes, with its terminator */

enum { IRQ_M_SOFT = 3, IRQ_M_TIMER = 7, IRQ_S_EXT = 9, IRQ_M_EXT = 11 };

/* Cells of an interrupt-map entry and of a ranges entry of PCI. */
#define PCI_MAP_CELLS 6
#define PCI_RANGE_CELLS 7

typedef struct Fdt {
    void *blob;
    int error;                  /* the first of libfdt, or 0 */
    const VirtBoard *board;
} Fdt;

static void note(Fdt *fdt, int error)
{
    if (error && !fdt->error) {
        fdt->error = error;
    }
}

static void begin(Fdt *fdt, const char *name)
{
    note(fdt, fdt_begin_node(fdt->blob, name));
}

static void begin_at(Fdt *fdt, const char *name, uint64_t unit)
{
    g_autofree char *full = g_strdup_printf("%s@%" G_GINT64_MODIFIER "x", name,
                                            unit);

    begin(fdt, full);
}

static void end(Fdt *fdt)
{
    note(fdt, fdt_end_node(fdt->blob));
}

static void prop_empty(Fdt *fdt, const char *name)
{
    note(fdt, fdt_property(fdt->blob, name, NULL, 0));
}

static void prop_string(Fdt *fdt, const char *name, const char *value)
{
    note(fdt, fdt_property_string(fdt->blob, name, value));
}

/* @values ends in NULL. */
static void prop_strings(Fdt *fdt, const char *name, const char *const *values)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    for (; *values; values++) {
        g_byte_array_append(bytes, (const guint8 *)*values,
                            (guint)strlen(*values) + 1);
    }
    note(fdt, fdt_property(fdt->blob, name, bytes->data, (int)bytes->len));
}

static void prop_cells(Fdt *fdt, const char *name, const uint32_t *cells,
                       unsigned count)
{
    void *data;

    note(fdt, fdt_property_placeholder(fdt->blob, name, (int)(count * 4),
                                       &data));
    if (!fdt->error) {
        for (unsigned i = 0; i < count; i++) {
            fdt32_st((char *)data + 4 * i, cells[i]);
        }
    }
}

static void prop_u32(Fdt *fdt, const char *name, uint32_t value)
{
    prop_cells(fdt, name, &value, 1);
}

static void prop_u64(Fdt *fdt, const char *name, uint64_t value)
{
    const uint32_t cells[] = { (uint32_t)(value >> 32), (uint32_t)value };

    prop_cells(fdt, name, cells, 2);
}

/* Two cells of address and two of size. */
static void prop_reg(Fdt *fdt, uint64_t base, uint64_t size)
{
    const uint32_t cells[] = {
        (uint32_t)(base >> 32), (uint32_t)base,
        (uint32_t)(size >> 32), (uint32_t)size,
    };

    prop_cells(fdt, "reg", cells, 4);
}

/* Phandles: two a hart, the last hart first; then the PLIC, the test device. */
static uint32_t hart_phandle(const Fdt *fdt, unsigned hart)
{
    return 2 * (fdt->board->harts - 1 - hart) + 1;
}

static uint32_t intc_phandle(const Fdt *fdt, unsigned hart)
{
    return hart_phandle(fdt, hart) + 1;
}

static uint32_t plic_phandle(const Fdt *fdt)
{
    return 2 * fdt->board->harts + 1;
}

static uint32_t test_phandle(const Fdt *fdt)
{
    return plic_phandle(fdt) + 1;
}

/* For each hart: its interrupt controller and @first, the same and @second. */
static void prop_hart_interrupts(Fdt *fdt, uint32_t first, uint32_t second)
{
    uint32_t cells[HARTS_MAX * 4];

    for (unsigned i = 0; i < fdt->board->harts; i++) {
        cells[4 * i] = cells[4 * i + 2] = intc_phandle(fdt, i);
        cells[4 * i + 1] = first;
        cells[4 * i + 3] = second;
    }
    prop_cells(fdt, "interrupts-extended", cells, fdt->board->harts * 4);
}

static void prop_interrupt(Fdt *fdt, uint32_t source)
{
    prop_u32(fdt, "interrupt-parent", plic_phandle(fdt));
    prop_u32(fdt, "interrupts", source);
}

static void add_syscon(Fdt *fdt, const char *name, const char *compatible,
                       uint32_t value)
{
    begin(fdt, name);
    prop_string(fdt, "compatible", compatible);
    prop_u32(fdt, "regmap", test_phandle(fdt));
    prop_u32(fdt, "offset", 0);
    prop_u32(fdt, "value", value);
    end(fdt);
}

static bool has_extension(const char *name)
{
    for (const char *const *ext = hart_isa_extensions(); *ext; ext++) {
        if (g_str_equal(*ext, name)) {
            return true;
        }
    }
    return false;
}

static void add_cpu(Fdt *fdt, unsigned hart)
{
    static const struct {
        const char *extension, *property;
    } blocks[] = {
        { "zicbom", "riscv,cbom-block-size" },
        { "zicboz", "riscv,cboz-block-size" },
        { "zicbop", "riscv,cbop-block-size" },
    };

    begin_at(fdt, "cpu", hart);
    prop_u32(fdt, "phandle", hart_phandle(fdt, hart));
    prop_string(fdt, "device_type", "cpu");
    prop_u32(fdt, "reg", hart);
    prop_string(fdt, "status", "okay");
    prop_string(fdt, "compatible", "riscv");
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) {
        if (has_extension(blocks[i].extension)) {
            prop_u32(fdt, blocks[i].property, HART_CBO_BLOCK_SIZE);
        }
    }
    prop_strings(fdt, "riscv,isa-extensions", hart_isa_extensions());
    prop_string(fdt, "riscv,isa-base", "rv64i");
    prop_string(fdt, "riscv,isa", hart_isa_string());
    prop_string(fdt, "mmu-type", hart_mmu_type());
    begin(fdt, "interrupt-controller");
    prop_u32(fdt, "#interrupt-cells", 1);
    prop_empty(fdt, "interrupt-controller");
    prop_string(fdt, "compatible", "riscv,cpu-intc");
    prop_u32(fdt, "phandle", intc_phandle(fdt, hart));
    end(fdt);
    end(fdt);
}

static void add_cpus(Fdt *fdt)
{
    begin(fdt, "cpus");
    prop_u32(fdt, "#address-cells", 1);
    prop_u32(fdt, "#size-cells", 0);
    prop_u32(fdt, "timebase-frequency", ACLINT_TIMEBASE_HZ);
    for (unsigned i = 0; i < fdt->board->harts; i++) {
        add_cpu(fdt, i);
    }
    begin(fdt, "cpu-map");
    begin(fdt, "cluster0");
    for (unsigned i = 0; i < fdt->board->harts; i++) {
        g_autofree char *core = g_strdup_printf("core%u", i);

        begin(fdt, core);
        prop_u32(fdt, "cpu", hart_phandle(fdt, i));
        end(fdt);
    }
    end(fdt);
    end(fdt);
    end(fdt);
}

static void add_rtc(Fdt *fdt)
{
    begin_at(fdt, "rtc", VIRT_RTC_BASE);
    prop_string(fdt, "compatible", "google,goldfish-rtc");
    prop_reg(fdt, VIRT_RTC_BASE, VIRT_RTC_SIZE);
    prop_interrupt(fdt, VIRT_RTC_IRQ);
    end(fdt);
}

static void add_serial(Fdt *fdt)
{
    begin_at(fdt, "serial", VIRT_UART_BASE);
    prop_string(fdt, "compatible", "ns16550a");
    prop_reg(fdt, VIRT_UART_BASE, VIRT_UART_SIZE);
    prop_u32(fdt, "clock-frequency", SERIAL_CLOCK_HZ);
    prop_interrupt(fdt, VIRT_UART_IRQ);
    end(fdt);
}

static void add_test(Fdt *fdt)
{
    static const char *const compatible[] = {
        "sifive,test1", "sifive,test0", "syscon", NULL
    };

    begin_at(fdt, "test", VIRT_TEST_BASE);
    prop_strings(fdt, "compatible", compatible);
    prop_reg(fdt, VIRT_TEST_BASE, VIRT_TEST_SIZE);
    prop_u32(fdt, "phandle", test_phandle(fdt));
    end(fdt);
}

static void add_virtio(Fdt *fdt, unsigned slot)
{
    uint64_t base = VIRT_VIRTIO_BASE + slot * VIRT_VIRTIO_STRIDE;

    begin_at(fdt, "virtio_mmio", base);
    prop_string(fdt, "compatible", "virtio,mmio");
    prop_reg(fdt, base, VIRT_VIRTIO_STRIDE);
    prop_interrupt(fdt, VIRT_VIRTIO_IRQ + slot);
    end(fdt);
}

static void add_plic(Fdt *fdt)
{
    static const char *const compatible[] = {
        "sifive,plic-1.0.0", "riscv,plic0", NULL
    };

    begin_at(fdt, "interrupt-controller", VIRT_PLIC_BASE);
    prop_u32(fdt, "phandle", plic_phandle(fdt));
    prop_u32(fdt, "riscv,ndev", PLIC_SOURCES - 1);
    prop_reg(fdt, VIRT_PLIC_BASE, PLIC_SIZE);
    prop_hart_interrupts(fdt, IRQ_M_EXT, IRQ_S_EXT);
    prop_empty(fdt, "interrupt-controller");
    prop_strings(fdt, "compatible", compatible);
    prop_u32(fdt, "#address-cells", 0);
    prop_u32(fdt, "#interrupt-cells", 1);
    end(fdt);
}

static void add_clint(Fdt *fdt)
{
    static const char *const compatible[] = {
        "sifive,clint0", "riscv,clint0", NULL
    };

    begin_at(fdt, "clint", VIRT_CLINT_BASE);
    prop_hart_interrupts(fdt, IRQ_M_SOFT, IRQ_M_TIMER);
    prop_reg(fdt, VIRT_CLINT_BASE, ACLINT_SIZE);
    prop_strings(fdt, "compatible", compatible);
    end(fdt);
}

static void prop_pci_ranges(Fdt *fdt)
{
    /* Address spaces of the PCI bus binding, as high cells. */
    const uint32_t io = 0x01000000, mem32 = 0x02000000, mem64 = 0x03000000;
    const struct {
        uint32_t space;
        uint64_t bus, base, size;
    } windows[] = {
        { io, 0, VIRT_PIO_BASE, VIRT_PIO_SIZE },
        { mem32, VIRT_MMIO_BASE, VIRT_MMIO_BASE, VIRT_MMIO_SIZE },
        { mem64, fdt->board->high_mmio_base, fdt->board->high_mmio_base,
          VIRT_HIGH_MMIO_SIZE },
    };
    uint32_t cells[G_N_ELEMENTS(windows) * PCI_RANGE_CELLS];
    uint32_t *c = cells;

    for (size_t i = 0; i < G_N_ELEMENTS(windows); i++) {
        *c++ = windows[i].space;
        *c++ = (uint32_t)(windows[i].bus >> 32);
        *c++ = (uint32_t)windows[i].bus;
        *c++ = (uint32_t)(windows[i].base >> 32);
        *c++ = (uint32_t)windows[i].base;
        *c++ = (uint32_t)(windows[i].size >> 32);
        *c++ = (uint32_t)windows[i].size;
    }
    prop_cells(fdt, "ranges", cells, G_N_ELEMENTS(cells));
}

/* Four slots are enough: the mask leaves two bits of the slot's number. */
static void prop_pci_interrupt_map(Fdt *fdt)
{
    const uint32_t mask[] = { (PCI_PINS - 1) << 11, 0, 0, 7 };
    uint32_t cells[PCI_PINS * PCI_PINS * PCI_MAP_CELLS];
    uint32_t *c = cells;

    for (unsigned slot = 0; slot < PCI_PINS; slot++) {
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            *c++ = slot << 11;
            *c++ = 0;
            *c++ = 0;
            *c++ = pin + 1;
            *c++ = plic_phandle(fdt);
            *c++ = VIRT_PCIE_IRQ +
                   pci_swizzle((uint8_t)(slot * PCI_FUNCTIONS), pin);
        }
    }
    prop_cells(fdt, "interrupt-map-mask", mask, G_N_ELEMENTS(mask));
    prop_cells(fdt, "interrupt-map", cells, G_N_ELEMENTS(cells));
}

static void add_pci(Fdt *fdt)
{
    const uint32_t bus_range[] = { 0, VIRT_ECAM_SIZE / (1 << 20) - 1 };

    begin_at(fdt, "pci", VIRT_ECAM_BASE);
    prop_pci_interrupt_map(fdt);
    prop_pci_ranges(fdt);
    prop_reg(fdt, VIRT_ECAM_BASE, VIRT_ECAM_SIZE);
    prop_empty(fdt, "dma-coherent");
    prop_cells(fdt, "bus-range", bus_range, 2);
    prop_u32(fdt, "linux,pci-domain", 0);
    prop_string(fdt, "device_type", "pci");
    prop_string(fdt, "compatible", "pci-host-ecam-generic");
    prop_u32(fdt, "#size-cells", 2);
    prop_u32(fdt, "#interrupt-cells", 1);
    prop_u32(fdt, "#address-cells", 3);
    end(fdt);
}

static void add_soc(Fdt *fdt)
{
    begin(fdt, "soc");
    prop_u32(fdt, "#address-cells", 2);
    prop_u32(fdt, "#size-cells", 2);
    prop_string(fdt, "compatible", "simple-bus");
    prop_empty(fdt, "ranges");
    add_rtc(fdt);
    add_serial(fdt);
    add_test(fdt);
    for (unsigned i = VIRT_VIRTIO_SLOTS; i-- > 0;) {
        add_virtio(fdt, i);
    }
    add_plic(fdt);
    add_clint(fdt);
    add_pci(fdt);
    end(fdt);
}

static void add_memory(Fdt *fdt)
{
    const BootPlan *boot = &fdt->board->boot;

    begin_at(fdt, "memory", boot->ram_base);
    prop_string(fdt, "device_type", "memory");
    prop_reg(fdt, boot->ram_base, boot->ram_size);
    end(fdt);
}

static void add_chosen(Fdt *fdt, const MachineConfig *config)
{
    g_autofree char *path = g_strdup_printf("/soc/serial@%" G_GINT64_MODIFIER
                                            "x", VIRT_UART_BASE);
    const BootPlan *boot = &fdt->board->boot;
    const uint32_t seed[8] = { 0 };

    begin(fdt, "aliases");
    prop_string(fdt, "serial0", path);
    end(fdt);
    begin(fdt, "chosen");
    prop_string(fdt, "stdout-path", path);
    if (config->append) {
        prop_string(fdt, "bootargs", config->append);
    }
    if (boot->initrd_end > boot->initrd_start) {
        prop_u64(fdt, "linux,initrd-start", boot->initrd_start);
        prop_u64(fdt, "linux,initrd-end", boot->initrd_end);
    }
    prop_cells(fdt, "rng-seed", seed, G_N_ELEMENTS(seed));
    end(fdt);
}

void virt_fdt_new_seed(void *fdt)
{
    int node = fdt_path_offset(fdt, "/chosen");
    uint8_t seed[32];

    if (node >= 0 && getrandom(seed, sizeof(seed), 0) == sizeof(seed)) {
        fdt_setprop_inplace(fdt, node, "rng-seed", seed, sizeof(seed));
    }
}

void *virt_fdt_build(Vm *vm, const VirtBoard *board, size_t *size,
                     Error **errp)
{
    Fdt fdt = { g_malloc0(FDT_ROOM), 0, board };

    if (vm->config->append && strlen(vm->config->append) >= BOOTARGS_MAX) {
        error_setg(errp, "-append has %zu bytes, at most %d are possible",
                   strlen(vm->config->append), BOOTARGS_MAX - 1);
        g_free(fdt.blob);
        return NULL;
    }
    note(&fdt, fdt_create(fdt.blob, FDT_ROOM));
    note(&fdt, fdt_finish_reservemap(fdt.blob));
    begin(&fdt, "");
    prop_u32(&fdt, "#address-cells", 2);
    prop_u32(&fdt, "#size-cells", 2);
    prop_string(&fdt, "compatible", "riscv-virtio");
    prop_string(&fdt, "model", "riscv-virtio,qemu");
    add_syscon(&fdt, "poweroff", "syscon-poweroff", 0x5555);
    add_syscon(&fdt, "reboot", "syscon-reboot", 0x7777);
    add_memory(&fdt);
    add_cpus(&fdt);
    add_chosen(&fdt, vm->config);
    add_soc(&fdt);
    end(&fdt);
    note(&fdt, fdt_finish(fdt.blob));
    g_assert(fdt.error == 0);
    virt_fdt_new_seed(fdt.blob);
    *size = fdt_totalsize(fdt.blob);
    return fdt.blob;
}
