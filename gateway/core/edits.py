"""What a MODIFY changes: `field: value` lines, or the quoted draft edited in place, as values of their types.

Whatever is read is sent back as a diff to confirm, so this reads what was typed rather than guessing what
was meant: a name that is no field is named, never dropped.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from gateway.core import quotes, signature
from gateway.core.action import Field, FieldType
from gateway.core.grammar import is_courtesy
from gateway.core.mail import plain
from gateway.core.visible import conceal


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What was asked to change, by field name; with problems nothing is to be changed at all."""

    values: Mapping[str, Any]
    unknown: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """What is wrong with values, in sentences for their writer."""
    remarks: tuple[str, ...] = ()
    """Lines that belong to no field."""


@dataclass(slots=True)
class _Section:
    """A field as it was typed: what stands on its line, and the lines up to the next."""

    field: Field
    inline: str
    following: list[str] = attribute(default_factory=list)
    is_ended: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a line that looks like another field may still be a slip rather than part of the text."""
        return bool(self.inline) and all(line.strip() for line in self.following)

    @property
    def is_long(self) -> bool:
        """Whether a value may run over several lines."""
        return self.field.type in {FieldType.STRING, FieldType.STRINGS, FieldType.JSON}

    @property
    def one_line(self) -> str:
        """A value that cannot have several."""
        return self.inline or next((line.strip() for line in self.following if line.strip()), "")

    @property
    def beside(self) -> list[str]:
        """The lines under a value of one line, which are no part of it."""
        return [line for line in self.following if line.strip() != self.one_line] if not self.is_long else []


def read(lines: Iterable[str], fields: Sequence[Field] | None, writer: frozenset[str] = frozenset()) -> Edits:
    """Read the lines after the verb. A text goes on until the next field or the end.

    Args:
        lines: what was typed, from behind the verb on.
        fields: what may be changed; where that is not known (None), any name may be, and values are text.
        writer: the words by which the mail names who wrote it, to tell a signature from a value.
    """
    known = {_key(field.name): field for field in fields or ()}
    sections: list[_Section] = []
    unknown: list[str] = []
    remarks: list[str] = []
    for line in lines:
        label, value = _labelled(line)
        if fields is None and label and label.casefold() not in _CONTACTS:
            known.setdefault(_key(label), Field(label.casefold(), FieldType.STRING))
        if _key(label) in known:
            sections.append(_Section(known[_key(label)], value))
        elif label and (not sections or sections[-1].is_open):
            unknown.append(label)
        else:
            (sections[-1].following if sections else remarks).append(line)
    names = [section.field.name for section in sections]
    values, problems = _values(sections, writer)
    return Edits(
        values=values,
        unknown=tuple(dict.fromkeys(name for name in unknown if name.casefold() not in _CONTACTS)),
        repeated=tuple(dict.fromkeys(name for name in names if names.count(name) > 1)),
        problems=problems,
        remarks=(*remarks, *(line for section in sections for line in section.beside)),
    )


def read_draft(lines: Sequence[str], fields: Sequence[Field], values: Mapping[str, Any]) -> Edits:
    """Find what was changed in a quoted draft of ours, whose values were `values`.

    Each field stands there once, under its name: a short one on the line, a long one in lines that begin
    with a bar. What clients do to blanks is no change.
    """
    known = {_key(field.name): field for field in fields if field.name in values}
    drafted = _draft(lines, known)
    changed, problems = _values(
        [each for each in drafted if _differs(each, values[each.field.name])], frozenset()
    )
    return Edits(values=changed, problems=problems)


def is_edited(lines: Sequence[str], fields: Sequence[Field], values: Mapping[str, Any]) -> bool:
    """Whether a quoted draft says something else than it did: who approves that approves something else.

    Only letters and digits count, since programs write the others anew; and only a field that another
    follows, since the end of a quote may be cut off.
    """
    known = {_key(field.name): field for field in fields if field.name in values}
    return any(
        each.is_ended and _letters(_typed(each)) != _letters(_shown(each, values[each.field.name]))
        for each in _draft(lines, known)
    )


def shown_in_draft(lines: Sequence[str], names: Iterable[str] | None) -> dict[str, str]:
    """Return what a draft shows under each of `names`, or under every name, as the text that it is."""
    known = None if names is None else {_key(name): Field(name, FieldType.STRING) for name in names}
    return {each.field.name: each.inline or "\n".join(each.following) for each in _draft(lines, known)}


def is_field_line(line: str, fields: Sequence[Field]) -> bool:
    """Whether the line gives a field a value, so asks for a change; a signature's `Phone: ...` does not."""
    label = _labelled(line)[0].casefold()
    return bool(label) and (names_field(line, fields) or label not in _CONTACTS)


