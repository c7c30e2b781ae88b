/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors over GError. Any thread; no lock. */
#include "util/error.h"

static GQuark error_domain(void)
{
    return g_quark_from_static_string("godwit");
}

static void set_va(Error **errp, ErrorClass cls, int err, const char *fmt,
                   va_list ap)
{
    if (!errp) {
        return;
    }
    g_assert(*errp == NULL);
    *errp = g_error_new_valist(error_domain(), cls, fmt, ap);
    if (err) {
        error_append(errp, ": %s", g_strerror(err));
    }
}

void error_setg(Error **errp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_va(errp, ERROR_CLASS_GENERIC_ERROR, 0, fmt, ap);
    va_end(ap);
}

void error_setg_errno(Error **errp, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_va(errp, ERROR_CLASS_GENERIC_ERROR, err, fmt, ap);
    va_end(ap);
}

void error_set_class(Error **errp, ErrorClass cls, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_va(errp, cls, 0, fmt, ap);
    va_end(ap);
}

static void edit_va(Error **errp, bool front, const char *fmt, va_list ap)
{
    g_autofree char *text = NULL;
    char *old;

    if (!errp || !*errp) {
        return;
    }
    text = g_strdup_vprintf(fmt, ap);
    old = (*errp)->message;
    (*errp)->message = front ? g_strconcat(text, old, NULL)
                             : g_strconcat(old, text, NULL);
    g_free(old);
}

void error_prepend(Error **errp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    edit_va(errp, true, fmt, ap);
    va_end(ap);
}

void error_append(Error **errp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    edit_va(errp, false, fmt, ap);
    va_end(ap);
}

const char *error_class_name(const Error *err)
{
    static const char *const names[] = {
        [ERROR_CLASS_GENERIC_ERROR] = "GenericError",
        [ERROR_CLASS_COMMAND_NOT_FOUND] = "CommandNotFound",
        [ERROR_CLASS_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [ERROR_CLASS_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [ERROR_CLASS_KVM_MISSING_CAP] = "KVMMissingCap",
    };

    /* An error of glib's own (a file, say) is a GenericError to QMP. */
    if (err->domain != error_domain()) {
        return names[ERROR_CLASS_GENERIC_ERROR];
    }
    return names[err->code];
}
