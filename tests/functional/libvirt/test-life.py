# SPDX-License-Identifier: GPL-2.0-or-later
"""One libvirtd and its domains: what virsh does with a guest that stays where it is.

No process of this program but libvirtd and the emulators: everything goes through
virsh, and is compared with a second monitor of the domain and with what the guest
prints.
"""
import json
import os
import signal
import subprocess
import time

import domains
from domains import Case, harness, pattern_xml, wait_for

MIB = 1 << 20
BOOT_S = 120


def pairs(text, separator=':'):
    """"key: value" lines as a dictionary."""
    return {key.strip(): value.strip() for key, _, value in
            (line.partition(separator) for line in text.splitlines()) if value}


class Life(Case):
    """The pattern guest."""

    def start(self, name='life', **pattern):
        self.daemon = self.daemons[0]
        self.define(self.daemon, name, pattern_xml(
            name, self.folder.name, print_ms=50, pages_per_second=2000, **pattern))
        self.virsh = self.daemon.virsh
        self.virsh('start', name)
        self.wait_counting(self.daemon, name)
        return self.observe(self.daemon, name)

    def stands_still(self, name='life'):
        before = domains.counters(self.daemon, name)
        time.sleep(0.5)
        return domains.counters(self.daemon, name) == before

    def test_start_and_information(self):
        """start, dominfo, domstats, vcpuinfo, destroy."""
        observer = self.start(vcpus=2)
        self.assertEqual(self.state(self.daemon, 'life'), 'running (booted)')
        # The line is only there once there is something to say.
        wait_for(lambda: pairs(self.virsh('dominfo', 'life')).get('CPU time', '0.0s') != '0.0s',
                 'CPU time')
        info = pairs(self.virsh('dominfo', 'life'))
        self.assertEqual(info['State'], 'running')
        self.assertEqual(info['CPU(s)'], '2')
        self.assertEqual(info['Max memory'], '131072 KiB')
        self.assertEqual(info['Used memory'], '131072 KiB')
        self.assertEqual(info['Persistent'], 'yes')
        self.assertEqual(info['Managed save'], 'no')

        stats = pairs(self.virsh('domstats', 'life'), '=')
        self.assertEqual(stats['state.state'], '1')
        self.assertEqual(stats['vcpu.current'], '2')
        self.assertEqual(stats['vcpu.0.state'], '1')
        self.assertEqual(stats['vcpu.1.state'], '1')
        self.assertEqual(stats['balloon.maximum'], '131072')
        # In ticks of the host: a hart may have had less than one.
        wait_for(lambda: int(pairs(self.virsh('domstats', 'life'), '=')['vcpu.0.time']),
                 'time of hart 0')

        # libvirt reads the harts' threads, which the monitor must have named right.
        for i, hart in enumerate(observer.command('query-cpus-fast')):
            task = f'/proc/{self.daemon.pid("life")}/task/{hart["thread-id"]}/comm'
            with open(task, encoding='ascii') as comm:
                self.assertEqual(comm.read(), f'CPU {i}/TCG\n')
        vcpus = [pairs(text) for text in self.virsh('vcpuinfo', 'life').split('\n\n')]
        self.assertEqual([vcpu['VCPU'] for vcpu in vcpus], ['0', '1'])
        self.assertEqual({vcpu['State'] for vcpu in vcpus}, {'running'})

        self.virsh('destroy', 'life')
        self.assertEqual(self.state(self.daemon, 'life'), 'shut off (destroyed)')

    def test_pause_and_reset(self):
        """suspend, resume, reset."""
        observer = self.start()
        self.virsh('suspend', 'life')
        self.assertEqual(self.state(self.daemon, 'life'), 'paused (user)')
        self.assertTrue(self.stands_still())
        seen = domains.counters(self.daemon, 'life')
        self.assertEqual(seen, list(range(1, len(seen) + 1)))
        self.virsh('resume', 'life')
        self.assertEqual(self.state(self.daemon, 'life'), 'running (unpaused)')
        seen = self.wait_counting(self.daemon, 'life', above=len(seen) + 5)
        self.assertEqual(seen, list(range(1, len(seen) + 1)))

        self.virsh('reset', 'life')
        observer.qmp.wait_event('RESET', guest=False, reason='host-qmp-system-reset')
        again = self.wait_counting(self.daemon, 'life', above=len(seen) + 5)
        self.assertEqual(again, list(range(1, len(again) + 1)))     # in its memory
        self.assertEqual(domains.serial_path(self.daemon, 'life').read_text()
                         .count('pattern '), 2)
        self.assertEqual(self.state(self.daemon, 'life'), 'running (unpaused)')

    def test_requests_to_the_guest(self):
        """shutdown and reboot ask the guest, which without a keyboard hears nothing:
        the event is all that comes of it (test-power.py has one with a keyboard)."""
        observer = self.start()
        for command in 'shutdown', 'reboot':
            self.virsh(command, 'life')
            observer.qmp.wait_event('POWERDOWN')
            self.assertEqual(self.state(self.daemon, 'life'), 'running (booted)')
            self.assertFalse(self.stands_still())
        self.expected = 'guest agent is not configured'
        self.assertIn('agent', self.refused(self.daemon, 'shutdown', 'life',
                                            '--mode', 'agent'))

    def test_monitor(self):
        """qemu-monitor-command, as JSON and as a line."""
        self.start()
        reply = json.loads(self.virsh('qemu-monitor-command', 'life',
                                      '{"execute":"query-name"}'))
        self.assertEqual(reply['return'], {'name': 'life'})
        reply = json.loads(self.virsh('qemu-monitor-command', 'life', '--pretty',
                                      'query-status'))
        self.assertEqual(reply['return'], {'running': True, 'status': 'running'})
        self.assertEqual(self.virsh('qemu-monitor-command', 'life', '--hmp', 'info status'),
                         'VM status: running')
        reply = json.loads(self.virsh('qemu-monitor-command', 'life',
                                      '{"execute":"no-such"}'))
        self.assertEqual(reply['error']['class'], 'CommandNotFound')
        self.assertIn("unknown command: 'no-such'", self.virsh(
            'qemu-monitor-command', 'life', '--hmp', 'no-such'))

    def test_save_and_restore(self):
        """save to a file and restore from it, running and paused."""
        file = os.path.join(self.folder.name, 'saved')
        self.start()
        self.virsh('save', 'life', file)
        self.assertEqual(self.state(self.daemon, 'life'), 'shut off (saved)')
        self.assertIsNone(self.daemon.pid('life'))
        seen = domains.counters(self.daemon, 'life')
        self.assertIn('<name>life</name>', self.virsh('save-image-dumpxml', file))
        self.virsh('restore', file)
        self.assertEqual(self.state(self.daemon, 'life'), 'running (restored)')
        seen = self.wait_counting(self.daemon, 'life', above=len(seen) + 5)
        self.assertEqual(seen, list(range(1, len(seen) + 1)))

        self.virsh('save', 'life', file, '--bypass-cache', '--paused')
        self.virsh('restore', file)
        self.assertEqual(self.state(self.daemon, 'life'), 'paused (migrating)')
        observer = self.observe(self.daemon, 'life')
        self.assertEqual(observer.command('query-status'),
                         {'running': False, 'status': 'paused'})
        observer.check_memory()
        self.assertTrue(self.stands_still())
        seen = domains.counters(self.daemon, 'life')
        self.virsh('resume', 'life')
        seen = self.wait_counting(self.daemon, 'life', above=len(seen) + 5)
        self.assertEqual(seen, list(range(1, len(seen) + 1)))

    def test_managed_save(self):
        """managedsave, and start goes on where it was."""
        self.start()
        self.virsh('managedsave', 'life')
        self.assertEqual(pairs(self.virsh('dominfo', 'life'))['Managed save'], 'yes')
        seen = domains.counters(self.daemon, 'life')
        self.virsh('start', 'life')
        self.assertEqual(pairs(self.virsh('dominfo', 'life'))['Managed save'], 'no')
        seen = self.wait_counting(self.daemon, 'life', above=len(seen) + 5)
        self.assertEqual(seen, list(range(1, len(seen) + 1)))

    def test_autodestroy(self):
        """A guest that goes with the client that started it."""
        self.daemon = self.daemons[0]
        self.define(self.daemon, 'life', pattern_xml('life', self.folder.name))
        client = subprocess.Popen(self.daemon.command(), stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, text=True)
        try:
            client.stdin.write('start life --autodestroy\n')
            client.stdin.flush()
            self.wait_counting(self.daemon, 'life')
            pid = self.daemon.pid('life')
            self.assertEqual(self.state(self.daemon, 'life'), 'running (booted)')
        finally:
            client.kill()
            client.stdin.close()
            client.wait()
        wait_for(lambda: self.state(self.daemon, 'life') == 'shut off (destroyed)',
                 'the domain to be destroyed')
        self.assertFalse(os.path.exists(f'/proc/{pid}'))

    def test_boot_order(self):
        """Only a disk has a place in it, because libvirt gives it one unasked."""
        self.daemon = self.daemons[0]
        disk = os.path.join(self.folder.name, 'disk')
        with open(disk, 'wb') as image:
            image.truncate(MIB)
        for name, tag, content in (
                ('disk', 'disk', f"<source file='{disk}'/><target dev='vda' bus='virtio'/>"
                                 "<driver name='qemu' type='raw'/>"),
                ('card', 'interface', "<model type='virtio'/><boot order='1'/>")):
            kind = 'file' if tag == 'disk' else 'user'
            self.define(self.daemon, name, pattern_xml(name, self.folder.name).replace(
                '<serial', f"<{tag} type='{kind}'>{content}</{tag}><serial", 1))
        self.daemon.virsh('start', 'disk')
        self.assertIn('bootindex=1', self.daemon.domain_log('disk'))
        self.wait_counting(self.daemon, 'disk')
        self.expected = "has no property 'bootindex'|monitor( socket)?: Connection re"
        said = self.refused(self.daemon, 'start', 'card')
        # libvirt leaves the reason out if it is quick enough to find the monitor's socket
        # gone and the process not yet.
        self.assertRegex(said, "device 'net0' has no property 'bootindex'|Connection refused")
        self.assertIn("device 'net0' has no property 'bootindex'",
                      self.daemon.domain_log('card'))

    def test_emulator_script(self):
        """The emulator may be a script, which puts a tool in front."""
        self.daemon = self.daemons[0]
        script = domains.emulator(self.folder.name, prefix=('/usr/bin/env', 'SCRIPT=1'),
                                  suffix=('-name', 'script'))
        self.define(self.daemon, 'life', pattern_xml('life', self.folder.name,
                                                     binary=script))
        self.daemon.virsh('start', 'life')
        self.wait_counting(self.daemon, 'life')
        with open(f'/proc/{self.daemon.pid("life")}/environ', 'rb') as environ:
            self.assertIn(b'SCRIPT=1', environ.read().split(b'\0'))
        self.assertEqual(self.observe(self.daemon, 'life').command('query-name'),
                         {'name': 'script'})

    def test_daemon_restart(self):
        """Guests run on while libvirtd is away, and it finds them again."""
        observer = self.start()
        self.define(self.daemon, 'paused', pattern_xml('paused', self.folder.name))
        self.define(self.daemon, 'killed', pattern_xml('killed', self.folder.name))
        self.virsh('start', 'paused', '--paused')
        self.virsh('start', 'killed')
        killed = self.daemon.pid('killed')
        self.daemon.stop()
        seen = domains.counters(self.daemon, 'life')
        self.wait_counting(self.daemon, 'life', above=len(seen) + 5)
        os.kill(killed, signal.SIGKILL)
        self.expected = 'killed|virPidFileReleasePath|qemuMonitor.*(Connection refused|monitor)'
        self.daemon.start()
        wait_for(lambda: self.state(self.daemon, 'life') == 'running (booted)', 'life')
        self.assertEqual(self.state(self.daemon, 'paused'), 'paused (user)')
        wait_for(lambda: self.state(self.daemon, 'killed').startswith('shut off'), 'killed')
        self.virsh('suspend', 'life')
        self.assertEqual(observer.command('query-status')['status'], 'paused')
        self.virsh('resume', 'life')
        self.virsh('resume', 'paused')
        self.wait_counting(self.daemon, 'paused')
        self.assertEqual(self.virsh('qemu-monitor-command', 'life', '--hmp', 'info status'),
                         'VM status: running')


if __name__ == '__main__':
    harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    domains.run('a')
