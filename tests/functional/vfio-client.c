/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest VMM there can be, for test-vfio-sim.py: realizes a VFIO device
 * and migrates its state into or from a file. Each line of its output is a
 * name and a number; the first call that fails ends it with that call's errno
 * as "failed NAME ERRNO" and status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/vfio/vfio-uapi.h"

#define CHUNK (1 << 20)
#define RAM_BYTES (4 << 20)

static int iommufd, device;
static uint32_t page_table;
static int can_track; /* the IOMMU knows what DMA has written */
static uint8_t *ram;
static int32_t event;

static void say(const char *what, uint64_t value)
{
    printf("%s %llu\n", what, (unsigned long long)value);
}

/* Ends the program unless @ret says that @what went well. */
static int64_t must(const char *what, int64_t ret)
{
    if (ret < 0) {
        printf("failed %s %d\n", what, errno);
        exit(1);
    }
    return ret;
}

static int64_t feature(uint32_t flags, void *data, size_t len)
{
    uint64_t buf[16] = {0};
    struct vfio_device_feature *f = (void *)buf;
    int ret;

    f->argsz = sizeof(*f) + len;
    f->flags = flags;
    if (len) {
        memcpy(f->data, data, len);
    }
    ret = ioctl(device, VFIO_DEVICE_FEATURE, f);
    if (!ret && len) {
        memcpy(data, f->data, len);
    }
    return ret;
}

static int try_state(unsigned state, int *data_fd)
{
    struct vfio_device_feature_mig_state s = {state, -1};
    int ret = feature(VFIO_DEVICE_FEATURE_SET |
                          VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
                      &s, sizeof(s));

    if (data_fd) {
        *data_fd = s.data_fd;
    }
    return ret;
}

static unsigned get_state(void)
{
    struct vfio_device_feature_mig_state s = {0};

    must("get-state", feature(VFIO_DEVICE_FEATURE_GET |
                                  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
                              &s, sizeof(s)));
    return s.device_state;
}

static void set_state(unsigned state, int *data_fd)
{
    if (try_state(state, data_fd)) {
        int err = errno;

        say("state", get_state());
        errno = err;
        must("mig-state", -1);
    }
}

static void realize_iommu(void)
{
    struct vfio_device_bind_iommufd bind = {sizeof(bind), 0, iommufd};
    struct iommu_ioas_alloc ioas = {sizeof(ioas)};
    struct iommu_hw_info info = {sizeof(info)};
    struct iommu_hwpt_alloc hwpt = {sizeof(hwpt)};
    struct vfio_device_attach_iommufd_pt attach = {sizeof(attach)};
    struct iommu_iova_range found[8];
    struct iommu_ioas_iova_ranges ranges = {sizeof(ranges)};
    struct iommu_ioas_map map = {sizeof(map)};

    ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    say("unknown-ioctl", ioctl(iommufd, _IO(';', 0x92), &ioas) ? errno : 0);
    must("bind", ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
    must("ioas-alloc", ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas));
    info.dev_id = hwpt.dev_id = bind.out_devid;
    must("hw-info", ioctl(iommufd, IOMMU_GET_HW_INFO, &info));
    can_track = info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
    hwpt.pt_id = ioas.out_ioas_id;
    hwpt.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    if (!can_track) {
        say("hwpt-with-tracking",
            ioctl(iommufd, IOMMU_HWPT_ALLOC, &hwpt) ? errno : 0);
        hwpt.flags = 0;
    }
    must("hwpt-alloc", ioctl(iommufd, IOMMU_HWPT_ALLOC, &hwpt));
    page_table = attach.pt_id = hwpt.out_hwpt_id;
    must("attach", ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
    ranges.ioas_id = ioas.out_ioas_id;
    say("ranges-too-small",
        ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &ranges) ? errno : 0);
    ranges.allowed_iovas = (uintptr_t)found;
    must("ranges", ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &ranges));
    map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
                IOMMU_IOAS_MAP_WRITEABLE;
    map.ioas_id = ioas.out_ioas_id;
    map.user_va = (uintptr_t)ram;
    map.length = RAM_BYTES;
    must("map", ioctl(iommufd, IOMMU_IOAS_MAP, &map));
    say("map-twice", ioctl(iommufd, IOMMU_IOAS_MAP, &map) ? errno : 0);
}

