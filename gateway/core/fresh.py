"""What a reply's writer typed, apart from what the mail client put around it.

The fresh text is what stands above the first quote, attribution, header block or signature. It is only ever
cut off below, never picked from the middle, so its first line is the first line of the mail.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile

from gateway.core import grammar, notices, quotes, tokens
from gateway.core.mail import TooLargeError, plain
from gateway.core.seen import LOOKED_AT, seen
from gateway.core.vocabulary import Verb

MAX_LINES = 400
MAX_TYPED = 60_000
"""Characters that a person types in a reply, an edited body included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A reply's text, divided. `lines` and `below` are as typed; blank ends are trimmed off `lines`."""

    quote: tuple[str, ...] = ()
    """The quoted part, as it stands, with what was typed into it."""

    lines: tuple[str, ...]
    below: tuple[str, ...]
    """Lines without a quote mark between or under quoted lines: bottom posting, or wrapped quotes."""
    signature: tuple[str, ...]
    """What stands under a signature's mark, `-- `, up to a notice or footer."""
    quoted: bool
    forwarded: bool
    ours: bool = False
    """Whether what is quoted is known to be our letter, and not just any text."""
    copied: bool = False
    """Whether our text stands there without any mark, as if its copier had written it."""


def split(text: str, letters: Sequence[str] = ()) -> Fresh:
    """Divide a body into fresh text and the rest; `letters` are what it may quote, as far as that is known.

    Raises:
        TooLargeError: the fresh text has more or longer lines than a person types.
    """
    lines = text.split("\n")
    start = notices.past_banner(lines)
    sent = _Sent(letters)
    end, mark = _first_quote(lines, start, sent)
    typed, signature = _parted(lines[start:end])
    fresh = _trimmed(typed)
    below, second = _parted(_beneath(lines[end:], mark, sent))
    if len(fresh) > MAX_LINES or len(below) > MAX_LINES or sum(map(len, (*fresh, *below))) > MAX_TYPED:
        raise TooLargeError("the reply is too long")
    return Fresh(
        lines=tuple(fresh),
        below=tuple(below),
        signature=(*signature, *second),
        quote=tuple(lines[end : end + MAX_LINES]),
        quoted=mark is not None,
        ours=any(map(sent.heads, lines[end : end + MAX_LINES])),
        copied=mark is _Mark.COPY,
        forwarded=mark is not None and quotes.is_forward(seen(lines[end])),
    )


class _Mark(Enum):
    """How a client sets off the quoted mail: every line marked, or everything after a heading."""

    PREFIX = 1
    HEADING = 2
    COPY = 3
    """No mark at all: the text is known to be ours."""


