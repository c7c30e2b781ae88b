# SPDX-License-Identifier: GPL-2.0-or-later
"""Postcopy between real processes: a guest that writes all the time runs at the
destination before its memory is there. Over tcp and unix sockets, with every
kind of memory, with the connection cut and either side killed at random moments.

GODWIT_POSTCOPY_BREAKS: how often it is cut or killed in all (here 16)
GODWIT_POSTCOPY_SEED: the moments of a run, to have them again
"""
import os
import pathlib
import random
import signal
import socket
import tempfile
import threading
import time
import unittest

import harness

AREA_MIB = 32
RAM_MIB = AREA_MIB + 8
BREAKS = int(os.environ.get('GODWIT_POSTCOPY_BREAKS', '16'))
ALIVE = ('postcopy-active', 'completed')


class Relay:
    """A network of one connection, which can be cut."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.uri = f'tcp:127.0.0.1:{self.listener.getsockname()[1]}'
        self.socks = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        here, _ = self.listener.accept()
        there = socket.create_connection(self.target)
        self.socks = [here, there]
        for pair in ((here, there), (there, here)):
            threading.Thread(target=self.copy, args=pair, daemon=True).start()

    def copy(self, source, target):
        try:
            while data := source.recv(1 << 18):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut()

    def cut(self):
        """Nothing gets through any more, and both ends hear of it."""
        for sock in self.socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.cut()
        self.listener.close()
        for sock in self.socks:
            sock.close()


class Postcopy(unittest.TestCase):
    """Two machines and what is between them."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='godwit-postcopy-', dir='/dev/shm')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.count = 0
        self.image = harness.pattern_image(self.folder, area_mib=AREA_MIB, fill=True,
                                           pages_per_second=40000, print_ms=50)
        seed = int(os.environ.get('GODWIT_POSTCOPY_SEED', time.time_ns() % 2 ** 32))
        print(f'seed {seed}')
        self.chance = random.Random(seed)

    def start(self, *more, caps=(), memory='ram', smp=1):
        """A machine with the capability on."""
        self.count += 1
        kinds = {
            'ram': 'memory-backend-ram,id=mem',
            'memfd': 'memory-backend-memfd,id=mem,share=on',
            'file': f'memory-backend-file,id=mem,share=on,mem-path={self.folder}/{self.count}.ram',
            'huge': 'memory-backend-memfd,id=mem,share=on,hugetlb=on,hugetlbsize=2M',
        }
        machine = harness.Machine(
            '-machine', 'virt,memory-backend=mem', '-smp', smp, '-nodefaults', '-bios', 'none',
            '-object', f'{kinds[memory]},size={RAM_MIB}M', '-kernel', self.image,
            '-qtest', f'unix:{self.folder}/qtest{self.count},server=on,wait=off', *more,
            name=f'machine{self.count}')
        machine.qtest_path = f'{self.folder}/qtest{self.count}'
        self.addCleanup(machine.close)
        self.set_caps(machine, 'events', 'postcopy-ram', *caps)
        return machine

    @staticmethod
    def set_caps(machine, *names):
        machine.command('migrate-set-capabilities',
                        capabilities=[{'capability': name, 'state': True} for name in names])

    def source(self, **kwargs):
        source = self.start(**kwargs)
        source.wait_serial('counter 2\n')
        # However slow this host is, it does not get there by itself.
        source.command('migrate-set-parameters', max_bandwidth=8 << 20, downtime_limit=0)
        return source

    @staticmethod
    def start_postcopy(source):
        source.command('migrate-start-postcopy')
        source.command('migrate-set-parameters', downtime_limit=2000)

    def destination(self, uri='tcp:127.0.0.1:0', **kwargs):
        target = self.start('-incoming', 'defer', **kwargs)
        target.command('migrate-incoming', uri=uri, exit_on_error=False)
        return target

    @staticmethod
    def address(target):
        where = target.command('query-migrate')['socket-address'][0]
        return where['host'], int(where['port'])

    def go(self, source, uri, wait=0.1):
        """The guest runs at the destination."""
        source.command('migrate', uri=uri)
        source.wait_migration('active')
        time.sleep(wait)
        self.start_postcopy(source)
        info = source.wait_migration('postcopy-active', 'completed', 'failed')
        self.assertIn(info['status'], ALIVE, info)
        return info

    def check(self, source, target):
        """It has arrived, whole, and lives."""
        for side in (source, target):
            info = side.wait_migration('completed', 'failed', 'postcopy-paused')
            self.assertEqual(info['status'], 'completed', info)
        self.assertEqual(source.command('query-status')['status'], 'postmigrate')
        self.check_there(target)

    @staticmethod
    def check_there(target):
        """The guest is whole, and lives."""
        if target.command('query-status')['status'] != 'running':
            raise AssertionError(target.command('query-status'))
        target.wait_serial('counter ')
        target.command('stop')
        qtest = harness.Qtest(target.qtest_path)
        harness.check_pattern(qtest, AREA_MIB)
        qtest.close()
        target.command('cont')


