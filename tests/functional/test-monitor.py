# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitors of the real program: what management software asks first, the
errors of every command, descriptors, several clients, one that does not read,
and the human monitor."""
import array
import json
import os
import pty
import select
import signal
import socket
import subprocess
import tempfile
import unittest

import harness
from harness import Machine, Qmp, QmpError


def start(*args):
    return Machine('-machine', 'none', '-nodefaults', '-S', *args,
                   serial='none')


def send_fd(qmp, fd, command, **arguments):
    """Sends a command with a descriptor along; returns the whole reply."""
    message = json.dumps({'execute': command, 'arguments': arguments})
    qmp.sock.sendmsg([message.encode()],
                     [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                       array.array('i', [fd]))])
    while True:
        reply = qmp._receive()
        if 'event' not in reply:
            return reply


class Probe(unittest.TestCase):
    """One machine for all that only asks."""

    @classmethod
    def setUpClass(cls):
        cls.vm = start('-uuid', '550e8400-e29b-41d4-a716-446655440000')
        cls.qmp = cls.vm.qmp

    @classmethod
    def tearDownClass(cls):
        cls.vm.kill()

    def expect_error(self, command, arguments, error_class, part):
        reply = self.qmp.execute(command, arguments)
        self.assertIn('error', reply, f'{command} {arguments}')
        self.assertEqual(reply['error']['class'], error_class)
        self.assertIn(part, reply['error']['desc'])

    def test_version(self):
        self.assertEqual(self.qmp.greeting['QMP']['capabilities'], ['oob'])
        version = self.qmp.command('query-version')
        self.assertEqual(version['qemu'],
                         {'major': 11, 'minor': 1, 'micro': 0})
        self.assertIn('Godwit', version['package'])
        self.assertEqual(version, self.qmp.greeting['QMP']['version'])

    def test_line_ends(self):
        self.qmp.sock.sendall(b'{"execute":"query-name"}')
        data = b''
        while not data.endswith(b'\n'):
            data += self.qmp.sock.recv(4096)
        self.assertTrue(data.endswith(b'}\r\n'))

    def test_lists(self):
        names = [c['name'] for c in self.qmp.command('query-commands')]
        self.assertEqual(names, sorted(names))
        schema = self.qmp.command('query-qmp-schema')
        self.assertEqual(sorted(e['name'] for e in schema
                                if e['meta-type'] == 'command'), names)
        by_name = {e['name']: e for e in schema}
        for entry in schema:
            for key in ('arg-type', 'ret-type', 'element-type'):
                if key in entry:
                    self.assertIn(entry[key], by_name)
        self.assertEqual(self.qmp.command('query-target'),
                         {'arch': 'riscv64'})
        self.assertEqual(self.qmp.command('query-kvm'),
                         {'enabled': False, 'present': False})
        self.assertIn('tcg', self.qmp.command('query-accelerators')['present'])
        machines = {m['name']: m for m in self.qmp.command('query-machines')}
        self.assertEqual(machines['virt']['cpu-max'], 8)
        self.assertIn('default-ram-id', machines['virt'])
        self.assertIn('none', machines)
        self.assertEqual(self.qmp.command('query-iothreads'), [])
        self.assertEqual(self.qmp.command('query-jobs'), [])
        self.assertEqual(self.qmp.command('query-cpus-fast'), [])
        options = self.qmp.command('query-command-line-options')
        self.assertIn('machine', [o['option'] for o in options])
        one = self.qmp.command('query-command-line-options', option='machine')
        self.assertEqual([o['option'] for o in one], ['machine'])

    def test_identity(self):
        self.assertEqual(self.qmp.command('query-name'), {'name': 'vm'})
        self.assertEqual(self.qmp.command('query-uuid')['UUID'],
                         '550e8400-e29b-41d4-a716-446655440000')
        self.assertEqual(self.qmp.command('query-status'),
                         {'running': False, 'status': 'prelaunch'})
        chardevs = self.qmp.command('query-chardev')
        self.assertEqual([c['label'] for c in chardevs], ['qmp0'])
        self.assertTrue(chardevs[0]['frontend-open'])

    def test_types(self):
        types = {t['name']: t for t in self.qmp.command('qom-list-types')}
        for name in ('tcg-accel', 'virt-machine', 'none-machine'):
            self.assertIn(name, types)
        accels = self.qmp.command('qom-list-types', implements='accel',
                                  abstract=False)
        self.assertIn('tcg-accel', [t['name'] for t in accels])
        self.assertNotIn('accel', [t['name'] for t in accels])
        self.assertIn('accel', [t['name'] for t in
                                self.qmp.command('qom-list-types',
                                                 abstract=True)])
        for name in ('virt-machine', 'none-machine'):
            self.qmp.command('qom-list-properties', typename=name)
        names = [p['name'] for p in self.qmp.command(
            'device-list-properties', typename='virtio-net-pci')]
        self.assertIn('mac', names)
        self.assertEqual(self.qmp.command('qom-list',
                                          path='/machine/peripheral'), [])

    def test_option_parameters(self):
        """Under the names that management knows; the keys are those of -help."""
        answer = self.qmp.command('query-command-line-options')
        options = {o['option']: {p['name']: p['type'] for p in o['parameters']}
                   for o in answer}
        for option in answer:
            names = [p['name'] for p in option['parameters']]
            self.assertEqual(len(names), len(set(names)), option['option'])
        expected = {
            'machine': {'type': 'string', 'mem-merge': 'boolean',
                        'memory-backend': 'string'},
            'smp-opts': {'cpus': 'number', 'clusters': 'number'},
            'memory': {'size': 'size', 'slots': 'string'},
            'boot-opts': {'strict': 'boolean'},
            'sandbox': {'enable': 'boolean', 'spawn': 'string'},
            'run-with': {'exit-with-parent': 'boolean', 'user': 'string'},
            'chardev': {'backend': 'string', 'id': 'string', 'mux': 'boolean',
                        'path': 'string', 'append': 'boolean',
                        'server': 'boolean', 'reconnect-ms': 'number'},
            'mon': {'chardev': 'string', 'mode': 'string', 'pretty': 'boolean'},
            'drive': {'file': 'string', 'readonly': 'boolean'},
            'accel': {'accel': 'string'},
        }
        for option, parameters in expected.items():
            self.assertEqual(parameters.items() - options[option].items(), set())
            only, = self.qmp.command('query-command-line-options', option=option)
            self.assertIn(only, answer)
        self.assertNotIn('smp', options)
        self.assertEqual(options['kernel'], {})
        for option, name in (('smp', 'smp-opts'), ('rtc', 'rtc'), ('name', 'name'),
                             ('sandbox', 'sandbox'), ('overcommit', 'overcommit')):
            text = subprocess.run([harness.BINARY, f'-{option}', 'help'], check=True,
                                  capture_output=True, text=True).stdout
            self.assertEqual([line.split('=')[0] for line in text.splitlines()],
                             list(options[name]))

    def test_errors(self):
        error = self.expect_error
        error('nope', None, 'CommandNotFound', 'nope')
        error('device-list-properties', {'typename': 'x'}, 'DeviceNotFound',
              "'x'")
        error('qom-list-properties', {'typename': 'x'}, 'DeviceNotFound',
              "'x'")
        error('qom-list', {'path': '/x'}, 'DeviceNotFound', '/x')
        error('closefd', {'fdname': 'x'}, 'GenericError',
              "File descriptor named 'x' not found")
        error('getfd', {'fdname': 'x'}, 'GenericError', 'SCM_RIGHTS')
        error('add-fd', {}, 'GenericError', 'SCM_RIGHTS')
        error('remove-fd', {'fdset-id': 7}, 'GenericError', '7')
        error('remove-fd', {'fdset-id': 7, 'fd': -1}, 'GenericError', 'fd')
        error('query-command-line-options', {'option': 'x'}, 'GenericError',
              "'x'")
        error('qmp_capabilities', None, 'CommandNotFound', 'already')
        error('query-qmp-schema', {'x': 1}, 'GenericError', "'x'")

    def test_arguments(self):
        """Each command refuses what its schema does not have."""
        schema = self.qmp.command('query-qmp-schema')
        by_name = {e['name']: e for e in schema}
        for entry in schema:
            if entry['meta-type'] != 'command' or \
                    entry['name'] == 'qmp_capabilities':
                continue
            members = by_name[entry['arg-type']].get('members', [])
            needed = [m['name'] for m in members if 'default' not in m]
            if needed:
                self.expect_error(entry['name'], {}, 'GenericError',
                                  f"Parameter '{needed[0]}' is missing")
                self.expect_error(entry['name'], {needed[0]: {'$': 1}},
                                  'GenericError', needed[0])
            else:
                self.expect_error(entry['name'], {'$': 1}, 'GenericError',
                                  "Parameter '$' is unexpected")

    def test_human(self):
        def run(line):
            return self.qmp.command('human-monitor-command',
                                    command_line=line)

        self.assertEqual(run('info status'),
                         'VM status: paused (prelaunch)\n')
        self.assertEqual(run('info name'), 'vm\n')
        self.assertIn('Godwit', run('info version'))
        self.assertIn('system_reset -- ', run('help'))
        self.assertIn('info status -- ', run('help info'))
        self.assertIn('info status -- ', run('info'))
        self.assertEqual(run('help stop').split(' -- ')[0], 'stop|s')
        self.assertEqual(run('nope x'), "unknown command: 'nope'\n")
        self.assertEqual(run('info nope'), "unknown command: 'info nope'\n")
        self.assertEqual(run(''), '')
        self.assertIn('Error', run('info name "'))
        self.assertIn("unexpected argument 'x'", run('stop x'))

    def test_every_human_command_has_help(self):
        text = self.qmp.command('human-monitor-command', command_line='help')
        for line in text.splitlines():
            self.assertRegex(line, r'^\S.* -- \S')


class Devices(unittest.TestCase):
    def test_network_back_ends(self):
        """netdev_add makes one that works, netdev_del takes away what is not in use."""
        vm = Machine('-machine', 'virt', '-nodefaults', '-S', '-bios', 'none',
                     '-netdev', 'user,id=n0', '-device', 'virtio-net-device,netdev=n0',
                     serial='none')
        self.addCleanup(vm.close)

        def human(line):
            return vm.command('human-monitor-command', command_line=line)

        def refused(command, part, **arguments):
            with self.assertRaises(QmpError) as caught:
                vm.command(command, **arguments)
            self.assertIn(part, caught.exception.desc)

        def port_listens():
            with socket.socket() as sock:
                return sock.connect_ex(('127.0.0.1', port)) == 0

        with socket.socket() as sock:
            sock.bind(('127.0.0.1', 0))
            port = sock.getsockname()[1]
        rule = f'tcp:127.0.0.1:{port}-10.0.2.15:22'
        vm.command('netdev_add', type='user', id='n1', hostfwd=[{'str': rule}])
        self.assertIn('n1: ', human('info network'))
        self.assertTrue(port_listens())
        refused('netdev_add', "'n1' exists already", type='user', id='n1')
        refused('netdev_add', "'tap'", type='tap', id='n2')
        refused('netdev_del', "a card uses network back end 'n0'", id='n0')
        refused('netdev_del', "no network back end 'n2'", id='n2')
        vm.command('netdev_del', id='n1')
        self.assertFalse(port_listens())
        self.assertNotIn('n1: ', human('info network'))

        self.assertEqual(human(f'netdev_add user,id=n1,hostfwd={rule}'), '')
        self.assertTrue(port_listens())
        self.assertEqual(human('netdev_del n1'), '')
        self.assertIn("Error: there is no network back end 'n1'", human('netdev_del n1'))
        self.assertIn('Error: one argument', human('netdev_add'))

    def test_paths(self):
        """A disk says who has it, and qom-list knows that path."""
        with tempfile.NamedTemporaryFile() as image:
            image.truncate(1 << 20)
            args = ['-machine', 'virt', '-nodefaults', '-S', '-bios', 'none']
            for i, kind in enumerate(('pci', 'device')):
                args += ['-blockdev', f'driver=file,filename={image.name},node-name=n{i},'
                         'read-only=on', '-device', f'virtio-blk-{kind},drive=n{i},id=d{i}']
            vm = Machine(*args, serial='none')
            self.addCleanup(vm.close)
            inner = '/machine/peripheral/d0/virtio-backend'
            for command in 'query-block', 'query-blockstats':
                self.assertEqual([disk['qdev'] for disk in vm.command(command)],
                                 [inner, 'd1'])
            children = {p['name']: p['type'] for p in
                        vm.command('qom-list', path='/machine/peripheral/d0')}
            self.assertEqual(children['virtio-backend'], 'child<virtio-blk-device>')
            self.assertEqual(children['addr'], 'str')
            self.assertEqual(children['bootindex'], 'int32')
            for path in inner, '/machine/peripheral/d1':
                names = [p['name'] for p in vm.command('qom-list', path=path)]
                self.assertEqual(sorted(names), ['bootindex', 'drive', 'serial', 'write-cache'])
            self.assertEqual({p['name'] for p in vm.command('qom-list',
                                                            path='/machine/peripheral')},
                             {'d0', 'd1'})
            for path in ('d2', 'd1/virtio-backend', 'd0/x', 'd0/virtio-backend/x', ''):
                with self.assertRaises(QmpError) as caught:
                    vm.command('qom-list', path=f'/machine/peripheral/{path}')
                self.assertEqual(caught.exception.error_class, 'DeviceNotFound')


class Descriptors(unittest.TestCase):
    def setUp(self):
        self.vm = start()
        self.addCleanup(self.vm.kill)

    def test_named(self):
        read, write = os.pipe()
        self.assertIn('return', send_fd(self.vm.qmp, write, 'getfd',
                                        fdname='a'))
        os.close(write)
        self.vm.qmp.command('closefd', fdname='a')
        # Both ends are closed now.
        self.assertEqual(os.read(read, 1), b'')
        os.close(read)
        self.assertIn('error', send_fd(self.vm.qmp, 1, 'getfd', fdname='1x'))

    def test_sets(self):
        read, write = os.pipe()
        reply = send_fd(self.vm.qmp, write, 'add-fd', opaque='o')
        set_id = reply['return']['fdset-id']
        self.assertEqual(self.vm.qmp.command('query-fdsets'),
                         [{'fdset-id': set_id,
                           'fds': [{'fd': reply['return']['fd'],
                                    'opaque': 'o'}]}])
        self.assertIn('error', send_fd(self.vm.qmp, write, 'add-fd',
                                       **{'fdset-id': -5}))
        self.vm.qmp.command('remove-fd', fdset_id=set_id)
        self.assertEqual(self.vm.qmp.command('query-fdsets'), [])
        os.close(write)
        self.assertEqual(os.read(read, 1), b'')
        os.close(read)


class Clients(unittest.TestCase):
    def start(self, *args):
        folder = harness.tempfile.TemporaryDirectory(prefix='godwit-test-')
        self.addCleanup(folder.cleanup)
        self.path = folder.name + '/second'
        vm = start(*[arg.replace('PATH', self.path) for arg in args])
        self.addCleanup(vm.kill)
        return vm

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.connect(self.path)
        return sock

    def test_several_and_again(self):
        vm = self.start('-qmp', 'unix:PATH,server=on,wait=off')
        for _ in range(3):
            second = Qmp(self.connect())
            self.assertEqual(second.command('query-status')['status'],
                             'prelaunch')
            second.sock.close()
        self.assertEqual(vm.qmp.command('query-status')['status'],
                         'prelaunch')

    def test_bad_input(self):
        self.start('-qmp', 'unix:PATH,server=on,wait=off')
        qmp = Qmp(self.connect())
        for text in (b'garbage\n', b'{"execute":}\n', b'[' * 5000 + b'\n',
                     b'[' * 5000 + b']' * 5000 + b'\n', b'{"execute":"x\xff',
                     b'{"a":"' + b'x' * (65 << 20) + b'"}\n'):
            qmp.sock.sendall(text)
            self.assertIn('error', qmp._receive())
            self.assertIn('return', qmp.execute('query-name'))

    def test_slow_reader(self):
        """One that never reads costs the other nothing, nor its own session."""
        vm = self.start('-qmp', 'unix:PATH,server=on,wait=off')
        slow = self.connect()
        slow.sendall(b'{"execute":"qmp_capabilities"}')
        slow.setblocking(False)
        sent = 0
        try:
            while sent < 4 << 20:
                sent += slow.send(b'{"execute":"query-qmp-schema"}\n' * 100)
        except BlockingIOError:
            pass
        self.assertLess(sent, 4 << 20)
        for _ in range(100):
            vm.qmp.command('query-status')
        slow.setblocking(True)
        slow.settimeout(harness.patience(30))
        data = b''
        while data.count(b'\r\n') < 12:
            data += slow.recv(1 << 20)
        for line in data.split(b'\r\n')[:12]:
            json.loads(line)

    def test_oob(self):
        self.start('-qmp', 'unix:PATH,server=on,wait=off')
        sock = self.connect()
        sock.sendall(b'{"execute":"qmp_capabilities",'
                     b'"arguments":{"enable":["oob"]}}')
        stream = sock.makefile('rb')
        self.assertIn(b'QMP', stream.readline())
        self.assertIn(b'return', stream.readline())
        sock.sendall(b'{"exec-oob":"query-status","id":1}')
        reply = json.loads(stream.readline())
        self.assertEqual(reply['error']['desc'],
                         'The command query-status does not support OOB')
        self.assertEqual(reply['id'], 1)

    def test_human_over_socket(self):
        self.start('-monitor', 'unix:PATH,server=on,wait=off')
        sock = self.connect()
        sock.settimeout(harness.patience(30))
        text = b''
        while not text.endswith(b'(qemu) '):
            text += sock.recv(4096)
        self.assertIn(b'Godwit', text)
        sock.sendall(b'info status\n')
        text = b''
        while not text.endswith(b'(qemu) '):
            text += sock.recv(4096)
        self.assertIn(b'VM status: paused (prelaunch)\r\n', text)


class Terminal(unittest.TestCase):
    """A person at a terminal: the keys, the echo, the shared serial port."""

    def run_keys(self, args, keys):
        """What the terminal shows when keys are typed, one wait for each."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(harness.BINARY, [harness.BINARY] + args)
        shown = b''
        try:
            for key, expected in keys:
                os.write(fd, key)
                text = b''
                while expected not in text:
                    self.assertTrue(select.select([fd], [], [], 30)[0],
                                    f'{expected} not in {text}')
                    text += os.read(fd, 4096)
                shown += text
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(fd)
        return shown

    def test_editing(self):
        self.run_keys(
            ['-M', 'none', '-S', '-nodefaults', '-display', 'none',
             '-monitor', 'stdio'],
            [(b'', b'(qemu) '),
             (b'info sta\t', b'info status '),
             (b'\r', b'VM status: paused (prelaunch)'),
             (b'\x1b[A', b'info status '),
             (b'\r', b'VM status: paused (prelaunch)'),
             (b'help q\t\r', b'quit|q -- ')])

    def test_beside_serial(self):
        shown = self.run_keys(
            ['-M', 'virt', '-S', '-nographic', '-bios', 'none'],
            [(b'', b'(qemu) '),
             (b'\x01c', b''),
             (b'info status\r', b'VM status: paused (prelaunch)')])
        # One monitor, which greets once.
        self.assertEqual(shown.count(b'monitor - type'), 1)


