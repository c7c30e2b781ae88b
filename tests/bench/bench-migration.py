#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of the migration's life cycle, as a table and as JSON.

bench-migration.py query     what query-migrate costs, and what it slows down
bench-migration.py idle      downtime of a guest that does nothing
bench-migration.py idle-linux    the same of Linux with a shell that sleeps

But for the last one the guest is tests/guest/pattern.bin; both sides run on
this host.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'functional'))
import harness  # noqa: E402

MIB = 1 << 20
WIRES_MIB = (1192, 300)     # 10 Gbit/s, and one that leaves the CPUs time


class Pair:
    """A source with a running guest, and destinations to send it to."""

    def __init__(self, *both, kernel, ready, timeout=30):
        """both: the arguments of both sides; kernel: those of the source alone;
        ready: what it prints when it may be moved."""
        self.both = both
        self.count = 0
        self.src = self.machine('src', *kernel)
        self.src.wait_serial(ready, timeout=timeout)

    def machine(self, name, *args):
        machine = harness.Machine('-machine', 'virt', '-nodefaults', *self.both, *args,
                                  name=name)
        for cap in ('events', 'return-path'):
            machine.command('migrate-set-capabilities',
                            capabilities=[{'capability': cap, 'state': True}])
        return machine

    def migrate(self, during=None, **parameters):
        """One migration; the source's last query-migrate. The guest goes on."""
        self.count += 1
        dst = self.machine(f'dst{self.count}', '-incoming', 'defer')
        try:
            dst.command('migrate-incoming', uri='tcp:127.0.0.1:0')
            where = dst.command('query-migrate')['socket-address'][0]
            self.src.command('migrate-set-parameters', **{'max-bandwidth': 0, **parameters})
            self.src.command('migrate', uri=f'tcp:{where["host"]}:{where["port"]}')
            if during:
                during()
            info = self.src.wait_migration('completed', 'failed', timeout=120)
            if info['status'] != 'completed':
                raise RuntimeError(info)
            return info
        finally:
            dst.close()
            self.src.command('cont')

    def close(self):
        self.src.close()


def quantile(values, part):
    values = sorted(values)
    return values[min(int(part * len(values)), len(values) - 1)]


def pattern_pair(*source, ram_mib, area_mib, pages_per_second):
    with tempfile.TemporaryDirectory(prefix='godwit-bench-') as folder:
        image = harness.pattern_image(folder, area_mib=area_mib, fill=True,
                                      pages_per_second=pages_per_second)
        # What receives has touched its memory: its first touch is chance's.
        return Pair('-bios', 'none', '-m', f'{ram_mib}M', '-machine', 'memory-backend=ram',
                    '-object', f'memory-backend-ram,id=ram,size={ram_mib}M,prealloc=on',
                    kernel=('-kernel', image, *source), ready='pattern ')


def linux_pair(disk):
    """Two harts, and each kind of device that a guest has in earnest."""
    disk.truncate(64 * MIB)
    pair = Pair('-smp', '2', '-m', '512M',
                '-blockdev', f'driver=file,filename={disk.name},node-name=d0',
                '-device', 'virtio-blk-pci,drive=d0', '-netdev', 'user,id=n0',
                '-device', 'virtio-net-pci,netdev=n0', '-device', 'virtio-rng-pci',
                kernel=('-kernel', harness.KERNEL, '-initrd', harness.INITRD, '-append',
                        'console=ttyS0 quiet godwit.run=sleep+9999'),
                ready='godwit-guest: ready', timeout=120)
    # What a kernel does once it has booted is not being idle.
    time.sleep(5)
    return pair


