# SPDX-License-Identifier: GPL-2.0-or-later
"""From the schema in qapi/ to C and documentation. See docs/devel/qapi.rst."""
