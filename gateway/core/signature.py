"""How a person signs: a farewell, a name, and a few short lines below it.

What stands in a signature is not said about the approval, so soft words count for nothing there: `Change
Manager`, `Test Engineer`. Words that stop something count even there, and a sentence is no part of one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core import grammar
from gateway.core.mail import Mail, decoded, plain
from gateway.core.vocabulary import COMPANY, CONDITIONS, HEDGES, ORDERS, word_set

MAX_LINES = 25
"""Lines that a signature has at most, those that company law wants included."""
MAX_LENGTH = 80
_LONGEST_LINE = 200


@dataclass(frozen=True, slots=True)
class Beneath:
    """What stands under a decision: what was said, and the signature after it."""

    remarks: tuple[str, ...]
    signature: tuple[str, ...]


def author(mail: Mail) -> frozenset[str]:
    """Return the words, in lower case, by which the mail's own From names its writer."""
    value = decoded(next(iter(mail.values("from")), ""))
    name, angle, address = value.rpartition("<")
    local = (address if angle else value).partition("@")[0].strip().casefold()
    words = _LETTERS.findall(name.casefold())
    initials = "".join(word[0] for word in words)
    initials = initials if len(initials) > 1 else ""
    return frozenset({local, initials, *words, *_LETTERS.findall(local)}) - {"", "no", "ok"}


def divide(lines: Sequence[str], writer: frozenset[str]) -> Beneath:
    """Part the lines under a decision where the signature begins."""
    starts = (at for at in range(len(lines)) if _begins(lines[at:], writer))
    start = next(starts, len(lines))
    return Beneath(tuple(lines[:start]), tuple(lines[start:]))


def is_signature(lines: Sequence[str], *, marked: bool = False) -> bool:
    """Whether each of the lines is one of a signature: a name, a label, a way to be reached, company law.

    A postscript is none, and no line that says anything about what is approved. A company's motto may be a
    sentence where the signature is `marked` as one.
    """
    filled = [line for line in lines if line.strip() and not _LINK.fullmatch(line.strip())]
    return len(filled) <= MAX_LINES and all(_is_line(line, marked=marked) for line in filled)


def sets_condition(line: str, writer: frozenset[str]) -> bool:
    """Whether a line of a signature sets a condition or a limit; the writer's name may look like one."""
    if _is_company(line):
        return False
    own = [word for word in grammar.words(line) if word not in writer]
    return grammar.has_condition(" ".join(own)) or _MONEY.search(line) is not None


def _is_line(line: str, *, marked: bool) -> bool:
    asks = grammar.asks(line) and not _CONTACT.search(line)
    pieces = [piece for piece in _NAME_ENDS.split(line) if piece.strip()]
    told = any(_HEADER.match(piece) or _is_order(piece) for piece in pieces)
    if len(line) > _LONGEST_LINE or asks or told or _HIRAGANA.search(line):
        return grammar.is_courtesy(line)
    if _is_label(line) or _is_company(line) or grammar.is_courtesy(line) or _REACH.search(line):
        return not _POSTSCRIPT.match(line)
    said = grammar.words(line)
    motto = _TO_US.isdisjoint(said) and (marked or HEDGES.isdisjoint(said))
    return motto and len(line) <= MAX_LENGTH and (marked or not _is_sentence(line))


def _is_order(text: str) -> bool:
    """Whether the words tell somebody to do something: `Remove Sue`, `Change the price`."""
    said = grammar.words(text)
    return bool(said) and (
        said[0] in ORDERS or (said[0] in HEDGES and said[1:2] != [] and said[1] in _ARTICLES)
    )


def _is_company(line: str) -> bool:
    said = grammar.words(line)
    ordered = bool(said) and said[0] in ORDERS
    return not (COMPANY.isdisjoint(said) or ordered or grammar.is_strong(line)) and _NO_COMPANY.isdisjoint(
        said
    )


