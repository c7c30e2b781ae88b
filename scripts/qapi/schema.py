# SPDX-License-Identifier: GPL-2.0-or-later
"""The schema's entities, checked: what the generators work from."""
import os
import re

from .names import c_name
from .parser import Info, Parser, SchemaError

BUILTINS = {
    # name: (C type, kind of JSON value, kind as introspection names it)
    'int': ('int64_t', 'QTYPE_QNUM', 'int'),
    'int8': ('int8_t', 'QTYPE_QNUM', 'int'),
    'int16': ('int16_t', 'QTYPE_QNUM', 'int'),
    'int32': ('int32_t', 'QTYPE_QNUM', 'int'),
    'int64': ('int64_t', 'QTYPE_QNUM', 'int'),
    'uint8': ('uint8_t', 'QTYPE_QNUM', 'int'),
    'uint16': ('uint16_t', 'QTYPE_QNUM', 'int'),
    'uint32': ('uint32_t', 'QTYPE_QNUM', 'int'),
    'uint64': ('uint64_t', 'QTYPE_QNUM', 'int'),
    'size': ('uint64_t', 'QTYPE_QNUM', 'int'),
    'number': ('double', 'QTYPE_QNUM', 'number'),
    'bool': ('bool', 'QTYPE_QBOOL', 'boolean'),
    'str': ('char *', 'QTYPE_QSTRING', 'string'),
    'null': ('QNull *', 'QTYPE_QNULL', 'null'),
    'any': ('json_object *', None, 'value'),
}

KEYS = {
    # entity: (keys that must be there, keys that may)
    'include': ((), ()),
    'enum': (('data',), ('prefix', 'if', 'features')),
    'struct': (('data',), ('base', 'if', 'features')),
    'union': (('base', 'discriminator', 'data'), ('if', 'features')),
    'alternate': (('data',), ('if', 'features')),
    'command': ((), ('data', 'returns', 'boxed', 'gen', 'session',
                     'allow-oob', 'allow-preconfig', 'any-thread', 'if',
                     'features')),
    'event': ((), ('data', 'boxed', 'if', 'features')),
}

NAMES = {
    'enum': r'[A-Z][A-Za-z0-9]*$',
    'struct': r'[A-Z][A-Za-z0-9]*$',
    'union': r'[A-Z][A-Za-z0-9]*$',
    'alternate': r'[A-Z][A-Za-z0-9]*$',
    'command': r'[a-z][a-z0-9_-]*$',
    'event': r'[A-Z][A-Z0-9_]*$',
}


class Feature:
    def __init__(self, name):
        self.name = name


class Type:
    """Base of all types. name is also the C name of a user's type."""

    def __init__(self, name, info=None, doc=None, features=()):
        self.name = name
        self.info = info
        self.doc = doc
        self.features = features
        self.module = None

    pointer = False     # is a member of the type a pointer that may be NULL?
    needs_has = True    # does an optional member need a has_ flag?

    def c_type(self):
        return self.name

    def c_member(self, name):
        ctype = self.c_type()
        return ctype + ('' if ctype.endswith('*') else ' ') + name

    def c_param(self, name):
        """The declaration of a parameter that hands the value down."""
        return self.c_member(name)


class Builtin(Type):
    def __init__(self, name):
        super().__init__(name)
        self.ctype, self.qtype, self.json = BUILTINS[name]
        self.pointer = self.ctype.endswith('*')
        self.needs_has = not self.pointer

    def c_type(self):
        return self.ctype

    def c_param(self, name):
        return ('const ' if self.name == 'str' else '') + self.c_member(name)


class Enum(Type):
    kind, qtype = 'enum', 'QTYPE_QSTRING'

    def __init__(self, name, info, doc, features, values, prefix):
        super().__init__(name, info, doc, features)
        self.values = values
        self.prefix = prefix


class Object(Type):
    """A struct, a union, or the implicit type of a command's arguments."""
    kind, qtype = 'struct', 'QTYPE_QDICT'
    pointer, needs_has = True, False

    def __init__(self, name, info, doc, features, base, members, implicit):
        super().__init__(name, info, doc, features)
        self.base = base
        self.members = members
        self.implicit = implicit
        self.tag = None
        self.variants = []

    def c_type(self):
        return self.name + ' *'

    def all_members(self):
        return (self.base.all_members() if self.base else []) + self.members

    def is_empty(self):
        return not self.all_members() and not self.variants


class Alternate(Type):
    kind = 'alternate'
    pointer, needs_has = True, False

    def __init__(self, name, info, doc, features, variants):
        super().__init__(name, info, doc, features)
        self.variants = variants

    def c_type(self):
        return self.name + ' *'


