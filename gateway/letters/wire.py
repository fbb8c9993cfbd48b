"""Put a letter into the form in which it is sent."""

from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any

_WHOLE = frozenset({"message-id", "in-reply-to", "references", "reply-to", "list-id"})


class _WirePolicy(EmailPolicy):
    """SMTP's policy, but ids and plain subjects stay whole.

    CPython makes encoded words of ids that do not fit on a line, and breaks a long subject before its first
    word, which some programs then show with a blank in front.
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() in _WHOLE or (name.lower() == "subject" and str(value).isascii()):
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


# Quoted-printable lines have at most 76 characters (RFC 2045, 6.7).
WIRE = _WirePolicy(linesep="\r\n", max_line_length=76)


def octets(message: EmailMessage) -> bytes:
    """Flatten a letter for SMTP: CRLF, ASCII only, short lines, ids in one piece."""
    return message.as_bytes(policy=WIRE)
