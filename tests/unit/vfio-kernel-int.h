/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of the kernel with VFIO (vfio-kernel.h). */
#ifndef GODWIT_TESTS_VFIO_KERNEL_INT_H
#define GODWIT_TESTS_VFIO_KERNEL_INT_H

#include "vfio-kernel.h"

typedef enum Kind { IOMMU = 1, DEVICE, GROUP, CONTAINER } Kind;

/* What a descriptor is. */
typedef struct Fd {
    Kind kind;
    unsigned number;            /* device, group */
    int container;              /* of a group; -1: none */
    unsigned groups;            /* of a container */
    bool iommu_set;
} Fd;

/* An open descriptor; aborts if it is not open. */
Fd *kernel_fd(FakeKernel *k, int fd);
/* A number that nobody else in the process has. */
int kernel_new_fd(FakeKernel *k, Kind kind, unsigned number);
/* Sets errno and returns -1. */
int kernel_fail(int err);

/* The ioctls of each kind. */
int kernel_iommu_ioctl(FakeKernel *k, unsigned long request, void *arg);
int kernel_group_ioctl(FakeKernel *k, Fd *f, unsigned long request, void *arg);
int kernel_container_ioctl(FakeKernel *k, Fd *f, int fd,
                           unsigned long request, void *arg);

#endif
