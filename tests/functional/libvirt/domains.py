# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains for the tests with libvirt: their XML, what they print, a monitor beside
libvirt's to compare with, and which lines of the logs are complaints.

Files that a domain writes are below /var/log/libvirt and /var/lib/libvirt, so that
each daemon's copy of it has its own (daemons.py).
"""
import functools
import os
import pathlib
import random
import re
import shlex
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from daemons import Daemon, VirshError, missing  # noqa: E402

PORTS = 64      # for migrations, of all daemons of a program

BINARY = os.path.abspath(harness.BINARY)

# libvirtd gives emulators an environment of its own: what the test setup tells a build
# with a sanitizer has to be said again.
TOLD = [f'{name}={os.environ[name]}' for name in ('G_SLICE', 'ASAN_OPTIONS', 'TSAN_OPTIONS')
        if name in os.environ]
SANITIZER = ['/usr/bin/env', *TOLD, '/usr/bin/setarch', '-R'] if TOLD else []

# What libvirtd says of a host without systemd, D-Bus, udev and cgroups, of clients
# that hang up, and of running guests as root with a command line of their own.
HOST = re.compile('dnsmasq|DBus|virGDBus|udevGetDMIData|dmidecode|security driver "none"|'
                  'virCgroupDetectControllers|is tainted: (high-privileges|custom-argv|'
                  'custom-monitor)|virNetSocketReadWire|mdevctl|virGetHostnameImpl')


def emulator(folder, prefix=(), suffix=(), when=None):
    """A script that starts Godwit behind the words of prefix (a tool that runs it)
    with those of suffix at the end of its command line, to be a domain's <emulator>.
    libvirt asks it for its capabilities first, as it does every emulator. when: the
    tool is only there if this stands in the command line."""
    path = pathlib.Path(folder, 'emulator')
    tool = shlex.join([*SANITIZER, *prefix, BINARY])
    if when:
        path.write_text(f'#!/bin/sh\ncase "$*" in\n*{when}*) exec {tool} "$@" ;;\n'
                        f'*) exec {shlex.join([*SANITIZER, BINARY])} "$@" ;;\nesac\n')
    else:
        path.write_text(f'#!/bin/sh\nexec {tool} "$@" {shlex.join(suffix)}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


@functools.cache
def usual_emulator():
    """What a domain names as its <emulator>, if nothing else is wanted."""
    return emulator(Case.daemons[0].path) if SANITIZER else BINARY


def domain_xml(name, *, boot, devices='', memory_mib=128, vcpus=1, observe=False,
               binary=None, arguments=()):
    """boot: what stands in <os>; observe: a second QMP and a qtest socket, see
    Observer; arguments: more words for the emulator's command line."""
    words = list(arguments)
    if observe:
        for option, suffix in ('-qmp', 'qmp'), ('-qtest', 'qtest'):
            words += [option, f'unix:/var/lib/libvirt/{name}.{suffix},server=on,wait=off']
        words += ['-qtest-log', '/dev/null']
    passed = ''.join(f"<qemu:arg value='{word}'/>" for word in words)
    return f'''
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>{vcpus}</vcpu>
  <os><type arch='riscv64' machine='virt'>hvm</type>{boot}</os>
  <devices>
    <emulator>{binary or usual_emulator()}</emulator>
    {devices}
    <memballoon model='none'/>
  </devices>
  {f'<qemu:commandline>{passed}</qemu:commandline>' if words else ''}
</domain>'''


def pattern_xml(name, folder, *, memory_mib=128, vcpus=1, area_mib=24, observe=True,
                binary=None, arguments=(), **pattern):
    """The bare-metal guest of tests/guest/pattern.c as firmware; pattern: what else
    harness.pattern_image() takes. It prints to serial_path()."""
    image = harness.pattern_image(folder, area_mib=area_mib, **pattern)
    named = image.rename(image.with_name(f'{name}.bin'))
    return domain_xml(
        name, boot=f"<loader readonly='yes' type='rom'>{named}</loader>",
        devices=f"<serial type='file'><source path='/var/log/libvirt/{name}.serial' "
                "append='on'/></serial>",
        memory_mib=memory_mib, vcpus=vcpus, observe=observe, binary=binary,
        arguments=arguments)


def serial_path(daemon, name):
    """Where pattern_xml()'s guest prints, on a daemon's side."""
    return daemon.path / f'log/{name}.serial'


def printed(daemon, name):
    """What the pattern guest has printed there."""
    try:
        return serial_path(daemon, name).read_text(errors='replace')
    except FileNotFoundError:
        return ''


def counters(daemon, name):
    """The numbers among it."""
    return harness.counters(printed(daemon, name))


def wait_for(condition, what, timeout=30):
    """Polls until condition() gives something true; returns that."""
    end = harness.deadline(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f'waited {timeout} s for {what}')
        time.sleep(0.05)


