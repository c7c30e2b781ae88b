# SPDX-License-Identifier: GPL-2.0-or-later
"""qapi-visit-MODULE: the walk over each type, and what is made of it."""
from .gen_types import builtin_lists
from .names import enum_const
from .schema import Alternate, Enum, Object


def type_name(this):
    """What visit_type_ is called for the type."""
    return this.name


def signature(this):
    ptr = '' if isinstance(this, Enum) else '*'
    return (f'bool visit_type_{this.name}(Visitor *v, const char *name,\n'
            f'    {this.name} {ptr}*obj, Error **errp)')


def members_signature(this):
    return (f'bool visit_type_{this.name}_members(Visitor *v,\n'
            f'    {this.name} *obj, Error **errp)')


def tools(this):
    """Functions from and to JSON that save the handling of visitors."""
    name = this.name
    return [(f'{name} *qapi_{name}_from_json(json_object *value, '
             'bool keyval,\n    Error **errp)',
             [f'    Visitor *v = visitor_input_new(value, keyval);',
              f'    {name} *obj = NULL;', '',
              f'    visit_type_{name}(v, NULL, &obj, errp);',
              '    visit_free(v);', '    return obj;']),
            (f'json_object *qapi_{name}_to_json(const {name} *obj)',
             ['    Visitor *v = visitor_output_new();',
              f'    {name} *known = ({name} *)obj;',
              '    json_object *value;', '',
              f'    visit_type_{name}(v, NULL, &known, NULL);',
              '    value = visitor_output_take(v);',
              '    visit_free(v);', '    return value;']),
            (f'{name} *qapi_clone_{name}(const {name} *obj)',
             [f'    json_object *value = qapi_{name}_to_json(obj);',
              f'    {name} *copy = qapi_{name}_from_json(value, false, NULL);',
              '', '    json_object_put(value);', '    return copy;'])]


def define(head, body):
    return [head, '{'] + body + ['}', '']


def enum_def(this):
    return define(signature(this), [
        '    int value = (int)*obj;',
        f'    bool ok = visit_type_enum(v, name, &value, '
        f'&{this.name}_lookup, errp);', '',
        f'    *obj = ({this.name})value;', '    return ok;'])


def list_def(this):
    name = this.name
    return define(signature(this), [
        f'    {name} *tail;', '    bool ok = true;', '',
        '    if (!visit_start_list(v, name, (GenericList **)obj, '
        'sizeof(**obj), errp)) {',
        '        return false;', '    }',
        '    tail = *obj;',
        '    while (tail) {',
        f'        if (!visit_type_{type_name(this.element)}(v, NULL, '
        '&tail->value, errp)) {',
        '            ok = false;', '            break;', '        }',
        f'        tail = ({name} *)visit_next_list(v, (GenericList *)tail,',
        '                                          sizeof(*tail));', '    }',
        '    visit_end_list(v);',
        '    if (visit_is_dealloc(v)) {', '        *obj = NULL;', '    }',
        '    if (!ok && visit_is_input(v)) {',
        f'        qapi_free_{name}(*obj);', '        *obj = NULL;', '    }',
        '    return ok;'])


def member_visit(member):
    field = f'obj->{member.c_name}'
    visit = [f'if (!visit_type_{type_name(member.type)}(v, "{member.name}", '
             f'&{field}, errp)) {{', '    return false;', '}']
    if not member.optional:
        return ['    ' + line for line in visit]
    has = f'has_{member.c_name}'
    if member.needs_has():
        # A list that is there counts even if the flag was forgotten.
        given = f'obj->{has} || {field}' if member.type.pointer \
            else f'obj->{has}'
        keep = [f'        obj->{has} = present;']
    else:
        given, keep = f'{field} != NULL', []
    return ['    {', f'        bool present = {given};', '',
            f'        visit_optional(v, "{member.name}", &present);'] + keep + \
        ['        if (present) {'] + ['            ' + line for line in visit] + \
        ['        }', '    }']


def has_members(this):
    return bool(this.base or this.members or this.variants)


def members_def(this):
    body = []
    if this.base:
        body += [f'    if (!visit_type_{this.base.name}_members(v,',
                 f'            ({this.base.name} *)obj, errp)) {{',
                 '        return false;', '    }']
    for member in this.members:
        body += member_visit(member)
    if this.variants:
        body += [f'    switch (obj->{this.tag.c_name}) {{']
        for variant in this.variants:
            if variant.type.is_empty():
                continue
            body += [f'    case {enum_const(this.tag.type, variant.name)}:',
                     f'        return visit_type_{variant.type.name}_members('
                     f'v, &obj->u.{variant.c_name}, errp);']
        body += ['    default:', '        break;', '    }']
    if not body:
        body = ['    (void)v;', '    (void)obj;', '    (void)errp;']
    return define(members_signature(this), body + ['    return true;'])


