#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vfio-sim from outside: a VMM in small (vfio-client.c) realizes a device and
moves its state, whole and with every fault; and stock QEMU, where there is one
that is new enough."""
import errno
import json
import os
import pathlib
import re
import signal
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import harness

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

    def client(self, mode, keys='', options=()):
        device = 'id=g' + (',' + keys if keys else '')
        argv = [SIM, *options, '--device', device, '--', CLIENT, '@iommufd@',
                '@g@', *mode.split()]
        if mode.startswith(('save', 'load')):
            argv.append(str(self.stream))
        run = subprocess.run(argv, capture_output=True, text=True, timeout=60,
                             check=False)
        result = Result(run)
        self.assertTrue(result.failed or 'done' in result.numbers,
                        run.stdout + run.stderr)
        return result

    def succeed(self, mode, keys='', options=()):
        result = self.client(mode, keys, options)
        self.assertIsNone(result.failed, result.stdout + result.stderr)
        self.assertEqual(result.status, 0)
        return result

    def fails(self, mode, keys, call, number):
        result = self.client(mode, keys)
        self.assertEqual(result.failed, (call, number), result.stdout)
        return result


class Meeting(Case):
    """How a VMM meets the device."""

    def test_realize_and_touch(self):
        got = self.succeed('touch', 'vendor=0x1234,device=0x5678').numbers
        self.assertEqual(got['unknown-ioctl'], errno.ENOTTY)
        self.assertEqual(got['ranges-too-small'], errno.EMSGSIZE)
        self.assertEqual(got['map-twice'], errno.EEXIST)
        self.assertEqual(got['id'], 0x56781234)
        self.assertEqual(got['doorbells'], 1)
        self.assertEqual(got['bar'], 0x12345678)

    def test_interrupts(self):
        got = self.succeed('interrupts', 'irq-rate=50').numbers
        self.assertGreater(got['interrupts'], 10)
        self.assertLess(got['interrupts'], 40)
        self.fails('interrupts', '', 'interrupt', errno.EAGAIN)

    def test_duplicates_are_the_device(self):
        got = self.succeed('descriptors').numbers
        self.assertEqual(got['id-dup'], got['id-fcntl'])
        self.assertEqual(got['closed'], errno.EBADF)

    def test_two_devices(self):
        argv = [SIM, '--device', 'id=a,device=0xa', '--device',
                'id=b,device=0xb', '--', CLIENT, '@iommufd@', '@b@', 'touch']
        run = subprocess.run(argv, capture_output=True, text=True, timeout=60,
                             check=False)
        self.assertIn(f'id {0xb << 16 | 0xfff1}', run.stdout)

    def test_log(self):
        log = pathlib.Path(self.folder.name) / 'log'
        self.succeed('touch', options=['--log', str(log)])
        self.assertRegex(log.read_text(encoding='ascii'),
                         r'device bind 0x3b76 = 0')

    def test_command_line(self):
        for text, message in (
                ('id=g,state-size=1X', 'is not a size'),
                ('id=g,colour=red', "unknown key 'colour'"),
                ('id=g,p2p=maybe', 'expected on or off'),
                ('id=g,dirty=both', 'expected device, iommu or none'),
                ('id=g,state-size=1M,stop-size=2M', 'exceed state-size'),
                ('id=g,bars=7:64K:trap', 'NUMBER from 0 to 5'),
                ('id=g,fault=read', 'POINT:WHAT'),
                ('id=g,fault=read:never', 'an errno, short or stall')):
            run = subprocess.run([SIM, '--device', text, '--', 'true'],
                                 capture_output=True, text=True, timeout=10,
                                 check=False)
            self.assertEqual(run.returncode, 125)
            self.assertIn(message, run.stderr)

    def test_status_of_the_command(self):
        def status(*command):
            return subprocess.run([SIM, '--device', 'id=g', '--', *command],
                                  stderr=subprocess.DEVNULL, timeout=10,
                                  check=False).returncode
        self.assertEqual(status('sh', '-c', 'exit 7'), 7)
        self.assertEqual(status('sh', '-c', 'kill -KILL $$'), 128 + 9)
        self.assertEqual(status('/nonexistent/vmm'), 127)

    def test_signals_go_to_the_command(self):
        with subprocess.Popen([SIM, '--device', 'id=g', '--', 'sleep', '60'],
                              stderr=subprocess.DEVNULL) as run:
            time.sleep(0.3)
            run.send_signal(signal.SIGTERM)
            self.assertEqual(run.wait(10), 128 + signal.SIGTERM)

    def test_death_of_vfio_sim_is_an_error(self):
        """The command gets errors, and is not left hanging."""
        script = ('import fcntl, sys, time\n'
                  'print("up", flush=True)\n'
                  'sys.stdin.readline()\n'
                  'try:\n'
                  '    fcntl.ioctl(int(sys.argv[1]), 0x3b6b)\n'
                  'except OSError as e:\n'
                  '    print("errno", e.errno, flush=True)\n')
        with subprocess.Popen([SIM, '--device', 'id=g', '--', sys.executable,
                               '-c', script, '@g@'], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as run:
            self.assertEqual(run.stdout.readline(), 'up\n')
            run.kill()
            run.wait(10)
            run.stdin.write('\n')
            run.stdin.flush()
            self.assertEqual(run.stdout.readline(), f'errno {errno.ENOSYS}\n')


class Migrating(Case):
    """State goes out of one device and into another."""

    def test_digests_agree(self):
        keys = 'state-size=32M,stop-size=8M,initial-size=1M,dirty-rate=4M'
        out = self.succeed('save', keys)
        inn = self.succeed('load', keys + ',seed=99')
        self.assertTrue(out.digest)
        self.assertEqual(out.digest, inn.digest)

    def test_sizes_are_true(self):
        got = self.succeed('save', 'state-size=32M,stop-size=8M,'
                           'initial-size=1M').numbers
        begin, end = RECORD + 32, RECORD + 16 + RECORD + REGISTERS
        per_mib = 16 * (BLOCK + RECORD)
        self.assertEqual(got['stop-size'], 32 * per_mib + begin + end)
        self.assertEqual(got['first-initial'], per_mib + begin)
        self.assertEqual(got['first-dirty'], 23 * per_mib)
        self.assertEqual(got['second-initial'], 0)
        self.assertEqual(got['second-dirty'], 0)
        self.assertEqual(got['stop-copy-size'], 8 * per_mib + end)
        self.assertEqual(got['sum'], got['stop-size'])
        self.assertEqual(got['read-when-stopped'], errno.ENODEV)

    def test_what_the_guest_wrote_moves(self):
        """Registers, BARs and configuration space are part of the state."""
        keys = 'state-size=1M,stop-size=0,initial-size=0'
        plain = self.succeed('save', keys)
        out = self.succeed('save-touched', keys)
        page = RECORD + 4096
        # registers and MSI-X table; two places of the mapped BAR
        self.assertEqual(out.numbers['stop-size'],
                         plain.numbers['stop-size'] + 4 * page)
        self.assertEqual(out.numbers['stop-copy-size'],
                         RECORD + REGISTERS + 4 * page + RECORD + 16)
        self.assertEqual(out.numbers['sum'], out.numbers['stop-size'])
        self.assertNotEqual(out.digest, plain.digest)
        inn = self.succeed('load-touched', keys)
        self.assertEqual(out.digest, inn.digest)
        self.assertEqual({key: inn.numbers[key] for key in (
            'bar-middle', 'bar-end', 'bar-start', 'scratch', 'msix',
            'doorbells', 'command')}, {
                'bar-middle': 0xcafe, 'bar-end': 0xbabe, 'bar-start': 0,
                'scratch': 0xfeedf00d, 'msix': 0xfee00000, 'doorbells': 3,
                'command': 6})
        # where that memory is not
        got = self.fails('load', keys + ',bars=0:64K:trap+2:8M:map', 'write',
                         errno.EINVAL)
        self.assertIn('no such memory', got.stderr)
        got = self.fails('load', keys + ',bars=0:64K:trap', 'write',
                         errno.EINVAL)
        self.assertIn('refused', got.stderr)

    def test_seed_makes_the_state(self):
        digests = {self.succeed('save', f'state-size=1M,stop-size=0,seed={n}')
                   .digest for n in (1, 1, 2)}
        self.assertEqual(len(digests), 2)

    def test_cancel(self):
        self.assertEqual(self.succeed('cancel').numbers['state'],
                         STATES['running'])

    def test_dma_is_logged(self):
        for dirty in ('device', 'iommu'):
            with self.subTest(dirty):
                got = self.succeed('dma', 'dma-rate=1M,dma-range=1M+2M,'
                                   f'dirty={dirty}').numbers
                self.assertEqual(got['differ'], 0)
                self.assertGreater(got['changed'], 20)
                self.assertLess(got['changed'], 512)
                self.assertEqual(got.get('kept', got['changed']),
                                 got['changed'])
                self.assertEqual(got['logged-again'], 0)

    def test_nobody_logs_dma(self):
        for keys in ('dirty=none', 'dma-log=off'):
            got = self.fails('dma', keys, 'dma-start', errno.ENOTTY).numbers
            self.assertEqual(got['hwpt-with-tracking'], errno.EOPNOTSUPP)

    def test_tracking_is_checked(self):
        got = self.succeed('tracking', 'dirty=iommu').numbers
        self.assertEqual(got['before-it-is-on'], errno.EINVAL)
        self.assertEqual(got['not-mapped'], errno.EINVAL)
        self.assertEqual(got['wraps'], errno.EOVERFLOW)
        self.assertEqual(got['odd-page'], errno.EINVAL)
        self.assertEqual(got['unknown-flag'], errno.EOPNOTSUPP)
        self.assertEqual(got['destroyed-in-use'], errno.EBUSY)
        for call in ('set-dirty-tracking', 'get-dirty-bitmap'):
            self.fails('dma', f'dirty=iommu,fault={call}:EIO', call, errno.EIO)

    def test_without_precopy(self):
        self.fails('save', 'precopy=off', 'mig-state', errno.EINVAL)

    def test_pace(self):
        """64 MiB at 64 MiB/s take a second, on both sides."""
        keys = 'state-size=64M,stop-size=0,initial-size=0'
        start = time.monotonic()
        self.succeed('save', keys + ',read-rate=64M')
        middle = time.monotonic()
        self.succeed('load', keys + ',write-rate=64M')
        end = time.monotonic()
        self.assertGreater(middle - start, 0.95)
        self.assertGreater(end - middle, 0.95)
        self.assertLess(middle - start, 3)

    def test_wrong_streams_are_refused(self):
        keys = 'state-size=1M,stop-size=0,initial-size=0'
        self.succeed('save', keys)
        good = self.stream.read_bytes()
        block = RECORD + BLOCK
        first = RECORD + 32
        for name, bad, call in (
                ('magic', b'\0' + good[1:], 'write'),
                ('version', good[:6] + b'\1' + good[7:], 'write'),
                ('content', good[:500] + b'\0\0\0\0\0\0\0\0' + good[508:],
                 'write'),
                ('order', good[:first] + good[first + block:], 'write'),
                ('too long', good + good, 'write'),
                ('no registers', good[:-RECORD - 16 - RECORD - REGISTERS] +
                 good[-RECORD - 16:], 'write'),
                ('truncated', good[:-1], 'mig-state'),
                ('half', good[:len(good) // 2], 'mig-state'),
                ('empty', b'', 'mig-state')):
            with self.subTest(name):
                self.stream.write_bytes(bad)
                got = self.fails('load', keys, call, errno.EINVAL)
                self.assertIn('refused', got.stderr)
                self.assertIsNone(got.digest)
        self.stream.write_bytes(good)
        self.fails('load', keys.replace('=1M', '=2M'), 'write', errno.EINVAL)
        self.fails('load', keys + ',device=1', 'write', errno.EINVAL)


class Faults(Case):
    """Each fault does what its name says."""

    keys = 'state-size=4M,stop-size=1M,initial-size=1M'

    def with_fault(self, fault):
        return f'{self.keys},fault={fault}'

    def test_sizes(self):
        for text, value in (('max', 2**64 - 1), ('2^63', 2**63),
                            ('2^62', 2**62), ('0', 0), ('1', 1), ('3M', 3 * MIB)):
            got = self.succeed('save', self.with_fault(f'stop-size:{text}'))
            self.assertEqual(got.numbers['stop-size'], value)
            got = self.succeed('save', self.with_fault(f'initial-size:{text}'))
            self.assertEqual(got.numbers['first-initial'], value)
            got = self.succeed('save', self.with_fault(f'dirty-size:{text}'))
            self.assertEqual(got.numbers['first-dirty'], value)

    def test_under_and_wild(self):
        true = self.succeed('save', self.keys).numbers['stop-size']
        got = self.succeed('save', self.with_fault('stop-size:under'))
        self.assertEqual(got.numbers['stop-size'], true // 10)
        got = self.succeed('save', self.with_fault('stop-size:wild')).numbers
        self.assertNotEqual(got['stop-size'], true)

    def test_once(self):
        got = self.succeed('save', self.with_fault('stop-size:7*1')).numbers
        self.assertEqual(got['stop-size'], 7)
        self.assertGreater(got['stop-copy-size'], MIB)

    def test_calls(self):
        for mode, call, name in (
                ('touch', 'ioas-map', 'map'),
                ('touch', 'ioas-alloc', 'ioas-alloc'),
                ('touch', 'bind', 'bind'), ('touch', 'attach', 'attach'),
                ('touch', 'region-info', 'region'),
                ('touch', 'set-irqs', 'set-irqs'),
                ('save', 'mig-data-size', 'mig-data-size'),
                ('save', 'precopy-info', 'precopy-info')):
            self.fails(mode, self.with_fault(f'{call}:ENOMEM'), name,
                       errno.ENOMEM)
        self.assertEqual(self.succeed('save', self.with_fault('infov2:ENOTTY'))
                         .numbers['infov2'], 0)

    def test_read_and_write(self):
        self.fails('save', self.with_fault('read:EIO@2M'), 'read', errno.EIO)
        self.assertGreater(self.stream.stat().st_size, MIB)
        got = self.succeed('save', self.with_fault('read:short*5@1M'))
        again = self.succeed('load', self.keys)
        self.assertEqual(got.digest, again.digest)
        self.fails('load', self.with_fault('write:EIO@2M'), 'write', errno.EIO)

    def test_stall(self):
        with subprocess.Popen([SIM, '--device',
                               'id=g,' + self.with_fault('read:stall@1M'),
                               '--', CLIENT, '@iommufd@', '@g@', 'save',
                               str(self.stream)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as run:
            with self.assertRaises(subprocess.TimeoutExpired):
                run.wait(1)
            run.terminate()
            self.assertEqual(run.wait(10), 128 + signal.SIGTERM)

    def test_states(self):
        got = self.fails('save', self.with_fault('state:EBUSY@stop-copy'),
                         'mig-state', errno.EBUSY)
        self.assertEqual(got.numbers['state'], STATES['pre-copy-p2p'])
        got = self.fails('save', self.with_fault('state:error@pre-copy-p2p'),
                         'mig-state', errno.EIO)
        self.assertEqual(got.numbers['state'], STATES['error'])

    def test_reinit(self):
        got = self.succeed('save', self.with_fault('reinit:every2')).numbers
        self.assertEqual(got['first-flags'], 0)
        self.assertEqual(got['second-flags'], 1)
        self.assertGreater(got['second-initial'], MIB)
        self.assertEqual(got['second-dirty'], 0)
        got = self.succeed('save', self.with_fault('reinit:pre-copy-p2p'))
        self.assertEqual(got.numbers['last-flags'], 1)
        self.assertEqual(got.digest, self.succeed('load', self.keys).digest)
        got = self.succeed('save', self.with_fault('reinit:stop-copy')).numbers
        self.assertGreater(got['stop-copy-size'], 2 * MIB)

    def test_reinit_is_told_to_who_asked_for_it(self):
        got = self.succeed('save', self.with_fault('reinit:every2') +
                           ',infov2=off').numbers
        self.assertEqual(got['second-flags'], 0)
        self.assertEqual(got['second-initial'], 0)
        self.assertGreater(got['second-dirty'], MIB)

    def test_refusal(self):
        self.succeed('save', self.keys)
        for verdict, call in (('version', 'write'), ('too-long', 'write'),
                              ('truncated', 'mig-state')):
            got = self.fails('load', self.with_fault(f'refuse:{verdict}'),
                             call, errno.EINVAL)
            self.assertIn('refused', got.stderr)


class Control(Case):
    """Commands while the VMM runs."""

    def start(self, keys):
        self.path = pathlib.Path(self.folder.name) / 'control'
        run = subprocess.Popen(     # pylint: disable=consider-using-with
            [SIM, '--control', f'unix:{self.path}', '--device', f'id=g,{keys}',
             '--', CLIENT, '@iommufd@', '@g@', 'save', str(self.stream)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill)
        self.sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.sock.close)
        for _ in range(100):
            try:
                self.sock.connect(str(self.path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.05)
        self.file = self.sock.makefile('rw')
        return run

    def ask(self, **request):
        self.file.write(json.dumps(request) + '\n')
        self.file.flush()
        return json.loads(self.file.readline())

    def wait_for(self, key, value):
        for _ in range(100):
            got = self.ask(command='query')['return']
            if got[key] == value:
                return got
            time.sleep(0.05)
        self.fail(f'{key} is {got[key]}, not {value}')
        return None

    def test_query_and_set(self):
        run = self.start('state-size=4M,stop-size=1M,fault=read:stall@1M')
        got = self.wait_for('state', 'pre-copy')
        self.assertEqual(got['faults'], ['read:stall@1M'])
        self.assertEqual([(m['from'], m['to']) for m in got['moves']],
                         [('running', 'pre-copy')])
        self.assertNotIn('digest', got)
        self.assertEqual(self.ask(command='set', fault='none'), {'return': {}})
        stdout, stderr = run.communicate(timeout=20)
        self.assertIn('done 1', stdout)
        self.assertIn('migrated with digest', stderr)
        self.assertFalse(self.path.exists())

    def test_reinit(self):
        run = self.start('state-size=4M,stop-size=1M,fault=read:stall@3M')
        before = self.wait_for('state', 'pre-copy')
        while before['stream-offset'] < 3 << 20:
            before = self.ask(command='query')['return']
        self.assertEqual(before['initial-bytes'], 0)
        self.ask(command='reinit')
        after = self.ask(command='query')['return']
        self.assertGreater(after['initial-bytes'], MIB)
        self.assertEqual(after['dirty-bytes'], 0)
        self.ask(command='set', fault='none', **{'read-rate': 0})
        self.assertIn('done 1', run.communicate(timeout=20)[0])

    def test_errors(self):
        self.start('state-size=4M,stop-size=1M,fault=read:stall')
        for request, message in (
                ({'command': 'jump'}, 'expected query'),
                ({'command': 'query', 'id': 'x'}, 'id of a device'),
                ({'command': 'set', 'state-size': '1M'}, 'cannot be changed'),
                ({'command': 'set', 'fault': 'x'}, 'POINT:WHAT')):
            self.assertIn(message, self.ask(**request)['error'])
        self.file.write('{"command":\n')
        self.file.flush()
        self.assertIn('error', json.loads(self.file.readline()))
        self.assertEqual(self.ask(command='irq'), {'return': {}})


def find_qemu():
    """A QEMU for x86-64 of version 10.0 or newer, or None."""
    path = os.environ.get('QEMU_SYSTEM_X86_64') or \
        shutil.which('qemu-system-x86_64')
    if not path:
        return None
    text = subprocess.run([path, '--version'], capture_output=True, text=True,
                          check=False).stdout
    version = re.search(r'version (\d+)', text)
    return path if version and int(version.group(1)) >= 10 else None


@unittest.skipUnless(find_qemu(), 'no qemu-system-x86_64 of version 10.0 or '
                     'newer (QEMU_SYSTEM_X86_64 or the PATH)')
class StockQemu(Case):
    """QEMU saves the device's state to a file and loads it from there."""

    def qemu(self, keys, *extra):
        argv = [SIM, '--device', f'id=g,{keys}', '--', find_qemu(), '-M',
                'q35', '-m', '64', '-display', 'none', '-nodefaults', '-S',
                '-object', 'iommufd,id=i0,fd=@iommufd@', '-device',
                'vfio-pci,fd=@g@,iommufd=i0,rombar=0', '-qmp', 'stdio', *extra]
        # pylint: disable=consider-using-with
        return subprocess.Popen(argv, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    @staticmethod
    def ask(run, command):
        run.stdin.write(command + '\n')
        run.stdin.flush()
        while True:
            line = run.stdout.readline()
            if not line or '"return"' in line or '"error"' in line:
                return line

    def finish(self, run, status):
        for _ in range(300):
            if f'"status": "{status}"' in self.ask(
                    run, '{"execute": "query-migrate"}'):
                break
            time.sleep(0.1)
        self.ask(run, '{"execute": "quit"}')
        _, text = run.communicate(timeout=30)
        found = re.search(r'migrated with digest ([0-9a-f]{16})', text)
        self.assertTrue(found, text)
        return found.group(1)

    def test_migrate(self):
        keys = 'state-size=16M,stop-size=4M,initial-size=1M'
        uri = f'{{"uri": "file:{self.stream}"}}'
        source = self.qemu(keys)
        self.ask(source, '{"execute": "qmp_capabilities"}')
        self.ask(source, f'{{"execute": "migrate", "arguments": {uri}}}')
        first = self.finish(source, 'completed')
        target = self.qemu(keys, '-incoming', 'defer')
        self.ask(target, '{"execute": "qmp_capabilities"}')
        self.ask(target,
                 f'{{"execute": "migrate-incoming", "arguments": {uri}}}')
        self.assertEqual(first, self.finish(target, 'completed'))


if __name__ == '__main__':
    harness.main()
