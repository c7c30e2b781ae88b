# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration between two libvirtd: how virsh can ask for it, what it can say
meanwhile, and what libvirt does when it goes wrong. The pattern guest's memory and
what it prints show that it moved whole; domjobinfo is held against query-migrate.
"""
import os
import re
import signal
import subprocess

import domains
import moves
from domains import harness, wait_for
from moves import AREA_MIB, BUSY, COUNTERS, GIVEN_UP, MIB, SLOW_MIBS, Poll, raw_stats

# What libvirt 9.0 does not know yet.
NEW_STATUS = f"unknown (status|value) 'postcopy-device'|{moves.NEW_STATUS_SEEN}"


class Move(moves.Move):
    """The pattern guest and its memory."""

    def test_direct_tcp(self):
        """virsh connects to both; --verbose shows progress; completed statistics."""
        observer = self.start(fill=True)
        poll = Poll(observer)
        done = subprocess.run(self.here.command(*self.migrate_command('--verbose')),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=90, check=True)
        poll.stop()
        self.assertRegex(done.stderr, r'Migration: \[100(\.00)? %\]')
        self.moved()
        # What the source said last is what both sides remember.
        last = [info for _, _, info in poll.samples if info.get('status') == 'completed']
        sides = {'here': self.here, 'there': self.there}
        for name, daemon in sides.items():
            text = daemon.virsh('domjobinfo', 'move', '--completed', '--keep-completed')
            self.assertRegex(text, 'Job type: +Completed')
            self.assertRegex(text, 'Operation: +' + {'here': 'Outgoing', 'there': 'Incoming'}[
                name] + ' migration')
            stats = raw_stats(daemon.virsh('domjobinfo', 'move', '--completed', '--rawstats'))
            self.assertEqual(stats['memory_remaining'], 0)
            self.assertEqual(stats['memory_page_size'], 4096)
            self.assertGreaterEqual(stats['memory_normal_bytes'], AREA_MIB * MIB)
            self.assertEqual(stats['memory_normal_bytes'], stats['memory_normal'] * 4096)
            self.assertGreaterEqual(stats['memory_processed'], stats['memory_normal_bytes'])
            self.assertGreater(stats['downtime'], 0)
            for key, value in COUNTERS.items():
                if last:
                    self.assertEqual(stats[key], value(last[-1]), f'{key} {name}')
        self.assertEqual(self.here.virsh('list', '--name'), '')

    def test_peer_to_peer_there_and_back(self):
        """The daemon here connects to the one there; over TCP, then back by a socket."""
        self.start()
        self.migrate('--p2p', '--persistent', '--undefinesource')
        self.runs(self.there)
        self.assertEqual(self.state(self.here, 'move'), '')
        path = os.path.join(self.folder.name, 'back')
        self.there.virsh('migrate', '--live', '--p2p', '--persistent', '--undefinesource',
                         'move', self.here.uri, '--migrateuri', f'unix://{path}', timeout=90)
        self.runs(self.here)
        self.assertEqual(self.state(self.there, 'move'), '')

    def test_direct_unix(self):
        """Over a socket of the file system."""
        self.start()
        self.migrate(uri=f'unix://{self.folder.name}/socket')
        self.moved()

    def test_suspend(self):
        """--suspend leaves the guest paused there."""
        self.start()
        self.migrate('--suspend')
        self.assertEqual(self.state(self.there, 'move'), 'paused (user)')
        observer = self.observe(self.there, 'move')
        self.assertFalse(observer.command('query-status')['running'])
        observer.check_memory(AREA_MIB)
        self.there.virsh('resume', 'move')
        self.runs(self.there, 'running (unpaused)')

    def test_timeout(self):
        """--timeout suspends a guest that does not converge."""
        observer = self.start(**BUSY)
        process = self.migrate_slowly(observer, '--timeout', '2')
        wait_for(lambda: process.poll() is not None or
                 not observer.command('query-status')['running'], 'the guest to stop')
        self.finish(process)
        self.moved()

    def test_job_info_and_limits(self):
        """domjobinfo is right all the time; a guest that does not converge does when
        it may stand still for longer, or may send more."""
        observer = self.start(**BUSY)
        self.assertEqual(self.here.virsh('migrate-getmaxdowntime', 'move'), '300')
        poll = Poll(observer)
        self.addCleanup(poll.stop)
        process = self.migrate_slowly(observer)
        self.assertEqual(self.here.virsh('migrate-getspeed', 'move'), str(SLOW_MIBS))
        compared = dict.fromkeys((*COUNTERS, 'downtime'), 0)
        for _ in range(12):
            self.compare(poll, compared)
        self.assertIsNone(process.poll(), 'it converged at 300 ms')
        # Every line was compared while it ran, most of them each time.
        self.assertGreater(min(compared.values()), 3, compared)
        text = self.here.virsh('domjobinfo', 'move')
        for line in ('Job type: +Unbounded', 'Operation: +Outgoing migration',
                     'Time elapsed: +[0-9]+ +ms', 'Memory total: +128.* MiB',
                     'Page size: +4096 +bytes', 'Expected downtime: +[0-9]+ +ms'):
            self.assertRegex(text, line)
        info = observer.command('query-migrate')
        self.assertGreater(info['expected-downtime'], 300)

        self.here.virsh('migrate-setspeed', 'move', 2 * SLOW_MIBS)
        self.assertEqual(self.here.virsh('migrate-getspeed', 'move'), str(2 * SLOW_MIBS))
        parameters = observer.command('query-migrate-parameters')
        self.assertEqual(parameters['max-bandwidth'], 2 * SLOW_MIBS * MIB)
        self.here.virsh('migrate-setmaxdowntime', 'move', 20000)
        self.assertEqual(self.here.virsh('migrate-getmaxdowntime', 'move'), '20000')
        self.finish(process)
        poll.stop()
        self.moved()

    def test_abort(self):
        """domjobabort, twice, and then it is let go."""
        observer = self.start(**BUSY)
        self.expected = GIVEN_UP
        for _ in range(2):
            process = self.migrate_slowly(observer)
            self.here.virsh('domjobabort', 'move')
            text, _ = process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0)
            self.assertIn('canceled by client', text)
            self.assertEqual(observer.command('query-migrate')['status'], 'cancelled')
            self.stayed('running (booted)')
        self.here.virsh('migrate-setspeed', 'move', 0)
        self.here.virsh('migrate-setmaxdowntime', 'move', 20000)
        self.migrate()
        self.moved()

    def test_destination_dies(self):
        """The emulator there is killed: it runs on here, and libvirt says why."""
        observer = self.start(**BUSY)
        self.expected = GIVEN_UP
        for options in (), ('--p2p',):
            process = self.migrate_slowly(observer, *options)
            os.kill(self.there.pid('move'), signal.SIGKILL)
            text, _ = process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0)
            self.assertRegex(text, "job 'migration out' failed: the destination has gone|"
                                   'unexpectedly closed the monitor')
            info = wait_for(lambda: (lambda seen: seen if seen['status'] == 'failed' else None)(
                observer.command('query-migrate')), 'status failed')
            self.assertIn('the destination has gone', info['error-desc'])
            wait_for(lambda: self.state(self.there, 'move') == '', 'it to be gone there')
            self.stayed(self.state(self.here, 'move'))
        self.here.virsh('migrate-setspeed', 'move', 0)
        self.here.virsh('migrate-setmaxdowntime', 'move', 20000)
        self.migrate('--p2p')
        self.moved()

    def test_daemon_dies(self):
        """libvirtd here is killed in the middle; the next one gives the migration up."""
        observer = self.start(**BUSY)
        self.expected = GIVEN_UP + '|connection closed due to keepalive|End of file'
        process = self.migrate_slowly(observer, '--p2p')
        self.here.kill()
        process.wait(60)
        self.here.start()
        wait_for(lambda: self.state(self.here, 'move').startswith('running'), 'the guest')
        wait_for(lambda: observer.command('query-migrate')['status'] in
                 ('cancelled', 'failed'), 'the migration to be given up')
        wait_for(lambda: self.state(self.there, 'move') == '', 'it to be gone there')
        self.stayed(self.state(self.here, 'move'))

    def test_parallel(self):
        """Memory over several connections."""
        observer = self.start(fill=True)
        poll = Poll(observer)
        self.migrate('--parallel', '--parallel-connections', '4')
        poll.stop()
        self.assertGreater(max(info['ram']['multifd-bytes'] for _, _, info in poll.samples
                               if 'ram' in info), AREA_MIB * MIB)
        self.moved()

    def test_parallel_given_up(self):
        """domjobabort while all connections are in use; then it moves."""
        observer = self.start(**BUSY)
        self.expected = GIVEN_UP
        process = self.migrate_slowly(observer, '--parallel')
        self.here.virsh('domjobabort', 'move')
        process.communicate(timeout=60)
        wait_for(lambda: self.state(self.there, 'move') == '', 'it to be gone there')
        self.stayed(self.state(self.here, 'move'))
        self.here.virsh('migrate-setspeed', 'move', 0)
        self.here.virsh('migrate-setmaxdowntime', 'move', 20000)
        self.migrate('--parallel', '--p2p')
        self.moved()

    def test_postcopy(self):
        """A guest that does not converge runs there first, and its memory follows."""
        self.expected = NEW_STATUS
        observer = self.start(**BUSY)
        process = self.migrate_slowly(observer, '--postcopy')
        self.here.virsh('migrate-postcopy', 'move')
        self.finish(process)
        self.moved()

    def test_postcopy_after_precopy(self):
        """The same, started by virsh itself after the first pass."""
        self.expected = NEW_STATUS
        observer = self.start(**BUSY)
        # It would converge over loopback before virsh has seen the first pass.
        self.slow_down(observer)
        poll = Poll(observer)
        self.migrate('--postcopy', '--postcopy-after-precopy')
        poll.stop()
        self.assertIn('postcopy-active', {info.get('status') for _, _, info in poll.samples})
        self.moved()

    def test_refused(self):
        """What this emulator cannot do is refused before anything happens."""
        observer = self.start()
        self.expected = 'capability|not supported|unsupported'
        self.assertIn("'multifd' cannot be on together with 'postcopy-ram'",
                      self.refused(self.here, *self.migrate_command('--parallel', '--postcopy')))
        self.stayed('running (booted)')
        self.assertNotIn('status', observer.command('query-migrate'))


if __name__ == '__main__':
    harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    domains.run('a', 'b')
