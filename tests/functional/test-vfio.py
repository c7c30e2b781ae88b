#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-device vfio-pci with the devices of vfio-sim: what a guest sees of them,
what the monitor says of them, and what comes of each call that fails."""
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

import harness
import vfiosim
from vfio import SimMachine

SIM = vfiosim.SIM

ECAM = 0x30000000
MEM32 = 0x40000000
PLIC = 0xc000000
RAM = 0x80000000
MIB = 1 << 20
BOOT_S = 120

# The first trapped BAR begins with these.
REG_ID, REG_DOORBELL, REG_COUNT, REG_SCRATCH = 0, 4, 8, 12


class Qtest(harness.Qtest):
    """Registers, too."""

    def command(self, line):
        self.file.write(line + '\n')
        self.file.flush()
        answer = self.file.readline().split()
        if answer[:1] != ['OK']:
            raise RuntimeError(f'qtest {line}: {answer}')
        return int(answer[1], 16) if len(answer) > 1 else None

    def get(self, addr, size=4):
        return self.command(f'read{ {1: "b", 2: "w", 4: "l", 8: "q"}[size]} 0x{addr:x}')

    def set(self, addr, value, size=4):
        self.command(f'write{ {1: "b", 2: "w", 4: "l", 8: "q"}[size]} 0x{addr:x} 0x{value:x}')


class Case(unittest.TestCase):
    """A machine whose harts never run: the test is the guest."""

    def start(self, devices, *args, **keys):
        folder = tempfile.TemporaryDirectory(prefix='godwit-vfio-')
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name)
        machine = SimMachine(devices, '-machine', 'virt', '-accel', 'qtest', '-m', '64',
                             '-qtest', f'unix:{path}/qtest,server=on,wait=off',
                             '-qtest-log', 'none', *args, sim=('--log', str(path / 'calls')),
                             **keys)
        machine.calls = path / 'calls'
        self.addCleanup(machine.close)
        self.qtest = Qtest(path / 'qtest')
        self.addCleanup(self.qtest.close)
        return machine

    def config(self, reg, size=4, slot=1):
        return self.qtest.get(ECAM + (slot << 15) + reg, size)

    def set_config(self, reg, value, size=4, slot=1):
        self.qtest.set(ECAM + (slot << 15) + reg, value, size)

    def place(self, slot=1):
        """BAR 0 (trapped) and 2 (mapped) of the device; where they are."""
        base = MEM32 + slot * 0x4000000
        self.set_config(0x10, base, slot=slot)
        self.set_config(0x18, base + 0x1000000, slot=slot)
        self.set_config(0x04, 6, 2, slot)
        return base, base + 0x1000000

    def enable_interrupt(self, source):
        self.qtest.set(PLIC + 4 * source, 1)
        self.qtest.set(PLIC + 0x2080 + source // 32 * 4, 1 << source % 32)

    def claim(self, wait_s=5):
        """The interrupt that is there, within that time; else 0."""
        end = time.monotonic() + wait_s
        while True:
            source = self.qtest.get(PLIC + 0x201004)
            if source or time.monotonic() > end:
                return source
            time.sleep(0.005)

    def complete(self, source):
        self.qtest.set(PLIC + 0x201004, source)


class Registers(Case):
    """Configuration space, BARs, interrupts, DMA."""

    def test_identity_and_bars(self):
        machine = self.start({'gpu0': 'vendor=0x1234,device=0xabcd'})
        self.assertEqual(self.config(0), 0xabcd1234)
        self.assertEqual(self.config(0x0a, 2), 0x0302)
        # MSI-X, its only capability, is not for this board.
        self.assertEqual(self.config(6, 2) & 0x10, 0)
        self.assertEqual(self.config(0x34, 1), 0)
        self.set_config(0x10, 0xffffffff)
        self.assertEqual(self.config(0x10), 0xffff0000)
        self.set_config(0x18, 0xffffffff)
        self.assertEqual(self.config(0x18), 0xff000000)
        trapped, mapped = self.place()
        self.assertEqual(self.qtest.get(trapped + REG_ID), 0xabcd1234)
        self.qtest.set(trapped + REG_SCRATCH, 0x12345678)
        self.assertEqual(self.qtest.get(trapped + REG_SCRATCH), 0x12345678)
        self.assertEqual(self.qtest.get(trapped + REG_SCRATCH, 1), 0x78)
        # Through the map there is no call.
        before = machine.calls.read_text().count('device read')
        self.qtest.set(mapped + 0x123450, 0x1122334455667788, 8)
        self.assertEqual(self.qtest.get(mapped + 0x123454), 0x11223344)
        self.assertEqual(machine.calls.read_text().count('device read'), before)
        # Memory off: nobody answers.
        self.set_config(0x04, 0, 2)
        self.assertEqual(self.qtest.get(mapped), 0xffffffff)

    def test_no_mmap(self):
        machine = self.start({'gpu0': ''}, pci=',x-no-mmap=on')
        _, mapped = self.place()
        before = machine.calls.read_text().count('device read')
        self.qtest.set(mapped + 8, 77)
        self.assertEqual(self.qtest.get(mapped + 8), 77)
        self.assertEqual(machine.calls.read_text().count('device read'), before + 1)

    def test_interrupts(self):
        self.start({'gpu0': ''})
        trapped, _ = self.place()
        self.enable_interrupt(33)
        for i in range(1, 11):
            self.qtest.set(trapped + REG_DOORBELL, 1)
            self.assertEqual(self.claim(), 33)
            self.assertEqual(self.qtest.get(trapped + REG_COUNT), i)
            self.complete(33)
            self.assertEqual(self.claim(0), 0)

    def test_interrupts_at_a_rate(self):
        """While one is not served, no other comes, and none is lost."""
        self.start({'gpu0': 'irq-rate=100'})
        trapped, _ = self.place()
        self.enable_interrupt(33)
        for _ in range(20):
            self.assertEqual(self.claim(), 33)
            time.sleep(0.02)
            self.qtest.get(trapped + REG_ID)
            self.complete(33)

    def test_interrupts_disabled(self):
        self.start({'gpu0': ''})
        trapped, _ = self.place()
        self.enable_interrupt(33)
        self.set_config(4, 0x406, 2)
        self.qtest.set(trapped + REG_DOORBELL, 1)
        self.assertEqual(self.claim(0.2), 0)
        self.assertEqual(self.config(6, 2) & 8, 8)
        self.set_config(4, 6, 2)
        self.qtest.set(trapped + REG_DOORBELL, 1)
        self.assertEqual(self.claim(), 33)

    def test_dma(self):
        """It writes the RAM that it was told to, shared with others or not."""
        for backing in ((), ('-object', 'memory-backend-memfd,id=m0,size=64M,share=on',
                             '-machine', 'memory-backend=m0')):
            with self.subTest(backing):
                self.start({'gpu0': f'dma-rate=8M,dma-range={RAM + 4 * MIB}+1M'}, *backing)
                end = time.monotonic() + 10
                while b'\0' * 4096 in [self.qtest.read(RAM + 4 * MIB + at, 4096)
                                       for at in range(0, MIB, 4096)]:
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.05)
                self.assertEqual(self.qtest.read(RAM + 3 * MIB, MIB), bytes(MIB))
                self.assertEqual(self.qtest.read(RAM + 5 * MIB, MIB), bytes(MIB))

    def test_two_devices(self):
        machine = self.start({'a': 'device=0xa', 'b': 'device=0xb'})
        self.assertEqual(self.config(2, 2, slot=1), 0xa)
        self.assertEqual(self.config(2, 2, slot=2), 0xb)
        one, _ = self.place(1)
        two, _ = self.place(2)
        self.enable_interrupt(34)
        self.qtest.set(two + REG_DOORBELL, 1)
        self.assertEqual(self.claim(), 34)
        self.assertEqual(self.qtest.get(one + REG_COUNT), 0)
        self.assertEqual(self.qtest.get(two + REG_COUNT), 1)
        # RAM and ROM once, not for each.
        self.assertEqual(machine.calls.read_text().count('ioas-map'), 2)

    def test_reset(self):
        machine = self.start({'gpu0': ''})
        trapped, _ = self.place()
        self.qtest.set(trapped + REG_DOORBELL, 1)
        before = machine.calls.read_text().count('device reset')
        machine.command('system_reset')
        machine.qmp.wait_event('RESET')
        self.assertEqual(machine.calls.read_text().count('device reset'), before + 1)
        self.assertEqual(self.config(4, 2), 0)
        self.assertEqual(self.config(0x10), 0)
        trapped, _ = self.place()
        self.assertEqual(self.qtest.get(trapped + REG_COUNT), 0)
        self.enable_interrupt(33)
        self.qtest.set(trapped + REG_DOORBELL, 1)
        self.assertEqual(self.claim(), 33)

    def test_everything_is_given_back(self):
        machine = self.start({'a': '', 'b': ''})
        machine.command('quit')
        self.assertEqual(machine.wait_exit(), 0)
        calls = machine.calls.read_text()
        for begin, end in (('ioas-map', 'ioas-unmap'), ('device attach', 'device detach')):
            self.assertEqual(calls.count(f'{begin} '), calls.count(f'{end} '), calls)
        self.assertEqual(calls.count('ioas-alloc') + calls.count('hwpt-alloc'),
                         calls.count('iommu-destroy'))


class Monitor(Case):
    """What management asks."""

    def test_objects_and_devices(self):
        machine = self.start({'gpu0': ''})
        children = machine.command('qom-list', path='/machine/peripheral')
        self.assertIn({'name': 'gpu0', 'type': 'child<vfio-pci>'}, children)
        properties = {p['name']: p['type'] for p in
                      machine.command('device-list-properties', typename='vfio-pci')}
        for name, kind in (('host', 'str'), ('sysfsdev', 'str'), ('fd', 'str'),
                           ('iommufd', 'str'), ('x-no-mmap', 'bool'),
                           ('enable-migration', 'OnOffAuto'), ('migration-events', 'bool')):
            self.assertEqual(properties[name], kind)
        text = machine.command('human-monitor-command', command_line='info pci')
        self.assertIn('PCI device fff1:6770', text)
        self.assertIn('id "gpu0"', text)
        with self.assertRaisesRegex(harness.QmpError, 'in use'):
            machine.command('object-del', id='iommufd0')
        machine.command('object-add', qom_type='iommufd', id='i1')
        machine.command('object-del', id='i1')


class Failing(Case):
    """A call of the kernel that fails ends the start, with what and why."""

    def refuse(self, keys, message):
        argv = [SIM, '--device', 'id=g' + (',' + keys if keys else ''), '--', harness.BINARY,
                '-machine', 'virt', '-accel', 'qtest', '-display', 'none',
                '-object', 'iommufd,id=i0,fd=@iommufd@', '-device',
                'vfio-pci,id=g,fd=@g@,iommufd=i0']
        run = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False,
                             stdin=subprocess.DEVNULL)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("device 'g'", run.stderr)
        self.assertIn(message, run.stderr)

    def test_calls(self):
        for call, message in (('bind', 'binding it to iommufd'),
                              ('ioas-alloc', 'allocating an address space'),
                              ('attach', 'attaching it to page table'),
                              ('ioas-map', "mapping RAM block 'riscv_virt_board.ram'"),
                              ('device-info', 'asking what the device has'),
                              ('region-info', 'asking for its region'),
                              ('irq-info', 'asking for its INTx'),
                              ('set-irqs', 'setting the event descriptor')):
            with self.subTest(call):
                self.refuse(f'fault={call}:EIO', message)

    def test_nobody(self):
        run = subprocess.run([harness.BINARY, '-machine', 'virt', '-accel', 'qtest',
                              '-display', 'none', '-device', 'vfio-pci,host=ffff:ff:1f.7'],
                             capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn('/sys/bus/pci/devices/ffff:ff:1f.7', run.stderr)


# Shell of the guest; '-' twice, for '+' stands for a blank there.
LINUX = ('cd /sys/bus/pci/devices/0000:00:01.0; cat uevent;'
         ' hexdump -n 64 -e \'16/1 "%02x"\' config; echo;'
         ' echo 1234 abcd > /sys/bus/pci/drivers/uio_pci_generic/new_id;'
         ' BAR=$(head -n1 resource | cut -d" " -f1); MAP=$(sed -n 3p resource | cut -d" " -f1);'
         ' echo id $(devmem $BAR 32);'
         ' devmem $((MAP - -4096)) 64 0x1122334455667788; echo map $(devmem $((MAP - -4100)) 32);'
         ' for i in 1 2 3 4 5; do devmem $((BAR - -4)) 32 1; usleep 50000;'
         ' devmem $((BAR - -8)) 32 > /dev/null; setpci_enable; done;'
         ' grep uio_pci /proc/interrupts')


class Linux(unittest.TestCase):
    """Debian's kernel finds the device, reaches it, counts its interrupts."""

    def boot(self, devices, script, *args):
        script = script.replace(' ', '+')
        machine = SimMachine(devices, '-machine', 'virt', '-m', '256', '-kernel',
                             harness.KERNEL, '-initrd', harness.INITRD, '-append',
                             f'console=ttyS0 quiet godwit.run={script}', *args)
        self.addCleanup(machine.close)
        return machine.wait_serial('godwit-guest: done', BOOT_S).replace('\r', '')

    @unittest.skipUnless(harness.KERNEL and harness.INITRD, 'no Linux guest')
    def test_device(self):
        # uio lets INTx in again when it is told to: the command register.
        enable = ('printf "\\006\\000" | dd of=config bs=1 seek=4 conv=notrunc 2>/dev/null')
        text = self.boot({'gpu0': 'vendor=0x1234,device=0xabcd'},
                         LINUX.replace('setpci_enable', enable))
        self.assertIn('PCI_ID=1234:ABCD', text)
        self.assertIn('PCI_CLASS=30200', text)
        self.assertRegex(text, r'\n3412cdab[0-9a-f]{120}\n')
        self.assertIn('id 0xABCD1234', text)
        self.assertIn('map 0x11223344', text)
        counted = re.search(r'^ *\d+: +(\d+) .*uio_pci_generic', text, re.M)
        self.assertEqual(int(counted.group(1)), 5, text)
        self.assertIn('godwit-guest: done 0', text)


