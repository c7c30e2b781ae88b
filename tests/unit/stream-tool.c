/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One side of a migration between this program's stream code and another
 * emulator's machine "none": 4 MiB of memory, and the two sections which that
 * one always has.
 *
 * stream-tool save STREAM MEMORY   writes a stream, and the memory it holds
 * stream-tool load STREAM MEMORY   loads one, and writes what memory became
 */
#include <stdio.h>
#include <string.h>

#include "migration-util.h"

#define MEMORY_BYTES (4 * 1024 * 1024)

typedef struct Ticks {
    int64_t ticks;
    int64_t clock;
} Ticks;

static const VMStateDescription vmstate_ticks = {
    .name = "timer",
    .version_id = 2,
    .minimum_version_id = 2,
    .fields = (const VMStateField[]) {
        VMSTATE_INT64(ticks, Ticks),
        VMSTATE_UNUSED(8),
        VMSTATE_INT64(clock, Ticks),
        VMSTATE_END_OF_LIST()
    },
};

typedef struct RunState {
    uint32_t len;
    uint8_t name[100];
} RunState;

static const VMStateDescription vmstate_run_state = {
    .name = "globalstate",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(len, RunState),
        VMSTATE_BUFFER(name, RunState),
        VMSTATE_END_OF_LIST()
    },
};

static const SaveVMConfig config = { .machine = "none" };

/* Zero pages, full ones, and some with a little in them. */
static void fill(uint8_t *p)
{
    for (size_t page = 0; page < MEMORY_BYTES / GUEST_PAGE_SIZE; page++) {
        uint8_t *at = p + page * GUEST_PAGE_SIZE;

        if (page % 3 == 1) {
            memset(at, page, GUEST_PAGE_SIZE);
        } else if (page % 7 == 2) {
            at[page] = 0xa5;
        }
    }
}

int main(int argc, char **argv)
{
    RamBacking backing = { .size = MEMORY_BYTES, .fd = -1 };
    Ticks ticks = { .ticks = 7, .clock = 8 };
    RunState state = { .len = 7, .name = "paused" };
    g_autoptr(Error) err = NULL;
    TestVm t = { .vm = vm_new() };
    bool ok;

    g_assert(argc == 4);
    t.rb = memory_ram_new(t.vm->memory, "ram", &backing, NULL);
    vm_lock(t.vm);
    t.ram = ram_new(t.vm, clock_host());
    vmstate_register(t.vm, NULL, 0, &vmstate_ticks, &ticks, NULL, NULL);
    vmstate_register(t.vm, NULL, 0, &vmstate_run_state, &state, NULL, NULL);
    vm_unlock(t.vm);
    if (strcmp(argv[1], "save") == 0) {
        g_autoptr(GByteArray) bytes = NULL;

        fill(t.rb->host);
        bytes = test_save(&t, &config);
        ok = g_file_set_contents(argv[2], (char *)bytes->data, bytes->len,
                                 &err);
    } else {
        g_autofree char *data = NULL;
        gsize len;

        ok = g_file_get_contents(argv[2], &data, &len, &err) &&
             test_load(&t, &config, (uint8_t *)data, len, &err);
    }
    ok = ok && g_file_set_contents(argv[3], (char *)t.rb->host, MEMORY_BYTES,
                                   &err);
    if (!ok) {
        fprintf(stderr, "stream-tool: %s\n", err->message);
    }
    test_vm_clear(&t);
    return ok ? 0 : 1;
}
