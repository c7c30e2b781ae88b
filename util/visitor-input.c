/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The visitor that reads a JSON value, strictly: each member must have been
 * asked for and be of the type asked for, and messages name it by its path.
 * In keyval mode scalars come as texts. One thread; no lock.
 */
#include <math.h>
#include <string.h>

#include "util/keyval.h"
#include "util/visitor-ops.h"

/* An object or a list that is open. */
typedef struct Frame {
    json_object *value;   /* borrowed */
    char *name;           /* of the member, NULL for an element */
    GHashTable *wanted;   /* an object's keys that were asked for, borrowed */
    size_t index;         /* a list's element that comes next */
} Frame;

typedef struct InputVisitor {
    Visitor base;
    json_object *root;
    bool keyval;
    GArray *open; /* of Frame, inmost last */
} InputVisitor;

static Frame *top(InputVisitor *in)
{
    return in->open->len
               ? &g_array_index(in->open, Frame, in->open->len - 1)
               : NULL;
}

/* Appends the step to a member or an element of @frame (NULL: the root). */
static void path_step(GString *path, const Frame *frame, const char *name)
{
    if (!frame) {
        g_string_append(path, name ? name : "");
    } else if (json_object_is_type(frame->value, json_type_array)) {
        /* The element that is being read has been counted already. */
        g_string_append_printf(path, "[%zu]", frame->index - 1);
    } else if (name) {
        g_string_append_printf(path, "%s%s", path->len ? "." : "", name);
    }
}

static char *input_path(Visitor *v, const char *name)
{
    InputVisitor *in = (InputVisitor *)v;
    GString *path = g_string_new(NULL);
    guint i;

    for (i = 0; i < in->open->len; i++) {
        path_step(path, i ? &g_array_index(in->open, Frame, i - 1) : NULL,
                  g_array_index(in->open, Frame, i).name);
    }
    path_step(path, top(in), name);
    if (path->len == 0) {
        g_string_append(path, "arguments");
    }
    return g_string_free(path, FALSE);
}

/*
 * Finds what the walk asks for next. Returns false if there is nothing;
 * *@value is NULL for a JSON null.
 */
static bool find(InputVisitor *in, const char *name, bool consume,
                 json_object **value)
{
    Frame *frame = top(in);

    if (!frame) {
        *value = in->root;
        return true;
    }
    if (json_object_is_type(frame->value, json_type_array)) {
        *value = json_object_array_get_idx(frame->value, frame->index);
        frame->index += consume;
        return true;
    }
    if (!json_object_object_get_ex(frame->value, name, value)) {
        return false;
    }
    if (consume) {
        g_hash_table_add(frame->wanted, (gpointer)name);
    }
    return true;
}

static bool get(Visitor *v, const char *name, json_object **value,
                Error **errp)
{
    g_autofree char *path = NULL;

    if (find((InputVisitor *)v, name, true, value)) {
        return true;
    }
    path = input_path(v, name);
    error_setg(errp, "Parameter '%s' is missing", path);
    return false;
}

/* As get(), and the value must be of @type. */
static bool get_typed(Visitor *v, const char *name, json_type type,
                      const char *expected, json_object **value, Error **errp)
{
    if (!get(v, name, value, errp)) {
        return false;
    }
    if (json_object_is_type(*value, type)) {
        return true;
    }
    visit_wrong_type(v, name, expected, errp);
    return false;
}

/* In keyval mode: the text of a scalar. */
static bool get_text(Visitor *v, const char *name, const char *expected,
                     const char **text, Error **errp)
{
    json_object *value;

    if (!get_typed(v, name, json_type_string, expected, &value, errp)) {
        return false;
    }
    *text = json_object_get_string(value);
    return true;
}

static bool bad_text(Visitor *v, const char *name, const char *text,
                     const char *expected, Error **errp)
{
    g_autofree char *path = visit_path(v, name);

    error_setg(errp, "Parameter '%s' expects %s, not '%s'", path, expected,
               text);
    return false;
}

static void push(InputVisitor *in, json_object *value, const char *name)
{
    Frame frame = { .value = value, .name = g_strdup(name) };

    if (json_object_is_type(value, json_type_object)) {
        frame.wanted = g_hash_table_new(g_str_hash, g_str_equal);
    }
    g_array_append_val(in->open, frame);
}

static void frame_clear(gpointer data)
{
    Frame *frame = data;

    g_free(frame->name);
    g_clear_pointer(&frame->wanted, g_hash_table_destroy);
}

static void pop(Visitor *v)
{
    InputVisitor *in = (InputVisitor *)v;

    g_array_set_size(in->open, in->open->len - 1);
}

