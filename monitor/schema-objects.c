/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Object types and their properties, read from the introspection of
 * object-add's arguments: a union with a case for each type. Any thread.
 */
#include "monitor/schema-objects.h"

static const char *text_of(json_object *info, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(info, key, &value)
               ? json_object_get_string(value)
               : NULL;
}

/* The entity called @name, or NULL. */
static json_object *entity(json_object *schema, const char *name)
{
    size_t i, count = json_object_array_length(schema);

    for (i = 0; name && i < count; i++) {
        json_object *info = json_object_array_get_idx(schema, i);

        if (g_strcmp0(text_of(info, "name"), name) == 0) {
            return info;
        }
    }
    return NULL;
}

/* The cases of object-add's arguments, or NULL. */
static json_object *cases(json_object *schema)
{
    json_object *command = entity(schema, "object-add");
    json_object *arg, *variants;

    arg = command ? entity(schema, text_of(command, "arg-type")) : NULL;
    return arg && json_object_object_get_ex(arg, "variants", &variants)
               ? variants
               : NULL;
}

void schema_object_types(json_object *schema, SchemaObjectFn fn, void *opaque)
{
    json_object *list = cases(schema);
    size_t i;

    for (i = 0; list && i < json_object_array_length(list); i++) {
        fn(text_of(json_object_array_get_idx(list, i), "case"), NULL, opaque);
    }
}

/* How a property's type is called where there is no schema. */
static const char *property_type(json_object *schema, const char *name)
{
    json_object *info = entity(schema, name);
    const char *meta = info ? text_of(info, "meta-type") : NULL;

    if (g_strcmp0(name, "str") == 0 || g_strcmp0(meta, "enum") == 0) {
        return "string";
    }
    return g_strcmp0(meta, "builtin") == 0 ? name : "struct";
}

bool schema_object_properties(json_object *schema, const char *type_name,
                              SchemaObjectFn fn, void *opaque)
{
    json_object *list = cases(schema), *info = NULL, *members;
    size_t i;

    for (i = 0; list && i < json_object_array_length(list); i++) {
        json_object *variant = json_object_array_get_idx(list, i);

        if (g_strcmp0(text_of(variant, "case"), type_name) == 0) {
            info = entity(schema, text_of(variant, "type"));
        }
    }
    if (!info || !json_object_object_get_ex(info, "members", &members)) {
        return false;
    }
    for (i = 0; i < json_object_array_length(members); i++) {
        json_object *member = json_object_array_get_idx(members, i);

        fn(text_of(member, "name"),
           property_type(schema, text_of(member, "type")), opaque);
    }
    return true;
}
