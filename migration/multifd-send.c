/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sending threads of multifd, "mig/src/send_N", and the hand-over to them.
 * A channel has one job at a time; while it has it the batch is the thread's.
 *
 * Entered by the outgoing thread (batches), the channels' own threads, and by
 * any thread to interrupt. Lock: MultiFDSend.lock, a leaf; whoever waits on it
 * has dropped the big lock.
 */
#include "migration/multifd-send.h"
#include "migration/zero-page.h"
#include "trace/trace-migration.h"
#include "util/thread.h"

typedef enum SendJob {
    JOB_NONE,
    JOB_PAGES,
    JOB_SYNC,
} SendJob;

typedef struct SendChannel {
    /* Constant */
    MultiFDSend *send;
    unsigned id;
    GThread *thread;
    void *state;                /* the carrier's */

    /* The channel's thread */
    PagePresence *presence;
    uint64_t presence_epoch;

    GCond work;
    /* Under lock */
    SendJob job;
    bool done;                  /* the batch is, and nobody has been told */
    uint64_t bytes;             /* ... that have left since then */
    MultiFDBatch *batch;        /* the thread's while there is a job */
    uint64_t epoch;
} SendChannel;

struct MultiFDSend {
    /* Constant */
    Vm *vm;
    Clock *clock;
    MigStream *stream;
    const MultiFDCarrier *carrier;
    bool detect_zero_pages;
    unsigned channels;
    PagePresence *presence;     /* the channels share its descriptor */

    /* The outgoing thread */
    MultiFDBatchDone *batch_done;
    void *opaque;
    MultiFDBatch *filling;
    uint64_t epoch;             /* of what is known of pages */
    uint64_t under_way;         /* bytes */
    unsigned next;              /* whose turn it is */
    bool settled;

    GMutex lock;
    GCond idle;                 /* a channel has become so, or failed */
    /* Under lock */
    bool stop;
    Error *error;               /* the first */
    unsigned writing;           /* threads that are in a write */
    int64_t writing_since_ns;   /* ... or last accounted for */

    SendChannel ch[];
};

/* ---- the threads ---- */

void multifd_send_begin_write(MultiFDSend *send)
{
    g_mutex_lock(&send->lock);
    if (send->writing++ == 0) {
        send->writing_since_ns = clock_now_ns(send->clock);
    }
    g_mutex_unlock(&send->lock);
}

void multifd_send_end_write(MultiFDSend *send, uint64_t bytes)
{
    int64_t now;

    g_mutex_lock(&send->lock);
    now = clock_now_ns(send->clock);
    /* Time in which several write counts once. */
    mig_stream_count_sent(send->stream, bytes,
                          MAX(now - send->writing_since_ns, 0));
    send->writing_since_ns = now;
    send->writing--;
    g_mutex_unlock(&send->lock);
}

static bool is_zero(SendChannel *c, const RamBlock *rb, uint64_t offset)
{
    return page_presence_absent(c->presence, rb, offset / GUEST_PAGE_SIZE) ||
           page_is_zero(rb->host + offset);
}

/* Those with contents first, each kind in its order. */
static void sort_zero_pages(SendChannel *c, MultiFDBatch *b)
{
    uint64_t zero[MULTIFD_PAGES];
    unsigned zeros = 0;

    b->normal = 0;
    for (unsigned i = 0; i < b->num; i++) {
        if (is_zero(c, b->rb, b->offset[i])) {
            zero[zeros++] = b->offset[i];
        } else {
            b->offset[b->normal++] = b->offset[i];
        }
    }
    for (unsigned i = 0; i < zeros; i++) {
        b->offset[b->normal + i] = zero[i];
    }
}

/* Lock not held. */
static bool run_job(SendChannel *c, SendJob job, uint64_t epoch,
                    uint64_t *bytes, Error **errp)
{
    MultiFDSend *send = c->send;

    if (job == JOB_SYNC) {
        return send->carrier->sync(c->state, send, bytes, errp);
    }
    if (c->presence_epoch != epoch) {
        page_presence_forget(c->presence);
        c->presence_epoch = epoch;
    }
    c->batch->normal = c->batch->num;
    if (send->detect_zero_pages) {
        sort_zero_pages(c, c->batch);
    }
    trace_multifd_send(c->id, c->batch->rb->id, c->batch->normal,
                       c->batch->num - c->batch->normal);
    return send->carrier->send(c->state, send, c->batch, bytes, errp);
}

