#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Predicted against measured downtime: migrations of guests with different
dirty rates, over lines and under limits of different bandwidths, the bandwidth
for the switchover given or not. Prints a table, the distribution, of all and
of loopback and real lines by themselves, and one line of JSON.

The destination's memory is there before it comes in: see bench-processes.py.

bench-lines.py [RUNS]
"""
import json
import sys

import migrate
from migrate import MIB

LIMIT = 0.15    # what the project promises of the median absolute error

RAM_MIB = 96
# Of the bandwidth: how fast the guest writes to pages.
DIRTY = (0, 0.1, 0.25, 0.4, 0.6)
LOOPBACK = 500  # MiB a second: what the share of loopback is taken of
# MiB a second: of the line (0: loopback), max-bandwidth (0: none); whether
# avail-switchover-bandwidth says what the line can do; downtime-limit in ms.
LINES = (
    (0, 0, False, 20),
    (0, 100, False, 50),
    (50, 0, False, 300),
    (100, 0, True, 200),
    (200, 100, False, 100),
    (40, 0, True, 500),
)


# The destination has its memory, as a host has that does not overcommit.
MEMORY = ('-object', f'memory-backend-ram,id=ram,size={RAM_MIB}M,prealloc=on')


def one(folder, dirty, line, cap, given, limit_ms):
    slowest = min(line or LOOPBACK, cap or LOOPBACK)
    pages = int(dirty * slowest * MIB / 4096)
    image = migrate.pattern(folder, RAM_MIB, fill=True, print_ms=0,
                            pages_per_second=pages or 1, passes=0)
    parameters = {'max-bandwidth': cap * MIB, 'downtime-limit': limit_ms}
    if given:
        parameters['avail-switchover-bandwidth'] = line * MIB
    pair = migrate.Pair(*MEMORY, machine='memory-backend=ram', ram_mib=RAM_MIB, image=image,
                        parameters=parameters)
    try:
        pair.src.wait_serial('pattern ')
        info = pair.run(line * MIB)
    finally:
        pair.close()
    return info


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else len(DIRTY) * len(LINES)
    cases = [(dirty, *line) for dirty in DIRTY for line in LINES]
    results = []
    print(f'{"dirty":>6} {"line":>5} {"max":>5} {"given":>5} {"limit":>6} '
          f'{"predicted ms":>13} {"measured ms":>12} {"error %":>8}  phases')
    with migrate.folder() as folder:
        for i in range(runs):
            case = cases[i % len(cases)]
            info = one(folder, *case)
            so = info['switchover']
            predicted, measured = so['predicted-us'] / 1000, so['measured-us'] / 1000
            error = (predicted - measured) / measured
            results.append({'case': list(case), 'predicted_ms': predicted,
                            'measured_ms': measured, 'error': error})
            phases = ', '.join(f'{p["name"]} {p["duration-us"] / 1000:.1f}'
                               for p in so['phases'])
            print(f'{case[0]:6} {case[1]:5} {case[2]:5} {case[3]!s:>5} {case[4]:6} '
                  f'{predicted:13.1f} {measured:12.1f} {error * 100:8.1f}  {phases} '
                  f'[pass {info["ram"]["dirty-sync-count"]}]', flush=True)
    errors = [abs(r['error']) for r in results]
    middle = migrate.median(errors)
    for name, part in (('loopback', [abs(r['error']) for r in results if not r['case'][1]]),
                       ('lines', [abs(r['error']) for r in results if r['case'][1]])):
        if part:
            print(f'{name}: median absolute error {migrate.median(part) * 100:.1f} % '
                  f'of {len(part)} runs')
    spread = {str(p): migrate.quantile(errors, p / 100) for p in (10, 25, 50, 75, 90, 100)}
    print('absolute error, quantiles: ' +
          ', '.join(f'{p} %: {value * 100:.1f} %' for p, value in spread.items()))
    print(f'median absolute error {middle * 100:.1f} % (at most {LIMIT * 100:.0f} %), '
          f'{runs} runs')
    print(json.dumps({'bench': 'lines', 'runs': results, 'quantiles': spread,
                      'median_error': middle, 'limit': LIMIT}))
    return 0 if middle <= LIMIT else 1


if __name__ == '__main__':
    sys.exit(main())