class Asker:
    """ask-migrate, ready to ask who listens at monitor."""

    def __init__(self, program, monitor, *, per_second=1000, count=0):
        self.process = subprocess.Popen(
            [program, monitor, str(per_second), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'ready\n':
            raise RuntimeError('ask-migrate did not come so far')

    def go(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()

    def latencies(self):
        """Seconds each query took, once all were asked."""
        out, _ = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise RuntimeError('ask-migrate failed')
        return [ns / 1e9 for ns in json.loads(out)]


def transfer(pair, bandwidth, asker=None):
    """Milliseconds of one migration, and the latencies of what the asker asked
    meanwhile. This program itself sleeps until it is over."""
    def during():
        if asker:
            asker.go()
        pair.src.qmp.wait_event('MIGRATION', timeout=120, status='completed')

    # A limit so low that no part of the memory is left for the blackout.
    info = pair.migrate(during, **{'downtime-limit': 1, 'max-bandwidth': bandwidth})
    pair.src.command('stop')
    return info['total-time'], asker.latencies() if asker else []


def compare(pair, ask, folder, runs, bandwidth):
    """Migrations alone, with queries, and with as many requests to a server that
    has nothing to do with Godwit: what any answer costs on this host. In turns,
    and each is first as often as the others."""
    usual, _ = transfer(pair, bandwidth)
    askers = {'alone': lambda: None,
              'bare': lambda: Asker(ask, f'{folder}/bare', count=usual),
              'queries': lambda: Asker(ask, f'{folder}/monitor')}
    names = list(askers)
    ms = {name: [] for name in names}
    latencies = {name: [] for name in names}
    for i in range(runs):
        for name in names[i % 3:] + names[:i % 3]:
            took, asked = transfer(pair, bandwidth, askers[name]())
            ms[name].append(took)
            latencies[name] += asked
    print(f'{bandwidth // MIB} MiB/s:' if bandwidth else 'no limit:')
    print(f'  alone    {spread(ms["alone"])} ms')
    result = {'alone-ms': ms['alone']}
    for name in names[1:]:
        slower = statistics.median(ms[name]) / statistics.median(ms['alone']) - 1
        mid, p99, most = (1e6 * quantile(latencies[name], part) for part in (0.5, 0.99, 1))
        print(f'  {name:8} {spread(ms[name])} ms, {100 * slower:+.1f} %; of '
              f'{len(latencies[name])} answers median {mid:.0f} us, p99 {p99:.0f} us, '
              f'max {most:.0f} us')
        result[name] = {'ms': ms[name], 'slower': slower, 'median-us': mid, 'p99-us': p99,
                        'max-us': most}
    return result


def spread(values):
    return f'{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})'


def server_cpu_ns(machine):
    """What all threads have run so far that have no part in the migration."""
    total = 0
    for task in pathlib.Path(f'/proc/{machine.process.pid}/task').iterdir():
        if not (task / 'comm').read_text().startswith('mig/'):
            total += int((task / 'schedstat').read_text().split()[0])
    return total


def query_cpu(pair, ask, folder, count=10000):
    """CPU microseconds of the server for a query; the migration hardly moves."""
    costs = []

    def during():
        asker = Asker(ask, f'{folder}/monitor', per_second=0, count=count)
        before = server_cpu_ns(pair.src)
        asker.go()
        asker.latencies()
        costs.append((server_cpu_ns(pair.src) - before) / 1e3 / count)
        pair.src.command('migrate-set-parameters', **{'max-bandwidth': 0})

    pair.migrate(during, **{'max-bandwidth': MIB})
    pair.src.command('stop')
    return costs[0]


def bench_query(runs, ask):
    """Transfer time without and with a thousand queries a second. The promise is
    about a wire, of 10 Gbit/s or less. Without a limit the CPUs are the wire, and
    whoever asks takes some of it: how much is what the bare server shows."""
    with tempfile.TemporaryDirectory(prefix='godwit-bench-') as folder:
        pair = pattern_pair('-qmp', f'unix:{folder}/monitor,server=on,wait=off',
                            ram_mib=1024, area_mib=900, pages_per_second=1)
        bare = subprocess.Popen([ask, f'{folder}/bare'], stdout=subprocess.PIPE)
        try:
            bare.stdout.readline()
            pair.src.command('stop')
            fast = compare(pair, ask, folder, runs, 0)
            wires = [compare(pair, ask, folder, runs, mib * MIB) for mib in WIRES_MIB]
            cpu_us = query_cpu(pair, ask, folder)
        finally:
            bare.kill()
            pair.close()
    print(f'the server runs for {cpu_us:.1f} us for a query')
    return {'unlimited': fast, 'wires': dict(zip(WIRES_MIB, wires)), 'cpu-us': cpu_us,
            'ok': all(wire['queries']['p99-us'] < 2000 and wire['queries']['slower'] <= 0.03
                      for wire in wires)}


def idle_downtimes(pair, runs):
    try:
        measured = [pair.migrate()['switchover']['measured-us'] / 1e3 for _ in range(runs)]
    finally:
        pair.close()
    print(f'downtime of an idle guest, ms: median {statistics.median(measured):.2f}, '
          f'min {min(measured):.2f}, max {max(measured):.2f} of {runs}')
    return {'ms': measured, 'median-ms': statistics.median(measured),
            'ok': statistics.median(measured) <= 20}


def bench_idle(runs):
    return idle_downtimes(pattern_pair(ram_mib=256, area_mib=64, pages_per_second=1), runs)


def bench_idle_linux(runs):
    harness.need(harness.KERNEL and harness.INITRD, 'no Linux guest: GODWIT_TEST_KERNEL and '
                 'GODWIT_TEST_INITRD name its files, see scripts/get-guest')
    with tempfile.NamedTemporaryFile(prefix='godwit-bench-') as disk:
        return idle_downtimes(linux_pair(disk), runs)


BENCHES = {'query': (bench_query, 10), 'idle': (bench_idle, 20),
           'idle-linux': (bench_idle_linux, 20)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bench', choices=BENCHES)
    parser.add_argument('--runs', type=int)
    parser.add_argument('--ask', help='the program ask-migrate, for query')
    parser.add_argument('--json', help='file to write the numbers to')
    args = parser.parse_args()
    if args.bench == 'query' and not args.ask:
        parser.error('query needs --ask')
    if args.bench != 'idle-linux':
        harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    function, runs = BENCHES[args.bench]
    more = [args.ask] if args.bench == 'query' else []
    result = function(args.runs or runs, *more)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1), encoding='utf-8')
    print(json.dumps({'bench': args.bench, **result}))
    print('as wanted' if result['ok'] else 'NOT as wanted')
    return 0 if result['ok'] else 1


if __name__ == '__main__':
    sys.exit(main())
