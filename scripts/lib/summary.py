#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sums up a run of `meson test`.

summary.py BUILD-FOLDER LOG [RESULTS...]: prints the tests that failed or were
skipped, what the failed ones said, and the closing line "N passed, N failed, N
skipped". Status 1 if one failed or none ran. RESULTS are files as meson's
testlog.json, with tests that it does not run.
"""
import json
import pathlib
import sys

GOOD = {'OK', 'EXPECTEDFAIL'}
SKIPPED = {'SKIP'}


def read(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]


def main(build, log, *others):
    results = read(pathlib.Path(build, 'meson-logs', 'testlog.json'))
    ran = bool(results)
    for other in others:
        results += read(pathlib.Path(other))
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    for result in results:
        name, outcome = result['name'], result['result']
        if outcome in GOOD:
            counts['passed'] += 1
        elif outcome in SKIPPED:
            counts['skipped'] += 1
            said = (result.get('stdout') or result.get('stderr') or '').strip().splitlines()
            print(f'skipped: {name}: {said[-1] if said else "no reason given"}')
        else:
            counts['failed'] += 1
            print(f'FAILED: {name} ({outcome})')
            for stream in ('stdout', 'stderr'):
                for line in (result.get(stream) or '').splitlines()[-60:]:
                    print(f'    {line}')
    if not ran:
        print(pathlib.Path(log).read_text(encoding='utf-8')[-4000:])
    print(', '.join(f'{count} {what}' for what, count in counts.items()))
    return 1 if counts['failed'] or not ran else 0


if __name__ == '__main__':
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
