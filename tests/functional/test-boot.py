# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel to user space on board virt, with its devices at work."""
import hashlib
import os
import tempfile
import unittest

import harness

BOOT_S = 120
DISK = 4 << 20


def guest_commands(*commands):
    """The kernel argument that has init run these, joined by ';'."""
    return 'godwit.run=' + ';'.join(command.replace(' ', '+') for command in commands)


class Boot(unittest.TestCase):
    """From OpenSBI to a shell command's output."""

    def boot(self, harts, transport):
        """Boots, looks at every device, powers off; returns the serial text."""
        content = os.urandom(DISK)
        with tempfile.NamedTemporaryFile() as disk:
            disk.write(content)
            disk.flush()
            commands = guest_commands(
                'sha256sum /dev/vda', 'echo godwit-wrote > /dev/vda', 'sync',
                'dd if=/dev/hwrng bs=32 count=1 2>/dev/null | wc -c',
                'ifconfig eth0 10.0.2.15', 'ping -c 1 10.0.2.2', 'date +%s',
                'cat /proc/interrupts', 'cat /proc/cpuinfo')
            machine = harness.Machine(
                '-machine', 'virt', '-smp', harts, '-m', '256',
                '-kernel', harness.KERNEL, '-initrd', harness.INITRD,
                '-append', f'console=ttyS0 {commands}',
                '-drive', f'file={disk.name},format=raw,if=none,id=d0',
                '-device', f'virtio-blk-{transport},drive=d0',
                '-netdev', 'user,id=n0', '-device', f'virtio-net-{transport},netdev=n0',
                '-device', f'virtio-rng-{transport}')
            self.addCleanup(machine.close)
            text = machine.wait_serial('godwit-guest: done 0', BOOT_S)
            self.assertEqual(machine.wait_exit(), 0, machine.output())
            disk.seek(0)
            self.assertTrue(disk.read(64).startswith(b'godwit-wrote\n'))
        self.assertIn('OpenSBI', text)
        self.assertIn('godwit-guest: ready, Linux', text)
        self.assertIn(f', {harts} harts', text)
        self.assertIn(hashlib.sha256(content).hexdigest(), text)
        self.assertIn('1 packets received', text)
        self.assertRegex(text, r'\n32\r?\n')
        self.assertIn(f'hart\t\t: {harts - 1}', text)
        self.assertIn('registered as rtc0', text)
        return text

    def test_one_hart_mmio(self):
        """One hart; devices in the board's virtio-mmio slots."""
        self.boot(1, 'device')

    def test_four_harts_pci(self):
        """Four harts; devices on PCI, their INTx lines spread over the PLIC."""
        text = self.boot(4, 'pci')
        for source in (33, 34, 35):
            self.assertRegex(text, rf'SiFive PLIC +{source} ')


harness.need(harness.KERNEL and harness.INITRD,
             'no Linux guest; scripts/get-guest fetches one')
if __name__ == '__main__':
    harness.main()
