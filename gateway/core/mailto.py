"""The prefilled mails with which a reviewer answers, as `mailto:` links (RFC 6068).

What is prefilled here is what a reply is read for: the verb alone on the first line, then `field: value`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.core.action import Field, FieldType
from gateway.core.visible import hidden

LENGTH = 1800
"""Longer links are cut off by some mail programs."""

# Lines that begin so end a reply's own text, or may be taken for a quotation, whoever wrote them.
_CUTS = ("--", "__", ">", "|", "from:", "on ", "ref:")
# Mail programs wrap longer lines when they send.
_WRAPPED = 70


def link(address: str, subject: str, lines: Sequence[str]) -> str:
    """Make a link that opens a mail to `address`; spaces, line breaks and the plus are percent-encoded."""
    body = quote("\r\n".join(lines), safe="")
    return f"mailto:{quote(address, safe='@')}?subject={quote(subject, safe='')}&body={body}"


@dataclass(frozen=True, slots=True)
class Form:
    """The mail for an edit: the verb, a line for each field with its present value, and the closing lines."""

    verb: str
    fields: tuple[Field, ...]
    values: Mapping[str, Any]
    closing: tuple[str, ...] = ()


def prefilled(address: str, subject: str, form: Form) -> str:
    """Make a link that opens a mail with `form` filled in.

    The longest fields are left out first when the link would be too long, and so is every field that a
    reader of the mail might not read back exactly. What is left out stays as it is unless it is typed.
    """
    names = [field.name for field in form.fields]
    written = {field.name: _written(field, form.values.get(field.name), names) for field in form.fields}
    lines = [f"{name}: {text}" for name, text in written.items() if text]
    while True:
        made = link(address, subject, [form.verb, "", *"\n".join(lines).split("\n"), *form.closing])
        if len(made) <= LENGTH or not lines:
            return made
        lines.remove(max(lines, key=len))


def _written(field: Field, value: Any, names: Sequence[str]) -> str | None:
    """Write a value as it can be typed, or nothing where reading it back could give another value."""
    if field.type is FieldType.STRINGS:
        parts = list(value or ())
        return (
            None
            if any("," in part or part != part.strip() for part in parts)
            else _safe(", ".join(parts), names)
        )
    return _safe(value, names) if isinstance(value, str) else None


def _safe(text: str, names: Sequence[str]) -> str | None:
    cuts = (*_CUTS, *(f"{name.lower()}:" for name in names))
    lines = text.split("\n")
    changed = any(
        line.lower().startswith(cuts) or len(line) > _WRAPPED or line != line.rstrip() for line in lines
    )
    return None if changed or hidden(text) or text != text.strip() else text