static bool input_start_struct(Visitor *v, const char *name, void **obj,
                               size_t size, Error **errp)
{
    json_object *value;

    if (obj) {
        *obj = NULL;
    }
    if (!get_typed(v, name, json_type_object, "object", &value, errp)) {
        return false;
    }
    push((InputVisitor *)v, value, name);
    if (obj) {
        *obj = g_malloc0(size);
    }
    return true;
}

static bool input_check_struct(Visitor *v, Error **errp)
{
    Frame *frame = top((InputVisitor *)v);

    json_object_object_foreach(frame->value, key, member) {
        (void)member;
        if (!g_hash_table_contains(frame->wanted, key)) {
            g_autofree char *path = input_path(v, key);

            error_setg(errp, "Parameter '%s' is unexpected", path);
            return false;
        }
    }
    return true;
}

static void input_end_struct(Visitor *v, void **obj)
{
    (void)obj;
    pop(v);
}

static bool input_start_list(Visitor *v, const char *name, GenericList **list,
                             size_t size, Error **errp)
{
    json_object *value;

    *list = NULL;
    if (!get_typed(v, name, json_type_array, "array", &value, errp)) {
        return false;
    }
    push((InputVisitor *)v, value, name);
    if (json_object_array_length(value)) {
        *list = g_malloc0(size);
    }
    return true;
}

static GenericList *input_next_list(Visitor *v, GenericList *tail, size_t size)
{
    Frame *frame = top((InputVisitor *)v);

    if (frame->index >= json_object_array_length(frame->value)) {
        return NULL;
    }
    tail->next = g_malloc0(size);
    return tail->next;
}

static QType value_qtype(json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        return QTYPE_QNULL;
    case json_type_boolean:
        return QTYPE_QBOOL;
    case json_type_double:
    case json_type_int:
        return QTYPE_QNUM;
    case json_type_object:
        return QTYPE_QDICT;
    case json_type_array:
        return QTYPE_QLIST;
    case json_type_string:
        return QTYPE_QSTRING;
    }
    return QTYPE_NONE;
}

static bool parse_bool(const char *text, bool *res)
{
    static const char *const on[] = { "on", "yes", "true", "y", NULL };
    static const char *const off[] = { "off", "no", "false", "n", NULL };

    if (g_strv_contains(on, text)) {
        *res = true;
        return true;
    }
    *res = false;
    return g_strv_contains(off, text);
}

static bool input_start_alternate(Visitor *v, const char *name,
                                  GenericAlternate **obj, size_t size,
                                  unsigned accepts, Error **errp)
{
    InputVisitor *in = (InputVisitor *)v;
    json_object *value;
    QType type;

    *obj = NULL;
    if (!find(in, name, false, &value)) {
        return get(v, name, &value, errp);
    }
    type = value_qtype(value);
    if (in->keyval && type == QTYPE_QSTRING &&
        !(accepts & (1u << QTYPE_QSTRING))) {
        /* The text stands for a scalar of another type. */
        bool flag;

        type = (accepts & (1u << QTYPE_QBOOL)) &&
                       (!(accepts & (1u << QTYPE_QNUM)) ||
                        parse_bool(json_object_get_string(value), &flag))
                   ? QTYPE_QBOOL
                   : QTYPE_QNUM;
    }
    *obj = g_malloc0(size);
    (*obj)->type = type;
    return true;
}

static bool input_optional(Visitor *v, const char *name, bool *present)
{
    json_object *value;

    *present = find((InputVisitor *)v, name, false, &value);
    return *present;
}

static bool out_of_range(Visitor *v, const char *name, json_object *value,
                         const char *expected, Error **errp)
{
    return bad_text(v, name, json_object_to_json_string(value), expected,
                    errp);
}

#define INT64_RANGE "a number from -2^63 to 2^63-1"
#define UINT64_RANGE "a number from 0 to 2^64-1"

static bool input_int64(Visitor *v, const char *name, int64_t *obj,
                        Error **errp)
{
    json_object *value;
    const char *text;

    if (((InputVisitor *)v)->keyval) {
        return get_text(v, name, "integer", &text, errp) &&
               (keyval_parse_int64(text, obj) ||
                bad_text(v, name, text, INT64_RANGE, errp));
    }
    return get_typed(v, name, json_type_int, "integer", &value, errp) &&
           (json_get_int64(value, obj) ||
            out_of_range(v, name, value, INT64_RANGE, errp));
}

