/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An outgoing migration after its switchover into postcopy: the destination
 * has the package and runs the guest, and pages follow, those that it asks for
 * first. A connection that breaks pauses it, and another one takes it up again.
 *
 * Until the destination says that it has taken over (the PONG of
 * MIG_PING_TAKEN, which it sends when nothing can fail any more), any failure
 * lets the guest go on here. From then on it never runs here again by itself.
 *
 * The outgoing thread, but for what the monitor asks for. Locks:
 * migration-int.h.
 */
#include <poll.h>

#include "migration/migration-int.h"
#include "migration/postcopy-queue.h"
#include "migration/postcopy-wire.h"
#include "trace/trace-migration.h"

/* How often the numbers are looked at that management sees. */
#define SAMPLE_NS (100 * INT64_C(1000000))

/* How long a broken connection is still read from. */
#define LAST_WORD_NS INT64_C(1000000000)

/* How long a destination has to answer while both agree on how to go on. */
#define HANDSHAKE_NS (30 * INT64_C(1000000000))

/* ---- sending ---- */

/* Ends when something has come to be asked for, or anything else happens. */
static void wait_a_while(MigOut *out, int64_t ns)
{
    Migration *m = out->m;
    int64_t deadline = clock_now_ns(m->clock) + ns;
    uint64_t kicks;

    g_mutex_lock(&m->lock);
    kicks = m->kicks;
    while (kicks == m->kicks && !outgoing_is_stopped(out) &&
           (out->urgent || !ram_postcopy_is_asked(m->ram)) &&
           outgoing_wait(out, deadline)) {
    }
    g_mutex_unlock(&m->lock);
}

/* The destination's word has come: the blackout is over. */
static void note_taken_over(MigOut *out)
{
    Migration *m = out->m;
    bool news;

    g_mutex_lock(&m->lock);
    news = out->rp.taken_over && !out->runs_there;
    out->runs_there = out->rp.taken_over;
    g_mutex_unlock(&m->lock);
    if (news) {
        out->guest_stopped = false;     /* it is not ours to start any more */
        outgoing_switched_over(out);
        migration_set(m, &m->out_status, MIGRATION_STATUS_POSTCOPY_DEVICE,
                      MIGRATION_STATUS_POSTCOPY_ACTIVE);
    }
}

