/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiving threads of multifd, "mig/dst/recv_N", and where they meet the
 * main stream: n SYNCs of each channel belong to n FLUSHes, and neither side
 * passes one without the other.
 *
 * Entered by the channels' threads, the incoming thread (sync, end), and any
 * that fails or asks. Lock: MultiFDRecv.lock, a leaf; whoever waits on it has
 * dropped the big lock.
 */
#include <inttypes.h>

#include "migration/multifd-ram.h"
#include "migration/multifd-recv.h"
#include "trace/trace-migration.h"
#include "util/thread.h"

typedef struct RecvChannel {
    /* Constant once it is there */
    MultiFDRecv *r;
    unsigned id;
    IoChannel *ch;              /* NULL: not there */
    GThread *thread;

    /* The channel's thread */
    MultiFDLoader loader;
    uint64_t packets;           /* so far */
    uint64_t last_num;          /* packet_num of the last */

    /* Under lock */
    uint64_t syncs;             /* SYNCs that it has come to */
    bool pages_since;           /* ... pages that came after the last */
    bool ended;
} RecvChannel;

struct MultiFDRecv {
    /* Constant */
    MultiFDRecvConfig config;
    PagePresence *presence;     /* the channels share its descriptor */

    GMutex lock;
    GCond changed;
    /* Under lock */
    RecvChannel *channel;       /* config.channels of them */
    unsigned present;
    uint64_t flushes;           /* how far channels may go */
    IoChannel *main;
    bool stop;
    bool over;                  /* what happens to a channel is no error now */
    Error *error;
};

/* ---- failing ---- */

/* Lock held. */
static void stop_all(MultiFDRecv *r)
{
    r->stop = true;
    for (unsigned i = 0; i < r->config.channels; i++) {
        if (r->channel[i].ch) {
            io_channel_shutdown(r->channel[i].ch, IO_SHUTDOWN_BOTH);
        }
    }
    g_cond_broadcast(&r->changed);
}

void multifd_recv_fail(MultiFDRecv *r, Error *err)
{
    g_mutex_lock(&r->lock);
    if (r->stop || r->over) {
        g_error_free(err);
    } else {
        r->error = err;
        if (r->main) {
            io_channel_shutdown(r->main, IO_SHUTDOWN_READ);
        }
        stop_all(r);
    }
    g_mutex_unlock(&r->lock);
}

bool multifd_recv_check(MultiFDRecv *r, Error **errp)
{
    bool ok;

    g_mutex_lock(&r->lock);
    ok = !r->error;
    if (!ok) {
        error_propagate(errp, g_error_copy(r->error));
    }
    g_mutex_unlock(&r->lock);
    return ok;
}

/* ---- the threads ---- */

typedef enum RecvResult {
    RECV_PACKET,
    RECV_END,                   /* the channel has ended between packets */
    RECV_ERROR,
} RecvResult;

static RecvResult read_head(RecvChannel *c, MultiFDHead *head, Error **errp)
{
    uint8_t bytes[MULTIFD_HEAD_BYTES];
    struct iovec iov = { bytes, sizeof(bytes) };
    ssize_t got = io_channel_readv(c->ch, &iov, 1, errp);

    if (got == 0) {
        return RECV_END;
    }
    if (got < 0 || !io_channel_read_all(c->ch, bytes + got,
                                        sizeof(bytes) - got, errp) ||
        !multifd_head_get(bytes, c->r->config.method->flags, head, errp)) {
        return RECV_ERROR;
    }
    /* QEMU 7.2 may give a packet without pages the number of the last one. */
    if (head->packet_num < c->last_num) {
        error_setg(errp, "packet number %" PRIu64 " after %" PRIu64
                   "; they do not decrease", head->packet_num, c->last_num);
        return RECV_ERROR;
    }
    c->last_num = head->packet_num;
    return RECV_PACKET;
}

