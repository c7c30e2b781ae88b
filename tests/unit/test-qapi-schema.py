# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/qapi refuses, each with the reason and the line."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__),
                                '../../scripts'))

from qapi.names import upper  # noqa: E402
from qapi.parser import SchemaError  # noqa: E402
from qapi.schema import Schema  # noqa: E402


def doc(name, *members):
    """A documentation comment for name."""
    lines = ['##', f'# @{name}:', '#', '# Text.', '#']
    for member in members:
        lines += [f'# @{member}: text', '#']
    return '\n'.join(lines[:-1] + ['##']) + '\n'


S = doc('S', 'a') + "{ 'struct': 'S', 'data': { 'a': 'int' } }\n"
E = doc('E', 'x', 'y') + "{ 'enum': 'E', 'data': [ 'x', 'y' ] }\n"

BAD = [
    # Language
    ('[]', 'expected an object'),
    ('{ "struct": 1 }', "stray '\"'"),
    ("{ 'struct': 'S'", "expected ',' or '}'"),
    ("{ 'struct' 'S' }", "expected ':'"),
    ("{ 'enum': 'E', 'enum': 'E' }", 'given twice'),
    ("{ 'foo': 'S' }", 'expected one of'),
    ("{ 'struct': 'S' }", "struct without 'data'"),
    (doc('S') + "{ 'struct': 'S', 'data': {}, 'x': 1 }", "stray '1'"),
    (doc('S') + "{ 'struct': 'S', 'data': {}, 'x': true }",
     "unknown key 'x'"),
    # Documentation
    ("{ 'struct': 'S', 'data': {} }", "'S' is not documented"),
    (doc('T') + "{ 'struct': 'S', 'data': {} }", "'S' is not documented"),
    (doc('S') + "{ 'struct': 'S', 'data': { 'a': 'int' } }",
     "member 'a' of 'S' is not documented"),
    (doc('S', 'b') + "{ 'struct': 'S', 'data': {} }", "no member 'b'"),
    (doc('S', 'a', 'a') + "{ 'struct': 'S', 'data': { 'a': 'int' } }",
     'documented twice'),
    (doc('S'), 'not followed by its definition'),
    ('##\n##\n', 'says nothing'),
    (doc('S') + "{ 'struct': 'S', 'data': {}, 'features': [ 'f' ] }",
     "feature 'f' of 'S' is not documented"),
    # Names
    (doc('s') + "{ 'struct': 's', 'data': {} }", 'no name of struct'),
    (doc('SList') + "{ 'struct': 'SList', 'data': {} }", 'no name of struct'),
    (doc('Foo') + "{ 'command': 'Foo' }", 'no name of command'),
    (doc('foo') + "{ 'event': 'foo' }", 'no name of event'),
    (doc('S') + "{ 'struct': 'S', 'data': { '-a': 'int' } }",
     "no member's name"),
    (S + S, "second type 'S'"),
    (2 * (doc('c') + "{ 'command': 'c' }\n"), "second command 'c'"),
    (doc('E', 'a-b', 'a_b') + "{ 'enum': 'E', 'data': [ 'a-b', 'a_b' ] }",
     'is there twice'),
    # Types
    (doc('S', 'a') + "{ 'struct': 'S', 'data': { 'a': 'T' } }",
     "no type 'T'"),
    (doc('S', 'a') + "{ 'struct': 'S', 'data': { 'a': [ [ 'int' ] ] } }",
     'list'),
    (doc('S') + "{ 'struct': 'S', 'base': 'E', 'data': {} }" + E,
     'not a struct or union'),
    (doc('S') + "{ 'struct': 'S', 'base': 'S', 'data': {} }", 'own base'),
    (S + doc('T', 'a') +
     "{ 'struct': 'T', 'base': 'S', 'data': { 'a': 'int' } }",
     'is there twice'),
    # Unions and alternates
    (E + doc('U', 't') + "{ 'union': 'U', 'base': { 't': 'int' }, "
     "'discriminator': 't', 'data': {} }", 'discriminator'),
    (E + doc('U', 't') + "{ 'union': 'U', 'base': { '*t': 'E' }, "
     "'discriminator': 't', 'data': {} }", 'discriminator'),
    (S + E + doc('U', 't') + "{ 'union': 'U', 'base': { 't': 'E' }, "
     "'discriminator': 't', 'data': { 'z': 'S' } }", "no value of 'E'"),
    (E + doc('U', 't') + "{ 'union': 'U', 'base': { 't': 'E' }, "
     "'discriminator': 't', 'data': { 'x': 'int' } }",
     'not a struct or union'),
    (S + E + doc('U', 't', 'a') + "{ 'union': 'U', 'base': { 't': 'E', "
     "'a': 'int' }, 'discriminator': 't', 'data': { 'x': 'S' } }",
     'both a common member'),
    (doc('A', 'i', 'n') +
     "{ 'alternate': 'A', 'data': { 'i': 'int', 'n': 'number' } }",
     'same kind'),
    (E + doc('A', 's', 'e') +
     "{ 'alternate': 'A', 'data': { 's': 'str', 'e': 'E' } }", 'same kind'),
    (doc('A', 'a') + "{ 'alternate': 'A', 'data': { 'a': 'any' } }",
     'cannot be told'),
    # Commands
    (doc('c', 'a') + "{ 'command': 'c', 'data': { 'a': 'int' }, "
     "'boxed': true }", 'needs a named type'),
    (doc('c') + "{ 'command': 'c', 'data': 'int' }",
     'not a struct or union'),
    (S + E + doc('U', 't') + "{ 'union': 'U', 'base': { 't': 'E' }, "
     "'discriminator': 't', 'data': { 'x': 'S' } }" +
     doc('c') + "{ 'command': 'c', 'data': 'U' }", 'must be boxed'),
    # Conditions
    (doc('c') + "{ 'command': 'c', 'if': { 'xor': [ 'A' ] } }",
     'no condition'),
]