def names_field(line: str, fields: Sequence[Field]) -> bool:
    """Whether the line gives one of these fields a value."""
    return _key(_labelled(line)[0]) in {_key(field.name) for field in fields}


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
_ORNAMENT = " \t*_\"'-\N{BULLET}\N{EN DASH}"
_LINKED_ADDRESS = re.compile(r"[<\[(](?:mailto:|https?:)[^<>\[\]()\s]*[>\])]")
_QUOTE_MARKS = re.compile(r"[ \t]{0,3}(?:>[ \t]?)+")
_BAR = "|"
_BARRED = re.compile(r"\s*\|\s?(.*)")
_CHANGED = re.compile(r"\s*[-+]\s?\|")
"""A line of the list of changes, in which an edited draft's fields stand for the first time."""
_HEADING = re.compile(r"[^\W\d_][^|]{3,80}:")
_WHOLE = re.compile(r"[+-]?\d{1,18}|[+-]?\d{1,3}(?:(?:[.,'\u2019\u202f\xa0 ])\d{3}){1,5}")
_DECIMAL = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,2}|\.\d{4,9})?")
_SWITCHES = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}
_MAX_SIGNATURE = 6


def _labelled(line: str) -> tuple[str, str]:
    """Part `name: value`; the name is empty where the line does not begin with one."""
    head, colon, value = line.replace("\N{FULLWIDTH COLON}", ":", 1).partition(":")
    label = plain(head[: _MAX_LABEL + 1]).strip(_ORNAMENT)
    if not colon or len(head) > _MAX_LABEL or value.startswith("//") or not _LABEL.fullmatch(label):
        return "", ""
    return label, value.strip(" \t\xa0").removeprefix("*").strip()


def _key(name: str) -> str:
    """Return a name as it is compared: `Due date`, `due-date` and `due_date` are one."""
    return re.sub(r"[\s_-]+", "_", name.casefold())


