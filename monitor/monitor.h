/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this folder share: the monitors of one machine. */
#ifndef GODWIT_MONITOR_MONITOR_H
#define GODWIT_MONITOR_MONITOR_H

#include "chardev/char.h"
#include "monitor/hmp.h"
#include "monitor/session.h"
#include "system/vm.h"

typedef struct Monitors Monitors;

/* One monitor: a chardev and who speaks over it. */
typedef struct Monitor {
    Vm *vm;
    Chardev *chr;
    MonitorSession *qmp;    /* mode=control, or NULL */
    HmpSession *hmp;        /* mode=readline, or NULL */
    GString *hmp_output;    /* what the terminal has not taken yet */
} Monitor;

struct Monitors {
    GPtrArray *wanted;      /* of MonitorWanted *: the command line's */

    GMutex lock;            /* before a session's lock */
    /* Protected by lock; changed by the main loop only */
    GPtrArray *monitors;    /* of Monitor * */

    /* The I/O thread of the QMP monitors, started with the first */
    GMainContext *context;
    GMainLoop *loop;
    GThread *thread;
};

/*
 * Puts a monitor on @chr. Main loop, big lock. Error: the chardev has another
 * front end.
 */
bool monitor_add(Vm *vm, Chardev *chr, bool qmp, bool pretty, Error **errp);

/* The command line: -mon, -monitor, -qmp, -qmp-pretty. */
bool monitor_parse_mon(Vm *vm, const char *argument, Error **errp);
bool monitor_parse_monitor(Vm *vm, const char *argument, Error **errp);
bool monitor_parse_qmp(Vm *vm, const char *argument, Error **errp);
bool monitor_parse_qmp_pretty(Vm *vm, const char *argument, Error **errp);
bool monitor_configure(Vm *vm, Error **errp);
void monitor_wanted_free(gpointer wanted);

/* HMP commands of this folder, ended by a NULL name. */
extern const HmpCommand monitor_hmp_commands[];

#endif
