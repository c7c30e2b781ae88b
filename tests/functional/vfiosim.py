# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of vfio-sim share: running vfio-client, a VMM in small, under
it, and talking to its control socket.

  VFIO_SIM, VFIO_CLIENT   the programs, from meson.build
"""
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import unittest

SIM = os.environ.get('VFIO_SIM', 'build/tools/vfio-sim/vfio-sim')
CLIENT = os.environ.get('VFIO_CLIENT', 'build/tests/functional/vfio-client')

BLOCK = 65536
RECORD = 32
REGISTERS = 320
MIB = 1 << 20

STATES = {'error': 0, 'stop': 1, 'running': 2, 'stop-copy': 3, 'resuming': 4,
          'running-p2p': 5, 'pre-copy': 6, 'pre-copy-p2p': 7}


class Result:
    """What a run of the client under vfio-sim gave."""

    def __init__(self, run):
        self.status = run.returncode
        self.stdout, self.stderr = run.stdout, run.stderr
        self.numbers = {}
        self.failed = None
        for line in run.stdout.splitlines():
            words = line.split()
            if words[0] == 'failed':
                self.failed = (words[1], int(words[2]))
            else:
                self.numbers[words[0]] = int(words[1])
        digest = re.search(r'migrated with digest ([0-9a-f]{16})', run.stderr)
        self.digest = digest and digest.group(1)


class Case(unittest.TestCase):
    """A folder for streams, and the running of the client."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.stream = pathlib.Path(self.folder.name) / 'stream'

    def client(self, mode, keys='', options=(), way=('@iommufd@', '@g@')):
        device = 'id=g' + (',' + keys if keys else '')
        argv = [SIM, *options, '--device', device, '--', CLIENT, *way,
                *mode.split()]
        if mode.startswith(('save', 'load')):
            argv.append(str(self.stream))
        run = subprocess.run(argv, capture_output=True, text=True, timeout=60,
                             check=False)
        result = Result(run)
        self.assertTrue(result.failed or 'done' in result.numbers,
                        run.stdout + run.stderr)
        return result

    def succeed(self, mode, keys='', options=(), way=('@iommufd@', '@g@')):
        result = self.client(mode, keys, options, way)
        self.assertIsNone(result.failed, result.stdout + result.stderr)
        self.assertEqual(result.status, 0)
        return result

    def fails(self, mode, keys, call, number, way=('@iommufd@', '@g@')):
        result = self.client(mode, keys, way=way)
        self.assertEqual(result.failed, (call, number), result.stdout)
        return result


class Control:
    """A session with the control socket at path, once it is there; about the
    device with that id, if there are several."""

    def __init__(self, path, device=None):
        self.device = {'id': device} if device else {}
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        for _ in range(200):
            try:
                self.sock.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.05)
        self.file = self.sock.makefile('rw')

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, line):
        """Sends a line; returns the whole answer."""
        self.file.write(line + '\n')
        self.file.flush()
        return json.loads(self.file.readline())

    def ask(self, **request):
        return self.send(json.dumps({**self.device, **request}))

    def query(self):
        return self.ask(command='query')['return']

    def wait_for(self, key, value, timeout=20):
        """Asks until key has that value; the answer."""
        end = time.monotonic() + timeout
        while True:
            got = self.query()
            if got.get(key) == value:
                return got
            if time.monotonic() > end:
                raise TimeoutError(f'{key} is {got.get(key)}, not {value}')
            time.sleep(0.02)
