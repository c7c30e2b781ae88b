#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock QEMU under vfio-sim: meets the device in each way, migrates it from
one process to another, and lives with its faults. The processors are emulated;
one pair of tests uses KVM where it is.

For each target the binary is $QEMU_SYSTEM_X86_64 (_AARCH64, _RISCV64), that of
the PATH, or what scripts/get-peer-qemu has fetched before, whichever is of
version 10.0 or newer first; a test whose binary is not there is skipped."""
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import unittest.mock

import harness
from vfiosim import Control, MIB, SIM

SOURCES = pathlib.Path(__file__).resolve().parent.parent.parent
WAYS = {
    'descriptors': ['-object', 'iommufd,id=i0,fd=@iommufd@', '-device',
                    'vfio-pci,id=v0,fd=@g@,iommufd=i0,rombar=0'],
    'cdev': ['-object', 'iommufd,id=i0', '-device',
             'vfio-pci,id=v0,sysfsdev=@g:sysfs@,iommufd=i0,rombar=0'],
    'legacy': ['-device', 'vfio-pci,id=v0,sysfsdev=@g:sysfs@,rombar=0'],
    # QEMU does not migrate by itself when a container logs DMA.
    'legacy-on': ['-device', 'vfio-pci,id=v0,sysfsdev=@g:sysfs@,rombar=0,'
                  'enable-migration=on'],
}
MACHINES = {
    'x86_64': ['-M', 'q35'],
    'aarch64': ['-M', 'virt', '-cpu', 'max'],
    'riscv64': ['-M', 'virt', '-bios', 'none'],
}
RAM_START = {'x86_64': 0, 'aarch64': 0x40000000, 'riscv64': 0x80000000}
KEYS = 'state-size=16M,stop-size=4M,initial-size=1M'


def version_of(path):
    text = subprocess.run([path, '--version'], capture_output=True, text=True,
                          check=False).stdout
    version = re.search(r'version (\d+)', text)
    return int(version.group(1)) if version else 0


@functools.cache
def find_qemu(arch):
    """A QEMU for arch, or None."""
    cached = subprocess.run(
        [str(SOURCES / 'scripts/get-peer-qemu'), '--cached', arch],
        capture_output=True, text=True, check=False).stdout.strip()
    for path in (os.environ.get(f'QEMU_SYSTEM_{arch.upper()}'),
                 shutil.which(f'qemu-system-{arch}'), cached):
        if path and version_of(path) >= 10:
            return path
    return None


def kvm_works():
    """True if KVM is there for this user."""
    return os.uname().machine == 'x86_64' and \
        os.access('/dev/kvm', os.R_OK | os.W_OK)


class Stock:
    """A QEMU process under vfio-sim, with QMP and vfio-sim's control."""

    def __init__(self, arch, keys, *args, way='descriptors', binary=None,
                 accel='tcg', sim_args=()):
        self.folder = tempfile.TemporaryDirectory(prefix='vfio-sim-test-')
        self.path = pathlib.Path(self.folder.name)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path / 'qmp'))
        listener.listen(1)
        listener.settimeout(0.1)
        self.log = open(self.path / 'log', 'wb')
        self.process = subprocess.Popen(
            [SIM, '--control', f'unix:{self.path}/control', '--device',
             f'id=g,{keys}', *sim_args, '--', binary or find_qemu(arch),
             *MACHINES[arch], '-accel', accel, '-m', '128', '-display', 'none',
             '-nodefaults', *WAYS[way], '-chardev',
             f'socket,id=qmp0,path={self.path}/qmp', '-mon',
             'chardev=qmp0,mode=control', '-qtest',
             f'unix:{self.path}/qtest,server=on,wait=off', *args],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            start_new_session=True)
        self.qmp = self.control = None
        self.open = []
        try:
            self.qmp = self.accept(listener)
            self.control = Control(self.path / 'control', 'g')
        except Exception:
            self.close()
            raise
        finally:
            listener.close()

    def accept(self, listener):
        for _ in range(600):
            try:
                return harness.Qmp(listener.accept()[0], 60)
            except socket.timeout:
                if self.process.poll() is not None:
                    raise RuntimeError(self.output()) from None
        raise TimeoutError(self.output())

    def output(self):
        self.log.flush()
        return (self.path / 'log').read_text(errors='replace')

    def status(self):
        return self.qmp.command('query-migrate').get('status')

    def wait_status(self, *wanted):
        end = time.monotonic() + 60
        while self.status() not in wanted:
            if time.monotonic() > end:
                raise TimeoutError(f'{self.status()}, not {wanted}: '
                                   + self.output())
            time.sleep(0.02)
        return self.status()

    def qtest(self):
        """A function that sends a line of qtest and returns the answer."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(str(self.path / 'qtest'))
        file = sock.makefile('rw', newline='\n')

        def send(line):
            file.write(line + '\n')
            file.flush()
            answer = file.readline()
            if not answer.startswith('OK'):
                raise RuntimeError(f'{line}: {answer}')
            return answer
        self.open += [file, sock]
        return send

    def is_running(self):
        return self.qmp.command('query-status')['running']

    def memory(self, start, size):
        path = self.path / 'memory'
        self.qmp.command('pmemsave', val=start, size=size, filename=str(path))
        return path.read_bytes()

    def quit(self):
        """Ends it; the digest of its device, if that has migrated."""
        self.qmp.command('quit')
        self.process.wait(30)
        found = re.search(r'migrated with digest ([0-9a-f]{16})', self.output())
        return found and found.group(1)

    def close(self):
        # vfio-sim hands the signal on, and cleans up; QEMU must not outlive it.
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for file in self.open:
            file.close()
        if self.qmp:
            self.qmp.sock.close()
        if self.control:
            self.control.close()
        self.log.close()
        self.folder.cleanup()


class Case(unittest.TestCase):
    """Starts machines and ends them."""

    def need(self, arch):
        if not find_qemu(arch):
            self.skipTest(f'no qemu-system-{arch} of version 10.0 or newer '
                          f'(QEMU_SYSTEM_{arch.upper()}, the PATH, or '
                          f'scripts/get-peer-qemu {arch})')

    def stock(self, *args, **kwargs):
        machine = Stock(*args, **kwargs)
        self.addCleanup(machine.close)
        return machine

    def pair(self, arch, keys, target_keys=None, **kwargs):
        """Source and destination, and the URI between them."""
        source = self.stock(arch, keys, **kwargs)
        uri = f'unix:{source.path}/wire'
        target = self.stock(arch, target_keys or keys, '-incoming', uri,
                            **kwargs)
        return source, target, uri


class Meeting(Case):
    """Each target and way is realized and migrates, running."""

    def migrate(self, arch, way='descriptors', dirty='device', accel='tcg'):
        """There, with pages that DMA writes all the while; the destination's
        device writes none, so both have what the source's last wrote."""
        self.need(arch)
        start, size = RAM_START[arch] + 64 * MIB, 2 * MIB
        keys = f'{KEYS},dirty={dirty},dma-range={start}+{size}'
        source, target, uri = self.pair(
            arch, keys + ',dma-rate=8M,dirty-rate=4M', keys + ',seed=7',
            way=way, accel=accel)
        self.assertTrue(source.is_running())
        source.control.wait_for('state', 'running')
        end = time.monotonic() + 20
        while source.control.query()['dma-pages'] < 10:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        source.qmp.command('migrate', uri=uri)
        self.assertEqual(source.wait_status('completed', 'failed'),
                         'completed', source.output())
        target.wait_status('completed')
        target.control.wait_for('state', 'running')
        self.assertTrue(target.is_running())
        self.assertFalse(source.is_running())
        moves = [m['to'] for m in source.control.query()['moves']]
        self.assertEqual(moves[-4:], ['pre-copy', 'pre-copy-p2p', 'stop-copy',
                                      'stop'])
        memory = source.memory(start, size)
        self.assertNotEqual(memory, bytes(size))
        self.assertEqual(memory, target.memory(start, size))
        first, second = source.quit(), target.quit()
        self.assertTrue(first)
        self.assertEqual(first, second)

    def test_x86_64(self):
        self.migrate('x86_64')

    def test_x86_64_cdev_iommu(self):
        self.migrate('x86_64', 'cdev', 'iommu')

    def test_x86_64_legacy(self):
        self.migrate('x86_64', 'legacy')

    def test_x86_64_legacy_iommu(self):
        self.migrate('x86_64', 'legacy-on', 'iommu')

    def test_aarch64(self):
        self.migrate('aarch64')

    def test_riscv64_legacy(self):
        self.migrate('riscv64', 'legacy')

    @unittest.skipUnless(kvm_works(), 'no /dev/kvm for this user')
    def test_x86_64_kvm(self):
        self.migrate('x86_64', accel='kvm')

    @unittest.skipUnless(kvm_works(), 'no /dev/kvm for this user')
    def test_x86_64_kvm_legacy(self):
        self.migrate('x86_64', 'legacy', accel='kvm')

    def test_nobody_logs_dma(self):
        self.need('x86_64')
        source = self.stock('x86_64', KEYS + ',dirty=none')
        with self.assertRaisesRegex(harness.QmpError, 'dirty tracking'):
            source.qmp.command('migrate', uri='exec:cat >/dev/null')

    def moves_without(self, feature):
        """The moves of the source's device, which does not offer it."""
        self.need('x86_64')
        source, target, uri = self.pair('x86_64', f'{KEYS},{feature}=off')
        source.control.wait_for('state', 'running')
        before = len(source.control.query()['moves'])
        source.qmp.command('migrate', uri=uri)
        source.wait_status('completed')
        target.control.wait_for('state', 'running')
        moves = source.control.query()['moves'][before:]
        self.assertEqual(source.quit(), target.quit())
        return [move['to'] for move in moves]

    def test_without_precopy(self):
        self.assertEqual(self.moves_without('precopy'),
                         ['running-p2p', 'stop', 'stop-copy', 'stop'])

    def test_without_p2p(self):
        self.assertEqual(self.moves_without('p2p'),
                         ['pre-copy', 'stop-copy', 'stop'])

    def test_two_devices_on_several_channels(self):
        """Their states at once, each read by a thread of its own."""
        self.need('x86_64')
        second = ['--device', f'id=h,{KEYS},seed=3,read-rate=64M']
        args = ['-device', WAYS['descriptors'][-1] +
                ',x-migration-multifd-transfer=on', '-device',
                'vfio-pci,id=v1,fd=@h@,iommufd=i0,rombar=0,'
                'x-migration-multifd-transfer=on']
        ways = dict(WAYS, both=WAYS['descriptors'][:2] + args)
        with unittest.mock.patch.dict(WAYS, ways):
            source = self.stock('x86_64', KEYS, way='both', sim_args=second)
            uri = f'unix:{source.path}/wire'
            target = self.stock('x86_64', KEYS, '-incoming', 'defer',
                                way='both', sim_args=second)
        for machine in (source, target):
            machine.qmp.command('migrate-set-capabilities', capabilities=[
                {'capability': name, 'state': True}
                for name in ('multifd', 'switchover-ack', 'return-path')])
        target.qmp.command('migrate-incoming', uri=uri)
        source.qmp.command('migrate', uri=uri)
        source.wait_status('completed')
        target.wait_status('completed')
        digests = []
        for machine in (source, target):
            machine.quit()
            digests.append(re.findall('(.): state.*digest ([0-9a-f]{16})',
                                      machine.output()))
        self.assertEqual([name for name, _ in digests[0]], ['g', 'h'])
        self.assertEqual(digests[0], digests[1])

    def test_old_riscv64_realizes(self):
        """A QEMU that knows only migration of the first version."""
        binary = shutil.which('qemu-system-riscv64')
        if not binary or version_of(binary) >= 8:
            self.skipTest('no qemu-system-riscv64 older than 8.0 in the PATH')
        machine = self.stock('riscv64', KEYS, way='legacy', binary=binary)
        calls = machine.control.query()['device-calls']
        self.assertGreater(calls, 20)
        self.assertTrue(machine.is_running())


