/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Editing a line on a terminal: the keys of Emacs and the arrows. Texts are
 * UTF-8; a character is taken to be one column wide. One thread; no lock.
 */
#include <string.h>

#include "monitor/line-editor.h"

#define CTRL(letter) ((letter) & 0x1f)

typedef enum KeyState {
    KEY_PLAIN,
    KEY_ESCAPE,     /* ESC has come */
    KEY_CSI,        /* ESC [ has come, or ESC O */
} KeyState;

struct LineEditor {
    char *prompt;
    const LineEditorOps *ops;
    void *opaque;
    GString *line;
    size_t cursor;      /* bytes of the line before it */
    char *killed;       /* what Ctrl-Y puts back */
    KeyState state;
    char parameter;     /* first digit of a control sequence, or 0 */
    GPtrArray *history; /* of char *, oldest first */
    guint recall;       /* index of what is shown; history->len: none */
    char *draft;        /* the new line while another is recalled */
    bool tabbed;        /* the last key was a tab that changed nothing */
};

static void put(LineEditor *editor, const char *text)
{
    editor->ops->write(editor->opaque, text, strlen(text));
}

static void redraw(LineEditor *editor)
{
    g_autoptr(GString) out = g_string_new("\r\033[K");
    glong behind = g_utf8_strlen(editor->line->str + editor->cursor, -1);

    g_string_append(out, editor->prompt);
    g_string_append(out, editor->line->str);
    if (behind > 0) {
        g_string_append_printf(out, "\033[%ldD", behind);
    }
    editor->ops->write(editor->opaque, out->str, out->len);
}

LineEditor *line_editor_new(const char *prompt, const LineEditorOps *ops,
                            void *opaque)
{
    LineEditor *editor = g_new0(LineEditor, 1);

    editor->prompt = g_strdup(prompt);
    editor->ops = ops;
    editor->opaque = opaque;
    editor->line = g_string_new(NULL);
    editor->history = g_ptr_array_new_with_free_func(g_free);
    return editor;
}

void line_editor_free(LineEditor *editor)
{
    if (editor) {
        g_free(editor->prompt);
        g_string_free(editor->line, TRUE);
        g_free(editor->killed);
        g_free(editor->draft);
        g_ptr_array_free(editor->history, TRUE);
        g_free(editor);
    }
}

static void set_line(LineEditor *editor, const char *text)
{
    g_string_assign(editor->line, text);
    editor->cursor = editor->line->len;
}

void line_editor_start(LineEditor *editor)
{
    set_line(editor, "");
    g_clear_pointer(&editor->draft, g_free);
    editor->recall = editor->history->len;
    editor->state = KEY_PLAIN;
    put(editor, editor->prompt);
}

static void remember(LineEditor *editor)
{
    const char *line = editor->line->str;
    guint len = editor->history->len;

    if (!*line ||
        (len && g_str_equal(editor->history->pdata[len - 1], line))) {
        return;
    }
    if (len == LINE_EDITOR_HISTORY) {
        g_ptr_array_remove_index(editor->history, 0);
    }
    g_ptr_array_add(editor->history, g_strdup(line));
}

static void enter(LineEditor *editor)
{
    g_autofree char *line = g_strdup(editor->line->str);

    put(editor, "\r\n");
    remember(editor);
    editor->ops->line(editor->opaque, line);
    line_editor_start(editor);
}

/* The start of the character before, or after, byte @pos. */
static size_t before(LineEditor *editor, size_t pos)
{
    const char *text = editor->line->str;

    while (pos > 0 && (text[--pos] & 0xc0) == 0x80) {
    }
    return pos;
}

static size_t after(LineEditor *editor, size_t pos)
{
    const char *text = editor->line->str;

    if (pos < editor->line->len) {
        pos++;
    }
    while (pos < editor->line->len && (text[pos] & 0xc0) == 0x80) {
        pos++;
    }
    return pos;
}

static size_t word_before(LineEditor *editor, size_t pos)
{
    const char *text = editor->line->str;

    while (pos > 0 && text[pos - 1] == ' ') {
        pos--;
    }
    while (pos > 0 && text[pos - 1] != ' ') {
        pos--;
    }
    return pos;
}

static size_t word_after(LineEditor *editor, size_t pos)
{
    const char *text = editor->line->str;

    while (pos < editor->line->len && text[pos] == ' ') {
        pos++;
    }
    while (pos < editor->line->len && text[pos] != ' ') {
        pos++;
    }
    return pos;
}

/* Takes out bytes @from to @to; @keep: Ctrl-Y can put them back. */
static void cut(LineEditor *editor, size_t from, size_t to, bool keep)
{
    if (from >= to) {
        return;
    }
    if (keep) {
        g_free(editor->killed);
        editor->killed = g_strndup(editor->line->str + from, to - from);
    }
    g_string_erase(editor->line, (gssize)from, (gssize)(to - from));
    editor->cursor = from;
}

static void insert(LineEditor *editor, const char *text, size_t len)
{
    if (editor->line->len + len <= LINE_EDITOR_MAX) {
        g_string_insert_len(editor->line, (gssize)editor->cursor, text,
                            (gssize)len);
        editor->cursor += len;
    }
}

static void recall(LineEditor *editor, int step)
{
    guint len = editor->history->len;

    if ((step < 0 && editor->recall == 0) ||
        (step > 0 && editor->recall >= len)) {
        return;
    }
    if (editor->recall == len) {
        g_free(editor->draft);
        editor->draft = g_strdup(editor->line->str);
    }
    editor->recall += (guint)step;
    set_line(editor, editor->recall < len
                         ? editor->history->pdata[editor->recall]
                         : editor->draft);
}