class _Sent:
    """What we wrote, as words, so that what a client did to blanks and line ends does not count."""

    def __init__(self, letters: Sequence[str]) -> None:
        self.known = any(letter.strip() for letter in letters)
        text = "\n".join(letters)
        self._words = f" {' '.join(_said(text))} "
        self._lines = {_spelled(line) for line in text.split("\n")}
        self._pages = {match["page"] for match in _LINK.finditer(text)}
        self._spelled_words = f" {_spelled(text)} "
        self._heads = [head for letter in letters for head in _head(letter)]

    def heads(self, line: str) -> bool:
        """Whether this is one of the first lines of what we wrote."""
        return self.known and _said(line) in self._heads

    def begins(self, lines: Sequence[str], index: int) -> bool:
        """Whether our letter begins on this line, copied without any mark."""
        if not self.heads(lines[index]):
            return False
        following = next((line for line in lines[index + 1 :] if line.strip()), "")
        return self.has(following)

    def has(self, text: str) -> bool:
        """Whether the words of `text` stand in what we wrote, one after the other."""
        words = _said(text)
        return self.known and bool(words) and f" {' '.join(words)} " in self._words

    def has_line(self, text: str) -> bool:
        """Whether this is a line of ours; numbers may be others, as some programs word times anew."""
        words = _spelled(text)
        return words.count(" ") >= _HEAD_WORDS - 1 and f" {words} " in self._spelled_words

    def knows(self, quoted: str, text: str) -> bool:
        """Whether a quoted line holds nothing but our words, alone or as the end of the line above it."""
        words, joined = _spelled(text), _spelled(f"{quoted} {text}")
        if not words:
            numbers = _said(_LINKED.sub(" ", text))
            return not numbers or f" {' '.join(numbers)} " in self._words
        if not self._has_numbers(text):
            return False
        if quoted and f" {joined} " in self._spelled_words:
            return True
        # One word may stand anywhere in our letter: it has to be a line there, or it was typed.
        return words in self._lines if " " not in words else f" {words} " in self._spelled_words

    def _has_numbers(self, text: str) -> bool:
        """Whether the numbers of a line are ours; those of a time need not be, as programs word it anew."""
        bare = _LINKED.sub(" ", text)
        if _TIME.search(bare):
            return True
        return all(f" {number} " in self._words for number in _said(bare) if number.isdigit())

    def links_to(self, text: str) -> bool:
        """Whether the text ends in a link to where our letter links: it was another one in each copy."""
        match = _LINK.search(text)
        return match is not None and match["page"] in self._pages

    def _ends_link(self, quoted: str, text: str) -> bool:
        """Whether the line is a link to where ours goes, or the rest of one that was broken, and no more."""
        match = _LINK.search(text)
        if match and match["page"] in self._pages:
            before = text[: match.start()].strip(" <([")
            return not before or self._follows(quoted, before)
        match = _LINK.search(quoted)
        whole = f"{match['handle']}{text.rstrip('.,>)]')}" if match and match["page"] in self._pages else ""
        return tokens.PATTERN.fullmatch(whole) is not None

    def _follows(self, quoted: str, text: str) -> bool:
        joined = f" {' '.join(map(_spelled, (quoted, text)))} "
        return bool(_spelled(text)) and joined in self._spelled_words

    def goes_on(self, quoted: str, text: str) -> bool:
        """Whether `text` is the end of the quoted line above it, which a client has wrapped.

        Where what we wrote is not known, it has to look so: the rest of a long line, with no word that
        could be meant for us.
        """
        if self.known:
            if self._ends_link(quoted, text):
                return True
            return self._follows(quoted, text)
        rest = len(quoted) >= _WRAPPED and text[:1].islower() and not any(letter.isdigit() for letter in text)
        return rest and not grammar.is_strong(text) and not grammar.hedged(Verb.APPROVE, (text,))


_SIGNATURE = re.compile(r"--\s?$")
_WORDS = re.compile(r"[^\W_]+")
_LINK = re.compile(r"(?P<page>https?://[^\s<>]{1,200}/)(?P<handle>[a-z2-7]{0,42})\W?(?:\s|$)")
_LINKED = re.compile(
    r"[<\[(](?:mailto:|https?:|cid:|image:)[^<>\[\]()]{0,2000}[>\])]|(?:mailto:|https?://)\S{1,2000}"
    r"|<?[\w.+%-]{1,90}@[\w.-]{1,255}>?"
)
"""Links and addresses, which clients put in, leave out and write anew."""
_MARKS = re.compile(r"\s{0,3}[A-Za-z]{0,3}(?:[>|] ?)+")
"""Marks of quoted lines, and the initials that some programs put before them."""
_TIME = re.compile(r"\d:\d\d|\b(?:hours?|minutes?|days?|seconds?)\b", re.IGNORECASE)
_WRAPPED = 60
"""Characters of a line that a client may have wrapped."""
_HEAD_LINES = 6
_HEAD_WORDS = 4
_SHORTEST_QUOTE = 4
"""Lines under a heading: fewer are somebody's words that the writer cites, since our letters are longer."""


