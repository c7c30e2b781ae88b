/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single calls by the names that vfio-sim's faults have: a line of input is a
 * name, the answer the results of three calls (0 or an errno) in one line; and
 * what many threads, signals, or the end of vfio-sim do to calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "vfio-client.h"

#define CROWD 40

/* An ioctl with a structure that begins with its size. */
static int sized(int fd, unsigned long cmd, uint32_t size)
{
    uint64_t buf[64] = {0};

    memcpy(buf, &size, sizeof(size));
    return ioctl(fd, cmd, buf);
}

static int data = -1;

static int call_iommu(const char *name)
{
    static const struct {
        const char *name;
        unsigned long cmd;
        uint32_t size;
    } calls[] = {
        {"iommu-destroy", IOMMU_DESTROY, sizeof(struct iommu_destroy)},
        {"ioas-alloc", IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc)},
        {"ioas-iova-ranges", IOMMU_IOAS_IOVA_RANGES,
         sizeof(struct iommu_ioas_iova_ranges)},
        {"ioas-map", IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map)},
        {"ioas-unmap", IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap)},
        {"hwpt-alloc", IOMMU_HWPT_ALLOC, sizeof(struct iommu_hwpt_alloc)},
        {"hw-info", IOMMU_GET_HW_INFO, sizeof(struct iommu_hw_info)},
        {"set-dirty-tracking", IOMMU_HWPT_SET_DIRTY_TRACKING,
         sizeof(struct iommu_hwpt_set_dirty_tracking)},
        {"get-dirty-bitmap", IOMMU_HWPT_GET_DIRTY_BITMAP,
         sizeof(struct iommu_hwpt_get_dirty_bitmap)},
    };

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (!strcmp(name, calls[i].name)) {
            return sized(vmm.iommufd, calls[i].cmd, calls[i].size);
        }
    }
    return 1;
}

static int call_device(const char *name)
{
    static const struct {
        const char *name;
        unsigned long cmd;
        uint32_t size;
    } calls[] = {
        {"bind", VFIO_DEVICE_BIND_IOMMUFD,
         sizeof(struct vfio_device_bind_iommufd)},
        {"attach", VFIO_DEVICE_ATTACH_IOMMUFD_PT,
         sizeof(struct vfio_device_attach_iommufd_pt)},
        {"detach", VFIO_DEVICE_DETACH_IOMMUFD_PT,
         sizeof(struct vfio_device_detach_iommufd_pt)},
        {"device-info", VFIO_DEVICE_GET_INFO, sizeof(struct vfio_device_info)},
        {"region-info", VFIO_DEVICE_GET_REGION_INFO,
         sizeof(struct vfio_region_info)},
        {"irq-info", VFIO_DEVICE_GET_IRQ_INFO, sizeof(struct vfio_irq_info)},
        {"set-irqs", VFIO_DEVICE_SET_IRQS, sizeof(struct vfio_irq_set)},
        {"reset", VFIO_DEVICE_RESET, 0},
    };
    static const struct {
        const char *name;
        uint32_t flags;
        size_t size;
    } features[] = {
        {"feature", VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
         sizeof(struct vfio_device_feature_migration)},
        {"migration", VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
         sizeof(struct vfio_device_feature_migration)},
        {"mig-state",
         VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
         sizeof(struct vfio_device_feature_mig_state)},
        {"mig-data-size",
         VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
         sizeof(struct vfio_device_feature_mig_data_size)},
        {"infov2",
         VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, 0},
        {"dma-start",
         VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
         sizeof(struct vfio_device_feature_dma_logging_control)},
        {"dma-stop",
         VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, 0},
        {"dma-report",
         VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
         sizeof(struct vfio_device_feature_dma_logging_report)},
    };
    uint64_t zero[8] = {0};

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (!strcmp(name, calls[i].name)) {
            return sized(vmm.device, calls[i].cmd, calls[i].size);
        }
    }
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (!strcmp(name, features[i].name)) {
            return feature(features[i].flags, zero, features[i].size);
        }
    }
    return strcmp(name, "precopy-info")
               ? 1 : sized(data, VFIO_MIG_GET_PRECOPY_INFO,
                           sizeof(struct vfio_precopy_info));
}

