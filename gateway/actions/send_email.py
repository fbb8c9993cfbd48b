"""Send an email: exactly the recipients, headers and body that people saw."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

from gateway.actions.attachments import Attachments
from gateway.actions.refusal import ActionRefusedError
from gateway.core import hypertext
from gateway.core.action import Action, Field, FieldType
from gateway.core.address import HARMLESS, is_public_address
from gateway.core.filetypes import is_disguised
from gateway.core.headers import RememberingRegistry
from gateway.core.policy import Risk
from gateway.letters import Row

NAME = "send_email"
_AUTHORED = ("to", "cc", "bcc", "subject", "body", "html", "attachments")
_WIRE = policy.SMTP.clone(max_line_length=998, header_factory=RememberingRegistry())
_READ = policy.default.clone(header_factory=RememberingRegistry())
_LONGEST_LINE = 998
_LONGEST_SUBJECT = 250
_LONGEST_BODY = 50_000
_RESEMBLING = 0.8
"""How much of a domain has to be that of another to be taken for it, as `difflib` counts."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEmail:
    """Prepares emails under one installation's settings.

    `sender` is From, `envelope_sender` gets the bounces; mail that stays within `internal_domains` has
    `internal_risk`, any other is high. Without `attachments` no file goes along.
    """

    sender: str
    envelope_sender: str
    reply_to: str | None = None
    internal_domains: frozenset[str] = frozenset()
    internal_risk: Risk = Risk.MEDIUM
    max_recipients: int = 20
    attachments: Attachments | None = None

    editable = (
        Field("to", FieldType.STRINGS),
        Field("cc", FieldType.STRINGS),
        Field("bcc", FieldType.STRINGS),
        Field("subject", FieldType.STRING),
        Field("body", FieldType.STRING),
        Field("html", FieldType.STRING),
    )

    async def prepare(self, parameters: Mapping[str, Any]) -> Action:
        """Check recipients, text and files strictly, fill in the sender, and see that the mail can be built.

        A mail has `body` or `html`; the text that goes with HTML is made from it, so that both say the same.

        Raises:
            ActionRefusedError: an address, the subject, the content or a file is not fit to send.
        """
        if unknown := [name for name in parameters if name not in _AUTHORED]:
            raise ActionRefusedError(
                f"{NAME} takes {', '.join(_AUTHORED)}; not {', '.join(map(str, unknown))}"
            )
        authored: dict[str, Any] = {
            "from": self.sender,
            **self._recipients(parameters),
            "subject": _subject(parameters.get("subject")),
            **_content(parameters.get("body"), parameters.get("html")),
            "envelope_from": self.envelope_sender,
        }
        if self.reply_to:
            authored["reply_to"] = self.reply_to
        files: Sequence[bytes] = ()
        if parameters.get("attachments"):
            if self.attachments is None:
                raise ActionRefusedError("attachments: none are allowed here")
            described = asyncio.to_thread(self.attachments.describe, parameters["attachments"])
            authored["attachments"], files = await described
        action = Action(NAME, authored)
        await built(action, "<check@gateway.invalid>", datetime(2000, 1, 1, tzinfo=UTC), files)
        return action

    def proposed(self, action: Action) -> Mapping[str, Any]:
        """Keep what an agent or editor may say; the sender always comes from the settings."""
        given = {name: action.parameters[name] for name in _AUTHORED if name in action.parameters}
        if "attachments" in given:
            given["attachments"] = [fact["path"] for fact in given["attachments"]]
        return given

    def summary(self, action: Action) -> str:
        """Name the first recipient, how many more there are, and the subject."""
        first, *others = recipients(action)
        more = f" and {len(others)} more" if others else ""
        return f"Send email to {first}{more}: {action.parameters['subject']}"

    def rows(self, action: Action) -> tuple[Row, ...]:
        """Show envelope, headers and content, all of them."""
        shown = action.parameters
        headers = [
            Row("From", shown["from"]),
            Row("To", ", ".join(shown["to"])),
            Row("Cc", ", ".join(shown["cc"])),
            Row("Bcc", ", ".join(shown.get("bcc", ()))),
            Row("Recipients", _counted(recipients(action))),
            Row("Attention", self._resembling(recipients(action))),
            Row("Reply-To", shown.get("reply_to", "")),
            Row("Subject", shown["subject"]),
        ]
        content = (
            _hypertext_rows(shown["text"], shown["html"]) if "html" in shown else [Row("Body", shown["body"])]
        )
        files = [
            Row(f"Attachment {n}", _file(fact)) for n, fact in enumerate(shown.get("attachments", ()), 1)
        ]
        return (*(row for row in headers if row.value), *files, *content)

    def _resembling(self, addresses: Iterable[str]) -> str:
        """Say which foreign domains could be taken for one of ours."""
        ours = self.internal_domains
        domains = {address.rpartition("@")[2].lower() for address in addresses} - ours
        pairs = ((each, get_close_matches(each, ours, 1, _RESEMBLING)) for each in sorted(domains))
        return "; ".join(f"{each} is not {found[0]}" for each, found in pairs if found)

    def risk(self, action: Action) -> Risk:
        """High as soon as one recipient is outside."""
        domains = {address.rsplit("@", 1)[1].lower() for address in recipients(action)}
        return self.internal_risk if domains <= self.internal_domains else Risk.HIGH

    def _recipients(self, parameters: Mapping[str, Any]) -> dict[str, list[str]]:
        found = {field: _addresses(field, parameters.get(field)) for field in ("to", "cc", "bcc")}
        if not found["to"]:
            raise ActionRefusedError("to: at least one recipient is needed")
        count = sum(map(len, found.values()))
        if count > self.max_recipients:
            raise ActionRefusedError(f"to, cc, bcc: {count} recipients, at most {self.max_recipients}")
        # An action without hidden recipients has no such field, as it has always been.
        return {field: found[field] for field in found if field != "bcc" or found[field]}


