/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Board "virt" as a whole, on harts that do not run: what answers where, how
 * interrupts are wired, under which names its state moves, what it refuses.
 */
#include <string.h>

#include "hw-test.h"
#include "hw/riscv/virt.h"
#include "migration-util.h"

#define MIB (UINT64_C(1) << 20)

static Vm *board_new(unsigned harts, uint64_t ram_size)
{
    Vm *vm = hw_test_new();
    Error *err = NULL;

    vm->config->type = g_strdup("virt");
    vm->config->bios = g_strdup("none");
    vm->config->cpus = harts;
    vm->config->ram_size = ram_size;
    machine_init(vm, &err);
    g_assert_no_error(err);
    hw_test_reset(vm);
    return vm;
}

static void test_map(void)
{
    static const struct {
        hwaddr addr;
        unsigned size;
        uint64_t value;
    } rows[] = {
        { 0x100000, 4, 0 },                     /* test device */
        { 0x101010, 4, 0 },                     /* RTC: interrupt disabled */
        { 0x2004000, 8, UINT64_MAX },           /* mtimecmp */
        { 0x3000000, 4, 0xffffffff },           /* PCI I/O, nobody there */
        { 0xc000004, 4, 0 },                    /* PLIC priority 1 */
        { 0x10000005, 1, 0x60 },                /* UART line status */
        { 0x10001000, 4, 0x74726976 },          /* virtio-mmio: "virt" */
        { 0x10008000, 4, 0x74726976 },
        { 0x30000000, 4, 0x00081b36 },          /* ECAM: the bridge */
        { 0x40000000, 4, 0xffffffff },
        { UINT64_C(0x400000000), 4, 0xffffffff },
        { UINT64_C(0x7fffffff8), 8, UINT64_MAX },
    };
    static const hwaddr holes[] = {
        0, 0xff000, 0x102000, 0x1fffffc, 0x2010000, 0xc600000, 0x10000008,
        0x10009000, 0x10100000, 0x20000000, UINT64_C(0x800000000),
    };
    Vm *vm = board_new(2, 128 * MIB);
    uint64_t val;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_assert_cmphex(hw_read(vm, rows[i].addr, rows[i].size), ==,
                        rows[i].value);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(holes); i++) {
        g_assert_cmpint(memory_io_read(vm->memory, holes[i], 4, &val), ==,
                        MEM_DECODE_ERROR);
        g_assert_null(memory_ram_at(vm->memory, holes[i], NULL, NULL));
    }
    g_assert_nonnull(memory_ram_at(vm->memory, 0x1000, NULL, NULL));
    g_assert_nonnull(memory_ram_at(vm->memory, 0x80000000, NULL, NULL));
    g_assert_nonnull(memory_ram_at(vm->memory, 0x80000000 + 128 * MIB - 1,
                                   NULL, NULL));
    g_assert_null(memory_ram_at(vm->memory, 0x80000000 + 128 * MIB, NULL,
                                NULL));
    g_assert_cmpuint(vm->cpus->len, ==, 2);
    hw_test_free(vm);
}

/* The names and numbers of QEMU's sections for the same devices. */
static void test_sections(void)
{
    static const char *const sections[] = {
        "riscv_sifive_plic", "riscv_mtimer", "serial", "goldfish_rtc",
        "PCIBUS", "0000:00:00.0/gpex_root",
    };
    Vm *vm = board_new(1, 128 * MIB);
    GPtrArray *devices = vm->machine->devices;
    unsigned found = 0;

    for (guint i = 0; i < devices->len; i++) {
        const Device *dev = g_ptr_array_index(devices, i);

        if (!dev->stream_id) {
            continue;
        }
        g_assert_cmpuint(dev->instance_id, ==, 0);
        g_assert_cmpuint(found, <, G_N_ELEMENTS(sections));
        g_assert_cmpstr(dev->stream_id, ==, sections[found]);
        found++;
    }
    g_assert_cmpuint(found, ==, G_N_ELEMENTS(sections));
    g_assert_nonnull(memory_ram_by_id(vm->memory, "riscv_virt_board.ram"));
    g_assert_nonnull(memory_ram_by_id(vm->memory, "riscv_virt_board.mrom"));
    hw_test_free(vm);
}

