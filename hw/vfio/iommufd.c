/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA of devices through an iommufd: one address space (IOAS) with all RAM for
 * all devices of a backend, and a page table of hardware (HWPT) for those that
 * can share one, with dirty tracking where the IOMMU has it. Big lock, but for
 * query_dirty (vfio-iommu.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "hw/vfio/vfio-uapi.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-iommu-int.h"

typedef struct Hwpt {
    uint32_t id;
    bool tracks;                /* dirty pages */
    unsigned devices;
} Hwpt;

typedef struct Attachment {
    const VfioDevice *vdev;
    uint32_t hwpt;              /* 0: to the IOAS, the kernel chooses */
} Attachment;

typedef struct IommufdIommu {
    VfioIommu iommu;
    VfioIommufd *backend;
    uint32_t ioas;
    GArray *hwpts;              /* of Hwpt; constant while tracking */
    GArray *attached;           /* of Attachment */
} IommufdIommu;

/* 0 or -errno. */
static int call(IommufdIommu *ii, unsigned long request, void *arg)
{
    const VfioSys *sys = ii->iommu.sys;

    return sys->ioctl(sys, ii->backend->fd, request, arg) < 0 ? -errno : 0;
}

static void destroy_id(IommufdIommu *ii, uint32_t id)
{
    struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

    trace_vfio_iommufd_destroy(id, call(ii, IOMMU_DESTROY, &arg));
}

/* ---- mapping ---- */

static int map_block(VfioIommu *iommu, const RamBlock *rb)
{
    IommufdIommu *ii = (IommufdIommu *)iommu;
    struct iommu_ioas_map arg = {
        .size = sizeof(arg),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
                 (rb->backing.readonly ? 0 : IOMMU_IOAS_MAP_WRITEABLE),
        .ioas_id = ii->ioas,
        .user_va = (uintptr_t)rb->host,
        .length = rb->backing.size,
        .iova = rb->gpa,
    };

    return call(ii, IOMMU_IOAS_MAP, &arg);
}

static int unmap_block(VfioIommu *iommu, const RamBlock *rb)
{
    IommufdIommu *ii = (IommufdIommu *)iommu;
    struct iommu_ioas_unmap arg = {
        .size = sizeof(arg),
        .ioas_id = ii->ioas,
        .iova = rb->gpa,
        .length = rb->backing.size,
    };

    return call(ii, IOMMU_IOAS_UNMAP, &arg);
}

/* Whether RAM fits into what the attached devices can reach. */
static bool check_ranges(IommufdIommu *ii, Error **errp)
{
    g_autofree VfioIovaRange *ranges = NULL;
    struct iommu_ioas_iova_ranges arg = { .num_iovas = 0 };
    uint32_t room;
    int ret;

    G_STATIC_ASSERT(sizeof(VfioIovaRange) == sizeof(struct iommu_iova_range));
    do {
        /* How many there are is known after the first call. */
        room = arg.num_iovas;
        ranges = g_renew(VfioIovaRange, ranges, MAX(room, 1));
        arg = (struct iommu_ioas_iova_ranges){
            .size = sizeof(arg),
            .ioas_id = ii->ioas,
            .num_iovas = room,
            .allowed_iovas = (uintptr_t)ranges,
        };
        ret = call(ii, IOMMU_IOAS_IOVA_RANGES, &arg);
    } while (ret == -EMSGSIZE && arg.num_iovas > room &&
             arg.num_iovas <= VFIO_IOVA_RANGES_MAX);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "asking which of at most %d ranges of "
                         "addresses the IOMMU translates",
                         VFIO_IOVA_RANGES_MAX);
        return false;
    }
    if (arg.num_iovas > room || arg.out_iova_alignment == 0 ||
        (arg.out_iova_alignment & (arg.out_iova_alignment - 1))) {
        error_setg(errp, "the IOMMU names %u ranges where %u were asked for, "
                   "with alignment 0x%" PRIx64, arg.num_iovas, room,
                   (uint64_t)arg.out_iova_alignment);
        return false;
    }
    return vfio_iommu_check_ram(&ii->iommu, ranges, arg.num_iovas,
                                arg.out_iova_alignment, errp);
}

