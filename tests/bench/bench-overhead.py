#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the source process needs besides the guest's memory while it sends.
Prints a table and one line of JSON.
"""
import json
import re
import sys
import time

import migrate
from migrate import MIB

# What the project promises: at most this, and
LIMIT_BYTES = 64 * MIB
LIMIT_PART = 8192           # ... this part of the guest's memory
GUEST_MIB = 4096


def resident(pid, guest_bytes):
    """Bytes resident in a process: of the guest's memory, and all others."""
    guest = rest = size = 0
    with open(f'/proc/{pid}/smaps', encoding='ascii') as smaps:
        for line in smaps:
            span = re.match(r'([0-9a-f]+)-([0-9a-f]+) ', line)
            if span:
                size = int(span[2], 16) - int(span[1], 16)
            elif line.startswith('Rss:'):
                rss = int(line.split()[1]) * 1024
                if size >= guest_bytes:
                    guest += rss
                else:
                    rest += rss
    return guest, rest


def overhead(folder):
    """The most that the source needed beside guest memory, before and while it
    migrates a guest that writes here and there in all of its memory."""
    image = migrate.pattern(folder, GUEST_MIB // 4, pages_per_second=20000, print_ms=0)
    pair = migrate.Pair(ram_mib=GUEST_MIB, image=image,
                        parameters={'max-bandwidth': 100 * MIB, 'downtime-limit': 1})
    guest_bytes = GUEST_MIB * MIB
    try:
        pair.src.wait_serial('pattern ')
        time.sleep(0.5)
        before = resident(pair.src.process.pid, guest_bytes)
        uri = pair.listen()
        pair.src.command('migrate', uri=uri)
        most = (0, 0)
        for _ in range(30):
            time.sleep(0.1)
            most = max(most, resident(pair.src.process.pid, guest_bytes), key=lambda r: r[1])
        status = pair.src.command('query-migrate')['status']
        if status != 'active':
            raise RuntimeError(f'the migration did not last: {status}')
    finally:
        pair.close()
    if before[0] == 0:
        raise RuntimeError("the guest's memory is not found in smaps")
    return before[1], most[1], most[0]


def main():
    with migrate.folder() as folder:
        before, during, guest = overhead(folder)
    limit = LIMIT_BYTES + GUEST_MIB * MIB // LIMIT_PART
    print(f'source process beside {guest / MIB:.0f} MiB of guest memory in use '
          f'(of {GUEST_MIB}): {before / MIB:.1f} MiB before, {during / MIB:.1f} MiB during '
          f'(at most {limit / MIB:.1f})')
    print(json.dumps({'bench': 'overhead', 'guest_bytes': guest, 'before_bytes': before,
                      'during_bytes': during, 'limit_bytes': limit}))
    return 0 if during <= limit else 1


if __name__ == '__main__':
    sys.exit(main())
