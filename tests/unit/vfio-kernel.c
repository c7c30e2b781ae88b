/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/checked.h"
#include "vfio-kernel-int.h"

#define CONTENT_MAX 65536

static FakeKernel *kernel(const VfioSys *sys)
{
    return sys->opaque;
}

/* Whether this call is to fail; errno is set then. */
static bool strikes(FakeKernel *k)
{
    if (++k->calls == k->fail_at) {
        errno = k->fail_errno;
        return true;
    }
    return false;
}

Fd *kernel_fd(FakeKernel *k, int fd)
{
    Fd *found = g_hash_table_lookup(k->fds, GINT_TO_POINTER(fd));

    if (!found) {
        g_error("descriptor %d is not open", fd);
    }
    return found;
}

/* A number that nobody else in the process has. */
int kernel_new_fd(FakeKernel *k, Kind kind, unsigned number)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    Fd *f = g_new0(Fd, 1);

    g_assert_cmpint(fd, >=, 0);
    *f = (Fd){ kind, number, -1, 0, false };
    g_hash_table_insert(k->fds, GINT_TO_POINTER(fd), f);
    return fd;
}

int kernel_fail(int err)
{
    errno = err;
    return -1;
}

static int fake_open(const VfioSys *sys, const char *path, int flags)
{
    FakeKernel *k = kernel(sys);
    unsigned number;
    char end;

    (void)flags;
    if (strikes(k)) {
        return -1;
    }
    if (g_str_equal(path, "/dev/iommu")) {
        return k->no_iommufd ? kernel_fail(ENOENT) : kernel_new_fd(k, IOMMU, 0);
    }
    if (g_str_equal(path, "/dev/vfio/vfio")) {
        return kernel_new_fd(k, CONTAINER, 0);
    }
    if (sscanf(path, "/dev/vfio/devices/vfio%u%c", &number, &end) == 1 &&
        number < KERNEL_DEVICES) {
        return kernel_new_fd(k, DEVICE, number);
    }
    if (sscanf(path, "/dev/vfio/%u%c", &number, &end) == 1) {
        return kernel_new_fd(k, GROUP, number);
    }
    return kernel_fail(ENOENT);
}

static int fake_close(const VfioSys *sys, int fd)
{
    FakeKernel *k = kernel(sys);
    Fd *f = kernel_fd(k, fd);

    if (f->kind == DEVICE) {
        KernelDevice *d = &k->devices[f->number];

        g_assert_cmpuint(d->attached, ==, 0);
        d->bound = false;
        for (unsigned i = 0; i < KERNEL_IRQS; i++) {
            if (d->eventfd[i] >= 0) {
                close(d->eventfd[i]);
                d->eventfd[i] = -1;
            }
        }
    } else if (f->kind == GROUP) {
        g_assert_cmpint(f->container, ==, -1);
    } else if (f->kind == CONTAINER) {
        g_assert_cmpuint(f->groups, ==, 0);
    }
    g_hash_table_remove(k->fds, GINT_TO_POINTER(fd));
    return close(fd);
}

/* ---- regions ---- */

static uint64_t content_size(const KernelRegion *region)
{
    return MIN(region->size, CONTENT_MAX);
}

/* The bytes at @offset of the descriptor, or NULL and errno. */
static uint8_t *content(FakeKernel *k, const Fd *f, uint64_t offset,
                        uint64_t len, unsigned *index)
{
    for (unsigned i = 0; i < KERNEL_REGIONS; i++) {
        const KernelRegion *region = &k->regions[i];

        if (offset >= region->offset &&
            range_fits_u64(offset - region->offset, len,
                           content_size(region))) {
            *index = i;
            return k->devices[f->number].bytes[i] + (offset - region->offset);
        }
    }
    errno = EINVAL;
    return NULL;
}

static ssize_t access_bytes(const VfioSys *sys, int fd, void *out,
                            const void *in, size_t len, uint64_t offset)
{
    FakeKernel *k = kernel(sys);
    Fd *f = kernel_fd(k, fd);
    unsigned index;
    uint8_t *bytes;

    if (strikes(k)) {
        return -1;
    }
    g_assert_cmpint(f->kind, ==, DEVICE);
    bytes = content(k, f, offset, len, &index);
    if (!bytes) {
        return -1;
    }
    k->devices[f->number].accesses++;
    if (k->regions[index].access_errno) {
        return kernel_fail(k->regions[index].access_errno);
    }
    if (out) {
        memcpy(out, bytes, len);
    } else {
        memcpy(bytes, in, len);
    }
    return (ssize_t)len;
}