/* Takes @err. Lock held. */
static void stop_all(MultiFDSend *send, Error *err)
{
    if (send->error) {
        g_error_free(err);
    } else {
        send->error = err;
    }
    send->stop = true;
    for (unsigned i = 0; i < send->channels; i++) {
        g_cond_signal(&send->ch[i].work);
    }
    g_cond_signal(&send->idle);
}

static gpointer send_main(gpointer opaque)
{
    SendChannel *c = opaque;
    MultiFDSend *send = c->send;

    g_mutex_lock(&send->lock);
    while (!send->stop) {
        uint64_t bytes = 0, epoch;
        Error *err = NULL;
        SendJob job;

        if (c->job == JOB_NONE) {
            g_cond_wait(&c->work, &send->lock);
            continue;
        }
        job = c->job;
        epoch = c->epoch;
        g_mutex_unlock(&send->lock);
        if (!run_job(c, job, epoch, &bytes, &err)) {
            error_prepend(&err, "multifd channel %u: ", c->id);
        }
        g_mutex_lock(&send->lock);
        c->job = JOB_NONE;
        c->done |= job == JOB_PAGES;
        c->bytes += bytes;
        g_cond_signal(&send->idle);
        if (err) {
            stop_all(send, err);
        }
    }
    g_mutex_unlock(&send->lock);
    return NULL;
}

/* ---- the outgoing thread ---- */

/* What the channel has come to; it is idle. Lock held. */
static void collect(MultiFDSend *send, SendChannel *c)
{
    static const MultiFDBatch none;

    if (c->done || c->bytes) {
        send->batch_done(send->opaque, c->done ? c->batch : &none, c->bytes);
    }
    if (c->done) {
        send->under_way -= c->batch->num * GUEST_PAGE_SIZE;
        c->batch->num = 0;
    }
    c->done = false;
    c->bytes = 0;
}

/* The next idle channel of [@first, @first + @count), or NULL. Lock held. */
static SendChannel *find_idle(MultiFDSend *send, unsigned first,
                              unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        SendChannel *c = &send->ch[(first + i) % send->channels];

        if (c->job == JOB_NONE) {
            return c;
        }
    }
    return NULL;
}

/*
 * Waits for such a channel, with the big lock dropped while it waits and
 * *dropped saying so. NULL: all is over. Lock held.
 */
static SendChannel *wait_idle(MultiFDSend *send, unsigned first,
                              unsigned count, bool *dropped)
{
    SendChannel *c = NULL;

    while (!send->stop && !(c = find_idle(send, first, count))) {
        if (vm_locked(send->vm)) {
            vm_unlock(send->vm);
            *dropped = true;
        }
        g_cond_wait(&send->idle, &send->lock);
    }
    for (unsigned i = 0; i < send->channels; i++) {
        if (send->ch[i].job == JOB_NONE) {
            collect(send, &send->ch[i]);
        }
    }
    return send->stop ? NULL : c;
}

/* Lock held. */
static void give(SendChannel *c, SendJob job)
{
    c->job = job;
    c->epoch = c->send->epoch;
    g_cond_signal(&c->work);
}

/* Gives back what wait_idle() needed, and tells the stream what went wrong. */
static void leave(MultiFDSend *send, bool dropped)
{
    g_autoptr(Error) err = NULL;

    if (send->stop) {
        err = g_error_copy(send->error);
    }
    g_mutex_unlock(&send->lock);
    if (dropped) {
        vm_lock(send->vm);
    }
    if (err) {
        mig_stream_fail(send->stream, NULL, "%s", err->message);
    }
}

void multifd_send_push(MultiFDSend *send)
{
    MultiFDBatch *full = send->filling;
    bool dropped = false;
    SendChannel *c;

    if (full->num == 0) {
        return;
    }
    send->settled = false;
    g_mutex_lock(&send->lock);
    c = wait_idle(send, send->next, send->channels, &dropped);
    if (c) {
        send->next = (c->id + 1) % send->channels;
        send->under_way += full->num * GUEST_PAGE_SIZE;
        send->filling = c->batch;
        c->batch = full;
        give(c, JOB_PAGES);
    } else {
        /* The stream has failed: nobody asks for this page again. */
        full->num = 0;
    }
    leave(send, dropped);
}

