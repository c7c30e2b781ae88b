/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a machine's state into a stream, step by step, as the life cycle of
 * a migration asks. Entered by the outgoing migration thread only; the lock of
 * each step is said in savevm.h. No lock of its own.
 */
#include <string.h>

#include "migration/rate.h"
#include "migration/savevm-int.h"
#include "migration/stream-owner.h"
#include "migration/vmdesc.h"
#include "system/memory.h"
#include "trace/trace-migration.h"

SaveVM *savevm_new(Vm *vm, MigStream *s, const SaveVMConfig *config)
{
    SaveVM *sv = g_new0(SaveVM, 1);

    sv->vm = vm;
    sv->registry = savevm_state(vm);
    sv->s = s;
    sv->config = config_section_new(config);
    sv->desc = vmdesc_new();
    sv->entries = g_ptr_array_new();
    return sv;
}

void savevm_free(SaveVM *sv)
{
    if (!sv) {
        return;
    }
    g_assert(sv->entries->len == 0);
    g_ptr_array_free(sv->entries, TRUE);
    g_clear_pointer(&sv->states, io_channel_unref);
    config_section_free(sv->config);
    vmdesc_free(sv->desc);
    io_channel_unref(sv->package);
    g_free(sv);
}

bool savevm_write_header(SaveVM *sv, Error **errp)
{
    g_assert(sv->step == STEP_NEW);
    mig_put_be32(sv->s, QEMU_VM_FILE_MAGIC);
    mig_put_be32(sv->s, QEMU_VM_FILE_VERSION);
    mig_put_u8(sv->s, QEMU_VM_CONFIGURATION);
    vmdesc_object(sv->desc, NULL);
    vmdesc_object(sv->desc, "configuration");
    if (!config_section_save(sv->config, sv->s, sv->desc, errp)) {
        return false;
    }
    vmdesc_end(sv->desc);
    sv->step = STEP_HEADER;
    return mig_stream_flush(sv->s, errp);
}

void savevm_put_command(MigStream *s, uint16_t command, const void *data,
                        uint16_t len)
{
    trace_savevm_command(command, len);
    mig_put_u8(s, QEMU_VM_COMMAND);
    mig_put_be16(s, command);
    mig_put_be16(s, len);
    mig_put_buffer(s, data, len);
}

bool savevm_send_command(SaveVM *sv, uint16_t command, const void *data,
                         uint16_t len, Error **errp)
{
    g_assert(sv->step >= STEP_HEADER && sv->step < STEP_END);
    savevm_put_command(sv->s, command, data, len);
    return mig_stream_flush(sv->s, errp);
}

bool savevm_send_open_return_path(SaveVM *sv, Error **errp)
{
    return savevm_send_command(sv, MIG_CMD_OPEN_RETURN_PATH, NULL, 0, errp);
}

bool savevm_send_ping(SaveVM *sv, uint32_t value, Error **errp)
{
    uint32_t raw = GUINT32_TO_BE(value);

    return savevm_send_command(sv, MIG_CMD_PING, &raw, sizeof(raw), errp);
}

bool savevm_send_switchover_start(SaveVM *sv, Error **errp)
{
    return savevm_send_command(sv, MIG_CMD_SWITCHOVER_START, NULL, 0, errp);
}

/* ---- sections ---- */

void savevm_put_header(MigStream *s, const SaveEntry *e, uint8_t type)
{
    mig_stream_set_section(s, e->idstr, e->instance);
    mig_put_u8(s, type);
    mig_put_be32(s, e->section_id);
    if (type == QEMU_VM_SECTION_START || type == QEMU_VM_SECTION_FULL) {
        mig_put_counted_string(s, e->idstr);
        mig_put_be32(s, e->instance);
        mig_put_be32(s, e->version_id);
    }
}

void savevm_put_footer(MigStream *s, const SaveEntry *e)
{
    mig_put_u8(s, QEMU_VM_SECTION_FOOTER);
    mig_put_be32(s, e->section_id);
}

/* Names the section in front of an error that the stream has not located. */
static bool section_failed(SaveVM *sv, const SaveEntry *e, Error *err,
                           Error **errp)
{
    if (mig_stream_check(sv->s, NULL)) {
        error_prepend(&err, "section '%s' instance %u: ", e->idstr,
                      e->instance);
    }
    error_propagate(errp, err);
    return false;
}

