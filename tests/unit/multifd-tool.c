/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads what the multifd channels of another emulator's machine "none" of 4 MiB
 * have said, beside a main stream that is made here.
 *
 * multifd-tool METHOD FLUSHES MEMORY CHANNEL...
 *
 * METHOD is none, zlib or zstd; FLUSHES how many SYNCs each channel has;
 * MEMORY gets what memory became; each CHANNEL is a file with a channel's
 * bytes from its beginning on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration-util.h"
#include "migration/multifd-recv.h"

#define MEMORY_BYTES (4 * 1024 * 1024)

static const MultiFDMethod *method_of(const char *name)
{
    return strcmp(name, "zlib") == 0   ? &multifd_method_zlib
           : strcmp(name, "zstd") == 0 ? &multifd_method_zstd
                                       : &multifd_method_none;
}

/* Adds the channel whose bytes are in the file @path. */
static bool add_channel(MultiFDRecv *r, const char *path, Error **errp)
{
    const MultiFDRecvConfig *config = multifd_recv_config(r);
    g_autofree char *data = NULL;
    MultiFDInit init;
    IoChannel *ch;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, errp)) {
        return false;
    }
    if (len < MULTIFD_INIT_BYTES) {
        error_setg(errp, "%s has %zu bytes", path, len);
        return false;
    }
    if (!multifd_init_get((uint8_t *)data, config->uuid, config->channels,
                          &init, errp)) {
        return false;
    }
    ch = test_channel((uint8_t *)data + MULTIFD_INIT_BYTES,
                      len - MULTIFD_INIT_BYTES);
    return multifd_recv_add(r, ch, &init, errp);
}

int main(int argc, char **argv)
{
    RamBacking backing = { .size = MEMORY_BYTES, .fd = -1 };
    MultiFDRecvConfig config = { .missing_ns = 1000000 };
    RamOptions options = { 0 };
    g_autoptr(GByteArray) stream = NULL;
    g_autoptr(Error) err = NULL;
    TestVm t = { .vm = vm_new() };
    bool ok = true;

    g_assert(argc > 4);
    t.rb = memory_ram_new(t.vm->memory, "ram", &backing, NULL);
    config.vm = t.vm;
    config.method = method_of(argv[1]);
    config.channels = argc - 4;
    vm_lock(t.vm);
    config.ram = t.ram = ram_new(t.vm, clock_host());
    options.multifd_recv = multifd_recv_new(&config);
    ram_set_options(t.ram, &options);
    vm_unlock(t.vm);
    for (int i = 4; i < argc && ok; i++) {
        ok = add_channel(options.multifd_recv, argv[i], &err);
    }
    stream = multifd_main_stream("ram", MEMORY_BYTES,
                                 atoi(argv[2]));
    ok = ok && test_load(&t, &test_config, stream->data, stream->len, &err) &&
         g_file_set_contents(argv[3], (char *)t.rb->host, MEMORY_BYTES, &err);
    if (!ok) {
        fprintf(stderr, "multifd-tool: %s\n", err->message);
    }
    multifd_recv_free(options.multifd_recv);
    test_vm_clear(&t);
    return ok ? 0 : 1;
}
