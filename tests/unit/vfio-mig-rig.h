/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VFIO device whose kernel is the test: the model of vfio-sim behind VfioSys,
 * with every call countable and breakable. One thread.
 */
#ifndef GODWIT_TESTS_VFIO_MIG_RIG_H
#define GODWIT_TESTS_VFIO_MIG_RIG_H

#include "hw/vfio/vfio-mig-int.h"
#include "hw/vfio/vfio-iommu.h"
#include "migration-util.h"
#include "sim-mig.h"

#define RIG_RANGES_MAX 8

typedef struct VfioRig {
    TestVm t;
    VfioSys sys;
    VfioDevice vdev;
    VfioMigrationOptions options;
    SimOptions *o;
    SimMig *mig;                /* NULL: the driver cannot migrate */
    int64_t now_ns;             /* of the model; each call takes 1 us */

    /* The kernel's books */
    int open_fd;                /* data descriptor that is open, or -1 */
    unsigned opened;
    unsigned ioctls, features, resets, state_sets, infov2_sets;

    /* What it does wrong: errno of a feature by number; of others */
    int fail_feature[16];
    unsigned fail_feature_left[16]; /* times; UINT_MAX: always */
    int fail_probe[16];
    int fail_reset, fail_info;
    bool no_data_fd, extra_data_fd;
    int read_errno, write_errno;
    bool read_beyond, write_beyond;     /* more than was asked for, it says */
    bool write_nothing;
    bool claims;                /* these instead of the model's sizes */
    uint64_t claim_init, claim_dirty, claim_stop;
    uint32_t claim_flags;
    bool echo_flags;            /* an old driver: gives back what it gets */

    /* Its log of DMA */
    bool logging;
    unsigned ranges_max;        /* of START */
    unsigned num_ranges;
    struct vfio_device_feature_dma_logging_range ranges[RIG_RANGES_MAX];
    uint64_t dma_page;          /* IOVA of a page that it has written; or ~0 */
} VfioRig;

/* A machine with @ram_pages and a device with @keys; not realized. */
void rig_init(VfioRig *rig, const char *keys, uint64_t ram_pages);
void rig_clear(VfioRig *rig);

/* vfio_migration_realize(); asserts that it works. Big lock is held then. */
VfioMigration *rig_realize(VfioRig *rig);

#endif
