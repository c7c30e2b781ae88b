/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways in which a VMM meets a device: descriptors of iommufd and device
 * that it was given; its cdev and /dev/iommu, found under a folder of sysfs;
 * or its group and a container, found there. One thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vfio-client.h"

static void realize_iommu(void)
{
    struct vfio_device_bind_iommufd bind = {sizeof(bind), 0, vmm.iommufd};
    struct iommu_ioas_alloc ioas = {sizeof(ioas)};
    struct iommu_hw_info info = {sizeof(info)};
    struct iommu_hwpt_alloc hwpt = {sizeof(hwpt)};
    struct vfio_device_attach_iommufd_pt attach = {sizeof(attach)};
    struct iommu_iova_range found[8];
    struct iommu_ioas_iova_ranges ranges = {sizeof(ranges)};
    struct iommu_ioas_map map = {sizeof(map)};

    say("unknown-ioctl", ioctl(vmm.iommufd, _IO(';', 0x92), &ioas) ? errno : 0);
    must("bind", ioctl(vmm.device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
    must("ioas-alloc", ioctl(vmm.iommufd, IOMMU_IOAS_ALLOC, &ioas));
    info.dev_id = hwpt.dev_id = bind.out_devid;
    must("hw-info", ioctl(vmm.iommufd, IOMMU_GET_HW_INFO, &info));
    vmm.can_track = info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
    hwpt.pt_id = ioas.out_ioas_id;
    hwpt.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    if (!vmm.can_track) {
        say("hwpt-with-tracking",
            ioctl(vmm.iommufd, IOMMU_HWPT_ALLOC, &hwpt) ? errno : 0);
        hwpt.flags = 0;
    }
    must("hwpt-alloc", ioctl(vmm.iommufd, IOMMU_HWPT_ALLOC, &hwpt));
    vmm.page_table = attach.pt_id = hwpt.out_hwpt_id;
    must("attach", ioctl(vmm.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
    ranges.ioas_id = ioas.out_ioas_id;
    say("ranges-too-small",
        ioctl(vmm.iommufd, IOMMU_IOAS_IOVA_RANGES, &ranges) ? errno : 0);
    ranges.allowed_iovas = (uintptr_t)found;
    must("ranges", ioctl(vmm.iommufd, IOMMU_IOAS_IOVA_RANGES, &ranges));
    map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
                IOMMU_IOAS_MAP_WRITEABLE;
    map.ioas_id = ioas.out_ioas_id;
    map.user_va = (uintptr_t)vmm.ram;
    map.length = RAM_BYTES;
    must("map", ioctl(vmm.iommufd, IOMMU_IOAS_MAP, &map));
    say("map-twice", ioctl(vmm.iommufd, IOMMU_IOAS_MAP, &map) ? errno : 0);
}

/* The cdev as the kernel's sysfs tells it: the device number must be right. */
static int open_cdev(const char *sysfs)
{
    char path[600], name[64] = "";
    unsigned major_nr, minor_nr;
    const struct dirent *entry;
    struct stat st;
    DIR *folder;
    FILE *file;
    int fd;

    snprintf(path, sizeof(path), "%s/vfio-dev", sysfs);
    folder = opendir(path);
    must("vfio-dev", folder ? 0 : -1);
    while ((entry = readdir(folder))) {
        if (!strncmp(entry->d_name, "vfio", 4)) {
            snprintf(name, sizeof(name), "%.60s", entry->d_name);
        }
    }
    closedir(folder);
    snprintf(path, sizeof(path), "%s/vfio-dev/%s/dev", sysfs, name);
    file = fopen(path, "r");
    must("dev", file && fscanf(file, "%u:%u", &major_nr, &minor_nr) == 2 ? 0
                                                                         : -1);
    fclose(file);
    snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
    must("stat-cdev", stat(path, &st));
    fd = must("open-cdev", open(path, O_RDWR | O_CLOEXEC));
    must("fstat-cdev", fstat(fd, &st));
    say("is-the-device", S_ISCHR(st.st_mode) &&
                             st.st_rdev == makedev(major_nr, minor_nr));
    return fd;
}

static void realize_group(char *sysfs)
{
    char path[600], target[600] = "", real[PATH_MAX];
    struct vfio_group_status status = {sizeof(status)};
    struct vfio_iommu_type1_dma_map map = {
        sizeof(map), VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        (uintptr_t)vmm.ram, 0, RAM_BYTES};
    int copy;

    snprintf(path, sizeof(path), "%s/iommu_group", sysfs);
    must("iommu-group", readlink(path, target, sizeof(target) - 1));
    must("realpath", realpath(path, real) ? 0 : -1);
    snprintf(path, sizeof(path), "/dev/vfio/%s", basename(target));
    must("access", access(path, R_OK | W_OK));
    vmm.group = must("open-group", open(path, O_RDWR));
    say("open-group-twice", open(path, O_RDWR) < 0 ? errno : 0);
    must("group-status", ioctl(vmm.group, VFIO_GROUP_GET_STATUS, &status));
    say("group-flags", status.flags);
    vmm.container = must("open-container", open("/dev/vfio/vfio", O_RDWR));
    say("version", must("api-version",
                        ioctl(vmm.container, VFIO_GET_API_VERSION)));
    say("type1v2", must("check-extension",
                        ioctl(vmm.container, VFIO_CHECK_EXTENSION,
                              VFIO_TYPE1v2_IOMMU)));
    say("type1", ioctl(vmm.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
    say("set-iommu-without-group",
        ioctl(vmm.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) ? errno : 0);
    must("set-container",
         ioctl(vmm.group, VFIO_GROUP_SET_CONTAINER, &vmm.container));
    must("set-iommu",
         ioctl(vmm.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
    must("map-dma", ioctl(vmm.container, VFIO_IOMMU_MAP_DMA, &map));
    say("map-twice",
        ioctl(vmm.container, VFIO_IOMMU_MAP_DMA, &map) ? errno : 0);
    say("unknown-device",
        ioctl(vmm.group, VFIO_GROUP_GET_DEVICE_FD, "0000:00:00.0") < 0 ? errno
                                                                       : 0);
    vmm.device = must("get-device-fd", ioctl(vmm.group,
                                             VFIO_GROUP_GET_DEVICE_FD,
                                             basename(sysfs)));
    /* One number, two meanings: dispatch is by descriptor. */
    copy = ioctl(vmm.device, VFIO_IOMMU_MAP_DMA, &map);
    say("map-on-device", copy < 0 ? errno : 0);
    must("group-status", ioctl(vmm.group, VFIO_GROUP_GET_STATUS, &status));
    say("group-flags-then", status.flags);
    say("unset-in-use",
        ioctl(vmm.group, VFIO_GROUP_UNSET_CONTAINER) ? errno : 0);
}

void realize(char **argv)
{
    vmm.iommufd = vmm.container = vmm.group = -1;
    vmm.ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!strcmp(argv[1], "legacy")) {
        realize_group(argv[2]);
        return;
    }
    if (!strcmp(argv[1], "cdev")) {
        vmm.device = open_cdev(argv[2]);
        vmm.iommufd = must("open-iommu", open("/dev/iommu", O_RDWR));
    } else {
        vmm.iommufd = atoi(argv[1]);
        vmm.device = atoi(argv[2]);
    }
    realize_iommu();
}
