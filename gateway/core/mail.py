"""The bytes of a mail taken apart within limits: its header lines, its parts, and the text its writer typed.

Attached mails are never looked into, attachments never read. The limits come before any parsing, so that no
mail costs more than its size.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from functools import lru_cache

MAX_BYTES = 2 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_PARTS = 50
MAX_DEPTH = 10
MAX_TEXT = 400_000
_MAX_HEADER_VALUE = 2000

OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of text, so that a line looks different from what it says."""


class MailError(ValueError):
    """The mail cannot be read; it decides nothing."""


class TooLargeError(MailError):
    """More bytes, parts, levels or lines than a reply has."""


class UndecodableError(MailError):
    """Not a mail that can be taken apart."""


@dataclass(frozen=True, slots=True)
class Header:
    """One header line, unfolded; `name` is lower case."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail's header lines, the types of its parts, and its body as plain text and as HTML."""

    headers: tuple[Header, ...]
    kinds: tuple[str, ...]
    """Content types of all parts, outermost first; what is inside an attached mail is not among them."""
    dispositions: frozenset[str] = frozenset()
    text: str | None = None
    html: str | None = None

    def values(self, *names: str) -> tuple[str, ...]:
        """Return the values of the header lines with these lower-case names: name by name, as they stand."""
        return tuple(header.value for name in names for header in self.headers if header.name == name)


def header_block(raw: bytes) -> bytes:
    """Return everything above the first empty line.

    Raises:
        TooLargeError: it is longer than `MAX_HEADER_BYTES`.
    """
    end = _EMPTY_LINE.search(raw, 0, MAX_HEADER_BYTES)
    if end is None and len(raw) > MAX_HEADER_BYTES:
        raise TooLargeError("the header is too long")
    return raw[: end.start()] if end else raw


def headers(raw: bytes) -> tuple[Header, ...]:
    """Read the header lines leniently: what is no header line is passed over.

    Raises:
        TooLargeError: the header is longer than `MAX_HEADER_BYTES`.
    """
    lines = _LINE_END.split(_FOLD.sub(rb" ", header_block(raw)))
    parted = (line.partition(b":") for line in lines)
    return tuple(
        Header(_text(name).strip().lower(), _text(value).strip()) for name, colon, value in parted if colon
    )


def parse(raw: bytes) -> Mail:
    """Take a mail apart.

    Raises:
        TooLargeError: it exceeds a limit.
        UndecodableError: the parser gave up on it.
    """
    lines = headers(raw)
    _check_size(raw)
    try:
        # Quoted-printable ends at a lone carriage return, and what stands behind it would be lost.
        ended = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # The parser takes each empty line of a delivery report for another header.
        return _assemble(lines, BytesParser(policy=compat32).parsebytes(_EMPTY_LINES.sub(b"\n\n\n", ended)))
    except MailError:
        raise
    except Exception as error:  # the parser raises nearly anything, RecursionError included
        raise UndecodableError(f"{type(error).__name__} while parsing") from error


def decoded(value: str) -> str:
    """Resolve the encoded words (RFC 2047) of a header value; what does not decode stays as it is."""
    short = value[:_MAX_HEADER_VALUE]
    try:
        return str(make_header(decode_header(short)))
    except Exception:  # noqa: BLE001 - as in `parse`: nearly anything
        return short


def plain(line: str) -> str:
    """Return a line as it is read: compatibility forms folded, invisible characters gone, blanks made spaces.

    Directional overrides stay, so that a line which looks different from what it says matches nothing.
    """
    if line.isascii() and line.isprintable():
        return line
    return _fold_short(line) if len(line) <= _SHORT else _fold_long(line)


def _folded(line: str) -> str:
    folded = unicodedata.normalize("NFKC", _MARKED.sub(_bounded, line))
    if folded.isprintable():
        return folded
    return "".join(" " if _is_blank(each) else each for each in folded if not _is_invisible(each))


_MOST_MARKS = 30
# What combines is neither a letter, a digit nor a blank, and stands above the Latin letters.
_MARKED = re.compile(rf"(?:(?![\w\s])[\u0300-\U000e01ef]){{{_MOST_MARKS},}}+")


def _bounded(run: re.Match[str]) -> str:
    """Cut runs of combining marks: sorting them takes squares of time (Unicode Annex 15, section 13)."""
    kept: list[str] = []
    marks = 0
    for each in run[0]:
        marks = marks + 1 if unicodedata.combining(each) else 0
        if marks <= _MOST_MARKS:
            kept.append(each)
    return "".join(kept)


