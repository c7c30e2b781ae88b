/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The walk over the command line, by the tables of the modules. Knows no
 * option by name. Main thread, before there are others; no lock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system/cli.h"
#include "util/json.h"
#include "util/keyval.h"

/* Words further apart than this many edits are not taken for each other. */
#define NEAR_EDITS 2
#define NEAR_WORD_MAX 32

/* Insertions, deletions, changes and swaps of neighbours from @a to @b. */
static unsigned edits(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    unsigned d[NEAR_WORD_MAX + 1][NEAR_WORD_MAX + 1];

    if (la > NEAR_WORD_MAX || lb > NEAR_WORD_MAX) {
        return UINT_MAX;
    }
    for (size_t i = 0; i <= la; i++) {
        for (size_t j = 0; j <= lb; j++) {
            unsigned best;

            if (i == 0 || j == 0) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = MIN(best, d[i - 1][j] + 1);
            best = MIN(best, d[i][j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1]) {
                best = MIN(best, d[i - 2][j - 2] + 1);
            }
            d[i][j] = best;
        }
    }
    return d[la][lb];
}

const char *cli_nearest(const char *word, const char *const *names)
{
    /* A short word is near to everything. */
    unsigned best = MIN(NEAR_EDITS, strlen(word) / 2) + 1;
    const char *nearest = NULL;

    for (; *names; names++) {
        unsigned n = edits(word, *names);

        if (n < best) {
            best = n;
            nearest = *names;
        }
    }
    return nearest;
}

static const CliOption *find_option(const VmModule *const *modules,
                                    const char *name)
{
    for (; *modules; modules++) {
        const CliOption *option = (*modules)->options;

        for (; option && option->name; option++) {
            if (g_str_equal(option->name, name)) {
                return option;
            }
        }
    }
    return NULL;
}

static void unknown_option(const VmModule *const *modules, const char *text,
                           const char *name, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *nearest;

    for (; *modules; modules++) {
        const CliOption *option = (*modules)->options;

        for (; option && option->name; option++) {
            g_ptr_array_add(names, (char *)option->name);
        }
    }
    g_ptr_array_add(names, NULL);
    nearest = cli_nearest(name, (const char *const *)names->pdata);
    if (nearest) {
        error_setg(errp, "unknown option '%s': did you mean '-%s'? "
                   "-help lists all", text, nearest);
    } else {
        error_setg(errp, "unknown option '%s': -help lists all", text);
    }
}

bool cli_parse(Vm *vm, const VmModule *const *modules, int argc, char **argv,
               Error **errp)
{
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i], *name, *argument = NULL;
        const CliOption *option;

        if (text[0] != '-' || !text[1]) {
            error_setg(errp, "unexpected argument '%s': an option begins "
                       "with '-'; a disk is given with -drive", text);
            return false;
        }
        name = text + (text[1] == '-' ? 2 : 1);
        option = find_option(modules, name);
        if (!option) {
            unknown_option(modules, text, name, errp);
            return false;
        }
        if (option->argument) {
            if (++i == argc) {
                error_setg(errp, "-%s: an argument is missing: -%s %s", name,
                           name, option->argument);
                return false;
            }
            argument = argv[i];
        }
        if (!option->parse(vm, argument, errp)) {
            if (argument) {
                error_prepend(errp, "-%s %s: ", name, argument);
            } else {
                error_prepend(errp, "-%s: ", name);
            }
            return false;
        }
    }
    return true;
}

/* The lines of @help, each set in to stand below the option. */
static void append_option(GString *out, const CliOption *option)
{
    g_auto(GStrv) lines = g_strsplit(option->help, "\n", -1);

    g_string_append_printf(out, "-%s%s%s\n", option->name,
                           option->argument ? " " : "",
                           option->argument ? option->argument : "");
    for (char **line = lines; *line; line++) {
        g_string_append_printf(out, "        %s\n", *line);
    }
}

char *cli_help_text(const VmModule *const *modules)
{
    GString *out = g_string_new(
        "usage: godwit-system-riscv64 [OPTION...]\n"
        "Where an option has keys or a list to show, the argument 'help' "
        "shows it.\n");

    for (; *modules; modules++) {
        const CliOption *option = (*modules)->options;

        if (option && option->name) {
            g_string_append_printf(out, "\n%s options:\n", (*modules)->name);
        }
        for (; option && option->name; option++) {
            append_option(out, option);
        }
    }
    return g_string_free(out, FALSE);
}

