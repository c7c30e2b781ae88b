/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The visitor that builds a JSON value. One thread; no lock. */
#include <float.h>
#include <math.h>

#include "util/visitor-ops.h"

typedef struct OutputVisitor {
    Visitor base;
    json_object *root;
    bool has_root;
    GPtrArray *open; /* of json_object: what is open, borrowed, inmost last */
} OutputVisitor;

/* Puts @value (taken; NULL is a JSON null) where the walk stands. */
static void add(Visitor *v, const char *name, json_object *value)
{
    OutputVisitor *out = (OutputVisitor *)v;
    json_object *parent;

    if (out->open->len == 0) {
        g_assert(!out->has_root);
        out->root = value;
        out->has_root = true;
        return;
    }
    parent = out->open->pdata[out->open->len - 1];
    if (json_object_is_type(parent, json_type_array)) {
        json_object_array_add(parent, value);
    } else {
        json_object_object_add(parent, name, value);
    }
}

static void push(Visitor *v, const char *name, json_object *value)
{
    add(v, name, value);
    g_ptr_array_add(((OutputVisitor *)v)->open, value);
}

static void pop(Visitor *v)
{
    OutputVisitor *out = (OutputVisitor *)v;

    g_ptr_array_set_size(out->open, (int)out->open->len - 1);
}

static bool output_start_struct(Visitor *v, const char *name, void **obj,
                                size_t size, Error **errp)
{
    (void)obj;
    (void)size;
    (void)errp;
    push(v, name, json_object_new_object());
    return true;
}

static void output_end_struct(Visitor *v, void **obj)
{
    (void)obj;
    pop(v);
}

static bool output_start_list(Visitor *v, const char *name,
                              GenericList **list, size_t size, Error **errp)
{
    (void)list;
    (void)size;
    (void)errp;
    push(v, name, json_object_new_array());
    return true;
}

static GenericList *output_next_list(Visitor *v, GenericList *tail,
                                     size_t size)
{
    (void)v;
    (void)size;
    return tail->next;
}

static bool output_int64(Visitor *v, const char *name, int64_t *obj,
                         Error **errp)
{
    (void)errp;
    add(v, name, json_object_new_int64(*obj));
    return true;
}

static bool output_uint64(Visitor *v, const char *name, uint64_t *obj,
                          Error **errp)
{
    (void)errp;
    add(v, name, json_object_new_uint64(*obj));
    return true;
}

static bool output_bool(Visitor *v, const char *name, bool *obj, Error **errp)
{
    (void)errp;
    add(v, name, json_object_new_boolean(*obj));
    return true;
}

static bool output_str(Visitor *v, const char *name, char **obj, Error **errp)
{
    (void)errp;
    add(v, name, json_object_new_string(*obj ? *obj : ""));
    return true;
}

static bool output_number(Visitor *v, const char *name, double *obj,
                          Error **errp)
{
    double val = *obj;

    (void)errp;
    /* JSON has no infinities and no NaN. */
    if (isnan(val)) {
        val = 0;
    } else if (isinf(val)) {
        val = val > 0 ? DBL_MAX : -DBL_MAX;
    }
    add(v, name, json_object_new_double(val));
    return true;
}

static bool output_any(Visitor *v, const char *name, json_object **obj,
                       Error **errp)
{
    (void)errp;
    add(v, name, json_object_get(*obj));
    return true;
}

static bool output_null(Visitor *v, const char *name, QNull **obj,
                        Error **errp)
{
    (void)obj;
    (void)errp;
    add(v, name, NULL);
    return true;
}

static void output_free(Visitor *v)
{
    OutputVisitor *out = (OutputVisitor *)v;

    json_object_put(out->root);
    g_ptr_array_free(out->open, TRUE);
    g_free(out);
}

Visitor *visitor_output_new(void)
{
    static const VisitorOps ops = {
        .kind = VISITOR_OUTPUT,
        .start_struct = output_start_struct,
        .end_struct = output_end_struct,
        .start_list = output_start_list,
        .next_list = output_next_list,
        .end_list = pop,
        .type_int64 = output_int64,
        .type_uint64 = output_uint64,
        .type_bool = output_bool,
        .type_str = output_str,
        .type_number = output_number,
        .type_any = output_any,
        .type_null = output_null,
        .free = output_free,
    };
    OutputVisitor *out = g_new0(OutputVisitor, 1);

    out->base.ops = &ops;
    out->open = g_ptr_array_new();
    return &out->base;
}

json_object *visitor_output_take(Visitor *v)
{
    OutputVisitor *out = (OutputVisitor *)v;
    json_object *root = out->root;

    g_assert(out->has_root && out->open->len == 0);
    out->root = NULL;
    return root;
}
