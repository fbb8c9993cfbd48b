"""Who a mail says it is from: exactly one From line holding exactly one plain address, or nobody.

Everything is read from the raw bytes by a grammar stricter than RFC 5322, because programs disagree about the
rest of it, and what they disagree about is where impersonation lives.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.address import ADDRESS, is_address
from gateway.core.mail import TooLargeError, header_block


class Why(StrEnum):
    """Whether there is a sender, and if not, why not."""

    ONE_ADDRESS = "one-address"
    NO_FROM = "no-from"
    SEVERAL_FROM = "several-from"
    SEVERAL_ADDRESSES = "several-addresses"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Sender:
    """The one address in From, as it was written, or None and why there is none."""

    address: str | None
    why: Why


def identify(raw: bytes) -> Sender:
    """Read the sender's address; Sender, Reply-To and the display name never count. Never raises."""
    try:
        lines = header_lines(raw)
    except MalformedError:
        return Sender(None, Why.MALFORMED)
    found = [value for name, value in lines if name.lower() == b"from"]
    if len(found) != 1:
        return Sender(None, Why.SEVERAL_FROM if found else Why.NO_FROM)
    return _address(found[0])


class MalformedError(ValueError):
    """Programs may disagree about where these header lines begin and end."""


def header_lines(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Split the header into names and unfolded values, from the top.

    Raises:
        MalformedError: what one program would take for a line's end, another would not.
    """
    try:
        block = header_block(raw)
    except TooLargeError as error:
        raise MalformedError(str(error)) from error
    if b"\x00" in block or _BARE_CR.search(block) or _BLANK_FOLD.search(block):
        raise MalformedError("a line may end in two places")
    lines = [_HEADER_LINE.fullmatch(line) for line in _LINE_END.split(_FOLD.sub(b"", block)) if line]
    if None in lines:
        raise MalformedError("a line has no name")
    return [(line[1], line[2]) for line in lines if line]


_HEADER_LINE = re.compile(rb"([\x21-\x39\x3b-\x7e]+):(.*)", re.DOTALL)
_BARE_CR = re.compile(rb"\r(?!\n)")
_BLANK_FOLD = re.compile(rb"\n[ \t]+\r?(?:\n|\Z)")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE_END = re.compile(rb"\r?\n")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_NAME = rf"(?:[^\x22()<>\[\]:;@\\,]|{_QUOTED})*+"
_MAILBOX = re.compile(rf"[ \t]*(?:(?P<bare>{ADDRESS})|{_NAME}<(?P<angle>{ADDRESS})>)[ \t]*")
_SEPARATED = re.compile(rf"(?:[^\x22,]|{_QUOTED})*+,")

_MAX_VALUE = 2000


def _address(value: bytes) -> Sender:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return Sender(None, Why.MALFORMED)
    if len(text) > _MAX_VALUE or _CONTROL.search(text):
        return Sender(None, Why.MALFORMED)
    match = _MAILBOX.fullmatch(text)
    if match is None:
        return Sender(None, Why.SEVERAL_ADDRESSES if _SEPARATED.match(text) else Why.MALFORMED)
    address = match["bare"] or match["angle"]
    return Sender(address, Why.ONE_ADDRESS) if is_address(address) else Sender(None, Why.MALFORMED)