static ssize_t fake_pread(const VfioSys *sys, int fd, void *buf, size_t len,
                          uint64_t offset)
{
    return access_bytes(sys, fd, buf, NULL, len, offset);
}

static ssize_t fake_pwrite(const VfioSys *sys, int fd, const void *buf,
                           size_t len, uint64_t offset)
{
    return access_bytes(sys, fd, NULL, buf, len, offset);
}

static ssize_t fake_read(const VfioSys *sys, int fd, void *buf, size_t len)
{
    (void)buf;
    (void)len;
    kernel_fd(kernel(sys), fd);
    return kernel_fail(EINVAL);
}

static ssize_t fake_write(const VfioSys *sys, int fd, const void *buf,
                          size_t len)
{
    (void)buf;
    (void)len;
    kernel_fd(kernel(sys), fd);
    return kernel_fail(EINVAL);
}

static void *fake_mmap(const VfioSys *sys, int fd, size_t len, int prot,
                       uint64_t offset)
{
    FakeKernel *k = kernel(sys);
    Fd *f = kernel_fd(k, fd);
    unsigned index;
    uint8_t *bytes;

    (void)prot;
    if (strikes(k)) {
        return MAP_FAILED;
    }
    g_assert_cmpuint(len, >, 0);
    bytes = content(k, f, offset, len, &index);
    if (!bytes) {
        return MAP_FAILED;
    }
    if (k->regions[index].mmap_errno) {
        errno = k->regions[index].mmap_errno;
        return MAP_FAILED;
    }
    k->mmaps++;
    return bytes;
}

static int fake_munmap(const VfioSys *sys, void *addr, size_t len)
{
    FakeKernel *k = kernel(sys);

    g_assert_nonnull(addr);
    g_assert_cmpuint(len, >, 0);
    g_assert_cmpuint(k->mmaps, >, 0);
    k->mmaps--;
    return 0;
}

static int region_info(FakeKernel *k, struct vfio_region_info *info)
{
    const KernelRegion *region = &k->regions[info->index];
    uint32_t given = info->argsz;

    if (info->index >= KERNEL_REGIONS) {
        return kernel_fail(EINVAL);
    }
    info->size = region->size;
    info->offset = region->offset;
    info->flags = region->flags;
    info->cap_offset = 0;
    info->argsz = sizeof(*info) + (uint32_t)region->caps_len;
    info->index += region->other_index;
    if (given >= info->argsz && region->caps_len) {
        memcpy(info + 1, region->caps, region->caps_len);
        info->cap_offset = region->cap_offset;
    }
    if (region->argsz) {
        info->argsz = region->argsz;
    }
    return 0;
}

/* ---- interrupts ---- */

static void tell(KernelDevice *d, unsigned index)
{
    uint64_t one = 1;

    g_assert_cmpint(write(d->eventfd[index], &one, sizeof(one)), ==,
                    sizeof(one));
}

void fake_kernel_raise(FakeKernel *k, unsigned n, unsigned index)
{
    KernelDevice *d = &k->devices[n];

    if (d->eventfd[index] < 0) {
        return;
    }
    if (index == VFIO_PCI_INTX_IRQ_INDEX) {
        if (d->masked) {
            d->pending = true;
            return;
        }
        d->masked = true;
    }
    tell(d, index);
}

static int set_irqs(FakeKernel *k, KernelDevice *d, unsigned n,
                    const struct vfio_irq_set *set)
{
    uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
    int *slot;

    if (set->index >= KERNEL_IRQS || set->start ||
        set->count > k->irq_count[set->index]) {
        return kernel_fail(EINVAL);
    }
    slot = &d->eventfd[set->index];
    if (action == VFIO_IRQ_SET_ACTION_TRIGGER) {
        int32_t fd = -1;

        if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
            g_assert_cmpuint(set->argsz, ==, sizeof(*set) + sizeof(fd));
            memcpy(&fd, set->data, sizeof(fd));
        } else {
            g_assert_cmpuint(set->count, ==, 0);
        }
        if (*slot >= 0) {
            close(*slot);
        }
        *slot = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        d->masked = d->pending = false;
        return 0;
    }
    if (set->index != VFIO_PCI_INTX_IRQ_INDEX || *slot < 0) {
        return kernel_fail(EINVAL);
    }
    d->masked = action == VFIO_IRQ_SET_ACTION_MASK;
    if (!d->masked && d->pending) {
        d->pending = false;
        fake_kernel_raise(k, n, VFIO_PCI_INTX_IRQ_INDEX);
    }
    return 0;
}