class Whole(Postcopy):
    """Nothing breaks."""

    def move(self, caps=(), memory='ram', uri=None, smp=1):
        source = self.source(caps=caps, memory=memory, smp=smp)
        target = self.destination(uri or 'tcp:127.0.0.1:0', caps=caps, memory=memory, smp=smp)
        info = self.go(source, uri or 'tcp:%s:%d' % self.address(target))
        self.assertGreater(info['downtime'], 0)
        self.check(source, target)
        ram = source.command('query-migrate')['ram']
        self.assertGreater(ram['postcopy-bytes'], 8 << 20)
        self.assertGreater(ram['postcopy-requests'], 0)
        self.assertEqual(ram['remaining'], 0)
        return source, target

    def test_tcp(self):
        source, target = self.move()
        events = [e['data']['status'] for e in source.qmp.events if e['event'] == 'MIGRATION']
        self.assertEqual(events, ['setup', 'active', 'postcopy-device', 'postcopy-active',
                                  'completed'])
        events = [e['data']['status'] for e in target.qmp.events if e['event'] == 'MIGRATION']
        self.assertEqual(events, ['setup', 'active', 'postcopy-device', 'postcopy-active',
                                  'completed'])
        self.assertNotIn('postcopy-blocktime', target.command('query-migrate'))

    def test_memfd_unix(self):
        self.move(memory='memfd', uri=f'unix:{self.folder}/sock')

    def test_file_preempt(self):
        self.move(memory='file', caps=('postcopy-preempt',))

    def test_blocktime(self):
        _, target = self.move(caps=('postcopy-blocktime', 'postcopy-preempt'), smp=2)
        info = target.command('query-migrate')
        self.assertEqual(len(info['postcopy-vcpu-blocktime']), 2)
        self.assertEqual(len(info['postcopy-vcpu-latency']), 2)
        # The second hart sleeps all the time: never do both wait.
        self.assertEqual(info['postcopy-vcpu-latency'][1], 0)
        self.assertGreater(info['postcopy-vcpu-latency'][0], 0)
        self.assertEqual(info['postcopy-blocktime'], 0)
        self.assertGreater(info['postcopy-latency'], 0)
        faults = sum(info['postcopy-latency-dist'])
        self.assertGreater(faults, 0)
        # Whole milliseconds. That a hart goes on may be told after it waits again, so what
        # each fault took overlaps: not more than all of them, not less than the longest.
        in_all = faults * info['postcopy-vcpu-latency'][0] / 1e6
        longest = (1 << max(n for n, count in enumerate(info['postcopy-latency-dist']) if count)) / 1e3
        self.assertLessEqual(info['postcopy-vcpu-blocktime'][0], in_all + 1)
        self.assertGreaterEqual(info['postcopy-vcpu-blocktime'][0], int(longest))
        self.assertIn('postcopy-non-vcpu-latency', info)
        text = target.command('human-monitor-command', command_line='info migrate -a')
        self.assertRegex(text, r'Postcopy blocktime \(ms\): all=0\n  vCPU 0: \d+, a fault ')

    def test_huge_pages(self):
        path = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
        try:
            with open(path, 'r+', encoding='ascii') as file:
                before = file.read()
                need = RAM_MIB + 4
                file.seek(0)
                file.write(str(int(before) + need))
                file.flush()
                file.seek(0)
                have = int(file.read()) - int(before)
        except OSError as err:
            self.skipTest(f'no huge pages: {err}')
        self.addCleanup(pathlib.Path(path).write_text, before, encoding='ascii')
        if have < need:
            self.skipTest(f'{have} huge pages of {need}')
        self.move(memory='huge')

    def test_descriptors(self):
        """Whoever has come in has nothing open that was not there before."""
        source = self.source()
        target = self.start('-incoming', 'defer')

        def opened():
            folder = f'/proc/{target.process.pid}/fd'
            return sorted(os.readlink(f'{folder}/{fd}') for fd in os.listdir(folder))
        before = opened()
        target.command('migrate-incoming', uri=f'unix:{self.folder}/sock')
        self.go(source, f'unix:{self.folder}/sock')
        self.check(source, target)
        new = [name for name in opened() if name not in before or name.startswith('socket')]
        kept = [name for name in new if name.startswith('socket') and name not in before]
        # The one of qtest, which the check used, and nothing of the migration's.
        self.assertLessEqual(len(kept), 1, new)
        self.assertFalse([name for name in opened() if 'userfaultfd' in name])

    def test_refused(self):
        """What cannot be is said before anything starts."""
        source = self.source(caps=('postcopy-preempt',))
        for uri, text in ((f'file:{self.folder}/x', 'leads one way only'),
                          ('exec:cat >/dev/null', 'leads one way only')):
            with self.assertRaisesRegex(harness.QmpError, text):
                source.command('migrate', uri=uri)
        with self.assertRaisesRegex(harness.QmpError, 'no outgoing migration'):
            source.command('migrate-start-postcopy')
        with self.assertRaisesRegex(harness.QmpError, 'postcopy-active'):
            source.command('migrate-pause')
        with self.assertRaisesRegex(harness.QmpError, "'postcopy-preempt' requires"):
            source.command('migrate-set-capabilities', capabilities=[
                {'capability': 'postcopy-ram', 'state': False}])
        self.assertNotIn('status', source.command('query-migrate'))


