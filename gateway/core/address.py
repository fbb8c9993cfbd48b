"""What a plain email address is: a dot-atom, an @ and a domain name (RFC 5322, 3.4.1; RFC 1034, 3.5).

Nothing quoted, commented, folded or encoded, so that every program on a mail's way reads it as people do.
"""

import re
from typing import Final

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"

ADDRESS: Final = rf"{_ATOM}(?:\.{_ATOM})*@{_DOMAIN}"
"""The grammar as a part of larger patterns; what it finds is an address only if `is_address` agrees."""

HARMLESS: Final = "letters, digits and . _ + - ' &"
"""What stands before the @ of a public address, in words; a hyphen never first."""
_MAILBOX = re.compile(r"(?!-)[A-Za-z0-9._+'&-]+")

# RFC 5321, 4.5.3.1: a path has 256 octets, two of them the angle brackets.
_LONGEST = 254
_LONGEST_LOCAL = 64
_LONGEST_DOMAIN = 253


def is_address(text: str) -> bool:
    """Whether `text` is one plain address; its domain may be a single name, as in a network of one's own."""
    local = text.partition("@")[0]
    short = len(text) <= _LONGEST and len(local) <= _LONGEST_LOCAL
    # Some programs decode =?...?= wherever it stands, and would then see another address.
    return short and "=?" not in local and re.fullmatch(ADDRESS, text) is not None


def is_public_address(text: str) -> bool:
    """Whether `text` means one mailbox at its own domain, anywhere: that has a dot, and nothing routes.

    Before the @ there are only `HARMLESS` characters: mail servers may send on `a%other.example@example.com`,
    `other.example!a@example.com` or `SRS0=...=other.example=a@example.com` to other.example (RFC 5321,
    appendix F.2), and lead other signs to programs and files.
    """
    local, _, domain = text.rpartition("@")
    return is_address(text) and "." in domain and _MAILBOX.fullmatch(local) is not None


def is_domain(text: str) -> bool:
    """Whether `text` is a domain name that an address can have."""
    return len(text) <= _LONGEST_DOMAIN and re.fullmatch(_DOMAIN, text) is not None
