/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Migration through a command's standard input or output. Main loop. */
#include <fcntl.h>
#include <string.h>

#include "migration/channel.h"

/* The shell's text for the arguments; those of exec: are the shell's own. */
static char *command_text(const strList *args)
{
    GString *text;

    if (strcmp(args->value, "/bin/sh") == 0 && args->next &&
        strcmp(args->next->value, "-c") == 0 && args->next->next &&
        !args->next->next->next) {
        return g_strdup(args->next->next->value);
    }
    text = g_string_new("exec");
    for (; args; args = args->next) {
        g_autofree char *quoted = g_shell_quote(args->value);

        g_string_append_printf(text, " %s", quoted);
    }
    return g_string_free(text, FALSE);
}

static bool exec_open(const MigrationAddress *addr, int flags, MigEnd *end,
                      Error **errp)
{
    g_autofree char *command = NULL;

    if (!addr->u.exec.args) {
        error_setg(errp, "'args' is empty; a program is expected");
        return false;
    }
    command = command_text(addr->u.exec.args);
    end->ch = io_channel_new_command(command, flags, errp);
    return end->ch != NULL;
}

static bool exec_open_output(Vm *vm, MigrationAddress **addr, MigEnd *end,
                             Error **errp)
{
    (void)vm;
    return exec_open(*addr, O_WRONLY, end, errp);
}

static bool exec_open_input(Vm *vm, MigrationAddress **addr, MigEnd *end,
                            Error **errp)
{
    (void)vm;
    return exec_open(*addr, O_RDONLY, end, errp);
}

const MigTransport mig_transport_exec = {
    .open_output = exec_open_output,
    .open_input = exec_open_input,
};