class Broken(Postcopy):
    """Connections and processes that end at random moments."""

    def begin(self, caps=()):
        source = self.source(caps=caps)
        source.command('migrate-set-parameters', max_postcopy_bandwidth=12 << 20)
        target = self.destination(caps=caps)
        relay = Relay(self.address(target))
        self.addCleanup(relay.close)
        self.go(source, relay.uri)
        return source, target, relay

    def recover(self, source, target):
        """By a new address; out of band at the destination."""
        target.command('migrate-recover', uri='tcp:127.0.0.1:0')
        relay = Relay(self.address(target))
        self.addCleanup(relay.close)
        source.command('migrate', uri=relay.uri, resume=True)
        return relay

    def check_statistics(self, source):
        """What has gone by all connections so far is the sum of its parts."""
        ram = source.command('query-migrate')['ram']
        self.assertEqual(ram['transferred'], ram['precopy-bytes'] + ram['downtime-bytes'] +
                         ram['postcopy-bytes'], ram)

    def test_cut(self):
        """The network breaks, again and again."""
        left = max(BREAKS * 3 // 4, 1)
        while left > 0:
            source, target, relay = self.begin()
            while left > 0:
                time.sleep(self.chance.uniform(0, 0.3))
                left -= 1
                how = self.chance.randrange(3)
                if how == 0:
                    relay.cut()
                else:
                    try:
                        (source, target)[how - 1].command('migrate-pause')
                    except harness.QmpError:
                        pass                # it is over already
                states = [side.wait_migration('postcopy-paused', 'completed')['status']
                          for side in (source, target)]
                self.check_statistics(source)
                if 'completed' in states:
                    break
                self.assertNotEqual(source.command('query-status')['status'], 'running')
                relay = self.recover(source, target)
                for side in (source, target):
                    info = side.wait_migration('postcopy-active', 'completed',
                                               'postcopy-paused')
                    self.assertIn(info['status'], ALIVE, info)
            source.command('migrate-set-parameters', max_postcopy_bandwidth=0)
            if states == ['postcopy-paused', 'completed']:
                # The cut swallowed the last word: there it is whole, here nobody knows.
                self.check_there(target)
                self.assertNotEqual(source.command('query-status')['status'], 'running')
            else:
                self.check(source, target)
            source.close()
            target.close()

    def test_destination_dies(self):
        """Killed: the guest runs here if it had not begun there, and else nowhere."""
        for _ in range(max(BREAKS // 8, 1)):
            source = self.source()
            source.command('migrate-set-parameters', max_postcopy_bandwidth=12 << 20)
            target = self.destination()
            source.command('migrate', uri='tcp:%s:%d' % self.address(target))
            source.wait_migration('active')
            self.start_postcopy(source)
            time.sleep(self.chance.uniform(0, 0.15))
            seen = source.command('query-migrate')['status']
            target.kill()
            info = source.wait_migration('failed', 'postcopy-paused')
            status = source.command('query-status')['status']
            if info['status'] == 'failed':
                self.assertIn(seen, ('active', 'postcopy-device'))
                self.assertEqual(status, 'running')
            else:
                self.assertEqual(status, 'finish-migrate')
                with self.assertRaisesRegex(harness.QmpError, 'cannot be taken back'):
                    source.command('migrate_cancel')
            self.end(source)

    def test_source_dies(self):
        """Killed: the guest there waits; and ends when it is told to."""
        for _ in range(max(BREAKS // 8, 1)):
            source, target, _ = self.begin()
            time.sleep(self.chance.uniform(0, 0.2))
            source.kill()
            info = target.wait_migration('postcopy-paused')
            self.assertIn('error-desc', info)
            self.end(target)

    def test_told_to_end(self):
        """SIGTERM at the destination while pages come: they do until it has ended."""
        for _ in range(3):
            source, target, _ = self.begin()
            time.sleep(self.chance.uniform(0, 0.1))
            self.end(target)
            info = source.wait_migration('postcopy-paused', 'completed')
            self.assertNotEqual(source.command('query-status')['status'], 'running', info)
            self.end(source)

    def end(self, machine):
        """SIGTERM, and it ends well and soon."""
        machine.process.send_signal(signal.SIGTERM)
        self.assertEqual(machine.wait_exit(10), 0)
        machine.close()


if __name__ == '__main__':
    harness.need(harness.PATTERN and os.path.exists(harness.PATTERN),
                 'no cross compiler for the pattern guest')
    harness.need(os.access('/dev/userfaultfd', os.R_OK | os.W_OK), 'no /dev/userfaultfd')
    harness.main()
