/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all visitors share: dispatch, narrow integers, enumerations; and the
 * visitor that frees. A visitor belongs to one thread.
 */
#include "util/visitor-ops.h"

const char *qapi_enum_lookup(const QEnumLookup *lookup, int val)
{
    g_assert(val >= 0 && val < lookup->size);
    return lookup->array[val];
}

/* The names of @lookup for a message: "a, b, c". */
static char *enum_names(const QEnumLookup *lookup)
{
    GString *text = g_string_new(NULL);
    int i;

    for (i = 0; i < lookup->size; i++) {
        g_string_append_printf(text, "%s%s", i ? ", " : "", lookup->array[i]);
    }
    return g_string_free(text, FALSE);
}

static bool enum_find(const QEnumLookup *lookup, const char *text, int *val)
{
    int i;

    for (i = 0; i < lookup->size; i++) {
        if (g_str_equal(lookup->array[i], text)) {
            *val = i;
            return true;
        }
    }
    return false;
}

int qapi_enum_parse(const QEnumLookup *lookup, const char *text, int def,
                    Error **errp)
{
    g_autofree char *names = NULL;
    int val;

    if (!text) {
        return def;
    }
    if (enum_find(lookup, text, &val)) {
        return val;
    }
    names = enum_names(lookup);
    error_setg(errp, "Invalid value '%s', expected one of: %s", text, names);
    return def;
}

void visit_free(Visitor *v)
{
    if (v) {
        v->ops->free(v);
    }
}

bool visit_is_input(Visitor *v)
{
    return v->ops->kind == VISITOR_INPUT;
}

bool visit_is_dealloc(Visitor *v)
{
    return v->ops->kind == VISITOR_DEALLOC;
}

bool visit_start_struct(Visitor *v, const char *name, void **obj, size_t size,
                        Error **errp)
{
    return !v->ops->start_struct ||
           v->ops->start_struct(v, name, obj, size, errp);
}

bool visit_check_struct(Visitor *v, Error **errp)
{
    return !v->ops->check_struct || v->ops->check_struct(v, errp);
}

void visit_end_struct(Visitor *v, void **obj)
{
    if (v->ops->end_struct) {
        v->ops->end_struct(v, obj);
    }
}

bool visit_start_list(Visitor *v, const char *name, GenericList **list,
                      size_t size, Error **errp)
{
    return !v->ops->start_list ||
           v->ops->start_list(v, name, list, size, errp);
}

GenericList *visit_next_list(Visitor *v, GenericList *tail, size_t size)
{
    return v->ops->next_list(v, tail, size);
}

void visit_end_list(Visitor *v)
{
    if (v->ops->end_list) {
        v->ops->end_list(v);
    }
}

bool visit_start_alternate(Visitor *v, const char *name,
                           GenericAlternate **obj, size_t size,
                           unsigned accepts, Error **errp)
{
    return !v->ops->start_alternate ||
           v->ops->start_alternate(v, name, obj, size, accepts, errp);
}

void visit_end_alternate(Visitor *v, void **obj)
{
    if (v->ops->end_alternate) {
        v->ops->end_alternate(v, obj);
    }
}

bool visit_optional(Visitor *v, const char *name, bool *present)
{
    return v->ops->optional ? v->ops->optional(v, name, present) : *present;
}

char *visit_path(Visitor *v, const char *name)
{
    return v->ops->path ? v->ops->path(v, name) : g_strdup(name);
}

void visit_wrong_type(Visitor *v, const char *name, const char *expected,
                      Error **errp)
{
    g_autofree char *path = visit_path(v, name);

    error_setg(errp, "Invalid parameter type for '%s', expected: %s", path,
               expected);
}

bool visit_type_enum(Visitor *v, const char *name, int *obj,
                     const QEnumLookup *lookup, Error **errp)
{
    g_autofree char *text = NULL;

    if (visit_is_dealloc(v)) {
        return true;
    }
    if (!visit_is_input(v)) {
        char *known = (char *)qapi_enum_lookup(lookup, *obj);

        return visit_type_str(v, name, &known, errp);
    }
    if (!visit_type_str(v, name, &text, errp)) {
        return false;
    }
    if (!enum_find(lookup, text, obj)) {
        g_autofree char *path = visit_path(v, name);
        g_autofree char *names = enum_names(lookup);

        error_setg(errp,
                   "Parameter '%s' does not accept value '%s', expected one "
                   "of: %s", path, text, names);
        return false;
    }
    return true;
}

