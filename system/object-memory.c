/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory back ends: from options to a RAM block. Main loop, big lock. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/object-int.h"
#include "util/checked.h"

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

static const MemoryBackendProperties *common_of(const Object *obj)
{
    switch (obj->options->qom_type) {
    case OBJECT_TYPE_MEMORY_BACKEND_RAM:
        return &obj->options->u.memory_backend_ram;
    case OBJECT_TYPE_MEMORY_BACKEND_FILE:
        return qapi_MemoryBackendFileProperties_base(
            &obj->options->u.memory_backend_file);
    case OBJECT_TYPE_MEMORY_BACKEND_MEMFD:
        return qapi_MemoryBackendMemfdProperties_base(
            &obj->options->u.memory_backend_memfd);
    default:
        return NULL;
    }
}

bool object_is_memory(const Object *obj)
{
    return common_of(obj) != NULL;
}

/* In a folder: a file without a name, gone with its last user. */
static int open_in_folder(const char *folder, Error **errp)
{
    g_autofree char *path = g_build_filename(folder, "godwit-XXXXXX", NULL);
    int fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot make a file in '%s'", folder);
        return -1;
    }
    unlink(path);
    return fd;
}

/* A new file, or one that is too short, is made as long as is needed. */
static bool make_long_enough(int fd, const char *path, uint64_t end,
                             Error **errp)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "cannot look at '%s'", path);
        return false;
    }
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < end &&
        ftruncate(fd, (off_t)end) < 0) {
        error_setg_errno(errp, errno, "cannot make '%s' %" PRIu64
                         " bytes long", path, end);
        return false;
    }
    return true;
}

