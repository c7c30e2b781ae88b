/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages and log lines. Any thread. The lock "log_lock" protects where lines
 * go and keeps each of them whole; nothing is called with it held.
 */
#include <errno.h>
#include <stdio.h>

#include "util/log.h"

static GMutex log_lock;
static const char *log_program = "godwit";
static bool log_timestamp;
static FILE *log_stream;

static void put_line(FILE *to, const char *prefix, const char *fmt, va_list ap)
{
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    g_autofree char *stamp = NULL;

    if (log_timestamp) {
        g_autoptr(GDateTime) now = g_date_time_new_now_utc();

        stamp = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ ");
    }
    fprintf(to, "%s%s%s\n", stamp ? stamp : "", prefix, text);
    fflush(to);
}

static void report(const char *kind, const char *fmt, va_list ap)
{
    g_autofree char *prefix = NULL;

    g_mutex_lock(&log_lock);
    prefix = g_strdup_printf("%s: %s", log_program, kind);
    put_line(stderr, prefix, fmt, ap);
    g_mutex_unlock(&log_lock);
}

void error_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("", fmt, ap);
    va_end(ap);
}

void warn_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("warning: ", fmt, ap);
    va_end(ap);
}

void info_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("info: ", fmt, ap);
    va_end(ap);
}

void error_report_err(Error *err)
{
    error_report("%s", err->message);
    g_error_free(err);
}

void warn_report_err(Error *err)
{
    warn_report("%s", err->message);
    g_error_free(err);
}

void log_set_program(const char *name)
{
    g_mutex_lock(&log_lock);
    log_program = name;
    g_mutex_unlock(&log_lock);
}

void log_set_timestamp(bool on)
{
    g_mutex_lock(&log_lock);
    log_timestamp = on;
    g_mutex_unlock(&log_lock);
}

bool log_set_file(const char *path, Error **errp)
{
    FILE *fresh = NULL;

    if (path) {
        fresh = fopen(path, "we");
        if (!fresh) {
            error_setg_errno(errp, errno, "cannot open log file '%s'", path);
            return false;
        }
    }
    g_mutex_lock(&log_lock);
    if (log_stream) {
        fclose(log_stream);
    }
    log_stream = fresh;
    g_mutex_unlock(&log_lock);
    return true;
}

void log_line(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_mutex_lock(&log_lock);
    put_line(log_stream ? log_stream : stderr, "", fmt, ap);
    g_mutex_unlock(&log_lock);
    va_end(ap);
}