/* ---- devices ---- */

static int attach(FakeKernel *k, KernelDevice *d, uint32_t id)
{
    g_assert_true(g_hash_table_contains(k->objects, GUINT_TO_POINTER(id)));
    g_assert_true(d->bound);
    for (unsigned i = 0; k->hwpt_apart && i < KERNEL_DEVICES; i++) {
        if (k->devices[i].attached == id) {
            return kernel_fail(EINVAL);
        }
    }
    d->attached = id;
    return 0;
}

static int device_ioctl(FakeKernel *k, const Fd *f, unsigned long request,
                        void *arg)
{
    KernelDevice *d = &k->devices[f->number];

    switch (request) {
    case VFIO_DEVICE_BIND_IOMMUFD: {
        struct vfio_device_bind_iommufd *bind = arg;

        g_assert_cmpint(kernel_fd(k, bind->iommufd)->kind, ==, IOMMU);
        d->bound = true;
        bind->out_devid = 100 + f->number;
        return 0;
    }
    case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
        return attach(k, d, ((struct vfio_device_attach_iommufd_pt *)arg)
                                ->pt_id);
    case VFIO_DEVICE_DETACH_IOMMUFD_PT:
        g_assert_cmpuint(d->attached, !=, 0);
        d->attached = 0;
        return 0;
    case VFIO_DEVICE_GET_INFO: {
        struct vfio_device_info *info = arg;

        info->flags = k->device_flags;
        info->num_regions = k->num_regions;
        info->num_irqs = k->num_irqs;
        return 0;
    }
    case VFIO_DEVICE_GET_REGION_INFO:
        return region_info(k, arg);
    case VFIO_DEVICE_GET_IRQ_INFO: {
        struct vfio_irq_info *info = arg;

        /* INTx that is not there is a number of 0, ERR and REQ an error. */
        if (info->index >= KERNEL_IRQS ||
            (info->index > VFIO_PCI_MSIX_IRQ_INDEX &&
             !k->irq_count[info->index])) {
            return kernel_fail(EINVAL);
        }
        info->flags = k->irq_flags[info->index];
        info->count = k->irq_count[info->index];
        return 0;
    }
    case VFIO_DEVICE_SET_IRQS:
        return set_irqs(k, d, f->number, arg);
    case VFIO_DEVICE_RESET:
        d->resets++;
        d->masked = d->pending = false;
        return 0;
    }
    return kernel_fail(ENOTTY);
}

static int fake_ioctl(const VfioSys *sys, int fd, unsigned long request,
                      void *arg)
{
    FakeKernel *k = kernel(sys);
    Fd *f = kernel_fd(k, fd);
    bool undo = request == VFIO_DEVICE_DETACH_IOMMUFD_PT ||
                request == VFIO_GROUP_UNSET_CONTAINER ||
                request == IOMMU_DESTROY || request == IOMMU_IOAS_UNMAP ||
                request == VFIO_IOMMU_UNMAP_DMA;

    /* What takes back is not allowed to fail, as in a kernel. */
    if (!undo && strikes(k)) {
        return -1;
    }
    if (request == k->fail_request) {
        return kernel_fail(k->fail_request_errno);
    }
    switch (f->kind) {
    case IOMMU:
        return kernel_iommu_ioctl(k, request, arg);
    case DEVICE:
        return device_ioctl(k, f, request, arg);
    case GROUP:
        return kernel_group_ioctl(k, f, request, arg);
    default:
        return kernel_container_ioctl(k, f, fd, request, arg);
    }
}

/* ---- the whole of it ---- */

static void put(FakeKernel *k, unsigned at, uint32_t value, unsigned bytes)
{
    for (unsigned n = 0; n < KERNEL_DEVICES; n++) {
        for (unsigned i = 0; i < bytes; i++) {
            k->devices[n].bytes[VFIO_PCI_CONFIG_REGION_INDEX][at + i] =
                (uint8_t)(value >> 8 * i);
        }
    }
}

