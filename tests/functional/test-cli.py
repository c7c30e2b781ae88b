#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of the real program: what it refuses and how it says so,
help, the background, signals, descriptors, and the terminal."""
import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import harness

NONE = ['-machine', 'none', '-nodefaults', '-display', 'none']


def run(*args, **kwargs):
    """The ended process."""
    return subprocess.run([harness.BINARY, *args], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=harness.patience(30), check=False,
                          **kwargs)


def wait_for(condition, timeout=20):
    end = harness.deadline(timeout)
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError('what was waited for did not come')
        time.sleep(0.01)


def alive(pid):
    """Whether there is such a process that is not a zombie."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text(encoding='ascii')
    except FileNotFoundError:
        return False
    return stat.rsplit(')', 1)[1].split()[0] != 'Z'


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='godwit-test-')
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def start(self, *args, **kwargs):
        """A running process with a QMP session in .qmp; killed at the end."""
        qmp = self.path / 'qmp'
        process = subprocess.Popen([harness.BINARY, '-qmp', f'unix:{qmp},server=on,wait=off',
                                    *args], stdin=subprocess.DEVNULL, **kwargs)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.qmp = self.connect(qmp, process)
        return process

    def connect(self, path, process=None):
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)

        def connected():
            if process and process.poll() is not None:
                raise RuntimeError(f'ended with status {process.returncode}')
            return sock.connect_ex(str(path)) == 0
        wait_for(connected)
        return harness.Qmp(sock)