class Refused(unittest.TestCase):
    def read(self, text, **more):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in {'main.json': text, **more}.items():
                with open(os.path.join(folder, name), 'w',
                          encoding='utf-8') as file:
                    file.write(content)
            return Schema(os.path.join(folder, 'main.json'))

    def test_bad(self):
        for text, reason in BAD:
            with self.subTest(text=text):
                with self.assertRaises(SchemaError) as caught:
                    self.read(text)
                self.assertIn(reason, str(caught.exception))
                self.assertRegex(str(caught.exception), r'main\.json:\d+: ')

    def test_line(self):
        with self.assertRaises(SchemaError) as caught:
            self.read(S + '\n# comment\n' + doc('T', 'b') +
                      "{ 'struct': 'T',\n  'data': { 'b': 'none' } }")
        self.assertIn('main.json:18: ', str(caught.exception))

    def test_include(self):
        schema = self.read("{ 'include': 'a.json' }\n{ 'include': 'b.json' }",
                           **{'a.json': S,
                              'b.json': "{ 'include': 'a.json' }\n" + E})
        self.assertEqual([m.name for m in schema.modules], ['a', 'b', 'main'])
        with self.assertRaises(SchemaError) as caught:
            self.read("{ 'include': 'a.json' }",
                      **{'a.json': "{ 'include': 'main.json' }"})
        self.assertIn('includes itself', str(caught.exception))
        with self.assertRaises(OSError):
            self.read("{ 'include': 'missing.json' }")

    def test_upper(self):
        for name, expected in (('MigrationStatus', 'MIGRATION_STATUS'),
                               ('QMPCapability', 'QMP_CAPABILITY'),
                               ('JSONType', 'JSON_TYPE'),
                               ('OnOffAuto', 'ON_OFF_AUTO'),
                               ('MultiFDCompression',
                                'MULTI_FD_COMPRESSION')):
            self.assertEqual(upper(name), expected)


if __name__ == '__main__':
    unittest.main()
