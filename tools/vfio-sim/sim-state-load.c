/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The incoming stream: every record is checked as a whole before anything of
 * it is taken. Pure; guarded by the lock of the device.
 */
#include "sim-state-priv.h"

#include <inttypes.h>
#include <string.h>

void sim_state_load_begin(SimState *s, GPtrArray *faults)
{
    s->loading = true;
    s->refused = s->begun = s->ended = s->has_digest = false;
    s->has_registers = false;
    s->memory_digest = 0;
    s->faults = faults;
    s->sequence = s->offset = 0;
    s->record_len = s->record_at = 0;
    memset(s->flags, 0, s->blocks);
    s->memory->clear(s->memory_opaque);
}

/* True if a fault orders the verdict @action. */
static bool is_ordered(SimState *s, SimFaultAction action)
{
    for (guint i = 0; i < s->faults->len; i++) {
        const SimFault *f = g_ptr_array_index(s->faults, i);

        if (f->point == SIM_FAULT_REFUSE && f->action == action && f->left) {
            return true;
        }
    }
    return false;
}

static bool take_begin(SimState *s, const SimBegin *begin, Error **errp)
{
    if (begin->state_size != s->o->state_size ||
        begin->block_size != SIM_BLOCK) {
        error_setg(errp, "the state has %" PRIu64 " bytes in blocks of %u: "
                   "this device has %" PRIu64 " in blocks of %u",
                   begin->state_size, begin->block_size, s->o->state_size,
                   SIM_BLOCK);
        return false;
    }
    if (begin->vendor != s->o->vendor || begin->device != s->o->device) {
        error_setg(errp, "the state is that of a device %04x:%04x, not "
                   "%04x:%04x", begin->vendor, begin->device,
                   (unsigned)s->o->vendor, (unsigned)s->o->device);
        return false;
    }
    s->loaded_seed = begin->seed;
    s->begun = true;
    return true;
}

/* The content must be what the header says. */
static bool check_digest(const SimRecord *h, const void *data, size_t len,
                         Error **errp)
{
    uint64_t digest = sim_digest(h->block, data, len);

    if (digest != h->digest) {
        error_setg(errp, "record %" PRIu64 " (type %u, number %u) has digest "
                   "%016" PRIx64 ", not %016" PRIx64, h->sequence, h->type,
                   h->block, digest, h->digest);
        return false;
    }
    return true;
}

static bool take_block(SimState *s, const SimRecord *h, const void *data,
                       Error **errp)
{
    if (!check_digest(h, data, SIM_BLOCK, errp)) {
        return false;
    }
    s->digest[h->block] = h->digest;
    s->generation[h->block] = h->generation;
    s->flags[h->block] |= FLAG_LOADED;
    return true;
}

static bool take_registers(SimState *s, const SimRecord *h, const void *data,
                           Error **errp)
{
    SimRegisters registers;

    memcpy(&registers, data, sizeof(registers));
    if (!check_digest(h, data, sizeof(registers), errp) ||
        !s->memory->set_registers(s->memory_opaque, &registers, errp)) {
        return false;
    }
    s->memory_digest = sim_digest_fold(s->memory_digest, h->digest);
    s->has_registers = true;
    return true;
}

static bool take_page(SimState *s, const SimRecord *h, const void *data,
                      Error **errp)
{
    if (!check_digest(h, data, SIM_PAGE, errp) ||
        !s->memory->write(s->memory_opaque, h->block, data, errp)) {
        return false;
    }
    s->memory_digest = sim_digest_fold(s->memory_digest, h->digest);
    return true;
}

static bool take_end(SimState *s, const SimEnd *end, Error **errp)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < s->blocks; i++) {
        missing += !(s->flags[i] & FLAG_LOADED);
    }
    if (missing || !s->has_registers || end->records != s->sequence) {
        error_setg(errp, "the state ends after %" PRIu64 " records, with %u "
                   "of %u blocks%s missing", end->records, missing, s->blocks,
                   s->has_registers ? "" : " and the registers");
        return false;
    }
    s->whole = sim_state_fold(s);
    if (s->whole != end->digest) {
        error_setg(errp, "the state has digest %016" PRIx64 ", not %016" PRIx64,
                   s->whole, end->digest);
        return false;
    }
    s->ended = true;
    return true;
}

static const size_t lengths[SIM_RECORD_TYPES] = {
    [SIM_RECORD_BEGIN] = SIM_BEGIN_BYTES,
    [SIM_RECORD_BLOCK] = SIM_BLOCK_BYTES,
    [SIM_RECORD_END] = SIM_END_BYTES,
    [SIM_RECORD_REGISTERS] = SIM_REGISTERS_BYTES,
    [SIM_RECORD_PAGE] = SIM_PAGE_BYTES,
};

