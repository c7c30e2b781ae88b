# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest is moved while it uses every device that it has."""
import re
import shutil
import socket
import tempfile
import time
import unittest

import harness

BOOT_S = 120
MIB = 1 << 20

# Writes noise to the disk, reads it back past the cache, pings the host, and
# says how it went; ROUND counts without a gap. ('+' stands for a blank.)
WORK = ('ifconfig eth0 10.0.2.15; ROUND=0; BAD=0; while true; do ROUND=$((ROUND - -1));'
        'dd if=/dev/hwrng of=/noise bs=32k count=1 2>/dev/null;'
        'dd if=/noise of=/dev/vda bs=32k count=1 seek=$((ROUND%100)) conv=fsync 2>/dev/null;'
        'echo 3 > /proc/sys/vm/drop_caches;'
        'dd if=/dev/vda of=/back bs=32k count=1 skip=$((ROUND%100)) 2>/dev/null;'
        'cmp -s /noise /back || BAD=$((BAD - -1));'
        'ping -c 1 -W 5 10.0.2.2 > /dev/null || BAD=$((BAD - -1));'
        'echo round $ROUND bad $BAD; echo hvc $ROUND > /dev/hvc0; done')


class LinuxOnTheMove(unittest.TestCase):
    """Source and destination share the image, as on shared storage."""

    def machine(self, transport, image, name, *more):
        """One side."""
        run = WORK.replace(' ', '+')
        machine = harness.Machine(
            '-machine', 'virt', '-smp', '2', '-m', '256', '-kernel', harness.KERNEL,
            '-initrd', harness.INITRD, '-append', f'console=ttyS0 quiet godwit.run={run}',
            '-blockdev', f'driver=file,filename={image},node-name=d0',
            '-device', f'virtio-blk-{transport},drive=d0',
            '-netdev', 'user,id=n0', '-device', f'virtio-net-{transport},netdev=n0',
            '-device', f'virtio-rng-{transport}',
            '-chardev', f'file,id=c0,path={image}.{name}',
            '-device', f'virtio-serial-{transport}', '-device', 'virtconsole,chardev=c0',
            *more, name=name)
        self.addCleanup(machine.close)
        return machine

    def rounds(self, machine):
        """(round, bad) of each whole line that it printed."""
        return [(int(a), int(b)) for a, b in
                re.findall(r'^round (\d+) bad (\d+)\r?\n', machine.serial(), re.M)]

    def wait_rounds(self, machine, count):
        end = harness.deadline(BOOT_S)
        while len(self.rounds(machine)) < count:
            self.assertIsNone(machine.process.poll(), machine.output())
            self.assertLess(time.monotonic(), end, machine.serial()[-2000:])
            time.sleep(0.1)

    def over_tcp(self, source, target):
        """A migration while the guest runs; target() makes the other side."""
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            uri = f'tcp:127.0.0.1:{probe.getsockname()[1]}'
        there = target('-incoming', uri)
        source.command('migrate-set-capabilities', capabilities=[
            {'capability': 'return-path', 'state': True}])
        source.command('migrate', uri=uri)
        self.complete(source)
        return there

    def by_snapshot(self, source, target):
        """A mapped-ram file, from which the guest runs before it is loaded."""
        with tempfile.TemporaryDirectory() as folder:
            uri = f'file:{folder}/state'
            source.command('migrate-set-capabilities', capabilities=[
                {'capability': 'mapped-ram', 'state': True}])
            source.command('migrate', uri=uri)
            self.complete(source)
            there = target('-global', 'migration.mapped-ram=on', '-global',
                           'migration.postcopy-ram=on', '-incoming', uri)
            fast = self.complete(there)['fast-load']
            self.assertGreater(fast['fault-pages'], 0)
            self.assertGreater(fast['eager-pages'], 0)
        return there

    def by_postcopy(self, source, target):
        """The guest runs there first; its memory follows."""
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            uri = f'tcp:127.0.0.1:{probe.getsockname()[1]}'
        there = target('-global', 'migration.postcopy-ram=on', '-incoming', uri)
        source.command('migrate-set-capabilities', capabilities=[
            {'capability': 'postcopy-ram', 'state': True}])
        source.command('migrate-set-parameters', max_bandwidth=4 * MIB)
        source.command('migrate', uri=uri)
        source.wait_migration('active')
        source.command('migrate-start-postcopy')
        ram = self.complete(source)['ram']
        self.assertGreater(ram['postcopy-requests'], 0)
        self.assertGreater(ram['postcopy-bytes'], 16 * MIB)
        self.complete(there)
        return there

    def complete(self, side):
        info = side.wait_migration('completed', 'failed', timeout=120)
        self.assertEqual(info['status'], 'completed', info)
        return info

    def move(self, transport, way):
        """Boots, moves, looks at what the guest says of its devices."""
        with tempfile.TemporaryDirectory() as folder:
            image = f'{folder}/disk'
            with open(image, 'wb') as disk:
                disk.truncate(8 * MIB)
            source = self.machine(transport, image, 'source')
            self.wait_rounds(source, 5)
            target = way(source, lambda *more: self.machine(transport, image, 'target', *more))
            nodes = source.command('query-named-block-nodes')
            self.assertFalse(nodes[0]['active'])
            self.wait_rounds(target, 5)
            text = source.serial() + target.serial()
            rounds = [(int(a), int(b)) for a, b in
                      re.findall(r'round (\d+) bad (\d+)\r?\n', text)]
            self.assertEqual([n for n, _ in rounds], list(range(1, len(rounds) + 1)))
            self.assertEqual({bad for _, bad in rounds}, {0}, rounds)
            with open(f'{image}.source', encoding='ascii') as file:
                said = file.read()
            with open(f'{image}.target', encoding='ascii') as file:
                said += file.read()
            numbers = [int(n) for n in re.findall(r'hvc (\d+)\r?\n', said)]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            self.assertGreaterEqual(len(numbers), 9)

    def test_pci(self):
        """Devices on PCI."""
        self.move('pci', self.over_tcp)

    def test_mmio(self):
        """Devices in virtio-mmio slots."""
        self.move('device', self.over_tcp)

    def test_fast_load(self):
        """Devices' I/O into and out of memory that is not there yet."""
        self.move('pci', self.by_snapshot)

    def test_postcopy(self):
        """The same over a connection."""
        self.move('pci', self.by_postcopy)

    def save(self, source, uri, until):
        """Saves it, with a disk that takes its time; returns when that has come."""
        source.command('migrate', uri=uri)
        end = harness.deadline(60)
        while not until(info := source.command('query-migrate')):
            self.assertNotEqual(info['status'], 'failed', info)
            self.assertLess(time.monotonic(), end, info)
            time.sleep(0.005)

    def test_background_snapshot(self):
        """Saved again and again while it uses every device, and it goes on; and
        so does another one, with a copy of the disk of the last moment."""
        with tempfile.TemporaryDirectory() as folder:
            image, uri = f'{folder}/disk', f'file:{folder}/state'
            with open(image, 'wb') as disk:
                disk.truncate(8 * MIB)
            source = self.machine('pci', image, 'source')
            self.wait_rounds(source, 3)
            source.command('migrate-set-capabilities', capabilities=[
                {'capability': name, 'state': True}
                for name in ('mapped-ram', 'background-snapshot')])
            source.command('migrate-set-parameters', max_bandwidth=64 * MIB)
            for _ in range(4):
                self.save(source, uri, lambda info: info['status'] == 'completed')
                self.assertGreater(source.command('query-migrate')['snapshot']['aside-pages'], 0)
                self.wait_rounds(source, len(self.rounds(source)) + 1)
            source.command('stop')
            self.save(source, uri, lambda info: 'measured-us' in info.get('switchover', {}))
            shutil.copy(image, f'{folder}/copy')
            source.command('cont')
            self.complete(source)
            target = self.machine('pci', f'{folder}/copy', 'target', '-global',
                                  'migration.mapped-ram=on', '-incoming', uri)
            self.complete(target)
            target.command('cont')
            done = len(self.rounds(source))
            self.wait_rounds(target, 4)
            self.wait_rounds(source, done + 4)
            for machine in (source, target):
                rounds = self.rounds(machine)
                first = rounds[0][0]
                self.assertEqual(rounds, [(first + i, 0) for i in range(len(rounds))])
                self.assertNotIn('Oops', machine.serial())


if __name__ == '__main__':
    harness.need(harness.KERNEL and harness.INITRD, 'no Linux guest')
    harness.main()
