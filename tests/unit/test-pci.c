/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI: configuration space as a guest probes it, BARs of every kind, INTx.
 * PCI Local Bus Specification 3.0, chapter 6.
 */
#include <string.h>

#include "hw-test.h"
#include "hw/pci/pci-bus.h"

#define ECAM 0x30000000
#define PIO 0x3000000
#define HIGH UINT64_C(0x400000000)

/* ---- a device with a BAR of each kind ---- */

typedef struct Probe {
    PciDevice pci;
    IoRegion io, mem32, mem64, prefetch;
    uint64_t last;              /* what was written last, and where */
    unsigned masters, cap_writes, cap;
} Probe;

static MemResult probe_read(void *opaque, hwaddr addr, unsigned size,
                            uint64_t *val)
{
    (void)size;
    *val = *(const uint8_t *)opaque + addr;
    return MEM_OK;
}

static MemResult probe_write(void *opaque, hwaddr addr, unsigned size,
                             uint64_t val)
{
    (void)opaque;
    (void)addr;
    (void)size;
    (void)val;
    return MEM_OK;
}

static const IoOps probe_ops = { .read = probe_read, .write = probe_write,
                                 .max_size = 4 };
static uint8_t marks[] = { 0x10, 0x20, 0x30, 0x40 };

static void master_changed(PciDevice *pci, bool enabled)
{
    ((Probe *)pci)->masters += enabled ? 1 : 100;
}

static void after_write(PciDevice *pci, unsigned addr, unsigned len)
{
    (void)len;
    ((Probe *)pci)->cap_writes += addr >= ((Probe *)pci)->cap;
}

static bool probe_realize(Device *dev, Error **errp)
{
    static const PciIdentity id = {
        .vendor = 0x1234, .device = 0x5678, .subsystem_vendor = 0x9abc,
        .subsystem = 0xdef0, .revision = 3, .class_code = 0xff0102,
        .interrupt_pin = 1,
    };
    Probe *p = (Probe *)dev;

    if (!pci_device_init(&p->pci, &id, errp)) {
        return false;
    }
    memory_io_init(&p->io, "io", &probe_ops, &marks[0], 64);
    memory_io_init(&p->mem32, "mem32", &probe_ops, &marks[1], 4096);
    memory_io_init(&p->mem64, "mem64", &probe_ops, &marks[2], 16384);
    memory_io_init(&p->prefetch, "prefetch", &probe_ops, &marks[3],
                   UINT64_C(8) << 30);
    pci_register_bar(&p->pci, 0, PCI_BAR_IO, &p->io);
    pci_register_bar(&p->pci, 1, PCI_BAR_MEM32, &p->mem32);
    pci_register_bar(&p->pci, 2, PCI_BAR_MEM64, &p->mem64);
    pci_register_bar(&p->pci, 4, PCI_BAR_MEM64_PREFETCH, &p->prefetch);
    pci_add_capability(&p->pci, PCI_CAP_ID_VENDOR, 18);
    p->cap = pci_add_capability(&p->pci, PCI_CAP_ID_VENDOR, 8);
    p->pci.wmask[p->cap + 4] = 0xf0;
    p->pci.w1cmask[p->cap + 5] = 0x0f;
    p->pci.master_changed = master_changed;
    p->pci.config_after_write = after_write;
    return true;
}

static void probe_unrealize(Device *dev)
{
    pci_device_exit((PciDevice *)dev);
}

static void probe_reset(Device *dev)
{
    pci_device_reset((PciDevice *)dev);
}

static const Property probe_properties[] = {
    PCI_DEVICE_PROPERTIES,
    { .name = NULL },
};

static const VMStateDescription vmstate_probe = {
    .name = "probe",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(pci, Probe),
        VMSTATE_END_OF_LIST()
    },
};

static const DeviceType probe_type = {
    .name = "probe",
    .bus = "pci",
    .description = "a BAR of each kind",
    .instance_size = sizeof(Probe),
    .properties = probe_properties,
    .vmsd = &vmstate_probe,
    .realize = probe_realize,
    .unrealize = probe_unrealize,
    .reset = probe_reset,
    .user_creatable = true,
};
DEVICE_TYPE(probe_type);

