/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a channel of multifd may say: its beginning and then packets, beside a
 * main stream with three flushes, over a machine of two blocks, "a" of 160
 * pages and the ROM "b" of one. Memory behind the blocks stays as it is.
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "io/channel.h"
#include "migration/multifd-packet.h"
#include "migration/multifd-recv.h"
#include "migration/savevm.h"
#include "migration/stream-owner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define A_PAGES 160
#define CHANNELS 2

/* Which of them, says a byte of the beginning that means nothing. */
#define METHOD_AT 25
static const MultiFDMethod *const methods[] = {
    &multifd_method_none, &multifd_method_zlib, &multifd_method_zstd,
};

static const uint8_t uuid[16];
static const SaveVMConfig config = { .machine = "virt" };
static const LoadVMOps load_ops = { 0 };

/* START with the list and a flush, END with two. */
static const uint8_t main_stream[] =
    "QEVM\0\0\0\3\7\0\0\0\4virt"
    "\1\0\0\0\1\3ram\0\0\0\0\0\0\0\4"
    "\0\0\0\0\0\x0a\x10\x04"
    "\1a\0\0\0\0\0\x0a\0\0" "\1b\0\0\0\0\0\0\x10\0"
    "\0\0\0\0\0\0\2\0" "\0\0\0\0\0\0\0\x10\x7e\0\0\0\1"
    "\3\0\0\0\1"
    "\0\0\0\0\0\0\2\0" "\0\0\0\0\0\0\2\0" "\0\0\0\0\0\0\0\x10\x7e\0\0\0\1"
    "\0";

/* Channel 0 does what is right. */
static IoChannel *well_behaved(void)
{
    IoChannel *ch = io_channel_new_buffer();

    for (unsigned i = 0; i < 3; i++) {
        MultiFDHead head = { .flags = MULTIFD_FLAG_SYNC, .packet_num = i };
        uint8_t bytes[MULTIFD_HEAD_BYTES];

        multifd_head_put(bytes, &head);
        io_channel_write_all(ch, bytes, sizeof(bytes), NULL);
    }
    return ch;
}

static bool load(Vm *vm, MultiFDRecv *r)
{
    IoChannel *ch = io_channel_new_buffer();
    Error *err = NULL;
    MigStream *s;
    LoadVM *lv;
    bool ok;

    /* Without the string's own terminator. */
    io_channel_write_all(ch, main_stream, sizeof(main_stream) - 1, NULL);
    multifd_recv_set_main(r, ch);
    s = mig_stream_new_input(ch);
    lv = loadvm_new(vm, s, &config, &load_ops, NULL);
    ok = loadvm_run(lv, &err);
    g_assert(ok == (err == NULL));
    g_clear_error(&err);
    vm_lock(vm);
    loadvm_free(lv);
    vm_unlock(vm);
    mig_stream_free(s);
    io_channel_unref(ch);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RamBacking a = { .size = A_PAGES * GUEST_PAGE_SIZE, .fd = -1 };
    RamBacking b = { .size = GUEST_PAGE_SIZE, .fd = -1, .readonly = true };
    MultiFDRecvConfig recv = {
        .channels = CHANNELS,
        .missing_ns = 1000000,
    };
    RamOptions options = { 0 };
    MultiFDInit init, first = { .id = 0 };
    IoChannel *ch;

    if (size < MULTIFD_INIT_BYTES ||
        !multifd_init_get(data, uuid, CHANNELS, &init, NULL)) {
        return 0;
    }
    recv.method = methods[data[METHOD_AT] % G_N_ELEMENTS(methods)];
    recv.vm = vm_new();
    vm_lock(recv.vm);
    memory_ram_new(recv.vm->memory, "a", &a, NULL);
    memory_ram_new(recv.vm->memory, "b", &b, NULL);
    recv.ram = ram_new(recv.vm, clock_host());
    options.multifd_recv = multifd_recv_new(&recv);
    ram_set_options(recv.ram, &options);
    vm_unlock(recv.vm);

    ch = io_channel_new_buffer();
    io_channel_write_all(ch, data + MULTIFD_INIT_BYTES,
                         size - MULTIFD_INIT_BYTES, NULL);
    g_assert(multifd_recv_add(options.multifd_recv, ch, &init, NULL));
    /* Refused if the other one has taken its place. */
    multifd_recv_add(options.multifd_recv, well_behaved(), &first, NULL);
    load(recv.vm, options.multifd_recv);

    vm_lock(recv.vm);
    ram_set_options(recv.ram, &(RamOptions) { 0 });
    multifd_recv_free(options.multifd_recv);
    ram_free(recv.ram);
    savevm_destroy(recv.vm);
    vm_unlock(recv.vm);
    vm_free(recv.vm);
    return 0;
}
