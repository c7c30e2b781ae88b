/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a destination may be sent: the whole loader over a machine with memory
 * and a device of every kind of field. The first byte says in pieces of which
 * size the rest arrives (0: as it likes). What has loaded must save, and that
 * must load again.
 */
#include <stdint.h>
#include <string.h>

#include "io/channel.h"
#include "io/filter.h"
#include "migration/ram.h"
#include "migration/savevm.h"
#include "migration/stream-owner.h"
#include "migration/vmstate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_PAGES 6
#define ROM_PAGES 2

typedef struct Inner {
    uint16_t a;
    uint8_t len;
    uint8_t *bytes;
} Inner;

typedef struct Dev {
    bool b;
    uint8_t small;
    uint32_t n_list;
    uint32_t *list;
    uint16_t n_inner;
    Inner inner[3];
    uint8_t buf[5];
    uint64_t equal;
    uint32_t extra;
    VmTimer *timer;
} Dev;

static const VMStateDescription vmstate_inner = {
    .name = "inner",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT16(a, Inner),
        VMSTATE_UINT8(len, Inner),
        VMSTATE_VBUFFER_ALLOC(bytes, Inner, len, 200, 0),
        VMSTATE_END_OF_LIST()
    },
};

static bool extra_needed(void *opaque)
{
    return ((Dev *)opaque)->extra != 0;
}

static const VMStateDescription vmstate_extra = {
    .name = "dev/extra",
    .version_id = 2,
    .minimum_version_id = 1,
    .needed = extra_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(extra, Dev),
        VMSTATE_END_OF_LIST()
    },
};

static bool dev_post_load(void *opaque, int version_id, Error **errp)
{
    Dev *dev = opaque;

    (void)version_id;
    if (dev->small == 9) {
        error_setg(errp, "small is 9");
        return false;
    }
    return true;
}

static const VMStateDescription vmstate_dev = {
    .name = "dev",
    .version_id = 2,
    .minimum_version_id = 1,
    .post_load = dev_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(b, Dev),
        VMSTATE_UINT8_LIMIT(small, Dev, 10),
        VMSTATE_UINT32(n_list, Dev),
        VMSTATE_VARRAY_ALLOC(list, Dev, n_list, 1000, 0, vmstate_info_uint32,
                             uint32_t),
        VMSTATE_UINT16_V(n_inner, Dev, 2),
        VMSTATE_STRUCT_VARRAY(inner, Dev, n_inner, 3, 2, vmstate_inner, Inner),
        VMSTATE_BUFFER(buf, Dev),
        VMSTATE_UINT64_EQUAL(equal, Dev),
        VMSTATE_UNUSED(2),
        VMSTATE_TIMER_PTR(timer, Dev),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *const[]) {
        &vmstate_extra,
        NULL
    },
};

typedef struct World {
    Vm *vm;
    Ram *ram;
    Dev dev[2];
} World;

static const uint8_t uuid[16];

static const SaveVMConfig config = { .machine = "virt", .uuid = uuid };

static bool ignore_open(void *opaque, Error **errp)
{
    (void)opaque;
    (void)errp;
    return true;
}

static bool ignore_ping(void *opaque, uint32_t value, Error **errp)
{
    (void)opaque;
    (void)value;
    (void)errp;
    return true;
}

static const LoadVMOps load_ops = {
    .open_return_path = ignore_open,
    .ping = ignore_ping,
    .switchover_start = ignore_open,
};

static void never(void *opaque)
{
    (void)opaque;
}

static void world_init(World *w)
{
    RamBacking ram = { .size = RAM_PAGES * GUEST_PAGE_SIZE, .fd = -1 };
    RamBacking rom = { .size = ROM_PAGES * GUEST_PAGE_SIZE, .fd = -1,
                       .readonly = true };

    memset(w, 0, sizeof(*w));
    w->vm = vm_new();
    vm_lock(w->vm);
    memory_ram_new(w->vm->memory, "ram0", &ram, NULL);
    memory_ram_new(w->vm->memory, "rom", &rom, NULL);
    w->ram = ram_new(w->vm, clock_host());
    for (size_t i = 0; i < G_N_ELEMENTS(w->dev); i++) {
        w->dev[i].equal = 7;
        w->dev[i].timer = vm_timer_new(w->vm, VM_CLOCK_VIRTUAL, never, NULL);
        vmstate_register(w->vm, NULL, SAVEVM_INSTANCE_ANY, &vmstate_dev,
                         &w->dev[i], NULL, NULL);
    }
    vm_unlock(w->vm);
}

static void world_clear(World *w)
{
    vm_lock(w->vm);
    for (size_t i = 0; i < G_N_ELEMENTS(w->dev); i++) {
        vm_timer_free(w->dev[i].timer);
        g_free(w->dev[i].list);
        for (size_t k = 0; k < G_N_ELEMENTS(w->dev[i].inner); k++) {
            g_free(w->dev[i].inner[k].bytes);
        }
    }
    ram_free(w->ram);
    savevm_destroy(w->vm);
    vm_unlock(w->vm);
    vm_free(w->vm);
}

static bool load(World *w, IoChannel *ch)
{
    MigStream *s = mig_stream_new_input(ch);
    LoadVM *lv = loadvm_new(w->vm, s, &config, &load_ops, NULL);
    Error *err = NULL;
    bool ok = loadvm_run(lv, &err);

    g_assert(ok == (err == NULL));
    g_clear_error(&err);
    if (ok) {
        loadvm_read_description(lv, NULL);
    }
    vm_lock(w->vm);
    loadvm_free(lv);
    vm_unlock(w->vm);
    mig_stream_free(s);
    return ok;
}

static void save(World *w, IoChannel *ch)
{
    MigStream *s = mig_stream_new_output(ch, clock_host());
    SaveVM *sv = savevm_new(w->vm, s, &config);
    bool ok;

    vm_lock(w->vm);
    ok = savevm_write_header(sv, NULL) && savevm_setup(sv, NULL) &&
         savevm_complete_live(sv, NULL) &&
         savevm_save_devices(sv, NULL, NULL) && savevm_write_end(sv, NULL) &&
         savevm_write_description(sv, NULL);
    g_assert(ok);
    savevm_cleanup(sv);
    vm_unlock(w->vm);
    savevm_free(sv);
    mig_stream_free(s);
}

static void save_and_load_again(World *w)
{
    IoChannel *ch = io_channel_new_buffer();
    World other;
    bool ok;

    save(w, ch);
    world_init(&other);
    ok = load(&other, ch);
    /* What post_load() refuses, or a value that must equal, is not saved. */
    g_assert(ok);
    world_clear(&other);
    io_channel_unref(ch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    IoChannel *ch = io_channel_new_buffer();
    World w;

    if (size > 1) {
        io_channel_write_all(ch, data + 1, size - 1, NULL);
        if (data[0]) {
            IoFault in_pieces = { .kind = IO_FAULT_SHORT, .value = data[0] };

            ch = io_filter_fault_new(ch, in_pieces, (IoFault) { 0 });
        }
    }
    world_init(&w);
    if (load(&w, ch)) {
        save_and_load_again(&w);
    }
    world_clear(&w);
    io_channel_unref(ch);
    return 0;
}
