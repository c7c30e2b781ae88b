/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The carrier of multifd for mapped-ram: each thread writes pages to their
 * places, neighbours in one call. Which pages the file has is noted by the
 * outgoing thread (multifd-ram.c). The channels' threads; no lock.
 */
#include "migration/multifd-file.h"
#include "migration/multifd-method.h"
#include "migration/ram-int.h"

typedef struct FileState {
    Ram *ram;
    IoChannel *ch;
} FileState;

void *multifd_file_new(Ram *ram, IoChannel *ch)
{
    FileState *st = g_new0(FileState, 1);

    st->ram = ram;
    st->ch = io_channel_ref(ch);
    return st;
}

static bool file_send(void *state, MultiFDSend *send,
                      const MultiFDBatch *batch, uint64_t *bytes,
                      Error **errp)
{
    struct iovec iov[MULTIFD_PAGES];
    uint8_t *page[MULTIFD_PAGES];
    FileState *st = state;
    const MappedBlock *mb = &st->ram->save_mapped->block[batch->rb->index];
    uint64_t done = 0;
    unsigned count;
    bool ok = true;

    for (unsigned i = 0; i < batch->normal; i++) {
        page[i] = batch->rb->host + batch->offset[i];
    }
    count = multifd_pages_to_iov(page, batch->normal, iov);
    multifd_send_begin_write(send);
    for (unsigned i = 0; i < count && ok; i++) {
        uint64_t offset = (uint8_t *)iov[i].iov_base - batch->rb->host;

        ok = io_channel_pwrite_all(st->ch, iov[i].iov_base, iov[i].iov_len,
                                   mb->pages_offset + offset, errp);
        done += ok ? iov[i].iov_len : 0;
    }
    multifd_send_end_write(send, done);
    *bytes = done;
    return ok;
}

static void file_interrupt(void *state)
{
    io_channel_shutdown(((FileState *)state)->ch, IO_SHUTDOWN_BOTH);
}

/* Whoever owns the channel closes it. */
static bool file_close(void *state, bool ok, Error **errp)
{
    FileState *st = state;

    (void)ok;
    (void)errp;
    io_channel_unref(st->ch);
    g_free(st);
    return true;
}

const MultiFDCarrier multifd_file_carrier = {
    .send = file_send,
    .interrupt = file_interrupt,
    .close = file_close,
};