def _first_quote(lines: Sequence[str], start: int, sent: _Sent) -> tuple[int, _Mark | None]:
    for index in range(start, min(len(lines), start + MAX_LINES + 1)):
        text = seen(lines[index])
        if not text:
            continue
        if quotes.PREFIX.match(text) and not _is_comparison(lines, index, text):
            return index, _Mark.HEADING if _heads_unmarked(lines, index, sent) else _Mark.PREFIX
        if sent.begins(lines, index):
            return index, _Mark.COPY
        length = quotes.heading(lines, index, text)
        mark = _mark_below(lines, index + max(length, 1))
        if length and (mark is _Mark.PREFIX or _heads_a_letter(lines, index + length, sent)):
            return index, mark
        if not length and quotes.is_separator(lines, index, text) and _has_letter(lines, index + 1):
            return index, mark
    return len(lines), None


def _is_comparison(lines: Sequence[str], index: int, text: str) -> bool:
    """Whether `>500` was typed as it is meant: alone, without a blank behind the sign."""
    below = lines[index + 1] if index + 1 < len(lines) else ""
    return text[1:2] not in {"", " ", ">"} and not quotes.PREFIX.match(below)


def _heads_unmarked(lines: Sequence[str], index: int, sent: _Sent) -> bool:
    """Whether only header lines are marked, and the letter below them is not, as Hotmail wrote it."""
    block = list(takewhile(quotes.PREFIX.match, lines[index : index + MAX_LINES]))
    bare = [_MARKS.sub("", line, count=1) for line in block]
    return quotes.heads_all(bare) and _heads_a_letter(lines, index + len(block), sent)


def _heads_a_letter(lines: Sequence[str], index: int, sent: _Sent) -> bool:
    """Whether what stands under an attribution, without marks, is a letter and not somebody's words.

    People cite each other in a line or two. Where our own letter is known, it has to be in there.
    """
    filled = 0
    for at in range(index, min(len(lines), index + MAX_LINES)):
        text = seen(lines[at])
        if not text:
            continue
        if quotes.PREFIX.match(text) or quotes.heading(lines, at, text):
            break
        filled += 1
        if sent.known and sent.has_line(_MARKS.sub("", text, count=1)):
            return True
    return filled >= _SHORTEST_QUOTE and not sent.known


def _has_letter(lines: Sequence[str], index: int) -> bool:
    """Whether what stands below a separator is long enough for a letter."""
    filled = sum(1 for line in lines[index : index + MAX_LINES] if line.strip())
    return filled >= _SHORTEST_QUOTE


def _mark_below(lines: Sequence[str], index: int) -> _Mark:
    """Under an attribution either every line is marked or none is."""
    following = next((seen(line) for line in lines[index:] if line.strip()), "")
    return _Mark.PREFIX if quotes.PREFIX.match(following) else _Mark.HEADING


