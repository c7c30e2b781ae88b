/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One person at the human monitor. Main loop, big lock. */
#include <string.h>

#include "config-host.h"
#include "monitor/hmp.h"
#include "monitor/line-editor.h"

/* The prompt that scripts which drive such a monitor wait for. */
#define PROMPT "(qemu) "

struct HmpSession {
    Vm *vm;
    HmpWrite write;
    void *opaque;
    LineEditor *editor; /* NULL: there is no terminal */
    GString *line;      /* what has come of it, without editor */
};

/* Writes @text with each line's end as a terminal wants it. */
static void print(HmpSession *session, const char *text)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (; *text; text++) {
        g_string_append(out, *text == '\n' ? "\r\n" : "");
        if (*text != '\n') {
            g_string_append_c(out, *text);
        }
    }
    session->write(session->opaque, out->str, out->len);
}

static void run(void *opaque, const char *line)
{
    HmpSession *session = opaque;
    g_autoptr(GString) out = g_string_new(NULL);

    hmp_run_line(session->vm, line, out);
    print(session, out->str);
}

static void edit_write(void *opaque, const char *text, size_t len)
{
    HmpSession *session = opaque;

    session->write(session->opaque, text, len);
}

static char **edit_complete(void *opaque, const char *line)
{
    return hmp_complete(((HmpSession *)opaque)->vm, line);
}

static const LineEditorOps editor_ops = {
    .write = edit_write,
    .line = run,
    .complete = edit_complete,
};

HmpSession *hmp_session_new(Vm *vm, bool edit, HmpWrite write, void *opaque)
{
    HmpSession *session = g_new0(HmpSession, 1);

    session->vm = vm;
    session->write = write;
    session->opaque = opaque;
    session->line = g_string_new(NULL);
    if (edit) {
        session->editor = line_editor_new(PROMPT, &editor_ops, session);
    }
    return session;
}

void hmp_session_free(HmpSession *session)
{
    if (session) {
        line_editor_free(session->editor);
        g_string_free(session->line, TRUE);
        g_free(session);
    }
}

void hmp_session_opened(HmpSession *session)
{
    g_string_truncate(session->line, 0);
    print(session, "Godwit " GODWIT_VERSION
                   " monitor - type 'help' for more information\n");
    if (session->editor) {
        line_editor_start(session->editor);
    } else {
        print(session, PROMPT);
    }
}

void hmp_session_input(HmpSession *session, const uint8_t *buf, size_t len)
{
    size_t i;

    if (session->editor) {
        line_editor_input(session->editor, (const char *)buf, len);
        return;
    }
    for (i = 0; i < len; i++) {
        if (buf[i] == '\n') {
            g_autofree char *line = g_strdup(session->line->str);

            g_string_truncate(session->line, 0);
            run(session, line);
            print(session, PROMPT);
        } else if (buf[i] != '\r' && session->line->len < LINE_EDITOR_MAX) {
            g_string_append_c(session->line, (char)buf[i]);
        }
    }
}
