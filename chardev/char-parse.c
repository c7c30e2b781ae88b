/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of character devices from texts. Any thread; no lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardevs.h"
#include "qapi/qapi-visit-chardev.h"
#include "util/keyval.h"

static void add_text(json_object *object, const char *key, const char *value)
{
    json_object_object_add(object, key, json_object_new_string(value));
}

/* "nowait" and "nodelay" are two words that look alike and are not. */
static void expand_old(json_object *object)
{
    static const char *const old[][2] = {
        { "nowait", "wait" }, { "noserver", "server" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(old); i++) {
        if (json_object_object_get_ex(object, old[i][0], NULL)) {
            json_object_object_del(object, old[i][0]);
            add_text(object, old[i][1], "off");
        }
    }
}

/* Seconds, as QEMU had it, to milliseconds. */
static bool expand_reconnect(json_object *object, Error **errp)
{
    json_object *value;
    uint64_t seconds;
    g_autofree char *text = NULL;

    if (!json_object_object_get_ex(object, "reconnect", &value)) {
        return true;
    }
    if (!keyval_parse_uint64(json_object_get_string(value), &seconds) ||
        seconds > UINT32_MAX / 1000) {
        error_setg(errp, "'reconnect': '%s' is no number of seconds",
                   json_object_get_string(value));
        return false;
    }
    text = g_strdup_printf("%" G_GUINT64_FORMAT, seconds * 1000);
    json_object_object_del(object, "reconnect");
    add_text(object, "reconnect-ms", text);
    return true;
}

static ChardevOptions *from_keys(json_object *object, Error **errp)
{
    expand_old(object);
    if (!expand_reconnect(object, errp)) {
        return NULL;
    }
    return qapi_ChardevOptions_from_json(object, true, errp);
}

static void print_help(void)
{
    printf("Available chardev back ends:\n");
    for (int i = 0; i < CHARDEV_BACKEND_KIND__MAX; i++) {
        printf("  %s\n", ChardevBackendKind_str(i));
    }
    exit(EXIT_SUCCESS);
}

ChardevOptions *chardev_parse(const char *text, Error **errp)
{
    g_autoptr(JsonObject) object = NULL;
    bool help = false, keyval;

    if (text[0] == '{') {
        object = keyval_or_json_parse(text, NULL, &keyval, errp);
        return object ? qapi_ChardevOptions_from_json(object, false, errp)
                      : NULL;
    }
    object = keyval_parse(text, "backend", &help, errp);
    if (!object) {
        return NULL;
    }
    if (help) {
        g_clear_pointer(&object, json_object_put);
        print_help();
    }
    return from_keys(object, errp);
}

/* "PATH,server=on,..." or "HOST:PORT,...": the rest after the address. */
static bool add_rest(json_object *object, const char *rest, Error **errp)
{
    g_autoptr(JsonObject) keys = NULL;

    if (!*rest) {
        return true;
    }
    keys = keyval_parse(rest + 1, NULL, NULL, errp);
    if (!keys) {
        return false;
    }
    json_object_object_foreach(keys, key, value) {
        json_object_object_add(object, key, json_object_get(value));
    }
    return true;
}

static bool add_unix(json_object *object, const char *text, Error **errp)
{
    const char *rest = strchrnul(text, ',');
    g_autofree char *path = g_strndup(text, (size_t)(rest - text));

    add_text(object, "backend", "socket");
    add_text(object, "path", path);
    return add_rest(object, rest, errp);
}

static bool add_tcp(json_object *object, const char *text, Error **errp)
{
    const char *rest = strchrnul(text, ',');
    const char *colon = memrchr(text, ':', (size_t)(rest - text));
    g_autofree char *host = NULL, *port = NULL;
    size_t len;

    if (!colon || colon + 1 == rest) {
        error_setg(errp, "'tcp:%s': tcp:HOST:PORT is expected", text);
        return false;
    }
    len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        host = g_strndup(text + 1, len - 2);
    } else {
        host = g_strndup(text, len);
    }
    port = g_strndup(colon + 1, (size_t)(rest - colon - 1));
    add_text(object, "backend", "socket");
    add_text(object, "host", host);
    add_text(object, "port", port);
    return add_rest(object, rest, errp);
}

static bool add_short(json_object *object, const char *text, Error **errp)
{
    if (g_str_equal(text, "stdio") || g_str_equal(text, "null") ||
        g_str_equal(text, "pty")) {
        add_text(object, "backend", text);
        return true;
    }
    if (g_str_has_prefix(text, "file:")) {
        add_text(object, "backend", "file");
        add_text(object, "path", text + 5);
        return true;
    }
    if (g_str_has_prefix(text, "pipe:")) {
        add_text(object, "backend", "pipe");
        add_text(object, "path", text + 5);
        return true;
    }
    if (g_str_has_prefix(text, "unix:")) {
        return add_unix(object, text + 5, errp);
    }
    if (g_str_has_prefix(text, "tcp:")) {
        return add_tcp(object, text + 4, errp);
    }
    error_setg(errp, "'%s' is no character device: stdio, pty, null, "
               "file:PATH, pipe:PATH, unix:PATH, tcp:HOST:PORT, mon:... or "
               "chardev:ID is expected", text);
    return false;
}

ChardevOptions *chardev_parse_short(const char *id, const char *text,
                                    bool *monitor, Error **errp)
{
    g_autoptr(JsonObject) object = json_object_new_object();

    *monitor = g_str_has_prefix(text, "mon:");
    if (*monitor) {
        text += 4;
        add_text(object, "mux", "on");
    }
    add_text(object, "id", id);
    if (!add_short(object, text, errp)) {
        return NULL;
    }
    /* On a terminal that is shared, Ctrl-C is for the guest. */
    if (*monitor && g_str_equal(text, "stdio")) {
        add_text(object, "signal", "off");
    }
    return from_keys(object, errp);
}