def recipients(action: Action) -> tuple[str, ...]:
    """List the envelope's recipients: to, cc and bcc, each once."""
    named = action.parameters
    return tuple(dict.fromkeys((*named["to"], *named["cc"], *named.get("bcc", ()))))


async def built(action: Action, message_id: str, date: datetime, files: Sequence[bytes]) -> bytes:
    """Do what `build` does, beside everybody else's work where files make it long."""
    return (
        await asyncio.to_thread(build, action, message_id, date, files)
        if files
        else build(action, message_id, date)
    )


def build(action: Action, message_id: str, date: datetime, files: Sequence[bytes] = ()) -> bytes:
    """Make the octets that go over the wire, and read them back to see that they say what was approved.

    `files` are the octets of the attachments, in their order.

    Raises:
        ActionRefusedError: what would be sent is not what the action says (CVE-2024-6923 and its kin).
    """
    message = EmailMessage(policy=_WIRE)
    for name, value in _headers(action):
        message[name] = value
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id
    shown = action.parameters
    (kind, text), *alternatives = _texts(action)
    message.set_content(text, subtype=kind, charset="utf-8", cte=_encoding(text))
    for kind, text in alternatives:
        message.add_alternative(text, subtype=kind, charset="utf-8", cte=_encoding(text))
    for fact, octets in zip(shown.get("attachments", ()), files, strict=True):
        maintype, _, subtype = fact["type"].partition("/")
        message.add_attachment(
            octets, maintype=maintype, subtype=subtype, filename=fact["name"], cte="base64"
        )
    for n, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{sha256(f'{n}{message_id}'.encode()).hexdigest()[:32]}")
    octets = message.as_bytes()
    _compare(action, octets)
    return octets


def _headers(action: Action) -> list[tuple[str, str]]:
    shown = action.parameters
    headers = [
        ("From", shown["from"]),
        ("To", ", ".join(shown["to"])),
        ("Cc", ", ".join(shown["cc"])),
        ("Reply-To", shown.get("reply_to", "")),
        ("Subject", shown["subject"]),
    ]
    return [(name, value) for name, value in headers if value or name == "Subject"]


def _texts(action: Action) -> list[tuple[str, str]]:
    """List the versions of the content, the plainest first (RFC 2046, 5.1.4)."""
    shown = action.parameters
    return (
        [("plain", shown["text"]), ("html", shown["html"])] if "html" in shown else [("plain", shown["body"])]
    )


def _encoding(text: str) -> str:
    plain = text.isascii() and max(map(len, text.split("\n"))) <= _LONGEST_LINE
    return "7bit" if plain else "quoted-printable"


