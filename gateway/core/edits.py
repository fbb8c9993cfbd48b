"""The `field: value` lines of a MODIFY, read into values of the fields' types.

Whatever is read is sent back as a diff to confirm, so this reads what was typed rather than guessing what
was meant: a name that is no field is named, never dropped.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from gateway.core.action import Field, FieldType
from gateway.core.grammar import is_courtesy
from gateway.core.mail import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What was asked to change, by field name; with problems nothing is to be changed at all."""

    values: Mapping[str, Any]
    unknown: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """Lines that belong to no field."""


@dataclass(slots=True)
class _Section:
    field: Field
    inline: str
    following: list[str] = attribute(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether a line that looks like another field may still be a slip rather than part of the text."""
        return bool(self.inline) and all(line.strip() for line in self.following)


def read(lines: Iterable[str], fields: Sequence[Field]) -> Edits:
    """Read the lines after the verb. A text goes on until the next field or the end."""
    known = {field.name.casefold(): field for field in fields}
    sections: list[_Section] = []
    unknown: list[str] = []
    remarks: list[str] = []
    for line in lines:
        label, value = _labelled(line)
        if label.casefold() in known:
            sections.append(_Section(known[label.casefold()], value))
        elif label and (not sections or sections[-1].is_open):
            unknown.append(label)
        else:
            (sections[-1].following if sections else remarks).append(line)
    names = [section.field.name for section in sections]
    return Edits(
        values={section.field.name: _value(section) for section in sections},
        unknown=tuple(dict.fromkeys(unknown)),
        repeated=tuple(dict.fromkeys(name for name in names if names.count(name) > 1)),
        remarks=tuple(remarks),
    )


def is_field_line(line: str, fields: Sequence[Field]) -> bool:
    """Whether the line gives a field a value, so asks for a change; a signature's `Phone: ...` does not."""
    label = _labelled(line)[0].casefold()
    return bool(label) and (names_field(line, fields) or label not in _CONTACTS)


def names_field(line: str, fields: Sequence[Field]) -> bool:
    """Whether the line gives one of these fields a value."""
    return _labelled(line)[0].casefold() in {field.name.casefold() for field in fields}


_LABEL = re.compile(r"[^\W\d_][\w.-]*(?: [\w.-]+){0,2}")
_MAX_LABEL = 40
_CONTACTS = frozenset(
    {
        *(
            "phone",
            "tel",
            "telephone",
            "mobile",
            "cell",
            "fax",
            "email",
            "e-mail",
            "mail",
            "web",
            "website",
            "www",
        ),
        *(
            "skype",
            "address",
            "office",
            "direct",
            "twitter",
            "linkedin",
            "t",
            "m",
            "p",
            "f",
            "e",
            "w",
            "o",
            "d",
            "mob",
        ),
        *("tel.", "fon", "handy", "mobil", "telefon", "telefax", "url", "ph", "irc", "icq", "gpg", "pgp"),
    }
)
_ORNAMENT = " \t*_\"'\N{BULLET}"
_LINKED_ADDRESS = re.compile(r"<mailto:[^<>\s]*>")
_MAX_SIGNATURE = 6


def _labelled(line: str) -> tuple[str, str]:
    """Part `name: value`; the name is empty where the line does not begin with one."""
    head, colon, value = line.replace("\N{FULLWIDTH COLON}", ":", 1).partition(":")
    label = plain(head[: _MAX_LABEL + 1]).strip(_ORNAMENT)
    if not colon or len(head) > _MAX_LABEL or value.startswith("//") or not _LABEL.fullmatch(label):
        return "", ""
    return label, value.strip(" \t\xa0").removeprefix("*").strip()


def _value(section: _Section) -> Any:
    if section.field.type is FieldType.STRINGS:
        paragraph = _LINKED_ADDRESS.sub("", " ".join((section.inline, *_first_paragraph(section.following))))
        return [piece.strip() for piece in paragraph.split(",") if piece.strip()]
    following = [line.rstrip() for line in section.following]
    if section.inline:
        paragraph_end = len(_first_paragraph(following))
        following = following[:paragraph_end] if _is_signature(following[paragraph_end:]) else following
        return "\n".join((section.inline, *following)).rstrip()
    return "\n".join(following).strip("\n")


def _first_paragraph(lines: Sequence[str]) -> Sequence[str]:
    end = next((index for index, line in enumerate(lines) if not line.strip()), len(lines))
    return lines[:end]


def _is_signature(lines: Sequence[str]) -> bool:
    """Whether the lines are a farewell and a name: the reviewer's own, under a value of one paragraph."""
    filled = [line for line in lines if line.strip()]
    return bool(filled) and len(filled) <= _MAX_SIGNATURE and is_courtesy(filled[0])
