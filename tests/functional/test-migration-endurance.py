# SPDX-License-Identifier: GPL-2.0-or-later
"""Many migrations of one guest: there and back, cancelled and cut off at random
moments. After each the guest runs on one side, exactly, and can migrate again;
at the end every page is right and no counter is missing."""
import os
import random
import time
import unittest

import harness

AREA_MIB = 24
ROUNDS = int(os.environ.get('GODWIT_ENDURANCE_ROUNDS', '20'))
MOMENTS = int(os.environ.get('GODWIT_ENDURANCE_MOMENTS', '50'))
# cancel and peer death are tried within this long of "migrate"
WINDOW_S = 1.5


class Endurance(unittest.TestCase):
    """One pattern guest, many machines."""

    def setUp(self):
        self.folder = harness.tempfile.TemporaryDirectory(prefix='godwit-endure-')
        self.addCleanup(self.folder.cleanup)
        self.image = harness.pattern_image(self.folder.name, area_mib=AREA_MIB,
                                           pages_per_second=20000, print_ms=20)
        self.started = 0
        self.printed = ''

    def start(self, *more):
        """A machine for the guest."""
        self.started += 1
        machine = harness.Machine(
            '-machine', 'virt', '-m', AREA_MIB + 8, '-bios', 'none', '-kernel', self.image,
            '-qtest', f'unix:{self.folder.name}/qtest{self.started},server=on,wait=off',
            *more, name=f'machine{self.started}')
        machine.qtest_path = f'{self.folder.name}/qtest{self.started}'
        self.addCleanup(machine.close)
        return machine

    def start_source(self):
        source = self.start()
        source.wait_serial('counter 2\n')
        return source

    def slow_down(self, source):
        """So that the moments fall on every stage of a migration."""
        source.command('migrate-set-parameters', max_bandwidth=24 << 20, downtime_limit=30)

    def begin(self, source, target):
        """Starts to migrate; the URI is new each time."""
        uri = f'unix:{self.folder.name}/migration{self.started}'
        for machine in (source, target):
            machine.command('migrate-set-capabilities',
                            capabilities=[{'capability': 'return-path', 'state': True}])
        target.command('migrate-incoming', uri=uri)
        source.command('migrate', uri=uri)

    def retire(self, source):
        """Keeps what the guest printed there, ends the process."""
        self.printed += source.serial()
        source.close()

    def check_runs(self, machine):
        """The guest works: its counter moves."""
        self.assertEqual(machine.command('query-status')['status'], 'running')
        before = len(harness.counters(machine.serial()))
        end = harness.deadline(20)
        while len(harness.counters(machine.serial())) < before + 2:
            self.assertLess(time.monotonic(), end, 'the guest stands still')
            time.sleep(0.01)

    def check_memory(self, machine):
        """Every page, and every line that was printed on the way."""
        machine.command('stop')
        qtest = harness.Qtest(machine.qtest_path)
        harness.check_pattern(qtest, AREA_MIB)
        qtest.close()
        machine.command('cont')

    def check_lines(self, machine):
        lines = harness.counters(self.printed + machine.serial())
        self.assertEqual(lines, list(range(1, len(lines) + 1)))

    def test_there_and_back(self):
        """The guest moves ROUNDS times."""
        machine = self.start_source()
        for _ in range(ROUNDS):
            target = self.start('-incoming', 'defer')
            self.begin(machine, target)
            info = machine.wait_migration('completed', 'failed')
            self.assertEqual(info['status'], 'completed', info)
            self.assertEqual(machine.command('query-status')['status'], 'postmigrate')
            self.check_runs(target)
            self.retire(machine)
            machine = target
        self.check_memory(machine)
        self.check_lines(machine)

    def test_random_moments(self):
        """Cancelled, or the destination killed, at MOMENTS random moments."""
        seed = int(os.environ.get('GODWIT_ENDURANCE_SEED', time.time_ns() % 2 ** 32))
        print(f'seed {seed}')
        chance = random.Random(seed)
        source = self.start_source()
        self.slow_down(source)
        completed = 0
        for moment in range(MOMENTS):
            target = self.start('-incoming', 'defer')
            self.begin(source, target)
            time.sleep(chance.uniform(0, WINDOW_S))
            kill = chance.random() < 0.5
            if kill:
                target.kill()
            else:
                source.command('migrate_cancel')
            info = source.wait_migration('completed', 'failed', 'cancelled')
            if info['status'] == 'completed':
                # It had left before: then it is there, and nowhere else.
                self.assertEqual(source.command('query-status')['status'], 'postmigrate')
                completed += 1
                if kill:
                    # There it was killed with the machine it had moved to.
                    self.printed = ''
                    source.close()
                    source = self.start_source()
                else:
                    self.check_runs(target)
                    self.retire(source)
                    source = target
                self.slow_down(source)
                continue
            self.assertNotEqual((kill, info['status']), (True, 'cancelled'))
            self.check_runs(source)
            if kill:
                self.assertTrue(info.get('error-desc'), info)
            target.close()
        print(f'{completed} of {MOMENTS} had completed before')
        self.check_memory(source)
        self.check_lines(source)


if __name__ == '__main__':
    harness.need(harness.PATTERN, 'no pattern guest: no riscv64 cross compiler')
    harness.main()
