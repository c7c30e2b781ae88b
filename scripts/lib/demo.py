#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, to be watched: a guest that works on memory and has a simulated
GPU, most of whose state can only be read while the guest stands still, is moved
into a second process. It does not fit the downtime limit; the manager reads how
long it would take, allows that, and what was foretold is held against what was
measured. scripts/quickstart starts it."""
import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'tests' / 'functional'))
import harness  # noqa: E402  (its folder is known only now)
import vfio     # noqa: E402
import vfiosim  # noqa: E402

LINES_BEFORE = 10       # counter lines to see before and after the move
LINES_AFTER = 10
WATCH_S = 5             # how long to look at a migration that cannot end

# Of the simulated device, in MiB and MiB a second.
STATE_MIB, STOP_MIB, PACE = 256, 192, 250


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--binary', required=True)
    parser.add_argument('--vfio-sim', required=True)
    parser.add_argument('--pattern', required=True, help='the bare-metal guest')
    parser.add_argument('--kernel', help='a Linux guest instead')
    parser.add_argument('--initrd')
    parser.add_argument('--guest-mib', type=int, default=256)
    parser.add_argument('--bandwidth', type=int, default=200, help='MiB a second')
    return parser.parse_args()


def size(count):
    """A byte count in the largest binary unit that keeps it above 1."""
    for unit in ('B', 'KiB', 'MiB', 'GiB'):
        if count < 1024 or unit == 'GiB':
            return f'{count:.4g} {unit}'
        count /= 1024


def guest_options(args, folder):
    if args.kernel:
        job = f'workload+{args.guest_mib}+2000+100'
        return ['-smp', '2', '-m', f'{args.guest_mib + 256}M', '-kernel', args.kernel,
                '-initrd', args.initrd,
                '-append', f'console=ttyS0 quiet godwit.run={job}']
    image = harness.pattern_image(folder, area_mib=args.guest_mib, pages_per_second=2000, fill=True)
    return ['-m', f'{args.guest_mib + 32}M', '-bios', 'none', '-kernel', image]


class Screen:
    """One line that is written again on a terminal, a line each elsewhere."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self.last = 0.0

    def show(self, text):
        now = time.monotonic()
        if self.live:
            print(f'\r\033[K   {text}', end='', flush=True)
        elif now - self.last >= 1:
            print(f'   {text}', flush=True)
            self.last = now

    def done(self):
        if self.live:
            print()


def wait_lines(machine, count, timeout, screen, what):
    began = time.monotonic()
    while len(harness.counters(machine.serial())) < count:
        if machine.process.poll() is not None or time.monotonic() - began > timeout:
            sys.exit(f'\n{machine.name}: no counter within {timeout} s; the guest printed:\n'
                     f'{machine.serial()[-2000:]}\n{machine.output()}')
        screen.show(f'{what} {time.monotonic() - began:.0f} s')
        time.sleep(0.1)
    screen.done()


def progress(info):
    ram = info.get('ram', {})
    parts = [f'{info["status"]:<15}']
    if ram:
        parts += [f'pass {ram["dirty-sync-count"]}',
                  f'remaining {size(info.get("remaining", ram["remaining"]))}',
                  f'{ram.get("mbps", 0):.0f} Mbit/s']
    if 'expected-downtime' in info:
        parts.append(f'expected downtime {info["expected-downtime"]} ms')
    return ', '.join(parts)


def watch(source, screen, seconds):
    """Shows the migration until it ends or so many seconds have passed; the
    last answer of query-migrate."""
    end = time.monotonic() + seconds
    while True:
        info = source.command('query-migrate')
        screen.show(progress(info))
        if info['status'] in ('completed', 'failed', 'cancelled') or time.monotonic() > end:
            screen.done()
            return info
        time.sleep(0.1)


