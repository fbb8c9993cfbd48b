"""Lines of a mail as they are looked at: short, readable, and mended where UTF-8 was taken for Latin-1."""

import re

from gateway.core.mail import plain

LOOKED_AT = 500
"""How much of a line is searched for a mark."""


def seen(line: str) -> str:
    """Return the part of a line that is looked at, blank ends trimmed."""
    text = plain(line[:LOOKED_AT])[:LOOKED_AT].strip()
    return _mended(text) if _GARBLED.search(text) else text


def _mended(text: str) -> str:
    """Undo what happens to UTF-8 that is taken for Latin-1, so that the heading of a quote is recognised."""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text


_GARBLED = re.compile("[\u00c2\u00c3\u00d0][\u0080-\u00bf\u0152-\u2122]")
