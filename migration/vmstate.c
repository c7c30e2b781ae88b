/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the tables of include/migration/vmstate.h to save and to load.
 * Entered by the thread that saves or loads, big lock held; no lock of its
 * own. Recursion is as deep as the tables are nested, never as the stream
 * says.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/savevm.h"
#include "migration/stream-owner.h"
#include "migration/vmdesc.h"
#include "migration/vmstate.h"
#include "util/checked.h"

/* ---- what both directions need ---- */

static bool field_present(const VMStateField *field, void *opaque,
                          int version_id)
{
    if (field->field_exists) {
        return field->field_exists(opaque, version_id);
    }
    return field->version_id <= version_id;
}

static uint64_t read_uint(const void *p, size_t size)
{
    uint64_t val = 0;

    memcpy(&val, p, size);  /* little-endian hosts only: see meson.build */
    return val;
}

/* How many values @field has; in *bad what an outsized count says. */
static bool field_count(const VMStateField *field, const uint8_t *opaque,
                        size_t *count, uint64_t *bad)
{
    *count = field->num;
    if (field->flags & VMS_VARRAY) {
        uint64_t val = read_uint(opaque + field->count_offset,
                                 field->count_size);

        if (val > field->limit) {
            *bad = val;
            return false;
        }
        *count = val;
    }
    return true;
}

/* Where value @i is; buffers are one value however long. */
static uint8_t *field_element(const VMStateField *field, uint8_t *base,
                              size_t i)
{
    if (field->flags & VMS_ARRAY_OF_POINTER) {
        return ((uint8_t **)base)[i];
    }
    return base + i * field->size;
}

static uint8_t *field_base(const VMStateField *field, void *opaque)
{
    uint8_t *base = (uint8_t *)opaque + field->offset;

    return field->flags & VMS_POINTER ? *(uint8_t **)base : base;
}

/* A buffer of n bytes is one value of size n. */
static void fold_buffer(const VMStateField *field, size_t *count, size_t *size)
{
    *size = field->size;
    if (field->flags & VMS_BUFFER) {
        *size *= *count;
        *count = *count > 0;
    }
}

/* ---- saving ---- */

/* Whether all elements look the same, so that one describes them all. */
static bool describes_all(const VMStateField *field)
{
    const VMStateField *inner;

    if (field->field_exists) {
        return false;
    }
    if (!(field->flags & VMS_STRUCT)) {
        return true;
    }
    if (field->vmsd->subsections) {
        return false;
    }
    for (inner = field->vmsd->fields; inner->name; inner++) {
        if (inner->flags & VMS_VARRAY || !describes_all(inner)) {
            return false;
        }
    }
    return true;
}

static void describe_start(VMDesc *desc, const VMStateField *field, size_t i,
                           size_t count)
{
    vmdesc_object(desc, NULL);
    vmdesc_string(desc, "name", field->name);
    if (count > 1) {
        if (describes_all(field)) {
            vmdesc_int(desc, "array_len", count);
        } else {
            vmdesc_int(desc, "index", i);
        }
    }
    vmdesc_string(desc, "type", field->flags & VMS_STRUCT
                                ? "struct" : field->info->name);
    if (field->flags & VMS_STRUCT) {
        vmdesc_object(desc, "struct");
    }
}

static void describe_end(VMDesc *desc, const VMStateField *field,
                         uint64_t bytes)
{
    if (field->flags & VMS_STRUCT) {
        vmdesc_end(desc);
    }
    vmdesc_int(desc, "size", bytes);
    vmdesc_end(desc);
}

