# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration between two libvirtd: how virsh can ask for it, what it can say
meanwhile, and what libvirt does when it goes wrong. The pattern guest's memory and
what it prints show that it moved whole; domjobinfo is held against query-migrate.
"""
import os
import re
import signal
import subprocess
import threading
import time

import domains
from domains import Case, harness, pattern_xml, wait_for

MIB = 1 << 20
# A guest and a line of so many MiB/s with which a pass takes three seconds and the last
# one never comes by itself, even if the guest gets a tenth of a processor. That the line
# is no faster when the guest stands still either must be said: this one is.
AREA_MIB = 12
BUSY = {'pages_per_second': 20000, 'area_mib': AREA_MIB, 'fill': True}
SLOW_MIBS = 4

# Lines of domjobinfo --rawstats and what they are in query-migrate.
COUNTERS = {
    'memory_processed': lambda info: info['ram']['transferred'],
    'memory_remaining': lambda info: info['ram']['remaining'],
    'memory_total': lambda info: info['ram']['total'],
    'memory_bps': lambda info: int(info['ram']['mbps'] * 125000),
    'memory_dirty_rate': lambda info: info['ram']['dirty-pages-rate'],
    'memory_iteration': lambda info: info['ram']['dirty-sync-count'],
    'memory_page_size': lambda info: info['ram']['page-size'],
    'memory_constant': lambda info: info['ram']['duplicate'],
    'memory_normal': lambda info: info['ram']['normal'],
    'memory_normal_bytes': lambda info: info['ram']['normal-bytes'],
    'memory_postcopy_requests': lambda info: info['ram']['postcopy-requests'],
    'setup_time': lambda info: info['setup-time'],
}
# Made for each query out of how much is left at that moment.
FRESH = {'downtime', 'memory_remaining'}


def raw_stats(text):
    """domjobinfo --rawstats as a dictionary; numbers as such."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(':')
        if re.fullmatch(r'-?\d+', value.strip()):
            found[key.strip()] = int(value)
    return found


# What a migration that fails or is cancelled leaves in the logs: the error that virsh
# shows as well, that of the emulator there, whose stream ends, and libvirt's surprise at
# a status that it does not know (12.8 does not either).
GIVEN_UP = ("unknown (status|value) 'failing'|canceled by client|job 'migration (in|out)' failed|"
            'unexpectedly closed the monitor|incoming migration failed|'
            'Unable to (read from|write to) monitor|virNetClient|migration was active, but no')


class Poll(threading.Thread):
    """Keeps asking a domain's own monitor, as fast as it answers."""

    def __init__(self, observer):
        super().__init__()
        self.observer = observer
        self.samples = []       # (time before, time after, query-migrate)
        self.end = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.end.wait(0.005):
                before = time.monotonic()
                info = self.observer.command('query-migrate')
                self.samples.append((before, time.monotonic(), info))
        except (OSError, EOFError):
            pass        # the domain has gone

    def stop(self):
        self.end.set()
        self.join()

    def around(self, before, after):
        """The samples between two moments, and one on either side."""
        wait_for(lambda: self.samples and self.samples[-1][0] > after, 'a later sample')
        samples = list(self.samples)
        first = max((i for i, sample in enumerate(samples) if sample[1] < before), default=0)
        last = next(i for i, sample in enumerate(samples) if sample[0] > after)
        return [info for _, _, info in samples[first:last + 1]]