class List(Type):
    # An empty list is NULL too, so that the flag is needed.
    kind, qtype, pointer, needs_has = 'list', 'QTYPE_QLIST', True, True

    def __init__(self, element):
        super().__init__(element.name + 'List')
        self.element = element
        self.module = element.module

    def c_type(self):
        return self.name + ' *'


class Member:
    def __init__(self, name, mtype, optional, features):
        self.name = name
        self.type = mtype
        self.optional = optional
        self.features = features
        self.c_name = c_name(name)

    def needs_has(self):
        return self.optional and self.type.needs_has


class Variant:
    def __init__(self, name, vtype):
        self.name = name
        self.type = vtype
        self.c_name = c_name(name)


class Command:
    kind = 'command'

    def __init__(self, name, info, doc, features, arg, ret, expr):
        self.name, self.info, self.doc = name, info, doc
        self.features, self.arg, self.ret = features, arg, ret
        self.boxed = expr.get('boxed', False)
        self.gen = expr.get('gen', True)
        self.session = expr.get('session', False)
        self.allow_oob = expr.get('allow-oob', False)
        self.allow_preconfig = expr.get('allow-preconfig', False)
        self.any_thread = expr.get('any-thread', False)
        self.c_name = c_name(name)


class Event:
    kind = 'event'

    def __init__(self, name, info, doc, features, arg, expr):
        self.name, self.info, self.doc = name, info, doc
        self.features, self.arg = features, arg
        self.boxed = expr.get('boxed', False)
        self.c_name = c_name(name.lower())


class Module:
    """One schema file: its entities in order, free documentation included."""

    def __init__(self, name):
        self.name = name
        self.includes = []
        self.types = []
        self.lists = []
        self.commands = []
        self.events = []
        self.docs = []      # Doc of free text, or an entity, in order


