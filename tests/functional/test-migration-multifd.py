# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory over several connections, or to a file by several threads, between real
processes: the pattern guest keeps writing, every byte is compared; cancelled and bereaved
at random moments; two sides that do not agree; a destination that stands still."""
import importlib
import os
import pathlib
import random
import resource
import signal
import time

import harness
import pattern

base = importlib.import_module('test-migration')

CAPABILITIES = (*base.CAPABILITIES, 'multifd')
AREA_BYTES = pattern.AREA_MIB << 20


class Multifd(base.Migration):
    """Both sides with the same settings, unless a test says otherwise."""

    def pair(self, src=None, *more, pages_per_second=2000, caps=CAPABILITIES, **settings):
        """A source (or the given one) and a destination; settings use - for _."""
        settings = {name.replace('_', '-'): value for name, value in settings.items()}
        src = src or self.source(pages_per_second=pages_per_second, caps=caps)
        dst = self.destination(*more, caps=caps)
        for side in src, dst:
            if settings:
                side.command('migrate-set-parameters', **settings)
        return src, dst

    def run_well(self, uri=None, **settings):
        """A guest that runs moves whole; what query-migrate said then."""
        src, dst = self.pair(None, '-S', **settings)
        if uri:
            dst.command('migrate-incoming', uri=uri)
            uri = dst.address()
        src.command('migrate', uri=uri or self.listen(dst))
        self.complete(src, dst)
        self.check_same(src, dst)
        dst.command('cont')
        dst.assert_lives(self)
        return src.command('query-migrate'), src


class Well(Multifd):
    """Everything arrives."""

    def test_default(self):
        """Two connections; what is told of them."""
        info, src = self.run_well()
        ram = info['ram']
        self.assertGreaterEqual(ram['multifd-bytes'], AREA_BYTES)
        self.assertGreater(ram['transferred'], ram['multifd-bytes'])
        self.assertEqual(ram['transferred'], ram['precopy-bytes'] + ram['downtime-bytes'])
        self.assertGreaterEqual(ram['normal'], AREA_BYTES >> 12)
        self.assertGreaterEqual(ram['duplicate'], (pattern.RAM - AREA_BYTES >> 12) - 1024)
        text = src.command('human-monitor-command', command_line='info migrate')
        self.assertRegex(text, r'    Channels: precopy=\d+(\.\d+)? [KM]iB, multifd=\d+(\.\d+)? MiB')

    def test_tcp(self):
        self.run_well('tcp:127.0.0.1:0', multifd_channels=8)

    def test_channels(self):
        """As few and as many as there can be, with the usual limit of descriptors."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, limit[1]), limit[1]))
        for channels in 1, 255:
            with self.subTest(channels=channels):
                self.run_well(multifd_channels=channels)

    def test_zero_pages(self):
        for who in 'none', 'legacy':
            with self.subTest(who=who):
                info, _ = self.run_well(multifd_channels=3, zero_page_detection=who)
                self.assertEqual(info['ram']['duplicate'] == 0, who == 'none')

    def test_compression(self):
        for how, level in ('zlib', 3), ('zstd', 2):
            with self.subTest(how=how):
                self.run_well(multifd_channels=3, multifd_compression=how,
                              **{f'multifd_{how}_level': level})

    def test_there_and_back(self):
        """Ten times, the guest running all the while."""
        self.travel(10, self.source(caps=CAPABILITIES),
                    lambda here: self.pair(here, multifd_channels=5)[1])

    def test_rate(self):
        """max-bandwidth is for all connections together."""
        src, dst = self.pair(pages_per_second=20000, multifd_channels=8, downtime_limit=1,
                             max_bandwidth=20 << 20)
        src.command('migrate', uri=self.listen(dst))
        src.wait_migration('active')
        time.sleep(1)
        ram = src.command('query-migrate')['ram']
        # A window of 100 ms more, and what the eight have begun.
        self.assertLess(ram['transferred'], 30 << 20)
        if harness.SLOWDOWN == 1:
            self.assertGreater(ram['transferred'], 14 << 20)
        src.command('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 500})
        self.complete(src, dst)


class Files(Multifd):
    """mapped-ram, with one thread or several."""

    def caps(self, multifd):
        return ('events', 'mapped-ram') + (('multifd',) if multifd else ())

    def run_file(self, there, back, direct=False):
        path = pathlib.Path(self.folder, 'image')
        path.unlink(missing_ok=True)
        src = self.source(pages_per_second=20000, caps=self.caps(there))
        src.command('migrate-set-parameters', **{'multifd-channels': 4, 'direct-io': direct})
        src.command('migrate', uri=f'file:{path},offset=4096')
        info = src.wait_migration('completed', 'failed')
        self.assertEqual(info['status'], 'completed', info.get('error-desc'))
        self.assertEqual(info['ram']['multifd-bytes'] >= AREA_BYTES, there)
        dst = self.destination('-S', caps=self.caps(back))
        dst.command('migrate-set-parameters', **{'multifd-channels': 8, 'direct-io': direct})
        dst.command('migrate-incoming', uri=f'file:{path},offset=4096')
        info = dst.wait_migration('completed', 'failed')
        self.assertEqual(info['status'], 'completed', info.get('error-desc'))
        self.check_same(src, dst)
        src.close()
        dst.command('cont')
        dst.assert_lives(self)
        dst.close()

    def test_round_trip(self):
        for there, back in (True, True), (True, False), (False, True):
            with self.subTest(there=there, back=back):
                self.run_file(there, back)

    def test_direct_io(self):
        probe = pathlib.Path(self.folder, 'probe')
        try:
            os.close(os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_DIRECT))
        except OSError as err:
            self.skipTest(f'the file system of {self.folder}: {err}')
        self.run_file(True, True, direct=True)


