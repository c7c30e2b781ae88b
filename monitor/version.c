/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which program this is, for its clients. Any thread. */
#include "config-host.h"
#include "monitor/version.h"

json_object *qmp_version_object(void)
{
    json_object *version = json_object_new_object();
    json_object *qemu = json_object_new_object();

    json_object_object_add(qemu, "micro",
                           json_object_new_int(QEMU_LEVEL_MICRO));
    json_object_object_add(qemu, "minor",
                           json_object_new_int(QEMU_LEVEL_MINOR));
    json_object_object_add(qemu, "major",
                           json_object_new_int(QEMU_LEVEL_MAJOR));
    json_object_object_add(version, "qemu", qemu);
    json_object_object_add(version, "package",
                           json_object_new_string("Godwit " GODWIT_VERSION));
    return version;
}
