/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the destination says to the source: messages of a type, a length and a
 * value, all big-endian. The source reads on "mig/src/return"; what came in is
 * under Migration.lock, and whoever waits for it is told. The destination
 * writes from the thread that loads.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/migration-int.h"
#include "trace/trace-migration.h"
#include "util/checked.h"
#include "util/thread.h"

/* ---- source ---- */

/* Lock held. */
static void handle_pong(MigOut *out, uint32_t value, int64_t now)
{
    MigReturn *rp = &out->rp;
    uint32_t out_before = rp->last_ping - rp->last_pong;

    if (value == MIG_PING_MODULES) {
        rp->modules_loaded_ns = now;
    } else if (value == MIG_PING_STATES) {
        rp->states_loaded_ns = now;
    } else if (value - rp->last_pong - 1 < out_before) {
        const MigBurst *burst = &rp->bursts[value % MIG_PINGS_MAX];
        int64_t arrived = MAX(now - rp->late_ns, burst->ping_ns);

        if (burst->bytes) {
            mig_predictor_accepted(out->m->predictor, burst, arrived);
        } else {
            mig_predictor_round_trip(out->m->predictor,
                                     arrived - burst->ping_ns);
        }
        rp->last_pong = value;
    }
}

static bool on_pong(MigOut *out, uint32_t value, int64_t now, Error **errp)
{
    (void)errp;
    handle_pong(out, value, now);
    return true;
}

static bool on_shut(MigOut *out, uint32_t value, int64_t now, Error **errp)
{
    MigReturn *rp = &out->rp;

    rp->ended = true;
    if (value != 0) {
        error_setg(errp, "the destination could not load the state (its SHUT "
                   "says %" PRIu32 "); its own log has the reason", value);
        return false;
    }
    if (!out->end_sent) {
        error_setg(errp, "the destination ended the migration before it had "
                   "all of the state");
        return false;
    }
    rp->taken_over = true;
    rp->taken_over_ns = now;
    return true;
}

static bool on_switchover_ack(MigOut *out, uint32_t value, int64_t now,
                              Error **errp)
{
    (void)value;
    (void)now;
    if (!mig_acks_answer(&out->rp.acks)) {
        error_setg(errp, "the destination acknowledged first data that it has "
                   "not been sent");
        return false;
    }
    /* What hinders the switchover may be gone. */
    out->m->kicks++;
    return true;
}

/* What is understood here. The others belong to postcopy. */
typedef struct ReturnMessage {
    const char *name;
    uint16_t len;               /* of the value: 0 or 4 */
    /* Lock held. */
    bool (*run)(MigOut *out, uint32_t value, int64_t now, Error **errp);
} ReturnMessage;

static const ReturnMessage return_messages[] = {
    [MIG_RP_MSG_SHUT] = { "SHUT", 4, on_shut },
    [MIG_RP_MSG_PONG] = { "PONG", 4, on_pong },
    [MIG_RP_MSG_SWITCHOVER_ACK] = { "SWITCHOVER_ACK", 0, on_switchover_ack },
};

static bool read_message(MigOut *out, MigStream *s, Error **errp)
{
    uint64_t delayed = run_delay_ns(&out->rp.run_delay);
    const ReturnMessage *msg = NULL;
    uint16_t type, len;
    uint32_t value = 0;
    bool ok;

    if (!mig_get_be16(s, &type, errp)) {
        error_prepend(errp, "the destination has gone: ");
        return false;
    }
    if (!mig_get_be16(s, &len, errp)) {
        return false;
    }
    if (type < G_N_ELEMENTS(return_messages)) {
        msg = &return_messages[type];
    }
    if (!msg || !msg->run) {
        mig_stream_fail(s, errp, "unknown message %u", type);
        return false;
    }
    if (len != msg->len) {
        mig_stream_fail(s, errp, "message %s with %u bytes; it has %u",
                        msg->name, len, msg->len);
        return false;
    }
    if (len && !mig_get_be32(s, &value, errp)) {
        return false;
    }
    trace_migration_return_path(msg->name, value);
    delayed = sat_sub_u64(run_delay_ns(&out->rp.run_delay), delayed);
    g_mutex_lock(&out->m->lock);
    out->rp.late_ns = delayed;
    ok = msg->run(out, value, clock_now_ns(out->m->clock), errp);
    g_cond_broadcast(&out->m->changed);
    g_mutex_unlock(&out->m->lock);
    return ok;
}

/* The other side is gone: so is what a module may be waiting to send it. */
void return_path_interrupt(void *opaque)
{
    Migration *m = opaque;
    bool active;

    g_mutex_lock(&m->lock);
    active = m->out && m->out->rp.ended && !m->out->end_sent &&
             !m->out->done;
    g_mutex_unlock(&m->lock);
    if (active) {
        savevm_interrupt(m->vm);
    }
}

static gpointer return_path_main(gpointer opaque)
{
    MigOut *out = opaque;
    Migration *m = out->m;
    MigStream *s = mig_stream_new_input(out->ch);
    Error *err = NULL;
    bool ended;

    run_delay_open(&out->rp.run_delay);
    mig_stream_set_section(s, "return path", 0);
    do {
        if (!read_message(out, s, &err)) {
            break;
        }
        g_mutex_lock(&m->lock);
        ended = out->rp.ended;
        g_mutex_unlock(&m->lock);
    } while (!ended);

    g_mutex_lock(&m->lock);
    out->rp.ended = true;
    if (err) {
        out->rp.error = g_strdup(err->message);
        g_clear_error(&err);
    }
    m->kicks++;
    g_cond_broadcast(&m->changed);
    ended = out->rp.taken_over;
    g_mutex_unlock(&m->lock);
    if (!ended) {
        /* Whoever sends to it would wait for nothing. */
        io_channel_shutdown(out->ch, IO_SHUTDOWN_BOTH);
        vm_call_soon(m->vm, return_path_interrupt, m);
    }
    run_delay_close(&out->rp.run_delay);
    mig_stream_free(s);
    return NULL;
}

void return_path_start(MigOut *out)
{
    out->rp.opened = true;
    out->rp.thread = thread_start("mig/src/return", return_path_main, out);
}

bool return_path_ping(MigOut *out, const MigBurst *burst, bool *sent,
                      Error **errp)
{
    MigReturn *rp = &out->rp;
    MigBurst before = burst ? *burst : (MigBurst) { 0 };
    uint32_t value = 0;

    before.ping_ns = clock_now_ns(out->m->clock);
    g_mutex_lock(&out->m->lock);
    if (rp->opened && rp->last_ping - rp->last_pong < MIG_PINGS_MAX) {
        value = ++rp->last_ping;
        rp->bursts[value % MIG_PINGS_MAX] = before;
    }
    g_mutex_unlock(&out->m->lock);
    *sent = value != 0;
    return !value || savevm_send_ping(out->sv, value, errp);
}

/* ---- destination ---- */

bool return_path_send(IoChannel *ch, uint16_t type, uint32_t value,
                      Error **errp)
{
    uint16_t len = return_messages[type].len;
    struct {
        uint16_t type;
        uint16_t len;
        uint32_t value;
    } msg = {
        GUINT16_TO_BE(type), GUINT16_TO_BE(len), GUINT32_TO_BE(value),
    };

    return io_channel_write_all(ch, &msg, sizeof(msg) - sizeof(msg.value) +
                                len, errp);
}
