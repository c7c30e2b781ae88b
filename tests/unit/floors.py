#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The folders stand on each other (docs/devel/architecture.rst): each includes
headers of the floors below it alone, and of another floor only public ones.
First the checker is shown trees that are wrong, and right. TAP."""
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# From the bottom to the top.
FLOORS = ('util', 'qapi', 'io', 'chardev', 'system', 'accel', 'target', 'hw',
          'migration', 'monitor')

# A device says itself how its state moves.
DOORS = {('hw', 'migration'), ('target', 'migration')}

# What moves devices does not know them.
WALLS = {('migration', 'hw'), ('migration', 'target')}

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def floor_of(path):
    """The floor that a source or header of the tree belongs to, or None."""
    parts = path.split('/')
    top = parts[1] if parts[0] == 'include' and len(parts) > 2 else parts[0]
    return top if top in FLOORS else None


def why_not(path, header, is_public):
    """Why the file at path may not include header; None if it may."""
    here = floor_of(path)
    if '/../' in f'/{header}':
        return 'leads through ..'
    if '/' not in header:
        return None     # beside the source, or of the build
    if header.startswith('trace/'):
        folder = path.rsplit('/', 1)[0].removeprefix('include/')
        own = f'trace/trace-{folder.replace("/", "-")}.h'
        return None if header == own else f'is not {own}'
    there = floor_of(header)
    if there is None or there == here:
        return None
    if there != 'qapi' and not is_public(header):
        return f'is private to {there}'
    if (here, there) in WALLS:
        return f'{here} does not know {there}'
    if (here, there) in DOORS or FLOORS.index(there) < FLOORS.index(here):
        return None
    return f'{there} stands above {here}'


def check(root):
    """One line for each include of the tree at root that may not be."""
    def is_public(header):
        return (root / 'include' / header).exists()

    found = []
    for top in FLOORS + ('include',):
        for file in sorted((root / top).rglob('*.[ch]')):
            path = file.relative_to(root).as_posix()
            if floor_of(path) is None:
                continue
            for header in INCLUDE.findall(file.read_text(encoding='utf-8')):
                reason = why_not(path, header, is_public)
                if reason:
                    found.append(f'{path} includes "{header}": {reason}')
    return found


# file, what it includes, whether it may
SAMPLES = (
    ('io/a.c', 'util/error.h', True),
    ('io/a.c', 'io/private.h', True),
    ('io/a.c', 'private.h', True),
    ('io/a.c', 'qapi/qapi-types-sockets.h', True),
    ('io/a.c', 'trace/trace-io.h', True),
    ('io/a.c', 'trace/trace-system.h', False),
    ('io/a.c', 'system/vm.h', False),
    ('io/a.c', '../util/private.h', False),
    ('util/a.c', 'qapi/qapi-types-common.h', False),
    ('include/system/vm.h', 'accel/accel.h', False),
    ('include/system/vm.h', 'util/error.h', True),
    ('system/a.c', 'chardev/char.h', True),
    ('system/a.c', 'chardev/private.h', False),
    ('chardev/a.c', 'system/vm.h', False),
    ('hw/char/a.c', 'migration/vmstate.h', True),
    ('hw/char/a.c', 'migration/private.h', False),
    ('hw/char/a.c', 'trace/trace-hw-char.h', True),
    ('hw/char/a.c', 'hw/core/private.h', True),
    ('target/riscv/a.c', 'migration/vmstate.h', True),
    ('target/riscv/a.c', 'hw/core/device.h', False),
    ('accel/a.c', 'migration/vmstate.h', False),
    ('migration/a.c', 'hw/core/device.h', False),
    ('migration/a.c', 'target/riscv/cpu.h', False),
    ('migration/a.c', 'system/vm.h', True),
    ('hw/core/a.c', 'monitor/monitor.h', False),
    ('monitor/a.c', 'hw/core/device.h', True),
)
PUBLIC = ('util/error.h', 'system/vm.h', 'accel/accel.h', 'chardev/char.h',
          'migration/vmstate.h', 'hw/core/device.h', 'target/riscv/cpu.h',
          'monitor/monitor.h')


def self_test():
    """Whether each sample, alone in a tree, is judged as it should be."""
    wrong = []
    for path, header, allowed in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for public in PUBLIC:
                (root / 'include' / public).parent.mkdir(parents=True, exist_ok=True)
                (root / 'include' / public).touch()
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f'/* x */\n#include "{header}"\n', encoding='utf-8')
            if allowed != (check(root) == []):
                wrong.append(f'{path} with "{header}" should be '
                             f'{"accepted" if allowed else "refused"}')
    return wrong


def main():
    empty = [f'{top} has no sources' for top in FLOORS
             if not any((ROOT / top).rglob('*.[ch]')) and top != 'qapi']
    print('1..3')
    for number, (what, found) in enumerate((('the checker tells right from wrong', self_test()),
                                            ('there is something on each floor', empty),
                                            ('no include runs upwards', check(ROOT))), 1):
        print(f'{"not ok" if found else "ok"} {number} - {what}')
        for line in found:
            print(f'# {line}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