# Rings the bell, lets the interrupt be served, says how many there were.
TICKS = ('cd /sys/bus/pci/devices/0000:00:01.0;'
         ' echo fff1 6770 > /sys/bus/pci/drivers/uio_pci_generic/new_id;'
         ' BAR=$(head -n1 resource | cut -d" " -f1); I=0;'
         ' while true; do I=$((I - -1)); devmem $((BAR - -4)) 32 1; usleep 50000;'
         ' devmem $BAR 32 > /dev/null;'
         ' printf "\\006\\000" | dd of=config bs=1 seek=4 conv=notrunc 2>/dev/null;'
         ' N=$(grep uio_pci /proc/interrupts | awk "{ print \\$2 }");'
         ' echo tick $I interrupts $N id $(devmem $BAR 32); done')

MIGRATABLE = 'state-size=4M,stop-size=1M'


def move(source, target_of, folder):
    """Moves the guest to what target_of(uri) starts; returns that."""
    uri = f'unix:{folder}/migration'
    target = target_of(uri)
    source.command('migrate', uri=uri)
    info = source.wait_migration('completed', 'failed')
    assert info['status'] == 'completed', info
    target.wait_migration('completed')
    return target


class Moved(Case):
    """What the guest had set up of the device is there when it has moved."""

    def test_registers_and_interrupt(self):
        source = self.start({'gpu0': MIGRATABLE})
        trapped, mapped = self.place()
        self.enable_interrupt(33)
        self.qtest.set(trapped + REG_DOORBELL, 1)
        # Claimed, and not served: the line is high when the guest leaves.
        self.assertEqual(self.claim(), 33)
        source.command('cont')
        with tempfile.TemporaryDirectory(prefix='godwit-vfio-') as folder:
            move(source, lambda uri: self.start({'gpu0': MIGRATABLE}, '-incoming', uri), folder)
        self.assertEqual(self.config(0x10), trapped)
        self.assertEqual(self.config(0x18), mapped)
        self.assertEqual(self.config(4, 2), 6)
        self.complete(33)
        self.assertEqual(self.claim(0), 33)
        self.assertEqual(self.qtest.get(trapped + REG_ID), 0x6770fff1)
        self.complete(33)
        self.assertEqual(self.claim(0), 0)
        self.qtest.set(trapped + REG_DOORBELL, 1)
        self.assertEqual(self.claim(), 33)

    def test_other_device(self):
        """A device with other ids is not the guest's."""
        source = self.start({'gpu0': MIGRATABLE})
        source.command('cont')
        with tempfile.TemporaryDirectory(prefix='godwit-vfio-') as folder:
            uri = f'unix:{folder}/migration'
            target = self.start({'gpu0': MIGRATABLE + ',device=0x1234'}, '-incoming', uri)
            source.command('migrate', uri=uri)
            source.wait_migration('failed')
            target.process.wait(20)
            self.assertNotEqual(target.process.returncode, 0)

    @unittest.skipUnless(harness.KERNEL and harness.INITRD, 'no Linux guest')
    def test_linux(self):
        """No tick is missing, and none without its interrupt."""
        def machine(*args):
            machine = SimMachine({'gpu0': MIGRATABLE}, '-machine', 'virt', '-m', '256',
                                 '-kernel', harness.KERNEL, '-initrd', harness.INITRD, '-append',
                                 'console=ttyS0 quiet godwit.run=' + TICKS.replace(' ', '+'),
                                 *args)
            self.addCleanup(machine.close)
            return machine

        source = machine()
        source.wait_serial('tick 5 ', BOOT_S)
        with tempfile.TemporaryDirectory(prefix='godwit-vfio-') as folder:
            target = move(source, lambda uri: machine('-incoming', uri), folder)
        last = 0
        end = time.monotonic() + 60
        while last < 15 and time.monotonic() < end:
            time.sleep(0.1)
            text = (source.serial() + target.serial()).replace('\r', '')
            ticks = re.findall(r'^tick (\d+) interrupts (\d+) id (\w+)$', text, re.M)
            last = int(ticks[-1][0])
        self.assertGreaterEqual(last, 15, text)
        self.assertIn('tick 15 ', target.serial())
        self.assertEqual([int(i) for i, _, _ in ticks], list(range(1, last + 1)))
        self.assertEqual([int(n) for _, n, _ in ticks], list(range(1, last + 1)))
        self.assertEqual({ident for _, _, ident in ticks}, {'0x6770FFF1'})