/* All has been sent: until the destination says that it has it. */
static bool wait_for_finish(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    bool finished;

    g_mutex_lock(&m->lock);
    out->eof_sent = true;
    g_mutex_unlock(&m->lock);
    if (!outgoing_urgent_finish(out, errp)) {
        return false;
    }
    if (!savevm_end_postcopy(out->sv, errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    while (!outgoing_is_stopped(out)) {
        g_cond_wait(&m->changed, &m->lock);
    }
    finished = out->rp.finished;
    g_mutex_unlock(&m->lock);
    if (!finished) {
        error_setg(errp, "the destination did not say that it had all pages");
    }
    return finished;
}

/* By one connection. True: the destination has all. */
static bool send_rest(MigOut *out, Error **errp)
{
    Migration *m = out->m;
    int64_t sampled_ns = 0;
    GiveWay give;

    give_way_init(&give, m->clock, m->yield);
    mig_stream_set_rate_limit(
        out->stream, migration_param(m, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH));
    outgoing_urgent_start(out);
    postcopy_limit_queue(out->ch, out->urgent != NULL);
    while (!outgoing_stopped(out)) {
        int64_t now = clock_now_ns(m->clock), wait_ns;
        MigIterate res;

        /* Who reads what is asked for may be waiting for this very CPU. */
        give_way(&give);
        note_taken_over(out);
        if (now - sampled_ns >= SAMPLE_NS) {
            mig_pending_query(m->pending, false);
            sampled_ns = now;
        }
        res = savevm_postcopy(out->sv, errp);
        if (res == MIG_ITERATE_ERROR) {
            return false;
        }
        if (res == MIG_ITERATE_DONE) {
            if (out->runs_there) {
                return wait_for_finish(out, errp);
            }
            wait_a_while(out, SAMPLE_NS);
            continue;
        }
        wait_ns = mig_stream_rate_wait_ns(out->stream);
        if (wait_ns > 0) {
            wait_a_while(out, wait_ns);
        }
    }
    error_setg(errp, "the connection has ended");
    return false;
}

/* ---- a connection that has broken ---- */

/* Which of the reasons that there may be is the one to tell. Takes @err. */
static char *reason(MigOut *out, Error *err)
{
    char *text;

    g_mutex_lock(&out->m->lock);
    if (out->pause_asked) {
        text = g_strdup("paused by migrate-pause");
    } else if (out->rp.error) {
        text = g_strdup(out->rp.error);
    } else {
        text = g_strdup(err->message);
    }
    g_mutex_unlock(&out->m->lock);
    g_error_free(err);
    return text;
}

static void drop_connection(MigOut *out)
{
    Migration *m = out->m;
    MigStream *stream = out->stream;

    outgoing_end_return_path(out);
    outgoing_urgent_drop(out);
    g_mutex_lock(&m->lock);
    outgoing_sent(out, &out->former);
    out->counters = out->former;
    out->stream = NULL;
    out->ch = NULL;
    out->pause_asked = false;
    g_mutex_unlock(&m->lock);
    savevm_set_stream(out->sv, NULL);
    mig_stream_free(stream);
    mig_end_clear(&out->end);
}

/* From any status of a connection. Takes @err. */
static void pause_it(MigOut *out, Error *err)
{
    Migration *m = out->m;
    char *text = reason(out, err);

    trace_postcopy_broken(text, true);
    drop_connection(out);
    g_mutex_lock(&m->lock);
    g_free(out->error);
    out->error = text;
    g_mutex_unlock(&m->lock);
    migration_set_any(m, &m->out_status, MIGRATION_STATUS_POSTCOPY_PAUSED);
}

/* Until migrate comes with resume. False: the program ends. */
static bool wait_for_resume(MigOut *out)
{
    Migration *m = out->m;
    bool go;

    g_mutex_lock(&m->lock);
    while (!out->resume_asked && !out->cancelled) {
        g_cond_wait(&m->changed, &m->lock);
    }
    go = !out->cancelled;
    if (go) {
        out->resume_asked = false;
        out->end = out->resume_end;
        out->resume_end = (MigEnd) { .listen_fd = -1 };
    }
    g_mutex_unlock(&m->lock);
    return go;
}

/* Whoever has hung up already never was a destination. */
static bool check_alive(MigOut *out, Error **errp)
{
    struct pollfd pfd = { .fd = io_channel_fd(out->ch), .events = POLLRDHUP };

    if (pfd.fd >= 0 && poll(&pfd, 1, 0) > 0) {
        error_setg(errp, "the destination hung up at once");
        return false;
    }
    return true;
}

static bool reconnect(MigOut *out, Error **errp)
{
    Migration *m = out->m;

    if (!outgoing_connect(out, errp) || !check_alive(out, errp) ||
        !outgoing_urgent_open(out, errp)) {
        return false;
    }
    mig_stream_set_rate_limit(out->stream, 0);
    savevm_set_stream(out->sv, out->stream);
    g_mutex_lock(&m->lock);
    out->rp.ended = out->rp.finished = out->rp.resumed = false;
    out->rp.last_pong = out->rp.last_ping;
    out->rp.want = NULL;
    out->eof_sent = false;
    g_clear_pointer(&out->rp.error, g_free);
    g_clear_pointer(&out->rp.last_id, g_free);
    g_mutex_unlock(&m->lock);
    ram_postcopy_forget_requests(m->ram);
    return_path_start(out);
    migration_set(m, &m->out_status, MIGRATION_STATUS_POSTCOPY_RECOVER_SETUP,
                  MIGRATION_STATUS_POSTCOPY_RECOVER);
    return true;
}

/* ---- agreeing on how to go on ---- */

/* Until *@what is @val. */
static bool wait_for_answer(MigOut *out, const char *what,
                            bool (*done)(const MigReturn *rp), Error **errp)
{
    Migration *m = out->m;
    int64_t deadline = clock_now_ns(m->clock) + HANDSHAKE_NS;
    bool in_time = true, well;

    g_mutex_lock(&m->lock);
    while (!done(&out->rp) && !outgoing_is_stopped(out) && in_time) {
        in_time = outgoing_wait(out, deadline);
    }
    well = done(&out->rp);
    g_mutex_unlock(&m->lock);
    if (!well) {
        error_setg(errp, "the destination did not answer %s%s", what,
                   in_time ? "" : " in time");
    }
    return well;
}

static bool has_bitmap(const MigReturn *rp)
{
    return !rp->want;
}

static bool has_resumed(const MigReturn *rp)
{
    return rp->resumed;
}

static bool learn_received(MigOut *out, const RamBlock *rb, Error **errp)
{
    uint64_t pages = rb->backing.size / GUEST_PAGE_SIZE;
    Migration *m = out->m;
    uint64_t *bitmap = bitmap_new(pages);
    bool ok;

    if (!bitmap) {
        error_setg(errp, "no address space for a bitmap of %" G_GUINT64_FORMAT
                   " pages", pages);
        return false;
    }
    g_mutex_lock(&m->lock);
    out->rp.bitmap = bitmap;
    out->rp.want = rb;
    g_mutex_unlock(&m->lock);
    ok = savevm_send_recv_bitmap(out->sv, rb->id, errp) &&
         wait_for_answer(out, "RECV_BITMAP", has_bitmap, errp);
    if (!ok) {
        /* Its thread may be in the middle of it. */
        outgoing_end_return_path(out);
    } else {
        ram_postcopy_set_received(m->ram, rb, bitmap);
    }
    bitmap_free(bitmap, pages);
    return ok;
}

static bool agree(MigOut *out, Error **errp)
{
    Memory *memory = out->m->vm->memory;
    RamStats stats;
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(memory, i)); i++) {
        if (rb->migratable && !learn_received(out, rb, errp)) {
            return false;
        }
    }
    if (!savevm_send_postcopy_resume(out->sv, errp) ||
        !wait_for_answer(out, "POSTCOPY_RESUME", has_resumed, errp)) {
        return false;
    }
    ram_get_stats(out->m->ram, &stats);
    trace_postcopy_recovered(stats.remaining_bytes / GUEST_PAGE_SIZE);
    return true;
}

