/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The blocks of a state and the outgoing stream. Pure; guarded by the lock of
 * the device.
 */
#include "sim-state-priv.h"

#include <errno.h>
#include <string.h>

#define NS_PER_S 1e9

SimState *sim_state_new(const SimOptions *options, const SimMemoryOps *memory,
                        void *memory_opaque)
{
    SimState *s = g_new0(SimState, 1);

    s->o = options;
    s->memory = memory;
    s->memory_opaque = memory_opaque;
    s->pages = g_array_new(false, false, sizeof(uint32_t));
    s->content = g_new(SimContent, 1);
    sim_content_init(s->content, options->seed);
    s->blocks = options->state_size / SIM_BLOCK;
    s->initial_blocks = options->initial_size / SIM_BLOCK;
    s->precopy_blocks =
        (options->state_size - options->stop_size) / SIM_BLOCK;
    s->generation = g_new0(uint32_t, s->blocks);
    s->digest = g_new0(uint64_t, s->blocks);
    s->flags = g_new0(uint8_t, s->blocks);
    s->record = g_malloc0(SIM_BLOCK_BYTES);
    return s;
}

void sim_state_free(SimState *s)
{
    if (!s) {
        return;
    }
    g_array_unref(s->pages);
    g_free(s->content);
    g_free(s->generation);
    g_free(s->digest);
    g_free(s->flags);
    g_free(s->record);
    g_free(s);
}

uint64_t sim_state_fold(const SimState *s)
{
    uint64_t sum = s->blocks;

    for (uint32_t i = 0; i < s->blocks; i++) {
        sum = sim_digest_fold(sum, s->digest[i]);
    }
    return sim_digest_fold(sum, s->memory_digest);
}

/* Block @i is to be sent (again). */
static void mark(SimState *s, uint32_t i, bool initial)
{
    if (s->flags[i] & FLAG_PENDING) {
        return;
    }
    s->flags[i] |= FLAG_PENDING | (initial ? FLAG_INITIAL : 0);
    if (initial) {
        s->initial_left++;
    } else {
        s->dirty_left++;
    }
}

void sim_state_run(SimState *s, bool running, uint64_t dirty_rate,
                   int64_t now_ns)
{
    if (s->running && s->precopy_blocks) {
        double whole = (double)s->precopy_blocks * SIM_BLOCK;
        uint32_t count;

        s->dirty_credit += (now_ns - s->ran_until_ns) / NS_PER_S * dirty_rate;
        /* Nothing becomes dirtier than dirty. */
        s->dirty_credit = MIN(s->dirty_credit, whole);
        count = s->dirty_credit / SIM_BLOCK;
        s->dirty_credit -= (double)count * SIM_BLOCK;
        while (count--) {
            s->generation[s->dirty_next]++;
            if (s->saving) {
                mark(s, s->dirty_next, false);
            }
            s->dirty_next = (s->dirty_next + 1) % s->precopy_blocks;
        }
    }
    if (s->running && !running) {
        for (uint32_t i = s->precopy_blocks; i < s->blocks; i++) {
            s->generation[i]++;
        }
    }
    s->running = running;
    s->ran_until_ns = now_ns;
}

void sim_state_save_begin(SimState *s)
{
    s->saving = true;
    s->stopped = s->begun = s->ended = false;
    s->has_digest = s->has_registers = false;
    s->memory_digest = 0;
    s->sequence = s->offset = 0;
    s->record_len = s->record_at = 0;
    s->cursor = s->initial_left = s->dirty_left = 0;
    memset(s->flags, 0, s->blocks);
    for (uint32_t i = 0; i < s->precopy_blocks; i++) {
        mark(s, i, i < s->initial_blocks);
    }
}

void sim_state_save_stopped(SimState *s)
{
    s->stopped = true;
    for (uint32_t i = s->precopy_blocks; i < s->blocks; i++) {
        mark(s, i, false);
    }
    g_array_set_size(s->pages, 0);
    s->page_next = 0;
    s->memory->list(s->memory_opaque, s->pages);
}

void sim_state_save_end(SimState *s)
{
    s->saving = false;
}

void sim_state_reinit(SimState *s, bool flagged)
{
    if (!s->saving) {
        return;
    }
    /* The rest of a record comes before the new initial data. */
    s->record_initial |= flagged;
    for (uint32_t i = 0; i < s->precopy_blocks; i++) {
        if (i < s->initial_blocks) {
            s->generation[i]++;
            mark(s, i, flagged);
        }
        if (flagged && (s->flags[i] & FLAG_PENDING) &&
            !(s->flags[i] & FLAG_INITIAL)) {
            s->flags[i] |= FLAG_INITIAL;
            s->initial_left++;
            s->dirty_left--;
        }
    }
}

/* Of REGISTERS and PAGE records that are not in the stream yet. */
static uint64_t memory_bytes(const SimState *s)
{
    uint64_t count = s->pages->len - s->page_next;

    if (!s->saving || !s->stopped) {
        g_autoptr(GArray) now = g_array_new(false, false, sizeof(uint32_t));

        s->memory->list(s->memory_opaque, now);
        count = now->len;
    } else if (s->has_registers) {
        return count * SIM_PAGE_BYTES;
    }
    return SIM_REGISTERS_BYTES + count * SIM_PAGE_BYTES;
}

