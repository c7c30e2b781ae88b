#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes a saved migration stream apart by its own description record.

Save one with   (qemu) migrate "exec:cat > FILE"   then:

analyze-migration.py FILE             sections, and every device's fields (JSON)
analyze-migration.py -d state FILE    the same
analyze-migration.py -d desc FILE     the description record alone
analyze-migration.py -d sections FILE one line a section: offset, size, kind
analyze-migration.py -x DIR FILE      also writes guest memory, DIR/BLOCK.ram

Streams of QEMU can be read as well, as far as their sections are described.
"""
import argparse
import collections
import json
import mmap
import os
import struct
import sys

MAGIC = 0x5145564D
VERSION = 3

EOF, START, PART, END, FULL = 0, 1, 2, 3, 4
SUBSECTION, DESCRIPTION, CONFIGURATION, COMMAND, FOOTER = 5, 6, 7, 8, 0x7E

KINDS = {START: 'start', PART: 'part', END: 'end', FULL: 'full'}

COMMANDS = {1: 'open-return-path', 2: 'ping', 3: 'postcopy-advise',
            4: 'postcopy-listen', 5: 'postcopy-run',
            6: 'postcopy-ram-discard', 7: 'packaged', 8: 'enable-colo',
            9: 'postcopy-resume', 10: 'recv-bitmap', 11: 'switchover-start'}

RAM_ZERO, RAM_SIZES, RAM_PAGE, RAM_EOS = 0x02, 0x04, 0x08, 0x10
RAM_CONTINUE, RAM_FLUSH = 0x20, 0x200
PAGE_BYTES = 4096


class StreamError(Exception):
    """The file is not what the format says."""


class Reader:
    """Numbers and bytes of a file, big-endian, with the place in errors."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def fail(self, text):
        raise StreamError(f'offset {self.at}: {text}')

    def take(self, count):
        if count > len(self.data) - self.at:
            self.fail(f'the file ends before {count} bytes')
        taken = self.data[self.at:self.at + count]
        self.at += count
        return taken

    def peek(self, count):
        return self.data[self.at:self.at + count]

    def u8(self):
        return self.take(1)[0]

    def be16(self):
        return struct.unpack('>H', self.take(2))[0]

    def be32(self):
        return struct.unpack('>I', self.take(4))[0]

    def be64(self):
        return struct.unpack('>Q', self.take(8))[0]

    def name(self):
        return self.take(self.u8()).decode('ascii', 'backslashreplace')


# ---- fields, by the description ----

def decode_value(kind, raw):
    """What bytes mean, by the type's name in the description."""
    words = kind.split()
    if kind == 'bool':
        return raw != b'\0'
    if words and words[0].lstrip('u').startswith('int') and len(raw) in (1, 2, 4, 8):
        order = 'little' if 'le' in words else 'big'
        return int.from_bytes(raw, order, signed=words[0].startswith('i'))
    if kind == 'timer':
        return int.from_bytes(raw, 'big', signed=True)
    return raw.hex(' ')


def read_field(reader, field):
    """One field, or one element of it."""
    start = reader.at
    if 'struct' in field:
        value = read_fields(reader, field['struct'])
    else:
        value = decode_value(field['type'], reader.take(field['size']))
    if reader.at - start != field['size']:
        reader.fail(f"field '{field['name']}' has {reader.at - start} bytes, "
                    f"its description says {field['size']}")
    return value


def read_fields(reader, description):
    """All fields and subsections that @description names."""
    state = {}
    for field in description['fields']:
        name = field['name']
        if 'array_len' in field:
            state[name] = [read_field(reader, field)
                           for _ in range(field['array_len'])]
        elif 'index' in field:
            state.setdefault(name, []).append(read_field(reader, field))
        else:
            state[name] = read_field(reader, field)
    for sub in description.get('subsections', []):
        if reader.u8() != SUBSECTION:
            reader.fail(f"subsection '{sub['vmsd_name']}' is missing")
        name = reader.name()
        if name != sub['vmsd_name']:
            reader.fail(f"subsection '{name}' where '{sub['vmsd_name']}' is "
                        'described')
        reader.be32()
        state[name] = read_fields(reader, sub)
    return state


