/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest meets in a vfio-pci: configuration space, BARs, ROM,
 * interrupts, reset. The driver is hostile.
 */
#include <errno.h>
#include <string.h>

#include "system/runstate.h"
#include "vfio-rig.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define MMAP (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | \
              VFIO_REGION_INFO_FLAG_MMAP)

static uint32_t host_config(VfioRig *rig, unsigned reg, unsigned len)
{
    uint32_t val = 0;

    memcpy(&val, rig->k->devices[0].bytes[CONFIG] + reg, len);
    return val;
}

/* ---- configuration space ---- */

static void test_identity(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);

    (void)data;
    g_assert_cmphex(vfio_rig_get(vp, 0x00, 4), ==, 0x43218086);
    g_assert_cmphex(vfio_rig_get(vp, 0x08, 4), ==, 0x03020007);
    g_assert_cmphex(vfio_rig_get(vp, 0x2c, 4), ==, 0x00021111);
    g_assert_cmphex(vfio_rig_get(vp, 0x3d, 1), ==, 1);
    g_assert_cmphex(vfio_rig_get(vp, 0x0e, 1), ==, 0);
    /* This bus has no extended configuration space. */
    g_assert_cmphex(vfio_rig_get(vp, 0x100, 4), ==, UINT32_MAX);
    g_assert_cmpstr(vp->vdev.stream_id, ==, "0000:00:01.0");
    g_assert_cmpstr(vp->vdev.qom_path, ==, "/machine/unattached/device[2]");
}

static void test_capabilities(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);
    uint8_t *bytes = rig->k->devices[0].bytes[CONFIG];

    (void)data;
    g_assert_cmphex(vfio_rig_get(vp, 0x06, 2) & 0x10, ==, 0x10);
    g_assert_cmphex(vfio_rig_get(vp, 0x34, 1), ==, 0x40);
    /* Power management; then not MSI-X, but Express, the last. */
    g_assert_cmphex(vfio_rig_get(vp, 0x40, 2), ==, 0x6001);
    g_assert_cmphex(vfio_rig_get(vp, 0x60, 2), ==, 0x0010);
    for (unsigned i = 0x50; i < 0x5c; i++) {
        g_assert_cmphex(vfio_rig_get(vp, i, 1), ==, 0);
    }
    /* Writing what is hidden does nothing to the device. */
    vfio_rig_set(vp, 0x52, 2, 0xc007);
    vfio_rig_set(vp, 0x54, 4, 0);
    g_assert_cmphex(host_config(rig, 0x50, 4), ==, 0x00076011);
    g_assert_cmphex(host_config(rig, 0x54, 4), ==, 0x12345678);
    /* An endpoint integrated into the root complex has no link. */
    g_assert_cmphex(vfio_rig_get(vp, 0x62, 2), ==, 0x0092);
    g_assert_cmphex(vfio_rig_get(vp, 0x6c, 4), ==, 0);
    g_assert_cmphex(vfio_rig_get(vp, 0x72, 2), ==, 0);
    g_assert_cmphex(vfio_rig_get(vp, 0x64, 4), ==, 0x10008000);
    /* What its driver knows is the device's, now and not at the start. */
    g_assert_cmphex(vfio_rig_get(vp, 0xf0, 2), ==, 0xcafe);
    bytes[0xf1] = 0x12;
    g_assert_cmphex(vfio_rig_get(vp, 0xf0, 2), ==, 0x12fe);
    vfio_rig_set(vp, 0xf4, 4, 0x01020304);
    g_assert_cmphex(host_config(rig, 0xf4, 4), ==, 0x01020304);
}

