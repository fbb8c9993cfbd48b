"""What the lines of a reply amount to: which line is a decision, and which words beside it take it back.

The rules are made to refuse. A word too many that doubts costs a question back, one too few an approval
that nobody gave.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from gateway.core.mail import OVERRIDES, plain
from gateway.core.vocabulary import (
    ANSWERS,
    ASSENT,
    ASSENT_PHRASES,
    CONDITIONS,
    COURTESIES,
    DENIALS,
    ENGLISH,
    FAMILIES,
    GREETINGS,
    HEDGES,
    ORDERS,
    PARTINGS,
    REFUSAL_HEDGES,
    SELVES,
    STRONG,
    UNSPACED_FAMILIES,
    UNSPACED_HEDGES,
    Verb,
    Vocabulary,
)


class Flaw(StrEnum):
    """Why an opening line is not a decision."""

    NO_VERB = "no-verb"
    EXTRA_WORDS = "extra-words"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Opening:
    """The first line of a reply: its verb, what follows on the line, and whether a decision may begin so."""

    verb: Verb | None
    rest: str
    flaw: Flaw | None = None


def opening(line: str, known: Vocabulary = ENGLISH) -> Opening:
    """Read the first line; a flaw leaves the verb standing, so that the answer can say what was seen."""
    if not OVERRIDES.isdisjoint(line) or any(map(_is_mixed, _WORD.findall(plain(line)))):
        return Opening(None, "", Flaw.HIDDEN)
    verb, rest = _parted(line, known)
    if verb is None:
        return Opening(None, "", Flaw.NO_VERB)
    rest = rest.rstrip(_DECORATION)
    return Opening(verb, rest, None if _may_follow(verb, rest) else Flaw.EXTRA_WORDS)


def is_greeting(line: str) -> bool:
    """Whether the line only greets: `Hi Bob,`. At most a name of three words may stand in it."""
    text = plain(line).strip()
    said = _WORD.findall(text.casefold())
    if " ".join(said) == _TO_ANYBODY:
        return True
    if not said or said[0] not in GREETINGS or not _GREETING.fullmatch(text):
        return False
    return _is_called(text)


def is_calling(line: str) -> bool:
    """Whether the line only calls somebody by name, as above a letter: `Tom,`."""
    text = plain(line).strip()
    called = _CALLING.fullmatch(text)
    return called is not None and _is_called(text)


def _is_unspaced(word: str) -> bool:
    """Whether this may be a sentence of a language that puts no blanks between words."""
    return len(word) >= _UNSPACED_REMARK and any(letter >= "\u3040" for letter in word)


def _is_called(text: str) -> bool:
    """Whether the words beside a greeting may be a name."""
    named = [word for word in _WORD.findall(text) if word.casefold() not in GREETINGS]
    doubtful = any(word.casefold() in _NO_NAMES or _is_unspaced(word) for word in named)
    capitals = all(word[0] == word[0].upper() for word in named)
    most = 1 if text.isupper() else _LONGEST_NAME
    return len(named) <= most and not doubtful and capitals


def is_remark(lines: Iterable[str], known: Vocabulary = ENGLISH, *, is_asked_for: bool = False) -> bool:
    """Whether the lines ask or tell something and decide nothing: no word of them is near a decision.

    Whoever says `ok`, `I do not approve` or `aprove` wanted to decide, and is asked what. An order such as
    `Make it shorter` is a remark only where the question takes words for an answer.
    """
    filled = [line for line in lines if plain(line).strip()]
    said = [word for line in filled for word in words(line)]
    if any(_speaks_of_decisions(line, known) for line in filled) or all(map(is_assent, filled)):
        return False
    answers = any((spoken := words(line)) and spoken[0] in ANSWERS for line in filled)
    enough = len(said) >= _FEWEST_WORDS or any(
        len(word) >= _UNSPACED_REMARK for word in said if not word.isascii()
    )
    if is_asked_for:
        return bool(said) and not answers
    return enough and not answers and not any(map(_orders, filled))


def has_condition(line: str) -> bool:
    """Whether the line sets a condition or a limit, whatever else it may be."""
    said = words(_FIXED.sub(" ", line))
    return not CONDITIONS.isdisjoint(said) or _CONDITIONAL.search(" ".join(said)) is not None


def words(line: str) -> list[str]:
    """Return the words of a line in lower case, without addresses and links."""
    return _WORD.findall(_spoken(line).casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def is_courtesy(line: str) -> bool:
    """Whether nothing but courtesy words stands on the line."""
    return (
        _is_made_of(COURTESIES, without_thanked(_plain(line)))
        or _PARTING.fullmatch(plain(line).strip()) is not None
    )


def without_thanked(text: str) -> str:
    """Leave out the name of who is thanked at the end of a line."""
    match = _THANKED.search(text)
    named = match["name"].casefold().split() if match else ()
    doubtful = any(word in _NO_NAMES or word in ASSENT for word in named)
    return text[: match.start("name")] + text[match.end("name") :] if match and not doubtful else text


def is_assent(line: str) -> bool:
    """Whether nothing but courtesy and assent stands on the line: `Looks good to me`."""
    text = without_thanked(_plain(line)).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return is_courtesy(line) or _is_made_of(ASSENT, _ASSENT_PHRASES.sub(" ", text))


def is_parting(line: str) -> bool:
    """Whether the line is the farewell above a name: `Best regards,`."""
    if _PARTING.fullmatch(plain(line).strip()):
        return True
    return is_courtesy(line) and not PARTINGS.isdisjoint(words(line))


def is_strong(line: str) -> bool:
    """Whether the line stops something, or speaks of another decision, whatever else it may be."""
    said = words(line)
    return (
        any(word in STRONG or word.endswith("n't") for word in said)
        or _speaks_of_another(Verb.APPROVE, line)
        or (len(said) == 1 and _denies(said[0]))
        or _NO_PICTURE.search(line) is not None
        or _UNSPACED_HEDGE.search(plain(line)) is not None
    )


def asks(line: str) -> bool:
    """Whether the line asks something, in words or in a picture."""
    return _QUESTION.search(_spoken(line)) is not None


def hedged(verb: Verb, lines: Iterable[str]) -> bool:
    """Whether anything on the lines leaves the decision open to doubt."""
    return any(map(_is_doubtful_refusal if verb is Verb.REJECT else _is_doubtful, lines))


def other_verb(verb: Verb, lines: Iterable[str]) -> bool:
    """Whether the lines also speak of another decision.

    Below a REJECT people explain: what cannot be approved, or should be modified, takes nothing back.
    """
    first, *below = lines
    if verb is Verb.REJECT:
        return _speaks_of_another(verb, first) or any(map(_takes_refusal_back, below))
    return any(_speaks_of_another(verb, line) for line in (first, *below))


_DECORATION = " \t*_\"'()\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_MODIFIERS = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_ALPHABETS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
_OPENING = re.compile(
    rf"[{re.escape(_DECORATION)}]*+(?:(?:{'|'.join(sorted(SELVES))}) (?:hereby )?|j['\u2019])?+"
    r"(?P<verb>[^\W\d_]+)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_BESIDE = re.compile(
    r"(?:[^\W_]|[ \t*_\"'\u00a1\u2019\u201c\u201d]|[.,!;\u3001\u3002\uff0c\uff01](?![.,!;])"
    r"|[-\u2013\u2014](?=\s))*+"
    r"!{0,3}"
)
_PLEASED = re.compile(
    "[\U0001f44d\U0001f44c\U0001f64f\U0001f64c\U0001f389\U0001f44f\U0001f680\U0001f600\U0001f603\U0001f60a\U0001f642"
    "\U0001f4af\u2705\u2714\u263a][\U0001f3fb-\U0001f3ff\ufe0f]*|(?<!\\S):-?\\)(?!\\S)"
)
"""Pictures that say yes or thanks."""
_ASSENT_PHRASES = re.compile(ASSENT_PHRASES, re.IGNORECASE)
_PARTING = re.compile(
    r"(?:(?:with )?(?:many thanks and )?(?:kind(?:est)?|best|warm(?:est)?) (?:regards|wishes)"
    r"|all the best|best|br|rgds"
    r"|thanks (?:&|and) (?:kind |best )?regards|warmly|yours|take care|ciao"
    r"|cdt|cdlt|bien à vous|bien à toi|(?:meilleures|sincères|cordiales) salutations|salutations"
    r"|saludos cordiales|un abrazo|atte|att|abs|abraços?|um abraço|(?:com os melhores )?cumprimentos"
    r"|distinti saluti|un saluto|mvg|gr|hartelijke groet(?:en)?|祝好|此致敬礼|此致"
    r"|(?:viele |liebe |beste |sch\u00f6ne |herzliche )?gr(?:\u00fc|ue)(?:\u00df|ss)e(?: aus [^\W\d_]{2,20})?"
    r"|gru(?:\u00df|ss)"
    r"|mit (?:freundlichen|besten) gr(?:\u00fc|ue)(?:\u00df|ss)en|mfg|lg|vg|(?:bien )?cordialement"
    r"|(?:un )?saludos?|atentamente|(?:cordiali )?saluti|(?:met vriendelijke )?groet(?:en)?"
    r"|atenciosamente)[,.!\uff0c\u3002]?",
    re.IGNORECASE,
)
"""Farewells of more words than `PARTINGS`, and those of other languages."""
_COMMANDS = frozenset({"do", "don't", "dont", "never", "cancel", "veto", "send", "edit", "go"})
_SIDE = re.compile(
    r"\s*(?:by me|from (?:my|our) (?:side|end)|das|dies|von meiner seite|de mon côté|por mi parte)[\s.!]*",
    re.IGNORECASE,
)
_PAUSE = re.compile(r"\s*[-\u2013\u2014.,;!\u3001\u3002\uff0c\uff01]")
_REASON = re.compile(
    r"\s*(?:[-\u2013\u2014:.,;!\u3001\u3002\uff0c\uff1a\uff01]|because\b|due to\b|since\b)", re.IGNORECASE
)
_UNSPACED_HEDGE = re.compile(UNSPACED_HEDGES)
_QUESTION = re.compile(
    "[?\u00bf\u061f\u2753\u2754\u26a0\u26d4\u270b\u274c\U0001f44e\U0001f6ab\U0001f6d1\U0001f914]"
)
"""Question marks, and the pictures that say no or let me think."""
_NO_PICTURE = re.compile("[\u26d4\u270b\u274c\U0001f44e\U0001f6ab\U0001f6d1\U0001f914]")
_LONE_NUMBER = re.compile(r"\W{0,5}\d{1,6}(?:[.,]\d{1,6})?\W{0,5}")
_NO_NAMES = HEDGES | STRONG | ANSWERS | CONDITIONS | ORDERS | FAMILIES.keys()
# No colon: `Legal: approved` tells what somebody else did.
_CALLING = re.compile(
    r"@?[^\W\d_]{2,20}(?: [^\W\d_]{2,20})?,"
    r"|[^\W\d_]{1,10}(?:様|さん|先生|总|老师)[,:\u3001\uff0c\uff1a]?"
)
_GREETING = re.compile(r"[^\W\d_][^\d?:;@|>]{0,60}?[,.!\u3001\u3002\uff0c]?")
_TO_ANYBODY = "to whom it may concern"
_LONGEST_NAME = 3
_CONDITIONAL = re.compile(
    r"\b(?:(?:as|so) (?:long|soon|far) as|in (?:that )?case|on (?:the )?condition|given that)\b"
)
# Titles that hold a word of a condition.
_FIXED = re.compile(
    r"\b(?:after[ -]?sales|subject[ -]matter|first[ -](?:aid|line)|first name)\b", re.IGNORECASE
)
_THANKED = re.compile(
    r"(?i:(?:^|[,.!;\u2013\u2014-])\s*(?:many )?(?:thanks|thank you|thx|cheers|danke|vielen dank"
    r"|merci|gracias|obrigad[oa]|grazie|bedankt"
    r"|dank je(?: wel)?|nice work|well done|good job|great work)),?"
    r" (?P<name>[^\W\d_a-z][^\W\d_]{1,20}(?: [^\W\d_a-z][^\W\d_]{1,20})?)(?=[\s.!]*$)"
)
_LEAD = re.compile(
    r"[\s*_\"'(]*(?:(?:yes|yep|yeah|ok|okay|sure|thanks|thank you|great|perfect|looks good|lgtm"
    r"|ja|oui|sí|sim|sì"
    r"|danke|merci|gracias|obrigad[oa]|grazie"
    r"|bedankt)(?: (?P<thanked>[^\W\d_]{2,20}))?\s?[,.!\u2013\u2014-]+\s*"
    r"|(?P<called>@?[^\W\d_]{2,20})\s?,\s+|@(?P<named>[^\W\d_]{2,20})\s+"
    r"|(?:this is|it is|it's|(?:the |your |this )?request(?: is)?|hereby|hiermit|c'est|queda|está"
    r"|è|ist|is hierbij)\s+)"
    r"(?=\S)",
    re.IGNORECASE,
)
"""What may be said before an approval: a yes with a pause behind it, or the beginning of its sentence."""
_FEWEST_WORDS = 3
_UNSPACED_REMARK = 5
_NEAR = 0.8
_SENTENCE = re.compile(r"(?<=[.!])\s")
_MONEY = re.compile(r"[$\u20ac\u00a3\u00a5%]")


def _parted(line: str, known: Vocabulary) -> tuple[Verb | None, str]:
    """Part a line after its verb: a word, or whatever the operator wants to count as one."""
    bare = plain(line).strip(_DECORATION)
    for word, verb in known.extra.items():
        rest = bare[len(word) :].lstrip(_MODIFIERS)
        if bare[: len(word)].casefold() == word and not (rest[:1].isalnum() and word[-1:].isalnum()):
            return verb, _plain(rest)
    text = _plain(line)
    match = _OPENING.match(text)
    lead = _LEAD.match(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    names = [name.lstrip("@") for name in lead.groupdict().values() if name] if lead else []
    is_led = lead is not None and all(
        name[0].isupper() and name.casefold() not in _NO_NAMES for name in names
    )
    after = _OPENING.match(text, lead.end()) if lead and is_led else None
    if after and known.verbs.get(after["verb"].casefold()) is Verb.APPROVE:
        return Verb.APPROVE, after["rest"]
    return (known.verbs.get(match["verb"].casefold()), match["rest"]) if match else (None, "")


def _is_mixed(word: str) -> bool:
    """Whether letters of several alphabets make one word, as in a disguise."""
    return not word.isascii() and len({_alphabet(letter) for letter in word} - {""}) > 1


def _alphabet(letter: str) -> str:
    name = unicodedata.name(letter, "").partition(" ")[0]
    return name if name in _ALPHABETS else ""


def _orders(line: str) -> bool:
    """Whether the line tells somebody to do something, or not to: `Please do not send it`."""
    said = [word for word in words(line) if word not in {"please", "so", "then"}]
    return bool(said) and (said[0] in ORDERS or said[0] in _COMMANDS)


def _speaks_of_decisions(line: str, known: Vocabulary) -> bool:
    said = [part for word in words(line) for part in word.split("'")]
    if any(word in FAMILIES or word in known.extra for word in said):
        return True
    if any(word in plain(line) for word in (*UNSPACED_FAMILIES, *known.extra)):
        return True
    return bool(get_close_matches(said[0], known.verbs, 1, _NEAR)) if said else False


def _may_follow(verb: Verb, rest: str) -> bool:
    if verb is Verb.MODIFY:
        return not _QUESTION.search(rest.partition(":")[0])
    if not _PAUSE.match(rest) and without_thanked(rest) != rest:
        return False
    if is_courtesy(rest) or (verb is Verb.APPROVE and _PAUSE.match(rest) and is_assent(rest)):
        return True
    if verb is Verb.APPROVE and _SIDE.fullmatch(rest):
        return True
    return verb is Verb.REJECT and _REASON.match(rest) is not None


def _is_made_of(allowed: frozenset[str], text: str) -> bool:
    return _BESIDE.fullmatch(text) is not None and allowed.issuperset(_WORD.findall(text.casefold()))


def _plain(line: str) -> str:
    """Leave out the pictures that change nothing."""
    return _PLEASED.sub("", plain(line))


def _spoken(line: str) -> str:
    """Leave out addresses and links, whose words nobody said."""
    return " ".join(piece for piece in plain(line).split() if not _is_address(piece))


def _is_address(piece: str) -> bool:
    return "://" in piece or "@" in piece or piece.lower().startswith("www.")


def _is_doubtful(line: str) -> bool:
    """Whether a line takes an APPROVE back, in any language that a reviewer may fall into."""
    spoken = _spoken(line)
    if any(sign.search(spoken) for sign in (_QUESTION, _MONEY, _UNSPACED_HEDGE)) or _LONE_NUMBER.fullmatch(
        spoken
    ):
        return True
    return not is_assent(line) and any(word.endswith("n't") or word in HEDGES for word in words(line))


def _speaks_of_another(verb: Verb, line: str) -> bool:
    if any(FAMILIES.get(word, verb) is not verb for word in words(line)):
        return True
    return not line.isascii() and any(
        other is not verb and word in plain(line) for word, other in UNSPACED_FAMILIES.items()
    )


def _takes_refusal_back(line: str) -> bool:
    """Whether a line under REJECT approves after all, or is a decision by itself."""
    said = words(line)
    meant = next((at for at, word in enumerate(said) if FAMILIES.get(word) is Verb.APPROVE), None)
    if meant is not None and not any(_denies(word) for word in said[:meant]):
        return True
    alone = opening(line)
    return alone.flaw is None and alone.verb not in {None, Verb.REJECT}


def _denies(word: str) -> bool:
    return word in DENIALS or word.endswith("n't")


def _is_doubtful_refusal(line: str) -> bool:
    """Whether a refusal is none yet; what is said after a full stop is its reason, and may ask."""
    sentence = _SENTENCE.split(_spoken(line), maxsplit=1)[0]
    return bool(_QUESTION.search(sentence)) or not REFUSAL_HEDGES.isdisjoint(words(sentence))
