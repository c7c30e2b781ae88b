# SPDX-License-Identifier: GPL-2.0-or-later
"""The pattern guest (tests/guest/pattern.c) with its memory in a file, so that
every byte of it can be compared while it runs and when it has been moved."""
import array
import pathlib
import tempfile
import time
import unittest

import harness

RAM = 96 << 20
AREA_MIB = 24
AREA_START = 1 << 20


class Side(harness.Machine):
    """A machine with the guest, whose memory is the file .ram."""

    caps = ()       # unless others are asked for

    def __init__(self, folder, name, *args, image=None, incoming=None, caps=None):
        self.ram = pathlib.Path(folder, f'{name}.ram')
        self.ram.unlink(missing_ok=True)
        line = ['-machine', 'virt,memory-backend=mem', '-nodefaults', '-bios', 'none',
                '-object', f'memory-backend-file,id=mem,size={RAM},mem-path={self.ram},share=on']
        if image:
            line += ['-kernel', image]
        if incoming:
            line += ['-incoming', incoming]
        super().__init__(*line, *args, name=name)
        self.set_caps(*(self.caps if caps is None else caps))
        self.command('migrate-set-parameters', max_bandwidth=0)

    def set_caps(self, *names, state=True):
        self.command('migrate-set-capabilities',
                     capabilities=[{'capability': name, 'state': state} for name in names])

    def status(self):
        return self.command('query-status')['status']

    def counters(self):
        """What the guest has written: the counter of each page of the area."""
        with open(self.ram, 'rb') as file:
            file.seek(AREA_START)
            words = array.array('Q', file.read(AREA_MIB << 20))
        return words[0::512], words[511::512]

    def assert_lives(self, test, seconds=10):
        """The guest runs and writes."""
        test.assertEqual(self.status(), 'running')
        before = sum(self.counters()[0])
        end = harness.deadline(seconds)
        while sum(self.counters()[0]) == before:
            test.assertLess(time.monotonic(), end, f'{self.name}: the guest does not write')
            time.sleep(0.01)


class Case(unittest.TestCase):
    """A folder for the files of a test, a guest that runs, and where it may go."""

    side = Side
    below = None    # where the folder is; None: where the host has such

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='godwit-pattern-', dir=self.below)
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.count = 0

    def source(self, *args, pages_per_second=2000, **kwargs):
        image = harness.pattern_image(self.folder, area_mib=AREA_MIB, fill=True,
                                      pages_per_second=pages_per_second)
        side = self.side(self.folder, 'src', *args, image=image, **kwargs)
        self.addCleanup(side.close)
        side.wait_serial('pattern ')
        return side

    def destination(self, *args, incoming='defer', **kwargs):
        self.count += 1
        side = self.side(self.folder, f'dst{self.count}', *args, incoming=incoming, **kwargs)
        self.addCleanup(side.close)
        return side

    def check_counters(self, side):
        """Of a guest that stands still: n + 1 up to some page, n from there."""
        first, last = side.counters()
        steps = [i for i in range(len(first) - 1) if first[i] != first[i + 1]]
        self.assertLessEqual(len(steps), 1)
        for i in steps:
            self.assertEqual(first[i], first[i + 1] + 1)
        torn = [i for i in range(len(first)) if first[i] and first[i] ^ last[i] != (1 << 64) - 1]
        self.assertLessEqual(len(torn), 1)

    def check_same(self, src, dst):
        """All of guest memory is at the destination, which has not run yet."""
        self.assertEqual(src.status(), 'postmigrate')
        self.assertEqual(dst.status(), 'paused')
        self.check_counters(src)
        self.assertEqual(src.ram.read_bytes(), dst.ram.read_bytes())