# ---- memory ----

class Memory:
    """Section "ram": counts the pages, and writes them if asked to."""

    def __init__(self, folder):
        self.folder = folder
        self.sizes = collections.OrderedDict()
        self.pages = collections.Counter()
        self.block = None
        self.files = {}

    def file(self, block):
        if block not in self.files:
            path = os.path.join(self.folder, block.replace('/', '_') + '.ram')
            self.files[block] = open(path, 'wb')
            self.files[block].truncate(self.sizes[block])
        return self.files[block]

    def store(self, block, offset, data):
        if self.folder is not None:
            file = self.file(block)
            file.seek(offset)
            file.write(data)

    def read_mapped(self, reader, block):
        """A block whose pages have their places in the file."""
        reader.be32()
        page_bytes, bitmap_at, pages_at = (reader.be64() for _ in range(3))
        count = self.sizes[block] // PAGE_BYTES
        if page_bytes != PAGE_BYTES:
            reader.fail(f"pages of {page_bytes} bytes in block '{block}'")
        if not reader.at <= bitmap_at <= pages_at <= len(reader.data):
            reader.fail(f"the places of block '{block}' are not in the file")
        reader.at = bitmap_at
        bitmap = int.from_bytes(reader.take((count + 63) // 64 * 8), 'little')
        reader.at = pages_at
        for page in range(count):
            data = reader.take(PAGE_BYTES)
            normal = bitmap >> page & 1
            self.pages['normal' if normal else 'zero'] += 1
            if normal:
                self.store(block, page * PAGE_BYTES, data)

    def read_sizes(self, reader, left, capabilities):
        while left > 0:
            name = reader.name()
            size = reader.be64()
            if not name or size > left:
                reader.fail(f"block '{name}' of {size} bytes; {left} are left")
            self.sizes[name] = size
            left -= size
            if 'x-ignore-shared' in capabilities:
                reader.be64()
            if 'mapped-ram' in capabilities:
                self.read_mapped(reader, name)

    def read(self, reader, capabilities):
        """One section's records, up to its end mark."""
        while True:
            word = reader.be64()
            offset, flags = word & ~(PAGE_BYTES - 1), word & (PAGE_BYTES - 1)
            if flags == RAM_EOS:
                return
            if flags == RAM_FLUSH:
                continue
            if flags == RAM_SIZES:
                self.read_sizes(reader, offset, capabilities)
                continue
            if not flags & RAM_CONTINUE:
                self.block = reader.name()
            if self.block not in self.sizes:
                reader.fail(f"a page of block '{self.block}'")
            if flags & ~RAM_CONTINUE == RAM_ZERO:
                reader.u8()
                self.pages['zero'] += 1
                self.store(self.block, offset, bytes(PAGE_BYTES))
            elif flags & ~RAM_CONTINUE == RAM_PAGE:
                self.pages['normal'] += 1
                self.store(self.block, offset, reader.take(PAGE_BYTES))
            else:
                reader.fail(f'flags 0x{flags:x} of a page')

    def summary(self):
        return {'blocks': self.sizes, 'pages': dict(self.pages)}


# ---- the stream ----

class Stream:
    """A whole file, section by section."""

    def __init__(self, data, folder=None):
        self.reader = Reader(data)
        self.description = find_description(data)
        self.devices = {(d['name'], d['instance_id']): d
                        for d in self.description['devices']}
        self.memory = Memory(folder)
        self.configuration = {}
        self.sections = []
        self.state = collections.OrderedDict()
        self.names = {}

    def read(self):
        reader = self.reader
        if reader.be32() != MAGIC:
            reader.fail('not a migration stream')
        version = reader.be32()
        if version != VERSION:
            reader.fail(f'stream version {version}; {VERSION} can be read')
        if reader.peek(1) == bytes([CONFIGURATION]):
            reader.u8()
            self.read_configuration()
        while True:
            start = reader.at
            kind = reader.u8()
            if kind == EOF:
                return
            if kind == COMMAND:
                number, length = reader.be16(), reader.be16()
                reader.take(length)
                self.note(start, 'command', COMMANDS.get(number, str(number)))
            elif kind in KINDS:
                self.read_section(start, kind)
            else:
                reader.fail(f'section type 0x{kind:02x}')

    def note(self, start, kind, name):
        self.sections.append((start, self.reader.at - start, kind, name))

    def read_configuration(self):
        reader = self.reader
        start = reader.at - 1
        self.configuration['machine'] = reader.take(reader.be32()).decode()
        while reader.peek(1) == bytes([SUBSECTION]):
            reader.u8()
            name = reader.name()
            reader.be32()
            if name == 'configuration/capabilities':
                value = [reader.name() for _ in range(reader.be32())]
            elif name == 'configuration/uuid':
                value = reader.take(16).hex()
            elif name == 'configuration/target-page-bits':
                value = reader.be32()
            else:
                reader.fail(f"configuration subsection '{name}'")
            self.configuration[name.split('/')[1]] = value
        self.note(start, 'configuration', self.configuration['machine'])

    def read_section(self, start, kind):
        reader = self.reader
        number = reader.be32()
        if kind in (START, FULL):
            self.names[number] = (reader.name(), reader.be32(), reader.be32())
        if number not in self.names:
            reader.fail(f'section id {number}, which nothing has started')
        name, instance, _ = self.names[number]
        if name == 'ram':
            self.memory.read(reader,
                             self.configuration.get('capabilities', []))
        else:
            self.read_device(name, instance)
        if reader.u8() != FOOTER or reader.be32() != number:
            reader.fail(f"the footer of section '{name}' is not there: its "
                        'bytes are not those that are described')
        self.note(start, KINDS[kind], f'{name} ({instance})')

    def read_device(self, name, instance):
        device = self.devices.get((name, instance))
        if device is None:
            self.reader.fail(f"section '{name}' ({instance}) is not described")
        key = f'{name} ({instance})'
        if 'fields' in device:
            self.state[key] = read_fields(self.reader, device)
        else:
            self.state[key] = self.reader.take(device['size']).hex(' ')


def find_description(data):
    """The record at the file's end: found from behind, by its exact length."""
    at = len(data)
    while True:
        at = data.rfind(bytes([DESCRIPTION]), 0, at)
        if at < 0:
            raise StreamError('there is no description record at the end')
        length = int.from_bytes(data[at + 1:at + 5], 'big')
        if at + 5 + length == len(data) and data[at + 5:at + 6] == b'{':
            try:
                return json.loads(data[at + 5:].decode())
            except ValueError:
                pass


def print_sections(stream):
    for start, size, kind, name in stream.sections:
        print(f'{start:10} {size:10} {kind:13} {name}')


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('file', help='a saved stream')
    parser.add_argument('-d', '--dump', default='state',
                        choices=['state', 'desc', 'sections'])
    parser.add_argument('-x', '--extract', metavar='DIR',
                        help='write the memory of each block to DIR')
    args = parser.parse_args()
    try:
        with open(args.file, 'rb') as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if args.extract:
            os.makedirs(args.extract, exist_ok=True)
        stream = Stream(data, args.extract)
        if args.dump == 'desc':
            print(json.dumps(stream.description, indent=4))
            return
        stream.read()
        if args.dump == 'sections':
            print_sections(stream)
        else:
            print(json.dumps({'configuration': stream.configuration,
                              'ram': stream.memory.summary(),
                              'devices': stream.state}, indent=4))
    except (StreamError, OSError, ValueError) as err:
        sys.exit(f'{os.path.basename(sys.argv[0])}: {args.file}: {err}')


if __name__ == '__main__':
    main()
