/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads a machine's state out of a stream that may say anything. Each check
 * stands by itself, with its own message, before the value is used; what
 * writes into the machine is the hooks alone.
 *
 * Entered by the incoming thread without the big lock, which is taken around
 * each hook and dropped again while a hook waits for the stream. No lock of
 * its own.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/loadvm-int.h"
#include "migration/stream-owner.h"
#include "trace/trace-migration.h"

/* A description of thousands of devices has a few megabytes. */
#define DESCRIPTION_BYTES_MAX (64 * 1024 * 1024)

LoadVM *loadvm_new(Vm *vm, MigStream *s, const SaveVMConfig *config,
                   const LoadVMOps *ops, void *opaque)
{
    LoadVM *lv = g_new0(LoadVM, 1);

    lv->vm = vm;
    lv->registry = savevm_state(vm);
    lv->s = s;
    lv->config = config_section_new(config);
    lv->ops = ops;
    lv->opaque = opaque;
    lv->entries = g_ptr_array_new();
    lv->by_stream_id = g_hash_table_new(NULL, NULL);
    mig_stream_release_lock_of(s, vm);
    return lv;
}

void loadvm_free(LoadVM *lv)
{
    if (!lv) {
        return;
    }
    for (guint i = 0; i < lv->entries->len; i++) {
        LoadSection *sec = &lv->sections[i];

        if (sec->setup && sec->entry->ops->load_cleanup &&
            savevm_entry_enter(lv->registry, sec->entry)) {
            sec->entry->ops->load_cleanup(sec->entry->opaque);
            savevm_entry_leave(lv->registry, sec->entry);
        }
    }
    savevm_entries_put(lv->registry, lv->entries);
    g_ptr_array_free(lv->entries, TRUE);
    g_hash_table_destroy(lv->by_stream_id);
    config_section_free(lv->config);
    mig_stream_free(lv->package);
    g_free(lv->sections);
    g_free(lv);
}

/* ---- before the first section ---- */

static bool load_header(LoadVM *lv, Error **errp)
{
    uint32_t magic, version;
    uint8_t type;

    if (!mig_get_be32(lv->s, &magic, errp) ||
        !mig_get_be32(lv->s, &version, errp)) {
        return false;
    }
    if (magic != QEMU_VM_FILE_MAGIC) {
        error_setg(errp, "not a migration stream: it starts with 0x%08" PRIx32
                   " instead of 0x%08x", magic, QEMU_VM_FILE_MAGIC);
        return false;
    }
    if (version != QEMU_VM_FILE_VERSION) {
        error_setg(errp, "stream version %" PRIu32 "; %d is accepted", version,
                   QEMU_VM_FILE_VERSION);
        return false;
    }
    if (!mig_get_u8(lv->s, &type, errp)) {
        return false;
    }
    if (type != QEMU_VM_CONFIGURATION) {
        error_setg(errp, "section type 0x%02x where the configuration (0x%02x) "
                   "must stand", type, QEMU_VM_CONFIGURATION);
        return false;
    }
    mig_stream_set_section(lv->s, "configuration", 0);
    return config_section_load(lv->config, lv->s, errp);
}

