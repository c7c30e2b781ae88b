/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitors that the command line asks for. Main thread. */
#include "monitor/monitor.h"
#include "qapi/qapi-visit-control.h"
#include "util/keyval.h"

/* One of -mon, -monitor, -qmp. */
typedef struct MonitorWanted {
    char *chardev;  /* id of a -chardev, or NULL */
    char *device;   /* else what -monitor or -qmp say */
    bool qmp;
    bool pretty;
} MonitorWanted;

void monitor_wanted_free(gpointer data)
{
    MonitorWanted *wanted = data;

    g_free(wanted->chardev);
    g_free(wanted->device);
    g_free(wanted);
}

bool monitor_parse_mon(Vm *vm, const char *argument, Error **errp)
{
    g_autoptr(JsonObject) value = keyval_parse(argument, "chardev", NULL,
                                               errp);
    g_autoptr(MonitorOptions) options = NULL;
    MonitorWanted *wanted;

    if (!value) {
        return false;
    }
    options = qapi_MonitorOptions_from_json(value, true, errp);
    if (!options) {
        return false;
    }
    wanted = g_new0(MonitorWanted, 1);
    wanted->chardev = g_strdup(options->chardev);
    wanted->qmp = options->has_mode && options->mode == MONITOR_MODE_CONTROL;
    wanted->pretty = options->has_pretty && options->pretty;
    g_ptr_array_add(vm->monitors->wanted, wanted);
    return true;
}

static bool parse_short(Vm *vm, const char *argument, bool qmp, bool pretty)
{
    MonitorWanted *wanted;

    if (g_str_equal(argument, "none")) {
        return true;
    }
    wanted = g_new0(MonitorWanted, 1);
    wanted->device = g_strdup(argument);
    wanted->qmp = qmp;
    wanted->pretty = pretty;
    g_ptr_array_add(vm->monitors->wanted, wanted);
    return true;
}

bool monitor_parse_monitor(Vm *vm, const char *argument, Error **errp)
{
    (void)errp;
    return parse_short(vm, argument, false, false);
}

bool monitor_parse_qmp(Vm *vm, const char *argument, Error **errp)
{
    (void)errp;
    return parse_short(vm, argument, true, false);
}

bool monitor_parse_qmp_pretty(Vm *vm, const char *argument, Error **errp)
{
    (void)errp;
    return parse_short(vm, argument, true, true);
}

static bool make(Vm *vm, const MonitorWanted *wanted, guint index,
                 Error **errp)
{
    g_autofree char *id = g_strdup_printf("compat_monitor%u", index);
    Chardev *chr;

    if (wanted->chardev) {
        chr = chardev_find(vm, wanted->chardev);
        if (!chr) {
            error_setg(errp, "-mon: there is no chardev '%s'",
                       wanted->chardev);
            return false;
        }
    } else {
        chr = chardev_new_from_short(vm, id, wanted->device, errp);
        if (!chr) {
            error_prepend(errp, "%s %s: ", wanted->qmp ? "-qmp" : "-monitor",
                          wanted->device);
            return false;
        }
    }
    return monitor_add(vm, chr, wanted->qmp, wanted->pretty, errp);
}

static void collect_mon(Chardev *chr, void *data)
{
    if (chardev_wants_monitor(chr)) {
        g_ptr_array_add(data, chr);
    }
}

/* "mon:" in front of a -serial asks for a human monitor beside it. */
static bool add_beside(Vm *vm, Error **errp)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    chardev_foreach(vm, collect_mon, list);
    for (guint i = 0; i < list->len; i++) {
        Chardev *side = chardev_find(vm, chardev_id(list->pdata[i]));

        if (!monitor_add(vm, side, false, false, errp)) {
            return false;
        }
    }
    return true;
}

bool monitor_configure(Vm *vm, Error **errp)
{
    GPtrArray *wanted = vm->monitors->wanted;
    guint i, shorts = 0;

    if (!add_beside(vm, errp)) {
        return false;
    }
    for (i = 0; i < wanted->len; i++) {
        MonitorWanted *one = wanted->pdata[i];

        if (!make(vm, one, one->device ? shorts++ : 0, errp)) {
            return false;
        }
    }
    return true;
}