/* ---- live modules ---- */

bool savevm_for_each_live(SaveVM *sv,
                          bool (*step)(SaveVM *sv, SaveEntry *e, Error **errp),
                          Error **errp)
{
    bool ok = true;

    savevm_entries_get(sv->registry, sv->entries, true, false);
    for (guint i = 0; i < sv->entries->len && ok; i++) {
        SaveEntry *e = sv->entries->pdata[i];

        if (savevm_entry_enter(sv->registry, e)) {
            Error *err = NULL;

            if (!step(sv, e, &err)) {
                ok = section_failed(sv, e, err, errp);
            }
            savevm_entry_leave(sv->registry, e);
        }
    }
    savevm_entries_put(sv->registry, sv->entries);
    return ok;
}

static bool setup_one(SaveVM *sv, SaveEntry *e, Error **errp)
{
    uint64_t start = mig_stream_offset(sv->s);
    bool ok = true;

    e->saving = true;
    e->sent_bytes = e->complete_bytes = 0;
    e->iterate_ns = e->complete_ns = e->turn_ns = 0;
    e->hungry = false;
    savevm_put_header(sv->s, e, QEMU_VM_SECTION_START);
    if (e->ops->save_setup) {
        ok = e->ops->save_setup(sv->s, e->opaque, errp);
    }
    savevm_put_footer(sv->s, e);
    e->sent_bytes = mig_stream_offset(sv->s) - start;
    trace_savevm_section("setup", e->idstr, e->instance, e->sent_bytes);
    return ok && mig_stream_check(sv->s, errp);
}

bool savevm_setup(SaveVM *sv, Error **errp)
{
    g_assert(sv->step == STEP_HEADER);
    if (!savevm_for_each_live(sv, setup_one, errp)) {
        return false;
    }
    sv->step = STEP_LIVE;
    return mig_stream_flush(sv->s, errp);
}

/*
 * Modules that want to send share the time: a device that blocks for a tenth
 * of a second at each read must leave as much to memory. So long one goes on
 * by itself, and so far it may get ahead of the others. Long enough for what
 * it sends to be seen apart from what the others send: each is given and taken
 * in at a rate of its own.
 */
#define TURN_NS (50 * INT64_C(1000000))

/* The least that one of those who want to send, but @self, has had. */
static int64_t least_turn(SaveVM *sv, const SaveEntry *self)
{
    int64_t least = INT64_MAX;

    for (guint i = 0; i < sv->entries->len; i++) {
        const SaveEntry *e = sv->entries->pdata[i];

        if (e != self && e->saving && e->hungry) {
            least = MIN(least, e->turn_ns);
        }
    }
    return least;
}

static bool has_turn(SaveVM *sv, const SaveEntry *e)
{
    return e->turn_ns - TURN_NS <= least_turn(sv, e);
}

static void take_turn(SaveVM *sv, SaveEntry *e, int64_t ns, bool hungry)
{
    int64_t least = least_turn(sv, e);

    /* Who had nothing to send meanwhile has not saved time up. */
    if (hungry && !e->hungry && least != INT64_MAX) {
        e->turn_ns = MAX(e->turn_ns, least);
    }
    e->hungry = hungry;
    e->turn_ns += ns;
    sv->turn_ns += ns;
}

void savevm_set_run_delay(SaveVM *sv, const RunDelay *rd)
{
    sv->run_delay = rd;
}

uint64_t savevm_delayed_ns(const SaveVM *sv)
{
    return sv->delayed_ns;
}

static uint64_t thread_delay_ns(const SaveVM *sv)
{
    return sv->run_delay ? run_delay_ns(sv->run_delay) : 0;
}

