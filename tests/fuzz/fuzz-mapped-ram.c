/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a mapped-ram file may be: the whole loader over a machine of two blocks,
 * "a" of three pages and the ROM "b" of one. What has loaded is saved, and that
 * must load as the same memory.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/channel.h"
#include "migration/ram.h"
#include "migration/savevm.h"
#include "migration/stream-owner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define A_BYTES (3 * GUEST_PAGE_SIZE)
#define B_BYTES GUEST_PAGE_SIZE

static const char *const capabilities[] = { "mapped-ram" };
static const SaveVMConfig config = {
    .machine = "virt", .capabilities = capabilities, .num_capabilities = 1,
};
static const LoadVMOps load_ops = { 0 };

typedef struct World {
    Vm *vm;
    Ram *ram;
    RamBlock *a, *b;
} World;

static void world_init(World *w)
{
    RamBacking a = { .size = A_BYTES, .fd = -1 };
    RamBacking b = { .size = B_BYTES, .fd = -1, .readonly = true };
    RamOptions options = { .detect_zero_pages = true, .mapped_ram = true };

    w->vm = vm_new();
    vm_lock(w->vm);
    w->a = memory_ram_new(w->vm->memory, "a", &a, NULL);
    w->b = memory_ram_new(w->vm->memory, "b", &b, NULL);
    w->ram = ram_new(w->vm, clock_host());
    ram_set_options(w->ram, &options);
    vm_unlock(w->vm);
    /* What must be zero is not yet. */
    memset(w->a->host, 0xee, A_BYTES);
}

static void world_clear(World *w)
{
    vm_lock(w->vm);
    ram_free(w->ram);
    savevm_destroy(w->vm);
    vm_unlock(w->vm);
    vm_free(w->vm);
}

static IoChannel *file_of(int fd)
{
    IoChannel *ch = io_channel_new_fd(dup(fd), "file", NULL);

    g_assert(ch && io_channel_seek(ch, 0, SEEK_SET, NULL, NULL));
    return ch;
}

static bool load(World *w, int fd)
{
    IoChannel *ch = file_of(fd);
    MigStream *s = mig_stream_new_input(ch);
    LoadVM *lv = loadvm_new(w->vm, s, &config, &load_ops, NULL);
    Error *err = NULL;
    bool ok = loadvm_run(lv, &err);

    g_assert(ok == (err == NULL));
    g_clear_error(&err);
    vm_lock(w->vm);
    loadvm_free(lv);
    vm_unlock(w->vm);
    mig_stream_free(s);
    io_channel_unref(ch);
    return ok;
}

static void save(World *w, int fd)
{
    IoChannel *ch = file_of(fd);
    MigStream *s = mig_stream_new_output(ch, clock_host());
    SaveVM *sv = savevm_new(w->vm, s, &config);
    bool ok;

    vm_lock(w->vm);
    ok = savevm_write_header(sv, NULL) && savevm_setup(sv, NULL) &&
         savevm_complete_live(sv, NULL) &&
         savevm_save_devices(sv, NULL, NULL) && savevm_write_end(sv, NULL);
    g_assert(ok);
    savevm_cleanup(sv);
    vm_unlock(w->vm);
    savevm_free(sv);
    mig_stream_free(s);
    io_channel_unref(ch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    World w, other;

    g_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    world_init(&w);
    if (load(&w, fd)) {
        bool ok;

        g_assert(ftruncate(fd, 0) == 0);
        save(&w, fd);
        world_init(&other);
        ok = load(&other, fd);
        g_assert(ok && memcmp(w.a->host, other.a->host, A_BYTES) == 0 &&
                 memcmp(w.b->host, other.b->host, B_BYTES) == 0);
        world_clear(&other);
    }
    world_clear(&w);
    close(fd);
    return 0;
}