static struct vfio_region_info region(unsigned index)
{
    struct vfio_region_info info = {sizeof(info), .index = index};

    must("region", ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info));
    return info;
}

/* Config space, both BARs, and an interrupt from a doorbell. */
static void touch(void)
{
    struct vfio_region_info config = region(VFIO_PCI_CONFIG_REGION_INDEX);
    struct vfio_region_info trapped = region(0), mapped = region(2);
    const struct vfio_irq_set set = {
        sizeof(set) + sizeof(int32_t),
        VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
        VFIO_PCI_MSIX_IRQ_INDEX, 0, 1};
    uint8_t irq[sizeof(set) + sizeof(event)];
    uint32_t word = 1;
    uint64_t events = 0;
    uint32_t *bar;

    event = eventfd(0, EFD_NONBLOCK);
    memcpy(irq, &set, sizeof(set));
    memcpy(irq + sizeof(set), &event, sizeof(event));
    must("config", pread(device, &word, 4, config.offset));
    say("id", word);
    must("set-irqs", ioctl(device, VFIO_DEVICE_SET_IRQS, irq));
    must("doorbell", pwrite(device, &word, 4, trapped.offset + 4));
    must("interrupt", read(event, &events, sizeof(events)));
    must("count", pread(device, &word, 4, trapped.offset + 8));
    say("doorbells", word);
    bar = mmap(NULL, mapped.size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
               mapped.offset);
    must("mmap", bar == MAP_FAILED ? -1 : 0);
    bar[5] = 0x12345678;
    must("bar-read", pread(device, &word, 4, mapped.offset + 20));
    say("bar", word);
}

static uint64_t events_of(void)
{
    uint64_t events = 0;

    must("interrupt", read(event, &events, sizeof(events)));
    return events;
}

static uint64_t stop_size(void)
{
    struct vfio_device_feature_mig_data_size s = {0};

    must("mig-data-size", feature(VFIO_DEVICE_FEATURE_GET |
                                      VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
                                  &s, sizeof(s)));
    return s.stop_copy_length;
}

/* Reads until there is nothing; the number of bytes. */
static uint64_t drain(int data, int file)
{
    static char buf[CHUNK];
    uint64_t sum = 0;

    for (;;) {
        ssize_t n = read(data, buf, sizeof(buf));

        if (n == 0 || (n < 0 && errno == ENOMSG)) {
            return sum;
        }
        must("read", n);
        must("file", write(file, buf, n));
        sum += n;
    }
}

static void precopy_info(int data, const char *name)
{
    struct vfio_precopy_info info = {sizeof(info)};
    char text[64];

    must("precopy-info", ioctl(data, VFIO_MIG_GET_PRECOPY_INFO, &info));
    snprintf(text, sizeof(text), "%s-initial", name);
    say(text, info.initial_bytes);
    snprintf(text, sizeof(text), "%s-dirty", name);
    say(text, info.dirty_bytes);
    snprintf(text, sizeof(text), "%s-flags", name);
    say(text, info.flags);
}

/* What a guest leaves in the device, and what it finds there. */
static void leave_traces(void)
{
    uint64_t trapped = region(0).offset;
    uint64_t config = region(VFIO_PCI_CONFIG_REGION_INDEX).offset;
    struct vfio_region_info mapped = region(2);
    const uint32_t scratch = 0xfeedf00d, vector = 0xfee00000;
    const uint16_t command = 6;
    uint32_t *bar = mmap(NULL, mapped.size, PROT_READ | PROT_WRITE, MAP_SHARED,
                         device, mapped.offset);

    must("mmap", bar == MAP_FAILED ? -1 : 0);
    bar[mapped.size / 8] = 0xcafe;
    bar[mapped.size / 4 - 1] = 0xbabe;
    must("scratch", pwrite(device, &scratch, 4, trapped + 12));
    must("msix", pwrite(device, &vector, 4, trapped + 0x8010));
    must("command", pwrite(device, &command, 2, config + 4));
    for (int i = 0; i < 3; i++) {
        must("doorbell", pwrite(device, &scratch, 4, trapped + 4));
    }
}

