#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast the state of a device goes from device to device: the rate of a
migration's blackout against that of a client that does nothing but read a device
(and throws it away), and of one that does nothing but write one (from a file in
memory), in turn and under the same vfio-sim. Prints a table and one line of JSON.

bench-vfio.py [RUNS]
"""
import json
import pathlib
import subprocess
import sys
import time

import migrate
from migrate import MIB
import harness
import vfio
import vfiosim

WANTED = 0.8            # of the slower client

STATE_MIB = 2048
RAM_MIB = 32
DEVICE = {'gpu0': {'state_size': f'{STATE_MIB}M', 'stop_size': f'{STATE_MIB - 1}M'}}


def client(mode, path):
    """Seconds for a client that only reads the device, or only writes one."""
    began = time.monotonic()
    done = subprocess.run([vfiosim.SIM, '--device', vfio.device_keys('gpu0', DEVICE['gpu0']), '--',
                           vfiosim.CLIENT, '@iommufd@', '@gpu0@', mode, path],
                          capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return time.monotonic() - began


def machine(name, *args):
    side = vfio.SimMachine(DEVICE, '-M', 'virt', '-m', f'{RAM_MIB}M', '-nodefaults', '-bios',
                           'none', *args, name=name)
    side.command('migrate-set-capabilities',
                 capabilities=[{'capability': 'return-path', 'state': True}])
    return side


def migration(folder):
    """Seconds of the blackout that went to the device and its loading."""
    src, dst = machine('src'), machine('dst', '-incoming', 'defer')
    try:
        uri = f'unix:{folder}/migration'
        dst.command('migrate-incoming', uri=uri)
        src.command('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 2000000})
        src.command('migrate', uri=uri)
        info = src.wait_migration('completed', 'failed', timeout=120)
        if info['status'] != 'completed':
            raise RuntimeError(f'{info}\n{src.output()}\n{dst.output()}')
        return info['switchover']['measured-us'] / 1e6
    finally:
        src.close()
        dst.close()


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    harness.need(harness.PATTERN, 'no cross compiler for the pattern guest')
    rates = {'read': [], 'write': [], 'migration': []}
    with migrate.folder() as folder:
        state = pathlib.Path('/dev/shm', pathlib.Path(folder).name)
        try:
            client('save', state)
            for run in range(runs + 1):
                seconds = {'read': client('save', '/dev/null'), 'write': client('load', state),
                           'migration': migration(folder)}
                if run == 0:        # memory is touched for the first time
                    continue
                for who, took in seconds.items():
                    rates[who].append(STATE_MIB / took)
                print(', '.join(f'{who} {rate[-1]:6.0f} MiB/s' for who, rate in rates.items()),
                      flush=True)
        finally:
            state.unlink(missing_ok=True)
    # Reading here and writing there go on at the same time: the slower one counts.
    ratios = [moved / min(read, write) for read, write, moved in zip(*rates.values())]
    ratio = migrate.median(ratios)
    print(f'{STATE_MIB} MiB from device to device: {ratio:.2f} of the slower of reading and writing alone '
          f'(median of {runs}; at least {WANTED})')
    print(json.dumps({'bench': 'vfio', 'state_bytes': STATE_MIB * MIB, 'rates': rates,
                      'ratios': ratios, 'median': ratio, 'wanted': WANTED}))
    return 0 if ratio >= WANTED else 1


if __name__ == '__main__':
    sys.exit(main())