def settle(source, screen):
    """Until memory is across, and what is left is the device's alone."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        info = watch(source, screen, 1)
        ram = info.get('ram')
        if info['status'] not in ('setup', 'active') or \
                (ram and ram['dirty-sync-count'] > 1 and ram['remaining'] < 16 << 20):
            return
    sys.exit('memory did not get across within 120 s')


def migrate(source, target, uri, bandwidth, screen):
    """Moves the guest; the last answer of query-migrate."""
    source.command('migrate-set-parameters', max_bandwidth=bandwidth << 20)
    for machine in (source, target):
        machine.command('migrate-set-capabilities',
                        capabilities=[{'capability': name, 'state': True}
                                      for name in ('return-path', 'switchover-ack')])
    target.command('migrate-incoming', uri=uri)
    source.command('migrate', uri=uri)
    settle(source, screen)
    limit = source.command('query-migrate-parameters')['downtime-limit']
    print(f'== what is left can only be read while the guest stands still; the limit is {limit} ms')
    info = watch(source, screen, WATCH_S)
    if info['status'] != 'active':
        return info
    print(indented(source.command('human-monitor-command', command_line='info migrate')))
    expected = info['expected-downtime']
    print(f'== it waits, and would for ever; allowing the {expected} ms that it says it needs')
    source.command('migrate-set-parameters', downtime_limit=expected)
    return watch(source, screen, 60)


def indented(text):
    return '\n'.join(f'   | {line}' for line in text.replace('\r', '').splitlines() if line)


def report(info, before, after, errors, digests):
    switchover = info.get('switchover', {})
    ram = info['ram']
    missing = set(range(1, max(after) + 1)) - set(before) - set(after)
    print(f'\n   total time           {info["total-time"]} ms, '
          f'{ram["dirty-sync-count"]} passes, {size(ram["transferred"])} sent')
    if 'predicted-us' in switchover:
        print(f'   downtime, predicted  {switchover["predicted-us"] / 1000:.1f} ms')
    print(f'   downtime, measured   {switchover.get("measured-us", info["downtime"] * 1000) / 1000:.1f} ms')
    for phase in switchover.get('phases', []):
        print(f'      {phase["name"]:<18} {phase["duration-us"] / 1000:.1f} ms')
    print(f'   guest counter        {before[0]} to {before[-1]} here, {after[0]} to '
          f'{after[-1]} there, {len(missing)} missing')
    if errors is not None:
        print(f'   memory               {errors} wrong words found by the guest')
    here, there = digests
    print(f'   device state         digest {here or "none"} here, {there or "none"} there')
    return not missing and not errors and here is not None and here == there


def guest_errors(text):
    """What the Linux workload last said of its memory, or None."""
    found = [int(line.split()[5]) for line in text.splitlines()
             if line.startswith('counter ') and len(line.split()) == 6]
    return found[-1] if found else None


def main():
    args = arguments()
    screen = Screen()
    harness.PATTERN = args.pattern
    vfiosim.SIM = args.vfio_sim
    kind = 'Linux' if args.kernel else 'a bare-metal guest'
    print(f'== booting {kind} that rewrites {args.guest_mib} MiB of memory, 2000 pages a second,\n'
          f'   with a simulated GPU (there is no hardware): {STATE_MIB} MiB of state, {STOP_MIB} MiB '
          f'of it\n   only to be read from the stopped device, at {PACE} MiB a second')
    device = {'gpu0': {'state_size': f'{STATE_MIB}M', 'stop_size': f'{STOP_MIB}M',
                       'read_rate': f'{PACE}M'}}
    folder = harness.tempfile.TemporaryDirectory(prefix='godwit-demo-')
    options = ['-M', 'virt', *guest_options(args, folder.name)]
    source = target = None
    try:
        source = vfio.SimMachine(device, *options, name='source', binary=args.binary)
        wait_lines(source, LINES_BEFORE, 240, screen, 'booting,')
        target = vfio.SimMachine(device, *options, '-incoming', 'defer', name='destination',
                                 binary=args.binary)
        print(f'== migrating it, with at most {args.bandwidth} MiB a second')
        info = migrate(source, target, f'unix:{folder.name}/migration', args.bandwidth, screen)
        if info['status'] != 'completed':
            sys.exit(f'migration {info["status"]}: {info.get("error-desc")}')
        wait_lines(target, LINES_AFTER, 60, screen, 'waiting for the guest,')
        whole = source.serial() + target.serial()
        numbers = harness.counters(whole)
        # a line may have been cut in two by the move
        seen = len(harness.counters(source.serial().rpartition('\n')[0]))
        digests = [machine.control('gpu0').query().get('digest')
                   for machine in (source, target)]
        good = report(info, numbers[:seen], numbers[seen:], guest_errors(whole), digests)
        print('== the guest went on without a gap' if good else '== the guest was harmed')
        return 0 if good else 1
    finally:
        for machine in (source, target):
            if machine:
                machine.close()
        folder.cleanup()


if __name__ == '__main__':
    sys.exit(main())
