#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What management sees of a migration: section 5 of the migration
specification. A guest that writes faster than it may be sent gives time to
look; every number is held against another way to know it.
"""
import re
import tempfile
import unittest

import harness

RAM_MIB = 64
AREA_MIB = 48
MIB = 1 << 20

SIZE = r'(?:\d{1,3}|\d\.\d{1,2}|\d{2}\.\d) (?:[KMGTPE]i)?B'
ACTIVE = rf'''Status: active
Time \(ms\): total=\d+, setup=\d+, exp_down=\d+
Remaining \(bytes\): {SIZE}
RAM info:
  Throughput \(Mbps\): \d+\.\d\d
  Sizes: pagesize=4 KiB, total={SIZE}
  Transfers: transferred={SIZE}, remain={SIZE}
    Channels: precopy={SIZE}, multifd=0 B, postcopy=0 B, vfio=0 B
    Page Types: normal=\d+, zero=\d+
  Page Rates \(pps\): transfer=\d+(?:, dirty=\d+)?
  Others: dirty_syncs=\d+
'''
# The members and types that QEMU has, of a migration of memory that runs.
MEMBERS = {'status': str, 'total-time': int, 'setup-time': int, 'expected-downtime': int,
           'remaining': int, 'ram': dict}
RAM_MEMBERS = {'transferred': int, 'remaining': int, 'total': int, 'duplicate': int,
               'normal': int, 'normal-bytes': int, 'dirty-pages-rate': int, 'mbps': float,
               'dirty-sync-count': int, 'page-size': int, 'pages-per-second': int,
               'precopy-bytes': int, 'downtime-bytes': int}


class Info(unittest.TestCase):
    """A migration that does not end before it is allowed to."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='godwit-info-')
        self.addCleanup(folder.cleanup)
        image = harness.pattern_image(folder.name, area_mib=AREA_MIB, pages_per_second=20000,
                                      fill=True)
        line = ['-M', 'virt', '-m', f'{RAM_MIB}M', '-nodefaults', '-bios', 'none']
        self.uri = f'unix:{folder.name}/migration'
        self.src = self.machine('src', *line, '-kernel', image)
        self.dst = self.machine('dst', *line, '-incoming', 'defer')
        self.dst.command('migrate-incoming', uri=self.uri)
        self.src.command('migrate-set-parameters',
                         **{'max-bandwidth': 40 * MIB, 'downtime-limit': 1})
        self.src.wait_serial('pattern ')

    def machine(self, name, *args):
        machine = harness.Machine(*args, name=name)
        self.addCleanup(machine.close)
        machine.command('migrate-set-capabilities',
                        capabilities=[{'capability': cap, 'state': True}
                                      for cap in ('events', 'return-path')])
        return machine

    def start(self):
        self.src.command('migrate', uri=self.uri)
        self.src.wait_migration('active')

    def second_pass(self):
        """Two ways to know the counter; a query-migrate of that pass."""
        event = self.src.qmp.wait_event('MIGRATION_PASS')
        info = self.src.command('query-migrate')
        self.assertGreaterEqual(info['ram']['dirty-sync-count'], event['data']['pass'])
        return info

    def human(self, line):
        return self.src.command('human-monitor-command', command_line=line).replace('\r', '')

    def let_it_end(self):
        self.src.command('migrate-set-parameters',
                         **{'max-bandwidth': 0, 'downtime-limit': 20000})
        return self.src.wait_migration('completed')

    def test_spec_5_names_and_types(self):
        self.start()
        info = self.second_pass()
        for members, where in ((MEMBERS, info), (RAM_MEMBERS, info['ram'])):
            for name, kind in members.items():
                self.assertIsInstance(where[name], kind, name)
        self.assertEqual(info['ram']['total'] // MIB, RAM_MIB)
        self.assertEqual(info['ram']['normal-bytes'], info['ram']['normal'] * harness.PAGE)
        # nobody has counted these: no throttling, no VFIO device, no failure
        for name in ('cpu-throttle-percentage', 'vfio', 'error-desc', 'downtime',
                     'blocked-reasons'):
            self.assertNotIn(name, info)

    def test_spec_5_remaining_from_first_pass_to_end(self):
        self.start()
        info = self.src.command('query-migrate')
        self.assertEqual(info['ram']['dirty-sync-count'], 1)
        self.assertGreater(info['remaining'], 0)
        self.assertLessEqual(info['remaining'], info['ram']['total'])
        total = sum(device['total-bytes'] for device in info['devices'])
        self.assertEqual(info['remaining'], total)
        self.assertIn('remaining', self.second_pass())
        self.src.command('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 20000})
        while (info := self.src.command('query-migrate'))['status'] in ('active', 'device'):
            self.assertIn('remaining', info)
        self.assertEqual(info['status'], 'completed')

    def test_spec_5_human_form(self):
        self.start()
        self.second_pass()
        text = self.human('info migrate')
        self.assertRegex(text, rf'\A{ACTIVE}\Z')
        info = self.let_it_end()
        text = self.human('info migrate')
        self.assertIn('Status: completed\n', text)
        self.assertIn(f', down={info["downtime"]}\n', text)
        self.assertIn(f'dirty_syncs={info["ram"]["dirty-sync-count"]}\n', text)
        self.assertNotIn('exp_down', text)

    def test_spec_5_human_all(self):
        self.start()
        self.second_pass()
        text = self.human('info migrate -a')
        self.assertRegex(text, rf'\A{ACTIVE}Capabilities:\n')
        for entry in self.src.command('query-migrate-capabilities'):
            state = 'on' if entry['state'] else 'off'
            self.assertIn(f'  {entry["capability"]}: {state}\n', text)
        for name in self.src.command('query-migrate-parameters'):
            self.assertRegex(text, rf'\n  {name}: ')
        self.assertRegex(text, rf'\nDevices:\n  ram: precopy={SIZE}, postcopy=0 B, '
                               rf'stopcopy=0 B, transferred={SIZE}')
        self.let_it_end()
        self.assertRegex(self.human('info migrate -a'),
                         r'\nSwitchover \(ms\): predicted=\d+\.\d{3}, measured=\d+\.\d{3}\n'
                         r'  stop vCPUs: ')

    def test_spec_5_wrong_argument(self):
        self.assertIn("'-b' is not understood", self.human('info migrate -b'))

    def test_spec_4_prediction_beside_measurement(self):
        self.start()
        self.second_pass()
        info = self.let_it_end()
        switchover = info['switchover']
        self.assertEqual((switchover['measured-us'] + 500) // 1000, info['downtime'])
        self.assertLessEqual(switchover['predicted-us'], 20000 * 1000)
        names = [phase['name'] for phase in switchover['phases']]
        self.assertEqual(names[:3], ['stop vCPUs', 'final sync', 'ram'])
        self.assertEqual(names[-2:], ['destination load', 'destination start'])
        told = sum(phase['duration-us'] for phase in switchover['phases'])
        self.assertAlmostEqual(told, switchover['measured-us'], delta=len(names))

    def test_spec_5_sizes_keep_three_digits(self):
        self.start()
        seen = set()
        for _ in range(50):
            seen.update(re.findall(r'[=:] ?(\d\S* (?:[KMGTPE]i)?B)', self.human('info migrate')))
        for size in seen:
            self.assertRegex(size, rf'\A{SIZE}\Z')
        self.assertTrue(any('.' in size for size in seen), seen)


if __name__ == '__main__':
    harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    harness.main()
