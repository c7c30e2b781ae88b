/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From settings to channels: what multifd can be used with, the connections of
 * an outgoing migration, and those that an incoming one waits for. Entered by
 * the main loop (checks) and the two migration threads. No lock of its own.
 */
#include <string.h>

#include "io/socket.h"
#include "migration/migration-int.h"
#include "migration/multifd-file.h"
#include "migration/multifd-recv.h"
#include "migration/multifd-socket.h"
#include "trace/trace-migration.h"

static unsigned num_channels(Migration *m)
{
    return migration_param(m, MIG_PARAM_MULTIFD_CHANNELS);
}

/* The method that the settings name, and its level. */
static const MultiFDMethod *method_of(Migration *m, int *level)
{
    switch (migration_param(m, MIG_PARAM_MULTIFD_COMPRESSION)) {
    case MULTI_FD_COMPRESSION_ZLIB:
        *level = migration_param(m, MIG_PARAM_MULTIFD_ZLIB_LEVEL);
        return &multifd_method_zlib;
    case MULTI_FD_COMPRESSION_ZSTD:
        *level = migration_param(m, MIG_PARAM_MULTIFD_ZSTD_LEVEL);
        return &multifd_method_zstd;
    default:
        *level = 0;
        return &multifd_method_none;
    }
}

static bool check_file(Migration *m, Error **errp)
{
    uint64_t method = migration_param(m, MIG_PARAM_MULTIFD_COMPRESSION);

    if (method != MULTI_FD_COMPRESSION_NONE) {
        error_setg(errp, "parameter 'multifd-compression' is '%s': with "
                   "capability 'mapped-ram' a page has a place of its own "
                   "size, and 'none' is accepted",
                   MultiFDCompression_str(method));
        return false;
    }
    return true;
}

bool multifd_check_end(Migration *m, const MigEnd *end, Error **errp)
{
    if (!migration_cap(m, MIGRATION_CAPABILITY_MULTIFD)) {
        return true;
    }
    if (end->ch && !migration_cap(m, MIGRATION_CAPABILITY_MAPPED_RAM)) {
        error_setg(errp, "capability 'multifd' is on: several connections "
                   "(tcp:HOST:PORT, unix:PATH) or a file with capability "
                   "'mapped-ram' are needed, and '%s' is one stream",
                   end->ch->name);
        return false;
    }
    return !end->ch || check_file(m, errp);
}

int multifd_backlog(Migration *m)
{
    return migration_cap(m, MIGRATION_CAPABILITY_MULTIFD)
           ? 1 + (int)num_channels(m) : 1;
}

/* ---- source ---- */

/* A connection more to where the main one leads. */
static void *connect_channel(MigOut *out, unsigned id, Error **errp)
{
    Migration *m = out->m;
    MultiFDInit init = { .id = id };
    MigEnd end = { .listen_fd = -1 };
    g_autofree char *name = g_strdup_printf("multifd channel %u", id);
    const MultiFDMethod *method;
    int level;
    int fd = io_socket_connect(&out->end.addr->u.socket, out->cancel_fd, errp);

    if (fd < 0 || !mig_end_from_fd(&end, fd, name, errp)) {
        error_prepend(errp, "multifd channel %u of %u: ", id,
                      num_channels(m));
        error_append(errp, "; the destination needs capability 'multifd' and "
                     "the same multifd-channels");
        return NULL;
    }
    memcpy(init.uuid, m->vm->uuid, sizeof(init.uuid));
    method = method_of(m, &level);
    return multifd_socket_new(end.ch, &init, method, level,
                              &out->multifd_packets, errp);
}

bool outgoing_open_multifd(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    bool mapped = out->caps[MIGRATION_CAPABILITY_MAPPED_RAM];
    MultiFDSendConfig config = {
        .vm = m->vm,
        .clock = m->clock,
        .stream = out->stream,
        .carrier = mapped ? &multifd_file_carrier : &multifd_socket_carrier,
        .detect_zero_pages = migration_param(m, MIG_PARAM_ZERO_PAGE_DETECTION)
                             == ZERO_PAGE_DETECTION_MULTIFD,
    };
    g_autofree void **states = NULL;

    if (!out->caps[MIGRATION_CAPABILITY_MULTIFD]) {
        return true;
    }
    config.channels = num_channels(m);
    config.states = states = g_new0(void *, config.channels);
    for (unsigned i = 0; i < config.channels; i++) {
        states[i] = mapped ? multifd_file_new(m->ram, out->end.ch)
                           : connect_channel(out, i, errp);
        if (!states[i]) {
            while (i-- > 0) {
                config.carrier->close(states[i], false, NULL);
            }
            return false;
        }
    }
    out->multifd = multifd_send_new(&config);
    trace_multifd_open(config.channels, mapped ? "file" : "sockets");
    return true;
}

void outgoing_close_multifd(MigOut *out, bool ok)
{
    RamOptions none = migration_ram_options(out->m);

    if (!out->multifd) {
        return;
    }
    vm_lock(out->m->vm);
    ram_set_options(out->m->ram, &none);
    vm_unlock(out->m->vm);
    multifd_send_free(out->multifd, ok, NULL);
    out->multifd = NULL;
}

/* ---- destination ---- */

bool incoming_accept_multifd(MigIn *in, Error **errp)
{
    Migration *m = in->m;
    MultiFDRecvConfig config = {
        .vm = m->vm,
        .ram = m->ram,
        .channels = num_channels(m),
        .missing_ns = m->multifd_missing_ns,
    };
    int fd = in->end.listen_fd, level;

    config.method = method_of(m, &level);
    memcpy(config.uuid, m->vm->uuid, sizeof(config.uuid));
    in->multifd = multifd_recv_new(&config);
    in->end.listen_fd = -1;
    in->accept = multifd_accept_start(in->multifd, fd, in->cancel_fd, errp);
    if (!in->accept) {
        return false;
    }
    fd = multifd_accept_main(in->accept, errp);
    if (fd < 0 || !mig_end_from_fd(&in->end, fd, "migration socket", errp)) {
        return false;
    }
    multifd_recv_set_main(in->multifd, in->end.ch);
    return true;
}

unsigned incoming_read_threads(MigIn *in)
{
    return migration_cap(in->m, MIGRATION_CAPABILITY_MULTIFD) &&
           migration_cap(in->m, MIGRATION_CAPABILITY_MAPPED_RAM)
           ? num_channels(in->m) : 0;
}

bool incoming_check_multifd(MigIn *in, Error **errp)
{
    return !in->multifd || multifd_recv_check(in->multifd, errp);
}

void incoming_close_multifd(MigIn *in)
{
    RamOptions none = migration_ram_options(in->m);

    if (!in->multifd) {
        return;
    }
    vm_lock(in->m->vm);
    ram_set_options(in->m->ram, &none);
    vm_unlock(in->m->vm);
    multifd_accept_free(in->accept);
    multifd_recv_free(in->multifd);
    in->accept = NULL;
    in->multifd = NULL;
}
