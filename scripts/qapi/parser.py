# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the text of one schema file.

The language: JSON-like values with single-quoted strings, true and false;
comments from '#' to the end of the line; documentation comments between two
lines that hold nothing but '##'.
"""
import re

TOKEN = re.compile(r"""
    (?P<space>[ \t\r]+) | (?P<newline>\n)
  | (?P<doc>\#\#\n(?:\#(?!\#).*\n)*\#\#(?=\n|\Z))
  | (?P<comment>\#.*)
  | (?P<string>'(?:[^'\\\n]|\\.)*')
  | (?P<punct>[{}\[\]:,])
  | (?P<word>true|false)\b
""", re.VERBOSE)


class SchemaError(Exception):
    """An error with the place in the schema where it was found."""

    def __init__(self, info, message):
        super().__init__(f'{info}: {message}')


class Info:
    """A place in a schema file."""

    def __init__(self, path, line):
        self.path = path
        self.line = line

    def __str__(self):
        return f'{self.path}:{self.line}'


class Doc:
    """One documentation comment.

    name: what it documents, None for a section of free text.
    text: the body; members, features: name to text; tags: 'Returns',
    'Errors' and 'Since' to text.
    """

    TAGS = ('Returns', 'Errors', 'Since', 'Note')

    def __init__(self, info, comment):
        self.info = info
        self.name = None
        self.text = []
        self.members = {}
        self.features = {}
        self.tags = {}
        lines = [self.strip(line) for line in comment.split('\n')[1:-1]]
        if lines and (match := re.match(r'@([\w.-]+):$', lines[0])):
            self.name = match[1]
            self.read(lines[1:])
        else:
            self.text = lines
        if not any(self.text):
            raise SchemaError(info, 'documentation says nothing')

    @staticmethod
    def strip(line):
        return line[2:].rstrip() if line.startswith('# ') else ''

    def read(self, lines):
        """Sorts the lines after '@NAME:' into their parts."""
        into, kind = self.text, self.members
        for line in lines:
            if match := re.match(r'@([\w.-]+):\s*(.*)$', line):
                if match[1] in kind:
                    raise SchemaError(self.info,
                                      f"'@{match[1]}' documented twice")
                into = kind[match[1]] = [match[2]]
            elif line == 'Features:':
                into, kind = [], self.features
            elif (match := re.match(r'(\w+):\s*(.*)$', line)) \
                    and match[1] in self.TAGS:
                into = self.tags[match[1]] = [match[2]]
            else:
                into.append(line)


class Parser:
    """The values and documentation comments of one file, in order."""

    def __init__(self, path, text):
        self.path = path
        self.tokens = list(self.tokenize(text))
        self.pos = 0

    def tokenize(self, text):
        pos, line = 0, 1
        while pos < len(text):
            match = TOKEN.match(text, pos)
            if not match:
                raise SchemaError(Info(self.path, line),
                                  f"stray '{text[pos]}'")
            if match.lastgroup in ('doc', 'string', 'punct', 'word'):
                yield match.lastgroup, match[0], Info(self.path, line)
            line += match[0].count('\n')
            pos = match.end()
        yield 'end', '', Info(self.path, line)

    def expressions(self):
        """(value, its Doc or None, Info) of each top-level value; free
        documentation comes with value None."""
        doc = None
        while True:
            kind, text, info = self.tokens[self.pos]
            if kind == 'doc' or kind == 'end':
                if doc and doc.name:
                    raise SchemaError(
                        doc.info, f"documentation of '{doc.name}' is not "
                        'followed by its definition')
                if kind == 'end':
                    return
                self.pos += 1
                doc = Doc(info, text)
                if not doc.name:
                    yield None, doc, info
                    doc = None
                continue
            value = self.value()
            if not isinstance(value, dict):
                raise SchemaError(info, 'expected an object')
            yield value, doc, info
            doc = None

    def next(self):
        token = self.tokens[self.pos]
        if token[0] != 'doc':
            self.pos += 1
            return token
        raise SchemaError(token[2], 'documentation within a definition')

    def value(self):
        kind, text, info = self.next()
        if kind == 'string':
            return re.sub(r'\\(.)', r'\1', text[1:-1])
        if kind == 'word':
            return text == 'true'
        if text == '[':
            return self.sequence(']', self.value)
        if text == '{':
            pairs = self.sequence('}', self.pair)
            keys = [key for key, _ in pairs]
            for key in keys:
                if keys.count(key) > 1:
                    raise SchemaError(info, f"key '{key}' given twice")
            return dict(pairs)
        raise SchemaError(info, f"expected a value, not '{text}'")

    def pair(self):
        kind, text, info = self.next()
        if kind != 'string':
            raise SchemaError(info, f"expected a key, not '{text}'")
        colon = self.next()
        if colon[1] != ':':
            raise SchemaError(colon[2], "expected ':'")
        return text[1:-1], self.value()

    def sequence(self, close, item):
        items = []
        if self.tokens[self.pos][1] == close:
            self.pos += 1
            return items
        while True:
            items.append(item())
            _, text, info = self.next()
            if text == close:
                return items
            if text != ',':
                raise SchemaError(info, f"expected ',' or '{close}'")
