/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory back ends: where a RAM block's bytes come from, as a user says it.
 * The object opens what it needs when it is made; the memory is mapped when a
 * board uses it. Main thread, big lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/fds.h"
#include "system/machine.h"
#include "system/object-int.h"
#include "util/checked.h"

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26       /* log2 of the page size, linux/memfd.h */
#endif

typedef struct Backend {
    RamBacking backing;         /* fd -1: none, or given to the RAM block */
    bool used;
} Backend;

bool object_is_memory(const Object *obj)
{
    return obj->cls == &memory_backend_ram_class ||
        obj->cls == &memory_backend_memfd_class ||
        obj->cls == &memory_backend_file_class;
}

static Backend *backend_new(Object *obj, const MemoryBackendProperties *props,
                            bool share)
{
    const MachineConfig *config = obj->vm->config;
    Backend *be = g_new0(Backend, 1);

    be->backing = (RamBacking){
        .size = props->size,
        .fd = -1,
        .share = props->has_share ? props->share : share,
        .prealloc = props->prealloc,
        .huge = true,
        .no_dump = props->has_dump ? !props->dump
                                   : config && config->no_core_dump,
        .merge = props->has_merge ? props->merge : config && config->mem_merge,
    };
    obj->state = be;
    return be;
}

static void backend_destroy(Object *obj)
{
    Backend *be = obj->state;

    if (be->backing.fd >= 0) {
        close(be->backing.fd);
    }
    g_clear_pointer(&obj->state, g_free);
}

static bool check_size(const MemoryBackendProperties *props, Error **errp)
{
    if (props->size == 0 || props->size % GUEST_PAGE_SIZE ||
        props->size > INT64_MAX) {
        error_setg(errp, "size %" PRIu64 " is not a multiple of %" PRIu64
                   " above 0", props->size, GUEST_PAGE_SIZE);
        return false;
    }
    return true;
}

static bool make_memfd(Backend *be, const MemoryBackendMemfdProperties *props,
                       Error **errp)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    unsigned seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

    if (props->hugetlb) {
        flags |= MFD_HUGETLB;
        if (props->has_hugetlbsize) {
            flags |= (unsigned)__builtin_ctzll(props->hugetlbsize)
                << MFD_HUGE_SHIFT;
        }
    }
    be->backing.fd = memfd_create("memory-backend-memfd", flags);
    if (be->backing.fd < 0) {
        error_setg_errno(errp, errno, "cannot make an anonymous file%s",
                         props->hugetlb ? " of huge pages" : "");
        return false;
    }
    if (ftruncate(be->backing.fd, (off_t)be->backing.size) < 0) {
        error_setg_errno(errp, errno, "cannot give an anonymous file %" PRIu64
                         " bytes", be->backing.size);
        return false;
    }
    if ((!props->has_seal || props->seal) &&
        fcntl(be->backing.fd, F_ADD_SEALS, seals) < 0) {
        error_setg_errno(errp, errno, "cannot seal an anonymous file");
        return false;
    }
    return true;
}

static bool ram_create(Object *obj, Error **errp)
{
    static const MemoryBackendMemfdProperties plain = {
        .has_seal = true, .seal = true,
    };
    MemoryBackendProperties *props = &obj->options->u.memory_backend_ram;
    Backend *be;

    if (!check_size(props, errp)) {
        return false;
    }
    be = backend_new(obj, props, false);
    /* What is to be shared needs something that others can be given. */
    if (be->backing.share && !make_memfd(be, &plain, errp)) {
        backend_destroy(obj);
        return false;
    }
    return true;
}

static bool memfd_create_object(Object *obj, Error **errp)
{
    MemoryBackendMemfdProperties *props =
        &obj->options->u.memory_backend_memfd;
    uint64_t page = props->hugetlbsize;

    if (!check_size(qapi_MemoryBackendMemfdProperties_base(props), errp)) {
        return false;
    }
    if (props->has_hugetlbsize &&
        (!props->hugetlb || page < GUEST_PAGE_SIZE || (page & (page - 1)))) {
        error_setg(errp, "hugetlbsize %" PRIu64 " has to be a power of two, "
                   "and goes with hugetlb=on only", page);
        return false;
    }
    if (!make_memfd(backend_new(obj,
                                qapi_MemoryBackendMemfdProperties_base(props),
                                true), props, errp)) {
        backend_destroy(obj);
        return false;
    }
    return true;
}

