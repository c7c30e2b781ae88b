# SPDX-License-Identifier: GPL-2.0-or-later
"""What users rely on in disks, cables and consoles, seen from a Linux guest."""
import os
import socket
import tempfile
import time
import unittest

import harness

BOOT_S = 120
MIB = 1 << 20


def linux(*options, commands, name='vm', passed=()):
    """A Linux guest that runs these shell commands."""
    run = ';'.join(command.replace(' ', '+') for command in commands)
    return harness.Machine(
        '-machine', 'virt', '-m', '256', '-kernel', harness.KERNEL,
        '-initrd', harness.INITRD, '-append', f'console=ttyS0 quiet godwit.run={run}',
        *options, name=name, pass_fds=passed)


class Disk(unittest.TestCase):
    """-drive and -blockdev."""

    def image(self, content):
        disk = tempfile.NamedTemporaryFile()
        self.addCleanup(disk.close)
        disk.write(content)
        disk.flush()
        return disk

    def test_kill_after_flush(self):
        """What the guest has flushed is in the image when Godwit is killed. With
        all of -sandbox, which is how libvirt starts it."""
        disk = self.image(bytes(8 * MIB))
        machine = linux(
            '-drive', f'file={disk.name},format=raw,if=virtio',
            '-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
            commands=['yes godwit | dd of=/dev/vda bs=1M count=4 iflag=fullblock conv=fsync '
                      '2>/dev/null', 'echo flushed', 'sleep 100'])
        self.addCleanup(machine.close)
        machine.wait_serial('\nflushed', BOOT_S)
        machine.kill()
        disk.seek(0)
        self.assertEqual(disk.read(), (b'godwit\n' * MIB)[:4 * MIB] + bytes(4 * MIB))

    def test_discard_and_read_only(self):
        """A discard frees the image's blocks; a read-only disk takes no writes."""
        disk = self.image(os.urandom(8 * MIB))
        other = self.image(b'x' * MIB)
        before = os.stat(disk.name).st_blocks
        machine = linux(
            '-blockdev', f'driver=file,filename={disk.name},node-name=f0,discard=unmap',
            '-blockdev', 'driver=raw,file=f0,node-name=d0,discard=unmap',
            '-device', 'virtio-blk-pci,drive=d0',
            '-blockdev', f'driver=file,filename={other.name},node-name=d1,read-only=on',
            '-device', 'virtio-blk-pci,drive=d1',
            commands=['blkdiscard /dev/vda', 'echo discard $?',
                      'cat /sys/block/vdb/ro', 'echo w > /dev/vdb', 'echo wrote $?'])
        self.addCleanup(machine.close)
        text = machine.wait_serial('godwit-guest: done', BOOT_S)
        self.assertEqual(machine.wait_exit(), 0)
        self.assertIn('discard 0', text)
        self.assertLess(os.stat(disk.name).st_blocks, before)
        self.assertIn('wrote 1', text)
        self.assertEqual(os.stat(disk.name).st_size, 8 * MIB)
        other.seek(0)
        self.assertEqual(other.read(), b'x' * MIB)


class Network(unittest.TestCase):
    """-netdev."""

    def test_cable(self):
        """Two guests on the two ends of a socket pair ping each other."""
        ends = socket.socketpair()
        machines = []
        for i, end in enumerate(ends):
            os.set_inheritable(end.fileno(), True)
            machine = linux(
                '-netdev', f'socket,id=n0,fd={end.fileno()}',
                '-device', f'virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0{i + 1}',
                commands=[f'ifconfig eth0 10.9.9.{i + 1}', 'echo up',
                          f'ping -c 20 -W 5 10.9.9.{2 - i}', 'sleep 60'],
                name=f'guest{i}', passed=[end.fileno()])
            self.addCleanup(machine.close)
            machines.append(machine)
            end.close()
        for machine in machines:
            machine.wait_serial('bytes from 10.9.9.', BOOT_S)

    def test_forward(self):
        """A connection to a forwarded port of the host arrives in the guest."""
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        machine = linux(
            '-netdev', f'user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:7',
            '-device', 'virtio-net-device,netdev=n0',
            commands=['ifconfig eth0 10.0.2.15', 'echo up', 'nc -l -p 7 -e cat'])
        self.addCleanup(machine.close)
        machine.wait_serial('\nup', BOOT_S)
        for _ in range(50):
            with socket.create_connection(('127.0.0.1', port), 10) as sock:
                sock.settimeout(harness.patience(5))
                sock.sendall(b'through the net\n')
                try:
                    if sock.recv(64) == b'through the net\n':
                        return
                except OSError:
                    pass
            time.sleep(0.2)
        self.fail(f'no echo: {machine.serial()[-500:]}')


class Console(unittest.TestCase):
    """virtio-serial."""

    def test_both_ways(self):
        """What the guest writes to hvc0 comes out, what goes in it reads."""
        with tempfile.TemporaryDirectory() as folder:
            machine = linux(
                '-chardev', f'socket,id=c0,path={folder}/console,server=on,wait=off',
                '-device', 'virtio-serial-pci', '-device', 'virtconsole,chardev=c0',
                commands=['echo ready', 'read line < /dev/hvc0',
                          'echo guest heard $line > /dev/hvc0', 'sleep 60'])
            self.addCleanup(machine.close)
            machine.wait_serial('\nready', BOOT_S)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(f'{folder}/console')
                sock.settimeout(harness.patience(20))
                sock.sendall(b'hello\n')
                said = b''
                while b'guest heard hello' not in said:
                    data = sock.recv(64)
                    self.assertTrue(data, said)
                    said += data


if __name__ == '__main__':
    harness.need(harness.KERNEL and harness.INITRD, 'no Linux guest')
    harness.main()
