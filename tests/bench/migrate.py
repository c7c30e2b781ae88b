# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benches of migration share: two processes with the pattern guest,
a wire of limited rate between them, and quantiles.
"""
import pathlib
import socket
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'functional'))
import harness  # noqa: E402

MIB = 1 << 20


class Wire:
    """A relay on loopback that takes at most so many bytes a second of each of
    so many connections, with the small buffers of a short line."""

    def __init__(self, port, bytes_per_sec, connections=1):
        self.port = port
        self.connections = connections
        self.rate = bytes_per_sec
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(connections)
        threading.Thread(target=self.run, daemon=True).start()

    def uri(self):
        return f'tcp:127.0.0.1:{self.listener.getsockname()[1]}'

    def run(self):
        for _ in range(self.connections - 1):
            self.connect(self.listener.accept()[0])
        near = self.listener.accept()[0]
        self.listener.close()
        self.connect(near)

    def connect(self, near):
        far = socket.create_connection(('127.0.0.1', self.port))
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self.copy, args=(far, near, 0), daemon=True).start()
        threading.Thread(target=self.copy, args=(near, far, self.rate), daemon=True).start()

    @staticmethod
    def copy(source, target, rate):
        buffer = bytearray(128 << 10)
        free = time.monotonic()
        try:
            while n := source.recv_into(buffer):
                target.sendall(memoryview(buffer)[:n])
                if rate:
                    free = max(free, time.monotonic() - 0.0005) + n / rate
                    wait = free - time.monotonic()
                    if wait > 0:
                        time.sleep(wait)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Pair:
    """A source with a guest, and destinations for it."""

    def __init__(self, *args, ram_mib, image=None, machine='', parameters=None,
                 capabilities=()):
        self.args = ['-machine', ','.join(filter(None, ('virt', machine))),
                     '-m', f'{ram_mib}M', '-nodefaults', *args]
        if image:
            self.args += ['-bios', 'none']
        self.parameters = {'max-bandwidth': 0, **(parameters or {})}
        self.capabilities = ('return-path', *capabilities)
        self.src = self.start('src', *(['-kernel', image] if image else []))
        self.dst = None

    def start(self, name, *args):
        side = harness.Machine(*self.args, *args, name=name)
        side.command('migrate-set-capabilities',
                     capabilities=[{'capability': cap, 'state': True}
                                   for cap in self.capabilities])
        side.command('migrate-set-parameters', **self.parameters)
        return side

    def listen(self, wire_bps=0, connections=1):
        """A destination; its URI."""
        self.dst = self.start('dst', '-incoming', 'defer')
        self.dst.command('migrate-incoming', uri='tcp:127.0.0.1:0')
        port = int(self.dst.command('query-migrate')['socket-address'][0]['port'])
        return Wire(port, wire_bps, connections).uri() if wire_bps else f'tcp:127.0.0.1:{port}'

    def complete(self, timeout=120):
        """Waits, asking seldom; what the source then says."""
        while True:
            info = self.src.command('query-migrate')
            if info['status'] in ('completed', 'failed', 'cancelled'):
                break
            time.sleep(0.02)
            timeout -= 0.02
            if timeout < 0:
                raise TimeoutError(str(info))
        if info['status'] != 'completed':
            raise RuntimeError(f'{info}\n{self.src.output()}{self.dst.output()}')
        return info

    def run(self, wire_bps=0, connections=1):
        uri = self.listen(wire_bps, connections)
        self.src.command('migrate', uri=uri)
        return self.complete()

    def swap(self):
        """The destination is the next source."""
        self.src.close()
        self.src, self.dst = self.dst, None

    def close(self):
        for side in (self.src, self.dst):
            if side:
                side.close()


def pattern(folder, ram_mib, **kwargs):
    """The image of a pattern guest that uses all of its memory."""
    return harness.pattern_image(folder, area_mib=ram_mib - 2, **kwargs)


def folder():
    return tempfile.TemporaryDirectory(prefix='godwit-bench-')


def quantile(values, part):
    values = sorted(values)
    return values[min(int(part * len(values)), len(values) - 1)]


median = statistics.median
