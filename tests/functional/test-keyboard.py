# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys and the power button: what the monitors accept, and what a Linux guest
hears of it, where it is and where it goes."""
import re
import struct
import subprocess
import time
import unittest

import harness

BOOT_S = 120
EV_SYN, EV_KEY = 0, 1
A, B, C, LEFTCTRL, LEFTALT = 30, 48, 46, 29, 56


def names(*keys):
    """KeyValues of QKeyCodes."""
    return [{'type': 'qcode', 'data': key} for key in keys]


class Monitors(unittest.TestCase):
    """What is refused, and why. No guest that would hear of it."""

    def machine(self, *args):
        """A stopped board."""
        machine = harness.Machine('-machine', 'virt', '-bios', 'none', '-nodefaults', '-S',
                                  *args, serial=None)
        self.addCleanup(machine.close)
        return machine

    def refused(self, machine, keys, **more):
        """send-key fails; what it says."""
        with self.assertRaises(harness.QmpError) as caught:
            machine.command('send-key', keys=keys, **more)
        self.assertEqual(caught.exception.error_class, 'GenericError')
        return caught.exception.desc

    def human(self, machine, line):
        return machine.command('human-monitor-command', command_line=line)

    def test_no_keyboard(self):
        """A clear error; the button is no more than an event."""
        machine = self.machine()
        self.assertRegex(self.refused(machine, names('a')), 'no keyboard.*virtio-keyboard')
        self.assertRegex(self.human(machine, 'sendkey a'), '^Error: this machine has no keyb')
        machine.command('system_powerdown')
        machine.qmp.wait_event('POWERDOWN')
        self.assertEqual(machine.command('query-status')['status'], 'prelaunch')

    def test_types(self):
        """Found as libvirt looks for them, of the class that a keyboard has."""
        machine = self.machine('-device', 'virtio-keyboard-pci,id=k0',
                               '-device', 'virtio-keyboard-device,id=k1,serial=1')
        types = {info['name'] for info in machine.command('qom-list-types')}
        self.assertLessEqual({'virtio-keyboard-pci', 'virtio-keyboard-device'}, types)
        self.assertIn('Class 0900: PCI device 1af4:1052', self.human(machine, 'info pci'))

    def test_refused(self):
        """Each argument that cannot be meant."""
        machine = self.machine('-device', 'virtio-keyboard-device')
        many = names(*'abcdefghijklmnopq')
        number = [{'type': 'number', 'data': 255}]
        for keys, more, why in (
                (names('a'), {}, 'no driver'),
                ([], {}, 'empty'),
                (names('unmapped'), {}, "does not accept value 'unmapped'"),
                (names('a', 'b', 'a'), {}, 'key a is there twice'),
                (many, {}, 'key q is one too many; expected at most 16'),
                (number, {}, 'no key has number 255'),
                ([{'type': 'number', 'data': -1}], {}, 'no key has number -1'),
                ([{'type': 'name', 'data': 'a'}], {}, "'name'"),
                (names('a'), {'hold_time': -1}, '-1 ms; expected 0'),
                (names('a'), {'hold_time': 60001}, '60001 ms; expected 0'),
                (names('a'), {'hold_time': 60000}, 'no driver'),
                (many[:16], {}, 'no driver')):
            self.assertIn(why, self.refused(machine, keys, **more))
        for line, why in (
                ('sendkey', 'expected keys'),
                ('sendkey a 1 2', 'expected keys'),
                ('sendkey ""', "no key ''"),
                ('sendkey a-', "no key ''"),
                ('sendkey ctrl-nothing', "no key 'nothing'"),
                ('sendkey 30', "no key '30'"),
                ('sendkey 0x1ff', 'number 0x1ff'),
                ('sendkey 0xff', 'number 255'),
                ('sendkey a soon', "hold time 'soon'"),
                ('sendkey a 60001', '60001 ms'),
                ('sendkey <-0x1d-ctrl_r 10', 'no driver')):
            self.assertRegex(self.human(machine, line), f'^Error: .*{re.escape(why)}')

    def test_serial_too_long(self):
        """The serial number has its place in the configuration space."""
        done = subprocess.run(
            [harness.BINARY, '-machine', 'virt', '-bios', 'none', '-display', 'none', '-S',
             '-device', 'virtio-keyboard-device,serial=' + 129 * 'x'],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
            timeout=harness.patience(30))
        self.assertEqual(done.returncode, 1)
        self.assertIn("'serial' has 129 characters; expected at most 128", done.stderr)


@unittest.skipUnless(harness.KERNEL and harness.INITRD, 'no Linux guest')
class Guest(unittest.TestCase):
    """Debian's kernel, whose init heeds the button (tests/guest/init.sh)."""

    def machine(self, device, *more, commands=('echo here', 'sleep 1000'), name='vm'):
        run = ';'.join(command.replace(' ', '+') for command in commands)
        machine = harness.Machine(
            '-machine', 'virt', '-m', '256', '-kernel', harness.KERNEL,
            '-initrd', harness.INITRD, '-append', f'console=ttyS0 quiet godwit.run={run}',
            '-device', device, *more, name=name)
        self.addCleanup(machine.close)
        return machine

    def press_button(self, machine):
        """The guest hears of it and ends by itself."""
        machine.command('system_powerdown')
        machine.qmp.wait_event('POWERDOWN')
        machine.wait_serial('godwit-guest: power button', 30)
        machine.qmp.wait_event('SHUTDOWN', guest=True, reason='guest-shutdown')
        self.assertEqual(machine.wait_exit(), 0)

    def listening(self, device, *more, name='vm'):
        """A guest that prints the events of its keyboard, one a line."""
        return self.machine(
            device, *more, name=name,
            commands=('exec 3< /dev/input/event0', 'echo listening',
                      'while dd bs=1536 count=1 <&3 2>/dev/null | xxd -p -c 24; do :; done'))

    def events(self, text):
        """Key events that it printed: (time, code, value), without those of keys that
        the guest itself repeats. Each must have its EV_SYN behind it."""
        found = []
        for line in re.findall(r'^([0-9a-f]{48})\r?\n', text, re.M):
            seconds, us, kind, code, value = struct.unpack('<qqHHI', bytes.fromhex(line))
            self.assertEqual((kind, code) if len(found) % 2 else kind,
                             (EV_SYN, 0) if len(found) % 2 else EV_KEY)
            found.append((seconds + us / 1e6, code, value))
        return [event for event in found[::2] if event[2] != 2]

    def wait_events(self, count, machine, before=''):
        """Its events behind what another machine has printed before, when there are
        so many."""
        end = harness.deadline(60)
        while True:
            events = self.events(before + machine.serial())
            if len(events) >= count:
                return events
            self.assertLess(time.monotonic(), end, events)
            time.sleep(0.05)

    def test_power_button(self):
        """system_powerdown ends the guest in good order."""
        machine = self.machine('virtio-keyboard-pci')
        machine.wait_serial('\nhere', BOOT_S)
        self.press_button(machine)

    def test_keys(self):
        """Names and numbers, by QMP and HMP, in order, held as long as said; and the
        power key is the button."""
        machine = self.listening('virtio-keyboard-device,serial=S1')
        machine.wait_serial('\nlistening', BOOT_S)
        machine.command('send-key', keys=names('ctrl', 'a'), hold_time=200)
        machine.command('send-key', keys=[{'type': 'number', 'data': 48}], hold_time=1)
        machine.command('human-monitor-command', command_line='sendkey alt-0x1e 1')
        events = self.wait_events(10, machine)
        self.assertEqual([event[1:] for event in events], [
            (LEFTCTRL, 1), (A, 1), (A, 0), (LEFTCTRL, 0), (B, 1), (B, 0),
            (LEFTALT, 1), (A, 1), (A, 0), (LEFTALT, 0)])
        self.assertGreaterEqual(events[2][0] - events[1][0], 0.199)
        machine.command('send-key', keys=names('power'))
        machine.wait_serial('godwit-guest: power button', 30)
        machine.qmp.wait_event('SHUTDOWN', guest=True, reason='guest-shutdown')

    def test_migration(self):
        """A key that is held while the guest moves comes up there, once and in time;
        what waited behind it comes too; and there the button ends the guest."""
        source = self.listening('virtio-keyboard-pci', name='source')
        source.wait_serial('\nlistening', BOOT_S)
        target = self.listening('virtio-keyboard-pci', '-incoming', 'tcp:127.0.0.1:0', name='target')
        where = target.command('query-migrate')['socket-address'][0]
        with self.assertRaisesRegex(harness.QmpError, "state 'inmigrate'"):
            target.command('send-key', keys=names('a'))
        source.command('send-key', keys=names('a'), hold_time=2000)
        source.command('send-key', keys=names('b'), hold_time=1)
        self.wait_events(1, source)
        source.command('stop')          # and with it the time for which it is held
        source.command('migrate', uri=f'tcp:{where["host"]}:{where["port"]}')
        info = source.wait_migration('completed', 'failed')
        self.assertEqual(info['status'], 'completed', info)
        with self.assertRaisesRegex(harness.QmpError, "state 'postmigrate'"):
            source.command('send-key', keys=names('a'))
        target.wait_migration('completed')
        before = source.serial()
        self.assertEqual([event[1:] for event in self.events(before)], [(A, 1)])
        target.command('send-key', keys=names('c'), hold_time=1)
        target.command('cont')
        events = self.wait_events(6, target, before)
        self.assertEqual([event[1:] for event in events],
                         [(A, 1), (A, 0), (B, 1), (B, 0), (C, 1), (C, 0)])
        self.assertGreaterEqual(events[1][0] - events[0][0], 1.999)
        self.press_button(target)


if __name__ == '__main__':
    harness.main()
