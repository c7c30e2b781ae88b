# SPDX-License-Identifier: GPL-2.0-or-later
"""What the functional tests share: starting Godwit, talking QMP to it, the
bare-metal pattern guest, and skipping with a reason.

A test program is a unittest module that ends in harness.main(). It is run with
the environment of tests/functional/meson.build:

  GODWIT_BINARY          the program
  GODWIT_PATTERN         pattern.bin, if a cross compiler was found
  GODWIT_TEST_KERNEL, GODWIT_TEST_INITRD   the Linux guest, if it was fetched
  GODWIT_TEST_SLOWDOWN   how much slower this build is than a plain one: under a
                         sanitizer (tests/meson.build); see patience()
"""
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BINARY = os.environ.get('GODWIT_BINARY', 'build/godwit-system-riscv64')
PATTERN = os.environ.get('GODWIT_PATTERN', '')
KERNEL = os.environ.get('GODWIT_TEST_KERNEL', '')
INITRD = os.environ.get('GODWIT_TEST_INITRD', '')

RAM_BASE = 0x80000000
PAGE = 4096
SKIPPED = 77
SLOWDOWN = float(os.environ.get('GODWIT_TEST_SLOWDOWN', '1'))


def patience(seconds):
    """How long to wait for what a plain build does within these seconds."""
    return seconds * SLOWDOWN


def deadline(seconds):
    """When time.monotonic() will have waited that long."""
    return time.monotonic() + patience(seconds)


class QmpError(Exception):
    """An error reply; .error_class and .desc as QMP gave them."""

    def __init__(self, command, error):
        super().__init__(f'{command}: {error["class"]}: {error["desc"]}')
        self.error_class = error['class']
        self.desc = error['desc']


class Qmp:
    """A QMP session over a connected socket. Events are kept in .events."""

    def __init__(self, sock, timeout=30):
        self.sock = sock
        self.sock.settimeout(patience(timeout))
        self.buffer = b''
        self.events = []
        self.greeting = self._receive()
        self.command('qmp_capabilities')

    def _receive(self):
        while b'\n' not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError('the QMP session was closed')
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return json.loads(line)

    def execute(self, command, arguments=None):
        """Sends a command; returns the whole reply."""
        message = {'execute': command}
        if arguments is not None:
            message['arguments'] = arguments
        self.sock.sendall(json.dumps(message).encode() + b'\n')
        while True:
            reply = self._receive()
            if 'event' not in reply:
                return reply
            self.events.append(reply)

    def command(self, name, **arguments):
        """Sends a command ('_' in argument names for '-'); returns its answer."""
        reply = self.execute(name, {key.replace('_', '-'): value
                                    for key, value in arguments.items()})
        if 'error' in reply:
            raise QmpError(name, reply['error'])
        return reply['return']

    def wait_event(self, name, timeout=30, **data):
        """The oldest event of that name and data not taken yet, taken."""
        end = deadline(timeout)
        while True:
            for i, event in enumerate(self.events):
                if event['event'] == name and data.items() <= event.get('data', {}).items():
                    return self.events.pop(i)
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f'no event {name} {data}; seen: {self.events}')
            self.sock.settimeout(left)
            try:
                message = self._receive()
            finally:
                self.sock.settimeout(patience(30))
            self.events.append(message)


