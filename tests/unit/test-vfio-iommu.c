/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How devices of the host are opened and what their DMA reaches, in each of
 * the ways there are: whatever fails, nothing is left.
 */
#include <errno.h>
#include <string.h>

#include "vfio-rig.h"

typedef enum Way { BY_FD, BY_NODE, BY_NODE_OWN_IOMMUFD, BY_GROUP, WAYS } Way;

/* Device @n in one of the ways there are. */
static VfioPci *plug(VfioRig *rig, Way way, unsigned n, Error **errp)
{
    g_autofree char *folder = NULL;
    g_autofree char *fd = NULL;

    if ((way == BY_FD || way == BY_NODE) && !rig->iommufd) {
        vfio_rig_iommufd(rig);
    }
    if (way == BY_FD) {
        fd = fake_kernel_device(rig->k, n);
        return vfio_rig_try(rig, errp, "fd", fd, NULL);
    }
    folder = g_strdup_printf("%s/0000:01:00.%u", rig->sysfs, n);
    if (!rig->sysfs || !g_file_test(folder, G_FILE_TEST_EXISTS)) {
        g_free(folder);
        folder = vfio_rig_folder(rig, n, way != BY_GROUP);
    }
    return vfio_rig_try(rig, errp, "sysfsdev", folder, NULL);
}

static VfioPci *must_plug(VfioRig *rig, Way way, unsigned n)
{
    Error *err = NULL;
    VfioPci *vp = plug(rig, way, n, &err);

    g_assert_no_error(err);
    return vp;
}

/* The mapping of what is at @iova; how many there are of it. */
static unsigned find_map(const VfioRig *rig, uint64_t iova, KernelMap *map)
{
    unsigned count = 0;

    for (guint i = 0; i < rig->k->maps->len; i++) {
        const KernelMap *m = &g_array_index(rig->k->maps, KernelMap, i);

        if (m->iova == iova) {
            *map = *m;
            count++;
        }
    }
    return count;
}

/* All RAM is mapped once, ROM for reading, and nothing else. */
static void check_maps(const VfioRig *rig)
{
    KernelMap map = { 0 };

    g_assert_cmpuint(rig->k->maps->len, ==, 2);
    g_assert_cmpuint(find_map(rig, RIG_RAM, &map), ==, 1);
    g_assert_cmphex(map.size, ==, RIG_RAM_BYTES);
    g_assert_true(map.writable);
    g_assert_cmpuint(find_map(rig, RIG_ROM, &map), ==, 1);
    g_assert_cmphex(map.size, ==, RIG_ROM_BYTES);
    g_assert_false(map.writable);
}

/* What is left when no device is there: the descriptor of the object. */
static void check_idle(const VfioRig *rig)
{
    g_assert_cmpuint(g_hash_table_size(rig->k->fds), ==,
                     rig->iommufd ? 1 : 0);
    g_assert_cmpuint(rig->k->maps->len, ==, 0);
    g_assert_cmpuint(rig->k->mmaps, ==, 0);
    g_assert_cmpuint(g_hash_table_size(rig->k->objects), ==, 0);
    g_assert_null(rig->vm->vfio);
}

static void test_ways(VfioRig *rig, gconstpointer data)
{
    Way way = GPOINTER_TO_UINT(data);
    VfioPci *vp = must_plug(rig, way, 0);

    check_maps(rig);
    g_assert_cmpstr(vp->vdev.iommu->ops->name, ==,
                    way == BY_GROUP ? "container" : "iommufd");
    if (way != BY_FD) {
        g_assert_cmpstr(vp->vdev.name, ==, "0000:01:00.0");
    }
    device_free(&vp->pci.dev);
    check_idle(rig);
    /* And once more. */
    device_free(&must_plug(rig, way, 0)->pci.dev);
    check_idle(rig);
}

/*
 * Every call of the kernel fails once, the first, the second, ...: each either
 * is an error and leaves nothing, or was not needed and leaves a device.
 */