static MigIterate iterate_one(SaveVM *sv, SaveEntry *e, Error **errp)
{
    uint64_t start = mig_stream_offset(sv->s);
    uint64_t in_order = mig_stream_in_order(sv->s), body;
    uint64_t delay_ns = thread_delay_ns(sv);
    int64_t start_ns = clock_now_ns(sv->vm->host_clock), ns;
    Error *err = NULL;
    MigIterate res;

    savevm_put_header(sv->s, e, QEMU_VM_SECTION_PART);
    body = mig_stream_in_order(sv->s);
    res = e->ops->save_live_iterate(sv->s, e->opaque, &err);
    if (mig_stream_in_order(sv->s) == body) {
        /* Nothing to say in the stream: a section would make it longer. */
        mig_stream_take_back(sv->s, body - in_order);
    } else {
        savevm_put_footer(sv->s, e);
    }
    e->sent_bytes += mig_stream_offset(sv->s) - start;
    trace_savevm_section("iterate", e->idstr, e->instance, e->sent_bytes);
    /* Now, so that a module's time is that of its bytes too. */
    if (res != MIG_ITERATE_ERROR && !mig_stream_flush(sv->s, &err)) {
        res = MIG_ITERATE_ERROR;
    }
    ns = clock_now_ns(sv->vm->host_clock) - start_ns;
    take_turn(sv, e, ns, res == MIG_ITERATE_MORE);
    delay_ns = MIN(sat_sub_u64(thread_delay_ns(sv), delay_ns), (uint64_t)ns);
    sv->delayed_ns += delay_ns;
    e->iterate_ns += ns - delay_ns;
    if (res == MIG_ITERATE_ERROR) {
        section_failed(sv, e, err, errp);
    }
    return res;
}

/* Whether @e, whose turn it is and who may want more, has had enough. */
static bool turn_ends(SaveVM *sv, const SaveEntry *e)
{
    return !e->hungry || sv->turn_ns >= TURN_NS ||
           mig_stream_rate_exceeded(sv->s);
}

static void pass_turn(SaveVM *sv, guint count)
{
    sv->next = (sv->next + 1) % count;
    sv->turn_ns = 0;
    sv->turn_bytes = 0;
}

MigIterate savevm_iterate(SaveVM *sv, Error **errp)
{
    MigIterate all = MIG_ITERATE_DONE;
    guint count;

    g_assert(sv->step == STEP_LIVE);
    savevm_entries_get(sv->registry, sv->entries, true, false);
    count = sv->entries->len;
    for (guint n = 0; n < count && all != MIG_ITERATE_ERROR; n++) {
        SaveEntry *e = sv->entries->pdata[sv->next % count];
        uint64_t before_bytes, bytes;
        MigIterate one;

        /* Whoever the rate cut off comes first next time. */
        if (mig_stream_rate_exceeded(sv->s)) {
            all = MIG_ITERATE_MORE;
            break;
        }
        if (!has_turn(sv, e)) {
            pass_turn(sv, count);
            all = MIG_ITERATE_MORE;
            continue;
        }
        if (!e->saving || !e->ops->save_live_iterate ||
            !savevm_entry_enter(sv->registry, e)) {
            pass_turn(sv, count);
            continue;
        }
        before_bytes = e->sent_bytes;
        one = iterate_one(sv, e, errp);
        savevm_entry_leave(sv->registry, e);
        sv->turn_bytes += e->sent_bytes - before_bytes;
        if (one != MIG_ITERATE_DONE) {
            all = one;
        }
        if (!turn_ends(sv, e)) {
            break;
        }
        bytes = sv->turn_bytes;
        pass_turn(sv, count);
        if (bytes >= MIG_WINDOW_MIN_BYTES && one != MIG_ITERATE_ERROR) {
            /* What the next one sends is to be told apart from this. */
            all = MIG_ITERATE_MORE;
            break;
        }
    }
    savevm_entries_put(sv->registry, sv->entries);
    return all;
}

bool savevm_turn_ended(const SaveVM *sv)
{
    return sv->turn_ns == 0;
}

