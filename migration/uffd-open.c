/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening userfaultfd, and whether it can do what is wanted: by the kernel's
 * features and by what each block of memory is. Any thread; no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "migration/uffd.h"

#define DEVICE "/dev/userfaultfd"
#define OPEN_FLAGS (O_CLOEXEC | O_NONBLOCK)

/* ---- the real kernel ---- */

static int host_open_device(const UffdSys *sys)
{
    (void)sys;
    return open(DEVICE, O_RDWR | O_CLOEXEC);
}

static int host_userfaultfd(const UffdSys *sys, int flags)
{
    (void)sys;
    return syscall(SYS_userfaultfd, flags);
}

static int host_ioctl(const UffdSys *sys, int fd, unsigned long request,
                      void *arg)
{
    (void)sys;
    return ioctl(fd, request, arg);
}

static int host_close(const UffdSys *sys, int fd)
{
    (void)sys;
    return close(fd);
}

const UffdSys *uffd_sys_host(void)
{
    static const UffdSys host = {
        .open_device = host_open_device,
        .userfaultfd = host_userfaultfd,
        .ioctl = host_ioctl,
        .close = host_close,
    };

    return &host;
}

/* ---- a descriptor ---- */

/* A new one that nothing has been agreed on with. */
static int open_new(const UffdSys *sys, Error **errp)
{
    int device = sys->open_device(sys);
    int fd = -1;

    if (device >= 0) {
        /* Its flags are passed as the argument itself. */
        fd = sys->ioctl(sys, device, USERFAULTFD_IOC_NEW,
                        (void *)(uintptr_t)OPEN_FLAGS);
        sys->close(sys, device);
    }
    if (fd < 0) {
        /* Not the one for faults of user code alone: devices' I/O faults. */
        fd = sys->userfaultfd(sys, OPEN_FLAGS);
    }
    if (fd < 0 && errno == EPERM) {
        error_setg(errp, "userfaultfd is not permitted: " DEVICE " must be "
                   "open to this user, or sysctl vm.unprivileged_userfaultfd "
                   "be 1");
    } else if (fd < 0) {
        error_setg_errno(errp, errno, "this kernel has no userfaultfd");
    }
    return fd;
}

/* Once for each descriptor. *features: wanted; then all there are. */
static bool negotiate(const UffdSys *sys, int fd, uint64_t *features,
                      Error **errp)
{
    struct uffdio_api api = { .api = UFFD_API, .features = *features };

    if (sys->ioctl(sys, fd, UFFDIO_API, &api) < 0) {
        error_setg_errno(errp, errno, "this kernel's userfaultfd does not take "
                         "version 0x%llx with features 0x%llx",
                         (unsigned long long)UFFD_API,
                         (unsigned long long)*features);
        return false;
    }
    if (!(api.ioctls & (UINT64_C(1) << _UFFDIO_REGISTER))) {
        error_setg(errp, "this kernel's userfaultfd registers no memory");
        return false;
    }
    *features = api.features;
    return true;
}

/* Which features there are: of a descriptor that is then closed. */
static bool probe(const UffdSys *sys, uint64_t *features, Error **errp)
{
    int fd = open_new(sys, errp);
    bool ok;

    if (fd < 0) {
        return false;
    }
    *features = 0;
    ok = negotiate(sys, fd, features, errp);
    sys->close(sys, fd);
    return ok;
}

/* ---- what is needed for what ---- */

typedef enum MemoryKind {
    KIND_ANON,
    KIND_SHMEM,
    KIND_HUGETLB,
    KIND_OTHER,
    KIND_COUNT
} MemoryKind;

static const char *const kind_names[KIND_COUNT] = {
    "anonymous memory", "shared memory", "huge pages", "a file",
};

typedef struct Need {
    UffdMode mode;
    const char *mode_name;
    /* By kind: the feature it takes, 0: none, UINT64_MAX: it cannot be. */
    uint64_t feature[KIND_COUNT];
    const char *feature_name[KIND_COUNT];
} Need;

#define FEATURE(_kind, _name) \
    .feature[_kind] = UFFD_FEATURE_##_name, .feature_name[_kind] = #_name

