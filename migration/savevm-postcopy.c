/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of an outgoing migration in postcopy: what both sides must have
 * alike, which pages must not be used, the package that the destination starts
 * from, and what follows it. Outgoing thread; the lock of each step is said in
 * savevm.h. No lock of its own.
 */
#include <string.h>

#include "migration/savevm-int.h"
#include "migration/stream-owner.h"
#include "trace/trace-migration.h"

bool savevm_send_postcopy_advise(SaveVM *sv, Error **errp)
{
    PostcopyAdvise advise = postcopy_advise_of(sv->vm->memory);
    uint8_t data[POSTCOPY_ADVISE_BYTES];

    postcopy_put_advise(&advise, data);
    return savevm_send_command(sv, MIG_CMD_POSTCOPY_ADVISE, data, sizeof(data),
                               errp);
}

void savevm_set_postcopy(SaveVM *sv)
{
    g_assert(sv->step == STEP_LIVE);
    sv->postcopy = true;
}

void savevm_put_discard(SaveVM *sv, const PostcopyDiscard *discard)
{
    uint8_t data[POSTCOPY_DISCARD_BYTES];
    uint16_t len = postcopy_put_discard(discard, data);

    g_assert(sv->postcopy && sv->step == STEP_COMPLETE);
    savevm_put_command(sv->s, MIG_CMD_POSTCOPY_RAM_DISCARD, data, len);
}

/* ---- the package ---- */

static void put_ping(MigStream *s, uint32_t value)
{
    uint32_t raw = GUINT32_TO_BE(value);

    savevm_put_command(s, MIG_CMD_PING, &raw, sizeof(raw));
}

bool savevm_make_package(SaveVM *sv, uint32_t loaded, uint32_t taken,
                         Error **errp)
{
    g_autoptr(IoChannel) memory = io_channel_new_buffer();
    g_autoptr(MigStream) s = mig_stream_new_output(memory,
                                                   sv->vm->host_clock);

    g_assert(sv->postcopy && !sv->package);
    savevm_put_command(s, MIG_CMD_POSTCOPY_LISTEN, NULL, 0);
    if (!savevm_put_states(sv, s, errp)) {
        return false;
    }
    put_ping(s, loaded);
    put_ping(s, taken);
    savevm_put_command(s, MIG_CMD_POSTCOPY_RUN, NULL, 0);
    sv->package = g_steal_pointer(&memory);
    return mig_stream_flush(s, errp);
}

bool savevm_send_package(SaveVM *sv, Error **errp)
{
    g_autoptr(IoChannel) package = g_steal_pointer(&sv->package);
    const uint8_t *data;
    uint32_t raw;
    size_t len;

    data = io_channel_buffer_data(package, &len);
    if (len > POSTCOPY_PACKAGE_MAX) {
        error_setg(errp, "the states of the devices have %zu bytes; at most %u "
                   "can be sent in postcopy", len, POSTCOPY_PACKAGE_MAX);
        return false;
    }
    raw = GUINT32_TO_BE(len);
    mig_stream_set_section(sv->s, "device states", 0);
    savevm_put_command(sv->s, MIG_CMD_PACKAGED, &raw, sizeof(raw));
    mig_put_buffer_nocopy(sv->s, data, len);
    return mig_stream_flush(sv->s, errp);
}

/* ---- afterwards ---- */

/* One section of each module that has more; DONE: none has. */
static MigIterate postcopy_sections(SaveVM *sv, bool end, Error **errp)
{
    MigIterate all = MIG_ITERATE_DONE;

    savevm_entries_get(sv->registry, sv->entries, true, false);
    for (guint i = 0; i < sv->entries->len && all != MIG_ITERATE_ERROR; i++) {
        SaveEntry *e = sv->entries->pdata[i];
        uint64_t start = mig_stream_offset(sv->s);
        MigIterate one;

        if (!e->saving || !e->ops->save_postcopy ||
            !savevm_entry_enter(sv->registry, e)) {
            continue;
        }
        savevm_put_header(sv->s, e, end ? QEMU_VM_SECTION_END
                                        : QEMU_VM_SECTION_PART);
        one = e->ops->save_postcopy(sv->s, e->opaque, end, errp);
        savevm_put_footer(sv->s, e);
        savevm_entry_leave(sv->registry, e);
        e->sent_bytes += mig_stream_offset(sv->s) - start;
        if (one != MIG_ITERATE_DONE) {
            all = one;
        }
    }
    savevm_entries_put(sv->registry, sv->entries);
    return all;
}

MigIterate savevm_postcopy(SaveVM *sv, Error **errp)
{
    MigIterate res;

    g_assert(sv->postcopy && sv->step == STEP_DEVICES);
    res = postcopy_sections(sv, false, errp);
    if (res != MIG_ITERATE_ERROR && !mig_stream_flush(sv->s, errp)) {
        res = MIG_ITERATE_ERROR;
    }
    return res;
}

bool savevm_end_postcopy(SaveVM *sv, Error **errp)
{
    g_assert(sv->postcopy && sv->step == STEP_DEVICES);
    if (postcopy_sections(sv, true, errp) == MIG_ITERATE_ERROR) {
        return false;
    }
    mig_put_u8(sv->s, QEMU_VM_EOF);
    return mig_stream_flush(sv->s, errp);
}

/* ---- another connection ---- */

void savevm_set_stream(SaveVM *sv, MigStream *s)
{
    sv->s = s;
}

bool savevm_send_recv_bitmap(SaveVM *sv, const char *block, Error **errp)
{
    uint8_t data[1 + UINT8_MAX];
    size_t len = strlen(block);

    g_assert(len <= UINT8_MAX);
    data[0] = len;
    memcpy(data + 1, block, len);
    return savevm_send_command(sv, MIG_CMD_RECV_BITMAP, data, len + 1, errp);
}

bool savevm_send_postcopy_resume(SaveVM *sv, Error **errp)
{
    return savevm_send_command(sv, MIG_CMD_POSTCOPY_RESUME, NULL, 0, errp);
}
