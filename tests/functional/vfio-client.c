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
#include <time.h>
#include <unistd.h>

#include "vfio-client.h"

#define CHUNK (1 << 20)

Vmm vmm;

void say(const char *what, uint64_t value)
{
    printf("%s %llu\n", what, (unsigned long long)value);
}

int64_t must(const char *what, int64_t ret)
{
    if (ret < 0) {
        printf("failed %s %d\n", what, errno);
        exit(1);
    }
    return ret;
}

int64_t feature(uint32_t flags, void *data, size_t len)
{
    uint64_t buf[16] = {0};
    struct vfio_device_feature *f = (void *)buf;
    int ret;

    f->argsz = sizeof(*f) + len;
    f->flags = flags;
    if (len) {
        memcpy(f->data, data, len);
    }
    ret = ioctl(vmm.device, VFIO_DEVICE_FEATURE, f);
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

void set_state(unsigned state, int *data_fd)
{
    if (try_state(state, data_fd)) {
        int err = errno;

        say("state", get_state());
        errno = err;
        must("mig-state", -1);
    }
}

static struct vfio_region_info region(unsigned index)
{
    struct vfio_region_info info = {sizeof(info), .index = index};

    must("region", ioctl(vmm.device, VFIO_DEVICE_GET_REGION_INFO, &info));
    return info;
}

/* Interrupt @index goes to an eventfd; @action is one of VFIO_IRQ_SET_*. */
static int32_t set_irq(unsigned index, uint32_t action)
{
    const struct vfio_irq_set set = {
        sizeof(set) + sizeof(int32_t), VFIO_IRQ_SET_DATA_EVENTFD | action,
        index, 0, 1};
    int32_t fd = must("eventfd", eventfd(0, EFD_NONBLOCK));
    uint8_t irq[sizeof(set) + sizeof(fd)];

    memcpy(irq, &set, sizeof(set));
    memcpy(irq + sizeof(set), &fd, sizeof(fd));
    must("set-irqs", ioctl(vmm.device, VFIO_DEVICE_SET_IRQS, irq));
    return fd;
}

static void ring_doorbell(void)
{
    const uint32_t word = 1;

    must("doorbell", pwrite(vmm.device, &word, 4, region(0).offset + 4));
}

/* How often an eventfd has been written. */
static uint64_t count_of(int fd)
{
    uint64_t events = 0;

    return read(fd, &events, sizeof(events)) < 0 ? 0 : events;
}

/* Config space, both BARs, and an interrupt from a doorbell. */
static void touch(void)
{
    struct vfio_region_info config = region(VFIO_PCI_CONFIG_REGION_INDEX);
    struct vfio_region_info trapped = region(0), mapped = region(2);
    uint32_t word = 1;
    uint64_t events = 0;
    uint32_t *bar;

    vmm.event = set_irq(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER);
    must("config", pread(vmm.device, &word, 4, config.offset));
    say("id", word);
    ring_doorbell();
    must("interrupt", read(vmm.event, &events, sizeof(events)));
    must("count", pread(vmm.device, &word, 4, trapped.offset + 8));
    say("doorbells", word);
    bar = mmap(NULL, mapped.size, PROT_READ | PROT_WRITE, MAP_SHARED,
               vmm.device, mapped.offset);
    must("mmap", bar == MAP_FAILED ? -1 : 0);
    bar[5] = 0x12345678;
    must("bar-read", pread(vmm.device, &word, 4, mapped.offset + 20));
    say("bar", word);
}

static uint64_t events_of(void)
{
    uint64_t events = 0;

    must("interrupt", read(vmm.event, &events, sizeof(events)));
    return events;
}

/* How many come, and in which time: a busy host may take longer. */
static void count_interrupts(void)
{
    struct timespec from, to;

    clock_gettime(CLOCK_MONOTONIC, &from);
    usleep(500000);
    say("interrupts", events_of());
    clock_gettime(CLOCK_MONOTONIC, &to);
    say("took-ms", (to.tv_sec - from.tv_sec) * 1000 +
                       (to.tv_nsec - from.tv_nsec) / 1000000);
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

/* What a guest leaves in the vmm.device, and what it finds there. */
static void leave_traces(void)
{
    uint64_t trapped = region(0).offset;
    uint64_t config = region(VFIO_PCI_CONFIG_REGION_INDEX).offset;
    struct vfio_region_info mapped = region(2);
    const uint32_t scratch = 0xfeedf00d, vector = 0xfee00000;
    const uint16_t command = 6;
    uint32_t *bar = mmap(NULL, mapped.size, PROT_READ | PROT_WRITE, MAP_SHARED,
                         vmm.device, mapped.offset);

    must("mmap", bar == MAP_FAILED ? -1 : 0);
    bar[mapped.size / 8] = 0xcafe;
    bar[mapped.size / 4 - 1] = 0xbabe;
    must("scratch", pwrite(vmm.device, &scratch, 4, trapped + 12));
    must("msix", pwrite(vmm.device, &vector, 4, trapped + 0x8010));
    must("command", pwrite(vmm.device, &command, 2, config + 4));
    for (int i = 0; i < 3; i++) {
        must("doorbell", pwrite(vmm.device, &scratch, 4, trapped + 4));
    }
}

static void find_traces(void)
{
    uint64_t trapped = region(0).offset;
    uint64_t config = region(VFIO_PCI_CONFIG_REGION_INDEX).offset;
    struct vfio_region_info mapped = region(2);
    const uint32_t *bar = mmap(NULL, mapped.size, PROT_READ, MAP_SHARED,
                               vmm.device, mapped.offset);
    uint32_t word = 0;

    must("mmap", bar == MAP_FAILED ? -1 : 0);
    say("bar-middle", bar[mapped.size / 8]);
    say("bar-end", bar[mapped.size / 4 - 1]);
    say("bar-start", bar[0]);
    must("scratch", pread(vmm.device, &word, 4, trapped + 12));
    say("scratch", word);
    must("msix", pread(vmm.device, &word, 4, trapped + 0x8010));
    say("msix", word);
    must("count", pread(vmm.device, &word, 4, trapped + 8));
    say("doorbells", word);
    must("command", pread(vmm.device, &word, 4, config + 4));
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
    say("closes-on-exec", must("getfd", fcntl(data, F_GETFD)) & FD_CLOEXEC);
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
    static char buf[CHUNK];
    int file = must("open", open(path, O_RDONLY));
    ssize_t n;
    int data;

    set_state(VFIO_DEVICE_STATE_RESUMING, &data);
    while ((n = must("file", read(file, buf, sizeof(buf)))) > 0) {
        for (ssize_t done = 0; done < n;) {
            done += must("write", write(data, buf + done, n - done));
        }
    }
    set_state(VFIO_DEVICE_STATE_RUNNING_P2P, NULL);
    set_state(VFIO_DEVICE_STATE_RUNNING, NULL);
}

static void intx(void)
{
    const struct vfio_irq_set set = {
        sizeof(set), VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
        VFIO_PCI_INTX_IRQ_INDEX, 0, 1};
    const uint64_t one = 1;
    int unmask;

    vmm.event = set_irq(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER);
    ring_doorbell();
    say("first", count_of(vmm.event));
    ring_doorbell();
    say("while-masked", count_of(vmm.event));
    must("unmask", ioctl(vmm.device, VFIO_DEVICE_SET_IRQS, &set));
    say("unmasked", count_of(vmm.event));
    ring_doorbell();
    unmask = set_irq(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK);
    must("unmask-event", write(unmask, &one, sizeof(one)));
    for (int i = 0; i < 200; i++) {
        uint64_t events = count_of(vmm.event);

        if (events) {
            say("unmasked-by-event", events);
            return;
        }
        usleep(10000);
    }
    errno = ETIMEDOUT;
    must("unmask-event", -1);
}

static void cancel(void)
{
    int data, next;
    char byte;

    set_state(VFIO_DEVICE_STATE_PRE_COPY, &data);
    drain(data, must("null", open("/dev/null", O_WRONLY)));
    set_state(VFIO_DEVICE_STATE_RUNNING, NULL);
    say("state", get_state());
    /* The next one has a descriptor of its own; the old one is dead. */
    set_state(VFIO_DEVICE_STATE_PRE_COPY, &next);
    say("another-descriptor", next != data);
    say("old-descriptor", read(data, &byte, 1) < 0 ? errno : 0);
    say("new-descriptor", must("read", read(next, &byte, 1)));
}

/* What a VMM does that has duplicated, lost, or never had a descriptor. */
static void descriptors(void)
{
    struct vfio_region_info config = region(VFIO_PCI_CONFIG_REGION_INDEX);
    uint32_t word = 0;
    int copy = must("dup", dup(vmm.device));

    must("config-dup", pread(copy, &word, 4, config.offset));
    say("id-dup", word);
    copy = must("fcntl", fcntl(vmm.device, F_DUPFD_CLOEXEC, 0));
    must("close", close(vmm.device));
    must("config-fcntl", pread(copy, &word, 4, config.offset));
    say("id-fcntl", word);
    say("closed", ioctl(vmm.device, VFIO_DEVICE_RESET) ? errno : 0);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 3 ? argv[3] : "";

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 4) {
        return 2;
    }
    realize(argv);
    if (!strcmp(mode, "touch")) {
        touch();
    } else if (!strcmp(mode, "save")) {
        save(argv[4]);
    } else if (!strcmp(mode, "save-with-signals")) {
        start_signals();
        save(argv[4]);
        stop_signals();
    } else if (!strcmp(mode, "calls")) {
        single_calls();
    } else if (!strcmp(mode, "crowd")) {
        crowd();
    } else if (!strcmp(mode, "outlive")) {
        outlive();
    } else if (!strcmp(mode, "load")) {
        load(argv[4]);
    } else if (!strcmp(mode, "save-touched")) {
        leave_traces();
        save(argv[4]);
    } else if (!strcmp(mode, "intx")) {
        intx();
    } else if (!strcmp(mode, "save-intx")) {
        set_irq(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER);
        ring_doorbell();
        ring_doorbell();
        save(argv[4]);
    } else if (!strcmp(mode, "load-with-intx")) {
        vmm.event = set_irq(VFIO_PCI_INTX_IRQ_INDEX,
                            VFIO_IRQ_SET_ACTION_TRIGGER);
        load(argv[4]);
        say("arrived", events_of());
    } else if (!strcmp(mode, "load-intx")) {
        load(argv[4]);
        vmm.event = set_irq(VFIO_PCI_INTX_IRQ_INDEX,
                            VFIO_IRQ_SET_ACTION_TRIGGER);
        say("arrived", events_of());
    } else if (!strcmp(mode, "load-touched")) {
        *(uint32_t *)mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, vmm.device,
                          region(2).offset) = 1;
        load(argv[4]);
        find_traces();
    } else if (!strcmp(mode, "interrupts")) {
        touch();
        count_interrupts();
    } else if (!strcmp(mode, "dma")) {
        dma();
    } else if (!strcmp(mode, "tracking")) {
        tracking();
    } else if (!strcmp(mode, "container")) {
        container_limits();
    } else if (!strcmp(mode, "cancel")) {
        cancel();
    } else if (!strcmp(mode, "descriptors")) {
        descriptors();
    }
    say("done", 1);
    return 0;
}