static void test_each_call_fails(VfioRig *rig, gconstpointer data)
{
    Way way = GPOINTER_TO_UINT(data);
    unsigned count, failed = 0;

    device_free(&must_plug(rig, way, 0)->pci.dev);
    rig->k->calls = 0;
    device_free(&must_plug(rig, way, 0)->pci.dev);
    count = rig->k->calls;
    g_assert_cmpuint(count, >, 20);
    for (unsigned i = 1; i <= count; i++) {
        g_autoptr(Error) err = NULL;
        VfioPci *vp;

        rig->k->calls = 0;
        rig->k->fail_at = i;
        rig->k->fail_errno = EIO;
        vp = plug(rig, way, 0, &err);
        g_assert_true(!vp == !!err);
        if (vp) {
            g_assert_cmpuint(rig->k->maps->len, ==, 2);
            device_free(&vp->pci.dev);
        } else {
            g_assert_nonnull(strstr(err->message, "device 'vfio-pci'"));
            failed++;
        }
        rig->k->fail_at = 0;
        check_idle(rig);
    }
    g_assert_cmpuint(failed, >, 15);
}

/* The same while another device is there, which is not harmed. */
static void test_second_fails(VfioRig *rig, gconstpointer data)
{
    Way way = GPOINTER_TO_UINT(data);
    VfioPci *first = must_plug(rig, way, 0);
    unsigned count, fds = g_hash_table_size(rig->k->fds);

    rig->k->calls = 0;
    device_free(&must_plug(rig, way, 1)->pci.dev);
    count = rig->k->calls;
    for (unsigned i = 1; i <= count; i++) {
        g_autoptr(Error) err = NULL;
        VfioPci *vp;

        rig->k->calls = 0;
        rig->k->fail_at = i;
        rig->k->fail_errno = EIO;
        vp = plug(rig, way, 1, &err);
        g_assert_true(!vp == !!err);
        device_free(vp ? &vp->pci.dev : NULL);
        rig->k->fail_at = 0;
        g_assert_cmpuint(g_hash_table_size(rig->k->fds), ==, fds);
        check_maps(rig);
    }
    vfio_rig_place(first);
    g_assert_cmphex(hw_read(rig->vm, RIG_BAR0, 4), ==, 0);
    device_free(&first->pci.dev);
    check_idle(rig);
}

static void test_shared(VfioRig *rig, gconstpointer data)
{
    Way way = GPOINTER_TO_UINT(data);
    VfioPci *first = must_plug(rig, way, 0);
    VfioPci *second = must_plug(rig, way, 1);

    g_assert_true(first->vdev.iommu == second->vdev.iommu);
    g_assert_cmpuint(first->vdev.iommu->devices, ==, 2);
    check_maps(rig);
    /* Not in the order in which they came. */
    device_free(&first->pci.dev);
    check_maps(rig);
    first = must_plug(rig, way, 0);
    device_free(&second->pci.dev);
    check_maps(rig);
    device_free(&first->pci.dev);
    check_idle(rig);
}

/* ---- iommufd ---- */

static void test_page_tables(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp[3];

    (void)data;
    rig->k->hwpt_apart = true;
    for (unsigned n = 0; n < 3; n++) {
        vp[n] = must_plug(rig, BY_FD, n);
    }
    /* One address space, a page table for each. */
    g_assert_cmpuint(g_hash_table_size(rig->k->objects), ==, 4);
    check_maps(rig);
    device_free(&vp[1]->pci.dev);
    g_assert_cmpuint(g_hash_table_size(rig->k->objects), ==, 3);
    device_free(&vp[0]->pci.dev);
    device_free(&vp[2]->pci.dev);
    check_idle(rig);
}

static void test_without_page_tables(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp;

    (void)data;
    rig->k->tracks = true;
    rig->k->hwpt_refused = true;
    vp = must_plug(rig, BY_FD, 0);
    g_assert_false(vp->vdev.iommu->ops->can_track_dirty(vp->vdev.iommu));
    check_maps(rig);
    device_free(&vp->pci.dev);
    rig->k->no_hw_info = true;
    device_free(&must_plug(rig, BY_FD, 0)->pci.dev);
    check_idle(rig);
}