def _compare(action: Action, octets: bytes) -> None:
    """Read a mail back as its recipient will, and refuse any difference."""
    wire = message_from_bytes(octets, policy=_READ)
    # Every mail program starts the body at the first empty line, whatever a parser says.
    head = octets.split(b"\r\n\r\n", 1)[0].decode("ascii", "replace")
    names = [line.split(":", 1)[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
    ours = [name for name, _ in _headers(action)]
    technical = ["Date", "Message-ID", *(_MULTIPART if wire.is_multipart() else _SINGLE)]
    same_headers = sorted(names) == sorted((*ours, *technical)) == sorted(wire.keys())
    same_values = all(str(wire[name]) == value for name, value in _headers(action))
    same_content = [_part(part) for part in wire.walk()] == _expected(action)
    same_parts = {name.lower() for part in wire.iter_parts() for name in _names_below(part)} <= _OF_PARTS
    sound = not any(part.defects or part.epilogue for part in wire.walk())
    if not (same_headers and same_values and same_content and same_parts and sound):
        raise ActionRefusedError("the mail as built would not say what was proposed; nothing is sent")


_SINGLE = ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
_MULTIPART = ["Content-Type", "MIME-Version"]
_OF_PARTS = {"content-type", "content-transfer-encoding", "mime-version", "content-disposition"}

_Part = tuple[str, str | None, str]
"""What must be right in a part: its type, its file name and the SHA-256 of its octets."""


def _names_below(part: Message) -> list[str]:
    return [name for each in part.walk() for name in each]


def _part(part: Message) -> _Part:
    payload = part.get_payload(decode=True)
    octets = payload if isinstance(payload, bytes) else b""
    return part.get_content_type(), part.get_filename(), "" if part.is_multipart() else _hash(octets)


def _expected(action: Action) -> list[_Part]:
    texts: list[_Part] = [
        (f"text/{kind}", None, _hash(text.replace("\n", "\r\n").encode())) for kind, text in _texts(action)
    ]
    files: list[_Part] = [
        (fact["type"], fact["name"], fact["sha256"]) for fact in action.parameters.get("attachments", ())
    ]
    if len(texts) > 1:
        texts.insert(0, ("multipart/alternative", None, ""))
    mixed: list[_Part] = [("multipart/mixed", None, "")] if files else []
    return [*mixed, *texts, *files]


def _hash(octets: bytes) -> str:
    return sha256(octets).hexdigest()


# --- what people see ----------------------------------------------------------------------------------------


def _counted(addresses: Sequence[str]) -> str:
    """Count the recipients and name their domains, where there are several."""
    if len(addresses) == 1:
        return ""
    domains = Counter(address.rsplit("@", 1)[1].lower() for address in addresses)
    return f"{len(addresses)}: {', '.join(f'{count} at {domain}' for domain, count in domains.items())}"


def _hypertext_rows(text: str, html: str) -> list[Row]:
    try:
        read = hypertext.read(html)
    except hypertext.MarkupRefusedError as error:  # an older version took it, and letters must be written
        return [Row("Text", text), Row("Mind", f"This HTML is no longer taken: {error}"), Row("HTML", html)]
    mind = "Styles, classes or colours decide what of this its readers see, and how." if read.styled else ""
    links = [Row(f"Link {n}", _link(target)) for n, target in enumerate(read.targets, 1)]
    return [Row("Text", text), *([Row("Mind", mind)] if mind else []), *links, Row("HTML", html)]


def _link(target: hypertext.Target) -> str:
    text = f", shown as “{target.text}”" if target.text and target.text != target.url else ""
    warning = ", WHICH NAMES ANOTHER HOST" if target.belies else ""
    return f"{target.url} ({target.where}{text}{warning})"


def _file(fact: Mapping[str, Any]) -> str:
    size = "EMPTY" if fact["size"] == 0 else f"{fact['size']:,} bytes"
    looks = f", its content is {fact['looks']}" if fact["looks"] else ""
    warning = ", NOT WHAT ITS NAME SAYS" if is_disguised(fact["type"], fact["looks"] or None) else ""
    lines = [f"{fact['path']}, {size}, {fact['type']}{looks}{warning}", f"SHA-256 {fact['sha256']}"]
    return "\n".join(lines)


# --- what is accepted ---------------------------------------------------------------------------------------


def _addresses(field: str, value: Any) -> list[str]:
    given = [value] if isinstance(value, str) else value or []
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise ActionRefusedError(f"{field}: a list of addresses is needed")
    wanted = [each.strip() for each in given if each.strip()]
    if bad := [each for each in wanted if not is_public_address(each)]:
        named = ", ".join(map(repr, bad))
        raise ActionRefusedError(f"{field}: not a plain address: {named}; before the @ only {HARMLESS}")
    return list(dict.fromkeys(wanted))


def _subject(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ActionRefusedError("subject: a line of text is needed")
    subject = value.strip()
    if _CONTROL.search(subject) or "\n" in subject or "\t" in subject:
        raise ActionRefusedError("subject: line breaks and control characters are not allowed")
    if "=?" in subject:
        raise ActionRefusedError("subject: '=?' is not allowed, mail programs read it as an encoding")
    if len(subject) > _LONGEST_SUBJECT:
        raise ActionRefusedError(f"subject: {len(subject)} characters, at most {_LONGEST_SUBJECT}")
    return subject


def _content(body: Any, html: Any) -> dict[str, str]:
    if html is None or html == "":
        return {"body": _long_text("body", body)}
    if body is not None and body != "":
        raise ActionRefusedError("body, html: give one of them; the text of an HTML mail is made from it")
    source = _long_text("html", html)
    try:
        return {"html": source, "text": hypertext.read(source).text}
    except hypertext.MarkupRefusedError as error:
        raise ActionRefusedError(f"html: {error}") from error


def _long_text(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ActionRefusedError(f"{field}: a text is needed")
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    if _CONTROL.search(text):
        raise ActionRefusedError(f"{field}: control characters are not allowed")
    if len(text) > _LONGEST_BODY:
        raise ActionRefusedError(f"{field}: {len(text):,} characters, at most {_LONGEST_BODY:,}")
    return text if text.endswith("\n") else text + "\n"
