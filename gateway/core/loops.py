"""Whether a mail may be answered, by its header alone (RFC 3834, section 2).

What marks a mail as automatic is in `automatic`, and decides nothing; here is what else forbids an answer.
"""

from collections.abc import Iterable
from enum import StrEnum

from gateway.core.mail import Header


class Standing(StrEnum):
    """How a mail stands to us."""

    PERSONAL = "personal"
    """It may decide, and may be answered."""
    LISTED = "listed"
    """It came through a list or in bulk: a person may have written it and decide, but nobody is answered."""
    OWN = "own"
    """A letter of ours that came back: it decides nothing and is not answered."""


def standing(lines: Iterable[Header], author: str | None, own: Iterable[str]) -> Standing:
    """Judge a mail by its header lines and its From; `own` are our addresses, in any plus form."""
    ours = {_base(address) for address in own}
    lines = tuple(lines)
    looped = (line.value.strip("<> \t") for line in lines if line.name == "x-loop")
    if any(_base(address) in ours for address in (author or "", *looped)):
        return Standing.OWN
    return Standing.LISTED if any(map(_is_bulk, lines)) else Standing.PERSONAL


def _is_bulk(line: Header) -> bool:
    return line.name.startswith("list-") or (
        line.name == "precedence" and line.value.lower() in {"bulk", "junk", "list"}
    )


def _base(address: str) -> str:
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
