/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -object iommufd: whose iommufd devices are attached to. Big lock. */
#include <unistd.h>

#include "system/fds.h"
#include "vfio-iommu-int.h"

static bool iommufd_create(Object *obj, Error **errp)
{
    const char *text = obj->options->u.iommufd.fd;
    VfioIommufd *backend;
    int fd = -1;

    if (text) {
        fd = fd_store_take(obj->vm->fds, text, errp);
        if (fd < 0) {
            return false;
        }
    }
    backend = g_new0(VfioIommufd, 1);
    backend->vm = obj->vm;
    backend->fd = fd;
    obj->state = backend;
    return true;
}

static void iommufd_destroy(Object *obj)
{
    VfioIommufd *backend = obj->state;

    g_assert(!backend->iommu);
    if (backend->fd >= 0) {
        close(backend->fd);
    }
    g_free(backend);
}

const ObjectClass iommufd_class = {
    .type = OBJECT_TYPE_IOMMUFD,
    .help = "DMA of VFIO devices through /dev/iommu, or what fd= is",
    .create = iommufd_create,
    .destroy = iommufd_destroy,
};
