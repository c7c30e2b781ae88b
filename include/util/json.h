/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON texts from outside, on top of json-c. RFC 8259, strictly: no comments,
 * no trailing text, valid UTF-8, no integer that fits neither int64_t nor
 * uint64_t (json-c by itself would clamp it). Any thread; no lock.
 */
#ifndef GODWIT_UTIL_JSON_H
#define GODWIT_UTIL_JSON_H

#include <stddef.h>

#include <json-c/json.h>

#include "util/error.h"

typedef struct json_object JsonObject;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

/* Deepest nesting of arrays and objects that is read. */
#define JSON_MAX_NESTING 1024

/*
 * Reads one value from the @len bytes at @text. On failure returns false and
 * sets @errp; on success *@value holds a reference, or NULL for a JSON null.
 */
bool json_parse(const char *text, size_t len, json_object **value,
                Error **errp);

/* @value on one line, plain; a non-finite number cannot occur in it. */
char *json_to_text(json_object *value);

/* @value for a person to read, on several lines. */
char *json_to_pretty_text(json_object *value);

/*
 * The integer in @value (a json_type_int) as int64_t or uint64_t; false where
 * it does not fit.
 */
bool json_get_int64(json_object *value, int64_t *res);
bool json_get_uint64(json_object *value, uint64_t *res);

#endif
