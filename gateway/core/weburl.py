"""Web addresses that every program reads alike: refused is what one could take for another place.

Nothing is mended. An address is accepted in the one form that leaves no question, or not at all.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.core.address import is_domain
from gateway.core.network import Address, canonical

LONGEST: Final = 2000
PORTS: Final = {"https": 443, "http": 80}
_LAST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class WebUrl:
    """A web address taken apart; put together again, it is the same text."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def address(self) -> Address | None:
        """The IP address, where the host is one."""
        return canonical(self.host)

    @property
    def authority(self) -> str:
        """Host and port, as the Host header has them (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query, as the request line has them."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def read(text: str) -> WebUrl:
    """Take a web address apart.

    Raises:
        ValueError: it is not in the one plain form; the message says what to write instead.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{len(text)} characters, at most {LONGEST}")
    if not text.isascii():
        raise ValueError("only ASCII is allowed: write the host as xn--..., and the rest as %XX")
    if "#" in text:
        raise ValueError("a fragment ('#') is never sent, leave it out")
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("write it as https://host/path?query, in plain characters")
    scheme, authority, path, query = match["scheme"], match["authority"], match["path"], match["query"]
    if "@" in authority:
        raise ValueError("it must not hold a user name or a password")
    host, port = _host_and_port(scheme, authority)
    _check_path(path)
    if query == "":
        raise ValueError("it must not end with an empty query")
    _check_escapes(path, _NEVER_IN_PATHS)
    _check_escapes(query or "", _NEVER)
    return WebUrl(scheme, host, port, path, query or "")


def _host_and_port(scheme: str, authority: str) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError("its host must be a plain name or address, in lower case")
    host, port = match["six"] or match["name"], match["port"]
    # What a program may take for an address is one in its canonical form, or nothing.
    if (canonical(host) is None and not is_domain(host)) or (match["six"] is None and ":" in host):
        raise ValueError("its host must be a plain name or address, in lower case")
    if port is not None and (int(port) > _LAST_PORT or int(port) == PORTS[scheme]):
        raise ValueError("its port must be from 1 to 65535, and left out where it is the usual one")
    return host, int(port) if port else PORTS[scheme]


def _check_path(path: str) -> None:
    segments = [unquote_to_bytes(segment) for segment in path.split("/")]
    # Some servers cut off what follows in `/..;x/`, `/..%20/` or `/..%C0%AF/`, and take a step upwards.
    if any(re.match(rb"\.\.|\.(?![A-Za-z0-9_-])", segment.strip()) for segment in segments):
        raise ValueError("its path must not hold '.' or '..', nor a part that begins with '..'")
    if b"" in segments[1:-1]:
        raise ValueError("its path must not hold '//'")


def _check_escapes(part: str, never: re.Pattern[str]) -> None:
    """Refuse escapes of what needs none, and those that a server might take for a separator."""
    for match in _ESCAPE.finditer(part):
        if not re.fullmatch("[0-9A-F]{2}", match[1]):
            raise ValueError("write escapes as % and two capital hexadecimal digits")
        if never.fullmatch(chr(int(match[1], 16))):
            raise ValueError(f"%{match[1]} is not allowed there")


# C0 and C1 begin no character of UTF-8; what reads them all the same may see a dot or a slash.
_NEVER = re.compile(r"[A-Za-z0-9._~\x00\xc0\xc1-]")
_NEVER_IN_PATHS = re.compile(r"[A-Za-z0-9._~\x00-\x1f\x7f/\\%\xc0\xc1-]")
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]+)(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*)"
    r"(?:\?(?P<query>[A-Za-z0-9._~!$&()*+,;=:@/?%-]*))?"
)
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9a-f:]+)\]|(?P<name>[a-z0-9.-]+))(?::(?P<port>[1-9][0-9]{0,4}))?")
_ESCAPE = re.compile(r"%(.{0,2})", re.DOTALL)