void multifd_send_page(MultiFDSend *send, const RamBlock *rb, uint64_t offset)
{
    if (send->filling->num && send->filling->rb != rb) {
        multifd_send_push(send);
    }
    send->filling->rb = rb;
    send->filling->offset[send->filling->num++] = offset;
    if (send->filling->num == MULTIFD_PAGES) {
        multifd_send_push(send);
    }
}

/* Gives each channel @job when it has done what it has. */
static void give_all(MultiFDSend *send, SendJob job)
{
    bool dropped = false;

    g_mutex_lock(&send->lock);
    for (unsigned i = 0; i < send->channels; i++) {
        SendChannel *c = wait_idle(send, i, 1, &dropped);

        if (!c) {
            break;
        }
        if (job != JOB_NONE) {
            give(c, job);
        }
    }
    leave(send, dropped);
}

void multifd_send_sync(MultiFDSend *send)
{
    multifd_send_push(send);
    give_all(send, send->carrier->sync ? JOB_SYNC : JOB_NONE);
    send->settled = true;
}

void multifd_send_forget(MultiFDSend *send)
{
    send->epoch++;
}

uint64_t multifd_send_under_way(const MultiFDSend *send)
{
    return send->under_way + send->filling->num * GUEST_PAGE_SIZE;
}

bool multifd_send_is_settled(const MultiFDSend *send)
{
    return send->settled && send->filling->num == 0;
}

/* ---- its owner ---- */

void multifd_send_set_done(MultiFDSend *send, MultiFDBatchDone *done,
                           void *opaque)
{
    send->batch_done = done;
    send->opaque = opaque;
}

MultiFDSend *multifd_send_new(const MultiFDSendConfig *config)
{
    MultiFDSend *send = g_malloc0(sizeof(*send) + config->channels *
                                  sizeof(send->ch[0]));

    g_assert(config->channels >= 1 &&
             config->channels <= MULTIFD_CHANNELS_MAX);
    send->vm = config->vm;
    send->clock = config->clock;
    send->stream = config->stream;
    send->carrier = config->carrier;
    send->detect_zero_pages = config->detect_zero_pages;
    send->channels = config->channels;
    send->presence = page_presence_new();
    send->filling = g_new0(MultiFDBatch, 1);
    send->settled = true;
    g_mutex_init(&send->lock);
    g_cond_init(&send->idle);
    for (unsigned i = 0; i < send->channels; i++) {
        SendChannel *c = &send->ch[i];
        g_autofree char *name = g_strdup_printf("mig/src/send_%u", i);

        c->send = send;
        c->id = i;
        c->state = config->states[i];
        c->batch = g_new0(MultiFDBatch, 1);
        c->presence = page_presence_new_shared(send->presence);
        g_cond_init(&c->work);
        c->thread = thread_start(name, send_main, c);
    }
    return send;
}

static void end_threads(MultiFDSend *send, const char *why)
{
    Error *err = NULL;

    error_setg(&err, "multifd: %s", why);
    g_mutex_lock(&send->lock);
    stop_all(send, err);
    g_mutex_unlock(&send->lock);
}

void multifd_send_interrupt(MultiFDSend *send)
{
    end_threads(send, "the channels were told to stop");
    for (unsigned i = 0; i < send->channels; i++) {
        send->carrier->interrupt(send->ch[i].state);
    }
}

bool multifd_send_free(MultiFDSend *send, bool ok, Error **errp)
{
    if (!send) {
        return true;
    }
    if (ok) {
        /* The last SYNC may still be on its way out. */
        give_all(send, JOB_NONE);
        ok = mig_stream_check(send->stream, errp);
    }
    if (!ok) {
        multifd_send_interrupt(send);
    }
    end_threads(send, "the migration has ended");
    for (unsigned i = 0; i < send->channels; i++) {
        g_thread_join(send->ch[i].thread);
    }
    for (unsigned i = 0; i < send->channels; i++) {
        SendChannel *c = &send->ch[i];

        if (!send->carrier->close(c->state, ok, ok ? errp : NULL)) {
            ok = false;
        }
        page_presence_free(c->presence);
        g_cond_clear(&c->work);
        g_free(c->batch);
    }
    page_presence_free(send->presence);
    g_clear_error(&send->error);
    g_cond_clear(&send->idle);
    g_mutex_clear(&send->lock);
    g_free(send->filling);
    g_free(send);
    return ok;
}