static void test_wide_access(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);
    KernelDevice *d = &rig->k->devices[0];
    unsigned before = d->accesses;

    (void)data;
    vfio_rig_get(vp, 0xf0, 4);
    g_assert_cmpuint(d->accesses, ==, before + 1);
    vfio_rig_set(vp, 0xf0, 4, 1);
    g_assert_cmpuint(d->accesses, ==, before + 2);
    /* Id and link are ours, flags the device's: one access of two bytes. */
    g_assert_cmphex(vfio_rig_get(vp, 0x40, 4), ==, 0x00036001);
    g_assert_cmpuint(d->accesses, ==, before + 3);
    vfio_rig_get(vp, 0x00, 4);
    g_assert_cmpuint(d->accesses, ==, before + 3);
}

static void test_command(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);

    (void)data;
    g_assert_cmphex(host_config(rig, 0x04, 2), ==, 0);
    vfio_rig_set(vp, 0x04, 2, 0xffff);
    g_assert_cmphex(host_config(rig, 0x04, 2), ==, 0x547);
    g_assert_cmphex(vfio_rig_get(vp, 0x04, 2), ==, 0x547);
    /* BARs are the guest's alone. */
    vfio_rig_set(vp, 0x10, 4, 0x12345678);
    g_assert_cmphex(vfio_rig_get(vp, 0x10, 4), ==, 0x12345000);
    g_assert_cmphex(host_config(rig, 0x10, 4), ==, 0);
    /* Errors in the status are cleared in the device. */
    rig->k->devices[0].bytes[CONFIG][7] = 0x80;
    g_assert_cmphex(vfio_rig_get(vp, 0x06, 2), ==, 0x8010);
    vfio_rig_set(vp, 0x06, 2, 0x8000);
    g_assert_cmphex(host_config(rig, 0x07, 1), ==, 0x80);
}

static void test_hostile_config(VfioRig *rig, gconstpointer data)
{
    static const struct {
        unsigned reg, len;
        uint32_t val;
        const char *message;
    } cases[] = {
        { 0x00, 4, UINT32_MAX, "does not answer" },
        { 0x0e, 1, 0x01, "its header is of type 1" },
        { 0x3d, 1, 5, "its interrupt pin is 5" },
        { 0x34, 1, 0x20, "leads into the header at 0x20" },
        { 0x41, 1, 0x40, "has a loop at 0x40" },
        { 0x61, 1, 0x50, "has a loop at 0x50" },
        { 0x61, 1, 0x04, "leads into the header at 0x04" },
    };
    uint8_t *bytes = rig->k->devices[0].bytes[CONFIG];

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t saved;

        memcpy(&saved, bytes + cases[i].reg, cases[i].len);
        memcpy(bytes + cases[i].reg, &cases[i].val, cases[i].len);
        vfio_rig_refused(rig, 0, cases[i].message);
        memcpy(bytes + cases[i].reg, &saved, cases[i].len);
    }
    rig->k->regions[CONFIG].size = 128;
    vfio_rig_refused(rig, 0, "its configuration space has 0x80 bytes");
    rig->k->regions[CONFIG].size = 256;
    rig->k->regions[CONFIG].flags = VFIO_REGION_INFO_FLAG_READ;
    vfio_rig_refused(rig, 0, "flags 0x1");
    rig->k->regions[CONFIG].flags = 3;
    rig->k->regions[CONFIG].access_errno = EIO;
    vfio_rig_refused(rig, 0, "cannot be read at 0x00");
    rig->k->regions[CONFIG].access_errno = 0;
    /* A capability whose registers do not fit is left out. */
    bytes[0x61] = 0xf8;
    bytes[0xf8] = 0x10;
    bytes[0xf9] = 0;
    g_assert_cmphex(vfio_rig_get(vfio_rig_plug(rig, 0), 0x61, 1), ==, 0);
}

/* ---- BARs ---- */

