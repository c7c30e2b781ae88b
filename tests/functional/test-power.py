# SPDX-License-Identifier: GPL-2.0-or-later
"""How a guest ends and starts again, shown by a few instructions without
firmware."""
import struct
import subprocess
import tempfile
import unittest

import harness


def program(*words):
    """A raw binary for the start of RAM, of these instructions."""
    return struct.pack(f'<{len(words)}I', *words)


class End(unittest.TestCase):
    """The test device, driven by a few instructions and no firmware."""

    # lui t0, 0x100; lui t1, high; addi t1, t1, low; sw t1, 0(t0); j .
    def run_guest(self, value, *args):
        high = (value + 0x800) >> 12 & 0xfffff
        low = value & 0xfff
        with tempfile.NamedTemporaryFile() as kernel:
            kernel.write(program(0x001002b7, high << 12 | 0x337,
                                 low << 20 | 0x30313, 0x0062a023, 0x6f))
            kernel.flush()
            return subprocess.run(
                [harness.BINARY, '-machine', 'virt', '-bios', 'none', '-display', 'none',
                 '-kernel', kernel.name, *args], timeout=harness.patience(30), check=False,
                stdin=subprocess.DEVNULL).returncode

    def test_power_off(self):
        """0x5555 ends the process with status 0."""
        self.assertEqual(self.run_guest(0x5555), 0)

    def test_fail(self):
        """0x3333 ends it with the status in the high half."""
        self.assertEqual(self.run_guest(0x00073333), 7)

    def test_reset_without_reboot(self):
        """0x7777 under -no-reboot ends it with status 0."""
        self.assertEqual(self.run_guest(0x7777, '-no-reboot'), 0)

    def test_reset(self):
        """A reset puts the kernel in again, and it starts anew."""
        words = (
            0x800002b7,     # lui t0, 0x80000 (sign-extended)
            0x02029293,     # slli t0, t0, 32
            0x0202d293,     # srli t0, t0, 32
            0x0802a303,     # lw t1, 128(t0): a word of the image, 1 at load
            0x08028393,     # addi t2, t0, 128
            0x0003a023,     # sw zero, 0(t2): the guest spoils its image
            0x100002b7,     # lui t0, 0x10000: the UART
            0x04100393,     # li t2, 'A'
            0x00030463,     # beqz t1, +8
            0x00728023,     # sb t2, 0(t0): 'A' if the word was whole
            0x001002b7,     # lui t0, 0x100: the test device
            0x00007337,     # lui t1, 0x7
            0x77730313,     # addi t1, t1, 0x777
            0x0062a023,     # sw t1, 0(t0): reset
            0x0000006f)     # j .
        image = program(*words).ljust(128, b'\0') + struct.pack('<I', 1)
        with tempfile.NamedTemporaryFile() as kernel:
            kernel.write(image)
            kernel.flush()
            machine = harness.Machine('-machine', 'virt', '-bios', 'none',
                                      '-kernel', kernel.name)
            self.addCleanup(machine.close)
            machine.wait_serial('AAAAA', 20)
            machine.qmp.wait_event('RESET', guest=True)


if __name__ == '__main__':
    harness.main()
