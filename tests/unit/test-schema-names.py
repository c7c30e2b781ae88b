#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the schema with QEMU 11.1's names and types.

data/qemu-11.1-schema.json has, as facts, the commands and events of QEMU 11.1
that exist here or are to exist, in the form that introspection shows: no names
of types. Whatever the schema here has under such a name must be what a client
of QEMU expects: every argument and every result of the same type and
optionality, nothing beyond it, and in results nothing missing that is always
there. What is this project's own is in OWN.

usage: test-schema-names.py SCHEMA.json DATA.json
"""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__),
                                '../../scripts'))

from qapi.gen_introspect import Introspection  # noqa: E402
from qapi.schema import Schema  # noqa: E402

# Additions of this project, as paths.
OWN = {
    'query-migrate.returns.*devices',
    'query-migrate.returns.*switchover',
    'query-migrate.returns.*fast-load',
    'query-migrate.returns.*snapshot',
}

# Commands and events that QEMU 11.1 does not have.
OWN_NAMES = set()


class Ours:
    """The schema here in the form of the data."""

    def __init__(self, path):
        infos = Introspection(Schema(path)).infos
        self.names = [info['name'] for info in infos]
        self.types = {info['name']: info for info in infos
                      if info['meta-type'] not in ('command', 'event')}
        self.calls = [info for info in infos
                      if info['meta-type'] in ('command', 'event')]

    def expand(self, name, within=()):
        info = self.types[name]
        meta = info['meta-type']
        if meta == 'builtin':
            return name
        if meta == 'array':
            return [self.expand(info['element-type'], within)]
        if meta == 'enum':
            return {'enum': info['values']}
        if meta == 'alternate':
            return {'alternate': [self.expand(member['type'], within)
                                  for member in info['members']]}
        if name in within:
            return '...'
        within += (name,)
        res = {'members': {
            ('*' if 'default' in member else '') + member['name']:
            self.expand(member['type'], within)
            for member in info['members']}}
        if 'tag' in info:
            res['tag'] = info['tag']
            res['cases'] = {variant['case']:
                            self.expand(variant['type'], within)
                            for variant in info['variants']}
        return res


class Comparison:
    def __init__(self):
        self.faults = []

    def fault(self, path, text):
        self.faults.append(f'{path}: {text}')

    def compare(self, path, ours, theirs, result):
        """result: whether the value goes to the client."""
        if '...' in (ours, theirs):
            return
        if isinstance(ours, list) and isinstance(theirs, list):
            self.compare(path + '[]', ours[0], theirs[0], result)
        elif isinstance(ours, str) or isinstance(theirs, str) or \
                isinstance(ours, list) or isinstance(theirs, list):
            if ours != theirs:
                self.fault(path, f'is {ours}, expected {theirs}')
        elif 'enum' in theirs and 'enum' in ours:
            for value in set(ours['enum']) - set(theirs['enum']):
                self.fault(path, f"has value '{value}'")
        elif 'alternate' in theirs and 'alternate' in ours:
            for branch in ours['alternate']:
                if branch not in theirs['alternate']:
                    self.fault(path, f'has branch {branch}')
        elif 'members' in theirs and 'members' in ours:
            self.members(path, ours, theirs, result)
        else:
            self.fault(path, f'is {ours}, expected {theirs}')

    def members(self, path, ours, theirs, result):
        for name, value in ours['members'].items():
            below = f'{path}.{name}'
            if name in theirs['members']:
                self.compare(below, value, theirs['members'][name], result)
            elif below not in OWN:
                self.fault(below, 'is not there, or not so, in QEMU')
        for name in theirs['members']:
            if not name.startswith('*') and name not in ours['members']:
                self.fault(f'{path}.{name}', 'is missing')
        if ours.get('tag') != theirs.get('tag'):
            self.fault(path, f"tag is {ours.get('tag')}")
            return
        for case, value in ours.get('cases', {}).items():
            if case not in theirs['cases']:
                self.fault(path, f"has case '{case}'")
            else:
                self.compare(f'{path}<{case}>', value, theirs['cases'][case],
                             result)


def main():
    ours = Ours(sys.argv[1])
    with open(sys.argv[2], encoding='utf-8') as file:
        theirs = json.load(file)
    check = Comparison()
    compared = 0
    # A client may keep what it reads by its name, as libvirt does.
    for name in {name for name in ours.names if ours.names.count(name) > 1}:
        check.fault(name, 'is described more than once')
    for info in ours.calls:
        name = info['name']
        arg = ours.expand(info['arg-type'])
        known = theirs[info['meta-type'] + 's'].get(name)
        if known is None:
            if name not in OWN_NAMES:
                check.fault(name, 'is not in the list of what QEMU has')
            continue
        compared += 1
        if info['meta-type'] == 'event':
            check.compare(f'{name}.data', arg, known, True)
            continue
        check.compare(f'{name}.arguments', arg, known['arguments'], False)
        check.compare(f'{name}.returns', ours.expand(info['ret-type']),
                      known.get('returns', {'members': {}}), True)
        if info.get('allow-oob', False) != known.get('allow-oob', False):
            check.fault(name, 'differs in allow-oob')
    print(f'1..1\n# {compared} commands and events compared')
    for fault in check.faults:
        print('# ' + fault)
    print(('not ' if check.faults or not compared else '') +
          'ok 1 schema-names')
    return 1 if check.faults else 0


if __name__ == '__main__':
    sys.exit(main())
