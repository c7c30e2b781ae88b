# SPDX-License-Identifier: GPL-2.0-or-later
"""What docs/system/snapshots.rst tells users to type does what it says."""
import os
import pathlib
import socket
import subprocess
import time

import harness
from snapshots import AREA_MIB, Snapshots


class Documented(Snapshots):
    """The lines of docs/system/snapshots.rst, as they stand there."""

    ROOT = pathlib.Path(__file__).resolve().parents[2]

    def lines(self, title):
        """Those of a section, with paths and programs of this test."""
        text = (self.ROOT / 'docs/system/snapshots.rst').read_text().split(f'\n{title}\n---', 1)[1]
        found = []
        for line in text.split('\n---', 1)[0].splitlines():
            if line.startswith(('    (qemu) ', '    $ ')):
                line = line.replace('/var/tmp/', f'{self.folder}/')
                line = line.replace('godwit-system-riscv64', os.path.abspath(harness.BINARY))
                line = line.replace('scripts/snapshot', str(self.ROOT / 'scripts/snapshot'))
                found.append(line.strip().split(' ', 1)[1])
        self.assertTrue(found)
        return found

    def options(self, name):
        """The dots, for a guest that prints to the file of that name."""
        image = harness.pattern_image(self.folder, area_mib=AREA_MIB, fill=True)
        return (f'-machine virt -m 96 -nodefaults -display none -bios none -kernel {image} '
                f'-serial file:{self.folder}/{name}')

    def run_line(self, line, name, more=''):
        """A guest, as the shell starts it."""
        process = subprocess.Popen('exec ' + line.replace('...', self.options(name) + more),
                                   shell=True, stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def printed(self, name):
        path = pathlib.Path(self.folder, name)
        return harness.counters(path.read_text()) if path.exists() else []

    def wait_printed(self, name, process):
        """It goes on printing, without a gap."""
        count = len(self.printed(name))
        end = harness.deadline(30)
        while len(self.printed(name)) < count + 3:
            self.assertIsNone(process.poll(), f'{name} has ended')
            self.assertLess(time.monotonic(), end, f'{name} prints nothing')
            time.sleep(0.02)
        lines = self.printed(name)
        self.assertEqual(lines, list(range(lines[0], lines[0] + len(lines))))
        return lines

    def test_monitor(self):
        src = harness.Machine(*self.options('first').split(), serial=None)
        self.addCleanup(src.close)
        self.wait_printed('first', src.process)
        for line in self.lines('Save this guest now'):
            self.assertEqual(src.command('human-monitor-command', command_line=line), '')
        self.complete(src)
        last = self.printed('first')[-1]
        start, = self.lines('Start it from there at once')
        process = self.run_line(start, 'second')
        # The counters go on from those of the moment, which was before this one.
        first = self.wait_printed('second', process)[0]
        self.assertLessEqual(first, last + 1)
        self.assertGreater(first, 1)
        self.wait_printed('first', src.process)

    def test_script(self):
        first, save, start = self.lines('One line each')
        here = self.run_line(first, 'first')
        self.wait_printed('first', here)
        for _ in range(2):
            answer = subprocess.check_output(save, shell=True, text=True)
            self.assertRegex(answer, r'guest.state: .* saved in \d+ ms; .* still for \d')
            there = self.run_line(start, 'second')
            self.wait_printed('second', there)
            self.wait_printed('first', here)
            there.kill()
            there.wait()
            pathlib.Path(self.folder, 'second').unlink()
        # What cannot be: said, and nothing is left.
        failed = subprocess.run(save.replace('guest.state', 'nowhere/guest'), shell=True,
                                text=True, stderr=subprocess.PIPE)
        self.assertEqual(failed.returncode, 1)
        self.assertRegex(failed.stderr, "snapshot: migrate: .*No such file or directory")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f'{self.folder}/guest.qmp')
            qmp = harness.Qmp(sock)
            caps = {cap['capability'] for cap in qmp.command('query-migrate-capabilities')
                    if cap['state']}
            self.assertEqual(caps, set())
            self.assertEqual(qmp.command('query-migrate-parameters')['max-bandwidth'], 128 << 20)

    def test_disk(self):
        disk = pathlib.Path(self.folder, 'disk.img')
        disk.write_bytes(os.urandom(4 << 20))
        first = self.lines('One line each')[0]
        here = self.run_line(first, 'first', f' -drive file={disk},if=virtio')
        self.wait_printed('first', here)
        save, = self.lines('Disks')
        subprocess.check_call(save, shell=True, stdout=subprocess.DEVNULL)
        self.assertEqual(pathlib.Path(self.folder, 'disk.copy').read_bytes(), disk.read_bytes())
        self.wait_printed('first', here)
        there = harness.Machine(*self.options('second').split(), '-drive',
                                f'file={self.folder}/disk.copy,if=virtio', '-global',
                                'migration.mapped-ram=on', '-incoming',
                                f'file:{self.folder}/guest.state', serial=None)
        self.addCleanup(there.close)
        self.complete(there)
        self.assertEqual(there.command('query-status')['status'], 'paused')
        there.command('cont')
        self.wait_printed('second', there.process)


harness.need(harness.PATTERN and os.path.exists(harness.PATTERN),
             'no cross compiler for the pattern guest')
harness.main()