class Schema:
    """Reads the file at path and what it includes.

    symbols: those that conditions ('if') hold true.
    """

    def __init__(self, path, symbols=()):
        self.symbols = frozenset(symbols)
        self.modules = []
        self.types = {}
        self.entities = {}
        self.raw = []       # (module, kind, name, expr, doc, info)
        for name in BUILTINS:
            self.types[name] = Builtin(name)
        self.load(os.path.normpath(path), {}, ())
        self.declare()
        for entry in self.raw:
            self.resolve(*entry)
        self.check()

    # Reading

    def load(self, path, loaded, within):
        if path in within:
            raise SchemaError(Info(path, 1), 'includes itself')
        if path in loaded:
            return loaded[path]
        module = Module(os.path.splitext(os.path.basename(path))[0])
        if any(other.name == module.name for other in self.modules):
            raise SchemaError(Info(path, 1), 'a second module of this name')
        with open(path, encoding='utf-8') as file:
            text = file.read()
        loaded[path] = module
        for expr, doc, info in Parser(path, text).expressions():
            if expr is None:
                module.docs.append(doc)
            elif 'include' in expr:
                self.check_keys('include', expr, info)
                other = os.path.join(os.path.dirname(path), expr['include'])
                module.includes.append(
                    self.load(os.path.normpath(other), loaded,
                              within + (path,)))
            else:
                self.take(module, expr, doc, info)
        self.modules.append(module)
        return module

    @staticmethod
    def check_keys(kind, expr, info):
        must, may = KEYS[kind]
        for key in must:
            if key not in expr:
                raise SchemaError(info, f"{kind} without '{key}'")
        for key in expr:
            if key != kind and key not in must + may:
                raise SchemaError(info, f"{kind} with unknown key '{key}'")

    def take(self, module, expr, doc, info):
        kinds = [key for key in KEYS if key in expr]
        if len(kinds) != 1:
            raise SchemaError(info, 'expected one of ' + ', '.join(KEYS))
        kind = kinds[0]
        self.check_keys(kind, expr, info)
        name = expr[kind]
        if not re.match(NAMES[kind], name) or name.endswith('List'):
            raise SchemaError(info, f"'{name}' is no name of {kind}")
        if not doc or doc.name != name:
            raise SchemaError(info, f"'{name}' is not documented")
        if self.condition(expr.get('if'), info):
            self.raw.append((module, kind, name, expr, doc, info))

    def condition(self, cond, info):
        if cond is None:
            return True
        if isinstance(cond, str):
            return cond in self.symbols
        if isinstance(cond, dict) and len(cond) == 1:
            (word, parts), = cond.items()
            if word == 'not':
                return not self.condition(parts, info)
            if word in ('all', 'any') and isinstance(parts, list) and parts:
                values = [self.condition(part, info) for part in parts]
                return all(values) if word == 'all' else any(values)
        raise SchemaError(info, f"'{cond}' is no condition")

    # Resolving

    def declare(self):
        """Makes the types' objects, so that they may name each other."""
        for module, kind, name, expr, doc, info in self.raw:
            if kind in ('command', 'event'):
                if (kind, name) in self.entities:
                    raise SchemaError(info, f"a second {kind} '{name}'")
                self.entities[kind, name] = None
                continue
            if name in self.types:
                raise SchemaError(info, f"a second type '{name}'")
            features = self.features(expr, info)
            if kind == 'enum':
                values = self.enum_values(expr, info)
                new = Enum(name, info, doc, features, values,
                           expr.get('prefix'))
            elif kind == 'alternate':
                new = Alternate(name, info, doc, features, [])
            else:
                new = Object(name, info, doc, features, None, [], False)
            new.module = module
            self.types[name] = new

    def features(self, expr, info):
        res = []
        for item in expr.get('features', []):
            item = {'name': item} if isinstance(item, str) else item
            if self.condition(item.get('if'), info):
                res.append(Feature(item['name']))
        return res

    def enum_values(self, expr, info):
        values = []
        for item in expr['data']:
            item = {'name': item} if isinstance(item, str) else item
            if set(item) - {'name', 'if', 'features'} or 'name' not in item:
                raise SchemaError(info, f"'{item}' is no value")
            if not re.match(r'[A-Za-z0-9][A-Za-z0-9_-]*$', item['name']):
                raise SchemaError(info, f"'{item['name']}' is no value's name")
            if self.condition(item.get('if'), info):
                values.append(Member(item['name'], None, False,
                                     self.features(item, info)))
        self.unique(values, info)
        return values

    @staticmethod
    def unique(members, info):
        names = [member.c_name for member in members]
        for name in names:
            if names.count(name) > 1:
                raise SchemaError(info, f"'{name}' is there twice")

    def lookup(self, name, info):
        if isinstance(name, list):
            if len(name) != 1:
                raise SchemaError(info, 'a list has one element type')
            element = self.lookup(name[0], info)
            if isinstance(element, List):
                raise SchemaError(info, 'a list of lists is not supported')
            key = element.name + 'List'
            if key not in self.types:
                self.types[key] = List(element)
                if element.module:
                    element.module.lists.append(self.types[key])
            return self.types[key]
        if not isinstance(name, str) or name not in self.types:
            raise SchemaError(info, f"there is no type '{name}'")
        return self.types[name]

    def members(self, data, info):
        res = []
        for key, value in data.items():
            optional = key.startswith('*')
            name = key[1:] if optional else key
            if not re.match(r'[A-Za-z0-9][A-Za-z0-9_-]*$', name):
                raise SchemaError(info, f"'{name}' is no member's name")
            if not isinstance(value, dict):
                value = {'type': value}
            if set(value) - {'type', 'if', 'features'} or 'type' not in value:
                raise SchemaError(info, f"'{name}': expected type, if, "
                                  'features')
            if self.condition(value.get('if'), info):
                res.append(Member(name, self.lookup(value['type'], info),
                                  optional, self.features(value, info)))
        return res

    def implicit(self, module, name, data, doc, info):
        new = Object(name, info, doc, [], None, self.members(data, info), True)
        new.module = module
        self.types[name] = new
        module.types.append(new)
        return new

    def object_of(self, name, info):
        found = self.lookup(name, info)
        if not isinstance(found, Object):
            raise SchemaError(info, f"'{name}' is not a struct or union")
        return found

    def resolve(self, module, kind, name, expr, doc, info):
        if kind in ('command', 'event'):
            self.resolve_call(module, kind, name, expr, doc, info)
            return
        this = self.types[name]
        if kind == 'struct':
            if 'base' in expr:
                this.base = self.object_of(expr['base'], info)
            this.members = self.members(expr['data'], info)
        elif kind == 'union':
            if isinstance(expr['base'], dict):
                this.members = self.members(expr['base'], info)
            else:
                this.base = self.object_of(expr['base'], info)
            this.tag = expr['discriminator']
            this.variants = self.variants(expr, info)
        elif kind == 'alternate':
            this.variants = self.variants(expr, info)
        module.types.append(this)
        module.docs.append(this)

    def variants(self, expr, info):
        res = []
        for name, value in expr['data'].items():
            value = value if isinstance(value, dict) else {'type': value}
            if self.condition(value.get('if'), info):
                res.append(Variant(name, self.lookup(value['type'], info)))
        self.unique(res, info)
        return res

    def resolve_call(self, module, kind, name, expr, doc, info):
        data = expr.get('data')
        arg = None
        if isinstance(data, dict):
            if expr.get('boxed'):
                raise SchemaError(info, f"boxed '{name}' needs a named type")
            if data:
                arg = self.implicit(module, f'q_obj_{c_name(name)}_arg', data,
                                    doc, info)
        elif data is not None:
            arg = self.object_of(data, info)
            if arg.variants and not expr.get('boxed'):
                raise SchemaError(info, f"'{name}' with a union must be boxed")
        features = self.features(expr, info)
        if kind == 'event':
            new = Event(name, info, doc, features, arg, expr)
            module.events.append(new)
        else:
            ret = self.lookup(expr['returns'], info) \
                if 'returns' in expr else None
            new = Command(name, info, doc, features, arg, ret, expr)
            module.commands.append(new)
        module.docs.append(new)
        self.entities[kind, name] = new

    # Checking what only the whole schema tells

    def check(self):
        for this in list(self.types.values()):
            if isinstance(this, Object):
                self.check_base(this)
        for this in list(self.types.values()):
            if isinstance(this, Object):
                self.unique(this.all_members(), this.info)
                self.check_union(this)
            elif isinstance(this, Alternate):
                self.check_alternate(this)
        for module in self.modules:
            for entity in module.docs:
                if hasattr(entity, 'kind'):
                    self.check_doc(entity)

    @staticmethod
    def check_base(this):
        base, seen = this.base, {this.name}
        while base:
            if base.name in seen:
                raise SchemaError(this.info, f"'{this.name}' is its own base")
            if base.variants:
                raise SchemaError(this.info, 'a union cannot be a base')
            seen.add(base.name)
            base = base.base

    @staticmethod
    def check_union(this):
        if this.tag is None:
            return
        tags = [m for m in this.all_members() if m.name == this.tag]
        if not tags or tags[0].optional or not isinstance(tags[0].type, Enum):
            raise SchemaError(this.info, f"discriminator '{this.tag}' is not "
                              'a mandatory member of enum type')
        this.tag = tags[0]
        cases = [value.name for value in this.tag.type.values]
        common = {m.c_name for m in this.all_members()}
        for variant in this.variants:
            if variant.name not in cases:
                raise SchemaError(this.info, f"'{variant.name}' is no value "
                                  f"of '{this.tag.type.name}'")
            if not isinstance(variant.type, Object):
                raise SchemaError(this.info, f"branch '{variant.name}' is "
                                  'not a struct or union')
            for member in variant.type.all_members():
                if member.c_name in common:
                    raise SchemaError(
                        this.info, f"'{member.name}' is both a common member "
                        f"and one of branch '{variant.name}'")

    @staticmethod
    def check_alternate(this):
        kinds = []
        for variant in this.variants:
            qtype = getattr(variant.type, 'qtype', None)
            if qtype is None:
                raise SchemaError(this.info, f"branch '{variant.name}' "
                                  'cannot be told by its kind')
            kinds.append(qtype)
        if len(set(kinds)) != len(kinds) or not kinds:
            raise SchemaError(this.info, 'two branches of the same kind')

    def check_doc(self, entity):
        """Everything is documented, and nothing that is not there."""
        arg = getattr(entity, 'arg', None)
        if isinstance(entity, Enum):
            names = [value.name for value in entity.values]
        elif isinstance(entity, Object):
            names = [member.name for member in entity.members]
        elif isinstance(entity, Alternate):
            names = [variant.name for variant in entity.variants]
        elif arg is not None and arg.implicit:
            names = [member.name for member in arg.members]
        else:
            names = []
        features = [feature.name for feature in entity.features]
        for part, has, needed in (('member', entity.doc.members, names),
                                  ('feature', entity.doc.features, features)):
            for name in needed:
                if name not in has:
                    raise SchemaError(entity.info, f"{part} '{name}' of "
                                      f"'{entity.name}' is not documented")
            if part == 'member' and self.symbols is not None:
                # One that a condition takes away stays documented.
                needed = needed + self.conditional(entity.name)
            for name in has:
                if name not in needed and name not in features:
                    raise SchemaError(entity.info, f"'{entity.name}' has no "
                                      f"{part} '{name}', but documents it")

    def conditional(self, name):
        """Names of members and values with a condition in entity name."""
        res = []
        for _, _, this, expr, _, _ in self.raw:
            data = expr.get('data')
            if this != name or not isinstance(data, (dict, list)):
                continue
            items = data.items() if isinstance(data, dict) \
                else [(v['name'], v) for v in data if isinstance(v, dict)]
            res += [key.lstrip('*') for key, value in items
                    if isinstance(value, dict)]
        return res
