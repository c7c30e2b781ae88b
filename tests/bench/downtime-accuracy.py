#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How true expected-downtime is for a guest with a VFIO device.

Guests with a simulated device are migrated with a downtime-limit that they
cannot keep. After a few seconds a manager reads expected-downtime, allows it,
and the guest goes: that value against the downtime that was then measured, over
sizes of the device's state, its pace, the wire, and how fast the guest writes.

downtime-accuracy.py [--runs N] [--json FILE] [--svg FILE] [--peer QEMU]

What is promised is about devices that have a pace, or a wire that has one. The
rest, a device as fast as the CPUs and a wire as fast as them, is measured too and
stands in a line of its own: there the guest, both programs and both devices take
turns on the host's cores, and no two blackouts of one device are alike.

--peer measures a stock qemu-system-x86_64 under the same vfio-sim, in the same
run, on the same cases but for those in which the guest writes (it has none).
"""
import argparse
import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import time

import migrate
from migrate import MIB
import harness
import vfio

# What the project promises of the absolute error.
MEDIAN, P95 = 0.05, 0.20

SIZES = (64, 256, 1024, 2048)           # MiB of device state
PACES = (0, 800, 400, 200)              # MiB a second at both sides; 0: none
# MiB a second of the wire (0: loopback), and whether the manager says so
WIRES = ((0, False), (300, True), (300, False))
WRITES = (0, 3000)                      # pages a second
CASES = list(itertools.product(SIZES, PACES, WIRES, WRITES))
STEP = 29               # has no factor in common with their number

RAM_MIB = 64
WATCH_S = 3             # how long the manager looks on
FIELDS = ('size', 'pace', 'wire', 'given', 'writes')


def has_pace(row):
    """Something else than this host's scheduler says how long it takes."""
    return bool(row['pace'] or row['wire'])


def device(size, pace):
    """Of the state an eighth may go while the guest runs."""
    keys = {'state_size': f'{size}M', 'initial_size': '1M', 'stop_size': f'{size * 7 // 8}M'}
    if pace:
        keys.update(read_rate=f'{pace}M', write_rate=f'{pace}M')
    return {'gpu0': keys}


class Godwit:
    """Pairs of this project's machines."""

    name = 'godwit'
    limit_ms = 1

    def __init__(self, folder):
        self.folder = folder

    def start(self, name, case, *args):
        _, pace, _, _ = case
        machine = vfio.SimMachine(device(case[0], pace), '-M', 'virt', '-m', f'{RAM_MIB}M',
                                  '-nodefaults', '-bios', 'none', *args, name=name)
        machine.command('migrate-set-capabilities',
                        capabilities=[{'capability': 'return-path', 'state': True}])
        return machine

    def pair(self, case):
        pages = case[3]
        image = migrate.pattern(self.folder, RAM_MIB, fill=True, print_ms=0,
                                pages_per_second=pages or 1, passes=0 if pages else 1)
        src = self.start('src', case, '-kernel', image)
        src.wait_serial('pattern ')
        return src, self.start('dst', case, '-incoming', 'defer')


class Peer(Godwit):
    """Pairs of stock QEMU's."""

    name = 'peer'

    def __init__(self, folder, binary):
        super().__init__(folder)
        self.binary = binary

    def start(self, name, case, *args):
        machine = vfio.SimMachine(device(case[0], case[1]), '-M', 'q35', '-m', f'{RAM_MIB}M',
                                  '-nodefaults', '-accel', 'tcg', *args, name=name,
                                  binary=self.binary)
        machine.command('migrate-set-capabilities',
                        capabilities=[{'capability': 'return-path', 'state': True}])
        return machine

    def pair(self, case):
        return self.start('src', case), self.start('dst', case, '-incoming', 'defer')


def measure(kind, case):
    """One migration: what was expected, and what it was, in milliseconds.
    None: it broke its limit before anybody had allowed more."""
    _, _, (wire, given), _ = case
    src, dst = kind.pair(case)
    try:
        parameters = {'max-bandwidth': 0, 'downtime-limit': kind.limit_ms}
        if given:
            parameters['avail-switchover-bandwidth'] = wire * MIB
        src.command('migrate-set-parameters', **parameters)
        dst.command('migrate-incoming', uri='tcp:127.0.0.1:0')
        port = int(dst.command('query-migrate')['socket-address'][0]['port'])
        relay = migrate.Wire(port, wire * MIB) if wire else None
        src.command('migrate', uri=relay.uri() if relay else f'tcp:127.0.0.1:{port}')
        src.wait_migration('active', 'completed')
        time.sleep(WATCH_S)
        expected = src.command('query-migrate').get('expected-downtime')
        # so that a wrong expectation is measured too, and not waited for
        src.command('migrate-set-parameters', **{'downtime-limit': 2000000,
                                                 'avail-switchover-bandwidth': 1 << 40})
        info = src.wait_migration('completed', 'failed', timeout=300)
        if info['status'] != 'completed':
            raise RuntimeError(f'{info}\n{src.output()}\n{dst.output()}')
        if expected is None and info['downtime'] <= kind.limit_ms:
            raise RuntimeError(f'nothing to expect: {info}')
        return expected, info['downtime']
    finally:
        src.close()
        dst.close()