/* load_setup() of all modules, big lock held. */
static bool setup_all(LoadVM *lv, Error **errp)
{
    savevm_entries_get(lv->registry, lv->entries, true, true);
    lv->sections = g_new0(LoadSection, lv->entries->len);
    for (guint i = 0; i < lv->entries->len; i++) {
        lv->sections[i].entry = lv->entries->pdata[i];
    }
    for (guint i = 0; i < lv->entries->len; i++) {
        LoadSection *sec = &lv->sections[i];
        SaveEntry *e = sec->entry;
        bool ok = true;

        if (e->ops && savevm_entry_enter(lv->registry, e)) {
            sec->setup = true;
            mig_stream_set_section(lv->s, e->idstr, e->instance);
            if (e->ops->load_setup) {
                ok = e->ops->load_setup(e->opaque, errp);
            }
            savevm_entry_leave(lv->registry, e);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* ---- sections ---- */

/* Which section @idstr, @instance is here; the error says what is missing. */
static LoadSection *find_section(LoadVM *lv, const char *idstr,
                                 uint32_t instance, Error **errp)
{
    bool name_known = false;

    for (guint i = 0; i < lv->entries->len; i++) {
        SaveEntry *e = lv->sections[i].entry;

        if (strcmp(e->idstr, idstr) == 0) {
            if (e->instance == instance) {
                return &lv->sections[i];
            }
            name_known = true;
        }
    }
    if (name_known) {
        error_setg(errp, "unknown instance %" PRIu32 " of '%s': this machine "
                   "has no such device", instance, idstr);
    } else {
        g_autofree char *text = g_strescape(idstr, NULL);

        error_setg(errp, "unknown section '%s' instance %" PRIu32 ": this "
                   "machine has no such device", text, instance);
    }
    return NULL;
}

/* A live section's FULL: after its END, under the same number and version. */
static bool open_rest(LoadSection *sec, uint32_t id, uint32_t version,
                      Error **errp)
{
    if (sec->step != LOAD_DONE) {
        error_setg(errp, "section type 0x%02x %s", QEMU_VM_SECTION_FULL,
                   sec->step == LOAD_STATE ? "comes twice"
                                           : "before the section's end");
        return false;
    }
    if (id != sec->stream_id || version != (uint32_t)sec->version_id) {
        error_setg(errp, "section id %" PRIu32 " version %" PRIu32 "; it began "
                   "as id %" PRIu32 " version %d", id, version,
                   sec->stream_id, sec->version_id);
        return false;
    }
    return true;
}

/* Takes the rest of a START or FULL section's header and checks all of it. */
static LoadSection *open_section(LoadVM *lv, uint8_t type, uint32_t id,
                                 Error **errp)
{
    char idstr[MIG_COUNTED_STRING_SIZE];
    uint32_t instance, version;
    LoadSection *sec;
    SaveEntry *e;

    if (!mig_get_counted_string(lv->s, idstr, errp) ||
        !mig_get_be32(lv->s, &instance, errp) ||
        !mig_get_be32(lv->s, &version, errp)) {
        return NULL;
    }
    sec = find_section(lv, idstr, instance, errp);
    if (!sec) {
        return NULL;
    }
    e = sec->entry;
    mig_stream_set_section(lv->s, e->idstr, e->instance);
    if (type == QEMU_VM_SECTION_FULL && e->ops && e->ops->save_state) {
        return open_rest(sec, id, version, errp) ? sec : NULL;
    }
    if (g_hash_table_contains(lv->by_stream_id, GUINT_TO_POINTER(id))) {
        error_setg(errp, "section id %" PRIu32 " is used twice", id);
        return NULL;
    }
    if (sec->step != LOAD_NOTHING) {
        error_setg(errp, "the section comes twice, as ids %" PRIu32 " and %"
                   PRIu32, sec->stream_id, id);
        return NULL;
    }
    if ((type == QEMU_VM_SECTION_START) != (e->ops != NULL)) {
        error_setg(errp, "section type 0x%02x; this section must be 0x%02x",
                   type, e->ops ? QEMU_VM_SECTION_START
                                : QEMU_VM_SECTION_FULL);
        return NULL;
    }
    if (version > INT32_MAX || (int)version > e->version_id) {
        error_setg(errp, "version %" PRIu32 " is newer than %d, the newest "
                   "that is known here", version, e->version_id);
        return NULL;
    }
    sec->stream_id = id;
    sec->version_id = version;
    g_hash_table_insert(lv->by_stream_id, GUINT_TO_POINTER(id), sec);
    return sec;
}

/* The section that a PART or END goes on with. */
static LoadSection *reopen_section(LoadVM *lv, uint8_t type, uint32_t id,
                                   Error **errp)
{
    LoadSection *sec = g_hash_table_lookup(lv->by_stream_id,
                                           GUINT_TO_POINTER(id));

    if (!sec) {
        error_setg(errp, "section type 0x%02x with id %" PRIu32 ", which no "
                   "START has introduced", type, id);
        return NULL;
    }
    mig_stream_set_section(lv->s, sec->entry->idstr, sec->entry->instance);
    if (sec->step != LOAD_STARTED) {
        error_setg(errp, "section type 0x%02x after the section's end", type);
        return NULL;
    }
    return sec;
}

/* The payload, by the section's own hook. */
static bool load_payload(LoadVM *lv, LoadSection *sec, Error **errp)
{
    SaveEntry *e = sec->entry;
    bool ok = true;

    vm_lock(lv->vm);
    if (!savevm_entry_enter(lv->registry, e)) {
        vm_unlock(lv->vm);
        error_setg(errp, "the device went away while it was loaded");
        return false;
    }
    if (e->vmsd) {
        ok = vmstate_load(lv->s, e->vmsd, e->opaque, sec->version_id, errp);
    } else if (e->ops->load_state) {
        ok = e->ops->load_state(lv->s, e->opaque, sec->version_id, errp);
    }
    savevm_entry_leave(lv->registry, e);
    vm_unlock(lv->vm);
    return ok;
}

static bool load_footer(LoadVM *lv, const LoadSection *sec, Error **errp)
{
    uint32_t id;
    uint8_t mark;

    if (!mig_get_u8(lv->s, &mark, errp)) {
        return false;
    }
    if (mark != QEMU_VM_SECTION_FOOTER) {
        error_setg(errp, "0x%02x where the section's footer (0x%02x) must "
                   "stand: the payload is longer or shorter than known here",
                   mark, QEMU_VM_SECTION_FOOTER);
        return false;
    }
    if (!mig_get_be32(lv->s, &id, errp)) {
        return false;
    }
    if (id != sec->stream_id) {
        error_setg(errp, "the footer is that of section id %" PRIu32
                   ", not of %" PRIu32, id, sec->stream_id);
        return false;
    }
    return true;
}

static bool load_section(LoadVM *lv, uint8_t type, Error **errp)
{
    bool first = type == QEMU_VM_SECTION_START ||
                 type == QEMU_VM_SECTION_FULL;
    uint64_t start = mig_stream_offset(lv->s);
    LoadSection *sec;
    uint32_t id;

    if (!mig_get_be32(lv->s, &id, errp)) {
        return false;
    }
    sec = first ? open_section(lv, type, id, errp)
                : reopen_section(lv, type, id, errp);
    if (!sec) {
        return false;
    }
    trace_loadvm_section(type, id, sec->entry->idstr, sec->entry->instance,
                         start);
    if (!load_payload(lv, sec, errp) || !load_footer(lv, sec, errp)) {
        return false;
    }
    if (type == QEMU_VM_SECTION_START) {
        sec->step = LOAD_STARTED;
    } else if (type != QEMU_VM_SECTION_PART) {
        sec->step = sec->step == LOAD_DONE ? LOAD_STATE : LOAD_DONE;
    }
    return !lv->ops->section_loaded ||
           lv->ops->section_loaded(lv->opaque, errp);
}

/* ---- all of it ---- */

/* Whether every section that this machine needs has come, whole. */
static bool check_complete(LoadVM *lv, Error **errp)
{
    for (guint i = 0; i < lv->entries->len; i++) {
        const LoadSection *sec = &lv->sections[i];
        const SaveEntry *e = sec->entry;
        bool missing;

        if (e->ops) {
            missing = sec->step < (lv->ran && e->ops->save_postcopy
                                   ? LOAD_STARTED
                                   : e->ops->save_state ? LOAD_STATE
                                   : e->ops->save_complete ? LOAD_DONE
                                                           : LOAD_STARTED);
        } else {
            missing = sec->step != LOAD_DONE && !e->vmsd->needed;
        }
        if (missing) {
            error_setg(errp, "the stream ends without %s of section '%s' "
                       "instance %" PRIu32, sec->step == LOAD_NOTHING
                       ? "any" : "the end", e->idstr, e->instance);
            return false;
        }
    }
    return true;
}

/* One hook of every live section. Big lock held. */
static bool for_each_live(LoadVM *lv,
                          bool (*step)(LoadSection *sec, Error **errp),
                          Error **errp)
{
    bool ok = true;

    for (guint i = 0; i < lv->entries->len && ok; i++) {
        LoadSection *sec = &lv->sections[i];

        if (sec->entry->ops && savevm_entry_enter(lv->registry, sec->entry)) {
            if (errp) {
                mig_stream_set_section(lv->s, sec->entry->idstr,
                                       sec->entry->instance);
            }
            ok = step(sec, errp);
            savevm_entry_leave(lv->registry, sec->entry);
        }
    }
    return ok;
}

static bool complete_one(LoadSection *sec, Error **errp)
{
    SaveEntry *e = sec->entry;

    sec->complete = !e->ops->load_complete ||
                    e->ops->load_complete(e->opaque, errp);
    return sec->complete;
}

static bool take_over_one(LoadSection *sec, Error **errp)
{
    SaveEntry *e = sec->entry;

    return !e->ops->load_take_over || e->ops->load_take_over(e->opaque, errp);
}

static bool give_up_one(LoadSection *sec, Error **errp)
{
    SaveEntry *e = sec->entry;

    (void)errp;
    if (sec->complete && e->ops->load_give_up) {
        e->ops->load_give_up(e->opaque);
    }
    sec->complete = false;
    return true;
}

static bool complete_all(LoadVM *lv, Error **errp)
{
    bool ok;

    vm_lock(lv->vm);
    ok = for_each_live(lv, complete_one, errp);
    vm_unlock(lv->vm);
    return ok;
}

bool loadvm_take_over(LoadVM *lv, Error **errp)
{
    return for_each_live(lv, take_over_one, errp);
}

void loadvm_give_up(LoadVM *lv)
{
    for_each_live(lv, give_up_one, NULL);
}

bool loadvm_sections(LoadVM *lv, Error **errp)
{
    bool ok = true;

    while (ok && !lv->ran) {
        uint8_t type;

        mig_stream_set_section(lv->s, "section header", 0);
        if (!mig_get_u8(lv->s, &type, errp)) {
            return false;
        }
        switch (type) {
        case QEMU_VM_SECTION_START:
        case QEMU_VM_SECTION_PART:
        case QEMU_VM_SECTION_END:
        case QEMU_VM_SECTION_FULL:
            ok = load_section(lv, type, errp);
            break;
        case QEMU_VM_COMMAND:
            ok = loadvm_command(lv, errp);
            break;
        case QEMU_VM_EOF:
            if (lv->package) {
                error_setg(errp, "the end (0x%02x) in a package",
                           QEMU_VM_EOF);
                return false;
            }
            return true;
        default:
            error_setg(errp, "unknown section type 0x%02x", type);
            ok = false;
            break;
        }
    }
    return ok;
}

static bool load_all(LoadVM *lv, Error **errp)
{
    bool ok;

    if (!load_header(lv, errp)) {
        return false;
    }
    vm_lock(lv->vm);
    ok = setup_all(lv, errp);
    vm_unlock(lv->vm);
    return ok && loadvm_sections(lv, errp) && check_complete(lv, errp) &&
           complete_all(lv, errp);
}

bool loadvm_postcopy_section(LoadVM *lv, uint32_t *stream_id, Error **errp)
{
    for (guint i = 0; i < lv->entries->len; i++) {
        const LoadSection *sec = &lv->sections[i];

        if (sec->entry->ops && sec->entry->ops->save_postcopy &&
            sec->step == LOAD_STARTED) {
            *stream_id = sec->stream_id;
            return true;
        }
    }
    error_setg(errp, "no section has begun that can go on while the guest "
               "runs");
    return false;
}

/* Each error says where it happened: those of the stream do already. */
static bool report(LoadVM *lv, Error *err, Error **errp)
{
    if (mig_stream_check(lv->s, NULL)) {
        mig_stream_locate(lv->s, &err);
    }
    if (lv->package) {
        error_prepend(&err, "in the package of device states: ");
    }
    error_propagate(errp, err);
    return false;
}

bool loadvm_run(LoadVM *lv, Error **errp)
{
    Error *err = NULL;

    if (!load_all(lv, &err)) {
        vm_lock(lv->vm);
        loadvm_give_up(lv);
        vm_unlock(lv->vm);
        return report(lv, err, errp);
    }
    trace_loadvm_end(mig_stream_offset(lv->s));
    return true;
}

bool loadvm_read_description(LoadVM *lv, Error **errp)
{
    Error *err = NULL;
    uint32_t len;
    uint8_t type;

    mig_stream_set_section(lv->s, "description", 0);
    if (!mig_stream_peek(lv->s, 0, &type)) {
        return true;    /* QEMU can be told not to send one */
    }
    if (!mig_get_u8(lv->s, &type, &err)) {
        return report(lv, err, errp);
    }
    if (type != QEMU_VM_VMDESCRIPTION) {
        error_setg(&err, "section type 0x%02x after the end; only the "
                   "description (0x%02x) may follow", type,
                   QEMU_VM_VMDESCRIPTION);
        return report(lv, err, errp);
    }
    if (!mig_get_be32(lv->s, &len, &err)) {
        return report(lv, err, errp);
    }
    if (len > DESCRIPTION_BYTES_MAX) {
        error_setg(&err, "a description of %" PRIu32 " bytes; at most %d are "
                   "accepted", len, DESCRIPTION_BYTES_MAX);
        return report(lv, err, errp);
    }
    return mig_skip(lv->s, len, &err) || report(lv, err, errp);
}
