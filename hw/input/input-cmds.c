/* SPDX-License-Identifier: GPL-2.0-or-later */
/* send-key and sendkey. Main loop, big lock. */
#include <string.h>

#include "hw/input/keyboard.h"
#include "hw/input/keys.h"
#include "qapi/qapi-commands-ui.h"
#include "system/module.h"

static bool set_hold(KeyStroke *stroke, int64_t hold_ms, Error **errp)
{
    if (hold_ms < 0 || hold_ms > STROKE_HOLD_MS_MAX) {
        error_setg(errp, "hold time of %" PRId64 " ms; expected 0 (which "
                   "means %d) to %d", hold_ms, STROKE_HOLD_MS_DEFAULT,
                   STROKE_HOLD_MS_MAX);
        return false;
    }
    stroke->hold_ms = hold_ms ? (uint32_t)hold_ms : STROKE_HOLD_MS_DEFAULT;
    return true;
}

/* @name is what the user calls the key. */
static bool add_key(KeyStroke *stroke, uint16_t code, const char *name,
                    Error **errp)
{
    for (unsigned i = 0; i < stroke->count; i++) {
        if (stroke->keys[i] == code) {
            error_setg(errp, "key %s is there twice", name);
            return false;
        }
    }
    if (stroke->count == STROKE_KEYS_MAX) {
        error_setg(errp, "key %s is one too many; expected at most %d", name,
                   STROKE_KEYS_MAX);
        return false;
    }
    stroke->keys[stroke->count++] = code;
    return true;
}

static bool add_number(KeyStroke *stroke, int64_t number, Error **errp)
{
    g_autofree char *name = g_strdup_printf("number %" PRId64, number);
    uint16_t code = key_from_number(number);

    if (!code) {
        error_setg(errp, "no key has number %" PRId64, number);
        return false;
    }
    return add_key(stroke, code, name, errp);
}

static bool add_value(KeyStroke *stroke, const KeyValue *key, Error **errp)
{
    QKeyCode qcode;

    if (key->type == KEY_VALUE_KIND_NUMBER) {
        return add_number(stroke, key->u.number.data, errp);
    }
    qcode = key->u.qcode.data;
    return add_key(stroke, key_from_qcode(qcode), QKeyCode_str(qcode), errp);
}

bool qmp_send_key(Vm *vm, KeyValueList *keys, bool has_hold_time,
                  int64_t hold_time, Error **errp)
{
    KeyStroke stroke = { .count = 0 };

    if (!keys) {
        error_setg(errp, "'keys' is empty; expected 1 to %d",
                   STROKE_KEYS_MAX);
        return false;
    }
    for (; keys; keys = keys->next) {
        if (!add_value(&stroke, keys->value, errp)) {
            return false;
        }
    }
    return set_hold(&stroke, has_hold_time ? hold_time : 0, errp) &&
           keyboards_strike(vm, &stroke, errp);
}

/* "ctrl", "0x1d", or "<", for which no shell needs a quote. */
static bool add_word(KeyStroke *stroke, const char *word, Error **errp)
{
    int qcode;

    if (g_str_has_prefix(word, "0x")) {
        guint64 number;

        if (!g_ascii_string_to_unsigned(word + 2, 16, 0, UINT8_MAX, &number,
                                        NULL)) {
            error_setg(errp, "no key has number %s", word);
            return false;
        }
        return add_number(stroke, (int64_t)number, errp);
    }
    if (g_str_equal(word, "<")) {
        word = "less";
    }
    qcode = qapi_enum_parse(&QKeyCode_lookup, word, -1, NULL);
    if (qcode < 0) {
        error_setg(errp, "there is no key '%s'; expected a name such as 'ctrl' "
                   "or a number such as 0x1d", word);
        return false;
    }
    return add_key(stroke, key_from_qcode((QKeyCode)qcode), word, errp);
}

static bool read_line(KeyStroke *stroke, char **args, Error **errp)
{
    g_auto(GStrv) words = NULL;
    guint64 hold_ms = 0;

    if (!args[0] || (args[1] && args[2])) {
        error_setg(errp, "expected keys and, after a blank, the milliseconds "
                   "for which they are held");
        return false;
    }
    if (args[1] && !g_ascii_string_to_unsigned(args[1], 10, 0, INT64_MAX,
                                               &hold_ms, NULL)) {
        error_setg(errp, "hold time '%s'; expected milliseconds", args[1]);
        return false;
    }
    words = g_strsplit(args[0], "-", -1);
    for (char **word = words; *word; word++) {
        if (!add_word(stroke, *word, errp)) {
            return false;
        }
    }
    if (stroke->count == 0) {
        return add_word(stroke, "", errp);
    }
    return set_hold(stroke, (int64_t)hold_ms, errp);
}

void hmp_sendkey(Vm *vm, char **args, GString *out)
{
    KeyStroke stroke = { .count = 0 };
    Error *err = NULL;

    if (read_line(&stroke, args, &err)) {
        keyboards_strike(vm, &stroke, &err);
    }
    hmp_error(out, err);
}

char **hmp_sendkey_complete(Vm *vm, const char *prefix)
{
    const char *dash = strrchr(prefix, '-');
    size_t kept = dash ? (size_t)(dash + 1 - prefix) : 0;
    GPtrArray *words = g_ptr_array_new();

    (void)vm;
    for (int i = 0; i < Q_KEY_CODE__MAX; i++) {
        const char *name = QKeyCode_str((QKeyCode)i);

        if (g_str_has_prefix(name, prefix + kept)) {
            g_ptr_array_add(words, g_strdup_printf("%.*s%s", (int)kept,
                                                   prefix, name));
        }
    }
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, false);
}
