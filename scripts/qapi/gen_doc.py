# SPDX-License-Identifier: GPL-2.0-or-later
"""The reference of the schema, in reStructuredText."""
from .parser import Doc
from .schema import Alternate, Enum, List, Object


def heading(text, mark):
    return [text, mark * len(text), '']


def type_text(this):
    if this is None:
        return 'nothing'
    if isinstance(this, List):
        return f'list of ``{this.element.name}``'
    return f'``{this.name}``'


def paragraphs(lines):
    text = '\n'.join(lines).strip()
    return [text, ''] if text else []


def item(name, note, lines):
    body = ' '.join(line.strip() for line in lines if line.strip())
    return [f'``{name}``' + (f' ({note})' if note else ''), f'    {body}', '']


def member_note(member):
    return type_text(member.type) + (', optional' if member.optional else '')


def members(entity):
    """The list of members, values or arguments of an entity."""
    doc = entity.doc
    lines = []
    if isinstance(entity, Enum):
        for value in entity.values:
            lines += item(value.name, '', doc.members[value.name])
        return lines
    if isinstance(entity, Alternate):
        for variant in entity.variants:
            lines += item(variant.name, type_text(variant.type),
                          doc.members[variant.name])
        return lines
    this = entity if isinstance(entity, Object) else entity.arg
    if this is None:
        return lines
    if not isinstance(entity, Object) and not this.implicit:
        return [f'Arguments: the members of ``{this.name}``', '']
    for member in this.members:
        lines += item(member.name, member_note(member),
                      doc.members[member.name])
    if this.base:
        lines += [f'Also the members of ``{this.base.name}``.', '']
    for variant in this.variants:
        lines += [f'When ``{this.tag.name}`` is ``{variant.name}``: '
                  f'the members of ``{variant.type.name}``.', '']
    return lines


def entity_lines(entity):
    kind = entity.kind
    if getattr(entity, 'variants', None) and isinstance(entity, Object):
        kind = 'union'
    lines = heading(f'{entity.name} ({kind})', '~')
    lines += paragraphs(entity.doc.text) + members(entity)
    for feature in entity.features:
        lines += item(feature.name, 'feature',
                      entity.doc.features[feature.name])
    if entity.kind == 'command':
        lines += [f'Returns {type_text(entity.ret)}. ' +
                  ' '.join(entity.doc.tags.get('Returns', [])).strip(), '']
        if entity.allow_oob:
            lines += ['May be executed out of band.', '']
    for tag in ('Errors', 'Note', 'Since'):
        if tag in entity.doc.tags:
            text = ' '.join(x for x in entity.doc.tags[tag] if x)
            lines += [f'{tag}: {text}', '']
    return lines


def generate(schema, out):
    lines = heading('QMP reference', '=')
    lines += ['Generated from ``qapi/*.json``. How the protocol works is in '
              '``docs/interop/qmp.rst``.', '']
    for module in schema.modules:
        for entity in module.docs:
            if isinstance(entity, Doc):
                text = list(entity.text)
                if text and text[0].startswith('= '):
                    lines += heading(text.pop(0)[2:], '-')
                lines += paragraphs(text)
            else:
                lines += entity_lines(entity)
    out.files[out.prefix + 'qmp-reference.rst'] = lines
