#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux from process start to user space, here and in qemu-system-riscv64, in
turn in one run. Prints a table and one line of JSON.

bench-boot.py GODWIT-BINARY [RUNS]; the guest is that of GODWIT_TEST_KERNEL and
GODWIT_TEST_INITRD (see scripts/get-guest).
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

READY = b'godwit-guest: ready'
LIMIT = 6.0     # what the project promises: at most so many times the reference


def boot(binary, kernel, initrd):
    """Seconds until the guest's init speaks."""
    line = [binary, '-M', 'virt', '-m', '512', '-nographic', '-kernel', kernel,
            '-initrd', initrd, '-no-reboot',
            '-append', 'console=ttyS0 quiet godwit.modules=no godwit.run=true']
    began = time.monotonic()
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        said = b''
        while READY not in said:
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                sys.exit(f'{binary} ended before user space: {said[-2000:]!r}')
            said += data
        seconds = time.monotonic() - began
        process.kill()
    return seconds


def main():
    binary, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    kernel = os.environ.get('GODWIT_TEST_KERNEL')
    initrd = os.environ.get('GODWIT_TEST_INITRD')
    reference = shutil.which('qemu-system-riscv64')
    if not kernel or not initrd:
        print('skipped: no Linux guest (GODWIT_TEST_KERNEL, GODWIT_TEST_INITRD)')
        return 77
    if not reference:
        print('skipped: no qemu-system-riscv64 to compare with')
        return 77
    here, there = [], []
    for _ in range(runs):
        here.append(boot(binary, kernel, initrd))
        there.append(boot(reference, kernel, initrd))
    ratio = statistics.median(a / b for a, b in zip(here, there))
    print(f'{"":12} {"median s":>9} {"min s":>7} {"max s":>7}   ({runs} runs each)')
    for name, times in (('godwit', here), ('reference', there)):
        print(f'{name:12} {statistics.median(times):9.2f} {min(times):7.2f} {max(times):7.2f}')
    print(f'ratio        {ratio:9.2f}   (limit {LIMIT})')
    print(json.dumps({'bench': 'boot', 'runs': runs, 'godwit_s': here,
                      'reference_s': there, 'ratio': ratio, 'limit': LIMIT}))
    return 0 if ratio <= LIMIT else 1


if __name__ == '__main__':
    sys.exit(main())
