/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors: a GError with a class, as QMP reports it.
 *
 * Convention (rule 6 of the house): bool f(..., Error **errp) returns false
 * if and only if it sets errp. The message says what was being done, with
 * which value, and what would be accepted; no full stop, no new line.
 * errp may be NULL (the caller does not care for the message).
 */
#ifndef GODWIT_UTIL_ERROR_H
#define GODWIT_UTIL_ERROR_H

#include <stdbool.h>

#include <glib.h>

typedef GError Error;

/* The error classes of the QMP protocol; the code of every Error is one. */
typedef enum ErrorClass {
    ERROR_CLASS_GENERIC_ERROR,
    ERROR_CLASS_COMMAND_NOT_FOUND,
    ERROR_CLASS_DEVICE_NOT_ACTIVE,
    ERROR_CLASS_DEVICE_NOT_FOUND,
    ERROR_CLASS_KVM_MISSING_CAP,
} ErrorClass;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Error, g_error_free)

/* Sets *errp, which must hold no error yet, to a GenericError. */
void error_setg(Error **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* As error_setg(), with ": " and the text of errno value @err appended. */
void error_setg_errno(Error **errp, int err, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/* As error_setg(), with another class. */
void error_set_class(Error **errp, ErrorClass cls, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/* Puts a text in front of the message of *errp, if there is one. */
void error_prepend(Error **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* Appends a text to the message of *errp, if there is one. */
void error_append(Error **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* The class's name as it stands in a QMP reply: "GenericError", ... */
const char *error_class_name(const Error *err);

/* Moves @local (may be NULL) to *errp, or frees it if errp is NULL. */
static inline void error_propagate(Error **errp, Error *local)
{
    if (local) {
        g_propagate_error(errp, local);
    }
}

#endif
