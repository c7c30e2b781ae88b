/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the generated qapi_event_send_*() hand their events. */
#ifndef GODWIT_QAPI_EVENT_SINK_H
#define GODWIT_QAPI_EVENT_SINK_H

#include <json-c/json.h>

typedef struct Vm Vm;

/*
 * Sends event @name with @data (taken; NULL: the event has none). Implemented
 * by system/, and by a test that has no machine. Any thread; does not block.
 */
void vm_emit_event(Vm *vm, const char *name, struct json_object *data);

#endif
