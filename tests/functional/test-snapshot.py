# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots in files, with memory at fixed places (mapped-ram): of a bare-metal
guest that keeps writing a known pattern. Guest memory is a file in a tmpfs, so
every byte can be compared."""
import os
import pathlib
import random
import tempfile
import time

import harness
from snapshots import AREA_MIB, AREA_START, RAM, Side, Snapshots


class MappedRam(Snapshots):
    """Saved and loaded whole."""

    def test_live(self):
        """A guest that runs and writes all the while."""
        src = self.source(pages_per_second=20000)
        self.save(src)
        info = src.command('query-migrate')
        self.assertGreaterEqual(info['ram']['normal'], AREA_MIB << 8)
        dst = self.destination('-S')
        dst.command('migrate-incoming', uri=f'file:{self.file}')
        self.complete(dst)
        self.check_same(src, dst)
        dst.command('cont')
        dst.assert_lives(self)

    def test_offset(self):
        self.file.write_bytes(b'x' * (200 << 20))
        src = self.source()
        self.save(src, offset=5000)
        with open(self.file, 'rb') as file:
            self.assertEqual(file.read(5004), b'x' * 5000 + b'QEVM')
        dst = self.destination('-S')
        dst.command('migrate-incoming', uri=f'file:{self.file},offset=5000')
        self.complete(dst)
        self.check_same(src, dst)

    def test_bounded(self):
        """However long it runs, the file is no longer than memory and what is
        around it, and what was never written is a hole."""
        src = self.source(pages_per_second=0)
        src.command('migrate-set-parameters', max_bandwidth=40 << 20, downtime_limit=1)
        src.command('migrate', uri=f'file:{self.file}')
        end = time.monotonic() + 4
        sizes = set()
        while time.monotonic() < end:
            time.sleep(0.05)
            sizes.add(self.file.stat().st_size)
        info = src.command('query-migrate')
        self.assertEqual(info['status'], 'active')
        self.assertGreater(info['ram']['transferred'], 100 << 20)
        self.assertLessEqual(len(sizes), 2, sizes)
        self.assertLess(self.file.stat().st_blocks * 512, (AREA_MIB + 2) << 20)
        src.command('migrate-set-parameters', max_bandwidth=0, downtime_limit=2000)
        self.complete(src)
        self.assertLess(self.file.stat().st_size, RAM + (4 << 20))
        dst = self.destination('-S')
        dst.command('migrate-incoming', uri=f'file:{self.file}')
        self.complete(dst)
        self.check_same(src, dst)

    def test_cancel_and_again(self):
        src = self.source(pages_per_second=20000)
        for _ in range(10):
            src.command('migrate-set-parameters', max_bandwidth=64 << 20, downtime_limit=1)
            src.command('migrate', uri=f'file:{self.file}')
            time.sleep(random.uniform(0, 0.3))
            src.command('migrate_cancel')
            src.wait_migration('cancelled')
            src.assert_lives(self)
        # What is left of it is no snapshot.
        dst = self.destination()
        dst.command('migrate-incoming', uri=f'file:{self.file}', exit_on_error=False)
        self.assertIn('error-desc', dst.wait_migration('failed'))
        src.command('migrate-set-parameters', max_bandwidth=0, downtime_limit=300)
        self.save(src)
        dst = self.destination('-S')
        dst.command('migrate-incoming', uri=f'file:{self.file}')
        self.complete(dst)
        self.check_same(src, dst)

    def test_direct_io(self):
        """Past the cache, both ways; from an offset that is not aligned."""
        src = self.source(pages_per_second=20000)
        with tempfile.TemporaryDirectory(prefix='godwit-snapshot-', dir='/var/tmp') as folder:
            self.file = pathlib.Path(folder, 'state')
            src.command('migrate-set-parameters', direct_io=True)
            self.save(src, offset=777)
            for fast in (False, True):
                dst = self.destination('-S')
                dst.command('migrate-set-parameters', direct_io=True)
                if fast:
                    dst.set_caps('postcopy-ram')
                dst.command('migrate-incoming', uri=f'file:{self.file},offset=777')
                self.complete(dst)
                self.check_same(src, dst)

    def test_not_a_file(self):
        """Whatever has no positions is refused by the command, with the reason."""
        src = self.source()
        dst = self.destination()
        for side, command in ((src, 'migrate'), (dst, 'migrate-incoming')):
            for uri in (f'unix:{self.folder}/sock', 'tcp:127.0.0.1:0', 'exec:cat > /dev/null',
                        'file:/dev/full'):
                with self.assertRaisesRegex(harness.QmpError, "'mapped-ram' is on.*regular file"):
                    side.command(command, uri=uri)
        self.assertFalse(os.path.exists(f'{self.folder}/sock'))
        self.assertNotIn('status', src.command('query-migrate'))
        src.set_caps('mapped-ram', state=False)
        src.command('migrate', uri=f'file:{self.file}')
        self.complete(src)
        dst.command('migrate-incoming', uri=f'file:{self.file}', exit_on_error=False)
        self.assertIn("'mapped-ram' is off at the source",
                      dst.wait_migration('failed')['error-desc'])


FAST = ('events', 'mapped-ram', 'postcopy-ram')


class FastLoad(Snapshots):
    """The guest runs before its memory is there."""

    def check_all(self, src, dst):
        """Every page is as it was saved, but for those the guest has written:
        their counters have gone on in order."""
        dst.command('stop')
        self.check_counters(dst)
        was, now = src.counters()[0], dst.counters()[0]
        self.assertTrue(all(new >= old for old, new in zip(was, now)))
        end = AREA_START + (AREA_MIB << 20)
        old, new = src.ram.read_bytes(), dst.ram.read_bytes()
        # Outside the area are the program, its stack and nothing.
        self.assertEqual(old[end:], new[end:])
        for page in range(AREA_START, end, harness.PAGE):
            self.assertEqual(old[page + 8:page + harness.PAGE - 8],
                             new[page + 8:page + harness.PAGE - 8], f'page 0x{page:x}')

    def test_runs_at_once(self):
        src = self.source(pages_per_second=20000)
        self.save(src)
        # All may be there before the guest has had a CPU; but not each time.
        for _ in range(5):
            if self.run_at_once(src)['faults'] > 0:
                return
        self.fail('five times, the guest did not touch a page that was not there')

    def run_at_once(self, src):
        dst = self.destination(caps=FAST)
        opened = dst.descriptors()
        dst.command('migrate-incoming', uri=f'file:{self.file}')
        info = self.complete(dst)
        dst.assert_lives(self)
        # The migration keeps what a cancel signals, until the end of the program.
        self.assertEqual(dst.descriptors() - opened, {'anon_inode:[eventfd]': 1})
        statuses = [e['data']['status'] for e in dst.qmp.events if e['event'] == 'MIGRATION']
        self.assertEqual(statuses, ['setup', 'active', 'postcopy-active', 'completed'])
        fast = info['fast-load']
        self.assertGreater(fast['total-pages'], AREA_MIB << 8)
        self.assertEqual(fast['fault-pages'] + fast['eager-pages'], fast['total-pages'])
        text = dst.command('human-monitor-command', command_line='info migrate -a')
        self.assertIn(f'Fast load (pages): total={fast["total-pages"]}, ', text)
        if fast['faults']:
            self.assertEqual(sum(info['postcopy-latency-dist']), fast['faults'])
            self.assertLessEqual(info['postcopy-latency'], fast['latency-max'])
            self.assertIn('Fault latency (us): ', text)
        self.check_all(src, dst)
        dst.close()
        return fast

    def test_paused(self):
        """Nobody touches anything: all of it comes, byte for byte."""
        src = self.source()
        self.save(src)
        dst = self.destination('-S', '-global', 'migration.mapped-ram=on',
                               '-global', 'migration.postcopy-ram=on',
                               incoming=f'file:{self.file}', caps=())
        self.complete(dst)
        self.check_same(src, dst)
        dst.command('cont')
        dst.assert_lives(self)

    def test_again_and_again(self):
        """Each is saved at once after it was loaded."""
        here = self.source(pages_per_second=20000)
        lines = []
        for _ in range(8):
            here.set_caps('postcopy-ram', state=False)
            self.save(here)
            lines += harness.counters(here.serial())
            here.close()
            here = self.destination(caps=FAST)
            here.command('migrate-incoming', uri=f'file:{self.file}')
            self.complete(here)
            here.assert_lives(self)
        here.command('stop')
        self.check_counters(here)
        lines += harness.counters(here.serial())
        self.assertEqual(lines, list(range(lines[0], lines[0] + len(lines))))

    def test_death_at_random(self):
        """Killed or told to quit in the middle: the file serves again."""
        src = self.source()
        self.save(src)
        before = self.file.read_bytes()
        for i in range(16):
            dst = self.destination(caps=FAST)
            dst.command('migrate-incoming', uri=f'file:{self.file}')
            time.sleep(random.uniform(0, 0.05))
            if i % 2:
                dst.process.kill()
                dst.process.wait()
            else:
                dst.process.terminate()
                self.assertEqual(dst.wait_exit(), 0, dst.output())
            dst.close()
        self.assertEqual(self.file.read_bytes(), before)
        dst = self.destination(caps=FAST)
        dst.command('migrate-incoming', uri=f'file:{self.file}')
        self.complete(dst)
        dst.assert_lives(self)
        self.check_all(src, dst)

    def test_private_memory(self):
        """Anonymous memory, checked through the guest itself."""
        src = self.source(pages_per_second=20000)
        self.save(src)
        dst = harness.Machine('-machine', 'virt,memory-backend=mem', '-nodefaults', '-bios',
                              'none', '-object', f'memory-backend-ram,id=mem,size={RAM}',
                              '-qtest', f'unix:{self.folder}/qtest,server=on,wait=off',
                              '-incoming', 'defer')
        self.addCleanup(dst.close)
        dst.command('migrate-set-capabilities',
                    capabilities=[{'capability': name, 'state': True} for name in FAST])
        dst.command('migrate-incoming', uri=f'file:{self.file}')
        self.complete(dst)
        dst.command('stop')
        qtest = harness.Qtest(f'{self.folder}/qtest')
        self.addCleanup(qtest.close)
        self.assertGreaterEqual(harness.check_pattern(qtest, AREA_MIB),
                                min(src.counters()[0]))

    def test_huge_pages(self):
        meminfo = pathlib.Path('/proc/meminfo').read_text()
        free = int(meminfo.split('HugePages_Free:')[1].split()[0]) \
            if 'Hugepagesize:       2048 kB' in meminfo else 0
        if free < RAM >> 21:
            self.skipTest(f'{free} huge pages of 2 MiB are free, {RAM >> 21} are needed')
        src = self.source(pages_per_second=20000)
        self.save(src)
        dst = harness.Machine('-machine', 'virt,memory-backend=mem', '-nodefaults', '-bios',
                              'none', '-object', f'memory-backend-memfd,id=mem,size={RAM},'
                              'hugetlb=on,hugetlbsize=2M',
                              '-qtest', f'unix:{self.folder}/qtest,server=on,wait=off',
                              '-incoming', 'defer')
        self.addCleanup(dst.close)
        dst.command('migrate-set-capabilities',
                    capabilities=[{'capability': name, 'state': True} for name in FAST])
        dst.command('migrate-incoming', uri=f'file:{self.file}')
        self.complete(dst)
        dst.command('stop')
        qtest = harness.Qtest(f'{self.folder}/qtest')
        self.addCleanup(qtest.close)
        harness.check_pattern(qtest, AREA_MIB)

    def test_bad_files(self):
        """Refused before the guest runs, and the destination lives on."""
        src = self.source()
        self.save(src)
        whole = self.file.read_bytes()
        at = whole.index(b'\x03mem') + 4 + 8
        cases = [(whole[:at + 10], 'ended'), (whole[:len(whole) // 2], 'of the file, which has')]
        for field, value in ((4, 0), (4, 512), (4, 8192), (12, 1), (12, 1 << 63), (20, 512),
                             (20, 1 << 40), (20, (1 << 64) - 4096)):
            data = bytearray(whole)
            data[at + field:at + field + 8] = value.to_bytes(8, 'big')
            cases.append((bytes(data), "RAM block 'mem'"))
        # Everything but the devices' states.
        cases.append((whole[:at // 4096 * 4096 + (1 << 20) + RAM], 'ended'))
        for data, text in cases:
            self.file.write_bytes(data)
            dst = self.destination(caps=FAST)
            dst.command('migrate-incoming', uri=f'file:{self.file}', exit_on_error=False)
            self.assertIn(text, dst.wait_migration('failed', 'completed')['error-desc'])
            self.assertEqual(dst.status(), 'inmigrate')
            dst.close()

    def test_refusals(self):
        src = self.source(caps=FAST)
        dst = self.destination(caps=('postcopy-ram',))
        for uri in (f'file:{self.file}', f'unix:{self.folder}/sock', 'tcp:127.0.0.1:1'):
            with self.assertRaisesRegex(harness.QmpError, "'postcopy-ram' is on: with "
                                        "'mapped-ram' it is for the destination alone"):
                src.command('migrate', uri=uri)
        src.set_caps('mapped-ram', state=False)
        open(self.file, 'w', encoding='ascii').close()
        for side, command in ((src, 'migrate'), (dst, 'migrate-incoming')):
            with self.assertRaisesRegex(harness.QmpError, 'leads one way only; a socket is '
                                        "needed, or capability 'mapped-ram'"):
                side.command(command, uri=f'file:{self.file}')
        dst.set_caps('mapped-ram')
        with self.assertRaisesRegex(harness.QmpError, 'regular file'):
            dst.command('migrate-incoming', uri=f'unix:{self.folder}/sock')
        # Memory of a file on a disk cannot be had so, and it says so when asked.
        with tempfile.TemporaryDirectory(prefix='godwit-snapshot-', dir='/var/tmp') as folder:
            disk = Side(folder, 'disk', '-incoming', 'defer', caps=('mapped-ram',))
            self.addCleanup(disk.close)
            with self.assertRaisesRegex(harness.QmpError, "'postcopy-ram': RAM block 'mem' is a "
                                        'file'):
                disk.set_caps('postcopy-ram')
            caps = disk.command('query-migrate-capabilities')
            self.assertIn({'capability': 'postcopy-ram', 'state': False}, caps)


harness.need(harness.PATTERN and os.path.exists(harness.PATTERN),
             'no cross compiler for the pattern guest')
harness.main()