/* The UART is source 10, the RTC 11; both reach hart 1 in supervisor mode. */
static void test_interrupts(void)
{
    Vm *vm = board_new(2, 128 * MIB);
    const hwaddr plic = VIRT_PLIC_BASE, context = 3;

    hw_write(vm, plic + 4 * 10, 4, 1);
    hw_write(vm, plic + 4 * 11, 4, 2);
    hw_write(vm, plic + 0x2000 + 0x80 * context, 4, 1 << 10 | 1 << 11);
    hw_write(vm, 0x10000001, 1, 2);             /* transmitter empty */
    g_assert_cmphex(hw_read(vm, plic + 0x1000, 4), ==, 1 << 10);
    hw_write(vm, 0x101010, 4, 1);
    hw_write(vm, 0x101008, 4, 1);               /* an alarm that has passed */
    g_assert_cmphex(hw_read(vm, plic + 0x1000, 4), ==, 1 << 10 | 1 << 11);
    g_assert_true(g_ptr_array_index(vm->cpus, 1) != NULL);
    g_assert_cmpuint(hw_read(vm, plic + 0x200004 + 0x1000 * context, 4), ==,
                     11);
    g_assert_cmpuint(hw_read(vm, plic + 0x200004 + 0x1000 * context, 4), ==,
                     10);
    hw_test_free(vm);
}

