# SPDX-License-Identifier: GPL-2.0-or-later
"""Migrations between real processes, of a bare-metal guest that keeps writing
a known pattern: over each transport, there and back, cancelled and bereaved at
random moments. Guest memory is a shared file, so every byte can be compared.
"""
import os
import pathlib
import random
import signal
import socket
import time

import harness
import pattern

CAPABILITIES = ('events', 'return-path')


class Side(pattern.Side):
    """One that can be connected to in all ways."""

    caps = CAPABILITIES

    def send_fd(self, name, fd):
        """getfd."""
        message = b'{"execute":"getfd","arguments":{"fdname":"%s"}}\n' % name.encode()
        socket.send_fds(self.qmp.sock, [message], [fd])
        while True:
            reply = self.qmp._receive()
            if 'event' not in reply:
                assert 'return' in reply, reply
                return
            self.qmp.events.append(reply)

    def address(self):
        """Where it listens, as a URI."""
        where = self.command('query-migrate')['socket-address'][0]
        if where['type'] == 'unix':
            return 'unix:' + where['path']
        return f'tcp:{where["host"]}:{where["port"]}'


class Migration(pattern.Case):
    """Two sides, and the way between them."""

    side = Side

    def listen(self, dst):
        uri = f'unix:{self.folder}/sock{self.count}'
        dst.command('migrate-incoming', uri=uri)
        return uri

    def complete(self, src, dst):
        info = src.wait_migration('completed', 'failed', timeout=60)
        self.assertEqual(info['status'], 'completed', info.get('error-desc'))
        info = dst.wait_migration('completed', 'failed', timeout=60)
        self.assertEqual(info['status'], 'completed', info.get('error-desc'))

    def travel(self, times, here, next_side):
        """Moves a guest that runs so often; it has lost nothing."""
        for _ in range(times):
            there = next_side(here)
            here.command('migrate', uri=self.listen(there))
            self.complete(here, there)
            there.assert_lives(self)
            here.close()
            here = there
        here.wait_serial('counter ')
        here.command('stop')
        self.check_counters(here)
        lines = harness.counters(here.serial())
        self.assertEqual(lines, list(range(lines[0], lines[0] + len(lines))))


class Transports(Migration):
    """Each way to carry it, every byte compared."""

    def run_live(self, uri=None, **arguments):
        """Two sides with a connection; uri may be '' for the destination's own."""
        src = self.source()
        dst = self.destination('-S')
        dst.command('migrate-incoming', **arguments or {'uri': uri})
        src.command('migrate', uri=dst.address())
        self.complete(src, dst)
        self.check_same(src, dst)
        dst.command('cont')
        dst.assert_lives(self)

    def test_unix(self):
        self.run_live(f'unix:{self.folder}/sock')

    def test_tcp(self):
        self.run_live('tcp:127.0.0.1:0')

    def test_tcp_channels(self):
        address = {'transport': 'socket', 'type': 'inet', 'host': '127.0.0.1', 'port': '0'}
        self.run_live(channels=[{'channel-type': 'main', 'addr': address}])

    def test_command_line(self):
        src = self.source()
        dst = self.destination('-S', incoming='tcp:127.0.0.1:0', caps=())
        src.command('migrate', uri=dst.address())
        self.complete(src, dst)
        self.check_same(src, dst)

    def test_fd_socket(self):
        src = self.source()
        dst = self.destination('-S')
        ends = socket.socketpair()
        src.send_fd('mig', ends[0].fileno())
        dst.send_fd('mig', ends[1].fileno())
        for end in ends:
            end.close()
        dst.command('migrate-incoming', uri='fd:mig')
        src.command('migrate', uri='fd:mig')
        self.complete(src, dst)
        self.check_same(src, dst)

    def test_fd_file_behind_header(self):
        """A regular file that stands behind somebody else's header."""
        path = pathlib.Path(self.folder, 'image')
        src = self.source(caps=('events',))
        src.command('stop')
        with open(path, 'wb') as file:
            file.write(b'H' * 777)
            file.flush()
            src.send_fd('migrate', file.fileno())
        src.command('migrate', uri='fd:migrate', detach=True)
        src.wait_migration('completed')
        self.assertEqual(path.read_bytes()[:781], b'H' * 777 + b'QEVM')
        dst = self.destination('-S', caps=())
        with open(path, 'rb') as file:
            file.seek(777)
            dst.send_fd('in', file.fileno())
        dst.command('migrate-incoming', uri='fd:in')
        dst.wait_migration('completed')
        self.check_same(src, dst)

    def test_exec(self):
        path = pathlib.Path(self.folder, 'image')
        src = self.source(caps=('events',))
        src.command('migrate', uri=f'exec:cat > {path}')
        src.wait_migration('completed')
        dst = self.destination('-S', caps=())
        dst.command('migrate-incoming', uri=f'exec:cat {path}')
        self.complete(src, dst)
        self.check_same(src, dst)

    def test_exec_fails(self):
        src = self.source(caps=('events',))
        src.command('migrate', uri='exec:cat > /dev/null; exit 3')
        info = src.wait_migration('failed')
        self.assertIn('error-desc', info)
        src.assert_lives(self)

    def test_file_offset(self):
        path = pathlib.Path(self.folder, 'image')
        path.write_bytes(b'x' * (200 << 20))
        src = self.source(caps=('events',))
        src.command('migrate', uri=f'file:{path},offset=4096')
        src.wait_migration('completed')
        with open(path, 'rb') as file:
            self.assertEqual(file.read(4100), b'x' * 4096 + b'QEVM')
        dst = self.destination('-S', caps=())
        dst.command('migrate-incoming', uri=f'file:{path},offset=4096')
        self.complete(src, dst)
        self.check_same(src, dst)

    def test_full_disk(self):
        src = self.source(caps=('events',))
        src.command('migrate', uri='file:/dev/full')
        info = src.wait_migration('failed')
        self.assertIn('No space left', info['error-desc'])
        src.assert_lives(self)


