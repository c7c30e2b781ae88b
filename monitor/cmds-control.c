/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about the monitor itself. Main loop, big lock. */
#include <string.h>

#include "config-host.h"
#include "monitor/session.h"
#include "monitor/version.h"
#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-commands-introspect.h"
#include "qapi/qapi-introspect.h"
#include "system/runstate.h"

bool qmp_qmp_capabilities(Vm *vm, struct MonitorSession *session,
                          bool has_enable, QMPCapabilityList *enable,
                          Error **errp)
{
    (void)vm;
    (void)has_enable;
    /* There is one capability: whatever the list names is it. */
    return qmp_session_negotiate(session, enable != NULL, errp);
}

bool qmp_query_version(Vm *vm, VersionInfo **ret, Error **errp)
{
    (void)vm;
    (void)errp;
    *ret = g_new0(VersionInfo, 1);
    (*ret)->qemu = g_new0(VersionTriple, 1);
    (*ret)->qemu->major = QEMU_LEVEL_MAJOR;
    (*ret)->qemu->minor = QEMU_LEVEL_MINOR;
    (*ret)->qemu->micro = QEMU_LEVEL_MICRO;
    (*ret)->package = g_strdup("Godwit " GODWIT_VERSION);
    return true;
}

bool qmp_query_commands(Vm *vm, struct MonitorSession *session,
                        CommandInfoList **ret, Error **errp)
{
    const QmpCommand *command = qmp_session_commands(session);
    CommandInfoList **tail = ret;

    (void)vm;
    (void)errp;
    for (; command->name; command++) {
        CommandInfo *info = g_new0(CommandInfo, 1);

        info->name = g_strdup(command->name);
        QAPI_LIST_APPEND(tail, info);
    }
    return true;
}

bool qmp_quit(Vm *vm, Error **errp)
{
    (void)errp;
    vm_request_shutdown(vm, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
    return true;
}

bool qmp_query_qmp_schema(Vm *vm, json_object *args, json_object **ret,
                          Error **errp)
{
    (void)vm;
    json_object_object_foreach(args, key, value) {
        (void)value;
        error_setg(errp, "Parameter '%s' is unexpected", key);
        return false;
    }
    return json_parse(qmp_schema_json, strlen(qmp_schema_json), ret, errp);
}
