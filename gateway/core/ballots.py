"""An answer to several items in one reply: a line for each, its number before its verb.

Read only where a question has more than one item. What is said about one of them may be meant for another,
so beside an approval the reasons of rejections are kept short, and anything beyond puts all of it in doubt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.core import grammar, quotes, signature
from gateway.core.grammar import Opening
from gateway.core.vocabulary import CONDITIONS, DENIALS, STRONG, Verb, Vocabulary, word_set


class Flaw(StrEnum):
    """Why the lines together are no decision, whatever each of them says."""

    MIXED = "mixed-items"
    """A word for all stands beside those for single items."""
    UNKNOWN = "unknown-item"
    REPEATED = "repeated-item"
    EDIT = "item-edit"
    HEDGED = "hedged"
    EXTRA_WORDS = "extra-words"


@dataclass(frozen=True, slots=True)
class Numbered:
    """What stands about one item: behind its number, and on the lines down to the next number."""

    item: int
    opening: Opening
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ballots:
    """A reply parted at its numbers; `above` should be empty."""

    above: tuple[str, ...]
    numbered: tuple[Numbered, ...]


def is_numbered(line: str, known: Vocabulary) -> bool:
    """Whether the line begins with a number and a word that decides."""
    return _numbered(line, known) is not None


def names_item(line: str, items: int) -> bool:
    """Whether the line begins with the number of one of so many items: `2 is too expensive`."""
    match = _BEGINS.match(line)
    return match is not None and 0 < int(match[1]) <= items


def has_numbered_list(html: str) -> bool:
    """Whether programs may have made a list of typed numbers, which are then no part of its text.

    Our letters have none, so that it is the writer's.
    """
    return _NUMBERED_LIST.search(html) is not None


def divide(lines: Sequence[str], known: Vocabulary) -> Ballots:
    """Part the lines of a reply; each line with a number and a verb begins another item's."""
    above: list[str] = []
    parts: list[tuple[int, Opening, list[str]]] = []
    for line in lines:
        if found := _numbered(line, known):
            item, rest, opening = found
            parts.append((item, opening, [rest]))
        else:
            (parts[-1][2] if parts else above).append(line)
    numbered = tuple(Numbered(item, opening, tuple(said)) for item, opening, said in parts)
    return Ballots(tuple(line for line in above if line.strip()), numbered)


def flaw(ballots: Ballots, items: int, writer: frozenset[str], known: Vocabulary) -> Flaw | None:
    """Ask whether what stands there can be taken as one verdict for each item that is named."""
    named = [part.item for part in ballots.numbered]
    if ballots.above or any(_decides_all(part, known) for part in ballots.numbered):
        return Flaw.MIXED
    if not all(0 < item <= items for item in named):
        return Flaw.UNKNOWN
    if len(set(named)) < len(named):
        return Flaw.REPEATED
    verbs = {part.opening.verb for part in ballots.numbered}
    if Verb.MODIFY in verbs:
        return Flaw.EDIT
    others = set(range(1, items + 1)) - set(named)
    for part, following in zip(ballots.numbered, (*ballots.numbered[1:], None), strict=True):
        if Verb.APPROVE not in verbs:
            doubtful = _leaves_open(part, others, writer)
        else:
            every = set(range(1, items + 1))
            doubtful = part.opening.verb is Verb.REJECT and _speaks_of_others(part, every - {part.item})
        if doubtful:
            return Flaw.HEDGED
        if Verb.APPROVE in verbs and following and _may_be_wrapped(part.lines[-1]):
            return Flaw.EXTRA_WORDS
    return None


def beneath(ballots: Ballots) -> tuple[tuple[str, ...], ...]:
    """Return what stands under each rejection and its reason, where the mail approves something.

    It may be meant for that, so nothing may stand there that may not stand under an approval.
    """
    if all(part.opening.verb is not Verb.APPROVE for part in ballots.numbered):
        return ()
    rejections = (part for part in ballots.numbered if part.opening.verb is Verb.REJECT)
    return tuple(part.lines[len(_reason(part)) :] for part in rejections)


