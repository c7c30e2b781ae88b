#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The case that started this: a guest with a GPU of 2 GiB, 1.9 GiB of which
can only be read while the guest stands still. Whether a migration converges,
what it costs while it does not, and how true the expected downtime is.
"""
import os
import pathlib
import tempfile
import time
import unittest

import harness
import vfio

MIB = 1 << 20
RAM_MIB = 64
STATE_MIB = 2048
STOP_MIB = 1946                     # 1.9 GiB
# At a pace of its own: how fast this host moves memory is not what is tested.
DEVICE = {'gpu0': {'state_size': f'{STATE_MIB}M', 'stop_size': f'{STOP_MIB}M',
                   'read_rate': '700M'}}
LIMIT_MS = 300

# What a sanitizer costs comes when it likes.
SLOW = harness.SLOWDOWN > 1, 'a sanitizer takes the time'


class Case(unittest.TestCase):
    """A source that is migrating, and cannot end."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='godwit-vfio-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def machine(self, name, *args):
        machine = vfio.SimMachine(DEVICE, '-M', 'virt', '-m', f'{RAM_MIB}M', '-nodefaults', '-bios',
                                  'none', *args, name=name)
        self.addCleanup(machine.close)
        machine.command('migrate-set-capabilities',
                        capabilities=[{'capability': cap, 'state': True}
                                      for cap in ('events', 'return-path', 'switchover-ack')])
        return machine

    def start(self, **parameters):
        """A migration whose guest has nothing left but the device."""
        image = harness.pattern_image(self.folder, area_mib=RAM_MIB - 8, fill=True, passes=1)
        self.src = self.machine('src', '-kernel', image)
        self.src.wait_serial('pattern ')
        self.dst = self.machine('dst', '-incoming', 'defer')
        self.dst.command('migrate-incoming', uri=f'unix:{self.folder}/migration')
        self.src.command('migrate-set-parameters',
                         **{'max-bandwidth': 0, 'downtime-limit': LIMIT_MS, **parameters})
        self.src.command('migrate', uri=f'unix:{self.folder}/migration')
        self.src.wait_migration('active')
        self.began = time.monotonic()

    def settle(self, timeout=60):
        """Until only what must wait for the stop is left."""
        end = time.monotonic() + timeout
        while True:
            info = self.src.command('query-migrate')
            if info['ram']['dirty-sync-count'] > 2 and info['remaining'] < (STOP_MIB + 8) * MIB:
                return info
            self.assertLess(time.monotonic(), end, info)
            time.sleep(0.05)

    def finish(self, limit_ms):
        """Allows so much; what query-migrate then says, and in which pass."""
        before = self.src.command('query-migrate')['ram']['dirty-sync-count']
        self.src.command('migrate-set-parameters', **{'downtime-limit': limit_ms})
        info = self.src.wait_migration('completed', 'failed', timeout=30)
        self.assertEqual(info['status'], 'completed', info)
        return info, info['ram']['dirty-sync-count'] - before

    def reported(self, seconds):
        """The least expected downtime within these seconds."""
        end, least = time.monotonic() + seconds, 1 << 63
        while time.monotonic() < end:
            least = min(least, self.src.command('query-migrate')['expected-downtime'])
            time.sleep(0.02)
        return least

    def stays_for(self, seconds):
        """It does not end with a limit of one millisecond less than is reported.

        Which is a value rounded up, so that what is less by one may be less by nothing:
        where the value has two faces the lower one counts, after a look of two seconds.
        """
        limit = self.reported(2) - 1
        self.src.command('migrate-set-parameters', **{'downtime-limit': limit})
        time.sleep(seconds)
        info = self.src.command('query-migrate')
        self.assertEqual(info['status'], 'active', (limit, info))

    def same_device(self):
        here, there = (machine.control('gpu0').query()['digest'] for machine in (self.src, self.dst))
        self.assertEqual(here, there)

    def thread_seconds(self, name):
        """CPU time of the machine's thread of that name."""
        pids = [self.src.process.pid]
        for pid in pids:
            children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
            pids += map(int, children)
        for pid in pids:
            for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
                if (task / 'comm').read_text().strip() == name:
                    fields = (task / 'stat').read_text().rpartition(')')[2].split()
                    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
        raise AssertionError(f'no thread {name!r}')

    def test_waits_cheaply(self):
        self.start()
        self.settle()
        self.src.qmp.events.clear()
        began, busy = time.monotonic(), self.thread_seconds('mig/src/main')
        samples = []
        while time.monotonic() - began < 6:
            samples.append(self.src.command('query-migrate'))
            time.sleep(0.1)
        busy = self.thread_seconds('mig/src/main') - busy
        passed = time.monotonic() - began
        passes = sum(event['event'] == 'MIGRATION_PASS' for event in self.src.qmp.events)
        self.assertLess(busy / passed, 0.10, 'the migration thread burns CPU')
        self.assertGreater(passes, 0)
        self.assertLessEqual(passes / passed, 20)
        for info in samples:
            self.assertEqual(info['status'], 'active')
            self.assertLess(info['ram']['remaining'], MIB)
            self.assertAlmostEqual(info['remaining'] / MIB, STOP_MIB, delta=STOP_MIB / 100)
            self.assertGreater(info['expected-downtime'], LIMIT_MS)
        text = self.src.command('human-monitor-command', command_line='info migrate')
        self.assertRegex(text, r'\AStatus: active\r?\nTime \(ms\): total=\d+, setup=\d+, '
                               r'exp_down=\d+\r?\nRemaining \(bytes\): 1\.90? GiB\r?\n')
        self.assertRegex(text, r'vfio=1?\d\d(\.\d)? MiB')

    @unittest.skipIf(*SLOW)
    def test_bandwidth_given(self):
        bandwidth = 500 * MIB
        self.start(**{'avail-switchover-bandwidth': bandwidth})
        self.settle()
        samples = []
        for _ in range(20):
            info = self.src.command('query-migrate')
            samples.append(info['expected-downtime'])
            time.sleep(0.1)
        self.assertLessEqual(max(samples) - min(samples), max(min(samples) / 100, 1), samples)
        wire_ms = info['remaining'] / bandwidth * 1000
        self.assertGreaterEqual(samples[-1], wire_ms)
        # the rest are the learned terms: of an idle guest, a few milliseconds
        self.assertLess(samples[-1], wire_ms * 1.05 + 20)

    @unittest.skipIf(*SLOW)
    def test_true_limit_converges(self):
        """One migration that is not let go, then the truth of ten."""
        errors, first_errors = [], []
        for run in range(10):
            self.start()
            time.sleep(max(self.began + 3 - time.monotonic(), 0))
            early = self.src.command('query-migrate')['expected-downtime']
            self.settle()
            if run == 0:
                self.stays_for(10)
            expected = self.src.command('query-migrate')['expected-downtime']
            info, passes = self.finish(expected)
            self.assertLessEqual(passes, 2)
            self.same_device()
            switchover = info['switchover']
            measured = switchover['measured-us']
            errors.append(abs(switchover['predicted-us'] - measured) / measured)
            first_errors.append(abs(early * 1000 - measured) / measured)
            for machine in (self.src, self.dst):
                machine.close()
        print(f'error of the prediction: {[round(error, 3) for error in errors]}; after 3 s: '
              f'{[round(error, 3) for error in first_errors]}')
        self.assertLessEqual(sorted(errors)[len(errors) // 2], 0.10, errors)
        self.assertLessEqual(sorted(first_errors)[len(errors) // 2], 0.25, first_errors)


if __name__ == '__main__':
    harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    harness.main()
