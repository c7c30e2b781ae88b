#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The stream is QEMU's: QEMU loads what we save, and we load what it saves.

test-stream-qemu.py STREAM-TOOL; skipped where there is no QEMU.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

TOOL = sys.argv.pop(1)
QEMU = shutil.which('qemu-system-riscv64')
PATIENCE_S = 60


class Qemu:
    """A machine "none" with 4 MiB, led by QMP."""

    def __init__(self, *args):
        self.process = subprocess.Popen(
            [QEMU, '-M', 'none', '-m', '4M', '-nodefaults', '-nographic',
             '-S', '-qmp', 'stdio', *args], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        self.command('qmp_capabilities')

    def command(self, name, **arguments):
        request = json.dumps({'execute': name, 'arguments': arguments})
        self.process.stdin.write(request + '\n')
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if 'return' in answer or 'error' in answer:
                return answer.get('return')
        raise AssertionError('QEMU has ended')

    def wait_migrated(self):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            status = self.command('query-migrate').get('status')
            if status == 'completed':
                return
            if status == 'failed':
                break
            time.sleep(0.05)
        raise AssertionError(f'migration: {status}')

    def quit(self):
        self.command('quit')
        self.process.wait(PATIENCE_S)
        self.process.stdin.close()
        self.process.stdout.close()


@unittest.skipUnless(QEMU, 'no qemu-system-riscv64')
class StreamQemu(unittest.TestCase):
    def test_there_and_back(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            subprocess.run([TOOL, 'save', folder / 'out', folder / 'ours'],
                           check=True)
            qemu = Qemu('-incoming', f'exec:cat {folder}/out')
            qemu.wait_migrated()
            qemu.command('pmemsave', val=0, size=4 << 20,
                         filename=str(folder / 'theirs'))
            self.assertEqual((folder / 'ours').read_bytes(),
                             (folder / 'theirs').read_bytes())
            qemu.command('migrate', uri=f'exec:cat > {folder}/back')
            qemu.wait_migrated()
            qemu.quit()
            subprocess.run([TOOL, 'load', folder / 'back', folder / 'again'],
                           check=True)
            self.assertEqual((folder / 'ours').read_bytes(),
                             (folder / 'again').read_bytes())


if __name__ == '__main__':
    unittest.main()
