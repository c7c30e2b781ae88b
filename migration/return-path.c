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
#include "migration/postcopy-wire.h"
#include "trace/trace-migration.h"
#include "util/be.h"
#include "util/checked.h"
#include "util/thread.h"

/* ---- source ---- */

/* Lock held. */
static void handle_pong(MigOut *out, uint32_t value, int64_t now)
{
    MigReturn *rp = &out->rp;
    uint32_t out_before = rp->last_ping - rp->last_pong;

    rp->answered = true;
    if (value == MIG_PING_MODULES) {
        rp->modules_loaded_ns = now;
    } else if (value == MIG_PING_STATES) {
        rp->states_loaded_ns = now;
    } else if (value == MIG_PING_TAKEN && out->sends_rest) {
        rp->taken_over = true;
        rp->taken_over_ns = now;
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
    if (value != 0 && rp->taken_over) {
        error_setg(errp, "the destination ended the migration with the guest "
                   "running there (its SHUT says %" PRIu32 ")", value);
        return false;
    }
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
    if (out->postcopy) {
        if (!rp->taken_over || !out->eof_sent) {
            error_setg(errp, "the destination ended the migration before it "
                       "had all pages");
            return false;
        }
        rp->finished = true;
        return true;
    }
    rp->taken_over = true;
    rp->taken_over_ns = now;
    return true;
}

/* ---- postcopy ---- */

static bool on_resume_ack(MigOut *out, uint32_t value, int64_t now,
                          Error **errp)
{
    (void)now;
    if (value != POSTCOPY_RESUME_ACK_VALUE) {
        error_setg(errp, "RESUME_ACK says %" PRIu32 "; %d is accepted", value,
                   POSTCOPY_RESUME_ACK_VALUE);
        return false;
    }
    out->rp.resumed = true;
    return true;
}

/* A message's last part: a name that fills @len bytes. */
static bool read_name(MigStream *s, uint16_t len,
                      char id[MIG_COUNTED_STRING_SIZE], Error **errp)
{
    uint8_t buf[1 + UINT8_MAX];

    return mig_get_buffer(s, buf, len, errp) &&
           postcopy_get_name(buf, len, id, errp);
}

static bool read_request(MigOut *out, MigStream *s, uint16_t len, Error **errp)
{
    char id[MIG_COUNTED_STRING_SIZE];
    uint64_t offset;
    uint32_t bytes;
    bool may;

    if (!mig_get_be64(s, &offset, errp) || !mig_get_be32(s, &bytes, errp)) {
        return false;
    }
    if (len > 12) {
        if (!read_name(s, len - 12, id, errp)) {
            return false;
        }
        g_free(out->rp.last_id);
        out->rp.last_id = g_strdup(id);
    }
    g_mutex_lock(&out->m->lock);
    may = out->sends_rest;
    g_mutex_unlock(&out->m->lock);
    if (!may) {
        error_setg(errp, "the destination asks for pages before it has been "
                   "told to run");
        return false;
    }
    if (!out->rp.last_id) {
        error_setg(errp, "the destination asks for a page without naming the "
                   "RAM block");
        return false;
    }
    return ram_postcopy_request(out->m->ram, out->rp.last_id, offset, bytes,
                                errp);
}

/* The bitmap itself, which follows the message. */
static bool read_bitmap(MigStream *s, uint64_t pages, uint64_t *bitmap,
                        Error **errp)
{
    uint64_t size, end, bytes = postcopy_bitmap_bytes(pages);

    if (!mig_get_be64(s, &size, errp)) {
        return false;
    }
    if (size != bytes) {
        mig_stream_fail(s, errp, "a bitmap of %" PRIu64 " bytes; %" PRIu64
                        " are accepted", size, bytes);
        return false;
    }
    if (!mig_get_buffer(s, bitmap, bytes, errp) ||
        !mig_get_be64(s, &end, errp)) {
        return false;
    }
    if (end != POSTCOPY_BITMAP_END) {
        mig_stream_fail(s, errp, "a bitmap that ends in 0x%" PRIx64
                        " instead of 0x%" PRIx64, end, POSTCOPY_BITMAP_END);
        return false;
    }
    for (uint64_t i = 0; i < bytes / sizeof(*bitmap); i++) {
        bitmap[i] = GUINT64_FROM_LE(bitmap[i]);
    }
    return true;
}

static bool read_recv_bitmap(MigOut *out, MigStream *s, uint16_t len,
                             Error **errp)
{
    char id[MIG_COUNTED_STRING_SIZE];
    Migration *m = out->m;
    const RamBlock *want;

    if (!read_name(s, len, id, errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    want = out->rp.want;
    g_mutex_unlock(&m->lock);
    if (!want || strcmp(want->id, id) != 0) {
        g_autofree char *text = g_strescape(id, NULL);

        error_setg(errp, "a bitmap of RAM block '%s', which was not asked for",
                   text);
        return false;
    }
    if (!read_bitmap(s, want->backing.size / GUEST_PAGE_SIZE, out->rp.bitmap,
                     errp)) {
        return false;
    }
    g_mutex_lock(&m->lock);
    out->rp.want = NULL;
    g_mutex_unlock(&m->lock);
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

/* What is understood here. */
typedef struct ReturnMessage {
    const char *name;
    uint16_t len;               /* of the value, at least; 0 or 4 for run() */
    uint16_t more;              /* ... and how much longer it may be */
    /* One of the two. With the value; lock held. */
    bool (*run)(MigOut *out, uint32_t value, int64_t now, Error **errp);
    /* Takes the value off @s; lock not held. */
    bool (*read)(MigOut *out, MigStream *s, uint16_t len, Error **errp);
} ReturnMessage;

static const ReturnMessage return_messages[] = {
    [MIG_RP_MSG_SHUT] = { "SHUT", 4, 0, on_shut, NULL },
    [MIG_RP_MSG_PONG] = { "PONG", 4, 0, on_pong, NULL },
    [MIG_RP_MSG_REQ_PAGES_ID] = { "REQ_PAGES_ID", 14, 254, NULL,
                                  read_request },
    [MIG_RP_MSG_REQ_PAGES] = { "REQ_PAGES", 12, 0, NULL, read_request },
    [MIG_RP_MSG_RECV_BITMAP] = { "RECV_BITMAP", 2, 254, NULL,
                                 read_recv_bitmap },
    [MIG_RP_MSG_RESUME_ACK] = { "RESUME_ACK", 4, 0, on_resume_ack, NULL },
    [MIG_RP_MSG_SWITCHOVER_ACK] = { "SWITCHOVER_ACK", 0, 0, on_switchover_ack,
                                    NULL },
};

static bool read_message(MigOut *out, MigStream *s, Error **errp)
{
    uint64_t delayed = run_delay_ns(&out->rp.run_delay);
    const ReturnMessage *msg = NULL;
    uint16_t type, len;
    uint32_t value = 0;
    bool ok = true;

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
    if (!msg || !msg->name) {
        mig_stream_fail(s, errp, "unknown message %u", type);
        return false;
    }
    if (len < msg->len || len - msg->len > msg->more) {
        mig_stream_fail(s, errp, "message %s with %u bytes; it has %u%s",
                        msg->name, len, msg->len, msg->more ? " or more" : "");
        return false;
    }
    if (msg->read) {
        trace_migration_return_path(msg->name, len);
        ok = msg->read(out, s, len, errp);
    } else if (len && !mig_get_be32(s, &value, errp)) {
        return false;
    }
    delayed = sat_sub_u64(run_delay_ns(&out->rp.run_delay), delayed);
    g_mutex_lock(&out->m->lock);
    out->rp.late_ns = delayed;
    if (msg->run) {
        trace_migration_return_path(msg->name, value);
        ok = msg->run(out, value, clock_now_ns(out->m->clock), errp);
    }
    out->m->kicks += msg->read != NULL;
    g_mutex_unlock(&out->m->lock);
    /* Not before: who is woken would wait for the lock, and be woken twice. */
    g_cond_broadcast(&out->m->changed);
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
    ended = out->postcopy ? out->rp.finished : out->rp.taken_over;
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

/* A name of a block, as the last part of a message. */
static size_t put_name(uint8_t *at, const RamBlock *rb)
{
    size_t len = strlen(rb->id);

    *at = len;
    memcpy(at + 1, rb->id, len);
    return len + 1;
}

static size_t put_head(uint8_t *at, uint16_t type, size_t len)
{
    be_put16(at, type);
    be_put16(at + 2, len);
    return 4;
}

bool return_path_send_request(IoChannel *ch, const RamBlock *rb,
                              uint64_t offset, uint32_t len, bool named,
                              Error **errp)
{
    uint8_t msg[4 + 12 + 1 + UINT8_MAX];
    size_t size = 4 + 12;

    be_put64(msg + 4, offset);
    be_put32(msg + 12, len);
    if (named) {
        size += put_name(msg + size, rb);
    }
    put_head(msg, named ? MIG_RP_MSG_REQ_PAGES_ID : MIG_RP_MSG_REQ_PAGES,
             size - 4);
    return io_channel_write_all(ch, msg, size, errp);
}

#define BITMAP_WORDS 512

bool return_path_send_bitmap(IoChannel *ch, const RamBlock *rb,
                             const PageSet *received, Error **errp)
{
    uint64_t pages = rb->backing.size / GUEST_PAGE_SIZE;
    uint64_t words = bitmap_words(pages), part[BITMAP_WORDS];
    uint64_t size = GUINT64_TO_BE(postcopy_bitmap_bytes(pages));
    uint64_t end = GUINT64_TO_BE(POSTCOPY_BITMAP_END);
    uint8_t msg[4 + 1 + UINT8_MAX];
    size_t len = 4 + put_name(msg + 4, rb);

    put_head(msg, MIG_RP_MSG_RECV_BITMAP, len - 4);
    if (!io_channel_write_all(ch, msg, len, errp) ||
        !io_channel_write_all(ch, &size, sizeof(size), errp)) {
        return false;
    }
    for (uint64_t at = 0; at < words; at += BITMAP_WORDS) {
        uint64_t num = MIN(words - at, BITMAP_WORDS);

        for (uint64_t i = 0; i < num; i++) {
            part[i] = GUINT64_TO_LE(page_set_word(received, rb, at + i));
        }
        if (!io_channel_write_all(ch, part, num * sizeof(part[0]), errp)) {
            return false;
        }
    }
    return io_channel_write_all(ch, &end, sizeof(end), errp);
}
