/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what the user calls a device to an open one. With an iommufd: the
 * device's own node, /dev/vfio/devices/vfioN, whose number its folder in sysfs
 * tells, or a descriptor of it. Without: the same, with an iommufd of the
 * machine's own, where kernel and device have that; else its group. Big lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qapi/qapi-types-objects.h"
#include "system/fds.h"
#include "trace/trace-hw-vfio.h"
#include "util/keyval.h"
#include "vfio-host.h"
#include "vfio-iommu-int.h"

/* ---- what the machine has ---- */

static VfioHost *host_get(Vm *vm)
{
    VfioHost *host = vm->vfio;

    if (!host) {
        host = vm->vfio = g_new0(VfioHost, 1);
        host->iommufd.vm = vm;
        host->iommufd.fd = -1;
        host->groups = g_ptr_array_new();
    }
    host->devices++;
    return host;
}

static void host_put(Vm *vm)
{
    VfioHost *host = vm->vfio;

    if (--host->devices == 0) {
        g_ptr_array_unref(host->groups);
        g_free(host);
        vm->vfio = NULL;
    }
}

/* ---- names ---- */

/* "[DDDD:]BB:DD.F", all hexadecimal, as sysfs writes it; NULL: it is not. */
static char *host_address(const char *text)
{
    unsigned domain = 0, bus, slot, function;
    int end = 0;

    if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text)) {
        return NULL;
    }
    if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function,
               &end) != 4 || text[end]) {
        end = 0;
        domain = 0;
        if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function,
                   &end) != 3 || text[end]) {
            return NULL;
        }
    }
    return slot < 32 && function < 8
               ? g_strdup_printf("%04x:%02x:%02x.%x", domain, bus, slot,
                                 function)
               : NULL;
}

/* The device's folder in sysfs, links followed. NULL and errp. */
static char *find_folder(const VfioHostOptions *options, Error **errp)
{
    g_autofree char *path = NULL;
    char *real;

    if (options->sysfsdev) {
        path = g_strdup(options->sysfsdev);
    } else {
        g_autofree char *address = host_address(options->host);

        if (!address) {
            error_setg(errp, "property 'host': '%s' is not an address like "
                       "0000:01:00.0", options->host);
            return NULL;
        }
        path = g_strdup_printf("/sys/bus/pci/devices/%s", address);
    }
    real = realpath(path, NULL);
    if (!real) {
        error_setg_errno(errp, errno, "there is no device at %s", path);
        return NULL;
    }
    return real;
}

/* The node of the device whose folder is @folder, or NULL. */
static char *find_node(const char *folder)
{
    g_autofree char *below = g_build_filename(folder, "vfio-dev", NULL);
    g_autoptr(GDir) dir = g_dir_open(below, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        uint64_t number;

        if (g_str_has_prefix(name, "vfio") &&
            keyval_parse_uint64(name + 4, &number)) {
            return g_strdup_printf("/dev/vfio/devices/%s", name);
        }
    }
    return NULL;
}

static bool find_group(const char *folder, unsigned *group, Error **errp)
{
    g_autofree char *link = g_build_filename(folder, "iommu_group", NULL);
    g_autofree char *target = g_file_read_link(link, NULL);
    const char *base = target ? strrchr(target, '/') : NULL;
    uint64_t number;

    base = base ? base + 1 : target;
    if (!base || !keyval_parse_uint64(base, &number) || number > INT_MAX) {
        error_setg(errp, "%s has neither vfio-dev/vfioN nor an iommu_group: "
                   "it is not bound to a VFIO driver, or the host has no "
                   "IOMMU", folder);
        return false;
    }
    *group = (unsigned)number;
    return true;
}

/* ---- opening ---- */

/* @fd is consumed. */
static bool attach_fd(VfioDevice *vdev, int fd, VfioIommufd *backend,
                      Error **errp)
{
    vdev->fd = fd;
    if (!vfio_iommufd_attach(vdev, backend, errp)) {
        vdev->sys->close(vdev->sys, fd);
        vdev->fd = -1;
        return false;
    }
    return true;
}