/* ---- dirty pages ---- */

static bool can_track_dirty(VfioIommu *iommu)
{
    IommufdIommu *ii = (IommufdIommu *)iommu;

    for (guint i = 0; i < ii->attached->len; i++) {
        if (!g_array_index(ii->attached, Attachment, i).hwpt) {
            return false;
        }
    }
    for (guint i = 0; i < ii->hwpts->len; i++) {
        if (!g_array_index(ii->hwpts, Hwpt, i).tracks) {
            return false;
        }
    }
    return true;
}

static int track(IommufdIommu *ii, uint32_t hwpt, bool on)
{
    struct iommu_hwpt_set_dirty_tracking arg = {
        .size = sizeof(arg),
        .flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
        .hwpt_id = hwpt,
    };

    return call(ii, IOMMU_HWPT_SET_DIRTY_TRACKING, &arg);
}

static bool set_dirty_tracking(VfioIommu *iommu, bool on, Error **errp)
{
    IommufdIommu *ii = (IommufdIommu *)iommu;
    int first = 0;

    for (guint i = 0; i < ii->hwpts->len; i++) {
        int ret = track(ii, g_array_index(ii->hwpts, Hwpt, i).id, on);

        first = first ? first : ret;
        if (ret < 0 && on) {
            while (i-- > 0) {
                track(ii, g_array_index(ii->hwpts, Hwpt, i).id, false);
            }
            break;
        }
    }
    trace_vfio_dirty_tracking(iommu->ops->name, on, first);
    if (first) {
        error_setg_errno(errp, -first, "iommufd: turning dirty tracking %s",
                         on ? "on" : "off");
    }
    return first == 0;
}

static bool query_dirty(VfioIommu *iommu, uint64_t iova, uint64_t len,
                        uint64_t *bitmap, Error **errp)
{
    IommufdIommu *ii = (IommufdIommu *)iommu;

    for (guint i = 0; i < ii->hwpts->len; i++) {
        struct iommu_hwpt_get_dirty_bitmap arg = {
            .size = sizeof(arg),
            .hwpt_id = g_array_index(ii->hwpts, Hwpt, i).id,
            .iova = iova,
            .length = len,
            .page_size = GUEST_PAGE_SIZE,
            .data = (uintptr_t)bitmap,
        };
        int ret = call(ii, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg);

        trace_vfio_query_dirty(iommu->ops->name, iova, len, ret);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "iommufd: asking for the dirty pages "
                             "of 0x%" PRIx64 " bytes at 0x%" PRIx64, len, iova);
            return false;
        }
    }
    return true;
}

static const VfioIommuOps iommufd_ops = {
    .name = "iommufd",
    .can_track_dirty = can_track_dirty,
    .set_dirty_tracking = set_dirty_tracking,
    .query_dirty = query_dirty,
};

bool vfio_iommu_is_iommufd(const VfioIommu *iommu)
{
    return iommu->ops == &iommufd_ops;
}

/* ---- devices come and go ---- */

static int attach_to(const VfioDevice *vdev, uint32_t id)
{
    struct vfio_device_attach_iommufd_pt arg = {
        .argsz = sizeof(arg),
        .pt_id = id,
    };
    int ret = vdev->sys->ioctl(vdev->sys, vdev->fd,
                               VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);

    ret = ret < 0 ? -errno : 0;
    trace_vfio_iommufd_attach(vdev->name, id, ret);
    return ret;
}

static void detach(const VfioDevice *vdev)
{
    struct vfio_device_detach_iommufd_pt arg = { .argsz = sizeof(arg) };

    if (vdev->sys->ioctl(vdev->sys, vdev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT,
                         &arg) < 0) {
        trace_vfio_iommufd_attach(vdev->name, 0, -errno);
    }
}

