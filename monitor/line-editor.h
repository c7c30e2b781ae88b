/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line that a person edits on a terminal (ECMA-48 control sequences): one
 * line high, with history and completion. Knows nothing of what the line
 * means. One thread.
 */
#ifndef GODWIT_MONITOR_LINE_EDITOR_H
#define GODWIT_MONITOR_LINE_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

#define LINE_EDITOR_MAX 4096     /* bytes of a line */
#define LINE_EDITOR_HISTORY 64   /* lines that are remembered */

typedef struct LineEditor LineEditor;

typedef struct LineEditorOps {
    void (*write)(void *opaque, const char *text, size_t len);
    /* A line is complete; the prompt is shown again afterwards. */
    void (*line)(void *opaque, const char *line);
    /* See hmp_complete(). NULL: there is no completion. */
    char **(*complete)(void *opaque, const char *line);
} LineEditorOps;

LineEditor *line_editor_new(const char *prompt, const LineEditorOps *ops,
                            void *opaque);
void line_editor_free(LineEditor *editor);

/* Shows the prompt and an empty line. */
void line_editor_start(LineEditor *editor);
void line_editor_input(LineEditor *editor, const char *data, size_t len);

#endif
