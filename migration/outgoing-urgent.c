/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capability postcopy-preempt: pages that the destination waits for go by a
 * connection of their own, which nothing else is queued in. A thread,
 * "mig/src/urgent", takes the requests; it is made, ended and joined by the
 * outgoing thread. Locks: migration-int.h.
 */
#include <poll.h>

#include "migration/migration-int.h"
#include "util/thread.h"

struct MigUrgent {
    /* Constant */
    MigOut *out;
    MigEnd end;
    MigStream *stream;

    GThread *thread;            /* the outgoing thread; NULL: not started */
    bool stop;                  /* Migration.lock: send what is asked, end */
};

/*
 * The first connection has been accepted: a destination without the capability
 * does not listen any more.
 */
static bool wait_for_destination(MigOut *out, Error **errp)
{
    bool answered;

    g_mutex_lock(&out->m->lock);
    while (!out->rp.answered && !outgoing_is_stopped(out)) {
        g_cond_wait(&out->m->changed, &out->m->lock);
    }
    answered = out->rp.answered;
    g_mutex_unlock(&out->m->lock);
    if (!answered) {
        error_setg(errp, "the destination did not answer");
    }
    return answered;
}

bool outgoing_urgent_open(MigOut *out, Error **errp)
{
    MigUrgent *u;
    MigEnd end = { .listen_fd = -1, .addr = out->end.addr };
    bool ok;

    if (!out->caps[MIGRATION_CAPABILITY_POSTCOPY_PREEMPT]) {
        return true;
    }
    ok = wait_for_destination(out, errp) &&
         mig_transport_socket.connect(&end, out->cancel_fd, errp);
    end.addr = NULL;
    if (!ok) {
        error_prepend(errp, "opening the channel for urgent pages (capability "
                      "'postcopy-preempt', which must be on at the "
                      "destination, too): ");
        mig_end_clear(&end);
        return false;
    }
    u = g_new0(MigUrgent, 1);
    u->out = out;
    u->end = end;
    u->stream = mig_stream_new_output(end.ch, out->m->clock);
    mig_stream_set_section(u->stream, "urgent pages", 0);
    g_mutex_lock(&out->m->lock);
    out->urgent = u;
    g_mutex_unlock(&out->m->lock);
    return true;
}

bool outgoing_urgent_check(MigOut *out, Error **errp)
{
    struct pollfd pfd = { .events = POLLRDHUP };

    if (!out->urgent) {
        return true;
    }
    pfd.fd = io_channel_fd(out->urgent->end.ch);
    if (pfd.fd >= 0 && poll(&pfd, 1, 0) > 0) {
        error_setg(errp, "the destination has closed the channel for urgent "
                   "pages: capability 'postcopy-preempt' must be on there, "
                   "too");
        return false;
    }
    return true;
}

static gpointer urgent_main(gpointer opaque)
{
    MigUrgent *u = opaque;
    Migration *m = u->out->m;
    bool stop = false;

    while (!stop) {
        if (!ram_postcopy_send_asked(m->ram, u->stream)) {
            /* Whoever sends the rest finds that the destination is gone. */
            io_channel_shutdown(u->out->ch, IO_SHUTDOWN_BOTH);
            break;
        }
        g_mutex_lock(&m->lock);
        while (!u->stop && !ram_postcopy_is_asked(m->ram)) {
            g_cond_wait(&m->changed, &m->lock);
        }
        stop = u->stop && !ram_postcopy_is_asked(m->ram);
        g_mutex_unlock(&m->lock);
    }
    return NULL;
}

void outgoing_urgent_start(MigOut *out)
{
    if (out->urgent) {
        ram_postcopy_set_urgent(out->m->ram, true);
        out->urgent->thread = thread_start("mig/src/urgent", urgent_main,
                                           out->urgent);
    }
}

static void stop_thread(MigUrgent *u)
{
    Migration *m = u->out->m;

    g_mutex_lock(&m->lock);
    u->stop = true;
    g_cond_broadcast(&m->changed);
    g_mutex_unlock(&m->lock);
    if (u->thread) {
        g_thread_join(u->thread);
        u->thread = NULL;
    }
}

bool outgoing_urgent_finish(MigOut *out, Error **errp)
{
    MigUrgent *u = out->urgent;

    if (!u || !u->thread) {
        return true;
    }
    stop_thread(u);
    mig_put_be64(u->stream, RAM_SAVE_FLAG_EOS);
    return mig_stream_flush(u->stream, errp);
}

void outgoing_urgent_drop(MigOut *out)
{
    MigUrgent *u = out->urgent;
    MigStreamCounters counters;

    if (!u) {
        return;
    }
    io_channel_shutdown(u->end.ch, IO_SHUTDOWN_BOTH);
    stop_thread(u);
    ram_postcopy_set_urgent(out->m->ram, false);
    mig_stream_counters(u->stream, &counters);
    g_mutex_lock(&out->m->lock);
    out->former.sent_bytes += counters.sent_bytes;
    out->former.send_ns += counters.send_ns;
    out->urgent = NULL;
    g_mutex_unlock(&out->m->lock);
    mig_stream_free(u->stream);
    mig_end_clear(&u->end);
    g_free(u);
}

void outgoing_urgent_counters(const MigUrgent *u, MigStreamCounters *counters)
{
    *counters = (MigStreamCounters) { 0 };
    if (u) {
        mig_stream_counters(u->stream, counters);
    }
}
