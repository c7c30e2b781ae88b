/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Option arguments of the command line. Any thread; no lock. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/checked.h"
#include "util/keyval.h"

bool keyval_parse_int64(const char *text, int64_t *res)
{
    char *end;
    long long val;

    errno = 0;
    val = strtoll(text, &end, 0);
    if (errno || end == text || *end || g_ascii_isspace(*text)) {
        return false;
    }
    *res = val;
    return true;
}

bool keyval_parse_uint64(const char *text, uint64_t *res)
{
    char *end;
    unsigned long long val;

    errno = 0;
    val = strtoull(text, &end, 0);
    /* strtoull() would wrap a negative number round. */
    if (errno || end == text || *end || !g_ascii_isdigit(*text)) {
        return false;
    }
    *res = val;
    return true;
}

bool keyval_parse_size_suffix(const char *text, char default_suffix,
                              uint64_t *res)
{
    static const char suffixes[] = "BKMGTPE";
    const char *suffix;
    uint64_t unit, whole, part = 0;
    double fraction = 0;
    char *end;

    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    errno = 0;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        whole = strtoull(text, &end, 16);
        /* 0xE is fourteen: a hexadecimal number takes no suffix. */
        if (errno || *end || end == text + 1) {
            return false;
        }
        return checked_mul_u64(whole, 1, res);
    }
    whole = strtoull(text, &end, 10);
    if (errno) {
        return false;
    }
    if (*end == '.') {
        double scale = 0.1;

        for (end++; g_ascii_isdigit(*end); end++, scale /= 10) {
            fraction += (*end - '0') * scale;
        }
    }
    suffix = strchr(suffixes,
                    *end ? g_ascii_toupper(*end) : default_suffix);
    if (!suffix || (*end && end[1])) {
        return false;
    }
    unit = 1ULL << (10 * (suffix - suffixes));
    if (fraction > 0) {
        if (unit == 1) {
            return false;
        }
        part = (uint64_t)(fraction * (double)unit);
    }
    return checked_mul_u64(whole, unit, &whole) &&
           checked_add_u64(whole, part, res);
}

bool keyval_parse_size(const char *text, uint64_t *res)
{
    return keyval_parse_size_suffix(text, 'B', res);
}

/* Takes the value at @text up to a single comma; @text moves behind it. */
static char *take_value(const char **text)
{
    GString *value = g_string_new(NULL);
    const char *p = *text;

    while (*p && (*p != ',' || p[1] == ',')) {
        g_string_append_c(value, *p);
        p += *p == ',' ? 2 : 1;
    }
    *text = *p ? p + 1 : p;
    return g_string_free(value, FALSE);
}

static bool component_ok(const char *component)
{
    return *component && strspn(component, "abcdefghijklmnopqrstuvwxyz"
                                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789-_") ==
                             strlen(component);
}

/* Puts @value at the place that dotted @key names below @root. */
static bool put(json_object *root, const char *key, const char *value,
                Error **errp)
{
    g_auto(GStrv) path = g_strsplit(key, ".", KEYVAL_MAX_DEPTH + 1);
    guint count = g_strv_length(path);
    json_object *next;
    guint i;

    if (count == 0 || count > KEYVAL_MAX_DEPTH) {
        error_setg(errp, "Key '%s' must have 1 to %d components", key,
                   KEYVAL_MAX_DEPTH);
        return false;
    }
    for (i = 0; i < count; i++) {
        if (!component_ok(path[i])) {
            error_setg(errp,
                       "Invalid key '%s': expected letters, digits, '-' and "
                       "'_' between dots", key);
            return false;
        }
    }
    for (i = 0; i < count - 1; i++) {
        if (!json_object_object_get_ex(root, path[i], &next)) {
            next = json_object_new_object();
            json_object_object_add(root, path[i], next);
        }
        if (!json_object_is_type(next, json_type_object)) {
            error_setg(errp, "Key '%s' is used with and without sub-keys",
                       path[i]);
            return false;
        }
        root = next;
    }
    if (json_object_object_get_ex(root, path[i], &next) &&
        json_object_is_type(next, json_type_object)) {
        error_setg(errp, "Key '%s' is used with and without sub-keys", key);
        return false;
    }
    json_object_object_add(root, path[i], json_object_new_string(value));
    return true;
}

static bool is_index(const char *key)
{
    return *key && strspn(key, "0123456789") == strlen(key);
}

/*
 * A new reference to @value, with each object whose keys are all numbers made
 * a list. The depth is bounded by put().
 */
static json_object *listify(json_object *value, bool root, Error **errp)
{
    json_object *res, *element;
    int indices = 0, length, i;

    if (!json_object_is_type(value, json_type_object)) {
        return json_object_get(value);
    }
    res = json_object_new_object();
    json_object_object_foreach(value, key, member) {
        indices += is_index(key);
        element = listify(member, false, errp);
        if (!element) {
            json_object_put(res);
            return NULL;
        }
        json_object_object_add(res, key, element);
    }
    if (root || indices == 0) {
        return res;
    }
    length = json_object_object_length(res);
    value = json_object_new_array();
    for (i = 0; i < length; i++) {
        g_autofree char *index = g_strdup_printf("%d", i);

        if (!json_object_object_get_ex(res, index, &element)) {
            error_setg(errp, indices == length
                                 ? "A list's element %d is missing"
                                 : "A key mixes list elements, of which %d "
                                   "would come next, with others", i);
            json_object_put(value);
            json_object_put(res);
            return NULL;
        }
        json_object_array_add(value, json_object_get(element));
    }
    json_object_put(res);
    return value;
}

json_object *keyval_parse(const char *text, const char *implied, bool *help,
                          Error **errp)
{
    g_autoptr(JsonObject) root = json_object_new_object();
    const char *p = text;
    bool first = true;

    if (help) {
        *help = false;
    }
    while (*p) {
        size_t len = strcspn(p, "=,");
        g_autofree char *key = NULL;
        g_autofree char *value = NULL;

        if (p[len] == '=') {
            key = g_strndup(p, len);
            p += len + 1;
            value = take_value(&p);
        } else {
            value = take_value(&p);
            if (help && (g_str_equal(value, "help") ||
                         g_str_equal(value, "?"))) {
                *help = true;
                first = false;
                continue;
            }
            if (first && implied) {
                key = g_strdup(implied);
            } else {
                key = g_steal_pointer(&value);
                value = g_strdup("on");
            }
        }
        first = false;
        if (!put(root, key, value, errp)) {
            return NULL;
        }
    }
    return listify(root, true, errp);
}

json_object *keyval_or_json_parse(const char *text, const char *implied,
                                  bool *keyval, Error **errp)
{
    json_object *value;

    *keyval = text[0] != '{';
    if (*keyval) {
        return keyval_parse(text, implied, NULL, errp);
    }
    return json_parse(text, strlen(text), &value, errp) ? value : NULL;
}
