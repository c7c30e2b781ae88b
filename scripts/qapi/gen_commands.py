# SPDX-License-Identifier: GPL-2.0-or-later
"""qapi-commands-MODULE: from a command's JSON to its handler and back.

The table of all commands is a file of its own, which refers to every handler:
only a program that has them all links it.
"""


def params(command):
    """The parameters of the handler between the Vm and the error."""
    res = ['struct MonitorSession *session'] if command.session else []
    if not command.gen:
        return res + ['json_object *args', 'json_object **ret']
    if command.arg and command.boxed:
        res.append(command.arg.c_param('arg'))
    elif command.arg:
        res += arguments(command.arg)
    if command.ret:
        ctype = command.ret.c_type()
        res.append(ctype + ('' if ctype.endswith('*') else ' ') + '*ret')
    return res


def arguments(arg):
    res = []
    for member in arg.all_members():
        if member.needs_has():
            res.append(f'bool has_{member.c_name}')
        res.append(member.type.c_param(member.c_name))
    return res


def handler(command):
    return (f'bool qmp_{command.c_name}(Vm *vm' +
            ''.join(',\n    ' + param for param in params(command)) +
            ',\n    Error **errp)')


def marshal_head(command):
    return (f'bool qmp_marshal_{command.c_name}(Vm *vm,\n'
            '    struct MonitorSession *session, json_object *args,\n'
            '    json_object **ret, Error **errp)')


def values(command):
    res = ['session'] if command.session else []
    if command.arg and command.boxed:
        res.append('&arg')
    elif command.arg:
        for member in command.arg.all_members():
            if member.needs_has():
                res.append(f'arg.has_{member.c_name}')
            res.append(f'arg.{member.c_name}')
    if command.ret:
        res.append('&result')
    return res


def read_args(command):
    """Statements that set ok and, if there are arguments, arg."""
    visit = (f'visit_type_{command.arg.name}_members(v, &arg, errp) &&\n'
             '             ') if command.arg else ''
    return ['    v = visitor_input_new(args, false);',
            '    ok = visit_start_struct(v, NULL, NULL, 0, errp);',
            '    if (ok) {',
            f'        ok = {visit}visit_check_struct(v, errp);',
            '        visit_end_struct(v, NULL);', '    }',
            '    visit_free(v);']


def write_result(command):
    name = command.ret.name
    known = '&result'
    lines = ['    if (ok) {',
             '        v = visitor_output_new();',
             f'        visit_type_{name}(v, NULL, {known}, NULL);',
             '        *ret = visitor_output_take(v);',
             '        visit_free(v);', '    }']
    if command.ret.pointer:
        # On failure the handler leaves the result alone.
        lines += ['    if (ok) {',
                  '        v = visitor_dealloc_new();',
                  f'        visit_type_{name}(v, NULL, &result, NULL);',
                  '        visit_free(v);', '    }']
    return lines


def free_args(command):
    return ['    v = visitor_dealloc_new();',
            f'    visit_type_{command.arg.name}_members(v, &arg, NULL);',
            '    visit_free(v);']


def marshal(command):
    body = [marshal_head(command), '{']
    if not command.gen:
        session = 'session, ' if command.session else ''
        if not command.session:
            body.append('    (void)session;')
        return body + [f'    return qmp_{command.c_name}(vm, {session}args, '
                       'ret, errp);', '}', '']
    body.append('    Visitor *v;')
    if command.arg:
        body.append(f'    {command.arg.name} arg = {{ 0 }};')
    if command.ret:
        init = ' = NULL' if command.ret.pointer else ' = 0'
        body.append(f'    {command.ret.c_member("result")}{init};')
    body += ['    bool ok;', '']
    if not command.session:
        body.append('    (void)session;')
    call = ', '.join(['vm'] + values(command) + ['errp'])
    body += ['    *ret = NULL;'] + read_args(command) + \
        [f'    ok = ok && qmp_{command.c_name}({call});']
    if command.ret:
        body += write_result(command)
    if command.arg:
        body += free_args(command)
    return body + ['    return ok;', '}', '']


def flags(command):
    names = []
    if command.allow_oob:
        names.append('QMP_ALLOW_OOB')
    if command.allow_preconfig:
        names.append('QMP_ALLOW_PRECONFIG')
    if command.any_thread:
        names.append('QMP_ANY_THREAD')
    return ' | '.join(names) or '0'


def generate(schema, out):
    table = []
    for module in schema.modules:
        name = out.name('commands', module.name)
        heads, defs = [], []
        for command in module.commands:
            heads += [handler(command) + ';', marshal_head(command) + ';', '']
            defs += marshal(command)
            table.append((command, name))
        out.header(name, ['#include "qapi/command.h"',
                          out.include('types', module.name)], heads)
        out.source(name, [f'#include "{out.headers}{name}.h"',
                          out.include('visit', module.name)], defs)
    name = out.name('commands')
    symbol = out.symbol('qmp_commands')
    out.header(name, ['#include "qapi/command.h"'],
               ['/* By name; ends in a NULL name. */',
                f'extern const QmpCommand {symbol}[];'])
    table.sort(key=lambda entry: entry[0].name)
    out.source(name,
               [f'#include "{out.headers}{name}.h"'] +
               sorted({f'#include "{out.headers}{header}.h"'
                       for _, header in table}),
               [f'const QmpCommand {symbol}[] = {{'] +
               [f'    {{ "{c.name}", qmp_marshal_{c.c_name}, {flags(c)} }},'
                for c, _ in table] + ['    { 0 }', '};'])