/* By as many connections as it takes. False: the program ends. */
static bool recover(MigOut *out)
{
    Migration *m = out->m;

    while (wait_for_resume(out)) {
        Error *err = NULL;

        if (reconnect(out, &err) && agree(out, &err)) {
            g_mutex_lock(&m->lock);
            g_clear_pointer(&out->error, g_free);
            g_mutex_unlock(&m->lock);
            migration_set(m, &m->out_status, MIGRATION_STATUS_POSTCOPY_RECOVER,
                          MIGRATION_STATUS_POSTCOPY_ACTIVE);
            return true;
        }
        pause_it(out, err);
    }
    return false;
}

/* ---- all of it ---- */

/*
 * The channel cannot be written to any more. If it can be read, the destination
 * may have said that it runs the guest, and this has not been read yet.
 */
static void wait_for_last_word(MigOut *out)
{
    int64_t deadline = clock_now_ns(out->m->clock) + LAST_WORD_NS;

    if (out->runs_there) {
        return;
    }
    io_channel_shutdown(out->ch, IO_SHUTDOWN_WRITE);
    g_mutex_lock(&out->m->lock);
    while (!outgoing_is_stopped(out) && outgoing_wait(out, deadline)) {
    }
    g_mutex_unlock(&out->m->lock);
}

static bool ends(MigOut *out, Error **errp)
{
    bool cancelled;

    g_mutex_lock(&out->m->lock);
    cancelled = out->cancelled;
    g_mutex_unlock(&out->m->lock);
    if (cancelled) {
        error_setg(errp, "the program ends");
    }
    return cancelled;
}

bool outgoing_postcopy(MigOut *out, Error **errp)
{
    for (;;) {
        Error *err = NULL;

        if (send_rest(out, &err)) {
            return true;
        }
        wait_for_last_word(out);
        outgoing_end_return_path(out);
        note_taken_over(out);
        if (!out->runs_there) {
            error_propagate(errp, err);
            return false;
        }
        if (ends(out, errp)) {
            g_error_free(err);
            return false;
        }
        pause_it(out, err);
        if (!recover(out)) {
            error_setg(errp, "the program ends");
            return false;
        }
    }
}

/* ---- what the monitor asks for ---- */

bool outgoing_resume(MigOut *out, MigEnd *end, Error **errp)
{
    Migration *m = out->m;

    if (!migration_set(m, &m->out_status, MIGRATION_STATUS_POSTCOPY_PAUSED,
                       MIGRATION_STATUS_POSTCOPY_RECOVER_SETUP)) {
        error_setg(errp, "Cannot resume if there is no paused migration");
        mig_end_clear(end);
        return false;
    }
    g_mutex_lock(&m->lock);
    out->resume_end = *end;
    out->resume_asked = true;
    m->kicks++;
    g_cond_broadcast(&m->changed);
    g_mutex_unlock(&m->lock);
    return true;
}

bool outgoing_pause(Migration *m)
{
    IoChannel *ch = NULL;

    g_mutex_lock(&m->lock);
    if (m->out && (m->out_status == MIGRATION_STATUS_POSTCOPY_ACTIVE ||
                   m->out_status == MIGRATION_STATUS_POSTCOPY_RECOVER)) {
        m->out->pause_asked = true;
        ch = m->out->ch ? io_channel_ref(m->out->ch) : NULL;
    }
    g_mutex_unlock(&m->lock);
    if (!ch) {
        return false;
    }
    io_channel_shutdown(ch, IO_SHUTDOWN_BOTH);
    io_channel_unref(ch);
    return true;
}
