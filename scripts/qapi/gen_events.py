# SPDX-License-Identifier: GPL-2.0-or-later
"""qapi-events-MODULE: functions that send the schema's events."""
from .gen_commands import arguments


def head(event):
    params = []
    if event.arg and event.boxed:
        params = [f'const {event.arg.name} *arg']
    elif event.arg:
        params = arguments(event.arg)
    return (f'void qapi_event_send_{event.c_name}(Vm *vm' +
            ''.join(',\n    ' + param for param in params) + ')')


def define(event):
    name = event.name
    if not event.arg:
        return [head(event), '{', f'    vm_emit_event(vm, "{name}", NULL);',
                '}', '']
    body = [head(event), '{']
    if event.boxed:
        obj = f'({event.arg.name} *)arg'
    else:
        obj = '&arg'
        body.append(f'    {event.arg.name} arg = {{')
        for member in event.arg.all_members():
            if member.needs_has():
                body.append(f'        .has_{member.c_name} = '
                            f'has_{member.c_name},')
            cast = '(char *)' if member.type.name == 'str' else ''
            body.append(f'        .{member.c_name} = {cast}{member.c_name},')
        body.append('    };')
    return body + [
        '    Visitor *v = visitor_output_new();', '',
        '    visit_start_struct(v, NULL, NULL, 0, NULL);',
        f'    visit_type_{event.arg.name}_members(v, {obj}, NULL);',
        '    visit_end_struct(v, NULL);',
        f'    vm_emit_event(vm, "{name}", visitor_output_take(v));',
        '    visit_free(v);', '}', '']


def generate(schema, out):
    for module in schema.modules:
        name = out.name('events', module.name)
        heads, defs = [], []
        for event in module.events:
            heads += [head(event) + ';']
            defs += define(event)
        out.header(name, ['#include "qapi/event-sink.h"',
                          out.include('types', module.name)], heads)
        out.source(name, [f'#include "{out.headers}{name}.h"',
                          out.include('visit', module.name)], defs)