static void test_ranges(VfioRig *rig, gconstpointer data)
{
    FakeKernel *k = rig->k;

    (void)data;
    k->ranges[0].last = RIG_RAM + RIG_RAM_BYTES - 2;
    vfio_rig_refused(rig, 0, "RAM block 'ram' at 0x80000000 to 0x800fffff is "
                     "not within one range");
    k->ranges[0].last = RIG_RAM + 0xffff;
    k->ranges[1].start = RIG_RAM + 0x10000;
    vfio_rig_refused(rig, 0, "0x0 to 0x8000ffff, 0x80010000 to "
                     "0xffffffffffff");
    k->ranges[0].last = UINT64_MAX;
    k->ranges[0].start = 0x2000;
    vfio_rig_refused(rig, 0, "RAM block 'rom'");
    k->ranges[0].start = 0;
    k->range_count = 8;
    device_free(&must_plug(rig, BY_FD, 0)->pci.dev);
    k->alignment = 65536;
    vfio_rig_refused(rig, 0, "translates multiples of 0x10000");
    k->alignment = 0;
    vfio_rig_refused(rig, 0, "with alignment 0x0");
    k->alignment = 3;
    vfio_rig_refused(rig, 0, "with alignment 0x3");
    k->alignment = 4096;
    k->range_count = 0;
    vfio_rig_refused(rig, 0, "translates: nothing");
    k->ranges_said = UINT32_MAX;
    vfio_rig_refused(rig, 0, "at most 4096 ranges");
    k->ranges_said = 4097;
    vfio_rig_refused(rig, 0, "at most 4096 ranges");
}

static void test_object_in_use(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp = must_plug(rig, BY_FD, 0);
    Error *err = NULL;

    (void)data;
    g_assert_false(object_del(rig->vm, "i0", &err));
    g_assert_nonnull(strstr(err->message, "in use"));
    g_clear_error(&err);
    device_free(&vp->pci.dev);
    g_assert_true(object_del(rig->vm, "i0", &err));
}

/* ---- groups ---- */

static void test_group_shared(VfioRig *rig, gconstpointer data)
{
    g_autofree char *one = vfio_rig_folder(rig, 0, false);
    g_autofree char *two = g_strconcat(rig->sysfs, "/0000:01:00.1", NULL);
    g_autofree char *link = g_build_filename(two, "iommu_group", NULL);
    VfioPci *first, *second;

    (void)data;
    /* Two functions in one group. */
    g_assert_cmpint(g_mkdir_with_parents(two, 0700), ==, 0);
    g_assert_cmpint(symlink("../../groups/0", link), ==, 0);
    first = vfio_rig_try(rig, NULL, "sysfsdev", one, NULL);
    second = vfio_rig_try(rig, NULL, "sysfsdev", two, NULL);
    g_assert_nonnull(first);
    g_assert_nonnull(second);
    /* Container, group, two devices. */
    g_assert_cmpuint(g_hash_table_size(rig->k->fds), ==, 4);
    device_free(&first->pci.dev);
    check_maps(rig);
    device_free(&second->pci.dev);
    check_idle(rig);
}

static void test_groups_apart(VfioRig *rig, gconstpointer data)
{
    VfioPci *first = must_plug(rig, BY_GROUP, 0), *second;

    (void)data;
    rig->k->group_apart = true;
    second = must_plug(rig, BY_GROUP, 1);
    g_assert_true(first->vdev.iommu != second->vdev.iommu);
    g_assert_cmpuint(rig->k->maps->len, ==, 4);
    device_free(&first->pci.dev);
    check_maps(rig);
    device_free(&second->pci.dev);
    check_idle(rig);
}

static void refuse_group(VfioRig *rig, const char *message)
{
    g_autoptr(Error) err = NULL;

    g_assert_null(plug(rig, BY_GROUP, 0, &err));
    if (!strstr(err->message, message)) {
        g_error("'%s' is not in '%s'", message, err->message);
    }
    check_idle(rig);
}

