/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the human monitor: those of every module, found, completed
 * and run. Main loop, big lock.
 */
#include <string.h>

#include "monitor/hmp.h"

/* Calls @fn for each command of each module until it returns true. */
typedef bool (*CommandFn)(const HmpCommand *command, void *opaque);

static void foreach_command(CommandFn fn, void *opaque)
{
    const VmModule *const *module;
    const HmpCommand *command;

    for (module = vm_modules; *module; module++) {
        for (command = (*module)->hmp; command && command->name; command++) {
            if (fn(command, opaque)) {
                return;
            }
        }
    }
}

typedef struct Search {
    const char *name; /* "info migrate", "quit" */
    const HmpCommand *found;
} Search;

/* A command's name may be followed by shorter ones: "quit|q". */
static bool matches(const HmpCommand *command, void *opaque)
{
    Search *search = opaque;
    g_auto(GStrv) names = g_strsplit(command->name, "|", -1);

    if (g_strv_contains((const char *const *)names, search->name)) {
        search->found = command;
    }
    return search->found != NULL;
}

static const HmpCommand *find(const char *name)
{
    Search search = { .name = name };

    foreach_command(matches, &search);
    return search.found;
}

static char *main_name(const HmpCommand *command)
{
    return g_strndup(command->name, strcspn(command->name, "|"));
}

/* help */

typedef struct Help {
    GString *out;
    GPtrArray *lines;
    const char *prefix; /* "info " or NULL for those without */
} Help;

static bool collect_help(const HmpCommand *command, void *opaque)
{
    Help *help = opaque;
    bool info = g_str_has_prefix(command->name, "info ");

    if (info == (help->prefix != NULL)) {
        g_ptr_array_add(help->lines,
                        g_strdup_printf("%s%s%s -- %s\n", command->name,
                                        command->params ? " " : "",
                                        command->params ? command->params
                                                        : "",
                                        command->help));
    }
    return false;
}

static gint compare_lines(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void help_all(const char *prefix, GString *out)
{
    Help help = { .out = out, .prefix = prefix };
    guint i;

    help.lines = g_ptr_array_new_with_free_func(g_free);
    if (!prefix) {
        g_ptr_array_add(help.lines,
                        g_strdup("help|? [cmd] -- show the help\n"));
        g_ptr_array_add(help.lines,
                        g_strdup("info [subcommand] -- show what there is "
                                 "to know\n"));
    }
    foreach_command(collect_help, &help);
    g_ptr_array_sort(help.lines, compare_lines);
    for (i = 0; i < help.lines->len; i++) {
        g_string_append(out, help.lines->pdata[i]);
    }
    g_ptr_array_free(help.lines, TRUE);
}

static void unknown(const char *name, GString *out)
{
    g_string_append_printf(out, "unknown command: '%s'\n", name);
}

static void help(char **args, GString *out)
{
    g_autofree char *name = g_strjoinv(" ", args);
    const HmpCommand *command;

    if (!args[0]) {
        help_all(NULL, out);
    } else if (g_str_equal(name, "info")) {
        help_all("info ", out);
    } else if ((command = find(name))) {
        g_string_append_printf(out, "%s%s%s -- %s\n", command->name,
                               command->params ? " " : "",
                               command->params ? command->params : "",
                               command->help);
    } else {
        unknown(name, out);
    }
}

void hmp_run_line(Vm *vm, const char *line, GString *out)
{
    g_auto(GStrv) args = NULL;
    g_autoptr(GError) err = NULL;
    const HmpCommand *command;
    int skip = 1;

    while (g_ascii_isspace(*line)) {
        line++;
    }
    if (!*line || *line == '#') {
        return;
    }
    if (!g_shell_parse_argv(line, NULL, &args, &err)) {
        g_string_append_printf(out, "Error: %s\n", err->message);
        return;
    }
    if (g_str_equal(args[0], "help") || g_str_equal(args[0], "?")) {
        help(args + 1, out);
        return;
    }
    command = find(args[0]);
    if (g_str_equal(args[0], "info")) {
        g_autofree char *name = args[1] ? g_strconcat("info ", args[1], NULL)
                                        : NULL;

        if (!name) {
            help_all("info ", out);
            return;
        }
        command = find(name);
        skip = 2;
        if (!command) {
            unknown(name, out);
            return;
        }
    }
    if (!command) {
        unknown(args[0], out);
        return;
    }
    command->run(vm, args + skip, out);
}

/* Completion */

typedef struct Completion {
    const char *line;   /* the words before the last, one space between */
    const char *word;   /* the last one */
    GHashTable *found;
} Completion;

static bool complete_name(const HmpCommand *command, void *opaque)
{
    Completion *completion = opaque;
    g_autofree char *name = main_name(command);
    g_autofree char *start = g_strconcat(completion->line, completion->word,
                                         NULL);
    const char *rest;

    if (g_str_has_prefix(name, start)) {
        rest = name + strlen(completion->line);
        g_hash_table_add(completion->found,
                         g_strndup(rest, strcspn(rest, " ")));
    }
    return false;
}

static void complete_argument(Vm *vm, Completion *completion)
{
    g_auto(GStrv) words = g_strsplit(completion->line, " ", 3);
    g_autofree char *info = NULL;
    const HmpCommand *command;
    char **found;
    guint i;

    if (!words[0]) {
        return;
    }
    if (g_str_equal(words[0], "help") || g_str_equal(words[0], "?")) {
        Completion sub = {
            .line = completion->line + strlen(words[0]) + 1,
            .word = completion->word,
            .found = completion->found,
        };

        foreach_command(complete_name, &sub);
        return;
    }
    command = find(words[0]);
    if (words[1]) {
        info = g_strconcat(words[0], " ", words[1], NULL);
        command = find(info) ? find(info) : command;
    }
    found = command && command->complete
                ? command->complete(vm, completion->word)
                : NULL;
    for (i = 0; found && found[i]; i++) {
        g_hash_table_add(completion->found, g_strdup(found[i]));
    }
    g_strfreev(found);
}

char **hmp_complete(Vm *vm, const char *line)
{
    g_autoptr(GHashTable) found =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *words = NULL;
    Completion completion = { .found = found };
    const char *word;
    GList *keys, *key;
    GPtrArray *result;

    while (*line == ' ') {
        line++;
    }
    word = strrchr(line, ' ');
    word = word ? word + 1 : line;
    words = g_strndup(line, (gsize)(word - line));
    completion.line = words;
    completion.word = word;
    foreach_command(complete_name, &completion);
    if (word == line) {
        static const char *const own[] = { "help", "info" };
        guint i;

        for (i = 0; i < G_N_ELEMENTS(own); i++) {
            if (g_str_has_prefix(own[i], word)) {
                g_hash_table_add(found, g_strdup(own[i]));
            }
        }
    } else {
        complete_argument(vm, &completion);
    }
    result = g_ptr_array_new();
    keys = g_list_sort(g_hash_table_get_keys(found), (GCompareFunc)strcmp);
    for (key = keys; key; key = key->next) {
        g_ptr_array_add(result, g_strdup(key->data));
    }
    g_list_free(keys);
    g_ptr_array_add(result, NULL);
    return (char **)g_ptr_array_free(result, FALSE);
}
