# SPDX-License-Identifier: GPL-2.0-or-later
"""How names of the schema become names of C."""
import re

# Keywords, and words that compilers or system headers take as macros.
TAKEN = frozenset('''
    auto break case char const continue default do double else enum extern
    float for goto if inline int long register restrict return short signed
    sizeof static struct switch typedef union unsigned void volatile while
    asm typeof bool true false and or not xor
    unix linux i386 errno mips sparc
'''.split())


def c_name(name):
    """The C identifier of a member, branch or command."""
    ident = re.sub(r'\W', '_', name)
    if ident in TAKEN or ident[0].isdigit():
        ident = 'q_' + ident
    return ident


def upper(name):
    """CamelCase to CAMEL_CASE: QMPCapability to QMP_CAPABILITY."""
    name = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_',
                  name)
    return re.sub(r'\W', '_', name).upper()


def enum_const(enum, value):
    """The constant of one value of an enumeration."""
    return (enum.prefix or upper(enum.name)) + '_' + \
        re.sub(r'\W', '_', value).upper()


def guard(path):
    return re.sub(r'\W', '_', path).upper()
