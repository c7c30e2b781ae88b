/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel with VFIO for tests: devices, groups, containers, iommufds, behind
 * the table that hw/vfio calls. It answers what the test wants, fails where
 * the test says, and knows what is still open and mapped. It aborts on what a
 * kernel would never forgive (closing twice, unmapping what is not mapped).
 */
#ifndef GODWIT_TESTS_VFIO_KERNEL_H
#define GODWIT_TESTS_VFIO_KERNEL_H

#include <stdbool.h>

#include <glib.h>

#include "hw/vfio/vfio-sys.h"
#include "hw/vfio/vfio-uapi.h"

#define KERNEL_DEVICES 4
#define KERNEL_REGIONS VFIO_PCI_NUM_REGIONS
#define KERNEL_IRQS VFIO_PCI_NUM_IRQS

/* What the driver says of a region; the same for all devices. */
typedef struct KernelRegion {
    uint64_t size, offset;      /* bytes; more than 64 KiB have no content */
    uint32_t flags;
    uint32_t cap_offset;        /* if flags have CAPS */
    const void *caps;           /* behind the answer's fixed part */
    size_t caps_len;
    uint32_t argsz;             /* said instead of the true one, if not 0 */
    bool other_index;           /* answers for another one */
    int mmap_errno, access_errno;
} KernelRegion;

typedef struct KernelDevice {
    uint8_t *bytes[KERNEL_REGIONS];
    int eventfd[KERNEL_IRQS];   /* the test's copy; -1: none */
    bool masked, pending;       /* INTx */
    unsigned resets;
    bool bound;
    uint32_t attached;          /* IOAS or HWPT */
    unsigned accesses;          /* preads and pwrites of its regions */
} KernelDevice;

typedef struct KernelMap {
    uint64_t owner;             /* IOAS; or 1 << 32 and a container's number */
    uint64_t iova, size;
    bool writable;
} KernelMap;

typedef struct FakeKernel {
    VfioSys sys;

    /* Faults */
    unsigned calls;             /* so far */
    unsigned fail_at;           /* the number of the call that fails; 0: none */
    int fail_errno;
    unsigned long fail_request; /* an ioctl that always fails */
    int fail_request_errno;

    /* What there is */
    bool no_iommufd, not_viable, no_type1, hwpt_refused, no_hw_info;
    bool group_apart;           /* no two groups share a container */
    bool hwpt_apart;            /* no two devices share a page table */
    bool tracks;                /* the IOMMU logs dirty pages */
    uint64_t alignment;
    unsigned range_count;
    struct iommu_iova_range ranges[8];
    uint32_t ranges_said;       /* a count said instead, if not 0 */
    uint32_t device_flags, num_regions, num_irqs;
    uint32_t irq_flags[KERNEL_IRQS], irq_count[KERNEL_IRQS];
    KernelRegion regions[KERNEL_REGIONS];
    KernelDevice devices[KERNEL_DEVICES];
    const void *info_caps;      /* of a container; NULL: usual ones */
    size_t info_caps_len;
    uint32_t info_cap_offset;

    /* What is in use */
    GHashTable *fds;            /* number to kind and owner */
    unsigned mmaps;
    GArray *maps;               /* of KernelMap */
    GHashTable *objects;        /* id to 'i' (IOAS) or 'h' (HWPT) */
    uint32_t last_id;
    unsigned tracking;          /* page tables and containers that log */
    GHashTable *dirty;          /* page numbers that devices wrote */
} FakeKernel;

/*
 * A kernel with devices of class 0302: config space of 256 bytes with PM,
 * MSI-X and PCI Express, BAR 0 trapped of 4 KiB, BAR 2 of 64 KiB mapped,
 * 64 bits, a ROM of 4 KiB; INTx, ERR and REQ.
 */
FakeKernel *fake_kernel_new(void);
void fake_kernel_free(FakeKernel *k);

/* An open device, as management would hand it over; its number as text. */
char *fake_kernel_device(FakeKernel *k, unsigned n);
/* An open /dev/iommu, likewise. */
char *fake_kernel_iommufd(FakeKernel *k);
/* Somebody has closed that descriptor by close() itself; aborts if not. */
void fake_kernel_closed(FakeKernel *k, const char *fd);

/* The device raises the first interrupt of @index. */
void fake_kernel_raise(FakeKernel *k, unsigned n, unsigned index);
/* A device writes the page at @iova. */
void fake_kernel_write(FakeKernel *k, uint64_t iova);

/* Nothing is open, mapped or allocated. */
void fake_kernel_assert_idle(const FakeKernel *k);

#endif