/* ---- */

typedef struct Test {
    Vm *vm;
    PciBus *bus;
    Probe *probe;
    bool lines[PCI_PINS];
} Test;

static Probe *add(Test *t, const char *addr, Error **errp)
{
    Device *dev = device_new(t->vm, &probe_type, NULL, NULL);

    if (addr) {
        device_set_property(dev, "addr", addr, NULL);
    }
    if (!device_realize(dev, NULL, errp)) {
        device_free(dev);
        return NULL;
    }
    return (Probe *)dev;
}

static Test *test_new(void)
{
    Test *t = g_new0(Test, 1);
    PciHostConfig config = {
        .ecam_base = ECAM,
        .ecam_size = 0x10000000,
        .io = { 0, PIO, 0x10000 },
        .mem32 = { 0x40000000, 0x40000000, 0x40000000 },
        .mem64 = { HIGH, HIGH, HIGH },
    };
    Error *err = NULL;

    t->vm = hw_test_new();
    for (unsigned i = 0; i < PCI_PINS; i++) {
        config.intx[i] = hw_test_line(t->lines, i);
    }
    t->bus = pci_host_create(t->vm, &config, &err);
    g_assert_no_error(err);
    t->probe = add(t, NULL, &err);
    g_assert_no_error(err);
    hw_test_reset(t->vm);
    return t;
}

static void test_free(Test *t)
{
    hw_test_free(t->vm);
    g_free(t);
}

static hwaddr config_addr(unsigned slot, unsigned function, unsigned reg)
{
    return ECAM + (slot << 15 | function << 12 | reg);
}

/* Of the probe, in slot 1. */
static uint64_t get(Test *t, unsigned reg, unsigned size)
{
    return hw_read(t->vm, config_addr(1, 0, reg), size);
}

static void put(Test *t, unsigned reg, unsigned size, uint64_t val)
{
    hw_write(t->vm, config_addr(1, 0, reg), size, val);
}

static void test_header(void)
{
    Test *t = test_new();

    g_assert_cmphex(hw_read(t->vm, ECAM, 4), ==, 0x00081b36);
    g_assert_cmphex(hw_read(t->vm, ECAM + 8, 4), ==, 0x06000000);
    g_assert_cmphex(get(t, 0, 4), ==, 0x56781234);
    g_assert_cmphex(get(t, 2, 2), ==, 0x5678);
    g_assert_cmphex(get(t, 3, 1), ==, 0x56);
    g_assert_cmphex(get(t, 8, 4), ==, 0xff010203);
    g_assert_cmphex(get(t, 0x2c, 4), ==, 0xdef09abc);
    g_assert_cmphex(get(t, 0x3d, 1), ==, 1);
    g_assert_cmphex(get(t, 0x0e, 1), ==, 0);
    g_assert_cmpstr(t->probe->pci.dev.stream_id, ==, "0000:00:01.0/probe");
    /* nobody there */
    g_assert_cmphex(hw_read(t->vm, config_addr(2, 0, 0), 4), ==, 0xffffffff);
    g_assert_cmphex(hw_read(t->vm, config_addr(2, 0, 0), 2), ==, 0xffff);
    g_assert_cmphex(hw_read(t->vm, config_addr(1, 1, 0), 4), ==, 0xffffffff);
    g_assert_cmphex(hw_read(t->vm, ECAM + 0x100000, 4), ==, 0xffffffff);
    g_assert_cmphex(get(t, 0x100, 4), ==, 0xffffffff);
    g_assert_cmphex(get(t, 0xffc, 4), ==, 0xffffffff);
    hw_write(t->vm, config_addr(2, 0, 4), 4, 0xffffffff);
    put(t, 0xffc, 4, 0);
    test_free(t);
}