void savevm_query_pending(SaveVM *sv, bool exact, GArray *modules)
{
    g_array_set_size(modules, 0);
    savevm_entries_get(sv->registry, sv->entries, true, false);
    for (guint i = 0; i < sv->entries->len; i++) {
        SaveEntry *e = sv->entries->pdata[i];
        SaveVMModule m = {
            .idstr = e->idstr, .instance = e->instance, .kind = e->ops->kind,
        };

        if (e->saving && savevm_entry_enter(sv->registry, e)) {
            if (e->ops->save_query_pending) {
                e->ops->save_query_pending(e->opaque, &m.pending, exact);
            }
            savevm_entry_leave(sv->registry, e);
        }
        m.pending.total_bytes =
            sat_add_u64(sat_add_u64(m.pending.precopy_bytes,
                                    m.pending.postcopy_bytes),
                        m.pending.stopcopy_bytes);
        m.postcopy = e->ops->save_postcopy != NULL;
        m.sent_bytes = e->sent_bytes;
        m.iterate_ns = e->iterate_ns;
        m.complete_bytes = e->complete_bytes;
        m.complete_ns = e->complete_ns;
        g_array_append_val(modules, m);
    }
    savevm_entries_put(sv->registry, sv->entries);
}

static bool check_one(SaveVM *sv, SaveEntry *e, Error **errp)
{
    (void)sv;
    return !e->saving || !e->ops->save_switchover ||
           e->ops->save_switchover(e->opaque, errp);
}

bool savevm_check_switchover(SaveVM *sv, Error **errp)
{
    g_assert(sv->step == STEP_LIVE);
    return savevm_for_each_live(sv, check_one, errp);
}

static bool complete_one(SaveVM *sv, SaveEntry *e, Error **errp)
{
    uint64_t start = mig_stream_offset(sv->s);
    int64_t start_ns = clock_now_ns(sv->vm->host_clock);
    bool ok;

    if (!e->saving || !e->ops->save_complete ||
        (sv->postcopy && e->ops->save_postcopy)) {
        return true;
    }
    savevm_put_header(sv->s, e, QEMU_VM_SECTION_END);
    ok = e->ops->save_complete(sv->s, e->opaque, errp);
    savevm_put_footer(sv->s, e);
    if (!ok || !mig_stream_flush(sv->s, errp)) {
        return false;
    }
    e->complete_bytes = mig_stream_offset(sv->s) - start;
    e->complete_ns = clock_now_ns(sv->vm->host_clock) - start_ns;
    e->sent_bytes += e->complete_bytes;
    trace_savevm_complete(e->idstr, e->instance, e->complete_bytes,
                          e->complete_ns);
    return true;
}

bool savevm_complete_live(SaveVM *sv, Error **errp)
{
    g_assert(sv->step == STEP_LIVE);
    if (!savevm_for_each_live(sv, complete_one, errp)) {
        return false;
    }
    sv->step = STEP_COMPLETE;
    return true;
}

void savevm_interrupt(Vm *vm)
{
    SaveState *registry = savevm_state(vm);
    g_autoptr(GPtrArray) entries = g_ptr_array_new();

    savevm_entries_get(registry, entries, true, false);
    for (guint i = 0; i < entries->len; i++) {
        SaveEntry *e = entries->pdata[i];

        if (e->ops->interrupt && savevm_entry_enter(registry, e)) {
            e->ops->interrupt(e->opaque);
            savevm_entry_leave(registry, e);
        }
    }
    savevm_entries_put(registry, entries);
}

void savevm_cleanup(SaveVM *sv)
{
    savevm_entries_get(sv->registry, sv->entries, true, false);
    for (guint i = 0; i < sv->entries->len; i++) {
        SaveEntry *e = sv->entries->pdata[i];

        if (!e->saving) {
            continue;
        }
        e->saving = false;
        if (e->ops->save_cleanup && savevm_entry_enter(sv->registry, e)) {
            e->ops->save_cleanup(e->opaque);
            savevm_entry_leave(sv->registry, e);
        }
    }
    savevm_entries_put(sv->registry, sv->entries);
}

/* ---- devices ---- */

static bool save_device(MigStream *s, SaveEntry *e, VMDesc *desc, Error **errp)
{
    savevm_put_header(s, e, QEMU_VM_SECTION_FULL);
    vmdesc_object(desc, NULL);
    vmdesc_string(desc, "name", e->idstr);
    vmdesc_int(desc, "instance_id", e->instance);
    if (!vmstate_save(s, e->vmsd, e->opaque, desc, errp)) {
        return false;
    }
    vmdesc_end(desc);
    savevm_put_footer(s, e);
    return true;
}

