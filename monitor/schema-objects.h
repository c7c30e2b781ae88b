/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of object that object-add makes, as the schema has them. Any
 * thread.
 */
#ifndef GODWIT_MONITOR_SCHEMA_OBJECTS_H
#define GODWIT_MONITOR_SCHEMA_OBJECTS_H

#include "util/json.h"

/* Called for each type, or for each property of one with its type's name. */
typedef void (*SchemaObjectFn)(const char *name, const char *type,
                               void *opaque);

/* @schema: a list of SchemaInfo. @type of the callback is NULL. */
void schema_object_types(json_object *schema, SchemaObjectFn fn,
                         void *opaque);

/* Returns false if there is no such type. */
bool schema_object_properties(json_object *schema, const char *type_name,
                              SchemaObjectFn fn, void *opaque);

#endif
