# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of libvirt's migrations share: a domain that moves from the first
daemon to the second, its lines of domjobinfo, and how they are held against
query-migrate. A guest prints and fills memory as tests/guest/pattern.c does.
"""
import contextlib
import re
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

# Two of virDomainJobType, and of virDomainJobOperation.
UNBOUNDED, COMPLETED = 2, 3
SAVE, OUTGOING = 2, 5

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
FRESH = {'downtime'}


def raw_stats(text):
    """domjobinfo --rawstats as a dictionary; numbers as such."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(':')
        if re.fullmatch(r'-?\d+', value.strip()):
            found[key.strip()] = int(value)
    return found


# What a migration that fails or is cancelled leaves in the logs: the error that virsh
# shows as well, that of the emulator there, whose stream ends (or, if it still lives when
# libvirt gives it up, that), and libvirt's surprise at a status that it does not know
# (12.8 does not either).
GIVEN_UP = ("unknown (status|value) 'failing'|canceled by client|job 'migration (in|out)' failed|"
            'unexpectedly closed the monitor|incoming migration failed|'
            'Unable to (read from|write to) monitor|virNetClient|migration was active, but no|'
            'migration successfully aborted')


# What domjobinfo of libvirt 9.0 says in a status that it does not know.
NEW_STATUS_SEEN = 'unexpected migration status in postcopy-device'

# What goes up and down faster than it is asked for, and how far.
SWINGS = {'memory_remaining': 1 << 20}


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


class Watch(threading.Thread):
    """Asks for domjobinfo until the job is over."""

    def __init__(self, daemon, name):
        super().__init__()
        self.daemon, self.name = daemon, name
        self.samples = []       # raw_stats()
        self.refused = None
        self.end = threading.Event()
        self.start()

    def run(self):
        while not self.end.wait(0.03):
            try:
                stats = raw_stats(self.daemon.virsh('domjobinfo', self.name, '--rawstats'))
            except domains.VirshError as error:
                if NEW_STATUS_SEEN in error.text:
                    continue
                self.refused = error.text
                break
            if stats['Job type'] != 0:
                self.samples.append(stats)

    def stop(self):
        self.end.set()
        self.join()


class Move(Case):
    """Daemons here and there, the pattern guest here."""

    samples = 0     # of watched(): one migration may be quicker than virsh, not all

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        assert Move.samples > 0

    def setUp(self):
        super().setUp()
        self.here, self.there = self.daemons

    def start(self, **pattern):
        """Starts the guest; its observer here. pattern: see pattern_xml()."""
        self.define(self.here, 'move', pattern_xml(
            'move', self.folder.name, print_ms=50,
            **{'pages_per_second': 2000, 'area_mib': AREA_MIB, **pattern}))
        self.here.virsh('start', 'move')
        self.wait_counting(self.here, 'move')
        return self.observe(self.here, 'move')

    def migrate_command(self, *options, uri='tcp://127.0.0.1'):
        return ('migrate', '--live', *options, 'move', self.there.uri, '--migrateuri', uri)

    def migrate(self, *options, **where):
        """domjobinfo is asked all the time."""
        with self.watched(OUTGOING):
            self.here.virsh(*self.migrate_command(*options, **where), timeout=90)

    @contextlib.contextmanager
    def watched(self, operation):
        """What libvirt says of a job here meanwhile makes sense; that it is over when it
        is asked once more, too."""
        watch = Watch(self.here, 'move')
        try:
            yield
        finally:
            watch.stop()
        if watch.refused:
            gone = 'domain is not running|[Dd]omain not found|failed to get domain'
            self.assertRegex(watch.refused, gone)
            self.expected = f'{self.expected}|{gone}' if self.expected else gone
        Move.samples += len(watch.samples)
        before = {}
        for stats in watch.samples:
            self.assertIn(stats['Job type'], (UNBOUNDED, COMPLETED), stats)
            self.assertEqual(stats['operation'], operation, stats)
            for key in 'time_elapsed', 'memory_processed', 'memory_normal', 'memory_iteration':
                self.assertGreaterEqual(stats.get(key, 0), before.get(key, 0), stats)
            if stats.get('memory_total'):
                self.assertEqual(stats['memory_page_size'], 4096)
                self.assertLessEqual(stats['memory_remaining'], stats['memory_total'])
                self.assertEqual(stats['memory_normal_bytes'], 4096 * stats['memory_normal'])
                self.assertEqual(stats['data_remaining'], stats['memory_remaining'])
            before = stats

    def slow_down(self, observer):
        """Migrations go over the slow line from now on."""
        self.here.virsh('migrate-setspeed', 'move', SLOW_MIBS)
        observer.command('migrate-set-parameters',
                         avail_switchover_bandwidth=SLOW_MIBS * MIB)

    def migrate_slowly(self, observer, *options):
        """Starts a migration over the slow line; returns when it is active."""
        self.slow_down(observer)
        return self.migrate_in_background(*options)

    def migrate_in_background(self, *options):
        """Starts a migration that goes on for a while; returns when it is active."""
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
        # A line may have begun where it ran before.
        seen = harness.counters(domains.printed(self.other(where), 'move') +
                                domains.printed(where, 'move'))
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
            if key == 'memory_bps':
                stats.setdefault(key, 0)    # left out before anything was measured
            self.assertIn(key, stats)
            slack = max(values) // 100 if key in FRESH else 0
            slack += SWINGS.get(key, 0)
            self.assertLessEqual(min(values) - slack, stats[key], f'{key}: {values}')
            self.assertGreaterEqual(max(values) + slack, stats[key], f'{key}: {values}')
            compared[key] += 1