class Errors(unittest.TestCase):
    """Each is one line that names the value, status 1, and nothing is made."""

    CASES = [
        (['-kernal', 'x'], ["'-kernal'", "'-kernel'"]),
        (['--no-such-thing'], ["'--no-such-thing'", '-help']),
        (['disk.img'], ["'disk.img'", '-drive']),
        (['-m'], ['-m', 'argument is missing']),
        (['-machine', 'pc'], ["'pc'", 'virt']),
        (['-machine', 'virt,usb=on'], ["'on'", "'off'"]),
        (['-machine', 'virt,nvdimm=on'], ["'nvdimm'", 'memory-backend']),
        (['-machine', 'none', '-accel', 'kvm'], ["'kvm'", 'tcg']),
        (['-accel', 'tcg,tb-size=1'], ["'tb-size'", 'thread']),
        (['-accel', 'tcg,thread=single'], ["'single'", "'multi'"]),
        (['-smp', '0'], ["'0'", '1 to 8']),
        (['-smp', '9'], ["'9'", '1 to 8']),
        (['-smp', '4,cores=3'], ['cores (3)', '4']),
        (['-smp', '2,maxcpus=4'], ['maxcpus (4)']),
        (['-machine', 'none', '-smp', '2'], ["'none'", '2']),
        (['-m', '12x'], ["'12x'", 'suffix']),
        (['-m', '0'], ["'0'"]),
        (['-m', '99999999999999999999'], ["'99999999999999999999'"]),
        (['-uuid', '1234'], ['1234', 'xxxx']),
        (['-rtc', 'base=noon'], ["'noon'", 'utc']),
        (['-boot', 'order=c'], ["'order'", 'strict']),
        (['-append', 'x'], ['-append', '-kernel']),
        (['-initrd', 'x'], ['-initrd', '-kernel']),
        (['-display', 'gtk'], ["'gtk'", "'none'"]),
        (['-audio', 'alsa'], ["'alsa'", "'none'"]),
        (['-audiodev', '{"id":"a","driver":"alsa"}'], ["'alsa'"]),
        (['-msg', 'timestamp=1'], ["'1'", 'on']),
        (['-trace', 'no_such_event'], ["'no_such_event'", '-trace help']),
        (['-D', '/no/such/folder/log'], ['/no/such/folder/log']),
        (['-sandbox', 'maybe'], ["'maybe'"]),
        (['-sandbox', 'on,spawn=perhaps'], ["'perhaps'", 'deny']),
        (['-run-with', 'user=no-such-user-here'], ["'no-such-user-here'", 'UID:GID']),
        (['-run-with', 'async-teardown=on'], ["'on'", "'off'"]),
        (['-run-with', 'exit-with-parent=on', '-daemonize'], ['-daemonize']),
        (['-overcommit', 'mem-lock=maybe'], ["'maybe'", 'on-fault']),
        (['-add-fd', 'set=1'], ["'fd'", 'missing']),
        (['-add-fd', 'fd=2,set=1'], ["'2'"]),
        (['-add-fd', 'fd=77,set=1'], ['77', 'inherited']),
        (['-chardev', 'sockett,id=c'], ["'sockett'"]),
        (['-chardev', 'socket,id=c,path=/x,sever=on'], ['sever']),
        (['-chardev', 'null'], ["'id'"]),
        (NONE + ['-chardev', 'socket,id=c'], ["'c'", 'path', 'fd']),
        (NONE + ['-chardev', 'null,id=c', '-chardev', 'null,id=c'], ["'c'", 'already']),
        (NONE + ['-chardev', 'socket,id=c,path=/no/such/socket'], ["'c'", '/no/such/socket']),
        (NONE + ['-chardev', 'file,id=c,path=/no/such/file'], ['/no/such/file']),
        (NONE + ['-chardev', 'file,id=c,path=/dev/fdset/7'], ['/dev/fdset/7']),
        (NONE + ['-chardev', 'stdio,id=a', '-chardev', 'stdio,id=b'], ["'a'", 'mux=on']),
        (['-serial', 'floppy'], ["'floppy'", 'stdio']),
        (NONE + ['-serial', 'chardev:nobody'], ["'nobody'"]),
        (NONE + ['-monitor', 'floppy'], ["'floppy'"]),
        (NONE + ['-mon', 'chardev=nobody'], ["'nobody'"]),
        (['-object', 'memory-backend-rom,id=m,size=1M'], ['memory-backend-rom', 'secret']),
        (['-object', 'memory-backend-ram,id=m'], ["'size'"]),
        (['-object', 'memory-backend-ram,size=1M'], ["'id'"]),
        (NONE + ['-object', 'memory-backend-ram,id=m,size=5'], ["'m'", '4096']),
        (NONE + ['-object', 'memory-backend-file,id=m,size=1M,mem-path=/no/such/folder/f'],
         ['/no/such/folder/f']),
        (NONE + ['-object', 'memory-backend-memfd,id=m,size=1M,hugetlbsize=2M'], ['hugetlb=on']),
        (NONE + ['-object', 'secret,id=s,file=/no/such/file'], ["'s'", '/no/such/file']),
        (NONE + ['-object', 'secret,id=s,data=a', '-object', 'secret,id=s,data=a'],
         ["'s'", 'already']),
        (['-machine', 'virt,memory-backend=m', '-bios', 'none', '-display', 'none'],
         ["'m'", '-object']),
        (['-netdev', 'wire,id=n'], ["'wire'"]),
        (['-device', 'no-such-device', *NONE], ["'no-such-device'"]),
        (['-drive', 'file=/no/such/image', *NONE], ['/no/such/image']),
        (['-global', 'x.y=z'], ["'x'"]),
        (['-pidfile', '/no/such/folder/pid', *NONE], ['/no/such/folder/pid']),
    ]

    def test_errors(self):
        for args, parts in self.CASES:
            with self.subTest(args=args):
                process = run(*args)
                self.assertEqual(process.returncode, 1, process.stderr)
                self.assertEqual(process.stdout, '')
                self.assertEqual(process.stderr.count('\n'), 1, process.stderr)
                self.assertTrue(process.stderr.startswith('godwit-system-riscv64: '))
                for part in parts:
                    self.assertIn(part, process.stderr)

    def test_nothing_was_made(self):
        """An error later on the line comes before files of earlier options."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, 'out')
            run('-chardev', f'file,id=c,path={path}', '-pidfile', f'{folder}/pid', '-oops')
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])


class Help(unittest.TestCase):
    def test_help(self):
        texts = [run(option).stdout for option in ('-help', '--help', '-h')]
        self.assertEqual(texts[0], texts[1])
        self.assertEqual(texts[0], texts[2])
        for option in ('machine', 'cpu', 'smp', 'm', 'chardev', 'serial', 'mon', 'device',
                       'daemonize', 'accel', 'netdev', 'blockdev'):
            self.assertRegex(texts[0], rf'(?m)^-{option}( |$)')

    def test_lists(self):
        for args, part in [(['-version'], 'Godwit'),
                           (['-M', 'help'], 'virt'),
                           (['-machine', 'help'], 'none'),
                           (['-accel', 'help'], 'tcg'),
                           (['-cpu', 'help'], 'rv64'),
                           (['-smp', 'help'], 'cores='),
                           (['-chardev', 'help'], 'socket'),
                           (['-display', 'help'], 'none'),
                           (['-trace', 'help'], '_'),
                           (['-device', 'help'], 'virtio-blk-pci'),
                           (['-device', 'virtio-blk-pci,help'], 'drive'),
                           (['-sandbox', 'help'], 'spawn=')]:
            with self.subTest(args=args):
                process = run(*args)
                self.assertEqual(process.returncode, 0, process.stderr)
                self.assertEqual(process.stderr, '')
                self.assertIn(part, process.stdout)


class Running(Folder):
    def test_signals(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=sig):
                process = self.start(*NONE, '-no-shutdown')
                process.send_signal(sig)
                event = process.qmp.wait_event('SHUTDOWN')
                self.assertEqual(event['data']['reason'], 'host-signal')
                self.assertEqual(process.wait(20), 0)
                self.assertFalse((self.path / 'qmp').exists())

    def test_signal_while_waiting(self):
        """A server that waits for its first client can be told to end."""
        path = self.path / 'wait'
        process = subprocess.Popen([harness.BINARY, *NONE, '-chardev',
                                    f'socket,id=c,path={path},server=on', '-pidfile',
                                    f'{self.path}/pid'],
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        self.assertIn("'c' waits", process.stderr.readline())
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(process.stderr.read(), '')
        process.stderr.close()
        self.assertEqual(list(self.path.iterdir()), [])

    def test_accelerators_fall_through(self):
        for accels, want in [(['-accel', 'kvm', '-accel', 'tcg'], 'tcg'),
                             (['-accel', 'xen', '-accel', 'qtest'], 'qtest'),
                             (['-machine', 'none,accel=kvm:mshv:tcg'], 'tcg')]:
            with self.subTest(accels=accels):
                process = self.start(*NONE, *accels)
                self.assertEqual(process.qmp.command('query-status')['status'], 'running')
                process.terminate()
                self.assertEqual(process.wait(20), 0)

    def test_name_uuid_paused(self):
        process = self.start(*NONE, '-S', '-name', 'guest=two words,debug-threads=on', '-uuid',
                             'c0ffee00-1234-5678-9abc-def012345678')
        self.assertEqual(process.qmp.command('query-status')['status'], 'prelaunch')
        self.assertEqual(process.qmp.command('query-name'), {'name': 'two words'})
        self.assertEqual(process.qmp.command('query-uuid')['UUID'],
                         'c0ffee00-1234-5678-9abc-def012345678')

    def test_accepted(self):
        """What management software passes, and means nothing here."""
        process = self.start('-machine', 'virt,usb=off,dump-guest-core=off,acpi=off',
                             '-accel', 'tcg', '-m', 'size=65536k', '-overcommit',
                             'mem-lock=off', '-smp', '1,sockets=1,cores=1,threads=1',
                             '-display', 'none', '-no-user-config', '-nodefaults', '-rtc',
                             'base=utc', '-no-shutdown', '-boot', 'strict=on', '-audiodev',
                             '{"id":"audio1","driver":"none"}', '-msg', 'timestamp=on',
                             '-bios', 'none', '-S', '-cpu', 'rv64')
        self.assertEqual(process.qmp.command('query-status')['status'], 'prelaunch')

    def test_sandbox(self):
        # The leak sanitizer, if there is one, needs what is taken away.
        process = self.start(*NONE, '-sandbox', 'on,obsolete=deny,elevateprivileges=deny,'
                             'spawn=deny,resourcecontrol=deny',
                             env=dict(os.environ, ASAN_OPTIONS='detect_leaks=0'))
        self.assertEqual(process.qmp.command('query-status')['status'], 'running')
        for status in pathlib.Path(f'/proc/{process.pid}/task').glob('*/status'):
            self.assertRegex(status.read_text(), r'(?m)^Seccomp:\s*2$')
        process.terminate()
        self.assertEqual(process.wait(20), 0)

    @unittest.skipIf(os.getuid() != 0, 'only root can become somebody else')
    def test_user(self):
        process = self.start(*NONE, '-run-with', 'user=65534:65534')
        status = pathlib.Path(f'/proc/{process.pid}/status').read_text(encoding='ascii')
        self.assertRegex(status, r'(?m)^Uid:\s+65534\s+65534\s+65534\s+65534$')
        self.assertRegex(status, r'(?m)^Groups:\s+65534\s*$')
        self.assertEqual(process.qmp.command('query-status')['status'], 'running')

    def test_exit_with_parent(self):
        shell = subprocess.Popen(
            ['sh', '-c', f'{harness.BINARY} {" ".join(NONE)} -run-with exit-with-parent=on '
             f'-pidfile {self.path}/pid & wait'])
        wait_for(lambda: (self.path / 'pid').exists() and (self.path / 'pid').read_text())
        pid = int((self.path / 'pid').read_text())
        self.assertTrue(alive(pid))
        shell.kill()
        shell.wait()
        wait_for(lambda: not alive(pid))

    def test_log_timestamp(self):
        process = run('-msg', 'timestamp=on', '-oops')
        self.assertRegex(process.stderr, r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z godwit')


class Background(Folder):
    PROBE = ['-S', '-no-user-config', '-nodefaults', '-nographic', '-machine',
             'none,accel=kvm:tcg', '-daemonize']

    def kill(self, pid):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)

    def test_daemonize(self):
        pidfile = self.path / 'pid'
        qmp = self.path / 'qmp'
        process = run(*self.PROBE, '-qmp', f'unix:{qmp},server=on,wait=off', '-pidfile',
                      str(pidfile))
        self.assertEqual((process.returncode, process.stdout, process.stderr), (0, '', ''))
        pid = int(pidfile.read_text())
        self.addCleanup(self.kill, pid)
        session = self.connect(qmp)
        self.assertEqual(session.command('query-status')['status'], 'prelaunch')
        for fd in '012':
            self.assertEqual(os.readlink(f'/proc/{pid}/fd/{fd}'), '/dev/null')
        self.assertEqual(os.readlink(f'/proc/{pid}/cwd'), '/')
        self.assertEqual(os.getsid(pid), pid)

        # Who runs already keeps its file.
        second = run(*NONE, '-pidfile', str(pidfile))
        self.assertEqual(second.returncode, 1)
        self.assertIn(str(pidfile), second.stderr)
        self.assertEqual(int(pidfile.read_text()), pid)

        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not alive(pid))
        self.assertFalse(pidfile.exists())
        self.assertFalse(qmp.exists())

    def test_failure(self):
        """The parent says so, with the child's reason."""
        process = run(*self.PROBE, '-qmp', 'unix:/no/such/folder/qmp,server=on,wait=off',
                      '-pidfile', str(self.path / 'pid'))
        self.assertEqual(process.returncode, 1)
        self.assertIn('/no/such/folder/qmp', process.stderr)
        self.assertFalse((self.path / 'pid').exists())

    def test_stdio(self):
        process = run(*NONE, '-daemonize', '-monitor', 'stdio')
        self.assertEqual(process.returncode, 1)
        self.assertIn('-daemonize', process.stderr)


