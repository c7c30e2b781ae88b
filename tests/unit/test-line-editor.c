/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Editing a line: keys in, lines out. */
#include <string.h>

#include "monitor/line-editor.h"

typedef struct Person {
    GString *screen;
    GString *lines; /* what was entered, each with a '|' */
} Person;

static void person_write(void *opaque, const char *text, size_t len)
{
    g_string_append_len(((Person *)opaque)->screen, text, (gssize)len);
}

static void person_line(void *opaque, const char *line)
{
    g_string_append_printf(((Person *)opaque)->lines, "%s|", line);
}

static char **person_complete(void *opaque, const char *line)
{
    static const char *const words[] = { "migrate", "migrate_cancel", "stop" };
    GPtrArray *found = g_ptr_array_new();
    guint i;

    (void)opaque;
    for (i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_str_has_prefix(words[i], line)) {
            g_ptr_array_add(found, g_strdup(words[i]));
        }
    }
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(found, FALSE);
}

static const LineEditorOps ops = {
    .write = person_write,
    .line = person_line,
    .complete = person_complete,
};

/* Types @keys into a new editor and expects the lines @expected. */
static void check(const char *keys, const char *expected)
{
    Person person = { g_string_new(NULL), g_string_new(NULL) };
    LineEditor *editor = line_editor_new("> ", &ops, &person);

    line_editor_start(editor);
    line_editor_input(editor, keys, strlen(keys));
    g_assert_cmpstr(person.lines->str, ==, expected);
    line_editor_free(editor);
    g_string_free(person.screen, TRUE);
    g_string_free(person.lines, TRUE);
}

static void test_edit(void)
{
    check("abc\r", "abc|");
    check("abc\n", "abc|");
    check("abc\b\x7f" "d\r", "ad|");
    check("bc\001a\005d\r", "abcd|");              /* Ctrl-A, Ctrl-E */
    check("ac\002b\r", "abc|");                    /* Ctrl-B */
    check("ac\033[Db\033[Cd\r", "abcd|");          /* arrows */
    check("abc\033[H\033[3~\r", "bc|");            /* Home, Delete */
    check("abc\033[1~\004\033[4~d\r", "bcd|");
    check("one two\027x\r", "one x|");             /* Ctrl-W */
    check("one two\033b\033dx\r", "one x|");       /* Alt-B, Alt-D */
    check("abc\002\013x\r", "abx|");               /* Ctrl-K */
    check("abc\025x\031\r", "xabc|");              /* Ctrl-U, Ctrl-Y */
    check("\004\b\002\025\027\013\r", "|");        /* nothing to act upon */
    check("a\xc3\xa4\bb\r", "ab|");                /* one character, not a byte */
    check("a\xc3\xa4\002\002\006" "b\r", "ab\xc3\xa4|");
    check("\033[99;99Zx\033Ox\r", "x|");           /* unknown sequences */
}

static void test_history(void)
{
    check("one\rtwo\r\033[A\r", "one|two|two|");
    check("one\rtwo\r\020\020\r", "one|two|one|");
    check("one\rtwo\r\020\020\020\020\r", "one|two|one|");
    check("one\rdr\020\016aft\r", "one|draft|");
    check("\016\020\r", "|");
}

static void test_completion(void)
{
    check("st\t\r", "stop |");
    check("m\t\r", "migrate|");
    check("migrate_\tx\r", "migrate_cancel x|");
    check("nothing\t\r", "nothing|");
}

static void test_limits(void)
{
    g_autofree char *a = g_strnfill(LINE_EDITOR_MAX + 100, 'a');
    g_autofree char *keys = g_strconcat(a, "\r", NULL);
    g_autofree char *kept = g_strnfill(LINE_EDITOR_MAX, 'a');
    g_autofree char *line = g_strconcat(kept, "|", NULL);

    check(keys, line);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/line-editor/edit", test_edit);
    g_test_add_func("/line-editor/history", test_history);
    g_test_add_func("/line-editor/completion", test_completion);
    g_test_add_func("/line-editor/limits", test_limits);
    return g_test_run();
}
