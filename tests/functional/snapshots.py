# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of snapshots share: the pattern guest, its files in a tmpfs, and
saving it."""
import collections
import os
import pathlib

import pattern
from pattern import AREA_MIB, AREA_START, RAM  # noqa: F401


class Side(pattern.Side):
    """One whose descriptors can be counted."""

    caps = ('events', 'mapped-ram')

    def descriptors(self):
        """What is open, and how often."""
        folder = f'/proc/{self.process.pid}/fd'
        return collections.Counter(os.readlink(f'{folder}/{fd}') for fd in os.listdir(folder))


class Snapshots(pattern.Case):
    """A file for the state, and how it comes to be."""

    side = Side
    below = '/dev/shm'

    def setUp(self):
        super().setUp()
        self.file = pathlib.Path(self.folder, 'state')

    def save(self, src, offset=0):
        """A snapshot of a guest that ran until it was taken."""
        src.command('migrate', uri=f'file:{self.file},offset={offset}')
        self.complete(src)

    def complete(self, side):
        info = side.wait_migration('completed', 'failed', timeout=60)
        self.assertEqual(info['status'], 'completed', info.get('error-desc'))
        return info