static void test_bars(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);
    KernelDevice *d = &rig->k->devices[0];
    unsigned before;

    (void)data;
    vfio_rig_set(vp, 0x10, 4, UINT32_MAX);
    g_assert_cmphex(vfio_rig_get(vp, 0x10, 4), ==, 0xfffff000);
    vfio_rig_set(vp, 0x18, 4, UINT32_MAX);
    vfio_rig_set(vp, 0x1c, 4, UINT32_MAX);
    g_assert_cmphex(vfio_rig_get(vp, 0x18, 4), ==, 0xffff000c);
    g_assert_cmphex(vfio_rig_get(vp, 0x1c, 4), ==, UINT32_MAX);
    vfio_rig_place(vp);
    g_assert_cmpuint(rig->k->mmaps, ==, 1);

    before = d->accesses;
    memcpy(d->bytes[0] + 8, "abcdefgh", 8);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR0 + 8, 8), ==,
                    0x6867666564636261);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR0 + 9, 1), ==, 0x62);
    hw_write(rig->vm, RIG_BAR0 + 12, 2, 0x1234);
    g_assert_cmphex(d->bytes[0][12], ==, 0x34);
    g_assert_cmpuint(d->accesses, ==, before + 3);

    memcpy(d->bytes[2] + 65528, "ABCDEFGH", 8);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2 + 65528, 8), ==,
                    0x4847464544434241);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2 + 65532, 4), ==, 0x48474645);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2 + 65534, 2), ==, 0x4847);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2 + 65535, 1), ==, 0x48);
    hw_write(rig->vm, RIG_BAR2, 4, 0x01020304);
    hw_write(rig->vm, RIG_BAR2 + 4, 1, 5);
    hw_write(rig->vm, RIG_BAR2 + 6, 2, 0x0708);
    hw_write(rig->vm, RIG_BAR2 + 8, 8, 0x1112131415161718);
    g_assert_cmpmem(d->bytes[2], 16,
                    "\x04\x03\x02\x01\x05\0\x08\x07"
                    "\x18\x17\x16\x15\x14\x13\x12\x11", 16);
    /* Those were no calls. */
    g_assert_cmpuint(d->accesses, ==, before + 3);
}

static void test_no_mmap(VfioRig *rig, gconstpointer data)
{
    g_autofree char *fd = NULL;
    VfioPci *vp;

    (void)data;
    vfio_rig_iommufd(rig);
    fd = fake_kernel_device(rig->k, 0);
    vp = vfio_rig_try(rig, NULL, "fd", fd, "x-no-mmap", "on", NULL);
    g_assert_nonnull(vp);
    g_assert_cmpuint(rig->k->mmaps, ==, 0);
    vfio_rig_place(vp);
    hw_write(rig->vm, RIG_BAR2 + 8, 4, 77);
    g_assert_cmphex(rig->k->devices[0].bytes[2][8], ==, 77);
}

/* The kernel says that it can be mapped, with all of the page around it. */
static void test_small_bar(VfioRig *rig, gconstpointer data)
{
    (void)data;
    rig->k->regions[0].size = 256;
    rig->k->regions[0].flags = MMAP;
    vfio_rig_place(vfio_rig_plug(rig, 0));
    g_assert_cmpuint(rig->k->mmaps, ==, 1);
    hw_write(rig->vm, RIG_BAR0 + 252, 4, 0x55);
    g_assert_cmphex(rig->k->devices[0].bytes[0][252], ==, 0x55);
}

static void test_io_bar(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp;

    (void)data;
    rig->k->devices[0].bytes[CONFIG][0x10] = 1;
    rig->k->regions[0].size = 128;
    vp = vfio_rig_plug(rig, 0);
    vfio_rig_set(vp, 0x10, 4, 0x1000);
    vfio_rig_set(vp, 0x04, 2, PCI_COMMAND_IO);
    g_assert_cmphex(vfio_rig_get(vp, 0x10, 4), ==, 0x1001);
    rig->k->devices[0].bytes[0][3] = 0x99;
    g_assert_cmphex(hw_read(rig->vm, 0x3001003, 1), ==, 0x99);
}

