"""Whether our own mail server vouches for the writer of a mail: its Authentication-Results (RFC 8601).

Anybody can write such a header. Ours is the topmost, bears our server's name, and stands above what came from
outside. Its grammar here is stricter than the RFC's: what programs could read in two ways is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.address import is_domain
from gateway.core.sender import MalformedError, header_lines


class Form(StrEnum):
    """How a server writes its header."""

    NAMED = "named"
    """With its name (authserv-id) in front, as RFC 8601 asks."""
    MICROSOFT365 = "microsoft365"
    """Without a name, so that only the place says whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Which Authentication-Results is our own server's.

    `server` is its authserv-id, or `*.DOMAIN` for any host right below that domain; empty in a form without
    name. `received` is how many Received lines our own server puts above it.
    """

    server: str = ""
    received: int = 1
    form: Form = Form.NAMED


class Method(StrEnum):
    """What shows that the owner of the From address wrote the mail, the strongest first."""

    DMARC = "dmarc"
    AUTH = "auth"
    DKIM = "dkim"
    SPF = "spf"


class Why(StrEnum):
    """Whether the writer is authenticated, and if not, why not."""

    AUTHENTICATED = "authenticated"
    AMBIGUOUS = "ambiguous"
    """The header has lines that programs could read in two ways."""
    UNSTAMPED = "unstamped"
    """There is no Authentication-Results at all."""
    BURIED = "buried"
    """It stands below more Received lines than our own server writes: it came with the mail."""
    FOREIGN = "foreign"
    """It is another server's."""
    GARBLED = "garbled"
    """It does not fit the grammar."""
    CONFLICTING = "conflicting"
    """It says two things about one domain."""
    FAILED = "failed"
    """A check failed."""
    UNALIGNED = "unaligned"
    """What passed is not the From address's domain."""
    UNPROVEN = "unproven"
    """It says nothing that would show who wrote the mail."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What showed who wrote a mail, or None and why not; `server` is the name in a foreign header."""

    method: Method | None
    why: Why
    server: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One `method=result` in lower case, with properties such as `("header.from", "example.com")`.

    Methods that show nothing about the writer have none: servers write what they like there.
    """

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()

    def values(self, name: str) -> list[str]:
        """Return every value of a property."""
        return [value for key, value in self.properties if key == name]


@dataclass(frozen=True, slots=True)
class Stamp:
    """An Authentication-Results header taken apart; `server` is lower case, empty in a form without name."""

    server: str
    results: tuple[Result, ...]


class GarbledError(ValueError):
    """The header does not fit the grammar."""


def verify(raw: bytes, address: str, trust: Trust) -> Verdict:
    """Say whether our own server shows that the owner of `address`, the one in From, wrote a mail.

    Never raises.
    """
    try:
        lines = header_lines(raw)
    except MalformedError:
        return Verdict(None, Why.AMBIGUOUS)
    names = [name.lower() for name, _ in lines]
    if b"authentication-results" not in names:
        return Verdict(None, Why.UNSTAMPED)
    place = names.index(b"authentication-results")
    if names[:place].count(b"received") > trust.received:
        return Verdict(None, Why.BURIED)
    try:
        stamp = parse(lines[place][1], trust.form)
    except GarbledError:
        return Verdict(None, Why.GARBLED)
    if not _is_ours(stamp.server, trust):
        return Verdict(None, Why.FOREIGN, stamp.server)
    return _judge(stamp.results, address.lower())


def parse(value: bytes, form: Form = Form.NAMED) -> Stamp:
    """Take the unfolded value of a header apart.

    Raises:
        GarbledError: it does not fit the grammar.
    """
    words = [_words(part) for part in _parts(_plain(value))]
    if not words[-1]:  # many servers end with a semicolon
        words.pop()
    server = ""
    if form is Form.NAMED and words:
        server = _server(words.pop(0))
    if not words:
        raise GarbledError("no results")
    if words == [["none"]]:
        return Stamp(server, ())
    return Stamp(server, tuple(map(_result, words)))


_MAX_VALUE = 8000
_MAX_DEPTH = 10
_PRINTABLE = re.compile(rb"[\t\x20-\x7e]*")
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
# No brackets, quotes, commas or backslashes: what stands next to them is where programs begin to disagree.
_BARE = r"[!#$%&'*+\-./0-9:=?@A-Z\[\]^_`a-z{|}~]+"
_WORD = re.compile(rf"((?:{_BARE})?{_QUOTED}(?:@{_BARE})?|{_BARE})(?:[ \t]+|\Z)")
_KEYWORD = r"[A-Za-z][A-Za-z0-9_-]*"
_METHOD = re.compile(rf"({_KEYWORD})(?:/1)?=({_KEYWORD})")
_UNTYPED = re.compile(rf"({_KEYWORD})=(?:{_QUOTED}|{_BARE})")
_PROPERTY = re.compile(rf"({_KEYWORD}\.{_KEYWORD})=(?:({_QUOTED})(@{_BARE})?|({_BARE}))")
_SERVER = re.compile(rf"{_QUOTED}|[A-Za-z0-9!#$%&'*+^_`{{|}}~.-]+")
_QUOTATION = re.compile(_QUOTED)
_ESCAPED = re.compile(r"\\(.)")


def _plain(value: bytes) -> str:
    if len(value) > _MAX_VALUE or not _PRINTABLE.fullmatch(value):
        raise GarbledError("too long, or not printable")
    return value.decode("ascii")


def _parts(text: str) -> list[str]:
    """Split at semicolons, with every comment made a blank."""
    parts, start, at = [""], 0, 0
    while at < len(text):
        if text[at] == '"':
            at = _quoted_end(text, at)
        elif text[at] == "(":
            parts[-1] += text[start:at] + " "
            at = start = _comment_end(text, at)
        elif text[at] == ";":
            parts[-1] += text[start:at]
            parts.append("")
            at = start = at + 1
        else:
            at += 1
    parts[-1] += text[start:]
    return parts


def _quoted_end(text: str, start: int) -> int:
    match = _QUOTATION.match(text, start)
    if match is None:
        raise GarbledError("a quotation without end")
    return match.end()


def _comment_end(text: str, start: int) -> int:
    """Find the end of a comment, which must stand apart: within a domain's name it would hide the rest."""
    depth, at = 0, start
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in "()":
            depth += 1 if text[at] == "(" else -1
            if depth == 0:
                break
            if depth > _MAX_DEPTH:
                raise GarbledError("comments nested too deeply")
        at += 1
    before, after = text[:start][-1:], text[at + 1 :][:1]
    if depth or before not in {"", " ", "\t", ";"} or after not in {"", " ", "\t", ";"}:
        raise GarbledError("a comment that does not stand apart")
    return at + 1