static bool bind_device(IommufdIommu *ii, const VfioDevice *vdev,
                        uint32_t *devid, Error **errp)
{
    struct vfio_device_bind_iommufd arg = {
        .argsz = sizeof(arg),
        .iommufd = ii->backend->fd,
    };

    if (vdev->sys->ioctl(vdev->sys, vdev->fd, VFIO_DEVICE_BIND_IOMMUFD,
                         &arg) < 0) {
        error_setg_errno(errp, errno, "binding it to iommufd %d",
                         ii->backend->fd);
        return false;
    }
    *devid = arg.out_devid;
    trace_vfio_iommufd_bind(vdev->name, ii->backend->fd, *devid);
    return true;
}

/* Whether the IOMMU of device @devid logs dirty pages; -errno: it is none. */
static int ask_hardware(IommufdIommu *ii, uint32_t devid, bool *tracks)
{
    struct iommu_hw_info arg = { .size = sizeof(arg), .dev_id = devid };
    int ret = call(ii, IOMMU_GET_HW_INFO, &arg);

    *tracks = ret == 0 && (arg.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
    trace_vfio_iommufd_hw_info(devid, arg.out_capabilities, ret);
    return ret;
}

static void join_hwpt(IommufdIommu *ii, guint index, const VfioDevice *vdev)
{
    Hwpt *hwpt = &g_array_index(ii->hwpts, Hwpt, index);
    Attachment attachment = { vdev, hwpt->id };

    hwpt->devices++;
    g_array_append_val(ii->attached, attachment);
}

/*
 * To a page table that is there, to a new one, or, for devices without an
 * IOMMU of their own (emulated in the kernel), to the address space.
 */
static bool attach_device(IommufdIommu *ii, const VfioDevice *vdev,
                          uint32_t devid, Error **errp)
{
    Attachment plain = { vdev, 0 };
    bool tracks;
    int ret = ask_hardware(ii, devid, &tracks);

    for (guint i = 0; ret == 0 && i < ii->hwpts->len; i++) {
        if (attach_to(vdev, g_array_index(ii->hwpts, Hwpt, i).id) == 0) {
            join_hwpt(ii, i, vdev);
            return true;
        }
    }
    if (ret == 0) {
        struct iommu_hwpt_alloc arg = {
            .size = sizeof(arg),
            .flags = tracks ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0,
            .dev_id = devid,
            .pt_id = ii->ioas,
        };

        ret = call(ii, IOMMU_HWPT_ALLOC, &arg);
        trace_vfio_iommufd_hwpt(devid, arg.out_hwpt_id, tracks, ret);
        if (ret == 0) {
            Hwpt hwpt = { arg.out_hwpt_id, tracks, 0 };

            ret = attach_to(vdev, hwpt.id);
            if (ret < 0) {
                destroy_id(ii, hwpt.id);
                error_setg_errno(errp, -ret, "attaching it to page table %u",
                                 hwpt.id);
                return false;
            }
            g_array_append_val(ii->hwpts, hwpt);
            join_hwpt(ii, ii->hwpts->len - 1, vdev);
            return true;
        }
    }
    ret = attach_to(vdev, ii->ioas);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "attaching it to address space %u",
                         ii->ioas);
        return false;
    }
    g_array_append_val(ii->attached, plain);
    return true;
}

static void detach_device(IommufdIommu *ii, const VfioDevice *vdev)
{
    guint at = 0;
    uint32_t id;

    while (g_array_index(ii->attached, Attachment, at).vdev != vdev) {
        at++;
    }
    id = g_array_index(ii->attached, Attachment, at).hwpt;
    g_array_remove_index(ii->attached, at);
    detach(vdev);
    for (guint i = 0; id && i < ii->hwpts->len; i++) {
        Hwpt *hwpt = &g_array_index(ii->hwpts, Hwpt, i);

        if (hwpt->id == id && --hwpt->devices == 0) {
            destroy_id(ii, id);
            g_array_remove_index(ii->hwpts, i);
            break;
        }
    }
}

/* ---- the address space: from the first device to the last ---- */

