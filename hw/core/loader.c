/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blobs in guest memory, loaded at reset. Main loop, big lock. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/core/loader.h"
#include "system/runstate.h"
#include "trace/trace-hw-core.h"
#include "util/checked.h"
#include "util/log.h"

typedef struct Blob {
    char *name;
    hwaddr gpa;
    uint64_t mem_len;           /* bytes in guest memory */
    uint64_t len;               /* of which so many come from data or file */
    uint8_t *data;              /* or NULL: from the file */
    void (*renew)(void *data);
    int fd;
    uint64_t file_offset;
} Blob;

struct Loader {
    Vm *vm;
    GPtrArray *blobs;
};

static void blob_free(void *opaque)
{
    Blob *blob = opaque;

    if (blob->fd >= 0) {
        close(blob->fd);
    }
    g_free(blob->data);
    g_free(blob->name);
    g_free(blob);
}

/* Fully, or false with errno (0: the file has ended). */
static bool pread_all(int fd, uint8_t *buf, uint64_t len, uint64_t offset)
{
    while (len) {
        ssize_t n = pread(fd, buf, MIN(len, UINT64_C(1) << 30),
                          (off_t)offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n < 0 ? errno : 0;
            return false;
        }
        buf += n;
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return true;
}

static void blob_load(Loader *loader, const Blob *blob)
{
    RamBlock *rb;
    uint64_t offset;
    uint8_t *host = memory_ram_at(loader->vm->memory, blob->gpa, &rb, &offset);

    if (blob->renew) {
        blob->renew(blob->data);
    }
    if (blob->data) {
        memcpy(host, blob->data, blob->len);
    } else if (!pread_all(blob->fd, host, blob->len, blob->file_offset)) {
        error_report("reset: cannot read '%s' again: %s", blob->name,
                     errno ? g_strerror(errno) : "the file was cut");
    }
    memset(host + blob->len, 0, blob->mem_len - blob->len);
    memory_mark_dirty(rb, offset, blob->mem_len);
    trace_loader_blob(blob->name, blob->gpa, blob->mem_len);
}

void loader_load(Loader *loader)
{
    for (guint i = 0; i < loader->blobs->len; i++) {
        blob_load(loader, g_ptr_array_index(loader->blobs, i));
    }
}

static void loader_reset(void *opaque)
{
    Loader *loader = opaque;

    if (runstate_get(loader->vm) != RUN_STATE_INMIGRATE) {
        loader_load(loader);
    }
}

Loader *loader_new(Vm *vm)
{
    Loader *loader = g_new0(Loader, 1);

    loader->vm = vm;
    loader->blobs = g_ptr_array_new_with_free_func(blob_free);
    vm_add_reset_handler(vm, loader_reset, loader);
    return loader;
}

void loader_free(Loader *loader)
{
    if (!loader) {
        return;
    }
    vm_remove_reset_handler(loader->vm, loader_reset, loader);
    g_ptr_array_free(loader->blobs, true);
    g_free(loader);
}

/* Whether [gpa, gpa + len) is within one RAM block and free. */
static bool range_check(Loader *loader, const char *name, hwaddr gpa,
                        uint64_t len, Error **errp)
{
    RamBlock *rb;
    uint64_t offset;

    if (!memory_ram_at(loader->vm->memory, gpa, &rb, &offset)) {
        error_setg(errp, "'%s': load address 0x%" G_GINT64_MODIFIER "x is not "
                   "in RAM", name, gpa);
        return false;
    }
    if (!range_fits_u64(offset, len, rb->backing.size)) {
        error_setg(errp, "'%s': %" G_GUINT64_FORMAT " bytes at address 0x%"
                   G_GINT64_MODIFIER "x do not fit into RAM, which has room "
                   "for %" G_GUINT64_FORMAT " there", name, len, gpa,
                   rb->backing.size - offset);
        return false;
    }
    for (guint i = 0; i < loader->blobs->len; i++) {
        const Blob *other = g_ptr_array_index(loader->blobs, i);

        /* Both ranges are in RAM: their ends do not wrap. */
        if (gpa < other->gpa + other->mem_len && other->gpa < gpa + len) {
            error_setg(errp, "'%s' at 0x%" G_GINT64_MODIFIER "x-0x%"
                       G_GINT64_MODIFIER "x overlaps '%s' at 0x%"
                       G_GINT64_MODIFIER "x-0x%" G_GINT64_MODIFIER "x", name,
                       gpa, gpa + len - 1, other->name, other->gpa,
                       other->gpa + other->mem_len - 1);
            return false;
        }
    }
    return true;
}

bool loader_add_bytes(Loader *loader, const char *name, hwaddr gpa,
                      const void *data, uint64_t len,
                      void (*renew)(void *data), Error **errp)
{
    Blob *blob;

    if (!range_check(loader, name, gpa, len, errp)) {
        return false;
    }
    blob = g_new0(Blob, 1);
    blob->name = g_strdup(name);
    blob->gpa = gpa;
    blob->len = blob->mem_len = len;
    blob->data = g_memdup2(data, len);
    blob->renew = renew;
    blob->fd = -1;
    g_ptr_array_add(loader->blobs, blob);
    return true;
}

bool image_file_open(ImageFile *file, const char *what, const char *path,
                     Error **errp)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot open %s '%s'", what, path);
        return false;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0) {
        error_setg(errp, "%s '%s' is not a regular file with something in it",
                   what, path);
        close(fd);
        return false;
    }
    *file = (ImageFile){ g_strdup(path), fd, (uint64_t)st.st_size };
    return true;
}

void image_file_close(ImageFile *file)
{
    if (file->path) {
        close(file->fd);
        g_clear_pointer(&file->path, g_free);
    }
}

bool image_file_read(const ImageFile *file, uint64_t offset, void *buf,
                     uint64_t len, Error **errp)
{
    if (!range_fits_u64(offset, len, file->size)) {
        error_setg(errp, "'%s': %" G_GUINT64_FORMAT " bytes at offset %"
                   G_GUINT64_FORMAT " are beyond the end of the file (%"
                   G_GUINT64_FORMAT " bytes)", file->path, len, offset,
                   file->size);
        return false;
    }
    if (!pread_all(file->fd, buf, len, offset)) {
        error_setg(errp, "cannot read '%s': %s", file->path,
                   errno ? g_strerror(errno) : "the file was cut");
        return false;
    }
    return true;
}

bool loader_add_file(Loader *loader, const ImageFile *file, uint64_t offset,
                     uint64_t len, hwaddr gpa, uint64_t mem_len, Error **errp)
{
    Blob *blob;
    int fd;

    if (!range_fits_u64(offset, len, file->size)) {
        error_setg(errp, "'%s': %" G_GUINT64_FORMAT " bytes at offset %"
                   G_GUINT64_FORMAT " are beyond the end of the file (%"
                   G_GUINT64_FORMAT " bytes)", file->path, len, offset,
                   file->size);
        return false;
    }
    if (!range_check(loader, file->path, gpa, mem_len, errp)) {
        return false;
    }
    fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot keep '%s' open", file->path);
        return false;
    }
    blob = g_new0(Blob, 1);
    blob->name = g_strdup(file->path);
    blob->gpa = gpa;
    blob->len = len;
    blob->mem_len = mem_len;
    blob->fd = fd;
    blob->file_offset = offset;
    g_ptr_array_add(loader->blobs, blob);
    return true;
}