static bool input_uint64(Visitor *v, const char *name, uint64_t *obj,
                         Error **errp)
{
    json_object *value;
    const char *text;

    if (((InputVisitor *)v)->keyval) {
        return get_text(v, name, "integer", &text, errp) &&
               (keyval_parse_uint64(text, obj) ||
                bad_text(v, name, text, UINT64_RANGE, errp));
    }
    return get_typed(v, name, json_type_int, "integer", &value, errp) &&
           (json_get_uint64(value, obj) ||
            out_of_range(v, name, value, UINT64_RANGE, errp));
}

static bool input_size(Visitor *v, const char *name, uint64_t *obj,
                       Error **errp)
{
    const char *text;

    if (!((InputVisitor *)v)->keyval) {
        return input_uint64(v, name, obj, errp);
    }
    return get_text(v, name, "size", &text, errp) &&
           (keyval_parse_size(text, obj) ||
            bad_text(v, name, text,
                     "a size in bytes, or with one of the suffixes K, M, G, "
                     "T, P, E, below 2^64", errp));
}

static bool input_bool(Visitor *v, const char *name, bool *obj, Error **errp)
{
    json_object *value;
    const char *text;

    if (((InputVisitor *)v)->keyval) {
        return get_text(v, name, "boolean", &text, errp) &&
               (parse_bool(text, obj) ||
                bad_text(v, name, text, "'on' or 'off'", errp));
    }
    if (!get_typed(v, name, json_type_boolean, "boolean", &value, errp)) {
        return false;
    }
    *obj = json_object_get_boolean(value);
    return true;
}

static bool input_str(Visitor *v, const char *name, char **obj, Error **errp)
{
    json_object *value;
    const char *text;

    *obj = NULL;
    if (!get_typed(v, name, json_type_string, "string", &value, errp)) {
        return false;
    }
    text = json_object_get_string(value);
    if (strlen(text) != (size_t)json_object_get_string_len(value)) {
        g_autofree char *path = visit_path(v, name);

        error_setg(errp, "Parameter '%s' has a zero character in it", path);
        return false;
    }
    *obj = g_strdup(text);
    return true;
}

static bool input_number(Visitor *v, const char *name, double *obj,
                         Error **errp)
{
    json_object *value;
    const char *text;
    char *end;

    if (((InputVisitor *)v)->keyval) {
        if (!get_text(v, name, "number", &text, errp)) {
            return false;
        }
        *obj = g_ascii_strtod(text, &end);
        return (end != text && !*end && isfinite(*obj)) ||
               bad_text(v, name, text, "a finite number", errp);
    }
    if (!get(v, name, &value, errp)) {
        return false;
    }
    if (!json_object_is_type(value, json_type_int) &&
        !json_object_is_type(value, json_type_double)) {
        visit_wrong_type(v, name, "number", errp);
        return false;
    }
    *obj = json_object_get_double(value);
    return isfinite(*obj) ||
           out_of_range(v, name, value, "a finite number", errp);
}

static bool input_any(Visitor *v, const char *name, json_object **obj,
                      Error **errp)
{
    json_object *value;

    *obj = NULL;
    if (!get(v, name, &value, errp)) {
        return false;
    }
    *obj = json_object_get(value);
    return true;
}

static bool input_null(Visitor *v, const char *name, QNull **obj, Error **errp)
{
    json_object *value;

    *obj = NULL;
    if (!get_typed(v, name, json_type_null, "null", &value, errp)) {
        return false;
    }
    *obj = g_new0(QNull, 1);
    return true;
}

static void input_free(Visitor *v)
{
    InputVisitor *in = (InputVisitor *)v;

    json_object_put(in->root);
    g_array_free(in->open, TRUE);
    g_free(in);
}

Visitor *visitor_input_new(json_object *value, bool keyval)
{
    static const VisitorOps ops = {
        .kind = VISITOR_INPUT,
        .start_struct = input_start_struct,
        .check_struct = input_check_struct,
        .end_struct = input_end_struct,
        .start_list = input_start_list,
        .next_list = input_next_list,
        .end_list = pop,
        .start_alternate = input_start_alternate,
        .optional = input_optional,
        .type_int64 = input_int64,
        .type_uint64 = input_uint64,
        .type_size = input_size,
        .type_bool = input_bool,
        .type_str = input_str,
        .type_number = input_number,
        .type_any = input_any,
        .type_null = input_null,
        .path = input_path,
        .free = input_free,
    };
    InputVisitor *in = g_new0(InputVisitor, 1);

    in->base.ops = &ops;
    in->root = json_object_get(value);
    in->keyval = keyval;
    in->open = g_array_new(FALSE, FALSE, sizeof(Frame));
    g_array_set_clear_func(in->open, frame_clear);
    return &in->base;
}
