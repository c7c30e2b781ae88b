# SPDX-License-Identifier: GPL-2.0-or-later
"""virsh shutdown, reboot and send-key with a Linux guest that has a keyboard, where it
is and where it has moved."""
import domains
from domains import Case, domain_xml, harness, wait_for

BOOT_S = 150


def keyboard_xml(name, address=''):
    """A Linux guest with a keyboard, which prints to domains.serial_path()."""
    return domain_xml(
        name, boot=f'<kernel>{harness.KERNEL}</kernel><initrd>{harness.INITRD}</initrd>'
                   '<cmdline>console=ttyS0 quiet godwit.run=echo+here;sleep+1000</cmdline>',
        memory_mib=256, devices=f"""
    <input type='keyboard' bus='virtio'>{address}</input>
    <serial type='file'>
      <source path='/var/log/libvirt/{name}.serial' append='on'/>
    </serial>""")


class Power(Case):
    """The guest's own end is a shutdown to libvirt."""

    def setUp(self):
        super().setUp()
        self.here, self.there = self.daemons

    def start(self, address=''):
        self.define(self.here, 'power', keyboard_xml('power', address))
        self.here.virsh('start', 'power')
        self.wait_booted(1)

    def printed(self, daemon, text):
        """How many lines of the guest are this text."""
        serial = domains.serial_path(daemon, 'power').read_text(errors='replace')
        return serial.splitlines().count(text)

    def wait_booted(self, times):
        """It has come up that many times."""
        wait_for(lambda: self.printed(self.here, 'here') == times, 'the guest to be up', BOOT_S)

    def wait_off(self, daemon, presses):
        """It has heard the button that many times there, and has ended by itself."""
        wait_for(lambda: self.state(daemon, 'power').startswith('shut off'), 'the end', 60)
        self.assertEqual(self.state(daemon, 'power'), 'shut off (shutdown)')
        self.assertEqual(self.printed(daemon, 'godwit-guest: power button'), presses)

    def test_here(self):
        """A keyboard on PCI: reboot, which libvirt makes of a shutdown and a reset;
        shutdown; and the power key by send-key."""
        self.start("<address type='pci' domain='0' bus='0' slot='1' function='0'/>")
        self.here.virsh('reboot', 'power')
        self.wait_booted(2)
        self.assertEqual(self.state(self.here, 'power'), 'running (booted)')
        self.assertEqual(self.printed(self.here, 'godwit-guest: power button'), 1)
        self.here.virsh('shutdown', 'power')
        self.wait_off(self.here, 2)
        self.here.virsh('start', 'power')
        self.wait_booted(3)
        self.here.virsh('send-key', 'power', '--codeset', 'linux', '--holdtime', '10',
                        'KEY_LEFTSHIFT', 'KEY_POWER')
        self.wait_off(self.here, 3)

    def test_moved(self):
        """In a virtio-mmio slot, where libvirt puts it by itself; shut down where it has
        been moved to."""
        self.start()
        self.assertIn("type='virtio-mmio'", self.here.virsh('dumpxml', 'power'))
        self.here.virsh('migrate', '--live', '--p2p', '--persistent', 'power', self.there.uri,
                        '--migrateuri', 'tcp://127.0.0.1', timeout=120)
        self.assertEqual(self.state(self.there, 'power'), 'running (migrated)')
        self.there.virsh('shutdown', 'power')
        self.wait_off(self.there, 1)
        self.assertEqual(self.printed(self.here, 'godwit-guest: power button'), 0)


if __name__ == '__main__':
    harness.need(harness.KERNEL and harness.INITRD, 'no Linux guest')
    domains.run('a', 'b')
