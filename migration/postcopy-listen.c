/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections of an incoming postcopy: one is read until it breaks, then
 * another one is waited for, and so on until all pages are there.
 *
 * Threads: the listening one, from LISTEN on; the monitor, for migrate-recover
 * and migrate-pause, also out of band: the main loop may be waiting for a page
 * itself. Locks: postcopy-int.h.
 */
#include <errno.h>
#include <unistd.h>

#include "migration/postcopy-int.h"
#include "migration/postcopy-queue.h"
#include "trace/trace-migration.h"

/* ---- connections ---- */

bool postcopy_in_resumed(PostcopyIn *pc, Error **errp)
{
    Migration *m = pc->m;

    g_mutex_lock(&pc->lock);
    if (pc->up) {
        g_mutex_unlock(&pc->lock);
        error_setg(errp, "postcopy-resume on a connection that is well");
        return false;
    }
    g_mutex_unlock(&pc->lock);
    if (!postcopy_start_asking(pc, errp) ||
        !postcopy_in_send(pc, MIG_RP_MSG_RESUME_ACK,
                          POSTCOPY_RESUME_ACK_VALUE, errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    g_clear_pointer(&pc->in->error, g_free);
    g_mutex_unlock(&m->lock);
    migration_set(m, &m->in_status, MIGRATION_STATUS_POSTCOPY_RECOVER,
                  MIGRATION_STATUS_POSTCOPY_ACTIVE);
    trace_postcopy_recovered(page_set_missing(pc->received, NULL));
    g_mutex_lock(&pc->lock);
    pc->up = true;
    g_mutex_unlock(&pc->lock);
    return true;
}

/* Takes @err, which is why. */
static void drop_connection(PostcopyIn *pc, Error *err)
{
    Migration *m = pc->m;

    g_mutex_lock(&m->lock);
    if (pc->in->ch) {
        io_channel_shutdown(pc->in->ch, IO_SHUTDOWN_BOTH);
    }
    pc->in->ch = NULL;
    g_free(pc->in->error);
    pc->in->error = g_strdup(pc->in->pause_asked ? "paused by migrate-pause"
                                                 : err->message);
    pc->in->pause_asked = false;
    g_mutex_unlock(&m->lock);
    g_error_free(err);
    postcopy_urgent_stop(pc);
    postcopy_set_channel(pc, NULL);
    g_clear_pointer(&pc->stream, mig_stream_free);
    mig_end_clear(&pc->end);
    migration_set_any(m, &m->in_status, MIGRATION_STATUS_POSTCOPY_PAUSED);
}

/* Takes what the next migrate-recover brings. */
static void wait_for_recover(PostcopyIn *pc)
{
    MigIn *in = pc->in;
    uint64_t count;

    g_mutex_lock(&pc->m->lock);
    while (!in->recover_asked && !postcopy_in_is_stopping(pc)) {
        g_cond_wait(&pc->m->changed, &pc->m->lock);
    }
    in->accepts = in->recover_asked;
    in->recover_asked = false;
    if (read(pc->recover_fd, &count, sizeof(count)) < 0) {
        g_assert(errno == EAGAIN);
    }
    pc->end = in->recover_end;
    in->recover_end = (MigEnd) { .listen_fd = -1 };
    g_mutex_unlock(&pc->m->lock);
}

/* By which migrate-recover wants it: waits for one, then for the source. */
static void wait_for_connection(PostcopyIn *pc)
{
    Migration *m = pc->m;

    while (!pc->end.ch && !postcopy_in_is_stopping(pc)) {
        Error *err = NULL;

        wait_for_recover(pc);
        if (!pc->end.ch && pc->end.listen_fd >= 0 &&
            !mig_transport_socket.accept(&pc->end, pc->recover_fd, &err)) {
            trace_postcopy_broken(err->message, true);
            g_clear_error(&err);
            mig_end_clear(&pc->end);
        }
        g_mutex_lock(&m->lock);
        pc->in->accepts = false;
        g_cond_broadcast(&m->changed);
        g_mutex_unlock(&m->lock);
    }
}

static void take_connection(PostcopyIn *pc)
{
    Migration *m = pc->m;

    pc->stream = mig_stream_new_input(pc->end.ch);
    postcopy_set_channel(pc, pc->end.ch);
    postcopy_limit_queue(pc->end.ch, migration_cap(
        m, MIGRATION_CAPABILITY_POSTCOPY_PREEMPT));
    g_mutex_lock(&m->lock);
    pc->in->ch = pc->end.ch;
    g_mutex_unlock(&m->lock);
    postcopy_urgent_start(pc);
    migration_set_any(m, &m->in_status, MIGRATION_STATUS_POSTCOPY_RECOVER);
}

/* Takes @err. Whether there is another connection to read from. */
static bool go_on(PostcopyIn *pc, Error *err)
{
    bool committed, stopping;

    g_mutex_lock(&pc->lock);
    committed = pc->committed;
    if (!committed && !pc->error) {
        pc->error = g_error_copy(err);
    }
    pc->up = false;
    if (committed && pc->ending && !pc->stopping) {
        postcopy_in_leave(pc);
    }
    stopping = pc->stopping;
    g_mutex_unlock(&pc->lock);
    trace_postcopy_broken(err->message, committed);
    if (stopping || !committed) {
        g_error_free(err);
        /* The load, which may be waiting for a page, ends with that error. */
        uffd_release(pc->uffd);
        return false;
    }
    drop_connection(pc, err);
    wait_for_connection(pc);
    if (postcopy_in_is_stopping(pc)) {
        uffd_release(pc->uffd);
        return false;
    }
    take_connection(pc);
    return true;
}

/* The source has nothing more. Says so when it knows that the guest is here. */
static bool finish(PostcopyIn *pc, Error **errp)
{
    bool committed, up;

    g_mutex_lock(&pc->lock);
    while (!pc->committed && !pc->stopping) {
        g_cond_wait(&pc->changed, &pc->lock);
    }
    committed = pc->committed;
    up = pc->up;
    g_mutex_unlock(&pc->lock);
    if (!committed) {
        error_setg(errp, "given up before the guest was taken over");
        return false;
    }
    if (!up) {
        error_setg(errp, "the stream ended before POSTCOPY_RESUME");
        return false;
    }
    /* A source that does not hear it may ask once more, and hear it then. */
    if (!postcopy_in_send(pc, MIG_RP_MSG_SHUT, 0, errp)) {
        return false;
    }
    g_mutex_lock(&pc->lock);
    pc->finished = true;
    g_cond_broadcast(&pc->changed);
    g_mutex_unlock(&pc->lock);
    return true;
}

gpointer postcopy_listen_main(gpointer opaque)
{
    PostcopyIn *pc = opaque;
    Error *err = NULL;

    while (!postcopy_load(pc, &err) || !finish(pc, &err)) {
        if (!go_on(pc, g_steal_pointer(&err))) {
            return NULL;
        }
    }
    return NULL;
}

/* ---- what the monitor asks for ---- */

bool incoming_pause(Migration *m)
{
    bool alive;

    g_mutex_lock(&m->lock);
    alive = m->in && m->in->ch &&
            (m->in_status == MIGRATION_STATUS_POSTCOPY_ACTIVE ||
             m->in_status == MIGRATION_STATUS_POSTCOPY_RECOVER) &&
            m->in->pc;
    if (alive) {
        m->in->pause_asked = true;
        io_channel_shutdown(m->in->ch, IO_SHUTDOWN_BOTH);
    }
    g_mutex_unlock(&m->lock);
    return alive;
}

/* Lock held. */
static bool is_paused(Migration *m)
{
    return m->in && m->in->pc &&
           m->in_status == MIGRATION_STATUS_POSTCOPY_PAUSED;
}

void incoming_forget_recover(Migration *m)
{
    MigIn *in;

    g_mutex_lock(&m->lock);
    in = m->in;
    if (is_paused(m)) {
        mig_end_clear(&in->recover_end);
        in->recover_asked = false;
        postcopy_in_stop_accepting(in->pc);
    }
    while (is_paused(m) && in->accepts) {
        g_cond_wait(&m->changed, &m->lock);
    }
    g_mutex_unlock(&m->lock);
}

bool incoming_recover(Migration *m, MigEnd *end, Error **errp)
{
    bool paused;

    g_mutex_lock(&m->lock);
    paused = is_paused(m) && !m->in->recover_asked && !m->in->accepts;
    if (paused) {
        m->in->recover_end = *end;
        m->in->recover_asked = true;
        if (end->local) {
            qapi_free_SocketAddress(m->in->local);
            m->in->local = mig_socket_address_copy(end->local);
        }
        g_cond_broadcast(&m->changed);
    }
    g_mutex_unlock(&m->lock);
    if (!paused) {
        mig_end_clear(end);
        error_setg(errp, "migrate-recover works while a migration in postcopy "
                   "is paused, at its destination");
    }
    return paused;
}