static bool narrow_int(Visitor *v, const char *name, int64_t *val, int64_t min,
                       int64_t max, Error **errp)
{
    if (!visit_type_int64(v, name, val, errp)) {
        return false;
    }
    if (*val < min || *val > max) {
        g_autofree char *path = visit_path(v, name);

        error_setg(errp,
                   "Parameter '%s' expects a number from %" G_GINT64_FORMAT
                   " to %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT,
                   path, min, max, *val);
        return false;
    }
    return true;
}

static bool narrow_uint(Visitor *v, const char *name, uint64_t *val,
                        uint64_t max, Error **errp)
{
    if (!visit_type_uint64(v, name, val, errp)) {
        return false;
    }
    if (*val > max) {
        g_autofree char *path = visit_path(v, name);

        error_setg(errp,
                   "Parameter '%s' expects a number from 0 to "
                   "%" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT,
                   path, max, *val);
        return false;
    }
    return true;
}

#define VISIT_NARROW(type, wide, call)                                         \
    bool visit_type_##type(Visitor *v, const char *name, type##_t *obj,        \
                           Error **errp)                                       \
    {                                                                          \
        wide val = *obj;                                                       \
                                                                               \
        if (!call) {                                                           \
            return false;                                                      \
        }                                                                      \
        *obj = (type##_t)val;                                                  \
        return true;                                                           \
    }

VISIT_NARROW(int8, int64_t,
             narrow_int(v, name, &val, INT8_MIN, INT8_MAX, errp))
VISIT_NARROW(int16, int64_t,
             narrow_int(v, name, &val, INT16_MIN, INT16_MAX, errp))
VISIT_NARROW(int32, int64_t,
             narrow_int(v, name, &val, INT32_MIN, INT32_MAX, errp))
VISIT_NARROW(uint8, uint64_t, narrow_uint(v, name, &val, UINT8_MAX, errp))
VISIT_NARROW(uint16, uint64_t, narrow_uint(v, name, &val, UINT16_MAX, errp))
VISIT_NARROW(uint32, uint64_t, narrow_uint(v, name, &val, UINT32_MAX, errp))

bool visit_type_int(Visitor *v, const char *name, int64_t *obj, Error **errp)
{
    return visit_type_int64(v, name, obj, errp);
}

#define VISIT_PLAIN(type, ctype)                                               \
    bool visit_type_##type(Visitor *v, const char *name, ctype *obj,           \
                           Error **errp)                                       \
    {                                                                          \
        return !v->ops->type_##type ||                                         \
               v->ops->type_##type(v, name, obj, errp);                        \
    }

VISIT_PLAIN(int64, int64_t)
VISIT_PLAIN(uint64, uint64_t)
VISIT_PLAIN(bool, bool)
VISIT_PLAIN(str, char *)
VISIT_PLAIN(number, double)
VISIT_PLAIN(any, json_object *)
VISIT_PLAIN(null, QNull *)

bool visit_type_size(Visitor *v, const char *name, uint64_t *obj, Error **errp)
{
    return v->ops->type_size ? v->ops->type_size(v, name, obj, errp)
                             : visit_type_uint64(v, name, obj, errp);
}

/* The visitor that frees */

static void dealloc_end(Visitor *v, void **obj)
{
    (void)v;
    if (obj) {
        g_free(*obj);
        *obj = NULL;
    }
}

static GenericList *dealloc_next_list(Visitor *v, GenericList *tail,
                                      size_t size)
{
    GenericList *next = tail->next;

    (void)v;
    (void)size;
    g_free(tail);
    return next;
}

static bool dealloc_str(Visitor *v, const char *name, char **obj,
                        Error **errp)
{
    (void)v;
    (void)name;
    (void)errp;
    g_clear_pointer(obj, g_free);
    return true;
}

static bool dealloc_any(Visitor *v, const char *name, json_object **obj,
                        Error **errp)
{
    (void)v;
    (void)name;
    (void)errp;
    g_clear_pointer(obj, json_object_put);
    return true;
}

static bool dealloc_null(Visitor *v, const char *name, QNull **obj,
                         Error **errp)
{
    (void)v;
    (void)name;
    (void)errp;
    g_clear_pointer(obj, g_free);
    return true;
}

static void dealloc_free(Visitor *v)
{
    g_free(v);
}

Visitor *visitor_dealloc_new(void)
{
    static const VisitorOps ops = {
        .kind = VISITOR_DEALLOC,
        .end_struct = dealloc_end,
        .next_list = dealloc_next_list,
        .end_alternate = dealloc_end,
        .type_str = dealloc_str,
        .type_any = dealloc_any,
        .type_null = dealloc_null,
        .free = dealloc_free,
    };
    Visitor *v = g_new0(Visitor, 1);

    v->ops = &ops;
    return v;
}
