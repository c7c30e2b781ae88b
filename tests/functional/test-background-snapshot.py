# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest is saved while it runs on: what is saved is one moment of it, it loads
like any other stream, and whatever goes wrong leaves the guest running.

The pattern guest writes page after page, so that in a true copy of one moment
all counters are n + 1 up to some page and n from there: a page that was saved
later than another breaks that."""
import os
import pathlib
import random
import re
import socket
import subprocess
import tempfile
import threading
import time

import harness
from snapshots import AREA_MIB, AREA_START, RAM, Side, Snapshots

CAP = 'background-snapshot'
PLAIN, MAPPED = ('events', CAP), ('events', 'mapped-ram', CAP)


class Background(Snapshots):
    """What the tests below share."""

    def start(self, src, uri=None, **params):
        """Starts to save; returns when the moment has been."""
        src.command('migrate-set-parameters', **{'max_bandwidth': 0, **params})
        src.command('migrate', uri=uri or f'file:{self.file}')
        end = harness.deadline(30)
        while True:
            info = src.command('query-migrate')
            self.assertNotIn(info['status'], ('failed', 'cancelled'), info.get('error-desc'))
            if 'measured-us' in info.get('switchover', {}):
                return info
            self.assertLess(time.monotonic(), end, info)

    def load(self, *args, caps=('events',), uri=None):
        dst = self.destination('-S', *args, caps=caps)
        dst.command('migrate-incoming', uri=uri or f'file:{self.file}')
        self.complete(dst)
        self.assertEqual(dst.status(), 'paused')
        return dst

    def check_moment(self, src, dst):
        """dst, which has not run, is a moment of src, which has gone on."""
        self.check_counters(dst)
        was, now = dst.counters()[0], src.counters()[0]
        self.assertGreater(max(was), 0)
        self.assertTrue(all(new >= old for old, new in zip(was, now)))
        # What never changes is the same, whoever wrote it when.
        old, new = dst.ram.read_bytes(), src.ram.read_bytes()
        end = AREA_START + (AREA_MIB << 20)
        self.assertEqual(old[end:], new[end:])
        for page in range(AREA_START, end, harness.PAGE):
            self.assertEqual(old[page + 8:page + harness.PAGE - 8],
                             new[page + 8:page + harness.PAGE - 8], f'page 0x{page:x}')

    def holds(self, side):
        """What may not become more: descriptors, and bytes of memory of its own."""
        status = pathlib.Path(f'/proc/{side.process.pid}/status').read_text()
        return side.descriptors(), int(re.search(r'RssAnon:\s*(\d+)', status)[1]) << 10

    def check_nothing_left(self, side, before):
        """No thread and no descriptor, but for what a cancel signals, and nothing of what
        was put aside, which has room for all of so small a guest."""
        opened, anonymous = before
        self.assertEqual(side.descriptors() - opened, {'anon_inode:[eventfd]': 1})
        folder = f'/proc/{side.process.pid}/task'
        end = harness.deadline(5)
        while True:
            names = [pathlib.Path(folder, task, 'comm').read_text().strip()
                     for task in os.listdir(folder)]
            if not [name for name in names if name.startswith('mig/')]:
                break
            self.assertLess(time.monotonic(), end, names)
        self.assertLess(self.holds(side)[1] - anonymous, RAM // 2)


class OneMoment(Background):
    """Saved while the guest writes."""

    def check(self, caps, pages_per_second):
        src = self.source(caps=caps, pages_per_second=pages_per_second)
        before = self.holds(src)
        for _ in range(3):
            src.assert_lives(self)
            self.start(src)
            info = self.complete(src)
            src.assert_lives(self)
            dst = self.load(caps=tuple(cap for cap in caps if cap != CAP))
            self.check_moment(src, dst)
            dst.command('cont')
            dst.assert_lives(self)
            dst.close()
        self.check_nothing_left(src, before)
        self.assertEqual(info['ram']['dirty-sync-count'], 1)
        self.assertEqual(info['ram']['downtime-bytes'], 0)
        self.assertNotIn('predicted-us', info['switchover'])
        self.assertEqual([part['name'] for part in info['switchover']['phases']],
                         ['stop vCPUs', 'device states', 'write protection', 'start vCPUs'])
        self.assertEqual(info['ram']['normal'] + info['ram']['duplicate'],
                         info['snapshot']['total-pages'])
        statuses = [e['data']['status'] for e in src.qmp.events if e['event'] == 'MIGRATION']
        self.assertEqual(statuses, ['setup', 'active', 'completed'] * 3)
        names = [e['event'] for e in src.qmp.events if e['event'] in ('STOP', 'RESUME')]
        self.assertEqual(names, ['STOP', 'RESUME'] * 3)
        return info

    def test_plain(self):
        info = self.check(PLAIN, 0)
        self.assertGreater(info['snapshot']['aside-pages'], 0)
        self.assertGreater(info['snapshot']['faults'], 0)

    def test_mapped_ram(self):
        info = self.check(MAPPED, 0)
        self.assertGreater(info['snapshot']['aside-pages'], 0)

    def test_steady(self):
        self.check(PLAIN, 20000)
        self.check(MAPPED, 20000)

    def test_slow_disk(self):
        """With a limit on what is sent the moment lies long back in the end,
        and the file is no larger for it."""
        for caps in (PLAIN, MAPPED):
            src = self.source(caps=caps, pages_per_second=0)
            self.start(src, max_bandwidth=12 << 20)
            moment = time.monotonic()
            info = self.complete(src)
            self.assertGreater(time.monotonic() - moment, 0.5)
            # All of the area was written to meanwhile.
            self.assertGreater(info['snapshot']['aside-pages'], AREA_MIB << 7)
            self.assertLess(self.file.stat().st_blocks * 512, (AREA_MIB + 4) << 20)
            dst = self.load(caps=tuple(cap for cap in caps if cap != CAP))
            self.check_moment(src, dst)
            src.close()

    def test_byte_for_byte(self):
        """The moment is known here: the guest stood still, and goes on while it
        is saved."""
        for caps in (PLAIN, MAPPED):
            src = self.source(caps=caps, pages_per_second=0)
            src.command('stop')
            moment = src.ram.read_bytes()
            self.start(src, max_bandwidth=20 << 20)
            self.assertEqual(src.status(), 'paused')
            src.command('cont')
            src.assert_lives(self)
            self.assertEqual(src.command('query-migrate')['status'], 'active')
            self.complete(src)
            self.assertNotEqual(src.ram.read_bytes(), moment)
            dst = self.load(caps=tuple(cap for cap in caps if cap != CAP))
            self.assertEqual(dst.ram.read_bytes(), moment)
            src.close()

    def test_fast_load(self):
        """It runs from there before its memory is there."""
        src = self.source(caps=MAPPED, pages_per_second=20000)
        self.start(src)
        self.complete(src)
        dst = self.destination(caps=('events', 'mapped-ram', 'postcopy-ram'))
        dst.command('migrate-incoming', uri=f'file:{self.file}')
        self.complete(dst)
        dst.assert_lives(self)
        dst.command('stop')
        self.check_counters(dst)

    def store(self, listener):
        """Whatever comes goes to the file."""
        with listener.accept()[0] as peer, open(self.file, 'wb') as file:
            while data := peer.recv(65536):
                file.write(data)

    def test_other_streams(self):
        """A command, a descriptor, a socket that somebody stores: as they are."""
        src = self.source(caps=PLAIN, pages_per_second=20000)
        self.start(src, uri=f'exec:gzip -1 > {self.file}')
        self.complete(src)
        src.assert_lives(self)
        self.check_moment(src, self.load(uri=f'exec:gunzip < {self.file}'))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f'{self.folder}/sock')
            listener.listen(1)
            sink = threading.Thread(target=self.store, args=(listener,))
            sink.start()
            self.start(src, uri=f'unix:{self.folder}/sock')
            self.complete(src)
            sink.join(30)
        self.check_moment(src, self.load())

    def test_private_memory(self):
        """Anonymous memory, most of it never touched."""
        info = self.through_the_guest(f'memory-backend-ram,id=mem,size={RAM}')
        self.assertGreater(info['ram']['duplicate'], (RAM >> 12) - (AREA_MIB << 8) - 512)

    def test_huge_pages(self):
        """A store waits for 2 MiB to be put aside."""
        meminfo = pathlib.Path('/proc/meminfo').read_text()
        free = int(meminfo.split('HugePages_Free:')[1].split()[0]) \
            if 'Hugepagesize:       2048 kB' in meminfo else 0
        if free < RAM >> 20:
            self.skipTest(f'{free} huge pages of 2 MiB are free, {RAM >> 20} are needed')
        info = self.through_the_guest(f'memory-backend-memfd,id=mem,size={RAM},hugetlb=on,'
                                      'hugetlbsize=2M')
        self.assertEqual(info['snapshot']['aside-pages'] % 512, 0)

    def through_the_guest(self, backend):
        """With memory that nobody else sees: its pattern is checked by qtest."""
        image = harness.pattern_image(self.folder, area_mib=AREA_MIB, fill=True)
        args = ('-machine', 'virt,memory-backend=mem', '-nodefaults', '-bios', 'none',
                '-object', backend)
        path = f'{self.folder}/qtest'
        src = harness.Machine(*args, '-kernel', image, '-qtest',
                              f'unix:{path},server=on,wait=off')
        self.addCleanup(src.close)
        watch = harness.Qtest(path)
        self.addCleanup(watch.close)
        last = harness.RAM_BASE + AREA_START + (AREA_MIB << 20) - harness.PAGE
        end = harness.deadline(30)
        while watch.read(last, 8) == bytes(8):
            self.assertLess(time.monotonic(), end, 'the guest has not been everywhere')
            time.sleep(0.05)
        for caps in (('mapped-ram', CAP), (CAP,)):
            for name in ('mapped-ram', CAP):
                src.command('migrate-set-capabilities',
                            capabilities=[{'capability': name, 'state': name in caps}])
            self.start(src)
            info = self.complete(src)
            path = f'{self.folder}/qtest{len(caps)}'
            dst = harness.Machine(
                *args, '-S', '-qtest', f'unix:{path},server=on,wait=off',
                '-global', f'migration.mapped-ram={"on" if len(caps) > 1 else "off"}',
                '-incoming', f'file:{self.file}')
            self.addCleanup(dst.close)
            self.complete(dst)
            qtest = harness.Qtest(path)
            self.addCleanup(qtest.close)
            low = harness.check_pattern(qtest, AREA_MIB)
            self.assertGreater(low, 0)
            dst.command('cont')
            time.sleep(harness.patience(0.4))
            dst.command('stop')
            self.assertGreater(harness.check_pattern(qtest, AREA_MIB), low)
            dst.close()
        return info

    def test_reset_and_power(self):
        """What else the board does meanwhile: a reset writes to memory, too."""
        src = self.source(caps=MAPPED, pages_per_second=0)
        src.command('stop')
        moment = src.ram.read_bytes()
        self.start(src, max_bandwidth=int((20 << 20) / harness.SLOWDOWN))
        src.command('system_reset')
        src.command('cont')
        src.assert_lives(self)
        src.command('stop')
        src.command('cont')
        self.assertEqual(src.command('query-migrate')['status'], 'active')
        self.complete(src)
        self.assertEqual(self.load(caps=('mapped-ram',)).ram.read_bytes(), moment)


class Failure(Background):
    """The guest goes on, whatever happens."""

    def full_speed(self, side):
        """Pages a second that it writes; none of them waits any more."""
        before, start = sum(side.counters()[0]), time.monotonic()
        time.sleep(0.5)
        return (sum(side.counters()[0]) - before) / (time.monotonic() - start)

    def test_cancel(self):
        for caps in (PLAIN, MAPPED):
            src = self.source(caps=caps, pages_per_second=0)
            before = self.holds(src)
            for i in range(12):
                src.command('migrate-set-parameters', max_bandwidth=20 << 20)
                src.command('migrate', uri=f'file:{self.file}')
                time.sleep(random.uniform(0, 0.3) if i % 3 else 0)
                src.command('migrate_cancel')
                src.wait_migration('cancelled')
                src.assert_lives(self)
            self.check_nothing_left(src, before)
            # What there is of it is no snapshot.
            dst = self.destination(caps=tuple(cap for cap in caps if cap != CAP))
            dst.command('migrate-incoming', uri=f'file:{self.file}', exit_on_error=False)
            self.assertIn('error-desc', dst.wait_migration('failed'))
            self.start(src)
            self.complete(src)
            self.check_moment(src, self.load(caps=tuple(cap for cap in caps if cap != CAP)))
            src.close()

    def test_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest('a small file system can be mounted by root alone')
        disk = pathlib.Path(self.folder, 'disk')
        disk.mkdir()
        if subprocess.call(['mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', disk]) != 0:
            self.skipTest('no file system can be mounted here')
        self.addCleanup(subprocess.call, ['umount', '-l', disk])
        self.file = disk / 'state'
        for caps in (PLAIN, MAPPED):
            src = self.source(caps=caps, pages_per_second=0)
            speed = self.full_speed(src)
            before = self.holds(src)
            src.command('migrate', uri=f'file:{self.file}')
            info = src.wait_migration('failed', 'completed')
            self.assertIn('No space left on device', info['error-desc'])
            src.assert_lives(self)
            self.check_nothing_left(src, before)
            # Not a slow crawl through faults: those take a hundred times as long.
            self.assertGreater(self.full_speed(src), speed / 4)
            src.close()

    def test_reader_dies(self):
        src = self.source(caps=PLAIN, pages_per_second=0)
        src.command('migrate', uri='exec:head -c 5000000 > /dev/null')
        self.assertIn('error-desc', src.wait_migration('failed', 'completed'))
        src.assert_lives(self)
        src.command('migrate', uri='exec:cat > /dev/null; exit 3')
        self.assertIn('error-desc', src.wait_migration('failed', 'completed'))
        src.assert_lives(self)

    def test_reader_stalls(self):
        """The guest is not kept waiting for ever by one who takes nothing, and
        neither is who asks."""
        # More than the 256 MiB that can be put aside.
        image = harness.pattern_image(self.folder, area_mib=288, fill=True)
        src = harness.Machine('-machine', 'virt', '-m', '320', '-nodefaults', '-bios', 'none',
                              '-kernel', image)
        self.addCleanup(src.close)
        src.wait_serial('counter ', timeout=120)
        src.command('migrate-set-capabilities', capabilities=[{'capability': CAP, 'state': True}])
        src.command('migrate', uri='exec:sleep 1000')
        info = src.wait_migration('failed', 'completed')
        self.assertRegex(info['error-desc'], 'guest waited to write while nothing of its memory '
                         'was taken for 5000 ms')
        self.assertEqual(info['snapshot']['waits'], 1)
        self.assertGreater(info['snapshot']['latency-max'], 4.9e9)
        lines = len(harness.counters(src.serial()))
        end = harness.deadline(10)
        while len(harness.counters(src.serial())) < lines + 10:
            self.assertLess(time.monotonic(), end, 'the guest does not go on')
            time.sleep(0.05)
        # One who stalls, and is told to stop.
        src.command('migrate', uri='exec:sleep 1000')
        time.sleep(0.5)
        src.command('migrate_cancel')
        src.wait_migration('cancelled')

    def test_death_at_random(self):
        """Killed, or told to quit: nobody waits for what does not come."""
        for i in range(10):
            src = self.source(caps=MAPPED, pages_per_second=0)
            src.command('migrate-set-parameters', max_bandwidth=20 << 20)
            src.command('migrate', uri=f'file:{self.file}')
            time.sleep(random.uniform(0, 0.2))
            if i % 2:
                src.process.kill()
                src.process.wait()
            else:
                src.process.terminate()
                self.assertEqual(src.wait_exit(), 0, src.output())
            src.close()
        dst = self.destination(caps=('mapped-ram',))
        dst.command('migrate-incoming', uri=f'file:{self.file}', exit_on_error=False)
        self.assertIn('error-desc', dst.wait_migration('failed'))

    def test_refusals(self):
        """Before anything is opened, and with the reason."""
        src = self.source(caps=MAPPED)
        for other in ('auto-converge', 'return-path', 'pause-before-switchover', 'multifd',
                      'postcopy-ram'):
            with self.assertRaisesRegex(harness.QmpError, f"'{CAP}' cannot be on together with "
                                        f"'{other}'"):
                src.set_caps(other)
        src.set_caps(CAP, state=False)
        src.set_caps('return-path')
        with self.assertRaisesRegex(harness.QmpError, f"'{CAP}' cannot.*'return-path'"):
            src.set_caps(CAP)
        with tempfile.TemporaryDirectory(prefix='godwit-snapshot-', dir='/var/tmp') as folder:
            disk = Side(folder, 'disk', '-S', caps=())
            self.addCleanup(disk.close)
            with self.assertRaisesRegex(harness.QmpError, f"'{CAP}': RAM block 'mem' is a file"):
                disk.set_caps(CAP)
            disk.close()
            # From the command line, before there is memory: when it is started.
            disk = Side(folder, 'disk', '-S', '-global', f'migration.{CAP}=on', caps=())
            self.addCleanup(disk.close)
            with self.assertRaisesRegex(harness.QmpError, f"'{CAP}': RAM block 'mem' is a file"):
                disk.command('migrate', uri=f'file:{self.file}')
            self.assertFalse(self.file.exists())


class TwoAtATime(Background):
    """Whoever asks meanwhile is answered, and told what goes."""

    def test_monitor(self):
        src = self.source(caps=MAPPED, pages_per_second=0)
        self.start(src, max_bandwidth=20 << 20)
        with self.assertRaisesRegex(harness.QmpError, 'in progress'):
            src.command('migrate', uri=f'file:{self.file}2')
        with self.assertRaisesRegex(harness.QmpError, 'in progress'):
            src.set_caps(CAP, state=False)
        text = src.command('human-monitor-command', command_line='info migrate -a')
        self.assertRegex(text, r'\nSnapshot \(pages\): total=\d+, aside=\d+, waits=0\n')
        self.assertRegex(text, r'\nSwitchover \(ms\): measured=')
        self.assertNotIn('exp_down', text)
        # The limit may be lifted meanwhile.
        src.command('migrate-set-parameters', max_bandwidth=0)
        begun = time.monotonic()
        self.complete(src)
        self.assertLess(time.monotonic() - begun, harness.patience(1))
        # Then it is an ordinary machine, which can be moved.
        src.set_caps(CAP, state=False)
        self.save(src)
        self.check_same(src, self.load(caps=('mapped-ram',)))


harness.need(harness.PATTERN and os.path.exists(harness.PATTERN),
             'no cross compiler for the pattern guest')
harness.main()
