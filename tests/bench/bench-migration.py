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
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'functional'))
import harness  # noqa: E402

MIB = 1 << 20


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


def pattern_pair(*, ram_mib, area_mib, pages_per_second):
    with tempfile.TemporaryDirectory(prefix='godwit-bench-') as folder:
        image = harness.pattern_image(folder, area_mib=area_mib, fill=True,
                                      pages_per_second=pages_per_second)
        return Pair('-bios', 'none', '-m', f'{ram_mib}M', kernel=('-kernel', image),
                    ready='pattern ')


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


def bench_query(runs):
    """Transfer time without and with a thousand queries a second."""
    pair = pattern_pair(ram_mib=1024, area_mib=900, pages_per_second=1)
    pair.src.command('stop')
    latencies = []

    def ask():
        """A thousand a second, until it is over."""
        next_ask = time.perf_counter()
        while True:
            begin = time.perf_counter()
            status = pair.src.command('query-migrate')['status']
            latencies.append(time.perf_counter() - begin)
            if status in ('completed', 'failed'):
                return
            # Who falls behind does not make up for it.
            next_ask = max(next_ask + 0.001, time.perf_counter())
            time.sleep(max(next_ask - time.perf_counter(), 0))

    def total(during):
        info = pair.migrate(during, **{'downtime-limit': 300})
        pair.src.command('stop')
        return info['total-time']

    quiet, busy = [], []
    try:
        total(None)
        for _ in range(runs):
            quiet.append(total(None))
            busy.append(total(ask))
    finally:
        pair.close()
    slower = statistics.median(busy) / statistics.median(quiet) - 1
    p99 = quantile(latencies, 0.99)
    print(f'{len(latencies)} queries: median {1e6 * statistics.median(latencies):.0f} us, '
          f'p99 {1e6 * p99:.0f} us; migration {statistics.median(quiet)} ms alone, '
          f'{statistics.median(busy)} ms with queries: {100 * slower:+.1f} %')
    return {'p99-us': 1e6 * p99, 'slower': slower, 'quiet-ms': quiet, 'busy-ms': busy,
            'ok': p99 < 0.002 and slower <= 0.03}


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


BENCHES = {'query': (bench_query, 5), 'idle': (bench_idle, 20),
           'idle-linux': (bench_idle_linux, 20)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bench', choices=BENCHES)
    parser.add_argument('--runs', type=int)
    parser.add_argument('--json', help='file to write the numbers to')
    args = parser.parse_args()
    if args.bench != 'idle-linux':
        harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    function, runs = BENCHES[args.bench]
    result = function(args.runs or runs)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1), encoding='utf-8')
    print(json.dumps({'bench': args.bench, **result}))
    print('as wanted' if result['ok'] else 'NOT as wanted')
    return 0 if result['ok'] else 1


if __name__ == '__main__':
    sys.exit(main())