/* The 64-bit window follows the RAM. */
static void test_high_window(void)
{
    static const struct {
        uint64_t ram_gib, window;
    } rows[] = {
        { 1, UINT64_C(16) << 30 },
        { 14, UINT64_C(16) << 30 },
        { 15, UINT64_C(32) << 30 },
        { 1024, UINT64_C(1040) << 30 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        Vm *vm = board_new(1, rows[i].ram_gib << 30);

        g_assert_cmphex(hw_read(vm, rows[i].window, 4), ==, 0xffffffff);
        g_assert_nonnull(memory_ram_at(vm->memory, 0x80000000 +
                                       (rows[i].ram_gib << 30) - 1, NULL,
                                       NULL));
        hw_test_free(vm);
    }
}

typedef struct Refusal {
    void (*set)(MachineConfig *config);
    const char *message;
} Refusal;

static void set_type(MachineConfig *config)
{
    g_free(config->type);
    config->type = g_strdup("pc");
}

static void set_cpu(MachineConfig *config)
{
    config->cpu_type = g_strdup("max");
}

static void set_cpus(MachineConfig *config)
{
    config->cpus = 9;
}

static void set_serial(MachineConfig *config)
{
    g_ptr_array_add(config->serial, g_strdup("none"));
    g_ptr_array_add(config->serial, g_strdup("s1"));
}

static void set_ram(MachineConfig *config)
{
    config->ram_size = UINT64_C(1) << 56;
}

static void set_kernel(MachineConfig *config)
{
    config->kernel = g_strdup("/nonexistent");
}

/* After each of them all is freed again. */
static void test_refusals(void)
{
    static const Refusal refusals[] = {
        { set_type, "there are 'none', 'virt'" },
        { set_cpu, "CPU 'rv64' only" },
        { set_cpus, "takes at most 8" },
        { set_serial, "one serial port" },
        { set_ram, "" },
        { set_kernel, "cannot open kernel '/nonexistent'" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        Vm *vm = hw_test_new();
        Error *err = NULL;

        vm->config->type = g_strdup("virt");
        vm->config->bios = g_strdup("none");
        refusals[i].set(vm->config);
        g_assert_false(machine_init(vm, &err));
        if (!strstr(err->message, refusals[i].message)) {
            g_test_message("got: %s", err->message);
            g_test_fail();
        }
        g_error_free(err);
        hw_test_free(vm);
    }
}

/* One access of a guest that has lost its way, anywhere but the test device. */
static void poke(Vm *vm)
{
    static const struct {
        hwaddr base;
        uint64_t size;
    } ranges[] = {
        { VIRT_RTC_BASE, 0x24 }, { VIRT_CLINT_BASE, 0x20 },
        { VIRT_CLINT_BASE + 0x4000, 0x20 }, { VIRT_CLINT_BASE + 0xbff8, 8 },
        { VIRT_PLIC_BASE, 0x180 }, { VIRT_PLIC_BASE + 0x2000, 0x200 },
        { VIRT_PLIC_BASE + 0x200000, 8 }, { VIRT_PLIC_BASE + 0x201000, 8 },
        { VIRT_UART_BASE, 8 }, { VIRT_VIRTIO_BASE, 0x8000 },
        { VIRT_ECAM_BASE, 0x100 },
    };
    unsigned range = (unsigned)g_test_rand_int_range(0,
                                                     G_N_ELEMENTS(ranges));
    unsigned size = 1u << g_test_rand_int_range(0, 4);
    hwaddr addr = ranges[range].base +
                  (hwaddr)g_test_rand_int_range(0, (int)ranges[range].size) /
                      size * size;
    uint64_t val = (uint32_t)g_test_rand_int() |
                   (uint64_t)(uint32_t)g_test_rand_int() << 32;

    if (g_test_rand_bit()) {
        memory_io_write(vm->memory, addr, size, val >> (64 - 8 * size));
    } else {
        memory_io_read(vm->memory, addr, size, &val);
    }
}

static GByteArray *save_board(Vm *vm)
{
    TestVm t = { .vm = vm };
    GByteArray *bytes;

    vm_unlock(vm);
    bytes = test_save(&t, &test_config);
    vm_lock(vm);
    return bytes;
}

/* All sections of the board, harts included, there and out again. */
static void test_migrate(void)
{
    for (unsigned round = 0; round < 30; round++) {
        Vm *vms[2];
        GByteArray *saved, *again;
        Error *err = NULL;
        TestVm to;

        for (unsigned i = 0; i < 2; i++) {
            vms[i] = board_new(4, 128 * MIB);
            vm_clock_set_host_base(vms[i], VM_CLOCK_VIRTUAL, 1 << 20);
            vm_clock_step(vms[i], 123456789);
        }
        for (unsigned i = 0; i < 3000; i++) {
            poke(vms[0]);
        }
        saved = save_board(vms[0]);
        g_assert_nonnull(memmem(saved->data, saved->len, "riscv_mtimer", 12));
        again = save_board(vms[1]);
        /* they do differ before */
        g_assert_true(again->len != saved->len ||
                      memcmp(again->data, saved->data, saved->len));
        g_byte_array_unref(again);
        to = (TestVm){ .vm = vms[1] };
        vm_unlock(vms[1]);
        test_load(&to, &test_config, saved->data, saved->len, &err);
        vm_lock(vms[1]);
        g_assert_no_error(err);
        again = save_board(vms[1]);
        g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
        g_byte_array_unref(saved);
        g_byte_array_unref(again);
        hw_test_free(vms[0]);
        hw_test_free(vms[1]);
    }
}

static void test_none(void)
{
    Vm *vm = hw_test_new();
    Error *err = NULL;

    vm->config->type = g_strdup("none");
    machine_init(vm, &err);
    g_assert_no_error(err);
    g_assert_cmpuint(vm->machine->devices->len, ==, 0);
    g_assert_cmpuint(vm->cpus->len, ==, 0);
    hw_test_free(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt/map", test_map);
    g_test_add_func("/virt/sections", test_sections);
    g_test_add_func("/virt/interrupts", test_interrupts);
    g_test_add_func("/virt/high-window", test_high_window);
    g_test_add_func("/virt/refusals", test_refusals);
    g_test_add_func("/virt/migrate", test_migrate);
    g_test_add_func("/virt/none", test_none);
    return g_test_run();
}