/* What a guest cannot change stays, whatever it writes. */
static void test_read_only(void)
{
    Test *t = test_new();

    put(t, 0, 4, 0);
    put(t, 8, 4, 0);
    put(t, 0x2c, 4, 0);
    put(t, 0x34, 4, 0);
    put(t, 0x3d, 1, 4);
    put(t, 0x0e, 1, 0xff);
    g_assert_cmphex(get(t, 0, 4), ==, 0x56781234);
    g_assert_cmphex(get(t, 8, 4), ==, 0xff010203);
    g_assert_cmphex(get(t, 0x2c, 4), ==, 0xdef09abc);
    g_assert_cmphex(get(t, 0x3d, 1), ==, 1);
    g_assert_cmphex(get(t, 0x0e, 1), ==, 0);
    put(t, 4, 4, 0xffffffff);
    g_assert_cmphex(get(t, 4, 2), ==, 0x0547);
    g_assert_cmphex(get(t, 6, 2), ==, 0x0010);
    put(t, 0x3c, 1, 0x55);
    g_assert_cmphex(get(t, 0x3c, 1), ==, 0x55);
    test_free(t);
}

static void test_capabilities(void)
{
    Test *t = test_new();
    unsigned first = (unsigned)get(t, 0x34, 1);
    unsigned second = (unsigned)get(t, first + 1, 1);

    g_assert_cmphex(get(t, 6, 2) & 0x10, ==, 0x10);
    g_assert_cmphex(get(t, first, 1), ==, 0x09);
    g_assert_cmphex(get(t, second, 1), ==, 0x09);
    g_assert_cmphex(get(t, second + 1, 1), ==, 0);
    g_assert_cmpuint(first % 4, ==, 0);
    g_assert_cmpuint(second % 4, ==, 0);
    g_assert_cmpuint(first >= second ? first - second : second - first, >=,
                     first >= second ? 18 : 8);
    t->probe->pci.config[t->probe->cap + 5] = 0xff;
    put(t, t->probe->cap + 4, 4, 0xffffffff);
    g_assert_cmphex(get(t, t->probe->cap + 4, 4), ==, 0x0000f0f0);
    g_assert_cmpuint(t->probe->cap_writes, ==, 1);
    test_free(t);
}

static void test_bar_sizing(void)
{
    static const struct {
        unsigned reg;
        uint32_t ones, zeros;   /* what all ones, and 0, read back as */
    } rows[] = {
        { 0x10, 0xffffffc1, 0x1 },      /* I/O, 64 bytes */
        { 0x14, 0xfffff000, 0x0 },      /* 32 bit, 4 KiB */
        { 0x18, 0xffffc004, 0x4 },      /* 64 bit, 16 KiB */
        { 0x1c, 0xffffffff, 0x0 },
        { 0x20, 0x0000000c, 0xc },      /* 64 bit prefetchable, 8 GiB */
        { 0x24, 0xfffffffe, 0x0 },
        { 0x30, 0x00000000, 0x0 },      /* no expansion ROM */
    };
    Test *t = test_new();

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        put(t, rows[i].reg, 4, 0xffffffff);
        g_assert_cmphex(get(t, rows[i].reg, 4), ==, rows[i].ones);
        put(t, rows[i].reg, 4, 0);
        g_assert_cmphex(get(t, rows[i].reg, 4), ==, rows[i].zeros);
    }
    test_free(t);
}

