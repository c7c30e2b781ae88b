/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the generated code and the monitor agree on about a command. A handler
 * is called with the big lock held by the main loop; one with QMP_ANY_THREAD
 * may be called with it by the monitor's I/O thread as well, and one with
 * QMP_ALLOW_OOB by that thread without the big lock.
 */
#ifndef GODWIT_QAPI_COMMAND_H
#define GODWIT_QAPI_COMMAND_H

#include <json-c/json.h>

#include "util/error.h"

typedef struct Vm Vm;
struct MonitorSession;

/*
 * Reads @args (a JSON object), runs the handler, makes *@ret: NULL where the
 * command returns nothing. @session: the monitor that asked.
 */
typedef bool QmpMarshal(Vm *vm, struct MonitorSession *session,
                        json_object *args, json_object **ret, Error **errp);

enum {
    QMP_ALLOW_OOB = 1 << 0,
    QMP_ALLOW_PRECONFIG = 1 << 1,
    QMP_ANY_THREAD = 1 << 2,
};

typedef struct QmpCommand {
    const char *name;
    QmpMarshal *run;
    unsigned flags; /* QMP_* */
} QmpCommand;

#endif
