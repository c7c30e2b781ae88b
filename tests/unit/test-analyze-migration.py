#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/analyze-migration.py over a stream that the program has written,
and over what is left of it."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = SOURCE / 'scripts' / 'analyze-migration.py'
SEEDS = SOURCE / 'tests' / 'fuzz' / 'seeds'


class AnalyzeMigration(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        # The seed's first byte is for the fuzz target.
        self.stream = (SEEDS / 'stream' / 'whole').read_bytes()[1:]

    def run_on(self, data, *args):
        path = pathlib.Path(self.folder.name) / 'stream'
        path.write_bytes(data)
        return subprocess.run([sys.executable, SCRIPT, *args, path],
                              capture_output=True, text=True, check=False)

    def test_state(self):
        out = json.loads(self.run_on(self.stream).stdout)
        self.assertEqual(out['configuration'], {'machine': 'virt'})
        self.assertEqual(out['ram']['pages'], {'zero': 7, 'normal': 1})
        dev = out['devices']['dev (0)']
        self.assertEqual(dev['list'], [0, 77])
        self.assertEqual(dev['inner'][0],
                         {'a': 5, 'len': 3, 'bytes': '78 79 7a'})
        self.assertIs(dev['b'], True)
        self.assertEqual(dev['timer'], -1)
        self.assertEqual(out['devices']['dev (1)']['dev/extra'],
                         {'extra': 0x1234})

    def test_sections(self):
        out = self.run_on(self.stream, '-d', 'sections').stdout.splitlines()
        self.assertEqual([line.split()[2] for line in out],
                         ['configuration', 'start', 'end', 'full', 'full'])
        ends = [sum(map(int, line.split()[:2])) for line in out]
        starts = [int(line.split()[0]) for line in out]
        self.assertEqual(starts[1:], ends[:-1])

    def test_description(self):
        out = json.loads(self.run_on(self.stream, '-d', 'desc').stdout)
        self.assertEqual(out['page_size'], 4096)
        self.assertEqual([d['name'] for d in out['devices']], ['dev', 'dev'])

    def test_extract(self):
        folder = pathlib.Path(self.folder.name) / 'memory'
        self.run_on(self.stream, '-x', folder)
        ram = (folder / 'ram0.ram').read_bytes()
        self.assertEqual(len(ram), 6 * 4096)
        self.assertEqual(ram.index(0xa5), 4096)
        self.assertEqual((folder / 'rom.ram').read_bytes(), bytes(2 * 4096))

    def test_mapped_ram(self):
        folder = pathlib.Path(self.folder.name) / 'memory'
        data = (SEEDS / 'mapped-ram' / 'whole').read_bytes()
        out = json.loads(self.run_on(data, '-x', folder).stdout)
        self.assertEqual(out['configuration']['capabilities'], ['mapped-ram'])
        self.assertEqual(out['ram']['pages'], {'zero': 1, 'normal': 3})
        self.assertEqual((folder / 'a.ram').read_bytes(),
                         b'A' * 4096 + bytes(4096) + b'C' * 4096)
        cut = self.run_on(data[:8192])
        self.assertEqual(cut.returncode, 1)

    def test_damaged(self):
        damaged = [b'', b'nonsense', self.stream[:-1], self.stream[:100],
                   b'X' + self.stream[1:]]
        for data in damaged:
            done = self.run_on(data)
            self.assertEqual(done.returncode, 1, data[:20])
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == '__main__':
    unittest.main()