static void fill_config(FakeKernel *k)
{
    put(k, 0x00, 0x43218086, 4);        /* ids */
    put(k, 0x06, 0x0010, 2);            /* capabilities */
    put(k, 0x08, 0x03020007, 4);        /* class and revision */
    put(k, 0x18, 0x0000000c, 4);        /* BAR 2: 64 bits, prefetchable */
    put(k, 0x2c, 0x00021111, 4);        /* subsystem */
    put(k, 0x34, 0x40, 1);
    put(k, 0x3d, 1, 1);                 /* INTA */
    put(k, 0x40, 0x00035001, 4);        /* power management, next 50 */
    put(k, 0x50, 0x00076011, 4);        /* MSI-X of 8, next 60 */
    put(k, 0x54, 0x12345678, 4);
    put(k, 0x60, 0x00020010, 4);        /* Express v2, endpoint, the last */
    put(k, 0x64, 0x10008000, 4);
    put(k, 0x6c, 0x00437843, 4);        /* link */
    put(k, 0x72, 0x1043, 2);
    put(k, 0xf0, 0xcafe, 2);            /* what only its driver knows */
}

FakeKernel *fake_kernel_new(void)
{
    static const uint64_t sizes[KERNEL_REGIONS] = {
        4096, 0, 65536, 0, 0, 0, 4096, 256, 0,
    };
    FakeKernel *k = g_new0(FakeKernel, 1);

    k->sys = (VfioSys){
        fake_open, fake_ioctl, fake_read, fake_write, fake_pread, fake_pwrite,
        fake_mmap, fake_munmap, fake_close, k,
    };
    k->fds = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    k->objects = g_hash_table_new(NULL, NULL);
    k->dirty = g_hash_table_new(NULL, NULL);
    k->maps = g_array_new(FALSE, FALSE, sizeof(KernelMap));
    k->alignment = 4096;
    k->range_count = 2;
    k->ranges[0] = (struct iommu_iova_range){ 0, 0xfedfffff };
    k->ranges[1] = (struct iommu_iova_range){ 0xfef00000, 0xffffffffffff };
    k->device_flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
    k->num_regions = KERNEL_REGIONS;
    k->num_irqs = KERNEL_IRQS;
    for (unsigned i = 0; i < KERNEL_IRQS; i++) {
        k->irq_flags[i] = VFIO_IRQ_INFO_EVENTFD;
        k->irq_count[i] = 1;
    }
    k->irq_flags[VFIO_PCI_INTX_IRQ_INDEX] |= VFIO_IRQ_INFO_MASKABLE |
                                             VFIO_IRQ_INFO_AUTOMASKED;
    for (unsigned i = 0; i < KERNEL_REGIONS; i++) {
        k->regions[i].size = sizes[i];
        k->regions[i].offset = (uint64_t)i << 40;
        k->regions[i].flags = sizes[i] ? VFIO_REGION_INFO_FLAG_READ |
                                         VFIO_REGION_INFO_FLAG_WRITE : 0;
    }
    k->regions[2].flags |= VFIO_REGION_INFO_FLAG_MMAP;
    for (unsigned n = 0; n < KERNEL_DEVICES; n++) {
        memset(k->devices[n].eventfd, -1, sizeof(k->devices[n].eventfd));
        for (unsigned i = 0; i < KERNEL_REGIONS; i++) {
            k->devices[n].bytes[i] = g_malloc0(CONTENT_MAX);
        }
    }
    fill_config(k);
    return k;
}

void fake_kernel_free(FakeKernel *k)
{
    fake_kernel_assert_idle(k);
    for (unsigned n = 0; n < KERNEL_DEVICES; n++) {
        for (unsigned i = 0; i < KERNEL_REGIONS; i++) {
            g_free(k->devices[n].bytes[i]);
        }
    }
    g_array_unref(k->maps);
    g_hash_table_unref(k->dirty);
    g_hash_table_unref(k->objects);
    g_hash_table_unref(k->fds);
    g_free(k);
}

char *fake_kernel_device(FakeKernel *k, unsigned n)
{
    return g_strdup_printf("%d", kernel_new_fd(k, DEVICE, n));
}

char *fake_kernel_iommufd(FakeKernel *k)
{
    return g_strdup_printf("%d", kernel_new_fd(k, IOMMU, 0));
}

void fake_kernel_closed(FakeKernel *k, const char *fd)
{
    g_assert_cmpint(fcntl(atoi(fd), F_GETFD), ==, -1);
    g_assert_true(g_hash_table_remove(k->fds, GINT_TO_POINTER(atoi(fd))));
}

void fake_kernel_assert_idle(const FakeKernel *k)
{
    g_assert_cmpuint(g_hash_table_size(k->fds), ==, 0);
    g_assert_cmpuint(k->maps->len, ==, 0);
    g_assert_cmpuint(k->mmaps, ==, 0);
    g_assert_cmpuint(g_hash_table_size(k->objects), ==, 0);
    g_assert_cmpuint(k->tracking, ==, 0);
}
