/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which accelerators there are, and choosing one. Main thread; no lock. */
#include <string.h>

#include "accel/accel.h"

const AccelOps *const accel_all[] = { &accel_tcg, &accel_qtest, NULL };

const AccelOps *accel_find(const char *name)
{
    for (const AccelOps *const *accel = accel_all; *accel; accel++) {
        if (strcmp((*accel)->name, name) == 0) {
            return *accel;
        }
    }
    return NULL;
}

static void append_reason(GString *reasons, const char *name, const char *why)
{
    g_string_append_printf(reasons, "%s%s %s", reasons->len ? ", " : "", name,
                           why);
}

bool accel_choose(Vm *vm, const char *names, Error **errp)
{
    g_auto(GStrv) list = g_strsplit(names ? names : "tcg", ":", -1);
    g_autoptr(GString) reasons = g_string_new(NULL);

    for (char **name = list; *name; name++) {
        const AccelOps *accel = accel_find(*name);
        g_autoptr(Error) err = NULL;

        if (!accel) {
            append_reason(reasons, *name, "is unknown");
        } else if (accel->probe && !accel->probe(&err)) {
            append_reason(reasons, *name, err->message);
        } else {
            vm->accel = accel;
            return true;
        }
    }
    error_setg(errp, "no accelerator of '%s' can be used (%s); there are tcg "
               "and qtest", names ? names : "tcg", reasons->str);
    return false;
}
