"""Send an email: exactly the recipients, headers and body that people saw."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from gateway.actions.refusal import ActionRefusedError
from gateway.core.action import Action, Field, FieldType
from gateway.core.address import is_public_address
from gateway.core.headers import RememberingRegistry
from gateway.core.policy import Risk
from gateway.letters import Row

NAME = "send_email"
_AUTHORED = ("to", "cc", "subject", "body")
_WIRE = policy.SMTP.clone(max_line_length=998, header_factory=RememberingRegistry())
_READ = policy.default.clone(header_factory=RememberingRegistry())
_LONGEST_LINE = 998
_LONGEST_SUBJECT = 250
_LONGEST_BODY = 50_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEmail:
    """Prepares emails under one installation's settings.

    `sender` is From, `envelope_sender` gets the bounces; mail that stays within `internal_domains` has
    `internal_risk`, any other is high.
    """

    sender: str
    envelope_sender: str
    reply_to: str | None = None
    internal_domains: frozenset[str] = frozenset()
    internal_risk: Risk = Risk.MEDIUM
    max_recipients: int = 20

    editable = (
        Field("to", FieldType.STRINGS),
        Field("cc", FieldType.STRINGS),
        Field("subject", FieldType.STRING),
        Field("body", FieldType.STRING),
    )

    async def prepare(self, parameters: Mapping[str, Any]) -> Action:
        """Check recipients and text strictly, fill in the sender, and see that the mail can be built.

        Raises:
            ActionRefusedError: an address, the subject or the body is not fit to send.
        """
        if unknown := [name for name in parameters if name not in _AUTHORED]:
            raise ActionRefusedError(
                f"{NAME} takes {', '.join(_AUTHORED)}; not {', '.join(map(str, unknown))}"
            )
        to, cc = _addresses("to", parameters.get("to")), _addresses("cc", parameters.get("cc"))
        if not to:
            raise ActionRefusedError("to: at least one recipient is needed")
        if len(to) + len(cc) > self.max_recipients:
            raise ActionRefusedError(f"to, cc: {len(to) + len(cc)} recipients, at most {self.max_recipients}")
        authored = {
            "from": self.sender,
            "to": to,
            "cc": cc,
            "subject": _subject(parameters.get("subject")),
            "body": _body(parameters.get("body")),
            "envelope_from": self.envelope_sender,
        }
        if self.reply_to:
            authored["reply_to"] = self.reply_to
        action = Action(NAME, authored)
        build(action, "<check@gateway.invalid>", datetime(2000, 1, 1, tzinfo=UTC))
        return action

    def proposed(self, action: Action) -> Mapping[str, Any]:
        """Keep what an agent or editor may say; the sender always comes from the settings."""
        return {name: action.parameters[name] for name in _AUTHORED}

    def summary(self, action: Action) -> str:
        """Name the first recipient, how many more there are, and the subject."""
        first, *others = recipients(action)
        more = f" and {len(others)} more" if others else ""
        return f"Send email to {first}{more}: {action.parameters['subject']}"

    def rows(self, action: Action) -> tuple[Row, ...]:
        """Show envelope, headers and body, all of them."""
        shown = action.parameters
        headers = [
            Row("From", shown["from"]),
            Row("To", ", ".join(shown["to"])),
            Row("Cc", ", ".join(shown["cc"])),
            Row("Reply-To", shown.get("reply_to", "")),
            Row("Subject", shown["subject"]),
        ]
        return (*(row for row in headers if row.value), Row("Body", shown["body"]))

    def risk(self, action: Action) -> Risk:
        """High as soon as one recipient is outside."""
        domains = {address.rsplit("@", 1)[1].lower() for address in recipients(action)}
        return self.internal_risk if domains <= self.internal_domains else Risk.HIGH


def recipients(action: Action) -> tuple[str, ...]:
    """List the envelope's recipients: to and cc, each once."""
    return tuple(dict.fromkeys((*action.parameters["to"], *action.parameters["cc"])))


def build(action: Action, message_id: str, date: datetime) -> bytes:
    """Make the octets that go over the wire, and read them back to see that they say what was approved.

    Raises:
        ActionRefusedError: what would be sent is not what the action says (CVE-2024-6923 and its kin).
    """
    message = EmailMessage(policy=_WIRE)
    for name, value in _headers(action):
        message[name] = value
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id
    body: str = action.parameters["body"]
    plain = body.isascii() and max(map(len, body.splitlines()), default=0) <= _LONGEST_LINE
    message.set_content(body, charset="utf-8", cte="7bit" if plain else "quoted-printable")
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


def _compare(action: Action, octets: bytes) -> None:
    """Read a mail back as its recipient will, and refuse any difference."""
    wire = message_from_bytes(octets, policy=_READ)
    head = octets.split(b"\r\n\r\n", 1)[0].decode("ascii", "replace")
    names = [line.split(":", 1)[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
    ours = [name for name, _ in _headers(action)]
    technical = ["Date", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
    same_headers = sorted(names) == sorted((*ours, *technical))
    same_values = all(str(wire[name]) == value for name, value in _headers(action))
    same_body = wire.get_content().replace("\r\n", "\n") == action.parameters["body"]
    if not (same_headers and same_values and same_body):
        raise ActionRefusedError("the mail as built would not say what was proposed; nothing is sent")


def _addresses(field: str, value: Any) -> list[str]:
    given = [value] if isinstance(value, str) else value or []
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise ActionRefusedError(f"{field}: a list of addresses is needed")
    wanted = [each.strip() for each in given if each.strip()]
    if bad := [each for each in wanted if not is_public_address(each)]:
        raise ActionRefusedError(f"{field}: not a plain address: {', '.join(map(repr, bad))}")
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


def _body(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ActionRefusedError("body: a text is needed")
    body = value.replace("\r\n", "\n").replace("\r", "\n")
    if _CONTROL.search(body):
        raise ActionRefusedError("body: control characters are not allowed")
    if len(body) > _LONGEST_BODY:
        raise ActionRefusedError(f"body: {len(body):,} characters, at most {_LONGEST_BODY:,}")
    return body if body.endswith("\n") else body + "\n"
