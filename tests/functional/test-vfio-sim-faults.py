#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vfio-sim's faults, its control socket, and its end."""
import errno
import pathlib
import re
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
        true = self.succeed('save', self.keys).numbers
        for point, name in (('stop-size', 'stop-size'),
                            ('initial-size', 'first-initial'),
                            ('dirty-size', 'first-dirty')):
            got = self.succeed('save', self.with_fault(f'{point}:under'))
            self.assertEqual(got.numbers[name], true[name] // 10)
            got = self.succeed('save', self.with_fault(f'{point}:wild'))
            self.assertNotEqual(got.numbers[name], true[name])
        again = {'stop-size': 'stop-copy-size', 'first-initial':
                 'second-initial', 'first-dirty': 'second-dirty'}[name]
        self.assertNotEqual(got.numbers[name], got.numbers[again])

    def test_once(self):
        got = self.succeed('save', self.with_fault('stop-size:7*1')).numbers
        self.assertEqual(got['stop-size'], 7)
        self.assertGreater(got['stop-copy-size'], MIB)

    def test_realize(self):
        """The VMM in small ends with what the call says."""
        for call, name in (
                ('ioas-map', 'map'), ('ioas-alloc', 'ioas-alloc'),
                ('bind', 'bind'), ('attach', 'attach'),
                ('region-info', 'region'), ('set-irqs', 'set-irqs')):
            self.fails('touch', self.with_fault(f'{call}:ENOMEM'), name,
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

    def test_write_stalls_or_is_short(self):
        self.succeed('save', self.keys)
        whole = self.stream.read_bytes()
        got = self.succeed('load', self.with_fault('write:short*9@1M'))
        self.assertTrue(got.digest)
        with subprocess.Popen([SIM, '--device',
                               'id=g,' + self.with_fault('write:stall@1M'),
                               '--', CLIENT, '@iommufd@', '@g@', 'load',
                               str(self.stream)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as run:
            with self.assertRaises(subprocess.TimeoutExpired):
                run.wait(1)
            run.terminate()
            self.assertEqual(run.wait(10), 128 + signal.SIGTERM)
        self.assertEqual(self.stream.read_bytes(), whole)

    def test_states(self):
        """Each move fails, and leaves the device where it was or in ERROR."""
        self.succeed('save', self.keys)
        for mode, state, before in (
                ('save', 'pre-copy', 'running'),
                ('save', 'pre-copy-p2p', 'pre-copy'),
                ('save', 'stop-copy', 'pre-copy-p2p'),
                ('save', 'stop', 'stop-copy'),
                ('load', 'resuming', 'stop'),
                ('load', 'running-p2p', 'running'),  # on the way there
                ('load', 'running', 'running-p2p')):
            fault = self.with_fault(f'state:EBUSY@{state}')
            got = self.fails(mode, fault, 'mig-state', errno.EBUSY)
            self.assertEqual(got.numbers['state'], STATES[before])
            fault = self.with_fault(f'state:error@{state}')
            got = self.fails(mode, fault, 'mig-state', errno.EIO)
            self.assertEqual(got.numbers['state'], STATES['error'])
            self.succeed('save', self.keys)

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


class Calls(Case):
    """Each call that has a name fails once, twice, always."""

    shared = ['device-info', 'region-info', 'irq-info', 'set-irqs', 'reset',
              'feature', 'migration', 'mig-state', 'mig-data-size', 'infov2',
              'dma-start', 'dma-stop', 'dma-report', 'precopy-info']
    modern = ['bind', 'attach', 'detach', 'iommu-destroy', 'ioas-alloc',
              'ioas-iova-ranges', 'ioas-map', 'ioas-unmap', 'hwpt-alloc',
              'hw-info', 'set-dirty-tracking', 'get-dirty-bitmap']
    legacy = ['api-version', 'check-extension', 'set-iommu', 'iommu-info',
              'map-dma', 'unmap-dma', 'dirty-pages', 'group-status',
              'set-container', 'unset-container', 'get-device-fd']

    def check(self, names, *way):
        path = pathlib.Path(self.folder.name) / 'control'
        run = subprocess.Popen(     # pylint: disable=consider-using-with
            [SIM, '--control', f'unix:{path}', '--device', 'id=g', '--',
             CLIENT, *way, 'calls'], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill)
        control = Control(path)
        self.addCleanup(control.close)
        while run.stdout.readline() != 'ready 1\n':
            self.assertIsNone(run.poll())
        struck = errno.ECANCELED    # no call fails so by itself
        for name in names:
            for fault, times in ((f'{name}:ECANCELED*1', 1),
                                 (f'{name}:ECANCELED*2', 2),
                                 (f'{name}:ECANCELED', 3)):
                self.assertEqual(control.ask(command='set', fault=fault),
                                 {'return': {}})
                run.stdin.write(name + '\n')
                run.stdin.flush()
                got = [int(word) for word in run.stdout.readline().split()]
                self.assertEqual(len(got), 3)
                self.assertNotIn(-1, got, name)
                self.assertEqual([number == struck for number in got],
                                 [i < times for i in range(3)], (name, got))
                control.ask(command='set', fault='none')
        # The end of its input ends it, while vfio-sim still answers.
        run.communicate(timeout=20)

    def test_modern(self):
        self.check(self.shared + self.modern, '@iommufd@', '@g@')

    def test_legacy(self):
        self.check(self.shared + self.legacy, 'legacy', '@g:sysfs@')

    def test_all_are_here(self):
        """The names are those that the manual has."""
        text = (pathlib.Path(__file__).parent.parent.parent /
                'docs/system/vfio-sim.rst').read_text(encoding='utf-8')
        section = text.split('The name of a call\n')[1].split('\nControl\n')[0]
        self.assertEqual(set(re.findall('``([a-z0-9-]+)``', section)),
                         set(self.shared + self.modern + self.legacy))


class End(Case):
    """Many threads, and the end of vfio-sim."""

    def test_a_crowd_keeps_nobody_waiting(self):
        got = self.succeed('crowd', 'fault=read:stall')
        self.assertEqual(got.numbers['regions'], 9)

    def killed(self, mode, keys='', *way):
        """The client's output once vfio-sim was killed."""
        path = pathlib.Path(self.folder.name) / f'control{len(way)}'
        with subprocess.Popen(
                [SIM, '--control', f'unix:{path}', '--device', f'id=g{keys}',
                 '--', CLIENT, *(way or ('@iommufd@', '@g@')), mode,
                 str(self.stream)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True) as run:
            if mode == 'outlive':
                while run.stdout.readline() != 'ready 1\n':
                    self.assertIsNone(run.poll())
            else:
                control = Control(path)
                while not control.query()['data-calls']:
                    self.assertIsNone(run.poll())
                control.close()
            run.kill()
            run.wait(10)
            if mode == 'outlive':
                run.stdin.write('\n')
                run.stdin.flush()
            return run.stdout.read()

    def test_calls_after_it(self):
        for way in ((), ('legacy', '@g:sysfs@')):
            got = self.killed('outlive', '', *way)
            self.assertIn(f'ioctl {errno.ENOSYS}\n', got)
            self.assertIn(f'pread {errno.ENOSYS}\n', got)
            self.assertIn(f'open {errno.ENOSYS if way else errno.ENOENT}\n',
                          got)

    def test_a_call_during_it(self):
        got = self.killed('save', ',fault=read:stall')
        self.assertIn(f'failed read {errno.ENOSYS}\n', got)


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