/* A file without a name in the folder @path. */
static int open_in_folder(const char *path, Error **errp)
{
    g_autofree char *name = g_strconcat(path, "/godwit-mem-XXXXXX", NULL);
    int fd = mkostemp(name, O_CLOEXEC);

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot make a file in folder '%s'",
                         path);
        return -1;
    }
    unlink(name);
    return fd;
}

static int open_file(Vm *vm, const MemoryBackendFileProperties *props,
                     Error **errp)
{
    const char *path = props->mem_path;
    uint64_t end;
    struct stat st;
    int fd;

    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        fd = open_in_folder(path, errp);
    } else {
        fd = fd_store_open(vm->fds, path,
                           props->readonly ? O_RDONLY : O_RDWR | O_CREAT,
                           0644, errp);
    }
    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "looking at file '%s'", path);
        close(fd);
        return -1;
    }
    /* One that is not empty has what somebody put there: it must fit. */
    if (S_ISREG(st.st_mode) && st.st_size == 0 && !props->readonly) {
        if (!checked_add_u64(props->offset, props->size, &end) ||
            end > INT64_MAX || ftruncate(fd, (off_t)end) < 0) {
            error_setg(errp, "cannot extend file '%s' to %" PRIu64
                       " bytes from offset %" PRIu64, path, props->size,
                       props->offset);
            close(fd);
            return -1;
        }
    }
    return fd;
}

static bool file_create(Object *obj, Error **errp)
{
    MemoryBackendFileProperties *props = &obj->options->u.memory_backend_file;
    MemoryBackendProperties *base =
        qapi_MemoryBackendFileProperties_base(props);
    bool rom = props->readonly;
    Backend *be;
    int fd;

    if (!check_size(base, errp)) {
        return false;
    }
    if (props->has_rom && props->rom != ON_OFF_AUTO_AUTO) {
        rom = props->rom == ON_OFF_AUTO_ON;
    }
    if (props->readonly && props->share && !rom) {
        error_setg(errp, "readonly=on, share=on and rom=off together let the "
                   "guest write nowhere");
        return false;
    }
    fd = open_file(obj->vm, props, errp);
    if (fd < 0) {
        return false;
    }
    be = backend_new(obj, base, false);
    be->backing.fd = fd;
    be->backing.fd_offset = props->offset;
    be->backing.readonly = rom;
    return true;
}

RamBlock *object_take_memory(Vm *vm, const char *id, Error **errp)
{
    Object *obj = object_find(vm, id);
    Backend *be;
    RamBlock *rb;

    if (!obj || !object_is_memory(obj)) {
        error_setg(errp, "there is no memory back end '%s': -object "
                   "memory-backend-ram,id=%s,size=SIZE makes one", id, id);
        return NULL;
    }
    be = obj->state;
    if (be->used) {
        error_setg(errp, "memory back end '%s' is in use already", id);
        return NULL;
    }
    rb = memory_ram_new(vm->memory, id, &be->backing, errp);
    /* The descriptor is the block's, whether there is one or not. */
    be->backing.fd = -1;
    be->used = true;
    if (rb) {
        object_hold(obj);
    }
    return rb;
}

const ObjectClass memory_backend_ram_class = {
    .type = OBJECT_TYPE_MEMORY_BACKEND_RAM,
    .help = "anonymous memory",
    .create = ram_create,
    .destroy = backend_destroy,
};

const ObjectClass memory_backend_memfd_class = {
    .type = OBJECT_TYPE_MEMORY_BACKEND_MEMFD,
    .help = "memory that is an anonymous file",
    .create = memfd_create_object,
    .destroy = backend_destroy,
};

const ObjectClass memory_backend_file_class = {
    .type = OBJECT_TYPE_MEMORY_BACKEND_FILE,
    .help = "memory that is a file",
    .create = file_create,
    .destroy = backend_destroy,
};