/* Waits for the main stream. False: all is over. */
static bool meet_main(RecvChannel *c)
{
    MultiFDRecv *r = c->r;
    bool go;

    g_mutex_lock(&r->lock);
    c->syncs++;
    c->pages_since = false;
    trace_multifd_recv_sync(c->id, c->syncs);
    g_cond_broadcast(&r->changed);
    while (!r->stop && r->flushes < c->syncs) {
        g_cond_wait(&r->changed, &r->lock);
    }
    go = !r->stop;
    g_mutex_unlock(&r->lock);
    /* A page that another channel has brought may be there now. */
    page_presence_forget(c->loader.presence);
    return go;
}

static bool take_pages(RecvChannel *c, const MultiFDHead *head, Error **errp)
{
    MultiFDRecv *r = c->r;

    g_mutex_lock(&r->lock);
    c->pages_since = true;
    g_mutex_unlock(&r->lock);
    if (c->syncs == 0) {
        error_setg(errp, "%" PRIu32 " pages before the first SYNC, which "
                   "comes behind the list of RAM blocks",
                   multifd_head_pages(head));
        return false;
    }
    return multifd_load_packet(r->config.ram, &c->loader, c->ch, head, errp);
}

static bool receive(RecvChannel *c, Error **errp)
{
    MultiFDHead head;

    for (;; c->packets++) {
        RecvResult res = read_head(c, &head, errp);

        if (res != RECV_PACKET) {
            return res == RECV_END;
        }
        trace_multifd_recv(c->id, head.packet_num, head.flags,
                           head.normal_pages, head.zero_pages);
        if (multifd_head_pages(&head) && !take_pages(c, &head, errp)) {
            return false;
        }
        if (head.flags & MULTIFD_FLAG_SYNC && !meet_main(c)) {
            return true;
        }
    }
}

static gpointer recv_main(gpointer opaque)
{
    RecvChannel *c = opaque;
    MultiFDRecv *r = c->r;
    Error *err = NULL;

    if (!receive(c, &err)) {
        error_prepend(&err, "multifd channel %u, packet %" PRIu64 ": ", c->id,
                      c->packets);
        multifd_recv_fail(r, err);
    }
    g_mutex_lock(&r->lock);
    c->ended = true;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- adding ---- */

bool multifd_recv_add(MultiFDRecv *r, IoChannel *ch, const MultiFDInit *init,
                      Error **errp)
{
    g_autofree char *name = g_strdup_printf("mig/dst/recv_%u", init->id);
    RecvChannel *c = &r->channel[init->id];
    void *unpacker = NULL;
    Error *err = NULL;

    if (r->config.method->recv_new &&
        !(unpacker = r->config.method->recv_new(errp))) {
        io_channel_unref(ch);
        return false;
    }
    g_mutex_lock(&r->lock);
    if (c->ch) {
        g_mutex_unlock(&r->lock);
        error_setg(&err, "a second multifd channel with id %u", init->id);
        multifd_recv_fail(r, g_error_copy(err));
        error_propagate(errp, err);
        io_channel_unref(ch);
        if (unpacker) {
            r->config.method->recv_free(unpacker);
        }
        return false;
    }
    c->r = r;
    c->id = init->id;
    c->ch = ch;
    multifd_loader_init(&c->loader, r->config.method, unpacker, r->presence);
    if (r->stop) {
        io_channel_shutdown(ch, IO_SHUTDOWN_BOTH);
    }
    c->thread = thread_start(name, recv_main, c);
    r->present++;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->lock);
    trace_multifd_recv_add(init->id);
    return true;
}

bool multifd_recv_is_complete(MultiFDRecv *r)
{
    bool complete;

    g_mutex_lock(&r->lock);
    complete = r->present == r->config.channels;
    g_mutex_unlock(&r->lock);
    return complete;
}

/* ---- the incoming thread ---- */

/*
 * Whether all channels have come to SYNC number @sync; false and no error:
 * not yet. Lock held.
 */
static bool all_here(MultiFDRecv *r, uint64_t sync, Error **errp)
{
    for (unsigned i = 0; i < r->config.channels; i++) {
        const RecvChannel *c = &r->channel[i];

        if (!c->ch) {
            return false;
        }
        if (c->syncs < sync && c->ended && !r->error) {
            error_setg(errp, "multifd channel %u ended after %" PRIu64
                       " packets, and the source's flush %" PRIu64
                       " needs a SYNC from it", i, c->packets, sync);
            return false;
        }
        if (c->syncs < sync) {
            return false;
        }
    }
    return true;
}