def _parted(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part typed lines from the signature's, down to a notice; drop the line that a phone adds.

    That line is dropped rather than cut at, since people type under it.
    """
    typed: list[str] = []
    signature: list[str] = []
    kept = typed
    for index, line in enumerate(lines):
        text = seen(line)
        if notices.ends_text(lines, index):
            break
        if _SIGNATURE.match(text):
            kept = signature
        elif len(line) > LOOKED_AT or not notices.is_device(text):
            kept.append(line)
    return typed, signature


def _beneath(lines: Sequence[str], mark: _Mark | None, sent: _Sent) -> list[str]:
    """Return what was typed among quoted lines, up to where a quote without marks begins.

    Where our letter is known, what stands inside of it and is not of it was typed too: some programs leave
    the marks on such lines.
    """
    if mark is _Mark.HEADING:
        return _typed_into(lines, sent)
    if mark is None:
        return []
    ours = _lines_of_ours(lines, sent)
    cited = _heading_below_marks(lines[: ours.start])
    below: list[str] = []
    quoted = ""
    index = 0
    while index < len(lines) and len(below) <= MAX_LINES:
        text = seen(lines[index])
        marked = quotes.PREFIX.match(text) is not None
        length = quotes.heading(lines, index, text) if text and not marked else 0
        if text and not marked and not length and quotes.is_separator(lines, index, text):
            headed = any(quotes.is_header_block(lines, at) for at in range(index, min(index + 3, len(lines))))
            if index and (
                headed or _heads_a_letter(lines, index + 1, sent) or notices.ends_text(lines, index)
            ):
                break
            length = int(not index)
        if marked:
            bare = _MARKS.sub("", text, count=1)
            if (index in ours or index < cited) and not sent.knows(quoted, bare):
                below.append(bare)
            quoted = f"{quoted} {bare}"[-LOOKED_AT:] if quoted and not sent.has_line(bare) else bare
        elif text and (sent.goes_on(quoted, text) if quoted else sent.links_to(text) and " " not in text):
            quoted = f"{quoted} {text}"[-LOOKED_AT:] if sent.known else ""
        else:
            is_ours = mark is _Mark.COPY and sent.has(text)
            if text and not length and not quotes.RULE.match(text) and not is_ours:
                below.append(lines[index])
            elif below and not text:
                below.append("")
            quoted = text if is_ours else ""
        index += length or 1
    return below


def _typed_into(lines: Sequence[str], sent: _Sent) -> list[str]:
    """Return what stands in and below our letter, where it is quoted without marks, and is not of it."""
    if not sent.known:
        return []
    known = next((at for at, line in enumerate(lines[:MAX_LINES]) if sent.has_line(line)), len(lines))
    is_whole = known < len(lines) and sent.heads(lines[known])
    start = quotes.past_headings(lines[:known]) if is_whole else known
    letter = quotes.without_headers(lines[start:MAX_LINES])
    below: list[str] = []
    quoted = ""
    for at, line in enumerate(letter):
        text = seen(line)
        if text and notices.ends_text(letter, at):
            break
        if text and not sent.knows(quoted, text):
            below.append(line)
        quoted = f"{quoted} {text}"[-LOOKED_AT:] if quoted and not sent.has_line(text) else text
    return below


def _heading_below_marks(lines: Sequence[str]) -> int:
    """Return where our letter's heading stands, for marked lines above it were put there by a person."""
    bare = ((at, seen(line)) for at, line in enumerate(lines) if line.strip())
    unmarked = (at for at, text in bare if not quotes.PREFIX.match(text) and quotes.heading(lines, at, text))
    return next(unmarked, 0)


def _lines_of_ours(lines: Sequence[str], sent: _Sent) -> range:
    """Return between which marked lines nothing but a letter of ours should stand."""
    marked = (at for at, line in enumerate(lines[:MAX_LINES]) if quotes.PREFIX.match(line))
    bare = {at: _MARKS.sub("", lines[at], count=1) for at in marked}
    known = [at for at, line in bare.items() if sent.known and sent.has_line(line)]
    if not known:
        return range(0)
    depth = _depth(lines[known[0]])
    start = known[0]
    while sent.heads(bare[known[0]]) and start - 1 in bare and _depth(lines[start - 1]) >= depth:
        start -= 1
    above = [bare[at] for at in range(start, known[0])]
    return range(start + quotes.past_headings(above), known[-1])


def _depth(line: str) -> int:
    match = _MARKS.match(line)
    return match[0].count(">") if match else 0


def _head(letter: str) -> list[list[str]]:
    return [said for line in letter.split("\n") if len(said := _said(line)) >= _HEAD_WORDS][:_HEAD_LINES]


def _said(text: str) -> list[str]:
    return _WORDS.findall(plain(text).casefold())


def _spelled(text: str) -> str:
    """Return the words of a text without numbers, links and addresses: what each copy of it has."""
    return " ".join(word for word in _said(_LINKED.sub(" ", text)) if not word.isdigit())


def _trimmed(lines: list[str]) -> list[str]:
    filled = [index for index, line in enumerate(lines) if plain(line).strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else []