class Guest(Case):
    """What a guest writes into the device is there at the destination."""

    @staticmethod
    def bars(machine):
        """Where the firmware has put the device's BARs, by number."""
        text = machine.qmp.command('human-monitor-command',
                                   command_line='info pci')
        device = text.split('PCI device fff1:6770')
        return {int(number): int(address, 16) for number, address in
                re.findall(r'BAR(\d): 32 bit memory at (0x[0-9a-f]{8}) ',
                           device[1])} if len(device) > 1 else {}

    def test_registers(self):
        self.need('x86_64')
        source, target, uri = self.pair('x86_64', KEYS)
        qtest = source.qtest()
        end = time.monotonic() + 30
        while len(self.bars(source)) < 2:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        bars = self.bars(source)
        trapped, mapped = bars[0], bars[2]
        qtest(f'writel {trapped + 12:#x} 0xfeedf00d')
        qtest(f'writel {trapped + 4:#x} 1')
        qtest(f'writel {mapped + 0x5000:#x} 0xcafe')
        qtest(f'writel {mapped + 0xfffffc:#x} 0xbabe')
        before = source.control.query()
        self.assertEqual(before['doorbells'], 1)
        source.qmp.command('migrate', uri=uri)
        source.wait_status('completed')
        target.wait_status('completed')
        target.control.wait_for('state', 'running')
        qtest = target.qtest()
        for address, value in ((trapped + 12, 0xfeedf00d),
                               (trapped + 8, 1), (mapped + 0x5000, 0xcafe),
                               (mapped + 0xfffffc, 0xbabe), (mapped, 0)):
            self.assertEqual(int(qtest(f'readl {address:#x}').split()[1], 16),
                             value)


