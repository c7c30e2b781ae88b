/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Switching and printing trace events. Any thread; the log's lock. */
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/trace.h"

bool trace_enable(const char *pattern, Error **errp)
{
    bool on = pattern[0] != '-';
    bool found = false;

    for (TraceEvent *const *ev = trace_event_all; *ev; ev++) {
        if (g_pattern_match_simple(on ? pattern : pattern + 1, (*ev)->name)) {
            __atomic_store_n(&(*ev)->enabled, on, __ATOMIC_RELAXED);
            found = true;
        }
    }
    if (!found) {
        error_setg(errp, "no trace event matches '%s'; -trace help lists them",
                   pattern);
    }
    return found;
}

void trace_print(const TraceEvent *event, const char *fmt, ...)
{
    int64_t now_us = clock_now_ns(clock_host()) / 1000;
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    log_line("%d@%" PRId64 ".%06d:%s %s", thread_current_tid(),
             now_us / 1000000, (int)(now_us % 1000000), event->name, text);
}