static bool open_fd(VfioDevice *vdev, const VfioHostOptions *options,
                    Error **errp)
{
    int fd = fd_store_take(vdev->vm->fds, options->fd, errp);

    if (fd < 0) {
        error_prepend(errp, "property 'fd': ");
        return false;
    }
    vdev->name = g_strdup_printf("fd %s", options->fd);
    return attach_fd(vdev, fd, options->iommufd->state, errp);
}

static bool open_node(VfioDevice *vdev, const char *node, VfioIommufd *backend,
                      Error **errp)
{
    int fd = vdev->sys->open(vdev->sys, node, O_RDWR);

    trace_vfio_open(vdev->name, node, fd);
    if (fd < 0) {
        error_setg_errno(errp, errno, "opening %s", node);
        return false;
    }
    return attach_fd(vdev, fd, backend, errp);
}

/* Whether this host has /dev/iommu. */
static bool have_iommufd(const VfioSys *sys, const VfioIommufd *backend)
{
    int fd;

    if (backend->fd >= 0) {
        return true;
    }
    fd = sys->open(sys, "/dev/iommu", O_RDWR);
    if (fd >= 0) {
        sys->close(sys, fd);
    }
    return fd >= 0;
}

static bool open_folder(VfioDevice *vdev, const VfioHostOptions *options,
                        Error **errp)
{
    VfioHost *host = vdev->vm->vfio;
    g_autofree char *folder = find_folder(options, errp);
    g_autofree char *node = NULL;
    unsigned group;

    if (!folder) {
        return false;
    }
    vdev->name = g_path_get_basename(folder);
    node = find_node(folder);
    if (options->iommufd) {
        if (!node) {
            error_setg(errp, "%s has no vfio-dev/vfioN: it is not bound to a "
                       "VFIO driver, or the kernel is older than 6.6 and the "
                       "device is to be given without iommufd=", folder);
            return false;
        }
        return open_node(vdev, node, options->iommufd->state, errp);
    }
    if (node && have_iommufd(vdev->sys, &host->iommufd)) {
        return open_node(vdev, node, &host->iommufd, errp);
    }
    return find_group(folder, &group, errp) &&
           vfio_container_attach(vdev, group, vdev->name, errp);
}

static bool check_options(const VfioHostOptions *options, Error **errp)
{
    unsigned given = !!options->host + !!options->sysfsdev + !!options->fd;

    if (given != 1) {
        error_setg(errp, "%s of host=, sysfsdev= and fd= says which device of "
                   "the host it is; one is needed",
                   given ? "more than one" : "none");
        return false;
    }
    if (options->fd && !options->iommufd) {
        error_setg(errp, "property 'fd' needs iommufd=, the id of an -object "
                   "iommufd");
        return false;
    }
    if (options->iommufd &&
        object_type(options->iommufd) != OBJECT_TYPE_IOMMUFD) {
        error_setg(errp, "property 'iommufd': object '%s' is a %s, not an "
                   "iommufd", object_id(options->iommufd),
                   ObjectType_str(object_type(options->iommufd)));
        return false;
    }
    return true;
}

bool vfio_host_open(VfioDevice *vdev, const VfioHostOptions *options,
                    Error **errp)
{
    bool ok;

    vdev->fd = -1;
    if (!check_options(options, errp)) {
        return false;
    }
    host_get(vdev->vm);
    ok = options->fd ? open_fd(vdev, options, errp)
                     : open_folder(vdev, options, errp);
    trace_vfio_host_open(vdev->name ? vdev->name : "", vdev->fd,
                         ok ? vdev->iommu->ops->name : "none");
    if (!ok) {
        host_put(vdev->vm);
    }
    return ok;
}

void vfio_host_close(VfioDevice *vdev)
{
    if (vdev->iommu) {
        trace_vfio_host_close(vdev->name);
        if (vfio_iommu_is_iommufd(vdev->iommu)) {
            vfio_iommufd_detach(vdev);
            vdev->sys->close(vdev->sys, vdev->fd);
            vdev->fd = -1;
        } else {
            vfio_container_detach(vdev);
        }
        host_put(vdev->vm);
    }
    g_clear_pointer(&vdev->name, g_free);
}
