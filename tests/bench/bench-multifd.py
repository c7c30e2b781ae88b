#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast a stopped guest with incompressible memory moves over several
connections, against one stream of the same two processes. In turn, in one run:

- over loopback, where all share the processors: what several connections cost
  where they bring nothing;
- over a line that carries so much a connection, as a network does that
  spreads connections over links or processors: what they are for.

Both receive into memory that is there already. Prints a table and one line of
JSON.

bench-multifd.py [MIB [RUNS]]
"""
import json
import sys

import migrate
from migrate import MIB

CONNECTION_BPS = 40 * MIB
CHANNELS = 4
# What is promised: at least so much of one stream over loopback, and so many
# times one stream over the line.
LOOPBACK_LIMIT = 0.7
LINE_LIMIT = 0.8 * CHANNELS


def set_channels(side, channels):
    side.command('migrate-set-capabilities',
                 capabilities=[{'capability': 'multifd', 'state': channels > 0}])
    if channels:
        side.command('migrate-set-parameters', **{'multifd-channels': channels})


def moved(pair, channels, wire_bps=0):
    """Bytes of guest memory a second, from the end of set-up to completion."""
    pair.capabilities = ('return-path', *(('multifd',) if channels else ()))
    pair.parameters = {'max-bandwidth': 0, 'multifd-channels': channels or 2}
    set_channels(pair.src, channels)
    info = pair.run(wire_bps, 1 + channels)
    speed = info['ram']['normal-bytes'] / ((info['total-time'] - info['setup-time']) / 1000)
    pair.dst.close()
    pair.dst = None
    # The other one is gone, so this one may be sent again.
    pair.src.command('cont')
    pair.src.command('stop')
    return speed


def main():
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    line_mib = 128
    names = ['loopback, one stream', 'loopback, 2 channels', f'loopback, {CHANNELS} channels',
             'line, one stream', f'line, {CHANNELS} channels']
    speeds = {name: [] for name in names}
    with migrate.folder() as folder:
        for size, wire_bps, cases in (
                (mib, 0, zip(names[:3], (0, 2, CHANNELS))),
                (line_mib, CONNECTION_BPS, zip(names[3:], (0, CHANNELS)))):
            cases = list(cases)
            image = migrate.pattern(folder, size, fill=True, passes=1, print_ms=0)
            pair = migrate.Pair(
                '-object', f'memory-backend-ram,id=ram,size={size}M,prealloc=on',
                machine='memory-backend=ram', ram_mib=size, image=image)
            try:
                pair.src.wait_serial('passes ', timeout=240)
                pair.src.command('stop')
                for _ in range(runs):
                    for name, channels in cases:
                        speeds[name].append(moved(pair, channels, wire_bps))
            finally:
                pair.close()
    ratios = {
        'loopback, 2 channels': migrate.median(
            b / a for a, b in zip(speeds[names[0]], speeds[names[1]])),
        names[2]: migrate.median(b / a for a, b in zip(speeds[names[0]], speeds[names[2]])),
        names[4]: migrate.median(b / a for a, b in zip(speeds[names[3]], speeds[names[4]])),
    }
    print(f'{"":24} {"MB/s":>8} {"min":>8} {"max":>8} {"ratio":>8}   ({runs} runs each, '
          f'{mib} and {line_mib} MiB; the line: {CONNECTION_BPS // MIB} MiB/s a connection)')
    for name in names:
        ratio = f'{ratios[name]:8.2f}' if name in ratios else ''
        print(f'{name:24} {migrate.median(speeds[name]) / 1e6:8.0f} '
              f'{min(speeds[name]) / 1e6:8.0f} {max(speeds[name]) / 1e6:8.0f} {ratio}')
    ok = ratios[names[1]] >= LOOPBACK_LIMIT and ratios[names[4]] >= LINE_LIMIT
    print(f'at least {LOOPBACK_LIMIT} over loopback with 2, {LINE_LIMIT:.1f} over the line')
    print(json.dumps({'bench': 'multifd', 'mib': mib, 'line_mib': line_mib,
                      'connection_bps': CONNECTION_BPS, 'bps': speeds, 'ratios': ratios}))
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