def _words(part: str) -> list[str]:
    words: list[str] = []
    at = len(part) - len(part.lstrip(" \t"))
    while at < len(part):
        match = _WORD.match(part, at)
        if match is None:
            raise GarbledError("a character that has no place here")
        words.append(match[1])
        at = match.end()
    return words


def _server(words: Sequence[str]) -> str:
    """Read the authserv-id, behind which only the version may stand."""
    if not words or not _SERVER.fullmatch(words[0]) or list(words[1:]) not in ([], ["1"]):
        raise GarbledError("no server's name")
    return _unquoted(words[0]).lower()


def _result(words: Sequence[str]) -> Result:
    method = _METHOD.fullmatch(words[0]) if words else None
    if method is None:
        raise GarbledError("not method=result")
    name, result = method[1].lower(), method[2].lower()
    known = name in set(Method)
    return Result(name, result, tuple(filter(None, map(_property, words[1:]))) if known else ())


def _property(word: str) -> tuple[str, str] | None:
    """Read `type.property=value`; what has no type, such as a reason, is about no name and passed over."""
    untyped = _UNTYPED.fullmatch(word)
    if untyped and untyped[1].lower() not in set(Method):
        return None
    match = _PROPERTY.fullmatch(word)
    if match is None:
        raise GarbledError("not type.property=value")
    name, quoted, domain, bare = match.groups()
    return name.lower(), bare if quoted is None else _unquoted(quoted) + (domain or "")


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text


