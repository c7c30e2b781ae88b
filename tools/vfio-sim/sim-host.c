/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What COMMAND can meet. The main thread makes and frees it; workers open
 * what is behind the paths.
 */
#include "sim-host.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sysfs.h"

/* The kernel's numbers of /dev/vfio/vfio and /dev/iommu. */
#define MISC_MAJOR 10
#define VFIO_MINOR 196
#define IOMMU_MINOR 127

/* A fault of any device strikes, for what belongs to all of them. */
static int shared_fault(void *opaque, const char *name)
{
    SimHost *h = opaque;
    int ret = 0;

    for (guint i = 0; i < h->devices->len && !ret; i++) {
        ret = sim_device_fault(g_ptr_array_index(h->devices, i), name);
    }
    return ret;
}

static int64_t iommu_ioctl(SimCall *call, SimFile *file, uint32_t cmd,
                           uint64_t arg)
{
    return sim_iommu_ioctl(file->opaque, call, cmd, arg);
}

static int64_t container_ioctl(SimCall *call, SimFile *file, uint32_t cmd,
                               uint64_t arg)
{
    return sim_container_ioctl(file->opaque, call, cmd, arg);
}

static SimFile *new_iommufd(SimHost *h, Error **errp)
{
    SimIommu *iommu = sim_iommu_new(shared_fault, h);
    SimFile *file = supervisor_add_file(h->supervisor, SIM_FILE_IOMMUFD, iommu,
                                        0, errp);

    if (file) {
        file->rdev = makedev(MISC_MAJOR, IOMMU_MINOR);
    }
    g_mutex_lock(&h->lock);
    g_ptr_array_add(h->iommus, iommu);
    g_mutex_unlock(&h->lock);
    return file;
}

SimHost *sim_host_new(GPtrArray *options, int log_fd, Error **errp)
{
    SimHost *h = g_new0(SimHost, 1);

    for (int i = 0; i < SIM_FILE_KINDS; i++) {
        h->ops[i].read = h->ops[i].write = sim_file_no_access;
    }
    h->ops[SIM_FILE_IOMMUFD].ioctl = iommu_ioctl;
    h->ops[SIM_FILE_DEVICE] = sim_device_ops;
    h->ops[SIM_FILE_DATA] = sim_data_ops;
    h->ops[SIM_FILE_CONTAINER].ioctl = container_ioctl;
    h->ops[SIM_FILE_GROUP] = sim_group_ops;
    h->devices = g_ptr_array_new();
    h->iommus = g_ptr_array_new();
    h->containers = g_ptr_array_new();
    g_mutex_init(&h->lock);
    h->supervisor = supervisor_new(h->ops, log_fd, errp);
    if (!h->supervisor || !(h->iommufd = new_iommufd(h, errp))) {
        goto fail;
    }
    while (options->len) {
        SimDevice *d = sim_device_new(
            h->supervisor, g_ptr_array_steal_index(options, 0),
            h->devices->len, errp);

        if (!d) {
            goto fail;
        }
        g_ptr_array_add(h->devices, d);
    }
    return h;
fail:
    sim_host_stop(h);
    sim_host_free(h);
    return NULL;
}

void sim_host_stop(SimHost *h)
{
    if (h && h->supervisor) {
        supervisor_stop(h->supervisor);
        h->supervisor = NULL;
    }
}

void sim_host_free(SimHost *h)
{
    if (!h) {
        return;
    }
    for (guint i = 0; i < h->devices->len; i++) {
        sim_device_free(g_ptr_array_index(h->devices, i));
    }
    for (guint i = 0; i < h->iommus->len; i++) {
        sim_iommu_free(g_ptr_array_index(h->iommus, i));
    }
    for (guint i = 0; i < h->containers->len; i++) {
        sim_container_free(g_ptr_array_index(h->containers, i));
    }
    g_ptr_array_unref(h->devices);
    g_ptr_array_unref(h->iommus);
    g_ptr_array_unref(h->containers);
    if (h->sysfs) {
        sim_sysfs_remove(h->sysfs);
        g_free(h->sysfs);
    }
    g_mutex_clear(&h->lock);
    g_free(h);
}

static int64_t open_iommufd(SimCall *call, void *opaque)
{
    Error *err = NULL;
    SimFile *file = new_iommufd(opaque, &err);

    if (!file) {
        g_error_free(err);
        return -ENFILE;
    }
    return sim_call_plant(call, file, false);
}