class Broken(Multifd):
    """Whatever happens, one guest runs and can migrate again."""

    def settle(self, src, dst):
        info = src.wait_migration('completed', 'failed', 'cancelled')
        if info['status'] == 'completed':
            if dst.process.poll() is None:
                dst.assert_lives(self)
            src.command('cont')
        src.assert_lives(self)
        return info['status']

    def at_random(self, action):
        """Twenty times at a random moment of a migration; then it moves."""
        src, dst = self.pair(pages_per_second=20000)
        dst.close()
        seen = set()
        for i in range(20):
            channels = (2, 8, 5)[i % 3]
            src, dst = self.pair(src, multifd_channels=channels,
                                 max_bandwidth=0 if i % 2 else 64 << 20,
                                 downtime_limit=300 if i % 2 else 1)
            src.command('migrate', uri=self.listen(dst))
            time.sleep(random.uniform(0, 0.3))
            action(src, dst)
            seen.add(self.settle(src, dst))
            dst.close()
        src, dst = self.pair(src, '-S', multifd_channels=4, max_bandwidth=0, downtime_limit=300)
        src.command('migrate', uri=self.listen(dst))
        self.complete(src, dst)
        self.check_same(src, dst)
        return seen

    def test_cancel_at_random(self):
        seen = self.at_random(lambda src, dst: src.command('migrate_cancel'))
        self.assertIn('cancelled', seen)

    def test_peer_death_at_random(self):
        seen = self.at_random(lambda src, dst: dst.kill())
        self.assertIn('failed', seen)

    def test_source_death(self):
        """The destination ends with status 1."""
        src, dst = self.pair(max_bandwidth=1 << 20, multifd_channels=4)
        src.command('migrate', uri=self.listen(dst))
        src.wait_migration('active')
        src.process.send_signal(signal.SIGKILL)
        self.assertEqual(dst.wait_exit(), 1)
        self.assertIn('migration', dst.output())

    def test_cancel_blocked(self):
        """The destination is stopped, and every connection full."""
        # It must not be over before it is blocked, however little is left.
        src, dst = self.pair(multifd_channels=8, downtime_limit=0)
        src.command('migrate', uri=self.listen(dst))
        src.wait_migration('active')
        dst.process.send_signal(signal.SIGSTOP)
        self.addCleanup(dst.process.send_signal, signal.SIGCONT)
        time.sleep(0.5)
        self.assertEqual(src.command('query-migrate')['status'], 'active')
        begun = time.monotonic()
        src.command('migrate_cancel')
        src.wait_migration('cancelled')
        self.assertLess(time.monotonic() - begun, harness.patience(2))
        src.assert_lives(self)
        dst.process.send_signal(signal.SIGCONT)
        self.assertEqual(dst.wait_exit(), 1)


class Disagreement(Multifd):
    """Two sides that were not set up alike find out, soon."""

    def run_failing(self, src_caps, dst_caps, dst_message, src_settings=None, dst_settings=None):
        src = self.source(caps=src_caps)
        dst = self.destination(caps=dst_caps)
        src.command('migrate-set-parameters', **(src_settings or {}))
        dst.command('migrate-set-parameters', **(dst_settings or {}))
        begun = time.monotonic()
        src.command('migrate', uri=self.listen(dst))
        info = src.wait_migration('failed')
        self.assertIn('error-desc', info)
        self.assertEqual(dst.wait_exit(), 1)
        self.assertLess(time.monotonic() - begun, harness.patience(15))
        self.assertRegex(dst.output(), dst_message)
        src.assert_lives(self)

    def test_source_alone(self):
        self.run_failing(CAPABILITIES, base.CAPABILITIES,
                         "'multifd' is on at the source and off here|the stream ended")

    def test_destination_alone(self):
        self.run_failing(base.CAPABILITIES, CAPABILITIES,
                         "'multifd' is off at the source and on here")

    def test_too_many(self):
        """The last one is refused by its id, or because nobody listens any more."""
        self.run_failing(CAPABILITIES, CAPABILITIES,
                         'channel id 2; 0 to 1 are accepted|the stream ended|'
                         r'ended after \d+ packets',
                         {'multifd-channels': 3})

    def test_too_few(self):
        self.run_failing(CAPABILITIES, CAPABILITIES, '2 of 9 multifd channels have come',
                         None, {'multifd-channels': 9})

    def test_compression(self):
        self.run_failing(CAPABILITIES, CAPABILITIES, 'name compression 1; 0 is expected',
                         {'multifd-compression': 'zlib'})

    def test_refused(self):
        """Where there can be but one stream, before anything happens."""
        src = self.source(caps=CAPABILITIES)
        for uri in 'exec:cat > /dev/null', f'file:{self.folder}/x':
            with self.assertRaisesRegex(harness.QmpError, "capability 'multifd' is on"):
                src.command('migrate', uri=uri)
        src.set_caps('mapped-ram')
        src.command('migrate-set-parameters', **{'multifd-compression': 'zstd'})
        with self.assertRaisesRegex(harness.QmpError, "'multifd-compression' is 'zstd'"):
            src.command('migrate', uri=f'file:{self.folder}/x')
        self.assertNotIn('status', src.command('query-migrate'))
        for name, value in (('multifd-channels', 0), ('multifd-channels', 256),
                            ('multifd-zlib-level', 10), ('multifd-zstd-level', 21)):
            with self.assertRaises(harness.QmpError):
                src.command('migrate-set-parameters', **{name: value})


if __name__ == '__main__':
    harness.need(harness.PATTERN and os.path.exists(harness.PATTERN),
                 'no cross compiler for the pattern guest')
    harness.main()
