"""Put a letter into the form in which it is sent."""

from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any

from gateway.core.headers import RememberingRegistry

_WHOLE = frozenset({"message-id", "in-reply-to", "references", "reply-to", "list-id"})
_PLAIN = _WHOLE | {
    "auto-submitted",
    "content-transfer-encoding",
    "importance",
    "mime-version",
    "x-approval-letter",
    "x-approval-risk",
    "x-auto-response-suppress",
    "x-loop",
}


class _WirePolicy(EmailPolicy):
    """SMTP's policy, but ids and plain subjects stay whole.

    CPython makes encoded words of ids that do not fit on a line, and breaks a long subject before its first
    word, which some programs then show with a blank in front. Headers whose values are words of ours are
    not parsed: that would cost as much as writing the letter.
    """

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        return (name, value) if name.lower() in _PLAIN else super().header_store_parse(name, value)

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return value if name.lower() in _PLAIN else super().header_fetch_parse(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() in _WHOLE or (name.lower() == "subject" and str(value).isascii()):
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


# Quoted-printable lines have at most 76 characters (RFC 2045, 6.7).
WIRE = _WirePolicy(linesep="\r\n", max_line_length=76, header_factory=RememberingRegistry())


def octets(message: EmailMessage) -> bytes:
    """Flatten a letter for SMTP: CRLF, ASCII only, short lines, ids in one piece."""
    return message.as_bytes(policy=WIRE)
