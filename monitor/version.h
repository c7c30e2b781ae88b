/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which level of QEMU's interface this program follows, and its own name. */
#ifndef GODWIT_MONITOR_VERSION_H
#define GODWIT_MONITOR_VERSION_H

#include "util/json.h"

#define QEMU_LEVEL_MAJOR 11
#define QEMU_LEVEL_MINOR 1
#define QEMU_LEVEL_MICRO 0

/* VersionInfo as JSON. */
json_object *qmp_version_object(void);

#endif
