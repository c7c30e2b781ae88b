# SPDX-License-Identifier: GPL-2.0-or-later
"""qapi-types-MODULE: enumerations, structs, lists, and what frees them."""
from .names import enum_const
from .schema import Alternate, Builtin, Enum, List, Object


def builtin_lists(schema):
    """A list type of each built-in type, whether the schema has it or not."""
    return [List(this) for this in schema.types.values()
            if isinstance(this, Builtin)]


def list_struct(this):
    return [f'struct {this.name} {{',
            f'    {this.name} *next;',
            f'    {this.element.c_member("value")};',
            '};', '']


def free_decl(name):
    return [f'void qapi_free_{name}({name} *obj);',
            f'G_DEFINE_AUTOPTR_CLEANUP_FUNC({name}, qapi_free_{name})', '']


def free_def(name):
    return [f'void qapi_free_{name}({name} *obj)', '{',
            '    Visitor *v;', '',
            '    if (!obj) {', '        return;', '    }',
            '    v = visitor_dealloc_new();',
            f'    visit_type_{name}(v, NULL, &obj, NULL);',
            '    visit_free(v);', '}', '']


def enum_decl(this):
    lines = [f'typedef enum {this.name} {{']
    lines += [f'    {enum_const(this, value.name)},' for value in this.values]
    lines += [f'    {enum_const(this, "_MAX")},', f'}} {this.name};', '',
              f'extern const QEnumLookup {this.name}_lookup;', '',
              f'#define {this.name}_str(val) \\',
              f'    qapi_enum_lookup(&{this.name}_lookup, (val))', '']
    return lines


def enum_def(this):
    return [f'const QEnumLookup {this.name}_lookup = {{',
            '    .array = (const char *const[]) {'] + \
        [f'        [{enum_const(this, value.name)}] = "{value.name}",'
         for value in this.values] + \
        ['    },', f'    .size = {enum_const(this, "_MAX")}', '};', '']


def member_lines(members, indent='    '):
    lines = []
    for member in members:
        if member.needs_has():
            lines.append(f'{indent}bool has_{member.c_name};')
        lines.append(f'{indent}{member.type.c_member(member.c_name)};')
    return lines


def variant_lines(variants):
    lines = []
    for variant in variants:
        if isinstance(variant.type, Object):
            if not variant.type.is_empty():
                lines.append(f'        {variant.type.name} '
                             f'{variant.c_name};')
        else:
            lines.append(f'        {variant.type.c_member(variant.c_name)};')
    return ['    union {'] + lines + ['    } u;'] if lines else []


def object_struct(this, done):
    """The definition of this, after those it holds by value."""
    if this in done:
        return []
    done.add(this)
    lines = []
    for other in [variant.type for variant in this.variants]:
        if isinstance(other, Object) and other.module is this.module:
            lines += object_struct(other, done)
    lines.append(f'struct {this.name} {{')
    if isinstance(this, Alternate):
        body = ['    QType type;']
    else:
        body = member_lines(this.all_members())
    body += variant_lines(this.variants)
    lines += body or ['    char qapi_dummy_member;']
    lines += ['};', '']
    if isinstance(this, Object) and this.base:
        lines += [f'static inline {this.base.name} *qapi_{this.name}_base'
                  f'({this.name} *obj)', '{',
                  f'    return ({this.base.name} *)obj;', '}', '']
    return lines


def generate_module(schema, module, out):
    name = out.name('types', module.name)
    includes = ['#include "qapi/qapi-builtin-types.h"'] + \
        [out.include('types', other.name) for other in module.includes]
    enums = [this for this in module.types if isinstance(this, Enum)]
    objects = [this for this in module.types if not isinstance(this, Enum)]
    body = []
    for this in enums:
        body += enum_decl(this)
    body += [f'typedef struct {this.name} {this.name};'
             for this in objects + module.lists]
    body.append('')
    done = set()
    for this in objects:
        body += object_struct(this, done)
    for this in module.lists:
        body += list_struct(this)
    freed = [this.name for this in objects + module.lists
             if not getattr(this, 'implicit', False)]
    for this in freed:
        body += free_decl(this)
    out.header(name, includes, body)
    body = []
    for this in enums:
        body += enum_def(this)
    for this in freed:
        body += free_def(this)
    out.source(name, [f'#include "{out.headers}{name}.h"',
                      out.include('visit', module.name)], body)


def generate_builtins(schema, out):
    lists = builtin_lists(schema)
    body = [f'typedef struct {this.name} {this.name};' for this in lists] + ['']
    for this in lists:
        body += list_struct(this)
    for this in lists:
        body += free_decl(this.name)
    out.header('qapi-builtin-types', ['#include "util/visitor.h"'], body)
    body = []
    for this in lists:
        body += free_def(this.name)
    out.source('qapi-builtin-types',
               ['#include "qapi/qapi-builtin-types.h"',
                '#include "qapi/qapi-builtin-visit.h"'], body)


def generate(schema, out, builtins):
    if builtins:
        generate_builtins(schema, out)
    for module in schema.modules:
        generate_module(schema, module, out)
