#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vfio-sim's faults, its control socket, and its end."""
import errno
import pathlib
import signal
import subprocess

import harness
from vfiosim import CLIENT, Case, Control, MIB, SIM, STATES


class Faults(Case):
    """Each fault does what its name says."""

    keys = 'state-size=4M,stop-size=1M,initial-size=1M'

    def with_fault(self, fault):
        return f'{self.keys},fault={fault}'

    def test_sizes(self):
        for text, value in (('max', 2**64 - 1), ('2^63', 2**63),
                            ('2^62', 2**62), ('0', 0), ('1', 1), ('3M', 3 * MIB)):
            got = self.succeed('save', self.with_fault(f'stop-size:{text}'))
            self.assertEqual(got.numbers['stop-size'], value)
            got = self.succeed('save', self.with_fault(f'initial-size:{text}'))
            self.assertEqual(got.numbers['first-initial'], value)
            got = self.succeed('save', self.with_fault(f'dirty-size:{text}'))
            self.assertEqual(got.numbers['first-dirty'], value)

    def test_under_and_wild(self):
        true = self.succeed('save', self.keys).numbers['stop-size']
        got = self.succeed('save', self.with_fault('stop-size:under'))
        self.assertEqual(got.numbers['stop-size'], true // 10)
        got = self.succeed('save', self.with_fault('stop-size:wild')).numbers
        self.assertNotEqual(got['stop-size'], true)

    def test_once(self):
        got = self.succeed('save', self.with_fault('stop-size:7*1')).numbers
        self.assertEqual(got['stop-size'], 7)
        self.assertGreater(got['stop-copy-size'], MIB)

    def test_calls(self):
        for mode, call, name in (
                ('touch', 'ioas-map', 'map'),
                ('touch', 'ioas-alloc', 'ioas-alloc'),
                ('touch', 'bind', 'bind'), ('touch', 'attach', 'attach'),
                ('touch', 'region-info', 'region'),
                ('touch', 'set-irqs', 'set-irqs'),
                ('save', 'mig-data-size', 'mig-data-size'),
                ('save', 'precopy-info', 'precopy-info')):
            self.fails(mode, self.with_fault(f'{call}:ENOMEM'), name,
                       errno.ENOMEM)
        self.assertEqual(self.succeed('save', self.with_fault('infov2:ENOTTY'))
                         .numbers['infov2'], 0)

    def test_read_and_write(self):
        self.fails('save', self.with_fault('read:EIO@2M'), 'read', errno.EIO)
        self.assertGreater(self.stream.stat().st_size, MIB)
        got = self.succeed('save', self.with_fault('read:short*5@1M'))
        again = self.succeed('load', self.keys)
        self.assertEqual(got.digest, again.digest)
        self.fails('load', self.with_fault('write:EIO@2M'), 'write', errno.EIO)

    def test_stall(self):
        with subprocess.Popen([SIM, '--device',
                               'id=g,' + self.with_fault('read:stall@1M'),
                               '--', CLIENT, '@iommufd@', '@g@', 'save',
                               str(self.stream)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as run:
            with self.assertRaises(subprocess.TimeoutExpired):
                run.wait(1)
            run.terminate()
            self.assertEqual(run.wait(10), 128 + signal.SIGTERM)

    def test_states(self):
        got = self.fails('save', self.with_fault('state:EBUSY@stop-copy'),
                         'mig-state', errno.EBUSY)
        self.assertEqual(got.numbers['state'], STATES['pre-copy-p2p'])
        got = self.fails('save', self.with_fault('state:error@pre-copy-p2p'),
                         'mig-state', errno.EIO)
        self.assertEqual(got.numbers['state'], STATES['error'])

    def test_reinit(self):
        got = self.succeed('save', self.with_fault('reinit:every2')).numbers
        self.assertEqual(got['first-flags'], 0)
        self.assertEqual(got['second-flags'], 1)
        self.assertGreater(got['second-initial'], MIB)
        self.assertEqual(got['second-dirty'], 0)
        got = self.succeed('save', self.with_fault('reinit:pre-copy-p2p'))
        self.assertEqual(got.numbers['last-flags'], 1)
        self.assertEqual(got.digest, self.succeed('load', self.keys).digest)
        got = self.succeed('save', self.with_fault('reinit:stop-copy')).numbers
        self.assertGreater(got['stop-copy-size'], 2 * MIB)

    def test_reinit_is_told_to_who_asked_for_it(self):
        got = self.succeed('save', self.with_fault('reinit:every2') +
                           ',infov2=off').numbers
        self.assertEqual(got['second-flags'], 0)
        self.assertEqual(got['second-initial'], 0)
        self.assertGreater(got['second-dirty'], MIB)

    def test_refusal(self):
        self.succeed('save', self.keys)
        for verdict, call in (('version', 'write'), ('too-long', 'write'),
                              ('truncated', 'mig-state')):
            got = self.fails('load', self.with_fault(f'refuse:{verdict}'),
                             call, errno.EINVAL)
            self.assertIn('refused', got.stderr)


class Commands(Case):
    """Commands while the VMM runs."""

    def start(self, keys, mode='save', *more):
        path = pathlib.Path(self.folder.name) / 'control'
        run = subprocess.Popen(     # pylint: disable=consider-using-with
            [SIM, '--control', f'unix:{path}', '--device', f'id=g,{keys}',
             '--', CLIENT, '@iommufd@', '@g@', mode, str(self.stream), *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill)
        self.control = Control(path)
        self.addCleanup(self.control.close)
        self.path = path
        return run

    def test_query_and_set(self):
        run = self.start('state-size=4M,stop-size=1M,fault=read:stall@1M')
        got = self.control.wait_for('state', 'pre-copy')
        self.assertEqual(got['faults'], ['read:stall@1M'])
        self.assertEqual([(m['from'], m['to']) for m in got['moves']],
                         [('running', 'pre-copy')])
        self.assertNotIn('digest', got)
        self.assertEqual(self.control.ask(command='set', fault='none'), {'return': {}})
        stdout, stderr = run.communicate(timeout=20)
        self.assertIn('done 1', stdout)
        self.assertIn('migrated with digest', stderr)
        self.assertFalse(self.path.exists())

    def test_reinit(self):
        run = self.start('state-size=4M,stop-size=1M,fault=read:stall@3M')
        before = self.control.wait_for('state', 'pre-copy')
        while before['stream-offset'] < 3 << 20:
            before = self.control.query()
        self.assertEqual(before['initial-bytes'], 0)
        self.control.ask(command='reinit')
        after = self.control.query()
        self.assertGreater(after['initial-bytes'], MIB)
        self.assertEqual(after['dirty-bytes'], 0)
        self.control.ask(command='set', fault='none', **{'read-rate': 0})
        self.assertIn('done 1', run.communicate(timeout=20)[0])

    def test_errors(self):
        self.start('state-size=4M,stop-size=1M,fault=read:stall')
        for request, message in (
                ({'command': 'jump'}, 'expected query'),
                ({'command': 'query', 'id': 'x'}, 'id of a device'),
                ({'command': 'set', 'state-size': '1M'}, 'cannot be changed'),
                ({'command': 'set', 'fault': 'x'}, 'POINT:WHAT')):
            self.assertIn(message, self.control.ask(**request)['error'])
        self.assertIn('error', self.control.send('{"command":'))
        self.assertIn('error', self.control.send('[]'))
        self.assertEqual(self.control.ask(command='irq'), {'return': {}})


if __name__ == '__main__':
    harness.main()