static void test_rom(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);
    g_autofree char *fd = fake_kernel_device(rig->k, 1);

    (void)data;
    memcpy(rig->k->devices[0].bytes[6], "\x55\xaa", 2);
    vfio_rig_set(vp, PCI_ROM_ADDRESS, 4, UINT32_MAX);
    g_assert_cmphex(vfio_rig_get(vp, PCI_ROM_ADDRESS, 4), ==, 0xfffff001);
    vfio_rig_place(vp);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR_ROM, 2), ==, 0xaa55);
    hw_write(rig->vm, RIG_BAR_ROM, 2, 0);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR_ROM, 2), ==, 0xaa55);
    /* Not enabled, not there. */
    vfio_rig_set(vp, PCI_ROM_ADDRESS, 4, RIG_BAR_ROM);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR_ROM, 2), ==, 0xffff);

    vp = vfio_rig_try(rig, NULL, "fd", fd, "rombar", "0", NULL);
    g_assert_nonnull(vp);
    vfio_rig_set(vp, PCI_ROM_ADDRESS, 4, UINT32_MAX);
    g_assert_cmphex(vfio_rig_get(vp, PCI_ROM_ADDRESS, 4), ==, 0);
}

static void test_failing_access(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);

    (void)data;
    vfio_rig_place(vp);
    rig->k->regions[0].access_errno = EIO;
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR0, 4), ==, UINT32_MAX);
    hw_write(rig->vm, RIG_BAR0, 4, 1);
    rig->k->regions[0].access_errno = 0;
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR0, 4), ==, 0);
    rig->k->regions[CONFIG].access_errno = EIO;
    g_assert_cmphex(vfio_rig_get(vp, 0xf0, 4), ==, UINT32_MAX);
    /* It did not take that it decodes: its memory may be no memory now. */
    vfio_rig_set(vp, 0x04, 2, PCI_COMMAND_MEMORY);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2, 4), ==, UINT32_MAX);
    rig->k->regions[CONFIG].access_errno = 0;
    vfio_rig_set(vp, 0x04, 2, PCI_COMMAND_MEMORY);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2, 4), ==, 0);
}

static void test_power(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);

    (void)data;
    vfio_rig_place(vp);
    vfio_rig_set(vp, 0x44, 2, 3);
    g_assert_cmphex(host_config(rig, 0x44, 2), ==, 3);
    /* In D3 the host's kernel answers with SIGBUS. */
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2, 4), ==, UINT32_MAX);
    vfio_rig_set(vp, 0x44, 2, 0);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2, 4), ==, 0);
}

/* struct vfio_region_info_cap_sparse_mmap with three areas. */
typedef struct Sparse {
    struct vfio_info_cap_header header;
    uint32_t nr_areas, reserved;
    struct vfio_region_sparse_mmap_area areas[3];
} Sparse;

static const Sparse sparse = {
    { VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 }, 3, 0,
    { { 0x8000, 0x1000 }, { 0x1000, 0x2000 }, { 0x5000, 0 } },
};

static void test_sparse(VfioRig *rig, gconstpointer data)
{
    KernelDevice *d = &rig->k->devices[0];
    KernelRegion *region = &rig->k->regions[2];
    unsigned before;
    VfioPci *vp;

    (void)data;
    region->flags = MMAP | VFIO_REGION_INFO_FLAG_CAPS;
    region->caps = &sparse;
    region->caps_len = sizeof(sparse);
    region->cap_offset = sizeof(struct vfio_region_info);
    vp = vfio_rig_plug(rig, 0);
    g_assert_cmpuint(rig->k->mmaps, ==, 2);
    vfio_rig_place(vp);
    before = d->accesses;
    d->bytes[2][0x8ff8] = 1;
    d->bytes[2][0x1000] = 2;
    d->bytes[2][0x3000] = 3;
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2 + 0x8ff8, 8), ==, 1);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2 + 0x1000, 4), ==, 2);
    g_assert_cmpuint(d->accesses, ==, before);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR2 + 0x3000, 4), ==, 3);
    g_assert_cmpuint(d->accesses, ==, before + 1);
}

/* ---- hostile regions ---- */