static void test_bar_mapping(void)
{
    Test *t = test_new();
    PciDevice *pci = &t->probe->pci;
    uint64_t val;

    put(t, 0x10, 4, 0x1000);
    put(t, 0x14, 4, 0x40000000);
    put(t, 0x18, 4, 0x40004000);
    put(t, 0x24, 4, 0x6);
    for (unsigned n = 0; n < PCI_BARS; n++) {
        g_assert_cmphex(pci_bar_address(pci, n), ==, UINT64_MAX);
    }
    /* decoding off: the windows read all ones */
    g_assert_cmphex(hw_read(t->vm, 0x40000000, 4), ==, 0xffffffff);
    g_assert_cmphex(hw_read(t->vm, PIO + 0x1000, 1), ==, 0xff);
    put(t, 4, 2, 0x0001);
    g_assert_cmphex(hw_read(t->vm, PIO + 0x1003, 1), ==, 0x13);
    g_assert_cmphex(hw_read(t->vm, 0x40000000, 4), ==, 0xffffffff);
    put(t, 4, 2, 0x0003);
    g_assert_cmphex(hw_read(t->vm, 0x40000008, 4), ==, 0x28);
    g_assert_cmphex(hw_read(t->vm, 0x40004008, 4), ==, 0x38);
    g_assert_cmphex(hw_read(t->vm, UINT64_C(0x600000008), 4), ==, 0x48);
    g_assert_cmphex(pci_bar_address(pci, 4), ==, UINT64_C(0x600000000));
    /* moved while enabled */
    put(t, 0x14, 4, 0x50000000);
    g_assert_cmphex(hw_read(t->vm, 0x50000008, 4), ==, 0x28);
    g_assert_cmphex(hw_read(t->vm, 0x40000008, 4), ==, 0xffffffff);
    /* outside of every window: it answers nowhere, least of all there */
    put(t, 0x14, 4, 0x10000000);
    g_assert_cmphex(pci_bar_address(pci, 1), ==, UINT64_MAX);
    g_assert_cmpint(memory_io_read(t->vm->memory, 0x10000000, 4, &val), ==,
                    MEM_DECODE_ERROR);
    put(t, 0x18, 4, 0xffffc000);
    put(t, 0x1c, 4, 0xffffffff);
    g_assert_cmphex(pci_bar_address(pci, 2), ==, UINT64_MAX);
    put(t, 4, 2, 0);
    g_assert_cmphex(hw_read(t->vm, PIO + 0x1003, 1), ==, 0xff);
    g_assert_cmphex(hw_read(t->vm, UINT64_C(0x600000008), 4), ==, 0xffffffff);
    test_free(t);
}

static void test_master(void)
{
    Test *t = test_new();

    g_assert_false(pci_bus_master_enabled(&t->probe->pci));
    put(t, 4, 2, 4);
    g_assert_true(pci_bus_master_enabled(&t->probe->pci));
    put(t, 4, 2, 6);
    g_assert_cmpuint(t->probe->masters, ==, 1);
    hw_test_reset(t->vm);
    g_assert_cmpuint(t->probe->masters, ==, 101);
    g_assert_cmphex(get(t, 4, 2), ==, 0);
    test_free(t);
}

static void test_intx(void)
{
    Test *t = test_new();
    Error *err = NULL;
    Probe *far = add(t, "5.0", &err);   /* slot 5: the same line as slot 1 */
    Probe *other = add(t, "2", &err);

    g_assert_no_error(err);
    pci_set_irq(&t->probe->pci, true);
    g_assert_true(t->lines[1]);
    g_assert_cmphex(get(t, 6, 2) & 8, ==, 8);
    pci_set_irq(&far->pci, true);
    pci_set_irq(&other->pci, true);
    g_assert_true(t->lines[2]);
    pci_set_irq(&t->probe->pci, false);
    g_assert_true(t->lines[1]);         /* the other one still pulls */
    g_assert_cmphex(get(t, 6, 2) & 8, ==, 0);
    pci_set_irq(&far->pci, false);
    g_assert_false(t->lines[1]);
    g_assert_true(t->lines[2]);
    /* disabled by the guest: the status bit shows it, the line does not */
    put(t, 4, 2, 0x400);
    pci_set_irq(&t->probe->pci, true);
    g_assert_false(t->lines[1]);
    g_assert_cmphex(get(t, 6, 2) & 8, ==, 8);
    put(t, 4, 2, 0);
    g_assert_true(t->lines[1]);
    device_free(&t->probe->pci.dev);
    g_assert_false(t->lines[1]);
    g_assert_cmphex(get(t, 0, 4), ==, 0xffffffff);
    test_free(t);
}

