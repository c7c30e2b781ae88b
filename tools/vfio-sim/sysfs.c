/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The folders of devices. The main thread. */
#include "sysfs.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#define FOLDERS_AT_ONCE 16

/* Where a BIOS could have put the BARs; nobody maps them from there. */
#define BAR_WINDOW 0x380000000000ULL
#define IORESOURCE_MEM 0x200

char *sim_sysfs_new(Error **errp)
{
    g_autoptr(GError) err = NULL;
    char *root = g_dir_make_tmp("vfio-sim-XXXXXX", &err);

    if (!root) {
        error_setg(errp, "making a folder for devices: %s", err->message);
    }
    return root;
}

static bool put_file(const char *folder, const char *name, const void *data,
                     size_t len, Error **errp)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) err = NULL;

    if (!g_file_set_contents(path, data, len, &err)) {
        error_setg(errp, "writing '%s': %s", path, err->message);
        return false;
    }
    return true;
}

static bool put_number(const char *folder, const char *name, uint32_t value,
                       int digits, Error **errp)
{
    g_autofree char *text = g_strdup_printf("0x%0*x\n", digits, value);

    return put_file(folder, name, text, strlen(text), errp);
}

static bool put_link(const char *folder, const char *name, const char *target,
                     Error **errp)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    if (symlink(target, path)) {
        error_setg_errno(errp, errno, "making link '%s'", path);
        return false;
    }
    return true;
}

static bool put_folder(const char *path, Error **errp)
{
    if (g_mkdir_with_parents(path, 0755)) {
        error_setg_errno(errp, errno, "making folder '%s'", path);
        return false;
    }
    return true;
}

/* Six BARs, the ROM, and the six of a bridge: start, end, flags. */
static bool put_resource(const char *folder, const SimDevice *d, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < 13; i++) {
        uint64_t size = i < 6 ? d->options->bars[i].size : 0;
        uint64_t start = size ? BAR_WINDOW + ((uint64_t)i << 32) : 0;

        g_string_append_printf(text, "0x%016" PRIx64 " 0x%016" PRIx64
                               " 0x%016x\n", start,
                               size ? start + size - 1 : 0,
                               size ? IORESOURCE_MEM : 0);
    }
    return put_file(folder, "resource", text->str, text->len, errp);
}

static bool fill_device(const char *folder, const SimDevice *d, Error **errp)
{
    const uint8_t *config = d->config;
    uint32_t class = config[PCI_CLASS_DEVICE + 1] << 16 |
                     config[PCI_CLASS_DEVICE] << 8 | config[PCI_CLASS_PROG];

    return put_number(folder, "vendor", d->options->vendor, 4, errp) &&
           put_number(folder, "device", d->options->device, 4, errp) &&
           put_number(folder, "subsystem_vendor", d->options->vendor, 4,
                      errp) &&
           put_number(folder, "subsystem_device", config[PCI_SUBSYSTEM_ID], 4,
                      errp) &&
           put_number(folder, "class", class, 6, errp) &&
           put_number(folder, "revision", config[PCI_REVISION_ID], 2, errp) &&
           put_file(folder, "config", config, SIM_CONFIG_BYTES, errp) &&
           put_resource(folder, d, errp) &&
           put_link(folder, "subsystem", "/sys/bus/pci", errp) &&
           put_link(folder, "driver", "/sys/bus/pci/drivers/vfio-pci", errp);
}

char *sim_sysfs_add(const char *root, const SimDevice *d, Error **errp)
{
    g_autofree char *folder =
        g_build_filename(root, "devices", d->address, NULL);
    g_autofree char *group = g_strdup_printf("%u", d->number);
    g_autofree char *group_link =
        g_strdup_printf("../../iommu_groups/%u", d->number);
    g_autofree char *members =
        g_build_filename(root, "iommu_groups", group, "devices", NULL);
    g_autofree char *back = g_strdup_printf("../../../devices/%s", d->address);
    g_autofree char *name = g_strdup_printf("vfio%u", d->number);
    g_autofree char *node = g_build_filename(folder, "vfio-dev", name, NULL);
    g_autofree char *dev = g_strdup_printf(
        "%u:%u\n", major(d->file->rdev), minor(d->file->rdev));

    if (!put_folder(node, errp) || !put_folder(members, errp) ||
        !fill_device(folder, d, errp) ||
        !put_link(folder, "iommu_group", group_link, errp) ||
        !put_link(members, d->address, back, errp) ||
        !put_file(node, "dev", dev, strlen(dev), errp)) {
        return NULL;
    }
    return g_steal_pointer(&folder);
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void sim_sysfs_remove(const char *root)
{
    if (nftw(root, remove_one, FOLDERS_AT_ONCE, FTW_DEPTH | FTW_PHYS)) {
        fprintf(stderr, "vfio-sim: removing '%s': %s\n", root,
                strerror(errno));
    }
}