static bool save_field(MigStream *s, const VMStateDescription *vmsd,
                       const VMStateField *field, void *opaque, VMDesc *desc,
                       Error **errp)
{
    uint8_t *base = field_base(field, opaque);
    size_t count, size;
    uint64_t bad;

    if (!field_count(field, opaque, &count, &bad)) {
        error_setg(errp, "saving '%s': field '%s' has %" PRIu64 " entries, at "
                   "most %" PRIu64 " are possible", vmsd->name, field->name,
                   bad, field->limit);
        return false;
    }
    fold_buffer(field, &count, &size);
    for (size_t i = 0; i < count; i++) {
        uint8_t *pv = field_element(field, base, i);
        uint64_t start = mig_stream_offset(s);

        if (desc) {
            describe_start(desc, field, i, count);
        }
        if (field->flags & VMS_STRUCT) {
            if (!vmstate_save(s, field->vmsd, pv, desc, errp)) {
                return false;
            }
        } else {
            field->info->put(s, pv, size, field);
        }
        if (desc) {
            describe_end(desc, field, mig_stream_offset(s) - start);
            if (describes_all(field)) {
                desc = NULL;
            }
        }
    }
    return true;
}

static bool save_subsections(MigStream *s, const VMStateDescription *vmsd,
                             void *opaque, VMDesc *desc, Error **errp)
{
    const VMStateDescription *const *sub = vmsd->subsections;
    bool any = false;

    for (; sub && *sub; sub++) {
        if (!vmstate_needed(*sub, opaque)) {
            continue;
        }
        if (desc) {
            if (!any) {
                vmdesc_array(desc, "subsections");
            }
            vmdesc_object(desc, NULL);
        }
        any = true;
        mig_put_u8(s, QEMU_VM_SUBSECTION);
        mig_put_counted_string(s, (*sub)->name);
        mig_put_be32(s, (*sub)->version_id);
        if (!vmstate_save(s, *sub, opaque, desc, errp)) {
            return false;
        }
        if (desc) {
            vmdesc_end(desc);
        }
    }
    if (desc && any) {
        vmdesc_end(desc);
    }
    return true;
}

static bool save_contents(MigStream *s, const VMStateDescription *vmsd,
                          void *opaque, VMDesc *desc, Error **errp)
{
    const VMStateField *field;

    if (desc) {
        vmdesc_string(desc, "vmsd_name", vmsd->name);
        vmdesc_int(desc, "version", vmsd->version_id);
        vmdesc_array(desc, "fields");
    }
    for (field = vmsd->fields; field && field->name; field++) {
        if (field_present(field, opaque, vmsd->version_id) &&
            !save_field(s, vmsd, field, opaque, desc, errp)) {
            return false;
        }
    }
    if (desc) {
        vmdesc_end(desc);
    }
    return save_subsections(s, vmsd, opaque, desc, errp);
}

bool vmstate_save(MigStream *s, const VMStateDescription *vmsd, void *opaque,
                  VMDesc *desc, Error **errp)
{
    bool ok;

    if (vmsd->pre_save) {
        Error *err = NULL;

        if (!vmsd->pre_save(opaque, &err)) {
            error_prepend(&err, "saving '%s': ", vmsd->name);
            error_propagate(errp, err);
            return false;
        }
    }
    ok = save_contents(s, vmsd, opaque, desc, errp);
    if (vmsd->post_save) {
        vmsd->post_save(opaque);
    }
    return ok && mig_stream_check(s, errp);
}

/* ---- loading ---- */

static bool load_value(MigStream *s, const VMStateField *field, void *pv,
                       size_t size, Error **errp)
{
    if (field->flags & VMS_STRUCT) {
        return vmstate_load(s, field->vmsd, pv, field->vmsd->version_id, errp);
    }
    if (!field->info->get(s, pv, size, field, errp)) {
        return false;
    }
    if (field->flags & VMS_LIMIT && read_uint(pv, size) > field->limit) {
        mig_stream_fail(s, errp, "field '%s': %" PRIu64 "; at most %" PRIu64
                        " is accepted", field->name, read_uint(pv, size),
                        field->limit);
        memset(pv, 0, size);
        return false;
    }
    return true;
}

/*
 * Gives a field that loading allocates its new, zeroed memory, as long as
 * @count says, which is within the limit.
 */
static void allocate(const VMStateField *field, void *opaque, size_t count)
{
    void **p = (void **)((uint8_t *)opaque + field->offset);

    g_free(*p);
    *p = g_malloc0_n(count, field->size);
}