/* How many bytes all of @words have in common. */
static size_t common_length(char **words)
{
    size_t len = strlen(words[0]), i;

    for (words++; *words; words++) {
        for (i = 0; i < len && words[0][i] == words[-1][i]; i++) {
        }
        len = i;
    }
    return len;
}

static void show_candidates(LineEditor *editor, char **words)
{
    put(editor, "\r\n");
    for (; *words; words++) {
        put(editor, *words);
        put(editor, words[1] ? "  " : "\r\n");
    }
}

static void complete(LineEditor *editor)
{
    g_autofree char *left = g_strndup(editor->line->str, editor->cursor);
    g_auto(GStrv) words = NULL;
    const char *word;
    size_t typed, len;

    if (!editor->ops->complete) {
        return;
    }
    words = editor->ops->complete(editor->opaque, left);
    if (!words || !words[0]) {
        return;
    }
    word = strrchr(left, ' ');
    typed = strlen(word ? word + 1 : left);
    len = common_length(words);
    if (len > typed) {
        insert(editor, words[0] + typed, len - typed);
    }
    if (!words[1]) {
        insert(editor, " ", 1);
    } else if (len <= typed && editor->tabbed) {
        show_candidates(editor, words);
    }
    editor->tabbed = len <= typed;
}

/* A control character, or DEL. */
static void control(LineEditor *editor, char c)
{
    size_t cursor = editor->cursor;

    switch (c) {
    case CTRL('A'):
        editor->cursor = 0;
        break;
    case CTRL('B'):
        editor->cursor = before(editor, cursor);
        break;
    case CTRL('D'):
        cut(editor, cursor, after(editor, cursor), false);
        break;
    case CTRL('E'):
        editor->cursor = editor->line->len;
        break;
    case CTRL('F'):
        editor->cursor = after(editor, cursor);
        break;
    case CTRL('H'):
    case 0x7f:
        cut(editor, before(editor, cursor), cursor, false);
        break;
    case CTRL('I'):
        complete(editor);
        break;
    case CTRL('K'):
        cut(editor, cursor, editor->line->len, true);
        break;
    case CTRL('L'):
        put(editor, "\033[2J\033[H");
        break;
    case CTRL('N'):
        recall(editor, 1);
        break;
    case CTRL('P'):
        recall(editor, -1);
        break;
    case CTRL('U'):
        cut(editor, 0, cursor, true);
        break;
    case CTRL('W'):
        cut(editor, word_before(editor, cursor), cursor, true);
        break;
    case CTRL('Y'):
        if (editor->killed) {
            insert(editor, editor->killed, strlen(editor->killed));
        }
        break;
    default:
        return;
    }
    redraw(editor);
}

/* The last byte of ESC [ PARAMETERS. */
static void sequence(LineEditor *editor, char c)
{
    switch (c) {
    case 'A':
        control(editor, CTRL('P'));
        break;
    case 'B':
        control(editor, CTRL('N'));
        break;
    case 'C':
        control(editor, CTRL('F'));
        break;
    case 'D':
        control(editor, CTRL('B'));
        break;
    case 'H':
        control(editor, CTRL('A'));
        break;
    case 'F':
        control(editor, CTRL('E'));
        break;
    case '~':
        /* 1 Home, 3 Delete, 4 End, 7 Home, 8 End */
        if (editor->parameter == '3') {
            control(editor, CTRL('D'));
        } else if (editor->parameter == '1' || editor->parameter == '7') {
            control(editor, CTRL('A'));
        } else if (editor->parameter == '4' || editor->parameter == '8') {
            control(editor, CTRL('E'));
        }
        break;
    default:
        break;
    }
}

static void escape(LineEditor *editor, char c)
{
    editor->state = KEY_PLAIN;
    switch (c) {
    case '[':
    case 'O':
        editor->state = KEY_CSI;
        editor->parameter = 0;
        return;
    case 'b':
        editor->cursor = word_before(editor, editor->cursor);
        break;
    case 'f':
        editor->cursor = word_after(editor, editor->cursor);
        break;
    case 'd':
        cut(editor, editor->cursor, word_after(editor, editor->cursor), true);
        break;
    default:
        return;
    }
    redraw(editor);
}

static void plain(LineEditor *editor, char c)
{
    if (c == '\r' || c == '\n') {
        enter(editor);
    } else if (c == '\033') {
        editor->state = KEY_ESCAPE;
    } else if ((unsigned char)c < 0x20 || c == 0x7f) {
        control(editor, c);
    } else {
        insert(editor, &c, 1);
        if (editor->cursor == editor->line->len) {
            editor->ops->write(editor->opaque, &c, 1);
        } else {
            redraw(editor);
        }
    }
}

void line_editor_input(LineEditor *editor, const char *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        char c = data[i];

        if (c != CTRL('I')) {
            editor->tabbed = false;
        }
        switch (editor->state) {
        case KEY_PLAIN:
            plain(editor, c);
            break;
        case KEY_ESCAPE:
            escape(editor, c);
            break;
        case KEY_CSI:
            if (g_ascii_isdigit(c) || c == ';') {
                if (!editor->parameter) {
                    editor->parameter = c;
                }
            } else {
                editor->state = KEY_PLAIN;
                sequence(editor, c);
            }
            break;
        }
    }
}
