/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include <glib/gstdio.h>

#include "qapi/qapi-types-objects.h"
#include "system/module.h"
#include "vfio-rig.h"

extern const VmModule object_module;

#define HIGH UINT64_C(0x400000000)

static unsigned open_descriptors(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(dir)) {
        count++;
    }
    return count;
}

void vfio_rig_set_up(VfioRig *rig, gconstpointer data)
{
    RamBacking ram = { .size = RIG_RAM_BYTES, .fd = -1 };
    RamBacking rom = { .size = RIG_ROM_BYTES, .fd = -1, .readonly = true };
    PciHostConfig config = {
        .ecam_base = RIG_ECAM,
        .ecam_size = 0x10000000,
        .io = { 0, 0x3000000, 0x10000 },
        .mem32 = { 0x40000000, 0x40000000, 0x40000000 },
        .mem64 = { HIGH, HIGH, HIGH },
    };
    RamBlock *rb;

    (void)data;
    *rig = (VfioRig){ .k = fake_kernel_new(), .vm = hw_test_new() };
    g_assert_true(object_module.create(rig->vm, NULL));
    for (unsigned i = 0; i < PCI_PINS; i++) {
        config.intx[i] = hw_test_line(rig->lines, i);
    }
    g_assert_nonnull(pci_host_create(rig->vm, &config, NULL));
    rig->ram = memory_ram_new(rig->vm->memory, "ram", &ram, NULL);
    g_assert_true(memory_map_ram(rig->vm->memory, rig->ram, RIG_RAM, NULL));
    rb = memory_ram_new(rig->vm->memory, "rom", &rom, NULL);
    g_assert_true(memory_map_ram(rig->vm->memory, rb, RIG_ROM, NULL));
    /* No device of the guest reaches it: not mapped for those of the host. */
    g_assert_nonnull(memory_ram_new(rig->vm->memory, "unmapped", &ram, NULL));
}

void vfio_rig_tear_down(VfioRig *rig, gconstpointer data)
{
    (void)data;
    machine_destroy(rig->vm);
    g_assert_null(rig->vm->vfio);
    object_module.destroy(rig->vm);
    if (rig->iommufd) {
        fake_kernel_closed(rig->k, rig->iommufd);
    }
    g_free(rig->iommufd);
    hw_test_free(rig->vm);
    fake_kernel_free(rig->k);
    if (rig->sysfs) {
        g_autofree char *command = g_strdup_printf("rm -rf '%s'", rig->sysfs);

        g_assert_cmpint(system(command), ==, 0);
        g_free(rig->sysfs);
    }
    memset(rig, 0, sizeof(*rig));
}

void vfio_rig_iommufd(VfioRig *rig)
{
    ObjectOptions options = { .id = (char *)"i0",
                              .qom_type = OBJECT_TYPE_IOMMUFD };
    Error *err = NULL;

    rig->iommufd = fake_kernel_iommufd(rig->k);
    options.u.iommufd.fd = rig->iommufd;
    object_add(rig->vm, &options, &err);
    g_assert_no_error(err);
}

char *vfio_rig_folder(VfioRig *rig, unsigned n, bool cdev)
{
    g_autofree char *link = NULL;
    g_autofree char *target = g_strdup_printf("../../groups/%u", n);
    char *folder;

    if (!rig->sysfs) {
        rig->sysfs = g_dir_make_tmp("godwit-vfio-XXXXXX", NULL);
    }
    folder = g_strdup_printf("%s/0000:01:00.%u", rig->sysfs, n);
    link = g_build_filename(folder, "iommu_group", NULL);
    if (cdev) {
        g_autofree char *node = g_strdup_printf("%s/vfio-dev/vfio%u", folder,
                                                n);

        g_assert_cmpint(g_mkdir_with_parents(node, 0700), ==, 0);
    } else {
        g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    }
    g_assert_cmpint(symlink(target, link), ==, 0);
    return folder;
}

VfioPci *vfio_rig_try(VfioRig *rig, Error **errp, ...)
{
    Device *dev = device_new(rig->vm, device_type_find("vfio-pci"), NULL, NULL);
    VfioPci *vp = (VfioPci *)dev;
    const char *name;
    va_list ap;

    vp->vdev.sys = &rig->k->sys;
    vp->iommufd = object_find(rig->vm, "i0");
    va_start(ap, errp);
    while ((name = va_arg(ap, const char *))) {
        const char *value = va_arg(ap, const char *);
        Error *err = NULL;

        device_set_property(dev, name, value, &err);
        g_assert_no_error(err);
    }
    va_end(ap);
    if (!device_realize(dev, NULL, errp)) {
        device_free(dev);
        return NULL;
    }
    return vp;
}

VfioPci *vfio_rig_plug(VfioRig *rig, unsigned n)
{
    g_autofree char *fd = fake_kernel_device(rig->k, n);
    Error *err = NULL;
    VfioPci *vp;

    if (!rig->iommufd) {
        vfio_rig_iommufd(rig);
    }
    vp = vfio_rig_try(rig, &err, "fd", fd, NULL);
    g_assert_no_error(err);
    return vp;
}

void vfio_rig_refused(VfioRig *rig, unsigned n, const char *message)
{
    g_autofree char *fd = fake_kernel_device(rig->k, n);
    g_autoptr(Error) err = NULL;
    unsigned before = open_descriptors();

    if (!rig->iommufd) {
        vfio_rig_iommufd(rig);
        before++;
    }
    g_assert_null(vfio_rig_try(rig, &err, "fd", fd, NULL));
    g_assert_nonnull(err);
    if (!strstr(err->message, message)) {
        g_error("'%s' is not in '%s'", message, err->message);
    }
    /* The device's own is closed, all others are as they were. */
    g_assert_cmpuint(open_descriptors(), ==, before - 1);
}

uint32_t vfio_rig_get(VfioPci *vp, unsigned reg, unsigned len)
{
    return (uint32_t)hw_read(vp->pci.dev.vm,
                             RIG_ECAM + (vp->pci.devfn << 12) + reg, len);
}

void vfio_rig_set(VfioPci *vp, unsigned reg, unsigned len, uint32_t val)
{
    hw_write(vp->pci.dev.vm, RIG_ECAM + (vp->pci.devfn << 12) + reg, len, val);
}

void vfio_rig_place(VfioPci *vp)
{
    vfio_rig_set(vp, PCI_BASE_ADDRESS_0, 4, RIG_BAR0);
    vfio_rig_set(vp, PCI_BASE_ADDRESS_0 + 8, 4, RIG_BAR2);
    vfio_rig_set(vp, PCI_BASE_ADDRESS_0 + 12, 4, 0);
    vfio_rig_set(vp, PCI_ROM_ADDRESS, 4, RIG_BAR_ROM | 1);
    vfio_rig_set(vp, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void vfio_rig_loop(VfioRig *rig)
{
    vm_unlock(rig->vm);
    vm_main_loop_iterate(rig->vm, false);
    vm_lock(rig->vm);
}