def _values(sections: Iterable[_Section], writer: frozenset[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read each section, and say which cannot be."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for section in sections:
        try:
            values[section.field.name] = _value(section, writer)
        except ValueError as error:
            problems.append(f"{section.field.name} must be {error}")
    return values, tuple(problems)


def _value(section: _Section, writer: frozenset[str]) -> Any:
    """Read one value.

    Raises:
        ValueError: it is not of the field's type; the message says what it must be.
    """
    match section.field.type:
        case FieldType.STRING:
            return _text(section, writer)
        case FieldType.STRINGS:
            return _list(section, writer)
        case FieldType.INTEGER:
            return _whole(section.one_line)
        case FieldType.NUMBER:
            return _number(section.one_line)
        case FieldType.BOOLEAN:
            return _switch(section.one_line)
        case FieldType.JSON:
            return _json("\n".join((section.inline, *section.following)))


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("a whole number, such as 1000")
    return int(re.sub(r"[^\d+-]", "", text))


def _number(text: str) -> int | float:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("a number, such as 1000 or 12.50")
    return float(text.replace(",", ".")) if {".", ","} & set(text) else int(text)


def _switch(text: str) -> bool:
    if text.casefold() not in _SWITCHES:
        raise ValueError("true or false")
    return _SWITCHES[text.casefold()]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError('JSON, such as ["a", "b"] or null') from None


def _list(section: _Section, writer: frozenset[str]) -> list[str]:
    """Read a list: parted by commas, or below its name an entry a line."""
    typed = signature.divide(_first_paragraph(section.following), writer).remarks
    below = [line for line in typed if not is_courtesy(line)]
    joined = " ".join((section.inline, *below)) if section.inline else ",".join(below)
    pieces = (piece.strip(" \t*-") for piece in _LINKED_ADDRESS.sub("", joined).split(","))
    return [piece for piece in pieces if piece]


def _draft(lines: Sequence[str], known: Mapping[str, Field] | None) -> list[_Section]:
    """Part a draft by its fields' names, each where it first stands as a draft; None knows any name."""
    sections: dict[str, _Section] = {}
    current: _Section | None = None
    # Our letters show hidden characters by their code points.
    for line in quotes.without_headers([conceal(_unmarked(line)) for line in lines]):
        label, value = _labelled(line)
        is_field = bool(label) and not line.lstrip().startswith(_BAR)
        if current and (is_field or _HEADING.fullmatch(line)):
            current.is_ended = True
            current = None
        if is_field:
            key = _key(label)
            field = Field(label.casefold(), FieldType.STRING) if known is None else known.get(key)
            before = sections.get(key)
            if field and (before is None or any(map(_CHANGED.match, before.following))):
                current = sections[key] = _Section(field, value)
        elif current:
            current.following.append(line)
    for each in sections.values():
        if not each.inline:
            each.following = _drafted(each)
    return list(sections.values())


def _unmarked(line: str) -> str:
    return _QUOTE_MARKS.sub("", line, count=1)


def _drafted(section: _Section) -> list[str]:
    """Return a text's lines without their bars; what was typed among them counts, what follows does not."""
    barred = [_BARRED.fullmatch(line) for line in section.following]
    last = max((at for at, match in enumerate(barred) if match), default=-1)
    end = last + 1 + len(_first_paragraph(section.following[last + 1 :]))
    return [match[1] if match else line for line, match in zip(section.following[:end], barred, strict=False)]


def _differs(section: _Section, value: Any) -> bool:
    """Whether a field of a draft holds something else than before; blanks do not count."""
    typed = _typed(section)
    return bool(typed.strip()) and "".join(typed.split()) != "".join(_shown(section, value).split())


def _typed(section: _Section) -> str:
    """What stands in a draft under a field's name; a client may have wrapped a short one."""
    wrapped = _first_paragraph(section.following) if section.inline else section.following
    return _LINKED_ADDRESS.sub("", "\n".join((section.inline, *wrapped)))


def _shown(section: _Section, value: Any) -> str:
    shown = ", ".join(value) if section.field.type is FieldType.STRINGS else value
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _letters(text: str) -> str:
    return "".join(letter for letter in plain(text.replace("\n", " ")).casefold() if letter.isalnum())


def _text(section: _Section, writer: frozenset[str]) -> str:
    following = [line.rstrip() for line in section.following]
    if section.inline:
        paragraph_end = len(_first_paragraph(following))
        following = (
            following[:paragraph_end] if _is_signature(following[paragraph_end:], writer) else following
        )
        return "\n".join((section.inline, *following)).rstrip()
    return "\n".join(following).strip("\n")


def _first_paragraph(lines: Sequence[str]) -> Sequence[str]:
    end = next((index for index, line in enumerate(lines) if not line.strip()), len(lines))
    return lines[:end]


def _is_signature(lines: Sequence[str], writer: frozenset[str]) -> bool:
    """Whether the lines are a farewell and a name: the reviewer's own, under a value of one paragraph."""
    filled = [line for line in lines if line.strip()]
    if not filled or len(filled) > _MAX_SIGNATURE:
        return False
    return is_courtesy(filled[0]) or not signature.divide(filled, writer).remarks
