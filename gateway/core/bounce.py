"""Whom a letter did not reach, as its bounce says (RFC 3464). Anybody can write one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.address import is_address
from gateway.core.mail import MailError, headers

MAX_FAILURES = 50


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient whom a letter will not reach; `status` is an enhanced status code (RFC 3463)."""

    address: str
    status: str
    diagnostic: str


def failures(raw: bytes) -> tuple[Failure, ...]:
    """List the recipients that a bounce gives up on, each once; delays are none. Never raises."""
    try:
        found = [*_reported(raw), *_failed_recipients(raw)]
    except MailError:
        return ()
    each = {failure.address.lower(): failure for failure in reversed(found) if is_address(failure.address)}
    return tuple(reversed(each.values()))[:MAX_FAILURES]


_REPORT = re.compile(
    rb"^content-type:[ \t]*message/(?:global-)?delivery-status\b", re.IGNORECASE | re.MULTILINE
)
_EMPTY_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
_LARGEST_REPORT = 64 * 1024
_LONGEST = 300


def _reported(raw: bytes) -> Iterator[Failure]:
    start = _REPORT.search(raw)
    if start is None:
        return
    report = raw[start.start() : start.start() + _LARGEST_REPORT].partition(b"\n--")[0]
    for group in _EMPTY_LINE.split(report)[: MAX_FAILURES + 2]:
        fields = {header.name: header.value for header in headers(group.lstrip(b"\r\n"))}
        address = fields.get("original-recipient") or fields.get("final-recipient")
        if address and fields.get("action", "").lower() == "failed":
            diagnostic = fields.get("diagnostic-code", "").rpartition("smtp;")[2].strip()
            yield Failure(_typed(address), fields.get("status", "")[:_LONGEST], diagnostic[:_LONGEST])


def _failed_recipients(raw: bytes) -> Iterator[Failure]:
    for header in headers(raw):
        if header.name == "x-failed-recipients":
            for address in header.value.split(",")[:MAX_FAILURES]:
                yield Failure(address.strip(), "", "")


def _typed(value: str) -> str:
    """Take the address type off, and the angle brackets that some servers add."""
    return value.rpartition(";")[2].strip().removeprefix("<").removesuffix(">")