def _is_ours(server: str, trust: Trust) -> bool:
    if trust.form is Form.MICROSOFT365:
        return True
    own, name = trust.server.lower().removesuffix("."), server.removesuffix(".")
    if own.startswith("*."):
        return name.partition(".")[2] == own[2:]
    return bool(own) and name == own


# --- what the results say about the writer ----------------------------------------------------------------


def _judge(results: Sequence[Result], address: str) -> Verdict:
    domain = address.rpartition("@")[2]
    dmarc = [each for each in results if each.method == Method.DMARC]
    if len(dmarc) > 1:
        return Verdict(None, Why.CONFLICTING)
    # `none` is a domain that asks for no DMARC: the other checks still say whose the mail is.
    if dmarc and dmarc[0].result != "none":
        return _dmarc(dmarc[0], domain)
    opinions = (_auth(results, address), _dkim(results, domain), _spf(results, domain))
    for why in (Why.CONFLICTING, Why.AUTHENTICATED, Why.FAILED, Why.UNALIGNED):
        for verdict in opinions:
            if verdict.why is why:
                return verdict
    return Verdict(None, Why.UNPROVEN)


def _dmarc(found: Result, domain: str) -> Verdict:
    if found.result != "pass":
        return Verdict(None, Why.FAILED)
    aligned = [value.lower() for value in found.values("header.from")] == [domain]
    return Verdict(Method.DMARC, Why.AUTHENTICATED) if aligned else Verdict(None, Why.UNALIGNED)


def _auth(results: Sequence[Result], address: str) -> Verdict:
    """Our own server saw this very person log in."""
    found = [each for each in results if each.method == Method.AUTH]
    if len(found) > 1:
        return Verdict(None, Why.CONFLICTING)
    passed = [each for each in found if each.result == "pass"]
    if any([value.lower() for value in each.values("smtp.auth")] == [address] for each in passed):
        return Verdict(Method.AUTH, Why.AUTHENTICATED)
    return Verdict(None, Why.UNALIGNED if passed else Why.UNPROVEN)


def _dkim(results: Sequence[Result], domain: str) -> Verdict:
    found = [(each.result, _signer(each)) for each in results if each.method == Method.DKIM]
    return _settle(Method.DKIM, found, domain)


def _spf(results: Sequence[Result], domain: str) -> Verdict:
    """Count what is about the envelope sender; what is about the name in HELO says nothing of a person."""
    found = [
        (each.result, _one_domain(each.values("smtp.mailfrom")))
        for each in results
        if each.method == Method.SPF and not (each.values("smtp.helo") and not each.values("smtp.mailfrom"))
    ]
    return _settle(Method.SPF, found, domain)


def _settle(method: Method, found: Sequence[tuple[str, str | None]], domain: str) -> Verdict:
    """Sum up what a method found by domain; what failed for nobody knows whom counts against everybody."""
    passed = {of for result, of in found if result == "pass"}
    failed = {of for result, of in found if result != "pass"}
    if domain in passed:
        if failed & {domain, None}:
            return Verdict(None, Why.CONFLICTING)
        return Verdict(method, Why.AUTHENTICATED)
    if any(result not in {"pass", "none"} and of in {domain, None} for result, of in found):
        return Verdict(None, Why.FAILED)
    return Verdict(None, Why.UNALIGNED if passed else Why.UNPROVEN)


def _signer(result: Result) -> str | None:
    """Name the domain that signed: `header.d`, else that of `header.i`, which must lie within it."""
    signed, agent = result.values("header.d"), result.values("header.i")
    if len(signed) > 1 or len(agent) > 1:
        return None
    names = [name.lower() for name in (*signed, *(each.rpartition("@")[2] for each in agent))]
    if not names or not all(map(is_domain, names)) or any(each.count("@") != 1 for each in agent):
        return None
    return names[0] if all(_is_within(name, names[0]) for name in names) else None


def _one_domain(values: Sequence[str]) -> str | None:
    """Take the domain of the one address, or the one domain, that is given."""
    if len(values) != 1 or values[0].count("@") > 1:
        return None
    domain = values[0].rpartition("@")[2].lower()
    return domain if is_domain(domain) else None


def _is_within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")