/* False: its time is over. Lock held. */
static bool wait_for_channels(MultiFDRecv *r, int64_t end_us, Error **errp)
{
    if (r->present == r->config.channels) {
        g_cond_wait(&r->changed, &r->lock);
        return true;
    }
    if (g_cond_wait_until(&r->changed, &r->lock, end_us)) {
        return true;
    }
    error_setg(errp, "%u of %u multifd channels have come; multifd-channels "
               "must be the same on both sides", r->present,
               r->config.channels);
    return false;
}

bool multifd_recv_sync(MultiFDRecv *r, Error **errp)
{
    int64_t end_us = g_get_monotonic_time() + r->config.missing_ns / 1000;
    bool relock = vm_locked(r->config.vm);
    Error *err = NULL;
    uint64_t sync;

    if (relock) {
        vm_unlock(r->config.vm);
    }
    g_mutex_lock(&r->lock);
    sync = r->flushes + 1;
    while (!r->stop && !all_here(r, sync, &err) && !err) {
        if (!wait_for_channels(r, end_us, &err)) {
            break;
        }
    }
    if (r->error) {
        g_clear_error(&err);
        err = g_error_copy(r->error);
    } else if (!err) {
        r->flushes = sync;
        g_cond_broadcast(&r->changed);
    }
    g_mutex_unlock(&r->lock);
    if (relock) {
        vm_lock(r->config.vm);
    }
    error_propagate(errp, err);
    return !err;
}

bool multifd_recv_has_synced(const MultiFDRecv *r)
{
    return r->flushes > 0;
}

/* Joins what runs. */
static void join_all(MultiFDRecv *r)
{
    for (unsigned i = 0; i < r->config.channels; i++) {
        g_clear_pointer(&r->channel[i].thread, g_thread_join);
    }
}

bool multifd_recv_end(MultiFDRecv *r, Error **errp)
{
    Error *err = NULL;

    g_mutex_lock(&r->lock);
    if (r->error) {
        err = g_error_copy(r->error);
    }
    r->over = true;
    stop_all(r);
    g_mutex_unlock(&r->lock);
    /* They take no lock but ours. */
    join_all(r);
    for (unsigned i = 0; i < r->config.channels && !err; i++) {
        if (r->channel[i].pages_since) {
            error_setg(&err, "multifd channel %u has pages behind its last "
                       "SYNC", i);
        }
    }
    error_propagate(errp, err);
    return !err;
}

/* ---- its owner ---- */

MultiFDRecv *multifd_recv_new(const MultiFDRecvConfig *config)
{
    MultiFDRecv *r = g_new0(MultiFDRecv, 1);

    g_assert(config->channels >= 1 &&
             config->channels <= MULTIFD_CHANNELS_MAX);
    r->config = *config;
    r->presence = page_presence_new();
    r->channel = g_new0(RecvChannel, config->channels);
    g_mutex_init(&r->lock);
    g_cond_init(&r->changed);
    return r;
}

const MultiFDRecvConfig *multifd_recv_config(const MultiFDRecv *r)
{
    return &r->config;
}

void multifd_recv_set_main(MultiFDRecv *r, IoChannel *ch)
{
    g_mutex_lock(&r->lock);
    r->main = io_channel_ref(ch);
    if (r->stop) {
        io_channel_shutdown(ch, IO_SHUTDOWN_READ);
    }
    g_mutex_unlock(&r->lock);
}

void multifd_recv_free(MultiFDRecv *r)
{
    if (!r) {
        return;
    }
    g_mutex_lock(&r->lock);
    stop_all(r);
    g_mutex_unlock(&r->lock);
    join_all(r);
    for (unsigned i = 0; i < r->config.channels; i++) {
        RecvChannel *c = &r->channel[i];

        if (c->ch) {
            multifd_loader_clear(&c->loader);
            io_channel_unref(c->ch);
        }
    }
    page_presence_free(r->presence);
    io_channel_unref(r->main);
    g_clear_error(&r->error);
    g_cond_clear(&r->changed);
    g_mutex_clear(&r->lock);
    g_free(r->channel);
    g_free(r);
}
