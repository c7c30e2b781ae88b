#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fast load of a snapshot, beside the ordinary load of the same file.

- From before the process is started until the guest is let run, and until it
  has printed a line, for a guest of 4 GiB and one of 64 GiB that have written
  to 64 MiB of it.
- How fast the memory of a paused guest is loaded that is full of noise, against
  reading the same file once into memory that has not been touched, in turn.

The files are in the host's cache. Times of the program are those of its trace
events, on the clock that this reads, too.

bench-fast-load.py [RUNS [DENSE-MIB]]   default 11 and 1024
"""
import json
import mmap
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'functional'))
import harness  # noqa: E402

MIB = 1 << 20
DENSE_RUNS = 5
START_LIMIT_MS, GROWTH_LIMIT_MS, RATIO_LIMIT = 60, 5, 0.8
PLAIN = ['-global', 'migration.mapped-ram=on']
FAST = PLAIN + ['-global', 'migration.postcopy-ram=on']


def machine_args(mib, ram=None):
    backend = f'memory-backend-file,id=mem,size={mib}M,mem-path={ram},share=on' if ram \
        else f'memory-backend-ram,id=mem,size={mib}M'
    return ['-machine', 'virt,memory-backend=mem', '-nodefaults', '-bios', 'none',
            '-object', backend]


def save(folder, name, mib, *, ram=None, **pattern):
    """A snapshot of the pattern guest, running; its path."""
    path = f'{folder}/{name}'
    image = harness.pattern_image(folder, **pattern)
    side = harness.Machine(*machine_args(mib, ram), *PLAIN, '-kernel', image)
    try:
        side.wait_serial('counter ')
        side.command('migrate-set-parameters', max_bandwidth=0, downtime_limit=5000)
        side.command('migrate', uri=f'file:{path}')
        info = side.wait_migration('completed', 'failed', timeout=300)
        assert info['status'] == 'completed', info
    finally:
        side.close()
    return path


class Load:
    """One process that loads; .times of its trace events from its start, ms."""

    def __init__(self, folder, path, mib, caps, paused, last):
        log = pathlib.Path(folder, 'trace')
        log.write_bytes(b'')
        line = [harness.BINARY, '-display', 'none', *machine_args(mib), *caps,
                '-serial', 'stdio', '-D', log, '-trace', 'runstate_set', '-trace', 'fast_load_*',
                '-trace', 'migration_incoming', '-incoming', f'file:{path}']
        began = time.monotonic()
        with subprocess.Popen(line + ['-S'] * paused, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE) as process:
            try:
                self.times = {}
                if not paused:
                    os.read(process.stdout.fileno(), 1)
                    self.times['ready'] = (time.monotonic() - began) * 1e3
                self.wait(process, log, began, last)
            finally:
                process.kill()

    def wait(self, process, log, began, last):
        end = time.monotonic() + 60
        while last not in self.times:
            assert process.poll() is None and time.monotonic() < end, \
                f'no {last}: {log.read_text()}'
            time.sleep(0.005)
            for line in log.read_text().splitlines():
                match = re.match(r'\d+@(\d+\.\d+):(\w+) (.*)', line)
                if match:
                    name = match[2]
                    if name == 'runstate_set' and match[3].endswith('-> running'):
                        name = 'running'
                    self.times[name] = (float(match[1]) - began) * 1e3


def read_plainly(path):
    """Seconds for all of the file into fresh memory."""
    size = os.path.getsize(path)
    with mmap.mmap(-1, size) as memory, open(path, 'rb', buffering=0) as file:
        view = memoryview(memory)
        began = time.monotonic()
        at = 0
        while at < size:
            at += file.readinto(view[at:at + MIB])
        seconds = time.monotonic() - began
        view.release()
    return seconds


def bench_start(folder, runs, results):
    """The four in turn, so that what else the host does falls on all alike."""
    kinds = {}
    for mib in (4096, 65536):
        path = save(folder, f'sparse-{mib}', mib, area_mib=64, print_ms=1, fill=True)
        kinds[f'fast-{mib}'] = (path, mib, FAST, 'fast_load_end')
        kinds[f'ordinary-{mib}'] = (path, mib, PLAIN, 'migration_incoming')
    times = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, (path, mib, caps, last) in kinds.items():
            load = Load(folder, path, mib, caps, False, last)
            times[kind].append([load.times[key] for key in ('running', 'ready', last)])
    print(f'{"start, ms":20} {"guest runs":>10} {"(min)":>8} {"has printed":>12} '
          f'{"all is there":>13}')
    for kind, values in times.items():
        running, ready, loaded = (statistics.median(column) for column in zip(*values))
        least = min(value[0] for value in values)
        results[kind] = {'running_ms': running, 'running_min_ms': least, 'ready_ms': ready,
                         'loaded_ms': loaded}
        print(f'{kind + " MiB":20} {running:10.1f} {least:8.1f} {ready:12.1f} {loaded:13.1f}')
    growth = statistics.median(large[0] - small[0] for small, large in
                               zip(times['fast-4096'], times['fast-65536']))
    results['growth_ms'] = growth
    print(f'wanted: fast, 4 GiB at most {START_LIMIT_MS}; 64 GiB at most {GROWTH_LIMIT_MS} more, '
          f'which are {growth:.1f}')


def bench_dense(folder, runs, mib, results):
    with tempfile.NamedTemporaryFile(dir='/dev/shm') as ram:
        for _ in range(mib):
            ram.write(os.urandom(MIB))
        ram.flush()
        path = save(folder, 'dense', mib, ram=ram.name, area_mib=1, print_ms=1)
    seconds = {'plain': [], 'fast': [], 'ordinary': []}
    for _ in range(runs):
        seconds['plain'].append(read_plainly(path))
        times = Load(folder, path, mib, FAST, True, 'fast_load_end').times
        seconds['fast'].append((times['fast_load_end'] - times['fast_load_start']) / 1e3)
        times = Load(folder, path, mib, PLAIN, True, 'migration_incoming').times
        seconds['ordinary'].append(times['migration_incoming'] / 1e3)
    print(f'{"load, " + str(mib) + " MiB of noise":24} {"MB/s":>10} {"min":>8} {"max":>8}')
    for name, title in (('plain', 'reading the file'), ('fast', 'fast load, eager'),
                        ('ordinary', 'ordinary, from start')):
        speeds = sorted(mib * MIB / s / 1e6 for s in seconds[name])
        results[f'{name}_bps'] = statistics.median(speeds) * 1e6
        print(f'{title:24} {statistics.median(speeds):10.0f} {speeds[0]:8.0f} {speeds[-1]:8.0f}')
    ratio = statistics.median(p / f for p, f in zip(seconds['plain'], seconds['fast']))
    results['ratio'] = ratio
    print(f'{"ratio, eager to reading":24} {ratio:10.2f}   (at least {RATIO_LIMIT})')


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    mib = int(sys.argv[2]) if len(sys.argv) > 2 else 1024
    if not os.path.exists(harness.PATTERN):
        print('skipped: no cross compiler for the pattern guest')
        return harness.SKIPPED
    results = {'bench': 'fast-load', 'runs': runs, 'dense_mib': mib}
    with tempfile.TemporaryDirectory(prefix='godwit-fast-load-', dir='/var/tmp') as folder:
        bench_start(folder, runs, results)
        bench_dense(folder, min(runs, DENSE_RUNS), mib, results)
    print(json.dumps(results))
    good = (results['fast-4096']['running_ms'] <= START_LIMIT_MS
            and results['growth_ms'] <= GROWTH_LIMIT_MS and results['ratio'] >= RATIO_LIMIT)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