class Faults(Case):
    """What stock QEMU makes of them: the guest runs on one side."""

    def setUp(self):
        self.need('x86_64')

    def fail_at_source(self, fault, want='failed'):
        source, target, uri = self.pair('x86_64', f'{KEYS},fault={fault}',
                                        KEYS)
        source.qmp.command('migrate', uri=uri)
        self.assertEqual(source.wait_status('completed', 'failed'), want)
        return source, target

    def test_read_fails_and_the_source_goes_on(self):
        source, target = self.fail_at_source('read:EIO@2M')
        self.assertTrue(source.is_running())
        source.control.wait_for('state', 'running')
        target.process.wait(30)
        self.assertNotIn('migrated with digest', target.output())
        # and can migrate once the fault is gone
        source.control.ask(command='set', fault='none')
        again = self.stock('x86_64', KEYS, '-incoming',
                           f'unix:{source.path}/again')
        source.qmp.command('migrate', uri=f'unix:{source.path}/again')
        source.wait_status('completed')
        again.wait_status('completed')
        again.control.wait_for('state', 'running')
        self.assertEqual(source.quit(), again.quit())

    def test_state_fails(self):
        source, _ = self.fail_at_source('state:EIO@stop-copy')
        self.assertTrue(source.is_running())
        source.control.wait_for('state', 'running')

    def test_destination_refuses(self):
        source, target, uri = self.pair('x86_64', KEYS,
                                        f'{KEYS},fault=refuse:version')
        source.qmp.command('migrate', uri=uri)
        target.process.wait(30)
        self.assertIn('refused', target.output())
        self.assertEqual(source.wait_status('completed', 'failed'), 'failed')

    def test_huge_size_does_not_converge(self):
        """... and can be cancelled. The pace makes the first pass longer than
        100 ms: before that QEMU has measured nothing, and stops the guest once
        it knows of nothing to send, without a look at the size."""
        source, _, uri = self.pair(
            'x86_64', f'{KEYS},fault=stop-size:2^62,read-rate=40M', KEYS)
        source.qmp.command('migrate', uri=uri)
        source.control.wait_for('state', 'pre-copy')
        time.sleep(1)
        self.assertEqual(source.status(), 'active')
        source.qmp.command('migrate_cancel')
        source.wait_status('cancelled')
        source.control.wait_for('state', 'running')
        self.assertTrue(source.is_running())


if __name__ == '__main__':
    harness.need(any(find_qemu(arch) for arch in MACHINES),
                 'no stock QEMU of version 10.0 or newer: scripts/get-peer-qemu '
                 'x86_64 aarch64 riscv64 fetches it')
    harness.main()
