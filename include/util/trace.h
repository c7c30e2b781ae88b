/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace events. A folder declares its own in a file "trace-events", a line
 * each:
 *
 *     migration_pass(uint64_t pass, uint64_t pending_bytes) "pass %" PRIu64 ...
 *
 * and its sources include "trace/trace-FOLDER.h" ('-' for '/' in FOLDER) and
 * call trace_migration_pass(...). A disabled event costs one predicted branch.
 * Which are enabled is a property of the process, as the log is.
 */
#ifndef GODWIT_UTIL_TRACE_H
#define GODWIT_UTIL_TRACE_H

#include <inttypes.h>
#include <stdbool.h>

#include "util/error.h"

typedef struct TraceEvent {
    const char *name;
    bool enabled;
} TraceEvent;

/* Ends in NULL; generated from the trace-events files of all folders. */
extern TraceEvent *const trace_event_all[];

/*
 * Enables (or, with '-' in front, disables) the events that match the glob
 * pattern @pattern. Any thread. Error: no event matches.
 */
bool trace_enable(const char *pattern, Error **errp);

/* Prints one line of an enabled event, with time and thread id. */
void trace_print(const TraceEvent *event, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

#endif