class Descriptors(Folder):
    def test_passed_monitor(self):
        """A socket that listens already; clients come and go."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path / 'mon'))
            listener.listen(1)
            process = subprocess.Popen(
                [harness.BINARY, *NONE, '-chardev',
                 f'socket,id=charmonitor,fd={listener.fileno()},server=on,wait=off', '-mon',
                 'chardev=charmonitor,id=monitor,mode=control'],
                pass_fds=[listener.fileno()])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for _ in range(3):
            session = self.connect(self.path / 'mon')
            chardevs = session.command('query-chardev')
            self.assertEqual([c['label'] for c in chardevs], ['charmonitor'])
            self.assertEqual(chardevs[0]['filename'], f'unix:{self.path}/mon,server=on')
            session.sock.close()

    def test_fdset(self):
        path = self.path / 'serial.log'
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.addCleanup(os.close, fd)
        process = self.start(*NONE, '-add-fd', f'set=0,fd={fd},opaque=log', '-chardev',
                             'file,id=charserial0,path=/dev/fdset/0,append=on',
                             pass_fds=[fd])
        sets = process.qmp.command('query-fdsets')
        self.assertEqual([(s['fdset-id'], s['fds'][0]['opaque']) for s in sets], [(0, 'log')])

    @unittest.skipUnless(harness.PATTERN, 'no cross compiler: no guest')
    def test_serial(self):
        """The same guest on each kind of serial port."""
        image = harness.pattern_image(self.path, area_mib=1)
        board = ['-M', 'virt', '-m', '16', '-bios', 'none', '-kernel', str(image), '-display',
                 'none']

        process = self.start(*board, '-serial', f'file:{self.path}/out')
        wait_for(lambda: 'counter 2' in (self.path / 'out').read_text())
        process.kill()
        process.wait()

        process = self.start(*board, '-chardev', 'pty,id=c0', '-serial', 'chardev:c0')
        name = next(c['filename'] for c in process.qmp.command('query-chardev')
                    if c['label'] == 'c0')
        self.assertRegex(name, '^pty:/dev/pts/')
        fd = os.open(name[4:], os.O_RDWR | os.O_NOCTTY)
        self.addCleanup(os.close, fd)
        text = b''
        while b'counter' not in text:
            text += os.read(fd, 100)
        process.kill()
        process.wait()

        process = self.start(*board, '-serial', 'tcp:127.0.0.1:0,server=on,wait=off')
        name = next(c['filename'] for c in process.qmp.command('query-chardev')
                    if c['label'] == 'serial0')
        port = int(name.split(':')[-1].split(',')[0])
        with socket.create_connection(('127.0.0.1', port), timeout=harness.patience(20)) as client:
            text = b''
            while b'counter' not in text:
                text += client.recv(100)


class Objects(Folder):
    def test_commands(self):
        qmp = self.start(*NONE, '-object', '{"qom-type":"secret","id":"masterKey0",'
                         '"format":"base64","data":"YWJj"}').qmp
        self.assertIn('error', qmp.execute('object-add', {'qom-type': 'secret', 'data': 'x',
                                                          'id': 'masterKey0'}))
        qmp.command('object-del', id='masterKey0')
        with self.assertRaises(harness.QmpError):
            qmp.command('object-del', id='masterKey0')
        types = [t['name'] for t in qmp.command('qom-list-types')]
        for name in ('memory-backend-ram', 'memory-backend-file', 'memory-backend-memfd'):
            self.assertIn(name, types)
            members = qmp.command('qom-list-properties', typename=name)
            self.assertIn('size', [member['name'] for member in members])

    @unittest.skipUnless(harness.PATTERN, 'no cross compiler: no guest')
    def test_memory(self):
        """The guest runs in each kind of memory, and its file is its memory."""
        image = harness.pattern_image(self.path, area_mib=1)
        serial = self.path / 'out'
        for kind in ('ram', 'ram,share=on', 'memfd', 'ram,prealloc=on',
                     f'file,share=on,mem-path={self.path}/mem'):
            with self.subTest(kind=kind):
                serial.write_text('')
                process = self.start('-M', 'virt', '-machine', 'memory-backend=mig.mem',
                                     '-object', f'memory-backend-{kind},id=mig.mem,size=16M',
                                     '-bios', 'none', '-kernel', str(image), '-display', 'none',
                                     '-serial', f'file:{serial}')
                wait_for(lambda: 'counter 1' in serial.read_text())
                self.assertIn('error', process.qmp.execute('object-del', {'id': 'mig.mem'}))
                process.terminate()
                self.assertEqual(process.wait(20), 0)
        memory = (self.path / 'mem').read_bytes()
        self.assertEqual(len(memory), 16 << 20)
        self.assertIn(b'GWPATTRN', memory)

    @unittest.skipUnless(harness.PATTERN, 'no cross compiler: no guest')
    def test_size(self):
        """-m may say the size of the back end again, but no other."""
        line = ['-machine', 'virt,memory-backend=m', '-object',
                'memory-backend-ram,id=m,size=16M', '-bios', 'none', '-display', 'none',
                '-nodefaults', '-S']
        self.start(*line, '-m', 'size=16384k')
        process = run(*line, '-m', '32')
        self.assertEqual(process.returncode, 1)
        self.assertIn("'m'", process.stderr)


class Terminal(unittest.TestCase):
    def spawn(self, *args):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        before = termios.tcgetattr(slave)
        process = subprocess.Popen([harness.BINARY, *args], stdin=slave, stdout=slave,
                                   stderr=slave, start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, master, slave, before

    def expect(self, master, text, timeout=20):
        seen = b''
        end = harness.deadline(timeout)
        while text not in seen:
            ready, _, _ = select.select([master], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f'{text} did not come after {seen}')
            seen += os.read(master, 4096)
        return seen

    def test_mux(self):
        process, master, slave, before = self.spawn('-M', 'none', '-serial', 'mon:stdio')
        self.expect(master, b'(qemu) ')
        self.assertFalse(termios.tcgetattr(slave)[3] & termios.ICANON)
        os.write(master, b'\x01h')
        self.expect(master, b'Ctrl-a x')
        os.write(master, b'info status\r')
        self.expect(master, b'running')
        os.write(master, b'\x01x')
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(termios.tcgetattr(slave), before)

    def test_restored_by_signal(self):
        process, master, slave, before = self.spawn('-M', 'none', '-monitor', 'stdio')
        self.expect(master, b'(qemu) ')
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(termios.tcgetattr(slave), before)


if __name__ == '__main__':
    sys.exit(harness.main())
