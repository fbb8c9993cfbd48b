"""Whom a mail could not be delivered to, as its delivery status notification says (RFC 3464, RFC 6533).

Only what is written for machines is read, never the text for people, and never the returned mail. Anybody can
write such a notification: it proves no more than whatever else shows that it answers a mail of ours.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from gateway.core.address import is_address
from gateway.core.mail import MAX_BYTES, Header, MailError, UndecodableError, decoded, headers, parse

MAX_FAILURES = 50


@dataclass(frozen=True, slots=True)
class Failure:
    """A recipient for whom the mail was given up."""

    address: str
    """The address that the mail was sent to where the report knows it, else the one it was last tried at."""
    status: str | None
    """Why, as an enhanced status code (RFC 3463): `5.1.1`, or `4.x.x` after the last try; None if unsaid."""
    diagnostic: str = ""
    """What the server that refused it said, shortened."""


def failed_recipients(raw: bytes) -> tuple[Failure, ...]:
    """List who did not get a mail and will not, each once, at most `MAX_FAILURES`.

    Never raises; a delay, a success and any other mail give nothing.
    """
    try:
        reports = tuple(_reports(raw))
        failures = dict.fromkeys(_read(reports) if reports else _named_in_header(headers(raw)))
    except MailError:
        return ()
    return tuple(failures)[:MAX_FAILURES]


_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_LARGEST_BOUNCE = 256 * 1024
_MENTIONED = re.compile(rb"delivery-status", re.IGNORECASE)
_MAX_RECIPIENTS = 200
_LONGEST = 300
_EMPTY_LINES = re.compile(rb"\r?\n(?:[ \t]*\r?\n)+")
_STATUS = re.compile(r"[45]\.\d{1,3}\.\d{1,3}(?!\d)")
_DELAYED = re.compile(r"\W*(?:warning|delay)|.*\(delay\)", re.IGNORECASE)


def _reports(raw: bytes) -> Iterator[bytes]:
    """Yield the bodies of the parts that are reports.

    Raises:
        MailError: the mail exceeds a limit, or cannot be taken apart.
    """
    if len(raw) > MAX_BYTES:
        return
    # The letter that comes back may be large; what matters stands before it.
    raw = raw[:_LARGEST_BOUNCE]
    if not _MENTIONED.search(raw) or _REPORTS.isdisjoint(parse(raw).kinds):
        return
    try:
        for part in _parts(BytesParser(policy=compat32).parsebytes(raw)):
            if part.get_content_type() in _REPORTS:
                yield _body(part)
    except Exception as error:  # as in `parse`: nearly anything
        raise UndecodableError(f"{type(error).__name__} while parsing") from error


def _parts(message: Message) -> Iterator[Message]:
    """Walk down multiparts only, since an attached mail may be a bounce of its own."""
    yield message
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for child in message.get_payload():
            yield from _parts(child)  # type: ignore[arg-type]  # a multipart's payload is a list of parts


def _body(part: Message) -> bytes:
    """Return the octets under the part's own header, which the parser has taken for messages."""
    _, _, body = part.as_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if encoding in {"base64", "quoted-printable"}:
        encoded = Message(policy=compat32)
        encoded["Content-Transfer-Encoding"] = encoding
        encoded.set_payload(body.decode("ascii", "replace"))
        payload = encoded.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""
    return body


def _read(reports: tuple[bytes, ...]) -> Iterator[Failure]:
    for report in reports:
        for group in _EMPTY_LINES.split(report, _MAX_RECIPIENTS)[:_MAX_RECIPIENTS]:
            failure = _failure({header.name: header.value for header in headers(group.strip())})
            if failure:
                yield failure


def _failure(fields: dict[str, str]) -> Failure | None:
    """Read the fields of one recipient; `failed` beside a status of success is a contradiction: nobody."""
    action, _, _ = fields.get("action", "").strip().partition(" ")
    status = fields.get("status", "")
    code = _STATUS.match(status)
    if action.lower() != "failed" or (status and code is None):
        return None
    addresses = (_address(fields.get(name, "")) for name in ("original-recipient", "final-recipient"))
    address = next((found for found in addresses if found), None)
    said = fields.get("diagnostic-code", "").rpartition("smtp;")[2].strip()[:_LONGEST]
    return Failure(address, code[0] if code else None, said) if address else None


def _address(value: str) -> str | None:
    """Read `rfc822; ada@example.com`; some servers leave the type out, and other types are no mailboxes'."""
    kind, typed, generic = value.rpartition(";")
    address = generic.strip().removeprefix("<").removesuffix(">")
    known = not typed or kind.strip().lower() in {"rfc822", "utf-8"}
    return address if known and is_address(address) else None


def _named_in_header(lines: tuple[Header, ...]) -> Iterator[Failure]:
    """Read what Exim and Gmail put on top where there is no report; they do so for delays, too."""
    subjects = (decoded(header.value) for header in lines if header.name == "subject")
    if any(map(_DELAYED.match, subjects)):
        return
    for header in lines:
        if header.name == "x-failed-recipients":
            for value in header.value.split(",", _MAX_RECIPIENTS)[:_MAX_RECIPIENTS]:
                if is_address(value.strip()):
                    yield Failure(value.strip(), None)
