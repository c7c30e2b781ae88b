/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the program tells the person who runs it: one line a message, to
 * stderr or to the file of -D, with a time in front under -msg timestamp=on.
 * Where it goes is a property of the process, like stderr itself.
 * Any thread; lines of different threads do not mix.
 */
#ifndef GODWIT_UTIL_LOG_H
#define GODWIT_UTIL_LOG_H

#include <stdbool.h>

#include "util/error.h"

/* "godwit-system-riscv64: MESSAGE", with "warning: " or "info: " if so. */
void error_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void warn_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void info_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* Reports @err and frees it. */
void error_report_err(Error *err);
void warn_report_err(Error *err);

/* The name in front of each message; default "godwit". Not copied. */
void log_set_program(const char *name);

/* Whether each line starts with the wall clock's time (ISO 8601, UTC). */
void log_set_timestamp(bool on);

/*
 * Sends log and trace lines (not the reports above, which stay on stderr) to
 * the file @path, created or cut to nothing; NULL: to stderr.
 */
bool log_set_file(const char *path, Error **errp);

/* One line of log or trace output, without its new line. */
void log_line(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

#endif