void cli_exit_help(const char *text)
{
    fputs(text, stdout);
    exit(EXIT_SUCCESS);
}

void cli_exit_keys(const CliKey *keys)
{
    g_autoptr(GString) out = g_string_new("");

    for (; keys->name; keys++) {
        g_string_append_printf(out, "%s=%s\n", keys->name, keys->values);
    }
    cli_exit_help(out->str);
}

static const CliKey *find_key(const CliKey *keys, const char *name)
{
    for (; keys->name; keys++) {
        if (g_str_equal(keys->name, name)) {
            return keys;
        }
    }
    return NULL;
}

MemberKind cli_key_kind(const CliKey *key)
{
    static const char *const bools[] = { "on|off", "on", "off", NULL };

    if (g_strv_contains(bools, key->values)) {
        return MEMBER_BOOL;
    }
    if (g_str_equal(key->values, "N")) {
        return MEMBER_NUMBER;
    }
    return g_str_equal(key->values, "SIZE") ? MEMBER_SIZE : MEMBER_TEXT;
}

void cli_unknown_key(const CliKey *keys, const char *name, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *list = NULL;

    for (; keys->name; keys++) {
        g_ptr_array_add(names, (char *)keys->name);
    }
    g_ptr_array_add(names, NULL);
    list = g_strjoinv(", ", (char **)names->pdata);
    error_setg(errp, "unknown key '%s', expected one of: %s", name, list);
}

/* The text of a scalar, as it would stand in the short form. */
static const char *scalar_text(json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_boolean:
        return json_object_get_boolean(value) ? "on" : "off";
    case json_type_int:
    case json_type_double:
    case json_type_string:
        return json_object_get_string(value);
    default:
        return NULL;
    }
}

bool cli_parse_keys(Vm *vm, const char *text, const char *implied,
                    const CliKey *keys,
                    bool (*other)(Vm *vm, const char *key, const char *value,
                                  Error **errp),
                    Error **errp)
{
    g_autoptr(JsonObject) object = NULL;
    bool help = false;

    if (text[0] == '{') {
        bool keyval;

        object = keyval_or_json_parse(text, implied, &keyval, errp);
    } else {
        object = keyval_parse(text, implied, &help, errp);
    }
    if (!object) {
        return false;
    }
    if (help) {
        g_clear_pointer(&object, json_object_put);
        cli_exit_keys(keys);
    }
    if (!json_object_is_type(object, json_type_object)) {
        error_setg(errp, "a JSON object is expected");
        return false;
    }

    json_object_object_foreach(object, name, value) {
        const CliKey *key = find_key(keys, name);
        const char *scalar = scalar_text(value);
        bool ok;

        if (!key && !other) {
            cli_unknown_key(keys, name, errp);
            return false;
        }
        if (!scalar) {
            error_setg(errp, "'%s' takes one plain value", name);
            return false;
        }
        ok = key ? key->set(vm, scalar, errp)
                 : other(vm, name, scalar, errp);
        if (!ok) {
            error_prepend(errp, "'%s': ", name);
            return false;
        }
    }
    return true;
}

bool cli_parse_bool(const char *value, bool *res, Error **errp)
{
    static const char *const words[2][3] = {
        { "off", "no", "false" },
        { "on", "yes", "true" },
    };

    for (int b = 0; b < 2; b++) {
        for (int i = 0; i < 3; i++) {
            if (g_str_equal(value, words[b][i])) {
                *res = b;
                return true;
            }
        }
    }
    error_setg(errp, "'%s' is neither on nor off", value);
    return false;
}

bool cli_parse_only(const char *value, const char *accepted, Error **errp)
{
    if (g_str_equal(value, accepted)) {
        return true;
    }
    error_setg(errp, "'%s' is not supported, only '%s' is", value, accepted);
    return false;
}

void cli_set_text(char **where, const char *value)
{
    g_free(*where);
    *where = g_strdup(value);
}