class Machine:
    """A Godwit process with a QMP session, a serial log and a folder."""

    def __init__(self, *args, name='vm', binary=BINARY, serial='file', env=None,
                 pass_fds=(), prefix=()):
        """prefix: a command that runs the program, as arguments."""
        self.folder = tempfile.TemporaryDirectory(prefix='godwit-test-')
        self.path = pathlib.Path(self.folder.name)
        self.name = name
        self.serial_path = self.path / 'serial'
        self.serial_path.touch()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path / 'qmp'))
        listener.listen(1)
        line = [*prefix, binary, '-display', 'none', '-name', name,
                '-chardev', f'socket,id=qmp0,path={self.path}/qmp',
                '-mon', 'chardev=qmp0,mode=control']
        if serial == 'file':
            line += ['-serial', f'file:{self.serial_path}']
        self.log = open(self.path / 'log', 'wb')
        self.process = subprocess.Popen(line + [str(arg) for arg in args],
                                        stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=env, pass_fds=pass_fds)
        self.qmp = None
        try:
            self.qmp = self._accept(listener)
        except Exception:
            self.kill()
            raise
        finally:
            listener.close()

    def _accept(self, listener):
        listener.settimeout(0.1)
        end = deadline(60)
        while time.monotonic() < end:
            try:
                return Qmp(listener.accept()[0])
            except socket.timeout:
                if self.process.poll() is not None:
                    raise RuntimeError(f'{self.name} ended with status '
                                       f'{self.process.returncode}: {self.output()}') from None
        raise TimeoutError(f'{self.name} opened no monitor: {self.output()}')

    def output(self):
        """What the process wrote to stdout and stderr."""
        self.log.flush()
        return (self.path / 'log').read_text(errors='replace')

    def serial(self):
        return self.serial_path.read_text(errors='replace')

    def wait_serial(self, text, timeout=60):
        """Waits until the guest has printed text; returns all it printed."""
        end = deadline(timeout)
        while text not in self.serial():
            if self.process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f'{self.name} never printed {text!r}; it printed: '
                                   f'{self.serial()[-2000:]}\n{self.output()[-2000:]}')
            time.sleep(0.02)
        return self.serial()

    def command(self, name, **arguments):
        return self.qmp.command(name, **arguments)

    def wait_migration(self, *statuses, timeout=60):
        """Polls query-migrate until its status is one of these; returns it."""
        end = deadline(timeout)
        while True:
            info = self.command('query-migrate')
            if info.get('status') in statuses:
                return info
            if time.monotonic() > end:
                raise TimeoutError(f'{self.name}: status is {info.get("status")}, not '
                                   f'{statuses}: {info}')
            time.sleep(0.01)

    def wait_exit(self, timeout=30):
        self.process.wait(patience(timeout))
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()

    def close(self):
        """Ends the process, as a test's clean-up does."""
        if self.qmp:
            self.qmp.sock.close()
        self.kill()
        self.folder.cleanup()


class Qtest:
    """The qtest protocol, for looking at guest memory."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(patience(30))
        self.sock.connect(str(path))
        self.file = self.sock.makefile('rw', newline='\n')

    def read(self, addr, size):
        """Bytes of guest-physical memory."""
        self.file.write(f'read 0x{addr:x} 0x{size:x}\n')
        self.file.flush()
        answer = self.file.readline().split()
        if len(answer) != 2 or answer[0] != 'OK':
            raise RuntimeError(f'qtest read 0x{addr:x}: {answer}')
        return bytes.fromhex(answer[1][2:])

    def close(self):
        self.file.close()
        self.sock.close()


def check_pattern(qtest, area_mib):
    """Checks every page of a stopped pattern guest (tests/guest/pattern.c);
    returns the lowest counter. Raises AssertionError at the first page that no
    true copy could have."""
    high = low = None
    dropped = False
    for chunk in range(area_mib):
        data = qtest.read(RAM_BASE + ((1 + chunk) << 20), 1 << 20)
        for at in range(0, 1 << 20, PAGE):
            first, = struct.unpack_from('<Q', data, at)
            last = ~struct.unpack_from('<Q', data, at + PAGE - 8)[0] & (1 << 64) - 1
            where = f'page {chunk << 8 | at // PAGE}'
            whole = last == first or (first == 0 and last + 1 == 1 << 64)
            half = last == first - 1 or (first == 1 and last + 1 == 1 << 64)
            assert whole or half, f'{where}: counters {first} and {last}'
            if high is None:
                high = low = first
            elif first != low:
                assert not dropped and first == high - 1, \
                    f'{where}: counter {first} behind {low}'
                dropped, low = True, first
    return low


def pattern_image(folder, *, area_mib=99, pages_per_second=0, print_ms=100, fill=False,
                  passes=0):
    """A copy of the pattern guest with these parameters; its path."""
    image = bytearray(pathlib.Path(PATTERN).read_bytes())
    assert image[8:16] == b'GWPATTRN', 'not the pattern guest'
    image[16:64] = struct.pack('<6Q', 1 << 20, area_mib << 20, pages_per_second, print_ms,
                               int(fill), passes)
    path = pathlib.Path(folder, 'pattern.bin')
    path.write_bytes(image)
    return path


def counters(text):
    """The numbers of the guest's "counter N" lines: of those that have ended."""
    return [int(line.split()[1]) for line in text.rpartition('\n')[0].splitlines()
            if line.startswith('counter ') and len(line.split()) > 1
            and line.split()[1].isdigit()]


def need(condition, reason):
    """Skips the whole program, saying why, unless condition holds."""
    if not condition:
        print(f'skipped: {reason}')
        sys.exit(SKIPPED)


def main():
    """Runs the tests of the calling program."""
    unittest.main(verbosity=2, module='__main__')
