# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirtd, as often as wanted on one machine: each in a mount namespace of its
own, in which its folders stand where libvirt has them. No systemd, no D-Bus, no
root's own libvirt touched: what a daemon writes stays in the folder given to it.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import time
import uuid

# What stands in for what, within the namespace.
FOLDERS = {'etc': '/etc/libvirt', 'lib': '/var/lib/libvirt',
           'cache': '/var/cache/libvirt', 'log': '/var/log/libvirt', 'run': '/run'}

QEMU_CONF = '''
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
stdio_handler = "file"
migration_port_min = {port_min}
migration_port_max = {port_max}
seccomp_sandbox = {sandbox}
'''

# The sanitizers trace the process that they are in when it ends, which the sandbox
# rightly forbids.
SANDBOX = int(os.environ.get('GODWIT_SANITIZER', 'none') == 'none')

LIBVIRTD_CONF = '''
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "{uuid}"
log_outputs = "{level}:file:/var/log/libvirt/libvirtd.log"
log_filters = "{filters}"
'''

# Without /usr/bin: else it starts every qemu-system-* that is installed, to ask
# what it can do, before it looks at the emulator that a domain names.
DAEMON_PATH = '/usr/sbin:/sbin'


def missing():
    """Why libvirt cannot be run here; None if it can."""
    for program in 'libvirtd', 'virsh', 'unshare':
        if not shutil.which(program, path=os.environ['PATH'] + ':' + DAEMON_PATH):
            return f'{program} is not installed'
    for folder in FOLDERS.values():
        if not os.path.isdir(folder):
            return f'{folder} does not exist'
    if os.geteuid() != 0:
        return 'libvirtd needs root here'
    done = subprocess.run(['unshare', '-m', 'true'], capture_output=True, text=True)
    if done.returncode:
        return f'mount namespaces cannot be had: {done.stderr.strip()}'
    return None


class VirshError(Exception):
    """virsh ended with a status other than 0; .text is what it said."""

    def __init__(self, args, text):
        super().__init__(f'virsh {" ".join(args)}: {text}')
        self.text = text


class Daemon:
    """A libvirtd below folder."""

    def __init__(self, folder, ports, level=3, filters=''):
        self.path = pathlib.Path(folder)
        self.process = None
        for name in FOLDERS:
            (self.path / name).mkdir(parents=True, exist_ok=True)
        (self.path / 'run/lock').mkdir(exist_ok=True)   # /var/lock, for consoles
        (self.path / 'etc/qemu.conf').write_text(
            QEMU_CONF.format(port_min=ports[0], port_max=ports[1], sandbox=SANDBOX))
        (self.path / 'etc/libvirtd.conf').write_text(LIBVIRTD_CONF.format(
            uuid=uuid.uuid4(), level=level, filters=filters))
        self.socket = self.path / 'run/libvirt/libvirt-sock'
        self.uri = f'qemu+unix:///system?socket={self.socket}'
        self.log = self.path / 'log/libvirtd.log'

    def start(self, timeout=60):
        """Returns when it answers."""
        mounts = ''.join(f'mount --bind {self.path}/{name} {place} && '
                         for name, place in FOLDERS.items())
        with open(self.path / 'output', 'ab') as output:
            self.process = subprocess.Popen(
                ['unshare', '-m', '--propagation', 'private', 'sh', '-c',
                 mounts + f'PATH={DAEMON_PATH} exec libvirtd -p /run/libvirtd.pid'],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True)
        end = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f'libvirtd ended with status {self.process.returncode}: '
                                   f'{(self.path / "output").read_text()}')
            try:
                return self.virsh('uri')
            except VirshError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def stop(self):
        """Ends the daemon; its guests run on."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        """As running out of memory does; its guests run on."""
        self.process.kill()
        self.process.wait()

    def command(self, *args):
        """The command line of virsh with args."""
        return ['virsh', '-q', '-c', self.uri, *map(str, args)]

    def virsh(self, *args, timeout=60, input=None):
        """What virsh prints, without white space around; VirshError if it fails."""
        done = subprocess.run(self.command(*args), capture_output=True, text=True,
                              timeout=timeout, input=input,
                              stdin=None if input else subprocess.DEVNULL)
        if done.returncode:
            raise VirshError(list(map(str, args)), (done.stderr + done.stdout).strip())
        return done.stdout.strip()

    def pid(self, domain):
        """The emulator's process, as libvirt knows it; None if there is none."""
        try:
            return int((self.path / f'run/libvirt/qemu/{domain}.pid').read_text())
        except FileNotFoundError:
            return None

    def domain_log(self, domain):
        """What libvirt and the emulator wrote about a domain."""
        try:
            return (self.path / f'log/qemu/{domain}.log').read_text(errors='replace')
        except FileNotFoundError:
            return ''

    def kill_guests(self):
        """Ends what emulators are left, whether or not libvirtd knows them."""
        for file in (self.path / 'run/libvirt/qemu').glob('*.pid'):
            try:
                os.kill(int(file.read_text()), signal.SIGKILL)
            except (ValueError, ProcessLookupError):
                pass

    def close(self):
        """Ends all; what it wrote is left to whoever gave the folder."""
        self.stop()
        self.kill_guests()
