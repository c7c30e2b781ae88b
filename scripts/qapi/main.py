# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of the generator."""
import argparse
import sys

from . import gen_commands, gen_doc, gen_events, gen_introspect, gen_types, \
    gen_visit
from .output import Output
from .parser import SchemaError
from .schema import Schema


def main():
    parser = argparse.ArgumentParser(
        description='Makes C and documentation from a QAPI schema.')
    parser.add_argument('schema', help='the file that includes all others')
    parser.add_argument('-o', '--output', default='.',
                        help='directory for what is made')
    parser.add_argument('-i', '--include', default='',
                        help='path of that directory in #include, with /')
    parser.add_argument('-p', '--prefix', default='',
                        help='put before the names of files and tables')
    parser.add_argument('-b', '--builtins', action='store_true',
                        help='make the lists of the built-in types too')
    parser.add_argument('-D', '--define', action='append', default=[],
                        help="a symbol that is true in 'if'")
    args = parser.parse_args()
    try:
        schema = Schema(args.schema, args.define)
    except (SchemaError, OSError) as error:
        sys.exit(str(error))
    out = Output(args.output, args.include, args.prefix)
    gen_types.generate(schema, out, args.builtins)
    gen_visit.generate(schema, out, args.builtins)
    gen_commands.generate(schema, out)
    gen_events.generate(schema, out)
    gen_introspect.generate(schema, out)
    gen_doc.generate(schema, out)
    out.write()
