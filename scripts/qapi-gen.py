#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes C and documentation from the schema; see docs/devel/qapi.rst."""
import sys

sys.dont_write_bytecode = True

from qapi.main import main  # noqa: E402

main()