static bool load_field(MigStream *s, const VMStateDescription *vmsd,
                       const VMStateField *field, void *opaque, Error **errp)
{
    size_t count, size;
    uint64_t bad;
    uint8_t *base;

    if (!field_count(field, opaque, &count, &bad)) {
        memset((uint8_t *)opaque + field->count_offset, 0, field->count_size);
        mig_stream_fail(s, errp, "'%s': field '%s' has %" PRIu64 " entries, "
                        "at most %" PRIu64 " are accepted", vmsd->name,
                        field->name, bad, field->limit);
        return false;
    }
    if (field->flags & VMS_ALLOC) {
        allocate(field, opaque, count);
    }
    base = field_base(field, opaque);
    fold_buffer(field, &count, &size);
    for (size_t i = 0; i < count; i++) {
        if (!load_value(s, field, field_element(field, base, i), size, errp)) {
            return false;
        }
    }
    return true;
}

/*
 * Whether what comes next is a subsection of @vmsd: its name, which is left in
 * @name, starts with the vmsd's and a slash. What is not belongs to somebody
 * further out. Takes nothing.
 */
static bool next_is_subsection(MigStream *s, const VMStateDescription *vmsd,
                               char *name)
{
    size_t stem = strlen(vmsd->name);
    uint8_t type, len;

    if (!mig_stream_peek(s, 0, &type) || type != QEMU_VM_SUBSECTION ||
        !mig_stream_peek(s, 1, &len) || len <= stem) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t c;

        if (!mig_stream_peek(s, 2 + i, &c)) {
            return false;
        }
        name[i] = c;
    }
    name[len] = '\0';
    return memcmp(name, vmsd->name, stem) == 0 && name[stem] == '/';
}

/* Which of the subsections is called @name, or -1. */
static int subsection_index(const VMStateDescription *vmsd, const char *name)
{
    const VMStateDescription *const *sub = vmsd->subsections;

    for (int i = 0; sub && sub[i]; i++) {
        if (strcmp(sub[i]->name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static bool load_subsections(MigStream *s, const VMStateDescription *vmsd,
                             void *opaque, Error **errp)
{
    char name[MIG_COUNTED_STRING_SIZE];
    uint64_t seen = 0;

    while (next_is_subsection(s, vmsd, name)) {
        int i = subsection_index(vmsd, name);
        uint32_t version;
        uint8_t type;

        if (i < 0) {
            mig_stream_fail(s, errp, "'%s' has no subsection '%s' here",
                            vmsd->name, name);
            return false;
        }
        g_assert(i < 64);
        if (seen >> i & 1) {
            mig_stream_fail(s, errp, "subsection '%s' comes twice", name);
            return false;
        }
        seen |= UINT64_C(1) << i;
        if (!mig_get_u8(s, &type, errp) ||
            !mig_get_counted_string(s, name, errp) ||
            !mig_get_be32(s, &version, errp) ||
            !vmstate_load(s, vmsd->subsections[i], opaque,
                          version > INT32_MAX ? INT32_MAX : (int)version,
                          errp)) {
            return false;
        }
    }
    return true;
}

bool vmstate_load(MigStream *s, const VMStateDescription *vmsd, void *opaque,
                  int version_id, Error **errp)
{
    const VMStateField *field;

    if (version_id > vmsd->version_id ||
        version_id < vmsd->minimum_version_id) {
        mig_stream_fail(s, errp, "version %d of '%s'; %d to %d are accepted",
                        version_id, vmsd->name, vmsd->minimum_version_id,
                        vmsd->version_id);
        return false;
    }
    if (vmsd->pre_load && !vmsd->pre_load(opaque, errp)) {
        error_prepend(errp, "'%s': ", vmsd->name);
        return false;
    }
    for (field = vmsd->fields; field && field->name; field++) {
        if (field_present(field, opaque, version_id) &&
            !load_field(s, vmsd, field, opaque, errp)) {
            return false;
        }
    }
    if (!load_subsections(s, vmsd, opaque, errp)) {
        return false;
    }
    if (vmsd->post_load && !vmsd->post_load(opaque, version_id, errp)) {
        error_prepend(errp, "'%s': ", vmsd->name);
        return false;
    }
    return true;
}