static void test_group_errors(VfioRig *rig, gconstpointer data)
{
    FakeKernel *k = rig->k;
    /* One range, where the head says that there are two. */
    struct {
        struct vfio_info_cap_header header;
        uint32_t nr_iovas, reserved;
        struct vfio_iova_range range;
    } caps = {
        { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 }, 2, 0, { 0, 1 },
    };

    (void)data;
    k->not_viable = true;
    refuse_group(rig, "group 0 is not viable");
    k->not_viable = false;
    k->no_type1 = true;
    refuse_group(rig, "no IOMMU of type 1 version 2");
    k->no_type1 = false;
    k->ranges[0].last = RIG_RAM;
    refuse_group(rig, "RAM block 'ram'");
    k->ranges[0].last = 0xfedfffff;
    k->alignment = 65536;
    refuse_group(rig, "translates multiples of 0x10000");
    k->alignment = 0;
    refuse_group(rig, "pages of no size");
    k->alignment = 4096;
    k->info_caps = &caps;
    k->info_caps_len = sizeof(caps);
    k->info_cap_offset = offsetof(struct vfio_iommu_type1_info, cap_offset) +
                         4;
    refuse_group(rig, "names 2 ranges, more than it holds");
    caps.nr_iovas = UINT32_MAX;
    refuse_group(rig, "names 4294967295 ranges");
    caps.header.id = 77;
    caps.header.next = k->info_cap_offset;
    refuse_group(rig, "form a loop");
    caps.header.next = 4096;
    refuse_group(rig, "a capability at 4096");
    k->fail_request = VFIO_IOMMU_MAP_DMA;
    k->fail_request_errno = ENOMEM;
    k->info_caps = NULL;
    refuse_group(rig, "ulimit -l");
}

/* ---- dirty pages ---- */

static bool query(VfioPci *vp, uint64_t iova, uint64_t pages, uint64_t *bitmap)
{
    return vp->vdev.iommu->ops->query_dirty(vp->vdev.iommu, iova,
                                            pages * GUEST_PAGE_SIZE, bitmap,
                                            NULL);
}

static void test_dirty(VfioRig *rig, gconstpointer data)
{
    Way way = GPOINTER_TO_UINT(data);
    uint64_t bitmap[4] = { 0 };
    const VfioIommuOps *ops;
    VfioPci *vp, *other;

    rig->k->hwpt_apart = true;
    vp = must_plug(rig, way, 0);
    ops = vp->vdev.iommu->ops;
    g_assert_false(ops->can_track_dirty(vp->vdev.iommu));
    device_free(&vp->pci.dev);

    rig->k->tracks = true;
    vp = must_plug(rig, way, 0);
    other = must_plug(rig, way, 1);
    g_assert_true(ops->can_track_dirty(vp->vdev.iommu));
    g_assert_true(ops->set_dirty_tracking(vp->vdev.iommu, true, NULL));
    fake_kernel_write(rig->k, RIG_RAM);
    fake_kernel_write(rig->k, RIG_RAM + 5 * GUEST_PAGE_SIZE);
    fake_kernel_write(rig->k, RIG_RAM + 64 * GUEST_PAGE_SIZE);
    fake_kernel_write(rig->k, RIG_RAM + RIG_RAM_BYTES - 1);
    /* A part at a time: what was not asked for is not lost. */
    bitmap[0] = 2;
    g_assert_true(query(vp, RIG_RAM + 64 * GUEST_PAGE_SIZE, 64, bitmap));
    g_assert_cmphex(bitmap[0], ==, 3);
    bitmap[0] = 0;
    g_assert_true(query(vp, RIG_RAM, 256, bitmap));
    g_assert_cmphex(bitmap[0], ==, 0x21);
    g_assert_cmphex(bitmap[1], ==, 0);
    g_assert_cmphex(bitmap[2], ==, 0);
    g_assert_cmphex(bitmap[3], ==, UINT64_C(1) << 63);
    memset(bitmap, 0, sizeof(bitmap));
    g_assert_true(query(vp, RIG_RAM, 256, bitmap));
    g_assert_cmphex(bitmap[0] | bitmap[3], ==, 0);

    rig->k->fail_request = way == BY_GROUP ? VFIO_IOMMU_DIRTY_PAGES
                                           : IOMMU_HWPT_GET_DIRTY_BITMAP;
    rig->k->fail_request_errno = EFAULT;
    g_assert_false(query(vp, RIG_RAM, 256, bitmap));
    rig->k->fail_request = 0;
    g_assert_true(ops->set_dirty_tracking(vp->vdev.iommu, false, NULL));
    g_assert_cmpuint(rig->k->tracking, ==, 0);

    /* The second page table does not want to: none does. */
    rig->k->calls = 0;
    rig->k->fail_at = way == BY_GROUP ? 1 : 2;
    rig->k->fail_errno = EIO;
    g_assert_false(ops->set_dirty_tracking(vp->vdev.iommu, true, NULL));
    rig->k->fail_at = 0;
    g_assert_cmpuint(rig->k->tracking, ==, 0);
    device_free(&other->pci.dev);
    device_free(&vp->pci.dev);
}