static int64_t open_container(SimCall *call, void *opaque)
{
    SimHost *h = opaque;
    SimContainer *c = sim_container_new(shared_fault, h);
    Error *err = NULL;
    SimFile *file = supervisor_add_file(h->supervisor, SIM_FILE_CONTAINER, c,
                                        0, &err);

    g_mutex_lock(&h->lock);
    g_ptr_array_add(h->containers, c);
    g_mutex_unlock(&h->lock);
    if (!file) {
        g_error_free(err);
        return -ENFILE;
    }
    file->rdev = makedev(MISC_MAJOR, VFIO_MINOR);
    return sim_call_plant(call, file, false);
}

/* A folder that the host may have: then it is as it is. */
static void add_folder(SimHost *h, const char *path)
{
    struct stat st;

    if (stat(path, &st)) {
        supervisor_add_node(h->supervisor, path, 0, NULL, NULL);
    }
}

static void add_nodes(SimHost *h)
{
    add_folder(h, "/dev/vfio");
    add_folder(h, "/dev/vfio/devices");
    supervisor_add_node(h->supervisor, "/dev/vfio/vfio",
                        makedev(MISC_MAJOR, VFIO_MINOR), open_container, h);
    supervisor_add_node(h->supervisor, "/dev/iommu",
                        makedev(MISC_MAJOR, IOMMU_MINOR), open_iommufd, h);
    for (guint i = 0; i < h->devices->len; i++) {
        SimDevice *d = g_ptr_array_index(h->devices, i);
        g_autofree char *group = g_strdup_printf("/dev/vfio/%u", d->number);
        g_autofree char *cdev =
            g_strdup_printf("/dev/vfio/devices/vfio%u", d->number);
        g_autofree char *by_number =
            g_strdup_printf("/dev/char/%u:%u", major(d->file->rdev),
                            minor(d->file->rdev));

        supervisor_add_node(h->supervisor, group, d->group->rdev,
                            sim_group_open, d);
        supervisor_add_node(h->supervisor, cdev, d->file->rdev,
                            sim_device_open, d);
        supervisor_add_node(h->supervisor, by_number, d->file->rdev,
                            sim_device_open, d);
    }
}

static void replace(char **text, const char *what, const char *by)
{
    g_auto(GStrv) parts = g_strsplit(*text, what, -1);

    g_free(*text);
    *text = g_strjoinv(by, parts);
}

static bool fill_in_sysfs(SimHost *h, char **text, const SimDevice *d,
                          Error **errp)
{
    g_autofree char *name = g_strdup_printf("@%s:sysfs@", d->options->id);
    g_autofree char *folder = NULL;

    if (!strstr(*text, name)) {
        return true;
    }
    if (!h->sysfs) {
        h->sysfs = sim_sysfs_new(errp);
        if (!h->sysfs) {
            return false;
        }
        for (guint i = 0; i < h->devices->len; i++) {
            g_autofree char *path =
                sim_sysfs_add(h->sysfs, g_ptr_array_index(h->devices, i), errp);

            if (!path) {
                return false;
            }
        }
        add_nodes(h);
    }
    folder = g_build_filename(h->sysfs, "devices", d->address, NULL);
    replace(text, name, folder);
    return true;
}

static bool fill_in_number(SimHost *h, char **text, const char *id,
                           SimFile *file, Error **errp)
{
    g_autofree char *name = g_strdup_printf("@%s@", id);
    g_autofree char *number = NULL;
    int slot;

    if (!strstr(*text, name)) {
        return true;
    }
    slot = supervisor_hand_on(h->supervisor, file, errp);
    number = g_strdup_printf("%d", slot);
    replace(text, name, number);
    return slot >= 0;
}

char **sim_host_fill_in(SimHost *h, char **command, Error **errp)
{
    g_auto(GStrv) argv = g_strdupv(command);

    for (unsigned i = 0; argv[i]; i++) {
        if (!fill_in_number(h, &argv[i], "iommufd", h->iommufd, errp)) {
            return NULL;
        }
        for (guint n = 0; n < h->devices->len; n++) {
            SimDevice *d = g_ptr_array_index(h->devices, n);

            if (!fill_in_number(h, &argv[i], d->options->id, d->file, errp) ||
                !fill_in_sysfs(h, &argv[i], d, errp)) {
                return NULL;
            }
        }
    }
    return g_steal_pointer(&argv);
}