/* Sets the length of the record that the header at hand begins. */
static bool check_header(SimState *s, Error **errp)
{
    SimRecord h;

    memcpy(&h, s->record, sizeof(h));
    if (s->ended || is_ordered(s, SIM_ACT_TOO_LONG)) {
        error_setg(errp, "data after the end of the state");
        return false;
    }
    if (h.magic != SIM_RECORD_MAGIC) {
        error_setg(errp, "magic %08x: expected %08x", h.magic,
                   SIM_RECORD_MAGIC);
        return false;
    }
    if (h.version != SIM_STREAM_VERSION || is_ordered(s, SIM_ACT_VERSION)) {
        error_setg(errp, "version %u of the state is not known: expected %u",
                   h.version, SIM_STREAM_VERSION);
        return false;
    }
    if (h.sequence != s->sequence) {
        error_setg(errp, "record %" PRIu64 " where %" PRIu64 " was expected",
                   h.sequence, s->sequence);
        return false;
    }
    if (h.type < SIM_RECORD_BEGIN || h.type >= SIM_RECORD_TYPES ||
        (h.type == SIM_RECORD_BEGIN) != !s->begun ||
        (h.type == SIM_RECORD_REGISTERS && s->has_registers)) {
        error_setg(errp, "a record of type %u cannot stand here", h.type);
        return false;
    }
    if (h.type == SIM_RECORD_BLOCK && h.block >= s->blocks) {
        error_setg(errp, "block %u: the state has %u", h.block, s->blocks);
        return false;
    }
    if (h.type == SIM_RECORD_PAGE &&
        !s->memory->has_page(s->memory_opaque, h.block)) {
        error_setg(errp, "page %u: there is no such memory behind the BARs",
                   h.block);
        return false;
    }
    s->record_len = lengths[h.type];
    return true;
}

static bool take_record(SimState *s, Error **errp)
{
    const uint8_t *payload = s->record + sizeof(SimRecord);
    SimRecord h;
    SimBegin begin;
    SimEnd end;
    bool ok;

    memcpy(&h, s->record, sizeof(h));
    switch (h.type) {
    case SIM_RECORD_BEGIN:
        memcpy(&begin, payload, sizeof(begin));
        ok = take_begin(s, &begin, errp);
        break;
    case SIM_RECORD_BLOCK:
        ok = take_block(s, &h, payload, errp);
        break;
    case SIM_RECORD_REGISTERS:
        ok = take_registers(s, &h, payload, errp);
        break;
    case SIM_RECORD_PAGE:
        ok = take_page(s, &h, payload, errp);
        break;
    default:
        memcpy(&end, payload, sizeof(end));
        ok = take_end(s, &end, errp);
        break;
    }
    s->sequence++;
    s->record_len = s->record_at = 0;
    return ok;
}

static bool take(SimState *s, const uint8_t *from, size_t len, Error **errp)
{
    while (len) {
        size_t want = s->record_len ? s->record_len : sizeof(SimRecord);
        size_t n = MIN(len, want - s->record_at);

        memcpy(s->record + s->record_at, from, n);
        s->record_at += n;
        from += n;
        len -= n;
        s->offset += n;
        if (s->record_at < want) {
            return true;
        }
        if (s->record_len ? !take_record(s, errp) : !check_header(s, errp)) {
            return false;
        }
    }
    return true;
}

bool sim_state_write(SimState *s, const void *buf, size_t len, Error **errp)
{
    uint64_t from = s->offset;

    if (s->refused) {
        error_setg(errp, "the stream was refused before");
        return false;
    }
    if (!take(s, buf, len, errp)) {
        error_prepend(errp, "state at offset %" PRIu64 " of the stream: ",
                      MAX(from, s->offset));
        s->refused = true;
        return false;
    }
    return true;
}

bool sim_state_load_end(SimState *s, Error **errp)
{
    if (!s->loading) {
        error_setg(errp, "no state was to be loaded");
        return false;
    }
    if (s->refused) {
        error_setg(errp, "the stream was refused before");
        return false;
    }
    if (!s->ended || s->record_at || is_ordered(s, SIM_ACT_TRUNCATED)) {
        error_setg(errp, "the state is truncated at offset %" PRIu64
                   " of the stream", s->offset);
        s->refused = true;
        return false;
    }
    s->loading = false;
    s->has_digest = true;
    s->begun = s->ended = false;
    sim_content_init(s->content, s->loaded_seed);
    return true;
}