static void test_hostile_sizes(VfioRig *rig, gconstpointer data)
{
    static const struct {
        unsigned region;
        uint64_t size, offset;
        const char *message;
    } cases[] = {
        { 0, UINT64_MAX, 0, "beyond what a descriptor reaches" },
        { 0, 4096, INT64_MAX - 4095, "beyond what a descriptor reaches" },
        { 0, UINT64_C(1) << 62, UINT64_C(1) << 62, "beyond what a descr" },
        { 0, 4095, 0, "a power of 2" },
        { 0, 8, 0, "0x10 to 0x80000000" },
        { 0, UINT64_C(1) << 32, 0, "a BAR of 32-bit memory" },
        { 2, UINT64_C(1) << 57, 0, "64-bit prefetchable memory" },
        { 6, 1024, UINT64_C(6) << 40, "a BAR of ROM" },
        { 6, UINT64_C(1) << 32, UINT64_C(6) << 40, "a BAR of ROM" },
    };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        KernelRegion *region = &rig->k->regions[cases[i].region];
        KernelRegion saved = *region;

        region->size = cases[i].size;
        region->offset = cases[i].offset;
        region->flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_MMAP;
        vfio_rig_refused(rig, 0, cases[i].message);
        *region = saved;
    }
}

static void test_hostile_answers(VfioRig *rig, gconstpointer data)
{
    FakeKernel *k = rig->k;

    (void)data;
    k->regions[1].other_index = true;
    vfio_rig_refused(rig, 0, "the driver answers for 2");
    k->regions[1].other_index = false;
    k->regions[1].argsz = UINT32_MAX;
    vfio_rig_refused(rig, 0, "has 4294967295 bytes");
    k->regions[1].argsz = 65537;
    vfio_rig_refused(rig, 0, "has 65537 bytes after 32");
    k->regions[1].argsz = 0;
    k->num_regions = VFIO_PCI_CONFIG_REGION_INDEX;
    vfio_rig_refused(rig, 0, "it has 7 regions");
    k->num_regions = UINT32_MAX;
    k->num_irqs = 0;
    vfio_rig_refused(rig, 0, "0 kinds of interrupt");
    k->num_irqs = UINT32_MAX;
    k->device_flags = VFIO_DEVICE_FLAGS_PLATFORM;
    vfio_rig_refused(rig, 0, "it is no PCI device");
    k->device_flags = VFIO_DEVICE_FLAGS_PCI;
    k->devices[0].bytes[CONFIG][0x24] = 4;
    k->regions[5].size = 4096;
    k->regions[5].flags = 3;
    vfio_rig_refused(rig, 0, "its last BAR says that it has 64 bits");
    k->regions[5].size = 0;
    k->irq_flags[VFIO_PCI_INTX_IRQ_INDEX] = VFIO_IRQ_INFO_EVENTFD;
    vfio_rig_refused(rig, 0, "its INTx has flags 0x1");
    k->irq_count[VFIO_PCI_INTX_IRQ_INDEX] = 0;
    /* A device without INTx is one without interrupts here. */
    g_assert_cmphex(vfio_rig_get(vfio_rig_plug(rig, 0), 0x3d, 1), ==, 0);
}

