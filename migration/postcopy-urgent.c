/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capability postcopy-preempt at the destination: a second connection brings
 * the pages that are waited for, and nothing else, as records without sections.
 * A thread of its own reads it, and has a channel of the Uffd of its own.
 *
 * When it breaks, so does the first connection, and both are opened anew.
 */
#include "migration/postcopy-int.h"
#include "trace/trace-migration.h"
#include "util/thread.h"

/* A source that has it has connected long before it has sent everything. */
#define CONNECT_US G_USEC_PER_SEC

static void break_main(PostcopyIn *pc)
{
    g_mutex_lock(&pc->send_lock);
    if (pc->ch) {
        io_channel_shutdown(pc->ch, IO_SHUTDOWN_BOTH);
    }
    g_mutex_unlock(&pc->send_lock);
}

/* The connection, once it is there. Its listening socket is closed then. */
static IoChannel *take_channel(PostcopyIn *pc, Error **errp)
{
    MigEnd end = { .listen_fd = pc->end.listen_fd };

    if (!mig_transport_socket.accept(&end, pc->recover_fd, errp)) {
        return NULL;
    }
    pc->end.listen_fd = -1;
    g_mutex_lock(&pc->lock);
    pc->urgent_ch = io_channel_ref(end.ch);
    g_cond_broadcast(&pc->changed);
    g_mutex_unlock(&pc->lock);
    return end.ch;
}

static gpointer urgent_main(gpointer opaque)
{
    PostcopyIn *pc = opaque;
    Error *err = NULL;
    g_autoptr(IoChannel) ch = take_channel(pc, &err);
    g_autoptr(MigStream) s = ch ? mig_stream_new_input(ch) : NULL;

    pc->urgent_pages = (PostcopyPages) { .channel = POSTCOPY_CHANNEL_URGENT };
    if (s) {
        mig_stream_set_section(s, "urgent pages", 0);
        if (!postcopy_load_pages(pc, &pc->urgent_pages, s, &err)) {
            break_main(pc);
        }
    }
    if (err) {
        trace_postcopy_urgent(err->message);
        g_error_free(err);
    }
    g_mutex_lock(&pc->lock);
    pc->urgent_runs = false;
    g_cond_broadcast(&pc->changed);
    g_mutex_unlock(&pc->lock);
    return NULL;
}

void postcopy_urgent_start(PostcopyIn *pc)
{
    if (pc->end.listen_fd >= 0) {
        pc->urgent_runs = true;
        pc->urgent_thread = thread_start("mig/dst/urgent", urgent_main, pc);
    }
}

void postcopy_urgent_wait(PostcopyIn *pc)
{
    int64_t deadline = g_get_monotonic_time() + CONNECT_US;

    g_mutex_lock(&pc->lock);
    while (pc->urgent_runs && !pc->stopping &&
           page_set_missing(pc->received, NULL) > 0) {
        if (pc->urgent_ch) {
            g_cond_wait(&pc->changed, &pc->lock);
        } else if (!g_cond_wait_until(&pc->changed, &pc->lock, deadline)) {
            break;
        }
    }
    g_mutex_unlock(&pc->lock);
}

void postcopy_urgent_stop(PostcopyIn *pc)
{
    if (!pc->urgent_thread) {
        return;
    }
    postcopy_in_stop_accepting(pc);
    g_mutex_lock(&pc->lock);
    if (pc->urgent_ch) {
        io_channel_shutdown(pc->urgent_ch, IO_SHUTDOWN_BOTH);
    }
    g_mutex_unlock(&pc->lock);
    g_thread_join(pc->urgent_thread);
    pc->urgent_thread = NULL;
    g_clear_pointer(&pc->urgent_ch, io_channel_unref);
}
