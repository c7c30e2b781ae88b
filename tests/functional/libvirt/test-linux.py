# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux guests under libvirt: disk, network card, random numbers and consoles as the
guest sees them, on PCI and in virtio-mmio slots, and on the way to another daemon."""
import os
import pty
import re
import select
import subprocess
import time

import domains
from domains import Case, domain_xml, harness, wait_for

MIB = 1 << 20
BOOT_S = 150
PROMPT = re.compile(rb'~ # (\x1b\[6n)?$')


def linux_xml(name, disk, *, serial, slots, cmdline='', tail=''):
    """A Linux guest with every device; slots: whether they have PCI addresses, else
    libvirt gives them virtio-mmio slots, which it does by itself on this board."""
    def address(slot):
        return (f"<address type='pci' domain='0' bus='0' slot='{slot}' function='0'/>"
                if slots else '')
    return domain_xml(
        name, boot=f'<kernel>{harness.KERNEL}</kernel><initrd>{harness.INITRD}</initrd>'
                   f'<cmdline>console=ttyS0 quiet {cmdline}</cmdline>',
        memory_mib=256, devices=f'''
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
      <serial>GODWIT-1</serial>
      {address(1)}
    </disk>
    <interface type='user'>
      <mac address='52:54:00:00:00:07'/>
      <model type='virtio'/>
      {address(2)}
    </interface>
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
      {address(3)}
    </rng>
    {serial}''').replace('<devices>', f'{tail}<devices>')


class Console:
    """virsh console, with a person's patience."""

    def __init__(self, daemon, name):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(daemon.command('console', name, '--force'),
                                        stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.seen = b''

    def _until(self, pattern, timeout):
        end = harness.deadline(timeout)
        while not pattern.search(self.seen):
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f'waited {timeout} s for {pattern.pattern} on the console: '
                                   f'{self.seen[-2000:]}')
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 65536)
        text, self.seen = self.seen, b''
        return text.decode(errors='replace')

    def prompt(self, timeout=BOOT_S):
        """Waits for the shell; what came before it."""
        return self._until(PROMPT, timeout)

    def run(self, command, timeout=60):
        """What a shell command prints."""
        os.write(self.master, command.encode() + b'\r')
        return self.prompt(timeout)

    def wait(self, text, timeout=60):
        return self._until(re.compile(re.escape(text).encode()), timeout)

    def type(self, text):
        os.write(self.master, text.encode())

    def close(self):
        """As Ctrl-] does."""
        if self.process.poll() is None:
            os.write(self.master, b'\x1d')
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self.master)