/* ---- what a user may ask for ---- */

static void refuse(VfioRig *rig, const char *message, const char *name,
                   const char *value, const char *name2, const char *value2)
{
    g_autoptr(Error) err = NULL;

    g_assert_null(vfio_rig_try(rig, &err, name, value, name2, value2, NULL));
    if (!strstr(err->message, message)) {
        g_error("'%s' is not in '%s'", message, err->message);
    }
    check_idle(rig);
}

static void test_options(VfioRig *rig, gconstpointer data)
{
    g_autofree char *folder = vfio_rig_folder(rig, 0, false);
    g_autofree char *nothing = g_strconcat(rig->sysfs, "/none", NULL);

    (void)data;
    refuse(rig, "none of host=, sysfsdev= and fd=", NULL, NULL, NULL, NULL);
    refuse(rig, "more than one of", "fd", "1", "host", "01:00.0");
    refuse(rig, "property 'fd' needs iommufd=", "fd", "1", NULL, NULL);
    refuse(rig, "no device at", "sysfsdev", nothing, NULL, NULL);
    g_assert_cmpint(g_mkdir_with_parents(nothing, 0700), ==, 0);
    refuse(rig, "neither vfio-dev/vfioN nor an iommu_group", "sysfsdev",
           nothing, NULL, NULL);
    for (unsigned i = 0; i < 7; i++) {
        static const char *const wrong[] = {
            "", "1", "00:20.0", "00:00.8", "0000:01:00.0x", "-1:00.0",
            "0:0:0:0.0",
        };

        refuse(rig, "is not an address like 0000:01:00.0", "host", wrong[i],
               NULL, NULL);
    }
    refuse(rig, "/sys/bus/pci/devices/abcd:ef:1f.7", "host", "abcd:ef:1f.7",
           NULL, NULL);
    refuse(rig, "/sys/bus/pci/devices/0000:ef:1f.7", "host", "ef:1f.7", NULL,
           NULL);
    vfio_rig_iommufd(rig);
    refuse(rig, "has no vfio-dev/vfioN", "sysfsdev", folder, NULL, NULL);
    refuse(rig, "property 'fd': ", "fd", "99", NULL, NULL);
    refuse(rig, "property 'fd': ", "fd", "nobody", NULL, NULL);
}

/* Without /dev/iommu a device with a node of its own goes the old way. */
static void test_fall_back(VfioRig *rig, gconstpointer data)
{
    VfioPci *vp;

    (void)data;
    rig->k->no_iommufd = true;
    vp = must_plug(rig, BY_NODE_OWN_IOMMUFD, 0);
    g_assert_cmpstr(vp->vdev.iommu->ops->name, ==, "container");
}

int main(int argc, char **argv)
{
    static const char *const ways[WAYS] = { "fd", "node", "own-iommufd",
                                            "group" };
    static const struct {
        const char *name;
        void (*fn)(VfioRig *rig, gconstpointer data);
    } tests[] = {
        { "life", test_ways },
        { "each-call-fails", test_each_call_fails },
        { "second-fails", test_second_fails },
        { "shared", test_shared },
        { "dirty", test_dirty },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        for (unsigned way = 0; way < WAYS; way++) {
            g_autofree char *path = g_strdup_printf("/vfio-iommu/%s/%s",
                                                    tests[i].name, ways[way]);

            g_test_add(path, VfioRig, GUINT_TO_POINTER(way),
                       vfio_rig_set_up, tests[i].fn, vfio_rig_tear_down);
        }
    }
#define ADD(name, fn) \
    g_test_add("/vfio-iommu/" name, VfioRig, NULL, vfio_rig_set_up, fn, \
               vfio_rig_tear_down)
    ADD("page-tables", test_page_tables);
    ADD("without-page-tables", test_without_page_tables);
    ADD("ranges", test_ranges);
    ADD("object-in-use", test_object_in_use);
    ADD("group-shared", test_group_shared);
    ADD("groups-apart", test_groups_apart);
    ADD("group-errors", test_group_errors);
    ADD("options", test_options);
    ADD("fall-back", test_fall_back);
    return g_test_run();
}