static void test_places(void)
{
    Test *t = test_new();
    Error *err = NULL;

    g_assert_null(add(t, "1", &err));
    g_assert_nonnull(strstr(err->message, "slot 01 function 0"));
    g_clear_error(&err);
    g_assert_null(add(t, "7.3", &err));
    g_assert_nonnull(strstr(err->message, "no function 0"));
    g_clear_error(&err);
    g_assert_nonnull(add(t, "1.3", &err));
    g_assert_cmphex(get(t, 0x0e, 1), ==, 0x80);
    for (unsigned slot = 2; slot < 32; slot++) {
        Probe *p = add(t, NULL, &err);

        g_assert_no_error(err);
        g_assert_cmpuint(p->pci.devfn, ==, slot * 8);
    }
    g_assert_null(add(t, NULL, &err));
    g_assert_nonnull(strstr(err->message, "all 32 slots"));
    g_clear_error(&err);
    test_free(t);
}

static void test_migrate(void)
{
    for (unsigned round = 0; round < 200; round++) {
        Test *from = test_new();
        Test *to = test_new();

        for (unsigned i = 0; i < 40; i++) {
            unsigned size = 1u << g_test_rand_int_range(0, 3);
            unsigned reg = (unsigned)g_test_rand_int_range(0, 64) / size *
                           size;

            put(from, reg, size, (uint32_t)g_test_rand_int());
        }
        put(from, 4, 1, 3);
        put(from, 0x14, 4, 0x40000000 | (uint32_t)g_test_rand_int() >> 2);
        pci_set_irq(&from->probe->pci, g_test_rand_bit());
        hw_test_round_trip(&from->probe->pci.dev, &to->probe->pci.dev);
        for (unsigned n = 0; n < PCI_BARS; n++) {
            g_assert_cmphex(pci_bar_address(&from->probe->pci, n), ==,
                            pci_bar_address(&to->probe->pci, n));
        }
        g_assert_cmphex(pci_bar_address(&to->probe->pci, 1), !=, UINT64_MAX);
        g_assert_cmphex(hw_read(to->vm, pci_bar_address(&to->probe->pci, 1),
                                4), ==, 0x20);
        for (unsigned i = 0; i < PCI_PINS; i++) {
            g_assert_cmpint(from->lines[i], ==, to->lines[i]);
        }
        test_free(from);
        test_free(to);
    }
}

static void test_migrate_other_device(void)
{
    Test *t = test_new();
    Device *dev = &t->probe->pci.dev;
    GByteArray *state = hw_test_save(dev);
    Error *err = NULL;

    state->data[4 + 2] ^= 1;            /* the device id, behind version_id */
    g_assert_false(hw_test_load(dev, state, &err));
    g_assert_nonnull(strstr(err->message, "byte 0x02"));
    g_clear_error(&err);
    state->data[4 + 2] ^= 1;
    state->data[4 + 256 + 3] = 2;       /* the level of INTA */
    g_assert_false(hw_test_load(dev, state, &err));
    g_clear_error(&err);
    g_assert_cmphex(get(t, 0, 4), ==, 0x56781234);
    g_byte_array_unref(state);
    test_free(t);
}

static void test_info(void)
{
    Test *t = test_new();
    GString *text = g_string_new(NULL);

    put(t, 0x14, 4, 0x40000000);
    put(t, 4, 2, 2);
    pci_info(t->bus, text);
    g_assert_nonnull(strstr(text->str, "Bus  0, device   0, function 0:"));
    g_assert_nonnull(strstr(text->str, "PCI device 1234:5678"));
    g_assert_nonnull(strstr(text->str, "BAR1: 32 bit memory at 0x40000000 "
                                       "[0x40000fff]."));
    g_string_free(text, true);
    test_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pci/header", test_header);
    g_test_add_func("/pci/read-only", test_read_only);
    g_test_add_func("/pci/capabilities", test_capabilities);
    g_test_add_func("/pci/bar-sizing", test_bar_sizing);
    g_test_add_func("/pci/bar-mapping", test_bar_mapping);
    g_test_add_func("/pci/master", test_master);
    g_test_add_func("/pci/intx", test_intx);
    g_test_add_func("/pci/places", test_places);
    g_test_add_func("/pci/migrate", test_migrate);
    g_test_add_func("/pci/migrate-other-device", test_migrate_other_device);
    g_test_add_func("/pci/info", test_info);
    return g_test_run();
}