def row_of(kind, case):
    size, pace, (wire, given), writes = case
    expected, measured = measure(kind, case)
    return {'who': kind.name, **dict(zip(FIELDS, (size, pace, wire, given, writes))),
            'expected_ms': expected, 'measured_ms': measured,
            'error': None if expected is None else abs(expected - measured) / max(measured, 1)}


def summary(rows):
    errors = [row['error'] for row in rows if row['error'] is not None]
    return {'runs': len(rows), 'broke_limit': len(rows) - len(errors),
            'median_error': migrate.median(errors) if errors else None,
            'p95_error': migrate.quantile(errors, 0.95) if errors else None}


def line_of(row):
    expected, error = ('-', 'limit broken') if row['error'] is None else \
        (row['expected_ms'], f'{100 * row["error"]:.1f}')
    return (f'{row["who"]:>7} ' + ' '.join(f'{row[field]!s:>7}' for field in FIELDS) +
            f' {expected:>12} {row["measured_ms"]:12} {error:>12}')


def summary_line(who, result):
    text = f'{who}: {result["runs"]} runs'
    if result['broke_limit']:
        text += f', {result["broke_limit"]} of which broke the limit'
    if result['median_error'] is not None:
        text += (f'; absolute error: median {100 * result["median_error"]:.1f} %, 95th '
                 f'percentile {100 * result["p95_error"]:.1f} %')
    return text


PLOT = """set terminal svg size 800,640 dynamic font 'sans,13' background 'white'
set output '{svg}'
set logscale xy
set key top left
set xlabel 'expected downtime, ms'
set ylabel 'measured downtime, ms'
set title '{title}'
set grid
plot x with lines dashtype 2 linecolor '#888888' title 'true', {series}
"""


def plot(rows, svg, title):
    """Expected against measured, by gnuplot."""
    gnuplot = shutil.which('gnuplot')
    if not gnuplot:
        print('no plot: gnuplot is missing (package gnuplot-nox)')
        return
    script, series = '', []
    for i, who in enumerate(dict.fromkeys(row['who'] for row in rows)):
        lines = [f'{max(row["expected_ms"], 1)} {max(row["measured_ms"], 1)}'
                 for row in rows if row['who'] == who and row['error'] is not None]
        script += f'${who} << EOD\n' + '\n'.join(lines) + '\nEOD\n'
        series.append(f"${who} with points pointtype {7 - 2 * i} pointsize 0.7 title '{who}'")
    script += PLOT.format(svg=svg, title=title, series=', '.join(series))
    subprocess.run([gnuplot], input=script, text=True, check=True)
    print(f'plot: {svg}')


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=len(CASES))
    parser.add_argument('--json', type=pathlib.Path)
    parser.add_argument('--svg', default='downtime-accuracy.svg')
    parser.add_argument('--peer', metavar='QEMU')
    args = parser.parse_args()
    harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    rows = []
    print(f'{"who":>7} ' + ' '.join(f'{field:>7}' for field in FIELDS) +
          f' {"expected ms":>12} {"measured ms":>12} {"error %":>12}')
    with migrate.folder() as folder:
        kinds = [Godwit(folder)] + ([Peer(folder, args.peer)] if args.peer else [])
        # any number of runs is spread over all of the cases
        for i in range(args.runs):
            case = CASES[i * STEP % len(CASES)]
            for kind in kinds:
                if kind.name == 'peer' and case[3]:
                    continue
                row = row_of(kind, case)
                rows.append(row)
                print(line_of(row), flush=True)
    result = {}
    for kind in kinds:
        for who, paced in (kind.name, True), (f'{kind.name}, no pace', False):
            some = [row for row in rows if row['who'] == kind.name and has_pace(row) == paced]
            if some:
                result[who] = summary(some)
                print(summary_line(who, result[who]))
    own = result.get('godwit')          # few runs may have none with a pace
    ok = bool(own and not own['broke_limit'] and own['median_error'] <= MEDIAN and
              own['p95_error'] <= P95)
    plot(rows, args.svg, f'Expected and measured downtime, {len(rows)} migrations')
    line = json.dumps({'bench': 'downtime-accuracy', 'rows': rows, **result,
                       'limits': {'median': MEDIAN, 'p95': P95}, 'ok': ok})
    if args.json:
        args.json.write_text(line + '\n', encoding='utf-8')
    print(line)
    print('as wanted' if ok else 'NOT as wanted')
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