_SHORT = 500
# A line is looked at by many rules, one after the other; a letter may become eighteen.
_fold_short = lru_cache(maxsize=512)(_folded)
_fold_long = lru_cache(maxsize=4)(_folded)

_EMPTY_LINES = re.compile(rb"(?:\r?\n){4,}+")
_EMPTY_LINE = re.compile(rb"\A\r?\n|\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE_END = re.compile(rb"\r?\n")
_CONTAINER = re.compile(rb"multipart/|message/", re.IGNORECASE)
_MAX_CONTAINERS = 40
_MAX_DELIMITERS = 1000
# The others are either aliases of these or codecs whose decoders can be made slow.
_CHARSET = re.compile(
    r"(?:us-)?ascii|utf-?(?:8|16|16le|16be)|latin-?1"
    r"|(?:iso|windows|cp|koi8|gb|big5|shift|sjis|euc|mac|ks_c)[a-z0-9_-]{0,20}"
)
# What senders mean by these names, as browsers read them (WHATWG Encoding, 4.2).
_MEANT = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "gb2312": "gb18030"}


def _check_size(raw: bytes) -> None:
    """Bound what the parser would build, before it builds it."""
    if len(raw) > MAX_BYTES:
        raise TooLargeError("the mail is too large")
    if (
        raw.count(b"\n--") + raw.count(b"\r--") > 2 * _MAX_DELIMITERS
        or len(_CONTAINER.findall(raw)) > _MAX_CONTAINERS
    ):
        raise TooLargeError("the mail has too many parts")


def _assemble(lines: tuple[Header, ...], message: Message) -> Mail:
    parts = list(_parts(message, 0))
    leaves = [part for part in parts if not part.is_multipart() and not _is_attached(part)]
    return Mail(
        headers=lines,
        kinds=tuple(part.get_content_type() for part in parts),
        dispositions=frozenset(part.get_content_disposition() or "" for part in parts),
        text=_joined(leaves, "text/plain"),
        html=_joined(leaves, "text/html"),
    )


def _parts(message: Message, depth: int) -> Iterator[Message]:
    found = 0
    if depth > MAX_DEPTH:
        raise TooLargeError("the parts are nested too deeply")
    yield message
    if message.get_content_maintype() != "multipart" or not message.is_multipart():
        return
    for child in message.get_payload():
        for part in _parts(child, depth + 1):  # type: ignore[arg-type]  # a multipart's payload is a list of parts
            found += 1
            if found > MAX_PARTS:
                raise TooLargeError("the mail has too many parts")
            yield part


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _joined(leaves: list[Message], kind: str) -> str | None:
    """Join the inline parts of a kind: a picture between two paragraphs makes two text parts."""
    texts = [_body(part) for part in leaves if part.get_content_type() == kind]
    if sum(map(len, texts)) > MAX_TEXT:
        raise TooLargeError("the text is too long")
    return "\n".join(texts) if texts else None


def _body(part: Message) -> str:
    payload = part.get_payload(decode=True)
    octets = payload if isinstance(payload, bytes) else b""
    text = _decode(octets, part.get_content_charset("us-ascii")).replace("\r\n", "\n").replace("\r", "\n")
    if str(part.get_param("format", "")).lower() == "flowed":
        return _unflowed(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
    return text


def _decode(octets: bytes, charset: str) -> str:
    """Decode by the declared charset, replacing what does not fit; without one guess UTF-8, then Latin-1."""
    if _CHARSET.fullmatch(charset) and not charset.endswith("ascii"):
        try:
            return octets.decode(_MEANT.get(charset, charset), "replace")
        except LookupError:
            return octets.decode("latin-1")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _unflowed(text: str, *, delete_space: bool) -> str:
    """Join soft line breaks (RFC 3676), so that a sentence is read as the one line it was typed as."""
    pieces: list[str] = []  # joined once, because a text may have one line that is broken a million times
    soft = False
    for line in text.split("\n"):
        content = line.removeprefix(" ")
        if soft and not line.startswith(">") and line != "-- ":
            pieces[-1] = pieces[-1][:-1] if delete_space else pieces[-1]
        elif pieces:
            pieces.append("\n")
        pieces.append(content)
        soft = content.endswith(" ") and line != "-- " and not line.startswith(">")
    return "".join(pieces)


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf" and character not in OVERRIDES


def _is_blank(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Zs", "Zl", "Zp"}