static int call_container(const char *name)
{
    static const struct {
        const char *name;
        unsigned long cmd;
        uint32_t size;
        int of_group;
    } calls[] = {
        {"api-version", VFIO_GET_API_VERSION, 0, 0},
        {"check-extension", VFIO_CHECK_EXTENSION, 0, 0},
        {"set-iommu", VFIO_SET_IOMMU, 0, 0},
        {"iommu-info", VFIO_IOMMU_GET_INFO,
         sizeof(struct vfio_iommu_type1_info), 0},
        {"map-dma", VFIO_IOMMU_MAP_DMA,
         sizeof(struct vfio_iommu_type1_dma_map), 0},
        {"unmap-dma", VFIO_IOMMU_UNMAP_DMA,
         sizeof(struct vfio_iommu_type1_dma_unmap), 0},
        {"dirty-pages", VFIO_IOMMU_DIRTY_PAGES,
         sizeof(struct vfio_iommu_type1_dirty_bitmap), 0},
        {"group-status", VFIO_GROUP_GET_STATUS,
         sizeof(struct vfio_group_status), 1},
        {"set-container", VFIO_GROUP_SET_CONTAINER, 0, 1},
        {"unset-container", VFIO_GROUP_UNSET_CONTAINER, 0, 1},
        {"get-device-fd", VFIO_GROUP_GET_DEVICE_FD, 0, 1},
    };

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (!strcmp(name, calls[i].name)) {
            return sized(calls[i].of_group ? vmm.group : vmm.container,
                         calls[i].cmd, calls[i].size);
        }
    }
    return 1;
}

/* 0, an errno, or -1 for a name that is not known. */
static int result_of(const char *name)
{
    int ret = call_device(name);

    if (ret == 1) {
        ret = vmm.iommufd >= 0 ? call_iommu(name) : call_container(name);
    }
    if (ret == 1 && strcmp(name, "check-extension")) {
        return -1;
    }
    return ret < 0 ? errno : 0;
}

void single_calls(void)
{
    char name[64];

    set_state(VFIO_DEVICE_STATE_PRE_COPY, &data);
    say("ready", 1);
    while (fgets(name, sizeof(name), stdin)) {
        int first, second;

        name[strcspn(name, "\n")] = '\0';
        first = result_of(name);
        second = result_of(name);
        printf("%d %d %d\n", first, second, result_of(name));
    }
}

static void *read_data(void *opaque)
{
    char byte;

    if (read(data, &byte, 1) < 0) {
        say("reader", errno);
    }
    return opaque;
}

/* Many threads that read what stalls keep nobody else waiting. */
void crowd(void)
{
    struct vfio_device_info info = {sizeof(info)};
    pthread_t thread;

    alarm(20);
    set_state(VFIO_DEVICE_STATE_PRE_COPY, &data);
    for (int i = 0; i < CROWD; i++) {
        must("thread", -pthread_create(&thread, NULL, read_data, NULL));
    }
    usleep(300000);
    must("device-info", ioctl(vmm.device, VFIO_DEVICE_GET_INFO, &info));
    say("regions", info.num_regions);
    say("done", 1);
    _exit(0);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

/* From here on a signal every two milliseconds; calls go on after it. */
void start_signals(void)
{
    struct sigaction action = {.sa_handler = count_signal,
                               .sa_flags = SA_RESTART};
    struct itimerval each = {{0, 2000}, {0, 2000}};

    must("sigaction", sigaction(SIGALRM, &action, NULL));
    must("setitimer", setitimer(ITIMER_REAL, &each, NULL));
}

void stop_signals(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};

    must("setitimer", setitimer(ITIMER_REAL, &never, NULL));
    say("signals", signals);
}

/* What is left when vfio-sim is not there any more. */
void outlive(void)
{
    int ret;

    say("ready", 1);
    must("line", getchar());
    say("ioctl", ioctl(vmm.device, VFIO_DEVICE_RESET) < 0 ? errno : 0);
    ret = pread(vmm.device, &ret, 4, 0);
    say("pread", ret < 0 ? errno : 0);
    say("open", open("/dev/vfio/vfio", O_RDWR) < 0 ? errno : 0);
    /* A sanitizer's last look would open files as well. */
    _exit(0);
}