class Life(Migration):
    """What happens to the two guests, and what is said of it."""

    def test_there_and_back(self):
        """Twenty times, the guest running all the while."""
        self.travel(20, self.source(), lambda _: self.destination())

    def settle(self, src, dst):
        """One of the two runs the guest."""
        info = src.wait_migration('completed', 'failed', 'cancelled')
        if info['status'] == 'completed':
            dst.assert_lives(self)
            src.command('cont')
        src.assert_lives(self)
        return info['status']

    def test_cancel_at_random(self):
        src = self.source(pages_per_second=20000)
        seen = set()
        for i in range(25):
            dst = self.destination()
            uri = self.listen(dst)
            # Of the first few none comes to its end.
            src.command('migrate-set-parameters',
                        **{'max-bandwidth': 0 if i % 2 else 64 << 20, 'downtime-limit': 300 if i % 2 else 1})
            src.command('migrate', uri=uri)
            time.sleep(random.uniform(0, 0.3))
            src.command('migrate_cancel')
            seen.add(self.settle(src, dst))
            dst.close()
        self.assertIn('cancelled', seen)
        dst = self.destination('-S')
        uri = self.listen(dst)
        src.command('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 300})
        src.command('migrate', uri=uri)
        self.complete(src, dst)
        self.check_same(src, dst)

    def test_peer_death_at_random(self):
        src = self.source(pages_per_second=20000)
        for i in range(25):
            dst = self.destination()
            uri = self.listen(dst)
            src.command('migrate-set-parameters', **{'downtime-limit': 300 if i % 2 else 1})
            src.command('migrate', uri=uri)
            time.sleep(random.uniform(0, 0.3))
            dst.process.kill()
            dst.process.wait()
            info = src.wait_migration('completed', 'failed')
            if info['status'] == 'completed':
                # It had said that it had taken over before it died.
                src.command('cont')
            else:
                self.assertIn('error-desc', info)
            src.assert_lives(self)
            dst.close()

    def test_source_death(self):
        """The destination ends with status 1."""
        src = self.source()
        dst = self.destination()
        uri = self.listen(dst)
        src.command('migrate-set-parameters', **{'max-bandwidth': 1 << 20})
        src.command('migrate', uri=uri)
        src.wait_migration('active')
        src.process.send_signal(signal.SIGKILL)
        self.assertEqual(dst.wait_exit(), 1)
        self.assertIn('migration', dst.output())

    def test_exit_on_error_false(self):
        dst = self.destination()
        path = f'{self.folder}/sock'
        dst.command('migrate-incoming', uri=f'unix:{path}', exit_on_error=False)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b'not a migration')
        info = dst.wait_migration('failed')
        self.assertIn('not a migration stream', info['error-desc'])
        self.assertEqual(dst.status(), 'inmigrate')

    def test_quit_during_migration(self):
        """SIGTERM ends either side with status 0."""
        src = self.source()
        dst = self.destination()
        uri = self.listen(dst)
        src.command('migrate-set-parameters', **{'max-bandwidth': 1 << 20})
        src.command('migrate', uri=uri)
        src.wait_migration('active')
        src.process.terminate()
        self.assertEqual(src.wait_exit(), 0)
        dst = self.destination()
        self.listen(dst)
        dst.process.terminate()
        self.assertEqual(dst.wait_exit(), 0)

    def test_pre_switchover(self):
        src = self.source(caps=CAPABILITIES + ('pause-before-switchover',))
        dst = self.destination()
        src.command('migrate', uri=self.listen(dst))
        src.wait_migration('pre-switchover')
        self.assertEqual(src.status(), 'finish-migrate')
        first = src.counters()[0]
        time.sleep(0.1)
        self.assertEqual(first, src.counters()[0])
        src.command('migrate-continue', state='pre-switchover')
        self.complete(src, dst)
        statuses = [e['data']['status'] for e in src.qmp.events if e['event'] == 'MIGRATION']
        self.assertEqual(statuses, ['setup', 'active', 'pre-switchover', 'device', 'completed'])
        dst.assert_lives(self)

    def test_continue_too_late(self):
        """Who says migrate-continue when it has failed is told why."""
        src = self.source(caps=CAPABILITIES + ('pause-before-switchover',))
        dst = self.destination()
        src.command('migrate', uri=self.listen(dst))
        src.wait_migration('pre-switchover')
        dst.process.kill()
        src.wait_migration('failed')
        with self.assertRaisesRegex(harness.QmpError, "it is 'failed', not 'pre-switchover': "
                                    'the destination has gone'):
            src.command('migrate-continue', state='pre-switchover')
        src.assert_lives(self)

    def test_setup_before_reply(self):
        """Event MIGRATION setup is out before the reply."""
        src = self.source()
        dst = self.destination()
        uri = self.listen(dst)
        self.assertEqual([e['data']['status'] for e in dst.qmp.events
                          if e['event'] == 'MIGRATION'], ['setup'])
        src.qmp.events.clear()
        src.command('migrate', uri=uri)
        self.assertEqual(next(e['data']['status'] for e in src.qmp.events
                              if e['event'] == 'MIGRATION'), 'setup')
        self.complete(src, dst)

    def test_event_then_query(self):
        """Who gets MIGRATION_PASS and asks sees that pass or a newer one."""
        src = self.source(pages_per_second=200000)
        dst = self.destination()
        # A byte a second: it never fits.
        src.command('migrate-set-parameters', **{'avail-switchover-bandwidth': 1})
        src.command('migrate', uri=self.listen(dst))
        for _ in range(10):
            event = src.qmp.wait_event('MIGRATION_PASS')
            info = src.command('query-migrate')
            self.assertGreaterEqual(info['ram']['dirty-sync-count'], event['data']['pass'])
        src.command('migrate-set-parameters', **{'avail-switchover-bandwidth': 0})
        self.complete(src, dst)

    def test_statistics(self):
        src = self.source(pages_per_second=20000)
        dst = self.destination()
        src.command('migrate-set-parameters', **{'max-bandwidth': 40 << 20, 'downtime-limit': 1})
        src.command('migrate', uri=self.listen(dst))
        time.sleep(1)
        info = src.command('query-migrate')
        self.assertEqual(info['status'], 'active')
        for name in ('remaining', 'expected-downtime', 'setup-time', 'total-time', 'devices'):
            self.assertIn(name, info)
        for name in ('downtime', 'error-desc', 'vfio', 'blocked-reasons'):
            self.assertNotIn(name, info)
        # The limit, give or take a window of 100 ms.
        self.assertLess(info['ram']['transferred'], 48 << 20)
        if harness.SLOWDOWN == 1:
            self.assertGreater(info['ram']['transferred'], 30 << 20)
        text = src.command('human-monitor-command', command_line='info migrate')
        for line in ('Status: active', 'Time (ms): total=', 'Remaining (bytes): ', 'RAM info:',
                     '  Throughput (Mbps): ', '  Sizes: pagesize=4 KiB, total=96',
                     '    Channels: precopy=', '    Page Types: normal='):
            self.assertIn(line, text)
        src.command('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 500})
        self.complete(src, dst)
        info = src.command('query-migrate')
        self.assertIn('downtime', info)
        self.assertNotIn('remaining', info)
        self.assertEqual([p['name'] for p in info['switchover']['phases']],
                         ['stop vCPUs', 'final sync', 'ram', 'other modules', 'device states',
                          'destination load', 'destination start'])

    def test_refusals(self):
        src = self.source()
        for arguments in ({}, {'uri': 'tcp:1.2.3.4:5', 'channels': []}, {'uri': 'no:thing'},
                          {'uri': 'fd:nobody'}, {'uri': 'file:/nonexistent/x'},
                          {'uri': 'tcp:127.0.0.1:1', 'resume': True}):
            with self.assertRaises(harness.QmpError):
                src.command('migrate', **arguments)
        self.assertNotIn('status', src.command('query-migrate'))
        for name, value in (('downtime-limit', 2000001), ('cpu-throttle-initial', 0),
                            ('max-cpu-throttle', 100)):
            with self.assertRaises(harness.QmpError):
                src.command('migrate-set-parameters', **{name: value})
        with self.assertRaises(harness.QmpError):
            src.command('migrate-incoming', uri='tcp:127.0.0.1:0')
        with self.assertRaises(harness.QmpError):
            src.command('migrate-pause')
        src.command('migrate_cancel')
        src.qmp.events.clear()
        src.command('migrate', uri=f'unix:{self.folder}/nobody')
        src.wait_migration('failed')
        self.assertEqual([e['data']['status'] for e in src.qmp.events
                          if e['event'] == 'MIGRATION'], ['setup', 'failed'])
        src.assert_lives(self)

    def test_scalar_parameters(self):
        src = self.source()
        values = {'max-bandwidth': 9223372036853727232, 'downtime-limit': 123,
                  'avail-switchover-bandwidth': 12345678, 'cpu-throttle-initial': 11,
                  'cpu-throttle-increment': 3, 'max-cpu-throttle': 44,
                  'zero-page-detection': 'none', 'mode': 'normal'}
        src.command('migrate-set-parameters', **values)
        now = src.command('query-migrate-parameters')
        self.assertEqual({name: now[name] for name in values}, values)

    def test_validate_uuid(self):
        uuid = '12345678-9abc-def0-1234-56789abcdef0'
        src = self.source('-uuid', uuid, caps=CAPABILITIES + ('validate-uuid',))
        dst = self.destination('-uuid', uuid[:-1] + '1')
        src.command('migrate', uri=self.listen(dst))
        src.wait_migration('failed')
        self.assertEqual(dst.wait_exit(), 1)
        src.assert_lives(self)
        dst = self.destination('-uuid', uuid)
        src.command('migrate', uri=self.listen(dst))
        self.complete(src, dst)

    def test_auto_converge(self):
        """A guest that outruns the wire is slowed down until it fits."""
        src = self.source(pages_per_second=0, caps=CAPABILITIES + ('auto-converge',))
        dst = self.destination()
        src.command('migrate-set-parameters', **{
            'max-bandwidth': 60 << 20, 'avail-switchover-bandwidth': 60 << 20,
            'downtime-limit': 100, 'cpu-throttle-initial': 40, 'cpu-throttle-increment': 30})
        src.command('migrate', uri=self.listen(dst))
        seen = 0
        while src.command('query-migrate')['status'] in ('setup', 'active') and not seen:
            seen = src.command('query-migrate').get('cpu-throttle-percentage', 0)
            time.sleep(0.02)
        self.assertGreaterEqual(seen, 40)
        src.command('migrate-set-parameters', **{'downtime-limit': 2000, 'max-bandwidth': 0})
        self.complete(src, dst)
        self.assertNotIn('cpu-throttle-percentage', src.command('query-migrate'))
        dst.assert_lives(self)


if __name__ == '__main__':
    harness.need(harness.PATTERN and os.path.exists(harness.PATTERN),
                 'no cross compiler for the pattern guest')
    harness.main()