static void test_hostile_areas(VfioRig *rig, gconstpointer data)
{
    static const struct {
        uint32_t count, next, cap_offset;
        struct vfio_region_sparse_mmap_area areas[3];
        const char *message;
    } cases[] = {
        { 2, 0, 32, { { 0, 0x2000 }, { 0x1000, 0x1000 } }, "overlap" },
        { 2, 0, 32, { { 0x1000, 0x1000 }, { 0, 0x2000 } }, "overlap" },
        { 3, 0, 32, { { 0, 0x1000 }, { 0x2000, 0x1000 }, { 0x2000, 0x1000 } },
          "overlap at 0x2000" },
        { 1, 0, 32, { { 0x10000, 0x1000 } }, "not within it" },
        { 1, 0, 32, { { 0x1000, UINT64_MAX - 0xfff } }, "not within it" },
        { 1, 0, 32, { { UINT64_MAX - 0xfff, 0x2000 } }, "not within it" },
        { 1, 0, 32, { { 0, 0x800 } }, "not whole pages" },
        { 1, 0, 32, { { 0x10, 0x1000 } }, "not whole pages" },
        { 4, 0, 32, { { 0, 0 } }, "more than the answer holds" },
        { UINT32_MAX, 0, 32, { { 0, 0 } }, "more than the answer holds" },
        { 1, 0, 31, { { 0, 0 } }, "a capability at 31" },
        { 1, 0, 8, { { 0, 0 } }, "a capability at 8" },
        { 1, 0, 92, { { 0, 0 } }, "a capability at 92" },
        { 1, 0, UINT32_MAX - 3, { { 0, 0 } }, "a capability at 4294967292" },
        { 1, 0, 84, { { 0, 0 } }, "cut off" },
    };
    Sparse cap;
    KernelRegion *region = &rig->k->regions[2];

    (void)data;
    G_STATIC_ASSERT(sizeof(struct vfio_region_info) == 32);
    region->flags = MMAP | VFIO_REGION_INFO_FLAG_CAPS;
    region->caps = &cap;
    region->caps_len = sizeof(cap);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        memset(&cap, 0, sizeof(cap));
        cap.header = (struct vfio_info_cap_header){
            VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, cases[i].next };
        cap.nr_areas = cases[i].count;
        memcpy(cap.areas, cases[i].areas, sizeof(cap.areas));
        if (g_str_equal(cases[i].message, "cut off")) {
            /* The last 12 bytes look like such a capability. */
            struct vfio_info_cap_header head = {
                VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 };

            memcpy((uint8_t *)&cap + 52, &head, sizeof(head));
        }
        region->cap_offset = cases[i].cap_offset;
        vfio_rig_refused(rig, 0, cases[i].message);
    }
    memset(&cap, 0, sizeof(cap));
    cap.header = (struct vfio_info_cap_header){ 99, 1, 32 };
    region->cap_offset = 32;
    vfio_rig_refused(rig, 0, "form a loop");
    region->mmap_errno = ENOMEM;
    region->flags = MMAP;
    vfio_rig_refused(rig, 0, "mapping 0x10000 bytes of its region 2");
}

/* ---- interrupts ---- */

static void test_intx(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);
    KernelDevice *d = &rig->k->devices[0];

    (void)data;
    vfio_rig_place(vp);
    fake_kernel_raise(rig->k, 0, VFIO_PCI_INTX_IRQ_INDEX);
    g_assert_false(rig->lines[1]);
    vfio_rig_loop(rig);
    /* Slot 1, INTA. */
    g_assert_true(rig->lines[1]);
    g_assert_true(d->masked);
    g_assert_cmphex(vfio_rig_get(vp, 0x06, 2) & PCI_STATUS_INTERRUPT, !=, 0);
    /* Configuration space serves nothing. */
    g_assert_true(rig->lines[1]);
    hw_read(rig->vm, RIG_BAR0, 4);
    g_assert_false(rig->lines[1]);
    g_assert_false(d->masked);

    /* It still wants something when it is unmasked. */
    fake_kernel_raise(rig->k, 0, VFIO_PCI_INTX_IRQ_INDEX);
    fake_kernel_raise(rig->k, 0, VFIO_PCI_INTX_IRQ_INDEX);
    vfio_rig_loop(rig);
    hw_write(rig->vm, RIG_BAR2, 4, 0);
    g_assert_false(rig->lines[1]);
    vfio_rig_loop(rig);
    g_assert_true(rig->lines[1]);
    hw_read(rig->vm, RIG_BAR2, 4);
    g_assert_false(rig->lines[1]);
    vfio_rig_loop(rig);
    g_assert_false(rig->lines[1]);
}

