#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vfio-sim from outside: a VMM in small (vfio-client.c) meets a device in each
way there is, and moves its state."""
import errno
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import harness
from vfiosim import BLOCK, CLIENT, Case, MIB, RECORD, REGISTERS, SIM, STATES


class Meeting(Case):
    """How a VMM meets the device."""

    def test_realize_and_touch(self):
        got = self.succeed('touch', 'vendor=0x1234,device=0x5678').numbers
        self.assertEqual(got['unknown-ioctl'], errno.ENOTTY)
        self.assertEqual(got['ranges-too-small'], errno.EMSGSIZE)
        self.assertEqual(got['map-twice'], errno.EEXIST)
        self.assertEqual(got['id'], 0x56781234)
        self.assertEqual(got['doorbells'], 1)
        self.assertEqual(got['bar'], 0x12345678)

    def test_interrupts(self):
        got = self.succeed('interrupts', 'irq-rate=50').numbers
        rate = got['interrupts'] / got['took-ms'] * 1000
        self.assertGreater(rate, 20)
        self.assertLess(rate, 80)
        self.fails('interrupts', '', 'interrupt', errno.EAGAIN)

    def test_intx(self):
        """Masked when it was raised, and again when it was unmasked."""
        got = self.succeed('intx').numbers
        self.assertEqual((got['first'], got['while-masked'], got['unmasked'],
                          got['unmasked-by-event']), (1, 0, 1, 1))

    def test_duplicates_are_the_device(self):
        got = self.succeed('descriptors').numbers
        self.assertEqual(got['id-dup'], got['id-fcntl'])
        self.assertEqual(got['closed'], errno.EBADF)

    def test_two_devices(self):
        argv = [SIM, '--device', 'id=a,device=0xa', '--device',
                'id=b,device=0xb', '--', CLIENT, '@iommufd@', '@b@', 'touch']
        run = subprocess.run(argv, capture_output=True, text=True, timeout=60,
                             check=False)
        self.assertIn(f'id {0xb << 16 | 0xfff1}', run.stdout)

    def test_log(self):
        log = pathlib.Path(self.folder.name) / 'log'
        self.succeed('touch', options=['--log', str(log)])
        self.assertRegex(log.read_text(encoding='ascii'),
                         r'device bind 0x3b76 = 0')
        self.succeed('touch', options=['--log', str(log)],
                     way=OtherWays.legacy)
        text = log.read_text(encoding='ascii')
        self.assertRegex(text, r'/dev/vfio/1000 open 0x[0-9a-f]+ = \d+\n')
        self.assertIn('container set-iommu 0x3b66 = 0', text)

    def test_command_line(self):
        for text, message in (
                ('id=g,state-size=1X', 'is not a size'),
                ('id=g,colour=red', "unknown key 'colour'"),
                ('id=g,p2p=maybe', 'expected on or off'),
                ('id=g,dirty=both', 'expected device, iommu or none'),
                ('id=g,state-size=1M,stop-size=2M', 'exceed state-size'),
                ('id=g,bars=7:64K:trap', 'NUMBER from 0 to 5'),
                ('id=g,fault=read', 'POINT:WHAT'),
                ('id=g,fault=read:never', 'an errno, short or stall')):
            run = subprocess.run([SIM, '--device', text, '--', 'true'],
                                 capture_output=True, text=True, timeout=10,
                                 check=False)
            self.assertEqual(run.returncode, 125)
            self.assertIn(message, run.stderr)

    def test_the_manual_has_all(self):
        """Each option and key of --help, with its default."""
        text = subprocess.run([SIM, '--help'], capture_output=True, text=True,
                              timeout=10, check=True).stdout
        manual = (pathlib.Path(__file__).parent.parent.parent /
                  'docs/system/vfio-sim.rst').read_text(encoding='utf-8')
        options, keys = text.split('Keys of --device')
        for name in re.findall(r'^  (--[a-z]+)', options, re.M):
            self.assertIn('``' + name, manual)
        table = manual.split('Keys of a device')[1].split('\nFaults\n')[0]
        rows = re.split(r'^(?=``)', table, flags=re.M)[1:]
        for name, default in re.findall(r'^  (\S+) .*?(?:\((\S+)\))?$', keys,
                                        re.M):
            found = [row for row in rows
                     if f'``{name}``' in row.split('  ')[0]]
            self.assertEqual(len(found), 1, name)
            self.assertIn(f'``{default}``' if default else name, found[0])

    def test_status_of_the_command(self):
        def status(*command):
            return subprocess.run([SIM, '--device', 'id=g', '--', *command],
                                  stderr=subprocess.DEVNULL, timeout=10,
                                  check=False).returncode
        self.assertEqual(status('sh', '-c', 'exit 7'), 7)
        self.assertEqual(status('sh', '-c', 'kill -KILL $$'), 128 + 9)
        self.assertEqual(status('/nonexistent/vmm'), 127)

    def test_signals_go_to_the_command(self):
        with subprocess.Popen([SIM, '--device', 'id=g', '--', 'sleep', '60'],
                              stderr=subprocess.DEVNULL) as run:
            time.sleep(0.3)
            run.send_signal(signal.SIGTERM)
            self.assertEqual(run.wait(10), 128 + signal.SIGTERM)


class Exec(Case):
    """--exec: COMMAND in the process that vfio-sim was started in."""

    def exec(self, *command, options=(), **kwargs):
        return subprocess.Popen([SIM, '--exec', *options, '--device', 'id=g', '--', *command],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                **kwargs)

    def test_state_moves(self):
        """A device there is like any other, by each way to meet it."""
        for way in ('@iommufd@', '@g@'), OtherWays.legacy:
            saved = self.succeed('save', options=['--exec'], way=way)
            loaded = self.succeed('load', options=['--exec'], way=way)
            self.assertEqual(loaded.digest, saved.digest)
            self.assertIsNotNone(saved.digest)

    def test_process_is_the_command(self):
        """Its number, its parent, its signals and status; no child but its own."""
        with self.exec('sh', '-c', 'echo $$ $PPID; cat /proc/$$/task/$$/children; '
                       'kill -KILL $$') as run:
            out, err = run.communicate(timeout=20)
            number, *children = out.splitlines()
            self.assertEqual(number.split(), [str(run.pid), str(os.getpid())])
            self.assertEqual(len(children[0].split()), 1, children)     # cat
            self.assertEqual(run.returncode, -signal.SIGKILL)
            self.assertRegex(err, 'vfio-sim: g: state running')

    def test_inherited_descriptors_are_let_go(self):
        """What the command has closed is closed, though vfio-sim had it too."""
        reader, writer = os.pipe()
        with self.exec('sh', '-c', f'exec {writer}>&-; read line', pass_fds=[writer],
                       stdin=subprocess.PIPE) as run, os.fdopen(reader) as pipe:
            os.close(writer)
            self.assertEqual(pipe.read(), '')
            self.assertIsNone(run.poll())
            run.communicate('\n', timeout=20)
            self.assertEqual(run.returncode, 0)

    def test_failures_have_a_status(self):
        for command, options, status, text in (
                ('/nonexistent/vmm', (), 127, 'No such file'),
                ('true', ('--control', 'unix:/nonexistent/x'), 125, '/nonexistent/x')):
            with self.exec(command, options=options) as run:
                _, err = run.communicate(timeout=20)
                self.assertEqual(run.returncode, status)
                self.assertIn(text, err)


class OtherWays(Case):
    """The device as a VMM finds it in a folder of sysfs: its group and a
    container, or its cdev."""

    legacy = ('legacy', '@g:sysfs@')
    cdev = ('cdev', '@g:sysfs@')

    def test_group_and_container(self):
        got = self.succeed('touch', way=self.legacy).numbers
        self.assertEqual(got['version'], 0)
        self.assertEqual((got['type1v2'], got['type1']), (1, 0))
        self.assertEqual((got['group-flags'], got['group-flags-then']), (1, 3))
        self.assertEqual(got['open-group-twice'], errno.EBUSY)
        self.assertEqual(got['set-iommu-without-group'], errno.EINVAL)
        self.assertEqual(got['map-twice'], errno.EEXIST)
        self.assertEqual(got['map-on-device'], errno.ENOTTY)
        self.assertEqual(got['unknown-device'], errno.ENODEV)
        self.assertEqual(got['unset-in-use'], errno.EBUSY)
        self.assertEqual(got['doorbells'], 1)

    def test_container(self):
        got = self.succeed('container', 'dirty=iommu,dma-rate=1M,'
                           'dma-range=1M+2M', way=self.legacy).numbers
        self.assertEqual(got['info-needs-more'], 1)
        self.assertEqual((got['page-sizes'], got['bitmap-page-sizes']),
                         (4096, 4096))
        self.assertEqual(got['ranges'], 2)
        self.assertEqual(got['mappings-left'], 65534)
        self.assertEqual(got['unmap-part'], errno.EINVAL)
        self.assertEqual(got['unmapped-nothing'], 0)
        self.assertEqual(got['bitmap-before-start'], errno.EINVAL)
        self.assertEqual(got['bitmap-too-small'], errno.EINVAL)
        self.assertEqual(got['unmapped'], 4 * MIB)
        self.assertGreater(got['dirty-when-unmapped'], 20)
        self.assertEqual(got['unmapped-all'], 4096)
        self.assertEqual(got['map-when-unset'], errno.EINVAL)
        self.assertEqual((got['scratch-before'], got['scratch-after']), (77, 0))
        got = self.succeed('container', 'dirty=none', way=self.legacy).numbers
        self.assertNotIn('bitmap-page-sizes', got)

    def test_dma_is_logged(self):
        for dirty in ('device', 'iommu'):
            got = self.succeed('dma', f'dma-rate=1M,dma-range=1M+2M,dirty='
                               f'{dirty}', way=self.legacy).numbers
            self.assertEqual(got['differ'], 0)
            self.assertGreater(got['changed'], 20)
            self.assertEqual(got['logged-again'], 0)
        self.fails('dma', 'dirty=none', 'dma-start', errno.ENOTTY, self.legacy)

    def test_state_moves_between_ways(self):
        keys = 'state-size=4M,stop-size=1M'
        for out, inn in ((self.legacy, self.cdev), (self.cdev, self.legacy)):
            first = self.succeed('save-touched', keys, way=out)
            second = self.succeed('load-touched', keys, way=inn)
            self.assertEqual(first.digest, second.digest)
            self.assertEqual(second.numbers['scratch'], 0xfeedf00d)

    def test_cdev(self):
        got = self.succeed('touch', way=self.cdev).numbers
        self.assertEqual(got['is-the-device'], 1)
        self.assertEqual(got['doorbells'], 1)

    def test_no_privileges(self):
        """No capability is needed, whoever runs it."""
        bare = ['setpriv', '--no-new-privs', '--bounding-set=-all',
                '--inh-caps=-all']
        if os.getuid() != 0:
            bare = []
        elif not shutil.which('setpriv'):
            self.skipTest('no setpriv to drop the privileges of root')
        for way in (('@iommufd@', '@g@'), self.cdev, self.legacy):
            run = subprocess.run(
                [*bare, SIM, '--device', 'id=g', '--', 'sh', '-c',
                 'grep CapEff /proc/self/status; exec "$@"', 'sh', CLIENT,
                 *way, 'touch'], capture_output=True, text=True, timeout=20,
                check=False)
            self.assertIn('done 1', run.stdout, run.stderr)
            self.assertIn('CapEff:\t' + '0' * 16, run.stdout)

    def test_calls_fail(self):
        for call, number in (('api-version', errno.EIO),
                             ('check-extension', errno.EIO),
                             ('set-iommu', errno.EPERM),
                             ('map-dma', errno.ENOMEM),
                             ('group-status', errno.ENODEV),
                             ('set-container', errno.EBUSY),
                             ('get-device-fd', errno.EIO)):
            self.fails('touch', f'fault={call}:{errno.errorcode[number]}',
                       call, number, self.legacy)
        for call, name in (('iommu-info', 'iommu-info'),
                           ('unmap-dma', 'unmap-nothing'),
                           ('unset-container', 'unset-container')):
            self.fails('container', f'fault={call}:EIO', name, errno.EIO,
                       self.legacy)
        self.fails('dma', 'dirty=iommu,fault=dirty-pages:EIO', 'dirty-pages',
                   errno.EIO, self.legacy)

    def test_sysfs(self):
        """What is in the folder, and that it is gone in the end."""
        argv = [SIM, '--device', 'id=a', '--device',
                'id=b,vendor=0x1234,bars=1:4K:trap', '--', 'sh', '-c',
                'cd @b:sysfs@ && pwd -P && cat vendor class resource && '
                'readlink iommu_group && ls $(realpath iommu_group)/devices']
        run = subprocess.run(argv, capture_output=True, text=True, timeout=20,
                             check=True)
        lines = run.stdout.splitlines()
        folder = pathlib.Path(lines[0])
        self.assertEqual(folder.name, '0000:fe:01.0')
        self.assertEqual(lines[1:3], ['0x1234', '0x030200'])
        start, end, _ = (int(word, 16) for word in lines[4].split())
        self.assertEqual(end - start, 4095)
        self.assertEqual(lines[-2:], ['../../iommu_groups/1001',
                                      '0000:fe:01.0'])
        self.assertFalse(folder.parent.parent.exists())


class Migrating(Case):
    """State goes out of one device and into another."""

    def test_digests_agree(self):
        keys = 'state-size=32M,stop-size=8M,initial-size=1M,dirty-rate=4M'
        out = self.succeed('save', keys)
        inn = self.succeed('load', keys + ',seed=99')
        self.assertTrue(out.digest)
        self.assertEqual(out.digest, inn.digest)

    def test_sizes_are_true(self):
        got = self.succeed('save', 'state-size=32M,stop-size=8M,'
                           'initial-size=1M').numbers
        begin, end = RECORD + 32, RECORD + 16 + RECORD + REGISTERS
        per_mib = 16 * (BLOCK + RECORD)
        self.assertEqual(got['stop-size'], 32 * per_mib + begin + end)
        self.assertEqual(got['first-initial'], per_mib + begin)
        self.assertEqual(got['first-dirty'], 23 * per_mib)
        self.assertEqual(got['second-initial'], 0)
        self.assertEqual(got['second-dirty'], 0)
        self.assertEqual(got['stop-copy-size'], 8 * per_mib + end)
        self.assertEqual(got['sum'], got['stop-size'])
        self.assertEqual(got['closes-on-exec'], 1)
        self.assertEqual(got['read-when-stopped'], errno.ENODEV)

    def test_what_the_guest_wrote_moves(self):
        """Registers, BARs and configuration space are part of the state."""
        keys = 'state-size=1M,stop-size=0,initial-size=0'
        plain = self.succeed('save', keys)
        out = self.succeed('save-touched', keys)
        page = RECORD + 4096
        # registers and MSI-X table; two places of the mapped BAR
        self.assertEqual(out.numbers['stop-size'],
                         plain.numbers['stop-size'] + 4 * page)
        self.assertEqual(out.numbers['stop-copy-size'],
                         RECORD + REGISTERS + 4 * page + RECORD + 16)
        self.assertEqual(out.numbers['sum'], out.numbers['stop-size'])
        self.assertNotEqual(out.digest, plain.digest)
        inn = self.succeed('load-touched', keys)
        self.assertEqual(out.digest, inn.digest)
        self.assertEqual({key: inn.numbers[key] for key in (
            'bar-middle', 'bar-end', 'bar-start', 'scratch', 'msix',
            'doorbells', 'command')}, {
                'bar-middle': 0xcafe, 'bar-end': 0xbabe, 'bar-start': 0,
                'scratch': 0xfeedf00d, 'msix': 0xfee00000, 'doorbells': 3,
                'command': 6})
        # where that memory is not
        got = self.fails('load', keys + ',bars=0:64K:trap+2:8M:map', 'write',
                         errno.EINVAL)
        self.assertIn('no such memory', got.stderr)
        got = self.fails('load', keys + ',bars=0:64K:trap', 'write',
                         errno.EINVAL)
        self.assertIn('refused', got.stderr)

    def test_a_waiting_interrupt_moves(self):
        keys = 'state-size=1M,stop-size=0,initial-size=0'
        self.succeed('save-intx', keys)
        for mode in ('load-intx', 'load-with-intx'):
            self.assertEqual(self.succeed(mode, keys).numbers['arrived'], 1)
        self.succeed('save', keys)
        self.fails('load-intx', keys, 'interrupt', errno.EAGAIN)

    def test_seed_makes_the_state(self):
        digests = {self.succeed('save', f'state-size=1M,stop-size=0,seed={n}')
                   .digest for n in (1, 1, 2)}
        self.assertEqual(len(digests), 2)

    def test_cancel(self):
        got = self.succeed('cancel').numbers
        self.assertEqual(got['state'], STATES['running'])
        self.assertEqual(got['another-descriptor'], 1)
        self.assertEqual(got['old-descriptor'], errno.ENODEV)
        self.assertEqual(got['new-descriptor'], 1)

    def test_signals_lose_nothing(self):
        """Each read that sleeps is hit by a signal, which waits for it."""
        keys = 'state-size=4M,stop-size=1M,initial-size=0'
        out = self.succeed('save-with-signals', keys + ',read-rate=8M')
        self.assertGreater(out.numbers['signals'], 4)
        self.assertEqual(out.numbers['sum'], out.numbers['stop-size'])
        self.assertEqual(out.digest, self.succeed('load', keys).digest)

    def test_dma_is_logged(self):
        for dirty in ('device', 'iommu'):
            with self.subTest(dirty):
                got = self.succeed('dma', 'dma-rate=1M,dma-range=1M+2M,'
                                   f'dirty={dirty}').numbers
                self.assertEqual(got['differ'], 0)
                self.assertGreater(got['changed'], 20)
                self.assertLess(got['changed'], 512)
                self.assertEqual(got.get('kept', got['changed']),
                                 got['changed'])
                self.assertEqual(got['logged-again'], 0)

    def test_nobody_logs_dma(self):
        for keys in ('dirty=none', 'dma-log=off'):
            got = self.fails('dma', keys, 'dma-start', errno.ENOTTY).numbers
            self.assertEqual(got['hwpt-with-tracking'], errno.EOPNOTSUPP)

    def test_tracking_is_checked(self):
        got = self.succeed('tracking', 'dirty=iommu').numbers
        self.assertEqual(got['before-it-is-on'], errno.EINVAL)
        self.assertEqual(got['not-mapped'], errno.EINVAL)
        self.assertEqual(got['wraps'], errno.EOVERFLOW)
        self.assertEqual(got['odd-page'], errno.EINVAL)
        self.assertEqual(got['unknown-flag'], errno.EOPNOTSUPP)
        self.assertEqual(got['destroyed-in-use'], errno.EBUSY)
        for call in ('set-dirty-tracking', 'get-dirty-bitmap'):
            self.fails('dma', f'dirty=iommu,fault={call}:EIO', call, errno.EIO)

    def test_without_precopy(self):
        self.fails('save', 'precopy=off', 'mig-state', errno.EINVAL)

    def test_pace(self):
        """64 MiB at 64 MiB/s take a second, on both sides, and what this host
        needs without a pace is not added to it twice."""
        keys = 'state-size=64M,stop-size=0,initial-size=0'
        times = []
        for mode, pace in (('save', ''), ('save', ',read-rate=64M'),
                           ('load', ',write-rate=64M')):
            start = time.monotonic()
            self.succeed(mode, keys + pace)
            times.append(time.monotonic() - start)
        self.assertGreater(times[1], 0.95)
        self.assertGreater(times[2], 0.95)
        self.assertLess(times[1], 2 + times[0])

    def test_wrong_streams_are_refused(self):
        keys = 'state-size=1M,stop-size=0,initial-size=0'
        self.succeed('save', keys)
        good = self.stream.read_bytes()
        block = RECORD + BLOCK
        first = RECORD + 32
        for name, bad, call in (
                ('magic', b'\0' + good[1:], 'write'),
                ('version', good[:6] + b'\1' + good[7:], 'write'),
                ('content', good[:500] + b'\0\0\0\0\0\0\0\0' + good[508:],
                 'write'),
                ('order', good[:first] + good[first + block:], 'write'),
                ('too long', good + good, 'write'),
                ('no registers', good[:-RECORD - 16 - RECORD - REGISTERS] +
                 good[-RECORD - 16:], 'write'),
                ('truncated', good[:-1], 'mig-state'),
                ('half', good[:len(good) // 2], 'mig-state'),
                ('empty', b'', 'mig-state')):
            with self.subTest(name):
                self.stream.write_bytes(bad)
                got = self.fails('load', keys, call, errno.EINVAL)
                self.assertIn('refused', got.stderr)
                self.assertIsNone(got.digest)
        self.stream.write_bytes(good)
        self.fails('load', keys.replace('=1M', '=2M'), 'write', errno.EINVAL)
        self.fails('load', keys + ',device=1', 'write', errno.EINVAL)


if __name__ == '__main__':
    harness.main()
