# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with a simulated GPU under libvirt, which knows nothing of it: the emulator
is a script that starts Godwit under vfio-sim. The device keeps most of its state for
the blackout, and so does not fit the downtime limit that libvirt starts with.
"""
import os
import re
import signal
import time
import unittest

import domains
import moves
import vfiosim
from domains import harness, wait_for
from moves import AREA_MIB, COUNTERS, GIVEN_UP, MIB, SAVE, Poll, raw_stats

# Of so much state, so much can only be read while the guest stands still, at such a
# pace: 0.9 s and what the rest takes.
STATE_MIB = 320
STOP_MIB = 224
RATE_MIBS = 250
BLACKOUT_MS = STOP_MIB * 1000 // RATE_MIBS
# A sanitizer's device does not keep its pace.
ENOUGH_MS = int(harness.patience(2 * BLACKOUT_MS))
DEVICE = (f'id=gpu0,state-size={STATE_MIB}M,stop-size={STOP_MIB}M,'
          f'read-rate={RATE_MIBS}M')
ARGUMENTS = ('-object', 'iommufd,id=iommufd0,fd=@iommufd@', '-device',
             'vfio-pci,id=gpu0,fd=@gpu0@,iommufd=iommufd0,bus=pcie.0,addr=0x4')
# In the folder that each daemon has for itself.
CONTROL = 'gpu0.control'
# What vfio-sim says at the end, in the domain's log.
TOLD = r'move: vfio-sim: gpu0: state [a-z0-9-]+(, migrated with digest [0-9a-f]{16})?$'


class Gpu(moves.Move):
    """The pattern guest, which is done with its memory, and the device."""

    def setUp(self):
        super().setUp()
        self.expected = TOLD

    def start(self, **pattern):
        script = domains.emulator(
            self.folder.name, when='@gpu0@',
            prefix=(os.path.abspath(vfiosim.SIM), '--exec', '--control', f'unix:/var/lib/libvirt/{CONTROL}',
                    '--device', DEVICE, '--'))
        return super().start(binary=script, arguments=ARGUMENTS, **{
            'fill': True, 'pages_per_second': 200, **pattern})

    def device(self, daemon):
        """What the device there says of itself."""
        control = vfiosim.Control(daemon.path / 'lib' / CONTROL)
        try:
            return control.query()
        finally:
            control.close()

    def told(self, daemon, count):
        """Waits until vfio-sim has told so many ends there, which it does after its
        command; the digests among them."""
        wait_for(lambda: len(re.findall('vfio-sim: gpu0: state', daemon.domain_log('move')))
                 >= count, f'vfio-sim to tell {count} ends')
        return re.findall('digest ([0-9a-f]{16})', daemon.domain_log('move'))

    def settle(self, process):
        """Until the memory is there and only the device stands in the way."""
        def only_device():
            stats = raw_stats(self.here.virsh('domjobinfo', 'move', '--rawstats'))
            return (process.poll() is not None or stats['memory_iteration'] > 3 and
                    stats['memory_remaining'] < MIB and
                    self.device(self.here)['dirty-bytes'] == 0)
        wait_for(only_device, 'only the device to be left')
        self.assertIsNone(process.poll(), 'it converged at 300 ms')
        self.assertEqual(self.device(self.here)['state'], 'pre-copy')

    def stayed(self, state):
        super().stayed(state)
        self.assertEqual(self.device(self.here)['state'], 'running')

    def test_processes(self):
        """libvirt sees the emulator, not the tool; both end together."""
        observer = self.start()
        pid = self.here.pid('move')
        self.assertTrue(os.path.samefile(f'/proc/{pid}/exe', domains.BINARY))
        for i, hart in enumerate(observer.command('query-cpus-fast')):
            self.assertTrue(os.path.exists(f'/proc/{pid}/task/{hart["thread-id"]}'), i)
        wait_for(lambda: raw_stats(self.here.virsh('domstats', 'move').replace('=', ':'))
                 ['vcpu.0.time'], 'CPU time')
        self.here.virsh('reset', 'move')
        wait_for(lambda: domains.serial_path(self.here, 'move').read_text()
                 .count('pattern ') == 2, 'the guest to begin anew')
        self.assertEqual(self.device(self.here)['state'], 'running')
        self.here.virsh('destroy', 'move')
        self.assertEqual(self.state(self.here, 'move'), 'shut off (destroyed)')
        self.told(self.here, 1)
        wait_for(lambda: not (self.here.path / 'lib' / CONTROL).exists(), 'the socket to go')

    @unittest.skipIf(os.environ.get('GODWIT_SANITIZER') == 'thread',
                     'the device does not keep its pace under this sanitizer')
    def test_limit(self):
        """It does not converge within libvirt's 300 ms; domjobinfo says what it needs,
        and with that it does, and takes that long."""
        observer = self.start()
        poll = Poll(observer)
        self.addCleanup(poll.stop)
        process = self.migrate_in_background()
        self.assertEqual(self.here.virsh('migrate-getmaxdowntime', 'move'), '300')
        self.settle(process)
        compared = dict.fromkeys((*COUNTERS, 'downtime'), 0)
        for _ in range(10):
            self.compare(poll, compared)
            stats = raw_stats(self.here.virsh('domjobinfo', 'move', '--rawstats'))
            self.assertGreater(stats['downtime'], 300)
            self.assertAlmostEqual(stats['downtime'], BLACKOUT_MS, delta=BLACKOUT_MS / 10)
            self.assertLess(stats['memory_remaining'], MIB)
            self.assertLess(stats['memory_dirty_rate'], 1000)
            time.sleep(0.1)
        self.assertEqual(min(compared.values()), 10, compared)
        text = self.here.virsh('domjobinfo', 'move')
        for line in ('Job type: +Unbounded', 'Operation: +Outgoing migration',
                     'Memory remaining: +[0-9.]+ (B|KiB)', 'Memory total: +128.* MiB',
                     'Expected downtime: +[0-9]+ +ms'):
            self.assertRegex(text, line)
        self.assertIsNone(process.poll(), 'it converged at 300 ms')
        expected = stats['downtime']
        self.here.virsh('migrate-setmaxdowntime', 'move', expected)
        self.finish(process)
        poll.stop()
        for daemon in self.here, self.there:
            text = daemon.virsh('domjobinfo', 'move', '--completed', '--keep-completed')
            self.assertRegex(text, 'Job type: +Completed')
            stats = raw_stats(daemon.virsh('domjobinfo', 'move', '--completed', '--rawstats'))
            self.assertAlmostEqual(stats['downtime'], expected, delta=expected / 5)
            self.assertEqual(stats['memory_remaining'], 0)
            # libvirt counts all that went over the line as memory.
            self.assertGreater(stats['memory_processed'], STATE_MIB * MIB)
        self.moved()
        device = self.device(self.there)
        self.assertEqual(device['state'], 'running')
        self.assertEqual(self.told(self.here, 1), [device['digest']])

    def test_abort(self):
        """domjobabort, and later it is let go after all."""
        self.start()
        self.expected += '|' + GIVEN_UP
        process = self.migrate_in_background()
        self.settle(process)
        self.here.virsh('domjobabort', 'move')
        text, _ = process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn('canceled by client', text)
        self.stayed('running (booted)')
        self.here.virsh('migrate-setmaxdowntime', 'move', ENOUGH_MS)
        self.migrate('--p2p')
        self.moved()
        self.assertEqual(self.told(self.here, 1), [self.device(self.there)['digest']])

    def test_destination_dies(self):
        """Killed while it waits for the limit, and while the guest stands still: it runs
        on here, and so does the device."""
        observer = self.start()
        self.expected += '|' + GIVEN_UP
        for blackout in False, True:
            process = self.migrate_in_background()
            self.settle(process)
            if blackout:
                self.here.virsh('migrate-setmaxdowntime', 'move', ENOUGH_MS)
                wait_for(lambda: observer.command('query-migrate')['status'] == 'device',
                         'the blackout')
                self.assertEqual(self.device(self.here)['state'], 'stop-copy')
            os.kill(self.there.pid('move'), signal.SIGKILL)
            text, _ = process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0)
            self.assertRegex(text, "job 'migration out' failed: the destination has gone|"
                                   'unexpectedly closed the monitor')
            wait_for(lambda: self.state(self.there, 'move') == '', 'it to be gone there')
            self.told(self.there, 1 + blackout)
            wait_for(lambda: self.device(self.here)['state'] == 'running', 'the device')
            self.stayed(self.state(self.here, 'move'))
        # libvirt has put the limit back.
        self.assertEqual(self.here.virsh('migrate-getmaxdowntime', 'move'), '300')
        self.here.virsh('migrate-setmaxdowntime', 'move', ENOUGH_MS)
        self.migrate()
        self.moved()
        self.assertEqual(self.told(self.here, 1), [self.device(self.there)['digest']])

    def test_timeout(self):
        """--timeout suspends the guest, and no limit counts any more."""
        self.start()
        self.migrate('--timeout', '2')
        self.moved()
        self.assertEqual(self.told(self.here, 1), [self.device(self.there)['digest']])

    def test_save(self):
        """save and restore, managedsave and start: the guest is stopped already, and no
        limit counts."""
        file = os.path.join(self.folder.name, 'saved')
        self.start()
        for count, (save, restore) in enumerate(((('save', 'move', file), ('restore', file)),
                                                 (('managedsave', 'move'), ('start', 'move'))), 1):
            with self.watched(SAVE):
                self.here.virsh(*save)
            self.assertEqual(self.state(self.here, 'move'), 'shut off (saved)')
            digests = self.told(self.here, count)
            self.assertEqual(len(digests), count)
            self.here.virsh(*restore)
            self.runs(self.here, 'running (restored)')
            device = self.device(self.here)
            self.assertEqual(device['state'], 'running')
            self.assertEqual(device['digest'], digests[-1])
        self.here.virsh('suspend', 'move')
        self.observe(self.here, 'move').check_memory(AREA_MIB)


if __name__ == '__main__':
    harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    domains.run('a', 'b')