def set_apart(body: str, known: Vocabulary) -> str:
    """Put an empty line under the answers where a quote begins right below them.

    The heading of a quote may begin with a number, as in `2026-03-03 Dana wrote:`, and would take them in.
    """
    lines = body.split("\n")
    breaks: set[int] = set()
    for index, line in enumerate(lines):
        if not is_numbered(line, known):
            continue
        for below in range(index + 1, min(len(lines), index + _HEADING)):
            if not lines[below].strip() or is_numbered(lines[below], known):
                break
            if quotes.PREFIX.match(lines[below]) or quotes.begins(lines[below : below + _HEADING]):
                breaks.add(below)
                break
    return "\n".join(f"\n{line}" if index in breaks else line for index, line in enumerate(lines))


def label(item: int, name: str) -> str:
    """Name the field of an item as it is called in `labelled` lines."""
    return f"i{item}.{name}"


def labelled(quote: Sequence[str]) -> list[str]:
    """Rename the fields of a quoted letter, `1. order: A17`, so that those of two items have two names."""
    return [_ROW.sub(lambda row: row[1] + label(int(row[2]), row[3]), line) for line in quote]


_ROW = re.compile(r"^([\s>*_]*)([0-9]{1,4})\.\s(\S)")
_NUMBER = re.compile(r"[\s*_#]*([0-9]{1,4})(?:[.):]|\s[-\u2013\u2014])?\s+(?=\S)")
_NUMBERED_LIST = re.compile(r"<ol\b|mso-list:", re.IGNORECASE)
_BEGINS = re.compile(r"\W*([0-9]{1,4})\b(?![.,][0-9])")
_NUMBERS = re.compile(r"(?<![\w.,])[0-9]{1,4}(?![\w]|[.,][0-9])")
_ENDED = re.compile(r"[.!;\u3002\uff01]\s*")
_OTHERS = word_set("""
    other others rest both first second third fourth last previous next same also remaining everything
    pause
""")
"""Words by which the reason for one item may speak of another."""
_DOUBTS = (STRONG - DENIALS) | CONDITIONS | _OTHERS
_HEADING = 6
"""Lines that the heading of a quote may take."""
_LONG = 50
"""Characters from which on a program may have broken the line."""


def _numbered(line: str, known: Vocabulary) -> tuple[int, str, Opening] | None:
    match = _NUMBER.match(line)
    if match is None:
        return None
    rest = line[match.end() :]
    opening = grammar.opening(rest, known)
    if opening.verb is None and opening.flaw is not grammar.Flaw.HIDDEN:
        return None
    return int(match[1]), rest, _with_reason(opening)


def _with_reason(opening: Opening) -> Opening:
    """Take what follows the refusal of one item for its reason, without a mark between them."""
    said = grammar.words(opening.rest)
    is_reason = opening.verb is Verb.REJECT and not DENIALS.issuperset(said)
    return Opening(opening.verb, opening.rest) if is_reason else opening


def _decides_all(part: Numbered, known: Vocabulary) -> bool:
    """Whether a word without a number decides on a line of its own."""
    return any(
        opening.verb and not opening.flaw
        for opening in (grammar.opening(line, known) for line in part.lines[1:])
    )


def _reason(part: Numbered) -> list[str]:
    """Return the reason on the line of a rejection, with the lines on which a program went on with it."""
    reason = [part.opening.rest]
    for line in part.lines[1:]:
        if not line.strip() or len(part.lines[len(reason) - 1]) < _LONG:
            break
        reason.append(line)
    return reason


def _speaks_of_others(part: Numbered, others: set[int]) -> bool:
    """Whether the reason of a rejection may take back what is approved elsewhere in the mail."""
    return any(
        _speaks_of(line, others) or not _DOUBTS.isdisjoint(grammar.words(line)) for line in _reason(part)
    )


def _may_be_wrapped(line: str) -> bool:
    """Whether the number under this line may be the end of its sentence, where a program has broken it."""
    return len(line) >= _LONG and not _ENDED.fullmatch(line[-1:])


def _leaves_open(part: Numbered, others: set[int], writer: frozenset[str]) -> bool:
    """Whether an item that is left out is spoken of, or what is said below goes on to doubt."""
    below = signature.divide(part.lines[1:], writer).remarks
    spoken_of = any(_speaks_of(line, others) for line in (part.lines[0], *below))
    return spoken_of or (bool(others) and grammar.hedged(Verb.REJECT, below))


def _speaks_of(line: str, items: set[int]) -> bool:
    return any(int(number) in items for number in _NUMBERS.findall(line))
