#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of the migration's life cycle, as a table and as JSON.

bench-migration.py query     what query-migrate costs, and what it slows down
bench-migration.py idle      downtime of a guest that does nothing

The guest is tests/guest/pattern.bin; both sides run on this host.
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

    def __init__(self, folder, *, ram_mib, area_mib, pages_per_second):
        self.folder = folder
        self.ram_mib = ram_mib
        self.count = 0
        image = harness.pattern_image(folder, area_mib=area_mib, fill=True,
                                      pages_per_second=pages_per_second)
        self.src = self.machine('src', '-kernel', image)
        self.src.wait_serial('pattern ')

    def machine(self, name, *args):
        machine = harness.Machine('-machine', 'virt', '-nodefaults', '-bios', 'none',
                                  '-m', f'{self.ram_mib}M', *args, name=name)
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


def fresh_pair(**kwargs):
    folder = tempfile.TemporaryDirectory(prefix='godwit-bench-')
    pair = Pair(folder.name, **kwargs)
    pair.folder_object = folder
    return pair


def bench_query(runs):
    """Transfer time without and with a thousand queries a second."""
    pair = fresh_pair(ram_mib=1024, area_mib=900, pages_per_second=1)
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


def bench_idle(runs):
    pair = fresh_pair(ram_mib=256, area_mib=64, pages_per_second=1)
    try:
        measured = [pair.migrate()['switchover']['measured-us'] / 1e3 for _ in range(runs)]
    finally:
        pair.close()
    print(f'downtime of an idle guest, ms: median {statistics.median(measured):.2f}, '
          f'min {min(measured):.2f}, max {max(measured):.2f} of {runs}')
    return {'ms': measured, 'median-ms': statistics.median(measured),
            'ok': statistics.median(measured) <= 20}


BENCHES = {'query': (bench_query, 5), 'idle': (bench_idle, 20)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bench', choices=BENCHES)
    parser.add_argument('--runs', type=int)
    parser.add_argument('--json', help='file to write the numbers to')
    args = parser.parse_args()
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