/* What a live module has beside its data. */
static bool save_rest(MigStream *s, SaveEntry *e, Error **errp)
{
    savevm_put_header(s, e, QEMU_VM_SECTION_FULL);
    if (!e->ops->save_state(s, e->opaque, errp)) {
        return false;
    }
    savevm_put_footer(s, e);
    return true;
}

static bool save_full(SaveVM *sv, MigStream *s, SaveEntry *e, Error **errp)
{
    if (e->vmsd) {
        return !vmstate_needed(e->vmsd, e->opaque) ||
               save_device(s, e, sv->desc, errp);
    }
    return !e->saving || !e->ops->save_state || save_rest(s, e, errp);
}

static bool save_all(SaveVM *sv, MigStream *s, bool devices, Error **errp)
{
    bool ok = true;

    savevm_entries_get(sv->registry, sv->entries, !devices, devices);
    for (guint i = 0; i < sv->entries->len && ok; i++) {
        SaveEntry *e = sv->entries->pdata[i];
        uint64_t start = mig_stream_offset(s);
        Error *err = NULL;

        if (!savevm_entry_enter(sv->registry, e)) {
            continue;
        }
        if (!save_full(sv, s, e, &err)) {
            ok = section_failed(sv, e, err, errp);
        }
        savevm_entry_leave(sv->registry, e);
        trace_savevm_section("device", e->idstr, e->instance,
                             mig_stream_offset(s) - start);
    }
    savevm_entries_put(sv->registry, sv->entries);
    return ok && mig_stream_flush(s, errp);
}

static bool put_states(SaveVM *sv, MigStream *s, Error **errp)
{
    vmdesc_int(sv->desc, "page_size", GUEST_PAGE_SIZE);
    vmdesc_array(sv->desc, "devices");
    if (!save_all(sv, s, true, errp) || !save_all(sv, s, false, errp)) {
        return false;
    }
    vmdesc_end(sv->desc);
    vmdesc_end(sv->desc);
    return true;
}

bool savevm_put_states(SaveVM *sv, MigStream *s, Error **errp)
{
    g_assert(sv->step == STEP_COMPLETE);
    if (!put_states(sv, s, errp)) {
        return false;
    }
    sv->step = STEP_DEVICES;
    return true;
}

bool savevm_collect_devices(SaveVM *sv, Error **errp)
{
    IoChannel *memory = io_channel_new_buffer();
    g_autoptr(MigStream) s = mig_stream_new_output(memory,
                                                   sv->vm->host_clock);

    g_assert(sv->step >= STEP_LIVE && sv->step <= STEP_COMPLETE && !sv->states);
    sv->states = memory;
    return put_states(sv, s, errp);
}

bool savevm_save_devices(SaveVM *sv, uint64_t *bytes, Error **errp)
{
    const uint8_t *data;
    size_t len;

    g_assert(sv->step == STEP_COMPLETE);
    if (!sv->states && !savevm_collect_devices(sv, errp)) {
        return false;
    }
    data = io_channel_buffer_data(sv->states, &len);
    mig_stream_set_section(sv->s, "device states", 0);
    mig_put_buffer_nocopy(sv->s, data, len);
    if (bytes) {
        *bytes = len;
    }
    sv->step = STEP_DEVICES;
    return mig_stream_flush(sv->s, errp);
}

/* ---- the end ---- */

bool savevm_write_end(SaveVM *sv, Error **errp)
{
    g_assert(sv->step == STEP_DEVICES);
    mig_put_u8(sv->s, QEMU_VM_EOF);
    sv->step = STEP_END;
    return mig_stream_flush(sv->s, errp);
}

bool savevm_write_description(SaveVM *sv, Error **errp)
{
    const char *text;
    size_t len;

    g_assert(sv->step == STEP_END);
    text = vmdesc_text(sv->desc, &len);
    mig_stream_set_section(sv->s, "description", 0);
    mig_put_u8(sv->s, QEMU_VM_VMDESCRIPTION);
    mig_put_be32(sv->s, len);
    mig_put_buffer(sv->s, text, len);
    return mig_stream_flush(sv->s, errp);
}