def sim_has_sysfs():
    """Whether this vfio-sim has devices below /sys."""
    run = subprocess.run([SIM, '--device', 'id=g', '--', 'echo', '@g:sysfs@'],
                         capture_output=True, text=True, timeout=30, check=False)
    return run.returncode == 0 and '@g:sysfs@' not in run.stdout


# A folder of the same device that knows of its group alone; then the rest.
GROUP_ONLY = ('mkdir "$0" && ln -s "$(readlink -f "$1/iommu_group")" "$0/iommu_group" && '
              'shift && exec "$@"')


@unittest.skipUnless(sim_has_sysfs(), 'this vfio-sim has no devices below /sys')
class BySysfs(unittest.TestCase):
    """A device that is found by its folder: by its node, or by its group."""

    def touch(self, device, kind, *objects, group_only=False):
        with tempfile.TemporaryDirectory(prefix='godwit-vfio-') as folder:
            sysfs = f'{folder}/0000:fe:00.0' if group_only else '@g:sysfs@'
            argv = [SIM, '--device', 'id=g,device=0xabcd', '--']
            if group_only:
                argv += ['sh', '-c', GROUP_ONLY, sysfs, '@g:sysfs@']
            argv += [harness.BINARY, '-machine', 'virt', '-accel', 'qtest', '-m', '64',
                     '-display', 'none', *objects, '-device',
                     f'vfio-pci,sysfsdev={sysfs}{device}', '-qtest',
                     f'unix:{folder}/qtest,server=on,wait=off', '-qtest-log', 'none',
                     '-trace', 'vfio_host_open']
            with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True) as run:
                try:
                    self.look(run, f'{folder}/qtest')
                finally:
                    run.terminate()
                    said = run.communicate(timeout=20)[0]
            self.assertIn('0000:fe:00.0 fd', said)
            self.assertIn(f'iommu {kind}', said)

    def look(self, run, path):
        """Registers of the device, as soon as the machine is there."""
        for _ in range(400):
            if os.path.exists(path):
                break
            self.assertIsNone(run.poll())
            time.sleep(0.05)
        # It listens at once after that.
        time.sleep(0.05)
        qtest = Qtest(path)
        self.assertEqual(qtest.get(ECAM + (1 << 15)) >> 16, 0xabcd)
        qtest.set(ECAM + (1 << 15) + 0x10, MEM32)
        qtest.set(ECAM + (1 << 15) + 4, 6, 2)
        self.assertEqual(qtest.get(MEM32 + REG_ID) >> 16, 0xabcd)
        qtest.close()

    def test_node(self):
        """With an object, by its node."""
        self.touch(',iommufd=i0', 'iommufd', '-object', 'iommufd,id=i0')

    def test_node_without_object(self):
        """Without one, by its node as well."""
        self.touch('', 'iommufd')

    def test_group(self):
        """Where there is no node, by its group."""
        self.touch('', 'container', group_only=True)


if __name__ == '__main__':
    harness.need(os.path.exists(SIM), f'no {SIM}')
    harness.main()
