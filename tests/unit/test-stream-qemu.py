#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The stream is QEMU's: QEMU loads what we save, and we load what it saves.

test-stream-qemu.py STREAM-TOOL MULTIFD-TOOL; skipped where there is no QEMU.
"""
import json
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TOOL = sys.argv.pop(1)
MULTIFD_TOOL = sys.argv.pop(1)
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

    def has_compression(self, name):
        schema = self.command('query-qmp-schema')
        return any(name in entry.get('values', ()) and 'zlib' in entry['values']
                   for entry in schema)

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

    def record(self, listener, count):
        """What comes in by so many connections; the main stream is dropped."""
        def read(line, chunks):
            while data := line.recv(1 << 16):
                chunks.append(data)

        lines = [(listener.accept()[0], []) for _ in range(count)]
        readers = [threading.Thread(target=read, args=line) for line in lines]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(PATIENCE_S)
        for line, _ in lines:
            line.close()
        said = [b''.join(chunks) for _, chunks in lines]
        return [data for data in said if data[:4] != b'QEVM']

    def read_heads(self, said):
        """How many SYNC packets a channel has, and which pages between which of them, by
        the packets' heads alone."""
        at, syncs, pages = 64, 0, set()
        while at < len(said):
            flags, _, normal, payload = struct.unpack_from('>4I', said, at + 8)
            offsets = struct.unpack_from(f'>{normal}Q', said, at + 320)
            pages.update((syncs, offset) for offset in offsets)
            syncs += flags & 1
            at += 1344 + (payload if normal else 0)
        self.assertEqual(at, len(said))
        return syncs, pages

    def send_by_channels(self, how, folder):
        """What QEMU says in each of three channels when it sends the memory in out."""
        qemu = Qemu('-incoming', f'exec:cat {folder}/out')
        qemu.wait_migrated()
        if not qemu.has_compression(how):
            qemu.quit()
            self.skipTest(f'a QEMU without {how}')
        qemu.command('migrate-set-capabilities',
                     capabilities=[{'capability': 'multifd', 'state': True}])
        qemu.command('migrate-set-parameters',
                     **{'multifd-channels': 3, 'multifd-compression': how})
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / f'socket{time.monotonic_ns()}'))
            listener.listen(4)
            listener.settimeout(PATIENCE_S)
            qemu.command('migrate', uri=f'unix:{listener.getsockname()}')
            said = self.record(listener, 4)
        qemu.wait_migrated()
        qemu.quit()
        self.assertEqual(len(said), 3)
        return said

    def multifd(self, how):
        """QEMU sends by three channels; their packets hold its memory."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            subprocess.run([TOOL, 'save', folder / 'out', folder / 'ours'], check=True)
            for _ in range(20):
                said = self.send_by_channels(how, folder)
                syncs, pages = zip(*map(self.read_heads, said))
                # In one of ten it sends a page by two channels with no SYNC between. Which
                # of the two stays is nobody's promise, and a race to a sanitizer.
                if len(set.union(*pages)) == sum(map(len, pages)):
                    break
            else:
                self.fail('20 times, a page by two channels in one round')
            files = [folder / f'channel{i}' for i in range(3)]
            for file, data in zip(files, said):
                file.write_bytes(data)
            self.assertEqual(len(set(syncs)), 1)
            subprocess.run([MULTIFD_TOOL, how, str(syncs[0]), folder / 'again', *files],
                           check=True)
            self.assertEqual((folder / 'ours').read_bytes(), (folder / 'again').read_bytes())

    def test_multifd(self):
        self.multifd('none')

    def test_multifd_zlib(self):
        self.multifd('zlib')

    def test_multifd_zstd(self):
        self.multifd('zstd')


if __name__ == '__main__':
    unittest.main()