void sim_state_sizes(const SimState *s, SimSizes *sizes)
{
    uint64_t stop_blocks = s->blocks - s->precopy_blocks;
    uint64_t rest = s->record_len - s->record_at;

    if (!s->saving) {
        /* What a stop-copy of the whole would be. */
        sizes->initial = sizes->dirty = 0;
        sizes->total = SIM_BEGIN_BYTES + s->blocks * SIM_BLOCK_BYTES +
                       memory_bytes(s) + SIM_END_BYTES;
        return;
    }
    sizes->initial = s->initial_left * SIM_BLOCK_BYTES;
    sizes->dirty = s->dirty_left * SIM_BLOCK_BYTES;
    if (!s->begun) {
        sizes->initial += SIM_BEGIN_BYTES;
    }
    if (s->record_initial) {
        sizes->initial += rest;
    } else {
        sizes->dirty += rest;
    }
    sizes->total = sizes->initial + sizes->dirty + memory_bytes(s);
    if (!s->stopped) {
        sizes->total += stop_blocks * SIM_BLOCK_BYTES;
    }
    if (!s->ended) {
        sizes->total += SIM_END_BYTES;
    }
}

static void put_header(SimState *s, uint8_t *to, uint16_t type, uint32_t block,
                       uint64_t digest)
{
    SimRecord header = {
        .magic = SIM_RECORD_MAGIC,
        .type = type,
        .version = SIM_STREAM_VERSION,
        .sequence = s->sequence++,
        .block = block,
        .generation = type == SIM_RECORD_BLOCK ? s->generation[block] : 0,
        .digest = digest,
    };

    memcpy(to, &header, sizeof(header));
}

static size_t put_begin(SimState *s, uint8_t *to)
{
    SimBegin begin = {
        .seed = s->content->seed,
        .state_size = s->o->state_size,
        .vendor = s->o->vendor,
        .device = s->o->device,
        .block_size = SIM_BLOCK,
    };

    s->begun = true;
    s->record_initial = true;
    put_header(s, to, SIM_RECORD_BEGIN, 0, 0);
    memcpy(to + sizeof(SimRecord), &begin, sizeof(begin));
    return SIM_BEGIN_BYTES;
}

static size_t put_end(SimState *s, uint8_t *to)
{
    SimEnd end = {.records = s->sequence};

    s->ended = true;
    s->whole = end.digest = sim_state_fold(s);
    put_header(s, to, SIM_RECORD_END, 0, 0);
    memcpy(to + sizeof(SimRecord), &end, sizeof(end));
    return SIM_END_BYTES;
}

static size_t put_block(SimState *s, uint8_t *to)
{
    uint8_t wanted = FLAG_PENDING | (s->initial_left ? FLAG_INITIAL : 0);
    uint8_t *payload = to + sizeof(SimRecord);
    uint32_t i;

    while ((s->flags[s->cursor] & wanted) != wanted) {
        s->cursor = (s->cursor + 1) % s->blocks;
    }
    i = s->cursor;
    s->record_initial = s->flags[i] & FLAG_INITIAL;
    if (s->record_initial) {
        s->initial_left--;
    } else {
        s->dirty_left--;
    }
    s->flags[i] = 0;
    sim_content_fill(s->content, i, s->generation[i], payload);
    s->digest[i] = sim_digest(i, payload, SIM_BLOCK);
    put_header(s, to, SIM_RECORD_BLOCK, i, s->digest[i]);
    return SIM_BLOCK_BYTES;
}

static size_t put_registers(SimState *s, uint8_t *to)
{
    SimRegisters registers;
    uint64_t digest;

    s->memory->get_registers(s->memory_opaque, &registers);
    digest = sim_digest(0, &registers, sizeof(registers));
    s->memory_digest = sim_digest_fold(s->memory_digest, digest);
    s->has_registers = true;
    put_header(s, to, SIM_RECORD_REGISTERS, 0, digest);
    memcpy(to + sizeof(SimRecord), &registers, sizeof(registers));
    return SIM_REGISTERS_BYTES;
}

static size_t put_page(SimState *s, uint8_t *to)
{
    uint32_t page = g_array_index(s->pages, uint32_t, s->page_next++);
    uint8_t *payload = to + sizeof(SimRecord);
    uint64_t digest;

    s->memory->read(s->memory_opaque, page, payload);
    digest = sim_digest(page, payload, SIM_PAGE);
    s->memory_digest = sim_digest_fold(s->memory_digest, digest);
    put_header(s, to, SIM_RECORD_PAGE, page, digest);
    return SIM_PAGE_BYTES;
}

/* Puts the next record at @to; 0 if there is none at the moment. */
static size_t put_record(SimState *s, uint8_t *to)
{
    if (!s->begun) {
        return put_begin(s, to);
    }
    if (s->initial_left || s->dirty_left) {
        return put_block(s, to);
    }
    if (!s->stopped || s->ended) {
        return 0;
    }
    s->record_initial = false;
    if (!s->has_registers) {
        return put_registers(s, to);
    }
    return s->page_next < s->pages->len ? put_page(s, to) : put_end(s, to);
}

ssize_t sim_state_read(SimState *s, void *buf, size_t len)
{
    uint8_t *to = buf;
    size_t done = 0, n;

    while (done < len) {
        if (s->record_at == s->record_len) {
            /* Into the caller's buffer where the record has room. */
            bool direct = len - done >= SIM_BLOCK_BYTES;

            n = put_record(s, direct ? to + done : s->record);
            if (!n) {
                break;
            }
            s->record_len = s->record_at = 0;
            if (direct) {
                done += n;
                continue;
            }
            s->record_len = n;
        }
        n = MIN(len - done, s->record_len - s->record_at);
        memcpy(to + done, s->record + s->record_at, n);
        s->record_at += n;
        done += n;
    }
    s->offset += done;
    if (s->ended && s->record_at == s->record_len) {
        s->has_digest = true;
    }
    return done || s->stopped || !len ? (ssize_t)done : -ENOMSG;
}

bool sim_state_digest(const SimState *s, uint64_t *digest)
{
    *digest = s->whole;
    return s->has_digest;
}

uint64_t sim_state_offset(const SimState *s)
{
    return s->offset;
}