static void find_traces(void)
{
    uint64_t trapped = region(0).offset;
    uint64_t config = region(VFIO_PCI_CONFIG_REGION_INDEX).offset;
    struct vfio_region_info mapped = region(2);
    const uint32_t *bar = mmap(NULL, mapped.size, PROT_READ, MAP_SHARED,
                               device, mapped.offset);
    uint32_t word = 0;

    must("mmap", bar == MAP_FAILED ? -1 : 0);
    say("bar-middle", bar[mapped.size / 8]);
    say("bar-end", bar[mapped.size / 4 - 1]);
    say("bar-start", bar[0]);
    must("scratch", pread(device, &word, 4, trapped + 12));
    say("scratch", word);
    must("msix", pread(device, &word, 4, trapped + 0x8010));
    say("msix", word);
    must("count", pread(device, &word, 4, trapped + 8));
    say("doorbells", word);
    must("command", pread(device, &word, 4, config + 4));
    say("command", word & 0xffff);
}

static void save(const char *path)
{
    int file = must("open", open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    uint64_t expected, sum;
    char byte;
    int data;

    say("stop-size", stop_size());
    say("infov2", !feature(VFIO_DEVICE_FEATURE_SET |
                               VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
                           NULL, 0));
    set_state(VFIO_DEVICE_STATE_PRE_COPY, &data);
    precopy_info(data, "first");
    sum = drain(data, file);
    precopy_info(data, "second");
    set_state(VFIO_DEVICE_STATE_PRE_COPY_P2P, NULL);
    precopy_info(data, "last");
    set_state(VFIO_DEVICE_STATE_STOP_COPY, NULL);
    expected = stop_size();
    say("stop-copy-size", expected);
    sum += drain(data, file);
    say("sum", sum);
    set_state(VFIO_DEVICE_STATE_STOP, NULL);
    say("read-when-stopped", read(data, &byte, 1) < 0 ? errno : 0);
}

static void load(const char *path)
{
    static char buf[32768];
    int file = must("open", open(path, O_RDONLY));
    ssize_t n;
    int data;

    set_state(VFIO_DEVICE_STATE_RESUMING, &data);
    while ((n = must("file", read(file, buf, sizeof(buf)))) > 0) {
        must("write", write(data, buf, n));
    }
    set_state(VFIO_DEVICE_STATE_RUNNING_P2P, NULL);
    set_state(VFIO_DEVICE_STATE_RUNNING, NULL);
}

#define RAM_PAGES (RAM_BYTES / 4096)

static void set_logging(int on)
{
    struct vfio_device_feature_dma_logging_range range = {0, RAM_BYTES};
    struct vfio_device_feature_dma_logging_control control = {
        4096, 1, 0, (uintptr_t)&range};
    struct iommu_hwpt_set_dirty_tracking tracking = {
        sizeof(tracking), on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
        page_table, 0};

    if (can_track) {
        must("set-dirty-tracking",
             ioctl(iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &tracking));
    } else if (on) {
        must("dma-start", feature(VFIO_DEVICE_FEATURE_SET |
                                      VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
                                  &control, sizeof(control)));
    } else {
        must("dma-stop", feature(VFIO_DEVICE_FEATURE_SET |
                                     VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
                                 NULL, 0));
    }
}

/* What the log says of all of RAM; how many bits are set. */
static unsigned read_log(uint64_t *bitmap, uint32_t flags)
{
    struct vfio_device_feature_dma_logging_report report = {
        0, RAM_BYTES, 4096, (uintptr_t)bitmap};
    struct iommu_hwpt_get_dirty_bitmap get = {
        sizeof(get), page_table, flags, 0, 0, RAM_BYTES, 4096,
        (uintptr_t)bitmap};
    unsigned set = 0;

    memset(bitmap, 0, RAM_PAGES / 8);
    if (can_track) {
        must("get-dirty-bitmap",
             ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
    } else {
        must("dma-report", feature(VFIO_DEVICE_FEATURE_GET |
                                       VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
                                   &report, sizeof(report)));
    }
    for (unsigned i = 0; i < RAM_PAGES; i++) {
        set += bitmap[i / 64] >> (i % 64) & 1;
    }
    return set;
}

/* Every page that changed is in the log, and no other. */
static void dma(void)
{
    uint64_t bitmap[RAM_PAGES / 64];
    unsigned changed = 0, differ = 0;

    set_state(VFIO_DEVICE_STATE_STOP, NULL);
    memset(ram, 0, RAM_BYTES);
    set_logging(1);
    set_state(VFIO_DEVICE_STATE_RUNNING, NULL);
    usleep(200000);
    set_state(VFIO_DEVICE_STATE_STOP, NULL);
    if (can_track) {
        say("kept", read_log(bitmap, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
    }
    say("logged", read_log(bitmap, 0));
    for (unsigned i = 0; i < RAM_PAGES; i++) {
        int is_changed = ram[i * 4096] || ram[i * 4096 + 1];

        changed += is_changed;
        differ += is_changed != (int)(bitmap[i / 64] >> (i % 64) & 1);
    }
    say("changed", changed);
    say("differ", differ);
    say("logged-again", read_log(bitmap, 0));
    set_logging(0);
}

/* What iommufd refuses of dirty tracking. */
static void tracking(void)
{
    uint64_t bitmap[RAM_PAGES / 64];
    struct iommu_hwpt_get_dirty_bitmap get = {
        sizeof(get), page_table, 0, 0, 0, RAM_BYTES, 4096, (uintptr_t)bitmap};
    struct iommu_destroy destroy = {sizeof(destroy), page_table};

    say("before-it-is-on",
        ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    set_logging(1);
    get.length = 2 * RAM_BYTES;
    say("not-mapped",
        ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    get.length = UINT64_MAX;
    get.iova = 4096;
    say("wraps", ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    get.iova = 0;
    get.length = RAM_BYTES;
    get.page_size = 3 * 4096;
    say("odd-page",
        ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    get.page_size = 4096;
    get.flags = 2;
    say("unknown-flag",
        ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) ? errno : 0);
    say("destroyed-in-use",
        ioctl(iommufd, IOMMU_DESTROY, &destroy) ? errno : 0);
}

static void cancel(void)
{
    int data;

    set_state(VFIO_DEVICE_STATE_PRE_COPY, &data);
    drain(data, must("null", open("/dev/null", O_WRONLY)));
    set_state(VFIO_DEVICE_STATE_RUNNING, NULL);
    say("state", get_state());
}

/* What a VMM does that has duplicated, lost, or never had a descriptor. */
static void descriptors(void)
{
    struct vfio_region_info config = region(VFIO_PCI_CONFIG_REGION_INDEX);
    uint32_t word = 0;
    int copy = must("dup", dup(device));

    must("config-dup", pread(copy, &word, 4, config.offset));
    say("id-dup", word);
    copy = must("fcntl", fcntl(device, F_DUPFD_CLOEXEC, 0));
    must("close", close(device));
    must("config-fcntl", pread(copy, &word, 4, config.offset));
    say("id-fcntl", word);
    say("closed", ioctl(device, VFIO_DEVICE_RESET) ? errno : 0);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 3 ? argv[3] : "";

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 4) {
        return 2;
    }
    iommufd = atoi(argv[1]);
    device = atoi(argv[2]);
    realize_iommu();
    if (!strcmp(mode, "touch")) {
        touch();
    } else if (!strcmp(mode, "save")) {
        save(argv[4]);
    } else if (!strcmp(mode, "load")) {
        load(argv[4]);
    } else if (!strcmp(mode, "save-touched")) {
        leave_traces();
        save(argv[4]);
    } else if (!strcmp(mode, "load-touched")) {
        *(uint32_t *)mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, device,
                          region(2).offset) = 1;
        load(argv[4]);
        find_traces();
    } else if (!strcmp(mode, "interrupts")) {
        touch();
        usleep(500000);
        say("interrupts", events_of());
    } else if (!strcmp(mode, "dma")) {
        dma();
    } else if (!strcmp(mode, "tracking")) {
        tracking();
    } else if (!strcmp(mode, "cancel")) {
        cancel();
    } else if (!strcmp(mode, "descriptors")) {
        descriptors();
    }
    say("done", 1);
    return 0;
}