static const Need needs[] = {
    { UFFD_MISSING, "missing",
      FEATURE(KIND_SHMEM, MISSING_SHMEM),
      FEATURE(KIND_HUGETLB, MISSING_HUGETLBFS),
      .feature[KIND_OTHER] = UINT64_MAX },
    { UFFD_MINOR, "minor",
      FEATURE(KIND_SHMEM, MINOR_SHMEM),
      FEATURE(KIND_HUGETLB, MINOR_HUGETLBFS),
      .feature[KIND_ANON] = UINT64_MAX, .feature[KIND_OTHER] = UINT64_MAX },
    { UFFD_WP, "write-protect",
      FEATURE(KIND_ANON, PAGEFAULT_FLAG_WP),
      FEATURE(KIND_SHMEM, WP_HUGETLBFS_SHMEM),
      FEATURE(KIND_HUGETLB, WP_HUGETLBFS_SHMEM),
      .feature[KIND_OTHER] = UINT64_MAX },
};

/* A private mapping of a file shows the file where it has no page. */
static MemoryKind kind_of(const RamBlock *rb)
{
    struct statfs fs;

    if (rb->backing.fd < 0) {
        return rb->backing.share ? KIND_SHMEM : KIND_ANON;
    }
    if (!rb->backing.share || fstatfs(rb->backing.fd, &fs) < 0) {
        return KIND_OTHER;
    }
    return fs.f_type == TMPFS_MAGIC ? KIND_SHMEM
        : fs.f_type == HUGETLBFS_MAGIC ? KIND_HUGETLB : KIND_OTHER;
}

static bool check_need(const Need *need, const RamBlock *rb, uint64_t features,
                       uint64_t *wanted, Error **errp)
{
    MemoryKind kind = kind_of(rb);
    uint64_t feature = need->feature[kind];

    if (feature == UINT64_MAX) {
        error_setg(errp, "RAM block '%s' is %s%s: userfaultfd serves %s faults "
                   "of none of its kind", rb->id, kind_names[kind],
                   kind == KIND_OTHER ? " that is private or on a disk" : "",
                   need->mode_name);
        return false;
    }
    if (feature & ~features) {
        error_setg(errp, "this kernel's userfaultfd has no feature %s, which "
                   "RAM block '%s' (%s) needs", need->feature_name[kind],
                   rb->id, kind_names[kind]);
        return false;
    }
    *wanted |= feature;
    return true;
}

static bool check_all(const UffdBlocks *blocks, unsigned modes,
                      uint64_t features, uint64_t *wanted, Error **errp)
{
    *wanted = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(needs); i++) {
        for (unsigned b = 0; b < blocks->num; b++) {
            if (modes & needs[i].mode &&
                !check_need(&needs[i], blocks->rb[b], features, wanted,
                            errp)) {
                return false;
            }
        }
    }
    return true;
}

void uffd_list_blocks(Memory *memory, UffdBlocks *blocks)
{
    RamBlock *rb;

    blocks->num = 0;
    for (unsigned i = 0; (rb = memory_ram_by_index(memory, i)); i++) {
        if (rb->migratable && !ram_block_is_unwritable(rb)) {
            blocks->rb[blocks->num++] = rb;
        }
    }
}

bool uffd_check(const UffdSys *sys, const UffdBlocks *blocks, unsigned modes,
                Error **errp)
{
    uint64_t features, wanted;

    return probe(sys, &features, errp) &&
           check_all(blocks, modes, features, &wanted, errp);
}

bool uffd_check_thread_ids(const UffdSys *sys, Error **errp)
{
    uint64_t features;

    if (!probe(sys, &features, errp)) {
        return false;
    }
    if (!(features & UFFD_FEATURE_THREAD_ID)) {
        error_setg(errp, "this kernel's userfaultfd has no feature THREAD_ID, "
                   "which tells whose a fault is");
        return false;
    }
    return true;
}

int uffd_open(const UffdSys *sys, const UffdBlocks *blocks, unsigned modes,
              UffdExtras *extras, Error **errp)
{
    uint64_t features, wanted, more = UFFD_FEATURE_THREAD_ID;
    int fd;

    if (!probe(sys, &features, errp) ||
        !check_all(blocks, modes, features, &wanted, errp)) {
        return -1;
    }
    if (modes & UFFD_WP) {
        more |= UFFD_FEATURE_WP_UNPOPULATED;
    }
    wanted |= features & more;
    *extras = (UffdExtras) {
        .thread_ids = wanted & UFFD_FEATURE_THREAD_ID,
        .wp_unpopulated = wanted & UFFD_FEATURE_WP_UNPOPULATED,
    };
    fd = open_new(sys, errp);
    if (fd >= 0 && !negotiate(sys, fd, &wanted, errp)) {
        sys->close(sys, fd);
        fd = -1;
    }
    return fd;
}