def object_def(this):
    name = this.name
    return define(signature(this), [
        '    bool ok = true;', '',
        f'    if (!visit_start_struct(v, name, (void **)obj, sizeof({name}), '
        'errp)) {', '        return false;', '    }',
        '    if (*obj) {',
        f'        ok = visit_type_{name}_members(v, *obj, errp) &&',
        '             visit_check_struct(v, errp);', '    }',
        '    visit_end_struct(v, (void **)obj);',
        '    if (!ok && visit_is_input(v)) {',
        f'        qapi_free_{name}(*obj);', '        *obj = NULL;', '    }',
        '    return ok;'])


KINDS = {'QTYPE_QNUM': 'number', 'QTYPE_QBOOL': 'boolean',
         'QTYPE_QSTRING': 'string', 'QTYPE_QNULL': 'null',
         'QTYPE_QDICT': 'object', 'QTYPE_QLIST': 'array'}


def alternate_def(this):
    name = this.name
    accepts = ' | '.join(f'(1u << {v.type.qtype})' for v in this.variants)
    expected = ' or '.join(KINDS[v.type.qtype] for v in this.variants)
    body = [
        '    bool ok = true;', '',
        '    if (!visit_start_alternate(v, name, (GenericAlternate **)obj,',
        '                               sizeof(**obj),',
        f'                               {accepts}, errp)) {{',
        '        return false;', '    }',
        '    if (*obj) {',
        '        switch ((*obj)->type) {']
    for variant in this.variants:
        field = f'(*obj)->u.{variant.c_name}'
        body.append(f'        case {variant.type.qtype}:')
        if isinstance(variant.type, Object):
            members = 'true' if variant.type.is_empty() else \
                (f'visit_type_{variant.type.name}_members(v, &{field}, '
                 'errp)')
            body += [
                '            ok = visit_start_struct(v, name, NULL, 0, errp);',
                '            if (ok) {',
                f'                ok = {members} &&',
                '                     visit_check_struct(v, errp);',
                '                visit_end_struct(v, NULL);',
                '            }']
        else:
            body.append(f'            ok = visit_type_'
                        f'{type_name(variant.type)}(v, name, &{field}, errp);')
        body.append('            break;')
    body += ['        default:',
             '            ok = visit_is_dealloc(v);',
             '            if (!ok) {',
             f'                visit_wrong_type(v, name, "{expected}", errp);',
             '            }',
             '            break;', '        }', '    }',
             '    visit_end_alternate(v, (void **)obj);',
             '    if (!ok && visit_is_input(v)) {',
             f'        qapi_free_{name}(*obj);', '        *obj = NULL;',
             '    }', '    return ok;']
    return define(signature(this), body)


def generate_module(module, out):
    name = out.name('visit', module.name)
    heads, defs = [], []
    for this in module.types + module.lists:
        if isinstance(this, Object):
            heads.append(members_signature(this) + ';')
            defs += members_def(this)
            if this.implicit:
                continue
        heads.append(signature(this) + ';')
        if isinstance(this, Enum):
            defs += enum_def(this)
            continue
        if isinstance(this, Object):
            defs += object_def(this)
        elif isinstance(this, Alternate):
            defs += alternate_def(this)
        else:
            defs += list_def(this)
        for head, body in tools(this):
            heads.append(head + ';')
            defs += define(head, body)
    out.header(name,
               ['#include "qapi/qapi-builtin-visit.h"'] +
               [out.include('visit', other.name)
                for other in module.includes] +
               [out.include('types', module.name)], heads)
    out.source(name, [f'#include "{out.headers}{name}.h"'], defs)


def generate(schema, out, builtins):
    if builtins:
        lists = builtin_lists(schema)
        defs = []
        for this in lists:
            defs += list_def(this)
        out.header('qapi-builtin-visit',
                   ['#include "qapi/qapi-builtin-types.h"'],
                   [signature(this) + ';' for this in lists])
        out.source('qapi-builtin-visit',
                   ['#include "qapi/qapi-builtin-visit.h"'], defs)
    for module in schema.modules:
        generate_module(module, out)