static bool init_file(Object *obj, uint64_t size, Error **errp)
{
    const MemoryBackendFileProperties *file =
        &obj->options->u.memory_backend_file;
    bool readonly = file->has_readonly && file->readonly;
    uint64_t offset = file->has_offset ? file->offset : 0, end;

    if (readonly && file->has_share && file->share) {
        error_setg(errp, "'readonly=on' and 'share=on' exclude each other: "
                   "the guest writes to its memory");
        return false;
    }
    if (!checked_add_u64(offset, size, &end) || end > INT64_MAX) {
        error_setg(errp, "'offset' %" PRIu64 " is beyond any file", offset);
        return false;
    }
    if (g_file_test(file->mem_path, G_FILE_TEST_IS_DIR)) {
        obj->fd = open_in_folder(file->mem_path, errp);
    } else {
        obj->fd = open(file->mem_path,
                       (readonly ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC,
                       0644);
        if (obj->fd < 0) {
            error_setg_errno(errp, errno, "cannot open '%s'", file->mem_path);
        }
    }
    return obj->fd >= 0 &&
           (readonly ||
            make_long_enough(obj->fd, file->mem_path, end, errp));
}

/* The flag of a size of huge pages: its logarithm (memfd_create(2)). */
static bool huge_flags(const MemoryBackendMemfdProperties *memfd,
                       unsigned *flags, Error **errp)
{
    if (!memfd->has_hugetlb || !memfd->hugetlb) {
        if (memfd->has_hugetlbsize && memfd->hugetlbsize) {
            error_setg(errp, "'hugetlbsize' needs hugetlb=on");
            return false;
        }
        return true;
    }
    *flags |= MFD_HUGETLB;
    if (memfd->has_hugetlbsize && memfd->hugetlbsize) {
        if (memfd->hugetlbsize & (memfd->hugetlbsize - 1)) {
            error_setg(errp, "'hugetlbsize' %" PRIu64 " is no power of two",
                       memfd->hugetlbsize);
            return false;
        }
        *flags |= (unsigned)__builtin_ctzll(memfd->hugetlbsize)
                  << MFD_HUGE_SHIFT;
    }
    return true;
}

static bool init_memfd(Object *obj, uint64_t size, Error **errp)
{
    const MemoryBackendMemfdProperties *memfd =
        &obj->options->u.memory_backend_memfd;
    bool seal = !memfd->has_seal || memfd->seal;
    unsigned flags = MFD_CLOEXEC | (seal ? MFD_ALLOW_SEALING : 0);

    if (!huge_flags(memfd, &flags, errp)) {
        return false;
    }
    obj->fd = memfd_create(obj->options->id, flags);
    if (obj->fd < 0 || ftruncate(obj->fd, (off_t)size) < 0) {
        error_setg_errno(errp, errno, "cannot make a memfd of %" PRIu64
                         " bytes", size);
        return false;
    }
    if (seal &&
        fcntl(obj->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
            < 0) {
        error_setg_errno(errp, errno, "cannot seal a memfd");
        return false;
    }
    return true;
}

bool object_memory_init(Object *obj, Error **errp)
{
    uint64_t size = common_of(obj)->size;

    if (size == 0 || size % GUEST_PAGE_SIZE || size > INT64_MAX) {
        error_setg(errp, "'size' %" PRIu64 " is no multiple of %d bytes",
                   size, (int)GUEST_PAGE_SIZE);
        return false;
    }
    switch (obj->options->qom_type) {
    case OBJECT_TYPE_MEMORY_BACKEND_FILE:
        return init_file(obj, size, errp);
    case OBJECT_TYPE_MEMORY_BACKEND_MEMFD:
        return init_memfd(obj, size, errp);
    default:
        return true;
    }
}

void object_memory_free(Object *obj)
{
    if (obj->fd >= 0) {
        close(obj->fd);
    }
}

/* Memory of its own that is to be shared has to have a name for others. */
static bool make_shareable(Object *obj, Error **errp)
{
    const MemoryBackendProperties *common = common_of(obj);

    obj->fd = memfd_create(obj->options->id, MFD_CLOEXEC);
    if (obj->fd < 0 || ftruncate(obj->fd, (off_t)common->size) < 0) {
        error_setg_errno(errp, errno, "object '%s': cannot make a memfd of "
                         "%" PRIu64 " bytes", obj->options->id, common->size);
        return false;
    }
    return true;
}

static void advise(const MemoryBackendProperties *common, RamBlock *rb)
{
    if (common->has_dump) {
        madvise(rb->host, rb->backing.size,
                common->dump ? MADV_DODUMP : MADV_DONTDUMP);
    }
    if (common->has_merge) {
        madvise(rb->host, rb->backing.size,
                common->merge ? MADV_MERGEABLE : MADV_UNMERGEABLE);
    }
}

RamBlock *object_take_memory(Vm *vm, const char *id, Error **errp)
{
    Object *obj = object_find(vm, id);
    const MemoryBackendProperties *common = obj ? common_of(obj) : NULL;
    RamBacking backing = { .fd = -1 };
    ObjectType type;
    RamBlock *rb;

    if (!common) {
        error_setg(errp, "there is no memory back end '%s': -object "
                   "memory-backend-ram,id=%s,size=SIZE makes one", id, id);
        return NULL;
    }
    if (obj->in_use) {
        error_setg(errp, "memory back end '%s' is in use already", id);
        return NULL;
    }
    type = obj->options->qom_type;
    backing.size = common->size;
    backing.share = common->has_share ? common->share
                                      : type ==
                                        OBJECT_TYPE_MEMORY_BACKEND_MEMFD;
    backing.prealloc = common->has_prealloc && common->prealloc;
    backing.huge = type == OBJECT_TYPE_MEMORY_BACKEND_RAM;
    if (type == OBJECT_TYPE_MEMORY_BACKEND_FILE) {
        backing.fd_offset = obj->options->u.memory_backend_file.offset;
    }
    if (type == OBJECT_TYPE_MEMORY_BACKEND_RAM && backing.share &&
        !make_shareable(obj, errp)) {
        return NULL;
    }
    /* The block closes its descriptor; that of the object goes over to it. */
    backing.fd = obj->fd;
    obj->fd = -1;
    rb = memory_ram_new(vm->memory, id, &backing, errp);
    if (!rb) {
        return NULL;
    }
    advise(common, rb);
    obj->in_use = true;
    return rb;
}
