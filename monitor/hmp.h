/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The human monitor: the commands of all modules, and one person who types
 * them. Main loop, big lock.
 */
#ifndef GODWIT_MONITOR_HMP_H
#define GODWIT_MONITOR_HMP_H

#include "system/module.h"

/* Runs one line and appends what it prints. */
void hmp_run_line(Vm *vm, const char *line, GString *out);

/*
 * The completions of the last word of @line, all of that word and more;
 * sorted, without doubles, freed by g_strfreev(). Never NULL.
 */
char **hmp_complete(Vm *vm, const char *line);

typedef struct HmpSession HmpSession;

/*
 * @write takes all bytes or drops them. @edit: there is a terminal, so that
 * lines can be edited and are echoed.
 */
typedef void (*HmpWrite)(void *opaque, const char *text, size_t len);
HmpSession *hmp_session_new(Vm *vm, bool edit, HmpWrite write, void *opaque);
void hmp_session_free(HmpSession *session);

/* A person is there: greets. */
void hmp_session_opened(HmpSession *session);
void hmp_session_input(HmpSession *session, const uint8_t *buf, size_t len);

#endif