class Move(Case):
    """Daemons here and there, the pattern guest here."""

    def setUp(self):
        super().setUp()
        self.here, self.there = self.daemons

    def start(self, **pattern):
        """Starts the guest; its observer here."""
        self.define(self.here, 'move', pattern_xml(
            'move', self.folder.name, print_ms=50,
            **{'pages_per_second': 2000, 'area_mib': AREA_MIB, **pattern}))
        self.here.virsh('start', 'move')
        self.wait_counting(self.here, 'move')
        return self.observe(self.here, 'move')

    def migrate_command(self, *options, uri='tcp://127.0.0.1'):
        return ('migrate', '--live', *options, 'move', self.there.uri, '--migrateuri', uri)

    def migrate(self, *options, **where):
        return self.here.virsh(*self.migrate_command(*options, **where), timeout=90)

    def migrate_in_background(self, observer, *options):
        """Starts a migration that goes on for a while; returns when it is active."""
        self.here.virsh('migrate-setspeed', 'move', SLOW_MIBS)
        observer.command('migrate-set-parameters',
                         avail_switchover_bandwidth=SLOW_MIBS * MIB)
        process = subprocess.Popen(
            self.here.command(*self.migrate_command(*options)), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for(lambda: process.poll() is not None or
                 raw_stats(self.here.virsh('domjobinfo', 'move', '--rawstats'))
                 .get('memory_iteration', 0) > 0, 'the migration to be under way')
        return process

    def finish(self, process, timeout=90):
        """What a migration in the background said; it must have succeeded."""
        text, _ = process.communicate(timeout=timeout)
        self.assertEqual(process.returncode, 0, text)
        return text

    def runs(self, where, state='running (migrated)', timeout=30):
        """The guest runs there and has lost and repeated nothing that it printed."""
        self.assertEqual(self.state(where, 'move'), state)
        before = domains.counters(self.here, 'move') + domains.counters(self.there, 'move')
        wait_for(lambda: len(domains.counters(where, 'move')) >
                 len(before) - len(domains.counters(self.other(where), 'move')) + 3,
                 'the guest to print', timeout)
        seen = domains.counters(self.here, 'move') + domains.counters(self.there, 'move')
        self.assertEqual(sorted(seen), list(range(1, len(seen) + 1)))

    def other(self, daemon):
        return self.there if daemon is self.here else self.here

    def moved(self):
        """The guest runs there, is gone here, and its memory is whole."""
        self.runs(self.there)
        self.assertEqual(self.state(self.here, 'move'), 'shut off (migrated)')
        self.there.virsh('suspend', 'move')
        self.observe(self.there, 'move').check_memory(AREA_MIB)
        self.there.virsh('resume', 'move')

    def stayed(self, state='running (migration canceled)'):
        """The guest runs here, is not there, and its memory is whole."""
        self.assertEqual(self.state(self.there, 'move'), '')
        self.runs(self.here, state)

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
        process = self.migrate_in_background(observer, '--timeout', '2')
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
        process = self.migrate_in_background(observer)
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

    def compare(self, poll, compared):
        """One domjobinfo against what the monitor said meanwhile: each value lies
        between the least and the greatest of it (what is made anew for each query,
        within a hundredth of them), the fixed ones are the same."""
        before = time.monotonic()
        stats = raw_stats(self.here.virsh('domjobinfo', 'move', '--rawstats'))
        after = time.monotonic()
        seen = [info for info in poll.around(before, after) if 'ram' in info]
        self.assertTrue(seen)
        table = dict(COUNTERS)
        if all('expected-downtime' in info for info in seen):
            table['downtime'] = lambda info: info['expected-downtime']
        for key, value in table.items():
            values = [value(info) for info in seen]
            self.assertIn(key, stats)
            slack = max(values) // 100 if key in FRESH else 0
            self.assertLessEqual(min(values) - slack, stats[key], f'{key}: {values}')
            self.assertGreaterEqual(max(values) + slack, stats[key], f'{key}: {values}')
            compared[key] += 1

    def test_abort(self):
        """domjobabort, twice, and then it is let go."""
        observer = self.start(**BUSY)
        self.expected = GIVEN_UP
        for _ in range(2):
            process = self.migrate_in_background(observer)
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
            process = self.migrate_in_background(observer, *options)
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
        process = self.migrate_in_background(observer, '--p2p')
        self.here.kill()
        process.wait(60)
        self.here.start()
        wait_for(lambda: self.state(self.here, 'move').startswith('running'), 'the guest')
        wait_for(lambda: observer.command('query-migrate')['status'] in
                 ('cancelled', 'failed'), 'the migration to be given up')
        wait_for(lambda: self.state(self.there, 'move') == '', 'it to be gone there')
        self.stayed(self.state(self.here, 'move'))

    def test_refused(self):
        """What this emulator cannot do is refused before anything happens."""
        observer = self.start()
        for options, reason in ((('--parallel',), 'multifd'),
                                (('--postcopy',), 'postcopy')):
            self.expected = 'capability|not supported|unsupported'
            self.assertIn(reason, self.refused(self.here, *self.migrate_command(*options)))
            self.stayed('running (booted)')
        self.assertNotIn('status', observer.command('query-migrate'))


if __name__ == '__main__':
    harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    domains.run('a', 'b')
