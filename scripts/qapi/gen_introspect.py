# SPDX-License-Identifier: GPL-2.0-or-later
"""qapi-introspect: the schema as query-qmp-schema describes it.

The names of the schema's own types are no promise, so that numbers stand for
them; what can be relied on is reached from commands and events.
"""
import json

from .schema import Alternate, Builtin, Enum, List, Object


class Introspection:
    def __init__(self, schema):
        self.infos = []
        self.names = {}     # id of a type: name in the description
        self.todo = []
        self.empty = Object('q_empty', None, None, [], None, [], True)
        for module in schema.modules:
            for entity in module.commands + module.events:
                self.call(entity)
        for this in self.todo:      # grows as it is walked
            self.type(this)

    def add(self, name, meta, rest, features):
        info = {'name': name, 'meta-type': meta}
        info.update(rest)
        if features:
            info['features'] = [feature.name for feature in features]
        self.infos.append(info)

    def ref(self, this):
        """The name of a type; what it is will be described."""
        this = this or self.empty
        if isinstance(this, Builtin) and this.json == 'int':
            key = 'int'
        elif isinstance(this, List):
            # Lists of different integers are the same here, too.
            key = '[' + self.ref(this.element) + ']'
        else:
            key = this.name
        if key not in self.names:
            if isinstance(this, Builtin):
                self.names[key] = key
            elif isinstance(this, List):
                self.names[key] = key
            else:
                self.names[key] = str(len(self.names))
            self.todo.append(this)
        return self.names[key]

    def call(self, entity):
        rest = {'arg-type': self.ref(entity.arg)}
        if entity.kind == 'command':
            rest['ret-type'] = self.ref(entity.ret)
            if entity.allow_oob:
                rest['allow-oob'] = True
        self.add(entity.name, entity.kind, rest, entity.features)

    def type(self, this):
        name = self.ref(this)
        if isinstance(this, Builtin):
            self.add(name, 'builtin', {'json-type': this.json}, [])
        elif isinstance(this, List):
            self.add(name, 'array', {'element-type': self.ref(this.element)},
                     [])
        elif isinstance(this, Enum):
            members = []
            for value in this.values:
                member = {'name': value.name}
                if value.features:
                    member['features'] = [f.name for f in value.features]
                members.append(member)
            self.add(name, 'enum',
                     {'members': members,
                      'values': [value.name for value in this.values]},
                     this.features)
        elif isinstance(this, Alternate):
            self.add(name, 'alternate',
                     {'members': [{'type': self.ref(variant.type)}
                                  for variant in this.variants]},
                     this.features)
        else:
            self.object(name, this)

    def object(self, name, this):
        members = []
        for item in this.all_members():
            member = {'name': item.name, 'type': self.ref(item.type)}
            if item.optional:
                member['default'] = None
            if item.features:
                member['features'] = [f.name for f in item.features]
            members.append(member)
        rest = {'members': members}
        if this.tag:
            rest['tag'] = this.tag.name
            given = {variant.name: variant.type for variant in this.variants}
            rest['variants'] = [
                {'case': value.name, 'type': self.ref(given.get(value.name))}
                for value in this.tag.type.values]
        self.add(name, 'object', rest, this.features)


def c_string(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def generate(schema, out):
    name = out.name('introspect')
    symbol = out.symbol('qmp_schema_json')
    infos = Introspection(schema).infos
    out.header(name, [], ['/* A JSON list of SchemaInfo. */',
                          f'extern const char {symbol}[];'])
    lines = [json.dumps(info, separators=(',', ':')) for info in infos]
    out.source(name, [f'#include "{out.headers}{name}.h"'],
               [f'const char {symbol}[] =', '    "["'] +
               ['    ' + c_string(line + (',' if i + 1 < len(lines) else ''))
                for i, line in enumerate(lines)] + ['    "]";'])