_LETTERS = re.compile(r"[^\W\d_]{2,}")
_NAME_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[.'\u2019-])*")
_ABBREVIATED_LONG = re.compile(r"\w{3}\.$")
_NAME_ENDS = re.compile(r"\s*[,|(/]|\s[-\u2013\u2014]\s")
_MOST_WORDS = 4
_PARTICLES = word_set("van von de der den del della di da dos du la le bin al el zu ter ten y")
_TITLES = word_set("dr mr mrs ms mx prof ing dipl i v a iv ia ppa")
_CONNECTORS = word_set("of the and for at in by part fur f\u00fcr und der die das de la des et y")
_CONTACT = re.compile(r"@|://|\d|\bwww\.|\w\.[a-z]{2,6}\b", re.IGNORECASE)
_REACHED = re.compile(r"(?:\+|\b)\d[\d\s()./-]{5,}\d|[\w.+-]@[\w-]|://|\bwww\.", re.IGNORECASE)
_LINK = re.compile(r"<?https?://[^\s<>]{1,2000}>?")
_REACH = re.compile(
    r"(?:tel|phone|cell|mobile|mob|fax|t|m|p|f|web|www|twitter|linkedin)\.? ?: ?"
    r"(?:\+?[\d\s()./-]{6,24}|https?://[^\s<>]{1,200}|www\.[^\s<>]{1,80})",
    re.IGNORECASE,
)
"""A line that says nothing but how to reach somebody."""
_PUNCTUATION = "*_()|,;:&?-\u2013\u2014\u2022\u00b7/"
_POSTSCRIPT = re.compile(r"\W*p\.? ?p?\.? ?s\b\.?", re.IGNORECASE)
# `Max` and the like are names of directors.
_NO_COMPANY = CONDITIONS - {"max", "na", "als", "si", "se", "sous", "under"}
_TO_US = word_set("i you your it this that no not please pls")
_ARTICLES = word_set("the a an this that it my our your their")
# Names and titles are written without it; what is said is not.
_HIRAGANA = re.compile(r"[\u3041-\u309f].*[\u3041-\u309f].*[\u3041-\u309f].*[\u3041-\u309f]")
_MONEY = re.compile(r"[$\u20ac\u00a3\u00a5%]|\b(?:EUR|USD|GBP|CHF)\b")
_HEADER = re.compile(r"\W{0,3}(?:cc|bcc|to|from|subject|body|amount|date|due)\s*:", re.IGNORECASE)
_INITIALS = re.compile(r"[-\u2013\u2014]?\s*(?P<letters>[A-Z]\.?[A-Z]\.?[A-Z]?)\.?")
_SENTENCE_END = re.compile(r"[.!\u2026]\W*$")


def _begins(lines: Sequence[str], writer: frozenset[str]) -> bool:
    """Whether a signature begins on the first of the lines."""
    if lines[0].strip() and all(_REACH.fullmatch(line.strip()) for line in lines if line.strip()):
        return True
    if _takes_leave(lines[0]):
        below = next((line for line in lines[1:] if line.strip() and not grammar.is_courtesy(line)), "")
        return _is_name(below) or _names(below, writer)
    if _names(lines[0], writer) or _leaves_as(lines[0], writer):
        return len(_name(lines[0])) > 1 or not any(line.strip() for line in lines[1:])
    # Anybody else's name may be an order, `Skip Bob`, unless it is told how to reach them.
    return len(_name(lines[0])) > 1 and _is_name(lines[0]) and _is_reached(lines[1:], writer)


def _leaves_as(line: str, writer: frozenset[str]) -> bool:
    """Whether farewell and name stand on one line: `Best, Dana`."""
    pieces = plain(line).strip().split()
    return any(
        grammar.is_parting(" ".join(pieces[:at])) and _names(" ".join(pieces[at:]), writer)
        for at in range(1, min(len(pieces), 5))
    )


def _takes_leave(line: str) -> bool:
    thanks = grammar.is_courtesy(line) and line.rstrip().endswith(",") and bool(grammar.words(line))
    return grammar.is_parting(line) or thanks


def _name(line: str) -> list[str]:
    """Return the words of what may be a name, up to where a title follows it."""
    if len(line) > MAX_LENGTH:
        return []
    return _NAME_ENDS.split(plain(line).strip(" \t*_-\u2013\u2014"), maxsplit=1)[0].split()


def _is_name(line: str) -> bool:
    """Whether the line begins like a name: a few capitalised words, none of which is one of a decision."""
    words = _name(line)
    if not 1 <= len(words) <= _MOST_WORDS or not all(map(_NAME_WORD.fullmatch, words)):
        return False
    capitals = [word for word in words if _is_capital(word)]
    particles = all(_is_capital(word) or word in _PARTICLES for word in words)
    doubtful = grammar.is_strong(line) or any(
        word.casefold() in HEDGES | ORDERS | CONDITIONS for word in words
    )
    stops = _ABBREVIATED_LONG.search(words[-1]) is not None
    return bool(capitals) and particles and _is_label(line) and not (doubtful or stops)


def _is_capital(word: str) -> bool:
    """Whether a word begins with a capital, or with a letter that has none."""
    return word[0] == word[0].upper()


def _names(line: str, writer: frozenset[str]) -> bool:
    """Whether the line names the writer of the mail, as From does."""
    words = [word.casefold().rstrip(".") for word in _name(line)]
    while len(words) > 1 and words[0] in _TITLES:
        del words[0]
    if not words or grammar.is_strong(line):
        return False
    initial = len(words) > 1 and len(words[0]) == 1 and words[-1] in writer
    return writer.issuperset(words) or ((words[0] in writer or initial) and _is_name(line))


def _is_reached(lines: Sequence[str], writer: frozenset[str]) -> bool:
    end = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    reached = sum(1 for line in lines[:end] if _REACHED.search(line[:MAX_LENGTH]))
    return reached > 1 and not any(_names(line, writer) for line in lines)


def _is_sentence(line: str) -> bool:
    text = plain(line).strip()
    words = _LETTERS.findall(text)
    ended = _SENTENCE_END.search(text) and not _is_capital(words[-1]) if words else False
    first = next((letter for letter in text if letter.isalnum()), "")
    lower = first.islower() and not _CONTACT.search(text)
    spoken = (
        len(words) > 1 and (ended or lower) and not (grammar.is_courtesy(line) or grammar.is_parting(line))
    )
    return bool(spoken or _POSTSCRIPT.match(text))


def _is_label(line: str) -> bool:
    """Whether a line apart from the name is a title, a company or an address: no word of it is a verb."""
    if grammar.words(line)[:1] and grammar.words(line)[0] in ORDERS:
        return False
    pieces = (piece for piece in plain(line).split() if not _CONTACT.search(piece))
    words = (piece.strip(_PUNCTUATION) for piece in pieces)
    return all(not word or _is_capital(word) or word in _CONNECTORS | _PARTICLES for word in words)
