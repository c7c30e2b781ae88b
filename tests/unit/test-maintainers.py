#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every file of the tree has a section in MAINTAINERS, and every pattern there
matches a file. TAP."""
import fnmatch
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def patterns():
    """The F: lines: a folder ends in '/', '*' does not cross folders."""
    for line in (ROOT / 'MAINTAINERS').read_text(encoding='utf-8').splitlines():
        if line.startswith('F:'):
            yield line[2:].strip()


def matches(path, pattern):
    if pattern.endswith('/'):
        return path.startswith(pattern)
    return (path.count('/') == pattern.count('/')
            and fnmatch.fnmatchcase(path, pattern))


def main():
    listing = subprocess.run(['git', '-C', ROOT, 'ls-files', '-co', '--exclude-standard'],
                             capture_output=True, text=True, check=False)
    if listing.returncode:
        print('1..0 # SKIP not a git checkout')
        return 0
    files = listing.stdout.splitlines()
    known = list(patterns())
    orphans = [f for f in files if not any(matches(f, p) for p in known)]
    idle = [p for p in known if not any(matches(f, p) for f in files)]
    print('1..2')
    for number, (what, found) in enumerate((('files without a maintainer', orphans),
                                            ('patterns without a file', idle)), 1):
        print(f'{"not ok" if found else "ok"} {number} - no {what}')
        for name in found:
            print(f'# {name}')
    return 1 if orphans or idle else 0


if __name__ == '__main__':
    sys.exit(main())
