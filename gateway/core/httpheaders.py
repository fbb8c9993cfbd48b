"""Header lines of an HTTP request (RFC 9110, 5): what is plain, and which are ours to set."""

import re
from typing import Final

RESERVED: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "content-type", "expect", "host"),
        *("idempotency-key", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    }
)
"""Names, in lower case, that only the gateway sets: they say where a request ends or whose it is."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def is_name(text: str) -> bool:
    """Whether `text` can name a header."""
    return _NAME.fullmatch(text) is not None


def is_value(text: str) -> bool:
    """Whether `text` is a plain ASCII line that a header can hold."""
    return _VALUE.fullmatch(text) is not None