class Life(unittest.TestCase):
    def test_stop_cont_reset_quit(self):
        vm = start()
        self.addCleanup(vm.kill)
        vm.qmp.command('cont')
        # Events come before the reply.
        self.assertEqual([e['event'] for e in vm.qmp.events], ['RESUME'])
        vm.qmp.command('cont')
        vm.qmp.command('stop')
        self.assertEqual([e['event'] for e in vm.qmp.events],
                         ['RESUME', 'STOP'])
        vm.qmp.command('stop')
        self.assertEqual(vm.qmp.command('query-status'),
                         {'running': False, 'status': 'paused'})
        vm.qmp.command('system_reset')
        event = vm.qmp.wait_event('RESET')
        self.assertEqual(event['data'], {'guest': False, 'reason':
                                         'host-qmp-system-reset'})
        vm.qmp.command('system_powerdown')
        vm.qmp.command('set-action', reboot='shutdown', shutdown='pause')
        vm.qmp.command('set-action')
        for panic in 'pause', 'shutdown', 'exit-failure', 'none':
            vm.qmp.command('set-action', panic=panic)
        with self.assertRaises(QmpError):
            vm.qmp.command('set-action', reboot='x')
        vm.qmp.command('quit')
        event = vm.qmp.wait_event('SHUTDOWN')
        self.assertEqual(event['data'], {'guest': False,
                                         'reason': 'host-qmp-quit'})
        self.assertEqual(vm.process.wait(30), 0)


if __name__ == '__main__':
    harness.main()
