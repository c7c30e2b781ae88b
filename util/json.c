/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strict reading and plain writing of JSON. Any thread; no lock. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/json.h"

/* Does the number token of @len bytes at @text fit int64, uint64 or double? */
static bool number_fits(const char *text, size_t len)
{
    g_autofree char *token = g_strndup(text, len);

    errno = 0;
    if (strpbrk(token, ".eE")) {
        return isfinite(g_ascii_strtod(token, NULL));
    }
    if (token[0] == '-') {
        (void)strtoll(token, NULL, 10);
    } else {
        (void)strtoull(token, NULL, 10);
    }
    return errno != ERANGE;
}

/*
 * What json-c lets pass, found beforehand: numbers that are out of range,
 * which it clamps, and NaN and Infinity.
 */
static bool check_numbers(const char *text, size_t len, Error **errp)
{
    bool in_string = false;
    size_t pos = 0, end;

    while (pos < len) {
        if (in_string) {
            if (text[pos] == '\\') {
                pos++;
            } else {
                in_string = text[pos] != '"';
            }
            pos++;
        } else if (text[pos] == '-' || g_ascii_isdigit(text[pos])) {
            end = pos + 1;
            while (end < len && (g_ascii_isdigit(text[end]) ||
                                 strchr("+-.eE", text[end])) && text[end]) {
                end++;
            }
            if (!number_fits(text + pos, end - pos)) {
                error_setg(errp, "JSON number '%.*s' is out of range",
                           (int)MIN(end - pos, 40), text + pos);
                return false;
            }
            pos = end;
        } else if (text[pos] == 'N' || text[pos] == 'I') {
            error_setg(errp, "Invalid JSON syntax at byte %zu: JSON has only "
                       "finite numbers", pos);
            return false;
        } else {
            in_string = text[pos] == '"';
            pos++;
        }
    }
    return true;
}

bool json_parse(const char *text, size_t len, json_object **value,
                Error **errp)
{
    struct json_tokener *tok;
    enum json_tokener_error err;
    bool ok = false;

    *value = NULL;
    if (len >= INT_MAX) {
        error_setg(errp, "JSON text of %zu bytes, at most %d are read", len,
                   INT_MAX - 1);
        return false;
    }
    if (!check_numbers(text, len, errp)) {
        return false;
    }
    tok = json_tokener_new_ex(JSON_MAX_NESTING + 1);
    if (!tok) {
        error_setg(errp, "Out of memory for reading JSON");
        return false;
    }
    json_tokener_set_flags(tok,
                           JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    *value = json_tokener_parse_ex(tok, text, (int)len);
    err = json_tokener_get_error(tok);
    if (err == json_tokener_continue) {
        /* A number at the very end is only complete with what follows. */
        *value = json_tokener_parse_ex(tok, "", 1);
        err = json_tokener_get_error(tok);
        ok = err == json_tokener_success;
        if (!ok) {
            error_setg(errp, "Invalid JSON syntax: the text ends early");
        }
    } else if (err != json_tokener_success) {
        error_setg(errp, "Invalid JSON syntax at byte %zu: %s",
                   json_tokener_get_parse_end(tok),
                   json_tokener_error_desc(err));
    } else {
        size_t end = json_tokener_get_parse_end(tok);

        while (end < len && strchr(" \t\r\n", text[end]) && text[end]) {
            end++;
        }
        ok = end == len;
        if (!ok) {
            error_setg(errp,
                       "Invalid JSON syntax: a second value at byte %zu", end);
        }
    }
    json_tokener_free(tok);
    if (!ok) {
        json_object_put(*value);
        *value = NULL;
    }
    return ok;
}

char *json_to_text(json_object *value)
{
    return g_strdup(json_object_to_json_string_ext(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

char *json_to_pretty_text(json_object *value)
{
    return g_strdup(json_object_to_json_string_ext(
        value, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                   JSON_C_TO_STRING_NOSLASHESCAPE));
}

bool json_get_int64(json_object *value, int64_t *res)
{
    int64_t num = json_object_get_int64(value);

    if (num == INT64_MAX && json_object_get_uint64(value) > INT64_MAX) {
        return false;
    }
    *res = num;
    return true;
}

bool json_get_uint64(json_object *value, uint64_t *res)
{
    if (json_object_get_int64(value) < 0) {
        return false;
    }
    *res = json_object_get_uint64(value);
    return true;
}