class Linux(Case):
    """Two daemons that share a folder with the image, as hosts share storage."""

    def setUp(self):
        super().setUp()
        self.here, self.there = self.daemons
        self.disk = os.path.join(self.folder.name, 'disk')
        with open(self.disk, 'wb') as image:
            image.truncate(8 * MIB)

    def block_stats(self, daemon, name):
        return {key: int(value) for _, key, value in
                (line.split() for line in daemon.virsh('domblkstat', name, 'vda').splitlines())}

    def test_devices_and_move(self):
        """Devices on PCI, used over a console on a pty, here and after a migration."""
        here, there = self.here, self.there
        self.define(here, 'linux', linux_xml('linux', self.disk, slots=True,
                                             serial="<serial type='pty'/>"))
        here.virsh('start', 'linux')
        self.assertRegex(here.virsh('ttyconsole', 'linux'), r'^/dev/pts/\d+$')
        console = Console(here, 'linux')
        self.addCleanup(console.close)
        console.prompt()
        self.assertEqual(self.block_stats(here, 'linux')['wr_bytes'], 0)

        self.assertIn('GODWIT-1', console.run('cat /sys/block/vda/serial'))
        console.run('dd if=/dev/hwrng of=/noise bs=64k count=1 iflag=fullblock')
        console.run('dd if=/noise of=/dev/vda bs=64k conv=fsync')
        stats = self.block_stats(here, 'linux')
        self.assertGreaterEqual(stats['wr_bytes'], 65536)
        self.assertGreater(stats['flush_operations'], 0)
        self.assertGreater(stats['wr_total_times'], 0)
        domstats = here.virsh('domstats', 'linux', '--block')
        self.assertIn(f'block.0.wr.bytes={stats["wr_bytes"]}', domstats)
        self.assertIn(f'block.0.capacity={8 * MIB}', domstats)
        self.assertRegex(here.virsh('domblkinfo', 'linux', 'vda'), rf'Capacity: +{8 * MIB}')

        self.assertIn('52:54:00:00:00:07', console.run('ifconfig eth0 10.0.2.15; ifconfig'))
        self.assertIn(' 0% packet loss', console.run('ping -c 1 -W 5 10.0.2.2'))
        self.assertRegex(here.virsh('domiflist', 'linux'), 'user .*virtio .*52:54:00:00:00:07')

        here.virsh('migrate', '--live', '--p2p', '--unsafe', 'linux', there.uri,
                   '--migrateuri', 'tcp://127.0.0.1', timeout=120)
        self.assertEqual(self.state(there, 'linux'), 'running (migrated)')
        self.assertEqual(self.state(here, 'linux'), 'shut off (migrated)')
        moved = Console(there, 'linux')
        self.addCleanup(moved.close)
        time.sleep(0.6)         # until the pty is seen to be open
        moved.type('\r')
        moved.prompt(30)
        self.assertIn('same', moved.run('echo 3 > /proc/sys/vm/drop_caches; head -c 65536 '
                                        '/dev/vda | cmp - /noise && echo same'))
        self.assertIn(' 0% packet loss', moved.run('ping -c 1 -W 5 10.0.2.2'))
        moved.run('dd if=/dev/hwrng of=/dev/vda bs=4k count=1 seek=16 conv=fsync')
        self.assertGreaterEqual(self.block_stats(there, 'linux')['wr_bytes'], 4096)
        with open(self.disk, 'rb') as image:
            image.seek(65536)
            self.assertNotEqual(image.read(4096), bytes(4096))

        moved.type('reboot -f\r')
        moved.wait('OpenSBI')
        self.assertEqual(self.state(there, 'linux'), 'running (migrated)')

    def test_default_addresses(self):
        """Devices where libvirt puts them by itself; the guest's own end. With
        on_reboot=destroy a reboot is one too."""
        commands = ('head -c 4096 /dev/hwrng > /noise', 'dd if=/noise of=/dev/vda conv=fsync',
                    'ifconfig eth0 10.0.2.15', 'ping -c 1 -W 5 10.0.2.2',
                    'cat /proc/interrupts', 'reboot -f')
        run = ';'.join(command.replace(' ', '+') for command in commands)
        for name, end in ('off', 'poweroff -f'), ('boot', 'reboot -f'):
            disk = f'{self.disk}-{name}'
            with open(disk, 'wb') as image:
                image.truncate(MIB)
            self.define(self.here, name, linux_xml(
                name, disk, slots=False, cmdline='godwit.run=' + run.replace(
                    'reboot+-f', end.replace(' ', '+')).replace('>', '&gt;'),
                serial=f"<serial type='file'><source path='/var/log/libvirt/{name}.serial'/>"
                       '</serial>', tail='<on_reboot>destroy</on_reboot>'))
            self.assertEqual(self.here.virsh('dumpxml', name).count("type='virtio-mmio'"), 3)
            self.here.virsh('start', name)
        for name in 'off', 'boot':
            wait_for(lambda name=name: self.state(self.here, name).startswith('shut off'),
                     f'{name} to end', BOOT_S)
            self.assertEqual(self.state(self.here, name), 'shut off (shutdown)')
            text = domains.serial_path(self.here, name).read_text(errors='replace')
            self.assertIn(' 0% packet loss', text)
            self.assertIn('virtio2', text)
            with open(f'{self.disk}-{name}', 'rb') as image:
                self.assertNotEqual(image.read(4096), bytes(4096))


if __name__ == '__main__':
    harness.need(harness.KERNEL and harness.INITRD, 'no Linux guest')
    domains.run('a', 'b')