class Observer:
    """The second QMP monitor and the qtest socket of a domain on a daemon's side."""

    def __init__(self, daemon, name):
        self.base = str(daemon.path / 'lib' / name)
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.base + '.qmp')
        self.qmp = harness.Qmp(sock)
        self.lock = threading.Lock()

    def command(self, name, **arguments):
        """A QMP command; any thread."""
        with self.lock:
            return self.qmp.command(name, **arguments)

    def check_memory(self, area_mib=24):
        """See harness.check_pattern(); the guest must be stopped."""
        qtest = harness.Qtest(self.base + '.qtest')
        try:
            return harness.check_pattern(qtest, area_mib)
        finally:
            qtest.close()

    def close(self):
        self.qmp.sock.close()


def complaints(daemon_log, domain_logs):
    """Lines of a libvirtd's log at level warning or error, and lines of domains'
    logs that libvirt did not write itself: what nobody should have had to say."""
    found = [line for line in daemon_log.splitlines()
             if re.search(r'\d: (warning|error) :', line) and not HOST.search(line)]
    for name, text in domain_logs.items():
        command = False
        for line in text.splitlines():
            # The command line as libvirt writes it: all of its lines but the last
            # end in a backslash.
            ours = command
            command = line.endswith(' \\')
            if ours or command or re.match(r'\d{4}-\d\d-\d\d \S+\+0000: ', line) or not line:
                continue
            found.append(f'{name}: {line}')
    return found


class Case(unittest.TestCase):
    """A folder, and daemons whose logs must stay clean."""

    daemons = ()        # set by the program
    maxDiff = None
    expected = None     # regular expression: complaints that the test provokes

    def setUp(self):
        self.expected = None
        self.folder = tempfile.TemporaryDirectory(prefix='gw-')
        self.addCleanup(self.folder.cleanup)
        self.marks = [daemon.log.stat().st_size for daemon in self.daemons]
        for daemon in self.daemons:
            for log in (daemon.path / 'log/qemu').glob('*.log'):
                log.unlink()
        self.addCleanup(self._check_logs)

    def _check_logs(self):
        for daemon, mark in zip(self.daemons, self.marks):
            with open(daemon.log, 'rb') as log:
                log.seek(mark)
                text = log.read().decode(errors='replace')
            logs = {file.stem: file.read_text(errors='replace')
                    for file in (daemon.path / 'log/qemu').glob('*.log')}
            bad = [line for line in complaints(text, logs)
                   if not (self.expected and re.search(self.expected, line))]
            self.assertEqual(bad, [], f'complaints at {daemon.path.name}')

    def define(self, daemon, name, xml):
        """Defines a domain, which is gone again when the test ends."""
        file = pathlib.Path(self.folder.name, f'{name}.xml')
        file.write_text(xml)
        daemon.virsh('define', file)
        self.addCleanup(self.remove, name)

    def remove(self, name):
        """Ends and undefines a domain wherever it is."""
        for daemon in self.daemons:
            known = daemon.virsh('list', '--all', '--name').split()
            if name in known:
                if daemon.virsh('domstate', name) != 'shut off':
                    daemon.virsh('destroy', name)
                if name in daemon.virsh('list', '--all', '--name').split():
                    daemon.virsh('undefine', name, '--managed-save')
            serial_path(daemon, name).unlink(missing_ok=True)

    def state(self, daemon, name):
        """'running (booted)' and the like; '' where there is no such domain."""
        try:
            return daemon.virsh('domstate', name, '--reason')
        except VirshError as error:
            if 'failed to get domain' not in error.text:
                raise
            return ''

    def observe(self, daemon, name):
        observer = Observer(daemon, name)
        self.addCleanup(observer.close)
        return observer

    def refused(self, daemon, *args):
        """virsh fails; what it says."""
        with self.assertRaises(VirshError) as caught:
            daemon.virsh(*args)
        return caught.exception.text

    def wait_counting(self, daemon, name, above=0, timeout=30):
        """The pattern guest prints more than above numbers; all of them."""
        return wait_for(lambda: (lambda seen: len(seen) > above and seen)(
            counters(daemon, name)), f'{name} to print at {daemon.path.name}', timeout)


def run(*names):
    """Runs the tests of the calling program with a daemon for each name; skips, saying
    why, where libvirt cannot be had.

    The program starts itself again in a namespace of processes of its own, with a shell
    at its head that reaps them: however it ends, no daemon and no guest is left over.
    """
    why = missing()
    harness.need(not why, f'libvirt: {why}')
    if 'GODWIT_TEST_INSIDE' not in os.environ:
        command = shlex.join([sys.executable, *sys.argv])
        os.execvpe('unshare', ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc',
                               'sh', '-c', f'{command} & wait $!'],
                   {**os.environ, 'GODWIT_TEST_INSIDE': 'yes'})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended by SIGTERM'))
    with tempfile.TemporaryDirectory(prefix='gw-') as folder:
        # Above those that the host gives out, and others for each program that runs.
        first = random.randrange(61000, 65536 - PORTS, PORTS)
        daemons = [Daemon(os.path.join(folder, name), (first, first + PORTS - 1))
                   for name in names]
        try:
            for daemon in daemons:
                daemon.start()
            Case.daemons = tuple(daemons)
            harness.main()
        finally:
            for daemon in daemons:
                daemon.close()
