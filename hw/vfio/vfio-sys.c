/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel as it is. Any thread. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio-sys.h"

static int host_open(const VfioSys *sys, const char *path, int flags)
{
    (void)sys;
    return open(path, flags | O_CLOEXEC);
}

static int host_ioctl(const VfioSys *sys, int fd, unsigned long request,
                      void *arg)
{
    int ret;

    (void)sys;
    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && errno == EINTR);
    return ret;
}

static ssize_t host_read(const VfioSys *sys, int fd, void *buf, size_t len)
{
    ssize_t n;

    (void)sys;
    do {
        n = read(fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n;
}

static ssize_t host_write(const VfioSys *sys, int fd, const void *buf,
                          size_t len)
{
    ssize_t n;

    (void)sys;
    do {
        n = write(fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n;
}

static ssize_t host_pread(const VfioSys *sys, int fd, void *buf, size_t len,
                          uint64_t offset)
{
    (void)sys;
    return pread(fd, buf, len, (off_t)offset);
}

static ssize_t host_pwrite(const VfioSys *sys, int fd, const void *buf,
                           size_t len, uint64_t offset)
{
    (void)sys;
    return pwrite(fd, buf, len, (off_t)offset);
}

static void *host_mmap(const VfioSys *sys, int fd, size_t len, int prot,
                       uint64_t offset)
{
    (void)sys;
    return mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);
}

static int host_munmap(const VfioSys *sys, void *addr, size_t len)
{
    (void)sys;
    return munmap(addr, len);
}

static int host_close(const VfioSys *sys, int fd)
{
    (void)sys;
    return close(fd);
}

const VfioSys vfio_sys_host = {
    .open = host_open,
    .ioctl = host_ioctl,
    .read = host_read,
    .write = host_write,
    .pread = host_pread,
    .pwrite = host_pwrite,
    .mmap = host_mmap,
    .munmap = host_munmap,
    .close = host_close,
};