static void test_intx_disable(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);

    (void)data;
    vfio_rig_place(vp);
    vfio_rig_set(vp, 0x04, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
    fake_kernel_raise(rig->k, 0, VFIO_PCI_INTX_IRQ_INDEX);
    vfio_rig_loop(rig);
    g_assert_false(rig->lines[1]);
    g_assert_cmphex(vfio_rig_get(vp, 0x06, 2) & PCI_STATUS_INTERRUPT, !=, 0);
    /* Let through again, it is asked anew whether it wants something. */
    vfio_rig_set(vp, 0x04, 2, PCI_COMMAND_MEMORY);
    g_assert_false(rig->k->devices[0].masked);
    g_assert_false(rig->lines[1]);
    fake_kernel_raise(rig->k, 0, VFIO_PCI_INTX_IRQ_INDEX);
    vfio_rig_loop(rig);
    g_assert_true(rig->lines[1]);
}

static void test_error_interrupt(VfioRig *rig, gconstpointer data)
{
    (void)data;
    vfio_rig_plug(rig, 0);
    fake_kernel_raise(rig->k, 0, VFIO_PCI_REQ_IRQ_INDEX);
    vfio_rig_loop(rig);
    g_assert_cmpint(runstate_get(rig->vm), !=, RUN_STATE_INTERNAL_ERROR);
    runstate_set(rig->vm, RUN_STATE_PRELAUNCH);
    vm_start(rig->vm);
    fake_kernel_raise(rig->k, 0, VFIO_PCI_ERR_IRQ_INDEX);
    vfio_rig_loop(rig);
    vfio_rig_loop(rig);
    g_assert_cmpint(runstate_get(rig->vm), ==, RUN_STATE_INTERNAL_ERROR);
}

static void test_reset(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = vfio_rig_plug(rig, 0);
    KernelDevice *d = &rig->k->devices[0];

    (void)data;
    vfio_rig_place(vp);
    fake_kernel_raise(rig->k, 0, VFIO_PCI_INTX_IRQ_INDEX);
    vfio_rig_loop(rig);
    hw_test_reset(rig->vm);
    g_assert_cmpuint(d->resets, ==, 1);
    g_assert_false(rig->lines[1]);
    g_assert_false(d->masked);
    g_assert_cmphex(host_config(rig, 0x04, 2), ==, 0);
    g_assert_cmphex(vfio_rig_get(vp, 0x04, 2), ==, 0);
    g_assert_cmphex(vfio_rig_get(vp, 0x10, 4), ==, 0);
    g_assert_cmphex(vfio_rig_get(vp, 0x00, 4), ==, 0x43218086);
    /* One that had come before is not one of after. */
    vfio_rig_loop(rig);
    g_assert_false(rig->lines[1]);
    fake_kernel_raise(rig->k, 0, VFIO_PCI_INTX_IRQ_INDEX);
    vfio_rig_loop(rig);
    g_assert_true(rig->lines[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) \
    g_test_add("/vfio-pci/" name, VfioRig, NULL, vfio_rig_set_up, fn, \
               vfio_rig_tear_down)
    ADD("config/identity", test_identity);
    ADD("config/capabilities", test_capabilities);
    ADD("config/wide-access", test_wide_access);
    ADD("config/command", test_command);
    ADD("config/hostile", test_hostile_config);
    ADD("bars/access", test_bars);
    ADD("bars/no-mmap", test_no_mmap);
    ADD("bars/small", test_small_bar);
    ADD("bars/io", test_io_bar);
    ADD("bars/rom", test_rom);
    ADD("bars/failing", test_failing_access);
    ADD("bars/power", test_power);
    ADD("bars/sparse", test_sparse);
    ADD("bars/hostile-sizes", test_hostile_sizes);
    ADD("bars/hostile-answers", test_hostile_answers);
    ADD("bars/hostile-areas", test_hostile_areas);
    ADD("irq/intx", test_intx);
    ADD("irq/intx-disable", test_intx_disable);
    ADD("irq/error", test_error_interrupt);
    ADD("reset", test_reset);
    return g_test_run();
}
