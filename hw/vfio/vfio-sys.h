/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel as hw/vfio sees it: the calls on device, iommufd, container and
 * data descriptors, as a table, so that a test can be the kernel. Each is as
 * the system call of its name: -1 and errno on failure. Any thread.
 */
#ifndef GODWIT_HW_VFIO_SYS_H
#define GODWIT_HW_VFIO_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct VfioSys VfioSys;

struct VfioSys {
    /* Close-on-exec. */
    int (*open)(const VfioSys *sys, const char *path, int flags);
    int (*ioctl)(const VfioSys *sys, int fd, unsigned long request, void *arg);
    ssize_t (*read)(const VfioSys *sys, int fd, void *buf, size_t len);
    ssize_t (*write)(const VfioSys *sys, int fd, const void *buf, size_t len);
    ssize_t (*pread)(const VfioSys *sys, int fd, void *buf, size_t len,
                     uint64_t offset);
    ssize_t (*pwrite)(const VfioSys *sys, int fd, const void *buf, size_t len,
                      uint64_t offset);
    /* Shared, at any address. MAP_FAILED and errno on failure. */
    void *(*mmap)(const VfioSys *sys, int fd, size_t len, int prot,
                  uint64_t offset);
    int (*munmap)(const VfioSys *sys, void *addr, size_t len);
    int (*close)(const VfioSys *sys, int fd);
    void *opaque;               /* a test's */
};

/* The real one; ioctl, read and write are repeated on EINTR. */
extern const VfioSys vfio_sys_host;

#endif