static bool open_backend(VfioIommufd *backend, Error **errp)
{
    if (backend->fd >= 0) {
        return true;
    }
    backend->fd = backend->sys->open(backend->sys, "/dev/iommu", O_RDWR);
    if (backend->fd < 0) {
        error_setg_errno(errp, errno, "opening /dev/iommu");
        return false;
    }
    backend->opened = true;
    return true;
}

static void close_backend(VfioIommufd *backend)
{
    if (backend->opened) {
        backend->sys->close(backend->sys, backend->fd);
        backend->fd = -1;
        backend->opened = false;
    }
}

static IommufdIommu *iommu_new(VfioDevice *vdev, VfioIommufd *backend)
{
    IommufdIommu *ii = g_new0(IommufdIommu, 1);

    ii->iommu.ops = &iommufd_ops;
    ii->iommu.sys = vdev->sys;
    ii->iommu.vm = vdev->vm;
    ii->backend = backend;
    ii->hwpts = g_array_new(FALSE, FALSE, sizeof(Hwpt));
    ii->attached = g_array_new(FALSE, FALSE, sizeof(Attachment));
    return ii;
}

static void iommu_free(IommufdIommu *ii)
{
    g_array_unref(ii->attached);
    g_array_unref(ii->hwpts);
    g_free(ii);
}

static bool alloc_ioas(IommufdIommu *ii, Error **errp)
{
    struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
    int ret = call(ii, IOMMU_IOAS_ALLOC, &arg);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "allocating an address space for "
                         "devices");
        return false;
    }
    ii->ioas = arg.out_ioas_id;
    return true;
}

/* The first device of @backend, which is bound. */
static bool attach_first(VfioDevice *vdev, IommufdIommu *ii, uint32_t devid,
                         Error **errp)
{
    if (!alloc_ioas(ii, errp)) {
        return false;
    }
    if (!attach_device(ii, vdev, devid, errp)) {
        goto fail_ioas;
    }
    if (!check_ranges(ii, errp) ||
        !vfio_iommu_map_ram(&ii->iommu, map_block, unmap_block, errp)) {
        goto fail_attached;
    }
    return true;
fail_attached:
    detach_device(ii, vdev);
fail_ioas:
    destroy_id(ii, ii->ioas);
    return false;
}

/* One more: the kernel refuses it if it does not reach what is mapped. */
static bool attach_more(VfioDevice *vdev, IommufdIommu *ii, uint32_t devid,
                        Error **errp)
{
    if (!attach_device(ii, vdev, devid, errp)) {
        return false;
    }
    if (!check_ranges(ii, errp)) {
        detach_device(ii, vdev);
        return false;
    }
    return true;
}

bool vfio_iommufd_attach(VfioDevice *vdev, VfioIommufd *backend, Error **errp)
{
    IommufdIommu *ii = (IommufdIommu *)backend->iommu;
    uint32_t devid;

    if (!ii) {
        backend->sys = vdev->sys;
        if (!open_backend(backend, errp)) {
            return false;
        }
        ii = iommu_new(vdev, backend);
    }
    if (!bind_device(ii, vdev, &devid, errp) ||
        !(backend->iommu ? attach_more(vdev, ii, devid, errp)
                         : attach_first(vdev, ii, devid, errp))) {
        goto fail;
    }
    backend->iommu = &ii->iommu;
    vdev->iommu = &ii->iommu;
    ii->iommu.devices++;
    return true;
fail:
    if (!backend->iommu) {
        iommu_free(ii);
        close_backend(backend);
    }
    return false;
}

void vfio_iommufd_detach(VfioDevice *vdev)
{
    IommufdIommu *ii = (IommufdIommu *)vdev->iommu;
    VfioIommufd *backend = ii->backend;

    /* First no DMA, then no memory. */
    detach_device(ii, vdev);
    vdev->iommu = NULL;
    if (--ii->iommu.devices > 0) {
        return;
    }
    vfio_iommu_unmap_ram(&ii->iommu, unmap_block);
    destroy_id(ii, ii->ioas);
    backend->iommu = NULL;
    iommu_free(ii);
    close_backend(backend);
}
