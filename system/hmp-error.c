/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How every module's human commands report an error. Any thread. */
#include "system/module.h"

bool hmp_error(GString *out, Error *err)
{
    if (!err) {
        return false;
    }
    g_string_append_printf(out, "Error: %s\n", err->message);
    g_error_free(err);
    return true;
}
